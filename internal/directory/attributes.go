package directory

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Attributes holds what the core has no field for, as plain values (nil, bool,
// string, number, []any, map[string]any) under one key per dialect, so that
// dialects do not see each other's.
type Attributes map[string]any

// Clone copies the first two levels, which is what an update replaces.
func (a Attributes) Clone() Attributes {
	if a == nil {
		return nil
	}
	b := maps.Clone(a)
	for k, v := range b {
		if m, ok := v.(map[string]any); ok {
			b[k] = maps.Clone(m)
		}
	}
	return b
}

// In returns the attributes of one dialect; reading from the result is safe
// even if there are none.
func (a Attributes) In(dialect string) map[string]any {
	m, _ := a[dialect].(map[string]any)
	return m
}

// Holds reports whether every value of patch is what a has already; a nil value
// is one that is not there, and so is a nil dialect.
func (a Attributes) Holds(patch Attributes) bool {
	for dialect, values := range patch {
		if values == nil && len(a.In(dialect)) > 0 {
			return false
		}
		values, _ := values.(map[string]any)
		for key, value := range values {
			if !sameValue(a.In(dialect)[key], value) {
				return false
			}
		}
	}
	return true
}

// sameValue compares plain values. Numbers may be of any type, because what a
// store gives back has other types than what a caller gives.
func sameValue(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, sameValue)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, sameValue)
	case nil, bool, string:
		return a == b
	case float64:
		n, err := strconv.ParseFloat(fmt.Sprint(b), 64)
		return isNumber(b) && err == nil && n == a
	}
	if _, ok := b.(float64); ok {
		return sameValue(b, a)
	}
	return isNumber(b) && fmt.Sprint(a) == fmt.Sprint(b)
}

// isNumber reports whether a plain value is none of the other sorts.
func isNumber(v any) bool {
	switch v.(type) {
	case nil, bool, string, []any, map[string]any:
		return false
	}
	return true
}

// With returns a copy in which the dialect's key has the value; a nil value
// removes the key.
func (a Attributes) With(dialect, key string, value any) Attributes {
	b := a.Clone()
	if b == nil {
		b = Attributes{}
	}
	m, _ := b[dialect].(map[string]any)
	if m == nil {
		m = map[string]any{}
	}
	if value == nil {
		delete(m, key)
	} else {
		m[key] = value
	}
	if len(m) == 0 {
		delete(b, dialect)
	} else {
		b[dialect] = m
	}
	return b
}

// maxAttributeDepth is how deep an attribute's value may nest.
const maxAttributeDepth = 16

// checkAttributes refuses attributes that are too large or too deep to be kept.
func checkAttributes(a Attributes) error {
	if size := attributeSize(map[string]any(a), 0); size < 0 || size > MaxAttributes {
		return &Error{Kind: Invalid, Code: "attributes.large", Field: "attributes",
			Detail: fmt.Sprintf("The attributes are larger than %d bytes, or nest deeper than %d.", MaxAttributes, maxAttributeDepth)}
	}
	return nil
}

// attributeSize is about how many bytes a value is when encoded, negative if it
// nests too deep.
func attributeSize(v any, depth int) int {
	if depth > maxAttributeDepth {
		return -1 << 40
	}
	size := 2
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			size += len(k) + 4 + attributeSize(e, depth+1)
		}
	case []any:
		for _, e := range v {
			size += 1 + attributeSize(e, depth+1)
		}
	case string:
		size += len(v)
	default:
		size += 8
	}
	return size
}

// plainText is a single value as text; false for a list, an object, or nothing.
func plainText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return fmt.Sprint(v), isNumber(v)
}
