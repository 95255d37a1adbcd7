package syncano

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/id"
)

// keyObject is an API key as clients see it (section 2.3).
type keyObject struct {
	ID                 int64             `json:"id"`
	Description        string            `json:"description"`
	APIKey             *string           `json:"api_key"`
	IgnoreACL          bool              `json:"ignore_acl"`
	AllowUserCreate    bool              `json:"allow_user_create"`
	AllowGroupCreate   bool              `json:"allow_group_create"`
	AllowAnonymousRead bool              `json:"allow_anonymous_read"`
	CreatedAt          string            `json:"created_at"`
	Links              map[string]string `json:"links"`
}

// encodeKey shows an API key. secret is nil where the caller may not know it.
func (l links) encodeKey(c directory.Credential, secret *string) keyObject {
	f, self := flagsOf(c), l.base()+"api_keys/"+decimal(c.Code)+"/"
	out := keyObject{
		ID: c.Code, Description: c.Name, APIKey: secret, IgnoreACL: f.ignoreACL, AllowUserCreate: f.userCreate,
		AllowGroupCreate: f.groupCreate, AllowAnonymousRead: f.anonymousRead,
		CreatedAt: moment(c.Attributes.In(name)[attrCreated], c.Created),
		Links:     map[string]string{"self": self, "reset_key": self + "reset_key/"},
	}
	if s, ok := c.Attributes.In(name)[attrDescription].(string); ok {
		out.Description = s
	}
	return out
}

func (d *door) showKey(w http.ResponseWriter, v *visit, status int, c directory.Credential) error {
	var secret *string
	if c.Sealed != nil {
		s, err := d.authn.Reveal(c)
		if err != nil {
			return err
		}
		secret = &s
	}
	v.write(w, status, v.links.encodeKey(c, secret))
	return nil
}

func keyCursor(c directory.Credential) int64 { return c.Code }

// ownKey is the caller's own key, with the secret that it presented.
func (d *door) ownKey(r *http.Request, p directory.Principal, v *visit) (keyObject, error) {
	a, err := d.directory.OwnCredential(r.Context(), p)
	return v.links.encodeKey(a.Value, &v.caller.key), err
}

func (d *door) keys(r *http.Request, p directory.Principal) source[directory.Credential] {
	return func(after int64, descending bool, limit int) ([]directory.Credential, error) {
		a, err := d.directory.Credentials(r.Context(), p, directory.ListCredentials{
			Page:   directory.Page{After: after, Limit: limit},
			Query:  directory.CredentialQuery{Kind: authn.SyncanoAPIKey, Descending: descending},
			Sealed: true,
		})
		return a.Value.Items, err
	}
}

// listKeys answers GET api_keys/. A key sees itself alone.
func (d *door) listKeys(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	paging, err := readPaging(v.query)
	if err != nil {
		return err
	}
	path := v.links.base() + "api_keys/"
	if v.may == own {
		k, err := d.ownKey(r, p, v)
		if err != nil {
			return err
		}
		cursor := func(k keyObject) int64 { return k.ID }
		page, err := read(paging, path, cursor, few([]keyObject{k}, cursor))
		if err == nil {
			writePage(w, v, page, page.items)
		}
		return err
	}
	page, err := read(paging, path, keyCursor, d.keys(r, p))
	if err != nil {
		return err
	}
	objects := make([]keyObject, len(page.items))
	for i, c := range page.items {
		var secret *string
		if c.Sealed != nil {
			s, err := d.authn.Reveal(c)
			if err != nil {
				return err
			}
			secret = &s
		}
		objects[i] = v.links.encodeKey(c, secret)
	}
	writePage(w, v, page, objects)
	return nil
}

// key finds the API key that the path names.
func (d *door) key(r *http.Request, p directory.Principal) (directory.Credential, error) {
	n, err := id.ParseNumber(r.PathValue("id"))
	if err != nil {
		return directory.Credential{}, errNotFound
	}
	list, err := d.keys(r, p)(int64(n)-1, false, 1)
	if err == nil && (len(list) == 0 || list[0].Code != int64(n)) {
		err = errNotFound
	}
	if err != nil {
		return directory.Credential{}, err
	}
	return list[0], nil
}

