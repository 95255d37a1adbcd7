package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/changelog"
)

// Bounds on how much one commit takes in: more callers share the fsync, but
// nobody waits long for the others. A commit that is already large is closed.
const (
	maxGroup     = 512
	maxGroupTime = 10 * time.Millisecond
)

// request is one call of Update on its way through the committer.
type request struct {
	ctx    context.Context
	tenant id.Tenant
	by     directory.Author
	fn     func(directory.Writer) error
	done   chan struct{} // closed when revision and err are set

	revision directory.Revision
	err      error
}

// Update implements [directory.Store].
func (s *Store) Update(ctx context.Context, t id.Tenant, by directory.Author, fn func(directory.Writer) error) (directory.Revision, error) {
	r := &request{ctx: ctx, tenant: t, by: by, fn: fn, done: make(chan struct{})}
	select {
	case <-s.closing:
		return 0, errClosed
	default:
	}
	select {
	case s.requests <- r:
	case <-ctx.Done():
		return 0, classify(ctx.Err())
	case <-s.closing:
		return 0, errClosed
	}
	<-r.done
	return r.revision, r.err
}

// row is what the committer knows of a tenant: nobody else writes it, so it is
// read once and kept.
type row struct {
	pk         int64
	revision   directory.Revision
	at         int64
	nextUser   id.Number
	nextGroup  id.Number
	nextSerial int64
	shape      int64
	dirty      bool
}

// committer is the state of the one goroutine that writes.
type committer struct {
	s        *Store
	c        *conn
	rows     map[id.Tenant]*row
	counters map[string]int64 // the next codes; read once
	used     map[string]bool  // counters that moved in this transaction
}

func (s *Store) commitLoop(c *conn) {
	m := &committer{s: s, c: c}
	for {
		select {
		case r := <-s.requests:
			m.commit(r)
		case <-s.closing:
			// Whoever got in before the door closed is served.
			for {
				select {
				case r := <-s.requests:
					m.commit(r)
				default:
					return
				}
			}
		}
	}
}

// commit runs first and whoever else is waiting in one transaction.
func (m *committer) commit(first *request) {
	ctx := context.Background()
	if err := m.begin(ctx); err != nil {
		first.finish(0, classify(err))
		return
	}
	var group []*request
	start := time.Now()
	for r := first; r != nil; r = m.next(len(group), start) {
		if err := r.ctx.Err(); err != nil {
			r.finish(0, classify(err))
			continue
		}
		wrote, err := m.run(r)
		switch {
		case errors.Is(err, errBroken):
			// The transaction itself is in doubt: nobody in it was served.
			m.abandon(append(group, r), err)
			return
		case err != nil || !wrote:
			// Nothing of this request is in the transaction; but if it read
			// what others in it wrote, it must not be told before they are.
			r.err = err
			group = append(group, r)
		default:
			group = append(group, r)
		}
	}
	if err := m.end(ctx); err != nil {
		m.abandon(group, err)
		return
	}
	for _, r := range group {
		close(r.done)
	}
}

// next takes one more request into the open transaction, or nil to close it.
func (m *committer) next(n int, start time.Time) *request {
	if n >= maxGroup || time.Since(start) > maxGroupTime {
		return nil
	}
	select {
	case r := <-m.s.requests:
		return r
	default:
		return nil
	}
}

func (r *request) finish(rev directory.Revision, err error) {
	r.revision, r.err = rev, err
	close(r.done)
}

// abandon undoes the transaction and tells everybody in it. What the committer
// knew is forgotten, because it may be from the transaction that is gone.
func (m *committer) abandon(group []*request, err error) {
	m.c.exec(context.Background(), "ROLLBACK")
	m.rows, m.counters, m.used = nil, nil, nil
	for _, r := range group {
		if r.err == nil {
			r.err = classify(err)
		}
		r.finish(0, r.err)
	}
}

func (m *committer) begin(ctx context.Context) error {
	if m.counters == nil {
		m.rows, m.counters, m.used = map[id.Tenant]*row{}, map[string]int64{}, map[string]bool{}
		err := m.c.each(ctx, func(r scanner) error {
			var name string
			var next int64
			err := r.Scan(&name, &next)
			m.counters[name] = next
			return err
		}, "SELECT name, next FROM counters")
		if err != nil {
			m.counters = nil
			return err
		}
	}
	return m.c.exec(ctx, "BEGIN IMMEDIATE")
}

