package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// A bench is one invocation: where it works, and how much of everything.
type bench struct {
	dir      string
	rows     int // in each run
	rounds   int
	progress io.Writer
}

// An outcome is what one timed run came to.
type outcome struct {
	rows    int
	elapsed time.Duration
	used    usage
}

func (o outcome) rate() float64 { return float64(o.rows) / o.elapsed.Seconds() }

// A usage is what the process has taken of the machine. On a busy machine the
// processor time holds where the elapsed time does not.
type usage struct {
	cpu     time.Duration
	written int64 // bytes, towards the disk
}

// note shows on one line what is going on.
func (b *bench) note(format string, args ...any) {
	fmt.Fprintf(b.progress, "\r\x1b[K%s", fmt.Sprintf(format, args...))
}

// answer measures the cases of a question in turn, round after round, and
// prints them as a table.
func (b *bench) answer(ctx context.Context, q question, preload int, out io.Writer) error {
	runs := make([][]outcome, len(q.cases))
	for round := range b.rounds {
		for i, c := range q.cases {
			if err := ctx.Err(); err != nil {
				return err
			}
			b.note("%s preloaded, round %d of %d: %s", thousands(preload), round+1, b.rounds, c.name)
			r, err := b.measure(ctx, c, preload, uint64(round))
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			runs[i] = append(runs[i], r)
		}
	}
	b.note("")
	return printRuns(out, q, preload, runs)
}

// measure times one run of a case on a copy of its template. A tenth as many
// rows go in before the clock starts, to warm the caches and open the log.
func (b *bench) measure(ctx context.Context, c namedSetup, preload int, round uint64) (_ outcome, err error) {
	template, err := b.template(ctx, c.setup, preload)
	if err != nil {
		return outcome{}, err
	}
	dir, err := os.MkdirTemp(b.dir, "run-")
	if err != nil {
		return outcome{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "roster.db")
	if err := copyFile(path, template); err != nil {
		return outcome{}, err
	}
	if err := b.growLog(path, c.setup.checkpoint); err != nil {
		return outcome{}, err
	}
	db, err := c.setup.open(path)
	if err != nil {
		return outcome{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	w, err := newWriter(ctx, db, c.setup, int64(preload))
	if err != nil {
		return outcome{}, err
	}
	defer func() { err = errors.Join(err, w.close()) }()

	rows := max(1, int(float64(b.rows)*c.scale))
	edges := randomEdges(rows+rows/10, c.setup.pattern, c.setup.batch, round+1)
	warm, timed := edges[:rows/10], edges[rows/10:]

	// Only a context that can end costs anything, and only one case is about that.
	stmtCtx := context.WithoutCancel(ctx)
	if c.setup.cancellable {
		stmtCtx = ctx
	}
	write := w.write
	if c.setup.callers > 0 {
		write = w.writeTogether
	}
	if err := write(stmtCtx, warm); err != nil {
		return outcome{}, err
	}
	before, err := usageNow()
	if err != nil {
		return outcome{}, err
	}
	start := time.Now()
	if err := write(stmtCtx, timed); err != nil {
		return outcome{}, err
	}
	if err := w.exec(stmtCtx, "PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
		return outcome{}, err
	}
	elapsed := time.Since(start)
	after, err := usageNow()
	if err != nil {
		return outcome{}, err
	}
	return outcome{
		rows:    rows,
		elapsed: elapsed,
		used:    usage{cpu: after.cpu - before.cpu, written: after.written - before.written},
	}, nil
}
