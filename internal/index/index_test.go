package index

import (
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roster/internal/id"
)

// chain has groups 1 to n, each standing in the one before it, and user 1 in
// the last.
func chain(n id.Number) *State {
	e := NewState().Edit()
	e.PutUser(1, id.User(uuid('u', 1)), false, 0)
	for g := id.Number(1); g <= n; g++ {
		e.PutGroup(g, id.Group(uuid('g', g)))
		if g > 1 {
			e.Put(Edge{Group: g - 1, Member: id.GroupMember(g)})
		}
	}
	e.Put(Edge{Group: n, Member: id.UserMember(1)})
	return e.Commit(1)
}

func TestAChainOfTenThousandGroupsIsWalkedToTheTop(t *testing.T) {
	const n = 10_000
	s := chain(n)
	if !s.Check(1, 1, 0) {
		t.Errorf("Check of the user at the end of a chain of %d in its top is false, want true", n)
	}
	if got := len(s.Groups(1, 0, true)); got != n {
		t.Errorf("Groups of the user at the end of a chain of %d are %d, want all", n, got)
	}
	if got := s.MembersAfter(1, 0, 0, true, 2); !slices.Equal(got, []id.Number{1}) {
		t.Errorf("members of the top of a chain of %d are %v, want [1]", n, got)
	}
	if got := s.Count(1, 0, true); got != 1 {
		t.Errorf("Count of the top of a chain of %d is %d, want 1", n, got)
	}
}

func TestADiamondOnADiamondIsWalkedOnce(t *testing.T) {
	// Two groups a layer, each in both of the layer above: 2^30 paths.
	const layers = 30
	e := NewState().Edit()
	e.PutUser(1, id.User(uuid('u', 1)), false, 0)
	for g := id.Number(1); g <= 2*layers; g++ {
		e.PutGroup(g, id.Group(uuid('g', g)))
		above := (g-1)/2*2 - 1
		if g > 2 {
			e.Put(Edge{Group: above, Member: id.GroupMember(g), Until: 10})
			e.Put(Edge{Group: above + 1, Member: id.GroupMember(g)})
		}
	}
	e.Put(Edge{Group: 2 * layers, Member: id.UserMember(1)})
	s := e.Commit(1)
	for _, c := range []struct {
		now    int64
		groups int
		in1    bool
	}{{9, 2*layers - 1, true}, {10, layers, false}} {
		if got := len(s.Groups(1, c.now, true)); got != c.groups {
			t.Errorf("at %d the user is in %d groups, want %d", c.now, got, c.groups)
		}
		if got := s.Check(1, 1, c.now); got != c.in1 {
			t.Errorf("at %d Check(1, 1) is %v, want %v", c.now, got, c.in1)
		}
	}
}

func TestAWalkEndsInACycleThatNobodyRefused(t *testing.T) {
	e := NewState().Edit()
	e.PutUser(1, id.User(uuid('u', 1)), false, 0)
	for g := id.Number(1); g <= 4; g++ {
		e.PutGroup(g, id.Group(uuid('g', g)))
	}
	for g := id.Number(1); g <= 3; g++ {
		e.Put(Edge{Group: g, Member: id.GroupMember(g%3 + 1), Until: int64(g / 3 * 10)})
	}
	e.Put(Edge{Group: 2, Member: id.UserMember(1)})
	s := e.Commit(1)
	if diff := cmp.Diff([]id.Number{1, 2, 3}, s.Groups(1, 0, true)); diff != "" {
		t.Errorf("groups of a user in a cycle of three differ (-want +got):\n%s", diff)
	}
	if s.Check(1, 4, 0) || !s.Check(1, 3, 0) || s.Check(1, 3, 10) {
		t.Errorf("Check in a cycle is %v outside, %v inside, %v after the link; want false, true, false",
			s.Check(1, 4, 0), s.Check(1, 3, 0), s.Check(1, 3, 10))
	}
}

func TestACheckAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	e := chain(10).Edit()
	e.PutUser(2, id.User(uuid('u', 2)), false, 100)
	for g := id.Number(11); g <= 13; g++ {
		e.PutGroup(g, id.Group(uuid('g', g)))
	}
	e.Put(Edge{Group: 12, Member: id.GroupMember(11), From: 5, Until: 50})
	e.Put(Edge{Group: 13, Member: id.GroupMember(12)})
	e.Put(Edge{Group: 11, Member: id.UserMember(2), Until: 90})
	s := e.Commit(2)
	x := New(1 << 20)
	tenant := id.Tenant{1}
	x.Publish(tenant, s)
	for _, c := range []struct {
		what        string
		user, group id.Number
		now         int64
		want        bool
	}{
		{"direct", 1, 10, 0, true},
		{"transitive", 1, 1, 0, true},
		{"negative", 1, 13, 0, false},
		{"negative with no such group", 1, 999, 0, false},
		{"dated direct", 2, 11, 89, true},
		{"dated direct, over", 2, 11, 90, false},
		{"dated transitive", 2, 13, 5, true},
		{"dated transitive, over", 2, 13, 50, false},
		{"no such user", 3, 13, 5, false},
	} {
		got := s.Check(c.user, c.group, c.now)
		if got != c.want {
			t.Errorf("%s: Check(%d, %d, %d) is %v, want %v", c.what, c.user, c.group, c.now, got, c.want)
		}
		if n := testing.AllocsPerRun(100, func() { x.Get(tenant).Check(c.user, c.group, c.now) }); n != 0 {
			t.Errorf("%s: a warm check allocates %v times, want 0", c.what, n)
		}
	}
	user, group := id.User(uuid('u', 2)), id.Group(uuid('g', 13))
	if n := testing.AllocsPerRun(100, func() { s.User(user); s.Group(group) }); n != 0 {
		t.Errorf("looking up a user and a group by id allocates %v times, want 0", n)
	}
}

// allocated returns how many bytes fn allocates on average.
func allocated(fn func()) int64 {
	const runs = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		fn()
	}
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc-before.TotalAlloc) / runs
}

func TestALinkCostsTheSameHoweverMuchIsBelowAndAbove(t *testing.T) {
	if raceEnabled {
		t.Skip("memory is counted without the race detector")
	}
	link := func(size int, length id.Number) int64 {
		// Group 1 with so many users below the top of a chain of groups.
		e := crowd(size).Edit()
		for g := id.Number(2); g <= length; g++ {
			e.PutGroup(g, id.Group(uuid('g', g)))
			if g > 2 {
				e.Put(Edge{Group: g, Member: id.GroupMember(g - 1)})
			}
		}
		e.PutGroup(5000, id.Group(uuid('g', 5000)))
		s := e.Commit(2)
		s.Check(2, 1, 0)
		return allocated(func() {
			e := s.Edit()
			e.Put(Edge{Group: 2, Member: id.GroupMember(1)})
			e.Put(Edge{Group: 5000, Member: id.GroupMember(length)})
			e.Commit(3)
		})
	}
	small, large := link(10, 3), link(100_000, 4000)
	if large > 2*small {
		t.Errorf("linking 100,000 users below 4,000 groups allocates %d bytes, 10 below 3 %d; want about the same", large, small)
	}
}

func TestAMemberMoreCostsTheSameHoweverManyThereAre(t *testing.T) {
	if raceEnabled {
		t.Skip("memory is counted without the race detector")
	}
	add := func(size int) int64 {
		s := crowd(size)
		return allocated(func() {
			e := s.Edit()
			e.Put(Edge{Group: 1, Member: id.UserMember(1)})
			e.Commit(2)
		})
	}
	// A large group costs the copy of one container, 8 KiB at most, more.
	few, many := add(10), add(300_000)
	if many > few+12<<10 {
		t.Errorf("adding a member to a group of 300,000 allocates %d bytes, to one of 10 %d; want at most 12 KiB more", many, few)
	}
}

func TestWhatNobodyHoldsDoesNotStand(t *testing.T) {
	e := NewState().Edit()
	e.PutGroup(1, id.Group(uuid('g', 1)))
	e.PutUser(1, id.User(uuid('u', 1)), false, 0)
	for _, edge := range []Edge{
		{Group: 2, Member: id.UserMember(1)},
		{Group: 1, Member: id.UserMember(2)},
		{Group: 1, Member: id.GroupMember(2)},
		{Group: 1, Member: id.GroupMember(1)},
		{Group: 1},
	} {
		if e.Put(edge) {
			t.Errorf("Put(%+v) is true, want false", edge)
		}
	}
	if s := e.Commit(1); s.Standing(1) != 0 || len(s.Subgroups(1, 0, true)) != 0 {
		t.Errorf("group 1 has %d users and subgroups %v, want none", s.Standing(1), s.Subgroups(1, 0, true))
	}
}

