// Package deploy_test holds the files in this directory to what they promise.
// No container engine and no systemd is needed: it reads the files, and runs
// what can be run.
package deploy_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"roster/internal/cli"
)

// service is what is looked at of a service in compose.yaml.
type service struct {
	User        string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Environment map[string]string
	EnvFile     []string `yaml:"env_file"`
	Secrets     []string
	Ports       []string
	Networks    []string
	Command     []string
	StopGrace   string `yaml:"stop_grace_period"`
	Healthcheck *struct {
		Test    []string
		Disable bool
	}
	DependsOn map[string]struct{ Condition string } `yaml:"depends_on"`
}

type compose struct {
	Services map[string]service
	Networks map[string]struct {
		Internal bool
		IPAM     struct{ Config []struct{ Subnet string } }
	}
	Volumes map[string]any
	Secrets map[string]struct{ File string }
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func readCompose(t *testing.T) compose {
	t.Helper()
	var c compose
	if err := yaml.Unmarshal([]byte(read(t, "compose.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Services) == 0 {
		t.Fatal("compose.yaml has no services")
	}
	return c
}

var numericUser = regexp.MustCompile(`^[1-9][0-9]*:[1-9][0-9]*$`)

func TestEveryContainerIsConfined(t *testing.T) {
	for name, s := range readCompose(t).Services {
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s: read_only %t, cap_drop %q, security_opt %q", name, s.ReadOnly, s.CapDrop, s.SecurityOpt)
		}
		if !numericUser.MatchString(s.User) {
			t.Errorf("%s runs as %q: want numbers other than 0, which need no passwd in the image", name, s.User)
		}
	}
}

func TestOnlyTheProxyIsReachedFromOutside(t *testing.T) {
	c := readCompose(t)
	for name, s := range c.Services {
		outside := slices.ContainsFunc(s.Networks, func(n string) bool { return !c.Networks[n].Internal })
		if name == "proxy" {
			if !outside || !slices.Equal(s.Ports, []string{"127.0.0.1:8080:8080"}) {
				t.Errorf("proxy: networks %q, ports %q", s.Networks, s.Ports)
			}
			continue
		}
		if outside || len(s.Ports) > 0 || len(s.Networks) == 0 {
			t.Errorf("%s: networks %q, ports %q", name, s.Networks, s.Ports)
		}
	}
}

// Failed sign-ins are limited by the client's address, so a node must believe the
// proxy about it, and nobody else.
func TestNodesTrustTheProxysNetworkAndNoOther(t *testing.T) {
	c := readCompose(t)
	for _, name := range []string{"roster1", "roster2"} {
		i := slices.Index(c.Services[name].Command, "--proxies")
		if i < 0 || i+1 == len(c.Services[name].Command) {
			t.Fatalf("%s trusts no proxy: %q", name, c.Services[name].Command)
		}
		trusted := c.Services[name].Command[i+1]
		if front := c.Networks["front"].IPAM.Config; len(front) != 1 || front[0].Subnet != trusted || !c.Networks["front"].Internal {
			t.Errorf("%s trusts %s, and the proxy's network is %v", name, trusted, c.Networks["front"])
		}
	}
	if !strings.Contains(read(t, "haproxy.cfg"), "\n    option forwardfor\n") {
		t.Error("haproxy.cfg tells nobody who its clients are")
	}
}

func TestNodesStartOnAReadyDatabaseAndThePlatformsKeyIsMadeOnce(t *testing.T) {
	c := readCompose(t)
	for _, e := range []struct{ who, after, condition string }{
		{"migrate", "db", "service_healthy"},
		{"roster1", "migrate", "service_completed_successfully"},
		{"roster2", "roster1", "service_healthy"},
		{"proxy", "roster1", "service_healthy"},
		{"proxy", "roster2", "service_healthy"},
	} {
		if got := c.Services[e.who].DependsOn[e.after].Condition; got != e.condition {
			t.Errorf("%s starts after %s on %q, want %q", e.who, e.after, got, e.condition)
		}
	}
	for _, name := range []string{"db", "roster1", "roster2"} {
		if h := c.Services[name].Healthcheck; h == nil || h.Disable || len(h.Test) < 2 {
			t.Errorf("%s has no health check", name)
		}
	}
}

// The server gives requests in flight 30 seconds, and as many to what it writes
// down at the end.
func TestNobodyIsKilledWhoStillStops(t *testing.T) {
	c := readCompose(t)
	for _, name := range []string{"roster1", "roster2"} {
		if d, err := time.ParseDuration(c.Services[name].StopGrace); err != nil || d <= 60*time.Second {
			t.Errorf("%s: stop_grace_period %q", name, c.Services[name].StopGrace)
		}
	}
	if !strings.Contains(read(t, "systemd/roster.service"), "\nTimeoutStopSec=75\n") {
		t.Error("roster.service: TimeoutStopSec is not 75")
	}
}

func TestNoSecretIsInTheFiles(t *testing.T) {
	c := readCompose(t)
	for name, s := range c.Services {
		for key, value := range s.Environment {
			secret := strings.Contains(key, "PASSWORD") || strings.Contains(key, "KEY")
			if secret && !strings.HasSuffix(key, "_FILE") {
				t.Errorf("%s: %s is in the environment", name, key)
			}
			if regexp.MustCompile(`://[^/@]*:[^/@]*@`).MatchString(value) {
				t.Errorf("%s: %s has a password in it", name, key)
			}
		}
	}
	unit := read(t, "systemd/roster.service") + read(t, "systemd/roster.service.d/postgres.conf")
	for line := range strings.Lines(unit) {
		if strings.HasPrefix(line, "Environment=") && (strings.Contains(line, "SEAL") || strings.Contains(line, "STORE")) {
			t.Errorf("the unit has %s", line)
		}
	}
}

func TestSecretsAreWrittenOnceForWhoMayReadThem(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "secrets.sh")
	if err := os.WriteFile(script, []byte(read(t, "secrets.sh")), 0o755); err != nil {
		t.Fatal(err)
	}
	run := func() map[string]string {
		if out, err := exec.Command("sh", script).CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("secrets.sh: %v\n%s", err, out)
		}
		found := map[string]string{}
		entries, err := os.ReadDir(filepath.Join(dir, "secrets"))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			found["secrets/"+e.Name()] = read(t, filepath.Join(dir, "secrets", e.Name()))
		}
		return found
	}
	first := run()
	if second := run(); !maps.Equal(first, second) {
		t.Error("a second run wrote other secrets")
	}
	c := readCompose(t)
	wanted := slices.Clone(c.Services["roster1"].EnvFile)
	for _, s := range c.Secrets {
		wanted = append(wanted, s.File)
	}
	slices.Sort(wanted)
	if got := slices.Sorted(maps.Keys(first)); !slices.Equal(got, wanted) {
		t.Errorf("secrets.sh writes %q, compose.yaml wants %q", got, wanted)
	}
	if !regexp.MustCompile(`^ROSTER_SEAL_KEY=[0-9a-f]{64}\n$`).MatchString(first["secrets/roster.env"]) {
		t.Errorf("roster.env does not hold a key of 64 hex digits")
	}
	if first["secrets/pgpass"] != "*:*:roster:roster:"+first["secrets/roster_password"]+"\n" {
		t.Error("pgpass does not hold the role's password")
	}
	modes := map[string]os.FileMode{"secrets": 0o700, "secrets/roster.env": 0o600, "secrets/pgpass": 0o444}
	for name, want := range modes {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
}

