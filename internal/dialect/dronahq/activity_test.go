package dronahq

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roster/internal/authn"
	"roster/internal/dialect/dialecttest"
	"roster/internal/directory"
	"roster/internal/id"
)

const staff = `
tenants:
  - name: lumen
    users:
      - {name: busy, number: 1, email: busy@lumen.example, password: correct-horse-9}
      - {name: calm, number: 2, email: calm@lumen.example, password: correct-horse-9}
      - {name: idle, number: 3, email: idle@lumen.example, password: correct-horse-9}
      - {name: once, number: 4, email: once@lumen.example}
    groups:
      - {name: Office, number: 31, members: ["number:2", "number:3"]}
    credentials:
      - {kind: dronahq, name: account, grants: [users.read, members.read], secret: ` + lumenKey + `}
      - {kind: dronahq_nonce, name: sign-in, user: "number:4", secret: 5ea1000000000000000000000000c0de}
`

func TestActivityCountsTheSignInsOfFifteenDays(t *testing.T) {
	p := dialecttest.New(t, staff, New)
	in := lumen(t, p).Tenant
	signIn := func(name string, times int) {
		t.Helper()
		for range times {
			if _, _, err := p.World.Authn.Password(t.Context(), in, directory.ByName(name), "correct-horse-9", "192.0.2.1"); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := p.World.Authn.Password(t.Context(), in, directory.ByName(name), "wrong", "192.0.2.1"); err == nil {
			t.Fatal("a wrong password signs in")
		}
	}
	signIn("idle", 7)
	p.World.Authn.Flush(t.Context())
	p.World.Clock.Advance(16 * 24 * time.Hour)
	signIn("busy", 6)
	signIn("calm", 5)
	ask := func(path string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer "+lumenKey)
		return r
	}
	nonce, hash, _ := p.World.Authn.Mint(authn.DronaHQNonce)
	_, err := p.World.CreateCredential(t.Context(), lumen(t, p), directory.NewCredential{Kind: authn.DronaHQNonce, User: directory.ByNumber(4), Hash: hash})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/users/4?nonce=" + nonce, "/users/4"} {
		status(t, p, ask(path), http.StatusOK)
	}
	p.World.Authn.Flush(t.Context())
	for _, c := range []struct {
		path string
		want []id.Number
	}{
		{"/users?listtype=active", []id.Number{1}},
		{"/users?listtype=MODERATE", []id.Number{2, 4}},
		{"/users?listtype=inactive", []id.Number{3}},
		{"/users?listtype=moderate&gid=31", []id.Number{2}},
		{"/users?listtype=moderate&ulimit=1", []id.Number{2}},
		{"/users?listtype=moderate&ulimit=1&maxuid=2", []id.Number{4}},
		{"/api/public/users?list_type=moderate", []id.Number{4, 2}},
		{"/api/public/users?list_type=moderate&max_uid=4", []id.Number{2}},
		{"/users?list_type=active", []id.Number{1, 2, 3, 4}},
	} {
		var users []userObject
		if err := json.Unmarshal([]byte(status(t, p, ask(c.path), http.StatusOK)), &users); err != nil {
			t.Fatal(err)
		}
		got := []id.Number{}
		for _, u := range users {
			got = append(got, u.UserID)
			if u.Stats.Status != "" {
				t.Errorf("%s: stats that nobody asked for: %+v", c.path, u.Stats)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.path, diff)
		}
	}
	for path, want := range map[string]string{"/users/1?stats=1": "active", "/users/2?stats=true": "moderate", "/users/3?stats=true": "inactive", "/users/3": ""} {
		var u userObject
		if err := json.Unmarshal([]byte(status(t, p, ask(path), http.StatusOK)), &u); err != nil {
			t.Fatal(err)
		}
		if u.Stats.Status != want {
			t.Errorf("%s says %q, want %q", path, u.Stats.Status, want)
		}
	}

	// When somebody was last here is seen on the one user, and in no list.
	var u userObject
	if err := json.Unmarshal([]byte(status(t, p, ask("/users/1"), http.StatusOK)), &u); err != nil {
		t.Fatal(err)
	}
	if u.UserLastAppActivity == nil || *u.UserLastAppActivity != "2026-01-18 03:04:05" {
		t.Errorf("the last activity is %v", u.UserLastAppActivity)
	}
}

func TestANonceIsGoodForFiveMinutes(t *testing.T) {
	p := dialecttest.New(t, staff, New)
	r := httptest.NewRequest(http.MethodGet, "/users/4?nonce=5ea1000000000000000000000000c0de&tokenkey="+lumenKey, nil)
	p.World.Clock.Advance(nonceFor)
	status(t, p, r, http.StatusForbidden)
	form, ok := authn.FormOf(authn.DronaHQNonce)
	if !ok || !form.Valid(form.Mint()) {
		t.Error("a minted nonce has not the form of one")
	}
}
