// Package postgres is the engine for many nodes: any number of Roster processes
// on one PostgreSQL primary with its standbys.
//
// Whoever writes in a tenant locks the tenant's row in heads first. That puts the
// changes of a tenant in one order over all nodes, makes its revisions gap-free,
// and lets every statement after it see all that was committed before (ADR 8).
// The writers of one tenant on one node share a transaction. Reads are repeatable
// read snapshots on the primary.
//
// Connections break, primaries fail over. What is retried is retried in run.go,
// in one place, and never reaches a client.
package postgres

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"roster/internal/directory"
	"roster/internal/id"
)

// Store is the engine. It implements [directory.Store].
type Store struct {
	pool  *pgxpool.Pool
	clock func() time.Time

	patience time.Duration // how long a request waits for the database to come back
	acquire  time.Duration // how long it waits for a connection

	writers chan struct{} // a slot for each transaction that may write at once
	statements

	mu     sync.Mutex // guards lanes, closed
	lanes  map[id.Tenant]*lane
	closed bool

	busy    sync.WaitGroup // lanes that run
	closing context.Context
	close   context.CancelFunc
	once    sync.Once

	histories
	watcher atomic.Pointer[directory.Watcher]
	telling sync.Mutex // held while the watcher is told of tenants
	fences  fences
	codes   codes
	tell    notifier
}

var _ directory.Store = (*Store)(nil)

// Options are what a store may be given beside its DSN; the zero value serves.
type Options struct {
	// Connections is the most that the store opens; 0: [DefaultConnections].
	Connections int

	// NoMigrate makes Open fail with [ErrSchemaOld] instead of changing an
	// older schema.
	NoMigrate bool

	// Pins are settings of the deployment, by name, that every node has alike: Open
	// keeps those that the database has none of, and fails with [ErrPinned], before
	// it changes anything, if one is another.
	Pins map[string]string

	Clock    func() time.Time // nil: the system's
	Patience time.Duration    // how long a request waits for a database that is away; 0: 10 s

	seen func(query string) // called with every statement, for tests
}

// DefaultConnections is how many connections a node opens unless told otherwise.
const DefaultConnections = 20

// reserved are the connections that writers leave to readers.
const reserved = 4

// Open connects to the database that dsn names and brings its schema up to date.
// What is wrong with the DSN, the server or the schema is said in one line, and
// nothing has been changed then.
func Open(ctx context.Context, dsn string, o Options) (*Store, error) {
	if o.Connections == 0 {
		o.Connections = DefaultConnections
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	cfg, err := config(dsn, o.Connections)
	if err != nil {
		return nil, err
	}
	if err := ready(ctx, cfg.ConnConfig, o); err != nil {
		return nil, err
	}
	s := &Store{
		clock:      o.Clock,
		patience:   o.Patience,
		acquire:    min(o.Patience, acquireWithin),
		writers:    make(chan struct{}, max(o.Connections-reserved, 1)),
		statements: statements{seen: o.seen},
		lanes:      map[id.Tenant]*lane{},
	}
	s.closing, s.close = context.WithCancel(context.Background())
	s.fences.s, s.codes.s, s.tell.s = s, s, s
	cfg.ConnConfig.ValidateConnect = s.greet
	if s.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, explain(cfg.ConnConfig, err)
	}
	s.busy.Go(func() { s.tell.run(s.closing) })
	for name, value := range o.Pins {
		kept, err := s.Pin(ctx, name, value)
		if err == nil && kept != value { // by a node that was opened meanwhile
			err = ErrPinned
		}
		if err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// Close lets the writes that were handed in and the reads under way finish, and
// closes the connections.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.close()
		s.busy.Wait()
		s.pool.Close()
	})
	return nil
}

const pinSetting = `INSERT INTO settings (name, value) VALUES ($1, $2)
 ON CONFLICT (name) DO UPDATE SET value = settings.value RETURNING value`

// Pin keeps a setting of the deployment if there is none under the name, and
// returns the one that is kept.
func (s *Store) Pin(ctx context.Context, name, value string) (kept string, err error) {
	err = s.read(ctx, func(ctx context.Context, c *conn) error {
		return c.row(ctx, pinSetting, name, value).Scan(&kept)
	})
	return kept, classify(err)
}

// Ready reports whether the primary answers this node.
func (s *Store) Ready(ctx context.Context) error {
	return classify(s.quick(ctx, func(ctx context.Context, c *conn) error {
		var one int
		return c.row(ctx, "SELECT 1").Scan(&one)
	}))
}

// View implements [directory.Store].
func (s *Store) View(ctx context.Context, t id.Tenant, fn func(directory.Reader) error) error {
	return classify(s.peruse(ctx, func(ctx context.Context, c *conn) error {
		pk, err := s.tenant(ctx, c, t)
		if err != nil {
			return err
		}
		r := &reader{ctx: ctx, c: c, tenant: t, pk: pk}
		b := &pgx.Batch{}
		b.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
		b.Queue(c.note("SELECT revision, shape FROM heads WHERE tenant = $1"), pk)
		err = c.batch(ctx, b, func(res pgx.BatchResults) error {
			if _, err := res.Exec(); err != nil {
				return err
			}
			return gone(res.QueryRow().Scan(&r.revision, &r.shape), directory.ErrNoTenant)
		})
		defer c.end("ROLLBACK")
		if err != nil {
			if errors.Is(err, directory.ErrNoTenant) {
				c.history().tenants.Delete(t)
			}
			return err
		}
		return fn(r)
	}))
}

// tenant returns the pk of t. A tenant that is gone has no row in heads under its
// pk, and a pk is never given twice, so a remembered one does no harm.
func (s *Store) tenant(ctx context.Context, c *conn, t id.Tenant) (int64, error) {
	if pk, ok := c.history().tenants.Load(t); ok {
		return pk.(int64), nil
	}
	var pk int64
	err := c.row(ctx, "SELECT pk FROM tenants WHERE id = $1", uuid(t)).Scan(&pk)
	if err != nil {
		return 0, gone(err, directory.ErrNoTenant)
	}
	c.history().tenants.Store(t, pk)
	return pk, nil
}
