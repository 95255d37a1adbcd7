package dronahq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
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
	"roster/internal/id"
	"roster/internal/wire"
)

func TestConversations(t *testing.T) { dialecttest.Run(t, "testdata/*.txtar", New) }

const (
	lumenKey  = "0a1b2c3d4e0a1b2c3d4e0a1b2c3d4e0a1b2c3d4e0a1b2c3d4e"
	harborKey = "9z8y7x6w5v9z8y7x6w5v9z8y7x6w5v9z8y7x6w5v9z8y7x6w5v"
	appKey    = "t0e1m2p3l4t0e1m2p3l4t0e1m2p3l4t0e1m2p3l4t0e1m2p3l4"
	briefKey  = "b0r1i2e3f4b0r1i2e3f4b0r1i2e3f4b0r1i2e3f4b0r1i2e3f4"
)

const people = `
tenants:
  - name: lumen
    users:
      - {name: mira, number: 412}
      - {name: ilse, number: 413}
      - {name: tove, number: 377}
      - {name: away, number: 500, suspended: true}
      - {name: left, number: 501, suspended: true}
    groups:
      - {name: Warehouse, number: 31, members: ["number:377", "number:501"]}
    credentials:
      - {kind: dronahq, name: account, grants: [members.write], secret: ` + lumenKey + `}
      - {kind: dronahq, name: of an app, grants: [members.write], secret: ` + appKey + `, attributes: {dronahq: {groups: []}}}
      - {kind: dronahq, name: brief, grants: [members.write], expires: 2026-01-02T04:00:00Z, secret: ` + briefKey + `}
  - name: harbor
    users:
      - {name: nils, number: 700}
    credentials:
      - {kind: dronahq, name: account, grants: [members.write], secret: ` + harborKey + `}
`

// lumen is an administrator of the tenant, who asks the core what the wire does
// not show.
func lumen(t *testing.T, p *dialecttest.Play) directory.Principal {
	t.Helper()
	tenant, err := p.World.FindTenant(t.Context(), "lumen")
	if err != nil {
		t.Fatal(err)
	}
	return directorytest.In(directorytest.Root(), tenant.ID)
}

// standing returns the numbers of the users that stand in the warehouse and the
// tenant's revision.
func standing(t *testing.T, p *dialecttest.Play) ([]id.Number, directory.Revision) {
	t.Helper()
	list, err := p.World.Members(t.Context(), lumen(t, p), directory.ListMembers{
		Page: directory.Page{Limit: directory.MaxPage}, Group: directory.ByNumber(31), Standing: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	numbers := []id.Number{}
	for _, m := range list.Value.Items {
		numbers = append(numbers, m.User.Number)
	}
	return numbers, list.Revision
}

const assignPath = "/groups/31/actions/assign_user"

func post(contentType, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, assignPath, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return r
}

func postJSON(key, fields string) *http.Request {
	return post("application/json", `{"token_key": "`+key+`", `+fields+`}`)
}

func status(t *testing.T, p *dialecttest.Play, r *http.Request, want int) string {
	t.Helper()
	got := p.Do(r)
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got.StatusCode != want {
		t.Fatalf("%s %s: status %d, want %d; body %.300s", r.Method, r.URL.Path, got.StatusCode, want, body)
	}
	return string(body)
}

func TestMembersAreWhatTheListsSay(t *testing.T) {
	for _, c := range []struct {
		name, fields string
		want         []id.Number // from 377 and 501
	}{
		{"assign", `"assign": [412, 413]`, []id.Number{377, 412, 413, 501}},
		{"remove", `"remove": [377]`, []id.Number{501}},
		{"both", `"assign": [412], "remove": [377]`, []id.Number{412, 501}},
		{"a member already", `"assign": [377]`, []id.Number{377, 501}},
		{"no member", `"remove": [412]`, []id.Number{377, 501}},
		{"removal wins over assignment of a newcomer", `"assign": [412], "remove": [412]`, []id.Number{377, 501}},
		{"removal wins over assignment of a member", `"assign": [377], "remove": [377]`, []id.Number{501}},
		{"deactivated users", `"assign": [500], "remove": [501]`, []id.Number{377, 500}},
		{"the good among the bad", `"assign": [99999, 412, 700, 0], "remove": [88888, 377]`, []id.Number{412, 501}},
		{"the bad alone", `"assign": [99999, 700]`, []id.Number{377, 501}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := dialecttest.New(t, people, New)
			first := status(t, p, postJSON(lumenKey, c.fields), http.StatusOK)
			got, revision := standing(t, p)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: members (-want +got):\n%s", c.fields, diff)
			}
			again := status(t, p, postJSON(lumenKey, c.fields), http.StatusOK)
			if first != again {
				t.Errorf("repeated, the answer is\n%s\nwant the first,\n%s", again, first)
			}
			if _, after := standing(t, p); after != revision {
				t.Errorf("a repetition made revision %d of %d", after, revision)
			}
		})
	}
}

