package directory_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"roster/internal/directory"
	"roster/internal/id"
)

// ago is the oracle as of a moment, and the instant at which dates count then.
func (o *oracle) ago(w directory.When) (*oracle, time.Time) {
	all := append(slices.Clone(o.history), o)
	if w.Revision != 0 {
		then := all[w.Revision]
		if w.Time.IsZero() {
			return then, then.last
		}
		return then, w.Time
	}
	then := all[0]
	for _, x := range all[1:] {
		if !x.last.After(w.Time) {
			then = x
		}
	}
	return then, w.Time
}

// when draws a moment: a revision there was, mostly of late, or an instant from before
// the first to one that has not come.
func (m *machine) when(t *rapid.T) directory.When {
	if rapid.Bool().Draw(t, "by revision") && m.o.revision > 0 {
		return directory.When{Revision: m.o.revision - directory.Revision(rapid.IntRange(0, int(m.o.revision)-1).Draw(t, "revisions ago"))}
	}
	return directory.When{Time: m.clock.Now().Add(time.Duration(rapid.IntRange(-12, 2).Draw(t, "half seconds")) * time.Second / 2)}
}

// agreeThen asks about the past in every way there is.
func (m *machine) agreeThen(t *rapid.T) {
	w := m.when(t)
	o, at := m.o.ago(w)
	users, groups := slices.Sorted(maps.Keys(o.users)), slices.Sorted(maps.Keys(o.groups))
	var checks []directory.Check
	var want []bool
	inside := map[id.Number][]id.Number{}
	for _, u := range append(users, 99) {
		in := o.groupsOf(id.UserMember(u), at)
		for _, g := range in {
			inside[g] = append(inside[g], u)
		}
		for _, g := range append(groups, 99) {
			c := directory.Check{User: directory.ByNumber(int64(u)), Group: directory.ByNumber(int64(g))}
			if u != 99 && g != 99 && rapid.Bool().Draw(t, "by name") {
				c = directory.Check{User: directory.ByName(o.users[u].Name), Group: directory.ByName(o.groups[g].Name)}
			}
			checks, want = append(checks, c), append(want, slices.Contains(in, g))
		}
	}
	got, err := m.d.WereMembers(ctx, m.p, checks, w)
	if err != nil || !slices.Equal(got.Value, want) || got.Revision != o.revision {
		t.Fatalf("as of %+v the checks %+v are %v at %d, %v; want %v at %d", w, checks, got.Value, got.Revision, err, want, o.revision)
	}
	for _, g := range groups {
		if got := m.pages(t, directory.ListMembers{Page: directory.Page{At: w, Limit: 2}, Group: directory.ByNumber(int64(g)), Transitive: true}, func() {}); !slices.Equal(got, inside[g]) {
			t.Fatalf("as of %+v the members of %d are %v, want %v", w, g, got, inside[g])
		}
	}
	for _, u := range users {
		a, err := m.d.GroupsOf(ctx, m.p, directory.ListMembers{Page: directory.Page{At: w}, Member: directory.MemberRef{Ref: directory.ByNumber(int64(u))}, Transitive: true})
		if err != nil {
			t.Fatal(err)
		}
		var in []id.Number
		for _, x := range a.Value.Items {
			in = append(in, x.Group.Number)
			if x.Group.Name != o.groups[x.Group.Number].Name {
				t.Fatalf("as of %+v group %d is named %q", w, x.Group.Number, x.Group.Name)
			}
		}
		if want := o.groupsOf(id.UserMember(u), at); !slices.Equal(in, want) {
			t.Fatalf("as of %+v user %d is in %v, want %v", w, u, in, want)
		}
	}
}

// tick records what the clock did, in all tenants.
func (m *machine) tick(t *rapid.T) {
	if err := m.d.Tick(ctx); err != nil {
		t.Fatal(err)
	}
	hand := m.o.hand
	m.o.hand = directory.Author{Actor: directory.Actor{Name: "clock"}, Dialect: "clock"}
	compare(t, "Tick", nil, m.o.change(m.d.Now(), func(*oracle, time.Time) (bool, error) { return false, nil }))
	m.o.hand = hand
}

