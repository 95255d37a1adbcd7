package client

import (
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
