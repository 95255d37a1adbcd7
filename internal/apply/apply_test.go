package apply_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roster/examples"
	"roster/internal/apply"
	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/id"
)

var ctx = context.Background()

// world is a directory to carry files out on.
type world struct {
	*directorytest.World
	t testing.TB
}

func newWorld(t testing.TB) world { return world{directorytest.New(t, nil), t} }

func (w world) try(yaml string, dry bool) (*apply.Summary, error) {
	f, err := apply.Read(strings.NewReader(yaml))
	if err != nil {
		return nil, err
	}
	a := &apply.Applier{Directory: w.Directory, Authn: w.Authn}
	return a.Apply(ctx, directorytest.Root(), f, dry)
}

func (w world) apply(yaml string, dry bool) *apply.Summary {
	w.t.Helper()
	s, err := w.try(yaml, dry)
	if err != nil {
		w.t.Fatalf("apply: %v", err)
	}
	s.Secrets = nil
	return s
}

// revisions are those of the platform and of every tenant.
func (w world) revisions() map[string]directory.Revision {
	w.t.Helper()
	all := map[string]directory.Revision{}
	tenants, err := w.Directory.Tenants(ctx, directorytest.Root(), directory.Page{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, t := range append(tenants.Items, directory.Tenant{}) {
		err := w.Store.View(ctx, t.ID, func(r directory.Reader) (err error) {
			all[t.Name], err = r.Revision()
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return all
}

// changes says how much a summary creates and updates.
func changes(s *apply.Summary) (n int) {
	for _, noun := range apply.Nouns {
		n += s.Created[noun] + s.Updated[noun]
	}
	return n
}

// full uses every key that there is.
const full = `
platform:
  users:
    - {email: ops@example.com, number: 4, given_name: O}
    - {email: dev@example.com}
  credentials:
    - {kind: native, name: root, grants: [platform]}
    - {kind: syncano_account, name: ops@example.com, user: "email:ops@example.com", grants: [admin, tenants.own], secret: d3f0a1b2c3d4e5f60718293a4b5c6d7e8f901230}
tenants:
  - name: acme
    owners: ["email:ops@example.com", dev@example.com]
    id: 6254736c-70e1-43b0-b769-f8e0f6359801
    code: 70
    title: Acme
    attributes: {softwareone: {type: Client, level: 1.5, tags: [a, 2, null, true], deep: {k: 7}, when: 2026-01-02T03:04:05Z}}
    users:
      - name: ann
        id: 6254736c-70e1-43b0-b769-f8e0f6359802
        number: 10
        code: 100
        person_code: 200
        email: Ann@Example.com
        email_verified: true
        given_name: A
        family_name: N
        display_name: An N
        suspended: false
        expires: 2027-01-02T03:04:05.678901234+02:00
        external_ids: {ldap: a/b, hr: "7"}
        attributes: {d: {n: 5, big: 9007199254740993, f: 1.0}}
        password: correct horse battery
      - {name: bob, email: bob@example.com, password_hash: "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}
      - {email: eve@example.com}
    groups:
      - name: Everybody
        id: 6254736c-70e1-43b0-b769-f8e0f6359803
        number: 20
        code: 300
        description: All of us
        grants: [users.read, groups.read]
        built_in: true
        joins: [Example.net, example.org]
        external_ids: {ldap: everybody}
        attributes: {d: {k: v}}
        members:
          - ann
          - name:bob
          - email:eve@example.com
          - {user: "external:hr/7"}
          - {group: later, role: manager, reason: because, valid_from: 2026-01-01T00:00:00Z, valid_until: 2036-01-01T00:00:00.000001Z}
      - name: later
        members: ["number:10", {user: bob, valid_until: 2020-01-01T00:00:00Z}]
    credentials:
      - {kind: native, name: made up, grants: [admin], expires: 2030-01-01T00:00:00Z, attributes: {d: {k: v}}}
      - {kind: native, name: given, secret: roster_0123456789abcdef0123456789abcdef, user: "code:100"}
      - {kind: dronahq, name: script, code: 900, handle: h}
`

func TestAFileAppliedTwiceChangesNothingTheSecondTime(t *testing.T) {
	for name, yaml := range map[string]string{"every key": full, "the demo": string(examples.Demo)} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			first := w.apply(yaml, false)
			if changes(first) == 0 {
				t.Fatal("it changes nothing the first time")
			}
			before := w.revisions()
			for range 2 {
				again := w.apply(yaml, false)
				if n := changes(again); n != 0 {
					t.Errorf("it changes %d things again: created %v, updated %v", n, again.Created, again.Updated)
				}
				if diff := cmp.Diff(before, w.revisions()); diff != "" {
					t.Errorf("it makes revisions again (-before +after):\n%s", diff)
				}
				w.Clock.Advance(time.Hour)
			}
		})
	}
}

func TestADryRunWritesNothingAndSaysExactlyWhatWouldBe(t *testing.T) {
	next := strings.NewReplacer("title: Acme", "title: Acme & Sons", "given_name: A", "given_name: Anna", "n: 5", `n: "5"`, "reason: because", "reason: why not", `- {user: "external:hr/7"}`, "- {user: ann, reason: otherwise}",
		"- {email: eve@example.com}", "- {email: eve@example.com, suspended: true}\n      - {name: zoe, number: 99, password: another one entirely}",
		`members: ["number:10"`, `members: [zoe, "number:99", {user: zoe, role: manager}, "number:10"`, "name: made up", "name: another").Replace(full)
	for name, steps := range map[string][]string{
		"from nothing": {full}, "the demo": {string(examples.Demo)}, "a second time": {full, full}, "changed": {full, next}, "changed back": {full, next, full},
		"another tenant": {full, strings.NewReplacer("acme", "other", "6254736c-70e1-43b0-b769", "6254736c-70e1-43b0-b770", "code: 70", "code: 71", "code: 100", "code: 5100", "code:100", "code:5100",
			"code: 300", "code: 5300", "code: 900", "code: 5900", "roster_0", "roster_1", "$AAAA", "$BBBB").Replace(full)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for i, yaml := range steps {
				before := w.revisions()
				said := w.apply(yaml, true)
				if diff := cmp.Diff(before, w.revisions()); diff != "" {
					t.Fatalf("step %d: a dry run wrote (-before +after):\n%s", i, diff)
				}
				did := w.apply(yaml, false)
				if diff := cmp.Diff(did, said); diff != "" {
					t.Errorf("step %d: the dry run said otherwise (-did +said):\n%s", i, diff)
				}
			}
		})
	}
}

func TestWhatAFileSaysIsThere(t *testing.T) {
	w := newWorld(t)
	summary, err := w.try(full, false)
	if err != nil {
		t.Fatal(err)
	}
	tenant, err := w.FindTenant(ctx, "acme")
	if err != nil || tenant.Code != 70 || tenant.Title != "Acme" || tenant.ID.String() != "6254736c-70e1-43b0-b769-f8e0f6359801" {
		t.Fatalf("the tenant is %+v, %v", tenant, err)
	}
	p := directorytest.In(directorytest.Root(), tenant.ID)
	ops, err := w.User(ctx, directorytest.Root(), directory.ByEmail("ops@example.com"))
	if err != nil || ops.Value.Number != 4 || ops.Value.GivenName != "O" {
		t.Errorf("the account is %+v, %v", ops.Value, err)
	}
	if owns, err := w.Owns(ctx, ops.Value.ID, tenant.ID); err != nil || !owns {
		t.Errorf("the account owns the tenant: %v, %v", owns, err)
	}
	if c, err := w.Authn.Verify(ctx, authn.SyncanoAccount, "d3f0a1b2c3d4e5f60718293a4b5c6d7e8f901230"); err != nil || c.User != ops.Value.ID {
		t.Errorf("the account's key is %+v, %v", c, err)
	}
	a, err := w.User(ctx, p, directory.ByExternal("ldap", "a/b"))
	if err != nil {
		t.Fatal(err)
	}
	u := a.Value
	if u.Name != "ann" || u.Number != 10 || u.Code != 100 || u.PersonCode != 200 || u.Email != "Ann@Example.com" || !u.EmailVerified || u.DisplayName != "An N" ||
		!u.Expires.Equal(time.Date(2027, 1, 2, 1, 4, 5, 678901000, time.UTC)) {
		t.Errorf("ann is %+v", u)
	}
	g, err := w.Group(ctx, p, directory.ByNumber(20))
	if err != nil || !g.Value.BuiltIn || g.Value.Grants != directory.ReadUsers|directory.ReadGroups || g.Value.Description != "All of us" {
		t.Errorf("the group is %+v, %v", g.Value, err)
	}
	m, err := w.Membership(ctx, p, directory.ByName("Everybody"), directory.MemberRef{IsGroup: true, Ref: directory.ByName("later")})
	want := directory.Standing{From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2036, 1, 1, 0, 0, 0, 1000, time.UTC), Role: directory.RoleManager, Reason: "because"}
	if err != nil || m.Value.Standing != want {
		t.Errorf("the link stands as %+v, %v; want %+v", m.Value.Standing, err, want)
	}
	if _, _, err := w.Authn.Password(ctx, tenant.ID, directory.ByName("ann"), "correct horse battery", "test"); err != nil {
		t.Errorf("ann's password: %v", err)
	}
	c, err := w.Authn.Verify(ctx, authn.Native, "roster_0123456789abcdef0123456789abcdef")
	if err != nil || c.User != u.ID {
		t.Errorf("the given key is %+v, %v", c, err)
	}
	if len(summary.Secrets) != 3 {
		t.Fatalf("%d secrets are shown, want the three that were made up", len(summary.Secrets))
	}
	for _, s := range summary.Secrets {
		c, err := w.Authn.Verify(ctx, directory.CredentialKind(s.Kind), s.Secret)
		if err != nil || c.Name != s.Name || (s.Tenant == "") != c.Tenant.IsZero() {
			t.Errorf("the secret shown for %s opens %+v, %v", s.Name, c, err)
		}
	}
}

