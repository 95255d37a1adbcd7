// Package load sends HTTP requests in a closed loop over kept-alive connections
// and says how many a second were answered and how long they took. It writes and
// reads the bytes itself, because it shares the machine with what it measures and
// must cost little.
package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Plan says what to send.
type Plan struct {
	Address string // host:port
	Clients int    // connections, each with one request in flight

	// Requests is how many requests each client sends; 0 to go on until For is over.
	Requests int
	For      time.Duration

	// Next appends the whole request that a client sends as its n-th, and says
	// how many things it asks for (1, or the size of a batch).
	Next func(buf []byte, client, n int) ([]byte, int)

	// Status is what every answer must be one of.
	Status []int

	// Progress, if set, gets a line each second, rewritten in place.
	Progress io.Writer
	Name     string
}

// Result says what came of a plan.
type Result struct {
	Requests int
	Items    int
	Took     time.Duration
	Latency  Histogram
}

// PerSecond is how many items were answered a second.
func (r Result) PerSecond() float64 { return float64(r.Items) / r.Took.Seconds() }

// Run carries out a plan. It fails on the first answer that is not as it must be.
func Run(ctx context.Context, p Plan) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	clients := make([]*client, p.Clients)
	for i := range clients {
		conn, err := net.Dial("tcp", p.Address)
		if err != nil {
			return Result{}, err
		}
		defer conn.Close()
		clients[i] = &client{conn: conn, r: bufio.NewReaderSize(conn, 16<<10)}
	}
	context.AfterFunc(ctx, func() {
		for _, c := range clients {
			c.conn.SetDeadline(time.Unix(1, 0))
		}
	})
	var done atomic.Int64
	stopProgress := progress(p, &done)
	start := time.Now()
	var first error // what went wrong first; the others fail because of it
	var once sync.Once
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			if err := c.loop(ctx, p, i, start, &done); err != nil {
				once.Do(func() { first = err })
				cancel()
			}
		})
	}
	wg.Wait()
	result := Result{Took: time.Since(start)}
	stopProgress()
	for _, c := range clients {
		result.Requests += c.requests
		result.Items += c.items
		result.Latency.add(&c.latency)
	}
	return result, first
}

// client is one connection.
type client struct {
	conn            net.Conn
	r               *bufio.Reader
	buf             []byte
	requests, items int
	latency         Histogram
}

func (c *client) loop(ctx context.Context, p Plan, i int, start time.Time, done *atomic.Int64) error {
	for n := 0; (p.Requests == 0 || n < p.Requests) && (p.For == 0 || time.Since(start) < p.For); n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		var items int
		c.buf, items = p.Next(c.buf[:0], i, n)
		began := time.Now()
		if _, err := c.conn.Write(c.buf); err != nil {
			return err
		}
		status, err := c.answer()
		if err != nil {
			return err
		}
		if !slices.Contains(p.Status, status) {
			return fmt.Errorf("answer %d, want %v, to %s", status, p.Status, firstLine(c.buf))
		}
		c.latency.record(time.Since(began))
		c.requests++
		c.items += items
		done.Add(int64(items))
	}
	return nil
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(string(b), "\r\n")
	return line
}

// answer reads one response and throws its body away. It understands what
// net/http sends: a length, or chunks.
func (c *client) answer() (status int, err error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 12 {
		return 0, fmt.Errorf("not an HTTP answer: %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, err
	}
	length, chunked := 0, false
	for {
		if line, err = c.r.ReadSlice('\n'); err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			break
		}
		name, value, _ := strings.Cut(string(line), ":")
		switch strings.ToLower(name) {
		case "content-length":
			length, err = strconv.Atoi(strings.TrimSpace(value))
		case "transfer-encoding":
			chunked = true
		}
		if err != nil {
			return 0, err
		}
	}
	if !chunked {
		_, err = c.r.Discard(length)
		return status, err
	}
	for {
		if line, err = c.r.ReadSlice('\n'); err != nil {
			return 0, err
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(line)), 16, 64)
		if err != nil {
			return 0, err
		}
		if _, err := c.r.Discard(int(n) + 2); err != nil || n == 0 {
			return status, err
		}
	}
}

func progress(p Plan, done *atomic.Int64) (stop func()) {
	if p.Progress == nil {
		return func() {}
	}
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		last := int64(0)
		for {
			select {
			case <-tick.C:
				now := done.Load()
				fmt.Fprintf(p.Progress, "\r\x1b[K%s: %d done, %d/s", p.Name, now, now-last)
				last = now
			case <-quit:
				fmt.Fprint(p.Progress, "\r\x1b[K")
				return
			}
		}
	})
	return func() { close(quit); wg.Wait() }
}
