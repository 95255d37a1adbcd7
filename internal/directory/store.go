package directory

import (
	"context"
	"iter"
	"time"

	"roster/internal/id"
)

// Store remembers. It is one of Roster's few interfaces because two engines
// implement it; package storetest is the suite that says what is correct.
//
// Every call is bound to one tenant, named by its id; the zero tenant is the
// platform itself, whose log holds the making of tenants and of the platform's
// own credentials. Errors are [Error] where the caller can do something about
// them, and anything else is the store's own trouble. A Store is safe for
// concurrent use.
type Store interface {
	// Update runs fn in one serializable transaction and returns the revision
	// that committed, which is durable by then. If fn returns an error nothing
	// is kept and that error comes back unwrapped. If fn changed nothing there
	// is no new revision, and the current one is returned. fn may run more than
	// once, so it must not touch anything but its Writer; an engine may commit
	// several callers' work at once.
	//
	// A context that ends before fn has run withdraws the request. After that
	// the call waits for the outcome, so that the caller always learns it.
	Update(ctx context.Context, t id.Tenant, by Author, fn func(Writer) error) (Revision, error)

	// View runs fn over one consistent picture that holds everything
	// acknowledged, on any node, before the call.
	View(ctx context.Context, t id.Tenant, fn func(Reader) error) error

	// Fence returns a revision at or above every one that was acknowledged for
	// t before the call by somebody other than a caller of this Store value. It
	// is 0 on an engine that has no other nodes: whoever made a write here has
	// already been told.
	Fence(ctx context.Context, t id.Tenant) (Revision, error)

	// Watch tells the watcher what becomes of the store by others' doing, until
	// ctx or the store ends. On an engine without other nodes it tells nothing.
	Watch(ctx context.Context, w Watcher)

	// Commits yields the change log of t in order, starting after a revision. It
	// ends no earlier than the last commit that this Store value acknowledged, or
	// that Fence or Watch told of, before the call, and on an engine without other
	// nodes no earlier than one that a View told of; an error ends it early.
	Commits(ctx context.Context, t id.Tenant, after Revision) iter.Seq2[*Commit, error]

	// Tenants yields every tenant by ascending code, starting after one.
	Tenants(ctx context.Context, after int64, limit int) ([]Tenant, error)

	// TenantByName finds a tenant by its folded name, or by its id's or code's
	// text form: ErrNoTenant if there is none.
	TenantByName(ctx context.Context, name string) (Tenant, error)
	TenantByID(ctx context.Context, t id.Tenant) (Tenant, error)
	TenantByCode(ctx context.Context, code int64) (Tenant, error)

	// Due returns tenants of which a membership's date had come by a moment and
	// is not recorded yet, at most limit of them. A write to such a tenant, be it
	// one that does nothing, records it: every write transaction first leaves
	// [MembersStarted] and [MembersEnded] for the dates that have come since the
	// last one, each once, by moment, group and member.
	Due(ctx context.Context, at time.Time, limit int) ([]id.Tenant, error)

	// CredentialByHash finds the credential with that kind and hash, in
	// whichever tenant it is, and the revision of that tenant at which it was
	// read. It is the one question that precedes knowing the tenant.
	CredentialByHash(ctx context.Context, kind CredentialKind, hash []byte) (Credential, error)

	// Touch notes when credentials were last used. It is bookkeeping outside
	// the change log; an unknown credential is no error.
	Touch(ctx context.Context, used map[id.Credential]time.Time) error

	// CountVisits adds to how often users have signed in on a day. It is
	// bookkeeping outside the change log; an unknown user is no error. What is
	// older than [VisitsKept] may be forgotten.
	//
	// The counts of one call may be added twice if the connection breaks before the
	// answer, and after an error nobody knows whether they were. They tell who is
	// active, and are gathered in memory, where a crash loses them anyway: to make
	// them exact would cost each sign-in a transaction of its own.
	CountVisits(ctx context.Context, counts map[Visit]int) error

	// Ready returns nil if the store can serve now.
	Ready(ctx context.Context) error

	Close() error
}

