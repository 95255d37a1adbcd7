package dronahq

import (
	"errors"
	"net/http"

	"roster/internal/dialect"
	"roster/internal/directory"
	"roster/internal/wire"
)

// answer is how one kind of error is said.
type answer struct {
	status  int
	message string

	// reason is the same for every error of the kind; if it is "" and detailed
	// is set, the error's own detail is the reason.
	reason   string
	detailed bool

	// again is set where the client may resend.
	again bool
}

// answers has one entry for each kind. Only statuses of the vendor's table are
// used (the dialect's contract, section 1.5), because clients know no others.
var answers = map[directory.Kind]answer{
	directory.Internal:        {status: http.StatusInternalServerError, message: "Internal server error."},
	directory.Invalid:         {status: http.StatusBadRequest, message: "Bad request.", detailed: true},
	directory.Unauthenticated: {status: http.StatusUnauthorized, message: "Authorization failed.", reason: "Token not found."},
	directory.Forbidden:       {status: http.StatusForbidden, message: "Forbidden.", detailed: true},
	directory.NotFound:        {status: http.StatusNotFound, message: "Not found.", detailed: true},
	directory.Conflict:        {status: http.StatusForbidden, message: "Forbidden.", detailed: true},
	directory.Stale:           {status: http.StatusServiceUnavailable, message: "Service unavailable.", detailed: true, again: true},
	directory.TooLarge:        {status: http.StatusBadRequest, message: "Bad request.", detailed: true},
	directory.TooMany:         {status: http.StatusServiceUnavailable, message: "Service unavailable.", detailed: true, again: true},
	directory.Unavailable:     {status: http.StatusServiceUnavailable, message: "Service unavailable.", detailed: true, again: true},
}

// missing is the message for each thing that a path may name in vain. It says
// it all, so there is no reason beside it.
var missing = map[string]string{
	directory.ErrNoGroup.Code: "Group not found.",
	directory.ErrNoUser.Code:  "User not found.",
}

// retryAfter is how many seconds a client should wait before it resends.
const retryAfter = "1"

// writeError answers with the error object.
func writeError(w http.ResponseWriter, _ *http.Request, err error) {
	a, known := answers[directory.KindOf(err)]
	if !known {
		a = answers[directory.Internal]
	}
	out := errorObject{Error: a.status, Message: a.message, Reason: a.reason}
	if e, ok := errors.AsType[*directory.Error](err); ok && a.detailed {
		out.Reason = e.Detail
		if message, ok := missing[e.Code]; ok && e.Kind == directory.NotFound {
			out.Message, out.Reason = message, ""
		}
	}
	if errors.Is(err, dialect.ErrNoMethod) {
		out.Error, out.Message = http.StatusMethodNotAllowed, "Method not allowed."
	}
	if a.again {
		w.Header().Set("Retry-After", retryAfter)
	}
	wire.WriteJSON(w, out.Error, out)
}
