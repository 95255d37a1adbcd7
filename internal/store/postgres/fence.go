package postgres

import (
	"context"
	"sync"

	"roster/internal/directory"
	"roster/internal/id"
)

// fences asks the primary where tenants stand. Whoever asks while a question is
// under way waits for the next one and shares it: the answer to a question that
// was sent after a caller came holds everything acknowledged before it came, and
// one statement then serves many requests. More than one under way at a time made
// all of them slower when it was measured, because each then served fewer.
type fences struct {
	s      *Store
	mu     sync.Mutex // guards next, flying
	next   *fence
	flying bool // a question is under way
}

// fence is one question about many tenants.
type fence struct {
	tenants map[id.Tenant]bool
	done    chan struct{} // closed when the answer is there
	answer  map[id.Tenant]directory.Revision
	err     error
}

// Fence implements [directory.Store].
func (s *Store) Fence(ctx context.Context, t id.Tenant) (directory.Revision, error) {
	f := s.fences.join(t)
	select {
	case <-f.done:
	case <-ctx.Done():
		return 0, classify(ctx.Err())
	}
	if f.err != nil {
		return 0, classify(f.err)
	}
	rev, ok := f.answer[t]
	if !ok {
		s.history().tenants.Delete(t)
		return 0, directory.ErrNoTenant
	}
	s.history().hear(t, rev)
	return rev, nil
}

func (q *fences) join(t id.Tenant) *fence {
	q.mu.Lock()
	f := q.next
	if f == nil {
		f = &fence{tenants: map[id.Tenant]bool{}, done: make(chan struct{})}
		q.next = f
	}
	f.tenants[t] = true
	mine := !q.flying
	if mine {
		q.next, q.flying = nil, true
	}
	q.mu.Unlock()
	if mine {
		q.fly(f)
	}
	return f
}

// fly sends a question, in the goroutine of the one who asked it, and then hands
// over to whoever gathered meanwhile.
func (q *fences) fly(f *fence) {
	q.ask(f)
	q.mu.Lock()
	next := q.next
	q.next = nil
	q.flying = next != nil
	q.mu.Unlock()
	switch {
	case next == nil:
	case q.s.closing.Err() != nil:
		q.fly(next) // nothing is started any more, and this one is refused at once
	default:
		q.s.busy.Go(func() { q.fly(next) })
	}
}

// ask asks the primary. It outlives the caller whose goroutine it is in, because
// others wait for the answer too.
func (q *fences) ask(f *fence) {
	defer close(f.done)
	f.err = q.s.read(context.Background(), func(ctx context.Context, c *conn) error {
		pks, of := make([]int64, 0, len(f.tenants)), make(map[int64]id.Tenant, len(f.tenants))
		for t := range f.tenants {
			pk, err := q.s.tenant(ctx, c, t)
			if err == directory.ErrNoTenant {
				continue
			}
			if err != nil {
				return err
			}
			pks, of[pk] = append(pks, pk), t
		}
		f.answer = make(map[id.Tenant]directory.Revision, len(pks)+1)
		pks, of[platform] = append(pks, platform), id.Tenant{}
		return c.each(ctx, func(row scanner) error {
			var pk, revision int64
			err := row.Scan(&pk, &revision)
			f.answer[of[pk]] = directory.Revision(revision)
			return err
		}, "SELECT tenant, revision FROM heads WHERE tenant = ANY($1)", pks)
	})
	if f.err == nil {
		// Whether tenants came or went is known before any of these is told.
		q.s.heard(id.Tenant{}, f.answer[id.Tenant{}])
	}
}

// platform is the pk of the platform.
const platform = 1
