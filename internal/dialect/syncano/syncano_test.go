package syncano

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roster/internal/authn"
	"roster/internal/dialect"
	"roster/internal/dialect/dialecttest"
	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/wire"
)

func TestConversations(t *testing.T) { dialecttest.Run(t, "testdata/*.txtar", New) }

func TestConversationsWhileAnybodyMayRegister(t *testing.T) {
	dialecttest.Run(t, "testdata/open/*.txtar", with(map[string]string{settingRegistration: "open"}))
}

// with opens the door with settings.
func with(settings map[string]string) func(dialect.Deps) dialect.Door {
	return func(deps dialect.Deps) dialect.Door {
		deps.Settings = settings
		return New(deps)
	}
}

const (
	accountKey = "d3f0a1b2c3d4e5f60718293a4b5c6d7e8f901230"
	apiKey1    = "5b1f0c3d9a7e4f2680b1c2d3e4f5061728394a5b"
	briefKey   = "0000000000111111111122222222223333333331"
	briefUser  = "0000000000111111111122222222223333333332"
)

const rivia = `
tenants:
  - name: rivia
    users:
      - {name: yen, number: 1}
    groups:
      - {name: witchers, number: 1}
    credentials:
      - {kind: syncano_account, name: owner, grants: [admin], secret: ` + accountKey + `}
      - {kind: syncano_api_key, name: app, grants: [users.write, groups.read, members.read], secret: ` + apiKey1 + `}
      - {kind: syncano_api_key, name: brief, grants: [users.write], expires: 2026-01-02T04:00:00Z, secret: "` + briefKey + `"}
      - {kind: syncano_user_key, name: user key, user: yen, expires: 2026-01-02T04:00:00Z, secret: "` + briefUser + `"}
`

const (
	usersPath  = "/v1.1/instances/rivia/users/"
	groupsPath = "/v1.1/instances/rivia/users/1/groups/"
)

// root is an administrator of rivia, who asks the core what the wire does not show.
func root(t testing.TB, d *directory.Directory) directory.Principal {
	t.Helper()
	tenant, err := d.FindTenant(t.Context(), "rivia")
	if err != nil {
		t.Fatal(err)
	}
	return directorytest.In(directorytest.Root(), tenant.ID)
}

// revision is the tenant's, which moves with every write.
func revision(t testing.TB, d *directory.Directory) directory.Revision {
	t.Helper()
	a, err := d.Tenant(t.Context(), root(t, d))
	if err != nil {
		t.Fatal(err)
	}
	return a.Revision
}

func post(path, key, contentType string, body io.Reader) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, body)
	r.Header.Set("Content-Type", contentType)
	if key != "" {
		r.Header.Set("X-API-KEY", key)
	}
	return r
}

func postJSON(path, key, body string) *http.Request {
	return post(path, key, mediaJSON, strings.NewReader(body))
}

// said is the status and body of an answer.
func said(t testing.TB, res *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", res.StatusCode, body)
}

const (
	unknownKey = `403 {"detail":"No such API Key."}`
	denied     = `403 {"detail":"You do not have permission to perform this action."}`
)

func TestEveryKindOfErrorHasItsOwnAnswer(t *testing.T) {
	seen := map[string]directory.Kind{}
	for _, kind := range directory.Kinds() {
		rec := httptest.NewRecorder()
		writeError(rec, httptest.NewRequest(http.MethodPost, usersPath, nil), &directory.Error{
			Kind: kind, Code: "some.code", Detail: "In the core's words.", Err: errors.New("the cause"),
		})
		got := fmt.Sprintf("%d %s", rec.Code, rec.Body)
		if other, taken := seen[got]; taken {
			t.Errorf("%v is answered like %v: %s", kind, other, got)
		}
		seen[got] = kind
		if rec.Code < 400 || strings.Contains(got, "the cause") || strings.Contains(got, "core's words") {
			t.Errorf("%v: got %s", kind, got)
		}
		if !json.Valid(rec.Body.Bytes()) {
			t.Errorf("%v: not JSON: %s", kind, got)
		}
		if after := rec.Header().Get("Retry-After"); (after == "1") != (kind == directory.TooMany || kind == directory.Unavailable) {
			t.Errorf("%v: Retry-After %q", kind, after)
		}
	}
}

