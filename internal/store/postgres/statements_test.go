package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"roster/internal/store/postgres/pgtest"
)

// exempted are the statements that may touch a tenant's table without binding the
// tenant, or may read all that a tenant has of something, and why.
// whole says that the tenant is bound all the same.
var exempted = []struct {
	start string
	why   string
	whole bool
}{
	{"SELECT " + credentialColumns + " FROM secrets s", "a secret is presented before its tenant is known; the tenant comes out", false},
	{"WITH idle AS (SELECT c.tenant, c.id, j.at", "last uses are noted for many tenants at once, by ids that no two credentials share", false},
	{"SELECT EXISTS (SELECT 1 FROM users WHERE person = $1", "a person spans tenants; only whether an address is still in use comes out", false},
	{"SELECT DISTINCT p.id FROM persons p", "a person spans tenants; only persons come out", false},
	{"SELECT l.revision, l.at, l.credential, l.actor_user, l.actor, l.dialect, l.request, c.code, p.code FROM log l", "the actor may be a credential of the platform, whose tenant is 1", false},
	{"SELECT number, id, suspended, expires FROM users", "the index is read whole", true},
	{"SELECT number, id FROM groups", "the index is read whole", true},
	{"SELECT count(*) FROM users WHERE tenant = $1", "a count of all, asked only while the index is cold", true},
	{"SELECT grp, member, starts, ends FROM edges", "the index is read whole", true},
	{"DELETE FROM ", "a tenant is deleted whole, see tenantTables; and single things by key", true},
	{"INSERT INTO graves (tenant, kind, number, id, code, name) SELECT", "a tenant is deleted whole", true},
	{"SELECT DISTINCT person FROM users WHERE tenant = $1", "a tenant is deleted whole", true},
	{"SELECT " + tenantColumns + " FROM heads h", "which tenants a date has come in; nothing of them but that", false},
	{"SELECT tenant, revision FROM heads WHERE tenant = ANY($1)", "how far each of many tenants has come, and nothing else", false},
	{"WITH made AS (INSERT INTO tenants", "a new tenant's row is the first that it has", false},
	{"SELECT t.number", "a search by what no index holds", true},
	{"SELECT count(*) FROM users t WHERE", "a count of what a search finds", true},
	{"SELECT count(*) FROM groups t WHERE", "a count of what a search finds", true},
}

// plan is a node of what EXPLAIN says.
type plan struct {
	NodeType     string `json:"Node Type"`
	Relation     string `json:"Relation Name"`
	Alias        string `json:"Alias"`
	Index        string `json:"Index Name"`
	IndexCond    string `json:"Index Cond"`
	RecheckCond  string `json:"Recheck Cond"`
	Filter       string `json:"Filter"`
	Plans        []plan
	relationHere string
}

const wholeTenant = "all is read that a tenant has in "

var (
	// secrets is the deployment's; that a tenant's go with it is all that is the
	// tenant's about them.
	tenantsOwn = slices.DeleteFunc(append([]string{"graves"}, tenantTables...), func(table string) bool { return table == "secrets" })
	boundTo    = regexp.MustCompile(`\btenant = (\$\d+|'\d+'::bigint|\w+\.tenant|\w+\.pk)`)
	insertInto = regexp.MustCompile(`\bINSERT INTO (\w+) \(([^)]*)\)\s+(VALUES \(|SELECT )([^,]*),`)
)

