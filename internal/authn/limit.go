package authn

import (
	"sync"
	"time"
)

// Guessing is limited: after some failures each further one doubles the time
// until the next attempt is looked at. Addresses get more than accounts, because
// many people may share one.
const (
	freeForAccount = 5
	freeForAddress = 50
	firstWait      = time.Second
	longestWait    = 15 * time.Minute
	forgetAfter    = time.Hour
	maxTracked     = 100000
)

type attempts struct {
	failures int
	last     time.Time
}

// limiter counts failed sign-ins by account and by address. It is in memory: a
// restart, or another node, starts again, which costs a guesser nothing worth
// having against a minimum of 25 ms a guess.
type limiter struct {
	mu  sync.Mutex // guards all
	all map[string]attempts
}

func newLimiter() *limiter { return &limiter{all: map[string]attempts{}} }

// wait returns how long until the keys may try again, 0 if now.
func (l *limiter) wait(now time.Time, account, address string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(l.all[account].wait(now, freeForAccount), l.all[address].wait(now, freeForAddress))
}

func (a attempts) wait(now time.Time, free int) time.Duration {
	over := a.failures - free
	if over < 0 || now.Sub(a.last) > forgetAfter {
		return 0
	}
	wait := longestWait
	if over < 10 {
		wait = min(firstWait<<over, longestWait)
	}
	return max(0, a.last.Add(wait).Sub(now))
}

func (l *limiter) failed(now time.Time, keys ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) > maxTracked {
		for k, a := range l.all {
			if now.Sub(a.last) > forgetAfter || len(l.all) > maxTracked {
				delete(l.all, k)
			}
		}
	}
	for _, k := range keys {
		a := l.all[k]
		if now.Sub(a.last) > forgetAfter {
			a.failures = 0
		}
		l.all[k] = attempts{a.failures + 1, now}
	}
}

func (l *limiter) passed(account string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, account)
}
