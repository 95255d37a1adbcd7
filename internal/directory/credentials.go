package directory

import (
	"context"
	"errors"
	"reflect"
	"time"

	"roster/internal/id"
)

// NewCredential is what a credential is made from. The secret stays with the
// caller; what verifies it (Hash) and, where clients read it back, its sealed
// form come in.
type NewCredential struct {
	ID         id.Credential
	Code       int64
	Kind       CredentialKind
	Name       string
	Handle     string
	User       Ref // zero for a machine's own
	Parent     id.Credential
	Grants     Grants
	Expires    time.Time
	Sealed     []byte
	Hash       []byte
	Attributes Attributes

	// Replace revokes the User's other credentials of the kind, as when a
	// password is set or a key is reset.
	Replace bool
}

// CreateCredential makes a credential. It needs [ManageKeys], every grant the
// credential gets, and for one that acts for a user whatever that user holds.
func (d *Directory) CreateCredential(ctx context.Context, p Principal, in NewCredential) (Answer[Credential], error) {
	if len(in.Hash) == 0 || in.Kind == "" {
		return Answer[Credential]{}, &Error{Detail: "The credential has no secret.", Err: errors.New("credential without hash or kind")}
	}
	if err := checkText("name", in.Name, MaxName); err != nil {
		return Answer[Credential]{}, err
	}
	if err := checkAttributes(in.Attributes); err != nil {
		return Answer[Credential]{}, err
	}
	if !in.Expires.IsZero() && !d.Now().Before(in.Expires) {
		return Answer[Credential]{}, invalid("expires.past", "expires", "That moment has passed.")
	}
	if err := checkDate("expires", in.Expires); err != nil {
		return Answer[Credential]{}, err
	}
	if err := checkCode(in.Code); err != nil {
		return Answer[Credential]{}, err
	}
	if !p.Tenant.IsZero() && in.Grants&(Platform|OwnTenants) != 0 {
		return Answer[Credential]{}, invalid("grant.range", "grants", "A tenant's credential cannot carry %s.", in.Grants&(Platform|OwnTenants))
	}
	if err := p.mayName(in.Code); err != nil {
		return Answer[Credential]{}, err
	}
	return write(ctx, d, p, ManageKeys, func(t *tx) (Credential, error) {
		c := Credential{
			ID: in.ID, Code: in.Code, Kind: in.Kind, Name: in.Name, Handle: in.Handle, Parent: in.Parent,
			Grants: in.Grants, Expires: exact(in.Expires), Sealed: in.Sealed, Hash: in.Hash, Attributes: in.Attributes,
		}
		if err := t.mustHold(in.Grants.closed(), "That credential"); err != nil {
			return Credential{}, err
		}
		if in.User.Kind != 0 {
			u, err := t.Writer.User(in.User)
			if err != nil {
				return Credential{}, err
			}
			if err := t.mayTouch(u.Number); err != nil {
				return Credential{}, err
			}
			c.User = u.ID
			if in.Kind == PasswordKind {
				if err := t.passwordSet(u); err != nil {
					return Credential{}, err
				}
			}
		}
		if in.Replace && !c.User.IsZero() {
			if err := t.revokeAll(CredentialQuery{Kind: in.Kind, User: c.User}); err != nil {
				return Credential{}, err
			}
		}
		err := t.InsertCredential(&c)
		return c, err
	})
}

