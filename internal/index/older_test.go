package index

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"roster/internal/id"
)

// grown returns the State after one that a user more is in a group of.
func grown(s *State, group, user id.Number) *State {
	e := s.Edit()
	e.PutUser(user, id.User(uuid('u', user)), false, 0)
	e.Put(Edge{Group: group, Member: id.UserMember(user)})
	return e.Commit(s.Revision() + 1)
}

func TestAStateThatIsKeptAnswersAfterLaterOnesArePublished(t *testing.T) {
	x, tenant := New(1<<30), id.Tenant{1}
	s := crowd(10)
	x.Publish(tenant, s)
	x.Keep(tenant, s)
	next := grown(s, 1, 1000)
	x.Publish(tenant, next)
	last := grown(next, 1, 1001)
	x.Publish(tenant, last)
	for _, c := range []struct {
		revision uint64
		want     *State
	}{{0, nil}, {1, s}, {2, nil}, {3, last}, {4, nil}} {
		if got := x.At(tenant, c.revision); got != c.want {
			t.Errorf("At(%d) is %p, want %p", c.revision, got, c.want)
		}
	}
	if n := s.Count(1, 0, true); n != 10 {
		t.Errorf("what is kept counts %d members, want the 10 there were", n)
	}
	if got := x.At(id.Tenant{2}, 1); got != nil {
		t.Errorf("another tenant has a State at revision 1")
	}
	if n := testing.AllocsPerRun(100, func() { x.At(tenant, 1); x.At(tenant, 3); x.At(tenant, 2); x.Keep(tenant, s) }); n != 0 {
		t.Errorf("looking up by revision allocates %v times, want 0", n)
	}
	x.Forget(tenant)
	if x.At(tenant, 1) != nil || x.Bytes() != 0 {
		t.Errorf("of a forgotten tenant %v is kept, %d bytes", x.At(tenant, 1), x.Bytes())
	}
	x.Keep(tenant, s)
	if x.At(tenant, 1) != nil || x.Bytes() != 0 {
		t.Errorf("a State of a cold tenant is kept")
	}
}

func TestWhatIsKeptCostsWhatWasReplacedSince(t *testing.T) {
	x, tenant := New(1<<30), id.Tenant{1}
	s := crowd(100_000)
	x.Publish(tenant, s)
	x.Keep(tenant, s)
	if x.Bytes() != s.Bytes() {
		t.Errorf("keeping the latest State costs %d bytes", x.Bytes()-s.Bytes())
	}
	last := s
	for n := id.Number(1); n < 20; n += 2 {
		e := last.Edit()
		e.Put(Edge{Group: 1, Member: id.UserMember(n)})
		last = e.Commit(last.Revision() + 1)
		x.Publish(tenant, last)
	}
	// Ten memberships: each replaced one path and one container.
	if extra := x.Bytes() - last.Bytes(); extra < 10<<10 || extra > 10*(16<<10) {
		t.Errorf("after ten memberships the State before them costs %d bytes, want about what they replaced", extra)
	}
	// Read in anew, nothing is shared.
	again := crowd(100_000).Edit().Commit(last.Revision())
	x.Publish(tenant, again)
	if x.Bytes() != again.Bytes()+s.Bytes() {
		t.Errorf("beside a tenant that was read anew what is kept costs %d bytes, want its %d", x.Bytes()-again.Bytes(), s.Bytes())
	}
}

