package directory_test

import (
	"errors"
	"testing"
	"time"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/id"
)

// owner registers a user of the platform and returns the principal of its key.
func (w *world) owner(name string) directory.Principal {
	w.t.Helper()
	a, err := w.Register(ctx, directory.NewUser{Name: name, Email: name + "@example.com"}, "test", "r-1")
	u := ok(w.t, a, err)
	return directory.Principal{Credential: id.New[id.Credential](), User: u.ID, Self: u.ID, Grants: directory.Admin | directory.OwnTenants, Dialect: "test"}
}

func (w *world) owned(p directory.Principal) []string {
	w.t.Helper()
	list, err := w.Directory.OwnTenants(ctx, p)
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, t := range list {
		names = append(names, t.Name)
	}
	return names
}

func TestAnOwnerMakesAndEndsItsOwnTenantsAndNoOthers(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.owner("ann"), w.owner("bob")
	made, err := w.CreateTenant(ctx, ann, directory.NewTenant{Name: "anns", Owner: ann.User, AtMost: 2})
	anns := ok(t, made, err)
	platform := w.revisionOf(id.Tenant{})
	for what, c := range map[string]struct {
		kind directory.Kind
		fn   func() error
	}{
		"for somebody else": {directory.Forbidden, func() error { return drop(w.CreateTenant(ctx, ann, directory.NewTenant{Name: "x", Owner: bob.User})) }},
		"for nobody":        {directory.Forbidden, func() error { return drop(w.CreateTenant(ctx, ann, directory.NewTenant{Name: "x"})) }},
		"with a code": {directory.Forbidden, func() error {
			return drop(w.CreateTenant(ctx, ann, directory.NewTenant{Name: "x", Owner: ann.User, Code: 9}))
		}},
		"without the grant": {directory.Forbidden, func() error {
			p := ann
			p.Grants = directory.Admin
			return drop(w.CreateTenant(ctx, p, directory.NewTenant{Name: "x", Owner: ann.User}))
		}},
		"from inside a tenant": {directory.Forbidden, func() error {
			p := ann
			p.Tenant = w.admin.Tenant
			return drop(w.CreateTenant(ctx, p, directory.NewTenant{Name: "x", Owner: ann.User}))
		}},
		"under a taken name": {directory.Conflict, func() error {
			return drop(w.CreateTenant(ctx, ann, directory.NewTenant{Name: "anns", Owner: ann.User}))
		}},
		"end of another's": {directory.NotFound, func() error { return drop(w.DeleteTenant(ctx, bob, anns.ID)) }},
		"end of nobody's":  {directory.NotFound, func() error { return drop(w.DeleteTenant(ctx, bob, w.admin.Tenant)) }},
		"a tenant's key ends it": {directory.Forbidden, func() error {
			p := w.with(directory.InTenant)
			p.Tenant = anns.ID
			return drop(w.DeleteTenant(ctx, p, anns.ID))
		}},
	} {
		if err := c.fn(); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v, want %v", what, err, c.kind)
		}
	}
	if now := w.revisionOf(id.Tenant{}); now != platform {
		t.Errorf("refusals moved the platform from revision %d to %d", platform, now)
	}
	made, err = w.CreateTenant(ctx, ann, directory.NewTenant{Name: "second", Owner: ann.User, AtMost: 2})
	ok(t, made, err)
	if err := drop(w.CreateTenant(ctx, ann, directory.NewTenant{Name: "third", Owner: ann.User, AtMost: 2})); directory.CodeOf(err) != "tenant.limit" {
		t.Errorf("the third of two: %v", err)
	}
	if _, err := w.FindTenant(ctx, "third"); !errors.Is(err, directory.NotFound) {
		t.Errorf("the refused tenant: %v, want that it is not there", err)
	}
	if got := w.owned(ann); len(got) != 2 || got[0] != "anns" || got[1] != "second" {
		t.Errorf("ann owns %v", got)
	}
	if got := w.owned(bob); len(got) != 0 {
		t.Errorf("bob owns %v", got)
	}
	if u, err := w.Owner(ctx, directory.Principal{Tenant: anns.ID, Credential: id.New[id.Credential]()}); err != nil || u.ID != ann.User {
		t.Errorf("anns is owned by %+v, %v", u, err)
	}
	if _, err := w.Owner(ctx, w.admin); !errors.Is(err, directory.ErrNoUser) {
		t.Errorf("the owner of nobody's tenant: %v", err)
	}
	shared, err := w.AddOwner(ctx, directorytest.Root(), anns.ID, directory.ByEmail("bob@example.com"))
	ok(t, shared, err)
	if got := w.owned(bob); len(got) != 1 {
		t.Errorf("bob owns %v, want anns too", got)
	}
	gone, err := w.DeleteTenant(ctx, bob, anns.ID)
	ok(t, gone, err)
	if got := w.owned(ann); len(got) != 1 || got[0] != "second" {
		t.Errorf("ann owns %v, want second alone", got)
	}
	if err := drop(w.AddOwner(ctx, directorytest.Root(), anns.ID, directory.ByUser(ann.User))); !errors.Is(err, directory.ErrNoTenant) {
		t.Errorf("an owner of what is gone: %v", err)
	}
}

