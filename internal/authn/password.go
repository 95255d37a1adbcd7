package authn

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"

	"roster/internal/directory"
	"roster/internal/id"
)

// argon2id parameters: 19 MiB, two passes, one lane (OWASP's minimum), about
// 25 ms of a core.
const (
	memory  = 19 * 1024 // KiB
	passes  = 2
	lanes   = 1
	keySize = 32
)

// hashing bounds how many passwords are hashed at once: more than the cores
// would only take memory and be slower for all.
var hashing = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)))

func hashSlot(ctx context.Context) (func(), error) {
	select {
	case hashing <- struct{}{}:
		return func() { <-hashing }, nil
	case <-ctx.Done():
		return nil, &directory.Error{Kind: directory.Unavailable, Code: "request.cancelled", Detail: "The request ended before it could be carried out.", Err: ctx.Err()}
	}
}

// HashPassword returns the argon2id PHC string that a password is kept as. It
// costs about 25 ms of a core and waits while too many others are at it.
func HashPassword(ctx context.Context, password string) ([]byte, error) {
	done, err := hashSlot(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	salt := random(16)
	key := argon2.IDKey([]byte(password), salt, passes, memory, lanes, keySize)
	b64 := base64.RawStdEncoding
	return fmt.Appendf(nil, "$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, passes, lanes, b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}

// phc is a PHC string taken apart.
type phc struct {
	memory, passes uint32
	lanes          uint8
	salt, key      []byte
}

// ErrPHC is returned for text that is not an argon2id PHC string within the
// bounds that this server is willing to compute.
var ErrPHC = errors.New("not an argon2id hash in PHC form, or one that costs too much")

func parsePHC(s string) (phc, error) {
	var p phc
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return p, ErrPHC
	}
	var version int
	fmt.Sscanf(parts[2], "v=%d", &version)
	fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.lanes)
	// Written again they must be the same, so that nothing was passed over.
	if version != argon2.Version || parts[2] != fmt.Sprintf("v=%d", version) || parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", p.memory, p.passes, p.lanes) {
		return p, ErrPHC
	}
	var err1, err2 error
	p.salt, err1 = base64.RawStdEncoding.DecodeString(parts[4])
	p.key, err2 = base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(p.salt) < 8 || len(p.key) < 16 || len(p.key) > 64 ||
		p.memory < 8 || p.memory > 256*1024 || p.passes < 1 || p.passes > 10 || p.lanes < 1 || p.lanes > 8 {
		return p, ErrPHC
	}
	return p, nil
}

// CheckPHC returns nil if s is a hash that [Authenticator.Password] can verify.
func CheckPHC(s string) error {
	_, err := parsePHC(s)
	return err
}

// dummy makes an unknown name cost what a wrong password does.
var dummy = sync.OnceValue(func() []byte {
	h, err := HashPassword(context.Background(), "nobody's password")
	if err != nil {
		panic(err)
	}
	return h
})

