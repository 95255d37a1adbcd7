package contensis

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"roster/internal/authn"
	"roster/internal/dialect"
	"roster/internal/dialect/dialecttest"
	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/id"
	"roster/internal/wire"
)

func TestConversations(t *testing.T) {
	dialecttest.Run(t, "testdata/*.txtar", prepared(t))
}

// prepared opens the door on a directory in which each client has an access
// token that a file can name, "access-of-HANDLE", and each tenant's first client
// one that has expired, "stale-of-HANDLE". It fails the test when an answer that
// reports a failure left a change behind, or one was a redirect.
func prepared(t *testing.T) func(dialect.Deps) dialect.Door {
	return func(deps dialect.Deps) dialect.Door {
		for _, tenant := range tenants(t, deps.Directory) {
			giveTokens(t, deps.Directory, tenant)
		}
		door := New(deps)
		wrap := door.Wrap
		door.Wrap = func(next http.Handler) http.Handler {
			inner := wrap(next)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				before := revisions(t, deps.Directory)
				rec := httptest.NewRecorder()
				inner.ServeHTTP(rec, r)
				if rec.Code >= 400 && !slices.Equal(before, revisions(t, deps.Directory)) {
					t.Errorf("%s %s answered %d and wrote something", r.Method, r.URL, rec.Code)
				}
				if rec.Code >= 300 && rec.Code < 400 {
					t.Errorf("%s %s was redirected", r.Method, r.URL)
				}
				for k, v := range rec.Header() {
					w.Header()[k] = v
				}
				w.WriteHeader(rec.Code)
				w.Write(rec.Body.Bytes())
			})
		}
		return door
	}
}

func tenants(t *testing.T, d *directory.Directory) []directory.Tenant {
	t.Helper()
	found, err := d.Tenants(context.Background(), directorytest.Root(), directory.Page{})
	if err != nil {
		t.Fatal(err)
	}
	return found.Items
}

func revisions(t *testing.T, d *directory.Directory) []directory.Revision {
	t.Helper()
	var all []directory.Revision
	for _, tenant := range tenants(t, d) {
		a, err := d.Tenant(context.Background(), directorytest.In(directorytest.Root(), tenant.ID))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a.Revision)
	}
	return all
}

