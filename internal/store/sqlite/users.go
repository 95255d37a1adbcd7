package sqlite

import (
	"database/sql"
	"errors"
	"strconv"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/store/terms"
)

const userColumns = `u.id, u.number, u.code, u.person, p.code, u.name, u.email, u.email_verified, u.given_name, u.family_name,
 u.display_name, u.suspended, u.expires, u.version, u.created, u.modified, u.created_in, u.modified_in, u.externals, u.attributes`

const fromUsers = " FROM users u JOIN persons p ON p.id = u.person WHERE u.tenant = ?"

func scanUser(row scanner) (directory.User, error) {
	var u directory.User
	var uid, person []byte
	var number, expires, created, modified int64
	var externals, attributes sql.NullString
	err := row.Scan(&uid, &number, &u.Code, &person, &u.PersonCode, &u.Name, &u.Email, &u.EmailVerified, &u.GivenName, &u.FamilyName,
		&u.DisplayName, &u.Suspended, &expires, &u.Version, &created, &modified, &u.CreatedIn, &u.ModifiedIn, &externals, &attributes)
	if err != nil {
		return u, err
	}
	u.Number, u.Expires, u.Created, u.Modified = id.Number(number), fromMicros(expires), fromMicros(created), fromMicros(modified)
	if u.ID, err = id.FromBytes[id.User](uid); err != nil {
		return u, err
	}
	if u.Person, err = id.FromBytes[id.Person](person); err != nil {
		return u, err
	}
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
		where, arg, ok = "number = ?", int64(number), count == 1
	}
	if !ok {
		return directory.User{}, directory.ErrNoUser
	}
	u, err := scanUser(r.c.row(r.quick(), "SELECT "+userColumns+fromUsers+" AND u."+where, r.pk, arg))
	return u, gone(err, directory.ErrNoUser)
}

// Users implements [directory.Reader].
func (r *reader) Users(numbers []id.Number) ([]directory.User, error) {
	if len(numbers) == 0 {
		return nil, nil
	}
	return all(r.ctx, r.c, scanUser,
		"SELECT "+userColumns+fromUsers+" AND u.number IN (SELECT value FROM json_each(?)) ORDER BY u.number", r.pk, integers(numbers))
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
	return all(r.ctx, r.c, scanNamed, "SELECT "+namedColumns+` FROM users u
 WHERE u.tenant = ? AND u.number IN (SELECT value FROM json_each(?)) ORDER BY u.number`, r.pk, integers(numbers))
}

// UsersByName implements [directory.Reader].
func (r *reader) UsersByName(q directory.NameQuery) ([]directory.Named, error) {
	page, args := byName(q, "", []any{r.pk})
	return all(r.ctx, r.c, scanNamed, "SELECT "+namedColumns+" FROM users u WHERE u.tenant = ?1"+page, args...)
}

// byName is the end of a statement, which has bound args, for a page of u by its
// folded names; those after to, unless empty, are left out. There always is a bound
// below: without one the plan would look as if it read the tenant.
func byName(q directory.NameQuery, to string, args []any) (string, []any) {
	bind := func(v any) string {
		args = append(args, v)
		return "?" + strconv.Itoa(len(args))
	}
	from, order := q.From, " ORDER BY u.name_fold"
	if q.Descending {
		from, to, order = to, from, order+" DESC"
	}
	where := " AND u.name_fold >= " + bind(max(from, q.Prefix))
	if to != "" {
		where += " AND u.name_fold <= " + bind(to)
	}
	if end := prefixEnd(q.Prefix); end != "" {
		where += " AND u.name_fold < " + bind(end)
	}
	return where + order + " LIMIT " + bind(q.Limit), args
}

// UserNumbers implements [directory.Reader].
func (r *reader) UserNumbers(refs []directory.Ref) ([]id.Number, error) {
	return terms.Logins(refs, func(refs []directory.Ref) ([]id.Number, error) { return r.numbers(nounUser, refs) })
}

// ListUsers implements [directory.Reader].
func (r *reader) ListUsers(f directory.UserFilter, after id.Number, limit int) ([]directory.User, error) {
	where, order, args := keyset("u.number", int64(after), f.Descending, r.pk)
	if f.NamePrefix != "" {
		where += " AND u.name_fold >= ?"
		args = append(args, f.NamePrefix)
		if end := prefixEnd(f.NamePrefix); end != "" {
			where += " AND u.name_fold < ?"
			args = append(args, end)
		}
	}
	if f.Suspended != nil {
		where += " AND u.suspended = ?"
		args = append(args, *f.Suspended)
	}
	args = append(args, limit)
	return all(r.ctx, r.c, scanUser, "SELECT "+userColumns+fromUsers+where+order+" LIMIT ?", args...)
}

// CountUsers implements [directory.Reader].
func (r *reader) CountUsers() (n int64, err error) {
	err = r.c.row(r.ctx, "SELECT count(*) FROM users WHERE tenant = ?", r.pk).Scan(&n)
	return n, err
}

