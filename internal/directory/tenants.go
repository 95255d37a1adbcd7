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

	// Owner is a user of the platform who is to own the tenant, zero if nobody
	// is. AtMost, unless zero, is how many tenants the owner may own then.
	Owner  id.User
	AtMost int
}

// CreateTenant makes a tenant. p must be a principal of the platform with
// [Platform], or act for the owner and hold [OwnTenants].
func (d *Directory) CreateTenant(ctx context.Context, p Principal, in NewTenant) (Answer[Tenant], error) {
	t := Tenant{ID: in.ID, Code: in.Code, Name: in.Name, Title: in.Title, Attributes: in.Attributes}
	if err := checkTenant(t); err != nil {
		return Answer[Tenant]{}, err
	}
	if err := p.platform(); err != nil {
		return Answer[Tenant]{}, err
	}
	need := Platform
	if !in.Owner.IsZero() && in.Owner == p.User && in.ID.IsZero() && in.Code == 0 {
		if err := p.may(OwnTenants); err != nil {
			return Answer[Tenant]{}, err
		}
		need = 0
	}
	return write(ctx, d, p, need, func(x *tx) (Tenant, error) {
		t := t
		if err := x.InsertTenant(&t); err != nil {
			return Tenant{}, err
		}
		if in.Owner.IsZero() {
			return t, nil
		}
		owner, err := x.Writer.User(ByUser(in.Owner))
		if err != nil {
			return Tenant{}, err
		}
		return t, x.own(owner, t.ID, in.AtMost)
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
	m := d.memory()
	if known, ok := m.tenantNames.Load(name); ok {
		k := known.(knownTenant)
		if _, err := d.fresh(ctx, k.id); err != nil && !errors.Is(err, ErrNoTenant) {
			return id.Tenant{}, err
		}
		if k.epoch == m.follower(k.id).epoch.Load() && m == d.memory() {
			return k.id, nil
		}
		m.tenantNames.Delete(name)
	}
	t, err := d.FindTenant(ctx, name)
	if err != nil {
		return t.ID, err
	}
	// As in [Directory.CredentialByHash], the epoch is taken before the name is
	// read that it is kept with.
	m = d.memory()
	f := m.follower(t.ID)
	epoch := f.epoch.Load()
	var rev Revision
	err = d.store.View(ctx, t.ID, func(r Reader) (err error) {
		if rev, err = r.Revision(); err == nil {
			t, err = r.Tenant()
		}
		return err
	})
	if err != nil {
		return id.Tenant{}, err
	}
	f.seen.CompareAndSwap(0, uint64(rev)) // nothing older is remembered of the tenant
	// Of a tenant without commits nothing is seen yet that could tell of a rename.
	if t.Name == name && rev > 0 && Revision(f.seen.Load()) <= rev {
		m.tenantNames.Store(name, knownTenant{t.ID, epoch})
	}
	return t.ID, nil
}

// knownTenant is what a tenant's name was found to name, good for one epoch of
// the tenant: a rename is a change of it.
type knownTenant struct {
	id    id.Tenant
	epoch uint64
}

// forgetNames is called when a tenant turns out to be gone: another may have its
// name.
func (d *Directory) forgetNames(err error) {
	if errors.Is(err, ErrNoTenant) {
		d.memory().tenantNames.Clear()
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
	Name       *string // must be unique; the old one is free at once
	Title      *string
	Attributes Attributes // as in [UserUpdate]

	// Derive, unless nil, makes further attributes out of the tenant as it is, as
	// in [UserUpdate].
	Derive func(Tenant) (Attributes, error)
}

// UpdateTenant changes the principal's tenant. It needs [Admin].
func (d *Directory) UpdateTenant(ctx context.Context, p Principal, in TenantUpdate) (Answer[Tenant], error) {
	a, err := write(ctx, d, p, Admin, func(t *tx) (Tenant, error) {
		before, err := t.Writer.Tenant()
		if err != nil {
			return Tenant{}, err
		}
		if in.IfVersion != 0 && in.IfVersion != before.Version {
			return Tenant{}, stale(before.Version)
		}
		after := before
		assign(&after.Name, in.Name)
		assign(&after.Title, in.Title)
		if !before.Attributes.Holds(in.Attributes) {
			after.Attributes = before.Attributes.patched(in.Attributes)
		}
		if in.Derive != nil {
			derived, err := in.Derive(before)
			if err != nil {
				return Tenant{}, err
			}
			if !after.Attributes.Holds(derived) {
				after.Attributes = after.Attributes.patched(derived)
			}
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
	if err == nil && in.Name != nil {
		d.memory().tenantNames.Clear()
	}
	return a, err
}

// DeleteTenant deletes a tenant and everything in it, its history included.
// p must be a principal of the platform with [Platform], or act for one of the
// tenant's owners and hold [OwnTenants].
func (d *Directory) DeleteTenant(ctx context.Context, p Principal, which id.Tenant) (Answer[Tenant], error) {
	need := Platform
	if !p.User.IsZero() {
		need = OwnTenants
	}
	if err := p.may(need); err != nil {
		return Answer[Tenant]{}, err
	}
	if err := p.platform(); err != nil {
		return Answer[Tenant]{}, err
	}
	gone, err := d.store.TenantByID(ctx, which)
	if err != nil {
		return Answer[Tenant]{}, err
	}
	if need == OwnTenants {
		need = 0 // a user's bound was looked at above; that it is an owner is asked in the transaction
	}
	a, err := write(ctx, d, p, need, func(t *tx) (Tenant, error) {
		if err := t.disown(which, need == 0); err != nil {
			return Tenant{}, err
		}
		return gone, t.Writer.DeleteTenant(gone)
	})
	if err == nil {
		d.memory().tenantNames.Clear()
		d.memory().index.Forget(which)
		d.memory().follower(which).epoch.Add(1)
	}
	return a, err
}
