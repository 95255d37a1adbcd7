package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// A request is one caller's operation, waiting to be durable.
type request struct {
	op   []edge
	done chan<- error
}

// writeTogether adds the edges by the setup's callers, each adding one and
// waiting until it is durable before it takes the next. Whatever has queued up
// while one commit was under way goes into the next: group commit.
func (w *writer) writeTogether(ctx context.Context, edges []edge) error {
	requests := make(chan request, w.setup.callers)
	var next atomic.Int64
	var callers sync.WaitGroup
	for range w.setup.callers {
		callers.Go(func() {
			done := make(chan error, 1)
			for {
				i := int(next.Add(1)) - 1
				if i >= len(edges) {
					return
				}
				requests <- request{op: edges[i : i+1], done: done}
				if err := <-done; err != nil {
					return // the writer reports it
				}
			}
		})
	}
	go func() {
		callers.Wait()
		close(requests)
	}()

	var errs error
	for first := range requests {
		group := append([]request{first}, waiting(requests)...)
		ops := make([][]edge, len(group))
		for i, r := range group {
			ops[i] = r.op
		}
		err := w.commit(ctx, ops)
		errs = errors.Join(errs, err)
		for _, r := range group {
			r.done <- err
		}
	}
	return errs
}

// waiting takes what is queued and does not wait for more.
func waiting(requests <-chan request) []request {
	var queued []request
	for {
		select {
		case r, ok := <-requests:
			if !ok {
				return queued
			}
			queued = append(queued, r)
		default:
			return queued
		}
	}
}