// end writes down what moved and commits.
func (m *committer) end(ctx context.Context) error {
	for _, r := range m.rows {
		if err := m.flush(ctx, r); err != nil {
			return err
		}
	}
	for name := range m.used {
		if err := m.c.exec(ctx, "UPDATE counters SET next = ? WHERE name = ?", m.counters[name], name); err != nil {
			return err
		}
	}
	if err := m.c.exec(ctx, "COMMIT"); err != nil {
		return err
	}
	clear(m.used)
	return nil
}

// flush writes a tenant's row if it moved. Should the transaction fail after
// that, the committer forgets the row altogether.
func (m *committer) flush(ctx context.Context, r *row) error {
	if !r.dirty {
		return nil
	}
	r.dirty = false
	return m.c.exec(ctx, "UPDATE tenants SET revision = ?, at = ?, next_user = ?, next_group = ?, next_serial = ?, shape = ? WHERE pk = ?",
		int64(r.revision), r.at, int64(r.nextUser), int64(r.nextGroup), r.nextSerial, r.shape, r.pk)
}

// errBroken marks a failure after which the transaction cannot go on.
var errBroken = errors.New("transaction broken")

func broken(err error) error { return fmt.Errorf("%w: %w", errBroken, err) }

// run carries out one request inside the open transaction. If it fails with
// anything but errBroken, nothing of it is left.
func (m *committer) run(r *request) (wrote bool, err error) {
	ctx := context.Background()
	row, err := m.row(ctx, r.tenant)
	if err != nil {
		return false, classify(err)
	}
	before := *row
	w := &writer{
		reader: reader{ctx: ctx, c: m.c, tenant: r.tenant, pk: row.pk},
		m:      m,
		row:    row,
		at:     fromMicros(max(micros(m.s.clock()), row.at)),
	}
	err = func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic in a transaction: %v", p)
			}
		}()
		return r.fn(w)
	}()
	if err == nil && len(w.changes) > 0 {
		err = w.log(ctx, r.by)
	}
	r.revision = row.revision
	if !w.saved {
		return false, classify(err)
	}
	if err != nil {
		*row = before
		r.revision = before.revision
		if rerr := m.c.exec(ctx, "ROLLBACK TO one"); rerr != nil {
			return false, broken(errors.Join(err, rerr))
		}
	}
	if rerr := m.c.exec(ctx, "RELEASE one"); rerr != nil {
		return false, broken(errors.Join(err, rerr))
	}
	return err == nil, classify(err)
}

// row returns what is known of a tenant. Its own transaction has read it, or an
// earlier one that committed.
func (m *committer) row(ctx context.Context, t id.Tenant) (*row, error) {
	if r, ok := m.rows[t]; ok {
		return r, nil
	}
	r := &row{}
	err := m.c.row(ctx, "SELECT pk, revision, at, next_user, next_group, next_serial, shape FROM tenants WHERE id = ?", t[:]).
		Scan(&r.pk, &r.revision, &r.at, &r.nextUser, &r.nextGroup, &r.nextSerial, &r.shape)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, directory.ErrNoTenant
	}
	if err != nil {
		return nil, err
	}
	if len(m.rows) >= maxRows {
		for t, old := range m.rows {
			if !old.dirty {
				delete(m.rows, t)
				break
			}
		}
	}
	m.rows[t] = r
	return r, nil
}

// maxRows bounds how many tenants the committer keeps in mind.
const maxRows = 10000

// log appends the commit to the change log.
func (w *writer) log(ctx context.Context, by directory.Author) error {
	if err := w.save(); err != nil {
		return err
	}
	body, err := changelog.Encode(w.changes)
	if err != nil {
		return err
	}
	w.row.revision++
	w.row.at = micros(w.at)
	w.row.dirty = true
	return w.c.exec(ctx, "INSERT INTO log (tenant, revision, at, credential, user, actor, dialect, request, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		w.pk, int64(w.row.revision), w.row.at, bytesOrNull(by.Actor.Credential[:]), bytesOrNull(by.Actor.User[:]),
		by.Actor.Name, by.Dialect, by.Request, string(body))
}
