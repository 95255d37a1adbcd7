// Package native is Roster's own API: everything the directory can do, as JSON
// over HTTP under /api/v1. It is what the Go client, the command line and new
// programs speak; openapi.json describes it and is served by it.
package native

import (
	"net/http"
	"strings"

	"roster/internal/authn"
	"roster/internal/dialect"
	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/wire"
)

const (
	name  = "native"
	mount = "/api/v1"

	// inTenant begins the patterns of everything inside one tenant.
	inTenant = mount + "/tenants/{tenant}"
)

// api is the door's handlers over the core.
type api struct {
	directory *directory.Directory
	authn     *authn.Authenticator
}

// New returns the native door.
func New(deps dialect.Deps) dialect.Door {
	a := &api{directory: deps.Directory, authn: deps.Authn}
	return dialect.Door{
		Name:         name,
		Mounts:       []string{mount},
		Paths:        wire.Paths{Slash: wire.SlashForbidden},
		Routes:       a.routes(),
		Authenticate: a.authenticate,
		WriteError:   writeError,
	}
}

func (a *api) routes() []dialect.Route {
	return []dialect.Route{
		{Method: "GET", Pattern: mount + "/openapi.json", Public: "it describes the API and holds no data", Handler: describe},
		{Method: "GET", Pattern: mount + "/self", Public: "shows what its own key may do; checks the key itself, and any key will do", Handler: a.self},
		{Method: "POST", Pattern: mount + "/apply", Grant: directory.Platform, Handler: a.apply},
		{Method: "GET", Pattern: mount + "/changes", Grant: directory.Platform, Handler: a.listChanges},
		{Method: "GET", Pattern: mount + "/changes/{revision}", Grant: directory.Platform, Handler: a.getCommit},

		{Method: "POST", Pattern: mount + "/tenants", Grant: directory.Platform, Handler: a.createTenant},
		{Method: "GET", Pattern: mount + "/tenants", Grant: directory.Platform, Handler: a.listTenants},
		{Method: "GET", Pattern: inTenant, Grant: directory.ReadGroups, Handler: now(a.getTenant)},
		{Method: "PATCH", Pattern: inTenant, Grant: directory.Admin, Handler: a.updateTenant},
		{Method: "DELETE", Pattern: inTenant, Grant: directory.Platform, Handler: a.deleteTenant},

		{Method: "POST", Pattern: inTenant + "/users", Grant: directory.WriteUsers, Handler: a.createUser},
		{Method: "GET", Pattern: inTenant + "/users", Grant: directory.ReadUsers, Handler: now(a.listUsers)},
		{Method: "GET", Pattern: inTenant + "/users/{user}", Grant: directory.ReadUsers, Handler: now(a.getUser)},
		{Method: "PATCH", Pattern: inTenant + "/users/{user}", Grant: directory.WriteUsers, Handler: a.updateUser},
		{Method: "DELETE", Pattern: inTenant + "/users/{user}", Grant: directory.WriteUsers, Handler: a.deleteUser},
		{Method: "GET", Pattern: inTenant + "/users/{user}/groups", Grant: directory.ReadMembers, Handler: a.listGroupsOfUser},

		{Method: "POST", Pattern: inTenant + "/groups", Grant: directory.WriteGroups, Handler: a.createGroup},
		{Method: "GET", Pattern: inTenant + "/groups", Grant: directory.ReadGroups, Handler: now(a.listGroups)},
		{Method: "GET", Pattern: inTenant + "/groups/{group}", Grant: directory.ReadGroups, Handler: now(a.getGroup)},
		{Method: "PATCH", Pattern: inTenant + "/groups/{group}", Grant: directory.WriteGroups, Handler: a.updateGroup},
		{Method: "DELETE", Pattern: inTenant + "/groups/{group}", Grant: directory.WriteGroups, Handler: a.deleteGroup},
		{Method: "GET", Pattern: inTenant + "/groups/{group}/groups", Grant: directory.ReadMembers, Handler: a.listGroupsOfGroup},

		{Method: "GET", Pattern: inTenant + "/groups/{group}/members", Grant: directory.ReadMembers, Handler: a.listMembers},
		{Method: "POST", Pattern: inTenant + "/groups/{group}/members:batch", Grant: directory.WriteMembers, Handler: a.changeMembers},
		{Method: "GET", Pattern: inTenant + "/groups/{group}/members/{member}", Grant: directory.ReadMembers, Handler: now(a.getMember)},
		{Method: "PUT", Pattern: inTenant + "/groups/{group}/members/{member}", Grant: directory.WriteMembers, Handler: a.putMember},
		{Method: "PATCH", Pattern: inTenant + "/groups/{group}/members/{member}", Grant: directory.WriteMembers, Handler: a.updateMember},
		{Method: "DELETE", Pattern: inTenant + "/groups/{group}/members/{member}", Grant: directory.WriteMembers, Handler: a.deleteMember},

		{Method: "GET", Pattern: inTenant + "/check", Grant: directory.ReadMembers, Handler: a.check},
		{Method: "POST", Pattern: inTenant + "/check", Grant: directory.ReadMembers, Handler: a.checkMany},

		{Method: "POST", Pattern: inTenant + "/memberships:batch", Grant: directory.WriteMembers, Handler: a.changeMany},

		{Method: "GET", Pattern: inTenant + "/explain", Grant: directory.ReadMembers, Handler: a.explain},
		{Method: "GET", Pattern: inTenant + "/groups/{group}/members/{member}/history", Grant: directory.ReadMembers, Handler: a.memberHistory},
		{Method: "GET", Pattern: inTenant + "/groups/{group}/diff", Grant: directory.ReadMembers, Handler: now(a.diffGroup)},
		{Method: "GET", Pattern: inTenant + "/users/{user}/diff", Grant: directory.ReadMembers, Handler: now(a.diffUser)},
		{Method: "GET", Pattern: inTenant + "/changes", Grant: directory.ReadAll, Handler: now(a.listChanges)},
		{Method: "GET", Pattern: inTenant + "/changes/{revision}", Grant: directory.ReadAll, Handler: now(a.getCommit)},

		{Method: "POST", Pattern: inTenant + "/keys", Grant: directory.ManageKeys, Handler: a.createKey},
		{Method: "GET", Pattern: inTenant + "/keys", Grant: directory.ManageKeys, Handler: now(a.listKeys)},
		{Method: "DELETE", Pattern: inTenant + "/keys/{key}", Grant: directory.ManageKeys, Handler: a.revokeKey},
	}
}

