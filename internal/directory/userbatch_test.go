package directory_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"roster/internal/directory"
)

// became renders what became of users, in order.
func became(list []directory.UserResult) string {
	var b strings.Builder
	for _, r := range list {
		switch {
		case r.Problem == directory.ErrEmailTaken, r.Problem == directory.ErrUserNameTaken:
			b.WriteString("taken") // which of the two is found first is the engine's affair
		case r.Problem != nil:
			b.WriteString(r.Problem.Code)
		default:
			b.WriteString(r.User.Name)
		}
		for i := range 10 {
			if p := r.Unjoined[i]; p != nil {
				fmt.Fprintf(&b, "-%d(%s)", i, p.Code)
			}
		}
		b.WriteByte(' ')
	}
	return strings.TrimSpace(b.String())
}

// groupNames are the groups that a user stands in, by the rows.
func (w *world) groupNames(u directory.User) string {
	w.t.Helper()
	a, err := w.GroupsOf(ctx, w.admin, directory.ListMembers{Member: member(u), Standing: true})
	var names []string
	for _, m := range ok(w.t, a, err).Items {
		names = append(names, m.Group.Name)
	}
	return strings.Join(names, ",")
}

func named(names ...string) (refs []directory.Ref) {
	for _, n := range names {
		refs = append(refs, directory.ByName(n))
	}
	return refs
}

func TestUsersAreMadeEachOnItsOwn(t *testing.T) {
	w := newWorld(t)
	w.user("root", w.group("admins", directory.Admin))
	w.group("one", 0)
	w.group("rest", 0)
	w.group("twin", 0)
	w.group("Twin", 0)
	w.user("taken@example.com")
	batch := func() directory.NewUsers {
		return directory.NewUsers{Otherwise: directory.ByName("rest"), Users: []directory.NewUser{
			{Email: "plain@example.com"},
			{Email: "TAKEN@example.com"},
			{Email: "in@example.com", Groups: named("one", "ONE")},
			{Email: "some@example.com", Groups: named("none", "one", "admins", "twin")},
			{Email: "lost@example.com", Groups: named("admins", "none")},
			{Email: "In@example.com"},
			{Name: "key", Groups: named("one"), Credentials: []directory.Credential{{Kind: "k", Hash: []byte("h")}}},
			{Name: "key again", Groups: named("one"), Credentials: []directory.Credential{{Kind: "k", Hash: []byte("h")}}},
			{Email: "lost@example.com"},
		}}
	}
	before := w.revision()
	p := w.with(directory.WriteUsers | directory.WriteMembers)
	in := batch()
	in.SomeGroups = true
	a, err := w.CreateUsers(ctx, p, in)
	r := ok(t, a, err)
	const want = "plain@example.com taken in@example.com some@example.com-0(group.unknown)-2(membership.privileged)-3(group.name.ambiguous)" +
		" user.groups.none taken key credential.taken lost@example.com"
	if got := became(r); got != want {
		t.Errorf("they became\n%s, want\n%s", got, want)
	}
	if a.Revision != before+1 {
		t.Errorf("it is revision %d after %d", a.Revision, before)
	}
	for i, groups := range map[int]string{0: "rest", 2: "one", 3: "one", 6: "one", 8: "rest"} {
		if got := w.groupNames(r[i].User); got != groups {
			t.Errorf("user %d is in %s, want %s", i, got, groups)
		}
	}
	// Nothing of the refused is left, so their numbers were never given.
	b, err := w.Users(ctx, w.admin, directory.ListUsers{})
	if list := ok(t, b, err).Items; len(list) != 7 {
		t.Errorf("there are %d users, want 7", len(list))
	}

	// Without leave to join some, a group that cannot be joined refuses the user.
	w = newWorld(t)
	w.user("root", w.group("admins", directory.Admin))
	w.group("one", 0)
	a, err = w.CreateUsers(ctx, w.with(directory.WriteUsers|directory.WriteMembers), batch())
	const strict = "plain@example.com TAKEN@example.com in@example.com group.unknown membership.privileged taken key credential.taken lost@example.com"
	if got := became(ok(t, a, err)); got != strict {
		t.Errorf("they became\n%s, want\n%s", got, strict)
	}
}

