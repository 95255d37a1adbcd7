package directory

import (
	"maps"
	"slices"
	"strings"

	"roster/internal/id"
)

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
		records[i] = deeds[i].record(&n, l.p.Tenant.IsZero())
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

// record makes a record of a deed, of the platform's own log or of a tenant's.
func (e *deed) record(n *names, platform bool) Record {
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
			t.Before, t.After = only(t.Before, ofCredential), only(t.After, ofCredential)
		case "tenant":
			if platform { // what is kept of a tenant is its own
				t.Before, t.After = only(t.Before, ofTenant), only(t.After, ofTenant)
			}
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

// ofCredential are the fields that are told of a credential, and ofTenant those
// that the platform's log tells of a tenant.
var (
	ofCredential = []string{"kind", "name", "grants", "expires", "user"}
	ofTenant     = []string{"name", "title"}
)

// only leaves some of a thing's fields.
func only(fields map[string]any, some []string) map[string]any {
	told := map[string]any{}
	for _, name := range some {
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
