package sqlite

import (
	"context"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// Due implements [directory.Store].
func (s *Store) Due(ctx context.Context, at time.Time, limit int) (due []id.Tenant, err error) {
	err = s.read(ctx, func(c *conn) (err error) {
		due, err = all(ctx, c, func(row scanner) (id.Tenant, error) {
			var uid []byte
			if err := row.Scan(&uid); err != nil {
				return id.Tenant{}, err
			}
			return id.FromBytes[id.Tenant](uid)
		}, "SELECT id FROM tenants WHERE due <> 0 AND due <= ? ORDER BY due LIMIT ?", micros(at), limit)
		return err
	})
	return due, classify(err)
}

// Dates that came after a moment, with what they did: 1 began, 2 ended.
const turned = `SELECT e.starts, 1, e.grp, e.member FROM edges e WHERE e.tenant = ?1 AND e.starts <> 0 AND e.starts > ?2 AND e.starts <= ?3
 UNION ALL SELECT e.ends, 2, e.grp, e.member FROM edges e WHERE e.tenant = ?1 AND e.ends <> 0 AND e.ends > ?2 AND e.ends <= ?3 ORDER BY 1, 2, 3, 4`

// ring records the dates that have come since the last time, before anything
// else is done in a transaction that comes after them.
func (w *writer) ring() error {
	at := micros(w.at)
	if w.row.due == 0 || w.row.due > at {
		return nil
	}
	turns, err := all(w.ctx, w.c, func(row scanner) (t directory.Turn, err error) {
		var at, what, grp, member int64
		err = row.Scan(&at, &what, &grp, &member)
		return directory.Turn{Edge: directory.Edge{Group: id.Number(grp), Member: id.Member(member)}, At: fromMicros(at), Ended: what == 2}, err
	}, turned, w.pk, w.row.clocked, at)
	if err != nil {
		return err
	}
	w.changes = append(w.changes, directory.ClockChanges(turns)...)
	w.row.clocked, w.row.dirty = at, true
	return w.c.row(w.ctx, `SELECT coalesce(min(d), 0) FROM (SELECT min(e.starts) AS d FROM edges e WHERE e.tenant = ?1 AND e.starts <> 0 AND e.starts > ?2
 UNION ALL SELECT min(e.ends) FROM edges e WHERE e.tenant = ?1 AND e.ends <> 0 AND e.ends > ?2)`, w.pk, at).Scan(&w.row.due)
}

// watch notes the dates of memberships that this transaction makes, as those to
// ring for. Those that have passed by now never ring.
func (w *writer) watch(s directory.Standing) {
	for _, date := range [...]int64{micros(s.From), micros(s.Until)} {
		if date != 0 {
			w.row.clocked, w.row.dirty = micros(w.at), true
		}
		if date > micros(w.at) && (w.row.due == 0 || date < w.row.due) {
			w.row.due = date
		}
	}
}
