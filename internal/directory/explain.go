package directory

import (
	"cmp"
	"context"
	"math"
	"slices"

	"roster/internal/id"
)

// Explain asks why a user is in a group, or why not.
type Explain struct {
	Page  // by how many ways come before; a page holds [MaxWays] at most
	User  Ref
	Group Ref
}

// Bounds on one page of an explanation: how many ways, and how many steps in all
// of them unless one alone has more.
const (
	DefaultWays = 20
	MaxWays     = 100
	maxSteps    = 5000
)

// Why says why a user is not in a group.
type Why string

// The reasons. Of several the first holds.
const (
	NoSuchUser  Why = "user.unknown"
	NoSuchGroup Why = "group.unknown"
	NoWay       Why = "none"           // no membership leads there, whatever the dates
	ByDates     Why = "dates"          // those that lead there do not all hold
	IsSuspended Why = "user.suspended" // the ways hold, for a user who is in nothing
	HasExpired  Why = "user.expired"
)

// Step is one membership on a way up: of the user, or of the group of the step
// before, in Group.
type Step struct {
	Membership
	In    Group
	Holds bool
}

// Explanation is why a user is in a group: by every way up there is, shortest
// numbers first. If the user is not, Why says why, and the ways are those that
// would lead there if it were not for that.
type Explanation struct {
	User   *User  // nil if there is none
	Group  *Group // nil if there is none
	Member bool
	Why    Why   // "" if Member
	Count  int64 // of all ways; [math.MaxInt64] is that many or more
	Ways   [][]Step
	Next   int64 // the After of the next page; 0 at the end
	At     When
	Of     Edge
}

// Explain answers why a user is in a group, as of a moment. However many ways
// there are, a page costs what the groups above the user and its own steps cost.
// It needs [ReadMembers].
//
// It heeds [Within]: it tells the ways on which every group is within the bound,
// and counts these alone, so a user may be a member by no way that is told. That
// one who is not would be by others is not told either.
func (d *Directory) Explain(ctx context.Context, p Principal, in Explain) (Answer[Explanation], error) {
	return view(ctx, d, p.heeding(), ReadMembers, func(l *look) (Explanation, error) {
		t, err := l.then(in.At)
		if err != nil {
			return Explanation{}, err
		}
		out := Explanation{At: t.When}
		g, err := l.groupsIn(t.Past, []Ref{in.Group})
		if err != nil {
			return out, err
		}
		if g[0] == Ambiguous {
			return out, ErrAmbiguous
		}
		u, err := l.usersIn(t.Past, []Ref{in.User})
		if err != nil {
			return out, err
		}
		users, err := t.Users(known(u))
		if err != nil {
			return out, err
		}
		groups, err := t.Groups(known(g))
		if err != nil {
			return out, err
		}
		if len(groups) > 0 {
			out.Group = &groups[0]
		}
		if len(users) > 0 {
			out.User = &users[0]
		}
		switch {
		case out.User == nil:
			out.Why = NoSuchUser
			return out, nil
		case out.Group == nil:
			out.Why = NoSuchGroup
			return out, nil
		}
		out.Of = Edge{Group: out.Group.Number, Member: id.UserMember(out.User.Number)}
		if err := in.keeps(out.Of); err != nil {
			return out, err
		}
		return out, t.explain(&out, in)
	})
}

// known leaves out what was not found.
func known(numbers []id.Number) []id.Number {
	return slices.DeleteFunc(slices.Clone(numbers), func(n id.Number) bool { return n == 0 || n == Ambiguous })
}

func (t then) explain(out *Explanation, in Explain) error {
	links, err := t.Climb([]id.Member{id.UserMember(out.User.Number)})
	if err != nil {
		return err
	}
	holding := make([]Link, 0, len(links))
	for _, l := range links {
		if l.HoldsAt(t.Time) {
			holding = append(holding, l)
		}
	}
	w := newWays(holding, out.User.Number, out.Group.Number)
	leads := w.total() > 0
	if t.l.p.Within != nil {
		links = t.l.p.seen(links)
		w = newWays(t.l.p.seen(holding), out.User.Number, out.Group.Number)
	}
	switch {
	case leads && out.User.Suspended:
		out.Why = IsSuspended
	case leads && !out.User.ActiveAt(t.Time):
		out.Why = HasExpired
	case leads:
		out.Member = true
	default:
		w = newWays(links, out.User.Number, out.Group.Number)
		if out.Why = ByDates; w.total() == 0 {
			out.Why = NoWay
		}
	}
	out.Count = w.total()
	limit := in.Limit
	if limit <= 0 {
		limit = DefaultWays
	}
	var ways [][]Edge
	steps := 0
	at := max(in.After, 0)
	for ; at < out.Count && len(ways) < min(limit, MaxWays); at++ {
		way := w.way(at)
		if len(ways) > 0 && steps+len(way) > maxSteps {
			break
		}
		steps += len(way)
		ways = append(ways, way)
	}
	if at < out.Count {
		out.Next = at
	}
	out.Ways, err = t.steps(ways)
	return err
}

