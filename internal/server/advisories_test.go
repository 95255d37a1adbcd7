package server

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// lastAdvisory is how many failures of systems like this one are known.
const lastAdvisory = 25

// advisory is the lesson of one such failure, and how every door is held to it.
type advisory struct {
	number   int
	sentence string
	test     func(t *testing.T, c *client)
}

var advisories = []advisory{
	{1, "adding to a group requires holding what it grants, on add and on create with groups", adding},
	{2, "delegated rights are closed under composition", composing},
	{3, "ancestors and paths are filtered too", ancestors},
	{4, "one layer authorises under all doors", oneLayer},
	{5, "what may be seen of a thing travels with it", fieldRights},
	{6, "off means off", switchedOff},
	{7, "rights go by immutable id, inside the transaction", immutable},
	{8, "nobody assigns above their own", aboveOwn},
	{9, "deny by default", denied},
	{10, "what was invited is authorised again when it is accepted", accepting},
	{11, "guards see rights that come through groups", through},
	{12, "keys in odd case or with dots pass for nothing", oddKeys},
	{13, "a key's grants are an upper bound, on every route that writes", readOnly},
	{14, "external and numeric ids live in their own namespaces", namespaces},
	{15, "a shared address carries no rights", sharedAddress},
	{16, "the last administrator stays, on every path", lastOne},
	{17, "the tenant comes from the credential and the object", tenantOf},
	{18, "another tenant's ids find nothing, on every route", guessing},
	{19, "suspended, deleted and expired are out of every answer", outOfAnswers},
	{20, "the index holds only complete states", complete},
	{21, "nothing that is remembered misses part of the question", remembered},
	{22, "equal items of a batch get their own answers", equalItems},
	{23, "list and check agree", agreeing},
	{24, "hostile requests neither crash a door nor write", hostile},
	{25, "what a body does not name stays", partial},
}

func TestEveryAdvisoryOnEveryDoor(t *testing.T) {
	for _, row := range advisories {
		for _, c := range clients {
			t.Run(fmt.Sprintf("advisory %d: %s/%s", row.number, row.sentence, c.name), func(t *testing.T) {
				t.Parallel() // each has a directory of its own
				row.test(t, c)
			})
		}
	}
}

