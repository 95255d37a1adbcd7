package client

import (
	"context"
	"iter"
	"net/url"
	"strconv"
	"time"
)

// Moment is as of when a question is asked: what [AtRevision] or [AtTime] returns.
type Moment string

// AtRevision is the moment at which the tenant came to a revision.
func AtRevision(n uint64) Moment { return Moment(strconv.FormatUint(n, 10)) }

// AtTime is a moment by the clock: memberships as they were written by then, with
// dates as they were at it.
func AtTime(t time.Time) Moment { return Moment(t.UTC().Format(time.RFC3339Nano)) }

// AsOf returns the tenant as it was. Checks, lists of members and groups, and
// explanations asked of it are answered as of that moment; anything else is
// refused.
//
//	was, err := acme.AsOf(client.AtTime(lastFriday)).Check(ctx, client.ByName("ann"), client.ByName("Engineers"))
func (t *Tenant) AsOf(m Moment) *Tenant {
	c := *t.c
	c.consistency = "at=" + string(m)
	return &Tenant{c: &c, path: t.path}
}

// Explanation is why a user is in a group, or why not: every way from a
// membership of the user up to the group, a page of them.
type Explanation struct {
	Member bool   `json:"member"`
	Why    *Why   `json:"why,omitempty"` // nil for a member
	User   *Name  `json:"user,omitempty"`
	Group  *Name  `json:"group,omitempty"`
	Count  int64  `json:"count"` // of all ways; [math.MaxInt64] is that many or more
	Next   string `json:"next,omitempty"`

	// Ways are memberships, each in the Group it names, from the user's own up to
	// that in the group asked about. Of who is not a member they are those that
	// would lead there.
	Ways     [][]MemberOf `json:"ways"`
	Revision uint64       `json:"revision"`
}

// Why says why a user is not in a group.
type Why struct {
	Code   string `json:"code"` // user.unknown, group.unknown, none, dates, user.suspended, user.expired
	Detail string `json:"detail"`
}

// WaysPage asks for part of an explanation: at most Limit ways (20 unless set),
// after the page whose Next the Cursor was.
type WaysPage struct {
	Limit  int
	Cursor string
}

// Explain says why a user is, or is not, in a group.
func (t *Tenant) Explain(ctx context.Context, user, group string, page WaysPage) (Explanation, error) {
	q := url.Values{"user": {user}, "group": {group}}
	if page.Limit > 0 {
		q.Set("limit", strconv.Itoa(page.Limit))
	}
	if page.Cursor != "" {
		q.Set("cursor", page.Cursor)
	}
	return get[Explanation](ctx, t.c, t.path+"/explain", q)
}

// Commit is who did something, when, and by which request.
type Commit struct {
	Revision uint64    `json:"revision"`
	At       time.Time `json:"at"`
	By       *Actor    `json:"by"`
	Request  string    `json:"request,omitempty"`
}

// Stay is one way in which a membership stood. Ended is nil while it stands.
type Stay struct {
	Membership Membership `json:"membership"`
	Began      Commit     `json:"began"`
	Ended      *Commit    `json:"ended,omitempty"`
}

// MemberHistory yields how a membership has stood, oldest first, unless it is asked
// as of the past also of a user or a group that was deleted.
func (t *Tenant) MemberHistory(ctx context.Context, group string, m Member) iter.Seq2[Stay, error] {
	return pages[Stay](ctx, t.c, t.member(group, m)+"/history", url.Values{})
}

// Diff says which moments to compare. To is now if empty. A name means who bears it
// at the later of them, or else who bore it at the earlier.
type Diff struct {
	From, To   Moment
	Transitive bool // also through groups; of a group then users only
}

func (d Diff) query() url.Values {
	q := url.Values{"from": {string(d.From)}}
	if d.To != "" {
		q.Set("to", string(d.To))
	}
	if d.Transitive {
		q.Set("transitive", "true")
	}
	return q
}

// Difference is one who was not in at one of two moments: Change is "gained" or
// "lost".
type Difference struct {
	Change string `json:"change"`
	MemberOf
}

// GroupDiff yields who has come into a group, and who has left it.
func (t *Tenant) GroupDiff(ctx context.Context, group string, d Diff) iter.Seq2[Difference, error] {
	return pages[Difference](ctx, t.c, t.group(group)+"/diff", d.query())
}

// UserDiff yields the groups that a user has come into, and left.
func (t *Tenant) UserDiff(ctx context.Context, user string, d Diff) iter.Seq2[Difference, error] {
	return pages[Difference](ctx, t.c, t.user(user)+"/diff", d.query())
}
