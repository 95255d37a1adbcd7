package sqlite

import (
	"database/sql"
	"database/sql/driver"
	"fmt"

	sqlite "modernc.org/sqlite"

	"roster/internal/directory"
)

// The functions that migrations need to fill columns that the program derives
// from others. Statements in service derive such values before they are bound.
func init() {
	for name, derive := range map[string]func(string) (any, error){
		"roster_fold": func(s string) (any, error) { return directory.FoldName(s), nil },
		"roster_sort": func(s string) (any, error) { return directory.SortKey(s), nil },
		"roster_fold_attributes": func(s string) (any, error) {
			a, err := decode[directory.Attributes](sql.NullString{String: s, Valid: true})
			if err != nil {
				return nil, err
			}
			return encode(directory.FoldAttributes(a))
		},
	} {
		sqlite.MustRegisterDeterministicScalarFunction(name, 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
			switch v := args[0].(type) {
			case nil:
				return nil, nil
			case string:
				return derive(v)
			}
			return nil, fmt.Errorf("%s is for text", name)
		})
	}
}