// complaint says what part of a statement touches a tenant's rows without binding
// the tenant, or reads everything that the tenant has of something; "" if none does.
// PostgreSQL itself parses the statement and says how it would carry it out for
// any values.
func complaint(ctx context.Context, c *pgx.Conn, query string) (string, error) {
	for _, m := range insertInto.FindAllStringSubmatch(query, -1) {
		table, columns, first := m[1], m[2], strings.TrimSpace(m[4])
		if !slices.Contains(tenantsOwn, table) {
			continue
		}
		n := slices.Index(strings.Split(strings.ReplaceAll(columns, " ", ""), ","), "tenant")
		if n != 0 {
			return "a row is inserted into " + table + " without its tenant", nil
		}
		if first != "$1" && first != "tenant" && first != "e.tenant" {
			return "a row is inserted into " + table + " for the tenant " + first, nil
		}
	}
	prepared, err := c.Prepare(ctx, "asked", query)
	if err != nil {
		return "", err
	}
	defer c.Deallocate(ctx, "asked")
	execute := "EXPLAIN (FORMAT JSON) EXECUTE asked"
	if n := len(prepared.ParamOIDs); n > 0 {
		execute += "(" + strings.TrimSuffix(strings.Repeat("NULL, ", n), ", ") + ")"
	}
	res, err := c.PgConn().Exec(ctx, execute).ReadAll()
	if err != nil {
		return "", err
	}
	var out []struct{ Plan plan }
	if err := json.Unmarshal(res[0].Rows[0][0], &out); err != nil {
		return "", err
	}
	return out[0].Plan.complaint(), nil
}

func (p plan) complaint() string {
	for _, child := range p.Plans {
		if child.Relation == "" {
			child.relationHere = p.Relation // of a bitmap's index scan
		}
		if c := child.complaint(); c != "" {
			return c
		}
	}
	table := p.Relation
	if table == "" {
		table = p.relationHere
	}
	if !slices.Contains(tenantsOwn, table) {
		return ""
	}
	switch p.NodeType {
	case "Seq Scan":
		if boundTo.MatchString(p.Filter) {
			return wholeTenant + table
		}
		return fmt.Sprintf("%s is read from end to end", table)
	case "Index Scan", "Index Only Scan", "Bitmap Index Scan":
		if !boundTo.MatchString(p.IndexCond) {
			return fmt.Sprintf("%s is read by %s without its tenant: %s", table, p.Index, p.IndexCond)
		}
		// heads has one row a tenant, groups_grants and groups_joins hold the
		// few groups that carry grants or are joined, and kept no more than a day.
		if strings.Count(p.IndexCond, " AND ") == 0 && table != "heads" && p.Index != "groups_grants" && p.Index != "groups_joins" {
			return wholeTenant + table
		}
	}
	return ""
}

// checkStatements fails for every statement about which there is something to say,
// on a database with enough in it that its plans are those of service.
func checkStatements(t *testing.T, server *pgtest.Server, template string, run map[string]bool) {
	t.Helper()
	ctx := t.Context()
	c := filled(t, server, template)
	checkGrown(t, server, template, run)
	used := map[string]bool{}
	for query := range run {
		if strings.Contains(query, "SAVEPOINT") {
			continue // which has no plan
		}
		said, err := complaint(ctx, c, query)
		if err != nil {
			t.Errorf("%v\n%s", err, query)
			continue
		}
		for _, e := range exempted {
			if strings.HasPrefix(query, e.start) {
				used[e.start] = true
				if !e.whole || strings.HasPrefix(said, wholeTenant) {
					said = ""
				}
			}
		}
		if said != "" {
			t.Errorf("%s:\n%s", said, query)
		}
	}
	for _, e := range exempted {
		if !used[e.start] {
			t.Errorf("no statement begins with %q any more: take it off the list", e.start)
		}
	}
}

