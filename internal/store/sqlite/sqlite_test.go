package sqlite

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/storetest"
)

var update = flag.Bool("update", false, "rewrite testdata")

var ctx = context.Background()

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fill makes a tenant.
func fill(t testing.TB, s *Store, name string) id.Tenant {
	t.Helper()
	tenant := directory.Tenant{Name: name}
	_, err := s.Update(ctx, id.Tenant{}, directory.Author{}, func(w directory.Writer) error { return w.InsertTenant(&tenant) })
	must(t, err)
	return tenant.ID
}

func TestASecondProcessIsKeptOut(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	if _, err := Open(ctx, dir); !errors.Is(err, ErrLocked) {
		t.Fatalf("a second Open says %v, want that the directory is locked", err)
	}
	must(t, s.Close())
	again, err := Open(ctx, dir)
	must(t, err)
	must(t, again.Close())
}

func TestADatabaseOfANewerProgramIsRefusedUntouched(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	fill(t, s, "one")
	var have int
	must(t, s.writer.row(ctx, "PRAGMA user_version").Scan(&have))
	must(t, s.writer.exec(ctx, fmt.Sprintf("PRAGMA user_version = %d", have+1)))
	must(t, s.Close())
	read := func() map[string]string {
		files := map[string]string{}
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		must(t, err)
		for _, name := range names {
			text, err := os.ReadFile(name)
			must(t, err)
			files[filepath.Base(name)] = string(text)
		}
		return files
	}
	before := read()
	if _, err := Open(ctx, dir); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Fatalf("Open says %v, want that a newer program is needed", err)
	}
	after := read()
	for name := range after {
		if after[name] != before[name] {
			t.Errorf("%s has changed", name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("there were %d files and are %d", len(before), len(after))
	}
}

func TestADataDirectoryMayHaveAnyName(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"plain", "with space", "a%20b?c#d", "ä", "deep/er", "."} {
		s := openIn(t, dir)
		fill(t, s, "one")
		must(t, s.Close())
		if _, err := os.Stat(filepath.Join(dir, "roster.db")); err != nil {
			t.Error(err)
		}
	}
}

func TestTheFilesAreTheOwnersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := openIn(t, dir)
	fill(t, s, "one")
	for _, name := range []string{".", "roster.db", "roster.db-wal", "lock"} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}

func TestWhatIsAcknowledgedIsOnDisk(t *testing.T) {
	s := openIn(t, t.TempDir())
	s.lend(func(c *conn) {
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "trusted_schema": "0"} {
			var got string
			must(t, c.row(ctx, "PRAGMA "+pragma).Scan(&got))
			if got != want {
				t.Errorf("%s is %s, want %s", pragma, got, want)
			}
		}
	})
	for range readers {
		c := <-s.idle
		if err := c.exec(ctx, "DELETE FROM users"); err == nil {
			t.Error("a connection for reading can write")
		}
		s.idle <- c
	}
}

func TestCloseFoldsTheLogIn(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	tenant := fill(t, s, "one")
	must(t, s.Close())
	if _, err := os.Stat(filepath.Join(dir, "roster.db-wal")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the write-ahead log is still there: %v", err)
	}
	s = openIn(t, dir)
	if _, err := s.TenantByID(ctx, tenant); err != nil {
		t.Error(err)
	}
}

