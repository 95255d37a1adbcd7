package softwareone

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"roster/internal/dialect"
	"roster/internal/dialect/dialecttest"
	"roster/internal/directory"
	"roster/internal/directory/directorytest"
)

func TestConversations(t *testing.T) { dialecttest.Run(t, "testdata/*.txtar", New) }

const (
	syncJob = "idt:TKN-1000-0002:0123456789abcdef0123456789abcdef01"
	opsUser = "idt:TKN-1000-0003:1123456789abcdef0123456789abcdef01"
	toMara  = "/v1/accounts/ACC-1000-0001/users/USR-1000-0007/groups"
)

// quill is the directory of the conversations, with a principal of the account.
func quill(t *testing.T) (*dialecttest.Play, directory.Principal) {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/assign.txtar")
	if err != nil {
		t.Fatal(err)
	}
	p := dialecttest.New(t, string(archive.Files[0].Data), New)
	tenant, err := p.World.FindTenant(t.Context(), "quill")
	if err != nil {
		t.Fatal(err)
	}
	return p, directorytest.In(directorytest.Root(), tenant.ID)
}

func revision(t *testing.T, p *dialecttest.Play, who directory.Principal) directory.Revision {
	t.Helper()
	a, err := p.World.Tenant(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	return a.Revision
}

// post asks to assign a group and returns the status and the body.
func post(t *testing.T, p *dialecttest.Play, path, token string, body io.Reader) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequest("POST", path, body)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	res := p.Do(r)
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatalf("POST %s: %d with a body that is no object: %s", path, res.StatusCode, raw)
	}
	if bytes.Contains(raw, []byte("[Circular")) {
		t.Errorf("POST %s: the answer holds a placeholder: %s", path, raw)
	}
	return res.StatusCode, got
}

func group(code string) io.Reader { return strings.NewReader(`{"id":"UGR-1000-` + code + `"}`) }

