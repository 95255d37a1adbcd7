package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"roster/internal/id"
	"roster/internal/index"
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
	Atomic Mode = iota // nothing is done
	Each               // the others are done
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
// [WriteMembers] and whatever the group confers.
func (d *Directory) ChangeMembers(ctx context.Context, p Principal, in MembersChange) (Answer[MembersResult], error) {
	if err := checkBatch(len(in.Add)+len(in.Remove), in.Standing); err != nil {
		return Answer[MembersResult]{}, err
	}
	return write(ctx, d, p, WriteMembers, func(t *tx) (MembersResult, error) {
		g, err := t.Writer.Group(in.Group)
		if err != nil {
			return MembersResult{}, err
		}
		if err := t.mayRule(g.Number); err != nil { // also when nobody named can be in it
			return MembersResult{}, err
		}
		members, err := t.members(append(append(make([]MemberRef, 0, len(in.Add)+len(in.Remove)), in.Add...), in.Remove...))
		if err != nil {
			return MembersResult{}, err
		}
		items := make([]item, len(members))
		for i, m := range members {
			items[i].edge = Edge{Group: g.Number, Member: m}
			if m == 0 {
				items[i].problem = ErrNoUser
				if i < len(in.Add) && in.Add[i].IsGroup || i >= len(in.Add) && in.Remove[i-len(in.Add)].IsGroup {
					items[i].problem = ErrNoGroup
				}
			}
		}
		add, remove := items[:len(in.Add)], items[len(in.Add):]
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

	// AtMost and AtLeast, unless zero, are how many groups the member may stand
	// in directly when all is done; outside of that nothing is done.
	AtMost, AtLeast int
}

// GroupsResult says what became of each item of a [GroupsChange], in order.
// Left are the groups taken away by Replace.
type GroupsResult struct {
	Member id.Member
	Add    []Result
	Remove []Result
	Left   []Edge
}

// ChangeGroups changes which groups one member stands in, in one transaction and
// a number of statements that does not depend on how many. It needs
// [WriteMembers] and whatever the groups confer.
func (d *Directory) ChangeGroups(ctx context.Context, p Principal, in GroupsChange) (Answer[GroupsResult], error) {
	if err := checkBatch(len(in.Add)+len(in.Remove), in.Standing); err != nil {
		return Answer[GroupsResult]{}, err
	}
	return write(ctx, d, p, WriteMembers, func(t *tx) (GroupsResult, error) {
		members, err := t.members([]MemberRef{in.Member})
		if err != nil {
			return GroupsResult{}, err
		}
		member := members[0]
		if member == 0 && in.Member.IsGroup {
			return GroupsResult{}, ErrNoGroup
		}
		if member == 0 {
			return GroupsResult{}, ErrNoUser
		}
		groups, err := t.Writer.GroupNumbers(append(append(make([]Ref, 0, len(in.Add)+len(in.Remove)), in.Add...), in.Remove...))
		if err != nil {
			return GroupsResult{}, err
		}
		items := make([]item, len(groups))
		for i, g := range groups {
			items[i].edge = Edge{Group: g, Member: member}
			if g == 0 {
				items[i].problem = ErrNoGroup
			}
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
				if !wanted[e.Group] {
					remove = append(remove, item{edge: e})
				}
			}
		}
		results, err := t.change(add, remove, in.Mode, in.Standing, in.Keep)
		if err != nil {
			return GroupsResult{}, err
		}
		named := len(in.Add) + len(in.Remove)
		out.Add, out.Remove = results[:len(add)], results[len(add):named]
		for _, r := range results[named:] {
			if r.Outcome == Removed {
				out.Left = append(out.Left, r.Edge)
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
	if !s.From.IsZero() && !s.Until.IsZero() && !s.From.Before(s.Until) {
		return invalid("validity.empty", "valid_until", "A membership must start before it ends.")
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

// members resolves who is named, in order, 0 for nobody.
func (t *tx) members(refs []MemberRef) ([]id.Member, error) {
	var users, groups []Ref
	for _, r := range refs {
		if r.IsGroup {
			groups = append(groups, r.Ref)
		} else {
			users = append(users, r.Ref)
		}
	}
	var userNumbers, groupNumbers []id.Number
	var err error
	if len(users) > 0 {
		if userNumbers, err = t.Writer.UserNumbers(users); err != nil {
			return nil, err
		}
	}
	if len(groups) > 0 {
		if groupNumbers, err = t.Writer.GroupNumbers(groups); err != nil {
			return nil, err
		}
	}
	out := make([]id.Member, len(refs))
	for i, r := range refs {
		if r.IsGroup {
			out[i], groupNumbers = id.GroupMember(groupNumbers[0]), groupNumbers[1:]
		} else {
			out[i], userNumbers = id.UserMember(userNumbers[0]), userNumbers[1:]
		}
	}
	return out, nil
}

// item is one edge to be made or ended, or what was wrong with it.
type item struct {
	edge    Edge
	problem *Error
}

// change makes and ends memberships: every way to do so comes through here, so
// the rules are kept here. Results are by item index, additions first.
func (t *tx) change(add, remove []item, mode Mode, s Standing, keep bool) ([]Result, error) {
	s.From, s.Until = exact(s.From), exact(s.Until)
	if err := t.refuseCycles(add); err != nil {
		return nil, err
	}
	if mode == Atomic {
		if err := refused(add, remove); err != nil {
			return nil, err
		}
	}
	wanted, unwanted := edgesIn(add), edgesIn(remove)
	groups := groupsAmong(wanted, unwanted)
	if err := t.mayRule(groups...); err != nil {
		return nil, err
	}
	admin, err := t.conferAdmin(groups...)
	if err != nil {
		return nil, err
	}
	var added, removed map[Edge]Outcome
	err = t.keepingAdmin(admin, func() (err error) {
		if added, err = t.add(wanted, s, keep); err != nil {
			return err
		}
		removed, err = t.remove(unwanted)
		return err
	})
	if err != nil {
		return nil, err
	}
	results := make([]Result, 0, len(add)+len(remove))
	results = report(results, add, added, Already)
	return report(results, remove, removed, Absent), nil
}

// refused returns what the first bad item of an atomic batch says, naming every
// item that says the same; nil if there is none.
func refused(add, remove []item) error {
	var e *Error
	for n := range len(add) + len(remove) {
		var problem *Error
		if n < len(add) {
			problem = add[n].problem
		} else {
			problem = remove[n-len(add)].problem
		}
		switch {
		case problem == nil:
		case e == nil:
			first := *problem
			first.Items = []int{n}
			e = &first
		case e.Code == problem.Code:
			e.Items = append(e.Items, n)
		}
	}
	if e == nil {
		return nil
	}
	return e
}

// edgesIn returns the edges of the items that have one, each once.
func edgesIn(items []item) []Edge {
	edges := make([]Edge, 0, len(items))
	if len(items) == 1 && items[0].problem == nil {
		return append(edges, items[0].edge)
	}
	seen := make(map[Edge]bool, len(items))
	for _, i := range items {
		if i.problem == nil && !seen[i.edge] {
			seen[i.edge] = true
			edges = append(edges, i.edge)
		}
	}
	return edges
}

func groupsAmong(lists ...[]Edge) []id.Number {
	var groups []id.Number
	seen := map[id.Number]bool{}
	for _, edges := range lists {
		for _, e := range edges {
			if !seen[e.Group] {
				seen[e.Group] = true
				groups = append(groups, e.Group)
			}
		}
	}
	return groups
}

// report gives each item the outcome of its edge; the second item of an edge
// finds it done.
func report(results []Result, items []item, outcomes map[Edge]Outcome, done Outcome) []Result {
	for _, i := range items {
		r := Result{Edge: i.edge, Outcome: done, Problem: i.problem}
		if i.problem != nil {
			r.Outcome = Bad
		} else if o, ok := outcomes[i.edge]; ok {
			r.Outcome = o
			delete(outcomes, i.edge)
		}
		results = append(results, r)
	}
	return results
}

// add makes members stand on the edges and says what became of each.
func (t *tx) add(edges []Edge, s Standing, keep bool) (map[Edge]Outcome, error) {
	present, err := t.InsertEdges(edges, s)
	if err != nil {
		return nil, err
	}
	outcomes := make(map[Edge]Outcome, len(edges))
	for _, e := range edges {
		outcomes[e] = Added
	}
	var ended, updates []Edge
	early := map[Standing][]Edge{} // to begin now instead of later
	now := t.At()
	for _, m := range present {
		switch {
		case m.Standing == s:
			outcomes[m.Edge] = Already
		case !m.Until.IsZero() && !now.Before(m.Until):
			ended = append(ended, m.Edge) // by the clock, so this is a new membership
		case keep && !m.From.IsZero() && now.Before(m.From):
			outcomes[m.Edge] = Updated
			begun := m.Standing
			begun.From = time.Time{}
			early[begun] = append(early[begun], m.Edge)
		case keep:
			outcomes[m.Edge] = Already
		default:
			outcomes[m.Edge] = Updated
			updates = append(updates, m.Edge)
		}
	}
	if err := t.DeleteEdges(ended); err != nil {
		return nil, err
	}
	if _, err := t.InsertEdges(ended, s); err != nil {
		return nil, err
	}
	for begun, edges := range early {
		if err := t.UpdateEdges(edges, begun); err != nil {
			return nil, err
		}
	}
	return outcomes, t.UpdateEdges(updates, s)
}

// remove ends the memberships on the edges and says what became of each.
func (t *tx) remove(edges []Edge) (map[Edge]Outcome, error) {
	standing, err := t.Writer.Standing(edges)
	if err != nil {
		return nil, err
	}
	outcomes := make(map[Edge]Outcome, len(standing))
	deletes := make([]Edge, 0, len(standing))
	now := t.At()
	for _, m := range standing {
		deletes = append(deletes, m.Edge)
		if m.Until.IsZero() || now.Before(m.Until) {
			outcomes[m.Edge] = Removed // otherwise it had ended by the clock
		}
	}
	return outcomes, t.DeleteEdges(deletes)
}

// refuseCycles marks the links among the items that would put a group inside
// itself. Links whose dates have passed count: dates can be changed back.
func (t *tx) refuseCycles(add []item) error {
	var parents []id.Number
	for _, i := range add {
		if _, ok := i.edge.Member.Group(); ok && i.problem == nil {
			parents = append(parents, i.edge.Group)
		}
	}
	if len(parents) == 0 {
		return nil
	}
	up, err := t.linksAbove(parents)
	if err != nil {
		return err
	}
	paths := map[int][]id.Number{}
	var met []id.Number
	for n, i := range add {
		child, ok := i.edge.Member.Group()
		if !ok || i.problem != nil {
			continue
		}
		if path := climb(up, i.edge.Group, child); path != nil {
			paths[n] = path
			met = append(met, path...)
			continue
		}
		up[child] = append(up[child], i.edge.Group) // the items after it see it stand
	}
	if len(paths) == 0 {
		return nil
	}
	groups, err := t.Writer.Groups(met)
	if err != nil {
		return err
	}
	names := make(map[id.Number]string, len(groups))
	for _, g := range groups {
		names[g.Number] = g.Name
	}
	for n, path := range paths {
		text := []string{names[path[len(path)-1]]}
		for _, g := range path {
			text = append(text, names[g])
		}
		add[n].problem = conflict("group.cycle", "members", "That would put a group inside itself: %s.", strings.Join(text, " in "))
	}
	return nil
}

// linksAbove returns, for the groups and all that are above them, the groups
// that each stands in: one statement for each level, whatever their number.
func (t *tx) linksAbove(groups []id.Number) (map[id.Number][]id.Number, error) {
	up := map[id.Number][]id.Number{}
	seen := map[id.Number]bool{}
	for level := groups; len(level) > 0; {
		for _, g := range level {
			seen[g] = true
		}
		links, err := t.Writer.Links(level, true)
		if err != nil {
			return nil, err
		}
		level = nil
		for _, l := range links {
			child, _ := l.Member.Group()
			up[child] = append(up[child], l.Group)
			if !seen[l.Group] {
				seen[l.Group] = true
				level = append(level, l.Group)
			}
		}
	}
	return up, nil
}

// climb returns a shortest way from one group up to another, both included; nil
// if there is none.
func climb(up map[id.Number][]id.Number, from, to id.Number) []id.Number {
	came := map[id.Number]id.Number{from: 0}
	for level := []id.Number{from}; len(level) > 0; {
		var next []id.Number
		for _, g := range level {
			if g == to {
				var path []id.Number
				for ; g != 0; g = came[g] {
					path = append(path, g)
				}
				slices.Reverse(path)
				return path
			}
			for _, parent := range up[g] {
				if _, seen := came[parent]; !seen {
					came[parent] = g
					next = append(next, parent)
				}
			}
		}
		level = next
	}
	return nil
}

// Membership finds how one member stands directly in one group, whether or not
// it holds now: [ErrNoMembership] if it does not stand there. It needs
// [ReadMembers].
func (d *Directory) Membership(ctx context.Context, p Principal, group Ref, member MemberRef) (Answer[Membership], error) {
	return view(ctx, d, p, ReadMembers, func(l *look) (Membership, error) {
		var zero Membership
		g, err := l.Group(group)
		if err != nil {
			return zero, err
		}
		q := MembershipQuery{Group: g.Number, Limit: 1}
		var m id.Member
		if member.IsGroup {
			child, err := l.Group(member.Ref)
			if err != nil {
				return zero, err
			}
			m = id.GroupMember(child.Number)
		} else {
			u, err := l.User(member.Ref)
			if err != nil {
				return zero, err
			}
			m = id.UserMember(u.Number)
		}
		q.After = MemberCursor(m) - 1
		list, err := l.Memberships(q)
		if err != nil {
			return zero, err
		}
		if len(list) == 0 || list[0].Member != m {
			return zero, ErrNoMembership
		}
		return list[0], nil
	})
}

// ListMembers asks for a page of a group's members, or (with a Member instead)
// of the groups that a member stands in.
type ListMembers struct {
	Page
	Group  Ref
	Member MemberRef

	// Transitive includes those who are in through groups, and then lists users
	// only (of a group) by ascending number.
	Transitive bool

	// Standing lists everyone who stands there directly, also those whose
	// membership does not hold now and users who are not active.
	Standing bool
}

// MemberOf is one entry of a list of members or of groups. Membership is zero
// if it comes through groups alone.
type MemberOf struct {
	User       *User
	Group      *Group
	Membership Membership
}

// Members lists who is in a group. It needs [ReadMembers].
func (d *Directory) Members(ctx context.Context, p Principal, in ListMembers) (Answer[Found[MemberOf]], error) {
	return view(ctx, d, p, ReadMembers, func(l *look) (Found[MemberOf], error) {
		var none Found[MemberOf]
		g, err := l.Group(in.Group)
		if err != nil {
			return none, err
		}
		limit := in.limit()
		if in.Transitive {
			numbers, err := l.membersAfter(g.Number, in.number(), limit+1)
			if err != nil {
				return none, err
			}
			page := found(numbers, limit, func(n id.Number) int64 { return int64(n) })
			edges := make([]Edge, len(page.Items))
			for i, n := range page.Items {
				edges[i] = Edge{Group: g.Number, Member: id.UserMember(n)}
			}
			items, err := l.describe(edges, false)
			return Found[MemberOf]{Items: items, Next: page.Next}, err
		}
		list, err := l.Memberships(MembershipQuery{Group: g.Number, After: max(in.After, 0), Limit: limit + 1, At: l.unless(in.Standing)})
		if err != nil {
			return none, err
		}
		page := found(list, limit, func(m Membership) int64 { return MemberCursor(m.Member) })
		return l.describeAll(page, false)
	})
}

// GroupsOf lists the groups that a member is in, by ascending number. It needs
// [ReadMembers].
func (d *Directory) GroupsOf(ctx context.Context, p Principal, in ListMembers) (Answer[Found[MemberOf]], error) {
	return view(ctx, d, p, ReadMembers, func(l *look) (Found[MemberOf], error) {
		var none Found[MemberOf]
		var m id.Member
		if in.Member.IsGroup {
			g, err := l.Group(in.Member.Ref)
			if err != nil {
				return none, err
			}
			m = id.GroupMember(g.Number)
		} else {
			u, err := l.User(in.Member.Ref)
			if err != nil {
				return none, err
			}
			m = id.UserMember(u.Number)
			if !in.Standing && !u.ActiveAt(l.now()) {
				return Found[MemberOf]{Items: []MemberOf{}}, nil
			}
		}
		limit := in.limit()
		if in.Transitive {
			numbers, err := l.groupsOf(m)
			if err != nil {
				return none, err
			}
			edges := make([]Edge, 0, limit+1)
			for _, n := range numbers {
				if int64(n) > in.After && len(edges) <= limit {
					edges = append(edges, Edge{Group: n, Member: m})
				}
			}
			page := found(edges, limit, func(e Edge) int64 { return int64(e.Group) })
			items, err := l.describe(page.Items, true)
			return Found[MemberOf]{Items: items, Next: page.Next}, err
		}
		list, err := l.Memberships(MembershipQuery{Member: m, After: max(in.After, 0), Limit: limit + 1, At: l.unless(in.Standing)})
		if err != nil {
			return none, err
		}
		page := found(list, limit, func(m Membership) int64 { return int64(m.Group) })
		return l.describeAll(page, true)
	})
}

// unless is the moment at which memberships must hold, or none at all.
func (l *look) unless(standing bool) time.Time {
	if standing {
		return time.Time{}
	}
	return l.now()
}

// describe looks up who or what is on the far side of the edges: their groups,
// or else their members.
func (l *look) describe(edges []Edge, groups bool) ([]MemberOf, error) {
	list, err := l.Standing(edges)
	if err != nil {
		return nil, err
	}
	stands := make(map[Edge]Membership, len(list))
	for _, m := range list {
		if m.HoldsAt(l.now()) {
			stands[m.Edge] = m
		}
	}
	page := Found[Membership]{Items: make([]Membership, len(edges))}
	for i, e := range edges {
		page.Items[i] = stands[e]
		page.Items[i].Edge = e
	}
	out, err := l.describeAll(page, groups)
	for i := range out.Items {
		if out.Items[i].Membership.Serial == 0 {
			out.Items[i].Membership = Membership{}
		}
	}
	return out.Items, err
}

func (l *look) describeAll(page Found[Membership], groups bool) (Found[MemberOf], error) {
	out := Found[MemberOf]{Items: make([]MemberOf, 0, len(page.Items)), Next: page.Next}
	var userNumbers, groupNumbers []id.Number
	for _, m := range page.Items {
		if groups {
			groupNumbers = append(groupNumbers, m.Group)
		} else if u, ok := m.Member.User(); ok {
			userNumbers = append(userNumbers, u)
		} else if g, ok := m.Member.Group(); ok {
			groupNumbers = append(groupNumbers, g)
		}
	}
	users, err := l.Users(userNumbers)
	if err != nil {
		return out, err
	}
	found, err := l.Groups(groupNumbers)
	if err != nil {
		return out, err
	}
	userBy := make(map[id.Number]*User, len(users))
	for i := range users {
		userBy[users[i].Number] = &users[i]
	}
	groupBy := make(map[id.Number]*Group, len(found))
	for i := range found {
		groupBy[found[i].Number] = &found[i]
	}
	for _, m := range page.Items {
		entry := MemberOf{Membership: m}
		if groups {
			entry.Group = groupBy[m.Group]
		} else if u, ok := m.Member.User(); ok {
			entry.User = userBy[u]
		} else if g, ok := m.Member.Group(); ok {
			entry.Group = groupBy[g]
		}
		if entry.User != nil || entry.Group != nil {
			out.Items = append(out.Items, entry)
		}
	}
	return out, nil
}

// membersAfter returns the users in a group, directly and through groups, after
// a number: from the index if it is at this transaction's revision.
func (l *look) membersAfter(group, after id.Number, limit int) ([]id.Number, error) {
	st, err := l.picture()
	if err != nil {
		return nil, err
	}
	if st == nil {
		return l.MembersOf(group, l.now(), after, limit)
	}
	return st.MembersAfter(group, after, l.now().UnixMicro(), true, limit), nil
}

// groupsOf returns the groups that a member is in, directly and through groups.
func (l *look) groupsOf(m id.Member) ([]id.Number, error) {
	st, err := l.picture()
	if err != nil {
		return nil, err
	}
	if st == nil {
		return l.Reader.GroupsOf(m, l.now())
	}
	if u, ok := m.User(); ok {
		return st.Groups(u, l.now().UnixMicro(), true), nil
	}
	g, _ := m.Group()
	return st.Parents(g, l.now().UnixMicro(), true), nil
}

// picture returns the index of the tenant if it is at exactly the revision of
// this transaction, so that one answer is about one state; nil otherwise.
func (l *look) picture() (*index.State, error) {
	rev, err := l.Revision()
	if err != nil {
		return nil, err
	}
	st := l.d.index.Get(l.p.Tenant)
	if st == nil {
		l.d.warm(l.p.Tenant)
		return nil, nil
	}
	if Revision(st.Revision()) != rev {
		return nil, nil
	}
	return st, nil
}
