package terms

import (
	"slices"
	"strings"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// Was is how a user or a group was as of a revision, as the rows of the past tell.
// A group is never suspended, and does not expire.
type Was struct {
	Number    id.Number
	ID        [16]byte
	Code      int64
	Name      string
	Suspended bool
	Expires   time.Time
	As        directory.Revision
}

// User returns the user that was so.
func (w Was) User() directory.User {
	return directory.User{ID: w.ID, Number: w.Number, Code: w.Code, Name: w.Name, Suspended: w.Suspended, Expires: w.Expires}
}

// Group returns the group that was so.
func (w Was) Group() directory.Group {
	return directory.Group{ID: w.ID, Number: w.Number, Code: w.Code, Name: w.Name}
}

// Named returns the user that was so, by its folded name.
func (w Was) Named() directory.Named {
	return directory.Named{Number: w.Number, Name: directory.FoldName(w.Name), Suspended: w.Suspended, Expires: w.Expires}
}

// Merge puts two lists by name, of users who are not in both, into one of at most
// limit.
func Merge(a, b []directory.Named, q directory.NameQuery) []directory.Named {
	all := append(a, b...)
	slices.SortFunc(all, func(a, b directory.Named) int {
		if q.Descending {
			a, b = b, a
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all[:min(len(all), q.Limit)]
}

// Each returns what each was, [Was.User] or [Was.Group], in order.
func Each[T any](list []Was, what func(Was) T) []T {
	out := make([]T, len(list))
	for i, w := range list {
		out[i] = what(w)
	}
	return out
}

// ByMoment returns what each was by its number and revision.
func ByMoment[T any](list []Was, what func(Was) T) map[directory.NumberAt]T {
	out := make(map[directory.NumberAt]T, len(list))
	for _, w := range list {
		out[directory.NumberAt{Number: w.Number, Revision: w.As}] = what(w)
	}
	return out
}

// Sole returns the only grave, none if there is none, and one that is
// [directory.Ambiguous] if there are more.
func Sole(list []directory.Grave) directory.Grave {
	switch len(list) {
	case 0:
		return directory.Grave{}
	case 1:
		return list[0]
	}
	return directory.Grave{Number: directory.Ambiguous}
}
