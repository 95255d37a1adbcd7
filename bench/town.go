package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// Shape of a town.
const (
	streetCount = 100
	chainLength = 1000   // groups above the one that is added to and linked
	guestCount  = 10_000 // so that there are as many users as one call may add
)

// town is a directory of one size, with everything in it that is measured: a tree
// of groups five levels deep with sizes by Zipf's law, and beside it groups of
// known sizes. Whatever is done to it is undone, so that it stays as large.
type town struct {
	*bed
	meter *meter
	size  int
	raw   *engine // holds the same edges

	ids       []id.User // of users, by number from 1
	residents int       // are the first of them, and the others are guests, who are in nothing

	groups  []group
	tree    []group       // of groupsOf the size
	members [][]id.Number // of each of the tree, ascending

	everybody group   // all residents, directly
	all       group   // all residents, through streets
	streets   []group // each resident in one
	root      group   // over the tree
	few       group   // ten residents
	chain     []group // each in the next
	empty     []group
}

// newTown makes a town with n memberships.
func (m *meter) newTown(ctx context.Context, n int) (_ *town, err error) {
	t := &town{meter: m, size: n, residents: max(usersOf(n)/1000*1000, 4000)}
	if t.bed, err = newBed(ctx, m.scratch, ""); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	if t.raw, err = newEngine(filepath.Join(t.dir, "raw.db")); err != nil {
		return nil, err
	}
	m.say("%s: making users and groups", short(n))
	empty := 2 * (m.rounds + 1)
	if t.ids, t.groups, err = t.fill(ctx, t.residents+guestCount, 4+streetCount+chainLength+1+empty+groupsOf(n)); err != nil {
		return nil, err
	}
	rest := t.groups
	take := func(n int) (list []group) {
		list, rest = rest[:n], rest[n:]
		return list
	}
	t.everybody, t.all, t.root, t.few = take(1)[0], take(1)[0], take(1)[0], take(1)[0]
	t.streets, t.chain, t.empty, t.tree = take(streetCount), take(chainLength+1), take(empty), rest

	rng := rand.New(rand.NewPCG(1, uint64(n)))
	if err := t.link(ctx, rng); err != nil {
		return nil, err
	}
	t.members = zipfGroups(rng, len(t.tree), t.residents, n-2*t.residents)
	if _, err := t.raw.db.ExecContext(ctx, "PRAGMA synchronous = OFF"); err != nil { // while it is filled
		return nil, err
	}
	if err := t.people(ctx); err != nil {
		return nil, err
	}
	if _, err = t.raw.db.ExecContext(ctx, "PRAGMA synchronous = FULL"); err != nil {
		return nil, err
	}
	return t, t.warm(ctx)
}

// warm asks until the index has been read in. From rows a check takes a hundred
// microseconds and more, from the index a few.
func (t *town) warm(ctx context.Context) error {
	ask := timedEach(100, func() error {
		_, err := t.Directory.IsMember(ctx, t.p, directory.Check{User: user(1), Group: t.all.ref()})
		return err
	})
	for {
		t.meter.say("%s: reading the index in", short(t.size))
		if s, err := ask(); err != nil || s.cost < 20_000 {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// link puts groups into groups.
func (t *town) link(ctx context.Context, rng *rand.Rand) error {
	var links []edge
	put := func(into, g group) { links = append(links, edge{into.number, id.GroupMember(g.number)}) }
	for _, s := range t.streets {
		put(t.all, s)
	}
	for i, g := range t.chain[1:] {
		put(g, t.chain[i])
	}
	level := len(t.tree) / levels
	for i, g := range t.tree {
		if i < level {
			put(t.root, g)
		}
		for _, above := range parents(rng, i, level) {
			put(t.tree[above], g)
		}
	}
	return t.add(ctx, links)
}

// people puts users into groups.
func (t *town) people(ctx context.Context) error {
	done := 0
	var edges []edge
	put := func(g group, u id.Number) error {
		edges = append(edges, edge{g.number, id.UserMember(u)})
		if len(edges) < directory.MaxBatch {
			return nil
		}
		done += len(edges)
		t.meter.say("%s: making memberships, %d", short(t.size), done)
		err := t.add(ctx, edges)
		edges = edges[:0]
		return err
	}
	for i := range t.residents {
		if err := put(t.everybody, id.Number(i+1)); err != nil {
			return err
		}
	}
	for s, street := range t.streets {
		for i := s; i < t.residents; i += len(t.streets) {
			if err := put(street, id.Number(i+1)); err != nil {
				return err
			}
		}
	}
	for i := range 10 {
		if err := put(t.few, id.Number(i+1)); err != nil {
			return err
		}
	}
	for g, members := range t.members {
		for _, u := range members {
			if err := put(t.tree[g], u); err != nil {
				return err
			}
		}
	}
	return t.add(ctx, edges)
}

// add makes memberships, here and in the engine by itself.
func (t *town) add(ctx context.Context, edges []edge) error {
	err := t.change(ctx, directory.AddMembers, edges)
	if err == nil {
		_, err = t.raw.change(directory.AddMembers, edges)
	}
	return err
}

func (t *town) close() error {
	var err error
	if t.raw != nil {
		err = t.raw.close()
	}
	return errors.Join(err, t.bed.close())
}

// guest returns a user who is in nothing.
func (t *town) guest(i int) id.Number { return id.Number(t.residents + i%guestCount + 1) }

// into is the guests from one to before another, as members of a group.
func (t *town) into(g group, from, to int) []edge {
	var edges []edge
	for i := from; i < to; i++ {
		edges = append(edges, edge{g.number, id.UserMember(t.guest(i))})
	}
	return edges
}

// strangers returns n edges, of residents in groups of the tree, that are not
// there, in no order.
func (t *town) strangers(rng *rand.Rand, n int) []edge {
	seen := make(map[edge]bool, n)
	edges := make([]edge, 0, n)
	for len(edges) < n {
		g, u := rng.IntN(len(t.tree)), id.Number(1+rng.IntN(t.residents))
		e := edge{t.tree[g].number, id.UserMember(u)}
		if _, there := slices.BinarySearch(t.members[g], u); !there && !seen[e] {
			seen[e] = true
			edges = append(edges, e)
		}
	}
	return edges
}

func user(n id.Number) directory.Ref { return directory.ByNumber(int64(n)) }

func member(n id.Number) directory.MemberRef { return directory.MemberRef{Ref: user(n)} }
