package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the reference rate is the engine's own

	"roster/bench/load"
	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/id"
)

const clients = 64

// checkHTTP holds a check over HTTP against a bare net/http handler that returns
// the same bytes.
func checkHTTP(ctx context.Context, s size, progress io.Writer) ([]row, error) {
	b, err := newBed(ctx, "")
	if err != nil {
		return nil, err
	}
	defer b.close()
	users, groups, err := b.town(ctx)
	if err != nil {
		return nil, err
	}
	request := b.checks(users, groups)

	// The bare handler answers what a check answers, with the same headers.
	sample, err := sampleAnswer(b.address, request)
	if err != nil {
		return nil, err
	}
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	bareServer := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		for name, values := range sample.header {
			h[name] = values
		}
		w.Write(sample.body)
	})}
	go bareServer.Serve(bare)
	defer bareServer.Close()

	plan := load.Plan{Clients: clients, Requests: s.checks, Next: request, Status: []int{200}, Progress: progress, Name: "check over HTTP"}
	var ratios, measured, reference []float64
	var latency load.Histogram
	for range 5 {
		plan.Address = bare.Addr().String()
		want, err := load.Run(ctx, plan)
		if err != nil {
			return nil, err
		}
		plan.Address = b.address
		got, err := load.Run(ctx, plan)
		if err != nil {
			return nil, err
		}
		ratios = append(ratios, got.PerSecond()/want.PerSecond())
		measured, reference = append(measured, got.PerSecond()), append(reference, want.PerSecond())
		latency = got.Latency
	}
	ratio := median(ratios)
	return []row{{
		work:      "check over HTTP, 64 clients",
		measured:  fmt.Sprintf("%s (p99 %s)", perSecond(median(measured)), latency.Quantile(0.99)),
		reference: perSecond(median(reference)) + " bare net/http",
		ratio:     ratio, budget: ">= 0.8", met: ratio >= 0.8,
	}}, nil
}

// town makes a thousand users, a tenth of whom are in each of a hundred groups.
func (b *bed) town(ctx context.Context) (users []id.User, groups []id.Group, err error) {
	if users, groups, err = b.fill(ctx, 1000, 100); err != nil {
		return nil, nil, err
	}
	for i, g := range groups {
		var members []directory.MemberRef
		for j := i; j < len(users); j += 10 {
			members = append(members, directory.MemberRef{Ref: directory.ByUser(users[j])})
		}
		if _, err := b.Directory.ChangeMembers(ctx, b.p, directory.MembersChange{Group: directory.ByGroup(g), Add: members}); err != nil {
			return nil, nil, err
		}
	}
	return users, groups, nil
}

// checks are requests that ask about them, each client in an order of its own.
func (b *bed) checks(users []id.User, groups []id.Group) func(buf []byte, client, n int) ([]byte, int) {
	return func(buf []byte, client, n int) ([]byte, int) {
		buf = append(buf, "GET /api/v1/tenants/"...)
		buf = append(buf, b.tenant.String()...)
		buf = append(buf, "/check?user="...)
		buf = append(buf, users[(client*7919+n)%len(users)].String()...)
		buf = append(buf, "&group="...)
		buf = append(buf, groups[(client+n)%len(groups)].String()...)
		buf = append(buf, " HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer "...)
		buf = append(buf, b.key...)
		return append(buf, "\r\n\r\n"...), 1
	}
}

type answer struct {
	header http.Header
	body   []byte
}

func sampleAnswer(address string, request func([]byte, int, int) ([]byte, int)) (answer, error) {
	raw, _ := request(nil, 0, 0)
	line, _, _ := strings.Cut(string(raw), "\r\n")
	r, err := http.NewRequest("GET", "http://"+address+strings.Fields(line)[1], nil)
	if err != nil {
		return answer{}, err
	}
	_, key, _ := strings.Cut(string(raw), "Authorization: ")
	r.Header.Set("Authorization", strings.TrimSpace(key))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = fmt.Errorf("sample check answered %d: %s", resp.StatusCode, body)
	}
	resp.Header.Del("Date")
	resp.Header.Del("Content-Length")
	return answer{resp.Header, body}, err
}

// pairs is a set of (group, user) pairs of which half are preloaded, group by
// group, and the others come one at a time in scattered order.
type pairs struct{ groups, users int }

// preloaded reports whether the pair is among those that are there before.
func (p pairs) preloaded(g, u int) bool { return (g*31+u*17)%2 == 0 }

