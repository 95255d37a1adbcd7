package directory_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/id"
	"roster/internal/store/postgres"
	"roster/internal/store/postgres/pgtest"
	"roster/internal/store/sqlite"
)

// A countedStore counts how often its rows are asked for what is reached through
// groups, and of how many users the name is read.
type countedStore struct {
	directory.Store
	cold   bool         // so that no tenant can be read into memory
	named  atomic.Int64 // how often it is asked whom refs of the past mean
	unread atomic.Bool  // while the log cannot be read
	asked  atomic.Int64
	names  atomic.Int64

	// between is called, once, when a View has begun and before it goes on; after,
	// once, when an Update is durable and before anybody is told.
	between, after atomic.Pointer[func()]

	mu      sync.Mutex // guards watcher
	watcher directory.Watcher
}

func (s *countedStore) View(ctx context.Context, t id.Tenant, fn func(directory.Reader) error) error {
	return s.Store.View(ctx, t, func(r directory.Reader) error {
		if between := s.between.Swap(nil); between != nil {
			if _, err := r.Revision(); err != nil {
				return err
			}
			(*between)()
		}
		return fn(countedReader{r, countedPast{r, s}})
	})
}

func (s *countedStore) Update(ctx context.Context, t id.Tenant, by directory.Author, fn func(directory.Writer) error) (directory.Revision, error) {
	rev, err := s.Store.Update(ctx, t, by, fn)
	if after := s.after.Swap(nil); after != nil {
		(*after)()
	}
	return rev, err
}

func (s *countedStore) Watch(ctx context.Context, w directory.Watcher) {
	s.mu.Lock()
	s.watcher = w
	s.mu.Unlock()
	s.Store.Watch(ctx, w)
}

func (s *countedStore) Commits(ctx context.Context, t id.Tenant, after directory.Revision) iter.Seq2[*directory.Commit, error] {
	if s.unread.Load() {
		return func(yield func(*directory.Commit, error) bool) { yield(nil, errors.New("out of order")) }
	}
	return s.Store.Commits(ctx, t, after)
}

// rewind tells the directory what it is told when another history is served.
func (s *countedStore) rewind() {
	for {
		s.mu.Lock()
		w := s.watcher
		s.mu.Unlock()
		if w.Rewound != nil {
			w.Rewound()
			return
		}
		time.Sleep(time.Millisecond) // it watches from a goroutine of its own
	}
}

type countedReader struct {
	directory.Reader
	p countedPast
}

func (r countedReader) MembersOf(g id.Number, at time.Time, after id.Number, limit int) ([]id.Number, error) {
	return r.p.MembersOf(g, at, after, limit)
}
func (r countedReader) GroupsOf(m id.Member, at time.Time) ([]id.Number, error) {
	return r.p.GroupsOf(m, at)
}
func (r countedReader) Checks(of []directory.Edge, at time.Time) ([]directory.Edge, error) {
	return r.p.Checks(of, at)
}
func (r countedReader) UserNames(numbers []id.Number) ([]directory.Named, error) {
	return r.p.UserNames(numbers)
}
func (r countedReader) UsersByName(q directory.NameQuery) ([]directory.Named, error) {
	return r.p.UsersByName(q)
}
func (r countedReader) AsOf(rev directory.Revision) (directory.Past, error) {
	past, err := r.Reader.AsOf(rev)
	return countedPast{past, r.p.s}, err
}
func (r countedReader) Scan(users func(id.Number, id.User, bool, time.Time) error, groups func(id.Number, id.Group) error, edges func(directory.Edge, directory.Standing) error) error {
	if r.p.s.cold {
		return &directory.Error{Kind: directory.NotFound}
	}
	return r.Reader.Scan(users, groups, edges)
}

type countedPast struct {
	directory.Past
	s *countedStore
}

func (p countedPast) UserNumbers(refs []directory.Ref) ([]id.Number, error) {
	p.s.named.Add(1)
	return p.Past.UserNumbers(refs)
}
func (p countedPast) GroupNumbers(refs []directory.Ref) ([]id.Number, error) {
	p.s.named.Add(1)
	return p.Past.GroupNumbers(refs)
}
func (p countedPast) MembersOf(g id.Number, at time.Time, after id.Number, limit int) ([]id.Number, error) {
	p.s.asked.Add(1)
	return p.Past.MembersOf(g, at, after, limit)
}
func (p countedPast) GroupsOf(m id.Member, at time.Time) ([]id.Number, error) {
	p.s.asked.Add(1)
	return p.Past.GroupsOf(m, at)
}
func (p countedPast) Checks(of []directory.Edge, at time.Time) ([]directory.Edge, error) {
	p.s.asked.Add(1)
	return p.Past.Checks(of, at)
}

