package directory

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"roster/internal/id"
)

// Diff asks who has come into a group and who has left it from one moment to
// another, or (with a Member instead) which groups a member has come into and
// left. The page's At is the other moment; it may be the earlier of the two. A name
// means who bears it at the later of them, or else who bore it at the earlier.
// Either may be one to come. Further pages are given the From of the first as
// well as its At, so that all of them are of the same two moments.
type Diff struct {
	Page
	From   When
	Group  Ref
	Member MemberRef

	// Transitive counts those in through groups too: of a group users alone.
	Transitive bool
}

// Difference is one entry of a [Diff]: who or which group, and how it stood
// directly on the side where it did. Gained are those that are in at the page's At
// and not at From.
type Difference struct {
	MemberOf
	Gained bool
}

// maxCompared, which changes for tests alone, bounds how many members, and how many
// changes, one page of a diff looks at: a page may hold few differences, or none,
// and have a next one.
var maxCompared = 100_000

// Diff compares two moments. The rows of a page are of those two, whatever has
// happened since. It needs [ReadMembers].
//
// A diff of a group costs what has changed in the tenant in between, or what the
// group holds if that is less; one of a member costs what it is in.
//
// It heeds [Within]: of two lists what is within the bound now is compared, so who
// has left it is not among those who have left.
func (d *Directory) Diff(ctx context.Context, p Principal, in Diff) (Answer[Found[Difference]], error) {
	return view(ctx, d, p.heeding(), ReadMembers, func(l *look) (Found[Difference], error) {
		none := Found[Difference]{Items: []Difference{}}
		before, err := l.then(in.From)
		if err != nil {
			return none, about("from", err)
		}
		after, err := l.then(in.At)
		if err != nil {
			return none, about("to", err)
		}
		in, of, err := in.found(before, after)
		if err == nil {
			err = in.keeps(of)
		}
		if err != nil {
			return none, err
		}
		a, err := before.side(in)
		if err != nil {
			return none, err
		}
		b, err := after.side(in)
		if err != nil {
			return none, err
		}
		list, next, err := differing(in, a, b)
		if err != nil {
			return none, err
		}
		if in.Transitive {
			before.continued(next)
			after.continued(next)
		}
		var lost, gained []Edge
		for _, x := range list {
			if x.gained {
				gained = append(gained, b.edge(x.key))
			} else {
				lost = append(lost, a.edge(x.key))
			}
		}
		groups := in.Group.Kind == 0
		was, err := before.describe(lost, groups, false)
		if err != nil {
			return none, err
		}
		is, err := after.describe(gained, groups, false)
		if err != nil {
			return none, err
		}
		if len(was)+len(is) != len(list) {
			return none, &Error{Kind: Internal, Code: "diff.names"} // of rows of one transaction
		}
		out := Found[Difference]{Items: make([]Difference, len(list)), Next: next, At: after.When, From: before.When, Of: of}
		for i, x := range list {
			from := &was
			if x.gained {
				from = &is
			}
			out.Items[i] = Difference{MemberOf: (*from)[0], Gained: x.gained}
			*from = (*from)[1:]
		}
		return out, nil
	})
}

// found returns the diff with what it is about named by its number, so that both
// sides are of that one thing, whatever it was called and who else bore its name;
// and what that is.
func (in Diff) found(one, other then) (Diff, Edge, error) {
	later, earlier := other, one
	if one.Revision > other.Revision || one.Revision == other.Revision && one.Time.After(other.Time) {
		later, earlier = one, other
	}
	if in.Group.Kind != 0 {
		g, err := later.group(in.Group)
		if KindOf(err) == NotFound {
			g, err = earlier.group(in.Group)
		}
		in.Group = ByNumber(int64(g))
		return in, Edge{Group: g}, err
	}
	m, err := later.member(in.Member)
	if KindOf(err) == NotFound {
		m, err = earlier.member(in.Member)
	}
	n, _ := m.User()
	if in.Member.IsGroup {
		n, _ = m.Group()
	}
	in.Member.Ref = ByNumber(int64(n))
	return in, Edge{Member: m}, err
}

