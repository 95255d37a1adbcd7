package syncano

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"roster/internal/dialect"
	"roster/internal/directory"
	"roster/internal/wire"
)

// detailBody is the body of every error that is not about fields.
type detailBody struct {
	Detail string `json:"detail"`
}

// answer is what is said of one kind of error.
type answer struct {
	status int
	detail string
}

// permissionDenied is the text for everything that a caller may not do.
const permissionDenied = "You do not have permission to perform this action."

// answers are what is said of errors that nobody said anything better about.
// There is no 401, 409 or 412 here: a bad key is 403, a duplicate 400 (sections
// 1.3 and 3.3).
var answers = map[directory.Kind]answer{
	directory.Internal:        {http.StatusInternalServerError, "A server error occurred."},
	directory.Invalid:         {http.StatusBadRequest, "Invalid input."},
	directory.Unauthenticated: {http.StatusForbidden, "No such API Key."},
	directory.Forbidden:       {http.StatusForbidden, permissionDenied},
	directory.NotFound:        {http.StatusNotFound, "Not found."},
	directory.Conflict:        {http.StatusBadRequest, "The request conflicts with what is already there."},
	directory.Stale:           {http.StatusBadRequest, "Revision mismatch."},
	directory.TooLarge:        {http.StatusRequestEntityTooLarge, "Request body is too large."},
	directory.TooMany:         {http.StatusTooManyRequests, "Request was throttled. Expected available in 1 second."},
	directory.Unavailable:     {http.StatusServiceUnavailable, "Service temporarily unavailable, try again later."},
}

// Codes of the errors made here begin with the dialect's name. Their details are
// in its words already, and some have a status of their own.
const ours = "syncano."

var statuses = map[string]int{
	"syncano.accept": http.StatusNotAcceptable,
	"syncano.media":  http.StatusUnsupportedMediaType,
	"syncano.method": http.StatusMethodNotAllowed,
	"syncano.signin": http.StatusUnauthorized,
}

// What is said in more than one place, or by the letter of the contract.
var (
	errNoInstance    = &directory.Error{Kind: directory.NotFound, Code: "syncano.instance", Detail: "Instance was not found."}
	errNoParentUser  = &directory.Error{Kind: directory.NotFound, Code: "syncano.user", Detail: "User was not found."}
	errNoParentGroup = &directory.Error{Kind: directory.NotFound, Code: "syncano.group", Detail: "Group was not found."}
	errNoParentClass = &directory.Error{Kind: directory.NotFound, Code: "syncano.class", Detail: "Class was not found."}
	errNotFound      = &directory.Error{Kind: directory.NotFound, Code: "syncano.object", Detail: answers[directory.NotFound].detail}
	errPage          = &directory.Error{Kind: directory.Invalid, Code: "syncano.page", Detail: "Incorrect page parameter provided."}
	errOrderBy       = &directory.Error{Kind: directory.Invalid, Code: "syncano.order", Detail: "Incorrect order_by parameter provided."}
	errNotAcceptable = &directory.Error{Kind: directory.Invalid, Code: "syncano.accept", Detail: "Could not satisfy the request Accept header."}
	errNoKey         = &directory.Error{Kind: directory.Forbidden, Code: "syncano.key.missing", Detail: permissionDenied}
	errForbidden     = &directory.Error{Kind: directory.Forbidden, Code: "syncano.permission", Detail: permissionDenied}
	errMultipart     = &directory.Error{Kind: directory.Invalid, Code: "syncano.body", Detail: "Multipart form parse error - The body does not fit its content type."}
	errForm          = &directory.Error{Kind: directory.Invalid, Code: "syncano.body", Detail: "Form parse error - The body is not valid UTF-8."}
	errAlready       = &directory.Error{Kind: directory.Conflict, Code: "syncano.membership.present", Detail: "User is already a part of that group."}
)

// errSignIn refuses a sign-in, the only thing that is ever 401 (section 1.3).
func errSignIn(detail string, cause error) error {
	return &directory.Error{Kind: directory.Invalid, Code: "syncano.signin", Detail: detail, Err: cause}
}

func errLimit(detail string, cause error) error {
	return &directory.Error{Kind: directory.Conflict, Code: "syncano.limit", Detail: detail, Err: cause}
}

func errUnknownKey(cause error) error {
	return &directory.Error{Kind: directory.Unauthenticated, Code: "syncano.key", Detail: answers[directory.Unauthenticated].detail, Err: cause}
}

func errMethod(method string) error {
	return &directory.Error{Kind: directory.Invalid, Code: "syncano.method", Detail: fmt.Sprintf("Method \"%s\" not allowed.", method)}
}

func errMedia(contentType string) error {
	contentType = strings.ToValidUTF8(contentType, "\ufffd") // headers may hold any bytes, answers may not
	return &directory.Error{Kind: directory.Invalid, Code: "syncano.media", Detail: fmt.Sprintf("Unsupported media type \"%s\" in request.", contentType)}
}

func errJSON(reason string, cause error) error {
	return &directory.Error{Kind: directory.Invalid, Code: "syncano.body", Detail: "JSON parse error - " + reason, Err: cause}
}

func errGroupLimit(cause error) error {
	return &directory.Error{Kind: directory.Conflict, Code: "syncano.membership.limit", Detail: fmt.Sprintf("User's group count exceeded (%d).", maxGroups), Err: cause}
}

// invalidBody refuses a body for what its fields say.
type invalidBody struct{ problems problems }

// Error names the fields, which is for the log; problems may quote values, and
// somebody may have put a password into the wrong field.
func (e *invalidBody) Error() string {
	return "invalid fields: " + strings.Join(slices.Sorted(maps.Keys(e.problems)), ", ")
}

// Unwrap gives the error its kind.
func (e *invalidBody) Unwrap() error {
	return &directory.Error{Kind: directory.Invalid, Code: "syncano.fields"}
}

func asError(err error) (*directory.Error, bool) { return errors.AsType[*directory.Error](err) }

// writeError implements [dialect.Door.WriteError].
func writeError(w http.ResponseWriter, r *http.Request, err error) {
	if e, ok := errors.AsType[*invalidBody](err); ok {
		wire.WriteJSON(w, http.StatusBadRequest, e.problems.lists())
		return
	}
	kind, code := directory.KindOf(err), directory.CodeOf(err)
	if code == dialect.ErrNoMethod.Code {
		err = errMethod(r.Method)
		code = directory.CodeOf(err)
	}
	a := answers[kind]
	if e, ok := asError(err); ok && strings.HasPrefix(code, ours) {
		a.detail = e.Detail
		if status, ok := statuses[code]; ok {
			a.status = status
		}
	}
	if kind == directory.TooMany || kind == directory.Unavailable {
		// A number, always: one client multiplies it (section 3.6).
		w.Header().Set("Retry-After", "1")
	}
	wire.WriteJSON(w, a.status, detailBody{a.detail})
}
