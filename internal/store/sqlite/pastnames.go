package sqlite

import (
	"encoding/json"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/terms"
)

const insertPast = `INSERT INTO pasts (tenant, kind, number, ended, created, id, code, name, name_fold, suspended, expires)
 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`

// pastUser keeps how a user was until this commit. The first in a commit says
// it; what was so in this commit alone, or made by it, nobody can ask for.
func (w *writer) pastUser(u directory.User) error {
	return w.c.exec(w.ctx, insertPast, w.pk, kindUser, int64(u.Number), w.revision(), int64(u.CreatedIn), u.ID[:], u.Code,
		u.Name, directory.FoldName(u.Name), u.Suspended, micros(u.Expires))
}

func (w *writer) pastGroup(g directory.Group) error {
	return w.c.exec(w.ctx, insertPast, w.pk, kindGroup, int64(g.Number), w.revision(), int64(g.CreatedIn), g.ID[:], g.Code,
		g.Name, directory.FoldName(g.Name), false, 0)
}

// was is how a user or a group was.
type was struct {
	number    id.Number
	id        []byte
	code      int64
	name      string
	suspended bool
	expires   int64
}

func scanWas(row scanner) (was, error) {
	var w was
	var number int64
	err := row.Scan(&number, &w.id, &w.code, &w.name, &w.suspended, &w.expires)
	w.number = id.Number(number)
	return w, err
}

// things returns how those of the numbered users or groups that existed were.
func (p *past) things(n noun, numbers []id.Number) ([]was, error) {
	if len(numbers) == 0 {
		return nil, nil
	}
	present := "t.suspended, t.expires"
	if n.kind == kindGroup {
		present = "0, 0"
	}
	return all(p.ctx, p.c, scanWas, `SELECT h.number, h.id, h.code, h.name, h.suspended, h.expires FROM json_each(?3) j
 CROSS JOIN pasts h ON h.tenant = ?1 AND h.kind = ?4 AND h.number = j.value AND h.created <= ?2 AND h.ended = (
  SELECT i.ended FROM pasts i WHERE i.tenant = ?1 AND i.kind = ?4 AND i.number = j.value AND i.ended > ?2 ORDER BY i.ended LIMIT 1)
 UNION ALL SELECT t.number, t.id, t.code, t.name, `+present+" FROM json_each(?3) j CROSS JOIN "+n.table+` t ON t.tenant = ?1 AND t.number = j.value AND t.created_in <= ?2
 AND NOT EXISTS (SELECT 1 FROM pasts i WHERE i.tenant = ?1 AND i.kind = ?4 AND i.number = j.value AND i.ended > ?2) ORDER BY 1`,
		p.pk, p.rev, integers(numbers), n.kind)
}

// Users implements [directory.Past].
func (p *past) Users(numbers []id.Number) ([]directory.User, error) {
	list, err := p.things(nounUser, numbers)
	users := make([]directory.User, len(list))
	for i, w := range list {
		users[i] = directory.User{Number: w.number, Code: w.code, Name: w.name, Suspended: w.suspended, Expires: fromMicros(w.expires)}
		copy(users[i].ID[:], w.id)
	}
	return users, err
}

// Groups implements [directory.Past].
func (p *past) Groups(numbers []id.Number) ([]directory.Group, error) {
	list, err := p.things(nounGroup, numbers)
	groups := make([]directory.Group, len(list))
	for i, w := range list {
		groups[i] = directory.Group{Number: w.number, Code: w.code, Name: w.name}
		copy(groups[i].ID[:], w.id)
	}
	return groups, err
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
	directory.RefID:     "SELECT j.value, g.number FROM json_each(?2) j CROSS JOIN graves g ON g.tenant = ?1 AND g.kind = ?3 AND g.id = unhex(j.value)",
	directory.RefNumber: "SELECT j.value, g.number FROM json_each(?2) j CROSS JOIN graves g ON g.tenant = ?1 AND g.kind = ?3 AND g.number = CAST(j.value AS INTEGER)",
	directory.RefCode:   "SELECT j.value, g.number FROM json_each(?2) j CROSS JOIN graves g ON g.tenant = ?1 AND g.kind = ?3 AND g.code = CAST(j.value AS INTEGER)",
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
		list, err := json.Marshal(where.Texts())
		if err != nil {
			return nil, err
		}
		query, args := buried[kind], []any{p.pk, string(list), n.kind}
		if kind == directory.RefName {
			query, args = n.named(), []any{p.pk, p.rev, string(list), n.kind}
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
	return "SELECT j.value, t.number FROM json_each(?3) j CROSS JOIN " + n.table + ` t ON t.tenant = ?1 AND t.name_fold = j.value AND t.created_in <= ?2
 AND NOT EXISTS (SELECT 1 FROM pasts i WHERE i.tenant = ?1 AND i.kind = ?4 AND i.number = t.number AND i.ended > ?2)
 UNION SELECT j.value, h.number FROM json_each(?3) j CROSS JOIN pasts h ON h.tenant = ?1 AND h.kind = ?4 AND h.name_fold = j.value AND h.ended > ?2 AND h.created <= ?2
 AND NOT EXISTS (SELECT 1 FROM pasts i WHERE i.tenant = ?1 AND i.kind = ?4 AND i.number = h.number AND i.ended > ?2 AND i.ended < h.ended)`
}

// existing makes 0 of the numbers that nothing had then.
func (p *past) existing(n noun, numbers []id.Number) ([]id.Number, error) {
	list, err := p.things(n, numbers)
	there := make(map[id.Number]bool, len(list))
	for _, w := range list {
		there[w.number] = true
	}
	for i, number := range numbers {
		if number != directory.Ambiguous && !there[number] {
			numbers[i] = 0
		}
	}
	return numbers, err
}
