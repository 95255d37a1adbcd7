package directory_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/id"
)

// Each test here is named after a failure of a system like this one and the
// lesson that was learned there. Those that concern one door are beside it.

func TestAdvisory01_AddingToAGroupRequiresHoldingWhatItGrantsOnAddAndOnCreateWithGroups(t *testing.T) {
	w := newWorld(t)
	admins := w.group("admins", directory.Admin)
	helpdesk := w.group("helpdesk", directory.ReadAll|directory.WriteUsers|directory.WriteMembers)
	mallory := w.as(w.user("mallory", helpdesk))
	w.refused("joining", directory.Forbidden, func() error {
		return drop(w.ChangeMembers(ctx, mallory, directory.MembersChange{Group: directory.ByGroup(admins.ID), Add: []directory.MemberRef{{Ref: directory.ByUser(mallory.User)}}}))
	})
	w.refused("creating into", directory.Forbidden, func() error {
		return drop(w.CreateUser(ctx, mallory, directory.NewUser{Name: "puppet", Groups: []directory.Ref{directory.ByGroup(admins.ID)}}))
	})
	w.refused("joining in the name of others", directory.Forbidden, func() error {
		return drop(w.ChangeGroups(ctx, mallory, directory.GroupsChange{Member: directory.MemberRef{Ref: directory.ByUser(mallory.User)}, Add: []directory.Ref{directory.ByGroup(helpdesk.ID), directory.ByGroup(admins.ID)}, Mode: directory.Each}))
	})
}

func TestAdvisory02_DelegatedRightsAreClosedUnderComposition(t *testing.T) {
	// Over the lattice: whatever a key holds, it may hand out exactly that.
	w := newWorld(t)
	ann := w.user("ann")
	w.user("root", w.group("root", directory.Admin)) // so that nobody is the last
	var groups []directory.Group
	confers := map[id.Group]directory.Grants{}
	for g := directory.ReadUsers; g <= directory.Admin; g <<= 1 {
		for h := g; h <= directory.Admin; h <<= 1 {
			upper := w.group(fmt.Sprint("upper ", g, h), g)
			lower := w.group(fmt.Sprint("lower ", g, h), h, upper)
			groups = append(groups, lower)
			confers[lower.ID] = g | h
		}
	}
	for held := directory.Grants(0); held <= directory.InTenant; held++ {
		p := w.with(held | directory.WriteMembers)
		g := groups[int(held)*7%len(groups)] // every group comes up many times
		may := p.Grants.Has(confers[g.ID])
		for range 2 {
			_, err := w.ChangeMembers(ctx, p, directory.MembersChange{Group: directory.ByGroup(g.ID), Add: []directory.MemberRef{member(ann)}})
			if may != (err == nil) || !may && !errors.Is(err, directory.Forbidden) {
				t.Errorf("who holds %s adds to a group that confers %s: %v", p.Grants, confers[g.ID], err)
			}
			g = groups[int(held)%len(groups)]
			may = p.Grants.Has(confers[g.ID])
		}
	}

	// And over sequences: whatever somebody does with a key, nobody it made or
	// moved ends up with more than the key holds, now or at any date.
	rapid.Check(t, func(t *rapid.T) {
		held := directory.Grants(rapid.IntRange(0, int(directory.InTenant)).Draw(t, "held")) &^ directory.Admin
		p := w.with(held | directory.WriteGroups | directory.WriteMembers | directory.WriteUsers)
		mine := w.user(fmt.Sprint("mine ", id.New[id.User]()))
		puppets := []directory.User{mine}
		theirs := slices.Clone(groups[:6])
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			g, h := rapid.SampledFrom(theirs).Draw(t, "group"), rapid.SampledFrom(theirs).Draw(t, "other group")
			u := rapid.SampledFrom(puppets).Draw(t, "user")
			grants := directory.Grants(rapid.IntRange(0, int(directory.InTenant)).Draw(t, "grants"))
			standing := directory.Standing{}
			if rapid.Bool().Draw(t, "tomorrow") {
				standing.From = w.Now().Add(24 * time.Hour)
			}
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0:
				if a, err := w.CreateGroup(ctx, p, directory.NewGroup{Name: "mine", Grants: grants}); err == nil {
					theirs = append(theirs, a.Value)
				}
			case 1:
				w.UpdateGroup(ctx, p, directory.GroupUpdate{Group: directory.ByGroup(g.ID), Grants: &grants})
			case 2:
				w.ChangeMembers(ctx, p, directory.MembersChange{Group: directory.ByGroup(g.ID), Add: []directory.MemberRef{child(h)}, Standing: standing})
			case 3:
				w.ChangeMembers(ctx, p, directory.MembersChange{Group: directory.ByGroup(g.ID), Add: []directory.MemberRef{member(u)}, Standing: standing})
			case 4:
				w.ChangeGroups(ctx, p, directory.GroupsChange{Member: member(u), Add: []directory.Ref{directory.ByGroup(g.ID), directory.ByGroup(h.ID)}, Mode: directory.Each, Standing: standing})
			case 5:
				if a, err := w.CreateUser(ctx, p, directory.NewUser{Name: fmt.Sprint("puppet ", id.New[id.User]()), Groups: []directory.Ref{directory.ByGroup(g.ID)}}); err == nil {
					puppets = append(puppets, a.Value)
				}
			case 6:
				w.ChangeGroups(ctx, p, directory.GroupsChange{Member: child(h), Add: []directory.Ref{directory.ByGroup(g.ID)}, Replace: rapid.Bool().Draw(t, "replace")})
			}
			for _, at := range []time.Time{w.Now(), w.Now().Add(48 * time.Hour)} {
				for _, u := range puppets {
					if has := w.holds(t, u, at); !p.Grants.Has(has) {
						t.Fatalf("who holds %s has made a user that holds %s", p.Grants, has)
					}
				}
			}
		}
	})
}