// Issue makes a credential for one that was just verified, such as an access
// token for a client: it hangs on the principal's credential, gets no more grants
// than that and lasts no longer, see also [SignIn]. It sweeps two expired ones of its kind, so that tokens nobody came
// back for do not pile up.
func (d *Directory) Issue(ctx context.Context, p Principal, in NewCredential) (Answer[Credential], error) {
	return write(ctx, d, p, 0, func(t *tx) (Credential, error) {
		expired, err := t.Writer.Credentials(CredentialQuery{Kind: in.Kind, Expired: t.At()}, 0, 2)
		if err != nil {
			return Credential{}, err
		}
		for _, c := range expired {
			if err := t.revoke(c); err != nil {
				return Credential{}, err
			}
		}
		// What it hangs on may have been revoked since it was verified.
		parent, err := t.Writer.Credential(p.Credential)
		if err != nil {
			return Credential{}, err
		}
		grants, err := t.issuable(parent, in.Grants&p.Grants.closed())
		if err != nil {
			return Credential{}, err
		}
		c := Credential{
			Kind: in.Kind, Name: in.Name, User: p.User, Parent: parent.ID,
			Grants: grants, Expires: exact(in.Expires), Sealed: in.Sealed, Hash: in.Hash, Attributes: in.Attributes,
		}
		if !parent.Expires.IsZero() && (c.Expires.IsZero() || parent.Expires.Before(c.Expires)) {
			c.Expires = parent.Expires
		}
		err = t.InsertCredential(&c)
		return c, err
	})
}

// ListCredentials asks for a page of credentials by ascending code.
type ListCredentials struct {
	Page
	Query CredentialQuery

	// Sealed asks for the sealed secrets too, of those whose clients read them
	// back. Only who holds all that a credential carries gets its secret.
	Sealed bool
}

// Credentials lists credentials, without anything secret unless that is asked
// for. It needs [ManageKeys].
func (d *Directory) Credentials(ctx context.Context, p Principal, in ListCredentials) (Answer[Found[Credential]], error) {
	return view(ctx, d, p, ManageKeys, func(l *look) (Found[Credential], error) {
		limit := in.limit()
		list, err := l.Credentials(in.Query, in.After, limit+1)
		if err != nil {
			return Found[Credential]{}, err
		}
		var have Grants
		if in.Sealed {
			if have, err = l.effective(); err != nil {
				return Found[Credential]{}, err
			}
		}
		for i := range list {
			list[i].Hash = nil
			if !in.Sealed || !have.Has(list[i].Grants.closed()) || !list[i].User.IsZero() {
				list[i].Sealed = nil
			}
		}
		return found(list, limit, func(c Credential) int64 { return c.Code }), err
	})
}

// OwnCredential returns the principal's own credential, without anything secret.
// Any principal may ask.
func (d *Directory) OwnCredential(ctx context.Context, p Principal) (Answer[Credential], error) {
	if p.Credential.IsZero() {
		return Answer[Credential]{}, p.may(0)
	}
	return view(ctx, d, p, 0, func(l *look) (Credential, error) {
		c, err := l.Credential(p.Credential)
		c.Hash, c.Sealed = nil, nil
		return c, err
	})
}

// OwnKeys returns the credentials of a kind that act for the user whom p acts for
// and carry no more than p does, sealed secrets included: whoever signed in may
// have the keys it could make.
func (d *Directory) OwnKeys(ctx context.Context, p Principal, kind CredentialKind) (Answer[[]Credential], error) {
	if p.User.IsZero() {
		return Answer[[]Credential]{}, forbidden("grant.missing", "This credential acts for no user.")
	}
	return view(ctx, d, p, 0, func(l *look) ([]Credential, error) {
		list, err := l.Credentials(CredentialQuery{Kind: kind, User: p.User}, 0, DefaultPage)
		keys := make([]Credential, 0, len(list))
		for _, c := range list {
			if p.Grants.Has(c.Grants.closed()) && (c.Expires.IsZero() || l.now().Before(c.Expires)) {
				c.Hash = nil
				keys = append(keys, c)
			}
		}
		return keys, err
	})
}

// CredentialUpdate says what to change of a credential; nil fields stay.
type CredentialUpdate struct {
	Credential id.Credential
	Name       *string
	Grants     *Grants
	Attributes Attributes // as in [UserUpdate]

	// Hash and Sealed are a new secret's, which takes the place of the old. What
	// was issued for the old one ends with it.
	Hash   []byte
	Sealed []byte
}

