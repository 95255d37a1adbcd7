package directory_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/id"
)

// world is a directory with one tenant and someone who may do everything in it.
type world struct {
	*directorytest.World
	t     testing.TB
	admin directory.Principal
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{World: directorytest.New(t, nil), t: t}
	w.admin = w.tenant("one")
	return w
}

func (w *world) tenant(name string) directory.Principal {
	w.t.Helper()
	a, err := w.CreateTenant(ctx, directorytest.Root(), directory.NewTenant{Name: name})
	return directorytest.In(directorytest.Root(), ok(w.t, a, err).ID)
}

// ok returns the value of an answer that must have come.
func ok[T any](t testing.TB, a directory.Answer[T], err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return a.Value
}

// with is a machine's key in the tenant, with these grants.
func (w *world) with(g directory.Grants) directory.Principal {
	return directory.Principal{Tenant: w.admin.Tenant, Credential: id.New[id.Credential](), Grants: g, Dialect: "test"}
}

// as is a key that acts for a user and bounds it by nothing.
func (w *world) as(u directory.User) directory.Principal {
	p := w.with(directory.InTenant)
	p.User = u.ID
	return p
}

func (w *world) user(name string, groups ...directory.Group) directory.User {
	w.t.Helper()
	in := directory.NewUser{Name: name}
	for _, g := range groups {
		in.Groups = append(in.Groups, directory.ByGroup(g.ID))
	}
	a, err := w.CreateUser(ctx, w.admin, in)
	return ok(w.t, a, err)
}

func (w *world) group(name string, grants directory.Grants, in ...directory.Group) directory.Group {
	w.t.Helper()
	a, err := w.CreateGroup(ctx, w.admin, directory.NewGroup{Name: name, Grants: grants})
	g := ok(w.t, a, err)
	for _, parent := range in {
		w.add(parent, directory.MemberRef{IsGroup: true, Ref: directory.ByGroup(g.ID)}, directory.Standing{})
	}
	return g
}

func (w *world) add(g directory.Group, m directory.MemberRef, s directory.Standing) {
	w.t.Helper()
	a, err := w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(g.ID), Add: []directory.MemberRef{m}, Standing: s})
	ok(w.t, a, err)
}

func member(u directory.User) directory.MemberRef {
	return directory.MemberRef{Ref: directory.ByUser(u.ID)}
}

func child(g directory.Group) directory.MemberRef {
	return directory.MemberRef{IsGroup: true, Ref: directory.ByGroup(g.ID)}
}

func (w *world) revision() directory.Revision {
	w.t.Helper()
	a, err := w.Tenant(ctx, w.admin)
	ok(w.t, a, err)
	return a.Revision
}

// refused runs a write that must be refused with a kind, and leave nothing.
func (w *world) refused(what string, kind directory.Kind, fn func() error) {
	w.t.Helper()
	before := w.revision()
	if err := fn(); !errors.Is(err, kind) {
		w.t.Errorf("%s: the error is %v, want %v", what, err, kind)
	}
	if after := w.revision(); after != before {
		w.t.Errorf("%s: a refused write moved the revision from %d to %d", what, before, after)
	}
}

func ptr[T any](v T) *T { return &v }

// operation is one of the core's, with what it needs and a call that is right
// but for the principal. Each call works once.
type operation struct {
	need directory.Grants
	call func(w *world, p directory.Principal) error
}

func drop[T any](_ directory.Answer[T], err error) error { return err }

