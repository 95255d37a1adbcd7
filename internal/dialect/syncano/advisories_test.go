package syncano

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"roster/internal/dialect/dialecttest"
	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/wire"
)

// ask is one request with a key and perhaps a user key.
func ask(method, path, key, user, body string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", mediaJSON)
	if key != "" {
		r.Header.Set("X-API-KEY", key)
	}
	if user != "" {
		r.Header.Set("X-USER-KEY", user)
	}
	return r
}

const in = "/v1.1/instances/rivia/"

// admins makes yen an administrator of rivia, by a group.
func admins(t *testing.T, p *dialecttest.Play) {
	t.Helper()
	ctx, admin := t.Context(), root(t, p.World.Directory)
	g, err := p.World.CreateGroup(ctx, admin, directory.NewGroup{Name: "admins", Grants: directory.Admin})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.World.ChangeMembers(ctx, admin, directory.MembersChange{Group: directory.ByGroup(g.Value.ID), Add: []directory.MemberRef{{Ref: directory.ByName("yen")}}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAdvisory01_AKeyMakesNobodyAnAdministrator(t *testing.T) {
	p := dialecttest.New(t, crowd, New)
	admins(t, p)
	before := revision(t, p.World.Directory)
	for _, r := range []*http.Request{
		ask("POST", in+"users/2/groups/", userMakerKey, "", `{"group":3}`),
		ask("POST", in+"groups/3/users/", seeingKey, ciriKey, `{"user":2}`),
		ask("PATCH", in+"users/2/", bareKey, ciriKey, `{"profile":{"group":3}}`),
		ask("DELETE", in+"groups/3/", seeingKey, "", ""),
	} {
		if got := said(t, p.Do(r)); !strings.HasPrefix(got, "403 ") && !strings.HasPrefix(got, "400 ") {
			t.Errorf("%s %s: %s", r.Method, r.URL, got)
		}
	}
	if after := revision(t, p.World.Directory); after != before {
		t.Errorf("revision %d, want %d", after, before)
	}
}

// Rights composed: a key that may change users, and the user key of one who
// administers, are together no administrator.
func TestAdvisory02_AnAdministratorsUserKeyGivesNoHoldOfTheAdministrator(t *testing.T) {
	p := dialecttest.New(t, crowd, New)
	admins(t, p)
	before := revision(t, p.World.Directory)
	for _, r := range []*http.Request{
		ask("PATCH", in+"user/", bareKey, yenKey, `{"password":"mine"}`),
		ask("PATCH", in+"users/1/", seeingKey, "", `{"password":"mine"}`),
		ask("POST", in+"users/1/reset_key/", seeingKey, "", ``),
		ask("DELETE", in+"users/1/", seeingKey, yenKey, ``),
	} {
		if got := said(t, p.Do(r)); got != denied {
			t.Errorf("%s %s: %s", r.Method, r.URL, got)
		}
	}
	if after := revision(t, p.World.Directory); after != before {
		t.Errorf("revision %d, want %d", after, before)
	}
}

// Whatever somebody with a user key asks for, nobody else's key is in the answer.
func TestAdvisory05_AnothersUserKeyIsNowhere(t *testing.T) {
	p := dialecttest.New(t, crowd, New)
	for _, path := range []string{
		"users/", "users/2/", "user/", "groups/", "groups/1/", "groups/2/users/", "groups/2/users/2/", "users/1/groups/", "users/2/groups/",
		"classes/user_profile/objects/", "classes/user_profile/objects/2/", "api_keys/", "",
	} {
		for _, key := range []string{bareKey, userMakerKey, groupMakerKey, anonymousKey} {
			if got := said(t, p.Do(ask("GET", in+path, key, yenKey, ""))); strings.Contains(got, ciriKey) || strings.Contains(got, accountKey) {
				t.Errorf("GET %s: %s", path, got)
			}
		}
	}
	batch := `{"requests":[{"method":"GET","path":"` + in + `users/?api_key=` + accountKey + `"},{"method":"GET","path":"` + in + `users/2/"}]}`
	if got := said(t, p.Do(ask("POST", in+"batch/", bareKey, yenKey, batch))); strings.Contains(got, ciriKey) {
		t.Errorf("a batch: %s", got)
	}
}

func TestAdvisory06_ClosedRegistrationIsClosed(t *testing.T) {
	for _, settings := range []map[string]string{nil, {settingRegistration: "closed"}, {settingRegistration: "OPEN"}} {
		p := dialecttest.New(t, crowd, with(settings))
		want := `400 {"detail":"Registration disabled."}`
		if got := said(t, p.Do(ask("POST", "/v1.1/account/register/", "", "", `{"email":"a@example.com","password":"x"}`))); got != want {
			t.Errorf("%v: %s, want %s", settings, got, want)
		}
		users, err := p.World.Users(t.Context(), directorytest.Root(), directory.ListUsers{})
		if err != nil || len(users.Value.Items) != 0 {
			t.Errorf("%v: the platform has %v, %v", settings, users.Value.Items, err)
		}
	}
}

// The account key that only reads is the column "read role" of
// TestEveryOperationByEveryCaller; here it tries to pass for more.
func TestAdvisory13_AKeyThatReadsDoesNotWriteByDetours(t *testing.T) {
	p := dialecttest.New(t, crowd, New)
	before := revision(t, p.World.Directory)
	batch := `{"requests":[{"method":"POST","path":"` + in + `groups/","body":{"label":"x"}},{"method":"PATCH","path":"` + in + `classes/user_profile/objects/1/","body":{"other_permissions":"full"}},{"method":"DELETE","path":"` + in + `users/1/"}]}`
	want := `200 [{"code":403,"content":{"detail":"You do not have permission to perform this action."}},{"code":403,"content":{"detail":"You do not have permission to perform this action."}},{"code":403,"content":{"detail":"You do not have permission to perform this action."}}]`
	if got := said(t, p.Do(ask("POST", in+"batch/", readerKey, yenKey, batch))); got != want {
		t.Errorf("a batch: %s, want %s", got, want)
	}
	r := post(in+"users/1/", "", mediaText, strings.NewReader(`{"_method":"DELETE","_api_key":"`+readerKey+`","_user_key":"`+yenKey+`"}`))
	if got := said(t, p.Do(r)); got != denied {
		t.Errorf("the tunnel: %s", got)
	}
	if after := revision(t, p.World.Directory); after != before {
		t.Errorf("revision %d, want %d", after, before)
	}
}

// An id that a profile came with is no number of a user, nor the other way round.
func TestAdvisory14_IdsOfProfilesAndUsersDoNotMix(t *testing.T) {
	p := dialecttest.New(t, `
tenants:
  - name: rivia
    users: [{name: yen, number: 1, external_ids: {syncano-profile: "2"}}, {name: ciri, number: 2}, {name: triss, number: 3, external_ids: {syncano-profile: "x"}}]
    credentials: [{kind: syncano_account, name: owner, grants: [admin], secret: `+accountKey+`}]
`, New)
	for path, want := range map[string]string{
		"classes/user_profile/objects/2/?fields=owner": `200 {"owner":1}`, // yen's, who came with it
		"classes/user_profile/objects/1/?fields=owner": `404 {"detail":"Not found."}`,
		"users/2/?fields=username":                     `200 {"username":"ciri"}`,
	} {
		if got := said(t, p.Do(ask("GET", in+path, accountKey, "", ""))); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestAdvisory16_TheLastAdministratorStays(t *testing.T) {
	p := dialecttest.New(t, crowd, New)
	admins(t, p)
	for _, path := range []string{"users/1/", "groups/3/", "users/1/groups/3/", "groups/3/users/1/"} {
		if got := said(t, p.Do(ask("DELETE", in+path, accountKey, "", ""))); !strings.HasPrefix(got, "400 ") {
			t.Errorf("DELETE %s: %s", path, got)
		}
	}
}

const twoInstances = `
tenants:
  - name: rivia
    users: [{name: yen, number: 1}]
    groups: [{name: witchers, number: 1}]
    credentials:
      - {kind: syncano_account, name: owner, grants: [admin], secret: ` + accountKey + `}
      - {kind: syncano_api_key, name: bare, code: 901, grants: [groups.read, members.read], secret: "` + bareKey + `"}
      - {kind: syncano_user_key, name: user key, user: yen, secret: "` + yenKey + `"}
  - name: cintra
    users: [{name: calanthe, number: 1}, {name: pavetta, number: 2}]
    groups: [{name: lions, number: 1}, {name: court, number: 2}]
    credentials:
      - {kind: syncano_api_key, name: all-seeing, code: 950, grants: [users.read, users.write, groups.read, members.read], secret: "` + seeingKey + `", attributes: {syncano: {ignore_acl: true}}}
      - {kind: syncano_user_key, name: user key, user: calanthe, secret: "` + ciriKey + `"}
`

func TestAdvisory18_OneInstanceIsNotReachedFromAnother(t *testing.T) {
	p := dialecttest.New(t, twoInstances, New)
	const there = "/v1.1/instances/cintra/"
	for _, c := range []struct {
		method, path, key, user, body, want string
	}{
		{"GET", there + "users/1/", accountKey, "", "", denied},
		{"GET", there, accountKey, "", "", `404 {"detail":"Not found."}`},
		{"DELETE", there, accountKey, "", "", `404 {"detail":"Not found."}`},
		{"GET", there + "users/1/", bareKey, yenKey, "", unknownKey},
		{"GET", in + "users/1/", seeingKey, "", "", unknownKey},
		{"GET", in + "user/", bareKey, ciriKey, "", denied}, // a user key of there proves nobody here
		{"GET", in + "users/2/", accountKey, "", "", `404 {"detail":"Not found."}`},
		{"POST", in + "users/1/groups/", accountKey, "", `{"group":2}`, `400 {"group":["Invalid pk \"2\" - object does not exist."]}`},
		{"GET", in + "api_keys/950/", accountKey, "", "", `404 {"detail":"Not found."}`},
		{"DELETE", in + "api_keys/950/", accountKey, "", "", `404 {"detail":"Not found."}`},
		{"POST", in + "batch/", accountKey, "", `{"requests":[{"method":"GET","path":"` + there + `users/"}]}`,
			`400 {"requests":[{"path":["Path needs to point to an endpoint within current instance and API version."]}]}`},
		{"POST", in + "batch/", accountKey, "", `{"requests":[{"method":"GET","path":"/v1.1/instances/rivia/../cintra/users/"}]}`,
			`200 [{"code":404,"content":{"detail":"Not found."}}]`},
		{"POST", in + "batch/", accountKey, "", `{"requests":[{"method":"GET","path":"/v1.1/instances/rivia/%2e%2e/cintra/users/"}]}`,
			`200 [{"code":404,"content":{"detail":"Not found."}}]`},
	} {
		if got := said(t, p.Do(ask(c.method, c.path, c.key, c.user, c.body))); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.method, c.path, got, c.want)
		}
	}
}

func TestAdvisory19_WhoIsSuspendedIsInNoList(t *testing.T) {
	p := dialecttest.New(t, crowd, New)
	suspended := true
	if _, err := p.World.UpdateUser(t.Context(), root(t, p.World.Directory), directory.UserUpdate{User: directory.ByName("ciri"), Suspended: &suspended}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"groups/2/users/?fields=user,id": `200 {"next":null,"prev":null,"objects":[{"user":{"id":1}}]}`,
		"users/2/groups/":                `200 {"next":null,"prev":null,"objects":[]}`,
		"users/2/?fields=groups":         `200 {"groups":[]}`,
		"groups/2/users/2/":              `404 {"detail":"Not found."}`,
		"users/2/groups/2/":              `404 {"detail":"Not found."}`,
	} {
		if got := said(t, p.Do(ask("GET", in+path, accountKey, "", ""))); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if got := said(t, p.Do(ask("GET", in+"user/", bareKey, ciriKey, ""))); got != denied {
		t.Errorf("its key: %s", got)
	}
}

func TestAdvisory22_EqualPartsOfABatchAreAnsweredEachInItsPlace(t *testing.T) {
	p := dialecttest.New(t, crowd, New)
	add := `{"method":"POST","path":"` + in + `users/2/groups/","body":{"group":1}}`
	remove := `{"method":"DELETE","path":"` + in + `users/2/groups/1/"}`
	got := said(t, p.Do(ask("POST", in+"batch/?fields=links", accountKey, "", `{"requests":[`+strings.Join([]string{add, add, remove, remove, add}, ",")+`]}`)))
	made := `{"code":201,"content":{"group":{"id":1,"label":"witchers","description":"","links":{"self":"/v1.1/instances/rivia/groups/1/","users":"/v1.1/instances/rivia/groups/1/users/"}},"links":{"self":"/v1.1/instances/rivia/users/2/groups/1/"}}}`
	want := `200 [` + made + `,{"code":400,"content":{"detail":"User is already a part of that group."}},{"code":204},{"code":404,"content":{"detail":"Not found."}},` + made + `]`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAdvisory24_WhatIsDeepLongOrManyIsRefused(t *testing.T) {
	p := dialecttest.New(t, crowd, New)
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	for _, c := range []struct{ method, path, body, want string }{
		{"PATCH", "users/1/", `{"profile":` + deep + `}`, "400 "},
		{"PUT", "classes/user_profile/", `{"schema":"` + deep + `"}`, "400 "},
		{"GET", "classes/user_profile/objects/?query=" + deep, "", "400 "},
		{"POST", "batch/", `{"requests":[` + strings.Repeat(`{},`, 50) + `{}]}`, "400 "},
		{"POST", "batch/", `{"requests":[{"method":"POST","path":"` + in + `batch/","body":{"requests":[]}}]}`, "400 "},
		{"GET", "users/?fields=" + strings.Repeat("a,", 10000), "", "200 "},
	} {
		if got := said(t, p.Do(ask(c.method, in+c.path, accountKey, "", c.body))); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s %.40s: %.200s, want %s", c.method, c.path, got, c.want)
		}
	}
}

func TestWhatComesTooFastIsToldToWait(t *testing.T) {
	p := dialecttest.New(t, crowd, with(map[string]string{settingThrottle: "on"}))
	const throttled = `429 {"detail":"Request was throttled. Expected available in 1 second."}`
	for what, c := range map[string]struct {
		most int
		r    func() *http.Request
	}{
		"an instance": {perInstance, func() *http.Request { return ask("GET", in+"groups/1/", bareKey, "", "") }},
		"an address":  {perAddress, func() *http.Request { return ask("POST", "/v1.1/account/auth/", "", "", "{}") }},
		"an account":  {perAccount, func() *http.Request { return ask("GET", "/v1.1/account/", accountKey, "", "") }},
	} {
		for n := range c.most {
			if got := said(t, p.Do(c.r())); strings.HasPrefix(got, "429") {
				t.Fatalf("%s: request %d is %s", what, n+1, got)
			}
		}
		res := p.Do(c.r())
		if got := said(t, res); got != throttled || res.Header.Get("Retry-After") != "1" {
			t.Errorf("%s: after %d: %s, Retry-After %q", what, c.most, got, res.Header.Get("Retry-After"))
		}
	}
	// Who may not is told that, and what is not served is told after.
	if got := said(t, p.Do(ask("POST", in+"groups/", bareKey, "", "{}"))); got != denied {
		t.Errorf("forbidden: %s", got)
	}
	if got := said(t, p.Do(ask("PUT", in+"users/", accountKey, "", "{}"))); got != throttled {
		t.Errorf("not served: %s", got)
	}
	p.World.Clock.Advance(time.Second)
	if got := said(t, p.Do(ask("GET", in+"groups/1/", bareKey, "", ""))); !strings.HasPrefix(got, "200 ") {
		t.Errorf("a second later: %s", got)
	}
	off := dialecttest.New(t, crowd, New)
	for range 3 * perInstance {
		if got := said(t, off.Do(ask("GET", in+"groups/1/", bareKey, "", ""))); !strings.HasPrefix(got, "200 ") {
			t.Fatalf("switched off: %s", got)
		}
	}
}

func TestTheGuideToMovingIsTheConversationOfAMovedInstance(t *testing.T) {
	guide, err := os.ReadFile("../../../docs/move/syncano.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(guide), "```yaml\n")
	file, _, ok := strings.Cut(rest, "```")
	moved, err := txtar.ParseFile("testdata/moved.txtar")
	if err != nil || !ok {
		t.Fatal(err, ok)
	}
	if got := string(moved.Files[0].Data); got != file {
		t.Errorf("the guide's file is\n%s\nand the conversation's\n%s", file, got)
	}
}

func TestSecretsOfAccountsAndKeysStayInside(t *testing.T) {
	p := dialecttest.New(t, crowd, with(map[string]string{settingRegistration: "open"}))
	var secrets []string
	do := func(r *http.Request, status int) string {
		t.Helper()
		got := said(t, p.Do(r))
		if !strings.HasPrefix(got, fmt.Sprint(status)) {
			t.Fatalf("%s %s: %s", r.Method, r.URL, got)
		}
		for _, field := range []string{"account_key", "api_key", "user_key"} {
			if _, rest, ok := strings.Cut(got, `"`+field+`":"`); ok {
				secrets = append(secrets, rest[:40])
			}
		}
		return got
	}
	const password = "hush-hush-hush"
	do(ask("POST", "/v1.1/account/register/", "", "", `{"email":"ops@example.com","password":"`+password+`"}`), 201)
	do(ask("POST", "/v1.1/account/auth/", "", "", `{"email":"ops@example.com","password":"`+password+`"}`), 200)
	do(ask("POST", "/v1.1/account/auth/", "", "", `{"email":"ops@example.com","password":"`+password+`x"}`), 401)
	do(ask("POST", "/v1.1/account/reset_key/", secrets[0], "", ``), 200)
	do(ask("POST", in+"api_keys/", accountKey, "", `{"description":"mine"}`), 201)
	do(ask("POST", in+"api_keys/901/reset_key/", accountKey, "", ``), 200)
	do(ask("POST", in+"users/2/reset_key/", accountKey, "", ``), 200)
	do(ask("PATCH", in+"users/2/", accountKey, "", `{"password":"`+password+`"}`), 200)
	do(ask("POST", in+"user/auth/?api_key="+userMakerKey, "", "", `{"username":"ciri","password":"`+password+`"}`), 200)
	tenant := root(t, p.World.Directory).Tenant
	kept := ""
	for _, of := range []directory.Principal{directorytest.Root(), directorytest.In(directorytest.Root(), tenant)} {
		for c, err := range p.World.Store.Commits(t.Context(), of.Tenant, 0) {
			if err != nil {
				t.Fatal(err)
			}
			kept += fmt.Sprintf("%+v\n", c)
		}
	}
	log := p.Log()
	for _, secret := range append(secrets, password, userMakerKey) {
		if strings.Contains(kept, secret) || strings.Contains(log, secret) {
			t.Errorf("%.6s… is in the change log or the log", secret)
		}
	}
	if len(secrets) < 7 || !strings.Contains(kept, "ops@example.com") || !strings.Contains(log, "/v1.1/account/auth/") {
		t.Errorf("%d secrets were seen; log:\n%s", len(secrets), log)
	}
}

// The answer to a part of a batch says nothing of why it failed, so the log of the
// whole must.
func TestWhyAPartOfABatchFailedIsInTheLog(t *testing.T) {
	cause := errors.New("the disk is on fire")
	d := &door{requests: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wire.EntryOf(r.Context()).Err = cause
		writeError(w, r, cause)
	})}
	r := ask("POST", in+"batch/", accountKey, "", "{}")
	entry := &wire.Entry{}
	r = r.WithContext(wire.WithEntry(r.Context(), entry))
	got := d.ask(r, &visit{}, asked{method: http.MethodGet, url: r.URL})
	if got.Code != 500 || strings.Contains(string(got.Content), "fire") || entry.Err != cause {
		t.Errorf("it answers %d %s, and the log has %v", got.Code, got.Content, entry.Err)
	}
}

func TestAnAccountOwnsSoManyInstances(t *testing.T) {
	p := dialecttest.New(t, `
platform:
  users: [{email: ops@example.com}]
  credentials:
    - {kind: syncano_account, name: ops, user: "email:ops@example.com", grants: [admin, tenants.own], secret: `+accountKey+`}
`, New)
	for n := range maxInstances {
		if got := said(t, p.Do(ask("POST", "/v1.1/instances/", accountKey, "", fmt.Sprintf(`{"name":"number-%d"}`, n)))); !strings.HasPrefix(got, "201 ") {
			t.Fatalf("instance %d: %s", n+1, got)
		}
	}
	more := ask("POST", "/v1.1/instances/", accountKey, "", `{"name":"too-many"}`)
	if got, want := said(t, p.Do(more)), `400 {"detail":"Instance count exceeded (16)."}`; got != want {
		t.Errorf("one more: %s, want %s", got, want)
	}
	if got := said(t, p.Do(ask("DELETE", "/v1.1/instances/number-3/", accountKey, "", ""))); !strings.HasPrefix(got, "204") {
		t.Errorf("an end: %s", got)
	}
	if got := said(t, p.Do(ask("POST", "/v1.1/instances/", accountKey, "", `{"name":"too-many"}`))); !strings.HasPrefix(got, "201 ") {
		t.Errorf("in its place: %s", got)
	}
}
