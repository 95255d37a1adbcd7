package server_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"roster/internal/store/postgres"
	"roster/internal/store/postgres/pgtest"
)

func TestNodesThatStartAtOnceOnAnEmptyDatabaseMakeOneKey(t *testing.T) {
	long(t)
	t.Parallel()
	for _, count := range []int{2, 8} {
		dsn := pgtest.Shared(t).Database(t)
		nodes := make([]*node, count)
		for i := range nodes {
			nodes[i] = launch(t, dsn)
		}
		var keys []string
		for _, n := range nodes {
			n.answers(t)
			b, err := os.ReadFile(filepath.Join(n.data, "platform.key"))
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, strings.TrimSpace(string(b)))
		}
		if len(keys) != 1 {
			t.Fatalf("%d nodes left %d keys", count, len(keys))
		}
		for _, n := range nodes {
			n.must(t, apiCall{key: keys[0], method: "GET", path: "/tenants"}, http.StatusOK)
		}
	}
}

// contents is everything that a database says of itself and its settings.
func contents(t *testing.T, dsn string) (dump string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	err = c.QueryRow(t.Context(), `SELECT coalesce((SELECT string_agg(table_name || '.' || column_name || ' ' || data_type, E'\n' ORDER BY table_name, ordinal_position)
 FROM information_schema.columns WHERE table_schema = 'public'), '')`).Scan(&dump)
	if err != nil {
		t.Fatal(err)
	}
	if dump == "" || !strings.Contains(dump, "tenants.pk") {
		return dump
	}
	var rows string
	err = c.QueryRow(t.Context(), `SELECT (SELECT string_agg(name || '=' || value, E'\n' ORDER BY name) FROM settings)
 || E'\ntenants: ' || (SELECT count(*) FROM tenants) || E'\ncredentials: ' || (SELECT count(*) FROM credentials)`).Scan(&rows)
	if err != nil {
		t.Fatal(err)
	}
	return dump + "\n" + rows
}

