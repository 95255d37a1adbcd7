package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/postgres/pgtest"
)

func TestACommitWhoseWaitForAStandbyWasCancelledIsNotAcknowledgedUntilItHasIt(t *testing.T) {
	server := pgtest.New(t)
	s := openOn(t, server.DSN("postgres"), Options{Connections: 8, Patience: time.Minute})
	made := directory.Tenant{Name: "one"}
	if _, err := s.Update(t.Context(), id.Tenant{}, author, func(w directory.Writer) error { return w.InsertTenant(&made) }); err != nil {
		t.Fatal(err)
	}
	c, err := pgx.Connect(t.Context(), server.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	// waiting returns a session that waits for a standby, other than one.
	waiting := func(other int) (pid int) {
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			err := c.QueryRow(t.Context(), "SELECT coalesce(min(pid), 0) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND pid <> $1", other).Scan(&pid)
			if err != nil {
				t.Fatal(err)
			}
			if pid != 0 {
				return pid
			}
		}
		t.Fatal("no session waits for a standby")
		return 0
	}
	server.Exec(t, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()")
	done := make(chan error, 1)
	go func() {
		_, err := s.Update(context.Background(), made.ID, author, addGroup("once"))
		done <- err
	}()
	first := waiting(0)
	if _, err := c.Exec(t.Context(), "SELECT pg_cancel_backend($1)", first); err != nil {
		t.Fatal(err)
	}
	waiting(first) // the commit that finds out waits too
	select {
	case err := <-done:
		t.Fatalf("it was answered with %v, and no standby has it", err)
	default:
	}
	server.Exec(t, "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	groups := 0
	err = s.View(t.Context(), made.ID, func(r directory.Reader) error {
		return r.Scan(nil, func(id.Number, id.Group) error { groups++; return nil }, nil)
	})
	if rev, ferr := s.Fence(t.Context(), made.ID); err != nil || ferr != nil || groups != 1 || rev != 1 {
		t.Errorf("%d groups at revision %d: %v, %v", groups, rev, err, ferr)
	}
}
