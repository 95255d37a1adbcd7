package directory

import (
	"context"
	"time"

	"roster/internal/id"
	"roster/internal/index"
)

// Membership finds how one member stands directly in one group, whether or not
// it holds now: [ErrNoMembership] if it does not stand there. It needs
// [ReadMembers], and heeds [Within].
func (d *Directory) Membership(ctx context.Context, p Principal, group Ref, member MemberRef) (Answer[Membership], error) {
	need := ReadMembers
	if !member.IsGroup {
		need = p.on(member.Ref, need)
	}
	return viewAt(ctx, d, p.heeding(), need, When{}, false, func(t then) (Membership, error) {
		var zero Membership
		g, err := t.group(group)
		if err != nil {
			return zero, err
		}
		m, err := t.member(member)
		if err != nil {
			return zero, err
		}
		list, err := t.Memberships(MembershipQuery{Group: g, After: MemberCursor(m) - 1, Limit: 1})
		if err != nil {
			return zero, err
		}
		if len(list) == 0 || list[0].Member != m {
			return zero, ErrNoMembership
		}
		return t.l.p.shown(list[0]), nil
	})
}

// ListMembers asks for a page of a group's members, or (with a Member instead)
// of the groups that a member stands in.
//
// Of a principal that is bounded to some groups a list holds what is [Within]: it
// pages, counts and sorts as if there were nothing else. The After of a sorted list
// is then the place of the entry that the page before ended with, and the page is
// [Stale] once that is beyond the bound. A list in the order of joining is refused:
// its serials count what everybody has joined.
type ListMembers struct {
	Page
	Group  Ref
	Member MemberRef

	// Transitive includes those who are in through groups, and then lists users
	// only (of a group) by ascending number.
	Transitive bool

	// Joining lists those who stand there directly in the order of joining: After
	// and Next are serials. It leaves groups out of a group's members. Descending
	// is as in [MembershipQuery], and is for such lists alone.
	Joining    bool
	Descending bool

	// Standing lists everyone who stands there directly, also those whose
	// membership does not hold now and users who are not active.
	Standing bool

	// Arrange filters and sorts; the After of a page is then of that list alone.
	Arrange

	// Count asks for how many entries there are in all.
	Count bool
}

// MemberOf is one entry of a list of members or of groups. Membership is zero
// if it comes through groups alone. Holds says whether it makes somebody a member
// at the moment of the list: its dates do, and the user who stands there is active.
type MemberOf struct {
	User       *User
	Group      *Group
	Membership Membership
	Holds      bool
}

// Members lists who is in a group. It needs [ReadMembers], and heeds [Within]: see
// [ListMembers].
func (d *Directory) Members(ctx context.Context, p Principal, in ListMembers) (Answer[Found[MemberOf]], error) {
	if !in.Joining {
		p = p.heeding()
	}
	var of Edge
	a, err := viewAt(ctx, d, p, ReadMembers, in.At, in.indexed(), func(t then) (Found[MemberOf], error) {
		var none Found[MemberOf]
		g, err := t.group(in.Group)
		if err != nil {
			return none, err
		}
		of = Edge{Group: g}
		if err := in.keeps(of); err != nil {
			return none, err
		}
		total, err := t.total(of, in)
		if err != nil {
			return none, err
		}
		if !in.Arrange.isZero() {
			return t.arrangedPage(of, in)
		}
		if t.l.p.Within != nil {
			return t.visiblePage(of, in, total)
		}
		limit := in.limit()
		if in.Transitive {
			numbers, err := t.after(of, in.number(), limit+1)
			if err != nil {
				return none, err
			}
			page := found(numbers, limit, func(n id.Number) int64 { return int64(n) })
			t.continued(page.Next)
			edges := make([]Edge, len(page.Items))
			for i, n := range page.Items {
				edges[i] = Edge{Group: g, Member: id.UserMember(n)}
			}
			items, err := t.describe(edges, false, false)
			return Found[MemberOf]{Items: items, Next: page.Next, At: t.When, Total: total}, err
		}
		list, err := t.Memberships(in.query(MembershipQuery{Group: g, Limit: limit + 1, At: t.unless(in.Standing)}))
		if err != nil {
			return none, err
		}
		page := found(list, limit, in.cursor(func(m Membership) int64 { return MemberCursor(m.Member) }))
		if in.Count {
			t.continued(page.Next)
		}
		out, err := t.describeAll(page, false)
		out.Total = total
		return out, err
	})
	a.Value.Of = of
	return a, err
}