func TestAdvisory04_OneLayerAuthorisesEveryQuestionAlike(t *testing.T) {
	// That every operation asks is in the table of operations; here, that no way
	// of asking the same shows more than another.
	w := newWorld(t)
	g := w.group("g", 0)
	u := w.user("ann", g)
	for _, p := range []directory.Principal{w.with(directory.ReadUsers), w.with(directory.ReadGroups), w.with(directory.InTenant &^ (directory.ReadMembers | directory.Admin))} {
		for what, fn := range map[string]func() error{
			"check": func() error {
				return drop(w.IsMember(ctx, p, directory.Check{User: directory.ByUser(u.ID), Group: directory.ByGroup(g.ID)}))
			},
			"check by name": func() error {
				return drop(w.IsMember(ctx, p, directory.Check{User: directory.ByName("ann"), Group: directory.ByName("g")}))
			},
			"checks":  func() error { return drop(w.AreMembers(ctx, p, make([]directory.Check, 2))) },
			"members": func() error { return drop(w.Members(ctx, p, directory.ListMembers{Group: directory.ByGroup(g.ID)})) },
			"all members": func() error {
				return drop(w.Members(ctx, p, directory.ListMembers{Group: directory.ByGroup(g.ID), Transitive: true}))
			},
			"groups":         func() error { return drop(w.GroupsOf(ctx, p, directory.ListMembers{Member: member(u)})) },
			"a membership":   func() error { return drop(w.Membership(ctx, p, directory.ByGroup(g.ID), member(u))) },
			"of an unknown":  func() error { return drop(w.Membership(ctx, p, directory.ByNumber(9), member(u))) },
			"unknown groups": func() error { return drop(w.GroupsOf(ctx, p, directory.ListMembers{})) },
		} {
			if err := fn(); !errors.Is(err, directory.Forbidden) {
				t.Errorf("%s with %s: %v, want forbidden", what, p.Grants, err)
			}
		}
	}
}

func TestAdvisory07_RightsGoByImmutableIDInsideTheTransaction(t *testing.T) {
	w := newWorld(t)
	admins := w.group("admins", directory.Admin)
	w.user("root", admins)
	// Who gets the name of a deleted administrator gets nothing else of it.
	ann := w.user("ann", admins)
	old := w.as(ann)
	a, err := w.DeleteUser(ctx, w.admin, directory.Deletion{Ref: directory.ByUser(ann.ID)})
	ok(t, a, err)
	again := w.user("ann")
	for what, p := range map[string]directory.Principal{"the key of the deleted": old, "the key of the new": w.as(again)} {
		w.refused(what, directory.Forbidden, func() error {
			return drop(w.UpdateTenant(ctx, p, directory.TenantUpdate{Title: ptr("x")}))
		})
	}
	// A group that takes a name while others ask by it: what was authorised is
	// what is used. Whoever may write only plain groups never gets into the other.
	plain := w.group("door", 0)
	p := w.with(directory.WriteMembers)
	var all sync.WaitGroup
	all.Go(func() {
		for range 40 {
			for _, names := range [][2]string{{"was", "door"}, {"door", "admins"}} {
				w.UpdateGroup(ctx, w.admin, directory.GroupUpdate{Group: directory.ByGroup(plain.ID), Name: &names[0]})
				w.UpdateGroup(ctx, w.admin, directory.GroupUpdate{Group: directory.ByGroup(admins.ID), Name: &names[1]})
			}
		}
	})
	for range 200 {
		w.ChangeMembers(ctx, p, directory.MembersChange{Group: directory.ByName("door"), Add: []directory.MemberRef{member(again)}})
	}
	all.Wait()
	b, err := w.IsMember(ctx, w.admin, directory.Check{User: directory.ByUser(again.ID), Group: directory.ByGroup(admins.ID)})
	if ok(t, b, err) {
		t.Error("a renamed group let somebody in who may not")
	}
}

