package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/index"
)

// build makes a directory in memory: zipf-sized groups in a tree five levels
// deep with about four ancestors a group.
func build(s size) *index.State {
	rng := rand.New(rand.NewPCG(1, 2))
	e := index.NewState().Edit()
	for u := 1; u <= s.users; u++ {
		e.PutUser(id.Number(u), id.New[id.User](), false, 0)
	}
	for g := 1; g <= s.groups; g++ {
		e.PutGroup(id.Number(g), id.New[id.Group]())
	}
	// Five levels: the parents of a group are in the level above it.
	level := s.groups / 5
	for g := level + 1; g <= s.groups; g++ {
		above := (g - 1) / level * level
		for range 1 + rng.IntN(2) {
			e.Put(index.Edge{Group: id.Number(above - level + 1 + rng.IntN(level)), Member: id.GroupMember(id.Number(g))})
		}
	}
	zipf := rand.NewZipf(rng, 1.1, 20, uint64(s.groups-1))
	perm := rng.Perm(s.groups)
	members := make([][]id.Number, s.groups)
	for range s.edges {
		g := perm[zipf.Uint64()]
		members[g] = append(members[g], id.Number(1+rng.IntN(s.users)))
	}
	for g, m := range members {
		slices.Sort(m)
		e.PutMembers(id.Number(g+1), slices.Compact(m))
		members[g] = nil
	}
	return e.Commit(1)
}

