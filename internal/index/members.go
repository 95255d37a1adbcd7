package index

import (
	"iter"
	"math"
	"math/bits"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"roster/internal/id"
)

// Members yields the users that are in the group, ascending, starting after a
// number: by edges of their own, or through groups inside the group as well. It
// costs no more to start late than to start at 0.
func (s *State) Members(group, after id.Number, now int64, transitive bool) iter.Seq[id.Number] {
	return func(yield func(id.Number) bool) {
		if after >= id.MaxNumber {
			return
		}
		m := merge{state: s, now: now}
		for _, g := range s.reach(group, now, transitive) {
			m.open(g, uint32(after)+1)
		}
		everyone := s.suspended.len() == 0 && s.expiring == 0
		for m.fill() {
			for i, word := range m.window {
				for ; word != 0; word &= word - 1 {
					n := m.start + uint32(i)*64 + uint32(bits.TrailingZeros64(word))
					if (everyone || s.active(n, now)) && !yield(id.Number(n)) {
						return
					}
				}
			}
		}
	}
}

// MembersAfter returns the first limit users of [State.Members].
func (s *State) MembersAfter(group, after id.Number, now int64, transitive bool, limit int) []id.Number {
	var page []id.Number
	if limit <= 0 {
		return page
	}
	for n := range s.Members(group, after, now, transitive) {
		if page = append(page, n); len(page) == limit {
			break
		}
	}
	return page
}

// MembersBefore returns the last limit users of [State.Members] below a number,
// descending; below any if it is 0. It reads about as many as it returns where
// members are spread evenly.
func (s *State) MembersBefore(group, before id.Number, now int64, transitive bool, limit int) []id.Number {
	last := s.last(group, now, transitive)
	if before == 0 || before > last {
		before = last + 1
	}
	if limit <= 0 || last == 0 {
		return nil
	}
	for width := id.Number(2 * limit); ; width *= 2 {
		var after id.Number
		if before-1 > width {
			after = before - 1 - width
		}
		var page []id.Number
		for n := range s.Members(group, after, now, transitive) {
			if n >= before {
				break
			}
			page = append(page, n)
		}
		if len(page) >= limit || after == 0 {
			slices.Reverse(page)
			return page[:min(len(page), limit)]
		}
	}
}

// last returns the greatest number of a user with an edge into the group, or
// through groups inside of it, 0 if there is none.
func (s *State) last(group id.Number, now int64, transitive bool) id.Number {
	var last uint32
	for _, g := range s.reach(group, now, transitive) {
		for _, edges := range []*set{s.members.down.at(g), s.members.timed.at(g)} {
			if edges != nil {
				last = max(last, edges.max())
			}
		}
	}
	return id.Number(last)
}

// reach returns the group, and everything below it if transitive.
func (s *State) reach(group id.Number, now int64, transitive bool) []uint32 {
	reached := []uint32{uint32(group)}
	if !transitive || s.nesting.standing(uint32(group)) == 0 {
		return reached
	}
	w := startWalk()
	defer w.end()
	w.add(uint32(group))
	w.down(s, now)
	return append(reached, w.found[1:]...)
}

// Window sizes of a merge, in numbers.
const (
	leastWindow = 1 << 12
	mostWindow  = 1 << 16
)

// A merge goes through the users of many groups in ascending order, each once,
// by collecting them into a bitmap of one window of numbers after another.
// Windows begin at the next member there is, and grow as more are asked for.
type merge struct {
	state  *State
	now    int64
	inputs []input
	start  uint32
	window []uint64
}

type input struct {
	cursor
	group uint32
	dated bool
}

// open adds the users of group that are at least from to the inputs.
func (m *merge) open(group, from uint32) {
	if s := m.state.members.down.at(group); s != nil {
		m.inputs = append(m.inputs, input{cursor: s.from(from)})
	}
	if s := m.state.members.timed.at(group); s != nil {
		m.inputs = append(m.inputs, input{cursor: s.from(from), group: group, dated: true})
	}
}

// fill collects the next window, or returns false at the end.
func (m *merge) fill() bool {
	next := uint32(math.MaxUint32)
	kept := m.inputs[:0]
	for _, in := range m.inputs {
		if n, ok := in.peek(); ok {
			next = min(next, n)
			kept = append(kept, in)
		}
	}
	if m.inputs = kept; len(kept) == 0 {
		return false
	}
	m.start = next
	switch size := len(m.window); {
	case size == 0:
		m.window = make([]uint64, leastWindow/64)
	case size < mostWindow/64:
		m.window = make([]uint64, 2*size)
	default:
		clear(m.window)
	}
	for i := range m.inputs {
		in := &m.inputs[i]
		for {
			n, ok := in.peek()
			if !ok || n-m.start >= uint32(len(m.window))*64 {
				break
			}
			if !in.dated || m.state.members.holds(n, in.group, m.now) {
				m.window[(n-m.start)/64] |= 1 << ((n - m.start) % 64)
			}
			in.next()
		}
	}
	return true
}

// Standing returns how many users have an edge of their own into the group,
// whether or not the edge or the user counts at any instant.
func (s *State) Standing(group id.Number) int { return s.members.standing(uint32(group)) }

// Stands reports whether the user is one of [State.Standing].
func (s *State) Stands(user, group id.Number) bool {
	_, found := find(s.members.up.get(uint32(user)), uint32(group))
	return found
}

// StandingUsers returns the users of [State.Standing], and StandingGroups the
// groups with an edge of their own into the group, whether or not it counts at
// any instant. They ascend.
func (s *State) StandingUsers(group id.Number) []id.Number { return s.members.all(uint32(group)) }

// StandingGroups is as [State.StandingUsers] says.
func (s *State) StandingGroups(group id.Number) []id.Number { return s.nesting.all(uint32(group)) }

// Count returns how many users [State.Members] yields. It takes constant time
// for a group without subgroups while no edge into it has dates and no user is
// suspended or expires.
func (s *State) Count(group id.Number, now int64, transitive bool) int {
	reached := s.reach(group, now, transitive)
	var (
		n    int
		has  func(user uint32) bool
		each func(yield func(user uint32) bool)
	)
	if g := reached[0]; len(reached) == 1 && !s.members.timed.has(g) {
		members := s.members.down.get(g)
		n, has, each = members.len(), members.has, members.numbers
	} else {
		sum := s.sum(reached, now)
		n, has = int(sum.GetCardinality()), sum.Contains
		each = func(yield func(uint32) bool) { sum.Iterate(yield) }
	}
	return n - s.inactive(n, has, each, now)
}

// sum returns the users of all the groups, active or not.
func (s *State) sum(groups []uint32, now int64) *roaring.Bitmap {
	sum := roaring.New()
	for _, g := range groups {
		if down := s.members.down.at(g); down != nil {
			down.addTo(sum)
		}
		if timed := s.members.timed.at(g); timed != nil {
			for u := range timed.numbers {
				if s.members.holds(u, g, now) {
					sum.Add(u)
				}
			}
		}
	}
	return sum
}

// inactive returns how many of n users are not active, by asking those users or
// those that may not be active, whichever are fewer.
func (s *State) inactive(n int, has func(uint32) bool, each func(func(uint32) bool), now int64) (out int) {
	if n <= s.suspended.len()+s.expiring {
		for u := range each {
			if !s.active(u, now) {
				out++
			}
		}
		return out
	}
	for u := range s.suspended.numbers {
		if has(u) {
			out++
		}
	}
	if s.expiring > 0 {
		for u, expires := range s.expires.all() {
			if *expires <= now && has(u) && !s.suspended.has(u) {
				out++
			}
		}
	}
	return out
}
