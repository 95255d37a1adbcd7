// Package directorytest makes directories for tests: the real core on the real
// embedded store, in a temporary directory, under a clock that stands still.
package directorytest

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/sqlite"
)

// Start is when a [Clock] begins.
var Start = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)

// Clock stands still until it is moved. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

// NewClock returns a clock that stands at [Start].
func NewClock() *Clock { return &Clock{now: Start} }

// Now returns where the clock stands.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock, backwards if d is negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// World is a directory with what is around it.
type World struct {
	*directory.Directory
	Authn *authn.Authenticator
	Clock *Clock
	Store directory.Store
}

// New returns an empty world that ends with the test. log may be nil.
func New(t testing.TB, log *slog.Logger) *World {
	t.Helper()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	clock := NewClock()
	store, err := sqlite.Open(context.Background(), t.TempDir(), sqlite.WithClock(clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	d := directory.New(store, directory.Options{Log: log, Clock: clock.Now})
	t.Cleanup(func() {
		d.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	sealer, err := authn.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return &World{Directory: d, Authn: authn.New(d, sealer, log), Clock: clock, Store: store}
}

// Root is a principal of the platform, who may do everything.
func Root() directory.Principal {
	return directory.Principal{Credential: root, Grants: directory.Platform, Name: "test", Dialect: "test"}
}

var root = id.New[id.Credential]()

// In returns p acting in a tenant.
func In(p directory.Principal, t id.Tenant) directory.Principal {
	p.Tenant = t
	if p.Grants.Has(directory.Platform) {
		p.Grants |= directory.Admin
	}
	return p
}