// Visit is that a user signed in on a day.
type Visit struct {
	Tenant id.Tenant
	User   id.User
	Day    Day
}

// Day counts the days of UTC since that of the Unix epoch.
type Day int64

// DayOf returns the day of a moment.
func DayOf(t time.Time) Day { return Day(t.Unix() / (24 * 60 * 60)) }

// VisitsKept is how long sign-ins are counted at least.
const VisitsKept = 60 * 24 * time.Hour

// Watcher is told what becomes of a store by others' doing.
type Watcher struct {
	// Heard is called when another node is known to have taken a tenant to a
	// revision, as soon as word of it comes, from one goroutine at a time. Word
	// may be lost, so the store also asks now and then about those tenants that
	// Interested returns.
	Interested func() []id.Tenant
	Heard      func(id.Tenant, Revision)

	// Rewound is called when the store turns out to be served from another
	// history: the same revisions may mean something else now. It is called
	// before anything is read from there, from any goroutine, and must not wait
	// for the store.
	Rewound func()
}

// Author is what the change log keeps about who made a commit.
type Author struct {
	Actor   Actor
	Dialect string
	Request string
}

// Reader asks about one tenant inside one transaction. Lists are ascending
// by number. Methods that take many things use a number of statements that does
// not depend on how many.
type Reader interface {
	Past // as of the transaction

	Revision() (Revision, error)

	// AsOf answers as of an earlier commit, or the last: [ErrForgotten] if the
	// tenant's past does not reach back that far.
	AsOf(Revision) (Past, error)
	// RevisionAt is the last commit at or before a moment; 0 if there is none.
	RevisionAt(time.Time) (Revision, error)
	// Periods returns, ascending, at most limit of the ways in which a
	// membership stood that began after a revision, the one that stands included,
	// with who added it.
	Periods(e Edge, after Revision, limit int) ([]Period, error)

	Tenant() (Tenant, error)

	// Shape counts the changes of what groups grant: a group's grants, a link
	// between groups, the end of a group. Equal shapes mean equal grants.
	Shape() (int64, error)

	// User finds one user; ErrNoUser if there is none.
	User(Ref) (User, error)
	// ListUsers returns at most limit users after a number.
	ListUsers(f UserFilter, after id.Number, limit int) ([]User, error)
	// CountUsers counts all of them, which takes as long as there are many.
	CountUsers() (int64, error)

	// Group finds one group; ErrNoGroup if there is none, ErrAmbiguous if two
	// bear the name.
	Group(Ref) (Group, error)
	ListGroups(f GroupFilter, after id.Number, limit int) ([]Group, error)

	// FindUsers and FindGroups search. The search was checked; its texts are
	// folded.
	FindUsers(Search) (Hits, error)
	FindGroups(Search) (Hits, error)
	// CountMembers returns, for those of these groups that have any, how many
	// members they have directly at a moment: users who are active, and groups.
	CountMembers(groups []id.Number, at time.Time) (map[id.Number]MemberCount, error)

	// SignIns returns how those of these users sign in that ever tried.
	SignIns(users []id.Number) (map[id.Number]SignIn, error)

	// Edges returns at most limit of the edges into these groups, and of those of
	// these members, whatever their dates say, by group and member.
	Edges(groups []id.Number, members []id.Member, limit int) ([]Edge, error)
	// MembershipsOf returns the memberships of these members that hold at a
	// moment (whatever their dates say if it is zero), those of users who are
	// not active left out, by member and then by group.
	MembershipsOf(members []id.Member, at time.Time) ([]Membership, error)
	// Links returns the memberships of groups in these groups, whatever their dates
	// say, by group and member.
	Links(of []id.Number) ([]Membership, error)
	// Descend returns every link on the ways down from these groups, whatever its
	// dates say, by group and member: the groups in these, those in them, and so on.
	Descend([]id.Number) ([]Link, error)

	// Placements returns where users stand at one moment, directly or through
	// groups, by user and then by group. It does not ask whether they are active.
	Placements(users []id.Number, at time.Time) ([]Edge, error)

	// Visits returns how often these users have signed in since a moment, to
	// the day; those who have not are left out.
	Visits(users []id.Number, since time.Time) (map[id.Number]int, error)

	// Granting returns every group that carries grants.
	Granting() ([]Group, error)
	// Joining returns every group that new users join.
	Joining() ([]Group, error)

	Credential(id.Credential) (Credential, error)
	// Credentials lists those of the kind (all kinds if empty), by ascending code.
	Credentials(q CredentialQuery, after int64, limit int) ([]Credential, error)

	// Authors says who made these commits; one that does not exist is left out.
	Authors([]Revision) ([]Authored, error)

	// Log calls fn for the commits that a query means, in its order, until fn
	// fails, which Log then fails with.
	Log(q LogQuery, fn func(Logged) error) error
	// UsersAt and GroupsAt say who had a number once that commit had been made, as
	// [Past] does; who did not exist then is left out. They do not refuse what is
	// beyond the past that is known: of that they tell the earliest they know.
	UsersAt([]NumberAt) (map[NumberAt]User, error)
	GroupsAt([]NumberAt) (map[NumberAt]Group, error)
	// Dated returns at most limit of the edges on which a membership stands, or once
	// stood, with a date after one moment and no later than another; and, as edges
	// into no group, users who expire in between, or once were to. One may come more
	// than once. However many memberships there are, it costs what it returns.
	Dated(after, until time.Time, limit int) ([]Edge, error)
	// EndedIn returns how those of the memberships stood that the commit changed or
	// ended.
	EndedIn([]EdgeAt) (map[EdgeAt]Standing, error)
	// Buried finds the deleted user, or group, that a ref names: by name only one
	// that bore it until it was deleted. The zero Grave is none, and one with the
	// number [Ambiguous] more than one.
	Buried(m MemberRef) (Grave, error)

	// Scan yields everything the index holds, at the transaction's revision:
	// first all users, then all groups, then all edges ordered by group and member.
	Scan(users func(id.Number, id.User, bool, time.Time) error,
		groups func(id.Number, id.Group) error,
		edges func(Edge, Standing) error) error
}

