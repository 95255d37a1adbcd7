package wire

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestSoManyOfAKeyPassInAWindow(t *testing.T) {
	r, now := NewRates(), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	take := func(key string, at time.Duration, want bool) {
		t.Helper()
		if got := r.Take(key, 2, time.Second, now.Add(at)); got != want {
			t.Errorf("%s after %v: %v, want %v", key, at, got, want)
		}
	}
	take("a", 0, true)
	take("a", 0, true)
	take("a", 999*time.Millisecond, false)
	take("b", 0, true)
	take("a", time.Second, true)
	take("a", time.Second, true)
	take("a", 1999*time.Millisecond, false)
	take("a", -time.Hour, true) // the clock went back: nobody waits for it to come again
	if r.Take("c", 0, time.Second, now) {
		t.Error("none at all is one too many")
	}
}

func TestRatesAreBoundedAndExactAmongMany(t *testing.T) {
	r, now := NewRates(), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for n := range maxRates + 10 {
		r.Take(fmt.Sprint(n), 1, time.Second, now)
	}
	if len(r.all) > maxRates {
		t.Errorf("%d keys are kept", len(r.all))
	}
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				if r.Take("shared", 50, time.Second, now) {
					passed.Add(1)
				}
			}
		})
	}
	all.Wait()
	if passed.Load() != 50 {
		t.Errorf("%d passed, want 50", passed.Load())
	}
}
