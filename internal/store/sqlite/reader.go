package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/changelog"
	"roster/internal/store/terms"
)

// reader implements [directory.Reader] over one connection with an open
// transaction. Every statement of it and of writer binds the tenant's pk.
type reader struct {
	ctx    context.Context
	c      *conn
	tenant id.Tenant
	pk     int64
	tails  *changelog.Tails // nil for a writer's
}

var _ directory.Reader = (*reader)(nil)

// quick is the context for statements that read a few rows by key. One that can
// end makes the driver start a goroutine for each statement, which costs more
// than the reading.
func (r *reader) quick() context.Context { return context.Background() }

// Revision implements [directory.Reader]. What it tells of, the log at hand has
// too: between the two a commit is seen for a moment by the one and not the other.
func (r *reader) Revision() (directory.Revision, error) {
	var rev directory.Revision
	err := r.c.row(r.quick(), "SELECT revision FROM tenants WHERE pk = ?", r.pk).Scan(&rev)
	if err == nil && r.tails != nil {
		err = r.tails.Await(r.ctx, r.tenant, rev)
	}
	return rev, gone(err, directory.ErrNoTenant)
}

// gone turns "no rows" into the error that says what is not there.
func gone(err, what error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return what
	}
	return err
}

// encode renders attributes or externals for a column, NULL if there are none.
func encode[M ~map[string]V, V any](m M) (any, error) {
	if len(m) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(m)
	return string(b), err
}

// decode reads what encode wrote. Numbers keep their digits.
func decode[M ~map[string]V, V any](column sql.NullString) (M, error) {
	if !column.Valid {
		return nil, nil
	}
	var m M
	d := json.NewDecoder(strings.NewReader(column.String))
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
// argument. The second result is false if the ref can name nothing.
func (n noun) where(ref directory.Ref) (string, any, bool) {
	switch ref.Kind {
	case directory.RefID:
		return "id = ?", ref.UUID[:], true
	case directory.RefNumber:
		return "number = ?", ref.Int, ref.Int > 0
	case directory.RefCode:
		return "code = ?", ref.Int, ref.Int > 0
	case directory.RefName:
		return "name_fold = ?", ref.Text, true
	case directory.RefEmail:
		return "email_fold = ?", ref.Text, n.kind == kindUser && ref.Text != ""
	case directory.RefPerson:
		return "person = (SELECT id FROM persons WHERE code = ?)", ref.Int, n.kind == kindUser && ref.Int > 0
	}
	return "", nil, false
}

// number finds what a single ref names: 0 if nothing, and how many there are,
// up to 2.
func (r *reader) number(n noun, ref directory.Ref) (id.Number, int, error) {
	var query string
	var args []any
	if ref.Kind == directory.RefExternal {
		source, key := ref.External()
		query = "SELECT number FROM externals WHERE tenant = ? AND kind = ? AND source = ? AND key = ?"
		args = []any{r.pk, n.kind, source, key}
	} else {
		where, arg, ok := n.where(ref)
		if !ok {
			return 0, 0, nil
		}
		query = "SELECT number FROM " + n.table + " WHERE tenant = ? AND " + where + " LIMIT 2"
		args = []any{r.pk, arg}
	}
	numbers, err := all(r.quick(), r.c, scanNumber, query, args...)
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
	if !slices.ContainsFunc(refs, func(ref directory.Ref) bool { return ref.Kind != directory.RefNumber }) {
		return r.numbered(n, refs)
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
		list, err := json.Marshal(where.Texts())
		if err != nil {
			return nil, err
		}
		seen := map[string]bool{}
		err = r.c.each(r.ctx, func(row scanner) error {
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
		}, query, r.pk, string(list))
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// numbered is numbers for refs that are numbers already: what is asked for is
// those that nobody has, which are few.
func (r *reader) numbered(n noun, refs []directory.Ref) ([]id.Number, error) {
	asked := make([]int64, 0, len(refs))
	for _, ref := range refs {
		if ref.Int > 0 && ref.Int <= int64(id.MaxNumber) {
			asked = append(asked, ref.Int)
		}
	}
	missing := map[int64]bool{}
	err := r.c.each(r.ctx, func(row scanner) error {
		var number int64
		err := row.Scan(&number)
		missing[number] = true
		return err
	}, "SELECT j.value FROM json_each(?2) j WHERE NOT EXISTS (SELECT 1 FROM "+n.table+" t WHERE t.tenant = ?1 AND t.number = j.value)", r.pk, integers(asked))
	if err != nil {
		return nil, err
	}
	out := make([]id.Number, len(refs))
	for i, ref := range refs {
		if ref.Int > 0 && ref.Int <= int64(id.MaxNumber) && !missing[ref.Int] {
			out[i] = id.Number(ref.Int)
		}
	}
	return out, nil
}

// resolve is the statement that finds many things by one kind of ref.
func (n noun) resolve(kind directory.RefKind) (string, bool) {
	from := " FROM json_each(?2) j CROSS JOIN " + n.table + " t ON t.tenant = ?1 AND "
	switch kind {
	case directory.RefID:
		return "SELECT j.value, t.number" + from + "t.id = unhex(j.value)", true
	case directory.RefNumber:
		return "SELECT j.value, t.number" + from + "t.number = CAST(j.value AS INTEGER)", true
	case directory.RefCode:
		return "SELECT j.value, t.number" + from + "t.code = CAST(j.value AS INTEGER)", true
	case directory.RefName:
		return "SELECT j.value, t.number" + from + "t.name_fold = j.value", true
	case directory.RefEmail:
		return "SELECT j.value, t.number" + from + "t.email_fold = j.value", n.kind == kindUser
	case directory.RefPerson:
		return "SELECT j.value, t.number FROM json_each(?2) j CROSS JOIN persons p ON p.code = CAST(j.value AS INTEGER) JOIN users t ON t.tenant = ?1 AND t.person = p.id", n.kind == kindUser
	case directory.RefExternal:
		return fmt.Sprintf("SELECT j.value, t.number FROM json_each(?2) j CROSS JOIN externals t ON t.tenant = ?1 AND t.kind = %d AND t.source = substr(j.value, 1, instr(j.value, '/') - 1) AND t.key = substr(j.value, instr(j.value, '/') + 1)", n.kind), true
	}
	return "", false
}

// prefixEnd is the least string above all that start with prefix, for a range
// that an index can serve; "" if there is none.
func prefixEnd(prefix string) string {
	b := []byte(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < 0xff {
			b[i]++
			return string(b[:i+1])
		}
	}
	return ""
}

// keyset is the condition and the order of a page of a list by an ascending or
// descending key, with the arguments up to there.
func keyset(key string, after int64, descending bool, pk int64) (where, order string, args []any) {
	if !descending {
		return " AND " + key + " > ?", " ORDER BY " + key, []any{pk, after}
	}
	if after == 0 {
		after = math.MaxInt64
	}
	return " AND " + key + " < ?", " ORDER BY " + key + " DESC", []any{pk, after}
}
