package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roster/client"
	"roster/internal/authn"
	"roster/internal/dialect"
	"roster/internal/dialect/native"
	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/wire"
)

const platformKey = "roster_platform0000000000000000000000000000"

// serve returns the address of the native door on an empty directory with a
// platform key; around, if not nil, stands before the door.
func serve(t *testing.T, around func(http.Handler) http.Handler) string {
	t.Helper()
	w := directorytest.New(t, nil)
	hash, sealed := w.Authn.Keep(authn.Native, platformKey)
	_, err := w.CreateCredential(t.Context(), directorytest.Root(), directory.NewCredential{Kind: authn.Native, Name: "platform", Grants: directory.Platform, Hash: hash, Sealed: sealed})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	h := wire.Logged(log, native.New(dialect.Deps{Directory: w.Directory, Authn: w.Authn, Log: log}).Handler(), func(http.ResponseWriter, *http.Request) { t.Error("panic") })
	if around != nil {
		h = around(h)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func dial(t *testing.T, base, key string) *client.Client {
	t.Helper()
	c, err := client.New(base, key, client.WithRetries(3, time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// acme returns a client of a fresh tenant.
func acme(t *testing.T, base string) (*client.Client, *client.Tenant) {
	t.Helper()
	c := dial(t, base, platformKey)
	if _, err := c.CreateTenant(t.Context(), client.NewTenant{Name: "acme", Title: "Acme"}); err != nil {
		t.Fatal(err)
	}
	return c, c.Tenant("acme")
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ptr[T any](v T) *T { return &v }

func TestTenants(t *testing.T) {
	c, tenant := acme(t, serve(t, nil))
	info := must(tenant.Get(t.Context()))(t)
	if info.Name != "acme" || info.Title != "Acme" || info.Version != 1 || info.ID == "" {
		t.Errorf("made %+v", info)
	}
	info = must(tenant.Update(t.Context(), 1, client.TenantPatch{Title: ptr("Other"), Attributes: client.Attributes{"native": {"big": json.Number("12345678901234567890")}}}))(t)
	if info.Title != "Other" || info.Version != 2 || info.Attributes["native"]["big"] != json.Number("12345678901234567890") {
		t.Errorf("updated to %+v", info)
	}
	if _, err := tenant.Update(t.Context(), 1, client.TenantPatch{Title: ptr("Late")}); !client.IsStale(err) {
		t.Errorf("updating version 1 of 2: %v, want it to be stale", err)
	}
	must(c.CreateTenant(t.Context(), client.NewTenant{Name: "globex"}))(t)
	var names []string
	for info, err := range c.Tenants(t.Context()) {
		names = append(names, must(info, err)(t).Name)
	}
	if want := []string{"acme", "globex"}; !reflect.DeepEqual(names, want) {
		t.Errorf("tenants %v, want %v", names, want)
	}
	if err := c.Tenant("globex").Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Tenant("globex").Get(t.Context()); !client.IsNotFound(err) {
		t.Errorf("after it was deleted: %v", err)
	}
}

func TestUsers(t *testing.T) {
	_, tenant := acme(t, serve(t, nil))
	ctx := t.Context()
	never := time.Time{}
	u := must(tenant.CreateUser(ctx, client.NewUser{
		Name: "ann/1", Email: "ann@example.com", GivenName: "Ann", Expires: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		ExternalIDs: map[string]string{"hr": "7/b c"}, Attributes: client.Attributes{"native": {"desk": "4"}},
	}))(t)
	for _, ref := range []string{
		u.ID, client.ByName("ANN/1"), client.ByEmail("Ann@example.com"), client.ByNumber(u.Number), client.ByCode(u.Code), client.ByExternal("hr", "7/b c"),
	} {
		if diff := cmp.Diff(u, must(tenant.User(ctx, ref))(t)); diff != "" {
			t.Errorf("by %s (-made +found):\n%s", ref, diff)
		}
	}
	got := must(tenant.UpdateUser(ctx, u.ID, u.Version, client.UserPatch{
		GivenName: ptr(""), DisplayName: ptr("Ann of Acme"), Expires: &never, ExternalIDs: &map[string]string{},
		Attributes: client.Attributes{"native": {"desk": nil}},
	}))(t)
	want := u
	want.GivenName, want.DisplayName, want.Expires, want.Version, want.Modified = "", "Ann of Acme", never, 2, got.Modified
	want.ExternalIDs, want.Attributes = map[string]string{}, client.Attributes{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after the update (-want +got):\n%s", diff)
	}
	if err := tenant.DeleteUser(ctx, u.ID, 1); !client.IsStale(err) {
		t.Errorf("deleting version 1 of 2: %v", err)
	}
	must(tenant.CreateUser(ctx, client.NewUser{Name: "bob", Suspended: true}))(t)
	for name, c := range map[string]struct {
		filter client.UserFilter
		want   int
	}{
		"all":       {client.UserFilter{}, 2},
		"suspended": {client.UserFilter{Suspended: ptr(true)}, 1},
		"others":    {client.UserFilter{Suspended: ptr(false)}, 1},
		"prefix":    {client.UserFilter{NamePrefix: "B"}, 1},
	} {
		n := 0
		for u, err := range tenant.Users(ctx, c.filter) {
			must(u, err)(t)
			n++
		}
		if n != c.want {
			t.Errorf("%s: %d users, want %d", name, n, c.want)
		}
	}
	if err := tenant.DeleteUser(ctx, client.ByName("bob"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := tenant.User(ctx, client.ByName("bob")); !client.IsNotFound(err) {
		t.Errorf("after he was deleted: %v", err)
	}
}

func TestGroupsAndMembers(t *testing.T) {
	_, tenant := acme(t, serve(t, nil))
	ctx := t.Context()
	staff := must(tenant.CreateGroup(ctx, client.NewGroup{Name: "Staff", Grants: []string{"users.read"}}))(t)
	dev := must(tenant.CreateGroup(ctx, client.NewGroup{Name: "Dev/Ops"}))(t)
	if _, err := tenant.CreateGroup(ctx, client.NewGroup{Name: "staff", UniqueName: true}); !client.IsConflict(err) {
		t.Errorf("a namesake: %v, want a conflict", err)
	}
	staff = must(tenant.UpdateGroup(ctx, staff.ID, staff.Version, client.GroupPatch{Description: ptr("Everybody."), Grants: &[]string{}}))(t)
	if staff.Description != "Everybody." || len(staff.Grants) != 0 {
		t.Errorf("updated to %+v", staff)
	}
	if got := must(tenant.Group(ctx, client.ByName("dev/ops")))(t); got.ID != dev.ID {
		t.Errorf("found %s, want %s", got.ID, dev.ID)
	}
	ann := must(tenant.CreateUser(ctx, client.NewUser{Name: "ann", Groups: []string{client.ByName("dev/ops")}}))(t)
	must(tenant.CreateUser(ctx, client.NewUser{Name: "bob"}))(t)

	outcome := func(want client.Outcome) func(client.Outcome, error) {
		return func(got client.Outcome, err error) {
			t.Helper()
			if got != want || err != nil {
				t.Errorf("outcome %q, %v; want %q", got, err, want)
			}
		}
	}
	outcome(client.Added)(tenant.AddMember(ctx, staff.ID, client.GroupMember(dev.ID)))
	outcome(client.Already)(tenant.AddMember(ctx, staff.ID, client.GroupMember(client.ByName("Dev/Ops"))))
	until := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	outcome(client.Updated)(tenant.SetMember(ctx, dev.ID, client.UserMember(ann.ID), client.Standing{Role: "manager", ValidUntil: until, Reason: "lead"}))
	outcome(client.Already)(tenant.AddMember(ctx, dev.ID, client.UserMember(ann.ID)))
	m := must(tenant.Member(ctx, dev.ID, client.UserMember(ann.ID)))(t)
	if m.User == nil || m.User.ID != ann.ID || m.Membership.Role != "manager" || !m.Membership.ValidUntil.Equal(until) || m.Membership.AddedBy == nil {
		t.Errorf("ann stands as %+v %+v", m, m.Membership)
	}
	for _, c := range []struct {
		patch client.StandingPatch
		want  client.Membership
	}{
		{client.StandingPatch{}, client.Membership{Role: "manager", ValidUntil: until, Reason: "lead"}},
		{client.StandingPatch{ValidUntil: ptr(until.AddDate(1, 0, 0))}, client.Membership{Role: "manager", ValidUntil: until.AddDate(1, 0, 0), Reason: "lead"}},
		{client.StandingPatch{Role: ptr("member"), Reason: ptr("")}, client.Membership{Role: "member", ValidUntil: until.AddDate(1, 0, 0)}},
		{client.StandingPatch{ValidFrom: ptr(until)}, client.Membership{Role: "member", ValidFrom: until, ValidUntil: until.AddDate(1, 0, 0)}},
		{client.StandingPatch{ValidUntil: &time.Time{}}, client.Membership{Role: "member", ValidFrom: until}},
		{client.StandingPatch{ValidFrom: &time.Time{}, Reason: ptr("lead")}, client.Membership{Role: "member", Reason: "lead"}},
	} {
		got := must(tenant.UpdateMember(ctx, dev.ID, client.UserMember(ann.ID), c.patch))(t)
		m := got.Membership
		if m == nil || m.Role != c.want.Role || m.Reason != c.want.Reason || !m.ValidFrom.Equal(c.want.ValidFrom) || !m.ValidUntil.Equal(c.want.ValidUntil) ||
			(got.Outcome == client.Updated) != (c.patch != client.StandingPatch{}) {
			t.Errorf("after %+v ann is %s and stands as %+v, want %+v", c.patch, got.Outcome, m, c.want)
		}
	}
	if _, err := tenant.UpdateMember(ctx, staff.ID, client.UserMember(ann.ID), client.StandingPatch{Reason: ptr("x")}); !client.IsNotFound(err) {
		t.Errorf("an update of a membership through a group: %v, want not found", err)
	}
	if _, err := tenant.Member(ctx, staff.ID, client.UserMember(ann.ID)); !client.IsNotFound(err) {
		t.Errorf("a membership through a group: %v, want not found", err)
	}

	if !must(tenant.Check(ctx, client.ByName("ann"), client.ByName("Staff")))(t) || must(tenant.Check(ctx, client.ByName("bob"), staff.ID))(t) {
		t.Error("check: want ann in and bob out")
	}
	answers := must(tenant.CheckMany(ctx, []client.Pair{{"name:bob", staff.ID}, {ann.ID, staff.ID}, {"name:nobody", staff.ID}, {ann.ID, dev.ID}}))(t)
	if want := []bool{false, true, false, true}; !reflect.DeepEqual(answers, want) {
		t.Errorf("answers %v, want %v", answers, want)
	}
	if none := must(tenant.CheckMany(ctx, nil))(t); len(none) != 0 {
		t.Errorf("%d answers to nothing", len(none))
	}

	res := must(tenant.ChangeMembers(ctx, dev.ID, client.Batch{
		Mode:   client.Each,
		Add:    []client.Member{client.UserMember("name:bob"), client.UserMember("name:nobody"), client.GroupMember(staff.ID), client.UserMember(ann.ID)},
		Remove: []client.Member{client.UserMember("name:bob"), client.GroupMember(staff.ID)},
	}))(t)
	var said []string
	for _, i := range append(res.Add, res.Remove...) {
		said = append(said, strings.TrimSpace(string(i.Outcome)+" "+i.Code))
	}
	if want := []string{"added", "invalid user.unknown", "invalid group.cycle", "already", "removed", "absent"}; !reflect.DeepEqual(said, want) {
		t.Errorf("outcomes %v, want %v", said, want)
	}
	if _, err := tenant.ChangeMembers(ctx, dev.ID, client.Batch{Mode: client.Atomic, Add: []client.Member{client.UserMember("name:bob"), client.UserMember("name:nobody")}}); !client.IsNotFound(err) {
		t.Errorf("an atomic batch with one wrong: %v", err)
	}

	names := func(list func(func(client.MemberOf, error) bool)) string {
		var all []string
		for m, err := range list {
			must(m, err)(t)
			switch {
			case m.User != nil:
				all = append(all, m.User.Name)
			case m.Group != nil:
				all = append(all, m.Group.Name)
			}
			if m.Membership == nil {
				all[len(all)-1] += " (through groups)"
			}
		}
		return strings.Join(all, ", ")
	}
	for want, got := range map[string]string{
		"Dev/Ops":                         names(tenant.Members(ctx, staff.ID, client.MemberFilter{})),
		"ann (through groups)":            names(tenant.Members(ctx, staff.ID, client.MemberFilter{Transitive: true})),
		"ann":                             names(tenant.Members(ctx, dev.ID, client.MemberFilter{Standing: true})),
		"Staff (through groups), Dev/Ops": names(tenant.GroupsOf(ctx, client.UserMember(ann.ID), client.MemberFilter{Transitive: true})),
		"Staff":                           names(tenant.GroupsOf(ctx, client.GroupMember(dev.ID), client.MemberFilter{})),
	} {
		if got != want {
			t.Errorf("listed %q, want %q", got, want)
		}
	}
	outcome(client.Removed)(tenant.RemoveMember(ctx, dev.ID, client.UserMember(ann.ID)))
	outcome(client.Absent)(tenant.RemoveMember(ctx, dev.ID, client.UserMember(ann.ID)))
	n := 0
	for g, err := range tenant.Groups(ctx, client.GroupFilter{NamePrefix: "dev"}) {
		must(g, err)(t)
		n++
	}
	if n != 1 {
		t.Errorf("%d groups begin so, want 1", n)
	}
	if err := tenant.DeleteGroup(ctx, dev.ID, dev.Version); err != nil {
		t.Fatal(err)
	}
}

func TestKeys(t *testing.T) {
	base := serve(t, nil)
	_, tenant := acme(t, base)
	ctx := t.Context()
	k := must(tenant.CreateKey(ctx, client.NewKey{Name: "ci", Grants: []string{"users.read"}, Expires: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}))(t)
	its := dial(t, base, k.Secret).Tenant("acme")
	for u, err := range its.Users(ctx, client.UserFilter{}) {
		must(u, err)(t)
	}
	_, err := its.CreateUser(ctx, client.NewUser{Name: "x"})
	if e, ok := errors.AsType[*client.Error](err); !ok || e.Status != 403 || e.Code != "grant.missing" || e.RequestID == "" {
		t.Errorf("beyond its grants: %v", err)
	}
	n := 0
	for have, err := range tenant.Keys(ctx) {
		if must(have, err)(t); have.ID != k.ID || have.Secret != "" {
			t.Errorf("listed %s with a secret of %d characters", have.ID, len(have.Secret))
		}
		n++
	}
	if n != 1 {
		t.Errorf("%d keys, want 1", n)
	}
	if err := tenant.RevokeKey(ctx, k.ID); err != nil {
		t.Fatal(err)
	}
	for _, err := range its.Users(ctx, client.UserFilter{}) {
		if e, ok := errors.AsType[*client.Error](err); !ok || e.Status != 401 {
			t.Errorf("after it was revoked: %v", err)
		}
	}
}

func TestThePlatformsLogTellsWhoMadeTenants(t *testing.T) {
	base := serve(t, nil)
	acme(t, base)
	c := dial(t, base, platformKey)
	var revision uint64
	for r, err := range c.Changes(t.Context(), client.ChangeFilter{Kinds: []string{"tenant.created"}}) {
		if must(r, err)(t); r.Changes[0].Tenant == "" || string(r.Changes[0].After["name"]) != `"acme"` {
			t.Errorf("the making of a tenant is told as %+v", r.Changes)
		}
		revision = r.Revision
	}
	n := 0
	for r, err := range c.Commit(t.Context(), revision) {
		n += must(r, err)(t).Count
	}
	if n != 1 {
		t.Errorf("commit %d did %d things", revision, n)
	}
}

func TestSigningInIsLockedAndUnlocked(t *testing.T) {
	_, tenant := acme(t, serve(t, nil))
	ctx := t.Context()
	u := must(tenant.CreateUser(ctx, client.NewUser{Name: "ann"}))(t)
	for _, locked := range []bool{true, false} {
		must(tenant.UpdateUser(ctx, u.ID, 0, client.UserPatch{SignIn: &client.SignInPatch{Locked: &locked}}))(t)
		if have := must(tenant.User(ctx, u.ID))(t); (have.SignIn != nil && have.SignIn.Locked) != locked {
			t.Errorf("locked %v: %+v", locked, have.SignIn)
		}
	}
}

func TestAKeyIsBoundedToGroups(t *testing.T) {
	base := serve(t, nil)
	_, tenant := acme(t, base)
	ctx := t.Context()
	for _, name := range []string{"payroll", "others"} {
		must(tenant.CreateGroup(ctx, client.NewGroup{Name: name}))(t)
	}
	must(tenant.CreateUser(ctx, client.NewUser{Name: "pay", Groups: []string{"name:payroll"}}))(t)
	must(tenant.CreateUser(ctx, client.NewUser{Name: "oth", Groups: []string{"name:others"}}))(t)
	k := must(tenant.CreateKey(ctx, client.NewKey{Name: "bounded", Grants: []string{"admin"}, Groups: []string{"name:payroll"}}))(t)
	c := dial(t, base, k.Secret)
	if self := must(c.Self(ctx))(t); len(self.Groups) != 1 || !slices.Equal(self.Groups, k.Groups) {
		t.Errorf("it is bounded to %q, and knows of %q", k.Groups, self.Groups)
	}
	its := c.Tenant("acme")
	var names []string
	for m, err := range its.Members(ctx, "name:payroll", client.MemberFilter{}) {
		names = append(names, must(m, err)(t).User.Name)
	}
	if !slices.Equal(names, []string{"pay"}) {
		t.Errorf("it lists %q", names)
	}
	for _, err := range its.Members(ctx, "name:others", client.MemberFilter{}) {
		if e, ok := errors.AsType[*client.Error](err); !ok || e.Code != "group.unknown" {
			t.Errorf("another group: %v", err)
		}
	}
}

func TestErrorsSayWhatTheServerSaid(t *testing.T) {
	_, tenant := acme(t, serve(t, nil))
	_, err := tenant.CreateUser(t.Context(), client.NewUser{Name: "x", Email: "nowhere"})
	e, ok := errors.AsType[*client.Error](err)
	if !ok || e.Status != 400 || e.Code != "email.invalid" || e.Field != "email" || e.Detail == "" || e.RequestID == "" {
		t.Fatalf("got %#v", err)
	}
	if text := err.Error(); !strings.Contains(text, e.Detail) || !strings.Contains(text, e.RequestID) || strings.Contains(text, platformKey) {
		t.Errorf("it reads %q", text)
	}
}

// TestALostAnswerIsAskedForAgain has the server do everything it is asked and
// break the connection instead of answering, the first time each.
func TestALostAnswerIsAskedForAgain(t *testing.T) {
	var broken atomic.Int32
	var breaking atomic.Bool
	var seen sync.Map // each connection has a goroutine of its own
	_, tenant := acme(t, serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			what := r.Method + r.URL.String() + r.Header.Get("Idempotency-Key")
			if !breaking.Load() {
				next.ServeHTTP(w, r)
				return
			}
			if _, again := seen.LoadOrStore(what, true); again {
				next.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(httptest.NewRecorder(), r)
			broken.Add(1)
			panic(http.ErrAbortHandler)
		})
	}))
	breaking.Store(true)
	ctx := t.Context()
	u := must(tenant.CreateUser(ctx, client.NewUser{Name: "ann"}))(t)
	g := must(tenant.CreateGroup(ctx, client.NewGroup{Name: "Staff"}))(t)
	if out := must(tenant.AddMember(ctx, g.ID, client.UserMember(u.ID)))(t); out != client.Added {
		t.Errorf("outcome %q, want that of the first time", out)
	}
	if u = must(tenant.UpdateUser(ctx, u.ID, 1, client.UserPatch{DisplayName: ptr("Ann")}))(t); u.Version != 2 {
		t.Errorf("version %d after one update, want 2", u.Version)
	}
	k := must(tenant.CreateKey(ctx, client.NewKey{Name: "k", Grants: []string{"users.read"}}))(t)
	if k.Secret == "" {
		t.Error("the secret was lost with the answer")
	}
	if !must(tenant.Check(ctx, u.ID, g.ID))(t) {
		t.Error("ann is not in")
	}
	if err := tenant.DeleteUser(ctx, u.ID, 2); err != nil {
		t.Error(err)
	}
	keys := 0
	for have, err := range tenant.Keys(ctx) {
		must(have, err)(t)
		keys++
	}
	if keys != 1 || broken.Load() != 8 {
		t.Errorf("%d keys were made and %d answers lost, want 1 and 8", keys, broken.Load())
	}
}

func TestWhatIsRepeatedAndWhatIsNot(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		header string
		calls  int32
	}{
		"asked to come back":        {503, "0", 4},
		"not asked to come back":    {503, "", 1},
		"a refusal":                 {409, "0", 1},
		"too many":                  {429, "0", 1},
		"a fault":                   {500, "", 1},
		"a redirect to nowhere":     {307, "", 1},
		"a gateway without a voice": {502, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			var mu sync.Mutex // guards keys
			keys := map[string]bool{}
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				mu.Lock()
				keys[r.Header.Get("Idempotency-Key")] = true
				mu.Unlock()
				if c.header != "" {
					w.Header().Set("Retry-After", c.header)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
			}))
			defer s.Close()
			_, err := dial(t, s.URL, "k").Tenant("acme").CreateUser(t.Context(), client.NewUser{Name: "x"})
			if e, ok := errors.AsType[*client.Error](err); !ok || e.Status != c.status {
				t.Errorf("%v, want status %d", err, c.status)
			}
			mu.Lock()
			defer mu.Unlock()
			if calls.Load() != c.calls || len(keys) != 1 || keys[""] {
				t.Errorf("%d calls with %d keys, want %d with one", calls.Load(), len(keys), c.calls)
			}
		})
	}
}

func TestAContextEndsTheWaiting(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "86400") // the test would never end
		w.WriteHeader(503)
		time.AfterFunc(time.Millisecond, cancel)
	}))
	defer s.Close()
	if _, err := dial(t, s.URL, "k").Tenant("acme").Get(ctx); err == nil {
		t.Error("a call that was given up succeeded")
	}
}

