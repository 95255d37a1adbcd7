package directory_test

import (
	"fmt"
	"testing"
	"time"

	"roster/internal/directory"
)

// The lessons of advisories_test.go, for batches, explanations, lists in order
// and the past.

func TestAdvisory01_ABatchOverManyGroupsNeedsWhatAnyOfThemGrants(t *testing.T) {
	w := newWorld(t)
	admins, plain := w.group("admins", directory.Admin), w.group("plain", 0)
	w.user("root", admins)
	helpdesk := w.group("helpdesk", directory.ReadAll|directory.WriteUsers|directory.WriteMembers)
	mallory := w.as(w.user("mallory", helpdesk))
	puppet := w.user("puppet")
	for _, mode := range []directory.Mode{directory.Atomic, directory.Each} {
		for _, do := range []directory.BatchDo{directory.AddMembers, directory.RemoveMembers, directory.ReplaceMembers, directory.ReplaceGroups} {
			for _, dry := range []bool{false, true} {
				w.refused("a batch", directory.Forbidden, func() error {
					return drop(w.ChangeMemberships(ctx, mallory, directory.Batch{Mode: mode, DryRun: dry, Runs: []directory.BatchRun{
						{Do: directory.AddMembers, Members: []directory.MemberRef{member(puppet)}, Groups: []directory.Ref{directory.ByGroup(plain.ID)}},
						{Do: do, Members: []directory.MemberRef{member(puppet)}, Groups: []directory.Ref{directory.ByGroup(plain.ID), directory.ByGroup(admins.ID)}},
					}}))
				})
			}
		}
	}
	// Line by line the one is refused and the other done.
	a, err := w.ChangeMemberships(ctx, mallory, directory.Batch{Mode: directory.EachAlone, Runs: []directory.BatchRun{
		{Do: directory.AddMembers, Members: []directory.MemberRef{member(puppet)}, Groups: []directory.Ref{directory.ByGroup(plain.ID), directory.ByGroup(admins.ID)}},
	}})
	items := ok(t, a, err).Runs[0].Items
	if items[0].Outcome != directory.Added || items[1].Outcome != directory.Bad || items[1].Problem.Kind != directory.Forbidden {
		t.Errorf("line by line it came to %+v", items)
	}
}

func TestAdvisory04_ADryRunAndAConditionTellNothingToWhoMayOnlyWrite(t *testing.T) {
	w := newWorld(t)
	g := w.group("g", 0)
	ann := w.user("ann", g)
	p := w.with(directory.WriteMembers)
	for _, b := range []directory.Batch{
		{DryRun: true},
		{Require: []directory.Require{{User: directory.ByUser(ann.ID), Group: directory.ByGroup(g.ID), Member: true}}},
		{Require: []directory.Require{{Group: directory.ByGroup(g.ID), Version: 1}}},
	} {
		w.refused("the batch", directory.Forbidden, func() error { return drop(w.ChangeMemberships(ctx, p, b)) })
	}
}

func TestAdvisory16_ABatchMayExchangeTheLastAdministratorAndNotRemoveIt(t *testing.T) {
	w := newWorld(t)
	admins := w.group("admins", directory.Admin)
	root, next := w.user("root", admins), w.user("next")
	run := func(do directory.BatchDo, u directory.User) directory.BatchRun {
		return directory.BatchRun{Do: do, Members: []directory.MemberRef{member(u)}, Groups: []directory.Ref{directory.ByGroup(admins.ID)}}
	}
	w.refused("removing the last", directory.Conflict, func() error {
		return drop(w.ChangeMemberships(ctx, w.admin, directory.Batch{Runs: []directory.BatchRun{run(directory.RemoveMembers, root)}}))
	})
	w.refused("replacing the last by nobody", directory.Conflict, func() error {
		return drop(w.ChangeMemberships(ctx, w.admin, directory.Batch{Runs: []directory.BatchRun{{Do: directory.ReplaceMembers, Groups: []directory.Ref{directory.ByGroup(admins.ID)}}}}))
	})
	a, err := w.ChangeMemberships(ctx, w.admin, directory.Batch{Runs: []directory.BatchRun{run(directory.RemoveMembers, root), run(directory.AddMembers, next)}})
	if r := ok(t, a, err).Runs; r[0].Items[0].Outcome != directory.Removed || r[1].Items[0].Outcome != directory.Added {
		t.Errorf("the exchange came to %+v", r)
	}
}

