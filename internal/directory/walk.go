package directory

import (
	"slices"
	"strings"

	"roster/internal/id"
)

// A page of a long list that is sorted or filtered by name is cut without
// arranging the list, where that reads less. By name, the names of all users are
// gone through in their order, from where the page before ended, and the index says
// who is on the list: for a group that holds a good part of the tenant, few more
// are read than the page is long. By number, the list itself is gone through until
// enough names begin as the filter says.
//
// Names are read as of the revision of the list. So every page is exact, whatever
// was renamed since the first, and nothing is kept between pages.

// walked is added to the [MemberCursor] of a page's last entry, for the After of the
// next page of a list that is walked.
const walked = 1 << 40

// mostWalked is how many names are read for one page. If it is not full then (those
// on the list have names far apart from each other), the list is arranged for this
// page and those that follow. A variable for tests.
var mostWalked = 40_000

// last is the entry that a page of a walked list comes after; false if there is no
// such page before it.
func (in ListMembers) last(group id.Number) (Edge, bool) {
	place := in.After - walked
	if place <= 0 || place > 2*int64(id.MaxNumber) {
		return Edge{}, false
	}
	return Edge{Group: group, Member: memberAt(place)}, true
}

// listing is a list of a group's members as the index has it, before it is filtered
// by name.
type listing struct {
	then
	in     ListMembers
	group  id.Number
	groups []entry // without their names
	users  int     // how many there are
}

// listing finds the list of a group's members in the index; false if it is not
// there, or is to be of what a principal's bound leaves it.
func (t then) listing(of Edge, in ListMembers) (listing, bool) {
	l := listing{then: t, in: in, group: of.Group}
	if t.st == nil || of.Group == 0 || t.l.p.Within != nil {
		return l, false
	}
	now := t.Time.UnixMicro()
	holding := t.st.Count(of.Group, now, in.Transitive)
	if l.users = holding; in.Standing {
		l.users = t.st.Standing(of.Group)
	}
	if in.Holds != nil {
		if l.users -= holding; *in.Holds {
			l.users = holding
		}
	}
	if in.Transitive {
		return l, true
	}
	hold := t.st.Subgroups(of.Group, now, false)
	all := hold
	if in.Standing {
		all = t.st.StandingGroups(of.Group)
	}
	for _, g := range all {
		e := entry{Edge: Edge{Group: of.Group, Member: id.GroupMember(g)}}
		if _, e.holds = slices.BinarySearch(hold, g); in.Holds == nil || *in.Holds == e.holds {
			l.groups = append(l.groups, e)
		}
	}
	return l, true
}

// find returns the entry of a user; false if the user is not on the list.
func (l listing) find(user id.Number) (entry, bool) {
	e := entry{Edge: Edge{Group: l.group, Member: id.UserMember(user)}}
	now := l.Time.UnixMicro()
	if l.in.Transitive {
		e.holds = l.st.Check(user, l.group, now)
	} else {
		e.holds = l.st.CheckDirect(user, l.group, now)
	}
	on := e.holds || l.in.Standing && l.st.Stands(user, l.group)
	return e, on && (l.in.Holds == nil || *l.in.Holds == e.holds)
}

// has reports whether a member is on the list.
func (l listing) has(e Edge) bool {
	if u, ok := e.Member.User(); ok {
		_, on := l.find(u)
		return on
	}
	return slices.ContainsFunc(l.groups, func(g entry) bool { return g.Edge == e })
}

// entries are all of the list, filtered by name too, in no order.
func (l listing) entries() ([]entry, error) {
	if l.users+len(l.groups) > longList {
		return nil, errLongList
	}
	if l.in.NamePrefix != "" {
		if entries, ok, err := l.called(l.users); ok || err != nil {
			return entries, err
		}
	}
	entries := l.groups
	if l.in.Standing {
		for _, u := range l.st.StandingUsers(l.group) {
			if e, on := l.find(u); on {
				entries = append(entries, e)
			}
		}
	} else {
		entries = append(entries, l.holding(0, l.users)...)
	}
	if !l.in.named() {
		return entries, nil
	}
	return l.begun(l.named(entries))
}

// begun leaves the entries whose names begin as the filter says.
func (l listing) begun(entries []entry, err error) ([]entry, error) {
	return slices.DeleteFunc(entries, func(e entry) bool { return !strings.HasPrefix(e.name, l.in.NamePrefix) }), err
}

// called finds the entries of a list that is filtered by name among all users who
// are called so; false if these are more than a number.
func (l listing) called(most int) ([]entry, bool, error) {
	entries, err := l.begun(l.named(slices.Clone(l.groups)))
	if err != nil {
		return nil, false, err
	}
	var after *entry
	for end := false; !end; most -= arrangePage {
		if most <= 0 {
			return nil, false, nil
		}
		var users []entry
		if users, after, end, err = l.byName(after, min(most, arrangePage)+1); err != nil {
			return nil, false, err
		}
		entries = append(entries, users...)
	}
	return entries, true, nil
}

