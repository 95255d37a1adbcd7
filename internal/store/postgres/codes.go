package postgres

import (
	"context"
	"slices"
	"sync"

	"roster/internal/directory"
)

// codes gives out codes, which are counted across the deployment. A node draws a
// run of them at a time, outside of any transaction, so that tenants that make
// users at the same time do not wait for each other's commits. What a transaction
// that came to nothing had been given goes back; what a node had left when it
// ended is not given any more.
type codes struct {
	s  *Store
	mu sync.Mutex // guards of
	of map[string]*run
}

// run are the codes of one kind that this node may give: those returned, sorted,
// and then from next up to end.
type run struct {
	returned  []int64
	next, end int64
}

// runLength is how many codes are drawn at once.
const runLength = 64

// drawn is a code that was given out.
type drawn struct {
	kind string
	code int64
}

// draw gives out the next code of a kind.
func (c *codes) draw(ctx context.Context, kind string) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.of[kind]
	if r == nil {
		r = &run{}
		if c.of == nil {
			c.of = map[string]*run{}
		}
		c.of[kind] = r
	}
	if len(r.returned) > 0 {
		code := r.returned[0]
		r.returned = r.returned[1:]
		return code, nil
	}
	if r.next >= r.end {
		err := c.s.lend(ctx, func(conn *conn) error {
			return conn.row(ctx, "UPDATE counters SET next = next + $2 WHERE name = $1 RETURNING next - $2", kind, int64(runLength)).Scan(&r.next)
		})
		if err != nil {
			return 0, err
		}
		r.end = r.next + runLength
	}
	code := r.next
	r.next++
	return code, nil
}

// giveBack takes codes back that nothing was called by.
func (c *codes) giveBack(list []drawn) {
	if len(list) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range list {
		r := c.of[d.kind]
		r.returned = append(r.returned, d.code)
		slices.Sort(r.returned)
	}
}

// chosen moves the counters past codes that were chosen and committed. It is only
// for people to find codes in an order that they expect: should this fail, the
// codes that come are found to be in use, and passed over.
func (c *codes) chosen(highest map[string]int64) {
	for kind, code := range highest {
		c.mu.Lock()
		if r := c.of[kind]; r != nil && code >= r.next {
			r.next = code + 1
			r.returned = slices.DeleteFunc(r.returned, func(n int64) bool { return n <= code })
		}
		c.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), quickly)
		c.s.lend(ctx, func(conn *conn) error {
			return conn.exec(ctx, "UPDATE counters SET next = $2 WHERE name = $1 AND next < $2", kind, code+1)
		})
		cancel()
	}
}

// nextCode gives out a code, or notes one that was chosen, and makes it taken.
func (w *writer) nextCode(kind string, code *int64) error {
	if *code != 0 {
		if *code > directory.MaxCode {
			return errNoCodes
		}
		n, err := w.takeCode(kind, *code)
		if err == nil && n == 0 {
			err = directory.ErrCodeTaken
		}
		if w.chosen == nil {
			w.chosen = map[string]int64{}
		}
		w.chosen[kind] = max(w.chosen[kind], *code)
		return err
	}
	for {
		next, err := w.draw(kind)
		if err != nil {
			return err
		}
		if next > directory.MaxCode {
			return errNoCodes
		}
		n, err := w.takeCode(kind, next)
		if err != nil {
			return err
		}
		if n > 0 {
			*code = next
			return nil
		} // else it was chosen before its turn
	}
}

var errNoCodes = &directory.Error{Kind: directory.Unavailable, Code: "code.exhausted", Detail: "The deployment has no codes left to give."}

func (w *writer) draw(kind string) (int64, error) {
	code, err := w.o.s.codes.draw(w.ctx, kind)
	if err == nil {
		d := drawn{kind, code}
		w.drawn, w.o.drawn = append(w.drawn, d), append(w.o.drawn, d)
	}
	return code, err
}

func (w *writer) takeCode(kind string, code int64) (int64, error) {
	return w.c.affect(w.ctx, "INSERT INTO codes (kind, code) VALUES ($1, $2) ON CONFLICT (kind, code) DO NOTHING", kind, code)
}
