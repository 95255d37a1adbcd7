package directory

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"roster/internal/index"
)

// Directory is the core over one store. It is safe for concurrent use.
type Directory struct {
	store  Store
	log    *slog.Logger
	clock  func() time.Time
	budget int64 // of the index, in bytes

	remembered atomic.Pointer[memory] // see [Directory.memory]
	loading    sync.WaitGroup
	loads      chan struct{} // one slot for each load that may run at once
	closed     context.Context
	close      context.CancelFunc
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
		store:  store,
		log:    o.Log,
		clock:  o.Clock,
		budget: o.IndexBudget,
		loads:  make(chan struct{}, maxLoads),
		closed: closed,
		close:  cancel,
	}
	d.remembered.Store(newMemory(o.IndexBudget))
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

// write runs one operation that changes p's tenant. need is what p must hold.
// fn gets the transaction; what it returns is the answer.
func write[T any](ctx context.Context, d *Directory, p Principal, need Grants, fn func(*tx) (T, error)) (Answer[T], error) {
	var answer T
	if err := p.may(need); err != nil {
		return Answer[T]{}, err
	}
	author := Author{Actor: p.actor(), Dialect: p.Dialect, Request: p.Request}
	var missed, inParts bool
	update := func(w Writer) error {
		t := &tx{look: look{Reader: w, d: d, p: p}, Writer: w, inParts: inParts}
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
	}
	rev, err := d.store.Update(ctx, p.Tenant, author, update)
	if errors.Is(err, errInParts) {
		inParts = true
		rev, err = d.store.Update(ctx, p.Tenant, author, update)
	}
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
	return viewFrom(ctx, d, p, need, pictured{}, fn)
}

// viewAt is view for a question about memberships as of a moment. If that is now,
// and the question is one that the index answers and the tenant is in it, it is as
// of where the index stands when the question is asked, so that what others write
// meanwhile does not send it to the rows.
func viewAt[T any](ctx context.Context, d *Directory, p Principal, need Grants, at When, indexed bool, fn func(then) (T, error)) (Answer[T], error) {
	var from pictured
	if indexed && at.IsZero() && p.may(need) == nil {
		var err error
		from.m = d.memory()
		if from.st, err = d.picture(ctx, p.Tenant, p.Fence); err != nil {
			return Answer[T]{}, err
		}
	}
	return viewFrom(ctx, d, p, need, from, func(l *look) (T, error) {
		t, err := l.then(at)
		if err != nil {
			var none T
			return none, err
		}
		return fn(t)
	})
}

// pictured is where the index stood, and of which memory it is.
type pictured struct {
	m  *memory
	st *index.State // nil for no matter where
}

func viewFrom[T any](ctx context.Context, d *Directory, p Principal, need Grants, from pictured, fn func(*look) (T, error)) (Answer[T], error) {
	var answer Answer[T]
	if err := p.may(need); err != nil {
		return answer, err
	}
	if st := d.memory().index.Get(p.Tenant); st != nil && Revision(st.Revision()) < p.Fence {
		// Brought up before the transaction begins, the index can answer in it.
		if err := d.catchUp(ctx, p.Tenant, p.Fence); err != nil {
			return answer, err
		}
	}
	var seen Revision
	err := d.store.View(ctx, p.Tenant, func(r Reader) error {
		l := &look{Reader: r, d: d, p: p, from: from}
		var err error
		if err = l.authorize(need); err != nil {
			return err
		}
		if seen, err = r.Revision(); err != nil {
			return err
		}
		answer.Revision = seen
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
	// Whoever is told of a write before its own caller is must not be told
	// otherwise by the index from then on.
	if st := d.memory().index.Get(p.Tenant); st != nil && p.Fence == 0 && Revision(st.Revision()) < seen {
		if err := d.catchUp(ctx, p.Tenant, seen); err != nil {
			d.forget(ctx, p.Tenant, seen, err)
		}
	}
	return answer, nil
}

// may reports, before a transaction is begun, whether p could hold need at all.
func (p Principal) may(need Grants) error {
	if p.Credential.IsZero() {
		return &Error{Kind: Unauthenticated, Code: "credential.missing", Detail: "This request needs a credential."}
	}
	if missing := p.Grants.Lacking(need); missing != 0 {
		return forbidden("grant.missing", "This credential does not hold %s.", missing)
	}
	if p.Within != nil && !p.heeds {
		return forbidden("principal.bounded", "This credential is limited to some groups and cannot do this.")
	}
	return nil
}
