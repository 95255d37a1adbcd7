package dronahq

import (
	"net/http"
	"strings"
	"time"

	"roster/internal/authn"
	"roster/internal/dialect"
	"roster/internal/directory"
	"roster/internal/wire"
)

// nonceFor is how long a nonce proves that its user has just signed in.
const nonceFor = 5 * time.Minute

var errWho = &directory.Error{Kind: directory.Invalid, Code: "path.user", Field: "user", Detail: "A user is named by an integer id or an email."}

// pageSize is how many users a page holds unless the request says otherwise, and
// mostUsers how many it may ask for: never fewer come while there are more, or
// clients that stop at a short page would stop too early (section 3).
const (
	pageSize  = 25
	mostUsers = directory.MaxFound
)

var errPageSize = &directory.Error{Kind: directory.Invalid, Code: "field.range", Field: "ulimit", Detail: "ulimit must be at most 10000."}

// listUsers lists users by id from either end (section 2.2).
func (d *door) listUsers(s surface) dialect.Handler {
	return func(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
		in := fieldsOf(r)
		ask := directory.ListPortraits{Descending: s.newestFirst, Text: strings.TrimSpace(in.text("search"))}
		limit, err1 := in.count("ulimit")
		after, err2 := in.count(s.cursor)
		group, err3 := in.count("gid")
		stats, err4 := in.flag(s.stats, false)
		inactive, err5 := in.flag("showdeactive", false)
		activity, err6 := readActivity(in, s.status)
		for _, err := range []error{err1, err2, err3, err4, err5, err6} {
			if err != nil {
				return err
			}
		}
		switch {
		case limit == 0:
			limit = pageSize
		case limit > mostUsers:
			return errPageSize
		}
		ask.Limit, ask.After, ask.Inactive, ask.Activity = int(limit), after, inactive, activity
		if group != 0 {
			ask.Group = directory.ByNumber(group)
		}
		found, err := d.directory.Portraits(r.Context(), p, ask)
		if err != nil {
			return err
		}
		users := make([]userObject, len(found.Value.Items))
		for i, portrait := range found.Value.Items {
			users[i] = picture(portrait)
			if stats {
				users[i].Stats = statistics(portrait)
			}
			if inactive {
				active := portrait.ActiveAt(d.directory.Now())
				users[i].IsActive = &active
			}
		}
		wire.WriteJSON(w, http.StatusOK, users)
		return nil
	}
}

// getUser finds one user by id or address (section 2.3). A nonce, if there is
// one, must have been made for that user, and is good once.
func (d *door) getUser(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	in := fieldsOf(r)
	who, err := readWho(r.PathValue("user"))
	if err != nil {
		return err
	}
	stats, err := in.flag("stats", false)
	if err != nil {
		return err
	}
	ask := directory.FindPortrait{User: who, Active: true}
	if nonce := strings.TrimSpace(in.text("nonce")); nonce != "" {
		ask.Proof = &directory.Proof{Kind: authn.DronaHQNonce, Hash: authn.Hash(authn.DronaHQNonce, nonce), For: nonceFor}
	}
	found, err := d.directory.Portrait(r.Context(), p, ask)
	if err != nil {
		return err
	}
	if ask.Proof != nil {
		d.authn.SignedIn(p.Tenant, found.Value.ID) // whoever made the nonce has let them in
	}
	u := picture(found.Value)
	if stats {
		u.Stats = statistics(found.Value)
	}
	if used := found.Value.Used; !used.IsZero() {
		text := date(used)
		u.UserLastAppActivity = &text
	}
	wire.WriteJSON(w, http.StatusOK, u)
	return nil
}

// readWho reads a user's id or address in a path. Digits are an id, however many.
func readWho(text string) (directory.Ref, error) {
	if text != "" && strings.Trim(text, "0123456789") == "" {
		n, _ := integer(text) // one beyond 64 bits is nobody's, as 0 is
		return directory.ByNumber(n), nil
	}
	if isEmail(text) {
		return directory.ByEmail(text), nil
	}
	return directory.Ref{}, errWho
}

// activities are the words for how active a user is.
var activities = map[string]directory.Activity{"active": directory.Busy, "moderate": directory.Moderate, "inactive": directory.Idle}

// readActivity reads the field that leaves users of one activity.
func readActivity(in fields, name string) (directory.Activity, error) {
	word := strings.ToLower(strings.TrimSpace(in.text(name)))
	activity, known := activities[word]
	if !known && word != "all" && !in.absent(name) {
		return 0, wrongType(name, "active, moderate, inactive or all")
	}
	return activity, nil
}
