package client

import (
	"encoding/json"
	"strconv"
)

// ByName names a user or a group by name, in any letter case.
func ByName(name string) string { return "name:" + name }

// ByEmail names a user by e-mail address, in any letter case.
func ByEmail(address string) string { return "email:" + address }

// ByNumber names a user or a group by its number in the tenant.
func ByNumber(n int64) string { return "number:" + strconv.FormatInt(n, 10) }

// ByCode names a user or a group by its code in the deployment.
func ByCode(n int64) string { return "code:" + strconv.FormatInt(n, 10) }

// ByExternal names a user or a group by the key that a source knows it by.
func ByExternal(source, key string) string { return "external:" + source + "/" + key }

// Member names who stands, or is to stand, in a group.
type Member struct {
	ref   string
	group bool
}

// UserMember is the user with the ref, as a member.
func UserMember(ref string) Member { return Member{ref: ref} }

// GroupMember is the group with the ref, as a member of another.
func GroupMember(ref string) Member { return Member{ref: ref, group: true} }

// MarshalJSON implements [encoding/json.Marshaler].
func (m Member) MarshalJSON() ([]byte, error) {
	if m.group {
		return json.Marshal(map[string]string{"group": m.ref})
	}
	return json.Marshal(map[string]string{"user": m.ref})
}

func (m Member) path() string {
	if m.group {
		return "group:" + m.ref
	}
	return m.ref
}
