package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"roster/internal/directory"
)

// fills are what migrations need of the program after their SQL, by number.
var fills = map[int]func(context.Context, pgx.Tx) error{2: fillSearch}

// folded is a thing's attributes as a column of jsonb takes them, which cannot
// hold NUL.
func folded(a directory.Attributes) (*string, error) {
	fold := directory.FoldAttributes(a)
	for _, values := range fold {
		for key, text := range values {
			if strings.ContainsRune(key+text, 0) {
				delete(values, key)
				values[strings.ReplaceAll(key, "\x00", "")] = strings.ReplaceAll(text, "\x00", "")
			}
		}
	}
	return encode(fold)
}

// fillSearch folds what was there before lists could be searched.
func fillSearch(ctx context.Context, tx pgx.Tx) error {
	type row struct {
		tenant, number int64
		name, a, b, c  string
		attributes     *string
	}
	for _, table := range []struct{ name, read, write string }{
		{"users", "SELECT tenant, number, name_fold, given_name, family_name, display_name, attributes FROM users",
			`UPDATE users SET name_sort = j.name, given_fold = j.a, family_fold = j.b, display_fold = j.c, attributes_fold = j.attributes
 FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[]) AS j(tenant, number, name, a, b, c, attributes)
 WHERE users.tenant = j.tenant AND users.number = j.number`},
		{"groups", "SELECT tenant, number, name_fold, description, '', '', attributes FROM groups",
			`UPDATE groups SET name_sort = j.name, description_fold = j.a, attributes_fold = j.attributes
 FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[]) AS j(tenant, number, name, a, b, c, attributes)
 WHERE groups.tenant = j.tenant AND groups.number = j.number`},
	} {
		var tenant, number int64
		for {
			rows, err := tx.Query(ctx, table.read+" WHERE (tenant, number) > ($1, $2) ORDER BY tenant, number LIMIT 10000", tenant, number)
			if err != nil {
				return err
			}
			page, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (out row, err error) {
				err = r.Scan(&out.tenant, &out.number, &out.name, &out.a, &out.b, &out.c, &out.attributes)
				return out, err
			})
			if err != nil {
				return err
			}
			if len(page) == 0 {
				break
			}
			var tenants, numbers []int64
			var names, as, bs, cs []string
			var attributes []*string
			for _, r := range page {
				a, err := decode[directory.Attributes](r.attributes)
				if err != nil {
					return err
				}
				fold, err := folded(a)
				if err != nil {
					return err
				}
				tenants, numbers, attributes = append(tenants, r.tenant), append(numbers, r.number), append(attributes, fold)
				names, as = append(names, directory.SortKey(r.name)), append(as, directory.FoldName(r.a))
				bs, cs = append(bs, directory.FoldName(r.b)), append(cs, directory.FoldName(r.c))
			}
			if _, err := tx.Exec(ctx, table.write, tenants, numbers, names, as, bs, cs, attributes); err != nil {
				return err
			}
			last := page[len(page)-1]
			tenant, number = last.tenant, last.number
		}
	}
	return nil
}
