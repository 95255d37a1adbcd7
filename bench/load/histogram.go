package load

import (
	"math/bits"
	"time"
)

// Histogram counts durations in buckets about 6 % wide, from a microsecond to
// beyond a minute. The zero value is empty.
type Histogram struct {
	counts [1024]int
	total  int
}

// sub is how many buckets there are for each power of two, as a power of two.
const sub = 4

func bucket(us uint64) int {
	if us < 1<<sub {
		return int(us)
	}
	exp := bits.Len64(us) - 1 - sub
	return min((exp+1)<<sub+int(us>>exp)&(1<<sub-1), len(Histogram{}.counts)-1)
}

// floor is the smallest duration in a bucket, in microseconds.
func floor(b int) uint64 {
	if b < 1<<sub {
		return uint64(b)
	}
	exp := b>>sub - 1
	return (1<<sub + uint64(b&(1<<sub-1))) << exp
}

func (h *Histogram) record(d time.Duration) {
	h.counts[bucket(uint64(d.Microseconds()))]++
	h.total++
}

func (h *Histogram) add(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
}

// Quantile returns the duration below which a share q of those recorded lie, to
// within a bucket; 0 if nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	seen, want := 0, int(q*float64(h.total))
	for b, n := range h.counts {
		if seen += n; n > 0 && seen >= want {
			return time.Duration(floor(b)) * time.Microsecond
		}
	}
	return 0
}