// scattered returns the i-th of those that come later.
func (p pairs) scattered(i int) (g, u int) {
	const step = 7_368_787 // a prime, so that every pair's turn comes once
	n := p.groups * p.users / 2
	at := i % n * step % n * 2
	g, u = at/p.users, at%p.users
	if p.preloaded(g, u) {
		u++
	}
	return g, u
}

// addHTTP holds durable adds over HTTP, one at a time and 10,000 in a call,
// against the engine's own rate for inserting the same edges in the same order in
// batches, into a table as full.
func addHTTP(ctx context.Context, s size, progress io.Writer) ([]row, error) {
	b, err := newBed(ctx, "")
	if err != nil {
		return nil, err
	}
	defer b.close()
	const batch = 10000
	p := pairs{groups: s.preload / batch * 2, users: batch}
	us, gs, err := b.fill(ctx, p.users, p.groups+2*s.batches)
	if err != nil {
		return nil, err
	}
	raw, err := newEngine(filepath.Join(b.dir, "raw.db"))
	if err != nil {
		return nil, err
	}
	defer raw.close()
	for g := range p.groups {
		fmt.Fprintf(progress, "\r\x1b[Kadd over HTTP: preloading, %d of %d", g*batch/2, s.preload)
		var members []directory.MemberRef
		var edges []edge
		for u := range p.users {
			if p.preloaded(g, u) {
				members = append(members, directory.MemberRef{Ref: directory.ByUser(us[u])})
				edges = append(edges, edge{g, u})
			}
		}
		if _, err := b.Directory.ChangeMembers(ctx, b.p, directory.MembersChange{Group: directory.ByGroup(gs[g]), Add: members}); err != nil {
			return nil, err
		}
		if _, err := raw.insert(edges); err != nil {
			return nil, err
		}
	}

	var singles, engine, ratios []float64
	var latency load.Histogram
	next := 0
	for range 5 {
		edges := make([]edge, clients*s.adds)
		for i := range edges {
			edges[i].group, edges[i].user = p.scattered(next + i)
		}
		rate, err := raw.insert(edges)
		if err != nil {
			return nil, err
		}
		got, err := load.Run(ctx, load.Plan{
			Address: b.address, Clients: clients, Requests: s.adds, Status: []int{201}, Progress: progress, Name: "single adds over HTTP",
			Next: func(buf []byte, client, n int) ([]byte, int) {
				e := edges[client*s.adds+n]
				return b.put(buf, gs[e.group], us[e.user]), 1
			},
		})
		if err != nil {
			return nil, err
		}
		next += len(edges)
		singles, engine, ratios = append(singles, got.PerSecond()), append(engine, rate), append(ratios, got.PerSecond()/rate)
		latency = got.Latency
	}

	// In one call by each of two doors, into groups of their own.
	inOne := func(work string, first int, request func(buf []byte, g int) []byte) (row, error) {
		var measured, reference, ratios []float64
		for g := first; g < first+s.batches; g++ {
			edges := make([]edge, batch)
			for u := range edges {
				edges[u] = edge{g, u}
			}
			rate, err := raw.insert(edges)
			if err != nil {
				return row{}, err
			}
			got, err := load.Run(ctx, load.Plan{
				Address: b.address, Clients: 1, Requests: 1, Status: []int{200}, Progress: progress, Name: work,
				Next: func(buf []byte, _, _ int) ([]byte, int) { return request(buf, g), batch },
			})
			if err != nil {
				return row{}, err
			}
			measured, reference, ratios = append(measured, got.PerSecond()), append(reference, rate), append(ratios, got.PerSecond()/rate)
		}
		return row{
			work: work, measured: perSecond(median(measured)),
			reference: perSecond(median(reference)) + " engine, same edges in batches of 1,000",
			ratio:     median(ratios), budget: ">= 0.7", met: median(ratios) >= 0.7,
		}, nil
	}
	body := everybody(us)
	native, err := inOne("10,000 adds in one call", p.groups, func(buf []byte, g int) []byte { return b.post(buf, gs[g], body) })
	if err != nil {
		return nil, err
	}
	assign, err := b.assignUser(ctx, gs[p.groups+s.batches:], batch)
	if err != nil {
		return nil, err
	}
	dronahq, err := inOne("10,000 ids in one assign_user", p.groups+s.batches, func(buf []byte, g int) []byte { return assign(buf, g-p.groups-s.batches) })
	if err != nil {
		return nil, err
	}
	ratio := median(ratios)
	return []row{
		{
			work:      fmt.Sprintf("durable single adds over HTTP, 64 clients, scattered, %d there", s.preload),
			measured:  fmt.Sprintf("%s (p99 %s)", perSecond(median(singles)), latency.Quantile(0.99)),
			reference: perSecond(median(engine)) + " engine, same edges in batches of 1,000",
			ratio:     ratio, budget: ">= 0.5", met: ratio >= 0.5,
		}, native, dronahq,
	}, nil
}

