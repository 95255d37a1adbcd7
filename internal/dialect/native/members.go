package native

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/wire"
)

// nameJSON names a user or group. It is all that a list of members shows of
// them: what else there is needs users.read or groups.read, and who may read
// memberships may not hold those.
type nameJSON struct {
	ID     string    `json:"id"`
	Number id.Number `json:"number"`
	Code   int64     `json:"code"`
	Name   string    `json:"name"`
}

// memberJSON is one entry of a list of members or of groups: the user or group
// on the far side, and how it stands there directly, if it does.
type memberJSON struct {
	User       *nameJSON       `json:"user,omitempty"`
	Group      *nameJSON       `json:"group,omitempty"`
	Membership *membershipJSON `json:"membership,omitempty"`
}

// membershipJSON is how a member stands in a group. Holds says whether it does
// now, which the dates decide.
type membershipJSON struct {
	Holds bool `json:"holds"`
	standingToldJSON
	Added    time.Time          `json:"added,omitzero"`
	AddedBy  *actorJSON         `json:"added_by,omitempty"`
	Revision directory.Revision `json:"revision"`
}

// standingToldJSON is how somebody stands, or stood, wherever that is told.
type standingToldJSON struct {
	Role       string    `json:"role"`
	Source     string    `json:"source"`
	Reason     string    `json:"reason,omitempty"`
	ValidFrom  time.Time `json:"valid_from,omitzero"`
	ValidUntil time.Time `json:"valid_until,omitzero"`
}

func encodeStanding(s directory.Standing) standingToldJSON {
	return standingToldJSON{s.Role.String(), s.SourceName(), s.Reason, s.From, s.Until}
}

// actorJSON is who did something, as it was called then. The clock has no
// credential.
type actorJSON struct {
	Name       string `json:"name"`
	Credential string `json:"credential,omitempty"`
	User       string `json:"user,omitempty"`
	Dialect    string `json:"dialect"`
}

func encodeMember(m directory.MemberOf) memberJSON {
	out := memberJSON{User: nameOfUser(m.User), Group: nameOfGroup(m.Group)}
	if m.Membership.Serial != 0 {
		ms := encodeMembership(m.Membership, m.Holds)
		out.Membership = &ms
	}
	return out
}

func nameOfUser(u *directory.User) *nameJSON {
	if u == nil {
		return nil
	}
	return &nameJSON{u.ID.String(), u.Number, u.Code, u.Name}
}

func nameOfGroup(g *directory.Group) *nameJSON {
	if g == nil {
		return nil
	}
	return &nameJSON{g.ID.String(), g.Number, g.Code, g.Name}
}

func encodeMembership(ms directory.Membership, holds bool) membershipJSON {
	out := membershipJSON{Holds: holds, standingToldJSON: encodeStanding(ms.Standing), Added: ms.AddedAt, Revision: ms.Revision}
	if !ms.AddedAt.IsZero() {
		out.AddedBy = encodeActor(ms.AddedBy, ms.AddedDialect)
	}
	return out
}

func encodeActor(a directory.Actor, dialect string) *actorJSON {
	by := &actorJSON{Name: a.Name, Dialect: dialect}
	if !a.Credential.IsZero() {
		by.Credential = a.Credential.String()
	}
	if !a.User.IsZero() {
		by.User = a.User.String()
	}
	return by
}

func (a *api) listMembers(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	group, err := parseGroup("group", r.PathValue("group"))
	if err != nil {
		return err
	}
	return a.list(w, r, p, directory.ListMembers{Group: group}, a.directory.Members)
}

func (a *api) listGroupsOfUser(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	user, err := parseUser("user", r.PathValue("user"))
	if err != nil {
		return err
	}
	return a.list(w, r, p, directory.ListMembers{Member: directory.MemberRef{Ref: user}}, a.directory.GroupsOf)
}

func (a *api) listGroupsOfGroup(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	group, err := parseGroup("group", r.PathValue("group"))
	if err != nil {
		return err
	}
	return a.list(w, r, p, directory.ListMembers{Member: directory.MemberRef{IsGroup: true, Ref: group}}, a.directory.GroupsOf)
}

