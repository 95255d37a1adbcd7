package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/postgres/pgtest"
	"roster/internal/store/storetest"
)

var author = directory.Author{Dialect: "test"}

// nodes are two stores on one database, with a tenant in it.
type nodes struct {
	*testing.T
	a, b   *Store
	tenant id.Tenant
}

func twoNodes(t *testing.T, o Options) *nodes {
	t.Helper()
	dsn := pgtest.Shared(t).Database(t)
	n := &nodes{T: t, a: openOn(t, dsn, o), b: openOn(t, dsn, o)}
	made := directory.Tenant{Name: "one"}
	n.update(n.a, id.Tenant{}, func(w directory.Writer) error { return w.InsertTenant(&made) })
	n.tenant = made.ID
	return n
}

func (n *nodes) update(s *Store, t id.Tenant, fn func(directory.Writer) error) directory.Revision {
	n.Helper()
	rev, err := s.Update(context.Background(), t, author, fn)
	if err != nil {
		n.Fatal(err)
	}
	return rev
}

// user makes a user on a node.
func (n *nodes) user(s *Store, u directory.User) directory.User {
	n.Helper()
	n.update(s, n.tenant, func(w directory.Writer) error { return w.InsertUser(&u) })
	return u
}

func addGroup(name string) func(directory.Writer) error {
	return func(w directory.Writer) error { return w.InsertGroup(&directory.Group{Name: name}) }
}

