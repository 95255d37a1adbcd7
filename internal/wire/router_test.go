package wire_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"roster/internal/wire"
)

// routes returns a router that answers which pattern was met, with its parameters.
func routes(p wire.Paths, patterns ...string) *wire.Router {
	rt := wire.NewRouter(p)
	rt.NotFound = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	rt.MethodNotAllowed = func(allow []string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", strings.Join(allow, ","))
			w.WriteHeader(http.StatusMethodNotAllowed)
		})
	}
	for _, pattern := range patterns {
		method, path, _ := strings.Cut(pattern, " ")
		rt.Handle(method, path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, pattern)
			for part := range strings.SplitSeq(path, "/") {
				if name, ok := strings.CutPrefix(part, "{"); ok {
					fmt.Fprintf(w, " %s", r.PathValue(strings.TrimSuffix(name, "}")))
				}
			}
		}))
	}
	return rt
}

func ask(rt http.Handler, method, target string) (int, string, http.Header) {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return http.StatusBadRequest, "", nil
	}
	rec := httptest.NewRecorder()
	rt.ServeHTTP(rec, &http.Request{Method: method, URL: u, Header: http.Header{}})
	return rec.Code, rec.Body.String(), rec.Header()
}

func TestARouterReadsPathsAsItsDialectDoes(t *testing.T) {
	plain := []string{"GET /users", "GET /users/{user}", "GET /users/me", "GET /users/{user}/groups/{group}", "POST /users", "GET /"}
	slashed := []string{"GET /users/", "GET /users/{user}/", "GET /"}
	for _, c := range []struct {
		paths    wire.Paths
		patterns []string
		asks     map[string]string // path → what is answered, "" for nothing there
	}{
		{wire.Paths{}, plain, map[string]string{
			"/users": "GET /users", "/users/": "", "//users": "", "/users//": "", "/Users": "", "/": "GET /", "/users/7": "GET /users/{user} 7", "/users/me": "GET /users/me", "/users/ME": "GET /users/{user} ME",
			"/users/a%2Fb": "GET /users/{user} a/b", "/users/a%2fb/groups/c": "GET /users/{user}/groups/{group} a/b c", "/users/a+b": "GET /users/{user} a+b", "/users/a%20b": "GET /users/{user} a b",
			"/users/%2E%2E": "GET /users/{user} ..", "/users/..": "GET /users/{user} ..", "/users/../users": "", "/users/./me": "", "/users/%6De": "GET /users/{user} me",
			"/users/7/groups": "", "/users/7/groups/": "", "/users//groups/8": "", "/users/7/groups/8": "GET /users/{user}/groups/{group} 7 8", "/users/me/groups/8": "GET /users/{user}/groups/{group} me 8",
			"/users/7/groups/8/9": "", "/users?x=/y": "GET /users", "/users/%00": "GET /users/{user} \x00", "/users/%ff": "GET /users/{user} \xff", "/users/;x=1": "GET /users/{user} ;x=1", "/users;x": "",
		}},
		{wire.Paths{Slash: wire.SlashRequired}, slashed, map[string]string{
			"/users/": "GET /users/", "/users": "", "/users/7/": "GET /users/{user}/ 7", "/users/7": "", "/users//": "", "/": "GET /", "//": "", "/users/a%2F/": "GET /users/{user}/ a/", "/users/a%2F": "",
		}},
		{wire.Paths{Slash: wire.SlashOptional}, plain, map[string]string{
			"/users": "GET /users", "/users/": "GET /users", "/users//": "", "/users/7/": "GET /users/{user} 7", "//users": "", "/": "GET /",
		}},
		{wire.Paths{Slash: wire.SlashOptional, Collapse: true, FoldCase: true}, plain, map[string]string{
			"//users": "GET /users", "/users//7": "GET /users/{user} 7", "/users///": "GET /users", "/USERS/Me": "GET /users/me", "/Users/AbC": "GET /users/{user} AbC",
			"/users/%2F": "GET /users/{user} /", "/": "GET /", "//": "GET /", "/uſers": "",
		}},
		{wire.Paths{FoldCase: true}, []string{"GET /Users/{user}/Groups"}, map[string]string{
			"/users/X/groups": "GET /Users/{user}/Groups X", "/USERS/x/GROUPS": "GET /Users/{user}/Groups x", "/users/x/groups/": "",
		}},
	} {
		rt := routes(c.paths, c.patterns...)
		for path, want := range c.asks {
			status, body, header := ask(rt, "GET", path)
			switch {
			case header.Get("Location") != "" || status >= 300 && status < 400:
				t.Errorf("%+v: %s is redirected (%d)", c.paths, path, status)
			case want == "" && status != http.StatusNotFound, want != "" && (status != http.StatusOK || body != want):
				t.Errorf("%+v: %s is %d %q, want %q", c.paths, path, status, body, want)
			}
		}
	}
}

