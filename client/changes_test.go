package client_test

import (
	"fmt"
	"slices"
	"testing"

	"roster/client"
)

func TestWhoDidWhatIsAskedFor(t *testing.T) {
	_, tenant := acme(t, serve(t, nil))
	ctx := t.Context()
	staff := client.ByName("Staff")
	must(tenant.CreateGroup(ctx, client.NewGroup{Name: "Staff"}))(t)
	must(tenant.CreateUser(ctx, client.NewUser{Name: "ann", Groups: []string{staff}}))(t)
	var many []client.Member
	for i := range 30 {
		u := must(tenant.CreateUser(ctx, client.NewUser{Name: fmt.Sprint("u", i)}))(t)
		many = append(many, client.UserMember(u.ID))
	}
	b := must(tenant.ChangeMembers(ctx, staff, client.Batch{Mode: client.Atomic, Add: many}))(t)
	must(tenant.SetMember(ctx, staff, client.UserMember(client.ByName("ann")), client.Standing{Role: "manager", Reason: "lead"}))(t)
	must(tenant.RemoveMember(ctx, staff, client.UserMember(client.ByName("ann"))))(t)

	read := func(f client.ChangeFilter) (lines []string) {
		for r, err := range tenant.Changes(ctx, f) {
			for _, c := range must(r, err)(t).Changes {
				line := fmt.Sprintf("%s %s", r.By.Name, c.Kind)
				for _, m := range c.Members {
					line += " " + m.User.Name
					if m.Before != nil {
						line += fmt.Sprintf(" (was %s)", m.Before.Role)
					}
				}
				lines = append(lines, line)
			}
		}
		return lines
	}
	for what, c := range map[string]struct {
		filter client.ChangeFilter
		want   []string
	}{
		"of ann":            {client.ChangeFilter{User: client.ByName("ann"), Kinds: []string{"members"}, PageSize: 1}, []string{"platform members.removed ann (was manager)", "platform members.updated ann (was member)", "platform members.added ann"}},
		"of ann, from then": {client.ChangeFilter{User: client.ByName("ann"), Group: staff, From: client.AtRevision(b.Revision), OldestFirst: true, Dialect: "native", ByName: "platform"}, []string{"platform members.updated ann (was member)", "platform members.removed ann (was manager)"}},
		"of nobody":         {client.ChangeFilter{ByName: "nobody"}, nil},
		"of users":          {client.ChangeFilter{Kinds: []string{"user.created"}, To: client.AtRevision(2), OldestFirst: true}, []string{"platform user.created"}},
	} {
		if got := read(c.filter); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
	for r, err := range tenant.Changes(ctx, client.ChangeFilter{From: client.AtRevision(b.Revision), To: client.AtRevision(b.Revision)}) {
		if r := must(r, err)(t); r.Whole || r.Count != 30 || len(r.Changes[0].Members) != 20 || r.Changes[0].Count != 30 || r.Request == "" {
			t.Errorf("of 30 members is told %+v", r)
		}
	}
	n := 0
	for r, err := range tenant.Commit(ctx, b.Revision) {
		n += len(must(r, err)(t).Changes[0].Members)
	}
	if n != 30 {
		t.Errorf("the commit tells of %d members", n)
	}
}
