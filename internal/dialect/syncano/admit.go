package syncano

import (
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"roster/internal/dialect"
	"roster/internal/directory"
	"roster/internal/id"
)

// authenticate implements [dialect.Door.Authenticate].
func (d *door) authenticate(r *http.Request, route *dialect.Route) (*http.Request, directory.Principal, error) {
	p, err := d.admit(r, route.Pattern, scopeOf(route.Pattern))
	return r, p, err
}

// scopeOf is the scope of a path that needs a key.
func scopeOf(pattern string) scope {
	_, below, ok := strings.Cut(pattern, "/{instance}/")
	switch {
	case !ok:
		return outside
	case below == "" || below == "rename/":
		return instance
	}
	return inside
}

// admit makes the checks that come before permissions, in the order in which
// clients may rely on them (section 1.4): the instance exists, the object that
// the path goes through exists, the answer may be JSON, the key is known.
func (d *door) admit(r *http.Request, pattern string, s scope) (directory.Principal, error) {
	v := visitOf(r)
	if s == keyless {
		return directory.Principal{}, d.reach(r, v, pattern)
	}
	var err error
	switch s {
	case inside:
		v.tenant, err = d.instance(r)
		if err == nil {
			err = d.parents(r, v.tenant)
		}
	case instance:
		if v.tenant, err = d.instance(r); errors.Is(err, errNoInstance) {
			v.hidden, err = true, nil // is told after the key
		}
	}
	if err != nil {
		v.w.Header().Set("Allow", d.allow[pattern])
		return directory.Principal{}, err
	}
	v.links.instance = v.tenant.Name
	if err := d.reach(r, v, pattern); err != nil {
		return directory.Principal{}, err
	}
	return d.identify(r, v, s)
}

// reach makes the checks that every path has.
func (d *door) reach(r *http.Request, v *visit, pattern string) error {
	v.w.Header().Set("Allow", d.allow[pattern])
	if !acceptsJSON(r.Header.Values("Accept")) {
		return errNotAcceptable
	}
	return nil
}

// instance finds the tenant that the path names, in any letter case. A tenant's
// id, which the core would take too, is no instance's name.
func (d *door) instance(r *http.Request) (directory.Tenant, error) {
	name := strings.ToLower(r.PathValue("instance"))
	if !directory.IsTenantName(name) {
		return directory.Tenant{}, errNoInstance
	}
	t, err := d.directory.FindTenant(r.Context(), name)
	if errors.Is(err, directory.NotFound) || err == nil && t.Name != name {
		return directory.Tenant{}, errNoInstance
	}
	return t, err
}

// parents looks up the user, group or class that a nested path goes through.
// That tells whoever knows an instance's name which ids exist in it, as the
// original did.
func (d *door) parents(r *http.Request, tenant directory.Tenant) error {
	for _, parent := range []struct {
		param   string
		isGroup bool
		missing error
	}{{"user", false, errNoParentUser}, {"group", true, errNoParentGroup}} {
		text := r.PathValue(parent.param)
		if text == "" {
			continue
		}
		n, err := id.ParseNumber(text)
		if err != nil {
			return parent.missing
		}
		exists, err := d.directory.Exists(r.Context(), tenant.ID, directory.MemberRef{IsGroup: parent.isGroup, Ref: directory.ByNumber(int64(n))})
		if err != nil {
			return err
		}
		if !exists {
			return parent.missing
		}
	}
	if class := r.PathValue("class"); class != "" && !isProfileClass(class) {
		return errNoParentClass
	}
	return nil
}

// acceptsJSON reports whether the values of an Accept header leave room for
// application/json: the most specific range that covers it decides.
func acceptsJSON(accept []string) bool {
	ranges := strings.TrimSpace(strings.Join(accept, ","))
	if ranges == "" {
		return true
	}
	best, accepted := 0, false
	for part := range strings.SplitSeq(ranges, ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		specific := map[string]int{"*/*": 1, "application/*": 2, mediaJSON: 3}[media]
		if specific <= best {
			continue
		}
		q, err := strconv.ParseFloat(params["q"], 64)
		best, accepted = specific, err != nil || q > 0
	}
	return accepted
}
