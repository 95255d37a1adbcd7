package index

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"

	"roster/internal/id"
)

// A roll is the persistent list of who is held, by number, and the way from an
// id back to its number.
type roll[T id.User | id.Group] struct {
	ids   vector[T]
	count int
	table *table
}

// A table finds numbers by the hash of their ids: open addressing, linear
// probing, four bytes a slot. It only proposes, the roll's ids decide; so many
// States and editors may share one that holds numbers some of them do not, and
// nothing is ever taken out. What fills it up is left behind when a roll moves
// to a new table. Safe for concurrent use.
type table struct {
	seed  maphash.Seed
	used  atomic.Int64
	slots []atomic.Uint32 // a power of two; 0 is free
}

// room returns a table that n numbers fill to between three and six eighths,
// with some to spare for editors that fill it at the same time.
func room(n int) *table {
	size := 1 << bits.Len(uint(max(n*4/3, 16)))
	return &table{seed: maphash.MakeSeed(), slots: make([]atomic.Uint32, size)}
}

func (t *table) full() bool { return t.used.Load()*4 >= int64(len(t.slots))*3 }

func (t *table) weight() int64 {
	if t == nil {
		return 0
	}
	return int64(len(t.slots)) * 4
}

// put adds n under hash, unless it is there. The table must not be full.
func (t *table) put(hash uint64, n uint32) {
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		if t.slots[i].CompareAndSwap(0, n) {
			t.used.Add(1)
			return
		}
		if t.slots[i].Load() == n {
			return
		}
	}
}

// find returns the number of who.
func (r *roll[T]) find(who T) (uint32, bool) {
	if r.table == nil {
		return 0, false
	}
	slots := r.table.slots
	mask := uint64(len(slots) - 1)
	for i := maphash.Comparable(r.table.seed, who) & mask; ; i = (i + 1) & mask {
		n := slots[i].Load()
		if n == 0 {
			return 0, false
		}
		if held := r.ids.at(n); held != nil && *held == who {
			return n, true
		}
	}
}

// put holds who under n.
func (r *roll[T]) put(o owner, n uint32, who T) {
	switch old := r.ids.at(n); {
	case old == nil:
		r.count++
	case *old == who:
		return
	}
	r.ids.put(o, n, who)
	if r.table == nil || r.table.full() {
		// Room for half as many again, so that the next table is that far
		// off. It gets who with the others.
		r.table = room(r.count + r.count/2)
		for n, who := range r.ids.all() {
			r.table.put(maphash.Comparable(r.table.seed, *who), n)
		}
		return
	}
	r.table.put(maphash.Comparable(r.table.seed, who), n)
}

func (r *roll[T]) drop(o owner, n uint32) {
	if r.ids.has(n) {
		r.ids.drop(o, n)
		r.count--
	}
}

func (r *roll[T]) seal(o owner, base *roll[T]) growth {
	g := r.ids.seal(o, &base.ids, plain[T]())
	if r.table != base.table {
		g.replace(base.table.weight(), r.table.weight())
	}
	return g
}
