package storetest

import (
	"errors"
	"fmt"

	"roster/internal/directory"
	"roster/internal/id"
)

// log reads a log and says of each commit its revision and its actor's number.
func (w *world) log(t id.Tenant, q directory.LogQuery) []string {
	w.Helper()
	return get(w, t, func(r directory.Reader) (list []string, err error) {
		err = r.Log(q, func(l directory.Logged) error {
			list = append(list, fmt.Sprintf("%d by %s %d", l.Revision, l.Actor.Name, l.ActorNumber))
			return nil
		})
		return list, err
	})
}

var logs = []testCase{
	{"the log is read from either end, as much of it as is meant", func(w *world) {
		t, other := w.tenant("one"), w.tenant("other")
		ann := w.user(t, directory.User{Name: "ann"})
		bob := w.user(t, directory.User{Name: "bob"})
		zoe := w.user(other, directory.User{Name: "zoe"})
		key := id.New[id.Credential]()
		by := func(a directory.Author, fn func(directory.Writer) error) {
			w.Helper()
			if _, err := w.store.Update(w.Context(), t, a, fn); err != nil {
				w.Fatal(err)
			}
		}
		made := 0
		make := func(wr directory.Writer) error {
			made++
			return wr.InsertGroup(&directory.Group{Name: fmt.Sprint("g", made)})
		}
		by(directory.Author{Actor: directory.Actor{Credential: key, User: ann.ID, Name: "a"}, Dialect: "native", Request: "r-3"}, make)
		by(directory.Author{Actor: directory.Actor{Credential: key, User: bob.ID, Name: "b"}, Dialect: "syncano", Request: "r-4"}, make)
		by(directory.Author{Actor: directory.Actor{Credential: key, User: zoe.ID, Name: "z"}, Dialect: "syncano", Request: "r-5"}, func(wr directory.Writer) error { return wr.DeleteUser(bob) })
		three, four, five := "3 by a 1", "4 by b 2", "5 by z 0"
		for _, c := range []struct {
			q    directory.LogQuery
			want []string
		}{
			{directory.LogQuery{From: 1, To: 9}, []string{five, four, three, "2 by tester 0", "1 by tester 0"}},
			{directory.LogQuery{From: 3, To: 4, Ascending: true}, []string{three, four}},
			{directory.LogQuery{From: 3, To: 9, Limit: 2}, []string{five, four}},
			{directory.LogQuery{From: 3, To: 9, Limit: 1, Ascending: true}, []string{three}},
			{directory.LogQuery{From: 6, To: 9}, nil},
			{directory.LogQuery{From: 1, To: 9, Credential: key}, []string{five, four, three}},
			{directory.LogQuery{From: 1, To: 9, Credential: id.New[id.Credential]()}, nil},
			{directory.LogQuery{From: 1, To: 9, User: bob.ID}, []string{four}},
			{directory.LogQuery{From: 1, To: 9, User: zoe.ID}, []string{five}},
			{directory.LogQuery{From: 1, To: 9, Name: "a"}, []string{three}},
			{directory.LogQuery{From: 1, To: 9, Name: "A"}, nil},
			{directory.LogQuery{From: 1, To: 9, Name: "a\x00"}, nil},
			{directory.LogQuery{From: 1, To: 9, Dialect: "syncano", Limit: 1}, []string{five}},
			{directory.LogQuery{From: 1, To: 9, Dialect: "syncano", Request: "r-4"}, []string{four}},
			{directory.LogQuery{From: 1, To: 1 << 63, Request: "r-3", Credential: key, User: ann.ID}, []string{three}},
		} {
			if c.q.Limit == 0 {
				c.q.Limit = 10
			}
			w.same(fmt.Sprintf("the log by %+v", c.q), w.log(t, c.q), c.want)
		}

		// Whoever asks may have enough before the end.
		enough := errors.New("enough")
		seen := 0
		_, err := try(w, t, func(r directory.Reader) (any, error) {
			err := r.Log(directory.LogQuery{From: 1, To: 9, Limit: 10}, func(directory.Logged) error { seen++; return enough })
			if !errors.Is(err, enough) {
				return nil, fmt.Errorf("a log that was left says %w", err)
			}
			return r.Revision()
		})
		if err != nil || seen != 1 {
			w.Errorf("%d commits were seen, %v", seen, err)
		}

		// What a transaction did is no commit yet; what others did before it is.
		w.update(t, func(wr directory.Writer) error {
			n := 0
			err := errors.Join(make(wr), wr.Log(directory.LogQuery{From: 1, To: 9, Limit: 10}, func(directory.Logged) error { n++; return nil }))
			if n != 5 {
				err = errors.Join(err, fmt.Errorf("inside a transaction there are %d commits", n))
			}
			return err
		})
		var kinds []directory.ChangeKind
		get(w, t, func(r directory.Reader) (any, error) {
			return nil, r.Log(directory.LogQuery{From: 5, To: 6, Limit: 10}, func(l directory.Logged) error {
				for _, c := range l.Changes {
					kinds = append(kinds, c.Kind)
				}
				return nil
			})
		})
		w.same("what was done", kinds, []directory.ChangeKind{directory.GroupCreated, directory.UserDeleted})
	}},

	{"what was deleted is found by what it bore to the end", func(w *world) {
		t := w.tenant("one")
		rename := func(u directory.User, name string) directory.User {
			after := u
			after.Name = name
			w.update(t, func(wr directory.Writer) error { return wr.UpdateUser(u, after) })
			return after
		}
		remove := func(u directory.User) {
			w.update(t, func(wr directory.Writer) error { return wr.DeleteUser(u) })
		}
		ann := rename(w.user(t, directory.User{Name: "Hanna"}), "Ann")
		remove(ann)
		for range 2 {
			remove(w.user(t, directory.User{Name: "bob"}))
		}
		w.user(t, directory.User{Name: "cid"})
		g := w.group(t, directory.Group{Name: "Gone"})
		w.update(t, func(wr directory.Writer) error { return wr.DeleteGroup(g) })
		buried := func(m directory.MemberRef) directory.Grave {
			w.Helper()
			return get(w, t, func(r directory.Reader) (directory.Grave, error) { return r.Buried(m) })
		}
		annLies := directory.Grave{Number: ann.Number, ID: ann.ID}
		for _, ref := range []directory.Ref{directory.ByName("ANN"), directory.ByUser(ann.ID), directory.ByNumber(int64(ann.Number)), directory.ByCode(ann.Code)} {
			w.same(fmt.Sprintf("who was %+v", ref), buried(directory.MemberRef{Ref: ref}), annLies)
		}
		for _, ref := range []directory.Ref{directory.ByName("hanna"), directory.ByName("cid"), directory.ByName("nobody\x00"), directory.ByNumber(99), directory.ByNumber(1 << 40), directory.ByEmail("ann"), {}} {
			w.same(fmt.Sprintf("who was %+v", ref), buried(directory.MemberRef{Ref: ref}), directory.Grave{})
		}
		w.same("who was bob", buried(directory.MemberRef{Ref: directory.ByName("bob")}).Number, directory.Ambiguous)
		w.same("which group was gone", buried(directory.MemberRef{IsGroup: true, Ref: directory.ByName("gone")}), directory.Grave{Number: g.Number, ID: g.ID})
		w.same("whether a user was gone", buried(directory.MemberRef{Ref: directory.ByName("gone")}), directory.Grave{})
	}},
}
