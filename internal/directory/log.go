package directory

import (
	"context"
	"slices"

	"roster/internal/id"
)

// ListChanges asks for a tenant's change log, newest first unless Ascending:
// those commits, from one moment to another (both included), that all the filters
// leave. Zero fields do not narrow it. After is a revision; a page has no At,
// because what was logged stays as it is.
type ListChanges struct {
	Page
	Ascending bool
	From, To  When

	By      By
	Dialect string
	Request string

	// User and Group leave what was done to these: to the user or group itself, to
	// its memberships, and to the group's members; and of a change of many members
	// this one. They name what there is now, or else what was deleted.
	User  Ref
	Group Ref
	Kinds []ChangeKind // any of these
}

// By says by whom a commit was made; zero fields do not narrow it.
type By struct {
	Credential id.Credential
	Name       string // as it was recorded, exactly
	User       Ref    // whom the actor acted for
}

// Record is what one commit did by one actor's doing. What the clock did comes in
// a record of its own, with the clock as the actor, before what else the same
// commit did.
type Record struct {
	Authored
	User *User // whom the actor acted for, named as it was then; nil if nobody of the tenant

	// Count is of all that was done: each member of a change of members, and each
	// other change. Changes are part of it if that is more than a list shows or if
	// a filter asks for less; Whole says that they are not.
	Count   int
	Whole   bool
	Changes []Told
}

// Told is a change with whom it concerns, named as they were called then; what
// the commit deleted as before it. Members are those that are told, in order, and
// Count is how many there are. Of a credential the fields are those that say whose
// it is and what it may do.
type Told struct {
	Change
	User  *User  // of a change of a user
	Group *Group // of a change of a group or of its members
	Count int
	Who   []Touched // the Members
}

// Touched is a member that a change concerns. Before is how it stood until then,
// if it stood there.
type Touched struct {
	User   *User
	Group  *Group
	Before *Standing
}

// Bounds on what is told of one record in a list, and on how much of the log one
// page looks at: how many commits, and how many members in those that had to be
// read through.
const (
	maxTold    = 20
	maxLooked  = 10_000
	maxWeighed = 200_000
	logChunk   = 1000
)

// errNoCommit is returned for a revision that no commit has yet.
var errNoCommit = &Error{Kind: Stale, Code: "revision.ahead", Field: "revision", Detail: "The tenant has not come to that revision yet."}

// Changes lists who did what. A page looks at a bounded part of the log, whatever
// it is filtered by, so it may hold few records, or none, and have a next one, and
// one more than its limit, because the records of a commit stay together. It takes
// a number of statements that does not depend on how many records, members
// and names there are. It needs [ReadAll], and what was done to credentials is
// told to who holds [ManageKeys] alone.
//
// The platform's own log, which a principal of the platform asks for outside of
// any tenant, needs [Platform]. It tells who made and deleted tenants, by name and
// title, and what was done to the platform's own users and credentials; what was
// done in a tenant is in that one's log.
//
// It refuses a principal that is bounded to part of the tenant: revisions that
// are missing, and how many members a change had, tell of the rest.
func (d *Directory) Changes(ctx context.Context, p Principal, in ListChanges) (Answer[Found[Record]], error) {
	if err := in.check(); err != nil {
		return Answer[Found[Record]]{}, err
	}
	return view(ctx, d, p, p.logged(), func(l *look) (Found[Record], error) {
		f, err := l.filterLog(in)
		if err != nil {
			return Found[Record]{}, err
		}
		low, high, err := l.span(in)
		if err != nil {
			return Found[Record]{}, err
		}
		deeds, next, err := f.read(low, high, in)
		if err != nil {
			return Found[Record]{}, err
		}
		records, err := l.tell(deeds)
		return Found[Record]{Items: records, Next: next}, err
	})
}

// ListCommit asks for all that one commit did, a page at a time: After is how
// many of what its records count come before.
type ListCommit struct {
	Page
	Revision Revision
}

// Commit tells everything that one commit did, in records that each hold the part
// that is on the page. It needs what [Directory.Changes] does, and refuses whom
// that refuses.
func (d *Directory) Commit(ctx context.Context, p Principal, in ListCommit) (Answer[Found[Record]], error) {
	return view(ctx, d, p, p.logged(), func(l *look) (Found[Record], error) {
		f, err := l.filterLog(ListChanges{})
		if err != nil {
			return Found[Record]{}, err
		}
		now, err := l.Revision()
		if err != nil {
			return Found[Record]{}, err
		}
		if in.Revision > now {
			return Found[Record]{}, errNoCommit
		}
		var deeds []deed
		err = l.Log(LogQuery{From: in.Revision, To: in.Revision, Limit: 1}, func(c Logged) error {
			deeds = f.deeds(c)
			return nil
		})
		if err != nil {
			return Found[Record]{}, err
		}
		if len(deeds) == 0 && in.Revision == 0 {
			return Found[Record]{}, ErrForgotten
		}
		skip, left, next := int(min(max(in.After, 0), 1<<31)), in.limit(), int64(0)
		shown := deeds[:0]
		for _, e := range deeds {
			before := min(skip, e.count)
			skip -= before
			told := min(left, e.count-before)
			left -= told
			if before+told < e.count {
				next = max(in.After, 0) + int64(in.limit())
			}
			if told > 0 {
				e.cut(before, told)
				shown = append(shown, e)
			}
		}
		records, err := l.tell(shown)
		return Found[Record]{Items: records, Next: next}, err
	})
}

// logged is what the log needs.
func (p Principal) logged() Grants {
	if p.Tenant.IsZero() {
		return Platform
	}
	return ReadAll
}

func (in ListChanges) check() error {
	for _, k := range in.Kinds {
		if !slices.Contains(changeKinds, k) {
			return invalid("kind.unknown", "kind", "There is no change of the kind %q.", k)
		}
	}
	return nil
}

// ParseKinds reads kinds of change, such as "members.added", or "members" for all
// that begin so.
func ParseKinds(words []string) ([]ChangeKind, error) {
	var kinds []ChangeKind
	for _, word := range words {
		n := len(kinds)
		for _, k := range changeKinds {
			if string(k) == word || (Change{Kind: k}).noun() == word {
				kinds = append(kinds, k)
			}
		}
		if len(kinds) == n {
			return nil, invalid("kind.unknown", "kind", "There is no change of the kind %q.", word)
		}
	}
	return kinds, nil
}
