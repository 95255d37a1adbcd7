package syncano

import (
	"errors"
	"net/http"

	"roster/internal/directory"
	"roster/internal/id"
)

// maxGroups is how many groups a user may be in (section 3.6).
const maxGroups = 32

// Memberships are listed in the order of joining, which is what their cursor
// counts (section 2.7).
func joining(m directory.MemberOf) int64 { return m.Membership.Serial }

// listGroupsOfUser answers GET users/{user}/groups/.
func (d *door) listGroupsOfUser(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	who, number, err := d.parentUser(r, p, v)
	if err != nil {
		return err
	}
	paging, err := readPaging(v.query)
	if err != nil {
		return err
	}
	path := v.links.user(number) + "groups/"
	page, err := read(paging, path, joining, func(after int64, descending bool, limit int) ([]directory.MemberOf, error) {
		a, err := d.directory.GroupsOf(r.Context(), p, directory.ListMembers{
			Page: directory.Page{After: after, Limit: limit}, Member: directory.MemberRef{Ref: who}, Joining: true, Descending: descending,
		})
		return a.Value.Items, parentGone(err)
	})
	if err != nil {
		return err
	}
	objects := make([]groupOfUser, len(page.items))
	for i, m := range page.items {
		objects[i] = v.links.groupOfUser(number, *m.Group)
	}
	writePage(w, v, page, objects)
	return nil
}

// parentUser names the user that the path goes through, which is known to be
// there. Who may see only itself may not see another (section 4.1).
func (d *door) parentUser(r *http.Request, p directory.Principal, v *visit) (directory.Ref, id.Number, error) {
	number, err := id.ParseNumber(r.PathValue("user"))
	if err != nil {
		return directory.Ref{}, 0, errNoParentUser
	}
	if v.may != own {
		return directory.ByNumber(int64(number)), number, nil
	}
	u, err := d.self(r, p)
	if err == nil && u.Number != number {
		err = errForbidden
	}
	return directory.ByUser(u.ID), number, err
}

// parentGone says of a parent that it was deleted since it was looked up.
func parentGone(err error) error {
	switch directory.CodeOf(err) {
	case directory.ErrNoUser.Code:
		return errNoParentUser
	case directory.ErrNoGroup.Code:
		return errNoParentGroup
	}
	return err
}

// addGroup answers POST users/{user}/groups/. It is not idempotent: the second
// time is an error (section 2.7).
func (d *door) addGroup(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	number, err := id.ParseNumber(r.PathValue("user"))
	if err != nil {
		return errNoParentUser
	}
	k, err := readOnlyKey(r, v, "group")
	if err != nil {
		return err
	}
	g, err := d.directory.Group(r.Context(), p, directory.ByNumber(k.number))
	if errors.Is(err, directory.NotFound) {
		return problems{"group": noSuchKey(k.given)}.err()
	}
	if err != nil {
		return err
	}
	err = d.link(r, p, directory.ByNumber(int64(number)), directory.ByGroup(g.Value.ID))
	switch directory.CodeOf(err) {
	case directory.ErrNoUser.Code: // deleted since it was looked up
		return errNoParentUser
	case directory.ErrNoGroup.Code:
		return problems{"group": noSuchKey(k.given)}.err()
	}
	if err != nil {
		return err
	}
	v.write(w, http.StatusCreated, v.links.groupOfUser(number, g.Value))
	return nil
}

// readOnlyKey reads a body's one field, the id of another object.
func readOnlyKey(r *http.Request, v *visit, field string) (key, error) {
	fields, err := v.object(r)
	if err != nil {
		return key{}, err
	}
	value, given := fields[field]
	if !given {
		return key{}, problems{field: isRequired}.err()
	}
	k, problem := readKey(value)
	if problem != "" {
		return key{}, problems{field: problem}.err()
	}
	return k, nil
}

// link puts a user into a group, which must be new to it.
func (d *door) link(r *http.Request, p directory.Principal, user, group directory.Ref) error {
	done, err := d.directory.ChangeGroups(r.Context(), p, directory.GroupsChange{
		Member: directory.MemberRef{Ref: user},
		Add:    []directory.Ref{group},
		Keep:   true,
		AtMost: maxGroups,
	})
	if directory.CodeOf(err) == "membership.limit" {
		return errGroupLimit(err)
	}
	if err == nil && done.Value.Add[0].Outcome == directory.Already {
		return errAlready
	}
	return err
}

// unlink takes a user out of a group.
func (d *door) unlink(w http.ResponseWriter, r *http.Request, p directory.Principal, user, group string) error {
	u, err := id.ParseNumber(user)
	if err != nil {
		return errNotFound
	}
	g, err := id.ParseNumber(group)
	if err != nil {
		return errNotFound
	}
	gone, err := d.directory.ChangeGroups(r.Context(), p, directory.GroupsChange{
		Member: directory.MemberRef{Ref: directory.ByNumber(int64(u))},
		Remove: []directory.Ref{directory.ByNumber(int64(g))},
	})
	if err != nil {
		return err
	}
	if gone.Value.Remove[0].Outcome == directory.Absent {
		return errNotFound
	}
	return done(w)
}

func (d *door) removeGroup(w http.ResponseWriter, r *http.Request, p directory.Principal, _ *visit) error {
	return d.unlink(w, r, p, r.PathValue("user"), r.PathValue("id"))
}