// errPlatformOnly is what a tenant's own credential gets outside of tenants.
var errPlatformOnly = &directory.Error{Kind: directory.Forbidden, Code: "platform.only", Detail: "Only the platform's own credentials may do this."}

// authenticate verifies the bearer key before it looks at the tenant in the
// path, so that nobody without a key learns which tenants there are, and then
// binds it to that tenant.
func (a *api) authenticate(r *http.Request, _ *dialect.Route) (*http.Request, directory.Principal, error) {
	c, err := a.verify(r)
	if err != nil {
		return r, directory.Principal{}, err
	}
	ctx := r.Context()
	var tenant id.Tenant
	if path := r.PathValue("tenant"); path != "" {
		if tenant, err = a.directory.TenantID(ctx, path); err != nil {
			return r, directory.Principal{}, err
		}
	} else if !c.Tenant.IsZero() {
		return r, directory.Principal{}, errPlatformOnly
	}
	p, err := authn.Principal(c, tenant, name, wire.EntryOf(ctx).Request)
	p.Within = within(c)
	return r, p, err
}

// verify finds the credential that the request presents.
func (a *api) verify(r *http.Request) (directory.Credential, error) {
	secret, err := bearer(r)
	if err != nil {
		return directory.Credential{}, err
	}
	return a.authn.Verify(r.Context(), authn.Native, secret)
}

// bearer returns the secret of an Authorization header (RFC 6750 section 2.1).
func bearer(r *http.Request) (string, error) {
	values := r.Header["Authorization"]
	if len(values) == 0 {
		return "", authn.ErrMissing
	}
	const scheme = "Bearer "
	v := values[0]
	if len(values) > 1 || len(v) <= len(scheme) || !strings.EqualFold(v[:len(scheme)], scheme) {
		return "", &directory.Error{
			Kind: directory.Unauthenticated, Code: "credential.malformed",
			Detail: "The credential must be one header of the form Authorization: Bearer roster_….",
		}
	}
	return v[len(scheme):], nil
}
