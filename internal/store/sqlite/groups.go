package sqlite

import (
	"database/sql"

	"roster/internal/directory"
	"roster/internal/id"
)

const groupColumns = "id, number, code, name, description, grants, built_in, version, created, modified, created_in, modified_in, externals, attributes, joins"

func scanGroup(row scanner) (directory.Group, error) {
	var g directory.Group
	var gid []byte
	var number, grants, created, modified int64
	var externals, attributes sql.NullString
	var joins string
	err := row.Scan(&gid, &number, &g.Code, &g.Name, &g.Description, &grants, &g.BuiltIn, &g.Version, &created, &modified, &g.CreatedIn, &g.ModifiedIn, &externals, &attributes, &joins)
	if err != nil {
		return g, err
	}
	g.Number, g.Grants, g.Created, g.Modified = id.Number(number), directory.Grants(grants), fromMicros(created), fromMicros(modified)
	if g.ID, err = id.FromBytes[id.Group](gid); err != nil {
		return g, err
	}
	if g.Externals, err = decode[map[string]string](externals); err != nil {
		return g, err
	}
	g.Joins = directory.ParseJoins(joins)
	g.Attributes, err = decode[directory.Attributes](attributes)
	return g, err
}

// Group implements [directory.Reader].
func (r *reader) Group(ref directory.Ref) (directory.Group, error) {
	where, arg, ok := nounGroup.where(ref)
	if ref.Kind == directory.RefExternal {
		number, _, err := r.number(nounGroup, ref)
		if err != nil {
			return directory.Group{}, err
		}
		where, arg, ok = "number = ?", int64(number), number != 0
	}
	if !ok {
		return directory.Group{}, directory.ErrNoGroup
	}
	list, err := all(r.quick(), r.c, scanGroup, "SELECT "+groupColumns+" FROM groups WHERE tenant = ? AND "+where+" LIMIT 2", r.pk, arg)
	switch {
	case err != nil:
		return directory.Group{}, err
	case len(list) == 0:
		return directory.Group{}, directory.ErrNoGroup
	case len(list) > 1:
		return directory.Group{}, directory.ErrAmbiguous
	}
	return list[0], nil
}

// Groups implements [directory.Reader].
func (r *reader) Groups(numbers []id.Number) ([]directory.Group, error) {
	if len(numbers) == 0 {
		return nil, nil
	}
	return all(r.ctx, r.c, scanGroup,
		"SELECT "+groupColumns+" FROM groups WHERE tenant = ? AND number IN (SELECT value FROM json_each(?)) ORDER BY number", r.pk, integers(numbers))
}

// GroupNumbers implements [directory.Reader].
func (r *reader) GroupNumbers(refs []directory.Ref) ([]id.Number, error) {
	return r.numbers(nounGroup, refs)
}

// ListGroups implements [directory.Reader].
func (r *reader) ListGroups(f directory.GroupFilter, after id.Number, limit int) ([]directory.Group, error) {
	where, order, args := keyset("number", int64(after), f.Descending, r.pk)
	if f.NamePrefix != "" {
		where += " AND name_fold >= ?"
		args = append(args, f.NamePrefix)
		if end := prefixEnd(f.NamePrefix); end != "" {
			where += " AND name_fold < ?"
			args = append(args, end)
		}
	}
	args = append(args, limit)
	return all(r.ctx, r.c, scanGroup, "SELECT "+groupColumns+" FROM groups WHERE tenant = ?"+where+order+" LIMIT ?", args...)
}

// Granting implements [directory.Reader].
func (r *reader) Granting() ([]directory.Group, error) {
	return all(r.ctx, r.c, scanGroup, "SELECT "+groupColumns+" FROM groups WHERE tenant = ? AND grants <> 0 ORDER BY number", r.pk)
}

// Joining implements [directory.Reader].
func (r *reader) Joining() ([]directory.Group, error) {
	return all(r.ctx, r.c, scanGroup, "SELECT "+groupColumns+" FROM groups WHERE tenant = ? AND joins <> '' ORDER BY number", r.pk)
}

