package softwareone

import (
	"slices"
	"strings"
	"time"

	"roster/internal/directory"
)

// knownModules is the catalogue of an account that brings none of its own (the
// dialect's contract, section 2.8).
var knownModules = []bag{
	{
		"id": "MOD-0478", "name": "Marketplace", "description": "Products, orders, agreements and subscriptions.",
		"isConfigurable": true, "isEnabledByDefault": true, "paid": false, "accountTypes": []any{"Client", "Vendor", "Operations"},
		"filters":  map[string]any{"group.buyers": []any{"selected", "all"}},
		"settings": map[string]any{"sharedAccount": false, "configurable": true, "default": true, "paid": false, "type": []any{"new"}},
	},
	{
		"id": "MOD-1756", "name": "Access Management", "description": "Users, groups and what they may reach.",
		"isConfigurable": true, "isEnabledByDefault": true, "paid": false, "accountTypes": []any{"Client", "Vendor", "Operations"},
		"filters":  map[string]any{"group.buyers": []any{"selected", "all"}},
		"settings": map[string]any{"sharedAccount": false, "configurable": true, "default": true, "paid": false, "type": []any{"new"}},
	},
	{
		"id": "MOD-9042", "name": "Account management", "description": "The account itself and its details.",
		"isConfigurable": true, "isEnabledByDefault": true, "paid": false, "accountTypes": []any{"Client", "Vendor", "Operations"},
		"filters":  map[string]any{"group.buyers": []any{"all"}},
		"settings": map[string]any{"sharedAccount": false, "configurable": true, "default": true, "paid": false, "type": []any{"new"}},
	},
}

// catalogue is the modules that the account knows, by id in capitals.
func (v *picture) catalogue() map[string]bag {
	list := knownModules
	if b := attributes(v.tenant.Attributes); b["modules"] != nil {
		list = b.objects("modules")
	}
	out := make(map[string]bag, len(list))
	for _, m := range list {
		out[strings.ToUpper(m.text("id"))] = m
	}
	return out
}

// modules draws the modules that the groups give, each once, by id. One that
// the catalogue does not know has an id and nothing more.
func (v *picture) modules(w *within, groups ...directory.Group) []module {
	catalogue := v.catalogue()
	out := []module{}
	seen := map[string]bool{}
	for _, g := range groups {
		for _, m := range attributes(g.Attributes).objects("modules") {
			id := strings.ToUpper(m.text("id"))
			if !seen[id] {
				seen[id] = true
				out = append(out, v.module(id, catalogue[id], w))
			}
		}
	}
	slices.SortFunc(out, func(a, b module) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// moduleID is the form of module ids, which are names given by hand: the text
// itself tells them apart, and none ever stands inside another.
var moduleID = form{prefix: "MOD"}

func (v *picture) module(id string, b bag, w *within) module {
	m := module{
		ID: id, Href: "/accounts/modules/" + id, Name: b.text("name"), Code: b.text("code"), Description: b.text("description"),
		IsConfigurable: b.flag("isConfigurable"), IsEnabledByDefault: b.flag("isEnabledByDefault"), Paid: b.flag("paid"),
		AccountTypes: b.texts("accountTypes"),
	}
	if f := b.in("filters"); f != nil {
		m.Filters = &moduleFilters{GroupBuyers: f.texts("group.buyers")}
	}
	if s := b.in("settings"); s != nil {
		m.Settings = &moduleSettings{
			SharedAccount: s.flag("sharedAccount"), Configurable: s.flag("configurable"), Default: s.flag("default"),
			Paid: s.flag("paid"), Type: s.texts("type"), Obsolete: s.flag("obsolete"),
		}
	}
	if w.detail(moduleID, 0) == bare {
		m.Meta.Omitted = []string{"audit"}
		return m
	}
	created := orElse(b.moment("created"), v.tenant.Created)
	m.Audit = &audit{Created: after(created), Updated: after(orElse(b.moment("updated"), created))}
	return m
}

func orElse(t, other time.Time) time.Time {
	if t.IsZero() {
		return other
	}
	return t
}
