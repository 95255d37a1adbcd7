package client

import (
	"context"
	"time"
)

// Self is the client's own key as the server sees it.
type Self struct {
	ID      string      `json:"id"`
	Name    string      `json:"name"`
	Grants  []string    `json:"grants"`
	User    string      `json:"user,omitempty"`   // id of the user it acts for; empty for a machine's own
	Groups  []string    `json:"groups,omitempty"` // refs of the groups it is bounded to; nil if it is not
	Expires time.Time   `json:"expires,omitzero"`
	Tenant  *SelfTenant `json:"tenant,omitempty"` // nil for a key of the platform
}

// SelfTenant names the tenant that a key belongs to.
type SelfTenant struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Self shows the client's own key. Any key may ask.
func (c *Client) Self(ctx context.Context) (Self, error) {
	return get[Self](ctx, c, "/self", nil)
}