func TestAMethodThatAPathDoesNotAnswerIsSaidWithThoseItDoes(t *testing.T) {
	rt := routes(wire.Paths{}, "GET /users", "POST /users", "DELETE /users/{user}")
	for _, c := range []struct {
		method, path string
		status       int
		body, allow  string
	}{
		{"GET", "/users", 200, "GET /users", ""},
		{"HEAD", "/users", 200, "GET /users", ""},
		{"POST", "/users", 200, "POST /users", ""},
		{"PUT", "/users", 405, "", "GET,POST"},
		{"OPTIONS", "/users", 405, "", "GET,POST"},
		{"get", "/users", 405, "", "GET,POST"},
		{"", "/users", 405, "", "GET,POST"},
		{"HEAD", "/users/7", 405, "", "DELETE"},
		{"GET", "/users/7", 405, "", "DELETE"},
		{"PUT", "/nothing", 404, "", ""},
	} {
		status, body, header := ask(rt, c.method, c.path)
		if status != c.status || body != c.body || header.Get("Allow") != c.allow {
			t.Errorf("%s %s is %d %q (allow %q), want %d %q (%q)", c.method, c.path, status, body, header.Get("Allow"), c.status, c.body, c.allow)
		}
	}
}

func TestAHeadRequestGetsTheHeadersOfAGetAndNoBody(t *testing.T) {
	srv := httptest.NewServer(routes(wire.Paths{}, "GET /users"))
	defer srv.Close()
	res, err := http.Head(srv.URL + "/users")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || res.ContentLength != int64(len("GET /users")) {
		t.Errorf("HEAD is %d with length %d", res.StatusCode, res.ContentLength)
	}
}

func TestLookupFindsAHandlerForATunnelledMethod(t *testing.T) {
	rt := routes(wire.Paths{Slash: wire.SlashRequired}, "PATCH /users/{user}/", "GET /users/")
	r := httptest.NewRequest("POST", "/batch/", nil)
	if h, allow := rt.Lookup(r, "PATCH", "/users/a%2Fb/"); h == nil || r.PathValue("user") != "a/b" || len(allow) != 1 {
		t.Errorf("the handler is %v for user %q, allow %v", h, r.PathValue("user"), allow)
	}
	for path, wantAllow := range map[string]int{"/users/": 1, "/users": 0, "/none/": 0, "": 0, "/users/7/": 1} {
		if h, allow := rt.Lookup(r, "DELETE", path); h != nil || len(allow) != wantAllow {
			t.Errorf("DELETE %s is %v, allow %v; want no handler and %d methods", path, h, allow, wantAllow)
		}
	}
}

func TestAPatternThatIsTakenOrDoesNotSuitIsAnError(t *testing.T) {
	for what, c := range map[string]struct {
		paths    wire.Paths
		patterns []string
	}{
		"twice":              {wire.Paths{}, []string{"GET /a", "GET /a"}},
		"twice by parameter": {wire.Paths{}, []string{"GET /a/{x}", "GET /a/{y}"}},
		"twice by case":      {wire.Paths{FoldCase: true}, []string{"GET /a", "GET /A"}},
		"no slash in front":  {wire.Paths{}, []string{"GET a"}},
		"no slash behind":    {wire.Paths{Slash: wire.SlashRequired}, []string{"GET /a"}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: the pattern was taken", what)
				}
			}()
			routes(c.paths, c.patterns...)
		}()
	}
}

func FuzzRouter(f *testing.F) {
	for _, s := range []string{"/users", "/users/", "//users//7", "/users/a%2Fb", "/users/%zz", "/%75sers", "/users/7/groups/8", "/USERS", "/users/..", "/" + strings.Repeat("users/", 50), "*", ""} {
		f.Add(s)
	}
	var routers []*wire.Router
	for _, slash := range []wire.Slash{wire.SlashForbidden, wire.SlashOptional} {
		for _, both := range []bool{false, true} {
			routers = append(routers, routes(wire.Paths{Slash: slash, Collapse: both, FoldCase: both}, "GET /users", "GET /users/{user}", "GET /users/{user}/groups/{group}", "GET /{a}/{b}/{c}/{d}/{e}", "GET /users/{b}/{c}/me/{e}"))
		}
	}
	f.Fuzz(func(t *testing.T, target string) {
		for _, rt := range routers {
			status, body, header := ask(rt, "GET", target)
			if status != http.StatusOK && status != http.StatusNotFound && status != http.StatusBadRequest || header.Get("Location") != "" {
				t.Errorf("%q is %d %q", target, status, body)
			}
			if again, _, _ := ask(rt, "GET", target); again != status {
				t.Errorf("%q is %d and then %d", target, status, again)
			}
			rt.Lookup(httptest.NewRequest("POST", "/", nil), "GET", target)
		}
	})
}
