package directory

import (
	"time"

	"roster/internal/id"
)

// MaxCode is the largest code: what a client that keeps integers as floats can hold.
const MaxCode = 1<<53 - 1

// Tenant is the wall around everything else.
type Tenant struct {
	ID         id.Tenant
	Code       int64  // counted across the deployment
	Name       string // unique in the deployment, a lower-case slug
	Title      string // for people; may be empty
	Version    int64
	Created    time.Time
	Modified   time.Time
	Attributes Attributes
}

// User is a person or machine account within one tenant.
type User struct {
	ID            id.User
	Number        id.Number // counted per tenant
	Code          int64     // counted across the deployment
	Person        id.Person
	PersonCode    int64  // the person's own code
	Name          string // unique within the tenant, compared after [FoldName]
	Email         string // unique within the tenant, compared after [FoldName]; may be empty
	EmailVerified bool
	GivenName     string
	FamilyName    string
	DisplayName   string
	Suspended     bool
	Expires       time.Time // zero if never; from then on as if suspended
	Version       int64     // 1 on creation, +1 on each committed change
	Created       time.Time // UTC, to the microsecond
	Modified      time.Time
	CreatedIn     Revision // the commits that created it and changed it last
	ModifiedIn    Revision
	Externals     map[string]string // source → key
	Attributes    Attributes
}

// ActiveAt reports whether u can be a member of anything, or sign in, at t.
func (u User) ActiveAt(t time.Time) bool {
	return !u.Suspended && (u.Expires.IsZero() || t.Before(u.Expires))
}

// VerifiedFold is the address, folded, that says who u is; "" if none does.
func (u User) VerifiedFold() string {
	if !u.EmailVerified {
		return ""
	}
	return FoldName(u.Email)
}

// FullName is the display name, or else the given and family names, or else the name.
func (u User) FullName() string {
	switch {
	case u.DisplayName != "":
		return u.DisplayName
	case u.GivenName != "" && u.FamilyName != "":
		return u.GivenName + " " + u.FamilyName
	case u.GivenName != "" || u.FamilyName != "":
		return u.GivenName + u.FamilyName
	}
	return u.Name
}

// Group is a named set of users and groups within one tenant.
type Group struct {
	ID          id.Group
	Number      id.Number
	Code        int64
	Name        string // not unique in the core: some dialects allow twins
	Description string
	Grants      Grants // what members hold by standing in it, directly or through groups
	BuiltIn     bool   // made with the tenant; cannot be deleted
	Joins       Joins  // who joins it when made
	Version     int64
	Created     time.Time
	Modified    time.Time
	CreatedIn   Revision
	ModifiedIn  Revision
	Externals   map[string]string
	Attributes  Attributes
}

// Authored says who made a commit, when, and through which door.
type Authored struct {
	Revision Revision
	At       time.Time
	Actor    Actor
	Dialect  string
	Request  string

	// CredentialCode is the code of the actor's credential, 0 if that is gone.
	CredentialCode int64
	// PersonCode is the code of the person the actor acts for, 0 for a machine
	// or if that user is gone.
	PersonCode int64
}

// Role is what a member is in a group.
type Role uint8

// The roles. Both are members; a manager is marked as one.
const (
	RoleMember Role = iota
	RoleManager
)

// String returns "member" or "manager".
func (r Role) String() string {
	if r == RoleManager {
		return "manager"
	}
	return "member"
}

// Standing is how a member stands in a group.
type Standing struct {
	From   time.Time // holds from then on; zero is since ever
	Until  time.Time // holds until just before; zero is for ever
	Role   Role
	Source string // "manual" if empty; "scim:<connection>", "rule", "import"
	Reason string // why, for people; may be empty
}

// HoldsAt reports whether a membership with these dates holds at t.
func (s Standing) HoldsAt(t time.Time) bool {
	return (s.From.IsZero() || !t.Before(s.From)) && (s.Until.IsZero() || t.Before(s.Until))
}

// SourceName is Source, or "manual".
func (s Standing) SourceName() string {
	if s.Source == "" {
		return "manual"
	}
	return s.Source
}

// Edge is where a membership stands: who, in which group.
type Edge struct {
	Group  id.Number
	Member id.Member
}

// Membership is one member standing directly in one group.
type Membership struct {
	Edge
	Standing
	Serial   int64    // per tenant, ascending in the order of joining; some may be missing
	Revision Revision // the commit that made it stand as it does
	Added    Revision // the commit that added it

	// When, through which dialect and by whom it was added; filled where an
	// answer shows it.
	AddedAt      time.Time
	AddedBy      Actor
	AddedDialect string
}

// CredentialKind is what a credential is used for. A secret of one kind never
// opens the door of another.
type CredentialKind string

// Credential is something that proves a principal. Its secret is not in it.
type Credential struct {
	ID      id.Credential
	Tenant  id.Tenant // zero: the platform's own
	Code    int64
	Kind    CredentialKind
	Name    string
	Handle  string // what is not secret of it, such as a client id; may be empty
	User    id.User
	Parent  id.Credential // what it was issued for; revoked with it
	Grants  Grants
	Expires time.Time // zero if never
	Created time.Time
	Used    time.Time // the last use, to about a minute; zero if never

	// Sealed is the secret under the deployment's key, for dialects whose
	// clients read it back; nil otherwise. See package authn.
	Sealed []byte

	// Hash is what verifies the secret: SHA-256 of kind and secret when the
	// secret has full entropy, an argon2id PHC string when it is a password.
	Hash []byte

	Attributes Attributes

	// Fence is set by [Directory.CredentialByHash], and not kept: the credential
	// was found in a tenant that had come at least so far, so that whoever acts
	// by it need not ask again what was acknowledged before. Zero says nothing.
	Fence Revision
}

// MemberCursor is where m stands in a list of a group's members: always
// positive, groups before users.
func MemberCursor(m id.Member) int64 {
	if g, ok := m.Group(); ok {
		return int64(g)
	}
	return int64(id.MaxNumber) + int64(m)
}

// memberAt is the member that has a [MemberCursor].
func memberAt(cursor int64) id.Member {
	if cursor <= int64(id.MaxNumber) {
		return id.GroupMember(id.Number(cursor))
	}
	return id.UserMember(id.Number(cursor - int64(id.MaxNumber)))
}
