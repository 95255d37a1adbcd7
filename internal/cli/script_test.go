package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/tools/txtar"

	"roster/examples"
	"roster/internal/apply"
	"roster/internal/server"
)

var update = flag.Bool("update", false, "rewrite the output that scripts expect; exit statuses stay")

// TestScripts runs testdata/*.txtar. Each file is a server: directory.yaml says
// what it holds (the demo, if there is none), and its other sections are files
// in the working directory, all but the last, which is the script:
//
//	$ export NAME=value        for the commands that follow
//	$ roster check ann staff   a command, as a shell would take it apart
//	yes                        its standard output
//	2> roster: …               its standard error
//	[1]                        its exit status, unless 0
//
// $SERVER is the address, $DATA the directory that the server has open, $WORK
// the working directory; "< FILE" after a command is its standard input. In what
// is expected <time>, <uuid>, <secret> and <any> stand for such text.
//
// What every script must keep to is checked here: an error takes one line, no
// line of the demo's is wider than a narrow terminal, and no secret is ever
// shown except once, where <secret> is expected.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			newScript(t, archive).run(t)
			if *update && !t.Failed() {
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// script is one file under way.
type script struct {
	text    *[]byte
	vars    map[string]string
	secrets map[string]bool
	given   string // the directory, whose ids are expected as they are
	narrow  bool   // whether every line must fit a narrow terminal
}

func newScript(t *testing.T, archive *txtar.Archive) *script {
	t.Helper()
	if len(archive.Files) == 0 || archive.Files[len(archive.Files)-1].Name != "script" {
		t.Fatal("the last section must be the script")
	}
	for _, name := range []string{serverVariable, keyVariable, tenantVariable, copyFromVariable, copyToVariable} {
		t.Setenv(name, "") // and what a script exports is gone after it
	}
	s := &script{secrets: map[string]bool{}, vars: map[string]string{"WORK": t.TempDir(), "DATA": filepath.Join(t.TempDir(), "data")}}
	yaml := examples.Demo
	s.narrow = true
	for i, f := range archive.Files {
		switch {
		case f.Name == "directory.yaml":
			yaml, s.narrow = f.Data, false
		case i == len(archive.Files)-1:
			s.text = &archive.Files[i].Data
		default:
			if err := os.WriteFile(filepath.Join(s.vars["WORK"], f.Name), f.Data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.given = string(yaml) + string(*s.text)
	s.serve(t, yaml)
	return s
}

// serve starts the server that the commands talk to.
func (s *script) serve(t *testing.T, yaml []byte) {
	t.Helper()
	file, err := apply.Read(bytes.NewReader(yaml))
	if err != nil {
		t.Fatalf("directory.yaml: %v", err)
	}
	log := slog.New(slog.DiscardHandler)
	o, err := server.Open(t.Context(), server.Storage{Data: s.vars["DATA"]}, log)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(o.Handler(log))
	t.Cleanup(func() {
		h.Close()
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := o.Applier().Apply(t.Context(), server.Operator("serve"), file, false); err != nil {
		t.Fatalf("directory.yaml: %v", err)
	}
	s.vars["SERVER"] = h.URL
	note := func(secret string) {
		if len(secret) >= 8 {
			s.secrets[secret] = true
		}
	}
	for _, c := range file.Platform.Credentials {
		note(c.Secret)
	}
	for _, tenant := range file.Tenants {
		for _, c := range tenant.Credentials {
			note(c.Secret)
		}
		for _, u := range tenant.Users {
			note(u.Password)
		}
	}
}

// step is one line that begins with "$ ", and what it is to do.
type step struct {
	line   int
	text   string
	expect []string // lines of output
	status int
}

func parseScript(t *testing.T, text string) (steps []step) {
	t.Helper()
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if rest, ok := strings.CutPrefix(line, "$ "); ok {
			steps = append(steps, step{line: i + 1, text: rest})
			continue
		}
		if len(steps) == 0 {
			t.Fatalf("line %d comes before any command", i+1)
		}
		last := &steps[len(steps)-1]
		if m := statusLine.FindStringSubmatch(line); m != nil {
			last.status, _ = strconv.Atoi(m[1])
			continue
		}
		last.expect = append(last.expect, line)
	}
	return steps
}

var statusLine = regexp.MustCompile(`^\[(\d)\]$`)

func (s *script) run(t *testing.T) {
	var out bytes.Buffer
	for _, st := range parseScript(t, string(*s.text)) {
		fmt.Fprintf(&out, "$ %s\n", st.text)
		got := s.step(t, st)
		for _, line := range got {
			out.WriteString(line + "\n")
		}
		if st.status != 0 {
			fmt.Fprintf(&out, "[%d]\n", st.status)
		}
		out.WriteString("\n")
	}
	if *update {
		*s.text = out.Bytes()
	}
}

// step runs one command and returns its output with what changes from run to
// run replaced.
func (s *script) step(t *testing.T, st step) []string {
	t.Helper()
	args := split(t, os.Expand(st.text, func(name string) string {
		v, ok := s.vars[name]
		if !ok {
			t.Fatalf("line %d: $%s is not set", st.line, name)
		}
		return v
	}))
	var input io.Reader = strings.NewReader("")
	if n := len(args); n > 2 && args[n-2] == "<" {
		text, err := os.ReadFile(args[n-1])
		if err != nil {
			t.Fatal(err)
		}
		input, args = bytes.NewReader(text), args[:n-2]
	}
	switch args[0] {
	case "export":
		name, value, _ := strings.Cut(args[1], "=")
		os.Setenv(name, value)
		return nil
	case "roster":
	default:
		t.Fatalf("line %d: %q is no command of scripts", st.line, args[0])
	}
	expected := strings.TrimRight(strings.Join(st.expect, "\n"), "\n")
	var stdout, stderr bytes.Buffer
	status := Run(t.Context(), args[1:], input, &stdout, &stderr)
	if status != st.status {
		t.Errorf("line %d: $ %s\nstatus %d, want %d\n%s%s", st.line, st.text, status, st.status, &stdout, &stderr)
	}
	var lines []string
	for line := range strings.Lines(stdout.String()) {
		line = strings.TrimSuffix(line, "\n")
		lines = append(lines, line)
		if s.narrow && utf8.RuneCountInString(line) > width {
			t.Errorf("line %d: $ %s\nis wider than %d columns:\n%s", st.line, st.text, width, line)
		}
		if line != strings.TrimRight(line, " ") {
			t.Errorf("line %d: $ %s\nends in blanks: %q", st.line, st.text, line)
		}
	}
	for line := range strings.Lines(stderr.String()) {
		lines = append(lines, "2> "+strings.TrimSuffix(line, "\n"))
	}
	if n := strings.Count(stderr.String(), "\n"); status == exitError && n != 1 {
		t.Errorf("line %d: $ %s\nthe error takes %d lines:\n%s", st.line, st.text, n, &stderr)
	}
	got := strings.TrimRight(strings.Join(lines, "\n"), "\n")
	if !matches(expected, strings.ReplaceAll(got, s.vars["SERVER"], "$SERVER"), s.vars) && !*update {
		t.Errorf("line %d: $ %s\ngot:\n%s\nwant:\n%s", st.line, st.text, got, expected)
	}
	s.checkSecrets(t, st, got, expected)
	if got == "" {
		return nil
	}
	return strings.Split(s.mask(got), "\n")
}

var secretForm = regexp.MustCompile(`roster_[0-9a-f]{48}|\b[0-9a-f]{50}\b`)

// checkSecrets fails if a secret is shown that the script does not expect here,
// and remembers those that are: they must not turn up a second time.
func (s *script) checkSecrets(t *testing.T, st step, got, expected string) {
	t.Helper()
	for secret := range s.secrets {
		if strings.Contains(got, secret) {
			t.Errorf("line %d: $ %s\nshows the secret %.10s…", st.line, st.text, secret)
		}
	}
	shown := secretForm.FindAllString(got, -1)
	if want := strings.Count(expected, "<secret>"); len(shown) != want && !*update {
		t.Errorf("line %d: $ %s\nshows %d new secrets, want %d", st.line, st.text, len(shown), want)
	}
	for _, secret := range shown {
		s.secrets[secret] = true
		s.vars["SECRET"] = secret // for the commands that follow
	}
}

var placeholders = map[string]string{
	"<time>":   `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`,
	"<uuid>":   `[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}`,
	"<secret>": `(roster_[0-9a-f]{48}|[0-9a-f]{50})`,
	"<any>":    `.*`,
}

func matches(expected, got string, vars map[string]string) bool {
	pattern := regexp.QuoteMeta(expected)
	for name, re := range placeholders {
		pattern = strings.ReplaceAll(pattern, name, re)
	}
	for _, name := range []string{"DATA", "WORK"} {
		got = strings.ReplaceAll(got, vars[name], "$"+name)
	}
	return regexp.MustCompile("^" + pattern + "$").MatchString(got)
}

// mask puts placeholders where an update must not keep what came.
func (s *script) mask(got string) string {
	for _, name := range []string{"SERVER", "DATA", "WORK"} {
		got = strings.ReplaceAll(got, s.vars[name], "$"+name)
	}
	got = secretForm.ReplaceAllString(got, "<secret>")
	got = strings.ReplaceAll(got, runtime.Version(), "<any>")
	for _, name := range []string{"<time>", "<uuid>"} {
		got = regexp.MustCompile(placeholders[name]).ReplaceAllStringFunc(got, func(m string) string {
			when, err := time.Parse(time.RFC3339, m)
			if strings.Contains(s.given, m) || err == nil && time.Since(when).Abs() > 24*time.Hour {
				return m // it is the same in every run
			}
			return name
		})
	}
	return got
}

// split takes a command line apart at blanks, with quotes as a shell has them.
func split(t *testing.T, line string) (words []string) {
	t.Helper()
	var word strings.Builder
	var quote rune
	begun := false
	for _, r := range line {
		switch {
		case r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, begun = r, true
		case r == ' ':
			if begun {
				words = append(words, word.String())
				word.Reset()
			}
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if quote != 0 {
		t.Fatalf("a quote is open: %s", line)
	}
	if begun {
		words = append(words, word.String())
	}
	return words
}

func TestEveryHelpFitsANarrowTerminal(t *testing.T) {
	root := newRoot()
	n := 0
	for _, path := range commandPaths(root) {
		if strings.HasPrefix(path, "completion") {
			continue // the texts of the library
		}
		var out, errs bytes.Buffer
		if status := Run(t.Context(), append(strings.Fields(path), "--help"), nil, &out, &errs); status != 0 || errs.Len() > 0 {
			t.Errorf("roster %s --help: status %d, %s", path, status, &errs)
		}
		for line := range strings.Lines(out.String()) {
			if w := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); w > width {
				t.Errorf("roster %s --help: %d columns: %s", path, w, line)
			}
		}
		n++
	}
	if n < 25 {
		t.Errorf("%d commands were found", n)
	}
}

func TestAnInterruptedCommandSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var errs bytes.Buffer
	t.Setenv(serverVariable, "http://127.0.0.1:1")
	t.Setenv(keyVariable, "k")
	if status := Run(ctx, []string{"user", "list"}, nil, io.Discard, &errs); status != exitError || !strings.Contains(errs.String(), "interrupted") {
		t.Errorf("status %d, %s", status, &errs)
	}
}

// commandPaths returns the words of every command after the program's name.
func commandPaths(cmd *cobra.Command) []string {
	paths := []string{strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), "roster"), " ")}
	for _, sub := range cmd.Commands() {
		paths = append(paths, commandPaths(sub)...)
	}
	return paths
}
