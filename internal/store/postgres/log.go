package postgres

import (
	"context"
	"iter"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/changelog"
)

// commitsPage is how many commits are read at once, so that a reader of a long
// log does not hold a connection while they are worked on.
const commitsPage = 256

const logColumns = "l.revision, l.at, l.credential, l.actor_user, l.actor, l.dialect, l.request, l.body"

func scanCommit(row scanner) (*directory.Commit, error) {
	l, err := scanLogged(row)
	return l.Commit, err
}

// scanLogged scans the columns of a commit and, after these, more.
func scanLogged(row scanner, more ...any) (directory.Logged, error) {
	c := &directory.Commit{}
	l := directory.Logged{Commit: c}
	var revision, at int64
	var credential, user pgtype.UUID
	var body string
	err := row.Scan(append([]any{&revision, &at, &credential, &user, &c.Actor.Name, &c.Dialect, &c.Request, &body}, more...)...)
	if err != nil {
		return l, err
	}
	c.Revision, c.At = directory.Revision(revision), fromMicros(at)
	c.Actor.Credential, c.Actor.User = credential.Bytes, user.Bytes
	c.Changes, err = changelog.Decode([]byte(body))
	return l, err
}

// Log implements [directory.Reader].
func (r *reader) Log(q directory.LogQuery, fn func(directory.Logged) error) error {
	for _, text := range []string{q.Name, q.Dialect, q.Request} {
		if !storable(text) {
			return nil
		}
	}
	order := " ORDER BY l.revision DESC LIMIT $9"
	if q.Ascending {
		order = " ORDER BY l.revision LIMIT $9"
	}
	return r.c.each(r.ctx, func(row scanner) error {
		var number int64
		l, err := scanLogged(row, &number)
		if err != nil {
			return err
		}
		l.ActorNumber = id.Number(number)
		return fn(l)
	}, "SELECT "+logColumns+`, coalesce(u.number, g.number, 0) FROM log l LEFT JOIN users u ON u.tenant = l.tenant AND u.id = l.actor_user
 LEFT JOIN graves g ON g.tenant = l.tenant AND g.kind = 1 AND g.id = l.actor_user
 WHERE l.tenant = $1 AND l.revision >= $2 AND l.revision <= $3 AND ($4::uuid IS NULL OR l.credential = $4) AND ($5::uuid IS NULL OR l.actor_user = $5)
 AND ($6::text = '' OR l.actor = $6) AND ($7::text = '' OR l.dialect = $7) AND ($8::text = '' OR l.request = $8)`+order,
		r.pk, int64(min(q.From, 1<<62)), int64(min(q.To, 1<<62)), uuidOrNull(q.Credential), uuidOrNull(q.User), q.Name, q.Dialect, q.Request, q.Limit)
}

// Commits implements [directory.Store]. What this node committed itself it has at
// hand, and the database is asked only for what another may have added.
func (s *Store) Commits(ctx context.Context, t id.Tenant, after directory.Revision) iter.Seq2[*directory.Commit, error] {
	return func(yield func(*directory.Commit, error) bool) {
		for {
			if h := s.history(); h != nil { // there is none before the database was first asked
				if recent, ok := h.tails.After(t, after); ok && len(recent) > 0 {
					for _, c := range recent {
						if !yield(c, nil) {
							return
						}
						after = c.Revision
					}
					if after >= h.heardOf(t) {
						return
					}
				}
			}
			var page []*directory.Commit
			err := s.peruse(ctx, func(ctx context.Context, c *conn) error {
				pk, err := s.tenant(ctx, c, t)
				if err != nil {
					return err
				}
				page, err = all(ctx, c, scanCommit,
					"SELECT "+logColumns+" FROM log l WHERE l.tenant = $1 AND l.revision > $2 ORDER BY l.revision LIMIT $3",
					pk, int64(min(after, 1<<62)), commitsPage)
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
	return all(r.ctx, r.c, func(row scanner) (directory.Authored, error) {
		var a directory.Authored
		var revision, at int64
		var credential, user pgtype.UUID
		var credentialCode, personCode *int64
		err := row.Scan(&revision, &at, &credential, &user, &a.Actor.Name, &a.Dialect, &a.Request, &credentialCode, &personCode)
		a.Revision, a.At = directory.Revision(revision), fromMicros(at)
		a.Actor.Credential, a.Actor.User = credential.Bytes, user.Bytes
		if credentialCode != nil {
			a.CredentialCode = *credentialCode
		}
		if personCode != nil {
			a.PersonCode = *personCode
		}
		return a, err
	}, `SELECT l.revision, l.at, l.credential, l.actor_user, l.actor, l.dialect, l.request, c.code, p.code FROM log l
 LEFT JOIN credentials c ON c.tenant IN (l.tenant, 1) AND c.id = l.credential
 LEFT JOIN users u ON u.tenant = l.tenant AND u.id = l.actor_user LEFT JOIN persons p ON p.id = u.person
 WHERE l.tenant = $1 AND l.revision = ANY($2) ORDER BY l.revision`, r.pk, integers(revisions))
}

// Scan implements [directory.Reader].
func (r *reader) Scan(
	users func(id.Number, id.User, bool, time.Time) error,
	groups func(id.Number, id.Group) error,
	edges func(directory.Edge, directory.Standing) error,
) error {
	err := r.c.each(r.ctx, func(row scanner) error {
		var number, expires int64
		var uid [16]byte
		var suspended bool
		if err := row.Scan(&number, &uid, &suspended, &expires); err != nil {
			return err
		}
		return users(id.Number(number), uid, suspended, fromMicros(expires))
	}, "SELECT number, id, suspended, expires FROM users WHERE tenant = $1 ORDER BY number", r.pk)
	if err != nil {
		return err
	}
	err = r.c.each(r.ctx, func(row scanner) error {
		var number int64
		var gid [16]byte
		if err := row.Scan(&number, &gid); err != nil {
			return err
		}
		return groups(id.Number(number), gid)
	}, "SELECT number, id FROM groups WHERE tenant = $1 ORDER BY number", r.pk)
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
	}, "SELECT grp, member, starts, ends FROM edges WHERE tenant = $1 ORDER BY grp, member", r.pk)
}
