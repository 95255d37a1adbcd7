package syncano

import (
	"errors"
	"net/http"
	"strings"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/wire"
)

// An account is a user of the platform: its id is the user's number, and what it
// has a role in is what it owns. A key of kind syncano_account that was made
// without a user is an account too, of which nothing is known but the key.

// accountGrants are what an account's key may be used for, in what it owns.
const accountGrants = directory.Admin | directory.OwnTenants

const (
	maxEmail     = directory.MaxEmail
	maxFirstName = 64
	attrActive   = "is_active"
	notEmail     = "Enter a valid email address."
)

// accountObject is an account as clients see it (section 2.1).
type accountObject struct {
	ID          int64          `json:"id"`
	Email       string         `json:"email"`
	FirstName   string         `json:"first_name"`
	LastName    string         `json:"last_name"`
	IsActive    bool           `json:"is_active"`
	HasPassword bool           `json:"has_password"`
	Metadata    map[string]any `json:"metadata"`
	AccountKey  string         `json:"account_key,omitempty"`
}

// encodeAccount shows the account that a user of the platform is.
func (d *door) encodeAccount(r *http.Request, u directory.User) (accountObject, error) {
	kept := u.Attributes.In(name)
	out := accountObject{ID: int64(u.Number), Email: u.Email, FirstName: u.GivenName, LastName: u.FamilyName, Metadata: map[string]any{}}
	out.IsActive, _ = kept[attrActive].(bool)
	if m, ok := kept[attrMetadata].(map[string]any); ok {
		out.Metadata = m
	}
	_, _, err := d.directory.PasswordOf(r.Context(), platform, directory.ByUser(u.ID), authn.Password)
	out.HasPassword = err == nil
	if errors.Is(err, directory.NotFound) {
		err = nil
	}
	return out, err
}

// machine shows the account of a key that is nobody's.
func machine(c directory.Credential) accountObject {
	out := accountObject{ID: c.Code, IsActive: true, Metadata: map[string]any{}}
	if directory.IsEmail(c.Name) {
		out.Email = c.Name
	}
	return out
}

// readEmail reads an address, which is kept in lower case.
func readEmail(fields map[string]any, how manner, bad problems) *string {
	email := optionalText(fields, "email", maxEmail, how, bad)
	if email == nil || bad["email"] != nil {
		return nil
	}
	lower := strings.ToLower(*email)
	if !directory.IsEmail(lower) {
		bad["email"] = notEmail
	}
	return &lower
}

// accountError says what the core has against an account's fields.
func accountError(err error) error {
	switch directory.CodeOf(err) {
	case directory.ErrUserNameTaken.Code, directory.ErrEmailTaken.Code:
		return problems{"email": notUnique}.err()
	}
	return err
}

// register answers POST account/register/, if the operator lets anybody register.
func (d *door) register(w http.ResponseWriter, r *http.Request, _ directory.Principal, v *visit) error {
	ctx := r.Context()
	if !d.open {
		return &directory.Error{Kind: directory.Invalid, Code: "syncano.registration", Detail: "Registration disabled."}
	}
	fields, err := v.object(r)
	if err != nil {
		return err
	}
	bad := problems{}
	email := readEmail(fields, created, bad)
	password := requiredText(fields, "password", maxPassword, bad)
	first := blankText(fields, "first_name", maxFirstName, bad)
	last := blankText(fields, "last_name", maxFirstName, bad)
	if err := bad.err(); err != nil {
		return err
	}
	secret, err := authn.PasswordCredential(ctx, password)
	if err != nil {
		return err
	}
	key, hash, sealed := d.authn.Mint(authn.SyncanoAccount)
	in := directory.NewUser{Name: *email, Email: *email, Credentials: []directory.Credential{
		secret, {Kind: authn.SyncanoAccount, Name: *email, Grants: accountGrants, Hash: hash, Sealed: sealed},
	}}
	if first != nil {
		in.GivenName = *first
	}
	if last != nil {
		in.FamilyName = *last
	}
	made, err := d.directory.Register(ctx, in, name, wire.EntryOf(ctx).Request)
	if err != nil {
		return accountError(err)
	}
	out, err := d.encodeAccount(r, made.Value)
	if err != nil {
		return err
	}
	out.AccountKey = key
	v.write(w, http.StatusCreated, out)
	return nil
}