// TestSeedInventoryIsReachable walks an answer for every property that the
// reference page shows (the dialect's contract, section 2.3, "Seed field
// inventory"), where section 2.1 says that it is.
func TestSeedInventoryIsReachable(t *testing.T) {
	p, root := quill(t)
	ctx := t.Context()
	// What is made here has an author with an id and an icon, which what the
	// file brought does not.
	ops, err := p.World.User(ctx, root, directory.ByPerson(10000001))
	if err != nil {
		t.Fatal(err)
	}
	by := root
	by.User = ops.Value.ID
	kim := directory.NewUser{
		Email: "kim@quill.example", GivenName: "Kim", FamilyName: "Ek", PersonCode: 10000030, Code: 100000300001,
		Attributes: directory.Attributes{name: map[string]any{
			"phone": map[string]any{"prefix": "+46", "number": "1"}, "settings": map[string]any{"cultureCode": "sv-SE", "languageCode": "sv"},
			"icon": "/i", "lastLoginAt": "2025-02-09T07:00:01Z", "invitationAcceptedAt": "2025-02-01T09:12:44Z",
		}},
	}
	if _, err := p.World.CreateUser(ctx, by, kim); err != nil {
		t.Fatal(err)
	}
	made, err := p.World.CreateGroup(ctx, by, directory.NewGroup{Name: "Makers", Description: "They make", Code: 10000030, Attributes: directory.Attributes{name: map[string]any{
		"logo": "l", "isDefault": true, "modules": []any{"MOD-1756"}, "buyers": []any{"BUY-1000-0004"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.World.ChangeMembers(ctx, by, directory.MembersChange{
		Group: directory.ByGroup(made.Value.ID), Add: []directory.MemberRef{{Ref: directory.ByUser(ops.Value.ID)}},
	}); err != nil {
		t.Fatal(err)
	}
	status, got := post(t, p, "/v1/accounts/ACC-1000-0001/users/USR-1000-0030/groups", opsUser, group("0030"))
	if status != 200 {
		t.Fatalf("status %d: %v", status, got)
	}

	actor := "id $meta.omitted[] href name icon"
	userOwn := "id $meta.omitted href email status phone.prefix phone.number firstName lastName icon lastLoginAt settings.cultureCode settings.languageCode name"
	accountOwn := "id $meta.omitted href externalIds.pyraTenantId externalId externalName type status serviceLevel address.addressLine1 address.addressLine2" +
		" address.postCode address.city address.state address.country icon technicalSupportEmail website description name"
	groupOwn := "id $meta.omitted href name description logo isDefault"
	moduleOwn := "id $meta.omitted href description isConfigurable isEnabledByDefault paid name accountTypes[] filters/group.buyers[]" +
		" settings.sharedAccount settings.configurable settings.default settings.paid settings.type[]"
	for _, part := range []struct{ at, fields string }{
		{"", "id $meta.omitted href audit.created.at audit.updated.at audit.access.at audit.joined.at user groups[] buyers[] modules[] account invitation.status"},
		{"audit.created.by", actor},
		{"audit.updated.by", actor},
		{"user", userOwn + " audit.created.at audit.updated.at audit.invitationAcceptedAt accounts[] currentAccount"},
		{"user.audit.created.by", actor},
		{"user.audit.updated.by", actor},
		{"user.accounts[]", accountOwn},
		{"user.currentAccount", accountOwn},
		{"account", accountOwn + " audit.created.at audit.updated.at groups[]"},
		{"account.groups[]", groupOwn},
		{"groups[]", groupOwn + " audit.created.at audit.updated.at account modules[] users[] buyers[]"},
		{"groups[].audit.created.by", actor},
		{"groups[].account", accountOwn},
		{"groups[].modules[]", moduleOwn},
		{"groups[].users[]", userOwn},
		{"groups[].buyers[]", "id $meta.omitted[] href"},
		{"modules[]", moduleOwn + " audit.created.at audit.updated.at"},
	} {
		for field := range strings.FieldsSeq(part.fields) {
			path := strings.TrimPrefix(part.at+"."+field, ".")
			if !reaches(got, split(path)) {
				t.Errorf("the answer has no %s", path)
			}
		}
	}

	// What the reference page shows deeper than that is named as left out.
	for at, names := range map[string][]string{
		"audit.created.by":    {"audit"},
		"user.accounts[]":     {"groups", "audit"},
		"user.currentAccount": {"groups", "audit"},
		"account.groups[]":    {"account", "modules", "users", "buyers", "audit"},
		"groups[].account":    {"groups", "audit"},
		"groups[].modules[]":  {"audit"},
		"groups[].users[]":    {"accounts", "currentAccount", "audit"},
	} {
		for _, o := range find(got, split(at)) {
			omitted := find(o, []string{"$meta", "omitted", "[]"})
			for _, n := range names {
				if !slices.Contains(omitted, any(n)) {
					t.Errorf("%s: $meta.omitted is %v, want %s in it", at, omitted, n)
				}
				if reaches(o, []string{n}) {
					t.Errorf("%s has %s, which is too deep to be shown", at, n)
				}
			}
		}
	}
}

// split takes a path such as "groups[].id" apart; a slash stands before a name
// that has a dot in it.
func split(path string) []string {
	path, dotted, _ := strings.Cut(path, "/")
	steps := strings.FieldsFunc(strings.ReplaceAll(path, "[]", ".[]"), func(r rune) bool { return r == '.' })
	if dotted != "" {
		steps = append(steps, strings.TrimSuffix(dotted, "[]"))
		if strings.HasSuffix(dotted, "[]") {
			steps = append(steps, "[]")
		}
	}
	return steps
}

// find returns everything at a path; [] is every element.
func find(v any, path []string) []any {
	if len(path) == 0 {
		return []any{v}
	}
	if path[0] == "[]" {
		var all []any
		list, _ := v.([]any)
		for _, e := range list {
			all = append(all, find(e, path[1:])...)
		}
		return all
	}
	m, _ := v.(map[string]any)
	next, ok := m[path[0]]
	if !ok {
		return nil
	}
	return find(next, path[1:])
}

func reaches(v any, path []string) bool {
	for _, found := range find(v, path) {
		if found != nil {
			return true
		}
	}
	return false
}

// TestEveryObjectHasHrefAndMeta walks an answer: what has an id and is no value
// object is an entity.
func TestEveryObjectHasHrefAndMeta(t *testing.T) {
	p, _ := quill(t)
	_, got := post(t, p, toMara, syncJob, group("0003"))
	entities := 0
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case []any:
			for i, e := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), e)
			}
		case map[string]any:
			if _, ok := v["id"]; ok {
				entities++
				if v["href"] == nil || find(v, []string{"$meta", "omitted"}) == nil {
					t.Errorf("%s has an id but no href or $meta.omitted", path)
				}
			}
			for k, e := range v {
				if e == nil {
					t.Errorf("%s.%s is null", path, k)
				}
				walk(path+"."+k, e)
			}
		}
	}
	walk("", got)
	if entities < 10 {
		t.Errorf("%d entities, want at least those of the reference page", entities)
	}
}

