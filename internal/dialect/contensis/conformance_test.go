package contensis

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"roster/internal/authn"
	"roster/internal/dialect/dialecttest"
	"roster/internal/directory"
	"roster/internal/directory/directorytest"
)

// reply is an answer with its body read.
type reply struct {
	status int
	header http.Header
	body   string
}

// call sends one request as an access token's holder.
func call(t *testing.T, p *dialecttest.Play, token, method, path, body string) reply {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json") // as clients do on every request
	got := p.Do(r)
	text, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got.StatusCode >= 300 && got.StatusCode < 400 {
		t.Errorf("%s %s was redirected", method, path)
	}
	if (got.StatusCode == http.StatusNoContent || method == http.MethodHead) && len(text) > 0 {
		t.Errorf("%s %s answered %d with a body: %s", method, path, got.StatusCode, text)
	}
	return reply{got.StatusCode, got.Header, string(text)}
}

// want is call that checks the status and decodes the body, if there is one.
func want(t *testing.T, p *dialecttest.Play, token, method, path, body string, status int) map[string]any {
	t.Helper()
	got := call(t, p, token, method, path, body)
	if got.status != status {
		t.Fatalf("%s %s answered %d, want %d; body %s", method, path, got.status, status, got.body)
	}
	var m map[string]any
	if got.body != "" {
		if err := json.Unmarshal([]byte(got.body), &m); err != nil {
			t.Fatalf("%s %s answered no JSON: %s", method, path, got.body)
		}
	}
	return m
}

// names are what the items of a page are called.
func names(page map[string]any) string {
	var out []string
	for _, item := range page["items"].([]any) {
		m := item.(map[string]any)
		for _, key := range []string{"username", "name"} {
			if name, ok := m[key].(string); ok {
				out = append(out, name)
			}
		}
	}
	return strings.Join(out, " ")
}

// listed is the names in the list that a query gets.
func listed(t *testing.T, p *dialecttest.Play, token, path string, query ...string) string {
	t.Helper()
	q := url.Values{}
	for i := 0; i < len(query); i += 2 {
		q.Set(query[i], query[i+1])
	}
	return names(want(t, p, token, http.MethodGet, path+"?"+q.Encode(), "", http.StatusOK))
}

// adminToken is an access token of an administrator.
func adminToken(t *testing.T, p *dialecttest.Play) string {
	t.Helper()
	return mustSignIn(t, p, asSoapPress...).AccessToken
}

// TestTheConformanceChecklist is section 9 of the contract, a row each.
func TestTheConformanceChecklist(t *testing.T) {
	for _, row := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"1 token: three grants, charset, + and %20, slash, JSON errors with 400, reusable refresh", checkTokens},
		{"2 401: its own shape, application/json, any case of the scheme", check401},
		{"3 every route under both prefixes and both slash forms, without a redirect; HEAD without a body", checkRoutes},
		{"4 PUT, DELETE and HEAD without a body are accepted with a content type of JSON", checkBodiless},
		{"5 identifiers of every form, mixed and encoded", checkIdentifiers},
		{"6 adding twice, bulk with one unknown id, HEAD through two levels", checkMembership},
		{"7 no group inside itself; removing who is no member is 404", checkCycles},
		{"8 the keys of PagedList and Group; custom is never null", checkModels},
		{"9 PATCH merges custom, clears expiry, passes over what is read-only; keys in any case", checkPatch},
		{"10 search: not, freeText and orderBy in all their forms", checkSearch},
		{"11 the released clients and recorded ones are played", checkClients},
	} {
		t.Run(row.name, row.run)
	}
}

func checkTokens(t *testing.T) {
	p := open(t)
	post := func(path, contentType, body string) (int, map[string]any) {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		got := p.Do(r)
		var m map[string]any
		if err := json.NewDecoder(got.Body).Decode(&m); err != nil {
			t.Fatalf("%s answered no JSON: %v", body, err)
		}
		return got.StatusCode, m
	}
	const form, charset = "application/x-www-form-urlencoded", "application/x-www-form-urlencoded;charset=UTF-8"
	client := "grant_type=client_credentials&client_id=soap-press&client_secret=" + soapSecret
	classic := "grant_type=contensis_classic&username=bigbob&password=BobHasThreeNames3&scope="
	for _, c := range []struct {
		path, contentType, body string
		refresh                 bool
	}{
		{tokenPath, charset, "scope=Security_Administrator%20Entry_Read&" + client, false},
		{tokenPath + "/", form, client, false},
		{tokenPath, form, classic + "openid+offline_access+Entry_Read", true},
		{tokenPath + "/", charset, classic + "openid%20offline_access", true},
	} {
		status, m := post(c.path, c.contentType, c.body)
		refresh, has := m["refresh_token"].(string)
		if status != http.StatusOK || m["token_type"] != "Bearer" || m["expires_in"] != 3600.0 || has != c.refresh {
			t.Errorf("%s got %d %v", c.body, status, m)
		}
		for range 2 * len(refresh) / max(len(refresh), 1) {
			status, m := post(tokenPath, charset, "grant_type=contensis_classic_refresh_token&scope=openid%20offline_access&refresh_token="+refresh)
			if status != http.StatusOK || m["refresh_token"] != refresh {
				t.Errorf("refreshing got %d %v", status, m)
			}
		}
	}
	for body, code := range map[string]string{
		"":                                       "invalid_request",
		"scope=openid":                           "invalid_request",
		"grant_type=implicit":                    "unsupported_grant_type",
		strings.Replace(client, "0b7", "0b8", 1): "invalid_client",
		strings.Replace(classic, "Bob", "Rob", 1):                                 "IncorrectUsernameorPassword",
		"grant_type=contensis_classic&username=robert&password=HisNameWasRobert1": "invalid_grant",
		"grant_type=contensis_classic_refresh_token&refresh_token=x":              "invalid_grant",
	} {
		if status, m := post(tokenPath, form, body); status != http.StatusBadRequest || m["error"] != code {
			t.Errorf("%s got %d %v, want 400 %s", body, status, m, code)
		}
	}
}

