package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// twin is what one of two tenants that are filled alike holds. Ids, numbers and
// names are the same in both; only what must differ does, and everything that
// can say whose it is says it.
type twin struct {
	tenant id.Tenant
	mark   string
	ann    directory.User
	bob    directory.User
	g, top directory.Group
	key    directory.Credential
}

func (w *world) twin(mark string, like *twin) twin {
	t := twin{tenant: w.tenant(mark), mark: mark}
	t.ann = directory.User{Name: "ann", Email: "ann@example.com", EmailVerified: true, DisplayName: mark, Externals: map[string]string{"ldap": "a"}}
	t.bob = directory.User{Name: "bob", Email: "bob@example.com", DisplayName: mark, Expires: start.Add(time.Hour)}
	t.g = directory.Group{Name: "g", Description: mark, Grants: directory.ReadUsers, Externals: map[string]string{"ldap": "a"}}
	t.top = directory.Group{Name: "top", Description: mark, Joins: directory.Joins{Everyone: true, Domains: []string{mark + ".example"}}}
	t.key = directory.Credential{Kind: "k", Name: mark, Handle: "h", Hash: []byte(mark)}
	if like != nil {
		t.ann.ID, t.bob.ID, t.g.ID, t.top.ID = like.ann.ID, like.bob.ID, like.g.ID, like.top.ID
	}
	w.update(t.tenant, func(wr directory.Writer) error {
		if err := errors.Join(wr.InsertUser(&t.ann), wr.InsertUser(&t.bob), wr.InsertGroup(&t.g), wr.InsertGroup(&t.top)); err != nil {
			return err
		}
		t.key.User = t.ann.ID
		return errors.Join(wr.InsertCredential(&t.key), wr.Remember(t.key.ID, "key", directory.Kept{Answer: []byte(mark)}),
			wr.PutSignIn(t.ann, directory.SignIn{}, directory.SignIn{Successes: 1, Locked: true}),
			insertEdges(wr, []directory.Edge{in(1, 1), in(2, 1), within(1, 2)}, directory.Standing{Reason: mark, Source: mark}))
	})
	w.visit(map[directory.Visit]int{{Tenant: t.tenant, User: t.ann.ID, Day: directory.DayOf(start)}: len(mark)})
	return t
}

