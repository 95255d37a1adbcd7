package directory

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"roster/internal/id"
)

// SortBy is what a list of memberships is sorted by.
type SortBy uint8

// The orders. Ties are by number, groups before users; Descending turns all of
// it round.
const (
	ByPlace  SortBy = iota + 1 // by number, groups before users
	ByTitle                    // by name, compared after [FoldName]
	ByStatus                   // those that hold first
	ByAdded                    // by when they were added directly; those who were not come last
)

// Arrange filters and sorts a list of memberships. The zero Arrange does
// neither. All pages of an arranged list are cut from one arrangement of the
// snapshot that the first was of, which is kept for a while: it is made once, in
// the time that the list is long, and a page costs the same wherever it is. A page
// by name of the members of a large group costs the same without: see walk.go.
type Arrange struct {
	Sort       SortBy // by place if zero
	NamePrefix string // folded
	Holds      *bool  // leave those that hold, or those that do not, in lists of all that stand
}

func (a Arrange) isZero() bool { return a == Arrange{} }

// MaxArranged is how long a list may be that has to be arranged.
const MaxArranged = 1_000_000

// longList is MaxArranged, but for tests.
var longList = MaxArranged

// arrangement is which list, as of when, arranged how: not at all, if it is kept
// because it was read through groups from the rows. From is of the candidates of a
// diff alone.
type arrangement struct {
	tenant     id.Tenant
	from, at   When
	of         Edge // with one end
	transitive bool
	standing   bool
	sort       SortBy
	descending bool
	prefix     string
	holds      int8
}

// arrangements keeps the latest few. They are of past revisions and instants, so
// none is ever out of date.
type arrangements struct {
	mu    sync.Mutex // guards all of it
	order []arrangement
	lists map[arrangement]arranged
	held  int // entries in all lists
}

// arranged is a list that is kept: its edges as they were arranged; or, if it is
// not arranged, the numbers on the far side of them, ascending, unless they are
// more than [MaxArranged].
type arranged struct {
	edges   []Edge
	numbers []id.Number
	long    bool
}

func (a arranged) len() int { return len(a.edges) + len(a.numbers) }

// maxArrangements is how many entries are kept in all: 32 MiB.
const maxArrangements = 4 << 20

func (c *arrangements) get(key arrangement) (arranged, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list, ok := c.lists[key]
	if ok {
		i := slices.Index(c.order, key)
		c.order = append(slices.Delete(c.order, i, i+1), key)
	}
	return list, ok
}

func (c *arrangements) put(key arrangement, list arranged) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lists == nil {
		c.lists = map[arrangement]arranged{}
	}
	if _, ok := c.lists[key]; ok || list.len() > maxArrangements {
		return
	}
	c.order, c.lists[key], c.held = append(c.order, key), list, c.held+list.len()
	for c.held > maxArrangements || len(c.order) > 1024 {
		c.held -= c.lists[c.order[0]].len()
		delete(c.lists, c.order[0])
		c.order = c.order[1:]
	}
}

// arranged returns all of a list, filtered and sorted. of has one end: the group
// whose members, or the member whose groups are listed.
func (t then) arranged(of Edge, in ListMembers) ([]Edge, error) {
	key := arrangement{tenant: t.l.p.Tenant, at: t.When, of: of, transitive: in.Transitive, standing: in.Standing,
		sort: in.Sort, descending: in.Descending, prefix: in.NamePrefix}
	if in.Holds != nil {
		key.holds = -1
		if *in.Holds {
			key.holds = 1
		}
	}
	kept, keep := &t.m.arranged, t.l.p.Within == nil // who is within a bound changes
	if list, ok := kept.get(key); keep && ok {
		return list.edges, nil
	}
	entries, err := t.entries(of, in)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, in.compare)
	if in.Sort == ByAdded { // who was not added comes last either way
		slices.SortStableFunc(entries, func(a, b entry) int {
			zero := map[bool]int{true: 1}
			return zero[a.added.IsZero()] - zero[b.added.IsZero()]
		})
	}
	edges := make([]Edge, len(entries))
	for i, e := range entries {
		edges[i] = e.Edge
	}
	if keep {
		kept.put(key, arranged{edges: edges})
	}
	return edges, nil
}

// compare is the order of a list, but for those who were not added.
func (in ListMembers) compare(a, b entry) int {
	c := 0
	switch in.Sort {
	case ByTitle:
		c = strings.Compare(a.name, b.name)
	case ByStatus:
		if a.holds != b.holds {
			c = 1
			if a.holds {
				c = -1
			}
		}
	case ByAdded:
		c = a.added.Compare(b.added)
	}
	if c == 0 {
		c = cmp.Compare(a.place(), b.place())
	}
	if in.Descending {
		return -c
	}
	return c
}