func TestAnAssignmentKeepsHowAMemberStands(t *testing.T) {
	p := dialecttest.New(t, people, New)
	root := lumen(t, p)
	want := directory.Standing{Until: directorytest.Start.Add(time.Hour), Role: directory.RoleManager, Reason: "on loan"}
	mira := directory.MemberRef{Ref: directory.ByNumber(412)}
	_, err := p.World.ChangeMembers(t.Context(), root, directory.MembersChange{Group: directory.ByNumber(31), Add: []directory.MemberRef{mira}, Standing: want})
	if err != nil {
		t.Fatal(err)
	}
	status(t, p, postJSON(lumenKey, `"assign": [412]`), http.StatusOK)
	got, err := p.World.Membership(t.Context(), root, directory.ByNumber(31), mira)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Value.Standing); diff != "" {
		t.Errorf("after assigning a member again (-want +got):\n%s", diff)
	}
}

func TestARefusedRequestWritesNothing(t *testing.T) {
	deep := func(open, inner, shut string) string {
		return strings.Repeat(open, 10000) + inner + strings.Repeat(shut, 10000)
	}
	good := `"assign": [412], "remove": [377]`
	p := dialecttest.New(t, people, New)
	members, revision := standing(t, p)
	for _, c := range []struct {
		name   string
		r      *http.Request
		status int
	}{
		{"malformed JSON", post("application/json", `{"token_key": "`+lumenKey+`", "assign": [412], `), 400},
		{"a word among ids", postJSON(lumenKey, `"assign": [412], "remove": [377, "abc"]`), 400},
		{"an id beyond 64 bits", postJSON(lumenKey, `"assign": [412, 9223372036854775808]`), 400},
		{"wrong content type", post("text/plain", "token_key="+lumenKey+"&assign=412"), 400},
		{"arrays 10,000 deep", postJSON(lumenKey, `"assign": `+deep("[", "412", "]")), 400},
		{"objects 10,000 deep", postJSON(lumenKey, good+`, "x": `+deep(`{"a":`, "1", "}")), 400},
		{"arrays 10,000 deep in a form", post("application/x-www-form-urlencoded", "token_key="+lumenKey+"&assign="+deep("[", "412", "]")), 400},
		{"over the limit", postJSON(lumenKey, good+`, "x": "`+strings.Repeat("x", wire.MaxBody)+`"`), 400},
		{"over the limit without saying so", chunked(postJSON(lumenKey, good+`, "x": "`+strings.Repeat("x", wire.MaxBody)+`"`)), 400},
		{"no key", post("application/json", "{"+good+"}"), 401},
		{"an unknown key", postJSON(strings.Repeat("f", 50), good), 401},
		{"a key limited to no group", postJSON(appKey, good), 404},
		{"somebody else's key", postJSON(harborKey, good), 404},
		{"more ids than a batch holds", postJSON(lumenKey, `"assign": [412`+strings.Repeat(",412", 5)+sequence(1000, 10001)+"]"), 400},
		{"a caller who has gone", gone(postJSON(lumenKey, good)), 503},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := status(t, p, c.r, c.status)
			var e struct {
				Error           *int
				Message, Reason *string
			}
			if err := json.Unmarshal([]byte(body), &e); err != nil || e.Error == nil || *e.Error != c.status || e.Message == nil || e.Reason == nil {
				t.Errorf("body %s is no error object of %d (%v)", body, c.status, err)
			}
			got, after := standing(t, p)
			if after != revision || !slices.Equal(got, members) {
				t.Errorf("revision %d with members %v, want %d with %v", after, got, revision, members)
			}
		})
	}
}