// InsertUser implements [directory.Writer].
func (w *writer) InsertUser(u *directory.User) error {
	if err := w.save(); err != nil {
		return err
	}
	if err := w.unused(kindUser, u.Number, u.ID[:], u.Code); err != nil {
		return err
	}
	if u.ID.IsZero() {
		u.ID = id.New[id.User]()
	}
	if err := w.nextNumber(&u.Number, &w.row.nextUser); err != nil {
		return err
	}
	if err := w.nextCode("user", &u.Code); err != nil {
		return err
	}
	if err := w.person(u); err != nil {
		return err
	}
	u.Version, u.Created, u.Modified = 1, w.at, w.at
	u.CreatedIn, u.ModifiedIn = w.row.revision+1, w.row.revision+1
	externals, err := encode(u.Externals)
	if err != nil {
		return err
	}
	attributes, err := encode(u.Attributes)
	if err != nil {
		return err
	}
	folded, err := encode(directory.FoldAttributes(u.Attributes))
	if err != nil {
		return err
	}
	name := directory.FoldName(u.Name)
	err = w.c.exec(w.ctx, `INSERT INTO users (tenant, number, id, code, person, name, name_fold, email, email_fold, email_verified,
 given_name, family_name, display_name, suspended, expires, version, created, modified, created_in, modified_in, externals, attributes,
 name_sort, given_fold, family_fold, display_fold, attributes_fold)
 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		w.pk, int64(u.Number), u.ID[:], u.Code, u.Person[:], u.Name, name, u.Email, textOrNull(directory.FoldName(u.Email)), u.EmailVerified,
		u.GivenName, u.FamilyName, u.DisplayName, u.Suspended, micros(u.Expires), u.Version, micros(u.Created), micros(u.Modified), w.revision(), w.revision(), externals, attributes,
		directory.SortKey(name), directory.FoldName(u.GivenName), directory.FoldName(u.FamilyName), directory.FoldName(u.DisplayName), folded)
	if err != nil {
		return classify(err)
	}
	if err := w.putExternals(kindUser, u.Number, nil, u.Externals); err != nil {
		return err
	}
	w.record(directory.UserChange(directory.UserCreated, directory.User{}, *u))
	return nil
}

// person finds the human that u is, or makes one. Only a verified address says
// who somebody is, so without one everybody is somebody new.
func (w *writer) person(u *directory.User) error {
	var email any
	if u.EmailVerified && u.Email != "" {
		fold := directory.FoldName(u.Email)
		email = fold
		var person []byte
		var code int64
		err := w.c.row(w.ctx, "SELECT id, code FROM persons WHERE email_fold = ?", fold).Scan(&person, &code)
		if err == nil {
			if u.PersonCode != 0 && u.PersonCode != code {
				return directory.ErrCodeTaken
			}
			u.PersonCode = code
			u.Person, err = id.FromBytes[id.Person](person)
			return err
		}
		if gone(err, nil) != nil {
			return err
		}
	}
	u.Person = id.New[id.Person]()
	if err := w.nextCode("person", &u.PersonCode); err != nil {
		return err
	}
	return classify(w.c.exec(w.ctx, "INSERT INTO persons (id, code, email_fold) VALUES (?, ?, ?)", u.Person[:], u.PersonCode, email))
}

// resettle keeps a person's address true after one of its users went from one
// verified address to another, or to none: whoever gets an address that nobody
// of the person has any more is somebody else. The user stays who it was.
func (w *writer) resettle(person id.Person, from, to string) error {
	if from == to {
		return nil
	}
	if from != "" {
		err := w.c.exec(w.ctx, `UPDATE persons SET email_fold = NULL WHERE id = ?1 AND email_fold = ?2
 AND NOT EXISTS (SELECT 1 FROM users WHERE person = ?1 AND email_verified = 1 AND email_fold = ?2)`, person[:], from)
		if err != nil {
			return err
		}
	}
	if to == "" {
		return nil
	}
	return w.c.exec(w.ctx, "UPDATE OR IGNORE persons SET email_fold = ? WHERE id = ? AND email_fold IS NULL", to, person[:])
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
	folded, err := encode(directory.FoldAttributes(after.Attributes))
	if err != nil {
		return err
	}
	name := directory.FoldName(after.Name)
	err = w.c.exec(w.ctx, `UPDATE users SET name = ?, name_fold = ?, email = ?, email_fold = ?, email_verified = ?, given_name = ?, family_name = ?,
 display_name = ?, suspended = ?, expires = ?, version = ?, modified = ?, modified_in = ?, externals = ?, attributes = ?,
 name_sort = ?, given_fold = ?, family_fold = ?, display_fold = ?, attributes_fold = ? WHERE tenant = ? AND number = ?`,
		after.Name, name, after.Email, textOrNull(directory.FoldName(after.Email)), after.EmailVerified, after.GivenName, after.FamilyName,
		after.DisplayName, after.Suspended, micros(after.Expires), before.Version+1, micros(w.at), w.revision(), externals, attributes,
		directory.SortKey(name), directory.FoldName(after.GivenName), directory.FoldName(after.FamilyName), directory.FoldName(after.DisplayName), folded, w.pk, int64(before.Number))
	if err != nil {
		return classify(err)
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
	w.unlearn(kindUser, u.ID)
	if err := w.pastUser(u); err != nil {
		return err
	}
	if err := w.bury(kindUser, u.Number, u.ID[:], u.Code, u.Name); err != nil {
		return err
	}
	if err := w.putExternals(kindUser, u.Number, u.Externals, nil); err != nil {
		return err
	}
	for _, table := range []string{"signins", "visits", "users"} {
		if err := w.c.exec(w.ctx, "DELETE FROM "+table+" WHERE tenant = ? AND number = ?", w.pk, int64(u.Number)); err != nil {
			return err
		}
	}
	if err := w.resettle(u.Person, u.VerifiedFold(), ""); err != nil {
		return err
	}
	w.record(directory.UserChange(directory.UserDeleted, u, directory.User{}))
	return nil
}
