package directory

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"roster/internal/id"
	"roster/internal/index"
)

// memory is all that a directory remembers of what the store holds. It is one
// thing, so that all of it can be forgotten at once: whoever still works with the
// old one publishes what nobody reads.
type memory struct {
	index *index.Index

	mu        sync.Mutex // guards followers
	followers map[id.Tenant]*follower

	credentials sync.Map // credentialKey → *knownCredential
	known       atomic.Int64
	privileges  sync.Map // id.Tenant → *privileges
	arranged    arrangements
	tenantNames sync.Map // folded name → knownTenant
	seeded      sync.Map // id.Tenant → true: it has its built-in groups
}

func newMemory(budget int64) *memory {
	return &memory{index: index.New(budget), followers: map[id.Tenant]*follower{}}
}

// memory returns what is remembered. Whoever asks the store how far a tenant has
// come calls it after that.
func (d *Directory) memory() *memory { return d.remembered.Load() }

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

func (m *memory) follower(t id.Tenant) *follower {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.followers[t]
	if f == nil {
		f = &follower{}
		m.followers[t] = f
	}
	return f
}

// catchUp makes what is in memory hold every commit of t up to rev. Many
// callers may ask at once: whoever comes first applies for all.
func (d *Directory) catchUp(ctx context.Context, t id.Tenant, rev Revision) error {
	m := d.memory()
	f := m.follower(t)
	f.mu.Lock()
	defer f.mu.Unlock()
	return d.follow(ctx, m, f, t, m.index.Get(t), rev)
}

// follow applies the commits after what st holds, publishes the result, and
// stops at the end of the log. f.mu is held. st may be nil, for a cold tenant.
func (d *Directory) follow(ctx context.Context, m *memory, f *follower, t id.Tenant, st *index.State, rev Revision) error {
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
		m.index.Publish(t, edit.Commit(uint64(last)))
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
	m := d.memory() // after the fence, which may have begun a new one
	st := m.index.Get(t)
	if st == nil {
		d.warm(t)
		return nil, nil
	}
	if Revision(st.Revision()) < fence {
		if err := d.catchUp(ctx, t, fence); err != nil {
			return nil, err
		}
		st = m.index.Get(t)
	}
	return st, nil
}

// watch keeps the indexes in memory in step with what other nodes write, so that
// questions need not wait for it, until the directory is closed.
func (d *Directory) watch() {
	d.store.Watch(d.closed, Watcher{
		Interested: func() []id.Tenant { return append(d.memory().index.Tenants(), id.Tenant{}) },
		Heard: func(t id.Tenant, rev Revision) {
			m := d.memory()
			if t.IsZero() {
				m.tenantNames.Clear() // a tenant may have come or gone
			}
			if m.index.Get(t) == nil {
				return
			}
			if err := d.catchUp(d.closed, t, rev); err != nil && d.closed.Err() == nil {
				d.forget(d.closed, t, rev, err)
			}
		},
		Rewound: func() {
			d.log.Warn("another history of the database is served: what was remembered is forgotten")
			d.remembered.Store(newMemory(d.budget))
		},
	})
}

// warm starts reading a cold tenant into the index, unless that is under way.
func (d *Directory) warm(t id.Tenant) {
	m := d.memory()
	f := m.follower(t)
	if !f.mu.TryLock() {
		return // a write is being applied; the next question will ask again
	}
	defer f.mu.Unlock()
	if f.loading || d.closed.Err() != nil {
		return
	}
	f.loading = true
	d.loading.Go(func() {
		err := d.load(t, m, f)
		if err != nil && d.closed.Err() == nil && !errors.Is(err, NotFound) {
			d.log.Error("index not loaded", "tenant", t, "err", err)
		}
	})
}

func (d *Directory) load(t id.Tenant, m *memory, f *follower) error {
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
	return d.follow(d.closed, m, f, t, st, ^Revision(0))
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
	m := d.memory()
	m.index.Forget(t)
	m.follower(t).epoch.Add(1)
	d.log.ErrorContext(ctx, "index fell behind", "tenant", t, "revision", rev, "err", err)
}
