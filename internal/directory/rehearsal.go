package directory

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"roster/internal/id"
)

// Effects are what a batch would come to, through nesting and dates: who would
// get into which groups, and who would drop out of which, first now and then at
// each date that decides about it. A change lasts until the opposite one, or for
// good. Complete is false if there would be more than could be looked at.
type Effects struct {
	Changes  []Effect
	Complete bool
}

// Effect is one user getting into, or dropping out of, one group at a moment.
type Effect struct {
	Edge
	At     time.Time
	Gained bool
}

// Bounds on what a dry run looks at, so that it holds up nobody for long.
const (
	maxMoments    = 16
	maxPlacements = 200_000
)

// rehearse carries out a batch, sees what it comes to, and undoes it.
func (t *tx) rehearse(b *batch) error {
	e := &effects{t: t, above: map[id.Number]bool{}, dates: map[time.Time]bool{}, complete: true}
	touched, err := b.touched()
	if err == nil {
		err = e.prepare(touched)
	}
	if err == nil {
		err = e.addDates() // of the ways as they are
	}
	if err != nil {
		return err
	}
	var after []map[Edge]bool
	err = t.Try(func() error {
		if err := b.change(); err != nil {
			return err
		}
		if err := e.addDates(); err != nil { // of the ways as they would be
			return err
		}
		var err error
		if after, err = e.placed(e.moments()); err != nil {
			return err
		}
		b.rehearsed = true
		return errRehearsed
	})
	if !b.rehearsed {
		return err
	}
	before, err := e.placed(e.moments())
	if err != nil {
		return err
	}
	changes := e.compare(before, after)
	b.out.Effects = &Effects{Changes: changes, Complete: e.complete}
	return b.named()
}

// effects is a dry run's look at the graph around the edges it touches. Whatever
// the batch does to these, who is concerned stays the same: any way that it makes
// or breaks goes from below one of the edges to above one of them.
type effects struct {
	t        *tx
	above    map[id.Number]bool // the groups in which something may change
	users    []id.Number        // of whom something may change
	dates    map[time.Time]bool // to come, at which something may change
	complete bool
}

// prepare finds the groups above the edges, and the users of the edges and below
// the groups of them, as many as can be looked at.
func (e *effects) prepare(touched []Edge) error {
	var from []id.Member
	for _, g := range groupsAmong(touched) {
		e.above[g] = true
		from = append(from, id.GroupMember(g))
	}
	links, err := e.t.Writer.Climb(from)
	if err != nil {
		return err
	}
	for _, l := range links {
		e.above[l.Group] = true
	}
	users, below := map[id.Number]bool{}, map[id.Number]bool{}
	for _, edge := range touched {
		if u, ok := edge.Member.User(); ok {
			users[u] = true
		} else if g, ok := edge.Member.Group(); ok {
			below[g] = true
		}
	}
	if links, err = e.t.Writer.Descend(slices.Collect(maps.Keys(below))); err != nil {
		return err
	}
	for _, l := range links {
		g, _ := l.Member.Group()
		below[g] = true
	}
	most := max(maxPlacements/max(len(e.above), 1), 100)
	edges, err := e.t.Writer.Edges(slices.Sorted(maps.Keys(below)), nil, 4*most)
	e.complete = len(edges) < 4*most
	for _, edge := range edges {
		if u, ok := edge.Member.User(); ok {
			users[u] = true
		}
	}
	e.users = slices.Sorted(maps.Keys(users))
	if len(e.users) > most {
		e.users, e.complete = e.users[:most], false
	}
	return err
}

// addDates notes the dates to come on the ways that lead the users into the
// groups, also on those that go past the edges: they decide whether it matters.
func (e *effects) addDates() error {
	members := make([]id.Member, len(e.users))
	for i, u := range e.users {
		members[i] = id.UserMember(u)
	}
	links, err := e.t.Writer.Climb(members)
	if err != nil {
		return err
	}
	into := map[id.Number][]Link{}
	for _, l := range links {
		into[l.Group] = append(into[l.Group], l)
	}
	leads := maps.Clone(e.above)
	for next := slices.Collect(maps.Keys(leads)); len(next) > 0; next = next[1:] {
		for _, l := range into[next[0]] {
			for _, d := range [...]time.Time{l.From, l.Until} {
				if d.After(e.t.At()) {
					e.dates[d] = true
				}
			}
			if g, ok := l.Member.Group(); ok && !leads[g] {
				leads[g] = true
				next = append(next, g)
			}
		}
	}
	return nil
}

// moments are now and the first of the dates, ascending.
func (e *effects) moments() []time.Time {
	all := append([]time.Time{e.t.At()}, slices.SortedFunc(maps.Keys(e.dates), time.Time.Compare)...)
	if len(all) > maxMoments {
		all, e.complete = all[:maxMoments], false
	}
	return all
}

// placed says where the users concerned are in at each of the moments.
func (e *effects) placed(moments []time.Time) ([]map[Edge]bool, error) {
	users, err := e.t.Writer.Users(e.users)
	if err != nil {
		return nil, err
	}
	out := make([]map[Edge]bool, len(moments))
	for i, at := range moments {
		active := make(map[id.Member]bool, len(users))
		for _, u := range users {
			active[id.UserMember(u.Number)] = u.ActiveAt(at)
		}
		placements, err := e.t.Writer.Placements(e.users, at)
		if err != nil {
			return nil, err
		}
		out[i] = make(map[Edge]bool, len(placements))
		for _, p := range placements {
			if active[p.Member] && e.above[p.Group] {
				out[i][p] = true
			}
		}
	}
	return out, nil
}

// compare lists what begins to differ at each moment, by moment, group and user.
func (e *effects) compare(before, after []map[Edge]bool) []Effect {
	changes := []Effect{}
	was := map[Edge]bool{} // differs already, and how
	for i, at := range e.moments() {
		is := map[Edge]bool{}
		for p := range after[i] {
			if !before[i][p] {
				is[p] = true
			}
		}
		for p := range before[i] {
			if !after[i][p] {
				is[p] = false
			}
		}
		start := len(changes)
		for p, gained := range is {
			if had, differed := was[p]; !differed || had != gained {
				changes = append(changes, Effect{Edge: p, At: at, Gained: gained})
			}
		}
		slices.SortFunc(changes[start:], func(a, b Effect) int {
			return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Member, b.Member))
		})
		was = is
	}
	if len(changes) > MaxBatch {
		changes, e.complete = changes[:MaxBatch], false
	}
	return changes
}
