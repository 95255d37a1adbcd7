package contensis

import (
	"math"
	"strconv"
	"strings"
	"time"

	"roster/internal/directory"
)

// field is what a query compares and sorts by under one name.
type field struct {
	core directory.Field
	kind fieldKind
}

// fieldKind says how the values of a field are written.
type fieldKind uint8

const (
	textField fieldKind = iota
	intField
	boolField
	momentField
	guidField
	suspendedField // true also once the account has expired
	typeField      // of a group
)

// fields are the names that queries know (sections 4.3 and 4.4).
type fields struct {
	users bool
	named map[string]field // by folded name
	q     []directory.Field
}

var userFields = fields{users: true, q: []directory.Field{directory.FieldGivenName, directory.FieldFamilyName, directory.FieldName, directory.FieldEmail}, named: map[string]field{
	"id":                                  {directory.FieldID, guidField},
	"username":                            {core: directory.FieldName},
	"email":                               {core: directory.FieldEmail},
	"firstname":                           {core: directory.FieldGivenName},
	"lastname":                            {core: directory.FieldFamilyName},
	"timezone":                            {core: directory.AttributeField(ownAttributes, attrTimezone)},
	"language":                            {core: directory.AttributeField(ownAttributes, attrLanguage)},
	"avatarurl":                           {core: directory.AttributeField(ownAttributes, attrAvatar)},
	"optoutofnotifications":               {directory.AttributeField(ownAttributes, attrOptOut), boolField},
	"created":                             {directory.FieldCreated, momentField},
	"modified":                            {directory.FieldModified, momentField},
	"expiry":                              {directory.FieldExpires, momentField},
	"lastlogin":                           {directory.FieldLastSuccess, momentField},
	"lastfailedlogin":                     {directory.FieldLastFailure, momentField},
	"passwordchanged":                     {directory.FieldPasswordSet, momentField},
	"status.suspended":                    {directory.FieldSuspended, suspendedField},
	"status.locked":                       {directory.FieldLocked, boolField},
	"status.passwordresetrequired":        {directory.FieldMustChange, boolField},
	"credentials.passwordchangefrequency": {directory.FieldChangeEvery, intField},
	"failedloginattempts":                 {directory.FieldFailures, intField},
	"failedloginattemptssincelastsuccess": {directory.FieldStreak, intField},
	"successfulloginattempts":             {directory.FieldSuccesses, intField},
}}

var groupFields = fields{q: []directory.Field{directory.FieldName}, named: map[string]field{
	"id":          {directory.FieldID, guidField},
	"name":        {core: directory.FieldName},
	"description": {core: directory.FieldDescription},
	"created":     {directory.FieldCreated, momentField},
	"modified":    {directory.FieldModified, momentField},
	"type":        {directory.FieldBuiltIn, typeField},
}}

// find returns the field of a name, in any letter case; what follows "custom."
// is a custom field.
func (f fields) find(name string) (field, bool) {
	folded := directory.FoldName(strings.TrimSpace(name))
	if key, ok := strings.CutPrefix(folded, "custom."); ok {
		return field{core: directory.AttributeField(customAttributes, key)}, key != ""
	}
	found, ok := f.named[folded]
	return found, ok
}

// contains is what q means: any of a few fields contains it (section 4.2).
func (f fields) contains(q string) directory.Filter {
	any := make([]directory.Filter, len(f.q))
	for i, field := range f.q {
		any[i] = directory.Compare(directory.FilterContains, field, q)
	}
	return directory.Or(any...)
}

// order reads names to sort by, each descending if a minus is in front. A name
// that is not known is passed over (section 4.2).
func (f fields) order(names []string) []directory.Order {
	var order []directory.Order
	for _, name := range names {
		name, descending := strings.CutPrefix(strings.TrimSpace(name), "-")
		if found, ok := f.find(strings.TrimPrefix(name, "+")); ok && len(order) < directory.MaxOrder {
			order = append(order, directory.Order{Field: found.core, Descending: descending})
		}
	}
	return order
}

// operand is a value as a query writes it.
type operand struct {
	text string
	null bool
	at   time.Time // of a date that is worked out; zero otherwise
}

// comparison is an operator of either language.
type comparison uint8

const (
	isEqual comparison = iota
	isIn
	isContaining
	isStarting
	isEnding
	isLess
	isAtMost
	isGreater
	isAtLeast
	isBetween
	isFree // holds every word
	isFreeOr
)

var unorderly = map[comparison]directory.FilterOp{
	isLess: directory.FilterLess, isAtMost: directory.FilterAtMost, isGreater: directory.FilterGreater, isAtLeast: directory.FilterAtLeast,
}

// wrongQuery refuses a query that cannot be understood (section 4.4).
func wrongQuery(detail string) error { return malformed("query.malformed", detail) }

