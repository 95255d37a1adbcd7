package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"roster/client"
	"roster/internal/store/postgres"
	"roster/internal/store/postgres/pgtest"
)

// sealKey is what the nodes of a test seal with.
const sealKey = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// hang is how long a test waits for what comes within seconds, before it calls it
// a hang. No test asserts that anything is faster.
const hang = 2 * time.Minute

// node is one of several real programs that serve one database.
type node struct {
	url string // of the doors
	ops string // of the operations
	dsn string
	*program
}

// program is a process of a node.
type program struct {
	data   string // where a first start leaves the platform's key
	cmd    *exec.Cmd
	output *lockedBuffer
	exited chan struct{} // closed once the program has ended
	err    error         // how, when exited is closed
}

// launch starts the program on a database, without waiting until it answers.
func launch(t *testing.T, dsn string, args ...string) *node {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	n := &node{dsn: dsn, program: &program{data: t.TempDir(), output: &lockedBuffer{}, exited: make(chan struct{})}}
	n.cmd = exec.Command(path, append([]string{"serve", "--store", dsn, "--data", n.data, "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"}, args...)...)
	n.cmd.Env = append(os.Environ(), "ROSTER_SEAL_KEY="+sealKey)
	n.cmd.Stdout, n.cmd.Stderr = n.output, n.output
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := n.program
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		if t.Failed() {
			time.Sleep(300 * time.Millisecond) // its log is gathered for a moment
		}
		p.cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("a node's last words:\n%s", lastLines(p.output.String(), 15))
		}
	})
	return n
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(len(lines)-n, 0):], "\n")
}

var served = regexp.MustCompile(`msg=serving address=(\S+) operations=(\S+)`)

// answers waits until a node that was launched answers.
func (n *node) answers(t *testing.T) *node {
	t.Helper()
	for deadline := time.Now().Add(hang); time.Now().Before(deadline); {
		if m := served.FindStringSubmatch(n.output.String()); m != nil {
			n.url, n.ops = "http://"+m[1], "http://"+m[2]
			return n
		}
		select {
		case <-n.exited:
			t.Fatalf("the node ended before it was ready: %v\n%s", n.err, n.output)
		case <-time.After(5 * time.Millisecond):
		}
	}
	t.Fatalf("the node was not ready in time:\n%s", n.output)
	return nil
}

// kill ends the node as a loss of power would.
func (n *node) kill() {
	n.cmd.Process.Kill()
	<-n.exited
}

// restart starts a node again that was killed, at the address that it had.
func (n *node) restart(t *testing.T) {
	t.Helper()
	again := launch(t, n.dsn, "--listen", strings.TrimPrefix(n.url, "http://"), "--ops-listen", strings.TrimPrefix(n.ops, "http://"))
	again.answers(t)
	n.program = again.program
}

// signal sends the node a signal.
func (n *node) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// ready asks the node's readiness.
func (n *node) ready(t *testing.T) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", n.ops+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := requests.Do(r)
	if err != nil {
		t.Fatalf("/readyz: %v", err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// becomes waits until the node's readiness is the status.
func (n *node) becomes(t *testing.T, status int) {
	t.Helper()
	for deadline := time.Now().Add(hang); n.ready(t) != status; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("/readyz does not become %d", status)
		}
	}
}

// deployment is some nodes on one database, and a tenant in it.
type deployment struct {
	dsn      string // of the database, around any proxy
	nodes    []*node
	platform string // the platform's key
	tenant   string
	key      string // an administrator's of the tenant
	group    string // the id of the witchers
	ids      map[string]string
}

// deploy starts a node for each DSN and makes the tenant rivia with a group, and
// users u0, u1, … in it or not.
func deploy(t *testing.T, dsn string, users int, dsns ...string) *deployment {
	t.Helper()
	if _, err := postgres.Migrate(t.Context(), dsn, false); err != nil {
		t.Fatal(err)
	}
	d := &deployment{dsn: dsn, tenant: "rivia"}
	for _, dsn := range dsns {
		d.nodes = append(d.nodes, launch(t, dsn))
		if len(d.nodes) == 1 {
			d.nodes[0].answers(t)
		}
	}
	for _, n := range d.nodes {
		n.answers(t)
	}
	b, err := os.ReadFile(filepath.Join(d.nodes[0].data, "platform.key"))
	if err != nil {
		t.Fatal(err)
	}
	d.platform = strings.TrimSpace(string(b))
	d.key = d.makeTenant(t, d.tenant, users)
	d.group = d.nodes[0].must(t, apiCall{key: d.key, method: "GET", path: "/tenants/rivia/groups/name:witchers"}, http.StatusOK).ID
	d.ids = map[string]string{}
	for i := range users {
		name := fmt.Sprintf("u%d", i)
		d.ids[name] = d.nodes[0].must(t, apiCall{key: d.key, method: "GET", path: "/tenants/rivia/users/name:" + name}, http.StatusOK).ID
	}
	return d
}

