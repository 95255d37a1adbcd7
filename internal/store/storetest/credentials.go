package storetest

import (
	"context"
	"fmt"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// key inserts a credential of which zero fields are filled in.
func (w *world) key(t id.Tenant, c directory.Credential) directory.Credential {
	w.Helper()
	if c.Kind == "" {
		c.Kind = "k"
	}
	if c.Hash == nil {
		c.Hash = []byte(c.Name)
	}
	w.update(t, func(wr directory.Writer) error { return wr.InsertCredential(&c) })
	return c
}

var credentials = []testCase{
	{"a credential comes back as it was put in and is found by kind and hash alone", func(w *world) {
		ctx := context.Background()
		t := w.tenant("one")
		u := w.user(t, directory.User{Name: "ann"})
		c := w.key(t, directory.Credential{
			Kind: "k", Name: "n", Handle: "h", User: u.ID, Parent: id.New[id.Credential](), Grants: directory.InTenant,
			Expires: start.Add(time.Hour), Sealed: []byte{0, 1, 2}, Hash: []byte{0xff, 0}, Attributes: directory.Attributes{"d": map[string]any{"k": "v"}},
		})
		own := w.key(platform, directory.Credential{Kind: "k", Name: "own", Grants: directory.Platform, Hash: []byte{1}})
		if c.Tenant != t || !c.Created.Equal(start) || !c.Used.IsZero() || own.Tenant != platform {
			w.Fatalf("what was filled in is wrong: %+v", c)
		}
		for _, want := range []directory.Credential{c, own} {
			got, err := w.store.CredentialByHash(ctx, want.Kind, want.Hash)
			if err != nil {
				w.Fatal(err)
			}
			w.same("the credential by its hash", got, want)
			w.same("the credential by its id", get(w, want.Tenant, func(r directory.Reader) (directory.Credential, error) { return r.Credential(want.ID) }), want)
		}
		for _, q := range []struct {
			kind directory.CredentialKind
			hash []byte
		}{{"other", c.Hash}, {"", c.Hash}, {"k", nil}, {"k", []byte{0xff}}, {"K", c.Hash}} {
			_, err := w.store.CredentialByHash(ctx, q.kind, q.hash)
			w.is(err, directory.ErrNoCredential)
		}
		_, err := try(w, t, func(r directory.Reader) (directory.Credential, error) { return r.Credential(own.ID) })
		w.is(err, directory.ErrNoCredential)
	}},

	{"an update of a credential changes what it may and an end is an end", func(w *world) {
		ctx := context.Background()
		t := w.tenant("one")
		c := w.key(t, directory.Credential{Name: "n", Handle: "h", Grants: directory.Admin})
		c.Name, c.Grants, c.Expires, c.Sealed, c.Hash = "m", directory.ReadUsers, start.Add(time.Second), []byte("s"), []byte("new")
		rev := w.update(t, func(wr directory.Writer) error { return wr.UpdateCredential(c) })
		got, err := w.store.CredentialByHash(ctx, "k", []byte("new"))
		if err != nil {
			w.Fatal(err)
		}
		w.same("the credential", got, c)
		_, err = w.store.CredentialByHash(ctx, "k", []byte("n"))
		w.is(err, directory.ErrNoCredential)
		unknown := c
		unknown.ID = id.New[id.Credential]()
		w.refused(t, directory.ErrNoCredential, func(wr directory.Writer) error { return wr.UpdateCredential(unknown) })
		w.update(t, func(wr directory.Writer) error { return wr.DeleteCredential(c) })
		_, err = w.store.CredentialByHash(ctx, "k", []byte("new"))
		w.is(err, directory.ErrNoCredential)
		// To end what has ended changes nothing.
		if again := w.update(t, func(wr directory.Writer) error { return wr.DeleteCredential(c) }); again != rev+1 {
			w.Fatalf("ending it again made revision %d, want still %d", again, rev+1)
		}
	}},

	{"credentials are listed by code and as narrowly as asked", func(w *world) {
		t := w.tenant("one")
		ann, bob := w.user(t, directory.User{Name: "ann"}), w.user(t, directory.User{Name: "bob"})
		a := w.key(t, directory.Credential{Name: "a", User: ann.ID, Handle: "h"})
		w.key(t, directory.Credential{Name: "b", Kind: "other", User: bob.ID, Handle: "h", Expires: start})
		w.key(t, directory.Credential{Name: "c", Parent: a.ID, User: ann.ID, Expires: start.Add(time.Microsecond)})
		w.key(t, directory.Credential{Name: "d", Parent: a.ID, Code: 900})
		w.key(t, directory.Credential{Name: "e", Code: 500})
		for _, c := range []struct {
			q    directory.CredentialQuery
			want string
		}{
			{directory.CredentialQuery{}, "abced"},
			{directory.CredentialQuery{Kind: "k"}, "aced"},
			{directory.CredentialQuery{Kind: "none"}, ""},
			{directory.CredentialQuery{User: ann.ID}, "ac"},
			{directory.CredentialQuery{Parent: a.ID}, "cd"},
			{directory.CredentialQuery{Parent: a.ID, User: ann.ID}, "c"},
			{directory.CredentialQuery{Handle: "h"}, "ab"},
			{directory.CredentialQuery{Handle: "h", Kind: "other"}, "b"},
			{directory.CredentialQuery{Expired: start}, "b"},
			{directory.CredentialQuery{Expired: start.Add(-time.Microsecond)}, ""},
			{directory.CredentialQuery{Expired: start.Add(time.Hour)}, "bc"},
		} {
			for _, limit := range []int{1, 2, 100} {
				got := ""
				for after := int64(0); ; {
					page := get(w, t, func(r directory.Reader) ([]directory.Credential, error) { return r.Credentials(c.q, after, limit) })
					for _, k := range page {
						got, after = got+k.Name, k.Code
					}
					if len(page) < limit {
						break
					}
				}
				if got != c.want {
					w.Errorf("%+v in pages of %d is %q, want %q", c.q, limit, got, c.want)
				}
			}
		}
	}},

	{"last uses are noted outside the log and never go back", func(w *world) {
		ctx := context.Background()
		t, other := w.tenant("one"), w.tenant("two")
		a, b, own := w.key(t, directory.Credential{Name: "a"}), w.key(other, directory.Credential{Name: "b"}), w.key(platform, directory.Credential{Name: "own"})
		revisions := [3]directory.Revision{w.revision(t), w.revision(other), w.revision(platform)}
		used := func(t id.Tenant, c id.Credential) time.Time {
			return get(w, t, func(r directory.Reader) (directory.Credential, error) { return r.Credential(c) }).Used
		}
		for _, m := range []map[id.Credential]time.Time{
			{a.ID: start.Add(time.Hour), own.ID: start, id.New[id.Credential](): start},
			{a.ID: start.Add(time.Minute)},
			{},
			nil,
		} {
			if err := w.store.Touch(ctx, m); err != nil {
				w.Fatal(err)
			}
		}
		if got := used(t, a.ID); !got.Equal(start.Add(time.Hour)) {
			w.Errorf("the key was last used at %v, want an hour after the start", got)
		}
		if got := used(other, b.ID); !got.IsZero() {
			w.Errorf("the key that was not used was last used at %v", got)
		}
		if got := used(platform, own.ID); !got.Equal(start) {
			w.Errorf("the platform's key was last used at %v", got)
		}
		if now := [3]directory.Revision{w.revision(t), w.revision(other), w.revision(platform)}; now != revisions {
			w.Errorf("the revisions went from %v to %v", revisions, now)
		}
	}},

	{"an answer is kept for one key of one credential and for one day", func(w *world) {
		t, other := w.tenant("one"), w.tenant("two")
		a, b := id.New[id.Credential](), id.New[id.Credential]()
		kept := directory.Kept{Fingerprint: [32]byte{1, 2, 31: 3}, Answer: []byte{0, 0xff}}
		w.update(t, func(wr directory.Writer) error { return wr.Remember(a, "key", kept) })
		ask := func(t id.Tenant, c id.Credential, key string) bool {
			var found bool
			w.update(t, func(wr directory.Writer) error {
				k, ok, err := wr.Remembered(c, key)
				found = ok
				if ok && (k.Fingerprint != kept.Fingerprint || string(k.Answer) != string(kept.Answer)) {
					return fmt.Errorf("what was kept is %v", k)
				}
				return err
			})
			return found
		}
		for _, c := range []struct {
			tenant     id.Tenant
			credential id.Credential
			key        string
			want       bool
		}{{t, a, "key", true}, {t, b, "key", false}, {t, a, "KEY", false}, {t, a, "", false}, {other, a, "key", false}} {
			if got := ask(c.tenant, c.credential, c.key); got != c.want {
				w.Errorf("key %q is remembered: %v, want %v", c.key, got, c.want)
			}
		}
		// Room is made as answers are kept; until then nothing is lost.
		w.clock.advance(25 * time.Hour)
		w.update(t, func(wr directory.Writer) error { return wr.Remember(b, "later", kept) })
		if ask(t, a, "key") || !ask(t, b, "later") {
			w.Error("after a day and another answer the first is still there, or the second is not")
		}
	}},
}
