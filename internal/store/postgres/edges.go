package postgres

import (
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/changelog"
)

// A set of edges reaches a statement as two arrays, $2 and $3.
const (
	theEdges  = "unnest($2::int[], $3::int[]) AS j(grp, member)"
	fromEdges = " FROM " + theEdges + " JOIN edges e ON e.tenant = $1 AND e.grp = j.grp AND e.member = j.member"
)

func split(edges []directory.Edge) (groups, members []int32) {
	groups, members = make([]int32, len(edges)), make([]int32, len(edges))
	for i, e := range edges {
		groups[i], members[i] = int32(e.Group), int32(e.Member)
	}
	return groups, members
}

// valid is the condition that a membership holds at the moment bound as $2.
const valid = "e.starts <= $2 AND (e.ends = 0 OR e.ends > $2)"

// active is the condition that a user is active at the moment bound as $2.
const active = "NOT u.suspended AND (u.expires = 0 OR u.expires > $2)"

func scanStanding(row scanner) (directory.Membership, error) {
	var m directory.Membership
	var grp, member, revision, added, starts, ends int64
	var role int16
	var source, reason *string
	err := row.Scan(&grp, &member, &m.Serial, &revision, &added, &starts, &ends, &role, &source, &reason)
	m.Group, m.Member, m.Role = id.Number(grp), id.Member(member), directory.Role(role)
	m.Revision, m.Added = directory.Revision(revision), directory.Revision(added)
	m.From, m.Until = fromMicros(starts), fromMicros(ends)
	if source != nil {
		m.Source = *source
	}
	if reason != nil {
		m.Reason = *reason
	}
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
		return all(r.ctx, r.c, scanStanding, "SELECT "+standingColumns+" FROM edges e WHERE e.tenant = $1 AND e.grp = $2 AND e.member = $3",
			r.pk, int64(edges[0].Group), int64(edges[0].Member))
	}
	groups, members := split(edges)
	return all(r.ctx, r.c, scanStanding, "SELECT "+standingColumns+fromEdges, r.pk, groups, members)
}

func scanMembership(row scanner) (directory.Membership, error) {
	var at int64
	var actor, dialect string
	var credential, user pgtype.UUID
	m, err := scanStanding(prefixed{row, []any{&at, &credential, &user, &actor, &dialect}})
	m.AddedAt, m.AddedBy.Name, m.AddedDialect = fromMicros(at), actor, dialect
	m.AddedBy.Credential, m.AddedBy.User = credential.Bytes, user.Bytes
	return m, err
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
	if !q.At.IsZero() {
		holds = " AND " + valid + " AND (e.member < 0 OR EXISTS (SELECT 1 FROM users u WHERE u.tenant = e.tenant AND u.number = e.member AND " + active + "))"
	} else {
		holds = " AND $2::bigint = 0"
	}
	at := micros(q.At)
	if q.Joining {
		return r.joined(q, holds)
	}
	if q.Member != 0 {
		return all(r.ctx, r.c, told.scan, "SELECT "+told.columns+" FROM edges e"+told.join+
			" WHERE e.tenant = $1 AND e.member = $3 AND e.grp > $4"+holds+" ORDER BY e.grp LIMIT $5",
			r.pk, at, int64(q.Member), min(q.After, int64(id.MaxNumber)), q.Limit)
	}

	// Groups come first, nearest to zero first, then users: two ranges of the
	// same B-tree, so that any page costs what the first one does.
	var list []directory.Membership
	if q.After < int64(id.MaxNumber) {
		groups, err := all(r.ctx, r.c, told.scan, "SELECT "+told.columns+" FROM edges e"+told.join+
			" WHERE e.tenant = $1 AND e.grp = $3 AND e.member < $4 AND e.member < 0"+holds+" ORDER BY e.member DESC LIMIT $5",
			r.pk, at, int64(q.Group), -q.After, q.Limit)
		if err != nil || len(groups) == q.Limit {
			return groups, err
		}
		list = groups
	}
	after := min(max(q.After-int64(id.MaxNumber), 0), int64(id.MaxNumber))
	users, err := all(r.ctx, r.c, told.scan, "SELECT "+told.columns+" FROM edges e"+told.join+
		" WHERE e.tenant = $1 AND e.grp = $3 AND e.member > $4"+holds+" ORDER BY e.member LIMIT $5",
		r.pk, at, int64(q.Group), after, q.Limit-len(list))
	return append(list, users...), err
}