func giveTokens(t *testing.T, d *directory.Directory, tenant directory.Tenant) {
	t.Helper()
	clients, err := d.Credentials(context.Background(), directorytest.In(directorytest.Root(), tenant.ID),
		directory.ListCredentials{Query: directory.CredentialQuery{Kind: authn.ContensisClient}})
	if err != nil {
		t.Fatal(err)
	}
	give := func(c directory.Credential, token string, expires time.Time) {
		p, err := authn.Principal(c, c.Tenant, name, "")
		if err == nil {
			_, err = d.Issue(context.Background(), p, directory.NewCredential{
				Kind: authn.ContensisAccess, Grants: directory.InTenant, Expires: expires, Hash: authn.Hash(authn.ContensisAccess, token),
			})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range clients.Value.Items {
		give(c, "access-of-"+c.Handle, d.Now().Add(accessLife))
	}
	// Last, because every token that is made sweeps expired ones.
	if first := clients.Value.Items; len(first) > 0 {
		give(first[0], "stale-of-"+first[0].Handle, d.Now())
	}
}

// The people and things of the conversations' directory.
const (
	bob         = "1b4db7eb-4057-4ddf-91e0-36dec72071f5"
	tyler       = "3d063773-2ca9-4baf-90e1-ed674fa68640"
	recruit1    = "75490b0f-56f7-4690-a20a-6f2a822f1d3f"
	soapCompany = "6254736c-70e1-43b0-b769-f8e0f6359862"

	soapSecret = "0b7e4d4c9f6a4c1f8a1e-5d0c7b3a2e9f4b6d8c1a"
)

// open returns the directory of the sign-in conversation behind the door.
func open(t *testing.T) *dialecttest.Play {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/sign-in.txtar")
	if err != nil {
		t.Fatal(err)
	}
	return dialecttest.New(t, string(archive.Files[0].Data), New)
}

func admin(t *testing.T, p *dialecttest.Play) directory.Principal {
	t.Helper()
	return directorytest.In(directorytest.Root(), tenants(t, p.World.Directory)[0].ID)
}

func parse[T id.UUID](t *testing.T, s string) T {
	t.Helper()
	u, err := id.Parse[T](s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// signInAs posts a form to the token endpoint and returns the status and answer.
func signInAs(t *testing.T, p *dialecttest.Play, parameters ...string) (int, tokenAnswer, tokenFailure) {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, tokenPath, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got := p.Do(r)
	var answer struct {
		tokenAnswer
		tokenFailure
	}
	if err := json.NewDecoder(got.Body).Decode(&answer); err != nil {
		t.Fatalf("the token endpoint answered no JSON: %v", err)
	}
	return got.StatusCode, answer.tokenAnswer, answer.tokenFailure
}

func mustSignIn(t *testing.T, p *dialecttest.Play, parameters ...string) tokenAnswer {
	t.Helper()
	status, answer, failure := signInAs(t, p, parameters...)
	if status != http.StatusOK || answer.AccessToken == "" {
		t.Fatalf("signing in answered %d %+v, want 200 with a token", status, failure)
	}
	return answer
}

var asSoapPress = []string{"grant_type", "client_credentials", "client_id", "soap-press", "client_secret", soapSecret}

// put adds a user to a group and returns the status.
func put(p *dialecttest.Play, token, group, user string) int {
	r := httptest.NewRequest(http.MethodPut, management+"/groups/"+group+"/users/"+user, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return p.Do(r).StatusCode
}

func membersOf(t *testing.T, p *dialecttest.Play, group string) []string {
	t.Helper()
	found, err := p.World.Members(t.Context(), admin(t, p), directory.ListMembers{
		Group: directory.ByGroup(parse[id.Group](t, group)), Standing: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range found.Value.Items {
		names = append(names, m.User.Name)
	}
	slices.Sort(names)
	return names
}

func TestEveryIdentifierAddsTheUserItNames(t *testing.T) {
	p := open(t)
	token := mustSignIn(t, p, asSoapPress...).AccessToken
	for _, tc := range []struct{ identifier, want string }{
		{tyler, "tdurden"},
		{strings.ToUpper(tyler), "tdurden"},
		{"%7B" + tyler + "%7D", "tdurden"},
		{"tdurden", "tdurden"},
		{"TDurden", "tdurden"},
		{"T.Durden@fightclub.com", "tdurden"},
		{"recruit+1@fightclub.com", "recruit-1"},
		{"ops%2Fnight", "ops/night"},
		{"@current", "bigbob"},
		{"shared@fightclub.com", "shared@fightclub.com"},
	} {
		if status := put(p, token, "Paper%20Street%20Soap%20Company", tc.identifier); status != http.StatusNoContent {
			t.Errorf("adding %s answered %d, want 204", tc.identifier, status)
		}
		if got := membersOf(t, p, soapCompany); !slices.Equal(got, []string{tc.want}) {
			t.Errorf("after adding %s the group holds %q, want %q alone", tc.identifier, got, tc.want)
		}
		if _, err := p.World.ChangeMembers(t.Context(), admin(t, p), directory.MembersChange{
			Group:  directory.ByGroup(parse[id.Group](t, soapCompany)),
			Remove: []directory.MemberRef{{Ref: directory.ByName(tc.want)}},
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAUsernameGoesBeforeTheSameEmail(t *testing.T) {
	p := open(t)
	address := "shared@fightclub.com" // another's username
	user := parse[id.User](t, recruit1)
	if _, err := p.World.UpdateUser(t.Context(), admin(t, p), directory.UserUpdate{User: directory.ByUser(user), Email: &address}); err != nil {
		t.Fatal(err)
	}
	token := mustSignIn(t, p, asSoapPress...).AccessToken
	if status := put(p, token, soapCompany, address); status != http.StatusNoContent {
		t.Fatalf("adding %s answered %d, want 204", address, status)
	}
	if got := membersOf(t, p, soapCompany); !slices.Equal(got, []string{address}) {
		t.Errorf("the group holds %q, want the user of that name alone", got)
	}
}

func TestAddingAPresentMemberLeavesItAsItStands(t *testing.T) {
	p := open(t)
	who := directory.MemberRef{Ref: directory.ByUser(parse[id.User](t, tyler))}
	group := directory.ByGroup(parse[id.Group](t, soapCompany))
	stands := directory.Standing{Role: directory.RoleManager, Reason: "founder", Until: directorytest.Start.Add(time.Hour)}
	if _, err := p.World.ChangeMembers(t.Context(), admin(t, p), directory.MembersChange{Group: group, Add: []directory.MemberRef{who}, Standing: stands}); err != nil {
		t.Fatal(err)
	}
	token := mustSignIn(t, p, asSoapPress...).AccessToken
	before := revisions(t, p.World.Directory)
	if status := put(p, token, soapCompany, "tdurden"); status != http.StatusNoContent {
		t.Fatalf("adding a member again answered %d, want 204", status)
	}
	if after := revisions(t, p.World.Directory); !slices.Equal(before, after) {
		t.Errorf("adding a member again went from revision %d to %d, want no change", before, after)
	}
	m, err := p.World.Membership(t.Context(), admin(t, p), group, who)
	if err != nil || m.Value.Standing != stands {
		t.Errorf("the membership stands as %+v (%v), want %+v", m.Value.Standing, err, stands)
	}
}

func TestABatchIsOneCommitUnderTheClientsName(t *testing.T) {
	p := open(t)
	token := mustSignIn(t, p, asSoapPress...).AccessToken
	before := revisions(t, p.World.Directory)[0]
	body := `["` + tyler + `","` + recruit1 + `","` + bob + `"]`
	r := httptest.NewRequest(http.MethodPost, short+"/groups/"+soapCompany+"/users", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(wire.RequestIDHeader, "batch-1")
	if got := p.Do(r).StatusCode; got != http.StatusNoContent {
		t.Fatalf("adding three users answered %d, want 204", got)
	}
	if got := membersOf(t, p, soapCompany); !slices.Equal(got, []string{"bigbob", "recruit-1", "tdurden"}) {
		t.Errorf("the group holds %q", got)
	}
	var commits []*directory.Commit
	for c, err := range p.World.Store.Commits(t.Context(), admin(t, p).Tenant, before) {
		if err != nil {
			t.Fatal(err)
		}
		commits = append(commits, c)
	}
	if len(commits) != 1 {
		t.Fatalf("the batch made %d commits, want 1", len(commits))
	}
	c := commits[0]
	if c.Dialect != name || c.Request != "batch-1" || c.Actor.User != parse[id.User](t, bob) || c.Actor.Name != "soap press" {
		t.Errorf("the commit says dialect %q, request %q, actor %+v", c.Dialect, c.Request, c.Actor)
	}
}

func TestARefusedBatchAddsNobody(t *testing.T) {
	p := open(t)
	token := mustSignIn(t, p, asSoapPress...).AccessToken
	body := `["` + tyler + `","0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f"]`
	r := httptest.NewRequest(http.MethodPost, short+"/groups/"+soapCompany+"/users", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	if got := p.Do(r).StatusCode; got != http.StatusNotFound {
		t.Fatalf("a batch with an unknown user answered %d, want 404", got)
	}
	if got := membersOf(t, p, soapCompany); len(got) != 0 {
		t.Errorf("the group holds %q, want nobody", got)
	}
}

func TestAnAccessTokenEndsWithItsHourAndWithItsClient(t *testing.T) {
	p := open(t)
	first := mustSignIn(t, p, asSoapPress...).AccessToken
	p.World.Clock.Advance(accessLife - time.Microsecond)
	if got := put(p, first, soapCompany, "tdurden"); got != http.StatusNoContent {
		t.Errorf("in its last moment the token answered %d, want 204", got)
	}
	p.World.Clock.Advance(time.Microsecond)
	if got := put(p, first, soapCompany, "tdurden"); got != http.StatusUnauthorized {
		t.Errorf("after an hour the token answered %d, want 401", got)
	}

	second := mustSignIn(t, p, asSoapPress...).AccessToken
	if got := put(p, second, soapCompany, "tdurden"); got != http.StatusNoContent {
		t.Fatalf("a fresh token answered %d, want 204", got)
	}
	revoke(t, p, directory.CredentialQuery{Kind: authn.ContensisClient, Handle: "soap-press"})
	if got := put(p, second, soapCompany, "tdurden"); got != http.StatusUnauthorized {
		t.Errorf("after its client was revoked the token answered %d, want 401", got)
	}
	if status, _, failure := signInAs(t, p, asSoapPress...); status != http.StatusBadRequest || failure.Code != invalidClient {
		t.Errorf("the revoked client got %d %s, want 400 %s", status, failure.Code, invalidClient)
	}
}

// revoke ends the one credential that matches.
func revoke(t *testing.T, p *dialecttest.Play, q directory.CredentialQuery) {
	t.Helper()
	found, err := p.World.Credentials(t.Context(), admin(t, p), directory.ListCredentials{Query: q})
	if err != nil || len(found.Value.Items) != 1 {
		t.Fatalf("found %d credentials to revoke (%v), want 1", len(found.Value.Items), err)
	}
	if _, err := p.World.RevokeCredential(t.Context(), admin(t, p), found.Value.Items[0].ID); err != nil {
		t.Fatal(err)
	}
}

func TestAnExpiredClientSignsInNoMore(t *testing.T) {
	p := open(t)
	asShortLived := []string{"grant_type", "client_credentials", "scope", "offline_access", "client_id", "short-lived", "client_secret", "61d4ada25fc04274e074-b36cd190845fa1c3e270"}
	got := mustSignIn(t, p, asShortLived...)
	p.World.Clock.Advance(10 * time.Minute)
	if status, _, failure := signInAs(t, p, asShortLived...); status != http.StatusBadRequest || failure.Code != invalidClient {
		t.Errorf("the expired client got %d %s, want 400 %s", status, failure.Code, invalidClient)
	}
	if status := put(p, got.AccessToken, soapCompany, "tdurden"); status != http.StatusUnauthorized {
		t.Errorf("its token outlived it: %d, want 401", status)
	}
	if status, _, failure := signInAs(t, p, "grant_type", "refresh_token", "refresh_token", got.RefreshToken); status != http.StatusBadRequest || failure.Code != invalidGrant {
		t.Errorf("its refresh token outlived it: %d %s, want 400 %s", status, failure.Code, invalidGrant)
	}
}

func TestARefreshTokenWorksAgainAndAgainForFifteenDays(t *testing.T) {
	p := open(t)
	first := mustSignIn(t, p, "grant_type", "contensis_classic", "scope", "openid offline_access", "username", "bigbob", "password", "BobHasThreeNames3")
	if first.RefreshToken == "" || first.RefreshToken == first.AccessToken {
		t.Fatalf("offline_access got the refresh token %q", first.RefreshToken)
	}
	if got := put(p, first.RefreshToken, soapCompany, "tdurden"); got != http.StatusUnauthorized {
		t.Errorf("a refresh token as access token answered %d, want 401", got)
	}
	refresh := []string{"grant_type", "contensis_classic_refresh_token", "scope", "openid offline_access", "refresh_token", first.RefreshToken}
	for _, grant := range []string{"contensis_classic_refresh_token", "refresh_token"} {
		refresh[1] = grant
		next := mustSignIn(t, p, refresh...)
		if next.RefreshToken != first.RefreshToken || next.AccessToken == first.AccessToken {
			t.Errorf("%s got %+v, want a new access token and the same refresh token", grant, next)
		}
		if got := put(p, next.AccessToken, soapCompany, "tdurden"); got != http.StatusNoContent {
			t.Errorf("a token from %s answered %d, want 204", grant, got)
		}
	}
	if got := mustSignIn(t, p, "grant_type", "refresh_token", "refresh_token", first.RefreshToken); got.RefreshToken != "" {
		t.Error("a refresh token was answered without offline_access")
	}

	p.World.Clock.Advance(refreshLife - 10*time.Minute)
	if got := mustSignIn(t, p, refresh...); got.ExpiresIn != 600 {
		t.Errorf("ten minutes before the end an access token lasts %d s, want 600", got.ExpiresIn)
	}
	p.World.Clock.Advance(10 * time.Minute)
	if status, _, failure := signInAs(t, p, refresh...); status != http.StatusBadRequest || failure.Code != invalidGrant {
		t.Errorf("after 15 days it got %d %s, want 400 %s", status, failure.Code, invalidGrant)
	}
}

func TestWhatHangsOnAPasswordEndsWithIt(t *testing.T) {
	p := open(t)
	first := mustSignIn(t, p, "grant_type", "contensis_classic", "scope", "offline_access", "username", "bob@papersoap.example", "password", "BobHasThreeNames3")
	second := mustSignIn(t, p, "grant_type", "refresh_token", "refresh_token", first.RefreshToken)
	revoke(t, p, directory.CredentialQuery{Kind: authn.Password, User: parse[id.User](t, bob)})
	for _, token := range []string{first.AccessToken, second.AccessToken} {
		if got := put(p, token, soapCompany, "tdurden"); got != http.StatusUnauthorized {
			t.Errorf("after the password was revoked a token answered %d, want 401", got)
		}
	}
	if status, _, failure := signInAs(t, p, "grant_type", "refresh_token", "refresh_token", first.RefreshToken); status != http.StatusBadRequest || failure.Code != invalidGrant {
		t.Errorf("the refresh token got %d %s, want 400 %s", status, failure.Code, invalidGrant)
	}
}

func TestSuspendingTheUserEndsTheTokensPower(t *testing.T) {
	p := open(t)
	got := mustSignIn(t, p, "grant_type", "contensis_classic", "scope", "offline_access", "username", "tdurden", "password", "SoapIsTheYardstick1")
	if status := put(p, got.AccessToken, soapCompany, "@current"); status != http.StatusForbidden {
		t.Fatalf("a user who is no administrator got %d, want 403", status)
	}
	suspended := true
	if _, err := p.World.UpdateUser(t.Context(), admin(t, p), directory.UserUpdate{User: directory.ByName("tdurden"), Suspended: &suspended}); err != nil {
		t.Fatal(err)
	}
	if status := put(p, got.AccessToken, soapCompany, "@current"); status != http.StatusUnauthorized {
		t.Errorf("a suspended user's token got %d, want 401", status)
	}
	if status, _, failure := signInAs(t, p, "grant_type", "refresh_token", "refresh_token", got.RefreshToken); status != http.StatusBadRequest || failure.Code != invalidGrant {
		t.Errorf("a suspended user's refresh token got %d %s, want 400 %s", status, failure.Code, invalidGrant)
	}
}

// A token carries what the user's groups grant when it is used, not when it was made.
func TestATokenLosesWhatItsUserLoses(t *testing.T) {
	p := open(t)
	token := mustSignIn(t, p, asSoapPress...).AccessToken
	if got := put(p, token, "System%20Administrators", "tdurden"); got != http.StatusNoContent {
		t.Fatalf("an administrator adding an administrator got %d, want 204", got)
	}
	if _, err := p.World.ChangeMembers(t.Context(), admin(t, p), directory.MembersChange{
		Group: directory.ByName("System Administrators"), Remove: []directory.MemberRef{{Ref: directory.ByName("bigbob")}},
	}); err != nil {
		t.Fatal(err)
	}
	if got := put(p, token, soapCompany, "tdurden"); got != http.StatusForbidden {
		t.Errorf("who is no administrator any more got %d, want 403", got)
	}
}

func TestGuessingIsLimited(t *testing.T) {
	p := open(t)
	guess := []string{"grant_type", "contensis_classic", "username", "tdurden", "password", "guess"}
	for n := range 5 {
		if status, _, failure := signInAs(t, p, guess...); status != http.StatusBadRequest || failure.Code != incorrectPassword {
			t.Fatalf("guess %d got %d %s, want 400 %s", n+1, status, failure.Code, incorrectPassword)
		}
	}
	guess[5] = "SoapIsTheYardstick1"
	status, _, failure := signInAs(t, p, guess...)
	if status != http.StatusTooManyRequests || failure.Code != invalidGrant || failure.Description == "" {
		t.Errorf("after five wrong guesses the right one got %d %+v, want 429 with a text", status, failure)
	}
}

// Whoever signs in by address is looked up by it at once: a first try by name
// would count as a failed attempt.
func TestSigningInByAddressIsNoFailedAttempt(t *testing.T) {
	p := open(t)
	for _, login := range []string{"tdurden", "T.Durden@fightclub.com"} {
		mustSignIn(t, p, "grant_type", "contensis_classic", "username", login, "password", "SoapIsTheYardstick1")
	}
	u, err := p.World.User(t.Context(), admin(t, p), directory.ByName("tdurden"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.World.SignIns(t.Context(), admin(t, p), []directory.User{u.Value})
	if err != nil || s.Value[0].Successes != 2 || s.Value[0].Failures != 0 {
		t.Errorf("two sign-ins count as %+v (%v)", s.Value[0], err)
	}
	for _, login := range []string{"nobody@fightclub.com", "shared@fightclub.com"} { // the second is a username without a password
		if status, _, failure := signInAs(t, p, "grant_type", "contensis_classic", "username", login, "password", "SoapIsTheYardstick1"); status != http.StatusBadRequest || failure.Code != incorrectPassword {
			t.Errorf("%s got %d %s, want 400 %s", login, status, failure.Code, incorrectPassword)
		}
	}
}

func TestEveryKindOfErrorHasItsOwnAnswer(t *testing.T) {
	answers := map[int]directory.Kind{}
	type pair struct {
		status int
		code   string
	}
	tokenAnswers := map[pair]directory.Kind{}
	for _, kind := range directory.Kinds() {
		cause := errors.New("the cause")
		err := &directory.Error{Kind: kind, Code: "test", Detail: "What went wrong.", Err: cause}

		w := httptest.NewRecorder()
		writeError(w, httptest.NewRequest(http.MethodPut, short+"/groups/a/users/b", nil), err)
		if other, taken := answers[w.Code]; taken || w.Code < 400 {
			t.Errorf("kind %q answers %d, as %q does", kind, w.Code, other)
		}
		answers[w.Code] = kind
		var body map[string]any
		if json.Unmarshal(w.Body.Bytes(), &body) != nil || body["message"] == "" {
			t.Errorf("kind %q answers %s, want a message", kind, w.Body)
		}
		if _, ok := body["logId"]; ok == (kind == directory.Unauthenticated) {
			t.Errorf("kind %q answers %s: the Error model is for all but 401", kind, w.Body)
		}
		if strings.Contains(w.Body.String(), "cause") || kind == directory.Internal && strings.Contains(w.Body.String(), "went wrong") {
			t.Errorf("kind %q leaks: %s", kind, w.Body)
		}

		w = httptest.NewRecorder()
		writeError(w, httptest.NewRequest(http.MethodPost, tokenPath, nil), err)
		var failure tokenFailure
		if json.Unmarshal(w.Body.Bytes(), &failure) != nil || failure.Code == "" || w.Code < 400 {
			t.Errorf("at the token endpoint kind %q answers %d %s", kind, w.Code, w.Body)
		}
		if other, taken := tokenAnswers[pair{w.Code, failure.Code}]; taken {
			t.Errorf("at the token endpoint kind %q answers as %q does", kind, other)
		}
		tokenAnswers[pair{w.Code, failure.Code}] = kind
		if strings.Contains(w.Body.String(), "cause") {
			t.Errorf("at the token endpoint kind %q leaks: %s", kind, w.Body)
		}
	}
}

func TestInputRefusedForAFieldIsAValidation(t *testing.T) {
	w := httptest.NewRecorder()
	writeError(w, httptest.NewRequest(http.MethodPost, short+"/users", nil),
		&directory.Error{Kind: directory.Invalid, Code: "email.invalid", Field: "email", Detail: "That is not an e-mail address."})
	var m struct {
		Message, Type string
		Data          []violation
	}
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	want := []violation{{"email", "That is not an e-mail address."}}
	if w.Code != http.StatusUnprocessableEntity || m.Type != "Validation" || !slices.Equal(m.Data, want) {
		t.Errorf("got %d %s, want 422, type Validation and data %v", w.Code, w.Body, want)
	}
}

// The logId that a client is shown must find the line in the log, and no token
// may be there.
func TestTheLogHoldsTheLogIDAndNoToken(t *testing.T) {
	p, log := openLogged(t)
	got := mustSignIn(t, p, "grant_type", "contensis_classic", "scope", "offline_access", "username", "bigbob", "password", "BobHasThreeNames3")
	signInAs(t, p, "grant_type", "refresh_token", "refresh_token", got.RefreshToken)
	signInAs(t, p, "grant_type", "refresh_token", "refresh_token", got.AccessToken)
	r := httptest.NewRequest(http.MethodPut, short+"/groups/nowhere/users/tdurden", nil)
	r.Header.Set("Authorization", "Bearer "+got.AccessToken)
	answer := p.Do(r)
	var m errorModel
	if err := json.NewDecoder(answer.Body).Decode(&m); err != nil || answer.StatusCode != http.StatusNotFound {
		t.Fatalf("got %d (%v), want a 404 with the Error model", answer.StatusCode, err)
	}
	text := log()
	if !strings.Contains(text, m.LogID) {
		t.Errorf("logId %s is not in the log:\n%s", m.LogID, text)
	}
	for _, secret := range []string{got.AccessToken, got.RefreshToken, "BobHasThreeNames3"} {
		if strings.Contains(text, secret) {
			t.Errorf("the log holds the secret %.6s…", secret)
		}
	}
}

// openLogged is open with a log that the test can read.
func openLogged(t *testing.T) (*dialecttest.Play, func() string) {
	t.Helper()
	p := open(t)
	var b bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))
	door := New(dialect.Deps{Directory: p.World.Directory, Authn: p.World.Authn, Log: logger})
	p.Handler = wire.Logged(logger, door.Handler(), func(w http.ResponseWriter, _ *http.Request) {
		t.Error("a handler panicked")
		w.WriteHeader(http.StatusInternalServerError)
	})
	return p, b.String
}

func TestParseGUID(t *testing.T) {
	for text, want := range map[string]bool{
		tyler: true, strings.ToUpper(tyler): true, "{" + tyler + "}": true,
		"00000000-0000-0000-0000-000000000000": true,
		"":                                     false,
		"{" + tyler:                            false,
		tyler + "}":                            false,
		"{{" + tyler + "}}":                    false,
		"(" + tyler + ")":                      false,
		"urn:uuid:" + tyler:                    false,
		strings.ReplaceAll(tyler, "-", ""):     false,
		strings.ReplaceAll(tyler, "-", "_"):    false,
		"zd063773-2ca9-4baf-90e1-ed674fa68640": false,
		" 3d063773-2ca9-4baf-90e1-ed674fa6864": false,
		"{3d063773-2ca9-4baf-90e1-ed674fa686400000000}": false,
	} {
		if _, ok := parseGUID(text); ok != want {
			t.Errorf("parseGUID(%q) = %v, want %v", text, ok, want)
		}
	}
}

func TestEveryRouteStandsUnderBothPrefixes(t *testing.T) {
	patterns := map[string]bool{}
	routes := (&contensis{}).routes()
	for _, r := range routes {
		patterns[r.Method+" "+r.Pattern] = true
	}
	for _, r := range routes {
		if r.Pattern == tokenPath {
			continue
		}
		rest, long := strings.CutPrefix(r.Pattern, management)
		other := short + rest
		if !long {
			other = management + strings.TrimPrefix(r.Pattern, short)
		}
		if !patterns[r.Method+" "+other] {
			t.Errorf("%s %s does not stand at %s", r.Method, r.Pattern, other)
		}
	}
}
