package index

import (
	"slices"
	"unsafe"

	"roster/internal/id"
)

// An Edge is one membership: a user or group that stands in a group, from <=
// now < until in microseconds since the Unix epoch, where zero is no bound.
type Edge struct {
	Group       id.Number
	Member      id.Member
	From, Until int64
}

// An Editor makes one State out of another, which stays as it is. Changes take
// effect in the order of the calls. Everything that an edge joins must have been
// put before it; dropping a user or group drops its edges.
//
// An Editor is for one goroutine. Several may be open on the same State, and
// know nothing of each other. One that is not committed leaves no trace.
type Editor struct {
	owner  owner
	base   *State
	next   State
	linked bool // the group graph has changed
	fresh  bool // next.suspended is the editor's own
}

// Edit returns an Editor that starts with what the State holds.
func (s *State) Edit() *Editor {
	return &Editor{owner: newOwner(), base: s, next: *s}
}

// PutUser holds a user, or changes what is known of it and leaves its edges.
// The user counts while it is not suspended and now < expires, in microseconds
// since the Unix epoch; 0 is never.
func (e *Editor) PutUser(n id.Number, u id.User, suspended bool, expires int64) {
	s, user := &e.next, uint32(n)
	s.users.put(e.owner, user, u)
	if !s.members.up.has(user) {
		s.members.up.put(e.owner, user, nil)
	}
	e.suspend(user, suspended)
	e.expire(user, expires)
}

func (e *Editor) suspend(user uint32, suspended bool) {
	s := &e.next.suspended
	if s.has(user) == suspended {
		return
	}
	if suspended {
		s.add(e.owner, e.fresh, user)
	} else {
		s.remove(e.owner, e.fresh, user)
	}
	e.fresh = true
}

func (e *Editor) expire(user uint32, expires int64) {
	s := &e.next
	if s.expires.get(user) == expires {
		return
	}
	if s.expires.has(user) {
		s.expires.drop(e.owner, user)
		s.expiring--
	}
	if expires != 0 {
		s.expires.put(e.owner, user, expires)
		s.expiring++
	}
}

// DropUser drops a user and every edge it stands in. It costs no more than
// these edges do.
func (e *Editor) DropUser(n id.Number) {
	s, user := &e.next, uint32(n)
	e.suspend(user, false)
	e.expire(user, 0)
	s.members.drop(e.owner, user)
	s.users.drop(e.owner, user)
}

// PutGroup holds a group; if it is held already its edges stay.
func (e *Editor) PutGroup(n id.Number, g id.Group) {
	s, group := &e.next, uint32(n)
	s.groups.put(e.owner, group, g)
	if !s.nesting.up.has(group) {
		s.nesting.up.put(e.owner, group, nil)
	}
}

// DropGroup drops a group and every edge into it and out of it. It costs no more
// than these edges do.
func (e *Editor) DropGroup(n id.Number) {
	s, group := &e.next, uint32(n)
	s.members.empty(e.owner, group)
	if s.nesting.standing(group)+len(s.nesting.up.get(group)) > 0 {
		e.linked = true
	}
	s.nesting.empty(e.owner, group)
	s.nesting.drop(e.owner, group)
	s.groups.drop(e.owner, group)
}

// Put makes an edge stand, with its dates instead of any it had. It returns
// false, and does nothing, if either end is not held, or if both are the same
// group.
func (e *Editor) Put(edge Edge) bool {
	s := &e.next
	p := period{group: uint32(edge.Group), from: edge.From, until: edge.Until}
	if !s.HasGroup(edge.Group) {
		return false
	}
	if user, ok := edge.Member.User(); ok {
		if !s.HasUser(user) {
			return false
		}
		s.members.put(e.owner, uint32(user), p)
		return true
	}
	child, ok := edge.Member.Group()
	if !ok || child == edge.Group || !s.HasGroup(child) {
		return false
	}
	s.nesting.put(e.owner, uint32(child), p)
	e.linked = true
	return true
}

// Remove makes an edge stand no more, if it did.
func (e *Editor) Remove(group id.Number, m id.Member) {
	s := &e.next
	if user, ok := m.User(); ok {
		s.members.remove(e.owner, uint32(user), uint32(group))
		return
	}
	child, ok := m.Group()
	if !ok {
		return
	}
	if _, found := find(s.nesting.up.get(uint32(child)), uint32(group)); found {
		s.nesting.remove(e.owner, uint32(child), uint32(group))
		e.linked = true
	}
}

// PutMembers is [Editor.Put] of an edge without dates for each of the users,
// faster. It returns false if an end of any was not held; the others stand.
func (e *Editor) PutMembers(group id.Number, users []id.Number) bool {
	s := &e.next
	if !s.HasGroup(group) {
		return len(users) == 0
	}
	held := ascending(users)
	all := len(held)
	held = slices.DeleteFunc(held, func(u uint32) bool { return !s.users.ids.has(u) })
	s.members.putAll(e.owner, uint32(group), held)
	return len(held) == all
}

// RemoveMembers is [Editor.Remove] for each of the users.
func (e *Editor) RemoveMembers(group id.Number, users []id.Number) {
	for _, u := range ascending(users) {
		e.next.members.remove(e.owner, u, uint32(group))
	}
}

// ascending returns the numbers sorted, each once.
func ascending(numbers []id.Number) []uint32 {
	out := make([]uint32, len(numbers))
	for i, n := range numbers {
		out[i] = uint32(n)
	}
	if !slices.IsSorted(out) {
		slices.Sort(out)
	}
	return slices.Compact(out)
}

// Commit ends the Editor, which must not be used again, and returns what it has
// made as a State of the given revision.
func (e *Editor) Commit(revision uint64) *State {
	s, base, o := e.next, e.base, e.owner
	s.revision = revision
	s.suspended.trim()
	g := growth{shed: int64(unsafe.Sizeof(s))}
	g.add(s.users.seal(o, &base.users))
	g.add(s.groups.seal(o, &base.groups))
	g.add(s.members.seal(o, &base.members))
	g.add(s.nesting.seal(o, &base.nesting))
	g.add(s.expires.seal(o, &base.expires, plain[int64]()))
	if e.fresh {
		g.replace(base.suspended.weight(), s.suspended.weight())
		g.shed -= base.suspended.shared(&s.suspended)
	}
	s.bytes += g.gain
	s.line, s.shed = base.line.next(base.shed, base.shed+g.shed)
	if e.linked {
		s.memory.sweep()
		s.lower.sweep()
		s.version = o
	}
	*e = Editor{}
	return &s
}
