package syncano

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/wire"
)

// caller is who asks, in Syncano's terms; the columns of the permission matrix
// are made of it.
type caller struct {
	account          bool // an account key; otherwise an API key
	createsUsers     bool // allow_user_create
	createsGroup     bool // allow_group_create
	ignoresACL       bool // ignore_acl
	readsAnonymously bool // allow_anonymous_read
	user             id.User
	key              string               // what was presented, in lower case
	userKey          string               // the same of the user
	credential       directory.Credential // what it proved
}

// identify finds out who asks. The key is an account's or an API key by the
// parity of its last digit (section 1.2); a user key counts beside an API key
// only, and one that proves nobody is as good as none (section 1.3).
func (d *door) identify(r *http.Request, v *visit, s scope) (directory.Principal, error) {
	ctx := r.Context()
	key := ""
	if v.batch != nil {
		key = v.batch.caller.key // what stands in its parts does not count
	} else {
		var err error
		if key, err = apiKey(r, v); err != nil {
			return directory.Principal{}, err
		}
	}
	if key == "" {
		return directory.Principal{}, errNoKey
	}
	key = strings.ToLower(key)
	kind, ok := kindOf(key)
	if !ok {
		return directory.Principal{}, errUnknownKey(nil)
	}
	c, err := d.authn.Verify(ctx, kind, key)
	if errors.Is(err, directory.Unauthenticated) {
		return directory.Principal{}, errUnknownKey(err)
	}
	if err != nil {
		return directory.Principal{}, err
	}
	v.caller = caller{account: kind == authn.SyncanoAccount, key: key, credential: c}
	tenant := v.tenant.ID
	if s == outside {
		tenant = c.Tenant
	}
	if !v.caller.account {
		if c.Tenant != tenant && !v.hidden {
			return directory.Principal{}, errUnknownKey(nil)
		}
		f := flagsOf(c)
		v.caller.createsUsers, v.caller.createsGroup = f.userCreate, f.groupCreate
		v.caller.ignoresACL, v.caller.readsAnonymously = f.ignoreACL, f.anonymousRead
	}
	if v.hidden {
		// There is no such instance: the principal gets as far as to be told so.
		return directory.Principal{Tenant: c.Tenant, Credential: c.ID, Grants: c.Grants, Name: c.Name, Dialect: name}, nil
	}
	p, err := d.principal(r, c, tenant)
	if errors.Is(err, directory.ErrNoTenant) && s == instance {
		v.hidden = true
		return directory.Principal{Tenant: c.Tenant, Credential: c.ID, Grants: c.Grants, Name: c.Name, Dialect: name}, nil
	}
	if errors.Is(err, directory.ErrNoTenant) {
		return p, errForbidden // an account without a role in this instance
	}
	if err != nil || v.caller.account || s == outside {
		return p, err
	}
	// The user changes what the key may do, never whose rights it has: those
	// are the key's own, so p does not act for the user.
	if v.batch != nil {
		v.caller.user, err = d.proven(r, v.batch.caller.userKey, v.tenant)
	} else {
		v.caller.user, err = d.userOf(r, v, v.tenant)
	}
	p.Self = v.caller.user
	return p, err
}

// principal is who a credential makes of its bearer in a tenant, or on the
// platform itself.
func (d *door) principal(r *http.Request, c directory.Credential, tenant id.Tenant) (directory.Principal, error) {
	p, err := d.authn.PrincipalIn(r.Context(), c, tenant, name, wire.EntryOf(r.Context()).Request)
	if tenant.IsZero() {
		p.Self = c.User
	}
	return p, err
}

// kindOf says what sort of key could look like this.
func kindOf(key string) (directory.CredentialKind, bool) {
	for _, kind := range []directory.CredentialKind{authn.SyncanoAccount, authn.SyncanoAPIKey} {
		if form, ok := authn.FormOf(kind); ok && form.Valid(key) {
			return kind, true
		}
	}
	return "", false
}

// userOf returns the user whose key the request carries, zero if none.
func (d *door) userOf(r *http.Request, v *visit, tenant directory.Tenant) (id.User, error) {
	key := cmp.Or(r.Header.Get("X-User-Key"), v.query["user_key"], v.query["userkey"])
	if key == "" {
		var err error
		if key, err = v.bodyKey(r, "_user_key"); key == "" {
			return id.User{}, err
		}
	}
	v.caller.userKey = strings.ToLower(key)
	return d.proven(r, v.caller.userKey, tenant)
}

// proven returns the user of a tenant that a user key proves, zero if none.
func (d *door) proven(r *http.Request, key string, tenant directory.Tenant) (id.User, error) {
	c, err := d.authn.Verify(r.Context(), authn.SyncanoUserKey, key)
	if errors.Is(err, directory.Unauthenticated) || err == nil && c.Tenant != tenant.ID {
		return id.User{}, nil
	}
	return c.User, err
}

// apiKey reads the main key from where clients put it, the first that is there
// (section 1.3): header, query, Authorization with whatever scheme, body.
func apiKey(r *http.Request, v *visit) (string, error) {
	key := cmp.Or(r.Header.Get("X-Api-Key"), v.query["api_key"], v.query["apikey"])
	if key == "" {
		if words := strings.Split(r.Header.Get("Authorization"), " "); len(words) == 2 {
			key = words[1]
		}
	}
	if key != "" {
		return key, nil
	}
	return v.bodyKey(r, "_api_key")
}

// bodyKey reads a key from a field of the body, "" if there is none. A body that
// cannot be understood holds no key, and is refused when its turn comes; one that
// is too large is refused here, because what it holds cannot be known.
func (v *visit) bodyKey(r *http.Request, field string) (string, error) {
	value, err := v.read(r)
	if err != nil {
		if errors.Is(err, directory.TooLarge) {
			return "", err
		}
		return "", nil
	}
	fields, _ := value.(map[string]any)
	if key := fields[field]; key != nil {
		return fmt.Sprint(key), nil
	}
	return "", nil
}
