package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// call is one request of a reference page and the answer it prints.
type call struct {
	name    string
	method  string
	path    string
	headers map[string]string
	body    string
	status  int
	want    string // JSON, "" for an empty body; see like
}

func (p *process) call(t *testing.T, c call) any {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), c.method, p.BaseURL+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range c.headers {
		r.Header.Set(k, v)
	}
	resp, err := noRedirects.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != c.status {
		t.Fatalf("%s: %s %s: status %d, want %d; body %s", c.name, c.method, c.path, resp.StatusCode, c.status, body)
	}
	if c.want == "" {
		if len(body) > 0 {
			t.Errorf("%s: body %s, want none", c.name, body)
		}
		return nil
	}
	var got, want any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatalf("%s: body %s: %v", c.name, body, err)
	}
	if err := json.Unmarshal([]byte(c.want), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, like(got, want)); diff != "" {
		t.Errorf("%s: body differs (-want +got):\n%s", c.name, diff)
	}
	return got
}

// noRedirects fails on a redirect: the clients of these calls turn a redirected
// POST into a GET and report success.
var noRedirects = &http.Client{CheckRedirect: func(r *http.Request, _ []*http.Request) error {
	return fmt.Errorf("redirected to %s", r.URL)
}}

// like puts "*" into got wherever want has it, as long as something is there.
func like(got, want any) any {
	switch want := want.(type) {
	case string:
		if want == "*" && got != nil {
			return "*"
		}
	case map[string]any:
		if m, ok := got.(map[string]any); ok {
			out := map[string]any{}
			for k, v := range m {
				out[k] = like(v, want[k])
			}
			return out
		}
	case []any:
		if l, ok := got.([]any); ok && len(l) == len(want) {
			out := make([]any, len(l))
			for i := range l {
				out[i] = like(l[i], want[i])
			}
			return out
		}
	}
	return got
}

