package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// User is a user as the server shows it.
type User struct {
	ID            string            `json:"id"`
	Number        int64             `json:"number"` // in the tenant
	Code          int64             `json:"code"`   // in the deployment
	Name          string            `json:"name"`
	Email         string            `json:"email,omitempty"`
	EmailVerified bool              `json:"email_verified"`
	GivenName     string            `json:"given_name,omitempty"`
	FamilyName    string            `json:"family_name,omitempty"`
	DisplayName   string            `json:"display_name,omitempty"`
	Suspended     bool              `json:"suspended"`
	Expires       time.Time         `json:"expires,omitzero"` // zero if never
	ExternalIDs   map[string]string `json:"external_ids"`
	Attributes    Attributes        `json:"attributes"`
	Version       int64             `json:"version"`
	Created       time.Time         `json:"created"`
	Modified      time.Time         `json:"modified"`
	SignIn        *SignIn           `json:"sign_in,omitempty"` // nil if the user never did, or the key may not read users; and after a write
}

// SignIn is how a user signs in with a password.
type SignIn struct {
	Locked      bool      `json:"locked"` // until somebody unlocks it: see [UserPatch]
	Streak      int64     `json:"failures_in_a_row"`
	MustChange  bool      `json:"must_change_password"`
	LastSuccess time.Time `json:"last_success,omitzero"` // zero if never
	LastFailure time.Time `json:"last_failure,omitzero"`
}

// NewUser is what a user is made from: at least a Name or an Email. A zero ID,
// Number and Code are made up.
type NewUser struct {
	ID            string            `json:"id,omitempty"`
	Number        int64             `json:"number,omitempty"`
	Code          int64             `json:"code,omitempty"`
	Name          string            `json:"name,omitempty"`
	Email         string            `json:"email,omitempty"`
	EmailVerified bool              `json:"email_verified,omitempty"`
	GivenName     string            `json:"given_name,omitempty"`
	FamilyName    string            `json:"family_name,omitempty"`
	DisplayName   string            `json:"display_name,omitempty"`
	Suspended     bool              `json:"suspended,omitempty"`
	Expires       time.Time         `json:"expires,omitzero"`
	ExternalIDs   map[string]string `json:"external_ids,omitempty"`
	Attributes    Attributes        `json:"attributes,omitempty"`
	Groups        []string          `json:"groups,omitempty"` // refs of groups to join at once
}

// UserPatch says what to change of a user; nil fields stay.
type UserPatch struct {
	Name          *string            `json:"name,omitempty"`
	Email         *string            `json:"email,omitempty"`
	EmailVerified *bool              `json:"email_verified,omitempty"`
	GivenName     *string            `json:"given_name,omitempty"`
	FamilyName    *string            `json:"family_name,omitempty"`
	DisplayName   *string            `json:"display_name,omitempty"`
	Suspended     *bool              `json:"suspended,omitempty"`
	Expires       *time.Time         `json:"expires,omitempty"`      // the zero time is never
	ExternalIDs   *map[string]string `json:"external_ids,omitempty"` // replaces all of them
	Attributes    Attributes         `json:"attributes,omitempty"`   // a nil value takes its key away
	SignIn        *SignInPatch       `json:"sign_in,omitempty"`
}

// SignInPatch says what to change of how a user signs in; nil fields stay.
type SignInPatch struct {
	Locked *bool `json:"locked,omitempty"`
}

// MarshalJSON implements [json.Marshaler].
func (p UserPatch) MarshalJSON() ([]byte, error) {
	type fields UserPatch
	if p.Expires == nil || !p.Expires.IsZero() {
		return json.Marshal(fields(p))
	}
	p.Expires = nil
	return json.Marshal(struct {
		fields
		Expires *time.Time `json:"expires"`
	}{fields: fields(p)})
}

// UserFilter narrows a list of users; zero fields do not.
type UserFilter struct {
	NamePrefix string
	Suspended  *bool

	// PageSize is how many are asked for at a time, for who means to stop
	// early; zero is as many as one may.
	PageSize int
}

// CreateUser makes a user.
func (t *Tenant) CreateUser(ctx context.Context, in NewUser) (User, error) {
	var out User
	_, err := t.c.do(ctx, call{method: http.MethodPost, path: t.path + "/users", body: in, write: true}, &out)
	return out, err
}

// Users yields the users that a filter leaves, by number.
//
//	for u, err := range acme.Users(ctx, client.UserFilter{NamePrefix: "a"}) {
//		if err != nil { … }
//	}
func (t *Tenant) Users(ctx context.Context, f UserFilter) iter.Seq2[User, error] {
	q := inPagesOf(f.PageSize)
	if f.NamePrefix != "" {
		q.Set("name_prefix", f.NamePrefix)
	}
	if f.Suspended != nil {
		q.Set("suspended", strconv.FormatBool(*f.Suspended))
	}
	return pages[User](ctx, t.c, t.path+"/users", q)
}

func (t *Tenant) user(ref string) string { return t.path + "/users/" + url.PathEscape(ref) }

// User shows a user.
func (t *Tenant) User(ctx context.Context, ref string) (User, error) {
	return get[User](ctx, t.c, t.user(ref), nil)
}

// UpdateUser changes a user, if it is still at the version; 0 is any.
func (t *Tenant) UpdateUser(ctx context.Context, ref string, version int64, patch UserPatch) (User, error) {
	var out User
	_, err := t.c.do(ctx, call{method: http.MethodPatch, path: t.user(ref), version: version, body: patch, write: true}, &out)
	return out, err
}

// DeleteUser deletes a user with its memberships and keys, if it is still at
// the version; 0 is any.
func (t *Tenant) DeleteUser(ctx context.Context, ref string, version int64) error {
	_, err := t.c.do(ctx, call{method: http.MethodDelete, path: t.user(ref), version: version, write: true}, nil)
	return err
}
