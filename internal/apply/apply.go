package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/id"
)

// Applier carries out files on one directory.
type Applier struct {
	Directory *directory.Directory
	Authn     *authn.Authenticator
}

// Summary says what applying a file changed, or would.
type Summary struct {
	Created   map[string]int `json:"created"`
	Updated   map[string]int `json:"updated"`
	Unchanged map[string]int `json:"unchanged"`

	// Secrets are those made up for credentials that gave none.
	Secrets []Secret `json:"secrets,omitempty"`
}

// Secret is a secret that is shown this once.
type Secret struct {
	Tenant string `json:"tenant,omitempty"`
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Secret string `json:"secret"`
}

// Nouns are the keys of a summary's counts, in the order to show them.
var Nouns = []string{"tenant", "user", "group", "membership", "credential"}

// run is one application of a file.
type run struct {
	*Applier
	ctx     context.Context
	p       directory.Principal
	dry     bool
	summary *Summary

	// made are the names of what a dry run has made in the tenant it is at, each
	// with a number for what it names: nobody can look these up.
	made  map[thing]int
	count int

	accounts map[thing]int // the same of the platform
}

// thing is one way to name a user, a group or a credential.
type thing struct {
	noun string
	ref  directory.Ref
	kind string // of a credential
}

// make notes that a dry run has made something with these names.
func (r *run) make(names ...thing) {
	r.count++
	for _, n := range names {
		switch {
		case (n.ref.Kind == directory.RefNumber || n.ref.Kind == directory.RefCode) && n.ref.Int == 0:
		case n.ref.Kind == directory.RefEmail && n.ref.Text == "":
		default:
			r.made[n] = r.count
		}
	}
}

// Apply carries out f as p, which must hold Platform. If dry, nothing is written
// and the summary says what would be. What was done before an error stands, and
// applying the file again goes on from there.
func (a *Applier) Apply(ctx context.Context, p directory.Principal, f *File, dry bool) (*Summary, error) {
	r := &run{Applier: a, ctx: ctx, p: p, dry: dry, made: map[thing]int{}, summary: &Summary{
		Created: map[string]int{}, Updated: map[string]int{}, Unchanged: map[string]int{},
	}}
	for i, u := range f.Platform.Users {
		if err := r.user(p, u, false); err != nil {
			return r.summary, at(err, "platform user %d (%s)", i+1, u.Name)
		}
	}
	for i, c := range f.Platform.Credentials {
		if err := r.credential(p, "", c, false); err != nil {
			return r.summary, at(err, "platform credential %d (%s)", i+1, c.Name)
		}
	}
	r.accounts = r.made
	for i, t := range f.Tenants {
		if err := r.tenant(t); err != nil {
			return r.summary, at(err, "tenant %d (%s)", i+1, t.Name)
		}
	}
	return r.summary, nil
}

// at says where in the file an error comes from.
func at(err error, format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}

// fault is something wrong in the file itself, which whoever wrote it may be told.
func fault(format string, args ...any) error {
	return &directory.Error{Kind: directory.Invalid, Code: "file.invalid", Detail: fmt.Sprintf(format, args...)}
}

// Split takes an error of [Applier.Apply] apart: where in the file it comes
// from, as "tenant 1 (acme): user 2 (ann): ", and what is wrong there. That is
// nil if the error was never classified, which makes it our own fault.
func Split(err error) (where string, what *directory.Error) {
	what, ok := errors.AsType[*directory.Error](err)
	if !ok {
		return "", nil
	}
	return strings.TrimSuffix(err.Error(), what.Error()), what
}

func (r *run) tally(noun string, created, changed bool) {
	switch {
	case created:
		r.summary.Created[noun]++
	case changed:
		r.summary.Updated[noun]++
	default:
		r.summary.Unchanged[noun]++
	}
}

