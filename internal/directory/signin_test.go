package directory_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/id"
)

const goodPassword = "Tide-Tables-9"

// withPassword makes a user who can sign in.
func (w *world) withPassword(name string, groups ...directory.Group) directory.User {
	w.t.Helper()
	u := w.user(name, groups...)
	w.setPassword(u, goodPassword)
	return u
}

func (w *world) setPassword(u directory.User, password string) {
	w.t.Helper()
	if err := w.Authn.ChangePassword(ctx, w.admin, directory.ByUser(u.ID), "", password, "192.0.2.9", "new"); err != nil {
		w.t.Fatal(err)
	}
}

// signIn signs a user in and returns what a token that is then issued can do.
func (w *world) signIn(name, password string) (directory.Credential, error) {
	u, c, err := w.Authn.Password(ctx, w.admin.Tenant, directory.ByLogin(name), password, "192.0.2.9")
	if err != nil {
		return directory.Credential{}, err
	}
	p := directory.Principal{Tenant: c.Tenant, Credential: c.ID, User: u.ID, Grants: c.Grants, Dialect: "test"}
	a, err := w.Issue(ctx, p, directory.NewCredential{Kind: "token", Grants: directory.InTenant, Hash: []byte(id.New[id.Credential]().String())})
	return a.Value, err
}

func (w *world) signInOf(u directory.User) directory.SignIn {
	w.t.Helper()
	a, err := w.SignIns(ctx, w.admin, []directory.User{u})
	return ok(w.t, a, err)[0]
}

func TestSignInsAreCountedAndTooManyFailuresInARowLock(t *testing.T) {
	w := newWorld(t)
	u := w.withPassword("ann")
	other := w.withPassword("bob")
	fail := func() error {
		w.Clock.Advance(time.Hour + time.Second) // the limit on guessing is another matter
		_, err := w.signIn("ann", "wrong")
		return err
	}
	for range directory.MaxStreak - 1 {
		if err := fail(); !errors.Is(err, directory.Unauthenticated) || directory.CodeOf(err) != authn.ErrWrongPassword.Code {
			t.Fatalf("a wrong password is %v", err)
		}
	}
	if _, err := w.signIn("ann", goodPassword); err != nil {
		t.Fatalf("one failure before the lock the right password is %v", err)
	}
	if s := w.signInOf(u); s.Successes != 1 || s.Failures != directory.MaxStreak-1 || s.Streak != 0 || s.Locked || s.LastSuccess.IsZero() || s.LastFailure.IsZero() {
		t.Errorf("it counts %+v", s)
	}
	token, err := w.signIn("ann", goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	before := w.revision()
	for range directory.MaxStreak {
		fail()
	}
	s := w.signInOf(u)
	if !s.Locked || s.Streak != directory.MaxStreak {
		t.Errorf("after %d failures in a row it counts %+v", directory.MaxStreak, s)
	}
	if got := w.revision(); got != before+1 {
		t.Errorf("locking is revision %d after %d: it is one change, and failures are none", got, before)
	}
	w.Clock.Advance(2 * time.Hour)
	if _, err := w.signIn("ann", goodPassword); directory.CodeOf(err) != directory.ErrLocked.Code {
		t.Errorf("the right password for a locked account is %v", err)
	}
	if again := w.signInOf(u); again.Failures != s.Failures+1 || again.Successes != 2 {
		t.Errorf("which counts as %+v", again)
	}
	// Whatever else proves the user gets no token either.
	p := directory.Principal{Tenant: w.admin.Tenant, Credential: token.ID, User: u.ID, Grants: directory.InTenant}
	if _, err := w.Issue(ctx, p, directory.NewCredential{Kind: "token", Hash: []byte("more")}); directory.CodeOf(err) != directory.ErrLocked.Code {
		t.Errorf("a token for a locked account is %v", err)
	}
	if w.signInOf(other).Locked {
		t.Error("another account is locked")
	}
	a, err := w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(u.ID), SignIn: directory.SignInUpdate{Locked: ptr(false)}})
	ok(t, a, err)
	if _, err := w.signIn("ann", goodPassword); err != nil {
		t.Errorf("after it was unlocked the right password is %v", err)
	}
}

