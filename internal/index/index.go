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
// Older States that somebody goes on asking about are kept beside the latest for
// a while, see [Index.Keep]. Safe for concurrent use. Looking up waits for
// nothing and allocates nothing.
type Index struct {
	budget  int64
	tenants sync.Map     // id.Tenant to *entry
	clock   atomic.Int64 // counts publications: the unit of recency

	mu    sync.Mutex // guards the rest, and writing to tenants and their entries
	held  int64      // the bytes of all entries, and of what is kept
	kept  map[*older]*entry
	extra int64 // the bytes of what is kept
}

type entry struct {
	state atomic.Pointer[State]
	older atomic.Pointer[[]*older] // ascending by revision; replaced as a whole
	used  atomic.Int64             // the clock when last asked for
	bytes int64                    // of state, when it was published
}

// An older is a State that is kept when later ones are published.
type older struct {
	state *State
	used  atomic.Int64
	bytes int64 // that it holds and the next later State of the tenant does not
}

// What is kept beside the latest States takes at most one part in keptShare of
// the budget, and is at most so many States.
const (
	keptShare = 4
	maxKept   = 256
)

// New returns an Index that keeps the States it holds within about so many
// bytes of heap. One State larger than that is held alone.
func New(budget int64) *Index {
	return &Index{budget: budget, kept: map[*older]*entry{}}
}

// Get returns the latest State of the tenant, or nil if the tenant is cold.
func (x *Index) Get(tenant id.Tenant) *State {
	found, ok := x.tenants.Load(tenant)
	if !ok {
		return nil
	}
	e := found.(*entry)
	x.touch(&e.used)
	return e.state.Load()
}

// At returns the State of the tenant at a revision, or nil if it is neither the
// latest nor kept.
func (x *Index) At(tenant id.Tenant, revision uint64) *State {
	found, ok := x.tenants.Load(tenant)
	if !ok {
		return nil
	}
	e := found.(*entry)
	x.touch(&e.used)
	if s := e.state.Load(); s.revision == revision {
		return s
	}
	if o := e.at(revision); o != nil {
		x.touch(&o.used)
		return o.state
	}
	return nil
}

// touch notes a use. Writing only when the clock has moved keeps readers of a
// busy tenant from fighting over the line.
func (x *Index) touch(used *atomic.Int64) {
	if now := x.clock.Load(); used.Load() != now {
		used.Store(now)
	}
}

// Keep keeps a State that the Index holds for [Index.At] when later ones are
// published. It goes when States used more recently need the room, and with its
// tenant.
func (x *Index) Keep(tenant id.Tenant, s *State) {
	found, ok := x.tenants.Load(tenant)
	if !ok {
		return
	}
	if o := found.(*entry).at(s.revision); o != nil {
		x.touch(&o.used)
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	found, ok = x.tenants.Load(tenant)
	if !ok {
		return
	}
	e := found.(*entry)
	if e.state.Load().revision < s.revision || e.at(s.revision) != nil {
		return
	}
	o := &older{state: s}
	o.used.Store(x.clock.Add(1))
	list := slices.Clone(e.olders())
	i, _ := search(list, s.revision)
	e.set(slices.Insert(list, i, o))
	x.kept[o] = e
	x.weigh(e, i)
	x.weigh(e, i-1)
	x.fit(tenant)
}

func (e *entry) olders() []*older {
	if list := e.older.Load(); list != nil {
		return *list
	}
	return nil
}

func (e *entry) set(list []*older) { e.older.Store(&list) }

func search(list []*older, revision uint64) (int, bool) {
	return slices.BinarySearchFunc(list, revision, func(o *older, revision uint64) int { return cmp.Compare(o.state.revision, revision) })
}

// at returns what is kept of a revision.
func (e *entry) at(revision uint64) *older {
	list := e.olders()
	if i, found := search(list, revision); found {
		return list[i]
	}
	return nil
}

// weigh accounts for the i-th State that is kept beside the latest of an entry,
// if there is one.
func (x *Index) weigh(e *entry, i int) {
	list := e.olders()
	if i < 0 || i >= len(list) {
		return
	}
	later := e.state.Load()
	if i+1 < len(list) {
		later = list[i+1].state
	}
	x.account(list[i], list[i].state.beside(later))
}

func (x *Index) account(o *older, bytes int64) {
	x.held += bytes - o.bytes
	x.extra += bytes - o.bytes
	o.bytes = bytes
}

// drop keeps a State no longer. What it shared with the one before it alone is
// that one's now.
func (x *Index) drop(o *older) {
	e, ok := x.kept[o]
	if !ok {
		return
	}
	delete(x.kept, o)
	x.account(o, 0)
	list := slices.Clone(e.olders())
	i, _ := search(list, o.state.revision)
	e.set(slices.Delete(list, i, i+1))
	x.weigh(e, i-1)
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
	x.weigh(e, len(e.olders())-1)
	x.fit(tenant)
	return true
}

// Forget makes the tenant cold, and keeps nothing older of it.
func (x *Index) Forget(tenant id.Tenant) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.forget(tenant)
}

func (x *Index) forget(tenant id.Tenant) {
	found, ok := x.tenants.LoadAndDelete(tenant)
	if !ok {
		return
	}
	e := found.(*entry)
	x.held -= e.bytes
	for _, o := range e.olders() {
		delete(x.kept, o)
		x.account(o, 0)
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

// fit makes the Index fit its bounds again after a change to one tenant.
func (x *Index) fit(tenant id.Tenant) {
	for len(x.kept) > maxKept || x.extra > x.budget/keptShare {
		var last *older
		for o := range x.kept {
			if last == nil || o.used.Load() < last.used.Load() {
				last = o
			}
		}
		x.drop(last)
	}
	if x.held > x.budget {
		x.evict(tenant)
	}
}

// evict makes tenants cold, other than the given one, and drops what is kept, the
// least recently used first. It goes a sixteenth below the budget, so that the
// sorting pays for more than the next publication.
func (x *Index) evict(except id.Tenant) {
	type candidate struct {
		used int64
		drop func()
	}
	var all []candidate
	x.tenants.Range(func(key, value any) bool {
		if t := key.(id.Tenant); t != except {
			all = append(all, candidate{value.(*entry).used.Load(), func() { x.forget(t) }})
		}
		return true
	})
	for o := range x.kept {
		all = append(all, candidate{o.used.Load(), func() { x.drop(o) }})
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Compare(a.used, b.used) })
	for _, c := range all {
		if x.held <= x.budget-x.budget/16 {
			return
		}
		c.drop()
	}
}
