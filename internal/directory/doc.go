// Package directory is the core of Roster: tenants, users, groups, memberships,
// credentials and grants, the rules that hold between them, and the operations
// that every dialect calls.
//
// An operation has one shape, (ctx, Principal, input) → (answer, error). It
// checks that the principal may, validates the input, and runs one [Store.Update]
// or [Store.View]. A write leaves its rows and its change records in one
// transaction; when that is durable the operation brings the in-memory index up
// to the revision and only then answers, so whoever asks next sees it.
//
// The package knows no HTTP, no SQL and no JSON. What is above it translates;
// what is below it remembers.
package directory