// Past asks how a tenant's memberships are, or were once one of its commits had
// been made. What was begun and ended by one commit was never there.
type Past interface {
	// Users returns those of the numbered users that exist. Of the past, ID,
	// Number, Code, Name, Suspended and Expires are told, and nothing else.
	Users([]id.Number) ([]User, error)
	// UserNumbers resolves refs, in order; 0 stands for nobody, [Ambiguous] for
	// more than one. In the past a name is what was so named then, and ids,
	// numbers and codes also find what has been deleted since.
	UserNumbers([]Ref) ([]id.Number, error)

	// UserNames returns those of the numbered users that exist, by number, and
	// UsersByName a page of all in the order of their folded names, which no two
	// share.
	UserNames([]id.Number) ([]Named, error)
	UsersByName(NameQuery) ([]Named, error)

	// Groups and GroupNumbers are the same for groups; of the past ID, Number,
	// Code and Name are told.
	Groups([]id.Number) ([]Group, error)
	GroupNumbers([]Ref) ([]id.Number, error)

	// Standing returns the memberships that stand on these edges, whatever
	// their dates say and without who added them.
	Standing([]Edge) ([]Membership, error)
	// Memberships returns a page of memberships with who added them. The order
	// of joining is for the present alone.
	Memberships(MembershipQuery) ([]Membership, error)
	// Climb returns every link on the ways up from these members, whatever its
	// dates say, by group and member: the memberships of these, those of the
	// groups they are in, and so on.
	Climb([]id.Member) ([]Link, error)

	// Check, MembersOf and GroupsOf answer as the index would, from the rows:
	// transitively, at one moment, for active users only. Checks returns those
	// of the edges, of users in groups, for which Check says yes.
	Check(user, group id.Number, at time.Time) (bool, error)
	Checks(of []Edge, at time.Time) ([]Edge, error)
	MembersOf(group id.Number, at time.Time, after id.Number, limit int) ([]id.Number, error)
	GroupsOf(m id.Member, at time.Time) ([]id.Number, error)
}

