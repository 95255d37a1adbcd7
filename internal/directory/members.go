package directory

import (
	"context"
	"fmt"
	"slices"

	"roster/internal/id"
)

// MaxBatch is how many items one membership batch may carry.
const MaxBatch = 10000

// MemberRef names a user, or a group, to stand in a group.
type MemberRef struct {
	IsGroup bool
	Ref     Ref
}

// Mode says what a batch does when one of its items is wrong.
type Mode uint8

// The modes.
const (
	Atomic    Mode = iota // nothing is done
	Each                  // the others are done
	EachAlone             // so they are if a rule or the store refuses one of the items
)

// Outcome is what became of one item of a batch.
type Outcome uint8

// The outcomes.
const (
	Added Outcome = iota + 1
	Already
	Updated // was a member, and stands otherwise now
	Removed
	Absent
	Bad // is not a member that could be: see [Result.Problem]
)

var outcomeNames = [...]string{"", "added", "already", "updated", "removed", "absent", "invalid"}

// String returns the outcome's name.
func (o Outcome) String() string { return outcomeNames[o] }

// Result is what became of one item: its outcome, who it named, and for [Bad]
// what was wrong.
type Result struct {
	Outcome Outcome
	Edge    Edge
	Problem *Error
}

// MembersChange asks to add members to one group and to remove members from it.
// Additions are made first, so a member that is in both lists ends outside.
type MembersChange struct {
	Group    Ref
	Add      []MemberRef
	Remove   []MemberRef
	Mode     Mode
	Standing Standing // of those added

	// Keep leaves a member who is there already standing as before, except that
	// a membership yet to begin begins now; otherwise the member is made to
	// stand as Standing says.
	Keep bool
}

// MembersResult says what became of each item of a batch, in order.
type MembersResult struct {
	Group  Group
	Add    []Result
	Remove []Result
}

// ChangeMembers adds and removes members of one group in one transaction and a
// number of statements that does not depend on how many. It needs
// [WriteMembers] and whatever the group confers, and heeds [Within].
func (d *Directory) ChangeMembers(ctx context.Context, p Principal, in MembersChange) (Answer[MembersResult], error) {
	if err := checkBatch(len(in.Add)+len(in.Remove), in.Standing); err != nil {
		return Answer[MembersResult]{}, err
	}
	return write(ctx, d, p.heeding(), WriteMembers, func(t *tx) (MembersResult, error) {
		g, err := t.group(in.Group)
		if err != nil {
			return MembersResult{}, err
		}
		if err := t.mayRule(g.Number); err != nil { // also when nobody named can be in it
			return MembersResult{}, err
		}
		items, err := t.members(slices.Concat(in.Add, in.Remove))
		if err != nil {
			return MembersResult{}, err
		}
		for i := range items {
			items[i].edge.Group = g.Number
		}
		add, remove := items[:len(in.Add)], items[len(in.Add):]
		remove = keepEveryone(remove, func(id.Number) bool { return g.Joins.Everyone }, len(remove))
		results, err := t.change(add, remove, in.Mode, in.Standing, in.Keep)
		if err != nil {
			return MembersResult{}, err
		}
		return MembersResult{Group: g, Add: results[:len(add)], Remove: results[len(add):]}, nil
	})
}

// GroupsChange asks to put one member into groups and take it out of groups.
type GroupsChange struct {
	Member   MemberRef
	Add      []Ref
	Remove   []Ref
	Mode     Mode
	Standing Standing
	Keep     bool // as in [MembersChange]

	// Replace takes the member out of every group that is not in Add.
	Replace bool

	// Named asks for what the groups are called.
	Named bool

	// AtMost and AtLeast, unless zero, are how many groups the member may stand
	// in directly when all is done; outside of that nothing is done.
	AtMost, AtLeast int
}

// GroupsResult says what became of each item of a [GroupsChange], in order.
// Left are the groups taken away by Replace; Stuck are those it could not take
// away, in the mode [EachAlone].
type GroupsResult struct {
	Member id.Member
	Add    []Result
	Remove []Result
	Left   []Edge
	Stuck  []Result

	// Named are the groups in all of these, if that was asked for.
	Named map[id.Number]Group
}