func (w *world) revisionOf(t id.Tenant) directory.Revision {
	w.t.Helper()
	p := directorytest.Root()
	p.Tenant = t
	a, err := w.Tenant(ctx, p)
	ok(w.t, a, err)
	return a.Revision
}

// An owner's key is a key of the platform. On the platform itself it must do
// nothing, and in a tenant no more than its grants and only while it owns it.
func TestAnOwnersKeyReachesItsTenantsAlone(t *testing.T) {
	w := newWorld(t)
	ann := w.owner("ann")
	made, err := w.CreateTenant(ctx, ann, directory.NewTenant{Name: "anns", Owner: ann.User})
	anns := ok(t, made, err)
	for what, fn := range map[string]func() error{
		"read its users": func() error { return drop(w.Users(ctx, ann, directory.ListUsers{})) },
		"make its users": func() error { return drop(w.CreateUser(ctx, ann, directory.NewUser{Name: "x"})) },
		"read its keys":  func() error { return drop(w.Credentials(ctx, ann, directory.ListCredentials{})) },
		"make its keys": func() error {
			return drop(w.CreateCredential(ctx, ann, directory.NewCredential{Kind: "k", Hash: []byte("x")}))
		},
		"read its groups": func() error { return drop(w.Groups(ctx, ann, directory.ListGroups{})) },
		"change it":       func() error { return drop(w.UpdateTenant(ctx, ann, directory.TenantUpdate{Title: ptr("x")})) },
		"join owners": func() error {
			return drop(w.ChangeGroups(ctx, ann, directory.GroupsChange{Member: directory.MemberRef{Ref: directory.ByUser(ann.User)}, Add: []directory.Ref{directory.ByNumber(1)}}))
		},
	} {
		if err := fn(); !errors.Is(err, directory.Forbidden) {
			t.Errorf("%s: %v, want forbidden", what, err)
		}
	}
	key := directory.Credential{ID: id.New[id.Credential](), User: ann.User, Grants: directory.ReadUsers | directory.OwnTenants, Name: "ann"}
	p, err := w.Authn.PrincipalIn(ctx, key, anns.ID, "test", "r")
	if err != nil || p.Grants != directory.ReadUsers || !p.User.IsZero() || p.Tenant != anns.ID {
		t.Errorf("in its own tenant it is %+v, %v", p, err)
	}
	for what, tenant := range map[string]id.Tenant{"another's": w.admin.Tenant, "none": id.New[id.Tenant]()} {
		if _, err := w.Authn.PrincipalIn(ctx, key, tenant, "test", "r"); !errors.Is(err, directory.ErrNoTenant) {
			t.Errorf("in %s: %v, want no such tenant", what, err)
		}
	}
	stranger := key
	stranger.User = w.user("ann").ID // of a tenant, and not of the platform
	if _, err := w.Authn.PrincipalIn(ctx, stranger, anns.ID, "test", "r"); !errors.Is(err, directory.ErrNoTenant) {
		t.Errorf("a tenant's user of the owner's name: %v", err)
	}
	root := directorytest.Root()
	gone, err := w.DeleteUser(ctx, root, directory.Deletion{Ref: directory.ByUser(ann.User)})
	ok(t, gone, err)
	if _, err := w.Authn.PrincipalIn(ctx, key, anns.ID, "test", "r"); !errors.Is(err, directory.ErrNoTenant) {
		t.Errorf("of a deleted owner: %v", err)
	}
}