// compare makes the filter of one comparison.
func compare(name string, f field, op comparison, values []operand, now time.Time) (directory.Filter, error) {
	switch op {
	case isBetween:
		if len(values) != 2 {
			return directory.Filter{}, wrongQuery("between takes two values.")
		}
		low, err := compare(name, f, isAtLeast, values[:1], now)
		if err != nil {
			return low, err
		}
		high, err := compare(name, f, isAtMost, values[1:], now)
		return directory.And(low, high), err
	case isIn:
		any := make([]directory.Filter, 0, len(values))
		if f.kind == textField || f.kind == guidField || f.kind == intField {
			return f.oneOf(name, values)
		}
		for _, v := range values {
			is, err := compare(name, f, isEqual, []operand{v}, now)
			if err != nil {
				return is, err
			}
			any = append(any, is)
		}
		return directory.Or(any...), nil
	}
	if len(values) != 1 {
		return directory.Filter{}, wrongQuery("An operator takes one value.")
	}
	v := values[0]
	if v.null {
		if op != isEqual {
			return directory.Filter{}, wrongQuery("NULL can only be compared for equality.")
		}
		return directory.Not(f.exists(now)), nil
	}
	switch f.kind {
	case textField:
		return f.compareText(op, v.text), nil
	case guidField:
		if op == isEqual {
			return f.oneOf(name, values)
		}
	case intField:
		if op == isEqual {
			return f.oneOf(name, values)
		}
		if core, ok := unorderly[op]; ok {
			n, ok := whole(v.text)
			if !ok {
				return directory.Filter{}, wrongValue(name, "a whole number")
			}
			return directory.Compare(core, f.core, n), nil
		}
	case boolField, suspendedField:
		b, err := strconv.ParseBool(strings.ToLower(v.text))
		if err != nil {
			return directory.Filter{}, wrongValue(name, "true or false")
		}
		if op == isEqual {
			return f.is(b, now), nil
		}
	case typeField:
		if op == isEqual {
			return typeIs(v.text), nil
		}
	case momentField:
		return f.compareMoment(name, op, v)
	}
	return directory.Filter{}, wrongQuery("The field " + name + " cannot be compared so.")
}

func wrongValue(name, want string) error {
	return wrongQuery("The field " + name + " is compared with " + want + ".")
}

// oneOf makes the filter that a field is one of several values.
func (f field) oneOf(name string, values []operand) (directory.Filter, error) {
	core := make([]any, 0, len(values))
	for _, v := range values {
		switch f.kind {
		case guidField:
			// What is no id is nobody's.
			if guid, ok := parseGUID(v.text); ok {
				core = append(core, guid)
			}
		case intField:
			n, ok := whole(v.text)
			if !ok {
				return directory.Filter{}, wrongValue(name, "a whole number")
			}
			core = append(core, n)
		default:
			core = append(core, v.text) // null is the empty text
		}
	}
	return directory.Equal(f.core, core...), nil
}

// whole reads a whole number, also one written as 5.0.
func whole(text string) (int64, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true
	}
	x, err := strconv.ParseFloat(text, 64)
	return int64(x), err == nil && x == math.Trunc(x) && math.Abs(x) < 1<<53
}

// compareText makes comparisons of text. In what is contained, * is any text and
// ? any character (section 4.3).
func (f field) compareText(op comparison, text string) directory.Filter {
	switch op {
	case isEqual:
		return directory.Equal(f.core, text)
	case isContaining:
		if strings.ContainsAny(text, "*?") {
			return directory.Compare(directory.FilterLike, f.core, "*"+strings.ReplaceAll(text, `\`, `\\`)+"*")
		}
		return directory.Compare(directory.FilterContains, f.core, text)
	case isStarting:
		return directory.Compare(directory.FilterStartsWith, f.core, text)
	case isEnding:
		return directory.Compare(directory.FilterEndsWith, f.core, text)
	case isFree, isFreeOr:
		var words []directory.Filter
		for word := range strings.FieldsSeq(text) {
			words = append(words, directory.Compare(directory.FilterContains, f.core, word))
		}
		if op == isFreeOr {
			return directory.Or(words...)
		}
		return directory.And(words...)
	}
	return directory.Compare(unorderly[op], f.core, text)
}

// compareMoment makes comparisons of dates. Answers show dates to the
// millisecond, so a date that was read there means all of that millisecond, as
// one without a time means its day when it is compared for equality.
func (f field) compareMoment(name string, op comparison, v operand) (directory.Filter, error) {
	at, span := v.at, time.Millisecond
	if at.IsZero() {
		var ok bool
		if at, span, ok = parseMoment(v.text); !ok {
			return directory.Filter{}, wrongValue(name, "a date")
		}
	}
	at = at.Truncate(time.Millisecond)
	from := directory.Compare(directory.FilterAtLeast, f.core, at)
	switch op {
	case isEqual:
		return directory.And(from, directory.Compare(directory.FilterLess, f.core, at.Add(span))), nil
	case isLess:
		return directory.Compare(directory.FilterLess, f.core, at), nil
	case isAtMost:
		return directory.Compare(directory.FilterLess, f.core, at.Add(time.Millisecond)), nil
	case isGreater:
		return directory.Compare(directory.FilterAtLeast, f.core, at.Add(time.Millisecond)), nil
	case isAtLeast:
		return from, nil
	}
	return directory.Filter{}, wrongQuery("The field " + name + " cannot be compared so.")
}

// is makes the filter that a field of truth has a value.
func (f field) is(b bool, now time.Time) directory.Filter {
	is := directory.Equal(f.core, true)
	switch {
	case f.kind == suspendedField:
		is = directory.Or(is, directory.Compare(directory.FilterAtMost, directory.FieldExpires, now))
	case f.core == directory.AttributeField(ownAttributes, attrOptOut):
		is = directory.Equal(f.core, "true")
	}
	if !b {
		return directory.Not(is)
	}
	return is
}

// exists makes the filter that a field has a value.
func (f field) exists(now time.Time) directory.Filter {
	switch f.kind {
	case boolField, suspendedField, typeField:
		return directory.Filter{} // it always has
	}
	return directory.Present(f.core)
}

// typeIs makes the filter that a group is of a type.
func typeIs(kind string) directory.Filter {
	builtIn := directory.Equal(directory.FieldBuiltIn, true)
	external := directory.Equal(directory.AttributeField(ownAttributes, attrType), typeExternal)
	switch strings.ToLower(kind) {
	case typeBuiltIn:
		return builtIn
	case typeExternal:
		return directory.And(directory.Not(builtIn), external)
	case typeOwn:
		return directory.Not(directory.Or(builtIn, external))
	}
	return directory.Or()
}