func TestADatabaseThatCannotBeServedIsRefusedInOneLineAndLeftAsItIs(t *testing.T) {
	long(t)
	t.Parallel()
	primary := pgtest.New(t)
	standby := primary.Standby(t, "s1")
	migrated := func(change ...string) string {
		dsn := primary.Database(t)
		if _, err := postgres.Migrate(t.Context(), dsn, false); err != nil {
			t.Fatal(err)
		}
		c, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.Background())
		for _, q := range change {
			if _, err := c.Exec(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
		return dsn
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	silent := newProxy(t, primary.Address())
	silent.set(swallow)
	primary.Exec(t, "CREATE ROLE guest LOGIN", "CREATE DATABASE narrow")
	served := migrated()
	launch(t, served).answers(t).kill()
	empty := primary.Database(t)
	foreign := primary.Database(t)
	c, err := pgx.Connect(t.Context(), foreign)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "CREATE TABLE settings (name text, value text)"); err != nil {
		t.Fatal(err)
	}
	c.Close(t.Context())

	for _, c := range []struct {
		name string
		dsn  string
		look string // the DSN of the database that must stay as it is, if there is one
		args []string
		env  string
		says []string
	}{
		{name: "an empty one, with --no-migrate", dsn: empty, look: empty, args: []string{"--no-migrate"}, says: []string{"older", "roster migrate"}},
		{name: "an older one, with --no-migrate", dsn: migrated("UPDATE settings SET value = '1' WHERE name = 'schema'"), args: []string{"--no-migrate"}, says: []string{"older", "roster migrate"}},
		{name: "a newer one", dsn: migrated("UPDATE settings SET value = '999' WHERE name = 'schema'"), says: []string{"newer", "run a newer roster"}},
		{name: "another program's", dsn: foreign, says: []string{"of another program", "a database of its own"}},
		{name: "no DSN", dsn: "somewhere", says: []string{"postgres://user@host:port/database"}},
		{name: "a DSN of another scheme", dsn: "mysql://root@localhost/roster", says: []string{"postgres://user@host:port/database"}},
		{name: "a DSN with a wrong port", dsn: "postgres://roster:hunter2@localhost:port/roster", says: []string{"postgres"}},
		{name: "a DSN with a wrong setting", dsn: "postgres://roster:hunter2@localhost/roster?sslmode=sometimes", says: []string{"sslmode"}},
		{name: "nobody there", dsn: "postgres://roster:hunter2@" + nobody + "/roster", says: []string{nobody, "check the address"}},
		{name: "somebody silent", dsn: "postgres://roster:hunter2@" + silent.address() + "/roster?sslmode=disable", says: []string{silent.address(), "check the address"}},
		{name: "no such database", dsn: primary.DSN("missing"), says: []string{`no database "missing"`, "createdb"}},
		{name: "no such role", dsn: strings.Replace(primary.DSN("postgres"), "roster@", "stranger@", 1), says: []string{`"stranger"`, "check the user"}},
		{name: "a role without rights", dsn: strings.Replace(primary.DSN("narrow"), "roster@", "guest@", 1), look: primary.DSN("narrow"), says: []string{`"guest"`, "owner"}},
		{name: "a standby", dsn: standby.DSN("postgres"), look: primary.DSN("postgres"), says: []string{"read-only standby", "name the primary"}},
		{name: "another seal key", dsn: served, env: "ROSTER_SEAL_KEY=" + strings.Repeat("ab", 32), says: []string{"sealed with another key", "ROSTER_SEAL_KEY"}},
		{name: "an older one, with another seal key", dsn: migrated("INSERT INTO settings (name, value) VALUES ('schema', '1'), ('seal', 'of another key') ON CONFLICT (name) DO UPDATE SET value = excluded.value"), says: []string{"sealed with another key", "ROSTER_SEAL_KEY"}},
		{name: "no seal key", dsn: served, env: "ROSTER_SEAL_KEY=", says: []string{"ROSTER_SEAL_KEY", "openssl rand -hex 32"}},
		{name: "half a seal key", dsn: served, env: "ROSTER_SEAL_KEY=abcd", says: []string{"ROSTER_SEAL_KEY", "64 hex digits"}},
		{name: "too small a pool", dsn: served, args: []string{"--pool", "1"}, says: []string{"connections"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			look := c.look
			if look == "" && strings.HasPrefix(c.dsn, "postgres://roster@/test") {
				look = c.dsn
			}
			before := ""
			if look != "" {
				before = contents(t, look)
			}
			path, err := binary()
			if err != nil {
				t.Fatal(err)
			}
			data := filepath.Join(t.TempDir(), "data")
			ctx, cancel := context.WithTimeout(t.Context(), hang)
			defer cancel()
			cmd := exec.CommandContext(ctx, path, append([]string{"serve", "--store", c.dsn, "--data", data, "--listen", "127.0.0.1:0", "--ops-listen", ""}, c.args...)...)
			if c.env == "" {
				c.env = "ROSTER_SEAL_KEY=" + sealKey
			}
			cmd.Env = append(os.Environ(), c.env)
			out, err := cmd.CombinedOutput()
			text := strings.TrimSpace(string(out))
			if _, exited := errors.AsType[*exec.ExitError](err); !exited || cmd.ProcessState.ExitCode() < 1 {
				t.Errorf("it ended with %v", err)
			}
			if strings.Contains(text, "\n") {
				t.Errorf("more than one line:\n%s", text)
			}
			for _, part := range c.says {
				if !strings.Contains(text, part) {
					t.Errorf("it says %q, without %q", text, part)
				}
			}
			if strings.Contains(text, "hunter2") {
				t.Errorf("it tells the password: %s", text)
			}
			if look != "" {
				if after := contents(t, look); after != before {
					t.Errorf("the database was changed from\n%s\nto\n%s", before, after)
				}
			}
			if _, err := os.Stat(filepath.Join(data, "platform.key")); err == nil {
				t.Error("it left a platform's key")
			}
		})
	}
}
