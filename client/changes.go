package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Record is what one commit did by one actor's doing. What dates began and ended
// is a record of its own, by the actor "clock".
type Record struct {
	Commit
	ActingFor *Name `json:"acting_for,omitempty"` // the user whose key it was, as it was called then

	// Count is of all that was done: members of changes of members, and other
	// changes. Whole says that Changes are all of it; a list tells 20 at most, and
	// [Tenant.Commit] the rest.
	Count   int      `json:"count"`
	Whole   bool     `json:"whole"`
	Changes []Change `json:"changes"`
}

// Change is a change of the User, Group, Credential or Tenant that it names, or of
// Members of the Group. All are named as they were called then.
type Change struct {
	Kind       string          `json:"kind"` // such as "members.added"
	User       *Name           `json:"user,omitempty"`
	Group      *Name           `json:"group,omitempty"`
	Credential string          `json:"credential,omitempty"`
	Tenant     string          `json:"tenant,omitempty"`
	Count      int             `json:"count,omitempty"` // of the members, also those that are not told
	Members    []ChangedMember `json:"members,omitempty"`
	Standing   *Standing       `json:"standing,omitempty"` // of those added or updated
	Date       time.Time       `json:"date,omitzero"`      // that began or ended them

	// Before and After are the fields that changed.
	Before map[string]json.RawMessage `json:"before,omitempty"`
	After  map[string]json.RawMessage `json:"after,omitempty"`
}

// ChangedMember is a member that a change concerns. Before is how it stood until
// then, nil if it did not.
type ChangedMember struct {
	User   *Name     `json:"user,omitempty"`
	Group  *Name     `json:"group,omitempty"`
	Before *Standing `json:"before,omitempty"`
}

// ChangeFilter chooses from the change log; zero fields do not narrow it.
type ChangeFilter struct {
	From, To Moment // both included

	ByUser  string // a ref: whom the actor acted for
	ByKey   string // the id of a key
	ByName  string // of the actor, exactly as it was recorded
	Dialect string
	Request string

	// User and Group leave what was done to these, and Kinds changes of any of
	// these kinds: "members.added", or "members" for all of members.
	User, Group string
	Kinds       []string

	OldestFirst bool
	PageSize    int // as in [UserFilter]
}

// query is the filter as the server reads it.
func (f ChangeFilter) query() url.Values {
	q := inPagesOf(f.PageSize)
	for name, value := range map[string]string{
		"from": string(f.From), "to": string(f.To), "by_user": f.ByUser, "by_key": f.ByKey, "by_name": f.ByName,
		"dialect": f.Dialect, "request": f.Request, "user": f.User, "group": f.Group, "kind": strings.Join(f.Kinds, ","),
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.OldestFirst {
		q.Set("sort", "revision")
	}
	return q
}

// Changes yields who did what in the tenant, the newest first.
func (t *Tenant) Changes(ctx context.Context, f ChangeFilter) iter.Seq2[Record, error] {
	return pages[Record](ctx, t.c, t.path+"/changes", f.query())
}

// Commit yields everything that one commit did, in records that go on from one
// to the next.
func (t *Tenant) Commit(ctx context.Context, revision uint64) iter.Seq2[Record, error] {
	return pages[Record](ctx, t.c, t.path+"/changes/"+strconv.FormatUint(revision, 10), url.Values{})
}

// Changes yields who did what outside of tenants, the newest first: who made and
// deleted tenants, and what was done to users and keys of the platform. It needs a
// key of the platform. From and To are of the platform's own revisions.
func (c *Client) Changes(ctx context.Context, f ChangeFilter) iter.Seq2[Record, error] {
	return pages[Record](ctx, c, "/changes", f.query())
}

// Commit yields everything that one commit outside of tenants did, as
// [Tenant.Commit] does for one of a tenant.
func (c *Client) Commit(ctx context.Context, revision uint64) iter.Seq2[Record, error] {
	return pages[Record](ctx, c, "/changes/"+strconv.FormatUint(revision, 10), url.Values{})
}
