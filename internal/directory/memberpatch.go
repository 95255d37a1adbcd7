package directory

import (
	"context"
	"time"

	"roster/internal/id"
)

// StandingPatch says what to change of how members stand; nil fields stay, and the
// zero of a date or a reason clears it.
type StandingPatch struct {
	From   *time.Time
	Until  *time.Time
	Role   *Role
	Reason *string
}

// exact returns the patch with exact dates, and what is wrong with it whoever it is
// of, if anything.
func (p StandingPatch) exact() (StandingPatch, error) {
	for _, date := range []**time.Time{&p.From, &p.Until} {
		if *date != nil {
			at := exact(**date)
			*date = &at
		}
	}
	return p, p.of(Standing{}).Check()
}

// of returns how somebody stands then who stood so.
func (p StandingPatch) of(s Standing) Standing {
	assign(&s.From, p.From)
	assign(&s.Until, p.Until)
	assign(&s.Role, p.Role)
	assign(&s.Reason, p.Reason)
	return s
}

// MembersUpdate asks to change how members of one group stand there, in part.
type MembersUpdate struct {
	Group   Ref
	Members []MemberRef
	Patch   StandingPatch

	// Atomic changes nothing if one of them cannot be changed; who does not stand
	// there is then refused with [ErrNoMembership].
	Atomic bool
}

// Stands is what became of one item of a [MembersUpdate]; and unless it is [Absent]
// or [Bad], and for who holds [ReadMembers], how it stands now, without who added it.
type Stands struct {
	Result
	Membership Membership
	Holds      bool // by its dates
}

// UpdateMembers changes how members of one group stand there, in part: each keeps
// what the patch leaves out. It does so in the transaction that reads how they
// stand, and in a number of statements that does not depend on how many they are.
// Who does not stand there, or has ended by the clock, is [Absent] and not added by
// this. It needs [WriteMembers] and whatever the group confers, and heeds [Within].
func (d *Directory) UpdateMembers(ctx context.Context, p Principal, in MembersUpdate) (Answer[[]Stands], error) {
	patch, err := in.Patch.exact()
	if err == nil {
		err = checkBatch(len(in.Members), Standing{})
	}
	if err != nil {
		return Answer[[]Stands]{}, err
	}
	return write(ctx, d, p.heeding(), WriteMembers, func(t *tx) ([]Stands, error) {
		g, err := t.group(in.Group)
		if err != nil {
			return nil, err
		}
		if err := t.mayRule(g.Number); err != nil { // also when nobody named is in it
			return nil, err
		}
		items, err := t.members(in.Members)
		if err != nil {
			return nil, err
		}
		for i := range items {
			items[i].edge.Group = g.Number
		}
		if dated := patch.of(Standing{}); !dated.From.IsZero() || !dated.Until.IsZero() {
			items = keepEveryone(items, func(id.Number) bool { return g.Joins.Everyone }, len(items)) // nor taken out by a date
		}
		return t.patch(items, patch, in.Atomic)
	})
}

// patch changes how those on the items' edges stand.
func (t *tx) patch(items []item, patch StandingPatch, atomic bool) ([]Stands, error) {
	edges := edgesIn(items)
	standing, err := t.Writer.Standing(edges)
	if err != nil {
		return nil, err
	}
	found := make(map[Edge]*Stands, len(standing))
	var updates []Membership
	for _, m := range standing {
		if !m.Until.IsZero() && !t.At().Before(m.Until) {
			continue // it ended by the clock
		}
		s := &Stands{Result: Result{Outcome: Already, Edge: m.Edge}}
		found[m.Edge] = s
		before := m.Standing
		m.Standing = patch.of(before)
		switch {
		case m.Standing.empty() && patch.Until == nil:
			s.Problem = errEmpty("valid_from")
		case m.Standing.empty():
			s.Problem = errEmpty("valid_until")
		case m.Standing != before:
			s.Outcome = Updated
			updates = append(updates, m)
		}
		s.Membership, s.Holds = m, m.HoldsAt(t.At())
	}
	for n := range items {
		i := &items[n]
		switch s := found[i.edge]; {
		case i.problem != nil:
		case s != nil:
			i.problem = s.Problem
		case atomic:
			i.problem = ErrNoMembership
		}
	}
	if atomic {
		if err := refused(items, nil); err != nil {
			return nil, err
		}
	}
	if err := t.ruling(groupsAmong(edges), func() error { return t.UpdateEdges(updates) }); err != nil {
		return nil, err
	}
	have, err := t.effective()
	if err != nil {
		return nil, err
	}
	results := make([]Stands, len(items))
	for n, i := range items {
		r := &results[n]
		r.Edge, r.Problem = i.edge, i.problem
		switch s := found[i.edge]; {
		case i.problem != nil:
			r.Outcome = Bad
		case s == nil:
			r.Outcome = Absent
		default:
			if s.Outcome == Updated {
				s.Membership.Revision = t.Outcome()
			}
			r.Outcome = s.Outcome
			s.Outcome = Already // of another item for the same
			if have.Has(ReadMembers) {
				r.Membership, r.Holds = s.Membership, s.Holds
			}
		}
	}
	return results, nil
}
