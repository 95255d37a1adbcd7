package directory_test

import (
	"errors"
	"slices"
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
var heeded = map[string]bool{"IsMember": true, "AreMembers": true, "WereMembers": true, "Explain": true, "Timeline": true, "Diff": true, "Members": true, "GroupsOf": true, "Membership": true, "ChangeMemberships": true, "ChangeMembers": true, "UpdateMembers": true, "ChangeGroups": true, "CreateUsers": true, "Suspend": true, "Portrait": true, "Portraits": true}

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
		"its tenant":         drop(w.Tenant(ctx, p)),
		"issuing":            drop(w.Issue(ctx, p, directory.NewCredential{Kind: "k", Hash: []byte("x")})),
		"a list by joining":  drop(w.Members(ctx, p, directory.ListMembers{Group: directory.ByNumber(1), Joining: true})),
		"another by joining": drop(w.GroupsOf(ctx, p, directory.ListMembers{Member: directory.MemberRef{Ref: directory.ByNumber(1)}, Joining: true})),
		"a dry run":          drop(w.ChangeMemberships(ctx, p, directory.Batch{DryRun: true})),
		"who did what":       drop(w.Changes(ctx, p, directory.ListChanges{})),
		"what a commit did":  drop(w.Commit(ctx, p, directory.ListCommit{Revision: 1})),
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

// bounded is a world of which a key sees one part: mine and ours, and who stands
// there. Every question about the rest must be answered as one about nothing.
type bounded struct {
	*world
	mine, ours, other, inner          directory.Group // inner stands in mine, and other above ours
	insider, nested, former, outsider directory.User
	p                                 directory.Principal
	before                            directory.Revision // when former was still in mine
}

func newBounded(t *testing.T) *bounded {
	w := newWorld(t)
	w.admin.Name = "boss"
	b := &bounded{world: w, mine: w.group("mine", 0), ours: w.group("ours", 0), other: w.group("other", 0)}
	b.inner = w.group("inner", 0, b.mine)
	w.add(b.ours, child(b.mine), directory.Standing{})
	w.add(b.other, child(b.ours), directory.Standing{})
	b.insider, b.nested, b.former, b.outsider = w.user("insider", b.mine, b.other), w.user("nested", b.inner), w.user("former", b.mine), w.user("outsider", b.other)
	b.before = w.revision()
	a, err := w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(b.mine.ID), Remove: []directory.MemberRef{member(b.former)}})
	ok(t, a, err)
	b.p = w.within(directory.ReadAll|directory.WriteMembers, b.mine, b.ours)
	return b
}

// everybody is who is named in the questions: in the bound, beyond it, or nobody.
func (b *bounded) everybody() map[string]directory.Ref {
	return map[string]directory.Ref{"insider": directory.ByUser(b.insider.ID), "nested": directory.ByName("nested"), "former": directory.ByNumber(int64(b.former.Number)),
		"outsider": directory.ByCode(b.outsider.Code), "nobody": directory.ByNumber(99)}
}

func (b *bounded) everything() map[string]directory.Ref {
	return map[string]directory.Ref{"mine": directory.ByGroup(b.mine.ID), "ours": directory.ByName("OURS"), "other": directory.ByGroup(b.other.ID), "inner": directory.ByName("inner"), "none": directory.ByNumber(99)}
}

