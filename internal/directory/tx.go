package directory

import (
	"context"
	"errors"
	"time"

	"roster/internal/id"
)

// look is one operation's transaction for reading, with who asks.
type look struct {
	Reader
	d *Directory
	p Principal

	// from is where the index stood when a question about now was asked.
	from pictured
	// missed is set when privileges had to be worked out in this transaction.
	missed bool
	// answered is the revision that the answer is of, nil for the transaction's.
	answered *Revision
}

// tx is one operation's transaction for writing.
type tx struct {
	look
	Writer

	// keeps is set while whoever runs the changes sees to it that there is an
	// administrator when all are done.
	keeps bool

	// inParts is set when the operation is done again with what may be refused
	// in parts of the transaction.
	inParts bool
}

// errInParts asks that an operation be done again in parts. Trying it without
// costs less, and mostly nothing is refused.
var errInParts = errors.New("again in parts")

// privileges says what standing in a group confers: the grants of the group and
// of every group above it. Groups that confer nothing are not in it. It is made
// from the rows of one [Reader.Shape] and holds for exactly that shape.
type privileges struct {
	shape   int64
	confers map[id.Number]Grants
}

// privileges returns what the tenant's groups confer. A link with dates counts
// as if it always held, because this decides who may hand rights out: an upper
// bound fails closed.
func (l *look) privileges() (map[id.Number]Grants, error) {
	shape, err := l.Reader.Shape()
	if err != nil {
		return nil, err
	}
	if kept, ok := l.d.memory().privileges.Load(l.p.Tenant); ok && kept.(*privileges).shape == shape {
		return kept.(*privileges).confers, nil
	}
	l.missed = true
	granting, err := l.Reader.Granting()
	if err != nil {
		return nil, err
	}
	confers := make(map[id.Number]Grants, len(granting))
	changed := make([]id.Number, 0, len(granting))
	for _, g := range granting {
		confers[g.Number] = g.Grants.closed()
		changed = append(changed, g.Number)
	}
	links, err := l.Reader.Descend(changed)
	if err != nil {
		return nil, err
	}
	in := childrenBy(links)
	for ; len(changed) > 0; changed = changed[1:] {
		above := confers[changed[0]]
		for _, child := range in[changed[0]] {
			if with := confers[child] | above; with != confers[child] {
				confers[child] = with
				changed = append(changed, child)
			}
		}
	}
	return confers, nil
}

// childrenBy returns the groups in each group, by these links.
func childrenBy(links []Link) map[id.Number][]id.Number {
	in := map[id.Number][]id.Number{}
	for _, l := range links {
		if child, ok := l.Member.Group(); ok {
			in[l.Group] = append(in[l.Group], child)
		}
	}
	return in
}

// learnPrivileges remembers what a tenant's groups confer as committed. It is
// called outside of any write, because the shape that an open transaction sees
// may be one that never commits.
func (d *Directory) learnPrivileges(ctx context.Context, t id.Tenant) {
	err := d.store.View(ctx, t, func(r Reader) error {
		shape, err := r.Shape()
		if err != nil {
			return err
		}
		confers, err := (&look{Reader: r, d: d, p: Principal{Tenant: t}}).privileges()
		if err == nil {
			d.memory().privileges.Store(t, &privileges{shape: shape, confers: confers})
		}
		return err
	})
	if err != nil {
		d.log.ErrorContext(ctx, "privileges not kept", "tenant", t, "err", err)
	}
}

// held returns the grants that user holds now through groups.
func (l *look) held(user id.Number, at time.Time) (Grants, error) {
	confers, err := l.privileges()
	if err != nil || len(confers) == 0 {
		return 0, err
	}
	groups, err := l.Reader.GroupsOf(id.UserMember(user), at)
	if err != nil {
		return 0, err
	}
	granting, err := l.Reader.Granting()
	if err != nil {
		return 0, err
	}
	own := make(map[id.Number]Grants, len(granting))
	for _, g := range granting {
		own[g.Number] = g.Grants
	}
	var held Grants
	for _, g := range groups {
		held |= own[g]
	}
	return held.closed(), nil
}

// effective returns what the principal holds in this transaction: the bound of
// its credential and, if it acts for a user, no more than that user holds now.
func (l *look) effective() (Grants, error) {
	bound := l.p.Grants.closed()
	if l.p.User.IsZero() {
		return bound, nil
	}
	numbers, err := l.Reader.UserNumbers([]Ref{ByUser(l.p.User)})
	if err != nil || numbers[0] == 0 {
		return 0, err
	}
	held, err := l.held(numbers[0], l.now())
	return bound & (held | ReadSelf | WriteSelf), err
}

// now is the moment of the question.
func (l *look) now() time.Time { return l.d.Now() }

// authorize refuses a principal that does not hold need in this transaction.
func (l *look) authorize(need Grants) error {
	if l.p.User.IsZero() || need&^(ReadSelf|WriteSelf) == 0 {
		return nil // the bound was checked before, and every user holds these
	}
	have, err := l.effective()
	if err != nil {
		return err
	}
	if !have.Has(need) {
		return forbidden("grant.missing", "This user does not hold %s.", need&^have)
	}
	return nil
}

// authorizeAbout refuses a principal that does not hold need, unless it asks
// about itself, for which an operation demands no more than [ReadSelf] or
// [WriteSelf] when it begins.
func (l *look) authorizeAbout(user id.User, need Grants) error {
	if !user.IsZero() && (l.p.User == user || l.p.Self == user) {
		return nil
	}
	if err := l.p.may(need); err != nil {
		return err
	}
	return l.authorize(need)
}