func TestListsStopWhenNobodyAsksFurther(t *testing.T) {
	var calls atomic.Int32
	_, tenant := acme(t, serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/users") && r.Method == "GET" {
				calls.Add(1)
				q := r.URL.Query()
				q.Set("limit", "1")
				r.URL.RawQuery = q.Encode()
			}
			next.ServeHTTP(w, r)
		})
	}))
	for i := range 5 {
		must(tenant.CreateUser(t.Context(), client.NewUser{Name: fmt.Sprint("user", i)}))(t)
	}
	list := tenant.Users(t.Context(), client.UserFilter{})
	for range 2 { // and can be walked again
		n := 0
		for u, err := range list {
			must(u, err)(t)
			if n++; n == 3 {
				break
			}
		}
	}
	if calls.Load() != 6 {
		t.Errorf("%d pages were read, want 3 each time", calls.Load())
	}
}

func TestNewRefusesWhatIsNoAddress(t *testing.T) {
	for _, base := range []string{"", "roster.example.com", "ftp://roster.example.com", "http://", "https://roster.example.com/?a=b", "http://[::1"} {
		if _, err := client.New(base, "k"); err == nil {
			t.Errorf("%q is taken for an address", base)
		}
	}
}

func TestSelfTellsAKeyWhatItIs(t *testing.T) {
	base := serve(t, nil)
	c, tenant := acme(t, base)
	ctx := t.Context()
	own := must(c.Self(ctx))(t)
	if own.Tenant != nil || own.Name != "platform" || !reflect.DeepEqual(own.Grants, []string{"platform"}) {
		t.Errorf("the platform's key is %+v", own)
	}
	u := must(tenant.CreateUser(ctx, client.NewUser{Name: "ann"}))(t)
	k := must(tenant.CreateKey(ctx, client.NewKey{Name: "ci", Grants: []string{"users.read"}, User: u.ID, Expires: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}))(t)
	its := must(dial(t, base, k.Secret).Self(ctx))(t)
	want := client.Self{ID: k.ID, Name: "ci", Grants: k.Grants, User: u.ID, Expires: k.Expires, Tenant: &client.SelfTenant{ID: must(tenant.Get(ctx))(t).ID, Name: "acme"}}
	if diff := cmp.Diff(want, its); diff != "" {
		t.Errorf("a tenant's key (-want +got):\n%s", diff)
	}
}

