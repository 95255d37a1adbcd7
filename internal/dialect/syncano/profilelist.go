package syncano

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"roster/internal/directory"
)

// maxLook is how many profiles one request may look at to fill a page. A page
// that would need more ends early, and its next one goes on from there.
const maxLook = 10000

// listProfiles answers GET classes/user_profile/objects/ (section 2.9).
func (d *door) listProfiles(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	if err := d.gate(r, p, v); err != nil {
		return err
	}
	paging, err := readPaging(v.query)
	if err != nil {
		return err
	}
	c := classOf(v.tenant)
	wanted, err := c.readQuery(v.query["query"])
	if err != nil {
		return err
	}
	by, err := c.readOrder(v.query["order_by"])
	if err != nil {
		return err
	}
	groups, err := d.callerGroups(r, p, v)
	if err != nil {
		return err
	}
	s := &search{door: d, r: r, p: p, v: v, class: c}
	s.sees = func(f directory.Profile) bool {
		return v.caller.reach(f, v.may, groups) >= levelRead && wanted.hold(s.values(f))
	}
	s.narrow = v.may != yes || len(wanted) > 0
	cursor := func(f directory.Profile) int64 { return profileID(v.tenant, f) }
	from := s.from
	if by.field != "" {
		all, err := s.all(by)
		if err != nil {
			return err
		}
		paging.descending, from = false, ordered(all, cursor)
	}
	path := v.links.base() + "classes/" + profileClass + "/objects/"
	page, err := read(paging, path, cursor, from)
	if err != nil {
		return err
	}
	if s.stopped > 0 && paging.forward {
		page.next = paging.link(path, "1", s.stopped)
	}
	objects, err := d.encodeProfiles(r, p, v, page.items)
	if err != nil {
		return err
	}
	out := envelope{Next: page.next, Prev: page.prev, Objects: make([]any, len(objects))}
	for i, o := range objects {
		out.Objects[i] = o
	}
	if counts, ok := boolean(v.query["include_count"]); ok && counts {
		n, err := s.count()
		if err != nil {
			return err
		}
		out.ObjectsCount = &n
	}
	v.writeList(w, out)
	return nil
}

// search looks through the profiles of an instance.
type search struct {
	*door
	r      *http.Request
	p      directory.Principal
	v      *visit
	class  class
	sees   func(directory.Profile) bool
	narrow bool // sees leaves some out

	stopped int64 // the id of the last profile looked at, if there may be more
}

// from is the source of those that are wanted. Profiles are in the order of
// their users.
func (s *search) from(after int64, descending bool, limit int) ([]directory.Profile, error) {
	in := directory.ListProfiles{Descending: descending, Source: profileSource, Shared: s.v.shared()}
	if after > 0 {
		f, err := s.profileByID(s.r, s.p, s.v, after)
		switch {
		case err == nil:
			in.After = int64(f.Number)
		case directory.KindOf(err) != directory.NotFound:
			return nil, err
		default: // deleted since it ended a page
			in.After = max(after-profileBase(s.v.tenant), 0)
			if in.After == 0 && descending {
				return nil, nil
			}
		}
	}
	in.Limit = limit
	if s.narrow {
		in.Limit = directory.MaxPage
	}
	var out []directory.Profile
	for looked := 0; ; {
		a, err := s.directory.Profiles(s.r.Context(), s.p, in)
		if err != nil {
			return nil, err
		}
		for _, f := range a.Value.Items {
			if s.sees(f) {
				if out = append(out, f); len(out) == limit {
					return out, nil
				}
			}
		}
		looked += len(a.Value.Items)
		if in.After = a.Value.Next; in.After == 0 {
			return out, nil
		}
		if looked >= maxLook {
			s.stopped = profileID(s.v.tenant, a.Value.Items[len(a.Value.Items)-1])
			return out, nil
		}
	}
}

// all returns everything that is wanted in another order, if there is not too
// much to be put in order.
func (s *search) all(by ordering) ([]directory.Profile, error) {
	narrow := s.narrow
	s.narrow = true
	all, err := s.from(0, false, maxLook+1)
	s.narrow = narrow
	if err != nil {
		return nil, err
	}
	if s.stopped > 0 {
		return nil, &directory.Error{Kind: directory.Invalid, Code: "syncano.order", Detail: "There are too many objects to be ordered."}
	}
	slices.SortStableFunc(all, func(a, b directory.Profile) int {
		c := order(s.values(a)[by.field], s.values(b)[by.field])
		if by.descending {
			return -c
		}
		return c
	})
	return all, nil
}

// count counts what is wanted, as far as one request may look.
func (s *search) count() (int64, error) {
	if !s.narrow {
		a, err := s.directory.CountUsers(s.r.Context(), s.p)
		return a.Value, err
	}
	all, err := s.from(0, false, maxLook+1)
	return int64(len(all)), err
}

