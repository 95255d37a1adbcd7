package softwareone

import (
	"net/http"
	"slices"
	"strings"

	"roster/internal/directory"
	"roster/internal/wire"
)

// assignInAccount answers POST …/{accountId}/users/{userId}/groups of families A
// and B.
func (d *door) assignInAccount(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	return d.assign(w, r, p, byUser, r.PathValue("userId"))
}

// assignByMembership answers POST …/account-users/{id}/groups of family C.
func (d *door) assignByMembership(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	return d.assign(w, r, p, byMembership, r.PathValue("id"))
}

// assign puts an account user into the group that the body names, and answers
// with the whole account user. One who is in the group already stays there as
// before.
func (d *door) assign(w http.ResponseWriter, r *http.Request, p directory.Principal, f family, who string) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	group, err := decodeGroup(body)
	if err != nil {
		return err
	}
	ref, ok := f.ref(who)
	if !ok {
		return noEntity(who)
	}
	ctx := r.Context()
	if !p.User.IsZero() {
		// What this principal may read depends on its user's groups, which the
		// route's grant says nothing about. Whoever cannot be shown the answer
		// must not have caused the change.
		if _, _, err := d.load(ctx, p, ref, 0); err != nil {
			return aboutUser(err, who)
		}
	}
	done, err := d.directory.ChangeGroups(ctx, p, directory.GroupsChange{
		Member: directory.MemberRef{Ref: ref}, Add: []directory.Ref{group}, Keep: true,
	})
	if directory.CodeOf(err) == directory.ErrNoGroup.Code {
		return invalidProperty("id", "There is no such user group in this account.")
	}
	if err != nil {
		return aboutUser(err, who)
	}
	member, _ := done.Value.Member.User()
	v, s, err := d.load(ctx, p, directory.ByNumber(int64(member)), done.Value.Add[0].Edge.Group)
	if err != nil {
		return aboutUser(err, who)
	}
	wire.WriteJSON(w, http.StatusOK, v.accountUser(s, f))
	return nil
}

// aboutUser says which account user was not found.
func aboutUser(err error, who string) error {
	if directory.CodeOf(err) == directory.ErrNoUser.Code {
		return noEntity(who)
	}
	return err
}

// decodeGroup reads {"id": "UGR-1000-0003"}. What cannot be a group's id is a
// ref that names nothing, so that it is refused where an unknown one is.
func decodeGroup(body []byte) (directory.Ref, error) {
	var none directory.Ref
	if len(body) == 0 {
		return none, &directory.Error{Kind: directory.Invalid, Code: "body.missing", Detail: "The request needs a body."}
	}
	v, err := wire.Lenient(body)
	if err != nil {
		return none, err
	}
	object, ok := v.(map[string]any)
	if !ok {
		return none, &directory.Error{Kind: directory.Invalid, Code: "body.object", Detail: "The body must be a JSON object."}
	}
	switch id := property(object, "id").(type) {
	case nil:
		return none, invalidProperty("id", "The id of a user group is required.")
	case string:
		code, _ := groupID.parse(id)
		return directory.ByCode(code), nil
	}
	return none, invalidProperty("id", "The id of a user group is a string.")
}

// accountUser draws an account user: the top of the answer.
func (v *picture) accountUser(s standing, f family) accountUser {
	b := attributes(s.Attributes)
	membership := accountUserID.render(s.Code)
	var top *within
	inside := top.inside(accountUserID, s.Code)
	u := v.user(s.User, inside)
	a := v.account(inside)
	out := accountUser{
		ID: u.ID, AccountUserID: membership, Href: "/accounts/account-users/" + membership,
		Revision: s.Version, Name: u.Name, Icon: u.Icon, Email: u.Email, Status: v.invitationStatus(s.User),
		Phone: u.Phone, FirstName: u.FirstName, LastName: u.LastName, LastLoginAt: u.LastLoginAt, Settings: u.Settings,
		User: &u, Account: &a, Groups: make([]userGroup, len(s.groups)),
		Invitation: v.invitation(s.User), Audit: v.membershipAudit(s, b),
	}
	if f == byMembership {
		out.ID, out.AccountUserID = membership, ""
	}
	for i, g := range s.groups {
		out.Groups[i] = v.userGroup(*g.Group, inside)
	}
	if s.more {
		out.Meta.Omitted = []string{"groups"}
	}
	all := make([]directory.Group, len(s.all))
	for i, g := range s.all {
		all[i] = *g.Group
	}
	out.Modules, out.Buyers = v.modules(inside, all...), unionOfBuyers(all)
	return out
}

// unionOfBuyers is who the groups together are restricted to, each once, by id.
// One group without a restriction lifts that of all others.
func unionOfBuyers(groups []directory.Group) []buyer {
	out := []buyer{}
	for _, g := range groups {
		buyers := buyersOf(g)
		if len(buyers) == 0 {
			return []buyer{}
		}
		out = append(out, buyers...)
	}
	slices.SortStableFunc(out, func(a, b buyer) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(out, func(a, b buyer) bool { return a.ID == b.ID })
}

func (v *picture) invitation(u directory.User) *invitation {
	b := attributes(u.Attributes).in("invitation")
	i := &invitation{Status: v.invitationStatus(u), URL: b.text("url")}
	if v.operations {
		i.Notes = b.text("notes")
	}
	return i
}

// membershipAudit dates the account user. Being put into a group changes it,
// although that is not a change of the user.
func (v *picture) membershipAudit(s standing, b bag) *audit {
	accepted := b.moment("invitationAcceptedAt")
	a := &audit{
		Created:              v.happened(s.CreatedIn, s.Created),
		Updated:              v.happened(s.changedIn(), s.Modified),
		Access:               after(b.moment("lastLoginAt")),
		InvitationAcceptedAt: stamp(accepted),
	}
	if v.invitationStatus(s.User) == "Active" {
		a.Joined = after(orElse(b.moment("joined"), orElse(accepted, s.Created)))
		return a
	}
	a.Invited = v.happened(s.CreatedIn, s.Created)
	if at := b.in("invitation").moment("at"); !at.IsZero() {
		a.Invited.At = stamp(at)
	}
	return a
}