func TestAdvisory08_NobodyAssignsAboveTheirOwn(t *testing.T) {
	w := newWorld(t)
	owners := w.group("owners", directory.Admin)
	maintainers := w.group("maintainers", directory.WriteMembers|directory.WriteGroups|directory.ReadAll)
	ann := w.user("ann")
	m := w.as(w.user("maintainer", maintainers))
	a, err := w.ChangeMembers(ctx, m, directory.MembersChange{Group: directory.ByGroup(maintainers.ID), Add: []directory.MemberRef{member(ann)}})
	ok(t, a, err)
	for what, c := range map[string]directory.MembersChange{
		"somebody":         {Group: directory.ByGroup(owners.ID), Add: []directory.MemberRef{member(ann)}},
		"their own group":  {Group: directory.ByGroup(owners.ID), Add: []directory.MemberRef{child(maintainers)}},
		"for a while only": {Group: directory.ByGroup(owners.ID), Add: []directory.MemberRef{member(ann)}, Standing: directory.Standing{From: w.Now().Add(time.Hour), Until: w.Now().Add(2 * time.Hour)}},
		"and out again":    {Group: directory.ByGroup(owners.ID), Add: []directory.MemberRef{member(ann)}, Remove: []directory.MemberRef{member(ann)}},
	} {
		w.refused(what, directory.Forbidden, func() error { return drop(w.ChangeMembers(ctx, m, c)) })
	}
	w.refused("a group of their own that grants it", directory.Forbidden, func() error {
		return drop(w.CreateGroup(ctx, m, directory.NewGroup{Name: "mine", Grants: directory.ManageKeys}))
	})
}

func TestAdvisory09_NothingIsGrantedByDefault(t *testing.T) {
	w := newWorld(t)
	w.user("root", w.group("admins", directory.Admin))
	nobody := w.as(w.user("nobody", w.group("plain", 0)))
	a, err := w.CreateCredential(ctx, w.admin, directory.NewCredential{Kind: "k", Hash: []byte("old")})
	ok(t, a, err)
	for name, op := range operations {
		w.refused(name, directory.Forbidden, func() error { return op.call(w, nobody) })
	}
	var g directory.Grants
	if g.Has(directory.ReadUsers) || !g.Has(0) {
		t.Error("the zero grants hold something")
	}
	if _, err := directory.ParseGrants([]string{"users.read", "everything"}); !errors.Is(err, directory.Invalid) {
		t.Errorf("a grant that nobody understands: %v, want invalid", err)
	}
}

func TestAdvisory11_GuardsSeeRightsThatComeThroughGroups(t *testing.T) {
	w := newWorld(t)
	admins := w.group("admins", directory.Admin)
	middle := w.group("middle", 0, admins)
	below := w.group("below", 0, middle)
	boss := w.user("boss", below)
	helpdesk := w.with(directory.InTenant &^ directory.Admin)
	w.refused("to change who is an administrator through groups", directory.Forbidden, func() error {
		return drop(w.UpdateUser(ctx, helpdesk, directory.UserUpdate{User: directory.ByUser(boss.ID), Email: ptr("mine@example.com")}))
	})
	w.refused("to set their key", directory.Forbidden, func() error {
		return drop(w.CreateCredential(ctx, helpdesk, directory.NewCredential{Kind: "k", Hash: []byte("x"), User: directory.ByUser(boss.ID)}))
	})
	w.refused("to join far below", directory.Forbidden, func() error {
		return drop(w.ChangeMembers(ctx, helpdesk, directory.MembersChange{Group: directory.ByGroup(below.ID), Add: []directory.MemberRef{{Ref: directory.ByName("boss")}}}))
	})
	if err := drop(w.UpdateTenant(ctx, w.as(boss), directory.TenantUpdate{Title: ptr("mine")})); err != nil {
		t.Errorf("who is one through groups may not act: %v", err)
	}
}