func (p countedPast) UserNames(numbers []id.Number) ([]directory.Named, error) {
	return p.counted(p.Past.UserNames(numbers))
}
func (p countedPast) UsersByName(q directory.NameQuery) ([]directory.Named, error) {
	return p.counted(p.Past.UsersByName(q))
}
func (p countedPast) counted(list []directory.Named, err error) ([]directory.Named, error) {
	p.s.names.Add(int64(len(list)))
	return list, err
}

// crew is a tenant with a group whose users are in through others, and one of
// them who is in many groups.
type crew struct {
	*directory.Directory
	store *countedStore
	p     directory.Principal
	top   directory.Ref
	ann   directory.MemberRef
	users []id.Number
	t     *testing.T
}

const crewSize = 12

func newCrew(t *testing.T, engine string, cold bool) *crew {
	t.Helper()
	var inner directory.Store
	var err error
	if engine == "sqlite" {
		inner, err = sqlite.Open(ctx, t.TempDir())
	} else {
		inner, err = postgres.Open(ctx, pgtest.Shared(t).Database(t), postgres.Options{Connections: 6})
	}
	if err != nil {
		t.Fatal(err)
	}
	c := &crew{store: &countedStore{Store: inner, cold: cold}, top: directory.ByName("top"), t: t}
	c.Directory = directory.New(c.store, directory.Options{})
	t.Cleanup(func() {
		c.Close()
		if err := inner.Close(); err != nil {
			t.Error(err)
		}
	})
	a, err := c.CreateTenant(ctx, directorytest.Root(), directory.NewTenant{Name: "one"})
	if err != nil {
		t.Fatal(err)
	}
	c.p = directorytest.In(directorytest.Root(), a.Value.ID)
	link := func(child, parent string) {
		t.Helper()
		_, err := c.ChangeMembers(ctx, c.p, directory.MembersChange{Group: directory.ByName(parent), Add: []directory.MemberRef{{IsGroup: true, Ref: directory.ByName(child)}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"top"}
	for i := range crewSize {
		names = append(names, fmt.Sprint("g", i))
	}
	for i, name := range names {
		if _, err := c.CreateGroup(ctx, c.p, directory.NewGroup{Name: name}); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			link(name, names[i-1])
		}
	}
	for i := range crewSize {
		c.user(fmt.Sprint("u", i), fmt.Sprint("g", i))
	}
	c.ann.Ref = directory.ByName(fmt.Sprint("u", crewSize-1))
	if !cold {
		c.warm()
	}
	c.asks()
	return c
}

func (c *crew) user(name string, groups ...string) {
	c.t.Helper()
	in := directory.NewUser{Name: name}
	for _, g := range groups {
		in.Groups = append(in.Groups, directory.ByName(g))
	}
	u, err := c.CreateUser(ctx, c.p, in)
	if err != nil {
		c.t.Fatal(err)
	}
	c.users = append(c.users, u.Value.Number)
}

// warm waits until the tenant is in memory.
func (c *crew) warm() {
	for {
		c.asks()
		c.members(directory.Page{Limit: 1}, false)
		if c.asks() == 0 {
			return
		}
		time.Sleep(time.Millisecond) // it is read in behind
	}
}

// asks says how often the rows were asked since it said so last.
func (c *crew) asks() int64 { return c.store.asked.Swap(0) }

func (c *crew) members(page directory.Page, count bool) directory.Found[directory.MemberOf] {
	c.t.Helper()
	a, err := c.Members(ctx, c.p, directory.ListMembers{Page: page, Group: c.top, Transitive: true, Count: count})
	if err != nil {
		c.t.Fatal(err)
	}
	return a.Value
}

func (c *crew) groups(page directory.Page, count bool) directory.Found[directory.MemberOf] {
	c.t.Helper()
	a, err := c.GroupsOf(ctx, c.p, directory.ListMembers{Page: page, Member: c.ann, Transitive: true, Count: count})
	if err != nil {
		c.t.Fatal(err)
	}
	return a.Value
}

var writes atomic.Int64

// write has somebody come and go below the top.
func (c *crew) write() { c.user(fmt.Sprint("w", writes.Add(1)), "g3") }

// through pages through a list with a write after each page, and returns how
// often the rows were asked for each, and who was on them.
func (c *crew) through(list func(directory.Page, bool) directory.Found[directory.MemberOf], count bool) (asks []int64, names []string) {
	c.t.Helper()
	page := directory.Page{Limit: 2}
	c.asks()
	for {
		found := list(page, count)
		asks = append(asks, c.asks())
		for _, x := range found.Items {
			if x.User != nil {
				names = append(names, x.User.Name)
			} else {
				names = append(names, x.Group.Name)
			}
		}
		if count && found.Total < crewSize {
			c.t.Errorf("a page counts %d", found.Total)
		}
		if page.After, page.At = found.Next, found.At; page.After == 0 {
			return asks, names
		}
		c.write()
		c.asks()
	}
}

func eachEngine(t *testing.T, test func(t *testing.T, engine string)) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) { test(t, engine) })
	}
}

