package main

import (
	"context"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSizesAreReadAndWrittenAsPeopleSayThem(t *testing.T) {
	for text, want := range map[string][]int{
		"10k":          {10_000},
		"10k, 1M,10m":  {10_000, 1_000_000, 10_000_000},
		"12345,100000": {12_345, 100_000},
	} {
		got, err := parseSizes(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	for _, text := range []string{"9k", "1", "-10k", "k", "10g", "1m,10k", "10k,10k", "10k,", "", "1000m", "99999999999999999999k", "1.5m"} {
		if got, err := parseSizes(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
	for n, want := range map[int]string{10_000: "10k", 1_000_000: "1M", 10_000_000: "10M", 1_500_000: "1.5M", 316_000: "316k", 12_345: "12345"} {
		if got := short(n); got != want {
			t.Errorf("%d is written %s, want %s", n, got, want)
		}
	}
}

func TestAMedianIsTheMiddleOfAnyOrder(t *testing.T) {
	for _, c := range []struct {
		list []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 9, 2}, 3}} {
		if got := median(c.list); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.list, got, c.want)
		}
	}
}

func TestCostsAreWrittenInUnitsThatPeopleRead(t *testing.T) {
	for _, c := range []struct {
		unit unit
		cost float64
		want string
	}{
		{duration, 12.34, "12.3 ns"}, {duration, 404, "0.404 µs"}, {duration, 999_600, "1 ms"}, {duration, 123_456, "123 µs"}, {duration, 1.5e9, "1.5 s"},
		{rate, 20_098, "49,756/s"}, {rate, 1e9, "1/s"}, {memory, 15.44, "15.4 bytes"}, {number, 0.0000003, "0"},
	} {
		if got := c.unit.text(c.cost); got != c.want {
			t.Errorf("%v of unit %d is written %q, want %q", c.cost, c.unit, got, c.want)
		}
	}
}

func runs(costs ...float64) []sample {
	var list []sample
	for _, c := range costs {
		list = append(list, sample{cost: c})
	}
	return list
}

func TestARatioIsTheMedianOfPairsAndTheVerdictCountsThem(t *testing.T) {
	reference := &work{name: "reference"}
	half := &work{name: "half", against: reference, ratio: 0.5}
	f := figureOf(half, 10_000, runs(10, 20, 100, 40), runs(6, 18, 40, 8))
	want := figure{Work: "half", Size: 10_000, Runs: 4, Cost: 30, Reference: 13, Ratio: 0.5, Kept: 0.5} // ratios 0.6, 0.9, 0.4 and 0.2
	if diff := cmp.Diff(want, f, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })); diff != "" {
		t.Error(diff)
	}
	large := &work{name: "large", under: 16, from: 1_000_000}
	for _, c := range []struct {
		work    *work
		size    int
		runs    []sample
		against []sample
		want    string
	}{
		{half, 10_000, runs(10, 10, 10, 10), runs(9, 8, 7, 1), "met"},
		{half, 10_000, runs(10, 10, 10, 10), runs(9, 8, 1, 1), "**on the line**"},
		{half, 10_000, runs(10, 10, 10, 10), runs(9, 1, 1, 1), "**missed**"},
		{large, 1_000_000, runs(15.9), nil, "met"},
		{large, 1_000_000, runs(16), nil, "**missed**"},
		{large, 10_000, runs(99), nil, ""},
		{&work{name: "level", level: true}, 10_000, runs(1), nil, ""},
	} {
		if got := figureOf(c.work, c.size, c.runs, c.against).verdict(c.work); got != c.want {
			t.Errorf("%s at %d of %v against %v: %q, want %q", c.work.name, c.size, c.runs, c.against, got, c.want)
		}
	}
}

func TestGrowthIsTheLargestSizeOverTheSmallest(t *testing.T) {
	figures := []figure{
		figureOf(pageLast, 10_000_000, runs(2.9e6), runs(2e6)),
		figureOf(pageLast, 10_000, runs(1e6), runs(1e6)),
		figureOf(addBelow, 10_000, runs(1e6), nil),
		figureOf(addBelow, 10_000_000, runs(4e6), nil),
		figureOf(countWide, 10_000, runs(1e3), nil),
		figureOf(countWide, 10_000_000, runs(5e3), nil),
		figureOf(started, 10_000, runs(1e6), nil), // nothing to compare with
	}
	want := [][]string{
		{"**nesting**"},
		{addBelow.name, "1 ms", "4 ms", "× 4", "the same: **missed**"},
		{"**" + pageLast.heading + "**"},
		{pageLast.name, "1 ms", "2.9 ms", "× 2.9", "the same: met"},
		{"**" + countWide.heading + "**"},
		{countWide.name, "1 µs", "5 µs", "× 5", countWide.grows},
	}
	if diff := cmp.Diff(want, growthTable(figures).rows); diff != "" {
		t.Error(diff)
	}
}

