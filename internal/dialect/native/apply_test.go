package native

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"roster/internal/dialect/dialecttest"
)

// TestFilesThatOnlyWearOut sends files that are made to cost: each is refused
// soon, and makes nothing.
func TestFilesThatOnlyWearOut(t *testing.T) {
	p := dialecttest.New(t, world, New)
	var laughs strings.Builder
	laughs.WriteString("a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n")
	for i := 1; i < 30; i++ {
		last := "*a" + string(rune('A'+i-1))
		if i == 1 {
			last = "*a0"
		}
		laughs.WriteString("a" + string(rune('A'+i)) + ": &a" + string(rune('A'+i)) + " [" + strings.TrimSuffix(strings.Repeat(last+", ", 9), ", ") + "]\n")
	}
	for name, c := range map[string]struct {
		body   io.Reader
		status int
	}{
		"too long, declared":     {strings.NewReader(strings.Repeat("#", maxFile+1)), http.StatusRequestEntityTooLarge},
		"too long, undeclared":   {io.MultiReader(strings.NewReader(strings.Repeat("#", maxFile+1))), http.StatusRequestEntityTooLarge},
		"too deep, in brackets":  {strings.NewReader("tenants: " + strings.Repeat("[", 10000) + strings.Repeat("]", 10000)), http.StatusBadRequest},
		"too deep, and open":     {strings.NewReader("tenants: " + strings.Repeat("[", 1000000)), http.StatusBadRequest},
		"aliases of aliases":     {strings.NewReader(laughs.String()), http.StatusBadRequest},
		"an attribute of itself": {strings.NewReader("tenants: [{name: x, attributes: {native: &a {k: [*a]}}}]"), http.StatusBadRequest},
		"a key that is a list":   {strings.NewReader("tenants: [{name: x, attributes: {native: {? [a] : b}}}]"), http.StatusBadRequest},
		"no text":                {strings.NewReader("\xff\xfe\x00"), http.StatusBadRequest},
	} {
		got := send(p, "POST", "/api/v1/apply", rootKey, c.body, "Content-Type", yamlType)
		text, _ := io.ReadAll(got.Body)
		if got.StatusCode != c.status {
			t.Errorf("%s: status %d, want %d: %.300s", name, got.StatusCode, c.status, text)
		}
	}
	if l := ask[list[tenantJSON]](t, p, "GET", "/api/v1/tenants", rootKey, "", 200); len(l.Items) != 2 {
		t.Errorf("%d tenants, want the 2 from before", len(l.Items))
	}
}

// TestASecretInABrokenFileIsNotLogged relies on the check of the log that ends
// every play: it fails if a secret of the directory's own is in there.
func TestASecretInABrokenFileIsNotLogged(t *testing.T) {
	p := dialecttest.New(t, world, New)
	got := send(p, "POST", "/api/v1/apply", rootKey, strings.NewReader("tenants: [{name: x, code: !!float "+adminKey+"}]"), "Content-Type", yamlType)
	if got.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d, want 400", got.StatusCode)
	}
	made := ask[appliedJSON](t, p, "POST", "/api/v1/apply", rootKey,
		"tenants: [{name: acme, credentials: [{kind: native, name: k, grants: [users.read]}]}]", 200, "Content-Type", yamlType)
	if len(made.Secrets) != 1 {
		t.Fatalf("%d secrets were made, want 1", len(made.Secrets))
	}
	ask[list[userJSON]](t, p, "GET", acme+"/users", made.Secrets[0].Secret, "", 200)
}