func TestAdvisory13_AReadOnlyKeyOfAnAdministratorOnlyReads(t *testing.T) {
	w := newWorld(t)
	boss := w.user("boss", w.group("admins", directory.Admin))
	secret, hash, _ := w.Authn.Mint(authn.Native)
	a, err := w.CreateCredential(ctx, w.admin, directory.NewCredential{Kind: authn.Native, Hash: hash, User: directory.ByUser(boss.ID), Grants: directory.ReadAll})
	ok(t, a, err)
	c, err := w.Authn.Verify(ctx, authn.Native, secret)
	if err != nil {
		t.Fatal(err)
	}
	p, err := authn.Principal(c, w.admin.Tenant, "test", "r")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Users(ctx, p, directory.ListUsers{}); err != nil {
		t.Errorf("it cannot read: %v", err)
	}
	for name, op := range operations {
		if op.need&^directory.ReadAll != 0 {
			w.refused(name, directory.Forbidden, func() error { return op.call(w, p) })
		}
	}
}

func TestAdvisory14_AnExternalIDIsNeverAnInternalOne(t *testing.T) {
	w := newWorld(t)
	root := w.user("root", w.group("admins", directory.Admin))
	a, err := w.CreateUser(ctx, w.admin, directory.NewUser{Name: "2", Externals: map[string]string{"ldap": fmt.Sprint(root.Number), "hr": root.ID.String()}})
	other := ok(t, a, err)
	for ref, want := range map[directory.Ref]id.Number{
		directory.ByExternal("ldap", "1"): other.Number, directory.ByExternal("hr", root.ID.String()): other.Number,
		directory.ByNumber(1): root.Number, directory.ByUser(root.ID): root.Number, directory.ByName("2"): other.Number, directory.ByNumber(2): other.Number,
	} {
		b, err := w.User(ctx, w.admin, ref)
		if u := ok(t, b, err); u.Number != want {
			t.Errorf("%+v is user %d, want %d", ref, u.Number, want)
		}
	}
	for _, ref := range []directory.Ref{directory.ByExternal("hr", "1"), directory.ByExternal("crm", "1"), directory.ByName("1"), directory.ByEmail("2"), directory.ByName(root.ID.String())} {
		if b, err := w.User(ctx, w.admin, ref); !errors.Is(err, directory.NotFound) {
			t.Errorf("%+v is user %d, %v; want nobody", ref, b.Value.Number, err)
		}
	}
}

func TestAdvisory15_APersonSharesAnAddressAndNeverRights(t *testing.T) {
	w := newWorld(t)
	two := w.tenant("two")
	admins := w.group("admins", directory.Admin)
	a, err := w.CreateUser(ctx, w.admin, directory.NewUser{Name: "boss", Email: "boss@example.com", EmailVerified: true, Groups: []directory.Ref{directory.ByGroup(admins.ID)}})
	boss := ok(t, a, err)
	b, err := w.CreateUser(ctx, two, directory.NewUser{Name: "mallory", Email: "boss@example.com", EmailVerified: true})
	mallory := ok(t, b, err)
	if boss.Person != mallory.Person {
		t.Fatal("the two share no person, so this shows nothing")
	}
	p := directory.Principal{Tenant: two.Tenant, Credential: id.New[id.Credential](), User: mallory.ID, Grants: directory.InTenant}
	w.refused("in its own tenant", directory.Forbidden, func() error { return drop(w.Users(ctx, p, directory.ListUsers{})) })
	p.Tenant = w.admin.Tenant
	w.refused("in the other's", directory.Forbidden, func() error { return drop(w.Users(ctx, p, directory.ListUsers{})) })
	// An address that was not verified makes nobody somebody.
	c, err := w.CreateUser(ctx, w.tenant("three"), directory.NewUser{Name: "x", Email: "boss@example.com"})
	if ok(t, c, err).Person == boss.Person {
		t.Error("an unverified address is who it says")
	}
	// A changed address is unverified again.
	d, err := w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(boss.ID), Email: ptr("other@example.com")})
	if ok(t, d, err).EmailVerified {
		t.Error("another address is still verified")
	}
}

