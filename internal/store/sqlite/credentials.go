package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"strings"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

const credentialColumns = "t.id, c.id, c.code, c.kind, c.name, c.handle, c.user, c.parent, c.grants, c.expires, c.created, c.used, c.sealed, c.hash, c.attributes"

const fromCredentials = " FROM credentials c JOIN tenants t ON t.pk = c.tenant"

func scanCredential(row scanner) (directory.Credential, error) {
	var c directory.Credential
	var tenant, cid, user, parent []byte
	var grants, expires, created, used int64
	var attributes sql.NullString
	err := row.Scan(&tenant, &cid, &c.Code, &c.Kind, &c.Name, &c.Handle, &user, &parent, &grants, &expires, &created, &used, &c.Sealed, &c.Hash, &attributes)
	if err != nil {
		return c, err
	}
	copy(c.Tenant[:], tenant)
	copy(c.User[:], user)
	copy(c.Parent[:], parent)
	c.Grants, c.Expires, c.Created, c.Used = directory.Grants(grants), fromMicros(expires), fromMicros(created), fromMicros(used)
	if c.ID, err = id.FromBytes[id.Credential](cid); err != nil {
		return c, err
	}
	c.Attributes, err = decode[directory.Attributes](attributes)
	return c, err
}

// CredentialByHash implements [directory.Store].
func (s *Store) CredentialByHash(ctx context.Context, kind directory.CredentialKind, hash []byte) (directory.Credential, error) {
	var found directory.Credential
	err := s.read(ctx, func(c *conn) (err error) {
		found, err = scanCredential(c.row(ctx, "SELECT "+credentialColumns+fromCredentials+" WHERE c.kind = ? AND c.hash = ?", string(kind), hash))
		return gone(err, directory.ErrNoCredential)
	})
	return found, classify(err)
}

// Touch implements [directory.Store]. It rides on the platform's next commit
// group but leaves nothing in the log.
func (s *Store) Touch(ctx context.Context, used map[id.Credential]time.Time) error {
	_, err := s.Update(ctx, id.Tenant{}, directory.Author{}, func(dw directory.Writer) error {
		w := dw.(*writer)
		if err := w.save(); err != nil {
			return err
		}
		for c, at := range used {
			if err := w.c.exec(w.ctx, "UPDATE credentials SET used = ?2 WHERE id = ?1 AND used < ?2", c[:], micros(at)); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// Credential implements [directory.Reader].
func (r *reader) Credential(c id.Credential) (directory.Credential, error) {
	found, err := scanCredential(r.c.row(r.ctx, "SELECT "+credentialColumns+fromCredentials+" WHERE c.tenant = ? AND c.id = ?", r.pk, c[:]))
	return found, gone(err, directory.ErrNoCredential)
}

// Credentials implements [directory.Reader].
func (r *reader) Credentials(q directory.CredentialQuery, after int64, limit int) ([]directory.Credential, error) {
	key := "c.code"
	if !q.User.IsZero() || q.Users != nil || !q.Parent.IsZero() {
		key = "+c.code" // the few that are asked for are sorted; in order of their codes all of the tenant's would be read
	}
	where, order, args := keyset(key, after, q.Descending, r.pk)
	if q.Kind != "" {
		where += " AND c.kind = ?"
		args = append(args, string(q.Kind))
	}
	if !q.User.IsZero() {
		where += " AND c.user = ?"
		args = append(args, q.User[:])
	}
	if q.Users != nil && len(q.Users) == 0 {
		return nil, nil
	}
	if q.Users != nil {
		where += " AND c.user IN (SELECT unhex(value) FROM json_each(?))"
		args = append(args, hexes(q.Users))
	}
	if !q.Parent.IsZero() {
		where += " AND c.parent = ?"
		args = append(args, q.Parent[:])
	}
	if q.Handle != "" {
		where += " AND c.handle = ?"
		args = append(args, q.Handle)
	}
	if !q.Expired.IsZero() {
		where += " AND c.expires <> 0 AND c.expires <= ?"
		args = append(args, micros(q.Expired))
	}
	args = append(args, limit)
	return all(r.ctx, r.c, scanCredential, "SELECT "+credentialColumns+fromCredentials+" WHERE c.tenant = ?"+where+order+" LIMIT ?", args...)
}

// hexes is a list of ids as a JSON array of hexadecimal texts.
func hexes[T id.UUID](ids []T) string {
	texts := make([]string, len(ids))
	for i, u := range ids {
		texts[i] = hex.EncodeToString(u[:])
	}
	return `["` + strings.Join(texts, `","`) + `"]`
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
	err = w.c.exec(w.ctx, `INSERT INTO credentials (tenant, id, code, kind, name, handle, user, parent, grants, expires, created, sealed, hash, attributes)
 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		w.pk, c.ID[:], c.Code, string(c.Kind), c.Name, c.Handle, bytesOrNull(c.User[:]), bytesOrNull(c.Parent[:]), int64(c.Grants),
		micros(c.Expires), micros(c.Created), c.Sealed, c.Hash, attributes)
	if err != nil {
		return classify(err)
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
	err = w.c.exec(w.ctx, "UPDATE credentials SET name = ?, grants = ?, expires = ?, sealed = ?, hash = ?, attributes = ? WHERE tenant = ? AND id = ?",
		c.Name, int64(c.Grants), micros(c.Expires), c.Sealed, c.Hash, attributes, w.pk, c.ID[:])
	if err != nil {
		return classify(err)
	}
	w.record(directory.CredentialChange(directory.CredentialUpdated, before, c))
	return nil
}

// DeleteCredential implements [directory.Writer].
func (w *writer) DeleteCredential(c directory.Credential) error {
	if err := w.save(); err != nil {
		return err
	}
	n, err := w.c.affect(w.ctx, "DELETE FROM credentials WHERE tenant = ? AND id = ?", w.pk, c.ID[:])
	if err != nil || n == 0 {
		return err
	}
	w.record(directory.CredentialChange(directory.CredentialRevoked, c, directory.Credential{}))
	return nil
}
