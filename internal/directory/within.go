package directory

import (
	"slices"

	"roster/internal/id"
)

// Within bounds a principal to some groups and to the users who stand in one of
// them now, directly or through groups, be they active or not. Whatever else the
// tenant holds is not there for such a principal: it is not found, not listed,
// and not counted. Groups that stand in one of the groups are not among them.
//
// The bound as it is now decides about the past too: what was known of somebody
// who has left is out of reach. An answer about what is within tells nothing of
// the rest: not by whom something was done, nor by which ways through other groups.
//
// The bound is looked at inside the transaction of what it bounds, so who has
// left the groups is out of reach at once. An operation that does not say that
// it heeds the bound refuses a bounded principal.
type Within struct {
	Groups []id.Number
}

// heeding returns p for an operation that heeds its bound.
func (p Principal) heeding() Principal {
	p.heeds = true
	return p
}

// sees reports whether the principal's bound leaves it a group.
func (p Principal) sees(group id.Number) bool {
	return p.Within == nil || slices.Contains(p.Within.Groups, group)
}

// standsWithin returns those of the users who stand within the principal's
// bound, as a set; for a principal without a bound it must not be called.
func (l *look) standsWithin(users []id.Number) (map[id.Number]bool, error) {
	placements, err := l.Reader.Placements(users, l.now())
	if err != nil {
		return nil, err
	}
	within := make(map[id.Number]bool, len(users))
	for _, e := range placements {
		if u, ok := e.Member.User(); ok && l.p.sees(e.Group) {
			within[u] = true
		}
	}
	return within, nil
}

// conceal makes those members of the items that are beyond the principal's bound
// into members that do not exist.
func (l *look) conceal(items []item) error {
	if l.p.Within == nil {
		return nil
	}
	var users []id.Number
	for _, i := range items {
		if u, ok := i.edge.Member.User(); ok && i.problem == nil {
			users = append(users, u)
		}
	}
	within, err := l.standsWithin(users)
	if err != nil {
		return err
	}
	for n := range items {
		i := &items[n]
		if i.problem != nil {
			continue
		}
		if u, ok := i.edge.Member.User(); ok && !within[u] {
			i.problem = ErrNoUser
		}
		if g, ok := i.edge.Member.Group(); ok && !l.p.sees(g) {
			i.problem = ErrNoGroup
		}
		if i.problem != nil {
			i.edge.Member = 0 // so that a result does not tell
		}
	}
	return nil
}

// group finds one group that the principal's bound leaves it.
func (l *look) group(ref Ref) (Group, error) {
	if l.p.Within == nil {
		return l.Reader.Group(ref)
	}
	numbers, err := l.groupNumbers([]Ref{ref})
	if err != nil {
		return Group{}, err
	}
	if problem := missing(numbers[0], true); problem != nil {
		return Group{}, problem
	}
	return l.Reader.Group(ByNumber(int64(numbers[0])))
}

// groupNumbers resolves refs to groups that the principal's bound leaves it: of
// two that bear a name, only those count.
func (l *look) groupNumbers(refs []Ref) ([]id.Number, error) { return l.groupsIn(l.Reader, refs) }

// groupsIn is groupNumbers as of then, if p is of the past.
func (l *look) groupsIn(p Past, refs []Ref) ([]id.Number, error) {
	numbers, err := p.GroupNumbers(refs)
	if err != nil || l.p.Within == nil {
		return numbers, err
	}
	var seen []Group
	if slices.Contains(numbers, Ambiguous) {
		if seen, err = p.Groups(l.p.Within.Groups); err != nil {
			return nil, err
		}
	}
	for i, n := range numbers {
		switch {
		case n == Ambiguous:
			numbers[i] = 0
			for _, g := range seen {
				if FoldName(g.Name) != refs[i].Text {
					continue
				}
				if numbers[i] != 0 {
					numbers[i] = Ambiguous
					break
				}
				numbers[i] = g.Number
			}
		case !l.p.sees(n):
			numbers[i] = 0
		}
	}
	return numbers, nil
}

// usersIn resolves refs to users whom the principal's bound leaves it now, as of
// then if p is of the past.
func (l *look) usersIn(p Past, refs []Ref) ([]id.Number, error) {
	numbers, err := p.UserNumbers(refs)
	if err != nil || l.p.Within == nil {
		return numbers, err
	}
	within, err := l.standsWithin(known(numbers))
	for i, n := range numbers {
		if !within[n] {
			numbers[i] = 0
		}
	}
	return numbers, err
}

// seen leaves the links from and to what the principal's bound leaves it; those of
// users start at one that it does.
func (p Principal) seen(links []Link) []Link {
	if p.Within == nil {
		return links
	}
	var out []Link
	for _, l := range links {
		if child, isGroup := l.Member.Group(); p.sees(l.Group) && (!isGroup || p.sees(child)) {
			out = append(out, l)
		}
	}
	return out
}

// told leaves of who made a commit what the principal's bound leaves it: nothing
// but when and through which dialect, unless that was itself.
func (p Principal) told(a Authored) Authored {
	if p.Within == nil || a.Actor.Credential == p.Credential {
		return a
	}
	return Authored{Revision: a.Revision, At: a.At, Dialect: a.Dialect}
}