func check401(t *testing.T) {
	p := open(t)
	token := adminToken(t, p)
	for _, header := range []string{"", "Bearer", "Bearer wrong", "Basic " + token, token} {
		r := httptest.NewRequest(http.MethodGet, short+"/users/@current", nil)
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		got := p.Do(r)
		body, _ := io.ReadAll(got.Body)
		if got.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(got.Header.Get("Content-Type"), "application/json") ||
			string(body) != `{"message":"Authorization has been denied for this request."}` {
			t.Errorf("%q got %d %s %s", header, got.StatusCode, got.Header.Get("Content-Type"), body)
		}
	}
	for _, scheme := range []string{"Bearer", "bearer", "BEARER"} {
		r := httptest.NewRequest(http.MethodGet, short+"/users/@current", nil)
		r.Header.Set("Authorization", scheme+" "+token)
		if got := p.Do(r).StatusCode; got != http.StatusOK {
			t.Errorf("%s got %d", scheme, got)
		}
	}
}

func checkRoutes(t *testing.T) {
	p := open(t)
	values := map[string]string{"{user}": "tdurden", "{group}": soapCompany, "{groups}": soapCompany, "{child}": "Twins"}
	for _, route := range (&contensis{}).routes() {
		if route.Pattern == tokenPath {
			continue
		}
		path := route.Pattern
		for parameter, value := range values {
			path = strings.ReplaceAll(path, parameter, value)
		}
		for _, slash := range []string{"", "/"} {
			got := call(t, p, "no token", route.Method, path+slash, "")
			if got.status != http.StatusUnauthorized || route.Method == http.MethodHead && got.body != "" {
				t.Errorf("%s %s%s answered %d %q, want 401", route.Method, path, slash, got.status, got.body)
			}
		}
	}
	token := adminToken(t, p)
	for _, prefix := range []string{short, management, "/API/Security"} {
		for _, path := range []string{"/users", "/users/", "/groups", "/groups/", "/users/@current", "/users/search/", "/groups/" + soapCompany + "/users/", "/groups/" + soapCompany + "/groups", "/users/tdurden/groups/"} {
			want(t, p, token, http.MethodGet, prefix+path, "", http.StatusOK)
		}
	}
	want(t, p, token, http.MethodGet, short+"/groups/"+soapCompany+"/users/tdurden", "", http.StatusMethodNotAllowed)
	want(t, p, token, http.MethodGet, short+"/nothing", "", http.StatusNotFound)
}

func checkBodiless(t *testing.T) {
	p := open(t)
	token := adminToken(t, p)
	path := short + "/groups/" + soapCompany + "/users/tdurden"
	want(t, p, token, http.MethodPut, path, "", http.StatusNoContent)
	want(t, p, token, http.MethodHead, path, "", http.StatusNoContent)
	want(t, p, token, http.MethodDelete, path, "", http.StatusNoContent)
	want(t, p, token, http.MethodHead, path, "", http.StatusNotFound)
}

func checkIdentifiers(t *testing.T) {
	p := open(t)
	token := adminToken(t, p)
	for identifier, who := range map[string]string{
		tyler: "tdurden", strings.ToUpper(tyler): "tdurden", "%7B" + tyler + "%7D": "tdurden", "tdurden": "tdurden", "TDURDEN": "tdurden",
		"T.Durden@fightclub.com": "tdurden", "recruit+1@fightclub.com": "recruit-1", "recruit%2B1@fightclub.com": "recruit-1",
		"ops%2Fnight": "ops/night", "@current": "bigbob", "%40current": "bigbob", "shared@fightclub.com": "shared@fightclub.com",
	} {
		if got := want(t, p, token, http.MethodGet, short+"/users/"+identifier, "", http.StatusOK)["username"]; got != who {
			t.Errorf("%s is %v, want %s", identifier, got, who)
		}
		for _, group := range []string{soapCompany, strings.ToUpper(soapCompany), "%7B" + soapCompany + "%7D", "Paper%20Street%20Soap%20Company", "paper%20street%20soap%20company", "R&D%20%2F%20Soap"} {
			path := short + "/groups/" + group + "/users/" + identifier
			want(t, p, token, http.MethodPut, path, "", http.StatusNoContent)
			want(t, p, token, http.MethodHead, path, "", http.StatusNoContent)
			want(t, p, token, http.MethodHead, short+"/users/"+identifier+"/groups/"+group, "", http.StatusNoContent)
		}
	}
	for path, status := range map[string]int{
		"/users/nobody": 404, "/users/" + soapCompany: 404, "/groups/nothing": 404, "/groups/" + tyler: 404, "/users/7?classicUserId=true": 404,
		"/users/tdurden?classicuserid=TRUE": 404, "/groups/Twins": 409,
	} {
		want(t, p, token, http.MethodGet, short+path, "", status)
	}
	for csv, status := range map[string]int{
		"Nowhere,Paper%20Street%20Soap%20Company": 204, soapCompany + ",nowhere": 204, "Nowhere": 404, "Nowhere," + tyler: 404,
		",": 400, "a,,b": 400, soapCompany + ",": 400, "Paper%20Street%20Soap%20Company%2Cx": 404,
	} {
		want(t, p, token, http.MethodHead, short+"/users/tdurden/groups/"+csv, "", status)
	}
}

