package index

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"roster/internal/id"
)

// An oracle is a State made of maps, that walks for every answer.
type oracle struct {
	users  map[id.Number]person
	groups map[id.Number]id.Group
	edges  map[end]period
}

type person struct {
	ID        id.User
	Suspended bool
	Expires   int64
}

type end struct {
	group  id.Number
	member id.Member
}

func newOracle() oracle {
	return oracle{map[id.Number]person{}, map[id.Number]id.Group{}, map[end]period{}}
}

func (o oracle) clone() oracle {
	return oracle{maps.Clone(o.users), maps.Clone(o.groups), maps.Clone(o.edges)}
}

// groupsOf adds to in the groups that m stands in at now.
func (o oracle) groupsOf(m id.Member, now int64, transitive bool, in map[id.Number]bool) {
	for g := range o.groups {
		p, ok := o.edges[end{g, m}]
		if !ok || in[g] || p.from != 0 && now < p.from || p.until != 0 && now >= p.until {
			continue
		}
		in[g] = true
		if transitive {
			o.groupsOf(id.GroupMember(g), now, true, in)
		}
	}
}

func (o oracle) active(u id.Number, now int64) bool {
	p, ok := o.users[u]
	return ok && !p.Suspended && (p.Expires == 0 || now < p.Expires)
}

// reaches reports whether edges of any dates lead from one group up to another.
func (o oracle) reaches(from, to id.Number) bool {
	if from == to {
		return true
	}
	for e := range o.edges {
		if e.member == id.GroupMember(from) && o.reaches(e.group, to) {
			return true
		}
	}
	return false
}

func (o oracle) put(e Edge) {
	o.edges[end{e.Group, e.Member}] = period{from: e.From, until: e.Until}
}

func (o oracle) drop(m id.Member, group id.Number) {
	maps.DeleteFunc(o.edges, func(e end, _ period) bool {
		return m != 0 && e.member == m || group != 0 && e.group == group
	})
}

// answers is everything there is to ask at one instant.
type answers struct {
	Users, Active, Groups []id.Number
	Of                    map[string][]id.Number
	Count                 map[string]int
}

// Numbers that share leaves, twigs and limbs, or do not.
var (
	someUsers  = []id.Number{1, 2, 3, 4, 5, 17, 63, 64, 1024, 70_000, 70_001, 5_000_000, id.MaxNumber}
	someGroups = []id.Number{1, 2, 3, 4, 16, 1025, 65_536, id.MaxNumber - 1}
	instants   = []int64{-1, 0, 5, 10, 15, math.MaxInt64}
)

func (o oracle) answers(now int64) answers {
	a := answers{Of: map[string][]id.Number{}, Count: map[string]int{}}
	add := func(key string, n id.Number) { a.Of[key] = append(a.Of[key], n) }
	for _, u := range someUsers {
		if _, ok := o.users[u]; ok {
			a.Users = append(a.Users, u)
		}
		if !o.active(u, now) {
			continue
		}
		a.Active = append(a.Active, u)
		for _, transitive := range []bool{false, true} {
			in := map[id.Number]bool{}
			o.groupsOf(id.UserMember(u), now, transitive, in)
			for _, g := range someGroups {
				if in[g] {
					add(fmt.Sprint("groups of user ", u, transitive), g)
					add(fmt.Sprint("members of ", g, transitive), u)
					a.Count[fmt.Sprint(g, transitive)]++
				}
			}
		}
	}
	for _, g := range someGroups {
		if _, ok := o.groups[g]; ok {
			a.Groups = append(a.Groups, g)
		}
		for _, transitive := range []bool{false, true} {
			in := map[id.Number]bool{}
			o.groupsOf(id.GroupMember(g), now, transitive, in)
			for _, parent := range someGroups {
				if in[parent] {
					add(fmt.Sprint("parents of ", g, transitive), parent)
					add(fmt.Sprint("subgroups of ", parent, transitive), g)
				}
			}
		}
	}
	return a
}

