// Command bench measures what Roster promises and prints it as a table: each
// figure beside the reference it is held against, measured in the same run on
// the same machine, and the ratio of the two. The load generator shares the
// machine with the server.
//
//	go run ./bench            what CI has time for
//	go run ./bench -full      with 10 million memberships
//	go run ./bench -match add only rows whose name matches
//	go run ./bench -match growth -chart docs/growth.svg
//	                          draw cost against size
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/pprof"
	"text/tabwriter"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	// Progress is for a person who waits, not for a file.
	var progress io.Writer = io.Discard
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		progress = os.Stderr
	}
	if err := run(ctx, os.Args[1:], os.Stdout, progress); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "\nbench:", err)
		os.Exit(1)
	}
}

// row is one line of the table.
type row struct {
	work      string
	measured  string
	reference string
	ratio     float64 // measured over reference, so that higher is better; 0 for none
	budget    string
	met       bool
}

// size is how large the run is.
type size struct {
	preload int // memberships there before adding
	adds    int // single adds each client makes
	checks  int // checks each client makes
	batches int // batches of 10,000
	users   int // of the directory in memory
	groups  int
	edges   int
	big     int // members of the big group
	sizes   []int
}

var (
	quick = size{preload: 500_000, adds: 300, checks: 2000, batches: 10, users: 100_000, groups: 10_000, edges: 1_000_000, big: 100_000, sizes: []int{10_000, 100_000, 1_000_000}}
	full  = size{preload: 1_000_000, adds: 1000, checks: 10000, batches: 20, users: 1_000_000, groups: 100_000, edges: 10_000_000, big: 1_000_000, sizes: []int{10_000, 1_000_000, 10_000_000}}
)

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(progress)
	large := flags.Bool("full", false, "measure at 10 million memberships")
	profile := flags.String("cpuprofile", "", "write a CPU profile to this file")
	chartFile := flags.String("chart", "", "draw cost against size into this file")
	match := flags.String("match", "", "measure only what this regular expression matches")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wanted, err := regexp.Compile(*match)
	if err != nil {
		return err
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	s := quick
	if *large {
		s = full
	}
	var rows []row
	for _, m := range []struct {
		name    string
		measure func(context.Context, size, io.Writer) ([]row, error)
	}{
		{"check over HTTP", checkHTTP},
		{"add over HTTP", addHTTP},
		{"index", inMemory},
		{"growth", func(ctx context.Context, s size, progress io.Writer) ([]row, error) {
			all, err := grown(ctx, s, progress)
			if err != nil {
				return nil, err
			}
			var rows []row
			for _, g := range all {
				rows = append(rows, g.row())
			}
			return rows, draw(*chartFile, all)
		}},
		{"big group", bigGroup},
		{"start", start},
		{"PostgreSQL checks", checkPostgres},
		{"PostgreSQL adds", addPostgres},
	} {
		if !wanted.MatchString(m.name) {
			continue
		}
		fmt.Fprintf(progress, "\r\x1b[K%s…", m.name)
		more, err := m.measure(ctx, s, progress)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		rows = append(rows, more...)
		runtime.GC()
	}
	fmt.Fprint(progress, "\r\x1b[K")
	print(out, rows)
	return nil
}

// draw makes the chart, if a file is named for it.
func draw(file string, all []growth) error {
	if file == "" {
		return nil
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(chart(f, all), f.Close())
}

func print(out io.Writer, rows []row) {
	fmt.Fprintf(out, "%d cores, %s %s/%s\n\n", runtime.GOMAXPROCS(0), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "work\tmeasured\treference\tratio\tbudget\t")
	for _, r := range rows {
		ratio := ""
		if r.ratio != 0 {
			ratio = fmt.Sprintf("%.2f", r.ratio)
		}
		verdict := ""
		switch {
		case r.met:
			verdict = "met"
		case r.budget != "":
			verdict = "missed"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", r.work, r.measured, r.reference, ratio, r.budget, verdict)
	}
	tw.Flush()
}

// perSecond writes a rate as a person reads it.
func perSecond(rate float64) string { return fmt.Sprintf("%.0f/s", rate) }
