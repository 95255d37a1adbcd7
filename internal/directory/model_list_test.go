package directory_test

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/id"
)

// listed is one line of a list, as the oracle has it.
type listed struct {
	edge  directory.Edge
	name  string
	holds bool
}

// list is a list of a group's members, or of a member's groups, by place.
func (o *oracle) list(of directory.Edge, transitive, standing bool, at time.Time) (list []listed) {
	line := func(e directory.Edge) listed {
		l := listed{edge: e, holds: true}
		if s, ok := o.edges[e]; ok {
			l.holds = s.HoldsAt(at)
		}
		u, isUser := e.Member.User()
		g, _ := e.Member.Group()
		switch {
		case of.Group == 0:
			l.name = o.groups[e.Group].Name
			l.holds = l.holds && (!isUser || o.users[u].ActiveAt(at))
		case isUser:
			l.name = o.users[u].Name
			l.holds = l.holds && o.users[u].ActiveAt(at)
		default:
			l.name = o.groups[g].Name
		}
		return l
	}
	if transitive {
		if of.Group == 0 {
			for _, g := range o.groupsOf(of.Member, at) {
				l := line(directory.Edge{Group: g, Member: of.Member})
				l.holds = true // if not by an edge of its own, through a group
				list = append(list, l)
			}
			return list
		}
		for _, u := range slices.Sorted(maps.Keys(o.users)) {
			if e := (directory.Edge{Group: of.Group, Member: id.UserMember(u)}); slices.Contains(o.groupsOf(e.Member, at), of.Group) {
				list = append(list, listed{edge: e, name: o.users[u].Name, holds: true})
			}
		}
		return list
	}
	for e, s := range o.edges {
		if of.Group != 0 && e.Group != of.Group || of.Member != 0 && e.Member != of.Member {
			continue
		}
		u, isUser := e.Member.User()
		if standing || s.HoldsAt(at) && (!isUser || o.users[u].ActiveAt(at)) {
			list = append(list, line(e))
		}
	}
	slices.SortFunc(list, func(a, b listed) int {
		return cmp.Or(cmp.Compare(a.edge.Group, b.edge.Group), cmp.Compare(directory.MemberCursor(a.edge.Member), directory.MemberCursor(b.edge.Member)))
	})
	return list
}

// gather makes the list of a group long, with gaps, and asks for it in order.
func (m *machine) gather(t *rapid.T) {
	if len(m.o.groups) == 0 {
		return
	}
	for len(m.o.users) < 9 {
		m.createUser(t)
	}
	g := rapid.SampledFrom(slices.Sorted(maps.Keys(m.o.groups))).Draw(t, "into")
	in := directory.MembersChange{Group: directory.ByNumber(int64(g)), Standing: m.standing(t), Mode: directory.Each}
	var add []wanted
	for _, u := range slices.Sorted(maps.Keys(m.o.users)) {
		if rapid.IntRange(0, 4).Draw(t, "left out") > 0 {
			in.Add = append(in.Add, directory.MemberRef{Ref: directory.ByNumber(int64(u))})
			add = append(add, wanted{edge: directory.Edge{Group: g, Member: id.UserMember(u)}})
		}
	}
	for _, n := range slices.Sorted(maps.Keys(m.o.groups)) {
		if rapid.IntRange(0, 2).Draw(t, "group") == 0 {
			in.Add = append(in.Add, directory.MemberRef{IsGroup: true, Ref: directory.ByNumber(int64(n))})
			add = append(add, wanted{edge: directory.Edge{Group: g, Member: id.GroupMember(n)}})
		}
	}
	_, err := m.d.ChangeMembers(ctx, m.p, in)
	want := m.o.change(m.d.Now(), func(next *oracle, at time.Time) (bool, error) {
		return next.batch(add, nil, in.Mode, in.Standing, false, at)
	})
	compare(t, "ChangeMembers", err, want)
	for !m.d.InMemory(m.p.Tenant) { // it is read in behind
		m.ask(t)
		time.Sleep(time.Millisecond)
	}
	directory.MostWalked(t, rapid.SampledFrom([]int{1, 3, 1000, 1000}).Draw(t, "names read for a page"))
	for range 3 {
		m.arrangeOf(t, directory.When{}, directory.Edge{Group: g})
	}
}

