package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/changelog"
)

// Bounds on how much one transaction takes in: more callers share the commit, but
// nobody waits long for the others, on this node or on another.
const (
	maxGroup     = 512
	maxGroupTime = 10 * time.Millisecond
	maxWaiting   = 8192 // requests of one tenant on this node
)

// transactionWithin bounds one try, so that a tenant is not locked by a node that
// cannot finish.
const transactionWithin = 30 * time.Second

// request is one call of Update on its way through its tenant's lane.
type request struct {
	ctx  context.Context
	by   directory.Author
	fn   func(directory.Writer) error
	done chan struct{} // closed when revision and err are final

	revision directory.Revision
	err      error
	commit   *directory.Commit // nil if it changed nothing
	deleted  []id.Tenant       // the tenants it ended
	chosen   map[string]int64  // the highest code of each kind that it chose
}

// lane is where the writers of one tenant on this node wait. One goroutine at a
// time serves it.
type lane struct {
	tenant  id.Tenant
	waiting []*request // guarded by Store.mu
	running bool       // guarded by Store.mu

	names names // used by whoever serves the lane
}

// maxLanes bounds how many lanes that nobody serves are kept for what they know.
const maxLanes = 4096

// Update implements [directory.Store].
func (s *Store) Update(ctx context.Context, t id.Tenant, by directory.Author, fn func(directory.Writer) error) (directory.Revision, error) {
	if err := ctx.Err(); err != nil {
		return 0, classify(err)
	}
	r := &request{ctx: ctx, by: by, fn: fn, done: make(chan struct{})}
	if err := s.enter(t, r); err != nil {
		return 0, err
	}
	<-r.done
	return r.revision, r.err
}

// enter hands a request in and sees to it that its lane is served.
func (s *Store) enter(t id.Tenant, r *request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	l := s.lanes[t]
	if l == nil {
		if len(s.lanes) >= maxLanes {
			for t, old := range s.lanes {
				if !old.running {
					delete(s.lanes, t)
				}
			}
		}
		l = &lane{tenant: t}
		s.lanes[t] = l
	}
	if len(l.waiting) >= maxWaiting {
		return errBusy
	}
	l.waiting = append(l.waiting, r)
	if !l.running {
		l.running = true
		s.busy.Go(func() { s.serve(l) })
	}
	return nil
}

// next takes the request that has waited longest; nil, and the lane is no longer
// served, if there is none.
func (s *Store) next(l *lane, leave bool) *request {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(l.waiting) == 0 {
		if leave {
			l.running = false
			l.waiting = nil
		}
		return nil
	}
	r := l.waiting[0]
	l.waiting = l.waiting[1:]
	return r
}

// serve carries out what waits in a lane until nothing does.
func (s *Store) serve(l *lane) {
	for {
		first := s.next(l, true)
		if first == nil {
			return
		}
		s.commit(l, first)
	}
}

// commit runs first and whoever else is waiting in one transaction, again if it
// must be.
//
// It hopes that nobody fails after having written, which is rare: most errors
// come before. If somebody does, the transaction is undone and everybody's work
// is done again, each behind a savepoint.
func (s *Store) commit(l *lane, first *request) {
	select {
	case s.writers <- struct{}{}:
		defer func() { <-s.writers }()
	case <-time.After(s.acquire):
		first.err = errBusy
		close(first.done)
		return
	}
	g := &group{s: s, l: l, requests: []*request{first}, more: l.tenant != id.Tenant{}}
	attempt := func() error {
		err := g.try()
		for errors.Is(err, errRedo) {
			err = g.try()
		}
		return err
	}
	err := s.retry(context.Background(), attempt)
	if err != nil && g.inDoubt != nil && time.Since(g.doubted) < s.patience {
		// The doubt is younger than our patience: somebody may still know.
		err = s.retry(context.Background(), attempt)
	}
	if err == nil {
		g.remember()
	}
	for _, r := range g.requests {
		switch {
		case err == nil:
		case g.inDoubt != nil:
			r.revision, r.err = 0, doubt(err)
		default:
			r.revision, r.err = 0, classify(err)
		}
		close(r.done)
	}
}