func TestAdvisory16_TheLastAdministratorIsKeptFromOtherScopesToo(t *testing.T) {
	// The paths inside the tenant are a table of their own.
	w := newWorld(t)
	admins := w.group("admins", directory.Admin)
	root := w.user("root", admins)
	platform := directorytest.In(directorytest.Root(), w.admin.Tenant)
	for what, fn := range map[string]func() error{
		"by the platform": func() error {
			return drop(w.DeleteUser(ctx, platform, directory.Deletion{Ref: directory.ByUser(root.ID)}))
		},
		"by itself": func() error {
			return drop(w.DeleteUser(ctx, w.as(root), directory.Deletion{Ref: directory.ByUser(root.ID)}))
		},
		"leaving": func() error {
			return drop(w.ChangeGroups(ctx, w.as(root), directory.GroupsChange{Member: member(root), Remove: []directory.Ref{directory.ByGroup(admins.ID)}}))
		},
	} {
		w.refused(what, directory.Conflict, fn)
	}
	// Two that go at the same moment cannot both.
	second := w.user("second", admins)
	var all sync.WaitGroup
	errs := make([]error, 2)
	for i, u := range []directory.User{root, second} {
		all.Go(func() { errs[i] = drop(w.DeleteUser(ctx, w.admin, directory.Deletion{Ref: directory.ByUser(u.ID)})) })
	}
	all.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Errorf("of two administrators that go at once: %v and %v; want that one stays", errs[0], errs[1])
	}
}

func TestAdvisory17_TheTenantComesFromTheCredentialAndNothingElse(t *testing.T) {
	w := newWorld(t)
	two := w.tenant("two")
	secret, hash, _ := w.Authn.Mint(authn.Native)
	a, err := w.CreateCredential(ctx, w.admin, directory.NewCredential{Kind: authn.Native, Hash: hash, Grants: directory.Admin})
	ok(t, a, err)
	c, err := w.Authn.Verify(ctx, authn.Native, secret)
	if err != nil {
		t.Fatal(err)
	}
	for what, tenant := range map[string]id.Tenant{"another tenant": two.Tenant, "one that is not": id.New[id.Tenant](), "the platform": {}} {
		if _, err := authn.Principal(c, tenant, "test", "r"); !errors.Is(err, directory.NotFound) {
			t.Errorf("in %s the key is %v, want that there is no such tenant", what, err)
		}
	}
	if _, err := authn.Principal(c, w.admin.Tenant, "test", "r"); err != nil {
		t.Error(err)
	}
	// Platform as a grant is worth something on the platform's own keys alone.
	c.Grants = directory.Platform
	if _, err := authn.Principal(c, two.Tenant, "test", "r"); !errors.Is(err, directory.NotFound) {
		t.Errorf("a tenant's key with the platform's grant reaches another tenant: %v", err)
	}
}

func TestAdvisory18_GuessedIDsOfAnotherTenantFindNothing(t *testing.T) {
	// That every statement binds its tenant is a test of the engine.
	w := newWorld(t)
	two := w.tenant("two")
	theirs, err := w.CreateGroup(ctx, two, directory.NewGroup{Name: "theirs"})
	g := ok(t, theirs, err)
	a, err := w.CreateUser(ctx, two, directory.NewUser{Name: "theirs", Groups: []directory.Ref{directory.ByGroup(g.ID)}})
	u := ok(t, a, err)
	b, err := w.CreateCredential(ctx, two, directory.NewCredential{Kind: "k", Hash: []byte("x")})
	c := ok(t, b, err)
	mine := w.group("mine", 0)
	for what, fn := range map[string]func() error{
		"user":         func() error { return drop(w.User(ctx, w.admin, directory.ByUser(u.ID))) },
		"user by code": func() error { return drop(w.User(ctx, w.admin, directory.ByCode(u.Code))) },
		"update": func() error {
			return drop(w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(u.ID), Name: ptr("x")}))
		},
		"delete": func() error {
			return drop(w.DeleteUser(ctx, w.admin, directory.Deletion{Ref: directory.ByCode(u.Code)}))
		},
		"group": func() error { return drop(w.Group(ctx, w.admin, directory.ByGroup(g.ID))) },
		"group by code": func() error {
			return drop(w.Members(ctx, w.admin, directory.ListMembers{Group: directory.ByCode(g.Code)}))
		},
		"their user into mine": func() error {
			return drop(w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(mine.ID), Add: []directory.MemberRef{member(u)}}))
		},
		"their group into mine": func() error {
			return drop(w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(mine.ID), Add: []directory.MemberRef{child(g)}}))
		},
		"mine into theirs": func() error {
			return drop(w.ChangeGroups(ctx, w.admin, directory.GroupsChange{Member: child(mine), Add: []directory.Ref{directory.ByCode(g.Code)}}))
		},
		"their key": func() error { return drop(w.RevokeCredential(ctx, w.admin, c.ID)) },
		"a key for their user": func() error {
			return drop(w.CreateCredential(ctx, w.admin, directory.NewCredential{Kind: "k", Hash: []byte("y"), User: directory.ByUser(u.ID)}))
		},
	} {
		w.refused(what, directory.NotFound, fn)
	}
	check, err := w.IsMember(ctx, w.admin, directory.Check{User: directory.ByUser(u.ID), Group: directory.ByGroup(g.ID)})
	if ok(t, check, err) {
		t.Error("a check in one tenant says yes of another's")
	}
	check, err = w.IsMember(ctx, two, directory.Check{User: directory.ByUser(u.ID), Group: directory.ByGroup(g.ID)})
	if !ok(t, check, err) {
		t.Error("the other tenant has lost its member")
	}
}