func TestNoAdvisoryAndNoDoorIsForgotten(t *testing.T) {
	for i := range lastAdvisory {
		if i >= len(advisories) || advisories[i].number != i+1 {
			t.Fatalf("advisory %d is not in the table", i+1)
		}
	}
	for _, row := range advisories {
		if row.test == nil {
			t.Errorf("advisory %d is not tested", row.number)
		}
	}
	for _, d := range allDoors(t) {
		for _, r := range d.Routes {
			n := 0
			for _, c := range clients {
				if c.door == d.Name && c.mine(r.Pattern) {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%s %s of %s belongs to %d clients of the table, want 1", r.Method, r.Pattern, d.Name, n)
			}
		}
	}
}

func adding(t *testing.T, c *client) {
	h := open(t)
	mallory, admins := user("acme", "mallory"), group("acme", "admins")
	h.refused(t, c, "acme", "writer", c.add("acme", mallory, admins))
	h.done(t, c, "acme", "writer", c.add("acme", mallory, group("acme", "plain")))
	if c.createInto != nil {
		steps := c.createInto("acme", "puppet", admins)
		for _, q := range steps[:len(steps)-1] {
			h.refused(t, c, "acme", "writer", q)
			h.done(t, c, "acme", "admin", q) // only an administrator can have laid this trap
		}
		h.refused(t, c, "acme", "writer", steps[len(steps)-1])
		for _, q := range c.createInto("acme", "fellow", group("acme", "plain")) {
			h.done(t, c, "acme", "writer", q)
		}
	}
	if c.nest != nil {
		h.refused(t, c, "acme", "writer", c.nest("acme", group("acme", "mine"), admins))
		h.done(t, c, "acme", "writer", c.nest("acme", group("acme", "mine"), group("acme", "plain")))
	}
}

func composing(t *testing.T, c *client) {
	h := open(t)
	mallory, mine, plain := user("acme", "mallory"), group("acme", "mine"), group("acme", "plain")
	if c.newGroup != nil {
		h.done(t, c, "acme", "writer", c.newGroup("acme", "own"))
	}
	h.done(t, c, "acme", "writer", c.add("acme", mallory, plain))
	// A group that somebody else puts below a privileged one is privileged from then on.
	link := directory.MembersChange{Group: directory.ByNumber(int64(group("acme", "below").number)), Add: []directory.MemberRef{{IsGroup: true, Ref: directory.ByNumber(int64(plain.number))}}}
	if _, err := h.ChangeMembers(t.Context(), h.root(t, "acme"), link); err != nil {
		t.Fatal(err)
	}
	h.refused(t, c, "acme", "writer", c.add("acme", user("acme", "bob"), plain))
	if c.remove != nil {
		h.refused(t, c, "acme", "writer", c.remove("acme", mallory, plain))
	}
	link.Add, link.Remove = nil, link.Add
	if _, err := h.ChangeMembers(t.Context(), h.root(t, "acme"), link); err != nil {
		t.Fatal(err)
	}
	h.done(t, c, "acme", "writer", c.add("acme", user("acme", "bob"), plain))
	if c.nest != nil {
		h.done(t, c, "acme", "writer", c.nest("acme", mine, plain))
		for _, privileged := range []string{"admins", "middle", "below"} {
			h.refused(t, c, "acme", "writer", c.nest("acme", plain, group("acme", privileged)))
		}
	}
	switch c.name {
	case "native":
		for _, q := range []one{
			{"POST", inTenant("acme", "/groups"), `{"name":"x","grants":["admin"]}`},
			{"PATCH", inTenant("acme", "/groups/"+mine.id()), `{"grants":["admin"]}`},
			{"POST", inTenant("acme", "/keys"), `{"name":"x","grants":["users.read"]}`},
			{"POST", inTenant("acme", "/memberships:batch"), `{"mode":"atomic","operations":[{"op":"replace_groups","members":[` + mallory.native() + `],"groups":[` + plain.native() + `,` + group("acme", "middle").native() + `]}]}`},
		} {
			h.refused(t, c, "acme", "writer", q)
		}
	case "syncano": // a key that changes users, and an administrator's user key
		for _, q := range []one{
			{"PATCH", inInstance("acme", "/user/"), `{"password":"mine"}`},
			{"PATCH", inInstance("acme", fmt.Sprintf("/users/%d/", user("acme", "boss").number)), `{"password":"mine"}`},
			{"POST", inInstance("acme", fmt.Sprintf("/users/%d/reset_key/", user("acme", "boss").number)), ``},
		} {
			h.refused(t, c, "acme", "", q, "X-API-KEY", appKey("acme", 1), "X-USER-KEY", userKey("acme", "boss"))
		}
	}
}

// ancestors asks with what may not see groups beyond some.
func ancestors(t *testing.T, c *client) {
	h := open(t)
	ann := user("acme", "ann")
	var got reply
	switch c.name {
	case "native":
		for _, path := range []string{"/users/" + ann.id() + "/groups", "/users/" + ann.id() + "/groups?transitive=true", "/groups/" + group("acme", "staff").id() + "/groups", "/explain?user=" + ann.id() + "&group=" + group("acme", "company").id()} {
			if got = h.refused(t, c, "acme", "names", one{"GET", inTenant("acme", path), ""}); strings.Contains(got.text, "company") {
				t.Errorf("%s shows %s", path, got.text)
			}
		}
		for _, path := range []string{"/users/" + ann.id(), "/groups/" + group("acme", "staff").id()} {
			if got = h.send(c, "acme", "names", one{"GET", inTenant("acme", path), ""}); got.status != 200 || strings.Contains(got.text, "company") || strings.Contains(got.text, "doomed") {
				t.Errorf("%s: %d %s", path, got.status, got.text)
			}
		}
	case "contensis":
		for _, path := range []string{"/users/" + ann.id() + "/groups?includeInherited=true", "/groups/" + group("acme", "company").id() + "/groups"} {
			if got = h.refused(t, c, "acme", "names", one{"GET", security + path, ""}); strings.Contains(got.text, "staff") {
				t.Errorf("%s shows %s", path, got.text)
			}
		}
	case "syncano": // a user's key sees that user's groups, and of others' nothing
		for _, path := range []string{fmt.Sprintf("/users/%d/groups/", user("acme", "boss").number), fmt.Sprintf("/users/%d/", user("acme", "boss").number)} {
			r := h.send(c, "acme", "", one{"GET", inInstance("acme", path), ""}, "X-API-KEY", appKey("acme", 0), "X-USER-KEY", userKey("acme", "ann"))
			if r.status < 400 || strings.Contains(r.text, "admins") {
				t.Errorf("%s: %d %s", path, r.status, r.text)
			}
		}
	case "dronahq A": // the key of an app is bound to the groups that are mapped to it
		r := h.send(c, "acme", "", one{"GET", fmt.Sprintf("/users/%d", ann.number), ""}, "Authorization", "Bearer "+secret("dronahq", "acme", "app"))
		if !strings.Contains(r.text, "staff") || strings.Contains(r.text, "doomed") || strings.Contains(r.text, "company") {
			t.Errorf("%d %s; want staff and no other group", r.status, r.text)
		}
		if r = h.send(c, "acme", "", one{"GET", "/users", ""}, "Authorization", "Bearer "+secret("dronahq", "acme", "app")); strings.Contains(r.text, "boss") || strings.Contains(r.text, "doomed") {
			t.Errorf("the list: %d %s", r.status, r.text)
		}
	case "softwareone": // the answer shows the groups that somebody stands in, and none above them
		for _, q := range []one{c.add("acme", ann, group("acme", "plain")), c.add("acme", ann, group("acme", "staff"))} {
			if got = h.refused(t, c, "acme", "names", q); strings.Contains(got.text, "staff") || strings.Contains(got.text, "company") {
				t.Errorf("%s shows %s", q.path, got.text)
			}
			got = h.send(c, "acme", "writer", q) // who may read all groups
			if in := texts(got.json(t), "groups", "*", "name"); !slices.Contains(in, "staff") || slices.Contains(in, "company") {
				t.Errorf("%s: %d, in %v", q.path, got.status, in)
			}
		}
	case "dronahq B": // and opens nothing here
		h.refusedStatus(t, c, one{"GET", fmt.Sprintf("/api/public/users/%d", ann.number), ""}, "Authorization", "Bearer "+secret("dronahq", "acme", "app"))
	}
}

// refusedStatus wants a refusal in the status, from who signs with headers.
func (h *house) refusedStatus(t *testing.T, c *client, q one, header ...string) {
	t.Helper()
	before := h.state(t)
	if got := h.send(c, "acme", "", q, header...); got.status < 400 || got.status >= 500 || h.state(t) != before {
		t.Errorf("%s %s: %d %.200s; want a refusal", q.method, q.path, got.status, got.text)
	}
}

// ownKey ends the path at which any key may exchange its own secret for a new
// one, with which it may do what it could before.
const ownKey = "/account/reset_key/"

func reads(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// oneLayer reads every route with a key that may read nothing.
func oneLayer(t *testing.T, c *client) {
	h := open(t)
	asked := 0
	for _, r := range h.routes(c) {
		if !reads(r.Method) || r.Public != "" {
			continue
		}
		q := one{r.Method, fill(c, r.Pattern, "acme", user("acme", "ann"), group("acme", "staff")), ""}
		got := h.send(c, "acme", "bare", q)
		if asked++; got.status < 400 || got.status >= 500 || strings.Contains(got.text, "hidden.example") {
			t.Errorf("%s %s: %d %.200s; want a refusal", q.method, q.path, got.status, got.text)
		}
	}
	if c.name == "softwareone" { // which reads nothing but what it answers to an assignment
		for _, r := range h.routes(c) {
			path := fill(c, r.Pattern, "acme", user("acme", "ann"), group("acme", "plain"))
			for _, method := range []string{"GET", "HEAD"} {
				if got := h.send(c, "acme", "admin", one{method, path, ""}); got.status < 400 || got.status >= 500 || strings.Contains(got.text, "hidden.example") {
					t.Errorf("%s %s: %d %.200s; want that there is nothing to read", method, path, got.status, got.text)
				}
			}
			body, _ := c.body(r.Method, r.Pattern, "acme")
			for _, role := range []string{"bare", "names", "members"} {
				if got := h.refused(t, c, "acme", role, one{r.Method, path, body}); strings.Contains(got.text, "hidden.example") || strings.Contains(got.text, "staff") {
					t.Errorf("%s %s by %s: %.200s", r.Method, path, role, got.text)
				}
			}
			asked++
		}
	}
	if asked < 2 {
		t.Errorf("%d routes were asked", asked)
	}
}

// fieldRights reads every route with a key that may read memberships alone, and
// wants nobody's address.
func fieldRights(t *testing.T, c *client) {
	h := open(t)
	h.warm(c, "acme", "members")
	before := h.state(t)
	for _, r := range h.routes(c) {
		if r.Public != "" {
			continue
		}
		q := one{r.Method, fill(c, r.Pattern, "acme", user("acme", "ann"), group("acme", "staff")), ""}
		if q.body, _ = c.body(r.Method, r.Pattern, "acme"); !reads(r.Method) && q.body == "" {
			continue
		}
		if got := h.send(c, "acme", "members", q); strings.Contains(got.text, "hidden.example") && !strings.Contains(q.body, "hidden.example") {
			t.Errorf("%s %s: %.300s", q.method, q.path, got.text)
		}
		if h.state(t) != before {
			t.Fatalf("%s %s wrote something", q.method, q.path)
		}
	}
}

// switchedOff knows every setting of a door, each off unless switched on.
func switchedOff(t *testing.T, c *client) {
	h := open(t)
	for _, d := range h.doors {
		if d.Name != c.door {
			continue
		}
		for setting := range d.Settings {
			switch setting {
			case "syncano.registration":
				for _, version := range []string{"/v1.1", "/v1"} {
					h.refused(t, c, "acme", "", one{"POST", version + "/account/register/", `{"email":"a@example.com","password":"x"}`})
				}
				if found, err := h.Users(t.Context(), directory.Principal{Grants: directory.Platform, Credential: h.root(t, "acme").Credential}, directory.ListUsers{}); err != nil || len(found.Value.Items) > 0 {
					t.Errorf("the platform has users %v, %v", found.Value.Items, err)
				}
			case "syncano.throttle": // shows nothing that it would hide
			default:
				t.Errorf("the setting %s has no test of being off", setting)
			}
		}
	}
	// What a door does not have at all is nowhere: an unknown path under its
	// mounts answers as such, to an administrator too.
	for _, d := range h.doors {
		if d.Name == c.door {
			got := h.send(c, "acme", "admin", one{"GET", strings.TrimSuffix(d.Mounts[0], "/") + "/no/such/feature/at/all/", ""})
			if got.status != 404 {
				t.Errorf("a path that is not there: %d %s", got.status, got.text)
			}
		}
	}
}

func immutable(t *testing.T, c *client) {
	h := open(t)
	ctx, root := t.Context(), h.root(t, "acme")
	mallory := user("acme", "mallory")
	// A group that takes the name of another takes none of its openness.
	rename := func(name, to string) {
		t.Helper()
		if _, err := h.UpdateGroup(ctx, root, directory.GroupUpdate{Group: directory.ByNumber(int64(group("acme", name).number)), Name: &to}); err != nil {
			t.Fatal(err)
		}
	}
	rename("plain", "was")
	rename("admins", "plain")
	asPlain := group("acme", "admins")
	asPlain.name = "plain"
	h.refused(t, c, "acme", "writer", c.add("acme", mallory, asPlain))
	if c.name == "native" {
		h.refused(t, c, "acme", "writer", one{"PUT", inTenant("acme", "/groups/name:plain/members/name:mallory"), ""})
	}
	if c.name == "contensis" {
		h.refused(t, c, "acme", "writer", one{"PUT", security + "/groups/plain/users/mallory", ""})
	}
	if c.name == "dronahq A" {
		h.refused(t, c, "acme", "writer", one{"PUT", fmt.Sprintf("/users/%d/actions/change_group", mallory.number), `{"assign_group":["plain"]}`})
	}
	asWas := group("acme", "plain")
	asWas.name = "was"
	h.done(t, c, "acme", "writer", c.add("acme", mallory, asWas))
	// Who bears the name of a deleted administrator has none of its keys.
	h.done(t, c, "acme", "second", c.add("acme", user("acme", "bob"), asWas))
	second := user("acme", "second")
	if _, err := h.DeleteUser(ctx, root, directory.Deletion{Ref: directory.ByNumber(int64(second.number))}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.CreateUser(ctx, root, directory.NewUser{Name: "second", Email: second.email()}); err != nil {
		t.Fatal(err)
	}
	before := h.state(t)
	if got := h.send(c, "acme", "second", c.add("acme", user("acme", "ann"), asWas)); got.status < 400 || h.state(t) != before {
		t.Errorf("the key of a deleted administrator: %d %s", got.status, got.text)
	}
	// And the group that takes a deleted one's name none of its members.
	doomed := group("acme", "doomed")
	if _, err := h.DeleteGroup(ctx, root, directory.Deletion{Ref: directory.ByNumber(int64(doomed.number))}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.CreateGroup(ctx, root, directory.NewGroup{Name: "doomed", Grants: directory.Admin}); err != nil {
		t.Fatal(err)
	}
	h.refused(t, c, "acme", "writer", c.add("acme", mallory, doomed))
	if c.check != nil && c.check(t, h, c, "acme", user("acme", "ann"), doomed) {
		t.Error("a member of the deleted group is in the one that took its name")
	}
}

func aboveOwn(t *testing.T, c *client) {
	h := open(t)
	keeper := user("acme", "keeper")
	for _, who := range []thing{keeper, user("acme", "bob")} {
		h.refused(t, c, "acme", "keeper", c.add("acme", who, group("acme", "admins")))
	}
	h.done(t, c, "acme", "keeper", c.add("acme", user("acme", "mallory"), group("acme", "keepers")))
	if c.nest != nil {
		h.refused(t, c, "acme", "keeper", c.nest("acme", group("acme", "keepers"), group("acme", "admins")))
	}
}

// denied tries every route with a key that holds nothing.
func denied(t *testing.T, c *client) {
	h := open(t)
	h.warm(c, "acme", "bare")
	before := h.state(t)
	for _, r := range h.routes(c) {
		if r.Public != "" {
			continue
		}
		q := one{r.Method, fill(c, r.Pattern, "acme", user("acme", "bob"), group("acme", "staff")), ""}
		q.body, _ = c.body(r.Method, r.Pattern, "acme")
		if got := h.send(c, "acme", "bare", q); got.status < 400 || got.status >= 500 {
			t.Errorf("%s %s: %d %.200s; want a refusal", q.method, q.path, got.status, got.text)
		}
	}
	if after := h.state(t); after != before {
		t.Error("something was written")
	}
}

func accepting(t *testing.T, c *client) {
	h := open(t)
	ctx, root := t.Context(), h.root(t, "acme")
	for name, in := range map[string]string{"invited": "admins", "guest": "plain"} {
		g := group("acme", in)
		parsed, err := id.Parse[id.User](invitee(name).id())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.CreateUser(ctx, root, directory.NewUser{Name: name, Email: name + "@hidden.example", Suspended: true, ID: parsed, Number: id.Number(invitee(name).number), PersonCode: invitee(name).person(), Groups: []directory.Ref{directory.ByNumber(int64(g.number))}}); err != nil {
			t.Fatal(err)
		}
	}
	if c.activate == nil { // nothing that it does makes anybody active
		for _, r := range h.routes(c) {
			if reads(r.Method) || r.Public != "" || r.Method == http.MethodDelete {
				continue
			}
			q := one{r.Method, fill(c, r.Pattern, "acme", invitee("invited"), group("acme", "plain")), ""}
			q.body, _ = c.body(r.Method, r.Pattern, "acme")
			for _, body := range []string{q.body, `{"suspended":false}`, `{"status":"active","blocked":false,"id":"` + coded("UGR", group("acme", "plain").code) + `"}`} {
				q.body = body
				if got := h.send(c, "acme", "writer", q); got.status >= 500 {
					t.Errorf("%s %s %s: %d %.200s", q.method, q.path, q.body, got.status, got.text)
				}
			}
		}
		found, err := h.User(ctx, root, directory.ByNumber(int64(invitee("invited").number)))
		if err != nil || !found.Value.Suspended {
			t.Errorf("who was invited is %+v, %v", found.Value, err)
		}
		is, err := h.IsMember(ctx, root, directory.Check{User: directory.ByNumber(int64(invitee("invited").number)), Group: directory.ByNumber(int64(group("acme", "admins").number))})
		if err != nil || is.Value {
			t.Errorf("who was invited is an administrator: %v, %v", is.Value, err)
		}
		h.refused(t, c, "acme", "writer", c.add("acme", invitee("guest"), group("acme", "admins")))
		return
	}
	h.refused(t, c, "acme", "writer", c.activate("acme", invitee("invited")))
	h.done(t, c, "acme", "writer", c.activate("acme", invitee("guest")))
	h.done(t, c, "acme", "admin", c.activate("acme", invitee("invited")))
}

func invitee(name string) thing { return thing{name: name, number: 7000 + len(name)} }

func through(t *testing.T, c *client) {
	h := open(t)
	mallory, deep := user("acme", "mallory"), user("acme", "deep")
	for _, g := range []string{"middle", "below"} {
		h.refused(t, c, "acme", "writer", c.add("acme", mallory, group("acme", g)))
	}
	h.done(t, c, "acme", "writer", c.add("acme", mallory, group("acme", "plain")))
	if c.suspend != nil {
		h.refused(t, c, "acme", "writer", c.suspend("acme", deep))
		h.done(t, c, "acme", "writer", c.suspend("acme", user("acme", "bob")))
	}
	if c.deleteUser != nil {
		h.refused(t, c, "acme", "writer", c.deleteUser("acme", deep))
	}
	if c.deleteGroup != nil {
		h.refused(t, c, "acme", "writer", c.deleteGroup("acme", group("acme", "middle")))
	}
}

func oddKeys(t *testing.T, c *client) {
	h := open(t)
	mallory, admins, plain := user("acme", "mallory"), group("acme", "admins"), group("acme", "plain")
	var bad []one
	switch c.name {
	case "native":
		for _, body := range []string{
			`{"name":"x","Grants":["admin"]}`, `{"name":"x","GRANTS":["admin"]}`, `{"name":"x","grants.0":"admin"}`,
			`{"name":"x","name":"y"}`, `{"name":"x","grants":[],"grants":["admin"]}`, `{"name":"x","built_in":true}`,
		} {
			bad = append(bad, one{"POST", inTenant("acme", "/groups"), body})
		}
		for _, body := range []string{`{"Suspended":true}`, `{"SUSPENDED":false}`, `{"attributes.native":1}`, `{"groups":[` + admins.native() + `]}`} {
			bad = append(bad, one{"PATCH", inTenant("acme", "/users/"+mallory.id()), body})
		}
		for _, q := range []string{"?Name_prefix=a", "?LIMIT=1", "?name.prefix=a"} {
			bad = append(bad, one{"GET", inTenant("acme", "/users"+q), ""})
		}
	case "syncano":
		path := inInstance("acme", fmt.Sprintf("/users/%d/", mallory.number))
		for _, body := range []string{`{"Group":` + fmt.Sprint(plain.number) + `}`, `{"group.id":` + fmt.Sprint(plain.number) + `}`, `{"GROUP":1}`} {
			bad = append(bad, one{"POST", path + "groups/", body})
		}
		for _, body := range []string{`{"groups":[1]}`, `{"Username":"other"}`, `{"profile.group":1}`, `{"profile.owner":1}`, `{"user.username":"x"}`} {
			before := h.state(t)
			if got := h.send(c, "acme", "writer", one{"PATCH", path, body}); h.state(t) != before {
				t.Errorf("%s: %d %s; it changed something", body, got.status, got.text)
			}
		}
	case "contensis":
		bad = append(bad, []one{
			{"POST", security + "/users", `{"username":"a","USERNAME":"b"}`},
			{"PUT", security + "/groups/" + plain.id(), `{"description":"a","Description":"b"}`},
			{"PUT", security + "/groups/" + admins.id(), `{"AutoMembershipEmailDomains":["x.example"]}`},
			{"PUT", security + "/groups/" + admins.id(), `{"AUTOMEMBERSHIPEMAILDOMAINS":["x.example"]}`},
			{"POST", security + "/users/" + user("acme", "boss").id() + "/actions", `{"TYPE":"SUSPEND"}`},
			{"POST", security + "/USERS/" + user("acme", "boss").id() + "/ACTIONS", `{"Type":"Suspend"}`},
		}...)
		before := h.state(t)
		if got := h.send(c, "acme", "writer", one{"PUT", security + "/users/" + mallory.id(), `{"status.suspended":true,"credentials.password":"Other-word-12","groups":["` + admins.id() + `"]}`}); got.status >= 500 || h.state(t)[1] != before[1] {
			t.Errorf("keys with dots: %d %s", got.status, got.text)
		}
		if got := h.send(c, "acme", "admin", one{"GET", security + "/users/" + mallory.id(), ""}); !strings.Contains(got.text, `"suspended":false`) {
			t.Errorf("a key with a dot reached the status: %s", got.text)
		}
	case "dronahq A":
		for _, key := range []string{"TOKEN_KEY", "Token_Key", "tokenKey"} {
			body := `{"token_key":"` + secret("dronahq", "acme", "reader") + `","` + key + `":"` + secret("dronahq", "acme", "admin") + `","assign":[` + fmt.Sprint(mallory.number) + `]}`
			h.refusedStatus(t, c, one{"POST", fmt.Sprintf("/groups/%d/actions/assign_user", plain.number), body})
		}
		h.refusedStatus(t, c, one{"POST", fmt.Sprintf("/groups/%d/actions/assign_user", plain.number), `{"token.key":"` + secret("dronahq", "acme", "admin") + `","assign":[1]}`})
		bad = append(bad, one{"POST", fmt.Sprintf("/GROUPS/%d/ACTIONS/assign_user", admins.number), fmt.Sprintf(`{"assign":[%d]}`, mallory.number)},
			one{"POST", fmt.Sprintf("/groups/%d/actions/assign_user", admins.number), fmt.Sprintf(`{"ASSIGN":[%d],"assign.0":%d}`, mallory.number, mallory.number)})
	case "dronahq B":
		path := fmt.Sprintf("/api/public/users/%d/actions/change_group", mallory.number)
		for _, key := range []string{"token_key", "TOKEN_KEY", "tokenkey"} { // counts in the header alone
			h.refusedStatus(t, c, one{"PUT", path, `{"` + key + `":"` + secret("dronahq", "acme", "admin") + `","assign_group":["plain"]}`})
		}
		bad = append(bad, one{"PUT", strings.ToUpper(path), `{"assign_group":["admins"]}`}, one{"PUT", path, `{"Assign_Group":["admins"]}`}, one{"PUT", path, `{"assign_group.0":"admins"}`})
	case "softwareone":
		path := c.add("acme", mallory, plain).path
		code := coded("UGR", admins.code)
		for _, body := range []string{`{"ID":"` + code + `"}`, `{"Id":"` + code + `","iD":"` + coded("UGR", plain.code) + `","id":"` + code + `"}`, `{"group.id":"` + code + `"}`, `{"id.value":"` + code + `"}`} {
			bad = append(bad, one{"POST", path, body})
		}
	}
	for _, q := range bad {
		h.refused(t, c, "acme", "writer", q)
	}
	if slices.Contains(h.standing(t, "acme", "admins"), "mallory") {
		t.Error("mallory is an administrator")
	}
}

// readOnly sends to every route that writes what it is for: with an
// administrator's reading key nothing happens, with the administrator's own it
// does.
func readOnly(t *testing.T, c *client) {
	h := open(t)
	h.warm(c, "acme", "reader")
	h.warm(c, "acme", "admin")
	var writes []one
	for _, r := range h.routes(c) {
		if reads(r.Method) || r.Public != "" || strings.HasSuffix(r.Pattern, ownKey) {
			continue
		}
		body, known := c.body(r.Method, r.Pattern, "acme")
		switch {
		case known:
		case r.Grant.Has(directory.Platform), directory.ReadAll.Has(r.Grant), strings.HasSuffix(r.Pattern, "/batch/"),
			r.Pattern == "/api/v1/tenants/{tenant}/keys/{key}", strings.Contains(r.Pattern, "/classes/"),
			strings.HasSuffix(r.Pattern, "/rename/"), strings.HasSuffix(r.Pattern, "instances/{instance}/"):
			// It is the platform's, or reads, or is about other things: it is tried all
			// the same, with a body that fits none.
		case c.name == "syncano" && strings.Contains(r.Pattern, "/{group}/users/{id}/"):
			// There is one for the same membership from the other side.
		default:
			t.Errorf("%s %s has no body here", r.Method, r.Pattern)
		}
		q := one{r.Method, fill(c, r.Pattern, "acme", user("acme", "mallory"), group("acme", "plain")), body}
		before := h.state(t)
		got := h.send(c, "acme", "reader", q)
		if after := h.state(t); after != before || !directory.ReadAll.Has(r.Grant) && (got.status < 400 || got.status >= 500) {
			t.Errorf("%s %s %s by a reading key: %d %.200s; want a refusal", q.method, q.path, q.body, got.status, got.text)
		}
		alias := strings.HasPrefix(r.Pattern, "/v1/instances") || strings.HasPrefix(r.Pattern, "/api/security") ||
			c.name == "softwareone" && len(writes) > 0
		if known && !alias {
			writes = append(writes, q)
		}
	}
	// Making before ending, and memberships before those who are in them.
	slices.SortStableFunc(writes, func(a, b one) int {
		if (a.method == "DELETE") != (b.method == "DELETE") {
			if a.method == "DELETE" {
				return 1
			}
			return -1
		}
		if a.method == "DELETE" {
			return strings.Count(b.path, "/") - strings.Count(a.path, "/")
		}
		return 0
	})
	if len(writes) == 0 {
		t.Fatal("nothing was tried")
	}
	for _, q := range writes {
		before := h.state(t)
		got := h.send(c, "acme", "admin", q)
		if got.status >= 300 || h.state(t) == before {
			t.Errorf("%s %s %s by an administrator: %d %.200s; want that it is done", q.method, q.path, q.body, got.status, got.text)
		}
	}
}

func namespaces(t *testing.T, c *client) {
	h := open(t)
	boss, mallory := user("acme", "boss"), user("acme", "mallory")
	var cases []struct{ path, want string }
	add := func(path, want string) { cases = append(cases, struct{ path, want string }{path, want}) }
	switch c.name {
	case "native":
		for ref, want := range map[string]string{
			fmt.Sprintf("external:hr/%d", boss.number): "mallory", "external:ldap/" + boss.id(): "mallory", fmt.Sprintf("number:%d", boss.number): "boss",
			boss.id(): "boss", fmt.Sprintf("name:%d", boss.number): fmt.Sprint(boss.number), "external:crm/" + fmt.Sprint(boss.number): "", "external:hr/" + boss.id(): "",
			"name:" + boss.id(): "", fmt.Sprintf("code:%d", boss.number): "", fmt.Sprint(boss.number): "",
		} {
			add(inTenant("acme", "/users/"+strings.ReplaceAll(ref, "/", "%2F")), want)
		}
	case "syncano":
		add(inInstance("acme", fmt.Sprintf("/users/%d/", boss.number)), "boss")
		add(inInstance("acme", fmt.Sprintf("/users/%d/", boss.code)), "")
		add(inInstance("acme", fmt.Sprintf("/users/%d/", bases["acme"]+40)), "") // an id of a profile
		add(inInstance("acme", "/users/"+boss.id()+"/"), "")
	case "contensis":
		add(security+"/users/"+boss.id(), "boss")
		add(security+"/users/"+fmt.Sprint(boss.number), fmt.Sprint(boss.number)) // a name
		add(security+"/users/"+fmt.Sprint(boss.code), "")
		add(security+"/users/hr", "")
	case "dronahq A":
		add(fmt.Sprintf("/users/%d", boss.number), "boss")
		add(fmt.Sprintf("/users/%d", boss.code), "")
	case "dronahq B":
		add(fmt.Sprintf("/api/public/users/%d", boss.number), "boss")
		add(fmt.Sprintf("/api/public/users/%d", boss.code), "")
	case "softwareone": // a group's code is no user's, nor a user's a person's
		path := c.add("acme", mallory, group("acme", "plain"))
		for _, q := range []one{
			{"POST", path.path, `{"id":"` + coded("UGR", mallory.person()) + `"}`},
			{"POST", path.path, `{"id":"` + fmt.Sprint(group("acme", "plain").number) + `"}`},
			{"POST", strings.Replace(path.path, coded("USR", mallory.person()), coded("USR", group("acme", "plain").code), 1), path.body},
			{"POST", strings.Replace(path.path, coded("USR", mallory.person()), fmt.Sprint(mallory.number), 1), path.body},
		} {
			h.refused(t, c, "acme", "admin", q)
		}
	}
	for _, each := range cases {
		got := h.send(c, "acme", "admin", one{"GET", each.path, ""})
		if each.want == "" {
			if got.status < 400 || got.status >= 500 {
				t.Errorf("%s: %d %s; want nobody", each.path, got.status, got.text)
			}
			continue
		}
		name := ""
		for _, field := range []string{"name", "username", "user_email", "user_name"} {
			if found := texts(got.json(t), field); name == "" && len(found) > 0 {
				name, _, _ = strings.Cut(found[0], "@")
			}
		}
		if name != each.want {
			t.Errorf("%s: %d %q, want %q", each.path, got.status, name, each.want)
		}
	}
	// A group whose name is another's number opens nothing of the other.
	trap := thing{name: fmt.Sprint(group("acme", "admins").number), number: bases["acme"] + 90}
	if strings.HasPrefix(c.name, "dronahq") {
		h.done(t, c, "acme", "writer", one{"PUT", strings.Replace(clientPath(c), "USER", fmt.Sprint(mallory.number), 1), `{"assign_group":["` + trap.name + `"]}`})
		if slices.Contains(h.standing(t, "acme", "admins"), "mallory") {
			t.Error("a name of digits was taken for a number")
		}
	}
}

func clientPath(c *client) string {
	if c.name == "dronahq B" {
		return "/api/public/users/USER/actions/change_group"
	}
	return "/users/USER/actions/change_group"
}

// sharedAddress: both tenants' users have the same addresses.
func sharedAddress(t *testing.T, c *client) {
	h := open(t)
	for _, role := range []string{"second", "admin"} {
		h.refused(t, c, "globex", role, c.add("acme", user("acme", "mallory"), group("acme", "admins")))
	}
	if strings.HasPrefix(c.name, "dronahq") {
		before := h.standing(t, "acme", "staff")
		h.send(c, "globex", "admin", c.suspend("acme", user("acme", "ann")))
		a, err := h.User(t.Context(), h.root(t, "acme"), directory.ByNumber(int64(user("acme", "ann").number)))
		if err != nil || a.Value.Suspended || !slices.Equal(before, h.standing(t, "acme", "staff")) {
			t.Errorf("an address reached into another tenant: %+v, %v", a.Value, err)
		}
	}
	if c.name == "softwareone" {
		h.refused(t, c, "globex", "admin", one{"POST", "/v1/accounts/" + account("acme") + "/users/" + user("acme", "mallory").email() + "/groups", c.add("acme", user("acme", "mallory"), group("acme", "plain")).body})
	}
}

func lastOne(t *testing.T, c *client) {
	h := open(t)
	ctx, root := t.Context(), h.root(t, "acme")
	boss, admins := user("acme", "boss"), group("acme", "admins")
	for _, name := range []string{"deep", "second"} {
		if _, err := h.DeleteUser(ctx, root, directory.Deletion{Ref: directory.ByNumber(int64(user("acme", name).number))}); err != nil {
			t.Fatal(err)
		}
	}
	if c.remove == nil { // nothing can be taken away, by whatever method
		for _, r := range h.routes(c) {
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
				q := one{method, fill(c, r.Pattern, "acme", boss, admins), `{"id":"` + coded("UGR", admins.code) + `","groups":[],"users":[],"status":"blocked"}`}
				if got := h.send(c, "acme", "admin", q); got.status >= 500 {
					t.Errorf("%s %s: %d %.200s", q.method, q.path, got.status, got.text)
				}
				h.send(c, "acme", "admin", one{method, q.path, ""})
			}
		}
		is, err := h.IsMember(ctx, root, directory.Check{User: directory.ByNumber(int64(boss.number)), Group: directory.ByNumber(int64(admins.number))})
		if err != nil || !is.Value {
			t.Errorf("the last administrator is one: %v, %v", is.Value, err)
		}
		return
	}
	tries := []one{c.remove("acme", boss, admins)}
	if c.suspend != nil {
		tries = append(tries, c.suspend("acme", boss))
	}
	if c.deleteUser != nil {
		tries = append(tries, c.deleteUser("acme", boss), c.deleteGroup("acme", admins))
	}
	switch c.name {
	case "native":
		tries = append(tries,
			one{"POST", inTenant("acme", "/groups/"+admins.id()+"/members:batch"), `{"mode":"atomic","remove":[` + boss.native() + `]}`},
			one{"POST", inTenant("acme", "/memberships:batch"), `{"mode":"atomic","operations":[{"op":"replace_members","members":[],"groups":[` + admins.native() + `]}]}`},
			one{"POST", inTenant("acme", "/memberships:batch"), `{"mode":"atomic","operations":[{"op":"replace_groups","members":[` + boss.native() + `],"groups":[` + group("acme", "plain").native() + `]}]}`},
			one{"PATCH", inTenant("acme", "/users/"+boss.id()), `{"expires":"2026-01-01T00:00:00Z"}`},
			one{"PATCH", inTenant("acme", "/groups/"+admins.id()), `{"grants":[]}`},
			one{"PUT", inTenant("acme", "/groups/"+admins.id()+"/members/"+boss.id()), `{"valid_until":"2026-01-01T00:00:00Z"}`},
			one{"PUT", inTenant("acme", "/groups/"+admins.id()+"/members/"+boss.id()), `{"valid_from":"2027-01-01T00:00:00Z"}`},
		)
	case "syncano":
		tries = append(tries, one{"DELETE", inInstance("acme", fmt.Sprintf("/users/%d/groups/%d/", boss.number, admins.number)), ""})
	case "contensis":
		tries = append(tries, one{"DELETE", "/api/security/users/" + boss.id(), ""})
	case "dronahq A", "dronahq B":
		path := strings.Replace(clientPath(c), "USER", fmt.Sprint(boss.number), 1)
		tries = append(tries, one{"PUT", path, `{"remove_group":["*"]}`}, one{"PUT", path, `{"remove_group":["admins"]}`})
		if c.name == "dronahq A" {
			tries = append(tries, one{"PUT", path, fmt.Sprintf(`{"remove":[%d]}`, admins.number)})
		}
	}
	for _, q := range tries {
		h.refused(t, c, "acme", "admin", q)
	}
	if c.suspend != nil { // one who is not the last goes
		h.done(t, c, "acme", "admin", c.suspend("acme", user("acme", "bob")))
	}
}

func tenantOf(t *testing.T, c *client) {
	h := open(t)
	headers := []string{"X-Tenant", "acme", "X-Tenant-Id", "acme", "X-Forwarded-Host", "acme.example", "Tenant", "acme", "X-Instance", "acme", "X-Account-Id", account("acme")}
	q := c.add("acme", user("acme", "bob"), group("acme", "plain"))
	h.done(t, c, "acme", "admin", q)
	q = c.add("acme", user("acme", "mallory"), group("acme", "plain"))
	h.refused(t, c, "globex", "admin", q, headers...)
	for _, query := range []string{"?tenant=acme", "?instance=acme", "?account=" + account("acme"), "?tenant_id=acme"} {
		q := q
		q.path += query
		h.refused(t, c, "globex", "admin", q)
	}
	// The object's tenant counts as the principal's does: theirs in ours, ours in theirs.
	h.refused(t, c, "globex", "admin", c.add("globex", user("acme", "mallory"), noName(group("globex", "plain"))))
	h.refused(t, c, "globex", "admin", c.add("globex", user("globex", "mallory"), noName(group("acme", "plain"))))
}

// noName keeps a thing from being found by its name, which both tenants have.
func noName(x thing) thing {
	x.name = fmt.Sprint("no group ", x.number)
	return x
}

// guessing sends to every route, as another tenant's administrator, the ids of
// this one.
func guessing(t *testing.T, c *client) {
	h := open(t)
	h.warm(c, "globex", "admin")
	ann, staff := user("acme", "ann"), group("acme", "staff")
	mark := "kept-for-acme-alone"
	root := h.root(t, "acme")
	if _, err := h.UpdateGroup(t.Context(), root, directory.GroupUpdate{Group: directory.ByNumber(int64(staff.number)), Description: &mark}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.UpdateUser(t.Context(), root, directory.UserUpdate{User: directory.ByNumber(int64(ann.number)), GivenName: &mark, DisplayName: &mark}); err != nil {
		t.Fatal(err)
	}
	before, asked := h.state(t), 0
	mine := [][]string{h.standing(t, "globex", "staff"), h.standing(t, "globex", "plain")}
	for _, r := range h.routes(c) {
		if r.Public != "" {
			continue
		}
		for _, mix := range []struct {
			tenant string
			u, g   thing
		}{{"acme", ann, staff}, {"globex", ann, staff}, {"globex", ann, group("globex", "staff")}, {"globex", user("globex", "ann"), staff}} {
			if mix.tenant == "globex" && mix.u == ann && r.Method == "DELETE" && strings.HasSuffix(r.Pattern, "{instance}/") {
				continue // its own instance, which it may end
			}
			q := one{r.Method, fill(c, r.Pattern, mix.tenant, mix.u, mix.g), ""}
			q.body, _ = c.body(r.Method, r.Pattern, "acme")
			if strings.Contains(q.body, `"plain"`) || strings.Contains(q.body, "hidden.example") {
				continue // names, which mean its own
			}
			got := h.send(c, "globex", "admin", q)
			if asked++; got.status >= 500 || strings.Contains(got.text, mark) {
				t.Errorf("%s %s %s: %d %.300s", q.method, q.path, q.body, got.status, got.text)
			}
			if after := h.state(t); after[0] != before[0] {
				t.Errorf("%s %s %s: %d; it wrote to the other tenant", q.method, q.path, q.body, got.status)
				before = after
			}
		}
	}
	for i, name := range []string{"staff", "plain"} {
		if found, err := h.Group(t.Context(), h.root(t, "globex"), directory.ByNumber(int64(group("globex", name).number))); err != nil {
			continue // it was its own to delete
		} else if after := h.standing(t, "globex", found.Value.Name); len(after) > len(mine[i]) {
			t.Errorf("%s of globex has %v, had %v", name, after, mine[i])
		}
	}
	if asked < 4 {
		t.Errorf("%d requests were sent", asked)
	}
}

func outOfAnswers(t *testing.T, c *client) {
	h := open(t)
	staff := group("acme", "staff")
	if got := c.inside(t, staff, h.send(c, "acme", "admin", c.list("acme", staff))); !slices.Equal(got, []string{"ann"}) {
		t.Errorf("staff are %v, want ann: one is suspended and one was there for a while", got)
	}
	if c.listAll != nil {
		company := group("acme", "company")
		if got := c.inside(t, company, h.send(c, "acme", "admin", c.listAll("acme", company))); !slices.Equal(got, []string{"ann", "bob"}) {
			t.Errorf("the company is %v, want ann and bob", got)
		}
	}
	if c.check != nil {
		for name, want := range map[string]bool{"ann": true, "gone": false, "late": false} {
			if got := c.check(t, h, c, "acme", user("acme", name), staff); got != want {
				t.Errorf("%s is in staff: %v, want %v", name, got, want)
			}
		}
	}
	// The key of who is suspended opens nothing.
	before := h.state(t)
	if got := h.send(c, "acme", "gone", c.add("acme", user("acme", "bob"), group("acme", "plain"))); got.status < 400 || got.status >= 500 || h.state(t) != before {
		t.Errorf("the key of a suspended user: %d %s", got.status, got.text)
	}
	// A deleted group is nowhere.
	doomed := group("acme", "doomed")
	if _, err := h.DeleteGroup(t.Context(), h.root(t, "acme"), directory.Deletion{Ref: directory.ByNumber(int64(doomed.number))}); err != nil {
		t.Fatal(err)
	}
	if got := h.send(c, "acme", "admin", c.list("acme", doomed)); strings.Contains(got.text, "ann") {
		t.Errorf("a deleted group: %d %s", got.status, got.text)
	}
	if c.check != nil && c.check(t, h, c, "acme", user("acme", "ann"), doomed) {
		t.Error("ann is in a deleted group")
	}
	// And an edge that begins and ends in between is, to the microsecond, in those
	// in between alone.
	from := h.Now().Add(time.Hour)
	stands := directory.Standing{From: from, Until: from.Add(time.Hour)}
	if _, err := h.ChangeMembers(t.Context(), h.root(t, "acme"), directory.MembersChange{Group: directory.ByNumber(int64(staff.number)), Add: []directory.MemberRef{{Ref: directory.ByNumber(int64(user("acme", "bob").number))}}, Standing: stands}); err != nil {
		t.Fatal(err)
	}
	for _, at := range []struct {
		time.Time
		want []string
	}{
		{stands.From.Add(-time.Microsecond), []string{"ann"}},
		{stands.From, []string{"ann", "bob"}},
		{stands.Until.Add(-time.Microsecond), []string{"ann", "bob"}},
		{stands.Until, []string{"ann"}},
	} {
		h.Clock.Advance(at.Sub(h.Now()))
		delete(h.tokens, "acme-admin") // it expires, too
		if got := c.inside(t, staff, h.send(c, "acme", "admin", c.list("acme", staff))); !slices.Equal(got, at.want) {
			t.Errorf("at %s staff are %v, want %v", h.Now(), got, at.want)
		}
		if c.check != nil && c.check(t, h, c, "acme", user("acme", "bob"), staff) != slices.Contains(at.want, "bob") {
			t.Errorf("at %s the check of bob is not what is listed", h.Now())
		}
	}
}

// complete asks about who never moves, while everybody else does and the index is
// read in and dropped.
func complete(t *testing.T, c *client) {
	for name, h := range map[string]*house{"an index": open(t), "next to none": open(t).forgetful(t)} {
		ctx, root := t.Context(), h.root(t, "acme")
		staff, company := group("acme", "staff"), group("acme", "company")
		h.warm(c, "acme", "admin")
		stop, stopped := make(chan struct{}), make(chan error, 1)
		go func() {
			movers := []directory.MemberRef{{Ref: directory.ByNumber(int64(user("acme", "bob").number))}, {IsGroup: true, Ref: directory.ByNumber(int64(group("acme", "mine").number))}}
			for i := 0; ; i++ {
				select {
				case <-stop:
					stopped <- nil
					return
				default:
				}
				change := directory.MembersChange{Group: directory.ByNumber(int64(staff.number)), Add: movers}
				if i%2 == 1 {
					change.Add, change.Remove = nil, movers
				}
				if _, err := h.ChangeMembers(ctx, root, change); err != nil {
					stopped <- err
					return
				}
			}
		}()
		for range 15 {
			if got := c.inside(t, staff, h.send(c, "acme", "admin", c.list("acme", staff))); !slices.Contains(got, "ann") || slices.Contains(got, "keeper") {
				t.Errorf("%s: staff are %v, want ann and never keeper", name, got)
			}
			if c.listAll != nil {
				if got := c.inside(t, company, h.send(c, "acme", "admin", c.listAll("acme", company))); !slices.Contains(got, "ann") || slices.Contains(got, "keeper") {
					t.Errorf("%s: the company is %v, want ann and never keeper", name, got)
				}
			}
			if c.check != nil {
				for who, want := range map[string]bool{"ann": true, "keeper": false, "gone": false} {
					if got := c.check(t, h, c, "acme", user("acme", who), staff); got != want {
						t.Errorf("%s: %s is in staff: %v", name, who, got)
					}
				}
			}
		}
		close(stop)
		if err := <-stopped; err != nil {
			t.Fatal(err)
		}
	}
}

// remembered asks what differs in one thing alone from what was just answered: the
// tenant, the group, who asks, and whether something happened in between.
func remembered(t *testing.T, c *client) {
	for _, h := range []*house{open(t), open(t).forgetful(t)} {
		h.warm(c, "acme", "admin")
		h.warm(c, "acme", "bare")
		h.warm(c, "globex", "admin")
		look := func(when string, in map[string]bool) {
			t.Helper()
			for tenant, with := range in {
				x := group(tenant, "staff")
				want := []string{"ann"}
				if with {
					want = append(want, "bob")
				}
				if got := c.inside(t, x, h.send(c, tenant, "admin", c.list(tenant, x))); !slices.Equal(got, want) {
					t.Errorf("%s: staff of %s are %v, want %v", when, tenant, got, want)
				}
				if c.check != nil {
					for _, g := range []string{"staff", "plain"} {
						if got := c.check(t, h, c, tenant, user(tenant, "bob"), group(tenant, g)); got != (with && g == "staff") {
							t.Errorf("%s: bob is in %s of %s: %v", when, g, tenant, got)
						}
					}
				}
			}
			before := h.state(t)
			if got := h.send(c, "acme", "bare", c.list("acme", group("acme", "staff"))); got.status < 400 || strings.Contains(got.text, "ann@") || h.state(t) != before {
				t.Errorf("%s: who may read nothing is told %d %s", when, got.status, got.text)
			}
		}
		for _, tenant := range []string{"acme", "globex"} {
			bob := []directory.MemberRef{{Ref: directory.ByNumber(int64(user(tenant, "bob").number))}}
			change := directory.MembersChange{Group: directory.ByNumber(int64(group(tenant, "staff").number))}
			look("before", map[string]bool{"acme": false, "globex": false})
			change.Add = bob
			if _, err := h.ChangeMembers(t.Context(), h.root(t, tenant), change); err != nil {
				t.Fatal(err)
			}
			look("added in "+tenant, map[string]bool{"acme": tenant == "acme", "globex": tenant == "globex"})
			change.Add, change.Remove = nil, bob
			if _, err := h.ChangeMembers(t.Context(), h.root(t, tenant), change); err != nil {
				t.Fatal(err)
			}
		}
		look("after", map[string]bool{"acme": false, "globex": false})
	}
}

func equalItems(t *testing.T, c *client) {
	h := open(t)
	bob, ann, plain := user("acme", "bob"), user("acme", "ann"), group("acme", "plain")
	ask := func(q one, want ...string) {
		t.Helper()
		got := h.send(c, "acme", "writer", q)
		rest := got.text
		for _, w := range want {
			_, after, found := strings.Cut(rest, w)
			if !found {
				t.Errorf("%s %s: %d %s; want %v in this order", q.path, q.body, got.status, got.text, want)
				return
			}
			rest = after
		}
	}
	switch c.name {
	case "native":
		ask(one{"POST", inTenant("acme", "/groups/"+plain.id()+"/members:batch"), `{"mode":"each","add":[` + bob.native() + `,"name:nobody",` + bob.native() + `,` + ann.native() + `,"name:nobody"]}`},
			`"outcome":"added"`, `"outcome":"invalid"`, `"outcome":"already"`, `"outcome":"added"`, `"outcome":"invalid"`)
		pair := func(u, g thing) string { return `{"user":` + u.native() + `,"group":` + g.native() + `}` }
		ask(one{"POST", inTenant("acme", "/check"), `{"checks":[` + strings.Join([]string{pair(bob, plain), pair(bob, group("acme", "staff")), pair(bob, plain), pair(bob, group("acme", "staff"))}, ",") + `]}`},
			`"member":true`, `"member":false`, `"member":true`, `"member":false`)
	case "syncano":
		add := `{"method":"POST","path":"` + inInstance("acme", fmt.Sprintf("/users/%d/groups/", bob.number)) + `","body":{"group":` + fmt.Sprint(plain.number) + `}}`
		end := `{"method":"DELETE","path":"` + inInstance("acme", fmt.Sprintf("/users/%d/groups/%d/", bob.number, plain.number)) + `"}`
		ask(one{"POST", inInstance("acme", "/batch/"), `{"requests":[` + strings.Join([]string{add, add, end, end, add}, ",") + `]}`},
			`"code":201`, `"code":400`, `"code":204`, `"code":404`, `"code":201`)
	case "contensis":
		if got := h.done(t, c, "acme", "writer", one{"POST", security + "/groups/" + plain.id() + "/users", `[` + bob.native() + `,` + bob.native() + `]`}); got.status != 204 {
			t.Errorf("twice the same: %d %s", got.status, got.text)
		}
		unknown := `"0190a000-0000-7000-8000-999999999999"`
		got := h.refused(t, c, "acme", "writer", one{"POST", security + "/groups/" + plain.id() + "/users", `[` + ann.native() + `,` + unknown + `,` + unknown + `]`})
		if strings.Count(got.text, unknown) != 1 || strings.Contains(got.text, ann.id()) {
			t.Errorf("of two unknown that are one: %s", got.text)
		}
		if got := h.standing(t, "acme", "plain"); !slices.Equal(got, []string{"bob"}) {
			t.Errorf("in the group are %v, want bob", got)
		}
	case "dronahq A":
		ask(one{"POST", fmt.Sprintf("/groups/%d/actions/assign_user", plain.number), fmt.Sprintf(`{"assign":[%d,99999,%d,%d,99999],"remove":[%d]}`, bob.number, bob.number, ann.number, ann.number)},
			fmt.Sprintf(`"assigned_users":[%d]`, bob.number), fmt.Sprintf(`"removed_users":[%d]`, ann.number), `"invalid_users":[99999]`)
		twins(ask, "/users")
	case "softwareone": // one item a request: the same again says the same and changes nothing
		q := c.add("acme", bob, plain)
		first := h.done(t, c, "acme", "writer", q)
		before := h.state(t)
		if again := h.send(c, "acme", "writer", q); again != first || h.state(t) != before {
			t.Errorf("again: %d %s; at first %d %s", again.status, again.text, first.status, first.text)
		}
		id := `"` + coded("UGR", group("acme", "mine").code) + `"`
		for _, body := range []string{`[{"id":` + id + `},{"id":` + id + `}]`, `{"id":[` + id + `,` + id + `]}`} {
			h.refused(t, c, "acme", "writer", one{q.method, q.path, body})
		}
	case "dronahq B":
		ask(one{"PUT", fmt.Sprintf("/api/public/users/%d/actions/change_group", bob.number), `{"assign_group":["plain","nowhere","plain"],"remove_group":["nowhere"]}`},
			`"assigned_to":["plain"]`, `"invalid_groups":["nowhere"]`)
		twins(ask, "/api/public/users")
	}
}

// twins creates two users with one address: the second fails, and is the only one.
func twins(ask func(one, ...string), path string) {
	v := `{"user_name":"t","user_email":"twin@new.example","user_password":"Secret-word-1","user_group_name":["plain"]}`
	ask(one{"POST", path, `{"pre_register":true,"invitee_user":[` + v + `,` + v + `]}`}, `[{"user_email":"twin@new.example","error_code":"3"`, `}]`)
}

func agreeing(t *testing.T, c *client) {
	h := open(t)
	for _, tenant := range []string{"acme", "globex"} {
		for _, g := range groupNames {
			x := group(tenant, g)
			list := c.list
			if c.listAll != nil {
				list = c.listAll
			}
			listed := c.inside(t, x, h.send(c, tenant, "admin", list(tenant, x)))
			if c.check == nil { // it lists who stands there directly, and has no question about one
				for _, u := range userNames {
					is, err := h.IsMember(t.Context(), h.root(t, tenant), directory.Check{User: directory.ByNumber(int64(user(tenant, u).number)), Group: directory.ByNumber(int64(x.number))})
					direct := slices.Contains(h.standing(t, tenant, g), u)
					if in := slices.Contains(listed, u); err != nil || in != (is.Value && direct) {
						t.Errorf("%s in %s of %s: the check says %v, %v, the list %v", u, g, tenant, is.Value, err, in)
					}
				}
				continue
			}
			for _, u := range userNames {
				if is, in := c.check(t, h, c, tenant, user(tenant, u), x), slices.Contains(listed, u); is != in {
					t.Errorf("%s in %s of %s: the check says %v, the list %v", u, g, tenant, is, in)
				}
			}
		}
	}
}

func hostile(t *testing.T, c *client) {
	h := open(t)
	h.warm(c, "acme", "reader")
	deep := strings.Repeat("[", 20000)
	bodies := []string{
		deep, deep + strings.Repeat("]", 20000), strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000), `{"` + strings.Repeat("k", 1<<20) + `":1}`,
		`{` + strings.Repeat(`"a":1,`, 50000) + `"b":2}`, "\xff\xfe\x00", `{"name":"` + "\\ud800" + `"}`, `null`, `[]`, `"x"`, `1e999999`, ``,
	}
	queries := []string{"?" + strings.Repeat("a=b&", 20000), "?zenql=" + strings.Repeat("(", 5000), "?where=" + strings.Repeat("[", 5000), "?query=" + strings.Repeat("[", 5000), "?%zz", "?fields=" + strings.Repeat("a,", 9000), "?cursor=" + strings.Repeat("A", 9000), "?limit=99999999999999999999", "?pageSize=-1&pageIndex=2147483647"}
	before := h.state(t)
	public := false
	try := func(role string, q one) {
		got := h.send(c, "acme", role, q)
		if got.status >= 500 && got.status != 503 {
			t.Errorf("%s %.100s %.40q by %q: %d %.200s", q.method, q.path, q.body, role, got.status, got.text)
		}
		if role == "" && !public && got.status < 400 {
			t.Errorf("%s %.100s without a key: %d %.200s", q.method, q.path, got.status, got.text)
		}
	}
	seen := map[string]bool{}
	for _, r := range h.routes(c) {
		if strings.HasPrefix(r.Pattern, "/v1/instances") || strings.HasPrefix(r.Pattern, "/api/security") || seen[r.Method+r.Pattern] {
			continue // the same handlers
		}
		seen[r.Method+r.Pattern] = true
		if strings.HasSuffix(r.Pattern, ownKey) && r.Public == "" {
			continue
		}
		path := fill(c, r.Pattern, "acme", user("acme", "mallory"), group("acme", "plain"))
		public = r.Public != ""
		for _, role := range []string{"", "reader"} {
			if reads(r.Method) {
				for _, query := range queries {
					try(role, one{r.Method, path + query, ""})
				}
				continue
			}
			if r.Method == http.MethodTrace || r.Method == http.MethodOptions || strings.Contains(r.Public, "refuse the method") {
				continue
			}
			for _, body := range bodies {
				try(role, one{r.Method, path, body})
			}
		}
	}
	if after := h.state(t); after != before {
		t.Error("something was written")
	}
	// Who may write gets as far as the parsers.
	for _, r := range h.routes(c) {
		if reads(r.Method) || r.Method == http.MethodDelete || r.Public != "" || strings.HasSuffix(r.Pattern, ownKey) {
			continue
		}
		path := fill(c, r.Pattern, "acme", user("acme", "mallory"), group("acme", "plain"))
		for _, body := range bodies {
			try("admin", one{r.Method, path, body})
		}
	}
}

func partial(t *testing.T, c *client) {
	h := open(t)
	staff, plain := group("acme", "staff"), group("acme", "plain")
	before := h.standing(t, "acme", "staff")
	var writes []one
	switch c.name {
	case "native":
		writes = []one{
			{"PATCH", inTenant("acme", "/groups/"+staff.id()), `{"description":"x"}`},
			{"PATCH", inTenant("acme", "/users/"+user("acme", "ann").id()), `{"given_name":"x"}`},
			{"POST", inTenant("acme", "/groups/"+staff.id()+"/members:batch"), `{"mode":"atomic","add":[` + user("acme", "bob").native() + `]}`},
			{"POST", inTenant("acme", "/groups/"+staff.id()+"/members:batch"), `{"mode":"atomic","remove":[` + user("acme", "bob").native() + `]}`},
		}
	case "syncano":
		writes = []one{
			{"PATCH", inInstance("acme", fmt.Sprintf("/groups/%d/", staff.number)), `{"description":"x"}`},
			{"PUT", inInstance("acme", fmt.Sprintf("/groups/%d/", staff.number)), `{"label":"staff"}`},
			{"PATCH", inInstance("acme", fmt.Sprintf("/users/%d/", user("acme", "ann").number)), `{"profile":{"channel_room":"x"}}`},
			{"PUT", inInstance("acme", fmt.Sprintf("/users/%d/", user("acme", "ann").number)), `{"username":"ann","password":"x"}`},
		}
	case "contensis":
		writes = []one{
			{"PUT", security + "/groups/" + staff.id(), `{"description":"x"}`},
			{"PUT", security + "/groups/" + staff.id(), `{"name":"staff","userCount":0,"custom":{"a":"b"}}`},
			{"PUT", security + "/users/" + user("acme", "ann").id(), `{"firstName":"x","groups":[]}`},
			{"PATCH", security + "/users/" + user("acme", "ann").id(), `{"lastName":"x"}`},
			{"POST", security + "/groups/" + staff.id() + "/users", `[` + user("acme", "bob").native() + `]`},
			{"DELETE", security + "/groups/" + staff.id() + "/users/" + user("acme", "bob").id(), ``},
		}
	case "dronahq A":
		writes = []one{c.add("acme", user("acme", "bob"), staff), c.remove("acme", user("acme", "bob"), staff), {"PUT", fmt.Sprintf("/users/%d/actions/change_group", user("acme", "ann").number), `{"assign_group":["plain"]}`}}
	case "dronahq B":
		writes = []one{c.add("acme", user("acme", "bob"), staff), c.remove("acme", user("acme", "bob"), staff), c.add("acme", user("acme", "ann"), plain)}
	case "softwareone":
		writes = []one{c.add("acme", user("acme", "ann"), plain)}
	}
	for _, q := range writes {
		h.send(c, "acme", "writer", q)
	}
	h.done(t, c, "acme", "writer", c.add("acme", user("acme", "keeper"), plain))
	if after := h.standing(t, "acme", "staff"); !slices.Equal(before, after) {
		t.Errorf("staff are %v, were %v", after, before)
	}
	m, err := h.Membership(t.Context(), h.root(t, "acme"), directory.ByNumber(int64(staff.number)), directory.MemberRef{Ref: directory.ByNumber(int64(user("acme", "late").number))})
	if err != nil || m.Value.Until.IsZero() {
		t.Errorf("how late stood is %+v, %v", m.Value, err)
	}
	a, err := h.User(t.Context(), h.root(t, "acme"), directory.ByNumber(int64(user("acme", "ann").number)))
	if err != nil || a.Value.Email != user("acme", "ann").email() {
		t.Errorf("ann's address is %q, %v", a.Value.Email, err)
	}
}
