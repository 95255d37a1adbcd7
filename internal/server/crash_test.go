package server_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/sqlite"
)

var crashes = flag.Int("crashes", 20, "how often TestCrash kills the server")

// writer is one of the clients of the crash test. It works on users of its own,
// one request at a time, and remembers what it was told.
type writer struct {
	name  string
	users int
	in    map[string]bool // who is in the group, as acknowledged

	// doubt is the request whose answer did not come: it happened as a whole or
	// not at all.
	doubt map[string]bool
}

// step sends one request and takes note of the answer. It returns false if none
// came.
func (w *writer) step(ctx context.Context, p *process, rng *rand.Rand) (bool, error) {
	want := map[string]bool{}
	var method, path string
	var body any
	var ok []int
	switch n := rng.IntN(10); {
	case n < 3 || w.users == 0: // a new user, in the group from the start
		name := fmt.Sprintf("%s-%d", w.name, w.users)
		w.users++
		method, path, ok = "POST", "/users", []int{http.StatusCreated}
		body = map[string]any{"name": name, "groups": []string{"name:witchers"}}
		want[name] = true
	case n < 6:
		name := fmt.Sprintf("%s-%d", w.name, rng.IntN(w.users))
		method, path, ok = "PUT", "/groups/name:witchers/members/name:"+name, []int{http.StatusOK, http.StatusCreated, http.StatusNotFound}
		want[name] = true
	case n < 8:
		name := fmt.Sprintf("%s-%d", w.name, rng.IntN(w.users))
		method, path, ok = "DELETE", "/groups/name:witchers/members/name:"+name, []int{http.StatusOK, http.StatusNotFound}
		want[name] = false
	default: // everybody in, or everybody out, as a whole
		add := rng.IntN(2) == 0
		var refs []string
		for name := range w.in {
			refs = append(refs, "name:"+name)
			want[name] = add
		}
		list := "remove"
		if add {
			list = "add"
		}
		method, path, ok = "POST", "/groups/name:witchers/members:batch", []int{http.StatusOK}
		body = map[string]any{"mode": "atomic", list: refs}
		if len(refs) == 0 {
			return true, nil
		}
	}
	status, err := p.native(ctx, method, path, body, nil)
	if err != nil {
		w.doubt = want
		return false, nil
	}
	if status == http.StatusNotFound { // a user whose creation was in doubt, and did not happen
		return true, nil
	}
	for _, s := range ok {
		if status == s {
			maps.Copy(w.in, want)
			return true, nil
		}
	}
	return false, fmt.Errorf("%s %s: status %d", method, path, status)
}

// check compares what the group holds of the writer's users with what it was
// told, and settles the doubt.
func (w *writer) check(t *testing.T, have map[string]bool) {
	t.Helper()
	wanted := func(doubt map[string]bool) map[string]bool {
		m := map[string]bool{}
		for name, in := range w.in {
			if in {
				m[name] = true
			}
		}
		for name, in := range doubt {
			delete(m, name)
			if in {
				m[name] = true
			}
		}
		return m
	}
	without, with := wanted(nil), wanted(w.doubt)
	switch {
	case maps.Equal(have, without):
	case maps.Equal(have, with):
		maps.Copy(w.in, w.doubt)
	default:
		t.Errorf("%s: the group holds %v of its users; acknowledged was %v, in doubt %v", w.name, have, without, w.doubt)
	}
	w.doubt = nil
}

func TestCrashLosesNothingAcknowledgedAndKeepsNothingHalf(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills the real program many times")
	}
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	writers := make([]*writer, 16)
	for i := range writers {
		writers[i] = &writer{name: fmt.Sprintf("crash%d", i), in: map[string]bool{}}
	}
	requests := 0
	for round := range *crashes {
		p := start(t, dir)
		verify(t, p, writers)
		if t.Failed() {
			t.Fatalf("after crash %d", round)
		}
		requests += write(t, p, writers, time.Duration(20+rng.IntN(400))*time.Millisecond)
	}
	p := start(t, dir)
	verify(t, p, writers)
	p.stop(t)
	wholeLog(t, dir)
	t.Logf("%d crashes, %d requests answered", *crashes, requests)
}