func TestWhoRegistersChoosesNoCodeAndVouchesForNothing(t *testing.T) {
	w := newWorld(t)
	for what, in := range map[string]directory.NewUser{
		"code": {Name: "a", Code: 5}, "person": {Name: "a", PersonCode: 5}, "address": {Name: "a", Email: "a@example.com", EmailVerified: true},
		"groups": {Name: "a", Groups: []directory.Ref{directory.ByNumber(1)}},
	} {
		if err := drop(w.Register(ctx, in, "test", "r")); !errors.Is(err, directory.Forbidden) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestATenantIsRenamedAndItsOldNameIsFree(t *testing.T) {
	w := newWorld(t)
	find := func(name string) id.Tenant {
		t.Helper()
		got, err := w.TenantID(ctx, name)
		if err != nil && !errors.Is(err, directory.NotFound) {
			t.Fatal(err)
		}
		return got
	}
	if find("one") != w.admin.Tenant {
		t.Fatal("it is not there")
	}
	a, err := w.UpdateTenant(ctx, w.admin, directory.TenantUpdate{Name: ptr("uno")})
	if ok(t, a, err).Name != "uno" || find("one") != (id.Tenant{}) || find("uno") != w.admin.Tenant {
		t.Errorf("one is %v, uno is %v", find("one"), find("uno"))
	}
	other := w.tenant("one")
	if find("one") != other.Tenant {
		t.Error("the old name does not name the new tenant")
	}
	for name, kind := range map[string]directory.Kind{"uno": directory.Conflict, "": directory.Invalid, "1x": directory.Invalid, "x-": directory.Invalid} {
		if err := drop(w.UpdateTenant(ctx, other, directory.TenantUpdate{Name: &name})); !errors.Is(err, kind) {
			t.Errorf("renamed to %q: %v, want %v", name, err, kind)
		}
	}
	// Another node's rename is seen by its commit.
	node := directory.New(w.Store, directory.Options{Clock: w.Clock.Now})
	defer node.Close()
	b, err := node.UpdateTenant(ctx, other, directory.TenantUpdate{Name: ptr("ichi")})
	ok(t, b, err)
	c, err := w.UpdateTenant(ctx, other, directory.TenantUpdate{Title: ptr("x")}) // brings this one up to date
	ok(t, c, err)
	if got := find("one"); got != (id.Tenant{}) {
		t.Errorf("after another node renamed it, one is still %v", got)
	}
}

func TestEverybodyMayReadAndChangeThemselfAndNobodyElse(t *testing.T) {
	w := newWorld(t)
	g := w.group("g", 0)
	ann, bob := w.user("ann", g), w.user("bob", g)
	p := w.with(0)
	p.Self = ann.ID
	asks := func(u directory.Ref) map[string]error {
		return map[string]error{
			"User":       drop(w.User(ctx, p, u)),
			"UpdateUser": drop(w.UpdateUser(ctx, p, directory.UserUpdate{User: u, GivenName: ptr("x")})),
			"GroupsOf":   drop(w.GroupsOf(ctx, p, directory.ListMembers{Member: directory.MemberRef{Ref: u}})),
			"Membership": drop(w.Membership(ctx, p, directory.ByGroup(g.ID), directory.MemberRef{Ref: u})),
		}
	}
	for what, err := range asks(directory.ByUser(ann.ID)) {
		if err != nil {
			t.Errorf("%s of itself: %v", what, err)
		}
	}
	for _, ref := range []directory.Ref{directory.ByUser(bob.ID), directory.ByName("ann"), directory.ByNumber(int64(ann.Number)), {Kind: directory.RefID}} {
		for what, err := range asks(ref) {
			if !errors.Is(err, directory.Forbidden) {
				t.Errorf("%s of %+v: %v, want forbidden", what, ref, err)
			}
		}
	}
	if err := drop(w.Belongings(ctx, p, []directory.User{ann}, "k")); err != nil {
		t.Errorf("its own belongings: %v", err)
	}
	if err := drop(w.Belongings(ctx, p, []directory.User{ann, bob}, "k")); !errors.Is(err, directory.Forbidden) {
		t.Errorf("another's belongings: %v", err)
	}
	for what, in := range map[string]directory.UserUpdate{
		"its suspension": {Suspended: ptr(false)}, "its end": {Expires: ptr(time.Time{})}, "its address": {EmailVerified: ptr(true)}, "its other names": {Externals: &map[string]string{"ldap": "x"}},
	} {
		in.User = directory.ByUser(ann.ID)
		w.refused(what, directory.Forbidden, func() error { return drop(w.UpdateUser(ctx, p, in)) })
	}
	w.refused("its end", directory.Forbidden, func() error { return drop(w.DeleteUser(ctx, p, directory.Deletion{Ref: directory.ByUser(ann.ID)})) })
	// Whoever steals the key of an administrator must not get its password.
	w.add(w.group("admins", directory.Admin), member(ann), directory.Standing{})
	w.refused("an administrator by a key without rights", directory.Forbidden, func() error {
		return drop(w.UpdateUser(ctx, p, directory.UserUpdate{User: directory.ByUser(ann.ID), Credentials: []directory.Credential{{Kind: authn.Password, Hash: []byte("x")}}}))
	})
}

func TestACredentialGivenWithAnUpdateTakesThePlaceOfItsKind(t *testing.T) {
	w := newWorld(t)
	u := w.user("ann")
	set := func(kind directory.CredentialKind, hash string) {
		t.Helper()
		a, err := w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(u.ID), Credentials: []directory.Credential{{Kind: kind, Hash: []byte(hash)}}})
		if got := ok(t, a, err); got.Version != 1 {
			t.Errorf("a new key made the user's version %d", got.Version)
		}
	}
	set("k", "one")
	set("other", "two")
	set("k", "three")
	for hash, kind := range map[string]directory.CredentialKind{"two": "other", "three": "k"} {
		if c, err := w.CredentialByHash(ctx, kind, []byte(hash)); err != nil || c.User != u.ID {
			t.Errorf("%s: %v", hash, err)
		}
	}
	if _, err := w.CredentialByHash(ctx, "k", []byte("one")); !errors.Is(err, directory.ErrNoCredential) {
		t.Errorf("the replaced one: %v", err)
	}
	a, err := w.Belongings(ctx, w.admin, []directory.User{u}, "k")
	if b := ok(t, a, err); b[0].Key == nil || b[0].Key.Hash != nil {
		t.Errorf("its key is %+v", b[0].Key)
	}
	strong, err := w.CreateCredential(ctx, w.admin, directory.NewCredential{Kind: "strong", Hash: []byte("s"), User: directory.ByUser(u.ID), Grants: directory.ReadUsers})
	ok(t, strong, err)
	if a, err = w.Belongings(ctx, w.admin, []directory.User{u}, "strong"); ok(t, a, err)[0].Key != nil {
		t.Error("a key that carries rights is shown along with its user")
	}
}