// told is the same from a State, asked in every way that it can be.
func told(t *rapid.T, s *State, now int64) answers {
	a := answers{Of: map[string][]id.Number{}, Count: map[string]int{}}
	set := func(key string, ns []id.Number) {
		if len(ns) > 0 {
			a.Of[key] = ns
		}
	}
	for _, u := range someUsers {
		if s.HasUser(u) {
			a.Users = append(a.Users, u)
		}
		if s.Active(u, now) {
			a.Active = append(a.Active, u)
		}
		direct, all := s.Groups(u, now, false), s.Groups(u, now, true)
		set(fmt.Sprint("groups of user ", u, false), direct)
		set(fmt.Sprint("groups of user ", u, true), all)
		for _, g := range someGroups {
			if got, want := s.CheckDirect(u, g, now), slices.Contains(direct, g); got != want {
				t.Fatalf("CheckDirect(%d, %d, %d) is %v, but Groups says %v", u, g, now, got, want)
			}
			if got, want := s.Check(u, g, now), slices.Contains(all, g); got != want {
				t.Fatalf("Check(%d, %d, %d) is %v, but Groups says %v", u, g, now, got, want)
			}
		}
	}
	for _, g := range someGroups {
		if s.HasGroup(g) {
			a.Groups = append(a.Groups, g)
		}
		for _, transitive := range []bool{false, true} {
			members := slices.Collect(s.Members(g, 0, now, transitive))
			set(fmt.Sprint("members of ", g, transitive), members)
			if n := s.Count(g, now, transitive); n > 0 {
				a.Count[fmt.Sprint(g, transitive)] = n
			}
			for _, limit := range []int{1, 3} {
				var paged []id.Number
				for after := id.Number(0); ; after = paged[len(paged)-1] {
					page := s.MembersAfter(g, after, now, transitive, limit)
					paged = append(paged, page...)
					if len(page) < limit {
						break
					}
				}
				if diff := cmp.Diff(members, paged); diff != "" {
					t.Fatalf("members of %d in pages of %d differ from the list (-list +pages):\n%s", g, limit, diff)
				}
			}
			for _, limit := range []int{1, 3} {
				var back []id.Number
				for before := id.Number(0); ; before = back[len(back)-1] {
					page := s.MembersBefore(g, before, now, transitive, limit)
					back = append(back, page...)
					if len(page) < limit || page[limit-1] == 1 {
						break
					}
				}
				slices.Reverse(back)
				if diff := cmp.Diff(members, back); diff != "" {
					t.Fatalf("members of %d from the end in pages of %d differ from the list (-list +pages):\n%s", g, limit, diff)
				}
			}
			set(fmt.Sprint("parents of ", g, transitive), s.Parents(g, now, transitive))
			set(fmt.Sprint("subgroups of ", g, transitive), s.Subgroups(g, now, transitive))
		}
		above := s.Parents(g, now, true)
		for _, parent := range someGroups {
			if got, want := s.Within(g, parent, now), slices.Contains(above, parent); got != want {
				t.Fatalf("Within(%d, %d, %d) is %v, but Parents says %v", g, parent, now, got, want)
			}
		}
	}
	return a
}

