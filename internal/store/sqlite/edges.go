package sqlite

import (
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/changelog"
)

// A set of edges reaches a statement as a JSON array of integers, group in the
// upper and member in the lower 32 bits; these take them apart again.
const (
	edgeGroup  = "(j.value >> 32)"
	edgeMember = "(((j.value & 4294967295) << 32) >> 32)"
	fromEdges  = " FROM json_each(?2) j CROSS JOIN edges e ON e.tenant = ?1 AND e.grp = " + edgeGroup + " AND e.member = " + edgeMember
)

func packEdges(edges []directory.Edge) string {
	packed := make([]int64, len(edges))
	for i, e := range edges {
		packed[i] = int64(e.Group)<<32 | int64(uint32(e.Member))
	}
	return integers(packed)
}

// valid is the condition that a membership holds at a moment, which is bound twice.
const valid = "e.starts <= ? AND (e.ends = 0 OR e.ends > ?)"

// active is the condition that a user is active at a moment, bound once.
const active = "u.suspended = 0 AND (u.expires = 0 OR u.expires > ?)"

func scanStanding(row scanner) (directory.Membership, error) {
	var m directory.Membership
	var grp, member, revision, added, starts, ends int64
	var source, reason sql.NullString
	err := row.Scan(&grp, &member, &m.Serial, &revision, &added, &starts, &ends, &m.Role, &source, &reason)
	m.Group, m.Member = id.Number(grp), id.Member(member)
	m.Revision, m.Added = directory.Revision(revision), directory.Revision(added)
	m.From, m.Until, m.Source, m.Reason = fromMicros(starts), fromMicros(ends), source.String, reason.String
	if added == 0 {
		m.Added = m.Revision
	}
	return m, err
}

const standingColumns = "e.grp, e.member, e.serial, e.revision, e.added, e.starts, e.ends, e.role, e.source, e.reason"

// Standing implements [directory.Reader].
func (r *reader) Standing(edges []directory.Edge) ([]directory.Membership, error) {
	switch len(edges) {
	case 0:
		return nil, nil
	case 1:
		return all(r.ctx, r.c, scanStanding, "SELECT "+standingColumns+" FROM edges e WHERE e.tenant = ? AND e.grp = ? AND e.member = ?",
			r.pk, int64(edges[0].Group), int64(edges[0].Member))
	}
	return all(r.ctx, r.c, scanStanding, "SELECT "+standingColumns+fromEdges, r.pk, packEdges(edges))
}

func scanMembership(row scanner) (directory.Membership, error) {
	var at int64
	var actor, dialect string
	var credential, user []byte
	m, err := scanStanding(prefixed{row, []any{&at, &credential, &user, &actor, &dialect}})
	if err != nil {
		return m, err
	}
	m.AddedAt, m.AddedBy.Name, m.AddedDialect = fromMicros(at), actor, dialect
	copy(m.AddedBy.Credential[:], credential)
	copy(m.AddedBy.User[:], user)
	return m, nil
}

// prefixed is a row whose first columns go to fixed places.
type prefixed struct {
	row   scanner
	first []any
}

func (p prefixed) Scan(dest ...any) error {
	return p.row.Scan(append(slices.Clone(p.first), dest...)...)
}

// telling is what is told of memberships: the columns, what these take, and how
// they are read. The edge is in columns grp and member, counted from 1.
type telling struct {
	columns, join string
	grp, member   string
	scan          func(scanner) (directory.Membership, error)
}

var (
	inFull = telling{authored + standingColumns, joinAuthor, "6", "7", scanMembership}
	bare   = telling{"e.grp, e.member", "", "1", "2", func(row scanner) (directory.Membership, error) {
		e, err := scanEdge(row)
		return directory.Membership{Edge: e}, err
	}}
)

