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

func scanCommit(row scanner) (*directory.Commit, error) {
	c := &directory.Commit{}
	var revision, at int64
	var credential, user pgtype.UUID
	var body string
	err := row.Scan(&revision, &at, &credential, &user, &c.Actor.Name, &c.Dialect, &c.Request, &body)
	if err != nil {
		return nil, err
	}
	c.Revision, c.At = directory.Revision(revision), fromMicros(at)
	c.Actor.Credential, c.Actor.User = credential.Bytes, user.Bytes
	c.Changes, err = changelog.Decode([]byte(body))
	return c, err
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
					"SELECT revision, at, credential, actor_user, actor, dialect, request, body FROM log WHERE tenant = $1 AND revision > $2 ORDER BY revision LIMIT $3",
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
