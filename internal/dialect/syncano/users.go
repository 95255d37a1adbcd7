package syncano

import (
	"context"
	"net/http"
	"strings"

	"roster/internal/authn"
	"roster/internal/directory"
)

// userCreated is the status of a new user. The reference page says 200, and
// clients take it as they take 201 (ruling C1).
const userCreated = http.StatusOK

// Limits on a user's fields, in characters (section 2.4).
const (
	maxUsername = 64
	maxPassword = 128
)

func userCursor(u directory.User) int64 { return int64(u.Number) }

// listUsers answers GET users/. Who may see only itself sees a list of one.
func (d *door) listUsers(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	paging, err := readPaging(v.query)
	if err != nil {
		return err
	}
	prefix := directory.FoldName(v.query["username__startswith"])
	from := func(after int64, descending bool, limit int) ([]directory.User, error) {
		a, err := d.directory.Users(r.Context(), p, directory.ListUsers{
			Page:   directory.Page{After: after, Limit: limit},
			Filter: directory.UserFilter{NamePrefix: prefix, Descending: descending},
		})
		return a.Value.Items, err
	}
	if v.may == own {
		u, err := d.self(r, p)
		if err != nil {
			return err
		}
		var all []directory.User
		if strings.HasPrefix(directory.FoldName(u.Name), prefix) {
			all = append(all, u)
		}
		from = few(all, userCursor)
	}
	page, err := read(paging, v.links.base()+"users/", userCursor, from)
	if err != nil {
		return err
	}
	objects, err := d.encodeUsers(r, p, v, page.items)
	if err != nil {
		return err
	}
	writePage(w, v, page, objects)
	return nil
}

// createUser answers POST users/.
func (d *door) createUser(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	ctx := r.Context()
	fields, err := v.object(r)
	if err != nil {
		return err
	}
	bad := problems{}
	username := requiredText(fields, "username", maxUsername, bad)
	password := requiredText(fields, "password", maxPassword, bad)
	in, err := d.readProfile(r, p, v, fields, created, bad)
	if err != nil {
		return err
	}
	if err := bad.err(); err != nil {
		return err
	}
	values, err := in.change(directory.Profile{}, mayAll)
	if err != nil {
		return within("profile", err)
	}
	secret, err := authn.PasswordCredential(ctx, password)
	if err != nil {
		return err
	}
	key := d.newUserKey()
	made, err := d.directory.CreateUser(ctx, p, directory.NewUser{
		Name:        strings.ToLower(username),
		Attributes:  attributes(values),
		Credentials: []directory.Credential{secret, key},
	})
	if err != nil {
		return usernameError(err)
	}
	plain, err := d.reveal(&key)
	if err != nil {
		return err
	}
	profiles, err := d.encodeProfiles(r, p, v, []directory.Profile{profileOf(made.Value)})
	if err != nil {
		return err
	}
	out := v.links.encodeUser(made.Value, profiles[0], plain, nil)
	out.Username = username // as typed, this once (ruling C9)
	v.write(w, userCreated, out)
	return nil
}

// usernameError says what the core has against a username.
func usernameError(err error) error {
	e, ok := asError(err)
	switch {
	case ok && e.Code == directory.ErrUserNameTaken.Code:
		return problems{"username": notUnique}.err()
	case ok && e.Kind == directory.Invalid && e.Field == "name":
		return problems{"username": notValid}.err()
	}
	return err
}

func (d *door) getUser(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	u, err := d.target(r, p, v)
	if err != nil {
		return err
	}
	return d.showUser(w, r, p, v, u)
}

func (d *door) showUser(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit, u directory.User) error {
	out, err := d.encodeUser(r, p, v, u)
	if err == nil {
		v.write(w, http.StatusOK, out)
	}
	return err
}

func (d *door) putUser(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	u, err := d.target(r, p, v)
	if err != nil {
		return err
	}
	return d.updateUser(w, r, p, v, u, replaced)
}

func (d *door) patchUser(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	u, err := d.target(r, p, v)
	if err != nil {
		return err
	}
	return d.updateUser(w, r, p, v, u, patched)
}

// updateUser answers PUT and PATCH of a user.
func (d *door) updateUser(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit, u directory.User, how manner) error {
	ctx := r.Context()
	fields, err := v.object(r)
	if err != nil {
		return err
	}
	bad := problems{}
	in := directory.UserUpdate{User: directory.ByUser(u.ID)}
	username := optionalText(fields, "username", maxUsername, how, bad)
	password := optionalText(fields, "password", maxPassword, how, bad)
	profile, err := d.readProfile(r, p, v, fields, how, bad)
	if err != nil {
		return err
	}
	if err := bad.err(); err != nil {
		return err
	}
	if username != nil {
		lower := strings.ToLower(*username)
		in.Name = &lower
	}
	if password != nil {
		secret, err := authn.PasswordCredential(ctx, *password)
		if err != nil {
			return err
		}
		in.Credentials = []directory.Credential{secret}
	}
	in.Derive = func(before directory.User) (directory.Attributes, error) {
		values, err := profile.change(profileOf(before), mayAll)
		return attributes(values), within("profile", err)
	}
	a, err := d.directory.UpdateUser(ctx, p, in)
	if err != nil {
		return usernameError(err)
	}
	out, err := d.encodeUser(r, p, v, a.Value)
	if err != nil {
		return err
	}
	if username != nil {
		out.Username = *username // as typed, this once (ruling C9)
	}
	v.write(w, http.StatusOK, out)
	return nil
}

func (d *door) deleteUser(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	u, err := d.target(r, p, v)
	if err != nil {
		return err
	}
	if _, err := d.directory.DeleteUser(r.Context(), p, directory.Deletion{Ref: directory.ByUser(u.ID)}); err != nil {
		return err
	}
	return done(w)
}

// resetUserKey answers POST users/{id}/reset_key/: the old key ends at once.
func (d *door) resetUserKey(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	u, err := d.target(r, p, v)
	if err != nil {
		return err
	}
	if err := d.giveUserKey(r.Context(), p, u); err != nil {
		return err
	}
	return d.showUser(w, r, p, v, u)
}

// giveUserKey gives a user a new key in the place of the one it may have.
func (d *door) giveUserKey(ctx context.Context, p directory.Principal, u directory.User) error {
	_, err := d.directory.UpdateUser(ctx, p, directory.UserUpdate{
		User: directory.ByUser(u.ID), Credentials: []directory.Credential{d.newUserKey()},
	})
	return err
}
