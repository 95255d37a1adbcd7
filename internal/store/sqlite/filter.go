package sqlite

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/terms"
)

// column is where a field stands. Its expression is never NULL.
type column struct {
	expr string
	sort string // what it is sorted by, if not that
	key  string // the column of an index in which an empty value is NULL
}

// ofSignIn is a column of the row that not every user has.
func ofSignIn(name string) column {
	return column{expr: "coalesce((SELECT s." + name + " FROM signins s WHERE s.tenant = t.tenant AND s.number = t.number), 0)"}
}

// searched is one of the two tables that searches are made in. Its alias is t
// in every statement.
type searched struct {
	noun
	sign    string // of what stands in a group
	columns map[directory.Field]column
	typeOf  func(directory.Field) (directory.FieldType, bool)
}

var searchedUsers = searched{nounUser, "", map[directory.Field]column{
	directory.FieldID:            {expr: "t.id"},
	directory.FieldNumber:        {expr: "t.number"},
	directory.FieldCode:          {expr: "t.code"},
	directory.FieldName:          {expr: "t.name_fold", sort: "t.name_sort"},
	directory.FieldVersion:       {expr: "t.version"},
	directory.FieldCreated:       {expr: "t.created"},
	directory.FieldModified:      {expr: "t.modified"},
	directory.FieldEmail:         {expr: "coalesce(t.email_fold, '')", key: "t.email_fold"},
	directory.FieldEmailVerified: {expr: "t.email_verified"},
	directory.FieldGivenName:     {expr: "t.given_fold"},
	directory.FieldFamilyName:    {expr: "t.family_fold"},
	directory.FieldDisplayName:   {expr: "t.display_fold"},
	directory.FieldSuspended:     {expr: "t.suspended"},
	directory.FieldExpires:       {expr: "t.expires"},
	directory.FieldLocked:        ofSignIn("locked"),
	directory.FieldMustChange:    ofSignIn("must_change"),
	directory.FieldChangeEvery:   ofSignIn("change_every"),
	directory.FieldLastSuccess:   ofSignIn("last_success"),
	directory.FieldLastFailure:   ofSignIn("last_failure"),
	directory.FieldPasswordSet:   ofSignIn("changed"),
	directory.FieldSuccesses:     ofSignIn("successes"),
	directory.FieldFailures:      ofSignIn("failures"),
	directory.FieldStreak:        ofSignIn("streak"),
}, directory.UserField}

var searchedGroups = searched{nounGroup, "-", map[directory.Field]column{
	directory.FieldID:          {expr: "t.id"},
	directory.FieldNumber:      {expr: "t.number"},
	directory.FieldCode:        {expr: "t.code"},
	directory.FieldName:        {expr: "t.name_fold", sort: "t.name_sort"},
	directory.FieldVersion:     {expr: "t.version"},
	directory.FieldCreated:     {expr: "t.created"},
	directory.FieldModified:    {expr: "t.modified"},
	directory.FieldDescription: {expr: "t.description_fold"},
	directory.FieldBuiltIn:     {expr: "t.built_in"},
}, directory.GroupField}

// compiler gathers a condition and what it binds, left to right.
type compiler struct {
	searched
	pk   int64
	args []any
}

func (c *compiler) bind(args ...any) { c.args = append(c.args, args...) }

// filter compiles a filter. Nothing of what it holds becomes part of the text,
// only which fields it compares and how.
func (c *compiler) filter(f directory.Filter) (string, error) {
	switch f.Op {
	case directory.FilterEverything:
		return "1", nil
	case directory.FilterNot:
		inner, err := c.filter(f.Of[0])
		return "NOT (" + inner + ")", err
	case directory.FilterAnd, directory.FilterOr:
		joined, none := " AND ", "1"
		if f.Op == directory.FilterOr {
			joined, none = " OR ", "0"
		}
		if len(f.Of) == 0 {
			return none, nil
		}
		parts := make([]string, len(f.Of))
		for i, child := range f.Of {
			inner, err := c.filter(child)
			if err != nil {
				return "", err
			}
			parts[i] = inner
		}
		return "(" + strings.Join(parts, joined) + ")", nil
	}
	if namespace, key, ok := f.Field.Attribute(); ok {
		return c.attribute(f, namespace, key)
	}
	if source, ok := f.Field.External(); ok {
		return c.external(f, source)
	}
	col, ok := c.columns[f.Field]
	if !ok {
		return "", fmt.Errorf("no column for field %s", f.Field)
	}
	if f.Op == directory.FilterEqual && col.key != "" && !slices.Contains(f.Values, any("")) {
		is, err := c.comparison(f, col.key, "")
		return "(" + col.key + " IS NOT NULL AND " + is + ")", err
	}
	return c.comparison(f, col.expr, col.sort)
}

