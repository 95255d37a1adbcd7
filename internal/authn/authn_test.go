package authn_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/id"
)

var ctx = context.Background()

// formed are the kinds whose secrets have a form.
var formed = []directory.CredentialKind{
	authn.Native, authn.SyncanoAccount, authn.SyncanoAPIKey, authn.SyncanoUserKey, authn.ContensisClient,
	authn.ContensisAccess, authn.ContensisFresh, authn.DronaHQ, authn.DronaHQNonce, authn.SoftwareOne,
}

// world is a directory with one tenant.
type world struct {
	*directorytest.World
	t     testing.TB
	log   *bytes.Buffer
	admin directory.Principal
}

func newWorld(t testing.TB) *world {
	t.Helper()
	log := &bytes.Buffer{}
	w := &world{World: directorytest.New(t, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))), t: t, log: log}
	a, err := w.CreateTenant(ctx, directorytest.Root(), directory.NewTenant{Name: "one"})
	if err != nil {
		t.Fatal(err)
	}
	w.admin = directorytest.In(directorytest.Root(), a.Value.ID)
	return w
}

// key makes a credential of a kind and returns its secret.
func (w *world) key(kind directory.CredentialKind, in directory.NewCredential) (string, directory.Credential) {
	w.t.Helper()
	secret, hash, sealed := w.Authn.Mint(kind)
	in.Kind, in.Hash, in.Sealed = kind, hash, sealed
	a, err := w.CreateCredential(ctx, w.admin, in)
	if err != nil {
		w.t.Fatal(err)
	}
	return secret, a.Value
}

func (w *world) user(name, password string) directory.User {
	w.t.Helper()
	c, err := authn.PasswordCredential(ctx, password)
	if err != nil {
		w.t.Fatal(err)
	}
	a, err := w.CreateUser(ctx, w.admin, directory.NewUser{Name: name, Email: name + "@example.com", Credentials: []directory.Credential{c}})
	if err != nil {
		w.t.Fatal(err)
	}
	return a.Value
}

func TestAMintedSecretHasItsFormAndOpensItsOwnDoorAlone(t *testing.T) {
	w := newWorld(t)
	for _, kind := range formed {
		form, ok := authn.FormOf(kind)
		if !ok {
			t.Fatalf("%s has no form", kind)
		}
		secret, made := w.key(kind, directory.NewCredential{})
		if form.Valid != nil && !form.Valid(secret) {
			t.Errorf("%s mints %q, which it calls malformed", kind, secret)
		}
		if form.Issued != (form.Valid == nil) {
			t.Errorf("%s: what is issued cannot be given, and only that", kind)
		}
		if other, _, _ := w.Authn.Mint(kind); other == secret {
			t.Errorf("%s mints the same secret twice", kind)
		}
		for _, door := range append(slices.Clone(formed), authn.Password, "") {
			c, err := w.Authn.Verify(ctx, door, secret)
			switch {
			case door == kind && (err != nil || c.ID != made.ID):
				t.Errorf("a %s secret does not open its own door: %v", kind, err)
			case door != kind && err != authn.ErrUnknown:
				t.Errorf("a %s secret at the door of %q: %v, want unknown", kind, door, err)
			}
		}
		for _, wrong := range []string{"", secret[1:], secret + "x", strings.ToUpper(secret) + " ", strings.Repeat("x", 1<<20)} {
			if _, err := w.Authn.Verify(ctx, kind, wrong); err != authn.ErrUnknown {
				t.Errorf("%s: %.20q opens: %v", kind, wrong, err)
			}
		}
		revealed, err := w.Authn.Reveal(made)
		if form.ReadBack && (err != nil || revealed != secret) {
			t.Errorf("%s is revealed as %q, %v", kind, revealed, err)
		}
		if !form.ReadBack && (err == nil || made.Sealed != nil) {
			t.Errorf("%s, which nobody reads back, is revealed as %q", kind, revealed)
		}
	}
	if strings.Contains(w.log.String(), "roster_") {
		t.Error("a secret is in the log")
	}
	for _, kind := range []directory.CredentialKind{authn.Password, "", "NATIVE", "other"} {
		if _, ok := authn.FormOf(kind); ok {
			t.Errorf("%q has a form", kind)
		}
	}
}