func TestApply(t *testing.T) {
	base := serve(t, nil)
	c, tenant := acme(t, base)
	ctx := t.Context()
	file := []byte("tenants: [{name: acme, users: [{name: ann}], credentials: [{kind: native, name: k, grants: [users.read]}]}]")
	dry := must(c.Apply(ctx, file, true))(t)
	if !dry.DryRun || dry.Created["user"] != 1 || dry.Created["credential"] != 1 || len(dry.Secrets) != 0 {
		t.Errorf("dry: %+v", dry)
	}
	if _, err := tenant.User(ctx, client.ByName("ann")); !client.IsNotFound(err) {
		t.Errorf("after a dry run ann is there: %v", err)
	}
	done := must(c.Apply(ctx, file, false))(t)
	if done.DryRun || done.Created["user"] != 1 || len(done.Secrets) != 1 || done.Secrets[0].Tenant != "acme" {
		t.Fatalf("applied: %+v", done)
	}
	must(dial(t, base, done.Secrets[0].Secret).Self(ctx))(t)
	again := must(c.Apply(ctx, file, false))(t)
	if again.Created["user"]+again.Updated["user"] != 0 || again.Unchanged["user"] != 1 || len(again.Secrets) != 0 {
		t.Errorf("again: %+v", again)
	}
	for name, c2 := range map[string]struct {
		file, code, in string
		begun          bool
	}{
		"unread":   {"tenants:\n  - nmae: x", "file.malformed", "line 2", false},
		"empty":    {"", "body.missing", "body", false},
		"half way": {"tenants: [{name: acme, credentials: [{kind: native, name: l, grants: [users.read]}]}, {name: In Itech}]", "name.invalid", "tenant 2 (In Itech)", true},
	} {
		_, err := c.Apply(ctx, []byte(c2.file), false)
		e, ok := errors.AsType[*client.Error](err)
		if !ok || e.Status != 400 || !strings.Contains(e.Detail, c2.in) || c2.begun != (e.Applied != nil) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c2.begun && (len(e.Applied.Secrets) != 1 || e.Applied.Secrets[0].Name != "l") {
			t.Errorf("%s: what was done before is %+v", name, e.Applied)
		}
	}
}

