// Package pgtest starts PostgreSQL servers for tests: private ones, from the
// installed binaries, in a temporary directory, reached through a unix socket
// there, and gone when the test program ends, however it ends.
package pgtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is one PostgreSQL server. Its methods are not safe for concurrent use.
type Server struct {
	Dir  string // where it keeps its data, its socket and its log
	Port int    // names the socket; also a TCP port on 127.0.0.1

	socket string // the directory of the socket, if it is another's

	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended
}

// Binaries returns the directory of the newest installed PostgreSQL server, from
// PATH or from where Debian puts them.
func Binaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("no initdb in PATH or /usr/lib/postgresql/*/bin")
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 for what is no version
	return n
}

// Need skips a test where there is no PostgreSQL, and fails it under CI.
func Need(t testing.TB) {
	t.Helper()
	if _, err := Binaries(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("PostgreSQL is needed here: %v", err)
		}
		t.Skipf("NOT TESTED, because there is no PostgreSQL: %v", err)
	}
}

// New makes a server and starts it. It is stopped and removed when the test
// ends. settings are lines of postgresql.conf.
func New(t testing.TB, settings ...string) *Server {
	t.Helper()
	Need(t)
	s, err := create(settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.remove)
	s.Start(t)
	return s
}

// Begin makes a server for a program that is no test, and starts it. The program
// must call End.
func Begin(settings ...string) (*Server, error) {
	s, err := create(settings...)
	if err != nil {
		return nil, err
	}
	if err := s.start(); err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

// End stops a server and removes what is left of it.
func (s *Server) End() { s.remove() }

// create makes a cluster without starting it.
func create(settings ...string) (*Server, error) {
	s, err := prepare()
	if err != nil {
		return nil, err
	}
	out, err := s.command("initdb", "--pgdata", s.data(), "--username=roster", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions").CombinedOutput()
	if err != nil {
		s.remove()
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return s, s.configure(settings...)
}

// prepare makes the directory of a server, for the account it will run under.
func prepare() (*Server, error) {
	dir, err := os.MkdirTemp("", "roster-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir}
	if who := account(); who != nil {
		if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.Port = l.Addr().(*net.TCPAddr).Port
	return s, l.Close()
}

func (s *Server) data() string { return filepath.Join(s.Dir, "data") }

func (s *Server) configure(settings ...string) error {
	f, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	lines := append([]string{
		"listen_addresses = '127.0.0.1'",
		fmt.Sprintf("port = %d", s.Port),
		fmt.Sprintf("unix_socket_directories = '%s'", s.Dir),
		"max_connections = 300",
		"shared_buffers = 64MB",
		"wal_level = replica",
		"max_wal_senders = 4",
	}, settings...)
	_, err = f.WriteString("\n" + strings.Join(lines, "\n") + "\n")
	return errors.Join(err, f.Close())
}

// account is whom the servers run as: PostgreSQL refuses to run as root. Nil is
// whoever runs the tests.
var account = sync.OnceValue(func() *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.Atoi(u.Uid) // digits, on every system that has root
			gid, _ := strconv.Atoi(u.Gid)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), NoSetGroups: true}
		}
	}
	return nil
})

// command is one of PostgreSQL's programs, to be run as the account.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	bin, err := Binaries()
	if err != nil {
		bin = ""
	}
	cmd := exec.Command(filepath.Join(bin, name), args...)
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "PGOPTIONS=")
	cmd.SysProcAttr = attributes(account())
	return cmd
}

// Start starts a server that does not run, and waits until it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) start() error {
	logged, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer logged.Close()
	s.cmd = s.command("postgres", "-D", s.data())
	s.cmd.Stdout, s.cmd.Stderr = logged, logged
	s.done = make(chan struct{})
	started := make(chan error, 1)
	go func(cmd *exec.Cmd, done chan struct{}) {
		// The server is told of the end of the thread that started it, so that
		// thread stays.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait() // how it ended is in its log
		}
		close(done)
	}(s.cmd, s.done)
	if err := <-started; err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		c, err := pgx.Connect(ctx, s.DSN("postgres"))
		if err == nil {
			err = c.Close(ctx)
			cancel()
			return err
		}
		cancel()
		select {
		case <-s.done:
			return fmt.Errorf("postgres ended before it answered:\n%s", s.Log())
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("postgres does not answer: %w\n%s", err, s.Log())
		}
	}
}

