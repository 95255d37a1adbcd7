package storetest

import (
	"context"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

func (w *world) visit(counts map[directory.Visit]int) {
	w.Helper()
	if err := w.store.CountVisits(context.Background(), counts); err != nil {
		w.Fatal(err)
	}
}

var visits = []testCase{
	{"sign-ins are counted by user and day and leave no trace in the log", func(w *world) {
		t := w.tenant("one")
		ann, bob, eve := w.user(t, directory.User{Name: "ann"}), w.user(t, directory.User{Name: "bob"}), w.user(t, directory.User{Name: "eve"})
		before := w.revision(t)
		at := func(u directory.User, daysAgo int) directory.Visit {
			return directory.Visit{Tenant: t, User: u.ID, Day: directory.DayOf(start.AddDate(0, 0, -daysAgo))}
		}
		w.visit(map[directory.Visit]int{at(ann, 0): 2, at(ann, 15): 3, at(ann, 16): 4, at(bob, 1): 1})
		w.visit(map[directory.Visit]int{at(ann, 0): 5, at(eve, 30): 1})
		w.visit(nil)
		w.visit(map[directory.Visit]int{
			{Tenant: t, User: id.New[id.User](), Day: 1}:                     1,
			{Tenant: id.New[id.Tenant](), User: ann.ID, Day: at(ann, 0).Day}: 1,
		})
		ask := func(since time.Time, users ...id.Number) map[id.Number]int {
			return get(w, t, func(r directory.Reader) (map[id.Number]int, error) { return r.Visits(users, since) })
		}
		all := []id.Number{ann.Number, bob.Number, eve.Number, 99}
		w.same("within 15 days", ask(start.AddDate(0, 0, -15), all...), map[id.Number]int{ann.Number: 10, bob.Number: 1})
		w.same("today", ask(start, all...), map[id.Number]int{ann.Number: 7})
		w.same("of one", ask(start.AddDate(0, 0, -40), eve.Number), map[id.Number]int{eve.Number: 1})
		w.same("of nobody", len(ask(start)), 0)
		if w.revision(t) != before || w.revision(platform) != 1 {
			w.Fatalf("counting made revision %d of the tenant, or %d of the platform", w.revision(t), w.revision(platform))
		}

		w.update(t, func(wr directory.Writer) error { return wr.DeleteUser(bob) })
		w.same("after one was deleted", ask(start.AddDate(0, 0, -15), all...), map[id.Number]int{ann.Number: 10})
		// Days long past make room.
		later := directory.Visit{Tenant: t, User: ann.ID, Day: at(ann, 0).Day + directory.DayOf(time.Unix(0, 0).Add(directory.VisitsKept)) + 1}
		w.visit(map[directory.Visit]int{later: 1})
		if n := ask(start, ann.Number)[ann.Number]; n != 1 && n != 8 {
			w.Fatalf("after more than the days that are kept it is %d", n)
		}
	}},
}