// group is the requests that share a transaction.
type group struct {
	s        *Store
	l        *lane
	requests []*request

	// more lets requests that come while the transaction is open into it. The
	// platform's are carried out one by one: they lock rows of more than one
	// tenant, in an order that others do not disturb only if each is alone.
	more bool

	// careful makes each request take a savepoint first, so that its failure
	// costs nobody else anything.
	careful bool

	// inDoubt is the transaction whose commit was sent and not answered, since
	// doubted.
	inDoubt *transaction
	doubted time.Time

	drawn []drawn // codes given out in the open transaction

	in *history // that the transaction is part of
}

// transaction says how to find a commit in the log.
type transaction struct {
	id   [16]byte
	last int64 // its last revision
}

// head is a tenant's row in heads.
type head struct {
	revision            int64
	at                  int64
	nextUser, nextGroup id.Number
	nextSerial          int64
	shape               int64
	clocked, due        int64
	dirty               bool
}

// errRedo says that a request failed after it had written without a savepoint.
var errRedo = errors.New("transaction must be done again")

// errBroken marks a failure after which the transaction cannot go on.
var errBroken = errors.New("transaction broken")

// open is a transaction that writes, while it is open.
type open struct {
	*group
	c    *conn
	ctx  context.Context
	pk   int64
	head head
	id   [16]byte

	pending []*logRow // log rows not written yet: many in one statement cost less
	last    int64     // the last revision logged
}

// try carries the requests out in one transaction.
func (g *group) try() error {
	err := g.s.lend(context.Background(), func(c *conn) error {
		ctx, cancel := context.WithTimeout(context.Background(), transactionWithin)
		defer cancel()
		g.in = c.history()
		o := &open{group: g, c: c, ctx: ctx, id: id.New[id.Credential]()}
		err := o.run()
		if err != nil {
			c.end("ROLLBACK")
		}
		return err
	})
	if err != nil {
		g.restore()
		g.l.names.forget()
	}
	return err
}

// restore gives back the codes of a transaction that was undone. While that is in
// doubt they are nobody's.
func (g *group) restore() {
	if g.inDoubt == nil {
		g.s.codes.giveBack(g.drawn)
	}
	g.drawn = nil
}

func (o *open) run() (err error) {
	if o.pk, err = o.s.tenant(o.ctx, o.c, o.l.tenant); err == nil {
		o.head, err = o.c.begin(o.ctx, o.pk)
	}
	if errors.Is(err, directory.ErrNoTenant) {
		o.c.history().tenants.Delete(o.l.tenant)
		if o.inDoubt != nil {
			return err // its log went with it, and nobody knows
		}
		for _, r := range o.requests {
			r.err = err
		}
		return o.c.end("ROLLBACK")
	}
	if err != nil {
		return err
	}
	if came, err := o.settle(); came || err != nil {
		return err
	}
	o.l.names.at(o.in, o.head.revision)
	start := time.Now()
	for n := 0; ; n++ {
		if n == len(o.requests) {
			if !o.more || n >= maxGroup || time.Since(start) > maxGroupTime {
				break
			}
			more := o.s.next(o.l, false)
			if more == nil {
				break
			}
			o.requests = append(o.requests, more)
		}
		r := o.requests[n]
		r.commit, r.deleted, r.chosen = nil, nil, nil
		if r.err = classify(r.ctx.Err()); r.err != nil {
			continue
		}
		// A request that failed, or wrote nothing, waits for the commit all the
		// same: it may have read what others in the transaction wrote.
		if err := o.carry(r); err != nil {
			return err
		}
	}
	return o.end()
}

