package index

import (
	"iter"
	"sync/atomic"
	"unsafe"
)

// An owner is the mark of one [Editor] on what it has made and nobody else can
// see yet, so that it may change it in place. No two editors share one.
type owner uint64

var lastOwner atomic.Uint64

func newOwner() owner { return owner(lastOwner.Add(1)) }

// A vector is a persistent sparse array from numbers below 1<<31 to T: a radix
// tree of fixed depth whose nodes are never changed once their editor is done,
// so that copying the struct copies the array, and an edit costs the copies of
// one path. The zero vector is empty.
type vector[T any] struct {
	root  []*limb[T]
	owner owner // of root
}

type (
	limb[T any] = branch[twig[T]] // 65,536 numbers
	twig[T any] = branch[leaf[T]] // 1,024 numbers
)

type branch[C any] struct {
	owner owner
	kids  [1 << branchBits]*C
}

type leaf[T any] struct {
	owner owner
	held  uint16 // which slots hold something
	fresh uint16 // which slots the owner has edited: their insides are its own
	vals  [1 << leafBits]T
}

const (
	leafBits   = 4
	branchBits = 6
	limbShift  = leafBits + 2*branchBits
	branchMask = 1<<branchBits - 1
	leafMask   = 1<<leafBits - 1
)

// at returns the place of n, or nil if nothing is held there. It is not to be
// written through.
func (v *vector[T]) at(n uint32) *T {
	top := n >> limbShift
	if top >= uint32(len(v.root)) {
		return nil
	}
	limb := v.root[top]
	if limb == nil {
		return nil
	}
	twig := limb.kids[n>>(leafBits+branchBits)&branchMask]
	if twig == nil {
		return nil
	}
	leaf := twig.kids[n>>leafBits&branchMask]
	if leaf == nil || leaf.held>>(n&leafMask)&1 == 0 {
		return nil
	}
	return &leaf.vals[n&leafMask]
}

// has reports whether something is held at n.
func (v *vector[T]) has(n uint32) bool { return v.at(n) != nil }

// get returns what is held at n, or the zero T.
func (v *vector[T]) get(n uint32) (val T) {
	if p := v.at(n); p != nil {
		val = *p
	}
	return val
}

// edit returns the place of n for o to write, holding the zero T if nothing was
// held. Fresh says that o was here before, or that the place is new, so that
// what the value refers to is o's as well and may be changed in place. If not,
// the caller must replace what it changes: after this call n counts as fresh.
func (v *vector[T]) edit(o owner, n uint32) (val *T, fresh bool) {
	leaf := v.path(o, n)
	bit := uint16(1) << (n & leafMask)
	fresh = leaf.fresh&bit != 0 || leaf.held&bit == 0
	leaf.held |= bit
	leaf.fresh |= bit
	return &leaf.vals[n&leafMask], fresh
}

// put holds val at n.
func (v *vector[T]) put(o owner, n uint32, val T) {
	p, _ := v.edit(o, n)
	*p = val
}

// drop holds nothing at n.
func (v *vector[T]) drop(o owner, n uint32) {
	if !v.has(n) {
		return
	}
	leaf := v.path(o, n)
	bit := uint16(1) << (n & leafMask)
	leaf.held &^= bit
	leaf.fresh |= bit
	var zero T
	leaf.vals[n&leafMask] = zero
}

// path makes the leaf of n, and what leads to it, o's own.
func (v *vector[T]) path(o owner, n uint32) *leaf[T] {
	top := int(n >> limbShift)
	if v.owner != o || top >= len(v.root) {
		// The capacity is cut so that no append writes into a shared array.
		v.root = append(make([]*limb[T], 0, max(top+1, len(v.root))), v.root...)
		v.root = v.root[:cap(v.root)]
		v.owner = o
	}
	limb := own(&v.root[top], o)
	twig := own(&limb.kids[n>>(leafBits+branchBits)&branchMask], o)
	place := &twig.kids[n>>leafBits&branchMask]
	switch old := *place; {
	case old == nil:
		*place = &leaf[T]{owner: o}
	case old.owner != o:
		*place = &leaf[T]{owner: o, held: old.held, vals: old.vals}
	}
	return *place
}

