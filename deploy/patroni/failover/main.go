// Command failover fails a PostgreSQL cluster over under load and counts what
// was lost: nothing, or it exits with status 1.
//
// It works on loopback, in a directory that goes away. It starts etcd, three PostgreSQL
// members under Patroni with ../patroni.yml, and three Roster nodes on them. Writers
// make groups and put users into them through all nodes, each
// write with an Idempotency-Key under which it is repeated, at another node,
// until it is answered. Meanwhile the steps happen:
//
//	kill        SIGKILL to the primary and its Patroni, as if its machine lost power; later it comes back
//	switchover  patronictl switchover
//	node        SIGKILL to a Roster node; later it comes back
//	zombie      SIGKILL to the primary's Patroni alone: without a watchdog there are two primaries then,
//	            until a minute later the old one is killed as well
//
// At the end everything is read back and compared with what was acknowledged.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func main() {
	steps := flag.String("steps", "kill,node,switchover,kill", "what happens, in order")
	writers := flag.Int("writers", 16, "how many clients write at once")
	calm := flag.Duration("calm", 5*time.Second, "time under load before and after each step")
	bound := flag.Duration("timeout", 8*time.Minute, "when to give up")
	keep := flag.Bool("keep", false, "leave the directory with all logs")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *bound)
	defer cancel()
	good, err := run(ctx, strings.Split(*steps, ","), *writers, *calm, *keep)
	if err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
	}
	if err != nil || !good {
		os.Exit(1)
	}
}

// run reports whether nothing was lost.
func run(ctx context.Context, steps []string, writers int, calm time.Duration, keep bool) (good bool, err error) {
	for _, step := range steps {
		if _, ok := stepOf[step]; !ok {
			return false, fmt.Errorf("-steps: there is no step %q", step)
		}
	}
	m, err := newMachine(ctx)
	if err != nil {
		return false, err
	}
	defer func() {
		keep := keep || err != nil || !good
		m.close(keep)
		if keep {
			fmt.Println("logs are in", m.dir)
		}
	}()
	config, err := m.copy(beside("..", "patroni.yml"))
	if err != nil {
		return false, err
	}
	sql, err := m.copy(beside("..", "..", "postgres", "roster.sql"))
	if err != nil {
		return false, err
	}
	say("starting etcd and three PostgreSQL members")
	c, err := newCluster(ctx, m, config, sql, 3)
	if err != nil {
		return false, err
	}
	say("starting three nodes")
	ns, err := newNodes(ctx, m, c.dsn(), c.pgpass, 3)
	if err != nil {
		return false, err
	}
	key, err := ns.platformKey()
	if err != nil {
		return false, err
	}
	l, err := newLoad(ctx, ns.urls(), key, writers)
	if err != nil {
		return false, err
	}
	r := &runner{cluster: c, nodes: ns, calm: calm}
	say("%d writers are at work", writers)
	l.start(ctx)
	began := time.Now()
	err = r.all(ctx, steps)
	took := time.Since(began)
	l.stop()
	if err != nil {
		return false, err
	}
	say("reading everything back")
	v, err := l.verify(ctx)
	if err != nil {
		return false, err
	}
	r.print(l, v, took)
	return v.good(), nil
}

// beside is a file by its path from this source file.
func beside(path ...string) string {
	_, self, _, _ := runtime.Caller(0)
	return filepath.Join(append([]string{filepath.Dir(self)}, path...)...)
}

// copy puts a file where the programs can read it.
func (m *machine) copy(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return m.file(filepath.Base(path), string(text))
}

func say(format string, args ...any) {
	fmt.Printf(time.Now().Format("15:04:05 ")+format+"\n", args...)
}

// runner lets the steps happen and remembers when.
type runner struct {
	cluster  *cluster
	nodes    *nodes
	calm     time.Duration
	happened []happening
}

type happening struct {
	step     string
	from, to time.Time     // of the load that is looked at for a pause
	elected  time.Duration // until there was a new leader; 0 if none was wanted
}

var stepOf = map[string]func(*runner, context.Context, *happening) (after func(context.Context) error, err error){
	"kill": (*runner).kill, "switchover": (*runner).switchover, "node": (*runner).killNode, "zombie": (*runner).zombie,
}

