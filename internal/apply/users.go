package apply

import (
	"cmp"
	"errors"
	"reflect"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/id"
)

func (r *run) user(p directory.Principal, u User, fresh bool) error {
	name := u.Name
	if name == "" && u.Email != nil {
		name = *u.Email
	}
	which, err := ref(u.ID, u.Number, u.Code, name)
	if err != nil {
		return err
	}
	var have directory.User
	exists := false
	if !fresh {
		a, err := r.Directory.User(r.ctx, p, which)
		if err != nil && !errors.Is(err, directory.NotFound) {
			return err
		}
		have, exists = a.Value, err == nil
	}
	if u.PasswordHash != "" {
		if err := authn.CheckPHC(u.PasswordHash); err != nil {
			return fault("password_hash: %v", err)
		}
	}
	if !exists && r.made[thing{noun: "user", ref: which}] != 0 {
		r.tally("user", false, false)
		return nil
	}
	if !exists {
		return r.newUser(p, u)
	}
	update := directory.UserUpdate{
		User: directory.ByUser(have.ID), Email: u.Email, EmailVerified: u.EmailVerified,
		GivenName: u.GivenName, FamilyName: u.FamilyName, DisplayName: u.DisplayName,
		Suspended: u.Suspended, Expires: u.Expires.time(), Externals: u.ExternalIDs, Attributes: u.Attributes.core(),
	}
	if u.Name != "" {
		update.Name = &u.Name
	}
	changed := unlike(update.Name, have.Name) || unlike(u.Email, have.Email) || unlike(u.EmailVerified, have.EmailVerified) ||
		unlike(u.GivenName, have.GivenName) || unlike(u.FamilyName, have.FamilyName) || unlike(u.DisplayName, have.DisplayName) ||
		unlike(u.Suspended, have.Suspended) || u.Expires != nil && !u.Expires.Equal(have.Expires) ||
		u.ExternalIDs != nil && !(len(*u.ExternalIDs) == 0 && len(have.Externals) == 0) && !reflect.DeepEqual(*u.ExternalIDs, have.Externals) ||
		!have.Attributes.Holds(u.Attributes.core())
	if changed && !r.dry {
		if u.Email != nil && u.EmailVerified == nil {
			update.EmailVerified = nil
		}
		if _, err := r.Directory.UpdateUser(r.ctx, p, update); err != nil {
			return err
		}
	}
	if u.Password != "" || u.PasswordHash != "" {
		list, err := r.Directory.Credentials(r.ctx, p, directory.ListCredentials{Query: directory.CredentialQuery{Kind: authn.Password, User: have.ID}})
		if err != nil {
			return err
		}
		if len(list.Value.Items) == 0 {
			changed = true
			if !r.dry {
				if err := r.password(p, have, u); err != nil {
					return err
				}
			}
		}
	}
	r.tally("user", false, changed)
	return nil
}

func unlike[T comparable](want *T, have T) bool { return want != nil && *want != have }

func (r *run) newUser(p directory.Principal, u User) error {
	in := directory.NewUser{Name: u.Name, Number: id.Number(u.Number), Code: u.Code, PersonCode: u.PersonCode, Attributes: u.Attributes.core()}
	if u.Number < 0 || u.Number > int64(id.MaxNumber) {
		return fault("number %d is out of range", u.Number)
	}
	if u.ID != "" {
		in.ID, _ = id.Parse[id.User](u.ID) // parsed before
	}
	set(&in.Email, u.Email)
	set(&in.EmailVerified, u.EmailVerified)
	set(&in.GivenName, u.GivenName)
	set(&in.FamilyName, u.FamilyName)
	set(&in.DisplayName, u.DisplayName)
	set(&in.Suspended, u.Suspended)
	set(&in.Expires, u.Expires.time())
	set(&in.Externals, u.ExternalIDs)
	if r.dry {
		names := []thing{{noun: "user", ref: directory.ByName(cmp.Or(in.Name, in.Email))}}
		if u.ID != "" {
			names = append(names, thing{noun: "user", ref: directory.ByUser(in.ID)})
		}
		names = append(names, thing{noun: "user", ref: directory.ByNumber(u.Number)}, thing{noun: "user", ref: directory.ByCode(u.Code)}, thing{noun: "user", ref: directory.ByEmail(in.Email)})
		for source, key := range in.Externals {
			names = append(names, thing{noun: "user", ref: directory.ByExternal(source, key)})
		}
		r.make(names...)
	}
	r.tally("user", true, false)
	if r.dry {
		return nil
	}
	made, err := r.Directory.CreateUser(r.ctx, p, in)
	if err != nil || u.Password == "" && u.PasswordHash == "" {
		return err
	}
	return r.password(p, made.Value, u)
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

func (r *run) password(p directory.Principal, have directory.User, u User) error {
	c := directory.Credential{Kind: authn.Password, Name: "password", Hash: []byte(u.PasswordHash)}
	if u.PasswordHash == "" {
		var err error
		if c, err = authn.PasswordCredential(r.ctx, u.Password); err != nil {
			return err
		}
	}
	_, err := r.Directory.CreateCredential(r.ctx, p, directory.NewCredential{
		Kind: c.Kind, Name: c.Name, User: directory.ByUser(have.ID), Grants: directory.InTenant, Hash: c.Hash, Replace: true,
	})
	return err
}
