package directory

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"roster/internal/id"
	"roster/internal/index"
)

// Directory is the core over one store. It is safe for concurrent use.
type Directory struct {
	store Store
	index *index.Index
	log   *slog.Logger
	clock func() time.Time

	mu        sync.Mutex // guards followers
	followers map[id.Tenant]*follower

	credentials sync.Map // credentialKey → *knownCredential
	known       atomic.Int64
	privileges  sync.Map // id.Tenant → *privileges
	tenantNames sync.Map // folded name → knownTenant
	seeded      sync.Map // id.Tenant → true: it has its built-in groups
	loading     sync.WaitGroup
	loads       chan struct{} // one slot for each load that may run at once
	closed      context.Context
	close       context.CancelFunc
}

// Options are what a directory may be given; the zero value serves.
type Options struct {
	Log         *slog.Logger     // nil: nothing is logged
	Clock       func() time.Time // nil: the system's
	IndexBudget int64            // bytes of memory for the index; 0: 1 GiB
}

// DefaultIndexBudget is how much memory the index may use unless told otherwise.
const DefaultIndexBudget = 1 << 30

// maxLoads bounds how many tenants are read into the index at once.
const maxLoads = 2

// New returns a directory over the store. Close ends what it started; the store
// is the caller's to close after that.
func New(store Store, o Options) *Directory {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.IndexBudget == 0 {
		o.IndexBudget = DefaultIndexBudget
	}
	closed, cancel := context.WithCancel(context.Background())
	d := &Directory{
		store:     store,
		index:     index.New(o.IndexBudget),
		log:       o.Log,
		clock:     o.Clock,
		followers: map[id.Tenant]*follower{},
		loads:     make(chan struct{}, maxLoads),
		closed:    closed,
		close:     cancel,
	}
	d.loading.Go(d.watch)
	return d
}

// Close ends the loading of tenants and the watching of other nodes, and waits.
func (d *Directory) Close() {
	d.close()
	d.loading.Wait()
}

// Ready returns nil if the directory can answer now.
func (d *Directory) Ready(ctx context.Context) error { return d.store.Ready(ctx) }

// Now is the moment at which questions are asked: UTC, to the microsecond.
func (d *Directory) Now() time.Time { return d.clock().UTC().Truncate(time.Microsecond) }

// Answer is what an operation returns: the value, and the tenant's revision that
// it was read at or that the write committed as.
type Answer[T any] struct {
	Value    T
	Revision Revision
}

// follower keeps what is in memory of one tenant in step with its change log.
type follower struct {
	// mu is held while commits are applied, so that each is applied once and in
	// order. Questions do not take it.
	mu      sync.Mutex
	loading bool // guarded by mu

	// seen is the last commit that was looked at; everything remembered of the
	// tenant is at least as new as that.
	seen atomic.Uint64

	// epoch counts the commits seen that may have changed a credential.
	// What was remembered in an earlier epoch is read again.
	epoch atomic.Uint64
}

func (d *Directory) follower(t id.Tenant) *follower {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.followers[t]
	if f == nil {
		f = &follower{}
		d.followers[t] = f
	}
	return f
}

// catchUp makes what is in memory hold every commit of t up to rev. Many
// callers may ask at once: whoever comes first applies for all.
func (d *Directory) catchUp(ctx context.Context, t id.Tenant, rev Revision) error {
	f := d.follower(t)
	f.mu.Lock()
	defer f.mu.Unlock()
	return d.follow(ctx, f, t, d.index.Get(t), rev)
}

// follow applies the commits after what st holds, publishes the result, and
// stops at the end of the log. f.mu is held. st may be nil, for a cold tenant.
func (d *Directory) follow(ctx context.Context, f *follower, t id.Tenant, st *index.State, rev Revision) error {
	from := Revision(f.seen.Load())
	switch {
	case from == 0 && st == nil:
		f.seen.CompareAndSwap(0, uint64(rev)) // nothing is remembered that could be old
		return nil
	case from == 0, st != nil && Revision(st.Revision()) < from:
		from = Revision(st.Revision())
	}
	if from >= rev {
		return nil
	}
	var edit *index.Editor
	if st != nil {
		edit = st.Edit()
	}
	last := from
	for c, err := range d.store.Commits(ctx, t, from) {
		if err != nil {
			return err
		}
		if edit != nil && uint64(c.Revision) > st.Revision() {
			apply(edit, c)
		}
		if touchesCredentials(c) {
			f.epoch.Add(1)
		}
		last = c.Revision
	}
	if edit != nil {
		d.index.Publish(t, edit.Commit(uint64(last)))
	}
	if uint64(last) > f.seen.Load() {
		f.seen.Store(uint64(last))
	}
	return nil
}