func TestInputThatIsWrongWhateverThereIsRefusesTheBatch(t *testing.T) {
	w := newWorld(t)
	good := directory.NewUser{Name: "good"}
	for what, bad := range map[string]directory.NewUser{
		"no name": {}, "an address": {Email: "no address"}, "a code": {Name: "x", Code: -1},
	} {
		w.refused(what, directory.Invalid, func() error {
			_, err := w.CreateUsers(ctx, w.admin, directory.NewUsers{Users: []directory.NewUser{good, good, bad, good}})
			if e, ok := errors.AsType[*directory.Error](err); !ok || len(e.Items) != 1 || e.Items[0] != 2 {
				t.Errorf("%s: %+v does not name the item", what, err)
			}
			return err
		})
	}
	w.refused("codes", directory.Forbidden, func() error {
		return drop(w.CreateUsers(ctx, w.with(directory.InTenant), directory.NewUsers{Users: []directory.NewUser{good, {Name: "x", Code: 7}}}))
	})
	w.refused("too many", directory.TooLarge, func() error {
		return drop(w.CreateUsers(ctx, w.admin, directory.NewUsers{Users: make([]directory.NewUser, directory.MaxUsers+1)}))
	})
	w.refused("too many to suspend", directory.TooLarge, func() error {
		return drop(w.Suspend(ctx, w.admin, directory.Suspension{Users: make([]directory.Ref, directory.MaxUsers+1)}))
	})
}

func TestUsersAreSuspendedEachOnItsOwn(t *testing.T) {
	w := newWorld(t)
	admins, plain := w.group("admins", directory.Admin), w.group("plain", 0)
	ann, bob, eve := w.user("ann", admins), w.user("bob", admins), w.user("eve", plain)
	a, err := w.CreateUser(ctx, w.admin, directory.NewUser{Name: "old", Expires: w.Now().Add(time.Hour)})
	old := ok(t, a, err)
	w.Clock.Advance(time.Hour)
	refs := func(list ...directory.User) (refs []directory.Ref) {
		for _, u := range list {
			refs = append(refs, directory.ByUser(u.ID))
		}
		return append(refs, directory.ByNumber(99))
	}
	suspend := func(p directory.Principal, s bool, list ...directory.User) string {
		t.Helper()
		a, err := w.Suspend(ctx, p, directory.Suspension{Users: refs(list...), Suspended: s})
		return became(ok(t, a, err))
	}
	if got, want := suspend(w.admin, true, eve, ann, bob, eve, old), "eve ann admin.last eve old user.unknown"; got != want {
		t.Errorf("suspending says %s, want %s", got, want)
	}
	if got := w.groupNames(eve); got != "plain" {
		t.Errorf("a suspended user stands in %q", got)
	}
	helpdesk := w.with(directory.WriteUsers)
	before := w.revision()
	if got, want := suspend(helpdesk, true, eve, bob), "eve membership.privileged user.unknown"; got != want {
		t.Errorf("the help desk suspending says %s, want %s", got, want)
	}
	if after := w.revision(); after != before {
		t.Errorf("a call that changed nothing is revision %d", after)
	}
	if got, want := suspend(helpdesk, false, eve, ann, old, bob), "eve membership.privileged user.expired bob user.unknown"; got != want {
		t.Errorf("the help desk activating says %s, want %s", got, want)
	}
	if got, want := suspend(w.admin, false, ann), "ann user.unknown"; got != want {
		t.Errorf("activating says %s, want %s", got, want)
	}
}