// agree compares a State with what the oracle says of the same moment.
func agree(t *rapid.T, s *State, o oracle) {
	for _, now := range instants {
		if diff := cmp.Diff(o.answers(now), told(t, s, now)); diff != "" {
			t.Fatalf("at revision %d and instant %d the answers differ (-walk +index):\n%s", s.Revision(), now, diff)
		}
	}
	for _, n := range someUsers {
		p, held := o.users[n]
		got, ok := s.UserID(n)
		if ok != held || got != p.ID {
			t.Fatalf("UserID(%d) is %v, %v, want %v, %v", n, got, ok, p.ID, held)
		}
		if back, ok := s.User(id.User(uuid('u', n))); ok != held || held && back != n {
			t.Fatalf("User of the id of %d is %d, %v, want held %v", n, back, ok, held)
		}
	}
	for _, n := range someGroups {
		g, held := o.groups[n]
		got, ok := s.GroupID(n)
		if ok != held || got != g {
			t.Fatalf("GroupID(%d) is %v, %v, want %v, %v", n, got, ok, g, held)
		}
		if back, ok := s.Group(id.Group(uuid('g', n))); ok != held || held && back != n {
			t.Fatalf("Group of the id of %d is %d, %v, want held %v", n, back, ok, held)
		}
		users, groups := []id.Number{}, []id.Number{}
		for _, u := range someUsers {
			_, stands := o.edges[end{n, id.UserMember(u)}]
			if stands {
				users = append(users, u)
			}
			if got := s.Stands(u, n); got != stands {
				t.Fatalf("Stands(%d, %d) is %v, want %v", u, n, got, stands)
			}
		}
		for _, g := range someGroups {
			if _, stands := o.edges[end{n, id.GroupMember(g)}]; stands {
				groups = append(groups, g)
			}
		}
		if got := s.Standing(n); got != len(users) {
			t.Fatalf("Standing(%d) is %d, want %d", n, got, len(users))
		}
		if got := s.StandingUsers(n); !slices.Equal(got, users) {
			t.Fatalf("StandingUsers(%d) is %v, want %v", n, got, users)
		}
		if got := s.StandingGroups(n); !slices.Equal(got, groups) {
			t.Fatalf("StandingGroups(%d) is %v, want %v", n, got, groups)
		}
	}
}

// lower gives the variable another value until the test ends.
func lower[T any](t *testing.T, v *T, value T) {
	old := *v
	*v = value
	t.Cleanup(func() { *v = old })
}

func TestEveryAnswerIsThatOfANaiveWalk(t *testing.T) {
	lower(t, &manyAbove, 4)
	lower(t, &closureMax, 3)
	rapid.Check(t, func(t *rapid.T) {
		type moment struct {
			state  *State
			oracle oracle
		}
		s, o := NewState(), newOracle()
		var past []moment
		user := rapid.SampledFrom(someUsers)
		group := rapid.SampledFrom(someGroups)
		instant := rapid.SampledFrom([]int64{0, 0, 0, 5, 10, 15})
		for range rapid.IntRange(1, 5).Draw(t, "batches") {
			past = append(past, moment{s, o.clone()})
			e := s.Edit()
			for range rapid.IntRange(0, 40).Draw(t, "changes") {
				u, g, from, until := user.Draw(t, "user"), group.Draw(t, "group"), int64(0), int64(0)
				if rapid.IntRange(0, 3).Draw(t, "dated") == 0 {
					from, until = instant.Draw(t, "from"), instant.Draw(t, "until")
				}
				_, userHeld := o.users[u]
				_, groupHeld := o.groups[g]
				switch rapid.SampledFrom([]string{
					"put user", "put user", "put group", "put group", "add", "add", "add", "nest", "nest", "nest",
					"remove", "unnest", "add many", "remove many", "drop user", "drop group",
				}).Draw(t, "change") {
				case "put user":
					p := person{id.User(uuid('u', u)), rapid.IntRange(0, 5).Draw(t, "suspended") == 0, until}
					e.PutUser(u, p.ID, p.Suspended, p.Expires)
					o.users[u] = p
				case "put group":
					o.groups[g] = id.Group(uuid('g', g))
					e.PutGroup(g, o.groups[g])
				case "add":
					edge := Edge{g, id.UserMember(u), from, until}
					if got, want := e.Put(edge), userHeld && groupHeld; got != want {
						t.Fatalf("Put(%+v) is %v, want %v", edge, got, want)
					}
					if userHeld && groupHeld {
						o.put(edge)
					}
				case "nest":
					child := group.Draw(t, "child")
					_, childHeld := o.groups[child]
					if child != g && o.reaches(g, child) {
						continue // the writer refuses a cycle
					}
					edge := Edge{g, id.GroupMember(child), from, until}
					if got, want := e.Put(edge), childHeld && groupHeld && child != g; got != want {
						t.Fatalf("Put(%+v) is %v, want %v", edge, got, want)
					} else if want {
						o.put(edge)
					}
				case "remove":
					e.Remove(g, id.UserMember(u))
					delete(o.edges, end{g, id.UserMember(u)})
				case "unnest":
					m := id.GroupMember(group.Draw(t, "child"))
					e.Remove(g, m)
					delete(o.edges, end{g, m})
				case "add many":
					us := rapid.SliceOf(user).Draw(t, "users")
					want := true
					for _, u := range us {
						if _, held := o.users[u]; held && groupHeld {
							o.put(Edge{Group: g, Member: id.UserMember(u)})
						} else {
							want = false
						}
					}
					if got := e.PutMembers(g, us); got != want {
						t.Fatalf("PutMembers(%d, %v) is %v, want %v", g, us, got, want)
					}
				case "remove many":
					us := rapid.SliceOf(user).Draw(t, "users")
					e.RemoveMembers(g, us)
					for _, u := range us {
						delete(o.edges, end{g, id.UserMember(u)})
					}
				case "drop user":
					e.DropUser(u)
					o.drop(id.UserMember(u), 0)
					delete(o.users, u)
				case "drop group":
					e.DropGroup(g)
					o.drop(id.GroupMember(g), g)
					delete(o.groups, g)
				}
			}
			s = e.Commit(s.Revision() + 1)
			agree(t, s, o)
		}
		for _, then := range past {
			agree(t, then.state, then.oracle)
		}
	})
}

