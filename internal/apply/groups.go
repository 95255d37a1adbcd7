package apply

import (
	"errors"
	"reflect"

	"roster/internal/directory"
	"roster/internal/id"
)

func (r *run) group(p directory.Principal, g Group, fresh bool) error {
	which, err := ref(g.ID, g.Number, g.Code, g.Name)
	if err != nil {
		return err
	}
	var grants *directory.Grants
	if g.Grants != nil {
		parsed, err := directory.ParseGrants(*g.Grants)
		if err != nil {
			return err
		}
		grants = &parsed
	}
	var have directory.Group
	exists := false
	if !fresh {
		a, err := r.Directory.Group(r.ctx, p, which)
		if err != nil && !errors.Is(err, directory.NotFound) {
			return err
		}
		have, exists = a.Value, err == nil
	}
	if !exists && r.made[thing{noun: "group", ref: which}] != 0 {
		r.tally("group", false, false)
		return nil
	}
	if !exists {
		if g.Number < 0 || g.Number > int64(id.MaxNumber) {
			return fault("number %d is out of range", g.Number)
		}
		in := directory.NewGroup{Name: g.Name, Number: id.Number(g.Number), Code: g.Code, BuiltIn: g.BuiltIn, Attributes: g.Attributes.core()}
		if g.ID != "" {
			in.ID, _ = id.Parse[id.Group](g.ID) // parsed before
		}
		set(&in.Description, g.Description)
		set(&in.Grants, grants)
		set(&in.Joins.Domains, g.Joins)
		set(&in.Externals, g.ExternalIDs)
		r.tally("group", true, false)
		if r.dry {
			names := []thing{{noun: "group", ref: directory.ByName(in.Name)}, {noun: "group", ref: directory.ByNumber(g.Number)}, {noun: "group", ref: directory.ByCode(g.Code)}}
			if g.ID != "" {
				names = append(names, thing{noun: "group", ref: directory.ByGroup(in.ID)})
			}
			for source, key := range in.Externals {
				names = append(names, thing{noun: "group", ref: directory.ByExternal(source, key)})
			}
			r.make(names...)
			return nil
		}
		_, err := r.Directory.CreateGroup(r.ctx, p, in)
		return err
	}
	update := directory.GroupUpdate{
		Group: directory.ByGroup(have.ID), Description: g.Description, Grants: grants, Externals: g.ExternalIDs, Attributes: g.Attributes.core(),
	}
	if g.Name != "" {
		update.Name = &g.Name
	}
	if g.Joins != nil {
		update.Joins = &directory.Joins{Everyone: have.Joins.Everyone, Domains: *g.Joins}
	}
	changed := unlike(update.Name, have.Name) || unlike(g.Description, have.Description) || unlike(grants, have.Grants) ||
		g.ExternalIDs != nil && !(len(*g.ExternalIDs) == 0 && len(have.Externals) == 0) && !reflect.DeepEqual(*g.ExternalIDs, have.Externals) ||
		update.Joins != nil && update.Joins.String() != have.Joins.String() || !have.Attributes.Holds(g.Attributes.core())
	if changed && !r.dry {
		if _, err := r.Directory.UpdateGroup(r.ctx, p, update); err != nil {
			return err
		}
	}
	r.tally("group", false, changed)
	return nil
}
