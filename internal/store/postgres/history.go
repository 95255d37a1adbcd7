package postgres

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgconn"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/changelog"
)

// history is one course of events that a primary serves, with all that this node
// remembers of it. A failover, or a restore, may begin another in which the last
// revisions of a tenant, though seen before, never were or are something else.
// So nothing that was read in one is used in another.
type history struct {
	timeline int64  // grows with every promotion; 0 if the server does not tell
	server   string // which server, since when

	tenants sync.Map // id.Tenant → int64, the pk; only for tenants that exist
	tails   changelog.Tails
	heard   sync.Map // id.Tenant → *atomic.Uint64, the highest revision told by another node
}

// errOldPrimary refuses a server that was the primary once, and may not know that
// another is.
var errOldPrimary = errors.New("a primary of an earlier timeline")

// histories knows which history is served.
type histories struct {
	current atomic.Pointer[history]
	mu      sync.Mutex // held while current is compared and changed
}

// greet looks at a server that a connection of the pool was just made to, before
// anything is read from it: it must be the primary, and if it serves another
// history than the one before, all that was remembered of that is forgotten.
func (s *Store) greet(ctx context.Context, c *pgconn.PgConn) error {
	if err := primary(ctx, c); err != nil {
		return err
	}
	found, err := serves(ctx, c)
	if err != nil {
		return err
	}
	s.histories.mu.Lock()
	defer s.histories.mu.Unlock()
	known := s.histories.current.Load()
	switch {
	case known != nil && found.timeline == known.timeline && found.server == known.server:
		found = known
	case known != nil && found.timeline < known.timeline:
		return errOldPrimary
	default:
		s.histories.current.Store(found)
		if known != nil {
			s.rewound()
		}
	}
	c.CustomData()[lineKey].(*line).history = found
	return nil
}

// rewound lets go of another history's connections and has the directory forget it.
func (s *Store) rewound() {
	s.pool.Reset()
	if w := s.watcher.Load(); w != nil {
		w.Rewound()
	}
}

// serves asks which history a server serves. Engines that speak PostgreSQL's
// protocol and know no timelines agree on one history among themselves.
func serves(ctx context.Context, c *pgconn.PgConn) (*history, error) {
	res, err := c.Exec(ctx, `SELECT substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8),
 (SELECT system_identifier FROM pg_control_system()) || ' since ' || pg_postmaster_start_time()`).ReadAll()
	if err != nil && code(err) == "42501" { // pg_control_system is not for everybody everywhere
		res, err = c.Exec(ctx, "SELECT substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8), 'since ' || pg_postmaster_start_time()").ReadAll()
	}
	switch {
	case err == nil && len(res) == 1 && len(res[0].Rows) == 1:
		timeline, err := strconv.ParseInt(string(res[0].Rows[0][0]), 16, 64)
		return &history{timeline: timeline, server: string(res[0].Rows[0][1])}, err
	case strings.HasPrefix(code(err), "42") || code(err) == "0A000": // no such function
		return &history{}, nil
	case err == nil:
		err = errors.New("the database did not say what history it serves")
	}
	return nil, err
}

// history is the one that is served. Before the first connection nothing is
// remembered of any.
func (s *Store) history() *history {
	if h := s.histories.current.Load(); h != nil {
		return h
	}
	return &history{}
}

// hear notes that a tenant is known to have come as far as a revision, and reports
// whether that is news.
func (h *history) hear(t id.Tenant, rev directory.Revision) bool {
	known, ok := h.heard.Load(t)
	if !ok {
		known, _ = h.heard.LoadOrStore(t, &atomic.Uint64{})
	}
	high := known.(*atomic.Uint64)
	for {
		old := high.Load()
		if old >= uint64(rev) {
			return false
		}
		if high.CompareAndSwap(old, uint64(rev)) {
			return true
		}
	}
}

// heardOf is the highest revision that this node was told of by another.
func (h *history) heardOf(t id.Tenant) directory.Revision {
	if known, ok := h.heard.Load(t); ok {
		return directory.Revision(known.(*atomic.Uint64).Load())
	}
	return 0
}