// settle finds out, with the tenant locked and so after whatever was still under
// way, whether a commit whose answer was lost came through.
func (o *open) settle() (came bool, err error) {
	if o.inDoubt == nil {
		return false, nil
	}
	err = o.c.row(o.ctx, "SELECT EXISTS (SELECT 1 FROM log WHERE tenant = $1 AND revision = $2 AND transaction = $3)",
		o.pk, o.inDoubt.last, uuid(o.inDoubt.id)).Scan(&came)
	if err != nil {
		return false, err
	}
	if !came {
		o.inDoubt = nil
		return false, nil
	}
	// A primary that crashed and came back shows what its standbys may not have
	// yet. Whoever commits after it waits for them.
	if err := o.c.exec(o.ctx, "UPDATE heads SET at = at WHERE tenant = $1", o.pk); err != nil {
		return false, err
	}
	b := &pgx.Batch{}
	b.Queue("COMMIT")
	return true, o.commit(b)
}

// carry runs one request inside the open transaction and sets its outcome. An
// error says that the whole transaction has to go.
func (o *open) carry(r *request) error {
	before := o.head
	w := &writer{
		reader: reader{ctx: o.ctx, c: o.c, tenant: o.l.tenant, pk: o.pk},
		o:      o,
		head:   &o.head,
		at:     fromMicros(max(micros(o.s.clock()), before.at)),
	}
	if o.careful {
		if err := w.save(); err != nil {
			return err
		}
	}
	o.c.failed = nil
	err := w.ring()
	if err == nil {
		err = call(r.fn, w)
	}
	if err == nil {
		// PostgreSQL undoes what comes after an error, so whoever kept one to
		// itself must not be told that it succeeded.
		err = o.c.failed
	}
	if err == nil && len(w.changes) > 0 {
		r.commit, err = w.log(r.by)
	}
	if err == nil {
		err = o.c.failed
	}
	r.err, r.revision, r.deleted, r.chosen = classify(err), directory.Revision(o.head.revision), w.deleted, w.chosen
	switch {
	case o.c.failed != nil && (o.c.c.Conn().IsClosed() || transient(o.c.failed)):
		r.err = nil
		return fmt.Errorf("%w: %w", errBroken, o.c.failed)
	case err != nil && transient(err): // on another connection
		r.err = nil
		return fmt.Errorf("%w: %w", errBroken, err)
	case err == nil:
		if o.careful {
			return o.c.exec(o.ctx, "RELEASE SAVEPOINT one")
		}
		return nil
	case !o.careful && (w.saved || o.c.failed != nil):
		o.careful = true
		return errRedo
	}
	r.commit = nil
	o.l.names.drop(w.learned)
	o.giveBack(w.drawn)
	if o.careful {
		o.c.failed = nil
		if err := o.c.exec(o.ctx, "ROLLBACK TO SAVEPOINT one"); err != nil {
			return err
		}
	}
	o.head = before
	r.revision = directory.Revision(before.revision)
	return nil
}

// giveBack takes codes that one request had been given off the transaction.
func (o *open) giveBack(list []drawn) {
	o.s.codes.giveBack(list)
	o.drawn = o.drawn[:len(o.drawn)-len(list)]
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

// end writes down what moved and commits, in one round trip.
func (o *open) end() error {
	b := &pgx.Batch{}
	o.queueLog(b)
	if o.head.dirty {
		b.Queue(o.c.note("UPDATE heads SET revision = $2, at = $3, next_user = $4, next_group = $5, next_serial = $6, shape = $7, clocked = $8, due = $9 WHERE tenant = $1"),
			o.pk, o.head.revision, o.head.at, int64(o.head.nextUser), int64(o.head.nextGroup), o.head.nextSerial, o.head.shape, o.head.clocked, o.head.due)
	}
	b.Queue("COMMIT")
	if o.last != 0 {
		o.inDoubt = &transaction{id: o.id, last: o.last}
	}
	err := o.commit(b)
	o.doubted = time.Now()
	if err == nil || !o.c.c.Conn().IsClosed() {
		o.inDoubt = nil // the database said what became of it
	}
	if err == nil {
		o.l.names.committed(o.head.revision)
	}
	return err
}

// commit sends a batch that ends in COMMIT. If that is not answered in time, or
// only because somebody ended the wait for a standby, the connection is closed.
func (o *open) commit(b *pgx.Batch) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	l := lineOf(o.c.c.Conn())
	l.committing.Store(true)
	err := o.c.batch(ctx, b, func(res pgx.BatchResults) error {
		for range b.Len() - 1 {
			if _, err := res.Exec(); err != nil {
				return err
			}
		}
		tag, err := res.Exec()
		if err == nil && tag.String() != "COMMIT" {
			err = fmt.Errorf("the database answered a commit with %s", tag)
		}
		return err
	})
	if err == nil && l.hasty.Load() {
		err = errHasty
		o.c.c.Conn().Close(ctx)
	}
	if !o.c.c.Conn().IsClosed() {
		l.committing.Store(false)
		return err
	}
	// The driver would keep it for a while, to be polite, and a server that got
	// half of this the tenant's lock.
	o.c.c.Conn().PgConn().Conn().Close()
	return err
}

