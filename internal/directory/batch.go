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
// earlier one did: a replacement takes out who is there when it is its turn, and
// none whom a group holds that holds every user. In the mode [Atomic] Items of an error counts through all
// runs. It needs [WriteMembers] and whatever the groups confer; a dry run and a
// condition tell who is in what, so they need [ReadMembers] too, and a condition
// on a version [ReadGroups]. A dry run does not heed [Principal.Once].
//
// It heeds [Within], but for a dry run: a replacement leaves what is beyond the
// bound, as it leaves what is not there.
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
	if in.DryRun {
		p.Once = nil // nothing is written, an answer to keep included
	} else {
		p = p.heeding()
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
	userNumbers, err := t.usersIn(t.Writer, users)
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
	runs  []run
	names []id.Number // the groups named, whoever is put into them
	left  int         // memberships that replacements have taken out so far
	out   BatchResult

	rehearsed bool
}

// run is a run of a batch whose refs are resolved.
type run struct {
	do    BatchDo
	items []item

	// Of a replacement: the groups, or the members, that shall have no other.
	groups  []id.Number
	members []id.Member
}

// resolve finds everybody whom the batch names. Whom a replacement takes out is
// found when it is its turn, see [batch.replaced].
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
		resolved := run{do: r.Do, items: items}
		switch {
		case r.Do != ReplaceMembers && r.Do != ReplaceGroups:
		case len(r.Pairs) > 0:
			return nil, invalid("replace.pairs", "pairs", "A replacement names members and groups, not pairs.")
		case r.Do == ReplaceMembers:
			resolved.groups = known(gs)
		default:
			for _, m := range ms {
				if m.problem == nil {
					resolved.members = append(resolved.members, m.edge.Member)
				}
			}
		}
		b.runs = append(b.runs, resolved)
		b.names = append(b.names, known(gs)...)
	}
	return b, nil
}

// others returns the edges, at most limit of them, that stand at this moment where
// a replacement leaves none but its own.
func (b *batch) others(r run, limit int) ([]Edge, error) {
	if len(r.groups)+len(r.members) == 0 {
		return nil, nil
	}
	named := make(map[id.Member]bool, len(r.members))
	for _, m := range r.members {
		named[m] = true
	}
	stays := make(map[Edge]bool, len(r.items))
	for _, i := range r.items {
		stays[i.edge] = true
	}
	// Enough at once, unless much of it is beyond the principal's bound.
	for most := limit + len(r.items); ; most *= 2 {
		edges, err := b.t.Writer.Edges(r.groups, r.members, most)
		if err != nil {
			return nil, err
		}
		end := len(edges) < most
		sees, err := b.t.sight(edges, func(m id.Member) bool { return named[m] })
		if err != nil {
			return nil, err
		}
		edges = slices.DeleteFunc(edges, func(e Edge) bool { return stays[e] || !sees(e) })
		if end || len(edges) >= limit {
			return edges[:min(len(edges), limit)], nil
		}
	}
}

// replaced returns what a replacement takes out as things stand.
func (b *batch) replaced(r run) ([]item, error) {
	edges, err := b.others(r, MaxBatch+1)
	if err != nil {
		return nil, err
	}
	if b.left += len(edges); b.left > MaxBatch {
		return nil, &Error{Kind: TooLarge, Code: "batch.large", Detail: fmt.Sprintf("That would take out more than %d memberships.", MaxBatch)}
	}
	left := make([]item, len(edges))
	for i, e := range edges {
		left[i].edge = e
	}
	return left, nil
}

// touched returns every edge that the batch may change, before it changes any.
// What a replacement will find, when it is its turn, stands now or is an item of
// a run before it. One that could find more than are looked at here is refused:
// items take out MaxBatch at most, and so do replacements.
func (b *batch) touched() ([]Edge, error) {
	var touched []Edge
	for _, r := range b.runs {
		others, err := b.others(r, 3*MaxBatch+1)
		if err != nil {
			return nil, err
		}
		touched = append(append(touched, edgesIn(r.items)...), others...)
	}
	return touched, nil
}

// change carries out the runs, one after the other, and keeps an administrator
// to the whole and not to each of them.
func (b *batch) change() error {
	if b.in.Mode == Atomic {
		var all []item
		for _, r := range b.runs {
			all = append(all, r.items...)
		}
		if err := refused(all, nil); err != nil {
			return err
		}
	}
	groups := slices.Clone(b.names)
	anywhere := false // may a member be taken out of groups that are not named
	for _, r := range b.runs {
		groups = append(groups, groupsAmong(edgesIn(r.items))...)
		anywhere = anywhere || len(r.members) > 0
		if b.in.Mode == EachAlone {
			if err := b.t.refuseItems(r.items); err != nil {
				return err
			}
		}
	}
	// Of the groups that a replacement takes somebody out of, it is asked when
	// they are known: when it is carried out.
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
	return b.t.keepingAdmin(admin || anywhere, func() error {
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
	for _, r := range b.runs {
		items := slices.Clone(r.items)
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
		before += len(r.items)
	}
	return &about
}

func (b *batch) run() error {
	var everyone func(id.Number) bool
	if slices.ContainsFunc(b.runs, func(r run) bool { return r.do != AddMembers }) {
		var err error
		if everyone, err = b.t.everyone(); err != nil {
			return err
		}
	}
	before := 0
	for i, in := range b.in.Runs {
		r := b.runs[i]
		add, remove := r.items, []item(nil)
		if r.do == RemoveMembers {
			add, remove = nil, keepEveryone(r.items, everyone, len(r.items))
		} else {
			left, err := b.replaced(r)
			if err != nil {
				return err
			}
			remove = keepEveryone(left, everyone, 0)
		}
		results, err := b.t.change(add, remove, b.in.Mode, in.Standing, in.Keep)
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
		out := RunResult{Items: results[:len(r.items)]}
		for _, x := range results[len(r.items):] {
			if x.Outcome == Removed {
				out.Left = append(out.Left, x.Edge)
			}
		}
		b.out.Runs = append(b.out.Runs, out)
		before += len(r.items)
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
