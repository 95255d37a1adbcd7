//go:build race

package index

// raceEnabled: the race detector makes sync.Pool drop things on purpose.
const raceEnabled = true
