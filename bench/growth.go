package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// growth is what one piece of work cost in directories of several sizes.
type growth struct {
	work    string
	sizes   []int
	costs   []time.Duration // median, by size
	allowed float64         // how often as much the largest may cost as the smallest
}

// grown measures the same work in directories of 10,000 to 1 million memberships
// (10 million with -full), through the core and the embedded store.
func grown(ctx context.Context, s size, progress io.Writer) ([]growth, error) {
	all := []growth{
		{work: "check, through groups", allowed: 3},
		{work: "first page of 1,000 of everybody", allowed: math.Inf(1)}, // of a union of more groups each time
		{work: "last page of 1,000 of everybody", allowed: 3},
		{work: "page of 1,000 of a group, in the past", allowed: 3},
		{work: "exact count of everybody", allowed: math.Inf(1)}, // it is of a union, and grows with it
		{work: "explain", allowed: math.Inf(1)},                  // the user stands in more groups each time
		{work: "add a member below 1,000 groups", allowed: 3},
		{work: "link a whole group below 1,000 groups", allowed: 3},
	}
	for _, n := range s.sizes {
		fmt.Fprintf(progress, "\r\x1b[Kgrowth: %d memberships…", n)
		costs, err := costsAt(ctx, n)
		if err != nil {
			return nil, err
		}
		for i, c := range costs {
			all[i].sizes, all[i].costs = append(all[i].sizes, n), append(all[i].costs, c)
		}
	}
	return all, nil
}

// row shows growth in the table: what it costs at each size, and the smallest
// over the largest.
func (g growth) row() row {
	text := ""
	for i, n := range g.sizes {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s at %s", g.costs[i].Round(100*time.Nanosecond), short(n))
	}
	first, last := float64(g.costs[0]), float64(g.costs[len(g.costs)-1])
	r := row{work: g.work, measured: text, reference: "the smallest", ratio: first / last}
	if !math.IsInf(g.allowed, 1) {
		r.budget, r.met = "the same", last <= g.allowed*first
	}
	return r
}

func short(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return fmt.Sprintf("%dM", n/1_000_000)
	case n >= 1000:
		return fmt.Sprintf("%dk", n/1000)
	}
	return fmt.Sprint(n)
}

// chainLength is how many groups are above the one that is added to and linked.
const chainLength = 1000

// costsAt makes a directory with n memberships (ten times the root of n users,
// each in all of the groups that takes) and measures in it.
func costsAt(ctx context.Context, n int) ([]time.Duration, error) {
	b, err := newBed(ctx, "")
	if err != nil {
		return nil, err
	}
	defer b.close()
	users := int(10 * math.Sqrt(float64(n)))
	groups := n / users
	us, gs, err := b.fill(ctx, users, groups+chainLength+2)
	if err != nil {
		return nil, err
	}
	town, top, chain := gs[:groups], gs[groups], gs[groups+1:]
	member := func(refs ...directory.MemberRef) []directory.MemberRef { return refs }
	group := func(g id.Group) directory.MemberRef {
		return directory.MemberRef{IsGroup: true, Ref: directory.ByGroup(g)}
	}
	change := func(into id.Group, add, remove []directory.MemberRef) error {
		_, err := b.Directory.ChangeMembers(ctx, b.p, directory.MembersChange{Group: directory.ByGroup(into), Add: add, Remove: remove})
		return err
	}
	var everyone []directory.MemberRef
	for _, u := range us {
		everyone = append(everyone, directory.MemberRef{Ref: directory.ByUser(u)})
	}
	for i, g := range town {
		for part := range slices.Chunk(everyone, directory.MaxBatch) {
			if err := change(g, part, nil); err != nil {
				return nil, err
			}
		}
		if err := change(top, member(group(town[i])), nil); err != nil {
			return nil, err
		}
	}
	for i := range chain[1:] {
		if err := change(chain[i+1], member(group(chain[i])), nil); err != nil {
			return nil, err
		}
	}
	past, err := b.Directory.Members(ctx, b.p, directory.ListMembers{Group: directory.ByGroup(top), Page: directory.Page{Limit: 1}})
	if err != nil {
		return nil, err
	}
	if err := change(chain[0], everyone[:1], nil); err != nil { // so that the past is past
		return nil, err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	list := func(in directory.ListMembers) func(int) error {
		in.Limit = 1000
		return func(int) error {
			_, err := b.Directory.Members(ctx, b.p, in)
			return err
		}
	}
	everybody := directory.ListMembers{Group: directory.ByGroup(top), Transitive: true}
	late, counted := everybody, everybody
	late.After = int64(max(users-1000, 0))
	counted.Count = true
	then := directory.ListMembers{Group: directory.ByGroup(town[0]), Page: directory.Page{At: past.Value.At}}
	then.After = directory.MemberCursor(id.UserMember(id.Number(users / 2)))
	var costs []time.Duration
	for _, w := range []struct {
		times int
		do    func(int) error
	}{
		{20_000, func(int) error {
			_, err := b.Directory.IsMember(ctx, b.p, directory.Check{User: directory.ByUser(us[rng.IntN(users)]), Group: directory.ByGroup(top)})
			return err
		}},
		{51, list(everybody)},
		{51, list(late)},
		{51, list(then)},
		{51, func(int) error {
			in := counted
			in.Limit = 1
			_, err := b.Directory.Members(ctx, b.p, in)
			return err
		}},
		{51, func(int) error {
			_, err := b.Directory.Explain(ctx, b.p, directory.Explain{User: directory.ByUser(us[rng.IntN(users)]), Group: directory.ByGroup(town[0])})
			return err
		}},
		{101, func(i int) error { return change(chain[0], everyone[1+i:2+i], nil) }},
		{51, func(i int) error {
			if i%2 == 0 {
				return change(chain[0], member(group(town[0])), nil)
			}
			return change(chain[0], nil, member(group(town[0])))
		}},
	} {
		if err := w.do(0); err != nil { // what is remembered is remembered
			return nil, err
		}
		took := make([]time.Duration, 0, w.times)
		for i := range w.times {
			start := time.Now()
			if err := w.do(i + 1); err != nil {
				return nil, err
			}
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		costs = append(costs, took[len(took)/2])
	}
	return costs, nil
}
