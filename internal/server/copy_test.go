package server_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"roster/internal/apply"
	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/server"
	"roster/internal/store/postgres"
	"roster/internal/store/postgres/pgtest"
	"roster/internal/store/sqlite"
	"roster/internal/store/transfer"
)

// everything is a deployment with something of each kind in it, and in each what
// an engine could get wrong.
const everything = `
platform:
  credentials:
    - {kind: native, name: root, grants: [platform]}
tenants:
  - name: acme
    id: 0190a000-0000-7000-8000-000000000001
    title: "Acme \u00fc\u4e16\U0001F600 'quoted' \"twice\""
    attributes: {softwareone: {type: Client, huge: 12345678901234567890, small: 1.0e-7, exact: 0.1, text: "\u0000 in it", list: [1, "", null, {deep: true}]}}
    users:
      - {name: Ann, id: 0190a000-0000-7000-8000-0000000000a1, number: 7, code: 901, person_code: 77, email: Ann@Example.com, email_verified: true, given_name: "\u1f88nn", family_name: "\u13a0", external_ids: {hr: "7", ldap: "cn=ann,dc=x"}, password: ann-has-a-password,
         attributes: {syncano: {number: -0.0, big: 1.5e300, zero: "\u0000", "\u0000key": x, "": empty}}}
      - {name: bob, id: 0190a000-0000-7000-8000-0000000000a2, suspended: true, expires: 2031-05-06T07:08:09.123456Z}
      - {name: cid, email: cid@example.com}
      - {name: dora}
      - {name: leaver, external_ids: {hr: "9"}}
    groups:
      - {name: Twins, id: 0190a000-0000-7000-8000-0000000000b1, description: first, members: [{user: Ann, role: manager, reason: "why\nnot", valid_until: 2040-01-01T00:00:00Z}, cid, dora]}
      - {name: twins, external_ids: {ldap: t}, attributes: {dronahq: {kind: 5}}}
      - {name: Staff, members: [{group: "number:1"}, {user: bob, valid_from: 2039-01-01T00:00:00Z}]}
      - {name: Administrators, grants: [admin], built_in: true, members: [Ann]}
      - {name: Doomed, members: [cid]}
    credentials:
      - {kind: native, name: admin, grants: [admin]}
      - {kind: native, name: of cid, user: cid, grants: [members.read], expires: 2035-01-01T00:00:00Z}
      - {kind: syncano_account, name: sa, grants: [admin]}
      - {kind: syncano_api_key, name: sk, grants: [members.read], attributes: {syncano: {ignore_acl: true}}}
      - {kind: syncano_user_key, name: su, user: Ann, grants: [self.read]}
      - {kind: contensis_client, name: cc, handle: client-1, grants: [admin]}
      - {kind: dronahq, name: dh, grants: [members.write]}
      - {kind: softwareone, name: so, code: 10000002, grants: [admin]}
  - name: globex
    id: 0190a000-0000-7000-8000-000000000002
    users:
      - {name: ann, id: 0190a000-0000-7000-8000-0000000000a1, number: 7, email: ann@example.com, email_verified: true}
    groups:
      - {name: Twins, id: 0190a000-0000-7000-8000-0000000000b1, members: [ann]}
  - name: gone
    users: [{name: ghost, email: ghost@example.com, email_verified: true}]
    groups: [{name: Ghosts, members: [ghost]}]
`

// in is the operator acting in a tenant.
func in(t directory.Tenant) directory.Principal {
	p := server.Operator("test")
	p.Tenant, p.Grants = t.ID, p.Grants|directory.Admin
	return p
}

