package directory

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"roster/internal/id"
)

// PasswordKind is the kind of the credential that is a user's password.
const PasswordKind CredentialKind = "password"

// SignIn is what is kept of how a user signs in with a password. The counters
// are bookkeeping; what is decided about the user (Locked, MustChange,
// ChangeEvery) is recorded when it changes.
type SignIn struct {
	Successes   int64
	Failures    int64 // a right password for a locked account is one
	Streak      int64 // failures since the last success
	LastSuccess time.Time
	LastFailure time.Time
	Changed     time.Time // when the password was set last

	Locked      bool // cannot sign in until somebody unlocks it
	MustChange  bool // must change the password before anything else
	ChangeEvery int  // days after which the password must be changed; 0 is never
}

// MaxStreak is how many failures in a row lock an account.
const MaxStreak = 10

// mustChange reports whether a password, set at a moment, has to be changed.
func (s SignIn) mustChange(set, now time.Time) bool {
	return s.MustChange || s.ChangeEvery > 0 && !now.Before(set.AddDate(0, 0, s.ChangeEvery))
}

// ErrLocked is returned to who signs in with an account that is locked.
var ErrLocked = &Error{Kind: Unauthenticated, Code: "signin.locked", Detail: "The account is locked."}

// SignInChange is the record of a change of how a user may sign in; false if
// there is nothing to record.
func SignInChange(u User, before, after SignIn) (Change, bool) {
	c := Change{Kind: UserUpdated, Number: u.Number, ID: u.ID, Suspended: u.Suspended, Expires: u.Expires}
	c.Before, c.After = differences(signInFields(before), signInFields(after))
	return c, c.Before != nil || c.After != nil
}

func signInFields(s SignIn) map[string]any {
	f := map[string]any{}
	put(f, "locked", s.Locked)
	put(f, "must_change_password", s.MustChange)
	put(f, "change_password_every", int64(s.ChangeEvery))
	return f
}

// signIn returns what is kept of one user.
func (l *look) signIn(user id.Number) (SignIn, error) {
	found, err := l.Reader.SignIns([]id.Number{user})
	return found[user], err
}

// SignIns returns how users sign in, in order. It needs [ReadUsers]; a user may
// ask about itself.
func (d *Directory) SignIns(ctx context.Context, p Principal, users []User) (Answer[[]SignIn], error) {
	return view(ctx, d, p, ReadSelf, func(l *look) ([]SignIn, error) {
		numbers := make([]id.Number, len(users))
		asked := false
		for i, u := range users {
			numbers[i] = u.Number
			if own := !u.ID.IsZero() && (p.User == u.ID || p.Self == u.ID); own || asked {
				continue
			}
			if err := l.authorizeAbout(u.ID, ReadUsers); err != nil {
				return nil, err
			}
			asked = true // of one is of all
		}
		found, err := l.Reader.SignIns(numbers)
		out := make([]SignIn, len(users))
		for i, n := range numbers {
			out[i] = found[n]
		}
		return out, err
	})
}

// NoteSignIn notes that the principal's user tried to sign in with a password,
// and whether that was right. Too many failures in a row lock the account. A
// right password for a locked account is a failure, and [ErrLocked].
func (d *Directory) NoteSignIn(ctx context.Context, p Principal, passed bool) error {
	a, err := write(ctx, d, p, 0, func(t *tx) (bool, error) {
		u, err := t.Writer.User(ByUser(p.User))
		if err != nil {
			return false, err
		}
		before, err := t.signIn(u.Number)
		if err != nil {
			return false, err
		}
		after := before
		if passed && !before.Locked {
			after.Successes, after.Streak, after.LastSuccess = before.Successes+1, 0, t.At()
		} else {
			after.Failures, after.Streak, after.LastFailure = before.Failures+1, before.Streak+1, t.At()
			after.Locked = before.Locked || after.Streak >= MaxStreak
		}
		return before.Locked, t.PutSignIn(u, before, after)
	})
	if err == nil && passed && a.Value {
		err = ErrLocked
	}
	return err
}

// issuable returns the grants that a credential may carry which is issued for
// another now: none if the user's account is locked, and if the password must be
// changed no more than lets the user do that.
func (t *tx) issuable(parent Credential, grants Grants) (Grants, error) {
	if t.p.User.IsZero() {
		return grants, nil
	}
	u, err := t.Writer.User(ByUser(t.p.User))
	if err != nil {
		return 0, err
	}
	s, err := t.signIn(u.Number)
	if err != nil {
		return 0, err
	}
	if s.Locked {
		return 0, ErrLocked
	}
	set := s.Changed
	if set.IsZero() {
		set = parent.Created
	}
	if parent.Kind == PasswordKind && s.mustChange(set, t.now()) {
		grants = grants.closed() & (ReadSelf | WriteSelf)
	}
	return grants, nil
}

// MaxPassword is how many bytes a password may have.
const MaxPassword = 1024

// CheckPassword refuses a password that is too weak for the user: shorter than 8
// characters, of fewer than three of the four classes of character, or with part
// of the user's own name in it. field is what the caller calls it.
func CheckPassword(u User, password, field string) error {
	weak := func(detail string) error {
		return &Error{Kind: Invalid, Code: "password.weak", Field: field, Detail: detail}
	}
	var lower, upper, digit, symbol int
	for _, r := range password {
		switch {
		case unicode.IsLower(r):
			lower = 1
		case unicode.IsUpper(r):
			upper = 1
		case unicode.IsDigit(r):
			digit = 1
		default:
			symbol = 1
		}
	}
	switch {
	case !utf8.ValidString(password) || len(password) > MaxPassword:
		return weak(fmt.Sprintf("The password is longer than %d bytes, or not valid UTF-8.", MaxPassword))
	case utf8.RuneCountInString(password) < 8:
		return weak("The password is shorter than 8 characters.")
	case lower+upper+digit+symbol < 3:
		return weak("The password must have three of these: small letters, capital letters, digits, symbols.")
	}
	folded := FoldName(password)
	for _, part := range strings.FieldsFunc(u.GivenName+" "+u.FamilyName+" "+u.DisplayName, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if utf8.RuneCountInString(part) >= 3 && strings.Contains(folded, FoldName(part)) {
			return weak("The password must not contain parts of the user's name.")
		}
	}
	return nil
}