// signInAccount answers POST account/auth/ (section 2.1).
func (d *door) signInAccount(w http.ResponseWriter, r *http.Request, _ directory.Principal, v *visit) error {
	ctx := r.Context()
	fields, err := v.object(r)
	if err != nil {
		return err
	}
	bad := problems{}
	email := readEmail(fields, created, bad)
	password := requiredText(fields, "password", maxPassword, bad)
	if err := bad.err(); err != nil {
		return err
	}
	u, c, err := d.authn.Password(ctx, platform, directory.ByEmail(*email), password, wire.CutHost(r.RemoteAddr))
	switch {
	case errors.Is(err, authn.ErrNoSuchUser):
		return errSignIn("Invalid email.", err)
	case errors.Is(err, directory.Unauthenticated):
		return errSignIn("Invalid password.", err)
	case err != nil:
		return err
	}
	p := directory.Principal{
		Credential: c.ID, User: u.ID, Self: u.ID, Grants: accountGrants, Name: u.Name, Dialect: name, Request: wire.EntryOf(ctx).Request,
	}
	out, err := d.encodeAccount(r, u)
	if err != nil {
		return err
	}
	if out.AccountKey, err = d.accountKey(r, p); err != nil {
		return err
	}
	v.write(w, http.StatusOK, out)
	return nil
}

// accountKey is the key of the account that has just signed in; one that came
// here without gets one.
func (d *door) accountKey(r *http.Request, p directory.Principal) (string, error) {
	keys, err := d.directory.OwnKeys(r.Context(), p, authn.SyncanoAccount)
	if err != nil {
		return "", err
	}
	if len(keys.Value) > 0 {
		return d.authn.Reveal(keys.Value[0])
	}
	key, hash, sealed := d.authn.Mint(authn.SyncanoAccount)
	_, err = d.directory.Issue(r.Context(), p, directory.NewCredential{
		Kind: authn.SyncanoAccount, Name: p.Name, Grants: accountGrants, Hash: hash, Sealed: sealed,
	})
	return key, err
}

func (d *door) getAccount(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	out := machine(v.caller.credential)
	if !p.Self.IsZero() {
		u, err := d.self(r, p)
		if err != nil {
			return err
		}
		if out, err = d.encodeAccount(r, u); err != nil {
			return err
		}
	}
	v.write(w, http.StatusOK, out)
	return nil
}

func (d *door) putAccount(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	return d.updateAccount(w, r, p, v, replaced)
}

func (d *door) patchAccount(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	return d.updateAccount(w, r, p, v, patched)
}

func (d *door) updateAccount(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit, how manner) error {
	if p.Self.IsZero() {
		return errForbidden // of whom nothing is known, nothing can be changed
	}
	fields, err := v.object(r)
	if err != nil {
		return err
	}
	bad := problems{}
	email := readEmail(fields, how, bad)
	in := directory.UserUpdate{
		User: directory.ByUser(p.Self), Name: email, Email: email,
		GivenName:  blankText(fields, "first_name", maxFirstName, bad),
		FamilyName: blankText(fields, "last_name", maxFirstName, bad),
	}
	if given, ok := fields[attrMetadata]; ok {
		m, problem := readMetadata(given)
		if problem != "" {
			bad[attrMetadata] = problem
		}
		in.Attributes = attributes(map[string]any{attrMetadata: m})
	}
	if err := bad.err(); err != nil {
		return err
	}
	a, err := d.directory.UpdateUser(r.Context(), p, in)
	if err != nil {
		return accountError(err)
	}
	out, err := d.encodeAccount(r, a.Value)
	if err == nil {
		v.write(w, http.StatusOK, out)
	}
	return err
}

// resetAccountKey answers POST account/reset_key/: the key gives itself a new
// secret, and the old one ends at once.
func (d *door) resetAccountKey(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	key, hash, sealed := d.authn.Mint(authn.SyncanoAccount)
	_, err := d.directory.UpdateCredential(r.Context(), p, directory.CredentialUpdate{Credential: p.Credential, Hash: hash, Sealed: sealed})
	if err != nil {
		return err
	}
	out := machine(v.caller.credential)
	if !p.Self.IsZero() {
		u, err := d.self(r, p)
		if err != nil {
			return err
		}
		if out, err = d.encodeAccount(r, u); err != nil {
			return err
		}
	}
	out.AccountKey = key
	v.write(w, http.StatusOK, out)
	return nil
}
