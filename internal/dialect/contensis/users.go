package contensis

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/wire"
)

// answerUser writes the model of one user.
func (c *contensis) answerUser(w http.ResponseWriter, r *http.Request, p directory.Principal, code int, u directory.User) error {
	signIns, err := c.d.SignIns(r.Context(), p, []directory.User{u})
	if err != nil {
		return err
	}
	wire.WriteJSON(w, code, newUser(u, signIns.Value[0], c.d.Now()))
	return nil
}

// getUser answers "Get a user" (section 3.1).
func (c *contensis) getUser(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	identifier := r.PathValue("user")
	if strings.EqualFold(param(r.URL.Query(), "classicUserId"), "true") {
		return noUser(identifier) // there are no such ids here
	}
	ref, err := userRef(p, identifier)
	if err != nil {
		return err
	}
	u, err := c.d.User(r.Context(), p, ref)
	if err != nil {
		return notFound(err, "", identifier)
	}
	return c.answerUser(w, r, p, http.StatusOK, u.Value)
}

// createUser answers "Create a user" (section 3.1). The answer shows the user, so
// who may not see users makes none.
func (c *contensis) createUser(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	if _, err := c.d.SignIns(r.Context(), p, []directory.User{{}}); err != nil {
		return err
	}
	body, err := readObject(w, r)
	if err != nil {
		return err
	}
	in, err := c.newUser(r, body)
	if err != nil {
		return err
	}
	u, err := c.d.CreateUser(r.Context(), p, in)
	if err != nil {
		return inWords(err, userWords)
	}
	w.Header().Set("Location", strings.TrimSuffix(r.URL.EscapedPath(), "/")+"/"+u.Value.ID.String())
	return c.answerUser(w, r, p, http.StatusCreated, u.Value)
}

// newUser reads the body of a creation.
func (c *contensis) newUser(r *http.Request, body object) (in directory.NewUser, err error) {
	var update directory.UserUpdate
	if update, err = readUserUpdate(body); err != nil {
		return in, err
	}
	guid, err := body.guid("id")
	if err != nil {
		return in, err
	}
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	query := r.URL.Query()
	force := strings.EqualFold(param(query, "forcePasswordReset"), "true")
	in = directory.NewUser{
		ID: id.User(guid), Name: text(update.Name), Email: text(update.Email), GivenName: text(update.GivenName), FamilyName: text(update.FamilyName),
		Suspended: strings.EqualFold(param(query, "suspended"), "true"), Attributes: kept(update.Attributes), SignIn: update.SignIn,
	}
	in.SignIn.MustChange = &force
	if update.Expires != nil && !update.Expires.IsZero() {
		in.Expires = *update.Expires
		if !c.d.Now().Before(in.Expires) {
			return in, &directory.Error{Kind: directory.Invalid, Code: "expires.past", Field: "expiry", Detail: "The expiry must be in the future."}
		}
	}
	proof, err := body.object("credentials")
	if err != nil {
		return in, err
	}
	password, err := proof.text("password")
	if err != nil || password == nil || *password == "" {
		return in, err
	}
	if err := directory.CheckPassword(directory.User{GivenName: in.GivenName, FamilyName: in.FamilyName}, *password, "credentials.password"); err != nil {
		return in, err
	}
	credential, err := authn.PasswordCredential(r.Context(), *password)
	in.Credentials = []directory.Credential{credential}
	return in, err
}

// readUserUpdate reads what a body says of a user. What is not there stays as it
// is, and what cannot be written is not looked at (section 3.1).
func readUserUpdate(body object) (in directory.UserUpdate, err error) {
	for _, f := range []struct {
		key string
		to  **string
	}{{"username", &in.Name}, {"email", &in.Email}, {"firstName", &in.GivenName}, {"lastName", &in.FamilyName}} {
		if *f.to, err = body.text(f.key); err != nil {
			return in, err
		}
	}
	if in.Expires, err = body.moment("expiry"); err != nil {
		return in, err
	}
	proof, err := body.object("credentials")
	if err != nil {
		return in, err
	}
	if in.SignIn.ChangeEvery, err = proof.integer("passwordChangeFrequency"); err != nil {
		return in, err
	}
	in.Attributes, err = body.patch(attrTimezone, attrLanguage, attrAvatar, attrOptOut)
	return in, err
}

// updateUser answers "Update a user", by PUT and by PATCH: both leave what is
// not in the body as it is, and the path says who is meant (section 3.1).
func (c *contensis) updateUser(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	identifier := r.PathValue("user")
	ref, err := userRef(p, identifier)
	if err != nil {
		return err
	}
	body, err := readObject(w, r)
	if err != nil {
		return err
	}
	in, err := readUserUpdate(body)
	if err != nil {
		return err
	}
	if _, err := c.d.User(r.Context(), p, ref); err != nil { // whom the answer shows
		return notFound(err, "", identifier)
	}
	in.User = ref
	u, err := c.d.UpdateUser(r.Context(), p, in)
	if err != nil {
		return inWords(notFound(err, "", identifier), userWords)
	}
	return c.answerUser(w, r, p, http.StatusOK, u.Value)
}