// PasswordFor finds a user whose password the principal would change, with the
// credential that is the password now, zero if there is none. proof is whether
// the old password is needed for it: who holds [WriteUsers] and [ManageKeys] may
// set anybody's without; a user its own with.
func (d *Directory) PasswordFor(ctx context.Context, p Principal, ref Ref) (u User, c Credential, proof bool, err error) {
	_, err = view(ctx, d, p, WriteSelf, func(l *look) (none struct{}, err error) {
		if u, err = l.userAbout(ref, WriteUsers|ManageKeys); err != nil {
			return none, err
		}
		have, err := l.effective()
		if err != nil {
			return none, err
		}
		proof = !have.Has(WriteUsers | ManageKeys)
		list, err := l.Reader.Credentials(CredentialQuery{Kind: PasswordKind, User: u.ID}, 0, 1)
		if len(list) > 0 {
			c = list[0]
		}
		return none, err
	})
	return u, c, proof, err
}

// NewPassword asks to set a user's password. Proof is the hash that the old
// password was verified against, nil if it was not given.
type NewPassword struct {
	User  id.User
	Hash  []byte
	Proof []byte
}

// SetPassword sets a user's password, which need not have had one. What was issued for the
// old one is revoked, except for what the principal presented itself. It needs
// [WriteUsers] and [ManageKeys] and whatever the user holds; a user may set its
// own, without that, by proof of the old one.
func (d *Directory) SetPassword(ctx context.Context, p Principal, in NewPassword) (Answer[User], error) {
	return write(ctx, d, p, WriteSelf, func(t *tx) (User, error) {
		u, err := t.userAbout(ByUser(in.User), WriteUsers|ManageKeys)
		if err != nil {
			return User{}, err
		}
		list, err := t.Writer.Credentials(CredentialQuery{Kind: PasswordKind, User: u.ID}, 0, 1)
		if err != nil {
			return User{}, err
		}
		if in.Proof != nil {
			if len(list) == 0 || !bytes.Equal(list[0].Hash, in.Proof) {
				return User{}, conflict("password.changed", "existing", "The password has been changed meanwhile.")
			}
		}
		if in.Proof == nil || p.User != u.ID {
			if err := t.authorize(WriteUsers | ManageKeys); err != nil {
				return User{}, err
			}
			if err := p.may(WriteUsers | ManageKeys); err != nil {
				return User{}, err
			}
			if err := t.mayTouch(u.Number); err != nil {
				return User{}, err
			}
		}
		if len(list) == 0 {
			c := Credential{Kind: PasswordKind, Name: "password", User: u.ID, Grants: InTenant, Hash: in.Hash}
			if err := t.InsertCredential(&c); err != nil {
				return User{}, err
			}
			return u, t.passwordSet(u)
		}
		c := list[0]
		c.Hash = in.Hash
		if err := t.UpdateCredential(c); err != nil {
			return User{}, err
		}
		if err := t.revokeIssued(c.ID, p.Credential); err != nil {
			return User{}, err
		}
		return u, t.passwordSet(u)
	})
}

// revokeIssued revokes what was issued for a credential, but for one.
func (t *tx) revokeIssued(parent, but id.Credential) error {
	for after := int64(0); ; {
		list, err := t.Writer.Credentials(CredentialQuery{Parent: parent}, after, MaxPage)
		if err != nil {
			return err
		}
		for _, c := range list {
			after = c.Code
			if c.ID == but {
				continue
			}
			if err := t.revoke(c); err != nil {
				return err
			}
		}
		if len(list) < MaxPage {
			return nil
		}
	}
}

// passwordSet notes that a user's password was set.
func (t *tx) passwordSet(u User) error {
	before, err := t.signIn(u.Number)
	if err != nil {
		return err
	}
	after := before
	after.Changed, after.MustChange = t.At(), false
	return t.PutSignIn(u, before, after)
}

// SignInUpdate says what to change of how a user may sign in; nil fields stay.
type SignInUpdate struct {
	Locked      *bool
	MustChange  *bool
	ChangeEvery *int
}

// MaxChangeEvery is after how many days at most a password must be changed.
const MaxChangeEvery = 36500

func (in SignInUpdate) check() error {
	if in.ChangeEvery != nil && (*in.ChangeEvery < 0 || *in.ChangeEvery > MaxChangeEvery) {
		return invalid("change_every.range", "change_password_every", "A password lasts 1 to %d days, or 0 for ever.", MaxChangeEvery)
	}
	return nil
}

// updateSignIn changes how a user may sign in. allowed is asked first, if
// anything changes.
func (t *tx) updateSignIn(u User, in SignInUpdate, allowed func() error) error {
	if in == (SignInUpdate{}) {
		return nil
	}
	before, err := t.signIn(u.Number)
	if err != nil {
		return err
	}
	after := before
	assign(&after.Locked, in.Locked)
	assign(&after.MustChange, in.MustChange)
	assign(&after.ChangeEvery, in.ChangeEvery)
	if before == after {
		return nil
	}
	if before.Locked && !after.Locked {
		after.Streak = 0
	}
	if err := in.check(); err != nil {
		return err
	}
	if err := allowed(); err != nil {
		return err
	}
	return t.PutSignIn(u, before, after)
}