// GroupsOf lists the groups that a member is in, by ascending number. It needs
// [ReadMembers], and heeds [Within] as [Directory.Members] does.
func (d *Directory) GroupsOf(ctx context.Context, p Principal, in ListMembers) (Answer[Found[MemberOf]], error) {
	need := ReadMembers
	if !in.Member.IsGroup {
		need = p.on(in.Member.Ref, need)
	}
	if !in.Joining {
		p = p.heeding()
	}
	var of Edge
	a, err := viewAt(ctx, d, p, need, in.At, in.indexed(), func(t then) (Found[MemberOf], error) {
		var none Found[MemberOf]
		m, err := t.member(in.Member)
		if err != nil {
			return none, err
		}
		of = Edge{Member: m}
		if err := in.keeps(of); err != nil {
			return none, err
		}
		total, err := t.total(of, in)
		if err != nil {
			return none, err
		}
		if !in.Arrange.isZero() {
			return t.arrangedPage(of, in)
		}
		if t.l.p.Within != nil {
			return t.visiblePage(of, in, total)
		}
		limit := in.limit()
		if in.Transitive {
			numbers, err := t.after(of, in.number(), limit+1)
			if err != nil {
				return none, err
			}
			page := found(numbers, limit, func(n id.Number) int64 { return int64(n) })
			t.continued(page.Next)
			edges := make([]Edge, len(page.Items))
			for i, n := range page.Items {
				edges[i] = Edge{Group: n, Member: m}
			}
			items, err := t.describe(edges, true, false)
			return Found[MemberOf]{Items: items, Next: page.Next, At: t.When, Total: total}, err
		}
		list, err := t.Memberships(in.query(MembershipQuery{Member: m, Limit: limit + 1, At: t.unless(in.Standing)}))
		if err != nil {
			return none, err
		}
		page := found(list, limit, in.cursor(func(m Membership) int64 { return int64(m.Group) }))
		if in.Count {
			t.continued(page.Next)
		}
		out, err := t.describeAll(page, true)
		out.Total = total
		return out, err
	})
	a.Value.Of = of
	return a, err
}

// indexed reports whether the index has a part in the answer. The order of joining
// is for the rows of the present alone.
func (in ListMembers) indexed() bool {
	return (in.Transitive || in.Count || !in.Arrange.isZero()) && !in.Joining
}

// query completes a query for memberships with the page asked for.
func (in ListMembers) query(q MembershipQuery) MembershipQuery {
	q.After, q.Joining, q.Descending = max(in.After, 0), in.Joining, in.Joining && in.Descending
	return q
}

// cursor is where a membership stands in the list: byWhom unless it is in the
// order of joining.
func (in ListMembers) cursor(byWhom func(Membership) int64) func(Membership) int64 {
	if in.Joining {
		return func(m Membership) int64 { return m.Serial }
	}
	return byWhom
}

// unless is the moment at which memberships must hold, or none at all.
func (t then) unless(standing bool) time.Time {
	if standing {
		return time.Time{}
	}
	return t.Time
}

