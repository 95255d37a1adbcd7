package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"roster/internal/directory"
	"roster/internal/store/transfer"
)

// End is a database as one end of a copy. It implements [transfer.Target], and is
// used by one goroutine at a time.
type End struct {
	c        *pgx.Conn
	name     string
	identity string
}

var _ transfer.Target = (*End)(nil)

// fillLock is the advisory lock that keeps a second copy out of a database.
const fillLock = 0x726f737465720002

// copyNote is the setting that holds the note of a copy until that has ended.
const copyNote = "copy"

// filling reports whether a copy into the database has not ended.
func filling(ctx context.Context, c pgx.Tx) (is bool, err error) {
	err = c.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM settings WHERE name = $1)", copyNote).Scan(&is)
	return is, err
}

// OpenSource connects to a database to copy from it, as it is at this moment:
// what nodes write from now on is not seen.
func OpenSource(ctx context.Context, dsn string) (*End, error) {
	return openEnd(ctx, dsn, func(cfg *pgx.ConnConfig) error {
		return ready(ctx, cfg, Options{NoMigrate: true})
	}, func(e *End) error {
		_, err := e.c.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
		if err == nil { // the snapshot is taken by the first query
			_, err = e.Count(ctx, transfer.Find("counters"))
		}
		return err
	})
}

// OpenTarget connects to a database to copy into it, gives an empty one the
// schema, and keeps other copies out of it.
func OpenTarget(ctx context.Context, dsn string) (*End, error) {
	return openEnd(ctx, dsn, func(cfg *pgx.ConnConfig) error {
		steps, err := migrate(ctx, cfg, true, true, nil)
		if err != nil || len(steps) == 0 {
			return err
		}
		if steps[0].Number > 1 {
			return fmt.Errorf("%w (it lacks %d)", ErrSchemaOld, len(steps))
		}
		_, err = migrate(ctx, cfg, false, true, nil)
		return err
	}, func(e *End) error {
		// A copy that was killed may not have been missed yet.
		_, err := e.c.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(fillLock))
		if code(err) == "55P03" { // lock_not_available
			return errors.New("another roster copy into that database is running")
		}
		return err
	})
}

func openEnd(ctx context.Context, dsn string, prepare func(*pgx.ConnConfig) error, begin func(*End) error) (*End, error) {
	pool, err := config(dsn, DefaultConnections)
	if err != nil {
		return nil, err
	}
	cfg := pool.ConnConfig
	cfg.RuntimeParams["application_name"] = "roster copy"
	name := Name(dsn)
	if err := prepare(cfg); err != nil {
		return nil, named(name, err)
	}
	e := &End{name: name}
	if e.c, err = pgx.ConnectConfig(ctx, cfg); err != nil {
		return nil, explain(cfg, err)
	}
	// The other end may be slow, and so is counting.
	_, err = e.c.Exec(ctx, "SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0; SET lock_timeout = '10s'")
	if err == nil {
		err = e.c.QueryRow(ctx, `SELECT system_identifier::text || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())
 FROM pg_control_system()`).Scan(&e.identity)
	}
	if err == nil {
		err = begin(e)
	}
	if err != nil {
		e.Close()
		return nil, named(name, e.told(err))
	}
	return e, nil
}

// named says which database an error is about, unless it does so itself.
func named(name string, err error) error {
	for _, about := range []error{ErrSchemaOld, ErrSchemaNew, ErrFilling} {
		if errors.Is(err, about) {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return err
}

// told turns what the driver says into one line for people.
func (e *End) told(err error) error {
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return err
	case e.c.IsClosed() || transient(err):
		return fmt.Errorf("%s went away: %s", e.name, reason(err))
	case code(err) == "22021" || code(err) == "22P05":
		return fmt.Errorf("%s cannot hold a character in it: %s", e.name, reason(err))
	case code(err) != "":
		return fmt.Errorf("%s: %s", e.name, reason(err))
	}
	return err
}

// Close ends the connection, and with it the snapshot or the lock.
func (e *End) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), quickly)
	defer cancel()
	return e.c.Close(ctx)
}

// Name implements [transfer.Source].
func (e *End) Name() string { return e.name }

