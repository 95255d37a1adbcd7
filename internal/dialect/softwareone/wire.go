package softwareone

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"roster/internal/wire"
)

// The objects of the wire (the dialect's contract, section 2.2). A property
// without a value is left out; a collection that is shown is an array even when
// it is empty.

type meta struct {
	// Omitted names the properties that the object has and this answer does not
	// show, or of which it shows only the first.
	Omitted []string `json:"omitted"`
}

type accountUser struct {
	ID            string      `json:"id"`
	AccountUserID string      `json:"accountUserId,omitzero"`
	Href          string      `json:"href"`
	Meta          meta        `json:"$meta"`
	Revision      int64       `json:"revision"`
	Name          string      `json:"name"`
	Icon          string      `json:"icon,omitzero"`
	Email         string      `json:"email,omitzero"`
	Status        string      `json:"status"`
	Phone         *phone      `json:"phone,omitzero"`
	FirstName     string      `json:"firstName,omitzero"`
	LastName      string      `json:"lastName,omitzero"`
	LastLoginAt   string      `json:"lastLoginAt,omitzero"`
	Settings      *settings   `json:"settings,omitzero"`
	Audit         *audit      `json:"audit,omitzero"`
	User          *user       `json:"user"`
	Groups        []userGroup `json:"groups"`
	Modules       []module    `json:"modules"`
	Buyers        []buyer     `json:"buyers"`
	Account       *account    `json:"account"`
	Invitation    *invitation `json:"invitation"`
}

type user struct {
	ID             string    `json:"id"`
	Href           string    `json:"href"`
	Meta           meta      `json:"$meta"`
	Revision       int64     `json:"revision,omitzero"`
	Name           string    `json:"name"`
	Icon           string    `json:"icon,omitzero"`
	Email          string    `json:"email,omitzero"`
	Status         string    `json:"status,omitzero"`
	Phone          *phone    `json:"phone,omitzero"`
	FirstName      string    `json:"firstName,omitzero"`
	LastName       string    `json:"lastName,omitzero"`
	LastLoginAt    string    `json:"lastLoginAt,omitzero"`
	Settings       *settings `json:"settings,omitzero"`
	Accounts       []account `json:"accounts,omitzero"`
	CurrentAccount *account  `json:"currentAccount,omitzero"`
	Audit          *audit    `json:"audit,omitzero"`
}

type phone struct {
	Prefix string `json:"prefix,omitzero"`
	Number string `json:"number,omitzero"`
}

type settings struct {
	CultureCode  string `json:"cultureCode,omitzero"`
	LanguageCode string `json:"languageCode,omitzero"`
	DateFormat   string `json:"dateFormat,omitzero"`
	TimeFormat   string `json:"timeFormat,omitzero"`
	TimeZone     string `json:"timeZone,omitzero"`
	NumberFormat string `json:"numberFormat,omitzero"`
}

type invitation struct {
	Status string `json:"status"`
	URL    string `json:"url,omitzero"`
	Notes  string `json:"notes,omitzero"`
}

type account struct {
	ID                    string       `json:"id"`
	Href                  string       `json:"href"`
	Meta                  meta         `json:"$meta"`
	Revision              int64        `json:"revision,omitzero"`
	Name                  string       `json:"name"`
	Icon                  string       `json:"icon,omitzero"`
	Type                  string       `json:"type"`
	Status                string       `json:"status"`
	ExternalIDs           *externalIDs `json:"externalIds,omitzero"`
	ExternalID            string       `json:"externalId,omitzero"`
	ExternalName          string       `json:"externalName,omitzero"`
	ServiceLevel          string       `json:"serviceLevel,omitzero"`
	Address               *address     `json:"address,omitzero"`
	TechnicalSupportEmail string       `json:"technicalSupportEmail,omitzero"`
	Website               string       `json:"website,omitzero"`
	Description           string       `json:"description,omitzero"`
	DefaultLanguageCode   string       `json:"defaultLanguageCode,omitzero"`
	Eligibility           *eligibility `json:"eligibility,omitzero"`
	Groups                []userGroup  `json:"groups,omitzero"`
	Audit                 *audit       `json:"audit,omitzero"`
}

type externalIDs struct {
	PyraTenantID string `json:"pyraTenantId,omitzero"`
}