// Memberships implements [directory.Reader].
func (r *reader) Memberships(q directory.MembershipQuery) ([]directory.Membership, error) {
	told := inFull
	if q.Bare {
		told = bare
	}
	holds := ""
	var when []any
	if !q.At.IsZero() {
		at := micros(q.At)
		holds = " AND " + valid + " AND (e.member < 0 OR EXISTS (SELECT 1 FROM users u WHERE u.tenant = e.tenant AND u.number = e.member AND " + active + "))"
		when = []any{at, at, at}
	}
	if q.Joining {
		return r.joined(q, holds, when)
	}
	if q.Member != 0 {
		args := append([]any{r.pk, int64(q.Member), q.After}, append(when, q.Limit)...)
		return all(r.ctx, r.c, told.scan, "SELECT "+told.columns+` FROM edges b INDEXED BY edges_member
 CROSS JOIN edges e ON e.tenant = b.tenant AND e.grp = b.grp AND e.member = b.member`+told.join+
			" WHERE b.tenant = ? AND b.member = ? AND b.grp > ?"+holds+" ORDER BY b.grp LIMIT ?", args...)
	}

	// Groups come first, nearest to zero first, then users: two ranges of the
	// same B-tree, so that any page costs what the first one does.
	var list []directory.Membership
	if q.After < int64(id.MaxNumber) {
		args := append([]any{r.pk, int64(q.Group), -q.After}, append(when, q.Limit)...)
		groups, err := all(r.ctx, r.c, told.scan, "SELECT "+told.columns+" FROM edges e"+told.join+
			" WHERE e.tenant = ? AND e.grp = ? AND e.member < ? AND e.member < 0"+holds+" ORDER BY e.member DESC LIMIT ?", args...)
		if err != nil || len(groups) == q.Limit {
			return groups, err
		}
		list = groups
	}
	after := max(q.After-int64(id.MaxNumber), 0)
	args := append([]any{r.pk, int64(q.Group), after}, append(when, q.Limit-len(list))...)
	users, err := all(r.ctx, r.c, told.scan, "SELECT "+told.columns+" FROM edges e"+told.join+
		" WHERE e.tenant = ? AND e.grp = ? AND e.member > ?"+holds+" ORDER BY e.member LIMIT ?", args...)
	return append(list, users...), err
}

// joined answers a query for memberships in the order of joining. There is no
// B-tree in that order, so all of the group, or of the member, is looked at.
func (r *reader) joined(q directory.MembershipQuery, holds string, when []any) ([]directory.Membership, error) {
	if q.Member != 0 {
		where, order, args := keyset("e.serial", q.After, q.Descending, r.pk)
		args = append([]any{r.pk, int64(q.Member), args[1]}, append(when, q.Limit)...)
		return all(r.ctx, r.c, scanMembership, "SELECT "+inFull.columns+` FROM edges b INDEXED BY edges_member
 CROSS JOIN edges e ON e.tenant = b.tenant AND e.grp = b.grp AND e.member = b.member`+inFull.join+
			" WHERE b.tenant = ? AND b.member = ?"+where+holds+order+" LIMIT ?", args...)
	}
	// Looking at an edge is cheap, and at its user is not: the users are asked
	// about, and who added them is, for those on a page alone. One page more is
	// needed only where some of a page do not count.
	var out []directory.Membership
	for {
		where, order, args := keyset("e.serial", q.After, q.Descending, r.pk)
		args = []any{r.pk, int64(q.Group), args[1], q.Limit}
		var members []int64
		err := r.c.each(r.ctx, func(row scanner) error {
			var member int64
			err := row.Scan(&q.After, &member)
			members = append(members, member)
			return err
		}, "SELECT e.serial, e.member FROM edges e WHERE e.tenant = ? AND e.grp = ? AND e.member > 0"+where+order+" LIMIT ?", args...)
		if err != nil {
			return nil, err
		}
		args = append([]any{integers(members), r.pk, int64(q.Group)}, when...)
		page, err := all(r.ctx, r.c, scanMembership, "SELECT "+inFull.columns+" FROM json_each(?) j CROSS JOIN edges e ON e.tenant = ? AND e.grp = ? AND e.member = j.value"+inFull.join+
			" WHERE true"+holds+order, args...)
		if err != nil {
			return nil, err
		}
		if out = append(out, page...); len(members) < q.Limit || len(out) >= q.Limit {
			return out[:min(len(out), q.Limit)], nil
		}
	}
}

