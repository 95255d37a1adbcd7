package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"roster/client"
	"roster/internal/server"
)

// bed is two doors to one embedded server, as two nodes have one database.
// A door whose turn it is may fail a request before or after it is carried out.
type bed struct {
	urls []string
	key  string // of the platform
	n    atomic.Int64
	fail func(n int64) fate
}

type fate int

const (
	works       fate = iota
	unavailable      // refused, and nothing is done
	silent           // carried out, and the answer is lost
	forgetful        // carried out without the Idempotency-Key, and the answer is lost
)

func newBed(t *testing.T, fail func(n int64) fate) *bed {
	t.Helper()
	dir := t.TempDir()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	address, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- server.Run(ctx, server.Config{Storage: server.Storage{Data: dir}, Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)}, func(a string) { address <- a })
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	var target *url.URL
	select {
	case a := <-address:
		target = &url.URL{Scheme: "http", Host: a}
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(dir, "platform.key"))
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{key: strings.TrimSpace(string(key)), fail: fail}
	for range 2 {
		h := httputil.NewSingleHostReverseProxy(target)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			what := works
			if b.fail != nil && strings.Contains(r.URL.Path, "/groups") && r.Method != http.MethodGet {
				what = b.fail(b.n.Add(1))
			}
			switch what {
			case works:
				h.ServeHTTP(w, r)
				return
			case unavailable:
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			case forgetful:
				r.Header.Del("Idempotency-Key")
			}
			h.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}))
		t.Cleanup(s.Close)
		b.urls = append(b.urls, s.URL)
	}
	return b
}

// work runs the load until each of two writers has filled a few groups.
func (b *bed) work(t *testing.T) *load {
	t.Helper()
	l, err := newLoad(t.Context(), b.urls, b.key, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range l.writers {
		l.done.Go(func() {
			for range 2 {
				w.fillGroup(t.Context())
			}
		})
	}
	l.done.Wait()
	return l
}

func (l *load) verdict(t *testing.T) verdict {
	t.Helper()
	v, err := l.verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// acknowledgedOfAll is 2 writers, 2 groups each, that are made and given 100 users, of
// whom 12 are taken out again.
const acknowledgedOfAll = 2 * 2 * (1 + 100 + 12)

func TestARunInWhichNodesFailIsGoodIfNothingWasLost(t *testing.T) {
	b := newBed(t, func(n int64) fate {
		switch {
		case n%40 == 7:
			return unavailable
		case n%40 == 23:
			return silent
		}
		return works
	})
	v := b.work(t).verdict(t)
	if !v.good() {
		t.Errorf("%+v", v)
	}
	if v.Acknowledged != acknowledgedOfAll {
		t.Errorf("%d writes were acknowledged, want %d", v.Acknowledged, acknowledgedOfAll)
	}
	if v.Retries == 0 || v.Replayed == 0 || v.Checks == 0 {
		t.Errorf("%d attempts repeated, %d answers replayed, %d checks: want some of each", v.Retries, v.Replayed, v.Checks)
	}
}

func TestAWriteAppliedTwiceIsFound(t *testing.T) {
	for what, turn := range map[string]int64{"a group": 1, "a member": 20} {
		b := newBed(t, func(n int64) fate {
			if n == turn {
				return forgetful
			}
			return works
		})
		if v := b.work(t).verdict(t); v.good() || len(v.Twice)+len(v.Refused) == 0 {
			t.Errorf("%s: %+v", what, v)
		}
	}
}

func TestALostWriteIsFound(t *testing.T) {
	l := newBed(t, nil).work(t)
	c, err := client.New(l.urls[0], l.key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Tenant(tenant).RemoveMember(t.Context(), client.ByName("w0-0"), client.UserMember(client.ByName("u3"))); err != nil {
		t.Fatal(err)
	}
	if err := c.Tenant(tenant).DeleteGroup(t.Context(), client.ByName("w1-1"), 0); err != nil {
		t.Fatal(err)
	}
	v := l.verdict(t)
	for _, want := range []string{"u3 into w0-0", "the group w1-1"} {
		if !slices.Contains(v.Lost, want) {
			t.Errorf("lost are %q, without %q", v.Lost, want)
		}
	}
	if v.good() {
		t.Error("the run is called good")
	}
}

func TestAWriteThatNobodyAcknowledgedIsFound(t *testing.T) {
	l := newBed(t, nil).work(t)
	c, err := client.New(l.urls[0], l.key)
	if err != nil {
		t.Fatal(err)
	}
	// u7 was put in and taken out again: a removal that was undone.
	if _, err := c.Tenant(tenant).AddMember(t.Context(), client.ByName("w0-0"), client.UserMember(client.ByName("u7"))); err != nil {
		t.Fatal(err)
	}
	if v := l.verdict(t); v.good() || !slices.Contains(v.Unasked, "u7 stands in w0-0") {
		t.Errorf("%+v", v)
	}
}

func TestAStaleAnswerIsFound(t *testing.T) {
	l := newBed(t, nil).work(t)
	w := l.writers[0]
	w.check("u3", "w0-0", false)
	if v := l.verdict(t); v.good() || len(v.Stale) != 1 {
		t.Errorf("%+v", v)
	}
}

func TestRevisionsTellWhatWasLostAndWhatWasTooMuch(t *testing.T) {
	for _, c := range []struct {
		what  string
		acks  []uint64
		last  uint64
		wrong int
	}{
		{"all", []uint64{12, 11, 13}, 13, 0},
		{"one given to two", []uint64{11, 12, 12, 13}, 13, 1},
		{"one that nobody got", []uint64{11, 13}, 13, 1},
		{"more at the end", []uint64{11}, 12, 1},
		{"less at the end", []uint64{11, 12, 13}, 12, 1},
	} {
		var v verdict
		acks := make([]ack, len(c.acks))
		for i, r := range c.acks {
			acks[i].revision = r
		}
		v.compareRevisions(acks, 10, c.last)
		if len(v.Revisions) != c.wrong {
			t.Errorf("%s: %q", c.what, v.Revisions)
		}
	}
}

func TestThePauseIsTheLongestBetweenTwoAcknowledgements(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	l := &load{writers: []*writer{
		{acks: []ack{{at: at(100)}, {at: at(900)}}},
		{acks: []ack{{at: at(300)}, {at: at(5000)}}},
	}}
	if got := l.pause(at(0), at(1000)); got != 600*time.Millisecond {
		t.Errorf("pause %s, want 600ms", got)
	}
}

func TestStoppingEndsTheWriters(t *testing.T) {
	b := newBed(t, nil)
	l, err := newLoad(t.Context(), b.urls, b.key, 4)
	if err != nil {
		t.Fatal(err)
	}
	l.start(context.Background())
	err = until(t.Context(), time.Minute, "nothing is written", func(ctx context.Context) error {
		if now, err := l.revision(ctx); err != nil || now > l.from {
			return err
		}
		return errors.New("no revision is new")
	})
	l.stop()
	if err != nil {
		t.Fatal(err)
	}
	if v := l.verdict(t); !v.good() {
		t.Errorf("%+v", v)
	}
}