// InsertGroup implements [directory.Writer].
func (w *writer) InsertGroup(g *directory.Group) error {
	if err := w.save(); err != nil {
		return err
	}
	if err := w.unused(kindGroup, g.Number, g.ID[:], g.Code); err != nil {
		return err
	}
	if g.ID.IsZero() {
		g.ID = id.New[id.Group]()
	}
	if err := w.nextNumber(&g.Number, &w.row.nextGroup); err != nil {
		return err
	}
	if err := w.nextCode("group", &g.Code); err != nil {
		return err
	}
	g.Version, g.Created, g.Modified = 1, w.at, w.at
	g.CreatedIn, g.ModifiedIn = w.row.revision+1, w.row.revision+1
	externals, err := encode(g.Externals)
	if err != nil {
		return err
	}
	attributes, err := encode(g.Attributes)
	if err != nil {
		return err
	}
	folded, err := encode(directory.FoldAttributes(g.Attributes))
	if err != nil {
		return err
	}
	name := directory.FoldName(g.Name)
	err = w.c.exec(w.ctx, `INSERT INTO groups (tenant, number, id, code, name, name_fold, description, grants, built_in, version, created, modified, created_in, modified_in, externals, attributes, name_sort, description_fold, attributes_fold, joins)
 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		w.pk, int64(g.Number), g.ID[:], g.Code, g.Name, name, g.Description, int64(g.Grants), g.BuiltIn,
		g.Version, micros(g.Created), micros(g.Modified), w.revision(), w.revision(), externals, attributes,
		directory.SortKey(name), directory.FoldName(g.Description), folded, g.Joins.String())
	if err != nil {
		return classify(err)
	}
	if err := w.putExternals(kindGroup, g.Number, nil, g.Externals); err != nil {
		return err
	}
	if g.Grants != 0 {
		w.reshape()
	}
	w.record(directory.GroupChange(directory.GroupCreated, directory.Group{}, *g))
	return nil
}

// UpdateGroup implements [directory.Writer].
func (w *writer) UpdateGroup(before, after directory.Group) error {
	if err := w.save(); err != nil {
		return err
	}
	w.unlearn(kindGroup, before.ID)
	if before.Name != after.Name {
		if err := w.pastGroup(before); err != nil {
			return err
		}
	}
	externals, err := encode(after.Externals)
	if err != nil {
		return err
	}
	attributes, err := encode(after.Attributes)
	if err != nil {
		return err
	}
	folded, err := encode(directory.FoldAttributes(after.Attributes))
	if err != nil {
		return err
	}
	name := directory.FoldName(after.Name)
	err = w.c.exec(w.ctx, `UPDATE groups SET name = ?, name_fold = ?, description = ?, grants = ?, version = ?, modified = ?, modified_in = ?, externals = ?, attributes = ?,
 name_sort = ?, description_fold = ?, attributes_fold = ?, joins = ? WHERE tenant = ? AND number = ?`,
		after.Name, name, after.Description, int64(after.Grants), before.Version+1, micros(w.at), w.revision(), externals, attributes,
		directory.SortKey(name), directory.FoldName(after.Description), folded, after.Joins.String(), w.pk, int64(before.Number))
	if err != nil {
		return classify(err)
	}
	if err := w.putExternals(kindGroup, before.Number, before.Externals, after.Externals); err != nil {
		return err
	}
	if before.Grants != after.Grants {
		w.reshape()
	}
	w.record(directory.GroupChange(directory.GroupUpdated, before, after))
	return nil
}

// DeleteGroup implements [directory.Writer].
func (w *writer) DeleteGroup(g directory.Group) error {
	if err := w.save(); err != nil {
		return err
	}
	w.unlearn(kindGroup, g.ID)
	if err := w.pastGroup(g); err != nil {
		return err
	}
	if err := w.bury(kindGroup, g.Number, g.ID[:], g.Code, g.Name); err != nil {
		return err
	}
	if err := w.putExternals(kindGroup, g.Number, g.Externals, nil); err != nil {
		return err
	}
	if err := w.c.exec(w.ctx, "DELETE FROM groups WHERE tenant = ? AND number = ?", w.pk, int64(g.Number)); err != nil {
		return err
	}
	w.reshape()
	w.record(directory.GroupChange(directory.GroupDeleted, g, directory.Group{}))
	return nil
}