func TestAdvisory19_SuspendedDeletedAndExpiredAreOutOfEveryAnswerAtOnce(t *testing.T) {
	w := newWorld(t)
	top := w.group("top", 0)
	below := w.group("below", 0, top)
	for what, end := range map[string]func(directory.User) error{
		"suspended": func(u directory.User) error {
			return drop(w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(u.ID), Suspended: ptr(true)}))
		},
		"expired": func(u directory.User) error {
			return drop(w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(u.ID), Expires: ptr(w.Now())}))
		},
		"deleted": func(u directory.User) error {
			return drop(w.DeleteUser(ctx, w.admin, directory.Deletion{Ref: directory.ByUser(u.ID)}))
		},
		"ended": func(u directory.User) error {
			return drop(w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(below.ID), Add: []directory.MemberRef{member(u)}, Standing: directory.Standing{Until: w.Now()}}))
		},
		"not yet": func(u directory.User) error {
			return drop(w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(below.ID), Add: []directory.MemberRef{member(u)}, Standing: directory.Standing{From: w.Now().Add(time.Microsecond)}}))
		},
	} {
		u := w.user(what, below)
		if got := w.inside(u, below, top); got != "check list groups rows" {
			t.Fatalf("%s: before, the ways that say yes are %q", what, got)
		}
		if err := end(u); err != nil {
			t.Fatal(err)
		}
		if got := w.inside(u, below, top); got != "" {
			t.Errorf("%s: still in by %q", what, got)
		}
	}
	u := w.user("of a deleted group", below)
	a, err := w.DeleteGroup(ctx, w.admin, directory.Deletion{Ref: directory.ByGroup(below.ID)})
	ok(t, a, err)
	if got := w.inside(u, top); got != "" {
		t.Errorf("after the group between was deleted: still in by %q", got)
	}
}

func TestAdvisory20_OnlyCompleteStatesAreServedWhileEverythingMoves(t *testing.T) {
	// One user is moved between two groups, each move one write: whoever asks
	// finds it in exactly one of them, warm or cold.
	w := newWorld(t)
	top := w.group("top", 0)
	a, b := w.group("a", 0, top), w.group("b", 0, top)
	u := w.user("ann", a)
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			checks := []directory.Check{
				{User: directory.ByUser(u.ID), Group: directory.ByGroup(a.ID)}, {User: directory.ByUser(u.ID), Group: directory.ByGroup(b.ID)}, {User: directory.ByUser(u.ID), Group: directory.ByGroup(top.ID)},
			}
			for {
				select {
				case <-stop:
					return
				default:
				}
				got, err := w.AreMembers(ctx, w.admin, checks)
				if err != nil {
					t.Errorf("asking: %v", err)
					return
				}
				if v := got.Value; v[0] == v[1] || !v[2] {
					t.Errorf("at revision %d it is in a: %v, in b: %v, in both's parent: %v", got.Revision, v[0], v[1], v[2])
					return
				}
			}
		})
	}
	to, from := b, a
	for range 150 {
		if _, err := w.ChangeGroups(ctx, w.admin, directory.GroupsChange{Member: member(u), Add: []directory.Ref{directory.ByGroup(to.ID)}, Remove: []directory.Ref{directory.ByGroup(from.ID)}}); err != nil {
			t.Error(err)
			break
		}
		// What was acknowledged is what the next question says.
		c, err := w.IsMember(ctx, w.admin, directory.Check{User: directory.ByUser(u.ID), Group: directory.ByGroup(from.ID)})
		if err != nil || c.Value {
			t.Errorf("after an acknowledged removal a check says %v, %v", c.Value, err)
			break
		}
		to, from = from, to
	}
	close(stop)
	all.Wait()
}

