package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"

	"roster/bench/load"
	"roster/internal/directory"
	"roster/internal/id"
)

const clients = 64

// under measures a plan: what one of what it asks for cost, all clients together.
func under(ctx context.Context, plan load.Plan) (sample, error) {
	got, err := load.Run(ctx, plan)
	if err != nil {
		return sample{}, err
	}
	s := sample{cost: 1e9 / got.PerSecond()}
	if got.Requests > 1 {
		s.p99 = float64(got.Latency.Quantile(0.99))
	}
	return s, nil
}

// checks measures checks of residents in groups of the tree, through the core and
// over HTTP, where they are held against a bare net/http handler that returns the
// same bytes.
func (t *town) checks(ctx context.Context) ([]figure, error) {
	rng := rand.New(rand.NewPCG(5, 6))
	figures, err := t.alone(ctx, task{work: coreCheck, do: timedEach(1000, func() error {
		_, err := t.Directory.IsMember(ctx, t.p, directory.Check{
			User: directory.ByUser(t.ids[rng.IntN(t.residents)]), Group: directory.ByGroup(t.tree[rng.IntN(len(t.tree))].id),
		})
		return err
	})})
	if err != nil || !t.meter.wants(httpCheck) {
		return figures, err
	}
	plan := load.Plan{Clients: clients, Requests: t.meter.checks, Status: []int{200}, Next: t.checkRequests(t.ids[:t.residents], t.tree)}
	bare, err := echo(t.address, plan.Next)
	if err != nil {
		return nil, err
	}
	defer bare.Close()
	ask := func(address string) func() (sample, error) {
		plan := plan
		plan.Address = address
		return func() (sample, error) { return under(ctx, plan) }
	}
	more, err := t.underLoad(ctx, task{work: bareHTTP, do: ask(bare.Addr)}, task{work: httpCheck, do: ask(t.address)})
	return append(figures, more...), err
}

// checkRequests are requests that ask who is in what, each client in an order of
// its own.
func (b *bed) checkRequests(users []id.User, groups []group) func(buf []byte, client, n int) ([]byte, int) {
	head, tail := "GET /api/v1/tenants/"+b.tenant.String()+"/check?user=", " HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer "+b.key+"\r\n\r\n"
	return func(buf []byte, client, n int) ([]byte, int) {
		at := uint32(client*1_000_003+n) * 2_654_435_761 // scattered
		buf = append(buf, head...)
		buf = append(buf, users[int(at)%len(users)].String()...)
		buf = append(buf, "&group="...)
		buf = append(buf, groups[int(at>>7)%len(groups)].id.String()...)
		return append(buf, tail...), 1
	}
}

// echo serves what the first of the requests is answered with at an address, with
// the same headers, and does nothing for it. Addr is where.
func echo(address string, requests func([]byte, int, int) ([]byte, int)) (*http.Server, error) {
	raw, _ := requests(nil, 0, 0)
	line, _, _ := strings.Cut(string(raw), "\r\n")
	r, err := http.NewRequest("GET", "http://"+address+strings.Fields(line)[1], nil)
	if err != nil {
		return nil, err
	}
	_, key, _ := strings.Cut(string(raw), "Authorization: ")
	r.Header.Set("Authorization", strings.TrimSpace(key))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != 200 {
		return nil, fmt.Errorf("a check was answered %d: %s", resp.StatusCode, body)
	}
	resp.Header.Del("Date")
	resp.Header.Del("Content-Length")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &http.Server{Addr: listener.Addr().String(), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		for name, values := range resp.Header {
			h[name] = values
		}
		w.Write(body)
	})}
	go s.Serve(listener)
	return s, nil
}
