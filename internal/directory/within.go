package directory

import (
	"fmt"
	"math"
	"slices"

	"roster/internal/id"
)

// Within bounds a principal to some groups and to the users who stand in one of
// them now, directly or through groups, be they active or not. Whatever else the
// tenant holds is not there for such a principal: it is not found, not listed,
// and not counted. Groups that stand in one of the groups are not among them.
//
// The bound as it is now decides about the past too: what was known of somebody
// who has left is out of reach. An answer about what is within tells nothing of
// the rest: not by whom something was done, nor by which ways through other groups.
//
// The bound is looked at inside the transaction of what it bounds, so who has
// left the groups is out of reach at once.
//
// Two tenants that differ in nothing but what is beyond the bound give equal
// answers: that is what decides which operations heed it. Lists, counts,
// differences and replacements do, because what is beyond can be left out of them
// before they are cut, counted or carried out. What cannot be told of a part alone
// is refused: the change log, in which revisions would be missing; a dry run, which
// looks so far at dates and groups as there are; a list in the order of joining,
// of which cursors count what everybody has joined. An operation that does not say
// that it heeds the bound refuses a bounded principal.
type Within struct {
	Groups []id.Number
}

// WithinNumbers reads a bound from a value of an attribute that lists numbers of
// groups. What is no list, or no number, is no group: who is bounded by a mistake
// sees nothing rather than too much.
func WithinNumbers(attribute any) *Within {
	w := &Within{}
	list, _ := attribute.([]any)
	for _, g := range list {
		if n, err := id.ParseNumber(fmt.Sprint(g)); err == nil {
			w.Groups = append(w.Groups, n)
		}
	}
	return w
}

// heeding returns p for an operation that heeds its bound.
func (p Principal) heeding() Principal {
	p.heeds = true
	return p
}

// sees reports whether the principal's bound leaves it a group.
func (p Principal) sees(group id.Number) bool {
	return p.Within == nil || slices.Contains(p.Within.Groups, group)
}

// standsWithin returns those of the users who stand within the principal's
// bound, as a set; for a principal without a bound it must not be called.
func (l *look) standsWithin(users []id.Number) (map[id.Number]bool, error) {
	placements, err := l.Reader.Placements(users, l.now())
	if err != nil {
		return nil, err
	}
	within := make(map[id.Number]bool, len(users))
	for _, e := range placements {
		if u, ok := e.Member.User(); ok && l.p.sees(e.Group) {
			within[u] = true
		}
	}
	return within, nil
}

// conceal makes those members of the items that are beyond the principal's bound
// into members that do not exist.
func (l *look) conceal(items []item) error {
	if l.p.Within == nil {
		return nil
	}
	var users []id.Number
	for _, i := range items {
		if u, ok := i.edge.Member.User(); ok && i.problem == nil {
			users = append(users, u)
		}
	}
	within, err := l.standsWithin(users)
	if err != nil {
		return err
	}
	for n := range items {
		i := &items[n]
		if i.problem != nil {
			continue
		}
		if u, ok := i.edge.Member.User(); ok && !within[u] {
			i.problem = ErrNoUser
		}
		if g, ok := i.edge.Member.Group(); ok && !l.p.sees(g) {
			i.problem = ErrNoGroup
		}
		if i.problem != nil {
			i.edge.Member = 0 // so that a result does not tell
		}
	}
	return nil
}

// group finds one group that the principal's bound leaves it.
func (l *look) group(ref Ref) (Group, error) {
	if l.p.Within == nil {
		return l.Reader.Group(ref)
	}
	numbers, err := l.groupNumbers([]Ref{ref})
	if err != nil {
		return Group{}, err
	}
	if problem := missing(numbers[0], true); problem != nil {
		return Group{}, problem
	}
	return l.Reader.Group(ByNumber(int64(numbers[0])))
}

// groupNumbers resolves refs to groups that the principal's bound leaves it: of
// two that bear a name, only those count.
func (l *look) groupNumbers(refs []Ref) ([]id.Number, error) { return l.groupsIn(l.Reader, refs) }

