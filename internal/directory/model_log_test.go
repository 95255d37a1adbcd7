package directory_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"roster/internal/directory"
	"roster/internal/id"
)

// keys are whom the machine may write as.
var keys = []id.Credential{id.New[id.Credential](), id.New[id.Credential]()}

// somebody makes another write from here on.
func (m *machine) somebody(t *rapid.T) {
	m.p.Credential = rapid.SampledFrom(keys).Draw(t, "key")
	m.p.Dialect = rapid.SampledFrom([]string{"test", "native"}).Draw(t, "dialect")
	m.o.hand = directory.Author{Actor: directory.Actor{Credential: m.p.Credential, Name: m.p.Name}, Dialect: m.p.Dialect}
}

// deed is one line of what a commit did: to whom, and how a member stood before
// and stands after.
type deed struct {
	revision      directory.Revision
	by            directory.Author
	kind          directory.ChangeKind
	number        id.Number
	member        id.Member
	before, after *directory.Standing
}

// deeds are the lines of records, all named as they were called then.
func (m *machine) deeds(t *rapid.T, records []directory.Record) (lines []deed) {
	all := append(slices.Clone(m.o.history), &m.o)
	for _, r := range records {
		now, before := all[r.Revision], all[r.Revision-1]
		if !r.At.Equal(now.last) {
			t.Fatalf("revision %d was at %v, want %v", r.Revision, r.At, now.last)
		}
		named := func(u *directory.User, g *directory.Group) {
			if u != nil {
				is, ok := now.users[u.Number]
				if !ok {
					is = before.users[u.Number]
				}
				if u.Name != is.Name || u.ID != is.ID {
					t.Fatalf("at %d user %d is told as %+v, want %q", r.Revision, u.Number, u, is.Name)
				}
			}
			if g != nil {
				is, ok := now.groups[g.Number]
				if !ok {
					is = before.groups[g.Number]
				}
				if g.Name != is.Name || g.ID != is.ID {
					t.Fatalf("at %d group %d is told as %+v, want %q", r.Revision, g.Number, g, is.Name)
				}
			}
		}
		for _, c := range r.Changes {
			named(c.User, c.Group)
			line := deed{revision: r.Revision, by: directory.Author{Actor: r.Actor, Dialect: r.Dialect, Request: r.Request}, kind: c.Kind, number: c.Number}
			if noun, _, _ := strings.Cut(string(c.Kind), "."); (noun == "user") != (c.User != nil) || (noun == "user") == (c.Group != nil) {
				t.Fatalf("at %d a change %s is of %v and %v", r.Revision, c.Kind, c.User, c.Group)
			}
			for i, who := range c.Members {
				x := c.Who[i]
				named(x.User, x.Group)
				u, isUser := who.User()
				if g, _ := who.Group(); isUser != (x.User != nil) || isUser && x.User.Number != u || !isUser && x.Group.Number != g {
					t.Fatalf("at %d member %d is told as %+v", r.Revision, who, x)
				}
				line.member, line.before, line.after = who, x.Before, nil
				if c.Kind != directory.MembersRemoved {
					line.after = &c.Standing
				}
				lines = append(lines, line)
			}
			if len(c.Members) == 0 {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// commit reads everything that one commit did, in small pages.
func (m *machine) commit(t *rapid.T, rev directory.Revision) []deed {
	in := directory.ListCommit{Revision: rev, Page: directory.Page{Limit: rapid.IntRange(1, 3).Draw(t, "lines a page")}}
	var lines []deed
	for {
		a, err := m.d.Commit(ctx, m.p, in)
		if err != nil {
			t.Fatal(err)
		}
		page := m.deeds(t, a.Value.Items)
		if len(page) > in.Limit || len(page) == 0 || a.Value.Next != 0 && len(page) < in.Limit {
			t.Fatalf("a page of revision %d has %d lines", rev, len(page))
		}
		lines = append(lines, page...)
		if in.After = a.Value.Next; in.After == 0 {
			return lines
		}
	}
}

// did holds what a commit is told to have done against what it came to.
func (m *machine) did(t *rapid.T, rev directory.Revision, lines []deed) {
	all := append(slices.Clone(m.o.history), &m.o)
	was, is := all[rev-1], all[rev]
	turned := directory.ClockChanges(was.turns(is.last))
	things := map[string]bool{}
	edges := map[directory.Edge]*directory.Standing{}
	for e, s := range was.edges {
		edges[e] = &s
	}
	for _, l := range lines {
		e := directory.Edge{Group: l.number, Member: l.member}
		if len(turned) > 0 {
			if l.by.Actor.Name != "clock" || l.by.Dialect != "clock" || l.kind != turned[0].Kind || l.number != turned[0].Number || l.member != turned[0].Members[0] || *l.after != turned[0].Standing {
				t.Fatalf("revision %d begins with %+v, want what the clock did: %+v", rev, l, turned[0])
			}
			if turned[0].Members = turned[0].Members[1:]; len(turned[0].Members) == 0 {
				turned = turned[1:]
			}
			continue
		}
		if l.by != is.by {
			t.Fatalf("revision %d is by %+v, want %+v", rev, l.by, is.by)
		}
		if l.member == 0 {
			things[fmt.Sprint(l.kind, l.number)] = true
			continue
		}
		if !reflect.DeepEqual(l.before, edges[e]) || (l.kind == directory.MembersAdded) != (edges[e] == nil) {
			t.Fatalf("revision %d: %s of %v stood as %+v before, want %+v", rev, l.kind, e, l.before, edges[e])
		}
		edges[e] = l.after
	}
	if len(turned) > 0 {
		t.Fatalf("revision %d does not tell that the clock did %+v", rev, turned)
	}
	for e := range edges {
		if s, stands := is.edges[e]; stands != (edges[e] != nil) || stands && s != *edges[e] {
			t.Fatalf("by revision %d %v is told to stand as %+v, want %+v (%v)", rev, e, edges[e], s, stands)
		}
	}
	for e := range is.edges {
		if edges[e] == nil {
			t.Fatalf("revision %d does not tell of %v", rev, e)
		}
	}
	want := map[string]bool{}
	for n, u := range is.users {
		if before, ok := was.users[n]; !ok {
			want[fmt.Sprint(directory.UserCreated, n)] = true
		} else if before.Version != u.Version {
			want[fmt.Sprint(directory.UserUpdated, n)] = true
		}
	}
	for n := range was.users {
		if _, ok := is.users[n]; !ok {
			want[fmt.Sprint(directory.UserDeleted, n)] = true
		}
	}
	for n, g := range is.groups {
		if before, ok := was.groups[n]; !ok {
			want[fmt.Sprint(directory.GroupCreated, n)] = true
		} else if before.Version != g.Version {
			want[fmt.Sprint(directory.GroupUpdated, n)] = true
		}
	}
	for n := range was.groups {
		if _, ok := is.groups[n]; !ok {
			want[fmt.Sprint(directory.GroupDeleted, n)] = true
		}
	}
	if diff := cmp.Diff(want, things); diff != "" {
		t.Fatalf("revision %d did otherwise (-want +got):\n%s", rev, diff)
	}
}

// log asks who did what: all that a commit did, and lists by every filter.
func (m *machine) log(t *rapid.T) {
	if m.o.revision == 0 {
		return
	}
	var all []deed
	for rev := directory.Revision(1); rev <= m.o.revision; rev++ {
		lines := m.commit(t, rev)
		m.did(t, rev, lines)
		all = append(all, lines...)
	}
	in := directory.ListChanges{Ascending: rapid.Bool().Draw(t, "oldest first"), Page: directory.Page{Limit: rapid.IntRange(1, 4).Draw(t, "records a page")}}
	keep := func(means func(deed) bool) {
		all = slices.DeleteFunc(all, func(l deed) bool { return !means(l) })
	}
	asked := func(what string) bool { return rapid.IntRange(0, 2).Draw(t, what) == 0 }
	if asked("from") {
		in.From = m.when(t)
		keep(func(l deed) bool {
			if in.From.Revision != 0 {
				return l.revision >= in.From.Revision
			}
			return !m.at(l.revision).last.Before(in.From.Time)
		})
	}
	if asked("to") {
		in.To = m.when(t)
		keep(func(l deed) bool {
			if in.To.Revision != 0 {
				return l.revision <= in.To.Revision
			}
			return !m.at(l.revision).last.After(in.To.Time)
		})
	}
	if asked("by key") {
		in.By.Credential = rapid.SampledFrom(keys).Draw(t, "of key")
		keep(func(l deed) bool { return l.by.Actor.Credential == in.By.Credential })
	}
	if asked("by name") {
		in.By.Name = rapid.SampledFrom([]string{m.p.Name, "clock", "nobody"}).Draw(t, "name")
		keep(func(l deed) bool { return l.by.Actor.Name == in.By.Name })
	}
	if asked("by dialect") {
		in.Dialect = rapid.SampledFrom([]string{"test", "native", "clock"}).Draw(t, "of dialect")
		keep(func(l deed) bool { return l.by.Dialect == in.Dialect })
	}
	if asked("by kind") {
		var err error
		if in.Kinds, err = directory.ParseKinds([]string{rapid.SampledFrom([]string{"members", "members.updated", "user", "group.deleted"}).Draw(t, "kind")}); err != nil {
			t.Fatal(err)
		}
		keep(func(l deed) bool { return slices.Contains(in.Kinds, l.kind) })
	}
	// Whoever ever was is asked about by number, also once deleted.
	ever := func(what string, kind directory.ChangeKind) id.Number {
		var numbers []id.Number
		for rev := directory.Revision(1); rev <= m.o.revision; rev++ {
			things := m.at(rev).users
			for n := range things {
				if kind == directory.UserCreated && !slices.Contains(numbers, n) {
					numbers = append(numbers, n)
				}
			}
			for n := range m.at(rev).groups {
				if kind == directory.GroupCreated && !slices.Contains(numbers, n) {
					numbers = append(numbers, n)
				}
			}
		}
		slices.Sort(numbers)
		return rapid.SampledFrom(append(numbers, 99)).Draw(t, what)
	}
	var user, group id.Number
	if asked("of a user") {
		user = ever("user concerned", directory.UserCreated)
		in.User = directory.ByNumber(int64(user))
	}
	if asked("of a group") {
		group = ever("group concerned", directory.GroupCreated)
		in.Group = directory.ByNumber(int64(group))
	}
	keep(func(l deed) bool {
		noun, _, _ := strings.Cut(string(l.kind), ".")
		isUser := noun == "user" && l.number == user || noun == "members" && l.member == id.UserMember(user)
		isGroup := noun == "group" && l.number == group || noun == "members" && (l.number == group || l.member == id.GroupMember(group))
		return (user == 0 || isUser) && (group == 0 || isGroup)
	})
	var got []deed
	for pages := 0; ; pages++ {
		a, err := m.d.Changes(ctx, m.p, in)
		if user == 99 || group == 99 {
			want := "user.unknown"
			if user != 99 {
				want = "group.unknown"
			}
			if code(err) != want {
				t.Fatalf("of nobody it says %v, want %s", err, want)
			}
			return
		}
		if err != nil || a.Revision != m.o.revision {
			t.Fatalf("%+v: %v at %d", in, err, a.Revision)
		}
		if len(a.Value.Items) > in.Limit+1 {
			t.Fatalf("a page has %d records", len(a.Value.Items))
		}
		for _, r := range a.Value.Items {
			lines := m.deeds(t, []directory.Record{r})
			if len(lines) > r.Count || (len(lines) == r.Count) != r.Whole {
				t.Fatalf("a record of %d lines tells %d: whole is %v", r.Count, len(lines), r.Whole)
			}
			got = append(got, lines...)
		}
		if in.After = a.Value.Next; in.After == 0 {
			break
		}
		if pages == 1 && asked("write between pages") && in.To.IsZero() && !in.Ascending {
			m.createGroup(t) // which comes before the first page
		}
	}
	if !in.Ascending {
		slices.SortStableFunc(all, func(a, b deed) int { return int(b.revision) - int(a.revision) })
	}
	if diff := cmp.Diff(append([]deed{}, all...), append([]deed{}, got...), cmp.AllowUnexported(deed{})); diff != "" {
		t.Fatalf("the list of %+v differs (-want +got):\n%s", in, diff)
	}
}

// at is the oracle as of a revision.
func (m *machine) at(rev directory.Revision) *oracle {
	if rev == m.o.revision {
		return &m.o
	}
	return m.o.history[rev]
}
