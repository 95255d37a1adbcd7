package syncano

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"roster/internal/directory"
	"roster/internal/wire"
)

// Limits on a batch (section 2.10).
const (
	maxRequests  = 50
	maxBodyKeys  = 32
	maxBodyKey   = 64
	maxBodyValue = 48 << 10
)

const (
	badPath   = "Invalid path specified."
	otherPath = "Path needs to point to an endpoint within current instance and API version."
)

// asked is one request inside a batch.
type asked struct {
	method string
	url    *url.URL
	body   map[string]any
}

// answered is the answer to it. One without a body has no content.
type answered struct {
	Code    int             `json:"code"`
	Content json.RawMessage `json:"content,omitempty"`
}

// batch answers POST batch/: its requests are carried out one after the other,
// each in a transaction of its own and with the credentials of the whole.
func (d *door) batch(w http.ResponseWriter, r *http.Request, _ directory.Principal, v *visit) error {
	fields, err := v.object(r)
	if err != nil {
		return err
	}
	requests, err := readBatch(fields, v.links)
	if err != nil {
		return err
	}
	out := make([]answered, len(requests))
	for i, a := range requests {
		if err := r.Context().Err(); err != nil {
			return &directory.Error{Kind: directory.Unavailable, Code: "syncano.batch", Err: err}
		}
		out[i] = d.ask(r, v, a)
	}
	wire.WriteJSON(w, http.StatusOK, out)
	return nil
}

// readBatch reads the requests of a batch, and says of each what is wrong with it.
func readBatch(fields map[string]any, l links) ([]asked, error) {
	given, ok := fields["requests"]
	if !ok {
		return nil, problems{"requests": isRequired}.err()
	}
	list, ok := given.([]any)
	switch {
	case given == nil:
		return nil, problems{"requests": isNull}.err()
	case !ok:
		return nil, problems{"requests": problems{nonField: fmt.Sprintf("Expected a list of items but got type \"%s\".", typeName(given))}}.err()
	case len(list) > maxRequests:
		return nil, errLimit(fmt.Sprintf("Max requests per batch exceeded (%d).", maxRequests), nil)
	}
	out := make([]asked, len(list))
	wrong, failed := make([]problems, len(list)), false
	for i, item := range list {
		wrong[i] = problems{}
		in, ok := item.(map[string]any)
		if !ok {
			wrong[i][nonField] = notDictionary(item)
		} else {
			out[i] = readAsked(in, l, wrong[i])
		}
		failed = failed || len(wrong[i]) > 0
	}
	if failed {
		return nil, problems{"requests": wrong}.err()
	}
	return out, nil
}

func readAsked(in map[string]any, l links, bad problems) asked {
	var out asked
	method := requiredText(in, "method", 16, bad)
	if bad["method"] == nil {
		out.method = strings.ToUpper(method)
		if !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, out.method) {
			bad["method"] = notChoice(method)
		}
	}
	path := strings.ToLower(requiredText(in, "path", 4096, bad))
	if bad["path"] == nil {
		var problem string
		if out.url, problem = readPath(path, l); problem != "" {
			bad["path"] = problem
		}
	}
	if body := in["body"]; body != nil && out.method != http.MethodGet && out.method != http.MethodDelete {
		m, ok := body.(map[string]any)
		switch {
		case !ok:
			bad["body"] = problems{nonField: notDictionary(body)}
		case len(m) > maxBodyKeys:
			bad["body"] = fmt.Sprintf("Too many keys (%d).", maxBodyKeys)
		}
		for key, value := range m {
			if len(key) > maxBodyKey {
				bad["body"] = fmt.Sprintf("Ensure keys have no more than %d characters.", maxBodyKey)
			} else if len(inPython(value)) > maxBodyValue {
				bad["body"] = fmt.Sprintf("Ensure values have no more than %d characters.", maxBodyValue)
			}
		}
		out.body = m
	}
	return out
}

// readPath reads where a request goes: below this instance, in this version, and
// not to a batch again.
func readPath(path string, l links) (*url.URL, string) {
	u, err := url.ParseRequestURI(path)
	if err != nil || u.Host != "" || !strings.HasPrefix(path, "/") || !strings.HasSuffix(u.Path, "/") || strings.Contains(u.Path, "//") {
		return nil, badPath
	}
	below, ok := strings.CutPrefix(u.EscapedPath(), l.base())
	if !ok || below == "" {
		return nil, otherPath
	}
	if below == "batch/" {
		return nil, badPath
	}
	return u, ""
}

// ask carries out one request of a batch.
func (d *door) ask(outer *http.Request, v *visit, a asked) answered {
	rec := &recorded{header: http.Header{}}
	inner := &visit{
		w: rec, method: a.method, query: readQuery(a.url.RawQuery), links: links{version: v.links.version}, batch: v,
		body: body{done: true, value: map[string]any{}},
	}
	if a.body != nil {
		inner.body.value = a.body
	}
	r := outer.Clone(context.WithValue(outer.Context(), visitKey{}, inner))
	r.Method, r.URL, r.RequestURI, r.Body, r.ContentLength = a.method, a.url, "", http.NoBody, 0
	r.Header.Del("Accept")
	entry := *wire.EntryOf(outer.Context())
	d.requests.ServeHTTP(rec, r.WithContext(wire.WithEntry(r.Context(), &entry)))
	if rec.status >= http.StatusInternalServerError {
		wire.EntryOf(outer.Context()).Err = entry.Err // the answer does not say it, so the log must
	}
	return answered{Code: rec.status, Content: rec.body.Bytes()}
}

// recorded is an answer that is kept instead of sent.
type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (rec *recorded) Header() http.Header { return rec.header }

func (rec *recorded) WriteHeader(status int) {
	if rec.status == 0 {
		rec.status = status
	}
}

func (rec *recorded) Write(b []byte) (int, error) {
	rec.WriteHeader(http.StatusOK)
	return rec.body.Write(b)
}
