package apply

import (
	"errors"
	"strings"

	"roster/internal/directory"
	"roster/internal/id"
)

func (r *run) tenant(t Tenant) error {
	have, err := r.Directory.FindTenant(r.ctx, t.Name)
	exists := err == nil
	if err != nil && !errors.Is(err, directory.NotFound) {
		return err
	}
	p := r.p
	if !exists {
		in := directory.NewTenant{Code: t.Code, Name: t.Name, Attributes: t.Attributes.core()}
		if t.ID != "" {
			if in.ID, err = id.Parse[id.Tenant](t.ID); err != nil {
				return fault("id %q is not a UUID", t.ID)
			}
		}
		if t.Title != nil {
			in.Title = *t.Title
		}
		if !r.dry {
			made, err := r.Directory.CreateTenant(r.ctx, p, in)
			if err != nil {
				return err
			}
			have = made.Value
		}
		r.tally("tenant", true, false)
	} else {
		if t.ID != "" && !strings.EqualFold(t.ID, have.ID.String()) {
			return fault("it exists with id %s, not %s", have.ID, t.ID)
		}
		changed := t.Title != nil && *t.Title != have.Title || !have.Attributes.Holds(t.Attributes.core())
		if changed && !r.dry {
			p.Tenant = have.ID
			if _, err := r.Directory.UpdateTenant(r.ctx, p, directory.TenantUpdate{Title: t.Title, Attributes: t.Attributes.core()}); err != nil {
				return err
			}
		}
		r.tally("tenant", false, changed)
	}
	p.Tenant = have.ID
	fresh := !exists && r.dry // nothing can be looked up in it
	r.made = map[thing]int{}
	for _, owner := range t.Owners {
		if err := r.owner(have.ID, owner, fresh); err != nil {
			return at(err, "owner %s", owner)
		}
	}
	for i, u := range t.Users {
		if err := r.user(p, u, fresh); err != nil {
			return at(err, "user %d (%s)", i+1, u.Name)
		}
	}
	for i, g := range t.Groups {
		if err := r.group(p, g, fresh); err != nil {
			return at(err, "group %d (%s)", i+1, g.Name)
		}
	}
	// Members come after all groups, so that a group may name a later one.
	for i, g := range t.Groups {
		if err := r.members(p, g, fresh); err != nil {
			return at(err, "group %d (%s)", i+1, g.Name)
		}
	}
	for i, c := range t.Credentials {
		if err := r.credential(p, t.Name, c, fresh); err != nil {
			return at(err, "credential %d (%s)", i+1, c.Name)
		}
	}
	return nil
}

// owner makes a user of the platform an owner of a tenant. It counts as a
// membership, which it is.
func (r *run) owner(tenant id.Tenant, name string, fresh bool) error {
	which, err := ParseRef(name)
	if err != nil {
		return err
	}
	owns := false
	if r.accounts[thing{noun: "user", ref: which}] == 0 {
		u, err := r.Directory.User(r.ctx, r.p, which)
		if err != nil {
			return err
		}
		if !fresh {
			if owns, err = r.Directory.Owns(r.ctx, u.Value.ID, tenant); err != nil {
				return err
			}
		}
	}
	if !owns && !r.dry {
		if _, err := r.Directory.AddOwner(r.ctx, r.p, tenant, which); err != nil {
			return err
		}
	}
	r.tally("membership", !owns, false)
	return nil
}
