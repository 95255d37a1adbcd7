package server

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"roster/internal/apply"
	"roster/internal/authn"
	"roster/internal/dialect"
	"roster/internal/directory"
	"roster/internal/directory/directorytest"
	"roster/internal/wire"
)

// thing is a user or group by all that a door may call it.
type thing struct {
	name   string
	number int
	code   int64
}

func (x thing) id() string     { return fmt.Sprintf("0190a000-0000-7000-8000-%012d", x.number) }
func (x thing) person() int64  { return 1000_0000 + int64(x.number) }
func (x thing) email() string  { return x.name + "@hidden.example" }
func (x thing) native() string { return `"` + x.id() + `"` }

// one is a request before it says who sends it.
type one struct{ method, path, body string }

// Everything in a tenant is numbered from its base.
var bases = map[string]int{"acme": 100, "globex": 200}

var (
	userNames  = []string{"boss", "mallory", "ann", "bob", "gone", "late", "deep", "keeper", "second"}
	groupNames = []string{"admins", "middle", "below", "staff", "company", "doomed", "keepers", "plain", "mine"}
	roles      = map[string]string{
		"admin":   "admin",
		"writer":  "users.read, users.write, groups.read, groups.write, members.read, members.write",
		"reader":  "users.read, groups.read, members.read",
		"members": "members.read",
		"names":   "users.read, groups.read",
		"bare":    "",
		"keeper":  "admin", // for a user who is less
		"gone":    "admin", // for a suspended user
		"second":  "admin", // for an administrator
	}
)

func user(tenant, name string) thing {
	n := bases[tenant] + 1 + slices.Index(userNames, name)
	return thing{name, n, 1000_0000_0001 + int64(n)*1_0000}
}

func group(tenant, name string) thing {
	n := bases[tenant] + 51 + slices.Index(groupNames, name)
	return thing{name, n, 1000_0000 + int64(n)}
}

func secret(kind, tenant, role string) string {
	sum := sha256.Sum256([]byte(kind + tenant + role))
	h := hex.EncodeToString(sum[:])
	switch kind {
	case "native":
		return "roster_" + h[:40]
	case "syncano_account":
		return h[:39] + "0"
	case "dronahq":
		return h[:50]
	}
	return h[:40]
}

func tokenCode(tenant, role string) int64 {
	names := []string{"admin", "writer", "reader", "members", "bare", "keeper", "gone", "second", "names"}
	return 1000_0000 + int64(bases[tenant]+slices.Index(names, role))*10
}