// authorizeAll is authorizeAbout for many.
func (l *look) authorizeAll(users []id.Number, need Grants) error {
	err := l.p.may(need)
	if err == nil {
		err = l.authorize(need)
	}
	if err == nil || l.p.User.IsZero() {
		return err
	}
	own, lookup := l.Reader.UserNumbers([]Ref{ByUser(l.p.User)})
	if lookup != nil {
		return lookup
	}
	for _, n := range users {
		if n == 0 || n != own[0] {
			return err
		}
	}
	return nil
}

// mustHold refuses a principal that would handle rights it does not hold.
func (l *look) mustHold(rights Grants, what string) error {
	if rights == 0 {
		return nil
	}
	have, err := l.effective()
	if err != nil {
		return err
	}
	if e := lacking(rights, have, what); e != nil {
		return e
	}
	return nil
}

// lacking says which of the rights somebody does not hold; nil if it holds them.
func lacking(rights, have Grants, what string) *Error {
	missing := rights &^ have
	if missing == 0 {
		return nil
	}
	if named := missing &^ (ReadSelf | WriteSelf); named != 0 {
		missing = named // which say enough
	}
	return forbidden("membership.privileged", "%s carries %s, which this credential does not hold.", what, missing)
}

// mayRule refuses a principal that would change the memberships of a group that
// confers rights it does not hold, whether it adds or removes.
func (l *look) mayRule(groups ...id.Number) error {
	confers, err := l.privileges()
	if err != nil || len(confers) == 0 {
		return err
	}
	var rights Grants
	for _, g := range groups {
		rights |= confers[g]
	}
	return l.mustHold(rights, "That group")
}

// refuseItems is mayRule item by item: it marks those whose groups the principal
// may not change the memberships of.
func (l *look) refuseItems(items []item) error {
	confers, err := l.privileges()
	if err != nil || len(confers) == 0 {
		return err
	}
	have, err := l.effective()
	if err != nil {
		return err
	}
	for n, i := range items {
		if e := lacking(confers[i.edge.Group], have, "That group"); e != nil {
			items[n].problem = e
		}
	}
	return nil
}

// mayTouch refuses a principal that would change a user who holds rights it
// does not: whoever can change an administrator's address or password is one.
// What the user will hold once a date comes or a suspension ends counts as held.
func (l *look) mayTouch(user id.Number) error {
	confers, err := l.privileges()
	if err != nil || len(confers) == 0 {
		return err
	}
	edges, err := l.edgesOf(MembershipQuery{Member: id.UserMember(user)}, unended(l.now()))
	if err != nil {
		return err
	}
	var rights Grants
	for _, e := range edges {
		rights |= confers[e.Group]
	}
	return l.mustHold(rights, "That user")
}

// endOfTime is after every date that a membership or a user can have.
var endOfTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)

// administered reports whether some user who is active at a moment holds Admin then.
func (l *look) administered(at time.Time) (bool, error) {
	granting, err := l.Reader.Granting()
	if err != nil {
		return false, err
	}
	for _, g := range granting {
		if g.Grants.Has(Admin) {
			some, err := l.Reader.MembersOf(g.Number, at, 0, 1)
			if err != nil || len(some) > 0 {
				return len(some) > 0, err
			}
		}
	}
	return false, nil
}

// ErrLastAdmin is returned by every write that would leave a tenant, which has
// an administrator, without one: now, or once the dates it sets have come.
var ErrLastAdmin = conflict("admin.last", "", "That would remove the last administrator.")

// keepingAdmin runs a change that may take rights away, and refuses it if it
// took the last administrator's, at once or by a date that will come. touches
// says whether it can at all.
func (t *tx) keepingAdmin(touches bool, change func() error) error {
	if !touches || t.keeps {
		return change()
	}
	moments := [...]time.Time{t.now(), endOfTime}
	var before [len(moments)]bool
	for i, at := range moments {
		var err error
		if before[i], err = t.administered(at); err != nil {
			return err
		}
	}
	if err := change(); err != nil {
		return err
	}
	for i, at := range moments {
		if !before[i] {
			continue
		}
		if after, err := t.administered(at); err != nil {
			return err
		} else if !after {
			return ErrLastAdmin
		}
	}
	return nil
}

// conferAdmin reports whether any of the groups confers Admin.
func (l *look) conferAdmin(groups ...id.Number) (bool, error) {
	confers, err := l.privileges()
	for _, g := range groups {
		if confers[g].Has(Admin) {
			return true, err
		}
	}
	return false, err
}

// replay answers a request that was carried out before.
func (t *tx) replay() error {
	once := t.p.Once
	if once == nil {
		return nil
	}
	kept, ok, err := t.Remembered(t.p.Credential, once.Key)
	if err != nil || !ok {
		return err
	}
	if kept.Fingerprint != once.Fingerprint {
		return conflict("idempotency.mismatch", "Idempotency-Key", "That key was used for a different request.")
	}
	once.Replay = kept.Answer
	return ErrReplayed
}

// remember keeps the answer of a request that must happen at most once.
func (t *tx) remember(answer any) error {
	once := t.p.Once
	if once == nil {
		return nil
	}
	return t.Remember(t.p.Credential, once.Key, Kept{
		Fingerprint: once.Fingerprint,
		Answer:      once.Encode(answer, t.Outcome()),
	})
}