// about says which of two moments an error is about.
func about(field string, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind != Stale {
		return err
	}
	said := *e
	said.Field = field
	return &said
}

// differs is a key of one of two sides that the other does not have.
type differs struct {
	key    int64
	gained bool
}

// differing returns a page of what differs between two sides, of which one may be
// nil, and where the next begins. Either way of finding it is exact, so each page
// goes the cheaper one.
func differing(in Diff, a, b *side) ([]differs, int64, error) {
	edges, ok, err := candidates(in, a, b)
	if err != nil {
		return nil, 0, err
	}
	if ok {
		return decided(in, a, b, edges)
	}
	return merged(in, a, b)
}

// merged reads both sides.
func merged(in Diff, a, b *side) (list []differs, next int64, err error) {
	limit, at := in.limit(), max(in.After, 0)
	for seen := 0; ; seen++ {
		x, okA, err := a.peek(at)
		if err != nil {
			return nil, 0, err
		}
		y, okB, err := b.peek(at)
		if err != nil {
			return nil, 0, err
		}
		if !okA && !okB {
			return list, 0, nil
		}
		if len(list) == limit || seen == maxCompared {
			return list, at, nil
		}
		switch {
		case okA && okB && x == y:
			at = x
		case okA && (!okB || x < y):
			list, at = append(list, differs{x, false}), x
		default:
			list, at = append(list, differs{y, true}), y
		}
	}
}

// decided looks only at those who may differ.
func decided(in Diff, a, b *side, edges []Edge) (list []differs, next int64, err error) {
	from, found := slices.BinarySearchFunc(edges, in.After, func(e Edge, after int64) int { return cmp.Compare(a.key(e), after) })
	if found {
		from++
	}
	edges = edges[from:]
	limit, most := in.limit(), max(maxCompared/perMember, 1)
	if len(edges) > most {
		edges = edges[:most]
		next = a.key(edges[most-1])
	}
	for chunk := range slices.Chunk(edges, MaxPage) {
		was, err := a.has(chunk)
		if err != nil {
			return nil, 0, err
		}
		is, err := b.has(chunk)
		if err != nil {
			return nil, 0, err
		}
		for i, e := range chunk {
			if was[i] == is[i] {
				continue
			}
			if len(list) == limit {
				return list, list[limit-1].key, nil
			}
			list = append(list, differs{a.key(e), is[i]})
		}
	}
	return list, next, nil
}

// side is one of the two lists that a diff compares, as ascending keys that are
// read in pages. A nil side is empty.
type side struct {
	then
	of         Edge // with one end: the group, or the member
	transitive bool
	read       func(after int64, limit int) ([]int64, error)
	page       []int64
	last       bool // there is nothing after page
}

// edge is what a key stands for.
func (s *side) edge(key int64) Edge {
	switch {
	case s.of.Group == 0:
		return Edge{Group: id.Number(key), Member: s.of.Member}
	case s.transitive:
		return Edge{Group: s.of.Group, Member: id.UserMember(id.Number(key))}
	}
	return Edge{Group: s.of.Group, Member: memberAt(key)}
}

// key is the inverse of edge.
func (s *side) key(e Edge) int64 {
	switch {
	case s.of.Group == 0:
		return int64(e.Group)
	case s.transitive:
		return int64(e.Member)
	}
	return MemberCursor(e.Member)
}

// peek returns the first key after one.
func (s *side) peek(after int64) (int64, bool, error) {
	if s == nil {
		return 0, false, nil
	}
	const many = 1000
	if err := s.fill(after, 1, many); err != nil || len(s.page) == 0 {
		return 0, false, err
	}
	return s.page[0], true, nil
}

// fill sees to it that the page begins after a key, and holds what follows: at
// least so much, or all there is. It reads so much at a time.
func (s *side) fill(after int64, least, many int) error {
	i, found := slices.BinarySearch(s.page, after)
	if found {
		i++
	}
	if s.page = s.page[i:]; len(s.page) >= least || s.last {
		return nil
	}
	var err error
	if s.page, err = s.read(after, many); err != nil {
		return err
	}
	s.last = len(s.page) < many
	return nil
}