func TestTheSchemaIsTheGoldenOne(t *testing.T) {
	s := openIn(t, t.TempDir())
	var b bytes.Buffer
	must(t, s.writer.each(ctx, func(r scanner) error {
		var text string
		err := r.Scan(&text)
		b.WriteString(text + ";\n")
		return err
	}, "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type DESC, name"))
	const golden = "testdata/schema.sql"
	if *update {
		must(t, os.WriteFile(golden, b.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("the migrations make another schema (-want +got); -update if that is meant:\n%s", diff)
	}
}

// world returns a directory over a store, with a tenant and someone who may do
// everything in it.
func world(t testing.TB, s *Store) (*directory.Directory, directory.Principal) {
	t.Helper()
	d := directory.New(s, directory.Options{})
	t.Cleanup(d.Close)
	p := directory.Principal{Tenant: fill(t, s, "one"), Credential: id.New[id.Credential](), Grants: directory.Admin, Dialect: "test"}
	return d, p
}

// statements counts those that fn runs on any connection.
func (s *Store) statements(fn func()) int {
	count := func() (n int) {
		s.lend(func(c *conn) { n += c.count })
		return n
	}
	before := count()
	fn()
	return count() - before
}

func TestWhoDidWhatIsToldInStatementsThatDoNotDependOnHowMuch(t *testing.T) {
	s := openIn(t, t.TempDir())
	d, p := world(t, s)
	ask := func(in directory.ListChanges) func() {
		return func() {
			_, err := d.Changes(ctx, p, in)
			must(t, err)
		}
	}
	steps := func(n int) {
		for i := range n {
			u, err := d.CreateUser(ctx, p, directory.NewUser{Name: fmt.Sprint("u", n, i)})
			must(t, err)
			g, err := d.CreateGroup(ctx, p, directory.NewGroup{Name: fmt.Sprint("g", n, i)})
			must(t, err)
			who, group := []directory.MemberRef{{Ref: directory.ByUser(u.Value.ID)}}, directory.ByGroup(g.Value.ID)
			_, err = d.ChangeMembers(ctx, p, directory.MembersChange{Group: group, Add: who})
			must(t, err)
			_, err = d.ChangeMembers(ctx, p, directory.MembersChange{Group: group, Remove: who})
			must(t, err)
		}
	}
	asked := []directory.ListChanges{{}, {Dialect: "test"}, {Kinds: []directory.ChangeKind{directory.MembersRemoved}}, {User: directory.ByNumber(1)}}
	steps(1)
	var few []int
	for _, in := range asked {
		few = append(few, s.statements(ask(in)))
	}
	steps(100)
	for i, in := range asked {
		if n := s.statements(ask(in)); n > few[i] || n > 10 {
			t.Errorf("%+v takes %d statements of much, %d of little", in, n, few[i])
		}
	}
}

func TestTheNumberOfStatementsDoesNotDependOnHowMany(t *testing.T) {
	s := openIn(t, t.TempDir())
	d, p := world(t, s)
	const many = directory.MaxBatch
	users, groups := make([]directory.MemberRef, many), make([]directory.MemberRef, 1000)
	top := directory.Group{Name: "top"}
	_, err := s.Update(ctx, p.Tenant, directory.Author{}, func(w directory.Writer) error {
		for i := range users {
			u := directory.User{Name: fmt.Sprint("u", i)}
			if err := w.InsertUser(&u); err != nil {
				return err
			}
			users[i].Ref = directory.ByUser(u.ID)
		}
		for i := range groups {
			g := directory.Group{Name: fmt.Sprint("g", i)}
			if err := w.InsertGroup(&g); err != nil {
				return err
			}
			groups[i] = directory.MemberRef{IsGroup: true, Ref: directory.ByGroup(g.ID)}
		}
		return w.InsertGroup(&top)
	})
	must(t, err)
	refs := func(list []directory.MemberRef) (out []directory.Ref) {
		for _, m := range list {
			out = append(out, m.Ref)
		}
		return out
	}
	change := func(c directory.MembersChange) func() {
		return func() {
			c.Group = directory.ByGroup(top.ID)
			_, err := d.ChangeMembers(ctx, p, c)
			must(t, err)
		}
	}
	join := func(c directory.GroupsChange) func() {
		return func() {
			c.Member = users[0]
			_, err := d.ChangeGroups(ctx, p, c)
			must(t, err)
		}
	}
	alone := func(c directory.MembersChange) func() {
		c.Mode = directory.EachAlone
		return change(c)
	}
	// A bounded key sees those who stand in the group already, which all of them do
	// by then.
	bounded := func(c directory.MembersChange) func() {
		c.Group, c.Mode = directory.ByGroup(top.ID), directory.EachAlone
		q := p
		q.Within = &directory.Within{Groups: []id.Number{top.Number}}
		return func() {
			a, err := d.ChangeMembers(ctx, q, c)
			must(t, err)
			for i, r := range a.Value.Add {
				if r.Outcome != directory.Already {
					t.Fatalf("item %d is %v", i, r.Outcome)
				}
			}
		}
	}
	portraits := func(limit int) func() {
		return func() {
			a, err := d.Portraits(ctx, p, directory.ListPortraits{Limit: limit})
			must(t, err)
			if len(a.Value.Items) != limit {
				t.Fatalf("there are %d, want %d", len(a.Value.Items), limit)
			}
		}
	}
	replace := func(members ...directory.MemberRef) func() {
		in := directory.Batch{}
		for part := range slices.Chunk(members, len(members)/3) {
			in.Runs = append(in.Runs, directory.BatchRun{Do: directory.ReplaceMembers, Members: part, Groups: []directory.Ref{directory.ByGroup(top.ID)}})
		}
		return func() {
			_, err := d.ChangeMemberships(ctx, p, in)
			must(t, err)
		}
	}
	end := time.Now().Add(2 * time.Hour)
	update := func(members []directory.MemberRef) func() {
		in := directory.MembersUpdate{Group: directory.ByGroup(top.ID), Members: members, Patch: directory.StandingPatch{Until: &end}}
		return func() {
			a, err := d.UpdateMembers(ctx, p, in)
			must(t, err)
			for i, r := range a.Value {
				if r.Outcome != directory.Updated || i > 0 && r.Membership.Reason == a.Value[0].Membership.Reason {
					t.Fatalf("item %d is %v, and stands as %+v", i, r.Outcome, r.Membership)
				}
			}
		}
	}
	change(directory.MembersChange{Add: users[:2]})() // so that what is prepared and learned once is
	change(directory.MembersChange{Remove: users[:2]})()
	// What the groups confer is worked out anew after a link has changed.
	settle := change(directory.MembersChange{Remove: users[:1]})
	later := directory.Standing{From: time.Now().Add(time.Hour)}
	for _, c := range []struct {
		what      string
		few, many func()
	}{
		{"add", change(directory.MembersChange{Add: users[10:12]}), change(directory.MembersChange{Add: users[12:]})},
		{"add again", change(directory.MembersChange{Add: users[10:12]}), change(directory.MembersChange{Add: users[10:]})},
		{"add within a bound", bounded(directory.MembersChange{Add: users[10:12]}), bounded(directory.MembersChange{Add: users[10:]})},
		{"change", change(directory.MembersChange{Add: users[10:12], Standing: later}), change(directory.MembersChange{Add: users[12:], Standing: later})},
		{"update in part", update(users[10:12]), update(users[12:])},
		{"portraits", portraits(2), portraits(many)},
		{"remove", change(directory.MembersChange{Remove: users[10:12]}), change(directory.MembersChange{Remove: users[12:]})},
		{"add alone", alone(directory.MembersChange{Add: users[10:12]}), alone(directory.MembersChange{Add: users[12:]})},
		{"remove alone", alone(directory.MembersChange{Remove: users[10:12]}), alone(directory.MembersChange{Remove: users[12:]})},
		{"replace in runs", replace(users[10:16]...), replace(users[20:6020]...)},
		{"link", change(directory.MembersChange{Add: groups[:2]}), change(directory.MembersChange{Add: groups[2:]})},
		{"unlink", change(directory.MembersChange{Remove: groups[:2]}), change(directory.MembersChange{Remove: groups[2:]})},
		{"join", join(directory.GroupsChange{Add: refs(groups[:2])}), join(directory.GroupsChange{Add: refs(groups[2:])})},
		{"leave", join(directory.GroupsChange{Remove: refs(groups[:2])}), join(directory.GroupsChange{Remove: refs(groups[2:])})},
		{"replace", join(directory.GroupsChange{Replace: true, Add: refs(groups[2:4])}), join(directory.GroupsChange{Replace: true, Add: refs(groups[4:])})},
	} {
		switch c.what { // somebody is there to be taken out, each time
		case "replace":
			join(directory.GroupsChange{Add: refs(groups[:2])})()
		case "replace in runs":
			replace(users[2:8]...)()
		case "update in part": // each stands in a way of its own
			_, err := s.Update(ctx, p.Tenant, directory.Author{}, func(w directory.Writer) error {
				list, err := w.Memberships(directory.MembershipQuery{Group: top.Number, Limit: many})
				for i := range list {
					list[i].Reason = fmt.Sprint(i)
				}
				return errors.Join(err, w.UpdateEdges(list))
			})
			must(t, err)
		}
		settle()
		few := s.statements(c.few)
		settle()
		many := s.statements(c.many)
		t.Logf("%s: %d statements for two, %d for many", c.what, few, many)
		if few != many {
			t.Errorf("%s takes %d statements for two and %d for many", c.what, few, many)
		}
	}
}

func TestTheNumberOfStatementsDoesNotDependOnHowDeepGroupsAre(t *testing.T) {
	s := openIn(t, t.TempDir())
	shallow, deep := storetest.Nest(t, s, 2), storetest.Nest(t, s, 60)
	for what, do := range shallow {
		few, many := s.statements(do), s.statements(deep[what])
		t.Logf("%s: %d statements below 2 groups, %d below 60", what, few, many)
		if few != many {
			t.Errorf("%s takes %d statements below 2 groups and %d below 60", what, few, many)
		}
	}
}

func TestAFullDiskLosesNothingAndIsOverWhenThereIsRoom(t *testing.T) {
	s := openIn(t, t.TempDir())
	tenant := fill(t, s, "one")
	pages := func(limit string) {
		var n int
		must(t, s.writer.row(ctx, "PRAGMA max_page_count"+limit).Scan(&n))
	}
	var used int
	must(t, s.writer.row(ctx, "PRAGMA page_count").Scan(&used))
	pages(fmt.Sprintf(" = %d", used+64))

	text := strings.Repeat("x", 20_000)
	add := func(name string) error {
		_, err := s.Update(ctx, tenant, directory.Author{}, func(w directory.Writer) error {
			g := directory.Group{Name: name, Description: text, Externals: map[string]string{"s": name}}
			if err := w.InsertGroup(&g); err != nil {
				return err
			}
			u := directory.User{Name: name}
			if err := w.InsertUser(&u); err != nil {
				return err
			}
			_, err := w.InsertEdges([]directory.Edge{{Group: g.Number, Member: id.UserMember(u.Number)}}, directory.Standing{})
			return err
		})
		return err
	}
	var mu sync.Mutex
	kept := map[string]bool{}
	full := 0
	for round := range 8 {
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				name := fmt.Sprint(round, "-", i)
				err := add(name)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					kept[name] = true
				case errors.Is(err, directory.Unavailable) && directory.CodeOf(err) == "store.full":
					full++
				default:
					t.Errorf("a write on a full disk says %v, want store.full", err)
				}
			})
		}
		all.Wait()
	}
	if full == 0 {
		t.Fatal("the disk was never full")
	}
	check := func() {
		t.Helper()
		must(t, s.View(ctx, tenant, func(r directory.Reader) error {
			groups, err := r.ListGroups(directory.GroupFilter{}, 0, 1000)
			if err != nil {
				return err
			}
			users, err := r.ListUsers(directory.UserFilter{}, 0, 1000)
			if err != nil {
				return err
			}
			rev, err := r.Revision()
			if err != nil {
				return err
			}
			edges := 0
			for _, g := range groups {
				if !kept[g.Name] {
					t.Errorf("group %s is there though its write failed", g.Name)
				}
				m, err := r.Memberships(directory.MembershipQuery{Group: g.Number, Limit: 10})
				if err != nil {
					return err
				}
				edges += len(m)
			}
			if len(groups) != len(kept) || len(users) != len(kept) || edges != len(kept) || int(rev) != len(kept) {
				t.Errorf("%d groups, %d users, %d memberships, revision %d; want %d of each", len(groups), len(users), edges, rev, len(kept))
			}
			return nil
		}))
		s.tails.Drop(tenant) // so that the log is read from the disk
		n := 0
		for c, err := range s.Commits(ctx, tenant, 0) {
			must(t, err)
			n++
			if name := c.Changes[0].After["name"]; !kept[name.(string)] || int(c.Revision) != n {
				t.Errorf("commit %d at place %d made %v", c.Revision, n, name)
			}
		}
		if n != len(kept) {
			t.Errorf("the log has %d commits, want %d", n, len(kept))
		}
	}
	check()
	pages(" = 1000000")
	must(t, add("room"))
	kept["room"] = true
	check()
}