// operations are all there are; where one needs more for some inputs it is here
// once more with a note after a dot.
var operations = map[string]operation{
	"User":  {directory.ReadUsers, func(w *world, p directory.Principal) error { return drop(w.User(ctx, p, directory.ByNumber(1))) }},
	"Users": {directory.ReadUsers, func(w *world, p directory.Principal) error { return drop(w.Users(ctx, p, directory.ListUsers{})) }},
	"CreateUser": {directory.WriteUsers, func(w *world, p directory.Principal) error {
		return drop(w.CreateUser(ctx, p, directory.NewUser{Name: "new"}))
	}},
	"CreateUser.groups": {directory.WriteUsers | directory.WriteMembers, func(w *world, p directory.Principal) error {
		return drop(w.CreateUser(ctx, p, directory.NewUser{Name: "new", Groups: []directory.Ref{directory.ByNumber(1)}}))
	}},
	"CreateUsers": {directory.WriteUsers, func(w *world, p directory.Principal) error {
		return drop(w.CreateUsers(ctx, p, directory.NewUsers{Users: []directory.NewUser{{Name: "new"}}}))
	}},
	"CreateUsers.groups": {directory.WriteUsers | directory.WriteMembers, func(w *world, p directory.Principal) error {
		return drop(w.CreateUsers(ctx, p, directory.NewUsers{Users: []directory.NewUser{{Name: "new"}}, Otherwise: directory.ByNumber(1)}))
	}},
	"Portrait": {directory.ReadUsers | directory.ReadMembers, func(w *world, p directory.Principal) error {
		return drop(w.Portrait(ctx, p, directory.FindPortrait{User: directory.ByNumber(1)}))
	}},
	"Portraits": {directory.ReadUsers | directory.ReadMembers, func(w *world, p directory.Principal) error {
		return drop(w.Portraits(ctx, p, directory.ListPortraits{}))
	}},
	"Suspend": {directory.WriteUsers, func(w *world, p directory.Principal) error {
		return drop(w.Suspend(ctx, p, directory.Suspension{Users: []directory.Ref{directory.ByNumber(1)}, Suspended: true}))
	}},
	"UpdateUser": {directory.WriteUsers, func(w *world, p directory.Principal) error {
		return drop(w.UpdateUser(ctx, p, directory.UserUpdate{User: directory.ByNumber(1), GivenName: ptr("new")}))
	}},
	"DeleteUser": {directory.WriteUsers, func(w *world, p directory.Principal) error {
		return drop(w.DeleteUser(ctx, p, directory.Deletion{Ref: directory.ByNumber(1)}))
	}},
	"Group":  {directory.ReadGroups, func(w *world, p directory.Principal) error { return drop(w.Group(ctx, p, directory.ByNumber(1))) }},
	"Groups": {directory.ReadGroups, func(w *world, p directory.Principal) error { return drop(w.Groups(ctx, p, directory.ListGroups{})) }},
	"CreateGroup": {directory.WriteGroups, func(w *world, p directory.Principal) error {
		return drop(w.CreateGroup(ctx, p, directory.NewGroup{Name: "new"}))
	}},
	"UpdateGroup": {directory.WriteGroups, func(w *world, p directory.Principal) error {
		return drop(w.UpdateGroup(ctx, p, directory.GroupUpdate{Group: directory.ByNumber(1), Name: ptr("new")}))
	}},
	"DeleteGroup": {directory.WriteGroups, func(w *world, p directory.Principal) error {
		return drop(w.DeleteGroup(ctx, p, directory.Deletion{Ref: directory.ByNumber(1)}))
	}},
	"ChangeMembers": {directory.WriteMembers, func(w *world, p directory.Principal) error {
		return drop(w.ChangeMembers(ctx, p, directory.MembersChange{Group: directory.ByNumber(1), Remove: []directory.MemberRef{{Ref: directory.ByNumber(1)}}}))
	}},
	"UpdateMembers": {directory.WriteMembers, func(w *world, p directory.Principal) error {
		return drop(w.UpdateMembers(ctx, p, directory.MembersUpdate{Group: directory.ByNumber(1), Members: []directory.MemberRef{{Ref: directory.ByNumber(1)}}, Patch: directory.StandingPatch{Reason: ptr("why")}}))
	}},
	"ChangeMemberships": {directory.WriteMembers, func(w *world, p directory.Principal) error {
		return drop(w.ChangeMemberships(ctx, p, directory.Batch{Runs: []directory.BatchRun{{Do: directory.RemoveMembers, Members: []directory.MemberRef{{Ref: directory.ByNumber(1)}}, Groups: []directory.Ref{directory.ByNumber(1)}}}}))
	}},
	"ChangeGroups": {directory.WriteMembers, func(w *world, p directory.Principal) error {
		return drop(w.ChangeGroups(ctx, p, directory.GroupsChange{Member: directory.MemberRef{Ref: directory.ByNumber(1)}, Remove: []directory.Ref{directory.ByNumber(1)}}))
	}},
	"Members": {directory.ReadMembers, func(w *world, p directory.Principal) error {
		return drop(w.Members(ctx, p, directory.ListMembers{Group: directory.ByNumber(1)}))
	}},
	"GroupsOf": {directory.ReadMembers, func(w *world, p directory.Principal) error {
		return drop(w.GroupsOf(ctx, p, directory.ListMembers{Member: directory.MemberRef{Ref: directory.ByNumber(1)}}))
	}},
	"Membership": {directory.ReadMembers, func(w *world, p directory.Principal) error {
		return drop(w.Membership(ctx, p, directory.ByNumber(1), directory.MemberRef{Ref: directory.ByNumber(1)}))
	}},
	"IsMember": {directory.ReadMembers, func(w *world, p directory.Principal) error {
		return drop(w.IsMember(ctx, p, directory.Check{User: directory.ByNumber(1), Group: directory.ByNumber(1)}))
	}},
	"AreMembers": {directory.ReadMembers, func(w *world, p directory.Principal) error {
		return drop(w.AreMembers(ctx, p, make([]directory.Check, 1)))
	}},
	"SignIns": {directory.ReadUsers, func(w *world, p directory.Principal) error {
		return drop(w.SignIns(ctx, p, make([]directory.User, 1)))
	}},
	"PasswordFor": {directory.WriteUsers | directory.ManageKeys, func(w *world, p directory.Principal) error {
		_, _, _, err := w.PasswordFor(ctx, p, directory.ByNumber(1))
		return err
	}},
	"SetPassword": {directory.WriteUsers | directory.ManageKeys, func(w *world, p directory.Principal) error {
		a, err := w.User(ctx, w.admin, directory.ByNumber(1))
		if err != nil {
			return err
		}
		return drop(w.SetPassword(ctx, p, directory.NewPassword{User: a.Value.ID, Hash: []byte("new hash")}))
	}},
	"FindUsers": {directory.ReadUsers | directory.ReadMembers, func(w *world, p directory.Principal) error {
		return drop(w.FindUsers(ctx, p, directory.FindUsers{Group: directory.ByNumber(1)}))
	}},
	"FindGroups": {directory.ReadGroups | directory.ReadMembers, func(w *world, p directory.Principal) error {
		return drop(w.FindGroups(ctx, p, directory.FindGroups{Of: &directory.MemberRef{Ref: directory.ByNumber(1)}}))
	}},
	"MemberCounts": {directory.ReadMembers, func(w *world, p directory.Principal) error {
		return drop(w.MemberCounts(ctx, p, make([]directory.Group, 1)))
	}},
	"WereMembers": {directory.ReadMembers, func(w *world, p directory.Principal) error {
		return drop(w.WereMembers(ctx, p, make([]directory.Check, 1), directory.When{Revision: 1}))
	}},
	"Explain": {directory.ReadMembers, func(w *world, p directory.Principal) error {
		return drop(w.Explain(ctx, p, directory.Explain{User: directory.ByNumber(1), Group: directory.ByNumber(1)}))
	}},
	"Timeline": {directory.ReadMembers, func(w *world, p directory.Principal) error {
		return drop(w.Timeline(ctx, p, directory.Timeline{Group: directory.ByNumber(1), Member: directory.MemberRef{Ref: directory.ByNumber(1)}}))
	}},
	"Diff": {directory.ReadMembers, func(w *world, p directory.Principal) error {
		return drop(w.Diff(ctx, p, directory.Diff{From: directory.When{Revision: 1}, Group: directory.ByNumber(1)}))
	}},
	"Changes": {directory.ReadAll, func(w *world, p directory.Principal) error {
		return drop(w.Changes(ctx, p, directory.ListChanges{}))
	}},
	"Commit": {directory.ReadAll, func(w *world, p directory.Principal) error {
		return drop(w.Commit(ctx, p, directory.ListCommit{Revision: 1}))
	}},
	"Authors": {directory.ReadUsers, func(w *world, p directory.Principal) error {
		return drop(w.Authors(ctx, p, []directory.Revision{1}))
	}},
	"Credentials": {directory.ManageKeys, func(w *world, p directory.Principal) error {
		return drop(w.Credentials(ctx, p, directory.ListCredentials{}))
	}},
	"CreateCredential": {directory.ManageKeys, func(w *world, p directory.Principal) error {
		return drop(w.CreateCredential(ctx, p, directory.NewCredential{Kind: "k", Hash: []byte("new")}))
	}},
	"RevokeCredential": {directory.ManageKeys, func(w *world, p directory.Principal) error {
		a, err := w.Credentials(ctx, w.admin, directory.ListCredentials{})
		if err != nil {
			return err
		}
		return drop(w.RevokeCredential(ctx, p, a.Value.Items[0].ID))
	}},
	"Belongings": {directory.ReadUsers | directory.ReadMembers, func(w *world, p directory.Principal) error {
		a, err := w.User(ctx, w.admin, directory.ByNumber(1))
		if err != nil {
			return err
		}
		return drop(w.Belongings(ctx, p, []directory.User{a.Value}, "k"))
	}},
	"Profile": {directory.ReadUsers, func(w *world, p directory.Principal) error {
		return drop(w.Profile(ctx, p, directory.ByNumber(1), "", false))
	}},
	"Profiles": {directory.ReadUsers, func(w *world, p directory.Principal) error {
		return drop(w.Profiles(ctx, p, directory.ListProfiles{}))
	}},
	"UpdateProfile": {directory.WriteUsers, func(w *world, p directory.Principal) error {
		return drop(w.UpdateProfile(ctx, p, directory.ProfileUpdate{User: directory.ByNumber(1), Change: func(directory.Profile) (map[string]any, error) {
			return map[string]any{"a": "b"}, nil
		}}))
	}},
	"GroupsByNumber": {directory.ReadGroups, func(w *world, p directory.Principal) error {
		return drop(w.GroupsByNumber(ctx, p, []id.Number{1}))
	}},
	"UpdateCredential": {directory.ManageKeys, func(w *world, p directory.Principal) error {
		a, err := w.Credentials(ctx, w.admin, directory.ListCredentials{})
		if err != nil {
			return err
		}
		return drop(w.UpdateCredential(ctx, p, directory.CredentialUpdate{Credential: a.Value.Items[0].ID, Name: ptr("new")}))
	}},
	"AddOwner": {directory.Platform, func(w *world, p directory.Principal) error {
		owner := w.owner(id.New[id.User]().String())
		p.Tenant = id.Tenant{}
		return drop(w.AddOwner(ctx, p, w.admin.Tenant, directory.ByUser(owner.User)))
	}},
	"OwnTenants": {directory.OwnTenants, func(w *world, p directory.Principal) error {
		p.Tenant = id.Tenant{}
		_, err := w.Directory.OwnTenants(ctx, p)
		return err
	}},
	"UpdateTenant": {directory.Admin, func(w *world, p directory.Principal) error {
		return drop(w.UpdateTenant(ctx, p, directory.TenantUpdate{Title: ptr("new")}))
	}},
	"CreateTenant": {directory.Platform, func(w *world, p directory.Principal) error {
		p.Tenant = id.Tenant{}
		return drop(w.CreateTenant(ctx, p, directory.NewTenant{Name: "new"}))
	}},
	"Tenants": {directory.Platform, func(w *world, p directory.Principal) error {
		p.Tenant = id.Tenant{}
		_, err := w.Directory.Tenants(ctx, p, directory.Page{})
		return err
	}},
	"DeleteTenant": {directory.Platform, func(w *world, p directory.Principal) error {
		p.Tenant = id.Tenant{}
		return drop(w.DeleteTenant(ctx, p, w.admin.Tenant))
	}},
}

// open are the operations that need no grant, and why.
var openOperations = map[string]string{
	"Tenant":        "every principal may know its own tenant",
	"OwnCredential": "a credential may know itself",
	"OwnKeys":       "whoever signed in may have its own keys",
	"KnownUsers":    "as Exists, which asks for nobody",
	"CountUsers":    "how many there are says nothing of anybody",
	"Owner":         "who is in a tenant may know whose it is",
	"Issue":         "a verified credential makes a token for itself, with no more grants",
	"NoteSignIn":    "whoever signs in is noted, also who fails",
	"SeedBuiltIns":  "it makes groups that give nobody a right",
}

