package sqlite

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// write is one call of Update.
type write struct {
	tenant id.Tenant
	fn     func(directory.Writer) error
}

var errMine = errors.New("the function's own error")

// together runs writes in one transaction, in this order, and returns what each
// was told. They wait behind one that holds the committer up.
func (s *Store) together(t *testing.T, writes ...write) (revisions []directory.Revision, errs []error) {
	t.Helper()
	begun, release := make(chan struct{}), make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Update(ctx, id.Tenant{}, directory.Author{}, func(directory.Writer) error { close(begun); <-release; return nil })
	}()
	<-begun
	time.Sleep(2 * maxGroupTime) // so that its transaction takes nobody else in
	var waiting []*request
	for _, w := range writes {
		r := &request{ctx: ctx, tenant: w.tenant, fn: w.fn, done: make(chan struct{})}
		s.requests <- r
		waiting = append(waiting, r)
	}
	close(release)
	<-done
	for _, r := range waiting {
		rev, err := s.outcome(r)
		revisions, errs = append(revisions, rev), append(errs, err)
	}
	return revisions, errs
}

func addGroup(name string) func(directory.Writer) error {
	return func(w directory.Writer) error { return w.InsertGroup(&directory.Group{Name: name}) }
}

// intact fails unless the tenant has n commits, from memory and from disk, and as
// many groups.
func intact(t *testing.T, s *Store, tenant id.Tenant, n int) {
	t.Helper()
	for range 2 {
		count := 0
		for c, err := range s.Commits(ctx, tenant, 0) {
			must(t, err)
			if count++; int(c.Revision) != count {
				t.Fatalf("the commit at place %d is %d", count, c.Revision)
			}
		}
		if count != n {
			t.Fatalf("the log has %d commits, want %d", count, n)
		}
		s.tails.Drop(tenant)
	}
	must(t, s.View(ctx, tenant, func(r directory.Reader) error {
		rev, err := r.Revision()
		if err != nil {
			return err
		}
		groups, err := r.ListGroups(directory.GroupFilter{}, 0, 10000)
		if int(rev) != n || len(groups) != n {
			t.Errorf("the tenant is at revision %d with %d groups, want %d", rev, len(groups), n)
		}
		return err
	}))
}

func TestAFailureInATransactionCostsTheOthersInItNothing(t *testing.T) {
	s := openIn(t, t.TempDir())
	a, b := fill(t, s, "a"), fill(t, s, "b")
	fail := func(w directory.Writer) error { addGroup("never")(w); return errMine }
	blow := func(w directory.Writer) error { addGroup("never")(w); panic("on purpose") }
	revisions, errs := s.together(t, write{a, addGroup("1")}, write{b, fail}, write{a, fail}, write{a, addGroup("2")}, write{b, blow}, write{b, addGroup("1")}, write{a, blow}, write{a, addGroup("3")})
	for i, want := range []directory.Revision{1, 0, 0, 2, 0, 1, 0, 3} {
		if (want == 0) != (errs[i] != nil) || want != 0 && revisions[i] != want {
			t.Errorf("write %d was told %d, %v; want %d", i, revisions[i], errs[i], want)
		}
	}
	if errs[1] != errMine || errs[2] != errMine {
		t.Errorf("the functions' own errors came back as %v and %v", errs[1], errs[2])
	}
	intact(t, s, a, 3)
	intact(t, s, b, 1)
}

func TestAFailedDeletionOfATenantLosesNoRevisionOfTheSameTransaction(t *testing.T) {
	s := openIn(t, t.TempDir())
	a := fill(t, s, "a")
	row, err := s.TenantByID(ctx, a)
	must(t, err)
	_, errs := s.together(t, write{a, addGroup("1")}, write{fn: func(w directory.Writer) error {
		if err := w.DeleteTenant(row); err != nil {
			return err
		}
		return errMine
	}}, write{a, addGroup("2")})
	if errs[0] != nil || errs[1] != errMine || errs[2] != nil {
		t.Fatalf("they were told %v", errs)
	}
	intact(t, s, a, 2)
	_, err = s.Update(ctx, a, directory.Author{}, addGroup("3"))
	must(t, err)
	intact(t, s, a, 3)
}

func TestACommitAndTheEndOfItsTenantInOneTransactionLeaveNoLog(t *testing.T) {
	s := openIn(t, t.TempDir())
	a := fill(t, s, "a")
	row, err := s.TenantByID(ctx, a)
	must(t, err)
	_, errs := s.together(t, write{a, addGroup("1")}, write{fn: func(w directory.Writer) error { return w.DeleteTenant(row) }}, write{a, addGroup("2")})
	if errs[0] != nil || errs[1] != nil || !errors.Is(errs[2], directory.NotFound) {
		t.Fatalf("they were told %v", errs)
	}
	for c, err := range s.Commits(ctx, a, 0) {
		if !errors.Is(err, directory.NotFound) {
			t.Fatalf("the log of a deleted tenant says %+v, %v", c, err)
		}
	}
}

func TestAWriteThatGetsInBehindAClosedDoorIsToldSo(t *testing.T) {
	s := openIn(t, t.TempDir())
	must(t, s.Close())
	r := &request{ctx: ctx, fn: addGroup("x"), done: make(chan struct{})}
	s.requests <- r
	if _, err := s.outcome(r); !errors.Is(err, directory.Unavailable) {
		t.Errorf("it was told %v, want unavailable", err)
	}
}

func TestWhereverADiskFillsUpWhatWasToldIsWhatIsKept(t *testing.T) {
	s := openIn(t, t.TempDir())
	a := fill(t, s, "a")
	big := strings.Repeat("x", 9_000) // more than a page, in the row and again in the log
	add := func(name string) write {
		return write{a, func(w directory.Writer) error { return w.InsertGroup(&directory.Group{Name: name, Description: big}) }}
	}
	kept, full := 0, 0
	for room := range 40 {
		var used, limit int
		must(t, s.writer.row(ctx, "PRAGMA page_count").Scan(&used))
		must(t, s.writer.row(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", used+room)).Scan(&limit))
		// The second fails by itself, so that all are done again with care.
		_, errs := s.together(t, add("1"), write{a, func(w directory.Writer) error { addGroup("never")(w); return errMine }}, add("2"), add("3"), add("4"))
		for i, err := range errs {
			switch {
			case i == 1 && err != nil, i != 1 && errors.Is(err, directory.Unavailable):
				if i != 1 {
					full++
				}
			case i != 1 && err == nil:
				kept++
			default:
				t.Errorf("with room for %d pages write %d was told %v", room, i, err)
			}
		}
		must(t, s.writer.row(ctx, "PRAGMA max_page_count = 1000000").Scan(&limit))
		intact(t, s, a, kept)
		if t.Failed() {
			t.FailNow()
		}
	}
	if kept == 0 || full == 0 {
		t.Errorf("%d writes were kept and %d were not, so this shows nothing", kept, full)
	}
}
