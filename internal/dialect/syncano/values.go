package syncano

import (
	"cmp"
	"encoding/json"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits on values, in characters (section 2.9).
const (
	maxString = 128
	maxText   = 32000
	maxObject = 32768 // of a whole profile's own fields
)

// What is said of values that do not fit their field's type.
const (
	notInteger  = "A valid integer is required."
	notNumber   = "A valid number is required."
	notBoolean  = "Not a valid boolean."
	notArray    = "Not a valid array."
	notObject   = "Not a valid object."
	notGeopoint = "Not a valid geopoint."
	notFile     = "Not a valid file."
	notDatetime = "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm:ss.uuuuuuZ."
	noTarget    = "Target with specified id does not exist."
	tooBig      = "Object maximum size exceeded."
)

// readValue reads a value of a field as it is kept: nil is unset, datetimes and
// files are text, references ids. It says nothing of whether targets exist.
func (f schemaField) readValue(v any) (kept any, problem string) {
	if wrapped, ok := v.(map[string]any); ok && f.wrapped() && wrapped["type"] == f.kind {
		v = wrapped["value"] // as it is shown
	}
	if v == nil || v == "" && f.kind != "string" && f.kind != "text" {
		return nil, ""
	}
	switch f.kind {
	case "string":
		return readPlain(v, maxString)
	case "text":
		return readPlain(v, maxText)
	case "integer":
		return readInteger(v)
	case "float":
		n, ok := number(v)
		if !ok {
			return nil, notNumber
		}
		return n, ""
	case "boolean":
		b, ok := boolean(v)
		if !ok {
			return nil, notBoolean
		}
		return b, ""
	case "datetime":
		s, _ := v.(string)
		return readDatetime(s)
	case "file":
		s, _ := v.(string)
		if u, err := url.Parse(s); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || len(s) > 2048 {
			return nil, notFile
		}
		return s, ""
	case "reference":
		return readInteger(v)
	case "relation":
		return readRelation(v)
	case "object":
		if v, problem = native(v); problem != "" {
			return nil, notObject
		}
		if _, ok := v.(map[string]any); !ok {
			return nil, notObject
		}
		return v, ""
	case "array":
		if v, problem = native(v); problem != "" {
			return nil, notArray
		}
		if _, ok := v.([]any); !ok {
			return nil, notArray
		}
		return v, ""
	}
	return readGeopoint(v)
}

// wrapped reports whether values of the type are shown inside an object that
// names it.
func (f schemaField) wrapped() bool {
	return slices.Contains([]string{"datetime", "file", "reference", "relation"}, f.kind)
}

// show is a kept value as clients see it.
func (f schemaField) show(kept any) any {
	switch {
	case kept == nil:
		return nil
	case f.kind == "geopoint":
		p, _ := kept.(map[string]any)
		return map[string]any{"type": f.kind, "longitude": p["longitude"], "latitude": p["latitude"]}
	case f.kind == "reference" || f.kind == "relation":
		return map[string]any{"type": f.kind, "target": f.target, "value": kept}
	case f.wrapped():
		return map[string]any{"type": f.kind, "value": kept}
	}
	return kept
}

// readPlain reads text that is kept with the spaces around it.
func readPlain(v any, most int) (any, string) {
	s, ok := v.(string)
	if n, isNumber := v.(json.Number); isNumber {
		s, ok = n.String(), true
	}
	if !ok {
		return nil, notString
	}
	if utf8.RuneCountInString(s) > most {
		return nil, tooLong(most)
	}
	return s, ""
}

// readInteger reads an integer of 32 bits, or text that is one.
func readInteger(v any) (any, string) {
	s := ""
	switch v := v.(type) {
	case json.Number:
		s = v.String()
	case string:
		s = strings.TrimSpace(v)
	}
	if !isInteger(s) {
		return nil, notInteger
	}
	n, err := strconv.ParseInt(s, 10, 32)
	switch {
	case err == nil:
		return json.Number(strconv.FormatInt(n, 10)), ""
	case strings.HasPrefix(s, "-"):
		return nil, "Ensure this value is greater than or equal to -2147483648."
	}
	return nil, "Ensure this value is less than or equal to 2147483647."
}

// number reads a number, or text that is one.
func number(v any) (json.Number, bool) {
	s := ""
	switch v := v.(type) {
	case json.Number:
		s = v.String()
	case string:
		s = strings.TrimSpace(v)
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return "", false
	}
	text, err := json.Marshal(f)
	return json.Number(text), err == nil
}

// boolean reads the ways to say yes and no (section 2).
func boolean(v any) (value, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case json.Number:
		return v == "1", v == "1" || v == "0"
	case string:
		switch strings.ToLower(v) {
		case "t", "true", "y", "yes", "on", "1":
			return true, true
		case "f", "false", "n", "no", "off", "0":
			return false, true
		}
	}
	return false, false
}