func TestAdvisory18_ThePastOfAnotherTenantIsNotAskedForByGuessing(t *testing.T) {
	w := newWorld(t)
	g := w.group("g", 0)
	ann := w.user("ann", g)
	other := w.tenant("other")
	then := directory.When{Time: w.Clock.Now()}
	a, err := w.WereMembers(ctx, other, []directory.Check{{User: directory.ByUser(ann.ID), Group: directory.ByGroup(g.ID)}, {User: directory.ByNumber(1), Group: directory.ByNumber(1)}}, then)
	if got := ok(t, a, err); got[0] || got[1] {
		t.Errorf("the other tenant's checks say %v", got)
	}
	x, err := w.Explain(ctx, other, directory.Explain{User: directory.ByUser(ann.ID), Group: directory.ByGroup(g.ID)})
	if got := ok(t, x, err); got.Why != directory.NoSuchUser || got.User != nil || got.Group != nil {
		t.Errorf("the other tenant is told %+v", got)
	}
	w.refused("its timeline", directory.NotFound, func() error {
		return drop(w.Timeline(ctx, other, directory.Timeline{Page: directory.Page{At: then}, Group: directory.ByGroup(g.ID), Member: member(ann)}))
	})
}

func TestAdvisory19_SuspendedAndExpiredAreOutOfThePastAndOfListsInOrder(t *testing.T) {
	w := newWorld(t)
	g := w.group("g", 0)
	ann, bob := w.user("ann", g), w.user("bob", g)
	before := w.Clock.Now()
	w.Clock.Advance(time.Hour)
	if _, err := w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(ann.ID), Suspended: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	expires := w.Clock.Now().Add(time.Hour)
	if _, err := w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(bob.ID), Expires: &expires}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at   directory.When
		want int64
	}{{directory.When{Time: before}, 2}, {directory.When{}, 1}, {directory.When{Time: expires.Add(-time.Microsecond)}, 1}, {directory.When{Time: expires}, 0}} {
		for _, transitive := range []bool{false, true} {
			for _, sort := range []directory.SortBy{0, directory.ByTitle} {
				a, err := w.Members(ctx, w.admin, directory.ListMembers{Page: directory.Page{At: c.at}, Group: directory.ByGroup(g.ID), Transitive: transitive, Count: true, Arrange: directory.Arrange{Sort: sort}})
				if got := ok(t, a, err); got.Total != c.want || int64(len(got.Items)) != c.want {
					t.Errorf("as of %+v (transitive %v, sort %v) there are %d in %d, want %d", c.at, transitive, sort, len(got.Items), got.Total, c.want)
				}
			}
		}
	}
}

func TestAdvisory25_AReplacementTooLargeToSeeWholeTakesNobodyOut(t *testing.T) {
	if testing.Short() {
		t.Skip("more users than a batch holds take long to make")
	}
	w := newWorld(t)
	g := w.group("g", 0)
	keep := w.user("keep", g)
	for n := 0; n < directory.MaxBatch+1; n += 1000 {
		var many []directory.MemberRef
		for i := range min(1000, directory.MaxBatch+1-n) {
			many = append(many, member(w.user(fmt.Sprint("u", n+i))))
		}
		if _, err := w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(g.ID), Add: many}); err != nil {
			t.Fatal(err)
		}
	}
	w.refused("the replacement", directory.TooLarge, func() error {
		return drop(w.ChangeMemberships(ctx, w.admin, directory.Batch{Runs: []directory.BatchRun{{Do: directory.ReplaceMembers, Members: []directory.MemberRef{member(keep)}, Groups: []directory.Ref{directory.ByGroup(g.ID)}}}}))
	})
	a, err := w.Members(ctx, w.admin, directory.ListMembers{Group: directory.ByGroup(g.ID), Count: true})
	if got := ok(t, a, err); got.Total != directory.MaxBatch+2 {
		t.Errorf("%d members are left", got.Total)
	}
}
