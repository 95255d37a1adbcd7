package storetest

import (
	"errors"
	"maps"
	"sync"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// nothing is a write that does nothing of its own.
func nothing(directory.Writer) error { return nil }

// due returns the tenants in which a date has come and is not recorded.
func (w *world) due() []id.Tenant {
	w.Helper()
	list, err := w.store.Due(w.Context(), w.clock.Now(), 10)
	if err != nil {
		w.Fatal(err)
	}
	return list
}

func started(at time.Time, group id.Number, members ...id.Member) directory.Change {
	return directory.Change{Kind: directory.MembersStarted, Number: group, Members: members, Standing: directory.Standing{From: at}}
}

func ended(at time.Time, group id.Number, members ...id.Member) directory.Change {
	return directory.Change{Kind: directory.MembersEnded, Number: group, Members: members, Standing: directory.Standing{Until: at}}
}

var clocks = []testCase{
	{"a date that comes is recorded once, by the first write after it", func(w *world) {
		t, other := w.tenant("one"), w.tenant("other")
		w.users(t, 3)
		w.groups(t, 2)
		from, until := start.Add(time.Minute), start.Add(time.Hour)
		w.insert(t, directory.Standing{From: from, Until: until}, in(1, 1), in(2, 1), within(2, 1))
		w.insert(t, directory.Standing{From: start.Add(-time.Hour)}, in(3, 1)) // has begun
		rev := w.insert(t, directory.Standing{Until: from}, in(1, 2))
		w.same("what is due too early", len(w.due()), 0)
		w.same("the revision of a write of nothing", w.update(t, nothing), rev)

		w.clock.advance(time.Minute - time.Microsecond)
		w.same("what is due a moment too early", len(w.due()), 0)
		w.clock.advance(time.Microsecond)
		w.same("what is due", w.due(), []id.Tenant{t})
		w.update(t, nothing)
		w.same("what is due after it was recorded", len(w.due()), 0)
		w.update(t, nothing)
		log := w.commits(t, rev)
		if len(log) != 1 {
			w.Fatalf("the log goes on with %+v", log)
		}
		w.same("the record", log[0].Changes, []directory.Change{started(from, 1, -2, 1, 2), ended(from, 2, 1)})

		w.clock.advance(2 * time.Hour)
		w.same("what is due at the end", w.due(), []id.Tenant{t})
		w.remove(t, in(1, 1))
		log = w.commits(t, rev+1)
		w.same("the record of a write that does more", log[0].Changes,
			[]directory.Change{ended(until, 1, -2, 1, 2), {Kind: directory.MembersRemoved, Number: 1, Members: []id.Member{1}}})
		w.same("the other tenant's revision", w.revision(other), directory.Revision(0))
	}},

	{"a write that is refused leaves what is due to be recorded", func(w *world) {
		t := w.tenant("one")
		w.users(t, 1)
		w.groups(t, 1)
		until := start.Add(time.Minute)
		rev := w.insert(t, directory.Standing{Until: until}, in(1, 1))
		w.clock.advance(time.Hour)
		w.refused(t, directory.ErrNoUser, func(directory.Writer) error { return directory.ErrNoUser })
		w.refused(t, directory.ErrNoUser, func(wr directory.Writer) error {
			return errors.Join(wr.DeleteEdges([]directory.Edge{in(1, 1)}), directory.ErrNoUser)
		})
		w.same("what is due", w.due(), []id.Tenant{t})
		w.update(t, nothing)
		w.same("the record", w.commits(t, rev)[0].Changes, []directory.Change{ended(until, 1, 1)})
	}},

	{"dates that were changed or taken away in time are never recorded", func(w *world) {
		t := w.tenant("one")
		w.users(t, 2)
		w.groups(t, 1)
		w.insert(t, directory.Standing{Until: start.Add(time.Minute)}, in(1, 1), in(2, 1))
		w.remove(t, in(1, 1))
		later := start.Add(time.Hour)
		rev := w.update(t, func(wr directory.Writer) error {
			return updateEdges(wr, []directory.Edge{in(2, 1)}, directory.Standing{Until: later})
		})
		w.clock.advance(30 * time.Minute)
		w.same("the revision half an hour later", w.update(t, nothing), rev)
		w.clock.advance(time.Hour)
		w.update(t, nothing)
		w.same("the record", w.commits(t, rev)[0].Changes, []directory.Change{ended(later, 1, 2)})
	}},

	{"of many who notice a date one records it", func(w *world) {
		t := w.tenant("one")
		w.users(t, 1)
		w.groups(t, 1)
		rev := w.insert(t, directory.Standing{Until: start.Add(time.Minute)}, in(1, 1))
		w.clock.advance(time.Hour)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := w.store.Update(w.Context(), t, author, nothing); err != nil {
					w.Error(err)
				}
			})
		}
		wg.Wait()
		w.same("how many commits there are", len(w.commits(t, rev)), 1)
	}},

	{"whatever has a date between two moments is found, and what had one", func(w *world) {
		t := w.tenant("one")
		w.users(t, 4)
		w.groups(t, 2)
		at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
		w.insert(t, directory.Standing{From: at(1), Until: at(3)}, in(1, 1), within(2, 1))
		w.insert(t, directory.Standing{Until: at(2)}, in(2, 1), in(3, 1))
		w.insert(t, directory.Standing{}, in(4, 1))
		w.remove(t, in(2, 1))
		w.update(t, func(wr directory.Writer) error {
			return updateEdges(wr, []directory.Edge{in(3, 1)}, directory.Standing{From: at(4)})
		})
		expire := func(n int, when time.Time) directory.User {
			u := get(w, t, func(r directory.Reader) (directory.User, error) { return r.User(directory.ByNumber(int64(n))) })
			after := u
			after.Expires = when
			w.update(t, func(wr directory.Writer) error { return wr.UpdateUser(u, after) })
			return after
		}
		expire(4, at(2))
		expire(4, at(5))
		expire(2, at(6))
		gone := get(w, t, func(r directory.Reader) (directory.User, error) { return r.User(directory.ByNumber(2)) })
		w.update(t, func(wr directory.Writer) error { return wr.DeleteUser(gone) })

		expires := func(n id.Number) directory.Edge { return directory.Edge{Member: id.UserMember(n)} }
		dates := map[int][]directory.Edge{
			1: {within(2, 1), in(1, 1)}, 2: {expires(4), in(2, 1), in(3, 1)}, 3: {within(2, 1), in(1, 1)}, 4: {in(3, 1)}, 5: {expires(4)}, 6: {expires(2)},
		}
		for from := range 8 {
			for to := range 8 {
				want := map[directory.Edge]bool{}
				all := 0
				for minute, edges := range dates {
					if from < minute && minute <= to {
						all += len(edges)
						for _, e := range edges {
							want[e] = true
						}
					}
				}
				for _, limit := range []int{1, 100} {
					list := get(w, t, func(r directory.Reader) ([]directory.Edge, error) { return r.Dated(at(from), at(to), limit) })
					got := map[directory.Edge]bool{}
					for _, e := range list {
						got[e] = true
					}
					if len(list) != min(all, limit) || limit > all && !maps.Equal(got, want) {
						w.Errorf("of the dates from minute %d to minute %d are found %v of at most %d, want %v", from, to, list, limit, want)
					}
				}
			}
		}
	}},
}
