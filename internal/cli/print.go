package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"roster/client"
)

// How answers are printed.
const (
	tableOutput = "table" // for people
	jsonOutput  = "json"  // for programs, with the names that the API uses
)

var outputs = []string{tableOutput, jsonOutput}

// printer writes answers to one command's standard output, and what is said
// beside them to its standard error.
type printer struct {
	w, notes io.Writer
	json     bool
	columns  int // how wide lines may be; 0 for any
}

func newPrinter(cmd *cobra.Command, output string) (printer, error) {
	if !slices.Contains(outputs, output) {
		return printer{}, fmt.Errorf("--output: %q is not table or json", output)
	}
	return printer{w: cmd.OutOrStdout(), notes: cmd.ErrOrStderr(), json: output == jsonOutput, columns: columns(cmd.OutOrStdout())}, nil
}

// columns is how wide a terminal is, or what COLUMNS says; 0 for what is neither.
func columns(w io.Writer) int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if f, ok := w.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil {
			return n
		}
	}
	return 0
}

func (p printer) note(text string) { fmt.Fprintln(p.notes, text) }

// encode writes a value as JSON.
func (p printer) encode(v any) error {
	e := json.NewEncoder(p.w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// isTerminal reports whether somebody looks on.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// table aligns rows under their heads. A column that is empty in every row is
// left out, heads and all.
type table struct {
	heads []string // nil for none
	rows  [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// write writes a table, or what would be wider than so many columns (unless that
// is 0) row by row, a line for each cell.
func (t *table) write(w io.Writer, columns int) error {
	used := map[int]bool{}
	for _, row := range t.rows {
		for i, cell := range row {
			used[i] = used[i] || cell != ""
		}
	}
	text := t.aligned(func(i int) bool { return used[i] || len(t.rows) == 0 })
	if columns > 0 && t.heads != nil && len(t.rows) > 0 && widest(text) > columns {
		text = t.blocks()
	}
	_, err := w.Write(text)
	return err
}

func (t *table) aligned(used func(int) bool) []byte {
	var b, trimmed bytes.Buffer
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(cells []string) {
		var shown []string
		for i, cell := range cells {
			if used(i) {
				shown = append(shown, plain(cell))
			}
		}
		fmt.Fprintln(tw, strings.Join(shown, "\t"))
	}
	if t.heads != nil {
		line(t.heads)
	}
	for _, row := range t.rows {
		line(row)
	}
	tw.Flush()
	for l := range bytes.Lines(b.Bytes()) {
		trimmed.Write(bytes.TrimRight(l, " \n"))
		trimmed.WriteByte('\n')
	}
	return trimmed.Bytes()
}

// blocks sets each row as a block of its own, of what is not empty in it.
func (t *table) blocks() []byte {
	var b bytes.Buffer
	for n, row := range t.rows {
		if n > 0 {
			b.WriteByte('\n')
		}
		var block table
		for i, cell := range row {
			if cell != "" {
				block.add(t.heads[i], cell)
			}
		}
		b.Write(block.aligned(func(int) bool { return true }))
	}
	return b.Bytes()
}

func widest(text []byte) (n int) {
	for l := range bytes.Lines(text) {
		n = max(n, utf8.RuneCount(bytes.TrimSuffix(l, []byte("\n"))))
	}
	return n
}

// plain replaces what a terminal would obey rather than show: names come from
// whoever may write them.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// exactDate is date to the last digit, for a moment that decides something.
func exactDate(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// paging says how much of a list is shown.
type paging struct {
	limit int
	all   bool
}

// defaultLimit is how much of a list is shown unless asked for otherwise.
const defaultLimit = 100

func (pg *paging) bind(cmd *cobra.Command) {
	cmd.Flags().IntVar(&pg.limit, "limit", defaultLimit, "how many to show at most")
	cmd.Flags().BoolVar(&pg.all, "all", false, "show every one, whatever the limit")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if pg.limit < 1 {
			return fmt.Errorf("--limit: %d shows nothing; give 1 or more, or --all", pg.limit)
		}
		return nil
	}
}

// pageSize is how many to ask the server for at a time: one more than is shown,
// to know whether there are more.
func (pg *paging) pageSize() int {
	if pg.all {
		return 0
	}
	return pg.limit + 1
}

// printList prints a list, as far as asked for.
func printList[T any](p printer, pg *paging, list iter.Seq2[T, error], heads []string, row func(T) []string) error {
	t := &table{heads: heads}
	return printEach(p, pg, list, func(item T) { t.add(row(item)...) }, func() error { return t.write(p.w, p.columns) })
}

// printEach hands the items of a list, as far as asked for, to each, and then
// prints what end does. As JSON it prints all of them itself.
func printEach[T any](p printer, pg *paging, list iter.Seq2[T, error], each func(T), end func() error) error {
	if p.json {
		items := []T{}
		each, end = func(item T) { items = append(items, item) }, func() error { return p.encode(items) }
	}
	n, more := 0, false
	for item, err := range list {
		if err != nil {
			return err
		}
		if more = !pg.all && n == pg.limit; more {
			break
		}
		n++
		each(item)
	}
	err := end()
	if more {
		p.note("there are more; --limit N or --all shows them")
	}
	return err
}

// printCount prints how long a list is.
func (p printer) printCount(n int64) error {
	if p.json {
		return p.encode(struct {
			Total int64 `json:"total"`
		}{n})
	}
	_, err := fmt.Fprintln(p.w, n)
	return err
}

// sheet shows one thing, a line for each of its fields that is not empty.
type sheet struct{ table }

func (s *sheet) field(label string, values ...string) {
	for _, v := range values {
		if v != "" {
			s.add(label, v)
			label = ""
		}
	}
}

func (p printer) show(v any, fill func(*sheet)) error {
	if p.json {
		return p.encode(v)
	}
	var s sheet
	fill(&s)
	return s.write(p.w, 0)
}

// attributeNames are the names of attributes, which is what fits into a line.
func attributeNames(a client.Attributes) []string {
	var names []string
	for dialect, values := range a {
		for key := range values {
			names = append(names, dialect+"."+key)
		}
	}
	slices.Sort(names)
	return names
}

func externalIDs(m map[string]string) []string {
	var out []string
	for _, source := range slices.Sorted(maps.Keys(m)) {
		out = append(out, source+"/"+m[source])
	}
	return out
}