func checkMembership(t *testing.T) {
	p := open(t)
	token := adminToken(t, p)
	member := short + "/groups/" + soapCompany + "/users/" + tyler
	for range 2 {
		want(t, p, token, http.MethodPut, member, "", http.StatusNoContent)
	}
	before := revisions(t, p.World.Directory)
	missing := "0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f"
	refused := want(t, p, token, http.MethodPost, short+"/groups/"+soapCompany+"/users/", `["`+recruit1+`","`+missing+`","`+missing+`"]`, http.StatusNotFound)
	if data := refused["data"].([]any); len(data) != 1 || data[0] != missing {
		t.Errorf("the refusal names %v", data)
	}
	if after := revisions(t, p.World.Directory); !slices.Equal(before, after) {
		t.Error("a refused bulk changed something")
	}
	top := want(t, p, token, http.MethodPost, short+"/groups", `{"name":"Top"}`, http.StatusCreated)["id"].(string)
	want(t, p, token, http.MethodPost, short+"/groups", `{"name":"Middle"}`, http.StatusCreated)
	want(t, p, token, http.MethodPut, short+"/groups/Top/groups/Middle", "", http.StatusNoContent)
	want(t, p, token, http.MethodPost, short+"/groups/Middle/groups", `["`+soapCompany+`"]`, http.StatusNoContent)
	want(t, p, token, http.MethodHead, short+"/groups/"+top+"/users/tdurden", "", http.StatusNoContent)
	want(t, p, token, http.MethodHead, short+"/users/tdurden/groups/x,Top", "", http.StatusNoContent)
	want(t, p, token, http.MethodHead, short+"/groups/Top/users/recruit-1", "", http.StatusNotFound)
	if got := listed(t, p, token, short+"/users/tdurden/groups"); got != "Everyone Paper Street Soap Company" {
		t.Errorf("his groups are %q", got)
	}
	if got := listed(t, p, token, short+"/users/tdurden/groups", "includeInherited", "true", "excludedGroups", "Middle"); got != "Everyone Middle Top" {
		t.Errorf("his groups but those inside Middle are %q", got)
	}
	if got := listed(t, p, token, short+"/users/tdurden/groups", "includedInherited", "true"); got != "Everyone Middle Paper Street Soap Company Top" {
		t.Errorf("all his groups are %q", got)
	}
	refused = want(t, p, token, http.MethodDelete, short+"/groups/Everyone/users/tdurden", "", http.StatusConflict)
	if refused["message"] == "" {
		t.Error("a refusal says nothing")
	}
	want(t, p, token, http.MethodHead, short+"/users/@current/groups/Everyone", "", http.StatusNoContent)
}

func checkCycles(t *testing.T) {
	p := open(t)
	token := adminToken(t, p)
	for _, name := range []string{"A", "B", "C"} {
		want(t, p, token, http.MethodPost, short+"/groups/", `{"name":"`+name+`"}`, http.StatusCreated)
	}
	want(t, p, token, http.MethodPut, short+"/groups/A/groups/B", "", http.StatusNoContent)
	want(t, p, token, http.MethodPut, short+"/groups/B/groups/C", "", http.StatusNoContent)
	for _, path := range []string{"/groups/A/groups/A", "/groups/C/groups/A", "/groups/B/groups/A"} {
		refused := want(t, p, token, http.MethodPut, short+path, "", http.StatusUnprocessableEntity)
		if refused["type"] != "Validation" || len(refused["data"].([]any)) != 1 {
			t.Errorf("%s is refused with %v", path, refused)
		}
	}
	for path, said := range map[string]string{
		"/groups/A/groups/C":                        "The group 'C' is not in the group 'A'",
		"/groups/A/groups/nothing":                  "The group 'nothing' was not found",
		"/groups/nothing/groups/A":                  "The group 'nothing' was not found",
		"/groups/" + soapCompany + "/users/tdurden": "The user 'tdurden' is not in the group '" + soapCompany + "'",
		"/groups/A/users/nobody":                    "The user 'nobody' was not found",
		"/groups/nothing/users/tdurden":             "The group 'nothing' was not found",
	} {
		if got := want(t, p, token, http.MethodDelete, short+path, "", http.StatusNotFound)["message"]; got != said {
			t.Errorf("DELETE %s says %v, want %s", path, got, said)
		}
	}
	want(t, p, token, http.MethodDelete, short+"/groups/System%20Administrators/users/@current", "", http.StatusConflict)
	want(t, p, token, http.MethodDelete, short+"/groups/System%20Administrators", "", http.StatusForbidden)
}