type address struct {
	AddressLine1 string `json:"addressLine1,omitzero"`
	AddressLine2 string `json:"addressLine2,omitzero"`
	PostCode     string `json:"postCode,omitzero"`
	City         string `json:"city,omitzero"`
	State        string `json:"state,omitzero"`
	Country      string `json:"country,omitzero"`
}

type eligibility struct {
	Client  *bool `json:"client,omitzero"`
	Partner *bool `json:"partner,omitzero"`
}

type userGroup struct {
	ID          string   `json:"id"`
	Href        string   `json:"href"`
	Meta        meta     `json:"$meta"`
	Revision    int64    `json:"revision,omitzero"`
	Name        string   `json:"name"`
	Description string   `json:"description,omitzero"`
	Logo        *string  `json:"logo,omitzero"`
	IsDefault   bool     `json:"isDefault"`
	Account     *account `json:"account,omitzero"`
	Modules     []module `json:"modules,omitzero"`
	Users       []user   `json:"users,omitzero"`
	Buyers      []buyer  `json:"buyers,omitzero"`
	Audit       *audit   `json:"audit,omitzero"`
}

type module struct {
	ID                 string          `json:"id"`
	Href               string          `json:"href"`
	Meta               meta            `json:"$meta"`
	Name               string          `json:"name,omitzero"`
	Code               string          `json:"code,omitzero"`
	Description        string          `json:"description,omitzero"`
	IsConfigurable     *bool           `json:"isConfigurable,omitzero"`
	IsEnabledByDefault *bool           `json:"isEnabledByDefault,omitzero"`
	Paid               *bool           `json:"paid,omitzero"`
	AccountTypes       []string        `json:"accountTypes,omitzero"`
	Filters            *moduleFilters  `json:"filters,omitzero"`
	Settings           *moduleSettings `json:"settings,omitzero"`
	Audit              *audit          `json:"audit,omitzero"`
}

type moduleFilters struct {
	GroupBuyers []string `json:"group.buyers"` // one key, with a dot in it
}

type moduleSettings struct {
	SharedAccount *bool    `json:"sharedAccount,omitzero"`
	Configurable  *bool    `json:"configurable,omitzero"`
	Default       *bool    `json:"default,omitzero"`
	Paid          *bool    `json:"paid,omitzero"`
	Type          []string `json:"type,omitzero"`
	Obsolete      *bool    `json:"obsolete,omitzero"`
}

type buyer struct {
	ID   string `json:"id"`
	Href string `json:"href"`
	Meta meta   `json:"$meta"`
	Name string `json:"name,omitzero"`
	Icon string `json:"icon,omitzero"`
}

type audit struct {
	Created              *event `json:"created,omitzero"`
	Updated              *event `json:"updated,omitzero"`
	Invited              *event `json:"invited,omitzero"`
	Joined               *event `json:"joined,omitzero"`
	Access               *event `json:"access,omitzero"`
	InvitationAcceptedAt string `json:"invitationAcceptedAt,omitzero"`
}

type event struct {
	At string `json:"at"`
	By *actor `json:"by,omitzero"`
}

// actor is who did something. One whose credential is gone has only a name.
type actor struct {
	ID   string `json:"id,omitzero"`
	Href string `json:"href,omitzero"`
	Meta meta   `json:"$meta"`
	Name string `json:"name,omitzero"`
	Icon string `json:"icon,omitzero"`
}

// stamp renders a moment: UTC, to the millisecond; "" if there is none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// readBody reads a JSON body. Without a Content-Type it must be empty.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	t := wire.MediaType(r)
	isJSON := t == "application/json" || t == "text/json" || strings.HasPrefix(t, "application/") && strings.HasSuffix(t, "+json")
	if !isJSON && (r.ContentLength != 0 || r.Header.Get("Content-Type") != "") {
		return nil, errBodyType
	}
	return wire.ReadBody(w, r, wire.MaxBody)
}

// property finds a property of an input object by its name in any letter case.
// Of several spellings the exact one counts, or else the first in byte order.
func property(object map[string]any, name string) any {
	if v, ok := object[name]; ok {
		return v
	}
	var spelling []string
	for key := range object {
		if strings.EqualFold(key, name) {
			spelling = append(spelling, key)
		}
	}
	if len(spelling) == 0 {
		return nil
	}
	return object[slices.Min(spelling)]
}
