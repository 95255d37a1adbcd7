// Package dialecttest plays recorded conversations against a dialect's door on a
// real directory.
//
// A conversation is a txtar file. Its section directory.yaml says what the
// directory holds before (see package apply). Then come pairs: name.req is a raw
// HTTP request, name.STATUS the answer it must get. Requests run in order, on
// one directory, under a clock that stands at directorytest.Start.
//
// Of the answer's headers those listed are compared: "Name: *" must be there,
// "Name: -" must not. A JSON body is compared as JSON, in which the strings
// "<any>", "<uuid>", "<time>", "<int>" and "<string>" stand for any such value;
// another body byte for byte. An empty expected body must be empty. A secret
// given in directory.yaml must not turn up in the log.
//
// With -update, bodies are rewritten with what came; statuses never are.
package dialecttest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"roster/internal/apply"
	"roster/internal/dialect"
	"roster/internal/directory/directorytest"
	"roster/internal/wire"
)

var update = flag.Bool("update", false, "rewrite the bodies of recorded answers")

// Play is a conversation under way.
type Play struct {
	World   *directorytest.World
	Handler http.Handler

	log     *lockedBuffer
	secrets []string
}

// New returns a door over a directory that holds what a file says.
func New(t testing.TB, yaml string, open func(dialect.Deps) dialect.Door) *Play {
	t.Helper()
	log := &lockedBuffer{}
	logger := slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	world := directorytest.New(t, logger)
	file, err := apply.Read(strings.NewReader(yaml))
	if err != nil {
		t.Fatalf("directory.yaml: %v", err)
	}
	a := &apply.Applier{Directory: world.Directory, Authn: world.Authn}
	if _, err := a.Apply(t.Context(), directorytest.Root(), file, false); err != nil {
		t.Fatalf("directory.yaml: %v", err)
	}
	door := open(dialect.Deps{Directory: world.Directory, Authn: world.Authn, Log: logger})
	p := &Play{World: world, log: log}
	for _, tenant := range file.Tenants {
		for _, c := range tenant.Credentials {
			p.secrets = append(p.secrets, c.Secret)
		}
		for _, u := range tenant.Users {
			p.secrets = append(p.secrets, u.Password)
		}
	}
	for _, c := range file.Platform.Credentials {
		p.secrets = append(p.secrets, c.Secret)
	}
	p.Handler = wire.Logged(logger, door.Handler(), func(w http.ResponseWriter, _ *http.Request) {
		t.Error("a handler panicked; see the log")
		w.WriteHeader(http.StatusInternalServerError)
	})
	t.Cleanup(func() { p.checkLog(t) })
	return p
}

// checkLog fails if a secret was logged.
func (p *Play) checkLog(t testing.TB) {
	log := p.log.String()
	for _, s := range p.secrets {
		if len(s) >= 8 && strings.Contains(log, s) {
			t.Errorf("the log holds the secret %.6s…", s)
		}
	}
	if t.Failed() {
		t.Logf("log:\n%s", log)
	}
}

// Log is what has been logged so far.
func (p *Play) Log() string { return p.log.String() }

// Do sends one request and returns the answer.
func (p *Play) Do(r *http.Request) *http.Response {
	rec := httptest.NewRecorder()
	p.Handler.ServeHTTP(rec, r)
	return rec.Result()
}

// Run plays every file that the pattern matches.
func Run(t *testing.T, pattern string, open func(dialect.Deps) dialect.Door) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations match %s (%v)", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			play(t, archive, open)
			if *update && !t.Failed() {
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

var sectionName = regexp.MustCompile(`^(.+)\.(req|\d{3})$`)

func play(t *testing.T, archive *txtar.Archive, open func(dialect.Deps) dialect.Door) {
	var p *Play
	var request *http.Request
	var name string
	for i := range archive.Files {
		f := &archive.Files[i]
		if f.Name == "directory.yaml" {
			p = New(t, string(f.Data), open)
			continue
		}
		m := sectionName.FindStringSubmatch(f.Name)
		if m == nil || p == nil {
			t.Fatalf("section %s: want directory.yaml first, then NAME.req and NAME.STATUS", f.Name)
		}
		if m[2] == "req" {
			var err error
			if request, err = ParseRequest(f.Data); err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
			name = m[1]
			continue
		}
		if request == nil || name != m[1] {
			t.Fatalf("section %s follows no %s.req", f.Name, m[1])
		}
		status, _ := strconv.Atoi(m[2])
		ok := t.Run(name, func(t *testing.T) { p.compare(t, request, status, f) })
		request = nil
		if !ok && t.Failed() {
			t.Logf("the conversation goes on after %s failed", name)
		}
	}
	if request != nil {
		t.Fatalf("%s.req has no answer", name)
	}
}

// ParseRequest reads a raw request whose lines end in \n or \r\n. The length of
// the body is what follows the blank line, without the file's last newline; a
// header Content-Length is not needed.
func ParseRequest(raw []byte) (*http.Request, error) {
	head, body, _ := bytes.Cut(raw, []byte("\n\n"))
	body = bytes.TrimSuffix(body, []byte("\n"))
	lines := strings.ReplaceAll(strings.TrimRight(string(head), "\n"), "\n", "\r\n")
	length := ""
	if !strings.Contains(strings.ToLower(lines), "content-length:") {
		length = fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	host := ""
	if !strings.Contains(strings.ToLower(lines), "\nhost:") {
		host = "Host: roster.example\r\n"
	}
	r, err := http.ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader(lines+"\r\n"+host+length+"\r\n"), bytes.NewReader(body))))
	if err != nil {
		return nil, err
	}
	r.RemoteAddr = "192.0.2.1:1234"
	return r, nil
}

