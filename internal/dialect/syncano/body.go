package syncano

import (
	"bytes"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"roster/internal/directory"
	"roster/internal/wire"
)

// The media types of bodies (section 1.5).
const (
	mediaJSON      = "application/json"
	mediaForm      = "application/x-www-form-urlencoded"
	mediaMultipart = "multipart/form-data"
	mediaText      = "text/plain"
)

var parses = []string{mediaJSON, mediaForm, mediaMultipart, mediaText}

// How many bytes a body may have: maxBody of whoever's key is known, and
// strangersBody as long as it is not. A key may stand in the body, so that much
// is read and decoded for anybody who asks.
const (
	maxBody       = 15 << 20
	strangersBody = wire.MaxBody
)

// body is a request's body, read and decoded once.
type body struct {
	done  bool
	value any // as [wire.Lenient] makes it; fields of forms are strings
	err   error
}

// read returns what the body says: an empty object if there is none.
func (v *visit) read(r *http.Request) (any, error) {
	if b := &v.body; !b.done {
		limit := int64(strangersBody)
		if v.caller.key != "" {
			limit = maxBody
		}
		b.done = true
		b.value, b.err = decodeBody(v.w, r, limit)
	}
	return v.body.value, v.body.err
}

func decodeBody(w http.ResponseWriter, r *http.Request, limit int64) (any, error) {
	raw, err := wire.ReadBody(w, r, limit)
	if err != nil {
		return nil, err
	}
	if len(raw) == 0 {
		return map[string]any{}, nil
	}
	switch wire.MediaType(r) {
	case mediaJSON, mediaText:
		return decodeJSON(raw)
	case mediaForm:
		return decodeForm(string(raw))
	case mediaMultipart:
		return decodeMultipart(raw, r.Header.Get("Content-Type"))
	}
	return nil, errMedia(r.Header.Get("Content-Type"))
}

func decodeJSON(raw []byte) (any, error) {
	if !utf8.Valid(raw) {
		// The decoder would put a replacement character, and two different
		// wrong names would become one.
		return nil, errJSON("The body is not valid UTF-8.", nil)
	}
	v, err := wire.Lenient(raw)
	if err == nil {
		return v, nil
	}
	return nil, errJSON(detailOf(err), err)
}

// decodeMultipart reads the text parts of a multipart body; files are nothing
// that any field here could take. The cause of a failure is dropped, because it
// may quote the body, and so a password.
func decodeMultipart(raw []byte, contentType string) (any, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return nil, errMultipart
	}
	form, err := multipart.NewReader(bytes.NewReader(raw), params["boundary"]).ReadForm(maxBody)
	if err != nil {
		return nil, errMultipart
	}
	defer form.RemoveAll()
	fields := map[string]any{}
	for name, values := range form.Value {
		if len(values) > 0 {
			if !utf8.ValidString(name + values[len(values)-1]) {
				return nil, errForm
			}
			setField(fields, name, values[len(values)-1])
		}
	}
	return fields, nil
}

// decodeForm reads an urlencoded body.
func decodeForm(raw string) (any, error) {
	fields := map[string]any{}
	for name, value := range pairs(raw) {
		if !utf8.ValidString(name + value) {
			return nil, errForm
		}
		setField(fields, name, value)
	}
	return fields, nil
}

// setField sets a form's field; one named profile.group is the group inside of
// profile.
func setField(fields map[string]any, name, value string) {
	outer, inner, nested := strings.Cut(name, ".")
	if !nested {
		if _, taken := fields[name].(map[string]any); !taken {
			fields[name] = value
		}
		return
	}
	in, ok := fields[outer].(map[string]any)
	if !ok {
		in = map[string]any{}
		fields[outer] = in
	}
	in[inner] = value
}

// readQuery reads a query; of equal names the last counts (section 1.6).
func readQuery(raw string) map[string]string {
	query := map[string]string{}
	for name, value := range pairs(raw) {
		query[name] = value
	}
	return query
}

// pairs yields what an urlencoded text holds, in order. What is no valid escape
// stands for itself, so that a sloppily written "50%" is not lost.
func pairs(raw string) func(yield func(name, value string) bool) {
	return func(yield func(name, value string) bool) {
		for pair := range strings.SplitSeq(raw, "&") {
			if pair == "" {
				continue
			}
			name, value, _ := strings.Cut(pair, "=")
			if !yield(unescape(name), unescape(value)) {
				return
			}
		}
	}
}

func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := url.QueryUnescape(s[i : i+3]); err == nil {
				b.WriteString(c)
				i += 2
				continue
			}
		}
		if s[i] == '+' {
			b.WriteByte(' ')
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// tunnelled returns the method that the body of a text/plain POST asks for, ""
// if the request means what it says (section 1.5). Clients that want no
// preflight send everything this way.
func (v *visit) tunnelled(r *http.Request) string {
	if r.Method != http.MethodPost || wire.MediaType(r) != mediaText {
		return ""
	}
	value, err := v.read(r)
	if err != nil {
		return ""
	}
	fields, _ := value.(map[string]any)
	method, _ := fields["_method"].(string)
	if slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, method) {
		return method
	}
	return ""
}

// object returns the body as an object, or what to say if it is none.
func (v *visit) object(r *http.Request) (map[string]any, error) {
	value, err := v.read(r)
	if err != nil {
		return nil, err
	}
	switch value := value.(type) {
	case map[string]any:
		return value, nil
	case nil:
		return nil, problems{nonField: noData}.err()
	default:
		return nil, problems{nonField: notDictionary(value)}.err()
	}
}

// detailOf returns what may be shown of an error of package wire.
func detailOf(err error) string {
	if e, ok := asError(err); ok {
		return e.Detail
	}
	return answers[directory.Invalid].detail
}