func TestEveryOperationNeedsExactlyItsGrant(t *testing.T) {
	// Whatever takes a principal is an operation, and must be in the table.
	d := reflect.TypeFor[*directory.Directory]()
	for i := range d.NumMethod() {
		m := d.Method(i)
		takes := false
		for j := range m.Type.NumIn() {
			takes = takes || m.Type.In(j) == reflect.TypeFor[directory.Principal]()
		}
		_, listed := operations[m.Name]
		_, open := openOperations[m.Name]
		if takes && !listed && !open {
			t.Errorf("operation %s is not in the table of what operations need", m.Name)
		}
	}
	for name, op := range operations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			everyone := w.group("everyone", 0)
			w.user("ann", everyone)
			a, err := w.CreateCredential(ctx, w.admin, directory.NewCredential{Kind: "k", Hash: []byte("old")})
			ok(t, a, err)
			w.refused("nobody", directory.Unauthenticated, func() error { return op.call(w, directory.Principal{}) })
			w.refused("a key without grants", directory.Forbidden, func() error { return op.call(w, w.with(0)) })
			for bit := directory.ReadUsers; bit <= directory.OwnTenants; bit <<= 1 {
				if op.need&bit == 0 {
					continue
				}
				all := directory.InTenant
				if bit != directory.Admin && bit != directory.Platform && bit != directory.OwnTenants {
					all &^= directory.Admin
				}
				lacks := w.with(all &^ bit)
				w.refused("a key that lacks "+bit.String(), directory.Forbidden, func() error { return op.call(w, lacks) })
				if op.need&(directory.Platform|directory.OwnTenants) != 0 {
					continue
				}
				most := w.group("most", all&^bit)
				u := w.user("almost", most)
				w.refused("a user that lacks "+bit.String(), directory.Forbidden, func() error { return op.call(w, w.as(u)) })
				b, err := w.DeleteUser(ctx, w.admin, directory.Deletion{Ref: directory.ByUser(u.ID)})
				ok(t, b, err)
			}
			if err := op.call(w, w.with(op.need)); err != nil {
				t.Errorf("a key with no more than %s: %v", op.need, err)
			}
		})
	}
}

func TestAUserIsBoundByWhatItsGroupsGrantNow(t *testing.T) {
	w := newWorld(t)
	readers := w.group("readers", directory.ReadUsers)
	below := w.group("below", 0, readers)
	start := w.Now()
	for i, c := range []struct {
		what     string
		group    directory.Group
		standing directory.Standing
		user     directory.NewUser
		may      [3]bool // a second before start, at start, a second after
	}{
		{"direct", readers, directory.Standing{}, directory.NewUser{}, [3]bool{true, true, true}},
		{"nested", below, directory.Standing{}, directory.NewUser{}, [3]bool{true, true, true}},
		{"from", readers, directory.Standing{From: start}, directory.NewUser{}, [3]bool{false, true, true}},
		{"until", below, directory.Standing{Until: start}, directory.NewUser{}, [3]bool{true, false, false}},
		{"suspended", readers, directory.Standing{}, directory.NewUser{Suspended: true}, [3]bool{}},
		{"expires", readers, directory.Standing{}, directory.NewUser{Expires: start}, [3]bool{true, false, false}},
	} {
		c.user.Name = fmt.Sprint("u", i)
		a, err := w.CreateUser(ctx, w.admin, c.user)
		u := ok(t, a, err)
		w.add(c.group, member(u), c.standing)
		for j, may := range c.may {
			w.Clock.Advance(time.Duration(j-1) * time.Second)
			_, err := w.Users(ctx, w.as(u), directory.ListUsers{})
			w.Clock.Advance(time.Duration(1-j) * time.Second)
			if may != (err == nil) || !may && !errors.Is(err, directory.Forbidden) {
				t.Errorf("%s, %+d s: the error is %v, want that it may: %v", c.what, j-1, err, may)
			}
		}
	}
	// A link with dates bounds those below it.
	dated := w.group("dated", 0)
	w.add(readers, child(dated), directory.Standing{Until: start.Add(time.Second)})
	u := w.user("by a link", dated)
	if _, err := w.Users(ctx, w.as(u), directory.ListUsers{}); err != nil {
		t.Errorf("while the link holds: %v", err)
	}
	w.Clock.Advance(time.Second)
	if _, err := w.Users(ctx, w.as(u), directory.ListUsers{}); !errors.Is(err, directory.Forbidden) {
		t.Errorf("after the link has ended: %v, want forbidden", err)
	}
	// A credential's own grants bound it further.
	p := w.as(w.user("bound", readers))
	p.Grants = directory.ReadGroups
	if _, err := w.Users(ctx, p, directory.ListUsers{}); !errors.Is(err, directory.Forbidden) {
		t.Errorf("with a key for something else: %v, want forbidden", err)
	}
	// A user that is gone holds nothing.
	gone := w.user("gone", readers)
	p = w.as(gone)
	a, err := w.DeleteUser(ctx, w.admin, directory.Deletion{Ref: directory.ByUser(gone.ID)})
	ok(t, a, err)
	if _, err := w.Users(ctx, p, directory.ListUsers{}); !errors.Is(err, directory.Forbidden) {
		t.Errorf("of a deleted user: %v, want forbidden", err)
	}
}

func TestWhoTouchesAPrivilegedGroupMustHoldWhatItConfers(t *testing.T) {
	w := newWorld(t)
	top := w.group("top", directory.ManageKeys)
	below := w.group("below", 0, top)
	plain := w.group("plain", 0)
	inside := w.user("inside", below)
	ann := w.user("ann")
	few := directory.ReadAll | directory.WriteUsers | directory.WriteGroups | directory.WriteMembers
	lacks, holds := w.with(few), w.with(few|directory.ManageKeys)
	members := func(g directory.Group, add, remove []directory.MemberRef) func(directory.Principal) error {
		return func(p directory.Principal) error {
			return drop(w.ChangeMembers(ctx, p, directory.MembersChange{Group: directory.ByGroup(g.ID), Add: add, Remove: remove, Mode: directory.Each}))
		}
	}
	steps := []struct {
		what string
		do   func(directory.Principal) error
	}{
		{"add to the group below", members(below, []directory.MemberRef{member(ann)}, nil)},
		{"change how it stands", func(p directory.Principal) error {
			return drop(w.ChangeMembers(ctx, p, directory.MembersChange{Group: directory.ByGroup(below.ID), Add: []directory.MemberRef{member(ann)}, Standing: directory.Standing{Reason: "r"}}))
		}},
		{"change in part how it stands", func(p directory.Principal) error {
			return drop(w.UpdateMembers(ctx, p, directory.MembersUpdate{Group: directory.ByGroup(below.ID), Members: []directory.MemberRef{member(ann)}, Patch: directory.StandingPatch{Reason: ptr("s")}}))
		}},
		{"remove from the group below", members(below, nil, []directory.MemberRef{member(ann)})},
		{"join the group", func(p directory.Principal) error {
			return drop(w.ChangeGroups(ctx, p, directory.GroupsChange{Member: member(ann), Add: []directory.Ref{directory.ByGroup(plain.ID), directory.ByGroup(top.ID)}}))
		}},
		{"leave it by replacing", func(p directory.Principal) error {
			return drop(w.ChangeGroups(ctx, p, directory.GroupsChange{Member: member(ann), Add: []directory.Ref{directory.ByGroup(plain.ID)}, Replace: true}))
		}},
		{"create a user into it", func(p directory.Principal) error {
			return drop(w.CreateUser(ctx, p, directory.NewUser{Name: "new", Groups: []directory.Ref{directory.ByGroup(below.ID)}}))
		}},
		{"link a group into it", members(below, []directory.MemberRef{child(plain)}, nil)},
		{"unlink it", members(below, nil, []directory.MemberRef{child(plain)})},
		{"create a group that grants it", func(p directory.Principal) error {
			return drop(w.CreateGroup(ctx, p, directory.NewGroup{Name: "x", Grants: directory.ManageKeys}))
		}},
		{"make a group grant it", func(p directory.Principal) error {
			return drop(w.UpdateGroup(ctx, p, directory.GroupUpdate{Group: directory.ByGroup(plain.ID), Grants: ptr(directory.ManageKeys)}))
		}},
		{"make it grant less", func(p directory.Principal) error {
			return drop(w.UpdateGroup(ctx, p, directory.GroupUpdate{Group: directory.ByGroup(plain.ID), Grants: ptr(directory.Grants(0))}))
		}},
		{"change somebody inside", func(p directory.Principal) error {
			return drop(w.UpdateUser(ctx, p, directory.UserUpdate{User: directory.ByUser(inside.ID), Email: ptr("new@example.com")}))
		}},
		{"delete somebody inside", func(p directory.Principal) error {
			return drop(w.DeleteUser(ctx, p, directory.Deletion{Ref: directory.ByUser(inside.ID)}))
		}},
		{"delete the group below", func(p directory.Principal) error {
			return drop(w.DeleteGroup(ctx, p, directory.Deletion{Ref: directory.ByGroup(below.ID)}))
		}},
	}
	for _, s := range steps {
		w.refused(s.what, directory.Forbidden, func() error { return s.do(lacks) })
		if err := s.do(holds); err != nil {
			t.Errorf("%s, holding it: %v", s.what, err)
		}
	}
	// What confers nothing is anybody's who may write members.
	if err := members(plain, []directory.MemberRef{member(ann)}, nil)(lacks); err != nil {
		t.Errorf("a plain group: %v", err)
	}
}

