package directory

import (
	"context"

	"roster/internal/id"
)

// Belongings are what some dialects show along with a user.
type Belongings struct {
	Groups []Group // that it is directly in now, by number

	// Key is its credential of the kind asked for, sealed secret included, if it
	// has one that carries no rights.
	Key *Credential
}

// Belongings returns what belongs to each of these users, in order, in a number
// of statements that does not depend on how many they are. It needs [ReadUsers]
// and [ReadMembers], unless p asks about itself.
func (d *Directory) Belongings(ctx context.Context, p Principal, users []User, key CredentialKind) (Answer[[]Belongings], error) {
	need := Grants(0)
	for _, u := range users {
		need |= p.on(ByUser(u.ID), ReadUsers|ReadMembers)
	}
	return view(ctx, d, p, need, func(l *look) ([]Belongings, error) {
		out := make([]Belongings, len(users))
		if len(users) == 0 {
			return out, nil
		}
		ids, members := make([]id.User, len(users)), make([]id.Member, len(users))
		at := make(map[id.Number]int, len(users))
		for i, u := range users {
			ids[i], members[i], at[u.Number] = u.ID, id.UserMember(u.Number), i
		}
		stands, err := l.MembershipsOf(members, l.now())
		if err != nil {
			return nil, err
		}
		groups, err := l.groupsOn(stands)
		if err != nil {
			return nil, err
		}
		for _, m := range stands {
			if u, _ := m.Member.User(); groups[m.Group] != nil {
				out[at[u]].Groups = append(out[at[u]].Groups, *groups[m.Group])
			}
		}
		keys, err := l.Credentials(CredentialQuery{Kind: key, Users: ids}, 0, len(users)*maxKeysEach)
		if err != nil {
			return nil, err
		}
		byUser := make(map[id.User]*Credential, len(keys))
		for i, c := range keys {
			if c.Grants == 0 && (c.Expires.IsZero() || l.now().Before(c.Expires)) {
				keys[i].Hash = nil
				byUser[c.User] = &keys[i] // the latest, if there are several
			}
		}
		for i, u := range ids {
			out[i].Key = byUser[u]
		}
		return out, nil
	})
}

// maxKeysEach bounds how many keys of one kind are read for each user.
const maxKeysEach = 8

// groupsOn returns the groups that memberships are in, by number.
func (l *look) groupsOn(stands []Membership) (map[id.Number]*Group, error) {
	byNumber := map[id.Number]*Group{}
	var numbers []id.Number
	for _, m := range stands {
		if _, seen := byNumber[m.Group]; !seen {
			byNumber[m.Group] = nil
			numbers = append(numbers, m.Group)
		}
	}
	list, err := l.Reader.Groups(numbers)
	for i := range list {
		byNumber[list[i].Number] = &list[i]
	}
	return byNumber, err
}

// GroupsByNumber returns those of the numbered groups that there are. It needs
// [ReadGroups].
func (d *Directory) GroupsByNumber(ctx context.Context, p Principal, numbers []id.Number) (Answer[[]Group], error) {
	return view(ctx, d, p, ReadGroups, func(l *look) ([]Group, error) { return l.Reader.Groups(numbers) })
}

// CountUsers counts the tenant's users, from memory if it can. Any principal may
// ask.
func (d *Directory) CountUsers(ctx context.Context, p Principal) (Answer[int64], error) {
	return view(ctx, d, p, 0, func(l *look) (int64, error) {
		st, err := l.picture()
		if err != nil {
			return 0, err
		}
		if st != nil {
			return int64(st.Users()), nil
		}
		return l.Reader.CountUsers()
	})
}

// KnownUsers says of each ref whether it names a user. Any principal may ask, as
// with [Directory.Exists].
func (d *Directory) KnownUsers(ctx context.Context, p Principal, refs []Ref) (Answer[[]bool], error) {
	return view(ctx, d, p, 0, func(l *look) ([]bool, error) {
		numbers, err := l.Reader.UserNumbers(refs)
		known := make([]bool, len(numbers))
		for i, n := range numbers {
			known[i] = n != 0 && n != Ambiguous
		}
		return known, err
	})
}
