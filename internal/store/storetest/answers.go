package storetest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"roster/internal/directory"
	"roster/internal/id"
)

// graph is a tenant made of maps, walked for every answer.
type graph struct {
	users  map[id.Number]directory.User
	groups int
	edges  map[directory.Edge]directory.Standing
}

// above adds to found the groups that m stands in at a moment.
func (g graph) above(m id.Member, at time.Time, found map[id.Number]bool) {
	for e, s := range g.edges {
		if e.Member == m && s.HoldsAt(at) && !found[e.Group] {
			found[e.Group] = true
			g.above(id.GroupMember(e.Group), at, found)
		}
	}
}

func (g graph) groupsOf(m id.Member, at time.Time) []id.Number {
	found := map[id.Number]bool{}
	if u, ok := m.User(); !ok || g.users[u].ActiveAt(at) {
		g.above(m, at, found)
	}
	return slices.Sorted(maps.Keys(found))
}

// drawGraph draws a tenant of which groups stand only in groups with a smaller
// number, so that there is no cycle.
func drawGraph(t *rapid.T) graph {
	g := graph{users: map[id.Number]directory.User{}, groups: rapid.IntRange(1, 8).Draw(t, "groups"), edges: map[directory.Edge]directory.Standing{}}
	moment := rapid.Custom(func(t *rapid.T) time.Time {
		n := rapid.IntRange(-2, 3).Draw(t, "µs")
		if n == 3 {
			return time.Time{}
		}
		return start.Add(time.Duration(n) * time.Microsecond)
	})
	users := rapid.IntRange(1, 6).Draw(t, "users")
	for n := 1; n <= users; n++ {
		u := directory.User{Name: fmt.Sprint("u", n), Number: id.Number(n), Suspended: rapid.IntRange(0, 5).Draw(t, "suspended") == 0}
		if rapid.IntRange(0, 3).Draw(t, "expiring") == 0 {
			u.Expires = moment.Draw(t, "expires")
		}
		g.users[u.Number] = u
	}
	for range rapid.IntRange(0, 25).Draw(t, "edges") {
		group := id.Number(rapid.IntRange(1, g.groups).Draw(t, "group"))
		e := in(id.Number(rapid.IntRange(1, users).Draw(t, "user")), group)
		if child := id.Number(rapid.IntRange(1, g.groups).Draw(t, "child")); child > group {
			e = within(child, group)
		}
		var s directory.Standing
		if rapid.Bool().Draw(t, "dated") {
			s.From, s.Until = moment.Draw(t, "from"), moment.Draw(t, "until")
		}
		g.edges[e] = s
	}
	return g
}

// put writes the graph into a tenant in one commit.
func (g graph) put(wr directory.Writer) error {
	for _, n := range slices.Sorted(maps.Keys(g.users)) {
		u := g.users[n]
		if err := wr.InsertUser(&u); err != nil {
			return err
		}
	}
	for n := 1; n <= g.groups; n++ {
		if err := wr.InsertGroup(&directory.Group{Name: fmt.Sprint("g", n), Number: id.Number(n)}); err != nil {
			return err
		}
	}
	byStanding := map[directory.Standing][]directory.Edge{}
	for e, s := range g.edges {
		byStanding[s] = append(byStanding[s], e)
	}
	for s, list := range byStanding {
		if err := insertEdges(wr, list, s); err != nil {
			return err
		}
	}
	return nil
}

