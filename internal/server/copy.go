package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"roster/internal/authn"
	"roster/internal/store/postgres"
	"roster/internal/store/sqlite"
	"roster/internal/store/transfer"
)

// What [Copy] tells while it works, and at the end.
type (
	CopyProgress = transfer.Progress
	CopyResult   = transfer.Result
)

// Copy copies a whole deployment from one store to another, each named
// sqlite:DIRECTORY or postgres://user@host/database, or goes on with that, and
// compares both at the end; see [transfer.Run]. say gets lines for the operator.
// What is wrong is said in one line, and before anything has been changed if it
// can be known then.
func Copy(ctx context.Context, from, to string, report func(CopyProgress), say func(string)) (_ []CopyResult, err error) {
	fromDir, err := directoryOf(from)
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	toDir, err := directoryOf(to)
	if err != nil {
		return nil, fmt.Errorf("--to: %w", err)
	}
	if fromDir != "" && toDir != "" && sameFile(fromDir, toDir) {
		return nil, errSameStore
	}
	source, err := openSource(ctx, from, fromDir)
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	s, err := sealedWith(ctx, source, fromDir)
	if err != nil {
		return nil, err
	}
	if toDir != "" {
		// What is wrong with a store that is there is said first.
		if _, err := os.Stat(filepath.Join(toDir, "roster.db")); errors.Is(err, os.ErrNotExist) {
			if err := s.fits(source, toDir); err != nil {
				return nil, err
			}
		}
		target, err := sqlite.OpenTarget(ctx, toDir)
		if err != nil {
			return nil, fmt.Errorf("--to: %w", err)
		}
		defer func() { err = errors.Join(err, target.Close()) }()
		return transfer.Run(ctx, source, target, transfer.Options{Report: report, Prepare: func(context.Context) error { return s.leaveIn(source, toDir) }})
	}
	target, err := postgres.OpenTarget(ctx, to)
	if err != nil {
		return nil, fmt.Errorf("--to: %w", err)
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	if db, ok := source.(*postgres.End); ok && db.Identity() == target.Identity() {
		return nil, errSameStore
	}
	return transfer.Run(ctx, source, target, transfer.Options{Report: report, Prepare: func(ctx context.Context) error { return s.pin(ctx, target, say) }})
}

var errSameStore = errors.New("--from and --to name the same store")

// directoryOf returns the directory that a store's name means, "" for a database.
func directoryOf(store string) (string, error) {
	if dir, ok := strings.CutPrefix(store, "sqlite:"); ok {
		dir, url := strings.CutPrefix(dir, "//")
		if dir != "" && (!url || filepath.IsAbs(dir)) {
			return dir, nil
		}
	}
	if strings.HasPrefix(store, "postgres://") || strings.HasPrefix(store, "postgresql://") {
		return "", nil
	}
	// It is not shown: there may be a password in it.
	return "", errors.New("a store is named sqlite:DIR or postgres://user@host/db")
}

func sameFile(a, b string) bool {
	ai, aerr := os.Stat(a)
	bi, berr := os.Stat(b)
	return aerr == nil && berr == nil && os.SameFile(ai, bi) // what is not there yet is no other
}

func openSource(ctx context.Context, store, dir string) (transfer.Source, error) {
	if dir != "" {
		return sqlite.OpenSource(ctx, dir)
	}
	return postgres.OpenSource(ctx, store)
}

// seal is what a deployment's secrets are sealed with.
type seal struct {
	print string // the key's fingerprint; "" if nothing has been sealed
	key   []byte // nil if it is not known here
	where string // where the key is, for people
}

// sealPinned is the setting of a database that names the key of its nodes.
const sealPinned = "seal"

// sealedWith finds out what the secrets of a store are sealed with, and that the
// key, if it is known, opens them.
func sealedWith(ctx context.Context, from transfer.Source, dir string) (seal, error) {
	env, err := authn.SealKeyFromEnv()
	if err != nil {
		return seal{}, err
	}
	s := seal{key: env, where: "the " + authn.SealKeyEnv + " that the servers of " + from.Name() + " have"}
	if dir != "" {
		file, err := authn.ReadSealKey(dir)
		if err != nil {
			return seal{}, err
		}
		if file != nil && env != nil && string(file) != string(env) {
			return seal{}, fmt.Errorf("%s is not the key in %s: unset it, or move away the file, whichever the server does not use", authn.SealKeyEnv, authn.SealKeyFile(dir))
		}
		if file != nil {
			s.key, s.where = file, "the content of "+authn.SealKeyFile(dir)
		}
	}
	var sealer *authn.Sealer
	if s.key != nil {
		if sealer, err = authn.NewSealer(s.key); err != nil {
			return seal{}, err
		}
		s.print = sealer.Fingerprint()
	}
	if db, ok := from.(*postgres.End); ok {
		pinned, err := db.Setting(ctx, sealPinned)
		if err != nil {
			return seal{}, err
		}
		if pinned != "" && s.key != nil && pinned != s.print {
			return seal{}, fmt.Errorf("%s is not the key that the secrets in %s are sealed with", authn.SealKeyEnv, from.Name())
		}
		if pinned != "" {
			s.print = pinned
		}
	}
	kind, secret, err := aSealed(ctx, from)
	if err != nil || secret == nil {
		return s, err
	}
	if s.print == "" {
		return seal{}, fmt.Errorf("the secrets in %s are sealed: set %s to the key that its servers have", from.Name(), authn.SealKeyEnv)
	}
	if sealer != nil {
		if _, err := sealer.Open(kind, secret); err != nil {
			return seal{}, fmt.Errorf("the secrets in %s are sealed with another key than %s", from.Name(), strings.TrimPrefix(s.where, "the content of "))
		}
	}
	return s, nil
}

// aSealed returns a sealed secret and the kind of its credential, nil if there is
// none.
func aSealed(ctx context.Context, from transfer.Source) (kind string, secret []byte, err error) {
	t := transfer.Find("credentials")
	k, c := t.Column("kind"), t.Column("sealed")
	var last transfer.Row
	for found := true; found && secret == nil; {
		found = false
		err := from.Read(ctx, t, last, func(r transfer.Row) bool {
			found, last = true, r[:t.Key]
			if b, ok := r[c].([]byte); ok && len(b) > 0 {
				kind, secret = r[k].(string), b
			}
			return secret == nil
		})
		if err != nil {
			return "", nil, err
		}
	}
	return kind, secret, nil
}

// fits reports why a data directory could not open the secrets.
func (s seal) fits(from transfer.Source, dir string) error {
	have, err := authn.ReadSealKey(dir)
	if err != nil || s.print == "" {
		return err
	}
	if have == nil && s.key == nil {
		return fmt.Errorf("the secrets in %s are sealed: set %s to the key that its nodes have, for the new directory", from.Name(), authn.SealKeyEnv)
	}
	if have == nil {
		return nil
	}
	sealer, err := authn.NewSealer(have)
	if err == nil && sealer.Fingerprint() != s.print {
		err = fmt.Errorf("the key in %s is not the one that the secrets in %s are sealed with", authn.SealKeyFile(dir), from.Name())
	}
	return err
}

// leaveIn gives a data directory the key.
func (s seal) leaveIn(from transfer.Source, dir string) error {
	if err := s.fits(from, dir); err != nil || s.key == nil {
		return err
	}
	have, err := authn.ReadSealKey(dir)
	if err != nil || have != nil {
		return err
	}
	return authn.WriteSealKey(dir, s.key)
}

// pin makes the nodes of a database want the key, and says where it is.
func (s seal) pin(ctx context.Context, db *postgres.End, say func(string)) error {
	if s.print == "" {
		return nil
	}
	pinned, err := db.Pin(ctx, sealPinned, s.print)
	if err == nil && pinned != s.print {
		err = fmt.Errorf("the nodes of %s seal with another key than the source's: give it a new database", db.Name())
	}
	if err != nil {
		return err
	}
	say("every node needs " + authn.SealKeyEnv + " set to " + strings.Replace(s.where, "the "+authn.SealKeyEnv+" that", "that which", 1))
	return nil
}
