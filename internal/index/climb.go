package index

import (
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"
)

var (
	// closureMax is how many ancestors are remembered of one group. A group
	// with more is walked from every time.
	closureMax = 4096
	// closuresMax is how many are remembered in all, in one tenant: 16 MiB.
	closuresMax int64 = 4 << 20
)

// underMax is how many groups are remembered below one. What is below a group
// fits in a line or two of cache mostly, so a check that has it need not look at
// each of the user's groups; what is below the largest does not, and there the
// ancestors are the shorter way.
var underMax = 512

// A closure is what is above, or below, one group in one version of the group graph. The
// groups follow it in memory, so that a check meets one object, not three.
type closure struct {
	version owner
	count   int32 // or walkIt
}

// walkIt is the count of a closure that could not be remembered: there are dates
// on the way, or too many groups.
const walkIt = -1

// walked is what a State finds that has to walk. It is kept nowhere.
var walked = &closure{count: walkIt}

const closureSize = int(unsafe.Sizeof(closure{}))

func newClosure(version owner, groups []uint32) *closure {
	// Whole words, for the alignment; they hold no pointers.
	words := make([]uint64, (closureSize+4*len(groups)+7)/8)
	c := (*closure)(unsafe.Pointer(unsafe.SliceData(words)))
	c.version, c.count = version, int32(len(groups))
	copy(c.groups(), groups)
	return c
}

// groups are the ancestors, ascending.
func (c *closure) groups() []uint32 {
	if c.count <= 0 {
		return nil
	}
	return unsafe.Slice((*uint32)(unsafe.Add(unsafe.Pointer(c), closureSize)), c.count)
}

func (c *closure) has(group uint32) bool {
	groups := c.groups()
	if len(groups) > 16 {
		_, found := slices.BinarySearch(groups, group)
		return found
	}
	return slices.Contains(groups, group)
}

func (c *closure) weight() int64 {
	if c == nil {
		return 0
	}
	return int64(closureSize) + 4*int64(max(c.count, 0))
}

// A memory is where the closures of a tenant's groups are kept, each with the
// version of the graph that it is true of. All the States that descend from one
// share a memory: a link made or dissolved anywhere makes a new version, to
// which every closure is absent, and nothing else has to be done about them.
// Safe for concurrent use.
type memory struct {
	mu    sync.Mutex // held to replace pages
	pages atomic.Pointer[vector[*page]]
	count atomic.Int64 // of the groups in all closures
	bytes atomic.Int64
}

type page [64]atomic.Pointer[closure]

func newMemory() *memory {
	m := new(memory)
	m.pages.Store(new(vector[*page]))
	return m
}

