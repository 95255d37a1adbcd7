package server_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"roster/internal/store/postgres/pgtest"
)

// asked and told are an operation of a history, on one membership.
type (
	asked struct {
		user string
		op   string // add, remove, check or check by name
	}
	told struct {
		unknown bool // no answer came, or one that does not know
		changed bool // of add and remove: it was not so before
		member  bool // of check
	}
)

// membership is what a history of one membership must look as if it happened
// one operation after the other: somebody is in, or is not.
var membership = porcupine.Model{
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		at := map[string]int{}
		for _, o := range history {
			user := o.Input.(asked).user
			i, ok := at[user]
			if !ok {
				i = len(parts)
				at[user], parts = i, append(parts, nil)
			}
			parts[i] = append(parts[i], o)
		}
		return parts
	},
	Init: func() any { return false },
	Step: func(state, input, output any) (bool, any) {
		in, out := state.(bool), output.(told)
		switch input.(asked).op {
		case "add":
			return out.unknown || out.changed == !in, true
		case "remove":
			return out.unknown || out.changed == in, false
		}
		return out.unknown || out.member == in, in
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %+v", input, output) },
}

// historian records what clients do and are told.
type historian struct {
	began   time.Time
	mu      sync.Mutex // guards history, unknown
	history []porcupine.Operation
	unknown int
}

// do sends one call to a node and records it.
func (h *historian) do(ctx context.Context, t *testing.T, d *deployment, client int, n *node, in asked) {
	var c apiCall
	switch in.op {
	case "add":
		c = d.member(http.MethodPut, in.user)
	case "remove":
		c = d.member(http.MethodDelete, in.user)
	case "check":
		c = d.checkID(in.user)
	case "check by name":
		c = d.check(in.user)
	}
	called := time.Since(h.began)
	got, err := n.send(ctx, c)
	returned := time.Since(h.began)
	var out told
	switch {
	case err != nil, got.status == http.StatusServiceUnavailable && got.Code == "outcome.unknown":
		out.unknown = true
	case got.status == http.StatusServiceUnavailable:
		return // it says that nothing was written
	case got.status != http.StatusOK && got.status != http.StatusCreated:
		t.Errorf("%s %s: status %d: %s", c.method, c.path, got.status, got.text)
		return
	default:
		out.changed = got.Outcome == "added" || got.Outcome == "removed"
		out.member = got.Member
	}
	if out.unknown && in.op != "add" && in.op != "remove" {
		return // what nobody was told is nobody's business
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if out.unknown {
		h.unknown++
	}
	o := porcupine.Operation{ClientId: client, Input: in, Output: out, Call: int64(called), Return: int64(returned)}
	if out.unknown {
		o.Return = 0 // it may happen at any time from then on; see check
	}
	h.history = append(h.history, o)
}

// check has the history checked.
func (h *historian) check(t *testing.T) {
	t.Helper()
	end := int64(time.Since(h.began))
	for i := range h.history {
		if h.history[i].Return == 0 {
			h.history[i].Return = end
		}
	}
	t.Logf("%d operations, of %d nobody knows whether they happened", len(h.history), h.unknown)
	switch result, info := porcupine.CheckOperationsVerbose(membership, h.history, hang); result {
	case porcupine.Illegal:
		t.Error("the history is not linearizable")
		for _, part := range membership.Partition(h.history) {
			if !porcupine.CheckOperations(membership, part) {
				for _, o := range part {
					t.Logf("%d to %d: client %d: %+v: %+v", o.Call, o.Return, o.ClientId, o.Input, o.Output)
				}
				return
			}
		}
	case porcupine.Unknown:
		t.Errorf("the history could not be checked in time: %v", info)
	}
}

func TestHistoriesOverThreeNodesAreLinearizable(t *testing.T) {
	long(t)
	t.Parallel()
	const users = 6
	server := pgtest.Shared(t)
	dsn := server.Database(t)
	var proxies []*proxy
	var dsns []string
	for range 3 {
		p := newProxy(t, server.Address())
		proxies, dsns = append(proxies, p), append(dsns, viaTCP(t, server, dsn, p.address(), ""))
	}
	d := deploy(t, dsn, rounds(1)*users, dsns...)
	for i := range rounds(1) {
		d.history(t, proxies, i*users, users)
		d.wholeLog(t)
		if t.Failed() {
			return
		}
	}
}

// history has clients work on the memberships of some users, of whom nobody is
// in yet, through three nodes, whose connections go through the proxies, and
// checks what they were told.
func (d *deployment) history(t *testing.T, proxies []*proxy, first, users int) {
	t.Helper()
	const clients = 12
	h := &historian{began: time.Now()}
	ops := []string{"add", "remove", "check", "check", "check", "check by name"}
	// Some clients do not wait for every answer.
	part := func(perClient int) {
		var all sync.WaitGroup
		for client := range clients {
			all.Go(func() {
				for i := range perClient {
					in := asked{fmt.Sprintf("u%d", first+rand.IntN(users)), ops[rand.IntN(len(ops))]}
					ctx, cancel := t.Context(), context.CancelFunc(func() {})
					if client%4 == 0 && i%10 == 0 {
						ctx, cancel = context.WithTimeout(ctx, rand.N(5*time.Millisecond))
					}
					h.do(ctx, t, d, client, d.nodes[(client+i)%3], in)
					cancel()
				}
			})
		}
		all.Wait()
	}
	part(200)
	// And while connections are cut, at commits and anywhere.
	stop := make(chan struct{})
	var chaos sync.WaitGroup
	chaos.Go(func() {
		for i := 0; ; i++ {
			p := proxies[i%3]
			switch i % 4 {
			case 0:
				p.on(nil, func() fate { return cut })
			case 1:
				p.on(func() fate { return cut }, nil)
			case 2:
				p.cutAll()
			case 3:
				p.slow(rand.N(5 * time.Millisecond))
			}
			select {
			case <-time.After(200 * time.Millisecond):
			case <-stop:
				return
			}
		}
	})
	part(40)
	close(stop)
	chaos.Wait()
	for _, p := range proxies {
		p.slow(0)
		p.on(nil, nil)
	}
	// A node dies, with what it was asked.
	var dying sync.WaitGroup
	dying.Go(func() {
		time.Sleep(100 * time.Millisecond)
		d.nodes[1].kill()
	})
	part(30)
	dying.Wait()
	d.nodes[1].restart(t)
	part(20)
	h.check(t)
	if len(h.history) < 2000 || h.unknown == 0 {
		t.Errorf("only %d operations, %d without an answer: that tests little", len(h.history), h.unknown)
	}
}
