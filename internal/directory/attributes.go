package directory

import "maps"

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
