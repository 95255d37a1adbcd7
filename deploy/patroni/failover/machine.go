package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// machine is what the run uses of the computer: programs, a directory that goes
// away, a user that is not root, and every process that was started.
type machine struct {
	dir        string
	postgresql string // where PostgreSQL's programs are
	credential *syscall.Credential
	processes  []*process
}

// packages are Debian's, by the program that is looked for.
var packages = map[string]string{"etcd": "etcd-server", "patroni": "patroni", "patronictl": "patroni", "psql": "postgresql-client"}

// newMachine finds what the run needs, and installs it where that is allowed.
func newMachine(ctx context.Context) (*machine, error) {
	var missing []string
	for program, pkg := range packages {
		if _, err := exec.LookPath(program); err != nil && !slices.Contains(missing, pkg) {
			missing = append(missing, pkg)
		}
	}
	if serverPrograms() == "" {
		missing = append(missing, "postgresql")
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		if err := install(ctx, missing); err != nil {
			return nil, fmt.Errorf("this needs %s, Debian's packages, and they are not here: %w", strings.Join(missing, ", "), err)
		}
	}
	m := &machine{postgresql: serverPrograms()}
	if m.postgresql == "" {
		return nil, errors.New("there is no postgres in /usr/lib/postgresql/*/bin")
	}
	var err error
	if m.dir, err = os.MkdirTemp("", "roster-failover-"); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 { // which PostgreSQL refuses to run as
		u, err := user.Lookup("postgres")
		if err != nil {
			return nil, fmt.Errorf("root cannot run PostgreSQL: %w", err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		m.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(m.dir, uid, gid); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// serverPrograms is the directory of the newest PostgreSQL server installed.
func serverPrograms() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // the pattern is well formed
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 for what is no version
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
	if len(found) == 0 {
		return ""
	}
	return filepath.Dir(found[len(found)-1])
}

func install(ctx context.Context, names []string) error {
	if os.Getuid() != 0 {
		return errors.New("only root may install them")
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return err
	}
	for _, args := range [][]string{{"update", "-q"}, append([]string{"install", "-yq", "--no-install-recommends"}, names...)} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", args[0], err, tail(out))
		}
	}
	return nil
}

// tail is the end of an output, for an error.
func tail(out []byte) []byte {
	const most = 4000
	return out[max(0, len(out)-most):]
}

// process is a program that the run started. Its output is in a file of its
// name in the directory.
type process struct {
	name   string
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has been waited for
}

// start starts a program in the directory, as a user who is not root.
func (m *machine) start(name string, env []string, program string, args ...string) (*process, error) {
	log, err := os.OpenFile(m.logOf(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{name: name, cmd: m.command(context.Background(), env, program, args...), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.cmd.Wait() // how it ended is in its log
		close(p.exited)
	}()
	m.processes = append(m.processes, p)
	return p, nil
}

// run runs a program to its end and returns what it printed.
func (m *machine) run(ctx context.Context, env []string, program string, args ...string) (string, error) {
	out, err := m.command(ctx, env, program, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", filepath.Base(program), err, tail(out))
	}
	return string(out), nil
}

func (m *machine) command(ctx context.Context, env []string, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = m.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + m.dir, "LC_ALL=C.UTF-8"}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: m.credential, Setpgid: true}
	return cmd
}

func (m *machine) logOf(name string) string { return filepath.Join(m.dir, name+".log") }

// file writes a file that the programs can read and others cannot.
func (m *machine) file(name, text string) (path string, err error) {
	path = filepath.Join(m.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", err
	}
	if m.credential != nil {
		err = os.Chown(path, int(m.credential.Uid), int(m.credential.Gid))
	}
	return path, err
}

// kill ends a process and all that it started and that is still under it, as a
// loss of power would.
func (p *process) kill() {
	killTree(p.cmd.Process.Pid)
	<-p.exited
}

// killTree kills a process and its descendants.
func killTree(pid int) {
	below := children(pid)
	syscall.Kill(pid, syscall.SIGKILL) // gone already is as good
	for _, child := range below {
		killTree(child)
	}
}

// children are the processes whose parent is pid.
func children(pid int) []int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well formed
	var found []int
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state ppid …, where the name may hold anything.
		after := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(after) > 1 && after[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			found = append(found, child)
		}
	}
	return found
}

// close ends everything and takes the directory away, or leaves it to be looked at.
func (m *machine) close(keep bool) {
	// Patroni's PostgreSQL is no child of it, so it is found by its pid file.
	pidFiles, _ := filepath.Glob(filepath.Join(m.dir, "*", "postmaster.pid"))
	for _, p := range m.processes {
		p.kill()
	}
	for _, path := range pidFiles {
		killPostgres(filepath.Dir(path))
	}
	if !keep {
		os.RemoveAll(m.dir)
	}
}

// killPostgres kills the server of a data directory with all its processes.
func killPostgres(data string) {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return // it has stopped
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return
	}
	// The file outlives a killed server, and its number may be another's by now.
	if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err == nil && cwd == data {
		killTree(pid)
	}
}

// freeAddress returns an address on loopback that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// until asks again and again until ok, or fails with the last error when the
// time is over.
func until(ctx context.Context, most time.Duration, what string, ok func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		err := ok(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s, for %s: %w", what, most, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