func TestASuspendedUserComesBackWithItsGroups(t *testing.T) {
	e := chain(3).Edit()
	e.PutUser(1, id.User(uuid('u', 1)), true, 0)
	suspended := e.Commit(2)
	e = suspended.Edit()
	e.PutUser(1, id.User(uuid('u', 1)), false, 0)
	back := e.Commit(3)
	if suspended.Check(1, 1, 0) || suspended.Count(3, 0, false) != 0 || suspended.Standing(3) != 1 {
		t.Errorf("while suspended Check is %v, Count %d, Standing %d; want false, 0, 1",
			suspended.Check(1, 1, 0), suspended.Count(3, 0, false), suspended.Standing(3))
	}
	if !back.Check(1, 1, 0) || back.Count(3, 0, false) != 1 {
		t.Errorf("back again Check is %v, Count %d; want true, 1", back.Check(1, 1, 0), back.Count(3, 0, false))
	}
}

func TestCountLeavesOutEveryInactiveUserOnce(t *testing.T) {
	// Few of many are inactive, so they are what is counted; one is so twice.
	e := crowd(100).Edit()
	for _, c := range []struct {
		user      id.Number
		suspended bool
		expires   int64
	}{{2, true, 0}, {4, true, 5}, {6, false, 5}, {8, false, 50}, {9, true, 5}} {
		e.PutUser(c.user, id.User(uuid('u', c.user)), c.suspended, c.expires)
	}
	s := e.Commit(2)
	for now, want := range map[int64]int{4: 98, 5: 97, 49: 97, 50: 96} {
		if got, listed := s.Count(1, now, true), len(s.MembersAfter(1, 0, now, true, 1000)); got != want || listed != want {
			t.Errorf("at %d Count is %d and Members are %d, want %d", now, got, listed, want)
		}
	}
}

func TestANumberThatIsImportedAgainUnderAnotherIDIsFoundUnderThatAlone(t *testing.T) {
	a, b := id.User{1}, id.User{2}
	e := NewState().Edit()
	e.PutUser(7, a, false, 0)
	old := e.Commit(1)
	e = old.Edit()
	e.PutUser(7, b, false, 0)
	s := e.Commit(2)
	if _, ok := s.User(a); ok {
		t.Errorf("User(%v) is found after number 7 was given to %v", a, b)
	}
	if n, ok := s.User(b); !ok || n != 7 {
		t.Errorf("User(%v) is %d, %v, want 7, true", b, n, ok)
	}
	if n, ok := old.User(a); !ok || n != 7 {
		t.Errorf("in the older State User(%v) is %d, %v, want 7, true", a, n, ok)
	}
}

func TestReadersSeeWholeBatchesWhileAWriterPublishes(t *testing.T) {
	// At an even revision all users are in group 1, at an odd one in group 2;
	// both stand in group 3.
	const users = 300
	lower(t, &manyAbove, 100)
	everyone := make([]id.Number, users)
	e := NewState().Edit()
	for i := range everyone {
		everyone[i] = id.Number(i + 1)
		e.PutUser(everyone[i], id.User(uuid('u', everyone[i])), false, 0)
	}
	for g := id.Number(1); g <= 4; g++ {
		e.PutGroup(g, id.Group(uuid('g', g)))
	}
	e.Put(Edge{Group: 3, Member: id.GroupMember(1)})
	e.Put(Edge{Group: 3, Member: id.GroupMember(2)})
	e.PutMembers(1, everyone)
	x := New(1 << 30)
	tenant := id.Tenant{1}
	x.Publish(tenant, e.Commit(0))

	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			last := uint64(0)
			for u := id.Number(1); ; u = u%users + 1 {
				select {
				case <-done:
					return
				default:
				}
				s := x.Get(tenant)
				if s.Revision() < last {
					t.Errorf("revision %d was read after %d", s.Revision(), last)
					return
				}
				last = s.Revision()
				in := id.Number(1 + last%2)
				if !s.Check(u, in, 0) || s.Check(u, 3-in, 0) || !s.Check(u, 3, 0) {
					t.Errorf("at revision %d user %d is in 1: %v, 2: %v, 3: %v; want in %d and 3",
						last, u, s.Check(u, 1, 0), s.Check(u, 2, 0), s.Check(u, 3, 0), in)
					return
				}
				if n := s.Count(3, 0, true); n != users {
					t.Errorf("at revision %d group 3 has %d members, want %d", last, n, users)
					return
				}
				if n, ok := s.User(id.User(uuid('u', u))); !ok || n != u {
					t.Errorf("at revision %d the id of user %d is that of %d, %v", last, u, n, ok)
					return
				}
			}
		})
	}
	for revision := uint64(1); revision <= 200; revision++ {
		e := x.Get(tenant).Edit()
		in := id.Number(1 + revision%2)
		e.RemoveMembers(3-in, everyone)
		e.PutMembers(in, everyone)
		// Links come and go, so that closures do; ids, so that tables grow.
		if revision%3 == 0 {
			e.Put(Edge{Group: 4, Member: id.GroupMember(3)})
		} else {
			e.Remove(4, id.GroupMember(3))
		}
		n := id.Number(users + revision)
		e.PutUser(n, id.User(uuid('u', n)), false, 0)
		x.Publish(tenant, e.Commit(revision))
	}
	close(done)
	readers.Wait()
}

