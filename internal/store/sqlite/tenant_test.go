package sqlite

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// exempted are the statements that may touch a tenant's table without binding
// the tenant, and why.
var exempted = []struct{ start, why string }{
	{"SELECT " + credentialColumns + fromCredentials + " WHERE c.kind = ? AND c.hash = ?", "a secret is presented before its tenant is known; the tenant comes out"},
	{"UPDATE credentials SET used = ?2 WHERE id = ?1", "last uses are noted for many tenants at once, by ids that no two credentials share"},
	{"SELECT 1 FROM graves WHERE kind = ? AND code = ?", "codes are the deployment's; nothing but that one was given comes out"},
	{"UPDATE persons SET email_fold = NULL", "a person spans tenants; nothing of a tenant's is read or changed but whether an address is still in use"},
	{"SELECT l.revision, l.at, l.credential, l.user, l.actor, l.dialect, l.request, c.code, p.code FROM log l", "the actor may be a credential of the platform, whose tenant is 1"},
}

func exempt(query string) (why, start string) {
	for _, e := range exempted {
		if strings.HasPrefix(query, e.start) {
			return e.why, e.start
		}
	}
	return "", ""
}

var (
	tables   = strings.Join(append([]string{"graves"}, tenantTables...), "|")
	mention  = regexp.MustCompile(`\b(?:FROM|JOIN|UPDATE|INTO) (?:` + tables + `)\b`)
	readFrom = regexp.MustCompile(`\b(FROM|JOIN|UPDATE) (` + tables + `)\b(?: ([a-z])\b)?`)
	insert   = regexp.MustCompile(`\bINSERT INTO (?:` + tables + `) \(tenant, [^)]*\)\s+(?:VALUES (?:\(\?, [?, 0-9]*\)(?:, )?)+|SELECT (?:\?1|tenant|e\.tenant), )`)
	inserts  = regexp.MustCompile(`\bINSERT INTO (?:` + tables + `)\b`)
)

// unbound says what part of a statement touches a tenant's table without binding
// the tenant, "" if none does. Every mention of such a table must have a
// condition of its own, on its alias, that its tenant is a parameter or that of
// another table in the statement.
func unbound(query string) string {
	if !mention.MatchString(query) {
		return ""
	}
	if a, b := len(inserts.FindAllString(query, -1)), len(insert.FindAllString(query, -1)); a != b {
		return "a row is inserted without its tenant"
	}
	mentions := map[string]int{}
	for _, m := range readFrom.FindAllStringSubmatch(query, -1) {
		mentions[m[3]]++
	}
	for alias, n := range mentions {
		column := `tenant`
		if alias != "" {
			column = alias + `\.tenant`
		}
		bound := regexp.MustCompile(`(?:^|[^.\w])` + column + ` = (?:\?\d*|[a-z]\.tenant)\b?`)
		if found := len(bound.FindAllString(query, -1)); found < n {
			return fmt.Sprintf("alias %q is mentioned %d times and bound %d times", alias, n, found)
		}
	}
	if len(mentions) > 0 && !regexp.MustCompile(`\btenant = \?|\btenant = \?1`).MatchString(query) {
		return "the tenant is no parameter"
	}
	return ""
}

func TestAStatementThatForgetsItsTenantIsFound(t *testing.T) {
	for _, query := range []string{
		"SELECT name FROM users WHERE number = ?",
		"SELECT u.name FROM users u WHERE u.number = ?",
		"SELECT u.name FROM users u JOIN edges e ON e.member = u.number WHERE u.tenant = ?",
		"SELECT 1 FROM edges e WHERE e.tenant = ? AND EXISTS (SELECT 1 FROM users u WHERE u.number = e.member)",
		"SELECT 1 FROM edges e JOIN users u ON u.tenant = e.tenant AND e.tenant = u.tenant",
		"WITH RECURSIVE up(g) AS (SELECT e.grp FROM edges e WHERE e.tenant = ? UNION SELECT e.grp FROM up JOIN edges e ON e.member = -up.g) SELECT g FROM up",
		"DELETE FROM edges WHERE grp = ?",
		"UPDATE credentials SET name = ? WHERE id = ?",
		"INSERT INTO users (number, name) VALUES (?, ?)",
		"INSERT INTO periods (tenant, grp) SELECT 7, e.grp FROM edges e WHERE e.tenant = ?",
	} {
		if unbound(query) == "" {
			t.Errorf("nothing is said of %s", query)
		}
	}
	for _, query := range []string{
		"SELECT 1", "PRAGMA user_version", "UPDATE tenants SET at = ? WHERE pk = ?", "SELECT next FROM counters",
		"SELECT name FROM users WHERE tenant = ? AND number = ?",
		"SELECT 1 FROM edges e WHERE e.tenant = ? AND EXISTS (SELECT 1 FROM users u WHERE u.tenant = e.tenant AND u.number = e.member)",
		"INSERT INTO log (tenant, revision) VALUES (?, ?), (?, ?)",
	} {
		if complaint := unbound(query); complaint != "" {
			t.Errorf("%s: %s", complaint, query)
		}
	}
}
