package directory_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/id"
	"roster/internal/store/postgres"
	"roster/internal/store/postgres/pgtest"
)

// newWorldOn is newWorld on an engine.
func newWorldOn(t *testing.T, engine string) *world {
	if engine == "sqlite" {
		return newWorld(t)
	}
	clock := directorytest.NewClock()
	s, err := postgres.Open(ctx, pgtest.Shared(t).Database(t), postgres.Options{Connections: 6, Clock: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	d := directory.New(s, directory.Options{Clock: clock.Now})
	t.Cleanup(func() {
		d.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{World: &directorytest.World{Directory: d, Clock: clock, Store: s}, t: t}
	w.admin = w.tenant("one")
	return w
}

// aside is a tenant of which a key sees mine and ours, and what stands there. Two
// of them, one with its other side shown, differ in nothing but what is beyond.
type aside struct {
	*world
	p         directory.Principal
	groups    []directory.Ref
	users     []directory.Ref
	beyond    []directory.Edge // that stand in mine, and are not for the key to see
	revisions []directory.Revision
	texts     map[string]string
	cold      bool // each question is asked of a directory that has read nothing yet
}

// from is the directory that a question is asked of.
func (a *aside) from(ask func(*directory.Directory)) {
	d := a.Directory
	if a.cold {
		d = directory.New(a.Store, directory.Options{Clock: a.Clock.Now})
		defer d.Close()
	}
	ask(d)
}

func newAside(t *testing.T, engine string, other bool) *aside {
	w := newWorldOn(t, engine)
	a := &aside{world: w}
	either := func(one, two string) string {
		if other {
			return two
		}
		return one
	}
	mine, ours := w.group("mine", 0), w.group("ours", 0)
	theirs, inner := w.group(either("theirs", "Ours"), 0), w.group(either("a", "z"), 0)
	deep := w.group("deep", 0)
	w.add(ours, child(mine), directory.Standing{})
	between, into := inner, mine // through which nested is in mine, and where those beyond stand
	if other {
		between, into = deep, theirs
	}
	w.add(mine, child(between), directory.Standing{})
	w.add(between, child(map[bool]directory.Group{true: inner, false: deep}[other]), directory.Standing{})
	w.add(theirs, child(ours), directory.Standing{})
	insider, nested := w.user("insider", mine), w.user("nested", between)
	moved, away, late := w.user("moved", mine), w.user("away", mine), w.user("late", ours)
	former, future, lapsed := w.user(either("aaron", "zoe"), into), w.user(either("abel", "zed")), w.user(either("adam", "zack"))
	outsider := w.user(either("anna", "zelda"), theirs)
	w.add(into, member(future), directory.Standing{From: w.Now().Add(100 * time.Hour)})
	w.add(into, member(lapsed), directory.Standing{Until: w.Now().Add(time.Hour)})
	w.add(ours, member(insider), directory.Standing{From: w.Now().Add(100 * time.Hour), Reason: "to come"})
	yes := true
	s, err := w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(away.ID), Suspended: &yes})
	ok(t, s, err)
	a.revisions = append(a.revisions, w.revision())
	w.Clock.Advance(2 * time.Hour)
	for _, e := range []struct {
		g directory.Group
		m directory.MemberRef
	}{{into, member(former)}, {mine, member(moved)}} {
		c, err := w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(e.g.ID), Remove: []directory.MemberRef{e.m}})
		ok(t, c, err)
	}
	w.add(ours, member(moved), directory.Standing{})
	w.add(mine, member(late), directory.Standing{})
	a.revisions = append(a.revisions, w.revision())
	a.p = w.within(directory.ReadAll|directory.WriteMembers, mine, ours)
	a.p.Credential = id.Credential{1}
	for _, u := range []directory.User{insider, nested, moved, away, late, former, future, lapsed, outsider} {
		a.users = append(a.users, directory.ByNumber(int64(u.Number)))
	}
	for _, g := range []directory.Group{mine, ours, theirs, inner, deep} {
		a.groups = append(a.groups, directory.ByNumber(int64(g.Number)))
	}
	a.groups = append(a.groups, directory.ByName("ours"))
	if !other {
		for _, m := range []id.Member{id.UserMember(future.Number), id.UserMember(lapsed.Number), id.GroupMember(inner.Number)} {
			a.beyond = append(a.beyond, directory.Edge{Group: mine.Number, Member: m})
		}
	}
	a.texts = map[string]string{}
	return a
}

