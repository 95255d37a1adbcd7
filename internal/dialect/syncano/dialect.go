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

// name is what the core and the log call the dialect.
const name = "syncano"

// door is the dialect over one directory.
type door struct {
	directory *directory.Directory
	authn     *authn.Authenticator
	allow     map[string]string // pattern → the Allow header of its answers
	open      bool              // whether anybody may register
	rates     *wire.Rates       // nil if nothing is throttled
	requests  http.Handler      // the door itself, for what a batch asks
}

// The dialect's settings, and what they are unless set.
const (
	settingRegistration = "syncano.registration" // "open" or "closed"
	settingThrottle     = "syncano.throttle"     // "on" or "off"
)

// New returns the Syncano door.
func New(deps dialect.Deps) dialect.Door {
	d := &door{
		directory: deps.Directory, authn: deps.Authn, allow: map[string]string{},
		open: deps.Settings[settingRegistration] == "open",
	}
	if deps.Settings[settingThrottle] == "on" {
		d.rates = wire.NewRates()
	}
	out := dialect.Door{
		Name: name,
		// Other dialects live below /v1 too, so only what is Syncano's is taken there.
		Mounts:       []string{"/", "/v1/", "/v1.1", "/v1/instances", "/v1/account"},
		Paths:        wire.Paths{Slash: wire.SlashRequired},
		Routes:       d.routes(),
		Settings:     map[string][]string{settingRegistration: {"closed", "open"}, settingThrottle: {"off", "on"}},
		Authenticate: d.authenticate,
		WriteError:   writeError,
		Wrap:         wrap,
	}
	inner := out
	inner.Wrap = nil // a batch says itself what is asked, and who asks was found out
	d.requests = inner.Handler()
	return out
}

// scope is how a path stands to instances, which decides what is looked up
// before the key is looked at (section 1.4).
type scope uint8

const (
	inside   scope = iota // strictly below an instance
	instance              // an instance itself
	outside               // of all instances
	keyless               // outside, and whoever asks needs no key
)

// resource is one path with what can be done there. Parameters named user,
// group and class are parents of what the path names and are looked up before
// the key; the object itself is named id, and looked up after all else.
type resource struct {
	pattern string
	name    string // for OPTIONS
	scope   scope
	rows    []row
}

