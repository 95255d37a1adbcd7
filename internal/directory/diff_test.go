package directory_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/id"
	"roster/internal/store/postgres"
	"roster/internal/store/postgres/pgtest"
	"roster/internal/store/sqlite"
)

// A talliedStore counts what is asked for the past, and the rows that come. It
// cannot be read into memory, so the rows answer.
type talliedStore struct {
	directory.Store
	questions, rows, logs int
}

func (s *talliedStore) View(ctx context.Context, t id.Tenant, fn func(directory.Reader) error) error {
	return s.Store.View(ctx, t, func(r directory.Reader) error { return fn(talliedReader{r, talliedPast{r, s}}) })
}

type talliedReader struct {
	directory.Reader
	p talliedPast
}

func (r talliedReader) AsOf(rev directory.Revision) (directory.Past, error) {
	past, err := r.Reader.AsOf(rev)
	return talliedPast{past, r.p.s}, err
}

func (r talliedReader) Log(q directory.LogQuery, fn func(directory.Logged) error) error {
	r.p.s.questions++
	r.p.s.logs++
	return r.Reader.Log(q, func(l directory.Logged) error {
		r.p.s.rows++
		return fn(l)
	})
}

func (r talliedReader) Dated(after, until time.Time, limit int) ([]directory.Edge, error) {
	return tallied[directory.Edge](r.p.s)(r.Reader.Dated(after, until, limit))
}

func (r talliedReader) Scan(func(id.Number, id.User, bool, time.Time) error, func(id.Number, id.Group) error, func(directory.Edge, directory.Standing) error) error {
	return &directory.Error{Kind: directory.NotFound}
}

func (r talliedReader) Users(n []id.Number) ([]directory.User, error) { return r.p.Users(n) }
func (r talliedReader) Standing(e []directory.Edge) ([]directory.Membership, error) {
	return r.p.Standing(e)
}
func (r talliedReader) Memberships(q directory.MembershipQuery) ([]directory.Membership, error) {
	return r.p.Memberships(q)
}
func (r talliedReader) Climb(of []id.Member) ([]directory.Link, error) { return r.p.Climb(of) }
func (r talliedReader) Checks(of []directory.Edge, at time.Time) ([]directory.Edge, error) {
	return r.p.Checks(of, at)
}
func (r talliedReader) MembersOf(g id.Number, at time.Time, after id.Number, limit int) ([]id.Number, error) {
	return r.p.MembersOf(g, at, after, limit)
}

type talliedPast struct {
	directory.Past
	s *talliedStore
}

func tallied[T any](s *talliedStore) func([]T, error) ([]T, error) {
	return func(list []T, err error) ([]T, error) {
		s.questions++
		s.rows += len(list)
		return list, err
	}
}

func (p talliedPast) Users(n []id.Number) ([]directory.User, error) {
	return tallied[directory.User](p.s)(p.Past.Users(n))
}
func (p talliedPast) Standing(e []directory.Edge) ([]directory.Membership, error) {
	return tallied[directory.Membership](p.s)(p.Past.Standing(e))
}
func (p talliedPast) Memberships(q directory.MembershipQuery) ([]directory.Membership, error) {
	return tallied[directory.Membership](p.s)(p.Past.Memberships(q))
}
func (p talliedPast) Climb(of []id.Member) ([]directory.Link, error) {
	return tallied[directory.Link](p.s)(p.Past.Climb(of))
}
func (p talliedPast) Checks(of []directory.Edge, at time.Time) ([]directory.Edge, error) {
	return tallied[directory.Edge](p.s)(p.Past.Checks(of, at))
}
func (p talliedPast) MembersOf(g id.Number, at time.Time, after id.Number, limit int) ([]id.Number, error) {
	return tallied[id.Number](p.s)(p.Past.MembersOf(g, at, after, limit))
}

// crowd is a tenant with a group that holds many, and is in another.
type crowd struct {
	*directory.Directory
	t     *testing.T
	store *talliedStore
	clock *directorytest.Clock
	p     directory.Principal
}

const crowdSize = 3000

