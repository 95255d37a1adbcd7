package directory

import (
	"context"
	"errors"
	"reflect"

	"roster/internal/id"
)

// NewTenant is what a tenant is created from.
type NewTenant struct {
	ID         id.Tenant // zero ID and Code for fresh ones
	Code       int64
	Name       string
	Title      string
	Attributes Attributes
}

// CreateTenant makes a tenant. p must be a principal of the platform with
// [Platform].
func (d *Directory) CreateTenant(ctx context.Context, p Principal, in NewTenant) (Answer[Tenant], error) {
	t := Tenant{ID: in.ID, Code: in.Code, Name: in.Name, Title: in.Title, Attributes: in.Attributes}
	if err := checkTenant(t); err != nil {
		return Answer[Tenant]{}, err
	}
	if err := p.platform(); err != nil {
		return Answer[Tenant]{}, err
	}
	return write(ctx, d, p, Platform, func(x *tx) (Tenant, error) {
		t := t
		err := x.InsertTenant(&t)
		return t, err
	})
}

func checkTenant(t Tenant) error {
	if err := checkSlug("name", t.Name); err != nil {
		return err
	}
	if err := checkCode(t.Code); err != nil {
		return err
	}
	if err := checkAttributes(t.Attributes); err != nil {
		return err
	}
	return checkText("title", t.Title, MaxName)
}

// platform refuses a principal that does not act for the platform.
func (p Principal) platform() error {
	if !p.Tenant.IsZero() {
		return forbidden("platform.only", "Only the platform's own credentials may do this.")
	}
	return nil
}

// FindTenant finds a tenant by id or name. It asks for no principal: dialects
// must know which tenant a path names before they can tell who is asking. It
// tells that a tenant exists and nothing that is inside.
func (d *Directory) FindTenant(ctx context.Context, name string) (Tenant, error) {
	if t, err := id.Parse[id.Tenant](name); err == nil {
		return d.store.TenantByID(ctx, t)
	}
	return d.store.TenantByName(ctx, FoldName(name))
}

// TenantID returns the id of the tenant of that id or name. It remembers names,
// which is what a path is found by on every request; an id it takes at its word,
// because whatever is done in a tenant finds out whether there is one.
func (d *Directory) TenantID(ctx context.Context, name string) (id.Tenant, error) {
	if t, err := id.Parse[id.Tenant](name); err == nil {
		return t, nil
	}
	name = FoldName(name)
	if t, ok := d.tenantNames.Load(name); ok {
		return t.(id.Tenant), nil
	}
	t, err := d.FindTenant(ctx, name)
	if err == nil {
		d.tenantNames.Store(name, t.ID)
	}
	return t.ID, err
}

// forgetNames is called when a tenant turns out to be gone: another may have its
// name.
func (d *Directory) forgetNames(err error) {
	if errors.Is(err, ErrNoTenant) {
		d.tenantNames.Clear()
	}
}

// FindTenantByCode finds a tenant by its code, as [Directory.FindTenant] does.
func (d *Directory) FindTenantByCode(ctx context.Context, code int64) (Tenant, error) {
	return d.store.TenantByCode(ctx, code)
}

// OnlyTenant returns the deployment's tenant if it has exactly one, for dialects
// whose sign-in does not say which: [ErrNoTenant] otherwise. Like
// [Directory.FindTenant] it asks for no principal.
func (d *Directory) OnlyTenant(ctx context.Context) (Tenant, error) {
	list, err := d.store.Tenants(ctx, 0, 2)
	if err == nil && len(list) != 1 {
		err = ErrNoTenant
	}
	if err != nil {
		return Tenant{}, err
	}
	return list[0], nil
}

// Tenant returns the principal's own tenant. Any principal may ask.
func (d *Directory) Tenant(ctx context.Context, p Principal) (Answer[Tenant], error) {
	return view(ctx, d, p, 0, func(l *look) (Tenant, error) { return l.Tenant() })
}

// Tenants lists tenants by ascending code. p must be a principal of the platform
// with [Platform].
func (d *Directory) Tenants(ctx context.Context, p Principal, page Page) (Found[Tenant], error) {
	if err := p.may(Platform); err != nil {
		return Found[Tenant]{}, err
	}
	if err := p.platform(); err != nil {
		return Found[Tenant]{}, err
	}
	limit := page.limit()
	list, err := d.store.Tenants(ctx, page.After, limit+1)
	return found(list, limit, func(t Tenant) int64 { return t.Code }), err
}

// TenantUpdate says what to change of the principal's tenant; nil fields stay.
type TenantUpdate struct {
	IfVersion  int64
	Title      *string
	Attributes Attributes // as in [UserUpdate]
}

// UpdateTenant changes the principal's tenant. It needs [Admin].
func (d *Directory) UpdateTenant(ctx context.Context, p Principal, in TenantUpdate) (Answer[Tenant], error) {
	return write(ctx, d, p, Admin, func(t *tx) (Tenant, error) {
		before, err := t.Writer.Tenant()
		if err != nil {
			return Tenant{}, err
		}
		if in.IfVersion != 0 && in.IfVersion != before.Version {
			return Tenant{}, stale(before.Version)
		}
		after := before
		assign(&after.Title, in.Title)
		if !before.Attributes.Holds(in.Attributes) {
			after.Attributes = before.Attributes.patched(in.Attributes)
		}
		if reflect.DeepEqual(before, after) {
			return before, nil
		}
		if err := checkTenant(after); err != nil {
			return Tenant{}, err
		}
		if err := t.Writer.UpdateTenant(before, after); err != nil {
			return Tenant{}, err
		}
		after.Version, after.Modified = before.Version+1, t.At()
		return after, nil
	})
}

// DeleteTenant deletes a tenant and everything in it, its history included.
// p must be a principal of the platform with [Platform].
func (d *Directory) DeleteTenant(ctx context.Context, p Principal, which id.Tenant) (Answer[Tenant], error) {
	if err := p.may(Platform); err != nil {
		return Answer[Tenant]{}, err
	}
	if err := p.platform(); err != nil {
		return Answer[Tenant]{}, err
	}
	gone, err := d.store.TenantByID(ctx, which)
	if err != nil {
		return Answer[Tenant]{}, err
	}
	a, err := write(ctx, d, p, Platform, func(t *tx) (Tenant, error) { return gone, t.Writer.DeleteTenant(gone) })
	if err == nil {
		d.tenantNames.Clear()
		d.index.Forget(which)
		d.follower(which).epoch.Add(1)
	}
	return a, err
}
