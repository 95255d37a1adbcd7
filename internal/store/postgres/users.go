package postgres

import (
	"errors"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/terms"
)

const userColumns = `u.id, u.number, u.code, u.person, p.code, u.name, u.email, u.email_verified, u.given_name, u.family_name,
 u.display_name, u.suspended, u.expires, u.version, u.created, u.modified, u.created_in, u.modified_in, u.externals, u.attributes`

const fromUsers = " FROM users u JOIN persons p ON p.id = u.person WHERE u.tenant = $1"

func scanUser(row scanner) (directory.User, error) {
	var u directory.User
	var number, expires, created, modified, createdIn, modifiedIn int64
	var externals, attributes *string
	err := row.Scan((*[16]byte)(&u.ID), &number, &u.Code, (*[16]byte)(&u.Person), &u.PersonCode, &u.Name, &u.Email, &u.EmailVerified, &u.GivenName, &u.FamilyName,
		&u.DisplayName, &u.Suspended, &expires, &u.Version, &created, &modified, &createdIn, &modifiedIn, &externals, &attributes)
	if err != nil {
		return u, err
	}
	u.Number, u.Expires, u.Created, u.Modified = id.Number(number), fromMicros(expires), fromMicros(created), fromMicros(modified)
	u.CreatedIn, u.ModifiedIn = directory.Revision(createdIn), directory.Revision(modifiedIn)
	if u.Externals, err = decode[map[string]string](externals); err != nil {
		return u, err
	}
	u.Attributes, err = decode[directory.Attributes](attributes)
	return u, err
}

// User implements [directory.Reader].
func (r *reader) User(ref directory.Ref) (directory.User, error) {
	if name, email, ok := ref.Login(); ok {
		u, err := r.User(name)
		if errors.Is(err, directory.NotFound) {
			return r.User(email)
		}
		return u, err
	}
	where, arg, ok := nounUser.where(ref)
	if ref.Kind == directory.RefExternal || ref.Kind == directory.RefPerson {
		// A person may be two users of one tenant, and is then neither.
		number, count, err := r.number(nounUser, ref)
		if err != nil {
			return directory.User{}, err
		}
		where, arg, ok = "number = $2", int64(number), count == 1
	}
	if !ok {
		return directory.User{}, directory.ErrNoUser
	}
	u, err := scanUser(r.c.row(r.ctx, "SELECT "+userColumns+fromUsers+" AND u."+where, r.pk, arg))
	return u, gone(err, directory.ErrNoUser)
}

// Users implements [directory.Reader].
func (r *reader) Users(numbers []id.Number) ([]directory.User, error) {
	if len(numbers) == 0 {
		return nil, nil
	}
	return all(r.ctx, r.c, scanUser,
		"SELECT "+userColumns+fromUsers+" AND u.number = ANY($2) ORDER BY u.number", r.pk, integers(numbers))
}

const namedColumns = "u.number, u.name_fold, u.suspended, u.expires"

func scanNamed(row scanner) (directory.Named, error) {
	var n directory.Named
	var number, expires int64
	err := row.Scan(&number, &n.Name, &n.Suspended, &expires)
	n.Number, n.Expires = id.Number(number), fromMicros(expires)
	return n, err
}

// UserNames implements [directory.Reader].
func (r *reader) UserNames(numbers []id.Number) ([]directory.Named, error) {
	if len(numbers) == 0 {
		return nil, nil
	}
	return all(r.ctx, r.c, scanNamed, "SELECT "+namedColumns+" FROM users u WHERE u.tenant = $1 AND u.number = ANY($2) ORDER BY u.number", r.pk, integers(numbers))
}

// UsersByName implements [directory.Reader].
func (r *reader) UsersByName(q directory.NameQuery) ([]directory.Named, error) {
	if !storable(q.Prefix) {
		return nil, nil
	}
	b := bindings{r.pk}
	page := b.byName(q, "")
	return all(r.ctx, r.c, scanNamed, "SELECT "+namedColumns+" FROM users u WHERE u.tenant = $1"+page, b...)
}

// UserNumbers implements [directory.Reader].
func (r *reader) UserNumbers(refs []directory.Ref) ([]id.Number, error) {
	return terms.Logins(refs, func(refs []directory.Ref) ([]id.Number, error) { return r.numbers(nounUser, refs) })
}

// ListUsers implements [directory.Reader].
func (r *reader) ListUsers(f directory.UserFilter, after id.Number, limit int) ([]directory.User, error) {
	b := bindings{r.pk}
	where, order := b.keyset("u.number", int64(after), f.Descending)
	where += b.prefix("u.name_fold", f.NamePrefix)
	if f.Suspended != nil {
		where += " AND u.suspended = " + b.add(*f.Suspended)
	}
	return all(r.ctx, r.c, scanUser, "SELECT "+userColumns+fromUsers+where+order+" LIMIT "+b.add(limit), b...)
}

// CountUsers implements [directory.Reader].
func (r *reader) CountUsers() (n int64, err error) {
	err = r.c.row(r.ctx, "SELECT count(*) FROM users WHERE tenant = $1", r.pk).Scan(&n)
	return n, err
}

