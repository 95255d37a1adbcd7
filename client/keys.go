package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Key is a key of the native API as the server shows it. Secret is there only
// when it was made.
type Key struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Grants  []string  `json:"grants"`
	User    string    `json:"user,omitempty"`   // id of the user it acts for; empty for a machine's own
	Groups  []string  `json:"groups,omitempty"` // refs of the groups it is bounded to; nil if it is not
	Expires time.Time `json:"expires,omitzero"`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used,omitzero"`
	Secret  string    `json:"secret,omitempty"`
}

// NewKey is what a key is made from.
type NewKey struct {
	Name   string   `json:"name"`
	Grants []string `json:"grants"`
	User   string   `json:"user,omitempty"` // ref; the key never does more than this user may

	// Groups, refs of at most 100 of them, bound the key to these and to who is in
	// one of them: it checks, explains, lists, compares and changes memberships
	// there, and nothing else is there for it. Empty does not bound it.
	Groups []string `json:"groups,omitempty"`

	Expires time.Time `json:"expires,omitzero"`
}

// CreateKey makes a key. Its secret is shown this once.
func (t *Tenant) CreateKey(ctx context.Context, in NewKey) (Key, error) {
	var out Key
	_, err := t.c.do(ctx, call{method: http.MethodPost, path: t.path + "/keys", body: in, write: true}, &out)
	return out, err
}

// Keys yields the tenant's keys, without their secrets.
func (t *Tenant) Keys(ctx context.Context) iter.Seq2[Key, error] {
	return pages[Key](ctx, t.c, t.path+"/keys", url.Values{})
}

// RevokeKey ends a key, named by its id, at once.
func (t *Tenant) RevokeKey(ctx context.Context, id string) error {
	_, err := t.c.do(ctx, call{method: http.MethodDelete, path: t.path + "/keys/" + url.PathEscape(id), write: true}, nil)
	return err
}