// chunked hides how long a body is.
func chunked(r *http.Request) *http.Request {
	r.ContentLength = -1
	return r
}

func gone(r *http.Request) *http.Request {
	ctx, cancel := context.WithCancel(r.Context())
	cancel()
	return r.WithContext(ctx)
}

// sequence is n numbers, each after a comma.
func sequence(from, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ",%d", from+i)
	}
	return b.String()
}

func TestAKeyThatIsOverOpensNothing(t *testing.T) {
	p := dialecttest.New(t, people, New)
	root := lumen(t, p)
	status(t, p, postJSON(briefKey, `"assign": [412]`), http.StatusOK)
	p.World.Clock.Advance(time.Hour)
	expired := status(t, p, postJSON(briefKey, `"remove": [412]`), http.StatusUnauthorized)

	status(t, p, postJSON(lumenKey, `"assign": [413]`), http.StatusOK)
	c, err := p.World.CredentialByHash(t.Context(), authn.DronaHQ, authn.Hash(authn.DronaHQ, lumenKey))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.World.RevokeCredential(t.Context(), root, c.ID); err != nil {
		t.Fatal(err)
	}
	revoked := status(t, p, postJSON(lumenKey, `"remove": [413]`), http.StatusUnauthorized)
	unknown := status(t, p, postJSON(strings.Repeat("f", 50), `"remove": [413]`), http.StatusUnauthorized)
	if expired != unknown || revoked != unknown {
		t.Errorf("refusals differ:\nexpired %s\nrevoked %s\nunknown %s", expired, revoked, unknown)
	}
	if got, _ := standing(t, p); !slices.Equal(got, []id.Number{377, 412, 413, 501}) {
		t.Errorf("members %v: a dead key removed somebody", got)
	}
}

func TestAKeyOfASuspendedUserOpensNothing(t *testing.T) {
	const key = "s0u1s2p3e4s0u1s2p3e4s0u1s2p3e4s0u1s2p3e4s0u1s2p3e4"
	yaml := strings.Replace(people, "groups:\n", "groups:\n      - {name: Movers, number: 33, grants: [members.write], members: [\"number:412\"]}\n", 1)
	yaml = strings.Replace(yaml, "    credentials:\n", "    credentials:\n      - {kind: dronahq, name: mira's, user: \"number:412\", grants: [members.write], secret: "+key+"}\n", 1)
	p := dialecttest.New(t, yaml, New)
	status(t, p, postJSON(key, `"assign": [413]`), http.StatusOK)
	yes := true
	if _, err := p.World.UpdateUser(t.Context(), lumen(t, p), directory.UserUpdate{User: directory.ByNumber(412), Suspended: &yes}); err != nil {
		t.Fatal(err)
	}
	status(t, p, postJSON(key, `"remove": [413]`), http.StatusUnauthorized)
	if got, _ := standing(t, p); !slices.Contains(got, 413) {
		t.Errorf("members %v: the key of a suspended user removed somebody", got)
	}
}

