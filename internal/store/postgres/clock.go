package postgres

import (
	"context"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// Due implements [directory.Store].
func (s *Store) Due(ctx context.Context, at time.Time, limit int) ([]id.Tenant, error) {
	var due []id.Tenant
	err := s.read(ctx, func(ctx context.Context, c *conn) error {
		list, err := all(ctx, c, scanTenant, "SELECT "+tenantColumns+" FROM heads h JOIN tenants t ON t.pk = h.tenant WHERE h.due <> 0 AND h.due <= $1 ORDER BY h.due LIMIT $2", micros(at), limit)
		due = make([]id.Tenant, len(list))
		for i, t := range list {
			due[i] = t.ID
		}
		return err
	})
	return due, classify(err)
}

// Dates that came after a moment, with what they did: 1 began, 2 ended.
const turned = `SELECT e.starts, 1, e.grp, e.member FROM edges e WHERE e.tenant = $1 AND e.starts <> 0 AND e.starts > $2 AND e.starts <= $3
 UNION ALL SELECT e.ends, 2, e.grp, e.member FROM edges e WHERE e.tenant = $1 AND e.ends <> 0 AND e.ends > $2 AND e.ends <= $3 ORDER BY 1, 2, 3, 4`

// ring records the dates that have come since the last time, before anything
// else is done in a transaction that comes after them. The tenant's head is
// locked, so of all nodes one does.
func (w *writer) ring() error {
	at := micros(w.at)
	if w.head.due == 0 || w.head.due > at {
		return nil
	}
	turns, err := all(w.ctx, w.c, func(row scanner) (t directory.Turn, err error) {
		var at, what, grp, member int64
		err = row.Scan(&at, &what, &grp, &member)
		return directory.Turn{Edge: directory.Edge{Group: id.Number(grp), Member: id.Member(member)}, At: fromMicros(at), Ended: what == 2}, err
	}, turned, w.pk, w.head.clocked, at)
	if err != nil {
		return err
	}
	w.changes = append(w.changes, directory.ClockChanges(turns)...)
	w.head.clocked, w.head.dirty = at, true
	return w.c.row(w.ctx, `SELECT coalesce(least((SELECT min(e.starts) FROM edges e WHERE e.tenant = $1 AND e.starts <> 0 AND e.starts > $2),
 (SELECT min(e.ends) FROM edges e WHERE e.tenant = $1 AND e.ends <> 0 AND e.ends > $2)), 0)`, w.pk, at).Scan(&w.head.due)
}

// watch notes the dates of memberships that this transaction makes, as those to
// ring for. Those that have passed by now never ring.
func (w *writer) watch(s directory.Standing) {
	for _, date := range [...]int64{micros(s.From), micros(s.Until)} {
		if date != 0 {
			w.head.clocked, w.head.dirty = micros(w.at), true
		}
		if date > micros(w.at) && (w.head.due == 0 || date < w.head.due) {
			w.head.due = date
		}
	}
}
