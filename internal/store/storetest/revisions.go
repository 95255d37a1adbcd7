package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

var errMine = errors.New("the function's own error")

var revisions = []testCase{
	{"changes of each tenant are numbered from 1 without gaps however many write at once", func(w *world) {
		const writers, each = 8, 12
		tenants := []id.Tenant{w.tenant("one"), w.tenant("two"), w.tenant("three")}
		var mu sync.Mutex
		told := map[id.Tenant]map[directory.Revision]string{}
		for _, t := range tenants {
			told[t] = map[directory.Revision]string{}
		}
		var all sync.WaitGroup
		for ti, t := range tenants {
			for n := range writers {
				all.Go(func() {
					for i := range each {
						name := fmt.Sprintf("t%d-w%d-%d", ti, n, i)
						rev, err := w.store.Update(context.Background(), t, author, func(wr directory.Writer) error {
							return wr.InsertUser(&directory.User{Name: name})
						})
						if err != nil {
							w.Errorf("Update: %v", err)
							return
						}
						mu.Lock()
						if other, taken := told[t][rev]; taken {
							w.Errorf("%s and %s were both told revision %d", other, name, rev)
						}
						told[t][rev] = name
						mu.Unlock()
					}
				})
			}
		}
		all.Wait()
		for _, t := range tenants {
			commits := w.commits(t, 0)
			if len(commits) != writers*each {
				w.Fatalf("the log has %d commits, want %d", len(commits), writers*each)
			}
			for i, c := range commits {
				if c.Revision != directory.Revision(i+1) {
					w.Fatalf("commit %d of the log has revision %d", i+1, c.Revision)
				}
				if got, want := c.Changes[0].After["name"], told[t][c.Revision]; got != want {
					w.Fatalf("revision %d made %v, but its writer, %s, was told that it was its own", c.Revision, got, want)
				}
			}
			if got := w.revision(t); got != writers*each {
				w.Fatalf("the tenant is at revision %d, want %d", got, writers*each)
			}
		}
	}},

	{"a change that fails comes back unwrapped and leaves nothing", func(w *world) {
		t := w.tenant("one")
		w.user(t, directory.User{Name: "ann"})
		w.groups(t, 2)
		key := directory.Credential{Kind: "k", Hash: []byte("hash")}
		before, shape := w.commits(t, 0), w.shape(t)
		_, err := w.store.Update(context.Background(), t, author, func(wr directory.Writer) error {
			steps := []func() error{
				func() error {
					return wr.InsertUser(&directory.User{Name: "bob", Number: 900, Code: 900_000, PersonCode: 900_000})
				},
				func() error {
					return wr.InsertGroup(&directory.Group{Name: "g", Number: 900, Code: 900_000, Grants: directory.Admin})
				},
				func() error { return insertEdges(wr, []directory.Edge{in(900, 1), within(2, 1)}, directory.Standing{}) },
				func() error { return wr.InsertCredential(&key) },
				func() error { return wr.Remember(author.Actor.Credential, "key", directory.Kept{Answer: []byte("a")}) },
			}
			for _, step := range steps {
				if err := step(); err != nil {
					return fmt.Errorf("a step failed: %w", err)
				}
			}
			return errMine
		})
		if err != errMine {
			w.Fatalf("the error is %v, want the function's own", err)
		}
		w.same("the log", w.commits(t, 0), before)
		w.same("the shape", w.shape(t), shape)
		if n := len(get(w, t, func(r directory.Reader) ([]directory.User, error) { return r.ListUsers(directory.UserFilter{}, 0, 10) })); n != 1 {
			w.Fatalf("there are %d users, want 1", n)
		}
		if n := len(get(w, t, func(r directory.Reader) ([]directory.Membership, error) {
			return r.Memberships(directory.MembershipQuery{Group: 1, Limit: 10})
		})); n != 0 {
			w.Fatalf("there are %d memberships, want none", n)
		}
		_, err = w.store.CredentialByHash(context.Background(), "k", []byte("hash"))
		w.is(err, directory.ErrNoCredential)
		w.update(t, func(wr directory.Writer) error {
			if _, ok, err := wr.Remembered(author.Actor.Credential, "key"); ok || err != nil {
				return fmt.Errorf("an answer of the failed change is remembered (%v)", err)
			}
			return nil
		})
		// Numbers and codes go on as if it had not been.
		u, g := w.user(t, directory.User{Name: "bob"}), w.group(t, directory.Group{Name: "g"})
		if u.Number != 2 || u.Code != 2 || u.PersonCode != 2 || g.Number != 3 || g.Code != 3 {
			w.Fatalf("the next user is %d with code %d and person %d, the next group %d with code %d; want 2, 2, 2, 3, 3", u.Number, u.Code, u.PersonCode, g.Number, g.Code)
		}
	}},

	{"functions that fail or panic among 64 at once disturb no other", func(w *world) {
		t, other := w.tenant("one"), w.tenant("two")
		var all sync.WaitGroup
		gate := make(chan struct{})
		results := make([]error, 64)
		for i := range results {
			all.Go(func() {
				<-gate
				in := t
				if i%2 == 1 {
					in = other
				}
				_, results[i] = w.store.Update(context.Background(), in, author, func(wr directory.Writer) error {
					u := directory.User{Name: fmt.Sprintf("u%d", i)}
					if err := wr.InsertUser(&u); err != nil {
						return err
					}
					g := directory.Group{Name: fmt.Sprintf("g%d", i)}
					if err := wr.InsertGroup(&g); err != nil {
						return err
					}
					if err := insertEdges(wr, []directory.Edge{{Group: g.Number, Member: id.UserMember(u.Number)}}, directory.Standing{}); err != nil {
						return err
					}
					switch i % 8 {
					case 2, 3:
						return errMine
					case 4, 5:
						panic("on purpose")
					}
					return nil
				})
			})
		}
		close(gate)
		all.Wait()
		want := map[id.Tenant][]string{}
		for i, err := range results {
			bad := i%8 >= 2 && i%8 <= 5
			if bad != (err != nil) {
				w.Errorf("writer %d got %v, want an error: %v", i, err, bad)
			}
			if !bad {
				in := []id.Tenant{t, other}[i%2]
				want[in] = append(want[in], fmt.Sprintf("u%d", i))
			}
		}
		for _, in := range []id.Tenant{t, other} {
			var rows, logged []string
			for _, u := range get(w, in, func(r directory.Reader) ([]directory.User, error) {
				return r.ListUsers(directory.UserFilter{}, 0, 100)
			}) {
				rows = append(rows, u.Name)
			}
			for i, c := range w.commits(in, 0) {
				if c.Revision != directory.Revision(i+1) || len(c.Changes) != 3 {
					w.Errorf("commit %d has revision %d and %d changes, want 3 changes", i+1, c.Revision, len(c.Changes))
				}
				logged = append(logged, c.Changes[0].After["name"].(string))
				e := directory.Edge{Group: c.Changes[2].Number, Member: c.Changes[2].Members[0]}
				if n := len(get(w, in, func(r directory.Reader) ([]directory.Membership, error) { return r.Standing([]directory.Edge{e}) })); n != 1 {
					w.Errorf("the membership of commit %d is not there", i+1)
				}
			}
			slices.Sort(want[in])
			slices.Sort(rows)
			slices.Sort(logged)
			w.same("the users", rows, want[in])
			w.same("the log", logged, want[in])
		}
	}},

	{"a function that changes nothing makes no revision", func(w *world) {
		t := w.tenant("one")
		w.user(t, directory.User{Name: "ann"})
		shape := w.shape(t)
		for _, fn := range []func(directory.Writer) error{
			func(directory.Writer) error { return nil },
			func(wr directory.Writer) error { _, err := wr.User(directory.ByName("ann")); return err },
			func(wr directory.Writer) error { return insertEdges(wr, nil, directory.Standing{}) },
			func(wr directory.Writer) error { return wr.UpdateEdges(nil) },
			func(wr directory.Writer) error { return wr.DeleteEdges(nil) },
			func(wr directory.Writer) error {
				return wr.Remember(id.New[id.Credential](), "key", directory.Kept{Answer: []byte("a")})
			},
		} {
			if rev := w.update(t, fn); rev != 1 {
				w.Fatalf("the revision is %d, want still 1", rev)
			}
		}
		if n := len(w.commits(t, 0)); n != 1 {
			w.Fatalf("the log has %d commits, want 1", n)
		}
		w.same("the shape", w.shape(t), shape)
	}},

	{"the outcome is the revision that the change will have", func(w *world) {
		t := w.tenant("one")
		var before, after directory.Revision
		rev := w.update(t, func(wr directory.Writer) error {
			before = wr.Outcome()
			err := wr.InsertUser(&directory.User{Name: "ann"})
			after = wr.Outcome()
			return err
		})
		if before != 0 || after != 1 || rev != 1 {
			w.Fatalf("Outcome was %d and then %d, Update returned %d; want 0, 1, 1", before, after, rev)
		}
	}},

	{"the moment of a commit never goes back though the clock does", func(w *world) {
		t := w.tenant("one")
		var at []time.Time
		for i, d := range []time.Duration{0, time.Second, -time.Hour, 2 * time.Hour, -24 * time.Hour, 0} {
			w.clock.advance(d)
			w.update(t, func(wr directory.Writer) error {
				at = append(at, wr.At())
				return wr.InsertUser(&directory.User{Name: fmt.Sprintf("u%d", i)})
			})
		}
		for i, want := range []time.Duration{0, time.Second, time.Second, time.Hour + time.Second, time.Hour + time.Second, time.Hour + time.Second} {
			if !at[i].Equal(start.Add(want)) {
				w.Errorf("commit %d is of %v, want %v", i+1, at[i], start.Add(want))
			}
		}
		for i, c := range w.commits(t, 0) {
			if !c.At.Equal(at[i]) || c.At.Location() != time.UTC {
				w.Errorf("the log says that commit %d is of %v, but its writer was told %v", i+1, c.At, at[i])
			}
		}
	}},

	{"moments are kept to the microsecond", func(w *world) {
		t := w.tenant("one")
		w.clock.advance(999 * time.Nanosecond)
		u := w.user(t, directory.User{Name: "ann"})
		kept := get(w, t, func(r directory.Reader) (directory.User, error) { return r.User(directory.ByNumber(1)) })
		if !u.Created.Equal(start) || !kept.Created.Equal(start) {
			w.Fatalf("created %v and kept %v, want %v", u.Created, kept.Created, start)
		}
	}},

	{"a context that has ended withdraws a change that has not begun", func(w *world) {
		t := w.tenant("one")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		ran := false
		_, err := w.store.Update(ctx, t, author, func(wr directory.Writer) error {
			ran = true
			return wr.InsertUser(&directory.User{Name: "ann"})
		})
		if !errors.Is(err, directory.Unavailable) || ran {
			w.Fatalf("the error is %v and the function ran: %v; want unavailable and false", err, ran)
		}
		if rev := w.revision(t); rev != 0 {
			w.Fatalf("the revision is %d, want 0", rev)
		}
	}},

	{"a context that ends while the change runs does not hide its outcome", func(w *world) {
		t := w.tenant("one")
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		rev, err := w.store.Update(ctx, t, author, func(wr directory.Writer) error {
			cancel()
			return wr.InsertUser(&directory.User{Name: "ann"})
		})
		if err != nil || rev != 1 || w.revision(t) != 1 {
			w.Fatalf("Update returned %d, %v; want 1 and no error", rev, err)
		}
	}},

	{"a view whose context ends does not hurt the views after it", func(w *world) {
		t := w.tenant("one")
		w.users(t, 200)
		for range 40 {
			ctx, cancel := context.WithCancel(context.Background())
			err := w.store.View(ctx, t, func(r directory.Reader) error {
				return r.Scan(func(n id.Number, _ id.User, _ bool, _ time.Time) error {
					if n == 3 {
						cancel()
					}
					return nil
				}, func(id.Number, id.Group) error { return nil }, func(directory.Edge, directory.Standing) error { return nil })
			})
			cancel()
			if err != nil && !errors.Is(err, directory.Unavailable) {
				w.Fatalf("a view whose context ended failed with %v, want unavailable", err)
			}
		}
		var all sync.WaitGroup
		for range 32 {
			all.Go(func() {
				_, err := try(w, t, func(r directory.Reader) (directory.User, error) { return r.User(directory.ByNumber(200)) })
				if err != nil {
					w.Errorf("a view after those failed: %v", err)
				}
			})
		}
		all.Wait()
	}},

	{"a view holds what was acknowledged before it and nothing that comes after", func(w *world) {
		t := w.tenant("one")
		w.user(t, directory.User{Name: "ann"})
		err := w.store.View(context.Background(), t, func(r directory.Reader) error {
			rev, err := r.Revision()
			if err != nil {
				return err
			}
			if rev != 1 {
				return fmt.Errorf("the revision is %d, want 1", rev)
			}
			if _, err := w.store.Update(context.Background(), t, author, func(wr directory.Writer) error {
				return wr.InsertUser(&directory.User{Name: "bob"})
			}); err != nil {
				return err
			}
			again, err := r.Revision()
			if err != nil {
				return err
			}
			list, err := r.ListUsers(directory.UserFilter{}, 0, 10)
			if err == nil && (again != 1 || len(list) != 1) {
				err = fmt.Errorf("the view moved to revision %d with %d users, want 1 and 1", again, len(list))
			}
			return err
		})
		if err != nil {
			w.Fatal(err)
		}
		if rev := w.revision(t); rev != 2 {
			w.Fatalf("the next view is at %d, want 2", rev)
		}
	}},

	{"a transaction reads what it has written", func(w *world) {
		t := w.tenant("one")
		w.update(t, func(wr directory.Writer) error {
			u, g, top := directory.User{Name: "ann"}, directory.Group{Name: "g", Grants: directory.ReadUsers}, directory.Group{Name: "top"}
			for _, err := range []error{wr.InsertUser(&u), wr.InsertGroup(&g), wr.InsertGroup(&top),
				insertEdges(wr, []directory.Edge{in(u.Number, g.Number), within(g.Number, top.Number)}, directory.Standing{Reason: "why"})} {
				if err != nil {
					return err
				}
			}
			if got, err := wr.User(directory.ByName("ANN")); err != nil || got.Number != u.Number {
				return fmt.Errorf("method User is %v, %v", got, err)
			}
			if got, err := wr.Check(u.Number, top.Number, wr.At()); err != nil || !got {
				return fmt.Errorf("method Check is %v, %v", got, err)
			}
			if got, err := wr.Granting(); err != nil || len(got) != 1 {
				return fmt.Errorf("method Granting is %v, %v", got, err)
			}
			for _, q := range []directory.MembershipQuery{{Group: g.Number, Limit: 10}, {Member: id.UserMember(u.Number), Limit: 10}} {
				if got, err := wr.Memberships(q); err != nil || len(got) != 1 || got[0].Reason != "why" {
					return fmt.Errorf("Memberships(%+v) is %v, %v, want what was inserted", q, got, err)
				}
			}
			return nil
		})
	}},

	{"there is no tenant but those that were made", func(w *world) {
		t := id.New[id.Tenant]()
		ctx := context.Background()
		_, err := w.store.Update(ctx, t, author, func(directory.Writer) error { return nil })
		w.is(err, directory.ErrNoTenant)
		w.is(w.store.View(ctx, t, func(directory.Reader) error { return nil }), directory.ErrNoTenant)
		for _, err := range w.store.Commits(ctx, t, 0) {
			w.is(err, directory.ErrNoTenant)
		}
		_, err = w.store.TenantByID(ctx, t)
		w.is(err, directory.ErrNoTenant)
		_, err = w.store.TenantByID(ctx, platform)
		w.is(err, directory.ErrNoTenant)
		for _, name := range []string{"", "platform", "nobody"} {
			_, err = w.store.TenantByName(ctx, name)
			w.is(err, directory.ErrNoTenant)
		}
		for _, code := range []int64{0, -1, 1} {
			_, err = w.store.TenantByCode(ctx, code)
			w.is(err, directory.ErrNoTenant)
		}
		list, err := w.store.Tenants(ctx, -5, 10)
		if err != nil || len(list) != 0 {
			w.Fatalf("Tenants is %v, %v; want none", list, err)
		}
	}},

	{"tenants are found by name, id and code and listed by code", func(w *world) {
		ctx := context.Background()
		var made []directory.Tenant
		for i, in := range []directory.Tenant{{Name: "one", Title: "One"}, {Name: "two", Code: 500}, {Name: "three", ID: id.New[id.Tenant](), Attributes: directory.Attributes{"d": map[string]any{"a": "b"}}}} {
			w.update(platform, func(wr directory.Writer) error { return wr.InsertTenant(&in) })
			if want := []int64{1, 500, 501}[i]; in.Code != want {
				w.Fatalf("tenant %s has code %d, want %d", in.Name, in.Code, want)
			}
			made = append(made, in)
		}
		for _, want := range made {
			for _, find := range []func() (directory.Tenant, error){
				func() (directory.Tenant, error) { return w.store.TenantByID(ctx, want.ID) },
				func() (directory.Tenant, error) { return w.store.TenantByName(ctx, want.Name) },
				func() (directory.Tenant, error) { return w.store.TenantByCode(ctx, want.Code) },
				func() (directory.Tenant, error) { return w.tenantRow(want.ID), nil },
			} {
				got, err := find()
				if err != nil {
					w.Fatal(err)
				}
				w.same("the tenant", got, want)
			}
		}
		first, err := w.store.Tenants(ctx, 0, 2)
		if err != nil {
			w.Fatal(err)
		}
		rest, err := w.store.Tenants(ctx, first[1].Code, 2)
		if err != nil {
			w.Fatal(err)
		}
		w.same("the pages of tenants", append(first, rest...), made)
	}},

	{"a tenant's own update is in its own log", func(w *world) {
		t := w.tenant("one")
		before := w.tenantRow(t)
		after := before
		after.Title, after.Attributes = "One", directory.Attributes{"d": map[string]any{"k": "v"}}
		w.clock.advance(time.Second)
		w.update(t, func(wr directory.Writer) error { return wr.UpdateTenant(before, after) })
		after.Version, after.Modified = 2, start.Add(time.Second)
		w.same("the tenant", w.tenantRow(t), after)
		c := w.commits(t, 0)
		if len(c) != 1 || c[0].Changes[0].Kind != directory.TenantUpdated {
			w.Fatalf("the tenant's log is %+v, want one update", c)
		}
	}},

	{"after Close a write and a view are Unavailable and Close does nothing more", func(w *world) {
		t := w.tenant("one")
		for range 2 {
			if err := w.store.Close(); err != nil {
				w.Fatalf("Close: %v", err)
			}
		}
		ctx := context.Background()
		_, err := w.store.Update(ctx, t, author, func(directory.Writer) error { return nil })
		if !errors.Is(err, directory.Unavailable) {
			w.Errorf("Update after Close is %v, want unavailable", err)
		}
		if err := w.store.View(ctx, t, func(directory.Reader) error { return nil }); !errors.Is(err, directory.Unavailable) {
			w.Errorf("View after Close is %v, want unavailable", err)
		}
		if err := w.store.Ready(ctx); !errors.Is(err, directory.Unavailable) {
			w.Errorf("Ready after Close is %v, want unavailable", err)
		}
	}},

	{"whoever writes while the store closes is told what became of it", func(w *world) {
		t := w.tenant("one")
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() {
				for n := range 50 {
					_, err := w.store.Update(context.Background(), t, author, func(wr directory.Writer) error {
						return wr.InsertGroup(&directory.Group{Name: fmt.Sprint(i, n)})
					})
					if errors.Is(err, directory.Unavailable) {
						return
					}
					if err != nil {
						w.Errorf("Update: %v", err)
						return
					}
				}
			})
		}
		time.Sleep(2 * time.Millisecond)
		if err := w.store.Close(); err != nil {
			w.Fatal(err)
		}
		done := make(chan struct{})
		go func() { all.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			w.Fatal("a writer was never told")
		}
	}},

	{"a store that is ready says so", func(w *world) {
		if err := w.store.Ready(context.Background()); err != nil {
			w.Fatal(err)
		}
	}},
}