func TestAKeyOrAPasswordForSomebodyNeedsWhatThatUserHolds(t *testing.T) {
	w := newWorld(t)
	admins := w.group("admins", directory.Admin)
	keys := w.with(directory.ManageKeys | directory.WriteUsers)
	plain := w.user("plain")
	for _, c := range []struct {
		what string
		user func() directory.User
	}{
		{"an administrator", func() directory.User { return w.user("active", admins) }},
		{"a suspended administrator", func() directory.User {
			u := w.user("suspended", admins)
			a, err := w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(u.ID), Suspended: ptr(true)})
			return ok(t, a, err)
		}},
		{"an expired administrator", func() directory.User {
			u := w.user("expired", admins)
			a, err := w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(u.ID), Expires: ptr(w.Now())})
			return ok(t, a, err)
		}},
		{"an administrator of tomorrow", func() directory.User {
			u := w.user("tomorrow")
			w.add(admins, member(u), directory.Standing{From: w.Now().Add(24 * time.Hour)})
			return u
		}},
	} {
		u := c.user()
		ref := directory.ByUser(u.ID)
		w.refused(c.what+": a key", directory.Forbidden, func() error {
			return drop(w.CreateCredential(ctx, keys, directory.NewCredential{Kind: "k", Hash: []byte(u.Name), User: ref}))
		})
		w.refused(c.what+": an address", directory.Forbidden, func() error {
			return drop(w.UpdateUser(ctx, keys, directory.UserUpdate{User: ref, Email: ptr("mine@example.com")}))
		})
		w.refused(c.what+": back from suspension", directory.Forbidden, func() error {
			return drop(w.UpdateUser(ctx, keys, directory.UserUpdate{User: ref, Suspended: ptr(!u.Suspended), Expires: ptr(time.Time{}), GivenName: ptr("x")}))
		})
		w.refused(c.what+": an end", directory.Forbidden, func() error {
			return drop(w.DeleteUser(ctx, keys, directory.Deletion{Ref: ref}))
		})
	}
	w.refused("grants it does not hold", directory.Forbidden, func() error {
		return drop(w.CreateCredential(ctx, keys, directory.NewCredential{Kind: "k", Hash: []byte("x"), Grants: directory.ReadUsers}))
	})
	a, err := w.CreateCredential(ctx, w.admin, directory.NewCredential{Kind: "k", Hash: []byte("strong"), Grants: directory.ReadUsers})
	strong := ok(t, a, err)
	w.refused("revoking a key with grants it does not hold", directory.Forbidden, func() error { return drop(w.RevokeCredential(ctx, keys, strong.ID)) })
	w.refused("platform inside a tenant", directory.Invalid, func() error {
		return drop(w.CreateCredential(ctx, w.admin, directory.NewCredential{Kind: "k", Hash: []byte("x"), Grants: directory.Platform}))
	})
	if _, err := w.CreateCredential(ctx, keys, directory.NewCredential{Kind: "k", Hash: []byte("plain"), User: directory.ByUser(plain.ID)}); err != nil {
		t.Errorf("a key for somebody who holds nothing: %v", err)
	}
	// To replace a user's keys touches nobody else's.
	if _, err := w.CreateCredential(ctx, w.admin, directory.NewCredential{Kind: "k", Hash: []byte("machine"), Replace: true}); err != nil {
		t.Fatal(err)
	}
	list, err := w.Credentials(ctx, w.admin, directory.ListCredentials{})
	if n := len(ok(t, list, err).Items); n != 3 {
		t.Errorf("after a machine's key that replaces there are %d, want 3", n)
	}
}

func TestATenantKeepsAnAdministratorOnEveryPath(t *testing.T) {
	type paths struct {
		w             *world
		admins, below directory.Group
		root          directory.User
	}
	change := func(p paths, c directory.MembersChange) error { return drop(p.w.ChangeMembers(ctx, p.w.admin, c)) }
	update := func(p paths, g directory.Group, m directory.MemberRef, patch directory.StandingPatch) error {
		return drop(p.w.UpdateMembers(ctx, p.w.admin, directory.MembersUpdate{Group: directory.ByGroup(g.ID), Members: []directory.MemberRef{m}, Patch: patch}))
	}
	for _, c := range []struct {
		what string
		do   func(p paths) error
	}{
		{"remove from the group", func(p paths) error {
			return change(p, directory.MembersChange{Group: directory.ByGroup(p.below.ID), Remove: []directory.MemberRef{member(p.root)}})
		}},
		{"replace its groups", func(p paths) error {
			return drop(p.w.ChangeGroups(ctx, p.w.admin, directory.GroupsChange{Member: member(p.root), Replace: true}))
		}},
		{"delete the user", func(p paths) error {
			return drop(p.w.DeleteUser(ctx, p.w.admin, directory.Deletion{Ref: directory.ByUser(p.root.ID)}))
		}},
		{"suspend the user", func(p paths) error {
			return drop(p.w.UpdateUser(ctx, p.w.admin, directory.UserUpdate{User: directory.ByUser(p.root.ID), Suspended: ptr(true)}))
		}},
		{"let the user expire at once", func(p paths) error {
			return drop(p.w.UpdateUser(ctx, p.w.admin, directory.UserUpdate{User: directory.ByUser(p.root.ID), Expires: ptr(p.w.Now())}))
		}},
		{"let the user expire some day", func(p paths) error {
			return drop(p.w.UpdateUser(ctx, p.w.admin, directory.UserUpdate{User: directory.ByUser(p.root.ID), Expires: ptr(p.w.Now().Add(24 * time.Hour))}))
		}},
		{"let the membership end at once", func(p paths) error {
			return change(p, directory.MembersChange{Group: directory.ByGroup(p.below.ID), Add: []directory.MemberRef{member(p.root)}, Standing: directory.Standing{Until: p.w.Now()}})
		}},
		{"let the membership end some day", func(p paths) error {
			return change(p, directory.MembersChange{Group: directory.ByGroup(p.below.ID), Add: []directory.MemberRef{member(p.root)}, Standing: directory.Standing{Until: p.w.Now().Add(24 * time.Hour)}})
		}},
		{"let the membership begin tomorrow", func(p paths) error {
			return change(p, directory.MembersChange{Group: directory.ByGroup(p.below.ID), Add: []directory.MemberRef{member(p.root)}, Standing: directory.Standing{From: p.w.Now().Add(24 * time.Hour)}})
		}},
		{"update the membership to end at once", func(p paths) error {
			return update(p, p.below, member(p.root), directory.StandingPatch{Until: ptr(p.w.Now())})
		}},
		{"update the membership to end some day", func(p paths) error {
			return update(p, p.below, member(p.root), directory.StandingPatch{Until: ptr(p.w.Now().Add(24 * time.Hour))})
		}},
		{"update the membership to begin tomorrow", func(p paths) error {
			return update(p, p.below, member(p.root), directory.StandingPatch{From: ptr(p.w.Now().Add(24 * time.Hour))})
		}},
		{"update the link to end some day", func(p paths) error {
			return update(p, p.admins, child(p.below), directory.StandingPatch{Until: ptr(p.w.Now().Add(24 * time.Hour))})
		}},
		{"let the link end some day", func(p paths) error {
			return change(p, directory.MembersChange{Group: directory.ByGroup(p.admins.ID), Add: []directory.MemberRef{child(p.below)}, Standing: directory.Standing{Until: p.w.Now().Add(24 * time.Hour)}})
		}},
		{"unlink the group", func(p paths) error {
			return change(p, directory.MembersChange{Group: directory.ByGroup(p.admins.ID), Remove: []directory.MemberRef{child(p.below)}})
		}},
		{"delete the group below", func(p paths) error {
			return drop(p.w.DeleteGroup(ctx, p.w.admin, directory.Deletion{Ref: directory.ByGroup(p.below.ID)}))
		}},
		{"delete the group that grants", func(p paths) error {
			return drop(p.w.DeleteGroup(ctx, p.w.admin, directory.Deletion{Ref: directory.ByGroup(p.admins.ID)}))
		}},
		{"make it grant less", func(p paths) error {
			return drop(p.w.UpdateGroup(ctx, p.w.admin, directory.GroupUpdate{Group: directory.ByGroup(p.admins.ID), Grants: ptr(directory.InTenant &^ directory.Admin)}))
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := paths{w: w, admins: w.group("admins", directory.Admin)}
			p.below = w.group("below", 0, p.admins)
			p.root = w.user("root", p.below)
			// Neither who is suspended, nor whose time is over, nor who is one for
			// a while only, is an administrator to rely on.
			for i, u := range []directory.NewUser{{Suspended: true}, {Expires: w.Now()}} {
				u.Name = fmt.Sprint("not", i)
				a, err := w.CreateUser(ctx, w.admin, u)
				w.add(p.admins, member(ok(t, a, err)), directory.Standing{})
			}
			w.refused(c.what, directory.Conflict, func() error {
				err := c.do(p)
				if err != nil && directory.CodeOf(err) != "admin.last" {
					t.Errorf("the error is %v, want that it is the last administrator", err)
				}
				return err
			})
			second := w.group("second", directory.Admin)
			w.user("successor", second)
			if err := c.do(p); err != nil {
				t.Errorf("with a second administrator: %v", err)
			}
		})
	}
	t.Run("a tenant that has none may go on having none", func(t *testing.T) {
		w := newWorld(t)
		g := w.group("admins", directory.Admin)
		u := w.user("ann")
		w.add(g, member(u), directory.Standing{From: w.Now().Add(time.Hour), Until: w.Now().Add(2 * time.Hour)})
		if _, err := w.DeleteUser(ctx, w.admin, directory.Deletion{Ref: directory.ByUser(u.ID)}); err != nil {
			t.Error(err)
		}
	})
}

