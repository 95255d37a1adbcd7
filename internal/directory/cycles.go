package directory

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"

	"roster/internal/id"
)

// Bounds on how many groups the paths name that errors tell of: one path, and
// all of a batch. Of a longer one the ends are named.
const (
	maxPath      = 1024
	maxPaths     = 10 * maxPath
	maxPathsEnds = 3 // at either end
)

// refuseCycles marks the links among the items that would put a group inside
// itself, one after the other: a link counts for those after it unless it is
// refused. Links whose dates have passed count: dates can be changed back. Paths
// are told to who may read them.
func (t *tx) refuseCycles(add []item) error {
	var parents []id.Number
	var at []int // of the items that are links
	for n, i := range add {
		if _, ok := i.edge.Member.Group(); ok && i.problem == nil {
			parents, at = append(parents, i.edge.Group), append(at, n)
		}
	}
	if len(parents) == 0 {
		return nil
	}
	standing, err := t.linksAbove(parents)
	if err != nil {
		return err
	}
	g := &nest{nodes: map[id.Number]int32{}}
	stand := make([]link, len(standing))
	for i, l := range standing {
		child, _ := l.Member.Group()
		stand[i] = link{g.node(child), g.node(l.Group)}
	}
	ask := make([]link, len(at))
	for i, n := range at {
		child, _ := add[n].edge.Member.Group()
		ask[i] = link{g.node(child), g.node(add[n].edge.Group)}
	}
	// Of a graph without cycles no link is refused, and of any other no link that
	// is not among those that a cycle goes through.
	knot := g.knot(slices.Concat(stand, ask))
	g.up, g.down = make([][]int32, len(g.numbers)), make([][]int32, len(g.numbers))
	for _, l := range stand {
		if knot[l.child] && knot[l.parent] {
			g.add(l)
		}
	}
	var suspects []link
	var of []int // their items
	for i, l := range ask {
		if knot[l.child] && knot[l.parent] {
			suspects, of = append(suspects, l), append(of, at[i])
		}
	}
	g.budget = workPerPath * (len(g.numbers) + len(stand) + len(ask))
	cycles := map[int]cycle{}
	for n := 0; n < len(suspects); n += 64 {
		for i, c := range g.admit(suspects[n:min(n+64, len(suspects))]) {
			cycles[of[n+i]] = c
		}
	}
	if len(cycles) == 0 {
		return nil
	}
	return t.tellCycles(add, cycles)
}

// cycle is a way from a group up to one that was to stand in it, both included;
// without those in between that are left out.
type cycle struct {
	path []id.Number
	cut  int // some are left out after so many
	left int // how many are; 0 for that is not known
}

// tellCycles says of each item that closes one which it is.
func (t *tx) tellCycles(add []item, cycles map[int]cycle) error {
	names := map[id.Number]string{}
	have, err := t.effective()
	if err != nil {
		return err
	}
	if have.Has(ReadMembers) && t.p.Within == nil {
		met := map[id.Number]bool{}
		for _, c := range cycles {
			for _, g := range c.path {
				met[g] = true
			}
		}
		groups, err := t.Writer.Groups(slices.Collect(maps.Keys(met)))
		if err != nil {
			return err
		}
		for _, g := range groups {
			names[g.Number] = g.Name
		}
	}
	for n, c := range cycles {
		if len(names) == 0 {
			add[n].problem = conflict("group.cycle", "members", "That would put a group inside itself.")
			continue
		}
		text := []string{names[c.path[len(c.path)-1]]}
		for i, g := range c.path {
			switch {
			case c.cut == 0 || i != c.cut:
			case c.left > 0:
				text = append(text, fmt.Sprintf("… %d more …", c.left))
			default:
				text = append(text, "…")
			}
			text = append(text, names[g])
		}
		add[n].problem = conflict("group.cycle", "members", "That would put a group inside itself: %s.", strings.Join(text, " in "))
	}
	return nil
}

