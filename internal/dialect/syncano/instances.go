package syncano

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"roster/internal/directory"
	"roster/internal/id"
)

// platform is the tenant that accounts are users of.
var platform id.Tenant

// maxInstances is how many instances an account may own (section 3.6).
const maxInstances = 16

// Limits on an instance's name, in characters (section 2.2).
const (
	minInstanceName = 5
	maxInstanceName = 64
)

// reservedInstances are names that no instance may have (section 2.2).
var reservedInstances = []string{
	"devcenter", "support", "sentry", "admin", "platform", "redirect", "media", "signup", "login", "instance_subdomain",
	"my_instance", "myinstance", "panel", "account", "noinstance", "public", "template1", "status",
}

var (
	startsWithLetter = regexp.MustCompile(`^[a-z]`)
	endsWell         = regexp.MustCompile(`[a-z0-9]$`)
	lettersDigits    = regexp.MustCompile(`^[a-z0-9-]*$`)
)

// instanceObject is an instance as clients see it (section 2.2).
type instanceObject struct {
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Owner       *accountObject    `json:"owner"`
	CreatedAt   string            `json:"created_at"`
	UpdatedAt   string            `json:"updated_at"`
	Role        string            `json:"role"`
	Location    string            `json:"location"`
	Metadata    map[string]any    `json:"metadata"`
	Links       map[string]string `json:"links"`
}

// encodeInstance shows a tenant to a principal that acts in it.
func (d *door) encodeInstance(r *http.Request, p directory.Principal, v *visit, t directory.Tenant) (instanceObject, error) {
	kept := t.Attributes.In(name)
	out := instanceObject{
		Name: t.Name, Description: words(kept[attrDescription], ""), Role: role(v.caller, p.Grants), Location: "us1",
		CreatedAt: moment(kept[attrCreated], t.Created), UpdatedAt: moment(nil, t.Modified),
		Metadata: map[string]any{}, Links: map[string]string{},
	}
	if m, ok := kept[attrMetadata].(map[string]any); ok {
		out.Metadata = m
	}
	self := links{version: v.links.version, instance: t.Name}.base()
	out.Links["self"] = self
	for _, below := range []string{"admins", "classes", "api_keys", "users", "groups", "batch", "rename"} {
		out.Links[below] = self + below + "/"
	}
	owner, err := d.directory.Owner(r.Context(), p)
	if errors.Is(err, directory.NotFound) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	o, err := d.encodeAccount(r, owner)
	out.Owner = &o
	return out, err
}

// role is what the caller is in an instance, by the grants of its key there.
func role(c caller, g directory.Grants) string {
	switch {
	case !c.account:
		return "api_key"
	case g.Has(directory.Admin):
		return "full"
	case g.Has(directory.WriteUsers) || g.Has(directory.WriteGroups) || g.Has(directory.WriteMembers):
		return "write"
	}
	return "read"
}

// in is the caller's principal in a tenant.
func (d *door) in(r *http.Request, p directory.Principal, v *visit, t directory.Tenant) (directory.Principal, error) {
	if p.Tenant == t.ID {
		return p, nil
	}
	return d.principal(r, v.caller.credential, t.ID)
}

// instances are those that the caller has a role in, in the order in which they
// were made.
func (d *door) instances(r *http.Request, p directory.Principal) ([]directory.Tenant, error) {
	switch {
	case !p.Tenant.IsZero():
		a, err := d.directory.Tenant(r.Context(), p)
		return []directory.Tenant{a.Value}, err
	case !p.User.IsZero():
		return d.directory.OwnTenants(r.Context(), p)
	}
	var all []directory.Tenant
	for page := (directory.Page{Limit: directory.MaxPage}); ; {
		found, err := d.directory.Tenants(r.Context(), p, page)
		if err != nil {
			return nil, err
		}
		all = append(all, found.Items...)
		if page.After = found.Next; page.After == 0 {
			return all, nil
		}
	}
}

func (d *door) listInstances(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	paging, err := readPaging(v.query)
	if err != nil {
		return err
	}
	all, err := d.instances(r, p)
	if err != nil {
		return err
	}
	prefix := v.query["name__startswith"]
	all = slices.DeleteFunc(all, func(t directory.Tenant) bool { return !strings.HasPrefix(t.Name, prefix) })
	slices.SortFunc(all, func(a, b directory.Tenant) int { return int(a.Code - b.Code) })
	cursor := func(t directory.Tenant) int64 { return t.Code }
	page, err := read(paging, v.links.version+"/instances/", cursor, few(all, cursor))
	if err != nil {
		return err
	}
	objects := make([]instanceObject, len(page.items))
	for i, t := range page.items {
		inside, err := d.in(r, p, v, t)
		if err != nil {
			return err
		}
		if objects[i], err = d.encodeInstance(r, inside, v, t); err != nil {
			return err
		}
	}
	writePage(w, v, page, objects)
	return nil
}