// arrange asks for a list that is filtered, sorted and counted, while it changes.
func (m *machine) arrange(t *rapid.T) {
	w := m.when(t)
	if rapid.Bool().Draw(t, "now") {
		w = directory.When{}
	}
	o := &m.o
	if !w.IsZero() {
		o, _ = m.o.ago(w)
	}
	if len(o.groups) > 0 && rapid.IntRange(0, 3).Draw(t, "of a group") > 0 {
		g := rapid.SampledFrom(slices.Sorted(maps.Keys(o.groups))).Draw(t, "of group")
		of := directory.Edge{Group: g}
		if rapid.IntRange(0, 2).Draw(t, "groups") == 0 {
			of = directory.Edge{Member: id.GroupMember(g)}
		}
		m.arrangeOf(t, w, of)
	} else if len(o.users) > 0 {
		m.arrangeOf(t, w, directory.Edge{Member: id.UserMember(rapid.SampledFrom(slices.Sorted(maps.Keys(o.users))).Draw(t, "of user"))})
	}
}

func (m *machine) arrangeOf(t *rapid.T, w directory.When, of directory.Edge) {
	o, at := &m.o, m.d.Now()
	if !w.IsZero() {
		o, at = m.o.ago(w)
	}
	in := directory.ListMembers{Page: directory.Page{At: w, Limit: rapid.IntRange(1, 3).Draw(t, "limit")}, Count: rapid.Bool().Draw(t, "count"), Descending: rapid.Bool().Draw(t, "descending")}
	in.Transitive = rapid.Bool().Draw(t, "transitive")
	in.Standing = !in.Transitive && rapid.Bool().Draw(t, "standing")
	in.Sort = rapid.SampledFrom([]directory.SortBy{0, directory.ByPlace, directory.ByTitle, directory.ByTitle, directory.ByStatus, directory.ByAdded}).Draw(t, "sort")
	in.NamePrefix = rapid.SampledFrom([]string{"", "n", "n1", "x"}).Draw(t, "prefix")
	if in.Standing && rapid.Bool().Draw(t, "by status") {
		holds := rapid.Bool().Draw(t, "holds")
		in.Holds = &holds
	}
	if u, ok := of.Member.User(); ok {
		in.Member = directory.MemberRef{Ref: directory.ByNumber(int64(u))}
	} else if g, ok := of.Member.Group(); ok {
		in.Member = directory.MemberRef{IsGroup: true, Ref: directory.ByNumber(int64(g))}
	} else if in.Group = directory.ByNumber(int64(of.Group)); o.groups[of.Group].Number == 0 {
		return // it was deleted between the pages of another list
	}
	want := o.list(of, in.Transitive, in.Standing, at)
	want = slices.DeleteFunc(want, func(l listed) bool {
		return !strings.HasPrefix(l.name, in.NamePrefix) || in.Holds != nil && l.holds != *in.Holds
	})
	slices.SortStableFunc(want, func(a, b listed) int {
		switch in.Sort {
		case directory.ByTitle:
			return strings.Compare(a.name, b.name)
		case directory.ByStatus:
			rank := map[bool]int{false: 1}
			return rank[a.holds] - rank[b.holds]
		}
		return 0
	})
	if in.Descending && in.Arrange != (directory.Arrange{}) {
		slices.Reverse(want)
	}
	var got []directory.Edge
	var added []time.Time
	for {
		find := m.d.Members
		if of.Group == 0 {
			find = m.d.GroupsOf
		}
		a, err := find(ctx, m.p, in)
		if err != nil {
			t.Fatal(err)
		}
		if in.Count && a.Value.Total != int64(len(want)) {
			t.Fatalf("%+v of %+v counts %d, want %d", in, of, a.Value.Total, len(want))
		}
		for _, x := range a.Value.Items {
			e := of
			switch {
			case of.Group == 0:
				e.Group = x.Group.Number
			case x.User != nil:
				e.Member = id.UserMember(x.User.Number)
			default:
				e.Member = id.GroupMember(x.Group.Number)
			}
			if i := slices.IndexFunc(want, func(l listed) bool { return l.edge == e }); i < 0 || want[i].holds != x.Holds {
				t.Fatalf("%+v of %+v has %v, which holds: %v", in, of, e, x.Holds)
			}
			got, added = append(got, e), append(added, x.Membership.AddedAt)
		}
		in.At, in.Of = a.Value.At, a.Value.Of
		if in.After = a.Value.Next; in.After == 0 {
			break
		}
		if rapid.Bool().Draw(t, "something between pages") {
			m.disturb(t)
		}
	}
	edges := make([]directory.Edge, len(want))
	for i, l := range want {
		edges[i] = l.edge
	}
	if in.Sort == directory.ByAdded {
		late := func(at time.Time) int {
			if at.IsZero() { // who is in through groups alone comes last
				return 1
			}
			return 0
		}
		order := slices.Clone(added)
		slices.SortStableFunc(order, func(a, b time.Time) int {
			if in.Descending {
				return cmp.Or(late(a)-late(b), b.Compare(a))
			}
			return cmp.Or(late(a)-late(b), a.Compare(b))
		})
		if !slices.Equal(order, added) {
			t.Fatalf("%+v of %+v are added at %v", in, of, added)
		}
		if !in.Transitive && slices.ContainsFunc(added, time.Time.IsZero) {
			t.Fatalf("%+v of %+v does not say of everybody when: %v", in, of, added)
		}
		less := func(a, b directory.Edge) int {
			return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Member, b.Member))
		}
		slices.SortFunc(got, less)
		slices.SortFunc(edges, less)
	}
	if !slices.Equal(got, edges) {
		t.Fatalf("%+v of %+v is %v, want %v", in, of, got, edges)
	}
}

