package storetest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"roster/internal/directory"
	"roster/internal/id"
)

// moment is a tenant as one commit left it: everything that the past is asked
// for, as plain maps.
type moment struct {
	graph
	names map[id.Number]string // of groups
	made  int                  // users there ever were; groups counts those
	at    time.Time
	since map[directory.Edge]directory.Revision // that the membership stands so
}

// mostThings is how many users, and how many groups, a moment ever had.
const mostThings = 4

func (m moment) clone() moment {
	m.users, m.edges, m.names, m.since = maps.Clone(m.users), maps.Clone(m.edges), maps.Clone(m.names), maps.Clone(m.since)
	return m
}

// draw makes a few changes in one commit, to the tenant and to the maps.
func (m *moment) draw(t *rapid.T, wr directory.Writer, rev directory.Revision, made *int) error {
	pickUser := func() (u directory.User, ok bool) {
		if len(m.users) == 0 {
			return u, false
		}
		u = m.users[rapid.SampledFrom(slices.Sorted(maps.Keys(m.users))).Draw(t, "user")]
		return u, true
	}
	pickGroup := func() id.Number {
		return rapid.SampledFrom(slices.Sorted(maps.Keys(m.names))).Draw(t, "group")
	}
	drop := func(gone func(directory.Edge) bool) error {
		var edges []directory.Edge
		for e := range m.edges {
			if gone(e) {
				edges = append(edges, e)
				delete(m.edges, e)
			}
		}
		return wr.DeleteEdges(edges)
	}
	for range rapid.IntRange(1, 3).Draw(t, "changes") {
		what := rapid.IntRange(0, 9).Draw(t, "what")
		switch {
		case len(m.names) < 2 && m.groups < mostThings:
			what = 1
		case len(m.names) < 2:
			return nil
		case what == 0 && m.made == mostThings, what == 1 && m.groups == mostThings:
			what = 5
		}
		var err error
		switch what {
		case 0:
			*made++
			u := directory.User{Name: fmt.Sprint("U", *made)}
			if err = wr.InsertUser(&u); err == nil {
				m.users[u.Number] = u
				m.made++
			}
		case 1:
			*made++
			g := directory.Group{Name: fmt.Sprint("G", *made%3)} // twins
			if err = wr.InsertGroup(&g); err == nil {
				m.names[g.Number] = g.Name
				m.groups++
			}
		case 2, 3:
			u, ok := pickUser()
			if !ok {
				break
			}
			if what == 3 && rapid.Bool().Draw(t, "delete") {
				delete(m.users, u.Number)
				if err = drop(func(e directory.Edge) bool { return e.Member == id.UserMember(u.Number) }); err == nil {
					err = wr.DeleteUser(u)
				}
				break
			}
			after := u
			after.Suspended = rapid.Bool().Draw(t, "suspended")
			if rapid.Bool().Draw(t, "rename") {
				*made++
				after.Name = fmt.Sprint("U", *made)
			}
			if rapid.Bool().Draw(t, "expires") {
				after.Expires = start.Add(time.Duration(rapid.IntRange(-1, 3).Draw(t, "µs")) * time.Microsecond)
			}
			if err = wr.UpdateUser(u, after); err == nil {
				after.Version++
				m.users[u.Number] = after
			}
		case 4:
			var g directory.Group
			if g, err = wr.Group(directory.ByNumber(int64(pickGroup()))); err != nil {
				break
			}
			if rapid.Bool().Draw(t, "rename") {
				after := g
				after.Name = fmt.Sprint("G", rapid.IntRange(0, 3).Draw(t, "name"))
				m.names[g.Number] = after.Name
				err = wr.UpdateGroup(g, after)
				break
			}
			delete(m.names, g.Number)
			if err = drop(func(e directory.Edge) bool { return e.Group == g.Number || e.Member == id.GroupMember(g.Number) }); err == nil {
				err = wr.DeleteGroup(g)
			}
		default:
			e := directory.Edge{Group: pickGroup()}
			if child := pickGroup(); child > e.Group {
				e.Member = id.GroupMember(child)
			} else if u, ok := pickUser(); ok {
				e.Member = id.UserMember(u.Number)
			} else {
				break
			}
			s := directory.Standing{Reason: rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "reason")}
			if rapid.IntRange(0, 2).Draw(t, "dated") == 0 {
				s.From, s.Until = start.Add(-time.Microsecond), start.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "until"))*time.Microsecond)
			}
			_, stands := m.edges[e]
			switch {
			case !stands:
				err = insertEdges(wr, []directory.Edge{e}, s)
				m.edges[e], m.since[e] = s, rev
			case rapid.Bool().Draw(t, "end"):
				err = wr.DeleteEdges([]directory.Edge{e})
				delete(m.edges, e)
			default:
				err = updateEdges(wr, []directory.Edge{e}, s)
				m.edges[e], m.since[e] = s, rev
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// compareThen asks a past everything there is to ask, at one moment.
func (m moment) compareThen(p directory.Past, at time.Time, most id.Number) error {
	var userNumbers, groupNumbers []id.Number
	var everyone []id.Member
	var edges, inside []directory.Edge
	byNumber := []directory.Ref{directory.ByName("nobody")}
	wantNumbers := []id.Number{0}
	for n := id.Number(1); n <= most; n++ {
		userNumbers, groupNumbers = append(userNumbers, n), append(groupNumbers, n)
		byNumber = append(byNumber, directory.ByNumber(int64(n)))
		if u, ok := m.users[n]; ok {
			byNumber = append(byNumber, directory.ByUser(u.ID), directory.ByName(u.Name), directory.ByCode(u.Code))
			wantNumbers = append(wantNumbers, n, n, n, n)
		} else {
			wantNumbers = append(wantNumbers, 0)
		}
		everyone = append(everyone, id.UserMember(n))
		for g := id.Number(1); g <= most; g++ {
			edges = append(edges, in(n, g), within(n, g))
		}
	}
	users, err := p.Users(userNumbers)
	if err != nil {
		return err
	}
	for _, u := range users {
		was := m.users[u.Number]
		if u.ID != was.ID || u.Code != was.Code || u.Name != was.Name || u.Suspended != was.Suspended || !u.Expires.Equal(was.Expires) {
			return fmt.Errorf("user %d is %+v, want %+v", u.Number, u, was)
		}
	}
	if err := m.compareNames(p, userNumbers); err != nil {
		return err
	}
	groups, err := p.Groups(groupNumbers)
	if err != nil {
		return err
	}
	byName := map[string][]id.Number{}
	for _, g := range groups {
		if g.Name != m.names[g.Number] {
			return fmt.Errorf("group %d is named %q, want %q", g.Number, g.Name, m.names[g.Number])
		}
		byName[g.Name] = append(byName[g.Name], g.Number)
	}
	if len(users) != len(m.users) || len(groups) != len(m.names) {
		return fmt.Errorf("there are %d users and %d groups, want %d and %d", len(users), len(groups), len(m.users), len(m.names))
	}
	if got, err := p.UserNumbers(byNumber); err != nil || !slices.Equal(got, wantNumbers) {
		return fmt.Errorf("UserNumbers of %v is %v, %v; want %v", byNumber, got, err, wantNumbers)
	}
	for i := range 4 {
		name := fmt.Sprint("G", i)
		want := id.Number(0)
		if len(byName[name]) == 1 {
			want = byName[name][0]
		} else if len(byName[name]) > 1 {
			want = directory.Ambiguous
		}
		if got, err := p.GroupNumbers([]directory.Ref{directory.ByName(name)}); err != nil || got[0] != want {
			return fmt.Errorf("the group named %s is %v, %v; want %d", name, got, err, want)
		}
	}

	standing, err := p.Standing(edges)
	if err != nil {
		return err
	}
	got := map[directory.Edge]directory.Standing{}
	for _, s := range standing {
		if got[s.Edge] = s.Standing; s.Revision != m.since[s.Edge] {
			return fmt.Errorf("%v stands since %d, want %d", s.Edge, s.Revision, m.since[s.Edge])
		}
	}
	if len(got) != len(standing) || !maps.Equal(got, m.edges) {
		return fmt.Errorf("what stands is %v, want %v", got, m.edges)
	}
	for n := id.Number(1); n <= most; n++ {
		for _, q := range []directory.MembershipQuery{{Group: n}, {Member: id.GroupMember(n)}, {Group: n, At: at}, {Member: id.UserMember(n), At: at}} {
			if err := m.compareList(p, q); err != nil {
				return err
			}
		}
		links, err := p.Climb([]id.Member{id.UserMember(n)})
		if err != nil {
			return err
		}
		if want := m.climb(id.UserMember(n)); !slices.Equal(links, want) {
			return fmt.Errorf("above user %d is %v, want %v", n, links, want)
		}
		for _, g := range m.groupsOf(id.UserMember(n), at) {
			inside = append(inside, in(n, g))
		}
		if got, err := p.GroupsOf(id.GroupMember(n), at); err != nil || !slices.Equal(got, m.groupsOf(id.GroupMember(n), at)) {
			return fmt.Errorf("GroupsOf group %d is %v, %v", n, got, err)
		}
	}
	yes, err := p.Checks(edges, at)
	if err != nil {
		return err
	}
	byEdge := func(a, b directory.Edge) int {
		return cmp.Or(cmp.Compare(a.Member, b.Member), cmp.Compare(a.Group, b.Group))
	}
	slices.SortFunc(yes, byEdge)
	slices.SortFunc(inside, byEdge)
	yes = slices.DeleteFunc(yes, func(e directory.Edge) bool { return e.Member < 0 })
	if !slices.Equal(yes, inside) {
		return fmt.Errorf("method Checks says yes to %v, want %v", yes, inside)
	}
	for _, e := range edges {
		if u, ok := e.Member.User(); ok {
			if is, err := p.Check(u, e.Group, at); err != nil || is != slices.Contains(inside, e) {
				return fmt.Errorf("method Check says %v of %v, %v", is, e, err)
			}
		}
	}
	for g := id.Number(1); g <= most; g++ {
		var want []id.Number
		for _, m := range everyone {
			if u, _ := m.User(); slices.Contains(inside, in(u, g)) {
				want = append(want, u)
			}
		}
		if got, err := p.MembersOf(g, at, 0, 100); err != nil || !slices.Equal(got, want) {
			return fmt.Errorf("MembersOf %d is %v, %v; want %v", g, got, err, want)
		}
		if len(want) > 1 {
			if got, err := p.MembersOf(g, at, want[0], 1); err != nil || !slices.Equal(got, want[1:2]) {
				return fmt.Errorf("MembersOf %d after %d is %v, %v", g, want[0], got, err)
			}
		}
	}
	return nil
}

// compareNames asks for users by their numbers and by their names, in pages of
// every size both ways round.
func (m moment) compareNames(p directory.Past, numbers []id.Number) error {
	var all []directory.Named
	for _, n := range slices.Sorted(maps.Keys(m.users)) {
		u := m.users[n]
		all = append(all, directory.Named{Number: n, Name: directory.FoldName(u.Name), Suspended: u.Suspended, Expires: u.Expires})
	}
	if got, err := p.UserNames(numbers); err != nil || !slices.Equal(got, all) {
		return fmt.Errorf("UserNames of %v is %+v, %v; want %+v", numbers, got, err, all)
	}
	for _, prefix := range []string{"", "u1", "v"} {
		for _, descending := range []bool{false, true} {
			want := slices.DeleteFunc(slices.Clone(all), func(n directory.Named) bool { return !strings.HasPrefix(n.Name, prefix) })
			slices.SortFunc(want, func(a, b directory.Named) int { return strings.Compare(a.Name, b.Name) })
			if descending {
				slices.Reverse(want)
			}
			for from := range len(want) + 1 {
				for limit := range len(want) + 2 {
					q := directory.NameQuery{Prefix: prefix, Descending: descending, Limit: limit + 1}
					rest := want
					if from > 0 {
						q.From, rest = want[from-1].Name, want[from-1:]
					}
					got, err := p.UsersByName(q)
					if err != nil || !slices.Equal(got, rest[:min(len(rest), q.Limit)]) {
						return fmt.Errorf("the users of %+v are %+v, %v; of %+v", q, got, err, rest)
					}
				}
			}
		}
	}
	return nil
}

// compareList pages through a list of memberships.
func (m moment) compareList(p directory.Past, q directory.MembershipQuery) error {
	var want, got []directory.Edge
	for e, s := range m.edges {
		u, isUser := e.Member.User()
		if q.Group != 0 && e.Group != q.Group || q.Member != 0 && e.Member != q.Member {
			continue
		}
		if q.At.IsZero() || s.HoldsAt(q.At) && (!isUser || m.users[u].ActiveAt(q.At)) {
			want = append(want, e)
		}
	}
	slices.SortFunc(want, func(a, b directory.Edge) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(directory.MemberCursor(a.Member), directory.MemberCursor(b.Member)))
	})
	for q.Limit = 2; ; {
		page, err := memberships(p, q)
		if err != nil {
			return err
		}
		for _, s := range page {
			if got = append(got, s.Edge); s.Standing != m.edges[s.Edge] || s.AddedBy.Name != author.Actor.Name {
				return fmt.Errorf("%v is listed as %+v, want %+v", s.Edge, s, m.edges[s.Edge])
			}
		}
		if len(page) < q.Limit {
			break
		}
		if last := page[len(page)-1]; q.Member != 0 {
			q.After = int64(last.Group)
		} else {
			q.After = directory.MemberCursor(last.Member)
		}
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("the list of %+v is %v, want %v", q, got, want)
	}
	return nil
}

