package directory

import (
	"context"
	"errors"
	"slices"
	"strings"

	"roster/internal/id"
)

// Joins says which users join a group in the transaction that makes them; those
// who were there before do not. The zero value is nobody.
type Joins struct {
	Everyone bool     // every user, and none can be taken out again
	Domains  []string // users with an e-mail address in one of these
}

// MaxDomains is how many domains of users may join one group.
const MaxDomains = 100

// everyoneText stands for every user in the text of a [Joins].
const everyoneText = "*"

// String returns the text that [ParseJoins] reads, in which equal ones are equal.
func (j Joins) String() string {
	parts := make([]string, 0, len(j.Domains)+1)
	for _, d := range j.Domains {
		parts = append(parts, FoldName(strings.TrimPrefix(d, "@")))
	}
	slices.Sort(parts)
	if j.Everyone {
		parts = append([]string{everyoneText}, parts...)
	}
	return strings.Join(slices.Compact(parts), " ")
}

// ParseJoins reads the text of a [Joins].
func ParseJoins(text string) (j Joins) {
	for part := range strings.FieldsSeq(text) {
		if part == everyoneText {
			j.Everyone = true
		} else {
			j.Domains = append(j.Domains, part)
		}
	}
	return j
}

func (j Joins) check() error {
	if len(j.Domains) > MaxDomains {
		return invalid("joins.many", "joins", "At most %d domains may join a group.", MaxDomains)
	}
	for _, d := range j.Domains {
		if !IsEmail("user@"+strings.TrimPrefix(d, "@")) || strings.ContainsAny(d, "[]*") {
			return invalid("joins.invalid", "joins", "%q is not the domain of an e-mail address.", d)
		}
	}
	return nil
}

// has reports whether a user joins.
func (j Joins) has(u User) bool {
	_, domain, _ := strings.Cut(FoldName(u.Email), "@")
	return j.Everyone || domain != "" && slices.Contains(j.Domains, domain)
}

// autoJoin puts a new user into the groups that it joins by itself. It hands out
// what they confer, so who makes such a user must hold that.
func (t *tx) autoJoin(u User) error {
	joining, err := t.Writer.Joining()
	if err != nil || len(joining) == 0 {
		return err
	}
	var edges []Edge
	var groups []id.Number
	for _, g := range joining {
		if g.Joins.has(u) {
			groups = append(groups, g.Number)
			edges = append(edges, Edge{Group: g.Number, Member: id.UserMember(u.Number)})
		}
	}
	if err := t.mayRule(groups...); err != nil {
		return err
	}
	_, err = t.InsertEdges(edges, Standing{Source: "rule"})
	return err
}

// mayJoin refuses a principal that may not say who joins a group.
func (t *tx) mayJoin(g Group) error {
	if err := t.p.may(WriteMembers); err != nil {
		return err
	}
	if err := t.authorize(WriteMembers); err != nil {
		return err
	}
	return t.mayRule(g.Number)
}

// errEveryone is what a user is not taken out of a group for that holds every one.
var errEveryone = conflict("group.everyone", "", "Every user is in this group.")

// everyone says which groups hold every user.
func (t *tx) everyone() (func(id.Number) bool, error) {
	joining, err := t.Writer.Joining()
	held := map[id.Number]bool{}
	for _, g := range joining {
		held[g.Number] = g.Joins.Everyone
	}
	return func(g id.Number) bool { return held[g] }, err
}

// keepEveryone marks removals of users from a group that holds every one, and
// leaves out those that nobody asked for.
func keepEveryone(items []item, everyone func(id.Number) bool, asked int) []item {
	kept := items[:0]
	for n, i := range items {
		if _, ok := i.edge.Member.User(); ok && i.problem == nil && everyone(i.edge.Group) {
			if n >= asked {
				continue
			}
			i.problem = errEveryone
		}
		kept = append(kept, i)
	}
	return kept
}

// BuiltIns are the names of the groups that a dialect's tenants all have.
type BuiltIns struct {
	Administrators string // holds Admin; made empty
	Everyone       string // holds every user
}

// seedPage is how many users are put into a new group of everybody in one
// transaction.
const seedPage = 5000

// SeedBuiltIns makes the built-in groups of a tenant that does not have them; a
// group that bears such a name already is left as it is. Everybody is put into
// the second a page at a time, and if that is interrupted the next call goes on.
// It gives nobody any right, so every principal may ask for it.
func (d *Directory) SeedBuiltIns(ctx context.Context, p Principal, names BuiltIns) error {
	if _, done := d.memory().seeded.Load(p.Tenant); done {
		return nil
	}
	for after := id.Number(0); ; {
		a, err := write(ctx, d, p, 0, func(t *tx) (next id.Number, err error) {
			if err := t.seedAdministrators(names.Administrators); err != nil {
				return 0, err
			}
			return t.seedEveryone(names.Everyone, after)
		})
		if err != nil {
			return err
		}
		if after = a.Value; after == 0 {
			d.memory().seeded.Store(p.Tenant, true)
			return nil
		}
	}
}

func (t *tx) seedAdministrators(name string) error {
	granting, err := t.Writer.Granting()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(granting, func(g Group) bool { return g.BuiltIn && g.Grants.Has(Admin) }) {
		return nil
	}
	if err := t.nameFree(name, 0); err != nil {
		return unlessTaken(err)
	}
	return t.InsertGroup(&Group{Name: name, BuiltIn: true, Grants: Admin})
}

func unlessTaken(err error) error {
	if errors.Is(err, Conflict) {
		return nil
	}
	return err
}

// seedEveryone puts a page of users into the group of everybody, which new users
// join once all are in. It returns the last of them, 0 if there are no more.
func (t *tx) seedEveryone(name string, after id.Number) (id.Number, error) {
	joining, err := t.Writer.Joining()
	if err != nil || slices.ContainsFunc(joining, func(g Group) bool { return g.Joins.Everyone }) {
		return 0, err
	}
	g, err := t.Writer.Group(ByName(name))
	switch {
	case errors.Is(err, NotFound):
		g = Group{Name: name, BuiltIn: true}
		if err := t.InsertGroup(&g); err != nil {
			return 0, err
		}
	case err != nil:
		return 0, unlessTaken(err)
	case !g.BuiltIn:
		return 0, nil // somebody's own
	}
	if err := t.mayRule(g.Number); err != nil {
		return 0, nil // it has been put under one that confers rights: nobody is put in unasked
	}
	users, err := t.Writer.ListUsers(UserFilter{}, after, seedPage)
	if err != nil {
		return 0, err
	}
	edges := make([]Edge, len(users))
	for i, u := range users {
		edges[i] = Edge{Group: g.Number, Member: id.UserMember(u.Number)}
	}
	if _, err := t.InsertEdges(edges, Standing{Source: "rule"}); err != nil {
		return 0, err
	}
	if len(users) == seedPage {
		return users[len(users)-1].Number, nil
	}
	joined := g
	joined.Joins.Everyone = true
	return 0, t.Writer.UpdateGroup(g, joined)
}
