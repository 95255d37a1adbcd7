package native

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"roster/internal/authn"
	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/wire"
)

// keyJSON is a key in an answer. Secret is in the answer to its making alone.
type keyJSON struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Grants  []string  `json:"grants"`
	User    string    `json:"user,omitempty"`
	Groups  []string  `json:"groups,omitzero"` // refs; as in newKeyJSON
	Expires time.Time `json:"expires,omitzero"`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used,omitzero"`
	Secret  string    `json:"secret,omitempty"`
}

func encodeKey(c directory.Credential) keyJSON {
	k := keyJSON{ID: c.ID.String(), Name: c.Name, Grants: c.Grants.Names(), Expires: c.Expires, Created: c.Created, Used: c.Used}
	if !c.User.IsZero() {
		k.User = c.User.String()
	}
	k.Groups = boundOf(c)
	return k
}

// attrGroups is the attribute of a key that is bounded to some groups: their
// numbers.
const attrGroups = "groups"

// within is what bounds a key, nil if nothing does.
func within(c directory.Credential) *directory.Within {
	groups, bounded := c.Attributes.In(name)[attrGroups]
	if !bounded {
		return nil
	}
	return directory.WithinNumbers(groups)
}

// boundOf are the refs of the groups that a key is bounded to, nil if it is not.
func boundOf(c directory.Credential) []string {
	w := within(c)
	if w == nil {
		return nil
	}
	refs := []string{}
	for _, g := range w.Groups {
		refs = append(refs, fmt.Sprintf("number:%d", g))
	}
	return refs
}

// maxBound is how many groups a key can be bounded to: whatever it asks is asked
// about all of them.
const maxBound = 100

// bound finds the groups that a key is to be bounded to, for its attributes.
func (a *api) bound(ctx context.Context, p directory.Principal, refs []directory.Ref) (directory.Attributes, error) {
	if refs == nil {
		return nil, nil
	}
	numbers := make([]any, len(refs))
	for i, ref := range refs {
		g, err := a.directory.Group(ctx, p, ref)
		if err != nil {
			return nil, inside(attrGroups+"."+strconv.Itoa(i), err)
		}
		numbers[i] = int64(g.Value.Number)
	}
	var none directory.Attributes
	return none.With(name, attrGroups, numbers), nil
}

// newKeyJSON is a key to be made. A key with a user acts for it, and never does
// more than that user may. One with groups sees these, and who is in them, and
// nothing else.
type newKeyJSON struct {
	Name    string   `json:"name"`
	Grants  []string `json:"grants"`
	User    string   `json:"user"`
	Groups  []string `json:"groups"`
	Expires moment   `json:"expires"`
}

func (a *api) createKey(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	if err := noPrecondition(r); err != nil {
		return err
	}
	var in newKeyJSON
	body, err := read(w, r, wire.MaxBody, &in)
	if err != nil {
		return err
	}
	if in.Name == "" {
		return invalid("name.blank", "name", "A key needs a name to be told from others by.")
	}
	if len(in.Grants) == 0 {
		return invalid("grants.blank", "grants", "A key without grants opens nothing.")
	}
	k := directory.NewCredential{Kind: authn.Native, Name: in.Name, Expires: in.Expires.Time}
	if k.Grants, err = directory.ParseGrants(in.Grants); err != nil {
		return err
	}
	if in.User != "" {
		if k.User, err = parseUser("user", in.User); err != nil {
			return err
		}
	}
	if in.Groups != nil && (len(in.Groups) == 0 || len(in.Groups) > maxBound) {
		return invalid("groups.count", "groups", "A key is bounded to 1 to 100 groups, or to none in particular.")
	}
	var groups []directory.Ref
	for i, word := range in.Groups {
		g, err := parseGroup(attrGroups+"."+strconv.Itoa(i), word)
		if err != nil {
			return err
		}
		groups = append(groups, g)
	}
	var secret string
	secret, k.Hash, k.Sealed = a.authn.Mint(authn.Native)
	return write(a, w, r, p, change[directory.Credential]{
		body: body,
		do: func(ctx context.Context, p directory.Principal) (directory.Answer[directory.Credential], error) {
			var err error
			if k.Attributes, err = a.bound(ctx, p, groups); err != nil {
				return directory.Answer[directory.Credential]{}, err
			}
			return a.directory.CreateCredential(ctx, p, k)
		},
		answer: func(c directory.Credential, rev directory.Revision) answer {
			k := encodeKey(c)
			k.Secret = secret
			return say(http.StatusCreated, k).at(rev)
		},
		secret: true,
	})
}

func (a *api) listKeys(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	q, page := listParams(r)
	if q.err != nil {
		return q.err
	}
	got, err := a.directory.Credentials(r.Context(), p, directory.ListCredentials{Page: page, Query: directory.CredentialQuery{Kind: authn.Native}})
	if err != nil {
		return err
	}
	return respond(w, r, got.Revision, say(http.StatusOK, listOf(got.Value, q.query(r), encodeKey)))
}

func (a *api) revokeKey(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	if err := noPrecondition(r); err != nil {
		return err
	}
	which, err := id.Parse[id.Credential](r.PathValue("key"))
	if err != nil {
		return invalid("ref.malformed", "key", "A key is named by its id.")
	}
	return write(a, w, r, p, change[directory.Credential]{
		do: func(ctx context.Context, p directory.Principal) (directory.Answer[directory.Credential], error) {
			return a.directory.RevokeCredential(ctx, p, which)
		},
		answer: func(_ directory.Credential, rev directory.Revision) answer {
			return say(http.StatusNoContent, nil).at(rev)
		},
	})
}
