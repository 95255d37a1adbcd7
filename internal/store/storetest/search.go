package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"roster/internal/directory"
	"roster/internal/id"
)

// sample is one thing as a search sees it: the values of its fields, from which
// a naive reading of a filter says whether it is meant.
type sample struct {
	number id.Number
	values map[directory.Field]any
}

func (s sample) value(f directory.Field) any {
	if v, ok := s.values[f]; ok {
		return v
	}
	return "" // an attribute or external id that is not there
}

// means is what a filter says, read as its documentation does.
func means(f directory.Filter, s sample) bool {
	switch f.Op {
	case directory.FilterEverything:
		return true
	case directory.FilterAnd:
		return !slices.ContainsFunc(f.Of, func(f directory.Filter) bool { return !means(f, s) })
	case directory.FilterOr:
		return slices.ContainsFunc(f.Of, func(f directory.Filter) bool { return means(f, s) })
	case directory.FilterNot:
		return !means(f.Of[0], s)
	}
	have := s.value(f.Field)
	if f.Op == directory.FilterEqual {
		return slices.ContainsFunc(f.Values, func(v any) bool { return order(have, v) == 0 })
	}
	if at, isMoment := have.(time.Time); have == "" && f.Op <= directory.FilterAtLeast || isMoment && at.IsZero() {
		return false
	}
	switch f.Op {
	case directory.FilterPresent:
		return true
	case directory.FilterLess:
		return orderIn(f.Field, have, f.Values[0]) < 0
	case directory.FilterAtMost:
		return orderIn(f.Field, have, f.Values[0]) <= 0
	case directory.FilterGreater:
		return orderIn(f.Field, have, f.Values[0]) > 0
	case directory.FilterAtLeast:
		return orderIn(f.Field, have, f.Values[0]) >= 0
	}
	if _, ok := s.values[f.Field]; !ok {
		return false
	}
	text, part := have.(string), f.Values[0].(string)
	switch f.Op {
	case directory.FilterContains:
		return strings.Contains(text, part)
	case directory.FilterStartsWith:
		return strings.HasPrefix(text, part)
	case directory.FilterEndsWith:
		return strings.HasSuffix(text, part)
	}
	return like([]rune(part), []rune(text))
}

// like matches a pattern of *, ? and \.
func like(pattern, text []rune) bool {
	if len(pattern) == 0 {
		return len(text) == 0
	}
	switch {
	case pattern[0] == '*':
		return like(pattern[1:], text) || len(text) > 0 && like(pattern, text[1:])
	case len(text) == 0:
		return false
	case pattern[0] == '?':
		return like(pattern[1:], text[1:])
	case pattern[0] == '\\' && len(pattern) > 1:
		return pattern[1] == text[0] && like(pattern[2:], text[1:])
	}
	return pattern[0] == text[0] && like(pattern[1:], text[1:])
}

// orderIn compares as the field sorts.
func orderIn(f directory.Field, a, b any) int {
	if x, ok := a.(string); ok && f == directory.FieldName {
		return cmp.Compare(directory.SortKey(x), directory.SortKey(b.(string)))
	}
	return order(a, b)
}