// checkGrown fails for every statement that follows the graph and would read all
// edges of a tenant while the planner takes the table for a small one: it learns of
// what has been written after a minute or more.
func checkGrown(t *testing.T, server *pgtest.Server, template string, run map[string]bool) {
	t.Helper()
	ctx := t.Context()
	c, err := pgx.Connect(ctx, server.DatabaseLike(t, template))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(ctx))
	for _, q := range []string{
		"SET plan_cache_mode = force_generic_plan", "SET enable_seqscan = off",
		"ALTER TABLE edges SET (autovacuum_enabled = off)", "ALTER TABLE periods SET (autovacuum_enabled = off)",
		"INSERT INTO edges (tenant, grp, member, serial, revision, added, starts, ends, role) SELECT 2 + g % 20, g, -g, g, 1, 0, 0, 0, 0 FROM generate_series(1, 100) g",
		"ANALYZE",
		"INSERT INTO edges (tenant, grp, member, serial, revision, added, starts, ends, role) SELECT 2 + g % 20, g % 977, CASE WHEN g % 50 = 0 THEN -g ELSE g END, g, 1, 0, 0, 0, 0 FROM generate_series(1000, 60000) g",
	} {
		if _, err := c.Exec(ctx, q); err != nil {
			t.Fatalf("%v\n%s", err, q)
		}
	}
	asked := 0
	for query := range run {
		if !strings.Contains(query, "WITH RECURSIVE up(") && !strings.Contains(query, "WITH RECURSIVE down(") {
			continue
		}
		asked++
		said, err := complaint(ctx, c, query)
		if err != nil {
			t.Errorf("%v\n%s", err, query)
		}
		if strings.HasSuffix(said, " edges") || strings.HasSuffix(said, " periods") {
			t.Errorf("after growth %s:\n%s", said, query)
		}
	}
	if asked < 6 {
		t.Errorf("%d statements follow the graph", asked)
	}
}

// filled returns a connection to a database with many rows, whose plans are made
// for any values.
func filled(t *testing.T, server *pgtest.Server, template string) *pgx.Conn {
	t.Helper()
	ctx := t.Context()
	c, err := pgx.Connect(ctx, server.DatabaseLike(t, template))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.WithoutCancel(ctx)) })
	for _, q := range []string{
		"SET plan_cache_mode = force_generic_plan",
		"SET enable_seqscan = off", // of small tables too, unless nothing else is possible
		"INSERT INTO heads (tenant) SELECT generate_series(2, 400)",
		"INSERT INTO tenants (id, code, name, title, version, created, modified) SELECT gen_random_uuid(), g, 't' || g, '', 1, 0, 0 FROM generate_series(1, 400) g",
		"INSERT INTO persons (id, code, email_fold) SELECT gen_random_uuid(), g, 'e' || g FROM generate_series(1, 20000) g",
		`INSERT INTO users (tenant, number, id, code, person, name, name_fold, email, email_fold, email_verified, given_name, family_name, display_name, suspended, expires, version, created, modified, created_in, modified_in)
		 SELECT 2 + g % 20, g, gen_random_uuid(), g, p.id, 'u', 'u' || g, 'e', 'e' || g, true, '', '', '', false, 0, 1, 0, 0, 1, 1 FROM generate_series(1, 20000) g JOIN persons p ON p.code = g`,
		"INSERT INTO groups (tenant, number, id, code, name, name_fold, description, grants, built_in, version, created, modified, created_in, modified_in, joins) SELECT 2 + g % 20, g, gen_random_uuid(), g, 'g', 'g' || g, '', (g % 500 = 0)::int, false, 1, 0, 0, 1, 1, CASE WHEN g % 500 = 1 THEN '*' ELSE '' END FROM generate_series(1, 5000) g",
		"INSERT INTO signins (tenant, number, successes, failures, streak, last_success, last_failure, changed, locked, must_change, change_every) SELECT tenant, number, 0, 0, 0, 0, 0, 0, false, false, 0 FROM users",
		"INSERT INTO edges (tenant, grp, member, serial, revision, added, starts, ends, role) SELECT 2 + g % 20, g % 977, CASE WHEN g % 50 = 0 THEN -g ELSE g END, g, g / 20 + 1, 0, 0, 0, 0 FROM generate_series(1, 60000) g",
		"INSERT INTO periods (tenant, grp, member, revision, ended, serial, added, starts, ends, role) SELECT tenant, grp, member, revision, revision + 1, serial, 0, 0, 0, 0 FROM edges",
		"INSERT INTO pasts (tenant, kind, number, ended, created, id, code, name, name_fold, suspended, expires) SELECT tenant, 1, number, 1 + number % 7, 1, id, code, name, name_fold, false, 0 FROM users",
		"INSERT INTO log (tenant, revision, at, actor, dialect, request, body, transaction) SELECT 2 + g % 20, g / 20 + 1, 0, '', '', '', '', gen_random_uuid() FROM generate_series(0, 59999) g",
		"INSERT INTO externals (tenant, kind, source, key, number) SELECT 2 + g % 20, 1, 'hr', g::text, g FROM generate_series(1, 20000) g",
		"INSERT INTO graves (tenant, kind, number, id, code, name) SELECT 2 + g % 20, 1, 100000 + g, gen_random_uuid(), 100000 + g, '' FROM generate_series(1, 20000) g",
		"INSERT INTO credentials (tenant, id, code, kind, name, handle, user_id, parent, grants, expires, created, hash) SELECT 2 + g % 20, gen_random_uuid(), g, 'k', '', 'h' || g, gen_random_uuid(), gen_random_uuid(), 0, g, 0, decode(md5(g::text), 'hex') FROM generate_series(1, 20000) g",
		"INSERT INTO secrets (kind, hash, credential, tenant) SELECT kind, hash, id, tenant FROM credentials",
		"INSERT INTO kept (tenant, credential, key, at, fingerprint, answer) SELECT 2 + g % 20, gen_random_uuid(), '', g, '', '' FROM generate_series(1, 20000) g",
		"INSERT INTO visits (tenant, number, day, count) SELECT u.tenant, u.number, d, 1 FROM users u CROSS JOIN generate_series(1, 5) d",
		"INSERT INTO codes (kind, code) SELECT 'user', g FROM generate_series(1, 20000) g",
		"ANALYZE",
	} {
		if _, err := c.Exec(ctx, q); err != nil {
			t.Fatalf("%v\n%s", err, q)
		}
	}
	return c
}