// own makes the branch at place o's own.
func own[C any](place **branch[C], o owner) *branch[C] {
	switch old := *place; {
	case old == nil:
		*place = &branch[C]{owner: o}
	case old.owner != o:
		*place = &branch[C]{owner: o, kids: old.kids}
	}
	return *place
}

// all yields what is held, by ascending number.
func (v *vector[T]) all() iter.Seq2[uint32, *T] {
	return func(yield func(uint32, *T) bool) {
		for i, limb := range v.root {
			if limb == nil {
				continue
			}
			for j, twig := range limb.kids {
				if twig == nil {
					continue
				}
				for k, leaf := range twig.kids {
					if leaf == nil || leaf.held == 0 {
						continue
					}
					for l := range leaf.vals {
						n := uint32(i)<<limbShift | uint32(j)<<(leafBits+branchBits) | uint32(k)<<leafBits | uint32(l)
						if leaf.held>>l&1 != 0 && !yield(n, &leaf.vals[l]) {
							return
						}
					}
				}
			}
		}
	}
}

// A growth is what an editor has done to how many bytes are held.
type growth struct {
	gain int64 // by how many there are more than in the base
	shed int64 // of the base's, those that are not shared any more
}

func (g *growth) add(more growth) {
	g.gain += more.gain
	g.shed += more.shed
}

// replace notes that old bytes have been copied, or left behind, for new ones.
func (g *growth) replace(old, new int64) {
	g.gain += new - old
	g.shed += old
}

// A kind is what there is to know about the values of a vector.
type kind[T any] struct {
	trim   func(*T)               // gives back slack; may be nil
	weigh  func(*T) int64         // about how many bytes of heap a value refers to
	shared func(was, is *T) int64 // how many of was's are also is's; nil if none
}

// seal ends o's editing of v, which began as base, and trims every value that o
// has edited. It costs what the editing did.
func (v *vector[T]) seal(o owner, base *vector[T], of kind[T]) (g growth) {
	if v.owner != o {
		return g
	}
	g.replace(int64(len(base.root))*int64(unsafe.Sizeof(v.root[0])), int64(len(v.root))*int64(unsafe.Sizeof(v.root[0])))
	for i, top := range v.root {
		if top == nil || top.owner != o {
			continue
		}
		was := new(limb[T])
		if i < len(base.root) && base.root[i] != nil {
			was = base.root[i]
			g.shed += int64(unsafe.Sizeof(*top))
		} else {
			g.gain += int64(unsafe.Sizeof(*top))
		}
		for j, mid := range top.kids {
			if mid == nil || mid.owner != o {
				continue
			}
			was := was.kids[j]
			if was == nil {
				was = new(twig[T])
				g.gain += int64(unsafe.Sizeof(*mid))
			} else {
				g.shed += int64(unsafe.Sizeof(*mid))
			}
			for k, low := range mid.kids {
				if low == nil || low.owner != o {
					continue
				}
				g.add(low.seal(was.kids[k], of))
			}
		}
	}
	return g
}

func (f *leaf[T]) seal(was *leaf[T], of kind[T]) (g growth) {
	if was == nil {
		was = new(leaf[T])
		g.gain += int64(unsafe.Sizeof(*f))
	} else {
		g.shed += int64(unsafe.Sizeof(*f))
	}
	for l := range f.vals {
		bit := uint16(1) << l
		if f.fresh&bit == 0 {
			continue
		}
		if f.held&bit != 0 {
			if of.trim != nil {
				of.trim(&f.vals[l])
			}
			g.gain += of.weigh(&f.vals[l])
		}
		if was.held&bit != 0 {
			g.replace(of.weigh(&was.vals[l]), 0)
			if f.held&bit != 0 && of.shared != nil {
				g.shed -= of.shared(&was.vals[l], &f.vals[l])
			}
		}
	}
	return g
}

// plain are values that refer to nothing.
func plain[T any]() kind[T] { return kind[T]{weigh: func(*T) int64 { return 0 }} }
