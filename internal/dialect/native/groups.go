package native

import (
	"context"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/wire"
)

// groupJSON is a group in an answer.
type groupJSON struct {
	ID          string            `json:"id"`
	Number      id.Number         `json:"number"`
	Code        int64             `json:"code"`
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Grants      []string          `json:"grants"`
	BuiltIn     bool              `json:"built_in"`
	ExternalIDs map[string]string `json:"external_ids"`
	Attributes  jsontext.Value    `json:"attributes"`
	Version     int64             `json:"version"`
	Created     time.Time         `json:"created"`
	Modified    time.Time         `json:"modified"`
}

func encodeGroup(g directory.Group) groupJSON {
	return groupJSON{
		ID: g.ID.String(), Number: g.Number, Code: g.Code, Name: g.Name, Description: g.Description,
		Grants: g.Grants.Names(), BuiltIn: g.BuiltIn, ExternalIDs: g.Externals, Attributes: attributesJSON(g.Attributes),
		Version: g.Version, Created: g.Created, Modified: g.Modified,
	}
}

// newGroupJSON is a group to be made.
type newGroupJSON struct {
	ID          string            `json:"id"`
	Number      int64             `json:"number"`
	Code        int64             `json:"code"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Grants      []string          `json:"grants"`
	ExternalIDs map[string]string `json:"external_ids"`
	Attributes  jsontext.Value    `json:"attributes"`
	UniqueName  bool              `json:"unique_name"`
}

var errBlankName = invalid("name.blank", "name", "A group needs a name.")

func (a *api) createGroup(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	if err := noPrecondition(r); err != nil {
		return err
	}
	var in newGroupJSON
	body, err := read(w, r, wire.MaxBody, &in)
	if err != nil {
		return err
	}
	if in.Name == "" {
		return errBlankName // the core lets it be, for a dialect whose groups have none
	}
	g := directory.NewGroup{
		Code: in.Code, Name: in.Name, Description: in.Description, Externals: in.ExternalIDs, UniqueName: in.UniqueName,
	}
	if g.ID, err = givenID[id.Group](in.ID); err != nil {
		return err
	}
	if g.Number, err = givenNumber(in.Number); err != nil {
		return err
	}
	if g.Grants, err = directory.ParseGrants(in.Grants); err != nil {
		return err
	}
	if g.Attributes, err = newAttributes(in.Attributes); err != nil {
		return err
	}
	return write(a, w, r, p, change[directory.Group]{
		body: body,
		do: func(ctx context.Context, p directory.Principal) (directory.Answer[directory.Group], error) {
			return a.directory.CreateGroup(ctx, p, g)
		},
		answer: func(g directory.Group, rev directory.Revision) answer {
			ans := say(http.StatusCreated, encodeGroup(g)).versioned(g.Version).at(rev)
			ans.Location = mount + "/tenants/" + p.Tenant.String() + "/groups/" + g.ID.String()
			return ans
		},
	})
}

func (a *api) listGroups(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	q, page := listParams(r, "name_prefix")
	if q.err != nil {
		return q.err
	}
	filter := directory.GroupFilter{NamePrefix: directory.FoldName(q.values.Get("name_prefix"))}
	got, err := a.directory.Groups(r.Context(), p, directory.ListGroups{Page: page, Filter: filter})
	if err != nil {
		return err
	}
	return respond(w, r, got.Revision, say(http.StatusOK, listOf(got.Value, q.query(r), encodeGroup)))
}

func (a *api) getGroup(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	if err := parseParams(r).err; err != nil {
		return err
	}
	ref, err := parseGroup("group", r.PathValue("group"))
	if err != nil {
		return err
	}
	got, err := a.directory.Group(r.Context(), p, ref)
	if err != nil {
		return err
	}
	return respond(w, r, got.Revision, say(http.StatusOK, encodeGroup(got.Value)).versioned(got.Value.Version))
}

// groupPatch is what may change of a group.
type groupPatch struct {
	Name        optional[string]            `json:"name"`
	Description optional[string]            `json:"description"`
	Grants      optional[[]string]          `json:"grants"`
	ExternalIDs optional[map[string]string] `json:"external_ids"`
	Attributes  jsontext.Value              `json:"attributes"`
	UniqueName  bool                        `json:"unique_name"`
}

func (a *api) updateGroup(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	var in groupPatch
	body, err := read(w, r, wire.MaxBody, &in)
	if err != nil {
		return err
	}
	if in.Name.given && in.Name.value == "" {
		return errBlankName
	}
	u := directory.GroupUpdate{
		Name: in.Name.pointer(), Description: in.Description.pointer(), Externals: in.ExternalIDs.pointer(), UniqueName: in.UniqueName,
	}
	if in.Grants.given {
		grants, err := directory.ParseGrants(in.Grants.value)
		if err != nil {
			return err
		}
		u.Grants = &grants
	}
	if u.Group, err = parseGroup("group", r.PathValue("group")); err != nil {
		return err
	}
	if u.IfVersion, err = ifMatch(r); err != nil {
		return err
	}
	if u.Attributes, err = readAttributes(in.Attributes); err != nil {
		return err
	}
	return write(a, w, r, p, change[directory.Group]{
		body: body,
		do: func(ctx context.Context, p directory.Principal) (directory.Answer[directory.Group], error) {
			return a.directory.UpdateGroup(ctx, p, u)
		},
		answer: func(g directory.Group, rev directory.Revision) answer {
			return say(http.StatusOK, encodeGroup(g)).versioned(g.Version).at(rev)
		},
	})
}

func (a *api) deleteGroup(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	ref, err := parseGroup("group", r.PathValue("group"))
	if err != nil {
		return err
	}
	version, err := ifMatch(r)
	if err != nil {
		return err
	}
	return write(a, w, r, p, change[directory.Group]{
		do: func(ctx context.Context, p directory.Principal) (directory.Answer[directory.Group], error) {
			return a.directory.DeleteGroup(ctx, p, directory.Deletion{Ref: ref, IfVersion: version})
		},
		answer: func(_ directory.Group, rev directory.Revision) answer { return say(http.StatusNoContent, nil).at(rev) },
	})
}
