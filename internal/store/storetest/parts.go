package storetest

import (
	"errors"
	"fmt"
	"sync"

	"roster/internal/directory"
)

var parts = []testCase{
	{"what a failed part of a transaction wrote is undone and the rest is kept", func(w *world) {
		t := w.tenant("one")
		w.users(t, 2)
		w.groups(t, 2)
		w.insert(t, directory.Standing{Reason: "first"}, in(1, 1))
		shape := w.shape(t)
		key := directory.Credential{Kind: "k", Hash: []byte("kept")}
		var told error
		rev := w.update(t, func(wr directory.Writer) error {
			if err := errors.Join(wr.InsertCredential(&key), insertEdges(wr, []directory.Edge{in(2, 1)}, directory.Standing{})); err != nil {
				return err
			}
			told = wr.Try(func() error {
				u, g := directory.User{Name: "undone", Externals: map[string]string{"ldap": "x"}}, directory.Group{Name: "undone", Grants: directory.Admin}
				err := errors.Join(
					wr.InsertUser(&u), wr.InsertGroup(&g), wr.DeleteEdges([]directory.Edge{in(1, 1)}),
					insertEdges(wr, []directory.Edge{in(u.Number, g.Number), within(g.Number, 2), in(1, 2)}, directory.Standing{}),
					updateEdges(wr, []directory.Edge{in(2, 1)}, directory.Standing{Reason: "undone"}),
					wr.InsertCredential(&directory.Credential{Kind: "k", Hash: []byte("undone")}),
					wr.Remember(key.ID, "undone", directory.Kept{Answer: []byte("undone")}),
				)
				if _, ferr := wr.User(directory.ByUser(u.ID)); ferr != nil {
					err = errors.Join(err, fmt.Errorf("inside the part its user is not there: %w", ferr))
				}
				return errors.Join(err, errMine)
			})
			if _, kept, err := wr.Remembered(key.ID, "undone"); kept || err != nil {
				return fmt.Errorf("after the part its answer is kept: %v, %w", kept, err)
			}
			return wr.Try(func() error {
				u := directory.User{Name: "kept"}
				return errors.Join(wr.InsertUser(&u), insertEdges(wr, []directory.Edge{in(u.Number, 2)}, directory.Standing{}))
			})
		})
		if told == nil || told.Error() != errMine.Error() {
			w.Fatalf("the part failed with %v, want its own error alone", told)
		}
		w.same("shape", w.shape(t), shape)
		w.same("those who are there", get(w, t, func(r directory.Reader) ([]string, error) {
			list, err := r.ListUsers(directory.UserFilter{}, 0, 10)
			var names []string
			for _, u := range list {
				names = append(names, u.Name)
			}
			return names, err
		}), []string{"u1", "u2", "kept"})
		numbers := get(w, t, func(r directory.Reader) ([]any, error) {
			u, err := r.UserNumbers([]directory.Ref{directory.ByName("undone"), directory.ByExternal("ldap", "x")})
			g, err2 := r.GroupNumbers([]directory.Ref{directory.ByName("undone")})
			links, err3 := r.Granting()
			return []any{u[0], u[1], g[0], len(links)}, errors.Join(err, err2, err3)
		})
		w.same("what was undone is found as", fmt.Sprint(numbers), "[0 0 0 0]")
		m := get(w, t, func(r directory.Reader) ([]directory.Membership, error) {
			return r.Standing([]directory.Edge{in(1, 1), in(2, 1), in(1, 2)})
		})
		if len(m) != 2 || m[0].Reason != "first" || m[1].Reason != "" {
			w.Fatalf("the memberships are %+v", m)
		}
		log := w.commits(t, rev-1)
		kinds := make([]directory.ChangeKind, 0, 4)
		for _, c := range log[0].Changes {
			kinds = append(kinds, c.Kind)
		}
		w.same("the record", kinds, []directory.ChangeKind{directory.CredentialCreated, directory.MembersAdded, directory.UserCreated, directory.MembersAdded})
	}},

	{"a name that is taken costs only the part that wanted it", func(w *world) {
		t := w.tenant("one")
		w.user(t, directory.User{Name: "ann", Email: "ann@example.com"})
		before := w.revision(t)
		rev := w.update(t, func(wr directory.Writer) error {
			for _, c := range []struct {
				user directory.User
				want error
			}{
				{directory.User{Name: "ann"}, directory.ErrUserNameTaken},
				{directory.User{Name: "bob", Email: "ANN@example.com"}, directory.ErrEmailTaken},
				{directory.User{Name: "bob"}, nil},
				{directory.User{Name: "BOB"}, directory.ErrUserNameTaken},
			} {
				err := wr.Try(func() error { return wr.InsertUser(&c.user) })
				if (err == nil) != (c.want == nil) || err != nil && directory.CodeOf(err) != directory.CodeOf(c.want) {
					return fmt.Errorf("inserting %+v: %w, want %w", c.user, err, c.want)
				}
			}
			return nil
		})
		if rev != before+1 || len(w.commits(t, before)[0].Changes) != 1 {
			w.Fatalf("the commits are %+v", w.commits(t, before))
		}
	}},

	{"a transaction all of whose parts failed is no commit", func(w *world) {
		t := w.tenant("one")
		before := w.revision(t)
		rev := w.update(t, func(wr directory.Writer) error {
			for range 3 {
				wr.Try(func() error { return errors.Join(wr.InsertUser(&directory.User{Name: "ann"}), errMine) })
			}
			if now := wr.Outcome(); now != before {
				return fmt.Errorf("it would be revision %d", now)
			}
			return nil
		})
		if rev != before || len(w.commits(t, before)) != 0 {
			w.Fatalf("revision %d follows %d", rev, before)
		}
	}},

	{"parts fail among many writers and cost them nothing", func(w *world) {
		const writers, each = 6, 15
		t := w.tenant("one")
		w.users(t, 1)
		w.groups(t, 1)
		var all sync.WaitGroup
		for n := range writers {
			all.Go(func() {
				for i := range each {
					_, err := w.store.Update(w.Context(), t, author, func(wr directory.Writer) error {
						if err := wr.InsertUser(&directory.User{Name: fmt.Sprint(n, "-", i)}); err != nil {
							return err
						}
						if err := wr.Try(func() error {
							return errors.Join(wr.InsertUser(&directory.User{Name: fmt.Sprint("x", n, "-", i)}), errMine)
						}); err == nil {
							return errors.New("the part did not fail")
						}
						if i%5 == 0 {
							return errMine
						}
						return nil
					})
					if (err != nil) != (i%5 == 0) {
						w.Errorf("Update: %v", err)
					}
				}
			})
		}
		all.Wait()
		users := get(w, t, func(r directory.Reader) ([]directory.User, error) {
			return r.ListUsers(directory.UserFilter{}, 0, 1000)
		})
		if want := 1 + writers*each*4/5; len(users) != want {
			w.Fatalf("there are %d users, want %d", len(users), want)
		}
		for _, u := range users {
			if u.Name[0] == 'x' {
				w.Errorf("there is %s", u.Name)
			}
		}
	}},
}
