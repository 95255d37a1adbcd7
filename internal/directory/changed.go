package directory

import (
	"cmp"
	"errors"
	"slices"

	"roster/internal/id"
)

// errManyChanges says that so much has changed that it is better to read what is
// compared.
var errManyChanges = errors.New("many changes")

// comparison is a way to find what differs.
type comparison uint8

const (
	byEither comparison = iota // whichever is cheaper
	bySides
	byChanges
)

// compareBy is byEither, but for tests.
var compareBy = byEither

// perMember is how many changes are found for what it costs to read a member, or
// to look whether one is in.
const perMember = 10

// candidates returns those who may be on one of two sides of a diff of a group and
// not on the other, in the order of their keys; false if the sides are better read.
// Nobody else differs.
//
// How much has changed and what the sides hold is found out by degrees, so that
// neither costs many times what the other would have.
func candidates(in Diff, a, b *side) ([]Edge, bool, error) {
	if a == nil || b == nil || in.Group.Kind == 0 || compareBy == bySides {
		return nil, false, nil
	}
	if a.l.p.Within != nil {
		return nil, false, nil // how much has changed beyond the bound must not show
	}
	key := arrangement{tenant: a.l.p.Tenant, of: a.of, transitive: in.Transitive, from: a.When, at: b.When}
	if list, ok := a.m.arranged.get(key); ok {
		return list.edges, !list.long, nil
	}
	commits := int(max(a.Revision, b.Revision) - min(a.Revision, b.Revision))
	for many := perMember * max(commits, 10); commits <= maxCompared; many *= 10 {
		many = min(many, maxCompared)
		if few, err := holdFew(in, many/perMember, a, b); err != nil || few && compareBy != byChanges {
			return nil, false, err
		}
		list, err := between(a.then, b.then, many)
		var edges []Edge
		if err == nil {
			edges, err = list.candidates(a, b, many)
		}
		switch {
		case err == nil:
			if len(edges) > in.limit() { // there will be further pages
				a.m.arranged.put(key, arranged{edges: edges})
			}
			return edges, true, nil
		case !errors.Is(err, errManyChanges):
			return nil, false, err
		case many == maxCompared:
			a.m.arranged.put(key, arranged{long: true})
			return nil, false, nil
		}
	}
	return nil, false, nil
}

// holdFew reports whether both sides hold no more than so many. What it reads of
// them is not read again. The rows do not tell a part of what is reached through
// groups for less than all of it, so of that it goes by what is in memory of the
// present, if anything is.
func holdFew(in Diff, many int, sides ...*side) (bool, error) {
	for _, s := range sides {
		if s.transitive && s.st == nil {
			st := s.m.index.Get(s.l.p.Tenant)
			return st != nil && len(st.MembersAfter(s.of.Group, 0, s.Time.UnixMicro(), true, many+1)) <= many, nil
		}
	}
	for _, s := range sides {
		if err := s.fill(max(in.After, 0), many+1, many+1); err != nil || !s.last {
			return false, err
		}
	}
	return true, nil
}

// changes are what may stand differently at two moments: memberships that somebody
// changed or a date began or ended in between, and users who were changed or
// expired. Whatever else there is stands alike at both.
type changes struct {
	edges []Edge
	users []id.Number
}

// between returns the changes from one moment to another, [errManyChanges] if they
// are more than so many. What the clock did is found by the dates: its records
// come late, and those of users there are none.
func between(a, b then, many int) (changes, error) {
	var c changes
	seen := 0
	q := LogQuery{From: min(a.Revision, b.Revision) + 1, To: max(a.Revision, b.Revision), Ascending: true, Limit: many + 1}
	err := a.l.Log(q, func(l Logged) error {
		seen++
		for _, ch := range l.Changes {
			switch ch.Kind {
			case MembersAdded, MembersUpdated, MembersRemoved:
				for _, m := range ch.Members {
					c.edges = append(c.edges, Edge{Group: ch.Number, Member: m})
				}
			case UserUpdated, UserDeleted:
				c.users = append(c.users, ch.Number)
			}
			seen += max(len(ch.Members), 1)
		}
		if seen > many {
			return errManyChanges
		}
		return nil
	})
	if err != nil || a.Time.Equal(b.Time) {
		return c, err
	}
	first, last := a.Time, b.Time
	if last.Before(first) {
		first, last = last, first
	}
	dated, err := a.l.Dated(first, last, many-seen+1)
	if err != nil {
		return c, err
	}
	if len(dated) > many-seen {
		return c, errManyChanges
	}
	for _, e := range dated {
		if u, ok := e.Member.User(); ok && e.Group == 0 {
			c.users = append(c.users, u)
		} else {
			c.edges = append(c.edges, e)
		}
	}
	return c, nil
}

