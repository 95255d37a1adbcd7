package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"
)

// thisMachine says where figures were measured.
func thisMachine() string {
	return fmt.Sprintf("%d cores, %s %s/%s", runtime.GOMAXPROCS(0), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// table is rows of cells, below heads.
type table struct {
	heads   []string
	rows    [][]string
	heading string // of the works that rows are added of
}

// row adds a row of a work, and above the first below a heading that.
func (t *table) row(w *work, cells ...string) {
	if w.heading != t.heading {
		t.heading = w.heading
		t.rows = append(t.rows, []string{"**" + w.heading + "**"})
	}
	t.rows = append(t.rows, cells)
}

// heldTable shows figures of one size, each beside what it is held against.
func heldTable(figures []figure) table {
	t := table{heads: []string{"work", "measured", "reference", "ratio", "budget", ""}}
	for _, f := range inOrder(figures) {
		w := f.of()
		if w.only {
			continue
		}
		measured, reference, ratio := w.unit.text(f.Cost), "", ""
		if f.P99 > 0 {
			measured += ", p99 " + duration.text(f.P99)
		}
		if w.against != nil {
			reference, ratio = w.against.unit.text(f.Reference)+" "+w.against.name, fmt.Sprintf("%.2f", f.Ratio)
		}
		t.row(w, w.name, measured, reference, ratio, w.budget(), f.verdict(w))
	}
	return t
}

// promisedTable shows what has a budget, and how it was kept at each size.
func promisedTable(figures []figure) table {
	sizes := sizesOf(figures)
	t := table{heads: append([]string{"what is promised", "budget"}, shorts(sizes)...)}
	for _, w := range works {
		if w.budget() == "" {
			continue
		}
		budget := w.budget()
		if w.alike {
			budget += " as: " + w.against.name
		} else if w.ratio != 0 {
			budget += " of: " + w.against.name
		}
		if w.from > 0 {
			budget += " at " + short(w.from)
		}
		cells, ok := at(sizes, w, figures, func(f figure) string {
			text := w.unit.text(f.Cost)
			if w.least() != 0 {
				text = fmt.Sprintf("%.2f", f.Ratio)
			}
			return strings.TrimSuffix(text+", "+f.verdict(w), ", ")
		})
		if ok {
			t.row(w, append([]string{w.name, budget}, cells...)...)
		}
	}
	return t
}

// steady is how many times as much a work that is to cost the same at any size may
// cost at the largest as at the smallest: a factor of two is noise where a machine
// does something else beside.
const steady = 3

// growthTable shows what each work costs at each size, and how it grows.
func growthTable(figures []figure) table {
	sizes := sizesOf(figures)
	t := table{heads: append(append([]string{"work"}, shorts(sizes)...), "growth", "")}
	for _, w := range works {
		text := func(f figure) string { return w.unit.text(f.Cost) }
		if w.ratio != 0 {
			text = func(f figure) string { return fmt.Sprintf("%s (%.2f)", w.unit.text(f.Cost), f.Ratio) }
		}
		first, last, ok := ends(w, figures)
		if !ok {
			continue
		}
		growth, why := "", w.grows
		if first.Cost > 0 && w.unit != number {
			factor := last.Cost / first.Cost
			growth = "× " + significant(factor)
			switch {
			case w.level && factor <= steady:
				why = "the same: met"
			case w.level:
				why = "the same: **missed**"
			}
		}
		cells, _ := at(sizes, w, figures, text)
		t.row(w, append(append([]string{w.name}, cells...), growth, why)...)
	}
	return t
}

func shorts(sizes []int) []string {
	var texts []string
	for _, n := range sizes {
		texts = append(texts, short(n))
	}
	return texts
}

// at returns a cell for each size, and whether there is a figure in any.
func at(sizes []int, w *work, figures []figure, text func(figure) string) (cells []string, ok bool) {
	for _, n := range sizes {
		cell := ""
		if f, found := find(figures, w, n); found {
			ok, cell = true, text(f)
		}
		cells = append(cells, cell)
	}
	return cells, ok
}

func find(figures []figure, w *work, size int) (figure, bool) {
	i := slices.IndexFunc(figures, func(f figure) bool { return f.of() == w && f.Size == size })
	if i < 0 {
		return figure{}, false
	}
	return figures[i], true
}

// ends returns a work at the smallest and the largest size it was measured at, if
// these are two.
func ends(w *work, figures []figure) (first, last figure, ok bool) {
	for _, f := range figures {
		if f.of() == w {
			if first.Size == 0 || f.Size < first.Size {
				first = f
			}
			if f.Size > last.Size {
				last = f
			}
		}
	}
	return first, last, last.Size > first.Size
}

// sizesOf lists the sizes that anything but PostgreSQL was measured at.
func sizesOf(figures []figure) []int {
	var sizes []int
	for _, f := range figures {
		if f.Heading != pgCheck.heading {
			sizes = append(sizes, f.Size)
		}
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
}

// inOrder leaves out what is measured no more, and sorts the rest as works are.
func inOrder(figures []figure) []figure {
	var list []figure
	for _, w := range works {
		for _, f := range figures {
			if f.of() == w {
				list = append(list, f)
			}
		}
	}
	return list
}

// printTable prints a table in Markdown that reads well as it stands.
func printTable(out io.Writer, title string, t table) {
	fmt.Fprintf(out, "\n## %s\n\n%s", title, t.markdown())
}

func (t table) markdown() string {
	widths := make([]int, len(t.heads))
	for _, row := range append(t.rows, t.heads) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 1)
		}
	}
	var text strings.Builder
	line := func(cells []string) {
		for i, width := range widths {
			cell := ""
			if i < len(cells) {
				cell = cells[i]
			}
			fmt.Fprintf(&text, "| %-*s ", width, cell)
		}
		text.WriteString("|\n")
	}
	line(t.heads)
	rule := make([]string, len(widths))
	for i, width := range widths {
		rule[i] = strings.Repeat("-", width)
	}
	line(rule)
	for _, row := range t.rows {
		line(row)
	}
	return text.String()
}
