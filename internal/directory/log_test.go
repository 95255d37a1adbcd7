package directory_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/id"
)

// told is one line a record: who did what to whom.
func told(r directory.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:", r.Actor.Name)
	for _, c := range r.Changes {
		fmt.Fprintf(&b, " %s", c.Kind)
		if c.User != nil {
			fmt.Fprintf(&b, " %s", c.User.Name)
		}
		if c.Group != nil {
			fmt.Fprintf(&b, " %s", c.Group.Name)
		}
		for _, m := range c.Who {
			if m.User != nil {
				fmt.Fprintf(&b, " +%s", m.User.Name)
			} else {
				fmt.Fprintf(&b, " +[%s]", m.Group.Name)
			}
		}
	}
	return b.String()
}

func (w *world) log(p directory.Principal, in directory.ListChanges) (lines []string) {
	w.t.Helper()
	for {
		a, err := w.Changes(ctx, p, in)
		for _, r := range ok(w.t, a, err).Items {
			lines = append(lines, told(r))
		}
		if in.After = a.Value.Next; in.After == 0 {
			return lines
		}
	}
}

func TestTheLogTellsWhatEverybodyWasCalledThen(t *testing.T) {
	w := newWorld(t)
	w.admin.Name = "boss"
	g := w.group("Staff", 0)
	ann := w.user("ann", g)
	rev := w.revision()
	b, err := w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(ann.ID), Name: ptr("hanna")})
	ok(t, b, err)
	c, err := w.UpdateGroup(ctx, w.admin, directory.GroupUpdate{Group: directory.ByGroup(g.ID), Name: ptr("Crew")})
	ok(t, c, err)
	self := w.as(ann)
	self.Name, self.Grants = "of ann", directory.InTenant
	powers := w.group("Powers", directory.Admin)
	w.add(powers, member(ann), directory.Standing{})
	d, err := w.ChangeMembers(ctx, self, directory.MembersChange{Group: directory.ByGroup(g.ID), Add: []directory.MemberRef{member(ann)}, Standing: directory.Standing{Role: directory.RoleManager, Reason: "lead"}})
	ok(t, d, err)
	root := w.user("root")
	w.add(powers, member(root), directory.Standing{})
	e, err := w.DeleteUser(ctx, w.admin, directory.Deletion{Ref: directory.ByUser(ann.ID)})
	ok(t, e, err)
	f, err := w.DeleteGroup(ctx, w.admin, directory.Deletion{Ref: directory.ByGroup(g.ID)})
	ok(t, f, err)
	want := []string{
		"boss: group.deleted Crew",
		"boss: members.removed Crew +hanna members.removed Powers +hanna user.deleted hanna",
		"boss: members.added Powers +root",
		"boss: user.created root",
		"of ann: members.updated Crew +hanna",
		"boss: members.added Powers +hanna",
		"boss: group.created Powers",
		"boss: group.updated Crew",
		"boss: user.updated hanna",
		"boss: user.created ann members.added Staff +ann",
		"boss: group.created Staff",
	}
	if got := w.log(w.admin, directory.ListChanges{Page: directory.Page{Limit: 2}}); !slices.Equal(got, want) {
		t.Errorf("the log says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// By the names that they bore to the end, and by the user whom a key acts for.
	for what, c := range map[string]struct {
		in   directory.ListChanges
		want []string
	}{
		"the user":  {directory.ListChanges{User: directory.ByName("HANNA"), Kinds: []directory.ChangeKind{directory.UserUpdated, directory.UserDeleted}}, []string{"boss: user.deleted hanna", "boss: user.updated hanna"}},
		"the group": {directory.ListChanges{Group: directory.ByName("crew"), Ascending: true, From: directory.When{Revision: rev + 1}}, []string{"boss: group.updated Crew", "of ann: members.updated Crew +hanna", "boss: members.removed Crew +hanna", "boss: group.deleted Crew"}},
		"by ann":    {directory.ListChanges{By: directory.By{User: directory.ByUser(ann.ID)}}, want[4:5]},
		"by nobody": {directory.ListChanges{By: directory.By{User: directory.ByUser(root.ID)}}, nil},
	} {
		if got := w.log(w.admin, c.in); !slices.Equal(got, c.want) {
			t.Errorf("%s: the log says\n%s", what, strings.Join(got, "\n"))
		}
	}
	a, err := w.Changes(ctx, w.admin, directory.ListChanges{By: directory.By{User: directory.ByNumber(int64(ann.Number))}})
	r := ok(t, a, err).Items[0]
	if r.User == nil || r.User.Name != "hanna" || r.Actor.User != ann.ID || !r.Whole || r.Count != 1 {
		t.Errorf("what ann did is told as %+v", r)
	}
	if x := r.Changes[0]; x.Standing.Reason != "lead" || x.Who[0].Before == nil || *x.Who[0].Before != (directory.Standing{}) {
		t.Errorf("how ann stood is told as %+v", x)
	}
	for what, in := range map[string]directory.ListChanges{
		"an old name": {User: directory.ByName("ann")}, "no group": {Group: directory.ByNumber(99)}, "nobody's key": {By: directory.By{User: directory.ByNumber(99)}},
	} {
		if _, err := w.Changes(ctx, w.admin, in); directory.KindOf(orNil(err)) != directory.NotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestALargeCommitIsToldInPartAndReadInPages(t *testing.T) {
	w := newWorld(t)
	g := w.group("g", 0)
	var refs []directory.MemberRef
	for i := range 50 {
		refs = append(refs, member(w.user(fmt.Sprint("u", i))))
	}
	a, err := w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(g.ID), Add: refs})
	ok(t, a, err)
	b, err := w.Changes(ctx, w.admin, directory.ListChanges{Page: directory.Page{Limit: 1}})
	r := ok(t, b, err).Items[0]
	if r.Whole || r.Count != 50 || r.Changes[0].Count != 50 || len(r.Changes[0].Who) != 20 || len(r.Changes[0].Members) != 20 {
		t.Errorf("of 50 members %d are told: %+v", len(r.Changes[0].Who), r)
	}
	b, err = w.Changes(ctx, w.admin, directory.ListChanges{Page: directory.Page{Limit: 1}, User: directory.ByName("u49")})
	r = ok(t, b, err).Items[0]
	if r.Whole || r.Count != 50 || len(r.Changes[0].Who) != 1 || r.Changes[0].Who[0].User.Name != "u49" || r.Changes[0].Count != 50 {
		t.Errorf("of the one asked about is told %+v", r)
	}
	var names []string
	for in := (directory.ListCommit{Revision: a.Revision, Page: directory.Page{Limit: 20}}); ; {
		c, err := w.Commit(ctx, w.admin, in)
		for _, m := range ok(t, c, err).Items[0].Changes[0].Who {
			names = append(names, m.User.Name)
		}
		if in.After = c.Value.Next; in.After == 0 {
			break
		}
	}
	if len(names) != 50 || names[0] != "u0" || names[49] != "u49" {
		t.Errorf("the commit's pages hold %v", names)
	}
	if _, err := w.Commit(ctx, w.admin, directory.ListCommit{Revision: a.Revision + 1}); directory.KindOf(orNil(err)) != directory.Stale {
		t.Errorf("a commit to come: %v", err)
	}
	if _, err := w.Changes(ctx, w.admin, directory.ListChanges{From: directory.When{Revision: a.Revision + 1}}); directory.KindOf(orNil(err)) != directory.Stale {
		t.Errorf("from a commit to come: %v", err)
	}
	if _, err := w.Changes(ctx, w.admin, directory.ListChanges{Kinds: []directory.ChangeKind{"user.eaten"}}); directory.CodeOf(orNil(err)) != "kind.unknown" {
		t.Errorf("of a kind there is not: %v", err)
	}
}

func TestAPageLooksAtABoundedPartOfTheLog(t *testing.T) {
	w := newWorld(t)
	first := w.user("first")
	const commits = 10_000
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			for range commits / 200 {
				_, err := w.Store.Update(ctx, w.admin.Tenant, directory.Author{Actor: directory.Actor{Name: fmt.Sprint("w", i)}}, func(wr directory.Writer) error {
					g := directory.Group{Name: "g"}
					return wr.InsertGroup(&g)
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for _, in := range []directory.ListChanges{{User: directory.ByUser(first.ID)}, {Dialect: "test"}} {
		a, err := w.Changes(ctx, w.admin, in)
		if page := ok(t, a, err); len(page.Items) != 0 || page.Next != 2 {
			t.Errorf("the first page by %+v holds %d and goes on at %d", in, len(page.Items), page.Next)
		}
		if got := w.log(w.admin, in); !slices.Equal(got, []string{"test: user.created first"}) {
			t.Errorf("all pages by %+v hold %v", in, got)
		}
		in.Ascending = true
		a, err = w.Changes(ctx, w.admin, in)
		if page := ok(t, a, err); len(page.Items) != 1 || page.Next != 10_000 {
			t.Errorf("from the other end the page holds %d and goes on at %d", len(page.Items), page.Next)
		}
	}
}

func TestTheLogTellsNoSecretAndCredentialsOnlyToWhoManagesThem(t *testing.T) {
	w := newWorld(t)
	u := w.user("ann")
	hash, sealed := []byte("HASHHASHHASHHASH"), []byte("SEALEDSEALEDSEALED")
	a, err := w.CreateCredential(ctx, w.admin, directory.NewCredential{Kind: "k", Name: "robot", Handle: "HANDLE", Hash: hash, Sealed: sealed, User: directory.ByUser(u.ID), Grants: directory.ReadUsers})
	k := ok(t, a, err)
	b, err := w.CreateUser(ctx, w.admin, directory.NewUser{Name: "bob", Credentials: []directory.Credential{{Kind: "k2", Name: "key of bob", Hash: []byte("HASH2"), Sealed: sealed}}})
	ok(t, b, err)
	c, err := w.RevokeCredential(ctx, w.admin, k.ID)
	ok(t, c, err)
	list, err := w.Changes(ctx, w.admin, directory.ListChanges{})
	text, err2 := json.Marshal(ok(t, list, err))
	if err2 != nil {
		t.Fatal(err2)
	}
	for _, secret := range []string{"HASH", "SEALED", "SEFTSE", "U0VBTEVE", "HANDLE"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the log tells %s: %s", secret, text)
		}
	}
	kinds := []directory.ChangeKind{directory.CredentialCreated, directory.CredentialUpdated, directory.CredentialRevoked}
	list, err = w.Changes(ctx, w.with(directory.ReadAll|directory.ManageKeys), directory.ListChanges{Kinds: kinds})
	if got := ok(t, list, err).Items; len(got) != 3 || got[0].Changes[0].Before["name"] != "robot" || got[0].Changes[0].ID != [16]byte(k.ID) || got[2].Changes[0].After["grants"] != "users.read" {
		t.Errorf("of credentials it tells %+v", got)
	}
	list, err = w.Changes(ctx, w.with(directory.ReadAll|directory.ManageKeys), directory.ListChanges{User: directory.ByUser(u.ID)})
	if got := ok(t, list, err).Items; len(got) != 3 {
		t.Errorf("of ann and her keys it tells %+v", got)
	}
	reader := w.with(directory.ReadAll)
	if got := w.log(reader, directory.ListChanges{Ascending: true}); !slices.Equal(got, []string{"test: user.created ann", "test: user.created bob"}) {
		t.Errorf("who does not manage keys is told %v", got)
	}
	d, err := w.Commit(ctx, reader, directory.ListCommit{Revision: c.Revision})
	if got := ok(t, d, err); len(got.Items) != 0 || got.Next != 0 {
		t.Errorf("who does not manage keys is told %+v", got)
	}
}

func TestTheClockIsTheActorOfWhatItDid(t *testing.T) {
	w := newWorld(t)
	g := w.group("g", 0)
	ann, bob := w.user("ann"), w.user("bob")
	w.add(g, member(ann), directory.Standing{Until: w.Now().Add(time.Minute)})
	w.add(g, member(bob), directory.Standing{Until: w.Now().Add(time.Hour)})
	w.Clock.Advance(2 * time.Minute)
	w.admin.Name, w.admin.Request = "boss", "r-7"
	w.user("cid")
	w.Clock.Advance(2 * time.Hour)
	if err := w.Tick(ctx); err != nil {
		t.Fatal(err)
	}
	if got := w.log(w.admin, directory.ListChanges{Page: directory.Page{Limit: 1}, From: directory.When{Revision: 6}}); !slices.Equal(got, []string{"clock: members.ended g +bob", "clock: members.ended g +ann", "boss: user.created cid"}) {
		t.Errorf("the log says %v", got)
	}
	for _, in := range []directory.ListChanges{{Dialect: "clock"}, {By: directory.By{Name: "clock"}}, {Kinds: []directory.ChangeKind{directory.MembersEnded}}} {
		a, err := w.Changes(ctx, w.admin, in)
		for _, r := range ok(t, a, err).Items {
			if r.Actor.Name != "clock" || r.Dialect != "clock" || r.Request != "" || !r.Actor.Credential.IsZero() || len(r.Changes) != 1 {
				t.Errorf("by %+v it says %+v", in, r)
			}
		}
		if len(a.Value.Items) != 2 {
			t.Errorf("by %+v there are %d records", in, len(a.Value.Items))
		}
	}
	if got := w.log(w.admin, directory.ListChanges{Request: "r-7"}); !slices.Equal(got, []string{"boss: user.created cid"}) {
		t.Errorf("of a request it says %v", got)
	}
}

func TestWhatACommitDidInStepsIsToldStepByStep(t *testing.T) {
	w := newWorld(t)
	g := w.group("g", 0)
	ann := w.user("ann", g)
	first, second := directory.Standing{Reason: "one"}, directory.Standing{Reason: "two"}
	set := func(s directory.Standing) directory.BatchRun {
		return directory.BatchRun{Do: directory.AddMembers, Members: []directory.MemberRef{member(ann)}, Groups: []directory.Ref{directory.ByGroup(g.ID)}, Standing: s}
	}
	remove := set(directory.Standing{})
	remove.Do = directory.RemoveMembers
	a, err := w.ChangeMemberships(ctx, w.admin, directory.Batch{Runs: []directory.BatchRun{set(first), set(second), remove, set(first)}})
	ok(t, a, err)
	b, err := w.Commit(ctx, w.admin, directory.ListCommit{Revision: a.Revision})
	var got []string
	for _, c := range ok(t, b, err).Items[0].Changes {
		before := "nothing"
		if s := c.Who[0].Before; s != nil {
			before = fmt.Sprintf("%q", s.Reason)
		}
		got = append(got, fmt.Sprintf("%s from %s to %q", c.Kind, before, c.Standing.Reason))
	}
	want := []string{`members.updated from "" to "one"`, `members.updated from "one" to "two"`, `members.removed from "two" to ""`, `members.added from nothing to "one"`}
	if !slices.Equal(got, want) {
		t.Errorf("the commit did %v, want %v", got, want)
	}
	// Each page says the same of its part.
	c, err := w.Commit(ctx, w.admin, directory.ListCommit{Revision: a.Revision, Page: directory.Page{After: 2, Limit: 1}})
	if s := ok(t, c, err).Items[0].Changes[0].Who[0].Before; s == nil || s.Reason != "two" || c.Value.Next != 3 {
		t.Errorf("the third step is told as from %+v", s)
	}
	// Whoever was made and deleted by one commit is known by it alone.
	rev, err := w.Store.Update(ctx, w.admin.Tenant, directory.Author{}, func(wr directory.Writer) error {
		u, h := directory.User{Name: "brief"}, directory.Group{Name: "short"}
		if err := wr.InsertUser(&u); err != nil {
			return err
		}
		if err := wr.InsertGroup(&h); err != nil {
			return err
		}
		if err := wr.DeleteUser(u); err != nil {
			return err
		}
		return wr.DeleteGroup(h)
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := w.Commit(ctx, w.admin, directory.ListCommit{Revision: rev})
	if got := told(ok(t, d, err).Items[0]); got != ": user.created brief group.created short user.deleted brief group.deleted short" {
		t.Errorf("the commit is told as %q", got)
	}
}

func TestAdvisory18_TheLogOfAnotherTenantIsToldToNobody(t *testing.T) {
	w := newWorld(t)
	other := w.tenant("other")
	w.group("mine", 0)
	w.user("ann")
	a, err := w.CreateUser(ctx, other, directory.NewUser{Name: "secret-user"})
	theirs := ok(t, a, err)
	b, err := w.CreateGroup(ctx, other, directory.NewGroup{Name: "secret-group"})
	group := ok(t, b, err)
	c, err := w.ChangeMembers(ctx, other, directory.MembersChange{Group: directory.ByGroup(group.ID), Add: []directory.MemberRef{member(theirs)}})
	ok(t, c, err)
	for _, in := range []directory.ListChanges{{}, {Ascending: true}, {By: directory.By{Credential: other.Credential}}, {Kinds: []directory.ChangeKind{directory.MembersAdded}}} {
		if text := strings.Join(w.log(w.admin, in), "\n"); strings.Contains(text, "secret") {
			t.Errorf("by %+v the log says %s", in, text)
		}
	}
	for what, in := range map[string]directory.ListChanges{
		"a user's id": {User: directory.ByUser(theirs.ID)}, "a user's code": {User: directory.ByCode(theirs.Code)}, "a user who acts": {By: directory.By{User: directory.ByUser(theirs.ID)}},
		"a group's id": {Group: directory.ByGroup(group.ID)}, "a group's name": {Group: directory.ByName("secret-group")},
	} {
		if _, err := w.Changes(ctx, w.admin, in); directory.KindOf(orNil(err)) != directory.NotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
	// An owner from outside is no user here, and is told by id alone.
	p := w.admin
	p.User, p.Name = id.New[id.User](), "owner"
	if _, err := w.Store.Update(ctx, p.Tenant, directory.Author{Actor: directory.Actor{Credential: p.Credential, User: theirs.ID, Name: "owner"}}, func(wr directory.Writer) error {
		return wr.InsertGroup(&directory.Group{Name: "by owner"})
	}); err != nil {
		t.Fatal(err)
	}
	d, err := w.Changes(ctx, w.admin, directory.ListChanges{Page: directory.Page{Limit: 1}})
	if r := ok(t, d, err).Items[0]; r.User != nil || r.Actor.User != theirs.ID {
		t.Errorf("who is no user here is told as %+v", r)
	}
}

func TestThePlatformsLogTellsOfTenantsByNameAndOnlyToThePlatform(t *testing.T) {
	w := newWorld(t)
	root := directorytest.Root()
	ann := w.owner("ann")
	made, err := w.CreateTenant(ctx, root, directory.NewTenant{Name: "acme", Title: "Acme", Attributes: directory.Attributes{"native": map[string]any{"plan": "its own affair"}}})
	acme := ok(t, made, err)
	own, err := w.CreateTenant(ctx, ann, directory.NewTenant{Name: "anns", Owner: ann.User})
	ok(t, own, err)
	inside, err := w.CreateUser(ctx, directorytest.In(root, acme.ID), directory.NewUser{Name: "resident"})
	ok(t, inside, err)
	key, err := w.CreateCredential(ctx, root, directory.NewCredential{Kind: "k", Name: "ops", Hash: []byte("hash of a secret"), Sealed: []byte("sealed secret"), Grants: directory.Platform})
	ok(t, key, err)
	gone, err := w.DeleteTenant(ctx, root, acme.ID)
	ok(t, gone, err)

	got, err := w.Changes(ctx, root, directory.ListChanges{Ascending: true})
	var lines []string
	for _, r := range ok(t, got, err).Items {
		lines = append(lines, told(r))
		for _, c := range r.Changes {
			text, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"its own affair", "resident", "hash of", "sealed"} {
				if strings.Contains(string(text), secret) {
					t.Errorf("%s tells %q: %s", c.Kind, secret, text)
				}
			}
			if c.Kind == directory.TenantDeleted && (c.Before["name"] != "acme" || c.Before["title"] != "Acme" || c.ID != acme.ID) {
				t.Errorf("who deleted which tenant is told as %s", text)
			}
		}
	}
	want := []string{"test: tenant.created", "registration: user.created ann", "test: tenant.created", ": tenant.created group.created owners members.added owners +ann",
		"test: credential.created", "test: tenant.deleted"}
	if !slices.Equal(lines, want) {
		t.Errorf("the log is %q, want %q", lines, want)
	}
	one, err := w.Commit(ctx, root, directory.ListCommit{Revision: got.Revision})
	if r := ok(t, one, err).Items; len(r) != 1 || told(r[0]) != "test: tenant.deleted" {
		t.Errorf("the last commit is %+v", r)
	}
	for what, p := range map[string]directory.Principal{
		"who owns tenants":              ann,
		"all that a tenant's key holds": {Credential: id.New[id.Credential](), Grants: directory.InTenant | directory.Admin | directory.OwnTenants},
	} {
		for _, err := range []error{drop(w.Changes(ctx, p, directory.ListChanges{})), drop(w.Commit(ctx, p, directory.ListCommit{Revision: 1}))} {
			if !errors.Is(err, directory.Forbidden) {
				t.Errorf("%s reads the platform's log: %v", what, err)
			}
		}
	}
	// A tenant still reads in its own log what it is.
	its, err := w.Changes(ctx, w.admin, directory.ListChanges{Kinds: []directory.ChangeKind{directory.TenantCreated, directory.TenantDeleted}})
	if r := ok(t, its, err).Items; len(r) != 0 {
		t.Errorf("a tenant's log tells of the making of tenants: %v", r)
	}
}
