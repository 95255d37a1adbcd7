// Package wire is what all HTTP dialects share: finding the route, reading a
// body within limits, writing JSON, and the one log line at the end of each
// request.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"roster/internal/directory"
)

// MaxBody is how many bytes of body a request may carry unless its dialect says
// otherwise.
const MaxBody = 1 << 20

// MaxDepth is how deep JSON may nest.
const MaxDepth = 64

// ErrTooLarge is returned for a body over the limit.
var ErrTooLarge = &directory.Error{Kind: directory.TooLarge, Code: "body.large", Detail: "The request body is too large."}

// ReadBody reads the whole body, up to limit bytes.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, ErrTooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, ErrTooLarge
	}
	if err != nil {
		return nil, &directory.Error{Kind: directory.Invalid, Code: "body.unread", Detail: "The request body could not be read.", Err: err}
	}
	return body, nil
}

// MediaType returns the request's media type in lower case, without parameters,
// and "" if there is none or it is malformed.
func MediaType(r *http.Request) string {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

func malformed(detail string, err error) error {
	return &directory.Error{Kind: directory.Invalid, Code: "body.malformed", Detail: detail, Err: err}
}

// Strict decodes JSON as the native API reads it: names match exactly, each at
// most once, unknown ones are refused, and nothing follows the value.
func Strict(body []byte, v any) error {
	if err := CheckDepth(body); err != nil {
		return err
	}
	err := jsonv2.Unmarshal(body, v, jsonv2.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	field := func(at jsontext.Pointer) string {
		return strings.ReplaceAll(strings.TrimPrefix(string(at), "/"), "/", ".")
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok && errors.Is(err, jsontext.ErrDuplicateName) {
		return &directory.Error{Kind: directory.Invalid, Code: "field.repeated", Field: field(e.JSONPointer), Detail: "A field is given at most once.", Err: err}
	}
	if e, ok := errors.AsType[*jsonv2.SemanticError](err); ok {
		where := field(e.JSONPointer)
		if errors.Is(err, jsonv2.ErrUnknownName) {
			return &directory.Error{Kind: directory.Invalid, Code: "field.unknown", Field: where, Detail: "There is no field named " + strconv.Quote(where) + " here.", Err: err}
		}
		return &directory.Error{Kind: directory.Invalid, Code: "field.type", Field: where, Detail: "A value has the wrong type.", Err: err}
	}
	return malformed("The body is not valid JSON.", err)
}

// Lenient decodes JSON as legacy dialects read it: numbers keep their digits,
// and the last of several equal names counts. The result is made of map[string]any,
// []any, string, json.Number, bool and nil.
func Lenient(body []byte) (any, error) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if err := CheckDepth(body); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, malformed("The body is not valid JSON.", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, malformed("Something follows the JSON value.", err)
	}
	return v, nil
}

// CheckDepth refuses JSON that nests deeper than [MaxDepth], before anything
// recursive looks at it.
func CheckDepth(body []byte) error {
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return malformed("The JSON nests too deep.", nil)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// WriteJSON writes v with a status. The content type is the caller's to set; it
// is "application/json; charset=utf-8" otherwise.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	body, err := Marshal(v)
	if err != nil {
		// Wire structs hold nothing that cannot be encoded.
		panic(err)
	}
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json; charset=utf-8")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}

// Marshal encodes v as JSON with names in the order of the struct or sorted, nil
// slices as [], and without escaping what HTML would want escaped. Bytes that
// are not UTF-8 become U+FFFD: a path may hold them, and an error may name it.
func Marshal(v any) ([]byte, error) { return jsonv2.Marshal(v, marshalOptions) }

var marshalOptions = jsonv2.JoinOptions(
	jsonv2.Deterministic(true), jsontext.EscapeForHTML(false), jsontext.AllowInvalidUTF8(true),
	// Attributes hold their numbers as they were written; they are numbers.
	jsonv2.WithMarshalers(jsonv2.MarshalToFunc(func(e *jsontext.Encoder, n json.Number) error {
		return e.WriteValue(jsontext.Value(n))
	})),
)

// CutHost returns the address of the client without its port.
func CutHost(remote string) string {
	if i := strings.LastIndexByte(remote, ':'); i > 0 {
		return remote[:i]
	}
	return remote
}
