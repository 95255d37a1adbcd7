package directory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"roster/internal/directory"
	"roster/internal/id"
)

// trouble is of a sort that nobody classified.
var trouble = &directory.Error{Err: errors.New("trouble")}

// faulty is a store that cannot change the memberships of some members: it
// fails after it has written.
type faulty struct {
	directory.Store
	bad map[id.Member]error
}

func (f faulty) Update(ctx context.Context, t id.Tenant, by directory.Author, fn func(directory.Writer) error) (directory.Revision, error) {
	return f.Store.Update(ctx, t, by, func(w directory.Writer) error { return fn(faultyWriter{w, f.bad}) })
}

type faultyWriter struct {
	directory.Writer
	bad map[id.Member]error
}

func (w faultyWriter) fault(edges []directory.Edge) error {
	for _, e := range edges {
		if err := w.bad[e.Member]; err != nil {
			return err
		}
	}
	return nil
}

func (w faultyWriter) InsertEdges(edges []directory.Edge, s directory.Standing) ([]directory.Membership, error) {
	present, err := w.Writer.InsertEdges(edges, s)
	return present, errors.Join(err, w.fault(edges))
}

func (w faultyWriter) DeleteEdges(edges []directory.Edge) error {
	return errors.Join(w.Writer.DeleteEdges(edges), w.fault(edges))
}

// outcomes renders what became of the items, in order.
func outcomes(list ...[]directory.Result) string {
	s := ""
	for _, l := range list {
		for _, r := range l {
			s += fmt.Sprintf("%v:%d ", r.Outcome, r.Edge.Member)
		}
		s += "/ "
	}
	return s
}

func TestAnItemThatTheStoreRefusesCostsTheOthersNothing(t *testing.T) {
	w := newWorld(t)
	g := w.group("g", 0)
	var refs []directory.MemberRef
	for i := range 40 {
		refs = append(refs, member(w.user(fmt.Sprint("u", i+1))))
	}
	a, err := w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(g.ID), Add: refs[20:]})
	ok(t, a, err)
	d := directory.New(faulty{w.Store, map[id.Member]error{3: trouble, 17: trouble, 31: trouble}}, directory.Options{Clock: w.Clock.Now})
	defer d.Close()
	before := w.revision()
	in := directory.MembersChange{Group: directory.ByGroup(g.ID), Add: append(slices.Clone(refs[:20]), directory.MemberRef{Ref: directory.ByNumber(99)}, refs[20]), Remove: refs[30:40], Mode: directory.EachAlone}
	a, err = d.ChangeMembers(ctx, w.admin, in)
	r := ok(t, a, err)
	if a.Revision != before+1 {
		t.Errorf("it is revision %d after %d", a.Revision, before)
	}
	want := ""
	for n := 1; n <= 20; n++ {
		o := "added"
		if n == 3 || n == 17 {
			o = "invalid"
		}
		want += fmt.Sprintf("%s:%d ", o, n)
	}
	want += "invalid:0 already:21 / invalid:31 "
	for n := 32; n <= 40; n++ {
		want += fmt.Sprintf("removed:%d ", n)
	}
	if got := outcomes(r.Add, r.Remove); got != want+"/ " {
		t.Errorf("the outcomes are\n%s, want\n%s/ ", got, want)
	}
	for _, i := range []directory.Result{r.Add[2], r.Add[16], r.Remove[0]} {
		if i.Problem == nil || i.Problem.Kind != directory.Internal || i.Problem.Detail != "" {
			t.Errorf("the problem of %+v is %+v", i.Edge, i.Problem)
		}
	}
	if r.Add[20].Problem == nil || r.Add[20].Problem.Code != directory.ErrNoUser.Code {
		t.Errorf("the problem of nobody is %+v", r.Add[20].Problem)
	}
	// What was said is what is there, by index and by rows.
	b, err := w.Members(ctx, w.admin, directory.ListMembers{Group: directory.ByGroup(g.ID)})
	var numbers []id.Number
	for _, m := range ok(t, b, err).Items {
		numbers = append(numbers, m.User.Number)
	}
	var there []id.Number
	for n := id.Number(1); n <= 31; n++ {
		if n != 3 && n != 17 {
			there = append(there, n)
		}
	}
	if !slices.Equal(numbers, there) {
		t.Errorf("members %v, want %v", numbers, there)
	}

	// In any other mode the call is refused whole.
	for _, mode := range []directory.Mode{directory.Atomic, directory.Each} {
		in := directory.MembersChange{Group: directory.ByGroup(g.ID), Remove: refs[20:40], Mode: mode}
		w.refused(fmt.Sprint("mode ", mode), directory.Internal, func() error { return drop(d.ChangeMembers(ctx, w.admin, in)) })
	}
}