func checkModels(t *testing.T) {
	p := open(t)
	token := adminToken(t, p)
	for path, keys := range map[string][]string{
		"/users":  {"id", "username", "email", "firstName", "lastName", "timezone", "language", "custom", "credentials", "status", "created", "modified", "lastLogin", "lastFailedLogin", "expiry", "passwordChanged", "optOutOfNotifications", "failedLoginAttempts", "failedLoginAttemptsSinceLastSuccess", "successfulLoginAttempts"},
		"/groups": {"id", "name", "description", "type", "custom", "userCount", "childGroupCount", "autoMembershipEmailDomains", "created", "modified"},
	} {
		page := want(t, p, token, http.MethodGet, short+path+"?pageSize=3&pageIndex=1", "", http.StatusOK)
		total := page["totalCount"].(float64)
		if len(page) != 5 || page["pageIndex"] != 1.0 || page["pageSize"] != 3.0 || page["pageCount"] != float64(int(total+2)/3) || len(page["items"].([]any)) != 3 {
			t.Errorf("%s is %v", path, page)
		}
		for _, item := range page["items"].([]any) {
			m := item.(map[string]any)
			for _, key := range keys {
				if _, ok := m[key]; !ok {
					t.Errorf("%s: an item has no %s", path, key)
				}
			}
			if custom, ok := m["custom"].(map[string]any); !ok || custom == nil {
				t.Errorf("%s: custom is %v", path, m["custom"])
			}
			if len(m) != len(keys) {
				t.Errorf("%s: an item has %d keys, want %d: %v", path, len(m), len(keys), m)
			}
		}
		beyond := want(t, p, token, http.MethodGet, short+path+"?pageIndex=99999999&pageSize=99999", "", http.StatusOK)
		if items := beyond["items"].([]any); len(items) != 0 || beyond["pageSize"] != 10000.0 || beyond["totalCount"] != total {
			t.Errorf("beyond the end of %s there is %v", path, beyond)
		}
		for _, bad := range []string{"pageIndex=-1", "pageSize=-1", "pageSize=0", "pageIndex=x", "pageSize=1.5", "pageSize=99999999999999999999"} {
			want(t, p, token, http.MethodGet, short+path+"?"+bad, "", http.StatusBadRequest)
		}
		want(t, p, token, http.MethodGet, short+path+"?defaultHeaders=%5Bobject%20Object%5D&order=nothing,-username", "", http.StatusOK)
	}
	types := map[string]string{}
	for _, item := range want(t, p, token, http.MethodGet, short+"/groups", "", http.StatusOK)["items"].([]any) {
		m := item.(map[string]any)
		types[m["name"].(string)] = m["type"].(string)
	}
	if types["System Administrators"] != "sys" || types["Everyone"] != "sys" || types["Twins"] != "contensis" {
		t.Errorf("the types of groups are %v", types)
	}
	want(t, p, token, http.MethodPost, short+"/groups", `{"name":"Guests","type":"external","autoMembershipEmailDomains":["Guests.example"]}`, http.StatusCreated)
	if got := listed(t, p, token, short+"/groups", "zenql", "type = external"); got != "Guests" {
		t.Errorf("the external groups are %q", got)
	}
	want(t, p, token, http.MethodPost, short+"/users", `{"email":"ann@guests.example"}`, http.StatusCreated)
	g := want(t, p, token, http.MethodGet, short+"/groups/Guests", "", http.StatusOK)
	if g["userCount"] != 1.0 || fmt.Sprint(g["autoMembershipEmailDomains"]) != "[guests.example]" || g["type"] != "external" {
		t.Errorf("the group is %v", g)
	}
}