// everything renders all that a tenant shows to anyone.
func (w *world) everything(t id.Tenant, key id.Credential) string {
	w.Helper()
	var b strings.Builder
	say := func(v any, err error) error {
		fmt.Fprintf(&b, "%+v\n", v)
		return err
	}
	err := w.store.View(w.Context(), t, func(r directory.Reader) error {
		b.Reset()
		for _, err := range []error{
			say(r.Revision()), say(r.Tenant()), say(r.Shape()), say(r.SignIns([]id.Number{1, 2})), say(r.ListUsers(directory.UserFilter{}, 0, 100)),
			say(r.ListGroups(directory.GroupFilter{}, 0, 100)), say(r.Granting()), say(r.Joining()), say(r.Credentials(directory.CredentialQuery{}, 0, 100)),
			say(r.Memberships(directory.MembershipQuery{Group: 1, Limit: 100})), say(r.Memberships(directory.MembershipQuery{Group: 2, Limit: 100})),
			say(r.MembersOf(2, start, 0, 100)), say(r.Visits([]id.Number{1, 2}, start)), say(r.UserNumbers([]directory.Ref{directory.ByExternal("ldap", "a"), directory.ByEmail("ann@example.com")})),
			say(r.GroupNumbers([]directory.Ref{directory.ByExternal("ldap", "a")})), say(nil, r.Scan(
				func(n id.Number, u id.User, s bool, e time.Time) error { return say([]any{n, u, s, e}, nil) },
				func(n id.Number, g id.Group) error { return say([]any{n, g}, nil) },
				func(e directory.Edge, s directory.Standing) error { return say([]any{e, s}, nil) })),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	for _, c := range w.commits(t, 0) {
		fmt.Fprintf(&b, "%+v\n", *c)
	}
	w.update(t, func(wr directory.Writer) error {
		k, ok, err := wr.Remembered(key, "key")
		return say([]any{k, ok}, err)
	})
	return b.String()
}

var walls = []testCase{
	{"no question about one tenant is answered from another", func(w *world) {
		a := w.twin("alpha", nil)
		b := w.twin("beta", &a)
		for tenant, names := range map[id.Tenant][]string{a.tenant: {"cid"}, b.tenant: {"cid", "dan"}} {
			var gone []directory.User
			w.insert(tenant, directory.Standing{}, in(1, 2))
			for _, name := range names {
				gone = append(gone, w.user(tenant, directory.User{Name: name}))
			}
			w.remove(tenant, in(1, 2))
			for _, u := range gone {
				w.update(tenant, func(wr directory.Writer) error { return wr.DeleteUser(u) })
			}
		}
		// Every method of Reader, asked in a for what is there and then, by the
		// names that only b's things bear, for what is not.
		type question struct {
			own   func(directory.Reader) (any, error) // must say something of a's
			other func(directory.Reader) (any, error) // must find nothing; nil if there is no such name
		}
		edges := []directory.Edge{in(1, 1), in(2, 1), within(1, 2)}
		questions := map[string]question{
			"Revision": {own: func(r directory.Reader) (any, error) { return r.Revision() }},
			"Tenant":   {own: func(r directory.Reader) (any, error) { return r.Tenant() }},
			"Shape":    {own: func(r directory.Reader) (any, error) { return r.Shape() }},
			"User": {func(r directory.Reader) (any, error) { return r.User(directory.ByUser(b.ann.ID)) },
				func(r directory.Reader) (any, error) { return r.User(directory.ByCode(b.ann.Code)) }},
			"Users":     {own: func(r directory.Reader) (any, error) { return r.Users([]id.Number{1, 2}) }},
			"UserNames": {own: func(r directory.Reader) (any, error) { return r.UserNames([]id.Number{1, 2}) }},
			"UsersByName": {own: func(r directory.Reader) (any, error) {
				return r.UsersByName(directory.NameQuery{Limit: 100})
			}},
			"UserNumbers": {func(r directory.Reader) (any, error) {
				return r.UserNumbers([]directory.Ref{directory.ByExternal("ldap", "a"), directory.ByName("ann"), directory.ByEmail("bob@example.com"), directory.ByUser(b.ann.ID), directory.ByPerson(b.ann.PersonCode)})
			}, func(r directory.Reader) (any, error) {
				return r.UserNumbers([]directory.Ref{directory.ByCode(b.ann.Code), directory.ByCode(b.bob.Code), directory.ByPerson(b.bob.PersonCode)})
			}},
			"ListUsers": {own: func(r directory.Reader) (any, error) { return r.ListUsers(directory.UserFilter{}, 0, 100) }},
			"Group": {func(r directory.Reader) (any, error) { return r.Group(directory.ByGroup(b.g.ID)) },
				func(r directory.Reader) (any, error) { return r.Group(directory.ByCode(b.g.Code)) }},
			"Groups": {own: func(r directory.Reader) (any, error) { return r.Groups([]id.Number{1, 2}) }},
			"GroupNumbers": {func(r directory.Reader) (any, error) {
				return r.GroupNumbers([]directory.Ref{directory.ByExternal("ldap", "a"), directory.ByName("g"), directory.ByGroup(b.top.ID)})
			}, func(r directory.Reader) (any, error) {
				return r.GroupNumbers([]directory.Ref{directory.ByCode(b.g.Code), directory.ByCode(b.top.Code)})
			}},
			"ListGroups": {own: func(r directory.Reader) (any, error) { return r.ListGroups(directory.GroupFilter{}, 0, 100) }},
			"SignIns":    {own: func(r directory.Reader) (any, error) { return r.SignIns([]id.Number{1, 2}) }},
			"FindUsers": {own: func(r directory.Reader) (any, error) {
				hits, err := r.FindUsers(directory.Search{Within: []id.Number{1}, Without: []id.Number{3}, At: start, Limit: 100, Offset: 1, Total: true})
				return append(hits.Numbers, id.Number(hits.Total)), err
			}},
			"FindGroups": {own: func(r directory.Reader) (any, error) {
				hits, err := r.FindGroups(directory.Search{Filter: directory.Equal(directory.ExternalField("ldap"), "a"), At: start, Limit: 100, Total: true})
				return append(hits.Numbers, id.Number(hits.Total)), err
			}},
			"CountMembers": {own: func(r directory.Reader) (any, error) { return r.CountMembers([]id.Number{1, 2}, start) }},
			"Standing":     {own: func(r directory.Reader) (any, error) { return r.Standing(edges) }},
			"Memberships": {own: func(r directory.Reader) (any, error) {
				x, err := r.Memberships(directory.MembershipQuery{Group: 1, Limit: 100, At: start})
				y, err2 := r.Memberships(directory.MembershipQuery{Member: 1, Limit: 100, At: start})
				return []any{x, y}, errors.Join(err, err2)
			}},
			"MembershipsOf": {own: func(r directory.Reader) (any, error) {
				return r.MembershipsOf([]id.Member{id.UserMember(1), id.UserMember(2)}, start)
			}},
			"CountUsers": {own: func(r directory.Reader) (any, error) {
				n, err := r.CountUsers()
				return make([]int, n), err
			}},
			"Links":      {own: func(r directory.Reader) (any, error) { return r.Links([]id.Number{1, 2}) }},
			"Check":      {own: func(r directory.Reader) (any, error) { return r.Check(1, 2, start) }},
			"Checks":     {own: func(r directory.Reader) (any, error) { return r.Checks(edges, start) }},
			"Edges":      {own: func(r directory.Reader) (any, error) { return r.Edges([]id.Number{1}, []id.Member{1, -1}, 100) }},
			"Descend":    {own: func(r directory.Reader) (any, error) { return r.Descend([]id.Number{1, 2}) }},
			"Climb":      {own: func(r directory.Reader) (any, error) { return r.Climb([]id.Member{1, 2}) }},
			"RevisionAt": {own: func(r directory.Reader) (any, error) { return r.RevisionAt(start) }},
			"Periods":    {own: func(r directory.Reader) (any, error) { return r.Periods(in(1, 1), 0, 100) }},
			"AsOf": {func(r directory.Reader) (any, error) {
				p, err := r.AsOf(1)
				if err != nil {
					return nil, err
				}
				x, err := p.Memberships(directory.MembershipQuery{Group: 1, Limit: 100, At: start})
				y, err2 := p.Memberships(directory.MembershipQuery{Member: 1, Limit: 100, At: start})
				z, err3 := p.Users([]id.Number{1, 2})
				v, err4 := p.MembersOf(2, start, 0, 100)
				n, err5 := p.UsersByName(directory.NameQuery{Limit: 100})
				return []any{x, y, z, v, n}, errors.Join(err, err2, err3, err4, err5)
			}, func(r directory.Reader) (any, error) {
				p, err := r.AsOf(1)
				if err != nil {
					return nil, err
				}
				return p.UserNumbers([]directory.Ref{directory.ByCode(b.ann.Code), directory.ByCode(b.bob.Code)})
			}},
			"MembersOf":  {own: func(r directory.Reader) (any, error) { return r.MembersOf(2, start, 0, 100) }},
			"GroupsOf":   {own: func(r directory.Reader) (any, error) { return r.GroupsOf(1, start) }},
			"Visits":     {own: func(r directory.Reader) (any, error) { return r.Visits([]id.Number{1, 2}, start) }},
			"Placements": {own: func(r directory.Reader) (any, error) { return r.Placements([]id.Number{1, 2}, start) }},
			"Granting":   {own: func(r directory.Reader) (any, error) { return r.Granting() }},
			"Joining":    {own: func(r directory.Reader) (any, error) { return r.Joining() }},
			"Credential": {func(r directory.Reader) (any, error) { return r.Credential(a.key.ID) },
				func(r directory.Reader) (any, error) { return r.Credential(b.key.ID) }},
			"Credentials": {func(r directory.Reader) (any, error) {
				return r.Credentials(directory.CredentialQuery{User: b.ann.ID, Handle: "h", Kind: "k"}, 0, 100)
			}, func(r directory.Reader) (any, error) {
				return r.Credentials(directory.CredentialQuery{Parent: b.key.ID}, 0, 100)
			}},
			"Log": {own: func(r directory.Reader) (any, error) {
				var all []directory.Commit
				err := r.Log(directory.LogQuery{From: 1, To: 9, Limit: 9}, func(l directory.Logged) error {
					all = append(all, *l.Commit)
					return nil
				})
				return all, err
			}},
			"UsersAt": {own: func(r directory.Reader) (any, error) {
				return r.UsersAt([]directory.NumberAt{{Number: 1, Revision: 1}, {Number: 2, Revision: 1}})
			}},
			"GroupsAt": {own: func(r directory.Reader) (any, error) {
				return r.GroupsAt([]directory.NumberAt{{Number: 1, Revision: 1}, {Number: 2, Revision: 1}})
			}},
			"EndedIn": {own: func(r directory.Reader) (any, error) {
				return r.EndedIn([]directory.EdgeAt{{Edge: in(1, 2), Revision: 4}, {Edge: in(1, 2), Revision: 5}})
			}},
			"Dated": {own: func(r directory.Reader) (any, error) { return r.Dated(start, start.Add(time.Hour), 9) }},
			"Buried": {func(r directory.Reader) (any, error) {
				return r.Buried(directory.MemberRef{Ref: directory.ByName("cid")})
			}, func(r directory.Reader) (any, error) {
				g, err := r.Buried(directory.MemberRef{Ref: directory.ByNumber(4)})
				return []directory.Grave{g}, err
			}},
			"Authors": {own: func(r directory.Reader) (any, error) { return r.Authors([]directory.Revision{1}) }},
			"Scan": {own: func(r directory.Reader) (any, error) {
				n := 0
				err := r.Scan(func(id.Number, id.User, bool, time.Time) error { n++; return nil }, func(id.Number, id.Group) error { n++; return nil },
					func(directory.Edge, directory.Standing) error { n++; return nil })
				return fmt.Sprint("scanned ", n), err
			}},
		}
		// What a must say of its own, so that no question is idle. These counts
		// would be larger if b's were among them.
		length := map[string]int{"Users": 2, "UserNames": 2, "UsersByName": 2, "ListUsers": 2, "Groups": 2, "ListGroups": 2, "Standing": 3, "MembershipsOf": 2, "CountUsers": 2, "Checks": 2, "Climb": 3, "Periods": 1, "MembersOf": 2, "GroupsOf": 2, "Placements": 4, "Visits": 1, "Granting": 1, "Joining": 1, "SignIns": 1, "FindUsers": 2, "FindGroups": 2, "CountMembers": 2, "Credentials": 1, "Authors": 1}
		length["Edges"], length["Log"], length["UsersAt"], length["GroupsAt"], length["EndedIn"], length["Descend"], length["Dated"] = 3, 5, 2, 2, 1, 1, 1
		readers := reflect.TypeFor[directory.Reader]()
		for i := range readers.NumMethod() {
			name := readers.Method(i).Name
			q, ok := questions[name]
			if !ok {
				w.Errorf("no question asks Reader.%s: add one here", name)
				continue
			}
			got, err := try(w, a.tenant, q.own)
			text := fmt.Sprintf("%+v", got)
			if err != nil || strings.Contains(text, "beta") {
				w.Errorf("%s says %s, %v", name, text, err)
			}
			if want, ok := length[name]; ok && reflect.ValueOf(got).Len() != want {
				w.Errorf("%s yields %d things, want %d: %s", name, reflect.ValueOf(got).Len(), want, text)
			}
			if q.other == nil {
				continue
			}
			got, err = try(w, a.tenant, q.other)
			v := reflect.ValueOf(got)
			found := err == nil
			if found && v.Kind() == reflect.Slice {
				found = false
				for i := range v.Len() {
					found = found || !v.Index(i).IsZero()
				}
			} else if err != nil && !errors.Is(err, directory.NotFound) {
				w.Errorf("%s fails with %v", name, err)
			}
			if found {
				w.Errorf("%s, asked by names of the other tenant's things, says %+v", name, got)
			}
		}
		if text := fmt.Sprintf("%+v", get(w, a.tenant, questions["Scan"].own)); text != "scanned 7" {
			w.Errorf("a scan yields %s, want 7 things", text)
		}
		for _, c := range w.commits(a.tenant, 0) {
			if text := fmt.Sprintf("%+v", *c); strings.Contains(text, "beta") {
				w.Errorf("the log says %s", text)
			}
		}
	}},

	{"no change of one tenant changes another", func(w *world) {
		a := w.twin("alpha", nil)
		b := w.twin("beta", &a)
		row := w.tenantRow(a.tenant)
		edge := []directory.Edge{in(1, 1), within(1, 2)}
		// Every method of Writer, called in a with things as they are in b.
		changes := map[string]func(directory.Writer) error{
			"Try": func(wr directory.Writer) error {
				return wr.Try(func() error { return updateEdges(wr, edge, directory.Standing{Reason: "alpha, in part"}) })
			},
			"At":         func(wr directory.Writer) error { wr.At(); return nil },
			"Outcome":    func(wr directory.Writer) error { wr.Outcome(); return nil },
			"Remembered": func(wr directory.Writer) error { _, _, err := wr.Remembered(b.key.ID, "key"); return err },
			"Remember": func(wr directory.Writer) error {
				return wr.Remember(b.key.ID, "key", directory.Kept{Answer: []byte("alpha")})
			},
			"UpdateTenant": func(wr directory.Writer) error {
				after := row
				after.Title = "alpha"
				return wr.UpdateTenant(row, after)
			},
			"InsertUser": func(wr directory.Writer) error { return wr.InsertUser(&directory.User{Name: "new"}) },
			"UpdateUser": func(wr directory.Writer) error {
				after := b.ann
				after.DisplayName = "alpha"
				return wr.UpdateUser(b.ann, after)
			},
			"InsertGroup": func(wr directory.Writer) error { return wr.InsertGroup(&directory.Group{Name: "new"}) },
			"UpdateGroup": func(wr directory.Writer) error {
				after := b.g
				after.Description = "alpha"
				return wr.UpdateGroup(b.g, after)
			},
			"InsertEdges": func(wr directory.Writer) error {
				return insertEdges(wr, []directory.Edge{in(1, 2), in(2, 2)}, directory.Standing{Reason: "alpha"})
			},
			"UpdateEdges": func(wr directory.Writer) error { return updateEdges(wr, edge, directory.Standing{Reason: "alpha"}) },
			"InsertCredential": func(wr directory.Writer) error {
				return wr.InsertCredential(&directory.Credential{Kind: "k", Hash: []byte("new"), User: b.ann.ID})
			},
			"UpdateCredential": func(wr directory.Writer) error {
				c := b.key
				c.Name = "alpha"
				if err := wr.UpdateCredential(c); !errors.Is(err, directory.NotFound) {
					return fmt.Errorf("the other tenant's credential was found: %v", err)
				}
				return nil
			},
			"PutSignIn": func(wr directory.Writer) error {
				return wr.PutSignIn(b.ann, directory.SignIn{}, directory.SignIn{Failures: 7, MustChange: true})
			},
			"DeleteCredential": func(wr directory.Writer) error { return wr.DeleteCredential(b.key) },
			"DeleteEdges":      func(wr directory.Writer) error { return wr.DeleteEdges(append(edge, in(2, 1))) },
			"DeleteUser":       func(wr directory.Writer) error { return wr.DeleteUser(b.ann) },
			"DeleteGroup":      func(wr directory.Writer) error { return wr.DeleteGroup(b.g) },
			// On the platform's own; the walls around them are the case of deleted tenants.
			"InsertTenant": nil,
			"DeleteTenant": nil,
		}
		writers := reflect.TypeFor[directory.Writer]()
		readers := reflect.TypeFor[directory.Reader]()
		before := w.everything(b.tenant, b.key.ID)
		if !strings.Contains(before, "beta") || strings.Contains(before, "alpha") {
			w.Fatalf("the tenant shows %s", before)
		}
		var order []string
		for i := range writers.NumMethod() {
			name := writers.Method(i).Name
			if _, reads := readers.MethodByName(name); reads {
				continue
			}
			if _, ok := changes[name]; !ok {
				w.Errorf("nothing calls Writer.%s: add it here", name)
			}
			order = append(order, name)
		}
		// Deletions last, so that the others have something to change.
		for _, deletions := range []bool{false, true} {
			for _, name := range order {
				if fn := changes[name]; fn != nil && strings.HasPrefix(name, "Delete") == deletions {
					w.update(a.tenant, fn)
					if after := w.everything(b.tenant, b.key.ID); after != before {
						w.same("the other tenant after "+name, after, before)
					}
				}
			}
		}
		w.update(platform, func(wr directory.Writer) error { return wr.DeleteTenant(row) })
		if after := w.everything(b.tenant, b.key.ID); after != before {
			w.same("the other tenant after DeleteTenant", after, before)
		}
	}},
}