// list answers with a page of what one of the core's two lists finds.
func (a *api) list(w http.ResponseWriter, r *http.Request, p directory.Principal, in directory.ListMembers,
	find func(context.Context, directory.Principal, directory.ListMembers) (directory.Answer[directory.Found[directory.MemberOf]], error),
) error {
	q, page := listParams(r, "transitive", "standing", "sort", "name_prefix", "holds", "count")
	in.Page, in.Transitive, in.Standing = page, q.isSet("transitive"), q.isSet("standing")
	in.Arrange = directory.Arrange{NamePrefix: directory.FoldName(q.values.Get("name_prefix")), Holds: q.flag("holds")}
	in.Count = q.isSet("count")
	in.Sort, in.Descending = q.sort()
	if in.Holds != nil && !in.Standing {
		q.fail("parameter.conflict", "holds", "Those who are listed hold, unless standing lists all.")
	}
	if in.Transitive && in.Standing {
		q.fail("parameter.conflict", "standing", "Whoever is in through groups is in now: standing is for direct memberships.")
	}
	if q.err != nil {
		return q.err
	}
	at, err := asOf(r)
	if err != nil {
		return err
	}
	in.Page = in.Page.Or(at)
	got, err := find(r.Context(), p, in)
	if err != nil {
		return err
	}
	return respond(w, r, got.Revision, say(http.StatusOK, totalled(listOf(got.Value, q.query(r), encodeMember), got.Value.Total, in.Count)))
}

var sorts = map[string]directory.SortBy{"number": directory.ByPlace, "name": directory.ByTitle, "status": directory.ByStatus, "added": directory.ByAdded}

// sort reads by what a list is sorted, with a minus in front the other way round.
func (p *params) sort() (by directory.SortBy, descending bool) {
	v, given := p.values["sort"]
	if !given || p.err != nil {
		return 0, false
	}
	name, descending := strings.CutPrefix(v[0], "-")
	by, ok := sorts[name]
	if !ok {
		p.fail("parameter.invalid", "sort", "A list is sorted by number, name, status or added, each with a minus in front for the other way round.")
	}
	return by, descending
}

// pathMembership reads the group and the member of a path.
func pathMembership(r *http.Request) (group directory.Ref, member directory.MemberRef, err error) {
	if group, err = parseGroup("group", r.PathValue("group")); err == nil {
		member, err = parseMember("member", r.PathValue("member"))
	}
	return group, member, err
}

func (a *api) getMember(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	if err := parseParams(r).err; err != nil {
		return err
	}
	group, member, err := pathMembership(r)
	if err != nil {
		return err
	}
	stands, err := a.directory.Membership(r.Context(), p, group, member)
	if err != nil {
		return err
	}
	// The page of one that begins there shows who it is, too, and as of one revision.
	m := stands.Value.Member
	got, err := a.directory.Members(r.Context(), p, directory.ListMembers{
		Page:  directory.Page{After: directory.MemberCursor(m) - 1, Limit: 1},
		Group: directory.ByNumber(int64(stands.Value.Group)), Standing: true,
	})
	if err != nil {
		return err
	}
	if len(got.Value.Items) == 0 || got.Value.Items[0].Membership.Member != m {
		return directory.ErrNoMembership // it ended in between
	}
	return respond(w, r, got.Revision, say(http.StatusOK, encodeMember(got.Value.Items[0])))
}

// standingJSON is how a member is to stand.
type standingJSON struct {
	ValidFrom  moment `json:"valid_from"`
	ValidUntil moment `json:"valid_until"`
	Role       string `json:"role"`
	Source     string `json:"source"`
	Reason     string `json:"reason"`
}

func (s standingJSON) standing() (directory.Standing, error) {
	out := directory.Standing{From: s.ValidFrom.Time, Until: s.ValidUntil.Time, Source: s.Source, Reason: s.Reason}
	if out.Source == out.SourceName() && out.Source == (directory.Standing{}).SourceName() {
		out.Source = "" // the core's way to say the same
	}
	var err error
	if out.Role, err = parseRole(s.Role); err != nil {
		return out, err
	}
	return out, out.Check()
}

// parseRole reads a role; one that is not said is that of a member.
func parseRole(s string) (directory.Role, error) {
	switch s {
	case "", directory.RoleMember.String():
		return directory.RoleMember, nil
	case directory.RoleManager.String():
		return directory.RoleManager, nil
	}
	return 0, invalid("role.unknown", "role", "A role is member or manager.")
}

// standingPatch is what may change of how a member stands.
type standingPatch struct {
	ValidFrom  optional[moment] `json:"valid_from"`
	ValidUntil optional[moment] `json:"valid_until"`
	Role       optional[string] `json:"role"`
	Reason     optional[string] `json:"reason"`
}

func (s standingPatch) patch() (directory.StandingPatch, error) {
	out := directory.StandingPatch{Reason: s.Reason.pointer()}
	if at := s.ValidFrom.pointer(); at != nil {
		out.From = &at.Time
	}
	if at := s.ValidUntil.pointer(); at != nil {
		out.Until = &at.Time
	}
	if s.Role.given {
		role, err := parseRole(s.Role.value)
		if err != nil {
			return out, err
		}
		out.Role = &role
	}
	return out, nil
}

