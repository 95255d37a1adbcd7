package sqlite

import (
	"context"
	"database/sql"

	"roster/internal/directory"
	"roster/internal/id"
)

const tenantColumns = "id, code, name, title, version, created, modified, attributes"

func scanTenant(row scanner) (directory.Tenant, error) {
	var t directory.Tenant
	var tid []byte
	var created, modified int64
	var attributes sql.NullString
	err := row.Scan(&tid, &t.Code, &t.Name, &t.Title, &t.Version, &created, &modified, &attributes)
	if err != nil {
		return t, err
	}
	copy(t.ID[:], tid)
	t.Created, t.Modified = fromMicros(created), fromMicros(modified)
	t.Attributes, err = decode[directory.Attributes](attributes)
	return t, err
}

// Tenants implements [directory.Store].
func (s *Store) Tenants(ctx context.Context, after int64, limit int) (list []directory.Tenant, err error) {
	err = s.read(ctx, func(c *conn) (err error) {
		list, err = all(ctx, c, scanTenant, "SELECT "+tenantColumns+" FROM tenants WHERE code > ? ORDER BY code LIMIT ?", max(after, 0), limit)
		return err
	})
	return list, classify(err)
}

func (s *Store) findTenant(ctx context.Context, where string, arg any) (t directory.Tenant, err error) {
	err = s.read(ctx, func(c *conn) (err error) {
		t, err = scanTenant(c.row(ctx, "SELECT "+tenantColumns+" FROM tenants WHERE pk > 1 AND "+where, arg))
		return gone(err, directory.ErrNoTenant)
	})
	return t, classify(err)
}

// TenantByName implements [directory.Store].
func (s *Store) TenantByName(ctx context.Context, name string) (directory.Tenant, error) {
	return s.findTenant(ctx, "name = ?", name)
}

// TenantByID implements [directory.Store].
func (s *Store) TenantByID(ctx context.Context, t id.Tenant) (directory.Tenant, error) {
	return s.findTenant(ctx, "id = ?", t[:])
}

// TenantByCode implements [directory.Store].
func (s *Store) TenantByCode(ctx context.Context, code int64) (directory.Tenant, error) {
	return s.findTenant(ctx, "code = ?", code)
}

// Tenant implements [directory.Reader].
func (r *reader) Tenant() (directory.Tenant, error) {
	t, err := scanTenant(r.c.row(r.quick(), "SELECT "+tenantColumns+" FROM tenants WHERE pk = ?", r.pk))
	return t, gone(err, directory.ErrNoTenant)
}

// Shape implements [directory.Reader].
func (r *reader) Shape() (int64, error) {
	var shape int64
	err := r.c.row(r.quick(), "SELECT shape FROM tenants WHERE pk = ?", r.pk).Scan(&shape)
	return shape, gone(err, directory.ErrNoTenant)
}

// Shape implements [directory.Reader], as this transaction has made it.
func (w *writer) Shape() (int64, error) { return w.row.shape, nil }

// InsertTenant implements [directory.Writer].
func (w *writer) InsertTenant(t *directory.Tenant) error {
	if err := w.save(); err != nil {
		return err
	}
	if err := w.unused(kindTenant, 0, t.ID[:], t.Code); err != nil {
		return err
	}
	if t.ID.IsZero() {
		t.ID = id.New[id.Tenant]()
	}
	if err := w.nextCode("tenant", &t.Code); err != nil {
		return err
	}
	t.Version, t.Created, t.Modified = 1, w.at, w.at
	attributes, err := encode(t.Attributes)
	if err != nil {
		return err
	}
	err = w.c.exec(w.ctx, "INSERT INTO tenants (id, code, name, title, version, created, modified, attributes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		t.ID[:], t.Code, t.Name, t.Title, t.Version, micros(t.Created), micros(t.Modified), attributes)
	if err != nil {
		return classify(err)
	}
	w.record(directory.TenantChange(directory.TenantCreated, directory.Tenant{}, *t))
	return nil
}

// UpdateTenant implements [directory.Writer].
func (w *writer) UpdateTenant(before, after directory.Tenant) error {
	if err := w.save(); err != nil {
		return err
	}
	attributes, err := encode(after.Attributes)
	if err != nil {
		return err
	}
	err = w.c.exec(w.ctx, "UPDATE tenants SET name = ?, title = ?, version = ?, modified = ?, attributes = ? WHERE pk = ?",
		after.Name, after.Title, before.Version+1, micros(w.at), attributes, w.pk)
	if err != nil {
		return classify(err)
	}
	w.record(directory.TenantChange(directory.TenantUpdated, before, after))
	return nil
}

// tenantTables are those with rows of a tenant's own, other than tenants and graves.
var tenantTables = []string{"users", "groups", "externals", "edges", "periods", "pasts", "log", "credentials", "signins", "kept", "visits"}

// DeleteTenant implements [directory.Writer].
func (w *writer) DeleteTenant(t directory.Tenant) error {
	if err := w.save(); err != nil {
		return err
	}
	row, err := w.m.row(w.ctx, t.ID)
	if err != nil {
		return err
	}
	if err := w.m.writeLog(w.ctx); err != nil {
		return err
	}
	w.m.names.forget()
	for _, bury := range []string{
		"INSERT INTO graves (tenant, kind, number, id, code, name) SELECT tenant, 1, number, id, code, name FROM users WHERE tenant = ?",
		"INSERT INTO graves (tenant, kind, number, id, code, name) SELECT tenant, 2, number, id, code, name FROM groups WHERE tenant = ?",
	} {
		if err := w.c.exec(w.ctx, bury, row.pk); err != nil {
			return err
		}
	}
	// Nothing of the tenant's people may stay with persons that nobody else is.
	err = w.c.exec(w.ctx, `UPDATE persons SET email_fold = NULL WHERE id IN (SELECT u.person FROM users u WHERE u.tenant = ?1)
 AND NOT EXISTS (SELECT 1 FROM users u WHERE u.person = persons.id AND u.tenant <> ?1 AND u.email_verified = 1 AND u.email_fold = persons.email_fold)`, row.pk)
	if err != nil {
		return err
	}
	for _, table := range tenantTables {
		if err := w.c.exec(w.ctx, "DELETE FROM "+table+" WHERE tenant = ?", row.pk); err != nil {
			return err
		}
	}
	if err := w.bury(kindTenant, id.Number(row.pk), t.ID[:], t.Code, t.Name); err != nil {
		return err
	}
	if err := w.c.exec(w.ctx, "DELETE FROM tenants WHERE pk = ?", row.pk); err != nil {
		return err
	}
	w.deleted = append(w.deleted, t.ID)
	w.record(directory.TenantChange(directory.TenantDeleted, t, directory.Tenant{}))
	return nil
}
