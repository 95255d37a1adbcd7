// Package sqlite is the embedded engine: one SQLite database in a data
// directory, served by this process alone.
//
// Writes go through one goroutine, the committer, which runs the functions of
// whoever is waiting one after another, each in a savepoint of its own, and
// commits them together: SQLite has one writer, and one fsync then serves many.
// synchronous=FULL, so what was acknowledged survives loss of power. Reads use
// connections of their own and never wait for a write.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver; driver errors are read in errors.go

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/changelog"
)

//go:embed migrations/*.sql
var migrations embed.FS

// readers is how many reads run at once. Reading is CPU-bound here, so a few
// more than the cores of a small machine is enough.
const readers = 8

// walPages is how many pages of 4 KiB the write-ahead log gathers before it is
// folded into the database: 64 MiB (ADR 2).
const walPages = 16384

// Store is the embedded engine. It implements [directory.Store].
type Store struct {
	db    *sql.DB
	lock  *os.File
	clock func() time.Time

	requests  chan *request
	closing   chan struct{}
	closeOnce sync.Once
	closeErr  error
	committed sync.WaitGroup // the committer
	ended     chan struct{}  // closed when it has ended

	idle   chan *conn // the read connections that nobody uses
	writer *conn      // the committer's

	tenants sync.Map // id.Tenant → int64, the pk; only for tenants that exist
	tails   changelog.Tails
}

var _ directory.Store = (*Store)(nil)

// Option changes how a store behaves, for tests.
type Option func(*Store)

// WithClock makes the store take its time from clock.
func WithClock(clock func() time.Time) Option { return func(s *Store) { s.clock = clock } }

// Errors of [Open] that say why a data directory cannot be used.
var (
	ErrLocked  = errors.New("another process is using this data directory")
	ErrFilling = errors.New("a copy into this data directory has not ended: run roster copy again until it has")
)

// Open opens, and if need be makes, the database in dir. It fails with
// [ErrLocked] if another process has it open, and without touching anything if
// the database was written by a newer version of the program.
func Open(ctx context.Context, dir string, opts ...Option) (_ *Store, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	s := &Store{
		lock:     lock,
		clock:    time.Now,
		requests: make(chan *request, 1024),
		closing:  make(chan struct{}),
		ended:    make(chan struct{}),
		idle:     make(chan *conn, readers),
	}
	for _, o := range opts {
		o(s)
	}
	defer func() {
		if err != nil {
			if s.writer != nil {
				s.writer.close()
			}
			for range len(s.idle) {
				(<-s.idle).close()
			}
			if s.db != nil {
				s.db.Close()
			}
			lock.Close()
		}
	}()

	file := filepath.Join(dir, "roster.db")
	if s.db, err = openFile(file); err != nil {
		return nil, err
	}
	s.db.SetMaxOpenConns(readers + 1)
	s.db.SetMaxIdleConns(readers + 1)

	w, err := s.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	s.writer = w
	if _, filling, err := copyNote(ctx, w); err != nil || filling {
		if filling {
			err = ErrFilling
		}
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if err := migrate(ctx, w); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for range readers {
		c, err := s.connect(ctx)
		if err != nil {
			return nil, err
		}
		if err := c.exec(ctx, "PRAGMA query_only=ON"); err != nil {
			return nil, err
		}
		s.idle <- c
	}
	s.committed.Go(func() { s.commitLoop(w) })
	return s, nil
}

// openFile opens a database file, and makes it if it is not there.
func openFile(file string) (*sql.DB, error) {
	q := url.Values{"_pragma": {
		"busy_timeout(10000)",
		"journal_mode(WAL)",
		"synchronous(FULL)",
		"wal_autocheckpoint(" + strconv.Itoa(walPages) + ")",
		"journal_size_limit(" + strconv.Itoa(walPages*4096) + ")",
		"cache_size(-65536)",
		"temp_store(MEMORY)",
		"trusted_schema(OFF)",
	}}
	// Made here, so that it and the files that SQLite puts beside it are for the
	// owner alone.
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: file, RawQuery: q.Encode()}
	if !filepath.IsAbs(file) {
		u = url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath(), RawQuery: q.Encode()}
	}
	return sql.Open("sqlite", u.String())
}