// has tells of each edge into a group whether the group's side holds it.
func (s *side) has(edges []Edge) ([]bool, error) {
	if s.transitive {
		return s.checks(edges)
	}
	standing, err := s.Standing(edges)
	if err != nil {
		return nil, err
	}
	holds := make(map[id.Member]bool, len(standing))
	var users []id.Number
	for _, m := range standing {
		if !m.HoldsAt(s.Time) {
			continue
		}
		if u, ok := m.Member.User(); ok {
			users = append(users, u)
		} else {
			holds[m.Member] = true
		}
	}
	list, err := s.Users(users)
	for _, u := range list {
		holds[id.UserMember(u.Number)] = u.ActiveAt(s.Time)
	}
	has := make([]bool, len(edges))
	for i, e := range edges {
		has[i] = holds[e.Member]
	}
	return has, err
}

// side finds what a diff is about as of then; nil if it was not there.
func (t then) side(in Diff) (*side, error) {
	s := &side{then: t, transitive: in.Transitive}
	if in.Group.Kind == 0 {
		m, err := t.member(in.Member)
		if err != nil {
			return nil, absent(err)
		}
		s.of.Member = m
		beyond := func(k int64) bool { return !t.l.p.sees(id.Number(k)) }
		if in.Transitive {
			s.last = true
			s.page, err = keys(func(n id.Number) int64 { return int64(n) })(t.groupsOf(m))
			s.page = slices.DeleteFunc(s.page, beyond)
			return s, err
		}
		s.read = func(after int64, limit int) ([]int64, error) {
			return keys(func(m Membership) int64 { return int64(m.Group) })(t.Memberships(MembershipQuery{Member: m, After: after, Limit: limit, At: t.Time, Bare: true}))
		}
		if t.l.p.Within == nil {
			return s, nil
		}
		// Of few groups, all are read at once and those beyond left out.
		for after := int64(0); !s.last; {
			page, err := s.read(after, MaxPage)
			if err != nil {
				return nil, err
			}
			if s.last = len(page) < MaxPage; !s.last {
				after = page[len(page)-1]
			}
			s.page = append(s.page, slices.DeleteFunc(page, beyond)...)
		}
		return s, nil
	}
	g, err := t.group(in.Group)
	if err != nil {
		return nil, absent(err)
	}
	s.of.Group = g
	s.read = func(after int64, limit int) ([]int64, error) {
		switch {
		case in.Transitive:
			return keys(func(n id.Number) int64 { return int64(n) })(t.after(Edge{Group: g}, id.Number(after), limit))
		case t.st != nil:
			return t.directly(g, after, limit), nil
		}
		return keys(func(m Membership) int64 { return MemberCursor(m.Member) })(t.Memberships(MembershipQuery{Group: g, After: after, Limit: limit, At: t.Time, Bare: true}))
	}
	return s.within(t.l), nil
}

// directly returns the first cursors, after one, of those who stand in a group, as
// the index has them.
func (t then) directly(group id.Number, after int64, limit int) (list []int64) {
	now := t.Time.UnixMicro()
	for _, g := range t.st.Subgroups(group, now, false) {
		if k := MemberCursor(id.GroupMember(g)); k > after && len(list) < limit {
			list = append(list, k)
		}
	}
	from := min(max(after-int64(id.MaxNumber), 0), int64(id.MaxNumber))
	for _, u := range t.st.MembersAfter(group, id.Number(from), now, false, limit-len(list)) {
		list = append(list, MemberCursor(id.UserMember(u)))
	}
	return list
}

// absent is nil for an error that says that something is not there.
func absent(err error) error {
	if KindOf(err) == NotFound {
		return nil
	}
	return err
}

func keys[T any](key func(T) int64) func([]T, error) ([]int64, error) {
	return func(list []T, err error) ([]int64, error) {
		out := make([]int64, len(list))
		for i, v := range list {
			out[i] = key(v)
		}
		return out, err
	}
}