var (
	ids     = regexp.MustCompile(`\[\d+(,\d+){15}\]`)
	serials = regexp.MustCompile(`"Serial":[1-9][0-9]*`) // which no door tells
)

// note keeps what a question was answered.
func (a *aside) note(what string, answer any, err error) {
	b, bad := json.Marshal(answer)
	if bad != nil {
		a.t.Fatal(bad)
	}
	text := fmt.Sprintf("%s %v", b, err)
	a.texts[what] = serials.ReplaceAllString(ids.ReplaceAllString(text, `"id"`), `"Serial":1`)
}

// pages asks for all pages of a list, and for its entries from anywhere.
func (a *aside) pages(what string, in directory.ListMembers, ask func(*directory.Directory, context.Context, directory.Principal, directory.ListMembers) (directory.Answer[directory.Found[directory.MemberOf]], error)) (names []string) {
	list := func(in directory.ListMembers) (got directory.Answer[directory.Found[directory.MemberOf]], err error) {
		a.from(func(d *directory.Directory) { got, err = ask(d, ctx, a.p, in) })
		return got, err
	}
	first := in
	for n := 0; ; n++ {
		got, err := list(in)
		a.note(fmt.Sprintf("%s, page %d", what, n), got, err)
		for _, m := range got.Value.Items {
			switch {
			case m.User != nil:
				names = append(names, m.User.Name)
			default:
				names = append(names, m.Group.Name)
			}
		}
		if in.After, in.At = got.Value.Next, got.Value.At; err != nil || in.After == 0 {
			break
		}
	}
	for _, after := range []int64{4, 7, directory.MemberCursor(id.UserMember(7)), 1 << 62} {
		first.After = after
		got, err := list(first)
		a.note(fmt.Sprintf("%s, after %d", what, after), got, err)
	}
	return names
}

// lists asks for every kind of list, arranged in many ways.
func (a *aside) lists(at directory.When) {
	a.t.Helper()
	yes, no := true, false
	for _, kind := range []directory.ListMembers{{}, {Transitive: true}, {Standing: true}} {
		arranges := []directory.Arrange{{}, {Sort: directory.ByTitle}, {Sort: directory.ByAdded}, {NamePrefix: "a"}}
		if kind.Standing {
			arranges = append(arranges, directory.Arrange{Sort: directory.ByTitle, Holds: &yes}, directory.Arrange{Holds: &no})
		}
		for i, arrange := range arranges {
			in := kind
			in.At, in.Limit, in.Arrange, in.Count = at, 2, arrange, true
			about := fmt.Sprintf("as of %+v standing %v transitive %v, %d", at, in.Standing, in.Transitive, i)
			for g, group := range a.groups {
				if g > 1 && i > 0 {
					continue
				}
				in.Group = group
				a.pages(fmt.Sprintf("members of %d %s", g, about), in, (*directory.Directory).Members)
				in.Member = directory.MemberRef{Ref: group, IsGroup: true}
				a.pages(fmt.Sprintf("groups of group %d %s", g, about), in, (*directory.Directory).GroupsOf)
			}
			for u, user := range a.users {
				if i > 1 {
					break
				}
				in.Member = directory.MemberRef{Ref: user}
				a.pages(fmt.Sprintf("groups of user %d %s", u, about), in, (*directory.Directory).GroupsOf)
			}
		}
	}
}

// differences asks for every difference of a group and every single membership.
func (a *aside) differences() {
	for _, g := range a.groups {
		for _, transitive := range []bool{false, true} {
			for _, from := range a.revisions {
				in := directory.Diff{Page: directory.Page{Limit: 1}, From: directory.When{Revision: from}, Group: g, Transitive: transitive}
				for n := 0; ; n++ {
					var got directory.Answer[directory.Found[directory.Difference]]
					var err error
					a.from(func(d *directory.Directory) { got, err = d.Diff(ctx, a.p, in) })
					a.note(fmt.Sprintf("difference of %v from %d, transitive %v, page %d", g, from, transitive, n), got, err)
					if in.After, in.At = got.Value.Next, got.Value.At; err != nil || in.After == 0 {
						break
					}
				}
			}
		}
		for _, m := range slices.Concat(a.users, a.groups) {
			for _, isGroup := range []bool{false, true} {
				got, err := a.Membership(ctx, a.p, g, directory.MemberRef{Ref: m, IsGroup: isGroup})
				a.note(fmt.Sprintf("membership of %v %v in %v", isGroup, m, g), got, err)
			}
		}
	}
}

