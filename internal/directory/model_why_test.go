package directory_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"roster/internal/directory"
	"roster/internal/id"
)

// ways are all ways up from a member to a group, found by walking them all.
func (o *oracle) ways(m id.Member, to id.Number, holds func(directory.Standing) bool) (all [][]directory.Edge) {
	var out []directory.Edge
	for e, s := range o.edges {
		if e.Member == m && holds(s) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b directory.Edge) int { return cmp.Compare(a.Group, b.Group) })
	for _, e := range out {
		if e.Group == to {
			all = append(all, []directory.Edge{e})
			continue
		}
		for _, rest := range o.ways(id.GroupMember(e.Group), to, holds) {
			all = append(all, append([]directory.Edge{e}, rest...))
		}
	}
	return all
}

// explain asks why about everybody and everything, as of a moment: the last commit's
// as often as any other, because it takes some of them until there are ways.
func (m *machine) explain(t *rapid.T) {
	w := directory.When{Revision: m.o.revision}
	if rapid.Bool().Draw(t, "earlier") {
		w = m.when(t)
	}
	o, _ := m.o.ago(w)
	for _, u := range append(slices.Sorted(maps.Keys(o.users)), 99) {
		for _, g := range append(slices.Sorted(maps.Keys(o.groups)), 99) {
			m.explainOne(t, w, u, g)
		}
	}
}

func (m *machine) explainOne(t *rapid.T, w directory.When, u, g id.Number) {
	o, at := m.o.ago(w)
	_, isUser := o.users[u]
	_, isGroup := o.groups[g]
	var why directory.Why
	want := o.ways(id.UserMember(u), g, func(s directory.Standing) bool { return s.HoldsAt(at) })
	switch {
	case !isUser:
		why = directory.NoSuchUser
	case !isGroup:
		why = directory.NoSuchGroup
	case len(want) == 0:
		want = o.ways(id.UserMember(u), g, func(directory.Standing) bool { return true })
		if why = directory.ByDates; len(want) == 0 {
			why = directory.NoWay
		}
	case o.users[u].Suspended:
		why = directory.IsSuspended
	case !o.users[u].ActiveAt(at):
		why = directory.HasExpired
	}
	in := directory.Explain{User: directory.ByNumber(int64(u)), Group: directory.ByNumber(int64(g)), Page: directory.Page{At: w, Limit: rapid.IntRange(1, 3).Draw(t, "ways a page")}}
	var got [][]directory.Edge
	for {
		a, err := m.d.Explain(ctx, m.p, in)
		if err != nil {
			t.Fatal(err)
		}
		x := a.Value
		if x.Member != (why == "") || x.Why != why || x.Count != int64(len(want)) || a.Revision != o.revision {
			t.Fatalf("as of %+v, user %d in group %d is %v by %d ways (%s); want %q by %d", w, u, g, x.Member, x.Count, x.Why, why, len(want))
		}
		for _, way := range x.Ways {
			var edges []directory.Edge
			for _, step := range way {
				edges = append(edges, step.Edge)
				if s := o.edges[step.Edge]; step.Standing != s || step.Holds != s.HoldsAt(at) || step.In.Name != o.groups[step.Group].Name {
					t.Fatalf("as of %+v a step is %+v, want %+v", w, step, s)
				}
				added := m.at(step.Added)
				if step.AddedBy.Credential != added.by.Actor.Credential || step.AddedBy.Name != added.by.Actor.Name || step.AddedDialect != added.by.Dialect || !step.AddedAt.Equal(added.last) {
					t.Fatalf("a step says that %+v was added by %+v (%s) at %v, and %d was by %+v at %v", step.Edge, step.AddedBy, step.AddedDialect, step.AddedAt, step.Added, added.by, added.last)
				}
				for rev := step.Added; rev <= o.revision; rev++ {
					if _, stands := m.at(rev).edges[step.Edge]; !stands {
						t.Fatalf("a step says that %+v was added at %d, and it did not stand at %d", step.Edge, step.Added, rev)
					}
				}
			}
			got = append(got, edges)
		}
		in.At = x.At
		if in.After = x.Next; in.After == 0 {
			break
		}
	}
	if !slices.EqualFunc(got, want, slices.Equal[[]directory.Edge]) {
		t.Fatalf("as of %+v user %d is in group %d by %v, want %v", w, u, g, got, want)
	}
}