// ChangeGroups changes which groups one member stands in, in one transaction and
// a number of statements that does not depend on how many. It needs
// [WriteMembers] and whatever the groups confer, and heeds [Within].
func (d *Directory) ChangeGroups(ctx context.Context, p Principal, in GroupsChange) (Answer[GroupsResult], error) {
	if err := checkBatch(len(in.Add)+len(in.Remove), in.Standing); err != nil {
		return Answer[GroupsResult]{}, err
	}
	return write(ctx, d, p.heeding(), WriteMembers, func(t *tx) (GroupsResult, error) {
		members, err := t.members([]MemberRef{in.Member})
		if err != nil {
			return GroupsResult{}, err
		}
		if members[0].problem != nil {
			return GroupsResult{}, members[0].problem
		}
		member := members[0].edge.Member
		groups, err := t.groupNumbers(slices.Concat(in.Add, in.Remove))
		if err != nil {
			return GroupsResult{}, err
		}
		items := make([]item, len(groups))
		for i, g := range groups {
			items[i] = item{edge: Edge{Group: g, Member: member}, problem: missing(g, true)}
		}
		out := GroupsResult{Member: member}
		add, remove := items[:len(in.Add)], items[len(in.Add):]
		if in.Replace {
			all, err := t.edgesOf(MembershipQuery{Member: member}, everyOne)
			if err != nil {
				return GroupsResult{}, err
			}
			wanted := map[id.Number]bool{}
			for _, i := range add {
				wanted[i.edge.Group] = true
			}
			for _, e := range all {
				if !wanted[e.Group] && p.sees(e.Group) {
					remove = append(remove, item{edge: e})
				}
			}
		}
		if len(remove) > 0 {
			everyone, err := t.everyone()
			if err != nil {
				return GroupsResult{}, err
			}
			remove = keepEveryone(remove, everyone, len(in.Remove))
		}
		results, err := t.change(add, remove, in.Mode, in.Standing, in.Keep)
		if err != nil {
			return GroupsResult{}, err
		}
		named := len(in.Add) + len(in.Remove)
		out.Add, out.Remove = results[:len(add)], results[len(add):named]
		for _, r := range results[named:] {
			switch r.Outcome {
			case Removed:
				out.Left = append(out.Left, r.Edge)
			case Bad:
				out.Stuck = append(out.Stuck, r)
			}
		}
		if in.Named {
			list, err := t.Writer.Groups(groupsAmong(edgesIn(add), edgesIn(remove)))
			if err != nil {
				return GroupsResult{}, err
			}
			out.Named = make(map[id.Number]Group, len(list))
			for _, g := range list {
				out.Named[g.Number] = g
			}
		}
		if in.AtMost == 0 && in.AtLeast == 0 {
			return out, nil
		}
		now, err := t.edgesOf(MembershipQuery{Member: member}, unended(t.At()))
		if err == nil && in.AtMost > 0 && len(now) > in.AtMost && anyOutcome(results, Added) {
			err = conflict("membership.limit", "groups", "A user may be in at most %d groups.", in.AtMost)
		}
		if err == nil && len(now) < in.AtLeast && anyOutcome(results, Removed) {
			err = conflict("membership.minimum", "groups", "A user must stay in at least %d groups.", in.AtLeast)
		}
		return out, err
	})
}

func anyOutcome(results []Result, o Outcome) bool {
	for _, r := range results {
		if r.Outcome == o {
			return true
		}
	}
	return false
}

func checkBatch(n int, s Standing) error {
	if n > MaxBatch {
		return &Error{Kind: TooLarge, Code: "batch.large", Detail: fmt.Sprintf("A batch holds at most %d items.", MaxBatch)}
	}
	return s.Check()
}

// empty reports whether there is no moment at which a membership so dated holds.
func (s Standing) empty() bool {
	return !s.From.IsZero() && !s.Until.IsZero() && !exact(s.From).Before(exact(s.Until))
}

func errEmpty(field string) *Error {
	return invalid("validity.empty", field, "A membership must start before it ends.")
}

// Check says what is wrong with a standing, if anything: every operation that
// takes one refuses it so.
func (s Standing) Check() error {
	if s.empty() {
		return errEmpty("valid_until")
	}
	if err := checkDate("valid_from", s.From); err != nil {
		return err
	}
	if err := checkDate("valid_until", s.Until); err != nil {
		return err
	}
	if err := checkText("source", s.Source, MaxName); err != nil {
		return err
	}
	return checkText("reason", s.Reason, MaxReason)
}

// members resolves who is named, in order, into items without a group. Who is
// beyond the principal's bound is not there.
func (t *tx) members(refs []MemberRef) ([]item, error) {
	var users, groups []Ref
	for _, r := range refs {
		if r.IsGroup {
			groups = append(groups, r.Ref)
		} else {
			users = append(users, r.Ref)
		}
	}
	userNumbers, err := t.Writer.UserNumbers(users)
	if err != nil {
		return nil, err
	}
	groupNumbers, err := t.Writer.GroupNumbers(groups)
	if err != nil {
		return nil, err
	}
	items := make([]item, len(refs))
	for i, r := range refs {
		numbers := &userNumbers
		if r.IsGroup {
			numbers = &groupNumbers
		}
		n := (*numbers)[0]
		*numbers = (*numbers)[1:]
		switch items[i].problem = missing(n, r.IsGroup); {
		case items[i].problem != nil:
		case r.IsGroup:
			items[i].edge.Member = id.GroupMember(n)
		default:
			items[i].edge.Member = id.UserMember(n)
		}
	}
	return items, t.conceal(items)
}

// missing says what is wrong with what a ref was resolved to; nil if nothing is.
func missing(n id.Number, group bool) *Error {
	switch {
	case n == Ambiguous && group:
		return ErrAmbiguous
	case (n == 0 || n == Ambiguous) && group:
		return ErrNoGroup
	case n == 0 || n == Ambiguous:
		return ErrNoUser
	}
	return nil
}
