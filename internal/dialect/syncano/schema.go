package syncano

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Limits on a schema (section 2.9).
const (
	maxFields  = 32
	maxIndexes = 16
)

// schemaField is one field that profiles have beside those that all have.
type schemaField struct {
	name     string
	kind     string
	target   string // of references and relations
	ordered  bool   // lists may be ordered by it
	filtered bool   // lists may be filtered by it
}

// kinds are the types of fields (section 2.9).
var kinds = []string{"string", "text", "integer", "float", "boolean", "datetime", "file", "reference", "object", "array", "geopoint", "relation"}

// reserved are the names that every profile has.
var reserved = []string{
	"id", attrCreated, attrUpdated, attrRevision, "owner", attrOwnerMay, attrGroup, attrGroupMay, attrOtherMay,
	attrChannel, attrRoom, "links", "self", "expected_revision",
}

var fieldName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,63}$`)

const badSchema = "Schema passed in invalid format."

// readSchema reads a schema, native or as text that holds it. kept is how it is
// kept and shown: as it was given, types in lower case.
func readSchema(v any) (schema []schemaField, kept []any, problem string) {
	v, problem = native(v)
	if problem != "" {
		return nil, nil, problem
	}
	list, ok := v.([]any)
	if !ok {
		return nil, nil, badSchema
	}
	if len(list) > maxFields {
		return nil, nil, fmt.Sprintf("Too many fields defined (%d).", maxFields)
	}
	indexes := 0
	kept = []any{}
	for i, item := range list {
		given, ok := item.(map[string]any)
		if !ok {
			return nil, nil, badSchema
		}
		f, shown, problem := readSchemaField(given)
		if problem == "" && slices.ContainsFunc(schema, func(other schemaField) bool { return strings.EqualFold(other.name, f.name) }) {
			problem = fmt.Sprintf("Field \"%s\" defined more than once.", f.name)
		}
		if problem != "" {
			return nil, nil, fmt.Sprintf("Error processing field definition \"%s\" #%d: %s", inPython(given["name"]), i, problem)
		}
		if f.ordered || f.filtered {
			indexes++
		}
		schema, kept = append(schema, f), append(kept, shown)
	}
	if indexes > maxIndexes {
		return nil, nil, fmt.Sprintf("Too many indexed fields defined (%d).", maxIndexes)
	}
	return schema, kept, ""
}

func readSchemaField(given map[string]any) (f schemaField, shown map[string]any, problem string) {
	f.name, _ = given["name"].(string)
	f.kind, _ = given["type"].(string)
	f.kind = strings.ToLower(f.kind)
	switch {
	case f.name == "" || f.kind == "":
		return f, nil, "Field name and type is required."
	case !fieldName.MatchString(f.name):
		return f, nil, fmt.Sprintf("Wrong characters used in field name \"%s\". Allowed characters are: letters, numbers and underscores. Name has to start with a letter.", f.name)
	case slices.Contains(reserved, strings.ToLower(f.name)):
		return f, nil, fmt.Sprintf("Field name \"%s\" is reserved.", f.name)
	case !slices.Contains(kinds, f.kind):
		return f, nil, "Invalid field type value. Possible types: " + strings.Join(kinds, ", ") + "."
	}
	shown = map[string]any{"name": f.name, "type": f.kind}
	for name, flag := range map[string]*bool{"order_index": &f.ordered, "filter_index": &f.filtered, "unique": nil} {
		value, ok := given[name]
		if !ok {
			continue
		}
		b, isBool := value.(bool)
		switch {
		case !isBool:
			return f, nil, fmt.Sprintf("Not a valid boolean in \"%s\".", name)
		case flag == nil && b:
			return f, nil, "Unique fields are not supported."
		case flag != nil:
			*flag = b
		}
		shown[name] = b
	}
	if f.kind == "reference" || f.kind == "relation" {
		target, _ := given["target"].(string)
		f.target = strings.ToLower(target)
		switch {
		case f.target == "":
			return f, nil, "Field target is required."
		case f.target != "self" && f.target != "user" && f.target != profileClass:
			return f, nil, fmt.Sprintf("Target class \"%s\" does not exist.", target)
		}
		shown["target"] = f.target
	}
	return f, shown, ""
}

// native is a value that may come as text that holds JSON, as one client sends
// all that is not plain (section 1.5).
func native(v any) (any, string) {
	switch v := v.(type) {
	case nil:
		return nil, isNull
	case string:
		parsed, err := decodeJSON([]byte(v))
		if err != nil {
			return nil, "Not a valid JSON string."
		}
		return parsed, ""
	}
	return v, ""
}

// isInt reports whether a number has neither fraction nor exponent.
func isInt(n json.Number) bool { return !strings.ContainsAny(n.String(), ".eE") }
