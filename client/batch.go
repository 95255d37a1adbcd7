package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"
)

// Op says what an operation of a batch does.
type Op string

// The operations. The replacements also take out who is in the groups and not
// among the members, or the members out of where they are and that is not among
// the groups.
const (
	Add            Op = "add"
	Remove         Op = "remove"
	ReplaceMembers Op = "replace_members"
	ReplaceGroups  Op = "replace_groups"
)

// Operation is part of a [ManyBatch]: every one of Members and every one of
// Groups, group by group, and then the Pairs, which a replacement has none of.
// Members and Groups are given together, and one that is nil is refused as
// forgotten: to replace by nobody is to say so with an empty list.
type Operation struct {
	Op       Op           `json:"op"`
	Members  []Member     `json:"members,omitzero"`
	Groups   []string     `json:"groups,omitzero"`
	Pairs    []MemberPair `json:"pairs,omitzero"`
	Standing *Standing    `json:"standing,omitempty"` // of additions and replacements, as in [Batch]
}

// MemberPair is a member and a group.
type MemberPair struct {
	Member Member `json:"member"`
	Group  string `json:"group"`
}

// Require is a condition: that a user is, or is not, in a group, directly or
// through groups; or, with a Version instead, that the group is at it, which who
// comes and goes leaves as it is.
type Require struct {
	User    string `json:"user,omitempty"`
	Group   string `json:"group"`
	Member  *bool  `json:"member,omitempty"`
	Version int64  `json:"version,omitempty"`
}

// ManyBatch changes up to 10,000 memberships of many members in many groups, in
// one transaction.
type ManyBatch struct {
	Mode       Mode        `json:"mode"`
	Operations []Operation `json:"operations"`
	Require    []Require   `json:"require,omitempty"` // [IsStale] if one does not hold
	DryRun     bool        `json:"dry_run,omitempty"` // change nothing, and say what would come of it
}

// ManyResult says what became of each item of a [ManyBatch], by operation.
type ManyResult struct {
	Operations []OperationResult `json:"operations"`
	Effects    *Effects          `json:"effects,omitempty"` // of a dry run
	Revision   uint64            `json:"revision"`
}

// OperationResult has the items in order, and whom a replacement took out.
type OperationResult struct {
	Items []ItemOutcome `json:"items"`
	Left  []struct {
		Member MemberOf `json:"member"`
		Group  Name     `json:"group"`
	} `json:"left,omitempty"`
}

// Effects are who would get in and who would drop out, through groups too, now
// and at each date to come that decides about it. Complete is false if there
// would be more than was looked at.
type Effects struct {
	Complete bool     `json:"complete"`
	Changes  []Effect `json:"changes"`
}

// Effect is one user getting into a group ("gained") or dropping out ("lost").
type Effect struct {
	At     time.Time `json:"at"`
	Change string    `json:"change"`
	User   Name      `json:"user"`
	Group  Name      `json:"group"`
}

// ChangeMemberships carries out a batch over many groups in one transaction.
func (t *Tenant) ChangeMemberships(ctx context.Context, b ManyBatch) (ManyResult, error) {
	b.Operations = some(b.Operations)
	var out ManyResult
	_, err := t.c.do(ctx, call{method: http.MethodPost, path: t.path + "/memberships:batch", body: b, write: true}, &out)
	return out, err
}

// Line is one membership of a stream: [Add] or [Remove].
type Line struct {
	Op       Op        `json:"op"`
	Member   Member    `json:"member"`
	Group    string    `json:"group"`
	Standing *Standing `json:"standing,omitempty"` // of an addition, as in [Batch]
}

// LineOutcome is what became of one line, as of which revision.
type LineOutcome struct {
	ItemOutcome
	Revision uint64 `json:"revision,omitempty"`
}

// stopped is the outcome of a stream that could not go on.
const stopped = "stopped"

// Stream changes any number of memberships, each on its own, in as little memory
// as a few lines take, and yields what became of each, in order. What it has
// yielded stands. An error ends it; the lines that were not answered for may be
// sent again. It is not repeated by itself, nor can it be by [Tenant.Once]. It goes on for as long as the context
// and the HTTP client allow; the time limit of the latter is of the whole stream.
func (t *Tenant) Stream(ctx context.Context, lines iter.Seq[Line]) iter.Seq2[LineOutcome, error] {
	return func(yield func(LineOutcome, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		body, w := io.Pipe()
		written := make(chan struct{})
		sent, answered := 0, 0
		go func() {
			defer close(written)
			out := bufio.NewWriter(w)
			e := json.NewEncoder(out)
			e.SetEscapeHTML(false)
			for line := range lines {
				if ctx.Err() != nil || e.Encode(line) != nil {
					break
				}
				sent++
			}
			_ = w.CloseWithError(out.Flush()) // nil ends the body
		}()
		defer func() {
			cancel()
			body.CloseWithError(context.Canceled)
			<-written
		}()
		resp, err := t.c.open(ctx, t.path+"/memberships:batch", body)
		if err != nil {
			yield(LineOutcome{}, err)
			return
		}
		defer resp.Body.Close()
		in := bufio.NewScanner(resp.Body)
		for in.Scan() {
			var out LineOutcome
			if err := json.Unmarshal(in.Bytes(), &out); err != nil {
				yield(out, fmt.Errorf("roster: the answer is not what this client understands: %w", err))
				return
			}
			if out.Outcome == stopped {
				yield(LineOutcome{}, &Error{Status: resp.StatusCode, Code: out.Code, Detail: out.Detail, Field: out.Field, RequestID: resp.Header.Get("X-Request-Id")})
				return
			}
			answered++
			if !yield(out, nil) {
				return
			}
		}
		err = in.Err()
		if err == nil {
			// Between us and the server an answer can be cut where it seems whole.
			body.CloseWithError(io.ErrClosedPipe)
			if <-written; answered < sent {
				err = io.ErrUnexpectedEOF
			}
		}
		if err != nil {
			yield(LineOutcome{}, fmt.Errorf("roster: reading the answer: %w", err))
		}
	}
}

// open begins a request whose body and answer are streams of lines.
func (c *Client) open(ctx context.Context, path string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("roster: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+c.key)
	r.Header.Set("Content-Type", "application/x-ndjson")
	if c.once != "" {
		r.Header.Set("Idempotency-Key", c.once) // for the server to refuse
	}
	if c.consistency != "" {
		r.Header.Set("Roster-Consistency", c.consistency)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("roster: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		var text bytes.Buffer
		_, _ = io.Copy(&text, io.LimitReader(resp.Body, 1<<20))
		return nil, problem(resp, text.Bytes())
	}
	return resp, nil
}