func TestAStoreThatIsInTroubleAltogetherRefusesTheCall(t *testing.T) {
	w := newWorld(t)
	g := w.group("g", 0)
	bad := map[id.Member]error{}
	var refs []directory.MemberRef
	for i := range 300 {
		refs = append(refs, member(w.user(fmt.Sprint("u", i+1))))
		bad[id.Member(i+1)] = trouble
	}
	down := &directory.Error{Kind: directory.Unavailable, Code: "store.io"}
	for _, c := range []struct {
		what string
		bad  map[id.Member]error
		want directory.Kind
	}{
		{"every row fails", bad, directory.Internal},
		{"the store is unavailable", map[id.Member]error{150: down}, directory.Unavailable},
	} {
		d := directory.New(faulty{w.Store, c.bad}, directory.Options{Clock: w.Clock.Now})
		w.refused(c.what, c.want, func() error {
			return drop(d.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(g.ID), Add: refs, Mode: directory.EachAlone}))
		})
		d.Close()
	}
}

func TestTheLastAdministratorStaysAndTheOthersGo(t *testing.T) {
	w := newWorld(t)
	admins := w.group("admins", directory.Admin)
	plain := w.group("plain", 0)
	ann, bob, eve := w.user("ann", admins, plain), w.user("bob", admins), w.user("eve", plain)
	remove := []directory.MemberRef{member(ann), member(eve), member(bob)}
	a, err := w.ChangeMembers(ctx, w.admin, directory.MembersChange{Group: directory.ByGroup(admins.ID), Remove: remove, Mode: directory.EachAlone})
	r := ok(t, a, err)
	if got := outcomes(r.Remove); got != "removed:1 absent:3 invalid:2 / " || r.Remove[2].Problem.Code != directory.ErrLastAdmin.Code {
		t.Errorf("the outcomes are %s (%+v)", got, r.Remove)
	}

	// Of all groups at once, the one that makes an administrator stays.
	w.add(plain, member(bob), directory.Standing{})
	b, err := w.ChangeGroups(ctx, w.admin, directory.GroupsChange{Member: member(bob), Replace: true, Mode: directory.EachAlone, Named: true})
	s := ok(t, b, err)
	if len(s.Left) != 1 || s.Left[0].Group != plain.Number || len(s.Stuck) != 1 || s.Stuck[0].Edge.Group != admins.Number ||
		s.Named[admins.Number].Name != "admins" || s.Named[plain.Number].Name != "plain" {
		t.Errorf("leaving all groups: %+v", s)
	}
}

func TestAGroupThatOneMayNotJoinCostsTheOthersNothing(t *testing.T) {
	w := newWorld(t)
	one, admins, two := w.group("one", 0), w.group("admins", directory.Admin), w.group("two", 0)
	w.user("root", admins)
	ann := w.user("ann")
	refs := []directory.Ref{directory.ByGroup(one.ID), directory.ByGroup(admins.ID), directory.ByName("none"), directory.ByGroup(two.ID)}
	a, err := w.ChangeGroups(ctx, w.with(directory.WriteMembers), directory.GroupsChange{Member: member(ann), Add: refs, Mode: directory.EachAlone})
	r := ok(t, a, err)
	if got := outcomes(r.Add); got != "added:2 invalid:2 invalid:2 added:2 / " {
		t.Errorf("the outcomes are %s", got)
	}
	if r.Add[1].Problem.Kind != directory.Forbidden || r.Add[2].Problem.Kind != directory.NotFound {
		t.Errorf("the problems are %v and %v", r.Add[1].Problem, r.Add[2].Problem)
	}
	b, err := w.IsMember(ctx, w.admin, directory.Check{User: directory.ByUser(ann.ID), Group: directory.ByGroup(admins.ID)})
	if ok(t, b, err) {
		t.Error("she is an administrator")
	}
}