// inMemory measures what the index costs and how fast it answers.
func inMemory(_ context.Context, s size, progress io.Writer) ([]row, error) {
	before := heap()
	st := build(s)
	edges := 0
	for g := 1; g <= s.groups; g++ {
		edges += st.Standing(id.Number(g))
	}
	bytes := float64(heap()-before) / float64(edges)
	rng := rand.New(rand.NewPCG(3, 4))
	const asks = 1_000_000
	users, groups := make([]id.Number, asks), make([]id.Number, asks)
	for i := range asks {
		users[i], groups[i] = id.Number(1+rng.IntN(s.users)), id.Number(1+rng.IntN(s.groups))
	}
	now := time.Now().UnixMicro()
	ask := func() time.Duration {
		start := time.Now()
		for i := range asks {
			st.Check(users[i], groups[i], now)
		}
		return time.Since(start) / asks
	}
	ask() // remembers the ancestors
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	allocs := stats.Mallocs
	best := min(ask(), ask(), ask())
	runtime.ReadMemStats(&stats)
	perCheck := float64(stats.Mallocs-allocs) / (3 * asks)

	// The reference is what reading as many random cache lines costs here: a
	// check is bound by memory, not by arithmetic.
	lines := make([]uint64, s.edges*2)
	var sum uint64
	start := time.Now()
	for i := range asks {
		at := uint64(users[i])*2654435761 + uint64(groups[i])
		for range 4 {
			at = (at*6364136223846793005 + lines[at%uint64(len(lines))]) | 1
		}
		sum += at
	}
	four := time.Since(start) / asks
	runtime.KeepAlive(sum)
	runtime.KeepAlive(st)
	at := fmt.Sprintf("%d users, %d groups, %d memberships", s.users, s.groups, edges)
	return []row{
		{
			work: "transitive check in process, " + at, measured: best.String(), reference: four.String() + " four dependent cache misses",
			ratio: float64(four) / float64(best), budget: "< 1µs", met: best < time.Microsecond,
		},
		{work: "allocations a check", measured: fmt.Sprintf("%.3f", perCheck), budget: "0", met: perCheck < 0.001},
		{work: "index memory, bytes a membership", measured: fmt.Sprintf("%.1f", bytes), budget: "< 16", met: bytes < 16},
	}, nil
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// bigGroup measures that what is done to a large group costs what it costs for a
// small one.
func bigGroup(ctx context.Context, s size, progress io.Writer) ([]row, error) {
	b, err := newBed(ctx, "")
	if err != nil {
		return nil, err
	}
	defer b.close()
	us, gs, err := b.fill(ctx, s.big+2000, 2)
	if err != nil {
		return nil, err
	}
	for from := 0; from < s.big; from += directory.MaxBatch {
		var members []directory.MemberRef
		for _, u := range us[from:min(from+directory.MaxBatch, s.big)] {
			members = append(members, directory.MemberRef{Ref: directory.ByUser(u)})
		}
		if _, err := b.Directory.ChangeMembers(ctx, b.p, directory.MembersChange{Group: directory.ByGroup(gs[0]), Add: members}); err != nil {
			return nil, err
		}
	}
	adds := func(g id.Group, users []id.User) (time.Duration, error) {
		start := time.Now()
		err := parallel(len(users), func(i int) error {
			_, err := b.Directory.ChangeMembers(ctx, b.p, directory.MembersChange{Group: directory.ByGroup(g), Add: []directory.MemberRef{{Ref: directory.ByUser(users[i])}}})
			return err
		})
		return time.Since(start), err
	}
	var ratios []float64
	rest := us[s.big:]
	for i := 0; i < len(rest); i += 200 {
		small, err := adds(gs[1], rest[i:i+200])
		if err != nil {
			return nil, err
		}
		large, err := adds(gs[0], rest[i:i+200])
		if err != nil {
			return nil, err
		}
		ratios = append(ratios, float64(small)/float64(large))
	}
	rows := []row{{
		work:     fmt.Sprintf("add one member to a group of %d, against a small one", s.big),
		measured: fmt.Sprintf("%.2f of the speed", median(ratios)), reference: "the same adds to a group of up to 2,000",
		ratio: median(ratios), budget: "the same", met: median(ratios) > 0.8,
	}}
	page := func(after int64) (time.Duration, error) {
		start := time.Now()
		_, err := b.Directory.Members(ctx, b.p, directory.ListMembers{Group: directory.ByGroup(gs[0]), Page: directory.Page{After: after, Limit: 1000}})
		return time.Since(start), err
	}
	var pages []float64
	for range 21 {
		first, err := page(0)
		if err != nil {
			return nil, err
		}
		last, err := page(directory.MemberCursor(id.UserMember(id.Number(s.big - 1500))))
		if err != nil {
			return nil, err
		}
		pages = append(pages, float64(first)/float64(last))
	}
	return append(rows, row{
		work:     fmt.Sprintf("page of 1,000 members near the end of %d", s.big),
		measured: fmt.Sprintf("%.2f of the speed", median(pages)), reference: "the first page",
		ratio: median(pages), budget: "the same", met: median(pages) > 0.8,
	}), nil
}

// start measures how soon a server answers over a directory that holds much.
func start(ctx context.Context, s size, progress io.Writer) ([]row, error) {
	b, err := newBed(ctx, "")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, "data")
	defer os.RemoveAll(b.dir)
	groups := s.edges / 10000
	us, gs, err := b.fill(ctx, 10000, groups)
	if err != nil {
		return nil, err
	}
	members := make([]directory.MemberRef, len(us))
	for i, u := range us {
		members[i] = directory.MemberRef{Ref: directory.ByUser(u)}
	}
	for i, g := range gs {
		fmt.Fprintf(progress, "\r\x1b[Kstart: filling, %d of %d", i*len(members), s.edges)
		if _, err := b.Directory.ChangeMembers(ctx, b.p, directory.MembersChange{Group: directory.ByGroup(g), Add: members}); err != nil {
			return nil, err
		}
	}
	b.http.Close()
	if err := b.Opened.Close(); err != nil {
		return nil, err
	}
	began := time.Now()
	if b.Opened, err = reopen(ctx, dir); err != nil {
		return nil, err
	}
	defer b.Opened.Close()
	a, err := b.Directory.IsMember(ctx, b.p, directory.Check{User: directory.ByUser(us[1]), Group: directory.ByGroup(gs[len(gs)-1])})
	took := time.Since(began)
	if err == nil && !a.Value {
		err = fmt.Errorf("the first check after a start says no")
	}
	return []row{{
		work: fmt.Sprintf("start with %d memberships, to the first right answer", s.edges), measured: took.Round(time.Millisecond / 10).String(),
		budget: "< 1s", met: took < time.Second,
	}}, err
}