func opened(t *testing.T, at server.Storage) *server.Opened {
	t.Helper()
	o, err := server.Open(t.Context(), at, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func closed(t *testing.T, o *server.Opened) {
	t.Helper()
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
}

// must returns what an operation answered.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// kept is a request whose answer is kept for those who repeat it.
func kept() *directory.Once {
	return &directory.Once{Key: "k-1", Fingerprint: [32]byte{1}, Encode: func(any, directory.Revision) []byte { return []byte("\x00the answer\xff") }}
}

// fillWithEverything makes a data directory that holds everything, with a past.
func fillWithEverything(t *testing.T, dir string) {
	t.Helper()
	o := opened(t, server.Storage{Data: dir})
	defer closed(t, o)
	file, err := apply.Read(strings.NewReader(everything))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Applier().Apply(t.Context(), server.Operator("test"), file, false); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	acme := must[directory.Tenant](t)(o.Directory.FindTenant(ctx, "acme"))
	gone := must[directory.Tenant](t)(o.Directory.FindTenant(ctx, "gone"))
	p := in(acme)
	name := func(s string) *string { return &s }
	yes := true
	user := must[directory.Answer[directory.User]](t)
	group := must[directory.Answer[directory.Group]](t)
	members := must[directory.Answer[directory.MembersResult]](t)
	user(o.Directory.UpdateUser(ctx, p, directory.UserUpdate{User: directory.ByName("dora"), Name: name("Dora the Second")}))
	user(o.Directory.UpdateUser(ctx, p, directory.UserUpdate{User: directory.ByName("cid"), Suspended: &yes}))
	days, locked := 90, true
	user(o.Directory.UpdateUser(ctx, p, directory.UserUpdate{User: directory.ByName("cid"), SignIn: directory.SignInUpdate{Locked: &locked, ChangeEvery: &days}}))
	group(o.Directory.UpdateGroup(ctx, p, directory.GroupUpdate{Group: directory.ByName("Staff"), Joins: &directory.Joins{Domains: []string{"example.com"}}}))
	ann := must[directory.Answer[directory.User]](t)(o.Directory.User(ctx, p, directory.ByName("ann"))).Value
	if err := o.Directory.CountVisits(ctx, map[directory.Visit]int{{Tenant: acme.ID, User: ann.ID, Day: 20000}: 3}); err != nil {
		t.Fatal(err)
	}
	cid := []directory.MemberRef{{Ref: directory.ByName("cid")}}
	members(o.Directory.ChangeMembers(ctx, p, directory.MembersChange{Group: directory.ByNumber(1), Remove: cid}))
	members(o.Directory.ChangeMembers(ctx, p, directory.MembersChange{Group: directory.ByNumber(1), Add: cid}))
	members(o.Directory.ChangeMembers(ctx, p, directory.MembersChange{Group: directory.ByName("Staff"), Remove: []directory.MemberRef{{Ref: directory.ByName("bob")}}}))
	user(o.Directory.DeleteUser(ctx, p, directory.Deletion{Ref: directory.ByName("leaver")}))
	group(o.Directory.UpdateGroup(ctx, p, directory.GroupUpdate{Group: directory.ByName("Doomed"), Name: name("Doomed indeed")}))
	group(o.Directory.DeleteGroup(ctx, p, directory.Deletion{Ref: directory.ByName("Doomed indeed")}))
	list := must[directory.Answer[directory.Found[directory.Credential]]](t)(o.Directory.Credentials(ctx, p, directory.ListCredentials{Page: directory.Page{Limit: 100}}))
	for _, c := range list.Value.Items {
		if c.Name == "of cid" {
			must[directory.Answer[directory.Credential]](t)(o.Directory.RevokeCredential(ctx, p, c.ID))
		}
		if c.Kind == authn.DronaHQ {
			if err := o.Directory.Touch(ctx, map[id.Credential]time.Time{c.ID: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
	}
	client := list.Value.Items[slices.IndexFunc(list.Value.Items, func(c directory.Credential) bool { return c.Kind == authn.ContensisClient })]
	signedIn := p
	signedIn.Credential = client.ID
	_, hash, sealed := o.Authn.Mint(authn.ContensisAccess)
	must[directory.Answer[directory.Credential]](t)(o.Directory.Issue(ctx, signedIn, directory.NewCredential{Kind: authn.ContensisAccess, Name: "token", Grants: directory.ReadUsers, Expires: time.Now().Add(time.Hour), Hash: hash, Sealed: sealed}))
	once := p
	once.Once = kept()
	user(o.Directory.CreateUser(ctx, once, directory.NewUser{Name: "kept", Email: "kept@example.com"}))
	must[directory.Answer[directory.Tenant]](t)(o.Directory.DeleteTenant(ctx, server.Operator("test"), gone.ID))
}

// saysOfAll is what a deployment says about everything in it.
func saysOfAll(t *testing.T, o *server.Opened) string {
	t.Helper()
	ctx := t.Context()
	var b strings.Builder
	all := directory.Page{Limit: 100}
	tenants := must[directory.Found[directory.Tenant]](t)(o.Directory.Tenants(ctx, server.Operator("test"), all))
	for _, tenant := range tenants.Items {
		p := in(tenant)
		fmt.Fprintf(&b, "tenant %+v\n", tenant)
		users := must[directory.Answer[directory.Found[directory.User]]](t)(o.Directory.Users(ctx, p, directory.ListUsers{Page: all}))
		groups := must[directory.Answer[directory.Found[directory.Group]]](t)(o.Directory.Groups(ctx, p, directory.ListGroups{Page: all}))
		fmt.Fprintf(&b, "revision %d\n", users.Revision)
		for _, u := range users.Value.Items {
			fmt.Fprintf(&b, "user %+v\n", u)
		}
		found := must[directory.Answer[directory.Sorted[directory.User]]](t)(o.Directory.FindUsers(ctx, p, directory.FindUsers{Finding: directory.Finding{Limit: 100, Order: []directory.Order{{Field: directory.FieldName}}}}))
		for _, u := range found.Value.Items {
			fmt.Fprintf(&b, "sorted %s\n", u.Name)
		}
		for _, g := range groups.Value.Items {
			fmt.Fprintf(&b, "group %+v\n", g)
			for rev := directory.Revision(0); rev <= users.Revision; rev++ {
				page := directory.Page{Limit: 100, At: directory.When{Revision: rev}}
				members, err := o.Directory.Members(ctx, p, directory.ListMembers{Page: page, Group: directory.ByGroup(g.ID)})
				fmt.Fprintf(&b, "at %d %s %v\n", rev, text(t, members.Value.Items), err) // before it was made it is an error
			}
			for _, u := range users.Value.Items {
				is := must[directory.Answer[bool]](t)(o.Directory.IsMember(ctx, p, directory.Check{User: directory.ByUser(u.ID), Group: directory.ByGroup(g.ID)}))
				stays := must[directory.Answer[directory.Found[directory.Stay]]](t)(o.Directory.Timeline(ctx, p, directory.Timeline{Page: all, Group: directory.ByGroup(g.ID), Member: directory.MemberRef{Ref: directory.ByUser(u.ID)}}))
				fmt.Fprintf(&b, "%s %v\n", u.Name, is.Value)
				for _, s := range stays.Value.Items {
					fmt.Fprintf(&b, "stay %+v\n", s.Period)
				}
			}
		}
		list := must[directory.Answer[directory.Found[directory.Credential]]](t)(o.Directory.Credentials(ctx, p, directory.ListCredentials{Page: all, Sealed: true}))
		for _, c := range list.Value.Items {
			fmt.Fprintf(&b, "credential %+v\n", c)
			if len(c.Sealed) > 0 {
				if _, err := o.Authn.Reveal(c); err != nil {
					t.Errorf("the secret of %s is lost: %v", c.Name, err)
				}
			}
		}
		if tenant.Name == "acme" {
			p.Once = kept()
			_, err := o.Directory.CreateUser(ctx, p, directory.NewUser{Name: "kept"})
			if !errors.Is(err, directory.ErrReplayed) {
				t.Errorf("a request whose answer was kept is carried out again: %v", err)
			}
			fmt.Fprintf(&b, "kept %q\n", p.Once.Replay)
			p.Once = nil
			_, _, err = o.Directory.PasswordOf(ctx, tenant.ID, directory.ByName("ann"), authn.Password)
			if err != nil {
				t.Errorf("the password is lost: %v", err)
			}
			_, err = o.Directory.CreateUser(ctx, p, directory.NewUser{Name: "again", Number: 11})
			fmt.Fprintf(&b, "a number of the dead: %v\n", err)
		}
	}
	return b.String()
}

// text renders whatever hangs on a value.
func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// nextOnes are the names that a deployment gives to what is made now.
func nextOnes(t *testing.T, o *server.Opened) string {
	t.Helper()
	ctx := t.Context()
	acme := must[directory.Tenant](t)(o.Directory.FindTenant(ctx, "acme"))
	p := in(acme)
	u := must[directory.Answer[directory.User]](t)(o.Directory.CreateUser(ctx, p, directory.NewUser{Name: "next"}))
	g := must[directory.Answer[directory.Group]](t)(o.Directory.CreateGroup(ctx, p, directory.NewGroup{Name: "next"}))
	m := must[directory.Answer[directory.MembersResult]](t)(o.Directory.ChangeMembers(ctx, p, directory.MembersChange{Group: directory.ByGroup(g.Value.ID), Add: []directory.MemberRef{{Ref: directory.ByUser(u.Value.ID)}}}))
	_, hash, sealed := o.Authn.Mint(authn.Native)
	c := must[directory.Answer[directory.Credential]](t)(o.Directory.CreateCredential(ctx, p, directory.NewCredential{Kind: authn.Native, Name: "next", Grants: directory.ReadUsers, Hash: hash, Sealed: sealed}))
	n := must[directory.Answer[directory.Tenant]](t)(o.Directory.CreateTenant(ctx, server.Operator("test"), directory.NewTenant{Name: "next"}))
	is := must[directory.Answer[bool]](t)(o.Directory.IsMember(ctx, p, directory.Check{User: directory.ByUser(u.Value.ID), Group: directory.ByGroup(g.Value.ID)}))
	return fmt.Sprintf("user %d %d %d, group %d %d, member in %d, credential %d, tenant %d, %v", u.Value.Number, u.Value.Code, u.Value.PersonCode, g.Value.Number, g.Value.Code, m.Revision, c.Value.Code, n.Value.Code, is.Value)
}

// lastPK is the pk of the tenant called next.
func lastPK(t *testing.T, from transfer.Source) (pk any) {
	t.Helper()
	table := transfer.Find("tenants")
	err := from.Read(t.Context(), table, nil, func(r transfer.Row) bool {
		if r[table.Column("name")] == "next" {
			pk = r[0]
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return pk
}

// rows are all rows of one end.
func rows(t *testing.T, from transfer.Source) map[string][]transfer.Row {
	t.Helper()
	out := map[string][]transfer.Row{}
	for _, table := range transfer.Tables {
		err := from.Read(t.Context(), table, nil, func(r transfer.Row) bool {
			out[table.Name] = append(out[table.Name], r)
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := from.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

func quiet(string) {}

// copies copies, and wants it to succeed.
func copies(t *testing.T, from, to string) []server.CopyResult {
	t.Helper()
	results, err := server.Copy(t.Context(), from, to, nil, quiet)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if !r.Equal || r.Rows != r.Found {
			t.Errorf("%+v", r)
		}
	}
	return results
}

// sealKeyOf sets the key that the nodes of a database need to that of a directory.
func sealKeyOf(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(authn.SealKeyEnv, string(text))
}

func source(t *testing.T, store string) transfer.Source {
	t.Helper()
	if dir, ok := strings.CutPrefix(store, "sqlite:"); ok {
		return must[*sqlite.End](t)(sqlite.OpenSource(t.Context(), dir))
	}
	return must[*postgres.End](t)(postgres.OpenSource(t.Context(), store))
}

func TestADeploymentIsTheSameAfterItWasCopiedThereAndBack(t *testing.T) {
	a, c, d := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "c"), filepath.Join(t.TempDir(), "d")
	db := pgtest.Shared(t)
	b, b2 := db.Database(t), db.Database(t)
	fillWithEverything(t, a)
	for _, r := range copies(t, "sqlite:"+a, b) {
		if r.Rows == 0 {
			t.Errorf("the table %s was empty: nothing is known of it", r.Table)
		}
	}
	sealKeyOf(t, a)
	copies(t, b, "sqlite:"+c)
	copies(t, b, b2)
	copies(t, "sqlite:"+c, "sqlite:"+d)

	ends := []string{"sqlite:" + a, b, "sqlite:" + c, b2, "sqlite:" + d}
	want := rows(t, source(t, ends[0]))
	for _, end := range ends[1:] {
		if diff := cmp.Diff(want, rows(t, source(t, end))); diff != "" {
			t.Errorf("%s differs (-source +copy):\n%s", end, diff)
		}
	}
	for _, dir := range []string{c, d} {
		info, err := os.Stat(filepath.Join(dir, "seal.key"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the key in %s: %v, %v", dir, info, err)
		}
	}
	var said, next string
	var pk any
	for i, end := range ends {
		at := server.Storage{Store: end}
		if dir, ok := strings.CutPrefix(end, "sqlite:"); ok {
			at = server.Storage{Data: dir}
		}
		o := opened(t, at)
		says, gives := saysOfAll(t, o), nextOnes(t, o)
		closed(t, o)
		from := source(t, end)
		given := lastPK(t, from)
		from.Close()
		if i == 0 {
			said, next, pk = says, gives, given
			continue
		}
		if diff := cmp.Diff(strings.Split(said, "\n"), strings.Split(says, "\n")); diff != "" {
			t.Errorf("%s answers otherwise (-source +copy):\n%s", end, diff)
		}
		if gives != next || given != pk {
			t.Errorf("%s gives %s, pk %v; the source gave %s, pk %v", end, gives, given, next, pk)
		}
	}
}

func TestACopyGoesOnWhereItWasCutOff(t *testing.T) {
	a := filepath.Join(t.TempDir(), "a")
	fillWithEverything(t, a)
	sealKeyOf(t, a)
	for name, to := range map[string]string{"postgres": pgtest.Shared(t).Database(t), "sqlite": "sqlite:" + filepath.Join(t.TempDir(), "b")} {
		t.Run(name, func(t *testing.T) {
			seen := map[string]bool{}
			for verified := 0; ; {
				ctx, cancel := context.WithCancel(t.Context())
				_, err := server.Copy(ctx, "sqlite:"+a, to, func(p server.CopyProgress) {
					// Cut off once at each page of each table, and thrice while comparing.
					if at := fmt.Sprint(p.Table, p.Verify, p.Rows); !seen[at] && p.Rows > 0 && (!p.Verify || verified < 3) {
						seen[at] = true
						if p.Verify {
							verified++
						}
						cancel()
					}
				}, quiet)
				cut := ctx.Err() != nil
				cancel()
				if err == nil {
					break
				}
				if !cut || !strings.Contains(err.Error(), "interrupted; the same command goes on from there") {
					t.Fatal(err)
				}
				at := server.Storage{Store: to}
				if dir, ok := strings.CutPrefix(to, "sqlite:"); ok {
					at = server.Storage{Data: dir}
				}
				if _, err := server.Open(t.Context(), at, slog.New(slog.DiscardHandler)); !errors.Is(err, sqlite.ErrFilling) && !errors.Is(err, postgres.ErrFilling) {
					t.Fatalf("a store that is being filled is opened: %v", err)
				}
				if _, err := server.Copy(t.Context(), to, "sqlite:"+filepath.Join(t.TempDir(), "x"), nil, quiet); !errors.Is(err, sqlite.ErrFilling) && !errors.Is(err, postgres.ErrFilling) {
					t.Fatalf("a store that is being filled is copied: %v", err)
				}
			}
			if len(seen) < len(transfer.Tables) {
				t.Errorf("it was cut off %d times only", len(seen))
			}
			if diff := cmp.Diff(rows(t, source(t, "sqlite:"+a)), rows(t, source(t, to))); diff != "" {
				t.Errorf("the copy differs (-source +copy):\n%s", diff)
			}
			o := opened(t, func() server.Storage {
				if dir, ok := strings.CutPrefix(to, "sqlite:"); ok {
					return server.Storage{Data: dir}
				}
				return server.Storage{Store: to}
			}())
			saysOfAll(t, o)
			nextOnes(t, o)
			closed(t, o)
		})
	}
}

// cutOff begins a copy that comes no further than to a table.
func cutOff(t *testing.T, from, to, table string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := server.Copy(ctx, from, to, func(p server.CopyProgress) {
		if p.Table == table {
			cancel()
		}
	}, quiet)
	if err == nil || ctx.Err() == nil {
		t.Fatalf("it was not cut off: %v", err)
	}
}

func TestACopyThatCannotBeMadeIsRefusedInOneLineAndChangesNothing(t *testing.T) {
	t.Setenv(authn.SealKeyEnv, "")
	db := pgtest.Shared(t)
	dir := func() string { return filepath.Join(t.TempDir(), "data") }
	full := dir()
	fillWithEverything(t, full)
	text, err := os.ReadFile(filepath.Join(full, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	key := string(text)
	other := strings.Repeat("ab", 32)
	fullDB := db.Database(t)
	copies(t, "sqlite:"+full, fullDB)
	statement := func(dsn string, queries ...string) {
		t.Helper()
		c, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(t.Context())
		for _, q := range queries {
			if _, err := c.Exec(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
	}
	embedded := func(dir string, queries ...string) {
		t.Helper()
		c, err := sql.Open("sqlite", filepath.Join(dir, "roster.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, q := range queries {
			if _, err := c.ExecContext(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
	}
	empty := func() string {
		d := dir()
		closed(t, opened(t, server.Storage{Data: d}))
		return d
	}
	cases := map[string]struct {
		from, to, env, want string
		prepare             func(t *testing.T)
	}{
		"the same directory":           {from: "sqlite:" + full, to: "sqlite:" + full + "/.", want: "--from and --to name the same store"},
		"the same database":            {from: fullDB, to: fullDB + "&application_name=x", env: key, want: "--from and --to name the same store"},
		"no store":                     {from: "sqlite:" + full, to: "mysql://root:hunter2@x/y", want: "--to: a store is named sqlite:DIR or postgres://user@host/db"},
		"no directory":                 {from: "sqlite:" + full + "x", to: "sqlite:" + dir(), want: "is no data directory: there is no roster.db in it"},
		"a host":                       {from: "sqlite://host/dir", to: "sqlite:" + dir(), want: "a store is named sqlite:DIR"},
		"no database":                  {from: "sqlite:" + full, to: db.DSN("nowhere"), want: `has no database "nowhere"`},
		"a target that is not empty":   {from: fullDB, to: "sqlite:" + full, env: key, want: "it is not empty; name a new one"},
		"a database that is not empty": {from: "sqlite:" + full, to: fullDB, want: "it is not empty; name a new one"},
		"an empty source database":     {from: db.Database(t), to: "sqlite:" + dir(), want: "schema is older than this program"},
		"a key that is another":        {from: "sqlite:" + full, to: "sqlite:" + dir(), env: other, want: "ROSTER_SEAL_KEY is not the key in " + full},
		"a key that is no key":         {from: "sqlite:" + full, to: "sqlite:" + dir(), env: "x", want: "ROSTER_SEAL_KEY must be 64 hex digits"},
		"a database's key is another":  {from: fullDB, to: "sqlite:" + dir(), env: other, want: "ROSTER_SEAL_KEY is not the key that the secrets in "},
		"a database's key is unknown":  {from: fullDB, to: "sqlite:" + dir(), want: "set ROSTER_SEAL_KEY to the key that its nodes have"},
	}
	add := func(name, from, to, env, want string, prepare func(t *testing.T)) {
		cases[name] = struct {
			from, to, env, want string
			prepare             func(t *testing.T)
		}{from, to, env, want, prepare}
	}
	locked := empty()
	add("a source that is served", "sqlite:"+locked, "sqlite:"+dir(), "", "another process is using this data directory: stop that server first", func(t *testing.T) {
		o := opened(t, server.Storage{Data: locked})
		t.Cleanup(func() { closed(t, o) })
	})
	add("a target that is served", "sqlite:"+full, "sqlite:"+locked, "", "another process is using this data directory: stop that server first", func(t *testing.T) {
		o := opened(t, server.Storage{Data: locked})
		t.Cleanup(func() { closed(t, o) })
	})
	keyed := dir()
	add("a directory with another key", "sqlite:"+full, "sqlite:"+keyed, "", "is not the one that the secrets in", func(t *testing.T) {
		if err := errors.Join(os.MkdirAll(keyed, 0o700), os.WriteFile(filepath.Join(keyed, "seal.key"), []byte(other), 0o600)); err != nil {
			t.Fatal(err)
		}
	})
	wrong := dir()
	add("a directory whose key opens nothing", "sqlite:"+wrong, "sqlite:"+dir(), "", "are sealed with another key than "+wrong, func(t *testing.T) {
		copies(t, "sqlite:"+full, "sqlite:"+wrong)
		if err := os.WriteFile(filepath.Join(wrong, "seal.key"), []byte(other), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	lost := dir()
	add("a directory whose key is gone", "sqlite:"+lost, "sqlite:"+dir(), "", "set ROSTER_SEAL_KEY to the key that its servers have", func(t *testing.T) {
		copies(t, "sqlite:"+full, "sqlite:"+lost)
		if err := os.Remove(filepath.Join(lost, "seal.key")); err != nil {
			t.Fatal(err)
		}
	})
	pinned := db.Database(t)
	add("a database with another key", "sqlite:"+full, pinned, "", "seal with another key than the source's", func(t *testing.T) {
		t.Setenv(authn.SealKeyEnv, other)
		closed(t, opened(t, server.Storage{Store: pinned}))
		t.Setenv(authn.SealKeyEnv, "")
	})
	oldDir, newDir, oldDB, newDB := empty(), empty(), db.Database(t), db.Database(t)
	for _, dsn := range []string{oldDB, newDB} {
		if _, err := server.Migrate(t.Context(), dsn, false); err != nil {
			t.Fatal(err)
		}
	}
	embedded(oldDir, "PRAGMA user_version = 1")
	embedded(newDir, "PRAGMA user_version = 999")
	statement(oldDB, "UPDATE settings SET value = '1' WHERE name = 'schema'")
	statement(newDB, "UPDATE settings SET value = '999' WHERE name = 'schema'")
	add("an older source", "sqlite:"+oldDir, "sqlite:"+dir(), "", "its schema is older than this program: start roster serve on it once", nil)
	add("an older target", "sqlite:"+full, "sqlite:"+oldDir, "", "its schema is older than this program: start roster serve on it once", nil)
	add("a newer source", "sqlite:"+newDir, "sqlite:"+dir(), "", "run a newer roster", nil)
	add("a newer target", "sqlite:"+full, "sqlite:"+newDir, "", "run a newer roster", nil)
	add("an older source database", oldDB, "sqlite:"+dir(), key, "schema is older than this program: run roster migrate", nil)
	add("an older target database", "sqlite:"+full, oldDB, "", "schema is older than this program: run roster migrate", nil)
	add("a newer source database", newDB, "sqlite:"+dir(), key, "schema is newer than this program: run a newer roster", nil)
	add("a newer target database", "sqlite:"+full, newDB, "", "schema is newer than this program: run a newer roster", nil)
	part, elsewhere := "sqlite:"+dir(), dir()
	add("a part of another copy", "sqlite:"+elsewhere, part, "", "it holds a part of a copy of sqlite:"+full, func(t *testing.T) {
		cutOff(t, "sqlite:"+full, part, "edges")
		fillWithEverything(t, elsewhere)
		if err := os.WriteFile(filepath.Join(elsewhere, "seal.key"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		// Sealed with a key that is gone, which comes before.
		embedded(elsewhere, "UPDATE credentials SET sealed = NULL")
	})
	moved, movedTo := dir(), db.Database(t)
	add("a source that was written to meanwhile", "sqlite:"+moved, movedTo, "", "was written to after the copy into", func(t *testing.T) {
		copies(t, "sqlite:"+full, "sqlite:"+moved)
		cutOff(t, "sqlite:"+moved, movedTo, "log")
		o := opened(t, server.Storage{Data: moved})
		defer closed(t, o)
		acme := must[directory.Tenant](t)(o.Directory.FindTenant(t.Context(), "acme"))
		must[directory.Answer[directory.User]](t)(o.Directory.CreateUser(t.Context(), in(acme), directory.NewUser{Name: "late"}))
	})
	busy := db.Database(t)
	add("a target that another copy fills", "sqlite:"+full, busy, "", "another roster copy into that database is running", func(t *testing.T) {
		end := must[*postgres.End](t)(postgres.OpenTarget(t.Context(), busy))
		t.Cleanup(func() { end.Close() })
	})
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		c := cases[name]
		t.Run(name, func(t *testing.T) {
			if c.prepare != nil {
				c.prepare(t)
			}
			t.Setenv(authn.SealKeyEnv, c.env)
			before := held(t, c.to)
			_, err := server.Copy(t.Context(), c.from, c.to, nil, quiet)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("it ends with %v\nwant %q", err, c.want)
			}
			for _, secret := range []string{key, other, "hunter2"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("a secret is shown: %v", err)
				}
			}
			if after := held(t, c.to); after != before {
				t.Errorf("the target was changed from %q to %q", before, after)
			}
		})
	}
}

// held tells of a directory that it is there, with which key, and of a store what
// is in its tables as far as it has any.
func held(t *testing.T, store string) string {
	t.Helper()
	if dir, ok := strings.CutPrefix(store, "sqlite:"); ok {
		if _, err := os.Stat(dir); err != nil {
			return "nothing"
		}
		key, _ := os.ReadFile(filepath.Join(dir, "seal.key")) // none is fine
		db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "roster.db")+"?mode=ro")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		text := string(key)
		for _, q := range []string{"SELECT count(*) FROM tenants", "SELECT count(*) FROM log", "SELECT note FROM copying", "PRAGMA user_version"} {
			var v any
			err := db.QueryRowContext(t.Context(), q).Scan(&v)
			text += fmt.Sprint(" ", v, err == nil)
		}
		return text
	}
	c, err := pgx.Connect(t.Context(), store)
	if err != nil {
		return "nothing"
	}
	defer c.Close(t.Context())
	text := ""
	for _, q := range []string{"SELECT count(*) FROM tenants WHERE pk > 1", "SELECT count(*) FROM log", "SELECT string_agg(name || value, ' ' ORDER BY name) FROM settings WHERE name <> 'schema'"} {
		var v any
		if err := c.QueryRow(t.Context(), q).Scan(&v); err != nil {
			v = nil // without a schema there is nothing, as after one was made
		}
		if v == int64(0) {
			v = nil
		}
		text += fmt.Sprint(" ", v)
	}
	return text
}

func TestAStandbyIsNoTarget(t *testing.T) {
	db := pgtest.New(t, "fsync = off")
	standby := db.Standby(t, "standby")
	dir := t.TempDir()
	fillWithEverything(t, dir)
	_, err := server.Copy(t.Context(), "sqlite:"+dir, standby.DSN("postgres"), nil, quiet)
	if !errors.Is(err, postgres.ErrStandby) || strings.Contains(err.Error(), "\n") {
		t.Errorf("it ends with %v", err)
	}
}

func TestACopyOfADatabaseIsOfOneMoment(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	fillWithEverything(t, dir)
	sealKeyOf(t, dir)
	db := pgtest.Shared(t)
	from, to := db.Database(t), "sqlite:"+filepath.Join(t.TempDir(), "b")
	copies(t, "sqlite:"+dir, from)
	want := rows(t, source(t, from))
	node := opened(t, server.Storage{Store: from})
	acme := must[directory.Tenant](t)(node.Directory.FindTenant(t.Context(), "acme"))
	n := 0
	_, err := server.Copy(t.Context(), from, to, func(server.CopyProgress) {
		n++
		if n%5 == 1 {
			must[directory.Answer[directory.User]](t)(node.Directory.CreateUser(t.Context(), in(acme), directory.NewUser{Name: fmt.Sprint("late", n)}))
		}
	}, quiet)
	closed(t, node)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, rows(t, source(t, to))); diff != "" {
		t.Errorf("what was written meanwhile is in it (-before +copy):\n%s", diff)
	}
}

func TestWhatDiffersIsFoundAndTheTargetStaysShut(t *testing.T) {
	a := filepath.Join(t.TempDir(), "a")
	fillWithEverything(t, a)
	b := filepath.Join(t.TempDir(), "b")
	results, err := server.Copy(t.Context(), "sqlite:"+a, "sqlite:"+b, func(p server.CopyProgress) {
		if p.Table == "counters" && p.Verify && p.Rows == 0 {
			db, err := sql.Open("sqlite", filepath.Join(b, "roster.db"))
			if err != nil {
				t.Error(err)
			}
			defer db.Close()
			// Two rows change places: counts and keys stay what they were.
			if _, err := db.ExecContext(t.Context(), "UPDATE users SET suspended = 1 - suspended WHERE name IN ('bob', 'Ann')"); err != nil {
				t.Error(err)
			}
		}
	}, quiet)
	if !errors.Is(err, transfer.ErrUnequal) || !strings.Contains(err.Error(), "in users:") {
		t.Fatalf("it ends with %v", err)
	}
	for _, r := range results {
		if r.Equal != (r.Table != "users") || r.Rows != r.Found {
			t.Errorf("%+v", r)
		}
	}
	if _, err := server.Open(t.Context(), server.Storage{Data: b}, slog.New(slog.DiscardHandler)); !errors.Is(err, sqlite.ErrFilling) {
		t.Errorf("it is opened: %v", err)
	}
}

// run is the real program copying.
func copyCommand(t *testing.T, from, to string) (*exec.Cmd, *lockedBuffer) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	out := &lockedBuffer{}
	cmd := exec.Command(path, "copy")
	cmd.Env = append(os.Environ(), "ROSTER_COPY_FROM="+from, "ROSTER_COPY_TO="+to, "ROSTER_STORE=postgres://nobody@nowhere/none")
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out
}

// TestACopyThatIsKilledGoesOn kills and interrupts the real program while it
// copies, there and back, and lets the last one finish.
func TestACopyThatIsKilledGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("the real program is killed while it copies; run without -short")
	}
	dir := filepath.Join(t.TempDir(), "a")
	fillWithEverything(t, dir)
	o := opened(t, server.Storage{Data: dir})
	acme := must[directory.Tenant](t)(o.Directory.FindTenant(t.Context(), "acme"))
	var refs []directory.MemberRef
	for n := range 8 {
		users := directory.NewUsers{}
		for i := range directory.MaxUsers {
			users.Users = append(users.Users, directory.NewUser{Name: fmt.Sprintf("user %d %d", n, i)})
		}
		made := must[directory.Answer[[]directory.UserResult]](t)(o.Directory.CreateUsers(t.Context(), in(acme), users))
		for _, u := range made.Value {
			refs = append(refs, directory.MemberRef{Ref: directory.ByUser(u.User.ID)})
		}
	}
	for n := range 6 {
		g := must[directory.Answer[directory.Group]](t)(o.Directory.CreateGroup(t.Context(), in(acme), directory.NewGroup{Name: fmt.Sprint("big ", n)}))
		must[directory.Answer[directory.MembersResult]](t)(o.Directory.ChangeMembers(t.Context(), in(acme), directory.MembersChange{Group: directory.ByGroup(g.Value.ID), Add: refs}))
	}
	closed(t, o)
	sealKeyOf(t, dir)

	db, back := pgtest.Shared(t).Database(t), filepath.Join(t.TempDir(), "b")
	onDB, err := pgx.Connect(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer onDB.Close(context.WithoutCancel(t.Context()))
	pg := func() (note string) {
		onDB.QueryRow(t.Context(), "SELECT value FROM settings WHERE name = 'copy'").Scan(&note) // none yet is none
		return note
	}
	embedded := func() (note string) {
		c, err := sql.Open("sqlite", "file:"+filepath.Join(back, "roster.db")+"?mode=ro")
		if err == nil {
			c.QueryRowContext(t.Context(), "SELECT note FROM copying").Scan(&note) // none yet is none
			c.Close()
		}
		return note
	}
	for _, way := range []struct {
		from, to string
		note     func() string
	}{{"sqlite:" + dir, db, pg}, {db, "sqlite:" + back, embedded}} {
		stopped := 0
		stops := []struct {
			table  string // or one after it
			signal syscall.Signal
		}{{"counters", syscall.SIGKILL}, {"edges", syscall.SIGINT}, {"edges", syscall.SIGKILL}, {"kept", syscall.SIGKILL}, {"kept", syscall.SIGKILL}}
		for i, stop := range stops {
			before := way.note()
			cmd, out := copyCommand(t, way.from, way.to)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			for waiting := true; waiting; {
				select {
				case err := <-ended:
					t.Fatalf("it ended before it could be stopped at %q: %v\n%s", stop.table, err, out)
				case <-time.After(time.Millisecond):
					note := way.note()
					waiting = !reached(note, stop.table) || note == before && i < len(stops)-1
				}
			}
			cmd.Process.Signal(stop.signal)
			if err := <-ended; err != nil {
				stopped++
			}
			if stop.signal == syscall.SIGINT && !strings.Contains(out.String(), "roster: interrupted; the same command goes on from there\n") {
				t.Errorf("an interrupt ends with:\n%s", out)
			}
			if way.note() == "" {
				t.Fatal("it had ended when it was stopped")
			}
			path, _ := binary() // it was built before
			serve := exec.Command(path, "serve", "--listen", "127.0.0.1:0", "--ops-listen", "")
			if way.to == db {
				serve.Args = append(serve.Args, "--store", db, "--data", t.TempDir())
			} else {
				serve.Args = append(serve.Args, "--data", back)
			}
			if said, err := serve.CombinedOutput(); err == nil || !bytes.Contains(said, []byte("has not ended: run roster copy again until it has")) {
				t.Errorf("a server starts on a part of a copy: %v\n%s", err, said)
			}
		}
		if stopped != len(stops) {
			t.Errorf("it was stopped %d times of %d", stopped, len(stops))
		}
		cmd, out := copyCommand(t, way.from, way.to)
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if way.to == db && !strings.Contains(out.String(), "every node needs ROSTER_SEAL_KEY set to the content of "+filepath.Join(dir, "seal.key")+"\n") {
			t.Errorf("nothing is said of the key:\n%s", out)
		}
		if strings.Contains(out.String(), os.Getenv(authn.SealKeyEnv)) {
			t.Error("the key is shown")
		}
	}
	if diff := cmp.Diff(rows(t, source(t, "sqlite:"+dir)), rows(t, source(t, "sqlite:"+back))); diff != "" {
		t.Errorf("the copy differs (-source +copy):\n%s", diff)
	}
}

// reached reports whether a copy's note says that it has begun to fill a table, or
// one after it.
func reached(note, table string) bool {
	for _, t := range slices.Backward(transfer.Tables) {
		if strings.Contains(note, `"table":"`+t.Name+`"`) {
			return true
		}
		if t.Name == table {
			return false
		}
	}
	return false
}

func TestAKeyThatCannotBeReadIsRefusedBeforeADirectoryIsChanged(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(authn.SealKeyEnv, "abcd")
	if o, err := server.Open(t.Context(), server.Storage{Data: dir}, slog.New(slog.DiscardHandler)); err == nil {
		o.Close()
		t.Error("it was opened")
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 0 {
		t.Errorf("it left %v, %v", files, err)
	}
	t.Setenv(authn.SealKeyEnv, "")
	o, err := server.Open(t.Context(), server.Storage{Data: dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}
