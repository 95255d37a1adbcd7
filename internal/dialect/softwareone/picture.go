package softwareone

import (
	"context"
	"errors"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// Bounds on what one answer shows. What is cut short is named in $meta.omitted
// of the object it is cut from.
const (
	maxGroups = 100 // groups of an account user, and of an account
	maxUsers  = 10  // users of each group
)

// picture is what an answer is drawn from. It is read once and then only looked
// at; the functions that draw each object are beside its noun.
type picture struct {
	now        time.Time
	operations bool // the caller sees what only the platform's own people do

	tenant     directory.Tenant
	groups     []directory.Group // the account's, by number
	moreGroups bool

	members map[id.Number]members // who is in a group, by the group's number
	people  map[id.User]directory.User
	authors map[directory.Revision]directory.Authored
}

// members are the users in a group.
type members struct {
	users []directory.User
	more  bool
}

// standing is an account user with the groups it stands in.
type standing struct {
	directory.User
	groups []directory.MemberOf // shown, by number
	more   bool
	all    []directory.MemberOf // as many as were read
}

// load reads an account user and everything that its rendering shows. shown is
// the number of a group that must be among those shown if the user is in it; 0
// for none. It makes the same number of calls however many there are of anything,
// save one for each group shown.
func (d *door) load(ctx context.Context, p directory.Principal, ref directory.Ref, shown id.Number) (*picture, standing, error) {
	v := &picture{
		now:        d.directory.Now(),
		operations: p.Grants.Has(directory.Platform),
		members:    map[id.Number]members{},
		people:     map[id.User]directory.User{},
		authors:    map[directory.Revision]directory.Authored{},
	}
	var s standing
	u, err := d.directory.User(ctx, p, ref)
	if err != nil {
		return nil, s, err
	}
	s.User = u.Value
	v.people[s.ID] = s.User
	tenant, err := d.directory.Tenant(ctx, p)
	if err != nil {
		return nil, s, err
	}
	v.tenant = tenant.Value
	groups, err := d.directory.Groups(ctx, p, directory.ListGroups{Page: directory.Page{Limit: maxGroups}})
	if err != nil {
		return nil, s, err
	}
	v.groups, v.moreGroups = groups.Value.Items, groups.Value.Next != 0
	if err := d.loadGroups(ctx, p, v, &s, shown); err != nil {
		return nil, s, err
	}
	return v, s, d.loadAuthors(ctx, p, v, s)
}

// loadGroups reads the groups that s stands in now, and who else is in those
// that are shown.
func (d *door) loadGroups(ctx context.Context, p directory.Principal, v *picture, s *standing, shown id.Number) error {
	// A blocked user keeps its groups on record, as its status says. So all that
	// stands is read, and the dates are looked at here.
	q := directory.ListMembers{Member: directory.MemberRef{Ref: directory.ByUser(s.ID)}, Standing: true, Page: directory.Page{Limit: directory.MaxPage}}
	page, err := d.directory.GroupsOf(ctx, p, q)
	if err != nil {
		return err
	}
	found := page.Value.Items
	if next := page.Value.Next; next != 0 && int64(shown) > next {
		q.Page = directory.Page{After: int64(shown) - 1, Limit: 1}
		last, err := d.directory.GroupsOf(ctx, p, q)
		if err != nil {
			return err
		}
		found = append(found, last.Value.Items...)
	}
	for _, g := range found {
		if g.Membership.HoldsAt(v.now) {
			s.all = append(s.all, g)
		}
	}
	s.groups, s.more = s.all, page.Value.Next != 0
	if len(s.all) > maxGroups {
		s.groups, s.more = s.all[:maxGroups:maxGroups], true
		for _, g := range s.all[maxGroups:] {
			if g.Group.Number == shown {
				s.groups = append(s.groups[:maxGroups-1:maxGroups-1], g)
			}
		}
	}
	for _, g := range s.groups {
		// Users stand behind groups in the list, so it is begun where they do.
		in, err := d.directory.Members(ctx, p, directory.ListMembers{
			Group: directory.ByGroup(g.Group.ID), Page: directory.Page{After: int64(id.MaxNumber), Limit: maxUsers},
		})
		if errors.Is(err, directory.NotFound) {
			continue // deleted since
		}
		if err != nil {
			return err
		}
		v.members[g.Group.Number] = v.meet(s.User, in.Value)
	}
	return nil
}

// meet remembers the users of a page. self, who is in the group, is shown even
// if the page ended before it.
func (v *picture) meet(self directory.User, page directory.Found[directory.MemberOf]) members {
	m := members{more: page.Next != 0}
	present := !self.ActiveAt(v.now)
	for _, entry := range page.Items {
		if entry.User == nil {
			continue
		}
		v.people[entry.User.ID] = *entry.User
		m.users = append(m.users, *entry.User)
		present = present || entry.User.ID == self.ID
	}
	if m.more && !present && len(m.users) > 0 {
		m.users[len(m.users)-1] = self
	}
	return m
}

// loadAuthors reads who made the commits that the answer dates.
func (d *door) loadAuthors(ctx context.Context, p directory.Principal, v *picture, s standing) error {
	revisions := []directory.Revision{s.CreatedIn, s.ModifiedIn, s.changedIn()}
	for _, g := range s.groups {
		revisions = append(revisions, g.Group.CreatedIn, g.Group.ModifiedIn)
	}
	authors, err := d.directory.Authors(ctx, p, revisions)
	for _, a := range authors.Value {
		v.authors[a.Revision] = a
	}
	return err
}

// changedIn is the last commit that changed the user or how it stands in a group.
func (s standing) changedIn() directory.Revision {
	last := s.ModifiedIn
	for _, g := range s.all {
		last = max(last, g.Membership.Revision)
	}
	return last
}

// within is where an object stands in an answer: inside of whom, nearest first.
// The zero pointer is the top.
type within struct {
	kind string
	code int64
	up   *within
}

func (w *within) inside(f form, code int64) *within { return &within{f.prefix, code, w} }

// detail is how much of an object is shown.
type detail uint8

const (
	whole   detail = iota // everything
	bare                  // what it is by itself: no audit, no other objects
	summary               // enough to know it by
)

// detail follows the dialect's contract, section 2.1, "Mutations and the seed
// response": whole down to depth 1, bare below, and a summary of what the object
// is already inside of.
func (w *within) detail(f form, code int64) detail {
	depth := 0
	for up := w; up != nil; up = up.up {
		if up.kind == f.prefix && up.code == code {
			return summary
		}
		depth++
	}
	if depth <= 1 {
		return whole
	}
	return bare
}