// MembershipsOf implements [directory.Reader].
func (r *reader) MembershipsOf(members []id.Member, at time.Time) ([]directory.Membership, error) {
	if len(members) == 0 {
		return nil, nil
	}
	query := "SELECT " + standingColumns + ` FROM json_each(?) j CROSS JOIN edges b INDEXED BY edges_member ON b.tenant = ? AND b.member = j.value
 CROSS JOIN edges e ON e.tenant = b.tenant AND e.grp = b.grp AND e.member = b.member`
	args := []any{integers(members), r.pk}
	if !at.IsZero() {
		query += " WHERE " + valid + " AND (e.member < 0 OR EXISTS (SELECT 1 FROM users u WHERE u.tenant = e.tenant AND u.number = e.member AND " + active + "))"
		args = append(args, micros(at), micros(at), micros(at))
	}
	return all(r.ctx, r.c, scanStanding, query+" ORDER BY e.member, e.grp", args...)
}

// Links implements [directory.Reader].
func (r *reader) Links(of []id.Number) ([]directory.Membership, error) {
	if len(of) == 0 {
		return nil, nil
	}
	return all(r.ctx, r.c, scanStanding, "SELECT "+standingColumns+
		" FROM edges e WHERE e.tenant = ? AND e.grp IN (SELECT value FROM json_each(?)) AND e.member < 0 ORDER BY e.grp, e.member", r.pk, integers(of))
}

// CROSS JOIN is how SQLite is told the order of a join; left to itself it puts
// the edges of the whole tenant first.

// above yields, as up(g), the groups that a member stands in at a moment,
// directly and through groups. Bind: pk, member, at, at, pk, at, at.
const above = `WITH RECURSIVE up(g) AS (
 SELECT e.grp FROM edges e WHERE e.tenant = ? AND e.member = ? AND ` + valid + `
 UNION SELECT e.grp FROM up CROSS JOIN edges e ON e.tenant = ? AND e.member = -up.g AND ` + valid + `)`

// Check implements [directory.Reader].
func (r *reader) Check(user, group id.Number, at time.Time) (bool, error) {
	now := micros(at)
	var n int64
	err := r.c.row(r.ctx, above+` SELECT count(*) FROM (SELECT 1 FROM up WHERE g = ? LIMIT 1)
 WHERE EXISTS (SELECT 1 FROM users u WHERE u.tenant = ? AND u.number = ? AND `+active+")",
		r.pk, int64(user), now, now, r.pk, now, now, int64(group), r.pk, int64(user), now).Scan(&n)
	return n > 0, err
}

// GroupsOf implements [directory.Reader].
func (r *reader) GroupsOf(m id.Member, at time.Time) ([]id.Number, error) {
	now := micros(at)
	return all(r.ctx, r.c, scanNumber, above+` SELECT g FROM up
 WHERE ? < 0 OR EXISTS (SELECT 1 FROM users u WHERE u.tenant = ? AND u.number = ? AND `+active+") ORDER BY g",
		r.pk, int64(m), now, now, r.pk, now, now, int64(m), r.pk, int64(m), now)
}

// Placements implements [directory.Reader].
func (r *reader) Placements(users []id.Number, at time.Time) ([]directory.Edge, error) {
	if len(users) == 0 {
		return nil, nil
	}
	now := micros(at)
	return all(r.ctx, r.c, scanEdge, `WITH RECURSIVE up(m, g) AS (
 SELECT e.member, e.grp FROM json_each(?) j CROSS JOIN edges e ON e.tenant = ? AND e.member = j.value AND `+valid+`
 UNION SELECT up.m, e.grp FROM up CROSS JOIN edges e ON e.tenant = ? AND e.member = -up.g AND `+valid+`)
 SELECT g, m FROM up ORDER BY m, g`,
		integers(users), r.pk, now, now, r.pk, now, now)
}

