package sqlite

import (
	"testing"

	"roster/internal/store/transfer"
)

// TestACopyKnowsEveryTableAndColumn fails when a migration adds what nobody has
// said yet whether it is copied.
func TestACopyKnowsEveryTableAndColumn(t *testing.T) {
	s := openIn(t, t.TempDir())
	have := transfer.Schema{}
	err := s.read(t.Context(), func(c *conn) error {
		return c.each(t.Context(), func(row scanner) error {
			var table, column string
			err := row.Scan(&table, &column)
			have[table] = append(have[table], column)
			return err
		}, "SELECT m.name, c.name FROM sqlite_schema m JOIN pragma_table_xinfo(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!'")
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, complaint := range transfer.Unknown(have, physical) {
		t.Error(complaint)
	}
}
