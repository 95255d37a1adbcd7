package directory_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/store/postgres"
	"roster/internal/store/postgres/pgtest"
	"roster/internal/store/sqlite"
)

// nodes are directories on one store: one on the embedded engine, two on
// PostgreSQL.
func nodes(t *testing.T, engine string) []*directory.Directory {
	t.Helper()
	var stores []directory.Store
	if engine == "sqlite" {
		s, err := sqlite.Open(ctx, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		stores = append(stores, s)
	} else {
		dsn := pgtest.Shared(t).Database(t)
		for range 2 {
			s, err := postgres.Open(ctx, dsn, postgres.Options{Connections: 6})
			if err != nil {
				t.Fatal(err)
			}
			stores = append(stores, s)
		}
	}
	var all []*directory.Directory
	for _, s := range stores {
		d := directory.New(s, directory.Options{})
		all = append(all, d)
		t.Cleanup(func() {
			d.Close()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return all
}

func TestOfTwoLinksThatTogetherCloseACycleOneIsRefused(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			all := nodes(t, engine)
			one, other := all[0], all[len(all)-1]
			a, err := one.CreateTenant(ctx, directorytest.Root(), directory.NewTenant{Name: "one"})
			if err != nil {
				t.Fatal(err)
			}
			p := directorytest.In(directorytest.Root(), a.Value.ID)
			link := func(d *directory.Directory, child, parent string) error {
				_, err := d.ChangeMembers(ctx, p, directory.MembersChange{Group: directory.ByName(parent), Add: []directory.MemberRef{{IsGroup: true, Ref: directory.ByName(child)}}})
				return err
			}
			for round := range 20 {
				// a in b, and c in d: then b in c and d in a close a ring.
				for _, name := range []string{"a", "b", "c", "d"} {
					if _, err := one.CreateGroup(ctx, p, directory.NewGroup{Name: fmt.Sprint(name, round)}); err != nil {
						t.Fatal(err)
					}
				}
				name := func(s string) string { return fmt.Sprint(s, round) }
				if err := link(one, name("a"), name("b")); err != nil {
					t.Fatal(err)
				}
				if err := link(one, name("c"), name("d")); err != nil {
					t.Fatal(err)
				}
				var wg sync.WaitGroup
				var first, second error
				wg.Go(func() { first = link(one, name("b"), name("c")) })
				wg.Go(func() { second = link(other, name("d"), name("a")) })
				wg.Wait()
				if (first == nil) == (second == nil) {
					t.Fatalf("round %d: the two links say %v and %v", round, first, second)
				}
				refused := first
				if refused == nil {
					refused = second
				}
				if directory.CodeOf(refused) != "group.cycle" {
					t.Fatalf("round %d: refused with %v", round, refused)
				}
			}
		})
	}
}

func TestADeepChainIsLinkedCheckedAndExplained(t *testing.T) {
	w := directorytest.New(t, nil)
	a, err := w.CreateTenant(ctx, directorytest.Root(), directory.NewTenant{Name: "one"})
	if err != nil {
		t.Fatal(err)
	}
	p := directorytest.In(directorytest.Root(), a.Value.ID)
	deep := 3000
	if testing.Short() {
		deep = 300
	}
	for i := range deep {
		if _, err := w.CreateGroup(ctx, p, directory.NewGroup{Name: fmt.Sprint("g", i)}); err != nil {
			t.Fatal(err)
		}
	}
	b := directory.BatchRun{Do: directory.AddMembers}
	for i := 1; i < deep; i++ {
		b.Pairs = append(b.Pairs, directory.Pair{Member: directory.MemberRef{IsGroup: true, Ref: directory.ByNumber(int64(i + 1))}, Group: directory.ByNumber(int64(i))})
	}
	if _, err := w.ChangeMemberships(ctx, p, directory.Batch{Runs: []directory.BatchRun{b}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.CreateUser(ctx, p, directory.NewUser{Name: "ann", Groups: []directory.Ref{directory.ByNumber(int64(deep))}}); err != nil {
		t.Fatal(err)
	}
	in, err := w.IsMember(ctx, p, directory.Check{User: directory.ByName("ann"), Group: directory.ByNumber(1)})
	if err != nil || !in.Value {
		t.Errorf("at the bottom of %d groups ann is in the top one: %v, %v", deep, in.Value, err)
	}
	x, err := w.Explain(ctx, p, directory.Explain{User: directory.ByName("ann"), Group: directory.ByNumber(1)})
	if err != nil || x.Value.Count != 1 || len(x.Value.Ways) != 1 || len(x.Value.Ways[0]) != deep {
		t.Errorf("the only way is said to be %d of %d, %v", len(x.Value.Ways), x.Value.Count, err)
	}
	_, err = w.ChangeMembers(ctx, p, directory.MembersChange{Group: directory.ByNumber(int64(deep)), Add: []directory.MemberRef{{IsGroup: true, Ref: directory.ByNumber(1)}}})
	if directory.CodeOf(err) != "group.cycle" {
		t.Errorf("the top in the bottom: %v", err)
	}
}

func TestMoreWaysThanCanBeCountedAreExplainedPageByPage(t *testing.T) {
	w := directorytest.New(t, nil)
	a, err := w.CreateTenant(ctx, directorytest.Root(), directory.NewTenant{Name: "one"})
	if err != nil {
		t.Fatal(err)
	}
	p := directorytest.In(directorytest.Root(), a.Value.ID)
	// Seventy storeys of two groups, each in both of the next: 2^69 ways.
	const storeys = 70
	for i := range 2 * storeys {
		if _, err := w.CreateGroup(ctx, p, directory.NewGroup{Name: fmt.Sprint("g", i)}); err != nil {
			t.Fatal(err)
		}
	}
	b := directory.BatchRun{Do: directory.AddMembers}
	at := func(storey, side int) directory.Ref { return directory.ByNumber(int64(2*storey + side + 1)) }
	for i := range storeys - 1 {
		for side := range 4 {
			b.Pairs = append(b.Pairs, directory.Pair{Member: directory.MemberRef{IsGroup: true, Ref: at(i, side%2)}, Group: at(i+1, side/2)})
		}
	}
	if _, err := w.ChangeMemberships(ctx, p, directory.Batch{Runs: []directory.BatchRun{b}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.CreateUser(ctx, p, directory.NewUser{Name: "ann", Groups: []directory.Ref{at(0, 0), at(0, 1)}}); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	in := directory.Explain{User: directory.ByName("ann"), Group: at(storeys-1, 0)}
	seen := map[string]bool{}
	for range 5 {
		x, err := w.Explain(ctx, p, in)
		if err != nil || x.Value.Count != 1<<63-1 || len(x.Value.Ways) != directory.DefaultWays || x.Value.Next == 0 {
			t.Fatalf("a page holds %d of %d ways, %v", len(x.Value.Ways), x.Value.Count, err)
		}
		for _, way := range x.Value.Ways {
			text := ""
			for _, step := range way {
				text += step.In.Name + " "
			}
			if len(way) != storeys || seen[text] {
				t.Fatalf("a way comes twice, or is cut: %s", text)
			}
			seen[text] = true
		}
		in.Page = directory.Page{After: x.Value.Next, At: x.Value.At}
	}
	t.Logf("five pages took %v", time.Since(begun))
}

// chain makes groups each in the next, and returns their refs and a directory.
func chain(t *testing.T, engine string, n int, name func(int) string) (*directory.Directory, directory.Principal, []directory.Ref) {
	t.Helper()
	d := nodes(t, engine)[0]
	p, refs := chainIn(t, d, "one", n, name)
	return d, p, refs
}

// chainIn is chain in a new tenant of a directory.
func chainIn(t *testing.T, d *directory.Directory, tenant string, n int, name func(int) string) (directory.Principal, []directory.Ref) {
	t.Helper()
	a, err := d.CreateTenant(ctx, directorytest.Root(), directory.NewTenant{Name: tenant})
	if err != nil {
		t.Fatal(err)
	}
	p := directorytest.In(directorytest.Root(), a.Value.ID)
	refs := make([]directory.Ref, n)
	var pairs []directory.Pair
	for i := range refs {
		g, err := d.CreateGroup(ctx, p, directory.NewGroup{Name: name(i)})
		if err != nil {
			t.Fatal(err)
		}
		if refs[i] = directory.ByGroup(g.Value.ID); i > 0 {
			pairs = append(pairs, directory.Pair{Member: directory.MemberRef{IsGroup: true, Ref: refs[i-1]}, Group: refs[i]})
		}
	}
	if _, err := d.ChangeMemberships(ctx, p, directory.Batch{Runs: []directory.BatchRun{{Do: directory.AddMembers, Pairs: pairs}}}); err != nil {
		t.Fatal(err)
	}
	return p, refs
}

func TestTheWholeOfALongCycleIsNamedAndManyAreToldByTheirEnds(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			const n = 1000
			d, p, refs := chain(t, engine, n, func(i int) string { return fmt.Sprint("g", i) })
			link := directory.Pair{Member: directory.MemberRef{IsGroup: true, Ref: refs[n-1]}, Group: refs[0]}
			_, err := d.ChangeMemberships(ctx, p, directory.Batch{Runs: []directory.BatchRun{{Do: directory.AddMembers, Pairs: []directory.Pair{link}}}})
			e, ok := errors.AsType[*directory.Error](err)
			if !ok || e.Code != "group.cycle" || strings.Count(e.Detail, " in ") != n || !strings.HasSuffix(e.Detail, ": g999 in "+strings.Join(between(0, n), " in ")+".") {
				t.Fatalf("a cycle of %d: %v", n, err)
			}
			links := make([]directory.Pair, directory.MaxBatch)
			for i := range links {
				links[i] = directory.Pair{Member: directory.MemberRef{IsGroup: true, Ref: refs[n-1-i%100]}, Group: refs[i%50]}
			}
			got, err := d.ChangeMemberships(ctx, p, directory.Batch{Mode: directory.Each, Runs: []directory.BatchRun{{Do: directory.AddMembers, Pairs: links}}})
			if err != nil {
				t.Fatal(err)
			}
			said := 0
			for i, r := range got.Value.Runs[0].Items {
				if r.Problem == nil || r.Problem.Code != "group.cycle" {
					t.Fatalf("link %d came to %+v", i, r)
				}
				said += len(r.Problem.Detail)
			}
			if said > 2<<20 {
				t.Errorf("%d links were refused with %d bytes", len(links), said)
			}
			last := got.Value.Runs[0].Items[len(links)-1].Problem.Detail
			if want := "g900 in g49 in g50 in g51 in … 846 more … in g898 in g899 in g900."; !strings.HasSuffix(last, want) {
				t.Errorf("the last says %q, want %q", last, want)
			}
		})
	}
}

func between(from, to int) []string {
	var names []string
	for i := from; i < to; i++ {
		names = append(names, fmt.Sprint("g", i))
	}
	return names
}

// Links that an earlier item of the same batch makes count for the later ones,
// in whichever order they come.
func TestABatchClosesNoCycleByItself(t *testing.T) {
	d, p, refs := chain(t, "sqlite", 6, func(i int) string { return fmt.Sprint("g", i) })
	for name, links := range map[string][][2]int{
		"up and back":               {{5, 0}},
		"to itself":                 {{2, 2}},
		"a ring beside":             {{0, 5}, {5, 0}},
		"by way of what was linked": {{0, 4}, {4, 2}},
	} {
		var pairs []directory.Pair
		for _, l := range links {
			pairs = append(pairs, directory.Pair{Member: directory.MemberRef{IsGroup: true, Ref: refs[l[0]]}, Group: refs[l[1]]})
		}
		_, err := d.ChangeMemberships(ctx, p, directory.Batch{Runs: []directory.BatchRun{{Do: directory.AddMembers, Pairs: pairs}}})
		if directory.CodeOf(err) != "group.cycle" {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Of new groups, whose links are all of the batch.
	var fresh []directory.Ref
	for i := range 5 {
		g, err := d.CreateGroup(ctx, p, directory.NewGroup{Name: fmt.Sprint("f", i)})
		if err != nil {
			t.Fatal(err)
		}
		fresh = append(fresh, directory.ByGroup(g.Value.ID))
	}
	for _, order := range [][][2]int{
		{{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 0}},
		{{3, 4}, {2, 3}, {1, 2}, {0, 1}, {4, 0}},
		{{1, 2}, {3, 4}, {0, 1}, {2, 3}, {4, 0}},
		{{0, 1}, {0, 2}, {1, 2}, {2, 3}, {2, 1}},
	} {
		var pairs []directory.Pair
		for _, l := range order {
			pairs = append(pairs, directory.Pair{Member: directory.MemberRef{IsGroup: true, Ref: fresh[l[0]]}, Group: fresh[l[1]]})
		}
		_, err := d.ChangeMemberships(ctx, p, directory.Batch{Runs: []directory.BatchRun{{Do: directory.AddMembers, Pairs: pairs}}})
		e, ok := errors.AsType[*directory.Error](err)
		if !ok || e.Code != "group.cycle" || !slices.Equal(e.Items, []int{4}) {
			t.Errorf("%v: %+v, want that the last closes a cycle", order, err)
		}
	}
}

// Many links in one batch are refused as they would be one after the other, and
// each is told of a path that is there.
func TestOfManyLinksThoseAreRefusedThatOneAfterTheOtherWouldBe(t *testing.T) {
	for _, work := range []int{64, 0} { // with and without time for shortest paths
		t.Run(fmt.Sprint("work ", work), func(t *testing.T) {
			directory.WorkPerPath(t, work)
			d, tenants := nodes(t, "sqlite")[0], 0
			rapid.Check(t, func(rt *rapid.T) {
				n := rapid.IntRange(2, 60).Draw(rt, "groups")
				tenants++
				p, refs := chainIn(t, d, fmt.Sprint("t", tenants), n, func(i int) string { return fmt.Sprint("g", i) })
				stands := map[[2]int]bool{}
				for i := range n - 1 {
					stands[[2]int{i, i + 1}] = true
				}
				above := func(from, to int) bool {
					seen := map[int]bool{from: true}
					for next := []int{from}; len(next) > 0; next = next[1:] {
						for l := range stands {
							if l[0] == next[0] && !seen[l[1]] {
								seen[l[1]] = true
								next = append(next, l[1])
							}
						}
					}
					return seen[to]
				}
				// Some of the chain is taken away first, so that links can go down too.
				var gone []directory.Pair
				for i := range n - 1 {
					if rapid.IntRange(0, 3).Draw(rt, "gone") == 0 {
						delete(stands, [2]int{i, i + 1})
						gone = append(gone, directory.Pair{Member: directory.MemberRef{IsGroup: true, Ref: refs[i]}, Group: refs[i+1]})
					}
				}
				var pairs []directory.Pair
				var links [][2]int
				for range rapid.IntRange(1, 200).Draw(rt, "links") {
					l := [2]int{rapid.IntRange(0, n-1).Draw(rt, "child"), rapid.IntRange(0, n-1).Draw(rt, "parent")}
					links = append(links, l)
					pairs = append(pairs, directory.Pair{Member: directory.MemberRef{IsGroup: true, Ref: refs[l[0]]}, Group: refs[l[1]]})
				}
				got, err := d.ChangeMemberships(ctx, p, directory.Batch{Mode: directory.Each, Runs: []directory.BatchRun{{Do: directory.RemoveMembers, Pairs: gone}, {Do: directory.AddMembers, Pairs: pairs}}})
				if err != nil {
					rt.Fatal(err)
				}
				refused := make([]bool, len(links))
				for i, l := range links {
					if refused[i] = above(l[1], l[0]); !refused[i] {
						stands[l] = true
					}
				}
				for i, r := range got.Value.Runs[1].Items {
					if (r.Outcome == directory.Bad) != refused[i] {
						rt.Fatalf("link %d, of %v: %v, want refused %v", i, links[i], r.Outcome, refused[i])
					}
					if !refused[i] {
						continue
					}
					_, path, _ := strings.Cut(strings.TrimSuffix(r.Problem.Detail, "."), ": ")
					names := strings.Split(path, " in ")
					number := func(i int) (n int) { fmt.Sscanf(names[i], "g%d", &n); return n }
					last := len(names) - 1
					if number(0) != links[i][0] || number(1) != links[i][1] || number(last) != links[i][0] {
						rt.Fatalf("link %v is told of %q", links[i], path)
					}
					for j := 1; j < last; j++ {
						switch {
						case strings.HasPrefix(names[j], "…"):
						case strings.HasPrefix(names[j+1], "…"):
							if !above(number(j), number(j+2)) || work != 0 && len(names) < 8 {
								rt.Fatalf("link %v is told of %q", links[i], path)
							}
						case !stands[[2]int{number(j), number(j + 1)}]:
							rt.Fatalf("link %v is told of %q, but %s does not stand in %s", links[i], path, names[j], names[j+1])
						}
					}
				}
			})
		})
	}
}

func TestAdvisory03_ACycleIsNotNamedToWhoMayNotReadIt(t *testing.T) {
	d, p, refs := chain(t, "sqlite", 3, func(i int) string { return fmt.Sprint("hidden", i) })
	p.Grants = directory.WriteMembers
	_, err := d.ChangeMembers(ctx, p, directory.MembersChange{Group: refs[0], Add: []directory.MemberRef{{IsGroup: true, Ref: refs[2]}}})
	if directory.CodeOf(err) != "group.cycle" || strings.Contains(err.Error(), "hidden") {
		t.Errorf("it says %v", err)
	}
}
