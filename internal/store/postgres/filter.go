package postgres

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

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
	return column{expr: "coalesce((SELECT s." + name + " FROM signins s WHERE s.tenant = $1 AND s.number = t.number), 0)"}
}

func truthOfSignIn(name string) column {
	expr := "coalesce((SELECT s." + name + " FROM signins s WHERE s.tenant = $1 AND s.number = t.number), false)"
	return column{expr: expr, sort: expr + "::int::bigint"}
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
	directory.FieldID:            {expr: "t.id", sort: "upper(replace(t.id::text, '-', ''))"},
	directory.FieldNumber:        {expr: "t.number"},
	directory.FieldCode:          {expr: "t.code"},
	directory.FieldName:          {expr: "t.name_fold", sort: "t.name_sort"},
	directory.FieldVersion:       {expr: "t.version"},
	directory.FieldCreated:       {expr: "t.created"},
	directory.FieldModified:      {expr: "t.modified"},
	directory.FieldEmail:         {expr: "coalesce(t.email_fold, '')", key: "t.email_fold"},
	directory.FieldEmailVerified: {expr: "t.email_verified", sort: "t.email_verified::int::bigint"},
	directory.FieldGivenName:     {expr: "t.given_fold"},
	directory.FieldFamilyName:    {expr: "t.family_fold"},
	directory.FieldDisplayName:   {expr: "t.display_fold"},
	directory.FieldSuspended:     {expr: "t.suspended", sort: "t.suspended::int::bigint"},
	directory.FieldExpires:       {expr: "t.expires"},
	directory.FieldLocked:        truthOfSignIn("locked"),
	directory.FieldMustChange:    truthOfSignIn("must_change"),
	directory.FieldChangeEvery:   ofSignIn("change_every"),
	directory.FieldLastSuccess:   ofSignIn("last_success"),
	directory.FieldLastFailure:   ofSignIn("last_failure"),
	directory.FieldPasswordSet:   ofSignIn("changed"),
	directory.FieldSuccesses:     ofSignIn("successes"),
	directory.FieldFailures:      ofSignIn("failures"),
	directory.FieldStreak:        ofSignIn("streak"),
}, directory.UserField}

var searchedGroups = searched{nounGroup, "-", map[directory.Field]column{
	directory.FieldID:          {expr: "t.id", sort: "upper(replace(t.id::text, '-', ''))"},
	directory.FieldNumber:      {expr: "t.number"},
	directory.FieldCode:        {expr: "t.code"},
	directory.FieldName:        {expr: "t.name_fold", sort: "t.name_sort"},
	directory.FieldVersion:     {expr: "t.version"},
	directory.FieldCreated:     {expr: "t.created"},
	directory.FieldModified:    {expr: "t.modified"},
	directory.FieldDescription: {expr: "t.description_fold"},
	directory.FieldBuiltIn:     {expr: "t.built_in", sort: "t.built_in::int::bigint"},
}, directory.GroupField}

// compiler gathers what a search binds; the tenant's pk is $1.
type compiler struct {
	searched
	bindings
}

