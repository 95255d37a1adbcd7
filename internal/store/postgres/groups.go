package postgres

import (
	"roster/internal/directory"
	"roster/internal/id"
)

const groupColumns = "id, number, code, name, description, grants, built_in, version, created, modified, created_in, modified_in, externals, attributes, joins"

func scanGroup(row scanner) (directory.Group, error) {
	var g directory.Group
	var number, grants, created, modified, createdIn, modifiedIn int64
	var externals, attributes *string
	var joins string
	err := row.Scan((*[16]byte)(&g.ID), &number, &g.Code, &g.Name, &g.Description, &grants, &g.BuiltIn, &g.Version, &created, &modified, &createdIn, &modifiedIn, &externals, &attributes, &joins)
	if err != nil {
		return g, err
	}
	g.Number, g.Grants, g.Created, g.Modified = id.Number(number), directory.Grants(grants), fromMicros(created), fromMicros(modified)
	g.CreatedIn, g.ModifiedIn = directory.Revision(createdIn), directory.Revision(modifiedIn)
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
		where, arg, ok = "number = $2", int64(number), number != 0
	}
	if !ok {
		return directory.Group{}, directory.ErrNoGroup
	}
	list, err := all(r.ctx, r.c, scanGroup, "SELECT "+groupColumns+" FROM groups WHERE tenant = $1 AND "+where+" LIMIT 2", r.pk, arg)
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
		"SELECT "+groupColumns+" FROM groups WHERE tenant = $1 AND number = ANY($2) ORDER BY number", r.pk, integers(numbers))
}

// GroupNumbers implements [directory.Reader].
func (r *reader) GroupNumbers(refs []directory.Ref) ([]id.Number, error) {
	return r.numbers(nounGroup, refs)
}

// ListGroups implements [directory.Reader].
func (r *reader) ListGroups(f directory.GroupFilter, after id.Number, limit int) ([]directory.Group, error) {
	b := bindings{r.pk}
	where, order := b.keyset("number", int64(after), f.Descending)
	where += b.prefix("name_fold", f.NamePrefix)
	return all(r.ctx, r.c, scanGroup, "SELECT "+groupColumns+" FROM groups WHERE tenant = $1"+where+order+" LIMIT "+b.add(limit), b...)
}

// Granting implements [directory.Reader].
func (r *reader) Granting() ([]directory.Group, error) {
	return all(r.ctx, r.c, scanGroup, "SELECT "+groupColumns+" FROM groups WHERE tenant = $1 AND grants <> 0 ORDER BY number", r.pk)
}

// Joining implements [directory.Reader].
func (r *reader) Joining() ([]directory.Group, error) {
	return all(r.ctx, r.c, scanGroup, "SELECT "+groupColumns+" FROM groups WHERE tenant = $1 AND joins <> '' ORDER BY number", r.pk)
}

// InsertGroup implements [directory.Writer].
func (w *writer) InsertGroup(g *directory.Group) error {
	if err := w.save(); err != nil {
		return err
	}
	if err := w.unused(kindGroup, g.Number, g.ID); err != nil {
		return err
	}
	if g.ID.IsZero() {
		g.ID = id.New[id.Group]()
	}
	if err := w.nextNumber(&g.Number, &w.head.nextGroup); err != nil {
		return err
	}
	if err := w.nextCode("group", &g.Code); err != nil {
		return err
	}
	g.Version, g.Created, g.Modified = 1, w.at, w.at
	g.CreatedIn, g.ModifiedIn = directory.Revision(w.next()), directory.Revision(w.next())
	externals, err := encode(g.Externals)
	if err != nil {
		return err
	}
	attributes, err := encode(g.Attributes)
	if err != nil {
		return err
	}
	fold, err := folded(g.Attributes)
	if err != nil {
		return err
	}
	name := directory.FoldName(g.Name)
	err = w.c.exec(w.ctx, `INSERT INTO groups (tenant, number, id, code, name, name_fold, description, grants, built_in, version, created, modified, created_in, modified_in, externals, attributes,
 name_sort, description_fold, attributes_fold, joins)
 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`,
		w.pk, int64(g.Number), uuid(g.ID), g.Code, g.Name, name, g.Description, int64(g.Grants), g.BuiltIn,
		g.Version, micros(g.Created), micros(g.Modified), w.next(), w.next(), externals, attributes,
		directory.SortKey(name), directory.FoldName(g.Description), fold, g.Joins.String())
	if err != nil {
		return err
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
	w.o.l.names.drop([]name{{kindGroup, before.ID}})
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
	fold, err := folded(after.Attributes)
	if err != nil {
		return err
	}
	name := directory.FoldName(after.Name)
	err = w.c.exec(w.ctx, `UPDATE groups SET name = $3, name_fold = $4, description = $5, grants = $6, version = $7, modified = $8, modified_in = $9, externals = $10, attributes = $11,
 name_sort = $12, description_fold = $13, attributes_fold = $14, joins = $15 WHERE tenant = $1 AND number = $2`,
		w.pk, int64(before.Number), after.Name, name, after.Description, int64(after.Grants), before.Version+1, micros(w.at), w.next(), externals, attributes,
		directory.SortKey(name), directory.FoldName(after.Description), fold, after.Joins.String())
	if err != nil {
		return err
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
	w.o.l.names.drop([]name{{kindGroup, g.ID}})
	if err := w.pastGroup(g); err != nil {
		return err
	}
	if err := w.bury(kindGroup, g.Number, g.ID, g.Code, g.Name); err != nil {
		return err
	}
	if err := w.putExternals(kindGroup, g.Number, g.Externals, nil); err != nil {
		return err
	}
	if err := w.c.exec(w.ctx, "DELETE FROM groups WHERE tenant = $1 AND number = $2", w.pk, int64(g.Number)); err != nil {
		return err
	}
	w.reshape()
	w.record(directory.GroupChange(directory.GroupDeleted, g, directory.Group{}))
	return nil
}