func newCrowd(t *testing.T, engine string) *crowd {
	t.Helper()
	c := &crowd{t: t, clock: directorytest.NewClock()}
	var inner directory.Store
	var err error
	if engine == "sqlite" {
		inner, err = sqlite.Open(ctx, t.TempDir(), sqlite.WithClock(c.clock.Now))
	} else {
		inner, err = postgres.Open(ctx, pgtest.Shared(t).Database(t), postgres.Options{Clock: c.clock.Now, Connections: 6})
	}
	if err != nil {
		t.Fatal(err)
	}
	c.store = &talliedStore{Store: inner}
	c.Directory = directory.New(c.store, directory.Options{Clock: c.clock.Now})
	t.Cleanup(func() {
		c.Close()
		if err := inner.Close(); err != nil {
			t.Error(err)
		}
	})
	a, err := c.CreateTenant(ctx, directorytest.Root(), directory.NewTenant{Name: "one"})
	c.p = directorytest.In(directorytest.Root(), ok(t, a, err).ID)
	for _, name := range []string{"all", "top", "few"} {
		c.group(name)
	}
	var refs []directory.Ref
	for from := 0; from < crowdSize; from += 1000 {
		var in directory.NewUsers
		for i := from; i < min(from+1000, crowdSize); i++ {
			in.Users = append(in.Users, directory.NewUser{Name: fmt.Sprint("u", i)})
			refs = append(refs, directory.ByName(fmt.Sprint("u", i)))
		}
		a, err := c.CreateUsers(ctx, c.p, in)
		ok(t, a, err)
	}
	c.add("all", directory.Standing{}, refs[10:]...)
	c.link("top", "all")
	return c
}

func (c *crowd) group(name string) {
	c.t.Helper()
	a, err := c.CreateGroup(ctx, c.p, directory.NewGroup{Name: name})
	ok(c.t, a, err)
}

func (c *crowd) change(group string, s directory.Standing, add, remove []directory.MemberRef) {
	c.t.Helper()
	a, err := c.ChangeMembers(ctx, c.p, directory.MembersChange{Group: directory.ByName(group), Add: add, Remove: remove, Standing: s})
	ok(c.t, a, err)
}

func asMembers(users []directory.Ref) (members []directory.MemberRef) {
	for _, u := range users {
		members = append(members, directory.MemberRef{Ref: u})
	}
	return members
}

func (c *crowd) add(group string, s directory.Standing, users ...directory.Ref) {
	c.t.Helper()
	c.change(group, s, asMembers(users), nil)
}

func (c *crowd) remove(group string, users ...directory.Ref) {
	c.t.Helper()
	c.change(group, directory.Standing{}, nil, asMembers(users))
}

func (c *crowd) link(parent, child string) {
	c.t.Helper()
	c.change(parent, directory.Standing{}, []directory.MemberRef{{IsGroup: true, Ref: directory.ByName(child)}}, nil)
}

func (c *crowd) update(user string, u directory.UserUpdate) {
	c.t.Helper()
	u.User = directory.ByName(user)
	a, err := c.UpdateUser(ctx, c.p, u)
	ok(c.t, a, err)
}

// now is the last revision there is.
func (c *crowd) now() directory.When {
	c.t.Helper()
	a, err := c.User(ctx, c.p, directory.ByName("u0"))
	ok(c.t, a, err)
	return directory.When{Revision: a.Revision}
}

// diff reads a diff to its end and returns it as text.
func (c *crowd) diff(in directory.Diff) (list []string) {
	c.t.Helper()
	for {
		a, err := c.Diff(ctx, c.p, in)
		page := ok(c.t, a, err)
		for _, d := range page.Items {
			sign, name := "-", ""
			if d.Gained {
				sign = "+"
			}
			if d.User != nil {
				name = d.User.Name
			} else {
				name = d.Group.Name
			}
			list = append(list, sign+name)
		}
		in.From, in.At = page.From, page.At
		if in.After = page.Next; in.After == 0 {
			return list
		}
	}
}

func onBothEngines(t *testing.T, test func(t *testing.T, engine string)) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) { test(t, engine) })
	}
}