// Identity is the same for two names of one database, and for nothing else.
func (e *End) Identity() string { return e.identity }

// Setting returns a setting of the deployment, "" if there is none.
func (e *End) Setting(ctx context.Context, name string) (value string, err error) {
	err = e.c.QueryRow(ctx, "SELECT value FROM settings WHERE name = $1", name).Scan(&value)
	return value, e.told(gone(err, nil))
}

// Pin is [Store.Pin].
func (e *End) Pin(ctx context.Context, name, value string) (kept string, err error) {
	err = e.c.QueryRow(ctx, pinSetting, name, value).Scan(&kept)
	return kept, e.told(err)
}

// own is what a copy makes anew, or has no use for: settings are this engine's,
// and what is pinned in them is pinned by who copies.
var own = []string{"settings", "codes", "secrets", "heads.tenant", "log.transaction"}

// headColumns are the columns of tenants that are kept in heads.
var headColumns = []string{"revision", "at", "next_user", "next_group", "next_serial", "shape", "horizon", "clocked", "due"}

// physical returns where a column is kept.
func physical(table, column string) (string, string) {
	if table == "tenants" && slices.Contains(headColumns, column) {
		return "heads", column
	}
	return table, column
}

// Count implements [transfer.Source].
func (e *End) Count(ctx context.Context, t *transfer.Table) (n int64, err error) {
	err = e.c.QueryRow(ctx, "SELECT count(*) FROM "+t.Name).Scan(&n)
	return n, e.told(err)
}

// Read implements [transfer.Source].
func (e *End) Read(ctx context.Context, t *transfer.Table, after transfer.Row, fn func(transfer.Row) bool) error {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	key := strings.Join(names[:t.Key], ", ")
	query := "SELECT " + strings.Join(names, ", ") + " FROM " + t.Name
	if t.Name == "tenants" {
		query += " JOIN heads ON heads.tenant = tenants.pk"
	}
	var args []any
	if after != nil {
		var marks []string
		for i, v := range after {
			marks = append(marks, "$"+strconv.Itoa(i+1))
			args = append(args, value(t.Columns[i].Type, v))
		}
		query += " WHERE (" + key + ") > (" + strings.Join(marks, ", ") + ")"
	}
	query += " ORDER BY " + key + " LIMIT " + strconv.Itoa(transfer.PageRows)
	rows, err := e.c.Query(ctx, query, args...)
	if err != nil {
		return e.told(err)
	}
	defer rows.Close()
	for rows.Next() {
		r, err := rows.Values()
		if err != nil {
			return err
		}
		for i, v := range r {
			switch v := v.(type) {
			case int16:
				r[i] = int64(v)
			case int32:
				r[i] = int64(v)
			case [16]byte:
				r[i] = v[:]
			case []byte:
				if v == nil {
					r[i] = []byte{}
				}
			}
		}
		if !fn(r) {
			return nil
		}
	}
	return e.told(rows.Err())
}

// value is how a value reaches a statement.
func value(t transfer.Type, v any) any {
	if b, ok := v.([]byte); ok && t == transfer.ID {
		return pgtype.UUID{Bytes: [16]byte(b), Valid: true}
	}
	return v
}

// Note implements [transfer.Target].
func (e *End) Note(ctx context.Context) ([]byte, error) {
	note, err := e.Setting(ctx, copyNote)
	if err != nil || note == "" {
		return nil, err
	}
	return []byte(note), nil
}

// Empty implements [transfer.Target].
func (e *End) Empty(ctx context.Context) (bool, error) {
	tables := []string{"codes", "secrets"}
	for _, t := range transfer.Tables {
		tables = append(tables, t.Name)
	}
	for _, table := range tables {
		query := "SELECT EXISTS (SELECT FROM " + table + ")"
		switch table {
		case "counters":
			continue // every store has them
		case "tenants":
			query = "SELECT EXISTS (SELECT FROM heads WHERE tenant > 1 OR revision > 0)"
		}
		var found bool
		if err := e.c.QueryRow(ctx, query).Scan(&found); err != nil || found {
			return false, e.told(err)
		}
	}
	return true, nil
}

