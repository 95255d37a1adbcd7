package syncano

import (
	"errors"
	"net/http"
	"slices"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/wire"
)

// signInUser answers POST user/auth/ (section 2.5). That a wrong name is told
// from a wrong password is the contract's.
func (d *door) signInUser(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	ctx := r.Context()
	fields, err := v.object(r)
	if err != nil {
		return err
	}
	bad := problems{}
	username := requiredText(fields, "username", maxUsername, bad)
	password := requiredText(fields, "password", maxPassword, bad)
	if err := bad.err(); err != nil {
		return err
	}
	u, _, err := d.authn.Password(ctx, v.tenant.ID, directory.ByName(username), password, wire.CutHost(r.RemoteAddr))
	switch {
	case errors.Is(err, authn.ErrNoSuchUser):
		return errSignIn("Invalid username.", err)
	case errors.Is(err, directory.Unauthenticated):
		return errSignIn("Invalid password.", err)
	case err != nil:
		return err
	}
	p.Self = u.ID // it has just proved that
	out, err := d.encodeUser(r, p, v, u)
	if err != nil {
		return err
	}
	if out.UserKey == nil {
		// A user of another dialect gets its key with its first sign-in, unless it
		// holds rights that the API key does not: then nobody may give it one here.
		if err := d.giveUserKey(ctx, p, u); err != nil && !errors.Is(err, directory.Forbidden) {
			return err
		}
		if out, err = d.encodeUser(r, p, v, u); err != nil {
			return err
		}
	}
	v.write(w, http.StatusOK, out)
	return nil
}

func (d *door) getSelf(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	u, err := d.self(r, p)
	if err != nil {
		return err
	}
	return d.showUser(w, r, p, v, u)
}

func (d *door) putSelf(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	return d.updateSelf(w, r, p, v, replaced)
}

func (d *door) patchSelf(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	return d.updateSelf(w, r, p, v, patched)
}

func (d *door) updateSelf(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit, how manner) error {
	u, err := d.self(r, p)
	if err != nil {
		return err
	}
	return d.updateUser(w, r, p, v, u, how)
}

// backends are those that users could sign in with. None is asked here, so no
// token of theirs is ever good.
var backends = []string{"facebook", "google-oauth2", "github", "linkedin", "twitter"}

const badToken = "Invalid authorization token."

func (d *door) signInUserBySocial(w http.ResponseWriter, r *http.Request, _ directory.Principal, v *visit) error {
	fields, err := v.object(r)
	if err != nil {
		return err
	}
	if token, problem := text(fields["access_token"], wire.MaxBody); problem != "" || token == "" {
		return errSignIn(badToken, nil)
	}
	if !slices.Contains(backends, r.PathValue("backend")) {
		return &directory.Error{Kind: directory.Invalid, Code: "syncano.backend", Detail: "Unsupported social backend."}
	}
	return errSignIn(badToken, nil)
}

// signInBySocial answers POST account/auth/{backend}/ in the same way.
func (d *door) signInBySocial(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	return d.signInUserBySocial(w, r, p, v)
}
