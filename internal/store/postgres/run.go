package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"roster/internal/directory"
)

// How long things take at most.
const (
	// acquireWithin is how long a request waits for a free connection before it
	// is told to come again.
	acquireWithin = 3 * time.Second

	// quickly bounds a statement that reads or writes a few rows by key. A
	// primary that needs longer is as good as away.
	quickly = 5 * time.Second

	// connectWithin bounds the making of one connection to one host.
	connectWithin = 2 * time.Second
)

// lend gives fn a connection once.
func (s *Store) lend(ctx context.Context, fn func(*conn) error) error {
	waiting, cancel := context.WithTimeout(ctx, s.acquire)
	pc, err := s.pool.Acquire(waiting)
	cancel()
	if err != nil {
		switch {
		case errors.Is(err, puddle.ErrClosedPool):
			return errClosed
		case ctx.Err() == nil && errors.Is(waiting.Err(), context.DeadlineExceeded):
			return errBusy
		}
		return lost(err)
	}
	defer pc.Release()
	c := &conn{c: pc, statements: s.statements}
	err = fn(c)
	if err != nil && pc.Conn().IsClosed() && ctx.Err() == nil {
		return lost(err)
	}
	return err
}

// errAway marks an error after which the connection is gone, or was never made.
var errAway = errors.New("the database went away")

func lost(err error) error {
	if refused(err) {
		return err
	}
	return errors.Join(errAway, err)
}

// refused reports whether the server refuses to be connected to, which does not
// get better by trying again.
func refused(err error) bool {
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	switch code(err) {
	case "28000", "28P01", "3D000", "42501": // no such role, password, database; no permission
		return connecting
	}
	return false
}

// transient reports whether err says that the primary is away, is another one
// now, or had to choose a victim, so that the same request may succeed in a
// moment. Nothing of the transaction was kept, unless it was being committed.
func transient(err error) bool {
	if errors.Is(err, errAway) {
		return true
	}
	switch code(err) {
	case "40001", "40P01", // serialization failure, deadlock
		"25006",                   // read-only: a standby
		"57P01", "57P02", "57P03", // shutting down, crashed, starting
		"08000", "08003", "08006",
		"53300": // too many connections
		return true
	}
	return false
}

// retry runs try until it succeeds, fails for good, or patience ends. This is the
// one place in which anything is tried again.
func (s *Store) retry(ctx context.Context, try func() error) error {
	until := time.Now().Add(s.patience)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		err := try()
		if err == nil || !transient(err) || time.Now().After(until) {
			return err
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
			return ctx.Err()
		case <-s.closing.Done():
			return err
		}
	}
}

// read lends fn a connection for reading, again if the connection breaks.
func (s *Store) read(ctx context.Context, fn func(*conn) error) error {
	if s.closing.Err() != nil {
		return errClosed
	}
	return s.retry(ctx, func() error { return s.lend(ctx, fn) })
}

// begin opens a transaction that writes and returns the tenant's head, locked.
func (c *conn) begin(ctx context.Context, pk int64) (head, error) {
	var h head
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	b.Queue(c.note("SELECT revision, at, next_user, next_group, next_serial, shape FROM heads WHERE tenant = $1 FOR UPDATE"), pk)
	c.failed = nil
	err := c.batch(ctx, b, func(res pgx.BatchResults) error {
		if _, err := res.Exec(); err != nil {
			return err
		}
		err := res.QueryRow().Scan(&h.revision, &h.at, &h.nextUser, &h.nextGroup, &h.nextSerial, &h.shape)
		return gone(err, directory.ErrNoTenant)
	})
	return h, err
}
