package directory

import (
	"roster/internal/id"
)

// Principal is who is asking: what a verified credential proved, bound to the
// one tenant the request is about. Operations take it as an argument, so one
// without a principal does not compile; the zero Principal may do nothing.
type Principal struct {
	// Tenant is the tenant the principal acts in. It comes from the credential,
	// or, for a platform credential, from the path after the credential was
	// found to reach it.
	Tenant id.Tenant

	// Credential is what was presented.
	Credential id.Credential

	// User is the user the credential acts for, zero for a machine's key. A
	// principal with a user can never do more than that user's groups grant at
	// the moment of the transaction.
	User id.User

	// Self is a user who proved itself beside the credential by something that
	// carries no rights, zero if nobody did. Everybody may read and change
	// themself: an operation on this user, named by id, needs no grant for it.
	// To change a user who holds rights still needs these.
	Self id.User

	// Grants is the upper bound the credential sets.
	Grants Grants

	// Within, unless nil, bounds the principal to part of the tenant; see [Within].
	Within *Within

	// heeds is set by operations that know what to make of Within.
	heeds bool

	// Name is what the change log shows for the actor, for people to read.
	Name string

	// Dialect and Request say which door the request came through and under
	// which request id; both go into the change log.
	Dialect string
	Request string

	// Fence is how far the tenant had come when the credential was verified, as
	// in [Credential]: every commit acknowledged before the request is at or
	// below it. Zero says nothing, and the store is asked.
	Fence Revision

	// Once makes a write happen at most once; see [Once].
	Once *Once
}

// Once asks that a write with this key happens at most once: the answer is kept
// in the same transaction as the change, and a repetition with the same
// fingerprint gets that answer back instead of being carried out again.
type Once struct {
	Key         string
	Fingerprint [32]byte // of everything that makes the request what it is

	// Encode renders the answer of the operation for keeping. It runs inside
	// the transaction, so it must be quick and touch nothing.
	Encode func(answer any, rev Revision) []byte

	// Replay is set to the kept answer if there was one. The operation then
	// returns [ErrReplayed].
	Replay []byte
}

// ErrReplayed is returned by a write that was carried out before; the answer it
// had is in [Once.Replay].
var ErrReplayed = &Error{Kind: Conflict, Code: "idempotency.replayed", Detail: "This request was carried out before."}

// actor returns how the change log names p.
func (p Principal) actor() Actor {
	return Actor{Credential: p.Credential, User: p.User, Name: p.Name}
}

// on returns what p needs for an operation on the user that ref names, which is
// need unless it is p itself.
func (p Principal) on(ref Ref, need Grants) Grants {
	if !p.Self.IsZero() && ref == ByUser(p.Self) {
		return 0
	}
	return need
}

// mayName refuses a principal of one tenant that would choose codes: they are
// counted across the deployment, so one tenant could use up everybody's.
func (p Principal) mayName(codes ...int64) error {
	for _, code := range codes {
		if code != 0 && !p.Grants.Has(Platform) {
			return forbidden("code.platform", "Only the platform's own credentials may choose codes.")
		}
	}
	return nil
}
