package directory_test

import (
	"slices"
	"strings"
	"testing"

	"roster/internal/directory"
	"roster/internal/id"
)

func TestAReplacementTakesOutWhoIsThereWhenItIsItsTurn(t *testing.T) {
	for _, c := range []struct {
		what string
		runs func(b *replacing) []directory.BatchRun
		want string // who is in a, and in b
		left int    // how many the last run takes out
	}{
		{"whom an earlier run added is taken out", func(b *replacing) []directory.BatchRun {
			return []directory.BatchRun{b.run(directory.AddMembers, "bob", "a"), b.run(directory.ReplaceMembers, "cid", "a")}
		}, "cid/", 2},
		{"whom an earlier run took out is not there any more", func(b *replacing) []directory.BatchRun {
			return []directory.BatchRun{b.run(directory.RemoveMembers, "ann", "a"), b.run(directory.ReplaceMembers, "cid", "a")}
		}, "cid/", 0},
		{"of two replacements of a group the second counts", func(b *replacing) []directory.BatchRun {
			return []directory.BatchRun{b.run(directory.ReplaceMembers, "bob", "a"), b.run(directory.ReplaceMembers, "cid", "a")}
		}, "cid/", 1},
		{"of two replacements of a member's groups the second counts", func(b *replacing) []directory.BatchRun {
			return []directory.BatchRun{b.run(directory.ReplaceGroups, "bob", "a"), b.run(directory.ReplaceGroups, "bob", "b")}
		}, "ann/bob", 1},
		{"one of a group and one of a member's groups meet", func(b *replacing) []directory.BatchRun {
			return []directory.BatchRun{b.run(directory.ReplaceMembers, "bob", "b"), b.run(directory.ReplaceGroups, "bob", "a")}
		}, "ann bob/", 1},
		{"who is added again after it stays", func(b *replacing) []directory.BatchRun {
			return []directory.BatchRun{b.run(directory.ReplaceMembers, "bob", "a"), b.run(directory.AddMembers, "ann", "a"), b.run(directory.ReplaceMembers, "bob", "b")}
		}, "ann bob/bob", 0},
	} {
		for _, mode := range []directory.Mode{directory.Atomic, directory.Each, directory.EachAlone} {
			b := newReplacing(t)
			in := directory.Batch{Mode: mode, Runs: c.runs(b)}
			if mode != directory.EachAlone {
				before := b.state()
				in.DryRun = true
				dry, err := b.ChangeMemberships(ctx, b.admin, in)
				last := ok(t, dry, err).Runs[len(in.Runs)-1]
				if len(last.Left) != c.left || b.state() != before {
					t.Errorf("%s, rehearsed in mode %d: the last run would take out %v", c.what, mode, last.Left)
				}
				b.effects(c.what, dry.Value.Effects, before, c.want)
				in.DryRun = false
			}
			a, err := b.ChangeMemberships(ctx, b.admin, in)
			last := ok(t, a, err).Runs[len(in.Runs)-1]
			if got := b.state(); got != c.want || len(last.Left) != c.left {
				t.Errorf("%s, in mode %d: it comes to %q and the last run takes out %v; want %q and %d", c.what, mode, got, last.Left, c.want, c.left)
			}
		}
	}
}

// replacing is a tenant with the groups a and b and the users ann, who is in a,
// bob and cid.
type replacing struct {
	*world
	users  map[string]directory.User
	groups map[string]directory.Group
}

func newReplacing(t *testing.T) *replacing {
	w := newWorld(t)
	b := &replacing{world: w, users: map[string]directory.User{}, groups: map[string]directory.Group{"a": w.group("a", 0), "b": w.group("b", 0)}}
	b.users["ann"], b.users["bob"], b.users["cid"] = w.user("ann", b.groups["a"]), w.user("bob"), w.user("cid")
	return b
}

func (b *replacing) run(do directory.BatchDo, user, group string) directory.BatchRun {
	return directory.BatchRun{Do: do, Members: []directory.MemberRef{member(b.users[user])}, Groups: []directory.Ref{directory.ByGroup(b.groups[group].ID)}}
}

// state is who is in a, and who is in b.
func (b *replacing) state() string {
	text := ""
	for _, g := range []string{"a", "b"} {
		for _, u := range []string{"ann", "bob", "cid"} {
			in, err := b.IsMember(ctx, b.admin, directory.Check{User: directory.ByUser(b.users[u].ID), Group: directory.ByGroup(b.groups[g].ID)})
			if ok(b.t, in, err) {
				if text != "" && text[len(text)-1] != '/' {
					text += " "
				}
				text += u
			}
		}
		if g == "a" {
			text += "/"
		}
	}
	return text
}

