package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
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
	done   chan struct{} // closed when revision and err are final

	revision directory.Revision
	err      error
	commit   *directory.Commit // nil if it changed nothing
	deleted  []id.Tenant       // the tenants it ended
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
	return s.outcome(r)
}

// outcome waits for what becomes of a request that was handed in. One that got
// in behind the back of a committer that was ending is not carried out.
func (s *Store) outcome(r *request) (directory.Revision, error) {
	select {
	case <-r.done:
		return r.revision, r.err
	case <-s.ended:
	}
	select {
	case <-r.done:
		return r.revision, r.err
	default:
		return 0, errClosed
	}
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
	clocked    int64
	due        int64
	dirty      bool
}

// committer is the state of the one goroutine that writes.
type committer struct {
	s *Store
	c *conn

	// What is known of the database as the open transaction has it. Nobody else
	// writes, so it stays true from one transaction to the next; when one is
	// undone all of it is forgotten.
	rows     map[id.Tenant]*row
	counters map[string]int64 // the next codes
	used     map[string]bool  // counters that moved in this transaction
	names    names

	// pending are log rows not written yet: many in one statement cost less.
	pending []logRow

	// careful makes each request take a savepoint before its first write, so
	// that its failure costs nobody else anything.
	careful bool
}

func (s *Store) commitLoop(c *conn) {
	defer close(s.ended)
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

// errRedo says that a request failed after it had written without a savepoint.
var errRedo = errors.New("transaction must be done again")

// commit runs first and whoever else is waiting in one transaction.
//
// It hopes that nobody fails after having written, which is rare: most errors
// come before. If somebody does, the transaction is undone and everybody's work
// is done again, each behind a savepoint.
func (m *committer) commit(first *request) {
	m.careful = false
	group := []*request{first}
	err := m.try(&group)
	if errors.Is(err, errRedo) {
		m.undo()
		m.careful = true
		err = m.try(&group)
	}
	if err == nil {
		m.remember(group)
	} else {
		m.undo()
		for _, r := range group {
			r.revision = 0
			if r.err == nil {
				r.err = classify(err)
			}
		}
	}
	for _, r := range group {
		close(r.done)
	}
}

// remember keeps what was committed at hand for those who made it.
func (m *committer) remember(group []*request) {
	commits := make([]*directory.Commit, 0, len(group))
	tenants := make([]id.Tenant, 0, len(group))
	for _, r := range group {
		if r.err == nil && r.commit != nil {
			commits, tenants = append(commits, r.commit), append(tenants, r.tenant)
		}
	}
	m.s.tails.Append(commits, tenants)
	for _, r := range group {
		for _, t := range r.deleted {
			m.s.tenants.Delete(t)
			m.s.tails.Drop(t)
		}
	}
}

// try runs the requests of the group, and those that come meanwhile, and commits.
func (m *committer) try(group *[]*request) error {
	ctx := context.Background()
	if err := m.begin(ctx); err != nil {
		return err
	}
	start := time.Now()
	for n := 0; ; n++ {
		if n == len(*group) {
			more := m.next(n, start)
			if more == nil {
				break
			}
			*group = append(*group, more)
		}
		r := (*group)[n]
		r.commit = nil
		if r.err = classify(r.ctx.Err()); r.err != nil {
			continue
		}
		// A request that failed, or wrote nothing, waits for the commit all the
		// same: it may have read what others in the transaction wrote.
		if err := m.run(r); errors.Is(err, errBroken) || errors.Is(err, errRedo) {
			return err
		}
	}
	return m.end(ctx)
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

// undo ends the transaction as if it had not been, and forgets what was known
// from it.
func (m *committer) undo() {
	m.c.exec(context.Background(), "ROLLBACK")
	m.rows, m.counters, m.used = nil, nil, nil
	m.names.forget()
	m.pending = m.pending[:0]
	m.c.lost = nil
}

func (m *committer) begin(ctx context.Context) error {
	if m.counters == nil {
		m.rows, m.used = map[id.Tenant]*row{}, map[string]bool{}
		counters := map[string]int64{}
		err := m.c.each(ctx, func(r scanner) error {
			var name string
			var next int64
			err := r.Scan(&name, &next)
			counters[name] = next
			return err
		}, "SELECT name, next FROM counters")
		if err != nil {
			return err
		}
		m.counters = counters
	}
	return m.c.exec(ctx, "BEGIN IMMEDIATE")
}

// end writes down what moved and commits.
func (m *committer) end(ctx context.Context) error {
	if err := m.writeLog(ctx); err != nil {
		return err
	}
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
	clear(m.used)
	return m.c.exec(ctx, "COMMIT")
}

// flush writes a tenant's row if it moved.
func (m *committer) flush(ctx context.Context, r *row) error {
	if !r.dirty {
		return nil
	}
	r.dirty = false
	return m.c.exec(ctx, "UPDATE tenants SET revision = ?, at = ?, next_user = ?, next_group = ?, next_serial = ?, shape = ?, clocked = ?, due = ? WHERE pk = ?",
		int64(r.revision), r.at, int64(r.nextUser), int64(r.nextGroup), r.nextSerial, r.shape, r.clocked, r.due, r.pk)
}

// errBroken marks a failure after which the transaction cannot go on.
var errBroken = errors.New("transaction broken")

func broken(err error) error { return fmt.Errorf("%w: %w", errBroken, err) }

// run carries out one request inside the open transaction and sets its outcome.
// If the request failed, nothing of it is left; errRedo and errBroken say that
// the whole transaction has to go.
func (m *committer) run(r *request) error {
	ctx := context.Background()
	row, err := m.row(ctx, r.tenant)
	if m.c.lost != nil {
		return broken(m.c.lost)
	}
	if err != nil {
		r.err = classify(err)
		return nil
	}
	before := *row
	w := &writer{
		reader: reader{ctx: ctx, c: m.c, tenant: r.tenant, pk: row.pk},
		m:      m,
		row:    row,
		at:     fromMicros(max(micros(m.s.clock()), row.at)),
	}
	if err = w.ring(); err == nil {
		err = call(r.fn, w)
	}
	if err == nil && len(w.changes) > 0 {
		r.commit, err = w.log(r.by)
	}
	r.err, r.revision, r.deleted = classify(err), row.revision, w.deleted
	switch {
	case m.c.lost != nil:
		// The database may have ended the transaction by itself, and what came
		// after would be kept one statement at a time.
		r.err = nil
		return broken(m.c.lost)
	case err == nil:
		for _, t := range w.deleted {
			delete(m.rows, t)
		}
		if w.saved && m.careful {
			if err := m.c.exec(ctx, "RELEASE one"); err != nil {
				return broken(err)
			}
		}
	case !w.saved:
		*row = before // what it rang for will be rung for again
	case !m.careful:
		return errRedo
	default:
		*row = before
		r.revision = before.revision
		m.names.drop(w.learned)
		for kind, next := range w.codes {
			m.counters[kind] = next
		}
		for _, undo := range []string{"ROLLBACK TO one", "RELEASE one"} {
			if uerr := m.c.exec(ctx, undo); uerr != nil {
				return broken(errors.Join(err, uerr))
			}
		}
	}
	return nil
}

// call runs fn and turns a panic in it into an error, so that one caller's bug
// does not stop everybody's writing.
func call(fn func(directory.Writer) error, w *writer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a transaction: %v", p)
		}
	}()
	return fn(w)
}

