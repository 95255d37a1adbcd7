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

	// silence is how long a longer question may go without a word from the
	// primary, be it another row.
	silence = 30 * time.Second

	// answerWithin is how long a COMMIT is waited for before it is in doubt. A
	// standby that has to have it first may take its time.
	answerWithin = 10 * time.Second

	// connectWithin bounds the making of one connection to one host.
	connectWithin = 2 * time.Second

	// pingWithin bounds the look at a connection that was idle. It is a fraction
	// of acquireWithin, so that one that has died unnoticed is not all that a
	// request gets to see.
	pingWithin = time.Second
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
	if lineOf(pc.Conn()).history != s.history() { // it was idle while another began
		pc.Conn().Close(ctx)
		return lost(errOldPrimary)
	}
	c := &conn{c: pc, statements: s.statements}
	err = fn(c)
	if err != nil && pc.Conn().IsClosed() && ctx.Err() == nil {
		// What broke this one has broken others too, which would be found out
		// one by one, and some only after a wait.
		s.pool.Reset()
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

// quick lends fn a connection for statements that answer quickly, and takes one
// that does not answer for lost.
func (s *Store) quick(ctx context.Context, fn func(context.Context, *conn) error) error {
	return s.lend(ctx, func(c *conn) error {
		ctx, cancel := context.WithTimeout(ctx, quickly)
		defer cancel()
		return fn(ctx, c)
	})
}

// read is quick, again if the connection breaks.
func (s *Store) read(ctx context.Context, fn func(context.Context, *conn) error) error {
	if s.closing.Err() != nil {
		return errClosed
	}
	return s.retry(ctx, func() error { return s.quick(ctx, fn) })
}

// peruse is read for questions that may take long, but not be silent.
func (s *Store) peruse(ctx context.Context, fn func(context.Context, *conn) error) error {
	if s.closing.Err() != nil {
		return errClosed
	}
	return s.retry(ctx, func() error {
		return s.lend(ctx, func(c *conn) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			c.patience = time.AfterFunc(silence, cancel)
			defer c.patience.Stop()
			return fn(ctx, c)
		})
	})
}

// begin opens a transaction that writes and returns the tenant's head, locked.
func (c *conn) begin(ctx context.Context, pk int64) (head, error) {
	var h head
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	b.Queue(c.note("SELECT revision, at, next_user, next_group, next_serial, shape, clocked, due FROM heads WHERE tenant = $1 FOR UPDATE"), pk)
	c.failed = nil
	err := c.batch(ctx, b, func(res pgx.BatchResults) error {
		if _, err := res.Exec(); err != nil {
			return err
		}
		err := res.QueryRow().Scan(&h.revision, &h.at, &h.nextUser, &h.nextGroup, &h.nextSerial, &h.shape, &h.clocked, &h.due)
		return gone(err, directory.ErrNoTenant)
	})
	return h, err
}