// TestApplyIsNotRepeatedOnItsOwn breaks the connection after the file was
// applied: a second application would answer without the secret that was made.
func TestApplyIsNotRepeatedOnItsOwn(t *testing.T) {
	var calls atomic.Int32
	c := dial(t, serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		})
	}), platformKey)
	if _, err := c.Apply(t.Context(), []byte("tenants: [{name: acme}]"), false); err == nil || calls.Load() != 1 {
		t.Errorf("%d calls, %v; want one that failed", calls.Load(), err)
	}
}

func TestABatchSaysHowItsMembersStand(t *testing.T) {
	_, tenant := acme(t, serve(t, nil))
	ctx := t.Context()
	must(tenant.CreateGroup(ctx, client.NewGroup{Name: "Staff"}))(t)
	must(tenant.CreateUser(ctx, client.NewUser{Name: "ann", Groups: []string{client.ByName("Staff")}}))(t)
	ann := []client.Member{client.UserMember(client.ByName("ann"))}
	for _, c := range []struct {
		standing *client.Standing
		outcome  client.Outcome
		role     string
	}{
		{&client.Standing{Role: "manager"}, client.Updated, "manager"},
		{nil, client.Already, "manager"},
		{&client.Standing{}, client.Updated, "member"},
	} {
		res := must(tenant.ChangeMembers(ctx, client.ByName("Staff"), client.Batch{Mode: client.Atomic, Add: ann, Standing: c.standing}))(t)
		m := must(tenant.Member(ctx, client.ByName("Staff"), ann[0]))(t)
		if res.Add[0].Outcome != c.outcome || m.Membership.Role != c.role {
			t.Errorf("standing %+v: %s, and ann is a %s", c.standing, res.Add[0].Outcome, m.Membership.Role)
		}
	}
}