func checkPatch(t *testing.T) {
	p := open(t)
	token := adminToken(t, p)
	made := call(t, p, token, http.MethodPost, short+"/users/", `{"UserName":"m.okoye","Email":"m.okoye@harbour.example","firstname":"Mina","LASTNAME":"Okoye","Custom":{"Department":"ferries","deck":1},
		"expiry":"2029-09-03T09:51:20.113","Credentials":{"Password":"Tide-Tables-9","passwordchangefrequency":90},"optOutOfNotifications":true,"timezone":"Etc/UTC","status":{"suspended":true}}`)
	var u map[string]any
	if err := json.Unmarshal([]byte(made.body), &u); err != nil || made.status != http.StatusCreated || made.header.Get("Location") != short+"/users/"+u["id"].(string) {
		t.Fatalf("it answered %d %v %s", made.status, made.header, made.body)
	}
	if u["firstName"] != "Mina" || u["expiry"] != "2029-09-03T09:51:20.113Z" || fmt.Sprint(u["custom"]) != "map[Department:ferries deck:1]" || u["optOutOfNotifications"] != true ||
		fmt.Sprint(u["status"]) != "map[locked:false passwordResetRequired:false suspended:false]" || u["passwordChanged"] == nil || strings.Contains(made.body, "Tide") {
		t.Errorf("the user is %s", made.body)
	}
	path := short + "/users/m.okoye"
	u["id"], u["created"], u["failedLoginAttempts"], u["status"] = tyler, "2000-01-01T00:00:00Z", 99, map[string]any{"locked": true, "suspended": true}
	u["custom"], u["expiry"], u["firstName"] = map[string]any{"Department": nil, "shift": "night"}, nil, "Mila"
	whole, _ := json.Marshal(u)
	r := httptest.NewRequest(http.MethodPatch, path, strings.NewReader(string(whole)))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/merge-patch+json; charset=utf-8")
	if got := p.Do(r).StatusCode; got != http.StatusOK {
		t.Fatalf("the patch answered %d", got)
	}
	after := want(t, p, token, http.MethodGet, path, "", http.StatusOK)
	if after["firstName"] != "Mila" || after["lastName"] != "Okoye" || after["expiry"] != nil || fmt.Sprint(after["custom"]) != "map[deck:1 shift:night]" ||
		after["id"] == tyler || after["failedLoginAttempts"] != 0.0 || fmt.Sprint(after["status"]) != "map[locked:false passwordResetRequired:false suspended:false]" || after["created"] == "2000-01-01T00:00:00Z" {
		t.Errorf("after the patch it is %v", after)
	}
	after = want(t, p, token, http.MethodPut, path, `{"LastName":null,"custom":null,"timezone":null}`, http.StatusOK)
	if after["lastName"] != nil || fmt.Sprint(after["custom"]) != "map[]" || after["firstName"] != "Mila" || after["timezone"] != nil || after["optOutOfNotifications"] != true {
		t.Errorf("after the put it is %v", after)
	}
	for body, status := range map[string]int{
		`{"username":""}`: 422, `{"username":"tdurden"}`: 409, `{"email":"T.Durden@fightclub.com"}`: 409, `{"email":"none"}`: 422, `{"email":7}`: 422,
		`{"email":"a@b.example","Email":"c@d.example"}`: 400, `[]`: 400, `{`: 400, ``: 400, `{"expiry":"soon"}`: 422, `{"custom":[]}`: 422,
		`{"credentials":{"passwordChangeFrequency":-1}}`: 422, `{"credentials":7}`: 422, `{"optOutOfNotifications":"yes"}`: 422,
	} {
		refused := want(t, p, token, http.MethodPatch, path, body, status)
		if status == 422 && (refused["type"] != "Validation" || len(refused["data"].([]any)) != 1) {
			t.Errorf("%s is refused with %v", body, refused)
		}
	}
	for body, status := range map[string]int{
		`{}`: 422, `{"username":"x","expiry":"2001-01-01"}`: 422, `{"username":"x","credentials":{"password":"weak"}}`: 422, `{"username":"TDurden"}`: 409,
		`{"username":"x","email":"T.DURDEN@fightclub.com"}`: 409, `{"username":"x","id":"7"}`: 422, `{"username":"x","id":"` + tyler + `"}`: 409,
	} {
		want(t, p, token, http.MethodPost, short+"/users", body, status)
	}
	if made := want(t, p, token, http.MethodPost, short+"/users?suspended=true&forcePasswordReset=true", `{"id":"{0F0F0F0F-0F0F-4F0F-8F0F-0F0F0F0F0F0F}","email":"only@harbour.example"}`, http.StatusCreated); made["username"] != "only@harbour.example" ||
		made["id"] != "0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f" || fmt.Sprint(made["status"]) != "map[locked:false passwordResetRequired:true suspended:true]" {
		t.Errorf("it is made as %v", made)
	}
}

func checkSearch(t *testing.T) {
	p := open(t)
	token := adminToken(t, p)
	for body, found := range map[string]string{
		`{"where":[{"field":"Username","startsWith":"RECRUIT"},{"not":[{"field":"username","endsWith":"1"}]}],"orderBy":[{"desc":"username"}]}`:                         "recruit-5 recruit-4 recruit-3 recruit-2",
		`{"where":[{"field":"username","startsWith":"recruit"},{"not":{"field":"username","in":["recruit-1","recruit-2"]}}],"orderBy":["-created","username"]}`:         "recruit-3 recruit-4 recruit-5",
		`{"where":[{"field":"email","freeText":{"term":"DURDEN fightclub","fuzzy":false,"operator":"and"}}]}`:                                                           "tdurden",
		`{"where":[{"or":[{"field":"email","freeText":"durden"},{"and":[{"field":"username","equalTo":"late"},{"field":"id","exists":true}]}]}],"orderBy":"-username"}`: "tdurden late",
		`{"where":[{"field":"username","contains":"re*t-?"},{"field":"username","between":["recruit-2","recruit-3"]}]}`:                                                 "recruit-2 recruit-3",
		`{"where":[{"field":"status.suspended","equalTo":true,"weight":2}]}`:                                                                                            "robert",
		`{"where":{"field":"email","exists":false},"pageSize":2,"orderBy":[{"asc":"username"}]}`:                                                                        "ops/night recruit-2",
		`{"where":[{"field":"id","in":["` + tyler + `","x"]}],"aggregations":{},"fields":["id"]}`:                                                                       "tdurden",
		`{"where":[{"field":"created","greaterThan":"2030-01-01"}]}`:                                                                                                    "",
		`{"where":[{"field":"created","greaterThanOrEqualTo":"2026-01-02T03:04:00Z"},{"field":"username","equalTo":"late"}]}`:                                           "late",
		`{"where":[],"pageSize":1}`: "bigbob",
		`{}`:                        "bigbob late ops/night recruit-1 recruit-2 recruit-3 recruit-4 recruit-5 robert shared@fightclub.com tdurden",
	} {
		if got := names(want(t, p, token, http.MethodPost, short+"/users/search", body, http.StatusOK)); got != found {
			t.Errorf("%s finds %q, want %q", body, got, found)
		}
		var q map[string]json.RawMessage
		if err := json.Unmarshal([]byte(body), &q); err != nil {
			t.Fatal(err)
		}
		params := url.Values{}
		for key, v := range q {
			text := string(v)
			if key == "orderBy" {
				text = strings.Trim(text, `"`)
			}
			params.Set(key, text)
		}
		for _, path := range []string{"/users/search?", "/users?"} {
			if got := names(want(t, p, token, http.MethodGet, short+path+params.Encode(), "", http.StatusOK)); got != found {
				t.Errorf("GET %s%s finds %q, want %q", path, params.Encode(), got, found)
			}
		}
	}
	for _, bad := range []string{
		`{"where":"x"}`, `{"where":[7]}`, `{"where":[{}]}`, `{"where":[{"field":"username"}]}`, `{"where":[{"equalTo":"x"}]}`, `{"where":[{"field":"nothing","equalTo":"x"}]}`,
		`{"where":[{"field":"username","distanceWithin":{}}]}`, `{"where":[{"field":"username","equalTo":{}}]}`, `{"where":[{"field":"username","in":"x"}]}`,
		`{"where":[{"field":"username","between":["a"]}]}`, `{"where":[{"field":"created","equalTo":"soon"}]}`, `{"where":[{"field":"status.locked","contains":"t"}]}`,
		`{"where":[{"or":{"field":"username","equalTo":"x"}}]}`, `{"where":[{"field":"username","exists":"x"}]}`, `{"where":[{"field":"username","freeText":7}]}`,
		`{"pageSize":"x"}`, `{"pageIndex":-1}`, `{"orderBy":[7]}`, `{"orderBy":[{"up":"username"}]}`, `[]`, `{`, `{"where":[{"field":"username","equalTo":null,"contains":null}]}`,
	} {
		want(t, p, token, http.MethodPost, short+"/users/search", bad, http.StatusBadRequest)
	}
	want(t, p, token, http.MethodGet, short+"/users/search?where=%5B", "", http.StatusBadRequest)
	want(t, p, token, http.MethodGet, short+"/users/search?orderBy=%5B%7B", "", http.StatusBadRequest)
	deep := strings.Repeat(`{"not":`, directory.MaxFilterDepth) + `{"field":"username","equalTo":"x"}` + strings.Repeat("}", directory.MaxFilterDepth)
	want(t, p, token, http.MethodPost, short+"/users/search", `{"where":[`+deep+`]}`, http.StatusBadRequest)
}

