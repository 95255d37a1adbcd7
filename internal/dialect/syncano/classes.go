package syncano

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"roster/internal/directory"
	"roster/internal/id"
)

// profileClass is the one class that there is: that of the users' profiles.
const profileClass = "user_profile"

func isProfileClass(name string) bool { return strings.EqualFold(name, profileClass) }

// maxClasses is how many classes an instance may have here.
const maxClasses = 1

const classDescription = "Class that holds profiles for users."

// class is the class of profiles, which is kept in an attribute of the tenant.
type class struct {
	schema   []schemaField
	shown    []any // the schema
	kept     map[string]any
	revision int64
	group    int64 // 0 for none
	groupMay string
	otherMay string
}

// The attributes that the class is kept in, below user_profile, and its
// permissions.
const (
	attrClass       = profileClass
	attrSchema      = "schema"
	attrDescription = "description"
	attrMetadata    = "metadata"

	mayCreate = "create_objects"
)

// classOf is the class of a tenant's profiles.
func classOf(t directory.Tenant) class {
	kept, _ := t.Attributes.In(name)[attrClass].(map[string]any)
	c := class{
		kept: kept, shown: []any{}, revision: integer(kept[attrRevision], 1), group: integer(kept[attrGroup], 0),
		groupMay: words(kept[attrGroupMay], mayCreate), otherMay: words(kept[attrOtherMay], mayCreate),
	}
	if given := kept[attrSchema]; given != nil {
		if schema, shown, problem := readSchema(given); problem == "" {
			c.schema, c.shown = schema, shown
		}
	}
	return c
}

// field finds a field of the schema.
func (c class) field(name string) (schemaField, bool) {
	i := slices.IndexFunc(c.schema, func(f schemaField) bool { return f.name == name })
	if i < 0 {
		return schemaField{}, false
	}
	return c.schema[i], true
}

// classObject is a class as clients see it (section 2.9).
type classObject struct {
	Name             string            `json:"name"`
	Description      string            `json:"description"`
	Schema           []any             `json:"schema"`
	Status           string            `json:"status"`
	CreatedAt        string            `json:"created_at"`
	UpdatedAt        string            `json:"updated_at"`
	ObjectsCount     int64             `json:"objects_count"`
	Revision         int64             `json:"revision"`
	Group            *int64            `json:"group"`
	GroupPermissions string            `json:"group_permissions"`
	OtherPermissions string            `json:"other_permissions"`
	Metadata         map[string]any    `json:"metadata"`
	Links            map[string]string `json:"links"`
}

func (d *door) encodeClass(r *http.Request, p directory.Principal, v *visit, t directory.Tenant) (classObject, error) {
	c := classOf(t)
	count, err := d.directory.CountUsers(r.Context(), p)
	if err != nil {
		return classObject{}, err
	}
	self := v.links.base() + "classes/" + profileClass + "/"
	out := classObject{
		Name: profileClass, Description: classDescription, Schema: c.shown, Status: "ready",
		CreatedAt: moment(c.kept[attrCreated], t.Created), UpdatedAt: moment(c.kept[attrUpdated], t.Created),
		ObjectsCount: count.Value, Revision: c.revision, GroupPermissions: c.groupMay, OtherPermissions: c.otherMay,
		Metadata: map[string]any{}, Links: map[string]string{"self": self, "objects": self + "objects/"},
	}
	if s, ok := c.kept[attrDescription].(string); ok {
		out.Description = s
	}
	if m, ok := c.kept[attrMetadata].(map[string]any); ok {
		out.Metadata = m
	}
	known, err := d.knownGroups(r, p, []int64{c.group})
	if err != nil {
		return out, err
	}
	if known[c.group] {
		out.Group = &c.group
		out.Links["group"] = v.links.group(c.group)
	}
	return out, nil
}

// knownGroups says which of these numbers are groups' that there are. What
// points to a deleted group points to none (section 2.6).
func (d *door) knownGroups(r *http.Request, p directory.Principal, numbers []int64) (map[int64]bool, error) {
	known := map[int64]bool{}
	var ask []id.Number
	for _, n := range numbers {
		if n > 0 && n <= int64(id.MaxNumber) && !slices.Contains(ask, id.Number(n)) {
			ask = append(ask, id.Number(n))
		}
	}
	if len(ask) == 0 {
		return known, nil
	}
	a, err := d.directory.GroupsByNumber(r.Context(), p, ask)
	if errors.Is(err, directory.Forbidden) {
		return known, nil
	}
	for _, g := range a.Value {
		known[int64(g.Number)] = true
	}
	return known, err
}

// gate refuses callers that the class itself keeps out (section 4.2).
func (d *door) gate(r *http.Request, p directory.Principal, v *visit) error {
	if v.caller.account || v.caller.ignoresACL {
		return nil
	}
	c := classOf(v.tenant)
	if c.otherMay != mayNone {
		return nil
	}
	if c.groupMay != mayNone && c.group != 0 && !v.caller.user.IsZero() {
		groups, err := d.callerGroups(r, p, v)
		if err != nil || groups[c.group] {
			return err
		}
	}
	return errForbidden
}

