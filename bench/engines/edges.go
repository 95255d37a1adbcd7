package main

import (
	"cmp"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strconv"
)

// The population that memberships are drawn from, and the one group outside it
// that everybody joins where a pattern or a read wants a large one.
const (
	memberCount = 1_000_000
	groupCount  = 10_000
	largeGroup  = groupCount + 1
)

// An edge is one membership.
type edge struct {
	group, member uint32
}

// randomEdges draws n edges; the same seed draws the same edges. Under ofMember
// each run of batch edges shares a member.
func randomEdges(n int, p pattern, batch int, seed uint64) []edge {
	random := rand.New(rand.NewPCG(seed, 0))
	edges := make([]edge, n)
	for i := range edges {
		e := edge{group: random.Uint32N(groupCount) + 1, member: random.Uint32N(memberCount) + 1}
		switch {
		case p == intoGroup:
			e.group = largeGroup
		case p == ofMember && i%batch > 0:
			e.member = edges[i-1].member
		}
		edges[i] = e
	}
	return edges
}

// sortEdges puts edges in the order of the forward tree.
func sortEdges(edges []edge) {
	slices.SortFunc(edges, func(a, b edge) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.member, b.member))
	})
}

// appendJSON appends the edges as json_each will read them: the column that
// varies under the pattern, or pairs when both do.
func appendJSON(b []byte, edges []edge, p pattern) []byte {
	b = append(b, '[')
	for i, e := range edges {
		if i > 0 {
			b = append(b, ',')
		}
		switch p {
		case scatter:
			b = append(b, '[')
			b = strconv.AppendUint(b, uint64(e.group), 10)
			b = append(b, ',')
			b = strconv.AppendUint(b, uint64(e.member), 10)
			b = append(b, ']')
		case intoGroup:
			b = strconv.AppendUint(b, uint64(e.member), 10)
		case ofMember:
			b = strconv.AppendUint(b, uint64(e.group), 10)
		}
	}
	return append(b, ']')
}

// uuidOf spreads a number over 16 bytes as a random id would be, the same each
// time.
func uuidOf(n uint32) []byte {
	random := rand.NewPCG(uint64(n), 0)
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], random.Uint64())
	binary.BigEndian.PutUint64(b[8:], random.Uint64())
	return b[:]
}