// steps tells of every edge how it stands, since when and by whose doing.
func (t then) steps(ways [][]Edge) ([][]Step, error) {
	var edges []Edge
	var groups []id.Number
	seen := map[Edge]bool{}
	for _, way := range ways {
		for _, e := range way {
			if !seen[e] {
				seen[e] = true
				edges, groups = append(edges, e), append(groups, e.Group)
			}
		}
	}
	standing, err := t.l.authored(t.Standing(edges))
	if err != nil {
		return nil, err
	}
	named, err := t.Groups(groups)
	if err != nil {
		return nil, err
	}
	byEdge := make(map[Edge]Membership, len(standing))
	for _, m := range standing {
		byEdge[m.Edge] = m
	}
	byNumber := make(map[id.Number]Group, len(named))
	for _, g := range named {
		byNumber[g.Number] = g
	}
	out := make([][]Step, len(ways))
	for i, way := range ways {
		for _, e := range way {
			m := byEdge[e]
			out[i] = append(out[i], Step{Membership: m, In: byNumber[e.Group], Holds: m.HoldsAt(t.Time)})
		}
	}
	return out, nil
}

// authored fills in who added memberships.
func (l *look) authored(list []Membership, err error) ([]Membership, error) {
	if err != nil || len(list) == 0 {
		return list, err
	}
	revisions := make([]Revision, len(list))
	for i, m := range list {
		revisions[i] = m.Added
	}
	by, err := l.authors(revisions)
	for i := range list {
		a := by[list[i].Added]
		list[i].AddedAt, list[i].AddedBy, list[i].AddedDialect = a.At, a.Actor, a.Dialect
	}
	return list, err
}

// authors says who made commits, by revision.
func (l *look) authors(revisions []Revision) (map[Revision]Authored, error) {
	slices.Sort(revisions)
	list, err := l.Authors(slices.Compact(revisions))
	by := make(map[Revision]Authored, len(list))
	for _, a := range list {
		by[a.Revision] = l.p.told(a)
	}
	return by, err
}

// ways are all the ways up from a user to a group, in the order of the numbers
// of the groups on them. They are counted, not listed: there may be more than
// anything could hold, and any one is found by how many come before it.
type ways struct {
	up     map[id.Member][]id.Number // ascending; only to groups from where the target is reached
	counts map[id.Member]int64
	from   id.Member
	to     id.Number
}

func newWays(links []Link, user, group id.Number) *ways {
	w := &ways{up: map[id.Member][]id.Number{}, counts: map[id.Member]int64{}, from: id.UserMember(user), to: group}
	down := map[id.Number][]id.Member{}
	for _, l := range links {
		down[l.Group] = append(down[l.Group], l.Member)
	}
	leads := map[id.Number]bool{group: true}
	for next := []id.Number{group}; len(next) > 0; next = next[1:] {
		for _, m := range down[next[0]] {
			w.up[m] = append(w.up[m], next[0])
			if g, ok := m.Group(); ok && !leads[g] {
				leads[g] = true
				next = append(next, g)
			}
		}
	}
	for _, groups := range w.up {
		slices.SortFunc(groups, cmp.Compare[id.Number])
	}
	w.count(w.from)
	return w
}

func (w *ways) total() int64 { return w.counts[w.from] }

// count counts the ways from m, without recursion: a way may be very long. A
// link that led back would be counted as none.
func (w *ways) count(from id.Member) {
	const begun = -1
	for stack := []id.Member{from}; len(stack) > 0; {
		m := stack[len(stack)-1]
		if n, seen := w.counts[m]; seen && n != begun {
			stack = stack[:len(stack)-1]
			continue
		}
		w.counts[m] = begun
		var sum int64
		ready := true
		for _, g := range w.up[m] {
			n, seen := w.counts[id.GroupMember(g)]
			switch {
			case g == w.to:
				n = 1
			case !seen:
				stack = append(stack, id.GroupMember(g))
				ready = false
			case n == begun:
				n = 0
			}
			if sum += n; sum < 0 {
				sum = math.MaxInt64
			}
		}
		if ready {
			w.counts[m] = sum
			stack = stack[:len(stack)-1]
		}
	}
}

// way returns the way that n others come before.
func (w *ways) way(n int64) []Edge {
	var way []Edge
	for m := w.from; ; {
		var next id.Number
		for _, g := range w.up[m] {
			through := w.counts[id.GroupMember(g)]
			if g == w.to {
				through = 1
			}
			if n < through {
				next = g
				break
			}
			n -= through
		}
		way = append(way, Edge{Group: next, Member: m})
		if next == w.to || next == 0 {
			return way
		}
		m = id.GroupMember(next)
	}
}
