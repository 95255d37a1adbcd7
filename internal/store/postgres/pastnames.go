package postgres

import (
	"slices"

	"github.com/jackc/pgx/v5/pgtype"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/terms"
)

const insertPast = `INSERT INTO pasts (tenant, kind, number, ended, created, id, code, name, name_fold, suspended, expires)
 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING`

// pastUser keeps how a user was until this commit. The first in a commit says
// it; what was so in this commit alone, or made by it, nobody can ask for.
func (w *writer) pastUser(u directory.User) error {
	return w.c.exec(w.ctx, insertPast, w.pk, kindUser, int64(u.Number), w.next(), int64(u.CreatedIn), uuid(u.ID), u.Code,
		u.Name, directory.FoldName(u.Name), u.Suspended, micros(u.Expires))
}

func (w *writer) pastGroup(g directory.Group) error {
	return w.c.exec(w.ctx, insertPast, w.pk, kindGroup, int64(g.Number), w.next(), int64(g.CreatedIn), uuid(g.ID), g.Code,
		g.Name, directory.FoldName(g.Name), false, 0)
}

func scanWas(row scanner) (terms.Was, error) {
	var w terms.Was
	var number, expires, as int64
	var uid pgtype.UUID
	err := row.Scan(&number, &uid, &w.Code, &w.Name, &w.Suspended, &expires, &as)
	w.Number, w.ID, w.Expires, w.As = id.Number(number), uid.Bytes, fromMicros(expires), directory.Revision(as)
	return w, err
}

// things returns how those of the numbered users or groups that existed were.
func (p *past) things(n noun, numbers []id.Number) ([]terms.Was, error) {
	if len(numbers) == 0 {
		return nil, nil
	}
	return all(p.ctx, p.c, scanWas, "SELECT "+n.asOf("$2::bigint", "unnest($3::bigint[]) AS j(number)", "$4")+" ORDER BY 1", p.pk, p.rev, integers(numbers), n.kind)
}

// asOf selects, after SELECT, how the users or groups were of which from yields
// numbers, as of revisions, among those that existed then.
func (n noun) asOf(revision, from, kind string) string {
	present := "t.suspended, t.expires"
	if n.kind == kindGroup {
		present = "false, 0"
	}
	ended := " FROM pasts i WHERE i.tenant = $1 AND i.kind = " + kind + " AND i.number = j.number AND i.ended > " + revision
	return "h.number, h.id, h.code, h.name, h.suspended, h.expires, " + revision + " FROM " + from + " JOIN pasts h ON h.tenant = $1 AND h.kind = " + kind + " AND h.number = j.number AND h.created <= " + revision + `
 AND h.ended = (SELECT i.ended` + ended + ` ORDER BY i.ended LIMIT 1)
 UNION ALL SELECT t.number, t.id, t.code, t.name, ` + present + ", " + revision + " FROM " + from + " JOIN " + n.table + " t ON t.tenant = $1 AND t.number = j.number AND t.created_in <= " + revision + `
 AND NOT EXISTS (SELECT 1` + ended + ")"
}

// thingsAt returns how the numbered users or groups were, each as of its own revision.
func (r *reader) thingsAt(n noun, at []directory.NumberAt) ([]terms.Was, error) {
	if len(at) == 0 {
		return nil, nil
	}
	revisions, numbers := make([]int64, len(at)), make([]int64, len(at))
	for i, a := range at {
		revisions[i], numbers[i] = int64(min(a.Revision, 1<<62)), int64(a.Number)
	}
	return all(r.ctx, r.c, scanWas, "SELECT "+n.asOf("j.revision", "unnest($2::bigint[], $3::bigint[]) AS j(revision, number)", "$4"), r.pk, revisions, numbers, n.kind)
}

// UsersAt implements [directory.Reader].
func (r *reader) UsersAt(at []directory.NumberAt) (map[directory.NumberAt]directory.User, error) {
	list, err := r.thingsAt(nounUser, at)
	return terms.ByMoment(list, terms.Was.User), err
}