func TestWhoMustChangeThePasswordCanDoNothingElse(t *testing.T) {
	w := newWorld(t)
	u := w.withPassword("ann", w.group("admins", directory.Admin))
	w.user("second", w.group("more admins", directory.Admin))
	only := directory.ReadSelf | directory.WriteSelf
	bound := func(want directory.Grants) {
		t.Helper()
		c, err := w.signIn("ann", goodPassword)
		if err != nil || c.Grants != want {
			t.Errorf("the token carries %v (%v), want %v", c.Grants, err, want)
		}
	}
	bound(directory.InTenant)
	a, err := w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(u.ID), SignIn: directory.SignInUpdate{MustChange: ptr(true)}})
	ok(t, a, err)
	bound(only)
	limited := w.as(u)
	limited.Grants = only
	w.refused("reading others", directory.Forbidden, func() error { return drop(w.User(ctx, limited, directory.ByName("second"))) })
	// Advisory 13: the bound of a credential is one, also for what an administrator is.
	w.refused("changing an administrator's address by a bounded token", directory.Forbidden, func() error {
		return drop(w.UpdateUser(ctx, limited, directory.UserUpdate{User: directory.ByUser(u.ID), Email: ptr("new@example.com")}))
	})
	if err := w.Authn.ChangePassword(ctx, limited, directory.ByUser(u.ID), goodPassword, "Tide-Tables-10", "192.0.2.9", "new"); err != nil {
		t.Fatalf("changing the password: %v", err)
	}
	w.setPassword(u, goodPassword)
	bound(directory.InTenant)

	a, err = w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(u.ID), SignIn: directory.SignInUpdate{ChangeEvery: ptr(30)}})
	ok(t, a, err)
	w.Clock.Advance(30*24*time.Hour - time.Second)
	bound(directory.InTenant)
	w.Clock.Advance(2 * time.Second)
	bound(only)
	w.refused("a frequency that is none", directory.Invalid, func() error {
		return drop(w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(u.ID), SignIn: directory.SignInUpdate{ChangeEvery: ptr(-1)}}))
	})
}

