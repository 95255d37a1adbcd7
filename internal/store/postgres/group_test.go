package postgres

import (
	"errors"
	"fmt"
	"testing"

	"roster/internal/directory"
	"roster/internal/id"
)

// together hands requests in so that they share a transaction, and returns what
// became of each. n.a must have nothing else to do.
func (n *nodes) together(fns ...func(directory.Writer) error) []error {
	n.Helper()
	entered, goOn := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		once := false
		_, err := n.a.Update(n.Context(), n.tenant, author, func(directory.Writer) error {
			if !once {
				once = true
				close(entered)
				<-goOn
			}
			return nil
		})
		first <- err
	}()
	<-entered
	var requests []*request
	for _, fn := range fns {
		r := &request{ctx: n.Context(), by: author, fn: fn, done: make(chan struct{})}
		if err := n.a.enter(n.tenant, r); err != nil {
			n.Fatal(err)
		}
		requests = append(requests, r)
	}
	close(goOn)
	if err := <-first; err != nil {
		n.Fatal(err)
	}
	var errs []error
	for _, r := range requests {
		<-r.done
		errs = append(errs, r.err)
	}
	return errs
}

func TestARequestThatFailsCostsThoseInItsTransactionNothing(t *testing.T) {
	failed := errors.New("no")
	after := func(w directory.Writer) error { // having written
		if err := w.InsertGroup(&directory.Group{Name: "lost"}); err != nil {
			return err
		}
		return failed
	}
	before := func(directory.Writer) error { return failed }
	reading := func(w directory.Writer) error { // what the database refuses to read
		_, err := w.User(directory.Ref{Kind: directory.RefName, Text: "a\x00b"})
		if err == nil || errors.Is(err, directory.NotFound) {
			return failed
		}
		return err
	}
	trying := func(w directory.Writer) error { // in a part, and afterwards
		if err := w.Try(func() error { return w.InsertGroup(&directory.Group{Name: "lost"}) }); err != nil {
			return err
		}
		return failed
	}
	for name, order := range map[string][]func(directory.Writer) error{
		"after writing":         {after},
		"before writing":        {after, before},
		"before, then after":    {before, after},
		"in reading":            {after, reading},
		"with a part":           {trying},
		"with a part, in a row": {after, trying, before, trying, after},
	} {
		t.Run(name, func(t *testing.T) {
			n := twoNodes(t, Options{Connections: 8})
			var fns []func(directory.Writer) error
			want := 0
			for i, bad := range order {
				fns = append(fns, addGroup(fmt.Sprint("kept", 2*i)), bad, addGroup(fmt.Sprint("kept", 2*i+1)))
				want += 2
			}
			for i, err := range n.together(fns...) {
				if (err != nil) != (i%3 == 1) || err != nil && !errors.Is(err, failed) {
					t.Errorf("request %d: %v", i, err)
				}
			}
			next := directory.Revision(1)
			for c, err := range n.b.Commits(t.Context(), n.tenant, 0) {
				if err != nil {
					t.Fatal(err)
				}
				if c.Revision != next {
					t.Fatalf("commit %d follows %d", c.Revision, next-1)
				}
				next++
			}
			rev, err := n.b.Fence(t.Context(), n.tenant)
			if err != nil || int(rev) != want || int(next)-1 != want {
				t.Errorf("the tenant is at revision %d, %v, and its log ends at %d; want %d", rev, err, next-1, want)
			}
			groups := 0
			err = n.b.View(t.Context(), n.tenant, func(r directory.Reader) error {
				return r.Scan(
					nil, func(id.Number, id.Group) error { groups++; return nil }, nil)
			})
			if err != nil || groups != want {
				t.Errorf("%d groups, %v; want %d", groups, err, want)
			}
		})
	}
}