func TestAPageOfAnArrangedListIsCutFromOneArrangement(t *testing.T) {
	w := directorytest.New(t, nil)
	a, err := w.CreateTenant(ctx, directorytest.Root(), directory.NewTenant{Name: "one"})
	if err != nil {
		t.Fatal(err)
	}
	p := directorytest.In(directorytest.Root(), a.Value.ID)
	g, err := w.CreateGroup(ctx, p, directory.NewGroup{Name: "g"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Zoe", "ann", "Bob", "cid"} {
		if _, err := w.CreateUser(ctx, p, directory.NewUser{Name: name, Groups: []directory.Ref{directory.ByGroup(g.Value.ID)}}); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Second)
	}
	in := directory.ListMembers{Page: directory.Page{Limit: 1}, Group: directory.ByGroup(g.Value.ID), Arrange: directory.Arrange{Sort: directory.ByTitle}}
	var names []string
	for {
		a, err := w.Members(ctx, p, in)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, a.Value.Items[0].User.Name)
		if in.After, in.At = a.Value.Next, a.Value.At; in.After == 0 {
			break
		}
		// Whatever happens in between is not in this list.
		if _, err := w.DeleteUser(ctx, p, directory.Deletion{Ref: directory.ByName("cid")}); len(names) == 1 && err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"ann", "Bob", "cid", "Zoe"}; !slices.Equal(names, want) {
		t.Errorf("by name they are %v, want %v", names, want)
	}
	in.Page, in.Sort, in.Descending = directory.Page{}, directory.ByAdded, true
	last, err := w.Members(ctx, p, in)
	if err != nil || last.Value.Items[0].User.Name != "Bob" || len(last.Value.Items) != 3 {
		t.Errorf("the last added come as %+v, %v", last.Value.Items, err)
	}
}

