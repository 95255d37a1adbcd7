package server_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roster/internal/id"
	"roster/internal/store/postgres"
	"roster/internal/store/postgres/pgtest"
)

func TestNobodyWaitsForEachOtherForEver(t *testing.T) {
	long(t)
	t.Parallel()
	server := pgtest.Shared(t)
	dsn := server.Database(t)
	d := deploy(t, dsn, 0, dsn, dsn, dsn)
	const tenants, people, workers = 5, 8, 12
	keys := make([]string, tenants)
	for i := range tenants {
		keys[i] = d.makeTenant(t, fmt.Sprintf("shared%d", i), 0)
	}
	var used sync.Map // credentials, for Touch
	work := func(worker, i int) {
		n := d.nodes[rand.IntN(len(d.nodes))]
		k := rand.IntN(tenants)
		at := fmt.Sprintf("/tenants/shared%d", k)
		person := rand.IntN(people)
		other := rand.IntN(people)
		user := fmt.Sprintf("p%d", person)
		address := func(p int) string { return fmt.Sprintf("p%d@example.com", p) }
		var c apiCall
		switch rand.IntN(14) {
		case 0, 1, 2:
			c = apiCall{method: "POST", path: at + "/users", body: map[string]any{"name": user, "email": address(other), "email_verified": true, "groups": []string{"name:witchers"}}}
		case 3, 4: // another's address, or none
			body := map[string]any{"email": address(other), "email_verified": rand.IntN(2) == 0}
			c = apiCall{method: "PATCH", path: at + "/users/name:" + user, body: body}
		case 5:
			c = apiCall{method: "PATCH", path: at + "/users/name:" + user, body: map[string]any{"name": fmt.Sprintf("p%d", other)}}
		case 6:
			c = apiCall{method: "DELETE", path: at + "/users/name:" + user}
		case 7:
			c = apiCall{method: "PUT", path: at + "/groups/name:witchers/members/name:" + user}
		case 8:
			c = apiCall{method: "DELETE", path: at + "/groups/name:witchers/members/name:" + user}
		case 9:
			c = apiCall{method: "POST", path: at + "/groups", body: map[string]any{"name": fmt.Sprintf("g%d-%d", worker, i)}}
		case 10:
			c = apiCall{method: "PATCH", path: at, body: map[string]any{"title": fmt.Sprint("title ", i)}}
		case 11: // a tenant that lives for a moment, with the same people
			name := fmt.Sprintf("brief%d-%d", worker, i)
			c = apiCall{key: d.platform, method: "POST", path: "/tenants", body: map[string]any{"name": name}}
			if got, err := n.send(t.Context(), c); err != nil || got.status != http.StatusCreated {
				t.Errorf("%s: %s, %v", name, got.text, err)
				return
			}
			var all sync.WaitGroup
			for p := range people {
				all.Go(func() {
					c := apiCall{key: d.platform, method: "POST", path: "/tenants/" + name + "/users", body: map[string]any{"name": fmt.Sprintf("p%d", p), "email": address((p + person) % people), "email_verified": true}}
					d.allowed(t, d.nodes[p%len(d.nodes)], c)
				})
			}
			if i%2 == 0 {
				all.Wait()
			}
			d.allowed(t, n, apiCall{key: d.platform, method: "DELETE", path: "/tenants/" + name})
			all.Wait()
			return
		case 12:
			c = apiCall{key: keys[k], method: "POST", path: at + "/keys", body: map[string]any{"name": fmt.Sprintf("k%d-%d", worker, i), "grants": []string{"members.read"}}}
			got := d.allowed(t, n, c)
			used.Store(got.ID, true)
			if i%2 == 0 {
				c = apiCall{method: "DELETE", path: at + "/keys/" + got.ID}
				break
			}
			return
		case 13:
			c = apiCall{method: "GET", path: at + "/check?user=name:" + user + "&group=name:witchers"}
		}
		c.key = keys[k]
		d.allowed(t, n, c)
	}
	stop := make(chan struct{})
	var touching sync.WaitGroup
	store, err := postgres.Open(t.Context(), dsn, postgres.Options{NoMigrate: true, Connections: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	touching.Go(func() {
		for {
			touched := map[id.Credential]time.Time{}
			used.Range(func(k, _ any) bool {
				if c, err := id.Parse[id.Credential](k.(string)); err == nil {
					touched[c] = time.Now()
				}
				return true
			})
			if err := store.Touch(t.Context(), touched); err != nil {
				t.Errorf("Touch: %v", err)
				return
			}
			select {
			case <-time.After(5 * time.Millisecond):
			case <-stop:
				return
			}
		}
	})
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			for i := range rounds(60) {
				work(worker, i)
			}
		})
	}
	all.Wait()
	close(stop)
	touching.Wait()

	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	var deadlocks int
	// A session reports what it counted when it ends or has been idle for a while.
	if _, err := c.Exec(t.Context(), "SELECT pg_stat_force_next_flush()"); err != nil {
		t.Fatal(err)
	}
	err = c.QueryRow(t.Context(), "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").Scan(&deadlocks)
	if err != nil {
		t.Fatal(err)
	}
	if log := server.Log(); deadlocks != 0 || strings.Contains(log, "deadlock detected") || strings.Contains(log, "could not serialize") {
		t.Errorf("%d deadlocks; the server's log ends:\n%s", deadlocks, lastLines(log, 20))
	}
}

// allowed sends a call that may be refused for what it asks, or because there is
// much to do, and for nothing else.
func (d *deployment) allowed(t *testing.T, n *node, c apiCall) reply {
	got, err := n.send(t.Context(), c)
	if err != nil || got.status >= 500 && got.Code != "store.busy" {
		t.Errorf("%s %s: status %d %s, %v", c.method, c.path, got.status, got.text, err)
	}
	return got
}
