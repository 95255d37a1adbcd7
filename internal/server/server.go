// Package server puts the parts together: the store, the core, the doors, and
// the two listeners they are reached through. It alone knows which engines and
// dialects there are.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"roster/internal/apply"
	"roster/internal/authn"
	"roster/internal/dialect"
	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/postgres"
	"roster/internal/store/sqlite"
	"roster/internal/wire"
)

// Storage says where a deployment's rows are.
type Storage struct {
	// Data is the data directory: the embedded store's, or with Store only where
	// a first start leaves the platform's key.
	Data string

	// Store names a PostgreSQL database, as postgres://user@host/database; "" for
	// the embedded store.
	Store       string
	NoMigrate   bool // fail rather than change an older schema
	Connections int  // the most to open; 0 for the default
}

// Config is what an operator chooses.
type Config struct {
	Storage
	Listen    string // where the doors are
	OpsListen string // where operations are; "" for nowhere
	Demo      bool
	Proxies   []string          // addresses and networks of proxies to believe about their clients
	Settings  map[string]string // of dialects; see [dialect.Door.Settings]
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

// Open opens a deployment. It fails with [sqlite.ErrLocked] if a server has the
// data directory open.
func Open(ctx context.Context, at Storage, log *slog.Logger) (*Opened, error) {
	open := openEmbedded
	if at.Store != "" {
		open = openPostgres
	}
	store, sealer, err := open(ctx, at)
	if err != nil {
		return nil, err
	}
	d := directory.New(store, directory.Options{Log: log})
	return &Opened{Directory: d, Authn: authn.New(d, sealer, log), store: store}, nil
}

func openEmbedded(ctx context.Context, at Storage) (directory.Store, *authn.Sealer, error) {
	// A key that cannot be read is refused before the directory is changed.
	sealer, err := authn.FindSealer(at.Data)
	if err != nil {
		return nil, nil, err
	}
	store, err := sqlite.Open(ctx, at.Data)
	if err != nil {
		if errors.Is(err, sqlite.ErrLocked) {
			err = fmt.Errorf("%w: stop that server first, or choose another directory with --data", err)
		}
		return nil, nil, err
	}
	if sealer == nil {
		if sealer, err = authn.LoadSealer(at.Data); err != nil {
			store.Close()
			return nil, nil, err
		}
	}
	return store, sealer, nil
}

// Migrate brings the schema of a PostgreSQL database up to date, or with dry says
// what it would do; see [postgres.Migrate].
func Migrate(ctx context.Context, store string, dry bool) ([]postgres.Migration, error) {
	return postgres.Migrate(ctx, store, dry)
}

func openPostgres(ctx context.Context, at Storage) (directory.Store, *authn.Sealer, error) {
	if !authn.SealKeyGiven() {
		return nil, nil, fmt.Errorf("a PostgreSQL store needs %s, or %s with the name of a file, the same on every node: 64 hex digits, made once with openssl rand -hex 32", authn.SealKeyEnv, authn.SealKeyFileEnv)
	}
	sealer, err := authn.LoadSealer("")
	if err != nil {
		return nil, nil, err
	}
	store, err := postgres.Open(ctx, at.Store, postgres.Options{
		NoMigrate: at.NoMigrate, Connections: at.Connections,
		Pins: map[string]string{sealPinned: sealer.Fingerprint()},
	})
	if errors.Is(err, postgres.ErrPinned) {
		err = fmt.Errorf("the secrets in that database are sealed with another key: give this node the %s that the other nodes have", authn.SealKeyEnv)
	}
	if err != nil {
		return nil, nil, err
	}
	return store, sealer, nil
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
	return handler(o.doors(log, nil), log)
}

func (o *Opened) doors(log *slog.Logger, settings map[string]string) []dialect.Door {
	deps := dialect.Deps{Directory: o.Directory, Authn: o.Authn, Log: log, Settings: settings}
	made := make([]dialect.Door, len(doors))
	for i, open := range doors {
		made[i] = open(deps)
	}
	return made
}

func handler(doors []dialect.Door, log *slog.Logger) http.Handler {
	return wire.Logged(log, Mount(doors, http.HandlerFunc(nowhere)), failed)
}

// checkSettings refuses what no dialect knows.
func checkSettings(doors []dialect.Door, settings map[string]string) error {
	known := map[string][]string{}
	for _, d := range doors {
		maps.Copy(known, d.Settings)
	}
	for name, value := range settings {
		values, ok := known[name]
		if !ok {
			return fmt.Errorf("--set: there is no setting %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		if !slices.Contains(values, value) {
			return fmt.Errorf("--set: %s is %s, not %q", name, strings.Join(values, " or "), value)
		}
	}
	return nil
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
	proxies, err := parseProxies(cfg.Proxies)
	if err != nil {
		return err
	}
	o, err := Open(ctx, cfg.Storage, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	made := o.doors(log, cfg.Settings)
	if err := checkSettings(made, cfg.Settings); err != nil {
		return err
	}
	if err := o.firstStart(ctx, cfg, log); err != nil {
		return err
	}

	// Dates of memberships that come are recorded while the server runs.
	keep, stopKeeping := context.WithCancel(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() { o.Directory.KeepTime(keep) })
	defer keeper.Wait()
	defer stopKeeping()

	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	defer listener.Close()
	stopping := make(chan struct{})
	var ops *http.Server
	operations := ""
	failures := make(chan error, 2)
	if cfg.OpsListen != "" {
		opsListener, err := net.Listen("tcp", cfg.OpsListen)
		if err != nil {
			return fmt.Errorf("--ops-listen: %w", err)
		}
		operations = opsListener.Addr().String()
		ops = &http.Server{Handler: opsHandler(o.Directory, stopping), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
		go func() { failures <- ops.Serve(opsListener) }()
		defer ops.Close()
	}
	main := &http.Server{
		Handler:           behind(proxies, handler(made, log)),
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
	if cfg.Store == "" {
		log.Info("serving", "address", address, "operations", operations, "data", cfg.Data)
	} else {
		log.Info("serving", "address", address, "operations", operations, "store", postgres.Name(cfg.Store))
	}
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
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return fmt.Errorf("the platform's key needs a place: %w; name a directory with --data", err)
	}
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		return fmt.Errorf("the platform's key needs a place: %w; name a directory with --data", err)
	}
	// Of nodes that start at once on one database, one makes the key.
	p.Once = &directory.Once{Key: "first start", Encode: func(any, directory.Revision) []byte { return []byte{} }}
	_, err = o.Directory.CreateCredential(ctx, p, directory.NewCredential{Kind: authn.Native, Name: "platform", Grants: directory.Platform, Hash: hash, Sealed: sealed})
	if errors.Is(err, directory.ErrReplayed) {
		return os.Remove(path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	log.Info("first start: the platform's key is in a file readable by you alone", "file", path)
	return nil
}