// candidates returns the edges whose ends may be on one of two sides of a group and
// not on the other, each once and in the order of their keys; [errManyChanges] if
// it would have to look at more than so many.
func (c changes) candidates(a, b *side, many int) ([]Edge, error) {
	group := a.of.Group
	edges := joined(a.of, c.users)
	if a.transitive {
		was, err := a.leading(c.groups(), group)
		if err != nil {
			return nil, err
		}
		is, err := b.leading(c.groups(), group)
		if err != nil {
			return nil, err
		}
		for _, e := range c.edges {
			if _, ok := e.Member.User(); ok && (was[e.Group] || is[e.Group]) {
				edges = append(edges, Edge{Group: group, Member: e.Member})
			}
		}
		lost, err := a.below(c.turned(was, is), many/perMember)
		if err != nil {
			return nil, err
		}
		gained, err := b.below(c.turned(is, was), many/perMember)
		if err != nil {
			return nil, err
		}
		edges = append(edges, joined(a.of, append(lost, gained...))...)
	} else {
		for _, e := range c.edges {
			if e.Group == group {
				edges = append(edges, e)
			}
		}
	}
	slices.SortFunc(edges, func(a, b Edge) int { return cmp.Compare(MemberCursor(a.Member), MemberCursor(b.Member)) })
	return slices.Compact(edges), nil
}

// groups returns the groups that memberships were changed of, and those that were
// linked or unlinked.
func (c changes) groups() []id.Number {
	var groups []id.Number
	for _, e := range c.edges {
		groups = append(groups, e.Group)
		if child, ok := e.Member.Group(); ok {
			groups = append(groups, child)
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}

// turned returns, of the groups that were linked or unlinked, those that led to
// some group at one moment and do not at the other. Whatever else did so then and
// does not now is below one of them: of the links on its way up, look at the last
// that is no more.
func (c changes) turned(leads, other map[id.Number]bool) []id.Number {
	var groups []id.Number
	for _, e := range c.edges {
		if child, ok := e.Member.Group(); ok && leads[child] && !other[child] {
			groups = append(groups, child)
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}

// leading returns those of the groups that stand in a group, directly or through
// others, and it itself.
func (t then) leading(groups []id.Number, to id.Number) (map[id.Number]bool, error) {
	leads := map[id.Number]bool{to: true}
	if t.st != nil {
		for _, g := range groups {
			if t.st.Within(g, to, t.Time.UnixMicro()) {
				leads[g] = true
			}
		}
		return leads, nil
	}
	members := make([]id.Member, len(groups))
	for i, g := range groups {
		members[i] = id.GroupMember(g)
	}
	links, err := t.Climb(members)
	if err != nil {
		return nil, err
	}
	in := childrenBy(slices.DeleteFunc(links, func(l Link) bool { return !l.HoldsAt(t.Time) }))
	for next := []id.Number{to}; len(next) > 0; next = next[1:] {
		for _, child := range in[next[0]] {
			if !leads[child] {
				leads[child] = true
				next = append(next, child)
			}
		}
	}
	return leads, nil
}

// below returns the users in these groups, directly and through others;
// [errManyChanges] if they are more than so many.
func (t then) below(groups []id.Number, many int) ([]id.Number, error) {
	const statement = 10 // members cost as much to read as it does to ask
	var users []id.Number
	for i, g := range groups {
		left := many - len(users) - i*statement
		if left < 0 {
			return nil, errManyChanges
		}
		more, err := t.after(Edge{Group: g}, 0, left+1)
		if err != nil {
			return nil, err
		}
		if len(more) > left {
			return nil, errManyChanges
		}
		users = append(users, more...)
	}
	return users, nil
}