// Writer changes one tenant inside one transaction. Each method leaves its own
// change record in the commit.
type Writer interface {
	Reader

	// At is the moment of the commit: UTC, to the microsecond, and never before
	// that of the tenant's previous commit, whatever the clock did.
	At() time.Time

	// Outcome is the revision that [Store.Update] would return if the
	// transaction ended here.
	Outcome() Revision

	// Try runs fn. If fn fails, what it wrote is undone, the error comes back
	// with its kind, and the transaction goes on. It does not after an error
	// that is [Unavailable]: that one ends it, whatever the caller does. Calls
	// do not nest.
	Try(fn func() error) error

	// InsertTenant works in the platform's own log only. It fills what is zero
	// of ID and Code.
	InsertTenant(*Tenant) error
	// UpdateTenant and DeleteTenant work in the tenant's own log and in the
	// platform's respectively.
	UpdateTenant(before, after Tenant) error
	DeleteTenant(Tenant) error

	// InsertUser fills what is zero of ID, Number, Code and Person. A name, an
	// address or an id that is taken, or that was used before, is Conflict.
	InsertUser(*User) error
	UpdateUser(before, after User) error
	// DeleteUser removes the user's row; its edges and credentials must be gone.
	DeleteUser(User) error

	InsertGroup(*Group) error
	UpdateGroup(before, after Group) error
	DeleteGroup(Group) error

	// InsertEdges makes memberships stand on edges where none does, in this
	// order of joining, and returns those that stood on the others already.
	// UpdateEdges makes those that stand on the edges of these memberships stand
	// as these do, of which nothing else is looked at; DeleteEdges ends them.
	// What ends is kept as a past period. No edge may be given twice.
	InsertEdges([]Edge, Standing) (present []Membership, err error)
	UpdateEdges([]Membership) error
	DeleteEdges([]Edge) error

	// PutSignIn keeps how a user signs in. It leaves a record only of what
	// [SignInChange] says; counters are bookkeeping.
	PutSignIn(u User, before, after SignIn) error

	InsertCredential(*Credential) error
	UpdateCredential(Credential) error
	DeleteCredential(Credential) error

	// Remembered returns what Remember kept under the key by this credential.
	Remembered(c id.Credential, key string) (Kept, bool, error)
	Remember(c id.Credential, key string, k Kept) error
}

// LogQuery asks for part of the change log, newest first unless Ascending: at
// most Limit of the commits from From to To, both included. Zero fields of who
// made them do not narrow it.
type LogQuery struct {
	From, To  Revision
	Ascending bool
	Limit     int

	Credential id.Credential
	User       id.User
	Name       string // the actor's, exactly
	Dialect    string
	Request    string
}

// Logged is a commit of the log. ActorNumber is that of the user whom the actor
// acted for; 0 for none, or one of another tenant.
type Logged struct {
	*Commit
	ActorNumber id.Number
}

// NumberAt is a number as of a commit.
type NumberAt struct {
	Number   id.Number
	Revision Revision
}

// EdgeAt is an edge as of a commit.
type EdgeAt struct {
	Edge
	Revision Revision
}

// Grave is where a deleted user or group lies.
type Grave struct {
	Number id.Number
	ID     [16]byte
}

// Link is a membership's edge with its dates.
type Link struct {
	Edge
	From, Until time.Time
}

// HoldsAt reports whether the link holds at t.
func (l Link) HoldsAt(t time.Time) bool { return Standing{From: l.From, Until: l.Until}.HoldsAt(t) }

// Period is one way in which a membership stood: since the commit that is its
// Revision, and until the one that Ended it, 0 if it still stands.
type Period struct {
	Membership
	Ended Revision
}

// Kept is an answer kept for a retried request.
type Kept struct {
	Fingerprint [32]byte
	Answer      []byte
}

// UserFilter narrows a list of users; zero fields do not.
type UserFilter struct {
	NamePrefix string // folded
	Suspended  *bool

	// Descending lists those below the number that the list starts after,
	// greatest first; from the greatest of all if that is 0.
	Descending bool
}

