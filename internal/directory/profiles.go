package directory

import (
	"context"
	"reflect"
	"time"

	"roster/internal/id"
)

// Profile is what one dialect keeps of a user, and nothing of what others do.
type Profile struct {
	User     id.User
	Number   id.Number
	External string // by which the source that was asked for knows the user
	Created  time.Time
	Modified time.Time
	Values   map[string]any
}

// The operations here are bound to the dialect that the principal came through.
// A dialect owns its values, no right in the core hangs on them, and they may say
// themselves with whom they are shared: only the dialect understands that.

// Shared is set where a principal asks for no more than what profiles share with
// it, which the dialect sees to. Otherwise it needs the grant.
type Shared bool

func (s Shared) or(need Grants) Grants {
	if s {
		return 0
	}
	return need
}

func (p Principal) profile(u User, source string) Profile {
	return Profile{
		User: u.ID, Number: u.Number, External: u.Externals[source], Created: u.Created, Modified: u.Modified,
		Values: u.Attributes.Clone().In(p.Dialect),
	}
}

// ListProfiles asks for a page of profiles by ascending number of their users.
type ListProfiles struct {
	Page
	Descending bool   // as in [UserFilter]
	Source     string // of the external id that is wanted; may be empty
	Shared     Shared
}

// Profiles lists what the principal's dialect keeps of users. It needs
// [ReadUsers] unless Shared.
func (d *Directory) Profiles(ctx context.Context, p Principal, in ListProfiles) (Answer[Found[Profile]], error) {
	return view(ctx, d, p, in.Shared.or(ReadUsers), func(l *look) (Found[Profile], error) {
		limit := in.limit()
		list, err := l.ListUsers(UserFilter{Descending: in.Descending}, in.number(), limit+1)
		if err != nil {
			return Found[Profile]{}, err
		}
		profiles := make([]Profile, len(list))
		for i, u := range list {
			profiles[i] = p.profile(u, in.Source)
		}
		return found(profiles, limit, func(f Profile) int64 { return int64(f.Number) }), nil
	})
}

// Profile returns what the principal's dialect keeps of one user, as
// [Directory.Profiles] does.
func (d *Directory) Profile(ctx context.Context, p Principal, user Ref, source string, shared Shared) (Answer[Profile], error) {
	return view(ctx, d, p, shared.or(ReadUsers), func(l *look) (Profile, error) {
		u, err := l.User(user)
		if err != nil {
			return Profile{}, err
		}
		return p.profile(u, source), nil
	})
}

// ProfileUpdate says what to change of a profile.
type ProfileUpdate struct {
	User   Ref
	Source string // as in [ListProfiles]
	Shared Shared

	// Change says which values to set, nil for those to remove, or refuses. It is
	// called inside the transaction, perhaps more than once, and touches nothing.
	Change func(Profile) (map[string]any, error)
}

// UpdateProfile changes what the principal's dialect keeps of a user. It needs
// [WriteUsers] unless Shared: then whether this principal may is for Change to
// say, which sees the profile as it is in the transaction.
func (d *Directory) UpdateProfile(ctx context.Context, p Principal, in ProfileUpdate) (Answer[Profile], error) {
	return write(ctx, d, p, in.Shared.or(WriteUsers), func(t *tx) (Profile, error) {
		before, err := t.Writer.User(in.User)
		if err != nil {
			return Profile{}, err
		}
		values, err := in.Change(p.profile(before, in.Source))
		if err != nil {
			return Profile{}, err
		}
		patch := Attributes{p.Dialect: values}
		if before.Attributes.Holds(patch) {
			return p.profile(before, in.Source), nil
		}
		after := before
		after.Attributes = before.Attributes.patched(patch)
		if reflect.DeepEqual(before, after) {
			return p.profile(before, in.Source), nil
		}
		if err := checkAttributes(after.Attributes); err != nil {
			return Profile{}, err
		}
		if err := t.Writer.UpdateUser(before, after); err != nil {
			return Profile{}, err
		}
		after.Version, after.Modified, after.ModifiedIn = before.Version+1, t.At(), t.Outcome()
		return p.profile(after, in.Source), nil
	})
}