func TestAGivenSecretMustHaveItsKindsForm(t *testing.T) {
	x := strings.Repeat
	for kind, secrets := range map[directory.CredentialKind]map[string]bool{
		authn.Native: {
			"roster_" + x("a", 32): true, "roster_" + x("a", 31): false, "roster_" + x("a", 249): true, "roster_" + x("a", 250): false, x("a", 40): false, "Roster_" + x("a", 40): false, "roster_" + x("a", 31) + " ": false, "roster_" + x("ä", 40): false, "roster_" + x("a", 40) + "\n": false, "": false,
		},
		authn.SyncanoAccount:  {x("0", 40): true, x("0", 39) + "1": false, x("0", 39): false, x("0", 38) + "AA": false, x("g", 40): false, x("0", 42): false, "": false},
		authn.SyncanoAPIKey:   {x("0", 40): false, x("0", 39) + "1": true, x("0", 39) + "f": true},
		authn.SyncanoUserKey:  {x("0", 40): true, x("0", 39) + "1": false},
		authn.ContensisClient: {x("a", 20): true, x("a", 19): false, x("a", 256): true, x("a", 257): false, x("a", 20) + "\x00": false},
		authn.DronaHQ:         {x("0", 50): true, x("z", 50): true, x("Z", 50): false, x("0", 49): false, x("0", 51): false, x("0", 49) + "-": false},
		authn.DronaHQNonce:    {x("0", 32): true, x("z", 64): true, x("0", 31): false, x("0", 65): false, x("Z", 32): false},
		authn.SoftwareOne:     {x("A", 32): true, x("A", 31): false, x("A", 31) + ":": false, "idt:TKN-0000-0001:" + x("A", 32): false, x("A", 256): true, x("A", 257): false},
	} {
		form, _ := authn.FormOf(kind)
		for secret, ok := range secrets {
			if form.Valid(secret) != ok {
				t.Errorf("%s: Valid(%q) is %v, want %v", kind, secret, !ok, ok)
			}
		}
	}
	for code, want := range map[int64]string{1: "idt:TKN-0000-0001:", 10000002: "idt:TKN-1000-0002:", 123456789: "idt:TKN-12345-6789:"} {
		if got := authn.TokenID(code); got != want {
			t.Errorf("TokenID(%d) is %q, want %q", code, got, want)
		}
	}
}

func TestARefusalSaysWhyToTheLogAndNothingToTheGuesser(t *testing.T) {
	w := newWorld(t)
	u := w.user("ann", "a password")
	for _, c := range []struct {
		what string
		in   directory.NewCredential
		end  func(directory.Credential) error
		want *directory.Error
	}{
		{"revoked", directory.NewCredential{}, func(c directory.Credential) error { _, err := w.RevokeCredential(ctx, w.admin, c.ID); return err }, authn.ErrUnknown},
		{"expired", directory.NewCredential{Expires: w.Now().Add(time.Microsecond)}, func(directory.Credential) error { w.Clock.Advance(time.Microsecond); return nil }, authn.ErrExpired},
		{"its user suspended", directory.NewCredential{User: directory.ByUser(u.ID)}, func(directory.Credential) error {
			yes := true
			_, err := w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(u.ID), Suspended: &yes})
			return err
		}, authn.ErrInactive},
	} {
		secret, made := w.key(authn.Native, c.in)
		if _, err := w.Authn.Verify(ctx, authn.Native, secret); err != nil {
			t.Fatalf("%s: before: %v", c.what, err)
		}
		if err := c.end(made); err != nil {
			t.Fatal(err)
		}
		_, err := w.Authn.Verify(ctx, authn.Native, secret)
		if err != c.want || !errors.Is(err, directory.Unauthenticated) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
		if c.want.Detail != authn.ErrUnknown.Detail {
			t.Errorf("%s: a guesser is told %q", c.what, c.want.Detail)
		}
	}
}