func TestAWriteWithAKeyHappensAtMostOnce(t *testing.T) {
	w := newWorld(t)
	p := w.with(directory.Admin)
	encode := func(answer any, rev directory.Revision) []byte {
		return fmt.Append(nil, answer.(directory.Group).Number, " at ", rev)
	}
	once := func(key string, print byte) *directory.Once {
		return &directory.Once{Key: key, Fingerprint: [32]byte{print}, Encode: encode}
	}
	create := func(p directory.Principal, o *directory.Once, name string) error {
		p.Once = o
		return drop(w.CreateGroup(ctx, p, directory.NewGroup{Name: name}))
	}
	if err := create(p, once("a", 1), "g"); err != nil {
		t.Fatal(err)
	}
	again := once("a", 1)
	w.refused("again", directory.Conflict, func() error { return create(p, again, "g") })
	if string(again.Replay) != "1 at 1" {
		t.Errorf("the answer that was kept is %q, want that of group 1 at revision 1", again.Replay)
	}
	if err := create(p, once("a", 1), "g"); err != directory.ErrReplayed {
		t.Errorf("a repetition says %v, want %v", err, directory.ErrReplayed)
	}
	other := once("a", 2)
	w.refused("the same key for something else", directory.Conflict, func() error { return create(p, other, "h") })
	if err := create(p, other, "h"); directory.CodeOf(err) != "idempotency.mismatch" || other.Replay != nil {
		t.Errorf("the same key for something else says %v and answers %q", err, other.Replay)
	}
	if err := create(w.with(directory.Admin), once("a", 1), "of another credential"); err != nil {
		t.Errorf("the same key of another credential: %v", err)
	}
	// What was refused is not remembered.
	w.refused("a bad one", directory.Conflict, func() error {
		p := p
		p.Once = once("b", 1)
		return drop(w.CreateGroup(ctx, p, directory.NewGroup{Name: "g", UniqueName: true}))
	})
	if err := create(p, once("b", 1), "b"); err != nil {
		t.Errorf("after a refusal: %v", err)
	}
	// A principal that lost its right does not get the kept answer either.
	w.refused("without the grant", directory.Forbidden, func() error {
		p := p
		p.Grants = directory.ReadAll
		return create(p, once("a", 1), "g")
	})

	before := w.revision()
	var wrote, replayed atomic.Int32
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			o := once("c", 1)
			switch err := create(p, o, "concurrent"); {
			case err == nil:
				wrote.Add(1)
			case err == directory.ErrReplayed && len(o.Replay) > 0:
				replayed.Add(1)
			default:
				t.Errorf("a duplicate says %v", err)
			}
		})
	}
	all.Wait()
	if wrote.Load() != 1 || replayed.Load() != 31 || w.revision() != before+1 {
		t.Errorf("of 32 duplicates %d wrote and %d were replayed, and %d revisions came; want 1, 31 and 1", wrote.Load(), replayed.Load(), w.revision()-before)
	}
}