// file is the directory: two tenants alike in all but their numbers.
func file() string {
	var b strings.Builder
	b.WriteString("tenants:\n")
	for _, tenant := range []string{"acme", "globex"} {
		base := bases[tenant]
		fmt.Fprintf(&b, "  - name: %s\n    code: %d\n    users:\n", tenant, 1000_0000+base)
		for _, name := range userNames {
			u := user(tenant, name)
			fmt.Fprintf(&b, "      - {name: %s, id: %s, number: %d, code: %d, person_code: %d, email: %s, suspended: %v", name, u.id(), u.number, u.code, u.person(), u.email(), name == "gone")
			if name == "mallory" { // who bears others' numbers, elsewhere
				fmt.Fprintf(&b, `, external_ids: {hr: "%d", ldap: %s}`, base+1, user(tenant, "boss").id())
			}
			if name == "deep" {
				fmt.Fprintf(&b, `, external_ids: {syncano-profile: "%d"}`, base+40)
			}
			b.WriteString("}\n")
		}
		fmt.Fprintf(&b, "      - {name: \"%d\", number: %d}\n", base+1, base+30) // called as boss is numbered
		b.WriteString("    groups:\n")
		for _, g := range []struct{ name, more string }{
			{"admins", "grants: [admin], members: [boss, second, {group: middle}]"},
			{"middle", "members: [{group: below}]"},
			{"below", "members: [deep]"},
			{"staff", "members: [ann, gone, {user: late, valid_until: 2026-01-01T00:00:00Z}]"},
			{"company", "members: [bob, {group: staff}]"},
			{"doomed", "members: [ann]"},
			{"keepers", "grants: [users.read, users.write, groups.read, groups.write, members.read, members.write], members: [keeper]"},
			{"plain", "description: kept"},
			{"mine", "members: [mallory]"},
		} {
			x := group(tenant, g.name)
			fmt.Fprintf(&b, "      - {name: %s, id: %s, number: %d, code: %d, %s}\n", g.name, x.id(), x.number, x.code, g.more)
		}
		fmt.Fprintf(&b, "      - {name: \"%d\", number: %d}\n", base+51, base+90) // called as admins is numbered
		b.WriteString("    credentials:\n")
		for _, role := range slices.Sorted(maps.Keys(roles)) {
			for i, kind := range []string{"softwareone", "native", "syncano_account", "contensis_client", "dronahq"} {
				more := fmt.Sprintf(", code: %d", tokenCode(tenant, role)+int64(i))
				if role == "keeper" || role == "gone" || role == "second" {
					more += ", user: " + role
				}
				if kind == "contensis_client" {
					more += ", handle: " + tenant + "-" + role
				}
				fmt.Fprintf(&b, "      - {kind: %s, name: %s, grants: [%s], secret: \"%s\"%s}\n", kind, role, roles[role], secret(kind, tenant, role), more)
			}
		}
		for i, grants := range []string{"groups.read, members.read", "users.read, users.write, groups.read, members.read"} {
			fmt.Fprintf(&b, "      - {kind: syncano_api_key, name: app %d, code: %d, grants: [%s], secret: \"%s\", attributes: {syncano: {ignore_acl: %v}}}\n", i, 900+base+i, grants, appKey(tenant, i), i == 1)
		}
		for i, name := range []string{"ann", "boss", "second"} {
			fmt.Fprintf(&b, "      - {kind: syncano_user_key, name: of %s, user: %s, code: %d, secret: \"%s\"}\n", name, name, 910+base+i, userKey(tenant, name))
		}
		fmt.Fprintf(&b, "      - {kind: dronahq, name: of an app, grants: [admin], code: %d, secret: %s, attributes: {dronahq: {groups: [%d]}}}\n", 920+base, secret("dronahq", tenant, "app"), group(tenant, "staff").number)
	}
	return strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(b.String(), "{group: middle}", `{group: "name:middle"}`), "{group: below}", `{group: "name:below"}`), "{group: staff}", `{group: "name:staff"}`)
}

func appKey(tenant string, i int) string { return secret("", tenant, fmt.Sprint("app", i))[:39] + "1" }
func userKey(tenant, of string) string   { return secret("", tenant, "of"+of)[:39] + "0" }

// house is one directory behind all doors.
type house struct {
	*directorytest.World
	handler http.Handler
	doors   []dialect.Door
	tokens  map[string]string // of Contensis' clients, by handle
}

func open(t *testing.T) *house {
	t.Helper()
	h := &house{World: directorytest.New(t, nil), tokens: map[string]string{}}
	f, err := apply.Read(strings.NewReader(file()))
	if err != nil {
		t.Fatal(err)
	}
	a := &apply.Applier{Directory: h.Directory, Authn: h.Authn}
	if _, err := a.Apply(t.Context(), directorytest.Root(), f, false); err != nil {
		t.Fatal(err)
	}
	h.serve(t)
	return h
}

// forgetful is the house behind a directory whose index holds next to nothing, so
// that tenants are read in and dropped all the time. The house itself must not be
// used any more: an embedded store has one directory.
func (h *house) forgetful(t *testing.T) *house {
	t.Helper()
	d := directory.New(h.Store, directory.Options{Clock: h.Clock.Now, IndexBudget: 1})
	t.Cleanup(d.Close)
	sealer, err := authn.NewSealer(make([]byte, 32)) // as the world's
	if err != nil {
		t.Fatal(err)
	}
	w := *h.World
	w.Directory, w.Authn = d, authn.New(d, sealer, slog.New(slog.DiscardHandler))
	f := &house{World: &w, tokens: map[string]string{}}
	f.serve(t)
	return f
}

func (h *house) serve(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for _, make := range doors {
		h.doors = append(h.doors, make(dialect.Deps{Directory: h.Directory, Authn: h.Authn, Log: log}))
	}
	h.handler = wire.Logged(log, Mount(h.doors, http.HandlerFunc(nowhere)), func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %.200s panicked", r.Method, r.URL)
		failed(w, r)
	})
}

