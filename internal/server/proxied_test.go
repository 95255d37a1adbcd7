package server_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestWhoIsBehindAProxyDoesNotPayForOthersThere(t *testing.T) {
	p := start(t, t.TempDir(), "--proxies", "127.0.0.0/8", "--set", "syncano.throttle=on")
	ask := func(client string) int {
		r, err := http.NewRequest("POST", p.BaseURL+"/v1.1/account/auth/", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Forwarded-For", client)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return 0
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	var throttled atomic.Int32
	for range 5 {
		var burst sync.WaitGroup
		for range 40 {
			burst.Go(func() {
				if ask("198.51.100.1") == http.StatusTooManyRequests {
					throttled.Add(1)
				}
			})
		}
		burst.Wait()
		if got := ask("198.51.100.2"); got != http.StatusBadRequest {
			t.Fatalf("after %d requests of another client were throttled, this one got %d, want 400", throttled.Load(), got)
		}
	}
	if throttled.Load() == 0 {
		t.Skip("no burst came within a second, so nobody was throttled and this shows nothing")
	}
}