func TestTheDemoIsWhatItSays(t *testing.T) {
	w := newWorld(t)
	text, err := os.ReadFile("../../examples/demo.yaml")
	if err != nil || string(text) != string(examples.Demo) {
		t.Fatalf("the embedded demo is not examples/demo.yaml: %v", err)
	}
	w.apply(string(text), false)
	tenant, err := w.FindTenant(ctx, "rivia")
	if err != nil {
		t.Fatal(err)
	}
	p := directorytest.In(directorytest.Root(), tenant.ID)
	for _, c := range []struct {
		user, group string
		want        bool
	}{{"ciri", "Everybody in Rivia", true}, {"ciri", "witchers", false}, {"demo-client", "System Administrators", true}, {"tdurden", "Everybody in Rivia", false}} {
		a, err := w.IsMember(ctx, p, directory.Check{User: directory.ByName(c.user), Group: directory.ByName(c.group)})
		if err != nil || a.Value != c.want {
			t.Errorf("%s in %s is %v, %v; want %v", c.user, c.group, a.Value, err, c.want)
		}
	}
	f, err := apply.Read(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range f.Tenants[0].Credentials {
		if got, err := w.Authn.Verify(ctx, directory.CredentialKind(c.Kind), c.Secret); err != nil || got.Name != c.Name {
			t.Errorf("%s opens %q, %v", c.Name, got.Name, err)
		}
	}
	for name, password := range map[string]string{"ciri": "ciri-demo-password", "tdurden": "SoapIsTheYardstick1"} {
		if _, _, err := w.Authn.Password(ctx, tenant.ID, directory.ByName(name), password, "test"); err != nil {
			t.Errorf("%s cannot sign in: %v", name, err)
		}
	}
	if _, err := w.DeleteGroup(ctx, p, directory.Deletion{Ref: directory.ByName("System Administrators")}); !errors.Is(err, directory.Forbidden) {
		t.Errorf("the built-in group can be deleted: %v", err)
	}
}

func TestWhatCannotBeReadIsRefusedWithItsLine(t *testing.T) {
	for _, c := range []struct{ what, yaml, want string }{
		{"a key at the top", "tenants: []\nusers: []\n", `line 2: unknown key "users" at the top`},
		{"a key of a tenant", "tenants:\n  - name: a\n    colour: red\n", `line 3: unknown key "colour" in a tenant`},
		{"a key of a user", "tenants:\n  - name: a\n    users:\n      - name: b\n        Name: c\n", `line 5: unknown key "Name" in a user`},
		{"a key of a member", "tenants:\n  - name: a\n    groups:\n      - name: g\n        members:\n          - user: x\n            rank: 1\n", `line 7: unknown key "rank" in a member`},
		{"a key of a credential", "platform:\n  credentials:\n    - kind: native\n      scope: all\n", `line 4: unknown key "scope" in a credential`},
		{"a key twice", "tenants:\n  - name: a\n    name: b\n", "line 3"},
		{"text for a number", "tenants:\n  - name: a\n    users:\n      - number: many\n", "line 4"},
		{"a list for text", "tenants:\n  - name: [a]\n", "line 2"},
		{"a moment that is none", "tenants:\n  - users:\n      - expires: tomorrow\n", "line 3"},
		{"a moment that is never", "tenants:\n  - users:\n      - name: a\n        expires: 0001-01-01T00:00:00Z\n", "line 4: a moment is from 1971 to 9999"},
		{"a key's", "platform:\n  credentials:\n    - expires: 1960-01-01\n", "line 3: a moment is from 1971 to 9999"},
		{"a membership's start", "tenants:\n  - groups:\n    - members:\n      - {user: a, valid_from: 9999-12-31T23:59:59-01:00}\n", "line 4: a moment is from 1971 to 9999"},
		{"a membership's end", "tenants:\n  - groups:\n    - members:\n      - {user: a, valid_until: 0001-01-01T00:00:00Z}\n", "line 4: a moment is from 1971 to 9999"},
		{"no such month", "tenants:\n  - users:\n      - expires: 2027-13-01\n", `line 3: cannot read "2027-13-01" as a moment`},
		{"a number beyond all", "tenants:\n  - code: 99999999999999999999\n", "line 2"},
		{"no YAML", "tenants: [\n", "line"},
		{"two documents", "tenants: []\n---\ntenants: []\n", "more than one document"},
		{"a list", "- a\n", "line 1"},
	} {
		_, err := apply.Read(strings.NewReader(c.yaml))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want it to say %q", c.what, err, c.want)
		} else if strings.Contains(err.Error(), "apply.") || strings.Contains(err.Error(), "!!") || strings.Contains(err.Error(), "yaml") {
			t.Errorf("%s: %v speaks of the program's insides", c.what, err)
		}
	}
	if f, err := apply.Read(strings.NewReader("")); err != nil || len(f.Tenants) != 0 {
		t.Errorf("an empty file is %+v, %v", f, err)
	}
}