// remember keeps what was committed at hand for those who made it, and tells the
// other nodes.
func (g *group) remember() {
	commits := make([]*directory.Commit, 0, len(g.requests))
	tenants := make([]id.Tenant, 0, len(g.requests))
	for _, r := range g.requests {
		if r.err == nil && r.commit != nil {
			commits, tenants = append(commits, r.commit), append(tenants, g.l.tenant)
		}
		if r.err == nil {
			g.s.codes.chosen(r.chosen)
		}
	}
	g.in.tails.Append(commits, tenants)
	if len(commits) > 0 {
		g.s.tell.moved(g.l.tenant, commits[len(commits)-1].Revision)
	}
	for _, r := range g.requests {
		for _, t := range r.deleted {
			g.in.tenants.Delete(t)
			g.in.tails.Drop(t)
		}
	}
}

// logRow is a row of the change log.
type logRow struct {
	revision, at int64
	by           directory.Author
	body         string
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
	w.head.revision++
	w.head.at = micros(w.at)
	w.head.dirty = true
	w.o.last = w.head.revision
	w.o.pending = append(w.o.pending, &logRow{w.head.revision, w.head.at, by, string(body)})
	return &directory.Commit{Revision: directory.Revision(w.head.revision), At: w.at, Actor: by.Actor, Dialect: by.Dialect, Request: by.Request, Changes: w.changes}, nil
}

// queueLog puts the log rows that are pending into a batch.
func (o *open) queueLog(b *pgx.Batch) {
	if len(o.pending) == 0 {
		return
	}
	n := len(o.pending)
	revisions, ats := make([]int64, n), make([]int64, n)
	credentials, users := make([]pgtype.UUID, n), make([]pgtype.UUID, n)
	actors, dialects, requests, bodies := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, r := range o.pending {
		revisions[i], ats[i] = r.revision, r.at
		credentials[i], users[i] = uuidOrNull(r.by.Actor.Credential), uuidOrNull(r.by.Actor.User)
		actors[i], dialects[i], requests[i], bodies[i] = r.by.Actor.Name, r.by.Dialect, r.by.Request, r.body
	}
	b.Queue(o.c.note(`INSERT INTO log (tenant, revision, at, credential, actor_user, actor, dialect, request, body, transaction)
 SELECT $1, j.revision, j.at, j.credential, j.actor_user, j.actor, j.dialect, j.request, j.body, $10
 FROM unnest($2::bigint[], $3::bigint[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[])
 AS j(revision, at, credential, actor_user, actor, dialect, request, body)`),
		o.pk, revisions, ats, credentials, users, actors, dialects, requests, bodies, uuid(o.id))
	o.pending = nil
}

// writeLog writes the log rows that are pending. Whoever reads the log inside the
// transaction calls it first.
func (o *open) writeLog() error {
	b := &pgx.Batch{}
	if o.queueLog(b); b.Len() == 0 {
		return nil
	}
	return o.c.batch(o.ctx, b, func(res pgx.BatchResults) error { _, err := res.Exec(); return err })
}
