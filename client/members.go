package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Name is how lists of members name a user or a group.
type Name struct {
	ID     string `json:"id"`
	Number int64  `json:"number"`
	Code   int64  `json:"code"`
	Name   string `json:"name"`
}

// MemberOf is one entry of a list of members, or of groups that a member is in:
// either a User or a Group. Membership is nil if it comes through groups alone.
type MemberOf struct {
	User       *Name       `json:"user,omitempty"`
	Group      *Name       `json:"group,omitempty"`
	Membership *Membership `json:"membership,omitempty"`
}

// Membership is how a member stands in a group directly.
type Membership struct {
	Holds      bool      `json:"holds"` // now: its dates, and in lists the user's being active
	Role       string    `json:"role"`  // "member" or "manager"
	Source     string    `json:"source"`
	Reason     string    `json:"reason,omitempty"`
	ValidFrom  time.Time `json:"valid_from,omitzero"`  // zero is since ever
	ValidUntil time.Time `json:"valid_until,omitzero"` // zero is for ever
	Added      time.Time `json:"added,omitzero"`       // zero, as AddedBy is nil, in lists through groups that are not sorted by it
	AddedBy    *Actor    `json:"added_by,omitempty"`
	Revision   uint64    `json:"revision"`
}

// Actor is who added a member, as it was called then.
type Actor struct {
	Name       string `json:"name"`
	Credential string `json:"credential"`
	User       string `json:"user,omitempty"`
	Dialect    string `json:"dialect"`
}

// Standing is how a member is to stand in a group; the zero value is a plain
// member for ever.
type Standing struct {
	ValidFrom  time.Time `json:"valid_from,omitzero"`
	ValidUntil time.Time `json:"valid_until,omitzero"`
	Role       string    `json:"role,omitempty"`
	Source     string    `json:"source,omitempty"`
	Reason     string    `json:"reason,omitempty"`
}

// Outcome is what became of a membership.
type Outcome string

// The outcomes.
const (
	Added   Outcome = "added"
	Already Outcome = "already"
	Updated Outcome = "updated" // was a member, and stands otherwise now
	Removed Outcome = "removed"
	Absent  Outcome = "absent"
	Invalid Outcome = "invalid" // of a batch: see [ItemOutcome]
)

// MemberFilter chooses among who is in a group.
type MemberFilter struct {
	Transitive bool // also through groups; of a group then users only
	Standing   bool // also those whose membership does not hold now
	PageSize   int  // as in [UserFilter]

	// Sort is "number", "name", "status" or "added", with a minus in front for
	// the other way round.
	Sort       string
	NamePrefix string // in any letter case
	Holds      *bool  // with Standing: those that hold, or those that do not
}

func (f MemberFilter) query() url.Values {
	q := inPagesOf(f.PageSize)
	if f.Transitive {
		q.Set("transitive", "true")
	}
	if f.Standing {
		q.Set("standing", "true")
	}
	if f.Sort != "" {
		q.Set("sort", f.Sort)
	}
	if f.NamePrefix != "" {
		q.Set("name_prefix", f.NamePrefix)
	}
	if f.Holds != nil {
		q.Set("holds", strconv.FormatBool(*f.Holds))
	}
	return q
}

// Members yields who is in a group.
func (t *Tenant) Members(ctx context.Context, group string, f MemberFilter) iter.Seq2[MemberOf, error] {
	return pages[MemberOf](ctx, t.c, t.group(group)+"/members", f.query())
}

// CountMembers returns how many [Tenant.Members] would yield.
func (t *Tenant) CountMembers(ctx context.Context, group string, f MemberFilter) (int64, error) {
	return t.count(ctx, t.group(group)+"/members", f)
}

// CountGroupsOf returns how many [Tenant.GroupsOf] would yield.
func (t *Tenant) CountGroupsOf(ctx context.Context, m Member, f MemberFilter) (int64, error) {
	path := t.user(m.ref)
	if m.group {
		path = t.group(m.ref)
	}
	return t.count(ctx, path+"/groups", f)
}