func scanEdge(row scanner) (directory.Edge, error) {
	var grp, member int64
	err := row.Scan(&grp, &member)
	return directory.Edge{Group: id.Number(grp), Member: id.Member(member)}, err
}

// MembersOf implements [directory.Reader].
func (r *reader) MembersOf(group id.Number, at time.Time, after id.Number, limit int) ([]id.Number, error) {
	now := micros(at)
	return all(r.ctx, r.c, scanNumber, `WITH RECURSIVE down(g) AS (
 SELECT ? UNION SELECT -e.member FROM down CROSS JOIN edges e ON e.tenant = ? AND e.grp = down.g AND e.member < 0 AND `+valid+`)
 SELECT DISTINCT u.number FROM down CROSS JOIN edges e ON e.tenant = ? AND e.grp = down.g AND e.member > ? AND `+valid+`
 CROSS JOIN users u ON u.tenant = e.tenant AND u.number = e.member AND `+active+" ORDER BY u.number LIMIT ?",
		int64(group), r.pk, now, now, r.pk, int64(after), now, now, now, limit)
}

// InsertEdges implements [directory.Writer].
func (w *writer) InsertEdges(edges []directory.Edge, s directory.Standing) ([]directory.Membership, error) {
	if len(edges) == 0 {
		return nil, nil
	}
	if err := w.save(); err != nil {
		return nil, err
	}
	if len(edges) == 1 {
		return w.insertEdge(edges[0], s)
	}
	serial := w.row.nextSerial
	w.row.nextSerial += int64(len(edges))
	w.row.dirty = true
	n, err := w.c.affect(w.ctx, `INSERT INTO edges (tenant, grp, member, serial, revision, added, starts, ends, role, source, reason)
 SELECT ?1, `+edgeGroup+", "+edgeMember+`, ?3 + j.key, ?4, 0, ?5, ?6, ?7, ?8, ?9 FROM json_each(?2) j WHERE true ORDER BY 2, 3
 ON CONFLICT (tenant, grp, member) DO NOTHING`,
		w.pk, packEdges(edges), serial, w.revision(), micros(s.From), micros(s.Until), s.Role, textOrNull(s.Source), textOrNull(s.Reason))
	if err != nil {
		return nil, err
	}
	if n == 0 {
		w.row.nextSerial = serial
	}
	var present []directory.Membership
	if n < int64(len(edges)) {
		// Some stood there already: those that joined before.
		all, err := w.reader.Standing(edges)
		if err != nil {
			return nil, err
		}
		stood := map[directory.Edge]bool{}
		for _, m := range all {
			if m.Serial < serial {
				present = append(present, m)
				stood[m.Edge] = true
			}
		}
		edges = slices.DeleteFunc(slices.Clone(edges), func(e directory.Edge) bool { return stood[e] })
	}
	w.recordEdges(directory.MembersAdded, edges, s)
	return present, nil
}

// insertEdge is InsertEdges for one, in a single statement unless it stands.
func (w *writer) insertEdge(e directory.Edge, s directory.Standing) ([]directory.Membership, error) {
	n, err := w.c.affect(w.ctx, `INSERT INTO edges (tenant, grp, member, serial, revision, added, starts, ends, role, source, reason)
 VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?) ON CONFLICT (tenant, grp, member) DO NOTHING`,
		w.pk, int64(e.Group), int64(e.Member), w.row.nextSerial, w.revision(),
		micros(s.From), micros(s.Until), s.Role, textOrNull(s.Source), textOrNull(s.Reason))
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return w.reader.Standing([]directory.Edge{e})
	}
	w.row.nextSerial++
	w.row.dirty = true
	w.recordEdges(directory.MembersAdded, []directory.Edge{e}, s)
	return nil, nil
}