func TestAVersionMovesWithEachChangeAndOnlyThen(t *testing.T) {
	w := newWorld(t)
	ref := directory.ByNumber(1)
	expires := w.Now().Add(time.Hour)
	a, err := w.CreateUser(ctx, w.admin, directory.NewUser{
		Name: "ann", Email: "ann@example.com", Expires: expires.Add(999 * time.Nanosecond).In(time.FixedZone("", 3600)), Externals: map[string]string{"a": "b"},
		Attributes: directory.Attributes{"d": map[string]any{"n": 5, "f": 1.5, "s": "x", "l": []any{1, "y", nil}}},
	})
	if u := ok(t, a, err); !u.Expires.Equal(expires) || u.Expires.Location() != time.UTC {
		t.Errorf("the user expires at %v, want %v", u.Expires, expires)
	}
	kept, err := w.User(ctx, w.admin, ref)
	ok(t, kept, err)
	g, err := w.CreateGroup(ctx, w.admin, directory.NewGroup{Name: "g", Attributes: directory.Attributes{"d": map[string]any{"n": 5}}})
	ok(t, g, err)
	before := w.revision()
	for what, in := range map[string]directory.UserUpdate{
		"nothing":         {},
		"the same name":   {Name: ptr("ann")},
		"the same moment": {Expires: ptr(expires.Add(time.Nanosecond).In(time.FixedZone("", -3600)))},
		"the same keys":   {Externals: ptr(map[string]string{"a": "b"})},
		"the same values": {Attributes: directory.Attributes{"d": map[string]any{"n": 5, "f": 1.5, "s": "x", "l": []any{json.Number("1"), "y", nil}, "absent": nil}}},
		"another number":  {Attributes: directory.Attributes{"d": map[string]any{"n": 5.0}}},
		"its version":     {IfVersion: 1},
	} {
		in.User = ref
		a, err := w.UpdateUser(ctx, w.admin, in)
		if u := ok(t, a, err); u.Version != 1 || w.revision() != before {
			t.Errorf("%s: version %d and revision %d, want 1 and %d", what, u.Version, w.revision(), before)
		}
	}
	for what, in := range map[string]directory.GroupUpdate{
		"nothing": {}, "no keys": {Externals: &map[string]string{}}, "the same values": {Attributes: directory.Attributes{"d": map[string]any{"n": int64(5)}}},
	} {
		in.Group = directory.ByNumber(1)
		a, err := w.UpdateGroup(ctx, w.admin, in)
		if g := ok(t, a, err); g.Version != 1 || w.revision() != before {
			t.Errorf("group, %s: version %d and revision %d, want 1 and %d", what, g.Version, w.revision(), before)
		}
	}
	for i, in := range []directory.UserUpdate{
		{Attributes: directory.Attributes{"d": map[string]any{"n": "5"}}},
		{Attributes: directory.Attributes{"d": map[string]any{"n": true}}},
		{Attributes: directory.Attributes{"d": map[string]any{"n": nil}}},
		{Attributes: directory.Attributes{"d": map[string]any{"l": []any{1, "y"}}}},
		{Externals: &map[string]string{}},
		{Name: ptr("ANN")},
		{Expires: &time.Time{}},
	} {
		in.User, in.IfVersion = ref, int64(i+1)
		a, err := w.UpdateUser(ctx, w.admin, in)
		if u := ok(t, a, err); u.Version != int64(i+2) || a.Revision != before+directory.Revision(i+1) || u.ModifiedIn != a.Revision {
			t.Errorf("change %d: version %d, revision %d, modified in %d", i, u.Version, a.Revision, u.ModifiedIn)
		}
		found, err := w.User(ctx, w.admin, ref)
		found.Value.Attributes, a.Value.Attributes = nil, nil
		if diff := cmp.Diff(a.Value, ok(t, found, err)); diff != "" {
			t.Errorf("change %d: what was answered is not what is kept (-answered +kept):\n%s", i, diff)
		}
	}
	for what, fn := range map[string]func() error{
		"user": func() error {
			return drop(w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: ref, IfVersion: 1, Name: ptr("x")}))
		},
		"user's end": func() error { return drop(w.DeleteUser(ctx, w.admin, directory.Deletion{Ref: ref, IfVersion: 1})) },
		"group": func() error {
			return drop(w.UpdateGroup(ctx, w.admin, directory.GroupUpdate{Group: directory.ByNumber(1), IfVersion: 9, Name: ptr("x")}))
		},
		"group's end": func() error {
			return drop(w.DeleteGroup(ctx, w.admin, directory.Deletion{Ref: directory.ByNumber(1), IfVersion: 9}))
		},
		"tenant": func() error {
			return drop(w.UpdateTenant(ctx, w.admin, directory.TenantUpdate{IfVersion: 9, Title: ptr("x")}))
		},
	} {
		w.refused(what, directory.Stale, fn)
	}
}

func TestListsComePageByPageAndEndWhereverTheyAreAskedFrom(t *testing.T) {
	w := newWorld(t)
	const n = 7
	var refs []directory.Ref
	for i := range n {
		refs = append(refs, directory.ByGroup(w.group(fmt.Sprint("g", i), 0).ID))
	}
	top := w.group("top", 0)
	var members []directory.MemberRef
	for i := range n {
		a, err := w.CreateUser(ctx, w.admin, directory.NewUser{Name: fmt.Sprint("u", i), Groups: refs})
		members = append(members, member(ok(t, a, err)))
	}
	for _, r := range refs {
		members = append(members, directory.MemberRef{IsGroup: true, Ref: r})
	}
	c, err := w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(top.ID), Add: members})
	ok(t, c, err)
	for i := range 3 {
		a, err := w.CreateCredential(ctx, w.admin, directory.NewCredential{Kind: "k", Hash: []byte{byte(i)}})
		ok(t, a, err)
	}
	type list func(directory.Page) (names []string, next int64, err error)
	each := func(items []directory.MemberOf) (names []string) {
		for _, m := range items {
			if m.User != nil {
				names = append(names, m.User.Name)
			} else {
				names = append(names, m.Group.Name)
			}
		}
		return names
	}
	lists := map[string]struct {
		n    int
		page list
	}{
		"users": {n, func(p directory.Page) (names []string, next int64, err error) {
			a, err := w.Users(ctx, w.admin, directory.ListUsers{Page: p})
			for _, u := range a.Value.Items {
				names = append(names, u.Name)
			}
			return names, a.Value.Next, err
		}},
		"groups": {n + 1, func(p directory.Page) (names []string, next int64, err error) {
			a, err := w.Groups(ctx, w.admin, directory.ListGroups{Page: p})
			for _, g := range a.Value.Items {
				names = append(names, g.Name)
			}
			return names, a.Value.Next, err
		}},
		"credentials": {3, func(p directory.Page) (names []string, next int64, err error) {
			a, err := w.Credentials(ctx, w.admin, directory.ListCredentials{Page: p})
			for _, c := range a.Value.Items {
				names = append(names, fmt.Sprint(c.Code))
			}
			return names, a.Value.Next, err
		}},
		"tenants": {1, func(p directory.Page) (names []string, next int64, err error) {
			a, err := w.Directory.Tenants(ctx, directorytest.Root(), p)
			for _, c := range a.Items {
				names = append(names, c.Name)
			}
			return names, a.Next, err
		}},
	}
	for _, transitive := range []bool{false, true} {
		for _, standing := range []bool{false, true} {
			name := fmt.Sprintf("members, transitive %v, standing %v", transitive, standing)
			count := 2 * n
			if transitive {
				count = n
			}
			lists[name] = struct {
				n    int
				page list
			}{count, func(p directory.Page) ([]string, int64, error) {
				a, err := w.Members(ctx, w.admin, directory.ListMembers{Page: p, Group: directory.ByGroup(top.ID), Transitive: transitive, Standing: standing})
				return each(a.Value.Items), a.Value.Next, err
			}}
			lists["groups of, "+name] = struct {
				n    int
				page list
			}{n + 1, func(p directory.Page) ([]string, int64, error) {
				a, err := w.GroupsOf(ctx, w.admin, directory.ListMembers{Page: p, Member: members[0], Transitive: transitive, Standing: standing})
				return each(a.Value.Items), a.Value.Next, err
			}}
		}
	}
	for name, l := range lists {
		all, next, err := l.page(directory.Page{})
		if err != nil || next != 0 || len(all) != l.n || len(slices.Compact(slices.Sorted(slices.Values(all)))) != l.n {
			t.Errorf("%s: %v, next %d, %v; want %d things", name, all, next, err, l.n)
		}
		for _, limit := range []int{1, 2, 3, l.n - 1, l.n, l.n + 1, directory.MaxPage, math.MaxInt, -1} {
			var got []string
			for p := (directory.Page{Limit: limit}); ; {
				names, next, err := l.page(p)
				if err != nil || limit > 0 && len(names) > limit || next != 0 && len(names) == 0 {
					t.Fatalf("%s in pages of %d after %d: %v, next %d, %v", name, limit, p.After, names, next, err)
				}
				got = append(got, names...)
				if p.After = next; next == 0 {
					break
				}
			}
			if diff := cmp.Diff(all, got); diff != "" {
				t.Errorf("%s in pages of %d differ (-all +pages):\n%s", name, limit, diff)
			}
		}
		for _, after := range []int64{math.MinInt64, -1} {
			if names, _, err := l.page(directory.Page{After: after}); err != nil || !slices.Equal(names, all) {
				t.Errorf("%s after %d: %v, %v; want all", name, after, names, err)
			}
		}
		for _, after := range []int64{1 << 32, 1<<32 + 1, 1 << 40, math.MaxInt64} {
			if names, next, err := l.page(directory.Page{After: after}); err != nil || len(names) != 0 || next != 0 {
				t.Errorf("%s after %d: %v, next %d, %v; want none", name, after, names, next, err)
			}
		}
	}
}