// describe looks up who or what is on the far side of the edges: their groups,
// or else their members; and, if that is asked for, who added them.
func (t then) describe(edges []Edge, groups, authors bool) ([]MemberOf, error) {
	list, err := t.Standing(edges)
	if authors {
		list, err = t.l.authored(list, err)
	}
	if err != nil {
		return nil, err
	}
	stands := make(map[Edge]Membership, len(list))
	for _, m := range list {
		if m.HoldsAt(t.Time) {
			stands[m.Edge] = m
		}
	}
	page := Found[Membership]{Items: make([]Membership, len(edges))}
	for i, e := range edges {
		page.Items[i] = stands[e]
		page.Items[i].Edge = e
	}
	out, err := t.describeAll(page, groups)
	for i := range out.Items {
		if out.Items[i].Membership.Serial == 0 {
			out.Items[i].Membership = Membership{}
		}
	}
	return out.Items, err
}

func (t then) describeAll(page Found[Membership], groups bool) (Found[MemberOf], error) {
	out := Found[MemberOf]{Items: make([]MemberOf, 0, len(page.Items)), Next: page.Next, At: t.When}
	var userNumbers, groupNumbers []id.Number
	for _, m := range page.Items {
		if groups {
			groupNumbers = append(groupNumbers, m.Group)
		} else if u, ok := m.Member.User(); ok {
			userNumbers = append(userNumbers, u)
		} else if g, ok := m.Member.Group(); ok {
			groupNumbers = append(groupNumbers, g)
		}
	}
	users, err := t.Users(userNumbers)
	if err != nil {
		return out, err
	}
	found, err := t.Groups(groupNumbers)
	if err != nil {
		return out, err
	}
	userBy := make(map[id.Number]*User, len(users))
	for i := range users {
		userBy[users[i].Number] = &users[i]
	}
	groupBy := make(map[id.Number]*Group, len(found))
	for i := range found {
		groupBy[found[i].Number] = &found[i]
	}
	active := true
	if groups && len(page.Items) > 0 { // of one member
		if active, err = t.active(page.Items[0].Member); err != nil {
			return out, err
		}
	}
	for _, m := range page.Items {
		entry := MemberOf{Membership: m, Holds: active && m.HoldsAt(t.Time)}
		if groups {
			entry.Group = groupBy[m.Group]
		} else if u, ok := m.Member.User(); ok {
			if entry.User = userBy[u]; entry.User != nil {
				entry.Holds = entry.Holds && entry.User.ActiveAt(t.Time)
			}
		} else if g, ok := m.Member.Group(); ok {
			entry.Group = groupBy[g]
		}
		if entry.User != nil || entry.Group != nil {
			out.Items = append(out.Items, entry)
		}
	}
	return out, nil
}

// active reports whether a member can be in anything: it is a group, or a user who
// is active.
func (t then) active(m id.Member) (bool, error) {
	u, ok := m.User()
	switch {
	case !ok:
		return true, nil
	case t.st != nil:
		return t.st.Active(u, t.Time.UnixMicro()), nil
	}
	users, err := t.Users([]id.Number{u})
	return len(users) > 0 && users[0].ActiveAt(t.Time), err
}

// groupsOf returns the groups that a member is in now, directly and through groups.
func (l *look) groupsOf(m id.Member) ([]id.Number, error) {
	t, err := l.then(When{})
	if err != nil {
		return nil, err
	}
	return t.groupsOf(m)
}

// picture returns the index of the tenant if it is at exactly the revision of
// this transaction, so that one answer is about one state; nil otherwise.
func (l *look) picture() (*index.State, error) {
	rev, err := l.Revision()
	if err != nil {
		return nil, err
	}
	return l.d.pictureAt(l.d.memory(), l.p.Tenant, rev), nil
}

// pictureAt returns the index of a tenant at exactly that revision, if it is the
// latest or one that is kept, and nil otherwise.
func (d *Directory) pictureAt(m *memory, t id.Tenant, rev Revision) *index.State {
	st := m.index.At(t, uint64(rev))
	if st == nil && m.index.Get(t) == nil {
		d.warm(t)
	}
	return st
}
