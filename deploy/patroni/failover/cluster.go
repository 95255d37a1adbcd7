package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"
)

// cluster is PostgreSQL under Patroni, with one etcd.
type cluster struct {
	m       *machine
	config  string // patroni.yml
	etcd    string // its address
	pgpass  string // the file that holds the role's password
	members []*member
}

// member is one PostgreSQL and its Patroni.
type member struct {
	name     string
	postgres string // address
	rest     string // address of Patroni's API
	data     string
	env      []string
	patroni  *process
}

// newCluster makes a cluster of n members with the role and the database of
// roster.sql, and returns when it has a leader with a synchronous standby.
func newCluster(ctx context.Context, m *machine, config, sql string, n int) (*cluster, error) {
	c := &cluster{m: m, config: config}
	if err := c.startEtcd(ctx); err != nil {
		return nil, err
	}
	super, replication, role := rand.Text(), rand.Text(), rand.Text()
	for i := range n {
		mb := &member{name: fmt.Sprint("pg", i+1)}
		mb.data = filepath.Join(m.dir, mb.name)
		var err error
		if mb.postgres, err = freeAddress(); err != nil {
			return nil, err
		}
		if mb.rest, err = freeAddress(); err != nil {
			return nil, err
		}
		mb.env = []string{
			"PATRONI_NAME=" + mb.name,
			"PATRONI_ETCD3_HOSTS=" + c.etcd,
			"PATRONI_RESTAPI_LISTEN=" + mb.rest,
			"PATRONI_RESTAPI_CONNECT_ADDRESS=" + mb.rest,
			"PATRONI_POSTGRESQL_LISTEN=" + mb.postgres,
			"PATRONI_POSTGRESQL_CONNECT_ADDRESS=" + mb.postgres,
			"PATRONI_POSTGRESQL_DATA_DIR=" + mb.data,
			"PATRONI_POSTGRESQL_BIN_DIR=" + m.postgresql,
			"PATRONI_POSTGRESQL_PGPASS=" + mb.data + ".pgpass",
			"PATRONI_SUPERUSER_USERNAME=postgres",
			"PATRONI_SUPERUSER_PASSWORD=" + super,
			"PATRONI_REPLICATION_USERNAME=replicator",
			"PATRONI_REPLICATION_PASSWORD=" + replication,
		}
		c.members = append(c.members, mb)
		if err := c.startMember(mb); err != nil {
			return nil, err
		}
	}
	if err := c.whole(ctx, 90*time.Second); err != nil {
		return nil, err
	}
	leader, err := c.leader(ctx)
	if err != nil {
		return nil, err
	}
	password, err := m.file("db.password", role)
	if err != nil {
		return nil, err
	}
	env := []string{"PGPASSWORD=" + super, "ROSTER_PASSWORD_FILE=" + password}
	if err := c.psql(ctx, env, leader, "postgres", "postgres", "-f", sql); err != nil {
		return nil, err
	}
	// In this file the nodes find the role's password, so that the connection
	// string holds none.
	if c.pgpass, err = m.file("pgpass", "*:*:roster:roster:"+role+"\n"); err != nil {
		return nil, err
	}
	// A standby that has not replayed the database yet refuses connections to it in
	// a way that ends the search for the primary.
	for _, mb := range c.members {
		err := until(ctx, 30*time.Second, mb.name+" has no database", func(ctx context.Context) error {
			return c.psql(ctx, []string{"PGPASSFILE=" + c.pgpass}, mb, "roster", "roster", "-c", "SELECT")
		})
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *cluster) psql(ctx context.Context, env []string, mb *member, role, database string, args ...string) error {
	host, port, err := net.SplitHostPort(mb.postgres)
	if err != nil {
		return err
	}
	_, err = c.m.run(ctx, env, "psql", append([]string{"-X", "-h", host, "-p", port, "-U", role, "-d", database}, args...)...)
	return err
}

func (c *cluster) startEtcd(ctx context.Context) error {
	peer, err := freeAddress()
	if err != nil {
		return err
	}
	if c.etcd, err = freeAddress(); err != nil {
		return err
	}
	_, err = c.m.start("etcd", nil, "etcd", "--name", "etcd1", "--data-dir", filepath.Join(c.m.dir, "etcd"),
		"--listen-client-urls", "http://"+c.etcd, "--advertise-client-urls", "http://"+c.etcd,
		"--listen-peer-urls", "http://"+peer, "--initial-advertise-peer-urls", "http://"+peer,
		"--initial-cluster", "etcd1=http://"+peer, "--initial-cluster-token", rand.Text())
	if err != nil {
		return err
	}
	return until(ctx, 30*time.Second, "etcd does not answer", func(ctx context.Context) error {
		return getJSON(ctx, "http://"+c.etcd+"/health", &struct{}{})
	})
}

func (c *cluster) startMember(mb *member) (err error) {
	mb.patroni, err = c.m.start(mb.name, mb.env, "patroni", c.config)
	return err
}

// dsn names every member: whoever is the primary takes the connections.
func (c *cluster) dsn() string {
	hosts := make([]string, len(c.members))
	for i, mb := range c.members {
		hosts[i] = mb.postgres
	}
	return "postgres://roster@" + strings.Join(hosts, ",") + "/roster?target_session_attrs=read-write&connect_timeout=2"
}

// seen is how a member looks to Patroni.
type seen struct {
	Name, Role, State string
	Timeline          int
}

func (c *cluster) look(ctx context.Context) ([]seen, error) {
	var last error
	for _, mb := range c.members {
		var out struct{ Members []seen }
		if last = getJSON(ctx, "http://"+mb.rest+"/cluster", &out); last == nil {
			return out.Members, nil
		}
	}
	return nil, fmt.Errorf("no member of the cluster answers: %w", last)
}

// leader returns the member that is the primary.
func (c *cluster) leader(ctx context.Context) (*member, error) {
	all, err := c.look(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if s.Role == "leader" && s.State == "running" {
			return c.member(s.Name)
		}
	}
	return nil, fmt.Errorf("the cluster has no leader: %+v", all)
}

func (c *cluster) member(name string) (*member, error) {
	for _, mb := range c.members {
		if mb.name == name {
			return mb, nil
		}
	}
	return nil, fmt.Errorf("no member is called %q", name)
}

// whole returns when every member runs on the leader's timeline and one is a
// synchronous standby.
func (c *cluster) whole(ctx context.Context, within time.Duration) error {
	return until(ctx, within, "the cluster is not whole", func(ctx context.Context) error {
		all, err := c.look(ctx)
		if err != nil {
			return err
		}
		roles := map[string]int{}
		timelines := map[int]bool{}
		for _, s := range all {
			if s.State != "running" && s.State != "streaming" {
				return fmt.Errorf("%+v", all)
			}
			roles[s.Role]++
			timelines[s.Timeline] = true
		}
		if len(all) != len(c.members) || roles["leader"] != 1 || roles["sync_standby"] == 0 || len(timelines) != 1 {
			return fmt.Errorf("%+v", all)
		}
		return nil
	})
}

// kill ends a member as a loss of power of its machine would.
func (mb *member) kill() {
	mb.patroni.kill()
	killPostgres(mb.data)
}

// switchover asks Patroni to make the synchronous standby the leader.
func (c *cluster) switchover(ctx context.Context) error {
	_, err := c.m.run(ctx, c.members[0].env, "patronictl", "-c", c.config, "switchover", "--force")
	return err
}

// newLeader returns when a member other than old is the leader.
func (c *cluster) newLeader(ctx context.Context, old *member, within time.Duration) error {
	return until(ctx, within, "there is no new leader", func(ctx context.Context) error {
		now, err := c.leader(ctx)
		if err == nil && now == old {
			err = errors.New("it is the old one")
		}
		return err
	})
}

func getJSON(ctx context.Context, url string, out any) error {
	text, err := get(ctx, url)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, out)
}

// get returns the body of an answer that is 200.
func get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return io.ReadAll(resp.Body)
}
