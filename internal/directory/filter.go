package directory

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Limits on filters, so that no list can be asked for that would exhaust the
// server.
const (
	MaxFilterDepth   = 20   // how deep a filter may nest
	MaxFilterClauses = 200  // nodes, comparisons included
	MaxFilterValues  = 1000 // values in all comparisons together
	MaxFilterText    = 1000 // bytes of one value
	MaxOrder         = 8    // fields to sort by
)

// Filter says which users or groups of a list are meant: a tree that dialects
// make from their own language, with [And], [Or], [Not] and the comparisons, and
// that engines compile. The zero Filter means all.
//
// Text is compared without regard to letter case, except external ids. What has
// no value (an empty text, a date that is not set, an attribute that is not
// there) is equal to "" or the zero date, and in no other comparison true; Not
// turns false into true and true into false, there is nothing between.
type Filter struct {
	Op     FilterOp
	Of     []Filter // of And, Or and Not
	Field  Field    // of a comparison
	Values []any    // string, int64, bool, time.Time or [16]byte, as the field has it
}

// FilterOp says what a node of a [Filter] is.
type FilterOp uint8

// The nodes and comparisons. Those of text are for fields of text alone.
const (
	FilterEverything FilterOp = iota
	FilterAnd                 // every one of Of; all if there are none
	FilterOr                  // at least one of Of; nothing if there are none
	FilterNot                 // not the only one of Of
	FilterEqual               // one of Values
	FilterPresent             // has a value
	FilterLess
	FilterAtMost
	FilterGreater
	FilterAtLeast
	FilterContains
	FilterStartsWith
	FilterEndsWith
	FilterLike // a pattern: * is any text, ? any one character, \ takes the next as it is
)

// And means what all the filters mean.
func And(of ...Filter) Filter { return Filter{Op: FilterAnd, Of: of} }

// Or means what any of the filters means.
func Or(of ...Filter) Filter { return Filter{Op: FilterOr, Of: of} }

// Not means what the filter does not.
func Not(f Filter) Filter { return Filter{Op: FilterNot, Of: []Filter{f}} }

// Equal means things of which the field is one of the values.
func Equal(field Field, values ...any) Filter { return compare(FilterEqual, field, values...) }

// Present means things of which the field has a value.
func Present(field Field) Filter { return Filter{Op: FilterPresent, Field: field} }

// Compare means things of which the field compares so with one value.
func Compare(op FilterOp, field Field, value any) Filter { return compare(op, field, value) }

// compare folds text, which engines compare with text that is stored folded.
func compare(op FilterOp, field Field, values ...any) Filter {
	folded := make([]any, len(values))
	for i, v := range values {
		folded[i] = v
		if text, ok := v.(string); ok && !field.exact() {
			folded[i] = FoldName(text)
		}
	}
	return Filter{Op: op, Field: field, Values: folded}
}

// Field names what can be compared and sorted by: one of the fields below, an
// attribute, or an external id.
type Field string

// The fields. Some are of users alone, some of groups alone.
const (
	FieldID            Field = "id"
	FieldNumber        Field = "number"
	FieldCode          Field = "code"
	FieldName          Field = "name"
	FieldVersion       Field = "version"
	FieldCreated       Field = "created"
	FieldModified      Field = "modified"
	FieldEmail         Field = "email"
	FieldEmailVerified Field = "email_verified"
	FieldGivenName     Field = "given_name"
	FieldFamilyName    Field = "family_name"
	FieldDisplayName   Field = "display_name"
	FieldSuspended     Field = "suspended"
	FieldExpires       Field = "expires"
	FieldLocked        Field = "locked"
	FieldMustChange    Field = "must_change_password"
	FieldChangeEvery   Field = "change_password_every"
	FieldLastSuccess   Field = "last_success"
	FieldLastFailure   Field = "last_failure"
	FieldPasswordSet   Field = "password_set"
	FieldSuccesses     Field = "successes"
	FieldFailures      Field = "failures"
	FieldStreak        Field = "streak"
	FieldDescription   Field = "description"
	FieldBuiltIn       Field = "built_in"
)

