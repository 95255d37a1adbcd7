package softwareone

import (
	"time"

	"roster/internal/directory"
)

// happened says when a commit was made and by whom; at is when, for a commit
// that the log no longer has.
func (v *picture) happened(rev directory.Revision, at time.Time) *event {
	a, ok := v.authors[rev]
	if !ok {
		return &event{At: stamp(at)}
	}
	return &event{At: stamp(a.At), By: v.actor(a)}
}

// actor is the user that somebody acted for, or else the token that was used.
// An actor is never opened further, whatever has an audit of its own.
func (v *picture) actor(a directory.Authored) *actor {
	by := &actor{Meta: meta{Omitted: []string{"audit"}}, Name: a.Actor.Name}
	switch {
	case a.PersonCode != 0:
		by.ID = userID.render(a.PersonCode)
		by.Href = "/accounts/users/" + by.ID
		if u, ok := v.people[a.Actor.User]; ok {
			by.Name, by.Icon = fullName(u), attributes(u.Attributes).text("icon")
		}
	case a.CredentialCode != 0:
		by.ID = tokenID.render(a.CredentialCode)
		by.Href = "/accounts/api-tokens/" + by.ID
	case a.Actor.Name == "":
		return nil
	}
	return by
}

// after is an event at a moment, nil if it never came.
func after(t time.Time) *event {
	if t.IsZero() {
		return nil
	}
	return &event{At: stamp(t)}
}
