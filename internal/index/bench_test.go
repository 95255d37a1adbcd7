package index

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"roster/internal/id"
)

var full = flag.Bool("full", false, "build the directory of 10M memberships")

// A shape is how large a directory is made: groups in groups five levels deep,
// with about four ancestors each, and groups sized by Zipf's law.
type shape struct {
	users, groups, edges int
}

var (
	million    = shape{users: 100_000, groups: 10_000, edges: 1_000_000}
	tenMillion = shape{users: 1_000_000, groups: 100_000, edges: 10_000_000}
)

// uuid is an id that n alone decides.
func uuid(kind byte, n id.Number) (b [16]byte) {
	r := rand.New(rand.NewPCG(uint64(kind), uint64(n)))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	b[0] = kind
	return b
}

// build makes a directory of the shape, and tells how many memberships it has.
func build(h shape) (s *State, edges int) {
	r := rand.New(rand.NewPCG(1, 2))
	e := NewState().Edit()
	for n := 1; n <= h.users; n++ {
		e.PutUser(id.Number(n), id.User(uuid('u', id.Number(n))), false, 0)
	}
	for n := 1; n <= h.groups; n++ {
		e.PutGroup(id.Number(n), id.Group(uuid('g', id.Number(n))))
	}
	// Sizes fall as 1/rank, and add up to the edges that are left.
	scale := float64(h.edges) / (math.Log(float64(h.groups)) + 0.5772)
	ranks := r.Perm(h.groups)
	users := make([]id.Number, 0, h.users)
	for n := 1; n <= h.groups; n++ {
		size := min(int(scale/float64(ranks[n-1]+1)+r.Float64()), h.users)
		users = users[:0]
		if size > h.users/8 {
			for u := range h.users {
				if r.IntN(h.users) < size {
					users = append(users, id.Number(u+1))
				}
			}
		} else {
			for range size {
				users = append(users, id.Number(r.IntN(h.users)+1))
			}
			slices.Sort(users)
			users = slices.Compact(users)
		}
		edges += len(users)
		for _, u := range users {
			e.Put(Edge{Group: id.Number(n), Member: id.UserMember(u)})
		}
	}
	// A fifth of the groups on each level, all but the top one below one or two
	// of the level above: 0, 1.2, 2.6, … ancestors, and four on average.
	level := h.groups / 5
	for n := level + 1; n <= h.groups; n++ {
		above := (n-1)/level*level - level
		for range 1 + r.IntN(2) {
			e.Put(Edge{Group: id.Number(above + r.IntN(level) + 1), Member: id.GroupMember(id.Number(n))})
		}
	}
	return e.Commit(1), edges
}

// heap is the heap in use after collection.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// weigh builds a directory and returns what a membership costs in bytes of heap.
func weigh(t testing.TB, h shape) float64 {
	before := heap()
	start := time.Now()
	s, edges := build(h)
	took := time.Since(start)
	built := heap() - before
	for g := range h.groups {
		s.above(uint32(g + 1))
	}
	after := heap() - before
	each := float64(after) / float64(edges)
	ancestors := float64(s.memory.count.Load()) / float64(h.groups)
	t.Logf("%d memberships built in %v: %.1f bytes each, %.1f with %.1f ancestors a group remembered; State.Bytes says %.1f",
		edges, took.Round(time.Millisecond), float64(built)/float64(edges), each, ancestors, float64(s.Bytes())/float64(edges))
	if off := float64(s.Bytes()) / float64(after); off < 0.8 || off > 1.2 {
		t.Errorf("State.Bytes of %d memberships is %d, want within a fifth of the heap, %d", edges, s.Bytes(), after)
	}
	runtime.KeepAlive(s)
	return each
}

func TestAMembershipTakesLessThanSixteenBytes(t *testing.T) {
	h := million
	if *full {
		h = tenMillion
	}
	if each := weigh(t, h); each >= 16 {
		t.Errorf("a membership of %+v takes %.1f bytes of heap, want less than 16", h, each)
	}
}

var directory = sync.OnceValue(func() *State {
	h := million
	if *full {
		h = tenMillion
	}
	s, _ := build(h)
	for g := range s.groups.count {
		s.above(uint32(g + 1))
	}
	return s
})

func BenchmarkCheck(b *testing.B) {
	s := directory()
	users, groups := uint32(s.users.count), uint32(s.groups.count)
	r := rand.New(rand.NewPCG(3, 4))
	type question struct{ user, group id.Number }
	random := make([]question, 1<<20)
	nested := make([]question, 1<<20)
	for i := range random {
		u := id.Number(r.Uint32N(users) + 1)
		random[i] = question{u, id.Number(r.Uint32N(groups) + 1)}
		nested[i] = random[i]
		if in := s.Groups(u, 0, true); len(in) > 0 {
			nested[i].group = in[r.IntN(len(in))]
		}
	}
	for _, c := range []struct {
		name string
		ask  func(user, group id.Number, now int64) bool
		qs   []question
	}{
		{"direct", s.CheckDirect, random},
		{"transitive, mostly no", s.Check, random},
		{"transitive, yes", s.Check, nested},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				q := c.qs[i&(len(c.qs)-1)]
				c.ask(q.user, q.group, 1)
				i++
			}
		})
	}
}

// crowd has a group 1 of size users, and twice as many users.
func crowd(size int) *State {
	e := NewState().Edit()
	e.PutGroup(1, id.Group(uuid('g', 1)))
	var members []id.Number
	for n := id.Number(1); n <= id.Number(2*size); n++ {
		e.PutUser(n, id.User(uuid('u', n)), false, 0)
		if n%2 == 0 {
			members = append(members, n)
		}
	}
	e.PutMembers(1, members)
	return e.Commit(1)
}

func BenchmarkCommitOneMember(b *testing.B) {
	for _, size := range []int{10, 1_000_000} {
		b.Run(fmt.Sprintf("into %d", size), func(b *testing.B) {
			s := crowd(size)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				e := s.Edit()
				e.Put(Edge{Group: 1, Member: id.UserMember(id.Number(2*(i*7919%size) + 1))})
				e.Commit(2)
				i++
			}
		})
	}
}

func BenchmarkPutMembers(b *testing.B) {
	s := crowd(1_000_000)
	r := rand.New(rand.NewPCG(5, 6))
	users := make([]id.Number, 10_000)
	for i := range users {
		users[i] = 2*id.Number(r.IntN(1_000_000)) + 1
	}
	b.ReportAllocs()
	for b.Loop() {
		e := s.Edit()
		e.PutMembers(1, users)
		e.Commit(2)
	}
}

func BenchmarkPageOfAThousand(b *testing.B) {
	s := crowd(1_000_000)
	for _, after := range []id.Number{0, 1_000_000, 1_990_000} {
		b.Run(fmt.Sprintf("after %d", after), func(b *testing.B) {
			for b.Loop() {
				if page := s.MembersAfter(1, after, 0, true, 1000); len(page) != 1000 {
					b.Fatalf("page after %d has %d members, want 1000", after, len(page))
				}
			}
		})
	}
}
