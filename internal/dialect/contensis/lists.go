package contensis

import (
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"roster/internal/directory"
	"roster/internal/wire"
)

// The size of a page (section 4.1).
const (
	defaultPage = 25
	maxPage     = directory.MaxFound
)

// list is what a request says about the list it wants.
type list struct {
	fields fields
	index  int
	size   int
	filter directory.Filter
	order  []directory.Order
}

// readList reads the parameters that all lists have: pages, q, order, ZenQL and
// the search of users (section 4). Parameters that are not known are passed over.
func (c *contensis) readList(query url.Values, f fields) (l list, err error) {
	l.fields = f
	if l.index, err = count(param(query, "pageIndex"), "pageIndex", 0, 0); err != nil {
		return l, err
	}
	if l.size, err = count(param(query, "pageSize"), "pageSize", defaultPage, 1); err != nil {
		return l, err
	}
	filters := []directory.Filter{}
	if q := strings.TrimSpace(param(query, "q")); q != "" {
		filters = append(filters, f.contains(q))
	}
	if text := param(query, "zenql"); strings.TrimSpace(text) != "" {
		filter, order, err := parseZenQL(text, f, c.d.Now())
		if err != nil {
			return l, err
		}
		filters, l.order = append(filters, filter), order
	}
	where, err := jsonParam(query, "where")
	if err != nil {
		return l, err
	}
	orderBy, err := jsonParam(query, "orderBy")
	if err != nil {
		return l, err
	}
	if f.users && where != nil {
		filter, err := parseWhere(where, f, c.d.Now())
		if err != nil {
			return l, err
		}
		filters = append(filters, filter)
	}
	if orderBy != nil {
		if l.order, err = parseOrderBy(orderBy, f); err != nil {
			return l, err
		}
	}
	if order := param(query, "order"); order != "" {
		l.order = f.order(strings.Split(order, ","))
	}
	l.filter = directory.And(filters...)
	l.settle()
	return l, nil
}

// settle ends the order with the name, by which lists are sorted if nothing
// else is said (section 4.2).
func (l *list) settle() {
	if len(l.order) == 0 {
		l.order = []directory.Order{{Field: directory.FieldName}}
	}
	l.size = min(l.size, maxPage)
}

// finding is what the directory is asked.
func (l list) finding() directory.Finding {
	offset := math.MaxInt32
	if l.index <= math.MaxInt32/l.size {
		offset = l.index * l.size
	}
	return directory.Finding{Filter: l.filter, Order: l.order, Offset: offset, Limit: l.size, Total: true}
}

// count reads a number of at least least.
func count(text, name string, otherwise, least int) (int, error) {
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || int(n) < least {
		return 0, malformed("page.invalid", "The parameter "+name+" must be a whole number of at least "+strconv.Itoa(least)+".")
	}
	return int(n), nil
}

// jsonParam reads JSON text in a parameter, nil if there is none. A text that is
// no JSON is given back as it is: orders are also written plainly.
func jsonParam(query url.Values, key string) (any, error) {
	text := strings.TrimSpace(param(query, key))
	if text == "" {
		return nil, nil
	}
	if key == "orderBy" && !strings.ContainsAny(text[:1], `[{"`) {
		return text, nil
	}
	v, err := wire.Lenient([]byte(text))
	if err != nil {
		return nil, malformed("query.json", "The parameter "+key+" is not valid JSON.")
	}
	return v, nil
}

func answer[T, U any](w http.ResponseWriter, l list, found directory.Sorted[T], models []U) {
	wire.WriteJSON(w, http.StatusOK, pagedList[U]{
		PageIndex: l.index, PageSize: l.size, TotalCount: found.Total, PageCount: (found.Total + l.size - 1) / l.size, Items: models,
	})
}

func (c *contensis) answerUsers(w http.ResponseWriter, r *http.Request, p directory.Principal, l list, in directory.FindUsers) error {
	in.Finding = l.finding()
	found, err := c.d.FindUsers(r.Context(), p, in)
	if err != nil {
		return notFound(err, r.PathValue("group"), "")
	}
	users := found.Value.Items
	signIns, err := c.d.SignIns(r.Context(), p, users)
	if err != nil {
		return err
	}
	models := make([]user, len(users))
	for i, u := range users {
		models[i] = newUser(u, signIns.Value[i], c.d.Now())
	}
	answer(w, l, found.Value, models)
	return nil
}