func (r *run) tenant(t Tenant) error {
	have, err := r.Directory.FindTenant(r.ctx, t.Name)
	exists := err == nil
	if err != nil && !errors.Is(err, directory.NotFound) {
		return err
	}
	p := r.p
	if !exists {
		in := directory.NewTenant{Code: t.Code, Name: t.Name, Attributes: t.Attributes.core()}
		if t.ID != "" {
			if in.ID, err = id.Parse[id.Tenant](t.ID); err != nil {
				return fault("id %q is not a UUID", t.ID)
			}
		}
		if t.Title != nil {
			in.Title = *t.Title
		}
		if !r.dry {
			made, err := r.Directory.CreateTenant(r.ctx, p, in)
			if err != nil {
				return err
			}
			have = made.Value
		}
		r.tally("tenant", true, false)
	} else {
		if t.ID != "" && !strings.EqualFold(t.ID, have.ID.String()) {
			return fault("it exists with id %s, not %s", have.ID, t.ID)
		}
		changed := t.Title != nil && *t.Title != have.Title || !have.Attributes.Holds(t.Attributes.core())
		if changed && !r.dry {
			p.Tenant = have.ID
			if _, err := r.Directory.UpdateTenant(r.ctx, p, directory.TenantUpdate{Title: t.Title, Attributes: t.Attributes.core()}); err != nil {
				return err
			}
		}
		r.tally("tenant", false, changed)
	}
	p.Tenant = have.ID
	fresh := !exists && r.dry // nothing can be looked up in it
	r.made = map[thing]int{}
	for _, owner := range t.Owners {
		if err := r.owner(have.ID, owner, fresh); err != nil {
			return at(err, "owner %s", owner)
		}
	}
	for i, u := range t.Users {
		if err := r.user(p, u, fresh); err != nil {
			return at(err, "user %d (%s)", i+1, u.Name)
		}
	}
	for i, g := range t.Groups {
		if err := r.group(p, g, fresh); err != nil {
			return at(err, "group %d (%s)", i+1, g.Name)
		}
	}
	// Members come after all groups, so that a group may name a later one.
	for i, g := range t.Groups {
		if err := r.members(p, g, fresh); err != nil {
			return at(err, "group %d (%s)", i+1, g.Name)
		}
	}
	for i, c := range t.Credentials {
		if err := r.credential(p, t.Name, c, fresh); err != nil {
			return at(err, "credential %d (%s)", i+1, c.Name)
		}
	}
	return nil
}

// owner makes a user of the platform an owner of a tenant. It counts as a
// membership, which it is.
func (r *run) owner(tenant id.Tenant, name string, fresh bool) error {
	which, err := ParseRef(name)
	if err != nil {
		return err
	}
	owns := false
	if r.accounts[thing{noun: "user", ref: which}] == 0 {
		u, err := r.Directory.User(r.ctx, r.p, which)
		if err != nil {
			return err
		}
		if !fresh {
			if owns, err = r.Directory.Owns(r.ctx, u.Value.ID, tenant); err != nil {
				return err
			}
		}
	}
	if !owns && !r.dry {
		if _, err := r.Directory.AddOwner(r.ctx, r.p, tenant, which); err != nil {
			return err
		}
	}
	r.tally("membership", !owns, false)
	return nil
}

// ref is how a thing is found that may be there already: by the strongest name given.
func ref(uuid string, number, code int64, name string) (directory.Ref, error) {
	switch {
	case uuid != "":
		u, err := id.Parse[id.User](uuid)
		if err != nil {
			return directory.Ref{}, fault("id %q is not a UUID", uuid)
		}
		return directory.ByUser(u), nil
	case number != 0:
		return directory.ByNumber(number), nil
	case code != 0:
		return directory.ByCode(code), nil
	}
	return directory.ByName(name), nil
}