func TestAdvisory18_ABoundedKeyChecksWhatItSeesAlsoInThePast(t *testing.T) {
	b := newBounded(t)
	for _, at := range []directory.When{{}, {Revision: b.before}} {
		for who, user := range b.everybody() {
			for what, group := range b.everything() {
				want := (who == "insider" || who == "nested") && (what == "mine" || what == "ours")
				a, err := b.WereMembers(ctx, b.p, []directory.Check{{User: user, Group: group}}, at)
				if got := ok(t, a, err); got[0] != want {
					t.Errorf("as of %+v %s in %s is %v", at, who, what, got[0])
				}
				if !at.IsZero() {
					continue
				}
				c, err := b.IsMember(ctx, b.p, directory.Check{User: user, Group: group})
				if ok(t, c, err) != want {
					t.Errorf("%s in %s is %v alone", who, what, c.Value)
				}
			}
		}
	}
	// By ids the index would answer at once, for anybody else.
	b.warm(b.insider, b.mine)
	c, err := b.IsMember(ctx, b.p, directory.Check{User: directory.ByUser(b.outsider.ID), Group: directory.ByGroup(b.other.ID)})
	if ok(t, c, err) {
		t.Error("a check by ids goes past the bound")
	}
	// Twins are ambiguous only if both are within the bound, then and now.
	b.group("Mine", 0)
	at := directory.When{Revision: b.revision()}
	rename, err := b.UpdateGroup(ctx, b.admin, directory.GroupUpdate{Group: directory.ByGroup(b.mine.ID), Name: ptr("renamed")})
	ok(t, rename, err)
	check := []directory.Check{{User: directory.ByUser(b.insider.ID), Group: directory.ByName("mine")}}
	a, err := b.WereMembers(ctx, b.p, check, at)
	if !ok(t, a, err)[0] {
		t.Error("the one of two twins that was within the bound then is not meant")
	}
	if a, err = b.WereMembers(ctx, b.p, check, directory.When{}); ok(t, a, err)[0] {
		t.Error("a name that only the twin beyond the bound bears now is answered")
	}
}

func TestAdvisory03_ABoundedKeyIsToldNoWayThroughOtherGroups(t *testing.T) {
	b := newBounded(t)
	type answer struct {
		member bool
		why    directory.Why
		count  int64
		ways   int
	}
	for who, user := range b.everybody() {
		for what, group := range b.everything() {
			want := answer{why: directory.NoSuchUser}
			switch within := what == "mine" || what == "ours"; {
			case who != "insider" && who != "nested":
			case !within:
				want.why = directory.NoSuchGroup
			case who == "insider":
				want = answer{member: true, count: 1, ways: 1}
			default:
				want = answer{member: true} // by inner, which is not told
			}
			for _, at := range []directory.When{{}, {Revision: b.before}} {
				a, err := b.Explain(ctx, b.p, directory.Explain{User: user, Group: group, Page: directory.Page{At: at}})
				x := ok(t, a, err)
				if got := (answer{x.Member, x.Why, x.Count, len(x.Ways)}); got != want || x.Next != 0 {
					t.Errorf("as of %+v %s in %s is explained by %+v, want %+v", at, who, what, got, want)
				}
				if x.User != nil && want.why == directory.NoSuchUser || x.Group != nil && what != "mine" && what != "ours" {
					t.Errorf("the answer about %s and %s names %v and %v", who, what, x.User, x.Group)
				}
				for _, way := range x.Ways {
					for _, step := range way {
						if !slices.Contains(b.p.Within.Groups, step.Group) || step.AddedBy != (directory.Actor{}) {
							t.Errorf("a step of %s into %s is %+v", who, what, step)
						}
					}
				}
			}
		}
	}
	// Ways that do not hold are no reason if they lead through other groups.
	b.add(b.ours, member(b.insider), directory.Standing{})
	lobby := b.group("lobby", 0)
	p := b.within(directory.ReadAll, b.mine, lobby)
	b.add(b.other, child(lobby), directory.Standing{})
	hidden := b.group("hidden", 0)
	b.add(lobby, child(hidden), directory.Standing{})
	b.add(hidden, member(b.insider), directory.Standing{From: b.Now().Add(time.Hour)})
	a, err := b.Explain(ctx, p, directory.Explain{User: directory.ByUser(b.insider.ID), Group: directory.ByGroup(lobby.ID)})
	if x := ok(t, a, err); x.Member || x.Why != directory.NoWay || x.Count != 0 {
		t.Errorf("a way through another group that does not hold is told as %+v", x)
	}
	b.add(lobby, member(b.insider), directory.Standing{From: b.Now().Add(time.Hour)})
	if a, err = b.Explain(ctx, p, directory.Explain{User: directory.ByUser(b.insider.ID), Group: directory.ByGroup(lobby.ID)}); err != nil || a.Value.Why != directory.ByDates || a.Value.Count != 1 {
		t.Errorf("its own that does not hold is told as %+v, %v", a.Value, err)
	}
}

