package native

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/wire"
)

// userJSON is a user in an answer.
type userJSON struct {
	ID            string            `json:"id"`
	Number        id.Number         `json:"number"`
	Code          int64             `json:"code"`
	Name          string            `json:"name"`
	Email         string            `json:"email,omitempty"`
	EmailVerified bool              `json:"email_verified"`
	GivenName     string            `json:"given_name,omitempty"`
	FamilyName    string            `json:"family_name,omitempty"`
	DisplayName   string            `json:"display_name,omitempty"`
	Suspended     bool              `json:"suspended"`
	Expires       time.Time         `json:"expires,omitzero"`
	ExternalIDs   map[string]string `json:"external_ids"`
	Attributes    jsontext.Value    `json:"attributes"`
	Version       int64             `json:"version"`
	Created       time.Time         `json:"created"`
	Modified      time.Time         `json:"modified"`
	SignIn        *signInJSON       `json:"sign_in,omitempty"`
}

// signInJSON is how a user signs in with a password, of one who ever tried or was
// locked. It is shown to who may read users.
type signInJSON struct {
	Locked      bool      `json:"locked"`
	Streak      int64     `json:"failures_in_a_row"`
	MustChange  bool      `json:"must_change_password"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	LastFailure time.Time `json:"last_failure,omitzero"`
}

// signIns shows how users sign in, in order.
func (a *api) signIns(ctx context.Context, p directory.Principal, users []directory.User) ([]*signInJSON, error) {
	got, err := a.directory.SignIns(ctx, p, users)
	if err != nil {
		return nil, err
	}
	out := make([]*signInJSON, len(users))
	for i, s := range got.Value {
		shown := signInJSON{s.Locked, s.Streak, s.MustChange, s.LastSuccess, s.LastFailure}
		if shown != (signInJSON{}) {
			out[i] = &shown
		}
	}
	return out, nil
}

func encodeUser(u directory.User) userJSON {
	return userJSON{
		ID: u.ID.String(), Number: u.Number, Code: u.Code, Name: u.Name, Email: u.Email, EmailVerified: u.EmailVerified,
		GivenName: u.GivenName, FamilyName: u.FamilyName, DisplayName: u.DisplayName, Suspended: u.Suspended, Expires: u.Expires,
		ExternalIDs: u.Externals, Attributes: attributesJSON(u.Attributes), Version: u.Version, Created: u.Created, Modified: u.Modified,
	}
}

// newUserJSON is a user to be made.
type newUserJSON struct {
	ID            string            `json:"id"`
	Number        int64             `json:"number"`
	Code          int64             `json:"code"`
	Name          string            `json:"name"`
	Email         string            `json:"email"`
	EmailVerified bool              `json:"email_verified"`
	GivenName     string            `json:"given_name"`
	FamilyName    string            `json:"family_name"`
	DisplayName   string            `json:"display_name"`
	Suspended     bool              `json:"suspended"`
	Expires       moment            `json:"expires"`
	ExternalIDs   map[string]string `json:"external_ids"`
	Attributes    jsontext.Value    `json:"attributes"`
	Groups        groupRefs         `json:"groups"`
}

// groupRefs are groups to join. There may be as many as one batch carries.
type groupRefs []directory.Ref

// UnmarshalJSONFrom implements [jsonv2.UnmarshalerFrom].
func (g *groupRefs) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return decodeItems(d, directory.MaxBatch, (*[]directory.Ref)(g), func(raw jsontext.Value) (directory.Ref, error) {
		text, err := decodeText(raw)
		if err != nil {
			return directory.Ref{}, err
		}
		return parseGroup("", text)
	})
}

// givenNumber reads the number that an imported thing brings.
func givenNumber(n int64) (id.Number, error) {
	if n < 0 || n > int64(id.MaxNumber) {
		return 0, invalid("number.range", "number", fmt.Sprintf("A number is from 1 to %d.", id.MaxNumber))
	}
	return id.Number(n), nil
}

func (a *api) createUser(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	if err := noPrecondition(r); err != nil {
		return err
	}
	var in newUserJSON
	body, err := read(w, r, wire.MaxBody, &in)
	if err != nil {
		return err
	}
	u := directory.NewUser{
		Code: in.Code, Name: in.Name, Email: in.Email, EmailVerified: in.EmailVerified,
		GivenName: in.GivenName, FamilyName: in.FamilyName, DisplayName: in.DisplayName,
		Suspended: in.Suspended, Expires: in.Expires.Time, Externals: in.ExternalIDs, Groups: in.Groups,
	}
	if u.ID, err = givenID[id.User](in.ID); err != nil {
		return err
	}
	if u.Number, err = givenNumber(in.Number); err != nil {
		return err
	}
	if u.Attributes, err = newAttributes(in.Attributes); err != nil {
		return err
	}
	return write(a, w, r, p, change[directory.User]{
		body: body,
		do: func(ctx context.Context, p directory.Principal) (directory.Answer[directory.User], error) {
			return a.directory.CreateUser(ctx, p, u)
		},
		answer: func(u directory.User, rev directory.Revision) answer {
			ans := say(http.StatusCreated, encodeUser(u)).versioned(u.Version).at(rev)
			ans.Location = mount + "/tenants/" + p.Tenant.String() + "/users/" + u.ID.String()
			return ans
		},
	})
}

func (a *api) listUsers(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	q, page := listParams(r, "name_prefix", "suspended")
	filter := directory.UserFilter{NamePrefix: directory.FoldName(q.values.Get("name_prefix")), Suspended: q.flag("suspended")}
	if q.err != nil {
		return q.err
	}
	got, err := a.directory.Users(r.Context(), p, directory.ListUsers{Page: page, Filter: filter})
	if err != nil {
		return err
	}
	signIns, err := a.signIns(r.Context(), p, got.Value.Items)
	if err != nil {
		return err
	}
	list := listOf(got.Value, q.query(r), encodeUser)
	for i := range list.Items {
		list.Items[i].SignIn = signIns[i]
	}
	return respond(w, r, got.Revision, say(http.StatusOK, list))
}

func (a *api) getUser(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	if err := parseParams(r).err; err != nil {
		return err
	}
	ref, err := parseUser("user", r.PathValue("user"))
	if err != nil {
		return err
	}
	got, err := a.directory.User(r.Context(), p, ref)
	if err != nil {
		return err
	}
	signIns, err := a.signIns(r.Context(), p, []directory.User{got.Value})
	if err != nil {
		return err
	}
	out := encodeUser(got.Value)
	out.SignIn = signIns[0]
	return respond(w, r, got.Revision, say(http.StatusOK, out).versioned(got.Value.Version))
}

// userPatch is what may change of a user.
type userPatch struct {
	Name          optional[string]            `json:"name"`
	Email         optional[string]            `json:"email"`
	EmailVerified optional[bool]              `json:"email_verified"`
	GivenName     optional[string]            `json:"given_name"`
	FamilyName    optional[string]            `json:"family_name"`
	DisplayName   optional[string]            `json:"display_name"`
	Suspended     optional[bool]              `json:"suspended"`
	Expires       optional[moment]            `json:"expires"`
	ExternalIDs   optional[map[string]string] `json:"external_ids"`
	Attributes    jsontext.Value              `json:"attributes"`
	SignIn        signInPatch                 `json:"sign_in"`
}

// signInPatch is what may change of how a user signs in.
type signInPatch struct {
	Locked optional[bool] `json:"locked"`
}

func (a *api) updateUser(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	var in userPatch
	body, err := read(w, r, wire.MaxBody, &in)
	if err != nil {
		return err
	}
	u := directory.UserUpdate{
		Name: in.Name.pointer(), Email: in.Email.pointer(), EmailVerified: in.EmailVerified.pointer(),
		GivenName: in.GivenName.pointer(), FamilyName: in.FamilyName.pointer(), DisplayName: in.DisplayName.pointer(),
		Suspended: in.Suspended.pointer(), Externals: in.ExternalIDs.pointer(),
		SignIn: directory.SignInUpdate{Locked: in.SignIn.Locked.pointer()},
	}
	if in.Expires.given {
		u.Expires = &in.Expires.value.Time
	}
	if u.User, err = parseUser("user", r.PathValue("user")); err != nil {
		return err
	}
	if u.IfVersion, err = ifMatch(r); err != nil {
		return err
	}
	if u.Attributes, err = readAttributes(in.Attributes); err != nil {
		return err
	}
	return write(a, w, r, p, change[directory.User]{
		body: body,
		do: func(ctx context.Context, p directory.Principal) (directory.Answer[directory.User], error) {
			return a.directory.UpdateUser(ctx, p, u)
		},
		answer: func(u directory.User, rev directory.Revision) answer {
			return say(http.StatusOK, encodeUser(u)).versioned(u.Version).at(rev)
		},
	})
}

func (a *api) deleteUser(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	ref, err := parseUser("user", r.PathValue("user"))
	if err != nil {
		return err
	}
	version, err := ifMatch(r)
	if err != nil {
		return err
	}
	return write(a, w, r, p, change[directory.User]{
		do: func(ctx context.Context, p directory.Principal) (directory.Answer[directory.User], error) {
			return a.directory.DeleteUser(ctx, p, directory.Deletion{Ref: ref, IfVersion: version})
		},
		answer: func(_ directory.User, rev directory.Revision) answer { return say(http.StatusNoContent, nil).at(rev) },
	})
}
