package softwareone

// account draws the account that the picture is of.
func (v *picture) account(w *within) account {
	t, b := v.tenant, attributes(v.tenant.Attributes)
	a := account{
		ID: accountID.render(t.Code), Name: t.Title, Icon: b.text("icon"),
		Type:   b.oneOf("type", "Client", "Vendor", "Operations"),
		Status: b.oneOf("status", "Active", "Enabled", "Disabled"),
	}
	a.Href = "/accounts/accounts/" + a.ID
	if a.Name == "" {
		a.Name = t.Name
	}
	level := w.detail(accountID, t.Code)
	if level == summary {
		a.Meta.Omitted = []string{
			"revision", "externalIds", "externalId", "externalName", "serviceLevel", "address", "technicalSupportEmail",
			"website", "description", "defaultLanguageCode", "eligibility", "groups", "audit",
		}
		return a
	}
	a.Revision = t.Version
	a.ExternalID, a.ExternalName = b.text("externalId"), b.text("externalName")
	if x := (externalIDs{b.in("externalIds").text("pyraTenantId")}); x != (externalIDs{}) {
		a.ExternalIDs = &x
	}
	a.ServiceLevel = b.oneOf("serviceLevel", "NotApplicable", "Express", "Elite", "Dsc", "Focus", "Runners", "Strategics")
	where := b.in("address")
	x := address{
		AddressLine1: where.text("addressLine1"), AddressLine2: where.text("addressLine2"), PostCode: where.text("postCode"),
		City: where.text("city"), State: where.text("state"), Country: where.text("country"),
	}
	if x != (address{}) {
		a.Address = &x
	}
	a.TechnicalSupportEmail, a.Website, a.Description = b.text("technicalSupportEmail"), b.text("website"), b.text("description")
	a.DefaultLanguageCode = b.text("defaultLanguageCode")
	if e := b.in("eligibility"); e != nil && a.Type == "Client" {
		a.Eligibility = &eligibility{Client: e.flag("client"), Partner: e.flag("partner")}
	}
	if level == bare {
		a.Meta.Omitted = []string{"groups", "audit"}
		return a
	}
	inside := w.inside(accountID, t.Code)
	a.Groups = make([]userGroup, len(v.groups))
	for i, g := range v.groups {
		a.Groups[i] = v.userGroup(g, inside)
	}
	if v.moreGroups {
		a.Meta.Omitted = []string{"groups"}
	}
	a.Audit = &audit{Created: after(t.Created), Updated: after(t.Modified)}
	return a
}
