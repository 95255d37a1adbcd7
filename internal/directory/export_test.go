package directory

import (
	"testing"

	"roster/internal/id"
)

// InMemory reports whether the index answers for a tenant.
func (d *Directory) InMemory(t id.Tenant) bool { return d.memory().index.Get(t) != nil }

// WorkPerPath sets how often the graph is walked for shortest paths, for one test.
func WorkPerPath(t *testing.T, n int) {
	old := workPerPath
	workPerPath = n
	t.Cleanup(func() { workPerPath = old })
}

// LongList makes lists of more than n too long to be kept, for one test.
func LongList(t *testing.T, n int) {
	old := longList
	longList = n
	t.Cleanup(func() { longList = old })
}

// DiffBy has diffs of groups found in one way, for one test or until it is called
// again: "sides", "changes", or "" for whichever is cheaper.
func DiffBy(t interface{ Cleanup(func()) }, way string) {
	compareBy = map[string]comparison{"": byEither, "sides": bySides, "changes": byChanges}[way]
	t.Cleanup(func() { compareBy = byEither })
}

// MaxCompared has a page of a diff look at no more than n, in the same way.
func MaxCompared(t interface{ Cleanup(func()) }, n int) {
	old := maxCompared
	maxCompared = n
	t.Cleanup(func() { maxCompared = old })
}

// MostWalked has a page read no more than n names before its list is arranged, in
// the same way.
func MostWalked(t interface{ Cleanup(func()) }, n int) {
	old := mostWalked
	mostWalked = n
	t.Cleanup(func() { mostWalked = old })
}
