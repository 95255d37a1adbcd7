package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"roster/internal/directory"
)

var (
	errClosed = &directory.Error{Kind: directory.Unavailable, Code: "store.closed", Detail: "The server is shutting down."}
	errBusy   = &directory.Error{Kind: directory.Unavailable, Code: "store.busy", Detail: "The storage is busy."}
)

// doubt is what becomes of a request whose commit was under way when the database
// went, and did not come back in time.
func doubt(err error) error {
	return &directory.Error{Kind: directory.Unavailable, Code: "outcome.unknown",
		Detail: "The database went away while this was being committed. It was done as a whole or not at all: ask, or repeat it with its Idempotency-Key.", Err: err}
}

// taken says which name a unique constraint guards.
var taken = map[string]error{
	"tenants_name_key":   directory.ErrTenantNameTaken,
	"tenants_id_key":     directory.ErrIDTaken,
	"tenants_code_key":   directory.ErrCodeTaken,
	"persons_code_key":   directory.ErrCodeTaken,
	"users_number":       directory.ErrNumberTaken,
	"users_id":           directory.ErrIDTaken,
	"users_code":         directory.ErrCodeTaken,
	"users_name":         directory.ErrUserNameTaken,
	"users_email":        directory.ErrEmailTaken,
	"groups_number":      directory.ErrNumberTaken,
	"groups_id":          directory.ErrIDTaken,
	"groups_code":        directory.ErrCodeTaken,
	"credentials_pkey":   directory.ErrIDTaken,
	"credentials_code":   directory.ErrCodeTaken,
	"secrets_credential": directory.ErrIDTaken,
	"secrets_hash":       directory.ErrSecretTaken,
	"externals_pkey":     directory.ErrExternalTaken,
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
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code {
		case "23505": // unique_violation
			if t, ok := taken[e.ConstraintName]; ok {
				return t
			}
		case "22021", "22P05": // a character that the encoding does not have, NUL among them
			return &directory.Error{Kind: directory.Invalid, Code: "text.invalid", Detail: "The text holds a character that cannot be stored.", Err: err}
		case "53100": // disk_full
			return &directory.Error{Kind: directory.Unavailable, Code: "store.full", Detail: "There is no space left to write.", Err: err}
		case "55P03", "57014", "53200", "25P03", "40001", "40P01": // lock or statement time-out, memory, idle in transaction, conflicts without end
			return &directory.Error{Kind: directory.Unavailable, Code: "store.busy", Detail: "The storage is busy.", Err: err}
		}
	}
	switch {
	case transient(err):
		return &directory.Error{Kind: directory.Unavailable, Code: "store.away", Detail: "The database does not answer.", Err: err}
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return &directory.Error{Kind: directory.Unavailable, Code: "request.cancelled", Detail: "The request ended before it could be carried out.", Err: err}
	}
	return err
}
