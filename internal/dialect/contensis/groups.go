package contensis

import (
	"net/http"
	"strings"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/wire"
)

// answerGroup writes the model of one group.
func (c *contensis) answerGroup(w http.ResponseWriter, r *http.Request, p directory.Principal, code int, g directory.Group) error {
	counts, err := c.d.MemberCounts(r.Context(), p, []directory.Group{g})
	if err != nil {
		return err
	}
	wire.WriteJSON(w, code, newGroup(g, counts.Value[0]))
	return nil
}

// getGroup answers "Get a group" (section 3.2).
func (c *contensis) getGroup(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	identifier := r.PathValue("group")
	g, err := c.d.Group(r.Context(), p, groupRef(identifier))
	if err != nil {
		return notFound(err, identifier, "")
	}
	return c.answerGroup(w, r, p, http.StatusOK, g.Value)
}

// createGroup answers "Create a group" (section 3.2). The answer counts members,
// so who may not see them makes none.
func (c *contensis) createGroup(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	if _, err := c.d.MemberCounts(r.Context(), p, nil); err != nil {
		return err
	}
	body, err := readObject(w, r)
	if err != nil {
		return err
	}
	update, err := readGroupUpdate(body)
	if err != nil {
		return err
	}
	guid, err := body.guid("id")
	if err != nil {
		return err
	}
	in := directory.NewGroup{ID: id.Group(guid), Attributes: kept(update.Attributes), UniqueName: true}
	if update.Name != nil {
		in.Name = *update.Name
	}
	if update.Description != nil {
		in.Description = *update.Description
	}
	if update.Joins != nil {
		in.Joins = *update.Joins
	}
	if kind, _ := body.text("type"); kind != nil && strings.EqualFold(*kind, typeExternal) {
		in.Attributes = in.Attributes.With(ownAttributes, attrType, typeExternal)
	}
	g, err := c.d.CreateGroup(r.Context(), p, in)
	if err != nil {
		return inWords(err, groupWords)
	}
	w.Header().Set("Location", strings.TrimSuffix(r.URL.EscapedPath(), "/")+"/"+g.Value.ID.String())
	return c.answerGroup(w, r, p, http.StatusCreated, g.Value)
}

// readGroupUpdate reads what a body says of a group. What is not there stays as
// it is (section 3.2).
func readGroupUpdate(body object) (in directory.GroupUpdate, err error) {
	in.UniqueName = true
	if in.Name, err = body.text("name"); err != nil {
		return in, err
	}
	if in.Description, err = body.text("description"); err != nil {
		return in, err
	}
	if in.Joins, err = body.domains("autoMembershipEmailDomains"); err != nil {
		return in, err
	}
	in.Attributes, err = body.patch()
	return in, err
}

// updateGroup answers "Update a group" (section 3.2). An id in the body is not
// looked at.
func (c *contensis) updateGroup(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	identifier := r.PathValue("group")
	if _, err := c.d.MemberCounts(r.Context(), p, nil); err != nil { // which the answer shows
		return err
	}
	body, err := readObject(w, r)
	if err != nil {
		return err
	}
	in, err := readGroupUpdate(body)
	if err != nil {
		return err
	}
	in.Group = groupRef(identifier)
	g, err := c.d.UpdateGroup(r.Context(), p, in)
	if err != nil {
		return inWords(notFound(err, identifier, ""), groupWords)
	}
	return c.answerGroup(w, r, p, http.StatusOK, g.Value)
}

// deleteGroup answers "Delete a group" (section 3.2).
func (c *contensis) deleteGroup(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	identifier := r.PathValue("group")
	if _, err := c.d.DeleteGroup(r.Context(), p, directory.Deletion{Ref: groupRef(identifier)}); err != nil {
		return notFound(err, identifier, "")
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
