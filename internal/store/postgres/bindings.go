package postgres

import (
	"math"
	"strconv"

	"roster/internal/directory"
)

// bindings are the arguments of a statement that is put together from parts; the
// tenant's pk is the first.
type bindings []any

// add binds a value and returns its placeholder.
func (b *bindings) add(v any) string {
	*b = append(*b, v)
	return "$" + strconv.Itoa(len(*b))
}

// prefix is the condition that a folded column starts with a text, as a range
// that an index can serve; "" if the text is.
func (b *bindings) prefix(column, text string) string {
	if text == "" {
		return ""
	}
	where := " AND " + column + " >= " + b.add(text)
	if end := prefixEnd(text); end != "" {
		where += " AND " + column + " < " + b.add(end)
	}
	return where
}

// byName is the end of a statement for a page of u by its folded names; those
// after to, unless empty, are left out.
func (b *bindings) byName(q directory.NameQuery, to string) string {
	from, order := q.From, " ORDER BY u.name_fold"
	if q.Descending {
		from, to, order = to, from, order+" DESC"
	}
	where := " AND u.name_fold >= " + b.add(from)
	if to != "" {
		where += " AND u.name_fold <= " + b.add(to)
	}
	return where + b.prefix("u.name_fold", q.Prefix) + order + " LIMIT " + b.add(q.Limit)
}

// keyset is the condition and the order of a page of a list by an ascending or
// descending key.
func (b *bindings) keyset(key string, after int64, descending bool) (where, order string) {
	if !descending {
		return " AND " + key + " > " + b.add(after), " ORDER BY " + key
	}
	if after == 0 {
		after = math.MaxInt64
	}
	return " AND " + key + " < " + b.add(after), " ORDER BY " + key + " DESC"
}