// climb is every link on the ways up from m.
func (m moment) climb(from id.Member) (links []directory.Link) {
	seen := map[id.Member]bool{}
	for next := []id.Member{from}; len(next) > 0; {
		at := next[0]
		next = next[1:]
		if seen[at] {
			continue
		}
		seen[at] = true
		for e, s := range m.edges {
			if e.Member == at {
				links = append(links, directory.Link{Edge: e, From: s.From, Until: s.Until})
				next = append(next, id.GroupMember(e.Group))
			}
		}
	}
	slices.SortFunc(links, func(a, b directory.Link) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Member, b.Member))
	})
	return links
}

var past = []testCase{
	{"the past is answered as it was after every commit", func(w *world) {
		tenants := 0
		rapid.Check(w.T, func(rt *rapid.T) {
			tenants++
			t := w.tenant(fmt.Sprintf("t%d", tenants))
			now := moment{graph: graph{users: map[id.Number]directory.User{}, edges: map[directory.Edge]directory.Standing{}},
				names: map[id.Number]string{}, since: map[directory.Edge]directory.Revision{}, at: w.clock.Now()}
			history := []moment{now.clone()}
			made := 0
			for range rapid.IntRange(1, 8).Draw(rt, "commits") {
				w.clock.advance(time.Duration(rapid.IntRange(0, 2).Draw(rt, "pass")) * time.Millisecond)
				next := now.clone()
				rev, err := w.store.Update(w.Context(), t, author, func(wr directory.Writer) error {
					return next.draw(rt, wr, directory.Revision(len(history)), &made)
				})
				if err != nil {
					rt.Fatal(err)
				}
				if int(rev) == len(history) {
					next.at = w.clock.Now()
					now = next
					history = append(history, now.clone())
				}
			}
			err := w.store.View(w.Context(), t, func(r directory.Reader) error {
				for rev, then := range history {
					p, err := r.AsOf(directory.Revision(rev))
					if err != nil {
						return err
					}
					d := rapid.IntRange(-1, 2).Draw(rt, "asked at µs")
					if err := then.compareThen(p, start.Add(time.Duration(d)*time.Microsecond), mostThings+1); err != nil {
						return fmt.Errorf("as of %d of %d, at %+d µs: %w", rev, len(history)-1, d, err)
					}
					last := rev
					for last+1 < len(history) && history[last+1].at.Equal(then.at) {
						last++
					}
					if got, err := r.RevisionAt(then.at); rev > 0 && (err != nil || int(got) != last) {
						return fmt.Errorf("the revision at %v is %d, %v; want %d", then.at, got, err, last)
					}
				}
				if err := compareAt(r, history); err != nil {
					return err
				}
				if err := now.compareNames(r, []id.Number{1, 2, 3, 4, 5}); err != nil {
					return fmt.Errorf("now: %w", err)
				}
				return now.comparePeriods(r, history)
			})
			if err != nil {
				rt.Fatal(err)
			}
		})
	}},

	{"edges are found from both ends, each once, as many as are wanted", func(w *world) {
		t := w.tenant("one")
		w.users(t, 3)
		w.groups(t, 3)
		w.insert(t, directory.Standing{Until: start.Add(-time.Hour)}, in(1, 1), in(2, 1), within(2, 1), in(1, 2), in(3, 3), within(3, 2))
		for _, c := range []struct {
			groups  []id.Number
			members []id.Member
			limit   int
			want    []directory.Edge
		}{
			{nil, nil, 10, nil},
			{[]id.Number{1}, nil, 10, []directory.Edge{within(2, 1), in(1, 1), in(2, 1)}},
			{nil, []id.Member{1, -3, 9}, 10, []directory.Edge{in(1, 1), within(3, 2), in(1, 2)}},
			{[]id.Number{1, 9}, []id.Member{1}, 10, []directory.Edge{within(2, 1), in(1, 1), in(2, 1), in(1, 2)}},
			{[]id.Number{1, 2, 3}, nil, 4, []directory.Edge{within(2, 1), in(1, 1), in(2, 1), within(3, 2)}},
		} {
			got := get(w, t, func(r directory.Reader) ([]directory.Edge, error) { return r.Edges(c.groups, c.members, c.limit) })
			w.same(fmt.Sprintf("of groups %v and members %v", c.groups, c.members), got, c.want)
		}
	}},

	{"before its first commit a tenant had no revision", func(w *world) {
		t := w.tenant("one")
		w.users(t, 1)
		for d, want := range map[time.Duration]directory.Revision{-time.Hour: 0, 0: 1, time.Hour: 1} {
			got := get(w, t, func(r directory.Reader) (directory.Revision, error) { return r.RevisionAt(start.Add(d)) })
			if got != want {
				w.Errorf("%v after the start it was %d, want %d", d, got, want)
			}
		}
	}},
}

