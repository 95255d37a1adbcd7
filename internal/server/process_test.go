package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"roster/internal/server"
	"roster/internal/store/postgres/pgtest"
)

// binary builds the real program, once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "roster-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "roster")
	out, err := exec.Command("go", "build", "-o", path, "roster/cmd/roster").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := pgtest.Main(m)
	if path, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// process is the real program serving the demo.
type process struct {
	*server.Demo
	cmd    *exec.Cmd
	output *lockedBuffer
	exited chan error
}

// start starts the program on a data directory, with more flags if there are any,
// and waits until it answers.
func start(t *testing.T, dir string, flags ...string) *process {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "demo.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	p := &process{output: &lockedBuffer{}, exited: make(chan error, 1)}
	p.cmd = exec.Command(path, append([]string{"serve", "--demo", "--data", dir, "--listen", "127.0.0.1:0", "--ops-listen", ""}, flags...)...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.exited <- p.cmd.Wait() }()
	t.Cleanup(func() { p.cmd.Process.Kill() })
	deadline := time.Now().Add(time.Minute)
	for {
		if p.Demo, err = server.ReadDemo(dir); err == nil {
			return p
		}
		select {
		case err := <-p.exited:
			t.Fatalf("the server ended before it was ready: %v\n%s", err, p.output)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server was not ready within a minute: %v", err)
		}
	}
}

// printed returns what the program has written once it has said what next.
func (p *process) printed(t *testing.T) string {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if s := p.output.String(); strings.Contains(s, "openapi.json\n") {
			return s
		}
	}
	t.Fatalf("nothing was printed within a minute:\n%s", p.output)
	return ""
}

// lockedBuffer can be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// kill ends the program as a loss of power would.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.exited
}

// stop asks the program to stop and waits until it has.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.exited:
		if err != nil {
			t.Errorf("the server stopped with %v\n%s", err, p.output)
		}
	case <-time.After(time.Minute):
		t.Fatal("the server did not stop within a minute")
	}
}

// native sends a request to the native API of the demo's tenant. out, unless
// nil, gets the answer's JSON.
func (p *process) native(ctx context.Context, method, path string, in, out any) (status int, err error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return 0, err
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, p.BaseURL+"/api/v1/tenants/"+p.Native.Tenant+path, body)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+p.Native.Key)
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			return resp.StatusCode, fmt.Errorf("%s: %w", b, err)
		}
	}
	return resp.StatusCode, nil
}
