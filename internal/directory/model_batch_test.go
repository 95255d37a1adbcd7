package directory_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"roster/internal/directory"
	"roster/internal/id"
)

// batchRun is a run of a batch with what its items should come to, and what it
// should take out; who and where is named by it.
type batchRun struct {
	items, left     []wanted
	groups, members []wanted
}

// clone copies what a batch may change.
func (o *oracle) clone() *oracle {
	c := *o
	c.edges = maps.Clone(o.edges)
	return &c
}

// drawRun draws a run of members and groups, or of pairs: of few of those that
// there are, so that runs meet.
func (m *machine) drawRun(t *rapid.T, few int) (r directory.BatchRun, want []wanted) {
	m = &machine{o: *m.o.first(few), clock: m.clock}
	r = directory.BatchRun{Do: rapid.SampledFrom([]directory.BatchDo{directory.AddMembers, directory.AddMembers, directory.RemoveMembers, directory.ReplaceMembers, directory.ReplaceGroups}).Draw(t, "do"),
		Standing: m.standing(t), Keep: rapid.Bool().Draw(t, "keep")}
	member := func() (directory.MemberRef, wanted) {
		return m.member(t, rapid.IntRange(0, 2).Draw(t, "a group") == 0)
	}
	group := func(w wanted) (directory.Ref, wanted) {
		g := m.group(t)
		if _, ok := m.o.groups[g]; !ok && w.code == "" {
			w.code = "group.unknown"
		}
		w.edge.Group = g
		return m.ref(t, true, g), w
	}
	pairs := r.Do < directory.ReplaceMembers && rapid.Bool().Draw(t, "pairs")
	var members []wanted
	for range rapid.IntRange(0, 3).Draw(t, "members") {
		ref, w := member()
		if pairs {
			var g directory.Ref
			g, w = group(w)
			r.Pairs = append(r.Pairs, directory.Pair{Member: ref, Group: g})
			want = append(want, w)
			continue
		}
		r.Members, members = append(r.Members, ref), append(members, w)
	}
	if pairs {
		return r, want
	}
	for range rapid.IntRange(0, 2).Draw(t, "groups") {
		ref, w := group(wanted{})
		r.Groups = append(r.Groups, ref)
		for _, x := range members {
			x.edge.Group = w.edge.Group
			if x.code == "" {
				x.code = w.code
			}
			want = append(want, x)
		}
	}
	return r, want
}

// leftBy are the edges that a replacement takes out, of those that stand when it
// is its turn.
func (o *oracle) leftBy(do directory.BatchDo, r batchRun) (left []wanted) {
	named := map[directory.Edge]bool{}
	for _, w := range r.items {
		named[w.edge] = true
	}
	for e := range o.edges {
		replaced := do == directory.ReplaceMembers && slices.ContainsFunc(r.groups, func(w wanted) bool { return w.code == "" && w.edge.Group == e.Group }) ||
			do == directory.ReplaceGroups && slices.ContainsFunc(r.members, func(w wanted) bool { return w.code == "" && w.edge.Member == e.Member })
		if replaced && !named[e] {
			left = append(left, wanted{edge: e})
		}
	}
	slices.SortFunc(left, func(a, b wanted) int {
		return cmp.Or(cmp.Compare(a.edge.Group, b.edge.Group), cmp.Compare(a.edge.Member, b.edge.Member))
	})
	return left
}

// first is the oracle with its first few users and groups alone.
func (o *oracle) first(few int) *oracle {
	c := *o
	c.users, c.groups = maps.Clone(o.users), maps.Clone(o.groups)
	maps.DeleteFunc(c.users, func(n id.Number, _ directory.User) bool { return rank(o.users, n) >= few })
	maps.DeleteFunc(c.groups, func(n id.Number, _ directory.Group) bool { return rank(o.groups, n) >= few })
	return &c
}

// rank counts those before n.
func rank[T any](things map[id.Number]T, n id.Number) int {
	return slices.Index(slices.Sorted(maps.Keys(things)), n)
}

