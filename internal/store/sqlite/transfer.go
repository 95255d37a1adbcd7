package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"roster/internal/directory"
	"roster/internal/store/transfer"
)

// End is a data directory as one end of a copy. It implements [transfer.Target],
// and is used by one goroutine at a time.
type End struct {
	dir  string
	db   *sql.DB
	c    *conn
	lock *os.File
}

var _ transfer.Target = (*End)(nil)

// errSchemaOld says that a directory must be brought up to date before a copy.
var errSchemaOld = errors.New("its schema is older than this program: start roster serve on it once")

// OpenSource opens a data directory to copy from it, which leaves it as it is. It
// fails with [ErrLocked] while anybody else has it open.
func OpenSource(ctx context.Context, dir string) (*End, error) {
	if _, err := os.Stat(filepath.Join(dir, "roster.db")); err != nil {
		return nil, fmt.Errorf("%s is no data directory: there is no roster.db in it", dir)
	}
	return openEnd(ctx, dir, func(e *End, have, known int) error {
		if _, filling, err := copyNote(ctx, e.c); err != nil || filling {
			if filling {
				err = ErrFilling
			}
			return err
		}
		if have < known {
			return fmt.Errorf("%w (%d, this has %d)", errSchemaOld, have, known)
		}
		return e.c.exec(ctx, "PRAGMA query_only=ON")
	})
}

// OpenTarget opens a data directory to copy into it, and makes it if it is not
// there. It fails with [ErrLocked] while anybody else has it open.
func OpenTarget(ctx context.Context, dir string) (*End, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return openEnd(ctx, dir, func(e *End, have, known int) error {
		if have > 0 && have < known {
			return fmt.Errorf("%w (%d, this has %d)", errSchemaOld, have, known)
		}
		return migrate(ctx, e.c)
	})
}

func openEnd(ctx context.Context, dir string, prepare func(e *End, have, known int) error) (_ *End, err error) {
	e := &End{dir: dir}
	if e.lock, err = lockFile(filepath.Join(dir, "lock")); err != nil {
		if errors.Is(err, ErrLocked) {
			err = fmt.Errorf("%w: stop that server first", err)
		}
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", dir, err)
			e.Close()
		}
	}()
	if e.db, err = openFile(filepath.Join(dir, "roster.db")); err != nil {
		return nil, err
	}
	e.db.SetMaxOpenConns(1)
	if e.c, err = connect(ctx, e.db); err != nil {
		return nil, err
	}
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	have, err := schema(ctx, e.c, len(files))
	if err == nil {
		err = prepare(e, have, len(files))
	}
	return e, err
}

// Close closes the database and lets others have the directory.
func (e *End) Close() error {
	var errs []error
	if e.c != nil {
		errs = append(errs, e.c.close())
	}
	if e.db != nil {
		errs = append(errs, e.db.Close())
	}
	return errors.Join(append(errs, e.lock.Close())...)
}

// Name implements [transfer.Source].
func (e *End) Name() string { return "sqlite:" + e.dir }

// physical returns what a column is called here.
func physical(table, column string) (string, string) {
	switch table + "." + column {
	case "log.actor_user", "credentials.user_id":
		return table, "user"
	}
	return table, column
}

// columns are those of a table, as this engine calls them.
func columns(t *transfer.Table) []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		_, names[i] = physical(t.Name, c.Name)
	}
	return names
}

// marks are n placeholders.
func marks(n int) string { return "(" + strings.Repeat("?, ", n-1) + "?)" }

// Count implements [transfer.Source].
func (e *End) Count(ctx context.Context, t *transfer.Table) (n int64, err error) {
	err = e.c.row(ctx, "SELECT count(*) FROM "+t.Name).Scan(&n)
	return n, err
}

// Read implements [transfer.Source].
func (e *End) Read(ctx context.Context, t *transfer.Table, after transfer.Row, fn func(transfer.Row) bool) error {
	names := columns(t)
	key := strings.Join(names[:t.Key], ", ")
	query := "SELECT " + strings.Join(names, ", ") + " FROM " + t.Name
	if after != nil {
		query += " WHERE (" + key + ") > " + marks(t.Key)
	}
	query += " ORDER BY " + key + " LIMIT " + strconv.Itoa(transfer.PageRows)
	rows, err := e.c.query(ctx, query, after...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		r := make(transfer.Row, len(names))
		dest := make([]any, len(names))
		for i := range r {
			dest[i] = &r[i]
		}
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		for i, c := range t.Columns {
			switch v := r[i].(type) {
			case int64:
				if c.Type == transfer.Bool && (v == 0 || v == 1) {
					r[i] = v == 1
				}
			case []byte:
				if v == nil {
					r[i] = []byte{} // the driver's empty
				}
			}
		}
		if !fn(r) {
			return nil
		}
	}
	return rows.Err()
}

