package directory_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"roster/internal/directory"
	"roster/internal/id"
)

// fill adds many users to a crew, of whom only some are below the top: of every
// ten called "in", nine.
func (c *crew) fill(n int) (inside []string) {
	c.t.Helper()
	users := make([]directory.NewUser, n)
	for i := range users {
		users[i].Name = fmt.Sprintf("in%04d", (i*7919)%n)
		if i%10 != 0 {
			users[i].Groups = []directory.Ref{directory.ByName(fmt.Sprint("g", i%crewSize)), directory.ByName("all")}
			inside = append(inside, users[i].Name)
		}
	}
	for chunk := range slices.Chunk(users, 500) {
		if _, err := c.CreateUsers(ctx, c.p, directory.NewUsers{Users: chunk}); err != nil {
			c.t.Fatal(err)
		}
	}
	slices.Sort(inside)
	return inside
}

func (c *crew) rename(from, to string) {
	c.t.Helper()
	if _, err := c.UpdateUser(ctx, c.p, directory.UserUpdate{User: directory.ByName(from), Name: &to}); err != nil {
		c.t.Fatal(err)
	}
}

// turn pages through a list, with writes in between, and returns the names on it and
// the most names that were read for one page.
func (c *crew) turn(in directory.ListMembers, between func(int)) (names []string, most int64) {
	c.t.Helper()
	for n := 0; ; n++ {
		c.store.names.Store(0)
		a, err := c.Members(ctx, c.p, in)
		if err != nil {
			c.t.Fatal(err)
		}
		most = max(most, c.store.names.Load())
		for _, x := range a.Value.Items {
			if x.Group != nil {
				names = append(names, x.Group.Name)
			} else {
				names = append(names, x.User.Name)
			}
		}
		if in.At, in.After = a.Value.At, a.Value.Next; in.After == 0 {
			return names, most
		}
		between(n)
	}
}

func TestAPageByNameReadsAboutAsManyNamesAsItHolds(t *testing.T) {
	const users, limit = 2000, 50
	eachEngine(t, func(t *testing.T, engine string) {
		c := newCrew(t, engine, false)
		if _, err := c.CreateGroup(ctx, c.p, directory.NewGroup{Name: "all"}); err != nil {
			t.Fatal(err)
		}
		inside := c.fill(users)
		both := slices.Clone(inside)
		for i := range limit + 1 { // so that pages end with groups, too
			both = append(both, fmt.Sprintf("in%04d.", i*37))
			if _, err := c.CreateGroup(ctx, c.p, directory.NewGroup{Name: both[len(both)-1]}); err != nil {
				t.Fatal(err)
			}
			add := []directory.MemberRef{{IsGroup: true, Ref: directory.ByName(both[len(both)-1])}}
			if _, err := c.ChangeMembers(ctx, c.p, directory.MembersChange{Group: directory.ByName("all"), Add: add}); err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(both)
		c.warm()
		all := directory.ListMembers{Page: directory.Page{Limit: limit}, Group: directory.ByName("all"), Arrange: directory.Arrange{Sort: directory.ByTitle}}
		through, back, standing, counted := all, all, all, all
		through.Group, through.Transitive, through.NamePrefix = c.top, true, "in"
		back.Descending = true
		standing.Standing = true
		counted.Count = true
		byNumber := all
		byNumber.Sort, byNumber.NamePrefix = 0, "in"
		for what, in := range map[string]directory.ListMembers{"directly": all, "through groups": through, "from the end": back, "who stand": standing, "counted": counted, "by number": byNumber} {
			want := slices.Clone(both)
			if in.Transitive {
				want = inside
			}
			if in.Descending {
				slices.Reverse(want)
			}
			renamed := map[string]string{}
			names, most := c.turn(in, func(n int) {
				in := directory.MembersChange{Group: directory.ByName("g3"), Add: []directory.MemberRef{c.ann}}
				if n%2 == 1 {
					in.Add, in.Remove = nil, in.Add
				}
				if _, err := c.ChangeMembers(ctx, c.p, in); err != nil {
					t.Fatal(err)
				}
				// Who was on a page goes to where pages are to come, and the other way round.
				if n%5 == 1 {
					for _, name := range []string{inside[n*limit/2], inside[len(inside)-1-n]} {
						renamed[name] = map[bool]string{true: "zz", false: "aa"}[name < inside[len(inside)/2]] + name
						c.rename(name, renamed[name])
					}
				}
			})
			for name, now := range renamed {
				c.rename(now, name)
			}
			if in.Sort == 0 {
				slices.Sort(names)
			}
			if !slices.Equal(names, want) {
				t.Errorf("%s: of %d names %d are listed: %v", what, len(want), len(names), names)
			}
			if most > 3*limit {
				t.Errorf("%s: for a page of %d %d names are read", what, limit, most)
			}
		}
		// Few names that begin so are all that is read of a list by number, and of
		// one that is counted, and by status no name.
		some := all
		some.NamePrefix, some.Count = "in001", true
		byStatus := all
		byStatus.Sort, byStatus.Standing = directory.ByStatus, true
		for what, in := range map[string]directory.ListMembers{"filtered": some, "by status": byStatus} {
			names, most := c.turn(in, func(int) {})
			want := slices.DeleteFunc(slices.Clone(both), func(n string) bool { return !strings.HasPrefix(n, in.NamePrefix) })
			slices.Sort(names)
			if !slices.Equal(names, want) || most > 10 {
				t.Errorf("%s: %d names are read, for %v", what, most, names)
			}
		}
	})
}

func TestAListByNameMayBeLongerThanOneThatIsArranged(t *testing.T) {
	directory.LongList(t, 5)
	c := newCrew(t, "sqlite", false)
	in := directory.ListMembers{Page: directory.Page{Limit: 2}, Group: c.top, Transitive: true, Count: true, Arrange: directory.Arrange{Sort: directory.ByTitle}}
	names, _ := c.turn(in, func(int) { c.write() })
	if len(names) != crewSize || !slices.IsSorted(names) {
		t.Errorf("by name they are %v", names)
	}
	in.Sort = directory.ByStatus
	if _, err := c.Members(ctx, c.p, in); directory.CodeOf(err) != "list.large" {
		t.Errorf("by status they are refused with %v", err)
	}
}

// A cursor tells nothing of where somebody would stand who is not on the list.
func TestAPageAfterWhoIsNotOnTheListIsRefused(t *testing.T) {
	c := newCrew(t, "sqlite", false)
	c.user("someone")
	in := directory.ListMembers{Page: directory.Page{Limit: 2}, Group: c.top, Transitive: true, Arrange: directory.Arrange{Sort: directory.ByTitle}}
	first, err := c.Members(ctx, c.p, in)
	if err != nil {
		t.Fatal(err)
	}
	last := first.Value.Items[1].User.Number
	for number, want := range map[id.Number]string{last: "", c.users[len(c.users)-1]: "page.passed", last + 1000: "page.passed"} {
		in.At, in.After = first.Value.At, first.Value.Next+int64(number)-int64(last)
		if a, err := c.Members(ctx, c.p, in); directory.CodeOf(err) != want || (err == nil) != (len(a.Value.Items) == 2) {
			t.Errorf("the page after user %d is %+v, %v", number, a.Value, err)
		}
		other := directory.New(c.store, directory.Options{}) // which has to arrange the list
		if a, err := other.Members(ctx, c.p, in); directory.CodeOf(err) != want || (err == nil) != (len(a.Value.Items) == 2) {
			t.Errorf("elsewhere the page after user %d is %+v, %v", number, a.Value, err)
		}
		other.Close()
	}
}
