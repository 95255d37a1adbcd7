package native

import (
	"net/http"
	"time"

	"roster/internal/directory"
)

// whyJSON is why a user is not in a group.
type whyJSON struct {
	Code   directory.Why `json:"code"`
	Detail string        `json:"detail"`
}

var whyDetails = map[directory.Why]string{
	directory.NoSuchUser:  "There is no such user.",
	directory.NoSuchGroup: "There is no such group.",
	directory.NoWay:       "No membership leads there.",
	directory.ByDates:     "Memberships lead there, but not all of them hold at this moment.",
	directory.IsSuspended: "The user is suspended.",
	directory.HasExpired:  "The user has expired.",
}

// explainJSON is why a user is in a group, or why not. Each way is a list of
// memberships, from the user's own up to the one in the group.
type explainJSON struct {
	Member   bool               `json:"member"`
	Why      *whyJSON           `json:"why,omitempty"`
	User     *nameJSON          `json:"user,omitempty"`
	Group    *nameJSON          `json:"group,omitempty"`
	Count    int64              `json:"count"`
	Ways     [][]memberJSON     `json:"ways"`
	Next     string             `json:"next,omitempty"`
	Revision directory.Revision `json:"revision"`
}

func (a *api) explain(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	q, page := listParams(r, "user", "group")
	if q.err != nil {
		return q.err
	}
	at, err := asOf(r)
	if err != nil {
		return err
	}
	in := directory.Explain{Page: page.Or(at)}
	if in.User, err = parseUser("user", q.values.Get("user")); err != nil {
		return err
	}
	if in.Group, err = parseGroup("group", q.values.Get("group")); err != nil {
		return err
	}
	got, err := a.directory.Explain(r.Context(), p, in)
	if err != nil {
		return err
	}
	x := got.Value
	out := explainJSON{Member: x.Member, User: nameOfUser(x.User), Group: nameOfGroup(x.Group), Count: x.Count,
		Ways: make([][]memberJSON, len(x.Ways)), Next: newCursor(cursor{after: x.Next, at: x.At, of: x.Of}, q.query(r)), Revision: got.Revision}
	if !x.Member {
		out.Why = &whyJSON{x.Why, whyDetails[x.Why]}
	}
	for i, way := range x.Ways {
		for _, step := range way {
			m := directory.MemberOf{Group: &step.In, Membership: step.Membership, Holds: step.Holds}
			out.Ways[i] = append(out.Ways[i], encodeMember(m))
		}
	}
	return respond(w, r, got.Revision, say(http.StatusOK, out))
}

// stayJSON is one way in which a membership stood: since one commit, until
// another if it does not stand any more.
type stayJSON struct {
	Membership membershipJSON `json:"membership"`
	Began      commitJSON     `json:"began"`
	Ended      *commitJSON    `json:"ended,omitempty"`
}

// commitJSON is who did something, when, and by which request.
type commitJSON struct {
	Revision directory.Revision `json:"revision"`
	At       time.Time          `json:"at"`
	By       *actorJSON         `json:"by"`
	Request  string             `json:"request,omitempty"`
}

func encodeCommit(a directory.Authored) commitJSON {
	return commitJSON{Revision: a.Revision, At: a.At, By: encodeActor(a.Actor, a.Dialect), Request: a.Request}
}

func (a *api) memberHistory(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	q, page := listParams(r)
	if q.err != nil {
		return q.err
	}
	at, err := asOf(r)
	if err != nil {
		return err
	}
	in := directory.Timeline{Page: page.Or(at)}
	if in.Group, in.Member, err = pathMembership(r); err != nil {
		return err
	}
	got, err := a.directory.Timeline(r.Context(), p, in)
	if err != nil {
		return err
	}
	return respond(w, r, got.Revision, say(http.StatusOK, listOf(got.Value, q.query(r), func(s directory.Stay) stayJSON {
		out := stayJSON{Membership: encodeMembership(s.Membership, s.Ending == nil && s.HoldsAt(got.Value.At.Time)), Began: encodeCommit(s.Beginning)}
		if s.Ending != nil {
			ended := encodeCommit(*s.Ending)
			out.Ended = &ended
		}
		return out
	})))
}

// differenceJSON is who has come or gone between two moments.
type differenceJSON struct {
	Change string `json:"change"`
	memberJSON
}

func (a *api) diffGroup(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	group, err := parseGroup("group", r.PathValue("group"))
	if err != nil {
		return err
	}
	return a.diff(w, r, p, directory.Diff{Group: group})
}

func (a *api) diffUser(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	user, err := parseUser("user", r.PathValue("user"))
	if err != nil {
		return err
	}
	return a.diff(w, r, p, directory.Diff{Member: directory.MemberRef{Ref: user}})
}

func (a *api) diff(w http.ResponseWriter, r *http.Request, p directory.Principal, in directory.Diff) error {
	q, page := listParams(r, "from", "to", "transitive")
	if q.err != nil {
		return q.err
	}
	var to directory.When
	var err error
	if _, given := q.values["from"]; !given {
		return invalid("parameter.missing", "from", "Say from when on.")
	}
	if in.From, err = parseWhen("from", q.values.Get("from")); err != nil {
		return err
	}
	if text, given := q.values["to"]; given {
		if to, err = parseWhen("to", text[0]); err != nil {
			return err
		}
	}
	in.Page = page.Or(to)
	if !q.from.IsZero() {
		in.From = q.from
	}
	if in.Transitive = q.isSet("transitive"); q.err != nil {
		return q.err
	}
	got, err := a.directory.Diff(r.Context(), p, in)
	if err != nil {
		return err
	}
	return respond(w, r, got.Revision, say(http.StatusOK, listOf(got.Value, q.query(r), func(d directory.Difference) differenceJSON {
		if d.Gained {
			return differenceJSON{changeOf(true), encodeMember(d.MemberOf)}
		}
		d.Membership = directory.Membership{} // it stands no more
		return differenceJSON{changeOf(false), encodeMember(d.MemberOf)}
	})))
}
