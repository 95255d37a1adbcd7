package wire

import (
	"sync"
	"time"
)

// maxRates bounds how many keys are counted; above it all counts start again,
// which lets a few more through and keeps the memory.
const maxRates = 100000

// Rates counts requests by key in windows of time, in memory: each node counts
// for itself. It is safe for concurrent use.
type Rates struct {
	mu  sync.Mutex // guards all
	all map[string]window
}

type window struct {
	start time.Time
	taken int
}

// NewRates returns an empty count.
func NewRates() *Rates { return &Rates{all: map[string]window{}} }

// Take counts one request of a key at a moment, and reports whether it is among
// the first most within its window.
func (r *Rates) Take(key string, most int, per time.Duration, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	w, known := r.all[key]
	if since := now.Sub(w.start); !known || since < 0 || since >= per {
		w = window{start: now}
	}
	if w.taken >= most {
		return false
	}
	w.taken++
	if !known && len(r.all) >= maxRates {
		clear(r.all)
	}
	r.all[key] = w
	return true
}