func TestTenThousandIDsInOneCall(t *testing.T) {
	const real, first = 500, 1000
	p := dialecttest.New(t, people, New)
	root := lumen(t, p)
	var made sync.WaitGroup
	for i := range real {
		made.Go(func() {
			n := id.Number(first + i)
			if _, err := p.World.CreateUser(context.Background(), root, directory.NewUser{Name: fmt.Sprint("user", n), Number: n}); err != nil {
				t.Error(err)
			}
		})
	}
	made.Wait()
	ids := strings.Split(sequence(first, 10000)[1:], ",")
	var parts strings.Builder
	for _, n := range ids {
		parts.WriteString("--s\r\nContent-Disposition: form-data; name=\"assign[]\"\r\n\r\n" + n + "\r\n")
	}
	parts.WriteString("--s\r\nContent-Disposition: form-data; name=\"token_key\"\r\n\r\n" + lumenKey + "\r\n--s--\r\n")
	_, before := standing(t, p)
	for _, c := range []struct {
		name string
		r    *http.Request
	}{
		{"JSON", postJSON(lumenKey, `"assign": [`+strings.Join(ids, ",")+`]`)},
		{"form", post("application/x-www-form-urlencoded", "token_key="+lumenKey+"&assign[]="+strings.Join(ids, "&assign[]="))},
		{"form with commas", post("application/x-www-form-urlencoded", "token_key="+lumenKey+"&assign="+strings.Join(ids, ","))},
		{"multipart", post("multipart/form-data; boundary=s", parts.String())},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got assignUserAnswer
			if err := json.Unmarshal([]byte(status(t, p, c.r, http.StatusOK)), &got); err != nil {
				t.Fatal(err)
			}
			if len(got.AssignedUsers) != real || len(got.InvalidUsers) != 10000-real || len(got.RemovedUsers)+len(got.FailedUsers) != 0 {
				t.Fatalf("%d assigned and %d invalid, want %d and %d", len(got.AssignedUsers), len(got.InvalidUsers), real, 10000-real)
			}
			for i, n := range slices.Concat(got.AssignedUsers, got.InvalidUsers) {
				if n != int64(first+i) {
					t.Fatalf("place %d of the answer holds %d, want %d", i, n, first+i)
				}
			}
			members, after := standing(t, p)
			if len(members) != real+2 || after != before+1 {
				t.Errorf("%d members at revision %d, want %d at %d", len(members), after, real+2, before+1)
			}
		})
	}
}