// dockerfile returns an instruction's argument that is written as JSON.
func dockerfile(t *testing.T, instruction string) []string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + instruction + ` .*?(\[.*\])$`).FindStringSubmatch(read(t, "Dockerfile"))
	if m == nil {
		t.Fatalf("the Dockerfile has no %s in JSON: a shell would be needed, and there is none", instruction)
	}
	var args []string
	if err := json.Unmarshal([]byte(m[1]), &args); err != nil {
		t.Fatal(err)
	}
	return args
}

func TestTheImageRunsAsNobodyWithoutAShell(t *testing.T) {
	text := read(t, "Dockerfile")
	if !regexp.MustCompile(`(?m)^USER [1-9][0-9]*:[1-9][0-9]*$`).MatchString(text) {
		t.Error("USER is not numeric, or is root")
	}
	_, final, ok := strings.Cut(text, "\nFROM scratch\n")
	if !ok || strings.Contains(final, "\nRUN ") {
		t.Error("the image is not from scratch")
	}
	if got := dockerfile(t, "ENTRYPOINT"); !slices.Equal(got, []string{"/roster"}) {
		t.Errorf("ENTRYPOINT %q", got)
	}
	if got := dockerfile(t, "HEALTHCHECK"); !slices.Equal(got, []string{"/roster", "health"}) {
		t.Errorf("HEALTHCHECK %q", got)
	}
}

