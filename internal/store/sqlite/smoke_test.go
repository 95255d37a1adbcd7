package sqlite_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/sqlite"
)

func TestSmoke(t *testing.T) {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	d := directory.New(s, directory.Options{})
	defer d.Close()
	root := directory.Principal{Credential: id.New[id.Credential](), Grants: directory.Platform}
	ten, err := d.CreateTenant(ctx, root, directory.NewTenant{Name: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	p := root
	p.Tenant = ten.Value.ID
	u, err := d.CreateUser(ctx, p, directory.NewUser{Name: "ann", Email: "ann@x.com"})
	if err != nil {
		t.Fatal(err)
	}
	g, err := d.CreateGroup(ctx, p, directory.NewGroup{Name: "ops"})
	if err != nil {
		t.Fatal(err)
	}
	g2, _ := d.CreateGroup(ctx, p, directory.NewGroup{Name: "all"})
	add := func(g directory.Ref, m directory.MemberRef) {
		r, err := d.ChangeMembers(ctx, p, directory.MembersChange{Group: g, Add: []directory.MemberRef{m}})
		if err != nil {
			t.Fatal(err)
		}
		t.Log(r.Revision, r.Value.Add[0].Outcome)
	}
	add(directory.ByGroup(g.Value.ID), directory.MemberRef{Ref: directory.ByUser(u.Value.ID)})
	add(directory.ByGroup(g2.Value.ID), directory.MemberRef{IsGroup: true, Ref: directory.ByGroup(g.Value.ID)})
	for range 3 {
		a, err := d.IsMember(ctx, p, directory.Check{User: directory.ByUser(u.Value.ID), Group: directory.ByGroup(g2.Value.ID)})
		t.Log(a, err)
		time.Sleep(50 * time.Millisecond)
	}
	_, err = d.ChangeMembers(ctx, p, directory.MembersChange{Group: directory.ByName("ops"), Add: []directory.MemberRef{{IsGroup: true, Ref: directory.ByName("all")}}})
	t.Log(err)
	var users []directory.Ref
	start := time.Now()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for w := range 64 {
		wg.Go(func() {
			for i := range 100 {
				u, err := d.CreateUser(ctx, p, directory.NewUser{Name: fmt.Sprintf("u%d-%d", w, i)})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				users = append(users, directory.ByUser(u.Value.ID))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Log("create users/s", float64(len(users))/time.Since(start).Seconds())
	start = time.Now()
	for w := range 64 {
		wg.Go(func() {
			for i := range 100 {
				_, err := d.ChangeMembers(ctx, p, directory.MembersChange{Group: directory.ByGroup(g.Value.ID), Add: []directory.MemberRef{{Ref: users[w*100+i]}}})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	t.Log("single adds/s", float64(len(users))/time.Since(start).Seconds())
	var ms []directory.MemberRef
	for _, u := range users {
		ms = append(ms, directory.MemberRef{Ref: u})
	}
	start = time.Now()
	r, err := d.ChangeMembers(ctx, p, directory.MembersChange{Group: directory.ByGroup(g2.Value.ID), Add: ms})
	if err != nil {
		t.Fatal(err)
	}
	t.Log("batch adds/s", float64(len(users))/time.Since(start).Seconds(), r.Revision, r.Value.Add[5].Outcome)
	l, err := d.Members(ctx, p, directory.ListMembers{Group: directory.ByName("all"), Page: directory.Page{Limit: 3}})
	t.Log(len(l.Value.Items), l.Value.Next, err)
	l, err = d.Members(ctx, p, directory.ListMembers{Group: directory.ByName("all"), Transitive: true, Page: directory.Page{Limit: 3}})
	t.Log(len(l.Value.Items), l.Value.Next, err)
	_, err = d.DeleteUser(ctx, p, directory.Deletion{Ref: directory.ByName("ann")})
	t.Log(err)
	_, err = d.DeleteGroup(ctx, p, directory.Deletion{Ref: directory.ByName("ops")})
	t.Log(err)
	tt, err := d.DeleteTenant(ctx, root, ten.Value.ID)
	t.Log(tt, err)
}