// attribute compares an attribute, in the text that was folded for it. A thing
// without it has the empty text.
func (c *compiler) attribute(f directory.Filter, namespace, key string) (string, error) {
	c.bind(`$."`+namespace+`"`, key)
	return c.within("json_each(t.attributes_fold, ?) j WHERE j.key = ?", f, "j.value")
}

// external compares what a source knows the thing by. Equality is found by the
// index of such ids.
func (c *compiler) external(f directory.Filter, source string) (string, error) {
	if f.Op == directory.FilterEqual && !slices.Contains(f.Values, any("")) {
		c.bind(c.pk, c.kind, source)
		is, err := c.comparison(f, "x.key", "")
		return "t.number IN (SELECT x.number FROM externals x WHERE x.tenant = ? AND x.kind = ? AND x.source = ? AND " + is + ")", err
	}
	c.bind(source)
	return c.within("json_each(t.externals) j WHERE j.key = ?", f, "j.value")
}

// within compares a value that stands in rows of its own, if it does at all.
func (c *compiler) within(rows string, f directory.Filter, value string) (string, error) {
	bound := slices.Clone(c.args[len(c.args)-strings.Count(rows, "?"):])
	inner, err := c.comparison(f, value, "")
	is := "EXISTS (SELECT 1 FROM " + rows + " AND " + inner + ")"
	if f.Op == directory.FilterEqual && slices.Contains(f.Values, any("")) {
		c.bind(bound...)
		is = "(" + is + " OR NOT EXISTS (SELECT 1 FROM " + rows + "))"
	}
	return is, err
}

// comparison compiles one comparison of an expression; sort, if there is one, is
// what text is ordered by instead.
func (c *compiler) comparison(f directory.Filter, expr, sort string) (string, error) {
	t, _ := c.typeOf(f.Field)
	none := "''"
	if t == directory.FieldMoment {
		none = "0"
	}
	switch f.Op {
	case directory.FilterPresent:
		switch t {
		case directory.FieldText, directory.FieldMoment:
			return expr + " <> " + none, nil
		}
		return "1", nil
	case directory.FilterEqual:
		if len(f.Values) == 1 {
			c.bind(plain(f.Values[0]))
			return expr + " = ?", nil
		}
		list, err := values(t, f.Values)
		if err != nil {
			return "", err
		}
		c.bind(list)
		if t == directory.FieldUUID {
			return expr + " IN (SELECT unhex(value) FROM json_each(?))", nil
		}
		return expr + " IN (SELECT value FROM json_each(?))", nil
	case directory.FilterContains:
		c.bind(f.Values[0])
		return "instr(" + expr + ", ?) > 0", nil
	case directory.FilterStartsWith:
		c.bind(f.Values[0], f.Values[0])
		return "substr(" + expr + ", 1, length(?)) = ?", nil
	case directory.FilterEndsWith:
		c.bind(f.Values[0], f.Values[0], f.Values[0])
		return "(length(" + expr + ") >= length(?) AND substr(" + expr + ", length(" + expr + ") - length(?) + 1) = ?)", nil
	case directory.FilterLike:
		c.bind(terms.Pattern(f.Values[0].(string)))
		return expr + ` LIKE ? ESCAPE '\'`, nil
	}
	op, ok := operators[f.Op]
	if !ok {
		return "", fmt.Errorf("no such comparison: %d", f.Op)
	}
	value := plain(f.Values[0])
	if text, ok := value.(string); ok && sort != "" {
		expr, value = sort, directory.SortKey(text)
	}
	c.bind(value)
	if t == directory.FieldText || t == directory.FieldMoment {
		return "(" + expr + " <> " + none + " AND " + expr + op + "?)", nil
	}
	return expr + op + "?", nil
}