// outcomeJSON is what became of one membership.
type outcomeJSON struct {
	Outcome  string             `json:"outcome"`
	Revision directory.Revision `json:"revision"`
}

// standsJSON is what became of one membership, and to who holds members.read, how
// it stands now.
type standsJSON struct {
	Outcome    string             `json:"outcome"`
	Membership *membershipJSON    `json:"membership,omitempty"`
	Revision   directory.Revision `json:"revision"`
}

// single leaves out which item an error is about where there is only one.
func single[T any](res directory.Answer[T], err error) (directory.Answer[T], error) {
	e, ok := errors.AsType[*directory.Error](err)
	if !ok || e.Items == nil {
		return res, err
	}
	said := *e
	said.Items = nil
	return res, &said
}

func (a *api) putMember(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	if err := noPrecondition(r); err != nil {
		return err
	}
	var in standingJSON
	body, err := readOptional(w, r, wire.MaxBody, &in)
	if err != nil {
		return err
	}
	group, member, err := pathMembership(r)
	if err != nil {
		return err
	}
	standing, err := in.standing()
	if err != nil {
		return err
	}
	return write(a, w, r, p, change[directory.MembersResult]{
		body: body,
		do: func(ctx context.Context, p directory.Principal) (directory.Answer[directory.MembersResult], error) {
			return single(a.directory.ChangeMembers(ctx, p, directory.MembersChange{
				Group: group, Add: []directory.MemberRef{member}, Standing: standing, Keep: body == nil,
			}))
		},
		answer: func(res directory.MembersResult, rev directory.Revision) answer {
			status := http.StatusOK
			if res.Add[0].Outcome == directory.Added {
				status = http.StatusCreated // RFC 9110 section 9.3.4
			}
			return say(status, outcomeJSON{res.Add[0].Outcome.String(), rev}).at(rev)
		},
	})
}

func (a *api) updateMember(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	if err := noPrecondition(r); err != nil {
		return err
	}
	var in standingPatch
	body, err := read(w, r, wire.MaxBody, &in)
	if err != nil {
		return err
	}
	group, member, err := pathMembership(r)
	if err != nil {
		return err
	}
	patch, err := in.patch()
	if err != nil {
		return err
	}
	return write(a, w, r, p, change[[]directory.Stands]{
		body: body,
		do: func(ctx context.Context, p directory.Principal) (directory.Answer[[]directory.Stands], error) {
			return single(a.directory.UpdateMembers(ctx, p, directory.MembersUpdate{
				Group: group, Members: []directory.MemberRef{member}, Patch: patch, Atomic: true,
			}))
		},
		answer: func(res []directory.Stands, rev directory.Revision) answer {
			out := standsJSON{Outcome: res[0].Outcome.String(), Revision: rev}
			if res[0].Membership.Serial != 0 {
				ms := encodeMembership(res[0].Membership, res[0].Holds)
				out.Membership = &ms
			}
			return say(http.StatusOK, out).at(rev)
		},
	})
}

func (a *api) deleteMember(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	if err := noPrecondition(r); err != nil {
		return err
	}
	group, member, err := pathMembership(r)
	if err != nil {
		return err
	}
	return write(a, w, r, p, change[directory.MembersResult]{
		do: func(ctx context.Context, p directory.Principal) (directory.Answer[directory.MembersResult], error) {
			return single(a.directory.ChangeMembers(ctx, p, directory.MembersChange{Group: group, Remove: []directory.MemberRef{member}}))
		},
		answer: func(res directory.MembersResult, rev directory.Revision) answer {
			return say(http.StatusOK, outcomeJSON{res.Remove[0].Outcome.String(), rev}).at(rev)
		},
	})
}

// batchJSON is a batch of memberships to make and to end.
type batchJSON struct {
	Mode   string     `json:"mode"`
	Add    batchItems `json:"add"`
	Remove batchItems `json:"remove"`

	// Standing is how those added are to stand, also those who are there; left
	// out, these stay as they stand.
	Standing *standingJSON `json:"standing"`
}

// batchItems are members: "ref" for a user, {"user": ref} or {"group": ref}.
type batchItems []directory.MemberRef

// UnmarshalJSONFrom implements [jsonv2.UnmarshalerFrom].
func (b *batchItems) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return decodeItems(d, directory.MaxBatch, (*[]directory.MemberRef)(b), decodeBatchItem)
}