// row returns what is known of a tenant. Its own transaction has read it, or an
// earlier one that committed.
func (m *committer) row(ctx context.Context, t id.Tenant) (*row, error) {
	if r, ok := m.rows[t]; ok {
		return r, nil
	}
	r := &row{}
	err := m.c.row(ctx, "SELECT pk, revision, at, next_user, next_group, next_serial, shape, clocked, due FROM tenants WHERE id = ?", t[:]).
		Scan(&r.pk, &r.revision, &r.at, &r.nextUser, &r.nextGroup, &r.nextSerial, &r.shape, &r.clocked, &r.due)
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

// logRow is a row of the change log.
type logRow struct {
	pk, revision, at int64
	by               directory.Author
	body             string
}

// log appends the commit to the change log.
func (w *writer) log(by directory.Author) (*directory.Commit, error) {
	if err := w.save(); err != nil {
		return nil, err
	}
	body, err := changelog.Encode(w.changes)
	if err != nil {
		return nil, err
	}
	w.row.revision++
	w.row.at = micros(w.at)
	w.row.dirty = true
	w.m.pending = append(w.m.pending, logRow{w.pk, int64(w.row.revision), w.row.at, by, string(body)})
	return &directory.Commit{Revision: w.row.revision, At: w.at, Actor: by.Actor, Dialect: by.Dialect, Request: by.Request, Changes: w.changes}, nil
}

// logStatements insert 32, 16, 8, 4, 2 and 1 rows at once.
var logStatements = func() (list []string) {
	for n := 32; n > 0; n /= 2 {
		list = append(list, "INSERT INTO log (tenant, revision, at, credential, user, actor, dialect, request, body) VALUES "+
			strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?, ?, ?, ?, ?), ", n), ", "))
	}
	return list
}()

// writeLog writes the log rows that are pending. Whoever reads the log inside the
// transaction calls it first.
func (m *committer) writeLog(ctx context.Context) error {
	rows := m.pending
	for i, n := 0, 32; n > 0; i, n = i+1, n/2 {
		for len(rows) >= n {
			args := make([]any, 0, 9*n)
			for _, r := range rows[:n] {
				args = append(args, r.pk, r.revision, r.at, bytesOrNull(r.by.Actor.Credential[:]), bytesOrNull(r.by.Actor.User[:]),
					r.by.Actor.Name, r.by.Dialect, r.by.Request, r.body)
			}
			if err := m.c.exec(ctx, logStatements[i], args...); err != nil {
				return err
			}
			rows = rows[n:]
		}
	}
	m.pending = m.pending[:0]
	return nil
}