func (t *Tenant) count(ctx context.Context, path string, f MemberFilter) (int64, error) {
	q := f.query()
	q.Set("limit", "1")
	q.Set("count", "true")
	out, err := get[struct {
		Total int64 `json:"total"`
	}](ctx, t.c, path, q)
	return out.Total, err
}

// GroupsOf yields the groups that a user or a group is in.
func (t *Tenant) GroupsOf(ctx context.Context, m Member, f MemberFilter) iter.Seq2[MemberOf, error] {
	path := t.user(m.ref)
	if m.group {
		path = t.group(m.ref)
	}
	return pages[MemberOf](ctx, t.c, path+"/groups", f.query())
}

func (t *Tenant) member(group string, m Member) string {
	return t.group(group) + "/members/" + url.PathEscape(m.path())
}

// Member shows how a member stands in a group, whether or not it holds now.
// It is [IsNotFound] if it does not stand there directly.
func (t *Tenant) Member(ctx context.Context, group string, m Member) (MemberOf, error) {
	return get[MemberOf](ctx, t.c, t.member(group, m), nil)
}

// AddMember puts a member into a group. One who is there already stays as it
// stands, but that a membership yet to begin begins now.
func (t *Tenant) AddMember(ctx context.Context, group string, m Member) (Outcome, error) {
	return t.changeMember(ctx, http.MethodPut, group, m, nil)
}

// SetMember puts a member into a group to stand so, whether or not it stood
// there before. It says all of it: to change one thing is [Tenant.UpdateMember].
func (t *Tenant) SetMember(ctx context.Context, group string, m Member, s Standing) (Outcome, error) {
	return t.changeMember(ctx, http.MethodPut, group, m, s)
}

// StandingPatch says what to change of how a member stands; nil fields stay.
type StandingPatch struct {
	ValidFrom  *time.Time `json:"valid_from,omitempty"`  // the zero time is since ever
	ValidUntil *time.Time `json:"valid_until,omitempty"` // the zero time is for ever
	Role       *string    `json:"role,omitempty"`
	Reason     *string    `json:"reason,omitempty"`
}

// MarshalJSON implements [json.Marshaler].
func (p StandingPatch) MarshalJSON() ([]byte, error) {
	type fields StandingPatch
	date := func(t *time.Time) any {
		switch {
		case t == nil:
			return nil // left out
		case t.IsZero():
			return (*time.Time)(nil) // null
		}
		return t
	}
	return json.Marshal(struct {
		fields
		ValidFrom  any `json:"valid_from,omitzero"`
		ValidUntil any `json:"valid_until,omitzero"`
	}{fields(p), date(p.ValidFrom), date(p.ValidUntil)})
}

// Stands is how a member stands after [Tenant.UpdateMember]: [Updated], or [Already]
// if there was nothing to change. Membership, without who added it, is nil for a key
// without members.read.
type Stands struct {
	Outcome    Outcome     `json:"outcome"`
	Membership *Membership `json:"membership,omitempty"`
	Revision   uint64      `json:"revision"`
}

// UpdateMember changes how a member stands in a group, in part and in one
// transaction. It adds nobody: it is [IsNotFound] if the member does not stand there,
// or has ended by the clock.
func (t *Tenant) UpdateMember(ctx context.Context, group string, m Member, patch StandingPatch) (Stands, error) {
	var out Stands
	_, err := t.c.do(ctx, call{method: http.MethodPatch, path: t.member(group, m), body: patch, write: true}, &out)
	return out, err
}

// RemoveMember takes a member out of a group.
func (t *Tenant) RemoveMember(ctx context.Context, group string, m Member) (Outcome, error) {
	return t.changeMember(ctx, http.MethodDelete, group, m, nil)
}

func (t *Tenant) changeMember(ctx context.Context, method, group string, m Member, body any) (Outcome, error) {
	var out struct {
		Outcome Outcome `json:"outcome"`
	}
	_, err := t.c.do(ctx, call{method: method, path: t.member(group, m), body: body, write: true}, &out)
	return out.Outcome, err
}

