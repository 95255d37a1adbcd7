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
	ID       id.Number `json:"id"`
	Username string    `json:"username"`
	UserKey  *string   `json:"user_key"`
	Profile  profile   `json:"profile"`
	Groups   []group   `json:"groups"`
	Links    userLinks `json:"links"`
}

type userLinks struct {
	Self     string `json:"self"`
	Groups   string `json:"groups"`
	ResetKey string `json:"reset-key"`
	Profile  string `json:"profile"`
}

// profile is the object of class user_profile that belongs to a user.
type profile struct {
	ID               int64        `json:"id"`
	CreatedAt        string       `json:"created_at"`
	UpdatedAt        string       `json:"updated_at"`
	Revision         int64        `json:"revision"`
	Owner            id.Number    `json:"owner"`
	OwnerPermissions string       `json:"owner_permissions"`
	Group            *int64       `json:"group"`
	GroupPermissions string       `json:"group_permissions"`
	OtherPermissions string       `json:"other_permissions"`
	Channel          *string      `json:"channel"`
	ChannelRoom      *string      `json:"channel_room"`
	Links            profileLinks `json:"links"`
}

type profileLinks struct {
	Self  string `json:"self"`
	Owner string `json:"owner"`
	Group string `json:"group,omitempty"`
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
func (l links) encodeUser(u directory.User, userKey *string, groups []group) user {
	self := l.user(u.Number)
	p := l.encodeProfile(u)
	return user{
		ID: u.Number, Username: u.Name, UserKey: userKey, Profile: p, Groups: groups,
		Links: userLinks{Self: self, Groups: self + "groups/", ResetKey: self + "reset_key/", Profile: p.Links.Self},
	}
}

// The attributes that profiles are kept in. One that is not there has its
// default value: what was never set takes no space, and a user of another
// dialect has a profile too.
const (
	attrProfileID = "profile_id"
	attrCreated   = "created_at"
	attrUpdated   = "updated_at"
	attrRevision  = "revision"
	attrOwnerMay  = "owner_permissions"
	attrGroup     = "group"
	attrGroupMay  = "group_permissions"
	attrOtherMay  = "other_permissions"
	attrChannel   = "channel"
	attrRoom      = "channel_room"
)

// encodeProfile shows the profile of a user.
func (l links) encodeProfile(u directory.User) profile {
	kept := u.Attributes.In("syncano")
	p := profile{
		ID:               integer(kept[attrProfileID], int64(u.Number)),
		CreatedAt:        moment(kept[attrCreated], u.Created),
		UpdatedAt:        moment(kept[attrUpdated], u.Modified),
		Revision:         integer(kept[attrRevision], 1),
		Owner:            u.Number,
		OwnerPermissions: words(kept[attrOwnerMay], mayFull),
		GroupPermissions: words(kept[attrGroupMay], mayNone),
		OtherPermissions: words(kept[attrOtherMay], mayNone),
		Channel:          textOrNull(kept[attrChannel]),
		ChannelRoom:      textOrNull(kept[attrRoom]),
	}
	p.Links = profileLinks{Self: l.profile(p.ID), Owner: l.user(u.Number)}
	if g := integer(kept[attrGroup], 0); g > 0 {
		p.Group, p.Links.Group = &g, l.group(g)
	}
	return p
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
