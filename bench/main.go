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
//	go run ./bench -docs docs -sizes '' write those again, and measure nothing
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
	if err := run(ctx, os.Args[1:], os.Stdout, progress); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "\nbench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(out)
	sizes := flags.String("sizes", "10k,1m,10m", "memberships in the directories to measure in")
	quick := flags.Bool("quick", false, "measure in small directories, less often and without PostgreSQL")
	match := flags.String("match", "", "measure only what this regular expression matches")
	file := flags.String("json", "", "keep the figures in this file: those measured replace what it has of the same work and size")
	docs := flags.String("docs", "", "write performance.md and growth.svg in this directory from the figures kept, in performance.json there unless -json says where")
	profile := flags.String("cpuprofile", "", "write a CPU profile to this file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	m := meter{effort: thorough, progress: progress}
	if *quick {
		m.effort = brief
		if !given(flags, "sizes") {
			*sizes = "10k,100k"
		}
	}
	list, err := parseSizes(*sizes)
	if err != nil {
		return err
	}
	if m.match, err = regexp.Compile(*match); err != nil {
		return err
	}
	if *docs != "" && *file == "" {
		*file = filepath.Join(*docs, "performance.json")
	}
	kept := record{Machine: thisMachine()}
	if *file != "" {
		if len(list) > 0 {
			kept, err = openRecord(*file)
		} else {
			kept, err = readRecord(*file)
		}
		if err != nil {
			return err
		}
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
	if m.scratch, err = os.MkdirTemp("", "roster-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(m.scratch)) }()
	if len(list) > 0 {
		fmt.Fprintf(out, "%s. Needs up to %s in %s (TMPDIR).\n", thisMachine(), needed(list), os.TempDir())
	}

	// What was measured is printed and kept as it comes: the next size may take long.
	var measured []figure
	note := func(heading string, figures []figure, err error) error {
		if err != nil || len(figures) == 0 {
			return err
		}
		m.say("")
		printTable(out, heading, heldTable(figures))
		measured = append(measured, figures...)
		kept.merge(figures)
		if *file == "" {
			return nil
		}
		return kept.write(*file)
	}
	for _, n := range list {
		figures, err := m.at(ctx, n)
		if err := note(short(n)+" memberships", figures, err); err != nil {
			return err
		}
	}
	if !*quick && len(list) > 0 {
		figures, err := m.onPostgres(ctx)
		if err := note("PostgreSQL, "+short(postgresSize)+" memberships", figures, err); err != nil {
			return err
		}
	}
	if len(list) > 1 {
		printTable(out, "Cost against size", growthTable(measured))
	}
	if *docs != "" {
		return document(*docs, kept)
	}
	return nil
}

func given(flags *flag.FlagSet, name string) bool {
	found := false
	flags.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}