func TestAPageIsOfWhatTheFirstWasOfHoweverItIsNamed(t *testing.T) {
	w := directorytest.New(t, nil)
	a, err := w.CreateTenant(ctx, directorytest.Root(), directory.NewTenant{Name: "one"})
	if err != nil {
		t.Fatal(err)
	}
	p := directorytest.In(directorytest.Root(), a.Value.ID)
	user := func(name, email string) directory.MemberRef {
		u, err := w.CreateUser(ctx, p, directory.NewUser{Name: name, Email: email})
		if err != nil {
			t.Fatal(err)
		}
		return directory.MemberRef{Ref: directory.ByUser(u.Value.ID)}
	}
	ann, bob := user("ann", "a@example.com"), user("bob", "b@example.com")
	group := func(name string, members ...directory.MemberRef) directory.MemberRef {
		g, err := w.CreateGroup(ctx, p, directory.NewGroup{Name: name, Externals: map[string]string{"hr": name}})
		if err != nil {
			t.Fatal(err)
		}
		ref := directory.ByGroup(g.Value.ID)
		for _, reason := range []string{"", "again"} { // so that each stands in two ways
			if _, err := w.ChangeMembers(ctx, p, directory.MembersChange{Group: ref, Add: members, Standing: directory.Standing{Reason: reason}}); err != nil {
				t.Fatal(err)
			}
		}
		return directory.MemberRef{IsGroup: true, Ref: ref}
	}
	below := group("below", ann, bob)
	first, second := group("first", ann, bob, below), group("second", ann, bob, below)

	named, addressed := directory.ByExternal("hr", "first"), directory.MemberRef{Ref: directory.ByEmail("a@example.com")}
	next := func(after int64, at directory.When, of directory.Edge) directory.Page {
		return directory.Page{After: after, Limit: 1, At: at, Of: of}
	}
	asks := map[string]func(directory.Page) (directory.Page, error){
		"why": func(page directory.Page) (directory.Page, error) {
			a, err := w.Explain(ctx, p, directory.Explain{Page: page, User: addressed.Ref, Group: named})
			return next(a.Value.Next, a.Value.At, a.Value.Of), err
		},
		"who came": func(page directory.Page) (directory.Page, error) {
			a, err := w.Diff(ctx, p, directory.Diff{Page: page, Group: named, From: directory.When{Revision: 1}})
			return next(a.Value.Next, a.Value.At, a.Value.Of), err
		},
		"what was gained": func(page directory.Page) (directory.Page, error) {
			a, err := w.Diff(ctx, p, directory.Diff{Page: page, Member: addressed, From: directory.When{Revision: 1}})
			return next(a.Value.Next, a.Value.At, a.Value.Of), err
		},
		"since when": func(page directory.Page) (directory.Page, error) {
			a, err := w.Timeline(ctx, p, directory.Timeline{Page: page, Group: named, Member: addressed})
			return next(a.Value.Next, a.Value.At, a.Value.Of), err
		},
	}
	for what, in := range map[string]directory.ListMembers{
		"": {}, " through groups": {Transitive: true}, " by name": {Arrange: directory.Arrange{Sort: directory.ByTitle}},
	} {
		asks["members"+what] = func(page directory.Page) (directory.Page, error) {
			in.Page, in.Group = page, named
			a, err := w.Members(ctx, p, in)
			return next(a.Value.Next, a.Value.At, a.Value.Of), err
		}
		asks["groups"+what] = func(page directory.Page) (directory.Page, error) {
			in := in
			in.Page, in.Member = page, addressed
			a, err := w.GroupsOf(ctx, p, in)
			return next(a.Value.Next, a.Value.At, a.Value.Of), err
		}
	}
	pages := map[string]directory.Page{}
	for what, ask := range asks {
		page, err := ask(directory.Page{Limit: 1})
		if err != nil || page.After == 0 {
			t.Fatalf("%s: the next page is %+v, %v", what, page, err)
		}
		if _, err := ask(page); err != nil {
			t.Errorf("%s: the next page: %v", what, err)
		}
		pages[what] = page
	}

	for _, g := range []struct {
		directory.MemberRef
		external map[string]string
	}{{first, map[string]string{}}, {second, map[string]string{"hr": "first"}}} {
		if _, err := w.UpdateGroup(ctx, p, directory.GroupUpdate{Group: g.Ref, Externals: &g.external}); err != nil {
			t.Fatal(err)
		}
	}
	for _, u := range []struct {
		directory.MemberRef
		email string
	}{{ann, "c@example.com"}, {bob, "a@example.com"}} {
		if _, err := w.UpdateUser(ctx, p, directory.UserUpdate{User: u.Ref, Email: &u.email}); err != nil {
			t.Fatal(err)
		}
	}
	for what, ask := range asks {
		if _, err := ask(pages[what]); directory.CodeOf(err) != "cursor.foreign" {
			t.Errorf("%s: a page of another's list is answered with %v", what, err)
		}
		if _, err := ask(directory.Page{Limit: 1}); err != nil {
			t.Errorf("%s: begun again: %v", what, err)
		}
	}
}
