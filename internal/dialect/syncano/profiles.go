package syncano

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"roster/internal/directory"
	"roster/internal/id"
)

// The attributes that profiles are kept in. One that is not there has its
// default value: what was never set takes no space, and a user of another
// dialect has a profile too.
const (
	attrCreated  = "created_at"
	attrUpdated  = "updated_at"
	attrRevision = "revision"
	attrOwnerMay = "owner_permissions"
	attrGroup    = "group"
	attrGroupMay = "group_permissions"
	attrOtherMay = "other_permissions"
	attrChannel  = "channel"
	attrRoom     = "channel_room"
	attrValues   = "fields" // of the schema

	// attrBase is the tenant's: what ids of profiles begin above.
	attrBase = "profile_base"
)

// profileSource is the source of the external ids of users that are the ids of
// their profiles, for those that came here with one.
const profileSource = "syncano-profile"

// attributes are values in this dialect's namespace.
func attributes(values map[string]any) directory.Attributes {
	if len(values) == 0 {
		return nil
	}
	return directory.Attributes{name: values}
}

// profileOf is what this dialect keeps of a user.
func profileOf(u directory.User) directory.Profile {
	return directory.Profile{
		User: u.ID, Number: u.Number, External: u.Externals[profileSource], Created: u.Created, Modified: u.Modified,
		Values: u.Attributes.Clone().In(name),
	}
}

// profileID is the id of a profile: the one it came with, or its user's number
// above those that came.
func profileID(t directory.Tenant, f directory.Profile) int64 {
	if n, err := strconv.ParseInt(f.External, 10, 64); err == nil && n > 0 {
		return n
	}
	return profileBase(t) + int64(f.Number)
}

func profileBase(t directory.Tenant) int64 {
	return max(integer(t.Attributes.In(name)[attrBase], 0), 0)
}

// profileRefs are the users whose profile may have an id: by what it came with,
// and by its user's number, which counts if that user came with none.
func profileRefs(t directory.Tenant, pid int64) (came, counted directory.Ref) {
	return directory.ByExternal(profileSource, strconv.FormatInt(pid, 10)), directory.ByNumber(pid - profileBase(t))
}

// encodeProfiles shows profiles (sections 2.4 and 2.9).
func (d *door) encodeProfiles(r *http.Request, p directory.Principal, v *visit, profiles []directory.Profile) ([]map[string]any, error) {
	pointers := make([]int64, len(profiles))
	for i, f := range profiles {
		pointers[i] = integer(f.Values[attrGroup], 0)
	}
	known, err := d.knownGroups(r, p, pointers)
	if err != nil {
		return nil, err
	}
	c := classOf(v.tenant)
	out := make([]map[string]any, len(profiles))
	for i, f := range profiles {
		out[i] = v.links.encodeProfile(v.tenant, c, f, known)
	}
	return out, nil
}

// encodeProfile shows one profile. known are the groups that there are.
func (l links) encodeProfile(t directory.Tenant, c class, f directory.Profile, known map[int64]bool) map[string]any {
	pid := profileID(t, f)
	to := map[string]string{"self": l.profile(pid), "owner": l.user(f.Number)}
	out := map[string]any{
		"id":         pid,
		attrCreated:  moment(f.Values[attrCreated], f.Created),
		attrUpdated:  moment(f.Values[attrUpdated], f.Modified),
		attrRevision: integer(f.Values[attrRevision], 1),
		"owner":      f.Number,
		attrOwnerMay: words(f.Values[attrOwnerMay], mayFull),
		attrGroup:    nil,
		attrGroupMay: words(f.Values[attrGroupMay], mayNone),
		attrOtherMay: words(f.Values[attrOtherMay], mayNone),
		attrChannel:  nil,
		attrRoom:     textOrNull(f.Values[attrRoom]),
		"links":      to,
	}
	if g := integer(f.Values[attrGroup], 0); known[g] {
		out[attrGroup], to["group"] = g, l.group(g)
	}
	values, _ := f.Values[attrValues].(map[string]any)
	for _, field := range c.schema {
		out[field.name] = field.show(values[field.name])
	}
	return out
}

// What the permission fields of a profile can say, and how much that is
// (section 4.2).
const (
	mayNone  = "none"
	mayRead  = "read"
	mayWrite = "write"
	mayFull  = "full"
)

var levels = []string{mayNone, mayRead, mayWrite, mayFull}

// level is how much a caller may do with a profile, by its permission fields.
type level int

// The levels, as in levels; mayAll is that of callers whom the fields do not bind.
const (
	levelRead  level = 1
	levelWrite level = 2
	mayAll     level = 3
)

