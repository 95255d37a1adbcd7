package softwareone

import (
	"encoding/json"
	"time"

	"roster/internal/directory"
)

// bag reads the attributes that the core keeps for this dialect. They were
// written by somebody else, so a value of the wrong type is no value.
type bag map[string]any

// attributes are what the core keeps of a thing for this dialect.
func attributes(a directory.Attributes) bag { return a.In(name) }

func (b bag) text(key string) string {
	switch v := b[key].(type) {
	case string:
		return v
	case json.Number: // such as a post code that was written without quotes
		return v.String()
	}
	return ""
}

// oneOf is the text if it is one of those, or else the first of them.
func (b bag) oneOf(key string, values ...string) string {
	s := b.text(key)
	for _, v := range values {
		if s == v {
			return s
		}
	}
	return values[0]
}

func (b bag) flag(key string) *bool {
	if v, ok := b[key].(bool); ok {
		return &v
	}
	return nil
}

func (b bag) moment(key string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, b.text(key))
	if err != nil {
		return time.Time{}
	}
	return t
}

func (b bag) in(key string) bag {
	m, _ := b[key].(map[string]any)
	return m
}

// texts is a list of texts, nil if there is none.
func (b bag) texts(key string) []string {
	list, ok := b[key].([]any)
	if !ok {
		return nil
	}
	out := make([]string, 0, len(list))
	for _, v := range list {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// objects is a list of objects that have an id; a bare text is an id alone.
func (b bag) objects(key string) []bag {
	list, _ := b[key].([]any)
	var out []bag
	for _, v := range list {
		var o bag
		switch v := v.(type) {
		case string:
			o = bag{"id": v}
		case map[string]any:
			o = v
		}
		if o.text("id") != "" {
			out = append(out, o)
		}
	}
	return out
}