func touchesCredentials(c *Commit) bool {
	for _, ch := range c.Changes {
		switch ch.Kind {
		case CredentialUpdated, CredentialRevoked, TenantUpdated, TenantDeleted:
			return true
		}
	}
	return false
}

// apply makes the changes of one commit in the index.
func apply(e *index.Editor, c *Commit) {
	for _, ch := range c.Changes {
		switch ch.Kind {
		case UserCreated, UserUpdated:
			e.PutUser(ch.Number, id.User(ch.ID), ch.Suspended, micros(ch.Expires))
		case UserDeleted:
			e.DropUser(ch.Number)
		case GroupCreated, GroupUpdated:
			e.PutGroup(ch.Number, id.Group(ch.ID))
		case GroupDeleted:
			e.DropGroup(ch.Number)
		case MembersAdded, MembersUpdated:
			putMembers(e, ch.Number, ch.Members, ch.Standing)
		case MembersRemoved:
			for _, m := range ch.Members {
				e.Remove(ch.Number, m)
			}
		}
	}
}

// putMembers adds members of one group that all stand alike.
func putMembers(e *index.Editor, group id.Number, members []id.Member, s Standing) {
	if len(members) == 1 || !s.From.IsZero() || !s.Until.IsZero() {
		for _, m := range members {
			e.Put(index.Edge{Group: group, Member: m, From: micros(s.From), Until: micros(s.Until)})
		}
		return
	}
	users := make([]id.Number, 0, len(members))
	for _, m := range members {
		if u, ok := m.User(); ok {
			users = append(users, u)
		} else {
			e.Put(index.Edge{Group: group, Member: m})
		}
	}
	e.PutMembers(group, users)
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// picture returns the index of a tenant, holding every write acknowledged
// before the call, or nil if the tenant is cold and the store must be asked.
// fence is how far the tenant is known to have come then; if it is 0 the store
// says.
func (d *Directory) picture(ctx context.Context, t id.Tenant, fence Revision) (_ *index.State, err error) {
	if fence == 0 {
		if fence, err = d.store.Fence(ctx, t); err != nil {
			return nil, err
		}
	}
	st := d.index.Get(t)
	if st == nil {
		d.warm(t)
		return nil, nil
	}
	if Revision(st.Revision()) < fence {
		if err := d.catchUp(ctx, t, fence); err != nil {
			return nil, err
		}
		st = d.index.Get(t)
	}
	return st, nil
}

// watch keeps the indexes in memory in step with what other nodes write, so that
// questions need not wait for it, until the directory is closed.
func (d *Directory) watch() {
	interested := func() []id.Tenant { return append(d.index.Tenants(), id.Tenant{}) }
	d.store.Watch(d.closed, interested, func(t id.Tenant, rev Revision) {
		if t.IsZero() {
			d.tenantNames.Clear() // a tenant may have come or gone
		}
		if d.index.Get(t) == nil {
			return
		}
		if err := d.catchUp(d.closed, t, rev); err != nil && d.closed.Err() == nil {
			d.forget(d.closed, t, rev, err)
		}
	})
}

// warm starts reading a cold tenant into the index, unless that is under way.
func (d *Directory) warm(t id.Tenant) {
	f := d.follower(t)
	if !f.mu.TryLock() {
		return // a write is being applied; the next question will ask again
	}
	defer f.mu.Unlock()
	if f.loading || d.closed.Err() != nil {
		return
	}
	f.loading = true
	d.loading.Go(func() {
		err := d.load(t, f)
		if err != nil && d.closed.Err() == nil && !errors.Is(err, NotFound) {
			d.log.Error("index not loaded", "tenant", t, "err", err)
		}
	})
}

func (d *Directory) load(t id.Tenant, f *follower) error {
	defer func() {
		f.mu.Lock()
		f.loading = false
		f.mu.Unlock()
	}()
	select {
	case d.loads <- struct{}{}:
		defer func() { <-d.loads }()
	case <-d.closed.Done():
		return d.closed.Err()
	}
	st, err := d.read(d.closed, t)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	// Whoever committed while we read was told without the index holding it, so
	// it must hold that before anybody sees it.
	return d.follow(d.closed, f, t, st, ^Revision(0))
}

// read makes a tenant's index from its rows.
func (d *Directory) read(ctx context.Context, t id.Tenant) (*index.State, error) {
	var st *index.State
	err := d.store.View(ctx, t, func(r Reader) error {
		rev, err := r.Revision()
		if err != nil {
			return err
		}
		e := index.NewState().Edit()
		var group id.Number
		var run []id.Number
		flush := func() {
			if len(run) > 0 {
				e.PutMembers(group, run)
				run = run[:0]
			}
		}
		err = r.Scan(
			func(n id.Number, u id.User, suspended bool, expires time.Time) error {
				e.PutUser(n, u, suspended, micros(expires))
				return nil
			},
			func(n id.Number, g id.Group) error {
				e.PutGroup(n, g)
				return nil
			},
			func(edge Edge, s Standing) error {
				u, isUser := edge.Member.User()
				if !isUser || !s.From.IsZero() || !s.Until.IsZero() {
					e.Put(index.Edge{Group: edge.Group, Member: edge.Member, From: micros(s.From), Until: micros(s.Until)})
					return nil
				}
				if edge.Group != group || len(run) == cap(run) && len(run) >= 1<<16 {
					flush()
					group = edge.Group
				}
				run = append(run, u)
				return nil
			})
		if err != nil {
			return err
		}
		flush()
		st = e.Commit(uint64(rev))
		return nil
	})
	return st, err
}

// forget drops what is in memory of a tenant after it could not be brought up
// to date: the store answers until it has been read again.
func (d *Directory) forget(ctx context.Context, t id.Tenant, rev Revision, err error) {
	d.index.Forget(t)
	f := d.follower(t)
	f.epoch.Add(1)
	d.log.ErrorContext(ctx, "index fell behind", "tenant", t, "revision", rev, "err", err)
}

// write runs one operation that changes p's tenant. need is what p must hold.
// fn gets the transaction; what it returns is the answer.
func write[T any](ctx context.Context, d *Directory, p Principal, need Grants, fn func(*tx) (T, error)) (Answer[T], error) {
	var answer T
	if err := p.may(need); err != nil {
		return Answer[T]{}, err
	}
	author := Author{Actor: p.actor(), Dialect: p.Dialect, Request: p.Request}
	var missed bool
	rev, err := d.store.Update(ctx, p.Tenant, author, func(w Writer) error {
		t := &tx{look: look{Reader: w, d: d, p: p}, Writer: w}
		defer func() { missed = t.missed }()
		if err := t.authorize(need); err != nil {
			return err
		}
		if err := t.replay(); err != nil {
			return err
		}
		var err error
		if answer, err = fn(t); err != nil {
			return err
		}
		return t.remember(answer)
	})
	if err != nil {
		d.forgetNames(err)
		return Answer[T]{}, err
	}
	// The write stands, whatever happens from here on.
	if err := d.catchUp(context.WithoutCancel(ctx), p.Tenant, rev); err != nil {
		d.forget(ctx, p.Tenant, rev, err)
	}
	if missed {
		d.learnPrivileges(context.WithoutCancel(ctx), p.Tenant)
	}
	return Answer[T]{Value: answer, Revision: rev}, nil
}

// view runs one operation that reads p's tenant.
func view[T any](ctx context.Context, d *Directory, p Principal, need Grants, fn func(*look) (T, error)) (Answer[T], error) {
	var answer Answer[T]
	if err := p.may(need); err != nil {
		return answer, err
	}
	if st := d.index.Get(p.Tenant); st != nil && Revision(st.Revision()) < p.Fence {
		// Brought up before the transaction begins, the index can answer in it.
		if err := d.catchUp(ctx, p.Tenant, p.Fence); err != nil {
			return answer, err
		}
	}
	err := d.store.View(ctx, p.Tenant, func(r Reader) error {
		l := &look{Reader: r, d: d, p: p}
		var err error
		if err = l.authorize(need); err != nil {
			return err
		}
		if answer.Revision, err = r.Revision(); err != nil {
			return err
		}
		answer.Value, err = fn(l)
		if l.answered != nil {
			answer.Revision = *l.answered
		}
		return err
	})
	if err != nil {
		d.forgetNames(err)
		return Answer[T]{}, err
	}
	return answer, nil
}

// may reports, before a transaction is begun, whether p could hold need at all.
func (p Principal) may(need Grants) error {
	if p.Credential.IsZero() {
		return &Error{Kind: Unauthenticated, Code: "credential.missing", Detail: "This request needs a credential."}
	}
	if !p.Grants.Has(need) {
		return forbidden("grant.missing", "This credential does not hold %s.", need&^p.Grants.closed())
	}
	if p.Within != nil && !p.heeds {
		return forbidden("principal.bounded", "This credential is limited to some groups and cannot do this.")
	}
	return nil
}