func TestEveryPageOfASnapshotIsCutFromMemoryWhateverIsWritten(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		c := newCrew(t, engine, false)
		for what, list := range map[string]func(directory.Page, bool) directory.Found[directory.MemberOf]{"members": c.members, "groups": c.groups} {
			for _, count := range []bool{false, true} {
				c.warm()
				asks, names := c.through(list, count)
				if slices.Max(asks) != 0 {
					t.Errorf("%s, counted %v: the pages asked the rows %v times, want never", what, count, asks)
				}
				if len(asks) < crewSize/2 || slices.ContainsFunc(names, func(n string) bool { return n == fmt.Sprint("w", writes.Load()) }) {
					t.Errorf("%s: %d pages hold %v", what, len(asks), names)
				}
			}
		}
	})
}

func TestWithoutThePictureAListIsReadOnceForAllOfItsFurtherPages(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		c := newCrew(t, engine, true)
		for what, list := range map[string]func(directory.Page, bool) directory.Found[directory.MemberOf]{"members": c.members, "groups": c.groups} {
			for _, count := range []bool{false, true} {
				asks, names := c.through(list, count)
				want := make([]int64, len(asks))
				want[0], want[1] = 1, 1
				if count { // which reads it for the first page, beside the page
					want[0], want[1] = 2, 0
				}
				if !slices.Equal(asks, want) {
					t.Errorf("%s, counted %v: the pages asked the rows %v times, want %v", what, count, asks, want)
				}
				if len(asks) < crewSize/2 || slices.ContainsFunc(names, func(n string) bool { return n == fmt.Sprint("w", writes.Load()) }) {
					t.Errorf("%s: %d pages hold %v", what, len(asks), names)
				}
			}
		}
		// Whoever remembers nothing of the first pages asks once, too.
		first := c.members(directory.Page{Limit: 2}, false)
		c.write()
		other := directory.New(c.store, directory.Options{})
		defer other.Close()
		c.asks()
		page := directory.Page{Limit: 2, After: first.Next, At: first.At}
		for n := range 4 {
			a, err := other.Members(ctx, c.p, directory.ListMembers{Page: page, Group: c.top, Transitive: true})
			if err != nil {
				t.Fatal(err)
			}
			if page.After = a.Value.Next; c.asks() != map[bool]int64{true: 1}[n == 0] {
				t.Errorf("after a restart page %d asks the rows", n+2)
			}
		}
	})
}

func TestAListTooLongToBeKeptIsPagedAndCountedFromTheRows(t *testing.T) {
	directory.LongList(t, 5)
	c := newCrew(t, "sqlite", true)
	want := len(c.users)
	asks, names := c.through(c.members, false)
	if len(names) != want || slices.Max(asks) > 2 {
		t.Errorf("of %d there are %v, asked for with %v", want, names, asks)
	}
	if found := c.members(directory.Page{Limit: 1}, true); found.Total != int64(len(c.users)) {
		t.Errorf("of %d members %d are counted", len(c.users), found.Total)
	}
	_, err := c.Members(ctx, c.p, directory.ListMembers{Group: c.top, Transitive: true, Arrange: directory.Arrange{Sort: directory.ByTitle}})
	if directory.CodeOf(err) != "list.large" {
		t.Errorf("sorting it says %v", err)
	}
}

