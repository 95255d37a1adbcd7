package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// nodes are real servers on one database.
type nodes struct {
	m    *machine
	env  []string
	each []*node
}

type node struct {
	name    string
	address string
	ops     string
	process *process
}

// newNodes builds the program, makes the schema, and starts n servers.
func newNodes(ctx context.Context, m *machine, dsn, pgpass string, n int) (*nodes, error) {
	program := filepath.Join(m.dir, "roster")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "roster/cmd/roster")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, tail(out))
	}
	seal := make([]byte, 32)
	rand.Read(seal)
	ns := &nodes{m: m, env: []string{
		"ROSTER_STORE=" + dsn,
		"ROSTER_SEAL_KEY=" + hex.EncodeToString(seal),
		"PGPASSFILE=" + pgpass,
	}}
	if _, err := m.run(ctx, ns.env, program, "migrate", "--store", dsn); err != nil {
		return nil, err
	}
	for i := range n {
		nd := &node{name: fmt.Sprint("node", i+1)}
		var err error
		if nd.address, err = freeAddress(); err != nil {
			return nil, err
		}
		if nd.ops, err = freeAddress(); err != nil {
			return nil, err
		}
		ns.each = append(ns.each, nd)
		if err := ns.start(ctx, nd); err != nil {
			return nil, err
		}
	}
	return ns, nil
}

// start starts a node and returns when it is ready.
func (ns *nodes) start(ctx context.Context, nd *node) (err error) {
	data := filepath.Join(ns.m.dir, nd.name)
	nd.process, err = ns.m.start(nd.name, ns.env, filepath.Join(ns.m.dir, "roster"),
		"serve", "--no-migrate", "--data", data, "--listen", nd.address, "--ops-listen", nd.ops)
	if err != nil {
		return err
	}
	return until(ctx, 30*time.Second, nd.name+" is not ready", func(ctx context.Context) error {
		select {
		case <-nd.process.exited:
			log, _ := os.ReadFile(ns.m.logOf(nd.name))
			return fmt.Errorf("it ended:\n%s", tail(log))
		default:
		}
		return ready(ctx, nd.ops)
	})
}

// ready asks a node's operations listener.
func ready(ctx context.Context, ops string) error {
	_, err := get(ctx, "http://"+ops+"/readyz")
	return err
}

// platformKey is the secret that the first start wrote.
func (ns *nodes) platformKey() (string, error) {
	for _, nd := range ns.each {
		text, err := os.ReadFile(filepath.Join(ns.m.dir, nd.name, "platform.key"))
		if err == nil {
			return strings.TrimSpace(string(text)), nil
		}
	}
	return "", fmt.Errorf("no node has written platform.key")
}

func (ns *nodes) urls() []string {
	urls := make([]string, len(ns.each))
	for i, nd := range ns.each {
		urls[i] = "http://" + nd.address
	}
	return urls
}
