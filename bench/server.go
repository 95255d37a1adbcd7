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

// newBed makes a bed over the embedded store or, if it is named, a PostgreSQL one.
func newBed(ctx context.Context, store string) (_ *bed, err error) {
	dir, err := os.MkdirTemp("", "roster-bench-")
	if err != nil {
		return nil, err
	}
	b := &bed{dir: dir}
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

func (b *bed) close() error {
	return errors.Join(b.http.Close(), b.Opened.Close(), os.RemoveAll(b.dir))
}

// fill makes users named u0…, and groups named g0…, and returns their ids.
func (b *bed) fill(ctx context.Context, users, groups int) (us []id.User, gs []id.Group, err error) {
	us, gs = make([]id.User, users), make([]id.Group, groups)
	err = parallel(users, func(i int) error {
		u, err := b.Directory.CreateUser(ctx, b.p, directory.NewUser{Name: fmt.Sprint("u", i)})
		us[i] = u.Value.ID
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	err = parallel(groups, func(i int) error {
		g, err := b.Directory.CreateGroup(ctx, b.p, directory.NewGroup{Name: fmt.Sprint("g", i)})
		gs[i] = g.Value.ID
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

// reopen opens a data directory again, as a start does.
func reopen(ctx context.Context, dir string) (*server.Opened, error) {
	return server.Open(ctx, server.Storage{Data: dir}, slog.New(slog.DiscardHandler))
}
