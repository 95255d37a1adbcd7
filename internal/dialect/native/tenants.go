package native

import (
	"context"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/wire"
)

// tenantJSON is a tenant in an answer.
type tenantJSON struct {
	ID         string         `json:"id"`
	Code       int64          `json:"code"`
	Name       string         `json:"name"`
	Title      string         `json:"title,omitempty"`
	Attributes jsontext.Value `json:"attributes"`
	Version    int64          `json:"version"`
	Created    time.Time      `json:"created"`
	Modified   time.Time      `json:"modified"`
}

func encodeTenant(t directory.Tenant) tenantJSON {
	return tenantJSON{
		ID: t.ID.String(), Code: t.Code, Name: t.Name, Title: t.Title, Attributes: attributesJSON(t.Attributes),
		Version: t.Version, Created: t.Created, Modified: t.Modified,
	}
}

// newTenantJSON is a tenant to be made.
type newTenantJSON struct {
	ID         string         `json:"id"`
	Code       int64          `json:"code"`
	Name       string         `json:"name"`
	Title      string         `json:"title"`
	Attributes jsontext.Value `json:"attributes"`
}

func (a *api) createTenant(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	if err := noPrecondition(r); err != nil {
		return err
	}
	var in newTenantJSON
	body, err := read(w, r, wire.MaxBody, &in)
	if err != nil {
		return err
	}
	t := directory.NewTenant{Code: in.Code, Name: in.Name, Title: in.Title}
	if t.ID, err = givenID[id.Tenant](in.ID); err != nil {
		return err
	}
	if t.Attributes, err = newAttributes(in.Attributes); err != nil {
		return err
	}
	return write(a, w, r, p, change[directory.Tenant]{
		body: body,
		do: func(ctx context.Context, p directory.Principal) (directory.Answer[directory.Tenant], error) {
			return a.directory.CreateTenant(ctx, p, t)
		},
		// The revision is one of the platform's log, which no header shows.
		answer: func(t directory.Tenant, _ directory.Revision) answer {
			ans := say(http.StatusCreated, encodeTenant(t)).versioned(t.Version)
			ans.Location = mount + "/tenants/" + t.ID.String()
			return ans
		},
	})
}

// givenID reads the id that an imported thing brings; the zero id if it has none.
func givenID[T id.UUID](s string) (T, error) {
	if s == "" {
		return T{}, nil
	}
	u, err := id.Parse[T](s)
	if err != nil {
		return u, invalid("id.malformed", "id", "An id is a UUID in its usual form.")
	}
	return u, nil
}

func (a *api) listTenants(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	q, page := listParams(r)
	if q.err != nil {
		return q.err
	}
	if err := strongOnly(r); err != nil {
		return err
	}
	found, err := a.directory.Tenants(r.Context(), p, page)
	if err != nil {
		return err
	}
	say(http.StatusOK, listOf(found, q.query(r), encodeTenant)).write(w)
	return nil
}

func (a *api) getTenant(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	if err := parseParams(r).err; err != nil {
		return err
	}
	got, err := a.directory.Tenant(r.Context(), p)
	if err != nil {
		return err
	}
	return respond(w, r, got.Revision, say(http.StatusOK, encodeTenant(got.Value)).versioned(got.Value.Version))
}

// respond writes the answer to a question, if it is as new as was asked for.
func respond(w http.ResponseWriter, r *http.Request, rev directory.Revision, ans answer) error {
	if err := consistent(r, rev); err != nil {
		return err
	}
	ans.at(rev).write(w)
	return nil
}

// tenantPatch is what may change of a tenant. Its name may not: it stands in
// the paths that programs have stored.
type tenantPatch struct {
	Title      optional[string] `json:"title"`
	Attributes jsontext.Value   `json:"attributes"`
}

func (a *api) updateTenant(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	var in tenantPatch
	body, err := read(w, r, wire.MaxBody, &in)
	if err != nil {
		return err
	}
	u := directory.TenantUpdate{Title: in.Title.pointer()}
	if u.IfVersion, err = ifMatch(r); err != nil {
		return err
	}
	if u.Attributes, err = readAttributes(in.Attributes); err != nil {
		return err
	}
	return write(a, w, r, p, change[directory.Tenant]{
		body: body,
		do: func(ctx context.Context, p directory.Principal) (directory.Answer[directory.Tenant], error) {
			return a.directory.UpdateTenant(ctx, p, u)
		},
		answer: func(t directory.Tenant, rev directory.Revision) answer {
			return say(http.StatusOK, encodeTenant(t)).versioned(t.Version).at(rev)
		},
	})
}

// deleteTenant acts for the platform, whose log outlives the tenant's.
func (a *api) deleteTenant(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	if err := noPrecondition(r); err != nil {
		return err
	}
	which := p.Tenant
	p.Tenant = id.Tenant{}
	return write(a, w, r, p, change[directory.Tenant]{
		do: func(ctx context.Context, p directory.Principal) (directory.Answer[directory.Tenant], error) {
			return a.directory.DeleteTenant(ctx, p, which)
		},
		answer: func(directory.Tenant, directory.Revision) answer { return say(http.StatusNoContent, nil) },
	})
}