func TestAdvisory01_ABatchOfUsersJoinsNoGroupAboveItsMaker(t *testing.T) {
	w := newWorld(t)
	admins := w.group("admins", directory.Admin)
	below := w.group("below", 0, admins)
	w.user("root", admins)
	for _, some := range []bool{true, false} {
		a, err := w.CreateUsers(ctx, w.with(directory.WriteUsers|directory.WriteMembers), directory.NewUsers{SomeGroups: some, Otherwise: directory.ByGroup(below.ID),
			Users: []directory.NewUser{{Name: "puppet", Groups: []directory.Ref{directory.ByGroup(below.ID)}}, {Name: fmt.Sprint("plain ", some)}}})
		r := ok(t, a, err)
		if r[0].Problem == nil || r[1].Problem != nil || w.groupNames(r[1].User) != "" {
			t.Errorf("some groups %v: %s, in %q", some, became(r), w.groupNames(r[1].User))
		}
	}
}

func TestAdvisory10_WhoActivatesMustHoldWhatTheUserWillHold(t *testing.T) {
	// An invitation is a suspended user who stands in groups already.
	w := newWorld(t)
	helpers := w.group("helpers", directory.ReadUsers)
	all := directory.WriteUsers | directory.WriteMembers | directory.ReadUsers
	a, err := w.CreateUsers(ctx, w.with(all), directory.NewUsers{Users: []directory.NewUser{{Name: "invited", Suspended: true, Groups: []directory.Ref{directory.ByGroup(helpers.ID)}}}})
	u := ok(t, a, err)[0].User
	if w.holds(t, u, w.Now()) != 0 {
		t.Error("who is only invited holds something")
	}
	in := directory.Suspension{Users: []directory.Ref{directory.ByUser(u.ID)}}
	b, err := w.Suspend(ctx, w.with(directory.WriteUsers), in)
	if got := became(ok(t, b, err)); got != "membership.privileged" {
		t.Errorf("activating by less than was handed out says %s", got)
	}
	b, err = w.Suspend(ctx, w.with(all), in)
	if got := became(ok(t, b, err)); got != "invited" || w.holds(t, u, w.Now()) != directory.ReadUsers {
		t.Errorf("activating says %s", got)
	}
}

func TestABoundedKeyMakesAndSuspendsUsersOfItsGroupsAlone(t *testing.T) {
	w := newWorld(t)
	mine, other, rest := w.group("mine", 0), w.group("other", 0), w.group("rest", 0)
	p := w.within(directory.WriteUsers|directory.WriteMembers, mine)
	a, err := w.CreateUsers(ctx, p, directory.NewUsers{SomeGroups: true, Otherwise: directory.ByGroup(rest.ID), Users: []directory.NewUser{
		{Name: "in", Groups: named("mine", "other")}, {Name: "out", Groups: named("other")}, {Name: "nowhere"},
	}})
	r := ok(t, a, err)
	if got, want := became(r), "in-1(group.unknown) user.groups.none user.groups.none"; got != want {
		t.Errorf("they became %s, want %s", got, want)
	}
	a, err = w.CreateUsers(ctx, w.admin, directory.NewUsers{MustJoin: true, Otherwise: directory.ByGroup(rest.ID), Users: []directory.NewUser{{Name: "anywhere"}, {Name: "there", Groups: named("rest")}}})
	if got, want := became(ok(t, a, err)), "user.groups.none there"; got != want {
		t.Errorf("who must join something became %s, want %s", got, want)
	}
	outsider := w.user("outsider", other)
	b, err := w.Suspend(ctx, p, directory.Suspension{Users: []directory.Ref{directory.ByName("in"), directory.ByUser(outsider.ID)}, Suspended: true})
	if got, want := became(ok(t, b, err)), "in user.unknown"; got != want {
		t.Errorf("suspending says %s, want %s", got, want)
	}
	b, err = w.Suspend(ctx, p, directory.Suspension{Users: []directory.Ref{directory.ByName("in")}})
	if got := became(ok(t, b, err)); got != "in" {
		t.Errorf("who is suspended is beyond the bound: %s", got)
	}
}