// write runs statements in a transaction.
func (e *End) write(ctx context.Context, fn func(pgx.Tx) error) error {
	return e.told(pgx.BeginFunc(ctx, e.c, fn))
}

// Begin implements [transfer.Target].
func (e *End) Begin(ctx context.Context, note []byte) error {
	return e.write(ctx, func(tx pgx.Tx) error {
		// A node that is being started sees the note, or is seen.
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
			return err
		}
		for _, table := range []string{"tenants", "heads", "counters"} {
			if _, err := tx.Exec(ctx, "DELETE FROM "+table); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, "INSERT INTO settings (name, value) VALUES ($1, $2)", copyNote, string(note))
		return err
	})
}

// Load implements [transfer.Target].
func (e *End) Load(ctx context.Context, t *transfer.Table, rows []transfer.Row, note []byte) error {
	return e.write(ctx, func(tx pgx.Tx) error {
		if err := load(ctx, tx, t, rows); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "UPDATE settings SET value = $2 WHERE name = $1", copyNote, string(note))
		return err
	})
}

// load adds rows, of tenants to two tables.
func load(ctx context.Context, tx pgx.Tx, t *transfer.Table, rows []transfer.Row) error {
	type column struct {
		name string
		make func(transfer.Row) (any, error)
	}
	into := map[string][]column{}
	for i, c := range t.Columns {
		table, name := physical(t.Name, c.Name)
		into[table] = append(into[table], column{name, func(r transfer.Row) (any, error) { return value(c.Type, r[i]), nil }})
	}
	for _, d := range t.Derived {
		from := t.Column(d.From)
		into[t.Name] = append(into[t.Name], column{d.Name, func(r transfer.Row) (any, error) { return derive(d.How, r[from]) }})
	}
	if heads := into["heads"]; heads != nil {
		into["heads"] = append(heads, column{"tenant", func(r transfer.Row) (any, error) { return r[0], nil }})
	}
	if t.Name == "log" { // no transaction that a node waits for
		into["log"] = append(into["log"], column{"transaction", func(transfer.Row) (any, error) { return uuid([16]byte{}), nil }})
	}
	for table, columns := range into {
		names := make([]string, len(columns))
		for i, c := range columns {
			names[i] = c.name
		}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{table}, names, pgx.CopyFromSlice(len(rows), func(n int) (_ []any, err error) {
			out := make([]any, len(columns))
			for i, c := range columns {
				if out[i], err = c.make(rows[n]); err != nil {
					return nil, err
				}
			}
			return out, nil
		}))
		if err != nil {
			return err
		}
	}
	return nil
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
	a, err := decode[directory.Attributes](&text)
	if err != nil {
		return nil, err
	}
	fold, err := folded(a)
	if err != nil || fold == nil {
		return nil, err
	}
	return json.RawMessage(*fold), nil
}

// End implements [transfer.Target].
func (e *End) End(ctx context.Context) error {
	// Or the first plans would be those for empty tables.
	if _, err := e.c.Exec(ctx, "ANALYZE"); err != nil {
		return e.told(err)
	}
	return e.write(ctx, func(tx pgx.Tx) error {
		for _, query := range []string{
			`INSERT INTO codes (kind, code)
 SELECT 'tenant', code FROM tenants WHERE pk > 1 UNION SELECT 'person', code FROM persons UNION SELECT 'user', code FROM users
 UNION SELECT 'group', code FROM groups UNION SELECT 'credential', code FROM credentials
 UNION SELECT CASE kind WHEN 1 THEN 'user' WHEN 2 THEN 'group' ELSE 'tenant' END, code FROM graves`,
			"INSERT INTO secrets (kind, hash, credential, tenant) SELECT kind, hash, id, tenant FROM credentials",
			// A pk is never given twice, and those of the deleted are in graves.
			`SELECT setval(pg_get_serial_sequence('tenants', 'pk'), max(pk)) FROM
 (SELECT pk FROM tenants UNION ALL SELECT number FROM graves WHERE kind = 3) AS given`,
			"DELETE FROM settings WHERE name = '" + copyNote + "'",
		} {
			if _, err := tx.Exec(ctx, query); err != nil {
				return err
			}
		}
		return nil
	})
}