var answers = []testCase{
	{"every answer is that of a naive walk over the same graph", func(w *world) {
		made := 0
		rapid.Check(w.T, func(rt *rapid.T) {
			g := drawGraph(rt)
			made++
			t := w.tenant(fmt.Sprintf("t%d", made))
			w.update(t, g.put)
			err := w.store.View(w.Context(), t, func(r directory.Reader) error {
				for d := -3; d <= 3; d++ {
					if err := g.compare(r, start.Add(time.Duration(d)*time.Microsecond)); err != nil {
						return fmt.Errorf("at %+d µs: %w", d, err)
					}
				}
				return nil
			})
			if err != nil {
				rt.Fatal(err)
			}
		})
	}},

	{"a walk ends though links go round", func(w *world) {
		t := w.tenant("one")
		w.users(t, 1)
		w.groups(t, 3)
		w.insert(t, directory.Standing{}, within(1, 2), within(2, 3), within(3, 1), in(1, 1))
		w.same("groups", get(w, t, func(r directory.Reader) ([]id.Number, error) { return r.GroupsOf(id.UserMember(1), start) }), []id.Number{1, 2, 3})
		w.same("members", get(w, t, func(r directory.Reader) ([]id.Number, error) { return r.MembersOf(3, start, 0, 10) }), []id.Number{1})
	}},

	{"who and what does not exist is in nothing and has nobody", func(w *world) {
		t := w.tenant("one")
		w.users(t, 1)
		w.groups(t, 1)
		w.insert(t, directory.Standing{}, in(1, 1))
		for _, c := range []struct{ user, group id.Number }{{0, 1}, {1, 0}, {2, 1}, {1, 2}, {0, 0}} {
			if get(w, t, func(r directory.Reader) (bool, error) { return r.Check(c.user, c.group, start) }) {
				w.Errorf("user %d is in group %d", c.user, c.group)
			}
		}
		for _, m := range []id.Member{0, id.UserMember(2), id.GroupMember(2), id.GroupMember(1)} {
			if g := get(w, t, func(r directory.Reader) ([]id.Number, error) { return r.GroupsOf(m, start) }); len(g) != 0 {
				w.Errorf("member %d is in %v", m, g)
			}
		}
		for _, g := range []id.Number{0, 2} {
			if m := get(w, t, func(r directory.Reader) ([]id.Number, error) { return r.MembersOf(g, start, 0, 10) }); len(m) != 0 {
				w.Errorf("group %d has %v", g, m)
			}
		}
	}},
}

// compare asks everything there is to ask at one moment.
func (g graph) compare(r directory.Reader, at time.Time) error {
	members := make(map[id.Number][]id.Number)
	for n := id.Number(1); int(n) <= len(g.users); n++ {
		want := g.groupsOf(id.UserMember(n), at)
		got, err := r.GroupsOf(id.UserMember(n), at)
		if err != nil || !slices.Equal(got, want) {
			return fmt.Errorf("GroupsOf user %d is %v, %v; want %v", n, got, err, want)
		}
		for group := id.Number(1); int(group) <= g.groups; group++ {
			is := slices.Contains(want, group)
			if is {
				members[group] = append(members[group], n)
			}
			if got, err := r.Check(n, group, at); err != nil || got != is {
				return fmt.Errorf("method Check of user %d in group %d is %v, %v; want %v", n, group, got, err, is)
			}
		}
	}
	if err := g.comparePlacements(r, at); err != nil {
		return err
	}
	for group := id.Number(1); int(group) <= g.groups; group++ {
		want := g.groupsOf(id.GroupMember(group), at)
		if got, err := r.GroupsOf(id.GroupMember(group), at); err != nil || !slices.Equal(got, want) {
			return fmt.Errorf("GroupsOf group %d is %v, %v; want %v", group, got, err, want)
		}
		for _, limit := range []int{1, 2, 100} {
			var got []id.Number
			for after := id.Number(0); ; {
				page, err := r.MembersOf(group, at, after, limit)
				if err != nil {
					return err
				}
				got = append(got, page...)
				if len(page) < limit {
					break
				}
				after = page[len(page)-1]
			}
			if !slices.Equal(got, members[group]) {
				return fmt.Errorf("MembersOf group %d in pages of %d is %v; want %v", group, limit, got, members[group])
			}
		}
	}
	return nil
}

// comparePlacements asks where everybody stands, active or not, at once.
func (g graph) comparePlacements(r directory.Reader, at time.Time) error {
	all := slices.Sorted(maps.Keys(g.users))
	for _, users := range [][]id.Number{all, all[:1], {9999, all[len(all)-1]}, nil} {
		var want []directory.Edge
		for _, u := range slices.Sorted(slices.Values(users)) {
			found := map[id.Number]bool{}
			g.above(id.UserMember(u), at, found)
			for _, group := range slices.Sorted(maps.Keys(found)) {
				want = append(want, in(u, group))
			}
		}
		if got, err := r.Placements(users, at); err != nil || !slices.Equal(got, want) {
			return fmt.Errorf("method Placements of users %d is %v, %v; want %v", users, got, err, want)
		}
	}
	return nil
}