func order(a, b any) int {
	switch a := a.(type) {
	case string:
		return cmp.Compare(a, b.(string))
	case int64:
		return cmp.Compare(a, b.(int64))
	case bool:
		return cmp.Compare(number(a), number(b.(bool)))
	case time.Time:
		return a.Compare(b.(time.Time))
	case [16]byte:
		c := b.([16]byte)
		return slices.Compare(a[:], c[:])
	}
	panic(fmt.Sprintf("order of %T", a))
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

var (
	texts   = []string{"", "ann", "Ann B", "ÄNN", "änn", "b%", "B_c", "a*", `c\d`, "straße", "STRASSE", "_x", "1x", "x1"}
	sources = []string{"ldap", "okta"}
	keys    = []string{"dept", "Dept Two", `q"uote`}
)

func drawText(t *rapid.T, label string) string { return rapid.SampledFrom(texts).Draw(t, label) }

func drawMoment(t *rapid.T, label string) time.Time {
	n := rapid.IntRange(-1, 2).Draw(t, label)
	if n == 2 {
		return time.Time{}
	}
	return start.Add(time.Duration(n) * time.Microsecond)
}

func drawAttributes(t *rapid.T) directory.Attributes {
	var a directory.Attributes
	for _, key := range keys {
		switch rapid.IntRange(0, 5).Draw(t, "attribute") {
		case 0, 1:
			a = a.With("some_dialect", key, drawText(t, "value"))
		case 2:
			a = a.With("some_dialect", key, 7.5)
		case 3:
			a = a.With("some_dialect", key, true)
		case 4:
			a = a.With("other", key, []any{"ann"})
		}
	}
	return a
}

func drawExternals(t *rapid.T, n int) map[string]string {
	out := map[string]string{}
	for _, source := range sources {
		if rapid.Bool().Draw(t, "external") {
			out[source] = fmt.Sprintf("%s%d", rapid.SampledFrom([]string{"A", "a", "%"}).Draw(t, "key"), n)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// own adds to a sample what is of users and groups alike.
func (s sample) own(externals map[string]string, a directory.Attributes) sample {
	for source, key := range externals {
		s.values[directory.ExternalField(source)] = key
	}
	for namespace, values := range directory.FoldAttributes(a) {
		for key, v := range values {
			s.values[directory.AttributeField(namespace, key)] = v
		}
	}
	return s
}

// drawFilter draws a filter over fields, the values of which come from what the
// samples have.
func drawFilter(t *rapid.T, samples []sample, fieldType func(directory.Field) (directory.FieldType, bool), fields []directory.Field, depth int) directory.Filter {
	if depth > 0 && rapid.IntRange(0, 2).Draw(t, "node") == 0 {
		of := make([]directory.Filter, rapid.IntRange(0, 3).Draw(t, "children"))
		for i := range of {
			of[i] = drawFilter(t, samples, fieldType, fields, depth-1)
		}
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			return directory.And(of...)
		case 1:
			return directory.Or(of...)
		}
		return directory.Not(directory.And(of...))
	}
	f := rapid.SampledFrom(fields).Draw(t, "field")
	kind, ok := fieldType(f)
	if !ok {
		t.Fatalf("there is no field %s", f)
	}
	if rapid.IntRange(0, 8).Draw(t, "present") == 0 {
		return directory.Present(f)
	}
	value := func() any {
		if v := rapid.SampledFrom(samples).Draw(t, "like whose").value(f); kind != directory.FieldText || rapid.Bool().Draw(t, "same") {
			return v
		}
		return drawText(t, "text")
	}
	ops := []directory.FilterOp{directory.FilterEqual}
	if kind != directory.FieldUUID && kind != directory.FieldBool {
		ops = append(ops, directory.FilterLess, directory.FilterAtMost, directory.FilterGreater, directory.FilterAtLeast)
	}
	if kind == directory.FieldText {
		ops = append(ops, directory.FilterContains, directory.FilterStartsWith, directory.FilterEndsWith)
		if _, external := f.External(); !external {
			ops = append(ops, directory.FilterLike)
		}
	}
	switch op := rapid.SampledFrom(ops).Draw(t, "op"); op {
	case directory.FilterEqual:
		values := make([]any, rapid.IntRange(0, 3).Draw(t, "values"))
		for i := range values {
			values[i] = value()
		}
		return directory.Equal(f, values...)
	case directory.FilterContains, directory.FilterStartsWith, directory.FilterEndsWith, directory.FilterLike:
		text := []rune(value().(string))
		from := rapid.IntRange(0, len(text)).Draw(t, "from")
		part := string(text[from:rapid.IntRange(from, len(text)).Draw(t, "to")])
		if op == directory.FilterLike {
			part = rapid.SampledFrom([]string{"", "*", "?", `\`, `\*`}).Draw(t, "wild") + part + rapid.SampledFrom([]string{"", "*", "?", `\?`, `\`}).Draw(t, "wild")
		}
		return directory.Compare(op, f, part)
	default:
		return directory.Compare(op, f, value())
	}
}

// searchesAgree compares a search with a naive one over samples: whole, in pages
// by offset, and in pages by position.
func searchesAgree(find func(directory.Search) (directory.Hits, error), q directory.Search, samples []sample) error {
	var want []sample
	for _, s := range samples {
		if means(q.Filter, s) {
			want = append(want, s)
		}
	}
	slices.SortFunc(want, func(a, b sample) int {
		for _, o := range q.Order {
			c := orderIn(o.Field, a.value(o.Field), b.value(o.Field))
			if c != 0 && o.Descending {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return cmp.Compare(a.number, b.number)
	})
	numbers := make([]id.Number, len(want))
	for i, s := range want {
		numbers[i] = s.number
	}
	for _, limit := range []int{1, 3, 100} {
		for _, byPosition := range []bool{false, true} {
			var got []id.Number
			page := q
			page.Limit = limit
			for len(got) <= len(numbers) {
				page.Total = true
				hits, err := find(page)
				if err != nil {
					return err
				}
				if hits.Total != len(numbers) {
					return fmt.Errorf("the total is %d, want %d", hits.Total, len(numbers))
				}
				got = append(got, hits.Numbers...)
				if hits.Next == nil {
					break
				}
				if byPosition {
					page.After = hits.Next
				} else {
					page.Offset += limit
				}
			}
			if !slices.Equal(got, numbers) {
				return fmt.Errorf("pages of %d (by position: %v) hold %v, want %v", limit, byPosition, got, numbers)
			}
		}
	}
	beyond, err := find(directory.Search{Filter: q.Filter, Within: q.Within, Without: q.Without, Among: q.Among, At: q.At, Offset: 1000, Limit: 5, Total: true})
	if err != nil || len(beyond.Numbers) != 0 || beyond.Total != len(numbers) || beyond.Next != nil {
		return fmt.Errorf("beyond the end there is %+v (%v), want a total of %d alone", beyond, err, len(numbers))
	}
	return nil
}

func drawOrder(t *rapid.T, fields []directory.Field) []directory.Order {
	order := make([]directory.Order, rapid.IntRange(0, 3).Draw(t, "order"))
	for i := range order {
		order[i] = directory.Order{Field: rapid.SampledFrom(fields).Draw(t, "by"), Descending: rapid.Bool().Draw(t, "descending")}
	}
	return order
}

var bothFields = []directory.Field{
	directory.FieldID, directory.FieldNumber, directory.FieldCode, directory.FieldName, directory.FieldVersion, directory.FieldCreated, directory.FieldModified,
	directory.AttributeField("some_dialect", "DEPT"), directory.AttributeField("some_dialect", "dept two"), directory.AttributeField("some_dialect", `Q"uote`),
	directory.AttributeField("other", "dept"), directory.ExternalField("ldap"), directory.ExternalField("okta"),
}

var userFields = append([]directory.Field{
	directory.FieldEmail, directory.FieldEmailVerified, directory.FieldGivenName, directory.FieldFamilyName,
	directory.FieldDisplayName, directory.FieldSuspended, directory.FieldExpires, directory.FieldLocked, directory.FieldMustChange,
	directory.FieldChangeEvery, directory.FieldLastSuccess, directory.FieldLastFailure, directory.FieldPasswordSet,
	directory.FieldSuccesses, directory.FieldFailures, directory.FieldStreak,
}, bothFields...)

var groupFields = append([]directory.Field{directory.FieldDescription, directory.FieldBuiltIn}, bothFields...)

func sampleUser(u directory.User, s directory.SignIn) sample {
	fold := directory.FoldName
	return sample{u.Number, map[directory.Field]any{
		directory.FieldID: [16]byte(u.ID), directory.FieldNumber: int64(u.Number), directory.FieldCode: u.Code, directory.FieldName: fold(u.Name),
		directory.FieldVersion: u.Version, directory.FieldCreated: u.Created, directory.FieldModified: u.Modified,
		directory.FieldEmail: fold(u.Email), directory.FieldEmailVerified: u.EmailVerified, directory.FieldGivenName: fold(u.GivenName),
		directory.FieldFamilyName: fold(u.FamilyName), directory.FieldDisplayName: fold(u.DisplayName),
		directory.FieldSuspended: u.Suspended, directory.FieldExpires: u.Expires,
		directory.FieldLocked: s.Locked, directory.FieldMustChange: s.MustChange, directory.FieldChangeEvery: int64(s.ChangeEvery),
		directory.FieldLastSuccess: s.LastSuccess, directory.FieldLastFailure: s.LastFailure, directory.FieldPasswordSet: s.Changed,
		directory.FieldSuccesses: s.Successes, directory.FieldFailures: s.Failures, directory.FieldStreak: s.Streak,
	}}.own(u.Externals, u.Attributes)
}

func sampleGroup(g directory.Group) sample {
	fold := directory.FoldName
	return sample{g.Number, map[directory.Field]any{
		directory.FieldID: [16]byte(g.ID), directory.FieldNumber: int64(g.Number), directory.FieldCode: g.Code, directory.FieldName: fold(g.Name),
		directory.FieldVersion: g.Version, directory.FieldCreated: g.Created, directory.FieldModified: g.Modified,
		directory.FieldDescription: fold(g.Description), directory.FieldBuiltIn: g.BuiltIn,
	}}.own(g.Externals, g.Attributes)
}

var searches = []testCase{
	{"a search of users finds what a naive reading of its filter means, in its order", func(w *world) {
		made := 0
		rapid.Check(w.T, func(rt *rapid.T) {
			made++
			t := w.tenant(fmt.Sprintf("t%d", made))
			users := make([]directory.User, rapid.IntRange(1, 7).Draw(rt, "users"))
			for i := range users {
				users[i] = directory.User{
					Name: drawText(rt, "name") + fmt.Sprint(i), GivenName: drawText(rt, "given"), FamilyName: drawText(rt, "family"), DisplayName: drawText(rt, "display"),
					Suspended: rapid.Bool().Draw(rt, "suspended"), Expires: drawMoment(rt, "expires"), Externals: drawExternals(rt, i), Attributes: drawAttributes(rt),
				}
				if rapid.Bool().Draw(rt, "addressed") {
					users[i].Email, users[i].EmailVerified = fmt.Sprintf("A%d@example.com", i), rapid.Bool().Draw(rt, "verified")
				}
				w.clock.advance(time.Duration(rapid.IntRange(0, 1).Draw(rt, "later")) * time.Microsecond)
				users[i] = w.user(t, users[i])
			}
			samples := make([]sample, len(users))
			for i, u := range users {
				var s directory.SignIn
				if rapid.Bool().Draw(rt, "tried") {
					s = directory.SignIn{
						Successes: rapid.Int64Range(0, 2).Draw(rt, "successes"), Failures: 1, Streak: rapid.Int64Range(0, 1).Draw(rt, "streak"),
						LastSuccess: drawMoment(rt, "success"), LastFailure: drawMoment(rt, "failure"), Changed: drawMoment(rt, "set"),
						Locked: rapid.Bool().Draw(rt, "locked"), MustChange: rapid.Bool().Draw(rt, "must"), ChangeEvery: rapid.IntRange(0, 2).Draw(rt, "every"),
					}
					w.update(t, func(wr directory.Writer) error { return wr.PutSignIn(u, directory.SignIn{}, s) })
				}
				samples[i] = sampleUser(u, s)
			}
			q := directory.Search{Filter: drawFilter(rt, samples, directory.UserField, userFields, 3), Order: drawOrder(rt, userFields), At: start}
			if err := w.asked(t, func(r directory.Reader) error { return searchesAgree(r.FindUsers, q, samples) }); err != nil {
				rt.Fatalf("%+v: %v", q, err)
			}
		})
	}},

	{"a search of groups finds what a naive reading of its filter means, in its order", func(w *world) {
		made := 0
		rapid.Check(w.T, func(rt *rapid.T) {
			made++
			t := w.tenant(fmt.Sprintf("t%d", made))
			samples := make([]sample, rapid.IntRange(1, 7).Draw(rt, "groups"))
			for i := range samples {
				samples[i] = sampleGroup(w.group(t, directory.Group{
					Name: drawText(rt, "name"), Description: drawText(rt, "description"), BuiltIn: rapid.Bool().Draw(rt, "built in"),
					Externals: drawExternals(rt, i), Attributes: drawAttributes(rt),
				}))
			}
			q := directory.Search{Filter: drawFilter(rt, samples, directory.GroupField, groupFields, 3), Order: drawOrder(rt, groupFields), At: start}
			if err := w.asked(t, func(r directory.Reader) error { return searchesAgree(r.FindGroups, q, samples) }); err != nil {
				rt.Fatalf("%+v: %v", q, err)
			}
		})
	}},

	{"a search within, without and among finds who stands where, and counts say how many", func(w *world) {
		made := 0
		rapid.Check(w.T, func(rt *rapid.T) {
			g := drawGraph(rt)
			made++
			t := w.tenant(fmt.Sprintf("t%d", made))
			w.update(t, g.put)
			groups := func(label string, none bool) []id.Number {
				if none && rapid.Bool().Draw(rt, label+" at all") {
					return nil
				}
				return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) id.Number { return id.Number(rapid.IntRange(1, 9).Draw(t, label)) }), 0, 4).Draw(rt, label)
			}
			q := directory.Search{Within: groups("within", true), Without: groups("without", true), Among: groups("among", true), At: start}
			stands := func(m id.Member, in []id.Number) bool {
				return slices.ContainsFunc(in, func(n id.Number) bool {
					s, ok := g.edges[directory.Edge{Group: n, Member: m}]
					return ok && s.HoldsAt(q.At)
				})
			}
			meant := func(m id.Member, n id.Number) bool {
				return (q.Within == nil || stands(m, q.Within)) && !stands(m, q.Without) && (q.Among == nil || slices.Contains(q.Among, n))
			}
			var users, below []sample
			for n := id.Number(1); int(n) <= len(g.users); n++ {
				if meant(id.UserMember(n), n) && (q.Within == nil || g.users[n].ActiveAt(q.At)) {
					users = append(users, sample{number: n})
				}
			}
			counts := map[id.Number]directory.MemberCount{}
			for n := id.Number(1); int(n) <= g.groups; n++ {
				if meant(id.GroupMember(n), n) {
					below = append(below, sample{number: n})
				}
			}
			for e, s := range g.edges {
				c := counts[e.Group]
				u, isUser := e.Member.User()
				switch {
				case !s.HoldsAt(q.At) || isUser && !g.users[u].ActiveAt(q.At):
					continue
				case isUser:
					c.Users++
				default:
					c.Groups++
				}
				counts[e.Group] = c
			}
			err := w.asked(t, func(r directory.Reader) error {
				if err := searchesAgree(r.FindUsers, q, users); err != nil {
					return fmt.Errorf("users: %w", err)
				}
				if err := searchesAgree(r.FindGroups, q, below); err != nil {
					return fmt.Errorf("groups: %w", err)
				}
				got, err := r.CountMembers([]id.Number{1, 2, 3, 4, 5, 6, 7, 8, 9}, q.At)
				for n := id.Number(1); err == nil && n < 10; n++ {
					if got[n] != counts[n] {
						err = fmt.Errorf("group %d has %+v members, want %+v", n, got[n], counts[n])
					}
				}
				return err
			})
			if err != nil {
				rt.Fatalf("%+v: %v", q, err)
			}
		})
	}},

	{"what is searched by follows what is written", func(w *world) {
		t := w.tenant("one")
		u := w.user(t, directory.User{Name: "Zoë", GivenName: "ZOË", Attributes: directory.Attributes{"d": map[string]any{"k": "Old"}}})
		g := w.group(t, directory.Group{Name: "Zoë", Description: "ZOË"})
		w.update(t, func(wr directory.Writer) error {
			after, group := u, g
			after.Name, after.GivenName, after.Attributes = "_Ärger", "ÄRGER", directory.Attributes{"d": map[string]any{"K": "NEW"}}
			group.Name, group.Description = "_Ärger", "ÄRGER"
			if err := wr.UpdateUser(u, after); err != nil {
				return err
			}
			return wr.UpdateGroup(g, group)
		})
		for _, c := range []struct {
			find   func(directory.Reader, directory.Search) (directory.Hits, error)
			filter directory.Filter
		}{
			{directory.Reader.FindUsers, directory.Equal(directory.FieldName, "_ÄRGER")},
			{directory.Reader.FindUsers, directory.Equal(directory.FieldGivenName, "ärger")},
			{directory.Reader.FindUsers, directory.Equal(directory.AttributeField("d", "k"), "new")},
			{directory.Reader.FindUsers, directory.Compare(directory.FilterLess, directory.FieldName, "0")},
			{directory.Reader.FindGroups, directory.Equal(directory.FieldName, "_ÄRGER")},
			{directory.Reader.FindGroups, directory.Equal(directory.FieldDescription, "ärger")},
			{directory.Reader.FindGroups, directory.Compare(directory.FilterLess, directory.FieldName, "0")},
		} {
			hits := get(w, t, func(r directory.Reader) (directory.Hits, error) {
				return c.find(r, directory.Search{Filter: c.filter, Limit: 5})
			})
			if len(hits.Numbers) != 1 {
				w.Errorf("%+v finds %v", c.filter, hits.Numbers)
			}
		}
	}},
}

var signIns = []testCase{
	{"how a user signs in is kept, and what was decided is recorded", func(w *world) {
		t := w.tenant("one")
		u := w.user(t, directory.User{Name: "ann", Suspended: true, Expires: start.Add(time.Hour)})
		other := w.user(t, directory.User{Name: "bob"})
		read := func() map[id.Number]directory.SignIn {
			return get(w, t, func(r directory.Reader) (map[id.Number]directory.SignIn, error) {
				return r.SignIns([]id.Number{u.Number, other.Number, 99})
			})
		}
		w.same("nobody tried", read(), map[id.Number]directory.SignIn{})
		before := w.revision(t)
		tried := directory.SignIn{Successes: 1, Failures: 2, Streak: 3, LastSuccess: start, LastFailure: start.Add(time.Microsecond), Changed: start.Add(time.Second)}
		w.update(t, func(wr directory.Writer) error { return wr.PutSignIn(u, directory.SignIn{}, tried) })
		w.same("counters", read(), map[id.Number]directory.SignIn{u.Number: tried})
		w.same("the revision after counting", w.revision(t), before)
		decided := tried
		decided.Locked, decided.MustChange, decided.ChangeEvery = true, true, 90
		w.update(t, func(wr directory.Writer) error { return wr.PutSignIn(u, tried, decided) })
		w.same("what was decided", read(), map[id.Number]directory.SignIn{u.Number: decided})
		log := w.commits(t, before)
		if len(log) != 1 || len(log[0].Changes) != 1 {
			w.Fatalf("the log says %+v", log)
		}
		c := log[0].Changes[0]
		if c.Kind != directory.UserUpdated || c.Number != u.Number || c.ID != [16]byte(u.ID) || !c.Suspended || !c.Expires.Equal(u.Expires) || c.After["locked"] != true {
			w.Fatalf("the record is %+v", c)
		}
		w.refused(t, errUndone, func(wr directory.Writer) error {
			if err := wr.PutSignIn(u, decided, directory.SignIn{}); err != nil {
				return err
			}
			return errUndone
		})
		w.same("after a refusal", read(), map[id.Number]directory.SignIn{u.Number: decided})
		w.update(t, func(wr directory.Writer) error { return wr.DeleteUser(u) })
		w.same("after its end", read(), map[id.Number]directory.SignIn{})
	}},

	{"the groups that users join are those that say so", func(w *world) {
		t := w.tenant("one")
		all := w.group(t, directory.Group{Name: "all", Joins: directory.Joins{Everyone: true}})
		some := w.group(t, directory.Group{Name: "some"})
		read := func() string {
			text := ""
			for _, g := range get(w, t, directory.Reader.Joining) {
				text += g.Name + ":" + g.Joins.String() + " "
			}
			return text
		}
		w.same("at first", read(), "all:* ")
		w.update(t, func(wr directory.Writer) error {
			after, none := some, all
			after.Joins.Domains, none.Joins = []string{"b.example", "A.example"}, directory.Joins{}
			return errors.Join(wr.UpdateGroup(some, after), wr.UpdateGroup(all, none))
		})
		w.same("after a change", read(), "some:a.example b.example ")
		g := get(w, t, func(r directory.Reader) (directory.Group, error) { return r.Group(directory.ByName("some")) })
		w.same("read alone", g.Joins, directory.Joins{Domains: []string{"a.example", "b.example"}})
	}},

	{"a login is a name, or else an address", func(w *world) {
		t := w.tenant("one")
		ann := w.user(t, directory.User{Name: "ann", Email: "Ann@example.com"})
		bob := w.user(t, directory.User{Name: "bob@example.com", Email: "other@example.com"})
		eve := w.user(t, directory.User{Name: "eve", Email: "BOB@example.com"})
		numbers := get(w, t, func(r directory.Reader) ([]id.Number, error) {
			return r.UserNumbers([]directory.Ref{directory.ByLogin("ANN@example.com"), directory.ByLogin("nobody"), directory.ByLogin("Bob@example.com"), directory.ByLogin("eve"), directory.ByName("ann")})
		})
		w.same("the users", numbers, []id.Number{ann.Number, 0, bob.Number, eve.Number, ann.Number})
		for login, want := range map[string]id.Number{"ann": ann.Number, "ann@example.com": ann.Number, "bob@example.com": bob.Number} {
			u := get(w, t, func(r directory.Reader) (directory.User, error) { return r.User(directory.ByLogin(login)) })
			w.same(login, u.Number, want)
			alone := get(w, t, func(r directory.Reader) ([]id.Number, error) {
				return r.UserNumbers([]directory.Ref{directory.ByLogin(login)})
			})
			w.same(login+" alone", alone, []id.Number{want})
		}
		_, err := try(w, t, func(r directory.Reader) (directory.User, error) {
			return r.User(directory.ByLogin("nobody@example.com"))
		})
		w.is(err, directory.ErrNoUser)
	}},
}

var errUndone = &directory.Error{Kind: directory.Conflict, Code: "undone"}

// asked runs questions in a view and returns what fn says.
func (w *world) asked(t id.Tenant, fn func(directory.Reader) error) error {
	return w.store.View(w.Context(), t, fn)
}
