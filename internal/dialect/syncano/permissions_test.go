package syncano

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"roster/internal/dialect/dialecttest"
	"roster/internal/id"
)

// The rows of section 4.1 as the contract has them, and those of sections 2.2,
// 2.3 and 2.10, for each kind of caller and for flags that combine.
func TestPermissionsAreThoseOfTheContract(t *testing.T) {
	user := id.New[id.User]()
	columns := []caller{
		{account: true},
		{},
		{createsUsers: true},
		{createsGroup: true},
		{ignoresACL: true},
		{user: user},
		{ignoresACL: true, user: user},
		{readsAnonymously: true},
		{createsUsers: true, user: user},         // "Y with +uc"
		{createsUsers: true, createsGroup: true}, // flags combine by "or"
		{createsGroup: true, ignoresACL: true},   // the same
		{createsUsers: true, ignoresACL: true, user: user}, // the same
		{account: true, user: user, ignoresACL: true},      // an account's is the first column, whatever else
	}
	marks := map[string]allowance{"Y": yes, "-": no, "own": own, "4.2": shared, "open": open}
	rows := map[operation]string{
		//                  admin K +uc +gc +acl K+U +acl&U +anon
		getUsers:          "Y   -   -   -   Y own own    -    own -   Y own Y",
		postUsers:         "Y   -   Y   -   Y -   Y      -    Y   Y   Y Y   Y",
		changeUser:        "Y   -   -   -   Y own own    -    own -   Y own Y",
		deleteUser:        "Y   -   -   -   Y -   own    -    -   -   Y own Y",
		signIn:            "Y   Y   Y   Y   Y Y   Y      Y    Y   Y   Y Y   Y",
		selfService:       "-   -   -   -   - Y   Y      -    Y   -   - Y   -",
		getGroups:         "Y   Y   Y   Y   Y Y   Y      Y    Y   Y   Y Y   Y",
		postGroups:        "Y   -   -   Y   - -   -      -    -   Y   Y -   Y",
		changeGroup:       "Y   -   -   -   - -   -      -    -   -   - -   Y",
		getGroupsOfUser:   "Y   -   -   -   - own own    -    own -   - own Y",
		getUsersOfGroup:   "Y   -   -   -   - own own    -    own -   - own Y",
		changeMemberships: "Y   -   -   -   - -   -      -    -   -   - -   Y",
		getClass:          "Y   4.2 4.2 4.2 Y 4.2 Y      4.2  4.2 4.2 Y Y   Y",
		changeClass:       "Y   -   -   -   - -   -      -    -   -   - -   Y",
		getProfiles:       "Y   -   -   -   Y 4.2 Y      open 4.2 -   Y Y   Y",
		changeProfile:     "Y   -   -   -   Y 4.2 Y      -    4.2 -   Y Y   Y",
		refuseProfile:     "-   -   -   -   - -   -      -    -   -   - -   -",
		getKeys:           "Y   own own own own own own  own  own own own own Y",
		changeKeys:        "Y   -   -   -   - -   -      -    -   -   - -   Y",
		getInstances:      "Y   own own own own own own  own  own own own own Y",
		postInstances:     "Y   -   -   -   - -   -      -    -   -   - -   Y",
		changeInstance:    "Y   -   -   -   - -   -      -    -   -   - -   Y",
		runBatch:          "Y   Y   Y   Y   Y Y   Y      Y    Y   Y   Y Y   Y",
		account:           "Y   -   -   -   - -   -      -    -   -   - -   Y",
	}
	for op := range operations {
		row := strings.Fields(rows[op])
		if len(row) != len(columns) {
			t.Fatalf("operation %d has %d columns here, want %d", op, len(row), len(columns))
		}
		for i, c := range columns {
			if got, want := matrix[op].of(c), marks[row[i]]; got != want {
				t.Errorf("operation %d, column %d (%+v): got %d, want %d", op, i+1, c, got, want)
			}
		}
	}
}