// The JavaScript client is run by clienttest; what the others send is recorded.
func checkClients(t *testing.T) {
	for _, file := range []string{"clienttest/run", "clienttest/sweep.js", "testdata/python.txtar", "testdata/javascript-rc3.txtar"} {
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}
	script, err := os.ReadFile("clienttest/run")
	if err != nil || !strings.Contains(string(script), "for version in 2.4.0 1.0.1") {
		t.Errorf("the script does not run both versions (%v)", err)
	}
}

// A locked account, one whose password must be changed, and the right over others.
func TestTheActionsOfAnAccount(t *testing.T) {
	p := open(t)
	token := adminToken(t, p)
	act := func(token, user, action string, status int) {
		t.Helper()
		for range 2 { // doing it again is no error
			want(t, p, token, http.MethodPost, short+"/users/"+user+"/actions/", `{"Type":"`+action+`"}`, status)
		}
	}
	signIn := func(code string) {
		t.Helper()
		p.World.Clock.Advance(time.Hour + time.Second)
		status, _, failure := signInAs(t, p, "grant_type", "contensis_classic", "username", "tdurden", "password", "SoapIsTheYardstick1")
		if failure.Code != code || (status == http.StatusOK) != (code == "") {
			t.Errorf("signing in got %d %q, want %q", status, failure.Code, code)
		}
		token = adminToken(t, p)
	}
	state := func() string {
		t.Helper()
		u := want(t, p, token, http.MethodGet, short+"/users/tdurden", "", http.StatusOK)
		return fmt.Sprint(u["status"], u["credentials"].(map[string]any)["passwordChangeFrequency"])
	}
	act(token, "tdurden", "suspend", 204)
	signIn("invalid_grant")
	act(token, "tdurden", "unsuspend", 204)
	signIn("")
	for range directory.MaxStreak {
		p.World.Clock.Advance(time.Hour + time.Second)
		signInAs(t, p, "grant_type", "contensis_classic", "username", "tdurden", "password", "wrong")
	}
	signIn("invalid_grant")
	if got := state(); got != "map[locked:true passwordResetRequired:false suspended:false] 0" {
		t.Errorf("after too many failures it is %s", got)
	}
	if got := listed(t, p, token, short+"/users", "zenQL", "status.locked = true and failedLoginAttempts >= 10"); got != "tdurden" {
		t.Errorf("locked are %q", got)
	}
	act(token, "tdurden", "unlock", 204)
	signIn("")
	act(token, "tdurden", "setPasswordToExpirable", 204)
	act(token, "tdurden", "forcePasswordReset", 204)
	if got := state(); got != "map[locked:false passwordResetRequired:true suspended:false] 180" {
		t.Errorf("it is %s", got)
	}
	p.World.Clock.Advance(time.Hour + time.Second)
	bound := mustSignIn(t, p, "grant_type", "contensis_classic", "username", "tdurden", "password", "SoapIsTheYardstick1").AccessToken
	want(t, p, bound, http.MethodGet, short+"/users/@current", "", http.StatusOK)
	want(t, p, bound, http.MethodPost, short+"/users/@current/credentials/password", `{"new":"SoapIsTheYardstick2","existing":"SoapIsTheYardstick1"}`, http.StatusOK)
	token = adminToken(t, p)
	if got := state(); got != "map[locked:false passwordResetRequired:false suspended:false] 180" {
		t.Errorf("after the change it is %s", got)
	}
	want(t, p, token, http.MethodPost, short+"/users/tdurden/actions", `{"type":"dance"}`, http.StatusUnprocessableEntity)
	want(t, p, token, http.MethodPost, short+"/users/tdurden/actions", `{}`, http.StatusUnprocessableEntity)
	act(token, "nobody", "suspend", 404)
	act(bound, "@current", "suspend", 403)
	act(bound, "@current", "unlock", 403)
	act(bound, "@current", "setPasswordToExpirable", 403)
	act(token, "bigbob", "suspend", 409) // the last administrator
}