func (c *contensis) answerGroups(w http.ResponseWriter, r *http.Request, p directory.Principal, l list, in directory.FindGroups) error {
	in.Finding, in.Counts = l.finding(), true
	found, err := c.d.FindGroups(r.Context(), p, in)
	if err != nil {
		return notFound(err, r.PathValue("group"), r.PathValue("user"))
	}
	models := make([]group, len(found.Value.Items))
	for i, g := range found.Value.Items {
		models[i] = newGroup(g, found.Value.Counts[i])
	}
	answer(w, l, found.Value, models)
	return nil
}

// listUsers answers "List users" and, by GET, "Search users" (section 3.1).
func (c *contensis) listUsers(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	l, err := c.readList(r.URL.Query(), userFields)
	if err != nil {
		return err
	}
	return c.answerUsers(w, r, p, l, directory.FindUsers{})
}

// searchUsers answers "Search users" by POST, with the query in the body
// (section 4.3).
func (c *contensis) searchUsers(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	body, err := readObject(w, r)
	if err != nil {
		return err
	}
	l := list{fields: userFields}
	number := func(key string, otherwise, least int) (int, error) {
		v, _ := body.get(key)
		if v == nil {
			return otherwise, nil
		}
		n, ok := v.(json.Number)
		if !ok {
			return 0, malformed("page.invalid", "The field "+key+" must be a number.")
		}
		return count(n.String(), key, otherwise, least)
	}
	if l.index, err = number("pageIndex", 0, 0); err != nil {
		return err
	}
	if l.size, err = number("pageSize", defaultPage, 1); err != nil {
		return err
	}
	if where, _ := body.get("where"); where != nil {
		if l.filter, err = parseWhere(where, l.fields, c.d.Now()); err != nil {
			return err
		}
	}
	if orderBy, _ := body.get("orderBy"); orderBy != nil {
		if l.order, err = parseOrderBy(orderBy, l.fields); err != nil {
			return err
		}
	}
	l.settle()
	return c.answerUsers(w, r, p, l, directory.FindUsers{})
}

// listMembers answers "Get users in a group" (section 3.3).
func (c *contensis) listMembers(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	query := r.URL.Query()
	l, err := c.readList(query, userFields)
	if err != nil {
		return err
	}
	return c.answerUsers(w, r, p, l, directory.FindUsers{
		Group: groupRef(r.PathValue("group")), Transitive: isTrue(query, "includeInherited"), Except: excluded(query),
	})
}

// listGroups answers "List groups" (section 3.2).
func (c *contensis) listGroups(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	l, err := c.readList(r.URL.Query(), groupFields)
	if err != nil {
		return err
	}
	return c.answerGroups(w, r, p, l, directory.FindGroups{})
}

// listChildren answers "Get child groups" (section 3.4).
func (c *contensis) listChildren(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	query := r.URL.Query()
	l, err := c.readList(query, groupFields)
	if err != nil {
		return err
	}
	return c.answerGroups(w, r, p, l, directory.FindGroups{
		Inside: groupRef(r.PathValue("group")), Transitive: isTrue(query, "includeInherited"), Self: isTrue(query, "includeSelf"), Except: excluded(query),
	})
}

// listUserGroups answers "Get user groups" (section 3.1). An older revision of
// the documentation spells one parameter otherwise.
func (c *contensis) listUserGroups(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	query := r.URL.Query()
	l, err := c.readList(query, groupFields)
	if err != nil {
		return err
	}
	ref, err := userRef(p, r.PathValue("user"))
	if err != nil {
		return err
	}
	return c.answerGroups(w, r, p, l, directory.FindGroups{
		Of: &directory.MemberRef{Ref: ref}, Transitive: isTrue(query, "includeInherited") || isTrue(query, "includedInherited"), Except: excluded(query),
	})
}

func isTrue(query url.Values, key string) bool { return strings.EqualFold(param(query, key), "true") }

// excluded reads the groups whose members a list leaves out (section 3.4).
func excluded(query url.Values) []directory.Ref {
	var refs []directory.Ref
	for name := range strings.SplitSeq(param(query, "excludedGroups"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			refs = append(refs, groupRef(name))
		}
	}
	return refs
}
