package client_test

import (
	"slices"
	"testing"

	"roster/client"
)

func TestThePastIsAskedFor(t *testing.T) {
	_, tenant := acme(t, serve(t, nil))
	ctx := t.Context()
	staff, company, ann := client.ByName("Staff"), client.ByName("Company"), client.UserMember(client.ByName("ann"))
	must(tenant.CreateGroup(ctx, client.NewGroup{Name: "Staff"}))(t)
	must(tenant.CreateGroup(ctx, client.NewGroup{Name: "Company"}))(t)
	must(tenant.CreateUser(ctx, client.NewUser{Name: "ann", Groups: []string{staff}}))(t)
	must(tenant.AddMember(ctx, company, client.GroupMember(staff)))(t)

	x := must(tenant.Explain(ctx, client.ByName("ann"), company, client.WaysPage{}))(t)
	if !x.Member || x.Count != 1 || len(x.Ways) != 1 || len(x.Ways[0]) != 2 || x.Ways[0][1].Group.Name != "Company" {
		t.Fatalf("ann is in Company by %+v", x)
	}
	then := client.AtRevision(x.Revision)
	must(tenant.RemoveMember(ctx, staff, ann))(t)

	for tenant, want := range map[*client.Tenant]bool{tenant: false, tenant.AsOf(then): true, tenant.AsOf(client.AtRevision(1)): false} {
		in := must(tenant.Check(ctx, client.ByName("ann"), company))(t)
		many := must(tenant.CheckMany(ctx, []client.Pair{{User: client.ByName("ann"), Group: company}}))(t)
		if in != want || many[0] != want {
			t.Errorf("ann in Company is %v and %v, want %v", in, many[0], want)
		}
	}
	was := tenant.AsOf(then)
	if in := must(was.CheckGroups(ctx, client.ByName("ann"), []string{staff, company, client.ByName("none")}))(t); !slices.Equal(in, []bool{true, true, false}) {
		t.Errorf("ann in three groups is %v", in)
	}
	if in := must(was.CheckUsers(ctx, []string{client.ByName("none"), client.ByName("ann")}, company))(t); !slices.Equal(in, []bool{false, true}) {
		t.Errorf("two users in Company are %v", in)
	}
	if a, b := must(was.CountMembers(ctx, company, client.MemberFilter{Transitive: true, NamePrefix: "AN"}))(t), must(tenant.CountGroupsOf(ctx, ann, client.MemberFilter{}))(t); a != 1 || b != 0 {
		t.Errorf("%d members are counted, and %d groups", a, b)
	}
	for m, err := range was.Members(ctx, company, client.MemberFilter{Standing: true, Holds: ptr(true), Sort: "-name"}) {
		if must(m, err)(t).Group.Name != "Staff" {
			t.Errorf("in Company is %+v", m)
		}
	}
	if _, err := tenant.AsOf(then).AddMember(ctx, staff, ann); err == nil {
		t.Error("the past can be written to")
	}
	if x := must(tenant.Explain(ctx, client.ByName("ann"), company, client.WaysPage{Limit: 1}))(t); x.Member || x.Why == nil || x.Why.Code != "none" {
		t.Errorf("ann is not in Company because of %+v", x)
	}

	var changes []string
	for d, err := range tenant.GroupDiff(ctx, company, client.Diff{From: then, Transitive: true}) {
		changes = append(changes, must(d, err)(t).Change+" "+d.User.Name)
	}
	for d, err := range tenant.UserDiff(ctx, client.ByName("ann"), client.Diff{From: then, To: client.AtRevision(x.Revision + 1)}) {
		changes = append(changes, must(d, err)(t).Change+" "+d.Group.Name)
	}
	if want := []string{"lost ann", "lost Staff"}; !slices.Equal(changes, want) {
		t.Errorf("the changes are %v, want %v", changes, want)
	}
	for s, err := range tenant.MemberHistory(ctx, staff, ann) {
		if must(s, err)(t).Ended == nil || s.Ended.Revision != x.Revision+1 || s.Began.By.Name != "platform" || s.Ended.Request == "" {
			t.Errorf("the membership stood as %+v", s)
		}
	}
}