// pages reads a list of users, or of the groups of one, to its end and does
// something after each page. Groups among the members of a group are left out.
func (m *machine) pages(t *rapid.T, in directory.ListMembers, between func()) (got []id.Number) {
	total := int64(-1)
	for {
		find := m.d.Members
		if in.Group.Kind == 0 {
			find = m.d.GroupsOf
		}
		a, err := find(ctx, m.p, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range a.Value.Items {
			switch {
			case x.User != nil:
				got = append(got, x.User.Number)
			case in.Group.Kind == 0:
				got = append(got, x.Group.Number)
			}
		}
		if total >= 0 && total != a.Value.Total {
			t.Fatalf("one page of %+v counts %d, another %d", in, total, a.Value.Total)
		}
		total, in.At = a.Value.Total, a.Value.At
		if in.After = a.Value.Next; in.After == 0 {
			if in.Count && in.Transitive && total != int64(len(got)) {
				t.Fatalf("%+v counts %d of %d", in, total, len(got))
			}
			return got
		}
		between()
	}
}

// disturb does something that must not show in the pages that are still to come
// of a list.
func (m *machine) disturb(t *rapid.T) {
	switch rapid.IntRange(0, 9).Draw(t, "between pages") {
	case 0:
		m.changeMembers(t)
	case 1:
		m.changeMany(t)
	case 2:
		m.updateUser(t)
	case 3:
		m.deleteUser(t)
	case 4:
		m.deleteGroup(t)
	case 5:
		m.clock.Advance(time.Second / 2)
	case 6:
		m.crowdOut(t)
	case 7:
		m.forgetAll(t)
	case 8:
		m.restart(t)
	case 9:
		// Whatever is found in memory from here on is not of this list.
		m.changeGroups(t)
		m.ask(t)
	}
}

// crowdOut has another tenant take the room in the index, if it is small.
func (m *machine) crowdOut(t *rapid.T) {
	m.made++
	if _, err := m.d.CreateUser(ctx, m.other, directory.NewUser{Name: fmt.Sprintf("o%d", m.made)}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.d.AreMembers(ctx, m.other, make([]directory.Check, 1)); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) forgetAll(*rapid.T) {
	m.d.Close()
	m.begin()
}

func (m *machine) restart(t *rapid.T) {
	m.shut(t)
	m.open(t)
}

// ask has the tenant read into the index, if it is not there.
func (m *machine) ask(t *rapid.T) {
	if _, err := m.d.AreMembers(ctx, m.p, make([]directory.Check, 1)); err != nil {
		t.Fatal(err)
	}
}

// pageOn reads a list whose pages are far apart: they are one snapshot.
func (m *machine) pageOn(t *rapid.T) {
	groups, users := slices.Sorted(maps.Keys(m.o.groups)), slices.Sorted(maps.Keys(m.o.users))
	if len(groups) == 0 || len(users) == 0 {
		return
	}
	now := m.d.Now()
	direct := rapid.Bool().Draw(t, "direct")
	in := directory.ListMembers{Page: directory.Page{Limit: rapid.IntRange(1, 2).Draw(t, "limit")}, Transitive: !direct, Count: rapid.Bool().Draw(t, "count")}
	var want []id.Number
	if rapid.Bool().Draw(t, "groups") {
		u := rapid.SampledFrom(users).Draw(t, "list of")
		in.Member = directory.MemberRef{Ref: directory.ByUser(m.o.users[u].ID)}
		for _, g := range groups {
			if s, stands := m.o.edges[directory.Edge{Group: g, Member: id.UserMember(u)}]; direct && stands && s.HoldsAt(now) && m.o.users[u].ActiveAt(now) {
				want = append(want, g)
			}
		}
		if !direct {
			want = m.o.groupsOf(id.UserMember(u), now)
		}
	} else {
		g := rapid.SampledFrom(groups).Draw(t, "list")
		in.Group = directory.ByGroup(m.o.groups[g].ID)
		for _, u := range users {
			s, stands := m.o.edges[directory.Edge{Group: g, Member: id.UserMember(u)}]
			if direct && stands && s.HoldsAt(now) && m.o.users[u].ActiveAt(now) || !direct && slices.Contains(m.o.groupsOf(id.UserMember(u), now), g) {
				want = append(want, u)
			}
		}
	}
	got := m.pages(t, in, func() { m.disturb(t) })
	if !slices.Equal(got, want) {
		t.Fatalf("the pages of %+v hold %v, want %v as of %v", in, got, want, now)
	}
}