// The note of a copy into a database is the only row of a table that is there
// until the copy has ended.
const (
	hasCopyNote  = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'copying'"
	readCopyNote = "SELECT note FROM copying"
)

func copyNote(ctx context.Context, c *conn) (note string, there bool, err error) {
	var n int
	if err := c.row(ctx, hasCopyNote).Scan(&n); err != nil || n == 0 {
		return "", false, err
	}
	err = c.row(ctx, readCopyNote).Scan(&note)
	return note, true, err
}

// Note implements [transfer.Target].
func (e *End) Note(ctx context.Context) ([]byte, error) {
	note, there, err := copyNote(ctx, e.c)
	if err != nil || !there {
		return nil, err
	}
	return []byte(note), nil
}

// Empty implements [transfer.Target].
func (e *End) Empty(ctx context.Context) (bool, error) {
	for _, t := range transfer.Tables {
		query := "SELECT EXISTS (SELECT 1 FROM " + t.Name + ")"
		switch t.Name {
		case "counters":
			continue // every store has them
		case "tenants":
			query = "SELECT EXISTS (SELECT 1 FROM tenants WHERE pk > 1 OR revision > 0)"
		}
		var found bool
		if err := e.c.row(ctx, query).Scan(&found); err != nil || found {
			return false, err
		}
	}
	return true, nil
}

// write runs fn in a transaction.
func (e *End) write(ctx context.Context, fn func() error) error {
	// The transaction must end even if ctx has.
	if err := e.c.exec(context.WithoutCancel(ctx), "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := fn()
	if err == nil {
		err = e.c.exec(context.WithoutCancel(ctx), "COMMIT")
	}
	if err != nil {
		e.c.exec(context.WithoutCancel(ctx), "ROLLBACK") // what failed is the error
	}
	return err
}

// Begin implements [transfer.Target].
func (e *End) Begin(ctx context.Context, note []byte) error {
	return e.write(ctx, func() error {
		for _, query := range []string{"DELETE FROM tenants", "DELETE FROM counters", "CREATE TABLE copying (note TEXT NOT NULL)"} {
			if _, err := e.c.c.ExecContext(ctx, query); err != nil {
				return err
			}
		}
		_, err := e.c.c.ExecContext(ctx, "INSERT INTO copying (note) VALUES (?)", string(note))
		return err
	})
}

// boundAtOnce is how many values one statement binds: more makes it no faster.
const boundAtOnce = 4000

// Load implements [transfer.Target].
func (e *End) Load(ctx context.Context, t *transfer.Table, rows []transfer.Row, note []byte) error {
	names := columns(t)
	for _, d := range t.Derived {
		_, name := physical(t.Name, d.Name)
		names = append(names, name)
	}
	into := "INSERT INTO " + t.Name + " (" + strings.Join(names, ", ") + ") VALUES "
	chunk := boundAtOnce / len(names)
	many := into + marks(len(names)) + strings.Repeat(", "+marks(len(names)), chunk-1)
	return e.write(ctx, func() error {
		args := make([]any, 0, chunk*len(names))
		for len(rows) > 0 {
			n, query := chunk, many
			if len(rows) < chunk {
				n, query = 1, into+marks(len(names))
			}
			args = args[:0]
			for _, r := range rows[:n] {
				args = append(args, r...)
				for _, d := range t.Derived {
					v, err := derive(d.How, r[t.Column(d.From)])
					if err != nil {
						return err
					}
					args = append(args, v)
				}
			}
			if err := e.c.exec(ctx, query, args...); err != nil {
				return err
			}
			rows = rows[n:]
		}
		return e.c.exec(ctx, "UPDATE copying SET note = ?", string(note))
	})
}

// derive makes a column of another.
func derive(how transfer.Derivation, from any) (any, error) {
	text, ok := from.(string)
	if !ok {
		return nil, nil
	}
	switch how {
	case transfer.Fold:
		return directory.FoldName(text), nil
	case transfer.Sort:
		return directory.SortKey(text), nil
	}
	a, err := decode[directory.Attributes](sql.NullString{String: text, Valid: true})
	if err != nil {
		return nil, err
	}
	return encode(directory.FoldAttributes(a))
}

// End implements [transfer.Target].
func (e *End) End(ctx context.Context) error {
	return e.write(ctx, func() error {
		for _, query := range []string{
			// A pk is never given twice, and those of the deleted are in graves.
			`UPDATE sqlite_sequence SET seq = (SELECT max(pk) FROM (SELECT pk FROM tenants UNION ALL SELECT number FROM graves WHERE kind = 3))
 WHERE name = 'tenants'`,
			"DROP TABLE copying",
		} {
			if _, err := e.c.c.ExecContext(ctx, query); err != nil {
				return err
			}
		}
		return nil
	})
}
