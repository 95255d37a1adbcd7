package changelog

import (
	"cmp"
	"slices"

	"roster/internal/directory"
	"roster/internal/id"
)

// Sorted returns the edges by group and member, the order of their rows.
func Sorted(edges []directory.Edge) []directory.Edge {
	byKey := func(a, b directory.Edge) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Member, b.Member))
	}
	if slices.IsSortedFunc(edges, byKey) {
		return edges
	}
	e := slices.Clone(edges)
	slices.SortFunc(e, byKey)
	return e
}

// ByGroup returns one change for each group among the edges.
func ByGroup(kind directory.ChangeKind, edges []directory.Edge, s directory.Standing) []directory.Change {
	var changes []directory.Change
	for edges = Sorted(edges); len(edges) > 0; {
		c := directory.Change{Kind: kind, Number: edges[0].Group, Standing: s}
		n := 0
		for n < len(edges) && edges[n].Group == c.Number {
			n++
		}
		c.Members = make([]id.Member, n)
		for i, e := range edges[:n] {
			c.Members[i] = e.Member
		}
		changes = append(changes, c)
		edges = edges[n:]
	}
	return changes
}

// Links reports whether a change of memberships, as [ByGroup] makes them,
// concerns groups in groups.
func Links(c directory.Change) bool {
	return len(c.Members) > 0 && c.Members[0] < 0 // they are sorted, and a group's is negative
}
