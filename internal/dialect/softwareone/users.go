package softwareone

import (
	"strings"
	"time"

	"roster/internal/directory"
)

// fullName is the first and last name, or whatever else there is to call them.
func fullName(u directory.User) string {
	if n := strings.TrimSpace(u.GivenName + " " + u.FamilyName); n != "" {
		return n
	}
	return u.FullName()
}

// invitationLasts is how long an invitation may be accepted.
const invitationLasts = 7 * 24 * time.Hour

// invitationStatus is how far a user has come on the way in: "Active" for who
// has arrived, as everybody has who was not invited through this dialect.
func (v *picture) invitationStatus(u directory.User) string {
	i := attributes(u.Attributes).in("invitation")
	status := i.oneOf("status", "Active", "Invited", "InvitationExpired")
	if at := i.moment("at"); status == "Invited" && !at.IsZero() && !v.now.Before(at.Add(invitationLasts)) {
		return "InvitationExpired"
	}
	return status
}

// userStatus is the user's own status; that of its membership is its invitation's.
func (v *picture) userStatus(u directory.User) string {
	switch {
	case u.Suspended:
		return "Blocked"
	case !u.ActiveAt(v.now):
		return "Disabled"
	}
	return v.invitationStatus(u)
}

func readPhone(b bag) *phone {
	p := phone{Prefix: b.text("prefix"), Number: b.text("number")}
	if p == (phone{}) {
		return nil
	}
	return &p
}

func readSettings(b bag) *settings {
	s := settings{
		CultureCode: b.text("cultureCode"), LanguageCode: b.text("languageCode"), DateFormat: b.text("dateFormat"),
		TimeFormat: b.text("timeFormat"), TimeZone: b.text("timeZone"), NumberFormat: b.text("numberFormat"),
	}
	if s == (settings{}) {
		return nil
	}
	return &s
}

// user draws a user as one human, which is what a USR- id names.
func (v *picture) user(u directory.User, w *within) user {
	b := attributes(u.Attributes)
	out := user{ID: userID.render(u.PersonCode), Name: fullName(u), Icon: b.text("icon")}
	out.Href = "/accounts/users/" + out.ID
	level := w.detail(userID, u.PersonCode)
	if level == summary {
		out.Meta.Omitted = []string{
			"revision", "email", "status", "phone", "firstName", "lastName", "lastLoginAt", "settings", "accounts", "currentAccount", "audit",
		}
		return out
	}
	out.Revision, out.Email, out.Status = u.Version, u.Email, v.userStatus(u)
	out.FirstName, out.LastName = u.GivenName, u.FamilyName
	out.Phone, out.Settings = readPhone(b.in("phone")), readSettings(b.in("settings"))
	out.LastLoginAt = stamp(b.moment("lastLoginAt"))
	if level == bare {
		out.Meta.Omitted = []string{"accounts", "currentAccount", "audit"}
		return out
	}
	// Whoever asks stands in this account, so it is the only one they may see.
	shared := v.account(w.inside(userID, u.PersonCode))
	out.Accounts, out.CurrentAccount = []account{shared}, &shared
	out.Audit = &audit{
		Created:              v.happened(u.CreatedIn, u.Created),
		Updated:              v.happened(u.ModifiedIn, u.Modified),
		InvitationAcceptedAt: stamp(b.moment("invitationAcceptedAt")),
	}
	return out
}
