package directory

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

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
// It refuses a principal that is bounded to part of the tenant: revisions that
// are missing, and how many members a change had, tell of the rest.
func (d *Directory) Changes(ctx context.Context, p Principal, in ListChanges) (Answer[Found[Record]], error) {
	if err := in.check(); err != nil {
		return Answer[Found[Record]]{}, err
	}
	return view(ctx, d, p, ReadAll, func(l *look) (Found[Record], error) {
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
	return view(ctx, d, p, ReadAll, func(l *look) (Found[Record], error) {
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

// span is which revisions may be on the page.
func (l *look) span(in ListChanges) (low, high Revision, err error) {
	low = 1
	if high, err = l.Revision(); err != nil {
		return 0, 0, err
	}
	if in.From.Revision > high {
		return 0, 0, errNoCommit
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

// tell makes records of deeds: it names everybody, and says how they stood.
func (l *look) tell(deeds []deed) ([]Record, error) {
	n := names{users: map[NumberAt]User{}, groups: map[NumberAt]Group{}}
	formerly := map[EdgeAt][]*Touched{} // how they stood is for the store to say
	for i := range deeds {
		e := &deeds[i]
		e.note(&n)
		e.stood(formerly)
	}
	if err := n.find(l); err != nil {
		return nil, err
	}
	ended := make([]EdgeAt, 0, len(formerly))
	for at := range formerly {
		ended = append(ended, at)
	}
	before, err := l.EndedIn(ended)
	if err != nil {
		return nil, err
	}
	for at, s := range before {
		for _, t := range formerly[at] {
			t.Before = &s
		}
	}
	records := make([]Record, len(deeds))
	for i := range deeds {
		records[i] = deeds[i].record(&n)
	}
	return records, nil
}

// note asks for everybody whom a deed names.
func (e *deed) note(n *names) {
	if e.ActorNumber != 0 {
		n.users[e.user(e.ActorNumber)] = User{}
	}
	for i := range e.changes {
		ch := &e.changes[i]
		switch ch.noun() {
		case "user":
			n.users[e.user(ch.Number)] = User{}
		case "group", "members":
			n.groups[e.group(ch.Number)] = Group{}
		}
		for _, m := range ch.Members {
			if u, ok := m.User(); ok {
				n.users[e.user(u)] = User{}
			} else if g, ok := m.Group(); ok {
				n.groups[e.group(g)] = Group{}
			}
		}
	}
}

// stood says how members stood before a change, if an earlier one of the same
// commit does; the others are left to be asked for.
func (e *deed) stood(ask map[EdgeAt][]*Touched) {
	now := map[Edge]*Standing{}
	told := e.changes
	for i, ch := range e.visible {
		if ch.noun() != "members" {
			if len(told) > 0 && told[0].place == i {
				told = told[1:]
			}
			continue
		}
		if len(told) > 0 && told[0].place == i {
			t := &told[0].Told
			told = told[1:]
			t.Who = make([]Touched, len(t.Members))
			for j, m := range t.Members {
				edge := Edge{Group: ch.Number, Member: m}
				if ch.Kind != MembersUpdated && ch.Kind != MembersRemoved {
					continue
				}
				if s, ok := now[edge]; ok {
					t.Who[j].Before = s
				} else {
					at := EdgeAt{edge, e.Revision}
					ask[at] = append(ask[at], &t.Who[j])
				}
			}
		}
		if len(told) == 0 {
			return
		}
		for _, m := range ch.Members {
			switch ch.Kind {
			case MembersAdded, MembersUpdated:
				now[Edge{Group: ch.Number, Member: m}] = &ch.Standing
			case MembersRemoved:
				now[Edge{Group: ch.Number, Member: m}] = nil
			}
		}
	}
}

func (e *deed) record(n *names) Record {
	r := Record{Authored: Authored{Revision: e.Revision, At: e.At, Actor: e.by.Actor, Dialect: e.by.Dialect, Request: e.by.Request},
		Count: e.count, Whole: e.told == e.count, Changes: make([]Told, len(e.changes))}
	if e.ActorNumber != 0 && !e.by.Actor.User.IsZero() {
		r.User = n.user(e.ActorNumber, e)
	}
	for i := range e.changes {
		t := e.changes[i].Told
		switch t.noun() {
		case "user":
			t.User = n.user(t.Number, e)
		case "group", "members":
			t.Group = n.group(t.Number, e)
		case "credential":
			t.Before, t.After = ofCredential(t.Before), ofCredential(t.After)
		}
		for j, m := range t.Members {
			if u, ok := m.User(); ok {
				t.Who[j].User = n.user(u, e)
			} else if g, ok := m.Group(); ok {
				t.Who[j].Group = n.group(g, e)
			}
		}
		r.Changes[i] = t
	}
	return r
}

// noun is what a change is of: the first word of its kind.
func (c Change) noun() string {
	noun, _, _ := strings.Cut(string(c.Kind), ".")
	return noun
}

// ofCredential leaves the fields that are told of a credential.
func ofCredential(fields map[string]any) map[string]any {
	told := map[string]any{}
	for _, name := range []string{"kind", "name", "grants", "expires", "user"} {
		if v, ok := fields[name]; ok {
			told[name] = v
		}
	}
	return told
}

// user and group are as of when somebody is named: once the commit was made, or
// before it if it deleted them.
func (e *deed) user(n id.Number) NumberAt { return e.as(UserDeleted, n) }

func (e *deed) group(n id.Number) NumberAt { return e.as(GroupDeleted, n) }

func (e *deed) as(deleted ChangeKind, n id.Number) NumberAt {
	if e.gone == nil {
		e.gone = map[ChangeKind]map[id.Number]bool{UserDeleted: {}, GroupDeleted: {}}
		for _, ch := range e.Changes {
			if ch.Kind == UserDeleted || ch.Kind == GroupDeleted {
				e.gone[ch.Kind][ch.Number] = true
			}
		}
	}
	if e.gone[deleted][n] {
		return NumberAt{n, e.Revision - 1}
	}
	return NumberAt{n, e.Revision}
}

// names are what users and groups were called.
type names struct {
	users  map[NumberAt]User
	groups map[NumberAt]Group
}

// find looks up everybody who was asked for.
func (n *names) find(l *look) (err error) {
	if n.users, err = l.UsersAt(slices.Collect(maps.Keys(n.users))); err != nil {
		return err
	}
	n.groups, err = l.GroupsAt(slices.Collect(maps.Keys(n.groups)))
	return err
}

// user is who had a number. One whom the commit made and deleted was nobody
// before and after it, and is known from its changes.
func (n *names) user(number id.Number, e *deed) *User {
	if u, ok := n.users[e.user(number)]; ok {
		return &u
	}
	u := User{Number: number}
	u.ID, u.Name = e.known("user", number)
	return &u
}

func (n *names) group(number id.Number, e *deed) *Group {
	if g, ok := n.groups[e.group(number)]; ok {
		return &g
	}
	g := Group{Number: number}
	g.ID, g.Name = e.known("group", number)
	return &g
}

func (e *deed) known(noun string, number id.Number) (uid [16]byte, name string) {
	for _, ch := range e.Changes {
		if ch.noun() == noun && ch.Number == number {
			uid = ch.ID
			for _, fields := range []map[string]any{ch.Before, ch.After} {
				if text, ok := fields["name"].(string); ok {
					name = text
				}
			}
		}
	}
	return uid, name
}