func TestAPasswordIsChangedByProofOrByWhoMay(t *testing.T) {
	w := newWorld(t)
	u := w.withPassword("ann")
	boss := w.withPassword("boss", w.group("admins", directory.Admin))
	mine, clerk := w.as(u), w.with(directory.WriteUsers|directory.ManageKeys)
	change := func(p directory.Principal, of directory.User, existing, password string) error {
		w.Clock.Advance(2 * time.Hour)
		return w.Authn.ChangePassword(ctx, p, directory.ByUser(of.ID), existing, password, "192.0.2.9", "new")
	}
	for what, c := range map[string]struct {
		err  error
		code string
		kind directory.Kind
	}{
		"her own without proof":             {change(mine, u, "", "Tide-Tables-11"), "password.proof", directory.Invalid},
		"her own with a wrong proof":        {change(mine, u, "wrong", "Tide-Tables-11"), "password.existing", directory.Conflict},
		"somebody else's":                   {change(mine, boss, goodPassword, "Tide-Tables-11"), "grant.missing", directory.Forbidden},
		"to the same":                       {change(w.admin, u, "", goodPassword), "password.same", directory.Invalid},
		"to the same, with proof":           {change(mine, u, goodPassword, goodPassword), "password.same", directory.Invalid},
		"an administrator's by a clerk":     {change(clerk, boss, "", "Tide-Tables-11"), "membership.privileged", directory.Forbidden},
		"by who may write but not keys":     {change(w.with(directory.WriteUsers), u, "", "Tide-Tables-11"), "grant.missing", directory.Forbidden},
		"her own by a key that may not":     {change(func() directory.Principal { p := mine; p.Grants = directory.ReadAll; return p }(), u, goodPassword, "Tide-Tables-11"), "grant.missing", directory.Forbidden},
		"to a weak one":                     {change(w.admin, u, "", "weak"), "password.weak", directory.Invalid},
		"of nobody":                         {change(w.admin, directory.User{ID: id.New[id.User]()}, "", "Tide-Tables-11"), directory.ErrNoUser.Code, directory.NotFound},
		"of somebody unknown, by who asks?": {change(mine, directory.User{ID: id.New[id.User]()}, "", "Tide-Tables-11"), "grant.missing", directory.Forbidden},
	} {
		if directory.CodeOf(c.err) != c.code || !errors.Is(c.err, c.kind) {
			t.Errorf("%s: %v, want %v (%s)", what, c.err, c.kind, c.code)
		}
	}
	issued := func() directory.Credential {
		c, err := w.signIn("ann", goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	presented, other := issued(), issued()
	mine.Credential = presented.ID
	if err := change(mine, u, goodPassword, "Tide-Tables-11"); err != nil {
		t.Fatal(err)
	}
	left, err := w.Credentials(ctx, w.admin, directory.ListCredentials{Query: directory.CredentialQuery{User: u.ID, Kind: "token"}})
	ids := []id.Credential{}
	for _, c := range ok(t, left, err).Items {
		ids = append(ids, c.ID)
	}
	if !slices.Equal(ids, []id.Credential{presented.ID}) {
		t.Errorf("after the change %v are left, want the presented %v and not %v", ids, presented.ID, other.ID)
	}
	if s := w.signInOf(u); !s.Changed.Equal(w.Clock.Now().Truncate(time.Microsecond)) {
		t.Errorf("the password was set at %v, want now", s.Changed)
	}
	fresh := w.user("fresh") // who has none yet
	if err := change(w.admin, fresh, "", "Tide-Tables-12"); err != nil {
		t.Error(err)
	}
	if _, err := w.signIn("fresh", "Tide-Tables-12"); err != nil {
		t.Error(err)
	}
}

// Advisory 7: what was verified is what is replaced.
func TestAPasswordThatChangedMeanwhileIsNotReplacedByProofOfTheOld(t *testing.T) {
	w := newWorld(t)
	u := w.withPassword("ann")
	_, old, _, err := w.PasswordFor(ctx, w.as(u), directory.ByUser(u.ID))
	if err != nil {
		t.Fatal(err)
	}
	w.setPassword(u, "Tide-Tables-10")
	w.refused("a change by proof of the old", directory.Conflict, func() error {
		return drop(w.SetPassword(ctx, w.as(u), directory.NewPassword{User: u.ID, Hash: []byte("new"), Proof: old.Hash}))
	})
}

func TestPasswordsThatAreTooWeakAreRefused(t *testing.T) {
	u := directory.User{GivenName: "Mina", FamilyName: "Okoye-Brown", DisplayName: "Dr. Mo"}
	for password, good := range map[string]bool{
		"Tide-Tables-9": true, "tide tables 9": true, "TIDE1234é": true, "Пароль-12": true, "Mo-nday-1": true,
		"": false, "Ti-9": false, "Tide-T9": false, "tidetables9": false, "TIDETABLES9": false, "tidetables!": false,
		"Xx-mina-99": false, "OKOYE-x-99": false, "brownBROWN1": false, "\xffTide-Tables-9": false, "Aa1" + strings.Repeat("x", directory.MaxPassword): false,
	} {
		err := directory.CheckPassword(u, password, "new")
		if (err == nil) != good {
			t.Errorf("%q: %v", password, err)
		}
		if e, isError := errors.AsType[*directory.Error](err); isError && (e.Field != "new" || e.Kind != directory.Invalid || password != "" && strings.Contains(e.Error(), password)) {
			t.Errorf("%q is refused with %+v", password, e)
		}
	}
}

func TestAUserChangesItselfAndNotWhatIsDecidedAboutIt(t *testing.T) {
	w := newWorld(t)
	u, other := w.user("ann"), w.user("bob")
	mine := w.as(u)
	self := directory.ByUser(u.ID)
	a, err := w.UpdateUser(ctx, mine, directory.UserUpdate{User: directory.ByName("ann"), GivenName: ptr("Ann"), Expires: &time.Time{}, Suspended: ptr(false)})
	if got := ok(t, a, err); got.GivenName != "Ann" {
		t.Errorf("she is %+v", got)
	}
	for what, in := range map[string]directory.UserUpdate{
		"its end":                {User: self, Expires: ptr(w.Clock.Now().Add(time.Hour))},
		"its suspension":         {User: self, Suspended: ptr(true)},
		"that it is verified":    {User: self, EmailVerified: ptr(true), Email: ptr("a@example.com")},
		"what others call it":    {User: self, Externals: &map[string]string{"ldap": "boss"}},
		"how long its password":  {User: self, SignIn: directory.SignInUpdate{ChangeEvery: ptr(1)}},
		"whether it must change": {User: self, SignIn: directory.SignInUpdate{MustChange: ptr(true)}},
		"as if it managed":       {User: self, Manage: true},
		"somebody else":          {User: directory.ByUser(other.ID), GivenName: ptr("x")},
		"nobody":                 {User: directory.ByName("nobody"), GivenName: ptr("x")},
	} {
		w.refused("a user changing "+what, directory.Forbidden, func() error { return drop(w.UpdateUser(ctx, mine, in)) })
	}
	yes, err := w.IsMember(ctx, mine, directory.Check{User: directory.ByName("ann"), Group: directory.ByName("nothing")})
	if ok(t, yes, err) {
		t.Error("it is in a group that is not there")
	}
	w.refused("a check of another", directory.Forbidden, func() error {
		return drop(w.AreMembers(ctx, mine, []directory.Check{{User: self, Group: directory.ByName("x")}, {User: directory.ByUser(other.ID), Group: directory.ByName("x")}}))
	})
	w.refused("a check of nobody", directory.Forbidden, func() error {
		return drop(w.IsMember(ctx, mine, directory.Check{User: directory.ByName("nobody"), Group: directory.ByName("x")}))
	})
	w.refused("deleting another", directory.Forbidden, func() error {
		return drop(w.DeleteUser(ctx, mine, directory.Deletion{Ref: directory.ByUser(other.ID)}))
	})
	gone, err := w.DeleteUser(ctx, mine, directory.Deletion{Ref: self})
	ok(t, gone, err)

	// Advisory 16: the last administrator stays, also by its own hand.
	boss := w.user("boss", w.group("admins", directory.Admin))
	w.refused("the last administrator deleting itself", directory.Conflict, func() error {
		return drop(w.DeleteUser(ctx, w.as(boss), directory.Deletion{Ref: directory.ByUser(boss.ID)}))
	})
}