// linksAbove returns the links of the groups and of all that are above them: one
// statement, however deep they are.
func (t *tx) linksAbove(groups []id.Number) ([]Link, error) {
	members := make([]id.Member, len(groups))
	for i, g := range groups {
		members[i] = id.GroupMember(g)
	}
	return t.Writer.Climb(members)
}

// workPerPath is how often the graph may be walked to find shortest paths, of all
// the links of a batch together. Those that are left after that are told of by a
// path that is not the shortest, of which no more than the ends are looked at.
var workPerPath = 64 // a variable for tests

// nest is a graph of groups in groups without cycles, in small numbers.
type nest struct {
	nodes    map[id.Number]int32
	numbers  []id.Number
	up, down [][]int32

	budget  int // for ascents
	ascents map[int32]*ascent
	named   int // groups in all paths so far
}

// link is of one group in another.
type link struct{ child, parent int32 }

func (g *nest) node(group id.Number) int32 {
	n, ok := g.nodes[group]
	if !ok {
		n = int32(len(g.numbers))
		g.nodes[group], g.numbers = n, append(g.numbers, group)
	}
	return n
}

func (g *nest) add(l link) {
	g.up[l.child], g.down[l.parent] = append(g.up[l.child], l.parent), append(g.down[l.parent], l.child)
}

// knot returns which groups are on a cycle of these links, or between two cycles.
func (g *nest) knot(links []link) []bool {
	knot := make([]bool, len(g.numbers))
	for i := range knot {
		knot[i] = true
	}
	for range 2 { // without those that nothing leads to, then those that lead nowhere
		waits := make([]int, len(knot))
		next := make([][]int32, len(knot))
		for _, l := range links {
			if knot[l.child] && knot[l.parent] {
				waits[l.parent]++
				next[l.child] = append(next[l.child], l.parent)
			}
		}
		for _, n := range sorted(waits, next) {
			knot[n] = false
		}
		links = slices.Clone(links)
		for i, l := range links {
			links[i] = link{l.parent, l.child}
		}
	}
	return knot
}

// sorted returns the nodes, each after all that lead to it, without those on
// cycles and those behind them. waits is how many lead to each, and is used up.
func sorted(waits []int, next [][]int32) []int32 {
	order := make([]int32, 0, len(waits))
	for n, w := range waits {
		if w == 0 {
			order = append(order, int32(n))
		}
	}
	for i := 0; i < len(order); i++ {
		for _, n := range next[order[i]] {
			if waits[n]--; waits[n] == 0 {
				order = append(order, n)
			}
		}
	}
	return order
}

// reached returns which of some groups, 64 at most, each group is above: a bit for
// each. It is one walk over the graph.
func (g *nest) reached(from func(i int) int32, n int) []uint64 {
	waits := make([]int, len(g.numbers))
	for i, children := range g.down {
		waits[i] = len(children)
	}
	reached := make([]uint64, len(g.numbers))
	for i := range n {
		reached[from(i)] |= 1 << i
	}
	for _, child := range sorted(waits, g.up) {
		for _, parent := range g.up[child] {
			reached[parent] |= reached[child]
		}
	}
	return reached
}

// admit adds those of the links, 64 at most, that close no cycle, one after the
// other, and returns the cycles that the others would close.
func (g *nest) admit(links []link) map[int]cycle {
	reached := g.reached(func(i int) int32 { return links[i].parent }, len(links))
	above := make([]uint64, len(links)) // of which of the links the parent is below the child of this one
	for i, l := range links {
		above[i] = reached[l.child]
	}
	cycles := map[int]cycle{}
	var late []int // without a path yet
	for i, l := range links {
		if above[i]>>i&1 == 0 {
			g.add(l)
			for j := i + 1; j < len(links); j++ {
				if above[j]>>i&1 != 0 {
					above[j] |= above[i]
				}
			}
			continue
		}
		if a := g.ascent(l); a != nil {
			cycles[i] = g.cycle(a, l.child)
		} else {
			late = append(late, i)
		}
	}
	for i, c := range g.ends(links, late) {
		cycles[late[i]] = c
	}
	return cycles
}