// groupsIn is groupNumbers as of then, if p is of the past.
func (l *look) groupsIn(p Past, refs []Ref) ([]id.Number, error) {
	numbers, err := p.GroupNumbers(refs)
	if err != nil || l.p.Within == nil {
		return numbers, err
	}
	var seen []Group
	if slices.Contains(numbers, Ambiguous) {
		if seen, err = p.Groups(l.p.Within.Groups); err != nil {
			return nil, err
		}
	}
	for i, n := range numbers {
		switch {
		case n == Ambiguous:
			numbers[i] = 0
			for _, g := range seen {
				if FoldName(g.Name) != refs[i].Text {
					continue
				}
				if numbers[i] != 0 {
					numbers[i] = Ambiguous
					break
				}
				numbers[i] = g.Number
			}
		case !l.p.sees(n):
			numbers[i] = 0
		}
	}
	return numbers, nil
}

// usersIn resolves refs to users whom the principal's bound leaves it now, as of
// then if p is of the past.
func (l *look) usersIn(p Past, refs []Ref) ([]id.Number, error) {
	numbers, err := p.UserNumbers(refs)
	if err != nil || l.p.Within == nil {
		return numbers, err
	}
	within, err := l.standsWithin(known(numbers))
	for i, n := range numbers {
		if !within[n] {
			numbers[i] = 0
		}
	}
	return numbers, err
}

// seen leaves the links from and to what the principal's bound leaves it; those of
// users start at one that it does.
func (p Principal) seen(links []Link) []Link {
	if p.Within == nil {
		return links
	}
	var out []Link
	for _, l := range links {
		if child, isGroup := l.Member.Group(); p.sees(l.Group) && (!isGroup || p.sees(child)) {
			out = append(out, l)
		}
	}
	return out
}

// told leaves of who made a commit what the principal's bound leaves it: nothing
// but when and through which dialect, unless that was itself.
func (p Principal) told(a Authored) Authored {
	if p.Within == nil || a.Actor.Credential == p.Credential {
		return a
	}
	return Authored{Revision: a.Revision, At: a.At, Dialect: a.Dialect}
}

// shown leaves of who added a membership what the principal's bound leaves it.
func (p Principal) shown(m Membership) Membership {
	m.AddedBy = p.told(Authored{Actor: m.AddedBy}).Actor
	return m
}

// sight returns whether the principal's bound leaves it both ends of one of the
// edges, which may be of any moment, now. Of members that stand within it for
// certain it is not asked.
func (l *look) sight(edges []Edge, stands func(id.Member) bool) (func(Edge) bool, error) {
	if l.p.Within == nil {
		return func(Edge) bool { return true }, nil
	}
	var users []id.Number
	for _, e := range edges {
		if u, ok := e.Member.User(); ok && !stands(e.Member) {
			users = append(users, u)
		}
	}
	var within map[id.Number]bool
	if len(users) > 0 {
		var err error
		if within, err = l.standsWithin(users); err != nil {
			return nil, err
		}
	}
	return func(e Edge) bool {
		if child, ok := e.Member.Group(); ok && !l.p.sees(child) {
			return false
		}
		u, isUser := e.Member.User()
		return l.p.sees(e.Group) && (!isUser || within[u] || stands(e.Member))
	}, nil
}

// nobody stands within a bound for certain.
func nobody(id.Member) bool { return false }

// visible returns the first limit entries, after one, of a list of which the
// principal's bound leaves it a part, in the order of places. Bare, they are zero
// but for the edges.
func (t then) visible(of Edge, in ListMembers, after int64, limit int, bare bool) ([]Membership, error) {
	now := of.Group != 0 && !in.Standing && in.At.IsZero() // and so do all who are listed
	stands := func(m id.Member) bool { return now || m == of.Member }
	chunk := min(limit, arrangePage)
	if in.Transitive && t.st == nil && limit > chunk {
		chunk = longList // the rows are read whole for any part of it
	}
	var out []Membership
	for {
		list, err := t.entriesAfter(of, in, after, chunk, bare)
		if err != nil {
			return nil, err
		}
		edges := edgesAmong(list)
		sees, err := t.l.sight(edges, stands)
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			if sees(m.Edge) {
				out = append(out, t.l.p.shown(m))
			}
		}
		if len(list) < chunk || len(out) >= limit {
			return out[:min(limit, len(out))], nil
		}
		after = in.place(of, edges[chunk-1])
	}
}

