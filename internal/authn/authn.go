// Package authn turns a credential into a [directory.Principal]: it verifies
// secrets, hashes passwords, limits guessing, and seals what a dialect's clients
// must be able to read back. Where a credential stands in a request, and what
// refusing it looks like, is the dialect's business.
package authn

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"sync"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// Authenticator verifies credentials against one directory. It is safe for
// concurrent use.
type Authenticator struct {
	d       *directory.Directory
	sealer  *Sealer
	limiter *limiter
	log     *slog.Logger

	mu     sync.Mutex // guards what follows
	used   map[id.Credential]time.Time
	visits map[directory.Visit]int
}

// New returns an authenticator. Flush must be called from time to time, and at
// the end, for last-used times and counts of
// sign-ins to be kept.
func New(d *directory.Directory, sealer *Sealer, log *slog.Logger) *Authenticator {
	return &Authenticator{d: d, sealer: sealer, limiter: newLimiter(), log: log, used: map[id.Credential]time.Time{}, visits: map[directory.Visit]int{}}
}

// Sealer seals and opens secrets that clients read back.
func (a *Authenticator) Sealer() *Sealer { return a.sealer }

// Hash is what a secret with full entropy is kept as and found by.
func Hash(kind directory.CredentialKind, secret string) []byte {
	var room [128]byte // for the keys that are made here
	text := append(append(append(room[:0], kind...), 0), secret...)
	sum := sha256.Sum256(text)
	return sum[:]
}

// Refusals. All say the same to whoever guesses; the codes are for the log and
// for dialects that must tell an expired token from a wrong one.
var (
	ErrUnknown  = &directory.Error{Kind: directory.Unauthenticated, Code: "credential.unknown", Detail: "The credential is not valid."}
	ErrExpired  = &directory.Error{Kind: directory.Unauthenticated, Code: "credential.expired", Detail: "The credential is not valid."}
	ErrInactive = &directory.Error{Kind: directory.Unauthenticated, Code: "credential.inactive", Detail: "The credential is not valid."}
	ErrMissing  = &directory.Error{Kind: directory.Unauthenticated, Code: "credential.missing", Detail: "This request needs a credential."}
)

// Verify finds the credential that a secret of a kind proves. It fails with
// [ErrUnknown] if there is none, or it was revoked, [ErrExpired] if its time is
// over, and [ErrInactive] if the user it acts for is suspended or gone.
func (a *Authenticator) Verify(ctx context.Context, kind directory.CredentialKind, secret string) (directory.Credential, error) {
	if secret == "" || len(secret) > 1024 {
		return directory.Credential{}, ErrUnknown
	}
	hash := Hash(kind, secret)
	c, err := a.d.CredentialByHash(ctx, kind, hash)
	if errors.Is(err, directory.NotFound) {
		return c, ErrUnknown
	}
	if err != nil {
		return c, err
	}
	if subtle.ConstantTimeCompare(c.Hash, hash) != 1 {
		return directory.Credential{}, ErrUnknown
	}
	now := a.d.Now()
	if !c.Expires.IsZero() && !now.Before(c.Expires) {
		return directory.Credential{}, ErrExpired
	}
	if !c.User.IsZero() {
		active, err := a.d.UserActive(ctx, c)
		if err != nil {
			return directory.Credential{}, err
		}
		if !active {
			return directory.Credential{}, ErrInactive
		}
	}
	a.touch(c, now)
	return c, nil
}

// Principal binds a verified credential to the tenant that a request is about.
// A tenant's credential acts in its own tenant only: [directory.NotFound] for
// any other, so that nobody learns of tenants by trying. A platform credential
// with Platform reaches every tenant.
func Principal(c directory.Credential, tenant id.Tenant, dialect, request string) (directory.Principal, error) {
	if c.Tenant != tenant && !(c.Tenant.IsZero() && c.Grants.Has(directory.Platform)) {
		return directory.Principal{}, directory.ErrNoTenant
	}
	grants := c.Grants
	if !tenant.IsZero() && grants.Has(directory.Platform) {
		grants |= directory.Admin
	}
	p := directory.Principal{
		Tenant: tenant, Credential: c.ID, User: c.User, Grants: grants,
		Name: c.Name, Dialect: dialect, Request: request,
	}
	if c.Tenant == tenant {
		p.Fence = c.Fence
	}
	return p, nil
}

// PrincipalIn is [Principal] for credentials that may also be an owner's: a key
// of the platform that acts for a user administers, within its grants, the
// tenants that this user owns now.
func (a *Authenticator) PrincipalIn(ctx context.Context, c directory.Credential, tenant id.Tenant, dialect, request string) (directory.Principal, error) {
	if !c.Tenant.IsZero() || c.User.IsZero() || tenant.IsZero() {
		return Principal(c, tenant, dialect, request)
	}
	owns, err := a.d.Owns(ctx, c.User, tenant)
	if err != nil {
		return directory.Principal{}, err
	}
	if !owns {
		return directory.Principal{}, directory.ErrNoTenant
	}
	return directory.Principal{
		Tenant: tenant, Credential: c.ID, Grants: c.Grants & directory.InTenant,
		Name: c.Name, Dialect: dialect, Request: request,
	}, nil
}

// usedEvery is how exact last-used times are.
const usedEvery = time.Minute

func (a *Authenticator) touch(c directory.Credential, now time.Time) {
	if now.Sub(c.Used) < usedEvery {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.used[c.ID]) >= usedEvery {
		a.used[c.ID] = now
	}
}

// SignedIn notes that a user was just let in, by a password or by somebody whom
// the deployment trusts to say so.
func (a *Authenticator) SignedIn(t id.Tenant, u id.User) {
	in := directory.Visit{Tenant: t, User: u, Day: directory.DayOf(a.d.Now())}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.visits[in]++
}

// Flush writes down when credentials were last used and how often users have
// signed in.
func (a *Authenticator) Flush(ctx context.Context) {
	a.mu.Lock()
	used, visits := a.used, a.visits
	a.used, a.visits = map[id.Credential]time.Time{}, map[directory.Visit]int{}
	a.mu.Unlock()
	if len(used) > 0 {
		if err := a.d.Touch(ctx, used); err != nil {
			a.log.WarnContext(ctx, "last-used times not kept", "err", err)
		}
	}
	if len(visits) > 0 {
		if err := a.d.CountVisits(ctx, visits); err != nil {
			a.log.WarnContext(ctx, "sign-ins not counted", "err", err)
		}
	}
}