var operators = map[directory.FilterOp]string{
	directory.FilterLess: " < ", directory.FilterAtMost: " <= ", directory.FilterGreater: " > ", directory.FilterAtLeast: " >= ",
}

// plain is a filter's value as columns hold it.
func plain(v any) any {
	switch v := v.(type) {
	case time.Time:
		return micros(v)
	case [16]byte:
		return v[:]
	}
	return v
}

// values renders many values as a JSON array.
func values(t directory.FieldType, list []any) (string, error) {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = plain(v)
		if uuid, ok := out[i].([]byte); ok {
			out[i] = hex.EncodeToString(uuid)
		}
	}
	b, err := json.Marshal(out)
	return string(b), err
}

// scope compiles what a search is narrowed to besides its filter.
func (c *compiler) scope(q directory.Search) string {
	where := ""
	for _, part := range []struct {
		groups []id.Number
		in     string
	}{{q.Within, " IN "}, {q.Without, " NOT IN "}} {
		if part.groups == nil {
			continue
		}
		stands := "e.member > 0"
		if c.kind == kindGroup {
			stands = "e.member < 0"
		}
		where += " AND t.number" + part.in + "(SELECT " + c.sign + "e.member FROM edges e WHERE e.tenant = ? AND e.grp IN (SELECT value FROM json_each(?)) AND " + stands + " AND " + valid + ")"
		at := micros(q.At)
		c.bind(c.pk, integers(part.groups), at, at)
	}
	if q.Within != nil && c.kind == kindUser {
		where += " AND t.suspended = 0 AND (t.expires = 0 OR t.expires > ?)"
		c.bind(micros(q.At))
	}
	if q.Among != nil {
		where += " AND t.number IN (SELECT value FROM json_each(?))"
		c.bind(integers(q.Among))
	}
	return where
}

// sortKeys returns the expressions that a search sorts by, and binds what they
// need each time they are written.
func (c *compiler) sortKeys(order []directory.Order) ([]string, error) {
	keys := make([]string, len(order))
	for i, o := range order {
		if namespace, key, ok := o.Field.Attribute(); ok {
			c.bind(`$."`+namespace+`"`, key)
			keys[i] = "coalesce((SELECT j.value FROM json_each(t.attributes_fold, ?) j WHERE j.key = ?), '')"
			continue
		}
		if source, ok := o.Field.External(); ok {
			c.bind(source)
			keys[i] = "coalesce((SELECT j.value FROM json_each(t.externals) j WHERE j.key = ?), '')"
			continue
		}
		col, ok := c.columns[o.Field]
		if !ok {
			return nil, fmt.Errorf("no column for field %s", o.Field)
		}
		keys[i] = col.expr
		if col.sort != "" {
			keys[i] = col.sort
		}
		if o.Field == directory.FieldID {
			keys[i] = "hex(t.id)"
		}
	}
	return keys, nil
}

// after compiles the condition that a thing comes after a position.
func (c *compiler) after(q directory.Search) (string, error) {
	if q.After == nil {
		return "", nil
	}
	var either []string
	for n := range len(q.Order) + 1 {
		var all []string
		for i := range n {
			keys, err := c.sortKeys(q.Order[i : i+1])
			if err != nil {
				return "", err
			}
			c.bind(q.After.Keys[i])
			all = append(all, keys[0]+" = ?")
		}
		if n < len(q.Order) {
			keys, err := c.sortKeys(q.Order[n : n+1])
			if err != nil {
				return "", err
			}
			c.bind(q.After.Keys[n])
			op := " > ?"
			if q.Order[n].Descending {
				op = " < ?"
			}
			all = append(all, keys[0]+op)
		} else {
			c.bind(int64(q.After.Number))
			all = append(all, "t.number > ?")
		}
		either = append(either, strings.Join(all, " AND "))
	}
	return " AND (" + strings.Join(either, " OR ") + ")", nil
}

