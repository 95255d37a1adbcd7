package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// TestPagesShowWhatTheCommandsPrint runs the commands of pages for people against
// the demo. A fence of kind console is as in a script (see [TestScripts]), but as
// a terminal shows it: errors stand among the output, exit statuses are not
// shown, and a moment stands for any moment. Another fence with a name after its
// kind is a file in the working directory.
//
// The README's reader has pasted what the demo prints of Contensis by then.
func TestPagesShowWhatTheCommandsPrint(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for page, pasted := range map[string]func(*testing.T, string){"README.md": pasteContensis, "docs/memberships.md": func(*testing.T, string) {}} {
		t.Run(page, func(t *testing.T) {
			path := filepath.Join(root, page)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s := newScript(t, pageArchive(string(text)))
			t.Chdir(s.vars["WORK"])
			if err := os.CopyFS("examples", os.DirFS(filepath.Join(root, "examples"))); err != nil {
				t.Fatal(err)
			}
			t.Setenv(serverVariable, s.vars["SERVER"])
			t.Setenv(keyVariable, "roster_demo_0123456789abcdef0123456789abcdef")
			pasted(t, s.vars["SERVER"])
			rest, shown := string(text), "" // what is before rest has been looked at
			for _, st := range parseScript(t, string(*s.text)) {
				var terminal bytes.Buffer
				Run(t.Context(), split(t, st.text)[1:], strings.NewReader(""), &terminal, &terminal)
				got := strings.TrimRight(terminal.String(), "\n")
				s.checkSecrets(t, st, got, "")
				want := strings.TrimRight(strings.Join(st.expect, "\n"), "\n")
				old := strings.TrimRight("$ "+st.text+"\n"+want, "\n") + "\n"
				before, after, ok := strings.Cut(rest, old)
				if !ok {
					t.Fatalf("the page does not hold:\n%s", old)
				}
				if anyTime.ReplaceAllString(got, "<time>") == anyTime.ReplaceAllString(want, "<time>") {
					got = want
				} else if !*update {
					t.Errorf("$ %s\ngot:\n%s\nwant:\n%s", st.text, got, want)
				}
				shown += before + strings.TrimRight("$ "+st.text+"\n"+got, "\n") + "\n"
				rest = after
			}
			shown += rest
			if *update && shown != string(text) {
				if err := os.WriteFile(path, []byte(shown), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

var (
	fence   = regexp.MustCompile("(?ms)^```(\\w+)(?: (\\S+))?\n(.*?)^```$")
	anyTime = regexp.MustCompile(placeholders["<time>"])
)

// pasteContensis does what the commands do that a demo prints of Contensis: it
// puts tdurden into Paper Street Soap Company.
func pasteContensis(t *testing.T, address string) {
	t.Helper()
	answer := func(r *http.Request, err error, out any) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer got.Body.Close()
		text, err := io.ReadAll(got.Body)
		if err != nil || got.StatusCode >= 300 {
			t.Fatalf("%s: status %d, %v: %s", r.URL.Path, got.StatusCode, err, text)
		}
		if out != nil {
			if err := json.Unmarshal(text, out); err != nil {
				t.Fatal(err)
			}
		}
	}
	form := url.Values{
		"grant_type": {"client_credentials"}, "scope": {"Security_Administrator"},
		"client_id": {"7b2f9d1e-demo"}, "client_secret": {"0b7e4d4c9f6a4c1f8a1e-5d0c7b3a2e9f4b6d8c1a"},
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", address+"/authenticate/connect/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var token struct {
		AccessToken string `json:"access_token"`
	}
	answer(r, err, &token)
	r, err = http.NewRequestWithContext(t.Context(), "PUT", address+"/api/management/security/groups/6254736c-70e1-43b0-b769-f8e0f6359862/users/3d063773-2ca9-4baf-90e1-ed674fa68640", nil)
	r.Header.Set("Authorization", "Bearer "+token.AccessToken)
	answer(r, err, nil)
}

// pageArchive makes a script of a page.
func pageArchive(page string) *txtar.Archive {
	var a txtar.Archive
	var script strings.Builder
	for _, m := range fence.FindAllStringSubmatch(page, -1) {
		switch kind, name, body := m[1], m[2], m[3]; {
		case kind == "console":
			script.WriteString(body)
		case name != "":
			a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(body)})
		}
	}
	a.Files = append(a.Files, txtar.File{Name: "script", Data: []byte(script.String())})
	return &a
}