// archive keeps how the memberships on the edges stood until this commit, unless
// they stood so in it alone.
func (w *writer) archive(edges []directory.Edge) error {
	const columns = "tenant, grp, member, revision, ended, serial, added, starts, ends, role, source, reason"
	const values = "e.tenant, e.grp, e.member, e.revision, ?3, e.serial, e.added, e.starts, e.ends, e.role, e.source, e.reason"
	if len(edges) == 1 {
		return w.c.exec(w.ctx, "INSERT INTO periods ("+columns+") SELECT "+values+" FROM edges e WHERE e.tenant = ?1 AND e.grp = ?2 AND e.member = ?4 AND e.revision < ?3",
			w.pk, int64(edges[0].Group), w.revision(), int64(edges[0].Member))
	}
	return w.c.exec(w.ctx, "INSERT INTO periods ("+columns+") SELECT "+values+fromEdges+" AND e.revision < ?3", w.pk, packEdges(edges), w.revision())
}

// UpdateEdges implements [directory.Writer].
func (w *writer) UpdateEdges(list []directory.Membership) error {
	if len(list) == 0 {
		return nil
	}
	if err := w.save(); err != nil {
		return err
	}
	edges := make([]directory.Edge, len(list))
	rows := make([][]any, len(list))
	for i, m := range list {
		edges[i] = m.Edge
		rows[i] = []any{m.Group, m.Member, micros(m.From), micros(m.Until), m.Role, textOrNull(m.Source), textOrNull(m.Reason)}
	}
	if err := w.archive(edges); err != nil {
		return err
	}
	packed, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	// The limit, which is none, has the list read first; left to itself SQLite
	// reads the edges of the whole tenant for it.
	err = w.c.exec(w.ctx, `UPDATE edges SET added = CASE added WHEN 0 THEN revision ELSE added END, revision = ?3,
 starts = j.value ->> 2, ends = j.value ->> 3, role = j.value ->> 4, source = j.value ->> 5, reason = j.value ->> 6
 FROM (SELECT value FROM json_each(?2) LIMIT -1) j WHERE tenant = ?1 AND grp = j.value ->> 0 AND member = j.value ->> 1`,
		w.pk, string(packed), w.revision())
	if err != nil {
		return err
	}
	w.recordAll(changelog.Updates(list))
	return nil
}

// DeleteEdges implements [directory.Writer].
func (w *writer) DeleteEdges(edges []directory.Edge) error {
	if len(edges) == 0 {
		return nil
	}
	if err := w.save(); err != nil {
		return err
	}
	if err := w.archive(edges); err != nil {
		return err
	}
	var err error
	if len(edges) == 1 {
		err = w.c.exec(w.ctx, "DELETE FROM edges WHERE tenant = ? AND grp = ? AND member = ?", w.pk, int64(edges[0].Group), int64(edges[0].Member))
	} else {
		err = w.c.exec(w.ctx, "DELETE FROM edges WHERE tenant = ?1 AND (grp, member) IN (SELECT "+edgeGroup+", "+edgeMember+" FROM json_each(?2) j)",
			w.pk, packEdges(edges))
	}
	if err != nil {
		return err
	}
	w.recordEdges(directory.MembersRemoved, edges, directory.Standing{})
	return nil
}

// recordEdges leaves one change for each group among the edges.
func (w *writer) recordEdges(kind directory.ChangeKind, edges []directory.Edge, s directory.Standing) {
	w.recordAll(changelog.ByGroup(kind, edges, s))
}

func (w *writer) recordAll(changes []directory.Change) {
	for _, c := range changes {
		w.watch(c.Standing)
		if changelog.Links(c) {
			w.reshape()
		}
		w.record(c)
	}
}