func TestAdvisory21_WhatIsRememberedOfGrantsIsWhatTheRowsSay(t *testing.T) {
	// What groups confer is kept between writes. Whatever happens, an answer that
	// used it is the one that a directory that remembers nothing gives.
	w := newWorld(t)
	w.user("root", w.group("root", directory.Admin))
	var groups []directory.Group
	for i := range 5 {
		groups = append(groups, w.group(fmt.Sprint("g", i), 0))
	}
	ann := w.user("ann")
	probe := w.with(directory.InTenant &^ (directory.Admin | directory.ManageKeys))
	rapid.Check(t, func(t *rapid.T) {
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			g, h := rapid.SampledFrom(groups).Draw(t, "group"), rapid.SampledFrom(groups).Draw(t, "other")
			c := directory.MembersChange{Group: directory.ByGroup(g.ID)}
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				grants := rapid.SampledFrom([]directory.Grants{0, directory.ManageKeys, directory.ReadUsers}).Draw(t, "grants")
				w.UpdateGroup(ctx, w.admin, directory.GroupUpdate{Group: directory.ByGroup(g.ID), Grants: &grants})
			case 1:
				c.Add = []directory.MemberRef{child(h)}
			case 2:
				c.Remove = []directory.MemberRef{child(h)}
			case 3: // refused after it has changed something, so nothing of it may be remembered
				c.Add, c.Mode = []directory.MemberRef{child(h), {Ref: directory.ByNumber(999)}}, directory.Atomic
			}
			w.ChangeMembers(ctx, w.admin, c)
			for _, g := range groups {
				_, err := w.ChangeMembers(ctx, probe, directory.MembersChange{Group: directory.ByGroup(g.ID), Add: []directory.MemberRef{member(ann)}})
				fresh := directory.New(w.Store, directory.Options{Clock: w.Clock.Now})
				_, err2 := fresh.ChangeMembers(ctx, probe, directory.MembersChange{Group: directory.ByGroup(g.ID), Add: []directory.MemberRef{member(ann)}})
				fresh.Close()
				if code(err) != code(err2) {
					t.Fatalf("adding to %s says %v, and with nothing remembered %v", g.Name, err, err2)
				}
			}
		}
	})
}

func TestAdvisory22_EqualItemsOfABatchGetTheirOwnAnswersInOrder(t *testing.T) {
	w := newWorld(t)
	g := w.group("g", 0)
	ann, bob := w.user("ann"), w.user("bob", g)
	twice := func(u directory.User) []directory.MemberRef {
		return []directory.MemberRef{member(u), {Ref: directory.ByName(u.Name)}, {Ref: directory.ByNumber(int64(u.Number))}, {Ref: directory.ByCode(u.Code)}}
	}
	add := slices.Concat(twice(ann), []directory.MemberRef{{Ref: directory.ByNumber(99)}}, twice(bob), []directory.MemberRef{{Ref: directory.ByNumber(99)}})
	a, err := w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(g.ID), Mode: directory.Each, Add: add, Remove: slices.Concat(twice(bob), []directory.MemberRef{{Ref: directory.ByNumber(98)}})})
	r := ok(t, a, err)
	say := func(list []directory.Result) string {
		var b strings.Builder
		for _, r := range list {
			fmt.Fprintf(&b, "%v:%d ", r.Outcome, r.Edge.Member)
		}
		return b.String()
	}
	if got, want := say(r.Add), "added:1 already:1 already:1 already:1 invalid:0 already:2 already:2 already:2 already:2 invalid:0 "; got != want {
		t.Errorf("added: %s, want %s", got, want)
	}
	if got, want := say(r.Remove), "removed:2 absent:2 absent:2 absent:2 invalid:0 "; got != want {
		t.Errorf("removed: %s, want %s", got, want)
	}
	checks := []directory.Check{{User: directory.ByName("ann"), Group: directory.ByName("g")}, {User: directory.ByName("bob"), Group: directory.ByName("g")},
		{User: directory.ByName("ann"), Group: directory.ByName("none")}, {User: directory.ByUser(ann.ID), Group: directory.ByGroup(g.ID)}, {User: directory.ByName("ann"), Group: directory.ByName("g")}}
	b, err := w.AreMembers(ctx, w.admin, checks)
	if got := ok(t, b, err); !slices.Equal(got, []bool{true, false, false, true, true}) {
		t.Errorf("equal checks among others say %v", got)
	}
}

