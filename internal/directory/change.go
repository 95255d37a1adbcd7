package directory

import (
	"time"

	"roster/internal/id"
)

// Revision counts the committed writes of one tenant: 1, 2, 3, … without gaps,
// on every engine and any number of nodes. Zero is before the first.
type Revision uint64

// Actor is who made a commit.
type Actor struct {
	Credential id.Credential
	User       id.User // zero if the credential acts for no user
	Name       string  // as it was then
}

// Commit is one entry of a tenant's change log: everything one operation did,
// which is kept or lost as a whole.
type Commit struct {
	Revision Revision
	At       time.Time // UTC, to the microsecond; never before the previous commit's
	Actor    Actor
	Dialect  string
	Request  string
	Changes  []Change
}

// ChangeKind says what a [Change] did.
type ChangeKind string

// The kinds of change.
const (
	TenantCreated  ChangeKind = "tenant.created"
	TenantUpdated  ChangeKind = "tenant.updated"
	TenantDeleted  ChangeKind = "tenant.deleted"
	UserCreated    ChangeKind = "user.created"
	UserUpdated    ChangeKind = "user.updated"
	UserDeleted    ChangeKind = "user.deleted"
	GroupCreated   ChangeKind = "group.created"
	GroupUpdated   ChangeKind = "group.updated"
	GroupDeleted   ChangeKind = "group.deleted"
	MembersAdded   ChangeKind = "members.added"
	MembersUpdated ChangeKind = "members.updated"
	MembersRemoved ChangeKind = "members.removed"
	// MembersStarted and MembersEnded are of memberships that a date began or
	// ended, at Standing.From or Standing.Until: a clock's doing, and not that of
	// the commit's actor, which is the first that came after it. They change no
	// row, and come before what the commit did.
	MembersStarted ChangeKind = "members.started"
	MembersEnded   ChangeKind = "members.ended"

	CredentialCreated ChangeKind = "credential.created"
	CredentialUpdated ChangeKind = "credential.updated"
	CredentialRevoked ChangeKind = "credential.revoked"
)

// changeKinds are all of them.
var changeKinds = []ChangeKind{
	TenantCreated, TenantUpdated, TenantDeleted, UserCreated, UserUpdated, UserDeleted, GroupCreated, GroupUpdated, GroupDeleted,
	MembersAdded, MembersUpdated, MembersRemoved, MembersStarted, MembersEnded, CredentialCreated, CredentialUpdated, CredentialRevoked,
}

// Change is one thing a commit did. The fields a kind does not use are zero.
type Change struct {
	Kind ChangeKind

	// Number is that of the user or group that changed; for membership changes
	// it is the group's.
	Number id.Number

	// ID is the UUID of the user, group, credential or tenant that changed.
	ID [16]byte

	// Members are who was added, updated or removed.
	Members []id.Member

	// Standing is how members stand after being added or updated.
	Standing Standing

	// Suspended and Expires are a user's after the change.
	Suspended bool
	Expires   time.Time

	// Before and After hold the fields that changed, by their names in the
	// native API. Secrets are never among them.
	Before, After map[string]any
}
