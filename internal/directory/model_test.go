package directory_test

import (
	cmp2 "cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/id"
	"roster/internal/store/postgres"
	"roster/internal/store/postgres/pgtest"
	"roster/internal/store/sqlite"
)

var ctx = context.Background()

func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	if !asked {
		// Each run of the machine opens a store of its own; -rapid.checks for more.
		checks := "20"
		if testing.Short() {
			checks = "6"
		}
		flag.Set("rapid.checks", checks)
	}
	os.Exit(pgtest.Main(m))
}

// oracle is a tenant made of maps: the rules again, written to be read.
type oracle struct {
	revision directory.Revision
	last     time.Time // the moment of the last commit
	users    map[id.Number]directory.User
	groups   map[id.Number]directory.Group
	edges    map[directory.Edge]directory.Standing
	history  []*oracle        // as it was at revision 0, 1, …
	hand     directory.Author // who writes
	by       directory.Author // who made the last commit
}

// change commits fn's changes to a copy if there are any and fn does not refuse.
func (o *oracle) change(now time.Time, fn func(next *oracle, at time.Time) (changed bool, err error)) error {
	next := &oracle{revision: o.revision, last: o.last, users: maps.Clone(o.users), groups: maps.Clone(o.groups), edges: maps.Clone(o.edges), hand: o.hand, by: o.hand}
	was := *o
	next.history = append(slices.Clip(o.history), &was)
	at := now
	if o.last.After(at) {
		at = o.last
	}
	due := len(o.turns(at)) > 0
	changed, err := fn(next, at)
	if err != nil || !changed && !due {
		return err
	}
	next.revision++
	next.last = at
	*o = *next
	return nil
}

// turns are the dates that have come since the last commit.
func (o *oracle) turns(at time.Time) (turns []directory.Turn) {
	for e, s := range o.edges {
		for i, d := range []time.Time{s.From, s.Until} {
			if d.After(o.last) && !d.After(at) {
				turns = append(turns, directory.Turn{Edge: e, At: d, Ended: i == 1})
			}
		}
	}
	slices.SortFunc(turns, func(a, b directory.Turn) int {
		ended := map[bool]int{true: 1}
		return cmp2.Or(a.At.Compare(b.At), ended[a.Ended]-ended[b.Ended], cmp2.Compare(a.Group, b.Group), cmp2.Compare(a.Member, b.Member))
	})
	return turns
}

// groupsOf is every group that m is in at a moment.
func (o *oracle) groupsOf(m id.Member, at time.Time) []id.Number {
	if u, ok := m.User(); ok && !o.users[u].ActiveAt(at) {
		return nil
	}
	found := map[id.Number]bool{}
	var climb func(id.Member)
	climb = func(m id.Member) {
		for e, s := range o.edges {
			if e.Member == m && s.HoldsAt(at) && !found[e.Group] {
				found[e.Group] = true
				climb(id.GroupMember(e.Group))
			}
		}
	}
	climb(m)
	return slices.Sorted(maps.Keys(found))
}

// reaches reports whether links, whatever their dates, lead from one group up to
// another.
func (o *oracle) reaches(from, to id.Number, pending map[directory.Edge]bool) bool {
	if from == to {
		return true
	}
	for g := range o.groups {
		e := directory.Edge{Group: g, Member: id.GroupMember(from)}
		_, stands := o.edges[e]
		// No link leads back, so this ends.
		if (stands || pending[e]) && o.reaches(g, to, pending) {
			return true
		}
	}
	return false
}

// wanted is what one item of a batch should come to.
type wanted struct {
	edge directory.Edge
	code string // of its problem, "" if none
	out  directory.Outcome
}

func ended(s directory.Standing, at time.Time) bool { return !s.Until.IsZero() && !at.Before(s.Until) }

// batch is what a batch of edges should do. It sets the outcomes of the items
// and reports whether it changed anything.
func (o *oracle) batch(add, remove []wanted, mode directory.Mode, s directory.Standing, keep bool, at time.Time) (bool, error) {
	pending := map[directory.Edge]bool{}
	for i, w := range add {
		if child, ok := w.edge.Member.Group(); ok && w.code == "" {
			if o.reaches(w.edge.Group, child, pending) {
				add[i].code = "group.cycle"
			} else {
				pending[w.edge] = true
			}
		}
	}
	for _, w := range append(slices.Clone(add), remove...) {
		if w.code != "" && mode == directory.Atomic {
			return false, &directory.Error{Code: w.code}
		}
	}
	changed := false
	done := map[directory.Edge]bool{}
	for i := range add {
		w := &add[i]
		was, stands := o.edges[w.edge]
		early := was
		early.From = time.Time{}
		switch {
		case w.code != "":
			w.out = directory.Bad
		case done[w.edge] || stands && was == s:
			w.out = directory.Already
		case !stands || ended(was, at):
			w.out, o.edges[w.edge], changed = directory.Added, s, true
		case keep && at.Before(was.From):
			w.out, o.edges[w.edge], changed = directory.Updated, early, true
		case keep:
			w.out = directory.Already
		default:
			w.out, o.edges[w.edge], changed = directory.Updated, s, true
		}
		done[w.edge] = true
	}
	for i := range remove {
		w := &remove[i]
		was, stands := o.edges[w.edge]
		switch {
		case w.code != "":
			w.out = directory.Bad
		case !stands:
			w.out = directory.Absent
		default:
			w.out = directory.Removed
			if ended(was, at) {
				w.out = directory.Absent
			}
			delete(o.edges, w.edge)
			changed = true
		}
	}
	return changed, nil
}

