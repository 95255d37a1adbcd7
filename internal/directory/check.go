package directory

import (
	"context"

	"roster/internal/id"
	"roster/internal/index"
)

// Check asks whether a user is in a group. Fresh is looked at by
// [Directory.IsMember] alone.
type Check struct {
	User  Ref
	Group Ref
	Fresh Freshness
}

// Freshness is how new an answer has to be. The zero value is strong: it holds
// every write acknowledged, on any node, before the question. A weaker one may
// spare asking how far other nodes have come, and may miss what was added since;
// it never says yes after an acknowledged removal, because a yes is always strong.
type Freshness struct {
	Cached  bool     // whatever this node has at hand will do
	AtLeast Revision // unless it is 0, an answer as of this revision will do
}

// allows reports whether an answer as of a revision is new enough.
func (f Freshness) allows(rev Revision) bool { return f.Cached || f.AtLeast > 0 && rev >= f.AtLeast }

// MaxChecks is how many pairs one call may ask about.
const MaxChecks = 1000

// IsMember answers whether a user is in a group now, directly or through groups.
// "No" is an answer, also when there is no such user or group: who may ask may
// know, and a caller cannot mistake an error for a yes. A name that two groups
// bear is refused as ambiguous. It needs [ReadMembers]; a user may ask about
// itself. It heeds [Within], as [Directory.WereMembers] does.
func (d *Directory) IsMember(ctx context.Context, p Principal, c Check) (Answer[bool], error) {
	if err := p.heeding().may(ReadSelf); err != nil {
		return Answer[bool]{}, err
	}
	if p.User.IsZero() && p.Within == nil && c.User.Kind == RefID && c.Group.Kind == RefID {
		if err := p.may(ReadMembers); err != nil {
			return Answer[bool]{}, err
		}
		if st := d.memory().index.Get(p.Tenant); st != nil && c.Fresh.allows(Revision(st.Revision())) {
			if a := d.ask(st, c); !a.Value {
				return a, nil
			}
		}
		st, err := d.picture(ctx, p.Tenant, p.Fence)
		if err != nil {
			return Answer[bool]{}, err
		}
		if st != nil {
			return d.ask(st, c), nil
		}
	}
	a, err := d.AreMembers(ctx, p, []Check{c})
	if err != nil {
		return Answer[bool]{}, err
	}
	return Answer[bool]{Value: a.Value[0], Revision: a.Revision}, nil
}

// ask answers a check by ids from the index.
func (d *Directory) ask(st *index.State, c Check) Answer[bool] {
	u, ok1 := st.User(id.User(c.User.UUID))
	g, ok2 := st.Group(id.Group(c.Group.UUID))
	return Answer[bool]{Value: ok1 && ok2 && st.Check(u, g, d.Now().UnixMicro()), Revision: Revision(st.Revision())}
}

// AreMembers answers many checks, in order, at one revision. It needs
// [ReadMembers]; a user may ask about itself.
func (d *Directory) AreMembers(ctx context.Context, p Principal, checks []Check) (Answer[[]bool], error) {
	return d.WereMembers(ctx, p, checks, When{})
}

// Authors says who made these commits; one that does not exist is left out. It
// needs [ReadUsers].
func (d *Directory) Authors(ctx context.Context, p Principal, revisions []Revision) (Answer[[]Authored], error) {
	return view(ctx, d, p, ReadUsers, func(l *look) ([]Authored, error) { return l.Authors(revisions) })
}

// Exists tells whether a tenant has a user, or a group. Like
// [Directory.FindTenant] it asks for no principal, for dialects that must find
// what a path goes through before they look at the credential, and it tells
// nothing else.
func (d *Directory) Exists(ctx context.Context, tenant id.Tenant, who MemberRef) (bool, error) {
	var numbers []id.Number
	err := d.store.View(ctx, tenant, func(r Reader) (err error) {
		if who.IsGroup {
			numbers, err = r.GroupNumbers([]Ref{who.Ref})
		} else {
			numbers, err = r.UserNumbers([]Ref{who.Ref})
		}
		return err
	})
	return err == nil && numbers[0] != 0, err
}
