package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgtype"

	"roster/internal/directory"
	"roster/internal/id"
)

// personsLock is the advisory lock that transactions take before they touch what
// addresses say of persons. Two that know the same people in another order would
// wait for each other without it.
const personsLock = 0x726f7374 // "rost"

func (w *writer) lockPersons() error {
	return w.c.exec(w.ctx, "SELECT pg_advisory_xact_lock($1)", personsLock)
}

// person finds the human that u is, or makes one. Only a verified address says
// who somebody is, so without one everybody is somebody new.
func (w *writer) person(u *directory.User) error {
	var email *string
	if u.EmailVerified && u.Email != "" {
		fold := directory.FoldName(u.Email)
		email = &fold
		if err := w.lockPersons(); err != nil {
			return err
		}
		var person [16]byte
		var code int64
		err := w.c.row(w.ctx, "SELECT id, code FROM persons WHERE email_fold = $1", fold).Scan(&person, &code)
		if err == nil {
			if u.PersonCode != 0 && u.PersonCode != code {
				return directory.ErrCodeTaken
			}
			u.PersonCode, u.Person = code, person
			return nil
		}
		if gone(err, nil) != nil {
			return err
		}
	}
	u.Person = id.New[id.Person]()
	if err := w.nextCode("person", &u.PersonCode); err != nil {
		return err
	}
	return w.c.exec(w.ctx, "INSERT INTO persons (id, code, email_fold) VALUES ($1, $2, $3)", uuid(u.Person), u.PersonCode, email)
}

// resettle keeps a person's address true after one of its users went from one
// verified address to another, or to none: whoever gets an address that nobody
// of the person has any more is somebody else. The user stays who it was.
func (w *writer) resettle(person id.Person, from, to string) error {
	if from == to {
		return nil
	}
	if err := w.lockPersons(); err != nil {
		return err
	}
	if from != "" {
		var used bool
		err := w.c.row(w.ctx, "SELECT EXISTS (SELECT 1 FROM users WHERE person = $1 AND email_verified AND email_fold = $2)", uuid(person), from).Scan(&used)
		if err != nil {
			return err
		}
		if !used {
			err := w.c.exec(w.ctx, "UPDATE persons SET email_fold = NULL WHERE id = $1 AND email_fold = $2", uuid(person), from)
			if err != nil {
				return err
			}
		}
	}
	if to == "" {
		return nil
	}
	// Should the address be another person's already, it stays that one's.
	return w.c.exec(w.ctx, `UPDATE persons SET email_fold = $2 WHERE id = $1 AND email_fold IS NULL
 AND NOT EXISTS (SELECT 1 FROM persons WHERE email_fold = $2)`, uuid(person), to)
}

// forsake takes their addresses from the persons that nobody is any more once a
// tenant's users are gone.
func (w *writer) forsake(ctx context.Context, pk int64) error {
	if err := w.lockPersons(); err != nil {
		return err
	}
	persons, err := all(ctx, w.c, func(row scanner) (p pgtype.UUID, err error) { err = row.Scan(&p); return p, err },
		"SELECT DISTINCT person FROM users WHERE tenant = $1", pk)
	if err != nil {
		return err
	}
	kept, err := all(ctx, w.c, func(row scanner) (p pgtype.UUID, err error) { err = row.Scan(&p); return p, err },
		`SELECT DISTINCT p.id FROM persons p JOIN users u ON u.person = p.id AND u.email_verified AND u.email_fold = p.email_fold
 WHERE p.id = ANY($1) AND u.tenant <> $2`, persons, pk)
	if err != nil {
		return err
	}
	return w.c.exec(ctx, "UPDATE persons SET email_fold = NULL WHERE id = ANY($1) AND NOT id = ANY($2)", persons, append([]pgtype.UUID{}, kept...))
}
