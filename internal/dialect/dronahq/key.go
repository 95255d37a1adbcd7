package dronahq

import (
	"context"
	"net/http"
	"strings"

	"roster/internal/authn"
	"roster/internal/dialect"
	"roster/internal/directory"
	"roster/internal/wire"
)

// Refusals of keys. All look alike to the client; the codes are for the log.
var (
	errTwoKeys  = &directory.Error{Kind: directory.Unauthenticated, Code: "credential.two", Detail: "The request carries two different keys."}
	errPlatform = &directory.Error{Kind: directory.Unauthenticated, Code: "credential.platform", Detail: "A key of the platform belongs to no account."}
	errScoped   = &directory.Error{Kind: directory.Unauthenticated, Code: "credential.scope", Detail: "A key that is limited to some groups is not accepted here."}
)

// authenticate reads the whole request, because on this surface the key may be
// in the body (the dialect's contract, section 1.2), and finds whose key it is.
// The request it returns carries what was read: see [fieldsOf].
//
// A body that cannot be read is refused as such before any key is looked at,
// unless one came in a header or the query.
func (d *door) authenticate(r *http.Request, _ *dialect.Route) (*http.Request, directory.Principal, error) {
	keys := bearers(r.Header)
	query, wrong := readForm(r.URL.RawQuery)
	keys = append(keys, query.keys...)
	var in fields
	if wrong == nil {
		in, wrong = readFields(r, query)
	}
	if wrong != nil && len(keys) == 0 {
		return r, directory.Principal{}, wrong
	}
	p, err := d.principal(r.Context(), append(keys, in.keys...))
	if err == nil {
		err = wrong
	}
	return r.WithContext(context.WithValue(r.Context(), fieldsKey{}, in)), p, err
}

// principal finds who the keys of a request prove, which must all be one.
func (d *door) principal(ctx context.Context, keys []string) (directory.Principal, error) {
	if len(keys) == 0 {
		return directory.Principal{}, authn.ErrMissing
	}
	for _, k := range keys {
		if k != keys[0] {
			return directory.Principal{}, errTwoKeys
		}
	}
	c, err := d.authn.Verify(ctx, authn.DronaHQ, keys[0])
	if err != nil {
		return directory.Principal{}, err
	}
	if c.Tenant.IsZero() {
		return directory.Principal{}, errPlatform
	}
	p, err := authn.Principal(c, c.Tenant, Name, wire.EntryOf(ctx).Request)
	if err == nil && scoped(c) {
		// Who is in scope has to be asked inside the write's own transaction,
		// which the core has no question for. Such a key must not pass for an
		// account's.
		err = errScoped
	}
	return p, err
}

// scoped reports whether a key sees only the users and groups mapped to an app:
// its attribute "groups" then lists the groups, and even an empty or odd list is
// a limit.
func scoped(c directory.Credential) bool {
	_, limited := c.Attributes.In(Name)["groups"]
	return limited
}

// bearers returns the keys in Authorization headers.
func bearers(h http.Header) []string {
	var keys []string
	for _, value := range h.Values("Authorization") {
		scheme, key, _ := strings.Cut(strings.TrimSpace(value), " ")
		if key = strings.TrimSpace(key); strings.EqualFold(scheme, "Bearer") && key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// isKeyName reports whether a field, whose name is in lower case, holds the key.
func isKeyName(name string) bool { return name == "token_key" || name == "tokenkey" }
