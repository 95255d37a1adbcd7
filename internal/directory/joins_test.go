package directory_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"roster/internal/directory"
)

// groupsNamed returns the names of the groups that a user is in directly.
func (w *world) groupsNamed(u directory.User) string {
	w.t.Helper()
	a, err := w.FindGroups(ctx, w.admin, directory.FindGroups{Of: &directory.MemberRef{Ref: directory.ByUser(u.ID)}, Finding: directory.Finding{Order: byName}})
	return strings.Join(groupNames(ok(w.t, a, err)), " ")
}

func TestNewUsersJoinTheGroupsThatSaySo(t *testing.T) {
	w := newWorld(t)
	before := w.user("before")
	make := func(name string, joins directory.Joins) directory.Group {
		a, err := w.CreateGroup(ctx, w.admin, directory.NewGroup{Name: name, Joins: joins})
		return ok(t, a, err)
	}
	make("all", directory.Joins{Everyone: true})
	harbour := make("harbour", directory.Joins{Domains: []string{"@Harbour.example", "pier.example"}})
	make("none", directory.Joins{})
	user := func(name, email string) directory.User {
		a, err := w.CreateUser(ctx, w.admin, directory.NewUser{Name: name, Email: email, Groups: []directory.Ref{directory.ByName("none")}})
		return ok(t, a, err)
	}
	ann := user("ann", "ANN@HARBOUR.example")
	for u, want := range map[directory.Ref]string{
		directory.ByUser(before.ID):                                  "",
		directory.ByUser(ann.ID):                                     "all harbour none",
		directory.ByUser(user("bob", "bob@pier.example").ID):         "all harbour none",
		directory.ByUser(user("eve", "eve@sub.harbour.example").ID):  "all none",
		directory.ByUser(user("noa", "noa@harbour.example.evil").ID): "all none",
		directory.ByUser(user("dan", "").ID):                         "all none",
	} {
		a, err := w.User(ctx, w.admin, u)
		if got := w.groupsNamed(ok(t, a, err)); got != want {
			t.Errorf("%s is in %q, want %q", a.Value.Name, got, want)
		}
	}
	many, err := w.CreateUsers(ctx, w.admin, directory.NewUsers{Users: []directory.NewUser{{Name: "m1", Email: "m1@harbour.example"}, {Name: "m2"}}})
	list := ok(t, many, err)
	if got := w.groupsNamed(list[0].User) + "/" + w.groupsNamed(list[1].User); got != "all harbour/all" {
		t.Errorf("users made together are in %q", got)
	}
	a, err := w.UpdateGroup(ctx, w.admin, directory.GroupUpdate{Group: directory.ByGroup(harbour.ID), Joins: &directory.Joins{}})
	ok(t, a, err)
	if got := w.groupsNamed(user("zoe", "zoe@harbour.example")); got != "all none" {
		t.Errorf("after nobody joins any more, one is in %q", got)
	}
	for _, bad := range [][]string{{"no domain"}, {""}, {"a@b.example"}, {"*"}, slices.Repeat([]string{"a.example"}, directory.MaxDomains+1)} {
		w.refused(fmt.Sprintf("the domains %.40q", bad), directory.Invalid, func() error {
			return drop(w.CreateGroup(ctx, w.admin, directory.NewGroup{Name: "bad", Joins: directory.Joins{Domains: bad}}))
		})
	}
}

// Advisory 1: a user made into a group that carries rights is one who was added.
func TestJoiningByARuleHandsOutNothingThatTheMakerLacks(t *testing.T) {
	w := newWorld(t)
	w.user("root", w.group("admins", directory.Admin))
	a, err := w.CreateGroup(ctx, w.admin, directory.NewGroup{Name: "staff", Joins: directory.Joins{Domains: []string{"harbour.example"}}})
	staff := ok(t, a, err)
	clerk := w.with(directory.WriteUsers | directory.WriteMembers | directory.WriteGroups)
	b, err := w.CreateUser(ctx, clerk, directory.NewUser{Name: "ann", Email: "ann@harbour.example"})
	ok(t, b, err)
	w.add(ok2(w.Group(ctx, w.admin, directory.ByName("admins"))), child(staff), directory.Standing{})
	w.refused("a user that would be an administrator", directory.Forbidden, func() error {
		return drop(w.CreateUser(ctx, clerk, directory.NewUser{Name: "eve", Email: "eve@harbour.example"}))
	})
	many, err := w.CreateUsers(ctx, clerk, directory.NewUsers{Users: []directory.NewUser{{Name: "eve", Email: "eve@harbour.example"}, {Name: "bob"}}})
	if list := ok(t, many, err); list[0].Problem == nil || list[0].Problem.Kind != directory.Forbidden || list[1].Problem != nil {
		t.Errorf("made together: %+v", list)
	}
	w.refused("a domain that would make administrators", directory.Forbidden, func() error {
		return drop(w.UpdateGroup(ctx, clerk, directory.GroupUpdate{Group: directory.ByGroup(staff.ID), Joins: &directory.Joins{Everyone: true}}))
	})
	w.refused("a rule by who cannot write members", directory.Forbidden, func() error {
		return drop(w.CreateGroup(ctx, w.with(directory.WriteGroups), directory.NewGroup{Name: "x", Joins: directory.Joins{Everyone: true}}))
	})
}

