package directory

import (
	"errors"
	"slices"
	"time"

	"roster/internal/id"
)

// span is which revisions may be on the page.
func (l *look) span(in ListChanges) (low, high Revision, err error) {
	low = 1
	if high, err = l.Revision(); err != nil {
		return 0, 0, err
	}
	if in.From.Revision > high {
		return 0, 0, about("from", errNoCommit)
	}
	switch {
	case in.From.Revision != 0:
		low = in.From.Revision
	case !in.From.Time.IsZero():
		before, err := l.RevisionAt(exact(in.From.Time).Add(-time.Microsecond))
		if err != nil {
			return 0, 0, err
		}
		low = before + 1
	}
	switch {
	case in.To.Revision != 0:
		high = min(high, in.To.Revision)
	case !in.To.Time.IsZero():
		last, err := l.RevisionAt(exact(in.To.Time))
		if err != nil {
			return 0, 0, err
		}
		high = min(high, last)
	}
	after := Revision(max(in.After, 0))
	switch {
	case after == 0:
	case in.Ascending:
		low = max(low, after+1)
	default:
		high = min(high, after-1)
	}
	return low, high, nil
}

// logFilter is what a list of changes leaves, with everybody it names found.
type logFilter struct {
	l       *look
	by      LogQuery
	keys    bool // credentials may be told of
	kinds   []ChangeKind
	user    id.Number
	userID  string
	group   id.Number
	narrows bool // what a commit did must be looked at to know whether it is meant
}

func (l *look) filterLog(in ListChanges) (*logFilter, error) {
	have, err := l.effective()
	if err != nil {
		return nil, err
	}
	f := &logFilter{l: l, keys: have.Has(ManageKeys), kinds: in.Kinds}
	f.by = LogQuery{Credential: in.By.Credential, Name: in.By.Name, Dialect: in.Dialect, Request: in.Request}
	if in.By.User.Kind != 0 {
		u, err := l.ever(MemberRef{Ref: in.By.User})
		if err != nil {
			return nil, err
		}
		f.by.User = u.ID
	}
	if in.User.Kind != 0 {
		u, err := l.ever(MemberRef{Ref: in.User})
		if err != nil {
			return nil, err
		}
		f.user, f.userID = u.Number, id.User(u.ID).String()
	}
	if in.Group.Kind != 0 {
		g, err := l.ever(MemberRef{IsGroup: true, Ref: in.Group})
		if err != nil {
			return nil, err
		}
		f.group = g.Number
	}
	f.narrows = f.user != 0 || f.group != 0 || len(f.kinds) > 0 || f.clock()
	return f, nil
}

// clock reports whether the filter may mean the clock, whose doing is logged
// along with others'.
func (f *logFilter) clock() bool {
	return f.by.Dialect == clockAuthor.Dialect || f.by.Name == clockAuthor.Actor.Name
}

// ever finds who bears a name now, or else who was deleted with it.
func (l *look) ever(m MemberRef) (Grave, error) {
	none, twins := ErrNoUser, conflict("user.name.ambiguous", "", "More than one user who was deleted bore that name; use an id.")
	var n []id.Number
	var err error
	if m.IsGroup {
		none, twins = ErrNoGroup, ErrAmbiguous
		n, err = l.GroupNumbers([]Ref{m.Ref})
	} else {
		n, err = l.UserNumbers([]Ref{m.Ref})
	}
	switch {
	case err != nil:
		return Grave{}, err
	case n[0] == Ambiguous:
		return Grave{}, twins
	case n[0] == 0:
		g, err := l.Buried(m)
		if err == nil && g.Number == Ambiguous {
			err = twins
		} else if err == nil && g.Number == 0 {
			err = none
		}
		return g, err
	case m.IsGroup:
		return Grave{Number: n[0]}, nil
	}
	users, err := l.Users(n)
	if err != nil || len(users) == 0 {
		return Grave{}, errors.Join(err, none)
	}
	return Grave{Number: n[0], ID: users[0].ID}, nil
}

// errEnough ends the reading of a page.
var errEnough = errors.New("enough")

