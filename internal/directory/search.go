package directory

import (
	"context"
	"slices"

	"roster/internal/id"
)

// MaxFound is how many things one page of a search holds at most.
const MaxFound = 10000

// Finding is what every search has: which things, in which order, and which
// page of them. A page is named by how many things come before it, or by where
// the previous one ended.
type Finding struct {
	Filter Filter
	Order  []Order // the zero Order is by number
	Offset int
	After  *Position
	Limit  int  // [DefaultPage] if zero, at most [MaxFound]
	Total  bool // count them all
}

// FindUsers asks for users.
type FindUsers struct {
	Finding

	// Group, unless zero, leaves those who are in the group now: directly, or
	// with Transitive through groups as well. Except leaves out whoever stands in
	// one of these, directly or through groups; those that do not exist do not
	// matter.
	Group      Ref
	Transitive bool
	Except     []Ref
}

// FindGroups asks for groups: all, or those inside of a group, or those that a
// member is in.
type FindGroups struct {
	Finding

	// Inside, unless zero, leaves the groups that stand in this one now, with
	// Transitive also those inside of these, with Self also the group itself.
	Inside     Ref
	Transitive bool
	Self       bool

	// Of, if set, leaves the groups that this member is in now, with Transitive
	// also through groups. A user may ask about itself.
	Of *MemberRef

	Except []Ref // as in [FindUsers], for groups inside of those
	Counts bool  // how many members each has
}

// Sorted is one page of a sorted list. Next is where the following page begins,
// nil at the end.
type Sorted[T any] struct {
	Items []T
	Next  *Position
	Total int // if it was asked for

	// Counts are how many direct members each of the groups has, in order, if
	// that was asked for.
	Counts []MemberCount
}

// FindUsers lists the users that a filter means. It needs [ReadUsers], and to
// ask about groups [ReadMembers].
func (d *Directory) FindUsers(ctx context.Context, p Principal, in FindUsers) (Answer[Sorted[User]], error) {
	need := ReadUsers
	if in.Group.Kind != 0 || len(in.Except) > 0 {
		need |= ReadMembers
	}
	if err := in.check(UserField); err != nil {
		return Answer[Sorted[User]]{}, err
	}
	return view(ctx, d, p, need, func(l *look) (Sorted[User], error) {
		q := in.search(l)
		if in.Group.Kind != 0 {
			g, err := l.Group(in.Group)
			if err != nil {
				return Sorted[User]{}, err
			}
			q.Within = []id.Number{g.Number}
			if in.Transitive {
				if q.Within, err = l.withBelow(q.Within); err != nil {
					return Sorted[User]{}, err
				}
			}
		}
		var err error
		if q.Without, err = l.excepted(in.Except); err != nil {
			return Sorted[User]{}, err
		}
		return page(q, l.Reader.FindUsers, l.Users, func(u User) id.Number { return u.Number })
	})
}

// FindGroups lists the groups that a filter means. It needs [ReadGroups], and to
// ask about members [ReadMembers]; a user needs neither to ask for its own groups.
func (d *Directory) FindGroups(ctx context.Context, p Principal, in FindGroups) (Answer[Sorted[Group]], error) {
	need := ReadGroups
	switch {
	case in.Of != nil && !in.Of.IsGroup:
		need = ReadSelf
	case in.Of != nil || in.Inside.Kind != 0 || len(in.Except) > 0 || in.Counts:
		need |= ReadMembers
	}
	if err := in.check(GroupField); err != nil {
		return Answer[Sorted[Group]]{}, err
	}
	return view(ctx, d, p, need, func(l *look) (Sorted[Group], error) {
		q := in.search(l)
		var err error
		switch {
		case in.Of != nil:
			q.Among, err = l.among(*in.Of, in.Transitive)
		case in.Inside.Kind != 0:
			q.Among, err = l.inside(in.Inside, in.Transitive, in.Self)
		}
		if err != nil {
			return Sorted[Group]{}, err
		}
		if q.Without, err = l.excepted(in.Except); err != nil {
			return Sorted[Group]{}, err
		}
		found, err := page(q, l.Reader.FindGroups, l.Groups, func(g Group) id.Number { return g.Number })
		if err == nil && in.Counts {
			found.Counts, err = l.memberCounts(found.Items)
		}
		return found, err
	})
}

// MemberCounts counts the direct members of groups, in order: those users and
// groups that a list of members would hold. It needs [ReadMembers].
func (d *Directory) MemberCounts(ctx context.Context, p Principal, groups []Group) (Answer[[]MemberCount], error) {
	return view(ctx, d, p, ReadMembers, func(l *look) ([]MemberCount, error) { return l.memberCounts(groups) })
}

func (l *look) memberCounts(groups []Group) ([]MemberCount, error) {
	numbers := make([]id.Number, len(groups))
	for i, g := range groups {
		numbers[i] = g.Number
	}
	out := make([]MemberCount, len(groups))
	st, err := l.picture()
	if err != nil {
		return nil, err
	}
	if st != nil {
		now := l.now().UnixMicro()
		for i, n := range numbers {
			out[i] = MemberCount{Users: st.Count(n, now, false), Groups: len(st.Subgroups(n, now, false))}
		}
		return out, nil
	}
	counts, err := l.CountMembers(numbers, l.now())
	for i, n := range numbers {
		out[i] = counts[n]
	}
	return out, err
}

