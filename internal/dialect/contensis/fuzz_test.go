package contensis

import (
	"strings"
	"testing"

	"roster/internal/dialect/dialecttest"
	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/wire"
)

// Advisory 24: whatever a query says, reading it ends, and what it is read as the
// directory takes or refuses as the caller's mistake.
func FuzzZenQL(f *testing.F) {
	for _, seed := range []string{
		`firstname~test`, `created>now(-7)`, `username="Geoff"`, `not (username = a or email != null) and id in (x, y) order by created desc, username`,
		`created between (startOfWeek(-1), -1w 2d)`, `username not startswith "a\"b\\c"`, `custom.a is not empty`, `status.suspended=true`, `(((`, `not not`, `a = 2026-01-02 10:00`, `lastname freetext "a b"`,
		strings.Repeat("(", 40) + "username=x", strings.Repeat("username~a or ", 90) + "username~b",
	} {
		f.Add(seed)
	}
	p := directoryToFuzz(f)
	f.Fuzz(func(t *testing.T, query string) {
		for _, fields := range []fields{userFields, groupFields} {
			filter, order, err := parseZenQL(query, fields, directorytest.Start)
			p.try(t, query, fields, filter, order, err)
		}
	})
}

func FuzzWhere(f *testing.F) {
	for _, seed := range []string{
		`[{"field":"email","contains":"okoye"}]`, `[{"not":[{"or":[{"field":"username","in":["a","b"]},{"field":"created","between":["2026-01-01","2027-01-01"]}]}]}]`,
		`{"field":"email","freeText":{"term":"a b","operator":"or"}}`, `[{"field":"custom.x","equalTo":null,"weight":1}]`, `[{"field":"status.suspended","exists":false}]`,
		`[{"field":"username","contains":"*?*\\"}]`, strings.Repeat(`[{"not":`, 30) + `1` + strings.Repeat(`}]`, 30), `[[]]`, `7`,
	} {
		f.Add(seed)
	}
	p := directoryToFuzz(f)
	f.Fuzz(func(t *testing.T, query string) {
		v, err := wire.Lenient([]byte(query))
		if err != nil {
			return
		}
		filter, err := parseWhere(v, userFields, directorytest.Start)
		p.try(t, query, userFields, filter, nil, err)
		if order, err := parseOrderBy(v, userFields); err == nil {
			p.try(t, query, userFields, directory.Filter{}, order, nil)
		}
	})
}

type fuzzed struct {
	*dialecttest.Play
	p directory.Principal
}

func directoryToFuzz(f *testing.F) fuzzed {
	f.Helper()
	p := dialecttest.New(f, "tenants:\n  - name: paper\n    users: [{name: ann}]\n    groups: [{name: g}]\n", New)
	t, err := p.World.FindTenant(f.Context(), "paper")
	if err != nil {
		f.Fatal(err)
	}
	return fuzzed{p, directorytest.In(directorytest.Root(), t.ID)}
}

func (p fuzzed) try(t *testing.T, query string, f fields, filter directory.Filter, order []directory.Order, err error) {
	t.Helper()
	if err == nil {
		finding := directory.Finding{Filter: filter, Order: order, Limit: 1, Total: true}
		if f.users {
			_, err = p.World.FindUsers(t.Context(), p.p, directory.FindUsers{Finding: finding})
		} else {
			_, err = p.World.FindGroups(t.Context(), p.p, directory.FindGroups{Finding: finding})
		}
	}
	if err != nil && directory.KindOf(err) != directory.Invalid {
		t.Errorf("%q is %v", query, err)
	}
}