func TestADiffReadsWhatHasChangedAndNotWhatIsThere(t *testing.T) {
	onBothEngines(t, func(t *testing.T, engine string) {
		c := newCrowd(t, engine)
		soon := c.clock.Now().Add(time.Hour)
		c.add("all", directory.Standing{Until: soon}, named("u0")...)
		c.add("all", directory.Standing{From: soon}, named("u1")...)
		c.add("few", directory.Standing{}, named("u8", "u9")...)
		c.update("u2999", directory.UserUpdate{Expires: &soon})
		then := c.now()
		then.Time = c.clock.Now()
		c.clock.Advance(2 * time.Hour)
		c.remove("all", named("u10", "u11")...)
		c.add("all", directory.Standing{Reason: "again"}, named("u10", "u2")...)
		suspended := true
		c.update("u12", directory.UserUpdate{Suspended: &suspended})
		c.link("all", "few")
		now := c.now()
		now.Time = c.clock.Now()
		forth, back := [2]directory.When{then, now}, [2]directory.When{now, then}
		for _, of := range []struct {
			group      string
			transitive bool
			between    [2]directory.When
		}{{"all", false, forth}, {"all", true, forth}, {"top", true, forth}, {"all", false, back}, {"top", true, back}} {
			in := directory.Diff{From: of.between[0], Group: directory.ByName(of.group), Transitive: of.transitive, Page: directory.Page{At: of.between[1], Limit: 3}}
			want := []string{"+few", "-u0", "+u1", "+u2", "-u11", "-u12", "-u2999"}
			if of.transitive {
				want = []string{"-u0", "+u1", "+u2", "+u8", "+u9", "-u11", "-u12", "-u2999"}
			}
			for i := range want {
				if of.between == back {
					want[i] = map[byte]string{'+': "-", '-': "+"}[want[i][0]] + want[i][1:]
				}
			}
			for _, way := range []string{"", "changes", "sides"} {
				directory.DiffBy(t, way)
				c.store.questions, c.store.rows, c.store.logs = 0, 0, 0
				if got := c.diff(in); !slices.Equal(got, want) {
					t.Errorf("%+v by %q: %v, want %v", of, way, got, want)
				}
				if few := c.store.rows < 100 && c.store.questions < 40; few == (way == "sides") {
					t.Errorf("%+v by %q: %d questions are asked, and %d rows read", of, way, c.store.questions, c.store.rows)
				}
			}
		}
	})
}

func TestADiffOfFewReadsThemHoweverMuchHasChanged(t *testing.T) {
	onBothEngines(t, func(t *testing.T, engine string) {
		c := newCrowd(t, engine)
		c.add("few", directory.Standing{}, named("u8", "u9")...)
		then := c.now()
		for range 10 {
			c.remove("all", named("u20")...)
			c.add("all", directory.Standing{}, named("u20")...)
		}
		c.remove("few", named("u8")...)
		c.store.logs = 0
		if got := c.diff(directory.Diff{From: then, Group: directory.ByName("few")}); !slices.Equal(got, []string{"-u8"}) || c.store.logs > 0 {
			t.Errorf("%v left, and the log was read %d times", got, c.store.logs)
		}
	})
}

func TestThePagesOfADiffReadTheLogOnce(t *testing.T) {
	onBothEngines(t, func(t *testing.T, engine string) {
		c := newCrowd(t, engine)
		then := c.now()
		c.remove("all", named("u20", "u21", "u22", "u23", "u24", "u25")...)
		for _, group := range []string{"all", "top"} {
			c.store.logs = 0
			got := c.diff(directory.Diff{From: then, Group: directory.ByName(group), Transitive: group == "top", Page: directory.Page{Limit: 2}})
			if len(got) != 6 || c.store.logs != 1 {
				t.Errorf("%v left %s, and the log was read %d times", got, group, c.store.logs)
			}
		}
	})
}

func TestADiffOfVeryMuchReadsTheSides(t *testing.T) {
	onBothEngines(t, func(t *testing.T, engine string) {
		c := newCrowd(t, engine)
		directory.MaxCompared(t, 1000)
		many := make([]directory.Ref, 1001)
		for i := range many {
			many[i] = directory.ByName(fmt.Sprint("u", 20+i))
		}
		soon := c.clock.Now().Add(time.Hour)
		for _, what := range []struct {
			name   string
			change func()
		}{
			{"what one commit does", func() { c.add("few", directory.Standing{}, many...) }},
			{"what is below a link", func() { c.link("top", "few") }},
			{"what dates do", func() { c.add("few", directory.Standing{Until: soon}, many...); c.clock.Advance(2 * time.Hour) }},
		} {
			then := c.now()
			what.change()
			c.remove("all", named("u10")...)
			c.store.questions, c.store.rows, c.store.logs = 0, 0, 0
			got := c.diff(directory.Diff{From: then, Group: directory.ByName("top"), Transitive: true})
			if !slices.Equal(got, []string{"-u10"}) || c.store.rows < 2*crowdSize-100 || c.store.logs > 2 {
				t.Errorf("for %s, which is too much, %v left; %d rows are read, and the log %d times", what.name, got, c.store.rows, c.store.logs)
			}
			c.add("all", directory.Standing{}, named("u10")...)
		}
	})
}
