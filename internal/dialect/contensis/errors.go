package contensis

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"roster/internal/dialect"
	"roster/internal/directory"
	"roster/internal/wire"
)

// statuses are the answers of the API by kind of error (section 2.4, and HTTP
// where that is silent).
var statuses = map[directory.Kind]int{
	directory.Internal:        http.StatusInternalServerError,
	directory.Invalid:         http.StatusBadRequest,
	directory.Unauthenticated: http.StatusUnauthorized,
	directory.Forbidden:       http.StatusForbidden,
	directory.NotFound:        http.StatusNotFound,
	directory.Conflict:        http.StatusConflict,
	directory.Stale:           http.StatusPreconditionFailed,
	directory.TooLarge:        http.StatusRequestEntityTooLarge,
	directory.TooMany:         http.StatusTooManyRequests,
	directory.Unavailable:     http.StatusServiceUnavailable,
}

// The codes of the token endpoint: those of RFC 6749 section 5.2, and the one
// that Contensis has for a wrong name or password (section 1.2).
const (
	invalidRequest    = "invalid_request"
	invalidClient     = "invalid_client"
	invalidGrant      = "invalid_grant"
	unauthorized      = "unauthorized_client"
	unsupportedGrant  = "unsupported_grant_type"
	incorrectPassword = "IncorrectUsernameorPassword"
	serverError       = "server_error"
	unavailable       = "temporarily_unavailable"
)

// tokenStatuses are the answers of the token endpoint by kind of error. A
// refused sign-in is 400, whatever was wrong with it.
var tokenStatuses = map[directory.Kind]struct {
	status int
	code   string
}{
	directory.Internal:        {http.StatusInternalServerError, serverError},
	directory.Invalid:         {http.StatusBadRequest, invalidRequest},
	directory.Unauthenticated: {http.StatusBadRequest, invalidGrant},
	directory.Forbidden:       {http.StatusBadRequest, unauthorized},
	directory.NotFound:        {http.StatusNotFound, invalidRequest},
	directory.Conflict:        {http.StatusConflict, invalidRequest},
	directory.Stale:           {http.StatusPreconditionFailed, invalidRequest},
	directory.TooLarge:        {http.StatusRequestEntityTooLarge, invalidRequest},
	directory.TooMany:         {http.StatusTooManyRequests, invalidGrant},
	directory.Unavailable:     {http.StatusServiceUnavailable, unavailable},
}

// retryAfter is in how many seconds to come back after a 503.
const retryAfter = "1"

// explained is an error with what the Error model's data says of it.
type explained struct {
	err  *directory.Error
	data any
}

func (e *explained) Error() string { return e.err.Error() }
func (e *explained) Unwrap() error { return e.err }

// refused is a sign-in's refusal with the code that clients look at. cause is
// for the log.
func refused(kind directory.Kind, code, detail string, cause error) error {
	return &refusal{code: code, err: &directory.Error{Kind: kind, Code: "token." + code, Detail: detail, Err: cause}}
}

type refusal struct {
	code string
	err  *directory.Error
}

func (e *refusal) Error() string { return e.err.Error() }
func (e *refusal) Unwrap() error { return e.err }

// writeError says what went wrong in the dialect's words.
func writeError(w http.ResponseWriter, r *http.Request, err error) {
	kind, detail := directory.KindOf(err), ""
	if e, ok := errors.AsType[*directory.Error](err); ok {
		detail = strings.ToValidUTF8(e.Detail, "\uFFFD") // it may quote a path
	}
	if kind == directory.Unavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	if underToken(r) {
		writeTokenError(w, r, err, kind, detail)
		return
	}
	status := statuses[kind]
	var body any
	switch {
	case kind == directory.Unauthenticated:
		w.Header().Set("WWW-Authenticate", "Bearer")
		body = denial{"Authorization has been denied for this request."}
	case errors.Is(err, dialect.ErrNoMethod):
		status = http.StatusMethodNotAllowed
		body = errorModel{LogID: logID(r.Context(), err), Message: detail, Type: "error"}
	default:
		body, status = model(r.Context(), err, kind, status, detail)
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(status)
		return
	}
	wire.WriteJSON(w, status, body)
}

// model is the Error model of an error. Input that the directory refused for one
// of its fields is a validation, which clients show from the data (section 2.4).
func model(ctx context.Context, err error, kind directory.Kind, status int, detail string) (errorModel, int) {
	m := errorModel{LogID: logID(ctx, err), Message: detail, Type: "error"}
	if e, ok := errors.AsType[*explained](err); ok {
		m.Data = e.data
	}
	e, _ := errors.AsType[*directory.Error](err)
	switch {
	case kind == directory.Internal:
		m.Message = "There was an error processing the request"
	case kind == directory.Forbidden && e.Code == "grant.missing":
		m.Message = "Only a System Administrator may do this"
	case kind == directory.Forbidden && e.Code == "membership.privileged":
		m.Message = "The group carries rights that you do not hold"
	case kind == directory.Invalid && e.Field != "":
		m.Message = "There are validation errors"
		m.Data = []violation{{Field: e.Field, Message: detail}}
		m.Type = "Validation"
		status = http.StatusUnprocessableEntity
	}
	return m, status
}

// writeTokenError says why a sign-in was refused.
func writeTokenError(w http.ResponseWriter, r *http.Request, err error, kind directory.Kind, detail string) {
	answer := tokenStatuses[kind]
	if e, ok := errors.AsType[*refusal](err); ok {
		answer.code = e.code
	}
	if errors.Is(err, dialect.ErrNoMethod) {
		answer.status = http.StatusMethodNotAllowed
	}
	if kind == directory.Internal {
		detail = ""
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(answer.status)
		return
	}
	forbidCaching(w)
	wire.WriteJSON(w, answer.status, tokenFailure{Code: answer.code, Description: detail})
}

// underToken reports whether a request is for the token endpoint, whose
// failures have a shape of their own, as is one for a path or method it lacks.
func underToken(r *http.Request) bool {
	return len(r.URL.Path) >= len(tokenPath) && strings.EqualFold(r.URL.Path[:len(tokenPath)], tokenPath)
}

// logID returns the GUID by which the log knows a failed request: the request's
// own id if that is a GUID, else a fresh one that is put beside the failure.
func logID(ctx context.Context, err error) string {
	entry := wire.EntryOf(ctx)
	if _, ok := parseGUID(entry.Request); ok && len(entry.Request) == 36 {
		return entry.Request
	}
	fresh := uuid.NewString()
	entry.Err = fmt.Errorf("logId %s: %w", fresh, err)
	return fresh
}
