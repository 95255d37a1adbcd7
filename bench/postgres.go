package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"roster/bench/load"
	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/postgres/pgtest"
)

// postgresSize is how many memberships there are on PostgreSQL.
const postgresSize = 100_000

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

func newPostgresBed(ctx context.Context, scratch string) (_ *postgresBed, err error) {
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
	if p.bed, err = newBed(ctx, scratch, p.server.DSN("roster")); err != nil {
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

// raced does work n times in each of 64 goroutines, and says what one cost.
func raced(n int, work func(client, i int) error) (sample, error) {
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
	return sample{cost: float64(time.Since(start).Nanoseconds()) / float64(clients*n)}, errors.Join(errs...)
}

// onPostgres measures on a private PostgreSQL server, at one size: a strong check
// over HTTP on a node of several against one read of one row by its key, which is
// the least that a node has to ask; durable adds, one at a time, against the same
// inserts each in a transaction of its own; and 10,000 in a call against COPY.
func (m *meter) onPostgres(ctx context.Context) ([]figure, error) {
	if !m.wants(pgCheck, pgAdd, pgAdds) {
		return nil, nil
	}
	m.say("PostgreSQL")
	p, err := newPostgresBed(ctx, m.scratch)
	if err != nil {
		return nil, err
	}
	defer p.close()
	const users = directory.MaxBatch
	groups := 2 * postgresSize / users
	us, gs, err := p.fill(ctx, users, groups+m.rounds+1)
	if err != nil {
		return nil, err
	}
	// Every other of all pairs is there, group by group, and the rest come one at a
	// time in no order.
	var rest []edge
	for _, g := range gs[:groups] {
		var there []edge
		for u := range users {
			e := edge{g.number, id.UserMember(id.Number(u + 1))}
			if u%2 == 0 {
				there = append(there, e)
			} else {
				rest = append(rest, e)
			}
		}
		if err := p.change(ctx, directory.AddMembers, there); err != nil {
			return nil, err
		}
		if _, err := p.copy(ctx, there); err != nil {
			return nil, err
		}
	}
	rand.New(rand.NewPCG(11, 12)).Shuffle(len(rest), func(i, k int) { rest[i], rest[k] = rest[k], rest[i] })
	each := min(m.adds, len(rest)/clients/(m.rounds+1))
	number := make(map[id.Number]group, len(gs))
	for _, g := range gs {
		number[g.number] = g
	}
	body, next := batchOf(us), groups
	var everybody []edge
	return m.inTurn(ctx, postgresSize, m.rounds, time.Hour,
		task{work: pgxReads, do: func() (sample, error) {
			return raced(m.checks, func(client, i int) error {
				var revision int64
				return p.raw.QueryRow(ctx, "SELECT revision FROM heads WHERE tenant = $1", int64((client*31+i)%1000+1)).Scan(&revision)
			})
		}},
		task{work: pgCheck, do: func() (sample, error) {
			return under(ctx, load.Plan{Address: p.address, Clients: clients, Requests: m.checks, Status: []int{200}, Next: p.checkRequests(us, gs[:groups])})
		}},
		task{work: pgxInserts, do: func() (sample, error) {
			return raced(each, func(client, i int) error {
				e := rest[client*each+i]
				_, err := p.raw.Exec(ctx, "INSERT INTO edges (tenant, grp, member, serial, revision, added, starts, ends, role) VALUES (1, $1, $2, $3, $3, 0, 0, 0, 0)", int32(e.group), int32(e.member), int64(i))
				return err
			})
		}},
		task{
			work: pgAdd,
			do: func() (sample, error) {
				return under(ctx, load.Plan{
					Address: p.address, Clients: clients, Requests: each, Status: []int{201},
					Next: func(buf []byte, client, n int) ([]byte, int) {
						e := rest[client*each+n]
						u, _ := e.member.User()
						return p.put(buf, number[e.group].id, us[u-1]), 1
					},
				})
			},
			undo: func() error {
				rest = rest[clients*each:]
				return nil
			},
		},
		task{work: pgxCopy, do: func() (sample, error) {
			everybody = everybody[:0]
			for u := range users {
				everybody = append(everybody, edge{gs[next].number, id.UserMember(id.Number(u + 1))})
			}
			return p.copy(ctx, everybody)
		}},
		task{
			work: pgAdds,
			do: func() (sample, error) {
				return under(ctx, load.Plan{
					Address: p.address, Clients: 1, Requests: 1, Status: []int{200},
					Next: func(buf []byte, _, _ int) ([]byte, int) { return p.post(buf, gs[next].id, body), users },
				})
			},
			undo: func() error {
				next++
				return nil
			},
		})
}

// copy is COPY of edges, and says what one cost.
func (p *postgresBed) copy(ctx context.Context, edges []edge) (sample, error) {
	start := time.Now()
	_, err := p.raw.CopyFrom(ctx, pgx.Identifier{"edges"}, []string{"tenant", "grp", "member", "serial", "revision", "added", "starts", "ends", "role"},
		pgx.CopyFromSlice(len(edges), func(i int) ([]any, error) {
			return []any{int64(1), int32(edges[i].group), int32(edges[i].member), int64(i), int64(i), int64(0), int64(0), int64(0), int16(0)}, nil
		}))
	return sample{cost: float64(time.Since(start).Nanoseconds()) / float64(len(edges))}, err
}
