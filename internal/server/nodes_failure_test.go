package server_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roster/internal/store/postgres/pgtest"
)

func TestANodeKilledUnderLoadLosesNothingAndRepeatsNothing(t *testing.T) {
	long(t)
	t.Parallel()
	dsn := pgtest.Shared(t).Database(t)
	d := deploy(t, dsn, 16, dsn, dsn, dsn)
	l := d.start(t.Context(), 16)
	for range rounds(2) {
		l.reach(t, 100)
		d.nodes[2].kill()
		l.reach(t, 100)
		d.nodes[2].restart(t)
	}
	l.stop(t, d.nodes...)
}

func TestAPrimaryThatDiesLosesNothingAcknowledged(t *testing.T) {
	long(t)
	t.Parallel()
	primary := pgtest.New(t)
	standby := primary.Standby(t, "s1")
	primary.Exec(t, "ALTER SYSTEM SET synchronous_standby_names = 's1'", "SELECT pg_reload_conf()")
	both := "postgres://roster@" + primary.Address() + "," + standby.Address() + "/postgres?sslmode=disable"
	d := deploy(t, both, 16, both, both, both)
	l := d.start(t.Context(), 16)
	l.reach(t, 100)
	primary.Kill()
	standby.Exec(t, "SELECT pg_promote()")
	l.reach(t, 100)
	for _, n := range d.nodes {
		n.becomes(t, http.StatusOK)
	}
	l.stop(t, d.nodes...)
}

func TestACommitThatTheStandbyDoesNotHaveIsNotAcknowledged(t *testing.T) {
	long(t)
	t.Parallel()
	primary := pgtest.New(t)
	standby := primary.Standby(t, "s1")
	primary.Exec(t, "ALTER SYSTEM SET synchronous_standby_names = 's1'", "SELECT pg_reload_conf()")
	dsn := primary.DSN("postgres")
	d := deploy(t, dsn, 1, dsn, dsn)
	standby.Kill()
	put := d.member("PUT", "u0")
	put.once = "only-once"
	got, err := d.nodes[0].send(t.Context(), put)
	if err != nil {
		t.Fatal(err)
	}
	if got.status != http.StatusServiceUnavailable || got.Code != "outcome.unknown" || got.header.Get("Retry-After") == "" {
		t.Errorf("without its standby: status %d, Retry-After %q, %s", got.status, got.header.Get("Retry-After"), got.text)
	}
	// Nor may anybody have seen it: a standby that is promoted now lacks it.
	if got, err := d.nodes[1].send(t.Context(), d.check("u0")); err != nil || got.Member {
		t.Errorf("what is on one server alone was shown: %s, %v", got.text, err)
	}
	standby.Start(t)
	if got, err = d.until(t.Context(), put); err != nil || got.Outcome != "added" {
		t.Errorf("with its standby again: %s, %v", got.text, err)
	}
	if n := d.wholeLog(t)["u0"]; n != 1 {
		t.Errorf("the log holds %d changes", n)
	}
}

func TestConnectionsCutInMidTransactionLoseNothingAndRepeatNothing(t *testing.T) {
	long(t)
	t.Parallel()
	server := pgtest.Shared(t)
	dsn := server.Database(t)
	var proxies []*proxy
	var dsns []string
	for range 3 {
		p := newProxy(t, server.Address())
		proxies, dsns = append(proxies, p), append(dsns, viaTCP(t, server, dsn, p.address(), ""))
	}
	d := deploy(t, dsn, 16, dsns...)
	l := d.start(t.Context(), 16)
	for round := range rounds(6) {
		p := proxies[rand.IntN(len(proxies))]
		switch round % 6 {
		case 0:
			p.cutAll()
		case 1:
			p.on(func() fate { return cut }, nil)
		case 2:
			p.on(nil, func() fate { return cut })
		case 3: // and nobody can ask what became of it for a while
			armed := make(chan struct{})
			p.on(nil, func() fate { p.set(refuse); close(armed); return cut })
			<-armed // the other nodes can reach any number before this one commits
			l.reach(t, 10)
			p.cutAll()
			p.set(pass)
		case 4:
			p.slow(rand.N(20 * time.Millisecond))
			l.reach(t, 20)
			p.cutAll()
			p.slow(0)
		case 5:
			p.set(swallow)
			l.reach(t, 10)
			p.set(pass)
		}
		l.reach(t, 30)
	}
	l.stop(t, d.nodes...)
}