func readDatetime(s string) (any, string) {
	whole, fraction, ok := strings.Cut(strings.TrimSuffix(s, "Z"), ".")
	t, err := time.Parse("2006-01-02T15:04:05", whole)
	if !ok || err != nil || !strings.HasSuffix(s, "Z") || len(fraction) == 0 || len(fraction) > 6 || strings.Trim(fraction, "0123456789") != "" {
		return nil, notDatetime
	}
	return t.Format("2006-01-02T15:04:05.") + (fraction + "000000")[:6] + "Z", ""
}

// readRelation reads a list of ids, each of which is kept once.
func readRelation(v any) (any, string) {
	v, problem := native(v)
	list, ok := v.([]any)
	if problem != "" || !ok {
		return nil, notArray
	}
	ids := []any{}
	for _, e := range list {
		n, problem := readInteger(e)
		if problem != "" {
			return nil, problem
		}
		if !slices.Contains(ids, n) {
			ids = append(ids, n)
		}
	}
	return ids, ""
}

func readGeopoint(v any) (any, string) {
	v, problem := native(v)
	m, ok := v.(map[string]any)
	if problem != "" || !ok {
		return nil, notGeopoint
	}
	p := map[string]any{}
	for name, most := range map[string]float64{"longitude": 180, "latitude": 90} {
		n, ok := number(m[name])
		if !ok {
			return nil, notGeopoint
		}
		if f, err := n.Float64(); err != nil || math.Abs(f) > most {
			return nil, notGeopoint
		}
		p[name] = n
	}
	return p, ""
}

// alteration is what is to become of a field's value: another value, or one that
// is made out of what is there.
type alteration struct {
	value     any
	operation string // "" to replace
}

// readAlteration reads what a body says of a field. Operations are for what is
// there already (section 2.9).
func (f schemaField) readAlteration(v any, how manner) (alteration, string) {
	if m, ok := v.(map[string]any); ok && len(m) == 1 && how != created {
		for op, operand := range m {
			switch {
			case op == "_increment" && (f.kind == "integer" || f.kind == "float"):
				kept, problem := f.readValue(operand)
				if problem == "" && kept == nil {
					problem = notNumber
				}
				return alteration{kept, op}, problem
			case slices.Contains([]string{"_add", "_remove", "_addunique"}, op) && (f.kind == "array" || f.kind == "relation"):
				kept, problem := f.readValue(operand)
				if problem == "" && kept == nil {
					problem = notArray
				}
				return alteration{kept, op}, problem
			}
		}
	}
	kept, problem := f.readValue(v)
	return alteration{value: kept}, problem
}

// apply is what becomes of a value.
func (a alteration) apply(f schemaField, before any) (after any, problem string) {
	switch a.operation {
	case "":
		return a.value, ""
	case "_increment":
		if f.kind == "integer" {
			return readInteger(json.Number(strconv.FormatInt(integer(before, 0)+integer(a.value, 0), 10)))
		}
		sum, ok := number(json.Number(strconv.FormatFloat(float(before)+float(a.value), 'g', -1, 64)))
		if !ok {
			return nil, notNumber
		}
		return sum, ""
	}
	have, _ := before.([]any)
	operand, _ := a.value.([]any)
	after = slices.Clone(have)
	out := after.([]any)
	for _, e := range operand {
		at := slices.IndexFunc(out, func(other any) bool { return sameJSON(other, e) })
		switch {
		case a.operation == "_remove":
			out = slices.DeleteFunc(out, func(other any) bool { return sameJSON(other, e) })
		case at < 0 || a.operation == "_add" && f.kind == "array":
			out = append(out, e)
		}
	}
	if out == nil {
		out = []any{}
	}
	return out, ""
}

func float(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case json.Number:
		f, _ := v.Float64()
		return f
	}
	return float64(integer(v, 0))
}

// sameJSON compares two values as JSON writes them.
func sameJSON(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// order compares two values of a field: unset ones come first.
func order(a, b any) int {
	if a == nil || b == nil {
		return cmp.Compare(btoi(a != nil), btoi(b != nil))
	}
	switch a := a.(type) {
	case string:
		b, _ := b.(string)
		return cmp.Compare(a, b)
	case bool:
		b, _ := b.(bool)
		return cmp.Compare(btoi(a), btoi(b))
	}
	return cmp.Compare(float(a), float(b))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
