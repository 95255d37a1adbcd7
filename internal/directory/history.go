package directory

import (
	"context"
	"errors"
	"slices"
	"time"

	"roster/internal/id"
	"roster/internal/index"
)

// When says as of which moment a question about memberships is asked. The zero
// When is now. A revision is the moment at which it was committed; a time is the
// last commit at or before it, with dates as they are at that time, which may be
// one to come. With both, the rows are the revision's and the dates the time's.
type When struct {
	Revision Revision
	Time     time.Time
}

// IsZero reports whether w is now.
func (w When) IsZero() bool { return w.Revision == 0 && w.Time.IsZero() }

// then is a look at memberships as of one moment: everything it says is of one
// revision and one instant.
type then struct {
	Past
	When
	l  *look
	m  *memory      // which remembers the history that the rows are of
	st *index.State // of that revision; nil if the rows must be asked
}

// then finds the moment that w means, and answers as of it from here on.
func (l *look) then(w When) (then, error) {
	t := then{Past: l.Reader, l: l}
	now, err := l.Revision()
	if err != nil {
		return t, err
	}
	t.m = l.d.memory()
	t.When = When{Revision: now, Time: l.now()}
	switch from := l.from; {
	case w.IsZero() && from.st != nil && from.m == t.m && Revision(from.st.Revision()) <= now:
		t.Revision, t.st = Revision(from.st.Revision()), from.st
	case w.Revision > now:
		return t, &Error{Kind: Stale, Code: "revision.ahead", Field: "at", Detail: "The tenant has not come to that revision yet."}
	case w.Revision != 0:
		t.Revision = w.Revision
		if t.Time = w.Time; t.Time.IsZero() {
			made, err := l.Authors([]Revision{w.Revision})
			if err != nil {
				return t, err
			}
			if len(made) == 0 {
				return t, ErrForgotten
			}
			t.Time = made[0].At
		}
	case !w.Time.IsZero():
		t.Time = exact(w.Time)
		if t.Revision, err = l.RevisionAt(t.Time); err != nil {
			return t, err
		}
	}
	if t.Revision != now {
		if t.Past, err = l.AsOf(t.Revision); err != nil {
			return t, err
		}
	}
	l.answered = &t.Revision
	if t.st == nil {
		t.st = l.d.pictureAt(t.m, l.p.Tenant, t.Revision)
	}
	return t, nil
}

// continued is for a list that has a further page: what this one was cut from
// is kept for that, whatever is written until it is asked for.
func (t then) continued(next int64) {
	if next != 0 && t.st != nil {
		t.m.index.Keep(t.l.p.Tenant, t.st)
	}
}

// group finds one group as of then.
func (t then) group(ref Ref) (id.Number, error) {
	n, err := t.l.groupsIn(t.Past, []Ref{ref})
	switch {
	case err != nil:
		return 0, err
	case n[0] == Ambiguous:
		return 0, ErrAmbiguous
	case n[0] == 0:
		return 0, ErrNoGroup
	}
	return n[0], nil
}

// member finds one user or group as of then.
func (t then) member(m MemberRef) (id.Member, error) {
	if m.IsGroup {
		g, err := t.group(m.Ref)
		return id.GroupMember(g), err
	}
	n, err := t.l.usersIn(t.Past, []Ref{m.Ref})
	if err == nil && (n[0] == 0 || n[0] == Ambiguous) {
		err = ErrNoUser
	}
	if err != nil {
		return 0, err
	}
	return id.UserMember(n[0]), nil
}

// after returns the first of those that are in a list directly and through groups,
// after a number: the users in a group, or the groups that a member is in. From
// the rows a first page is all that is read; whoever goes on has the list read
// once, for all further pages.
func (t then) after(of Edge, n id.Number, limit int) ([]id.Number, error) {
	if t.st == nil && n > 0 {
		list, err := t.through(of)
		if err == nil {
			return following(list, n, limit), nil
		}
		if !errors.Is(err, errLongList) {
			return nil, err
		}
	}
	if of.Group == 0 {
		all, err := t.groupsOf(of.Member)
		return following(all, n, limit), err
	}
	if t.st == nil {
		return t.MembersOf(of.Group, t.Time, n, limit)
	}
	return t.st.MembersAfter(of.Group, n, t.Time.UnixMicro(), true, limit), nil
}