func TestALargeSetIsTheSameThroughEveryWayOfChangingIt(t *testing.T) {
	lower(t, &manyAbove, 400)
	rapid.Check(t, func(t *rapid.T) {
		var s set
		want := map[uint32]bool{}
		o, fresh := newOwner(), true
		for range rapid.IntRange(1, 8).Draw(t, "changes") {
			before, kept := s, slices.Collect(s.numbers)
			if rapid.Bool().Draw(t, "another editor") {
				o, fresh = newOwner(), false
			}
			shared := !fresh
			start := rapid.SampledFrom([]uint32{1, 300, 65_400, 131_000, 1 << 30}).Draw(t, "start")
			step := rapid.SampledFrom([]uint32{1, 2, 37}).Draw(t, "step")
			var xs []uint32
			for i := range rapid.SampledFrom([]uint32{1, 300, 600, 5000}).Draw(t, "how many") {
				xs = append(xs, start+i*step)
			}
			way := rapid.SampledFrom([]string{"all", "each", "remove"}).Draw(t, "way")
			if way == "all" {
				s.addAll(o, fresh, xs)
			}
			for _, x := range xs {
				switch way {
				case "each":
					if !s.has(x) {
						s.add(o, fresh, x)
						fresh = true
					}
				case "remove":
					if s.has(x) {
						s.remove(o, fresh, x)
						fresh = true
					}
				}
				want[x] = way != "remove"
			}
			maps.DeleteFunc(want, func(_ uint32, in bool) bool { return !in })
			wanted := slices.Sorted(maps.Keys(want))
			if diff := cmp.Diff(wanted, slices.Collect(s.numbers)); diff != "" || s.len() != len(wanted) {
				t.Fatalf("after %q from %d by %d the set of %d differs (-want +got):\n%s", way, start, step, s.len(), diff)
			}
			if shared && !slices.Equal(kept, slices.Collect(before.numbers)) {
				t.Fatalf("%q from %d by %d changed the set of another editor", way, start, step)
			}
			fresh = fresh || way == "all"
		}
	})
}
