package dronahq

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"roster/internal/directory"
	"roster/internal/wire"
)

func malformed(detail string, cause error) error {
	return &directory.Error{Kind: directory.Invalid, Code: "body.malformed", Detail: detail, Err: cause}
}

// readFields reads what a request carries beside its path and its headers, in
// any of the encodings that clients send (the dialect's contract, section 1.3).
// query holds the fields of the URL: those of a GET, and of a PUT or DELETE that
// has no body.
func readFields(r *http.Request, query fields) (fields, error) {
	// There is no writer to pass: the door authenticates before it answers.
	body, err := wire.ReadBody(nil, r, wire.MaxBody)
	if err != nil {
		return fields{}, err
	}
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	if len(body) == 0 {
		if r.Method == http.MethodPost {
			return fields{}, nil
		}
		return query, nil
	}
	in, err := decode(r.Header.Get("Content-Type"), body)
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		in.values = query.values // a body there may hold the key and nothing else
	}
	return in, err
}

// decode reads a body that is not empty.
func decode(contentType string, body []byte) (fields, error) {
	if body[0] == '{' {
		// Whatever its label: curl -d calls everything a form.
		return readJSON(body)
	}
	mediaType, params, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
	case mediaType == "application/x-www-form-urlencoded":
		return readForm(string(body))
	case mediaType == "multipart/form-data":
		return readMultipart(body, params["boundary"])
	}
	return fields{}, malformed("The body must be a JSON object or a form.", nil)
}

// readJSON reads an object. It goes from field to field rather than through a
// map, so that no second key can hide behind an equal name; of other fields the
// last counts.
func readJSON(body []byte) (fields, error) {
	if err := wire.CheckDepth(body); err != nil {
		return fields{}, err
	}
	const not = "The body is not valid JSON."
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // a float64 would round large ids and let 1.5 pass
	if _, err := d.Token(); err != nil {
		return fields{}, malformed(not, err)
	}
	var f fields
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return fields{}, malformed(not, err)
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return fields{}, malformed(not, err)
		}
		if err := f.set(name.(string), value); err != nil {
			return fields{}, err
		}
	}
	if _, err := d.Token(); err != nil {
		return fields{}, malformed(not, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fields{}, malformed("Something follows the JSON object.", nil)
	}
	return f, nil
}

// readForm reads URL-encoded fields, of a query or a body. It is not
// [url.ParseQuery], which stops at 10,000 fields: one id each is a form that
// must be accepted.
func readForm(text string) (fields, error) {
	var f fields
	for pair := range strings.SplitSeq(text, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err := errors.Join(err1, err2); err != nil {
			return fields{}, malformed("The form is not URL-encoded.", err)
		}
		f.add(name, value)
	}
	return f, nil
}

// readMultipart reads the parts of a form. The reader's errors quote the body,
// where the key is, so they are not kept.
func readMultipart(body []byte, boundary string) (fields, error) {
	const not = "The body is not a multipart form."
	if boundary == "" {
		return fields{}, malformed(not, nil)
	}
	var f fields
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := parts.NextPart()
		if err == io.EOF { // wrapped, it means that the body was cut off
			return f, nil
		}
		if err != nil {
			return fields{}, malformed(not, nil)
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return fields{}, malformed(not, nil)
		}
		f.add(part.FormName(), string(value))
	}
}