// effects compares what a dry run says with the two states.
func (b *replacing) effects(what string, got *directory.Effects, before, after string) {
	b.t.Helper()
	in := func(state, user, group string) bool {
		a, b, _ := strings.Cut(state, "/")
		return slices.Contains(strings.Fields(map[string]string{"a": a, "b": b}[group]), user)
	}
	n := 0
	for user, u := range b.users {
		for group, g := range b.groups {
			was, is := in(before, user, group), in(after, user, group)
			if was == is {
				continue
			}
			n++
			if !slices.ContainsFunc(got.Changes, func(c directory.Effect) bool {
				return c.Edge == (directory.Edge{Group: g.Number, Member: id.UserMember(u.Number)}) && c.Gained == is
			}) {
				b.t.Errorf("%s: a dry run does not say that %s in %s becomes %v: %+v", what, user, group, is, got.Changes)
			}
		}
	}
	if len(got.Changes) != n || !got.Complete {
		b.t.Errorf("%s: a dry run says %+v, want %d changes", what, got, n)
	}
}

func TestAReplacementIsRefusedWhatItsTurnWouldTakeFromThePrivileged(t *testing.T) {
	w := newWorld(t)
	admins, plain := w.group("admins", directory.Admin), w.group("plain", 0)
	root := w.user("root", admins)
	other := w.user("other")
	helpdesk := w.group("helpdesk", directory.ReadAll|directory.WriteMembers)
	mallory := w.as(w.user("mallory", helpdesk))
	out := directory.BatchRun{Do: directory.ReplaceGroups, Members: []directory.MemberRef{member(root)}, Groups: []directory.Ref{directory.ByGroup(plain.ID)}}
	in := directory.BatchRun{Do: directory.AddMembers, Members: []directory.MemberRef{member(other)}, Groups: []directory.Ref{directory.ByGroup(admins.ID)}}
	gone := directory.BatchRun{Do: directory.ReplaceGroups, Members: []directory.MemberRef{member(other)}, Groups: []directory.Ref{directory.ByGroup(plain.ID)}}
	for _, mode := range []directory.Mode{directory.Atomic, directory.Each} {
		for _, dry := range []bool{false, true} {
			change := func(p directory.Principal, runs ...directory.BatchRun) error {
				return drop(w.ChangeMemberships(ctx, p, directory.Batch{Mode: mode, DryRun: dry, Runs: runs}))
			}
			w.refused("taking an administrator out of groups that are not named", directory.Forbidden, func() error { return change(mallory, gone, out) })
			w.refused("taking the last administrator out", directory.Conflict, func() error { return change(w.admin, out) })
			// Whom an earlier run makes an administrator a later one unmakes.
			w.refused("taking both administrators out", directory.Conflict, func() error { return change(w.admin, in, out, gone) })
			if dry {
				if err := change(w.admin, in, out); err != nil {
					t.Errorf("another administrator is there when the first is taken out: %v", err)
				}
			}
		}
	}
	a, err := w.ChangeMemberships(ctx, mallory, directory.Batch{Mode: directory.EachAlone, Runs: []directory.BatchRun{out}})
	if left := ok(t, a, err).Runs[0].Left; len(left) != 0 || !w.holds(t, root, w.Now()).Has(directory.Admin) {
		t.Errorf("line by line a helpdesk takes out %v", left)
	}
}

func TestABatchLeavesEverybodyInTheGroupOfEverybody(t *testing.T) {
	w := newWorld(t)
	all, err := w.CreateGroup(ctx, w.admin, directory.NewGroup{Name: "all", Joins: directory.Joins{Everyone: true}})
	everyone := ok(t, all, err)
	other := w.group("other", 0)
	ann := w.user("ann", other)
	who, where := []directory.MemberRef{member(ann)}, []directory.Ref{directory.ByGroup(everyone.ID)}
	for _, mode := range []directory.Mode{directory.Each, directory.EachAlone} {
		a, err := w.ChangeMemberships(ctx, w.admin, directory.Batch{Mode: mode, Runs: []directory.BatchRun{
			{Do: directory.RemoveMembers, Members: who, Groups: append(where, directory.ByGroup(other.ID))},
			{Do: directory.ReplaceMembers, Groups: where},
			{Do: directory.ReplaceGroups, Members: who},
		}})
		runs := ok(t, a, err).Runs
		if r := runs[0].Items; r[0].Outcome != directory.Bad || r[0].Problem.Code != "group.everyone" || r[1].Outcome == directory.Bad {
			t.Errorf("in mode %d taking ann out of the group of everybody comes to %+v", mode, r)
		}
		if len(runs[1].Left)+len(runs[2].Left) != 0 {
			t.Errorf("in mode %d replacements take out %v and %v", mode, runs[1].Left, runs[2].Left)
		}
	}
	w.refused("taking her out", directory.Conflict, func() error {
		return drop(w.ChangeMemberships(ctx, w.admin, directory.Batch{Runs: []directory.BatchRun{{Do: directory.RemoveMembers, Members: who, Groups: where}}}))
	})
	if got := w.groupsNamed(ann); got != "all" {
		t.Errorf("ann is in %q, want all", got)
	}
}