func TestEachIDIsInOneListByWhatBecameOfIt(t *testing.T) {
	wishes, err := readWishes([]any{"1", "2", "3"}, []any{"4", "2", "5"})
	if err != nil {
		t.Fatal(err)
	}
	busy := &directory.Error{Kind: directory.Conflict}
	got := assigned(wishes, directory.MembersResult{
		Group:  directory.Group{Number: 7},
		Add:    []directory.Result{{Outcome: directory.Bad, Problem: busy}, {Outcome: directory.Already}},
		Remove: []directory.Result{{Outcome: directory.Bad, Problem: busy}, {Outcome: directory.Bad, Problem: directory.ErrNoUser}, {Outcome: directory.Absent}},
	})
	want := assignUserAnswer{GroupID: 7, AssignedUsers: []int64{3}, RemovedUsers: []int64{5}, InvalidUsers: []int64{4}, FailedUsers: []int64{1, 2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEveryKindOfErrorHasItsAnswer(t *testing.T) {
	table := []int{400, 401, 403, 404, 500, 503} // the contract's section 1.5
	for _, kind := range directory.Kinds() {
		t.Run(kind.Error(), func(t *testing.T) {
			if _, ok := answers[kind]; !ok {
				t.Fatal("the kind has no answer of its own")
			}
			err := fmt.Errorf("while trying: %w", &directory.Error{Kind: kind, Code: "some.code", Detail: "A detail.", Err: errors.New("the cause")})
			rec := httptest.NewRecorder()
			writeError(rec, httptest.NewRequest(http.MethodPost, "/groups", nil), err)
			var got errorObject
			if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(table, rec.Code) || got.Error != rec.Code || got.Message == "" {
				t.Errorf("status %d with %s", rec.Code, rec.Body)
			}
			if (kind == directory.Internal) != (rec.Code == 500) {
				t.Errorf("status %d", rec.Code)
			}
			if (rec.Header().Get("Retry-After") != "") != (rec.Code == 503) {
				t.Errorf("status %d with Retry-After %q", rec.Code, rec.Header().Get("Retry-After"))
			}
			if s := rec.Body.String(); strings.Contains(s, "the cause") || strings.Contains(s, "trying") || kind == directory.Internal && strings.Contains(s, "detail") {
				t.Errorf("%s tells what is for the log", s)
			}
		})
	}
	t.Run("an error nobody classified", func(t *testing.T) {
		rec := httptest.NewRecorder()
		writeError(rec, httptest.NewRequest(http.MethodPost, "/groups", nil), errors.New("the cause"))
		if want := `{"error":500,"message":"Internal server error.","reason":""}`; rec.Code != 500 || rec.Body.String() != want {
			t.Errorf("%d %s, want 500 %s", rec.Code, rec.Body, want)
		}
	})
	t.Run("a user that is not there", func(t *testing.T) {
		rec := httptest.NewRecorder()
		writeError(rec, httptest.NewRequest(http.MethodGet, "/users/1", nil), directory.ErrNoUser)
		if want := `{"error":404,"message":"User not found.","reason":""}`; rec.Code != 404 || rec.Body.String() != want {
			t.Errorf("%d %s, want 404 %s", rec.Code, rec.Body, want)
		}
	})
}

func TestTheLogShowsPathsWithoutKeys(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{"/groups/31/actions/assign_user", "/groups/31/actions/assign_user"},
		{"//users/42", "//users/42"},
		{"/users/ann@lumen.example", "/users/ann@lumen.example"},
		{"/users&tokenkey=" + lumenKey + "&ulimit=5", "/users&tokenkey=REDACTED&ulimit=5"},
		{"/users&Token_Key=short/x", "/users&Token_Key=REDACTED/x"},
		{"/users/" + strings.ToUpper(lumenKey) + "/x", "/users/REDACTED/x"},
	} {
		if got := redact(c.path); got != c.want {
			t.Errorf("redact(%q) = %q, want %q", c.path, got, c.want)
		}
		e := &wire.Entry{}
		h := wire.Logged(nopLog, redacted(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { e = wire.EntryOf(r.Context()) })), nil)
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://roster.example"+c.path, nil))
		if e.Path != c.want {
			t.Errorf("the entry of %q shows %q, want %q", c.path, e.Path, c.want)
		}
	}
}

func TestTheDoorOwnsWhatItSays(t *testing.T) {
	d := New(dialect.Deps{})
	for _, r := range d.Routes {
		if !slices.ContainsFunc(d.Mounts, func(m string) bool { return r.Pattern == m || strings.HasPrefix(r.Pattern, m+"/") }) {
			t.Errorf("%s %s is under none of %v", r.Method, r.Pattern, d.Mounts)
		}
	}
}

func TestTheFileOfTheGuideForMovingHereIsWhatItSays(t *testing.T) {
	guide, err := os.ReadFile("../../../docs/move/dronahq.md")
	if err != nil {
		t.Fatal(err)
	}
	_, file, ok := strings.Cut(string(guide), "```yaml\n")
	file, _, ok2 := strings.Cut(file, "```")
	if !ok || !ok2 {
		t.Fatal("the guide shows no file")
	}
	p := dialecttest.New(t, file, New)
	get := func(path string) string {
		return status(t, p, httptest.NewRequest(http.MethodGet, path, nil), http.StatusOK)
	}
	var users []userObject
	if err := json.Unmarshal([]byte(get("/users?tokenkey="+lumenKey)), &users); err != nil {
		t.Fatal(err)
	}
	if len(users) != 2 || users[0].UserID != 412 || users[0].UserDesg != "Field lead" || users[0].AppName != "Lumen Works" || users[0].IsAdmin || !users[1].IsAdmin {
		t.Errorf("the users are %+v", users)
	}
	if err := json.Unmarshal([]byte(get("/users?tokenkey=5f6a7b8c9d5f6a7b8c9d5f6a7b8c9d5f6a7b8c9d5f6a7b8c9d")), &users); err != nil {
		t.Fatal(err)
	}
	if len(users) != 1 || len(users[0].UserGroup) != 1 || users[0].UserGroup[0].ID != 31 {
		t.Errorf("the app sees %+v", users)
	}
}

func TestNoKeyIsInTheLogWhereverItStood(t *testing.T) {
	// The check of each conversation is that no secret is in the log; here are
	// the places that none of them has.
	p := dialecttest.New(t, people, New)
	for _, path := range []string{
		"/users/" + lumenKey, "/users&tokenkey=" + lumenKey, "/users/412/token_key=" + lumenKey, "/api/public/users&token_key=" + lumenKey,
		"/users?" + lumenKey, "/users?tokenkey=%zz" + lumenKey, "/groups/" + lumenKey + "/actions/assign_user?token_key=" + lumenKey,
	} {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodPost} {
			r := httptest.NewRequest(method, "http://roster.example"+path, strings.NewReader("token_key="+lumenKey+"&assign=%zz"))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if got := p.Do(r); got.StatusCode < 400 {
				t.Errorf("%s %s: status %d", method, path, got.StatusCode)
			}
		}
	}
}