// assignUser returns requests of the DronaHQ dialect that assign users 1 to n to
// one of the groups.
func (b *bed) assignUser(ctx context.Context, groups []id.Group, n int) (func(buf []byte, g int) []byte, error) {
	key, hash, _ := b.Authn.Mint(authn.DronaHQ)
	_, err := b.Directory.CreateCredential(ctx, b.p, directory.NewCredential{Kind: authn.DronaHQ, Name: "bench", Grants: directory.WriteMembers, Hash: hash})
	if err != nil {
		return nil, err
	}
	numbers := make([]id.Number, len(groups))
	for i, g := range groups {
		a, err := b.Directory.Group(ctx, b.p, directory.ByGroup(g))
		if err != nil {
			return nil, err
		}
		numbers[i] = a.Value.Number
	}
	ids := make([]string, n)
	for i := range ids {
		ids[i] = strconv.Itoa(i + 1)
	}
	body := `{"token_key":"` + key + `","assign":[` + strings.Join(ids, ",") + `]}`
	return func(buf []byte, g int) []byte {
		return fmt.Appendf(buf, "POST /groups/%d/actions/assign_user HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			numbers[g], len(body), body)
	}, nil
}

func (b *bed) put(buf []byte, g id.Group, u id.User) []byte {
	return fmt.Appendf(buf, "PUT /api/v1/tenants/%s/groups/%s/members/%s HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\n\r\n",
		b.tenant, g, u, b.key)
}

// everybody is the body of a batch that adds all of these users to a group.
func everybody(users []id.User) string {
	texts := make([]string, len(users))
	for i, u := range users {
		texts[i] = u.String()
	}
	return `{"mode":"atomic","add":["` + strings.Join(texts, `","`) + `"]}`
}

func (b *bed) post(buf []byte, g id.Group, body string) []byte {
	return fmt.Appendf(buf, "POST /api/v1/tenants/%s/groups/%s/members:batch HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		b.tenant, g, b.key, len(body), body)
}

// edge is one membership, by places in lists.
type edge struct{ group, user int }

// engine is the embedded engine by itself: the edge table and its two B-trees as
// the store has them, and nothing of Roster.
type engine struct {
	db   *sql.DB
	next int
}

func newEngine(path string) (*engine, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(16384)&_pragma=cache_size(-65536)&_pragma=temp_store(MEMORY)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	_, err = db.Exec(`CREATE TABLE edges (
  tenant INTEGER NOT NULL, grp INTEGER NOT NULL, member INTEGER NOT NULL, serial INTEGER NOT NULL, revision INTEGER NOT NULL,
  added INTEGER NOT NULL, starts INTEGER NOT NULL, ends INTEGER NOT NULL, role INTEGER NOT NULL, source TEXT, reason TEXT,
  PRIMARY KEY (tenant, grp, member)) WITHOUT ROWID;
CREATE INDEX edges_member ON edges (tenant, member, grp, starts, ends);`)
	return &engine{db: db}, err
}

func (e *engine) close() error { return e.db.Close() }

// insert makes durable commits of 1,000 rows each and returns rows a second.
func (e *engine) insert(edges []edge) (float64, error) {
	start := time.Now()
	for chunk := range slices.Chunk(edges, 1000) {
		tx, err := e.db.Begin()
		if err != nil {
			return 0, err
		}
		st, err := tx.Prepare("INSERT INTO edges VALUES (1, ?, ?, ?, ?, 0, 0, 0, 0, NULL, NULL)")
		if err != nil {
			return 0, err
		}
		for _, edge := range chunk {
			e.next++
			if _, err := st.Exec(edge.group+1, edge.user+1, e.next, e.next); err != nil {
				return 0, err
			}
		}
		if err := tx.Commit(); err != nil {
			return 0, err
		}
	}
	return float64(len(edges)) / time.Since(start).Seconds(), nil
}

func median(list []float64) float64 {
	s := slices.Sorted(slices.Values(list))
	return s[len(s)/2]
}