func (p *Play) compare(t *testing.T, r *http.Request, status int, f *txtar.File) {
	got := p.Do(r)
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got.StatusCode != status {
		t.Errorf("%s %s: status %d, want %d; body:\n%s", r.Method, r.URL, got.StatusCode, status, body)
		return
	}
	head, want := splitAnswer(f.Data)
	for _, line := range head {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		have, present := got.Header[http.CanonicalHeaderKey(name)]
		switch {
		case value == "-" && present:
			t.Errorf("header %s: %q, want none", name, have)
		case value == "*" && !present:
			t.Errorf("header %s is missing", name)
		case value != "-" && value != "*" && strings.Join(have, ", ") != value:
			t.Errorf("header %s: %q, want %q", name, strings.Join(have, ", "), value)
		}
	}
	var wantJSON, gotJSON any
	if decode(want, &wantJSON) != nil || decode(body, &gotJSON) != nil {
		if strings.TrimSpace(string(want)) != strings.TrimSpace(string(body)) {
			if *update {
				f.Data = joinAnswer(head, body)
				return
			}
			t.Errorf("%s %s: body\n%s\nwant\n%s", r.Method, r.URL, body, want)
		}
		return
	}
	masked := mask(gotJSON, wantJSON)
	if diff := cmp.Diff(wantJSON, masked); diff != "" {
		if *update {
			var pretty bytes.Buffer
			e := json.NewEncoder(&pretty)
			e.SetEscapeHTML(false)
			e.SetIndent("", "  ")
			if err := e.Encode(masked); err != nil {
				t.Fatal(err)
			}
			f.Data = joinAnswer(head, pretty.Bytes())
			return
		}
		t.Errorf("%s %s: body differs (-want +got):\n%s", r.Method, r.URL, diff)
	}
}

// decode reads JSON in which numbers keep their digits, so that 1 is not 1.0.
func decode(b []byte, v *any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("more than one value")
	}
	return nil
}

// splitAnswer separates the header lines from the body. Without a blank line,
// what looks like headers is headers and the body is empty.
func splitAnswer(data []byte) (head []string, body []byte) {
	if len(data) == 0 {
		return nil, nil
	}
	if data[0] == '\n' {
		return nil, bytes.TrimSuffix(data[1:], []byte("\n"))
	}
	top, body, _ := bytes.Cut(data, []byte("\n\n"))
	if !headerLine.Match(top) {
		return nil, bytes.TrimSuffix(data, []byte("\n"))
	}
	return strings.Split(strings.TrimRight(string(top), "\n"), "\n"), bytes.TrimSuffix(body, []byte("\n"))
}

var headerLine = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*: ?`)

func joinAnswer(head []string, body []byte) []byte {
	var b bytes.Buffer
	for _, line := range head {
		b.WriteString(line + "\n")
	}
	b.WriteString("\n")
	b.Write(bytes.TrimRight(body, "\n"))
	b.WriteString("\n")
	return b.Bytes()
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$`)

// mask puts want's placeholders into got where what came is such a value.
func mask(got, want any) any {
	switch want := want.(type) {
	case map[string]any:
		m, ok := got.(map[string]any)
		if !ok {
			return got
		}
		out := make(map[string]any, len(m))
		for k, v := range m {
			out[k] = v
			if w, ok := want[k]; ok {
				out[k] = mask(v, w)
			}
		}
		return out
	case []any:
		l, ok := got.([]any)
		if !ok {
			return got
		}
		out := make([]any, len(l))
		for i, v := range l {
			out[i] = v
			if i < len(want) {
				out[i] = mask(v, want[i])
			}
		}
		return out
	case string:
		text, isText := got.(string)
		number, isNumber := got.(json.Number)
		fits := false
		switch want {
		case "<any>":
			fits = true
		case "<string>":
			fits = isText
		case "<uuid>":
			fits = isText && uuidForm.MatchString(text)
		case "<time>":
			if isText {
				_, err := time.Parse(time.RFC3339Nano, text)
				fits = err == nil
			}
		case "<int>":
			if isNumber {
				_, err := number.Int64()
				fits = err == nil
			}
		}
		if fits {
			return want
		}
	}
	return got
}

// lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