// Close lets the writes that were handed in and the reads under way finish, and
// closes the database, whose log is folded into it by the last connection.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		s.committed.Wait()
		for range readers {
			s.closeErr = errors.Join(s.closeErr, (<-s.idle).close())
		}
		s.closeErr = errors.Join(s.closeErr, s.writer.close(), s.db.Close(), s.lock.Close())
	})
	return s.closeErr
}

// Ready reports whether the database answers.
func (s *Store) Ready(ctx context.Context) error {
	return s.read(ctx, func(c *conn) error {
		var one int
		return c.row(ctx, "SELECT 1").Scan(&one)
	})
}

// Fence is 0: this process is the only one that writes.
func (s *Store) Fence(context.Context, id.Tenant) (directory.Revision, error) { return 0, nil }

// Watch has nobody to hear of.
func (s *Store) Watch(ctx context.Context, _ directory.Watcher) {
	select {
	case <-ctx.Done():
	case <-s.closing:
	}
}

// read lends fn a connection for reading.
func (s *Store) read(ctx context.Context, fn func(*conn) error) error {
	select {
	case <-s.closing:
		return errClosed
	default:
	}
	select {
	case c := <-s.idle:
		defer func() { s.idle <- c }()
		return fn(c)
	case <-s.closing:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// View implements [directory.Store].
func (s *Store) View(ctx context.Context, t id.Tenant, fn func(directory.Reader) error) error {
	err := s.read(ctx, func(c *conn) error {
		// The transaction must end even if ctx has.
		if err := c.exec(context.Background(), "BEGIN"); err != nil {
			return err
		}
		defer c.exec(context.Background(), "ROLLBACK")
		pk, err := s.tenant(ctx, c, t)
		if err != nil {
			return err
		}
		return fn(&reader{ctx: ctx, c: c, tenant: t, pk: pk, tails: &s.tails})
	})
	return classify(err)
}

// tenant returns the pk of t. A tenant that is gone has no rows left under its
// pk, so a remembered one does no harm.
func (s *Store) tenant(ctx context.Context, c *conn, t id.Tenant) (int64, error) {
	if pk, ok := s.tenants.Load(t); ok {
		return pk.(int64), nil
	}
	var pk int64
	err := c.row(ctx, "SELECT pk FROM tenants WHERE id = ?", t[:]).Scan(&pk)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, directory.ErrNoTenant
	}
	if err == nil {
		s.tenants.Store(t, pk)
	}
	return pk, err
}

// migrate brings the schema up to the newest migration, each in a transaction.
func migrate(ctx context.Context, c *conn) error {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	have, err := schema(ctx, c, len(files))
	if err != nil {
		return err
	}
	for i, file := range files {
		number, _, _ := strings.Cut(filepath.Base(file), "_")
		if n, err := strconv.Atoi(number); err != nil || n != i+1 {
			return fmt.Errorf("migration %s is out of order", file)
		}
		if i < have {
			continue
		}
		text, err := migrations.ReadFile(file)
		if err != nil {
			return err
		}
		script := "BEGIN IMMEDIATE;\n" + string(text) + "\nPRAGMA user_version = " + strconv.Itoa(i+1) + ";\nCOMMIT"
		if _, err := c.c.ExecContext(ctx, script); err != nil {
			c.exec(ctx, "ROLLBACK")
			return fmt.Errorf("migration %s: %w", file, err)
		}
	}
	return nil
}

// schema returns the number of the last migration that the database has had, of
// those that the program knows.
func schema(ctx context.Context, c *conn, known int) (have int, err error) {
	if err := c.row(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return 0, err
	}
	if have > known {
		return 0, fmt.Errorf("the database has schema %d and this program knows up to %d: run a newer roster", have, known)
	}
	return have, nil
}
