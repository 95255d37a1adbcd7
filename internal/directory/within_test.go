package directory_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// within is a key with these grants that is bounded to the groups.
func (w *world) within(g directory.Grants, groups ...directory.Group) directory.Principal {
	p := w.with(g)
	p.Within = &directory.Within{}
	for _, g := range groups {
		p.Within.Groups = append(p.Within.Groups, g.Number)
	}
	return p
}

// heeded are the operations that heed a bound; every other refuses it.
var heeded = map[string]bool{"ChangeMembers": true, "ChangeGroups": true, "CreateUsers": true, "Suspend": true, "Portrait": true, "Portraits": true}

func TestAnOperationThatDoesNotHeedABoundRefusesABoundedKey(t *testing.T) {
	for name, call := range operations {
		op, _, _ := strings.Cut(name, ".")
		if call.need&(directory.Platform|directory.OwnTenants) != 0 {
			continue // no bounded key holds that
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			g := w.group("g", 0)
			w.user("ann", g)
			a, err := w.CreateCredential(ctx, w.admin, directory.NewCredential{Kind: "k", Hash: []byte("old")})
			ok(t, a, err)
			for _, p := range []directory.Principal{w.within(directory.InTenant, g), w.within(directory.InTenant)} {
				err := call.call(w, p)
				if refused := directory.CodeOf(err) == "principal.bounded"; refused == heeded[op] {
					t.Errorf("bounded to %v: %v", p.Within.Groups, err)
				}
			}
		})
	}
	w := newWorld(t)
	p := w.within(directory.InTenant)
	for what, err := range map[string]error{
		"its tenant":     drop(w.Tenant(ctx, p)),
		"issuing":        drop(w.Issue(ctx, p, directory.NewCredential{Kind: "k", Hash: []byte("x")})),
		"a check by ids": drop(w.IsMember(ctx, p, directory.Check{User: directory.ByUser(id.New[id.User]()), Group: directory.ByGroup(id.New[id.Group]())})),
	} {
		if directory.CodeOf(err) != "principal.bounded" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAdvisory18_WhatIsBeyondABoundIsAsIfItWereNot(t *testing.T) {
	w := newWorld(t)
	mine, child1, other := w.group("mine", 0), w.group("below", 0), w.group("other", 0)
	w.add(mine, child(child1), directory.Standing{})
	twin := w.group("Mine", 0) // beyond, of the same name
	insider, nested, away := w.user("insider", mine), w.user("nested", child1), w.user("away", mine)
	outsider, former, future := w.user("outsider", other), w.user("former"), w.user("future")
	yes := true
	a, err := w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(away.ID), Suspended: &yes})
	ok(t, a, err)
	w.add(mine, member(former), directory.Standing{Until: w.Now().Add(time.Hour)})
	w.add(mine, member(future), directory.Standing{From: w.Now().Add(2 * time.Hour)})
	w.Clock.Advance(time.Hour)
	p := w.within(directory.WriteMembers, mine)

	all := []directory.MemberRef{member(insider), member(nested), member(away), member(outsider), member(former), member(future), {Ref: directory.ByNumber(99)}, child(other), child(child1)}
	for _, refs := range []directory.MembersChange{{Add: all}, {Remove: all}} {
		refs.Group, refs.Mode = directory.ByGroup(mine.ID), directory.EachAlone
		b, err := w.ChangeMembers(ctx, p, refs)
		r := ok(t, b, err)
		results := append(r.Add, r.Remove...)
		for i, result := range results {
			there := i < 3
			if there != (result.Outcome != directory.Bad) {
				t.Errorf("item %d is %v", i, result.Outcome)
			}
			want := directory.ErrNoUser
			if i > 6 {
				want = directory.ErrNoGroup
			}
			if !there && (result.Problem != want || result.Edge.Member != 0) {
				t.Errorf("item %d says %v of %v, which a thing that is not there does not", i, result.Problem, result.Edge)
			}
		}
	}
	for what, g := range map[string]directory.Ref{"another group": directory.ByGroup(other.ID), "by number": directory.ByNumber(int64(other.Number)),
		"by name": directory.ByName("other"), "a group below": directory.ByGroup(child1.ID), "its twin": directory.ByGroup(twin.ID), "nothing": directory.ByNumber(99)} {
		_, err := w.ChangeMembers(ctx, p, directory.MembersChange{Group: g, Add: all[:1], Mode: directory.Each})
		if !errors.Is(err, directory.NotFound) || directory.CodeOf(err) != directory.ErrNoGroup.Code {
			t.Errorf("%s: %v", what, err)
		}
	}
	// Of two that bear a name, the one within is meant; it is no secret that
	// there is one, and the other is none of its business.
	w.add(mine, member(insider), directory.Standing{})
	c, err := w.ChangeGroups(ctx, p, directory.GroupsChange{Member: member(insider), Add: []directory.Ref{directory.ByName("MINE"), directory.ByName("other")}, Mode: directory.Each})
	if got := outcomes(ok(t, c, err).Add); got != "already:1 invalid:1 / " {
		t.Errorf("by names: %s", got)
	}
	if b, err := w.ChangeMembers(ctx, p, directory.MembersChange{Group: directory.ByName("mine"), Add: all[:1]}); err != nil || b.Value.Group.Number != mine.Number {
		t.Errorf("by its name: %v, %v", b.Value.Group.Number, err)
	}
	// Leaving all groups leaves those within.
	w.add(other, member(insider), directory.Standing{})
	c, err = w.ChangeGroups(ctx, p, directory.GroupsChange{Member: member(insider), Replace: true})
	if r := ok(t, c, err); len(r.Left) != 1 || r.Left[0].Group != mine.Number {
		t.Errorf("leaving all groups leaves %v", r.Left)
	}
	// And who has left is out of reach at once.
	_, err = w.ChangeGroups(ctx, p, directory.GroupsChange{Member: member(insider), Add: []directory.Ref{directory.ByGroup(mine.ID)}})
	if !errors.Is(err, directory.NotFound) {
		t.Errorf("one who has left: %v", err)
	}
}

func TestAdvisory07_ABoundIsLookedAtInsideTheTransaction(t *testing.T) {
	// While somebody goes in and out of the one group of a key, the key tries to
	// put them into its other. It never succeeds after they have left.
	w := newWorld(t)
	lobby, vault := w.group("lobby", 0), w.group("vault", 0)
	ann := w.user("ann")
	p := w.within(directory.WriteMembers, lobby, vault)
	var all sync.WaitGroup
	all.Go(func() {
		for range 60 {
			w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(lobby.ID), Add: []directory.MemberRef{member(ann)}})
			w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(lobby.ID), Remove: []directory.MemberRef{member(ann)}})
			w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(vault.ID), Remove: []directory.MemberRef{member(ann)}})
		}
	})
	for range 200 {
		w.ChangeMembers(ctx, p, directory.MembersChange{Group: directory.ByGroup(vault.ID), Add: []directory.MemberRef{member(ann)}, Mode: directory.Each})
	}
	all.Wait()
	standing := map[id.Number]bool{}
	for c, err := range w.Store.Commits(ctx, w.admin.Tenant, 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, ch := range c.Changes {
			switch ch.Kind {
			case directory.MembersAdded:
				if c.Actor.Credential == p.Credential && !standing[lobby.Number] && !standing[vault.Number] {
					t.Fatalf("revision %d puts somebody in who was beyond the bound", c.Revision)
				}
				standing[ch.Number] = true
			case directory.MembersRemoved:
				delete(standing, ch.Number)
			}
		}
	}
}
