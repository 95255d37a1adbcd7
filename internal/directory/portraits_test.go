package directory_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/id"
)

func TestPortraitsAreThoseOfANaiveWalkInPagesFromEitherEnd(t *testing.T) {
	w := newWorld(t)
	random := rand.New(rand.NewPCG(1, 2))
	top, below, other := w.group("top", 0), w.group("below", 0), w.group("other", directory.ReadUsers)
	w.user("root", w.group("admins", directory.Admin))
	w.add(top, child(below), directory.Standing{})
	groups := []directory.Group{top, below, other}
	for i := range 60 {
		in := directory.NewUser{Name: fmt.Sprint("u", i), Email: fmt.Sprintf("U%d@Example.com", i), DisplayName: []string{"", "Ana Lima", "ANALÍ"}[i%3]}
		in.Suspended = random.IntN(6) == 0
		if random.IntN(6) == 0 {
			in.Expires = w.Now().Add(time.Duration(random.IntN(2)) * time.Hour)
		}
		a, err := w.CreateUser(ctx, w.admin, in)
		u := ok(t, a, err)
		for _, g := range groups {
			switch random.IntN(5) {
			case 0:
				w.add(g, member(u), directory.Standing{})
			case 1:
				w.add(g, member(u), directory.Standing{From: w.Now().Add(time.Hour)})
			case 2:
				w.add(g, member(u), directory.Standing{Until: w.Now().Add(time.Minute)})
			}
		}
	}
	w.Clock.Advance(time.Minute)

	// By other operations: everybody with the groups they would be in if active.
	a, err := w.Users(ctx, w.admin, directory.ListUsers{Page: directory.Page{Limit: directory.MaxPage}})
	all := ok(t, a, err).Items
	in := map[id.Number][]id.Number{}
	names := map[id.Number]string{}
	for _, g := range groups {
		names[g.Number] = g.Name
		b, err := w.Members(ctx, w.admin, directory.ListMembers{Page: directory.Page{Limit: directory.MaxPage}, Group: directory.ByGroup(g.ID), Standing: true})
		for _, m := range ok(t, b, err).Items {
			if m.User == nil || !m.Membership.HoldsAt(w.Now()) {
				continue
			}
			in[m.User.Number] = append(in[m.User.Number], g.Number)
			if g.ID == below.ID {
				in[m.User.Number] = append(in[m.User.Number], top.Number)
			}
		}
	}
	for n, list := range in {
		slices.Sort(list)
		in[n] = slices.Compact(list)
	}
	say := func(u directory.User, see func(id.Number) bool) string {
		s := fmt.Sprint(u.Number)
		for _, g := range in[u.Number] {
			if see(g) {
				s += " " + names[g]
			}
		}
		return s
	}
	reader := directory.ReadUsers | directory.ReadMembers
	bounds := map[string]directory.Principal{
		"nobody's bound": w.with(reader), "bounded to one": w.within(reader, top), "bounded to two": w.within(reader, other, below),
		"bounded to none": w.within(reader),
	}
	check := func(warm bool) {
		for bound, p := range bounds {
			see := func(g id.Number) bool { return p.Within == nil || slices.Contains(p.Within.Groups, g) }
			for _, group := range []directory.Ref{{}, directory.ByNumber(int64(top.Number)), directory.ByName("below"), directory.ByGroup(other.ID), directory.ByNumber(99)} {
				for _, text := range []string{"", "aNa", "U1", "analí", "none"} {
					for _, inactive := range []bool{false, true} {
						var want []string
						for _, u := range all {
							within := p.Within == nil && group.Kind == 0
							for _, g := range in[u.Number] {
								named := group == directory.ByNumber(int64(g)) || group == directory.ByName(names[g]) || g == other.Number && group == directory.ByGroup(other.ID)
								within = within || see(g) && (named || group.Kind == 0)
							}
							if p.Within != nil && group == directory.ByNumber(int64(top.Number)) && !see(top.Number) {
								within = false
							}
							matches := false
							for _, s := range []string{u.Name, u.Email, u.DisplayName} {
								matches = matches || strings.Contains(directory.FoldName(s), directory.FoldName(text))
							}
							if within && matches && (inactive || u.ActiveAt(w.Now())) {
								want = append(want, say(u, see))
							}
						}
						for _, descending := range []bool{false, true} {
							if descending {
								want = slices.Clone(want)
								slices.Reverse(want)
							}
							for _, limit := range []int{7, 100} {
								ask := directory.ListPortraits{Limit: limit, Descending: descending, Group: group, Text: text, Inactive: inactive}
								var got []string
								for {
									a, err := w.Portraits(ctx, p, ask)
									page := ok(t, a, err)
									for _, u := range page.Items {
										s := fmt.Sprint(u.Number)
										for _, g := range u.Groups {
											if g.Name != "admins" {
												s += " " + g.Name
											}
										}
										got = append(got, s)
									}
									if page.Next != 0 && len(page.Items) != limit {
										t.Fatalf("a page of %d of %d is not the last", len(page.Items), limit)
									}
									if ask.After = page.Next; page.Next == 0 {
										break
									}
								}
								if diff := cmp.Diff(want, got); diff != "" {
									t.Fatalf("%s, %+v, warm %v (-want +got):\n%s", bound, ask, warm, diff)
								}
							}
						}
					}
				}
			}
		}
	}
	check(false)
	root, err := w.Users(ctx, w.admin, directory.ListUsers{Page: directory.Page{Limit: 1}})
	w.warm(ok(t, root, err).Items[0], w.group("empty", 0))
	check(true)
	for _, far := range []int64{-1, int64(id.MaxNumber), int64(id.MaxNumber) + 1, 1 << 40} {
		a, err := w.Portraits(ctx, w.admin, directory.ListPortraits{After: far, Group: directory.ByGroup(top.ID)})
		if n := len(ok(t, a, err).Items); far > 0 && n > 0 {
			t.Errorf("after %d there are %d", far, n)
		}
		a, err = w.Portraits(ctx, w.admin, directory.ListPortraits{After: far, Descending: true})
		if n := len(ok(t, a, err).Items); n == 0 {
			t.Errorf("below %d there is nobody", far)
		}
	}
}

