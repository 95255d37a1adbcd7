// Package contensis speaks the users and groups part of the Contensis security
// API, so that programs written against Contensis' own clients, or against its
// HTTP reference, work here unchanged: they sign in at the token endpoint and
// then call with a bearer token. README.md says what differs and what was
// chosen. Sections named in comments are those of the dialect's contract.
package contensis

import (
	"net/http"
	"strings"

	"roster/internal/authn"
	"roster/internal/dialect"
	"roster/internal/directory"
	"roster/internal/wire"
)

// name is how the change log and the request log call the dialect.
const name = "contensis"

// The paths the dialect owns. The reference page writes management, every
// released client leaves the word out, and both are the same (section 0.1).
const (
	management = "/api/management/security"
	short      = "/api/security"
	tokenPath  = "/authenticate/connect/token"
)

// contensis is the dialect's handlers. It is safe for concurrent use.
type contensis struct {
	d     *directory.Directory
	authn *authn.Authenticator
}

// New returns the door that speaks the dialect.
func New(deps dialect.Deps) dialect.Door {
	c := &contensis{d: deps.Directory, authn: deps.Authn}
	return dialect.Door{
		Name:   name,
		Mounts: []string{management, short, tokenPath},
		// Clients disagree about the slash at the end, and one that is redirected
		// repeats a POST as a GET and reports success (section 0.2).
		Paths:        wire.Paths{Slash: wire.SlashOptional, FoldCase: true},
		Routes:       c.routes(),
		Authenticate: c.authenticate,
		WriteError:   writeError,
		Wrap:         allowBrowsers,
	}
}

// routes is the route table. Rows are written with the prefix of the reference
// page and stand under both.
func (c *contensis) routes() []dialect.Route {
	routes := []dialect.Route{
		{Method: http.MethodPost, Pattern: tokenPath, Public: "credentials are exchanged for a token here", Handler: c.token},
	}
	for _, row := range []dialect.Route{
		{Method: http.MethodGet, Pattern: "/api/management/security/users", Grant: directory.ReadUsers, Handler: c.listUsers},
		{Method: http.MethodPost, Pattern: "/api/management/security/users", Grant: directory.WriteUsers, Handler: c.createUser},
		{Method: http.MethodGet, Pattern: "/api/management/security/users/search", Grant: directory.ReadUsers, Handler: c.listUsers},
		{Method: http.MethodPost, Pattern: "/api/management/security/users/search", Grant: directory.ReadUsers, Handler: c.searchUsers},
		// A user may do these to itself, so the bound of the credential is all
		// that can be asked for here.
		{Method: http.MethodGet, Pattern: "/api/management/security/users/{user}", Grant: directory.ReadSelf, Handler: c.getUser},
		{Method: http.MethodPut, Pattern: "/api/management/security/users/{user}", Grant: directory.WriteSelf, Handler: c.updateUser},
		{Method: http.MethodPatch, Pattern: "/api/management/security/users/{user}", Grant: directory.WriteSelf, Handler: c.updateUser},
		{Method: http.MethodDelete, Pattern: "/api/management/security/users/{user}", Grant: directory.WriteSelf, Handler: c.deleteUser},
		{Method: http.MethodPost, Pattern: "/api/management/security/users/{user}/credentials/password", Grant: directory.WriteSelf, Handler: c.setPassword},
		{Method: http.MethodPost, Pattern: "/api/management/security/users/{user}/actions", Grant: directory.WriteUsers, Handler: c.act},
		{Method: http.MethodGet, Pattern: "/api/management/security/users/{user}/groups", Grant: directory.ReadSelf, Handler: c.listUserGroups},
		{Method: http.MethodHead, Pattern: "/api/management/security/users/{user}/groups/{groups}", Grant: directory.ReadSelf, Handler: c.isInGroups},

		{Method: http.MethodGet, Pattern: "/api/management/security/groups", Grant: directory.ReadGroups, Handler: c.listGroups},
		{Method: http.MethodPost, Pattern: "/api/management/security/groups", Grant: directory.WriteGroups, Handler: c.createGroup},
		{Method: http.MethodGet, Pattern: "/api/management/security/groups/{group}", Grant: directory.ReadGroups, Handler: c.getGroup},
		{Method: http.MethodPut, Pattern: "/api/management/security/groups/{group}", Grant: directory.WriteGroups, Handler: c.updateGroup},
		{Method: http.MethodDelete, Pattern: "/api/management/security/groups/{group}", Grant: directory.WriteGroups, Handler: c.deleteGroup},

		{Method: http.MethodGet, Pattern: "/api/management/security/groups/{group}/users", Grant: directory.ReadMembers, Handler: c.listMembers},
		{Method: http.MethodPost, Pattern: "/api/management/security/groups/{group}/users", Grant: directory.WriteMembers, Handler: c.addUsers},
		{Method: http.MethodPut, Pattern: "/api/management/security/groups/{group}/users/{user}", Grant: directory.WriteMembers, Handler: c.addMember},
		{Method: http.MethodDelete, Pattern: "/api/management/security/groups/{group}/users/{user}", Grant: directory.WriteMembers, Handler: c.removeMember},
		{Method: http.MethodHead, Pattern: "/api/management/security/groups/{group}/users/{user}", Grant: directory.ReadSelf, Handler: c.hasUser},

		{Method: http.MethodGet, Pattern: "/api/management/security/groups/{group}/groups", Grant: directory.ReadMembers, Handler: c.listChildren},
		{Method: http.MethodPost, Pattern: "/api/management/security/groups/{group}/groups", Grant: directory.WriteMembers, Handler: c.addChildren},
		{Method: http.MethodPut, Pattern: "/api/management/security/groups/{group}/groups/{child}", Grant: directory.WriteMembers, Handler: c.addMember},
		{Method: http.MethodDelete, Pattern: "/api/management/security/groups/{group}/groups/{child}", Grant: directory.WriteMembers, Handler: c.removeMember},
	} {
		alias := row
		alias.Pattern = short + strings.TrimPrefix(row.Pattern, management)
		routes = append(routes, row, alias)
	}
	return routes
}

// authenticate verifies the access token of a request (section 1.3). Old clients
// write the scheme in lower case.
func (c *contensis) authenticate(r *http.Request, _ *dialect.Route) (*http.Request, directory.Principal, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return r, directory.Principal{}, authn.ErrMissing
	}
	access, err := c.authn.Verify(r.Context(), authn.ContensisAccess, strings.TrimSpace(token))
	if err != nil {
		return r, directory.Principal{}, err
	}
	p, err := c.principal(r, access)
	return r, p, err
}

// principal binds a verified credential to its own tenant.
func (c *contensis) principal(r *http.Request, of directory.Credential) (directory.Principal, error) {
	return authn.Principal(of, of.Tenant, name, wire.EntryOf(r.Context()).Request)
}

// allowBrowsers lets pages of any origin call, as the JavaScript client does in
// its CORS mode (section 1.3). The token is in a header that only who holds it
// can set, so an origin is no reason to refuse.
func allowBrowsers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Accept")
			h.Set("Access-Control-Max-Age", "3600")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}
