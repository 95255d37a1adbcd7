package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"roster/internal/directory"
	"roster/internal/id"
)

const credentialColumns = "t.id, c.id, c.code, c.kind, c.name, c.handle, c.user_id, c.parent, c.grants, c.expires, c.created, c.used, c.sealed, c.hash, c.attributes"

const fromCredentials = " FROM credentials c JOIN tenants t ON t.pk = c.tenant"

func scanCredential(row scanner) (directory.Credential, error) {
	var c directory.Credential
	var user, parent pgtype.UUID
	var kind string
	var grants, expires, created, used int64
	var attributes *string
	err := row.Scan((*[16]byte)(&c.Tenant), (*[16]byte)(&c.ID), &c.Code, &kind, &c.Name, &c.Handle, &user, &parent, &grants, &expires, &created, &used, &c.Sealed, &c.Hash, &attributes)
	if err != nil {
		return c, err
	}
	c.Kind, c.User, c.Parent = directory.CredentialKind(kind), user.Bytes, parent.Bytes
	c.Grants, c.Expires, c.Created, c.Used = directory.Grants(grants), fromMicros(expires), fromMicros(created), fromMicros(used)
	c.Attributes, err = decode[directory.Attributes](attributes)
	return c, err
}

// CredentialByHash implements [directory.Store].
func (s *Store) CredentialByHash(ctx context.Context, kind directory.CredentialKind, hash []byte) (directory.Credential, error) {
	var found directory.Credential
	err := s.read(ctx, func(ctx context.Context, c *conn) (err error) {
		found, err = scanCredential(c.row(ctx, "SELECT "+credentialColumns+` FROM secrets s
 JOIN credentials c ON c.tenant = s.tenant AND c.id = s.credential JOIN tenants t ON t.pk = c.tenant WHERE s.kind = $1 AND s.hash = $2`, string(kind), hash))
		return gone(err, directory.ErrNoCredential)
	})
	return found, classify(err)
}

// Touch implements [directory.Store]. It waits for nobody: a credential that is
// being changed at the moment is passed over.
func (s *Store) Touch(ctx context.Context, used map[id.Credential]time.Time) error {
	ids, at := make([]pgtype.UUID, 0, len(used)), make([]int64, 0, len(used))
	for c, t := range used {
		ids, at = append(ids, uuid(c)), append(at, micros(t))
	}
	return classify(s.read(ctx, func(ctx context.Context, c *conn) error {
		return c.exec(ctx, `WITH idle AS (SELECT c.tenant, c.id, j.at FROM unnest($1::uuid[], $2::bigint[]) AS j(id, at)
 JOIN secrets s ON s.credential = j.id JOIN credentials c ON c.tenant = s.tenant AND c.id = s.credential
 WHERE c.used < j.at FOR UPDATE OF c SKIP LOCKED)
 UPDATE credentials c SET used = idle.at FROM idle WHERE c.tenant = idle.tenant AND c.id = idle.id`, ids, at)
	}))
}

// Credential implements [directory.Reader].
func (r *reader) Credential(c id.Credential) (directory.Credential, error) {
	found, err := scanCredential(r.c.row(r.ctx, "SELECT "+credentialColumns+fromCredentials+" WHERE c.tenant = $1 AND c.id = $2", r.pk, uuid(c)))
	return found, gone(err, directory.ErrNoCredential)
}

// Credentials implements [directory.Reader].
func (r *reader) Credentials(q directory.CredentialQuery, after int64, limit int) ([]directory.Credential, error) {
	if q.Users != nil && len(q.Users) == 0 {
		return nil, nil
	}
	b := bindings{r.pk}
	where, order := b.keyset("c.code", after, q.Descending)
	if q.Kind != "" {
		where += " AND c.kind = " + b.add(string(q.Kind))
	}
	if !q.User.IsZero() {
		where += " AND c.user_id = " + b.add(uuid(q.User))
	}
	if q.Users != nil {
		where += " AND c.user_id = ANY(" + b.add(uuids(q.Users)) + ")"
	}
	if !q.Parent.IsZero() {
		where += " AND c.parent = " + b.add(uuid(q.Parent))
	}
	if q.Handle != "" {
		if !storable(q.Handle) {
			return nil, nil
		}
		where += " AND c.handle = " + b.add(q.Handle)
	}
	if !q.Expired.IsZero() {
		where += " AND c.expires <> 0 AND c.expires <= " + b.add(micros(q.Expired))
	}
	return all(r.ctx, r.c, scanCredential, "SELECT "+credentialColumns+fromCredentials+" WHERE c.tenant = $1"+where+order+" LIMIT "+b.add(limit), b...)
}

// InsertCredential implements [directory.Writer].
func (w *writer) InsertCredential(c *directory.Credential) error {
	if err := w.save(); err != nil {
		return err
	}
	if c.ID.IsZero() {
		c.ID = id.New[id.Credential]()
	}
	if err := w.nextCode("credential", &c.Code); err != nil {
		return err
	}
	c.Tenant, c.Created = w.tenant, w.at
	attributes, err := encode(c.Attributes)
	if err != nil {
		return err
	}
	err = w.c.exec(w.ctx, `WITH named AS (INSERT INTO secrets (kind, hash, credential, tenant) VALUES ($4, $13, $2, $1))
 INSERT INTO credentials (tenant, id, code, kind, name, handle, user_id, parent, grants, expires, created, sealed, hash, attributes)
 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		w.pk, uuid(c.ID), c.Code, string(c.Kind), c.Name, c.Handle, uuidOrNull(c.User), uuidOrNull(c.Parent), int64(c.Grants),
		micros(c.Expires), micros(c.Created), c.Sealed, c.Hash, attributes)
	if err != nil {
		return err
	}
	w.record(directory.CredentialChange(directory.CredentialCreated, directory.Credential{}, *c))
	return nil
}

// UpdateCredential implements [directory.Writer].
func (w *writer) UpdateCredential(c directory.Credential) error {
	if err := w.save(); err != nil {
		return err
	}
	before, err := w.Credential(c.ID)
	if err != nil {
		return err
	}
	attributes, err := encode(c.Attributes)
	if err != nil {
		return err
	}
	err = w.c.exec(w.ctx, `WITH named AS (UPDATE secrets SET hash = $7 WHERE tenant = $1 AND credential = $2 AND hash <> $7)
 UPDATE credentials SET name = $3, grants = $4, expires = $5, sealed = $6, hash = $7, attributes = $8 WHERE tenant = $1 AND id = $2`,
		w.pk, uuid(c.ID), c.Name, int64(c.Grants), micros(c.Expires), c.Sealed, c.Hash, attributes)
	if err != nil {
		return err
	}
	w.record(directory.CredentialChange(directory.CredentialUpdated, before, c))
	return nil
}

// DeleteCredential implements [directory.Writer].
func (w *writer) DeleteCredential(c directory.Credential) error {
	if err := w.save(); err != nil {
		return err
	}
	n, err := w.c.affect(w.ctx, `WITH named AS (DELETE FROM secrets WHERE tenant = $1 AND credential = $2)
 DELETE FROM credentials WHERE tenant = $1 AND id = $2`, w.pk, uuid(c.ID))
	if err != nil || n == 0 {
		return err
	}
	w.record(directory.CredentialChange(directory.CredentialRevoked, c, directory.Credential{}))
	return nil
}