func TestNamesAreOneInEveryLetterCase(t *testing.T) {
	for _, same := range [][]string{
		{"ann", "ANN", "Ann"},
		{"straße", "STRASSE", "Strasse", "STRAẞE"},
		{"ΣΊΣΥΦΟΣ", "σίσυφος", "Σίσυφοσ"},
		{"é", "e\u0301", "É", "E\u0301"},
		{"ﬁn", "FIN", "fin"},
		{"K", "k", "\u212a"}, // the Kelvin sign
		{"ǅ", "ǆ", "Ǆ"},
		{"Å", "å", "\u212b", "a\u030a"},
		{"", ""},
	} {
		for _, s := range same {
			if got, want := directory.FoldName(s), directory.FoldName(same[0]); got != want {
				t.Errorf("FoldName(%q) is %q, want %q as of %q", s, got, want, same[0])
			}
		}
	}
	for _, pair := range [][2]string{{"ı", "i"}, {"а", "a"}, {"ann", "ann "}, {"0", "O"}, {"ä", "a"}} {
		if directory.FoldName(pair[0]) == directory.FoldName(pair[1]) {
			t.Errorf("%q and %q are one", pair[0], pair[1])
		}
	}
	// Whatever Unicode holds for the same letter in another case is the same here.
	for r := rune(0); r <= unicode.MaxRune; r++ {
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			if a, b := directory.FoldName(string(r)), directory.FoldName(string(other)); a != b {
				t.Errorf("%q is %q and %q is %q", r, a, other, b)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "name")
		if once, twice := directory.FoldName(s), directory.FoldName(directory.FoldName(s)); once != twice {
			t.Fatalf("FoldName(%q) is %q and folded again %q", s, once, twice)
		}
		if up := strings.ToUpper(s); isASCII(s) && directory.FoldName(up) != directory.FoldName(s) {
			t.Fatalf("%q and %q are not one", s, up)
		}
	})
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

func TestAnAmbiguousNameIsRefusedNeverGuessed(t *testing.T) {
	w := newWorld(t)
	w.group("twin", 0)
	w.group("TWIN", 0)
	ann := w.user("ann")
	twin := directory.ByName("Twin")
	for what, fn := range map[string]func() error{
		"find":   func() error { return drop(w.Group(ctx, w.admin, twin)) },
		"change": func() error { return drop(w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: twin})) },
		"delete": func() error { return drop(w.DeleteGroup(ctx, w.admin, directory.Deletion{Ref: twin})) },
		"list":   func() error { return drop(w.Members(ctx, w.admin, directory.ListMembers{Group: twin})) },
		"a third that must be the only one": func() error {
			return drop(w.CreateGroup(ctx, w.admin, directory.NewGroup{Name: "tWin", UniqueName: true}))
		},
	} {
		w.refused(what, directory.Conflict, fn)
	}
	w.refused("join", directory.Conflict, func() error {
		return drop(w.ChangeGroups(ctx, w.admin, directory.GroupsChange{Member: member(ann), Add: []directory.Ref{twin}}))
	})
	w.refused("create into", directory.Conflict, func() error {
		return drop(w.CreateUser(ctx, w.admin, directory.NewUser{Name: "x", Groups: []directory.Ref{twin}}))
	})
	w.refused("check", directory.Conflict, func() error {
		return drop(w.IsMember(ctx, w.admin, directory.Check{User: directory.ByUser(ann.ID), Group: twin}))
	})
}

func TestABatchHasAnEnd(t *testing.T) {
	w := newWorld(t)
	g := w.group("g", 0)
	for what, fn := range map[string]func() error{
		"members": func() error {
			return drop(w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(g.ID), Add: make([]directory.MemberRef, directory.MaxBatch), Remove: make([]directory.MemberRef, 1)}))
		},
		"groups": func() error {
			return drop(w.ChangeGroups(ctx, w.admin, directory.GroupsChange{Add: make([]directory.Ref, directory.MaxBatch), Remove: make([]directory.Ref, 1)}))
		},
		"checks": func() error { return drop(w.AreMembers(ctx, w.admin, make([]directory.Check, directory.MaxChecks+1))) },
	} {
		w.refused(what, directory.TooLarge, fn)
	}
}

func TestBadInputIsRefusedAndLeavesNothing(t *testing.T) {
	w := newWorld(t)
	g := w.group("g", 0)
	w.user("ann")
	long := strings.Repeat("x", directory.MaxName+1)
	user := func(in directory.NewUser) func() error {
		return func() error { return drop(w.CreateUser(ctx, w.admin, in)) }
	}
	group := func(in directory.NewGroup) func() error {
		return func() error { return drop(w.CreateGroup(ctx, w.admin, in)) }
	}
	stand := func(s directory.Standing) func() error {
		return func() error {
			return drop(w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(g.ID), Add: []directory.MemberRef{{Ref: directory.ByNumber(1)}}, Standing: s}))
		}
	}
	key := func(in directory.NewCredential) func() error {
		in.Kind, in.Hash = "k", []byte("h")
		return func() error { return drop(w.CreateCredential(ctx, w.admin, in)) }
	}
	names := []string{"", " ", " a", "a ", "a\nb", "a\tb", "a\x00b", "a\x7fb", "\xff", long}
	cases := map[string]func() error{
		"address":            user(directory.NewUser{Name: "x", Email: "Ann <ann@example.com>"}),
		"address with space": user(directory.NewUser{Name: "x", Email: "a b@example.com"}),
		"address too long":   user(directory.NewUser{Name: "x", Email: strings.Repeat("x", 250) + "@example.com"}),
		"given name":         user(directory.NewUser{Name: "x", GivenName: "\xff"}),
		"number":             user(directory.NewUser{Name: "x", Number: id.MaxNumber + 1}),
		"code":               user(directory.NewUser{Name: "x", Code: -1}),
		"largest code":       user(directory.NewUser{Name: "x", Code: directory.MaxCode + 1}),
		"person code":        user(directory.NewUser{Name: "x", PersonCode: math.MaxInt64}),
		"far expiry":         user(directory.NewUser{Name: "x", Expires: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}),
		"far expiry by zone": user(directory.NewUser{Name: "x", Expires: time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600))}),
		"early expiry":       user(directory.NewUser{Name: "x", Expires: time.Unix(0, 0)}),
		"source":             user(directory.NewUser{Name: "x", Externals: map[string]string{"a/b": "c"}}),
		"external":           user(directory.NewUser{Name: "x", Externals: map[string]string{"a": ""}}),
		"unknown group":      user(directory.NewUser{Name: "x", Groups: []directory.Ref{directory.ByNumber(77)}}),
		"group name":         group(directory.NewGroup{Name: long}),
		"description":        group(directory.NewGroup{Description: strings.Repeat("x", directory.MaxDescription+1)}),
		"group number":       group(directory.NewGroup{Name: "x", Number: math.MaxUint32}),
		"group code":         group(directory.NewGroup{Name: "x", Code: math.MaxInt64}),
		"platform":           group(directory.NewGroup{Name: "x", Grants: directory.Platform}),
		"unheard-of grant":   group(directory.NewGroup{Name: "x", Grants: 1 << 20}),
		"empty time":         stand(directory.Standing{From: w.Now(), Until: w.Now()}),
		"times crossed":      stand(directory.Standing{From: w.Now(), Until: w.Now().Add(-time.Second)}),
		"far end":            stand(directory.Standing{Until: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}),
		"early start":        stand(directory.Standing{From: time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)}),
		"reason":             stand(directory.Standing{Reason: strings.Repeat("x", directory.MaxReason+1)}),
		"membership source":  stand(directory.Standing{Source: "a\x00"}),
		"key expired":        key(directory.NewCredential{Expires: w.Now()}),
		"key code":           key(directory.NewCredential{Code: math.MaxInt64}),
		"key below":          key(directory.NewCredential{Code: -1}),
		"key name":           key(directory.NewCredential{Name: long}),
	}
	for _, name := range names {
		cases[fmt.Sprintf("user name %q", name)] = user(directory.NewUser{Name: name})
		cases[fmt.Sprintf("renamed %q", name)] = func() error {
			return drop(w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByNumber(1), Name: &name}))
		}
	}
	for what, fn := range cases {
		w.refused(what, directory.Invalid, fn)
	}
	for _, name := range []string{"", "A", "1a", "a-", "a_b", strings.Repeat("a", 65), "ä"} {
		if err := drop(w.CreateTenant(ctx, directorytest.Root(), directory.NewTenant{Name: name})); !errors.Is(err, directory.Invalid) {
			t.Errorf("a tenant named %q: %v, want invalid", name, err)
		}
	}
}

