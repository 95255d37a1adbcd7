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
	errApp      = &directory.Error{Kind: directory.Unauthenticated, Code: "credential.app", Detail: "A key of an app is not accepted here."}
)

// authenticate reads the whole request, because on this surface the key may be
// in the body (the dialect's contract, section 1.2), and finds whose key it is.
// The request it returns carries what was read: see [fieldsOf].
//
// A body that cannot be read is refused as such before any key is looked at,
// unless one came in a header or the query.
func (d *door) authenticate(r *http.Request, route *dialect.Route) (*http.Request, directory.Principal, error) {
	if surfaceOf(route.Pattern).bearerOnly {
		return d.authenticateBearer(r)
	}
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
	p, c, err := d.principal(r.Context(), append(keys, in.keys...))
	if err == nil {
		err = wrong
	}
	in.app = ofAnApp(c)
	return withFields(r, in), p, err
}

// authenticateBearer does so where the header alone counts: the key is looked at
// before anything else, and must be the account's (section 2.8).
func (d *door) authenticateBearer(r *http.Request) (*http.Request, directory.Principal, error) {
	p, c, err := d.principal(r.Context(), bearers(r.Header))
	if err == nil && ofAnApp(c) {
		err = errApp
	}
	if err != nil {
		return r, p, err
	}
	query, err := readForm(r.URL.RawQuery)
	if err != nil {
		return r, p, err
	}
	in, err := readFields(r, query)
	return withFields(r, in), p, err
}

// withFields returns the request with what was read from it.
func withFields(r *http.Request, in fields) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), fieldsKey{}, in))
}

// principal finds who the keys of a request prove, which must all be one.
func (d *door) principal(ctx context.Context, keys []string) (directory.Principal, directory.Credential, error) {
	refused := func(err error) (directory.Principal, directory.Credential, error) {
		return directory.Principal{}, directory.Credential{}, err
	}
	if len(keys) == 0 {
		return refused(authn.ErrMissing)
	}
	for _, k := range keys {
		if k != keys[0] {
			return refused(errTwoKeys)
		}
	}
	c, err := d.authn.Verify(ctx, authn.DronaHQ, keys[0])
	if err != nil {
		return refused(err)
	}
	if c.Tenant.IsZero() {
		return refused(errPlatform)
	}
	p, err := authn.Principal(c, c.Tenant, Name, wire.EntryOf(ctx).Request)
	p.Within = within(c)
	return p, c, err
}

// within reads what bounds a key that belongs to an app: its attribute "groups"
// then lists the numbers of the groups that are mapped to the app. The text "*"
// is for an app that is mapped to everybody.
func within(c directory.Credential) *directory.Within {
	groups, bounded := c.Attributes.In(Name)[attrGroups]
	if !bounded || groups == everybody {
		return nil
	}
	return directory.WithinNumbers(groups)
}

// ofAnApp reports whether a key belongs to an app rather than to the account.
func ofAnApp(c directory.Credential) bool {
	_, app := c.Attributes.In(Name)[attrGroups]
	return app
}

// The attribute that a key of an app has.
const (
	attrGroups = "groups"
	everybody  = "*"
)

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
