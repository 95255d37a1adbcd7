package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// document writes what a record says into performance.md, between its marks, and
// draws growth.svg beside it.
func document(dir string, r record) error {
	page := filepath.Join(dir, "performance.md")
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	written, err := filled(string(text), r)
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	if err := os.WriteFile(page, []byte(written), 0o644); err != nil {
		return err
	}
	var drawn bytes.Buffer
	if err := chart(&drawn, r.Figures); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "growth.svg"), drawn.Bytes(), 0o644)
}

// filled returns the page with the tables of a record between its marks.
func filled(page string, r record) (string, error) {
	var postgres []figure
	for _, f := range r.Figures {
		if f.Heading == pgCheck.heading {
			postgres = append(postgres, f)
		}
	}
	for _, part := range []struct{ mark, text string }{
		{"machine", r.Machine + ".\n"},
		{"budgets", promisedTable(r.Figures).markdown()},
		{"growth", growthTable(r.Figures).markdown()},
		{"PostgreSQL", heldTable(postgres).markdown()},
	} {
		var err error
		if page, err = fill(page, part.mark, part.text); err != nil {
			return "", err
		}
	}
	return page, nil
}

// fill puts text between two marks of a page.
func fill(page, mark, text string) (string, error) {
	before, rest, ok := strings.Cut(page, "<!-- bench: "+mark+" -->\n")
	_, after, ended := strings.Cut(rest, "<!-- end -->")
	if !ok || !ended {
		return "", fmt.Errorf("no marks for %s", mark)
	}
	return before + "<!-- bench: " + mark + " -->\n" + text + "<!-- end -->" + after, nil
}
