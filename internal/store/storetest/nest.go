package storetest

import (
	"context"
	"fmt"
	"testing"

	"roster/internal/directory"
	"roster/internal/id"
)

// Nest makes a tenant in which groups stand below one another, so many below one
// that confers something. It returns what an engine's test counts the statements
// of: how deep the groups are must make no difference to any.
func Nest(t *testing.T, s directory.Store, depth int) map[string]func() {
	t.Helper()
	ctx := context.Background()
	d := directory.New(s, directory.Options{})
	t.Cleanup(d.Close)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	p := directory.Principal{Credential: id.New[id.Credential](), Grants: directory.Platform | directory.Admin, Dialect: "test"}
	tenant, err := d.CreateTenant(ctx, p, directory.NewTenant{Name: fmt.Sprint("nest", depth)})
	must(err)
	p.Tenant = tenant.Value.ID
	groups := []directory.MemberRef{}
	for i := range depth + 2 {
		in := directory.NewGroup{Name: fmt.Sprint("g", i)}
		if i == 0 {
			in.Grants = directory.ReadUsers
		}
		g, err := d.CreateGroup(ctx, p, in)
		must(err)
		groups = append(groups, directory.MemberRef{IsGroup: true, Ref: directory.ByGroup(g.Value.ID)})
	}
	// The last of them stands beside the others.
	last, beside := groups[depth], groups[depth+1]
	var pairs []directory.Pair
	for i := range depth {
		pairs = append(pairs, directory.Pair{Member: groups[i+1], Group: groups[i].Ref})
	}
	_, err = d.ChangeMemberships(ctx, p, directory.Batch{Runs: []directory.BatchRun{{Do: directory.AddMembers, Pairs: pairs}}})
	must(err)
	u, err := d.CreateUser(ctx, p, directory.NewUser{Name: "ann", Groups: []directory.Ref{last.Ref}})
	must(err)
	change := func(in directory.MembersChange) {
		in.Group = last.Ref
		_, err := d.ChangeMembers(ctx, p, in)
		must(err)
	}
	return map[string]func(){
		// A link made means that what the groups confer is worked out anew, for
		// this change and for the next.
		"to link and unlink": func() {
			change(directory.MembersChange{Add: []directory.MemberRef{beside}})
			change(directory.MembersChange{Remove: []directory.MemberRef{beside}})
		},
		"to rehearse a link": func() {
			a, err := d.ChangeMemberships(ctx, p, directory.Batch{DryRun: true, Runs: []directory.BatchRun{
				{Do: directory.AddMembers, Members: groups[1:2], Groups: []directory.Ref{beside.Ref}}}})
			must(err)
			if effects := a.Value.Effects; len(effects.Changes) != 1 || effects.Changes[0].Member != id.UserMember(u.Value.Number) {
				t.Errorf("below %d groups it would come to %+v", depth, effects)
			}
		},
		"to look below a group": func() {
			must(s.View(ctx, p.Tenant, func(r directory.Reader) error {
				g, err := r.Group(groups[0].Ref)
				if err != nil {
					return err
				}
				links, err := r.Descend([]id.Number{g.Number})
				if len(links) != depth {
					t.Errorf("below %d groups there are %d links", depth, len(links))
				}
				return err
			}))
		},
	}
}