// read reads the log until a page is full, or as much of it was looked at as one
// page may.
func (f *logFilter) read(low, high Revision, in ListChanges) (deeds []deed, next int64, err error) {
	if low > high {
		return nil, 0, nil
	}
	first, last := low, high // that there are
	if in.Ascending {
		high = min(high, low+maxLooked-1)
	} else if high-low >= maxLooked {
		low = high - maxLooked + 1
	}
	weight := 0
	var at Revision // the last looked at
	for low <= high {
		q := f.by
		q.From, q.To, q.Ascending, q.Limit = low, high, in.Ascending, in.limit()
		if f.narrows {
			q.Limit = logChunk
		}
		if f.clock() {
			q.Name, q.Dialect = "", ""
		}
		read := 0
		err := f.l.Log(q, func(c Logged) error {
			read++
			at = c.Revision
			deeds = append(deeds, f.deeds(c)...)
			for _, ch := range c.Changes {
				weight += 1 + len(ch.Members)
			}
			if len(deeds) >= in.limit() || weight >= maxWeighed {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return nil, 0, err
		}
		if err == nil && read < q.Limit { // all there is was looked at
			if at = low; in.Ascending {
				at = high
			}
		}
		if in.Ascending {
			low = at + 1
		} else {
			high = at - 1
		}
		if err != nil {
			break
		}
	}
	if in.Ascending && at < last || !in.Ascending && at > first {
		next = int64(at)
	}
	return deeds, next, nil
}

// deed is what one actor did in a commit, as far as it is meant and told.
type deed struct {
	Logged
	by      Author
	visible []Change // all that may be told of, also what is not meant
	changes []chosen // what is told
	count   int
	told    int
	gone    map[ChangeKind]map[id.Number]bool // whom the commit deleted
}

// chosen is a change that is told, with its place among those that are visible.
type chosen struct {
	Told
	place int
}

// deeds are what a commit did, split by actor, without what is not meant.
func (f *logFilter) deeds(c Logged) []deed {
	var clocked, rest []Change
	for _, ch := range c.Changes {
		switch {
		case ch.Kind == MembersStarted || ch.Kind == MembersEnded:
			clocked = append(clocked, ch)
		case f.keys || ch.noun() != "credential":
			rest = append(rest, ch)
		}
	}
	var out []deed
	for _, e := range []deed{{Logged: c, by: clockAuthor, visible: clocked}, {Logged: c, by: Author{c.Actor, c.Dialect, c.Request}, visible: rest}} {
		if len(e.visible) > 0 && f.means(e.by) && e.choose(f) {
			out = append(out, e)
		}
	}
	return out
}

func (f *logFilter) means(by Author) bool {
	q := f.by
	return (q.Credential.IsZero() || q.Credential == by.Actor.Credential) && (q.User.IsZero() || q.User == by.Actor.User) &&
		(q.Name == "" || q.Name == by.Actor.Name) && (q.Dialect == "" || q.Dialect == by.Dialect) && (q.Request == "" || q.Request == by.Request)
}

// choose keeps of a deed what the filter means, as much of it as a list tells,
// and reports whether there is anything.
func (e *deed) choose(f *logFilter) bool {
	for i, ch := range e.visible {
		e.count += max(len(ch.Members), 1)
		if e.told == maxTold {
			continue
		}
		members, meant := f.picks(ch)
		if !meant {
			continue
		}
		t := Told{Change: ch, Count: len(ch.Members)}
		t.Members = members[:min(len(members), maxTold-e.told)]
		e.told += max(len(t.Members), 1)
		e.changes = append(e.changes, chosen{t, i})
	}
	return len(e.changes) > 0
}

// picks says which members of a change are meant, and whether the change is.
func (f *logFilter) picks(ch Change) ([]id.Member, bool) {
	if len(f.kinds) > 0 && !slices.Contains(f.kinds, ch.Kind) {
		return nil, false
	}
	if f.user == 0 && f.group == 0 {
		return ch.Members, true
	}
	switch ch.noun() {
	case "user":
		return nil, f.group == 0 && ch.Number == f.user
	case "group":
		return nil, f.user == 0 && ch.Number == f.group
	case "credential":
		return nil, f.group == 0 && (ch.Before["user"] == f.userID || ch.After["user"] == f.userID)
	case "members":
		who := id.UserMember(f.user)
		switch {
		case f.user == 0 && ch.Number == f.group:
			return ch.Members, true
		case f.user == 0:
			who = id.GroupMember(f.group)
		case f.group != 0 && ch.Number != f.group:
			return nil, false
		}
		if slices.Contains(ch.Members, who) {
			return []id.Member{who}, true
		}
	}
	return nil, false
}

// cut tells of a deed what comes after some of it, and no more than so much.
func (e *deed) cut(before, most int) {
	e.changes, e.told = nil, 0
	for i, ch := range e.visible {
		n := max(len(ch.Members), 1)
		from := min(before, n)
		before -= from
		to := min(from+most-e.told, n)
		if from >= to {
			continue
		}
		t := Told{Change: ch, Count: len(ch.Members)}
		if len(ch.Members) > 0 {
			t.Members = ch.Members[from:to]
		}
		e.changes = append(e.changes, chosen{t, i})
		e.told += to - from
	}
}