func TestAdvisory03_APortraitShowsNoGroupBeyondTheBound(t *testing.T) {
	w := newWorld(t)
	hidden := w.group("hidden", directory.Admin)
	seen := w.group("seen", 0, hidden)
	ann := w.user("ann", seen)
	p := w.within(directory.ReadUsers|directory.ReadMembers, seen)
	a, err := w.Portrait(ctx, p, directory.FindPortrait{User: directory.ByUser(ann.ID)})
	got := ok(t, a, err)
	if len(got.Groups) != 1 || got.Groups[0].Name != "seen" || !got.Holds.Has(directory.Admin) || got.Tenant.Name != "one" {
		t.Errorf("the portrait is %+v", got)
	}
	b, err := w.Portraits(ctx, p, directory.ListPortraits{})
	if list := ok(t, b, err).Items; len(list) != 1 || len(list[0].Groups) != 1 {
		t.Errorf("the portraits are %+v", list)
	}
}

func TestAProofIsGoodOnceForItsUserAndForItsTime(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.user("ann"), w.user("bob")
	p := w.with(directory.ReadUsers | directory.ReadMembers)
	make := func(u directory.User, secret string, expires time.Duration) {
		in := directory.NewCredential{Kind: "proof", User: directory.ByUser(u.ID), Hash: authn.Hash("proof", secret)}
		if expires != 0 {
			in.Expires = w.Now().Add(expires)
		}
		a, err := w.CreateCredential(ctx, w.admin, in)
		ok(t, a, err)
	}
	ask := func(p directory.Principal, u directory.User, secret string) error {
		_, err := w.Portrait(ctx, p, directory.FindPortrait{User: directory.ByUser(u.ID), Proof: &directory.Proof{Kind: "proof", Hash: authn.Hash("proof", secret), For: time.Minute}})
		return err
	}
	make(ann, "one", 0)
	make(ann, "two", 0)
	make(ann, "brief", time.Second)
	w.refused("of somebody else", directory.Forbidden, func() error { return ask(p, bob, "one") })
	w.refused("made up", directory.Forbidden, func() error { return ask(p, ann, "three") })
	w.refused("by a key that may not", directory.Forbidden, func() error { return ask(w.with(directory.ReadUsers), ann, "one") })
	w.refused("beyond the bound", directory.NotFound, func() error { return ask(w.within(p.Grants), ann, "one") })
	if err := ask(p, ann, "one"); err != nil {
		t.Errorf("the first time: %v", err)
	}
	w.refused("the second time", directory.Forbidden, func() error { return ask(p, ann, "one") })
	w.Clock.Advance(time.Second)
	w.refused("past its date", directory.Forbidden, func() error { return ask(p, ann, "brief") })
	w.Clock.Advance(time.Minute)
	w.refused("too late", directory.Forbidden, func() error { return ask(p, ann, "two") })

	yes := true
	a, err := w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(ann.ID), Suspended: &yes})
	ok(t, a, err)
	for active, want := range map[bool]error{true: directory.ErrNoUser, false: nil} {
		if _, err := w.Portrait(ctx, p, directory.FindPortrait{User: directory.ByUser(ann.ID), Active: active}); !errors.Is(err, want) && err != want {
			t.Errorf("who is suspended, if asked for active ones %v: %v", active, err)
		}
	}
}
