// Package index answers who is in what, in memory: whether a user is in a
// group, which groups a user is in, which users a group has, each directly or
// through groups inside groups, at a given instant.
//
// A [State] is one tenant at one revision. It never changes, so any number of
// goroutines may ask it anything without waiting for anybody, and all the
// answers of one State agree: Check(u, g) if and only if u is among Members(g)
// if and only if g is among Groups(u). An [Editor] makes the next State out of
// one, sharing what stays the same; a whole batch of changes becomes visible at
// once, when the new State is published in an [Index], which keeps the latest
// of each tenant within a budget of memory.
//
// # Who is in what
//
// A user is in a group directly if an edge says so and the instant lies within
// the edge's dates; it is in a group transitively if it is in one directly, or
// in one that stands, by edges that hold at that instant, in another that does,
// and so on. A user that is suspended or has expired is in nothing, and nobody
// sees it among members; its edges keep standing and count again when it is back.
//
// Instants are microseconds since the Unix epoch. An edge holds from <= now <
// until and a user is active while now < expires, where zero is no bound. Now is
// an argument of every question, and nothing that depends on it is remembered.
//
// # How it is kept
//
// Everything is kept by [id.Number], in persistent radix arrays that an edit
// copies one path of. Each user has the sorted list of its groups, which a check
// searches; each group has the set of its users, a sorted list while small and
// roaring bitmaps above, which lists and counts use. Groups in groups are kept
// the same way. What is below a group, or if that is much what is above the
// user's, is worked out when a check first needs it, and remembered until some
// group is linked or unlinked. Cycles are for the
// writer to refuse; here they end a walk like any group that was seen before.
package index

import (
	"slices"
	"sync/atomic"

	"roster/internal/id"
)

// A State is who is in what in one tenant at one revision. It is immutable, and
// safe for concurrent use without any waiting.
type State struct {
	revision uint64
	bytes    int64 // without the closures

	users     roll[id.User]
	groups    roll[id.Group]
	suspended set
	expires   vector[int64] // of the users that do
	expiring  int           // how many these are

	members relation // users in groups
	nesting relation // groups in groups
	version owner    // of nesting: who last changed it
	memory  *memory  // what is above groups, in nesting
	lower   *memory  // what is below them

	line *line
	shed int64 // bytes that States before it in the line hold, and it does not
}

// A line is of States each of which was made of the one before. What one of them
// alone holds beside a later one is at most what was shed in between. Safe for
// concurrent use.
type line struct{ last atomic.Int64 } // what had been shed at its end

// next returns the line that goes on from a place in this one, and how much has
// been shed at the next place: another line, if this one has gone on already.
func (l *line) next(from, to int64) (*line, int64) {
	if l.last.CompareAndSwap(from, to) {
		return l, to
	}
	return new(line), 0
}

// NewState returns a State at revision 0 that holds nothing.
func NewState() *State {
	return &State{memory: newMemory(), lower: newMemory(), line: new(line)}
}

// beside is about how many bytes s holds that later, a State of the same tenant
// or nil, does not hold too.
func (s *State) beside(later *State) int64 {
	bytes := s.Bytes()
	if later == nil || later.line != s.line || later.shed < s.shed {
		return bytes
	}
	return min(bytes, later.shed-s.shed)
}

// Revision is what the State was committed at.
func (s *State) Revision() uint64 { return s.revision }

// Bytes is about how much heap the State holds, counting in full what it shares
// with other States. It grows a little as checks remember what is above groups.
func (s *State) Bytes() int64 { return s.bytes + s.memory.bytes.Load() + s.lower.bytes.Load() }

// User returns the number of the user u, if the State holds u.
func (s *State) User(u id.User) (id.Number, bool) {
	n, ok := s.users.find(u)
	return id.Number(n), ok
}

// Group returns the number of the group g, if the State holds g.
func (s *State) Group(g id.Group) (id.Number, bool) {
	n, ok := s.groups.find(g)
	return id.Number(n), ok
}

// UserID returns the id of user n, if the State holds it.
func (s *State) UserID(n id.Number) (id.User, bool) {
	if u := s.users.ids.at(uint32(n)); u != nil {
		return *u, true
	}
	return id.User{}, false
}

// GroupID returns the id of group n, if the State holds it.
func (s *State) GroupID(n id.Number) (id.Group, bool) {
	if g := s.groups.ids.at(uint32(n)); g != nil {
		return *g, true
	}
	return id.Group{}, false
}