func (r *run) user(p directory.Principal, u User, fresh bool) error {
	name := u.Name
	if name == "" && u.Email != nil {
		name = *u.Email
	}
	which, err := ref(u.ID, u.Number, u.Code, name)
	if err != nil {
		return err
	}
	var have directory.User
	exists := false
	if !fresh {
		a, err := r.Directory.User(r.ctx, p, which)
		if err != nil && !errors.Is(err, directory.NotFound) {
			return err
		}
		have, exists = a.Value, err == nil
	}
	if u.PasswordHash != "" {
		if err := authn.CheckPHC(u.PasswordHash); err != nil {
			return fault("password_hash: %v", err)
		}
	}
	if !exists && r.made[thing{noun: "user", ref: which}] != 0 {
		r.tally("user", false, false)
		return nil
	}
	if !exists {
		return r.newUser(p, u)
	}
	update := directory.UserUpdate{
		User: directory.ByUser(have.ID), Email: u.Email, EmailVerified: u.EmailVerified,
		GivenName: u.GivenName, FamilyName: u.FamilyName, DisplayName: u.DisplayName,
		Suspended: u.Suspended, Expires: u.Expires, Externals: u.ExternalIDs, Attributes: u.Attributes.core(),
	}
	if u.Name != "" {
		update.Name = &u.Name
	}
	changed := unlike(update.Name, have.Name) || unlike(u.Email, have.Email) || unlike(u.EmailVerified, have.EmailVerified) ||
		unlike(u.GivenName, have.GivenName) || unlike(u.FamilyName, have.FamilyName) || unlike(u.DisplayName, have.DisplayName) ||
		unlike(u.Suspended, have.Suspended) || u.Expires != nil && !u.Expires.Truncate(time.Microsecond).Equal(have.Expires) ||
		u.ExternalIDs != nil && !(len(*u.ExternalIDs) == 0 && len(have.Externals) == 0) && !reflect.DeepEqual(*u.ExternalIDs, have.Externals) ||
		!have.Attributes.Holds(u.Attributes.core())
	if changed && !r.dry {
		if u.Email != nil && u.EmailVerified == nil {
			update.EmailVerified = nil
		}
		if _, err := r.Directory.UpdateUser(r.ctx, p, update); err != nil {
			return err
		}
	}
	if u.Password != "" || u.PasswordHash != "" {
		list, err := r.Directory.Credentials(r.ctx, p, directory.ListCredentials{Query: directory.CredentialQuery{Kind: authn.Password, User: have.ID}})
		if err != nil {
			return err
		}
		if len(list.Value.Items) == 0 {
			changed = true
			if !r.dry {
				if err := r.password(p, have, u); err != nil {
					return err
				}
			}
		}
	}
	r.tally("user", false, changed)
	return nil
}

func unlike[T comparable](want *T, have T) bool { return want != nil && *want != have }

