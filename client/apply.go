package client

import (
	"context"
	"net/http"
	"net/url"
)

// Applied says what applying a file changed, or would: how many of each noun,
// which are tenant, user, group, membership and credential.
type Applied struct {
	DryRun    bool           `json:"dry_run"`
	Created   map[string]int `json:"created"`
	Updated   map[string]int `json:"updated"`
	Unchanged map[string]int `json:"unchanged"`

	// Secrets are those made up for credentials that gave none. They are shown
	// this once.
	Secrets []MadeSecret `json:"secrets"`
}

// MadeSecret is the secret that was made up for a credential.
type MadeSecret struct {
	Tenant string `json:"tenant,omitempty"` // empty for the platform's own
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Secret string `json:"secret"`
}

// Apply makes the deployment hold what a declarative file in YAML says, or says
// what that would change. It needs a key of the platform. What is there already
// stays, so a file can be applied again; what was done before an error stands,
// and is in [Error.Applied].
//
// It is not repeated on its own: the secrets that were made up are in the first
// answer alone.
func (c *Client) Apply(ctx context.Context, file []byte, dryRun bool) (Applied, error) {
	var out Applied
	call := call{method: http.MethodPost, path: "/apply", yaml: file, single: true}
	if dryRun {
		call.query = url.Values{"dry_run": {"true"}}
	}
	_, err := c.do(ctx, call, &out)
	return out, err
}