func TestACommitWithoutAnAnswerIsSettledFromTheLog(t *testing.T) {
	long(t)
	t.Parallel()
	server := pgtest.Shared(t)
	dsn := server.Database(t)
	p := newProxy(t, server.Address())
	d := deploy(t, dsn, 8, viaTCP(t, server, dsn, p.address(), ""))
	n := d.nodes[0]
	for i, c := range []struct {
		name               string
		atCommit, atAnswer func() fate
	}{
		{"the request is cut", func() fate { return cut }, nil},
		{"the answer is cut", nil, func() fate { return cut }},
		{"the request is lost", func() fate { return lose }, nil},
		{"the answer is lost", nil, func() fate { return lose }},
	} {
		user := fmt.Sprintf("u%d", i)
		p.on(c.atCommit, c.atAnswer)
		got := n.must(t, d.member("PUT", user), http.StatusCreated, http.StatusOK)
		if got.Outcome != "added" {
			t.Errorf("%s: %s", c.name, got.text)
		}
		if changes := d.wholeLog(t)[user]; changes != 1 {
			t.Errorf("%s: the log holds %d changes", c.name, changes)
		}
	}

	// And if there is nobody to ask, that is what is said.
	p.on(nil, func() fate { p.set(refuse); return cut })
	got := n.must(t, d.member("PUT", "u7"), http.StatusServiceUnavailable)
	if got.Code != "outcome.unknown" || got.header.Get("Retry-After") == "" {
		t.Errorf("in doubt: Retry-After %q, %s", got.header.Get("Retry-After"), got.text)
	}
	p.set(pass)
	n.becomes(t, http.StatusOK)
	if got := n.must(t, d.check("u7"), http.StatusOK); !got.Member {
		t.Errorf("what was committed is not there: %s", got.text)
	}
}

func TestAPoolWithoutAFreeConnectionSaysSo(t *testing.T) {
	long(t)
	t.Parallel()
	dsn := pgtest.Shared(t).Database(t)
	d := deploy(t, dsn, 1, dsn)
	n := launch(t, dsn, "--pool", "6").answers(t)
	n.must(t, d.check("u0"), http.StatusOK)

	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	for _, q := range []string{"BEGIN", "LOCK TABLE heads IN ACCESS EXCLUSIVE MODE"} {
		if _, err := c.Exec(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			what := d.check("u0")
			if i%2 == 0 {
				what = d.member("PUT", "u0")
			}
			got, err := n.send(t.Context(), what)
			if err != nil {
				t.Errorf("%s: %v", what.method, err)
				return
			}
			if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
				t.Errorf("%s: status %d, Retry-After %q: %s", what.method, got.status, got.header.Get("Retry-After"), got.text)
			}
		})
	}
	all.Wait()
	if _, err := c.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	d.nodes = []*node{n}
	if _, err := d.until(t.Context(), d.member("PUT", "u0")); err != nil {
		t.Errorf("once connections are free again: %v", err)
	}
	if got := n.must(t, d.check("u0"), http.StatusOK); !got.Member {
		t.Errorf("once connections are free again: %s", got.text)
	}
}