func TestNodesThatWriteInOneTenantTakeTurns(t *testing.T) {
	n := twoNodes(t, Options{Connections: 8})
	const writers, each = 8, 25
	var all sync.WaitGroup
	for w := range writers {
		store := []*Store{n.a, n.b}[w%2]
		all.Go(func() {
			for i := range each {
				if _, err := store.Update(context.Background(), n.tenant, author, addGroup(fmt.Sprint(w, "-", i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for _, s := range []*Store{n.a, n.b} {
		rev, err := s.Fence(t.Context(), n.tenant)
		if err != nil || rev != writers*each {
			t.Fatalf("the fence is %d, %v; want %d", rev, err, writers*each)
		}
		next := directory.Revision(1)
		for c, err := range s.Commits(t.Context(), n.tenant, 0) {
			if err != nil || c.Revision != next {
				t.Fatalf("commit %d: %v; want %d", c.Revision, err, next)
			}
			next++
		}
		if next != writers*each+1 {
			t.Fatalf("the log ends before %d", next)
		}
	}
}

func TestWhatANodeRemembersOfNamesIsNoOlderThanAnotherNodesCommits(t *testing.T) {
	n := twoNodes(t, Options{Connections: 8})
	g := directory.Group{Name: "before"}
	n.update(n.a, n.tenant, func(w directory.Writer) error { return w.InsertGroup(&g) })
	u := n.user(n.a, directory.User{Name: "ann"})
	look := func(s *Store) (group string, user id.Number) {
		n.update(s, n.tenant, func(w directory.Writer) error {
			found, err := w.Group(directory.ByGroup(g.ID))
			if err != nil && !errors.Is(err, directory.NotFound) {
				return err
			}
			numbers, err := w.UserNumbers([]directory.Ref{directory.ByUser(u.ID)})
			group, user = found.Name, numbers[0]
			return err
		})
		return group, user
	}
	if group, user := look(n.a); group != "before" || user != u.Number {
		t.Fatalf("the node finds %q and %d", group, user)
	}
	after := g
	after.Name = "after"
	n.update(n.b, n.tenant, func(w directory.Writer) error { return errors.Join(w.UpdateGroup(g, after), w.DeleteUser(u)) })
	if group, user := look(n.a); group != "after" || user != 0 {
		t.Errorf("after another node's commit the node still finds %q and %d", group, user)
	}
}

func TestCodesAreGivenOnceThoughNodesDrawThemInRuns(t *testing.T) {
	n := twoNodes(t, Options{Connections: 8})
	seen := map[int64]bool{}
	take := func(u directory.User) {
		t.Helper()
		if seen[u.Code] {
			t.Fatalf("code %d was given twice", u.Code)
		}
		seen[u.Code] = true
	}
	for i := range 20 {
		take(n.user([]*Store{n.a, n.b}[i%2], directory.User{Name: fmt.Sprint("drawn", i)}))
	}
	// Chosen codes in the middle of what the other node has drawn are passed over.
	next := n.user(n.b, directory.User{Name: "next"})
	take(next)
	for i := range int64(5) {
		take(n.user(n.a, directory.User{Name: fmt.Sprint("chosen", i), Code: next.Code + 1 + i}))
	}
	for i := range 10 {
		take(n.user(n.b, directory.User{Name: fmt.Sprint("after", i)}))
	}
}

func TestHotOperationsAreAConstantNumberOfStatements(t *testing.T) {
	var count atomic.Int64
	n := twoNodes(t, Options{Connections: 8, seen: func(q string) {
		if !strings.Contains(q, "pg_notify") { // which goes its own way
			count.Add(1)
		}
	}})
	const many = 10000
	var us []directory.User
	for i := range many {
		us = append(us, directory.User{Name: fmt.Sprint("u", i)})
	}
	n.update(n.a, n.tenant, func(w directory.Writer) error {
		for i := range us {
			if err := w.InsertUser(&us[i]); err != nil {
				return err
			}
		}
		return nil
	})
	var groups []directory.Group
	n.update(n.a, n.tenant, func(w directory.Writer) error {
		groups = make([]directory.Group, 3)
		for i := range groups {
			groups[i].Name = fmt.Sprint("g", i)
			if err := w.InsertGroup(&groups[i]); err != nil {
				return err
			}
		}
		return nil
	})
	change := func(group int, members []directory.User, add bool) int64 {
		t.Helper()
		before := count.Load()
		n.update(n.a, n.tenant, func(w directory.Writer) error {
			g, err := w.Group(directory.ByGroup(groups[group].ID))
			if err != nil {
				return err
			}
			refs := make([]directory.Ref, len(members))
			for i, u := range members {
				refs[i] = directory.ByUser(u.ID)
			}
			numbers, err := w.UserNumbers(refs)
			if err != nil {
				return err
			}
			edges := make([]directory.Edge, len(numbers))
			for i, number := range numbers {
				edges[i] = directory.Edge{Group: g.Number, Member: id.UserMember(number)}
			}
			if add {
				_, err = w.InsertEdges(edges, directory.Standing{})
				return err
			}
			return w.DeleteEdges(edges)
		})
		return count.Load() - before
	}
	change(0, us, true) // so that the names are known
	change(1, us[1:2], true)
	change(2, us[1:2], true)
	change(2, us[1:2], false)
	one, all := change(1, us[:1], true), change(2, us, true)
	// The lock, the rows, the log, the head.
	if one != 4 || all != 4 {
		t.Errorf("one membership takes %d statements and %d take %d, want 4 and 4", one, many, all)
	}
	one, all = change(1, us[:1], false), change(2, us, false)
	if one != 5 || all != 5 { // and what they were is kept
		t.Errorf("removing one membership takes %d statements and removing %d takes %d, want 5 and 5", one, many, all)
	}
}

func TestTheNumberOfStatementsDoesNotDependOnHowDeepGroupsAre(t *testing.T) {
	var count atomic.Int64
	n := twoNodes(t, Options{Connections: 8, seen: func(q string) {
		if !strings.Contains(q, "pg_notify") && !strings.HasPrefix(q, "SELECT tenant, revision FROM heads") { // which go their own way
			count.Add(1)
		}
	}})
	shallow, deep := storetest.Nest(t, n.a, 2), storetest.Nest(t, n.a, 60)
	for what, do := range shallow {
		statements := func(do func()) int64 {
			before := count.Load()
			do()
			return count.Load() - before
		}
		few, many := statements(do), statements(deep[what])
		t.Logf("%s: %d statements below 2 groups, %d below 60", what, few, many)
		if few != many {
			t.Errorf("%s takes %d statements below 2 groups and %d below 60", what, few, many)
		}
	}
}

func TestWhoeverAsksWhileAFenceIsUnderWaySharesTheNext(t *testing.T) {
	var asked atomic.Int64
	n := twoNodes(t, Options{Connections: 8, seen: func(q string) {
		if strings.HasPrefix(q, "SELECT tenant, revision FROM heads") {
			asked.Add(1)
		}
	}})
	n.update(n.a, n.tenant, addGroup("g"))
	const callers, each = 64, 20
	before := asked.Load()
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range each {
				if rev, err := n.b.Fence(t.Context(), n.tenant); err != nil || rev != 1 {
					t.Errorf("the fence is %d, %v; want 1", rev, err)
				}
			}
		})
	}
	all.Wait()
	if n := asked.Load() - before; n > callers*each/4 {
		t.Errorf("%d fences took %d statements", callers*each, n)
	}
}

func TestAFenceHoldsWhatAnotherNodeAcknowledgedBeforeIt(t *testing.T) {
	n := twoNodes(t, Options{Connections: 8})
	var background sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for range 8 { // so that fences are shared
		background.Go(func() {
			for ctx.Err() == nil {
				n.b.Fence(ctx, n.tenant)
			}
		})
	}
	for i := range 200 {
		rev := n.update(n.a, n.tenant, addGroup(fmt.Sprint(i)))
		if fence, err := n.b.Fence(t.Context(), n.tenant); err != nil || fence < rev {
			t.Fatalf("after revision %d was acknowledged the fence is %d, %v", rev, fence, err)
		}
	}
	stop()
	background.Wait()
}

func TestWordOfAnotherNodesCommitsComes(t *testing.T) {
	n := twoNodes(t, Options{Connections: 8})
	heard := make(chan directory.Revision, 100)
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		n.b.Watch(ctx, directory.Watcher{Interested: func() []id.Tenant { return []id.Tenant{n.tenant} }, Heard: func(t id.Tenant, rev directory.Revision) {
			if t == n.tenant {
				heard <- rev
			}
		}})
	})
	for i := range 3 {
		want := n.update(n.a, n.tenant, addGroup(fmt.Sprint(i)))
		timeout := time.After(time.Minute)
		for got := directory.Revision(0); got < want; {
			select {
			case got = <-heard:
			case <-timeout:
				t.Fatalf("no word of revision %d", want)
			}
		}
	}
	stop()
	watching.Wait()
}

func TestAStoreThatIsClosedIsUnavailableToFencesAndWatchesToo(t *testing.T) {
	n := twoNodes(t, Options{Connections: 8})
	done := make(chan struct{})
	go func() {
		n.b.Watch(t.Context(), directory.Watcher{Interested: func() []id.Tenant { return nil }, Heard: func(id.Tenant, directory.Revision) {}})
		close(done)
	}()
	if err := n.b.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("a watch outlives its store")
	}
	if _, err := n.b.Fence(t.Context(), n.tenant); !errors.Is(err, directory.Unavailable) {
		t.Errorf("a fence of a closed store is %v, want unavailable", err)
	}
}

func TestACommitIsOnDiskBeforeItIsAcknowledgedWhateverTheServerIsSetTo(t *testing.T) {
	for set, want := range map[string]string{"off": "on", "local": "local", "remote_apply": "remote_apply"} {
		s := openOn(t, pgtest.Shared(t).Database(t)+"&synchronous_commit="+set, Options{Connections: 8})
		var have string
		if err := s.lend(t.Context(), func(c *conn) error { return c.row(t.Context(), "SHOW synchronous_commit").Scan(&have) }); err != nil {
			t.Fatal(err)
		}
		if have != want {
			t.Errorf("set to %s it is %s, want %s", set, have, want)
		}
	}
}

func TestWhatWasRememberedOfALostHistoryIsForgotten(t *testing.T) {
	primary := pgtest.New(t, "fsync = off")
	primary.Exec(t, "CREATE DATABASE roster")
	s := openOn(t, primary.DSN("roster")+"&pool_max_conn_lifetime=1h", Options{Connections: 8, Patience: time.Minute})
	n := &nodes{T: t, a: s}
	made := directory.Tenant{Name: "one"}
	n.update(s, id.Tenant{}, func(w directory.Writer) error { return w.InsertTenant(&made) })
	n.tenant = made.ID
	ann := n.user(s, directory.User{Name: "ann"})
	standby := primary.Standby(t, "behind")

	// What comes now the standby never gets: revision 2 is a lost one.
	standby.Exec(t, "SELECT pg_wal_replay_pause()")
	primary.Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
	standby.Kill()
	n.user(s, directory.User{Name: "lost"})
	rewound := make(chan struct{}, 10)
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		s.Watch(ctx, directory.Watcher{Interested: func() []id.Tenant { return nil }, Heard: func(id.Tenant, directory.Revision) {}, Rewound: func() { rewound <- struct{}{} }})
	})
	defer watching.Wait()
	defer stop()

	// The standby is promoted and takes the primary's place at its address.
	primary.Kill()
	standby.Instead(t, primary)
	fence, err := s.Fence(t.Context(), n.tenant)
	if err != nil || fence != 1 {
		t.Fatalf("the fence is %d, %v; want 1", fence, err)
	}
	select {
	case <-rewound:
	default:
		t.Fatal("another history was read from and nobody was told")
	}
	if rev := n.update(s, n.tenant, func(w directory.Writer) error { return w.DeleteUser(ann) }); rev != 2 {
		t.Fatalf("the first commit of the new history is %d, want 2", rev)
	}
	for c, err := range s.Commits(t.Context(), n.tenant, 1) {
		if err != nil || c.Changes[0].Kind != directory.UserDeleted {
			t.Fatalf("revision %d is %v, %v: it is that of the lost history", c.Revision, c.Changes[0].Kind, err)
		}
	}
}