// byName reads the n names after an entry, or the first, in the order of a list by
// name, and returns who of those called so is on it, whose name was the last, and
// whether there are no more.
func (l listing) byName(after *entry, n int) (on []entry, last *entry, end bool, err error) {
	in := l.in
	in.Sort = ByTitle
	q := NameQuery{Prefix: in.NamePrefix, Descending: in.Descending, Limit: n + 1}
	if after != nil {
		q.From = after.name
	}
	names, err := l.UsersByName(q)
	for _, u := range names {
		e, is := l.find(u.Number)
		e.name = u.Name
		if last = &e; is && (after == nil || in.compare(*after, e) < 0) {
			on = append(on, e)
		}
	}
	return on, last, len(names) <= n, err
}

// byNumber is byName for the next n users on the list by number.
func (l listing) byNumber(after *entry, n int) (on []entry, last *entry, end bool, err error) {
	from := id.Number(0)
	if after != nil {
		if u, ok := after.Member.User(); ok { // groups come before all users
			from = u
		}
	}
	on = l.holding(from, n)
	end = len(on) < n
	if len(on) > 0 {
		e := on[len(on)-1]
		last = &e
	}
	on, err = l.begun(l.named(on))
	return on, last, end, err
}

// holding returns the first users, after a number, of a list of those who hold.
func (l listing) holding(user id.Number, limit int) []entry {
	numbers := l.st.MembersAfter(l.group, user, l.Time.UnixMicro(), l.in.Transitive, limit)
	entries := make([]entry, len(numbers))
	for i, n := range numbers {
		entries[i] = entry{Edge: Edge{Group: l.group, Member: id.UserMember(n)}, holds: true}
	}
	return entries
}

// walks reports whether a page is likely to be cut with fewer names read than there
// are to be read to arrange the list.
func (l listing) walks() (bool, error) {
	in := l.in
	if l.users <= in.limit() || len(l.groups) > MaxPage || in.Sort > ByTitle {
		return false, nil
	}
	if in.NamePrefix == "" {
		return in.Sort == ByTitle && in.limit()*l.st.Users() <= l.most()/2*l.users, nil
	}
	if in.Count { // for which all names have to be read that begin so
		return false, nil
	}
	if in.Sort == ByTitle {
		return true, nil
	}
	if in.Descending || in.Standing {
		return false, nil
	}
	if in.After > 0 {
		return true, nil
	}
	// Few names that begin so are soon put in order.
	_, few, err := l.called(in.limit())
	return !few, err
}

// most is how many names are read for one page.
func (l listing) most() int { return min(l.users, mostWalked) }

// walk cuts a page from a list without arranging it; false if it is to be arranged.
func (t then) walk(of Edge, in ListMembers) (out Found[MemberOf], done bool, err error) {
	edge, continued := in.last(of.Group)
	l, ok := t.listing(of, in)
	if !ok || in.After > 0 && !continued {
		return out, false, nil
	}
	if ok, err = l.walks(); !ok || err != nil {
		return out, false, err
	}
	var after *entry
	if continued {
		if !l.has(edge) {
			return out, false, errPassed // no page ended so
		}
		found, err := l.named([]entry{{Edge: edge}})
		if err != nil {
			return out, false, err
		}
		after = &found[0]
	}
	page, err := l.begun(l.named(l.groups))
	if err != nil {
		return out, false, err
	}
	page = slices.DeleteFunc(page, func(e entry) bool { return after != nil && in.compare(*after, e) >= 0 })
	next, of1000 := l.byNumber, 1000
	if in.Sort == ByTitle {
		next, of1000 = l.byName, 1000*l.users/t.st.Users()
	}
	for missing, read, end := in.limit()+1, 0, false; !end && missing > 0; {
		if read >= l.most() && l.users <= longList {
			return out, false, nil
		}
		// As many as are likely to be enough, and more each time that they are not.
		n := min(missing*1100/max(of1000, 1)+8+read/2, arrangePage, l.most())
		var more []entry
		if more, after, end, err = next(after, n); err != nil {
			return out, false, err
		}
		page, missing, read = append(page, more...), missing-len(more), read+n
	}
	slices.SortFunc(page, in.compare)
	out.At = t.When
	if in.Count {
		out.Total = int64(l.users + len(l.groups))
	}
	if len(page) > in.limit() {
		page = page[:in.limit()]
		out.Next = walked + page[len(page)-1].place()
	}
	t.continued(out.Next)
	edges := make([]Edge, len(page))
	for i, e := range page {
		edges[i] = e.Edge
	}
	out.Items, err = t.items(edges, of, in)
	return out, true, err
}
