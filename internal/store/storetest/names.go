package storetest

import (
	"context"
	"errors"
	"fmt"

	"roster/internal/directory"
	"roster/internal/id"
)

// taken is a name that something has, offered to something else.
type taken struct {
	what string
	want error
	try  func(directory.Writer) error
}

var names1 = []testCase{
	{"every name that must be one thing's own has an error of its own", func(w *world) {
		t := w.tenant("one")
		row := w.tenantRow(t)
		ann := w.user(t, directory.User{Name: "Ann", Email: "ann@example.com", EmailVerified: true, Externals: map[string]string{"ldap": "a"}})
		bob := w.user(t, directory.User{Name: "bob", Email: "bob@example.com"})
		g := w.group(t, directory.Group{Name: "g", Externals: map[string]string{"ldap": "a"}})
		h := w.group(t, directory.Group{Name: "g"}) // twins may be
		key := directory.Credential{Kind: "k", Hash: []byte("hash")}
		w.update(t, func(wr directory.Writer) error { return wr.InsertCredential(&key) })

		tenant := func(x directory.Tenant) func(directory.Writer) error {
			return func(wr directory.Writer) error { return wr.InsertTenant(&x) }
		}
		user := func(x directory.User) func(directory.Writer) error {
			return func(wr directory.Writer) error { return wr.InsertUser(&x) }
		}
		group := func(x directory.Group) func(directory.Writer) error {
			return func(wr directory.Writer) error { return wr.InsertGroup(&x) }
		}
		credential := func(x directory.Credential) func(directory.Writer) error {
			return func(wr directory.Writer) error { return wr.InsertCredential(&x) }
		}
		become := func(change func(*directory.User)) func(directory.Writer) error {
			return func(wr directory.Writer) error {
				after := bob
				change(&after)
				return wr.UpdateUser(bob, after)
			}
		}
		for _, c := range []taken{
			{"tenant name", directory.ErrTenantNameTaken, tenant(directory.Tenant{Name: "one"})},
			{"tenant id", directory.ErrIDTaken, tenant(directory.Tenant{Name: "x", ID: t})},
			{"tenant code", directory.ErrCodeTaken, tenant(directory.Tenant{Name: "x", Code: row.Code})},
		} {
			w.Log(c.what)
			w.refused(platform, c.want, c.try)
		}
		for _, c := range []taken{
			{"user name", directory.ErrUserNameTaken, user(directory.User{Name: "ANN"})},
			{"user email", directory.ErrEmailTaken, user(directory.User{Name: "x", Email: "ANN@EXAMPLE.COM"})},
			{"user id", directory.ErrIDTaken, user(directory.User{Name: "x", ID: ann.ID})},
			{"user number", directory.ErrNumberTaken, user(directory.User{Name: "x", Number: ann.Number})},
			{"user code", directory.ErrCodeTaken, user(directory.User{Name: "x", Code: ann.Code})},
			{"person code", directory.ErrCodeTaken, user(directory.User{Name: "x", PersonCode: ann.PersonCode})},
			{"user external", directory.ErrExternalTaken, user(directory.User{Name: "x", Externals: map[string]string{"ldap": "a"}})},
			{"updated name", directory.ErrUserNameTaken, become(func(u *directory.User) { u.Name = "aNN" })},
			{"updated email", directory.ErrEmailTaken, become(func(u *directory.User) { u.Email = "Ann@example.com" })},
			{"updated external", directory.ErrExternalTaken, become(func(u *directory.User) { u.Externals = map[string]string{"ldap": "a"} })},
			{"group id", directory.ErrIDTaken, group(directory.Group{Name: "x", ID: g.ID})},
			{"group number", directory.ErrNumberTaken, group(directory.Group{Name: "x", Number: g.Number})},
			{"group code", directory.ErrCodeTaken, group(directory.Group{Name: "x", Code: g.Code})},
			{"group external", directory.ErrExternalTaken, group(directory.Group{Name: "x", Externals: map[string]string{"ldap": "a"}})},
			{"updated group external", directory.ErrExternalTaken, func(wr directory.Writer) error {
				after := h
				after.Externals = map[string]string{"ldap": "a"}
				return wr.UpdateGroup(h, after)
			}},
			{"credential id", directory.ErrIDTaken, credential(directory.Credential{Kind: "k", Hash: []byte("x"), ID: key.ID})},
			{"credential code", directory.ErrCodeTaken, credential(directory.Credential{Kind: "k", Hash: []byte("x"), Code: key.Code})},
			{"secret", directory.ErrSecretTaken, credential(directory.Credential{Kind: "k", Hash: []byte("hash")})},
		} {
			w.Log(c.what)
			w.refused(t, c.want, c.try)
		}
		// The same secret under another kind is another secret, and what one
		// source calls a thing another may call another.
		w.update(t, credential(directory.Credential{Kind: "other", Hash: []byte("hash")}))
		w.update(t, user(directory.User{Name: "x", Externals: map[string]string{"hr": "a"}}))
	}},

	{"names that must be unique are so within a tenant and codes across tenants", func(w *world) {
		a, b := w.tenant("a"), w.tenant("b")
		u := w.user(a, directory.User{Name: "ann", Email: "ann@example.com", Externals: map[string]string{"ldap": "a"}})
		g := w.group(a, directory.Group{Name: "g", Externals: map[string]string{"ldap": "a"}})
		w.user(b, directory.User{ID: u.ID, Number: u.Number, Name: "ann", Email: "ann@example.com", Externals: map[string]string{"ldap": "a"}})
		w.group(b, directory.Group{ID: g.ID, Number: g.Number, Name: "g", Externals: map[string]string{"ldap": "a"}})
		w.refused(b, directory.ErrCodeTaken, func(wr directory.Writer) error { return wr.InsertUser(&directory.User{Name: "x", Code: u.Code}) })
		w.refused(b, directory.ErrCodeTaken, func(wr directory.Writer) error {
			return wr.InsertGroup(&directory.Group{Name: "x", Code: g.Code})
		})
		key := directory.Credential{Kind: "k", Hash: []byte("hash")}
		w.update(a, func(wr directory.Writer) error { return wr.InsertCredential(&key) })
		w.refused(b, directory.ErrIDTaken, func(wr directory.Writer) error {
			return wr.InsertCredential(&directory.Credential{Kind: "k", Hash: []byte("x"), ID: key.ID})
		})
		w.refused(b, directory.ErrSecretTaken, func(wr directory.Writer) error {
			return wr.InsertCredential(&directory.Credential{Kind: "k", Hash: []byte("hash")})
		})
	}},

	{"what a deleted thing was called by id, number or code is never given again but its name is", func(w *world) {
		t := w.tenant("one")
		u := w.user(t, directory.User{Name: "ann", Email: "ann@example.com", Externals: map[string]string{"ldap": "a"}})
		g := w.group(t, directory.Group{Name: "g", Externals: map[string]string{"ldap": "a"}})
		w.update(t, func(wr directory.Writer) error { return errors.Join(wr.DeleteUser(u), wr.DeleteGroup(g)) })
		_, err := try(w, t, func(r directory.Reader) (directory.User, error) { return r.User(directory.ByUser(u.ID)) })
		w.is(err, directory.ErrNoUser)
		_, err = try(w, t, func(r directory.Reader) (directory.Group, error) { return r.Group(directory.ByExternal("ldap", "a")) })
		w.is(err, directory.ErrNoGroup)
		for _, c := range []taken{
			{"user id", directory.ErrIDTaken, func(wr directory.Writer) error { return wr.InsertUser(&directory.User{Name: "x", ID: u.ID}) }},
			{"user number", directory.ErrNumberTaken, func(wr directory.Writer) error {
				return wr.InsertUser(&directory.User{Name: "x", Number: u.Number})
			}},
			{"user code", directory.ErrCodeTaken, func(wr directory.Writer) error { return wr.InsertUser(&directory.User{Name: "x", Code: u.Code}) }},
			{"group id", directory.ErrIDTaken, func(wr directory.Writer) error {
				return wr.InsertGroup(&directory.Group{Name: "x", ID: g.ID})
			}},
			{"group number", directory.ErrNumberTaken, func(wr directory.Writer) error {
				return wr.InsertGroup(&directory.Group{Name: "x", Number: g.Number})
			}},
			{"group code", directory.ErrCodeTaken, func(wr directory.Writer) error {
				return wr.InsertGroup(&directory.Group{Name: "x", Code: g.Code})
			}},
		} {
			w.Log(c.what)
			w.refused(t, c.want, c.try)
		}
		again := w.user(t, directory.User{Name: "ann", Email: "ann@example.com", Externals: map[string]string{"ldap": "a"}})
		group := w.group(t, directory.Group{Name: "g", Externals: map[string]string{"ldap": "a"}})
		if again.Number != 2 || again.Code == u.Code || again.ID == u.ID || group.Number != 2 || group.Code == g.Code || group.ID == g.ID {
			w.Fatalf("the new ones are %d, %d and %d, %d", again.Number, again.Code, group.Number, group.Code)
		}
	}},

	{"a given number or code moves its counter past it and one below it does not", func(w *world) {
		t, other := w.tenant("one"), w.tenant("two")
		for _, c := range []struct{ number, code, person, wantNumber, wantCode, wantPerson int64 }{
			{0, 0, 0, 1, 1, 1},
			{50, 500, 5000, 50, 500, 5000},
			{0, 0, 0, 51, 501, 5001},
			{7, 8, 9, 7, 8, 9},
			{0, 0, 0, 52, 502, 5002},
		} {
			u := w.user(t, directory.User{Name: fmt.Sprint("u", c.wantNumber), Number: id.Number(c.number), Code: c.code, PersonCode: c.person})
			if int64(u.Number) != c.wantNumber || u.Code != c.wantCode || u.PersonCode != c.wantPerson {
				w.Fatalf("asked for %d, %d, %d and got %d, %d, %d; want %d, %d, %d", c.number, c.code, c.person,
					u.Number, u.Code, u.PersonCode, c.wantNumber, c.wantCode, c.wantPerson)
			}
			g := w.group(t, directory.Group{Name: "g", Number: id.Number(c.number), Code: c.code})
			if int64(g.Number) != c.wantNumber || g.Code != c.wantCode {
				w.Fatalf("asked for group %d, %d and got %d, %d; want %d, %d", c.number, c.code, g.Number, g.Code, c.wantNumber, c.wantCode)
			}
			k := directory.Credential{Kind: "k", Hash: fmt.Append(nil, c.wantCode), Code: c.code}
			w.update(t, func(wr directory.Writer) error { return wr.InsertCredential(&k) })
			if k.Code != c.wantCode {
				w.Fatalf("asked for credential %d and got %d; want %d", c.code, k.Code, c.wantCode)
			}
		}
		// Numbers are counted per tenant, codes across the deployment.
		if u := w.user(other, directory.User{Name: "x"}); u.Number != 1 || u.Code != 503 {
			w.Fatalf("the other tenant's first user is %d with code %d, want 1 and 503", u.Number, u.Code)
		}
	}},

	{"the largest number and code can be given and after them there is none to give", func(w *world) {
		t := w.tenant("one")
		u := w.user(t, directory.User{Name: "last", Number: id.MaxNumber})
		w.refused(t, &directory.Error{Kind: directory.Unavailable, Code: "number.exhausted"}, func(wr directory.Writer) error {
			return wr.InsertUser(&directory.User{Name: "one more"})
		})
		g := w.group(t, directory.Group{Name: "top", Number: id.MaxNumber})
		w.insert(t, directory.Standing{}, in(u.Number, g.Number))
		if is := get(w, t, func(r directory.Reader) (bool, error) { return r.Check(u.Number, g.Number, start) }); !is {
			w.Error("the user with the largest number is not in the group with the largest number")
		}
		if n := get(w, t, func(r directory.Reader) ([]id.Number, error) { return r.MembersOf(g.Number, start, 0, 10) }); len(n) != 1 || n[0] != id.MaxNumber {
			w.Errorf("the members of the group with the largest number are %v", n)
		}
		other := w.tenant("two")
		w.user(other, directory.User{Name: "last", Code: directory.MaxCode})
		w.refused(other, &directory.Error{Kind: directory.Unavailable, Code: "code.exhausted"}, func(wr directory.Writer) error {
			return wr.InsertUser(&directory.User{Name: "one more"})
		})
		// Whoever gives a code of its own still can.
		w.user(other, directory.User{Name: "given", Code: 77})
	}},

	{"every ref finds what it names and nothing of another namespace", func(w *world) {
		t := w.tenant("one")
		ann := w.user(t, directory.User{Name: "Änn", Email: "Ann@Example.com", EmailVerified: true, Code: 100, PersonCode: 200, Externals: map[string]string{"ldap": "7/x", "hr": "9"}})
		bob := w.user(t, directory.User{Name: "7", Code: 300, Externals: map[string]string{"hr": "7/x"}})
		g := w.group(t, directory.Group{Name: "Größe", Code: 100, Externals: map[string]string{"ldap": "9"}})
		w.group(t, directory.Group{Name: "twin"})
		w.group(t, directory.Group{Name: "TWIN"})

		type question struct {
			ref   directory.Ref
			user  id.Number
			group id.Number
			err   error // of a group
		}
		questions := []question{
			{ref: directory.ByUser(ann.ID), user: ann.Number},
			{ref: directory.ByGroup(g.ID), group: g.Number},
			{ref: directory.ByNumber(1), user: 1, group: 1},
			{ref: directory.ByNumber(2), user: 2, group: 2},
			{ref: directory.ByNumber(0)},
			{ref: directory.ByNumber(-1)},
			{ref: directory.ByNumber(1 << 40)},
			{ref: directory.ByNumber(1<<32 + 1)}, // not 1
			{ref: directory.ByNumber(-1 << 63)},
			{ref: directory.ByCode(100), user: ann.Number, group: g.Number},
			{ref: directory.ByCode(200)},
			{ref: directory.ByCode(0)},
			{ref: directory.ByCode(-100)},
			{ref: directory.ByPerson(200), user: ann.Number},
			{ref: directory.ByPerson(100)},
			{ref: directory.ByPerson(0)},
			{ref: directory.ByName("äNN"), user: ann.Number},
			{ref: directory.ByName("A\u0308nn"), user: ann.Number},
			{ref: directory.ByName("7"), user: bob.Number},
			{ref: directory.ByName("1")},
			{ref: directory.ByName("")},
			{ref: directory.ByName("grösse"), group: g.Number},
			{ref: directory.ByName("twin"), err: directory.ErrAmbiguous},
			{ref: directory.ByName("nobody")},
			{ref: directory.ByName("%")},
			{ref: directory.ByName("\xff\xfe")},
			{ref: directory.ByName("a\x00b")},
			{ref: directory.ByName(`"]'; --`)},
			{ref: directory.ByEmail("aNN@example.COM"), user: ann.Number},
			{ref: directory.ByEmail("")},
			{ref: directory.ByEmail("änn")},
			{ref: directory.ByExternal("ldap", "7/x"), user: ann.Number},
			{ref: directory.ByExternal("hr", "7/x"), user: bob.Number},
			{ref: directory.ByExternal("hr", "9"), user: ann.Number},
			{ref: directory.ByExternal("ldap", "9"), group: g.Number},
			{ref: directory.ByExternal("ldap", "7/X")},
			{ref: directory.ByExternal("", "9")},
			{ref: directory.ByExternal("ldap", "")},
			{ref: directory.Ref{}},
			{ref: directory.Ref{Kind: 99, Int: 1, Text: "7"}},
		}
		var refs []directory.Ref
		var users, groups []id.Number
		for _, q := range questions {
			u, err := try(w, t, func(r directory.Reader) (directory.User, error) { return r.User(q.ref) })
			if q.user == 0 {
				w.Log(q.ref)
				w.is(err, directory.ErrNoUser)
			} else if err != nil || u.Number != q.user {
				w.Errorf("User(%+v) is %d, %v; want %d", q.ref, u.Number, err, q.user)
			}
			g, err := try(w, t, func(r directory.Reader) (directory.Group, error) { return r.Group(q.ref) })
			if q.group == 0 {
				want := q.err
				if want == nil {
					want = directory.ErrNoGroup
				}
				w.Log(q.ref)
				w.is(err, want)
			} else if err != nil || g.Number != q.group {
				w.Errorf("Group(%+v) is %d, %v; want %d", q.ref, g.Number, err, q.group)
			}
			one := get(w, t, func(r directory.Reader) ([]id.Number, error) { return r.UserNumbers([]directory.Ref{q.ref}) })
			if len(one) != 1 || one[0] != q.user {
				w.Errorf("UserNumbers of %+v alone is %v, want %d", q.ref, one, q.user)
			}
			one = get(w, t, func(r directory.Reader) ([]id.Number, error) { return r.GroupNumbers([]directory.Ref{q.ref}) })
			group := q.group
			if q.err == directory.ErrAmbiguous {
				group = directory.Ambiguous
			}
			if len(one) != 1 || one[0] != group {
				w.Errorf("GroupNumbers of %+v alone is %v, want %d", q.ref, one, group)
			}
			// Every ref twice, so that there are duplicates in the list.
			refs = append(refs, q.ref, q.ref)
			users = append(users, q.user, q.user)
			groups = append(groups, group, group)
		}
		w.same("UserNumbers of all at once", get(w, t, func(r directory.Reader) ([]id.Number, error) { return r.UserNumbers(refs) }), users)
		w.same("GroupNumbers of all at once", get(w, t, func(r directory.Reader) ([]id.Number, error) { return r.GroupNumbers(refs) }), groups)
		if none := get(w, t, func(r directory.Reader) ([]id.Number, error) { return r.UserNumbers(nil) }); len(none) != 0 {
			w.Errorf("UserNumbers of nothing is %v", none)
		}
	}},

	{"a user comes back as it was put in", func(w *world) {
		t := w.tenant("one")
		u := directory.User{
			Name: "Ann", Email: "Ann@Example.com", EmailVerified: true, GivenName: "A", FamilyName: "N", DisplayName: "An N",
			Suspended: true, Expires: start.Add(1234567 * 1000), Externals: map[string]string{"a": "b"},
			Attributes: directory.Attributes{"d": map[string]any{"s": "x", "b": true, "null": nil, "list": []any{"y", false}, "m": map[string]any{"k": "v"}}},
		}
		u = w.user(t, u)
		find := func() directory.User {
			return get(w, t, func(r directory.Reader) (directory.User, error) { return r.User(directory.ByNumber(1)) })
		}
		w.same("the user", find(), u)
		if u.Version != 1 || !u.Created.Equal(start) || !u.Modified.Equal(start) || u.CreatedIn != 1 || u.ModifiedIn != 1 || u.ID.IsZero() || u.Person.IsZero() {
			w.Fatalf("what was filled in is wrong: %+v", u)
		}
		w.clock.advance(1_000_000)
		after := directory.User{ID: u.ID, Number: u.Number, Code: u.Code, Person: u.Person, PersonCode: u.PersonCode, Created: u.Created, CreatedIn: 1, Name: "Bea"}
		w.update(t, func(wr directory.Writer) error { return wr.UpdateUser(u, after) })
		after.Version, after.Modified, after.ModifiedIn = 2, start.Add(1_000_000), 2
		w.same("the user after an update that empties it", find(), after)
	}},

	{"a group comes back as it was put in", func(w *world) {
		t := w.tenant("one")
		g := w.group(t, directory.Group{Name: "G", Description: "d\n", Grants: directory.InTenant, BuiltIn: true, Externals: map[string]string{"a": "b"},
			Attributes: directory.Attributes{"d": map[string]any{"k": "v"}}})
		find := func() directory.Group {
			return get(w, t, func(r directory.Reader) (directory.Group, error) { return r.Group(directory.ByNumber(1)) })
		}
		w.same("the group", find(), g)
		w.clock.advance(1_000_000)
		after := directory.Group{ID: g.ID, Number: g.Number, Code: g.Code, BuiltIn: true, Created: g.Created, CreatedIn: 1}
		w.update(t, func(wr directory.Writer) error { return wr.UpdateGroup(g, after) })
		after.Version, after.Modified, after.ModifiedIn = 2, start.Add(1_000_000), 2
		w.same("the group after an update that empties it", find(), after)
	}},

	{"lists are by number, page by page, and as narrow as the filter", func(w *world) {
		t := w.tenant("one")
		for i, name := range []string{"Anna", "bob", "ANTON", "änne", "an%", "zoe"} {
			w.user(t, directory.User{Name: name, Suspended: i%2 == 1})
			w.group(t, directory.Group{Name: name})
		}
		for _, c := range []struct {
			filter directory.UserFilter
			want   []id.Number
		}{
			{directory.UserFilter{}, []id.Number{1, 2, 3, 4, 5, 6}},
			{directory.UserFilter{NamePrefix: "an"}, []id.Number{1, 3, 5}},
			{directory.UserFilter{NamePrefix: "an%"}, []id.Number{5}},
			{directory.UserFilter{NamePrefix: "ä"}, []id.Number{4}},
			{directory.UserFilter{NamePrefix: "\U0010ffff"}, nil},
			{directory.UserFilter{Suspended: ptr(true)}, []id.Number{2, 4, 6}},
			{directory.UserFilter{Suspended: ptr(false), NamePrefix: "a"}, []id.Number{1, 3, 5}},
		} {
			for _, limit := range []int{1, 2, 3, 100} {
				var users, groups []id.Number
				for after := id.Number(0); ; {
					page := get(w, t, func(r directory.Reader) ([]directory.User, error) { return r.ListUsers(c.filter, after, limit) })
					for _, u := range page {
						users, after = append(users, u.Number), u.Number
					}
					if len(page) < limit {
						break
					}
				}
				w.same(fmt.Sprintf("users of %+v in pages of %d", c.filter, limit), users, c.want)
				if c.filter.Suspended != nil {
					continue
				}
				for after := id.Number(0); ; {
					page := get(w, t, func(r directory.Reader) ([]directory.Group, error) {
						return r.ListGroups(directory.GroupFilter{NamePrefix: c.filter.NamePrefix}, after, limit)
					})
					for _, g := range page {
						groups, after = append(groups, g.Number), g.Number
					}
					if len(page) < limit {
						break
					}
				}
				w.same(fmt.Sprintf("groups of %+v in pages of %d", c.filter, limit), groups, c.want)
			}
		}
		for prefix, want := range map[string][]string{"": {"an%", "anna", "anton", "bob", "zoe", "änne"}, "an": {"an%", "anna", "anton"}, "ä": {"änne"}, "\U0010ffff": nil, "bob\x00": nil, "\xff": nil} {
			for _, past := range []bool{false, true} {
				named := get(w, t, func(r directory.Reader) ([]directory.Named, error) {
					if past {
						p, err := r.AsOf(12)
						if err != nil {
							return nil, err
						}
						return p.UsersByName(directory.NameQuery{Prefix: prefix, Limit: 100})
					}
					return r.UsersByName(directory.NameQuery{Prefix: prefix, Limit: 100})
				})
				var names []string
				for _, n := range named {
					names = append(names, n.Name)
				}
				w.same(fmt.Sprintf("names that begin with %q, past %v", prefix, past), names, want)
			}
		}
		some := get(w, t, func(r directory.Reader) ([]directory.User, error) { return r.Users([]id.Number{5, 99, 2, 5}) })
		if len(some) != 2 || some[0].Number != 2 || some[1].Number != 5 {
			w.Errorf("Users of 5, 99, 2 and 5 is %v", some)
		}
		groups := get(w, t, func(r directory.Reader) ([]directory.Group, error) { return r.Groups([]id.Number{5, 99, 2, 5}) })
		if len(groups) != 2 || groups[0].Number != 2 || groups[1].Number != 5 {
			w.Errorf("Groups of 5, 99, 2 and 5 is %v", groups)
		}
	}},
}

