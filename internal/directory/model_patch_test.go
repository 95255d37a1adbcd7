package directory_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"roster/internal/directory"
	"roster/internal/id"
)

// updateMembers changes in part how members stand.
func (m *machine) updateMembers(t *rapid.T) {
	g := m.group(t)
	in := directory.MembersUpdate{Group: m.ref(t, true, g), Atomic: rapid.Bool().Draw(t, "atomic")}
	var want []wanted
	in.Members, want = m.membersOf(t, "update", g)
	for _, n := range slices.Sorted(maps.Keys(m.o.users)) { // who stands there is rare among all
		e := directory.Edge{Group: g, Member: id.UserMember(n)}
		if _, stands := m.o.edges[e]; stands && rapid.Bool().Draw(t, "one who stands there") {
			in.Members, want = append(in.Members, directory.MemberRef{Ref: m.ref(t, false, n)}), append(want, wanted{edge: e})
		}
	}
	date := func(what string) *time.Time {
		if rapid.Bool().Draw(t, what+" stays") {
			return nil
		}
		at := m.moment(t, what)
		return &at
	}
	in.Patch.From, in.Patch.Until = date("from"), date("until")
	if rapid.Bool().Draw(t, "patch reason") {
		in.Patch.Reason = ptr(rapid.SampledFrom([]string{"", "why", "because"}).Draw(t, "reason"))
	}
	if rapid.Bool().Draw(t, "patch role") {
		in.Patch.Role = ptr(rapid.SampledFrom([]directory.Role{directory.RoleMember, directory.RoleManager}).Draw(t, "role"))
	}
	stand := make([]directory.Standing, len(want)) // of those that do
	a, err := m.d.UpdateMembers(ctx, m.p, in)
	says := m.o.change(m.d.Now(), func(next *oracle, at time.Time) (bool, error) {
		if f, u := in.Patch.From, in.Patch.Until; f != nil && u != nil && !f.IsZero() && !u.IsZero() && !f.Before(*u) {
			return false, &directory.Error{Code: "validity.empty"}
		}
		if _, ok := next.groups[g]; !ok {
			return false, directory.ErrNoGroup
		}
		changed := false
		before := m.o.clone()
		for i := range want {
			w := &want[i]
			was, stands := before.edges[w.edge]
			is := was
			if in.Patch.From != nil {
				is.From = *in.Patch.From
			}
			if in.Patch.Until != nil {
				is.Until = *in.Patch.Until
			}
			if in.Patch.Reason != nil {
				is.Reason = *in.Patch.Reason
			}
			if in.Patch.Role != nil {
				is.Role = *in.Patch.Role
			}
			stands = stands && !ended(was, at)
			if w.code == "" && stands && !is.From.IsZero() && !is.Until.IsZero() && !is.From.Before(is.Until) {
				w.code = "validity.empty"
			}
			switch {
			case w.code != "" && in.Atomic:
				return false, &directory.Error{Code: w.code}
			case w.code != "":
				w.out = directory.Bad
			case !stands && in.Atomic:
				return false, directory.ErrNoMembership
			case !stands:
				w.out = directory.Absent
			case next.edges[w.edge] == is:
				w.out, stand[i] = directory.Already, is
			default:
				w.out, stand[i], next.edges[w.edge], changed = directory.Updated, is, is, true
			}
		}
		return changed, nil
	})
	if !compare(t, fmt.Sprintf("UpdateMembers of %+v at %v", in, m.now()), err, says) {
		return
	}
	got := make([]directory.Result, len(a.Value))
	for i, s := range a.Value {
		got[i] = s.Result
		if s.Membership.Standing != stand[i] || s.Holds != (s.Membership.Serial != 0 && stand[i].HoldsAt(m.now())) {
			t.Fatalf("UpdateMembers says that item %d stands as %+v, want %+v", i, s.Membership, stand[i])
		}
		if s.Outcome != directory.Updated && s.Outcome != directory.Already {
			continue
		}
		one, err := m.d.Membership(ctx, m.p, in.Group, in.Members[i])
		if diff := gocmp.Diff(one.Value, s.Membership, cmpopts.IgnoreFields(directory.Membership{}, "AddedAt", "AddedBy", "AddedDialect")); err != nil || diff != "" {
			t.Fatalf("UpdateMembers says otherwise than Membership of item %d (%v; -want +got):\n%s", i, err, diff)
		}
	}
	results(t, "UpdateMembers", got, want)
}
