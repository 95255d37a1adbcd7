package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Errors of [Open] and [Migrate] that say what is wrong with the database.
var (
	ErrSchemaOld = errors.New("the database's schema is older than this program: run roster migrate")
	ErrSchemaNew = errors.New("the database's schema is newer than this program: run a newer roster")
	ErrPinned    = errors.New("the database is that of nodes with another setting")
	ErrStandby   = errors.New("that is a read-only standby: name the primary, or all hosts, separated by commas")
	ErrFilling   = errors.New("a copy into this database has not ended: run roster copy again until it has")
)

// config reads a DSN.
func config(dsn string, connections int) (*pgxpool.Config, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, errors.New("a PostgreSQL store is named postgres://user@host:port/database")
	}
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("the PostgreSQL store's name does not read as a URL: %s", reason(err))
	}
	if connections <= reserved+1 {
		return nil, fmt.Errorf("a node needs at least %d connections", reserved+2)
	}
	cfg.MaxConns = int32(connections)
	cfg.MaxConnIdleTime = 5 * time.Minute
	cfg.HealthCheckPeriod = 10 * time.Second
	cfg.PingTimeout = pingWithin
	cfg.BeforeConnect = watchCommits
	c := cfg.ConnConfig
	if c.ConnectTimeout == 0 || c.ConnectTimeout > connectWithin {
		c.ConnectTimeout = connectWithin
	}
	dialer := &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3},
		Control:         abandon,
	}
	c.DialFunc = dialer.DialContext
	// Whatever the DSN says: an answer from a standby could be an old one.
	c.ValidateConnect = primary
	if _, set := c.RuntimeParams["application_name"]; !set {
		c.RuntimeParams["application_name"] = "roster"
	}
	return cfg, nil
}

// greeting is what every connection begins with: whether the server is a standby,
// and settings of the session. A node that was cut off in a transaction must not
// lock its tenant for long, nor in the middle of what it sent, where a session
// does not count as idle and only the connection tells. No server may acknowledge
// what is not on disk. What an operator has set in the DSN or for the role stays.
const greeting = `SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',
 CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END,
 CASE current_setting('idle_in_transaction_session_timeout') WHEN '0' THEN set_config('idle_in_transaction_session_timeout', '10s', false) END,
 CASE current_setting('lock_timeout') WHEN '0' THEN set_config('lock_timeout', '20s', false) END,
 CASE current_setting('client_connection_check_interval') WHEN '0' THEN set_config('client_connection_check_interval', '2s', false) END,
 CASE current_setting('tcp_user_timeout') WHEN '0' THEN set_config('tcp_user_timeout', '10s', false) END,
 CASE WHEN current_setting('tcp_keepalives_idle')::int >= 7200 THEN
 set_config('tcp_keepalives_idle', '5', false) || set_config('tcp_keepalives_interval', '2', false) || set_config('tcp_keepalives_count', '3', false) END`

// Name is what a DSN may be called where others read it: without secrets.
func Name(dsn string) string {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return "postgres"
	}
	return "postgres://" + net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port))) + "/" + cfg.Database
}

// primary greets a server and refuses one that does not take writes.
func primary(ctx context.Context, c *pgconn.PgConn) error {
	res, err := c.Exec(ctx, greeting).ReadAll()
	if err != nil {
		return err
	}
	if len(res) == 1 && len(res[0].Rows) == 1 && string(res[0].Rows[0][0]) == "f" {
		return nil
	}
	return ErrStandby
}

// explain says in one line what is wrong when the database cannot be reached.
func explain(c *pgx.ConnConfig, err error) error {
	where := net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))
	for _, f := range c.Fallbacks {
		if at := net.JoinHostPort(f.Host, strconv.Itoa(int(f.Port))); !strings.Contains(where, at) {
			where += ", " + at
		}
	}
	switch {
	case errors.Is(err, ErrStandby):
		return fmt.Errorf("%s: %w", where, ErrStandby)
	case code(err) == "28P01" || code(err) == "28000":
		return fmt.Errorf("PostgreSQL at %s does not let %q in: check the user, the password and pg_hba.conf", where, c.User)
	case code(err) == "3D000":
		return fmt.Errorf("PostgreSQL at %s has no database %q: make it with createdb", where, c.Database)
	case code(err) == "42501":
		return fmt.Errorf("the user %q may not do that in the database %q: make it the database's owner (%s)", c.User, c.Database, reason(err))
	}
	return fmt.Errorf("cannot reach PostgreSQL at %s: %s: check the address and that it runs", where, reason(err))
}

