package server

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"roster/internal/dialect"
	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/id"
)

func allDoors(t *testing.T) []dialect.Door {
	t.Helper()
	w := directorytest.New(t, nil)
	var all []dialect.Door
	for _, open := range doors {
		all = append(all, open(dialect.Deps{Directory: w.Directory, Authn: w.Authn}))
	}
	return all
}

var parameter = regexp.MustCompile(`\{[^}]+\}`)

// ask sends a request to a route of a door whose authentication is replaced, and
// returns the error that the door was told to write; nil if none.
func ask(d dialect.Door, method, pattern string, who directory.Principal, refusal error) (reached bool, written error) {
	d.Wrap = nil
	d.Authenticate = func(r *http.Request, _ *dialect.Route) (*http.Request, directory.Principal, error) {
		return r, who, refusal
	}
	d.WriteError = func(w http.ResponseWriter, _ *http.Request, err error) {
		written = err
		w.WriteHeader(http.StatusTeapot)
	}
	routes := append([]dialect.Route(nil), d.Routes...)
	for i := range routes {
		routes[i].Handler = func(http.ResponseWriter, *http.Request, directory.Principal) error {
			reached = true
			return nil
		}
	}
	d.Routes = routes
	r := httptest.NewRequest(method, parameter.ReplaceAllString(pattern, "1"), nil)
	d.Handler().ServeHTTP(httptest.NewRecorder(), r)
	return reached, written
}

func TestEveryRouteVerifiesACredentialAndNamesItsGrant(t *testing.T) {
	for _, d := range allDoors(t) {
		for _, route := range d.Routes {
			name := d.Name + " " + route.Method + " " + route.Pattern
			if route.Public != "" {
				if len(route.Public) < 15 {
					t.Errorf("%s is public because %q, which says nothing", name, route.Public)
				}
				continue
			}
			if route.Grant == 0 {
				t.Errorf("%s names no grant", name)
			}
			refused := &directory.Error{Kind: directory.Unauthenticated}
			if reached, err := ask(d, route.Method, route.Pattern, directory.Principal{}, refused); reached || !errors.Is(err, directory.Unauthenticated) {
				t.Errorf("%s without a credential: reached %v, error %v; want Unauthenticated", name, reached, err)
			}
			nobody := directory.Principal{Credential: id.New[id.Credential]()}
			if reached, err := ask(d, route.Method, route.Pattern, nobody, nil); reached || !errors.Is(err, directory.Forbidden) {
				t.Errorf("%s with a credential that holds nothing: reached %v, error %v; want Forbidden", name, reached, err)
			}
			nobody.Grants = route.Grant
			if reached, err := ask(d, route.Method, route.Pattern, nobody, nil); !reached {
				t.Errorf("%s with exactly its grant: not reached, error %v", name, err)
			}
		}
	}
}

func TestEveryDoorSaysEveryKindOfErrorInItsOwnWords(t *testing.T) {
	const secret = "the cause, for the log alone"
	for _, d := range allDoors(t) {
		for _, kind := range directory.Kinds() {
			rec := httptest.NewRecorder()
			r := httptest.NewRequest("POST", "/", nil)
			d.WriteError(rec, r, &directory.Error{Kind: kind, Code: "test", Detail: "A sentence.", Err: errors.New(secret)})
			body := rec.Body.String()
			if rec.Code < 400 || rec.Code > 599 {
				t.Errorf("%s answers %v with status %d", d.Name, kind, rec.Code)
			}
			// A dialect whose clients know only 503 as "send it again" may say that.
			later := rec.Code == http.StatusServiceUnavailable && rec.Header().Get("Retry-After") != ""
			if (kind == directory.Internal || kind == directory.Unavailable) != (rec.Code >= 500) && !later {
				t.Errorf("%s answers %v with status %d", d.Name, kind, rec.Code)
			}
			if strings.Contains(body, secret) {
				t.Errorf("%s tells the cause of %v: %s", d.Name, kind, body)
			}
			if !strings.Contains(rec.Header().Get("Content-Type"), "json") || body == "" {
				t.Errorf("%s answers %v with %q of type %q", d.Name, kind, body, rec.Header().Get("Content-Type"))
			}
		}
		rec := httptest.NewRecorder()
		d.WriteError(rec, httptest.NewRequest("GET", "/", nil), errors.New(secret))
		if rec.Code != http.StatusInternalServerError || strings.Contains(rec.Body.String(), secret) {
			t.Errorf("%s answers an error nobody classified with %d: %s", d.Name, rec.Code, rec.Body)
		}
	}
}

func TestEveryDialectHasAReadmeThatKeepsDivergencesAndChoicesApart(t *testing.T) {
	for _, d := range allDoors(t) {
		text, err := os.ReadFile(filepath.Join("..", "dialect", d.Name, "README.md"))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, heading := range []string{"Divergences", "Choices"} {
			if d.Name != "native" && !regexp.MustCompile(`(?m)^#+ `+heading).Match(text) {
				t.Errorf("the README of %s has no section %s", d.Name, heading)
			}
		}
	}
}

func TestMountsDoNotCollide(t *testing.T) {
	Mount(allDoors(t), http.NotFoundHandler()) // panics if they do
}

func TestThePathDecidesTheDoor(t *testing.T) {
	var all []dialect.Door
	for _, d := range allDoors(t) {
		name := d.Name
		d.Wrap = func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(name)) })
		}
		all = append(all, d)
	}
	h := Mount(all, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("nobody")) }))
	for path, want := range map[string]string{
		"/api/v1/tenants":                         "native",
		"/v1.1/instances/rivia/users/":            "syncano",
		"/v1/instances/rivia/users/":              "syncano",
		"/v1/account/":                            "syncano",
		"/v1/accounts/ACC-1/users/USR-1/groups":   "softwareone",
		"/public/v1/accounts/account-users/A":     "softwareone",
		"/authenticate/connect/token":             "contensis",
		"/authenticate/connect/token/":            "contensis",
		"/api/security/groups/x/users/y":          "contensis",
		"/api/management/security/groups/x/users": "contensis",
		"/groups/4/actions/assign_user":           "dronahq",
		"//users/42":                              "dronahq",
		"/api/public//users/42":                   "dronahq",
		"//api/public/users":                      "dronahq",
		"/api/publicx":                            "nobody",
		"/GROUPS/4/actions/assign_user":           "dronahq",
		"/":                                       "syncano",
		"/v1/":                                    "syncano",
		"/v1.1/":                                  "syncano",
		"/index.html":                             "nobody",
		"/v1/x":                                   "nobody",
		"/v1":                                     "nobody",
		"/v1/accountsx":                           "nobody",
		"/groupsx":                                "nobody",
	} {
		rec := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path = path
		h.ServeHTTP(rec, r)
		if got := rec.Body.String(); got != want {
			t.Errorf("%s goes to %s, want %s", path, got, want)
		}
	}
}