func TestWhatCannotBeCarriedOutSaysWhereItIs(t *testing.T) {
	tenant := func(rest string) string { return "tenants:\n  - name: acme\n" + rest }
	for _, c := range []struct {
		what, yaml, want string
		dry              bool // a dry run says so too
	}{
		{"a tenant's name", "tenants:\n  - name: a\n  - name: B\n", "tenant 2 (B): ", false},
		{"a tenant's id", "tenants:\n  - name: a\n    id: x\n", "tenant 1 (a): ", true},
		{"a user's id", tenant("    users: [{name: a}, {name: b, id: x}]\n"), "tenant 1 (acme): user 2 (b): ", true},
		{"a user's address", tenant("    users: [{name: a, email: x}]\n"), "tenant 1 (acme): user 1 (a): ", false},
		{"a user's number", tenant("    users: [{name: a, number: -1}]\n"), "tenant 1 (acme): user 1 (a): ", true},
		{"a group's number", tenant("    groups: [{name: g, number: 4294967296}]\n"), "tenant 1 (acme): group 1 (g): ", true},
		{"a taken name", tenant("    users: [{name: a, number: 1}, {name: A, number: 2}]\n"), "tenant 1 (acme): user 2 (A): ", false},
		{"a password's hash", tenant("    users: [{name: a, password_hash: $argon2i$}]\n"), "tenant 1 (acme): user 1 (a): ", true},
		{"a grant", tenant("    groups: [{name: g, grants: [everything]}]\n"), "tenant 1 (acme): group 1 (g): ", true},
		{"an unknown member", tenant("    groups: [{name: g, members: [nobody]}]\n"), "tenant 1 (acme): group 1 (g): member nobody: ", true},
		{"an unknown group in a group", tenant("    groups: [{name: g, members: [{group: none}]}]\n"), "tenant 1 (acme): group 1 (g): member none: ", true},
		{"a member that is two", tenant("    groups: [{name: g, members: [{user: a, group: b}]}]\n"), "tenant 1 (acme): group 1 (g): member 1: ", true},
		{"a role", tenant("    groups: [{name: g, members: [{user: a, role: king}]}]\n"), "tenant 1 (acme): group 1 (g): member 1: ", true},
		{"a kind of name", tenant("    groups: [{name: g, members: ['colour:red']}]\n"), "tenant 1 (acme): group 1 (g): member 1: ", true},
		{"a circle", tenant("    groups: [{name: g, members: [{group: h}]}, {name: h, members: [{group: g}]}]\n"), "tenant 1 (acme): group 2 (h): ", false},
		{"a kind of credential", tenant("    credentials: [{kind: rusty, name: k}]\n"), "tenant 1 (acme): credential 1 (k): ", true},
		{"what only a sign-in makes", tenant("    credentials: [{kind: contensis_access, name: k}]\n"), "tenant 1 (acme): credential 1 (k): ", true},
		{"a secret's form", tenant("    credentials: [{kind: native, name: k, secret: short}]\n"), "tenant 1 (acme): credential 1 (k): ", true},
		{"a credential's user", tenant("    credentials: [{kind: native, name: k, user: nobody}]\n"), "tenant 1 (acme): credential 1 (k): ", true},
		{"platform inside a tenant", tenant("    credentials: [{kind: native, name: k, grants: [platform]}]\n"), "tenant 1 (acme): credential 1 (k): ", false},
		{"an owner", tenant("    owners: [nobody]\n"), "tenant 1 (acme): owner nobody: ", true},
		{"the platform's user", "platform:\n  users: [{name: a, number: -1}]\n", "platform user 1 (a): ", true},
		{"the platform's", "platform:\n  credentials: [{kind: native, name: k, grants: [x]}]\n", "platform credential 1 (k): ", true},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if _, err := w.try(c.yaml, true); c.dry && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
				t.Errorf("a dry run says %v, want %q", err, c.want)
			}
			_, err := w.try(c.yaml, false)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Fatalf("it says %v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), "short") {
				t.Errorf("it says the secret: %v", err)
			}
		})
	}
}

func TestWhatAFileDoesNotNameIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.apply(full, false)
	tenant, err := w.FindTenant(ctx, "acme")
	if err != nil {
		t.Fatal(err)
	}
	p := directorytest.In(directorytest.Root(), tenant.ID)
	before, err := w.User(ctx, p, directory.ByName("ann"))
	if err != nil {
		t.Fatal(err)
	}
	w.apply("tenants: [{name: acme, users: [{name: ann, given_name: Anna}], groups: [{name: Everybody, members: [bob]}]}]", false)
	after, err := w.User(ctx, p, directory.ByName("ann"))
	if err != nil {
		t.Fatal(err)
	}
	want := before.Value
	want.GivenName, want.Version, want.ModifiedIn = "Anna", 2, after.Value.ModifiedIn
	if diff := cmp.Diff(want, after.Value); diff != "" {
		t.Errorf("more than the given name changed (-want +got):\n%s", diff)
	}
	list, err := w.Members(ctx, p, directory.ListMembers{Group: directory.ByName("Everybody"), Standing: true})
	if err != nil || len(list.Value.Items) != 4 {
		t.Errorf("there are %d members, %v; want 4", len(list.Value.Items), err)
	}
}

func TestARefIsReadAsItSays(t *testing.T) {
	u := id.New[id.User]()
	for s, want := range map[string]directory.Ref{
		"ann": directory.ByName("ann"), "Ann B": directory.ByName("ann b"), "name:number:7": directory.ByName("number:7"), u.String(): directory.ByUser(u), strings.ToUpper(u.String()): directory.ByUser(u),
		"number:7": directory.ByNumber(7), "code:7": directory.ByCode(7), "email:A@b": directory.ByEmail("a@b"), "external:s/k/l": directory.ByExternal("s", "k/l"), "": directory.ByName(""),
	} {
		if got, err := apply.ParseRef(s); err != nil || got != want {
			t.Errorf("ParseRef(%q) is %+v, %v; want %+v", s, got, err, want)
		}
	}
	for _, s := range []string{"number:x", "number:", "code:99999999999999999999", "external:s", "colour:red", ":"} {
		if got, err := apply.ParseRef(s); err == nil {
			t.Errorf("ParseRef(%q) is %+v, want an error", s, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{full, string(examples.Demo), "", "---\n...", "tenants: &a [*a]", "tenants: [{users: [{attributes: {d: {1: 2, null: x}}}]}]", "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]",
		"tenants:\n- groups:\n  - members: [{<<: {user: a}}, !!binary aGk=, [x], 7, null]", "\xff", "tenants: [{name: !!int x}]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, yaml string) {
		file, err := apply.Read(strings.NewReader(yaml))
		if (file == nil) == (err == nil) {
			t.Errorf("Read yields %v and %v", file, err)
		}
		if err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Error("Read refuses and says nothing")
		}
	})
}
