package changelog

import (
	"context"
	"testing"

	"roster/internal/directory"
	"roster/internal/id"
)

func TestWhoAwaitsACommitGoesOnWhenItIsThereOrNeverWillBe(t *testing.T) {
	ctx := t.Context()
	one, two := id.Tenant{1}, id.Tenant{2}
	commit := func(rev directory.Revision) []*directory.Commit { return []*directory.Commit{{Revision: rev}} }
	var tails Tails
	if err := tails.Await(ctx, one, 7); err != nil { // nothing is at hand, so the log is read
		t.Fatal(err)
	}
	tails.Append(commit(1), []id.Tenant{one})
	if err := tails.Await(ctx, one, 1); err != nil {
		t.Fatal(err)
	}
	wait := func(rev directory.Revision) chan error {
		done := make(chan error)
		go func() { done <- tails.Await(ctx, one, rev) }()
		for range 2 { // however it is woken
			tails.Append(commit(1), []id.Tenant{two})
		}
		return done
	}
	done := wait(2)
	tails.Append(commit(2), []id.Tenant{one})
	if err := <-done; err != nil {
		t.Error(err)
	}
	done = wait(3)
	tails.Drop(one)
	if err := <-done; err != nil {
		t.Error(err)
	}
	tails.Append(commit(4), []id.Tenant{one})
	ended, end := context.WithCancel(ctx)
	end()
	if err := tails.Await(ended, one, 5); err == nil {
		t.Error("it does not heed its context")
	}
}