// Mode says what a batch does when one of its items is wrong.
type Mode string

// The modes.
const (
	Atomic Mode = "atomic" // nothing is done
	Each   Mode = "each"   // the others are done
)

// Batch adds members to a group and removes members from it, 10,000 in all at
// most. Additions are made first.
type Batch struct {
	Mode   Mode     `json:"mode"`
	Add    []Member `json:"add,omitempty"`
	Remove []Member `json:"remove,omitempty"`

	// Standing is how all of Add are to stand, whether or not they stood there
	// before; if nil, these stay as they stand, as of [Tenant.AddMember].
	Standing *Standing `json:"standing,omitempty"`
}

// ItemOutcome is what became of one item of a batch; Code and Detail say what
// was wrong with an [Invalid] one, and of a line of a stream Field says where.
type ItemOutcome struct {
	Outcome Outcome `json:"outcome"`
	Code    string  `json:"code,omitempty"`
	Detail  string  `json:"detail,omitempty"`
	Field   string  `json:"field,omitempty"`
}

// BatchResult says what became of each item of a batch, in order.
type BatchResult struct {
	Add      []ItemOutcome `json:"add"`
	Remove   []ItemOutcome `json:"remove"`
	Revision uint64        `json:"revision"`
}

// ChangeMembers carries out a batch in one transaction.
//
//	res, err := acme.ChangeMembers(ctx, client.ByName("Engineers"), client.Batch{
//		Mode: client.Each,
//		Add:  []client.Member{client.UserMember(client.ByName("ann")), client.GroupMember(client.ByName("Interns"))},
//	})
func (t *Tenant) ChangeMembers(ctx context.Context, group string, b Batch) (BatchResult, error) {
	var out BatchResult
	_, err := t.c.do(ctx, call{method: http.MethodPost, path: t.group(group) + "/members:batch", body: b, write: true}, &out)
	return out, err
}

// Check reports whether a user is in a group now, directly or through groups. A
// user or a group that does not exist is a no, and no error.
//
//	in, err := acme.Check(ctx, client.ByName("ann"), client.ByName("Engineers"))
func (t *Tenant) Check(ctx context.Context, user, group string) (bool, error) {
	out, err := get[struct {
		Member bool `json:"member"`
	}](ctx, t.c, t.path+"/check", url.Values{"user": {user}, "group": {group}})
	return out.Member, err
}

// Pair is a user and a group to be asked about.
type Pair struct {
	User  string `json:"user"`
	Group string `json:"group"`
}

// CheckMany answers up to 1,000 checks, in order, as of one revision.
func (t *Tenant) CheckMany(ctx context.Context, pairs []Pair) ([]bool, error) {
	return t.checks(ctx, struct {
		Checks []Pair `json:"checks"`
	}{some(pairs)})
}

// CheckGroups answers whether one user is in each of up to 1,000 groups, in order.
func (t *Tenant) CheckGroups(ctx context.Context, user string, groups []string) ([]bool, error) {
	return t.checks(ctx, struct {
		User   string   `json:"user"`
		Groups []string `json:"groups"`
	}{user, some(groups)})
}

// CheckUsers answers whether each of up to 1,000 users is in one group, in order.
func (t *Tenant) CheckUsers(ctx context.Context, users []string, group string) ([]bool, error) {
	return t.checks(ctx, struct {
		Users []string `json:"users"`
		Group string   `json:"group"`
	}{some(users), group})
}

// some is the list, also if it is nil, for what must be said.
func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (t *Tenant) checks(ctx context.Context, body any) ([]bool, error) {
	var out struct {
		Results []struct {
			Member bool `json:"member"`
		} `json:"results"`
	}
	if _, err := t.c.do(ctx, call{method: http.MethodPost, path: t.path + "/check", body: body}, &out); err != nil {
		return nil, err
	}
	answers := make([]bool, len(out.Results))
	for i, r := range out.Results {
		answers[i] = r.Member
	}
	return answers, nil
}
