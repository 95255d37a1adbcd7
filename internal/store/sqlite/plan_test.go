package sqlite

import (
	"context"
	"database/sql"
	"regexp"
	"strings"
	"testing"

	"roster/internal/directory"
	"roster/internal/id"
)

// whole are the statements that may read all that a tenant has of something, and
// why.
var whole = []struct{ start, why string }{
	{"SELECT number, id, suspended, expires FROM users", "the index is read whole"},
	{"SELECT count(*) FROM users WHERE tenant = ?", "a count of all, asked only while the index is cold"},
	{"SELECT number, id FROM groups", "the index is read whole"},
	{"SELECT grp, member, starts, ends FROM edges", "the index is read whole"},
	{"DELETE FROM ", "a tenant is deleted whole; see tenantTables"},
	{"INSERT INTO graves (tenant, kind, number, id, code, name) SELECT", "a tenant is deleted whole"},
	{"UPDATE persons SET email_fold = NULL", "a tenant is deleted whole"},
}

var (
	scans    = regexp.MustCompile(`^SCAN (\w+)`)
	searches = regexp.MustCompile(`^SEARCH (\w+) .*\((.*)\)$`)
	small    = regexp.MustCompile(`^(\d+|j|json_each|up|down|half|m|page|tenants|counters|CONSTANT|sqlite_\w+)$`) // what may be scanned
)

// wasteful says which step of a statement's plan reads more than it is asked
// for, "" if none does: a table from end to end, or everything of a tenant.
func wasteful(ctx context.Context, t *testing.T, c *conn, query string) string {
	t.Helper()
	var complaint string
	rows, err := c.c.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, placeholders(query)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, query)
	}
	defer rows.Close()
	for rows.Next() {
		var node, parent, unused int
		var step string
		if err := rows.Scan(&node, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		if m := scans.FindStringSubmatch(step); m != nil && !small.MatchString(m[1]) {
			complaint = step
		}
		// groups_grants holds the few groups that carry grants and no other, and so
		// does groups_joins those that users join when they are made.
		if m := searches.FindStringSubmatch(step); m != nil && m[2] == "tenant=?" && !strings.Contains(step, "groups_grants") && !strings.Contains(step, "groups_joins") {
			complaint = step
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return complaint
}

var numbered = regexp.MustCompile(`\?(\d+)`)

// placeholders are as many values as a statement has parameters.
func placeholders(query string) []any {
	n := strings.Count(query, "?")
	if m := numbered.FindAllStringSubmatch(query, -1); m != nil {
		n = 0
		for _, s := range m {
			n = max(n, int(s[1][0]-'0'))
		}
	}
	args := make([]any, n)
	for i := range args {
		args[i] = 1
	}
	return args
}

// checkPlans fails for every statement whose plan is wasteful. The planner has no
// statistics, in the tests as in service, so a plan does not depend on the data.
func checkPlans(t *testing.T, prepared map[string]bool) {
	t.Helper()
	s := openIn(t, t.TempDir())
	used := map[string]bool{}
	for query := range prepared {
		verb, _, _ := strings.Cut(query, " ")
		switch verb {
		case "SELECT", "WITH", "UPDATE", "DELETE", "INSERT":
		default:
			continue
		}
		complaint := wasteful(t.Context(), t, s.writer, query)
		for _, w := range whole {
			if complaint != "" && strings.HasPrefix(query, w.start) {
				used[w.start] = true
				complaint = ""
			}
		}
		if complaint != "" {
			t.Errorf("the plan says %q of\n%s", complaint, query)
		}
	}
	for _, w := range whole {
		if !used[w.start] {
			t.Errorf("no statement that reads a tenant whole begins with %q any more: take it off the list", w.start)
		}
	}
}

func TestAWastefulPlanIsFound(t *testing.T) {
	s := openIn(t, t.TempDir())
	for query, want := range map[string]bool{
		"SELECT e.grp FROM edges e WHERE e.role = ?":                         true,
		"SELECT e.grp FROM edges e WHERE e.tenant = ? AND e.role = ?":        true,
		"SELECT e.grp FROM edges e WHERE e.tenant = ? AND e.member = ?":      false,
		"SELECT u.name FROM users u WHERE u.tenant = ? AND u.number > ?":     false,
		"SELECT u.name FROM users u WHERE u.tenant = ? AND u.given_name = ?": true,
	} {
		if got := wasteful(t.Context(), t, s.writer, query); (got != "") != want {
			t.Errorf("of %s it says %q", query, got)
		}
	}
}

// What a search reads is what its filter leaves it no choice but to read. Those
// that name somebody, or somewhere, must not read the tenant.
func TestASearchThatAnIndexCanServeUsesIt(t *testing.T) {
	s := openIn(t, t.TempDir())
	one := []id.Number{1}
	field := directory.Equal
	for name, q := range map[string]directory.Search{
		"name":             {Filter: field(directory.FieldName, "ann")},
		"name, and more":   {Filter: directory.And(field(directory.FieldName, "ann"), directory.Not(directory.Present(directory.FieldModified)))},
		"name, sorted":     {Filter: field(directory.FieldName, "ann"), Order: []directory.Order{{Field: directory.FieldCreated}}},
		"id":               {Filter: field(directory.FieldID, [16]byte{1})},
		"number":           {Filter: field(directory.FieldNumber, int64(1))},
		"external":         {Filter: field(directory.ExternalField("ldap"), "a")},
		"among":            {Among: one},
		"among, sorted":    {Among: one, Order: []directory.Order{{Field: directory.FieldName}}},
		"within":           {Within: one},
		"within, filtered": {Within: one, Without: one, Filter: directory.Compare(directory.FilterContains, directory.FieldName, "a"), Order: []directory.Order{{Field: directory.FieldName}}},
	} {
		for _, in := range []searched{searchedUsers, searchedGroups} {
			s.writer.searches = map[string]*sql.Stmt{}
			r := &reader{ctx: t.Context(), c: s.writer, pk: 1}
			q.Limit, q.Total, q.Offset = 10, true, 1
			if _, err := r.find(in, q); err != nil {
				t.Fatal(err)
			}
			if len(s.writer.searches) != 2 {
				t.Errorf("%s: %d statements, want one for the page and one for the count", name, len(s.writer.searches))
			}
			for query := range s.writer.searches {
				if complaint := wasteful(t.Context(), t, s.writer, query); complaint != "" {
					t.Errorf("by %s: the plan says %q of\n%s", name, complaint, query)
				}
			}
		}
	}
	r := &reader{ctx: t.Context(), c: s.writer, pk: 1}
	s.writer.searches = map[string]*sql.Stmt{}
	if _, err := r.FindUsers(directory.Search{Filter: field(directory.FieldEmail, "ann@example.com"), Limit: 1}); err != nil {
		t.Fatal(err)
	}
	for query := range s.writer.searches {
		if complaint := wasteful(t.Context(), t, s.writer, query); complaint != "" {
			t.Errorf("by address: the plan says %q of\n%s", complaint, query)
		}
	}
}

func TestOnlySoManyShapesOfSearchAreKept(t *testing.T) {
	s := openIn(t, t.TempDir())
	r := &reader{ctx: t.Context(), c: s.writer, pk: 1}
	f := directory.Present(directory.FieldName)
	for range 3 * maxSearches {
		f = directory.Not(f)
		if _, err := r.FindUsers(directory.Search{Filter: f, Limit: 1}); err != nil {
			t.Fatal(err)
		}
		if len(s.writer.searches) > maxSearches {
			t.Fatalf("%d statements are kept", len(s.writer.searches))
		}
	}
}