// arrangedPage is a page of a list that is filtered or sorted. After counts the
// entries before it, or says whom it comes after: see [walked], and [ListMembers].
func (t then) arrangedPage(of Edge, in ListMembers) (Found[MemberOf], error) {
	out, done, err := t.walk(of, in)
	if done || err != nil {
		return out, err
	}
	list, err := t.arranged(of, in)
	if err != nil {
		return Found[MemberOf]{}, err
	}
	after, bounded := in.After, t.l.p.Within != nil
	if _, walked := in.last(of.Group); walked || bounded {
		if after, err = in.passed(of, list); err != nil {
			return Found[MemberOf]{}, err
		}
	}
	from := min(max(after, 0), int64(len(list)))
	page := list[from:min(from+int64(in.limit()), int64(len(list)))]
	out = Found[MemberOf]{At: t.When, Total: int64(len(list))}
	if end := from + int64(len(page)); end < int64(len(list)) {
		if out.Next = end; bounded {
			out.Next = in.place(of, page[len(page)-1])
		}
	}
	if in.Transitive || of.Group != 0 {
		t.continued(out.Next) // should the arrangement have to be made again
	}
	out.Items, err = t.items(page, of, in)
	return out, err
}

// items looks up what a page shows.
func (t then) items(page []Edge, of Edge, in ListMembers) ([]MemberOf, error) {
	if in.Transitive {
		return t.describe(page, of.Group == 0, in.Sort == ByAdded)
	}
	list, err := t.l.authored(t.Standing(page))
	if err != nil {
		return nil, err
	}
	byEdge := make(map[Edge]Membership, len(list))
	for _, m := range list {
		byEdge[m.Edge] = m
	}
	memberships := make([]Membership, len(page))
	for i, e := range page {
		memberships[i] = byEdge[e]
	}
	described, err := t.describeAll(Found[Membership]{Items: memberships}, of.Group == 0)
	return described.Items, err
}

// total counts a list, if that is asked for and nothing else does.
func (t then) total(of Edge, in ListMembers) (int64, error) {
	if !in.Count || !in.Arrange.isZero() {
		return 0, nil
	}
	return t.count(of, in)
}

// entry is one line of a list that is being arranged.
type entry struct {
	Edge
	name  string
	added time.Time
	holds bool
	of    bool // the groups of a member are listed
}

func (e entry) place() int64 {
	if e.of {
		return int64(e.Group)
	}
	return MemberCursor(e.Member)
}

// arrangePage is how many things are read at a time.
const arrangePage = 10_000