// filter compiles a filter. Nothing of what it holds becomes part of the text,
// only which fields it compares and how.
func (c *compiler) filter(f directory.Filter) (string, error) {
	switch f.Op {
	case directory.FilterEverything:
		return "true", nil
	case directory.FilterNot:
		inner, err := c.filter(f.Of[0])
		return "NOT (" + inner + ")", err
	case directory.FilterAnd, directory.FilterOr:
		joined, none := " AND ", "true"
		if f.Op == directory.FilterOr {
			joined, none = " OR ", "false"
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
	empty := f.Op == directory.FilterEqual && slices.Contains(f.Values, any(""))
	if source, ok := f.Field.External(); ok && f.Op == directory.FilterEqual && !empty {
		kind, from := c.add(c.kind), c.add(source)
		is, err := c.comparison(f, "x.key", "")
		return "t.number IN (SELECT x.number FROM externals x WHERE x.tenant = $1 AND x.kind = " + kind + " AND x.source = " + from + " AND " + is + ")", err
	}
	if value, ok := c.inner(f.Field); ok {
		if f.Op == directory.FilterEqual {
			return c.comparison(f, "coalesce("+value+", '')", "")
		}
		is, err := c.comparison(f, value, "")
		return "coalesce(" + is + ", false)", err
	}
	col, ok := c.columns[f.Field]
	if !ok {
		return "", fmt.Errorf("no column for field %s", f.Field)
	}
	if f.Op == directory.FilterEqual && col.key != "" && !empty {
		is, err := c.comparison(f, col.key, "")
		return "(" + col.key + " IS NOT NULL AND " + is + ")", err
	}
	return c.comparison(f, col.expr, col.sort)
}

// inner is the expression of a field that stands inside a column, NULL for a
// thing without it; false for a field that is a column.
func (c *compiler) inner(f directory.Field) (string, bool) {
	if namespace, key, ok := f.Attribute(); ok {
		return "(t.attributes_fold #>> ARRAY[" + c.add(storableText(namespace)) + ", " + c.add(storableText(key)) + `]) COLLATE "C"`, true
	}
	if source, ok := f.External(); ok {
		return "(t.externals::jsonb ->> " + c.add(storableText(source)) + `) COLLATE "C"`, true
	}
	return "", false
}

// comparison compiles one comparison of an expression; sort, if there is one, is
// what text is ordered by instead.
func (c *compiler) comparison(f directory.Filter, expr, sort string) (string, error) {
	t, _ := c.typeOf(f.Field)
	none := "''"
	if t == directory.FieldMoment {
		none = "0"
	}
	text := func() string { return c.add(storableText(f.Values[0].(string))) + "::text" }
	switch f.Op {
	case directory.FilterPresent:
		switch t {
		case directory.FieldText, directory.FieldMoment:
			return expr + " <> " + none, nil
		}
		return "true", nil
	case directory.FilterEqual:
		if len(f.Values) == 1 {
			return expr + " = " + c.add(plain(f.Values[0])), nil
		}
		return expr + " = ANY(" + c.add(values(t, f.Values)) + ")", nil
	case directory.FilterContains:
		return "strpos(" + expr + ", " + text() + ") > 0", nil
	case directory.FilterStartsWith:
		return "starts_with(" + expr + ", " + text() + ")", nil
	case directory.FilterEndsWith:
		value := text()
		return "right(" + expr + ", length(" + value + ")) = " + value, nil
	case directory.FilterLike:
		return expr + " LIKE " + c.add(terms.Pattern(storableText(f.Values[0].(string)))), nil
	}
	op, ok := operators[f.Op]
	if !ok {
		return "", fmt.Errorf("no such comparison: %d", f.Op)
	}
	value := plain(f.Values[0])
	if text, ok := value.(string); ok && sort != "" {
		expr, value = sort, directory.SortKey(text)
	}
	if t == directory.FieldText || t == directory.FieldMoment {
		return "(" + expr + " <> " + none + " AND " + expr + op + c.add(value) + ")", nil
	}
	return expr + op + c.add(value), nil
}

var operators = map[directory.FilterOp]string{
	directory.FilterLess: " < ", directory.FilterAtMost: " <= ", directory.FilterGreater: " > ", directory.FilterAtLeast: " >= ",
}

// storableText is a text as PostgreSQL can be given it: a character that it cannot
// hold becomes one that nothing holds.
func storableText(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uffff"), "\uffff")
}

// plain is a filter's value as columns hold it.
func plain(v any) any {
	switch v := v.(type) {
	case time.Time:
		return micros(v)
	case [16]byte:
		return uuid(v)
	case string:
		return storableText(v)
	}
	return v
}

// values are many values as one array.
func values(t directory.FieldType, list []any) any {
	switch t {
	case directory.FieldText:
		return typed[string](list)
	case directory.FieldBool:
		return typed[bool](list)
	case directory.FieldUUID:
		return typed[pgtype.UUID](list)
	}
	return typed[int64](list)
}

func typed[T any](list []any) []T {
	out := make([]T, len(list))
	for i, v := range list {
		out[i] = plain(v).(T)
	}
	return out
}

// scope compiles what a search is narrowed to besides its filter.
func (c *compiler) scope(q directory.Search) string {
	where, at := "", ""
	for _, part := range []struct {
		groups []id.Number
		in     string
	}{{q.Within, " IN "}, {q.Without, " NOT IN "}} {
		if part.groups == nil {
			continue
		}
		if at == "" {
			at = c.add(micros(q.At))
		}
		stands := "e.member > 0"
		if c.kind == kindGroup {
			stands = "e.member < 0"
		}
		where += " AND t.number" + part.in + "(SELECT " + c.sign + "e.member FROM edges e WHERE e.tenant = $1 AND e.grp = ANY(" + c.add(integers(part.groups)) + "::int[]) AND " + stands +
			" AND e.starts <= " + at + " AND (e.ends = 0 OR e.ends > " + at + "))"
	}
	if q.Within != nil && c.kind == kindUser {
		where += " AND NOT t.suspended AND (t.expires = 0 OR t.expires > " + at + ")"
	}
	if q.Among != nil {
		where += " AND t.number = ANY(" + c.add(integers(q.Among)) + ")"
	}
	return where
}

// sortKey is the expression that a field is sorted by, of text or bigint.
func (c *compiler) sortKey(f directory.Field) (string, error) {
	if value, ok := c.inner(f); ok {
		return "coalesce(" + value + ", '')", nil
	}
	col, ok := c.columns[f]
	if !ok {
		return "", fmt.Errorf("no column for field %s", f)
	}
	if col.sort != "" {
		return col.sort, nil
	}
	return col.expr, nil
}

// after compiles the condition that a thing comes after a position.
func (c *compiler) after(q directory.Search, keys []string) string {
	if q.After == nil {
		return ""
	}
	bound := make([]string, len(keys))
	for i, v := range q.After.Keys {
		bound[i] = c.add(plain(v))
	}
	var either []string
	for n := range len(keys) + 1 {
		var all []string
		for i := range n {
			all = append(all, keys[i]+" = "+bound[i])
		}
		switch {
		case n == len(keys):
			all = append(all, "t.number > "+c.add(int64(q.After.Number)))
		case q.Order[n].Descending:
			all = append(all, keys[n]+" < "+bound[n])
		default:
			all = append(all, keys[n]+" > "+bound[n])
		}
		either = append(either, strings.Join(all, " AND "))
	}
	return " AND (" + strings.Join(either, " OR ") + ")"
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
// page shows how many there are. Statements of searches are as many as there are
// filters, so the connection does not keep them.
func (r *reader) find(in searched, q directory.Search) (directory.Hits, error) {
	var hits directory.Hits
	c := &compiler{searched: in, bindings: bindings{r.pk}}
	from := " FROM " + in.table + " t WHERE t.tenant = $1" + c.scope(q)
	matches, err := c.filter(q.Filter)
	if err != nil {
		return hits, err
	}
	from += " AND " + matches
	counted := slices.Clone(c.bindings)
	query, sorting := "SELECT t.number", ""
	keys := make([]string, len(q.Order))
	for i, o := range q.Order {
		if keys[i], err = c.sortKey(o.Field); err != nil {
			return hits, err
		}
		query += ", " + keys[i]
		sorting += strconv.Itoa(i + 2)
		if o.Descending {
			sorting += " DESC"
		}
		sorting += ", "
	}
	query += from + c.after(q, keys) + " ORDER BY " + sorting + "1 LIMIT " + c.add(q.Limit+1) + " OFFSET " + c.add(q.Offset)
	var last *directory.Position
	err = r.c.each(r.ctx, func(row scanner) error {
		if len(hits.Numbers) == q.Limit {
			hits.Next = last
			return nil
		}
		at := &directory.Position{Keys: make([]any, len(keys))}
		var number int64
		dest := []any{&number}
		for i := range at.Keys {
			dest = append(dest, &at.Keys[i])
		}
		err := row.Scan(dest...)
		at.Number = id.Number(number)
		hits.Numbers, last = append(hits.Numbers, at.Number), at
		return err
	}, query, r.search(c.bindings)...)
	switch {
	case err != nil || !q.Total:
		return hits, err
	case hits.Next == nil && q.After == nil && (q.Offset == 0 || len(hits.Numbers) > 0):
		hits.Total = q.Offset + len(hits.Numbers)
		return hits, nil
	}
	err = r.c.row(r.ctx, "SELECT count(*)"+from, r.search(counted)...).Scan(&hits.Total)
	return hits, err
}

// search puts before a search's arguments how it is carried out.
func (r *reader) search(args []any) []any {
	return append([]any{pgx.QueryExecModeDescribeExec}, args...)
}

// CountMembers implements [directory.Reader].
func (r *reader) CountMembers(groups []id.Number, at time.Time) (map[id.Number]directory.MemberCount, error) {
	counts := make(map[id.Number]directory.MemberCount, len(groups))
	if len(groups) == 0 {
		return counts, nil
	}
	err := r.c.each(r.ctx, func(row scanner) error {
		var group int64
		var n directory.MemberCount
		err := row.Scan(&group, &n.Users, &n.Groups)
		counts[id.Number(group)] = n
		return err
	}, `SELECT e.grp, count(*) FILTER (WHERE e.member > 0), count(*) FILTER (WHERE e.member < 0) FROM edges e
 LEFT JOIN users u ON u.tenant = $1 AND u.number = e.member
 WHERE e.tenant = $1 AND e.grp = ANY($3::int[]) AND `+valid+` AND (e.member < 0 OR `+active+`) GROUP BY e.grp`,
		r.pk, micros(at), integers(groups))
	return counts, err
}