// machine is a directory and the oracle beside it.
type machine struct {
	engine func(clock func() time.Time) (directory.Store, error) // opens the same store again and again
	clock  *directorytest.Clock
	budget int64
	store  directory.Store
	d      *directory.Directory
	p      directory.Principal // who may do everything in the tenant
	other  directory.Principal // the same in another tenant, which takes room in the index
	o      oracle
	made   int // how many users and groups were, for their names
}

func (m *machine) open(t *rapid.T) {
	var err error
	m.store, err = m.engine(m.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	m.begin()
}

// neighbour makes, in the other tenant, users and groups of the same numbers and
// names as in this one. Everybody is in every group, was in another way before, and
// was suspended: whatever asks for what any tenant holds or held meets them.
func (m *machine) neighbour(t *rapid.T) {
	run := directory.BatchRun{Do: directory.AddMembers}
	for n := range 3 {
		name := fmt.Sprintf("n%d", n+1)
		if _, err := m.d.CreateUser(ctx, m.other, directory.NewUser{Name: name, Suspended: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := m.d.CreateGroup(ctx, m.other, directory.NewGroup{Name: name}); err != nil {
			t.Fatal(err)
		}
		run.Members = append(run.Members, directory.MemberRef{Ref: directory.ByName(name)})
		run.Groups = append(run.Groups, directory.ByName(name))
	}
	for n, g := range run.Groups[1:] {
		run.Pairs = append(run.Pairs, directory.Pair{Member: directory.MemberRef{IsGroup: true, Ref: run.Groups[n]}, Group: g})
	}
	for _, run.Standing.Reason = range []string{"before", ""} {
		if _, err := m.d.ChangeMemberships(ctx, m.other, directory.Batch{Runs: []directory.BatchRun{run}}); err != nil {
			t.Fatal(err)
		}
	}
	suspended := false
	for _, u := range run.Members {
		if _, err := m.d.UpdateUser(ctx, m.other, directory.UserUpdate{User: u.Ref, Suspended: &suspended}); err != nil {
			t.Fatal(err)
		}
	}
}

// settle puts users into groups, and groups into later ones, so that there is
// something to lose from the start.
func (m *machine) settle(t *rapid.T) {
	users, groups := slices.Sorted(maps.Keys(m.o.users)), slices.Sorted(maps.Keys(m.o.groups))
	for i, g := range groups {
		in := directory.MembersChange{Group: directory.ByNumber(int64(g)), Standing: m.standing(t)}
		var add []wanted
		for _, u := range users {
			if rapid.Bool().Draw(t, "settles") {
				in.Add = append(in.Add, directory.MemberRef{Ref: directory.ByNumber(int64(u))})
				add = append(add, wanted{edge: directory.Edge{Group: g, Member: id.UserMember(u)}})
			}
		}
		for _, below := range groups[:i] {
			if rapid.Bool().Draw(t, "is linked") {
				in.Add = append(in.Add, directory.MemberRef{IsGroup: true, Ref: directory.ByNumber(int64(below))})
				add = append(add, wanted{edge: directory.Edge{Group: g, Member: id.GroupMember(below)}})
			}
		}
		_, err := m.d.ChangeMembers(ctx, m.p, in)
		compare(t, "ChangeMembers", err, m.o.change(m.d.Now(), func(next *oracle, at time.Time) (bool, error) {
			return next.batch(add, nil, in.Mode, in.Standing, false, at)
		}))
	}
}

func (m *machine) begin() {
	m.d = directory.New(m.store, directory.Options{Clock: m.clock.Now, IndexBudget: m.budget})
}

func (m *machine) shut(t *rapid.T) {
	m.d.Close()
	if err := m.store.Close(); err != nil {
		t.Fatal(err)
	}
}

// user draws a user's number: of one there is, or one that never was.
func (m *machine) user(t *rapid.T) id.Number { return pick(t, "user", m.o.users) }

func (m *machine) group(t *rapid.T) id.Number { return pick(t, "group", m.o.groups) }

func pick[T any](t *rapid.T, what string, from map[id.Number]T) id.Number {
	numbers := slices.Sorted(maps.Keys(from))
	if len(numbers) == 0 || rapid.IntRange(0, 15).Draw(t, what+" unknown") == 0 {
		return 99
	}
	return rapid.SampledFrom(numbers).Draw(t, what)
}

// ref draws one of the names of a user or group.
func (m *machine) ref(t *rapid.T, isGroup bool, n id.Number) directory.Ref {
	uuid, code, name := [16]byte(m.o.users[n].ID), m.o.users[n].Code, m.o.users[n].Name
	if isGroup {
		uuid, code, name = m.o.groups[n].ID, m.o.groups[n].Code, m.o.groups[n].Name
	}
	switch rapid.IntRange(0, 3).Draw(t, "ref") {
	case 0:
		return directory.Ref{Kind: directory.RefID, UUID: uuid}
	case 1:
		return directory.ByCode(code)
	case 2:
		if name != "" {
			return directory.ByName(strings.ToUpper(name))
		}
	}
	return directory.ByNumber(int64(n))
}

func (m *machine) moment(t *rapid.T, what string) time.Time {
	n := rapid.IntRange(-3, 6).Draw(t, what)
	if n > 3 {
		return time.Time{}
	}
	return m.clock.Now().Add(time.Duration(n) * time.Second)
}

func (m *machine) standing(t *rapid.T) directory.Standing {
	var s directory.Standing
	if rapid.IntRange(0, 2).Draw(t, "dated") == 0 {
		s.From, s.Until = m.moment(t, "from"), m.moment(t, "until")
		if !s.From.IsZero() && !s.Until.IsZero() && !s.From.Before(s.Until) {
			s.From = time.Time{}
		}
	}
	s.Reason = rapid.SampledFrom([]string{"", "", "why"}).Draw(t, "reason")
	return s
}

// compare holds what an operation answered against what the oracle says.
func compare(t *rapid.T, what string, got, want error) bool {
	t.Helper()
	if code(got) != code(want) {
		t.Fatalf("%s says %v, want %v", what, got, want)
	}
	return want == nil
}

func results(t *rapid.T, what string, got []directory.Result, want []wanted) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d results, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		code := ""
		if got[i].Problem != nil {
			code = got[i].Problem.Code
		}
		if got[i].Outcome != w.out || code != w.code {
			t.Fatalf("%s: item %d is %v (%s), want %v (%s)", what, i, got[i].Outcome, code, w.out, w.code)
		}
	}
}

// code is an error's code, "" for none and something else for one without.
func code(err error) string {
	if err == nil {
		return ""
	}
	if c := directory.CodeOf(err); c != "" {
		return c
	}
	return "unclassified: " + err.Error()
}

// name draws what a user or a group is to be called: as nobody is now, though
// somebody may have been.
func (m *machine) name(t *rapid.T, isGroup bool) string {
	borne := map[string]bool{}
	for _, u := range m.o.users {
		borne[u.Name] = !isGroup
	}
	for _, g := range m.o.groups {
		borne[g.Name] = borne[g.Name] || isGroup
	}
	if name := rapid.SampledFrom([]string{"n1", "n2", ""}).Draw(t, "name"); name != "" && !borne[name] {
		return name
	}
	m.made++
	return fmt.Sprintf("n%d", m.made+2)
}

func (m *machine) createUser(t *rapid.T) {
	in := directory.NewUser{Name: m.name(t, false), Suspended: rapid.IntRange(0, 6).Draw(t, "suspended") == 0, Expires: m.moment(t, "expires")}
	groups := map[id.Number]bool{}
	bad := false
	for range rapid.IntRange(0, 2).Draw(t, "groups") {
		g := m.group(t)
		_, ok := m.o.groups[g]
		bad = bad || !ok
		groups[g] = true
		in.Groups = append(in.Groups, m.ref(t, true, g))
	}
	a, err := m.d.CreateUser(ctx, m.p, in)
	want := m.o.change(m.d.Now(), func(next *oracle, _ time.Time) (bool, error) {
		if bad {
			return false, &directory.Error{Code: "group.unknown"}
		}
		next.users[a.Value.Number] = a.Value
		for g := range groups {
			next.edges[directory.Edge{Group: g, Member: id.UserMember(a.Value.Number)}] = directory.Standing{}
		}
		return true, nil
	})
	compare(t, "CreateUser", err, want)
}

func (m *machine) updateUser(t *rapid.T) {
	n := m.user(t)
	in := directory.UserUpdate{User: m.ref(t, false, n)}
	if rapid.Bool().Draw(t, "suspend") {
		suspended := rapid.Bool().Draw(t, "suspended")
		in.Suspended = &suspended
	}
	if rapid.IntRange(0, 2).Draw(t, "rename") == 0 {
		name := m.name(t, false)
		in.Name = &name
	}
	if rapid.Bool().Draw(t, "expire") {
		expires := m.moment(t, "expires").In(time.FixedZone("east", 3600))
		if expires.IsZero() {
			expires = time.Time{}
		}
		in.Expires = &expires
	}
	a, err := m.d.UpdateUser(ctx, m.p, in)
	want := m.o.change(m.d.Now(), func(next *oracle, at time.Time) (bool, error) {
		u, ok := next.users[n]
		if !ok {
			return false, directory.ErrNoUser
		}
		before := u
		if in.Suspended != nil {
			u.Suspended = *in.Suspended
		}
		if in.Name != nil {
			u.Name = *in.Name
		}
		if in.Expires != nil {
			u.Expires = in.Expires.UTC()
		}
		if cmp.Equal(before, u) {
			return false, nil
		}
		u.Version, u.Modified, u.ModifiedIn = u.Version+1, at, next.revision+1
		next.users[n] = u
		return true, nil
	})
	if compare(t, "UpdateUser", err, want) {
		if diff := cmp.Diff(m.o.users[n], a.Value); diff != "" {
			t.Fatalf("UpdateUser answers otherwise (-want +got):\n%s", diff)
		}
	}
}

func (m *machine) deleteUser(t *rapid.T) {
	n := m.user(t)
	_, err := m.d.DeleteUser(ctx, m.p, directory.Deletion{Ref: m.ref(t, false, n)})
	compare(t, "DeleteUser", err, m.o.change(m.d.Now(), func(next *oracle, _ time.Time) (bool, error) {
		if _, ok := next.users[n]; !ok {
			return false, directory.ErrNoUser
		}
		delete(next.users, n)
		maps.DeleteFunc(next.edges, func(e directory.Edge, _ directory.Standing) bool { return e.Member == id.UserMember(n) })
		return true, nil
	}))
}

func (m *machine) createGroup(t *rapid.T) {
	a, err := m.d.CreateGroup(ctx, m.p, directory.NewGroup{Name: m.name(t, true)})
	compare(t, "CreateGroup", err, m.o.change(m.d.Now(), func(next *oracle, _ time.Time) (bool, error) {
		next.groups[a.Value.Number] = a.Value
		return true, nil
	}))
}

func (m *machine) renameGroup(t *rapid.T) {
	n := m.group(t)
	in := directory.GroupUpdate{Group: m.ref(t, true, n)}
	name := m.name(t, true)
	in.Name = &name
	a, err := m.d.UpdateGroup(ctx, m.p, in)
	compare(t, "UpdateGroup", err, m.o.change(m.d.Now(), func(next *oracle, _ time.Time) (bool, error) {
		g, ok := next.groups[n]
		if !ok {
			return false, directory.ErrNoGroup
		}
		if a.Value.Name != name || a.Value.Version != g.Version+1 {
			t.Fatalf("UpdateGroup makes %+v of %+v", a.Value, g)
		}
		next.groups[n] = a.Value
		return true, nil
	}))
}

func (m *machine) deleteGroup(t *rapid.T) {
	n := m.group(t)
	ifEmpty := rapid.Bool().Draw(t, "if empty")
	_, err := m.d.DeleteGroup(ctx, m.p, directory.Deletion{Ref: m.ref(t, true, n), IfEmpty: ifEmpty})
	compare(t, "DeleteGroup", err, m.o.change(m.d.Now(), func(next *oracle, at time.Time) (bool, error) {
		if _, ok := next.groups[n]; !ok {
			return false, directory.ErrNoGroup
		}
		for e, s := range next.edges {
			if ifEmpty && e.Group == n && !ended(s, at) {
				return false, &directory.Error{Code: "group.members"}
			}
		}
		delete(next.groups, n)
		maps.DeleteFunc(next.edges, func(e directory.Edge, _ directory.Standing) bool {
			return e.Group == n || e.Member == id.GroupMember(n)
		})
		return true, nil
	}))
}

// member draws a group or else a user to stand somewhere, who may not be there.
func (m *machine) member(t *rapid.T, isGroup bool) (directory.MemberRef, wanted) {
	var w wanted
	n := id.Number(0)
	if isGroup {
		n = m.group(t)
		w.edge.Member = id.GroupMember(n)
		if _, ok := m.o.groups[n]; !ok {
			w.code = "group.unknown"
		}
	} else {
		n = m.user(t)
		w.edge.Member = id.UserMember(n)
		if _, ok := m.o.users[n]; !ok {
			w.code = "user.unknown"
		}
	}
	return directory.MemberRef{IsGroup: isGroup, Ref: m.ref(t, isGroup, n)}, w
}

// membersOf draws members, who may be in the group or not.
func (m *machine) membersOf(t *rapid.T, what string, g id.Number) (refs []directory.MemberRef, want []wanted) {
	for range rapid.IntRange(0, 4).Draw(t, what) {
		ref, w := m.member(t, rapid.Bool().Draw(t, "a group"))
		w.edge.Group = g
		refs, want = append(refs, ref), append(want, w)
	}
	return refs, want
}

func (m *machine) changeMembers(t *rapid.T) {
	g := m.group(t)
	in := directory.MembersChange{
		Group: m.ref(t, true, g), Standing: m.standing(t), Keep: rapid.Bool().Draw(t, "keep"),
		Mode: rapid.SampledFrom([]directory.Mode{directory.Atomic, directory.Each}).Draw(t, "mode"),
	}
	var add, remove []wanted
	in.Add, add = m.membersOf(t, "add", g)
	in.Remove, remove = m.membersOf(t, "remove", g)
	links := maps.Clone(m.o.edges)
	a, err := m.d.ChangeMembers(ctx, m.p, in)
	want := m.o.change(m.d.Now(), func(next *oracle, at time.Time) (bool, error) {
		if _, ok := next.groups[g]; !ok {
			return false, directory.ErrNoGroup
		}
		return next.batch(add, remove, in.Mode, in.Standing, in.Keep, at)
	})
	if compare(t, "ChangeMembers", err, want) {
		results(t, "ChangeMembers, added", a.Value.Add, add)
		results(t, "ChangeMembers, removed", a.Value.Remove, remove)
		for i, r := range a.Value.Add {
			if add[i].code == "group.cycle" {
				m.names(t, r.Problem, add[i].edge, links, add)
			}
		}
	} else if e, ok := errors.AsType[*directory.Error](err); ok && in.Mode == directory.Atomic && len(e.Items) > 0 {
		var at []int
		for i, w := range append(slices.Clone(add), remove...) {
			if w.code == e.Code {
				at = append(at, i)
			}
		}
		if !slices.Equal(e.Items, at) {
			t.Fatalf("the batch is refused for items %v, want %v", e.Items, at)
		}
	}
}

// names checks that a refused link says a way round: group names, each of which
// stands in the next, from the child by the new link back to the child.
func (m *machine) names(t *rapid.T, problem *directory.Error, e directory.Edge, links map[directory.Edge]directory.Standing, batch []wanted) {
	_, text, ok := strings.Cut(strings.TrimSuffix(problem.Detail, "."), ": ")
	byName := map[string]id.Number{}
	for n, g := range m.o.groups {
		byName[g.Name] = n
	}
	var way []id.Number
	for name := range strings.SplitSeq(text, " in ") {
		way = append(way, byName[name])
	}
	child, _ := e.Member.Group()
	if !ok || len(way) < 2 || way[0] != child || way[1] != e.Group || way[len(way)-1] != child {
		t.Fatalf("a link of %d into %d is refused with %q", child, e.Group, problem.Detail)
	}
	for i := 1; i+1 < len(way); i++ {
		step := directory.Edge{Group: way[i+1], Member: id.GroupMember(way[i])}
		_, stands := links[step]
		if !stands && !slices.ContainsFunc(batch, func(w wanted) bool { return w.edge == step && w.code == "" }) {
			t.Fatalf("%q names a link of %d into %d that is not there", problem.Detail, way[i], way[i+1])
		}
	}
}

func (m *machine) changeGroups(t *rapid.T) {
	isGroup := rapid.IntRange(0, 2).Draw(t, "a group") == 0
	var n id.Number
	var member id.Member
	known := false
	if isGroup {
		n = m.group(t)
		member = id.GroupMember(n)
		_, known = m.o.groups[n]
	} else {
		n = m.user(t)
		member = id.UserMember(n)
		_, known = m.o.users[n]
	}
	in := directory.GroupsChange{
		Member: directory.MemberRef{IsGroup: isGroup, Ref: m.ref(t, isGroup, n)}, Standing: m.standing(t), Keep: rapid.Bool().Draw(t, "keep"),
		Mode:    rapid.SampledFrom([]directory.Mode{directory.Atomic, directory.Each}).Draw(t, "mode"),
		Replace: rapid.IntRange(0, 3).Draw(t, "replace") == 0,
		AtMost:  rapid.IntRange(0, 3).Draw(t, "at most"), AtLeast: rapid.IntRange(0, 1).Draw(t, "at least"),
	}
	items := func(what string) (refs []directory.Ref, want []wanted) {
		for range rapid.IntRange(0, 3).Draw(t, what) {
			g := m.group(t)
			w := wanted{edge: directory.Edge{Group: g, Member: member}}
			if _, ok := m.o.groups[g]; !ok {
				w.code = "group.unknown"
			}
			refs, want = append(refs, m.ref(t, true, g)), append(want, w)
		}
		return refs, want
	}
	var add, remove []wanted
	in.Add, add = items("add")
	in.Remove, remove = items("remove")
	var left []directory.Edge
	a, err := m.d.ChangeGroups(ctx, m.p, in)
	want := m.o.change(m.d.Now(), func(next *oracle, at time.Time) (bool, error) {
		if !known && isGroup {
			return false, directory.ErrNoGroup
		}
		if !known {
			return false, directory.ErrNoUser
		}
		all := remove
		if in.Replace {
			var leave []id.Number
			for e := range next.edges {
				if e.Member == member && !slices.ContainsFunc(add, func(w wanted) bool { return w.edge == e }) {
					leave = append(leave, e.Group)
				}
			}
			slices.Sort(leave)
			for _, g := range leave {
				all = append(all, wanted{edge: directory.Edge{Group: g, Member: member}})
			}
		}
		changed, err := next.batch(add, all, in.Mode, in.Standing, in.Keep, at)
		copy(remove, all)
		if err != nil {
			return false, err
		}
		for _, w := range all[len(remove):] {
			if w.out == directory.Removed {
				left = append(left, w.edge)
			}
		}
		stands := 0
		for e, s := range next.edges {
			if e.Member == member && !ended(s, at) {
				stands++
			}
		}
		became := func(o directory.Outcome) func(wanted) bool { return func(w wanted) bool { return w.out == o } }
		switch {
		case in.AtMost > 0 && stands > in.AtMost && slices.ContainsFunc(add, became(directory.Added)):
			return false, &directory.Error{Code: "membership.limit"}
		case stands < in.AtLeast && slices.ContainsFunc(all, became(directory.Removed)):
			return false, &directory.Error{Code: "membership.minimum"}
		}
		return changed, nil
	})
	if compare(t, "ChangeGroups", err, want) {
		results(t, "ChangeGroups, added", a.Value.Add, add)
		results(t, "ChangeGroups, removed", a.Value.Remove, remove)
		if diff := cmp.Diff(left, a.Value.Left); diff != "" {
			t.Fatalf("the groups left differ (-want +got):\n%s", diff)
		}
	}
}

// agree asks everything in every way there is.
func (m *machine) agree(t *rapid.T) {
	now := m.d.Now()
	users, groups := slices.Sorted(maps.Keys(m.o.users)), slices.Sorted(maps.Keys(m.o.groups))
	inside := map[id.Number][]id.Number{}
	in := map[id.Number]map[id.Number]bool{}
	var checks []directory.Check
	for _, u := range users {
		in[u] = map[id.Number]bool{}
		for _, g := range m.o.groupsOf(id.UserMember(u), now) {
			in[u][g] = true
			inside[g] = append(inside[g], u)
		}
		for _, g := range groups {
			checks = append(checks, directory.Check{User: directory.ByUser(m.o.users[u].ID), Group: directory.ByGroup(m.o.groups[g].ID)})
		}
	}
	many, err := m.d.AreMembers(ctx, m.p, checks)
	if err != nil {
		t.Fatal(err)
	}
	if many.Revision != m.o.revision {
		t.Fatalf("the directory is at revision %d, want %d", many.Revision, m.o.revision)
	}
	for i, c := range checks {
		u, g := users[i/len(groups)], groups[i%len(groups)]
		one, err := m.d.IsMember(ctx, m.p, c)
		if err != nil || one.Value != in[u][g] || many.Value[i] != in[u][g] || one.Revision != m.o.revision {
			t.Fatalf("user %d in group %d at %v is %v (revision %d, %v) alone and %v among many; want %v at revision %d",
				u, g, now, one.Value, one.Revision, err, many.Value[i], in[u][g], m.o.revision)
		}
	}
	numbers := func(list []directory.MemberOf) (out []id.Number) {
		for _, x := range list {
			if x.User != nil {
				out = append(out, x.User.Number)
			} else {
				out = append(out, x.Group.Number)
			}
		}
		return out
	}
	for _, g := range groups {
		var got []id.Number
		for page := (directory.Page{Limit: 2}); ; {
			a, err := m.d.Members(ctx, m.p, directory.ListMembers{Page: page, Group: directory.ByNumber(int64(g)), Transitive: true})
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, numbers(a.Value.Items)...)
			if page.After = a.Value.Next; page.After == 0 {
				break
			}
		}
		if !slices.Equal(got, inside[g]) {
			t.Fatalf("the members of %d are %v, want %v", g, got, inside[g])
		}
	}
	for _, u := range users {
		a, err := m.d.GroupsOf(ctx, m.p, directory.ListMembers{Member: directory.MemberRef{Ref: directory.ByNumber(int64(u))}, Transitive: true})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := numbers(a.Value.Items), m.o.groupsOf(id.UserMember(u), now); !slices.Equal(got, want) {
			t.Fatalf("user %d is in %v, want %v", u, got, want)
		}
		// Directly, a membership counts if it holds.
		direct, err := m.d.GroupsOf(ctx, m.p, directory.ListMembers{Member: directory.MemberRef{Ref: directory.ByNumber(int64(u))}})
		if err != nil {
			t.Fatal(err)
		}
		var want []id.Number
		for _, g := range groups {
			if s, ok := m.o.edges[directory.Edge{Group: g, Member: id.UserMember(u)}]; ok && s.HoldsAt(now) && m.o.users[u].ActiveAt(now) {
				want = append(want, g)
			}
		}
		if got := numbers(direct.Value.Items); !slices.Equal(got, want) {
			t.Fatalf("user %d is directly in %v, want %v", u, got, want)
		}
	}
	// The rows say the same as the index.
	err = m.store.View(ctx, m.p.Tenant, func(r directory.Reader) error {
		for _, u := range users {
			for _, g := range groups {
				if is, err := r.Check(u, g, now); err != nil || is != in[u][g] {
					return fmt.Errorf("by the rows user %d in group %d is %v (%v), want %v", u, g, is, err, in[u][g])
				}
			}
		}
		for _, g := range groups {
			if got, err := r.MembersOf(g, now, 0, 100); err != nil || !slices.Equal(got, inside[g]) {
				return fmt.Errorf("by the rows the members of %d are %v (%v), want %v", g, got, err, inside[g])
			}
			if got, err := r.GroupsOf(id.GroupMember(g), now); err != nil || !slices.Equal(got, m.o.groupsOf(id.GroupMember(g), now)) {
				return fmt.Errorf("by the rows group %d is in %v (%v)", g, got, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// replay makes a tenant from its change log alone and compares it with the rest.
func (m *machine) replay(t *rapid.T) {
	users, groups, edges := map[id.Number]map[string]any{}, map[id.Number]map[string]any{}, map[directory.Edge]directory.Standing{}
	next := directory.Revision(1)
	last := time.Time{}
	for c, err := range m.store.Commits(ctx, m.p.Tenant, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Revision != next || c.At.Before(last) {
			t.Fatalf("after revision %d of %v comes %d of %v", next-1, last, c.Revision, c.At)
		}
		// Whatever the clock did since the commit before is said first, once.
		turned := directory.ClockChanges((&oracle{edges: edges, last: last}).turns(c.At))
		if n := len(turned); len(c.Changes) < n || n > 0 && !cmp.Equal(c.Changes[:n], turned) {
			t.Fatalf("revision %d of %v begins with %+v, want what the clock did: %+v", c.Revision, c.At, c.Changes, turned)
		}
		next, last = next+1, c.At
		for _, ch := range c.Changes[len(turned):] {
			if ch.Kind == directory.MembersStarted || ch.Kind == directory.MembersEnded {
				t.Fatalf("revision %d says what the clock did twice: %+v", c.Revision, ch)
			}
			things := users
			switch ch.Kind {
			case directory.GroupCreated, directory.GroupUpdated, directory.GroupDeleted:
				things = groups
			case directory.MembersAdded, directory.MembersUpdated, directory.MembersRemoved:
				for _, who := range ch.Members {
					e := directory.Edge{Group: ch.Number, Member: who}
					_, stands := edges[e]
					if stands == (ch.Kind == directory.MembersAdded) {
						t.Fatalf("revision %d says %s of %+v, which stands: %v", c.Revision, ch.Kind, e, stands)
					}
					if edges[e] = ch.Standing; ch.Kind == directory.MembersRemoved {
						delete(edges, e)
					}
				}
				continue
			}
			f := things[ch.Number]
			if f == nil {
				f = map[string]any{}
				things[ch.Number] = f
			}
			for name := range ch.Before {
				delete(f, name)
			}
			maps.Copy(f, ch.After)
			if ch.Kind == directory.UserDeleted || ch.Kind == directory.GroupDeleted {
				if len(f) > 0 {
					t.Fatalf("revision %d deletes %d and leaves %v of it", c.Revision, ch.Number, f)
				}
				delete(things, ch.Number)
			}
		}
	}
	if next-1 != m.o.revision {
		t.Fatalf("the log ends at %d, want %d", next-1, m.o.revision)
	}
	wantUsers, wantGroups := map[id.Number]map[string]any{}, map[id.Number]map[string]any{}
	for n, u := range m.o.users {
		wantUsers[n] = map[string]any{"name": u.Name}
		if u.Suspended {
			wantUsers[n]["suspended"] = true
		}
		if !u.Expires.IsZero() {
			wantUsers[n]["expires"] = u.Expires.Format(time.RFC3339Nano)
		}
	}
	for n, g := range m.o.groups {
		wantGroups[n] = map[string]any{"name": g.Name}
	}
	for _, diff := range []string{cmp.Diff(wantUsers, users), cmp.Diff(wantGroups, groups), cmp.Diff(m.o.edges, edges)} {
		if diff != "" {
			t.Fatalf("the log replayed makes something else (-want +got):\n%s", diff)
		}
	}
}

func TestTheDirectoryIsWhatAnOracleOfMapsSays(t *testing.T) { checkOracle(t, onSQLite(t)) }

func TestOnPostgreSQLTheDirectoryIsWhatAnOracleOfMapsSays(t *testing.T) {
	checkOracle(t, onPostgreSQL(t))
}

// What differs is found among what has changed, so this changes little else.
var changing = []string{
	"change members", "more members", "update members", "change many", "change groups", "update user", "move the clock", "forget what is in memory",
	"compare two moments", "compare many moments", "compare many others",
}

func TestDiffsAreWhatAnOracleOfMapsSays(t *testing.T) { checkOracle(t, onSQLite(t), changing...) }

func TestOnPostgreSQLDiffsAreWhatAnOracleOfMapsSays(t *testing.T) {
	checkOracle(t, onPostgreSQL(t), changing...)
}

// An engineer returns an engine on an empty store, which it can open again and again.
type engineer func() func(clock func() time.Time) (directory.Store, error)

func onSQLite(t *testing.T) engineer {
	root := t.TempDir()
	return func() func(func() time.Time) (directory.Store, error) {
		dir, err := os.MkdirTemp(root, "")
		if err != nil {
			t.Fatal(err)
		}
		return func(clock func() time.Time) (directory.Store, error) {
			return sqlite.Open(ctx, dir, sqlite.WithClock(clock))
		}
	}
}

func onPostgreSQL(t *testing.T) engineer {
	if testing.Short() {
		t.Skip("a database for each sequence of commands takes long")
	}
	server := pgtest.Shared(t)
	server.Exec(t, "CREATE DATABASE oracle")
	t.Cleanup(func() { server.Exec(t, "DROP DATABASE oracle") })
	if _, err := postgres.Migrate(t.Context(), server.DSN("oracle"), false); err != nil {
		t.Fatal(err)
	}
	return func() func(func() time.Time) (directory.Store, error) {
		dsn := server.DatabaseLike(t, "oracle")
		return func(clock func() time.Time) (directory.Store, error) {
			return postgres.Open(ctx, dsn, postgres.Options{Clock: clock, Connections: 6})
		}
	}
}

// checkOracle runs sequences of commands, of all or of some, each on an empty store
// of its own.
func checkOracle(t *testing.T, empty engineer, only ...string) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{
			engine: empty(), clock: directorytest.NewClock(), budget: rapid.SampledFrom([]int64{1, 1 << 30}).Draw(t, "index budget"),
			o: oracle{users: map[id.Number]directory.User{}, groups: map[id.Number]directory.Group{}, edges: map[directory.Edge]directory.Standing{}},
		}
		m.open(t)
		defer func() { m.shut(t) }()
		for name, p := range map[string]*directory.Principal{"one": &m.p, "other": &m.other} {
			a, err := m.d.CreateTenant(ctx, directorytest.Root(), directory.NewTenant{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			*p = directorytest.In(directorytest.Root(), a.Value.ID)
		}
		m.neighbour(t)
		m.somebody(t)
		for range 3 {
			m.createUser(t)
			m.createGroup(t)
		}
		m.settle(t)
		commands := map[string]func(*rapid.T){
			"create user":    m.createUser,
			"update user":    m.updateUser,
			"delete user":    m.deleteUser,
			"create group":   m.createGroup,
			"rename group":   m.renameGroup,
			"delete group":   m.deleteGroup,
			"change members": m.changeMembers,
			"more members":   m.changeMembers,
			"most members":   m.changeMembers,
			"change many":    m.changeMany,
			"change more":    m.changeMany,
			"update members": m.updateMembers,
			"update more":    m.updateMembers,
			"change groups":  m.changeGroups,
			"more groups":    m.changeGroups,
			"move the clock": func(t *rapid.T) {
				m.clock.Advance(time.Duration(rapid.SampledFrom([]int{1, 2, 3, 6, -3}).Draw(t, "half seconds")) * time.Second / 2)
			},
			"record what the clock did": m.tick,
			"ask about another tenant":  m.crowdOut,
			"forget what is in memory":  m.forgetAll,
			"restart": func(t *rapid.T) {
				m.restart(t)
				m.replay(t)
			},
			"ask about the past":       m.agreeThen,
			"ask more about the past":  m.agreeThen,
			"page on while it changes": m.pageOn,
			"page on further":          m.pageOn,
			"ask for a list in order":  m.arrange,
			"ask for a long list":      m.gather,
			"ask why":                  m.explain,
			"ask why again":            m.explain,
			"be somebody else":         m.somebody,
			"ask who did what":         m.log,
			"ask again who did what":   m.log,
			"compare two moments":      m.diff,
			"compare many moments":     m.diffs,
			"compare many others":      m.diffs,
			"ask for a timeline":       m.timeline,
			"":                         m.agree,
		}
		if only != nil {
			maps.DeleteFunc(commands, func(name string, _ func(*rapid.T)) bool { return !slices.Contains(only, name) })
		}
		t.Repeat(commands)
		m.replay(t)
	})
}