// joined answers a query for memberships in the order of joining. There is no
// B-tree in that order, so all of the group, or of the member, is looked at.
func (r *reader) joined(q directory.MembershipQuery, holds string) ([]directory.Membership, error) {
	b := bindings{r.pk, micros(q.At)}
	if q.Member != 0 {
		member := b.add(int64(q.Member))
		where, order := b.keyset("e.serial", q.After, q.Descending)
		return all(r.ctx, r.c, scanMembership, "SELECT "+inFull.columns+" FROM edges e"+inFull.join+" WHERE e.tenant = $1 AND e.member = "+member+where+holds+order+" LIMIT "+b.add(q.Limit), b...)
	}
	// Who added them is looked up for those on the page alone.
	group := b.add(int64(q.Group))
	where, order := b.keyset("e.serial", q.After, q.Descending)
	return all(r.ctx, r.c, scanMembership, "SELECT "+inFull.columns+" FROM (SELECT e.* FROM edges e WHERE e.tenant = $1 AND e.grp = "+group+" AND e.member > 0"+where+holds+order+
		" LIMIT "+b.add(q.Limit)+") e"+inFull.join+order, b...)
}

// MembershipsOf implements [directory.Reader].
func (r *reader) MembershipsOf(members []id.Member, at time.Time) ([]directory.Membership, error) {
	if len(members) == 0 {
		return nil, nil
	}
	query := "SELECT " + standingColumns + " FROM edges e WHERE e.tenant = $1 AND e.member = ANY($3::int[]) AND "
	if at.IsZero() {
		query += "$2::bigint = 0"
	} else {
		query += valid + " AND (e.member < 0 OR EXISTS (SELECT 1 FROM users u WHERE u.tenant = e.tenant AND u.number = e.member AND " + active + "))"
	}
	return all(r.ctx, r.c, scanStanding, query+" ORDER BY e.member, e.grp", r.pk, micros(at), integers(members))
}

// Links implements [directory.Reader].
func (r *reader) Links(of []id.Number) ([]directory.Membership, error) {
	if len(of) == 0 {
		return nil, nil
	}
	return all(r.ctx, r.c, scanStanding, "SELECT "+standingColumns+
		" FROM edges e WHERE e.tenant = $1 AND e.grp = ANY($2::int[]) AND e.member < 0 ORDER BY e.grp, e.member", r.pk, integers(of))
}

// lookup is a table, to be joined, of the edges that a condition picks for each row
// before it. OFFSET 0 keeps the condition inside, so that each row looks its edges
// up by index: what the planner believes of a table that has just grown makes it
// read all of it instead, at every level of a deep graph.
func lookup(where string) string {
	return " CROSS JOIN LATERAL (SELECT e.grp, e.member, e.starts, e.ends FROM edges e WHERE e.tenant = $1 AND " + where + " OFFSET 0) e"
}

// above yields, as up(g), the groups that a member, $3, stands in at a moment,
// $2, directly and through groups.
var above = `WITH RECURSIVE up(g) AS (
 SELECT e.grp FROM edges e WHERE e.tenant = $1 AND e.member = $3 AND ` + valid + `
 UNION SELECT e.grp FROM up` + lookup("e.member = -up.g AND "+valid) + `)`

// isActive is the condition that the user $3 is active at the moment $2.
const isActive = "EXISTS (SELECT 1 FROM users u WHERE u.tenant = $1 AND u.number = $3 AND " + active + ")"

// Check implements [directory.Reader].
func (r *reader) Check(user, group id.Number, at time.Time) (bool, error) {
	var in bool
	err := r.c.row(r.ctx, above+" SELECT EXISTS (SELECT 1 FROM up WHERE g = $4) AND "+isActive,
		r.pk, micros(at), int64(user), int64(group)).Scan(&in)
	return in, err
}

// GroupsOf implements [directory.Reader].
func (r *reader) GroupsOf(m id.Member, at time.Time) ([]id.Number, error) {
	return all(r.ctx, r.c, scanNumber, above+" SELECT g FROM up WHERE $3 < 0 OR "+isActive+" ORDER BY g",
		r.pk, micros(at), int64(m))
}

// Placements implements [directory.Reader].
func (r *reader) Placements(users []id.Number, at time.Time) ([]directory.Edge, error) {
	if len(users) == 0 {
		return nil, nil
	}
	return all(r.ctx, r.c, scanEdge, `WITH RECURSIVE up(m, g) AS (
 SELECT e.member, e.grp FROM unnest($3::int[]) AS j(m)`+lookup("e.member = j.m AND "+valid)+`
 UNION SELECT up.m, e.grp FROM up`+lookup("e.member = -up.g AND "+valid)+`)
 SELECT g, m FROM up ORDER BY m, g`, r.pk, micros(at), integers(users))
}

