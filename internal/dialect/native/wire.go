package native

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"roster/internal/directory"
	"roster/internal/wire"
)

// maxBatchBody is how many bytes a batch may carry: 10,000 of the longest names.
const maxBatchBody = 16 << 20

var errNoBody = invalid("body.missing", "", "This request needs a body.")

var errMedia = &directory.Error{Kind: directory.Invalid, Code: "media.unsupported", Field: "Content-Type", Detail: "The body must be application/json."}

// uncoded refuses a body that is compressed, or coded otherwise, instead of reading
// it as what it is not.
func uncoded(r *http.Request) error {
	for _, coding := range r.Header["Content-Encoding"] {
		if !strings.EqualFold(coding, "identity") {
			return invalid("encoding.unsupported", "Content-Encoding", "A body is sent as it is, and not compressed.")
		}
	}
	return nil
}

// read reads a JSON object into v: strictly, so that a misspelt field is an
// error that names it and not a change that quietly did not happen. It returns
// the body as it came.
func read(w http.ResponseWriter, r *http.Request, limit int64, v any) ([]byte, error) {
	if r.ContentLength == 0 {
		return nil, errNoBody
	}
	return readOptional(w, r, limit, v)
}

// readOptional reads as read does, if there is a body.
func readOptional(w http.ResponseWriter, r *http.Request, limit int64, v any) ([]byte, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	if err := uncoded(r); err != nil {
		return nil, err
	}
	if r.ContentLength > 0 && wire.MediaType(r) != "application/json" {
		return nil, errMedia
	}
	body, err := wire.ReadBody(w, r, limit)
	if err != nil || len(body) == 0 {
		return nil, err
	}
	if wire.MediaType(r) != "application/json" {
		return nil, errMedia
	}
	if err := wire.Strict(body, v); err != nil {
		return nil, inner(err)
	}
	if bytes.TrimLeft(body, " \t\r\n")[0] != '{' {
		return nil, invalid("body.type", "", "The body must be a JSON object.") // null decodes into anything
	}
	return body, nil
}

// inner prefers what one of our own types said of its value over the decoder's
// words for that.
func inner(err error) error {
	outer, ok := errors.AsType[*directory.Error](err)
	if !ok {
		return err
	}
	said, ok := errors.AsType[*directory.Error](outer.Err)
	if !ok {
		return err
	}
	return inside(outer.Field, said)
}

// inside says of an error's field where that field stands.
func inside(where string, err error) error {
	e, ok := errors.AsType[*directory.Error](err)
	if !ok || where == "" {
		return err
	}
	said := *e
	said.Field = strings.TrimSuffix(where+"."+e.Field, ".")
	return &said
}

// optional is a field of a merge patch (RFC 7396): left out it stays, null
// takes it away.
type optional[T any] struct {
	given bool
	value T
}

// UnmarshalJSONFrom implements [jsonv2.UnmarshalerFrom].
func (o *optional[T]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	o.given = true
	return jsonv2.UnmarshalDecode(d, &o.value)
}

// pointer is nil if the field was left out.
func (o *optional[T]) pointer() *T {
	if !o.given {
		return nil
	}
	return &o.value
}

// moment is a point in time in a request, as RFC 3339 writes it.
type moment struct{ time.Time }

// UnmarshalJSONFrom implements [jsonv2.UnmarshalerFrom].
func (m *moment) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	raw, err := d.ReadValue()
	if err != nil {
		return err
	}
	m.Time = time.Time{}
	if raw.Kind() == 'n' {
		return nil
	}
	if err := jsonv2.Unmarshal(raw, &m.Time); err != nil {
		return &directory.Error{Kind: directory.Invalid, Code: "time.malformed", Detail: "A moment is written as in 2026-01-02T03:04:05Z.", Err: err}
	}
	m.Time = m.UTC().Truncate(time.Microsecond)
	if !directory.InRange(m.Time) {
		return invalid("time.range", "", "A moment is from 1971 to 9999.")
	}
	return nil
}