func TestAnOlderStateDoesNotReplaceALaterOne(t *testing.T) {
	x := New(1 << 20)
	tenant := id.Tenant{1}
	one := NewState().Edit().Commit(1)
	two := one.Edit().Commit(2)
	if !x.Publish(tenant, two) || x.Publish(tenant, one) {
		t.Errorf("publishing revision 2 and then 1 is not true and then false")
	}
	if got := x.Get(tenant); got != two {
		t.Errorf("Get after revisions 2 and 1 were published is revision %d, want 2", got.Revision())
	}
	x.Forget(tenant)
	if x.Get(tenant) != nil || x.Bytes() != 0 {
		t.Errorf("a forgotten tenant is held: %v, %d bytes", x.Get(tenant), x.Bytes())
	}
}

func TestTheLeastRecentlyUsedTenantsGoWhenTheBudgetIsSpent(t *testing.T) {
	s := crowd(1000)
	x := New(4*s.Bytes() + s.Bytes()/2)
	for n := byte(1); n <= 4; n++ {
		x.Publish(id.Tenant{n}, s)
	}
	x.Get(id.Tenant{1})
	x.Publish(id.Tenant{5}, s)
	var held []byte
	for n := byte(1); n <= 5; n++ {
		if x.Get(id.Tenant{n}) != nil {
			held = append(held, n)
		}
	}
	if diff := cmp.Diff([]byte{1, 3, 4, 5}, held); diff != "" {
		t.Errorf("after asking for 1 and publishing 5 the tenants held differ (-want +got):\n%s", diff)
	}
	if x.Bytes() != 4*s.Bytes() {
		t.Errorf("the index accounts for %d bytes, want %d", x.Bytes(), 4*s.Bytes())
	}
	large := New(1)
	large.Publish(id.Tenant{1}, s)
	if large.Get(id.Tenant{1}) != s {
		t.Errorf("a State above the budget is not held by itself")
	}
}

func TestBytesComeBackWhenEverythingIsDropped(t *testing.T) {
	s := crowd(20_000)
	full := s.Bytes()
	e := s.Edit()
	for n := id.Number(1); n <= 40_000; n++ {
		e.DropUser(n)
	}
	e.DropGroup(1)
	s = e.Commit(2)
	// What stays is the nodes of the arrays and the table.
	if left := s.Bytes(); left < 0 || left > full*3/4+full/8 {
		t.Errorf("a State of %d bytes has %d when all is dropped, want lists and sets gone", full, left)
	}
	if s.Count(1, 0, true) != 0 || s.HasGroup(1) || s.HasUser(1) {
		t.Errorf("after dropping everything there is something")
	}
}

func TestClosuresBeyondTheirBoundAreWalkedAndSwept(t *testing.T) {
	lower(t, &closuresMax, 40)
	s := chain(30)
	for g := id.Number(2); g <= 30; g++ {
		if !s.Within(g, 1, 0) {
			t.Fatalf("Within(%d, 1) in a chain is false, want true", g)
		}
	}
	if n := s.memory.count.Load(); n < 40 || n > 40+30 {
		t.Errorf("%d ancestors are remembered with a bound of 40, want one closure above it at most", n)
	}
	e := s.Edit()
	e.Remove(1, id.GroupMember(2))
	s = e.Commit(2)
	if n := s.memory.count.Load(); n != 0 {
		t.Errorf("%d stale ancestors are left after a new link, want 0", n)
	}
	if s.Within(30, 1, 0) || !s.Within(30, 2, 0) {
		t.Errorf("after unlinking 2 from 1, 30 is within 1: %v, within 2: %v; want false, true", s.Within(30, 1, 0), s.Within(30, 2, 0))
	}
}