func decodeBatchItem(raw jsontext.Value) (directory.MemberRef, error) {
	var m directory.MemberRef
	var err error
	if raw.Kind() == '"' {
		var text string
		if text, err = decodeText(raw); err == nil {
			m.Ref, err = parseUser("", text)
		}
		return m, err
	}
	var named struct {
		User  *string `json:"user"`
		Group *string `json:"group"`
	}
	if raw.Kind() == '{' {
		if err := wire.Strict(raw, &named); err != nil {
			return m, err
		}
	}
	switch {
	case (named.User == nil) == (named.Group == nil):
		return m, invalid("member.malformed", "", `A member is a user's ref, {"user": ref} or {"group": ref}.`)
	case named.User != nil:
		m.Ref, err = parseUser("user", *named.User)
	default:
		m.IsGroup = true
		m.Ref, err = parseGroup("group", *named.Group)
	}
	return m, err
}

// decodeItems reads an array item by item, and stops at more than most of them
// before they take up memory. An error names the index.
func decodeItems[T any](d *jsontext.Decoder, most int, into *[]T, decode func(jsontext.Value) (T, error)) error {
	if d.PeekKind() == 'n' {
		return d.SkipValue()
	}
	if d.PeekKind() != '[' {
		if _, err := d.ReadValue(); err != nil {
			return err
		}
		return invalid("field.type", "", "This must be a list.")
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	*into = []T{} // none is something else than nothing said
	for d.PeekKind() != ']' {
		raw, err := d.ReadValue()
		if err != nil {
			return err
		}
		if len(*into) == most {
			return &directory.Error{Kind: directory.TooLarge, Code: "batch.large", Detail: "One request carries at most " + strconv.Itoa(most) + " of these."}
		}
		item, err := decode(raw)
		if err != nil {
			return inside(strconv.Itoa(len(*into)), inner(err))
		}
		*into = append(*into, item)
	}
	_, err := d.ReadToken()
	return err
}

func decodeText(raw jsontext.Value) (string, error) {
	var s string
	if raw.Kind() != '"' {
		return s, invalid("field.type", "", "A value has the wrong type.")
	}
	err := jsonv2.Unmarshal(raw, &s)
	return s, err
}

func parseMode(s string) (directory.Mode, error) {
	switch s {
	case "atomic":
		return directory.Atomic, nil
	case "each":
		return directory.Each, nil
	}
	return 0, invalid("mode.unknown", "mode", "The mode is atomic or each.")
}

// batchResultJSON says what became of each item, list by list, in order.
type batchResultJSON struct {
	Add      []itemJSON         `json:"add"`
	Remove   []itemJSON         `json:"remove"`
	Revision directory.Revision `json:"revision"`
}

// itemJSON is what became of one item; Code, Detail and Field say what was wrong
// with one whose outcome is invalid.
type itemJSON struct {
	Outcome string `json:"outcome"`
	Code    string `json:"code,omitempty"`
	Detail  string `json:"detail,omitempty"`
	Field   string `json:"field,omitempty"`
}

// wrong is an outcome that is none, and why.
func wrong(outcome string, err error) itemJSON {
	p := problemOf(err)
	return itemJSON{Outcome: outcome, Code: p.Code, Detail: p.Detail, Field: p.Field}
}

func encodeItems(results []directory.Result) []itemJSON {
	items := make([]itemJSON, len(results))
	for i, res := range results {
		items[i].Outcome = res.Outcome.String()
		if res.Problem != nil {
			items[i] = wrong(items[i].Outcome, res.Problem)
			items[i].Field = "" // the core's name for it, which is none of a line
		}
	}
	return items
}

func (a *api) changeMembers(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	if err := noPrecondition(r); err != nil {
		return err
	}
	var in batchJSON
	body, err := read(w, r, maxBatchBody, &in)
	if err != nil {
		return err
	}
	group, err := parseGroup("group", r.PathValue("group"))
	if err != nil {
		return err
	}
	batch := directory.MembersChange{Group: group, Add: in.Add, Remove: in.Remove, Keep: true}
	if batch.Mode, err = parseMode(in.Mode); err != nil {
		return err
	}
	if in.Standing != nil {
		batch.Keep = false
		if batch.Standing, err = in.Standing.standing(); err != nil {
			return inside("standing", err)
		}
	}
	return write(a, w, r, p, change[directory.MembersResult]{
		body: body,
		do: func(ctx context.Context, p directory.Principal) (directory.Answer[directory.MembersResult], error) {
			return a.directory.ChangeMembers(ctx, p, batch)
		},
		answer: func(res directory.MembersResult, rev directory.Revision) answer {
			return say(http.StatusOK, batchResultJSON{encodeItems(res.Add), encodeItems(res.Remove), rev}).at(rev)
		},
	})
}
