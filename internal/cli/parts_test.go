package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"roster/client"
	"roster/internal/directory"
)

func TestGrantNamesAreThoseOfTheDirectory(t *testing.T) {
	if want := (directory.InTenant | directory.Platform).Names(); !slices.Equal(grantNames, want) {
		t.Errorf("completed are %v, want %v", grantNames, want)
	}
}

func TestHowThingsAreNamed(t *testing.T) {
	for word, want := range map[string]string{
		"ann":                                  "name:ann",
		"7":                                    "name:7",
		"ann@example.com":                      "name:ann@example.com",
		"name:ann":                             "name:ann",
		"name:name:ann":                        "name:name:ann",
		"email:ann@example.com":                "email:ann@example.com",
		"number:7":                             "number:7",
		"code:7":                               "code:7",
		"external:hr/7":                        "external:hr/7",
		"team:red":                             "name:team:red",
		"name:":                                "name:name:",
		"0190a000-0000-7000-8000-0000000000A1": "0190a000-0000-7000-8000-0000000000A1",
		"0190a000-0000-7000-8000-0000000000g1": "name:0190a000-0000-7000-8000-0000000000g1",
		"0190a000_0000_7000_8000_0000000000a1": "name:0190a000_0000_7000_8000_0000000000a1",
	} {
		if got := ref(word); got != want {
			t.Errorf("%q is read as %q, want %q", word, got, want)
		}
	}
}

func TestNamesCannotSteerATerminal(t *testing.T) {
	var b bytes.Buffer
	tb := table{heads: []string{"NAME", "NOTE", "MORE"}}
	tb.add("a\x1b[2Jb\tc\nd", "", "x")
	tb.add("\u202eevil", "", "y")
	if err := tb.write(&b, 0); err != nil {
		t.Fatal(err)
	}
	want := "NAME        MORE\na\ufffd[2Jb\ufffdc\ufffdd  x\n\ufffdevil       y\n"
	if b.String() != want {
		t.Errorf("got\n%q, want\n%q", b.String(), want)
	}
	if got := oneLine("a\nb\x07"); got != "a; b\ufffd" {
		t.Errorf("an error reads %q", got)
	}
}

func TestATableWiderThanTheTerminalIsShownRowByRow(t *testing.T) {
	tb := table{heads: []string{"NAME", "NOTE", "ADDED BY", "REASON"}}
	tb.add("ann", "", "admin", "stands in for the summer")
	tb.add("bob", "", "", "")
	for columns, want := range map[int]string{
		0:  "NAME  ADDED BY  REASON\nann   admin     stands in for the summer\nbob\n",
		40: "NAME  ADDED BY  REASON\nann   admin     stands in for the summer\nbob\n",
		39: "NAME      ann\nADDED BY  admin\nREASON    stands in for the summer\n\nNAME  bob\n",
	} {
		var b bytes.Buffer
		if err := tb.write(&b, columns); err != nil {
			t.Fatal(err)
		}
		if b.String() != want {
			t.Errorf("in %d columns:\n%s\nwant\n%s", columns, &b, want)
		}
	}
}

func TestMomentsAreReadInAnyZoneAndShownInUTC(t *testing.T) {
	var m moment
	for s, want := range map[string]string{
		"2026-01-02T03:04:05+02:00": "2026-01-02T01:04:05Z",
		"2026-01-02":                "2026-01-02T00:00:00Z",
	} {
		if err := m.Set(s); err != nil || m.String() != want {
			t.Errorf("%s is read as %s (%v), want %s", s, m.String(), err, want)
		}
	}
	for _, s := range []string{"", "never", "today", "2026-13-01", "2026-01-02 03:04"} {
		if err := m.Set(s); err == nil {
			t.Errorf("%q is taken for a moment", s)
		}
	}
	m.never = true
	if err := m.Set("never"); err != nil || !m.time.IsZero() {
		t.Errorf("never is read as %s (%v)", m.String(), err)
	}
}

