package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/terms"
)

// reader implements [directory.Reader] over one connection with an open
// transaction. Every statement of it and of writer binds the tenant's pk.
type reader struct {
	ctx      context.Context
	c        *conn
	tenant   id.Tenant
	pk       int64
	revision int64 // as the transaction found them
	shape    int64
}

var _ directory.Reader = (*reader)(nil)

// Revision implements [directory.Reader].
func (r *reader) Revision() (directory.Revision, error) { return directory.Revision(r.revision), nil }

// Shape implements [directory.Reader].
func (r *reader) Shape() (int64, error) { return r.shape, nil }

// encode renders attributes or externals for a column, NULL if there are none.
func encode[M ~map[string]V, V any](m M) (*string, error) {
	if len(m) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(m)
	text := string(b)
	return &text, err
}

// decode reads what encode wrote. Numbers keep their digits.
func decode[M ~map[string]V, V any](column *string) (M, error) {
	if column == nil {
		return nil, nil
	}
	var m M
	d := json.NewDecoder(strings.NewReader(*column))
	d.UseNumber()
	err := d.Decode(&m)
	return m, err
}

// kinds of thing in externals and graves.
const (
	kindUser   = 1
	kindGroup  = 2
	kindTenant = 3
)

// noun is one of the two tables that refs resolve in.
type noun struct {
	table string
	kind  int
}

var (
	nounUser  = noun{"users", kindUser}
	nounGroup = noun{"groups", kindGroup}
)

// where is the condition that finds the things a single ref names, and its one
// argument, which is bound as $2. The last result is false if the ref can name
// nothing.
func (n noun) where(ref directory.Ref) (string, any, bool) {
	switch ref.Kind {
	case directory.RefID:
		return "id = $2", uuid(ref.UUID), true
	case directory.RefNumber:
		return "number = $2", ref.Int, ref.Int > 0
	case directory.RefCode:
		return "code = $2", ref.Int, ref.Int > 0
	case directory.RefName:
		return "name_fold = $2", ref.Text, storable(ref.Text)
	case directory.RefEmail:
		return "email_fold = $2", ref.Text, n.kind == kindUser && ref.Text != "" && storable(ref.Text)
	case directory.RefPerson:
		return "person = (SELECT id FROM persons WHERE code = $2)", ref.Int, n.kind == kindUser && ref.Int > 0
	}
	return "", nil, false
}

// storable reports whether PostgreSQL can hold the text at all; what it cannot
// hold names nothing.
func storable(s string) bool {
	return strings.ToValidUTF8(s, "") == s && !strings.ContainsRune(s, 0)
}

func unstorable(s string) bool { return !storable(s) }

// number finds what a single ref names: 0 if nothing, and how many there are,
// up to 2.
func (r *reader) number(n noun, ref directory.Ref) (id.Number, int, error) {
	var query string
	var args []any
	if ref.Kind == directory.RefExternal {
		source, key := ref.External()
		if !storable(ref.Text) {
			return 0, 0, nil
		}
		query = "SELECT number FROM externals WHERE tenant = $1 AND kind = $2 AND source = $3 AND key = $4"
		args = []any{r.pk, n.kind, source, key}
	} else {
		where, arg, ok := n.where(ref)
		if !ok {
			return 0, 0, nil
		}
		query = "SELECT number FROM " + n.table + " WHERE tenant = $1 AND " + where + " LIMIT 2"
		args = []any{r.pk, arg}
	}
	numbers, err := all(r.ctx, r.c, scanNumber, query, args...)
	if err != nil || len(numbers) == 0 {
		return 0, 0, err
	}
	return numbers[0], len(numbers), nil
}

func scanNumber(row scanner) (id.Number, error) {
	var n int64
	err := row.Scan(&n)
	return id.Number(n), err
}

// numbers resolves refs in order, with at most one statement for each kind of
// ref among them.
func (r *reader) numbers(n noun, refs []directory.Ref) ([]id.Number, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	out := make([]id.Number, len(refs))
	if len(refs) == 1 {
		number, count, err := r.number(n, refs[0])
		out[0] = number
		if count > 1 {
			out[0] = directory.Ambiguous
		}
		return out, err
	}
	byKind := terms.Refs{}
	for i, ref := range refs {
		byKind.Add(ref, i)
	}
	for kind, where := range byKind {
		query, ok := n.resolve(kind)
		if !ok {
			continue
		}
		keys := slices.DeleteFunc(where.Texts(), unstorable)
		seen := map[string]bool{}
		err := r.c.each(r.ctx, func(row scanner) error {
			var key string
			var number int64
			if err := row.Scan(&key, &number); err != nil {
				return err
			}
			for _, i := range where[key] {
				out[i] = id.Number(number)
				if seen[key] {
					out[i] = directory.Ambiguous
				}
			}
			seen[key] = true
			return nil
		}, query, r.pk, keys)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// resolve is the statement that finds many things by one kind of ref.
func (n noun) resolve(kind directory.RefKind) (string, bool) {
	const from = "SELECT j.key, t.number FROM unnest($2::text[]) AS j(key) JOIN "
	table := n.table + " t ON t.tenant = $1 AND "
	switch kind {
	case directory.RefID:
		return from + table + "t.id = j.key::uuid", true
	case directory.RefNumber:
		return from + table + "t.number = j.key::bigint", true
	case directory.RefCode:
		return from + table + "t.code = j.key::bigint", true
	case directory.RefName:
		return from + table + "t.name_fold = j.key", true
	case directory.RefEmail:
		return from + table + "t.email_fold = j.key", n.kind == kindUser
	case directory.RefPerson:
		return from + "persons p ON p.code = j.key::bigint JOIN " + n.table + " t ON t.tenant = $1 AND t.person = p.id", n.kind == kindUser
	case directory.RefExternal:
		return from + fmt.Sprintf("externals t ON t.tenant = $1 AND t.kind = %d AND t.source = split_part(j.key, '/', 1) AND t.key = substr(j.key, strpos(j.key, '/') + 1)", n.kind), true
	}
	return "", false
}

// prefixEnd is the least string above all that start with prefix, for a range
// that an index can serve; "" if there is none. It is cut to whole characters,
// which is enough: in the collation "C" they sort as their bytes do.
func prefixEnd(prefix string) string {
	r := []rune(prefix)
	for i := len(r) - 1; i >= 0; i-- {
		next := r[i] + 1
		if next >= 0xd800 && next <= 0xdfff {
			next = 0xe000
		}
		if next <= 0x10ffff {
			return string(r[:i]) + string(next)
		}
	}
	return ""
}