const (
	attributePrefix = "attributes/"
	externalPrefix  = "external/"
)

// AttributeField is the attribute of that key in a dialect's namespace. Its
// value is compared as text, a number by its digits and true as "true"; keys in
// any letter case are the same. What is no single value (a list, an object) is
// taken as not there.
func AttributeField(namespace, key string) Field {
	return Field(attributePrefix + namespace + "/" + FoldName(key))
}

// ExternalField is what an outside source knows the thing by.
func ExternalField(source string) Field { return Field(externalPrefix + source) }

// Attribute takes an [AttributeField] apart; false if f is none.
func (f Field) Attribute() (namespace, key string, ok bool) {
	rest, ok := strings.CutPrefix(string(f), attributePrefix)
	namespace, key, _ = strings.Cut(rest, "/")
	return namespace, key, ok
}

// External takes an [ExternalField] apart; false if f is none.
func (f Field) External() (source string, ok bool) {
	return strings.CutPrefix(string(f), externalPrefix)
}

func (f Field) exact() bool {
	_, ok := f.External()
	return ok
}

// FieldType is what values a field has.
type FieldType uint8

// The types of field.
const (
	FieldText   FieldType = iota + 1 // string
	FieldInt                         // int64
	FieldBool                        // bool
	FieldMoment                      // time.Time
	FieldUUID                        // [16]byte
)

var fieldsOfBoth = map[Field]FieldType{
	FieldID: FieldUUID, FieldNumber: FieldInt, FieldCode: FieldInt, FieldVersion: FieldInt,
	FieldName: FieldText, FieldCreated: FieldMoment, FieldModified: FieldMoment,
}

var fieldsOfUsers = map[Field]FieldType{
	FieldEmail: FieldText, FieldEmailVerified: FieldBool, FieldGivenName: FieldText, FieldFamilyName: FieldText,
	FieldDisplayName: FieldText, FieldSuspended: FieldBool, FieldExpires: FieldMoment,
	// Of how they sign in; see SignIn.
	FieldLocked: FieldBool, FieldMustChange: FieldBool, FieldChangeEvery: FieldInt, FieldLastSuccess: FieldMoment, FieldLastFailure: FieldMoment,
	FieldPasswordSet: FieldMoment, FieldSuccesses: FieldInt, FieldFailures: FieldInt, FieldStreak: FieldInt,
}

var fieldsOfGroups = map[Field]FieldType{FieldDescription: FieldText, FieldBuiltIn: FieldBool}

// UserField returns the type of a field of users; false if they have no such field.
func UserField(f Field) (FieldType, bool) { return typeOf(f, fieldsOfUsers) }

// GroupField returns the type of a field of groups; false if they have no such field.
func GroupField(f Field) (FieldType, bool) { return typeOf(f, fieldsOfGroups) }

func typeOf(f Field, own map[Field]FieldType) (FieldType, bool) {
	if t, ok := fieldsOfBoth[f]; ok {
		return t, true
	}
	if t, ok := own[f]; ok {
		return t, true
	}
	if namespace, key, ok := f.Attribute(); ok {
		return FieldText, checkSlug("field", strings.ReplaceAll(namespace, "_", "-")) == nil && len(key) <= MaxFilterText
	}
	source, ok := f.External()
	return FieldText, ok && checkSlug("field", source) == nil
}

// takes reports whether a value is one that fields of the type can have.
func (t FieldType) takes(v any) bool {
	switch v.(type) {
	case string:
		return t == FieldText
	case int64:
		return t == FieldInt
	case bool:
		return t == FieldBool
	case time.Time:
		return t == FieldMoment
	case [16]byte:
		return t == FieldUUID
	}
	return false
}

// Order is one field to sort by. What has no value comes first, or last if
// Descending.
type Order struct {
	Field      Field
	Descending bool
}

// checkFilter refuses a filter that is too large, or that no list of things with
// such fields could be asked for.
func checkFilter(f Filter, fieldType func(Field) (FieldType, bool)) error {
	return (&filterCheck{fieldType: fieldType}).check(f, 1)
}

