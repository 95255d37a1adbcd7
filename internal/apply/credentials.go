package apply

import (
	"errors"

	"roster/internal/authn"
	"roster/internal/directory"
)

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
	set(&in.Expires, c.Expires.time())
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
