package index

import (
	"slices"
	"unsafe"

	"github.com/RoaringBitmap/roaring/v2"
)

// manyAbove is how many numbers a set holds in one sorted slice. Above it the
// set becomes bitmaps, and a slice again at half of it.
var manyAbove = 4096

// A set is a persistent set of numbers: an ascending slice while it is small,
// then a roaring bitmap for each 65,536 numbers, so that an edit copies at most
// one of these (8 KiB) and neither readers nor other editors ever meet a write.
// The zero set is empty.
//
// The methods that change a set take the editor's owner, and whether the set's
// insides are fresh: that editor's own.
type set struct {
	few  []uint32
	many *many // nil while few holds the set
}

type many struct {
	count  int
	chunks []chunk // ascending, none empty
}

type chunk struct {
	bits  *roaring.Bitmap
	owner owner
	high  uint16 // of every number in bits
}

// find returns where the chunk of x is, or would be.
func (m *many) find(x uint32) (int, bool) {
	return slices.BinarySearchFunc(m.chunks, uint16(x>>16), func(c chunk, high uint16) int {
		return int(c.high) - int(high)
	})
}

// chunk returns the bitmap that x belongs into, for o to write. The caller adds to it.
func (m *many) chunk(o owner, x uint32) *roaring.Bitmap {
	i, found := m.find(x)
	if !found {
		m.chunks = slices.Insert(m.chunks, i, chunk{bits: roaring.New(), owner: o, high: uint16(x >> 16)})
	}
	return m.chunks[i].own(o)
}

func (c *chunk) own(o owner) *roaring.Bitmap {
	if c.owner != o {
		c.bits, c.owner = c.bits.Clone(), o
	}
	return c.bits
}

func (s *set) len() int {
	if s.many != nil {
		return s.many.count
	}
	return len(s.few)
}

func (s *set) has(x uint32) bool {
	if s.many != nil {
		i, found := s.many.find(x)
		return found && s.many.chunks[i].bits.Contains(x)
	}
	_, found := slices.BinarySearch(s.few, x)
	return found
}

func (s *set) add(o owner, fresh bool, x uint32) {
	if s.many == nil {
		i, found := slices.BinarySearch(s.few, x)
		if found {
			return
		}
		if len(s.few) < manyAbove {
			s.few = insert(s.few, i, x, fresh)
			return
		}
	}
	s.own(o, fresh)
	if s.many.chunk(o, x).CheckedAdd(x) {
		s.many.count++
	}
}

// addAll adds xs, which ascend.
func (s *set) addAll(o owner, fresh bool, xs []uint32) {
	switch {
	case len(xs) == 0:
		return
	case len(xs) == 1:
		s.add(o, fresh, xs[0])
		return
	case s.many == nil:
		if merged := union(s.few, xs); len(merged) <= manyAbove {
			s.few = merged
			return
		}
	}
	s.own(o, fresh)
	for len(xs) > 0 {
		end, _ := slices.BinarySearch(xs, xs[0]|0xffff)
		if end < len(xs) && xs[end] == xs[0]|0xffff {
			end++
		}
		bits := s.many.chunk(o, xs[0])
		before := bits.GetCardinality()
		bits.AddMany(xs[:end])
		s.many.count += int(bits.GetCardinality() - before)
		xs = xs[end:]
	}
}

func (s *set) remove(o owner, fresh bool, x uint32) {
	if s.many == nil {
		if i, found := slices.BinarySearch(s.few, x); found {
			s.few = without(s.few, i, fresh)
		}
		return
	}
	if !s.has(x) {
		return
	}
	s.own(o, fresh)
	i, _ := s.many.find(x)
	bits := s.many.chunks[i].own(o)
	bits.Remove(x)
	if bits.IsEmpty() {
		s.many.chunks = slices.Delete(s.many.chunks, i, i+1)
	}
	s.many.count--
	if s.many.count <= manyAbove/2 {
		few := make([]uint32, 0, s.many.count)
		for _, c := range s.many.chunks {
			few = append(few, c.bits.ToArray()...)
		}
		*s = set{few: few}
	}
}

// own makes s a set of chunks whose list is the editor's own.
func (s *set) own(o owner, fresh bool) {
	switch {
	case s.many == nil:
		few := s.few
		*s = set{many: &many{count: len(few)}}
		for _, x := range few {
			s.many.chunk(o, x).Add(x)
		}
	case !fresh:
		s.many = &many{count: s.many.count, chunks: slices.Clone(s.many.chunks)}
	}
}

// numbers yields the set ascending.
func (s *set) numbers(yield func(uint32) bool) {
	for c := s.from(0); ; c.next() {
		x, ok := c.peek()
		if !ok || !yield(x) {
			return
		}
	}
}