func TestAnAxisHasWholePowersOfTenAndRoomForAll(t *testing.T) {
	for _, c := range []struct {
		values    []float64
		span      float64
		low, high float64
	}{
		{[]float64{10_000, 10_000_000}, 1, 4, 7},
		{[]float64{200, 900}, 4, 1, 5},
		{[]float64{100}, 4, 0, 4},
		{[]float64{0.5, 2e6}, 4, -1, 7},
	} {
		s := around(c.values, c.span, 100, 0)
		if s.low != c.low || s.high != c.high {
			t.Errorf("%v: from 10^%v to 10^%v, want 10^%v to 10^%v", c.values, s.low, s.high, c.low, c.high)
		}
	}
	s := scale{low: 4, high: 6, from: 50, to: 250}
	for v, want := range map[float64]float64{1e4: 50, 1e5: 150, 1e6: 250} {
		if got := s.at(v); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v is drawn at %v, want %v", v, got, want)
		}
	}
}

func TestFiguresOfThisMachineReplaceThoseOfTheSameWorkAndSize(t *testing.T) {
	file := filepath.Join(t.TempDir(), "figures.json")
	var first record
	if err := first.belongsTo("this"); err != nil {
		t.Fatal(err)
	}
	first.merge([]figure{figureOf(started, 10_000, runs(1), nil), figureOf(started, 100_000, runs(2), nil), {Heading: "gone", Work: "gone", Size: 10_000}})
	if err := first.write(file); err != nil {
		t.Fatal(err)
	}
	second, err := readRecord(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.belongsTo("this"); err != nil {
		t.Fatal(err)
	}
	second.merge([]figure{figureOf(started, 100_000, runs(3), nil)})
	want := []figure{figureOf(started, 10_000, runs(1), nil), figureOf(started, 100_000, runs(3), nil)}
	if diff := cmp.Diff(want, second.Figures); diff != "" {
		t.Error(diff)
	}
	if err := second.belongsTo("another"); err == nil {
		t.Error("figures of two machines were mixed")
	}
}

// What performance.md and its chart say is what was measured.
func TestThePageSaysWhatTheRecordSays(t *testing.T) {
	const docs = "../docs"
	r, err := readRecord(filepath.Join(docs, "performance.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Figures) == 0 {
		t.Fatal("no figures are kept")
	}
	for _, f := range r.Figures {
		if f.of() == nil {
			t.Errorf("%s: %s is measured no more: write the page again with go run ./bench -docs docs -again", f.Heading, f.Work)
		}
	}
	dir := t.TempDir()
	page, err := os.ReadFile(filepath.Join(docs, "performance.md"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "performance.md"), page, 0o600)
	}
	if err == nil {
		err = document(dir, r)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"performance.md", "growth.svg"} {
		have, err := os.ReadFile(filepath.Join(docs, name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(have)); diff != "" {
			t.Errorf("docs/%s is not what performance.json says: go run ./bench -docs docs -again\n%s", name, diff)
		}
	}
}

// Every work is measured by something, and nothing is left behind.
func TestEverythingIsMeasuredInTheSmallestDirectory(t *testing.T) {
	m := meter{
		effort: effort{rounds: 1, checks: 10, adds: 2, times: 1, within: time.Nanosecond},
		match:  regexp.MustCompile(""), scratch: t.TempDir(), progress: io.Discard,
	}
	figures, err := m.at(t.Context(), smallest)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range works {
		if w.heading == pgCheck.heading {
			continue
		}
		if f, ok := find(figures, w, smallest); !ok || f.Runs < 1 || f.Cost <= 0 && w != indexAllocs {
			t.Errorf("%s: %s was not measured: %+v", w.heading, w.name, f)
		}
	}
	if len(figures) != len(inOrder(figures)) {
		t.Error("something was measured twice")
	}
	left, err := os.ReadDir(m.scratch)
	if err != nil || len(left) > 0 {
		t.Errorf("%v is left behind, %v", left, err)
	}
}

// interrupter is a place for progress that interrupts when it is told of something.
type interrupter struct {
	when string
	stop func()
}

func (i interrupter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), i.when) {
		i.stop()
	}
	return len(p), nil
}

func TestAnInterruptedRunLeavesNothingBehind(t *testing.T) {
	for _, when := range []string{"making memberships", "nesting", "counts"} {
		dir := t.TempDir()
		t.Setenv("TMPDIR", dir)
		ctx, stop := context.WithCancel(t.Context())
		err := run(ctx, []string{"-quick", "-sizes", "10k", "-match", "nesting|counts"}, io.Discard, interrupter{when, stop})
		if err == nil {
			t.Errorf("a run that was interrupted while %s went on to its end", when)
		}
		left, err := os.ReadDir(dir)
		if err != nil || len(left) > 0 {
			t.Errorf("interrupted while %s: %v is left behind, %v", when, left, err)
		}
	}
}
