package syncano

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"roster/internal/wire"
)

// selection is which keys of objects a request wants to see (section 3.2). The
// zero selection is all of them.
type selection struct {
	only     []string
	excluded []string
}

func readSelection(query map[string]string) selection {
	return selection{only: names(query["fields"]), excluded: names(query["excluded_fields"])}
}

func names(list string) []string {
	var out []string
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

func (s selection) all() bool { return len(s.only) == 0 && len(s.excluded) == 0 }

// nested are the keys below which there are objects that a selection reaches
// into. What stands below others, such as metadata, is one value.
var nested = []string{"profile", "groups", "group", "user", "owner"}

// of returns what is left of an object: the same keys at every level.
func (s selection) of(object map[string]any) map[string]any {
	out := make(map[string]any, len(object))
	for key, value := range object {
		if len(s.only) > 0 && !slices.Contains(s.only, key) || slices.Contains(s.excluded, key) {
			continue
		}
		if slices.Contains(nested, key) {
			value = s.within(value)
		}
		out[key] = value
	}
	return out
}

func (s selection) within(value any) any {
	switch value := value.(type) {
	case map[string]any:
		return s.of(value)
	case []any:
		out := make([]any, len(value))
		for i, e := range value {
			out[i] = s.within(e)
		}
		return out
	}
	return value
}

// write answers with one object.
func (v *visit) write(w http.ResponseWriter, status int, object any) {
	if v.method == http.MethodGet || v.method == http.MethodHead {
		object = readSelection(v.query).apply(object)
	}
	wire.WriteJSON(w, status, object)
}

// writeList answers with an envelope, whose own keys stay.
func (v *visit) writeList(w http.ResponseWriter, list envelope) {
	s := readSelection(v.query)
	if list.Objects == nil {
		list.Objects = []any{}
	}
	for i, o := range list.Objects {
		list.Objects[i] = s.apply(o)
	}
	wire.WriteJSON(w, http.StatusOK, list)
}

// apply returns what is left of an object that is still to be encoded.
func (s selection) apply(object any) any {
	if s.all() {
		return object
	}
	text, err := wire.Marshal(object)
	if err != nil {
		panic(err) // wire structs hold nothing that cannot be encoded
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var plain map[string]any
	if err := d.Decode(&plain); err != nil {
		return object // no object, so it has no keys
	}
	return s.of(plain)
}

// done answers that there is nothing to say: no body at all, because one client
// looks into whatever there is (section 1.6).
func done(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}
