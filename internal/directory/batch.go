package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"roster/internal/id"
)

// MaxRuns is how many runs one batch may have.
const MaxRuns = 100

// BatchDo says what a run of a batch does.
type BatchDo uint8

// What a run does. The replacements also take out who is in the groups and not
// among the members, or the members out of where they are and that is not among
// the groups.
const (
	AddMembers BatchDo = iota + 1
	RemoveMembers
	ReplaceMembers
	ReplaceGroups
)

// BatchRun is a run of items of one kind: every one of Members in every one of
// Groups, group by group, and then the Pairs, each in the order given.
type BatchRun struct {
	Do       BatchDo
	Members  []MemberRef
	Groups   []Ref
	Pairs    []Pair
	Standing Standing // of those added
	Keep     bool     // as in [MembersChange]
}

// Pair is a member and a group.
type Pair struct {
	Member MemberRef
	Group  Ref
}

func (r BatchRun) len() int { return len(r.Members)*len(r.Groups) + len(r.Pairs) }

// Require is what must be so for a batch to be carried out: that the user is, or
// is not, in the group at that moment, directly or through groups; or, with a
// Version, that the group is at it.
type Require struct {
	User    Ref
	Group   Ref
	Member  bool
	Version int64
}

// Batch asks to change memberships of many members in many groups, run by run,
// in one transaction.
type Batch struct {
	Runs    []BatchRun
	Mode    Mode
	Require []Require // the first that does not hold is [Stale]

	// DryRun changes nothing, and says what the batch would come to.
	DryRun bool
}

// BatchResult says what became of each item, run by run. Left are those that a
// replacement took out. Effects is set by a dry run alone.
type BatchResult struct {
	Runs    []RunResult
	Effects *Effects

	// Users and Groups are those in Left and in Effects.
	Users  map[id.Number]User
	Groups map[id.Number]Group
}

// RunResult is what became of each item of a run, in order.
type RunResult struct {
	Items []Result
	Left  []Edge
}

// errRehearsed undoes what a dry run did.
var errRehearsed = errors.New("a dry run")

// ChangeMemberships carries out a batch: at most [MaxBatch] items, and as many
// memberships taken out by replacements, in a number of statements that depends
// on how many runs there are and not on how long these are. A later run sees what an
// earlier one did. In the mode [Atomic] Items of an error counts through all
// runs. It needs [WriteMembers] and whatever the groups confer; a dry run and a
// condition tell who is in what, so they need [ReadMembers] too, and a condition
// on a version [ReadGroups].
func (d *Directory) ChangeMemberships(ctx context.Context, p Principal, in Batch) (Answer[BatchResult], error) {
	items, named := 0, 0
	for _, r := range in.Runs {
		items += r.len()
		named += max(len(r.Members), len(r.Groups)) // also of a run that comes to no items
		if err := checkBatch(max(items, named), r.Standing); err != nil {
			return Answer[BatchResult]{}, err
		}
	}
	switch {
	case len(in.Runs) > MaxRuns || len(in.Require) > MaxChecks:
		return Answer[BatchResult]{}, &Error{Kind: TooLarge, Code: "batch.large", Detail: fmt.Sprintf("A batch has at most %d operations and %d conditions.", MaxRuns, MaxChecks)}
	case in.DryRun && in.Mode == EachAlone:
		return Answer[BatchResult]{}, invalid("mode.dry", "dry_run", "A dry run cannot find out what each item alone would come to.")
	}
	return write(ctx, d, p, in.needs(), func(t *tx) (BatchResult, error) {
		if err := t.require(in.Require); err != nil {
			return BatchResult{}, err
		}
		b, err := t.resolve(in)
		if err != nil {
			return BatchResult{}, err
		}
		if in.DryRun {
			err := t.rehearse(b)
			return b.out, err
		}
		if err := b.change(); err != nil {
			return b.out, err
		}
		err = b.named()
		return b.out, err
	})
}

func (in Batch) needs() Grants {
	need := WriteMembers
	if in.DryRun {
		need |= ReadMembers
	}
	for _, r := range in.Require {
		if r.Version != 0 {
			need |= ReadGroups
		} else {
			need |= ReadMembers
		}
	}
	return need
}