// place returns where the closure of group is kept.
func (m *memory) place(group uint32) *atomic.Pointer[closure] {
	if p := m.pages.Load().at(group / 64); p != nil {
		return &(*p)[group%64]
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.pages.Load()
	if p := old.at(group / 64); p != nil {
		return &(*p)[group%64]
	}
	added, pages, o := new(page), *old, newOwner()
	pages.put(o, group/64, added)
	m.bytes.Add(pages.seal(o, old, kind[*page]{weigh: func(**page) int64 { return int64(unsafe.Sizeof(page{})) }}).gain)
	m.pages.Store(&pages)
	return &added[group%64]
}

// keep puts c, or nothing, in place of what was there.
func (m *memory) keep(place *atomic.Pointer[closure], c *closure) {
	old := place.Swap(c)
	count := 0
	if c != nil {
		count += len(c.groups())
	}
	if old != nil {
		count -= len(old.groups())
	}
	m.count.Add(int64(count))
	m.bytes.Add(c.weight() - old.weight())
}

// sweep forgets every closure, if they have become too many. It is for an editor
// that is about to make a new version, to which they all are stale.
func (m *memory) sweep() {
	if m.count.Load() <= closuresMax {
		return
	}
	for _, p := range m.pages.Load().all() {
		for i := range *p {
			m.keep(&(*p)[i], nil)
		}
	}
}

// above returns the ancestors of group, working them out if need be, which is
// all that is ever allocated on the way of a check.
func (s *State) above(group uint32) *closure { return s.closure(s.memory, group, s.ancestors) }

// under returns the descendants of group in the same way.
func (s *State) under(group uint32) *closure { return s.closure(s.lower, group, s.descendants) }

func (s *State) closure(m *memory, group uint32, work func(uint32) ([]uint32, bool)) *closure {
	place := m.place(group)
	c := place.Load()
	switch {
	case c != nil && c.version == s.version:
		return c
	case c != nil && c.version > s.version:
		return walked // a later State's, which it shall not lose to an older one
	}
	if groups, ok := work(group); ok {
		c = newClosure(s.version, groups)
	} else {
		c = newClosure(s.version, nil)
		c.count = walkIt
	}
	m.keep(place, c)
	return c
}

// descendants returns everything below group, or false if that cannot be
// remembered.
func (s *State) descendants(group uint32) ([]uint32, bool) {
	w := startWalk()
	defer w.end()
	w.add(group)
	room := s.lower.count.Load() < closuresMax
	for i := 0; i < len(w.found); i++ {
		if !room || s.nesting.timed.at(w.found[i]) != nil {
			return nil, false
		}
		if down := s.nesting.down.at(w.found[i]); down != nil {
			if len(w.found)+down.len() > underMax+1 {
				return nil, false
			}
			for x := range down.numbers {
				w.add(x)
			}
		}
	}
	groups := slices.Clone(w.found[1:])
	slices.Sort(groups)
	return groups, true
}

// ancestors returns everything above group, or false if that cannot be
// remembered.
func (s *State) ancestors(group uint32) ([]uint32, bool) {
	w := startWalk()
	defer w.end()
	w.add(group)
	room := s.memory.count.Load() < closuresMax
	for i := 0; i < len(w.found); i++ {
		for _, x := range s.nesting.up.get(w.found[i]) {
			if !room || x >= dated || len(w.found) > closureMax {
				return nil, false
			}
			w.add(x)
		}
	}
	groups := slices.Clone(w.found[1:])
	slices.Sort(groups)
	return groups, true
}

// A walk collects the groups that it has reached, each once, so it ends even in
// a cycle. Walks are pooled: a warm one allocates nothing.
type walk struct {
	found []uint32 // in the order of reaching
	// table is an open-addressing set of what was found, as round<<32 | number,
	// so that a new round has an empty table.
	table []uint64
	round uint64
}

var walks = sync.Pool{New: func() any { return &walk{table: make([]uint64, 256)} }}

func startWalk() *walk {
	w := walks.Get().(*walk)
	w.found = w.found[:0]
	if w.round++; w.round == 1<<32 {
		clear(w.table)
		w.round = 1
	}
	return w
}

// end gives w back. What it found must not be used any more.
func (w *walk) end() {
	if len(w.table) <= 1<<20 { // 8 MiB; a giant is not worth keeping
		walks.Put(w)
	}
}

// add reaches n, unless it has been reached before.
func (w *walk) add(n uint32) {
	if len(w.found)*2 >= len(w.table) {
		w.table = make([]uint64, 2*len(w.table))
		for _, x := range w.found {
			w.note(x)
		}
	}
	if w.note(n) {
		w.found = append(w.found, n)
	}
}

func (w *walk) note(n uint32) bool {
	mask := uint32(len(w.table) - 1)
	want := w.round<<32 | uint64(n)
	for i := n * 0x9e3779b1 >> 7 & mask; ; i = (i + 1) & mask {
		switch x := w.table[i]; {
		case x == want:
			return false
		case x>>32 != w.round:
			w.table[i] = want
			return true
		}
	}
}

// up goes on to everything above what was found so far, by the links that hold
// now, and returns true as soon as it is at group.
func (w *walk) up(s *State, now int64, group uint32) bool {
	for i := 0; i < len(w.found); i++ {
		at := w.found[i]
		for _, x := range s.nesting.up.get(at) {
			if x >= dated {
				x &^= dated
				if !s.nesting.holds(at, x, now) {
					continue
				}
			}
			if x == group {
				return true
			}
			w.add(x)
		}
	}
	return false
}

// down goes on to everything below what was found so far.
func (w *walk) down(s *State, now int64) {
	for i := 0; i < len(w.found); i++ {
		for x := range s.nesting.members(w.found[i], now) {
			w.add(x)
		}
	}
}
