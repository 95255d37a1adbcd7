package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// printRuns prints the medians of a question's runs, which are by case and then
// by round.
func printRuns(out io.Writer, q question, preload int, runs [][]outcome) error {
	rows := [][]string{{"", "rows/s", "ratio", "CPU µs a row", "bytes a row"}}
	for i, c := range q.cases {
		var rates, ratios, cpu, written []float64
		for round, o := range runs[i] {
			rates = append(rates, o.rate())
			ratios = append(ratios, o.rate()/runs[0][round].rate())
			cpu = append(cpu, o.used.cpu.Seconds()*1e6/float64(o.rows))
			written = append(written, float64(o.used.written)/float64(o.rows))
		}
		rows = append(rows, []string{
			c.name,
			thousands(int(median(rates))),
			fmt.Sprintf("%.2f", median(ratios)),
			fmt.Sprintf("%.1f", median(cpu)),
			thousands(int(median(written))),
		})
	}
	return printTable(out, fmt.Sprintf("%s; %s preloaded", q.title, thousands(preload)), rows)
}

// printTable prints rows, the first of them a heading, as a Markdown table that
// reads well as it stands.
func printTable(out io.Writer, title string, rows [][]string) error {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	rule := make([]string, len(widths))
	for i, width := range widths {
		rule[i] = strings.Repeat("-", width-1) + ":"
	}
	rule[0] = strings.Repeat("-", widths[0])
	rows = slices.Insert(slices.Clone(rows), 1, rule)

	var text strings.Builder
	fmt.Fprintf(&text, "### %s\n\n", title)
	for _, row := range rows {
		fmt.Fprintf(&text, "| %-*s |", widths[0], row[0])
		for i, cell := range row[1:] {
			fmt.Fprintf(&text, " %*s |", widths[i+1], cell)
		}
		text.WriteString("\n")
	}
	_, err := fmt.Fprintln(out, text.String())
	return err
}

// median returns the middle value, or the higher of the two around the middle.
func median[T cmp.Ordered](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// thousands writes n with its digits in groups of three.
func thousands(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
