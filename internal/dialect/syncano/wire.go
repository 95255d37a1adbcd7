package syncano

import (
	"encoding/json"
	"strconv"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// user is a user object (section 2.4). Clients need every key of it.
type user struct {
	ID       id.Number      `json:"id"`
	Username string         `json:"username"`
	UserKey  *string        `json:"user_key"`
	Profile  map[string]any `json:"profile"`
	Groups   []group        `json:"groups"`
	Links    userLinks      `json:"links"`
}

type userLinks struct {
	Self     string `json:"self"`
	Groups   string `json:"groups"`
	ResetKey string `json:"reset-key"`
	Profile  string `json:"profile"`
}

// group is a group object (section 2.6): these keys and no others.
type group struct {
	ID          id.Number  `json:"id"`
	Label       string     `json:"label"`
	Description string     `json:"description"`
	Links       groupLinks `json:"links"`
}

type groupLinks struct {
	Self  string `json:"self"`
	Users string `json:"users"`
}

// groupOfUser is a membership seen from its user (section 2.7).
type groupOfUser struct {
	Group group    `json:"group"`
	Links selfLink `json:"links"`
}

// userOfGroup is the same seen from its group (section 2.8).
type userOfGroup struct {
	User  user     `json:"user"`
	Links selfLink `json:"links"`
}

type selfLink struct {
	Self string `json:"self"`
}

// description is the answer to OPTIONS (section 3.5).
type description struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Renders     []string `json:"renders"`
	Parses      []string `json:"parses"`
}

// links makes the links of one request's answers: paths within the instance, in
// the version that was asked (section 1.1).
type links struct {
	version  string
	instance string // the stored name, whatever the path had
}

func (l links) base() string            { return l.version + "/instances/" + l.instance + "/" }
func (l links) user(n id.Number) string { return l.base() + "users/" + decimal(n) + "/" }
func (l links) group(n int64) string    { return l.base() + "groups/" + decimal(n) + "/" }
func (l links) profile(n int64) string {
	return l.base() + "classes/user_profile/objects/" + decimal(n) + "/"
}

func decimal[T id.Number | int64](n T) string { return strconv.FormatInt(int64(n), 10) }

// encodeUser shows a user with the groups it stands in. userKey is nil for one
// that has no key yet.
func (l links) encodeUser(u directory.User, profile map[string]any, userKey *string, groups []directory.Group) user {
	self := l.user(u.Number)
	out := user{
		ID: u.Number, Username: u.Name, UserKey: userKey, Profile: profile, Groups: make([]group, len(groups)),
		Links: userLinks{Self: self, Groups: self + "groups/", ResetKey: self + "reset_key/", Profile: profile["links"].(map[string]string)["self"]},
	}
	for i, g := range groups {
		out.Groups[i] = l.encodeGroup(g)
	}
	return out
}

// encodeGroup shows a group.
func (l links) encodeGroup(g directory.Group) group {
	self := l.group(int64(g.Number))
	return group{ID: g.Number, Label: g.Name, Description: g.Description, Links: groupLinks{Self: self, Users: self + "users/"}}
}

// timestamp has six digits of a second, always: one client fails on fewer than
// one, another on more than six (section 1.6).
const timestamp = "2006-01-02T15:04:05.000000Z"

// The functions below read attributes, which come from the store, from a file
// that an operator wrote, or from a request, each with its own types for
// numbers; what cannot be read counts as not there.

func integer(v any, otherwise int64) int64 {
	switch v := v.(type) {
	case int:
		return int64(v)
	case int64:
		return v
	case float64:
		if n := int64(v); float64(n) == v {
			return n
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
	}
	return otherwise
}

func moment(v any, otherwise time.Time) string {
	if s, ok := v.(string); ok {
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
			otherwise = t
		}
	}
	return otherwise.UTC().Format(timestamp)
}

func words(v any, otherwise string) string {
	if s, ok := v.(string); ok && s != "" {
		return s
	}
	return otherwise
}

func textOrNull(v any) *string {
	if s, ok := v.(string); ok && s != "" {
		return &s
	}
	return nil
}
