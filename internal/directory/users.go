package directory

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"time"

	"roster/internal/id"
)

// NewUser is what a user is created from. Name may be left out if there is an
// Email, which then serves as the name.
type NewUser struct {
	// ID, Number, Code and PersonCode are for moving here with the names that
	// clients have stored; zero for fresh ones.
	ID         id.User
	Number     id.Number
	Code       int64
	PersonCode int64

	Name          string
	Email         string
	EmailVerified bool
	GivenName     string
	FamilyName    string
	DisplayName   string
	Suspended     bool
	Expires       time.Time
	Externals     map[string]string
	Attributes    Attributes

	// Groups are joined in the same transaction. Joining a group that confers
	// grants needs those grants here as anywhere.
	Groups []Ref

	// Credentials are made for the user in the same transaction: a password,
	// or a key that comes with every user of a dialect.
	Credentials []Credential

	// SignIn says how the user may sign in.
	SignIn SignInUpdate
}

// CreateUser makes a user. It needs [WriteUsers], and [WriteMembers] to name
// groups. A taken name is [Conflict].
func (d *Directory) CreateUser(ctx context.Context, p Principal, in NewUser) (Answer[User], error) {
	u, need, err := in.check(p)
	if err != nil {
		return Answer[User]{}, err
	}
	return write(ctx, d, p, need, func(t *tx) (User, error) {
		u := u
		if err := t.InsertUser(&u); err != nil {
			return User{}, err
		}
		if err := t.joinNew(u, in.Groups); err != nil {
			return User{}, err
		}
		if err := t.insertCredentials(u, in.Credentials); err != nil {
			return User{}, err
		}
		if err := t.autoJoin(u); err != nil {
			return User{}, err
		}
		return u, t.updateSignIn(u, in.SignIn, anybody)
	})
}

// anybody is for [tx.updateSignIn] when the principal may.
func anybody() error { return nil }

// check returns the user that in asks for and what p needs to make it.
func (in NewUser) check(p Principal) (u User, need Grants, err error) {
	need = WriteUsers
	if len(in.Groups) > 0 {
		need |= WriteMembers
	}
	if in.Name == "" {
		in.Name = in.Email
	}
	u = User{
		ID: in.ID, Number: in.Number, Code: in.Code, PersonCode: in.PersonCode,
		Name: in.Name, Email: in.Email, EmailVerified: in.EmailVerified,
		GivenName: in.GivenName, FamilyName: in.FamilyName, DisplayName: in.DisplayName,
		Suspended: in.Suspended, Expires: exact(in.Expires), Externals: in.Externals, Attributes: in.Attributes,
	}
	if err := checkUser(u); err != nil {
		return u, need, err
	}
	if err := in.SignIn.check(); err != nil {
		return u, need, err
	}
	return u, need, p.mayName(in.Code, in.PersonCode)
}

// insertCredentials makes the credentials that come with a new user.
func (t *tx) insertCredentials(u User, list []Credential) error {
	for _, c := range list {
		c.User = u.ID
		if err := t.InsertCredential(&c); err != nil {
			return err
		}
		if c.Kind == PasswordKind {
			if err := t.passwordSet(u); err != nil {
				return err
			}
		}
	}
	return nil
}

// joinNew puts a new user into the named groups.
func (t *tx) joinNew(u User, refs []Ref) error {
	if len(refs) == 0 {
		return nil
	}
	groups, err := t.Writer.GroupNumbers(refs)
	if err != nil {
		return err
	}
	var edges []Edge
	seen := map[id.Number]bool{}
	for _, g := range groups {
		switch g {
		case 0:
			return invalid("group.unknown", "groups", "One of the groups does not exist.")
		case Ambiguous:
			return ErrAmbiguous
		}
		if !seen[g] {
			seen[g] = true
			edges = append(edges, Edge{Group: g, Member: id.UserMember(u.Number)})
		}
	}
	if err := t.mayRule(groups...); err != nil {
		return err
	}
	_, err = t.InsertEdges(edges, Standing{})
	return err
}

func checkUser(u User) error {
	if err := checkName("name", u.Name); err != nil {
		return err
	}
	if u.Email != "" && !IsEmail(u.Email) {
		return invalid("email.invalid", "email", "That is not an e-mail address.")
	}
	for _, f := range []struct{ field, text string }{
		{"given_name", u.GivenName}, {"family_name", u.FamilyName}, {"display_name", u.DisplayName},
	} {
		if err := checkText(f.field, f.text, MaxName); err != nil {
			return err
		}
	}
	if u.Number > id.MaxNumber {
		return invalid("number.range", "number", "A number is from 1 to %d.", id.MaxNumber)
	}
	if err := checkCode(u.Code); err != nil {
		return err
	}
	if err := checkCode(u.PersonCode); err != nil {
		return err
	}
	if err := checkDate("expires", u.Expires); err != nil {
		return err
	}
	if err := checkAttributes(u.Attributes); err != nil {
		return err
	}
	return checkExternals(u.Externals)
}