func TestAdvisory18_ABoundedKeyIsToldHowMembershipsStoodAndNotByWhom(t *testing.T) {
	b := newBounded(t)
	c, err := b.ChangeMembers(ctx, b.p, directory.MembersChange{Group: directory.ByGroup(b.mine.ID), Add: []directory.MemberRef{member(b.insider)}, Standing: directory.Standing{Reason: "own"}})
	ok(t, c, err)
	for who, user := range b.everybody() {
		for what, group := range b.everything() {
			want := error(directory.ErrNoUser)
			switch {
			case what != "mine" && what != "ours":
				want = directory.ErrNoGroup
			case who == "insider" || who == "nested":
				want = nil
			}
			for _, at := range []directory.When{{}, {Revision: b.before}} {
				a, err := b.Timeline(ctx, b.p, directory.Timeline{Group: group, Member: directory.MemberRef{Ref: user}, Page: directory.Page{At: at}})
				if code(err) != code(want) {
					t.Errorf("as of %+v the timeline of %s in %s: %v, want %v", at, who, what, err, want)
				}
				for _, s := range a.Value.Items {
					if s.AddedBy != (directory.Actor{}) || s.Beginning.Actor.Name == "boss" || s.Beginning.Actor.Credential == b.admin.Credential {
						t.Errorf("the timeline of %s in %s tells by whom: %+v", who, what, s)
					}
				}
			}
		}
	}
	a, err := b.Timeline(ctx, b.p, directory.Timeline{Group: directory.ByGroup(b.mine.ID), Member: member(b.insider)})
	if s := ok(t, a, err).Items; len(s) != 2 || s[1].Beginning.Actor.Credential != b.p.Credential || s[0].Ending.Actor.Credential != b.p.Credential {
		t.Errorf("what the key did itself is told as %+v", s)
	}
	for _, m := range []directory.Group{b.inner, b.other} {
		if _, err := b.Timeline(ctx, b.p, directory.Timeline{Group: directory.ByGroup(b.mine.ID), Member: child(m)}); code(err) != directory.ErrNoGroup.Code {
			t.Errorf("the timeline of a group beyond the bound: %v", err)
		}
	}
	a, err = b.Timeline(ctx, b.p, directory.Timeline{Group: directory.ByGroup(b.ours.ID), Member: child(b.mine)})
	if s := ok(t, a, err).Items; len(s) != 1 {
		t.Errorf("the timeline of a link within the bound is %+v", s)
	}
}

func TestAdvisory18_ABoundedKeyComparesAUsersGroupsWithinTheBound(t *testing.T) {
	b := newBounded(t)
	for who, user := range b.everybody() {
		for _, transitive := range []bool{false, true} {
			a, err := b.Diff(ctx, b.p, directory.Diff{From: directory.When{Revision: 1}, Member: directory.MemberRef{Ref: user}, Transitive: transitive})
			var got []string
			for _, d := range a.Value.Items {
				got = append(got, d.Group.Name)
			}
			var want []string
			switch {
			case who == "insider" && !transitive:
				want = []string{"mine"}
			case (who == "insider" || who == "nested") && transitive:
				want = []string{"mine", "ours"}
			case who != "insider" && who != "nested":
				if code(err) != directory.ErrNoUser.Code {
					t.Errorf("the difference of %s: %v", who, err)
				}
				continue
			}
			if err != nil || !slices.Equal(got, want) || a.Value.Next != 0 {
				t.Errorf("the difference of %s (transitive %v) is %v, %v; want %v", who, transitive, got, err, want)
			}
		}
	}
}