// entriesAfter returns the first entries, after one, of a list in the order of
// places; bare, their edges alone.
func (t then) entriesAfter(of Edge, in ListMembers, after int64, limit int, bare bool) ([]Membership, error) {
	if !in.Transitive {
		return t.Memberships(MembershipQuery{Group: of.Group, Member: of.Member, After: max(after, 0), Limit: limit, At: t.unless(in.Standing), Bare: bare})
	}
	numbers, err := t.after(of, Page{After: after}.number(), limit)
	edges := joined(of, numbers)
	if err == nil && !bare {
		return t.stood(edges)
	}
	list := make([]Membership, len(edges))
	for i, e := range edges {
		list[i].Edge = e
	}
	return list, err
}

// place is where an entry stands in a list that is not arranged: an After.
func (in ListMembers) place(of, e Edge) int64 {
	switch u, isUser := e.Member.User(); {
	case of.Group == 0:
		return int64(e.Group)
	case in.Transitive && isUser:
		return int64(u)
	}
	return MemberCursor(e.Member)
}

// visiblePage is a page of a list, not arranged, of which the principal's bound
// leaves it a part.
func (t then) visiblePage(of Edge, in ListMembers, total int64) (Found[MemberOf], error) {
	limit := in.limit()
	list, err := t.visible(of, in, in.After, limit+1, in.Transitive)
	if err != nil {
		return Found[MemberOf]{}, err
	}
	page := found(list, limit, func(m Membership) int64 { return in.place(of, m.Edge) })
	if in.indexed() {
		t.continued(page.Next)
	}
	out := Found[MemberOf]{Next: page.Next, At: t.When}
	if in.Transitive {
		out.Items, err = t.describe(edgesAmong(page.Items), of.Group == 0, false)
	} else {
		out, err = t.describeAll(page, of.Group == 0)
	}
	out.Total = total
	return out, err
}

// countVisible counts a list of which the principal's bound leaves it a part.
func (t then) countVisible(of Edge, in ListMembers) (int64, error) {
	if t.st == nil || of.Group == 0 || in.Standing || !in.At.IsZero() {
		list, err := t.visible(of, in, 0, math.MaxInt, true)
		return int64(len(list)), err
	}
	n, now := 0, t.Time.UnixMicro()
	if !in.Transitive {
		for _, g := range t.st.Subgroups(of.Group, now, false) {
			if t.l.p.sees(g) {
				n++
			}
		}
	}
	return int64(n + t.st.Count(of.Group, now, in.Transitive)), nil
}

// errPassed is returned for a page after an entry that is not in the list.
var errPassed = &Error{Kind: Stale, Code: "page.passed", Field: "cursor", Detail: "What the page before ended with is not in the list any more; begin again."}

// passed is how many entries of an arranged list come before a page. Where one
// would stand that is beyond the bound is not to be found out by asking for the
// page after it.
func (in ListMembers) passed(of Edge, list []Edge) (int64, error) {
	if in.After <= 0 {
		return 0, nil
	}
	last, walked := in.last(of.Group)
	i := slices.IndexFunc(list, func(e Edge) bool { return walked && e == last || in.place(of, e) == in.After })
	if i < 0 {
		return 0, errPassed
	}
	return int64(i) + 1, nil
}

// within leaves of one side of a difference of a group what the principal's bound
// does.
func (s *side) within(l *look) *side {
	if l.p.Within == nil {
		return s
	}
	read := s.read
	s.read = func(after int64, limit int) (out []int64, err error) {
		for {
			part, err := read(after, limit)
			if err != nil {
				return nil, err
			}
			edges := make([]Edge, len(part))
			for i, k := range part {
				edges[i] = s.edge(k)
			}
			sees, err := l.sight(edges, nobody)
			if err != nil {
				return nil, err
			}
			for i, k := range part {
				if sees(edges[i]) {
					out = append(out, k)
				}
			}
			if len(part) < limit || len(out) >= limit {
				return out[:min(limit, len(out))], nil
			}
			after = part[len(part)-1]
		}
	}
	return s
}
