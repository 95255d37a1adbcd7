package contensis

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/wire"
)

// How long tokens live. Clients sign in again a minute early and take refresh
// tokens to last 15 days (section 1.2).
const (
	accessLife  = time.Hour
	refreshLife = 15 * 24 * time.Hour
)

// maxForm is how many bytes a sign-in may carry.
const maxForm = 64 << 10

// builtIns are the groups that every tenant has (section 3.3). One that did not
// have them gets them when somebody signs in here for the first time.
var builtIns = directory.BuiltIns{Administrators: "System Administrators", Everyone: "Everyone"}

// signIn is what a grant proved.
type signIn struct {
	// p is who signed in; p.Credential, which tokens hang on, is what the
	// person or program gave when it first did.
	p directory.Principal

	// until is when everything issued must have ended; zero is never.
	until time.Time

	// refresh is the refresh token that was presented, if one was.
	refresh string
}

// token answers the token endpoint (section 1.2).
func (c *contensis) token(w http.ResponseWriter, r *http.Request, _ directory.Principal) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	s, err := c.signIn(r, form)
	wire.Note(r.Context(), s.p, nil)
	if err != nil {
		return err
	}
	if err := c.d.SeedBuiltIns(r.Context(), s.p, builtIns); err != nil {
		return err
	}
	answer := tokenAnswer{TokenType: "Bearer"}
	var expires time.Time
	if answer.AccessToken, expires, err = c.issue(r.Context(), s, authn.ContensisAccess, accessLife); err != nil {
		return err
	}
	answer.ExpiresIn = int64(expires.Sub(c.d.Now()) / time.Second)
	if slices.Contains(strings.Fields(form.Get("scope")), "offline_access") {
		// Clients present the token they were configured with again and again,
		// so it is neither used up nor replaced.
		answer.RefreshToken = s.refresh
		if s.refresh == "" {
			if answer.RefreshToken, _, err = c.issue(r.Context(), s, authn.ContensisFresh, refreshLife); err != nil {
				return err
			}
		}
	}
	forbidCaching(w)
	wire.WriteJSON(w, http.StatusOK, answer)
	return nil
}

// forbidCaching keeps answers of the token endpoint out of caches (RFC 6749
// section 5.1).
func forbidCaching(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
}

// readForm reads the form of a sign-in. A parameter without a value counts as
// left out, and one given twice is refused (RFC 6749 section 3.2).
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if wire.MediaType(r) != "application/x-www-form-urlencoded" {
		return nil, malformed("body.type", "The body must be a form: set Content-Type to application/x-www-form-urlencoded.")
	}
	body, err := wire.ReadBody(w, r, maxForm)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		// The parser's complaint quotes the body, in which there are secrets.
		return nil, malformed("body.malformed", "The body is not a well-formed form.")
	}
	for _, values := range form {
		if len(values) > 1 {
			return nil, malformed("body.repeated", "Each parameter may be given once.")
		}
	}
	return form, nil
}

// required returns the values of parameters that must be there.
func required(form url.Values, first, second string) (string, string, error) {
	for _, parameter := range []string{first, second} {
		if form.Get(parameter) == "" {
			return "", "", malformed("body.parameter", "The parameter "+parameter+" is missing.")
		}
	}
	return form.Get(first), form.Get(second), nil
}

// signIn verifies what a form proves. The standard names of grants stand beside
// those that clients send.
func (c *contensis) signIn(r *http.Request, form url.Values) (signIn, error) {
	switch form.Get("grant_type") {
	case "":
		return signIn{}, malformed("body.parameter", "The parameter grant_type is missing.")
	case "client_credentials":
		return c.byClient(r, form)
	case "contensis_classic", "password":
		return c.byPassword(r, form)
	case "contensis_classic_refresh_token", "refresh_token":
		return c.byRefreshToken(r, form)
	}
	return signIn{}, refused(directory.Invalid, unsupportedGrant, "", nil)
}

// byClient signs in a program. It acts as the user its credential carries, with
// no more rights than both have.
func (c *contensis) byClient(r *http.Request, form url.Values) (signIn, error) {
	client, secret, err := required(form, "client_id", "client_secret")
	if err != nil {
		return signIn{}, err
	}
	found, err := c.authn.Client(r.Context(), authn.ContensisClient, client, secret, wire.CutHost(r.RemoteAddr))
	switch {
	case errors.Is(err, authn.ErrInactive):
		return signIn{}, refused(directory.Unauthenticated, invalidGrant, "", err)
	case errors.Is(err, directory.Unauthenticated):
		return signIn{}, refused(directory.Unauthenticated, invalidClient, "", err)
	case err != nil:
		return signIn{}, err
	// A client of the platform belongs to no tenant that it could sign in to.
	case found.Tenant.IsZero():
		return signIn{}, refused(directory.Unauthenticated, invalidClient, "", authn.ErrUnknown)
	}
	p, err := c.principal(r, found)
	return signIn{p: p, until: found.Expires}, err
}

