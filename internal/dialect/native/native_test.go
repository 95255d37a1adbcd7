package native

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"roster/internal/authn"
	"roster/internal/dialect/dialecttest"
	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/id"
)

func TestConversations(t *testing.T) { dialecttest.Run(t, "testdata/*.txtar", New) }

const (
	acme      = "/api/v1/tenants/acme"
	rootKey   = "roster_platform0000000000000000000000000000"
	adminKey  = "roster_acmeadmin000000000000000000000000000"
	globexKey = "roster_globexadmin0000000000000000000000000"

	world = `
platform:
  credentials:
    - {kind: native, name: root, grants: [platform], secret: ` + rootKey + `}
tenants:
  - name: acme
    id: 0190a000-0000-7000-8000-000000000001
    users:
      - {name: ann, id: 0190a000-0000-7000-8000-0000000000a1}
      - {name: bob, id: 0190a000-0000-7000-8000-0000000000a2}
    groups:
      - {name: Staff, id: 0190a000-0000-7000-8000-0000000000b1, members: ["name:ann"]}
      - {name: Company, id: 0190a000-0000-7000-8000-0000000000b2, members: [{group: "name:Staff"}]}
      - {name: Administrators, grants: [admin], members: ["name:ann", "name:bob"]}
    credentials:
      - {kind: native, name: admin, grants: [admin], secret: ` + adminKey + `}
  - name: globex
    credentials:
      - {kind: native, name: admin, grants: [admin], secret: ` + globexKey + `}
`
)

func send(p *dialecttest.Play, method, path, key string, body io.Reader, header ...string) *http.Response {
	r := httptest.NewRequest(method, path, body)
	r.Header.Set("Authorization", "Bearer "+key)
	if r.ContentLength != 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return p.Do(r)
}

// ask sends a request, wants a status, and decodes the answer.
func ask[T any](t *testing.T, p *dialecttest.Play, method, path, key, body string, status int, header ...string) T {
	t.Helper()
	got := send(p, method, path, key, strings.NewReader(body), header...)
	text, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got.StatusCode != status {
		t.Fatalf("%s %s: status %d, want %d: %s", method, path, got.StatusCode, status, text)
	}
	var v T
	if len(text) > 0 {
		if err := jsonv2.Unmarshal(text, &v); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
	return v
}

func TestEveryKindOfErrorHasItsOwnAnswer(t *testing.T) {
	statuses := map[int]directory.Kind{}
	for _, kind := range directory.Kinds() {
		if _, ok := manners[kind]; !ok {
			t.Errorf("%v has no answer", kind)
		}
		secret := errors.New("SELECT hash FROM credentials")
		err := fmt.Errorf("while serving: %w", &directory.Error{Kind: kind, Code: "some.code", Field: "name", Detail: "Some detail.", Err: secret})
		w := httptest.NewRecorder()
		writeError(w, httptest.NewRequest("GET", "/", nil), err)
		if other, taken := statuses[w.Code]; taken {
			t.Errorf("%v and %v are both answered with %d", kind, other, w.Code)
		}
		statuses[w.Code] = kind
		var p problem
		if err := jsonv2.Unmarshal(w.Body.Bytes(), &p, jsonv2.RejectUnknownMembers(true)); err != nil {
			t.Fatal(err)
		}
		if p.Status != w.Code || p.Title == "" || p.Detail == "" || p.Type != "urn:roster:error:"+p.Code {
			t.Errorf("%v: %+v", kind, p)
		}
		if strings.Contains(w.Body.String(), "SELECT") || strings.Contains(w.Body.String(), "while serving") {
			t.Errorf("%v tells its cause: %s", kind, w.Body)
		}
		if told := p.Code == "some.code"; told == (kind == directory.Internal) {
			t.Errorf("%v: code %s", kind, p.Code)
		}
		bare := problemOf(&directory.Error{Kind: kind})
		if bare.Code == "" || bare.Detail == "" {
			t.Errorf("%v without words of its own: %+v", kind, bare)
		}
	}
	for _, err := range []error{errors.New("disk on fire"), &directory.Error{Kind: 200, Detail: "Secret."}} {
		if p := problemOf(err); p.Status != 500 || p.Code != "internal" || strings.Contains(p.Detail, "fire") || strings.Contains(p.Detail, "Secret") {
			t.Errorf("an error nobody classified: %+v", p)
		}
	}
}

func TestBodiesOverTheLimit(t *testing.T) {
	p := dialecttest.New(t, world, New)
	large := `{"name":"` + strings.Repeat("x", 1<<20) + `"}`
	for name, body := range map[string]io.Reader{
		"declared": strings.NewReader(large),
		"chunked":  io.MultiReader(strings.NewReader(large)), // of unknown length
	} {
		got := send(p, "POST", acme+"/users", adminKey, body, "Content-Type", "application/json")
		if got.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: status %d, want 413", name, got.StatusCode)
		}
	}
	batch := func(n int, item string) string {
		return `{"mode":"each","add":[` + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + `]}`
	}
	path := acme + "/groups/name:Staff/members:batch"
	if e := ask[problem](t, p, "POST", path, adminKey, batch(10001, `"name:ann"`), 413); e.Code != "batch.large" || e.Field != "add" {
		t.Errorf("10,001 items: %+v", e)
	}
	both := `{"mode":"each","add":["name:ann"],"remove":[` + strings.TrimSuffix(strings.Repeat(`"name:ann",`, 10000), ",") + `]}`
	if e := ask[problem](t, p, "POST", path, adminKey, both, 413); e.Code != "batch.large" {
		t.Errorf("10,001 items in two lists: %+v", e)
	}
	if e := ask[problem](t, p, "POST", path, adminKey, batch(1, `"name:`+strings.Repeat("x", 16<<20)+`"`), 413); e.Code != "body.large" {
		t.Errorf("16 MiB: %+v", e)
	}
	// More than an ordinary body may hold is no more than a batch may.
	item := `{"user":"name:` + strings.Repeat("x", 200) + `"}`
	res := ask[batchResultJSON](t, p, "POST", path, adminKey, batch(10000, item), 200)
	if len(res.Add) != 10000 || res.Add[9999].Outcome != "invalid" {
		t.Errorf("10,000 items: %d outcomes", len(res.Add))
	}
	list := ask[list[memberJSON]](t, p, "GET", acme+"/groups/name:Staff/members", adminKey, "", 200)
	if len(list.Items) != 1 {
		t.Errorf("the group has %d members after refusals, want 1", len(list.Items))
	}
}

