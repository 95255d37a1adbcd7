package index

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"roster/internal/id"
)

// An Index holds the latest State of each tenant, as many tenants as fit its
// budget; those that were least recently asked for go first. A tenant it does
// not hold is cold: the caller answers otherwise, or loads it and publishes.
// Safe for concurrent use. Looking up waits for nothing and allocates nothing.
type Index struct {
	budget  int64
	tenants sync.Map     // id.Tenant to *entry
	clock   atomic.Int64 // counts publications: the unit of recency

	mu   sync.Mutex // guards held, and writing to tenants and their entries
	held int64      // the bytes of all entries
}

type entry struct {
	state atomic.Pointer[State]
	used  atomic.Int64 // the clock when last asked for
	bytes int64        // of state, when it was published
}

// New returns an Index that keeps the States it holds within about so many
// bytes of heap. One State larger than that is held alone.
func New(budget int64) *Index {
	return &Index{budget: budget}
}

// Get returns the latest State of the tenant, or nil if the tenant is cold.
func (x *Index) Get(tenant id.Tenant) *State {
	found, ok := x.tenants.Load(tenant)
	if !ok {
		return nil
	}
	e := found.(*entry)
	// Writing only when the clock has moved keeps readers of a busy tenant
	// from fighting over the line.
	if now := x.clock.Load(); e.used.Load() != now {
		e.used.Store(now)
	}
	return e.state.Load()
}

// Publish makes s the State of the tenant, and returns true, unless the Index
// holds one of a later revision.
func (x *Index) Publish(tenant id.Tenant, s *State) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := x.clock.Add(1)
	found, ok := x.tenants.Load(tenant)
	if !ok {
		e := new(entry)
		e.state.Store(s)
		found = e
	}
	e := found.(*entry)
	if e.state.Load().revision > s.revision {
		return false
	}
	bytes := s.Bytes()
	x.held += bytes - e.bytes
	e.bytes = bytes
	e.state.Store(s)
	e.used.Store(now)
	if !ok {
		x.tenants.Store(tenant, e)
	}
	if x.held > x.budget {
		x.evict(tenant)
	}
	return true
}

// Forget makes the tenant cold.
func (x *Index) Forget(tenant id.Tenant) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.forget(tenant)
}

func (x *Index) forget(tenant id.Tenant) {
	if found, ok := x.tenants.LoadAndDelete(tenant); ok {
		x.held -= found.(*entry).bytes
	}
}

// Tenants returns the tenants that are not cold, in no order.
func (x *Index) Tenants() []id.Tenant {
	var list []id.Tenant
	x.tenants.Range(func(key, _ any) bool {
		list = append(list, key.(id.Tenant))
		return true
	})
	return list
}

// Bytes is about how much heap the States held take.
func (x *Index) Bytes() int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.held
}

// evict makes tenants cold, other than the given one, the least recently used
// first. It goes a sixteenth below the budget, so that the sorting pays for
// more than the next publication.
func (x *Index) evict(except id.Tenant) {
	type candidate struct {
		tenant id.Tenant
		used   int64
	}
	var all []candidate
	x.tenants.Range(func(key, value any) bool {
		if t := key.(id.Tenant); t != except {
			all = append(all, candidate{t, value.(*entry).used.Load()})
		}
		return true
	})
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Compare(a.used, b.used) })
	for _, c := range all {
		if x.held <= x.budget-x.budget/16 {
			return
		}
		x.forget(c.tenant)
	}
}