// reach says what the caller may do with a profile. groups are those that the
// caller is in.
func (c caller) reach(f directory.Profile, may allowance, groups map[int64]bool) level {
	if may == yes {
		return mayAll
	}
	of := func(attribute, otherwise string) level {
		return level(slices.Index(levels, words(f.Values[attribute], otherwise)))
	}
	l := of(attrOtherMay, mayNone)
	if may == open {
		return l
	}
	if f.User == c.user {
		l = max(l, of(attrOwnerMay, mayFull))
	}
	if g := integer(f.Values[attrGroup], 0); g > 0 && groups[g] {
		l = max(l, of(attrGroupMay, mayNone))
	}
	return l
}

// shared reports whether the caller has no more of profiles than what they share
// with it.
func (v *visit) shared() directory.Shared { return v.may != yes }

// callerGroups are the groups that the caller's user is in, directly or through
// groups.
func (d *door) callerGroups(r *http.Request, p directory.Principal, v *visit) (map[int64]bool, error) {
	groups := map[int64]bool{}
	if v.caller.user.IsZero() {
		return groups, nil
	}
	in := directory.ListMembers{Member: directory.MemberRef{Ref: directory.ByUser(v.caller.user)}, Transitive: true, Page: directory.Page{Limit: directory.MaxPage}}
	for {
		a, err := d.directory.GroupsOf(r.Context(), p, in)
		if err != nil {
			return nil, err
		}
		for _, m := range a.Value.Items {
			groups[int64(m.Group.Number)] = true
		}
		if in.After = a.Value.Next; in.After == 0 {
			return groups, nil
		}
	}
}

// profile finds the profile that the path names, if the caller may see it, and
// the caller's groups.
func (d *door) profile(r *http.Request, p directory.Principal, v *visit) (directory.Profile, map[int64]bool, error) {
	if err := d.gate(r, p, v); err != nil {
		return directory.Profile{}, nil, err
	}
	pid, err := id.ParseNumber(r.PathValue("id"))
	if err != nil {
		return directory.Profile{}, nil, errNotFound
	}
	f, err := d.profileByID(r, p, v, int64(pid))
	if err != nil {
		return f, nil, err
	}
	groups, err := d.callerGroups(r, p, v)
	if err == nil && v.caller.reach(f, v.may, groups) < levelRead {
		err = errNotFound
	}
	return f, groups, err
}

func (d *door) profileByID(r *http.Request, p directory.Principal, v *visit, pid int64) (directory.Profile, error) {
	came, counted := profileRefs(v.tenant, pid)
	a, err := d.directory.Profile(r.Context(), p, came, profileSource, v.shared())
	if errors.Is(err, directory.NotFound) {
		a, err = d.directory.Profile(r.Context(), p, counted, profileSource, v.shared())
		if err == nil && a.Value.External != "" {
			err = errNotFound
		}
	}
	return a.Value, err
}

func (d *door) getProfile(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	f, _, err := d.profile(r, p, v)
	if err != nil {
		return err
	}
	return d.showProfile(w, r, p, v, f)
}

func (d *door) showProfile(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit, f directory.Profile) error {
	list, err := d.encodeProfiles(r, p, v, []directory.Profile{f})
	if err == nil {
		v.write(w, http.StatusOK, list[0])
	}
	return err
}

func (d *door) postProfile(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	return d.updateProfile(w, r, p, v, replaced)
}

func (d *door) patchProfile(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	return d.updateProfile(w, r, p, v, patched)
}

// updateProfile answers POST and PATCH of a profile. Whether the caller may is
// asked again of the profile as it is in the transaction.
func (d *door) updateProfile(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit, how manner) error {
	f, groups, err := d.profile(r, p, v)
	if err != nil {
		return err
	}
	if v.caller.reach(f, v.may, groups) < levelWrite {
		return errForbidden
	}
	fields, err := v.object(r)
	if err != nil {
		return err
	}
	in, bad, err := d.readProfileFields(r, p, v, fields, how)
	if err != nil {
		return err
	}
	if owner, given := fields["owner"]; given && inPython(owner) != decimal(f.Number) {
		bad["owner"] = "Cannot change owner of User Profile object."
	}
	expected, problem := readRevision(fields)
	if problem != "" {
		bad[expectedRevision] = problem
	}
	if err := bad.err(); err != nil {
		return err
	}
	a, err := d.directory.UpdateProfile(r.Context(), p, directory.ProfileUpdate{
		User: directory.ByUser(f.User), Source: profileSource, Shared: v.shared(),
		Change: func(before directory.Profile) (map[string]any, error) {
			l := v.caller.reach(before, v.may, groups)
			if l < levelWrite {
				return nil, errForbidden
			}
			if now := integer(before.Values[attrRevision], 1); expected != 0 && expected != now {
				return nil, errRevision(expected, now)
			}
			return in.change(before, l)
		},
	})
	if err != nil {
		return err
	}
	return d.showProfile(w, r, p, v, a.Value)
}