// Log returns what the server has logged.
func (s *Server) Log() string {
	b, err := os.ReadFile(filepath.Join(s.Dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(b))
}

// Kill ends the server at once, as a crash would, with all its processes.
func (s *Server) Kill() { s.end(syscall.SIGQUIT) }

// Stop ends the server after it has cut every connection.
func (s *Server) Stop() { s.end(syscall.SIGINT) }

func (s *Server) end(sig syscall.Signal) {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	s.cmd.Process.Signal(sig) // one that has ended already is what is wanted
	select {
	case <-s.done:
	case <-time.After(30 * time.Second):
		s.cmd.Process.Kill()
		<-s.done
	}
}

func (s *Server) remove() {
	s.end(syscall.SIGQUIT)
	os.RemoveAll(s.Dir)
}

// Standby makes a streaming standby of the server under that name and starts it.
func (s *Server) Standby(t testing.TB, name string, settings ...string) *Server {
	t.Helper()
	r, err := prepare()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.remove)
	conninfo := fmt.Sprintf("host=%s port=%d user=roster application_name=%s", s.Dir, s.Port, name)
	out, err := r.command("pg_basebackup", "--pgdata", r.data(), "--dbname", conninfo, "--write-recovery-conf", "--checkpoint=fast", "--no-sync").CombinedOutput()
	if err != nil {
		t.Fatalf("pg_basebackup: %v\n%s", err, out)
	}
	if err := r.configure(settings...); err != nil {
		t.Fatal(err)
	}
	r.Start(t)
	return r
}

// Instead makes a standby, which must not run, the primary at the address of
// another server, which must have ended.
func (s *Server) Instead(t testing.TB, of *Server) {
	t.Helper()
	s.Port = of.Port
	if err := s.configure(fmt.Sprintf("unix_socket_directories = '%s'", of.Dir)); err != nil {
		t.Fatal(err)
	}
	s.socket = of.Dir
	s.Start(t)
	s.Exec(t, "SELECT pg_promote()")
}

// Exec runs statements on the database postgres, one by one.
func (s *Server) Exec(t testing.TB, statements ...string) {
	t.Helper()
	if err := s.Do(statements...); err != nil {
		t.Fatal(err)
	}
}

// Do is Exec for a program that is no test.
func (s *Server) Do(statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	for _, q := range statements {
		if _, err := c.Exec(ctx, q); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
	}
	return nil
}

// DSN names a database of the server, through its socket.
func (s *Server) DSN(database string) string {
	return fmt.Sprintf("postgres://roster@/%s?host=%s&port=%d", database, url.QueryEscape(cmp.Or(s.socket, s.Dir)), s.Port)
}

// Address is where the server listens on TCP.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// Database makes an empty database of its own for a test, dropped when it ends,
// and returns its DSN.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	return s.DatabaseLike(t, "template0")
}

// DatabaseLike is Database with what another database, that nobody uses, holds.
func (s *Server) DatabaseLike(t testing.TB, template string) string {
	t.Helper()
	name := fmt.Sprintf("test%d", databases.Add(1))
	s.Exec(t, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, template))
	t.Cleanup(func() {
		if err := s.Do(fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name)); err != nil {
			t.Error(err)
		}
	})
	return s.DSN(name)
}

var databases atomic.Int64

// shared is the server of the test program that called [Main].
var shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Shared returns a server for all tests of a program whose TestMain calls
// [Main]. It does not sync to disk, and does not vacuum, so that plans depend on
// what a test does alone: who tests durability takes one of its own.
func Shared(t testing.TB) *Server {
	t.Helper()
	Need(t)
	shared.once.Do(func() {
		if shared.server, shared.err = create("fsync = off", "full_page_writes = off", "autovacuum = off"); shared.err == nil {
			shared.err = shared.server.start()
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server
}

// Main runs a program's tests and then removes the shared server, if one was
// started. It returns the exit status.
func Main(m *testing.M) int {
	code := m.Run()
	if shared.server != nil {
		shared.server.remove()
	}
	return code
}
