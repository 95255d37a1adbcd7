package directory

import (
	"slices"
	"strings"

	"roster/internal/id"
)

// refuseCycles marks the links among the items that would put a group inside
// itself. Links whose dates have passed count: dates can be changed back.
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
	paths := map[int][]id.Number{}
	var met []id.Number
	for n, i := range add {
		child, ok := i.edge.Member.Group()
		if !ok || i.problem != nil {
			continue
		}
		if path := climb(up, i.edge.Group, child); path != nil {
			paths[n] = path
			met = append(met, path...)
			continue
		}
		up[child] = append(up[child], i.edge.Group) // the items after it see it stand
	}
	if len(paths) == 0 {
		return nil
	}
	groups, err := t.Writer.Groups(met)
	if err != nil {
		return err
	}
	names := make(map[id.Number]string, len(groups))
	for _, g := range groups {
		names[g.Number] = g.Name
	}
	for n, path := range paths {
		text := []string{names[path[len(path)-1]]}
		for _, g := range path {
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

// climb returns a shortest way from one group up to another, both included; nil
// if there is none.
func climb(up map[id.Number][]id.Number, from, to id.Number) []id.Number {
	came := map[id.Number]id.Number{from: 0}
	for level := []id.Number{from}; len(level) > 0; {
		var next []id.Number
		for _, g := range level {
			if g == to {
				var path []id.Number
				for ; g != 0; g = came[g] {
					path = append(path, g)
				}
				slices.Reverse(path)
				return path
			}
			for _, parent := range up[g] {
				if _, seen := came[parent]; !seen {
					came[parent] = g
					next = append(next, parent)
				}
			}
		}
		level = next
	}
	return nil
}
