package storetest

import (
	"fmt"
	"slices"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// ways are the other ways round: lists from their ends, memberships in the order
// of joining, and what belongs to many users at once.
var ways = []testCase{
	{"lists go down from the greatest as they go up from the least", func(w *world) {
		t := w.tenant("one")
		for _, name := range []string{"anna", "bob", "anton", "zoe", "anselm"} {
			u := w.user(t, directory.User{Name: name})
			w.group(t, directory.Group{Name: name})
			w.key(t, directory.Credential{Name: name, User: u.ID})
		}
		for prefix, want := range map[string][]int64{"": {5, 4, 3, 2, 1}, "an": {5, 3, 1}, "x": nil} {
			for _, limit := range []int{1, 2, 100} {
				for what, page := range map[string]func(r directory.Reader, after int64) ([]int64, error){
					"users": func(r directory.Reader, after int64) ([]int64, error) {
						list, err := r.ListUsers(directory.UserFilter{NamePrefix: prefix, Descending: true}, id.Number(after), limit)
						return each(list, func(u directory.User) int64 { return int64(u.Number) }), err
					},
					"groups": func(r directory.Reader, after int64) ([]int64, error) {
						list, err := r.ListGroups(directory.GroupFilter{NamePrefix: prefix, Descending: true}, id.Number(after), limit)
						return each(list, func(g directory.Group) int64 { return int64(g.Number) }), err
					},
				} {
					got := w.pages(t, limit, page)
					w.same(fmt.Sprintf("%s that begin with %q in pages of %d", what, prefix, limit), got, want)
				}
			}
		}
		up := w.pages(t, 2, func(r directory.Reader, after int64) ([]int64, error) {
			list, err := r.Credentials(directory.CredentialQuery{Kind: "k"}, after, 2)
			return each(list, func(c directory.Credential) int64 { return c.Code }), err
		})
		down := w.pages(t, 2, func(r directory.Reader, after int64) ([]int64, error) {
			list, err := r.Credentials(directory.CredentialQuery{Kind: "k", Descending: true}, after, 2)
			return each(list, func(c directory.Credential) int64 { return c.Code }), err
		})
		slices.Reverse(down)
		w.same("credentials from the end", down, up)
		if len(up) != 5 {
			w.Errorf("there are %d credentials, want 5", len(up))
		}
	}},

	{"memberships come in the order of joining, both ways", func(w *world) {
		t := w.tenant("one")
		w.users(t, 4)
		w.groups(t, 4)
		// User 3 joins group 1 first, group 2 and user 1 follow, and so on.
		w.insert(t, directory.Standing{}, in(3, 1), within(2, 1), in(1, 1), in(4, 1))
		w.insert(t, directory.Standing{Until: start.Add(time.Hour)}, in(2, 1))
		w.insert(t, directory.Standing{}, in(3, 4), in(3, 2))
		w.remove(t, in(1, 1))
		w.insert(t, directory.Standing{}, in(1, 1), in(3, 3)) // user 1 comes back, last
		for _, c := range []struct {
			q    directory.MembershipQuery
			want []int64
		}{
			{directory.MembershipQuery{Group: 1}, []int64{3, 4, 2, 1}},
			{directory.MembershipQuery{Group: 1, At: start}, []int64{3, 4, 2, 1}},
			{directory.MembershipQuery{Group: 1, At: start.Add(time.Hour)}, []int64{3, 4, 1}},
			{directory.MembershipQuery{Group: 3}, []int64{3}},
			{directory.MembershipQuery{Group: 9}, nil},
			{directory.MembershipQuery{Member: id.UserMember(3)}, []int64{1, 4, 2, 3}},
			{directory.MembershipQuery{Member: id.UserMember(2), At: start.Add(time.Hour)}, nil},
		} {
			for _, limit := range []int{1, 2, 100} {
				for _, descending := range []bool{false, true} {
					q, serials := c.q, map[int64]int64{}
					q.Joining, q.Descending, q.Limit = true, descending, limit
					got := w.pages(t, limit, func(r directory.Reader, after int64) ([]int64, error) {
						q.After = after
						list, err := memberships(r, q)
						return each(list, func(m directory.Membership) int64 {
							if m.AddedBy.Name != "tester" {
								w.Errorf("%v was added by %q", m.Edge, m.AddedBy.Name)
							}
							serials[m.Serial] = int64(m.Member)
							if q.Member != 0 {
								serials[m.Serial] = int64(m.Group)
							}
							return m.Serial
						}), err
					})
					who := each(got, func(serial int64) int64 { return serials[serial] })
					if descending {
						slices.Reverse(who)
					}
					w.same(fmt.Sprintf("%+v in pages of %d", q, limit), who, c.want)
				}
			}
		}
	}},

	{"what many members stand in is found at once", func(w *world) {
		t := w.tenant("one")
		w.users(t, 3)
		w.groups(t, 3)
		w.user(t, directory.User{Name: "gone", Number: 4, Suspended: true})
		w.insert(t, directory.Standing{}, in(2, 3), in(1, 1), within(2, 1), in(2, 1), in(4, 1), in(3, 2))
		w.insert(t, directory.Standing{From: start.Add(time.Hour)}, in(1, 2))
		for _, c := range []struct {
			at   time.Time
			want []directory.Edge
		}{
			{time.Time{}, []directory.Edge{within(2, 1), in(1, 1), in(1, 2), in(2, 1), in(2, 3), in(4, 1)}},
			{start, []directory.Edge{within(2, 1), in(1, 1), in(2, 1), in(2, 3)}},
			{start.Add(time.Hour), []directory.Edge{within(2, 1), in(1, 1), in(1, 2), in(2, 1), in(2, 3)}},
		} {
			list := get(w, t, func(r directory.Reader) ([]directory.Membership, error) {
				return r.MembershipsOf([]id.Member{id.UserMember(2), id.UserMember(1), id.GroupMember(2), id.UserMember(4), id.UserMember(9)}, c.at)
			})
			w.same("the memberships", each(list, func(m directory.Membership) directory.Edge { return m.Edge }), c.want)
		}
		if list := get(w, t, func(r directory.Reader) ([]directory.Membership, error) { return r.MembershipsOf(nil, start) }); len(list) != 0 {
			w.Errorf("nobody stands in %v", list)
		}
	}},

	{"the keys of many users are found at once and users are counted", func(w *world) {
		t := w.tenant("one")
		ann, bob, eve := w.user(t, directory.User{Name: "ann"}), w.user(t, directory.User{Name: "bob"}), w.user(t, directory.User{Name: "eve"})
		for _, u := range []directory.User{ann, bob, eve} {
			w.key(t, directory.Credential{Name: "k-" + u.Name, User: u.ID})
			w.key(t, directory.Credential{Kind: "other", Name: "o-" + u.Name, User: u.ID})
		}
		for _, c := range []struct {
			users []id.User
			want  []string
		}{
			{[]id.User{eve.ID, ann.ID}, []string{"k-ann", "k-eve"}},
			{[]id.User{bob.ID, id.New[id.User]()}, []string{"k-bob"}},
			{[]id.User{}, nil},
			{nil, []string{"k-ann", "k-bob", "k-eve"}},
		} {
			list := get(w, t, func(r directory.Reader) ([]directory.Credential, error) {
				return r.Credentials(directory.CredentialQuery{Kind: "k", Users: c.users}, 0, 100)
			})
			w.same("the keys", each(list, func(c directory.Credential) string { return c.Name }), c.want)
		}
		w.user(w.tenant("two"), directory.User{Name: "ann"})
		if n := get(w, t, directory.Reader.CountUsers); n != 3 {
			w.Errorf("there are %d users, want 3", n)
		}
	}},

	{"the platform has users and groups of its own", func(w *world) {
		u, g := w.user(platform, directory.User{Name: "ops", Email: "ops@example.com"}), w.group(platform, directory.Group{Name: "one"})
		w.insert(platform, directory.Standing{}, in(u.Number, g.Number))
		t := w.tenant("one")
		same := w.user(t, directory.User{ID: u.ID, Name: "ops", Email: "ops@example.com"})
		w.same("the platform's user", get(w, platform, func(r directory.Reader) (directory.User, error) { return r.User(directory.ByEmail("ops@example.com")) }), u)
		w.same("the tenant's user", get(w, t, func(r directory.Reader) (directory.User, error) { return r.User(directory.ByUser(u.ID)) }), same)
		if is := get(w, platform, func(r directory.Reader) (bool, error) { return r.Check(u.Number, g.Number, start) }); !is {
			w.Error("the platform's user is not in the platform's group")
		}
		if is := get(w, t, func(r directory.Reader) (bool, error) { return r.Check(same.Number, g.Number, start) }); is {
			w.Error("a tenant's user is in the platform's group")
		}
	}},
}

// each is what fn makes of every item.
func each[T, V any](list []T, fn func(T) V) []V {
	var out []V
	for _, item := range list {
		out = append(out, fn(item))
	}
	return out
}

// pages goes through a list whose cursor is what it lists.
func (w *world) pages(t id.Tenant, limit int, page func(r directory.Reader, after int64) ([]int64, error)) []int64 {
	w.Helper()
	var all []int64
	for after := int64(0); ; {
		list := get(w, t, func(r directory.Reader) ([]int64, error) { return page(r, after) })
		all = append(all, list...)
		if len(list) < limit {
			return all
		}
		after = list[len(list)-1]
	}
}
