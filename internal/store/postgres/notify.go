package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// channel is what nodes tell each other of commits on.
const channel = "roster"

// How word travels. It makes other nodes' indexes fresh before they are asked;
// no answer depends on it, because every question asks the primary how far its
// tenant has come. So it is sent outside of the commits, which it would make wait
// for each other (NOTIFY takes a lock of the whole database), and may be lost.
const (
	tellEvery = 5 * time.Millisecond
	pollEvery = 2 * time.Second

	// maxTold is how many tenants one message names; PostgreSQL carries up to
	// 8,000 bytes.
	maxTold = 100
)

// notifier tells the other nodes how far tenants have come.
type notifier struct {
	s    *Store
	mu   sync.Mutex // guards news
	news map[id.Tenant]directory.Revision
	wake chan struct{}
	once sync.Once
}

func (n *notifier) start() { n.once.Do(func() { n.wake = make(chan struct{}, 1) }) }

// moved says that a tenant has come to a revision.
func (n *notifier) moved(t id.Tenant, rev directory.Revision) {
	n.start()
	n.mu.Lock()
	if n.news == nil {
		n.news = map[id.Tenant]directory.Revision{}
	}
	n.news[t] = rev
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// run sends what there is to tell until ctx ends.
func (n *notifier) run(ctx context.Context) {
	n.start()
	for {
		select {
		case <-n.wake:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(tellEvery): // more may come, and goes along
		case <-ctx.Done():
			return
		}
		n.send(ctx)
	}
}

// news is one message: tenants' ids and the revisions they have come to.
type news map[string]directory.Revision

func (n *notifier) send(ctx context.Context) {
	n.mu.Lock()
	told := n.news
	n.news = nil
	n.mu.Unlock()
	for len(told) > 0 {
		message := news{}
		for t, rev := range told {
			message[t.String()] = rev
			delete(told, t)
			if len(message) == maxTold {
				break
			}
		}
		body, err := json.Marshal(message)
		if err != nil {
			return
		}
		quick, cancel := context.WithTimeout(ctx, quickly)
		n.s.lend(quick, func(c *conn) error { // others find out by themselves if it is lost
			return c.exec(quick, "SELECT pg_notify($1, $2)", channel, string(body))
		})
		cancel()
	}
}

// Watch implements [directory.Store]: it listens, and in case word was lost asks
// now and then.
func (s *Store) Watch(ctx context.Context, w directory.Watcher) {
	s.watcher.Store(&w)
	defer s.watcher.Store(nil)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	var all sync.WaitGroup
	all.Go(func() {
		for ctx.Err() == nil {
			s.listen(ctx) // the connection broke; polling goes on meanwhile
			pause(ctx, pollEvery)
		}
	})
	for pause(ctx, pollEvery) {
		f := &fence{tenants: map[id.Tenant]bool{}, done: make(chan struct{})}
		for _, t := range w.Interested() {
			f.tenants[t] = true
		}
		if len(f.tenants) == 0 {
			continue
		}
		s.fences.ask(f) // if that fails there is nothing to tell, and the next will come
		for t, rev := range f.answer {
			s.heard(t, rev)
		}
	}
	all.Wait()
}

// heard hands on, if it is news, how far a tenant has come.
func (s *Store) heard(t id.Tenant, rev directory.Revision) {
	w := s.watcher.Load()
	if w == nil || !s.history().hear(t, rev) {
		return
	}
	s.telling.Lock()
	defer s.telling.Unlock()
	w.Heard(t, rev)
}

// pause waits, and reports whether ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// listen hands on what other nodes tell until the connection breaks.
func (s *Store) listen(ctx context.Context) error {
	pc, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	c := pc.Hijack() // it is never the same again
	defer func() {
		closing, cancel := context.WithTimeout(context.Background(), quickly)
		defer cancel()
		c.Close(closing)
	}()
	if _, err := c.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	for {
		n, err := c.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		var message news
		if err := json.Unmarshal([]byte(n.Payload), &message); err != nil {
			return errors.Join(errors.New("a message on the channel that no node sent"), err)
		}
		for text, rev := range message {
			if t, err := id.Parse[id.Tenant](text); err == nil {
				s.heard(t, rev)
			}
		}
	}
}