// makeTenant makes a tenant with a group witchers and users u0, u1, …, and
// returns an administrator's key of it.
func (d *deployment) makeTenant(t *testing.T, name string, users int) string {
	t.Helper()
	c, err := client.New(d.nodes[0].url, d.platform, client.WithHTTPClient(requests))
	if err != nil {
		t.Fatal(err)
	}
	var file strings.Builder
	fmt.Fprintf(&file, "tenants:\n  - name: %s\n    groups:\n      - {name: witchers}\n    users:\n      - {name: nobody}\n", name)
	for i := range users {
		fmt.Fprintf(&file, "      - {name: u%d}\n", i)
	}
	if _, err := c.Apply(t.Context(), []byte(file.String()), false); err != nil {
		t.Fatal(err)
	}
	key, err := c.Tenant(name).CreateKey(t.Context(), client.NewKey{Name: "test", Grants: []string{"admin"}})
	if err != nil {
		t.Fatal(err)
	}
	return key.Secret
}

// requests is how the tests reach nodes: with a time-out that only a hang meets.
var requests = &http.Client{Timeout: hang, Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute}}

// apiCall is a request to a node.
type apiCall struct {
	key, method, path string
	body              any
	once              string // Idempotency-Key
	consistency       string
}

// reply is what came of a call.
type reply struct {
	status  int
	header  http.Header
	text    string
	Outcome string
	Member  bool
	Code    any // of a problem; a user's is a number
	ID      string
	Secret  string
}

// send sends a call to a node. An error is that no whole answer came.
func (n *node) send(ctx context.Context, c apiCall) (reply, error) {
	var body io.Reader
	if c.body != nil {
		b, err := json.Marshal(c.body)
		if err != nil {
			return reply{}, err
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, c.method, n.url+"/api/v1"+c.path, body)
	if err != nil {
		return reply{}, err
	}
	r.Header.Set("Authorization", "Bearer "+c.key)
	if c.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.once != "" {
		r.Header.Set("Idempotency-Key", c.once)
	}
	if c.consistency != "" {
		r.Header.Set("Roster-Consistency", c.consistency)
	}
	resp, err := requests.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{}, err
	}
	out := reply{status: resp.StatusCode, header: resp.Header, text: string(b)}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &out); err != nil {
			return out, fmt.Errorf("%s: %w", b, err)
		}
	}
	return out, nil
}

// must sends a call that has to come out with one of the statuses.
func (n *node) must(t *testing.T, c apiCall, statuses ...int) reply {
	t.Helper()
	r, err := n.send(t.Context(), c)
	if err != nil {
		t.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	for _, s := range statuses {
		if r.status == s {
			return r
		}
	}
	t.Fatalf("%s %s: status %d, want %v: %s", c.method, c.path, r.status, statuses, r.text)
	return r
}

// member is a call about one user's membership of the witchers.
func (d *deployment) member(method, user string) apiCall {
	return apiCall{key: d.key, method: method, path: "/tenants/" + d.tenant + "/groups/name:witchers/members/name:" + user}
}

// check is a call that asks whether a user is in the witchers.
func (d *deployment) check(user string) apiCall {
	return apiCall{key: d.key, method: "GET", path: "/tenants/" + d.tenant + "/check?user=name:" + user + "&group=name:witchers"}
}

// checkID is check by ids, which a node answers from its memory.
func (d *deployment) checkID(user string) apiCall {
	return apiCall{key: d.key, method: "GET", path: "/tenants/" + d.tenant + "/check?user=" + d.ids[user] + "&group=" + d.group}
}

// viaTCP is the DSN of a database through a TCP address.
func viaTCP(t *testing.T, s *pgtest.Server, dsn, address, params string) string {
	t.Helper()
	name, _, ok := strings.Cut(strings.TrimPrefix(dsn, "postgres://roster@/"), "?")
	if !ok {
		t.Fatalf("%q is not a DSN as pgtest makes them", dsn)
	}
	return "postgres://roster@" + address + "/" + name + "?sslmode=disable" + params
}

// long skips a test that starts many programs where only quick ones are wanted.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts the real program on a real PostgreSQL several times")
	}
	pgtest.Need(t)
}

// longer is how many times longer the failures of nodes are tried.
var longer = flag.Int("failures", 1, "how many times longer the tests of nodes that fail go on")

// rounds is n times that.
func rounds(n int) int { return n * *longer }