func TestKeysOpenUntilTheyExpireOrAreRevoked(t *testing.T) {
	p := dialecttest.New(t, world, New)
	make := func(body string) keyJSON { return ask[keyJSON](t, p, "POST", acme+"/keys", adminKey, body, 201) }
	machine := make(`{"name":"machine","grants":["users.read"],"expires":"2026-01-02T04:00:00Z"}`)
	anns := make(`{"name":"ann's","grants":["users.read"],"user":"name:ann"}`)
	bobs := make(`{"name":"bob's","grants":["users.read","users.write"],"user":"name:bob"}`)
	if machine.Secret == anns.Secret || len(machine.Secret) < 40 {
		t.Fatalf("secrets: %d and %d characters", len(machine.Secret), len(anns.Secret))
	}
	opens := func(k keyJSON, code string) {
		t.Helper()
		if code == "" {
			ask[list[userJSON]](t, p, "GET", acme+"/users", k.Secret, "", 200)
			return
		}
		if e := ask[problem](t, p, "GET", acme+"/users", k.Secret, "", 401); e.Code != code {
			t.Errorf("%s: %s, want %s", k.Name, e.Code, code)
		}
	}
	opens(machine, "")
	opens(anns, "")
	opens(bobs, "")
	ask[userJSON](t, p, "PATCH", acme+"/users/name:bob", adminKey, `{"suspended":true}`, 200)
	opens(bobs, "credential.inactive")
	// A key of another tenant neither ends this one nor learns of it.
	ask[problem](t, p, "DELETE", acme+"/keys/"+anns.ID, globexKey, "", 404)
	ask[problem](t, p, "DELETE", "/api/v1/tenants/globex/keys/"+anns.ID, globexKey, "", 404)
	opens(anns, "")
	ask[any](t, p, "DELETE", acme+"/keys/"+anns.ID, adminKey, "", 204)
	opens(anns, "credential.unknown")
	ask[problem](t, p, "DELETE", acme+"/keys/"+anns.ID, adminKey, "", 404)
	p.World.Clock.Advance(time.Hour)
	opens(machine, "credential.expired")

	for _, k := range ask[list[keyJSON]](t, p, "GET", acme+"/keys", adminKey, "", 200).Items {
		if k.Secret != "" {
			t.Errorf("the list shows the secret of %s", k.Name)
		}
	}
}