func TestCommitsAreTheSameFromMemoryAndFromDisk(t *testing.T) {
	s := openIn(t, t.TempDir())
	tenant := fill(t, s, "one")
	u := directory.User{Name: "ann", EmailVerified: true, Expires: time.Unix(2e9, 0).UTC(), Externals: map[string]string{"a": "b"}, Attributes: directory.Attributes{"d": map[string]any{"s": "x", "l": []any{true, nil}}}}
	_, err := s.Update(ctx, tenant, directory.Author{Dialect: "d"}, func(w directory.Writer) error {
		g := directory.Group{Name: "g", Grants: directory.Admin, Externals: map[string]string{"a": "b"}}
		if err := errors.Join(w.InsertUser(&u), w.InsertGroup(&g)); err != nil {
			return err
		}
		_, err := w.InsertEdges([]directory.Edge{{Group: 1, Member: 1}}, directory.Standing{Until: time.Unix(2e9, 1000).UTC(), Role: directory.RoleManager})
		return err
	})
	must(t, err)
	read := func() (all []*directory.Commit) {
		for c, err := range s.Commits(ctx, tenant, 0) {
			must(t, err)
			all = append(all, c)
		}
		return all
	}
	memory := read()
	s.tails.Drop(tenant)
	if diff := cmp.Diff(read(), memory); diff != "" {
		t.Errorf("the log differs (-disk +memory):\n%s", diff)
	}
}