func TestAStatementWithoutItsTenantAndAWastefulPlanAreFound(t *testing.T) {
	server := pgtest.Shared(t)
	c := filled(t, server, template(t, server))
	for query, want := range map[string]bool{
		"SELECT 1": false,
		"SELECT name FROM users WHERE tenant = $1 AND number = $2":                                                                                           false,
		"SELECT name FROM users WHERE number = $1":                                                                                                           true,
		"SELECT name FROM users WHERE tenant = $1 AND given_name = $2":                                                                                       true,
		"SELECT e.grp FROM edges e WHERE e.member = $1":                                                                                                      true,
		"SELECT e.grp FROM edges e WHERE e.tenant = $1 AND e.member = $2":                                                                                    false,
		"SELECT e.grp FROM edges e JOIN users u ON u.number = e.member WHERE e.tenant = $1 AND e.grp = $2":                                                   true,
		"UPDATE groups SET name = $1 WHERE name_fold = $2":                                                                                                   true,
		"UPDATE groups SET name = $1 WHERE tenant = $2 AND number = $3":                                                                                      false,
		"DELETE FROM log WHERE revision = $1":                                                                                                                true,
		"INSERT INTO externals (kind, source, key, number, tenant) VALUES ($1, $2, $3, $4, $5)":                                                              true,
		"INSERT INTO externals (tenant, kind, source, key, number) VALUES ($1, $2, $3, $4, $5)":                                                              false,
		"INSERT INTO externals (tenant, kind, source, key, number) SELECT 7, kind, source, key, number FROM externals e WHERE e.tenant = $1 AND e.kind = $2": true,
	} {
		said, err := complaint(t.Context(), c, query)
		if err != nil {
			t.Errorf("%v\n%s", err, query)
		}
		if (said != "") != want {
			t.Errorf("of %s it says %q", query, said)
		}
	}
}
