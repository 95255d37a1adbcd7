package directory

import (
	"fmt"
	"maps"
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
// itself. Links whose dates have passed count: dates can be changed back. Paths
// are told to who may read them.
func (t *tx) refuseCycles(add []item) error {
	var parents []id.Number
	for _, i := range add {
		if _, ok := i.edge.Member.Group(); ok && i.problem == nil {
			parents = append(parents, i.edge.Group)
		}
	}
	if len(parents) == 0 {
		return nil
	}
	up, err := t.linksAbove(parents)
	if err != nil {
		return err
	}
	holds := map[id.Number]bool{} // what holds no group is above none
	for _, above := range up {
		for _, g := range above {
			holds[g] = true
		}
	}
	cycles := map[int]cycle{}
	var last ascent
	named := 0
	for n, i := range add {
		child, ok := i.edge.Member.Group()
		parent := i.edge.Group
		switch {
		case !ok || i.problem != nil:
			continue
		case child == parent || holds[child]:
			if last.from != parent {
				last = ascend(up, parent)
			}
			if path := last.path(child); path != nil {
				c := cycle{path: path}
				if named += len(path); len(path) > maxPath || named > maxPaths {
					c = c.ends()
				}
				cycles[n] = c
				continue
			}
		}
		up[child] = append(up[child], parent) // the items after it see it stand
		holds[parent] = true
		if last.from == child {
			last = ascent{}
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
	left int // out, after the first maxPathsEnds
}

func (c cycle) ends() cycle {
	if c.left = len(c.path) - 2*maxPathsEnds; c.left <= 0 {
		return cycle{path: c.path}
	}
	c.path = slices.Concat(c.path[:maxPathsEnds], c.path[maxPathsEnds+c.left:])
	return c
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
			if c.left > 0 && i == maxPathsEnds {
				text = append(text, fmt.Sprintf("… %d more …", c.left))
			}
			text = append(text, names[g])
		}
		add[n].problem = conflict("group.cycle", "members", "That would put a group inside itself: %s.", strings.Join(text, " in "))
	}
	return nil
}

// linksAbove returns, for the groups and all that are above them, the groups
// that each stands in: one statement, however deep they are.
func (t *tx) linksAbove(groups []id.Number) (map[id.Number][]id.Number, error) {
	members := make([]id.Member, len(groups))
	for i, g := range groups {
		members[i] = id.GroupMember(g)
	}
	links, err := t.Writer.Climb(members)
	up := map[id.Number][]id.Number{}
	for _, l := range links {
		child, _ := l.Member.Group()
		up[child] = append(up[child], l.Group)
	}
	return up, err
}

// ascent is how all that is above a group was come to.
type ascent struct {
	from id.Number
	came map[id.Number]id.Number
}

// ascend follows the links from a group up, nearest first.
func ascend(up map[id.Number][]id.Number, from id.Number) ascent {
	a := ascent{from: from, came: map[id.Number]id.Number{from: 0}}
	for level := []id.Number{from}; len(level) > 0; {
		var next []id.Number
		for _, g := range level {
			for _, parent := range up[g] {
				if _, seen := a.came[parent]; !seen {
					a.came[parent] = g
					next = append(next, parent)
				}
			}
		}
		level = next
	}
	return a
}

// path returns a shortest way up to a group, both ends included; nil if there is
// none.
func (a ascent) path(to id.Number) []id.Number {
	if _, above := a.came[to]; !above {
		return nil
	}
	var path []id.Number
	for g := to; g != 0; g = a.came[g] {
		path = append(path, g)
	}
	slices.Reverse(path)
	return path
}