func TestASettingIsPinnedOnce(t *testing.T) {
	n := twoNodes(t, Options{Connections: 8})
	for _, c := range []struct {
		s         *Store
		put, want string
	}{{n.a, "x", "x"}, {n.b, "y", "x"}, {n.a, "z", "x"}} {
		if kept, err := c.s.Pin(t.Context(), "seal", c.put); err != nil || kept != c.want {
			t.Errorf("Pin(%q) is %q, %v; want %q", c.put, kept, err, c.want)
		}
	}
}

func TestOldRowsAreFoldedByTheMigrationThatNeedsIt(t *testing.T) {
	server := pgtest.Shared(t)
	dsn := server.Database(t)
	s := openOn(t, dsn, Options{Connections: 8})
	n := &nodes{T: t, a: s}
	made := directory.Tenant{Name: "one"}
	n.update(s, id.Tenant{}, func(w directory.Writer) error { return w.InsertTenant(&made) })
	n.tenant = made.ID
	want := n.user(s, directory.User{Name: "Ann B", GivenName: "ÄNN", Attributes: directory.Attributes{"d": map[string]any{"Team": "RED"}}})
	n.update(s, n.tenant, func(w directory.Writer) error {
		return w.InsertGroup(&directory.Group{Name: "G-1", Description: "LOUD"})
	})
	read := func() (row string) {
		err := s.lend(t.Context(), func(c *conn) error {
			return c.row(t.Context(), `SELECT u.name_sort || '|' || u.given_fold || '|' || u.attributes_fold::text || '|' || g.name_sort || '|' || g.description_fold
 FROM users u, groups g WHERE u.number = $1`, int64(want.Number)).Scan(&row)
		})
		if err != nil {
			t.Fatal(err)
		}
		return row
	}
	before := read()
	err := s.lend(t.Context(), func(c *conn) error {
		for _, q := range []string{"UPDATE users SET name_sort = '', given_fold = '', attributes_fold = NULL", "UPDATE groups SET name_sort = '', description_fold = ''"} {
			if err := c.exec(t.Context(), q); err != nil {
				return err
			}
		}
		tx, err := c.c.Begin(t.Context())
		if err != nil {
			return err
		}
		return errors.Join(fillSearch(t.Context(), tx), tx.Commit(t.Context()))
	})
	if err != nil {
		t.Fatal(err)
	}
	if after := read(); after != before {
		t.Errorf("the migration makes %s, a write %s", after, before)
	}
}