func TestAdvisory18_TenantsThatDifferBeyondABoundGiveABoundedKeyEqualLists(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		for _, cold := range []bool{true, false} {
			if cold && engine == "postgres" {
				continue // a directory listens there, and takes its time to end
			}
			t.Run(fmt.Sprintf("%s, cold %v", engine, cold), func(t *testing.T) {
				var both [2]*aside
				for i := range both {
					a := newAside(t, engine, i == 1)
					if a.cold, both[i] = cold, a; !cold && engine == "sqlite" {
						a.warm(directory.User{ID: a.id(0)}, directory.Group{ID: a.gid(0)})
					}
					for _, at := range []directory.When{{}, {Revision: a.revisions[0]}} {
						a.lists(at)
					}
					a.differences()
				}
				if len(both[0].texts) < 500 {
					t.Errorf("%d questions were asked", len(both[0].texts))
				}
				for what, text := range both[0].texts {
					if other := both[1].texts[what]; text != other {
						t.Errorf("%s:\n%s\n%s", what, text, other)
					}
				}
				for what, text := range both[0].texts {
					for _, name := range []string{"aaron", "abel", "adam", "anna", "theirs", "deep", `"a"`} {
						if strings.Contains(text, name) {
							t.Errorf("%s tells of %s: %s", what, name, text)
						}
					}
				}
			})
		}
	}
}

func (a *aside) id(n int) id.User {
	list, err := a.User(ctx, a.admin, a.users[n])
	return ok(a.t, list, err).ID
}

func (a *aside) gid(n int) id.Group {
	g, err := a.Group(ctx, a.admin, a.groups[n])
	return ok(a.t, g, err).ID
}

