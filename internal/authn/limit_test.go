package authn

import (
	"fmt"
	"testing"
	"time"
)

func TestGuessingWaitsLongerWithEachFailure(t *testing.T) {
	l := newLimiter()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	wait := func() time.Duration { return l.wait(now, "ann", "here") }
	for i := range freeForAccount {
		if d := wait(); d != 0 {
			t.Fatalf("after %d failures the wait is %v, want none", i, d)
		}
		l.failed(now, "ann", "here")
	}
	want := firstWait
	for i := range 15 {
		if d := wait(); d != want {
			t.Fatalf("after %d failures the wait is %v, want %v", freeForAccount+i, d, want)
		}
		now = now.Add(want - time.Nanosecond)
		if d := wait(); d != time.Nanosecond {
			t.Fatalf("a nanosecond before its end the wait is %v", d)
		}
		now = now.Add(time.Nanosecond)
		if d := wait(); d != 0 {
			t.Fatalf("at its end the wait is %v", d)
		}
		l.failed(now, "ann", "here")
		want = min(2*want, longestWait)
	}
	if d := l.wait(now, "bob", "there"); d != 0 {
		t.Errorf("somebody else elsewhere waits %v", d)
	}
	if d := l.wait(now, "ann", "there"); d == 0 {
		t.Error("another address lets a guesser go on")
	}
	l.passed("ann")
	if d := wait(); d != 0 {
		t.Errorf("after signing in the wait is %v", d)
	}
}

func TestAnAddressMayFailMoreOftenThanAnAccount(t *testing.T) {
	l := newLimiter()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range freeForAddress {
		if d := l.wait(now, fmt.Sprint("new ", i), "here"); d != 0 {
			t.Fatalf("after %d accounts the address waits %v", i, d)
		}
		l.failed(now, fmt.Sprint(i), "here")
	}
	if d := l.wait(now, "fresh", "here"); d != firstWait {
		t.Errorf("after %d accounts the address waits %v, want %v", freeForAddress, d, firstWait)
	}
	l.passed("fresh") // one success does not free the address
	if d := l.wait(now, "fresh", "here"); d == 0 {
		t.Error("a success somewhere frees a guessing address")
	}
	if d := l.wait(now.Add(forgetAfter+time.Nanosecond), "fresh", "here"); d != 0 {
		t.Errorf("after an hour the address still waits %v", d)
	}
	// A clock that goes back lets nobody wait longer than the longest.
	if d := l.wait(now.Add(-time.Second), "fresh", "here"); d > longestWait+time.Second {
		t.Errorf("with the clock back the wait is %v", d)
	}
}

func TestFailuresAreForgottenAndBounded(t *testing.T) {
	l := newLimiter()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for range 2 * freeForAccount {
		l.failed(now, "ann")
	}
	now = now.Add(forgetAfter + time.Nanosecond)
	l.failed(now, "ann")
	if d := l.wait(now, "ann", ""); d != 0 {
		t.Errorf("a failure after an hour counts with those before: %v", d)
	}
	for i := range maxTracked + 1000 {
		l.failed(now, fmt.Sprint(i))
	}
	if n := len(l.all); n > maxTracked+1 {
		t.Errorf("%d are tracked, want at most %d", n, maxTracked)
	}
}

func TestOnlyHashesWithinBoundsAreComputed(t *testing.T) {
	const salt, key = "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for s, ok := range map[string]bool{
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + key:             true,
		"$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + key:                 true,
		"$argon2id$v=19$m=262144,t=10,p=8$" + salt + "$" + key:           true,
		"$argon2id$v=19$m=262145,t=10,p=8$" + salt + "$" + key:           false,
		"$argon2id$v=19$m=7,t=1,p=1$" + salt + "$" + key:                 false,
		"$argon2id$v=19$m=19456,t=11,p=1$" + salt + "$" + key:            false,
		"$argon2id$v=19$m=19456,t=0,p=1$" + salt + "$" + key:             false,
		"$argon2id$v=19$m=19456,t=2,p=9$" + salt + "$" + key:             false,
		"$argon2id$v=19$m=19456,t=2,p=0$" + salt + "$" + key:             false,
		"$argon2id$v=19$m=19456,t=2,p=257$" + salt + "$" + key:           false,
		"$argon2id$v=19$m=-1,t=2,p=1$" + salt + "$" + key:                false,
		"$argon2id$v=19$m=99999999999,t=2,p=1$" + salt + "$" + key:       false,
		"$argon2id$v=16$m=19456,t=2,p=1$" + salt + "$" + key:             false,
		"$argon2id$v=19x$m=19456,t=2,p=1$" + salt + "$" + key:            false,
		"$argon2id$v=19$m=19456,t=2,p=1,keyid=x$" + salt + "$" + key:     false,
		"$argon2id$v=19$t=2,m=19456,p=1$" + salt + "$" + key:             false,
		"$argon2id$v=19$m=019456,t=2,p=1$" + salt + "$" + key:            false,
		"$argon2i$v=19$m=19456,t=2,p=1$" + salt + "$" + key:              false,
		"$argon2id$v=19$m=19456,t=2,p=1$AAAA$" + key:                     false,
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$AAAA":               false,
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + key + key + key: false,
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "==$" + key:           false,
		"$argon2id$v=19$m=19456,t=2,p=1$!!$" + key:                       false,
		"x$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + key:            false,
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + key + "$":       false,
		"$2y$10$abcdefghijklmnopqrstuv":                                  false,
		"":                                                               false,
		"$$$$$":                                                          false,
	} {
		if err := CheckPHC(s); (err == nil) != ok {
			t.Errorf("CheckPHC(%q) is %v, want that it is good: %v", s, err, ok)
		}
	}
}

func FuzzPHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=,t=,p=$$")
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := parsePHC(s); err == nil && (p.memory > 256*1024 || p.passes > 10 || p.lanes > 8 || p.lanes == 0 || len(p.key) > 64) {
			t.Errorf("%q is let through: %+v", s, p)
		}
	})
}
