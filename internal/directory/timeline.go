package directory

import (
	"context"
	"errors"
	"slices"

	"roster/internal/id"
)

// Timeline asks for every way in which one membership has stood, oldest first,
// up to a moment. After is a revision.
type Timeline struct {
	Page
	Group  Ref
	Member MemberRef
}

// Stay is one period of a membership, with who began it and who ended it.
// Ending is nil while it stands; a period that a date has ended stands until
// somebody changes it.
type Stay struct {
	Period
	Beginning Authored
	Ending    *Authored
}

// Timeline lists the periods of one membership, asked about now also of a user or a
// group that was deleted. It needs [ReadMembers], and heeds [Within]: who did it is
// told to a bounded principal only of what it did itself.
func (d *Directory) Timeline(ctx context.Context, p Principal, in Timeline) (Answer[Found[Stay]], error) {
	return view(ctx, d, p.heeding(), ReadMembers, func(l *look) (Found[Stay], error) {
		none := Found[Stay]{Items: []Stay{}}
		t, err := l.then(in.At)
		if err != nil {
			return none, err
		}
		now := in.At.IsZero() || in.After > 0 // a further page says as of when the first was
		of, err := t.remembered(MemberRef{IsGroup: true, Ref: in.Group}, now)
		if err != nil {
			return none, err
		}
		g, _ := of.Group()
		m, err := t.remembered(in.Member, now)
		if err != nil {
			return none, err
		}
		limit := in.limit()
		list, err := l.Periods(Edge{Group: g, Member: m}, Revision(max(in.After, 0)), limit+1)
		if err != nil {
			return none, err
		}
		var revisions []Revision
		for i := range list {
			if list[i].Revision > t.Revision {
				list = list[:i]
				break
			}
			if list[i].Ended > t.Revision {
				list[i].Ended = 0
			}
			revisions = append(revisions, list[i].Revision, list[i].Ended)
		}
		page := found(list, limit, func(p Period) int64 { return int64(p.Revision) })
		by, err := l.authors(revisions)
		if err != nil {
			return none, err
		}
		out := Found[Stay]{Items: make([]Stay, len(page.Items)), Next: page.Next, At: t.When}
		for i, p := range page.Items {
			if l.p.Within != nil { // [Reader.Periods] says who added it
				a := l.p.told(Authored{Revision: p.Added, At: p.AddedAt, Actor: p.AddedBy, Dialect: p.AddedDialect})
				p.AddedBy = a.Actor
			}
			out.Items[i] = Stay{Period: p, Beginning: by[p.Revision]}
			if p.Ended != 0 {
				ending := by[p.Ended]
				out.Items[i].Ending = &ending
			}
		}
		return out, nil
	})
}

// remembered finds a user or a group as of then or, if deleted is set, one that was
// deleted since. To a bounded principal whoever is gone is beyond the bound.
func (t then) remembered(m MemberRef, deleted bool) (id.Member, error) {
	found, err := t.member(m)
	if !deleted || KindOf(err) != NotFound || t.l.p.Within != nil {
		return found, err
	}
	grave, err := t.l.ever(m)
	if m.IsGroup {
		return id.GroupMember(grave.Number), err
	}
	return id.UserMember(grave.Number), err
}

// Diff asks who has come into a group and who has left it from one moment to
// another, or (with a Member instead) which groups a member has come into and
// left. The page's At is the other moment; it may be the earlier of the two. A name
// means who bears it at the later of them, or else who bore it at the earlier.
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

// maxCompared bounds how many members one page of a diff looks at: a page may
// hold few differences, or none, and have a next one.
const maxCompared = 100_000

// Diff compares two moments. The rows of a page are of those two, whatever has
// happened since. It needs [ReadMembers].
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
		if in, err = in.found(before, after); err != nil {
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
		out := Found[Difference]{Items: []Difference{}, At: after.When}
		limit := in.limit()
		var lost, gained []Edge
		var order []bool // of the differences: gained
		at := max(in.After, 0)
		for seen := 0; ; seen++ {
			x, okA, err := a.peek(at)
			if err != nil {
				return none, err
			}
			y, okB, err := b.peek(at)
			if err != nil {
				return none, err
			}
			if !okA && !okB {
				break
			}
			if len(order) == limit || seen == maxCompared {
				out.Next = at
				break
			}
			switch {
			case okA && okB && x == y:
				at = x
			case okA && (!okB || x < y):
				lost, order, at = append(lost, a.edge(x)), append(order, false), x
			default:
				gained, order, at = append(gained, b.edge(y)), append(order, true), y
			}
		}
		if in.Transitive {
			before.continued(out.Next)
			after.continued(out.Next)
		}
		of := in.Group.Kind == 0
		was, err := before.describe(lost, of, false)
		if err != nil {
			return none, err
		}
		is, err := after.describe(gained, of, false)
		if err != nil {
			return none, err
		}
		if len(was)+len(is) != len(order) {
			return none, &Error{Kind: Internal, Code: "diff.names"} // of rows of one transaction
		}
		for _, g := range order {
			from := &was
			if g {
				from = &is
			}
			out.Items = append(out.Items, Difference{MemberOf: (*from)[0], Gained: g})
			*from = (*from)[1:]
		}
		return out, nil
	})
}

// found returns the diff with what it is about named by its number, so that both
// sides are of that one thing, whatever it was called and who else bore its name.
func (in Diff) found(one, other then) (Diff, error) {
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
		return in, err
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
	return in, err
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

// side is one of the two lists that a diff compares, as ascending keys that are
// read in pages. A nil side is empty.
type side struct {
	read func(after int64, limit int) ([]int64, error)
	edge func(int64) Edge
	page []int64
	last bool // there is nothing after page
}

// peek returns the first key after one.
func (s *side) peek(after int64) (int64, bool, error) {
	if s == nil {
		return 0, false, nil
	}
	for {
		for len(s.page) > 0 && s.page[0] <= after {
			s.page = s.page[1:]
		}
		if len(s.page) > 0 || s.last {
			break
		}
		const many = 1000
		var err error
		if s.page, err = s.read(after, many); err != nil {
			return 0, false, err
		}
		s.last = len(s.page) < many
	}
	if len(s.page) == 0 {
		return 0, false, nil
	}
	return s.page[0], true, nil
}

// side finds what a diff is about as of then; nil if it was not there.
func (t then) side(in Diff) (*side, error) {
	if in.Group.Kind == 0 {
		m, err := t.member(in.Member)
		if err != nil {
			return nil, absent(err)
		}
		beyond := func(k int64) bool { return !t.l.p.sees(id.Number(k)) }
		s := &side{edge: func(k int64) Edge { return Edge{Group: id.Number(k), Member: m} }}
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
	if in.Transitive {
		s := &side{
			edge: func(k int64) Edge { return Edge{Group: g, Member: id.UserMember(id.Number(k))} },
			read: func(after int64, limit int) ([]int64, error) {
				return keys(func(n id.Number) int64 { return int64(n) })(t.after(Edge{Group: g}, id.Number(after), limit))
			},
		}
		return s.within(t.l), nil
	}
	s := &side{
		edge: func(k int64) Edge { return Edge{Group: g, Member: memberAt(k)} },
		read: func(after int64, limit int) ([]int64, error) {
			if t.st != nil {
				return t.directly(g, after, limit), nil
			}
			return keys(func(m Membership) int64 { return MemberCursor(m.Member) })(t.Memberships(MembershipQuery{Group: g, After: after, Limit: limit, At: t.Time, Bare: true}))
		},
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