// changeMany carries out a batch, or rehearses it first.
func (m *machine) changeMany(t *rapid.T) {
	few := rapid.SampledFrom([]int{2, 3, 100}).Draw(t, "among few")
	in := directory.Batch{Mode: rapid.SampledFrom([]directory.Mode{directory.Atomic, directory.Each}).Draw(t, "mode"), DryRun: rapid.Bool().Draw(t, "dry run")}
	var runs []batchRun
	for range rapid.IntRange(1, 4).Draw(t, "runs") {
		r, want := m.drawRun(t, few)
		in.Runs = append(in.Runs, r)
		// Who is named is found again by its number.
		var groups, members []wanted
		for _, g := range r.Groups {
			n := m.resolve(t, true, g)
			groups = append(groups, wanted{edge: directory.Edge{Group: n}, code: unknown(n)})
		}
		for _, x := range r.Members {
			n := m.resolve(t, x.IsGroup, x.Ref)
			w := wanted{edge: directory.Edge{Member: id.UserMember(n)}, code: unknown(n)}
			if x.IsGroup {
				w.edge.Member = id.GroupMember(n)
			}
			members = append(members, w)
		}
		runs = append(runs, batchRun{items: want, groups: groups, members: members})
	}
	stale := -1
	for range rapid.IntRange(0, 2).Draw(t, "conditions") {
		u, g := m.user(t), m.group(t)
		r := directory.Require{User: directory.ByNumber(int64(u)), Group: directory.ByNumber(int64(g)), Member: rapid.Bool().Draw(t, "member")}
		holds := slices.Contains(m.o.groupsOf(id.UserMember(u), m.now()), g) == r.Member
		if rapid.IntRange(0, 2).Draw(t, "version") == 0 {
			r = directory.Require{Group: r.Group, Version: int64(rapid.IntRange(1, 2).Draw(t, "at version"))}
			holds = m.o.groups[g].Version == r.Version
		}
		if !holds && stale < 0 {
			stale = len(in.Require)
		}
		in.Require = append(in.Require, r)
	}
	before := m.o.clone()
	var after *oracle
	a, err := m.d.ChangeMemberships(ctx, m.p, in)
	carryOut := func(next *oracle, at time.Time) (bool, error) {
		if stale >= 0 {
			return false, &directory.Error{Code: "precondition.failed"}
		}
		if in.Mode == directory.Atomic {
			for _, r := range runs {
				for _, w := range r.items {
					if w.code != "" {
						return false, &directory.Error{Code: w.code}
					}
				}
			}
		}
		changed := false
		for i, r := range in.Runs {
			runs[i].left = next.leftBy(r.Do, runs[i])
			add, remove := runs[i].items, runs[i].left
			if r.Do == directory.RemoveMembers {
				add, remove = nil, runs[i].items
			}
			did, err := next.batch(add, remove, in.Mode, r.Standing, r.Keep, at)
			if changed = changed || did; err != nil {
				return false, err
			}
		}
		after = next
		return changed, nil
	}
	var want error
	if in.DryRun {
		want = m.o.change(m.d.Now(), func(next *oracle, at time.Time) (bool, error) {
			_, err := carryOut(next.clone(), at)
			return false, err
		})
	} else {
		want = m.o.change(m.d.Now(), carryOut)
	}
	if !compare(t, fmt.Sprintf("ChangeMemberships of %+v at %v", in, m.now()), err, want) {
		return
	}
	for i, r := range a.Value.Runs {
		results(t, fmt.Sprintf("run %d", i), r.Items, runs[i].items)
		var left []directory.Edge
		for _, w := range runs[i].left {
			if w.out == directory.Removed {
				left = append(left, w.edge)
			}
		}
		if diff := gocmp.Diff(left, r.Left); diff != "" {
			t.Fatalf("run %d takes out otherwise (-want +got):\n%s", i, diff)
		}
	}
	if !in.DryRun {
		return
	}
	wantEffects := before.effects(after, m.now())
	if diff := gocmp.Diff(wantEffects, a.Value.Effects.Changes); diff != "" || !a.Value.Effects.Complete {
		t.Fatalf("the dry run of %+v at %v says otherwise (-want +got):\n%s", in, m.now(), diff)
	}
}

// now is the moment at which a commit would be made.
func (m *machine) now() time.Time {
	if now := m.d.Now(); now.After(m.o.last) {
		return now
	}
	return m.o.last
}

func unknown(n id.Number) string {
	if n == 0 {
		return "unknown"
	}
	return ""
}

// resolve finds the number of who is named, 0 for nobody.
func (m *machine) resolve(t *rapid.T, isGroup bool, ref directory.Ref) id.Number {
	if isGroup {
		if a, err := m.d.Group(ctx, m.p, ref); err == nil {
			return a.Value.Number
		}
		return 0
	}
	if a, err := m.d.User(ctx, m.p, ref); err == nil {
		return a.Value.Number
	}
	return 0
}

// effects are what differs between two tenants, now and at every date there is.
func (o *oracle) effects(after *oracle, now time.Time) []directory.Effect {
	dates := map[time.Time]bool{now: true}
	for _, edges := range []map[directory.Edge]directory.Standing{o.edges, after.edges} {
		for _, s := range edges {
			for _, d := range []time.Time{s.From, s.Until} {
				if d.After(now) {
					dates[d] = true
				}
			}
		}
	}
	out := []directory.Effect{}
	was := map[directory.Edge]int{}
	for _, at := range slices.SortedFunc(maps.Keys(dates), time.Time.Compare) {
		is := map[directory.Edge]int{}
		for g := range o.groups {
			for u := range o.users {
				e := directory.Edge{Group: g, Member: id.UserMember(u)}
				if slices.Contains(after.groupsOf(e.Member, at), g) {
					is[e]++
				}
				if slices.Contains(o.groupsOf(e.Member, at), g) {
					is[e]--
				}
			}
		}
		from := len(out)
		for e, n := range is {
			if n != 0 && n != was[e] {
				out = append(out, directory.Effect{Edge: e, At: at, Gained: n > 0})
			}
		}
		slices.SortFunc(out[from:], func(a, b directory.Effect) int {
			return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Member, b.Member))
		})
		was = is
	}
	return out
}