// byPassword signs in a user.
func (c *contensis) byPassword(r *http.Request, form url.Values) (signIn, error) {
	username, password, err := required(form, "username", "password")
	if err != nil {
		return signIn{}, err
	}
	tenant, err := c.tenantOf(r)
	if err != nil {
		return signIn{}, err
	}
	_, found, err := c.authn.Password(r.Context(), tenant, directory.ByLogin(username), password, wire.CutHost(r.RemoteAddr))
	switch {
	case errors.Is(err, authn.ErrSuspended), errors.Is(err, authn.ErrLocked):
		return signIn{}, refused(directory.Unauthenticated, invalidGrant, "", err)
	case errors.Is(err, directory.Unauthenticated):
		return signIn{}, refused(directory.Unauthenticated, incorrectPassword, "", err)
	case err != nil:
		return signIn{}, err
	}
	p, err := c.principal(r, found)
	return signIn{p: p, until: found.Expires}, err
}

// byRefreshToken signs in whoever holds a refresh token. What is issued hangs on
// what that token was issued for, not on the token, so that it can be found and
// revoked after the token has expired.
func (c *contensis) byRefreshToken(r *http.Request, form url.Values) (signIn, error) {
	token := form.Get("refresh_token")
	if token == "" {
		return signIn{}, malformed("body.parameter", "The parameter refresh_token is missing.")
	}
	found, err := c.authn.Verify(r.Context(), authn.ContensisFresh, token)
	if errors.Is(err, directory.Unauthenticated) {
		return signIn{}, refused(directory.Unauthenticated, invalidGrant, "", err)
	}
	if err != nil {
		return signIn{}, err
	}
	p, err := c.principal(r, found)
	p.Credential = found.Parent
	return signIn{p: p, until: found.Expires, refresh: token}, err
}

// issue makes a token for who signed in. It never outlives what it hangs on.
func (c *contensis) issue(ctx context.Context, s signIn, kind directory.CredentialKind, life time.Duration) (secret string, expires time.Time, err error) {
	now := c.d.Now()
	expires = now.Add(life)
	if !s.until.IsZero() && s.until.Before(expires) {
		expires = s.until
	}
	if !now.Before(expires) {
		return "", expires, refused(directory.Unauthenticated, invalidGrant, "", authn.ErrExpired)
	}
	secret, hash, _ := c.authn.Mint(kind)
	_, err = c.d.Issue(ctx, s.p, directory.NewCredential{
		Kind: kind, Name: s.p.Name, Grants: directory.InTenant, Expires: expires, Hash: hash,
	})
	if errors.Is(err, directory.NotFound) || errors.Is(err, authn.ErrLocked) {
		// It was revoked after it was verified, or the user's account is locked.
		err = refused(directory.Unauthenticated, invalidGrant, "", err)
	}
	return secret, expires, err
}

// tenantOf returns the tenant whose user a password is verified for: the one
// that the host names, as "cms-" and its name or as its name alone, or else the
// only one there is. The host is the caller's to choose and grants nothing: the
// password must be right there.
func (c *contensis) tenantOf(r *http.Request) (id.Tenant, error) {
	label := directory.FoldName(r.Host)
	if i := strings.IndexAny(label, ".:"); i >= 0 {
		label = label[:i]
	}
	names := []string{label}
	if alias, ok := strings.CutPrefix(label, "cms-"); ok {
		names = []string{alias, label}
	}
	for _, name := range names {
		if !directory.IsTenantName(name) {
			continue // an address, or nothing that could be a tenant's
		}
		t, err := c.d.FindTenant(r.Context(), name)
		if err == nil && t.Name == name {
			return t.ID, nil
		}
		if err != nil && !errors.Is(err, directory.NotFound) {
			return id.Tenant{}, err
		}
	}
	return c.onlyTenant(r.Context())
}

// errWhichTenant refuses a password for which no tenant could be told.
var errWhichTenant = &directory.Error{Kind: directory.Invalid, Code: "tenant.unclear",
	Detail: "The host name does not say which tenant to sign in to: call a host whose first label is cms-{alias} or {alias}, where {alias} is the tenant's name."}

// onlyTenant returns the tenant of a deployment that has just one.
func (c *contensis) onlyTenant(ctx context.Context) (id.Tenant, error) {
	t, err := c.d.OnlyTenant(ctx)
	if errors.Is(err, directory.NotFound) {
		return id.Tenant{}, errWhichTenant
	}
	return t.ID, err
}
