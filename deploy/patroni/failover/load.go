package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"roster/client"
)

const tenant = "failover"

// usersOfLoad is how many users there are to be put into groups.
const usersOfLoad = 100

func userName(i int) string { return fmt.Sprint("u", i) }

// load is writers at work on a tenant of their own through all nodes.
type load struct {
	urls []string
	key  string // of the tenant
	http *http.Client
	from uint64 // the tenant's revision before the first write

	writers []*writer
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

// newLoad makes the tenant, its users and a key for it.
func newLoad(ctx context.Context, urls []string, platformKey string, writers int) (*load, error) {
	c, err := client.New(urls[0], platformKey)
	if err != nil {
		return nil, err
	}
	var file strings.Builder
	fmt.Fprintf(&file, "tenants:\n  - name: %s\n    users:\n", tenant)
	for i := range usersOfLoad {
		fmt.Fprintf(&file, "      - {name: %s}\n", userName(i))
	}
	if _, err := c.Apply(ctx, []byte(file.String()), false); err != nil {
		return nil, err
	}
	key, err := c.Tenant(tenant).CreateKey(ctx, client.NewKey{Name: "load", Grants: []string{"admin"}})
	if err != nil {
		return nil, err
	}
	l := &load{urls: urls, key: key.Secret, http: &http.Client{
		Timeout:   attemptTime,
		Transport: &http.Transport{MaxIdleConnsPerHost: writers},
	}}
	if l.from, err = l.revision(ctx); err != nil {
		return nil, err
	}
	for i := range writers {
		l.writers = append(l.writers, &writer{load: l, name: fmt.Sprint("w", i), next: i, members: map[string]map[string]bool{}})
	}
	return l, nil
}

// start lets the writers work until stop.
func (l *load) start(ctx context.Context) {
	ctx, l.cancel = context.WithCancel(ctx)
	for _, w := range l.writers {
		l.done.Go(func() { w.work(ctx) })
	}
}

// stop ends the work. A writer first gets the answer to what it has asked, since
// a write without an answer can be counted neither way.
func (l *load) stop() {
	l.cancel()
	l.done.Wait()
}

// writer makes groups and puts users into them, one request at a time, and
// remembers what it was told.
type writer struct {
	load   *load
	name   string
	next   int // of the nodes
	groups int

	// What was acknowledged: who is in each group.
	members map[string]map[string]bool

	acks     []ack
	retries  int
	replayed int      // answers that had been kept from an attempt whose answer did not come
	checks   int      // that came after a write, through another node
	stale    []string // checks whose answer was older than an acknowledged write
	twice    []string // writes that a repetition carried out again
	refused  []string // answers that a writer cannot go on from
}

// ack is one acknowledged write.
type ack struct {
	at       time.Time
	revision uint64
}

func (w *writer) work(ctx context.Context) {
	for ctx.Err() == nil && len(w.refused) == 0 {
		w.fillGroup(ctx)
	}
}

// fillGroup makes a group and puts every user into it. Every eighth is taken out
// again. After each eighth change the change is looked for through another node.
func (w *writer) fillGroup(ctx context.Context) {
	group := fmt.Sprintf("%s-%d", w.name, w.groups)
	w.groups++
	// Names of groups are not unique, so a group that is made twice shows.
	if _, ok := w.write(http.MethodPost, "/groups", map[string]string{"name": group}); !ok {
		return
	}
	in := map[string]bool{}
	w.members[group] = in
	for i := range usersOfLoad {
		if ctx.Err() != nil {
			return
		}
		user := userName(i)
		path := "/groups/name:" + group + "/members/name:" + user
		outcome, ok := w.write(http.MethodPut, path, nil)
		if !ok {
			return
		}
		in[user] = true
		if outcome != "added" {
			w.twice = append(w.twice, fmt.Sprintf("%s into %s: %s", user, group, outcome))
		}
		if i%8 == 3 {
			w.check(user, group, true)
		}
		if i%8 != 7 {
			continue
		}
		if outcome, ok = w.write(http.MethodDelete, path, nil); !ok {
			return
		}
		delete(in, user)
		if outcome != "removed" {
			w.twice = append(w.twice, fmt.Sprintf("%s out of %s: %s", user, group, outcome))
		}
		w.check(user, group, false)
	}
}

// attemptTime is how long one attempt may take. It is more than a node waits for
// anything, so that an answer that a node should not have given is heard.
const attemptTime = 75 * time.Second

// answerTime is how long a writer asks for an answer. It is far more than a
// failover takes.
const answerTime = 4 * time.Minute

// write sends a change until it is answered, with one Idempotency-Key, each
// attempt to the next node. ok is false if there was no acknowledgement.
func (w *writer) write(method, path string, body any) (outcome string, ok bool) {
	answer, resp := w.ask(method, path, body, rand.Text())
	if resp == nil || resp.StatusCode > 299 {
		return "", false
	}
	revision, err := strconv.ParseUint(resp.Header.Get("Roster-Revision"), 10, 64)
	if err != nil {
		w.refused = append(w.refused, fmt.Sprintf("%s %s: Roster-Revision: %v", method, path, err))
		return "", false
	}
	if resp.Header.Get("Idempotent-Replayed") != "" {
		w.replayed++
	}
	w.acks = append(w.acks, ack{time.Now(), revision})
	return answer.Outcome, true
}

// check asks a node other than the last one.
func (w *writer) check(user, group string, want bool) {
	q := url.Values{"user": {client.ByName(user)}, "group": {client.ByName(group)}}
	answer, resp := w.ask(http.MethodGet, "/check?"+q.Encode(), nil, "")
	if resp == nil || resp.StatusCode > 299 {
		return
	}
	w.checks++
	if answer.Member != want {
		w.stale = append(w.stale, fmt.Sprintf("%s in %s: %t, at revision %s", user, group, answer.Member, resp.Header.Get("Roster-Revision")))
	}
}

// answer is what is read of any answer.
type answer struct {
	Outcome string
	Member  bool
}

// ask sends a request until it is answered with anything but "unavailable". An
// answer that says the request is wrong, or none in time, is noted as refused.
func (w *writer) ask(method, path string, body any, once string) (out answer, _ *http.Response) {
	var text []byte
	if body != nil {
		text, _ = json.Marshal(body) // of strings
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	for ; ; w.retries++ {
		resp, got, err := w.load.send(ctx, w.next, method, path, text, once)
		w.next++
		switch {
		case err == nil && resp.StatusCode < 300:
			if err := json.Unmarshal(got, &out); err != nil {
				w.refused = append(w.refused, fmt.Sprintf("%s %s: %v in %q", method, path, err, got))
			}
			return out, resp
		case err == nil && resp.StatusCode != http.StatusServiceUnavailable:
			w.refused = append(w.refused, fmt.Sprintf("%s %s: %s %s", method, path, resp.Status, got))
			return out, resp
		}
		select {
		case <-ctx.Done():
			w.refused = append(w.refused, fmt.Sprintf("%s %s: no answer within %s: %v", method, path, answerTime, err))
			return out, nil
		// Shorter than the server asks for, to measure when it is back.
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// send sends a request once, to one node.
func (l *load) send(ctx context.Context, node int, method, path string, body []byte, once string) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, l.urls[node%len(l.urls)]+"/api/v1/tenants/"+tenant+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+l.key)
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	if once != "" {
		r.Header.Set("Idempotency-Key", once)
	}
	resp, err := l.http.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp, got, err
}

// revision is the tenant's, as a node says it.
func (l *load) revision(ctx context.Context) (uint64, error) {
	resp, got, err := l.send(ctx, 0, http.MethodGet, "/groups?limit=1", nil, "")
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s", resp.Status, got)
	}
	return strconv.ParseUint(resp.Header.Get("Roster-Revision"), 10, 64)
}

// pause is the longest time without an acknowledged write that began or ended
// between two moments.
func (l *load) pause(from, to time.Time) time.Duration {
	times := []time.Time{from, to}
	for _, w := range l.writers {
		for _, a := range w.acks {
			if a.at.After(from) && a.at.Before(to) {
				times = append(times, a.at)
			}
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	longest := time.Duration(0)
	for i := 1; i < len(times); i++ {
		longest = max(longest, times[i].Sub(times[i-1]))
	}
	return longest
}

// verdict is what the whole run comes to.
type verdict struct {
	Acknowledged, Retries, Replayed, Checks int

	// Each says what is wrong, one entry for each write, answer or revision.
	Lost, Twice, Unasked, Revisions, Stale, Refused []string
}

func (v verdict) good() bool {
	return v.Acknowledged > 0 && len(v.Lost)+len(v.Twice)+len(v.Unasked)+len(v.Revisions)+len(v.Stale)+len(v.Refused) == 0
}

// verify reads everything back and compares it with what was acknowledged. The
// writers have stopped.
func (l *load) verify(ctx context.Context) (verdict, error) {
	var v verdict
	var acks []ack
	want := map[string]map[string]bool{}
	for _, w := range l.writers {
		v.Retries += w.retries
		v.Replayed += w.replayed
		v.Checks += w.checks
		v.Twice = append(v.Twice, w.twice...)
		v.Stale = append(v.Stale, w.stale...)
		v.Refused = append(v.Refused, w.refused...)
		acks = append(acks, w.acks...)
		maps.Copy(want, w.members)
	}
	v.Acknowledged = len(acks)
	if err := v.compareRows(ctx, l, want); err != nil {
		return v, err
	}
	last, err := l.revision(ctx)
	if err != nil {
		return v, err
	}
	v.compareRevisions(acks, l.from, last)
	return v, nil
}

func (v *verdict) compareRows(ctx context.Context, l *load, want map[string]map[string]bool) error {
	c, err := client.New(l.urls[len(l.urls)-1], l.key)
	if err != nil {
		return err
	}
	t := c.Tenant(tenant)
	found := map[string]int{}
	var ids = map[string]string{}
	for g, err := range t.Groups(ctx, client.GroupFilter{PageSize: 1000}) {
		if err != nil {
			return err
		}
		found[g.Name]++
		ids[g.Name] = g.ID
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		switch n := found[name]; {
		case n == 0:
			v.Lost = append(v.Lost, "the group "+name)
			continue
		case n > 1:
			v.Twice = append(v.Twice, fmt.Sprintf("the group %s, %d times", name, n))
		}
		in := map[string]bool{}
		for m, err := range t.Members(ctx, ids[name], client.MemberFilter{PageSize: 1000}) {
			if err != nil {
				return err
			}
			in[m.User.Name] = true
		}
		for i := range usersOfLoad {
			user := userName(i)
			switch {
			case want[name][user] && !in[user]:
				v.Lost = append(v.Lost, fmt.Sprintf("%s into %s", user, name))
			case in[user] && !want[name][user]:
				v.Unasked = append(v.Unasked, fmt.Sprintf("%s stands in %s", user, name))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if want[name] == nil {
			v.Unasked = append(v.Unasked, "the group "+name)
		}
	}
	return nil
}

// compareRevisions uses that a committed write takes one revision and leaves no
// gap. So acknowledgements have every revision after the first to the last, each once: one
// that two share belonged to a write that is gone, one that nobody got belongs
// to a write that was carried out once more than it was asked for.
func (v *verdict) compareRevisions(acks []ack, from, last uint64) {
	slices.SortFunc(acks, func(a, b ack) int { return cmp.Compare(a.revision, b.revision) })
	next := from + 1
	for _, a := range acks {
		switch {
		case a.revision < next:
			v.Revisions = append(v.Revisions, fmt.Sprintf("%d was given to two", a.revision))
			continue
		case a.revision > next:
			v.Revisions = append(v.Revisions, fmt.Sprintf("%d to %d were given to nobody", next, a.revision-1))
		}
		next = a.revision + 1
	}
	switch {
	case last+1 < next:
		v.Revisions = append(v.Revisions, fmt.Sprintf("%d to %d are gone", last+1, next-1))
	case last+1 > next:
		v.Revisions = append(v.Revisions, fmt.Sprintf("%d to %d were given to nobody", next, last))
	}
}
