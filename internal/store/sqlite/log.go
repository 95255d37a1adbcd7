package sqlite

import (
	"context"
	"database/sql"
	"iter"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/changelog"
)

// commitsPage is how many commits are read at once, so that a reader of a long
// log does not hold a snapshot open.
const commitsPage = 256

const logColumns = "l.revision, l.at, l.credential, l.user, l.actor, l.dialect, l.request, l.body"

func scanCommit(row scanner) (*directory.Commit, error) {
	l, err := scanLogged(row)
	return l.Commit, err
}

// scanLogged scans the columns of a commit and, after these, more.
func scanLogged(row scanner, more ...any) (directory.Logged, error) {
	c := &directory.Commit{}
	l := directory.Logged{Commit: c}
	var revision, at int64
	var credential, user []byte
	var body string
	err := row.Scan(append([]any{&revision, &at, &credential, &user, &c.Actor.Name, &c.Dialect, &c.Request, &body}, more...)...)
	if err != nil {
		return l, err
	}
	c.Revision, c.At = directory.Revision(revision), fromMicros(at)
	copy(c.Actor.Credential[:], credential)
	copy(c.Actor.User[:], user)
	c.Changes, err = changelog.Decode([]byte(body))
	return l, err
}

// Log implements [directory.Reader].
func (r *reader) Log(q directory.LogQuery, fn func(directory.Logged) error) error {
	order := " ORDER BY l.revision DESC LIMIT ?9"
	if q.Ascending {
		order = " ORDER BY l.revision LIMIT ?9"
	}
	return r.c.each(r.ctx, func(row scanner) error {
		var number int64
		l, err := scanLogged(row, &number)
		if err != nil {
			return err
		}
		l.ActorNumber = id.Number(number)
		return fn(l)
	}, "SELECT "+logColumns+`, coalesce(u.number, g.number, 0) FROM log l LEFT JOIN users u ON u.tenant = l.tenant AND u.id = l.user
 LEFT JOIN graves g ON g.tenant = l.tenant AND g.kind = 1 AND g.id = l.user
 WHERE l.tenant = ?1 AND l.revision >= ?2 AND l.revision <= ?3 AND (?4 IS NULL OR l.credential = ?4) AND (?5 IS NULL OR l.user = ?5)
 AND (?6 = '' OR l.actor = ?6) AND (?7 = '' OR l.dialect = ?7) AND (?8 = '' OR l.request = ?8)`+order,
		r.pk, int64(min(q.From, 1<<62)), int64(min(q.To, 1<<62)), bytesOrNull(q.Credential[:]), bytesOrNull(q.User[:]), q.Name, q.Dialect, q.Request, q.Limit)
}

// Commits implements [directory.Store].
func (s *Store) Commits(ctx context.Context, t id.Tenant, after directory.Revision) iter.Seq2[*directory.Commit, error] {
	return func(yield func(*directory.Commit, error) bool) {
		for {
			if recent, ok := s.tails.After(t, after); ok {
				for _, c := range recent {
					if !yield(c, nil) {
						return
					}
				}
				return
			}
			var page []*directory.Commit
			err := s.read(ctx, func(c *conn) error {
				pk, err := s.tenant(ctx, c, t)
				if err != nil {
					return err
				}
				page, err = all(ctx, c, scanCommit,
					"SELECT "+logColumns+" FROM log l WHERE l.tenant = ? AND l.revision > ? ORDER BY l.revision LIMIT ?",
					pk, int64(after), commitsPage)
				return err
			})
			if err != nil {
				yield(nil, classify(err))
				return
			}
			for _, c := range page {
				if !yield(c, nil) {
					return
				}
				after = c.Revision
			}
			if len(page) < commitsPage {
				return
			}
		}
	}
}

// Authors implements [directory.Reader].
func (r *reader) Authors(revisions []directory.Revision) ([]directory.Authored, error) {
	numbers := make([]int64, len(revisions))
	for i, rev := range revisions {
		numbers[i] = int64(rev)
	}
	return all(r.ctx, r.c, func(row scanner) (directory.Authored, error) {
		var a directory.Authored
		var at int64
		var credential, user []byte
		var credentialCode, personCode sql.NullInt64
		err := row.Scan(&a.Revision, &at, &credential, &user, &a.Actor.Name, &a.Dialect, &a.Request, &credentialCode, &personCode)
		a.At, a.CredentialCode, a.PersonCode = fromMicros(at), credentialCode.Int64, personCode.Int64
		copy(a.Actor.Credential[:], credential)
		copy(a.Actor.User[:], user)
		return a, err
	}, `SELECT l.revision, l.at, l.credential, l.user, l.actor, l.dialect, l.request, c.code, p.code FROM log l
 LEFT JOIN credentials c ON c.tenant IN (l.tenant, 1) AND c.id = l.credential
 LEFT JOIN users u ON u.tenant = l.tenant AND u.id = l.user LEFT JOIN persons p ON p.id = u.person
 WHERE l.tenant = ? AND l.revision IN (SELECT value FROM json_each(?)) ORDER BY l.revision`, r.pk, integers(numbers))
}

// Scan implements [directory.Reader].
func (r *reader) Scan(
	users func(id.Number, id.User, bool, time.Time) error,
	groups func(id.Number, id.Group) error,
	edges func(directory.Edge, directory.Standing) error,
) error {
	err := r.c.each(r.ctx, func(row scanner) error {
		var number, expires int64
		var uid []byte
		var suspended bool
		if err := row.Scan(&number, &uid, &suspended, &expires); err != nil {
			return err
		}
		u, err := id.FromBytes[id.User](uid)
		if err != nil {
			return err
		}
		return users(id.Number(number), u, suspended, fromMicros(expires))
	}, "SELECT number, id, suspended, expires FROM users WHERE tenant = ? ORDER BY number", r.pk)
	if err != nil {
		return err
	}
	err = r.c.each(r.ctx, func(row scanner) error {
		var number int64
		var gid []byte
		if err := row.Scan(&number, &gid); err != nil {
			return err
		}
		g, err := id.FromBytes[id.Group](gid)
		if err != nil {
			return err
		}
		return groups(id.Number(number), g)
	}, "SELECT number, id FROM groups WHERE tenant = ? ORDER BY number", r.pk)
	if err != nil {
		return err
	}
	return r.c.each(r.ctx, func(row scanner) error {
		var grp, member, starts, ends int64
		if err := row.Scan(&grp, &member, &starts, &ends); err != nil {
			return err
		}
		return edges(directory.Edge{Group: id.Number(grp), Member: id.Member(member)},
			directory.Standing{From: fromMicros(starts), Until: fromMicros(ends)})
	}, "SELECT grp, member, starts, ends FROM edges WHERE tenant = ? ORDER BY grp, member", r.pk)
}