// token signs a client in as Contensis' clients do; "" if it is refused.
func (h *house) token(tenant, role string) string {
	handle := tenant + "-" + role
	if token, ok := h.tokens[handle]; ok {
		return token
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {handle}, "client_secret": {secret("contensis_client", tenant, role)}}
	r := httptest.NewRequest("POST", "/authenticate/connect/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := httptest.NewRecorder()
	h.handler.ServeHTTP(rec, r)
	var answer struct {
		Token string `json:"access_token"`
	}
	_ = json.Unmarshal(rec.Body.Bytes(), &answer) // a refusal holds none
	h.tokens[handle] = answer.Token
	return answer.Token
}

// reply is what came back.
type reply struct {
	status int
	text   string
}

func (r reply) json(t *testing.T) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(r.text), &v); err != nil {
		t.Fatalf("status %d, and no JSON: %.300s", r.status, r.text)
	}
	return v
}

// send sends a request through a door in a role of a tenant; without one if role
// is "".
func (h *house) send(c *client, tenant, role string, q one, header ...string) reply {
	r := httptest.NewRequest(q.method, q.path, strings.NewReader(q.body))
	if q.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if role != "" {
		c.sign(h, r, tenant, role)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	h.handler.ServeHTTP(rec, r)
	body, _ := io.ReadAll(rec.Result().Body)
	return reply{rec.Code, string(body)}
}

func (h *house) root(t *testing.T, tenant string) directory.Principal {
	t.Helper()
	found, err := h.FindTenant(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	return directorytest.In(directorytest.Root(), found.ID)
}

// state is how far both tenants have come.
func (h *house) state(t *testing.T) [2]directory.Revision {
	t.Helper()
	var out [2]directory.Revision
	for i, tenant := range []string{"acme", "globex"} {
		a, err := h.Tenant(t.Context(), h.root(t, tenant))
		if err != nil {
			t.Fatal(err)
		}
		out[i] = a.Revision
	}
	return out
}

// standing are the names of all who stand in a group, whether or not they hold.
func (h *house) standing(t *testing.T, tenant, name string) []string {
	t.Helper()
	found, err := h.Members(t.Context(), h.root(t, tenant), directory.ListMembers{Group: directory.ByNumber(int64(group(tenant, name).number)), Standing: true})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range found.Value.Items {
		if m.User != nil {
			names = append(names, m.User.Name)
		} else {
			names = append(names, "group "+m.Group.Name)
		}
	}
	slices.Sort(names)
	return names
}

// refused sends what must not be done: nothing is written, whatever is said.
func (h *house) refused(t *testing.T, c *client, tenant, role string, q one, header ...string) reply {
	t.Helper()
	h.warm(c, tenant, role)
	before := h.state(t)
	got := h.send(c, tenant, role, q, header...)
	if after := h.state(t); after != before {
		t.Errorf("%s %s %s by the %s of %s: %d %.200s; it wrote something", q.method, q.path, q.body, role, tenant, got.status, got.text)
	}
	// An answer that says of each item what became of it is 200 when all failed.
	if got.status >= 500 || got.status < 400 && !strings.HasPrefix(c.name, "dronahq") {
		t.Errorf("%s %s %s by the %s of %s: %d %.200s; want a refusal", q.method, q.path, q.body, role, tenant, got.status, got.text)
	}
	return got
}

// done sends what must be done, so that a refusal beside it shows something.
func (h *house) done(t *testing.T, c *client, tenant, role string, q one) reply {
	t.Helper()
	h.warm(c, tenant, role)
	before := h.state(t)
	got := h.send(c, tenant, role, q)
	if after := h.state(t); got.status >= 300 || after == before {
		t.Errorf("%s %s %s by the %s of %s: %d %.300s; want that it is done", q.method, q.path, q.body, role, tenant, got.status, got.text)
	}
	return got
}

// warm signs in first, which writes a credential.
func (h *house) warm(c *client, tenant, role string) {
	if c.name == "contensis" && role != "" {
		h.token(tenant, role)
	}
}

// client is a door as its clients use it. What a door has no request for is nil.
type client struct {
	name, door string
	mine       func(pattern string) bool
	sign       func(h *house, r *http.Request, tenant, role string)

	add, remove, nest       func(tenant string, member, group thing) one
	createInto              func(tenant, name string, group thing) []one // the last creates
	suspend, activate       func(tenant string, user thing) one
	deleteUser, deleteGroup func(tenant string, x thing) one
	newGroup                func(tenant, name string) one

	// list asks who is in a group, and inside reads the answer; by name.
	list   func(tenant string, group thing) one
	inside func(t *testing.T, group thing, r reply) []string

	// listAll asks for members through groups, too; check asks about one.
	listAll func(tenant string, group thing) one
	check   func(t *testing.T, h *house, c *client, tenant string, user, group thing) bool

	// bodies are for the routes that write, by method and pattern, for users
	// mallory and bob and group plain.
	bodies map[string]string
}

func bearer(kind string) func(h *house, r *http.Request, tenant, role string) {
	return func(h *house, r *http.Request, tenant, role string) {
		r.Header.Set("Authorization", "Bearer "+secret(kind, tenant, role))
	}
}

// texts are all texts at a path such as "items.*.user.name".
func texts(v any, path ...string) []string {
	if len(path) == 0 {
		s, _ := v.(string)
		return []string{s}
	}
	var out []string
	if path[0] == "*" {
		list, _ := v.([]any)
		for _, e := range list {
			out = append(out, texts(e, path[1:]...)...)
		}
		return out
	}
	m, _ := v.(map[string]any)
	if next, ok := m[path[0]]; ok {
		return texts(next, path[1:]...)
	}
	return nil
}

func at(path string) func(t *testing.T, _ thing, r reply) []string {
	return func(t *testing.T, _ thing, r reply) []string {
		t.Helper()
		names := texts(r.json(t), strings.Split(path, ".")...)
		for i, n := range names {
			names[i], _, _ = strings.Cut(n, "@")
		}
		slices.Sort(names)
		return names
	}
}

func inTenant(tenant, rest string) string   { return "/api/v1/tenants/" + tenant + rest }
func inInstance(tenant, rest string) string { return "/v1.1/instances/" + tenant + rest }

const security = "/api/management/security"

var clients = []*client{
	{
		name: "native", door: "native", sign: bearer("native"), mine: all,
		add: func(tenant string, u, g thing) one {
			return one{"PUT", inTenant(tenant, "/groups/"+g.id()+"/members/"+u.id()), ""}
		},
		remove: func(tenant string, u, g thing) one {
			return one{"DELETE", inTenant(tenant, "/groups/"+g.id()+"/members/"+u.id()), ""}
		},
		nest: func(tenant string, c, g thing) one {
			return one{"PUT", inTenant(tenant, "/groups/"+g.id()+"/members/group:"+c.id()), ""}
		},
		createInto: func(tenant, name string, g thing) []one {
			return []one{{"POST", inTenant(tenant, "/users"), `{"name":"` + name + `","groups":[` + g.native() + `]}`}}
		},
		suspend: func(tenant string, u thing) one {
			return one{"PATCH", inTenant(tenant, "/users/"+u.id()), `{"suspended":true}`}
		},
		activate: func(tenant string, u thing) one {
			return one{"PATCH", inTenant(tenant, "/users/"+u.id()), `{"suspended":false}`}
		},
		deleteUser:  func(tenant string, u thing) one { return one{"DELETE", inTenant(tenant, "/users/"+u.id()), ""} },
		deleteGroup: func(tenant string, g thing) one { return one{"DELETE", inTenant(tenant, "/groups/"+g.id()), ""} },
		newGroup: func(tenant, name string) one {
			return one{"POST", inTenant(tenant, "/groups"), `{"name":"` + name + `"}`}
		},
		list: func(tenant string, g thing) one {
			return one{"GET", inTenant(tenant, "/groups/"+g.id()+"/members"), ""}
		},
		listAll: func(tenant string, g thing) one {
			return one{"GET", inTenant(tenant, "/groups/"+g.id()+"/members?transitive=true"), ""}
		},
		inside: at("items.*.user.name"),
		check: func(t *testing.T, h *house, c *client, tenant string, u, g thing) bool {
			got := h.send(c, tenant, "admin", one{"GET", inTenant(tenant, "/check?user="+u.id()+"&group="+g.id()), ""})
			return strings.HasPrefix(got.text, `{"member":true`)
		},
		bodies: map[string]string{
			"PATCH /api/v1/tenants/{tenant}":                                  `{"title":"x"}`,
			"POST /api/v1/tenants/{tenant}/users":                             `{"name":"new"}`,
			"PATCH /api/v1/tenants/{tenant}/users/{user}":                     `{"given_name":"x"}`,
			"DELETE /api/v1/tenants/{tenant}/users/{user}":                    ``,
			"POST /api/v1/tenants/{tenant}/groups":                            `{"name":"new"}`,
			"PATCH /api/v1/tenants/{tenant}/groups/{group}":                   `{"description":"x"}`,
			"DELETE /api/v1/tenants/{tenant}/groups/{group}":                  ``,
			"POST /api/v1/tenants/{tenant}/groups/{group}/members:batch":      `{"mode":"atomic","add":["BOB"]}`,
			"PUT /api/v1/tenants/{tenant}/groups/{group}/members/{member}":    ``,
			"PATCH /api/v1/tenants/{tenant}/groups/{group}/members/{member}":  `{"reason":"x"}`,
			"DELETE /api/v1/tenants/{tenant}/groups/{group}/members/{member}": ``,
			"POST /api/v1/tenants/{tenant}/memberships:batch":                 `{"mode":"atomic","operations":[{"op":"remove","members":["BOB"],"groups":["PLAIN"]}]}`,
			"POST /api/v1/tenants/{tenant}/keys":                              `{"name":"x","grants":["users.read"]}`,
		},
	},
	{
		name: "syncano", door: "syncano", mine: all,
		sign: func(_ *house, r *http.Request, tenant, role string) {
			r.Header.Set("X-API-KEY", secret("syncano_account", tenant, role))
		},
		add: func(tenant string, u, g thing) one {
			return one{"POST", inInstance(tenant, fmt.Sprintf("/users/%d/groups/", u.number)), fmt.Sprintf(`{"group":%d}`, g.number)}
		},
		remove: func(tenant string, u, g thing) one {
			return one{"DELETE", inInstance(tenant, fmt.Sprintf("/groups/%d/users/%d/", g.number, u.number)), ""}
		},
		deleteUser: func(tenant string, u thing) one {
			return one{"DELETE", inInstance(tenant, fmt.Sprintf("/users/%d/", u.number)), ""}
		},
		deleteGroup: func(tenant string, g thing) one {
			return one{"DELETE", inInstance(tenant, fmt.Sprintf("/groups/%d/", g.number)), ""}
		},
		newGroup: func(tenant, name string) one {
			return one{"POST", inInstance(tenant, "/groups/"), `{"label":"` + name + `"}`}
		},
		list: func(tenant string, g thing) one {
			return one{"GET", inInstance(tenant, fmt.Sprintf("/groups/%d/users/", g.number)), ""}
		},
		inside: at("objects.*.user.username"),
		check: func(t *testing.T, h *house, c *client, tenant string, u, g thing) bool {
			got := h.send(c, tenant, "admin", one{"GET", inInstance(tenant, fmt.Sprintf("/groups/%d/users/%d/", g.number, u.number)), ""})
			return got.status == 200
		},
		bodies: map[string]string{
			"PATCH /v1.1/instances/{instance}/":                              `{"description":"x"}`,
			"PUT /v1.1/instances/{instance}/":                                `{"description":"y"}`,
			"POST /v1.1/instances/{instance}/api_keys/":                      `{"description":"x"}`,
			"PATCH /v1.1/instances/{instance}/api_keys/{id}/":                `{"description":"x"}`,
			"PUT /v1.1/instances/{instance}/api_keys/{id}/":                  `{"description":"y"}`,
			"POST /v1.1/instances/{instance}/api_keys/{id}/reset_key/":       ``,
			"DELETE /v1.1/instances/{instance}/api_keys/{id}/":               ``,
			"POST /v1.1/instances/{instance}/users/":                         `{"username":"new","password":"x"}`,
			"PATCH /v1.1/instances/{instance}/users/{id}/":                   `{"username":"xx"}`,
			"PUT /v1.1/instances/{instance}/users/{id}/":                     `{"username":"mallory","password":"x"}`,
			"POST /v1.1/instances/{instance}/users/{id}/reset_key/":          ``,
			"DELETE /v1.1/instances/{instance}/users/{id}/":                  ``,
			"POST /v1.1/instances/{instance}/users/{user}/groups/":           `{"group":PLAIN}`,
			"DELETE /v1.1/instances/{instance}/users/{user}/groups/{id}/":    ``,
			"POST /v1.1/instances/{instance}/groups/":                        `{"label":"new"}`,
			"PATCH /v1.1/instances/{instance}/groups/{id}/":                  `{"label":"x"}`,
			"PUT /v1.1/instances/{instance}/groups/{id}/":                    `{"label":"y"}`,
			"DELETE /v1.1/instances/{instance}/groups/{id}/":                 ``,
			"POST /v1.1/instances/{instance}/groups/{group}/users/":          `{"user":BOB}`,
			"PUT /v1.1/instances/{instance}/classes/{id}/":                   `{"description":"x"}`,
			"PATCH /v1.1/instances/{instance}/classes/{id}/":                 `{"description":"y"}`,
			"POST /v1.1/instances/{instance}/classes/{class}/objects/{id}/":  `{"other_permissions":"read"}`,
			"PATCH /v1.1/instances/{instance}/classes/{class}/objects/{id}/": `{"group_permissions":"read"}`,
		},
	},
	{
		name: "contensis", door: "contensis", mine: all,
		sign: func(h *house, r *http.Request, tenant, role string) {
			r.Header.Set("Authorization", "Bearer "+h.token(tenant, role))
		},
		add: func(_ string, u, g thing) one {
			return one{"PUT", security + "/groups/" + g.id() + "/users/" + u.id(), ""}
		},
		remove: func(_ string, u, g thing) one {
			return one{"DELETE", security + "/groups/" + g.id() + "/users/" + u.id(), ""}
		},
		nest: func(_ string, c, g thing) one {
			return one{"POST", security + "/groups/" + g.id() + "/groups", `[` + c.native() + `]`}
		},
		// Users join by the domain of their address.
		createInto: func(_ string, name string, g thing) []one {
			return []one{
				{"PUT", security + "/groups/" + g.id(), `{"autoMembershipEmailDomains":["` + g.name + `.example"]}`},
				{"POST", security + "/users", `{"username":"` + name + `","email":"` + name + `@` + g.name + `.example"}`},
			}
		},
		suspend: func(_ string, u thing) one {
			return one{"POST", security + "/users/" + u.id() + "/actions", `{"type":"suspend"}`}
		},
		activate: func(_ string, u thing) one {
			return one{"POST", security + "/users/" + u.id() + "/actions", `{"type":"unsuspend"}`}
		},
		deleteUser:  func(_ string, u thing) one { return one{"DELETE", security + "/users/" + u.id(), ""} },
		deleteGroup: func(_ string, g thing) one { return one{"DELETE", security + "/groups/" + g.id(), ""} },
		newGroup:    func(_, name string) one { return one{"POST", security + "/groups", `{"name":"` + name + `"}`} },
		list:        func(_ string, g thing) one { return one{"GET", security + "/groups/" + g.id() + "/users", ""} },
		listAll: func(_ string, g thing) one {
			return one{"GET", security + "/groups/" + g.id() + "/users?includeInherited=true", ""}
		},
		inside: at("items.*.username"),
		check: func(t *testing.T, h *house, c *client, tenant string, u, g thing) bool {
			got := h.send(c, tenant, "admin", one{"HEAD", security + "/groups/" + g.id() + "/users/" + u.id(), ""})
			return got.status == 204
		},
		bodies: map[string]string{
			"POST /api/management/security/users":                             `{"username":"new"}`,
			"PUT /api/management/security/users/{user}":                       `{"firstName":"x"}`,
			"PATCH /api/management/security/users/{user}":                     `{"firstName":"y"}`,
			"DELETE /api/management/security/users/{user}":                    ``,
			"POST /api/management/security/users/{user}/credentials/password": `{"new":"SoapIsTheYardstick1"}`,
			"POST /api/management/security/users/{user}/actions":              `{"type":"suspend"}`,
			"POST /api/management/security/groups":                            `{"name":"new"}`,
			"PUT /api/management/security/groups/{group}":                     `{"description":"x"}`,
			"DELETE /api/management/security/groups/{group}":                  ``,
			"POST /api/management/security/groups/{group}/users":              `["BOB"]`,
			"PUT /api/management/security/groups/{group}/users/{user}":        ``,
			"DELETE /api/management/security/groups/{group}/users/{user}":     ``,
			"POST /api/management/security/groups/{group}/groups":             `["DOOMED"]`,
			"PUT /api/management/security/groups/{group}/groups/{child}":      ``,
			"DELETE /api/management/security/groups/{group}/groups/{child}":   ``,
		},
	},
	{
		name: "dronahq A", door: "dronahq", sign: bearer("dronahq"),
		mine: func(pattern string) bool { return !strings.HasPrefix(pattern, "/api/public") },
		add: func(_ string, u, g thing) one {
			return one{"POST", fmt.Sprintf("/groups/%d/actions/assign_user", g.number), fmt.Sprintf(`{"assign":[%d]}`, u.number)}
		},
		remove: func(_ string, u, g thing) one {
			return one{"POST", fmt.Sprintf("/groups/%d/actions/assign_user", g.number), fmt.Sprintf(`{"remove":[%d]}`, u.number)}
		},
		createInto: func(_, name string, g thing) []one { return []one{{"POST", "/users", invitation(name, g)}} },
		suspend: func(_ string, u thing) one {
			return one{"DELETE", "/users", `{"list_user_email":["` + u.email() + `"]}`}
		},
		activate: func(_ string, u thing) one { return one{"PUT", "/users", `{"list_user_email":["` + u.email() + `"]}`} },
		list:     func(_ string, g thing) one { return one{"GET", fmt.Sprintf("/users?gid=%d", g.number), ""} },
		inside:   at("*.user_email"),
		check: func(t *testing.T, h *house, c *client, tenant string, u, g thing) bool {
			got := h.send(c, tenant, "admin", one{"GET", fmt.Sprintf("/users/%d", u.number), ""})
			return got.status == 200 && slices.Contains(texts(got.json(t), "user_group", "*", "grp_name"), g.name)
		},
		bodies: map[string]string{
			"POST /users":   `{"pre_register":true,"invitee_user":[{"user_name":"n","user_email":"new@a.example","user_password":"Secret-word-1","user_group_name":["plain"]}]}`,
			"PUT /users":    `{"list_user_email":["gone@hidden.example"]}`,
			"DELETE /users": `{"list_user_email":["mallory@hidden.example"]}`,
			"PUT /users/{userId}/actions/change_group":   `{"assign_group":["plain"]}`,
			"POST /groups/{groupId}/actions/assign_user": `{"assign":[BOB]}`,
			"PUT /groups/{groupId}/actions/assign_user":  `{"remove":[BOB]}`,
		},
	},
	{
		name: "dronahq B", door: "dronahq", sign: bearer("dronahq"),
		mine: func(pattern string) bool { return strings.HasPrefix(pattern, "/api/public") },
		add: func(_ string, u, g thing) one {
			return one{"PUT", fmt.Sprintf("/api/public/users/%d/actions/change_group", u.number), `{"assign_group":["` + g.name + `"]}`}
		},
		remove: func(_ string, u, g thing) one {
			return one{"PUT", fmt.Sprintf("/api/public/users/%d/actions/change_group", u.number), `{"remove_group":["` + g.name + `"]}`}
		},
		createInto: func(_, name string, g thing) []one { return []one{{"POST", "/api/public/users", invitation(name, g)}} },
		suspend: func(_ string, u thing) one {
			return one{"DELETE", "/api/public/users/deactivate", `{"list_user_email":["` + u.email() + `"]}`}
		},
		activate: func(_ string, u thing) one {
			return one{"PUT", "/api/public/users/activate", `{"list_user_email":["` + u.email() + `"]}`}
		},
		list:   func(_ string, g thing) one { return one{"GET", fmt.Sprintf("/api/public/users?gid=%d", g.number), ""} },
		inside: at("*.user_email"),
		check: func(t *testing.T, h *house, c *client, tenant string, u, g thing) bool {
			got := h.send(c, tenant, "admin", one{"GET", fmt.Sprintf("/api/public/users/%d", u.number), ""})
			return got.status == 200 && slices.Contains(texts(got.json(t), "user_group", "*", "grp_name"), g.name)
		},
		bodies: map[string]string{
			"POST /api/public/users":                              `{"pre_register":true,"invitee_user":[{"user_name":"n","user_email":"new@b.example","user_password":"Secret-word-1","user_group_name":["plain"]}]}`,
			"PUT /api/public/users/activate":                      `{"list_user_email":["gone@hidden.example"]}`,
			"DELETE /api/public/users/deactivate":                 `{"list_user_email":["mallory@hidden.example"]}`,
			"PUT /api/public/users/{userId}/actions/change_group": `{"assign_group":["plain"]}`,
		},
	},
	{
		name: "softwareone", door: "softwareone", mine: all,
		sign: func(_ *house, r *http.Request, tenant, role string) {
			code := tokenCode(tenant, role)
			r.Header.Set("Authorization", fmt.Sprintf("Bearer idt:%s:%s", coded("TKN", code), secret("softwareone", tenant, role)))
		},
		add: func(tenant string, u, g thing) one {
			return one{"POST", "/v1/accounts/" + account(tenant) + "/users/" + coded("USR", u.person()) + "/groups", `{"id":"` + coded("UGR", g.code) + `"}`}
		},
		// The answer to an assignment shows who else is there.
		list: func(tenant string, g thing) one {
			return one{"POST", "/v1/accounts/" + account(tenant) + "/users/" + coded("USR", user(tenant, "ann").person()) + "/groups", `{"id":"` + coded("UGR", g.code) + `"}`}
		},
		inside: func(t *testing.T, g thing, r reply) []string {
			t.Helper()
			var names []string
			m, _ := r.json(t).(map[string]any)
			groups, _ := m["groups"].([]any)
			for _, e := range groups {
				if texts(e, "id")[0] == coded("UGR", g.code) {
					for _, email := range texts(e, "users", "*", "email") {
						name, _, _ := strings.Cut(email, "@")
						names = append(names, name)
					}
				}
			}
			slices.Sort(names)
			return names
		},
		bodies: map[string]string{
			"POST /v1/accounts/{accountId}/users/{userId}/groups": `{"id":"PLAIN"}`,
		},
	},
}

func all(string) bool { return true }

func coded(prefix string, code int64) string {
	return fmt.Sprintf("%s-%04d-%04d", prefix, code/1_0000, code%1_0000)
}

func account(tenant string) string { return coded("ACC", 1000_0000+int64(bases[tenant])) }

func invitation(name string, g thing) string {
	return `{"pre_register":true,"invitee_user":[{"user_name":"` + name + `","user_email":"` + name + `@new.example","user_password":"Secret-word-1","user_group_name":["` + g.name + `"]}]}`
}

// routes are those of a client's door that are its own.
func (h *house) routes(c *client) []dialect.Route {
	var out []dialect.Route
	for _, d := range h.doors {
		for _, r := range d.Routes {
			if d.Name == c.door && c.mine(r.Pattern) {
				out = append(out, r)
			}
		}
	}
	return out
}

// fill puts names into a pattern: of a tenant, and of a user and a group of
// perhaps others.
func fill(c *client, pattern, tenant string, u, g thing) string {
	segments := strings.Split(pattern, "/")
	raw := slices.Clone(segments)
	for i, s := range segments {
		if !strings.HasPrefix(s, "{") {
			continue
		}
		if s == "{id}" { // what it names depends on where it stands
			s = "{" + map[string]string{"users": "user", "groups": "group", "classes": "class", "objects": "user", "account-users": "account-user", "api_keys": "api-key"}[raw[i-1]] + "}"
		}
		switch s {
		case "{tenant}", "{instance}":
			s = tenant
		case "{accountId}":
			s = account(tenant)
		case "{class}":
			s = "user_profile"
		case "{backend}":
			s = "github"
		case "{api-key}":
			s = fmt.Sprint(900 + u.number - u.number%100)
		case "{key}":
			s = u.id()
		case "{account-user}":
			s = fmt.Sprintf("AUSR-%04d-%04d-%04d", u.code/1_0000_0000, u.code/1_0000%1_0000, u.code%1_0000)
		case "{user}", "{userId}", "{member}":
			s = name(c, u, false)
		case "{group}", "{groupId}", "{groups}":
			s = name(c, g, true)
		case "{child}":
			s = group("acme", "mine").id()
			if u.number > bases["globex"] {
				s = group("globex", "mine").id()
			}
		}
		segments[i] = s
	}
	return strings.Join(segments, "/")
}

func name(c *client, x thing, isGroup bool) string {
	switch c.door {
	case "syncano", "dronahq":
		return fmt.Sprint(x.number)
	case "softwareone":
		if isGroup {
			return coded("UGR", x.code)
		}
		return coded("USR", x.person())
	}
	return x.id()
}

// body is what a route that writes is sent, with names of a tenant in it.
func (c *client) body(method, pattern, tenant string) (string, bool) {
	if c.door == "softwareone" {
		pattern = "/v1/accounts/{accountId}/users/{userId}/groups" // every route means the same
	}
	pattern = strings.Replace(pattern, "/api/security", security, 1)
	if strings.HasPrefix(pattern, "/v1/instances") {
		pattern = "/v1.1" + strings.TrimPrefix(pattern, "/v1")
	}
	text, ok := c.bodies[method+" "+pattern]
	for word, x := range map[string]thing{"BOB": user(tenant, "bob"), "PLAIN": group(tenant, "plain"), "DOOMED": group(tenant, "doomed")} {
		text = strings.ReplaceAll(text, word, name(c, x, word != "BOB"))
	}
	return text, ok
}