// all lets the steps happen under load, each on a whole cluster.
func (r *runner) all(ctx context.Context, steps []string) error {
	for _, step := range steps {
		if err := r.rest(ctx); err != nil {
			return err
		}
		say("%s", step)
		h := happening{step: step, from: time.Now()}
		after, err := stepOf[step](r, ctx, &h)
		if err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
		if err := r.rest(ctx); err != nil {
			return err
		}
		h.to = time.Now()
		r.happened = append(r.happened, h)
		if err := after(ctx); err != nil {
			return fmt.Errorf("after %s: %w", step, err)
		}
		if err := r.cluster.whole(ctx, 90*time.Second); err != nil {
			return err
		}
	}
	return r.rest(ctx)
}

func (r *runner) rest(ctx context.Context) error {
	select {
	case <-time.After(r.calm):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// kill returns when another member is the leader and every node is ready again.
func (r *runner) kill(ctx context.Context, h *happening) (func(context.Context) error, error) {
	old, err := r.cluster.leader(ctx)
	if err != nil {
		return nil, err
	}
	old.kill()
	if err := r.elected(ctx, old, h); err != nil {
		return nil, err
	}
	return func(context.Context) error { return r.cluster.startMember(old) }, nil
}

// zombieFor is how long the old primary lives on, which is longer than a node
// waits for any commit.
const zombieFor = time.Minute

func (r *runner) zombie(ctx context.Context, h *happening) (func(context.Context) error, error) {
	old, err := r.cluster.leader(ctx)
	if err != nil {
		return nil, err
	}
	old.patroni.kill()
	if err := r.cluster.newLeader(ctx, old, 90*time.Second); err != nil {
		return nil, err
	}
	elected := time.Since(h.from)
	select {
	case <-time.After(zombieFor):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	killPostgres(old.data)
	err = r.elected(ctx, old, h)
	h.elected = elected
	return func(context.Context) error { return r.cluster.startMember(old) }, err
}

func (r *runner) switchover(ctx context.Context, h *happening) (func(context.Context) error, error) {
	old, err := r.cluster.leader(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.cluster.switchover(ctx); err != nil {
		return nil, err
	}
	return func(context.Context) error { return nil }, r.elected(ctx, old, h)
}

func (r *runner) killNode(ctx context.Context, _ *happening) (func(context.Context) error, error) {
	nd := r.nodes.each[0]
	nd.process.kill()
	return func(ctx context.Context) error { return r.nodes.start(ctx, nd) }, nil
}

func (r *runner) elected(ctx context.Context, old *member, h *happening) error {
	if err := r.cluster.newLeader(ctx, old, 90*time.Second); err != nil {
		return err
	}
	h.elected = time.Since(h.from)
	for _, nd := range r.nodes.each {
		err := until(ctx, 90*time.Second, nd.name+" is not ready after the failover", func(ctx context.Context) error {
			return ready(ctx, nd.ops)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// print says what came of it.
func (r *runner) print(l *load, v verdict, took time.Duration) {
	fmt.Printf("\n%-12s  %-16s  %s\n", "step", "new leader after", "longest time without an acknowledged write")
	for _, h := range r.happened {
		elected := "-"
		if h.elected > 0 {
			elected = fmt.Sprintf("%.1f s", h.elected.Seconds())
		}
		fmt.Printf("%-12s  %-16s  %.1f s\n", h.step, elected, l.pause(h.from, h.to).Seconds())
	}
	fmt.Println()
	row := func(what string, n int, which []string) {
		fmt.Printf("%-34s %8d\n", what, n)
		for _, s := range which[:min(len(which), 20)] {
			fmt.Println("    ", s)
		}
	}
	row("writes acknowledged", v.Acknowledged, nil)
	fmt.Printf("%-34s %8.0f\n", "  a second, pauses included", float64(v.Acknowledged)/took.Seconds())
	row("attempts repeated", v.Retries, nil)
	row("  answered with the kept answer", v.Replayed, nil)
	row("checks through another node", v.Checks, nil)
	row("lost", len(v.Lost), v.Lost)
	row("applied twice", len(v.Twice), v.Twice)
	row("there and never acknowledged", len(v.Unasked), v.Unasked)
	row("revisions given twice, or lost", len(v.Revisions), v.Revisions)
	row("answers older than a write", len(v.Stale), v.Stale)
	row("refused", len(v.Refused), v.Refused)
}
