package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"roster/bench/load"
	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/store/postgres/pgtest"
)

// nodeConnections is how many connections a node opens by itself, and so how many
// the reference gets.
const nodeConnections = 20

// postgresBed is a node on a private PostgreSQL server, with a second database on
// the same server for the reference.
type postgresBed struct {
	*bed
	server *pgtest.Server
	raw    *pgxpool.Pool
}

func newPostgresBed(ctx context.Context) (_ *postgresBed, err error) {
	p := &postgresBed{}
	if p.server, err = pgtest.Begin("max_wal_size = 4GB"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if err := p.server.Do("CREATE DATABASE roster", "CREATE DATABASE raw"); err != nil {
		return nil, err
	}
	os.Setenv(authn.SealKeyEnv, strings.Repeat("0", 64)) // of a database that goes away
	if p.bed, err = newBed(ctx, p.server.DSN("roster")); err != nil {
		return nil, err
	}
	p.raw, err = pgxpool.New(ctx, p.server.DSN("raw")+fmt.Sprint("&pool_max_conns=", nodeConnections))
	if err != nil {
		return nil, err
	}
	for _, q := range []string{
		`CREATE TABLE edges (
  tenant bigint NOT NULL, grp integer NOT NULL, member integer NOT NULL, serial bigint NOT NULL, revision bigint NOT NULL,
  added bigint NOT NULL, starts bigint NOT NULL, ends bigint NOT NULL, role smallint NOT NULL, source text, reason text,
  PRIMARY KEY (tenant, grp, member))`,
		"CREATE INDEX edges_member ON edges (tenant, member, grp) INCLUDE (starts, ends)",
		"CREATE TABLE heads (tenant bigint PRIMARY KEY, revision bigint NOT NULL)",
		"INSERT INTO heads SELECT g, g FROM generate_series(1, 1000) g",
	} {
		if _, err := p.raw.Exec(ctx, q); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *postgresBed) close() error {
	var err error
	if p.raw != nil {
		p.raw.Close()
	}
	if p.bed != nil {
		err = p.bed.close()
	}
	p.server.End()
	return err
}

// rate runs work n times in each of 64 goroutines and returns how often a second.
func rate(n int, work func(client, i int) error) (float64, error) {
	errs := make([]error, clients)
	var all sync.WaitGroup
	start := time.Now()
	for c := range clients {
		all.Go(func() {
			for i := range n {
				if errs[c] = work(c, i); errs[c] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	return float64(clients*n) / time.Since(start).Seconds(), errors.Join(errs...)
}

// checkPostgres holds a strong check over HTTP on a node of several against one
// read of one row by its key, which is the least that a node has to ask.
func checkPostgres(ctx context.Context, s size, progress io.Writer) ([]row, error) {
	p, err := newPostgresBed(ctx)
	if err != nil {
		return nil, err
	}
	defer p.close()
	users, groups, err := p.town(ctx)
	if err != nil {
		return nil, err
	}
	plan := load.Plan{Address: p.address, Clients: clients, Requests: s.checks, Next: p.checks(users, groups), Status: []int{200}, Progress: progress, Name: "strong check on PostgreSQL"}
	var ratios, measured, reference []float64
	var latency load.Histogram
	for range 5 {
		want, err := rate(s.checks, func(client, i int) error {
			var revision int64
			return p.raw.QueryRow(ctx, "SELECT revision FROM heads WHERE tenant = $1", int64((client*31+i)%1000+1)).Scan(&revision)
		})
		if err != nil {
			return nil, err
		}
		got, err := load.Run(ctx, plan)
		if err != nil {
			return nil, err
		}
		ratios = append(ratios, got.PerSecond()/want)
		measured, reference = append(measured, got.PerSecond()), append(reference, want)
		latency = got.Latency
	}
	return []row{{
		work:      "PostgreSQL: strong check over HTTP, 64 clients",
		measured:  fmt.Sprintf("%s (p99 %s)", perSecond(median(measured)), latency.Quantile(0.99)),
		reference: perSecond(median(reference)) + " point reads by pgx, 64 clients",
		ratio:     median(ratios),
	}}, nil
}

// addPostgres holds durable adds over HTTP on PostgreSQL, one at a time against
// the same inserts each in a transaction of its own, and 10,000 in a call against
// COPY.
func addPostgres(ctx context.Context, s size, progress io.Writer) ([]row, error) {
	b, err := newPostgresBed(ctx)
	if err != nil {
		return nil, err
	}
	defer b.close()
	const batch = 10000
	preload := s.preload / 5
	p := pairs{groups: preload / batch * 2, users: batch}
	us, gs, err := b.fill(ctx, p.users, p.groups+s.batches)
	if err != nil {
		return nil, err
	}
	serial := int64(0)
	copyIn := func(edges []edge) (float64, error) {
		start := time.Now()
		_, err := b.raw.CopyFrom(ctx, pgx.Identifier{"edges"}, []string{"tenant", "grp", "member", "serial", "revision", "added", "starts", "ends", "role"},
			pgx.CopyFromSlice(len(edges), func(i int) ([]any, error) {
				serial++
				return []any{int64(1), int32(edges[i].group + 1), int32(edges[i].user + 1), serial, serial, int64(0), int64(0), int64(0), int16(0)}, nil
			}))
		return float64(len(edges)) / time.Since(start).Seconds(), err
	}
	for g := range p.groups {
		fmt.Fprintf(progress, "\r\x1b[KPostgreSQL adds: preloading, %d of %d", g*batch/2, preload)
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
		if _, err := copyIn(edges); err != nil {
			return nil, err
		}
	}

	var singles, raws, ratios []float64
	var latency load.Histogram
	next := 0
	for range 5 {
		edges := make([]edge, clients*s.adds)
		for i := range edges {
			edges[i].group, edges[i].user = p.scattered(next + i)
		}
		want, err := rate(s.adds, func(client, i int) error {
			e := edges[client*s.adds+i]
			_, err := b.raw.Exec(ctx, "INSERT INTO edges (tenant, grp, member, serial, revision, added, starts, ends, role) VALUES (1, $1, $2, $3, $3, 0, 0, 0, 0)", int32(e.group+1), int32(e.user+1), int64(i))
			return err
		})
		if err != nil {
			return nil, err
		}
		got, err := load.Run(ctx, load.Plan{
			Address: b.address, Clients: clients, Requests: s.adds, Status: []int{201}, Progress: progress, Name: "single adds on PostgreSQL",
			Next: func(buf []byte, client, n int) ([]byte, int) {
				e := edges[client*s.adds+n]
				return b.put(buf, gs[e.group], us[e.user]), 1
			},
		})
		if err != nil {
			return nil, err
		}
		next += len(edges)
		singles, raws, ratios = append(singles, got.PerSecond()), append(raws, want), append(ratios, got.PerSecond()/want)
		latency = got.Latency
	}

	body := everybody(us)
	var batches, copies, batchRatios []float64
	for i := range s.batches {
		g := p.groups + i
		edges := make([]edge, batch)
		for u := range edges {
			edges[u] = edge{g, u}
		}
		want, err := copyIn(edges)
		if err != nil {
			return nil, err
		}
		got, err := load.Run(ctx, load.Plan{
			Address: b.address, Clients: 1, Requests: 1, Status: []int{200}, Progress: progress, Name: "10,000 adds in a call on PostgreSQL",
			Next: func(buf []byte, _, _ int) ([]byte, int) { return b.post(buf, gs[g], body), batch },
		})
		if err != nil {
			return nil, err
		}
		batches, copies, batchRatios = append(batches, got.PerSecond()), append(copies, want), append(batchRatios, got.PerSecond()/want)
	}
	return []row{
		{
			work:      fmt.Sprintf("PostgreSQL: durable single adds over HTTP, 64 clients, scattered, %d there", preload),
			measured:  fmt.Sprintf("%s (p99 %s)", perSecond(median(singles)), latency.Quantile(0.99)),
			reference: perSecond(median(raws)) + " single inserts by pgx, 64 clients",
			ratio:     median(ratios),
		}, {
			work:      "PostgreSQL: 10,000 adds in one call",
			measured:  perSecond(median(batches)),
			reference: perSecond(median(copies)) + " COPY of the same rows",
			ratio:     median(batchRatios),
		},
	}, nil
}