// UpdateCredential changes a credential. It needs [ManageKeys], every grant that
// the credential carries and will carry, and for one that acts for a user
// whatever that user holds. A credential may always give itself a new secret.
func (d *Directory) UpdateCredential(ctx context.Context, p Principal, in CredentialUpdate) (Answer[Credential], error) {
	need := ManageKeys
	own := in.Credential == p.Credential && in.Name == nil && in.Grants == nil && in.Attributes == nil
	if own {
		need = 0
	}
	if in.Name != nil {
		if err := checkText("name", *in.Name, MaxName); err != nil {
			return Answer[Credential]{}, err
		}
	}
	if in.Grants != nil && !p.Tenant.IsZero() && *in.Grants&(Platform|OwnTenants) != 0 {
		return Answer[Credential]{}, invalid("grant.range", "grants", "A tenant's credential cannot carry %s.", *in.Grants&(Platform|OwnTenants))
	}
	return write(ctx, d, p, need, func(t *tx) (Credential, error) {
		before, err := t.Writer.Credential(in.Credential)
		if err != nil {
			return Credential{}, err
		}
		after := before
		assign(&after.Name, in.Name)
		assign(&after.Grants, in.Grants)
		if !before.Attributes.Holds(in.Attributes) {
			after.Attributes = before.Attributes.patched(in.Attributes)
		}
		if in.Hash != nil {
			after.Hash, after.Sealed = in.Hash, in.Sealed
		}
		if reflect.DeepEqual(before, after) {
			return before, nil
		}
		if err := checkAttributes(after.Attributes); err != nil {
			return Credential{}, err
		}
		if !own {
			if err := t.mustHold(before.Grants.closed()|after.Grants.closed(), "That credential"); err != nil {
				return Credential{}, err
			}
			if !before.User.IsZero() {
				if err := t.mayTouchUser(before.User); err != nil {
					return Credential{}, err
				}
			}
		}
		if in.Hash != nil {
			if err := t.revokeAll(CredentialQuery{Parent: before.ID}); err != nil {
				return Credential{}, err
			}
		}
		return after, t.Writer.UpdateCredential(after)
	})
}

// mayTouchUser is mayTouch of a user by its id.
func (t *tx) mayTouchUser(u id.User) error {
	numbers, err := t.Writer.UserNumbers([]Ref{ByUser(u)})
	if err != nil || numbers[0] == 0 {
		return err
	}
	return t.mayTouch(numbers[0])
}

// RevokeCredential ends a credential and all that was issued for it, at once and
// on every node. It needs [ManageKeys] and every grant the credential carries.
func (d *Directory) RevokeCredential(ctx context.Context, p Principal, which id.Credential) (Answer[Credential], error) {
	return write(ctx, d, p, ManageKeys, func(t *tx) (Credential, error) {
		c, err := t.Writer.Credential(which)
		if err != nil {
			return c, err
		}
		if err := t.mustHold(c.Grants.closed(), "That credential"); err != nil {
			return c, err
		}
		return c, t.revoke(c)
	})
}

// revoke deletes a credential and those issued for it.
func (t *tx) revoke(c Credential) error {
	// This one goes first, so that the descent ends whatever hangs on what.
	if err := t.DeleteCredential(c); err != nil {
		return err
	}
	return t.revokeAll(CredentialQuery{Parent: c.ID})
}

func (t *tx) revokeAll(q CredentialQuery) error {
	for {
		list, err := t.Writer.Credentials(q, 0, MaxPage)
		if err != nil {
			return err
		}
		for _, c := range list {
			if err := t.revoke(c); err != nil {
				return err
			}
		}
		if len(list) < MaxPage {
			return nil
		}
	}
}

// credentialKey is what a credential is found by.
type credentialKey struct {
	kind CredentialKind
	hash string
}

// knownCredential is a credential that was read once, good for one epoch of its
// tenant.
type knownCredential struct {
	Credential
	epoch uint64
}

// maxKnown bounds how many credentials are remembered; above it all are
// forgotten, which costs one read each.
const maxKnown = 100000

