package contensis

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"roster/internal/directory"
)

// parseWhere reads the search of users: an array whose items must all hold
// (section 4.3). How deep JSON may nest was checked when it was read.
func parseWhere(v any, f fields, now time.Time) (directory.Filter, error) {
	items, ok := v.([]any)
	if !ok {
		items = []any{v}
	}
	return (&whereParser{f, now}).all(items)
}

type whereParser struct {
	fields fields
	now    time.Time
}

func (p *whereParser) list(items []any) ([]directory.Filter, error) {
	if len(items) > directory.MaxFilterClauses {
		return nil, wrongQuery("The query has too many conditions.")
	}
	filters := make([]directory.Filter, len(items))
	for i, item := range items {
		var err error
		if filters[i], err = p.item(item); err != nil {
			return nil, err
		}
	}
	return filters, nil
}

func (p *whereParser) all(items []any) (directory.Filter, error) {
	filters, err := p.list(items)
	return directory.And(filters...), err
}

// item reads a condition on a field, or a logical node. What it says more than
// once must all hold.
func (p *whereParser) item(v any) (directory.Filter, error) {
	if _, ok := v.(map[string]any); !ok {
		return directory.Filter{}, wrongQuery("A condition must be an object.")
	}
	o, err := newObject("", v)
	if err != nil {
		return directory.Filter{}, err
	}
	name, on := o.values["field"]
	var filters []directory.Filter
	for _, key := range sortedKeys(o.values) {
		var filter directory.Filter
		switch value := o.values[key]; key {
		case "field", "weight":
			continue
		case "and", "or", "not":
			filter, err = p.logical(key, value)
		default:
			text, ok := name.(string)
			if !on || !ok {
				return filter, wrongQuery("A condition must name a field.")
			}
			found, ok := p.fields.find(text)
			if !ok {
				return filter, wrongQuery("There is no field " + text + " to search by.")
			}
			filter, err = p.condition(text, found, key, value)
		}
		if err != nil {
			return filter, err
		}
		filters = append(filters, filter)
	}
	if len(filters) == 0 {
		return directory.Filter{}, wrongQuery("A condition must have an operator.")
	}
	return directory.And(filters...), nil
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// logical reads a node. What not negates is an object in the documentation and
// an array of one in the JavaScript client.
func (p *whereParser) logical(key string, v any) (directory.Filter, error) {
	items, ok := v.([]any)
	if !ok {
		if key != "not" {
			return directory.Filter{}, wrongQuery(key + " takes an array.")
		}
		items = []any{v}
	}
	filters, err := p.list(items)
	switch {
	case err != nil:
		return directory.Filter{}, err
	case key == "or":
		return directory.Or(filters...), nil
	case key == "and":
		return directory.And(filters...), nil
	}
	return directory.Not(directory.And(filters...)), nil
}

var whereOperators = map[string]comparison{
	"equalto": isEqual, "contains": isContaining, "startswith": isStarting, "endswith": isEnding, "in": isIn, "between": isBetween,
	"greaterthan": isGreater, "greaterthanorequalto": isAtLeast, "lessthan": isLess, "lessthanorequalto": isAtMost,
}

func (p *whereParser) condition(name string, f field, operator string, v any) (directory.Filter, error) {
	switch operator {
	case "exists":
		b, ok := v.(bool)
		if !ok {
			return directory.Filter{}, wrongQuery("exists takes true or false.")
		}
		if exists := f.exists(p.now); b {
			return exists, nil
		} else {
			return directory.Not(exists), nil
		}
	case "freetext":
		return p.freeText(name, f, v)
	}
	op, ok := whereOperators[operator]
	if !ok {
		return directory.Filter{}, wrongQuery("There is no operator " + operator + " in a search of users.")
	}
	values := []any{v}
	if op == isIn || op == isBetween {
		if values, ok = v.([]any); !ok {
			return directory.Filter{}, wrongQuery(operator + " takes an array.")
		}
	}
	operands := make([]operand, len(values))
	for i, v := range values {
		if operands[i], ok = jsonOperand(v); !ok {
			return directory.Filter{}, wrongQuery(operator + " takes a single value, or several.")
		}
	}
	return compare(name, f, op, operands, p.now)
}

// freeText reads a text, or the object that the JavaScript client sends.
func (p *whereParser) freeText(name string, f field, v any) (directory.Filter, error) {
	op := isFree
	if _, ok := v.(map[string]any); ok {
		o, err := newObject("", v)
		if err != nil {
			return directory.Filter{}, err
		}
		if operator, _ := o.values["operator"].(string); strings.EqualFold(operator, "or") {
			op = isFreeOr
		}
		v = o.values["term"]
	}
	text, ok := v.(string)
	if !ok {
		return directory.Filter{}, wrongQuery("freeText takes a text.")
	}
	return compare(name, f, op, []operand{{text: text}}, p.now)
}

func jsonOperand(v any) (operand, bool) {
	switch v := v.(type) {
	case nil:
		return operand{null: true}, true
	case string:
		return operand{text: v}, true
	case json.Number:
		return operand{text: v.String()}, true
	case bool:
		if v {
			return operand{text: "true"}, true
		}
		return operand{text: "false"}, true
	}
	return operand{}, false
}

// parseOrderBy reads an order in any of the forms that clients write: objects,
// texts, or one text (section 4.3).
func parseOrderBy(v any, f fields) ([]directory.Order, error) {
	items, ok := v.([]any)
	if !ok {
		items = []any{v}
	}
	var names []string
	for _, item := range items {
		switch item := item.(type) {
		case string:
			names = append(names, strings.Split(item, ",")...)
		case map[string]any:
			o, err := newObject("", item)
			if err != nil {
				return nil, err
			}
			asc, _ := o.values["asc"].(string)
			desc, _ := o.values["desc"].(string)
			switch {
			case asc != "":
				names = append(names, asc)
			case desc != "":
				names = append(names, "-"+desc)
			default:
				return nil, wrongQuery("An order has the form {\"asc\": field} or {\"desc\": field}.")
			}
		default:
			return nil, wrongQuery("An order is an array of fields.")
		}
	}
	return f.order(names), nil
}