// What a State is said to hold beside a later one is what the heap gets back
// without it, or more.
func TestWhatIsKeptIsHeldAccountOf(t *testing.T) {
	if raceEnabled {
		t.Skip("memory is counted without the race detector")
	}
	for _, c := range []struct {
		what   string
		change func(e *Editor)
		least  int64 // how much of what is accounted for is there
	}{
		{"a user is dropped out of all", func(e *Editor) { e.DropUser(2) }, 2},
		{"a large group is dropped", func(e *Editor) { e.DropGroup(1) }, 2},
		{"everybody moves", func(e *Editor) {
			for n := id.Number(2); n <= 200_000; n += 2 {
				e.Remove(1, id.UserMember(n))
				e.Put(Edge{Group: 2, Member: id.UserMember(n), Until: 5})
			}
		}, 2},
		{"many are suspended", func(e *Editor) {
			for n := id.Number(1); n <= 200_000; n++ {
				e.PutUser(n, id.User(uuid('u', n)), true, 7)
			}
		}, 2},
	} {
		e := crowd(100_000).Edit()
		e.PutGroup(2, id.Group(uuid('g', 2)))
		s := e.Commit(2)
		e = s.Edit()
		c.change(e)
		last := e.Commit(3)
		said := s.beside(last)
		both := heap()
		runtime.KeepAlive(s)
		s = nil
		freed := both - heap()
		runtime.KeepAlive(last)
		const noise = 64 << 10
		if freed > said+said/5+noise || said > c.least*freed+noise {
			t.Errorf("when %s the State before is said to hold %d bytes; the heap gets back %d", c.what, said, freed)
		}
	}
}

func TestAnOlderStateTakesNothingRememberedFromALaterOne(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	old := chain(10)
	e := old.Edit()
	e.PutGroup(11, id.Group(uuid('g', 11)))
	e.Put(Edge{Group: 11, Member: id.GroupMember(1)})
	s := e.Commit(2)
	if !s.Check(1, 11, 0) || !s.Check(1, 1, 0) || !s.Within(10, 11, 0) {
		t.Fatal("the later State does not know its links")
	}
	if !old.Check(1, 1, 0) || old.Check(1, 11, 0) || !old.Within(10, 1, 0) || old.Within(10, 11, 0) {
		t.Error("the older State answers by the links of the later one")
	}
	for what, ask := range map[string]func(){
		"the older": func() { old.Check(1, 1, 0); old.Within(10, 1, 0) },
		"the later": func() { s.Check(1, 1, 0); s.Within(10, 1, 0) },
	} {
		if n := testing.AllocsPerRun(100, func() { old.Check(1, 1, 0); old.Within(10, 1, 0); ask() }); n != 0 {
			t.Errorf("in turns %s State allocates %v times a check, want 0", what, n)
		}
	}
}

func TestAStateThatIsMadeBesideTheLineHoldsAllOfItsOwn(t *testing.T) {
	s := crowd(1000)
	one, other := grown(s, 1, 5000), grown(s, 1, 6000)
	if got := s.beside(one); got >= s.Bytes()/2 {
		t.Errorf("beside the State made of it the first holds %d of its %d bytes", got, s.Bytes())
	}
	for _, c := range []struct{ a, b *State }{{s, other}, {one, other}, {other, one}, {one, s}, {s, nil}} {
		if got := c.a.beside(c.b); got != c.a.Bytes() {
			t.Errorf("beside one of another line a State holds %d bytes, want all its %d", got, c.a.Bytes())
		}
	}
}

func TestTheIndexKeepsWithinItsBoundsAndAccountsForEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := crowd(500).Bytes()
		budget := rapid.SampledFrom([]int64{1, unit, 3 * unit, 8 * unit, 100 * unit}).Draw(t, "budget")
		x := New(budget)
		// What a caller may still have in its hands.
		held := map[byte][]*State{}
		tenant := rapid.ByteRange(1, 4)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			n := tenant.Draw(t, "tenant")
			list := held[n]
			switch what := rapid.SampledFrom([]string{"publish", "publish", "publish", "keep", "keep", "ask", "read anew", "forget"}).Draw(t, "step"); {
			case what == "forget":
				x.Forget(id.Tenant{n})
			case what == "read anew" || len(list) == 0:
				revision := uint64(1)
				if len(list) > 0 {
					revision = list[len(list)-1].Revision()
				}
				s := crowd(500).Edit().Commit(revision)
				held[n] = append(list, s)
				x.Publish(id.Tenant{n}, s)
			case what == "publish":
				s := grown(list[len(list)-1], 1, id.Number(rapid.IntRange(1, 2000).Draw(t, "user")))
				held[n] = append(list, s)
				x.Publish(id.Tenant{n}, s)
			case what == "keep":
				x.Keep(id.Tenant{n}, rapid.SampledFrom(list).Draw(t, "of"))
			case what == "ask":
				s := rapid.SampledFrom(list).Draw(t, "of")
				if got := x.At(id.Tenant{n}, s.Revision()); got != nil && got.Revision() != s.Revision() {
					t.Fatalf("At(%d) is of revision %d", s.Revision(), got.Revision())
				}
			}
			check(t, x)
		}
	})
}

