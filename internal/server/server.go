// Package server puts the parts together: the store, the core, the doors, and
// the two listeners they are reached through. It alone knows which engines and
// dialects there are.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"roster/internal/apply"
	"roster/internal/authn"
	"roster/internal/dialect"
	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/sqlite"
	"roster/internal/wire"
)

// Config is what an operator chooses.
type Config struct {
	Data      string // the data directory
	Listen    string // where the doors are
	OpsListen string // where operations are; "" for nowhere
	Demo      bool
	Log       *slog.Logger
}

// stopWithin is how long requests in flight have when the server is told to
// stop. A write is bounded by an fsync, so this is plenty.
const stopWithin = 30 * time.Second

// Opened is a data directory in use: the core and what is around it, without
// listeners. The command line opens one to work without a server.
type Opened struct {
	Directory *directory.Directory
	Authn     *authn.Authenticator

	store directory.Store
}

// Open opens a data directory. It fails with [sqlite.ErrLocked] if a server has
// it open.
func Open(ctx context.Context, dir string, log *slog.Logger) (*Opened, error) {
	store, err := sqlite.Open(ctx, dir)
	if err != nil {
		if errors.Is(err, sqlite.ErrLocked) {
			return nil, fmt.Errorf("%w: stop that server first, or choose another directory with --data", err)
		}
		return nil, err
	}
	sealer, err := authn.LoadSealer(dir)
	if err != nil {
		store.Close()
		return nil, err
	}
	d := directory.New(store, directory.Options{Log: log})
	return &Opened{Directory: d, Authn: authn.New(d, sealer, log), store: store}, nil
}

// Close ends everything that Open started.
func (o *Opened) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	o.Authn.Flush(ctx)
	o.Directory.Close()
	return o.store.Close()
}

// Applier returns what carries out declarative files on the directory.
func (o *Opened) Applier() *apply.Applier {
	return &apply.Applier{Directory: o.Directory, Authn: o.Authn}
}

// Operator is the principal of whoever has the data directory in their hands:
// the platform, with everything.
func Operator(what string) directory.Principal {
	return directory.Principal{Credential: operator, Grants: directory.Platform, Name: "operator", Dialect: what}
}

// operator stands in the change log for work done on the data directory itself.
var operator = id.Credential{15: 1}

// Handler returns every door behind one handler, with the request log around it.
func (o *Opened) Handler(log *slog.Logger) http.Handler {
	deps := dialect.Deps{Directory: o.Directory, Authn: o.Authn, Log: log}
	made := make([]dialect.Door, len(doors))
	for i, open := range doors {
		made[i] = open(deps)
	}
	return wire.Logged(log, Mount(made, http.HandlerFunc(nowhere)), failed)
}

// Run serves until ctx ends, then stops gracefully: no request in flight is cut,
// and what was acknowledged is on disk anyway. ready, if not nil, is called once
// the server answers, with the address of the doors.
func Run(ctx context.Context, cfg Config, ready func(address string)) (err error) {
	log := cfg.Log
	if cfg.Demo {
		if err := loopbackOnly(cfg.Listen); err != nil {
			return err
		}
	}
	o, err := Open(ctx, cfg.Data, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	if err := o.firstStart(ctx, cfg, log); err != nil {
		return err
	}

	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	defer listener.Close()
	stopping := make(chan struct{})
	var ops *http.Server
	failures := make(chan error, 2)
	if cfg.OpsListen != "" {
		opsListener, err := net.Listen("tcp", cfg.OpsListen)
		if err != nil {
			return fmt.Errorf("--ops-listen: %w", err)
		}
		ops = &http.Server{Handler: opsHandler(o.Directory, stopping), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
		go func() { failures <- ops.Serve(opsListener) }()
		defer ops.Close()
	}
	main := &http.Server{
		Handler:           o.Handler(log),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       5 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	go func() { failures <- main.Serve(listener) }()

	flushed := make(chan struct{})
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(flushed)
		o.flushUses(background)
	}()
	defer func() { cancel(); <-flushed }()

	address := listener.Addr().String()
	if cfg.Demo {
		if err := o.writeDemo(ctx, cfg.Data, address); err != nil {
			return err
		}
	}
	log.Info("serving", "address", address, "operations", cfg.OpsListen, "data", cfg.Data)
	if ready != nil {
		ready(address)
	}

	select {
	case err := <-failures:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping", "reason", context.Cause(ctx))
	close(stopping)
	stop, cancelStop := context.WithTimeout(context.Background(), stopWithin)
	defer cancelStop()
	if err := main.Shutdown(stop); err != nil {
		return fmt.Errorf("requests still in flight after %s: %w", stopWithin, err)
	}
	return nil
}

// flushEvery is how often last-used times are written down.
const flushEvery = time.Minute

func (o *Opened) flushUses(ctx context.Context) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			o.Authn.Flush(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// firstStart gives an empty deployment what it needs to be used at all: the
// demo, or a platform key.
func (o *Opened) firstStart(ctx context.Context, cfg Config, log *slog.Logger) error {
	p := Operator("serve")
	tenants, err := o.Directory.Tenants(ctx, p, directory.Page{Limit: 1})
	if err != nil {
		return err
	}
	keys, err := o.Directory.Credentials(ctx, p, directory.ListCredentials{Page: directory.Page{Limit: 1}})
	if err != nil {
		return err
	}
	if len(tenants.Items)+len(keys.Value.Items) > 0 {
		return nil
	}
	if cfg.Demo {
		return o.loadDemo(ctx, p)
	}
	path := filepath.Join(cfg.Data, "platform.key")
	secret, hash, sealed := o.Authn.Mint(authn.Native)
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		return err
	}
	_, err = o.Directory.CreateCredential(ctx, p, directory.NewCredential{Kind: authn.Native, Name: "platform", Grants: directory.Platform, Hash: hash, Sealed: sealed})
	if err != nil {
		return err
	}
	log.Info("first start: the platform's key is in a file readable by you alone", "file", path)
	return nil
}
