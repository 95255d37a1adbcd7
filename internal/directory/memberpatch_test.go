package directory_test

import (
	"errors"
	"testing"
	"time"

	"roster/internal/directory"
)

func TestAnUpdateIsToldToWhoMayReadAlone(t *testing.T) {
	w := newWorld(t)
	g := w.group("g", 0)
	ann := w.user("ann")
	w.add(g, member(ann), directory.Standing{Reason: "a secret"})
	for grants, told := range map[directory.Grants]bool{directory.WriteMembers: false, directory.WriteMembers | directory.ReadMembers: true} {
		a, err := w.UpdateMembers(ctx, w.with(grants), directory.MembersUpdate{Group: directory.ByGroup(g.ID), Members: []directory.MemberRef{member(ann)}})
		if s := ok(t, a, err)[0]; s.Outcome != directory.Already || (s.Membership.Reason == "a secret") != told || s.Holds != told {
			t.Errorf("with %v it is told %+v", grants, s)
		}
	}
}

func TestAnUpdateNamesTheDateThatDoesNotFit(t *testing.T) {
	w := newWorld(t)
	g := w.group("g", 0)
	ann := w.user("ann")
	at := func(hours int) *time.Time { return ptr(w.Now().Add(time.Duration(hours) * time.Hour)) }
	w.add(g, member(ann), directory.Standing{From: *at(1), Until: *at(2)})
	never := ptr(time.Time{})
	for _, c := range []struct {
		what  string
		patch directory.StandingPatch
		field string
	}{
		{"an end before it begins", directory.StandingPatch{Until: at(0)}, "valid_until"},
		{"an end as it begins", directory.StandingPatch{Until: at(1)}, "valid_until"},
		{"a beginning as it ends", directory.StandingPatch{From: at(2)}, "valid_from"},
		{"both the wrong way round", directory.StandingPatch{From: at(6), Until: at(5)}, "valid_until"},
		{"both within one microsecond", directory.StandingPatch{From: ptr(at(5).Add(1)), Until: ptr(at(5).Add(2))}, "valid_until"},
		{"a beginning too early", directory.StandingPatch{From: ptr(time.Date(1970, 12, 31, 0, 0, 0, 0, time.UTC))}, "valid_from"},
		{"an end too late", directory.StandingPatch{Until: ptr(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))}, "valid_until"},
		{"a reason that is no text", directory.StandingPatch{Reason: ptr("\xff")}, "reason"},
	} {
		w.refused(c.what, directory.Invalid, func() error {
			err := drop(w.UpdateMembers(ctx, w.admin, directory.MembersUpdate{Group: directory.ByGroup(g.ID), Members: []directory.MemberRef{member(ann)}, Patch: c.patch, Atomic: true}))
			if e, is := errors.AsType[*directory.Error](err); !is || e.Field != c.field {
				t.Errorf("%s: %v names another field than %s", c.what, err, c.field)
			}
			return err
		})
	}
	// One after the other both move, and what is not said stays.
	for _, patch := range []directory.StandingPatch{{Until: never}, {From: at(2)}, {Until: at(3)}, {Role: ptr(directory.RoleManager)}, {From: never}, {From: at(2)}} {
		if _, err := w.UpdateMembers(ctx, w.admin, directory.MembersUpdate{Group: directory.ByGroup(g.ID), Members: []directory.MemberRef{member(ann)}, Patch: patch, Atomic: true}); err != nil {
			t.Fatal(err)
		}
	}
	a, err := w.Membership(ctx, w.admin, directory.ByGroup(g.ID), member(ann))
	if got, want := ok(t, a, err).Standing, (directory.Standing{From: *at(2), Until: *at(3), Role: directory.RoleManager}); got != want {
		t.Errorf("ann stands as %+v, want %+v", got, want)
	}
}

func TestNobodyLeavesAGroupOfEverybodyByAnUpdate(t *testing.T) {
	w := newWorld(t)
	a, err := w.CreateGroup(ctx, w.admin, directory.NewGroup{Name: "all", Joins: directory.Joins{Everyone: true}})
	g := ok(t, a, err)
	ann := w.user("ann")
	update := func(patch directory.StandingPatch) error {
		return drop(w.UpdateMembers(ctx, w.admin, directory.MembersUpdate{Group: directory.ByGroup(g.ID), Members: []directory.MemberRef{member(ann)}, Patch: patch, Atomic: true}))
	}
	for what, patch := range map[string]directory.StandingPatch{"by its end": {Until: ptr(w.Now())}, "by its beginning": {From: ptr(w.Now().Add(time.Hour))}} {
		w.refused(what, directory.Conflict, func() error { return update(patch) })
	}
	if err := update(directory.StandingPatch{Role: ptr(directory.RoleManager), Until: ptr(time.Time{})}); err != nil {
		t.Error(err)
	}
}