// Advisories 1, 9 and 11, by this door: what an ordinary user may do is to itself.
func TestAnOrdinaryUserReachesItselfAlone(t *testing.T) {
	p := open(t)
	token := mustSignIn(t, p, "grant_type", "contensis_classic", "username", "tdurden", "password", "SoapIsTheYardstick1").AccessToken
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/users/tdurden", "", 200}, {"GET", "/users/@current/groups", "", 200}, {"HEAD", "/users/" + tyler + "/groups/Everyone", "", 204},
		{"HEAD", "/groups/Everyone/users/@current", "", 204}, {"PATCH", "/users/tdurden", `{"firstName":"Tyler"}`, 200}, {"PUT", "/users/@current", `{"lastName":"Durden"}`, 200},
		{"PATCH", "/users/tdurden", `{"expiry":"2090-01-01"}`, 403}, {"PATCH", "/users/tdurden", `{"credentials":{"passwordChangeFrequency":1}}`, 403},
		{"GET", "/users/bigbob", "", 403}, {"GET", "/users/nobody", "", 403}, {"GET", "/users", "", 403}, {"GET", "/users/search", "", 403}, {"GET", "/groups", "", 403},
		{"GET", "/groups/Everyone", "", 403}, {"GET", "/groups/Everyone/users", "", 403}, {"GET", "/groups/Everyone/groups", "", 403}, {"GET", "/users/bigbob/groups", "", 403},
		{"HEAD", "/users/bigbob/groups/Everyone", "", 403}, {"HEAD", "/groups/Everyone/users/bigbob", "", 403}, {"PATCH", "/users/bigbob", `{"email":"t@x.example"}`, 403},
		{"POST", "/users", `{"username":"x"}`, 403}, {"POST", "/groups", `{"name":"x"}`, 403}, {"PUT", "/groups/Twins", `{"name":"x"}`, 403}, {"DELETE", "/groups/" + soapCompany, "", 403},
		{"PUT", "/groups/System%20Administrators/users/@current", "", 403}, {"POST", "/groups/System%20Administrators/users", `["` + tyler + `"]`, 403},
		{"DELETE", "/groups/Everyone/users/bigbob", "", 403}, {"PUT", "/groups/System%20Administrators/groups/Everyone", "", 403}, {"POST", "/users/bigbob/credentials/password", `{"new":"BobHasFourNames4"}`, 403},
		{"POST", "/users/@current/credentials/password", `{"new":"SoapIsTheYardstick2"}`, 422}, {"DELETE", "/users/bigbob", "", 403}, {"DELETE", "/users/@current", "", 204},
		{"GET", "/users/@current", "", 401},
	} {
		if got := call(t, p, token, c.method, short+c.path, c.body); got.status != c.status {
			t.Errorf("%s %s %s answered %d %s, want %d", c.method, c.path, c.body, got.status, got.body, c.status)
		}
	}
}