func TestAReadOnlyKeyOfAnAdministratorWritesNothing(t *testing.T) { // advisory 13
	p := dialecttest.New(t, world, New)
	k := ask[keyJSON](t, p, "POST", acme+"/keys", adminKey, `{"name":"r","grants":["users.read","groups.read","members.read"],"user":"name:ann"}`, 201)
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/users", `{"name":"x"}`},
		{"PATCH", "/users/name:bob", `{"suspended":true}`},
		{"DELETE", "/users/name:bob", ""},
		{"POST", "/groups", `{"name":"x"}`},
		{"PATCH", "/groups/name:Staff", `{"name":"x"}`},
		{"DELETE", "/groups/name:Staff", ""},
		{"PUT", "/groups/name:Staff/members/name:bob", ""},
		{"DELETE", "/groups/name:Staff/members/name:ann", ""},
		{"POST", "/groups/name:Staff/members:batch", `{"mode":"each","add":["name:bob"]}`},
		{"POST", "/keys", `{"name":"x","grants":["users.read"]}`},
		{"GET", "/keys", ""},
		{"PATCH", "", `{"title":"x"}`},
		{"DELETE", "", ""},
	} {
		ask[problem](t, p, c.method, acme+c.path, k.Secret, c.body, 403)
	}
	before := ask[tenantJSON](t, p, "GET", acme, adminKey, "", 200)
	if before.Version != 1 {
		t.Errorf("the tenant is at version %d, want 1", before.Version)
	}
}

