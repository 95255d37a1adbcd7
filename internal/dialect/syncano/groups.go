package syncano

import (
	"net/http"

	"roster/internal/directory"
	"roster/internal/id"
)

// Limits on a group's fields, in characters (section 2.6).
const (
	maxLabel       = 64
	maxDescription = 256
)

func groupCursor(g directory.Group) int64 { return int64(g.Number) }

func (d *door) listGroups(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	paging, err := readPaging(v.query)
	if err != nil {
		return err
	}
	prefix := directory.FoldName(v.query["label__startswith"])
	page, err := read(paging, v.links.base()+"groups/", groupCursor, func(after int64, descending bool, limit int) ([]directory.Group, error) {
		a, err := d.directory.Groups(r.Context(), p, directory.ListGroups{
			Page:   directory.Page{After: after, Limit: limit},
			Filter: directory.GroupFilter{NamePrefix: prefix, Descending: descending},
		})
		return a.Value.Items, err
	})
	if err != nil {
		return err
	}
	objects := make([]group, len(page.items))
	for i, g := range page.items {
		objects[i] = v.links.encodeGroup(g)
	}
	writePage(w, v, page, objects)
	return nil
}

// groupFields reads what a body says of a group. Both fields may be left out, on
// PUT as well, and may be blank (ruling C5).
func groupFields(v *visit, r *http.Request) (label, description *string, err error) {
	fields, err := v.object(r)
	if err != nil {
		return nil, nil, err
	}
	bad := problems{}
	label = blankText(fields, "label", maxLabel, bad)
	description = blankText(fields, "description", maxDescription, bad)
	return label, description, bad.err()
}

// groupError says what the core has against a group's fields.
func groupError(err error) error {
	if e, ok := asError(err); ok && e.Kind == directory.Invalid {
		switch e.Field {
		case "name":
			return problems{"label": notValid}.err()
		case "description":
			return problems{"description": notValid}.err()
		}
	}
	return err
}

func (d *door) createGroup(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	label, description, err := groupFields(v, r)
	if err != nil {
		return err
	}
	var in directory.NewGroup
	if label != nil {
		in.Name = *label
	}
	if description != nil {
		in.Description = *description
	}
	a, err := d.directory.CreateGroup(r.Context(), p, in)
	if err != nil {
		return groupError(err)
	}
	v.write(w, http.StatusCreated, v.links.encodeGroup(a.Value))
	return nil
}

// groupIn finds the group that a path's parameter names.
func (d *door) groupIn(r *http.Request, p directory.Principal, param string) (directory.Group, error) {
	number, err := id.ParseNumber(r.PathValue(param))
	if err != nil {
		return directory.Group{}, errNotFound
	}
	a, err := d.directory.Group(r.Context(), p, directory.ByNumber(int64(number)))
	return a.Value, err
}

func (d *door) getGroup(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	g, err := d.groupIn(r, p, "id")
	if err != nil {
		return err
	}
	v.write(w, http.StatusOK, v.links.encodeGroup(g))
	return nil
}

func (d *door) updateGroup(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	g, err := d.writable(r, p)
	if err != nil {
		return err
	}
	label, description, err := groupFields(v, r)
	if err != nil {
		return err
	}
	a, err := d.directory.UpdateGroup(r.Context(), p, directory.GroupUpdate{Group: g, Name: label, Description: description})
	if err != nil {
		return groupError(err)
	}
	v.write(w, http.StatusOK, v.links.encodeGroup(a.Value))
	return nil
}

// writable names the group that is to be changed, which is known to be there
// before the body is looked at, if the caller may know (section 1.4, step 8).
func (d *door) writable(r *http.Request, p directory.Principal) (directory.Ref, error) {
	if !p.Grants.Has(directory.ReadGroups) {
		number, err := id.ParseNumber(r.PathValue("id"))
		if err != nil {
			return directory.Ref{}, errNotFound
		}
		return directory.ByNumber(int64(number)), nil
	}
	g, err := d.groupIn(r, p, "id")
	return directory.ByGroup(g.ID), err
}

func (d *door) deleteGroup(w http.ResponseWriter, r *http.Request, p directory.Principal, _ *visit) error {
	g, err := d.writable(r, p)
	if err != nil {
		return err
	}
	if _, err := d.directory.DeleteGroup(r.Context(), p, directory.Deletion{Ref: g}); err != nil {
		return err
	}
	return done(w)
}