// ascent is how all that is above a group was come to, nearest first.
type ascent struct{ came, depth, head []int32 }

// ascent follows the links from a link's parent up until it comes to the child;
// nil if that was done too often.
func (g *nest) ascent(l link) *ascent {
	if a := g.ascents[l.parent]; a != nil && a.depth[l.child] >= 0 {
		return a
	}
	if g.budget <= 0 {
		return nil
	}
	const kept = 4 << 20 // nodes in all
	if g.ascents == nil || len(g.ascents)*len(g.numbers) > kept {
		g.ascents = map[int32]*ascent{}
	}
	n := len(g.numbers)
	a := &ascent{came: make([]int32, n), depth: make([]int32, n), head: make([]int32, n)}
	for i := range a.depth {
		a.depth[i] = -1
	}
	g.budget -= n
	a.depth[l.parent], a.head[l.parent] = 0, l.parent
	for queue := []int32{l.parent}; len(queue) > 0; queue = queue[1:] {
		child := queue[0]
		g.budget -= 1 + len(g.up[child])
		for _, parent := range g.up[child] {
			if a.depth[parent] >= 0 {
				continue
			}
			a.came[parent], a.depth[parent], a.head[parent] = child, a.depth[child]+1, parent
			if a.depth[parent] >= maxPathsEnds {
				a.head[parent] = a.head[child]
			}
			queue = append(queue, parent)
		}
	}
	g.ascents[l.parent] = a
	return a
}

// cycle is the way up to a group, or the ends of it if it is long or much has been
// named already.
func (g *nest) cycle(a *ascent, to int32) cycle {
	n := int(a.depth[to]) + 1
	if g.named += n; n <= 2*maxPathsEnds || n <= maxPath && g.named <= maxPaths {
		return cycle{path: g.way(a, to, n)}
	}
	path := append(g.way(a, a.head[to], maxPathsEnds), g.way(a, to, maxPathsEnds)...)
	return cycle{path: path, cut: maxPathsEnds, left: n - len(path)}
}

// way is the last n groups on the way up to one.
func (g *nest) way(a *ascent, to int32, n int) []id.Number {
	way := make([]id.Number, n)
	for i := n - 1; i >= 0; i-- {
		way[i], to = g.numbers[to], a.came[to]
	}
	return way
}

// ends finds, for some of the links, the parent and the last groups on a way from
// there up to the child, by one walk over the graph.
func (g *nest) ends(links []link, which []int) []cycle {
	if len(which) == 0 {
		return nil
	}
	reached := g.reached(func(i int) int32 { return links[which[i]].parent }, len(which))
	ends := make([]cycle, len(which)) // downward at first
	at := map[int32]uint64{}          // how far down each has come
	for i, w := range which {
		child := links[w].child
		ends[i].path = []id.Number{g.numbers[child]}
		if child != links[w].parent {
			at[child] |= 1 << i
		}
	}
	for range maxPathsEnds - 1 {
		below := map[int32]uint64{}
		for n, left := range at {
			for _, child := range g.down[n] {
				here := left & reached[child]
				left &^= here
				for rest := here; rest != 0; rest &= rest - 1 {
					i := bits.TrailingZeros64(rest)
					ends[i].path = append(ends[i].path, g.numbers[child])
					if child == links[which[i]].parent {
						here &^= 1 << i
					}
				}
				if here != 0 {
					below[child] |= here
				}
			}
		}
		at = below
	}
	for _, left := range at { // those that have not come to the parent
		for ; left != 0; left &= left - 1 {
			i := bits.TrailingZeros64(left)
			ends[i].path, ends[i].cut = append(ends[i].path, g.numbers[links[which[i]].parent]), 1
		}
	}
	for _, c := range ends {
		slices.Reverse(c.path)
	}
	return ends
}