func TestANodeCutOffFromTheDatabaseIsNotReadySaysNoStaleYesAndComesBack(t *testing.T) {
	long(t)
	t.Parallel()
	server := pgtest.Shared(t)
	dsn := server.Database(t)
	p := newProxy(t, server.Address())
	d := deploy(t, dsn, 1, dsn, viaTCP(t, server, dsn, p.address(), ""))
	here, away := d.nodes[0], d.nodes[1]
	member := here.must(t, d.member("PUT", "u0"), http.StatusCreated)
	key := here.must(t, apiCall{key: d.key, method: "POST", path: "/tenants/rivia/keys", body: map[string]any{"name": "short-lived", "grants": []string{"members.read"}}}, http.StatusCreated)
	revoked := d.check("u0")
	revoked.key = key.Secret
	// Whatever a node may keep in memory, it has now.
	byID := d.checkID("u0")
	for _, c := range []apiCall{revoked, d.check("u0"), byID} {
		if got := away.must(t, c, http.StatusOK); !got.Member {
			t.Fatalf("before: %s", got.text)
		}
	}

	p.set(swallow)
	here.must(t, d.member("DELETE", "u0"), http.StatusOK)
	here.must(t, apiCall{key: d.key, method: "DELETE", path: "/tenants/rivia/keys/" + key.ID}, http.StatusNoContent, http.StatusOK)
	var all sync.WaitGroup
	for _, consistency := range []string{"", "cached", "at-least=" + member.header.Get("Roster-Revision")} {
		for _, c := range []apiCall{d.check("u0"), byID, revoked} {
			c.consistency = consistency
			all.Go(func() {
				got, err := away.send(t.Context(), c)
				if err != nil {
					t.Errorf("%q: %v", consistency, err)
					return
				}
				if got.Member || got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
					t.Errorf("%q, cut off: status %d, Retry-After %q: %s", consistency, got.status, got.header.Get("Retry-After"), got.text)
				}
			})
		}
	}
	all.Go(func() {
		if got := away.ready(t); got != http.StatusServiceUnavailable {
			t.Errorf("/readyz, cut off: %d", got)
		}
	})
	all.Go(func() {
		if got, err := away.send(t.Context(), d.member("PUT", "u0")); err != nil || got.status != http.StatusServiceUnavailable {
			t.Errorf("a write, cut off: %d %s, %v", got.status, got.text, err)
		}
	})
	all.Wait()

	p.set(pass)
	away.becomes(t, http.StatusOK)
	if got := away.must(t, d.check("u0"), http.StatusOK); got.Member {
		t.Errorf("back again: %s", got.text)
	}
	away.must(t, revoked, http.StatusUnauthorized)
}

func TestANodeStoppedInATransactionHoldsNobodyUpAndKeepsNothingHalf(t *testing.T) {
	long(t)
	t.Parallel()
	server := pgtest.Shared(t)
	dsn := server.Database(t)
	p := newProxy(t, server.Address())
	d := deploy(t, dsn, 2, dsn, viaTCP(t, server, dsn, p.address(), "&idle_in_transaction_session_timeout=1s"))
	here, stopped := d.nodes[0], d.nodes[1]
	wakes := make(chan struct{})
	p.on(func() fate {
		stopped.signal(t, syscall.SIGSTOP)
		<-wakes
		return deliver
	}, nil)
	answered := make(chan reply, 1)
	go func() {
		got, err := stopped.send(t.Context(), d.member("PUT", "u0"))
		if err != nil {
			t.Errorf("the node that was stopped: %v", err)
		}
		answered <- got
	}()
	// The transaction of the one that was stopped holds this up, and for no
	// longer than a session may idle in one.
	for deadline := time.Now().Add(hang); ; time.Sleep(10 * time.Millisecond) {
		if idling(t, dsn) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the node never came to its commit")
		}
	}
	d.nodes = []*node{here}
	if _, err := d.until(t.Context(), d.member("PUT", "u1")); err != nil {
		t.Errorf("the other node: %v", err)
	}
	stopped.signal(t, syscall.SIGCONT)
	close(wakes)
	got := <-answered
	kept := here.must(t, d.check("u0"), http.StatusOK).Member
	switch {
	case got.status == http.StatusCreated && kept:
	case got.status == http.StatusServiceUnavailable && got.Code != "outcome.unknown" && !kept:
	case got.status == http.StatusServiceUnavailable && got.Code == "outcome.unknown":
	default:
		t.Errorf("the node that was stopped said %d %s, and the user is in: %t", got.status, got.text, kept)
	}
	if got := stopped.must(t, d.check("u1"), http.StatusOK); !got.Member {
		t.Errorf("awake again: %s", got.text)
	}
	want := 0
	if kept {
		want = 1
	}
	if n := d.wholeLog(t)["u0"]; n != want {
		t.Errorf("the log holds %d changes of the stopped node, the rows %t", n, kept)
	}
}

// idling counts the sessions that idle in a transaction of the database.
func idling(t *testing.T, dsn string) (count int) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	err = c.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'").Scan(&count)
	if err != nil {
		t.Fatal(err)
	}
	return count
}
