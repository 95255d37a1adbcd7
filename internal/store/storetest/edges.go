package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

var edges = []testCase{
	{"a membership stands as it was made and remembers who added it", func(w *world) {
		t := w.tenant("one")
		w.users(t, 3)
		w.groups(t, 2)
		s := directory.Standing{From: start.Add(time.Microsecond), Until: start.Add(time.Hour), Role: directory.RoleManager, Source: "scim:x", Reason: "because"}
		w.clock.advance(time.Minute)
		rev := w.insert(t, s, in(3, 1), within(2, 1), in(1, 1))
		got := get(w, t, func(r directory.Reader) ([]directory.Membership, error) {
			return r.Memberships(directory.MembershipQuery{Group: 1, Limit: 10})
		})
		m := func(e directory.Edge, serial int64) directory.Membership {
			return directory.Membership{Edge: e, Standing: s, Serial: serial, Revision: rev, Added: rev,
				AddedAt: start.Add(time.Minute), AddedBy: author.Actor, AddedDialect: "test"}
		}
		// The order of joining is that of the list.
		w.same("the memberships", got, []directory.Membership{m(within(2, 1), 2), m(in(1, 1), 3), m(in(3, 1), 1)})
	}},

	{"an update changes how a membership stands and not who added it", func(w *world) {
		t := w.tenant("one")
		w.users(t, 3)
		w.groups(t, 1)
		added := w.insert(t, directory.Standing{Reason: "first"}, in(1, 1), in(2, 1), in(3, 1))
		list := func() []directory.Membership {
			return get(w, t, func(r directory.Reader) ([]directory.Membership, error) {
				return r.Memberships(directory.MembershipQuery{Group: 1, Limit: 10})
			})
		}
		want := list()
		author := directory.Author{Actor: directory.Actor{Credential: id.New[id.Credential](), User: id.New[id.User](), Name: "else"}, Dialect: "other", Request: "r-2"}
		for i, s := range []directory.Standing{{Until: start.Add(time.Hour)}, {Role: directory.RoleManager, Source: "rule"}, {}} {
			w.clock.advance(time.Minute)
			rev, err := w.store.Update(w.Context(), t, author, func(wr directory.Writer) error {
				return updateEdges(wr, []directory.Edge{in(1, 1), in(3, 1)}, s)
			})
			if err != nil {
				w.Fatal(err)
			}
			if rev != added+directory.Revision(i)+1 {
				w.Fatalf("the update is revision %d", rev)
			}
			for _, n := range []int{0, 2} {
				want[n].Standing, want[n].Revision = s, rev
			}
			w.same("the memberships", list(), want)
		}
		if want[0].Added != added || !want[0].AddedAt.Equal(start) {
			w.Fatalf("the first is of revision %d and %v", want[0].Added, want[0].AddedAt)
		}
	}},

	{"an update makes each stand as it is told", func(w *world) {
		t := w.tenant("one")
		w.users(t, 3)
		w.groups(t, 2)
		w.insert(t, directory.Standing{Reason: "first"}, in(1, 1), in(2, 1), in(3, 1), within(2, 1), in(1, 2))
		manager := directory.Standing{Role: directory.RoleManager, Source: "rule", Reason: `why "<ö>"`}
		dated := directory.Standing{From: start.Add(-time.Hour), Until: start.Add(time.Hour)}
		rev := w.update(t, func(wr directory.Writer) error {
			return wr.UpdateEdges([]directory.Membership{
				{Edge: in(3, 1), Standing: manager}, {Edge: in(1, 2), Standing: manager}, {Edge: in(2, 2), Standing: manager}, // one stands nowhere
				{Edge: in(1, 1), Standing: dated}, {Edge: within(2, 1), Standing: manager},
			})
		})
		stand := map[directory.Edge]directory.Standing{}
		for _, m := range get(w, t, func(r directory.Reader) ([]directory.Membership, error) {
			return r.Standing([]directory.Edge{in(1, 1), in(2, 1), in(3, 1), within(2, 1), in(1, 2), in(2, 2)})
		}) {
			stand[m.Edge] = m.Standing
		}
		w.same("the standings", stand, map[directory.Edge]directory.Standing{
			in(1, 1): dated, in(2, 1): {Reason: "first"}, in(3, 1): manager, within(2, 1): manager, in(1, 2): manager,
		})
		w.same("the record", w.commits(t, rev-1)[0].Changes, []directory.Change{
			{Kind: directory.MembersUpdated, Number: 1, Members: []id.Member{-2, 3}, Standing: manager},
			{Kind: directory.MembersUpdated, Number: 1, Members: []id.Member{1}, Standing: dated},
			{Kind: directory.MembersUpdated, Number: 2, Members: []id.Member{1, 2}, Standing: manager},
		})
	}},

	{"a membership that ended and is made again is a new one", func(w *world) {
		t := w.tenant("one")
		w.users(t, 1)
		w.groups(t, 1)
		var last int64
		for range 3 {
			rev := w.insert(t, directory.Standing{}, in(1, 1))
			m := get(w, t, func(r directory.Reader) ([]directory.Membership, error) {
				return r.Standing([]directory.Edge{in(1, 1)})
			})
			if len(m) != 1 || m[0].Added != rev || m[0].Revision != rev || m[0].Serial <= last {
				w.Fatalf("the membership made at %d is %+v", rev, m)
			}
			last = m[0].Serial
			w.remove(t, in(1, 1))
			if m := get(w, t, func(r directory.Reader) ([]directory.Membership, error) {
				return r.Standing([]directory.Edge{in(1, 1)})
			}); len(m) != 0 {
				w.Fatalf("after its end there is %+v", m)
			}
		}
	}},

	{"one commit may end a membership and make it again, change it and end it", func(w *world) {
		t := w.tenant("one")
		w.users(t, 2)
		w.groups(t, 1)
		first := w.insert(t, directory.Standing{Reason: "first"}, in(1, 1), in(2, 1))
		rev := w.update(t, func(wr directory.Writer) error {
			e := []directory.Edge{in(1, 1)}
			for _, err := range []error{
				wr.DeleteEdges(e), insertEdges(wr, e, directory.Standing{Reason: "again"}),
				updateEdges(wr, []directory.Edge{in(2, 1)}, directory.Standing{Reason: "second"}), wr.DeleteEdges([]directory.Edge{in(2, 1)}),
			} {
				if err != nil {
					return err
				}
			}
			return nil
		})
		m := get(w, t, func(r directory.Reader) ([]directory.Membership, error) {
			return r.Standing([]directory.Edge{in(1, 1), in(2, 1)})
		})
		if rev != first+1 || len(m) != 1 || m[0].Reason != "again" || m[0].Added != rev {
			w.Fatalf("after revision %d there is %+v", rev, m)
		}
	}},

	{"an edge on which a membership stands keeps it and says so", func(w *world) {
		t := w.tenant("one")
		w.users(t, 4)
		w.groups(t, 2)
		rev := w.insert(t, directory.Standing{Reason: "first"}, in(1, 1), within(2, 1))
		first := get(w, t, func(r directory.Reader) ([]directory.Membership, error) {
			return r.Standing([]directory.Edge{in(1, 1), within(2, 1)})
		})
		for i, c := range []struct {
			list    []directory.Edge
			present []directory.Edge
			added   []id.Member
		}{
			{[]directory.Edge{in(1, 1)}, []directory.Edge{in(1, 1)}, nil},
			{[]directory.Edge{in(1, 1), within(2, 1)}, []directory.Edge{in(1, 1), within(2, 1)}, nil},
			{[]directory.Edge{in(3, 1), in(1, 1), in(2, 1)}, []directory.Edge{in(1, 1)}, []id.Member{2, 3}},
			{[]directory.Edge{in(4, 1)}, nil, []id.Member{4}},
		} {
			var present []directory.Membership
			now := w.update(t, func(wr directory.Writer) (err error) {
				present, err = wr.InsertEdges(c.list, directory.Standing{Reason: "second"})
				return err
			})
			var got []directory.Edge
			for _, m := range present {
				got = append(got, m.Edge)
				if m.Reason != "first" || m.Added != rev {
					w.Errorf("step %d: what stood is said to be %+v", i, m)
				}
			}
			w.same(fmt.Sprintf("step %d: the edges that had one", i), got, c.present)
			if log := w.commits(t, rev); len(c.added) == 0 && now != rev+directory.Revision(max(0, i-1)) {
				w.Errorf("step %d made a revision", i)
			} else if len(c.added) > 0 {
				w.same(fmt.Sprintf("step %d: who was added", i), log[len(log)-1].Changes[0].Members, c.added)
			}
		}
		w.same("what stood at first", get(w, t, func(r directory.Reader) ([]directory.Membership, error) {
			return r.Standing([]directory.Edge{in(1, 1), within(2, 1)})
		}), first)
		joined := get(w, t, func(r directory.Reader) ([]directory.Membership, error) {
			return r.Memberships(directory.MembershipQuery{Group: 1, Limit: 10})
		})
		slices.SortFunc(joined, func(a, b directory.Membership) int { return cmp.Compare(a.Serial, b.Serial) })
		var order []id.Member
		for _, m := range joined {
			order = append(order, m.Member)
		}
		w.same("the order of joining", order, []id.Member{1, -2, 3, 2, 4})
	}},

	{"many edges are found at once whatever their numbers", func(w *world) {
		t := w.tenant("one")
		var all []directory.Edge
		w.update(t, func(wr directory.Writer) error {
			for _, n := range []id.Number{1, 2, 1 << 16, 1<<31 - 2, id.MaxNumber} {
				if err := wr.InsertUser(&directory.User{Name: fmt.Sprint(n), Number: n}); err != nil {
					return err
				}
				if err := wr.InsertGroup(&directory.Group{Name: fmt.Sprint(n), Number: n}); err != nil {
					return err
				}
				for _, m := range []id.Number{1, 2, 1 << 16, 1<<31 - 2, id.MaxNumber} {
					all = append(all, in(m, n))
					if m > n {
						all = append(all, within(m, n))
					}
				}
			}
			return insertEdges(wr, all, directory.Standing{})
		})
		m := get(w, t, func(r directory.Reader) ([]directory.Membership, error) {
			return r.Standing(append(slices.Clone(all), in(7, 7), within(7, 8)))
		})
		found := map[directory.Edge]int64{}
		for _, m := range m {
			found[m.Edge] = m.Serial
		}
		for i, e := range all {
			if found[e] != int64(i+1) {
				w.Errorf("edge %v has serial %d, want %d", e, found[e], i+1)
			}
		}
		if len(m) != len(all) {
			w.Errorf("%d edges were found, want %d", len(m), len(all))
		}
		half := all[:len(all)/2]
		w.update(t, func(wr directory.Writer) error { return updateEdges(wr, half, directory.Standing{Reason: "half"}) })
		for _, m := range get(w, t, func(r directory.Reader) ([]directory.Membership, error) { return r.Standing(all) }) {
			if (m.Reason == "half") != slices.Contains(half, m.Edge) {
				w.Errorf("edge %v stands with %q", m.Edge, m.Reason)
			}
		}
		w.remove(t, half...)
		if n := len(get(w, t, func(r directory.Reader) ([]directory.Membership, error) { return r.Standing(all) })); n != len(all)-len(half) {
			w.Errorf("%d edges are left, want %d", n, len(all)-len(half))
		}
	}},

	{"memberships come in pages of any size, groups before users, both ways round", func(w *world) {
		t := w.tenant("one")
		const n = 7
		w.users(t, n)
		w.groups(t, n)
		// Every user is in every group and every group is in all those below it.
		var all []directory.Edge
		for g := id.Number(1); g <= n; g++ {
			for u := id.Number(1); u <= n; u++ {
				all = append(all, in(u, g))
				if u > g {
					all = append(all, within(u, g))
				}
			}
		}
		w.insert(t, directory.Standing{}, all...)
		for _, limit := range []int{1, 2, 3, 5, n, 2 * n, 100} {
			for g := id.Number(1); g <= n; g++ {
				var got, want []id.Member
				for after := int64(0); ; {
					page := get(w, t, func(r directory.Reader) ([]directory.Membership, error) {
						return memberships(r, directory.MembershipQuery{Group: g, After: after, Limit: limit})
					})
					for _, m := range page {
						got, after = append(got, m.Member), directory.MemberCursor(m.Member)
					}
					if len(page) < limit {
						break
					}
				}
				for c := g + 1; c <= n; c++ {
					want = append(want, id.GroupMember(c))
				}
				for u := id.Number(1); u <= n; u++ {
					want = append(want, id.UserMember(u))
				}
				w.same(fmt.Sprintf("members of %d in pages of %d", g, limit), got, want)
			}
			for _, m := range []id.Member{id.UserMember(1), id.UserMember(n), id.GroupMember(n), id.GroupMember(2), id.GroupMember(1)} {
				var got, want []id.Number
				for after := int64(0); ; {
					page := get(w, t, func(r directory.Reader) ([]directory.Membership, error) {
						return memberships(r, directory.MembershipQuery{Member: m, After: after, Limit: limit})
					})
					for _, m := range page {
						got, after = append(got, m.Group), int64(m.Group)
					}
					if len(page) < limit {
						break
					}
				}
				for g := id.Number(1); g <= n; g++ {
					child, isGroup := m.Group()
					if !isGroup || g < child {
						want = append(want, g)
					}
				}
				w.same(fmt.Sprintf("groups of %d in pages of %d", m, limit), got, want)
			}
		}
		for _, after := range []int64{int64(id.MaxNumber) + n, 1<<62 + 5, 1<<32 + 1} {
			if m := get(w, t, func(r directory.Reader) ([]directory.Membership, error) {
				return r.Memberships(directory.MembershipQuery{Group: 1, After: after, Limit: 10})
			}); len(m) != 0 {
				w.Errorf("after %d there are %d memberships, want none", after, len(m))
			}
		}
	}},

	{"a moment leaves out who is not in at it, to the microsecond", func(w *world) {
		t := w.tenant("one")
		µs := time.Microsecond
		w.groups(t, 3)
		type who struct {
			user     directory.User
			standing directory.Standing
			in       [5]bool // at -2, -1, 0, +1, +2 µs
		}
		all := []who{
			{directory.User{Name: "always"}, directory.Standing{}, [5]bool{true, true, true, true, true}},
			{directory.User{Name: "suspended", Suspended: true}, directory.Standing{}, [5]bool{}},
			{directory.User{Name: "expires", Expires: start}, directory.Standing{}, [5]bool{true, true, false, false, false}},
			{directory.User{Name: "from"}, directory.Standing{From: start}, [5]bool{false, false, true, true, true}},
			{directory.User{Name: "until"}, directory.Standing{Until: start}, [5]bool{true, true, false, false, false}},
			{directory.User{Name: "between"}, directory.Standing{From: start.Add(-µs), Until: start.Add(µs)}, [5]bool{false, true, true, false, false}},
			{directory.User{Name: "both", Expires: start.Add(µs)}, directory.Standing{From: start}, [5]bool{false, false, true, false, false}},
		}
		for i := range all {
			all[i].user = w.user(t, all[i].user)
			w.insert(t, all[i].standing, in(all[i].user.Number, 1))
		}
		// A link with dates of its own, so that the way up ends with them.
		w.insert(t, directory.Standing{From: start.Add(-µs), Until: start.Add(µs)}, within(1, 2))
		w.insert(t, directory.Standing{}, within(2, 3))
		for i := range 5 {
			at := start.Add(time.Duration(i-2) * µs)
			linked := i == 1 || i == 2
			var direct, above []id.Number
			for _, x := range all {
				n := x.user.Number
				if x.in[i] {
					direct = append(direct, n)
					if linked {
						above = append(above, n)
					}
				}
				for g, want := range map[id.Number]bool{1: x.in[i], 2: x.in[i] && linked, 3: x.in[i] && linked} {
					if got := get(w, t, func(r directory.Reader) (bool, error) { return r.Check(n, g, at) }); got != want {
						w.Errorf("%s in group %d at %+d µs is %v, want %v", x.user.Name, g, i-2, got, want)
					}
				}
				var groups []id.Number
				if x.in[i] {
					groups = []id.Number{1}
					if linked {
						groups = []id.Number{1, 2, 3}
					}
				}
				w.same(fmt.Sprintf("groups of %s at %+d µs", x.user.Name, i-2),
					get(w, t, func(r directory.Reader) ([]id.Number, error) { return r.GroupsOf(id.UserMember(n), at) }), groups)
				m := get(w, t, func(r directory.Reader) ([]directory.Membership, error) {
					return r.Memberships(directory.MembershipQuery{Member: id.UserMember(n), At: at, Limit: 10})
				})
				if (len(m) == 1) != x.in[i] {
					w.Errorf("the memberships of %s at %+d µs are %v", x.user.Name, i-2, m)
				}
			}
			var listed []id.Number
			for _, m := range get(w, t, func(r directory.Reader) ([]directory.Membership, error) {
				return r.Memberships(directory.MembershipQuery{Group: 1, At: at, Limit: 10})
			}) {
				u, _ := m.Member.User()
				listed = append(listed, u)
			}
			w.same(fmt.Sprintf("memberships at %+d µs", i-2), listed, direct)
			for g, want := range map[id.Number][]id.Number{1: direct, 2: above, 3: above} {
				w.same(fmt.Sprintf("members of %d at %+d µs", g, i-2),
					get(w, t, func(r directory.Reader) ([]id.Number, error) { return r.MembersOf(g, at, 0, 100) }), want)
			}
			var links []id.Number
			if linked {
				links = []id.Number{2, 3}
			}
			w.same(fmt.Sprintf("groups of group 1 at %+d µs", i-2),
				get(w, t, func(r directory.Reader) ([]id.Number, error) { return r.GroupsOf(id.GroupMember(1), at) }), links)
		}
		if n := len(get(w, t, func(r directory.Reader) ([]directory.Membership, error) {
			return r.Memberships(directory.MembershipQuery{Group: 1, Limit: 10})
		})); n != len(all) {
			w.Errorf("at no moment %d memberships are listed, want all %d", n, len(all))
		}
	}},

	{"links are found below groups whatever their dates", func(w *world) {
		t := w.tenant("one")
		w.users(t, 1)
		w.groups(t, 5)
		w.insert(t, directory.Standing{}, within(2, 1), within(3, 1), in(1, 1))
		w.insert(t, directory.Standing{Until: start.Add(-time.Hour), Reason: "past"}, within(4, 2))
		w.insert(t, directory.Standing{From: start.Add(time.Hour)}, within(4, 3))
		ask := func(of ...id.Number) []directory.Edge {
			var list []directory.Edge
			for _, m := range get(w, t, func(r directory.Reader) ([]directory.Membership, error) { return r.Links(of) }) {
				list = append(list, m.Edge)
			}
			return list
		}
		w.same("in 1", ask(1), []directory.Edge{within(3, 1), within(2, 1)})
		w.same("in 2, 3 and 5", ask(2, 3, 5), []directory.Edge{within(4, 2), within(4, 3)})
		w.same("in 4", ask(4), []directory.Edge(nil))
		w.same("in nothing", ask(), []directory.Edge(nil))

		// And all the way down, in one go.
		w.insert(t, directory.Standing{}, within(5, 4), in(1, 4))
		descend := func(of ...id.Number) []directory.Link {
			return get(w, t, func(r directory.Reader) ([]directory.Link, error) { return r.Descend(of) })
		}
		past, later := directory.Link{Edge: within(4, 2), Until: start.Add(-time.Hour)}, directory.Link{Edge: within(4, 3), From: start.Add(time.Hour)}
		last := directory.Link{Edge: within(5, 4)}
		w.same("everything below 1", descend(1), []directory.Link{{Edge: within(3, 1)}, {Edge: within(2, 1)}, past, later, last})
		w.same("everything below 2 and 4", descend(4, 2, 4), []directory.Link{past, last})
		w.same("everything below 5", descend(5), []directory.Link(nil))
		w.same("everything below nothing", descend(), []directory.Link(nil))
	}},

	{"groups that grant are found and the shape changes when and only when what groups grant may", func(w *world) {
		t := w.tenant("one")
		w.users(t, 2)
		plain := w.group(t, directory.Group{Name: "plain"})
		admins := w.group(t, directory.Group{Name: "admins", Grants: directory.Admin})
		readers := w.group(t, directory.Group{Name: "readers", Grants: directory.ReadUsers})
		granting := func() []id.Number {
			var list []id.Number
			for _, g := range get(w, t, directory.Reader.Granting) {
				list = append(list, g.Number)
			}
			return list
		}
		w.same("the groups that grant", granting(), []id.Number{admins.Number, readers.Number})
		u := get(w, t, func(r directory.Reader) (directory.User, error) { return r.User(directory.ByNumber(2)) })
		shape := w.shape(t)
		step := func(what string, changes bool, fn func(directory.Writer) error) {
			w.Helper()
			var inside int64
			w.update(t, func(wr directory.Writer) error {
				err := fn(wr)
				if err == nil {
					inside, err = wr.Shape()
				}
				return err
			})
			now := w.shape(t)
			if changes != (now != shape) || inside != now {
				w.Errorf("%s: the shape went from %d to %d (%d inside the transaction); want a change: %v", what, shape, now, inside, changes)
			}
			shape = now
		}
		edge := func(e directory.Edge) []directory.Edge { return []directory.Edge{e} }
		step("a user", false, func(wr directory.Writer) error { return wr.InsertUser(&directory.User{Name: "x"}) })
		step("a user's update", false, func(wr directory.Writer) error {
			after := u
			after.Suspended = true
			return wr.UpdateUser(u, after)
		})
		step("a user's end", false, func(wr directory.Writer) error { return wr.DeleteUser(u) })
		step("a plain group", false, func(wr directory.Writer) error { return wr.InsertGroup(&directory.Group{Name: "x"}) })
		step("a membership of a user", false, func(wr directory.Writer) error {
			return insertEdges(wr, edge(in(1, admins.Number)), directory.Standing{})
		})
		step("its change", false, func(wr directory.Writer) error {
			return updateEdges(wr, edge(in(1, admins.Number)), directory.Standing{Reason: "x"})
		})
		step("its end", false, func(wr directory.Writer) error { return wr.DeleteEdges(edge(in(1, admins.Number))) })
		step("a group's name", false, func(wr directory.Writer) error {
			after := plain
			after.Name = "renamed"
			return wr.UpdateGroup(plain, after)
		})
		step("a group with grants", true, func(wr directory.Writer) error {
			return wr.InsertGroup(&directory.Group{Name: "y", Grants: directory.ReadGroups})
		})
		step("a link", true, func(wr directory.Writer) error {
			return insertEdges(wr, edge(within(plain.Number, admins.Number)), directory.Standing{})
		})
		step("a link's end", true, func(wr directory.Writer) error { return wr.DeleteEdges(edge(within(plain.Number, admins.Number))) })
		step("other grants", true, func(wr directory.Writer) error {
			after := readers
			after.Grants = directory.ReadGroups
			return wr.UpdateGroup(readers, after)
		})
		step("no grants", true, func(wr directory.Writer) error {
			g, err := wr.Group(directory.ByNumber(int64(readers.Number)))
			if err != nil {
				return err
			}
			after := g
			after.Grants = 0
			return wr.UpdateGroup(g, after)
		})
		step("the end of a group that grants", true, func(wr directory.Writer) error { return wr.DeleteGroup(admins) })
		w.same("the groups that still grant", granting(), []id.Number{5})
	}},
}

// memberships asks in full and bare, which must tell of the same edges.
func memberships(p directory.Past, q directory.MembershipQuery) ([]directory.Membership, error) {
	full, err := p.Memberships(q)
	if err != nil || q.Joining {
		return full, err
	}
	q.Bare = true
	bare, err := p.Memberships(q)
	if err != nil {
		return nil, err
	}
	if !slices.EqualFunc(full, bare, func(m, only directory.Membership) bool { return only == directory.Membership{Edge: m.Edge} }) {
		return nil, fmt.Errorf("%+v bare is %v, in full %v", q, bare, full)
	}
	return full, nil
}
