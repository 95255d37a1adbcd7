package native

import (
	"net/http"
	"time"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/wire"
)

// selfJSON is the key that a request presents, as it sees itself. Without a
// tenant it is the platform's.
type selfJSON struct {
	ID      string          `json:"id"`
	Name    string          `json:"name"`
	Grants  []string        `json:"grants"`
	User    string          `json:"user,omitempty"`
	Groups  []string        `json:"groups,omitzero"` // that it is bounded to
	Expires time.Time       `json:"expires,omitzero"`
	Tenant  *selfTenantJSON `json:"tenant,omitempty"`
}

// selfTenantJSON names the tenant that a key belongs to.
type selfTenantJSON struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// self tells a key what it is. Any key may ask, whatever it holds, so that a
// program needs to be told nothing but the key.
func (a *api) self(w http.ResponseWriter, r *http.Request, _ directory.Principal) error {
	c, err := a.verify(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	p, err := authn.Principal(c, c.Tenant, name, wire.EntryOf(ctx).Request)
	if err != nil {
		return err
	}
	wire.Note(ctx, p, nil)
	if err := parseParams(r).err; err != nil {
		return err
	}
	if err := strongOnly(r); err != nil {
		return err
	}
	out := selfJSON{ID: c.ID.String(), Name: c.Name, Grants: c.Grants.Names(), Groups: boundOf(c), Expires: c.Expires}
	if !c.User.IsZero() {
		out.User = c.User.String()
	}
	if !c.Tenant.IsZero() {
		t, err := a.directory.Tenant(ctx, p)
		if err != nil {
			return err
		}
		out.Tenant = &selfTenantJSON{ID: t.Value.ID.String(), Name: t.Value.Name}
	}
	say(http.StatusOK, out).write(w)
	return nil
}
