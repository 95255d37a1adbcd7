package directory

import (
	"context"
	"errors"
	"maps"
	"reflect"

	"roster/internal/id"
)

// NewGroup is what a group is created from.
type NewGroup struct {
	ID     id.Group // zero ID, Number and Code for fresh ones
	Number id.Number
	Code   int64

	Name        string
	Description string
	Grants      Grants
	BuiltIn     bool
	Joins       Joins
	Externals   map[string]string
	Attributes  Attributes

	// UniqueName refuses a name that another group bears, for dialects that
	// promise it, and a blank one; in the core names may repeat and be empty.
	UniqueName bool
}

// CreateGroup makes a group. It needs [WriteGroups] and whatever it grants, and
// [WriteMembers] for one that users join.
func (d *Directory) CreateGroup(ctx context.Context, p Principal, in NewGroup) (Answer[Group], error) {
	g := Group{
		ID: in.ID, Number: in.Number, Code: in.Code, Name: in.Name, Description: in.Description,
		Grants: in.Grants, BuiltIn: in.BuiltIn, Joins: in.Joins, Externals: in.Externals, Attributes: in.Attributes,
	}
	if err := checkGroup(g); err != nil {
		return Answer[Group]{}, err
	}
	if in.UniqueName {
		if err := checkName("name", g.Name); err != nil {
			return Answer[Group]{}, err
		}
	}
	if err := p.mayName(in.Code); err != nil {
		return Answer[Group]{}, err
	}
	need := WriteGroups
	if g.Joins.String() != "" {
		need |= WriteMembers
	}
	return write(ctx, d, p, need, func(t *tx) (Group, error) {
		g := g
		if err := t.mustHold(g.Grants, "That group"); err != nil {
			return Group{}, err
		}
		if in.UniqueName {
			if err := t.nameFree(g.Name, 0); err != nil {
				return Group{}, err
			}
		}
		err := t.InsertGroup(&g)
		return g, err
	})
}

// nameFree refuses a name that a group other than self bears.
func (t *tx) nameFree(name string, self id.Number) error {
	g, err := t.Writer.Group(ByName(name))
	switch {
	case errors.Is(err, NotFound):
		return nil
	case err == nil && g.Number == self:
		return nil
	case err == nil || errors.Is(err, Conflict):
		return conflict("group.name.taken", "name", "That name is taken.")
	}
	return err
}

func checkGroup(g Group) error {
	if g.Name != "" { // some dialects have groups without a name
		if err := checkText("name", g.Name, MaxName); err != nil {
			return err
		}
	}
	if err := checkText("description", g.Description, MaxDescription); err != nil {
		return err
	}
	if g.Number > id.MaxNumber {
		return invalid("number.range", "number", "A number is from 1 to %d.", id.MaxNumber)
	}
	if err := checkCode(g.Code); err != nil {
		return err
	}
	if g.Grants&^InTenant != 0 {
		return invalid("grant.range", "grants", "A group cannot carry %s.", g.Grants&^InTenant)
	}
	if err := g.Joins.check(); err != nil {
		return err
	}
	if err := checkAttributes(g.Attributes); err != nil {
		return err
	}
	return checkExternals(g.Externals)
}

// Group finds one group. It needs [ReadGroups].
func (d *Directory) Group(ctx context.Context, p Principal, ref Ref) (Answer[Group], error) {
	return view(ctx, d, p, ReadGroups, func(l *look) (Group, error) { return l.Group(ref) })
}

// ListGroups asks for a page of groups by ascending number, or by descending as
// in [ListUsers].
type ListGroups struct {
	Page
	Filter GroupFilter
}

// Groups lists groups. It needs [ReadGroups].
func (d *Directory) Groups(ctx context.Context, p Principal, in ListGroups) (Answer[Found[Group]], error) {
	return view(ctx, d, p, ReadGroups, func(l *look) (Found[Group], error) {
		limit := in.limit()
		list, err := l.ListGroups(in.Filter, in.number(), limit+1)
		return found(list, limit, func(g Group) int64 { return int64(g.Number) }), err
	})
}