func (d *door) getKey(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	if v.may == own {
		k, err := d.ownKey(r, p, v)
		if err == nil && decimal(k.ID) != r.PathValue("id") {
			err = errNotFound
		}
		if err == nil {
			v.write(w, http.StatusOK, k)
		}
		return err
	}
	c, err := d.key(r, p)
	if err != nil {
		return err
	}
	return d.showKey(w, v, http.StatusOK, c)
}

// keyFields reads what a body says of a key, over the flags that it has.
func keyFields(fields map[string]any, f flags) (flags, *string, error) {
	bad := problems{}
	for field, flag := range map[string]*bool{
		attrIgnoreACL: &f.ignoreACL, attrUserMake: &f.userCreate, attrGroupMake: &f.groupCreate, attrAnonymous: &f.anonymousRead,
	} {
		value, given := fields[field]
		if !given {
			continue
		}
		b, ok := boolean(value)
		switch {
		case value == nil:
			bad[field] = isNull
		case !ok:
			bad[field] = "\"" + inPython(value) + "\" is not a valid boolean."
		default:
			*flag = b
		}
	}
	description := blankText(fields, attrDescription, maxDescription, bad)
	return f, description, bad.err()
}

// keyName is what the change log calls the key: its description as far as that
// is a name.
func keyName(description string) string {
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, description)
	if utf8.RuneCountInString(s) > directory.MaxName {
		s = string([]rune(s)[:directory.MaxName])
	}
	if strings.TrimSpace(s) == "" {
		return "API key"
	}
	return s
}

func keyAttributes(f flags, description string) directory.Attributes {
	kept := f.attributes()
	kept[attrDescription] = description
	return attributes(kept)
}

func (d *door) createKey(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	fields, err := v.object(r)
	if err != nil {
		return err
	}
	f, given, err := keyFields(fields, flags{})
	if err != nil {
		return err
	}
	description := ""
	if given != nil {
		description = *given
	}
	secret, hash, sealed := d.authn.Mint(authn.SyncanoAPIKey)
	a, err := d.directory.CreateCredential(r.Context(), p, directory.NewCredential{
		Kind: authn.SyncanoAPIKey, Name: keyName(description), Grants: f.grants(), Hash: hash, Sealed: sealed, Attributes: keyAttributes(f, description),
	})
	if err != nil {
		return err
	}
	v.write(w, http.StatusCreated, v.links.encodeKey(a.Value, &secret))
	return nil
}

// updateKey answers PUT and PATCH of a key, which differ in nothing: what is
// left out stays (section 2.3).
func (d *door) updateKey(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	c, err := d.key(r, p)
	if err != nil {
		return err
	}
	fields, err := v.object(r)
	if err != nil {
		return err
	}
	f, given, err := keyFields(fields, flagsOf(c))
	if err != nil {
		return err
	}
	description := v.links.encodeKey(c, nil).Description
	if given != nil {
		description = *given
	}
	in := directory.CredentialUpdate{Credential: c.ID, Attributes: keyAttributes(f, description)}
	if given != nil {
		named := keyName(description)
		in.Name = &named
	}
	if f != flagsOf(c) {
		grants := f.grants()
		in.Grants = &grants
	}
	a, err := d.directory.UpdateCredential(r.Context(), p, in)
	if err != nil {
		return err
	}
	a.Value.Sealed = c.Sealed
	return d.showKey(w, v, http.StatusOK, a.Value)
}

func (d *door) deleteKey(w http.ResponseWriter, r *http.Request, p directory.Principal, _ *visit) error {
	c, err := d.key(r, p)
	if err != nil {
		return err
	}
	if _, err := d.directory.RevokeCredential(r.Context(), p, c.ID); err != nil {
		return err
	}
	return done(w)
}

// resetKey answers POST api_keys/{id}/reset_key/: the key stays, and its old
// secret ends at once.
func (d *door) resetKey(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	c, err := d.key(r, p)
	if err != nil {
		return err
	}
	secret, hash, sealed := d.authn.Mint(authn.SyncanoAPIKey)
	a, err := d.directory.UpdateCredential(r.Context(), p, directory.CredentialUpdate{Credential: c.ID, Hash: hash, Sealed: sealed})
	if err != nil {
		return err
	}
	v.write(w, http.StatusOK, v.links.encodeKey(a.Value, &secret))
	return nil
}
