package sqlite

import (
	"context"
	"errors"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// CountVisits implements [directory.Store]. Like [Store.Touch] it rides on the
// platform's next commit group and leaves nothing in the log.
func (s *Store) CountVisits(ctx context.Context, counts map[directory.Visit]int) error {
	_, err := s.Update(ctx, id.Tenant{}, directory.Author{}, func(dw directory.Writer) error {
		w := dw.(*writer)
		if err := w.save(); err != nil {
			return err
		}
		for in, n := range counts {
			if err := w.countVisit(in, n); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

func (w *writer) countVisit(in directory.Visit, n int) error {
	row, err := w.m.row(w.ctx, in.Tenant)
	if errors.Is(err, directory.ErrNoTenant) {
		return nil
	}
	if err != nil {
		return err
	}
	err = w.c.exec(w.ctx, `INSERT INTO visits (tenant, number, day, count) SELECT ?1, u.number, ?3, ?4 FROM users u WHERE u.tenant = ?1 AND u.id = ?2
 ON CONFLICT (tenant, number, day) DO UPDATE SET count = count + excluded.count`, row.pk, in.User[:], int64(in.Day), n)
	if err != nil {
		return err
	}
	return w.c.exec(w.ctx, "DELETE FROM visits WHERE tenant = ?1 AND number = (SELECT u.number FROM users u WHERE u.tenant = ?1 AND u.id = ?2) AND day < ?3",
		row.pk, in.User[:], int64(in.Day)-int64(directory.VisitsKept/(24*time.Hour)))
}

// Visits implements [directory.Reader].
func (r *reader) Visits(users []id.Number, since time.Time) (map[id.Number]int, error) {
	if len(users) == 0 {
		return nil, nil
	}
	counts := map[id.Number]int{}
	err := r.c.each(r.ctx, func(row scanner) error {
		var number int64
		var n int
		err := row.Scan(&number, &n)
		counts[id.Number(number)] = n
		return err
	}, "SELECT s.number, sum(s.count) FROM json_each(?1) j CROSS JOIN visits s ON s.tenant = ?2 AND s.number = j.value AND s.day >= ?3 GROUP BY s.number",
		integers(users), r.pk, int64(directory.DayOf(since)))
	return counts, err
}