// GroupUpdate says what to change of a group; nil fields stay.
type GroupUpdate struct {
	Group     Ref
	IfVersion int64

	Name        *string
	Description *string
	Grants      *Grants
	Joins       *Joins
	Externals   *map[string]string
	Attributes  Attributes // as in [UserUpdate]
	UniqueName  bool       // as in [NewGroup]
}

// UpdateGroup changes a group. It needs [WriteGroups], to change what the group
// grants also what it granted and what it will, and to change who joins it
// [WriteMembers] and whatever it confers.
func (d *Directory) UpdateGroup(ctx context.Context, p Principal, in GroupUpdate) (Answer[Group], error) {
	return write(ctx, d, p, WriteGroups, func(t *tx) (Group, error) {
		before, err := t.Writer.Group(in.Group)
		if err != nil {
			return Group{}, err
		}
		if in.IfVersion != 0 && in.IfVersion != before.Version {
			return Group{}, stale(before.Version)
		}
		after := before
		assign(&after.Name, in.Name)
		assign(&after.Description, in.Description)
		assign(&after.Grants, in.Grants)
		if in.Joins != nil {
			joins := *in.Joins
			joins.Everyone = joins.Everyone || before.BuiltIn && before.Joins.Everyone // it is what the group is
			if joins.String() != before.Joins.String() {
				after.Joins = joins
			}
		}
		if in.Externals != nil && !maps.Equal(*in.Externals, before.Externals) {
			after.Externals = *in.Externals
			if len(after.Externals) == 0 {
				after.Externals = nil
			}
		}
		if !before.Attributes.Holds(in.Attributes) {
			after.Attributes = before.Attributes.patched(in.Attributes)
		}
		if reflect.DeepEqual(before, after) {
			return before, nil
		}
		if err := checkGroup(after); err != nil {
			return Group{}, err
		}
		if after.Grants != before.Grants {
			if err := t.mustHold(before.Grants.closed()|after.Grants.closed(), "That group"); err != nil {
				return Group{}, err
			}
		}
		if after.Joins.String() != before.Joins.String() {
			if err := t.mayJoin(before); err != nil {
				return Group{}, err
			}
		}
		if in.UniqueName && in.Name != nil {
			if err := checkName("name", after.Name); err != nil {
				return Group{}, err
			}
			if err := t.nameFree(after.Name, before.Number); err != nil {
				return Group{}, err
			}
		}
		if err := t.keepingAdmin(after.Grants != before.Grants, func() error { return t.Writer.UpdateGroup(before, after) }); err != nil {
			return Group{}, err
		}
		after.Version, after.Modified, after.ModifiedIn = before.Version+1, t.At(), t.Outcome()
		return after, nil
	})
}

// DeleteGroup deletes a group with its memberships, as a group and as a member;
// nobody else is deleted. It needs [WriteGroups] and whatever the group confers.
func (d *Directory) DeleteGroup(ctx context.Context, p Principal, in Deletion) (Answer[Group], error) {
	return write(ctx, d, p, WriteGroups, func(t *tx) (Group, error) {
		g, err := t.Writer.Group(in.Ref)
		if err != nil {
			return Group{}, err
		}
		if in.IfVersion != 0 && in.IfVersion != g.Version {
			return Group{}, stale(g.Version)
		}
		if g.BuiltIn {
			return Group{}, forbidden("group.builtin", "A built-in group cannot be deleted.")
		}
		if err := t.mayRule(g.Number); err != nil {
			return Group{}, err
		}
		admin, err := t.conferAdmin(g.Number)
		if err != nil {
			return Group{}, err
		}
		return g, t.keepingAdmin(admin, func() error {
			members, err := t.edgesOf(MembershipQuery{Group: g.Number}, everyOne)
			if err != nil {
				return err
			}
			if in.IfEmpty {
				left, err := t.edgesOf(MembershipQuery{Group: g.Number}, unended(t.At()))
				if err == nil && len(left) > 0 {
					err = conflict("group.members", "", "The group has members.")
				}
				if err != nil {
					return err
				}
			}
			above, err := t.edgesOf(MembershipQuery{Member: id.GroupMember(g.Number)}, everyOne)
			if err != nil {
				return err
			}
			if err := t.DeleteEdges(append(members, above...)); err != nil {
				return err
			}
			return t.Writer.DeleteGroup(g)
		})
	})
}
