package softwareone

import (
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"roster/internal/directory"
	"roster/internal/wire"
)

// problem is the body of every refusal (the dialect's contract, section 1.7).
type problem struct {
	Type    string              `json:"type"`
	Title   string              `json:"title"`
	Status  int                 `json:"status"`
	Detail  string              `json:"detail"`
	TraceID string              `json:"traceId"`
	Errors  map[string][]string `json:"errors,omitzero"`
}

// answer is what one kind of error looks like. Titles are compared literally by
// the client's own tests.
type answer struct {
	status  int
	title   string
	section string // of RFC 9110, unless it is a whole URL
}

var answers = map[directory.Kind]answer{
	directory.Internal:        {http.StatusInternalServerError, "Internal Server Error", "15.6.1"},
	directory.Invalid:         {http.StatusBadRequest, "Bad Request", "15.5.1"},
	directory.Unauthenticated: {http.StatusUnauthorized, "Authentication Failed", "15.5.2"},
	directory.Forbidden:       {http.StatusForbidden, "Forbidden", "15.5.4"},
	directory.NotFound:        {http.StatusNotFound, "Not Found", "15.5.5"},
	// 409 is kept for optimistic locks; everything else in the way is a rule.
	directory.Conflict:    {http.StatusBadRequest, "Bad Request", "15.5.1"},
	directory.Stale:       {http.StatusConflict, "Conflict", "15.5.10"},
	directory.TooLarge:    {http.StatusRequestEntityTooLarge, "Content Too Large", "15.5.14"},
	directory.TooMany:     {http.StatusTooManyRequests, "Too Many Requests", "https://tools.ietf.org/html/rfc6585#section-4"},
	directory.Unavailable: {http.StatusServiceUnavailable, "Service Unavailable", "15.6.4"},
}

// byCode are the refusals that HTTP has a status for and the core no kind.
var byCode = map[string]answer{
	"method.unknown": {http.StatusMethodNotAllowed, "Method Not Allowed", "15.5.6"},
	"body.type":      {http.StatusUnsupportedMediaType, "Unsupported Media Type", "15.5.16"},
}

var errBodyType = &directory.Error{Kind: directory.Invalid, Code: "body.type", Detail: "The body must be JSON, and the Content-Type must say so."}

// noEntity is the answer to an id that names nothing the caller can see.
func noEntity(id string) error {
	const most = 100
	id = strings.ToValidUTF8(id, string(utf8.RuneError))
	if runes := []rune(id); len(runes) > most {
		id = string(runes[:most]) + "…"
	}
	return &directory.Error{Kind: directory.NotFound, Code: "entity.unknown", Detail: "Entity for given id " + id + " not found"}
}

// invalidProperty says what is wrong with a property of the body.
func invalidProperty(property, detail string) error {
	return &directory.Error{Kind: directory.Invalid, Code: "property.invalid", Field: property, Detail: detail}
}

// retryAfter is how long, in seconds, a client is asked to wait: the official
// one repeats 429 and 503 at once unless told.
const retryAfter = "1"

// writeError answers an error. Its cause stays here.
func writeError(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*directory.Error](err)
	if !ok {
		e = &directory.Error{Kind: directory.Internal}
	}
	a, ok := byCode[e.Code]
	if !ok {
		if a, ok = answers[e.Kind]; !ok {
			a = answers[directory.Internal]
		}
	}
	body := problem{
		Type: a.section, Title: a.title, Status: a.status,
		Detail: e.Detail, TraceID: wire.EntryOf(r.Context()).Request,
	}
	if !strings.HasPrefix(body.Type, "https:") {
		body.Type = "https://tools.ietf.org/html/rfc9110#section-" + a.section
	}
	switch {
	case a.status == http.StatusInternalServerError:
		body.Detail = "The request failed for a reason of the server's own."
	case e.Field != "":
		body.Errors = map[string][]string{e.Field: {e.Detail}}
		body.Detail = "One or more validation errors occurred."
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	switch a.status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", retryAfter)
	}
	wire.WriteJSON(w, a.status, body)
}
