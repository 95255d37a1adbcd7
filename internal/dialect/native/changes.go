package native

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"roster/internal/directory"
	"roster/internal/id"
)

// recordJSON is what one commit did by one actor's doing.
type recordJSON struct {
	commitJSON
	ActingFor *calledJSON  `json:"acting_for,omitempty"`
	Count     int          `json:"count"`
	Whole     bool         `json:"whole"`
	Changes   []changeJSON `json:"changes"`
}

// calledJSON is what a user or group was called. One that its commit both made and
// deleted has no code left to tell, and one from before what is remembered may have
// nothing but a number.
type calledJSON struct {
	ID     string    `json:"id,omitempty"`
	Number id.Number `json:"number"`
	Code   int64     `json:"code,omitzero"`
	Name   string    `json:"name,omitempty"`
}

// changeJSON is one change: of the user, the group, the credential or the tenant
// that is named, or of members of the group.
type changeJSON struct {
	Kind       directory.ChangeKind `json:"kind"`
	User       *calledJSON          `json:"user,omitempty"`
	Group      *calledJSON          `json:"group,omitempty"`
	Credential string               `json:"credential,omitempty"`
	Tenant     string               `json:"tenant,omitempty"`
	Count      int                  `json:"count,omitzero"`
	Members    []touchedJSON        `json:"members,omitempty"`
	Standing   *standingToldJSON    `json:"standing,omitempty"`
	Date       time.Time            `json:"date,omitzero"`
	Before     jsontext.Value       `json:"before,omitzero"`
	After      jsontext.Value       `json:"after,omitzero"`
}

// touchedJSON is a member that a change concerns, and how it stood until then.
type touchedJSON struct {
	User   *calledJSON       `json:"user,omitempty"`
	Group  *calledJSON       `json:"group,omitempty"`
	Before *standingToldJSON `json:"before,omitempty"`
}

func calledUser(u *directory.User) *calledJSON {
	switch {
	case u == nil:
		return nil
	case u.ID.IsZero():
		return &calledJSON{Number: u.Number}
	}
	return &calledJSON{u.ID.String(), u.Number, u.Code, u.Name}
}

func calledGroup(g *directory.Group) *calledJSON {
	switch {
	case g == nil:
		return nil
	case g.ID.IsZero():
		return &calledJSON{Number: g.Number}
	}
	return &calledJSON{g.ID.String(), g.Number, g.Code, g.Name}
}

// encodeFields shows the fields of a thing that a change is about.
func encodeFields(fields map[string]any) jsontext.Value {
	if len(fields) == 0 {
		return nil
	}
	return attributesJSON(fields)
}

func encodeRecord(r directory.Record) recordJSON {
	out := recordJSON{commitJSON: encodeCommit(r.Authored), ActingFor: calledUser(r.User), Count: r.Count, Whole: r.Whole, Changes: make([]changeJSON, len(r.Changes))}
	for i, c := range r.Changes {
		told := changeJSON{Kind: c.Kind, User: calledUser(c.User), Group: calledGroup(c.Group), Count: c.Count, Before: encodeFields(c.Before), After: encodeFields(c.After)}
		switch c.Kind {
		case directory.CredentialCreated, directory.CredentialUpdated, directory.CredentialRevoked:
			told.Credential = id.Credential(c.ID).String()
		case directory.TenantCreated, directory.TenantUpdated, directory.TenantDeleted:
			told.Tenant = id.Tenant(c.ID).String()
		case directory.MembersAdded, directory.MembersUpdated:
			told.Standing = new(encodeStanding(c.Standing))
		case directory.MembersStarted:
			told.Date = c.Standing.From
		case directory.MembersEnded:
			told.Date = c.Standing.Until
		}
		for _, m := range c.Who {
			touched := touchedJSON{User: calledUser(m.User), Group: calledGroup(m.Group)}
			if m.Before != nil {
				touched.Before = new(encodeStanding(*m.Before))
			}
			told.Members = append(told.Members, touched)
		}
		out.Changes[i] = told
	}
	return out
}

func (a *api) listChanges(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	q, page := listParams(r, "from", "to", "by_user", "by_key", "by_name", "user", "group", "kind", "dialect", "request", "sort")
	if q.err != nil {
		return q.err
	}
	for _, name := range []string{"by_name", "dialect", "request"} {
		if q.values.Has(name) && q.values.Get(name) == "" {
			return invalid("parameter.invalid", name, "This is left out or says something: left empty it would choose everything.")
		}
	}
	in := directory.ListChanges{Page: page, Dialect: q.values.Get("dialect"), Request: q.values.Get("request")}
	in.By.Name = q.values.Get("by_name")
	var err error
	for name, when := range map[string]*directory.When{"from": &in.From, "to": &in.To} {
		if text, given := q.values[name]; given && err == nil {
			*when, err = parseWhen(name, text[0])
		}
	}
	for name, user := range map[string]*directory.Ref{"by_user": &in.By.User, "user": &in.User} {
		if text, given := q.values[name]; given && err == nil {
			*user, err = parseUser(name, text[0])
		}
	}
	if text, given := q.values["group"]; given && err == nil {
		in.Group, err = parseGroup("group", text[0])
	}
	if text, given := q.values["kind"]; given && err == nil {
		in.Kinds, err = directory.ParseKinds(strings.Split(text[0], ","))
	}
	if err != nil {
		return err
	}
	if text, given := q.values["by_key"]; given {
		if in.By.Credential, err = id.Parse[id.Credential](text[0]); err != nil {
			return invalid("key.malformed", "by_key", "A key is named by its id.")
		}
	}
	switch q.values.Get("sort") {
	case "revision":
		in.Ascending = true
	case "", "-revision":
	default:
		return invalid("sort.unknown", "sort", "The log is sorted by revision or -revision.")
	}
	got, err := a.directory.Changes(r.Context(), p, in)
	if err != nil {
		return err
	}
	return respondLog(w, r, p, got.Revision, say(http.StatusOK, listOf(got.Value, q.query(r), encodeRecord)))
}

func (a *api) getCommit(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	q, page := listParams(r)
	if q.err != nil {
		return q.err
	}
	rev, err := strconv.ParseUint(r.PathValue("revision"), 10, 63)
	if err != nil || rev == 0 {
		return invalid("revision.malformed", "revision", "A revision is a number from 1.")
	}
	got, err := a.directory.Commit(r.Context(), p, directory.ListCommit{Page: page, Revision: directory.Revision(rev)})
	if err != nil {
		return err
	}
	return respondLog(w, r, p, got.Revision, say(http.StatusOK, listOf(got.Value, q.query(r), encodeRecord)))
}

// respondLog answers about the log of a tenant, or of the platform, which has no
// revision that a question could be bound to.
func respondLog(w http.ResponseWriter, r *http.Request, p directory.Principal, rev directory.Revision, ans answer) error {
	if !p.Tenant.IsZero() {
		return respond(w, r, rev, ans)
	}
	if err := strongOnly(r); err != nil {
		return err
	}
	ans.write(w)
	return nil
}
