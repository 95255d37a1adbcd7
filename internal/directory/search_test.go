package directory_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"roster/internal/directory"
)

func userNames(s directory.Sorted[directory.User]) []string {
	names := make([]string, len(s.Items))
	for i, u := range s.Items {
		names[i] = u.Name
	}
	return names
}

func groupNames(s directory.Sorted[directory.Group]) []string {
	names := make([]string, len(s.Items))
	for i, g := range s.Items {
		names[i] = g.Name
	}
	return names
}

var byName = []directory.Order{{Field: directory.FieldName}}

// lists makes a small tree: top holds left and right, left holds leaf.
func lists(t *testing.T) (*world, map[string]directory.Group) {
	w := newWorld(t)
	g := map[string]directory.Group{}
	g["top"] = w.group("top", 0)
	g["left"] = w.group("left", 0, g["top"])
	g["right"] = w.group("right", 0, g["top"])
	g["leaf"] = w.group("leaf", 0, g["left"])
	w.group("aside", 0)
	w.user("tom", g["top"])
	w.user("lea", g["leaf"])
	w.user("rik", g["right"])
	w.user("Bo", g["leaf"], g["right"])
	w.user("none")
	gone := w.user("gone", g["top"])
	suspend(w, gone)
	return w, g
}

func suspend(w *world, u directory.User) {
	w.t.Helper()
	a, err := w.UpdateUser(ctx, w.admin, directory.UserUpdate{User: directory.ByUser(u.ID), Suspended: ptr(true)})
	ok(w.t, a, err)
}

// asColdAndWarm asks before the tenant is in the index and after.
func asColdAndWarm(t *testing.T, w *world, ask func(t *testing.T)) {
	t.Run("cold", ask)
	w.warm(w.user("passing"), directory.Group{})
	a, err := w.DeleteUser(ctx, w.admin, directory.Deletion{Ref: directory.ByName("passing")})
	ok(t, a, err)
	t.Run("warm", ask)
}

func TestUsersAreFoundByGroupDirectlyAndThroughGroups(t *testing.T) {
	w, g := lists(t)
	top, leaf, right := directory.ByGroup(g["top"].ID), directory.ByGroup(g["leaf"].ID), directory.ByName("right")
	asColdAndWarm(t, w, func(t *testing.T) {
		for _, c := range []struct {
			in   directory.FindUsers
			want string
		}{
			{directory.FindUsers{}, "Bo gone lea none rik tom"},
			{directory.FindUsers{Group: top}, "tom"},
			{directory.FindUsers{Group: top, Transitive: true}, "Bo lea rik tom"},
			{directory.FindUsers{Group: top, Transitive: true, Except: []directory.Ref{right}}, "lea tom"},
			{directory.FindUsers{Group: top, Transitive: true, Except: []directory.Ref{directory.ByName("left")}}, "rik tom"},
			{directory.FindUsers{Group: top, Transitive: true, Except: []directory.Ref{directory.ByName("unheard of")}}, "Bo lea rik tom"},
			{directory.FindUsers{Group: leaf}, "Bo lea"},
			{directory.FindUsers{Group: directory.ByName("left")}, ""},
			{directory.FindUsers{Except: []directory.Ref{top}}, "none"}, // gone stands there, though it is in nothing now
			{directory.FindUsers{Group: top, Transitive: true, Finding: directory.Finding{Filter: directory.Compare(directory.FilterContains, directory.FieldName, "O")}}, "Bo tom"},
			{directory.FindUsers{Finding: directory.Finding{Limit: 2, Offset: 1}}, "gone lea"},
		} {
			c.in.Order, c.in.Total = byName, true
			a, err := w.FindUsers(ctx, w.admin, c.in)
			found := ok(t, a, err)
			if got := strings.Join(userNames(found), " "); got != c.want {
				t.Errorf("%+v finds %q, want %q", c.in, got, c.want)
			}
			if c.in.Limit == 0 && found.Total != len(found.Items) {
				t.Errorf("%+v counts %d, want %d", c.in, found.Total, len(found.Items))
			}
		}
	})
}

