package syncano

import (
	"errors"
	"net/http"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/wire"
)

// maxGroups is how many groups a user may be in (section 3.6).
const maxGroups = 32

// addGroup answers POST users/{user}/groups/. It is not idempotent: the second
// time is an error (section 2.7).
func (d *door) addGroup(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	ctx := r.Context()
	number, err := id.ParseNumber(r.PathValue("user"))
	if err != nil {
		return errNoParentUser
	}
	fields, err := v.object(r)
	if err != nil {
		return err
	}
	value, given := fields["group"]
	if !given {
		return problems{"group": isRequired}.err()
	}
	k, problem := readKey(value)
	if problem != "" {
		return problems{"group": problem}.err()
	}
	g, err := d.directory.Group(ctx, p, directory.ByNumber(k.number))
	if errors.Is(err, directory.NotFound) {
		return problems{"group": noSuchKey(k.given)}.err()
	}
	if err != nil {
		return err
	}
	done, err := d.directory.ChangeGroups(ctx, p, directory.GroupsChange{
		Member: directory.MemberRef{Ref: directory.ByNumber(int64(number))},
		Add:    []directory.Ref{directory.ByGroup(g.Value.ID)},
		Keep:   true,
		AtMost: maxGroups,
	})
	switch directory.CodeOf(err) {
	case "":
	case directory.ErrNoUser.Code: // deleted since it was looked up
		return errNoParentUser
	case directory.ErrNoGroup.Code:
		return problems{"group": noSuchKey(k.given)}.err()
	case "membership.limit":
		return errGroupLimit(err)
	}
	if err != nil {
		return err
	}
	if done.Value.Add[0].Outcome == directory.Already {
		return errAlready
	}
	wire.WriteJSON(w, http.StatusCreated, groupOfUser{
		Group: v.links.encodeGroup(g.Value),
		Links: selfLink{v.links.user(number) + "groups/" + decimal(g.Value.Number) + "/"},
	})
	return nil
}