func verifyPassword(ctx context.Context, hash []byte, password string) (bool, error) {
	p, err := parsePHC(string(hash))
	if err != nil {
		return false, err
	}
	done, err := hashSlot(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	key := argon2.IDKey([]byte(password), p.salt, p.passes, p.memory, p.lanes, uint32(len(p.key)))
	return subtle.ConstantTimeCompare(key, p.key) == 1, nil
}

// Refusals of a sign-in. A dialect that must not tell the first two apart says
// the same for both.
var (
	ErrNoSuchUser    = &directory.Error{Kind: directory.Unauthenticated, Code: "signin.user", Detail: "The name or the password is wrong."}
	ErrWrongPassword = &directory.Error{Kind: directory.Unauthenticated, Code: "signin.password", Detail: "The name or the password is wrong."}
	ErrLocked        = directory.ErrLocked
	ErrSuspended     = &directory.Error{Kind: directory.Unauthenticated, Code: "signin.inactive", Detail: "The account cannot sign in."}
)

// Password verifies a user's password. from is the client's address: too many
// failures, for one account or from one address, are [directory.TooMany] for a
// while. An unknown user costs the hash that a wrong password
// does; noting the failure of one who is there is a write beside that. Whether it
// passed is kept with the user, see [directory.SignIn]: a locked account is
// [ErrLocked].
func (a *Authenticator) Password(ctx context.Context, tenant id.Tenant, user directory.Ref, password, from string) (directory.User, directory.Credential, error) {
	none := func(err error) (directory.User, directory.Credential, error) {
		return directory.User{}, directory.Credential{}, err
	}
	u, c, err := a.d.PasswordOf(ctx, tenant, user, Password)
	unknown := errors.Is(err, directory.NotFound)
	if err != nil && !unknown {
		return none(err)
	}
	// One account has one count, by whatever name it is tried.
	account, address := fmt.Sprintf("account %s/%d/%x/%d/%s", tenant, user.Kind, user.UUID, user.Int, user.Text), "address "+from
	if !u.ID.IsZero() {
		account = "account " + u.ID.String()
	}
	now := a.d.Now()
	if err := a.limited(now, account, address); err != nil {
		return none(err)
	}
	hash := c.Hash
	if unknown {
		hash = dummy()
	}
	ok, err := verifyPassword(ctx, hash, password)
	if err != nil {
		return none(err)
	}
	if unknown || !ok {
		a.limiter.failed(now, account, address)
		if u.ID.IsZero() {
			return none(ErrNoSuchUser)
		}
		if !unknown {
			if err := a.note(ctx, u, c, false); err != nil {
				return none(err)
			}
		}
		return none(ErrWrongPassword)
	}
	at := a.d.Now()
	if !u.ActiveAt(at) || !c.Expires.IsZero() && !at.Before(c.Expires) {
		return none(ErrSuspended)
	}
	if err := a.note(ctx, u, c, true); err != nil {
		return none(err)
	}
	a.limiter.passed(account)
	a.touch(c, at)
	a.SignedIn(tenant, u.ID)
	return u, c, nil
}

// limited refuses an attempt for which too many before it failed.
func (a *Authenticator) limited(now time.Time, account, address string) error {
	wait := a.limiter.wait(now, account, address)
	if wait <= 0 {
		return nil
	}
	return &directory.Error{Kind: directory.TooMany, Code: "signin.limited",
		Detail: fmt.Sprintf("Too many failed attempts. Try again in %d seconds.", int(wait.Seconds())+1)}
}

// note keeps that a user tried to sign in.
func (a *Authenticator) note(ctx context.Context, u directory.User, c directory.Credential, passed bool) error {
	err := a.d.NoteSignIn(ctx, directory.Principal{Tenant: c.Tenant, Credential: c.ID, User: u.ID, Name: u.Name, Dialect: "signin"}, passed)
	if errors.Is(err, directory.NotFound) {
		return ErrNoSuchUser // it was deleted meanwhile
	}
	return err
}

// Client verifies the secret of a program that signs in by a public handle:
// [Authenticator.Verify], limited as passwords are. A secret that is right for
// another handle is wrong.
func (a *Authenticator) Client(ctx context.Context, kind directory.CredentialKind, handle, secret, from string) (directory.Credential, error) {
	account, address := "client "+string(kind)+" "+handle, "address "+from
	now := a.d.Now()
	if err := a.limited(now, account, address); err != nil {
		return directory.Credential{}, err
	}
	c, err := a.Verify(ctx, kind, secret)
	if err == nil && subtle.ConstantTimeCompare([]byte(c.Handle), []byte(handle)) != 1 {
		c, err = directory.Credential{}, ErrUnknown
	}
	switch {
	case errors.Is(err, ErrUnknown):
		a.limiter.failed(now, account, address)
	case err == nil:
		a.limiter.passed(account)
	}
	return c, err
}

// ErrWrongExisting refuses a change of password whose proof is wrong.
var ErrWrongExisting = &directory.Error{Kind: directory.Conflict, Code: "password.existing", Field: "existing", Detail: "The existing password is wrong."}

// ChangePassword sets a user's password, by the rules of
// [directory.CheckPassword] and not to what it is already. existing is the old
// password, "" if it was not given, which a user that changes its own must give;
// a wrong one is [ErrWrongExisting] and limited as sign-ins are. field is what
// the caller calls the new one.
func (a *Authenticator) ChangePassword(ctx context.Context, p directory.Principal, user directory.Ref, existing, password, from, field string) error {
	u, c, proof, err := a.d.PasswordFor(ctx, p, user)
	if err != nil {
		return err
	}
	if err := directory.CheckPassword(u, password, field); err != nil {
		return err
	}
	in := directory.NewPassword{User: u.ID}
	switch {
	case existing != "":
		account, address := "account "+u.ID.String(), "address "+from
		now := a.d.Now()
		if err := a.limited(now, account, address); err != nil {
			return err
		}
		ok := false
		if len(c.Hash) > 0 {
			if ok, err = verifyPassword(ctx, c.Hash, existing); err != nil {
				return err
			}
		}
		if !ok {
			a.limiter.failed(now, account, address)
			return ErrWrongExisting
		}
		in.Proof = c.Hash
	case proof:
		return &directory.Error{Kind: directory.Invalid, Code: "password.proof", Field: "existing", Detail: "The existing password must be given."}
	}
	same := password == existing
	if !same && existing == "" && len(c.Hash) > 0 {
		if same, err = verifyPassword(ctx, c.Hash, password); err != nil {
			return err
		}
	}
	if same {
		return &directory.Error{Kind: directory.Invalid, Code: "password.same", Field: field, Detail: "That is the password already."}
	}
	if in.Hash, err = HashPassword(ctx, password); err != nil {
		return err
	}
	_, err = a.d.SetPassword(ctx, p, in)
	return err
}