// What a key's flags let it do in the matrix its grants must let it do in the
// core, and no more: each flag's grants are those of the operations it opens.
func TestGrantsOfAKeyFollowItsFlags(t *testing.T) {
	for f, want := range map[flags]string{
		{}:                       "groups.read,members.read",
		{userCreate: true}:       "users.write,groups.read,members.read",
		{groupCreate: true}:      "groups.read,groups.write,members.read",
		{ignoreACL: true}:        "users.read,users.write,groups.read,members.read",
		{anonymousRead: true}:    "groups.read,members.read",
		{true, true, true, true}: "users.read,users.write,groups.read,groups.write,members.read",
	} {
		if got := f.grants().String(); got != want {
			t.Errorf("%+v: %s, want %s", f, got, want)
		}
	}
}

const crowd = `
tenants:
  - name: rivia
    users:
      - {name: yen, number: 1, password_hash: "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aZ2gQ6EEz4QytqJZk6Sm/w"} # yen-password
      - {name: ciri, number: 2}
    groups:
      - {name: witchers, number: 1, members: [yen]}
      - {name: mages, number: 2, members: [yen, ciri]}
    credentials:
      - {kind: syncano_account, name: owner, grants: [admin], secret: ` + accountKey + `}
      - {kind: syncano_account, name: reader, grants: [users.read, groups.read, members.read], secret: "` + readerKey + `"}
      - {kind: syncano_api_key, name: bare, code: 901, grants: [groups.read, members.read], secret: "` + bareKey + `"}
      - {kind: syncano_api_key, name: users, code: 902, grants: [users.write, groups.read, members.read], secret: "` + userMakerKey + `"}
      - {kind: syncano_api_key, name: groups, code: 903, grants: [groups.write, groups.read, members.read], secret: "` + groupMakerKey + `"}
      - kind: syncano_api_key
        name: all-seeing
        code: 904
        grants: [users.read, users.write, groups.read, members.read]
        secret: "` + seeingKey + `"
        attributes: {syncano: {ignore_acl: true, allow_user_create: false}}
      - kind: syncano_api_key
        name: anonymous
        code: 905
        grants: [groups.read, members.read]
        secret: "` + anonymousKey + `"
        attributes: {syncano: {allow_anonymous_read: true}}
      - {kind: syncano_user_key, name: user key, user: yen, secret: "` + yenKey + `"}
      - {kind: syncano_user_key, name: user key, user: ciri, secret: "` + ciriKey + `"}
`

const (
	readerKey     = "00000000000000000000000000000000000000a0"
	bareKey       = "00000000000000000000000000000000000000b1"
	userMakerKey  = "00000000000000000000000000000000000000b3"
	groupMakerKey = "00000000000000000000000000000000000000b5"
	seeingKey     = "00000000000000000000000000000000000000b7"
	anonymousKey  = "00000000000000000000000000000000000000b9"
	yenKey        = "00000000000000000000000000000000000000c0"
	ciriKey       = "00000000000000000000000000000000000000c2"
)