// HasUser reports whether the State holds user n, suspended and expired users
// included.
func (s *State) HasUser(n id.Number) bool { return s.users.ids.has(uint32(n)) }

// HasGroup reports whether the State holds group n.
func (s *State) HasGroup(n id.Number) bool { return s.groups.ids.has(uint32(n)) }

// Users counts the users that the State holds, suspended and expired ones too.
func (s *State) Users() int { return s.users.count }

// Active reports whether the State holds the user and it is neither suspended
// nor expired, which is what every other answer goes by.
func (s *State) Active(user id.Number, now int64) bool {
	return s.HasUser(user) && s.active(uint32(user), now)
}

// active is Active of a user that the State holds.
func (s *State) active(user uint32, now int64) bool {
	if s.suspended.has(user) {
		return false
	}
	expires := s.expires.at(user)
	return expires == nil || now < *expires
}

// CheckDirect reports whether the user is in the group by an edge of its own. It
// allocates nothing.
func (s *State) CheckDirect(user, group id.Number, now int64) bool {
	in := s.members.up.at(uint32(user))
	return in != nil &&
		s.members.stands(uint32(user), *in, uint32(group), now) &&
		s.active(uint32(user), now)
}

// Check reports whether the user is in the group, directly or through groups. It
// allocates nothing but what it remembers of the groups below this one, or above
// the user's, once after each change to the links between groups.
func (s *State) Check(user, group id.Number, now int64) bool {
	u, g := uint32(user), uint32(group)
	in := s.members.up.at(u)
	if in == nil || len(*in) == 0 || !s.active(u, now) {
		return false
	}
	if s.members.stands(u, *in, g, now) {
		return true
	}
	if s.nesting.standing(g) == 0 {
		return false
	}
	if c := s.under(g); c.count != walkIt {
		for _, x := range *in {
			if c.has(x&^dated) && (x < dated || s.members.holds(u, x&^dated, now)) {
				return true
			}
		}
		return false
	}
	var w *walk
	for _, x := range *in {
		if x >= dated {
			x &^= dated
			if !s.members.holds(u, x, now) {
				continue
			}
		}
		switch c := s.above(x); {
		case c.has(g):
			if w != nil {
				w.end()
			}
			return true
		case c.count == walkIt:
			if w == nil {
				w = startWalk()
			}
			w.add(x)
		}
	}
	if w == nil {
		return false
	}
	defer w.end()
	return w.up(s, now, g)
}

// Within reports whether the group child stands in group, directly or through
// other groups. No group is within itself.
func (s *State) Within(child, group id.Number, now int64) bool {
	if child == group || len(s.nesting.up.get(uint32(child))) == 0 {
		return false
	}
	c := s.above(uint32(child))
	if c.count != walkIt {
		return c.has(uint32(group))
	}
	w := startWalk()
	defer w.end()
	w.add(uint32(child))
	return w.up(s, now, uint32(group))
}

// Groups returns the groups that the user is in, ascending: by edges of its own,
// or through groups as well.
func (s *State) Groups(user id.Number, now int64, transitive bool) []id.Number {
	u := uint32(user)
	if !s.Active(user, now) {
		return nil
	}
	w := startWalk()
	defer w.end()
	for g := range s.members.groups(u, now) {
		w.add(g)
	}
	if transitive {
		w.up(s, now, 0)
	}
	return numbers(w.found)
}

// Parents returns the groups that the group stands in, ascending: by edges of
// its own, or through groups as well.
func (s *State) Parents(group id.Number, now int64, transitive bool) []id.Number {
	w := startWalk()
	defer w.end()
	w.add(uint32(group))
	if transitive {
		w.up(s, now, 0)
	} else {
		for g := range s.nesting.groups(uint32(group), now) {
			w.add(g)
		}
	}
	return numbers(w.found[1:])
}

// Subgroups returns the groups that stand in the group, ascending: by edges of
// their own, or through groups as well.
func (s *State) Subgroups(group id.Number, now int64, transitive bool) []id.Number {
	w := startWalk()
	defer w.end()
	w.add(uint32(group))
	if transitive {
		w.down(s, now)
	} else {
		for g := range s.nesting.members(uint32(group), now) {
			w.add(g)
		}
	}
	return numbers(w.found[1:])
}

// numbers returns what was found, ascending, as the caller's own.
func numbers(found []uint32) []id.Number {
	out := make([]id.Number, len(found))
	for i, n := range found {
		out[i] = id.Number(n)
	}
	slices.Sort(out)
	return out
}
