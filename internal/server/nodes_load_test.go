package server_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/postgres"
)

// load is clients at work on one group through all nodes of a deployment. Each
// has a user of its own, puts it in and takes it out, and repeats what was not
// answered on the next node with the same Idempotency-Key. So each write must
// come out as a change, and the log must hold each once.
type load struct {
	d       *deployment
	clients []*toggler
	stopped atomic.Bool
	done    sync.WaitGroup
	acked   atomic.Int64
}

// toggler is one client of a load.
type toggler struct {
	user    string
	in      bool // as acknowledged
	writes  int  // that were acknowledged
	retries int
	err     error
}

// start lets n clients work until the load is stopped.
func (d *deployment) start(ctx context.Context, n int) *load {
	l := &load{d: d}
	for i := range n {
		c := &toggler{user: fmt.Sprintf("u%d", i)}
		l.clients = append(l.clients, c)
		l.done.Go(func() {
			for next := i; c.err == nil && !l.stopped.Load(); {
				next, c.err = l.toggle(ctx, c, next)
			}
		})
	}
	return l
}

// toggle makes one write and looks for it through the next node.
func (l *load) toggle(ctx context.Context, c *toggler, next int) (int, error) {
	method, want := http.MethodPut, "added"
	if c.in {
		method, want = http.MethodDelete, "removed"
	}
	write := l.d.member(method, c.user)
	write.once = rand.Text()
	got, next, retries, err := l.d.untilFrom(ctx, next, write)
	c.retries += retries
	if err != nil {
		return next, err
	}
	if got.Outcome != want {
		return next, fmt.Errorf("%s %s: outcome %q, want %q: it was carried out twice, or not kept", method, c.user, got.Outcome, want)
	}
	c.in = !c.in
	c.writes++
	l.acked.Add(1)
	check := l.d.checkID(c.user)
	if c.writes%4 == 0 {
		check = l.d.check(c.user)
	}
	got, next, retries, err = l.d.untilFrom(ctx, next, check)
	c.retries += retries
	if err != nil {
		return next, err
	}
	if got.Member != c.in {
		return next, fmt.Errorf("after %s %s was acknowledged, another node says %s", method, c.user, got.text)
	}
	return next, nil
}

// until sends a call to one node after the other until one answers.
func (d *deployment) until(ctx context.Context, c apiCall) (reply, error) {
	got, _, _, err := d.untilFrom(ctx, 0, c)
	return got, err
}

// untilFrom is until, beginning with a node. It says which is next, and how often
// the call was repeated.
func (d *deployment) untilFrom(ctx context.Context, first int, c apiCall) (_ reply, next, retries int, _ error) {
	var last error
	for deadline := time.Now().Add(hang); time.Now().Before(deadline); retries++ {
		next = first + retries + 1
		got, err := d.nodes[(first+retries)%len(d.nodes)].send(ctx, c)
		switch {
		case err != nil:
			last = err
		case got.status == http.StatusOK || got.status == http.StatusCreated:
			return got, next, retries, nil
		case got.status == http.StatusServiceUnavailable && got.header.Get("Retry-After") != "":
			last = fmt.Errorf("status %d: %s", got.status, got.text)
		default:
			return got, next, retries, fmt.Errorf("%s %s: status %d: %s", c.method, c.path, got.status, got.text)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return reply{}, next, retries, fmt.Errorf("%s %s: no node answered: %w", c.method, c.path, last)
}

// reach waits until so many more writes were acknowledged.
func (l *load) reach(t *testing.T, more int64) {
	t.Helper()
	want := l.acked.Load() + more
	for deadline := time.Now().Add(hang); l.acked.Load() < want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("the load does not get on: %d of %d writes", l.acked.Load(), want)
			return
		}
	}
}

// stop ends the work and compares what is there, as each node and the log say,
// with what was acknowledged. nodes are those that must answer.
func (l *load) stop(t *testing.T, nodes ...*node) {
	t.Helper()
	l.stopped.Store(true)
	l.done.Wait()
	writes, retries := 0, 0
	want, changes := map[string]bool{}, map[string]int{}
	for _, c := range l.clients {
		if c.err != nil {
			t.Errorf("%s: %v", c.user, c.err)
		}
		writes, retries = writes+c.writes, retries+c.retries
		want[c.user], changes[c.user] = c.in, c.writes
	}
	t.Logf("%d writes acknowledged, %d retries", writes, retries)
	if t.Failed() {
		return
	}
	if writes == 0 {
		t.Fatal("nothing was acknowledged, so nothing was tested")
	}
	for _, n := range nodes {
		for user, in := range want {
			if got := n.must(t, l.d.check(user), http.StatusOK); got.Member != in {
				t.Errorf("%s: a node says %s; acknowledged was %t", user, got.text, in)
			}
		}
	}
	logged := l.d.wholeLog(t)
	for user, n := range changes {
		if logged[user] != n {
			t.Errorf("%s: the log holds %d changes, %d were acknowledged", user, logged[user], n)
		}
	}
}

// wholeLog checks that the tenant's log has no gap and no change that was none
// and, replayed from nothing, gives the memberships that the rows hold. It
// returns how many changes of memberships it holds by user.
func (d *deployment) wholeLog(t *testing.T) map[string]int {
	t.Helper()
	ctx := t.Context()
	store, err := postgres.Open(ctx, d.dsn, postgres.Options{NoMigrate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	tenant, err := store.TenantByName(ctx, d.tenant)
	if err != nil {
		t.Fatal(err)
	}
	names, byNumber := map[id.Number]string{}, map[string]int{}
	edges := map[directory.Edge]bool{}
	next := directory.Revision(1)
	for c, err := range store.Commits(ctx, tenant.ID, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Revision != next {
			t.Fatalf("commit %d follows %d", c.Revision, next-1)
		}
		next++
		for _, ch := range c.Changes {
			switch ch.Kind {
			case directory.UserCreated:
				names[ch.Number], _ = ch.After["name"].(string)
			case directory.MembersAdded, directory.MembersRemoved:
				added := ch.Kind == directory.MembersAdded
				for _, m := range ch.Members {
					e := directory.Edge{Group: ch.Number, Member: m}
					if edges[e] == added {
						t.Errorf("commit %d changes %v to what it was: added %t", c.Revision, e, added)
					}
					if added {
						edges[e] = true
					} else {
						delete(edges, e)
					}
					if u, ok := m.User(); ok {
						byNumber[names[u]]++
					}
				}
			}
		}
	}
	rows := map[directory.Edge]bool{}
	err = store.View(ctx, tenant.ID, func(r directory.Reader) error {
		if rev, err := r.Revision(); err != nil || rev != next-1 {
			t.Errorf("the tenant is at revision %d, %v; the log ends at %d", rev, err, next-1)
		}
		return r.Scan(
			func(id.Number, id.User, bool, time.Time) error { return nil },
			func(id.Number, id.Group) error { return nil },
			func(e directory.Edge, _ directory.Standing) error { rows[e] = true; return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(edges, rows) {
		t.Errorf("the log replays to %d memberships, the rows hold %d", len(edges), len(rows))
	}
	return byNumber
}
