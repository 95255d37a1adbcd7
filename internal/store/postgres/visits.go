package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"roster/internal/directory"
	"roster/internal/id"
)

// CountVisits implements [directory.Store]. It takes no tenant's lock.
func (s *Store) CountVisits(ctx context.Context, counts map[directory.Visit]int) error {
	var tenants, users []pgtype.UUID
	var days, times []int64
	var last directory.Day
	for in, n := range counts {
		tenants, users, days, times = append(tenants, uuid(in.Tenant)), append(users, uuid(in.User)), append(days, int64(in.Day)), append(times, int64(n))
		last = max(last, in.Day)
	}
	return classify(s.read(ctx, func(ctx context.Context, c *conn) error {
		who := map[int64][]int32{}
		// Rows are taken in one order, so that two nodes do not wait for each other.
		err := c.each(ctx, func(row scanner) error {
			var tenant int64
			var number int32
			err := row.Scan(&tenant, &number)
			who[tenant] = append(who[tenant], number)
			return err
		}, `WITH counted AS (SELECT u.tenant, u.number, j.day, j.times
 FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[]) AS j(tenant, id, day, times)
 JOIN tenants t ON t.id = j.tenant JOIN users u ON u.tenant = t.pk AND u.id = j.id)
 INSERT INTO visits (tenant, number, day, count) SELECT tenant, number, day, times FROM counted ORDER BY 1, 2, 3
 ON CONFLICT (tenant, number, day) DO UPDATE SET count = visits.count + excluded.count RETURNING tenant, number`, tenants, users, days, times)
		if err != nil {
			return err
		}
		past := int64(last) - int64(directory.VisitsKept/(24*time.Hour))
		for tenant, numbers := range who {
			err := c.exec(ctx, "DELETE FROM visits WHERE tenant = $1 AND number = ANY($2::int[]) AND day < $3", tenant, numbers, past)
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

// Visits implements [directory.Reader].
func (r *reader) Visits(users []id.Number, since time.Time) (map[id.Number]int, error) {
	if len(users) == 0 {
		return nil, nil
	}
	counts := map[id.Number]int{}
	err := r.c.each(r.ctx, func(row scanner) error {
		var number, n int64
		err := row.Scan(&number, &n)
		counts[id.Number(number)] = int(n)
		return err
	}, "SELECT s.number, sum(s.count)::bigint FROM visits s WHERE s.tenant = $1 AND s.number = ANY($2::int[]) AND s.day >= $3 GROUP BY s.number",
		r.pk, integers(users), int64(directory.DayOf(since)))
	return counts, err
}
