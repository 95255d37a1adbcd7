package contensis

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/uuid"

	"roster/internal/directory"
)

// member returns who a path names to stand in a group: a user, or a group as a
// child.
func member(r *http.Request, p directory.Principal) (m directory.MemberRef, err error) {
	if child := r.PathValue("child"); child != "" {
		return directory.MemberRef{IsGroup: true, Ref: groupRef(child)}, nil
	}
	m.Ref, err = userRef(p, r.PathValue("user"))
	return m, err
}

// addMember answers "Add user to a group" (the reference page) and "Add child
// group" (section 3.4): 204 whether or not it stood there before. Clients
// declare a JSON body and send none, so none is read.
func (c *contensis) addMember(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	m, err := member(r, p)
	if err != nil {
		return err
	}
	_, err = c.d.ChangeMembers(r.Context(), p, directory.MembersChange{
		Group: groupRef(r.PathValue("group")), Add: []directory.MemberRef{m}, Keep: true,
	})
	if err != nil {
		return noMember(err, r)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// addUsers answers "Add many users to a group" (the reference page): all of
// them or, if one does not exist, none.
func (c *contensis) addUsers(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	return c.addMany(w, r, p, false)
}

// addChildren answers "Add child groups" (section 3.4), as addUsers does.
func (c *contensis) addChildren(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	return c.addMany(w, r, p, true)
}

func (c *contensis) addMany(w http.ResponseWriter, r *http.Request, p directory.Principal, groups bool) error {
	what := "user"
	if groups {
		what = "group"
	}
	ids, err := readIDs(w, r, what)
	if err != nil {
		return err
	}
	add := make([]directory.MemberRef, len(ids))
	for i, guid := range ids {
		add[i] = directory.MemberRef{IsGroup: groups, Ref: directory.Ref{Kind: directory.RefID, UUID: guid}}
	}
	_, err = c.d.ChangeMembers(r.Context(), p, directory.MembersChange{
		Group: groupRef(r.PathValue("group")), Add: add, Mode: directory.Atomic, Keep: true,
	})
	if err != nil {
		return unknown(inCycle(notFound(err, r.PathValue("group"), "")), add)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// removeMember answers "Remove user from a group" (section 3.3) and "Remove child
// group" (section 3.4). Only direct members can be removed.
func (c *contensis) removeMember(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	m, err := member(r, p)
	if err != nil {
		return err
	}
	a, err := c.d.ChangeMembers(r.Context(), p, directory.MembersChange{
		Group: groupRef(r.PathValue("group")), Remove: []directory.MemberRef{m},
	})
	if err != nil {
		return noMember(err, r)
	}
	if a.Value.Remove[0].Outcome == directory.Absent {
		who := "The user '" + r.PathValue("user") + "'"
		if m.IsGroup {
			who = "The group '" + r.PathValue("child") + "'"
		}
		return &directory.Error{Kind: directory.NotFound, Code: directory.ErrNoMembership.Code, Detail: who + " is not in the group '" + r.PathValue("group") + "'"}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// hasUser answers HEAD for a member (section 3.3): 204 if the user is in the
// group or in one below it.
func (c *contensis) hasUser(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	return c.isInAny(w, r, p, []string{r.PathValue("group")})
}

// isInGroups answers HEAD for a list of groups (section 3.1): 204 if the user is
// in any of them.
func (c *contensis) isInGroups(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	groups, err := csv(r)
	if err != nil {
		return err
	}
	return c.isInAny(w, r, p, groups)
}

func (c *contensis) isInAny(w http.ResponseWriter, r *http.Request, p directory.Principal, groups []string) error {
	ref, err := userRef(p, r.PathValue("user"))
	if err != nil {
		return err
	}
	checks := make([]directory.Check, len(groups))
	for i, g := range groups {
		checks[i] = directory.Check{User: ref, Group: groupRef(g)}
	}
	a, err := c.d.AreMembers(r.Context(), p, checks)
	if err != nil {
		return err
	}
	if !slices.Contains(a.Value, true) {
		return &directory.Error{Kind: directory.NotFound, Code: directory.ErrNoMembership.Code, Detail: "The user is in none of the groups."}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// noMember says what a change of one membership was refused for.
func noMember(err error, r *http.Request) error {
	group := r.PathValue("group")
	if e, ok := errors.AsType[*directory.Error](err); ok && e.Items != nil {
		group = r.PathValue("child") // it is the member that is not there
	}
	return inCycle(notFound(err, group, r.PathValue("user")))
}

// unknown puts those of many that do not exist into the answer's data, each once.
func unknown(err error, members []directory.MemberRef) error {
	e, ok := errors.AsType[*directory.Error](err)
	if !ok || e.Kind != directory.NotFound || e.Items == nil {
		return err
	}
	ids := make([]string, 0, len(e.Items))
	seen := make(map[directory.Ref]bool, len(e.Items))
	for _, i := range e.Items {
		if m := members[i]; !seen[m.Ref] {
			seen[m.Ref] = true
			ids = append(ids, uuid.UUID(m.Ref.UUID).String())
		}
	}
	what := "users"
	if members[0].IsGroup {
		what = "groups"
	}
	detail := "One of the " + what + " was not found"
	if len(ids) > 1 {
		detail = "Some of the " + what + " were not found"
	}
	return &explained{
		err:  &directory.Error{Kind: directory.NotFound, Code: e.Code, Detail: detail},
		data: ids,
	}
}

// inCycle makes a link that would put a group inside itself a validation
// (section 3.4).
func inCycle(err error) error {
	e, ok := errors.AsType[*directory.Error](err)
	if !ok || e.Code != "group.cycle" {
		return err
	}
	cycle := *e
	cycle.Kind, cycle.Field = directory.Invalid, "childGroup"
	return &cycle
}

// notFound says which identifier named nothing, if that is what went wrong.
func notFound(err error, group, user string) error {
	switch directory.CodeOf(err) {
	case directory.ErrNoGroup.Code:
		if group != "" {
			return withDetail(err, "The group '"+group+"' was not found")
		}
	case directory.ErrNoUser.Code:
		if user != "" {
			return withDetail(err, "The user '"+user+"' was not found")
		}
	}
	return err
}

func noUser(identifier string) error { return notFound(directory.ErrNoUser, "", identifier) }

// withDetail is a directory's error with other words.
func withDetail(err error, detail string) error {
	e, _ := errors.AsType[*directory.Error](err)
	said := *e
	said.Detail = detail
	return &said
}

// readIDs reads the body of a bulk operation: an array of GUIDs.
func readIDs(w http.ResponseWriter, r *http.Request, what string) ([][16]byte, error) {
	v, err := readJSON(w, r)
	if err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		return nil, malformed("body.shape", "The body must be an array of "+what+" ids.")
	}
	ids := make([][16]byte, len(list))
	for i, item := range list {
		text, _ := item.(string)
		if ids[i], ok = parseGUID(text); !ok {
			return nil, malformed("body.shape", fmt.Sprintf("Item %d of the array is not a GUID.", i+1))
		}
	}
	return ids, nil
}