func ok2[T any](a directory.Answer[T], err error) T {
	if err != nil {
		panic(err)
	}
	return a.Value
}

func TestBuiltInGroupsAreMadeOnceAndHoldEverybody(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann")
	names := directory.BuiltIns{Administrators: "Admins", Everyone: "Everyone"}
	nobody := w.with(0)
	for range 2 {
		if err := w.SeedBuiltIns(ctx, nobody, names); err != nil {
			t.Fatal(err)
		}
	}
	after := w.revision()
	if err := directory.New(w.Store, directory.Options{Clock: w.Clock.Now}).SeedBuiltIns(ctx, nobody, names); err != nil || w.revision() != after {
		t.Errorf("another start changed something: revision %d after %d (%v)", w.revision(), after, err)
	}
	bob := w.user("bob")
	if got := w.groupsNamed(ann) + "/" + w.groupsNamed(bob); got != "Everyone/Everyone" {
		t.Errorf("they are in %q", got)
	}
	everyone := ok2(w.Group(ctx, w.admin, directory.ByName("Everyone")))
	admins := ok2(w.Group(ctx, w.admin, directory.ByName("Admins")))
	if !everyone.BuiltIn || !admins.BuiltIn || admins.Grants != directory.Admin || everyone.Grants != 0 {
		t.Errorf("the groups are %+v and %+v", everyone, admins)
	}
	group := directory.ByGroup(everyone.ID)
	w.refused("taking a user out of everyone", directory.Conflict, func() error {
		return drop(w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: group, Remove: []directory.MemberRef{member(ann)}}))
	})
	w.refused("dating a user in everyone", directory.Conflict, func() error {
		return drop(w.ChangeMembers(ctx, w.admin, directory.MembersChange{
			Group: group, Add: []directory.MemberRef{member(ann)}, Standing: directory.Standing{Until: w.Now().Add(time.Hour)},
		}))
	})
	w.refused("taking everyone off a user", directory.Conflict, func() error {
		return drop(w.ChangeGroups(ctx, w.admin, directory.GroupsChange{Member: member(ann), Remove: []directory.Ref{group}}))
	})
	left, err := w.ChangeGroups(ctx, w.admin, directory.GroupsChange{Member: member(ann), Replace: true})
	if r := ok(t, left, err); len(r.Left) != 0 || w.groupsNamed(ann) != "Everyone" {
		t.Errorf("leaving all groups left %v and is in %q", r.Left, w.groupsNamed(ann))
	}
	a, err := w.UpdateGroup(ctx, w.admin, directory.GroupUpdate{Group: group, Joins: &directory.Joins{}})
	if got := ok(t, a, err); !got.Joins.Everyone {
		t.Error("everybody does not join any more")
	}
	w.refused("deleting a built-in group", directory.Forbidden, func() error { return drop(w.DeleteGroup(ctx, w.admin, directory.Deletion{Ref: group})) })
	b, err := w.DeleteUser(ctx, w.admin, directory.Deletion{Ref: directory.ByUser(bob.ID)})
	ok(t, b, err)
}

func TestAGroupThatBearsABuiltInNameIsLeftAsItIs(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann")
	own, everyone := w.group("Admins", 0), w.group("everyone", 0)
	if err := w.SeedBuiltIns(ctx, w.with(0), directory.BuiltIns{Administrators: "Admins", Everyone: "Everyone"}); err != nil {
		t.Fatal(err)
	}
	for _, g := range []directory.Group{own, everyone} {
		if got := ok2(w.Group(ctx, w.admin, directory.ByGroup(g.ID))); got.Version != g.Version || got.Grants != 0 {
			t.Errorf("%s became %+v", g.Name, got)
		}
	}
	if got := w.groupsNamed(ann); got != "" {
		t.Errorf("ann is in %q", got)
	}
}
