package contensis

import (
	"errors"
	"net/http"

	"roster/internal/directory"
	"roster/internal/id"
)

// addUser answers "Add user to a group" (the reference page): 204 whether or
// not the user was a member before. Clients declare a JSON body and send none,
// so none is read.
func (c *contensis) addUser(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	group, user := r.PathValue("group"), r.PathValue("user")
	refs, err := userRefs(p, user)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		_, err = c.d.ChangeMembers(r.Context(), p, directory.MembersChange{
			Group: groupRef(group), Add: []directory.MemberRef{{Ref: ref}}, Keep: true,
		})
		if directory.CodeOf(err) != directory.ErrNoUser.Code {
			break
		}
	}
	if err != nil {
		return notFound(err, group, user)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// addUsers answers "Add many users to a group" (the reference page): all of
// them or, if one does not exist, none.
func (c *contensis) addUsers(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	group := r.PathValue("group")
	users, err := readUserIDs(w, r)
	if err != nil {
		return err
	}
	add := make([]directory.MemberRef, len(users))
	for i, u := range users {
		add[i].Ref = directory.ByUser(u)
	}
	_, err = c.d.ChangeMembers(r.Context(), p, directory.MembersChange{
		Group: groupRef(group), Add: add, Mode: directory.Atomic, Keep: true,
	})
	if err != nil {
		return unknownUsers(notFound(err, group, ""), users)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// notFound says which identifier named nothing, if that is what went wrong.
func notFound(err error, group, user string) error {
	switch directory.CodeOf(err) {
	case directory.ErrNoGroup.Code:
		return &directory.Error{Kind: directory.NotFound, Code: directory.ErrNoGroup.Code, Detail: "The group '" + group + "' was not found"}
	case directory.ErrNoUser.Code:
		if user != "" {
			return &directory.Error{Kind: directory.NotFound, Code: directory.ErrNoUser.Code, Detail: "The user '" + user + "' was not found"}
		}
	}
	return err
}

// unknownUsers puts the users that a batch was refused for into the answer's
// data, each once.
func unknownUsers(err error, users []id.User) error {
	e, ok := errors.AsType[*directory.Error](err)
	if !ok || e.Code != directory.ErrNoUser.Code {
		return err
	}
	unknown := make([]string, 0, len(e.Items))
	seen := make(map[id.User]bool, len(e.Items))
	for _, i := range e.Items {
		if u := users[i]; !seen[u] {
			seen[u] = true
			unknown = append(unknown, u.String())
		}
	}
	detail := "One of the users was not found"
	if len(unknown) > 1 {
		detail = "Some of the users were not found"
	}
	return &explained{
		err:  &directory.Error{Kind: directory.NotFound, Code: e.Code, Detail: detail},
		data: unknown,
	}
}