func TestAdvisory18_ABoundedBatchTouchesWhatItsKeySees(t *testing.T) {
	b := newBounded(t)
	refs := []directory.MemberRef{member(b.insider), member(b.nested), member(b.former), member(b.outsider), {Ref: directory.ByNumber(99)}, child(b.inner), child(b.other), child(b.mine)}
	groups := []directory.Ref{directory.ByGroup(b.mine.ID), directory.ByName("ours"), directory.ByGroup(b.other.ID), directory.ByGroup(b.inner.ID), directory.ByNumber(99)}
	for _, do := range []directory.BatchDo{directory.AddMembers, directory.RemoveMembers} {
		for _, mode := range []directory.Mode{directory.Each, directory.EachAlone} {
			a, err := b.ChangeMemberships(ctx, b.p, directory.Batch{Mode: mode, Runs: []directory.BatchRun{{Do: do, Members: refs, Groups: groups}}})
			for i, r := range ok(t, a, err).Runs[0].Items {
				g, m := i/len(refs), i%len(refs)
				seen := g < 2 && (m < 2 || m == 7)
				problem := directory.ErrNoUser
				if m > 4 || m < 2 {
					problem = directory.ErrNoGroup
				}
				if !seen && (r.Outcome != directory.Bad || r.Problem.Code != problem.Code || r.Edge.Member != 0 && g < 2) {
					t.Errorf("item %d of group %d comes to %v, %v", m, g, r.Outcome, r.Problem)
				}
				if seen && r.Outcome == directory.Bad && r.Problem.Code != "group.cycle" {
					t.Errorf("item %d of group %d is refused: %v", m, g, r.Problem)
				}
			}
			for _, u := range []directory.User{b.insider, b.nested} { // back to where they were
				b.add(b.mine, member(u), directory.Standing{})
			}
		}
	}
	for i, g := range groups {
		a, err := b.UpdateMembers(ctx, b.p, directory.MembersUpdate{Group: g, Members: refs, Patch: directory.StandingPatch{Reason: ptr("seen")}})
		if i > 1 {
			if code(err) != "group.unknown" {
				t.Errorf("group %d is updated: %v", i, err)
			}
			continue
		}
		for m, s := range ok(t, a, err) {
			seen := m < 2 || m == 7
			if seen == (s.Outcome == directory.Bad) || !seen && (s.Edge.Member != 0 || s.Membership.Serial != 0) || s.Membership.AddedBy.Name != "" {
				t.Errorf("the update of item %d in group %d comes to %+v", m, i, s)
			}
		}
	}
	// A condition about who is beyond the bound is one about nobody.
	for who, user := range b.everybody() {
		for what, group := range b.everything() {
			is := (who == "insider" || who == "nested") && (what == "mine" || what == "ours")
			if is {
				continue // whether they are depends on what came before
			}
			_, err := b.ChangeMemberships(ctx, b.p, directory.Batch{Require: []directory.Require{{User: user, Group: group, Member: true}}})
			_, otherwise := b.ChangeMemberships(ctx, b.p, directory.Batch{Require: []directory.Require{{User: user, Group: group}}})
			if code(err) != "precondition.failed" || otherwise != nil {
				t.Errorf("a condition that %s is in %s: %v, and that not: %v", who, what, err, otherwise)
			}
		}
	}
	for _, g := range []directory.Group{b.other, b.inner} {
		if _, err := b.ChangeMemberships(ctx, b.p, directory.Batch{Require: []directory.Require{{Group: directory.ByGroup(g.ID), Version: g.Version}}}); code(err) != "precondition.failed" {
			t.Errorf("a condition on a version beyond the bound: %v", err)
		}
	}
}
