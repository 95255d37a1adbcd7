package directory

import (
	"time"

	"roster/internal/id"
)

// item is one edge to be made or ended, or what was wrong with it.
type item struct {
	edge    Edge
	problem *Error
}

// ruling runs a change of how anybody stands in these groups: every way to make
// one comes through here, so the rules of who may are kept here.
func (t *tx) ruling(groups []id.Number, change func() error) error {
	if err := t.mayRule(groups...); err != nil {
		return err
	}
	admin, err := t.conferAdmin(groups...)
	if err != nil {
		return err
	}
	return t.keepingAdmin(admin, change)
}

// change makes and ends memberships: every way to do so comes through here, so
// the rules are kept here. Results are by item index, additions first.
func (t *tx) change(add, remove []item, mode Mode, s Standing, keep bool) ([]Result, error) {
	if mode == EachAlone {
		return (&alone{tx: t, standing: s, keep: keep}).change(add, remove)
	}
	s.From, s.Until = exact(s.From), exact(s.Until)
	if !s.From.IsZero() || !s.Until.IsZero() {
		everyone, err := t.everyone()
		if err != nil {
			return nil, err
		}
		add = keepEveryone(add, everyone, len(add)) // nor taken out by a date
	}
	if err := t.refuseCycles(add); err != nil {
		return nil, err
	}
	if mode == Atomic {
		if err := refused(add, remove); err != nil {
			return nil, err
		}
	}
	wanted, unwanted := edgesIn(add), edgesIn(remove)
	var added, removed map[Edge]Outcome
	err := t.ruling(groupsAmong(wanted, unwanted), func() (err error) {
		if added, err = t.add(wanted, s, keep); err != nil {
			return err
		}
		removed, err = t.remove(unwanted)
		return err
	})
	if err != nil {
		return nil, err
	}
	results := make([]Result, 0, len(add)+len(remove))
	results = report(results, add, added, Already)
	return report(results, remove, removed, Absent), nil
}

// refused returns what the first bad item of an atomic batch says, naming every
// item that says the same; nil if there is none.
func refused(add, remove []item) error {
	var e *Error
	for n := range len(add) + len(remove) {
		var problem *Error
		if n < len(add) {
			problem = add[n].problem
		} else {
			problem = remove[n-len(add)].problem
		}
		switch {
		case problem == nil:
		case e == nil:
			first := *problem
			first.Items = []int{n}
			e = &first
		case e.Code == problem.Code:
			e.Items = append(e.Items, n)
		}
	}
	if e == nil {
		return nil
	}
	return e
}

// edgesIn returns the edges of the items that have one, each once.
func edgesIn(items []item) []Edge {
	edges := make([]Edge, 0, len(items))
	if len(items) == 1 && items[0].problem == nil {
		return append(edges, items[0].edge)
	}
	seen := make(map[Edge]bool, len(items))
	for _, i := range items {
		if i.problem == nil && !seen[i.edge] {
			seen[i.edge] = true
			edges = append(edges, i.edge)
		}
	}
	return edges
}

// edgesAmong returns the edges that memberships stand on, in order.
func edgesAmong(list []Membership) []Edge {
	edges := make([]Edge, len(list))
	for i, m := range list {
		edges[i] = m.Edge
	}
	return edges
}

func groupsAmong(lists ...[]Edge) []id.Number {
	var groups []id.Number
	seen := map[id.Number]bool{}
	for _, edges := range lists {
		for _, e := range edges {
			if !seen[e.Group] {
				seen[e.Group] = true
				groups = append(groups, e.Group)
			}
		}
	}
	return groups
}

// report gives each item the outcome of its edge; the second item of an edge
// finds it done.
func report(results []Result, items []item, outcomes map[Edge]Outcome, done Outcome) []Result {
	for _, i := range items {
		r := Result{Edge: i.edge, Outcome: done, Problem: i.problem}
		if i.problem != nil {
			r.Outcome = Bad
		} else if o, ok := outcomes[i.edge]; ok {
			r.Outcome = o
			delete(outcomes, i.edge)
		}
		results = append(results, r)
	}
	return results
}

// add makes members stand on the edges and says what became of each.
func (t *tx) add(edges []Edge, s Standing, keep bool) (map[Edge]Outcome, error) {
	present, err := t.InsertEdges(edges, s)
	if err != nil {
		return nil, err
	}
	outcomes := make(map[Edge]Outcome, len(edges))
	for _, e := range edges {
		outcomes[e] = Added
	}
	var ended []Edge
	var updates []Membership
	now := t.At()
	for _, m := range present {
		switch {
		case m.Standing == s:
			outcomes[m.Edge] = Already
		case !m.Until.IsZero() && !now.Before(m.Until):
			ended = append(ended, m.Edge) // by the clock, so this is a new membership
		case keep && !m.From.IsZero() && now.Before(m.From):
			outcomes[m.Edge] = Updated
			m.From = time.Time{} // begin now instead of later
			updates = append(updates, m)
		case keep:
			outcomes[m.Edge] = Already
		default:
			outcomes[m.Edge] = Updated
			m.Standing = s
			updates = append(updates, m)
		}
	}
	if err := t.DeleteEdges(ended); err != nil {
		return nil, err
	}
	if _, err := t.InsertEdges(ended, s); err != nil {
		return nil, err
	}
	return outcomes, t.UpdateEdges(updates)
}

// remove ends the memberships on the edges and says what became of each.
func (t *tx) remove(edges []Edge) (map[Edge]Outcome, error) {
	standing, err := t.Writer.Standing(edges)
	if err != nil {
		return nil, err
	}
	outcomes := make(map[Edge]Outcome, len(standing))
	deletes := make([]Edge, 0, len(standing))
	now := t.At()
	for _, m := range standing {
		deletes = append(deletes, m.Edge)
		if m.Until.IsZero() || now.Before(m.Until) {
			outcomes[m.Edge] = Removed // otherwise it had ended by the clock
		}
	}
	return outcomes, t.DeleteEdges(deletes)
}
