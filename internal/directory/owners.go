package directory

import (
	"context"
	"errors"

	"roster/internal/id"
)

// Who owns a tenant stands in a group of the platform that bears the tenant's id
// as an external one. So ownership has a history as any membership has, ends at
// once, and says nothing inside of the tenant: an owner is no user there.

// ownersSource is the source of the external ids of owners' groups.
const ownersSource = "tenant-owners"

func owners(t id.Tenant) Ref { return ByExternal(ownersSource, t.String()) }

// own makes a user of the platform an owner of a tenant. atMost, unless zero, is
// how many the user may own then.
func (t *tx) own(u User, tenant id.Tenant, atMost int) error {
	g, err := t.Writer.Group(owners(tenant))
	if errors.Is(err, NotFound) {
		g = Group{Name: "owners", BuiltIn: true, Externals: map[string]string{ownersSource: tenant.String()}}
		err = t.InsertGroup(&g)
	}
	if err != nil {
		return err
	}
	if _, err := t.InsertEdges([]Edge{{Group: g.Number, Member: id.UserMember(u.Number)}}, Standing{}); err != nil {
		return err
	}
	if atMost == 0 {
		return nil
	}
	owned, err := t.owned(u.Number)
	if err == nil && len(owned) > atMost {
		err = conflict("tenant.limit", "", "A user may own at most %d tenants.", atMost)
	}
	return err
}

// owned returns the tenants that a user of the platform owns, in the order in
// which they were first owned by anybody.
func (l *look) owned(u id.Number) ([]id.Tenant, error) {
	edges, err := l.edgesOf(MembershipQuery{Member: id.UserMember(u), At: l.now()}, everyOne)
	if err != nil {
		return nil, err
	}
	numbers := make([]id.Number, len(edges))
	for i, e := range edges {
		numbers[i] = e.Group
	}
	groups, err := l.Reader.Groups(numbers)
	if err != nil {
		return nil, err
	}
	var tenants []id.Tenant
	for _, g := range groups {
		if t, err := id.Parse[id.Tenant](g.Externals[ownersSource]); err == nil {
			tenants = append(tenants, t)
		}
	}
	return tenants, nil
}

// disown ends the ownership of a tenant with it. If p must be an owner, and is
// none, it is refused as if there were no such tenant.
func (t *tx) disown(tenant id.Tenant, mustOwn bool) error {
	g, err := t.Writer.Group(owners(tenant))
	if errors.Is(err, NotFound) {
		if mustOwn {
			return ErrNoTenant
		}
		return nil
	}
	if err != nil {
		return err
	}
	if mustOwn {
		numbers, err := t.Writer.UserNumbers([]Ref{ByUser(t.p.User)})
		if err != nil {
			return err
		}
		if in, err := t.Writer.Check(numbers[0], g.Number, t.now()); err != nil || !in {
			return errors.Join(err, ErrNoTenant)
		}
	}
	edges, err := t.edgesOf(MembershipQuery{Group: g.Number}, everyOne)
	if err != nil {
		return err
	}
	if err := t.DeleteEdges(edges); err != nil {
		return err
	}
	return t.Writer.DeleteGroup(g)
}

// AddOwner makes a user of the platform an owner of a tenant, if it is none yet.
// p must be a principal of the platform with [Platform].
func (d *Directory) AddOwner(ctx context.Context, p Principal, tenant id.Tenant, owner Ref) (Answer[User], error) {
	if err := p.platform(); err != nil {
		return Answer[User]{}, err
	}
	if _, err := d.store.TenantByID(ctx, tenant); err != nil {
		return Answer[User]{}, err
	}
	return write(ctx, d, p, Platform, func(t *tx) (User, error) {
		u, err := t.Writer.User(owner)
		if err != nil {
			return User{}, err
		}
		return u, t.own(u, tenant, 0)
	})
}

// Owns reports whether a user of the platform owns a tenant now. It is for
// package authn, which is why it asks for no principal.
func (d *Directory) Owns(ctx context.Context, user id.User, tenant id.Tenant) (bool, error) {
	var owns bool
	err := d.store.View(ctx, id.Tenant{}, func(r Reader) error {
		users, err := r.UserNumbers([]Ref{ByUser(user)})
		if err != nil {
			return err
		}
		groups, err := r.GroupNumbers([]Ref{owners(tenant)})
		if err != nil || users[0] == 0 || groups[0] == 0 {
			return err
		}
		owns, err = r.Check(users[0], groups[0], d.Now())
		return err
	})
	return owns, err
}

// OwnTenants lists the tenants that the user owns whom p, a principal of the
// platform, acts for, in the order in which they were made. There are few.
func (d *Directory) OwnTenants(ctx context.Context, p Principal) ([]Tenant, error) {
	if err := p.may(OwnTenants); err != nil {
		return nil, err
	}
	if err := p.platform(); err != nil {
		return nil, err
	}
	a, err := view(ctx, d, p, 0, func(l *look) ([]id.Tenant, error) {
		numbers, err := l.Reader.UserNumbers([]Ref{ByUser(p.User)})
		if err != nil || numbers[0] == 0 {
			return nil, err
		}
		return l.owned(numbers[0])
	})
	if err != nil {
		return nil, err
	}
	list := make([]Tenant, 0, len(a.Value))
	for _, t := range a.Value {
		tenant, err := d.store.TenantByID(ctx, t)
		if errors.Is(err, NotFound) {
			continue // deleted since
		}
		if err != nil {
			return nil, err
		}
		list = append(list, tenant)
	}
	return list, nil
}

// Owner returns who owns the principal's tenant, the first if several do:
// [ErrNoUser] if nobody does. Any principal of the tenant may ask.
func (d *Directory) Owner(ctx context.Context, p Principal) (User, error) {
	if err := p.may(0); err != nil {
		return User{}, err
	}
	var u User
	err := d.store.View(ctx, id.Tenant{}, func(r Reader) error {
		groups, err := r.GroupNumbers([]Ref{owners(p.Tenant)})
		if err != nil {
			return err
		}
		list, err := r.Memberships(MembershipQuery{Group: groups[0], Joining: true, Limit: 1, At: d.Now()})
		if err != nil {
			return err
		}
		if groups[0] == 0 || len(list) == 0 {
			return ErrNoUser
		}
		number, _ := list[0].Member.User()
		u, err = r.User(ByNumber(int64(number)))
		return err
	})
	return u, err
}

// registrar stands in the change log for who registers itself.
var registrar = id.Credential{15: 2}

// Register makes a user of the platform who asked for that itself. It asks for
// no principal: that anybody may is the operator's choice, and for the caller to
// have looked up. dialect and request are for the change log.
func (d *Directory) Register(ctx context.Context, in NewUser, dialect, request string) (Answer[User], error) {
	if in.Code != 0 || in.PersonCode != 0 || in.EmailVerified || len(in.Groups) > 0 {
		return Answer[User]{}, forbidden("register.range", "Who registers may not choose that.")
	}
	p := Principal{Credential: registrar, Grants: WriteUsers, Name: "registration", Dialect: dialect, Request: request}
	return d.CreateUser(ctx, p, in)
}
