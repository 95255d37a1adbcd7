// Command engines measures what each decision about the embedded engine is
// worth: how many B-trees an edge needs, when the write-ahead log is folded
// back, how a batch is handed to SQLite, who shares a commit, and what the reads
// cost that those decisions exist for. ADR 0002 quotes it.
//
// It prints one table for each question. The first row of a table is the
// reference and the others differ from it in what their name says and in nothing
// else. The rows of a table are run in turn, round after round, and each round
// compares with the reference of that round; so on a machine that is doing other
// work the ratios hold long after the absolute figures have stopped meaning
// anything.
//
// Every membership is inserted durably: a row counts once the commit that
// holds it has returned, and the checkpoint it owes is paid before the clock
// stops.
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
	"slices"
	"strconv"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "engines:", err)
		os.Exit(1)
	}
}

// run answers every question for every preload, writing tables to out and one
// line of progress to progress.
func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	flags := flag.NewFlagSet("engines", flag.ContinueOnError)
	flags.SetOutput(progress)
	preloads := sizes{0, 1_000_000}
	flags.Var(&preloads, "preload", "memberships already there, comma-separated")
	rows := flags.Int("rows", 10_000, "memberships written in each run")
	match := flags.String("match", "", "measure only the questions whose title this regular expression matches")
	rounds := flags.Int("rounds", 3, "rounds of which the median counts")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *rows < 1 || *rounds < 1 || flags.NArg() > 0 {
		return errors.New("want at least one row and one round, and no arguments")
	}

	wanted, err := regexp.Compile(*match)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "roster-engines-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	b := &bench{dir: dir, rows: *rows, rounds: *rounds, progress: progress}
	for _, preload := range preloads {
		for _, q := range questions() {
			if !wanted.MatchString(q.title) {
				continue
			}
			if err := b.answer(ctx, q, preload, out); err != nil {
				return fmt.Errorf("%s: %w", q.title, err)
			}
		}
	}
	if !wanted.MatchString(readsTitle) {
		return nil
	}
	return b.answerReads(ctx, slices.Max(preloads), out)
}

// sizes is a flag of comma-separated counts.
type sizes []int

func (s *sizes) String() string {
	texts := make([]string, len(*s))
	for i, n := range *s {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, ",")
}

func (s *sizes) Set(text string) error {
	*s = nil
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is not a count", field)
		}
		*s = append(*s, n)
	}
	return nil
}