// GroupFilter narrows a list of groups; zero fields do not.
type GroupFilter struct {
	NamePrefix string // folded
	Descending bool   // as in [UserFilter]
}

// NameQuery asks for at most Limit users by ascending folded name, or descending:
// those that come after From or bear it, all if it is empty. Prefix, unless empty,
// leaves the names that begin with it.
type NameQuery struct {
	From, Prefix string // folded
	Descending   bool
	Limit        int
}

// Named is a user by its folded name, with what says whether it is active.
type Named struct {
	Number    id.Number
	Name      string
	Suspended bool
	Expires   time.Time
}

// ActiveAt is as [User.ActiveAt].
func (n Named) ActiveAt(t time.Time) bool {
	return User{Suspended: n.Suspended, Expires: n.Expires}.ActiveAt(t)
}

// Search asks for a page of the users or groups that a filter means, in an order
// that ends with the number, and how many there are in all.
type Search struct {
	Filter Filter
	Order  []Order

	// Offset things are passed over; After, unless nil, is where the previous
	// page ended, which costs the same for every page.
	Offset int
	After  *Position
	Limit  int
	Total  bool // count them all

	// Within, unless nil, leaves those who stand directly in one of these groups
	// at the moment At, of users only active ones; Without leaves those who do
	// not; Among, unless nil, leaves those with these numbers.
	Within, Without, Among []id.Number
	At                     time.Time
}

// Position is where a thing stands in an order: the values that it is sorted by,
// each a string or an int64, and its number. It outlives the thing.
type Position struct {
	Keys   []any
	Number id.Number
}

// Hits are what a [Search] found: the numbers of a page in order, where the next
// page begins (nil at the end), and how many there are in all if that was asked
// for.
type Hits struct {
	Numbers []id.Number
	Next    *Position
	Total   int
}

// MemberCount is how many members a group has directly.
type MemberCount struct {
	Users, Groups int
}

// MembershipQuery asks for the memberships of one group (Member zero) or of one
// member (Group zero), by ascending [MemberCursor]: groups before users,
// each by number.
type MembershipQuery struct {
	Group  id.Number
	Member id.Member

	After int64 // the [MemberCursor] (or group number) of the previous page's last; 0 to start
	Limit int

	// Joining lists in the order of joining instead: After is a serial. It
	// leaves groups out of a group's members. Descending lists those who joined
	// before After (before all if it is 0), the last to join first. A page
	// costs what the group is large.
	Joining    bool
	Descending bool

	// At leaves out memberships that do not hold then, and users not active.
	// The zero time leaves out nothing.
	At time.Time

	// Bare tells nothing of the memberships but their edges, which costs less. It
	// is not for the order of joining.
	Bare bool
}

// CredentialQuery narrows a list of credentials; zero fields do not.
type CredentialQuery struct {
	Kind   CredentialKind
	User   id.User
	Users  []id.User // of any of these, unless it is nil
	Parent id.Credential
	Handle string

	// Descending is as in [UserFilter], by code.
	Descending bool

	// Expired leaves only those that had expired by then.
	Expired time.Time
}

// Conflicts that stores return when a name is taken. A name once given to a
// thing is never given to another, so a deleted thing's id, number or code is
// taken too.
var (
	ErrTenantNameTaken = conflict("tenant.name.taken", "name", "That name is taken.")
	ErrUserNameTaken   = conflict("user.name.taken", "name", "That name is taken.")
	ErrEmailTaken      = conflict("user.email.taken", "email", "That e-mail address is taken.")
	ErrIDTaken         = conflict("id.taken", "id", "That id is or was in use.")
	ErrNumberTaken     = conflict("number.taken", "number", "That number is or was in use.")
	ErrCodeTaken       = conflict("code.taken", "code", "That code is or was in use.")
	ErrExternalTaken   = conflict("external.taken", "external_ids", "That external id is taken.")
	ErrSecretTaken     = conflict("credential.taken", "secret", "That secret is in use.")
)