func TestABoundedKeyListsAndReplacesWhatItSees(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			var results [2]string
			for i := range results {
				a := newAside(t, engine, i == 1)
				members := func(what string, in directory.ListMembers, want ...string) {
					t.Helper()
					in.Limit, in.Count = 2, true
					got := a.pages(what, in, (*directory.Directory).Members)
					if !slices.Equal(got, want) {
						t.Errorf("%s: %q, want %q", what, got, want)
					}
					if in.Limit = 0; len(in.NamePrefix) == 0 {
						if one, err := a.Members(ctx, a.p, in); ok(t, one, err).Total != int64(len(want)) {
							t.Errorf("%s: %d are counted, want %d", what, one.Value.Total, len(want))
						}
					}
				}
				mine, ours := a.groups[0], a.groups[1]
				then := directory.Page{At: directory.When{Revision: a.revisions[0]}}
				members("of mine", directory.ListMembers{Group: mine}, "insider", "late")
				members("of mine through groups", directory.ListMembers{Group: mine, Transitive: true}, "insider", "nested", "late")
				members("who stand in mine", directory.ListMembers{Group: mine, Standing: true}, "insider", "away", "late")
				members("of ours", directory.ListMembers{Group: ours}, "mine", "moved", "late")
				members("of ours by name", directory.ListMembers{Group: ours, Transitive: true, Descending: true, Arrange: directory.Arrange{Sort: directory.ByTitle}}, "nested", "moved", "late", "insider")
				members("of mine, once", directory.ListMembers{Page: then, Group: mine, Transitive: true}, "insider", "nested", "moved")
				members("of ours, once, by name", directory.ListMembers{Page: then, Group: ours, Arrange: directory.Arrange{Sort: directory.ByTitle}}, "late", "mine")
				got := a.pages("groups", directory.ListMembers{Member: directory.MemberRef{Ref: a.users[0]}, Transitive: true}, (*directory.Directory).GroupsOf)
				if want := []string{"mine", "ours"}; !slices.Equal(got, want) {
					t.Errorf("groups: %q, want %q", got, want)
				}
				d, err := a.Diff(ctx, a.p, directory.Diff{From: directory.When{Revision: a.revisions[0]}, Group: mine})
				var changed []string
				for _, x := range ok(t, d, err).Items {
					changed = append(changed, fmt.Sprint(x.User.Name, x.Gained))
				}
				if want := []string{"movedfalse", "latetrue"}; !slices.Equal(changed, want) {
					t.Errorf("the difference of mine is %q, want %q", changed, want)
				}
				if _, err := a.Members(ctx, a.p, directory.ListMembers{Group: mine, Joining: true}); directory.CodeOf(err) != "principal.bounded" {
					t.Errorf("a list in the order of joining: %v", err)
				}

				// A page after who has left the bound is none.
				page := directory.ListMembers{Page: directory.Page{Limit: 1}, Group: ours, Arrange: directory.Arrange{Sort: directory.ByTitle}, Transitive: true}
				first, err := a.Members(ctx, a.p, page)
				page.After, page.At = ok(t, first, err).Next, first.Value.At
				out, err := a.ChangeMemberships(ctx, a.admin, directory.Batch{Runs: []directory.BatchRun{{Do: directory.ReplaceGroups, Members: []directory.MemberRef{{Ref: a.users[0]}}}}})
				ok(t, out, err)
				if _, err := a.Members(ctx, a.p, page); directory.KindOf(err) != directory.Stale {
					t.Errorf("a page after %v, who has left: %v", first.Value.Items[0].User.Name, err)
				}
				// A plain one goes on, without whoever has left.
				page.Arrange, page.After = directory.Arrange{}, 0
				for range 3 {
					next, err := a.Members(ctx, a.p, page)
					for _, m := range ok(t, next, err).Items {
						if m.User.Name == "insider" {
							t.Error("who has left the bound is listed as of when they had not")
						}
					}
					page.After = next.Value.Next
				}

				// A replacement takes out who is seen, and leaves the rest.
				r, err := a.ChangeMemberships(ctx, a.p, directory.Batch{Mode: directory.Each, Runs: []directory.BatchRun{
					{Do: directory.ReplaceMembers, Groups: []directory.Ref{mine, a.groups[2]}, Members: []directory.MemberRef{{Ref: a.users[2]}, {Ref: a.users[5]}, {Ref: a.users[8]}}},
					{Do: directory.ReplaceGroups, Groups: []directory.Ref{ours}, Members: []directory.MemberRef{{Ref: a.users[4]}}},
				}})
				var left []string
				for _, run := range ok(t, r, err).Runs {
					for _, e := range run.Left {
						u, _ := e.Member.User()
						left = append(left, r.Value.Users[u].Name)
					}
				}
				if want := []string{"away", "late"}; !slices.Equal(left, want) {
					t.Errorf("the replacement took out %q, want %q", left, want)
				}
				a.note("replaced", r.Value, nil)
				results[i] = a.texts["replaced"]
				members("of mine at the end", directory.ListMembers{Group: mine}, "moved")
				for _, e := range a.beyond {
					l, err := a.Members(ctx, a.admin, directory.ListMembers{Group: mine, Standing: true})
					if !slices.ContainsFunc(ok(t, l, err).Items, func(m directory.MemberOf) bool { return m.Membership.Edge == e }) {
						t.Errorf("%v, which the key does not see, was taken out", e)
					}
				}
			}
			if results[0] != results[1] {
				t.Errorf("the replacement tells of what is beyond:\n%s\n%s", results[0], results[1])
			}
		})
	}
}

func TestAReplacementCountsNobodyBeyondTheBound(t *testing.T) {
	w := newWorld(t)
	mine := w.group("mine", 0)
	insider := w.user("insider", mine)
	hidden := make([]directory.MemberRef, directory.MaxBatch+1)
	for i := range hidden {
		hidden[i] = directory.MemberRef{Ref: directory.ByNumber(int64(insider.Number) + 1 + int64(i))}
	}
	for n := 0; n < len(hidden); n += directory.MaxUsers {
		users := make([]directory.NewUser, min(directory.MaxUsers, len(hidden)-n))
		for i := range users {
			users[i].Name = fmt.Sprint("u", n+i)
		}
		made, err := w.CreateUsers(ctx, w.admin, directory.NewUsers{Users: users})
		ok(t, made, err)
	}
	for part := range slices.Chunk(hidden, directory.MaxBatch) {
		b, err := w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(mine.ID), Add: part, Standing: directory.Standing{From: w.Now().Add(time.Hour)}})
		ok(t, b, err)
	}
	p := w.within(directory.WriteMembers, mine)
	r, err := w.ChangeMemberships(ctx, p, directory.Batch{Runs: []directory.BatchRun{{Do: directory.ReplaceMembers, Groups: []directory.Ref{directory.ByGroup(mine.ID)}}}})
	if left := ok(t, r, err).Runs[0].Left; len(left) != 1 || left[0].Member != id.UserMember(insider.Number) {
		t.Errorf("the replacement took out %v", left)
	}
}