// diffs compares two moments of a group in every way there is, again and again: what
// is kept for the further pages of one is there for the next.
func (m *machine) diffs(t *rapid.T) {
	for range 3 {
		from, to := m.when(t), m.when(t)
		g := m.groupAt(t, from, to)
		limit := rapid.IntRange(1, 3).Draw(t, "limit")
		for way := range 4 {
			m.differ(t, directory.Diff{From: from, Page: directory.Page{At: to, Limit: limit}, Transitive: way%2 > 0}, directory.Edge{Group: g}, 12)
			if way == 1 {
				from, to = to, from
			}
		}
	}
}

// diff compares two moments in some way.
func (m *machine) diff(t *rapid.T) {
	in := directory.Diff{From: m.when(t), Page: directory.Page{At: m.when(t), Limit: 2}, Transitive: rapid.Bool().Draw(t, "transitive")}
	of := directory.Edge{Member: id.UserMember(m.user(t))}
	if rapid.Bool().Draw(t, "of a group") {
		of = directory.Edge{Group: m.groupAt(t, in.From, in.At)}
	}
	m.differ(t, in, of, 1)
}

// groupAt draws a group that there was at one of two moments.
func (m *machine) groupAt(t *rapid.T, one, other directory.When) id.Number {
	a, _ := m.o.ago(one)
	b, _ := m.o.ago(other)
	groups := maps.Clone(a.groups)
	maps.Copy(groups, b.groups)
	return pick(t, "group", groups)
}