func TestWhatIsSealedOpensForItsPurposeWholeAndUnderItsKeyAlone(t *testing.T) {
	s, err := authn.NewSealer(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	other, err := authn.NewSealer(bytes.Repeat([]byte{2}, 32))
	if err != nil {
		t.Fatal(err)
	}
	const secret = "a secret \x00 ä"
	sealed := s.Seal("purpose", secret)
	if got, err := s.Open("purpose", sealed); err != nil || got != secret {
		t.Fatalf("it opens as %q, %v", got, err)
	}
	if bytes.Contains(sealed, []byte("secret")) || bytes.Equal(sealed, s.Seal("purpose", secret)) {
		t.Error("what is sealed shows, or is the same twice")
	}
	if _, err := s.Open("other", sealed); err == nil {
		t.Error("it opens for another purpose")
	}
	if _, err := other.Open("purpose", sealed); err == nil {
		t.Error("it opens under another key")
	}
	for n := range sealed {
		if _, err := s.Open("purpose", sealed[:n]); err == nil {
			t.Errorf("the first %d bytes open", n)
		}
		flipped := slices.Clone(sealed)
		flipped[n] ^= 1
		if _, err := s.Open("purpose", flipped); err == nil {
			t.Errorf("it opens with byte %d changed", n)
		}
	}
	if _, err := s.Open("purpose", append(sealed, 0)); err == nil {
		t.Error("it opens with something behind")
	}
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := authn.NewSealer(make([]byte, n)); err == nil {
			t.Errorf("a key of %d bytes is taken", n)
		}
	}
}

func TestTheSealingKeyIsMadeOnceForTheOwnerAlone(t *testing.T) {
	t.Setenv(authn.SealKeyEnv, "")
	dir := t.TempDir()
	first, err := authn.LoadSealer(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "seal.key")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file is %v, %v; want mode 600", info, err)
	}
	again, err := authn.LoadSealer(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Open("p", first.Seal("p", "x")); err != nil || got != "x" {
		t.Errorf("the key of a second start opens %q, %v", got, err)
	}
	for _, text := range []string{"", "short", strings.Repeat("0", 63), strings.Repeat("g", 64)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := authn.LoadSealer(dir); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("a key file with %q: %v, want an error without it", text, err)
		}
	}
	t.Setenv(authn.SealKeyEnv, hex.EncodeToString(make([]byte, 32)))
	fromEnv, err := authn.LoadSealer(filepath.Join(dir, "none"))
	if err != nil {
		t.Fatal(err)
	}
	zero, _ := authn.NewSealer(make([]byte, 32))
	if got, err := fromEnv.Open("p", zero.Seal("p", "x")); err != nil || got != "x" {
		t.Errorf("the key from the environment opens %q, %v", got, err)
	}
	t.Setenv(authn.SealKeyEnv, "not-hex-and-secret")
	if _, err := authn.LoadSealer(dir); err == nil || strings.Contains(err.Error(), "not-hex") {
		t.Errorf("a bad key in the environment: %v, want an error without it", err)
	}
}

