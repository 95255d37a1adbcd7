// Command bench measures what Roster promises, in directories of several sizes,
// and prints it: for each size a table of what was measured beside what it is held
// against, in the same runs on the same machine, and then what everything costs
// against size. The load generator shares the machine with the server.
//
//	go run ./bench                      10 thousand, 1 million and 10 million memberships
//	go run ./bench -quick               10 and 100 thousand, within three minutes
//	go run ./bench -sizes 10k,1m        the sizes named
//	go run ./bench -match 'checks:'     what matches "heading: work"
//	go run ./bench -docs docs           keep the figures in performance.json there,
//	                                    and write them into performance.md and growth.svg
//	go run ./bench -docs docs -again    write those again, and measure nothing
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"runtime/pprof"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Progress is for a person who waits, not for a file.
	var progress io.Writer = io.Discard
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		progress = os.Stderr
	}
	err := run(ctx, os.Args[1:], os.Stdout, progress)
	if err != nil && ctx.Err() != nil {
		err = errors.New("interrupted, and everything is removed")
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "\nbench:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	sizes   []int
	quick   bool
	match   *regexp.Regexp
	file    string // where figures are kept
	docs    string // the directory of the page they are written into
	profile string
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(out)
	sizes := flags.String("sizes", "", "memberships in the directories to measure in (default 10k,1m,10m)")
	flags.BoolVar(&o.quick, "quick", false, "measure less often, without PostgreSQL, and by default at 10k,100k")
	match := flags.String("match", "", "measure only what this regular expression matches")
	flags.StringVar(&o.file, "json", "", "keep the figures in this file; those measured replace what it has of the same work and size")
	flags.StringVar(&o.docs, "docs", "", "write performance.md and growth.svg in this directory, and keep the figures they are made of in performance.json there")
	again := flags.Bool("again", false, "with -docs: measure nothing, and write the page again")
	flags.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile to this file")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.quick && o.docs != "" {
		return o, errors.New("-quick is too rough for what others are to read: leave -docs away")
	}
	if o.docs != "" && o.file == "" {
		o.file = filepath.Join(o.docs, "performance.json")
	}
	var err error
	if o.match, err = regexp.Compile(*match); err != nil || *again {
		return o, err
	}
	if *sizes == "" {
		if *sizes = "10k,1m,10m"; o.quick {
			*sizes = "10k,100k"
		}
	}
	o.sizes, err = parseSizes(*sizes)
	return o, err
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	kept, err := readRecord(o.file)
	if err != nil {
		return err
	}
	if len(o.sizes) > 0 {
		if err := kept.belongsTo(thisMachine()); err != nil {
			return fmt.Errorf("%s %w", o.file, err)
		}
		if err := o.measure(ctx, &kept, out, progress); err != nil {
			return err
		}
	}
	if o.docs == "" {
		return nil
	}
	kept.merge(nil)
	return errors.Join(kept.write(o.file), document(o.docs, kept))
}

// measure measures everything wanted, prints it, and keeps it as it comes: the next
// size may take long.
func (o options) measure(ctx context.Context, kept *record, out, progress io.Writer) (err error) {
	if o.profile != "" {
		f, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	debug.SetMemoryLimit(6 << 30) // collect before more is taken
	m := meter{effort: thorough, match: o.match, progress: progress}
	if o.quick {
		m.effort = brief
	}
	if m.scratch, err = os.MkdirTemp("", "roster-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(m.scratch)) }()
	fmt.Fprintf(out, "%s. Needs up to %s of disk in %s (TMPDIR).\n", thisMachine(), needed(o.sizes), os.TempDir())

	var measured []figure
	note := func(heading string, figures []figure, err error) error {
		m.say("")
		if err != nil || len(figures) == 0 {
			return err
		}
		printTable(out, heading, heldTable(figures))
		measured = append(measured, figures...)
		kept.merge(figures)
		if o.file == "" {
			return nil
		}
		return kept.write(o.file)
	}
	for _, n := range o.sizes {
		figures, err := m.at(ctx, n)
		if err := note(short(n)+" memberships", figures, err); err != nil {
			return err
		}
	}
	if !o.quick {
		figures, err := m.onPostgres(ctx)
		if err := note("PostgreSQL, "+short(postgresSize)+" memberships", figures, err); err != nil {
			return err
		}
	}
	if len(o.sizes) > 1 {
		printTable(out, "Cost against size", growthTable(measured))
	}
	return nil
}