// InsertUser implements [directory.Writer].
func (w *writer) InsertUser(u *directory.User) error {
	if err := w.save(); err != nil {
		return err
	}
	if err := w.unused(kindUser, u.Number, u.ID); err != nil {
		return err
	}
	if u.ID.IsZero() {
		u.ID = id.New[id.User]()
	}
	if err := w.nextNumber(&u.Number, &w.head.nextUser); err != nil {
		return err
	}
	if err := w.nextCode("user", &u.Code); err != nil {
		return err
	}
	if err := w.person(u); err != nil {
		return err
	}
	u.Version, u.Created, u.Modified = 1, w.at, w.at
	u.CreatedIn, u.ModifiedIn = directory.Revision(w.next()), directory.Revision(w.next())
	externals, err := encode(u.Externals)
	if err != nil {
		return err
	}
	attributes, err := encode(u.Attributes)
	if err != nil {
		return err
	}
	fold, err := folded(u.Attributes)
	if err != nil {
		return err
	}
	name := directory.FoldName(u.Name)
	err = w.c.exec(w.ctx, `INSERT INTO users (tenant, number, id, code, person, name, name_fold, email, email_fold, email_verified,
 given_name, family_name, display_name, suspended, expires, version, created, modified, created_in, modified_in, externals, attributes,
 name_sort, given_fold, family_fold, display_fold, attributes_fold)
 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)`,
		w.pk, int64(u.Number), uuid(u.ID), u.Code, uuid(u.Person), u.Name, name, u.Email, textOrNull(directory.FoldName(u.Email)), u.EmailVerified,
		u.GivenName, u.FamilyName, u.DisplayName, u.Suspended, micros(u.Expires), u.Version, micros(u.Created), micros(u.Modified), w.next(), w.next(), externals, attributes,
		directory.SortKey(name), directory.FoldName(u.GivenName), directory.FoldName(u.FamilyName), directory.FoldName(u.DisplayName), fold)
	if err != nil {
		return err
	}
	if err := w.putExternals(kindUser, u.Number, nil, u.Externals); err != nil {
		return err
	}
	w.record(directory.UserChange(directory.UserCreated, directory.User{}, *u))
	return nil
}

// UpdateUser implements [directory.Writer].
func (w *writer) UpdateUser(before, after directory.User) error {
	if err := w.save(); err != nil {
		return err
	}
	if before.Name != after.Name || before.Suspended != after.Suspended || !before.Expires.Equal(after.Expires) {
		if err := w.pastUser(before); err != nil {
			return err
		}
	}
	externals, err := encode(after.Externals)
	if err != nil {
		return err
	}
	attributes, err := encode(after.Attributes)
	if err != nil {
		return err
	}
	fold, err := folded(after.Attributes)
	if err != nil {
		return err
	}
	name := directory.FoldName(after.Name)
	err = w.c.exec(w.ctx, `UPDATE users SET name = $3, name_fold = $4, email = $5, email_fold = $6, email_verified = $7, given_name = $8, family_name = $9,
 display_name = $10, suspended = $11, expires = $12, version = $13, modified = $14, modified_in = $15, externals = $16, attributes = $17,
 name_sort = $18, given_fold = $19, family_fold = $20, display_fold = $21, attributes_fold = $22 WHERE tenant = $1 AND number = $2`,
		w.pk, int64(before.Number), after.Name, name, after.Email, textOrNull(directory.FoldName(after.Email)), after.EmailVerified, after.GivenName, after.FamilyName,
		after.DisplayName, after.Suspended, micros(after.Expires), before.Version+1, micros(w.at), w.next(), externals, attributes,
		directory.SortKey(name), directory.FoldName(after.GivenName), directory.FoldName(after.FamilyName), directory.FoldName(after.DisplayName), fold)
	if err != nil {
		return err
	}
	if err := w.resettle(before.Person, before.VerifiedFold(), after.VerifiedFold()); err != nil {
		return err
	}
	if err := w.putExternals(kindUser, before.Number, before.Externals, after.Externals); err != nil {
		return err
	}
	w.record(directory.UserChange(directory.UserUpdated, before, after))
	return nil
}

// DeleteUser implements [directory.Writer].
func (w *writer) DeleteUser(u directory.User) error {
	if err := w.save(); err != nil {
		return err
	}
	w.o.l.names.drop([]name{{kindUser, u.ID}})
	if err := w.pastUser(u); err != nil {
		return err
	}
	if err := w.bury(kindUser, u.Number, u.ID, u.Code, u.Name); err != nil {
		return err
	}
	if err := w.putExternals(kindUser, u.Number, u.Externals, nil); err != nil {
		return err
	}
	for _, table := range []string{"signins", "visits", "users"} {
		if err := w.c.exec(w.ctx, "DELETE FROM "+table+" WHERE tenant = $1 AND number = $2", w.pk, int64(u.Number)); err != nil {
			return err
		}
	}
	if err := w.resettle(u.Person, u.VerifiedFold(), ""); err != nil {
		return err
	}
	w.record(directory.UserChange(directory.UserDeleted, u, directory.User{}))
	return nil
}
