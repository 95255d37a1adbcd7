package load

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestEveryRequestIsSentAndCounted(t *testing.T) {
	var served atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); string(body) != "hi" {
			t.Errorf("body %q, want hi", body)
		}
		if served.Add(1)%2 == 0 {
			w.(http.Flusher).Flush() // a chunked answer
		}
		fmt.Fprint(w, strings.Repeat("x", 100))
	}))
	defer s.Close()
	result, err := Run(t.Context(), Plan{
		Address: s.Listener.Addr().String(), Clients: 8, Requests: 50, Status: []int{200},
		Next: func(buf []byte, _, _ int) ([]byte, int) {
			return append(buf, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"...), 3
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if result.Requests != 400 || served.Load() != 400 || result.Items != 1200 {
		t.Errorf("%d requests, %d served, %d items; want 400, 400, 1200", result.Requests, served.Load(), result.Items)
	}
	if result.Latency.Quantile(0.99) == 0 {
		t.Error("no latency was recorded")
	}
}

func TestAWrongAnswerEndsTheRun(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	_, err := Run(context.Background(), Plan{
		Address: s.Listener.Addr().String(), Clients: 2, Requests: 5, Status: []int{200},
		Next: func(buf []byte, _, _ int) ([]byte, int) {
			return append(buf, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"...), 1
		},
	})
	if err == nil || !strings.Contains(err.Error(), "answer 404") {
		t.Errorf("error %v, want one that names answer 404", err)
	}
}

func TestQuantilesAreWithinABucket(t *testing.T) {
	var h Histogram
	for us := 1; us <= 100000; us++ {
		h.record(time.Duration(us) * time.Microsecond)
	}
	for _, q := range []float64{0.01, 0.5, 0.9, 0.999} {
		got, want := h.Quantile(q).Seconds(), q*0.1
		if got < want*0.93 || got > want*1.07 {
			t.Errorf("quantile %v is %vs, want about %vs", q, got, want)
		}
	}
}
