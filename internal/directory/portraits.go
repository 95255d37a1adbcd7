package directory

import (
	"context"
	"crypto/subtle"
	"slices"
	"time"

	"roster/internal/id"
	"roster/internal/index"
)

// Portrait is a user with what stands around it.
type Portrait struct {
	User
	Tenant Tenant

	// Groups are those the user is in now, directly or through groups, by
	// number; for a user who is not active, those it would be in. A bounded
	// principal is shown those of its bound.
	Groups []Group

	// Holds is what the user holds now through all of its groups.
	Holds Grants

	// Used is when a credential of the user was last used, to about a minute;
	// zero if never. Lists leave it out.
	Used time.Time

	// Visits is how often the user has signed in within [Recently], as of the
	// last few seconds, or about that: see [Store.CountVisits].
	Visits int
}

// Recently is for how long a user counts as active by what it does.
const Recently = 15 * 24 * time.Hour

// Activity is how much a user does: more than five sign-ins [Recently], at least
// one, or none.
type Activity uint8

// The activities. The zero Activity is any of them.
const (
	Busy Activity = iota + 1
	Moderate
	Idle
)

// Activity returns how active the user is.
func (p Portrait) Activity() Activity {
	switch {
	case p.Visits > 5:
		return Busy
	case p.Visits > 0:
		return Moderate
	}
	return Idle
}

// FindPortrait asks for one portrait.
type FindPortrait struct {
	User Ref

	// Active finds nobody who is not active.
	Active bool

	// Proof, unless nil, is used up by the question.
	Proof *Proof
}

// Proof is a credential that proves one thing once: that its user was just let
// in by whoever made it.
type Proof struct {
	Kind CredentialKind
	Hash []byte
	For  time.Duration // how long after it was made it proves anything
}

// ErrNoProof is returned for a proof that was never made for that user, was used
// before, or is too old.
var ErrNoProof = forbidden("proof.unknown", "That proves nothing about this user.")

// Portrait finds one user with what stands around it. It needs [ReadUsers] and
// [ReadMembers], and heeds [Within].
func (d *Directory) Portrait(ctx context.Context, p Principal, in FindPortrait) (Answer[Portrait], error) {
	const need = ReadUsers | ReadMembers
	if in.Proof == nil {
		return view(ctx, d, p.heeding(), need, func(l *look) (Portrait, error) { return l.portrait(in) })
	}
	return write(ctx, d, p.heeding(), need, func(t *tx) (Portrait, error) {
		found, err := t.portrait(in)
		if err != nil {
			return Portrait{}, err
		}
		return found, t.redeem(found.User, *in.Proof)
	})
}

// redeem uses up a proof about a user.
func (t *tx) redeem(u User, proof Proof) error {
	list, err := t.Writer.Credentials(CredentialQuery{Kind: proof.Kind, User: u.ID}, 0, MaxPage)
	if err != nil {
		return err
	}
	for _, c := range list {
		if subtle.ConstantTimeCompare(c.Hash, proof.Hash) != 1 {
			continue
		}
		now := t.now()
		if now.Sub(c.Created) >= proof.For || !c.Expires.IsZero() && !now.Before(c.Expires) {
			return ErrNoProof
		}
		return t.revoke(c)
	}
	return ErrNoProof
}

// ListPortraits asks for a page of portraits by number.
type ListPortraits struct {
	After      int64 // the number that the previous page ended with; 0 to start
	Limit      int   // [DefaultPage] if zero, at most [MaxFound]
	Descending bool  // the greatest number first, then those below After

	// Group, unless zero, leaves those who are in the group now, directly or
	// through groups. One that is not there has nobody.
	Group Ref

	// Text leaves those who have it in one of their names or in their address,
	// in any letter case.
	Text string

	// Activity, unless zero, leaves those who are that active. Who they are takes
	// a look at everybody.
	Activity Activity

	// Inactive includes those who are not active, and who would be in the group
	// if they were.
	Inactive bool
}