// deleteUser answers "Delete a user" (section 3.1).
func (c *contensis) deleteUser(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	identifier := r.PathValue("user")
	ref, err := userRef(p, identifier)
	if err != nil {
		return err
	}
	if _, err := c.d.DeleteUser(r.Context(), p, directory.Deletion{Ref: ref}); err != nil {
		return notFound(err, "", identifier)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// setPassword answers "Update user password" (section 3.1): 200 without a body.
func (c *contensis) setPassword(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	identifier := r.PathValue("user")
	ref, err := userRef(p, identifier)
	if err != nil {
		return err
	}
	body, err := readObject(w, r)
	if err != nil {
		return err
	}
	password, err := body.text("new")
	if err != nil {
		return err
	}
	existing, err := body.text("existing")
	if err != nil {
		return err
	}
	if password == nil || *password == "" {
		return &directory.Error{Kind: directory.Invalid, Code: "password.missing", Field: "new", Detail: "The new password must be given."}
	}
	if existing == nil {
		existing = new(string)
	}
	if err := c.authn.ChangePassword(r.Context(), p, ref, *existing, *password, wire.CutHost(r.RemoteAddr), "new"); err != nil {
		return notFound(err, "", identifier)
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
	return nil
}

// defaultFrequency is after how many days a password expires that was made
// expirable (section 3.1).
const defaultFrequency = 180

// act answers "User actions" (section 3.1). Doing again what is done is no error.
func (c *contensis) act(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	identifier := r.PathValue("user")
	ref, err := userRef(p, identifier)
	if err != nil {
		return err
	}
	body, err := readObject(w, r)
	if err != nil {
		return err
	}
	action, err := body.text("type")
	if err != nil {
		return err
	}
	if action == nil {
		action = new(string)
	}
	yes, no := true, false
	in := directory.UserUpdate{User: ref, Manage: true}
	switch directory.FoldName(*action) {
	case "suspend":
		err = c.suspend(r, p, ref, true)
	case "unsuspend":
		err = c.suspend(r, p, ref, false)
	case "unlock":
		in.SignIn.Locked = &no
		_, err = c.d.UpdateUser(r.Context(), p, in)
	case "forcepasswordreset":
		in.SignIn.MustChange = &yes
		_, err = c.d.UpdateUser(r.Context(), p, in)
	case "setpasswordtoexpirable":
		err = c.makeExpirable(r, p, in)
	default:
		return &directory.Error{Kind: directory.Invalid, Code: "action.unknown", Field: "type",
			Detail: "The type of action is one of suspend, unsuspend, unlock, forcePasswordReset and setPasswordToExpirable."}
	}
	if err != nil {
		return notFound(err, "", identifier)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (c *contensis) suspend(r *http.Request, p directory.Principal, ref directory.Ref, suspended bool) error {
	a, err := c.d.Suspend(r.Context(), p, directory.Suspension{Users: []directory.Ref{ref}, Suspended: suspended})
	if err == nil && a.Value[0].Problem != nil {
		return a.Value[0].Problem
	}
	return err
}

func (c *contensis) makeExpirable(r *http.Request, p directory.Principal, in directory.UserUpdate) error {
	u, err := c.d.UpdateUser(r.Context(), p, in) // changes nothing, and is refused to who may not
	if err != nil {
		return err
	}
	signIns, err := c.d.SignIns(r.Context(), p, []directory.User{u.Value})
	if err != nil || signIns.Value[0].ChangeEvery != 0 {
		return err
	}
	in.User = directory.ByUser(u.Value.ID)
	frequency := defaultFrequency
	in.SignIn.ChangeEvery = &frequency
	_, err = c.d.UpdateUser(r.Context(), p, in)
	return err
}

// param returns a parameter of the query, whose names are in any letter case
// (section 4.4).
func param(query url.Values, key string) string {
	if v, ok := query[key]; ok {
		return v[0]
	}
	for k, v := range query {
		if strings.EqualFold(k, key) {
			return v[0]
		}
	}
	return ""
}

// userWords are what the directory's fields of a user are called here.
var userWords = map[string]string{
	"name": "username", "given_name": "firstName", "family_name": "lastName", "expires": "expiry", "attributes": "custom",
	"change_password_every": "credentials.passwordChangeFrequency",
}

// groupWords are those of a group.
var groupWords = map[string]string{"attributes": "custom", "joins": "autoMembershipEmailDomains"}

// inWords names the field of an error as the dialect does.
func inWords(err error, words map[string]string) error {
	e, ok := errors.AsType[*directory.Error](err)
	if !ok || words[e.Field] == "" {
		return err
	}
	named := *e
	named.Field = words[e.Field]
	return &named
}