func scanEdge(row scanner) (directory.Edge, error) {
	var grp, member int64
	err := row.Scan(&grp, &member)
	return directory.Edge{Group: id.Number(grp), Member: id.Member(member)}, err
}

// MembersOf implements [directory.Reader].
func (r *reader) MembersOf(group id.Number, at time.Time, after id.Number, limit int) ([]id.Number, error) {
	return all(r.ctx, r.c, scanNumber, `WITH RECURSIVE down(g) AS (
 SELECT $3::int UNION SELECT -e.member FROM down`+lookup("e.grp = down.g AND e.member < 0 AND "+valid)+`)
 SELECT DISTINCT u.number FROM down`+lookup("e.grp = down.g AND e.member > $4 AND "+valid)+`
 CROSS JOIN LATERAL (SELECT u.number FROM users u WHERE u.tenant = $1 AND u.number = e.member AND `+active+" OFFSET 0) u ORDER BY u.number LIMIT $5",
		r.pk, micros(at), int64(group), int64(after), limit)
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
	serial := w.head.nextSerial
	w.head.nextSerial += int64(len(edges))
	w.head.dirty = true
	groups, members := split(edges)
	n, err := w.c.affect(w.ctx, `INSERT INTO edges (tenant, grp, member, serial, revision, added, starts, ends, role, source, reason)
 SELECT $1, j.grp, j.member, $4::bigint + j.n - 1, $5, 0, $6, $7, $8, $9, $10
 FROM unnest($2::int[], $3::int[]) WITH ORDINALITY AS j(grp, member, n) ORDER BY 2, 3
 ON CONFLICT (tenant, grp, member) DO NOTHING`,
		w.pk, groups, members, serial, w.next(), micros(s.From), micros(s.Until), int16(s.Role), textOrNull(s.Source), textOrNull(s.Reason))
	if err != nil {
		return nil, err
	}
	if n == 0 {
		w.head.nextSerial = serial
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
 VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $8, $9, $10) ON CONFLICT (tenant, grp, member) DO NOTHING`,
		w.pk, int64(e.Group), int64(e.Member), w.head.nextSerial, w.next(),
		micros(s.From), micros(s.Until), int16(s.Role), textOrNull(s.Source), textOrNull(s.Reason))
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return w.reader.Standing([]directory.Edge{e})
	}
	w.head.nextSerial++
	w.head.dirty = true
	w.recordEdges(directory.MembersAdded, []directory.Edge{e}, s)
	return nil, nil
}

// archive keeps how the memberships on the edges, as arrays, stood until this
// commit, unless they stood so in it alone.
func (w *writer) archive(groups, members []int32) error {
	return w.c.exec(w.ctx, `INSERT INTO periods (tenant, grp, member, revision, ended, serial, added, starts, ends, role, source, reason)
 SELECT e.tenant, e.grp, e.member, e.revision, $4, e.serial, e.added, e.starts, e.ends, e.role, e.source, e.reason`+fromEdges+" AND e.revision < $4",
		w.pk, groups, members, w.next())
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
	starts, ends, roles := make([]int64, len(list)), make([]int64, len(list)), make([]int16, len(list))
	sources, reasons := make([]*string, len(list)), make([]*string, len(list))
	for i, m := range list {
		edges[i] = m.Edge
		starts[i], ends[i], roles[i] = micros(m.From), micros(m.Until), int16(m.Role)
		sources[i], reasons[i] = textOrNull(m.Source), textOrNull(m.Reason)
	}
	groups, members := split(edges)
	if err := w.archive(groups, members); err != nil {
		return err
	}
	err := w.c.exec(w.ctx, `UPDATE edges e SET added = CASE e.added WHEN 0 THEN e.revision ELSE e.added END,
 revision = $4, starts = j.starts, ends = j.ends, role = j.role, source = j.source, reason = j.reason
 FROM unnest($2::int[], $3::int[], $5::bigint[], $6::bigint[], $7::smallint[], $8::text[], $9::text[])
  AS j(grp, member, starts, ends, role, source, reason) WHERE e.tenant = $1 AND e.grp = j.grp AND e.member = j.member`,
		w.pk, groups, members, w.next(), starts, ends, roles, sources, reasons)
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
	groups, members := split(edges)
	if err := w.archive(groups, members); err != nil {
		return err
	}
	err := w.c.exec(w.ctx, "DELETE FROM edges e USING "+theEdges+" WHERE e.tenant = $1 AND e.grp = j.grp AND e.member = j.member",
		w.pk, groups, members)
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
