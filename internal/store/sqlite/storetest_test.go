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

// open returns a store in a directory of its own that ends with the test.
func open(t testing.TB, opts ...Option) *Store {
	t.Helper()
	return openIn(t, t.TempDir(), opts...)
}

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

// lend runs fn with every connection of a store that nobody is using.
func (s *Store) lend(fn func(*conn)) {
	fn(s.writer)
	for range readers {
		c := <-s.idle
		defer func() { s.idle <- c }()
		fn(c)
	}
}

func TestTheStoreIsCorrectAndEveryStatementBindsItsTenant(t *testing.T) {
	var mu sync.Mutex
	prepared := map[string]bool{}
	t.Run("correct", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T, clock func() time.Time) directory.Store {
			s, err := Open(context.Background(), t.TempDir(), WithClock(clock))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				// Closed, the connections are nobody's, and still know what they prepared.
				mu.Lock()
				defer mu.Unlock()
				for query := range s.writer.stmts {
					prepared[query] = true
				}
			})
			return &recording{Store: s, prepared: prepared, mu: &mu}
		})
	})
	if t.Failed() || testing.Short() {
		return
	}
	if len(prepared) < 50 {
		t.Fatalf("only %d statements were collected", len(prepared))
	}
	for query := range prepared {
		if complaint := unbound(query); complaint != "" {
			t.Errorf("%s in:\n%s", complaint, query)
		}
	}
	// The list is of what is there: nothing may hide behind an old entry.
	for _, pattern := range slicesOf(maps.Keys(allowed)) {
		used := false
		for query := range prepared {
			used = used || matches(pattern, query)
		}
		if !used {
			t.Errorf("no statement is like %q any more: take it off the list", pattern)
		}
	}
}

// recording notes, before the store closes, what its reading connections
// prepared; closing empties the pool.
type recording struct {
	*Store
	prepared map[string]bool
	mu       *sync.Mutex
	once     sync.Once
}

func (r *recording) Close() error {
	r.note()
	return r.Store.Close()
}

func (r *recording) note() {
	r.once.Do(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.lend(func(c *conn) {
			for query := range c.stmts {
				r.prepared[query] = true
			}
		})
	})
}
