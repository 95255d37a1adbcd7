package postgres

import (
	"context"

	"roster/internal/directory"
	"roster/internal/id"
)

const tenantColumns = "t.id, t.code, t.name, t.title, t.version, t.created, t.modified, t.attributes"

func scanTenant(row scanner) (directory.Tenant, error) {
	var t directory.Tenant
	var created, modified int64
	var attributes *string
	err := row.Scan((*[16]byte)(&t.ID), &t.Code, &t.Name, &t.Title, &t.Version, &created, &modified, &attributes)
	if err != nil {
		return t, err
	}
	t.Created, t.Modified = fromMicros(created), fromMicros(modified)
	t.Attributes, err = decode[directory.Attributes](attributes)
	return t, err
}

// Tenants implements [directory.Store].
func (s *Store) Tenants(ctx context.Context, after int64, limit int) (list []directory.Tenant, err error) {
	err = s.read(ctx, func(ctx context.Context, c *conn) (err error) {
		list, err = all(ctx, c, scanTenant, "SELECT "+tenantColumns+" FROM tenants t WHERE t.code > $1 ORDER BY t.code LIMIT $2", max(after, 0), limit)
		return err
	})
	return list, classify(err)
}

func (s *Store) findTenant(ctx context.Context, where string, arg any) (t directory.Tenant, err error) {
	err = s.read(ctx, func(ctx context.Context, c *conn) (err error) {
		t, err = scanTenant(c.row(ctx, "SELECT "+tenantColumns+" FROM tenants t WHERE t.pk > 1 AND "+where, arg))
		return gone(err, directory.ErrNoTenant)
	})
	return t, classify(err)
}

// TenantByName implements [directory.Store].
func (s *Store) TenantByName(ctx context.Context, name string) (directory.Tenant, error) {
	if !storable(name) {
		return directory.Tenant{}, directory.ErrNoTenant
	}
	return s.findTenant(ctx, "t.name = $1", name)
}

// TenantByID implements [directory.Store].
func (s *Store) TenantByID(ctx context.Context, t id.Tenant) (directory.Tenant, error) {
	return s.findTenant(ctx, "t.id = $1", uuid(t))
}

// TenantByCode implements [directory.Store].
func (s *Store) TenantByCode(ctx context.Context, code int64) (directory.Tenant, error) {
	return s.findTenant(ctx, "t.code = $1", code)
}

// Tenant implements [directory.Reader].
func (r *reader) Tenant() (directory.Tenant, error) {
	t, err := scanTenant(r.c.row(r.ctx, "SELECT "+tenantColumns+" FROM tenants t WHERE t.pk = $1", r.pk))
	return t, gone(err, directory.ErrNoTenant)
}

// Shape implements [directory.Reader], as this transaction has made it.
func (w *writer) Shape() (int64, error) { return w.head.shape, nil }

// InsertTenant implements [directory.Writer].
func (w *writer) InsertTenant(t *directory.Tenant) error {
	if err := w.save(); err != nil {
		return err
	}
	if err := w.unused(kindTenant, 0, t.ID); err != nil {
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
	err = w.c.exec(w.ctx, `WITH made AS (INSERT INTO tenants (id, code, name, title, version, created, modified, attributes)
 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING pk) INSERT INTO heads (tenant) SELECT pk FROM made`,
		uuid(t.ID), t.Code, t.Name, t.Title, t.Version, micros(t.Created), micros(t.Modified), attributes)
	if err != nil {
		return err
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
	err = w.c.exec(w.ctx, "UPDATE tenants SET name = $2, title = $3, version = $4, modified = $5, attributes = $6 WHERE pk = $1",
		w.pk, after.Name, after.Title, before.Version+1, micros(w.at), attributes)
	if err != nil {
		return err
	}
	w.record(directory.TenantChange(directory.TenantUpdated, before, after))
	return nil
}

// tenantTables are those with rows of a tenant's own, other than graves. heads
// is the last, so that a tenant that is going stays locked.
var tenantTables = []string{"users", "groups", "externals", "edges", "periods", "pasts", "log", "credentials", "signins", "secrets", "kept", "visits", "heads"}

// DeleteTenant implements [directory.Writer].
func (w *writer) DeleteTenant(t directory.Tenant) error {
	if err := w.save(); err != nil {
		return err
	}
	// Whoever is writing in it finishes first, on whichever node.
	var pk int64
	err := w.c.row(w.ctx, "SELECT h.tenant FROM heads h JOIN tenants t ON t.pk = h.tenant WHERE t.id = $1 FOR UPDATE OF h", uuid(t.ID)).Scan(&pk)
	if err != nil {
		return gone(err, directory.ErrNoTenant)
	}
	for _, bury := range []string{
		"INSERT INTO graves (tenant, kind, number, id, code, name) SELECT tenant, 1, number, id, code, name FROM users WHERE tenant = $1",
		"INSERT INTO graves (tenant, kind, number, id, code, name) SELECT tenant, 2, number, id, code, name FROM groups WHERE tenant = $1",
	} {
		if err := w.c.exec(w.ctx, bury, pk); err != nil {
			return err
		}
	}
	if err := w.forsake(w.ctx, pk); err != nil {
		return err
	}
	for _, table := range tenantTables {
		if err := w.c.exec(w.ctx, "DELETE FROM "+table+" WHERE tenant = $1", pk); err != nil {
			return err
		}
	}
	if err := w.bury(kindTenant, id.Number(pk), t.ID, t.Code, t.Name); err != nil {
		return err
	}
	if err := w.c.exec(w.ctx, "DELETE FROM tenants WHERE pk = $1", pk); err != nil {
		return err
	}
	w.deleted = append(w.deleted, t.ID)
	w.record(directory.TenantChange(directory.TenantDeleted, t, directory.Tenant{}))
	return nil
}
