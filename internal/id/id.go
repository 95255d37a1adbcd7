// Package id holds the names the directory gives to its things: a distinct
// 128-bit type for each noun, so that a group's id cannot be passed where a
// user's is meant, and the small per-tenant integers that memberships are kept
// by. It is a leaf: it imports nothing of Roster.
package id

import (
	"errors"
	"strconv"

	"github.com/google/uuid"
)

// Tenant, Person, User, Group and Credential are RFC 9562 UUIDs. New ones are
// version 7, so they sort by time of creation; any version may be imported. The
// zero value names nothing.
type (
	Tenant     [16]byte
	Person     [16]byte
	User       [16]byte
	Group      [16]byte
	Credential [16]byte
)

// UUID is any of the id types.
type UUID interface {
	Tenant | Person | User | Group | Credential
}

// New returns a fresh version 7 id. It panics if the system has no randomness
// to give, because a directory without it must not run.
func New[T UUID]() T {
	return T(uuid.Must(uuid.NewV7()))
}

// ErrMalformed is returned by [Parse] and [ParseNumber] for text that cannot be
// such a name.
var ErrMalformed = errors.New("malformed id")

// Parse reads the canonical 36-character form, in either letter case. Other
// spellings (braces, URN, no hyphens) and the zero id are [ErrMalformed].
func Parse[T UUID](s string) (T, error) {
	if len(s) != 36 {
		return T{}, ErrMalformed
	}
	u, err := uuid.Parse(s)
	if err != nil || u == uuid.Nil {
		return T{}, ErrMalformed
	}
	return T(u), nil
}

// FromBytes reads the 16 bytes that a store keeps.
func FromBytes[T UUID](b []byte) (T, error) {
	if len(b) != 16 {
		return T{}, ErrMalformed
	}
	return T(b), nil
}

// String returns the canonical lower-case form.
func (t Tenant) String() string { return uuid.UUID(t).String() }

// String returns the canonical lower-case form.
func (p Person) String() string { return uuid.UUID(p).String() }

// String returns the canonical lower-case form.
func (u User) String() string { return uuid.UUID(u).String() }

// String returns the canonical lower-case form.
func (g Group) String() string { return uuid.UUID(g).String() }

// String returns the canonical lower-case form.
func (c Credential) String() string { return uuid.UUID(c).String() }

// IsZero reports whether t names nothing.
func (t Tenant) IsZero() bool { return t == Tenant{} }

// IsZero reports whether p names nothing.
func (p Person) IsZero() bool { return p == Person{} }

// IsZero reports whether u names nothing.
func (u User) IsZero() bool { return u == User{} }

// IsZero reports whether g names nothing.
func (g Group) IsZero() bool { return g == Group{} }

// IsZero reports whether c names nothing.
func (c Credential) IsZero() bool { return c == Credential{} }

// Number is a user's or group's integer name within its tenant, from 1 to
// [MaxNumber]; users and groups are counted apart. Zero names nothing. Numbers
// are never reused and never change, which is why memberships are kept by them.
type Number uint32

// MaxNumber is the largest number: what a signed 32-bit client can hold.
const MaxNumber Number = 1<<31 - 1

// ParseNumber reads decimal digits within the range of [Number].
func ParseNumber(s string) (Number, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n == 0 {
		return 0, ErrMalformed
	}
	return Number(n), nil
}

// Member is what stands in a group: a user (positive, its number) or a group
// (negative, its number negated). Users and groups therefore sort apart, and a
// membership row holds one small integer for either.
type Member int32

// UserMember is the member that user n is.
func UserMember(n Number) Member { return Member(n) }

// GroupMember is the member that group n is.
func GroupMember(n Number) Member { return -Member(n) }

// User returns the user's number, if m is a user.
func (m Member) User() (Number, bool) { return Number(m), m > 0 }

// Group returns the group's number, if m is a group.
func (m Member) Group() (Number, bool) { return Number(-m), m < 0 }