func TestPagesAreAsLargeAsAskedFor(t *testing.T) {
	var limits []string
	_, tenant := acme(t, serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if l := r.URL.Query().Get("limit"); l != "" {
				limits = append(limits, l)
			}
			next.ServeHTTP(w, r)
		})
	}))
	ctx := t.Context()
	must(tenant.CreateGroup(ctx, client.NewGroup{Name: "Staff"}))(t)
	for i := range 3 {
		must(tenant.CreateUser(ctx, client.NewUser{Name: fmt.Sprint("user", i), Groups: []string{client.ByName("Staff")}}))(t)
	}
	for u, err := range tenant.Users(ctx, client.UserFilter{PageSize: 2}) {
		must(u, err)(t)
	}
	for g, err := range tenant.Groups(ctx, client.GroupFilter{PageSize: 5000}) {
		must(g, err)(t)
	}
	n := 0
	for m, err := range tenant.Members(ctx, client.ByName("Staff"), client.MemberFilter{PageSize: 1}) {
		must(m, err)(t)
		n++
	}
	if want := []string{"2", "2", "1000", "1", "1", "1"}; n != 3 || !reflect.DeepEqual(limits, want) {
		t.Errorf("%d members, in pages of %v, want 3 and %v", n, limits, want)
	}
}
