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
	account      bool // an account key; otherwise an API key
	createsUsers bool // allow_user_create
	createsGroup bool // allow_group_create
	ignoresACL   bool // ignore_acl
	user         id.User
}

// identify finds out who asks. The key is an account's or an API key by the
// parity of its last digit (section 1.2); a user key counts beside an API key
// only, and one that proves nobody is as good as none (section 1.3).
func (d *door) identify(r *http.Request, v *visit, tenant directory.Tenant) (directory.Principal, error) {
	ctx := r.Context()
	query := readQuery(r.URL.RawQuery)
	key, err := apiKey(r, v, query)
	if err != nil {
		return directory.Principal{}, err
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
	if kind == authn.SyncanoAPIKey && c.Tenant != tenant.ID {
		return directory.Principal{}, errUnknownKey(nil)
	}
	p, err := authn.Principal(c, tenant.ID, "syncano", wire.EntryOf(ctx).Request)
	if err != nil {
		return directory.Principal{}, errForbidden // an account without a role in this instance
	}
	v.caller = caller{account: kind == authn.SyncanoAccount}
	if v.caller.account {
		return p, nil
	}
	// The user changes what the key may do, never whose rights it has: those
	// are the key's own, so p does not act for the user.
	v.caller.createsUsers = c.Grants.Has(directory.WriteUsers)
	v.caller.createsGroup = c.Grants.Has(directory.WriteGroups)
	v.caller.ignoresACL, _ = c.Attributes.In("syncano")["ignore_acl"].(bool)
	v.caller.user, err = d.userOf(r, v, query, tenant)
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
func (d *door) userOf(r *http.Request, v *visit, query map[string]string, tenant directory.Tenant) (id.User, error) {
	key := cmp.Or(r.Header.Get("X-User-Key"), query["user_key"], query["userkey"])
	if key == "" {
		var err error
		if key, err = v.bodyKey(r, "_user_key"); key == "" {
			return id.User{}, err
		}
	}
	c, err := d.authn.Verify(r.Context(), authn.SyncanoUserKey, strings.ToLower(key))
	if errors.Is(err, directory.Unauthenticated) || err == nil && c.Tenant != tenant.ID {
		return id.User{}, nil
	}
	return c.User, err
}

// apiKey reads the main key from where clients put it, the first that is there
// (section 1.3): header, query, Authorization with whatever scheme, body.
func apiKey(r *http.Request, v *visit, query map[string]string) (string, error) {
	key := cmp.Or(r.Header.Get("X-Api-Key"), query["api_key"], query["apikey"])
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
	value, err := v.body.read(v.w, r)
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
