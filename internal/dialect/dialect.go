// Package dialect says what a dialect is: a set of routes under the mounts it
// owns, a way to find a request's credential, and a way to say what went wrong.
// A dialect decodes, calls one operation of the core, and encodes; it holds no
// rule, no SQL and no state.
package dialect

import (
	"log/slog"
	"net/http"
	"strings"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/wire"
)

// Deps is what a dialect is made from.
type Deps struct {
	Directory *directory.Directory
	Authn     *authn.Authenticator
	Log       *slog.Logger

	// Settings are what the operator chose, by names such as
	// "syncano.registration"; what is not there has its default.
	Settings map[string]string
}

// Handler answers one request of a principal. An error it returns is written by
// the door; it must not have written anything by then.
type Handler func(w http.ResponseWriter, r *http.Request, p directory.Principal) error

// Route is one row of a dialect's table.
type Route struct {
	Method  string
	Pattern string // whole, so that a search for a path lands on its handler

	// Grant is what the credential must hold for the handler to be called at
	// all. The core checks again, inside the transaction.
	Grant directory.Grants

	// Public says why a route needs no credential, in a few words; "" if it
	// needs one. A public route's handler gets the zero principal.
	Public string

	Handler Handler
}

// Door is a dialect put together: what the server mounts.
type Door struct {
	Name string

	// Mounts are the path prefixes the dialect owns, such as "/api/v1"; each
	// matches itself and what follows it after a slash. One that ends in a slash
	// is that path alone.
	Mounts []string

	// Settings are those that the dialect knows, each with the values it may
	// have, the default first.
	Settings map[string][]string

	Paths  wire.Paths
	Routes []Route

	// Authenticate finds and verifies the credential of a request. It may
	// replace the request, to carry a body it had to read.
	Authenticate func(r *http.Request, route *Route) (*http.Request, directory.Principal, error)

	// WriteError says what went wrong in the dialect's words. Every kind of
	// error has its own answer; the cause goes nowhere but the log.
	WriteError func(w http.ResponseWriter, r *http.Request, err error)

	// Wrap, if set, is around everything of the door: its headers, its tunnels.
	Wrap func(http.Handler) http.Handler
}

// The errors of paths that no route has.
var (
	ErrNoRoute  = &directory.Error{Kind: directory.NotFound, Code: "route.unknown", Detail: "There is nothing at this path."}
	ErrNoMethod = &directory.Error{Kind: directory.Invalid, Code: "method.unknown", Detail: "This path does not answer that method."}
)

// Handler returns the door's routes behind one handler. It panics if a route
// neither names a grant nor says why it is public, or if the door lacks a part.
func (d Door) Handler() http.Handler {
	if d.Authenticate == nil || d.WriteError == nil || d.Name == "" || len(d.Mounts) == 0 {
		panic("dialect " + d.Name + ": incomplete door")
	}
	rt := wire.NewRouter(d.Paths)
	rt.NotFound = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.fail(w, r, ErrNoRoute) })
	rt.MethodNotAllowed = func(allow []string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			d.fail(w, r, ErrNoMethod)
		})
	}
	for i := range d.Routes {
		route := &d.Routes[i]
		if (route.Grant == 0) == (route.Public == "") {
			panic("dialect " + d.Name + ": " + route.Method + " " + route.Pattern + " must either name a grant or say why it is public")
		}
		rt.Handle(route.Method, route.Pattern, d.serve(route))
	}
	var h http.Handler = rt
	if d.Wrap != nil {
		h = d.Wrap(h)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wire.EntryOf(r.Context()).Dialect = d.Name
		h.ServeHTTP(w, r)
	})
}

func (d Door) serve(route *Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var p directory.Principal
		if route.Public == "" {
			authenticated, who, err := d.Authenticate(r, route)
			if missing := who.Grants.Lacking(route.Grant); err == nil && missing != 0 {
				err = &directory.Error{Kind: directory.Forbidden, Code: "grant.missing", Detail: "This credential does not hold " + missing.String() + "."}
			}
			wire.Note(r.Context(), who, err)
			if err != nil {
				d.fail(w, r, err)
				return
			}
			r, p = authenticated, who
		}
		if err := route.Handler(w, r, p); err != nil {
			d.fail(w, r, err)
		}
	})
}

func (d Door) fail(w http.ResponseWriter, r *http.Request, err error) {
	wire.EntryOf(r.Context()).Err = err
	d.WriteError(w, r, err)
}