// TestSeeds sends what the five reference pages print to the real program, and
// wants what they print.
func TestSeeds(t *testing.T) {
	p := start(t, t.TempDir())
	asJSON := func(more ...string) map[string]string {
		h := map[string]string{"Content-Type": "application/json"}
		for i := 0; i < len(more); i += 2 {
			h[more[i]] = more[i+1]
		}
		return h
	}

	t.Run("Syncano, users - add", func(t *testing.T) {
		users := "/v1.1/instances/" + p.Syncano.Instance + "/users/"
		got := p.call(t, call{
			name: "200", method: "POST", path: users, headers: asJSON("X-API-KEY", p.Syncano.APIKey),
			body: `{"username":"geralt", "password":"roach"}`, status: 200,
			want: `{"username":"geralt",
 "profile":{"channel_room":null,"group":null,"links":{"owner":"*","self":"*"},"group_permissions":"none","created_at":"*",
  "owner_permissions":"full","updated_at":"*","other_permissions":"none","owner":"*","id":"*","channel":null,"revision":1},
 "links":{"profile":"*","self":"*","groups":"*","reset-key":"*"},"user_key":"*","groups":[],"id":"*"}`,
		}).(map[string]any)
		self := fmt.Sprintf("%s%v/", users, got["id"])
		profile := got["profile"].(map[string]any)
		object := fmt.Sprintf("/v1.1/instances/%s/classes/user_profile/objects/%v/", p.Syncano.Instance, profile["id"])
		links := map[string]any{"profile": object, "self": self, "groups": self + "groups/", "reset-key": self + "reset_key/"}
		if diff := cmp.Diff(any(links), got["links"]); diff != "" {
			t.Errorf("links differ (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(any(map[string]any{"owner": self, "self": object}), profile["links"]); diff != "" {
			t.Errorf("profile's links differ (-want +got):\n%s", diff)
		}
		if profile["owner"] != got["id"] {
			t.Errorf("profile's owner is %v, want the user's id %v", profile["owner"], got["id"])
		}
		p.call(t, call{
			name: "400", method: "POST", path: users, headers: asJSON("X-API-KEY", p.Syncano.APIKey),
			body: `{"username":"yarpen"}`, status: 400, want: `{"password":["This field is required."]}`,
		})
		p.call(t, call{
			name: "403", method: "POST", path: users, headers: asJSON("X-API-KEY", strings.Repeat("1", 40)),
			body: `{"username":"yarpen","password":"x"}`, status: 403, want: `{"detail":"No such API Key."}`,
		})
		p.call(t, call{
			name: "404", method: "POST", path: "/v1.1/instances/nilfgaard/users/", headers: asJSON("X-API-KEY", p.Syncano.APIKey),
			body: `{"username":"yarpen","password":"x"}`, status: 404, want: `{"detail":"Instance was not found."}`,
		})
	})

	t.Run("Syncano, users - groups - add", func(t *testing.T) {
		instance := "/v1.1/instances/" + p.Syncano.Instance
		groups := fmt.Sprintf("%s/users/%d/groups/", instance, p.Syncano.UserID)
		p.call(t, call{
			name: "400", method: "POST", path: groups, headers: asJSON("X-API-KEY", p.Syncano.AccountKey),
			body: `{"group":"witchers"}`, status: 400, want: `{"group":["Incorrect type.  Expected pk value, received unicode."]}`,
		})
		p.call(t, call{
			name: "201", method: "POST", path: groups, headers: asJSON("X-API-KEY", p.Syncano.AccountKey),
			body: fmt.Sprintf(`{"group":%d}`, p.Syncano.GroupID), status: 201,
			want: fmt.Sprintf(`{"group":{"description":"","id":%[3]d,"links":{"self":"%[1]s/groups/%[3]d/","users":"%[1]s/groups/%[3]d/users/"},"label":"witchers"},
 "links":{"self":"%[1]s/users/%[2]d/groups/%[3]d/"}}`, instance, p.Syncano.UserID, p.Syncano.GroupID),
		})
		p.call(t, call{
			name: "403", method: "POST", path: groups, headers: asJSON("X-API-KEY", strings.Repeat("1", 40)),
			body: `{"group":1}`, status: 403, want: `{"detail":"No such API Key."}`,
		})
		p.call(t, call{
			name: "404", method: "POST", path: "/v1.1/instances/nilfgaard/users/1/groups/", headers: asJSON("X-API-KEY", p.Syncano.AccountKey),
			body: `{"group":1}`, status: 404, want: `{"detail":"Instance was not found."}`,
		})
	})

	t.Run("Contensis, add user to a group", func(t *testing.T) {
		client := p.token(t, url.Values{"grant_type": {"client_credentials"}, "client_id": {p.Contensis.ClientID}, "client_secret": {p.Contensis.ClientSecret}})
		auth := map[string]string{"Authorization": "Bearer " + client}
		name := "Paper%20Street%20Soap%20Company"
		for _, path := range []string{
			p.Contensis.GroupID + "/users/" + p.Contensis.UserID,
			name + "/users/" + p.Contensis.UserID,
			p.Contensis.GroupID + "/users/" + p.Contensis.Username,
			p.Contensis.GroupID + "/users/" + p.Contensis.Email,
			name + "/users/" + p.Contensis.Email,
		} {
			p.call(t, call{name: "204", method: "PUT", path: "/api/management/security/groups/" + path, headers: auth, status: 204})
		}
		ids, err := json.Marshal(p.Contensis.UserIDs)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range []string{p.Contensis.GroupID, name} {
			p.call(t, call{name: "204", method: "POST", path: "/api/management/security/groups/" + g + "/users/", headers: asJSON("Authorization", "Bearer "+client), body: string(ids), status: 204})
		}
		errorModel := `{"logId":"*","message":"*","data":null,"type":"error"}`
		p.call(t, call{name: "404", method: "PUT", path: "/api/management/security/groups/Nobody/users/tdurden", headers: auth, status: 404, want: errorModel})
		p.call(t, call{name: "404", method: "PUT", path: "/api/management/security/groups/" + name + "/users/nobody", headers: auth, status: 404, want: errorModel})
		person := p.token(t, url.Values{"grant_type": {"contensis_classic"}, "username": {p.Contensis.Username}, "password": {p.Contensis.Password}})
		p.call(t, call{
			name: "403", method: "PUT", path: "/api/management/security/groups/" + name + "/users/tdurden",
			headers: map[string]string{"Authorization": "Bearer " + person}, status: 403, want: errorModel,
		})
	})

	t.Run("DronaHQ, put users to group", func(t *testing.T) {
		path := fmt.Sprintf("/groups/%d/actions/assign_user", p.DronaHQ.GroupID)
		ids := p.DronaHQ.UserIDs
		p.call(t, call{
			name: "200", method: "POST", path: path, headers: asJSON(),
			body: fmt.Sprintf(`{"token_key":%q,"assign":[%d,%d],"remove":[%d,987654]}`, p.DronaHQ.TokenKey, ids[0], ids[1], ids[2]), status: 200,
			want: fmt.Sprintf(`{"group_id":%d,"assigned_users":[%d,%d],"removed_users":[%d],"invalid_users":[987654],"failed_users":[]}`, p.DronaHQ.GroupID, ids[0], ids[1], ids[2]),
		})
		p.call(t, call{
			name: "neither", method: "POST", path: path, headers: asJSON(),
			body: fmt.Sprintf(`{"token_key":%q}`, p.DronaHQ.TokenKey), status: 400, want: `{"error":400,"message":"*","reason":"*"}`,
		})
	})

	t.Run("SoftwareOne, assign user to a group", func(t *testing.T) {
		got := p.call(t, call{
			name: "200", method: "POST", path: "/v1/accounts/" + p.SoftwareOne.AccountID + "/users/" + p.SoftwareOne.UserID + "/groups",
			headers: asJSON("Authorization", "Bearer "+p.SoftwareOne.Token), body: `{"id":"` + p.SoftwareOne.GroupID + `"}`, status: 200, want: `"*"`,
		}).(map[string]any)
		if got["id"] != p.SoftwareOne.UserID {
			t.Errorf("id %v, want %s", got["id"], p.SoftwareOne.UserID)
		}
		for _, key := range []string{"audit", "$meta", "href", "user", "groups"} {
			if got[key] == nil {
				t.Errorf("the answer has no %s", key)
			}
		}
		var groups []any
		for _, g := range got["groups"].([]any) {
			groups = append(groups, g.(map[string]any)["id"])
		}
		if !slices.Contains(groups, any(p.SoftwareOne.GroupID)) {
			t.Errorf("groups %v, want %s among them", groups, p.SoftwareOne.GroupID)
		}
	})
	p.stop(t)
}

// token signs in to Contensis and returns the access token.
func (p *process) token(t *testing.T, form url.Values) string {
	t.Helper()
	got := p.call(t, call{
		name: "token", method: "POST", path: "/authenticate/connect/token", body: form.Encode(), status: 200, want: `"*"`,
		headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
	}).(map[string]any)
	return got["access_token"].(string)
}

// TestOneDirectory links a user through each door in turn and finds it a member
// through the native one, and taken out again through another.
func TestOneDirectory(t *testing.T) {
	p := start(t, t.TempDir())
	user, group := p.Same.User, p.Same.Group
	contensis := p.token(t, url.Values{"grant_type": {"client_credentials"}, "client_id": {p.Contensis.ClientID}, "client_secret": {p.Contensis.ClientSecret}})
	asJSON := "application/json"
	add := map[string]call{
		"syncano": {
			method: "POST", path: fmt.Sprintf("/v1.1/instances/%s/users/%d/groups/", p.Syncano.Instance, user.Syncano),
			headers: map[string]string{"X-API-KEY": p.Syncano.AccountKey, "Content-Type": asJSON}, body: fmt.Sprintf(`{"group":%d}`, group.Syncano), status: 201, want: `"*"`,
		},
		"contensis": {
			method: "PUT", path: "/api/security/groups/" + group.Contensis + "/users/" + user.Contensis,
			headers: map[string]string{"Authorization": "Bearer " + contensis}, status: 204,
		},
		"dronahq": {
			method: "PUT", path: fmt.Sprintf("/groups/%d/actions/assign_user", group.DronaHQ),
			headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
			body:    fmt.Sprintf("token_key=%s&assign[]=%d", p.DronaHQ.TokenKey, user.DronaHQ), status: 200, want: `"*"`,
		},
		"softwareone": {
			method: "POST", path: "/v1/accounts/" + p.SoftwareOne.AccountID + "/users/" + user.SoftwareOne + "/groups",
			headers: map[string]string{"Authorization": "Bearer " + p.SoftwareOne.Token, "Content-Type": asJSON},
			body:    `{"id":"` + group.SoftwareOne + `"}`, status: 200, want: `"*"`,
		},
	}
	member := func(want bool) {
		t.Helper()
		var answer struct {
			Member bool `json:"member"`
		}
		status, err := p.native(t.Context(), "GET", "/check?user="+user.Native+"&group="+group.Native, nil, &answer)
		if err != nil || status != 200 || answer.Member != want {
			t.Fatalf("check: status %d, member %v, %v; want %v", status, answer.Member, err, want)
		}
	}
	for name, c := range add {
		t.Run(name, func(t *testing.T) {
			member(false)
			c.name = name
			p.call(t, c)
			member(true)
			p.call(t, call{
				name: "remove", method: "POST", path: fmt.Sprintf("/groups/%d/actions/assign_user", group.DronaHQ), headers: map[string]string{"Content-Type": asJSON},
				body: fmt.Sprintf(`{"token_key":%q,"remove":[%d]}`, p.DronaHQ.TokenKey, user.DronaHQ), status: 200, want: `"*"`,
			})
			member(false)
		})
	}
	p.stop(t)
}

// TestPrintedCommandsWorkWhenPasted runs the commands that --demo prints through
// a shell, as a person does who pastes them.
func TestPrintedCommandsWorkWhenPasted(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI must have curl, or what --demo prints is not tested")
		}
		t.Skip("NOT TESTED: what --demo prints, because curl is not installed")
	}
	p := start(t, t.TempDir())
	printed := p.printed(t)
	_, commands, ok := strings.Cut(printed, "# Syncano")
	commands, _, ok2 := strings.Cut(commands, "What next:")
	if !ok || !ok2 {
		t.Fatalf("no commands among what was printed:\n%s", printed)
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-ec", strings.ReplaceAll("# Syncano"+commands, "curl ", "curl -sS ")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		`"username":"geralt"`, `"label":"witchers"`, "HTTP/1.1 204 No Content",
		fmt.Sprintf(`"assigned_users":[%d,%d]`, p.DronaHQ.UserIDs[0], p.DronaHQ.UserIDs[1]), `"invalid_users":[99999]`, p.SoftwareOne.GroupID,
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the commands' output does not hold %s", want)
		}
	}
	if t.Failed() {
		t.Logf("output:\n%s", out)
	}
	p.stop(t)
}

func TestASecondServerOnTheSameDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir)
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), path, "serve", "--data", dir, "--listen", "127.0.0.1:0", "--ops-listen", "").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another process is using this data directory") || strings.Count(strings.TrimSpace(string(out)), "\n") > 0 {
		t.Errorf("a second server: %v, output %q; want one line that says the directory is in use", err, out)
	}
	if status, err := p.native(t.Context(), "GET", "/users/name:ciri", nil, nil); err != nil || status != 200 {
		t.Errorf("the first server after that: status %d, %v", status, err)
	}
	p.stop(t)
}
