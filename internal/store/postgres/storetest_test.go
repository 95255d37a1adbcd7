package postgres

import (
	"context"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/postgres/pgtest"
	"roster/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// openOn returns a store on a database that ends with the test.
func openOn(t testing.TB, dsn string, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), dsn, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestTheStoreIsCorrectAndItsStatementsBindTheirTenantAndWasteNothing(t *testing.T) {
	server := pgtest.Shared(t)
	template := template(t, server)
	var mu sync.Mutex
	run := map[string]bool{}
	t.Run("correct", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T, clock func() time.Time) directory.Store {
			s := openOn(t, server.DatabaseLike(t, template), Options{Clock: clock, Connections: 8, seen: func(query string) {
				mu.Lock()
				defer mu.Unlock()
				run[query] = true
			}})
			if _, err := s.Fence(t.Context(), id.Tenant{}); err != nil {
				t.Error(err)
			}
			return s
		})
	})
	if t.Failed() {
		return
	}
	if len(run) < 80 {
		t.Fatalf("only %d statements were collected", len(run))
	}
	checkStatements(t, server, template, run)
}

// template makes a database with the schema and nothing else in it, of which
// copies are made faster than the schema.
func template(t testing.TB, server *pgtest.Server) string {
	t.Helper()
	dsn := server.Database(t)
	if _, err := Migrate(t.Context(), dsn, false); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/")
}
