package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

var changes = []testCase{
	{"the log gives back every field of every change", func(w *world) {
		t := w.tenant("one")
		big := json.Number("9007199254740993") // digits that a float would lose
		w.users(t, 2)
		w.groups(t, 2)
		before := len(w.commits(t, 0))
		by := directory.Author{Actor: directory.Actor{Credential: id.New[id.Credential](), User: id.New[id.User](), Name: `Ann "<&>` + "\u2028"}, Dialect: "d", Request: "r"}
		u := directory.User{Name: "ann", Email: "a@example.com", EmailVerified: true, GivenName: "G", FamilyName: "F", DisplayName: "D", Suspended: true,
			Expires: start.Add(time.Microsecond), Externals: map[string]string{"s": "k"}, Attributes: directory.Attributes{"d": map[string]any{"n": big, "l": []any{"x", nil, true}}}}
		g := directory.Group{Name: "g", Description: "d", Grants: directory.Admin | directory.ReadUsers, Externals: map[string]string{"s": "k"}, Attributes: directory.Attributes{"d": map[string]any{"n": big}}}
		c := directory.Credential{Kind: "k", Name: "n", Handle: "h", Grants: directory.ReadUsers, Expires: start.Add(time.Hour), Hash: []byte("SECRET"), Sealed: []byte("SECRET")}
		s := directory.Standing{From: start.Add(-time.Microsecond), Until: start.Add(time.Microsecond), Role: directory.RoleManager, Source: "scim:x", Reason: "w"}
		row := w.tenantRow(t)
		var want []directory.Change
		rev, err := w.store.Update(context.Background(), t, by, func(wr directory.Writer) error {
			want = nil
			titled := row
			titled.Title = "T"
			if err := errors.Join(wr.InsertUser(&u), wr.InsertGroup(&g), wr.InsertCredential(&c), wr.UpdateTenant(row, titled)); err != nil {
				return err
			}
			want = append(want, directory.UserChange(directory.UserCreated, directory.User{}, u), directory.GroupChange(directory.GroupCreated, directory.Group{}, g),
				directory.CredentialChange(directory.CredentialCreated, directory.Credential{}, c), directory.TenantChange(directory.TenantUpdated, row, titled))
			if err := errors.Join(
				insertEdges(wr, []directory.Edge{in(1, 1), within(2, 1), in(2, 2), in(2, 1)}, s),
				updateEdges(wr, []directory.Edge{in(1, 1)}, directory.Standing{Reason: "x"}),
				wr.DeleteEdges([]directory.Edge{within(2, 1), in(2, 1)})); err != nil {
				return err
			}
			want = append(want,
				directory.Change{Kind: directory.MembersAdded, Number: 1, Members: []id.Member{-2, 1, 2}, Standing: s},
				directory.Change{Kind: directory.MembersAdded, Number: 2, Members: []id.Member{2}, Standing: s},
				directory.Change{Kind: directory.MembersUpdated, Number: 1, Members: []id.Member{1}, Standing: directory.Standing{Reason: "x"}},
				directory.Change{Kind: directory.MembersRemoved, Number: 1, Members: []id.Member{-2, 2}})
			u2, g2, c2 := u, g, c
			u2.Suspended, u2.Expires, u2.Email, g2.Grants, c2.Grants = false, time.Time{}, "", 0, 0
			if err := errors.Join(wr.UpdateUser(u, u2), wr.UpdateGroup(g, g2), wr.UpdateCredential(c2), wr.DeleteUser(u2), wr.DeleteGroup(g2), wr.DeleteCredential(c2)); err != nil {
				return err
			}
			want = append(want, directory.UserChange(directory.UserUpdated, u, u2), directory.GroupChange(directory.GroupUpdated, g, g2),
				directory.CredentialChange(directory.CredentialUpdated, c, c2), directory.UserChange(directory.UserDeleted, u2, directory.User{}),
				directory.GroupChange(directory.GroupDeleted, g2, directory.Group{}), directory.CredentialChange(directory.CredentialRevoked, c2, directory.Credential{}))
			return nil
		})
		if err != nil {
			w.Fatal(err)
		}
		got := w.commits(t, directory.Revision(before))
		if len(got) != 1 {
			w.Fatalf("there are %d more commits, want 1", len(got))
		}
		if got[0].Revision != rev || !got[0].At.Equal(start) || got[0].Actor != by.Actor || got[0].Dialect != by.Dialect || got[0].Request != by.Request {
			w.Errorf("the commit is %+v", got[0])
		}
		w.same("the changes", plain(w.T, got[0].Changes), plain(w.T, want))
		for _, change := range want {
			if before, after := change.Before, change.After; before == nil && after == nil && len(change.Members) == 0 {
				w.Errorf("a %s says nothing", change.Kind)
			}
		}
	}},

	{"the platform's log holds the making and the end of tenants", func(w *world) {
		t := directory.Tenant{Name: "one", Title: "One", Attributes: directory.Attributes{"d": map[string]any{"k": "v"}}}
		w.update(platform, func(wr directory.Writer) error { return wr.InsertTenant(&t) })
		w.update(platform, func(wr directory.Writer) error { return wr.DeleteTenant(t) })
		var got []directory.Change
		for _, c := range w.commits(platform, 0) {
			got = append(got, c.Changes...)
		}
		w.same("the changes", plain(w.T, got), plain(w.T, []directory.Change{
			directory.TenantChange(directory.TenantCreated, directory.Tenant{}, t), directory.TenantChange(directory.TenantDeleted, t, directory.Tenant{}),
		}))
	}},

	{"a long log is read to its end from any revision and may be left early", func(w *world) {
		t := w.tenant("one")
		const n = 600
		for i := range n {
			if _, err := w.store.Update(w.Context(), t, author, func(wr directory.Writer) error {
				return wr.InsertGroup(&directory.Group{Name: fmt.Sprint(i)})
			}); err != nil {
				w.Fatal(err)
			}
		}
		for _, after := range []directory.Revision{0, 1, 255, 256, 257, 344, n - 1, n, n + 1, 1 << 62} {
			want := int64(n) - int64(min(after, n))
			got := w.commits(t, after)
			if int64(len(got)) != want {
				w.Fatalf("after %d there are %d commits, want %d", after, len(got), want)
			}
			for i, c := range got {
				if c.Revision != after+directory.Revision(i)+1 {
					w.Fatalf("after %d the commit at place %d is %d", after, i, c.Revision)
				}
			}
		}
		seen := 0
		for _, err := range w.store.Commits(w.Context(), t, 0) {
			if err != nil {
				w.Fatal(err)
			}
			if seen++; seen == 3 {
				break
			}
		}
		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		seen = 0
		for _, err := range w.store.Commits(ctx, t, 0) {
			switch seen++; {
			case err == nil:
			case !errors.Is(err, directory.Unavailable):
				w.Errorf("a log read with a context that has ended fails with %v, want unavailable if at all", err)
			default:
				seen = n
			}
		}
		if seen != n {
			w.Errorf("a log read with a context that has ended stops after %d commits and says nothing", seen)
		}
	}},

	{"a scan yields all users, then all groups, then all edges in order", func(w *world) {
		t, other := w.tenant("one"), w.tenant("two")
		w.users(other, 9)
		w.groups(other, 9)
		w.insert(other, directory.Standing{}, in(9, 9))
		a := w.user(t, directory.User{Name: "a", Number: 5, Suspended: true})
		b := w.user(t, directory.User{Name: "b", Number: 2, Expires: start.Add(time.Microsecond)})
		g, h := w.group(t, directory.Group{Name: "g", Number: 7}), w.group(t, directory.Group{Name: "h", Number: 3})
		s := directory.Standing{From: start, Until: start.Add(time.Hour)}
		w.insert(t, s, in(5, 7), in(2, 7))
		w.insert(t, directory.Standing{}, within(3, 7), in(5, 3))
		var got []string
		scanned := get(w, t, func(r directory.Reader) (directory.Revision, error) {
			got = nil
			if err := r.Scan(
				func(n id.Number, u id.User, suspended bool, expires time.Time) error {
					got = append(got, fmt.Sprint("user ", n, u, suspended, expires.UnixMicro()))
					return nil
				},
				func(n id.Number, g id.Group) error { got = append(got, fmt.Sprint("group ", n, g)); return nil },
				func(e directory.Edge, s directory.Standing) error {
					got = append(got, fmt.Sprint("edge ", e.Group, e.Member, s.From.UnixMicro(), s.Until.UnixMicro()))
					return nil
				}); err != nil {
				return 0, err
			}
			return r.Revision()
		})
		zero := time.Time{}.UnixMicro()
		w.same("the scan", got, []string{
			fmt.Sprint("user ", 2, b.ID, false, b.Expires.UnixMicro()), fmt.Sprint("user ", 5, a.ID, true, zero),
			fmt.Sprint("group ", 3, h.ID), fmt.Sprint("group ", 7, g.ID),
			fmt.Sprint("edge ", 3, 5, zero, zero), fmt.Sprint("edge ", 7, -3, zero, zero),
			fmt.Sprint("edge ", 7, 2, s.From.UnixMicro(), s.Until.UnixMicro()), fmt.Sprint("edge ", 7, 5, s.From.UnixMicro(), s.Until.UnixMicro()),
		})
		if want := w.revision(t); scanned != want {
			w.Errorf("the scan was at %d, want %d", scanned, want)
		}
		for stop := range 3 {
			_, err := try(w, t, func(r directory.Reader) (struct{}, error) {
				fail := func(at int) error {
					if at == stop {
						return errMine
					}
					return nil
				}
				return struct{}{}, r.Scan(func(id.Number, id.User, bool, time.Time) error { return fail(0) }, func(id.Number, id.Group) error { return fail(1) },
					func(directory.Edge, directory.Standing) error { return fail(2) })
			})
			if err != errMine {
				w.Errorf("a scan whose function %d fails ends with %v", stop, err)
			}
		}
	}},

	{"the authors of commits are told with the codes of those that are still there", func(w *world) {
		t := w.tenant("one")
		u := w.user(t, directory.User{Name: "ann"})
		c := w.key(t, directory.Credential{Name: "c", User: u.ID})
		own := w.key(platform, directory.Credential{Name: "own"})
		from := w.revision(t)
		by := []directory.Author{
			{Actor: directory.Actor{Credential: c.ID, User: u.ID, Name: "ann"}, Dialect: "d"},
			{Actor: directory.Actor{Credential: own.ID, Name: "root"}, Dialect: "e"},
			{Actor: directory.Actor{Credential: id.New[id.Credential](), User: id.New[id.User](), Name: "gone"}},
			{},
		}
		for i, a := range by {
			w.clock.advance(time.Second)
			if _, err := w.store.Update(w.Context(), t, a, func(wr directory.Writer) error {
				return wr.InsertGroup(&directory.Group{Name: fmt.Sprint(i)})
			}); err != nil {
				w.Fatal(err)
			}
		}
		got := get(w, t, func(r directory.Reader) ([]directory.Authored, error) {
			return r.Authors([]directory.Revision{from + 4, from + 1, from + 2, from + 1, 999, from + 3})
		})
		var want []directory.Authored
		for i, a := range by {
			want = append(want, directory.Authored{Revision: from + directory.Revision(i+1), At: start.Add(time.Duration(i+1) * time.Second), Actor: a.Actor, Dialect: a.Dialect, Request: a.Request})
		}
		want[0].CredentialCode, want[0].PersonCode, want[1].CredentialCode = c.Code, u.PersonCode, own.Code
		w.same("the authors", got, want)
	}},
}

// plain renders changes so that what JSON cannot tell apart is the same.
func plain(t *testing.T, list []directory.Change) []string {
	t.Helper()
	var out []string
	for _, c := range list {
		text, err := json.Marshal(map[string]any{"before": c.Before, "after": c.After})
		if err != nil {
			t.Fatal(err)
		}
		s := c.Standing
		out = append(out, fmt.Sprint(c.Kind, " ", c.Number, " ", c.ID, " ", c.Members, " ", s.From.UnixMicro(), " ", s.Until.UnixMicro(), " ", s.Role, " ", s.Source, " ", s.Reason,
			" ", c.Suspended, " ", c.Expires.UnixMicro(), " ", string(text)))
	}
	return out
}
