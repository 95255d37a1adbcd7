// Package client speaks Roster's native API: users, groups, memberships and the
// question who is in which group, from Go. It uses nothing but the standard
// library.
//
//	c, err := client.New("https://roster.example.com", key)
//	if err != nil { … }
//	acme := c.Tenant("acme")
//	in, err := acme.Check(ctx, client.ByEmail("ann@example.com"), client.ByName("Engineers"))
//
// Users and groups are named by refs: an id as it is, or what [ByName],
// [ByEmail], [ByNumber], [ByCode] and [ByExternal] return.
//
// A call that the server refused fails with an [*Error]. Calls are repeated
// when the connection broke or the server asked for patience: reads because
// they change nothing, writes because each carries an Idempotency-Key, by which
// the server carries it out at most once.
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client calls one server with one key. It is safe for concurrent use.
type Client struct {
	base    string
	key     string
	http    *http.Client
	retries int
	wait    time.Duration

	consistency string // of Roster-Consistency, unless empty
	once        string // is the Idempotency-Key of writes, unless empty
}

// Option changes how a client works.
type Option func(*Client)

// WithHTTPClient makes calls through h, for its transport and time limits.
// Redirects are not followed, whatever h says of them.
func WithHTTPClient(h *http.Client) Option {
	return func(c *Client) {
		own := *h
		c.http = &own
	}
}

// WithRetries sets how often a call is repeated at most (3 unless set), and the
// wait before the first repetition (100 ms unless set), which doubles each time.
// A longer wait that the server asks for is kept, up to 30 seconds.
func WithRetries(n int, wait time.Duration) Option {
	return func(c *Client) { c.retries, c.wait = n, wait }
}

// longestWait is how long a server may have us wait between two attempts.
const longestWait = 30 * time.Second

// New returns a client of the server at base, such as "https://roster.example.com",
// that presents key.
func New(base, key string, options ...Option) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("roster: %q is not the address of a server", base)
	}
	c := &Client{
		base: strings.TrimSuffix(u.String(), "/") + "/api/v1", key: key,
		http: &http.Client{Timeout: time.Minute}, retries: 3, wait: 100 * time.Millisecond,
	}
	for _, o := range options {
		o(c)
	}
	// A redirected POST would arrive as a GET, and look like a success.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// Error is what the server answered instead of doing what was asked.
type Error struct {
	Status    int    // of HTTP
	Code      string // stable, for programs: "user.name.taken"
	Detail    string // one sentence, for people
	Field     string // the field, parameter or header at fault; may be empty
	RequestID string // to find the request by in the server's log

	// Items are those at fault when a call about many was refused as a whole, by
	// index from 0: of a [ManyBatch] through all its operations, of a [Batch] its
	// Add first.
	Items []int

	// Applied is what had been done of a file before it failed; nil for any
	// other call, and if nothing was begun.
	Applied *Applied
}

// Error returns the detail with what identifies it.
func (e *Error) Error() string {
	s := fmt.Sprintf("roster: %s (%d %s", e.Detail, e.Status, e.Code)
	if e.Field != "" {
		s += ", field " + e.Field
	}
	if e.RequestID != "" {
		s += ", request " + e.RequestID
	}
	return s + ")"
}

// IsNotFound reports whether err says that there is no such thing, or none that
// the key reaches.
func IsNotFound(err error) bool { return statusOf(err) == http.StatusNotFound }

// IsConflict reports whether err says that something is in the way, such as a
// name that is taken.
func IsConflict(err error) bool { return statusOf(err) == http.StatusConflict }

// IsStale reports whether err says that the thing has changed since the version
// that the write was bound to.
func IsStale(err error) bool { return statusOf(err) == http.StatusPreconditionFailed }

func statusOf(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status
	}
	return 0
}

// call is one request to the API.
type call struct {
	method  string
	path    string // escaped, after /api/v1
	query   url.Values
	version int64  // of If-Match, unless zero
	body    any    // nil for none
	yaml    []byte // the body instead, as it is
	write   bool   // carries an Idempotency-Key
	single  bool   // is not repeated
}

// do makes the call and decodes the answer into out, unless that is nil. It
// returns the status.
func (c *Client) do(ctx context.Context, call call, out any) (int, error) {
	body := call.yaml
	if call.body != nil {
		var err error
		if body, err = json.Marshal(call.body); err != nil {
			return 0, fmt.Errorf("roster: %w", err)
		}
	}
	once := ""
	if call.write {
		if once = c.once; once == "" {
			once = rand.Text()
		}
	}
	wait := c.wait
	for attempt := 0; ; attempt++ {
		status, retry, err := c.attempt(ctx, call, body, once, out)
		if err == nil || retry < 0 || call.single || attempt >= c.retries || ctx.Err() != nil {
			return status, err
		}
		timer := time.NewTimer(min(max(wait, retry), longestWait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return status, err
		}
		wait *= 2
	}
}

// attempt makes the call once. retry is how long the server asks to wait before
// the next attempt, and below zero if there must be none.
func (c *Client) attempt(ctx context.Context, call call, body []byte, once string, out any) (status int, retry time.Duration, err error) {
	target := c.base + call.path
	if len(call.query) > 0 {
		target += "?" + call.query.Encode()
	}
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	r, err := http.NewRequestWithContext(ctx, call.method, target, reader)
	if err != nil {
		return 0, -1, fmt.Errorf("roster: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+c.key)
	r.Header.Set("Accept", "application/json, application/problem+json")
	switch {
	case call.yaml != nil:
		r.Header.Set("Content-Type", "application/yaml")
	case body != nil:
		r.Header.Set("Content-Type", "application/json")
	}
	if once != "" {
		r.Header.Set("Idempotency-Key", once)
	}
	if c.consistency != "" {
		r.Header.Set("Roster-Consistency", c.consistency)
	}
	if call.version != 0 {
		r.Header.Set("If-Match", `"`+strconv.FormatInt(call.version, 10)+`"`)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return 0, 0, fmt.Errorf("roster: %w", err) // of net/http; it names the address, not the key
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, 0, fmt.Errorf("roster: reading the answer: %w", err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return resp.StatusCode, retryAfter(resp), problem(resp, text)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			return resp.StatusCode, -1, fmt.Errorf("roster: the answer is not what this client understands: %w", err)
		}
	}
	return resp.StatusCode, -1, nil
}

// retryAfter is how long a server that is not available asks us to wait; below
// zero if it does not ask us to come back.
func retryAfter(resp *http.Response) time.Duration {
	if resp.StatusCode != http.StatusServiceUnavailable {
		return -1
	}
	seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 31)
	if err != nil {
		return -1
	}
	return time.Duration(seconds) * time.Second
}

// problem reads an error. One that is not of the API's making, such as a
// gateway's, is told by its status.
func problem(resp *http.Response, text []byte) error {
	e := &Error{Status: resp.StatusCode, Code: "http", Detail: "The server answered " + resp.Status + ".", RequestID: resp.Header.Get("X-Request-Id")}
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media == "application/problem+json" {
		var p struct {
			Code, Detail, Field, Request string
			Items                        []int
			Applied                      *Applied
		}
		if json.Unmarshal(text, &p) == nil && p.Code != "" {
			e.Code, e.Detail, e.Field, e.Items, e.Applied = p.Code, p.Detail, p.Field, p.Items, p.Applied
			if p.Request != "" {
				e.RequestID = p.Request
			}
		}
	}
	return e
}
