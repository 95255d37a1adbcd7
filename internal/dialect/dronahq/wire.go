package dronahq

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/wire"
)

// assignUserAnswer is the answer of assign_user. Each requested id is in exactly
// one of the lists.
type assignUserAnswer struct {
	GroupID       id.Number `json:"group_id"`
	AssignedUsers []int64   `json:"assigned_users"`
	RemovedUsers  []int64   `json:"removed_users"`
	InvalidUsers  []int64   `json:"invalid_users"`
	FailedUsers   []int64   `json:"failed_users"`
}

// errorObject is the body of every error (the dialect's contract, section 1.5).
type errorObject struct {
	Error   int    `json:"error"` // the status
	Message string `json:"message"`
	Reason  string `json:"reason"`
}

// fields are what a request carries beside its path, by names in lower case:
// clients spell them as they like. The zero value holds none.
type fields struct {
	values map[string]any // as JSON decodes, with json.Number; of a form, texts
	keys   []string       // every key among the fields that is not empty
}

// texts are the values that a form gives under one name, in order.
type texts []string

type fieldsKey struct{}

// fieldsOf returns what authenticate read from the request.
func fieldsOf(r *http.Request) fields {
	f, _ := r.Context().Value(fieldsKey{}).(fields)
	return f
}

func (f *fields) put(name string, value any) {
	if f.values == nil {
		f.values = map[string]any{}
	}
	f.values[name] = value
}

// set takes in a field of a JSON object.
func (f *fields) set(name string, value any) error {
	name = strings.ToLower(name)
	if !isKeyName(name) {
		f.put(name, value)
		return nil
	}
	key, isText := value.(string)
	if !isText && value != nil {
		return &directory.Error{Kind: directory.Invalid, Code: "field.type", Field: name, Detail: name + " must be a string."}
	}
	if key != "" {
		f.keys = append(f.keys, key)
	}
	return nil
}

// add takes in a field of a form. The spellings of an array, a, a[] and a[0],
// are one field with several values.
func (f *fields) add(name, value string) {
	name = strings.ToLower(name)
	if isKeyName(name) {
		if value != "" {
			f.keys = append(f.keys, value)
		}
		return
	}
	if base, index, ok := strings.Cut(name, "["); ok && strings.Trim(index, "0123456789") == "]" {
		name = base
	}
	if name == "" {
		return
	}
	all, _ := f.values[name].(texts)
	f.put(name, append(all, value))
}

// list returns the elements of an array field, unread as yet. One value stands
// for an array of one; null, an empty text and no field at all for an empty array.
func (f fields) list(name string) []any {
	switch v := f.values[name].(type) {
	case nil:
		return nil
	case []any:
		return v
	case texts:
		return v.elements()
	case string:
		if strings.TrimSpace(v) == "" {
			return nil
		}
		return []any{v}
	default:
		return []any{v}
	}
}

// elements takes apart the spellings of an array inside one value: 3,4 and [3,4].
func (t texts) elements() []any {
	var all []any
	for _, text := range t {
		if text = strings.TrimSpace(text); strings.HasPrefix(text, "[") {
			if v, err := wire.Lenient([]byte(text)); err == nil {
				all = append(all, v.([]any)...)
				continue
			}
			all = append(all, text) // which is no integer, and will be refused
			continue
		}
		for one := range strings.SplitSeq(text, ",") {
			if one = strings.TrimSpace(one); one != "" {
				all = append(all, one)
			}
		}
	}
	return all
}

// integer reads an element that is an integer, or the text of one, within 64 bits.
func integer(element any) (int64, bool) {
	var text string
	switch e := element.(type) {
	case json.Number:
		text = e.String()
	case string:
		text = strings.TrimSpace(e)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}