func TestAPasswordSignsInByAnyNameOfItsUser(t *testing.T) {
	w := newWorld(t)
	u := w.user("Ann", "correct horse")
	in := w.admin.Tenant
	for _, ref := range []directory.Ref{directory.ByName("ANN"), directory.ByEmail("ann@example.com"), directory.ByUser(u.ID), directory.ByNumber(1), directory.ByCode(u.Code)} {
		got, c, err := w.Authn.Password(ctx, in, ref, "correct horse", "here")
		if err != nil || got.ID != u.ID || c.User != u.ID {
			t.Errorf("by %+v: %v", ref, err)
		}
	}
	for what, c := range map[string]struct {
		tenant   id.Tenant
		ref      directory.Ref
		password string
		want     error
	}{
		"a wrong password":       {in, directory.ByName("ann"), "correct horse ", authn.ErrWrongPassword},
		"in another case":        {in, directory.ByName("ann"), "Correct horse", authn.ErrWrongPassword},
		"no password":            {in, directory.ByName("ann"), "", authn.ErrWrongPassword},
		"an unknown user":        {in, directory.ByName("bob"), "correct horse", authn.ErrNoSuchUser},
		"an address as the name": {in, directory.ByName("ann@example.com"), "correct horse", authn.ErrNoSuchUser},
	} {
		if _, _, err := w.Authn.Password(ctx, c.tenant, c.ref, c.password, "there"); err != c.want {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
	if _, _, err := w.Authn.Password(ctx, id.New[id.Tenant](), directory.ByName("ann"), "correct horse", "there"); err == nil {
		t.Error("it signs in to a tenant that is not")
	}
	if authn.ErrNoSuchUser.Detail != authn.ErrWrongPassword.Detail {
		t.Error("a guesser is told whether there is such a user")
	}
	yes := true
	if _, err := w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(u.ID), Suspended: &yes}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Authn.Password(ctx, in, directory.ByName("ann"), "correct horse", "here"); err != authn.ErrSuspended {
		t.Errorf("suspended: %v", err)
	}
	if _, _, err := w.Authn.Password(ctx, in, directory.ByName("ann"), "wrong", "here"); err != authn.ErrWrongPassword {
		t.Errorf("suspended, with a wrong password: %v, want no word of the suspension", err)
	}
	if strings.Contains(w.log.String(), "horse") {
		t.Error("a password is in the log")
	}
}

func TestGuessingOneAccountIsLimitedByWhateverNameAndNobodyElse(t *testing.T) {
	w := newWorld(t)
	u := w.user("ann", "correct horse")
	w.user("bob", "battery staple")
	in := w.admin.Tenant
	names := []directory.Ref{directory.ByName("ann"), directory.ByEmail("ann@example.com"), directory.ByUser(u.ID), directory.ByNumber(1), directory.ByCode(u.Code)}
	limited := false
	for i := range 20 {
		_, _, err := w.Authn.Password(ctx, in, names[i%len(names)], "wrong", "10.0.0."+string(rune('a'+i)))
		if limited = errors.Is(err, directory.TooMany); limited {
			break
		}
	}
	if !limited {
		t.Fatal("twenty guesses by five names were all looked at")
	}
	if _, _, err := w.Authn.Password(ctx, in, names[0], "correct horse", "elsewhere"); !errors.Is(err, directory.TooMany) {
		t.Errorf("the right guess while it is limited: %v, want too many", err)
	}
	if _, _, err := w.Authn.Password(ctx, in, directory.ByNumber(2), "battery staple", "elsewhere"); err != nil {
		t.Errorf("somebody else: %v", err)
	}
}

func TestLastUsesAreKeptWhenTheyAreFlushed(t *testing.T) {
	w := newWorld(t)
	secret, made := w.key(authn.Native, directory.NewCredential{})
	used := func() time.Time {
		list, err := w.Credentials(ctx, w.admin, directory.ListCredentials{})
		if err != nil || len(list.Value.Items) != 1 || list.Value.Items[0].ID != made.ID {
			t.Fatalf("the credentials are %+v, %v", list.Value.Items, err)
		}
		return list.Value.Items[0].Used
	}
	for i, d := range []time.Duration{0, 30 * time.Second, time.Minute} {
		w.Clock.Advance(d)
		if _, err := w.Authn.Verify(ctx, authn.Native, secret); err != nil {
			t.Fatal(err)
		}
		w.Authn.Flush(ctx)
		if got, now := used(), w.Now(); now.Sub(got) > time.Minute || got.After(now) {
			t.Errorf("use %d: last used %v, and it is %v", i, got, now)
		}
	}
}

func TestAPlatformKeyReachesEveryTenantIfItHoldsPlatform(t *testing.T) {
	c := directory.Credential{ID: id.New[id.Credential](), Name: "root", Grants: directory.Platform}
	tenant := id.New[id.Tenant]()
	p, err := authn.Principal(c, tenant, "d", "r")
	if err != nil || p.Tenant != tenant || !p.Grants.Has(directory.Admin) || p.Credential != c.ID || p.Name != "root" || p.Dialect != "d" || p.Request != "r" {
		t.Errorf("the principal is %+v, %v", p, err)
	}
	c.Grants = directory.InTenant
	if _, err := authn.Principal(c, tenant, "d", "r"); !errors.Is(err, directory.NotFound) {
		t.Errorf("without platform: %v, want that there is no such tenant", err)
	}
	c = directory.Credential{ID: id.New[id.Credential](), Tenant: tenant, User: id.New[id.User](), Grants: directory.ReadUsers}
	p, err = authn.Principal(c, tenant, "d", "r")
	if err != nil || p.User != c.User || p.Grants != directory.ReadUsers {
		t.Errorf("the principal is %+v, %v; want the credential's user and grants", p, err)
	}
}

func TestAPasswordHashIsSaltedAndWaitsItsTurn(t *testing.T) {
	a, err := authn.HashPassword(ctx, "x")
	if err != nil || authn.CheckPHC(string(a)) != nil {
		t.Fatalf("the hash is %s, %v", a, err)
	}
	b, err := authn.HashPassword(ctx, "x")
	if err != nil || bytes.Equal(a, b) {
		t.Errorf("the same password hashes to the same: %v", err)
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	for range 100 { // a slot may be free by chance
		if _, err := authn.HashPassword(done, "x"); errors.Is(err, directory.Unavailable) {
			return
		}
	}
	t.Error("a hundred hashes were computed for somebody who had left")
}