// require refuses if something required does not hold.
func (t *tx) require(list []Require) error {
	var edges []Edge
	users, groups := make([]Ref, len(list)), make([]Ref, len(list))
	for i, r := range list {
		users[i], groups[i] = r.User, r.Group
	}
	userNumbers, err := t.Writer.UserNumbers(users)
	if err != nil {
		return err
	}
	groupNumbers, err := t.groupNumbers(groups)
	if err != nil {
		return err
	}
	for i, r := range list {
		switch {
		case groupNumbers[i] == Ambiguous:
			return within(i, ErrAmbiguous)
		case r.Version == 0 && userNumbers[i] != Ambiguous:
			edges = append(edges, Edge{Group: groupNumbers[i], Member: id.UserMember(userNumbers[i])})
		}
	}
	yes, err := t.Writer.Checks(edges, t.At())
	if err != nil {
		return err
	}
	in := make(map[Edge]bool, len(yes))
	for _, e := range yes {
		in[e] = true
	}
	found, err := t.Writer.Groups(known(groupNumbers))
	if err != nil {
		return err
	}
	versions := make(map[id.Number]int64, len(found))
	for _, g := range found {
		versions[g.Number] = g.Version
	}
	for i, r := range list {
		g := groupNumbers[i]
		holds := in[Edge{Group: g, Member: id.UserMember(userNumbers[i])}] == r.Member
		if r.Version != 0 {
			holds = versions[g] == r.Version
		}
		if !holds {
			return within(i, &Error{Kind: Stale, Code: "precondition.failed", Detail: "What the batch requires is not so."})
		}
	}
	return nil
}

// within says which of the conditions an error is about.
func within(i int, e *Error) *Error {
	about := *e
	about.Field = fmt.Sprintf("require.%d", i)
	about.Items = []int{i}
	return &about
}

// batch is a batch whose refs are resolved.
type batch struct {
	t     *tx
	in    Batch
	runs  [][]item
	left  [][]item    // what replacements take out
	names []id.Number // the groups named, whoever is put into them
	out   BatchResult

	rehearsed bool
}

// resolve finds everybody whom the batch names, and whom it replaces.
func (t *tx) resolve(in Batch) (*batch, error) {
	b := &batch{t: t, in: in}
	var members []MemberRef
	var groups []Ref
	for _, r := range in.Runs {
		members, groups = append(members, r.Members...), append(groups, r.Groups...)
		for _, p := range r.Pairs {
			members, groups = append(members, p.Member), append(groups, p.Group)
		}
	}
	who, err := t.members(members)
	if err != nil {
		return nil, err
	}
	where, err := t.groupNumbers(groups)
	if err != nil {
		return nil, err
	}
	take := func(m, g int) (ms []item, gs []id.Number) {
		ms, who, gs, where = who[:m], who[m:], where[:g], where[g:]
		return ms, gs
	}
	join := func(m item, g id.Number) item {
		if m.edge.Group = g; m.problem == nil {
			m.problem = missing(g, true)
		}
		return m
	}
	for _, r := range in.Runs {
		items := make([]item, 0, r.len())
		ms, gs := take(len(r.Members), len(r.Groups))
		for _, g := range gs {
			for _, m := range ms {
				items = append(items, join(m, g))
			}
		}
		pairMembers, pairGroups := take(len(r.Pairs), len(r.Pairs))
		for i := range r.Pairs {
			items = append(items, join(pairMembers[i], pairGroups[i]))
		}
		left, err := t.replaced(r, ms, gs, items)
		if err != nil {
			return nil, err
		}
		b.runs, b.left = append(b.runs, items), append(b.left, left)
		b.names = append(b.names, known(gs)...)
	}
	return b, nil
}

