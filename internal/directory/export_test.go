package directory

import "testing"

// LongList makes lists of more than n too long to be kept, for one test.
func LongList(t *testing.T, n int) {
	old := longList
	longList = n
	t.Cleanup(func() { longList = old })
}