// Portraits lists users with what stands around them. It needs [ReadUsers] and
// [ReadMembers], and heeds [Within].
func (d *Directory) Portraits(ctx context.Context, p Principal, in ListPortraits) (Answer[Found[Portrait]], error) {
	in.Limit = min(in.Limit, MaxFound)
	if in.Limit <= 0 {
		in.Limit = DefaultPage
	}
	filter := in.filter(d.Now())
	if err := checkFilter(filter, UserField); err != nil {
		return Answer[Found[Portrait]]{}, err
	}
	return view(ctx, d, p.heeding(), ReadUsers|ReadMembers, func(l *look) (Found[Portrait], error) {
		numbers, err := l.busy(in, filter)
		if err != nil {
			return Found[Portrait]{}, err
		}
		page := found(numbers, in.Limit, func(n id.Number) int64 { return int64(n) })
		users, err := l.Reader.Users(page.Items)
		if err != nil {
			return Found[Portrait]{}, err
		}
		if in.Descending {
			slices.Reverse(users)
		}
		list, err := l.portraits(users)
		return Found[Portrait]{Items: list, Next: page.Next}, err
	})
}

// filter says who is meant, groups aside.
func (in ListPortraits) filter(now time.Time) Filter {
	var all []Filter
	if !in.Inactive {
		all = append(all, Equal(FieldSuspended, false),
			Or(Equal(FieldExpires, time.Time{}), Compare(FilterGreater, FieldExpires, now)))
	}
	if in.Text != "" {
		var some []Filter
		for _, field := range []Field{FieldDisplayName, FieldGivenName, FieldFamilyName, FieldName, FieldEmail} {
			some = append(some, Compare(FilterContains, field, in.Text))
		}
		all = append(all, Or(some...))
	}
	return And(all...)
}

// busy is [look.listed] for those who are as active as is asked for.
func (l *look) busy(in ListPortraits, filter Filter) ([]id.Number, error) {
	if in.Activity == 0 {
		return l.listed(in, filter)
	}
	wanted := in.Limit + 1
	in.Limit = MaxPage
	var list []id.Number
	for {
		numbers, err := l.listed(in, filter)
		if err != nil {
			return nil, err
		}
		more := len(numbers) > in.Limit
		numbers = numbers[:min(len(numbers), in.Limit)]
		counts, err := l.Reader.Visits(numbers, l.now().Add(-Recently))
		if err != nil {
			return nil, err
		}
		for _, n := range numbers {
			if (Portrait{Visits: counts[n]}).Activity() != in.Activity {
				continue
			}
			if list = append(list, n); len(list) == wanted {
				return list, nil
			}
		}
		if !more {
			return list, nil
		}
		in.After = int64(numbers[len(numbers)-1])
	}
}

// listed returns the numbers of a page, and one more if there are more.
func (l *look) listed(in ListPortraits, filter Filter) ([]id.Number, error) {
	after := id.Number(min(max(in.After, 0), int64(id.MaxNumber)+1))
	if after > id.MaxNumber && !in.Descending {
		return nil, nil
	}
	q := Search{Filter: filter, Limit: in.Limit + 1, At: l.now()}
	if in.Descending {
		q.Order = []Order{{Field: FieldNumber, Descending: true}}
	}
	if after > 0 {
		q.After = &Position{Number: after}
		if in.Descending {
			q.After.Keys = []any{int64(after)}
		}
	}
	var groups []id.Number
	switch {
	case in.Group.Kind != 0:
		numbers, err := l.groupNumbers([]Ref{in.Group})
		if err != nil || missing(numbers[0], true) != nil {
			return nil, err
		}
		groups = numbers
	case l.p.Within != nil:
		groups = l.p.Within.Groups
	default:
		hits, err := l.Reader.FindUsers(q)
		return hits.Numbers, err
	}
	if len(groups) == 1 && in.Text == "" && !in.Inactive {
		if st, err := l.picture(); err != nil || st != nil {
			return l.pictured(st, in, groups[0], after), err
		}
	}
	groups, err := l.withBelow(groups)
	if err != nil || len(groups) == 0 {
		return nil, err
	}
	q.Within = groups
	if in.Inactive {
		if q.Among, err = l.standing(groups); err != nil {
			return nil, err
		}
		q.Within = nil
	}
	hits, err := l.Reader.FindUsers(q)
	return hits.Numbers, err
}