func TestAMadeKeyIsRepeatedAndNotKeptInTheClear(t *testing.T) {
	p := dialecttest.New(t, world, New)
	body := `{"name":"ci","grants":["users.read"]}`
	first := ask[keyJSON](t, p, "POST", acme+"/keys", adminKey, body, 201, "Idempotency-Key", "once")
	again := ask[keyJSON](t, p, "POST", acme+"/keys", adminKey, body, 201, "Idempotency-Key", "once")
	if first.Secret == "" || again.ID != first.ID || again.Secret != first.Secret {
		t.Errorf("the first answer was key %s, the second %s", first.ID, again.ID)
	}
	ask[list[userJSON]](t, p, "GET", acme+"/users", again.Secret, "", 200)

	tenant, _ := id.Parse[id.Tenant]("0190a000-0000-7000-8000-000000000001")
	admin, err := p.World.CredentialByHash(t.Context(), authn.Native, authn.Hash(authn.Native, adminKey))
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.World.Store.Update(t.Context(), tenant, directory.Author{}, func(w directory.Writer) error {
		kept, ok, err := w.Remembered(admin.ID, "once")
		if err != nil || !ok {
			t.Errorf("nothing is kept: %v", err)
		}
		if bytes.Contains(kept.Answer, []byte("roster_")) || bytes.Contains(kept.Answer, []byte(strings.TrimPrefix(first.Secret, "roster_"))) {
			t.Error("the secret is kept in the clear")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestManyAtOnceWithOneIdempotencyKeyMakeOneThing(t *testing.T) {
	p := dialecttest.New(t, world, New)
	const n = 16
	var wg sync.WaitGroup
	answers := make([]string, n)
	for i := range n {
		wg.Go(func() {
			got := send(p, "POST", acme+"/groups", adminKey, strings.NewReader(`{"name":"One"}`), "Idempotency-Key", "same")
			b, _ := io.ReadAll(got.Body)
			answers[i] = fmt.Sprint(got.StatusCode, got.Header["Location"], got.Header["Etag"], got.Header[headerRevision], string(b))
		})
	}
	wg.Wait()
	for _, a := range answers[1:] {
		if a != answers[0] || !strings.HasPrefix(a, "201") {
			t.Fatalf("answers differ:\n%s\n%s", answers[0], a)
		}
	}
	if l := ask[list[groupJSON]](t, p, "GET", acme+"/groups?name_prefix=one", adminKey, "", 200); len(l.Items) != 1 {
		t.Errorf("%d groups were made, want 1", len(l.Items))
	}
}

func TestPagesHoldEveryThingOnce(t *testing.T) {
	p := dialecttest.New(t, world, New)
	var add []string
	for i := range 25 {
		name := fmt.Sprintf("user%02d", i)
		ask[userJSON](t, p, "POST", acme+"/users", adminKey, `{"name":"`+name+`"}`, 201)
		add = append(add, `"name:`+name+`"`)
	}
	ask[batchResultJSON](t, p, "POST", acme+"/groups/name:Staff/members:batch", adminKey, `{"mode":"atomic","add":[`+strings.Join(add, ",")+`]}`, 200)
	for path, want := range map[string]int{
		"/users":                                       27,
		"/users?name_prefix=user":                      25,
		"/groups/name:Staff/members":                   26,
		"/groups/name:Company/members":                 1,
		"/groups/name:Company/members?transitive=true": 26,
		"/groups": 3,
		"/keys":   1,
	} {
		for _, limit := range []string{"1", "7", "1000"} {
			seen := map[string]bool{}
			cursor := ""
			for pages := 0; ; pages++ {
				u, _ := url.Parse(acme + path)
				q := u.Query()
				q.Set("limit", limit)
				if cursor != "" {
					q.Set("cursor", cursor)
				}
				u.RawQuery = q.Encode()
				page := ask[list[map[string]any]](t, p, "GET", u.String(), adminKey, "", 200)
				for _, item := range page.Items {
					key := fmt.Sprint(item["id"], item["user"], item["group"])
					if seen[key] {
						t.Fatalf("%s by %s: %s comes twice", path, limit, key)
					}
					seen[key] = true
				}
				if cursor = page.Next; cursor == "" {
					break
				}
				if pages > 50 {
					t.Fatalf("%s by %s does not end", path, limit)
				}
			}
			if len(seen) != want {
				t.Errorf("%s by %s: %d things, want %d", path, limit, len(seen), want)
			}
		}
	}
}

// FuzzParseCheck holds the hand-written reading of the hot path's query to the
// standard library's.
func TestABatchThatIsTooLargeIsToldOfTheStream(t *testing.T) {
	p := dialecttest.New(t, world, New)
	for name, operations := range map[string]string{
		"operations": strings.Repeat(`{"op":"add","members":[],"groups":[]},`, directory.MaxRuns+1),
		"items":      `{"op":"add","members":[` + strings.Repeat(`"name:ann",`, 5001) + `"name:bob"],"groups":["name:Staff","name:Company"]},`,
		"refs":       strings.Repeat(`{"op":"remove","members":[`+strings.Repeat(`"name:ann",`, 5000)+`"name:bob"],"groups":[]},`, 2),
		"members":    `{"op":"add","members":[` + strings.Repeat(`"name:ann",`, directory.MaxBatch) + `"name:bob"],"groups":["name:Staff"]},`,
	} {
		body := `{"mode":"each","operations":[` + strings.TrimSuffix(operations, ",") + `]}`
		if got := ask[problem](t, p, "POST", acme+"/memberships:batch", adminKey, body, 413); got.Code != "batch.large" || !strings.Contains(got.Detail, ndjson) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// streamed sends lines and decodes the answers.
func streamed(t *testing.T, p *dialecttest.Play, key string, lines ...string) []lineResultJSON {
	t.Helper()
	got := send(p, "POST", acme+"/memberships:batch", key, strings.NewReader(strings.Join(lines, "\n")), "Content-Type", ndjson)
	text, err := io.ReadAll(got.Body)
	if err != nil || got.StatusCode != http.StatusOK {
		t.Fatalf("a stream: status %d, %v: %s", got.StatusCode, err, text)
	}
	var out []lineResultJSON
	for line := range bytes.Lines(text) {
		var v lineResultJSON
		if err := jsonv2.Unmarshal(line, &v); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if bytes.Contains(line, []byte(`"revision":0`)) {
			t.Errorf("a line that no transaction saw has a revision: %s", line)
		}
		out = append(out, v)
	}
	return out
}

func TestAnAccountThatFailuresHaveLockedIsShownAndUnlocked(t *testing.T) {
	p := dialecttest.New(t, world, New)
	ctx := t.Context()
	tenant, err := p.World.TenantID(ctx, "acme")
	if err != nil {
		t.Fatal(err)
	}
	admin := directorytest.In(directorytest.Root(), tenant)
	bob, err := p.World.User(ctx, admin, directory.ByName("bob"))
	if err != nil {
		t.Fatal(err)
	}
	own := admin
	own.User = bob.Value.ID
	for range directory.MaxStreak {
		if err := p.World.NoteSignIn(ctx, own, false); err != nil {
			t.Fatal(err)
		}
	}
	got := ask[userJSON](t, p, "GET", acme+"/users/name:bob", adminKey, "", 200)
	if got.SignIn == nil || !got.SignIn.Locked || got.SignIn.Streak != directory.MaxStreak || got.SignIn.LastFailure.IsZero() || !got.SignIn.LastSuccess.IsZero() {
		t.Errorf("after %d failures: %+v", directory.MaxStreak, got.SignIn)
	}
	got = ask[userJSON](t, p, "PATCH", acme+"/users/name:bob", adminKey, `{"sign_in":{"locked":false}}`, 200)
	if got.SignIn != nil {
		t.Errorf("the answer to a write, which may be kept and repeated, says %+v", got.SignIn)
	}
	got = ask[userJSON](t, p, "GET", acme+"/users/name:bob", adminKey, "", 200)
	if got.SignIn == nil || got.SignIn.Locked || got.SignIn.Streak != 0 || got.Version != bob.Value.Version {
		t.Errorf("unlocked: %+v at version %d", got.SignIn, got.Version)
	}
	if err := p.World.NoteSignIn(ctx, own, true); err != nil {
		t.Errorf("signing in after that: %v", err)
	}
}

func TestAStreamGoesByAnyNameOfNDJSON(t *testing.T) {
	p := dialecttest.New(t, world, New)
	const line = `{"op":"add","member":"name:bob","group":"name:Staff"}`
	for _, name := range []string{"application/x-ndjson", "application/ndjson", "application/jsonl", "Application/JSONL; charset=utf-8", "application/x-jsonlines", "application/json-lines"} {
		got := send(p, "POST", acme+"/memberships:batch", adminKey, strings.NewReader(line), "Content-Type", name)
		if got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != ndjson {
			t.Errorf("%s: status %d, answered as %s", name, got.StatusCode, got.Header.Get("Content-Type"))
		}
	}
	for _, name := range []string{"text/plain", "application/json-seq", ""} {
		got := send(p, "POST", acme+"/memberships:batch", adminKey, strings.NewReader(line), "Content-Type", name)
		text, err := io.ReadAll(got.Body)
		if err != nil || got.StatusCode != http.StatusUnsupportedMediaType || !bytes.Contains(text, []byte("application/json, ")) || !bytes.Contains(text, []byte(ndjson)) {
			t.Errorf("%q: status %d, %v: %s", name, got.StatusCode, err, text)
		}
	}
}

func TestWhateverIsWrongWithALineCostsTheOthersNothing(t *testing.T) {
	p := dialecttest.New(t, world, New)
	got := streamed(t, p, adminKey,
		`{"op":"add","member":"name:bob","group":"name:Staff","standing":{"valid_from":"2030-01-01T00:00:00Z","valid_until":"2029-01-01T00:00:00Z"}}`,
		`{"op":"add","member":"name:bob","group":"name:Staff","standing":{"reason":"`+strings.Repeat("x", 5000)+`"}}`,
		`{"op":"add","member":"name:bob","grp":"name:Staff"}`, "\t \t", `{"op":`, `null`, `[]`,
		`{"op":"replace_members","member":"name:bob","group":"name:Staff"}`,
		`{"op":"remove","member":"name:bob","group":"name:Staff","standing":{}}`,
		`{"op":"add","member":"name:bob","group":"name:Staff","standing":{"valid_until":"soon"}}`,
		`  {"op":"add","member":"name:bob","group":"name:Staff"}`)
	var outcomes, fields []string
	for _, l := range got {
		outcomes, fields = append(outcomes, l.Outcome+" "+l.Code), append(fields, l.Field)
	}
	want := []string{"invalid validity.empty", "invalid reason.long", "invalid field.unknown", "invalid body.malformed", "invalid body.type", "invalid field.type",
		"invalid op.unknown", "invalid standing.removed", "invalid time.malformed", "added "}
	if diff := cmp.Diff(want, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	wantFields := []string{"standing.valid_until", "standing.reason", "grp", "", "", "", "op", "standing", "standing.valid_until", ""}
	if diff := cmp.Diff(wantFields, fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	if got[3].Detail != "The line is not valid JSON." {
		t.Errorf("of a line it says %q", got[3].Detail)
	}
}

func TestAStreamGoesOnHoweverManyLinesAreRefused(t *testing.T) {
	p := dialecttest.New(t, strings.Replace(world, "    credentials:\n", "    credentials:\n      - {kind: native, name: clerk, grants: [users.read, members.read, members.write], secret: roster_clerk0000000000000000000000000000000}\n", 1), New)
	var lines []string
	for i := range 3000 {
		lines = append(lines, fmt.Sprintf(`{"op":"add","member":"name:bob","group":"name:%s"}`, []string{"Administrators", "Staff", "nowhere"}[i%3]))
	}
	got := streamed(t, p, "roster_clerk0000000000000000000000000000000", lines...)
	if len(got) != len(lines) {
		t.Fatalf("%d answers to %d lines, the last %+v", len(got), len(lines), got[len(got)-1])
	}
	for i, l := range got {
		want := []string{"membership.privileged", "", "group.unknown"}[i%3]
		if l.Code != want {
			t.Fatalf("line %d: %+v, want %q", i, l, want)
		}
	}
}

func TestALongListNeedsCountingOnlyOnce(t *testing.T) {
	p := dialecttest.New(t, world, New)
	path := acme + "/groups/name:Administrators/members?limit=1"
	first := ask[list[memberJSON]](t, p, "GET", path+"&count=true", adminKey, "", 200)
	if first.Total == nil || *first.Total != 2 || first.Next == "" {
		t.Fatalf("the first page: %+v", first)
	}
	if second := ask[list[memberJSON]](t, p, "GET", path+"&cursor="+first.Next, adminKey, "", 200); second.Total != nil || len(second.Items) != 1 || second.Items[0].User.Name != "bob" {
		t.Errorf("the second page: %+v", second)
	}
}

func FuzzParseCheck(f *testing.F) {
	for _, s := range []string{
		"user=number:1&group=number:2", "user=name%3Aann+b&group=code:3", "&&user=number:1&group=number:2&", "user=number:1&user=number:2&group=number:1",
		"user=%zz&group=number:1", "user=name:a;b&group=number:1", "%75ser=number:1&group=number:1", "user=number:1;group=number:1", "user&group", "=&=",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		got, err := parseCheck(query)
		values, lax := url.ParseQuery(query)
		if err != nil {
			if directory.KindOf(err) != directory.Invalid {
				t.Fatalf("%q: %v", query, err)
			}
			return
		}
		if lax != nil || len(values["user"]) != 1 || len(values["group"]) != 1 || len(values) != 2 {
			t.Fatalf("%q was read as %+v, and the standard library reads %v, %v", query, got, values, lax)
		}
		user, err1 := parseUser("user", values.Get("user"))
		group, err2 := parseGroup("group", values.Get("group"))
		if err1 != nil || err2 != nil || user != got.User || group != got.Group {
			t.Fatalf("%q was read as %+v, want %+v and %+v", query, got, user, group)
		}
	})
}

func FuzzParseCursor(f *testing.F) {
	q := [8]byte{1, 2, 3}
	at := directory.When{Revision: 3, Time: time.UnixMicro(5)}
	from := directory.When{Revision: 2, Time: time.UnixMicro(4)}
	of := directory.Edge{Group: 9, Member: id.GroupMember(2)}
	for _, c := range []cursor{{after: 7}, {after: 7, at: at}, {after: 7, at: at, of: of}, {after: 7, at: at, from: from}, {after: 7, at: at, from: from, of: of}} {
		f.Add(newCursor(c, q))
	}
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseCursor(s, q)
		if err == nil && newCursor(c, q) != s {
			t.Fatalf("%q was read as %+v, which is written %q", s, c, newCursor(c, q))
		}
	})
}
