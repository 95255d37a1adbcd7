package dronahq

import (
	"strings"
	"time"

	"roster/internal/directory"
)

// Attributes of a user, in this dialect's namespace, for what the core has no
// field for.
const (
	attrDesignation = "user_desg"
	attrImage       = "user_image_url"
)

// picture is how a user is shown (section 2.1). What an identity provider has
// said about the user stays with us.
func picture(p directory.Portrait) userObject {
	attributes := p.Attributes.In(Name)
	u := userObject{
		UserID:       p.Number,
		UserName:     p.FullName(),
		UserEmail:    p.Email,
		UserDesg:     textOf(attributes[attrDesignation]),
		UserImageURL: textOf(attributes[attrImage]),
		ChannelID:    p.Tenant.Code,
		ChannelName:  p.Tenant.Name,
		AppName:      p.Tenant.Title,
		UserRegDate:  date(p.Created),
		ExternalIDP:  len(p.Externals) > 0,
		IsAdmin:      p.Holds.Has(directory.Admin),
		UserGroup:    make([]groupObject, len(p.Groups)),
	}
	if u.AppName == "" {
		u.AppName = p.Tenant.Name
	}
	for i, g := range p.Groups {
		u.UserGroup[i] = groupObject{ID: g.Number, Name: g.Name}
	}
	return u
}

// statistics says how active a user is, by its sign-ins. The numbers are of
// content, and there is none here.
func statistics(p directory.Portrait) statsObject {
	for word, activity := range activities {
		if activity == p.Activity() {
			return statsObject{Status: word}
		}
	}
	return statsObject{}
}

func textOf(attribute any) string {
	text, _ := attribute.(string)
	return strings.TrimSpace(text)
}

// date is a moment as this wire writes it: UTC, without a zone.
func date(t time.Time) string { return t.UTC().Format(time.DateTime) }