// TestAnswersOfNoServerOfOurs points the command at what may stand at a wrong
// address.
func TestAnswersOfNoServerOfOurs(t *testing.T) {
	const key = "roster_secret000000000000000000000000000000"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() { // no HTTP
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 1))
			c.Write([]byte("220 mail.example.com\r\n"))
			c.Close()
		}
	}()
	serve := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	for name, c := range map[string]struct{ address, want string }{
		"another protocol": {"http://" + listener.Addr().String(), "no server answers at"},
		"a page":           {serve(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>hello")) }), "the answer is not what this client understands"},
		"a redirect": {serve(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://example.com/", http.StatusFound)
		}), "does not answer as a roster server does (status 302)"},
		"not found": {serve(http.NotFound), "does not answer as a roster server does (status 404)"},
		"a fault": {serve(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(500)
			w.Write([]byte(`{"code":"internal","detail":"Something went wrong here.","request":"abc123"}`))
		}), "Something went wrong here. (request abc123)"},
		"hanging up": {serve(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), "no server answers at"},
		"silence":    {serve(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), "did not answer within 2s; --timeout allows more"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(serverVariable, c.address)
			t.Setenv(keyVariable, key)
			var out, errs bytes.Buffer
			timeout := "1h" // nothing but silence is waited for
			if name == "silence" {
				timeout = "2s"
			}
			status := Run(context.Background(), []string{"check", "ann", "staff", "--tenant", "acme", "--timeout", timeout}, nil, &out, &errs)
			if status != exitError || out.Len() > 0 || !strings.Contains(errs.String(), c.want) || strings.Count(errs.String(), "\n") != 1 {
				t.Errorf("status %d, printed %q, said %q, want %q", status, &out, &errs, c.want)
			}
			if strings.Contains(errs.String(), key) {
				t.Errorf("the key is shown: %s", &errs)
			}
		})
	}
}

func TestMoreWaysThanAPageHoldsAreAskedForPageByPage(t *testing.T) {
	const all = 230
	var limits []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		limits = append(limits, q.Get("limit"))
		from, _ := strconv.Atoi(q.Get("cursor")) // "" is the beginning
		n, _ := strconv.Atoi(q.Get("limit"))
		x := client.Explanation{Member: true, Count: all, Ways: make([][]client.MemberOf, min(n, 90, all-from))}
		if from += len(x.Ways); from < all {
			x.Next = strconv.Itoa(from)
		}
		if err := json.NewEncoder(w).Encode(x); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	c, err := client.New(server.URL, "key")
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []struct {
		limit, want int
		asked       string
	}{{5, 5, "5"}, {100, 100, "100 10"}, {220, 220, "100 100 40"}, {1000, all, "100 100 100"}} {
		limits = nil
		x, err := explain(t.Context(), c.Tenant("acme"), "u", "g", of.limit)
		if err != nil || len(x.Ways) != of.want || (x.Next == "") != (of.want == all) || strings.Join(limits, " ") != of.asked {
			t.Errorf("of %d: %d ways, next %q, by asking for %v, %v", of.limit, len(x.Ways), x.Next, limits, err)
		}
	}
}

func TestATreeIsFoldedAtTheTerminalsEdge(t *testing.T) {
	step := func(n int64, name, reason string) client.MemberOf {
		return client.MemberOf{Group: &client.Name{Number: n, Name: name}, Membership: &client.Membership{Holds: true, Role: "member", Reason: reason, Added: time.Date(2026, 11, 29, 16, 10, 15, 0, time.UTC)}}
	}
	var b strings.Builder
	printWays(&b, 40, "ann", "All of the staff", client.Explanation{Member: true, Count: 2, Ways: [][]client.MemberOf{
		{step(1, "Interns", "until she has a contract of her own"), step(3, "All of the staff", "")},
		{step(2, "Anunusuallylongnamethatnothingbreaksanywhere", ""), step(3, "All of the staff", "for good")},
	}})
	want := `ann is in All of the staff (2 ways)
├─ Interns  added 2026-11-29T16:10:15Z,
│  │ "until she has a contract of her
│  │ own"
│  └─ All of the staff  added
│       2026-11-29T16:10:15Z
└─ Anunusuallylongnamethatnothingbreaksanywhere
   │ added 2026-11-29T16:10:15Z
   └─ All of the staff  added
        2026-11-29T16:10:15Z, "for good"
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", &b, want)
	}
}

func TestALongWayStaysNarrow(t *testing.T) {
	way := make([]client.MemberOf, 500)
	for i := range way {
		way[i].Group = &client.Name{Number: int64(i + 1), Name: "g"}
	}
	other := append(slices.Clone(way[:400]), client.MemberOf{Group: &client.Name{Number: 9000, Name: "h"}})
	var b strings.Builder
	printWays(&b, 0, "u", "g", client.Explanation{Member: true, Count: 2, Ways: [][]client.MemberOf{way, other}})
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 502 {
		t.Errorf("%d lines, want one for each step and the headline", len(lines))
	}
	for _, l := range lines {
		if utf8.RuneCountInString(l) > width {
			t.Fatalf("a line is %d wide: %s", utf8.RuneCountInString(l), l)
		}
	}
}