// readInstanceName reads the name that an instance is to have.
func readInstanceName(fields map[string]any, field string, bad problems) string {
	s := strings.ToLower(requiredText(fields, field, maxInstanceName, bad))
	if bad[field] != nil {
		return ""
	}
	switch {
	case len(s) < minInstanceName:
		bad[field] = fmt.Sprintf("Ensure this field has at least %d characters.", minInstanceName)
	case !startsWithLetter.MatchString(s):
		bad[field] = "Value has to start with a letter."
	case !endsWell.MatchString(s):
		bad[field] = "Value has to end with a letter or a number."
	case slices.Contains(reservedInstances, s):
		bad[field] = "Unable to use that value. Please choose a different one."
	case !lettersDigits.MatchString(s):
		bad[field] = "Enter a valid value consisting of letters, numbers, hyphens."
	case strings.Contains(s, "--"):
		bad[field] = "Double hyphens are reserved."
	}
	return s
}

// instanceFields reads what a body says of an instance beside its name.
func instanceFields(fields map[string]any, bad problems) map[string]any {
	set := map[string]any{}
	if s := blankText(fields, attrDescription, maxDescription, bad); s != nil {
		set[attrDescription] = nil
		if *s != "" {
			set[attrDescription] = *s
		}
	}
	if given, ok := fields[attrMetadata]; ok {
		m, problem := readMetadata(given)
		if problem != "" {
			bad[attrMetadata] = problem
		}
		set[attrMetadata] = m
	}
	return set
}

// nameError says of the field that holds an instance's name that it is taken.
func nameError(field string, err error) error {
	if directory.CodeOf(err) == directory.ErrTenantNameTaken.Code {
		return problems{field: notUnique}.err()
	}
	return err
}

func (d *door) createInstance(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	if !p.Tenant.IsZero() {
		return errForbidden // the key of one instance
	}
	fields, err := v.object(r)
	if err != nil {
		return err
	}
	bad := problems{}
	in := directory.NewTenant{Name: readInstanceName(fields, "name", bad), Owner: p.User}
	set := instanceFields(fields, bad)
	if err := bad.err(); err != nil {
		return err
	}
	if !p.User.IsZero() {
		in.AtMost = maxInstances
	}
	for field, value := range set {
		in.Attributes = in.Attributes.With(name, field, value)
	}
	a, err := d.directory.CreateTenant(r.Context(), p, in)
	if directory.CodeOf(err) == "tenant.limit" {
		return errLimit(fmt.Sprintf("Instance count exceeded (%d).", maxInstances), err)
	}
	if err != nil {
		return nameError("name", err)
	}
	inside, err := d.in(r, p, v, a.Value)
	if err != nil {
		return err
	}
	out, err := d.encodeInstance(r, inside, v, a.Value)
	if err == nil {
		v.write(w, http.StatusCreated, out)
	}
	return err
}

func (d *door) getInstance(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	out, err := d.encodeInstance(r, p, v, v.tenant)
	if err == nil {
		v.write(w, http.StatusOK, out)
	}
	return err
}

// updateInstance answers PUT and PATCH of an instance, which differ in nothing:
// no field but the name is ever required, and that cannot be set here.
func (d *door) updateInstance(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	fields, err := v.object(r)
	if err != nil {
		return err
	}
	bad := problems{}
	set := instanceFields(fields, bad)
	if err := bad.err(); err != nil {
		return err
	}
	return d.changeInstance(w, r, p, v, directory.TenantUpdate{Attributes: attributes(set)})
}

func (d *door) changeInstance(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit, in directory.TenantUpdate) error {
	a, err := d.directory.UpdateTenant(r.Context(), p, in)
	if err != nil {
		return nameError("new_name", err)
	}
	out, err := d.encodeInstance(r, p, v, a.Value)
	if err == nil {
		v.write(w, http.StatusOK, out)
	}
	return err
}

func (d *door) renameInstance(w http.ResponseWriter, r *http.Request, p directory.Principal, v *visit) error {
	fields, err := v.object(r)
	if err != nil {
		return err
	}
	bad := problems{}
	renamed := readInstanceName(fields, "new_name", bad)
	if err := bad.err(); err != nil {
		return err
	}
	return d.changeInstance(w, r, p, v, directory.TenantUpdate{Name: &renamed})
}

// deleteInstance answers DELETE of an instance, which is for its owners.
func (d *door) deleteInstance(w http.ResponseWriter, r *http.Request, _ directory.Principal, v *visit) error {
	p, err := d.principal(r, v.caller.credential, v.caller.credential.Tenant)
	if err != nil {
		return err
	}
	if _, err := d.directory.DeleteTenant(r.Context(), p, v.tenant.ID); err != nil {
		return err
	}
	return done(w)
}