func TestAnUnclassifiedErrorLeaksNothing(t *testing.T) {
	rec := httptest.NewRecorder()
	writeError(rec, httptest.NewRequest(http.MethodPost, usersPath, nil), errors.New("disk /dev/sda1 is on fire"))
	if got, want := fmt.Sprintf("%d %s", rec.Code, rec.Body), `500 {"detail":"A server error occurred."}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestANewUserHasItsKeyAndPassword(t *testing.T) {
	p := dialecttest.New(t, rivia, New)
	res := p.Do(postJSON(usersPath, apiKey1, `{"username":"Geralt","password":" steel and silver "}`))
	var got user
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil || res.StatusCode != userCreated || got.UserKey == nil {
		t.Fatalf("status %d, %v, %+v", res.StatusCode, err, got)
	}
	made, err := p.World.User(t.Context(), root(t, p.World.Directory), directory.ByNumber(int64(got.ID)))
	if err != nil || made.Value.Name != "geralt" {
		t.Fatalf("stored as %q, %v; want geralt", made.Value.Name, err)
	}
	if form, _ := authn.FormOf(authn.SyncanoUserKey); !form.Valid(*got.UserKey) {
		t.Errorf("user key %q is not 40 hex digits of which the last is even", *got.UserKey)
	}
	c, err := p.World.Authn.Verify(t.Context(), authn.SyncanoUserKey, *got.UserKey)
	if err != nil || c.User != made.Value.ID || c.Grants != 0 {
		t.Errorf("the user key proves %+v, %v; want user %s without grants", c, err, made.Value.ID)
	}
	if back, err := p.World.Authn.Reveal(c); err != nil || back != *got.UserKey {
		t.Errorf("the user key reads back as %q, %v; want %q", back, err, *got.UserKey)
	}
	// Spaces around a password are not part of it.
	if _, _, err := p.World.Authn.Password(t.Context(), c.Tenant, directory.ByName("GERALT"), "steel and silver", "192.0.2.1"); err != nil {
		t.Errorf("the password does not open: %v", err)
	}
}

// The reference page's answer, for a user whose profile was imported with its id
// and times.
func TestAnImportedProfileKeepsItsIdAndTimes(t *testing.T) {
	for name, kept := range map[string]map[string]any{
		"from the store": {"created_at": "2016-03-17T17:56:31.181939Z", "updated_at": "2016-03-17T18:56:31.181957+01:00", "revision": float64(1)},
		"from a file":    {"created_at": "2016-03-17T17:56:31.181939Z", "updated_at": "2016-03-17T17:56:31.181957Z"},
		"unreadable":     {"created_at": 5, "updated_at": "then", "revision": 1.5, "owner_permissions": 7, "group": -1, "channel": true},
	} {
		u := directory.User{
			Number: 10, Name: "geralt", Attributes: directory.Attributes{"syncano": kept}, Externals: map[string]string{profileSource: "37"},
			Created:  time.Date(2016, 3, 17, 17, 56, 31, 181939000, time.UTC),
			Modified: time.Date(2016, 3, 17, 17, 56, 31, 181957000, time.UTC),
		}
		key := "12"
		l := links{version: "/v1.1", instance: "rivia"}
		got, err := wire.Marshal(l.encodeUser(u, l.encodeProfile(directory.Tenant{}, class{}, profileOf(u), nil), &key, nil))
		if err != nil {
			t.Fatal(err)
		}
		want := `{"username":"geralt","profile":{"channel_room":null,"group":null,"links":{"owner":"/v1.1/instances/rivia/users/10/","self":"/v1.1/instances/rivia/classes/user_profile/objects/37/"},
 "group_permissions":"none","created_at":"2016-03-17T17:56:31.181939Z","owner_permissions":"full","updated_at":"2016-03-17T17:56:31.181957Z","other_permissions":"none","owner":10,"id":37,"channel":null,"revision":1},
 "links":{"profile":"/v1.1/instances/rivia/classes/user_profile/objects/37/","self":"/v1.1/instances/rivia/users/10/","groups":"/v1.1/instances/rivia/users/10/groups/","reset-key":"/v1.1/instances/rivia/users/10/reset_key/"},
 "user_key":"12","groups":[],"id":10}`
		var gotValue, wantValue any
		if err := errors.Join(json.Unmarshal(got, &gotValue), json.Unmarshal([]byte(want), &wantValue)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wantValue, gotValue); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestKeysEnd(t *testing.T) {
	p := dialecttest.New(t, rivia, New)
	body := `{"username":"x","password":"y"}`
	if got := said(t, p.Do(postJSON(usersPath, briefKey, body))); !strings.HasPrefix(got, "200 ") {
		t.Fatalf("before its time is over: %s", got)
	}
	p.World.Clock.Advance(time.Hour)
	before := revision(t, p.World.Directory)
	if got := said(t, p.Do(postJSON(usersPath, briefKey, body))); got != unknownKey {
		t.Errorf("expired: got %s, want %s", got, unknownKey)
	}
	// An expired user key is as good as none: the API key goes on.
	r := postJSON(usersPath, apiKey1, `{"username":"","password":"y","profile":{"group":1}}`)
	r.Header.Set("X-USER-KEY", briefUser)
	if got, want := said(t, p.Do(r)), `400 {"username":["This field may not be blank."]}`; got != want {
		t.Errorf("beside an expired user key: got %s, want %s", got, want)
	}
	c, err := p.World.CredentialByHash(t.Context(), authn.SyncanoAPIKey, authn.Hash(authn.SyncanoAPIKey, apiKey1))
	if err != nil {
		t.Fatal(err)
	}
	if got := revision(t, p.World.Directory); got != before {
		t.Errorf("the refused requests wrote: revision %d, want %d", got, before)
	}
	if _, err := p.World.RevokeCredential(t.Context(), root(t, p.World.Directory), c.ID); err != nil {
		t.Fatal(err)
	}
	if got := said(t, p.Do(postJSON(usersPath, apiKey1, body))); got != unknownKey {
		t.Errorf("revoked: got %s, want %s", got, unknownKey)
	}
}

func TestSuspendedUserBehindAKey(t *testing.T) {
	p := dialecttest.New(t, rivia, New)
	// yen is not in group 1, so as long as yen counts the profile is refused.
	request := func() *http.Request {
		r := postJSON(usersPath, apiKey1, `{"username":"","password":"y","profile":{"group":1}}`)
		r.Header.Set("X-USER-KEY", briefUser)
		return r
	}
	if got, want := said(t, p.Do(request())), `400 {"profile":{"group":["Invalid group specified."]},"username":["This field may not be blank."]}`; got != want {
		t.Errorf("active: got %s, want %s", got, want)
	}
	suspended := true
	if _, err := p.World.UpdateUser(t.Context(), root(t, p.World.Directory), directory.UserUpdate{User: directory.ByName("yen"), Suspended: &suspended}); err != nil {
		t.Fatal(err)
	}
	if got, want := said(t, p.Do(request())), `400 {"username":["This field may not be blank."]}`; got != want {
		t.Errorf("suspended: got %s, want %s", got, want)
	}
}

func TestRefusedRequestsWriteNothing(t *testing.T) {
	p := dialecttest.New(t, rivia, New)
	if got := said(t, p.Do(postJSON(groupsPath, accountKey, `{"group":1}`))); !strings.HasPrefix(got, "201 ") {
		t.Fatalf("before: %s", got)
	}
	before := revision(t, p.World.Directory)
	for _, c := range []struct{ path, key, body, want string }{
		{usersPath, "", `{"username":"a","password":"b"}`, denied},
		{usersPath, strings.Repeat("f", 40), `{"username":"a","password":"b"}`, unknownKey},
		{usersPath, accountKey, `{"username":"YEN","password":"b"}`, `400 {"username":["This field must be unique."]}`},
		{usersPath, accountKey, `{"username":"a","password":"b","profile":{"group":9}}`, `400 {"profile":{"group":["Invalid pk \"9\" - object does not exist."]}}`},
		{usersPath, accountKey, `{"username":"a\u0007","password":"b"}`, `400 {"username":["Enter a valid value."]}`},
		{usersPath, accountKey, `{"username":"a","password":"b"`, `400 {"detail":"JSON parse error - The body is not valid JSON."}`},
		{groupsPath, apiKey1, `{"group":1}`, denied},
		{groupsPath, accountKey, `{"group":1}`, `400 {"detail":"User is already a part of that group."}`},
		{groupsPath, accountKey, `{"group":2}`, `400 {"group":["Invalid pk \"2\" - object does not exist."]}`},
	} {
		if got := said(t, p.Do(postJSON(c.path, c.key, c.body))); got != c.want {
			t.Errorf("POST %s %s: got %s, want %s", c.path, c.body, got, c.want)
		}
	}
	if after := revision(t, p.World.Directory); after != before {
		t.Errorf("revision %d, want %d", after, before)
	}
}

func TestBodyLimit(t *testing.T) {
	p := dialecttest.New(t, rivia, New)
	fill := func(n int) string { // a body of n bytes
		const head, tail = `{"group":1,"x":"`, `"}`
		return head + strings.Repeat("a", n-len(head)-len(tail)) + tail
	}
	type chunks struct{ io.Reader } // whose length nobody knows
	for _, c := range []struct {
		name string
		body io.Reader
		want string
	}{
		{"one byte too many", strings.NewReader(fill(maxBody + 1)), `413 {"detail":"Request body is too large."}`},
		{"one byte too many, in chunks", chunks{strings.NewReader(fill(maxBody + 1))}, `413 {"detail":"Request body is too large."}`},
		{"all that is allowed, in chunks", chunks{strings.NewReader(fill(maxBody))}, "201 "},
	} {
		if got := said(t, p.Do(post(groupsPath, accountKey, mediaJSON, c.body))); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: got %.200s, want %s", c.name, got, c.want)
		}
	}
}

func TestAtTheSameTime(t *testing.T) {
	p := dialecttest.New(t, rivia, New)
	for _, c := range []struct{ path, body, won, lost string }{
		{usersPath, `{"username":"Ciri","password":"x"}`, "200 ", `400 {"username":["This field must be unique."]}`},
		{groupsPath, `{"group":1}`, "201 ", `400 {"detail":"User is already a part of that group."}`},
	} {
		const n = 4
		answers := make([]string, n)
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() { answers[i] = said(t, p.Do(postJSON(c.path, accountKey, c.body))) })
		}
		all.Wait()
		won := 0
		for _, a := range answers {
			if strings.HasPrefix(a, c.won) {
				won++
			} else if a != c.lost {
				t.Errorf("POST %s: got %s, want %s", c.path, a, c.lost)
			}
		}
		if won != 1 {
			t.Errorf("POST %s: %d of %d succeeded, want one", c.path, won, n)
		}
	}
}

// What is secret must be in no log line and no change record, wherever in the
// request it stood and whatever became of the request.
func TestSecretsStayInside(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var opened dialect.Door
	p := dialecttest.New(t, rivia, func(deps dialect.Deps) dialect.Door {
		deps.Log = logger
		opened = New(deps)
		return opened
	})
	handler := wire.Logged(logger, opened.Handler(), func(http.ResponseWriter, *http.Request) { t.Error("panic") })
	const password = "hush-hush-hush"
	var keys []string
	for _, c := range []struct{ query, contentType, body string }{
		{"?api_key=" + apiKey1, mediaJSON, `{"username":"a1","password":"` + password + `"}`},
		{"", mediaText, `{"_method":"POST","_api_key":"` + apiKey1 + `","_user_key":"` + briefUser + `","username":"a2","password":"` + password + `"}`},
		{"?api_key=" + apiKey1, mediaJSON, `{"username":"a3","password":"` + password + `","profile":{"owner_permissions":"` + password + `"}}`},
		{"?api_key=" + apiKey1, mediaJSON, `{"username":"a4","password":"` + password + ``},
		{"?api_key=" + apiKey1, mediaMultipart + "; boundary=B", "--B\n" + password + "\n\n"},
		{"?api_key=" + apiKey1, mediaForm, "username=yen&password=" + password},
		{"?api_key=" + apiKey1 + "0", mediaJSON, `{}`},
	} {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, post(usersPath+c.query, "", c.contentType, strings.NewReader(c.body)))
		var made user
		if rec.Code == userCreated {
			if err := json.Unmarshal(rec.Body.Bytes(), &made); err != nil {
				t.Fatal(err)
			}
			keys = append(keys, *made.UserKey)
		}
	}
	if len(keys) != 2 {
		t.Fatalf("%d users were made, want 2; log:\n%s", len(keys), &log)
	}
	kept := &bytes.Buffer{}
	for c, err := range p.World.Store.Commits(context.Background(), root(t, p.World.Directory).Tenant, 0) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(kept, "%+v\n", c)
	}
	for _, secret := range append(keys, password, apiKey1, briefUser) {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, &log)
		}
		if strings.Contains(kept.String(), secret) {
			t.Errorf("the change log holds %q:\n%s", secret, kept)
		}
	}
	if !strings.Contains(log.String(), "invalid fields: profile") || !strings.Contains(kept.String(), "a1") {
		t.Errorf("the log or the change log does not say what happened:\n%s\n%s", &log, kept)
	}
}

