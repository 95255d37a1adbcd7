package changelog

import (
	"sync"

	"roster/internal/directory"
	"roster/internal/id"
)

// Tails keeps the last commits of each tenant in memory, because whoever made one
// asks for it at once to bring the index up to date. The zero value is empty. It
// is safe for concurrent use.
type Tails struct {
	mu sync.RWMutex // guards of
	of map[id.Tenant]*tail
}

// tail is a run of commits without gaps that ends with the tenant's last.
type tail struct {
	commits []*directory.Commit
	weight  int // the members in them, and one for each
}

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
	for i, c := range commits {
		if t.of == nil || len(t.of) > maxTails {
			t.of = map[id.Tenant]*tail{}
		}
		of := t.of[tenants[i]]
		if of == nil || of.commits[len(of.commits)-1].Revision+1 != c.Revision {
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
	first, last := of.commits[0].Revision, of.commits[len(of.commits)-1].Revision
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
	delete(t.of, tenant)
}