// replaced returns what a replacement takes out.
func (t *tx) replaced(r BatchRun, members []item, groups []id.Number, items []item) ([]item, error) {
	if r.Do != ReplaceMembers && r.Do != ReplaceGroups {
		return nil, nil
	}
	if len(r.Pairs) > 0 {
		return nil, invalid("replace.pairs", "pairs", "A replacement names members and groups, not pairs.")
	}
	var whose []id.Member
	for _, m := range members {
		if m.problem == nil && r.Do == ReplaceGroups {
			whose = append(whose, m.edge.Member)
		}
	}
	if r.Do == ReplaceGroups {
		groups = nil
	}
	edges, err := t.Writer.Edges(known(groups), whose, MaxBatch+len(items)+1)
	if err != nil {
		return nil, err
	}
	stays := make(map[Edge]bool, len(items))
	for _, i := range items {
		stays[i.edge] = true
	}
	var left []item
	for _, e := range edges {
		if !stays[e] && t.p.sees(e.Group) {
			left = append(left, item{edge: e})
		}
	}
	if len(left) > MaxBatch {
		return nil, &Error{Kind: TooLarge, Code: "batch.large", Detail: fmt.Sprintf("That would take out more than %d memberships.", MaxBatch)}
	}
	return left, nil
}

// change carries out the runs, one after the other, and keeps an administrator
// to the whole and not to each of them.
func (b *batch) change() error {
	if b.in.Mode == Atomic {
		var all []item
		for _, items := range b.runs {
			all = append(all, items...)
		}
		if err := refused(all, nil); err != nil {
			return err
		}
	}
	var groups []id.Number
	for i := range b.runs {
		groups = append(groups, groupsAmong(edgesIn(b.runs[i]), edgesIn(b.left[i]))...)
		if b.in.Mode == EachAlone {
			if err := b.t.refuseItems(b.runs[i]); err != nil {
				return err
			}
		}
	}
	groups = append(groups, b.names...)
	if err := b.t.mayRule(groups...); err != nil && b.in.Mode != EachAlone {
		return b.blame(err)
	}
	admin, err := b.t.conferAdmin(groups...)
	if err != nil {
		return err
	}
	if b.in.Mode == EachAlone {
		return b.run() // each try keeps one itself
	}
	return b.t.keepingAdmin(admin, func() error {
		b.t.keeps = true
		defer func() { b.t.keeps = false }()
		return b.run()
	})
}

// blame names the items whose groups confer more than the principal holds.
func (b *batch) blame(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind != Forbidden {
		return err
	}
	about := *e
	before := 0
	for _, run := range b.runs {
		items := slices.Clone(run)
		for n := range items {
			items[n].problem = nil
		}
		if err := b.t.refuseItems(items); err != nil {
			return err
		}
		for n, i := range items {
			if i.problem != nil {
				about.Items = append(about.Items, before+n)
			}
		}
		before += len(run)
	}
	return &about
}

func (b *batch) run() error {
	before := 0
	for i, r := range b.in.Runs {
		add, remove := b.runs[i], b.left[i]
		if r.Do == RemoveMembers {
			add, remove = nil, b.runs[i]
		}
		results, err := b.t.change(add, remove, b.in.Mode, r.Standing, r.Keep)
		if e, ok := errors.AsType[*Error](err); ok && len(e.Items) > 0 {
			about := *e
			about.Items = make([]int, len(e.Items))
			for n, at := range e.Items {
				about.Items[n] = before + at
			}
			return &about
		}
		if err != nil {
			return err
		}
		out := RunResult{Items: results[:len(b.runs[i])]}
		for _, r := range results[len(b.runs[i]):] {
			if r.Outcome == Removed {
				out.Left = append(out.Left, r.Edge)
			}
		}
		b.out.Runs = append(b.out.Runs, out)
		before += len(b.runs[i])
	}
	return nil
}

// named looks up who is in Left and in Effects.
func (b *batch) named() error {
	var users, groups []id.Number
	note := func(e Edge) {
		if u, ok := e.Member.User(); ok {
			users = append(users, u)
		} else if g, ok := e.Member.Group(); ok {
			groups = append(groups, g)
		}
		groups = append(groups, e.Group)
	}
	for _, r := range b.out.Runs {
		for _, e := range r.Left {
			note(e)
		}
	}
	if b.out.Effects != nil {
		for _, c := range b.out.Effects.Changes {
			note(c.Edge)
		}
	}
	us, err := b.t.Writer.Users(users)
	if err != nil {
		return err
	}
	gs, err := b.t.Writer.Groups(groups)
	b.out.Users, b.out.Groups = make(map[id.Number]User, len(us)), make(map[id.Number]Group, len(gs))
	for _, u := range us {
		b.out.Users[u.Number] = u
	}
	for _, g := range gs {
		b.out.Groups[g.Number] = g
	}
	return err
}
