package contensis

import (
	"net/http"
	"strings"
	"time"

	"roster/internal/directory"
	"roster/internal/wire"
)

// errorModel is the body of most failures (section 2.4).
type errorModel struct {
	LogID   string `json:"logId"`
	Message string `json:"message"`
	Data    any    `json:"data"`
	Type    string `json:"type"` // "error", or "Validation" with a list in data
}

// violation is one entry of a validation's data.
type violation struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// denial is the body of every 401, which is not the Error model (section 1.3).
type denial struct {
	Message string `json:"message"`
}

// tokenAnswer is what a sign-in gets (section 1.2).
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
	TokenType    string `json:"token_type"`
	RefreshToken string `json:"refresh_token,omitempty"`
}

// tokenFailure is what a refused sign-in gets. Clients make Code the message
// of their exception.
type tokenFailure struct {
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

// pagedList is one page of a list (section 2.3). All five keys are always there.
type pagedList[T any] struct {
	PageIndex  int `json:"pageIndex"`
	PageSize   int `json:"pageSize"`
	TotalCount int `json:"totalCount"`
	PageCount  int `json:"pageCount"`
	Items      []T `json:"items"`
}

// user is the model of section 2.1. Clients need every key of it.
type user struct {
	ID          string         `json:"id"`
	Username    string         `json:"username"`
	Email       *string        `json:"email"`
	FirstName   *string        `json:"firstName"`
	LastName    *string        `json:"lastName"`
	Timezone    any            `json:"timezone"`
	Language    any            `json:"language"`
	AvatarURL   any            `json:"avatarUrl,omitempty"`
	Custom      map[string]any `json:"custom"` // never null
	Credentials credentials    `json:"credentials"`
	Status      status         `json:"status"`

	Created         string  `json:"created"`
	Modified        string  `json:"modified"`
	LastLogin       *string `json:"lastLogin"`
	LastFailedLogin *string `json:"lastFailedLogin"`
	Expiry          *string `json:"expiry"`
	PasswordChanged *string `json:"passwordChanged"`

	OptOutOfNotifications bool `json:"optOutOfNotifications"`

	FailedLoginAttempts                 int64 `json:"failedLoginAttempts"`
	FailedLoginAttemptsSinceLastSuccess int64 `json:"failedLoginAttemptsSinceLastSuccess"`
	SuccessfulLoginAttempts             int64 `json:"successfulLoginAttempts"`
}

type credentials struct {
	PasswordChangeFrequency int      `json:"passwordChangeFrequency"` // days
	Provider                provider `json:"provider"`
}

type provider struct {
	Type string `json:"type"`
	Name string `json:"name"`
}

type status struct {
	Suspended             bool `json:"suspended"`
	Locked                bool `json:"locked"`
	PasswordResetRequired bool `json:"passwordResetRequired"`
}

// group is the model of section 2.2.
type group struct {
	ID              string         `json:"id"`
	Name            string         `json:"name"`
	Description     *string        `json:"description"`
	Type            string         `json:"type"`
	Custom          map[string]any `json:"custom"` // never null
	UserCount       int            `json:"userCount"`
	ChildGroupCount int            `json:"childGroupCount"`
	EmailDomains    any            `json:"autoMembershipEmailDomains"` // an array, or null
	Created         string         `json:"created"`
	Modified        string         `json:"modified"`
}

// Where the directory keeps what it has no field for.
const (
	ownAttributes    = name
	customAttributes = name + "_custom"
)

// attributes of ours that are no custom fields.
const (
	attrTimezone = "timezone"
	attrLanguage = "language"
	attrAvatar   = "avatarUrl"
	attrOptOut   = "optOutOfNotifications"
	attrType     = "type" // of a group, if it is external
)

// The types of group (section 2.2).
const (
	typeBuiltIn  = "sys"
	typeOwn      = "contensis"
	typeExternal = "external"
)

func newUser(u directory.User, s directory.SignIn, now time.Time) user {
	own := u.Attributes.In(ownAttributes)
	optOut, _ := own[attrOptOut].(bool)
	return user{
		ID: u.ID.String(), Username: u.Name, Email: textOrNull(u.Email), FirstName: textOrNull(u.GivenName), LastName: textOrNull(u.FamilyName),
		Timezone: own[attrTimezone], Language: own[attrLanguage], AvatarURL: own[attrAvatar], Custom: custom(u.Attributes),
		Credentials: credentials{PasswordChangeFrequency: s.ChangeEvery, Provider: provider{Type: typeOwn, Name: typeOwn}},
		Status:      status{Suspended: !u.ActiveAt(now), Locked: s.Locked, PasswordResetRequired: s.MustChange},
		Created:     moment(u.Created), Modified: moment(u.Modified), LastLogin: momentOrNull(s.LastSuccess), LastFailedLogin: momentOrNull(s.LastFailure),
		Expiry: momentOrNull(u.Expires), PasswordChanged: momentOrNull(s.Changed), OptOutOfNotifications: optOut,
		FailedLoginAttempts: s.Failures, FailedLoginAttemptsSinceLastSuccess: s.Streak, SuccessfulLoginAttempts: s.Successes,
	}
}

func newGroup(g directory.Group, n directory.MemberCount) group {
	kind := typeOwn
	if g.Attributes.In(ownAttributes)[attrType] == typeExternal {
		kind = typeExternal
	}
	if g.BuiltIn {
		kind = typeBuiltIn
	}
	return group{
		ID: g.ID.String(), Name: g.Name, Description: textOrNull(g.Description), Type: kind, Custom: custom(g.Attributes),
		UserCount: n.Users, ChildGroupCount: n.Groups, EmailDomains: domains(g.Joins), Created: moment(g.Created), Modified: moment(g.Modified),
	}
}

// domains are those whose users join, null if there are none.
func domains(j directory.Joins) any {
	if len(j.Domains) == 0 {
		return nil
	}
	return j.Domains
}

func custom(a directory.Attributes) map[string]any {
	if m := a.In(customAttributes); m != nil {
		return m
	}
	return map[string]any{}
}

func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// moment is a date as clients read it: UTC, up to milliseconds, without zeros at
// the end (section 2.1).
func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999Z") }

func momentOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := moment(t)
	return &s
}

// readJSON reads a body that is said to be JSON, or not said to be anything.
func readJSON(w http.ResponseWriter, r *http.Request) (any, error) {
	if !bearsJSON(r) {
		return nil, malformed("body.type", "The body must be JSON: set Content-Type to application/json.")
	}
	body, err := wire.ReadBody(w, r, wire.MaxBody)
	if err != nil {
		return nil, err
	}
	return wire.Lenient(body)
}

func bearsJSON(r *http.Request) bool {
	if r.Header.Get("Content-Type") == "" {
		return true
	}
	t := wire.MediaType(r)
	return t == "application/json" || t == "text/json" || strings.HasSuffix(t, "+json")
}

func malformed(code, detail string) error {
	return &directory.Error{Kind: directory.Invalid, Code: code, Detail: detail}
}
