package client_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"roster/client"
)

func TestABatchOverManyGroups(t *testing.T) {
	_, tenant := acme(t, serve(t, nil))
	ctx := t.Context()
	for _, name := range []string{"Staff", "Company", "Board"} {
		must(tenant.CreateGroup(ctx, client.NewGroup{Name: name}))(t)
	}
	ann := client.UserMember(client.ByName("ann"))
	must(tenant.CreateUser(ctx, client.NewUser{Name: "ann"}))(t)
	must(tenant.AddMember(ctx, client.ByName("Company"), client.GroupMember(client.ByName("Staff"))))(t)

	b := client.ManyBatch{Mode: client.Atomic, DryRun: true, Operations: []client.Operation{
		{Op: client.Add, Members: []client.Member{ann}, Groups: []string{client.ByName("Staff"), client.ByName("Board")}},
		{Op: client.Remove, Pairs: []client.MemberPair{{Member: ann, Group: client.ByName("Board")}}},
	}}
	dry := must(tenant.ChangeMemberships(ctx, b))(t)
	if dry.Effects == nil || !dry.Effects.Complete || len(dry.Effects.Changes) != 2 || dry.Effects.Changes[1].Group.Name != "Company" || dry.Effects.Changes[1].Change != "gained" {
		t.Errorf("the dry run says %+v", dry.Effects)
	}
	if must(tenant.Check(ctx, client.ByName("ann"), client.ByName("Staff")))(t) {
		t.Error("a dry run changed something")
	}
	b.DryRun = false
	b.Require = []client.Require{{User: client.ByName("ann"), Group: client.ByName("Company"), Member: ptr(false)}}
	res := must(tenant.ChangeMemberships(ctx, b))(t)
	if res.Operations[0].Items[1].Outcome != client.Added || res.Operations[1].Items[0].Outcome != client.Removed || res.Effects != nil {
		t.Errorf("the batch came to %+v", res)
	}
	if _, err := tenant.ChangeMemberships(ctx, b); !client.IsStale(err) {
		t.Errorf("again: %v, want that its condition does not hold", err)
	}
	res = must(tenant.ChangeMemberships(ctx, client.ManyBatch{Mode: client.Each, Operations: []client.Operation{{Op: client.ReplaceMembers, Members: []client.Member{}, Groups: []string{client.ByName("Staff")}}}}))(t)
	if left := res.Operations[0].Left; len(left) != 1 || left[0].Member.User.Name != "ann" || left[0].Group.Name != "Staff" {
		t.Errorf("a replacement with nobody took out %+v", left)
	}
}

func TestAStreamIsAnsweredLineByLine(t *testing.T) {
	_, tenant := acme(t, serve(t, nil))
	ctx := t.Context()
	const users = 2500
	must(tenant.CreateGroup(ctx, client.NewGroup{Name: "Staff"}))(t)
	for i := range 5 {
		must(tenant.CreateUser(ctx, client.NewUser{Name: fmt.Sprint("u", i)}))(t)
	}
	lines := func(yield func(client.Line) bool) {
		for i := range users {
			line := client.Line{Op: client.Add, Member: client.UserMember(client.ByName(fmt.Sprint("u", i%6))), Group: client.ByName("Staff")}
			if i%1000 == 999 {
				line.Op = client.Remove
			}
			if !yield(line) {
				return
			}
		}
	}
	in := map[int]bool{}
	n := 0
	for out, err := range tenant.Stream(ctx, lines) {
		if err != nil {
			t.Fatal(err)
		}
		u := n % 6
		want := client.Added
		switch {
		case u == 5:
			want = client.Invalid
		case n%1000 == 999 && in[u]:
			want = client.Removed
		case n%1000 == 999:
			want = client.Absent
		case in[u]:
			want = client.Already
		}
		if in[u] = want == client.Added || want == client.Already; out.Outcome != want {
			t.Fatalf("line %d is %s, want %s", n, out.Outcome, want)
		}
		n++
	}
	if n != users {
		t.Errorf("%d lines were answered, want %d", n, users)
	}
}

func TestAStreamSaysWhyItDoesNotGoOn(t *testing.T) {
	_, tenant := acme(t, serve(t, nil))
	ctx := t.Context()
	must(tenant.CreateGroup(ctx, client.NewGroup{Name: "Staff"}))(t)
	must(tenant.CreateUser(ctx, client.NewUser{Name: "ann"}))(t)
	add := client.Line{Op: client.Add, Member: client.UserMember(client.ByName("ann")), Group: client.ByName("Staff")}
	long := add
	long.Standing = &client.Standing{Reason: strings.Repeat("x", 70<<10)}
	var outcomes []string
	for out, err := range tenant.Stream(ctx, func(yield func(client.Line) bool) { _ = yield(add) && yield(long) && yield(add) }) {
		if err != nil {
			outcomes = append(outcomes, err.Error())
			break
		}
		outcomes = append(outcomes, string(out.Outcome))
	}
	if len(outcomes) != 2 || outcomes[0] != "added" || !strings.Contains(outcomes[1], "line.large") {
		t.Errorf("the stream came to %q", outcomes)
	}
	// Who stops listening ends it.
	for range tenant.Stream(ctx, func(yield func(client.Line) bool) {
		for yield(add) {
		}
	}) {
		break
	}
	for what, tenant := range map[string]*client.Tenant{"into the past": tenant.AsOf(client.AtRevision(1)), "once": tenant.Once("a key")} {
		refused := 0
		for _, err := range tenant.Stream(ctx, func(func(client.Line) bool) {}) {
			if err == nil {
				t.Errorf("a stream %s was begun", what)
			}
			refused++
		}
		if refused != 1 {
			t.Errorf("a stream %s was refused %d times", what, refused)
		}
	}
}

func TestAnAnswerThatIsCutShortIsNoSuccess(t *testing.T) {
	// As a proxy that speaks HTTP/1.0 to its server hands it on.
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprintln(w, `{"outcome":"added","revision":1}`)
	}))
	defer s.Close()
	add := client.Line{Op: client.Add, Member: client.UserMember(client.ByName("ann")), Group: client.ByName("Staff")}
	var outcomes []string
	for out, err := range dial(t, s.URL, "k").Tenant("acme").Stream(t.Context(), slices.Values([]client.Line{add, add})) {
		if err != nil {
			outcomes = append(outcomes, err.Error())
			continue
		}
		outcomes = append(outcomes, string(out.Outcome))
	}
	if len(outcomes) != 2 || outcomes[0] != "added" || !strings.Contains(outcomes[1], "reading the answer") {
		t.Errorf("two lines, of which one was answered, came to %q", outcomes)
	}
}