func TestRefusalsWriteNothing(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p := dialecttest.New(t, string(archive.Files[0].Data), New)
		for _, tenant := range []string{"quill", "inkwell"} {
			found, err := p.World.FindTenant(t.Context(), tenant)
			if err != nil {
				t.Fatal(err)
			}
			who := directorytest.In(directorytest.Root(), found.ID)
			before := revision(t, p, who)
			for i, f := range archive.Files {
				if !strings.HasSuffix(f.Name, ".req") || archive.Files[i+1].Name < strings.TrimSuffix(f.Name, "req")+"400" {
					continue
				}
				r, err := dialecttest.ParseRequest(f.Data)
				if err != nil {
					t.Fatal(err)
				}
				p.Do(r)
				refused++
				if after := revision(t, p, who); after != before {
					t.Errorf("%s: %s: %s went from revision %d to %d", file, f.Name, tenant, before, after)
					before = after
				}
			}
		}
	}
	if refused < 100 {
		t.Errorf("only %d refusals were tried", refused)
	}
}

func TestTokenEnds(t *testing.T) {
	p, root := quill(t)
	ctx := t.Context()
	secret := "8123456789abcdef0123456789abcdef01"
	hash, sealed := p.World.Authn.Keep("softwareone", secret)
	made, err := p.World.CreateCredential(ctx, root, directory.NewCredential{
		Kind: "softwareone", Name: "Brief", Code: 10000040, Grants: directory.Admin, Hash: hash, Sealed: sealed,
		Expires: directorytest.Start.Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	token := "idt:TKN-1000-0040:" + secret
	if status, got := post(t, p, toMara, token, group("0003")); status != 200 {
		t.Fatalf("before it expires: %d %v, want 200", status, got)
	}
	before := revision(t, p, root)
	p.World.Clock.Advance(time.Hour)
	if status, got := post(t, p, toMara, token, group("0005")); status != 401 || got["title"] != "Authentication Failed" {
		t.Errorf("when it expires: %d %v, want 401 Authentication Failed", status, got)
	}
	p.World.Clock.Advance(-time.Hour)
	if after := revision(t, p, root); after != before {
		t.Errorf("an expired token went from revision %d to %d", before, after)
	}
	if _, err := p.World.RevokeCredential(ctx, root, made.Value.ID); err != nil {
		t.Fatal(err)
	}
	before = revision(t, p, root)
	if status, got := post(t, p, toMara, token, group("0005")); status != 401 || got["title"] != "Authentication Failed" {
		t.Errorf("revoked: %d %v, want 401 Authentication Failed", status, got)
	}
	if after := revision(t, p, root); after != before {
		t.Errorf("a revoked token went from revision %d to %d", before, after)
	}
}

func TestBodyOverTheLimitWithoutALength(t *testing.T) {
	p, root := quill(t)
	before := revision(t, p, root)
	body := io.MultiReader(strings.NewReader(`{"id":"UGR-1000-0003","x":"`), strings.NewReader(strings.Repeat("x", 1<<20)), strings.NewReader(`"}`))
	status, got := post(t, p, toMara, syncJob, body)
	if status != 413 || got["title"] != "Content Too Large" {
		t.Errorf("%d %v, want 413 Content Too Large", status, got)
	}
	if after := revision(t, p, root); after != before {
		t.Errorf("went from revision %d to %d", before, after)
	}
}

func TestAssignedAgainStandsAsBefore(t *testing.T) {
	p, root := quill(t)
	ctx := t.Context()
	mara := directory.MemberRef{Ref: directory.ByCode(100000070001)}
	later := directory.ByCode(10000005)
	stands := directory.Standing{Role: directory.RoleManager, Source: "rule", Reason: "because"}
	if _, err := p.World.ChangeMembers(ctx, root, directory.MembersChange{Group: later, Add: []directory.MemberRef{mara}, Standing: stands}); err != nil {
		t.Fatal(err)
	}
	before := revision(t, p, root)
	p.World.Clock.Advance(time.Minute)
	status, got := post(t, p, toMara, syncJob, group("0005"))
	if status != 200 {
		t.Fatalf("status %d: %v", status, got)
	}
	if at := find(got, split("audit.updated.at")); !cmp.Equal(at, []any{"2026-01-02T03:04:05.678Z"}) {
		t.Errorf("audit.updated.at is %v, want that of the first assignment", at)
	}
	if after := revision(t, p, root); after != before {
		t.Errorf("went from revision %d to %d", before, after)
	}
	m, err := p.World.Membership(ctx, root, later, mara)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stands, m.Value.Standing); diff != "" {
		t.Errorf("it stands otherwise (-want +got):\n%s", diff)
	}
}

func TestWhatIsCutShortSaysSo(t *testing.T) {
	p, root := quill(t)
	ctx := t.Context()
	var users []directory.MemberRef
	for i := range maxUsers + 5 {
		u, err := p.World.CreateUser(ctx, root, directory.NewUser{Name: fmt.Sprintf("extra%d", i)})
		if err != nil {
			t.Fatal(err)
		}
		users = append(users, directory.MemberRef{Ref: directory.ByUser(u.Value.ID)})
	}
	late, err := p.World.CreateUser(ctx, root, directory.NewUser{Name: "late", Code: 100000700001, PersonCode: 10000070})
	if err != nil {
		t.Fatal(err)
	}
	var groups []directory.Ref
	for i := range maxGroups + 3 {
		g, err := p.World.CreateGroup(ctx, root, directory.NewGroup{Name: fmt.Sprint("g", i), Code: 20000000 + int64(i)})
		if err != nil {
			t.Fatal(err)
		}
		groups = append(groups, directory.ByGroup(g.Value.ID))
	}
	crowd := groups[0]
	if _, err := p.World.ChangeMembers(ctx, root, directory.MembersChange{Group: crowd, Add: users}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.World.ChangeGroups(ctx, root, directory.GroupsChange{Member: directory.MemberRef{Ref: directory.ByUser(late.Value.ID)}, Add: groups[:maxGroups+2]}); err != nil {
		t.Fatal(err)
	}
	last := fmt.Sprintf("UGR-2000-%04d", maxGroups+2)
	status, got := post(t, p, "/v1/accounts/ACC-1000-0001/users/USR-1000-0070/groups", syncJob, strings.NewReader(`{"id":"`+last+`"}`))
	if status != 200 {
		t.Fatalf("status %d: %v", status, got)
	}
	ids := find(got, split("groups[].id"))
	if len(ids) != maxGroups || ids[0] != "UGR-2000-0000" || ids[maxGroups-1] != last {
		t.Errorf("%d groups from %v to %v, want %d ending with the one assigned", len(ids), ids[0], ids[len(ids)-1], maxGroups)
	}
	if omitted := find(got, split("$meta.omitted[]")); !cmp.Equal(omitted, []any{"groups"}) {
		t.Errorf("$meta.omitted is %v, want groups", omitted)
	}
	if n, omitted := len(find(got, split("account.groups[]"))), find(got, split("account.$meta.omitted[]")); n != maxGroups || !cmp.Equal(omitted, []any{"groups"}) {
		t.Errorf("the account shows %d groups and omits %v, want %d and groups", n, omitted, maxGroups)
	}
	first := find(got, []string{"groups", "[]"})[0]
	in := find(first, split("users[].id"))
	if len(in) != maxUsers || in[maxUsers-1] != "USR-1000-0070" {
		t.Errorf("the crowded group shows %d users %v, want %d ending with the one assigned", len(in), in, maxUsers)
	}
	if omitted := find(first, split("$meta.omitted[]")); !cmp.Equal(omitted, []any{"users"}) {
		t.Errorf("the crowded group omits %v, want users", omitted)
	}
}

func TestAssignedGroupBeyondTheFirstPage(t *testing.T) {
	p, root := quill(t)
	ctx := t.Context()
	// All but the last are made at once, which is many commits in a few.
	groups := make([]directory.Ref, directory.MaxPage+5)
	create := func(i int) {
		g, err := p.World.CreateGroup(ctx, root, directory.NewGroup{Name: fmt.Sprint("g", i), Code: 20000000 + int64(i)})
		if err != nil {
			t.Error(err)
		}
		groups[i] = directory.ByGroup(g.Value.ID)
	}
	var wg sync.WaitGroup
	for i := range directory.MaxPage + 4 {
		wg.Go(func() { create(i) })
	}
	wg.Wait()
	create(directory.MaxPage + 4)
	if _, err := p.World.ChangeGroups(ctx, root, directory.GroupsChange{Member: directory.MemberRef{Ref: directory.ByPerson(10000007)}, Add: groups[:directory.MaxPage+4]}); err != nil {
		t.Fatal(err)
	}
	last := fmt.Sprintf("UGR-2000-%04d", directory.MaxPage+4)
	status, got := post(t, p, toMara, syncJob, strings.NewReader(`{"id":"`+last+`"}`))
	if ids := find(got, split("groups[].id")); status != 200 || len(ids) != maxGroups || ids[maxGroups-1] != last {
		t.Errorf("status %d with %d groups, want 200 with %d ending with the one assigned", status, len(ids), maxGroups)
	}
	if by := find(got, split("audit.updated.by.id")); !cmp.Equal(by, []any{"TKN-1000-0002"}) {
		t.Errorf("audit.updated.by.id is %v, want the token that assigned", by)
	}
}

func TestWhatOthersWroteIntoAttributesIsBorne(t *testing.T) {
	p, root := quill(t)
	ctx := t.Context()
	odd := []any{nil, true, 7, "text", []any{1, nil, []any{}}, map[string]any{"id": 7, "prefix": []any{}}}
	keys := []string{
		"type", "status", "serviceLevel", "externalIds", "address", "icon", "modules", "phone", "settings", "lastLoginAt",
		"invitation", "invitationAcceptedAt", "joined", "logo", "isDefault", "buyers", "eligibility",
	}
	for i, v := range odd {
		values := map[string]any{}
		for _, k := range keys {
			values[k] = v
		}
		a := directory.Attributes{name: values}
		if _, err := p.World.UpdateTenant(ctx, root, directory.TenantUpdate{Attributes: a}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.World.UpdateUser(ctx, root, directory.UserUpdate{User: directory.ByPerson(10000007), Attributes: a}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.World.UpdateGroup(ctx, root, directory.GroupUpdate{Group: directory.ByCode(10000005), Attributes: a}); err != nil {
			t.Fatal(err)
		}
		if status, got := post(t, p, toMara, syncJob, group("0005")); status != 200 || got["status"] != "Active" {
			t.Errorf("value %d (%v): %d %v, want 200 with an active account user", i, v, status, got)
		}
	}
}

// TestAnAddressThatMovedMakesNobodyTwoUsers gives an address that was verified
// for one user to another of the same account: each is a person of its own, so a
// USR- id names one of them.
func TestAnAddressThatMovedMakesNobodyTwoUsers(t *testing.T) {
	p, root := quill(t)
	ctx := t.Context()
	first, err := p.World.CreateUser(ctx, root, directory.NewUser{Email: "shared@quill.example", EmailVerified: true, Code: 100000800001, PersonCode: 10000080})
	if err != nil {
		t.Fatal(err)
	}
	other := "moved@quill.example"
	if _, err := p.World.UpdateUser(ctx, root, directory.UserUpdate{User: directory.ByUser(first.Value.ID), Name: &other, Email: &other}); err != nil {
		t.Fatal(err)
	}
	second, err := p.World.CreateUser(ctx, root, directory.NewUser{Email: "shared@quill.example", EmailVerified: true, Code: 100000800002})
	if err != nil {
		t.Fatal(err)
	}
	if second.Value.PersonCode == first.Value.PersonCode {
		t.Fatalf("both are person %d", first.Value.PersonCode)
	}
	for _, c := range []struct {
		user string
		want string
	}{
		{"USR-1000-0080", "AUSR-1000-0080-0001"},
		{userID.render(second.Value.PersonCode), "AUSR-1000-0080-0002"},
	} {
		for _, token := range []string{syncJob, opsUser} {
			if status, got := post(t, p, "/v1/accounts/ACC-1000-0001/users/"+c.user+"/groups", token, group("0005")); status != 200 || got["accountUserId"] != c.want {
				t.Errorf("%s: %d %v, want 200 for %s", c.user, status, got["accountUserId"], c.want)
			}
		}
	}
}

// TestDatesDecide looks at memberships that do not hold now.
func TestDatesDecide(t *testing.T) {
	p, root := quill(t)
	ctx := t.Context()
	mara := directory.MemberRef{Ref: directory.ByPerson(10000007)}
	if _, err := p.World.ChangeGroups(ctx, root, directory.GroupsChange{
		Member: mara, Add: []directory.Ref{directory.ByCode(10000004)}, Standing: directory.Standing{From: directorytest.Start.Add(time.Hour)},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.World.ChangeGroups(ctx, root, directory.GroupsChange{
		Member: mara, Add: []directory.Ref{directory.ByCode(10000005)}, Standing: directory.Standing{Until: directorytest.Start.Add(time.Hour)},
	}); err != nil {
		t.Fatal(err)
	}
	_, got := post(t, p, toMara, syncJob, group("0003"))
	if ids := find(got, split("groups[].id")); !cmp.Equal(ids, []any{"UGR-1000-0003", "UGR-1000-0005"}) {
		t.Errorf("now in %v, want the one assigned and the one that has not ended", ids)
	}
	p.World.Clock.Advance(time.Hour)
	_, got = post(t, p, toMara, syncJob, group("0003"))
	if ids := find(got, split("groups[].id")); !cmp.Equal(ids, []any{"UGR-1000-0003", "UGR-1000-0004"}) {
		t.Errorf("an hour later in %v, want the one assigned and the one that has begun", ids)
	}
}

func TestAnObjectInsideItselfIsASummary(t *testing.T) {
	g := directory.Group{Code: 10000003, Number: 1, Name: "Root", Version: 3}
	v := &picture{tenant: directory.Tenant{Code: 10000001, Title: "Quill"}, groups: []directory.Group{g, {Code: 10000004, Version: 2}}}
	root := v.userGroup(g, nil)
	inner := root.Account.Groups
	if len(inner) != 2 || inner[0].Name != "Root" || inner[0].Revision != 0 || !slices.Contains(inner[0].Meta.Omitted, "revision") {
		t.Errorf("the group inside its own account is %+v, want a summary", inner)
	}
	if inner[1].Revision != 2 || slices.Contains(inner[1].Meta.Omitted, "revision") {
		t.Errorf("its sibling is %+v, want all of its own", inner[1])
	}
}

func TestEveryKindHasItsAnswer(t *testing.T) {
	for _, kind := range directory.Kinds() {
		want, ok := answers[kind]
		if !ok {
			t.Errorf("%v has no answer of its own", kind)
			continue
		}
		rec := httptest.NewRecorder()
		writeError(rec, httptest.NewRequest("GET", "/", nil), &directory.Error{
			Kind: kind, Detail: "A sentence.", Err: errors.New("the cause: disk sector 7"),
		})
		var got problem
		if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if rec.Code != want.status || got.Status != want.status || got.Title != want.title || got.Type == "" || got.Detail == "" {
			t.Errorf("%v: %d with %+v, want %+v", kind, rec.Code, got, want)
		}
		if strings.Contains(rec.Body.String(), "sector") {
			t.Errorf("%v: the answer tells the cause: %s", kind, rec.Body)
		}
	}
	rec := httptest.NewRecorder()
	writeError(rec, httptest.NewRequest("GET", "/", nil), errors.New("the cause: disk sector 7"))
	if rec.Code != http.StatusInternalServerError || strings.Contains(rec.Body.String(), "sector") {
		t.Errorf("an unclassified error: %d %s, want a plain 500", rec.Code, rec.Body)
	}
}

func TestRoutesAreTheSameUnderBothMounts(t *testing.T) {
	here, public := map[string]directory.Grants{}, map[string]directory.Grants{}
	for _, r := range New(dialect.Deps{}).Routes {
		if rest, ok := strings.CutPrefix(r.Pattern, "/public"); ok {
			public[r.Method+" "+rest] = r.Grant
		} else {
			here[r.Method+" "+r.Pattern] = r.Grant
		}
	}
	if diff := cmp.Diff(here, public); diff != "" || len(here) == 0 {
		t.Errorf("routes differ (-v1 +public):\n%s", diff)
	}
}

func TestIDsAreWrittenOneWay(t *testing.T) {
	for _, c := range []struct {
		form form
		text string
		code int64
	}{
		{userID, "USR-1000-0007", 10000007},
		{userID, "usr-1000-0007", 10000007},
		{userID, "USR-0000-0016", 16},
		{userID, "USR-12345-0007", 123450007},
		{accountUserID, "AUSR-1000-0007-0001", 100000070001},
		{userID, "USR-0000-0000", 0},
		{userID, "USR-00001000-0007", 0},
		{userID, "USR-10000007", 0},
		{userID, "USR-1-0000007", 0},
		{userID, "USR--1000-0007", 0},
		{userID, "USR-+100-0007", 0},
		{userID, "USR-1000-0007 ", 0},
		{userID, "USR1000-0007", 0},
		{userID, "AUSR-1000-0007", 0},
		{userID, "USR-1000-0007-0001", 0},
		{userID, "USR-९०००-0007", 0},
		{userID, "USR-99999999999999999999-9999", 0},
		{userID, "", 0},
	} {
		got, ok := c.form.parse(c.text)
		if got != c.code || ok != (c.code != 0) {
			t.Errorf("%q read as %s is %d, %v, want %d", c.text, c.form.prefix, got, ok, c.code)
		}
		if ok && !strings.EqualFold(c.form.render(got), c.text) {
			t.Errorf("%d is written %s, want %s", got, c.form.render(got), c.text)
		}
	}
}

func FuzzDecodeGroup(f *testing.F) {
	for _, s := range []string{`{"id":"UGR-1000-0003"}`, `{"ID":7}`, `[]`, `{"id":"UGR-9999999999999999999-9999"}`, "\xff", "", `{"\u0069d":"x"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		ref, err := decodeGroup(body)
		if err != nil && directory.KindOf(err) != directory.Invalid {
			t.Errorf("%q: %v, want an invalid input", body, err)
		}
		if err == nil && (ref.Kind != directory.RefCode || ref.Int < 0) {
			t.Errorf("%q: %+v, want a code", body, ref)
		}
	})
}
