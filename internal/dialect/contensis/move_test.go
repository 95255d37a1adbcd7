package contensis

import (
	"os"
	"strings"
	"testing"

	"roster/internal/dialect/dialecttest"
)

// The file that the page about moving shows must be one that can be applied, and
// what it holds must be found under the names that clients have stored.
func TestTheFileOfThePageAboutMovingIsWhatItSays(t *testing.T) {
	page, err := os.ReadFile("../../../docs/move/contensis.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	file, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("the page shows no file")
	}
	p := dialecttest.New(t, file, New)
	token := mustSignIn(t, p, "grant_type", "client_credentials", "client_id", "7b2f9d1e-client", "client_secret", "0b7e4d4c9f6a4c1f8a1e-5d0c7b3a2e9f4b6d8c1a").AccessToken
	u := want(t, p, token, "GET", short+"/users/5b1e6a1c-3f0d-4a52-9a1e-6f3f6f0b7c11", "", 200)
	if u["username"] != "m.okoye" || u["timezone"] != "Etc/UTC" || u["custom"].(map[string]any)["department"] != "ferries" || u["expiry"] != "2029-09-03T09:51:20.113Z" {
		t.Errorf("the user is %v", u)
	}
	want(t, p, token, "HEAD", short+"/users/m.okoye/groups/Harbour%20Crew", "", 204)
	want(t, p, token, "HEAD", short+"/users/m.okoye/groups/Everyone", "", 204)
	if got := want(t, p, token, "GET", short+"/users/@current", "", 200)["username"]; got != "!! Deploy key" {
		t.Errorf("the client acts as %v", got)
	}
	want(t, p, token, "POST", short+"/users", `{"email":"new@harbour.example"}`, 201)
	if got := listed(t, p, token, short+"/users/new@harbour.example/groups"); got != "Everyone Harbour Pilots" {
		t.Errorf("a new user of the domain is in %q", got)
	}
}