// following returns the first numbers of an ascending list after one.
func following(list []id.Number, n id.Number, limit int) []id.Number {
	i, found := slices.BinarySearch(list, n)
	if found {
		i++
	}
	return list[i:min(i+limit, len(list))]
}

// groupsOf returns the groups that a member is in, directly and through groups.
func (t then) groupsOf(m id.Member) ([]id.Number, error) {
	if t.st == nil {
		return t.GroupsOf(m, t.Time)
	}
	if u, ok := m.User(); ok {
		return t.st.Groups(u, t.Time.UnixMicro(), true), nil
	}
	g, _ := m.Group()
	return t.st.Parents(g, t.Time.UnixMicro(), true), nil
}

// checks answers for each edge whether its user is in its group; an edge with a
// zero end is a no.
func (t then) checks(edges []Edge) ([]bool, error) {
	answers := make([]bool, len(edges))
	if t.st != nil {
		for i, e := range edges {
			u, _ := e.Member.User()
			answers[i] = u != 0 && e.Group != 0 && t.st.Check(u, e.Group, t.Time.UnixMicro())
		}
		return answers, nil
	}
	asked := make([]Edge, 0, len(edges))
	for _, e := range edges {
		if e.Member != 0 && e.Group != 0 {
			asked = append(asked, e)
		}
	}
	if len(asked) == 1 { // for one alone nobody looks further up than its group
		u, _ := asked[0].Member.User()
		in, err := t.Check(u, asked[0].Group, t.Time)
		answers[slices.Index(edges, asked[0])] = in
		return answers, err
	}
	yes, err := t.Checks(asked, t.Time)
	in := make(map[Edge]bool, len(yes))
	for _, e := range yes {
		in[e] = true
	}
	for i, e := range edges {
		answers[i] = in[e]
	}
	return answers, err
}

// users and groups resolve refs as of then. Ids need no rows if the index has them
// as of then.
func (t then) users(refs []Ref) ([]id.Number, error) {
	if !t.indexed(refs) {
		return t.l.usersIn(t.Past, refs)
	}
	numbers := make([]id.Number, len(refs))
	for i, ref := range refs {
		numbers[i], _ = t.st.User(id.User(ref.UUID))
	}
	return numbers, nil
}

func (t then) groups(refs []Ref) ([]id.Number, error) {
	if !t.indexed(refs) {
		return t.l.groupsIn(t.Past, refs)
	}
	numbers := make([]id.Number, len(refs))
	for i, ref := range refs {
		numbers[i], _ = t.st.Group(id.Group(ref.UUID))
	}
	return numbers, nil
}

// indexed reports whether the index alone says whom or what the refs mean. Of a
// bound it does not know.
func (t then) indexed(refs []Ref) bool {
	return t.st != nil && t.l.p.Within == nil && !slices.ContainsFunc(refs, func(r Ref) bool { return r.Kind != RefID })
}

// WereMembers answers many checks, in order, as of one moment. In the past,
// names are those of then. It needs [ReadMembers], and heeds [Within]: who or what
// is beyond the bound is in nothing, and holds nobody.
func (d *Directory) WereMembers(ctx context.Context, p Principal, checks []Check, at When) (Answer[[]bool], error) {
	if len(checks) > MaxChecks {
		return Answer[[]bool]{}, &Error{Kind: TooLarge, Code: "batch.large", Detail: "A call asks about at most 1000 pairs."}
	}
	return viewAt(ctx, d, p.heeding(), ReadSelf, at, true, func(t then) ([]bool, error) {
		l := t.l
		users, groups := make([]Ref, len(checks)), make([]Ref, len(checks))
		for i, c := range checks {
			users[i], groups[i] = c.User, c.Group
		}
		userNumbers, err := t.users(users)
		if err != nil {
			return nil, err
		}
		if err := l.authorizeAll(userNumbers, ReadMembers); err != nil {
			return nil, err
		}
		groupNumbers, err := t.groups(groups)
		if err != nil {
			return nil, err
		}
		if i := slices.Index(groupNumbers, Ambiguous); i >= 0 {
			ambiguous := *ErrAmbiguous
			ambiguous.Items = []int{i}
			return nil, &ambiguous
		}
		edges := make([]Edge, len(checks))
		for i, u := range userNumbers {
			if u != Ambiguous {
				edges[i] = Edge{Group: groupNumbers[i], Member: id.UserMember(u)}
			}
		}
		return t.checks(edges)
	})
}
