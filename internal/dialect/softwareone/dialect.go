// Package softwareone speaks the REST API of the SoftwareOne Marketplace
// platform for accounts, users and user groups, as its published documents and
// its official Python client have it. README.md says which documents, how the
// wire maps to the directory, and where the two knowingly differ.
package softwareone

import (
	"errors"
	"net/http"
	"strings"

	"roster/internal/authn"
	"roster/internal/dialect"
	"roster/internal/directory"
	"roster/internal/wire"
)

// name is the dialect's name in the change log, and the key of its attributes.
const name = "softwareone"

// door is what the handlers share. It holds no state.
type door struct {
	directory *directory.Directory
	authn     *authn.Authenticator
}

// assigns is what a credential must hold to assign a group: the answer shows
// the whole account user, so whoever may not read it may not ask for it.
const assigns = directory.WriteMembers | directory.ReadAll

// New returns the dialect's door.
//
// An account user is reached by three families of paths, all over the same
// handlers: A (/v1/accounts/{accountId}/users) is the reference page's, B
// (/v1/accounts/accounts/{accountId}/users) is what current clients call, and C
// (/v1/accounts/account-users) names the account user without its account.
func New(deps dialect.Deps) dialect.Door {
	d := &door{directory: deps.Directory, authn: deps.Authn}
	return dialect.Door{
		Name:   name,
		Mounts: []string{"/v1/accounts", "/public/v1/accounts"},
		Paths:  wire.Paths{Slash: wire.SlashOptional},
		Routes: []dialect.Route{
			{Method: "POST", Pattern: "/v1/accounts/{accountId}/users/{userId}/groups", Grant: assigns, Handler: d.assignInAccount},
			{Method: "POST", Pattern: "/v1/accounts/accounts/{accountId}/users/{userId}/groups", Grant: assigns, Handler: d.assignInAccount},
			{Method: "POST", Pattern: "/v1/accounts/account-users/{id}/groups", Grant: assigns, Handler: d.assignByMembership},

			{Method: "POST", Pattern: "/public/v1/accounts/{accountId}/users/{userId}/groups", Grant: assigns, Handler: d.assignInAccount},
			{Method: "POST", Pattern: "/public/v1/accounts/accounts/{accountId}/users/{userId}/groups", Grant: assigns, Handler: d.assignInAccount},
			{Method: "POST", Pattern: "/public/v1/accounts/account-users/{id}/groups", Grant: assigns, Handler: d.assignByMembership},
		},
		Authenticate: d.authenticate,
		WriteError:   writeError,
		Wrap:         guardCollections,
	}
}

// authenticate reads "Bearer idt:TKN-dddd-dddd:<opaque>". The opaque part is the
// secret; the id in front must be that of the credential it belongs to. The
// account in the path, if there is one, must be one the credential acts in.
func (d *door) authenticate(r *http.Request, _ *dialect.Route) (*http.Request, directory.Principal, error) {
	var nobody directory.Principal
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if scheme == "" {
		return r, nobody, authn.ErrMissing
	}
	parts := strings.Split(strings.TrimSpace(token), ":")
	if !strings.EqualFold(scheme, "Bearer") || len(parts) != 3 || parts[0] != "idt" {
		return r, nobody, authn.ErrUnknown
	}
	code, ok := tokenID.parse(parts[1])
	if !ok {
		return r, nobody, authn.ErrUnknown
	}
	ctx := r.Context()
	c, err := d.authn.Verify(ctx, authn.SoftwareOne, parts[2])
	if err != nil {
		return r, nobody, err
	}
	if c.Code != code {
		return r, nobody, authn.ErrUnknown
	}

	tenant, account := c.Tenant, r.PathValue("accountId")
	if account != "" {
		code, ok := accountID.parse(account)
		if !ok {
			return r, nobody, noEntity(account)
		}
		t, err := d.directory.FindTenantByCode(ctx, code)
		if errors.Is(err, directory.NotFound) {
			return r, nobody, noEntity(account)
		}
		if err != nil {
			return r, nobody, err
		}
		tenant = t.ID
	} else if tenant.IsZero() {
		// The platform's own credential stands in no account, and nothing in
		// the path says which is meant.
		return r, nobody, noEntity(r.PathValue("id"))
	}
	p, err := authn.Principal(c, tenant, name, wire.EntryOf(ctx).Request)
	if err != nil {
		// Somebody else's account looks like one that does not exist.
		return r, nobody, noEntity(account)
	}
	return r, p, nil
}

// collections are the module's own nouns (the dialect's contract, section 2.3,
// "Routing hazards"). None of them is an account in family A.
var collections = map[string]bool{
	"accounts": true, "users": true, "user-groups": true, "api-tokens": true, "modules": true, "account-users": true,
	"buyers": true, "sellers": true, "licensees": true, "cloud-tenants": true, "erp-links": true,
}

// guardCollections answers /v1/accounts/<collection>/users/… as the unknown path
// it is, which family A's pattern would otherwise take for an account. What it
// turns away from the other patterns is a thing whose id is "users", and there
// is none.
func guardCollections(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.EscapedPath(), "/public")
		if rest, ok := strings.CutPrefix(path, "/v1/accounts/"); ok {
			segments := strings.SplitN(rest, "/", 3)
			if len(segments) > 1 && collections[segments[0]] && segments[1] == "users" {
				wire.EntryOf(r.Context()).Err = dialect.ErrNoRoute
				writeError(w, r, dialect.ErrNoRoute)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
