// Package storetest is the suite that says what a correct [directory.Store] is.
// Every engine runs it from its own tests. It looks at outcomes only, through
// the interface, so an engine passes it or is wrong; a bug found in one engine
// becomes a case here, so that the others are asked too.
package storetest

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roster/internal/directory"
	"roster/internal/id"
)

// Run runs the suite. open returns an empty store that takes its time from
// clock; it is called once for each case and must see to it that the store is
// closed when the test ends, which some cases do before.
func Run(t *testing.T, open func(t *testing.T, clock func() time.Time) directory.Store) {
	names := map[string]bool{}
	for _, cases := range [][]testCase{revisions, names1, people, edges, parts, ways, answers, past, logs, clocks, credentials, changes, searches, signIns, visits, walls} {
		for _, c := range cases {
			if names[c.name] {
				t.Errorf("two cases are named %q", c.name)
			}
			names[c.name] = true
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				clock := &clock{now: start}
				c.run(&world{T: t, store: open(t, clock.Now), clock: clock})
			})
		}
	}
}

// testCase is one thing that must hold, said as a sentence.
type testCase struct {
	name string
	run  func(*world)
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)

// clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is one case's store with what is around it.
type world struct {
	*testing.T
	store directory.Store
	clock *clock
}

var (
	platform id.Tenant
	author   = directory.Author{Actor: directory.Actor{Credential: id.New[id.Credential](), Name: "tester"}, Dialect: "test", Request: "r-1"}
)

// update runs fn and returns the revision; fn must not fail. A failure inside fn
// is returned, never fatal there: fn may run on another goroutine.
func (w *world) update(t id.Tenant, fn func(directory.Writer) error) directory.Revision {
	w.Helper()
	rev, err := w.store.Update(context.Background(), t, author, fn)
	if err != nil {
		w.Fatalf("Update: %v", err)
	}
	return rev
}

// refused runs fn, which must fail with an error of the code want has, and leave
// the revision where it was.
func (w *world) refused(t id.Tenant, want error, fn func(directory.Writer) error) {
	w.Helper()
	before := w.revision(t)
	_, err := w.store.Update(context.Background(), t, author, fn)
	w.is(err, want)
	if after := w.revision(t); after != before {
		w.Fatalf("a refused change moved the revision from %d to %d", before, after)
	}
}

// is compares an error with the one wanted, by kind and code.
func (w *world) is(err, want error) {
	w.Helper()
	if err == nil || directory.KindOf(err) != directory.KindOf(want) || directory.CodeOf(err) != directory.CodeOf(want) {
		w.Fatalf("the error is %v, want %v", err, want)
	}
}

// get asks one question in a view of its own.
func get[T any](w *world, t id.Tenant, ask func(directory.Reader) (T, error)) T {
	w.Helper()
	v, err := try(w, t, ask)
	if err != nil {
		w.Fatalf("View: %v", err)
	}
	return v
}

func try[T any](w *world, t id.Tenant, ask func(directory.Reader) (T, error)) (v T, err error) {
	err = w.store.View(context.Background(), t, func(r directory.Reader) (err error) {
		v, err = ask(r)
		return err
	})
	return v, err
}

func (w *world) revision(t id.Tenant) directory.Revision {
	w.Helper()
	return get(w, t, directory.Reader.Revision)
}

func (w *world) shape(t id.Tenant) int64 {
	w.Helper()
	return get(w, t, directory.Reader.Shape)
}

func (w *world) commits(t id.Tenant, after directory.Revision) []*directory.Commit {
	w.Helper()
	return collect(w, w.store.Commits(context.Background(), t, after))
}

func collect[T any](w *world, seq iter.Seq2[T, error]) []T {
	w.Helper()
	var all []T
	for v, err := range seq {
		if err != nil {
			w.Fatalf("after %d entries: %v", len(all), err)
		}
		all = append(all, v)
	}
	return all
}

func (w *world) tenant(name string) id.Tenant {
	w.Helper()
	t := directory.Tenant{Name: name}
	w.update(platform, func(wr directory.Writer) error { return wr.InsertTenant(&t) })
	return t.ID
}

func (w *world) tenantRow(t id.Tenant) directory.Tenant {
	w.Helper()
	return get(w, t, directory.Reader.Tenant)
}

// user makes a user of which zero fields are filled in.
func (w *world) user(t id.Tenant, u directory.User) directory.User {
	w.Helper()
	w.update(t, func(wr directory.Writer) error { return wr.InsertUser(&u) })
	return u
}

// users makes users numbered 1 to n in one commit, named after their numbers.
func (w *world) users(t id.Tenant, n int) {
	w.Helper()
	w.update(t, func(wr directory.Writer) error {
		for i := 1; i <= n; i++ {
			if err := wr.InsertUser(&directory.User{Name: fmt.Sprintf("u%d", i), Number: id.Number(i)}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *world) group(t id.Tenant, g directory.Group) directory.Group {
	w.Helper()
	w.update(t, func(wr directory.Writer) error { return wr.InsertGroup(&g) })
	return g
}

func (w *world) groups(t id.Tenant, n int) {
	w.Helper()
	w.update(t, func(wr directory.Writer) error {
		for i := 1; i <= n; i++ {
			if err := wr.InsertGroup(&directory.Group{Name: fmt.Sprintf("g%d", i), Number: id.Number(i)}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *world) insert(t id.Tenant, s directory.Standing, edges ...directory.Edge) directory.Revision {
	w.Helper()
	return w.update(t, func(wr directory.Writer) error { return insertEdges(wr, edges, s) })
}

func (w *world) remove(t id.Tenant, edges ...directory.Edge) directory.Revision {
	w.Helper()
	return w.update(t, func(wr directory.Writer) error { return wr.DeleteEdges(edges) })
}

// insertEdges makes memberships stand on edges where none may stand yet.
func insertEdges(wr directory.Writer, edges []directory.Edge, s directory.Standing) error {
	present, err := wr.InsertEdges(edges, s)
	if err == nil && len(present) > 0 {
		err = fmt.Errorf("memberships stood already: %+v", present)
	}
	return err
}

// updateEdges makes those on the edges all stand so.
func updateEdges(wr directory.Writer, edges []directory.Edge, s directory.Standing) error {
	list := make([]directory.Membership, len(edges))
	for i, e := range edges {
		list[i] = directory.Membership{Edge: e, Standing: s}
	}
	return wr.UpdateEdges(list)
}

// in is the edge of a user in a group, and within that of a group in a group.
func in(user, group id.Number) directory.Edge {
	return directory.Edge{Group: group, Member: id.UserMember(user)}
}

func within(child, group id.Number) directory.Edge {
	return directory.Edge{Group: group, Member: id.GroupMember(child)}
}

// same fails if what came is not what was wanted.
func (w *world) same(what string, got, want any) {
	w.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		w.Fatalf("%s differs (-want +got):\n%s", what, diff)
	}
}

func ptr[T any](v T) *T { return &v }
