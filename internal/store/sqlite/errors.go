package sqlite

import (
	"context"
	"errors"
	"strings"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"roster/internal/directory"
)

var errClosed = &directory.Error{Kind: directory.Unavailable, Code: "store.closed", Detail: "The server is shutting down."}

// taken says which name a UNIQUE constraint guards. The texts are those that
// SQLite puts after "UNIQUE constraint failed: ".
var taken = map[string]error{
	"tenants.name":                       directory.ErrTenantNameTaken,
	"tenants.id":                         directory.ErrIDTaken,
	"tenants.code":                       directory.ErrCodeTaken,
	"persons.code":                       directory.ErrCodeTaken,
	"users.tenant, users.number":         directory.ErrNumberTaken,
	"users.tenant, users.id":             directory.ErrIDTaken,
	"users.code":                         directory.ErrCodeTaken,
	"users.tenant, users.name_fold":      directory.ErrUserNameTaken,
	"users.tenant, users.email_fold":     directory.ErrEmailTaken,
	"groups.tenant, groups.number":       directory.ErrNumberTaken,
	"groups.tenant, groups.id":           directory.ErrIDTaken,
	"groups.code":                        directory.ErrCodeTaken,
	"credentials.tenant, credentials.id": directory.ErrIDTaken,
	"credentials.id":                     directory.ErrIDTaken,
	"credentials.code":                   directory.ErrCodeTaken,
	"credentials.kind, credentials.hash": directory.ErrSecretTaken,
	"externals.tenant, externals.kind, externals.source, externals.key": directory.ErrExternalTaken,
}

// fatal reports whether the database may have ended the transaction because of
// err, as it does when it cannot write (https://www.sqlite.org/lang_transaction.html
// section 3).
func fatal(err error) bool {
	e, ok := errors.AsType[*driver.Error](err)
	if !ok {
		return false
	}
	switch e.Code() & 0xff {
	case lib.SQLITE_FULL, lib.SQLITE_IOERR, lib.SQLITE_NOMEM, lib.SQLITE_BUSY, lib.SQLITE_INTERRUPT,
		lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN, lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return true
	}
	return false
}

// classify turns what the driver says into what a caller can act on. Driver
// errors stop here.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*directory.Error](err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &directory.Error{Kind: directory.Unavailable, Code: "request.cancelled", Detail: "The request ended before it could be carried out.", Err: err}
	}
	e, ok := errors.AsType[*driver.Error](err)
	if !ok {
		return err
	}
	switch e.Code() & 0xff {
	case lib.SQLITE_CONSTRAINT:
		_, what, _ := strings.Cut(e.Error(), "UNIQUE constraint failed: ")
		what, _, _ = strings.Cut(what, " (")
		if t, ok := taken[what]; ok {
			return t
		}
	case lib.SQLITE_FULL:
		return &directory.Error{Kind: directory.Unavailable, Code: "store.full", Detail: "There is no space left to write.", Err: err}
	case lib.SQLITE_IOERR, lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN:
		return &directory.Error{Kind: directory.Unavailable, Code: "store.io", Detail: "The storage does not work.", Err: err}
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_NOMEM:
		return &directory.Error{Kind: directory.Unavailable, Code: "store.busy", Detail: "The storage is busy.", Err: err}
	case lib.SQLITE_INTERRUPT:
		return &directory.Error{Kind: directory.Unavailable, Code: "request.cancelled", Detail: "The request ended before it could be carried out.", Err: err}
	}
	return err
}