func TestGroupsAreFoundInsideGroupsAndByTheirMembers(t *testing.T) {
	w, g := lists(t)
	top := directory.ByGroup(g["top"].ID)
	of := func(name string) *directory.MemberRef { return &directory.MemberRef{Ref: directory.ByName(name)} }
	asColdAndWarm(t, w, func(t *testing.T) {
		for _, c := range []struct {
			in   directory.FindGroups
			want string
		}{
			{directory.FindGroups{}, "aside leaf left right top"},
			{directory.FindGroups{Inside: top}, "left right"},
			{directory.FindGroups{Inside: top, Self: true}, "left right top"},
			{directory.FindGroups{Inside: top, Transitive: true}, "leaf left right"},
			{directory.FindGroups{Inside: top, Transitive: true, Except: []directory.Ref{directory.ByName("left")}}, "left right"},
			{directory.FindGroups{Inside: directory.ByName("leaf"), Transitive: true}, ""},
			{directory.FindGroups{Of: of("bo")}, "leaf right"},
			{directory.FindGroups{Of: of("bo"), Transitive: true}, "leaf left right top"},
			{directory.FindGroups{Of: of("bo"), Transitive: true, Except: []directory.Ref{directory.ByName("left")}}, "left right top"},
			{directory.FindGroups{Of: of("gone"), Transitive: true}, ""},
			{directory.FindGroups{Of: &directory.MemberRef{IsGroup: true, Ref: directory.ByName("leaf")}}, "left"},
			{directory.FindGroups{Of: &directory.MemberRef{IsGroup: true, Ref: directory.ByName("leaf")}, Transitive: true}, "left top"},
		} {
			c.in.Order, c.in.Total = byName, true
			a, err := w.FindGroups(ctx, w.admin, c.in)
			found := ok(t, a, err)
			if got := strings.Join(groupNames(found), " "); got != c.want || found.Total != len(found.Items) {
				t.Errorf("%+v finds %q of %d, want %q", c.in, got, found.Total, c.want)
			}
		}
		counts, err := w.MemberCounts(ctx, w.admin, []directory.Group{g["top"], g["leaf"], g["left"]})
		if got, want := ok(t, counts, err), []directory.MemberCount{{Users: 1, Groups: 2}, {Users: 2}, {Groups: 1}}; !slices.Equal(got, want) {
			t.Errorf("the groups have %+v members, want %+v", got, want)
		}
	})
}

// Advisory 4: one list must not forget the check that its siblings make.
func TestAUserMayAskForItsOwnGroupsAndNobodyElses(t *testing.T) {
	w, _ := lists(t)
	a, err := w.User(ctx, w.admin, directory.ByName("bo"))
	bo := w.as(ok(t, a, err))
	mine := directory.FindGroups{Of: &directory.MemberRef{Ref: directory.ByName("bo")}, Transitive: true, Finding: directory.Finding{Order: byName}}
	found, err := w.FindGroups(ctx, bo, mine)
	if got := strings.Join(groupNames(ok(t, found, err)), " "); got != "leaf left right top" {
		t.Errorf("its own groups are %q", got)
	}
	for _, who := range []string{"lea", "nobody at all"} {
		w.refused("a user asking for the groups of "+who, directory.Forbidden, func() error {
			return drop(w.FindGroups(ctx, bo, directory.FindGroups{Of: &directory.MemberRef{Ref: directory.ByName(who)}}))
		})
	}
	w.refused("a user asking for all groups", directory.Forbidden, func() error { return drop(w.FindGroups(ctx, bo, directory.FindGroups{})) })
	bo.Grants = directory.ManageKeys
	w.refused("a key without self.read", directory.Forbidden, func() error { return drop(w.FindGroups(ctx, bo, mine)) })
}