func TestEveryCommandThatTheFilesGiveIsOneThatTheProgramKnows(t *testing.T) {
	start := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/roster (.*)$`).FindStringSubmatch(read(t, "systemd/roster.service"))
	if start == nil {
		t.Fatal("the unit does not start /usr/local/bin/roster")
	}
	commands := map[string][]string{
		"roster.service":         strings.Fields(start[1]),
		"Dockerfile CMD":         dockerfile(t, "CMD"),
		"Dockerfile HEALTHCHECK": dockerfile(t, "HEALTHCHECK")[1:],
	}
	c := readCompose(t)
	for _, name := range []string{"migrate", "roster1", "roster2"} {
		commands[name] = c.Services[name].Command
		if h := c.Services[name].Healthcheck; !h.Disable {
			commands[name+"'s health check"] = h.Test[2:]
		}
	}
	for where, args := range commands {
		if len(args) == 0 {
			t.Errorf("%s gives no command", where)
			continue
		}
		var help, errs bytes.Buffer
		if code := cli.Run(t.Context(), []string{args[0], "--help"}, strings.NewReader(""), &help, &errs); code != 0 {
			t.Errorf("%s: roster %s: %s", where, args[0], errs.String())
		}
		for _, a := range args[1:] {
			if strings.HasPrefix(a, "--") && !strings.Contains(help.String(), a+" ") {
				t.Errorf("%s: roster %s knows no %s", where, args[0], a)
			}
		}
	}
}

// What the image is built from is what the program is made of.
func TestTheBuildContextHoldsEveryPackageOfTheProgram(t *testing.T) {
	kept := read(t, "Dockerfile.dockerignore")
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "roster/cmd/roster").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for pkg := range strings.FieldsSeq(string(out)) {
		rest, ok := strings.CutPrefix(pkg, "roster/")
		if !ok {
			continue
		}
		found++
		top, _, _ := strings.Cut(rest, "/")
		if !strings.Contains(kept, "\n!"+top+"\n") {
			t.Errorf("%s is left out of the build", pkg)
		}
	}
	if found == 0 {
		t.Error("no package was looked at")
	}
}

func TestPatroniPromotesOnlyWhoHasEverything(t *testing.T) {
	var p struct {
		Bootstrap struct {
			DCS struct {
				TTL         int
				Synchronous bool `yaml:"synchronous_mode"`
				Strict      bool `yaml:"synchronous_mode_strict"`
				Count       int  `yaml:"synchronous_node_count"`
				Loop        int  `yaml:"loop_wait"`
				Retry       int  `yaml:"retry_timeout"`
				PostgreSQL  struct {
					Parameters map[string]any
				}
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "patroni/patroni.yml")), &p); err != nil {
		t.Fatal(err)
	}
	d := p.Bootstrap.DCS
	if !d.Synchronous || !d.Strict || d.Count < 1 || d.PostgreSQL.Parameters["synchronous_commit"] != "on" {
		t.Errorf("synchronous_mode %t, strict %t, %d nodes, synchronous_commit %v", d.Synchronous, d.Strict, d.Count, d.PostgreSQL.Parameters["synchronous_commit"])
	}
	if d.Loop == 0 || d.Retry == 0 || d.TTL < d.Loop+2*d.Retry {
		t.Errorf("ttl %d is less than loop_wait %d and twice retry_timeout %d: a leader that is well would be replaced", d.TTL, d.Loop, d.Retry)
	}
}
