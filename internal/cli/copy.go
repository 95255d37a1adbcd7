package cli

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"roster/internal/server"
)

// The variables that may name the ends of a copy instead of the flags. The one
// that names the store of servers is not taken for either.
const (
	copyFromVariable = "ROSTER_COPY_FROM"
	copyToVariable   = "ROSTER_COPY_TO"
)

func copyCommand() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "copy --from STORE --to STORE",
		Short: "Copy a deployment to another store",
		Long: `Copy a whole deployment, with its history and secrets, to
an empty store, and compare both at the end. A store is

  sqlite:DIR                   a data directory
  postgres://user@host/db      a PostgreSQL database

No server may have a data directory open. The nodes of a
database may go on; what they write meanwhile is not copied.

A copy that was cut off goes on from there when the same
command is run again; the source must not have been written
to by then. Until it has ended, nothing opens the target.

A DSN with a password in it belongs in ROSTER_COPY_FROM or
ROSTER_COPY_TO, which others on the machine cannot read.`,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, _ := setting(from, "from", copyFromVariable)
			to, _ := setting(to, "to", copyToVariable)
			if from == "" {
				return errors.New("copy from where? Say --from sqlite:DIR or postgres://user@host/db, or set " + copyFromVariable)
			}
			if to == "" {
				return errors.New("copy to where? Say --to sqlite:DIR or postgres://user@host/db, or set " + copyToVariable)
			}
			p, err := newPrinter(cmd, tableOutput)
			if err != nil {
				return err
			}
			bar := &bar{w: p.notes, redraw: isTerminal(p.notes), now: time.Now}
			results, err := server.Copy(cmd.Context(), from, to, bar.show, p.note)
			bar.end()
			if results != nil {
				if perr := printCopied(p.w, results); err == nil {
					err = perr
				}
			}
			return err
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&from, "from", "", "`STORE` to copy, or ROSTER_COPY_FROM")
	f.StringVar(&to, "to", "", "`STORE` to copy into, or ROSTER_COPY_TO")
	return cmd
}

func printCopied(w io.Writer, results []server.CopyResult) error {
	t := table{heads: []string{"TABLE", "ROWS", "FOUND", "EQUAL"}}
	for _, r := range results {
		found := ""
		if !r.Equal {
			found = number(r.Found)
		}
		t.add(r.Table, number(r.Rows), found, yes(r.Equal))
	}
	return t.write(w, 0)
}

// bar shows how far a copy has come: on a terminal a line for each table that
// redraws itself, elsewhere a line every few seconds.
type bar struct {
	w      io.Writer
	redraw bool
	now    func() time.Time

	table  string // under way, and its verification apart
	open   bool   // a line is on the terminal and has not ended
	began  time.Time
	first  int64     // the rows that were there when it began
	looked time.Time // when a line was last written
}

// How often a line is written.
const (
	redrawEvery = 100 * time.Millisecond
	lineEvery   = 5 * time.Second
)

func (b *bar) show(p server.CopyProgress) {
	what := "copy"
	if p.Verify {
		what = "verify"
	}
	now := b.now()
	if table := what + " " + p.Table; table != b.table {
		if b.looked.IsZero() {
			b.looked = now
		}
		b.end()
		b.table, b.began, b.first = table, now, p.Rows
		if !b.redraw {
			return
		}
		b.looked = time.Time{}
	}
	wait := lineEvery
	if b.redraw {
		wait = redrawEvery
	}
	if now.Sub(b.looked) < wait && !(b.redraw && p.Rows == p.Total) {
		return
	}
	b.looked = now
	line := progressLine(what, p, p.Rows-b.first, now.Sub(b.began))
	if b.redraw {
		fmt.Fprintf(b.w, "\r%s\x1b[K", line)
		b.open = true
		return
	}
	fmt.Fprintln(b.w, line)
}

// end ends the line that is on the terminal.
func (b *bar) end() {
	if b.open {
		fmt.Fprintln(b.w)
	}
	b.open = false
}

// progressLine says how far a table is, of which some rows were done in a time.
func progressLine(what string, p server.CopyProgress, done int64, took time.Duration) string {
	percent := int64(100)
	if p.Total > 0 {
		percent = min(100*p.Rows/p.Total, 100)
	}
	line := fmt.Sprintf("%-6s %-11s %10d %3d%%", what, p.Table, p.Rows, percent)
	if done <= 0 || took <= 0 {
		return line
	}
	rate := float64(done) / took.Seconds()
	line += fmt.Sprintf(" %7.0f/s", rate)
	if left := max(p.Total-p.Rows, 0); left > 0 {
		if seconds := float64(left) / rate; seconds < 99*3600 {
			line += fmt.Sprintf(" %s left", time.Duration(seconds*float64(time.Second)).Round(time.Second))
		} else {
			line += " 99h+ left"
		}
	}
	return line
}