func TestZenQLFindsWhatItSays(t *testing.T) {
	p := open(t)
	token := adminToken(t, p)
	want(t, p, token, http.MethodPatch, short+"/users/tdurden", `{"firstName":"Tyler","lastName":"O'Durden \"Soap\"","custom":{"Department":"Soap & Fat","level":7},"expiry":"2026-03-01T00:00:00Z"}`, http.StatusOK)
	p.World.Clock.Advance(-directorytest.Start.Sub(time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)))
	p.World.Clock.Advance(12 * time.Hour) // Friday noon
	token = adminToken(t, p)
	for query, found := range map[string]string{
		`username="tdurden"`: "tdurden", `USERNAME = TDURDEN`: "tdurden", `firstname~tyl`: "tdurden", `username=nobody`: "", `created>now(-7)`: "*", `created > -7d`: "*",
		`username ~ "recruit" and not username = "recruit-1"`:                                        "recruit-2 recruit-3 recruit-4 recruit-5",
		`username in (tdurden, "late", bigbob) ORDER BY username desc`:                               "tdurden late bigbob",
		`username startswith rec and username not in (recruit-1,recruit-2,recruit-3)`:                "recruit-4 recruit-5",
		`username not startswith rec and email != NULL and not (username = late or username=bigbob)`: "tdurden",
		`(username = late OR username = tdurden) AND email ~ fightclub`:                              "late tdurden", `username = late or username = tdurden and email = x`: "late",
		`username endswith durden`: "tdurden", `lastname is empty and username ~ late`: "late", `lastname is not empty`: "tdurden", `lastName freetext "soap o'durden"`: "tdurden", `lastname not freetext soap and username=tdurden`: "",
		`lastname ~ "\"soap\""`: "tdurden", `custom.department = "soap & fat"`: "tdurden", `custom.LEVEL = 7`: "tdurden", `custom.level between (6, 8)`: "tdurden", `id = {` + strings.ToUpper(tyler) + `}`: "tdurden", `id in (` + tyler + `,` + recruit1 + `)`: "recruit-1 tdurden",
		`status.suspended = true`: "robert", `status.suspended != true and username ~ rob`: "", `expiry > 2026-02-28`: "tdurden", `expiry between (2026-03-01, 2026/03/02)`: "tdurden", `expiry = 2026-03-01`: "tdurden", `expiry = 2026-03-01 00:00`: "tdurden",
		`expiry <= "2026-02-28 23:59:59"`: "", `expiry < 1y`: "tdurden", `expiry < now(1M 3w 5d)`: "", `expiry > endOfYear()`: "", `expiry > startOfMonth(2)`: "", `expiry >= startOfMonth(2)`: "tdurden", `expiry != null`: "tdurden",
		`created >= startOfDay() and created <= endOfDay() and username=late`: "late", `created < startOfWeek()`: "", `created >= startOfWeek() and username=late`: "late", `created < endOfWeek(-1)`: "", `created > startOfYear(1)`: "", `username=late and created > -9h 30m`: "late",
		`order by -username`: "*", `ORDER BY created desc, username asc`: "*", `username between (recruit-2, recruit-3)`: "recruit-2 recruit-3", `username = between(recruit-4,recruit-5)`: "recruit-4 recruit-5", `"username" = "in"`: "", `username !~ r and username != late`: "*",
		`successfulLoginAttempts = 0 and username = late`: "late", `failedloginattempts > 0`: "", `credentials.passwordchangefrequency = 0 and username=late`: "late", ` `: "*",
	} {
		got := listed(t, p, token, short+"/users", "zenQL", query)
		if found != "*" && got != found || found == "*" && got == "" {
			t.Errorf("%s finds %q, want %q", query, got, found)
		}
	}
	if got := listed(t, p, token, short+"/groups", "zenql", `name ~ soap and created > -1d ORDER BY name desc`); got != "R&D / Soap Paper Street Soap Company" {
		t.Errorf("the groups are %q", got)
	}
	for _, bad := range []string{
		"username", "username =", "= x", "username x", "username = a b", "nothing = 1", "username = \"x", "(username = x", "username = x)", "username in x", "username in (", "username in (a b)", "username in ()",
		"not", "and", "username = x and", "username = x or or username = y", "username between (a)", "created > soon", "created ~ 2026", "created = now(-7", "created > now(x)", "created > now(-999999999d)", "expiry > 9999y",
		"status.locked > true", "status.locked = perhaps", "failedLoginAttempts = many", "username exists", "username distancewithin x", "username is x", "username not = x", "order by", "order by username,", "username = x order", "!", "username ! x", ", ,",
		"username < null", "id > " + tyler, strings.Repeat("(", 100) + "username=x" + strings.Repeat(")", 100), strings.Repeat("not ", 100) + "username=x", "username = " + strings.Repeat("x", maxZenQL), strings.Repeat("username=x or ", 500) + "username=x", "username = \xff",
	} {
		got := call(t, p, token, http.MethodGet, short+"/users?zenql="+url.QueryEscape(bad), "")
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, `"type":"error"`) {
			t.Errorf("%.60q answered %d %.200s, want 400", bad, got.status, got.body)
		}
	}
}

// A refusal that comes after the write would be a lie: what an answer shows is
// asked for first.
func TestWhoMayNotSeeTheAnswerWritesNothing(t *testing.T) {
	p := open(t)
	for _, grants := range []directory.Grants{directory.WriteUsers, directory.WriteGroups, directory.WriteUsers | directory.WriteGroups | directory.WriteMembers} {
		token := clientWith(t, p, grants)
		before := revisions(t, p.World.Directory)
		for _, c := range []struct{ method, path, body string }{
			{"POST", "/users", `{"username":"x"}`}, {"POST", "/groups", `{"name":"x"}`}, {"PATCH", "/users/tdurden", `{"firstName":"x"}`}, {"PUT", "/users/tdurden", `{"firstName":"x"}`},
			{"PUT", "/groups/" + soapCompany, `{"description":"x"}`},
		} {
			if got := call(t, p, token, c.method, short+c.path, c.body); got.status != http.StatusForbidden {
				t.Errorf("with %v %s %s answered %d %s, want 403", grants, c.method, c.path, got.status, got.body)
			}
		}
		if after := revisions(t, p.World.Directory); !slices.Equal(before, after) {
			t.Errorf("with %v something was written", grants)
		}
		want(t, p, token, http.MethodGet, short+"/groups", "", http.StatusForbidden)
	}
	want(t, p, clientWith(t, p, directory.ReadGroups), http.MethodGet, short+"/groups", "", http.StatusForbidden) // members are counted
	want(t, p, clientWith(t, p, directory.ReadGroups|directory.ReadMembers), http.MethodGet, short+"/groups", "", http.StatusOK)
}

// clientWith is an access token of a client with these grants and no user.
func clientWith(t *testing.T, p *dialecttest.Play, grants directory.Grants) string {
	t.Helper()
	secret, hash, _ := p.World.Authn.Mint(authn.ContensisClient)
	_, err := p.World.CreateCredential(t.Context(), admin(t, p), directory.NewCredential{Kind: authn.ContensisClient, Name: secret[:8], Handle: secret[:8], Grants: grants, Hash: hash})
	if err != nil {
		t.Fatal(err)
	}
	return mustSignIn(t, p, "grant_type", "client_credentials", "client_id", secret[:8], "client_secret", secret).AccessToken
}