// GroupsAt implements [directory.Reader].
func (r *reader) GroupsAt(at []directory.NumberAt) (map[directory.NumberAt]directory.Group, error) {
	list, err := r.thingsAt(nounGroup, at)
	return terms.ByMoment(list, terms.Was.Group), err
}

// Users implements [directory.Past].
func (p *past) Users(numbers []id.Number) ([]directory.User, error) {
	list, err := p.things(nounUser, numbers)
	return terms.Each(list, terms.Was.User), err
}

// UserNames implements [directory.Past].
func (p *past) UserNames(numbers []id.Number) ([]directory.Named, error) {
	list, err := p.things(nounUser, numbers)
	return terms.Each(list, terms.Was.Named), err
}

// UsersByName implements [directory.Past]. Those who are as they were then, and
// those who were otherwise, each come in the order of an index; what changed is
// looked for only among the names that the page can hold.
func (p *past) UsersByName(q directory.NameQuery) ([]directory.Named, error) {
	if !storable(q.Prefix) {
		return nil, nil
	}
	const since = " AND NOT EXISTS (SELECT 1 FROM pasts i WHERE i.tenant = $1 AND i.kind = $3 AND i.number = u.number AND i.ended > $2"
	list := func(from, to string) ([]directory.Named, error) {
		b := bindings{p.pk, p.rev, kindUser}
		page := b.byName(q, to)
		return all(p.ctx, p.c, scanNamed, "SELECT "+namedColumns+from+page, b...)
	}
	same, err := list(" FROM users u WHERE u.tenant = $1 AND u.created_in <= $2"+since+")", "")
	if err != nil {
		return nil, err
	}
	last := ""
	if len(same) == q.Limit {
		last = same[q.Limit-1].Name
	}
	other, err := list(" FROM pasts u WHERE u.tenant = $1 AND u.kind = $3 AND u.created <= $2 AND u.ended > $2"+since+" AND i.ended < u.ended)", last)
	return terms.Merge(same, other, q), err
}

// Groups implements [directory.Past].
func (p *past) Groups(numbers []id.Number) ([]directory.Group, error) {
	list, err := p.things(nounGroup, numbers)
	return terms.Each(list, terms.Was.Group), err
}

// UserNumbers implements [directory.Past].
func (p *past) UserNumbers(refs []directory.Ref) ([]id.Number, error) {
	return p.numbers(nounUser, refs)
}

// GroupNumbers implements [directory.Past].
func (p *past) GroupNumbers(refs []directory.Ref) ([]id.Number, error) {
	return p.numbers(nounGroup, refs)
}

// buried are the statements that find, by one kind of ref, what was deleted.
var buried = map[directory.RefKind]string{
	directory.RefID:     "SELECT j.key, g.number FROM unnest($2::text[]) AS j(key) JOIN graves g ON g.tenant = $1 AND g.kind = $3 AND g.id = j.key::uuid",
	directory.RefNumber: "SELECT j.key, g.number FROM unnest($2::text[]) AS j(key) JOIN graves g ON g.tenant = $1 AND g.kind = $3 AND g.number = j.key::bigint",
	directory.RefCode:   "SELECT j.key, g.number FROM unnest($2::text[]) AS j(key) JOIN graves g ON g.tenant = $1 AND g.kind = $3 AND g.code = j.key::bigint",
}