// pictured is [look.listed] for the members of a group, answered by the index.
func (l *look) pictured(st *index.State, in ListPortraits, group, after id.Number) []id.Number {
	switch {
	case st == nil:
		return nil
	case in.Descending:
		return st.MembersBefore(group, after, l.now().UnixMicro(), true, in.Limit+1)
	}
	return st.MembersAfter(group, after, l.now().UnixMicro(), true, in.Limit+1)
}

// standing returns who stands directly in the groups now, active or not. It is
// never nil, and reads the groups whole.
func (l *look) standing(groups []id.Number) ([]id.Number, error) {
	users := []id.Number{}
	holds := func(m Membership) bool { return m.HoldsAt(l.now()) }
	for _, g := range groups {
		edges, err := l.edgesOf(MembershipQuery{Group: g}, holds)
		if err != nil {
			return nil, err
		}
		for _, e := range edges {
			if u, ok := e.Member.User(); ok {
				users = append(users, u)
			}
		}
	}
	return users, nil
}

func (l *look) portrait(in FindPortrait) (Portrait, error) {
	u, err := l.Reader.User(in.User)
	if err != nil {
		return Portrait{}, err
	}
	if l.p.Within != nil {
		within, err := l.standsWithin([]id.Number{u.Number})
		if err != nil {
			return Portrait{}, err
		}
		if !within[u.Number] {
			return Portrait{}, ErrNoUser
		}
	}
	if in.Active && !u.ActiveAt(l.now()) {
		return Portrait{}, ErrNoUser
	}
	list, err := l.portraits([]User{u})
	if err != nil {
		return Portrait{}, err
	}
	keys, err := l.Reader.Credentials(CredentialQuery{User: u.ID}, 0, MaxPage)
	for _, c := range keys {
		if c.Used.After(list[0].Used) {
			list[0].Used = c.Used
		}
	}
	return list[0], err
}

// portraits gathers what stands around users, in a number of statements that does
// not depend on how many.
func (l *look) portraits(users []User) ([]Portrait, error) {
	tenant, err := l.Reader.Tenant()
	if err != nil {
		return nil, err
	}
	numbers := make([]id.Number, len(users))
	for i, u := range users {
		numbers[i] = u.Number
	}
	placements, err := l.Reader.Placements(numbers, l.now())
	if err != nil {
		return nil, err
	}
	groups, err := l.Reader.Groups(groupsAmong(placements))
	if err != nil {
		return nil, err
	}
	byNumber := make(map[id.Number]Group, len(groups))
	for _, g := range groups {
		byNumber[g.Number] = g
	}
	visits, err := l.Reader.Visits(numbers, l.now().Add(-Recently))
	if err != nil {
		return nil, err
	}
	portraits := make([]Portrait, len(users))
	at := make(map[id.Number]*Portrait, len(users))
	for i, u := range users {
		portraits[i] = Portrait{User: u, Tenant: tenant, Visits: visits[u.Number]}
		at[u.Number] = &portraits[i]
	}
	for _, e := range placements {
		u, _ := e.Member.User()
		p, g := at[u], byNumber[e.Group]
		if p.ActiveAt(l.now()) {
			p.Holds |= g.Grants.closed()
		}
		if l.p.sees(e.Group) {
			p.Groups = append(p.Groups, g)
		}
	}
	return portraits, nil
}
