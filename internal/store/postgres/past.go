package postgres

import (
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// past implements [directory.Past] as of a revision. Every statement of it binds
// the tenant as $1 and the revision as $2, and most a moment as $3.
type past struct {
	*reader
	rev int64
}

var _ directory.Past = (*past)(nil)

// AsOf implements [directory.Reader].
func (r *reader) AsOf(rev directory.Revision) (directory.Past, error) {
	var horizon int64
	if err := r.c.row(r.ctx, "SELECT horizon FROM heads WHERE tenant = $1", r.pk).Scan(&horizon); err != nil {
		return nil, gone(err, directory.ErrNoTenant)
	}
	if int64(rev) < horizon {
		return nil, directory.ErrForgotten
	}
	return &past{reader: r, rev: int64(rev)}, nil
}

// RevisionAt implements [directory.Reader]. Revisions are dense and their times
// ascend, so it looks for the last one by halves, in one statement. The log's
// last entry, and not the head, says where to begin: inside a transaction that
// writes the head comes last.
func (r *reader) RevisionAt(at time.Time) (directory.Revision, error) {
	var rev int64
	const early = "(SELECT l.at FROM log l WHERE l.tenant = $1 AND l.revision = (low + high + 1) / 2) <= $2"
	err := r.c.row(r.ctx, `WITH RECURSIVE half(low, high) AS (SELECT 0::bigint, coalesce((SELECT l.revision FROM log l WHERE l.tenant = $1 AND l.revision > 0 ORDER BY l.revision DESC LIMIT 1), 0)
 UNION ALL SELECT CASE WHEN `+early+" THEN (low + high + 1) / 2 ELSE low END, CASE WHEN "+early+` THEN high ELSE (low + high - 1) / 2 END
 FROM half WHERE low < high) SELECT low FROM half WHERE low = high`, r.pk, micros(at)).Scan(&rev)
	return directory.Revision(rev), err
}

func scanPeriod(row scanner) (directory.Period, error) {
	var p directory.Period
	var ended int64
	m, err := scanMembership(prefixed{row, []any{&ended}})
	p.Membership, p.Ended = m, directory.Revision(ended)
	return p, err
}

const (
	authored    = "coalesce(l.at, 0), l.credential, l.actor_user, coalesce(l.actor, ''), coalesce(l.dialect, ''), "
	joinAuthor  = " LEFT JOIN log l ON l.tenant = e.tenant AND l.revision = CASE e.added WHEN 0 THEN e.revision ELSE e.added END"
	whereOnEdge = " WHERE e.tenant = $1 AND e.grp = $2 AND e.member = $3 AND e.revision > $4"
	stoodBy     = " AND e.revision <= $2"                  // of edges, as of a revision
	stoodUntil  = " AND e.revision <= $2 AND e.ended > $2" // of periods
	heldThen    = " AND e.starts <= $3 AND (e.ends = 0 OR e.ends > $3)"
	activeThen  = "(NOT u.suspended AND (u.expires = 0 OR u.expires > $3))"
)

// wasActive is the condition that the user of that number was active.
func wasActive(number string) string {
	return "coalesce((SELECT " + activeThen + " FROM pasts u WHERE u.tenant = $1 AND u.kind = 1 AND u.number = " + number +
		" AND u.ended > $2 ORDER BY u.ended LIMIT 1), (SELECT " + activeThen + " FROM users u WHERE u.tenant = $1 AND u.number = " + number + "), false)"
}

// Periods implements [directory.Reader].
func (r *reader) Periods(e directory.Edge, after directory.Revision, limit int) ([]directory.Period, error) {
	return all(r.ctx, r.c, scanPeriod, "(SELECT e.ended, "+authored+standingColumns+" FROM periods e"+joinAuthor+whereOnEdge+
		" ORDER BY e.revision LIMIT $5) UNION ALL (SELECT 0, "+authored+standingColumns+" FROM edges e"+joinAuthor+whereOnEdge+") ORDER BY 10 LIMIT $5",
		r.pk, int64(e.Group), int64(e.Member), int64(after), limit)
}

// EndedIn implements [directory.Reader]. The periods of an edge follow one
// another, so that of a commit is the last to begin before it, if any.
func (r *reader) EndedIn(at []directory.EdgeAt) (map[directory.EdgeAt]directory.Standing, error) {
	ended := make(map[directory.EdgeAt]directory.Standing, len(at))
	if len(at) == 0 {
		return ended, nil
	}
	revisions, edges := make([]int64, len(at)), make([]directory.Edge, len(at))
	for i, e := range at {
		revisions[i], edges[i] = int64(min(e.Revision, 1<<62)), e.Edge
	}
	groups, members := split(edges)
	err := r.c.each(r.ctx, func(row scanner) error {
		var rev int64
		m, err := scanStanding(prefixed{row, []any{&rev}})
		ended[directory.EdgeAt{Edge: m.Edge, Revision: directory.Revision(rev)}] = m.Standing
		return err
	}, "SELECT e.ended, "+standingColumns+` FROM unnest($2::bigint[], $3::int[], $4::int[]) AS j(revision, grp, member)
 JOIN periods e ON e.tenant = $1 AND e.grp = j.grp AND e.member = j.member AND e.ended = j.revision
 AND e.revision = (SELECT p.revision FROM periods p WHERE p.tenant = $1 AND p.grp = j.grp AND p.member = j.member AND p.revision < j.revision ORDER BY p.revision DESC LIMIT 1)`,
		r.pk, revisions, groups, members)
	return ended, err
}

// dated are the edges with a date after $2 and no later than $3, and the users who
// expire, with those that have been.
const dated = `SELECT e.grp, e.member FROM edges e WHERE e.tenant = $1 AND e.starts <> 0 AND e.starts > $2 AND e.starts <= $3
 UNION ALL SELECT e.grp, e.member FROM edges e WHERE e.tenant = $1 AND e.ends <> 0 AND e.ends > $2 AND e.ends <= $3
 UNION ALL SELECT e.grp, e.member FROM periods e WHERE e.tenant = $1 AND e.starts <> 0 AND e.starts > $2 AND e.starts <= $3
 UNION ALL SELECT e.grp, e.member FROM periods e WHERE e.tenant = $1 AND e.ends <> 0 AND e.ends > $2 AND e.ends <= $3
 UNION ALL SELECT 0, u.number FROM users u WHERE u.tenant = $1 AND u.expires <> 0 AND u.expires > $2 AND u.expires <= $3
 UNION ALL SELECT 0, u.number FROM pasts u WHERE u.tenant = $1 AND u.kind = 1 AND u.expires <> 0 AND u.expires > $2 AND u.expires <= $3 LIMIT $4`

// Dated implements [directory.Reader].
func (r *reader) Dated(after, until time.Time, limit int) ([]directory.Edge, error) {
	return all(r.ctx, r.c, scanEdge, dated, r.pk, micros(after), micros(until), limit)
}

// both runs a query over what stands still and over what ended since.
func both(query func(table, stood string) string) string {
	return query("edges", stoodBy) + " UNION ALL " + query("periods", stoodUntil)
}

// Standing implements [directory.Past].
func (p *past) Standing(edges []directory.Edge) ([]directory.Membership, error) {
	if len(edges) == 0 {
		return nil, nil
	}
	groups, members := split(edges)
	return all(p.ctx, p.c, scanStanding, both(func(table, stood string) string {
		return "SELECT " + standingColumns + " FROM unnest($3::int[], $4::int[]) AS j(grp, member) JOIN " + table + " e ON e.tenant = $1 AND e.grp = j.grp AND e.member = j.member" + stood
	}), p.pk, p.rev, groups, members)
}

// Memberships implements [directory.Past].
func (p *past) Memberships(q directory.MembershipQuery) ([]directory.Membership, error) {
	told := inFull
	if q.Bare {
		told = bare
	}
	holds := " AND $3::bigint = 0"
	if !q.At.IsZero() {
		holds = heldThen + " AND (e.member < 0 OR " + wasActive("e.member") + ")"
	}
	page := func(where, order string, after int64, limit int, end string) ([]directory.Membership, error) {
		return all(p.ctx, p.c, told.scan, both(func(table, stood string) string {
			return "(SELECT " + told.columns + " FROM " + table + " e" + told.join +
				" WHERE e.tenant = $1" + where + stood + holds + " ORDER BY " + order + " LIMIT $6)"
		})+end, p.pk, p.rev, micros(q.At), int64(q.Group)+int64(q.Member), min(after, int64(id.MaxNumber)), limit)
	}
	if q.Member != 0 {
		return page(" AND e.member = $4 AND e.grp > $5", "e.grp", q.After, q.Limit, " ORDER BY "+told.grp+" LIMIT $6")
	}
	var list []directory.Membership
	if q.After < int64(id.MaxNumber) {
		groups, err := page(" AND e.grp = $4 AND e.member < $5 AND e.member < 0", "e.member DESC", -q.After, q.Limit, " ORDER BY "+told.member+" DESC LIMIT $6")
		if err != nil || len(groups) == q.Limit {
			return groups, err
		}
		list = groups
	}
	users, err := page(" AND e.grp = $4 AND e.member > $5", "e.member", max(q.After-int64(id.MaxNumber), 0), q.Limit-len(list), " ORDER BY "+told.member+" LIMIT $6")
	return append(list, users...), err
}

func scanLink(row scanner) (directory.Link, error) {
	var grp, member, starts, ends int64
	err := row.Scan(&grp, &member, &starts, &ends)
	return directory.Link{Edge: directory.Edge{Group: id.Number(grp), Member: id.Member(member)}, From: fromMicros(starts), Until: fromMicros(ends)}, err
}

// Climb implements [directory.Reader].
func (r *reader) Climb(of []id.Member) ([]directory.Link, error) {
	if len(of) == 0 {
		return nil, nil
	}
	above := lookup("e.member = up.m")
	return all(r.ctx, r.c, scanLink, `WITH RECURSIVE up(m) AS (SELECT m FROM unnest($2::int[]) AS j(m)
 UNION SELECT -e.grp FROM up`+above+`)
 SELECT e.grp, e.member, e.starts, e.ends FROM up`+above+" ORDER BY e.grp, e.member",
		r.pk, integers(of))
}

// Descend implements [directory.Reader].
func (r *reader) Descend(of []id.Number) ([]directory.Link, error) {
	if len(of) == 0 {
		return nil, nil
	}
	below := lookup("e.grp = down.g AND e.member < 0")
	return all(r.ctx, r.c, scanLink, `WITH RECURSIVE down(g) AS (SELECT g FROM unnest($2::int[]) AS j(g)
 UNION SELECT -e.member FROM down`+below+`)
 SELECT e.grp, e.member, e.starts, e.ends FROM down`+below+" ORDER BY e.grp, e.member",
		r.pk, integers(of))
}

// Edges implements [directory.Reader].
func (r *reader) Edges(groups []id.Number, members []id.Member, limit int) ([]directory.Edge, error) {
	return all(r.ctx, r.c, scanEdge, `SELECT e.grp, e.member FROM unnest($2::int[]) AS j(grp) JOIN edges e ON e.tenant = $1 AND e.grp = j.grp
 UNION SELECT e.grp, e.member FROM unnest($3::int[]) AS j(member) JOIN edges e ON e.tenant = $1 AND e.member = j.member ORDER BY 1, 2 LIMIT $4`,
		r.pk, integers(groups), integers(members), limit)
}

// ever is a table, to be joined, of what stood then on the edges that a condition
// picks, from both tables.
func ever(where string) string {
	const columns = "SELECT e.grp, e.member, e.starts, e.ends FROM "
	return " CROSS JOIN LATERAL (" + columns + "edges e WHERE e.tenant = $1 AND " + where + stoodBy +
		" UNION ALL " + columns + "periods e WHERE e.tenant = $1 AND " + where + stoodUntil + ") e "
}

// Climb implements [directory.Past].
func (p *past) Climb(of []id.Member) ([]directory.Link, error) {
	if len(of) == 0 {
		return nil, nil
	}
	above := ever("e.member = up.m")
	return all(p.ctx, p.c, scanLink, `WITH RECURSIVE up(m) AS (SELECT m FROM unnest($3::int[]) AS j(m)
 UNION SELECT -e.grp FROM up`+above+`)
 SELECT e.grp, e.member, e.starts, e.ends FROM up`+above+" ORDER BY 1, 2",
		p.pk, p.rev, integers(of))
}

// Of the members in the array $4, everInto yields, as up(m, g), the groups that
// each stood in at a moment, directly and through groups.
var everInto = `WITH RECURSIVE up(m, g) AS (
 SELECT e.member, e.grp FROM unnest($4::int[]) AS j(m)` + ever("e.member = j.m"+heldThen) + `
 UNION SELECT up.m, e.grp FROM up` + ever("e.member = -up.g"+heldThen) + ")"

// Check implements [directory.Past]. It looks no further up than the group.
func (p *past) Check(user, group id.Number, at time.Time) (bool, error) {
	var in bool
	err := p.c.row(p.ctx, everInto+" SELECT EXISTS (SELECT 1 FROM up WHERE up.g = $5) AND "+wasActive("$6"),
		p.pk, p.rev, micros(at), integers([]id.Number{user}), int64(group), int64(user)).Scan(&in)
	return in, err
}

// Checks implements [directory.Past].
func (p *past) Checks(of []directory.Edge, at time.Time) ([]directory.Edge, error) {
	if len(of) == 0 {
		return nil, nil
	}
	groups, members := split(of)
	return all(p.ctx, p.c, scanEdge, everInto+` SELECT DISTINCT j.grp, j.member
 FROM unnest($5::int[], $4::int[]) AS j(grp, member) JOIN up ON up.m = j.member AND up.g = j.grp WHERE `+wasActive("up.m"),
		p.pk, p.rev, micros(at), members, groups)
}

// Checks implements [directory.Reader].
func (r *reader) Checks(of []directory.Edge, at time.Time) ([]directory.Edge, error) {
	if len(of) == 0 {
		return nil, nil
	}
	groups, members := split(of)
	return all(r.ctx, r.c, scanEdge, `WITH RECURSIVE up(m, g) AS (
 SELECT e.member, e.grp FROM unnest($4::int[]) AS j(m)`+lookup("e.member = j.m AND "+valid)+`
 UNION SELECT up.m, e.grp FROM up`+lookup("e.member = -up.g AND "+valid)+`)
 SELECT DISTINCT j.grp, j.member FROM unnest($3::int[], $4::int[]) AS j(grp, member) JOIN up ON up.m = j.member AND up.g = j.grp
 JOIN users u ON u.tenant = $1 AND u.number = up.m AND `+active, r.pk, micros(at), groups, members)
}

// GroupsOf implements [directory.Past].
func (p *past) GroupsOf(m id.Member, at time.Time) ([]id.Number, error) {
	return all(p.ctx, p.c, scanNumber, everInto+" SELECT g FROM up WHERE up.m < 0 OR "+wasActive("up.m")+" ORDER BY g",
		p.pk, p.rev, micros(at), integers([]id.Member{m}))
}

// MembersOf implements [directory.Past].
func (p *past) MembersOf(group id.Number, at time.Time, after id.Number, limit int) ([]id.Number, error) {
	return all(p.ctx, p.c, scanNumber, `WITH RECURSIVE down(g) AS (SELECT $4::int
 UNION SELECT -e.member FROM down`+ever("e.grp = down.g AND e.member < 0"+heldThen)+`)
 SELECT m FROM (SELECT DISTINCT e.member AS m FROM down`+ever("e.grp = down.g AND e.member > $5"+heldThen)+`) s
 WHERE `+wasActive("m")+" ORDER BY m LIMIT $6",
		p.pk, p.rev, micros(at), int64(group), int64(after), limit)
}