func TestAdvisory23_ListsAndChecksAgree(t *testing.T) {
	// Over random histories this is the machine's; here is one that is small
	// enough to read.
	w := newWorld(t)
	top := w.group("top", 0)
	left, right := w.group("left", 0, top), w.group("right", 0, top)
	for i, c := range []struct {
		in   []directory.Group
		want string
	}{{nil, ""}, {[]directory.Group{left}, "check list groups rows"}, {[]directory.Group{left, right}, "check list groups rows"}} {
		if got := w.inside(w.user(fmt.Sprint("u", i), c.in...), top); got != c.want {
			t.Errorf("user %d is in by %q, want %q", i, got, c.want)
		}
	}
}

func TestAdvisory25_ARemovalTouchesNobodyBeyondItsOwnList(t *testing.T) {
	w := newWorld(t)
	g := w.group("g", 0)
	const n = directory.MaxPage + 50 // more than a page of anything
	var refs []directory.MemberRef
	for i := range n {
		a, err := w.CreateUser(ctx, w.admin, directory.NewUser{Name: fmt.Sprint("u", i)})
		refs = append(refs, member(ok(t, a, err)))
	}
	a, err := w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(g.ID), Add: refs})
	ok(t, a, err)
	b, err := w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(g.ID), Remove: refs[3:4]})
	ok(t, b, err)
	count := 0
	for page := (directory.Page{Limit: directory.MaxPage}); ; {
		a, err := w.Members(ctx, w.admin, directory.ListMembers{Page: page, Group: directory.ByGroup(g.ID)})
		count += len(ok(t, a, err).Items)
		if page.After = a.Value.Next; page.After == 0 {
			break
		}
	}
	if count != n-1 {
		t.Errorf("%d of %d members are left after one was removed", count, n)
	}
}

// holds is what a user's groups grant it at a moment, by the rows.
func (w *world) holds(t interface{ Fatal(...any) }, u directory.User, at time.Time) (held directory.Grants) {
	err := w.Store.View(ctx, w.admin.Tenant, func(r directory.Reader) error {
		numbers, err := r.GroupsOf(id.UserMember(u.Number), at)
		if err != nil {
			return err
		}
		groups, err := r.Groups(numbers)
		for _, g := range groups {
			held |= g.Grants
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return held
}

// inside returns the ways of asking by which the user is in all of the groups.
func (w *world) inside(u directory.User, groups ...directory.Group) string {
	w.t.Helper()
	ways := map[string]int{}
	now := w.Now()
	for _, g := range groups {
		a, err := w.IsMember(ctx, w.admin, directory.Check{User: directory.ByUser(u.ID), Group: directory.ByGroup(g.ID)})
		if ok(w.t, a, err) {
			ways["check"]++
		}
		b, err := w.Members(ctx, w.admin, directory.ListMembers{Group: directory.ByGroup(g.ID), Transitive: true})
		if slices.ContainsFunc(ok(w.t, b, err).Items, func(m directory.MemberOf) bool { return m.User.ID == u.ID }) {
			ways["list"]++
		}
		c, err := w.GroupsOf(ctx, w.admin, directory.ListMembers{Member: member(u), Transitive: true})
		if err != nil && !errors.Is(err, directory.NotFound) {
			w.t.Fatal(err)
		}
		if slices.ContainsFunc(c.Value.Items, func(m directory.MemberOf) bool { return m.Group.ID == g.ID }) {
			ways["groups"]++
		}
		err = w.Store.View(ctx, w.admin.Tenant, func(r directory.Reader) error {
			is, err := r.Check(u.Number, g.Number, now)
			if is {
				ways["rows"]++
			}
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	var all []string
	for _, way := range []string{"check", "list", "groups", "rows"} {
		if ways[way] == len(groups) {
			all = append(all, way)
		} else if ways[way] > 0 {
			all = append(all, "partly "+way)
		}
	}
	return strings.Join(all, " ")
}
