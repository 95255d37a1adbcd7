// Package syncano speaks the Syncano API, versions v1.1 and v1, so that
// programs written with the Syncano client libraries work unmodified. An
// instance is a tenant, a user's and a group's id is its number, a label is a
// group's name. What is served, what each field means here, and where this
// differs from the original is in README.md; sections cited in comments are
// those of the dialect's contract.
package syncano

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"roster/internal/authn"
	"roster/internal/dialect"
	"roster/internal/directory"
	"roster/internal/wire"
)

// door is the dialect over one directory.
type door struct {
	directory *directory.Directory
	authn     *authn.Authenticator
	allow     map[string]string // pattern → the Allow header of its answers
}

// New returns the Syncano door.
func New(deps dialect.Deps) dialect.Door {
	d := &door{directory: deps.Directory, authn: deps.Authn, allow: map[string]string{}}
	return dialect.Door{
		Name: "syncano",
		// Other dialects live below /v1 too, so only what is Syncano's is taken there.
		Mounts:       []string{"/v1.1", "/v1/instances", "/v1/account"},
		Paths:        wire.Paths{Slash: wire.SlashRequired},
		Routes:       d.routes(),
		Authenticate: d.authenticate,
		WriteError:   writeError,
		Wrap:         wrap,
	}
}

// resource is one path with what can be done there. A parameter named user is a
// parent of what the path names and is looked up before the key; the object
// itself would be named id.
type resource struct {
	pattern string
	name    string // for OPTIONS
	rows    []row
}

// row is one method of a resource.
type row struct {
	method    string
	grant     directory.Grants
	operation operation
	serve     func(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error
}

// resources are the paths of v1.1; v1 has the same below /v1.
func (d *door) resources() []resource {
	return []resource{
		{"/v1.1/instances/{instance}/users/", "User List", []row{
			{http.MethodPost, directory.WriteUsers, postUsers, d.createUser},
		}},
		{"/v1.1/instances/{instance}/users/{user}/groups/", "User Group List", []row{
			{http.MethodPost, directory.WriteMembers | directory.ReadGroups, changeMemberships, d.addGroup},
		}},
	}
}

// methods are those that a path may answer, in the order of the Allow header.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions}

// anyOther is the method under which requests with a method that is not even in
// methods are routed.
const anyOther = http.MethodTrace

// routes makes the door's table. That a method is not served is told only after
// the checks that go before it (section 1.4, step 7), so each path has a route
// for every method.
func (d *door) routes() []dialect.Route {
	var routes []dialect.Route
	for _, version := range []string{"/v1.1", "/v1"} {
		for _, res := range d.resources() {
			pattern := version + strings.TrimPrefix(res.pattern, "/v1.1")
			served := map[string]bool{http.MethodOptions: true}
			for _, row := range res.rows {
				served[row.method] = true
				served[http.MethodHead] = served[http.MethodHead] || row.method == http.MethodGet
				routes = append(routes, dialect.Route{Method: row.method, Pattern: pattern, Grant: row.grant, Handler: permitted(row)})
			}
			routes = append(routes, dialect.Route{
				Method: http.MethodOptions, Pattern: pattern,
				Public: "tells what the path is for; checks the key itself, and any key will do", Handler: d.describe(pattern, res),
			})
			var allow []string
			for _, m := range append(methods, anyOther) {
				switch {
				case served[m]:
					allow = append(allow, m)
				case m == http.MethodHead: // is found as GET
				default:
					routes = append(routes, dialect.Route{
						Method: m, Pattern: pattern,
						Public: "does nothing but refuse the method, after checking the key itself", Handler: d.refuse(pattern, res),
					})
				}
			}
			d.allow[pattern] = strings.Join(allow, ", ")
		}
	}
	return routes
}

// permitted puts the permission matrix in front of a row.
func permitted(row row) dialect.Handler {
	return func(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
		v := visitOf(r)
		if matrix[row.operation].of(v.caller) == no {
			return errForbidden
		}
		return row.serve(w, r, p, v)
	}
}

// refuse answers a method that the path does not serve: to those who may do
// anything there at all that it is not served, to the others that they may not.
func (d *door) refuse(pattern string, res resource) dialect.Handler {
	return func(w http.ResponseWriter, r *http.Request, _ directory.Principal) error {
		p, err := d.admit(r, pattern)
		wire.Note(r.Context(), p, err)
		if err != nil {
			return err
		}
		v := visitOf(r)
		for _, row := range res.rows {
			if p.Grants.Has(row.grant) && matrix[row.operation].of(v.caller) != no {
				return errMethod(v.method)
			}
		}
		return errForbidden
	}
}

// describe answers OPTIONS (section 3.5).
func (d *door) describe(pattern string, res resource) dialect.Handler {
	return func(w http.ResponseWriter, r *http.Request, _ directory.Principal) error {
		p, err := d.admit(r, pattern)
		wire.Note(r.Context(), p, err)
		if err != nil {
			return err
		}
		wire.WriteJSON(w, http.StatusOK, description{Name: res.name, Renders: []string{mediaJSON}, Parses: parses})
		return nil
	}
}

// visit is one request on its way through the door: what was read of it and
// found out about it, which the later steps would otherwise do again. It travels
// with the request, whose goroutine alone uses it.
type visit struct {
	w      http.ResponseWriter
	method string // as the client means it, also inside a tunnel
	body   body
	caller caller
	links  links
}

type visitKey struct{}

func visitOf(r *http.Request) *visit { return r.Context().Value(visitKey{}).(*visit) }

// What browsers are told that they may send (section 3.5).
const (
	corsMethods = "DELETE, GET, OPTIONS, PATCH, POST, PUT"
	corsHeaders = "accept, accept-encoding, authorization, content-type, dnt, origin, user-agent, x-csrftoken, x-requested-with, x-api-key, x-user-key"
	corsMaxAge  = "86400"
)

// wrap is around every request of the door: cross-origin headers, preflights,
// and the method that a tunnelled request means.
func wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", corsMethods)
			h.Set("Access-Control-Allow-Headers", corsHeaders)
			h.Set("Access-Control-Max-Age", corsMaxAge)
			h.Set("Content-Length", "0")
			w.WriteHeader(http.StatusOK)
			return
		}
		v := &visit{w: w, links: links{version: versionOf(r.URL.Path)}}
		r = r.WithContext(context.WithValue(r.Context(), visitKey{}, v)) // a copy, whose method may be set
		if m := v.tunnelled(r); m != "" {
			r.Method = m
		}
		v.method = r.Method
		if !slices.Contains(methods, r.Method) {
			r.Method = anyOther
		}
		next.ServeHTTP(w, r)
	})
}

// versionOf returns the first segment of a path, by which links begin.
func versionOf(path string) string {
	if strings.HasPrefix(path, "/v1/") {
		return "/v1"
	}
	return "/v1.1"
}