func (r *run) newUser(p directory.Principal, u User) error {
	in := directory.NewUser{Name: u.Name, Number: id.Number(u.Number), Code: u.Code, PersonCode: u.PersonCode, Attributes: u.Attributes.core()}
	if u.Number < 0 || u.Number > int64(id.MaxNumber) {
		return fault("number %d is out of range", u.Number)
	}
	if u.ID != "" {
		in.ID, _ = id.Parse[id.User](u.ID) // parsed before
	}
	set(&in.Email, u.Email)
	set(&in.EmailVerified, u.EmailVerified)
	set(&in.GivenName, u.GivenName)
	set(&in.FamilyName, u.FamilyName)
	set(&in.DisplayName, u.DisplayName)
	set(&in.Suspended, u.Suspended)
	set(&in.Expires, u.Expires)
	set(&in.Externals, u.ExternalIDs)
	if r.dry {
		names := []thing{{noun: "user", ref: directory.ByName(cmp.Or(in.Name, in.Email))}}
		if u.ID != "" {
			names = append(names, thing{noun: "user", ref: directory.ByUser(in.ID)})
		}
		names = append(names, thing{noun: "user", ref: directory.ByNumber(u.Number)}, thing{noun: "user", ref: directory.ByCode(u.Code)}, thing{noun: "user", ref: directory.ByEmail(in.Email)})
		for source, key := range in.Externals {
			names = append(names, thing{noun: "user", ref: directory.ByExternal(source, key)})
		}
		r.make(names...)
	}
	r.tally("user", true, false)
	if r.dry {
		return nil
	}
	made, err := r.Directory.CreateUser(r.ctx, p, in)
	if err != nil || u.Password == "" && u.PasswordHash == "" {
		return err
	}
	return r.password(p, made.Value, u)
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

func (r *run) password(p directory.Principal, have directory.User, u User) error {
	c := directory.Credential{Kind: authn.Password, Name: "password", Hash: []byte(u.PasswordHash)}
	if u.PasswordHash == "" {
		var err error
		if c, err = authn.PasswordCredential(r.ctx, u.Password); err != nil {
			return err
		}
	}
	_, err := r.Directory.CreateCredential(r.ctx, p, directory.NewCredential{
		Kind: c.Kind, Name: c.Name, User: directory.ByUser(have.ID), Grants: directory.InTenant, Hash: c.Hash, Replace: true,
	})
	return err
}

func (r *run) group(p directory.Principal, g Group, fresh bool) error {
	which, err := ref(g.ID, g.Number, g.Code, g.Name)
	if err != nil {
		return err
	}
	var grants *directory.Grants
	if g.Grants != nil {
		parsed, err := directory.ParseGrants(*g.Grants)
		if err != nil {
			return err
		}
		grants = &parsed
	}
	var have directory.Group
	exists := false
	if !fresh {
		a, err := r.Directory.Group(r.ctx, p, which)
		if err != nil && !errors.Is(err, directory.NotFound) {
			return err
		}
		have, exists = a.Value, err == nil
	}
	if !exists && r.made[thing{noun: "group", ref: which}] != 0 {
		r.tally("group", false, false)
		return nil
	}
	if !exists {
		if g.Number < 0 || g.Number > int64(id.MaxNumber) {
			return fault("number %d is out of range", g.Number)
		}
		in := directory.NewGroup{Name: g.Name, Number: id.Number(g.Number), Code: g.Code, BuiltIn: g.BuiltIn, Attributes: g.Attributes.core()}
		if g.ID != "" {
			in.ID, _ = id.Parse[id.Group](g.ID) // parsed before
		}
		set(&in.Description, g.Description)
		set(&in.Grants, grants)
		set(&in.Joins.Domains, g.Joins)
		set(&in.Externals, g.ExternalIDs)
		r.tally("group", true, false)
		if r.dry {
			names := []thing{{noun: "group", ref: directory.ByName(in.Name)}, {noun: "group", ref: directory.ByNumber(g.Number)}, {noun: "group", ref: directory.ByCode(g.Code)}}
			if g.ID != "" {
				names = append(names, thing{noun: "group", ref: directory.ByGroup(in.ID)})
			}
			for source, key := range in.Externals {
				names = append(names, thing{noun: "group", ref: directory.ByExternal(source, key)})
			}
			r.make(names...)
			return nil
		}
		_, err := r.Directory.CreateGroup(r.ctx, p, in)
		return err
	}
	update := directory.GroupUpdate{
		Group: directory.ByGroup(have.ID), Description: g.Description, Grants: grants, Externals: g.ExternalIDs, Attributes: g.Attributes.core(),
	}
	if g.Name != "" {
		update.Name = &g.Name
	}
	if g.Joins != nil {
		update.Joins = &directory.Joins{Everyone: have.Joins.Everyone, Domains: *g.Joins}
	}
	changed := unlike(update.Name, have.Name) || unlike(g.Description, have.Description) || unlike(grants, have.Grants) ||
		g.ExternalIDs != nil && !(len(*g.ExternalIDs) == 0 && len(have.Externals) == 0) && !reflect.DeepEqual(*g.ExternalIDs, have.Externals) ||
		update.Joins != nil && update.Joins.String() != have.Joins.String() || !have.Attributes.Holds(g.Attributes.core())
	if changed && !r.dry {
		if _, err := r.Directory.UpdateGroup(r.ctx, p, update); err != nil {
			return err
		}
	}
	r.tally("group", false, changed)
	return nil
}

// members puts the members of one group in, those that stand alike in one batch.
func (r *run) members(p directory.Principal, g Group, fresh bool) error {
	if len(g.Members) == 0 {
		return nil
	}
	which, err := ref(g.ID, g.Number, g.Code, g.Name)
	if err != nil {
		return err
	}
	batches := map[directory.Standing][]directory.MemberRef{}
	var order []directory.Standing
	for i, m := range g.Members {
		s, who, err := m.read()
		if err != nil {
			return at(err, "member %d", i+1)
		}
		if batches[s] == nil {
			order = append(order, s)
		}
		batches[s] = append(batches[s], who)
	}
	if r.dry {
		return r.foresee(p, which, batches, order, fresh)
	}
	for _, s := range order {
		batch := batches[s]
		for len(batch) > 0 {
			n := min(len(batch), directory.MaxBatch)
			if err := r.batch(p, which, s, batch[:n]); err != nil {
				return err
			}
			batch = batch[n:]
		}
	}
	return nil
}

// foresee counts what the batches would do to the members of a group, without
// doing it.
func (r *run) foresee(p directory.Principal, group directory.Ref, batches map[directory.Standing][]directory.MemberRef, order []directory.Standing, fresh bool) error {
	newGroup := r.made[thing{noun: "group", ref: group}] != 0
	stands := map[any]directory.Standing{} // by who it is
	for _, s := range order {
		done := map[any]bool{}
		for _, m := range batches[s] {
			who, isNew, err := r.who(p, m, fresh)
			if err != nil {
				return at(err, "member %s", m.Ref.Text)
			}
			was, present := stands[who]
			if !present && !newGroup && !isNew {
				have, err := r.Directory.Membership(r.ctx, p, group, m)
				if err != nil && !errors.Is(err, directory.ErrNoMembership) {
					return err
				}
				was, present = have.Value.Standing, err == nil
			}
			ended := present && !was.Until.IsZero() && !r.Directory.Now().Before(was.Until)
			switch {
			case done[who] || present && was == s:
				r.tally("membership", false, false)
			default:
				r.tally("membership", !present || ended, true)
			}
			done[who], stands[who] = true, s
		}
	}
	return nil
}

// who resolves a member in a dry run, to something that is equal for equal
// members; isNew says that the run has made it.
func (r *run) who(p directory.Principal, m directory.MemberRef, fresh bool) (who any, isNew bool, err error) {
	noun := "user"
	if m.IsGroup {
		noun = "group"
	}
	if n := r.made[thing{noun: noun, ref: m.Ref}]; n != 0 {
		return n, true, nil
	}
	switch {
	case fresh && m.IsGroup:
		return nil, false, directory.ErrNoGroup
	case fresh:
		return nil, false, directory.ErrNoUser
	case m.IsGroup:
		g, err := r.Directory.Group(r.ctx, p, m.Ref)
		return g.Value.ID, false, err
	}
	u, err := r.Directory.User(r.ctx, p, m.Ref)
	return u.Value.ID, false, err
}

func (r *run) batch(p directory.Principal, group directory.Ref, s directory.Standing, members []directory.MemberRef) error {
	a, err := r.Directory.ChangeMembers(r.ctx, p, directory.MembersChange{Group: group, Add: members, Mode: directory.Each, Standing: s})
	if err != nil {
		return err
	}
	for i, res := range a.Value.Add {
		if res.Outcome == directory.Bad {
			return at(res.Problem, "member %s", members[i].Ref.Text)
		}
		r.tally("membership", res.Outcome == directory.Added, res.Outcome == directory.Updated)
	}
	return nil
}

func (m Member) read() (directory.Standing, directory.MemberRef, error) {
	s := directory.Standing{Reason: m.Reason}
	switch m.Role {
	case "", "member":
	case "manager":
		s.Role = directory.RoleManager
	default:
		return s, directory.MemberRef{}, fault("role %q is neither member nor manager", m.Role)
	}
	if m.ValidFrom != nil {
		s.From = m.ValidFrom.UTC().Truncate(time.Microsecond)
	}
	if m.ValidUntil != nil {
		s.Until = m.ValidUntil.UTC().Truncate(time.Microsecond)
	}
	switch {
	case (m.User == "") == (m.Group == ""):
		return s, directory.MemberRef{}, fault("a member is either a user or a group")
	case m.User != "":
		ref, err := ParseRef(m.User)
		return s, directory.MemberRef{Ref: ref}, err
	}
	ref, err := ParseRef(m.Group)
	return s, directory.MemberRef{IsGroup: true, Ref: ref}, err
}

// ParseRef reads how a file names a user or group: an id, "number:7", "code:7",
// "email:a@b", "external:source/key", "name:x", or a bare name.
func ParseRef(s string) (directory.Ref, error) {
	kind, rest, ok := strings.Cut(s, ":")
	if u, err := id.Parse[id.User](s); err == nil {
		return directory.ByUser(u), nil
	}
	if !ok {
		return directory.ByName(s), nil
	}
	switch kind {
	case "name":
		return directory.ByName(rest), nil
	case "email":
		return directory.ByEmail(rest), nil
	case "number", "code":
		n, err := strconv.ParseInt(rest, 10, 64)
		if err != nil {
			return directory.Ref{}, fault("%q is not a number", rest)
		}
		if kind == "code" {
			return directory.ByCode(n), nil
		}
		return directory.ByNumber(n), nil
	case "external":
		source, key, ok := strings.Cut(rest, "/")
		if !ok {
			return directory.Ref{}, fault("%q must be external:source/key", s)
		}
		return directory.ByExternal(source, key), nil
	}
	return directory.Ref{}, fault("%q starts with an unknown kind of name; write name:%s if that is the name", s, s)
}

func (r *run) credential(p directory.Principal, tenant string, c Credential, fresh bool) error {
	kind := directory.CredentialKind(c.Kind)
	form, ok := authn.FormOf(kind)
	if !ok || form.Issued {
		return fault("there is no kind of credential named %q", c.Kind)
	}
	if c.Secret != "" && !form.Valid(c.Secret) {
		return fault("the secret does not have the form of a %s secret", c.Kind)
	}
	grants, err := directory.ParseGrants(c.Grants)
	if err != nil {
		return err
	}
	name := thing{noun: "credential", kind: c.Kind, ref: directory.Ref{Text: c.Name}}
	if c.Secret != "" {
		name.ref = directory.Ref{Kind: directory.RefExternal, Text: c.Secret}
	}
	exists := r.made[name] != 0
	if !exists && !fresh {
		exists, err = r.hasCredential(p, kind, c)
	}
	if err != nil || exists {
		if err == nil {
			r.tally("credential", false, false)
		}
		return err
	}
	if r.dry {
		if c.User != "" {
			user, err := ParseRef(c.User)
			if err == nil {
				_, _, err = r.who(p, directory.MemberRef{Ref: user}, fresh)
			}
			if err != nil {
				return err
			}
		}
		r.make(name, thing{noun: "credential", kind: c.Kind, ref: directory.Ref{Text: c.Name}})
		r.tally("credential", true, false)
		return nil
	}
	r.tally("credential", true, false)
	in := directory.NewCredential{Code: c.Code, Kind: kind, Name: c.Name, Handle: c.Handle, Grants: grants, Attributes: c.Attributes.core()}
	set(&in.Expires, c.Expires)
	if c.User != "" {
		if in.User, err = ParseRef(c.User); err != nil {
			return err
		}
	}
	secret := c.Secret
	if secret == "" {
		secret, in.Hash, in.Sealed = r.Authn.Mint(kind)
	} else {
		in.Hash, in.Sealed = r.Authn.Keep(kind, secret)
	}
	made, err := r.Directory.CreateCredential(r.ctx, p, in)
	if err == nil && c.Secret == "" {
		if kind == authn.SoftwareOne {
			secret = authn.TokenID(made.Value.Code) + secret
		}
		r.summary.Secrets = append(r.summary.Secrets, Secret{Tenant: tenant, Kind: c.Kind, Name: c.Name, Secret: secret})
	}
	return err
}

// hasCredential reports whether the credential is there: by its secret if the
// file gives one, or else by its kind and name.
func (r *run) hasCredential(p directory.Principal, kind directory.CredentialKind, c Credential) (bool, error) {
	if c.Secret != "" {
		have, err := r.Directory.CredentialByHash(r.ctx, kind, authn.Hash(kind, c.Secret))
		if errors.Is(err, directory.NotFound) {
			return false, nil
		}
		if err == nil && have.Tenant != p.Tenant {
			err = fault("that secret is in use elsewhere")
		}
		return err == nil, err
	}
	page := directory.Page{Limit: directory.MaxPage}
	for {
		list, err := r.Directory.Credentials(r.ctx, p, directory.ListCredentials{Page: page, Query: directory.CredentialQuery{Kind: kind}})
		if err != nil {
			return false, err
		}
		for _, have := range list.Value.Items {
			if have.Name == c.Name {
				return true, nil
			}
		}
		if list.Value.Next == 0 {
			return false, nil
		}
		page.After = list.Value.Next
	}
}
