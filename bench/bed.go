package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/server"
)

// bed is a server on loopback with one tenant in it, in a directory that goes
// away.
type bed struct {
	*server.Opened
	dir     string
	address string
	key     string
	tenant  id.Tenant
	p       directory.Principal // everything in the tenant

	http *http.Server
}

// newBed makes a bed over the embedded store or, if it is named, a PostgreSQL one,
// in a new directory in scratch.
func newBed(ctx context.Context, scratch, store string) (_ *bed, err error) {
	dir, err := os.MkdirTemp(scratch, "bed-")
	if err != nil {
		return nil, err
	}
	b := &bed{dir: dir}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.Opened, err = server.Open(ctx, server.Storage{Data: filepath.Join(dir, "data"), Store: store}, slog.New(slog.DiscardHandler)); err != nil {
		return nil, err
	}
	root := server.Operator("bench")
	t, err := b.Directory.CreateTenant(ctx, root, directory.NewTenant{Name: "bench"})
	if err != nil {
		return nil, err
	}
	b.tenant, b.p = t.Value.ID, root
	b.p.Tenant, b.p.Grants = t.Value.ID, directory.InTenant
	secret, hash, _ := b.Authn.Mint(authn.Native)
	b.key = secret
	_, err = b.Directory.CreateCredential(ctx, b.p, directory.NewCredential{Kind: authn.Native, Name: "bench", Grants: directory.Admin, Hash: hash})
	if err != nil {
		return nil, err
	}
	// The log is on, as it is in service, and goes to a file.
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b.address = listener.Addr().String()
	b.http = &http.Server{Handler: b.Handler(slog.New(slog.NewTextHandler(log, nil)))}
	go b.http.Serve(listener)
	return b, nil
}

// close ends the server and removes what it kept.
func (b *bed) close() error { return errors.Join(b.stop(), os.RemoveAll(b.dir)) }

// stop ends the server, if it runs.
func (b *bed) stop() error {
	var err error
	if b.http != nil {
		err = b.http.Close()
	}
	if b.Opened != nil {
		err = errors.Join(err, b.Opened.Close())
	}
	b.http, b.Opened = nil, nil
	return err
}

// group is one that fill made.
type group struct {
	id     id.Group
	number id.Number
}

func (g group) ref() directory.Ref { return directory.ByNumber(int64(g.number)) }

// fill makes users, named in turn a0, b1, a2 and so on and numbered from 1, and
// groups.
func (b *bed) fill(ctx context.Context, users, groups int) (us []id.User, gs []group, err error) {
	us, gs = make([]id.User, 0, users), make([]group, groups)
	for len(us) < users {
		var in directory.NewUsers
		for i := len(us); i < min(len(us)+directory.MaxUsers, users); i++ {
			in.Users = append(in.Users, directory.NewUser{Name: fmt.Sprintf("%c%d", 'a'+i%2, i)})
		}
		made, err := b.Directory.CreateUsers(ctx, b.p, in)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range made.Value {
			if us = append(us, r.User.ID); r.User.Number != id.Number(len(us)) {
				return nil, nil, fmt.Errorf("user %d has the number %d", len(us), r.User.Number)
			}
		}
	}
	err = parallel(groups, func(i int) error {
		g, err := b.Directory.CreateGroup(ctx, b.p, directory.NewGroup{Name: fmt.Sprint("g", i)})
		gs[i] = group{g.Value.ID, g.Value.Number}
		return err
	})
	return us, gs, err
}

// parallel calls fn for 0 to n-1, 128 at a time, so that they share commits.
func parallel(n int, fn func(int) error) error {
	const workers = 128
	errs := make(chan error, workers)
	for w := range workers {
		go func() {
			for i := w; i < n; i += workers {
				if err := fn(i); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	var err error
	for range workers {
		err = errors.Join(err, <-errs)
	}
	return err
}

// edge is one membership, by numbers.
type edge struct {
	group  id.Number
	member id.Member
}

// change adds memberships, or removes them, in as many calls as that takes.
func (b *bed) change(ctx context.Context, do directory.BatchDo, edges []edge) error {
	for part := range slices.Chunk(edges, directory.MaxBatch) {
		pairs := make([]directory.Pair, len(part))
		for i, e := range part {
			m := directory.MemberRef{}
			if g, ok := e.member.Group(); ok {
				m.IsGroup, m.Ref = true, directory.ByNumber(int64(g))
			} else if u, ok := e.member.User(); ok {
				m.Ref = directory.ByNumber(int64(u))
			}
			pairs[i] = directory.Pair{Group: directory.ByNumber(int64(e.group)), Member: m}
		}
		_, err := b.Directory.ChangeMemberships(ctx, b.p, directory.Batch{Runs: []directory.BatchRun{{Do: do, Pairs: pairs}}})
		if err != nil {
			return err
		}
	}
	return nil
}