// CredentialByHash finds the credential that proves itself with the hash, as it
// is now on every node: [ErrNoCredential] if there is none or if it was revoked.
// It does not look at expiry. It is for package authn, which is why it asks for
// no principal.
func (d *Directory) CredentialByHash(ctx context.Context, kind CredentialKind, hash []byte) (Credential, error) {
	key := credentialKey{kind, string(hash)}
	m := d.memory()
	if known, ok := m.credentials.Load(key); ok {
		c := known.(*knownCredential)
		fence, err := d.fresh(ctx, c.Tenant)
		if errors.Is(err, ErrNoTenant) {
			err = ErrNoCredential // it went with its tenant
		}
		if err != nil {
			return Credential{}, err
		}
		if c.epoch == m.follower(c.Tenant).epoch.Load() && m == d.memory() {
			found := c.Credential
			found.Fence = fence
			return found, nil
		}
		m.unknow(key)
	}
	c, err := d.store.CredentialByHash(ctx, kind, hash)
	if err != nil {
		return Credential{}, err
	}
	// Read it again inside its tenant, to know at which revision it was so. The
	// epoch is taken first: should a revocation be seen meanwhile, what is kept
	// here is of an epoch that has passed.
	m = d.memory()
	f := m.follower(c.Tenant)
	epoch := f.epoch.Load()
	var rev Revision
	err = d.store.View(ctx, c.Tenant, func(r Reader) (err error) {
		if rev, err = r.Revision(); err != nil {
			return err
		}
		c, err = r.Credential(c.ID)
		return err
	})
	if errors.Is(err, NotFound) {
		return Credential{}, ErrNoCredential
	}
	if err != nil {
		return Credential{}, err
	}
	f.seen.CompareAndSwap(0, uint64(rev)) // nothing older is remembered of the tenant
	if Revision(f.seen.Load()) <= rev {
		if m.known.Add(1) > maxKnown {
			m.credentials.Clear()
			m.known.Store(1)
		}
		m.credentials.Store(key, &knownCredential{Credential: c, epoch: epoch})
	}
	c.Fence = rev
	return c, nil
}

func (m *memory) unknow(key credentialKey) {
	if _, had := m.credentials.LoadAndDelete(key); had {
		m.known.Add(-1)
	}
}

// fresh brings what is remembered of a tenant up to what other nodes have
// acknowledged, and returns how far that is.
func (d *Directory) fresh(ctx context.Context, t id.Tenant) (Revision, error) {
	fence, err := d.store.Fence(ctx, t)
	if err != nil || fence <= Revision(d.memory().follower(t).seen.Load()) {
		return fence, err
	}
	return fence, d.catchUp(ctx, t, fence)
}

// PasswordOf finds a user and the password credential that it signs in with:
// [ErrNoUser] if there is no such user, [ErrNoCredential] if it has no password.
// It is for package authn.
func (d *Directory) PasswordOf(ctx context.Context, t id.Tenant, ref Ref, kind CredentialKind) (User, Credential, error) {
	var u User
	var c Credential
	err := d.store.View(ctx, t, func(r Reader) (err error) {
		if u, err = r.User(ref); err != nil {
			return err
		}
		list, err := r.Credentials(CredentialQuery{Kind: kind, User: u.ID}, 0, 1)
		if err == nil && len(list) == 0 {
			err = ErrNoCredential
		}
		if err == nil {
			c = list[0]
		}
		return err
	})
	return u, c, err
}

// UserActive reports whether the user that a credential acts for can act now.
// It is for package authn.
func (d *Directory) UserActive(ctx context.Context, c Credential) (bool, error) {
	t, user := c.Tenant, c.User
	st, err := d.picture(ctx, t, c.Fence)
	if err != nil {
		return false, err
	}
	if st != nil {
		n, ok := st.User(user)
		return ok && st.Active(n, d.Now().UnixMicro()), nil
	}
	var active bool
	err = d.store.View(ctx, t, func(r Reader) error {
		u, err := r.User(ByUser(user))
		active = err == nil && u.ActiveAt(d.Now())
		if errors.Is(err, NotFound) {
			return nil
		}
		return err
	})
	return active, err
}

// Touch notes when credentials were last used.
func (d *Directory) Touch(ctx context.Context, used map[id.Credential]time.Time) error {
	return d.store.Touch(ctx, used)
}

// CountVisits notes how often users have signed in.
func (d *Directory) CountVisits(ctx context.Context, counts map[Visit]int) error {
	return d.store.CountVisits(ctx, counts)
}