func TestADeletedTenantLeavesGravesAlone(t *testing.T) {
	s := openIn(t, t.TempDir())
	tenant := fill(t, s, "gone")
	kept := fill(t, s, "kept")
	for _, in := range []id.Tenant{tenant, kept} {
		_, err := s.Update(ctx, in, directory.Author{}, func(w directory.Writer) error {
			u := directory.User{Name: "ann", Email: in.String() + "@example.com", EmailVerified: true, Externals: map[string]string{"a": "b"}}
			g := directory.Group{Name: "g"}
			if err := errors.Join(w.InsertUser(&u), w.PutSignIn(u, directory.SignIn{}, directory.SignIn{Failures: 1}), w.InsertGroup(&g), w.InsertCredential(&directory.Credential{Kind: "k", Hash: in[:]}),
				w.Remember(id.New[id.Credential](), "key", directory.Kept{Answer: []byte("a")})); err != nil {
				return err
			}
			e := []directory.Edge{{Group: 1, Member: 1}}
			if _, err := w.InsertEdges(e, directory.Standing{}); err != nil {
				return err
			}
			return nil
		})
		must(t, err)
		_, err = s.Update(ctx, in, directory.Author{}, func(w directory.Writer) error {
			g, err := w.Group(directory.ByNumber(1))
			renamed := g
			renamed.Name = "h"
			return errors.Join(err, w.UpdateEdges([]directory.Membership{{Edge: directory.Edge{Group: 1, Member: 1}, Standing: directory.Standing{Reason: "r"}}}), w.UpdateGroup(g, renamed))
		})
		must(t, err)
		err = s.View(ctx, in, func(r directory.Reader) error {
			u, err := r.User(directory.ByNumber(1))
			return errors.Join(err, s.CountVisits(ctx, map[directory.Visit]int{{Tenant: in, User: u.ID, Day: 1}: 1}))
		})
		must(t, err)
	}
	pk := func(in id.Tenant) (pk int64) {
		must(t, s.writer.row(ctx, "SELECT pk FROM tenants WHERE id = ?", in[:]).Scan(&pk))
		return pk
	}
	gone, other := pk(tenant), pk(kept)
	count := func(table string, pk int64) (n int) {
		must(t, s.writer.row(ctx, "SELECT count(*) FROM "+table+" WHERE tenant = ?", pk).Scan(&n))
		return n
	}
	for _, table := range tenantTables {
		if count(table, gone) == 0 {
			t.Errorf("there was nothing in %s to begin with", table)
		}
	}
	row, err := s.TenantByID(ctx, tenant)
	must(t, err)
	_, err = s.Update(ctx, id.Tenant{}, directory.Author{}, func(w directory.Writer) error { return w.DeleteTenant(row) })
	must(t, err)
	for _, table := range tenantTables {
		if n := count(table, gone); n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
		if count(table, other) == 0 {
			t.Errorf("the other tenant's rows in %s are gone", table)
		}
	}
	if n := count("graves", gone); n != 2 {
		t.Errorf("there are %d graves, want those of a user and a group", n)
	}
	var addresses int
	must(t, s.writer.row(ctx, "SELECT count(*) FROM persons WHERE email_fold IS NOT NULL").Scan(&addresses))
	if addresses != 1 {
		t.Errorf("%d persons have an address, want the other tenant's one", addresses)
	}
	// Every table with a tenant in it is one that a deletion empties.
	must(t, s.writer.each(ctx, func(r scanner) error {
		var table string
		if err := r.Scan(&table); err != nil {
			return err
		}
		known := table == "graves"
		for _, have := range tenantTables {
			known = known || have == table
		}
		if !known {
			t.Errorf("table %s has a tenant and is not among tenantTables", table)
		}
		return nil
	}, "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c ON c.name = 'tenant' WHERE m.type = 'table'"))
}
