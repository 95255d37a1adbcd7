package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Group is a group as the server shows it.
type Group struct {
	ID          string            `json:"id"`
	Number      int64             `json:"number"` // in the tenant
	Code        int64             `json:"code"`   // in the deployment
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Grants      []string          `json:"grants"` // what members hold, such as "users.read"
	BuiltIn     bool              `json:"built_in"`
	ExternalIDs map[string]string `json:"external_ids"`
	Attributes  Attributes        `json:"attributes"`
	Version     int64             `json:"version"`
	Created     time.Time         `json:"created"`
	Modified    time.Time         `json:"modified"`
}

// NewGroup is what a group is made from. A zero ID, Number and Code are made up.
type NewGroup struct {
	ID          string            `json:"id,omitempty"`
	Number      int64             `json:"number,omitempty"`
	Code        int64             `json:"code,omitempty"`
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Grants      []string          `json:"grants,omitempty"`
	ExternalIDs map[string]string `json:"external_ids,omitempty"`
	Attributes  Attributes        `json:"attributes,omitempty"`
	UniqueName  bool              `json:"unique_name,omitempty"` // refuse a name that another group bears
}

// GroupPatch says what to change of a group; nil fields stay.
type GroupPatch struct {
	Name        *string            `json:"name,omitempty"`
	Description *string            `json:"description,omitempty"`
	Grants      *[]string          `json:"grants,omitempty"`       // replaces all of them
	ExternalIDs *map[string]string `json:"external_ids,omitempty"` // replaces all of them
	Attributes  Attributes         `json:"attributes,omitempty"`   // a nil value takes its key away
	UniqueName  bool               `json:"unique_name,omitempty"`
}

// GroupFilter narrows a list of groups; zero fields do not.
type GroupFilter struct {
	NamePrefix string
	PageSize   int // as in [UserFilter]
}

// CreateGroup makes a group.
func (t *Tenant) CreateGroup(ctx context.Context, in NewGroup) (Group, error) {
	var out Group
	_, err := t.c.do(ctx, call{method: http.MethodPost, path: t.path + "/groups", body: in, write: true}, &out)
	return out, err
}

// Groups yields the groups that a filter leaves, by number.
func (t *Tenant) Groups(ctx context.Context, f GroupFilter) iter.Seq2[Group, error] {
	q := inPagesOf(f.PageSize)
	if f.NamePrefix != "" {
		q.Set("name_prefix", f.NamePrefix)
	}
	return pages[Group](ctx, t.c, t.path+"/groups", q)
}

func (t *Tenant) group(ref string) string { return t.path + "/groups/" + url.PathEscape(ref) }

// Group shows a group.
func (t *Tenant) Group(ctx context.Context, ref string) (Group, error) {
	return get[Group](ctx, t.c, t.group(ref), nil)
}

// UpdateGroup changes a group, if it is still at the version; 0 is any.
func (t *Tenant) UpdateGroup(ctx context.Context, ref string, version int64, patch GroupPatch) (Group, error) {
	var out Group
	_, err := t.c.do(ctx, call{method: http.MethodPatch, path: t.group(ref), version: version, body: patch, write: true}, &out)
	return out, err
}

// DeleteGroup deletes a group with its memberships, if it is still at the
// version; 0 is any. Its members stay.
func (t *Tenant) DeleteGroup(ctx context.Context, ref string, version int64) error {
	_, err := t.c.do(ctx, call{method: http.MethodDelete, path: t.group(ref), version: version, write: true}, nil)
	return err
}
