package syncano

import (
	"errors"
	"net/http"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/id"
)

// encodeUsers shows users with what belongs to them, in a number of operations
// that does not depend on how many they are.
func (d *door) encodeUsers(r *http.Request, p directory.Principal, v *visit, users []directory.User) ([]user, error) {
	if len(users) == 0 {
		return nil, nil
	}
	a, err := d.directory.Belongings(r.Context(), p, users, authn.SyncanoUserKey)
	if err != nil {
		return nil, err
	}
	profiles := make([]directory.Profile, len(users))
	for i, u := range users {
		profiles[i] = profileOf(u)
	}
	encoded, err := d.encodeProfiles(r, p, v, profiles)
	if err != nil {
		return nil, err
	}
	out := make([]user, len(users))
	for i, u := range users {
		key, err := d.reveal(a.Value[i].Key)
		if err != nil {
			return nil, err
		}
		out[i] = v.links.encodeUser(u, encoded[i], key, a.Value[i].Groups)
	}
	return out, nil
}

// encodeUser is encodeUsers for one.
func (d *door) encodeUser(r *http.Request, p directory.Principal, v *visit, u directory.User) (user, error) {
	list, err := d.encodeUsers(r, p, v, []directory.User{u})
	if err != nil {
		return user{}, err
	}
	return list[0], nil
}

// reveal is the secret of a user key, nil if there is no key.
func (d *door) reveal(c *directory.Credential) (*string, error) {
	if c == nil {
		return nil, nil
	}
	key, err := d.authn.Reveal(*c)
	return &key, err
}

// newUserKey is a fresh user key. It tells whose request it is; what may be done
// the API key beside it says. By itself it opens nothing.
func (d *door) newUserKey() directory.Credential {
	_, hash, sealed := d.authn.Mint(authn.SyncanoUserKey)
	return directory.Credential{Kind: authn.SyncanoUserKey, Name: "user key", Hash: hash, Sealed: sealed}
}

// target finds the user that the path names, if the caller may see it at all.
func (d *door) target(r *http.Request, p directory.Principal, v *visit) (directory.User, error) {
	number, err := id.ParseNumber(r.PathValue("id"))
	if err != nil {
		return directory.User{}, errNotFound
	}
	if v.may != own {
		a, err := d.directory.User(r.Context(), p, directory.ByNumber(int64(number)))
		return a.Value, err
	}
	u, err := d.self(r, p)
	if err == nil && u.Number != number {
		err = errNotFound
	}
	return u, err
}

// self is the user whose key the request carries.
func (d *door) self(r *http.Request, p directory.Principal) (directory.User, error) {
	a, err := d.directory.User(r.Context(), p, directory.ByUser(p.Self))
	if errors.Is(err, directory.NotFound) {
		err = errForbidden // deleted since its key was looked at
	}
	return a.Value, err
}