// readAttributes reads attributes by dialect: {"native": {"key": value}}. A null
// value stands for none, which in a patch takes the key away.
func readAttributes(raw jsontext.Value) (directory.Attributes, error) {
	if raw == nil {
		return nil, nil
	}
	v, err := wire.Lenient(raw) // strict reading is done; this keeps the digits of numbers
	if err != nil {
		return nil, err
	}
	byDialect, ok := v.(map[string]any)
	if !ok {
		return nil, errAttributes("attributes")
	}
	for dialect, values := range byDialect {
		if _, ok := values.(map[string]any); !ok {
			return nil, errAttributes("attributes." + dialect)
		}
	}
	return directory.Attributes(byDialect), nil
}

func errAttributes(field string) error {
	return invalid("attributes.type", field, "Attributes are an object for each dialect, with a value for each key.")
}

// newAttributes are the attributes of a thing that is made: as in a patch of none.
func newAttributes(raw jsontext.Value) (directory.Attributes, error) {
	given, err := readAttributes(raw)
	var a directory.Attributes
	for dialect := range given {
		for key, value := range given.In(dialect) {
			if value != nil {
				a = a.With(dialect, key, value)
			}
		}
	}
	return a, err
}

// attributesJSON encodes attributes with the digits of their numbers as they
// were given.
func attributesJSON(a directory.Attributes) jsontext.Value {
	if len(a) == 0 {
		return jsontext.Value("{}")
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(a); err != nil {
		panic(err) // they came out of JSON
	}
	return jsontext.Value(b.Bytes())
}

// Header values that every answer shares; they are never changed.
var (
	jsonType = []string{"application/json; charset=utf-8"}
	noStore  = []string{"no-store"}
)

// Header names, as [http.Header] keeps them.
const (
	headerRevision    = "Roster-Revision"
	headerConsistency = "Roster-Consistency"
	headerOnce        = "Idempotency-Key"
	headerReplayed    = "Idempotent-Replayed"
)

// answer is an answer that says no. The same type is what is kept of a
// write for when it is asked for again.
type answer struct {
	Status   int                `json:"status"`
	Location string             `json:"location,omitempty"`
	Version  int64              `json:"version,omitempty"` // as ETag
	InTenant bool               `json:"in_tenant,omitempty"`
	Revision directory.Revision `json:"revision,omitempty"` // of the tenant, if InTenant
	Body     jsontext.Value     `json:"body,omitempty"`
}

// say encodes the body of an answer.
func say(status int, body any) answer {
	a := answer{Status: status}
	if body != nil {
		b, err := wire.Marshal(body)
		if err != nil {
			panic(err) // wire structs hold nothing that cannot be encoded
		}
		a.Body = b
	}
	return a
}

func (a answer) at(rev directory.Revision) answer {
	a.InTenant, a.Revision = true, rev
	return a
}

func (a answer) versioned(version int64) answer {
	a.Version = version
	return a
}

func (a answer) write(w http.ResponseWriter) {
	h := w.Header()
	h["Cache-Control"] = noStore
	if a.InTenant {
		h[headerRevision] = []string{strconv.FormatUint(uint64(a.Revision), 10)}
	}
	if a.Location != "" {
		h["Location"] = []string{a.Location}
	}
	if a.Version != 0 {
		h["Etag"] = []string{`"` + strconv.FormatInt(a.Version, 10) + `"`}
	}
	if a.Body != nil {
		h["Content-Type"] = jsonType
		h["Content-Length"] = []string{strconv.Itoa(len(a.Body))}
	}
	w.WriteHeader(a.Status)
	if a.Body != nil {
		w.Write(a.Body)
	}
}

// list is one page of a list; the next one begins at Next, if there is one.
type list[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
	Total *int64 `json:"total,omitempty"` // if it was asked for
}

// totalled says how long the whole list is, if that was asked for.
func totalled[T any](l list[T], total int64, asked bool) list[T] {
	if asked {
		l.Total = &total
	}
	return l
}

func listOf[T, W any](found directory.Found[T], query [8]byte, encode func(T) W) list[W] {
	next := cursor{found.Next, found.At, found.From, found.Of}
	l := list[W]{Items: make([]W, len(found.Items)), Next: newCursor(next, query)}
	for i, item := range found.Items {
		l.Items[i] = encode(item)
	}
	return l
}

// ifMatch reads the version that a write is bound to: 0 if it is to none. An
// entity tag that no thing of ours ever bears matches nothing, as -1 does.
func ifMatch(r *http.Request) (int64, error) {
	values := r.Header["If-Match"]
	if len(values) == 0 {
		return 0, nil
	}
	tag := strings.TrimSpace(values[0])
	if tag == "*" && len(values) == 1 {
		return 0, nil
	}
	weak := strings.HasPrefix(tag, "W/")
	tag = strings.TrimPrefix(tag, "W/")
	if len(values) > 1 || len(tag) < 2 || tag[0] != '"' || strings.IndexByte(tag[1:], '"') != len(tag)-2 {
		return 0, invalid("precondition.malformed", "If-Match", `If-Match is * or one entity tag, such as "3".`)
	}
	version, err := strconv.ParseInt(tag[1:len(tag)-1], 10, 64)
	if err != nil || version < 1 || weak { // RFC 9110 section 13.1.1: weak tags never match
		return -1, nil
	}
	return version, nil
}

// noPrecondition refuses If-Match where it could not be kept to: leaving it
// out of account would be the opposite of what it asks for.
func noPrecondition(r *http.Request) error {
	if len(r.Header["If-Match"]) > 0 {
		return invalid("precondition.unsupported", "If-Match", "This cannot be made to depend on a version.")
	}
	return nil
}

// freshness reads how new the caller wants an answer to be.
func freshness(r *http.Request) (directory.Freshness, error) {
	values := r.Header[headerConsistency]
	if len(values) == 0 {
		return directory.Freshness{}, nil
	}
	if len(values) == 1 {
		switch text, atLeast := strings.CutPrefix(values[0], "at-least="); {
		case values[0] == "strong":
			return directory.Freshness{}, nil
		case values[0] == "cached":
			return directory.Freshness{Cached: true}, nil
		case atLeast:
			if least, err := strconv.ParseUint(text, 10, 63); err == nil {
				return directory.Freshness{AtLeast: directory.Revision(least)}, nil
			}
		case strings.HasPrefix(values[0], ofThePast):
			return directory.Freshness{}, invalid("consistency.unknown", headerConsistency, "This cannot be asked of the past: checks, lists of memberships, explain and history can.")
		}
	}
	return directory.Freshness{}, invalid("consistency.unknown", headerConsistency, "Roster-Consistency is strong, cached or at-least=<revision>; or, where the past can be asked about, at=<revision or moment>.")
}

// consistent refuses an answer older than the caller asked for. Every answer
// but a cached one holds all that was acknowledged before the request, so a
// revision above it is one that this directory never gave out.
func consistent(r *http.Request, rev directory.Revision) error {
	want, err := freshness(r)
	if err != nil {
		return err
	}
	if rev < want.AtLeast {
		return &directory.Error{
			Kind: directory.Stale, Code: "revision.ahead", Field: headerConsistency,
			Detail: "The tenant is at revision " + strconv.FormatUint(uint64(rev), 10) + ".",
		}
	}
	return nil
}

// strongOnly refuses a revision where there is none to compare with, and on
// writes, where it could be judged only after the write was made.
func strongOnly(r *http.Request) error {
	for _, v := range r.Header[headerConsistency] {
		if v != "strong" {
			return invalid("consistency.unknown", headerConsistency, "This is always strong; cached and at-least are for questions about one tenant.")
		}
	}
	return nil
}