// max returns the greatest number, 0 if there is none.
func (s *set) max() uint32 {
	if s.many == nil {
		if len(s.few) == 0 {
			return 0
		}
		return s.few[len(s.few)-1]
	}
	return s.many.chunks[len(s.many.chunks)-1].bits.Maximum()
}

// addTo adds the set to sum.
func (s *set) addTo(sum *roaring.Bitmap) {
	if s.many == nil {
		sum.AddMany(s.few)
		return
	}
	for _, c := range s.many.chunks {
		sum.Or(c.bits)
	}
}

// weight is about how many bytes of heap the set refers to.
func (s *set) weight() int64 {
	if s.many == nil {
		return listWeight(&s.few)
	}
	n := int64(len(s.many.chunks))
	return int64(unsafe.Sizeof(many{})) + n*(int64(unsafe.Sizeof(chunk{}))+s.many.each())
}

// each is how many bytes the bitmap of a chunk takes, as if the chunks were equal:
// some 160 bytes, and for each number two more until it is 8 KiB.
func (m *many) each() int64 { return 160 + min(8192, 2*int64(m.count)/int64(len(m.chunks))) }

// shared is how many bytes of was, of which s was made, s still refers to.
func (was *set) shared(s *set) (bytes int64) {
	if was.many == nil || s.many == nil {
		return 0
	}
	rest := s.many.chunks
	for _, c := range was.many.chunks {
		for len(rest) > 0 && rest[0].high < c.high {
			rest = rest[1:]
		}
		if len(rest) > 0 && rest[0].bits == c.bits {
			bytes += was.many.each()
		}
	}
	return bytes
}

// trim gives back slack.
func (s *set) trim() { trimList(&s.few) }

// A cursor goes through a set, ascending. It must not outlive an edit of it.
type cursor struct {
	few    []uint32
	chunks []chunk
	bits   *roaring.IntIterator // over chunks[0], or nil if few holds the rest
}

// from returns a cursor at the least number of at least x.
func (s *set) from(x uint32) cursor {
	if s.many == nil {
		i, _ := slices.BinarySearch(s.few, x)
		return cursor{few: s.few[i:]}
	}
	i, found := s.many.find(x)
	c := cursor{chunks: s.many.chunks[i:]}
	c.open()
	if found {
		c.bits.AdvanceIfNeeded(x)
		c.settle()
	}
	return c
}

// peek returns the number the cursor is at, or false at the end.
func (c *cursor) peek() (uint32, bool) {
	switch {
	case c.bits != nil:
		return c.bits.PeekNext(), true
	case len(c.few) > 0:
		return c.few[0], true
	}
	return 0, false
}

// next goes on from a number that peek has returned.
func (c *cursor) next() {
	if c.bits == nil {
		if len(c.few) > 0 {
			c.few = c.few[1:]
		}
		return
	}
	c.bits.Next()
	c.settle()
}

// settle moves to the next chunk when this one is through.
func (c *cursor) settle() {
	if !c.bits.HasNext() {
		c.chunks = c.chunks[1:]
		c.open()
	}
}

func (c *cursor) open() {
	if len(c.chunks) == 0 {
		c.bits = nil
		return
	}
	if c.bits == nil {
		c.bits = new(roaring.IntIterator)
	}
	c.bits.Initialize(c.chunks[0].bits)
}

// insert puts x at list[i], in place and with room to grow if the list is fresh.
func insert(list []uint32, i int, x uint32, fresh bool) []uint32 {
	if fresh {
		return slices.Insert(list, i, x)
	}
	longer := make([]uint32, len(list)+1)
	copy(longer, list[:i])
	longer[i] = x
	copy(longer[i+1:], list[i:])
	return longer
}

// without takes list[i] out, in place if the list is fresh.
func without(list []uint32, i int, fresh bool) []uint32 {
	if fresh {
		return slices.Delete(list, i, i+1)
	}
	shorter := make([]uint32, len(list)-1)
	copy(shorter, list[:i])
	copy(shorter[i:], list[i+1:])
	return shorter
}

// union merges two ascending lists into a new one.
func union(a, b []uint32) []uint32 {
	out := make([]uint32, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			out, a = append(out, a[0]), a[1:]
		case a[0] > b[0]:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, a[0]), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// trimList gives back slack, if the allocator takes any back.
func trimList(list *[]uint32) {
	if exact := (*list)[:len(*list):len(*list)]; listWeight(&exact) < listWeight(list) {
		*list = append(make([]uint32, 0, len(exact)), exact...)
	}
}

// listWeight is about how many bytes of heap the list takes.
func listWeight(list *[]uint32) int64 { return int64(cap(*list)*4+15) &^ 15 }