// Buried implements [directory.Reader].
func (r *reader) Buried(m directory.MemberRef) (directory.Grave, error) {
	kind := kindUser
	if m.IsGroup {
		kind = kindGroup
	}
	where, arg := "", any(nil)
	switch m.Ref.Kind {
	case directory.RefID:
		where, arg = " AND g.id = $3", uuid(m.Ref.UUID)
	case directory.RefNumber:
		where, arg = " AND g.number = $3", m.Ref.Int
	case directory.RefCode:
		where, arg = " AND g.code = $3", m.Ref.Int
	case directory.RefName:
		if !storable(m.Ref.Text) {
			return directory.Grave{}, nil
		}
		where, arg = ` AND g.number IN (SELECT h.number FROM pasts h WHERE h.tenant = $1 AND h.kind = $2 AND h.name_fold = $3
 AND NOT EXISTS (SELECT 1 FROM pasts i WHERE i.tenant = $1 AND i.kind = $2 AND i.number = h.number AND i.ended > h.ended))`, m.Ref.Text
	default:
		return directory.Grave{}, nil
	}
	list, err := all(r.ctx, r.c, func(row scanner) (directory.Grave, error) {
		var number int64
		var uid pgtype.UUID
		err := row.Scan(&number, &uid)
		return directory.Grave{Number: id.Number(number), ID: uid.Bytes}, err
	}, "SELECT g.number, g.id FROM graves g WHERE g.tenant = $1 AND g.kind = $2"+where+" LIMIT 2", r.pk, kind, arg)
	return terms.Sole(list), err
}

// numbers resolves refs as of then: names by what was so named, the others as
// today and among what is no more.
func (p *past) numbers(n noun, refs []directory.Ref) ([]id.Number, error) {
	out := make([]id.Number, len(refs))
	if len(refs) == 0 {
		return out, nil
	}
	now, err := p.reader.numbers(n, refs)
	if err != nil {
		return nil, err
	}
	wanted := terms.Refs{}
	for i, ref := range refs {
		if ref.Kind != directory.RefName {
			out[i] = now[i]
			if _, ok := buried[ref.Kind]; !ok || out[i] != 0 {
				continue
			}
		}
		wanted.Add(ref, i)
	}
	for kind, where := range wanted {
		keys := slices.DeleteFunc(where.Texts(), unstorable)
		query, args := buried[kind], []any{p.pk, keys, n.kind}
		if kind == directory.RefName {
			query, args = n.named(), []any{p.pk, p.rev, keys, n.kind}
		}
		err = p.c.each(p.ctx, func(row scanner) error {
			var key string
			var number int64
			if err := row.Scan(&key, &number); err != nil {
				return err
			}
			for _, i := range where[key] {
				if out[i] != 0 && out[i] != id.Number(number) {
					out[i] = directory.Ambiguous
				} else {
					out[i] = id.Number(number)
				}
			}
			return nil
		}, query, args...)
		if err != nil {
			return nil, err
		}
	}
	return p.existing(n, out)
}

// named is the statement that finds what had a name.
func (n noun) named() string {
	return "SELECT j.key, t.number FROM unnest($3::text[]) AS j(key) JOIN " + n.table + ` t ON t.tenant = $1 AND t.name_fold = j.key AND t.created_in <= $2
 AND NOT EXISTS (SELECT 1 FROM pasts i WHERE i.tenant = $1 AND i.kind = $4 AND i.number = t.number AND i.ended > $2)
 UNION SELECT j.key, h.number FROM unnest($3::text[]) AS j(key) JOIN pasts h ON h.tenant = $1 AND h.kind = $4 AND h.name_fold = j.key AND h.ended > $2 AND h.created <= $2
 AND NOT EXISTS (SELECT 1 FROM pasts i WHERE i.tenant = $1 AND i.kind = $4 AND i.number = h.number AND i.ended > $2 AND i.ended < h.ended)`
}

// existing makes 0 of the numbers that nothing had then.
func (p *past) existing(n noun, numbers []id.Number) ([]id.Number, error) {
	list, err := p.things(n, numbers)
	there := make(map[id.Number]bool, len(list))
	for _, w := range list {
		there[w.Number] = true
	}
	for i, number := range numbers {
		if number != directory.Ambiguous && !there[number] {
			numbers[i] = 0
		}
	}
	return numbers, err
}
