package client

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Attributes hold what the directory has no field of its own for: values by
// key, under the dialect that they belong to. Numbers come as [json.Number].
type Attributes map[string]map[string]any

// UnmarshalJSON implements [json.Unmarshaler]. Numbers keep their digits.
func (a *Attributes) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode((*map[string]map[string]any)(a))
}

// TenantInfo is a tenant as the server shows it.
type TenantInfo struct {
	ID         string     `json:"id"`
	Code       int64      `json:"code"`
	Name       string     `json:"name"`
	Title      string     `json:"title,omitempty"`
	Attributes Attributes `json:"attributes"`
	Version    int64      `json:"version"`
	Created    time.Time  `json:"created"`
	Modified   time.Time  `json:"modified"`
}

// NewTenant is what a tenant is made from. A zero ID and Code are made up.
type NewTenant struct {
	ID         string     `json:"id,omitempty"`
	Code       int64      `json:"code,omitempty"`
	Name       string     `json:"name"`
	Title      string     `json:"title,omitempty"`
	Attributes Attributes `json:"attributes,omitempty"`
}

// TenantPatch says what to change of a tenant; nil fields stay.
type TenantPatch struct {
	Title      *string    `json:"title,omitempty"`
	Attributes Attributes `json:"attributes,omitempty"` // a nil value takes its key away
}

// CreateTenant makes a tenant. It needs a key of the platform.
func (c *Client) CreateTenant(ctx context.Context, in NewTenant) (TenantInfo, error) {
	var out TenantInfo
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/tenants", body: in, write: true}, &out)
	return out, err
}

// Tenants yields every tenant, by code. It needs a key of the platform.
func (c *Client) Tenants(ctx context.Context) iter.Seq2[TenantInfo, error] {
	return pages[TenantInfo](ctx, c, "/tenants", url.Values{})
}

// Tenant is everything inside one tenant. It costs nothing to make.
type Tenant struct {
	c    *Client
	path string
}

// Tenant returns the tenant with the id or name.
func (c *Client) Tenant(tenant string) *Tenant {
	return &Tenant{c, "/tenants/" + url.PathEscape(tenant)}
}

// Once returns the tenant for one write, which is carried out at most once under
// that key: 1 to 255 visible ASCII characters, that no other write bears. Repeated
// within a day, by whichever program has the same credential, it changes nothing
// and returns what it did the first time; one that failed, or was a dry run, is
// tried again. Without it each call makes a key of its
// own, so that its repetitions do no harm but another call's would.
func (t *Tenant) Once(key string) *Tenant {
	c := *t.c
	c.once = key
	return &Tenant{c: &c, path: t.path}
}

// Get shows the tenant.
func (t *Tenant) Get(ctx context.Context) (TenantInfo, error) {
	return get[TenantInfo](ctx, t.c, t.path, nil)
}

// Update changes the tenant, if it is still at the version; 0 is any.
func (t *Tenant) Update(ctx context.Context, version int64, patch TenantPatch) (TenantInfo, error) {
	var out TenantInfo
	_, err := t.c.do(ctx, call{method: http.MethodPatch, path: t.path, version: version, body: patch, write: true}, &out)
	return out, err
}

// Delete deletes the tenant with everything in it. It needs a key of the
// platform. Where the first answer was lost, the repetition may find the tenant
// gone already and report [IsNotFound].
func (t *Tenant) Delete(ctx context.Context) error {
	_, err := t.c.do(ctx, call{method: http.MethodDelete, path: t.path, write: true}, nil)
	return err
}

func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	var out T
	_, err := c.do(ctx, call{method: http.MethodGet, path: path, query: query}, &out)
	return out, err
}

// pageSize is how many things a list asks for at a time: as many as it may.
const pageSize = 1000

// inPagesOf begins the query of a list that is asked for n at a time.
func inPagesOf(n int) url.Values {
	if n <= 0 || n > pageSize {
		return url.Values{}
	}
	return url.Values{"limit": {strconv.Itoa(n)}}
}

// pages yields every item of a list, page by page as they are asked for. An
// error ends it.
func pages[T any](ctx context.Context, c *Client, path string, query url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		query := maps.Clone(query) // so that the sequence can be walked again
		if query.Get("limit") == "" {
			query.Set("limit", strconv.Itoa(pageSize))
		}
		for {
			page, err := get[struct {
				Items []T    `json:"items"`
				Next  string `json:"next"`
			}](ctx, c, path, query)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			query.Set("cursor", page.Next)
		}
	}
}
