package dronahq

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"roster/internal/directory"
	"roster/internal/wire"
)

// fields are what a request carries beside its path, by names in lower case:
// clients spell them as they like. The zero value holds none.
type fields struct {
	values map[string]any // as JSON decodes, with json.Number; of a form, texts
	rows   map[string]*rows
	keys   []string // every key among the fields that is not empty

	// app is set if the key that was accepted belongs to an app.
	app bool
}

// texts are the values that a form gives under one name, in order.
type texts struct {
	all []string

	// whole is set if the name was spelled as that of an array's element, so
	// that a comma is one of the value's own characters.
	whole bool
}

// rows are the objects of an array that a form spells as a[0][b]: their fields
// by the text of the index, in the order in which the indexes first appear.
type rows struct {
	order []string
	at    map[string]*fields
}

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
		return wrongType(name, "a string")
	}
	if key != "" {
		f.keys = append(f.keys, key)
	}
	return nil
}

func wrongType(name, want string) error {
	return &directory.Error{Kind: directory.Invalid, Code: "field.type", Field: name, Detail: name + " must be " + want + "."}
}

// add takes in a field of a form. The spellings of an array, a, a[] and a[0],
// are one field with several values; a[0][b] is field b of one of its objects.
func (f *fields) add(name, value string) { f.addTo(name, value, true) }

// addTo is add for a request, or for an object in one, which holds no objects.
func (f *fields) addTo(name, value string, objects bool) {
	name = strings.ToLower(name)
	if isKeyName(name) {
		if value != "" {
			f.keys = append(f.keys, value)
		}
		return
	}
	base, index, whole := strings.Cut(name, "[")
	if whole {
		index, rest, closed := strings.Cut(index, "]")
		field, ok := strings.CutPrefix(rest, "[")
		switch {
		case !closed || strings.Trim(index, "0123456789") != "":
			base, whole = name, false // no spelling of an array
		case rest == "":
		case ok && base != "" && objects:
			f.row(base, index).addTo(strings.Replace(field, "]", "", 1), value, false)
			return
		default:
			base, whole = name, false
		}
	}
	if base == "" {
		return
	}
	t, _ := f.values[base].(texts)
	f.put(base, texts{append(t.all, value), t.whole || whole || len(t.all) > 0})
}

// row returns the fields of one object in an array of a form.
func (f *fields) row(name, index string) *fields {
	r := f.rows[name]
	if r == nil {
		if f.rows == nil {
			f.rows = map[string]*rows{}
		}
		r = &rows{at: map[string]*fields{}}
		f.rows[name] = r
	}
	if r.at[index] == nil {
		r.at[index] = &fields{}
		r.order = append(r.order, index)
	}
	return r.at[index]
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
		return v.elements(true)
	case string:
		if strings.TrimSpace(v) == "" {
			return nil
		}
		return []any{v}
	default:
		return []any{v}
	}
}

// names returns the elements of an array of texts that are not blank. A number stands for its digits. A comma parts the values
// of a form only where it spells no array otherwise, because names have commas.
func (f fields) names(name string) ([]string, error) {
	elements := f.list(name)
	if t, ok := f.values[name].(texts); ok {
		elements = t.elements(!t.whole)
	}
	list := make([]string, 0, len(elements))
	for _, e := range elements {
		text, ok := plain(e)
		if !ok {
			return nil, wrongType(name, "an array of strings")
		}
		if strings.TrimSpace(text) != "" {
			list = append(list, text)
		}
	}
	return list, nil
}

// plain is an element that is a text, or the digits of one that is a number.
func plain(element any) (string, bool) {
	switch e := element.(type) {
	case string:
		return e, true
	case json.Number:
		return e.String(), true
	}
	return "", false
}

// objects returns the elements of an array of objects, each as its own fields.
func (f fields) objects(name string) ([]fields, error) {
	if r := f.rows[name]; r != nil {
		out := make([]fields, len(r.order))
		for i, index := range r.order {
			out[i] = *r.at[index]
		}
		return out, nil
	}
	value := f.values[name]
	if t, ok := value.(texts); ok {
		value = t.json()
	}
	if text, ok := value.(string); ok {
		value = texts{all: []string{text}}.json()
	}
	var list []any
	switch v := value.(type) {
	case nil:
		return nil, nil
	case []any:
		list = v
	default:
		list = []any{v}
	}
	out := make([]fields, len(list))
	for i, e := range list {
		object, ok := e.(map[string]any)
		if !ok {
			return nil, wrongType(name, "an array of objects")
		}
		// In a fixed order, so that of equal names it is always the same that counts.
		for _, key := range slices.Sorted(maps.Keys(object)) {
			out[i].put(strings.ToLower(key), object[key])
		}
	}
	return out, nil
}

// text returns a field that is one text, "" if it is absent, null or no such thing.
func (f fields) text(name string) string {
	value := f.values[name]
	if t, ok := value.(texts); ok {
		return t.all[len(t.all)-1]
	}
	text, _ := plain(value)
	return text
}

// flag reads a field that is true or false; absent is what it is otherwise.
func (f fields) flag(name string, absent bool) (bool, error) {
	if b, ok := f.values[name].(bool); ok {
		return b, nil
	}
	text := strings.ToLower(strings.TrimSpace(f.text(name)))
	switch {
	case text == "true" || text == "1":
		return true, nil
	case text == "false" || text == "0":
		return false, nil
	case text == "" && f.absent(name):
		return absent, nil
	}
	return false, wrongType(name, "true or false")
}

// absent reports whether a field says nothing.
func (f fields) absent(name string) bool {
	switch v := f.values[name].(type) {
	case nil:
		return true
	case string:
		return strings.TrimSpace(v) == ""
	case texts:
		return strings.TrimSpace(v.all[len(v.all)-1]) == ""
	}
	return false
}

// count reads a field that is an integer and not negative, 0 if it is absent.
func (f fields) count(name string) (int64, error) {
	if f.absent(name) {
		return 0, nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(f.text(name)), 10, 64)
	if err != nil || n < 0 {
		return 0, wrongType(name, "an integer that is not negative")
	}
	return n, nil
}

// elements takes apart the spellings of an array inside one value, [3,4] and,
// where commas part values, 3,4.
func (t texts) elements(commas bool) []any {
	var all []any
	for _, text := range t.all {
		if text = strings.TrimSpace(text); strings.HasPrefix(text, "[") {
			if v, err := wire.Lenient([]byte(text)); err == nil {
				all = append(all, v.([]any)...)
				continue
			}
			all = append(all, text) // which is no integer, and will be refused
			continue
		}
		if !commas {
			all = append(all, text)
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

// json reads values that are JSON texts, each an object or an array of them; what
// is something else comes back as it is.
func (t texts) json() any {
	var all []any
	for _, text := range t.all {
		if strings.TrimSpace(text) == "" {
			continue
		}
		v, _ := wire.Lenient([]byte(text))
		switch v := v.(type) {
		case []any:
			all = append(all, v...)
		case map[string]any:
			all = append(all, v)
		default:
			all = append(all, text)
		}
	}
	return all
}

// integer reads an element that is an integer, or the text of one, within 64 bits.
func integer(element any) (int64, bool) {
	text, _ := plain(element)
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	return n, err == nil
}