// Advisory 24: what a filter may cost is bounded before it is compiled.
func TestAFilterThatIsTooMuchIsRefusedClearly(t *testing.T) {
	w := newWorld(t)
	name := directory.Present(directory.FieldName)
	deep := name
	for range directory.MaxFilterDepth {
		deep = directory.Not(deep)
	}
	many := make([]directory.Filter, directory.MaxFilterClauses)
	for i := range many {
		many[i] = name
	}
	values := make([]any, directory.MaxFilterValues+1)
	for i := range values {
		values[i] = fmt.Sprint(i)
	}
	long := strings.Repeat("a", directory.MaxFilterText+1)
	for what, c := range map[string]struct {
		in   directory.Finding
		code string
	}{
		"too deep":              {directory.Finding{Filter: deep}, "filter.deep"},
		"too many clauses":      {directory.Finding{Filter: directory.Or(many...)}, "filter.large"},
		"too many values":       {directory.Finding{Filter: directory.Equal(directory.FieldName, values...)}, "filter.large"},
		"too long":              {directory.Finding{Filter: directory.Equal(directory.FieldName, long)}, "filter.long"},
		"a field nobody has":    {directory.Finding{Filter: directory.Present("password")}, "filter.field"},
		"a field of groups":     {directory.Finding{Filter: directory.Present(directory.FieldDescription)}, "filter.field"},
		"a bad namespace":       {directory.Finding{Filter: directory.Present(directory.AttributeField(`a"b`, "c"))}, "filter.field"},
		"a bad source":          {directory.Finding{Filter: directory.Present(directory.ExternalField("a'b"))}, "filter.field"},
		"a value of other type": {directory.Finding{Filter: directory.Equal(directory.FieldSuspended, "true")}, "filter.value"},
		"a bare int":            {directory.Finding{Filter: directory.Equal(directory.FieldNumber, 1)}, "filter.value"},
		"less of a truth":       {directory.Finding{Filter: directory.Compare(directory.FilterLess, directory.FieldSuspended, true)}, "filter.operator"},
		"contains of a number":  {directory.Finding{Filter: directory.Compare(directory.FilterContains, directory.FieldNumber, "1")}, "filter.operator"},
		"two values":            {directory.Finding{Filter: directory.Filter{Op: directory.FilterLess, Field: directory.FieldName, Values: []any{"a", "b"}}}, "filter.operator"},
		"an unknown comparison": {directory.Finding{Filter: directory.Filter{Op: 200, Field: directory.FieldName}}, "filter.operator"},
		"not of two":            {directory.Finding{Filter: directory.Filter{Op: directory.FilterNot, Of: []directory.Filter{name, name}}}, "filter.malformed"},
		"sorted by nothing":     {directory.Finding{Order: []directory.Order{{Field: "password"}}}, "filter.field"},
		"sorted by too much":    {directory.Finding{Order: slices.Repeat(byName, directory.MaxOrder+1)}, "order.large"},
		"a cursor of another":   {directory.Finding{Order: byName, After: &directory.Position{}}, "cursor.malformed"},
		"a cursor of numbers":   {directory.Finding{Order: byName, After: &directory.Position{Keys: []any{int64(1)}}}, "cursor.malformed"},
	} {
		_, err := w.FindUsers(ctx, w.admin, directory.FindUsers{Finding: c.in})
		if e, isError := errors.AsType[*directory.Error](err); !isError || e.Kind != directory.Invalid || e.Code != c.code || e.Detail == "" {
			t.Errorf("%s: %v, want invalid (%s)", what, err, c.code)
		}
	}
}

func TestNamesSortAsPeopleSortThem(t *testing.T) {
	names := []string{"API Key 2", "_child1", "Zoë", "zebra", "AD Users", "11179 x", "!! New key", "alias", "API-Key", "Ärger", "~x"}
	slices.SortFunc(names, func(a, b string) int {
		return strings.Compare(directory.SortKey(directory.FoldName(a)), directory.SortKey(directory.FoldName(b)))
	})
	want := []string{"!! New key", "_child1", "~x", "11179 x", "AD Users", "alias", "API Key 2", "API-Key", "zebra", "Zoë", "Ärger"}
	if !slices.Equal(names, want) {
		t.Errorf("sorted %q, want %q", names, want)
	}
}