func TestTheRecentPastIsAnsweredFromWhatIsKept(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		c := newCrew(t, engine, false)
		first := c.members(directory.Page{Limit: 2}, false)
		c.write()
		late := fmt.Sprint("w", writes.Load())
		c.asks()
		checks := []directory.Check{
			{User: c.ann.Ref, Group: c.top},
			{User: directory.ByName("u0"), Group: directory.ByName("g1")},
			{User: directory.ByName(late), Group: c.top},
		}
		a, err := c.WereMembers(ctx, c.p, checks, first.At)
		if err != nil || !slices.Equal(a.Value, []bool{true, false, false}) || a.Revision != first.At.Revision {
			t.Errorf("as of %+v the checks say %v at %d, %v", first.At, a.Value, a.Revision, err)
		}
		if found := c.groups(directory.Page{Limit: 100, At: first.At}, true); len(found.Items) != crewSize+1 || found.Total != crewSize+1 {
			t.Errorf("as of %+v there are %d of %d groups", first.At, len(found.Items), found.Total)
		}
		if n := c.asks(); n != 0 {
			t.Errorf("the rows were asked %d times, want never", n)
		}
		if a, err := c.IsMember(ctx, c.p, directory.Check{User: directory.ByName(late), Group: c.top}); err != nil || !a.Value {
			t.Errorf("now %s is in: %v, %v", late, a.Value, err)
		}
	})
}

func TestNothingThatWasKeptOutlivesItsHistory(t *testing.T) {
	c := newCrew(t, "sqlite", false)
	first := c.members(directory.Page{Limit: 2}, false)
	c.write()
	next := directory.Page{Limit: 2, After: first.Next, At: first.At}
	c.asks()
	if c.members(next, false); c.asks() != 0 {
		t.Fatal("the second page is not cut from memory")
	}
	c.store.rewind()
	if c.members(next, false); c.asks() == 0 {
		t.Error("after the store was served from another history the page is cut from what was remembered")
	}
	// A failure to keep up drops the tenant with all that is kept of it.
	c.warm()
	first = c.members(directory.Page{Limit: 2}, false)
	c.store.unread.Store(true)
	c.write()
	c.store.unread.Store(false)
	c.asks()
	if c.members(directory.Page{Limit: 2, After: first.Next, At: first.At}, false); c.asks() == 0 {
		t.Error("of a tenant that was forgotten something is kept")
	}
}

// A check of the past by ids asks the rows nothing if the index has kept that moment.
func TestACheckOfAMomentThatIsKeptAsksTheRowsNothing(t *testing.T) {
	c := newCrew(t, "sqlite", false)
	page, err := c.Members(ctx, c.p, directory.ListMembers{Group: c.top, Transitive: true, Page: directory.Page{Limit: 1}})
	then := ok(t, page, err).At
	u, err := c.User(ctx, c.p, c.ann.Ref)
	ann := ok(t, u, err)
	g, err := c.Group(ctx, c.p, c.top)
	top := ok(t, g, err)
	d, err := c.DeleteUser(ctx, c.p, directory.Deletion{Ref: c.ann.Ref})
	ok(t, d, err)
	for _, test := range []struct {
		user  directory.Ref
		named int64
	}{{directory.ByUser(ann.ID), 0}, {c.ann.Ref, 1}} {
		c.store.asked.Store(0)
		c.store.named.Store(0)
		a, err := c.WereMembers(ctx, c.p, []directory.Check{{User: test.user, Group: directory.ByGroup(top.ID)}}, then)
		if in := ok(t, a, err); !in[0] || c.store.asked.Load() != 0 || c.store.named.Load() != test.named {
			t.Errorf("%v was in: %v; the rows were asked %d times and for %d names, want 0 and %d", test.user, in[0], c.store.asked.Load(), c.store.named.Load(), test.named)
		}
	}
	a, err := c.WereMembers(ctx, c.p, []directory.Check{{User: directory.ByUser(ann.ID), Group: directory.ByGroup(top.ID)}}, directory.When{})
	if ok(t, a, err)[0] {
		t.Error("a deleted user is in")
	}
}