type filterCheck struct {
	fieldType       func(Field) (FieldType, bool)
	clauses, values int
}

func (c *filterCheck) check(f Filter, depth int) error {
	if depth > MaxFilterDepth {
		return invalid("filter.deep", "", "The filter nests deeper than %d.", MaxFilterDepth)
	}
	c.clauses++
	c.values += len(f.Values)
	if c.clauses > MaxFilterClauses || c.values > MaxFilterValues {
		return invalid("filter.large", "", "The filter has more than %d clauses or %d values.", MaxFilterClauses, MaxFilterValues)
	}
	switch f.Op {
	case FilterEverything, FilterAnd, FilterOr, FilterNot:
		if f.Op == FilterNot && len(f.Of) != 1 || f.Op == FilterEverything && len(f.Of) != 0 {
			return invalid("filter.malformed", "", "The filter is malformed.")
		}
		for _, child := range f.Of {
			if err := c.check(child, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return c.comparison(f)
}

func (c *filterCheck) comparison(f Filter) error {
	t, ok := c.fieldType(f.Field)
	if !ok {
		return noField(f.Field)
	}
	want := 1
	switch f.Op {
	case FilterEqual:
		want = len(f.Values)
	case FilterPresent:
		want = 0
	case FilterLess, FilterAtMost, FilterGreater, FilterAtLeast:
		ok = t != FieldUUID && t != FieldBool
	case FilterContains, FilterStartsWith, FilterEndsWith:
		ok = t == FieldText
	case FilterLike:
		ok = t == FieldText && !f.Field.exact()
	default:
		ok = false
	}
	if !ok || len(f.Values) != want {
		return invalid("filter.operator", "", "The field %s cannot be compared so.", f.Field)
	}
	for _, v := range f.Values {
		if !t.takes(v) {
			return invalid("filter.value", "", "The field %s cannot be compared with such a value.", f.Field)
		}
		if text, ok := v.(string); ok && len(text) > MaxFilterText {
			return invalid("filter.long", "", "A value in the filter is longer than %d bytes.", MaxFilterText)
		}
	}
	return nil
}

func noField(f Field) error {
	return invalid("filter.field", "", "There is no field %q to filter or sort by.", string(f))
}

// checkOrder refuses fields that cannot be sorted by.
func checkOrder(order []Order, fieldType func(Field) (FieldType, bool)) error {
	if len(order) > MaxOrder {
		return invalid("order.large", "", "A list is sorted by at most %d fields.", MaxOrder)
	}
	for _, o := range order {
		if _, ok := fieldType(o.Field); !ok {
			return noField(o.Field)
		}
	}
	return nil
}

// SortKey returns the text by whose bytes folded names are sorted for people:
// spaces and punctuation before digits before letters.
func SortKey(folded string) string {
	b := []byte(folded)
	for i, c := range b {
		b[i] = sortBytes[c]
	}
	return string(b)
}

// sortBytes changes the order of ASCII and nothing else: text stays UTF-8.
var sortBytes = func() (table [256]byte) {
	isLetterOrDigit := func(c int) bool {
		return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	}
	for c := range table {
		table[c] = byte(c)
	}
	next := byte(' ')
	for _, alphanumeric := range []bool{false, true} {
		for c := ' '; c < 0x7f; c++ {
			if isLetterOrDigit(int(c)) == alphanumeric {
				table[c] = next
				next++
			}
		}
	}
	return table
}()

// FoldAttributes returns attributes as filters compare them: for each namespace
// its keys, folded, with their values as folded text. Nil if there is nothing to
// compare.
func FoldAttributes(a Attributes) map[string]map[string]string {
	var out map[string]map[string]string
	for namespace := range a {
		values := map[string]string{}
		in := a.In(namespace)
		for _, key := range slices.Sorted(maps.Keys(in)) { // two keys may be one when folded
			if text, ok := plainText(in[key]); ok {
				values[FoldName(key)] = FoldName(text)
			}
		}
		if len(values) > 0 {
			if out == nil {
				out = map[string]map[string]string{}
			}
			out[namespace] = values
		}
	}
	return out
}
