package syncano

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"roster/internal/wire"
)

// problems says what is wrong with a body, field by field: a string for a
// problem of the field, problems for those inside of it. All that can be told
// without writing are told together (section 2).
type problems map[string]any

// bare is a problem that stands in no list.
type bare string

// err returns the problems as an error, nil if there are none.
func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return &invalidBody{p}
}

// lists puts each problem into a list of its own, as clients expect them.
func (p problems) lists() map[string]any {
	out := make(map[string]any, len(p))
	for field, problem := range p {
		switch problem := problem.(type) {
		case problems:
			out[field] = problem.lists()
		case []problems:
			items := make([]any, len(problem))
			for i, p := range problem {
				items[i] = p.lists()
			}
			out[field] = items
		case string:
			out[field] = []string{problem}
		case bare:
			out[field] = string(problem)
		}
	}
	return out
}

// nonField is where problems stand that are no single field's.
const nonField = "non_field_errors"

// The problems' texts (sections 1.5, 2 and 2.7).
const (
	isRequired = "This field is required."
	isNull     = "This field may not be null."
	isBlank    = "This field may not be blank."
	notString  = "Not a valid string."
	notUnique  = "This field must be unique."
	notValid   = "Enter a valid value."
	noData     = "No data provided"
	badGroup   = "Invalid group specified."
	badObject  = "Invalid value."
)

func tooLong(most int) string {
	return fmt.Sprintf("Ensure this field has no more than %d characters.", most)
}

func notDictionary(v any) string {
	return fmt.Sprintf("Invalid data. Expected a dictionary, but got %s.", typeName(v))
}

func notChoice(v any) string { return fmt.Sprintf("\"%s\" is not a valid choice.", inPython(v)) }

func noSuchKey(given string) string {
	return fmt.Sprintf("Invalid pk \"%s\" - object does not exist.", given)
}

// notKey has two spaces, and calls text unicode, as the reference page does
// (ruling C2).
func notKey(v any) string {
	name := typeName(v)
	if _, ok := v.(string); ok {
		name = "unicode"
	}
	return fmt.Sprintf("Incorrect type.  Expected pk value, received %s.", name)
}

func noSuchName(v any) string { return fmt.Sprintf("Object with name=%s does not exist.", inPython(v)) }

// typeName is what the original, a Python program, calls the type of a value.
func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case string:
		return "str"
	case json.Number:
		if !isInt(v) {
			return "float"
		}
		return "int"
	case []any:
		return "list"
	}
	return "dict"
}

// inPython is how a value reads in the original's messages; lists and objects
// read as JSON.
func inPython(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case string:
		return v
	case json.Number:
		return v.String()
	}
	text, err := wire.Marshal(v)
	if err != nil {
		return typeName(v)
	}
	return string(text)
}

// text reads a string that must not be blank, without the spaces around it. A
// number stands for its digits.
func text(v any, most int) (s, problem string) {
	switch v := v.(type) {
	case nil:
		return "", isNull
	case string:
		s = strings.TrimSpace(v)
	case json.Number:
		s = v.String()
	default:
		return "", notString
	}
	switch {
	case s == "":
		return "", isBlank
	case utf8.RuneCountInString(s) > most:
		return "", tooLong(most)
	}
	return s, ""
}

// requiredText reads a field that must be there as [text] reads it.
func requiredText(fields map[string]any, field string, most int, bad problems) string {
	v, given := fields[field]
	if !given {
		bad[field] = isRequired
		return ""
	}
	s, problem := text(v, most)
	if problem != "" {
		bad[field] = problem
	}
	return s
}

// manner is how a body says things: of something new, of something whole, or of
// a part of it.
type manner uint8

const (
	created manner = iota
	replaced
	patched
)

// optionalText reads a field that a patch may leave out, nil then.
func optionalText(fields map[string]any, field string, most int, how manner, bad problems) *string {
	if _, given := fields[field]; !given && how == patched {
		return nil
	}
	s := requiredText(fields, field, most, bad)
	return &s
}

// blankText reads a field that may be left out, nil then, or be blank.
func blankText(fields map[string]any, field string, most int, bad problems) *string {
	v, given := fields[field]
	if !given {
		return nil
	}
	s, problem := text(v, most)
	if problem == isBlank {
		problem = ""
	}
	if problem != "" {
		bad[field] = problem
	}
	return &s
}

// within puts what is wrong with an object below the field that holds it.
func within(field string, err error) error {
	if e, ok := errors.AsType[*invalidBody](err); ok {
		return problems{field: e.problems}.err()
	}
	return err
}

// key is the id of another object as a body gives it.
type key struct {
	number int64
	given  string
}

// readKey reads an id: an integer, or a string that is one.
func readKey(v any) (k key, problem string) {
	switch v := v.(type) {
	case nil:
		return key{}, isNull
	case string:
		if v == "" {
			return key{}, isNull
		}
		digits := strings.TrimSpace(v)
		if !isInteger(digits) {
			return key{}, notKey(v)
		}
		k = key{number: atMost(digits), given: v}
	case json.Number:
		if typeName(v) != "int" {
			return key{}, notKey(v)
		}
		k = key{number: atMost(v.String()), given: v.String()}
	default:
		return key{}, notKey(v)
	}
	return k, ""
}

// atMost reads an integer; one out of range becomes the range's end, which is no
// thing's id either.
func atMost(digits string) int64 {
	n, _ := strconv.ParseInt(digits, 10, 64)
	return n
}

func isInteger(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	return digits != "" && strings.Trim(digits, "0123456789") == ""
}