// reason is the innermost text of an error, on one line and without the DSN.
func reason(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Message
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i >= 0 {
		text = text[i+2:]
	}
	return strings.Join(strings.Fields(text), " ")
}

// Migration is one step of the schema.
type Migration struct {
	Number int
	Name   string
}

// Migrate brings the schema of the database up to date and returns the steps that
// it took, or with dry those that it would take. Any number of nodes may do so at
// once: an advisory lock lets them do it one after another, and who comes later
// finds it done. Each step is a transaction, which holds the lock: one of a session
// would stay with a pooler.
func Migrate(ctx context.Context, dsn string, dry bool) ([]Migration, error) {
	cfg, err := config(dsn, DefaultConnections)
	if err != nil {
		return nil, err
	}
	return migrate(ctx, cfg.ConnConfig, dry, false, nil)
}

// migrationLock is the advisory lock that migrating takes.
const migrationLock = 0x726f737465720001

// migrate is [Migrate]. A database into which a copy has not ended is only for
// that copy. pins must not be set otherwise.
func migrate(ctx context.Context, cfg *pgx.ConnConfig, dry, copies bool, pins map[string]string) (steps []Migration, err error) {
	c, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, explain(cfg, err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), quickly)
		defer cancel()
		c.Close(closing)
		if code(err) != "" {
			err = explain(cfg, err)
		}
	}()
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	for i, file := range files {
		number, name, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".sql"), "_")
		if n, err := strconv.Atoi(number); err != nil || n != i+1 {
			return nil, fmt.Errorf("migration %s is out of order", file)
		}
		took := false
		err := pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
			if !dry {
				// Whoever migrates at the moment may need long.
				if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = 0"); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
					return err
				}
			}
			have, err := schema(ctx, tx)
			if err != nil {
				return err
			}
			if have > len(files) {
				return fmt.Errorf("%w (it has %d, this knows %d)", ErrSchemaNew, have, len(files))
			}
			if have > 0 && !copies {
				if is, err := filling(ctx, tx); err != nil {
					return err
				} else if is {
					return ErrFilling
				}
			}
			if have > 0 {
				if err := pinned(ctx, tx, pins); err != nil {
					return err
				}
			}
			took = have <= i
			if !took || dry {
				return nil
			}
			return step(ctx, tx, i+1, file)
		})
		if errors.Is(err, ErrSchemaNew) || code(err) == "" && err != nil {
			return steps, err
		}
		if err != nil {
			return steps, fmt.Errorf("migration %s: %w", filepath.Base(file), err)
		}
		if took {
			steps = append(steps, Migration{i + 1, name})
		}
	}
	return steps, nil
}

// step carries out one migration.
func step(ctx context.Context, tx pgx.Tx, number int, file string) error {
	text, err := migrations.ReadFile(file)
	if err != nil {
		return err
	}
	if _, err := tx.Conn().PgConn().Exec(ctx, string(text)).ReadAll(); err != nil {
		return err
	}
	if fill := fills[number]; fill != nil {
		if err := fill(ctx, tx); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, "INSERT INTO settings (name, value) VALUES ('schema', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value", strconv.Itoa(number))
	return err
}

// schema returns the number of the last migration that the database has had.
func schema(ctx context.Context, c pgx.Tx) (int, error) {
	var there bool
	if err := c.QueryRow(ctx, "SELECT to_regclass('settings') IS NOT NULL").Scan(&there); err != nil || !there {
		return 0, err
	}
	var have string
	err := c.QueryRow(ctx, "SELECT value FROM settings WHERE name = 'schema'").Scan(&have)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, errors.New("the database holds tables of another program: give Roster a database of its own")
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(have)
}

// ready prepares a database for a node: its schema is brought up to date, or
// found to be so.
func ready(ctx context.Context, cfg *pgx.ConnConfig, o Options) error {
	steps, err := migrate(ctx, cfg, o.NoMigrate, false, o.Pins)
	if err == nil && o.NoMigrate && len(steps) > 0 {
		err = fmt.Errorf("%w (it lacks %d)", ErrSchemaOld, len(steps))
	}
	return err
}

// pinned fails with [ErrPinned] if one of the settings is another.
func pinned(ctx context.Context, c pgx.Tx, pins map[string]string) error {
	for name, value := range pins {
		var kept string
		err := c.QueryRow(ctx, "SELECT value FROM settings WHERE name = $1", name).Scan(&kept)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
		case err != nil:
			return err
		case kept != value:
			return ErrPinned
		}
	}
	return nil
}