// FuzzMembership sends bodies that nobody meant; the door must refuse them in
// its own words.
func FuzzMembership(f *testing.F) {
	for _, contentType := range []string{mediaJSON, mediaForm, mediaMultipart + "; boundary=B", mediaText, "", "a/b;\xff"} {
		for _, body := range []string{
			`{"group":1}`, `{"group":"1"}`, `{"group":[{}]}`, `{"_method":"DELETE"}`, `[`, `{"group":1e400}`, `{"group":-0}`, "\xff", `{"group":"\ud800"}`,
			"group=1", "group.x=1&group=2", "%", "&&==&", "group=%ff",
			"--B\nContent-Disposition: form-data; name=\"group\"\n\n1\n--B--\n", "--B\nContent-Disposition: form-data; name=\"group.a\"\n\n\xff\n--B--\n",
		} {
			f.Add(contentType, body)
		}
	}
	p := dialecttest.New(f, rivia, New)
	f.Fuzz(func(t *testing.T, contentType, body string) {
		res := p.Do(post(groupsPath, accountKey, contentType, strings.NewReader(body)))
		got := said(t, res)
		switch res.StatusCode {
		case 201, 400, 405, 413, 415:
		default:
			t.Errorf("%q %q: %s", contentType, body, got)
		}
		if !json.Valid([]byte(got[4:])) {
			t.Errorf("%q %q: not JSON: %s", contentType, body, got)
		}
	})
}