func TestNoSecretIsInTheHistory(t *testing.T) {
	w := newWorld(t)
	hash, sealed := []byte("HASHHASHHASHHASH"), []byte("SEALEDSEALEDSEALED")
	u := w.user("ann")
	a, err := w.CreateUser(ctx, w.admin, directory.NewUser{Name: "bob", Credentials: []directory.Credential{{Kind: "k", Hash: hash, Sealed: sealed}}})
	ok(t, a, err)
	c, err := w.CreateCredential(ctx, w.admin, directory.NewCredential{Kind: "k2", Hash: hash, Sealed: sealed, User: directory.ByUser(u.ID)})
	ok(t, c, err)
	_, err = w.Store.Update(ctx, w.admin.Tenant, directory.Author{}, func(wr directory.Writer) error {
		changed := c.Value
		changed.Hash, changed.Sealed, changed.Name = append(hash, 'X'), append(sealed, 'X'), "renamed"
		return wr.UpdateCredential(changed)
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := w.RevokeCredential(ctx, w.admin, c.Value.ID)
	ok(t, d, err)
	for commit, err := range w.Store.Commits(ctx, w.admin.Tenant, 0) {
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(commit)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"HASH", "SEALED", "SEFTSE", "U0VBTEVE"} { // as it is and in base64
			if strings.Contains(string(text), secret) {
				t.Errorf("revision %d holds a secret: %s", commit.Revision, text)
			}
		}
	}
	list, err := w.Credentials(ctx, w.admin, directory.ListCredentials{})
	for _, c := range ok(t, list, err).Items {
		if c.Hash != nil || c.Sealed != nil {
			t.Errorf("a list of credentials gives out what verifies them: %+v", c)
		}
	}
}

func TestARevokedSuspendedOrDeletedCredentialIsRefusedByTheVeryNextQuestion(t *testing.T) {
	w := newWorld(t)
	for what, end := range map[string]func(u directory.User, c directory.Credential) error{
		"revoked": func(_ directory.User, c directory.Credential) error {
			return drop(w.RevokeCredential(ctx, w.admin, c.ID))
		},
		"its user ended": func(u directory.User, _ directory.Credential) error {
			return drop(w.DeleteUser(ctx, w.admin, directory.Deletion{Ref: directory.ByUser(u.ID)}))
		},
		"its user suspended": func(u directory.User, _ directory.Credential) error {
			return drop(w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(u.ID), Suspended: ptr(true)}))
		},
		"its user expired": func(u directory.User, _ directory.Credential) error {
			return drop(w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(u.ID), Expires: ptr(w.Now())}))
		},
		"replaced": func(u directory.User, _ directory.Credential) error {
			_, hash, _ := w.Authn.Mint(authn.Native)
			return drop(w.CreateCredential(ctx, w.admin, directory.NewCredential{Kind: authn.Native, Hash: hash, User: directory.ByUser(u.ID), Replace: true}))
		},
	} {
		for round := range 6 {
			u := w.user(strings.ReplaceAll(what, " ", "-") + fmt.Sprint(round))
			secret, hash, _ := w.Authn.Mint(authn.Native)
			a, err := w.CreateCredential(ctx, w.admin, directory.NewCredential{Kind: authn.Native, Hash: hash, User: directory.ByUser(u.ID)})
			c := ok(t, a, err)
			var over atomic.Bool
			stop := make(chan struct{})
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					for {
						was := over.Load()
						_, err := w.Authn.Verify(ctx, authn.Native, secret)
						switch {
						case was && err == nil:
							t.Errorf("%s: it was still good in a question that came after", what)
							return
						case was && !errors.Is(err, directory.Unauthenticated):
							t.Errorf("%s: it is refused with %v, want unauthenticated", what, err)
							return
						case !was && err != nil && !errors.Is(err, directory.Unauthenticated):
							t.Errorf("%s: before it ended: %v", what, err)
							return
						}
						select {
						case <-stop:
							if was {
								return
							}
						default:
						}
					}
				})
			}
			if _, err := w.Authn.Verify(ctx, authn.Native, secret); err != nil {
				t.Errorf("%s: at first: %v", what, err)
			}
			if err := end(u, c); err != nil {
				t.Fatal(err)
			}
			over.Store(true)
			close(stop)
			all.Wait()
		}
	}
}

func TestACredentialEndsWithItsTenantItsParentAndItsTime(t *testing.T) {
	w := newWorld(t)
	p := w.tenant("two")
	key := func(p directory.Principal, in directory.NewCredential) (string, directory.Credential) {
		t.Helper()
		secret, hash, _ := w.Authn.Mint(authn.Native)
		in.Kind, in.Hash = authn.Native, hash
		a, err := w.CreateCredential(ctx, p, in)
		c := ok(t, a, err)
		if _, err := w.Authn.Verify(ctx, authn.Native, secret); err != nil {
			t.Fatalf("a fresh key: %v", err)
		}
		return secret, c
	}
	refused := func(secret string, want error) {
		t.Helper()
		if _, err := w.Authn.Verify(ctx, authn.Native, secret); err != want {
			t.Errorf("the key is refused with %v, want %v", err, want)
		}
	}
	inTwo, _ := key(p, directory.NewCredential{})
	parentKey, parent := key(w.admin, directory.NewCredential{})
	childKey, _ := key(w.admin, directory.NewCredential{Parent: parent.ID})
	self := id.New[id.Credential]()
	loopKey, _ := key(w.admin, directory.NewCredential{ID: self, Parent: self})
	timed, _ := key(w.admin, directory.NewCredential{Expires: w.Now().Add(time.Second)})

	w.Clock.Advance(time.Second - time.Microsecond)
	if _, err := w.Authn.Verify(ctx, authn.Native, timed); err != nil {
		t.Errorf("a microsecond before its time: %v", err)
	}
	w.Clock.Advance(time.Microsecond)
	refused(timed, authn.ErrExpired)
	a, err := w.RevokeCredential(ctx, w.admin, parent.ID)
	ok(t, a, err)
	refused(parentKey, authn.ErrUnknown)
	refused(childKey, authn.ErrUnknown)
	b, err := w.RevokeCredential(ctx, w.admin, self) // it hangs on itself
	ok(t, b, err)
	refused(loopKey, authn.ErrUnknown)
	d, err := w.DeleteTenant(ctx, directorytest.Root(), p.Tenant)
	ok(t, d, err)
	refused(inTwo, authn.ErrUnknown)
}

// warm asks until the index answers.
func (w *world) warm(u directory.User, g directory.Group) directory.Check {
	c := directory.Check{User: directory.ByUser(u.ID), Group: directory.ByGroup(g.ID)}
	for testing.AllocsPerRun(1, func() {
		if _, err := w.IsMember(ctx, w.admin, c); err != nil {
			w.t.Fatal(err)
		}
	}) >= 3 {
		time.Sleep(time.Millisecond)
	}
	return c
}

func TestACheckByIDsAllocatesNothing(t *testing.T) {
	w := newWorld(t)
	top := w.group("top", 0)
	below := w.group("below", 0, top)
	c := w.warm(w.user("ann", below), top)
	allocs := testing.AllocsPerRun(1000, func() {
		a, err := w.IsMember(ctx, w.admin, c)
		if err != nil || !a.Value {
			t.Fatalf("the check says %v, %v", a.Value, err)
		}
	})
	t.Logf("%v allocations a check", allocs)
	if allocs > 0 {
		t.Errorf("a check by ids takes %v allocations, want none", allocs)
	}
}

func TestOnlyThePlatformChoosesCodes(t *testing.T) {
	w := newWorld(t)
	tenants := w.admin
	tenants.Grants = directory.Admin
	for what, fn := range map[string]func() error{
		"user's":   func() error { return drop(w.CreateUser(ctx, tenants, directory.NewUser{Name: "x", Code: 900})) },
		"person's": func() error { return drop(w.CreateUser(ctx, tenants, directory.NewUser{Name: "x", PersonCode: 900})) },
		"group's":  func() error { return drop(w.CreateGroup(ctx, tenants, directory.NewGroup{Name: "x", Code: 900})) },
		"credential's": func() error {
			return drop(w.CreateCredential(ctx, tenants, directory.NewCredential{Kind: "k", Hash: []byte("h"), Code: 900}))
		},
	} {
		w.refused("a tenant's own key choosing a "+what+" code", directory.Forbidden, fn)
	}
	if _, err := w.CreateUser(ctx, w.admin, directory.NewUser{Name: "x", Code: 900}); err != nil {
		t.Errorf("the platform choosing a code: %v", err)
	}
}
