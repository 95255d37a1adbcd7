package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"time"
)

// pageSize is the members in a page, and largeSize those of the group it is a
// page of.
const (
	pageSize  = 1000
	largeSize = 100_000
)

const readsTitle = "What a read costs, warm"

// A probe is one read, asked many times through a prepared statement.
type probe struct {
	name        string
	oneTree     bool // asked of a file without the reverse tree
	text        string
	args        func(*rand.Rand) []any
	oneIn       int  // asked this many times less often, because it is slow
	cancellable bool // under a context that can end, as a request's is
}

func probes() []probe {
	const (
		isMember = "SELECT 1 FROM edges WHERE tenant = ? AND grp = ? AND member = ?"
		page     = "SELECT member FROM edges WHERE tenant = ? AND grp = ? AND member > ? ORDER BY member LIMIT ?"
	)
	anyEdge := func(r *rand.Rand) []any {
		return []any{tenant, r.IntN(groupCount) + 1, r.IntN(memberCount) + 1}
	}
	anyMember := func(r *rand.Rand) []any { return []any{tenant, r.IntN(memberCount) + 1} }
	return []probe{
		{name: "is a member, by primary key", text: isMember, args: anyEdge, oneIn: 1},
		{name: "the same, under a cancellable context", text: isMember, args: anyEdge, oneIn: 1, cancellable: true},
		{
			name:  "groups of a member, by the reverse tree",
			text:  "SELECT grp FROM edges WHERE tenant = ? AND member = ?",
			args:  anyMember,
			oneIn: 1,
		},
		{
			name:    "the same without it: a probe of each group",
			oneTree: true,
			text: `SELECT g.grp FROM groups AS g CROSS JOIN edges AS e
				ON e.tenant = g.tenant AND e.grp = g.grp
				WHERE g.tenant = ? AND e.member = ?`,
			args:  anyMember,
			oneIn: 1000,
		},
		{
			name:  "first page of 1,000 members of 100,000",
			text:  page,
			args:  func(*rand.Rand) []any { return []any{tenant, largeGroup, 0, pageSize} },
			oneIn: 50,
		},
		{
			name:  "a page of the same from the middle",
			text:  page,
			args:  func(*rand.Rand) []any { return []any{tenant, largeGroup, memberCount / 2, pageSize} },
			oneIn: 50,
		},
	}
}

// answerReads measures the probes in turn, round after round, and prints them
// as a table.
func (b *bench) answerReads(ctx context.Context, preload int, out io.Writer) (err error) {
	two, err := b.openReads(ctx, preload, 2)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, two.Close()) }()
	one, err := b.openReads(ctx, preload, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, one.Close()) }()

	cases := probes()
	micros := make([][]float64, len(cases))
	ratios := make([][]float64, len(cases))
	for round := range b.rounds {
		for i, p := range cases {
			if err := ctx.Err(); err != nil {
				return err
			}
			b.note("reads, round %d of %d: %s", round+1, b.rounds, p.name)
			db := two
			if p.oneTree {
				db = one
			}
			each, err := b.ask(ctx, db, p, uint64(round))
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			micros[i] = append(micros[i], float64(each)/float64(time.Microsecond))
			ratios[i] = append(ratios[i], micros[i][round]/micros[0][round])
		}
	}
	b.note("")
	rows := [][]string{{"", "µs", "ratio"}}
	for i, p := range cases {
		rows = append(rows, []string{
			p.name, fmt.Sprintf("%.1f", median(micros[i])), fmt.Sprintf("%.2f", median(ratios[i])),
		})
	}
	title := fmt.Sprintf("%s; %s memberships of %s groups preloaded", readsTitle, thousands(preload), thousands(groupCount))
	return printTable(out, title, rows)
}

// openReads opens a copy of a template to which a large group has been added,
// and the table of groups that a reader without the reverse tree goes through.
func (b *bench) openReads(ctx context.Context, preload, trees int) (_ *sql.DB, err error) {
	s := roster()
	s.layout.trees = trees
	template, err := b.template(ctx, s, preload)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(b.dir, fmt.Sprintf("reads-%d.db", trees))
	if err := copyFile(path, template); err != nil {
		return nil, err
	}
	db, err := s.open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	if _, err := db.ExecContext(ctx, `CREATE TABLE groups (
		tenant INTEGER NOT NULL,
		grp    INTEGER NOT NULL,
		PRIMARY KEY (tenant, grp)
	) WITHOUT ROWID`); err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, `WITH RECURSIVE n (grp) AS (SELECT 1 UNION ALL SELECT grp + 1 FROM n WHERE grp < ?)
		INSERT INTO groups (tenant, grp) SELECT ?, grp FROM n`, groupCount, tenant); err != nil {
		return nil, err
	}
	_, err = db.ExecContext(ctx, `WITH RECURSIVE n (member) AS (SELECT 1 UNION ALL SELECT member + ? FROM n WHERE member + ? <= ?)
		INSERT INTO edges (tenant, grp, member) SELECT ?, ?, member FROM n`,
		memberCount/largeSize, memberCount/largeSize, memberCount, tenant, largeGroup)
	return db, err
}

// ask puts the probe again and again and returns what one answer took.
func (b *bench) ask(ctx context.Context, db *sql.DB, p probe, seed uint64) (_ time.Duration, err error) {
	if !p.cancellable {
		ctx = context.WithoutCancel(ctx)
	}
	stmt, err := db.PrepareContext(ctx, p.text)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stmt.Close()) }()
	random := rand.New(rand.NewPCG(seed, 1))
	times := max(1, b.rows/p.oneIn)
	start := time.Now()
	for range times {
		if err := drain(ctx, stmt, p.args(random)); err != nil {
			return 0, err
		}
	}
	return time.Since(start) / time.Duration(times), nil
}

// drain asks once and reads the whole answer, one number a row.
func drain(ctx context.Context, stmt *sql.Stmt, args []any) (err error) {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var n int
		if err := rows.Scan(&n); err != nil {
			return err
		}
	}
	return rows.Err()
}