func (d *door) removeUser(w http.ResponseWriter, r *http.Request, p directory.Principal, _ *visit) error {
	return d.unlink(w, r, p, r.PathValue("id"), r.PathValue("group"))
}

// membership finds that a user is in a group now, directly: NotFound if it is not.
// How it stands there says nothing of who is suspended, which the check does, and
// the check nothing of where it comes from.
func (d *door) membership(r *http.Request, p directory.Principal, group, user directory.Ref) error {
	a, err := d.directory.Membership(r.Context(), p, group, directory.MemberRef{Ref: user})
	if err != nil {
		return err
	}
	if !a.Value.HoldsAt(d.directory.Now()) {
		return errNotFound
	}
	in, err := d.directory.IsMember(r.Context(), p, directory.Check{User: user, Group: group})
	if err == nil && !in.Value {
		err = errNotFound
	}
	return err
}

func (d *door) getGroupOfUser(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	who, number, err := d.parentUser(r, p, v)
	if err != nil {
		return err
	}
	g, err := d.groupIn(r, p, "id")
	if err != nil {
		return err
	}
	if err := d.membership(r, p, directory.ByGroup(g.ID), who); err != nil {
		return err
	}
	v.write(w, http.StatusOK, v.links.groupOfUser(number, g))
	return nil
}

// listUsersOfGroup answers GET groups/{group}/users/. Who may see only itself
// sees itself alone (section 4.1).
func (d *door) listUsersOfGroup(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	paging, err := readPaging(v.query)
	if err != nil {
		return err
	}
	g, err := d.groupIn(r, p, "group")
	if err != nil {
		return parentGone(err)
	}
	from := func(after int64, descending bool, limit int) ([]directory.MemberOf, error) {
		a, err := d.directory.Members(r.Context(), p, directory.ListMembers{
			Page: directory.Page{After: after, Limit: limit}, Group: directory.ByGroup(g.ID), Joining: true, Descending: descending,
		})
		return a.Value.Items, parentGone(err)
	}
	if v.may == own {
		u, err := d.self(r, p)
		if err != nil {
			return err
		}
		var all []directory.MemberOf
		a, err := d.directory.Membership(r.Context(), p, directory.ByGroup(g.ID), directory.MemberRef{Ref: directory.ByUser(u.ID)})
		switch {
		case err == nil && a.Value.HoldsAt(d.directory.Now()):
			all = append(all, directory.MemberOf{User: &u, Membership: a.Value})
		case err != nil && !errors.Is(err, directory.NotFound):
			return err
		}
		from = few(all, joining)
	}
	page, err := read(paging, v.links.group(int64(g.Number))+"users/", joining, from)
	if err != nil {
		return err
	}
	users := make([]directory.User, len(page.items))
	for i, m := range page.items {
		users[i] = *m.User
	}
	encoded, err := d.encodeUsers(r, p, v, users)
	if err != nil {
		return err
	}
	objects := make([]userOfGroup, len(encoded))
	for i, u := range encoded {
		objects[i] = v.links.userOfGroup(g.Number, u)
	}
	writePage(w, v, page, objects)
	return nil
}

// addUser answers POST groups/{group}/users/, the mirror image of addGroup.
func (d *door) addUser(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	g, err := d.groupIn(r, p, "group")
	if err != nil {
		return parentGone(err)
	}
	k, err := readOnlyKey(r, v, "user")
	if err != nil {
		return err
	}
	err = d.link(r, p, directory.ByNumber(k.number), directory.ByGroup(g.ID))
	switch directory.CodeOf(err) {
	case directory.ErrNoUser.Code:
		return problems{"user": noSuchKey(k.given)}.err()
	case directory.ErrNoGroup.Code:
		return errNoParentGroup
	}
	if err != nil {
		return err
	}
	u, err := d.directory.User(r.Context(), p, directory.ByNumber(k.number))
	if err != nil {
		return err
	}
	out, err := d.encodeUser(r, p, v, u.Value)
	if err != nil {
		return err
	}
	v.write(w, http.StatusCreated, v.links.userOfGroup(g.Number, out))
	return nil
}

func (d *door) getUserOfGroup(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	g, err := d.groupIn(r, p, "group")
	if err != nil {
		return parentGone(err)
	}
	u, err := d.target(r, p, v)
	if err != nil {
		return err
	}
	if err := d.membership(r, p, directory.ByGroup(g.ID), directory.ByUser(u.ID)); err != nil {
		return err
	}
	out, err := d.encodeUser(r, p, v, u)
	if err != nil {
		return err
	}
	v.write(w, http.StatusOK, v.links.userOfGroup(g.Number, out))
	return nil
}

// groupOfUser is a membership as its user's list shows it.
func (l links) groupOfUser(user id.Number, g directory.Group) groupOfUser {
	return groupOfUser{Group: l.encodeGroup(g), Links: selfLink{l.user(user) + "groups/" + decimal(g.Number) + "/"}}
}

// userOfGroup is the same as its group's list shows it.
func (l links) userOfGroup(group id.Number, u user) userOfGroup {
	return userOfGroup{User: u, Links: selfLink{l.group(int64(group)) + "users/" + decimal(u.ID) + "/"}}
}
