package main

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"roster/internal/id"
	"roster/internal/index"
)

// levels is how deep the tree of groups is.
const levels = 5

// parents returns which groups of the level above the i-th of a tree is in.
func parents(rng *rand.Rand, i, level int) []int {
	if i < level {
		return nil
	}
	above := min(i/level, levels-1)
	list := []int{(above-1)*level + rng.IntN(level)}
	if other := (above-1)*level + rng.IntN(level); rng.IntN(2) == 0 && other != list[0] {
		list = append(list, other)
	}
	return list
}

// zipfGroups puts users at random into groups whose sizes go by Zipf's law, until
// there are about so many memberships. Each group's list ascends.
func zipfGroups(rng *rand.Rand, groups, users, memberships int) [][]id.Number {
	zipf := rand.NewZipf(rng, 1.1, 20, uint64(groups-1))
	perm := rng.Perm(groups)
	members := make([][]id.Number, groups)
	for range max(memberships, 0) {
		g := perm[zipf.Uint64()]
		members[g] = append(members[g], id.Number(1+rng.IntN(users)))
	}
	for g, m := range members {
		slices.Sort(m)
		members[g] = slices.Compact(m)
	}
	return members
}

// build makes an index of that shape, with about four groups above each, and
// says how many memberships are in it.
func build(n int) (st *index.State, memberships int) {
	rng := rand.New(rand.NewPCG(1, 2))
	users, groups := usersOf(n), groupsOf(n)
	e := index.NewState().Edit()
	for u := 1; u <= users; u++ {
		e.PutUser(id.Number(u), id.New[id.User](), false, 0)
	}
	for g := 1; g <= groups; g++ {
		e.PutGroup(id.Number(g), id.New[id.Group]())
	}
	for i := range groups {
		for _, above := range parents(rng, i, groups/levels) {
			e.Put(index.Edge{Group: id.Number(above + 1), Member: id.GroupMember(id.Number(i + 1))})
		}
	}
	members := zipfGroups(rng, groups, users, n)
	for g, m := range members {
		e.PutMembers(id.Number(g+1), m)
		memberships += len(m)
		members[g] = nil
	}
	return e.Commit(1), memberships
}

// inMemory measures what the index takes and how fast it answers.
func (m *meter) inMemory(n int) []figure {
	before := heap()
	st, memberships := build(n)
	each := float64(heap()-before) / float64(memberships)
	rng := rand.New(rand.NewPCG(3, 4))
	const asks = 1_000_000
	users, groups := make([]id.Number, asks), make([]id.Number, asks)
	for i := range asks {
		users[i], groups[i] = id.Number(1+rng.IntN(usersOf(n))), id.Number(1+rng.IntN(groupsOf(n)))
	}
	now := time.Now().UnixMicro()
	ask := func() (took, allocs sample) {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		had, start := stats.Mallocs, time.Now()
		for i := range asks {
			st.Check(users[i], groups[i], now)
		}
		took.cost = float64(time.Since(start).Nanoseconds()) / asks
		runtime.ReadMemStats(&stats)
		allocs.cost = float64(stats.Mallocs-had) / asks
		return took, allocs
	}
	// A check is bound by memory, not by arithmetic, so it is held against reads of
	// as much memory.
	lines := make([]uint64, 2*n)
	for i := range lines {
		lines[i] = uint64(i) // or all would be one page of zeros
	}
	read := func() sample {
		var sum uint64
		start := time.Now()
		for i := range asks {
			at := uint64(users[i])*2654435761 + uint64(groups[i])
			for range 4 {
				at = (at*6364136223846793005 + lines[at%uint64(len(lines))]) | 1
			}
			sum += at
		}
		runtime.KeepAlive(sum)
		return sample{cost: float64(time.Since(start).Nanoseconds()) / asks}
	}
	ask() // remembers the ancestors
	var checks, allocs, reads []sample
	for range m.rounds {
		c, a := ask()
		checks, allocs, reads = append(checks, c), append(allocs, a), append(reads, read())
	}
	runtime.KeepAlive(st)
	return []figure{
		figureOf(indexReads, n, reads, nil),
		figureOf(indexCheck, n, checks, reads),
		figureOf(indexAllocs, n, allocs, nil),
		figureOf(indexMemory, n, []sample{{cost: each}}, nil),
	}
}

// heap is how much memory is in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