// write lets every writer work until the server is killed after a while, and
// returns how many requests were answered.
func write(t *testing.T, p *process, writers []*writer, after time.Duration) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var mu sync.Mutex
	answered := 0
	var wg sync.WaitGroup
	for i, w := range writers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(i)))
			for {
				ok, err := w.step(ctx, p, rng)
				if err != nil {
					t.Error(err)
				}
				if !ok || err != nil {
					return
				}
				mu.Lock()
				answered++
				mu.Unlock()
			}
		})
	}
	time.Sleep(after)
	p.kill(t)
	wg.Wait()
	return answered
}

// verify reads the whole group through the API and asks every writer.
func verify(t *testing.T, p *process, writers []*writer) {
	t.Helper()
	have := make(map[string]map[string]bool, len(writers))
	for _, w := range writers {
		have[w.name] = map[string]bool{}
	}
	cursor := ""
	for {
		var page struct {
			Items []struct {
				User struct {
					Name string `json:"name"`
				} `json:"user"`
			} `json:"items"`
			Next string `json:"next"`
		}
		path := "/groups/name:witchers/members?limit=1000"
		if cursor != "" {
			path += "&cursor=" + cursor
		}
		status, err := p.native(t.Context(), "GET", path, nil, &page)
		if err != nil || status != http.StatusOK {
			t.Fatalf("GET %s: status %d, %v", path, status, err)
		}
		for _, item := range page.Items {
			owner, _, _ := strings.Cut(item.User.Name, "-")
			if m, ok := have[owner]; ok {
				m[item.User.Name] = true
			}
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	for _, w := range writers {
		w.check(t, have[w.name])
	}
}

// wholeLog checks that the change log has no gap and, replayed from nothing,
// gives the memberships that the rows hold.
func wholeLog(t *testing.T, dir string) {
	t.Helper()
	ctx := t.Context()
	store, err := sqlite.Open(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	tenant, err := store.TenantByName(ctx, "rivia")
	if err != nil {
		t.Fatal(err)
	}
	replayed := map[directory.Edge]bool{}
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
			for _, m := range ch.Members {
				e := directory.Edge{Group: ch.Number, Member: m}
				switch ch.Kind {
				case directory.MembersAdded:
					if replayed[e] {
						t.Errorf("commit %d adds %v, which was there", c.Revision, e)
					}
					replayed[e] = true
				case directory.MembersRemoved:
					if !replayed[e] {
						t.Errorf("commit %d removes %v, which was not there", c.Revision, e)
					}
					delete(replayed, e)
				}
			}
		}
	}
	rows := map[directory.Edge]bool{}
	err = store.View(ctx, tenant.ID, func(r directory.Reader) error {
		return r.Scan(
			func(id.Number, id.User, bool, time.Time) error { return nil },
			func(id.Number, id.Group) error { return nil },
			func(e directory.Edge, _ directory.Standing) error { rows[e] = true; return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(replayed, rows) {
		t.Errorf("the log replays to %d memberships, the rows hold %d", len(replayed), len(rows))
	}
}

func TestStoppingCutsNoRequest(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir)
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	stopping := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := 0; ; n++ {
				name := fmt.Sprintf("stop%d-%d", i, n)
				status, err := p.native(t.Context(), "POST", "/users", map[string]any{"name": name}, nil)
				select {
				case <-stopping:
					if err != nil {
						return // nobody listens any more
					}
				default:
					if err != nil {
						t.Errorf("before the stop: %v", err)
						return
					}
				}
				if status != http.StatusCreated {
					t.Errorf("status %d", status)
					return
				}
				mu.Lock()
				acknowledged[name] = true
				mu.Unlock()
			}
		})
	}
	time.Sleep(200 * time.Millisecond)
	close(stopping)
	p.stop(t)
	wg.Wait()
	p = start(t, dir)
	for name := range acknowledged {
		if status, err := p.native(t.Context(), "GET", "/users/name:"+name, nil, nil); err != nil || status != http.StatusOK {
			t.Fatalf("acknowledged user %s: status %d, %v", name, status, err)
		}
	}
	p.stop(t)
	if len(acknowledged) == 0 {
		t.Error("nothing was acknowledged, so nothing was tested")
	}
}