// entries are the lines of a list, filtered, with what it is sorted by.
func (t then) entries(of Edge, in ListMembers) ([]entry, error) {
	l, indexed := t.listing(of, in)
	if indexed && in.Sort != ByAdded {
		return l.entries()
	}
	list, err := t.whole(of, in)
	if err != nil {
		return nil, err
	}
	active := true
	if of.Group == 0 && in.Standing {
		if active, err = t.active(of.Member); err != nil {
			return nil, err
		}
	}
	entries := make([]entry, len(list))
	for i, m := range list {
		entries[i] = entry{Edge: m.Edge, added: m.AddedAt, holds: active && m.HoldsAt(t.Time), of: of.Group == 0}
	}
	if in.named() || in.Standing { // which tells of users whether they are active
		if entries, err = t.named(entries); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(entries, func(e entry) bool {
		return !strings.HasPrefix(e.name, in.NamePrefix) || in.Holds != nil && *in.Holds != e.holds
	}), nil
}

// named reports whether names have a part in the arrangement.
func (a Arrange) named() bool { return a.Sort == ByTitle || a.NamePrefix != "" }

// whole reads all of a list, as memberships that are zero where somebody is in
// through groups alone.
func (t then) whole(of Edge, in ListMembers) ([]Membership, error) {
	if t.l.p.Within != nil {
		all, err := t.visible(of, in, 0, longList+1, !in.Standing && in.Sort != ByAdded)
		if err == nil && len(all) > longList {
			err = errLongList
		}
		return all, err
	}
	var all []Membership
	q := MembershipQuery{Group: of.Group, Member: of.Member, Limit: arrangePage, At: t.unless(in.Standing)}
	q.Bare = !in.Standing && in.Sort != ByAdded // what is listed holds, and who added it does not matter
	for !in.Transitive {
		page, err := t.Memberships(q)
		if err != nil {
			return nil, err
		}
		if all = append(all, page...); len(page) < q.Limit {
			return all, nil
		}
		if q.After = MemberCursor(page[len(page)-1].Member); of.Group == 0 {
			q.After = int64(page[len(page)-1].Group)
		}
		if len(all) > longList {
			return nil, errLongList
		}
	}
	numbers, err := t.through(of)
	if err != nil {
		return nil, err
	}
	for chunk := range slices.Chunk(numbers, arrangePage) {
		edges := joined(of, chunk)
		if in.Sort == ByAdded {
			part, err := t.stood(edges)
			if err != nil {
				return nil, err
			}
			all = append(all, part...)
			continue
		}
		for _, e := range edges {
			all = append(all, Membership{Edge: e})
		}
	}
	return all, nil
}

// joined completes an edge that has one end by those in a list that is through
// groups: users of a group, or the groups of a member.
func joined(of Edge, numbers []id.Number) []Edge {
	edges := make([]Edge, len(numbers))
	for i, n := range numbers {
		if edges[i] = (Edge{Group: of.Group, Member: id.UserMember(n)}); of.Group == 0 {
			edges[i] = Edge{Group: n, Member: of.Member}
		}
	}
	return edges
}

// stood says how the edges stand then, as memberships that are zero but for these
// where they do not.
func (t then) stood(edges []Edge) ([]Membership, error) {
	direct, err := t.l.authored(t.Standing(edges))
	if err != nil {
		return nil, err
	}
	stands := make(map[Edge]Membership, len(direct))
	for _, m := range direct {
		if m.HoldsAt(t.Time) {
			stands[m.Edge] = m
		}
	}
	all := make([]Membership, len(edges))
	for i, e := range edges {
		all[i] = stands[e]
		all[i].Edge = e
	}
	return all, nil
}

// named gives entries their names, and leaves out whom there is not. A membership
// of a user who is not active does not hold.
func (t then) named(entries []entry) ([]entry, error) {
	kept := entries[:0]
	for chunk := range slices.Chunk(entries, arrangePage) {
		var users, groups []id.Number
		for _, e := range chunk {
			if u, ok := e.Member.User(); ok && !e.of {
				users = append(users, u)
			} else {
				groups = append(groups, e.group())
			}
		}
		named, err := t.UserNames(users)
		if err != nil {
			return nil, err
		}
		list, err := t.Groups(groups)
		if err != nil {
			return nil, err
		}
		byUser, byGroup := make(map[id.Number]Named, len(named)), make(map[id.Number]string, len(list))
		for _, n := range named {
			byUser[n.Number] = n
		}
		for _, g := range list {
			byGroup[g.Number] = FoldName(g.Name)
		}
		for _, e := range chunk {
			var there bool
			if u, ok := e.Member.User(); ok && !e.of {
				var n Named
				n, there = byUser[u]
				e.name, e.holds = n.Name, e.holds && n.ActiveAt(t.Time)
			} else {
				e.name, there = byGroup[e.group()]
			}
			if there {
				kept = append(kept, e)
			}
		}
	}
	return kept, nil
}

// group is the group on the far side.
func (e entry) group() id.Number {
	if e.of {
		return e.Group
	}
	g, _ := e.Member.Group()
	return g
}

var errLongList = &Error{Kind: TooLarge, Code: "list.large", Detail: "A list of more than 1,000,000 cannot be sorted or filtered."}

// through returns all that a list holds, directly and through groups: who is in
// a group, or the groups that a member is in; [errLongList] if that is too much.
// What the rows say is kept as an arrangement is, because to be told a part of it
// they have to be asked for all.
func (t then) through(of Edge) ([]id.Number, error) {
	key := arrangement{tenant: t.l.p.Tenant, at: t.When, of: of, transitive: true}
	list, ok := t.m.arranged.get(key)
	if !ok {
		var err error
		switch {
		case of.Group == 0:
			list.numbers, err = t.groupsOf(of.Member)
		case t.st != nil:
			list.numbers = t.st.MembersAfter(of.Group, 0, t.Time.UnixMicro(), true, longList+1)
		default:
			list.numbers, err = t.MembersOf(of.Group, t.Time, 0, longList+1)
		}
		if err != nil {
			return nil, err
		}
		if len(list.numbers) > longList {
			list = arranged{long: true}
		}
		if t.st == nil {
			t.m.arranged.put(key, list)
		}
	}
	if list.long {
		return nil, errLongList
	}
	return list.numbers, nil
}

// count is how many entries a list has in all.
func (t then) count(of Edge, in ListMembers) (int64, error) {
	if t.l.p.Within != nil {
		return t.countVisible(of, in)
	}
	if l, ok := t.listing(of, in); ok {
		return int64(l.users + len(l.groups)), nil
	}
	if t.st != nil && !in.Standing {
		now := t.Time.UnixMicro()
		if u, ok := of.Member.User(); ok {
			return int64(len(t.st.Groups(u, now, in.Transitive))), nil
		}
		g, _ := of.Member.Group()
		return int64(len(t.st.Parents(g, now, in.Transitive))), nil
	}
	n := int64(0)
	if in.Transitive {
		numbers, err := t.through(of)
		if !errors.Is(err, errLongList) {
			return int64(len(numbers)), err
		}
		for after := id.Number(0); ; {
			part, err := t.MembersOf(of.Group, t.Time, after, longList)
			if n += int64(len(part)); err != nil || len(part) < longList {
				return n, err
			}
			after = part[len(part)-1]
		}
	}
	q := MembershipQuery{Group: of.Group, Member: of.Member, Limit: arrangePage, At: t.unless(in.Standing), Bare: true}
	for {
		page, err := t.Memberships(q)
		if n += int64(len(page)); err != nil || len(page) < q.Limit {
			return n, err
		}
		if q.After = MemberCursor(page[len(page)-1].Member); of.Group == 0 {
			q.After = int64(page[len(page)-1].Group)
		}
	}
}
