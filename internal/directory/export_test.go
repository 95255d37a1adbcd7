package directory

import "testing"

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