var people = []testCase{
	{"users of several tenants are one person only if they share a verified address", func(w *world) {
		a, b, c := w.tenant("a"), w.tenant("b"), w.tenant("c")
		first := w.user(a, directory.User{Name: "ann", Email: "Ann@example.com", EmailVerified: true})
		second := w.user(b, directory.User{Name: "ann", Email: "ann@EXAMPLE.com", EmailVerified: true})
		claims := w.user(c, directory.User{Name: "ann", Email: "ann@example.com"})
		blank := w.user(a, directory.User{Name: "x", EmailVerified: true})
		blank2 := w.user(b, directory.User{Name: "x", EmailVerified: true})
		if first.Person != second.Person || first.PersonCode != second.PersonCode {
			w.Error("users with one verified address are two persons")
		}
		if claims.Person == first.Person || claims.PersonCode == first.PersonCode {
			w.Error("an unverified address made a user somebody else")
		}
		if blank.Person == blank2.Person {
			w.Error("users without an address are one person")
		}
		w.refused(c, directory.ErrCodeTaken, func(wr directory.Writer) error {
			return wr.InsertUser(&directory.User{Name: "y", PersonCode: first.PersonCode})
		})
		w.refused(w.tenant("d"), directory.ErrCodeTaken, func(wr directory.Writer) error {
			return wr.InsertUser(&directory.User{Name: "ann", Email: "ann@example.com", EmailVerified: true, PersonCode: 4711})
		})
		found := w.user(w.tenant("e"), directory.User{Name: "ann", Email: "ann@example.com", EmailVerified: true, PersonCode: first.PersonCode})
		if found.Person != first.Person {
			w.Error("a person given by its own code and address is another")
		}
		for _, t := range []id.Tenant{a, b} {
			u := get(w, t, func(r directory.Reader) (directory.User, error) { return r.User(directory.ByPerson(first.PersonCode)) })
			if u.Name != "ann" {
				w.Errorf("the person is user %q, want ann", u.Name)
			}
		}
		_, err := try(w, c, func(r directory.Reader) (directory.User, error) { return r.User(directory.ByPerson(first.PersonCode)) })
		w.is(err, directory.ErrNoUser)
	}},

	{"whoever gets an address that its person has left is not that person", func(w *world) {
		for n, leave := range []func(directory.Writer, directory.User) error{
			func(wr directory.Writer, u directory.User) error {
				after := u
				after.Email = "elsewhere@example.com"
				return wr.UpdateUser(u, after)
			},
			func(wr directory.Writer, u directory.User) error {
				after := u
				after.EmailVerified = false
				return wr.UpdateUser(u, after)
			},
			func(wr directory.Writer, u directory.User) error { return wr.DeleteUser(u) },
		} {
			a, b := w.tenant(fmt.Sprintf("a%d", n)), w.tenant(fmt.Sprintf("b%d", n))
			address := fmt.Sprintf("desk%d@example.com", n)
			left := w.user(a, directory.User{Name: "left", Email: address, EmailVerified: true})
			w.update(a, func(wr directory.Writer) error { return leave(wr, left) })
			next := w.user(b, directory.User{Name: "next", Email: address, EmailVerified: true})
			if next.Person == left.Person || next.PersonCode == left.PersonCode {
				w.Errorf("case %d: who has the address now is the person who had it", n)
			}
		}
	}},

	{"a person keeps its address while one of its users does and follows its only user to another", func(w *world) {
		a, b, c := w.tenant("a"), w.tenant("b"), w.tenant("c")
		first := w.user(a, directory.User{Name: "ann", Email: "ann@example.com", EmailVerified: true})
		second := w.user(b, directory.User{Name: "ann", Email: "ann@example.com", EmailVerified: true})
		w.update(a, func(wr directory.Writer) error { return wr.DeleteUser(first) })
		if u := w.user(c, directory.User{Name: "ann", Email: "ann@example.com", EmailVerified: true}); u.Person != second.Person {
			w.Error("the person lost its address though a user of it has it")
		}
		only := w.user(a, directory.User{Name: "bob", Email: "bob@example.com", EmailVerified: true})
		moved := only
		moved.Email = "bob@elsewhere.example"
		w.update(a, func(wr directory.Writer) error { return wr.UpdateUser(only, moved) })
		if u := w.user(b, directory.User{Name: "bob", Email: "bob@elsewhere.example", EmailVerified: true}); u.Person != only.Person {
			w.Error("the person did not follow its only user")
		}
		kept := get(w, a, func(r directory.Reader) (directory.User, error) { return r.User(directory.ByName("bob")) })
		if kept.Person != only.Person || kept.PersonCode != only.PersonCode {
			w.Error("a changed address changed who a user is")
		}
	}},

	{"a deleted tenant leaves nothing but its graves", func(w *world) {
		ctx := context.Background()
		keep := w.tenant("keep")
		w.users(keep, 2)
		for n := range 3 { // one after another, so that nothing of one is in the next one's way
			gone := w.tenant("gone")
			row := w.tenantRow(gone)
			u := w.user(gone, directory.User{Name: "ann", Email: "ann@example.com", EmailVerified: true, Externals: map[string]string{"ldap": "a"}})
			g := w.group(gone, directory.Group{Name: "g", Grants: directory.Admin})
			if u.Number != 1 || g.Number != 1 || w.revision(gone) != 2 {
				w.Fatalf("a new tenant begins with user %d, group %d and revision %d", u.Number, g.Number, w.revision(gone))
			}
			w.insert(gone, directory.Standing{}, in(1, 1))
			w.remove(gone, in(1, 1))
			w.insert(gone, directory.Standing{}, in(1, 1))
			key := directory.Credential{Kind: "k", Hash: fmt.Append(nil, n)}
			w.update(gone, func(wr directory.Writer) error { return wr.InsertCredential(&key) })
			// A deletion inside the tenant must work, whatever was here before.
			v := w.user(gone, directory.User{Name: "bob"})
			w.update(gone, func(wr directory.Writer) error { return wr.DeleteUser(v) })

			w.update(platform, func(wr directory.Writer) error { return wr.DeleteTenant(row) })
			_, err := w.store.TenantByID(ctx, gone)
			w.is(err, directory.ErrNoTenant)
			_, err = w.store.TenantByName(ctx, "gone")
			w.is(err, directory.ErrNoTenant)
			_, err = w.store.TenantByCode(ctx, row.Code)
			w.is(err, directory.ErrNoTenant)
			_, err = w.store.CredentialByHash(ctx, "k", key.Hash)
			w.is(err, directory.ErrNoCredential)
			_, err = w.store.Update(ctx, gone, author, func(directory.Writer) error { return nil })
			w.is(err, directory.ErrNoTenant)
			w.is(w.store.View(ctx, gone, func(r directory.Reader) error { _, err := r.Revision(); return err }), directory.ErrNoTenant)
			w.refused(platform, directory.ErrIDTaken, func(wr directory.Writer) error {
				return wr.InsertTenant(&directory.Tenant{Name: "x", ID: gone})
			})
			w.refused(platform, directory.ErrCodeTaken, func(wr directory.Writer) error {
				return wr.InsertTenant(&directory.Tenant{Name: "x", Code: row.Code})
			})
			w.refused(keep, directory.ErrCodeTaken, func(wr directory.Writer) error {
				return wr.InsertUser(&directory.User{Name: "x", Code: u.Code})
			})
			w.refused(keep, directory.ErrCodeTaken, func(wr directory.Writer) error {
				return wr.InsertGroup(&directory.Group{Name: "x", Code: g.Code})
			})
			stranger := w.user(w.tenant(fmt.Sprintf("next%d", n)), directory.User{Name: "ann", Email: "ann@example.com", EmailVerified: true})
			if stranger.Person == u.Person {
				w.Error("the person of a deleted tenant's user lives on")
			}
			next, err := w.store.TenantByName(ctx, fmt.Sprintf("next%d", n))
			if err != nil {
				w.Fatal(err)
			}
			w.update(platform, func(wr directory.Writer) error { return wr.DeleteTenant(next) })
		}
		if n := len(get(w, keep, func(r directory.Reader) ([]directory.User, error) { return r.ListUsers(directory.UserFilter{}, 0, 10) })); n != 2 {
			w.Errorf("the other tenant has %d users left, want 2", n)
		}
	}},

	{"a deletion of a tenant that fails leaves the tenant as it was", func(w *world) {
		t := w.tenant("one")
		row := w.tenantRow(t)
		// Both in one commit if the engine groups them: the failed deletion must
		// not take the other's revision with it.
		for round := range 5 {
			gate := make(chan struct{})
			errs := make(chan error, 3)
			for i := range 2 {
				go func() {
					<-gate
					_, err := w.store.Update(context.Background(), t, author, func(wr directory.Writer) error {
						return wr.InsertUser(&directory.User{Name: fmt.Sprint(round, "-", i)})
					})
					errs <- err
				}()
			}
			go func() {
				<-gate
				_, err := w.store.Update(context.Background(), platform, author, func(wr directory.Writer) error {
					if err := wr.DeleteTenant(row); err != nil {
						return err
					}
					return errMine
				})
				if err == errMine {
					err = nil
				}
				errs <- err
			}()
			close(gate)
			for range 3 {
				if err := <-errs; err != nil {
					w.Fatal(err)
				}
			}
		}
		w.user(t, directory.User{Name: "last"})
		if rev, n := w.revision(t), len(w.commits(t, 0)); rev != 11 || n != 11 {
			w.Fatalf("the tenant is at revision %d with %d commits, want 11 and 11", rev, n)
		}
	}},
}
