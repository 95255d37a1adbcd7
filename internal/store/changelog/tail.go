package changelog

import (
	"context"
	"sync"

	"roster/internal/directory"
	"roster/internal/id"
)

// Tails keeps the last commits of each tenant in memory, because whoever made one
// asks for it at once to bring the index up to date. The zero value is empty. It
// is safe for concurrent use.
type Tails struct {
	mu      sync.RWMutex // guards the rest
	of      map[id.Tenant]*tail
	changed chan struct{} // closed when something comes or goes; nil if nobody waits
}

// tail is a run of commits without gaps that ends with the tenant's last.
type tail struct {
	commits []*directory.Commit
	weight  int // the members in them, and one for each
}

func (of *tail) last() directory.Revision { return of.commits[len(of.commits)-1].Revision }

// Bounds on what is kept: a tail that grows too heavy loses its older half, and
// when there are too many tenants all are forgotten.
const (
	maxTail  = 1 << 15
	maxTails = 1024
)

func weight(c *directory.Commit) int {
	n := 1
	for _, ch := range c.Changes {
		n += len(ch.Members)
	}
	return n
}

// Append adds commits that are durable, in order. A commit that does not follow
// the tenant's last one here, because another node was between, begins anew.
func (t *Tails) Append(commits []*directory.Commit, tenants []id.Tenant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.wake()
	for i, c := range commits {
		if t.of == nil || len(t.of) > maxTails {
			t.of = map[id.Tenant]*tail{}
		}
		of := t.of[tenants[i]]
		if of == nil || of.last()+1 != c.Revision {
			of = &tail{}
			t.of[tenants[i]] = of
		}
		of.commits, of.weight = append(of.commits, c), of.weight+weight(c)
		if of.weight > maxTail {
			half := len(of.commits) - len(of.commits)/2
			of.commits = append([]*directory.Commit(nil), of.commits[half:]...)
			of.weight = 0
			for _, c := range of.commits {
				of.weight += weight(c)
			}
		}
	}
}

// After returns the commits after a revision; false if they are not all here.
func (t *Tails) After(tenant id.Tenant, rev directory.Revision) ([]*directory.Commit, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	of := t.of[tenant]
	if of == nil {
		return nil, false
	}
	first, last := of.commits[0].Revision, of.last()
	switch {
	case rev >= last:
		return nil, true
	case rev+1 < first:
		return nil, false
	}
	return of.commits[rev+1-first:], true
}

// Drop forgets a tenant that is gone.
func (t *Tails) Drop(tenant id.Tenant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.wake()
	delete(t.of, tenant)
}

// Await waits until [Tails.After] does not miss a commit that can be seen already
// and is about to be appended.
func (t *Tails) Await(ctx context.Context, tenant id.Tenant, rev directory.Revision) error {
	for {
		t.mu.Lock()
		if of := t.of[tenant]; of == nil || of.last() >= rev {
			t.mu.Unlock()
			return nil
		}
		if t.changed == nil {
			t.changed = make(chan struct{})
		}
		changed := t.changed
		t.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// wake tells those who wait to look again. mu is held.
func (t *Tails) wake() {
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}
