package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"roster/internal/server"
)

func TestTheProgressOfACopyFitsANarrowTerminal(t *testing.T) {
	for _, c := range []struct {
		p    server.CopyProgress
		done int64
		took time.Duration
		want string
	}{
		{server.CopyProgress{Table: "edges", Rows: 250_000, Total: 1_000_000}, 250_000, 5 * time.Second, "copy   edges           250000  25%   50000/s 15s left"},
		{server.CopyProgress{Table: "edges", Rows: 500_000, Total: 1_000_000}, 100_000, 10 * time.Second, "copy   edges           500000  50%   10000/s 50s left"},
		{server.CopyProgress{Table: "credentials", Verify: true, Rows: 9_999_999_998, Total: 9_999_999_999}, 9_999_999_998, 2000 * time.Second, "verify credentials 9999999998  99% 5000000/s 0s left"},
		{server.CopyProgress{Table: "log", Rows: 1, Total: 9_999_999_999}, 1, time.Minute, "copy   log                  1   0%       0/s 99h+ left"},
		{server.CopyProgress{Table: "kept", Rows: 7, Total: 7}, 7, time.Second, "copy   kept                 7 100%       7/s"},
		{server.CopyProgress{Table: "kept"}, 0, 0, "copy   kept                 0 100%"},
		{server.CopyProgress{Table: "log", Rows: 5, Total: 4}, 0, time.Second, "copy   log                  5 100%"},
		{server.CopyProgress{Table: "credentials", Total: 9_999_999_999}, 1_000_000, 3 * time.Second, "copy   credentials          0   0%  333333/s 8h20m0s left"},
	} {
		what := "copy"
		if c.p.Verify {
			what = "verify"
		}
		got := progressLine(what, c.p, c.done, c.took)
		if got != c.want || utf8.RuneCountInString(got) > width {
			t.Errorf("%+v after %s is\n%q, want\n%q", c.p, c.took, got, c.want)
		}
	}
}

func TestProgressRedrawsALineForEachTableOrSaysALineNowAndThen(t *testing.T) {
	type report struct {
		after time.Duration
		p     server.CopyProgress
	}
	reports := []report{
		{0, server.CopyProgress{Table: "users", Total: 20}},
		{50 * time.Millisecond, server.CopyProgress{Table: "users", Rows: 10, Total: 20}},
		{time.Second, server.CopyProgress{Table: "users", Rows: 20, Total: 20}},
		{0, server.CopyProgress{Table: "edges", Rows: 40, Total: 100}},
		{5 * time.Second, server.CopyProgress{Table: "edges", Rows: 50, Total: 100}},
		{time.Second, server.CopyProgress{Table: "edges", Rows: 60, Total: 100}},
		{5 * time.Second, server.CopyProgress{Table: "edges", Rows: 100, Total: 100}},
	}
	show := func(redraw bool) string {
		var out bytes.Buffer
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		b := &bar{w: &out, redraw: redraw, now: func() time.Time { return now }}
		for _, r := range reports {
			now = now.Add(r.after)
			b.show(r.p)
		}
		b.end()
		return out.String()
	}
	plain := show(false)
	want := "copy   edges               50  50%       2/s 25s left\n" + "copy   edges              100 100%       5/s\n"
	if plain != want {
		t.Errorf("without a terminal it says\n%q, want\n%q", plain, want)
	}
	drawn := show(true)
	if strings.Count(drawn, "\n") != 2 || !strings.HasSuffix(drawn, "\n") {
		t.Errorf("on a terminal it takes %d lines, want one for each table: %q", strings.Count(drawn, "\n"), drawn)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(drawn, "\n"), "\n") {
		if !strings.HasPrefix(line, "\r") || !strings.HasSuffix(line, "\x1b[K") || !strings.Contains(line[strings.LastIndex(line, "\r"):], "100%") {
			t.Errorf("a line is drawn as %q", line)
		}
	}
}