// Every operation at its path, by every kind of caller. The statuses are those
// of section 4.1, with 404 where a caller that may see its own asks for another's.
func TestEveryOperationByEveryCaller(t *testing.T) {
	callers := []struct{ name, key, user string }{
		{"admin", accountKey, ""}, {"K", bareKey, ""}, {"+uc", userMakerKey, ""}, {"+gc", groupMakerKey, ""}, {"+acl", seeingKey, ""},
		{"K+U", bareKey, yenKey}, {"+acl&U", seeingKey, yenKey}, {"+anon", anonymousKey, ""}, {"read role", readerKey, ""}, {"nobody", "", ""},
	}
	unchanged := dialecttest.New(t, crowd, New) // for all that writes nothing
	const i = "/v1.1/instances/rivia/"
	for _, c := range []struct {
		method, path, body string
		want               string // by caller, in their order
	}{
		{"GET", "users/", "", "200 403 403 403 200 200 200 403 200 403"},
		{"GET", "users/1/", "", "200 403 403 403 200 200 200 403 200 403"},
		{"GET", "users/2/", "", "200 403 403 403 200 404 404 403 200 403"},
		{"POST", "users/", `{"username":"new","password":"p"}`, "200 403 200 403 200 403 200 403 403 403"},
		{"PUT", "users/1/", `{"username":"yen2","password":"p"}`, "200 403 403 403 200 200 200 403 403 403"},
		{"PATCH", "users/1/", `{"username":"yen2"}`, "200 403 403 403 200 200 200 403 403 403"},
		{"PATCH", "users/2/", `{"username":"ciri2"}`, "200 403 403 403 200 404 404 403 403 403"},
		{"POST", "users/1/reset_key/", "", "200 403 403 403 200 200 200 403 403 403"},
		{"POST", "users/2/reset_key/", "", "200 403 403 403 200 404 404 403 403 403"},
		{"DELETE", "users/1/", "", "204 403 403 403 204 403 204 403 403 403"},
		{"DELETE", "users/2/", "", "204 403 403 403 204 403 404 403 403 403"},
		{"POST", "user/auth/", `{"username":"yen","password":"yen-password"}`, "200 200 200 200 200 200 200 200 200 403"},
		{"GET", "user/", "", "403 403 403 403 403 200 200 403 403 403"},
		{"PUT", "user/", `{"username":"yen","password":"p"}`, "403 403 403 403 403 200 200 403 403 403"},
		{"PATCH", "user/", `{"password":"p"}`, "403 403 403 403 403 200 200 403 403 403"},
		{"DELETE", "user/", "", "403 403 403 403 403 405 405 403 403 403"},
		{"GET", "groups/", "", "200 200 200 200 200 200 200 200 200 403"},
		{"GET", "groups/1/", "", "200 200 200 200 200 200 200 200 200 403"},
		{"POST", "groups/", `{"label":"x"}`, "201 403 403 201 403 403 403 403 403 403"},
		{"PUT", "groups/1/", `{"label":"x"}`, "200 403 403 403 403 403 403 403 403 403"},
		{"PATCH", "groups/1/", `{"label":"x"}`, "200 403 403 403 403 403 403 403 403 403"},
		{"DELETE", "groups/1/", "", "204 403 403 403 403 403 403 403 403 403"},
		{"GET", "users/1/groups/", "", "200 403 403 403 403 200 200 403 200 403"},
		{"GET", "users/1/groups/1/", "", "200 403 403 403 403 200 200 403 200 403"},
		{"GET", "users/2/groups/", "", "200 403 403 403 403 403 403 403 200 403"},
		{"GET", "users/2/groups/2/", "", "200 403 403 403 403 403 403 403 200 403"},
		{"GET", "groups/1/users/", "", "200 403 403 403 403 200 200 403 200 403"},
		{"GET", "groups/1/users/1/", "", "200 403 403 403 403 200 200 403 200 403"},
		{"GET", "groups/2/users/2/", "", "200 403 403 403 403 404 404 403 200 403"},
		{"POST", "users/2/groups/", `{"group":1}`, "201 403 403 403 403 403 403 403 403 403"},
		{"POST", "groups/1/users/", `{"user":2}`, "201 403 403 403 403 403 403 403 403 403"},
		{"DELETE", "users/1/groups/1/", "", "204 403 403 403 403 403 403 403 403 403"},
		{"DELETE", "groups/1/users/1/", "", "204 403 403 403 403 403 403 403 403 403"},
		{"GET", "classes/", "", "200 200 200 200 200 200 200 200 200 403"},
		{"GET", "classes/user_profile/", "", "200 200 200 200 200 200 200 200 200 403"},
		{"PUT", "classes/user_profile/", `{}`, "200 403 403 403 403 403 403 403 403 403"},
		{"PATCH", "classes/user_profile/", `{}`, "200 403 403 403 403 403 403 403 403 403"},
		{"DELETE", "classes/user_profile/", "", "403 403 403 403 403 403 403 403 403 403"},
		{"GET", "classes/user_profile/objects/", "", "200 403 403 403 200 200 200 200 200 403"},
		{"POST", "classes/user_profile/objects/", "{}", "403 403 403 403 403 403 403 403 403 403"},
		{"GET", "classes/user_profile/objects/1/", "", "200 403 403 403 200 200 200 404 200 403"},
		{"GET", "classes/user_profile/objects/2/", "", "200 403 403 403 200 404 200 404 200 403"},
		{"PATCH", "classes/user_profile/objects/1/", `{"other_permissions":"read"}`, "200 403 403 403 200 200 200 403 403 403"},
		{"POST", "classes/user_profile/objects/1/", `{}`, "200 403 403 403 200 200 200 403 403 403"},
		{"PATCH", "classes/user_profile/objects/2/", `{}`, "200 403 403 403 200 404 200 403 403 403"},
		{"PUT", "classes/user_profile/objects/1/", `{}`, "405 403 403 403 405 405 405 405 405 403"},
		{"DELETE", "classes/user_profile/objects/1/", "", "403 403 403 403 403 403 403 403 403 403"},
		{"GET", "api_keys/", "", "200 200 200 200 200 200 200 200 403 403"},
		{"GET", "api_keys/901/", "", "200 200 404 404 404 200 404 404 403 403"},
		{"POST", "api_keys/", "", "201 403 403 403 403 403 403 403 403 403"},
		{"PATCH", "api_keys/901/", `{"ignore_acl":true}`, "200 403 403 403 403 403 403 403 403 403"},
		{"POST", "api_keys/901/reset_key/", "", "200 403 403 403 403 403 403 403 403 403"},
		{"DELETE", "api_keys/902/", "", "204 403 403 403 403 403 403 403 403 403"},
		{"GET", "", "", "200 200 200 200 200 200 200 200 200 403"},
		{"PATCH", "", `{"description":"x"}`, "200 403 403 403 403 403 403 403 403 403"},
		{"POST", "rename/", `{"new_name":"renamed"}`, "200 403 403 403 403 403 403 403 403 403"},
		{"DELETE", "", "", "403 403 403 403 403 403 403 403 403 403"}, // an instance that no account owns
		{"POST", "batch/", `{"requests":[]}`, "200 200 200 200 200 200 200 200 200 403"},
		{"POST", "../", `{"name":"another"}`, "403 403 403 403 403 403 403 403 403 403"}, // keys of one instance make no other
		{"GET", "../", "", "200 200 200 200 200 200 200 200 200 403"},
		{"GET", "../../account/", "", "200 403 403 403 403 403 403 403 200 403"},
	} {
		want := strings.Fields(c.want)
		if len(want) != len(callers) {
			t.Fatalf("%s %s has %d columns, want %d", c.method, c.path, len(want), len(callers))
		}
		path := i + c.path
		switch c.path {
		case "../":
			path = "/v1.1/instances/"
		case "../../account/":
			path = "/v1.1/account/"
		}
		for n, who := range callers {
			p := unchanged
			if c.method != "GET" && want[n] < "400" {
				p = dialecttest.New(t, crowd, New)
			}
			r := httptest.NewRequest(c.method, path, strings.NewReader(c.body))
			r.Header.Set("Content-Type", mediaJSON)
			if who.key != "" {
				r.Header.Set("X-API-KEY", who.key)
			}
			if who.user != "" {
				r.Header.Set("X-USER-KEY", who.user)
			}
			before := revision(t, p.World.Directory)
			res := p.Do(r)
			got := said(t, res)
			if got[:3] != want[n] {
				t.Errorf("%s %s by %s: got %.300s, want %s", c.method, c.path, who.name, got, want[n])
			}
			if res.StatusCode == http.StatusNoContent && len(got) > 4 {
				t.Errorf("%s %s by %s: 204 with a body: %s", c.method, c.path, who.name, got)
			}
			if res.StatusCode >= 400 && revision(t, p.World.Directory) != before {
				t.Errorf("%s %s by %s was refused and wrote", c.method, c.path, who.name)
			}
		}
	}
}
