package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"roster/internal/store/postgres/pgtest"
	"roster/internal/store/transfer"
)

// TestACopyKnowsEveryTableAndColumn fails when a migration adds what nobody has
// said yet whether it is copied.
func TestACopyKnowsEveryTableAndColumn(t *testing.T) {
	dsn := pgtest.Shared(t).Database(t)
	if _, err := Migrate(t.Context(), dsn, false); err != nil {
		t.Fatal(err)
	}
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	rows, err := c.Query(t.Context(), "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()")
	if err != nil {
		t.Fatal(err)
	}
	have := transfer.Schema{}
	var table, column string
	if _, err := pgx.ForEachRow(rows, []any{&table, &column}, func() error {
		have[table] = append(have[table], column)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, complaint := range transfer.Unknown(have, physical, own...) {
		t.Error(complaint)
	}
}