// check recounts what an Index holds and compares it with its bounds.
func check(t *rapid.T, x *Index) {
	var held, extra int64
	tenants, kept := 0, 0
	for _, tenant := range x.Tenants() {
		tenants++
		found, _ := x.tenants.Load(tenant)
		e := found.(*entry)
		held += e.bytes
		list := e.olders()
		kept += len(list)
		for i, o := range list {
			later := e.state.Load()
			if i+1 < len(list) {
				later = list[i+1].state
			}
			if o.state.revision > later.revision || i+1 < len(list) && o.state.revision == later.revision {
				t.Fatalf("what is kept does not ascend")
			}
			if x.kept[o] != e || o.bytes != o.state.beside(later) {
				t.Fatalf("revision %d is accounted for with %d bytes, want %d", o.state.revision, o.bytes, o.state.beside(later))
			}
			extra += o.bytes
		}
	}
	if x.held != held+extra || x.extra != extra || len(x.kept) != kept {
		t.Fatalf("the index accounts for %d bytes, %d of them for %d older States; it holds %d, %d, %d", x.held, x.extra, len(x.kept), held+extra, extra, kept)
	}
	if extra > x.budget/keptShare || kept > maxKept {
		t.Fatalf("%d older States of %d bytes are kept within a budget of %d", kept, extra, x.budget)
	}
	if x.held > x.budget && (tenants > 1 || extra > 0) {
		t.Fatalf("%d tenants and %d older States take %d bytes of a budget of %d", tenants, kept, x.held, x.budget)
	}
}

func TestOnlySoManyStatesAreKeptAndTheLeastRecentlyUsedGo(t *testing.T) {
	x, tenant := New(1<<30), id.Tenant{1}
	s := crowd(10)
	first := s.Revision()
	for range maxKept + 10 {
		x.Publish(tenant, s)
		x.Keep(tenant, s)
		x.At(tenant, first)
		s = grown(s, 1, id.Number(1000+s.Revision()))
	}
	x.Publish(tenant, s)
	if len(x.kept) != maxKept {
		t.Errorf("%d States are kept, want %d", len(x.kept), maxKept)
	}
	for _, c := range []struct {
		revision uint64
		want     bool
	}{{first, true}, {first + 1, false}, {first + 10, false}, {first + 11, true}, {s.Revision() - 1, true}} {
		if got := x.At(tenant, c.revision) != nil; got != c.want {
			t.Errorf("revision %d is kept: %v, want %v", c.revision, got, c.want)
		}
	}
}

func TestOneKeepsReadingAtARevisionWhileAWriterPublishes(t *testing.T) {
	x := New(1 << 20)
	tenants := []id.Tenant{{1}, {2}}
	for _, tenant := range tenants {
		x.Publish(tenant, crowd(50))
	}
	done := make(chan struct{})
	var all sync.WaitGroup
	for i := range 4 {
		tenant := tenants[i%2]
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				s := x.Get(tenant)
				if s == nil {
					continue
				}
				x.Keep(tenant, s)
				for range 10 {
					at := x.At(tenant, s.Revision())
					if at == nil {
						break // the room was needed
					}
					if n := at.Count(1, 0, true); at.Revision() != s.Revision() || n != 49+int(s.Revision()) {
						t.Errorf("at revision %d there are %d members at %d", s.Revision(), n, at.Revision())
						return
					}
				}
			}
		})
	}
	for range 300 {
		for i, tenant := range tenants {
			s := x.Get(tenant)
			if s == nil {
				t.Errorf("tenant %d went", i)
				break
			}
			x.Publish(tenant, grown(s, 1, id.Number(1000+s.Revision())))
		}
	}
	close(done)
	all.Wait()
	if got := fmt.Sprint(len(x.kept) <= maxKept, x.Bytes() <= 1<<20); got != "true true" {
		t.Errorf("%d States are kept in %d bytes", len(x.kept), x.Bytes())
	}
}
