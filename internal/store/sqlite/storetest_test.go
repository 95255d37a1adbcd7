package sqlite

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	"roster/internal/directory"
	"roster/internal/store/storetest"
)

// openIn returns a store over dir that ends with the test.
func openIn(t testing.TB, dir string, opts ...Option) *Store {
	t.Helper()
	s, err := Open(context.Background(), dir, opts...)
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

// lend calls fn with every connection, none of which may be writing.
func (s *Store) lend(fn func(*conn)) {
	fn(s.writer)
	for range readers {
		c := <-s.idle
		defer func() { s.idle <- c }()
		fn(c)
	}
}

func TestTheStoreIsCorrectAndItsStatementsBindTheirTenantAndWasteNothing(t *testing.T) {
	var mu sync.Mutex
	prepared, searches := map[string]bool{}, map[string]bool{}
	t.Run("correct", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T, clock func() time.Time) directory.Store {
			s := openIn(t, t.TempDir(), WithClock(clock))
			t.Cleanup(func() { // runs before the store is closed
				select {
				case <-s.closing:
					return
				default:
				}
				mu.Lock()
				defer mu.Unlock()
				s.lend(func(c *conn) {
					for query := range c.stmts {
						prepared[query] = true
					}
					for query := range c.searches {
						searches[query] = true
					}
				})
			})
			return s
		})
	})
	if t.Failed() {
		return
	}
	if len(prepared) < 80 || len(searches) < 80 {
		t.Fatalf("only %d statements and %d searches were collected", len(prepared), len(searches))
	}
	checkPlans(t, prepared)
	maps.Copy(prepared, searches) // whose plans are those of what they ask: see TestASearchThatAnIndexCanServeUsesIt
	used := map[string]bool{}
	for query := range prepared {
		if why, start := exempt(query); why != "" {
			used[start] = true
			continue
		}
		if complaint := unbound(query); complaint != "" {
			t.Errorf("%s:\n%s", complaint, query)
		}
	}
	for _, e := range exempted {
		if !used[e.start] {
			t.Errorf("no statement begins with %q any more: take it off the list", e.start)
		}
	}
}