// exact is a moment as it is kept: UTC, to the microsecond.
func exact(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// InRange reports whether every engine and client can hold a date: it is from 1971
// to 9999 in UTC. Earlier ones would be read as the zero time further down, which
// stands for never.
func InRange(t time.Time) bool {
	y := t.UTC().Year()
	return 1971 <= y && y <= 9999
}

// checkDate refuses a date that not every engine and client could hold.
func checkDate(field string, t time.Time) error {
	if !t.IsZero() && !InRange(t) {
		return invalid(field+".range", field, "A date is from 1971 to 9999.")
	}
	return nil
}

func checkCode(code int64) error {
	if code < 0 || code > MaxCode {
		return invalid("code.range", "code", "A code is from 1 to %d.", int64(MaxCode))
	}
	return nil
}

func checkExternals(externals map[string]string) error {
	for source, key := range externals {
		if err := checkSlug("source", source); err != nil {
			return err
		}
		if key == "" {
			return invalid("external.blank", "external_ids", "An external id must not be empty.")
		}
		if err := checkText("external_ids", key, MaxName); err != nil {
			return err
		}
	}
	return nil
}

// User finds one user. It needs [ReadUsers]; a user may ask about itself.
func (d *Directory) User(ctx context.Context, p Principal, ref Ref) (Answer[User], error) {
	return view(ctx, d, p, p.on(ref, ReadSelf), func(l *look) (User, error) { return l.userAbout(ref, ReadUsers) })
}

// ListUsers asks for a page of users by ascending number, or by descending if
// the filter says so: then After is the number that they are below, 0 for none.
type ListUsers struct {
	Page
	Filter UserFilter
}

// Users lists users. It needs [ReadUsers].
func (d *Directory) Users(ctx context.Context, p Principal, in ListUsers) (Answer[Found[User]], error) {
	return view(ctx, d, p, ReadUsers, func(l *look) (Found[User], error) {
		limit := in.limit()
		list, err := l.ListUsers(in.Filter, in.number(), limit+1)
		return found(list, limit, func(u User) int64 { return int64(u.Number) }), err
	})
}

// UserUpdate says what to change of a user; nil fields stay.
type UserUpdate struct {
	User Ref

	// IfVersion, unless zero, must be the user's version, or the write is [Stale].
	IfVersion int64

	Name          *string
	Email         *string
	EmailVerified *bool
	GivenName     *string
	FamilyName    *string
	DisplayName   *string
	Suspended     *bool
	Expires       *time.Time
	Externals     *map[string]string

	// Attributes replaces, for each dialect in it, the values of the keys named;
	// a nil value removes the key.
	// A nil dialect removes all of its keys.
	Attributes Attributes

	// Derive, unless nil, makes further attributes out of the user as it is. It
	// is called inside the transaction, perhaps more than once, and may refuse.
	Derive func(User) (Attributes, error)

	// Credentials are made for the user in the same transaction. Each takes the
	// place of all others of its kind.
	Credentials []Credential

	SignIn SignInUpdate

	// Manage asks for [WriteUsers] also of who changes itself.
	Manage bool
}

// UpdateUser changes a user. It needs [WriteUsers] and whatever the user holds.
// Who changes itself cannot end its own suspension, vouch for its own address or
// say by what names others know it. An update that changes nothing leaves the
// version alone.
func (d *Directory) UpdateUser(ctx context.Context, p Principal, in UserUpdate) (Answer[User], error) {
	if !p.Grants.Has(WriteUsers) && (in.Suspended != nil || in.Expires != nil || in.EmailVerified != nil || in.Externals != nil) {
		return Answer[User]{}, forbidden("grant.missing", "Nobody says that of themself.")
	}
	return write(ctx, d, p, p.on(in.User, WriteSelf), func(t *tx) (User, error) {
		before, err := t.userAbout(in.User, WriteUsers)
		if err == nil && in.Manage {
			err = t.mayManage()
		}
		if err != nil {
			return User{}, err
		}
		return t.updateUser(before, in)
	})
}

// updateUser makes of a user what in says, whoever in.User is.
func (t *tx) updateUser(before User, in UserUpdate) (User, error) {
	if in.IfVersion != 0 && in.IfVersion != before.Version {
		return User{}, stale(before.Version)
	}
	after := before
	assign(&after.Name, in.Name)
	assign(&after.Email, in.Email)
	assign(&after.EmailVerified, in.EmailVerified)
	assign(&after.GivenName, in.GivenName)
	assign(&after.FamilyName, in.FamilyName)
	assign(&after.DisplayName, in.DisplayName)
	assign(&after.Suspended, in.Suspended)
	assign(&after.Expires, in.Expires)
	after.Expires = exact(after.Expires)
	if in.Externals != nil && !maps.Equal(*in.Externals, before.Externals) {
		after.Externals = *in.Externals
		if len(after.Externals) == 0 {
			after.Externals = nil
		}
	}
	if !before.Attributes.Holds(in.Attributes) {
		after.Attributes = before.Attributes.patched(in.Attributes)
	}
	if in.Derive != nil {
		derived, err := in.Derive(before)
		if err != nil {
			return User{}, err
		}
		if !after.Attributes.Holds(derived) {
			after.Attributes = after.Attributes.patched(derived)
		}
	}
	if in.Email != nil && in.EmailVerified == nil && FoldName(after.Email) != FoldName(before.Email) {
		after.EmailVerified = false // it was another address that was verified
	}
	err := t.updateSignIn(before, in.SignIn, func() error {
		if err := t.mayManage(); err != nil {
			return err
		}
		return t.mayTouch(before.Number)
	})
	if err != nil {
		return User{}, err
	}
	same := reflect.DeepEqual(before, after)
	if same && len(in.Credentials) == 0 {
		return before, nil
	}
	if err := checkUser(after); err != nil {
		return User{}, err
	}
	if err := t.mayTouch(before.Number); err != nil {
		return User{}, err
	}
	if before.Suspended != after.Suspended || !before.Expires.Equal(after.Expires) ||
		!before.EmailVerified && after.EmailVerified || !maps.Equal(before.Externals, after.Externals) {
		if err := t.mayManage(); err != nil { // nobody decides that of itself
			return User{}, err
		}
	}
	if err := t.replaceCredentials(before, in.Credentials); err != nil || same {
		return before, err
	}
	ends := after.Suspended && !before.Suspended || !after.Expires.Equal(before.Expires)
	if err := t.keepingAdmin(ends, func() error { return t.Writer.UpdateUser(before, after) }); err != nil {
		return User{}, err
	}
	after.Version, after.Modified, after.ModifiedIn = before.Version+1, t.At(), t.Outcome()
	return after, nil
}

// replaceCredentials makes credentials for a user, each in the place of all others
// of its kind.
func (t *tx) replaceCredentials(u User, list []Credential) error {
	for _, c := range list {
		// What is in the tenant, the user's groups bound.
		if err := t.mustHold(c.Grants.closed()&^InTenant, "That credential"); err != nil {
			return err
		}
		if err := t.revokeAll(CredentialQuery{Kind: c.Kind, User: u.ID}); err != nil {
			return err
		}
	}
	return t.insertCredentials(u, list)
}

// mayManage refuses a principal that does not hold [WriteUsers] but may change
// itself.
func (l *look) mayManage() error {
	if err := l.p.may(WriteUsers); err != nil {
		return err
	}
	return l.authorize(WriteUsers)
}

// patched returns a with the keys of patch set or removed, dialect by dialect.
func (a Attributes) patched(patch Attributes) Attributes {
	for dialect, values := range patch {
		if values == nil {
			a = a.Clone()
			delete(a, dialect)
		}
		values, _ := values.(map[string]any)
		for key, value := range values {
			a = a.With(dialect, key, value)
		}
	}
	return a
}

func assign[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

func stale(version int64) *Error {
	return &Error{Kind: Stale, Code: "version.stale", Field: "version", Detail: fmt.Sprintf("It has changed since: it is at version %d.", version)}
}

// Deletion asks that a user or group be deleted.
type Deletion struct {
	Ref       Ref
	IfVersion int64

	// IfEmpty refuses to delete a group that has members.
	IfEmpty bool
}

// DeleteUser deletes a user with its memberships and credentials. It needs
// [WriteUsers] and whatever the user holds; a user may delete itself. Its name may be used again; its id,
// number and code are not.
func (d *Directory) DeleteUser(ctx context.Context, p Principal, in Deletion) (Answer[User], error) {
	return write(ctx, d, p, WriteSelf, func(t *tx) (User, error) {
		u, err := t.userAbout(in.Ref, WriteUsers)
		if err != nil {
			return User{}, err
		}
		if in.IfVersion != 0 && in.IfVersion != u.Version {
			return User{}, stale(u.Version)
		}
		if err := t.mayTouch(u.Number); err != nil {
			return User{}, err
		}
		return u, t.keepingAdmin(true, func() error {
			edges, err := t.edgesOf(MembershipQuery{Member: id.UserMember(u.Number)}, everyOne)
			if err != nil {
				return err
			}
			if err := t.DeleteEdges(edges); err != nil {
				return err
			}
			if err := t.revokeAll(CredentialQuery{User: u.ID}); err != nil {
				return err
			}
			return t.Writer.DeleteUser(u)
		})
	})
}

// everyOne is for [look.edgesOf] when all are meant.
func everyOne(Membership) bool { return true }

// unended is for [look.edgesOf] when those are not meant that a date has ended;
// those that are yet to begin are.
func unended(at time.Time) func(Membership) bool {
	return func(m Membership) bool { return m.Until.IsZero() || at.Before(m.Until) }
}

// edgesOf returns the edges of those memberships the query finds that are
// wanted, however many pages that takes.
func (l *look) edgesOf(q MembershipQuery, wanted func(Membership) bool) ([]Edge, error) {
	const page = 10000
	var edges []Edge
	for q.Limit = page; ; {
		list, err := l.Reader.Memberships(q)
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			if wanted(m) {
				edges = append(edges, m.Edge)
			}
		}
		if len(list) < page {
			return edges, nil
		}
		if last := list[len(list)-1]; q.Member != 0 {
			q.After = int64(last.Group)
		} else {
			q.After = MemberCursor(last.Member)
		}
	}
}