func TestACredentialMayRenewItselfAndAnothersOnlyByWhoHoldsWhatItCarries(t *testing.T) {
	w := newWorld(t)
	a, err := w.CreateCredential(ctx, w.admin, directory.NewCredential{Kind: "k", Hash: []byte("old"), Sealed: []byte("s"), Grants: directory.WriteUsers})
	c := ok(t, a, err)
	keys := w.with(directory.ManageKeys)
	for what, in := range map[string]directory.CredentialUpdate{
		"its secret": {Hash: []byte("x")}, "its name": {Name: ptr("x")}, "its end as a writer": {Grants: ptr(directory.ManageKeys)},
	} {
		in.Credential = c.ID
		w.refused(what, directory.Forbidden, func() error { return drop(w.UpdateCredential(ctx, keys, in)) })
	}
	list, err := w.Credentials(ctx, keys, directory.ListCredentials{Sealed: true})
	if got := ok(t, list, err).Items[0]; got.Sealed != nil || got.Hash != nil {
		t.Error("whoever does not hold what a key carries gets its secret")
	}
	if list, err = w.Credentials(ctx, w.admin, directory.ListCredentials{Sealed: true}); ok(t, list, err).Items[0].Sealed == nil {
		t.Error("an administrator does not get the secret")
	}
	if list, err = w.Credentials(ctx, w.admin, directory.ListCredentials{}); ok(t, list, err).Items[0].Sealed != nil {
		t.Error("the secret comes without being asked for")
	}
	own := directory.Principal{Tenant: w.admin.Tenant, Credential: c.ID, Grants: c.Grants}
	w.refused("its own grants", directory.Forbidden, func() error {
		return drop(w.UpdateCredential(ctx, own, directory.CredentialUpdate{Credential: c.ID, Grants: ptr(directory.Admin)}))
	})
	w.refused("a grant of the platform", directory.Invalid, func() error {
		return drop(w.UpdateCredential(ctx, w.admin, directory.CredentialUpdate{Credential: c.ID, Grants: ptr(directory.OwnTenants)}))
	})
	b, err := w.UpdateCredential(ctx, own, directory.CredentialUpdate{Credential: c.ID, Hash: []byte("new"), Sealed: []byte("t")})
	if got := ok(t, b, err); got.ID != c.ID || got.Code != c.Code || got.Grants != c.Grants {
		t.Errorf("it became %+v", got)
	}
	if _, err := w.CredentialByHash(ctx, "k", []byte("old")); !errors.Is(err, directory.ErrNoCredential) {
		t.Errorf("the old secret: %v", err)
	}
	if _, err := w.CredentialByHash(ctx, "k", []byte("new")); err != nil {
		t.Errorf("the new secret: %v", err)
	}
	if got, err := w.OwnCredential(ctx, own); err != nil || got.Value.ID != c.ID || got.Value.Sealed != nil {
		t.Errorf("itself: %+v, %v", got.Value, err)
	}
}

