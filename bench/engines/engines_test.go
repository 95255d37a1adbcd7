package main

import (
	"io"
	"os"
	"strings"
	"testing"
)

func TestEveryQuestionIsAnswered(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	var out strings.Builder
	if err := run(t.Context(), []string{"-preload", "0,200", "-rows", "100", "-rounds", "1"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("the temporary directory holds %v (%v), want nothing left behind", left, err)
	}
	for _, q := range questions() {
		if got := strings.Count(out.String(), "### "+q.title+"; "); got != 2 {
			t.Errorf("%q is answered %d times, want once for each preload", q.title, got)
		}
	}
	for _, p := range probes() {
		if !strings.Contains(out.String(), "| "+p.name+" ") {
			t.Errorf("no row for the read %q", p.name)
		}
	}
}

func TestSizesAreCounts(t *testing.T) {
	var s sizes
	if err := s.Set("0,1000000"); err != nil || s.String() != "0,1000000" {
		t.Errorf("0,1000000 was read as %v, %v", s, err)
	}
	for _, text := range []string{"", "1,", "-1", "many"} {
		if err := s.Set(text); err == nil {
			t.Errorf("%q was read as %v, want an error", text, s)
		}
	}
}
