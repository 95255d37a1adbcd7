package changelog

import (
	"cmp"
	"slices"

	"roster/internal/directory"
	"roster/internal/id"
)

// Sorted returns the edges by group and member, the order of their rows.
func Sorted(edges []directory.Edge) []directory.Edge {
	if slices.IsSortedFunc(edges, byKey) {
		return edges
	}
	e := slices.Clone(edges)
	slices.SortFunc(e, byKey)
	return e
}

func byKey(a, b directory.Edge) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Member, b.Member))
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

// Updates returns one change for each group among the memberships and each way in
// which some of them stand there now, by group and then by the first who does.
func Updates(list []directory.Membership) []directory.Change {
	list = slices.SortedFunc(slices.Values(list), func(a, b directory.Membership) int { return byKey(a.Edge, b.Edge) })
	type way struct {
		group id.Number
		directory.Standing
	}
	var changes []directory.Change
	at := map[way]int{}
	for _, m := range list {
		w := way{m.Group, m.Standing}
		i, ok := at[w]
		if !ok {
			i = len(changes)
			at[w] = i
			changes = append(changes, directory.Change{Kind: directory.MembersUpdated, Number: m.Group, Standing: m.Standing})
		}
		changes[i].Members = append(changes[i].Members, m.Member)
	}
	return changes
}

// Links reports whether a change of memberships, as [ByGroup] and [Updates] make them,
// concerns groups in groups.
func Links(c directory.Change) bool {
	return len(c.Members) > 0 && c.Members[0] < 0 // they are sorted, and a group's is negative
}