// compareAt asks in one question how everybody was called after every commit.
func compareAt(r directory.Reader, history []moment) error {
	var at []directory.NumberAt
	for rev := range history {
		for n := id.Number(1); n <= mostThings+1; n++ {
			at = append(at, directory.NumberAt{Number: n, Revision: directory.Revision(rev)})
		}
	}
	users, err := r.UsersAt(at)
	if err != nil {
		return err
	}
	groups, err := r.GroupsAt(at)
	if err != nil {
		return err
	}
	for _, a := range at {
		then := history[a.Revision]
		u, is := users[a]
		if was, existed := then.users[a.Number]; is != existed || u.ID != was.ID || u.Number != was.Number || u.Code != was.Code || u.Name != was.Name || u.Suspended != was.Suspended || !u.Expires.Equal(was.Expires) {
			return fmt.Errorf("user %d at %d is %+v (%v), want %+v (%v)", a.Number, a.Revision, u, is, was, existed)
		}
		g, is := groups[a]
		if name, existed := then.names[a.Number]; is != existed || g.Name != name || is && g.Number != a.Number {
			return fmt.Errorf("group %d at %d is %+v (%v), want %q (%v)", a.Number, a.Revision, g, is, name, existed)
		}
	}
	return nil
}

// comparePeriods holds the periods of every membership against the history.
func (m moment) comparePeriods(r directory.Reader, history []moment) error {
	all := map[directory.Edge]bool{}
	for _, then := range history {
		for e := range then.edges {
			all[e] = true
		}
	}
	for e := range all {
		var want, got []directory.Period
		for rev, then := range history {
			s, stands := then.edges[e]
			if n := len(want); n > 0 && want[n-1].Ended == 0 && (!stands || then.since[e] == directory.Revision(rev)) {
				want[n-1].Ended = directory.Revision(rev)
			}
			if stands && then.since[e] == directory.Revision(rev) {
				want = append(want, directory.Period{Membership: directory.Membership{Edge: e, Standing: s, Revision: directory.Revision(rev)}})
			}
		}
		for after := directory.Revision(0); ; {
			page, err := r.Periods(e, after, 2)
			if err != nil {
				return err
			}
			for _, p := range page {
				if p.AddedBy.Name != author.Actor.Name || p.Added > p.Revision {
					return fmt.Errorf("a period of %v is %+v", e, p)
				}
				got = append(got, directory.Period{Membership: directory.Membership{Edge: p.Edge, Standing: p.Standing, Revision: p.Revision}, Ended: p.Ended})
			}
			if len(page) < 2 {
				break
			}
			after = page[1].Revision
		}
		// Asked of every commit, it is told of the one that ended it.
		var asked []directory.EdgeAt
		ended := map[directory.EdgeAt]directory.Standing{}
		for rev := range history {
			asked = append(asked, directory.EdgeAt{Edge: e, Revision: directory.Revision(rev)})
		}
		for _, p := range want {
			if p.Ended != 0 {
				ended[directory.EdgeAt{Edge: e, Revision: p.Ended}] = p.Standing
			}
		}
		if got, err := r.EndedIn(asked); err != nil || !maps.Equal(got, ended) {
			return fmt.Errorf("what ended of %v is %v, %v; want %v", e, got, err, ended)
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("the periods of %v are %+v, want %+v", e, got, want)
		}
	}
	return nil
}