// Values of one dialect are seen and changed by that dialect alone.
func TestAProfileIsItsDialectsAlone(t *testing.T) {
	w := newWorld(t)
	u := w.user("ann")
	one, other := w.with(0), w.with(0)
	one.Dialect, other.Dialect = "one", "other"
	change := func(p directory.Principal, values map[string]any, refusal error) error {
		return drop(w.UpdateProfile(ctx, p, directory.ProfileUpdate{User: directory.ByUser(u.ID), Shared: true, Change: func(before directory.Profile) (map[string]any, error) {
			if before.User != u.ID || before.Number != u.Number {
				t.Errorf("it is asked about %+v", before)
			}
			if before.Values != nil {
				before.Values["planted"] = true // must reach nobody
			}
			return values, refusal
		}}))
	}
	values := func(p directory.Principal) map[string]any {
		t.Helper()
		a, err := w.Profile(ctx, p, directory.ByNumber(1), "", true)
		list, err2 := w.Profiles(ctx, p, directory.ListProfiles{Descending: true, Shared: true})
		one := ok(t, a, err)
		if all := ok(t, list, err2).Items; len(all) != 1 || len(all[0].Values) != len(one.Values) {
			t.Errorf("the list says %+v, and alone it is %+v", all, one)
		}
		return one.Values
	}
	if err := change(one, map[string]any{"a": "x", "b": "y"}, nil); err != nil {
		t.Fatal(err)
	}
	w.refused("what the dialect refuses", directory.Conflict, func() error {
		return change(one, map[string]any{"a": "z"}, &directory.Error{Kind: directory.Conflict})
	})
	before := w.revision()
	if err := change(one, map[string]any{"a": "x"}, nil); err != nil || w.revision() != before {
		t.Errorf("what changes nothing: %v, revision %d after %d", err, w.revision(), before)
	}
	if err := change(other, map[string]any{"a": nil, "c": "q"}, nil); err != nil {
		t.Fatal(err)
	}
	if got := values(one); len(got) != 2 || got["a"] != "x" || got["b"] != "y" {
		t.Errorf("one keeps %v", got)
	}
	if got := values(other); len(got) != 1 || got["c"] != "q" {
		t.Errorf("the other keeps %v", got)
	}
	if a, err := w.User(ctx, w.admin, directory.ByNumber(1)); ok(t, a, err).Version != 3 {
		t.Errorf("the user is at version %d, want 3", a.Value.Version)
	}
	none := w.with(0)
	none.Dialect = ""
	if got := values(none); got != nil {
		t.Errorf("who came through no dialect sees %v", got)
	}
}

func TestUsersAreCountedWarmAndCold(t *testing.T) {
	w := newWorld(t)
	var some directory.User
	g := w.group("g", 0)
	for _, name := range []string{"a", "b", "c"} {
		some = w.user(name, g)
	}
	cold, err := w.CountUsers(ctx, w.with(0))
	if n := ok(t, cold, err); n != 3 {
		t.Errorf("cold there are %d, want 3", n)
	}
	w.warm(some, g)
	gone, err := w.DeleteUser(ctx, w.admin, directory.Deletion{Ref: directory.ByNumber(2)})
	ok(t, gone, err)
	warm, err := w.CountUsers(ctx, w.with(0))
	if n := ok(t, warm, err); n != 2 {
		t.Errorf("warm there are %d, want 2", n)
	}
}