func (d *door) listClasses(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	paging, err := readPaging(v.query)
	if err != nil {
		return err
	}
	var all []classObject
	err = d.gate(r, p, v)
	switch {
	case errors.Is(err, errForbidden): // sees no class
	case err != nil:
		return err
	case strings.HasPrefix(profileClass, strings.ToLower(v.query["name__startswith"])):
		c, err := d.encodeClass(r, p, v, v.tenant)
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	cursor := func(classObject) int64 { return 1 }
	page, err := read(paging, v.links.base()+"classes/", cursor, few(all, cursor))
	if err != nil {
		return err
	}
	writePage(w, v, page, page.items)
	return nil
}

// createClass answers POST classes/. There is one class, and room for no other:
// what is kept in classes is outside of what a directory keeps.
func (d *door) createClass(http.ResponseWriter, *http.Request, directory.Principal, *visit) error {
	return errLimit(fmt.Sprintf("Class count exceeded (%d).", maxClasses), nil)
}

func (d *door) getClass(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	if err := d.gate(r, p, v); err != nil {
		return err
	}
	if !isProfileClass(r.PathValue("id")) {
		return errNotFound
	}
	out, err := d.encodeClass(r, p, v, v.tenant)
	if err == nil {
		v.write(w, http.StatusOK, out)
	}
	return err
}

func (d *door) putClass(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	return d.updateClass(w, r, p, v, replaced)
}

func (d *door) patchClass(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	return d.updateClass(w, r, p, v, patched)
}

// updateClass answers PUT and PATCH of the class. PUT without a schema empties
// it; another schema is another revision.
func (d *door) updateClass(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit, how manner) error {
	if !isProfileClass(r.PathValue("id")) {
		return errNotFound
	}
	fields, err := v.object(r)
	if err != nil {
		return err
	}
	bad := problems{}
	set := map[string]any{}
	shown, schemaGiven := []any{}, how == replaced
	if given, ok := fields[attrSchema]; ok {
		var problem string
		if _, shown, problem = readSchema(given); problem != "" {
			bad[attrSchema] = problem
		}
		schemaGiven = true
	}
	if s := blankText(fields, attrDescription, maxDescription, bad); s != nil {
		set[attrDescription] = *s
	}
	for _, field := range []string{attrGroupMay, attrOtherMay} {
		if given, ok := fields[field]; ok {
			if given != mayNone && given != mayRead && given != mayCreate {
				bad[field] = notChoice(given)
			} else {
				set[field] = given
			}
		}
	}
	if given, ok := fields[attrMetadata]; ok {
		if m, problem := readMetadata(given); problem != "" {
			bad[attrMetadata] = problem
		} else {
			set[attrMetadata] = m
		}
	}
	if given, ok := fields[attrGroup]; ok {
		number, problem, err := d.readGroupPointer(r, p, given, nil)
		if err != nil {
			return err
		}
		if problem != "" {
			bad[attrGroup] = problem
		} else {
			set[attrGroup] = number
		}
	}
	expected, problem := readRevision(fields)
	if problem != "" {
		bad[expectedRevision] = problem
	}
	if err := bad.err(); err != nil {
		return err
	}
	now := d.directory.Now().Format(timestamp)
	a, err := d.directory.UpdateTenant(r.Context(), p, directory.TenantUpdate{Derive: func(before directory.Tenant) (directory.Attributes, error) {
		c := classOf(before)
		if expected != 0 && expected != c.revision {
			return nil, errRevision(expected, c.revision)
		}
		after := map[string]any{}
		for k, value := range c.kept {
			after[k] = value
		}
		for k, value := range set {
			after[k] = value
		}
		if schemaGiven {
			after[attrSchema] = shown
			if !sameJSON(c.shown, shown) {
				after[attrRevision] = c.revision + 1
			}
		}
		if sameJSON(c.kept, after) {
			return nil, nil
		}
		after[attrUpdated] = now
		return attributes(map[string]any{attrClass: after}), nil
	}})
	if err != nil {
		return err
	}
	out, err := d.encodeClass(r, p, v, a.Value)
	if err == nil {
		v.write(w, http.StatusOK, out)
	}
	return err
}

// Limits on metadata (section 2.2).
const (
	maxMetadata      = 8
	maxMetadataKey   = 16
	maxMetadataValue = 4096
)

// readMetadata reads an object of few and small values, native or as text.
func readMetadata(v any) (map[string]any, string) {
	v, problem := native(v)
	if problem != "" {
		return nil, problem
	}
	m, ok := v.(map[string]any)
	switch {
	case !ok:
		return nil, notObject
	case len(m) > maxMetadata:
		return nil, fmt.Sprintf("Too many keys (%d).", maxMetadata)
	}
	for key, value := range m {
		if n := utf8.RuneCountInString(key); n > maxMetadataKey {
			return nil, fmt.Sprintf("Ensure keys have no more than %d characters.", maxMetadataKey)
		}
		if len(inPython(value)) > maxMetadataValue {
			return nil, fmt.Sprintf("Ensure values have no more than %d characters.", maxMetadataValue)
		}
	}
	return m, ""
}
