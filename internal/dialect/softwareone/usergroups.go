package softwareone

import (
	"strings"

	"roster/internal/directory"
)

// userGroup draws a group. Its users and audit are in the picture only if it is
// one of those the picture was read for.
func (v *picture) userGroup(g directory.Group, w *within) userGroup {
	b := attributes(g.Attributes)
	out := userGroup{ID: groupID.render(g.Code), Name: g.Name, Description: g.Description}
	out.Href = "/accounts/user-groups/" + out.ID
	if logo, ok := b["logo"].(string); ok {
		out.Logo = &logo
	}
	if isDefault := b.flag("isDefault"); isDefault != nil {
		out.IsDefault = *isDefault
	}
	level := w.detail(groupID, g.Code)
	if level == summary {
		out.Meta.Omitted = []string{"revision", "account", "modules", "users", "buyers", "audit"}
		return out
	}
	out.Revision = g.Version
	if level == bare {
		out.Meta.Omitted = []string{"account", "modules", "users", "buyers", "audit"}
		return out
	}
	inside := w.inside(groupID, g.Code)
	a := v.account(inside)
	out.Account = &a
	out.Modules = v.modules(inside, g)
	out.Buyers = buyersOf(g)
	in := v.members[g.Number]
	out.Users = make([]user, len(in.users))
	for i, u := range in.users {
		out.Users[i] = v.user(u, inside)
	}
	if in.more {
		out.Meta.Omitted = []string{"users"}
	}
	out.Audit = &audit{Created: v.happened(g.CreatedIn, g.Created), Updated: v.happened(g.ModifiedIn, g.Modified)}
	return out
}

// buyersOf lists the buyers that a group is restricted to; none means no
// restriction.
func buyersOf(g directory.Group) []buyer {
	out := []buyer{}
	for _, b := range attributes(g.Attributes).objects("buyers") {
		id := strings.ToUpper(b.text("id"))
		out = append(out, buyer{
			ID: id, Href: "/accounts/buyers/" + id, Name: b.text("name"), Icon: b.text("icon"),
			Meta: meta{[]string{"status", "taxId", "address", "contact", "externalIds", "account", "sellers", "errors", "audit"}},
		})
	}
	return out
}
