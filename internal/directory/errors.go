package directory

import (
	"errors"
	"fmt"
)

// Kind says what sort of failure an [Error] is. Kinds are few and decide the
// status a dialect answers with. A Kind is itself an error, to be used as the
// target of [errors.Is].
type Kind uint8

// The kinds. The zero kind is Internal, so what nobody classified leaks nothing.
const (
	Internal        Kind = iota // our fault; the cause is in the log alone
	Invalid                     // the input is wrong and would be wrong again
	Unauthenticated             // no credential, or not one that proves anybody
	Forbidden                   // a known principal may not do this
	NotFound                    // no such thing, or none this principal can see
	Conflict                    // the thing is there already, or in the way
	Stale                       // a precondition did not hold
	TooLarge                    // more than one request may carry
	TooMany                     // slow down: a limit on attempts was reached
	Unavailable                 // not now; nothing was written; try again
	kinds
)

var kindNames = [kinds]string{
	"internal", "invalid", "unauthenticated", "forbidden", "not found",
	"conflict", "stale", "too large", "too many", "unavailable",
}

// Error returns the kind's name.
func (k Kind) Error() string {
	if k < kinds {
		return kindNames[k]
	}
	return kindNames[Internal]
}

// Kinds returns every kind. A test of each dialect walks it, so that a kind
// added here cannot be forgotten there.
func Kinds() []Kind {
	all := make([]Kind, kinds)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// Error is the one error type that crosses packages.
type Error struct {
	Kind   Kind
	Code   string // refines Kind: "user.name.taken"; stable, for programs
	Field  string // which input is at fault, as the core names it; may be empty
	Detail string // one sentence, safe to show to anyone
	Err    error  // the cause, for the log alone; may be nil

	// Items are the items at fault, by index, when a batch of memberships was
	// refused as a whole: additions first. Nil for anything else.
	Items []int
}

// Error returns the detail and the cause. It is for logs: what a caller may see
// is Detail.
func (e *Error) Error() string {
	s := e.Kind.Error()
	if e.Code != "" {
		s += " (" + e.Code + ")"
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is this error's [Kind].
func (e *Error) Is(target error) bool {
	k, ok := target.(Kind)
	return ok && k == e.Kind
}

// KindOf returns the kind of err: that of the first [Error] in its chain, or
// Internal. It must not be asked about a nil error.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// CodeOf returns the code of the first [Error] in err's chain, or "".
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

func invalid(code, field, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Code: code, Field: field, Detail: fmt.Sprintf(format, args...)}
}

func notFound(code, detail string) *Error {
	return &Error{Kind: NotFound, Code: code, Detail: detail}
}

func forbidden(code, format string, args ...any) *Error {
	return &Error{Kind: Forbidden, Code: code, Detail: fmt.Sprintf(format, args...)}
}

func conflict(code, field, format string, args ...any) *Error {
	return &Error{Kind: Conflict, Code: code, Field: field, Detail: fmt.Sprintf(format, args...)}
}

// Errors that stores return and operations pass on.
var (
	ErrNoTenant     = notFound("tenant.unknown", "There is no such tenant.")
	ErrNoUser       = notFound("user.unknown", "There is no such user.")
	ErrNoGroup      = notFound("group.unknown", "There is no such group.")
	ErrNoMembership = notFound("membership.unknown", "There is no such membership.")
	ErrNoCredential = notFound("credential.unknown", "There is no such credential.")
	ErrForgotten    = notFound("history.forgotten", "The past of this tenant does not reach back that far.")
	ErrAmbiguous    = &Error{Kind: Conflict, Code: "group.name.ambiguous", Detail: "More than one group bears that name; use its id."}
)