// differ reads the difference of a group, or of a member. After one page in so many
// it does something that must not show.
func (m *machine) differ(t *rapid.T, in directory.Diff, of directory.Edge, calm int) {
	from, to := in.From, in.At
	a, atA := m.o.ago(from)
	b, atB := m.o.ago(to)
	later, earlier := b, a
	if a.revision > b.revision {
		later, earlier = a, b
	}
	type entry struct {
		cursor int64
		gained bool
	}
	var was, is []int64
	if g := of.Group; g != 0 {
		in.Group = refAt(t, g, later.groups, earlier.groups, func(g directory.Group) string { return g.Name })
		list := func(o *oracle, at time.Time) (keys []int64) {
			if in.Transitive {
				for u := range o.users {
					if slices.Contains(o.groupsOf(id.UserMember(u), at), g) {
						keys = append(keys, int64(u))
					}
				}
			} else {
				for e, s := range o.edges {
					if u, isUser := e.Member.User(); e.Group == g && s.HoldsAt(at) && (!isUser || o.users[u].ActiveAt(at)) {
						keys = append(keys, directory.MemberCursor(e.Member))
					}
				}
			}
			return keys
		}
		was, is = list(a, atA), list(b, atB)
	} else {
		u, _ := of.Member.User()
		in.Member.Ref = refAt(t, u, later.users, earlier.users, func(u directory.User) string { return u.Name })
		list := func(o *oracle, at time.Time) (keys []int64) {
			groups := o.groupsOf(id.UserMember(u), at)
			for _, g := range groups {
				if s, direct := o.edges[directory.Edge{Group: g, Member: id.UserMember(u)}]; in.Transitive || direct && s.HoldsAt(at) {
					keys = append(keys, int64(g))
				}
			}
			return keys
		}
		was, is = list(a, atA), list(b, atB)
	}
	var want []entry
	for _, k := range was {
		if !slices.Contains(is, k) {
			want = append(want, entry{k, false})
		}
	}
	for _, k := range is {
		if !slices.Contains(was, k) {
			want = append(want, entry{k, true})
		}
	}
	slices.SortFunc(want, func(a, b entry) int { return cmp.Compare(a.cursor, b.cursor) })
	var got []entry
	for {
		// Pages are found in different ways.
		directory.MaxCompared(t, rapid.SampledFrom([]int{2, 100_000, 100_000, 100_000}).Draw(t, "at most"))
		directory.DiffBy(t, rapid.SampledFrom([]string{"", "sides", "changes", "changes", "changes"}).Draw(t, "way"))
		answer, err := m.d.Diff(ctx, m.p, in)
		if directory.KindOf(orNil(err)) == directory.NotFound && len(want) == 0 {
			return
		}
		if err != nil {
			t.Fatalf("the difference from %+v to %+v: %v", from, to, err)
		}
		for _, d := range answer.Value.Items {
			k := int64(0)
			switch {
			case d.User != nil && in.Transitive:
				k = int64(d.User.Number)
			case d.User != nil:
				k = directory.MemberCursor(id.UserMember(d.User.Number))
			case in.Group.Kind != 0:
				k = directory.MemberCursor(id.GroupMember(d.Group.Number))
			default:
				k = int64(d.Group.Number)
			}
			got = append(got, entry{k, d.Gained})
		}
		in.From, in.At = answer.Value.From, answer.Value.At
		if in.After = answer.Value.Next; in.After == 0 {
			break
		}
		if rapid.IntRange(1, calm).Draw(t, "something between pages") == 1 {
			m.disturb(t)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("from %+v to %+v (%+v) differ %v, want %v", from, to, in, got, want)
	}
}

// refAt draws a ref to what a difference is about: its number, or the name that
// it bears at the later of two moments, or else bore at the earlier.
func refAt[T any](t *rapid.T, n id.Number, later, earlier map[id.Number]T, name func(T) string) directory.Ref {
	ref := directory.ByNumber(int64(n))
	if rapid.Bool().Draw(t, "by number") {
		return ref
	}
	thing, there := later[n]
	if there {
		return directory.ByName(name(thing))
	}
	if thing, there = earlier[n]; !there {
		return ref
	}
	for _, other := range later {
		if name(other) == name(thing) {
			return ref
		}
	}
	return directory.ByName(name(thing))
}

func orNil(err error) error {
	if err == nil {
		return directory.Invalid
	}
	return err
}

// timeline asks how one membership has stood.
func (m *machine) timeline(t *rapid.T) {
	var w directory.When // now, when whoever was deleted is asked about too
	then, users, groups := &m.o, maps.Clone(m.o.users), maps.Clone(m.o.groups)
	for _, o := range m.o.history {
		maps.Copy(users, o.users)
		maps.Copy(groups, o.groups)
	}
	if rapid.Bool().Draw(t, "of the past") {
		w = m.when(t)
		then, _ = m.o.ago(w)
		users, groups = then.users, then.groups
	}
	e := directory.Edge{Group: pick(t, "group", groups), Member: id.UserMember(pick(t, "user", users))}
	u, _ := e.Member.User()
	var want []string
	var last *directory.Standing
	for rev, o := range append(slices.Clone(m.o.history), &m.o)[:then.revision+1] {
		s, stands := o.edges[e]
		switch {
		case stands && (last == nil || *last != s):
			want = append(want, fmt.Sprintf("%d %+v", rev, s))
			last = &s
		case !stands && last != nil:
			last = nil
		}
	}
	in := directory.Timeline{Group: directory.ByNumber(int64(e.Group)), Member: directory.MemberRef{Ref: directory.ByNumber(int64(u))}, Page: directory.Page{At: w, Limit: 2}}
	var got []string
	before := directory.Revision(0)
	for {
		a, err := m.d.Timeline(ctx, m.p, in)
		_, isUser := users[u]
		_, isGroup := groups[e.Group]
		if err != nil && isUser && isGroup || err == nil && !(isUser && isGroup) {
			t.Fatalf("the timeline of %+v as of %+v: %v", e, w, err)
		}
		if err != nil {
			return
		}
		for _, s := range a.Value.Items {
			// What ended by a date and was made again alike is two periods.
			if n := len(got); n == 0 || before != s.Revision || got[n-1][len(fmt.Sprint(s.Revision)):] != fmt.Sprintf(" %+v", s.Standing) {
				got = append(got, fmt.Sprintf("%d %+v", s.Revision, s.Standing))
			}
			in.At, before = a.Value.At, s.Ended
			if s.Beginning.Revision != s.Revision || s.Beginning.Request != "" || (s.Ending == nil) != (s.Ended == 0) || s.Ended > then.revision {
				t.Fatalf("a period is %+v", s)
			}
		}
		if in.After = a.Value.Next; in.After == 0 {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("as of %+v %+v has stood as %v, want %v", w, e, got, want)
	}
}