// row is one method of a resource.
type row struct {
	method    string
	grant     directory.Grants
	operation operation
	serve     func(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error
}

// reading is the grant of routes that a key without flags may use: every key has
// it. What else an answer takes, the core asks for.
const reading = directory.ReadGroups

// resources are the paths of v1.1; v1 has the same below /v1.
func (d *door) resources() []resource {
	const (
		get, post, put = http.MethodGet, http.MethodPost, http.MethodPut
		patch, del     = http.MethodPatch, http.MethodDelete
		i              = "/v1.1/instances/{instance}/"
	)
	return []resource{
		{"/", "Api Root", keyless, []row{{get, 0, signIn, serveRoot}}},
		{"/v1.1/", "Api Root", keyless, []row{{get, 0, signIn, serveVersion}}},

		{"/v1.1/account/", "Account", outside, []row{
			{get, reading, account, d.getAccount},
			{put, reading, account, d.putAccount},
			{patch, reading, account, d.patchAccount},
		}},
		{"/v1.1/account/register/", "Account Registration", keyless, []row{{post, 0, signIn, d.register}}},
		{"/v1.1/account/auth/", "Account Auth", keyless, []row{{post, 0, signIn, d.signInAccount}}},
		{"/v1.1/account/auth/{backend}/", "Account Social Auth", keyless, []row{{post, 0, signIn, d.signInBySocial}}},
		{"/v1.1/account/reset_key/", "Account Reset Key", outside, []row{{post, reading, account, d.resetAccountKey}}},

		{"/v1.1/instances/", "Instance List", outside, []row{
			{get, reading, getInstances, d.listInstances},
			{post, reading, postInstances, d.createInstance},
		}},
		{i, "Instance", instance, []row{
			{get, reading, getInstances, d.getInstance},
			{put, directory.Admin, changeInstance, d.updateInstance},
			{patch, directory.Admin, changeInstance, d.updateInstance},
			{del, directory.Admin, changeInstance, d.deleteInstance},
		}},
		{i + "rename/", "Instance Rename", instance, []row{{post, directory.Admin, changeInstance, d.renameInstance}}},

		{i + "api_keys/", "Api Key List", inside, []row{
			{get, reading, getKeys, d.listKeys},
			{post, directory.ManageKeys, changeKeys, d.createKey},
		}},
		{i + "api_keys/{id}/", "Api Key", inside, []row{
			{get, reading, getKeys, d.getKey},
			{put, directory.ManageKeys, changeKeys, d.updateKey},
			{patch, directory.ManageKeys, changeKeys, d.updateKey},
			{del, directory.ManageKeys, changeKeys, d.deleteKey},
		}},
		{i + "api_keys/{id}/reset_key/", "Api Key Reset", inside, []row{{post, directory.ManageKeys, changeKeys, d.resetKey}}},

		{i + "users/", "User List", inside, []row{
			{get, reading, getUsers, d.listUsers},
			{post, directory.WriteUsers, postUsers, d.createUser},
		}},
		{i + "users/{id}/", "User", inside, []row{
			{get, reading, getUsers, d.getUser},
			{put, reading, changeUser, d.putUser},
			{patch, reading, changeUser, d.patchUser},
			{del, directory.WriteUsers, deleteUser, d.deleteUser},
		}},
		{i + "users/{id}/reset_key/", "User Reset Key", inside, []row{{post, reading, changeUser, d.resetUserKey}}},
		{i + "user/auth/", "User Auth", inside, []row{{post, reading, signIn, d.signInUser}}},
		{i + "user/auth/{backend}/", "User Social Auth", inside, []row{{post, reading, signIn, d.signInUserBySocial}}},
		{i + "user/", "User Account", inside, []row{
			{get, reading, selfService, d.getSelf},
			{put, reading, selfService, d.putSelf},
			{patch, reading, selfService, d.patchSelf},
		}},
		{i + "users/{user}/groups/", "User Group List", inside, []row{
			{get, reading, getGroupsOfUser, d.listGroupsOfUser},
			{post, directory.WriteMembers | directory.ReadGroups, changeMemberships, d.addGroup},
		}},
		{i + "users/{user}/groups/{id}/", "User Group", inside, []row{
			{get, reading, getGroupsOfUser, d.getGroupOfUser},
			{del, directory.WriteMembers, changeMemberships, d.removeGroup},
		}},

		{i + "groups/", "Group List", inside, []row{
			{get, reading, getGroups, d.listGroups},
			{post, directory.WriteGroups, postGroups, d.createGroup},
		}},
		{i + "groups/{id}/", "Group", inside, []row{
			{get, reading, getGroups, d.getGroup},
			{put, directory.WriteGroups, changeGroup, d.updateGroup},
			{patch, directory.WriteGroups, changeGroup, d.updateGroup},
			{del, directory.WriteGroups, changeGroup, d.deleteGroup},
		}},
		{i + "groups/{group}/users/", "Group User List", inside, []row{
			{get, reading, getUsersOfGroup, d.listUsersOfGroup},
			{post, directory.WriteMembers | directory.ReadGroups, changeMemberships, d.addUser},
		}},
		{i + "groups/{group}/users/{id}/", "Group User", inside, []row{
			{get, reading, getUsersOfGroup, d.getUserOfGroup},
			{del, directory.WriteMembers, changeMemberships, d.removeUser},
		}},

		{i + "classes/", "Class List", inside, []row{
			{get, reading, getClass, d.listClasses},
			{post, directory.Admin, changeClass, d.createClass},
		}},
		{i + "classes/{id}/", "Class", inside, []row{
			{get, reading, getClass, d.getClass},
			{put, directory.Admin, changeClass, d.putClass},
			{patch, directory.Admin, changeClass, d.patchClass},
			{del, reading, refuseProfile, nil},
		}},
		{i + "classes/{class}/objects/", "Object List", inside, []row{
			{get, reading, getProfiles, d.listProfiles},
			{post, reading, refuseProfile, nil},
		}},
		{i + "classes/{class}/objects/{id}/", "Object", inside, []row{
			{get, reading, getProfiles, d.getProfile},
			{post, reading, changeProfile, d.postProfile},
			{patch, reading, changeProfile, d.patchProfile},
			{del, reading, refuseProfile, nil},
		}},

		{i + "batch/", "Batch", inside, []row{{post, reading, runBatch, d.batch}}},
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
			pattern, below := version+strings.TrimPrefix(res.pattern, "/v1.1"), strings.HasPrefix(res.pattern, "/v1.1")
			if !below {
				if version != "/v1.1" {
					continue // the root is there once
				}
				pattern = res.pattern
			}
			served := map[string]bool{http.MethodOptions: true}
			for _, row := range res.rows {
				served[row.method] = true
				served[http.MethodHead] = served[http.MethodHead] || row.method == http.MethodGet
				route := dialect.Route{Method: row.method, Pattern: pattern, Grant: row.grant, Handler: d.permitted(row)}
				if res.scope == keyless {
					route.Public, route.Handler = "is how somebody without a key gets one, or learns where to ask", d.unasked(pattern, row)
				}
				routes = append(routes, route)
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

// permitted puts the permission matrix and the throttle in front of a row.
func (d *door) permitted(row row) dialect.Handler {
	return func(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
		v := visitOf(r)
		if v.may = matrix[row.operation].of(v.caller); v.may == no {
			return errForbidden
		}
		if err := d.throttle(r, v); err != nil {
			return err
		}
		if v.hidden {
			return errNotFound // an instance that the key does not reach
		}
		return row.serve(w, r, p, v)
	}
}

// unasked serves a row that needs no key.
func (d *door) unasked(pattern string, row row) dialect.Handler {
	return func(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
		v := visitOf(r)
		if err := d.reach(r, v, pattern); err != nil {
			return err
		}
		if err := d.throttle(r, v); err != nil {
			return err
		}
		return row.serve(w, r, p, v)
	}
}

// refuse answers a method that the path does not serve: to those who may do
// anything there at all that it is not served, to the others that they may not.
func (d *door) refuse(pattern string, res resource) dialect.Handler {
	return func(w http.ResponseWriter, r *http.Request, _ directory.Principal) error {
		p, err := d.admit(r, pattern, res.scope)
		wire.Note(r.Context(), p, err)
		if err != nil {
			return err
		}
		v := visitOf(r)
		for _, row := range res.rows {
			if res.scope == keyless || p.Grants.Has(row.grant) && matrix[row.operation].of(v.caller) != no {
				if err := d.throttle(r, v); err != nil {
					return err
				}
				return errMethod(v.method)
			}
		}
		return errForbidden
	}
}

// describe answers OPTIONS (section 3.5).
func (d *door) describe(pattern string, res resource) dialect.Handler {
	return func(w http.ResponseWriter, r *http.Request, _ directory.Principal) error {
		p, err := d.admit(r, pattern, res.scope)
		wire.Note(r.Context(), p, err)
		if err != nil {
			return err
		}
		if err := d.throttle(r, visitOf(r)); err != nil {
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
	query  map[string]string
	caller caller
	may    allowance // what the matrix lets the caller do here
	tenant directory.Tenant
	hidden bool // the tenant is there, but not for this caller
	links  links
	batch  *visit // the request that asks for this one, if a batch does
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
		v := &visit{w: w, query: readQuery(r.URL.RawQuery), links: links{version: versionOf(r.URL.Path)}}
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