func (f Finding) check(fieldType func(Field) (FieldType, bool)) error {
	if err := checkFilter(f.Filter, fieldType); err != nil {
		return err
	}
	if f.After != nil && !f.After.suits(f.Order, fieldType) {
		return invalid("cursor.malformed", "cursor", "The cursor does not belong to this list.")
	}
	return checkOrder(f.Order, fieldType)
}

// suits reports whether a position could stand in such an order.
func (at Position) suits(order []Order, fieldType func(Field) (FieldType, bool)) bool {
	if len(at.Keys) != len(order) {
		return false
	}
	for i, o := range order {
		_, isText := at.Keys[i].(string)
		_, isInt := at.Keys[i].(int64)
		t, _ := fieldType(o.Field)
		if text := t == FieldText || t == FieldUUID; isText != text || isInt == text {
			return false
		}
	}
	return true
}

// search is what the store is asked.
func (f Finding) search(l *look) Search {
	limit := min(f.Limit, MaxFound)
	if limit <= 0 {
		limit = DefaultPage
	}
	return Search{Filter: f.Filter, Order: f.Order, Offset: max(f.Offset, 0), After: f.After, Limit: limit, Total: f.Total, At: l.now()}
}

// page asks for one page and fetches what is on it.
func page[T any](q Search, find func(Search) (Hits, error), fetch func([]id.Number) ([]T, error), number func(T) id.Number) (Sorted[T], error) {
	hits, err := find(q)
	if err != nil {
		return Sorted[T]{}, err
	}
	list, err := fetch(hits.Numbers)
	if err != nil {
		return Sorted[T]{}, err
	}
	place := make(map[id.Number]int, len(hits.Numbers))
	for i, n := range hits.Numbers {
		place[n] = i
	}
	slices.SortFunc(list, func(a, b T) int { return place[number(a)] - place[number(b)] })
	return Sorted[T]{Items: list, Next: hits.Next, Total: hits.Total}, nil
}

// withBelow adds to groups all that stand in them now, directly and through
// groups.
func (l *look) withBelow(groups []id.Number) ([]id.Number, error) {
	st, err := l.picture()
	if err != nil || len(groups) == 0 {
		return groups, err
	}
	all := slices.Clone(groups)
	seen := make(map[id.Number]bool, len(groups))
	for _, g := range groups {
		seen[g] = true
	}
	add := func(g id.Number) {
		if !seen[g] {
			seen[g] = true
			all = append(all, g)
		}
	}
	if st != nil {
		for _, g := range groups {
			for _, below := range st.Subgroups(g, l.now().UnixMicro(), true) {
				add(below)
			}
		}
		return all, nil
	}
	links, err := l.Descend(groups)
	if err != nil {
		return nil, err
	}
	in := childrenBy(slices.DeleteFunc(links, func(link Link) bool { return !link.HoldsAt(l.now()) }))
	for i := 0; i < len(all); i++ {
		for _, child := range in[all[i]] {
			add(child)
		}
	}
	return all, nil
}

// excepted returns the groups that exist among those named, and all that stand
// in them now.
func (l *look) excepted(refs []Ref) ([]id.Number, error) {
	if len(refs) > MaxFilterValues {
		return nil, &Error{Kind: TooLarge, Code: "filter.large", Detail: "Too many groups are left out."}
	}
	numbers, err := l.GroupNumbers(refs)
	if err != nil {
		return nil, err
	}
	numbers = slices.DeleteFunc(numbers, func(n id.Number) bool { return n == 0 })
	if slices.Contains(numbers, Ambiguous) {
		return nil, ErrAmbiguous
	}
	return l.withBelow(numbers)
}

// inside returns the groups that stand in a group now. It is never nil.
func (l *look) inside(ref Ref, transitive, self bool) ([]id.Number, error) {
	g, err := l.Group(ref)
	if err != nil {
		return nil, err
	}
	in := []id.Number{}
	if transitive {
		all, err := l.withBelow([]id.Number{g.Number})
		if err != nil {
			return nil, err
		}
		in = append(in, all[1:]...)
	} else {
		links, err := l.Links([]id.Number{g.Number})
		if err != nil {
			return nil, err
		}
		for _, link := range links {
			if child, _ := link.Member.Group(); link.HoldsAt(l.now()) {
				in = append(in, child)
			}
		}
	}
	if self {
		in = append(in, g.Number)
	}
	return in, nil
}

// among returns the groups that a member is in now, which a user may know of
// itself. It is never nil.
func (l *look) among(who MemberRef, transitive bool) ([]id.Number, error) {
	var m id.Member
	if who.IsGroup {
		g, err := l.Group(who.Ref)
		if err != nil {
			return nil, err
		}
		m = id.GroupMember(g.Number)
	} else {
		u, err := l.userAbout(who.Ref, ReadGroups|ReadMembers)
		if err != nil {
			return nil, err
		}
		m = id.UserMember(u.Number)
		if !u.ActiveAt(l.now()) {
			return []id.Number{}, nil
		}
	}
	in := []id.Number{}
	if transitive {
		groups, err := l.groupsOf(m)
		return append(in, groups...), err
	}
	edges, err := l.edgesOf(MembershipQuery{Member: m, At: l.now()}, everyOne)
	for _, e := range edges {
		in = append(in, e.Group)
	}
	return in, err
}

// userAbout finds a user that the principal may ask about: itself, or any with
// need. Who may not learns nothing of whether there is such a user.
func (l *look) userAbout(ref Ref, need Grants) (User, error) {
	u, err := l.User(ref)
	if refused := l.authorizeAbout(u.ID, need); refused != nil {
		return User{}, refused
	}
	return u, err
}