// FindUsers implements [directory.Reader].
func (r *reader) FindUsers(q directory.Search) (directory.Hits, error) {
	return r.find(searchedUsers, q)
}

// FindGroups implements [directory.Reader].
func (r *reader) FindGroups(q directory.Search) (directory.Hits, error) {
	return r.find(searchedGroups, q)
}

// find makes a search: one statement for a page, and one to count unless the
// page shows how many there are.
func (r *reader) find(in searched, q directory.Search) (directory.Hits, error) {
	var hits directory.Hits
	c := &compiler{searched: in, pk: r.pk}
	keys, err := c.sortKeys(q.Order)
	if err != nil {
		return hits, err
	}
	start := len(c.args)
	from := " FROM " + in.table + " t WHERE t.tenant = ?"
	c.bind(r.pk)
	from += c.scope(q)
	matches, err := c.filter(q.Filter)
	if err != nil {
		return hits, err
	}
	from += " AND " + matches
	counted := slices.Clone(c.args[start:])
	after, err := c.after(q)
	if err != nil {
		return hits, err
	}
	// Left to itself the planner reads the tenant in the order of the sort rather
	// than sort the few that are meant. A plus keeps it from that.
	plus := ""
	if q.Within != nil || q.Among != nil || c.names(q.Filter) {
		plus = "+"
	}
	query, sorting := "SELECT "+plus+"t.number", ""
	for i, key := range keys {
		query += ", " + plus + key
		sorting += strconv.Itoa(i + 2)
		if q.Order[i].Descending {
			sorting += " DESC"
		}
		sorting += ", "
	}
	query += from + after + " ORDER BY " + sorting + "1 LIMIT ? OFFSET ?"
	c.bind(q.Limit+1, q.Offset)
	var last *directory.Position
	err = r.c.search(r.ctx, func(row scanner) error {
		if len(hits.Numbers) == q.Limit {
			hits.Next = last
			return nil
		}
		at := &directory.Position{Keys: make([]any, len(keys))}
		dest := []any{&at.Number}
		for i := range at.Keys {
			dest = append(dest, &at.Keys[i])
		}
		hits.Numbers, last = append(hits.Numbers, 0), at
		err := row.Scan(dest...)
		hits.Numbers[len(hits.Numbers)-1] = at.Number
		return err
	}, query, c.args...)
	switch {
	case err != nil || !q.Total:
		return hits, err
	case hits.Next == nil && q.After == nil && (q.Offset == 0 || len(hits.Numbers) > 0):
		hits.Total = q.Offset + len(hits.Numbers)
		return hits, nil
	}
	err = r.c.search(r.ctx, func(row scanner) error { return row.Scan(&hits.Total) }, "SELECT count(*)"+from, counted...)
	return hits, err
}

// names reports whether a filter leaves only what is found by an index: whoever
// has one of a few names.
func (c *compiler) names(f directory.Filter) bool {
	switch f.Op {
	case directory.FilterAnd:
		return slices.ContainsFunc(f.Of, c.names)
	case directory.FilterEqual:
		switch f.Field {
		case directory.FieldID, directory.FieldNumber, directory.FieldCode, directory.FieldName, directory.FieldEmail:
			return true
		}
		_, external := f.Field.External()
		return external
	}
	return false
}

// CountMembers implements [directory.Reader].
func (r *reader) CountMembers(groups []id.Number, at time.Time) (map[id.Number]directory.MemberCount, error) {
	counts := make(map[id.Number]directory.MemberCount, len(groups))
	if len(groups) == 0 {
		return counts, nil
	}
	now := micros(at)
	err := r.c.each(r.ctx, func(row scanner) error {
		var group id.Number
		var n directory.MemberCount
		err := row.Scan(&group, &n.Users, &n.Groups)
		counts[group] = n
		return err
	}, `SELECT e.grp, sum(e.member > 0), sum(e.member < 0) FROM edges e
 LEFT JOIN users u ON u.tenant = e.tenant AND u.number = e.member
 WHERE e.tenant = ? AND e.grp IN (SELECT value FROM json_each(?)) AND `+valid+` AND (e.member < 0 OR `+active+`) GROUP BY e.grp`,
		r.pk, integers(groups), now, now, now)
	return counts, err
}