// values are what a profile can be filtered and ordered by.
func (s *search) values(f directory.Profile) map[string]any {
	kept, _ := f.Values[attrValues].(map[string]any)
	out := map[string]any{
		"id":         json.Number(decimal(profileID(s.v.tenant, f))),
		"owner":      json.Number(decimal(f.Number)),
		attrCreated:  moment(f.Values[attrCreated], f.Created),
		attrUpdated:  moment(f.Values[attrUpdated], f.Modified),
		attrRevision: json.Number(decimal(integer(f.Values[attrRevision], 1))),
	}
	for _, field := range s.class.schema {
		out[field.name] = kept[field.name]
	}
	return out
}

// ordering is by what a list is ordered; by id if the field is "".
type ordering struct {
	field      string
	descending bool
}

// readOrder reads order_by. Ids may be asked for either way; of a schema's
// fields those that are indexed for it.
func (c class) readOrder(given string) (ordering, error) {
	if given == "" {
		return ordering{}, nil
	}
	field, descending := strings.CutPrefix(given, "-")
	by := ordering{field, descending}
	if slices.Contains([]string{"id", attrCreated, attrUpdated}, field) {
		return by, nil
	}
	if f, ok := c.field(field); !ok || !f.ordered {
		return by, errOrderBy
	}
	return by, nil
}

// ordered is the source of a list in an order of its own: cursors are where they
// are in it.
func ordered[T any](all []T, cursor func(T) int64) source[T] {
	return func(after int64, descending bool, limit int) ([]T, error) {
		at := slices.IndexFunc(all, func(item T) bool { return cursor(item) == after })
		rest := slices.Clone(all)
		switch {
		case descending && after == 0:
			slices.Reverse(rest)
		case descending:
			rest = rest[:max(at, 0)]
			slices.Reverse(rest)
		case after != 0 && at < 0:
			rest = nil
		default:
			rest = rest[at+1:]
		}
		return rest[:min(limit, len(rest))], nil
	}
}

// conditions are what a query asks for, all of them.
type conditions []condition

type condition struct {
	field    string
	operator string
	operand  any
}

var errQuery = problems{"query": "Invalid query."}.err()

// readQuery reads a query: an object of fields, each with an object of operators
// and what they compare with. A field of the schema must be indexed for it.
func (c class) readQuery(given string) (conditions, error) {
	if given == "" {
		return nil, nil
	}
	parsed, err := decodeJSON([]byte(given))
	if err != nil {
		return nil, errQuery
	}
	fields, ok := parsed.(map[string]any)
	if !ok {
		return nil, errQuery
	}
	var out conditions
	for field, asked := range fields {
		f, inSchema := c.field(field)
		if !slices.Contains([]string{"id", "owner", attrCreated, attrUpdated, attrRevision}, field) && !(inSchema && f.filtered) {
			return nil, errQuery
		}
		operators, ok := asked.(map[string]any)
		if !ok {
			return nil, errQuery
		}
		for operator, operand := range operators {
			_, isList := operand.([]any)
			_, isText := operand.(string)
			_, isBool := operand.(bool)
			switch operator {
			case "_eq", "_neq", "_gt", "_gte", "_lt", "_lte":
				ok = !isList
			case "_in", "_nin":
				ok = isList
			case "_exists":
				ok = isBool
			case "_startswith", "_istartswith", "_endswith", "_iendswith", "_contains", "_icontains", "_ieq":
				ok = isText
			default:
				ok = false
			}
			if !ok {
				return nil, errQuery
			}
			out = append(out, condition{field, operator, operand})
		}
	}
	return out, nil
}

func (all conditions) hold(values map[string]any) bool {
	return !slices.ContainsFunc(all, func(c condition) bool { return !c.holds(values[c.field]) })
}

func (c condition) holds(v any) bool {
	same := func(operand any) bool { return comparable(v, operand) && order(v, operand) == 0 }
	switch c.operator {
	case "_eq":
		return same(c.operand)
	case "_neq":
		return !same(c.operand)
	case "_in", "_nin":
		list, _ := c.operand.([]any)
		return slices.ContainsFunc(list, same) == (c.operator == "_in")
	case "_exists":
		return (v != nil) == c.operand
	case "_gt", "_gte", "_lt", "_lte":
		if v == nil || !comparable(v, c.operand) {
			return false
		}
		n := order(v, c.operand)
		return n < 0 && c.operator[1] == 'l' || n > 0 && c.operator[1] == 'g' || n == 0 && strings.HasSuffix(c.operator, "e")
	}
	s, isText := v.(string)
	operand, _ := c.operand.(string)
	if strings.HasPrefix(c.operator, "_i") {
		s, operand = directory.FoldName(s), directory.FoldName(operand)
	}
	switch strings.TrimPrefix(strings.TrimPrefix(c.operator, "_"), "i") {
	case "startswith":
		return isText && strings.HasPrefix(s, operand)
	case "endswith":
		return isText && strings.HasSuffix(s, operand)
	case "contains":
		return isText && strings.Contains(s, operand)
	}
	return isText && s == operand
}

// comparable reports whether two values are of one sort.
func comparable(a, b any) bool {
	sort := func(v any) int {
		switch v.(type) {
		case nil:
			return 0
		case string:
			return 1
		case bool:
			return 2
		case []any, map[string]any:
			return 3
		}
		return 4
	}
	return sort(a) == sort(b)
}
