package native

import (
	"errors"
	"net/http"

	"roster/internal/directory"
	"roster/internal/wire"
)

// problem is an error as RFC 9457 has it, with members of our own: code is the
// stable name of what went wrong, field the input at fault, request the id to
// find it by in the log.
type problem struct {
	Type    string `json:"type"`
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail"`
	Code    string `json:"code"`
	Field   string `json:"field,omitempty"`
	Items   []int  `json:"items,omitempty"` // at fault, of many, by index
	Request string `json:"request"`

	// Applied is what had been done of a file before this went wrong.
	Applied *appliedJSON `json:"applied,omitempty"`
}

const problemURN = "urn:roster:error:"

// manner is how a kind of error is answered: its status, and what is said where
// the error itself says nothing that a client may read.
type manner struct {
	status       int
	code, detail string
}

var manners = map[directory.Kind]manner{
	directory.Internal:        {http.StatusInternalServerError, "internal", "Something went wrong here. The request id is in the log."},
	directory.Invalid:         {http.StatusBadRequest, "invalid", "The request is not valid."},
	directory.Unauthenticated: {http.StatusUnauthorized, "unauthenticated", "This request needs a credential."},
	directory.Forbidden:       {http.StatusForbidden, "forbidden", "This credential may not do that."},
	directory.NotFound:        {http.StatusNotFound, "unknown", "There is no such thing."},
	directory.Conflict:        {http.StatusConflict, "conflict", "Something is in the way."},
	directory.Stale:           {http.StatusPreconditionFailed, "stale", "A precondition does not hold."},
	directory.TooLarge:        {http.StatusRequestEntityTooLarge, "large", "That is more than one request may carry."},
	directory.TooMany:         {http.StatusTooManyRequests, "limited", "Too many attempts; wait before the next."},
	directory.Unavailable:     {http.StatusServiceUnavailable, "unavailable", "Not now. Nothing was written; try again."},
}

// Statuses of Invalid errors that HTTP has a word of its own for.
var invalidStatus = map[string]int{
	"method.unknown":       http.StatusMethodNotAllowed,
	"media.unsupported":    http.StatusUnsupportedMediaType,
	"encoding.unsupported": http.StatusUnsupportedMediaType,
}

// Seconds to wait, where HTTP lets us say so.
const (
	retryUnavailable = "1"
	retryTooMany     = "60"
)

// problemOf says what a client may know of err. The cause is never part of it.
func problemOf(err error) problem {
	kind := directory.KindOf(err)
	m, ok := manners[kind]
	if !ok {
		kind, m = directory.Internal, manners[directory.Internal]
	}
	p := problem{Status: m.status, Code: m.code, Detail: m.detail}
	if e, ok := errors.AsType[*directory.Error](err); ok && kind != directory.Internal {
		if e.Code != "" {
			p.Code = e.Code
		}
		if e.Detail != "" {
			p.Detail = e.Detail
		}
		p.Field, p.Items = e.Field, e.Items
		if e.Kind == directory.Stale && e.Field == "version" {
			p.Field = "If-Match" // where the version stands on this wire
		}
		if e.Code == "revision.ahead" && e.Field == "at" {
			p.Field = headerConsistency
		}
	}
	if status, ok := invalidStatus[p.Code]; ok && kind == directory.Invalid {
		p.Status = status
	}
	p.Type, p.Title = problemURN+p.Code, http.StatusText(p.Status)
	return p
}

func writeError(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if in, ok := errors.AsType[*applyError](err); ok {
		p.Detail, p.Applied = in.say(p.Detail), in.done
	}
	p.Request = wire.EntryOf(r.Context()).Request
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	switch p.Status {
	case http.StatusUnauthorized:
		// RFC 6750 section 3: error is said of a credential that was given.
		challenge := `Bearer realm="roster"`
		if p.Code != "credential.missing" {
			challenge += `, error="invalid_token"`
		}
		h.Set("WWW-Authenticate", challenge)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", retryUnavailable)
	case http.StatusTooManyRequests:
		h.Set("Retry-After", retryTooMany)
	}
	wire.WriteJSON(w, p.Status, p)
}

func invalid(code, field, detail string) error {
	return &directory.Error{Kind: directory.Invalid, Code: code, Field: field, Detail: detail}
}
