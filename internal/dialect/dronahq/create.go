package dronahq

import (
	"errors"
	"net/http"
	"strings"

	"roster/internal/authn"
	"roster/internal/dialect"
	"roster/internal/directory"
	"roster/internal/wire"
)

// Errors of creation that refuse the call.
var (
	errUnregistered = &directory.Error{Kind: directory.Invalid, Code: "field.missing", Field: "pre_register", Detail: "pre_register must be true."}
	errNoInvitees   = &directory.Error{Kind: directory.Invalid, Code: "users.none", Field: "invitee_user", Detail: "invitee_user must contain at least one user."}
	errManyInvitees = &directory.Error{Kind: directory.Invalid, Code: "users.many", Field: "invitee_user", Detail: "invitee_user must contain at most 50 users."}
	errNoUserName   = &directory.Error{Kind: directory.Invalid, Code: "field.missing", Field: "user_name", Detail: "Each user needs a user_name."}
	errUserName     = &directory.Error{Kind: directory.Invalid, Code: "display_name.invalid", Field: "user_name", Detail: "A user_name must be at most 255 characters of text."}
	errNoPassword   = &directory.Error{Kind: directory.Invalid, Code: "field.missing", Field: "user_password", Detail: "Each user needs a user_password."}

	// What surface B says to an empty list, which its reference documents.
	errNoInviteesPublic = &directory.Error{Kind: directory.Unauthenticated, Code: "users.none", Field: "invitee_user", Detail: "invitee_user must contain at least one user."}
)

// defaultGroup is the group that a user joins who names none.
const defaultGroup = "Default"

// The codes of what went wrong with one user (section 2.4). The one for licences
// that have run out, "6", is never said here.
const (
	codeEmail   = "2"
	codeTaken   = "3"
	codeSome    = "4" // created all the same
	codeNowhere = "5"
)

var codeDetails = map[string]string{
	codeEmail:   "Email format is invalid.",
	codeTaken:   "A user with this email exists already.",
	codeSome:    "The user was created, but could not be added to some of the groups.",
	codeNowhere: "The user was not created, because none of the groups could be joined.",
}

// invitee is one entry of invitee_user.
type invitee struct {
	name, email, password string
	groups                []directory.Ref
}

// createUsers creates users and answers with those that failed (section 2.4).
func (d *door) createUsers(s surface) dialect.Handler {
	return func(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
		in := fieldsOf(r)
		registered, err := in.flag("pre_register", false)
		if err != nil {
			return err
		}
		if !registered && !s.invites {
			return errUnregistered
		}
		if _, err := in.count("admin_id"); err != nil {
			return err
		}
		invitees, err := readInvitees(in, registered)
		if err != nil {
			return err
		}
		switch {
		case len(invitees) == 0 && s.invites:
			return errNoInviteesPublic
		case len(invitees) == 0:
			return errNoInvitees
		case len(invitees) > maxUsers:
			return errManyInvitees
		}
		codes := make([]string, len(invitees))
		batch := directory.NewUsers{SomeGroups: true, Otherwise: directory.ByName(defaultGroup), MustJoin: in.app}
		var places []int
		for i, v := range invitees {
			if !isEmail(v.email) {
				codes[i] = codeEmail
				continue
			}
			// Who is only invited is there, and in groups, once activated.
			u := directory.NewUser{Email: strings.TrimSpace(v.email), DisplayName: v.name, Groups: v.groups, Suspended: !registered}
			if v.password != "" {
				c, err := authn.PasswordCredential(r.Context(), v.password)
				if err != nil {
					return err
				}
				u.Credentials = []directory.Credential{c}
			}
			batch.Users, places = append(batch.Users, u), append(places, i)
		}
		done, err := d.directory.CreateUsers(r.Context(), p, batch)
		if e, ok := errors.AsType[*directory.Error](err); ok && e.Field == "display_name" {
			err = errUserName // in the words of this wire
		}
		if err != nil {
			return err
		}
		for n, result := range done.Value {
			codes[places[n]] = creationCode(result)
		}
		failures := []creationFailure{}
		for i, code := range codes {
			if code != "" {
				failures = append(failures, creationFailure{Email: invitees[i].email, Code: code, Detail: codeDetails[code]})
			}
		}
		wire.WriteJSON(w, http.StatusOK, failures)
		return nil
	}
}

// creationCode is the code of what became of a new user, "" if all went well.
func creationCode(result directory.UserResult) string {
	switch {
	case result.Problem == nil && len(result.Unjoined) > 0:
		return codeSome
	case result.Problem == nil:
		return ""
	case result.Problem.Kind == directory.Conflict && result.Problem.Code != directory.ErrNoneJoined.Code:
		return codeTaken // its name is its address
	}
	return codeNowhere // or one that every new user joins is above the key
}

// readInvitees reads the entries of a call. Each must be complete, whatever else
// is wrong with it.
func readInvitees(in fields, registered bool) ([]invitee, error) {
	objects, err := in.objects("invitee_user")
	if err != nil {
		return nil, err
	}
	invitees := make([]invitee, len(objects))
	for i, o := range objects {
		names, err := o.names("user_group_name")
		if err != nil {
			return nil, err
		}
		v := invitee{name: strings.TrimSpace(o.text("user_name")), email: o.text("user_email"), password: o.text("user_password")}
		for _, name := range names {
			v.groups = append(v.groups, directory.ByName(strings.TrimSpace(name)))
		}
		switch {
		case v.name == "":
			return nil, errNoUserName
		case v.password == "" && registered:
			return nil, errNoPassword
		}
		invitees[i] = v
	}
	return invitees, nil
}
