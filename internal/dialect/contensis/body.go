package contensis

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"roster/internal/directory"
)

// object is a JSON object whose names are compared in any letter case, as its
// clients write them (section 0.9). There is this one way to look at a name, so
// none is seen by one part of the program and missed by another.
type object struct {
	path   string // where it stands, "credentials." for one inside
	values map[string]any
}

// readObject reads a body that must be an object.
func readObject(w http.ResponseWriter, r *http.Request) (object, error) {
	v, err := readJSON(w, r)
	if err != nil {
		return object{}, err
	}
	return newObject("", v)
}

func newObject(path string, v any) (object, error) {
	m, ok := v.(map[string]any)
	if !ok {
		if path != "" {
			return object{}, wrongType(path[:len(path)-1], "an object")
		}
		return object{}, malformed("body.shape", "The body must be a JSON object.")
	}
	o := object{path: path, values: make(map[string]any, len(m))}
	for key, v := range m {
		folded := directory.FoldName(key)
		if _, twice := o.values[folded]; twice {
			return object{}, malformed("body.repeated", fmt.Sprintf("The name %q is given twice.", key))
		}
		o.values[folded] = v
	}
	return o, nil
}

func (o object) get(key string) (any, bool) {
	v, ok := o.values[directory.FoldName(key)]
	return v, ok
}

func wrongType(field, want string) error {
	return &directory.Error{Kind: directory.Invalid, Code: "field.type", Field: field, Detail: "This must be " + want + "."}
}

// text returns a text, nil if the name is not there; null is the empty text.
func (o object) text(key string) (*string, error) {
	v, ok := o.get(key)
	if !ok {
		return nil, nil
	}
	s, isText := v.(string)
	if !isText && v != nil {
		return nil, wrongType(o.path+key, "a string")
	}
	return &s, nil
}

// truth returns a truth, nil if the name is not there or null.
func (o object) truth(key string) (*bool, error) {
	v, _ := o.get(key)
	if v == nil {
		return nil, nil
	}
	b, ok := v.(bool)
	if !ok {
		return nil, wrongType(o.path+key, "true or false")
	}
	return &b, nil
}

// integer returns a whole number, nil if the name is not there or null.
func (o object) integer(key string) (*int, error) {
	v, _ := o.get(key)
	if v == nil {
		return nil, nil
	}
	number, ok := v.(json.Number)
	n, err := strconv.Atoi(number.String())
	if !ok || err != nil {
		return nil, wrongType(o.path+key, "a whole number")
	}
	return &n, nil
}

// moment returns a date, nil if the name is not there; null is no date.
func (o object) moment(key string) (*time.Time, error) {
	s, err := o.text(key)
	if s == nil || err != nil {
		return nil, err
	}
	if *s == "" {
		return &time.Time{}, nil
	}
	at, _, ok := parseMoment(*s)
	if !ok {
		return nil, wrongType(o.path+key, "a date such as 2029-09-03T09:51:20Z")
	}
	return &at, nil
}

// object returns an object inside, without names if it is not there or null.
func (o object) object(key string) (object, error) {
	v, _ := o.get(key)
	if v == nil {
		return object{}, nil
	}
	return newObject(o.path+key+".", v)
}

// domains returns the e-mail domains whose users join a group, nil if the name is
// not there; null is none.
func (o object) domains(key string) (*directory.Joins, error) {
	v, ok := o.get(key)
	if !ok {
		return nil, nil
	}
	list, isList := v.([]any)
	if !isList && v != nil {
		return nil, wrongType(o.path+key, "an array of domains")
	}
	joins := &directory.Joins{}
	for _, item := range list {
		text, ok := item.(string)
		if !ok {
			return nil, wrongType(o.path+key, "an array of domains")
		}
		joins.Domains = append(joins.Domains, text)
	}
	return joins, nil
}

// guid returns an id, zero if the name is not there, null or empty.
func (o object) guid(key string) (guid [16]byte, err error) {
	s, err := o.text(key)
	if s == nil || *s == "" || err != nil {
		return guid, err
	}
	guid, ok := parseGUID(*s)
	if !ok {
		return guid, wrongType(o.path+key, "a GUID")
	}
	return guid, nil
}

// patch returns what an update makes of attributes: of ours the named ones, and
// the custom fields key by key. Null removes; custom as a whole, too.
func (o object) patch(own ...string) (directory.Attributes, error) {
	a := directory.Attributes{}
	values := map[string]any{}
	for _, key := range own {
		var v any
		if key == attrOptOut {
			b, err := o.truth(key)
			if err != nil {
				return nil, err
			}
			if b == nil {
				continue
			}
			if *b {
				v = true
			}
		} else {
			s, err := o.text(key)
			if err != nil {
				return nil, err
			}
			if s == nil {
				continue
			}
			if *s != "" {
				v = *s
			}
		}
		values[key] = v
	}
	if len(values) > 0 {
		a[ownAttributes] = values
	}
	switch custom, given := o.get("custom"); custom := custom.(type) {
	case map[string]any:
		a[customAttributes] = custom
	case nil:
		if given {
			a[customAttributes] = nil
		}
	default:
		return nil, wrongType("custom", "an object")
	}
	return a, nil
}

// kept is a patch for something new: without what it would remove.
func kept(a directory.Attributes) directory.Attributes {
	var out directory.Attributes
	for namespace := range a {
		for key, v := range a.In(namespace) {
			if v != nil {
				out = out.With(namespace, key, v)
			}
		}
	}
	return out
}

// parseMoment reads a date as clients write it, and says how long what it names
// lasts: a day, a minute, a second, a millisecond. Without a zone it is UTC.
func parseMoment(s string) (at time.Time, span time.Duration, ok bool) {
	for _, form := range momentForms {
		if t, err := time.Parse(form.layout, s); err == nil {
			if !directory.InRange(t) {
				return at, 0, false
			}
			return t.UTC(), form.span, true
		}
	}
	return at, 0, false
}

var momentForms = []struct {
	layout string
	span   time.Duration
}{
	{"2006-01-02T15:04:05.999999999Z07:00", time.Millisecond},
	{"2006-01-02T15:04:05.999999999", time.Millisecond},
	{"2006-01-02", 24 * time.Hour},
	{"2006/01/02", 24 * time.Hour},
	{"2006-01-02 15:04:05.999999999", time.Millisecond},
	{"2006/01/02 15:04:05.999999999", time.Millisecond},
	{"2006-01-02 15:04", time.Minute},
	{"2006/01/02 15:04", time.Minute},
	{"2006-01-02T15:04Z07:00", time.Minute},
	{"2006-01-02T15:04", time.Minute},
}
