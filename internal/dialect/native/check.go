package native

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"roster/internal/directory"
	"roster/internal/wire"
)

// check answers whether one user is in one group. It is what the rest is for,
// and asked more often than everything else together, so it makes no map, no
// struct to be reflected on, and one buffer.
func (a *api) check(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	c, err := parseCheck(r.URL.RawQuery)
	if err != nil {
		return err
	}
	at, err := asOf(r)
	if err != nil {
		return err
	}
	if c.Fresh, err = freshness(r); err != nil {
		return err
	}
	got, err := a.isMember(r.Context(), p, c, at)
	if err != nil {
		return err
	}
	if err := consistent(r, got.Revision); err != nil {
		return err
	}
	out := &checkAnswer{}
	b := append(out.body[:0], `{"member":`...)
	b = strconv.AppendBool(b, got.Value)
	b = append(b, `,"revision":`...)
	b = strconv.AppendUint(b, uint64(got.Revision), 10)
	b = append(b, '}')
	out.revision[0] = strconv.FormatUint(uint64(got.Revision), 10)
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Cache-Control"] = noStore
	h[headerRevision] = out.revision[:]
	w.Write(b)
	return nil
}

func (a *api) isMember(ctx context.Context, p directory.Principal, c directory.Check, at directory.When) (directory.Answer[bool], error) {
	if at.IsZero() {
		return a.directory.IsMember(ctx, p, c)
	}
	got, err := a.directory.WereMembers(ctx, p, []directory.Check{c}, at)
	if err != nil {
		return directory.Answer[bool]{}, err
	}
	return directory.Answer[bool]{Value: got.Value[0], Revision: got.Revision}, nil
}

// checkAnswer is what one check allocates of its own: the body, which a
// revision of 20 digits still fits, and the header's value.
type checkAnswer struct {
	body     [64]byte
	revision [1]string
}

// parseCheck reads user=…&group=….
func parseCheck(query string) (c directory.Check, err error) {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		if strings.IndexByte(pair, ';') >= 0 { // once a separator; some proxies still think so
			return c, invalid("query.malformed", "", "The query of the URL is malformed.")
		}
		if strings.IndexByte(value, '%') >= 0 || strings.IndexByte(value, '+') >= 0 {
			if value, err = url.QueryUnescape(value); err != nil {
				return c, invalid("query.malformed", key, "The query of the URL is malformed.")
			}
		}
		switch {
		case key == "user" && c.User.Kind == 0:
			c.User, err = parseUser("user", value)
		case key == "group" && c.Group.Kind == 0:
			c.Group, err = parseGroup("group", value)
		default:
			err = checkParam(key, true, "user", "group")
		}
		if err != nil {
			return c, err
		}
	}
	switch {
	case c.User.Kind == 0:
		err = invalid("parameter.missing", "user", "Say which user.")
	case c.Group.Kind == 0:
		err = invalid("parameter.missing", "group", "Say which group.")
	}
	return c, err
}

// checksJSON are many checks: pairs, one user and many groups, or many users and
// one group.
type checksJSON struct {
	Checks checkItems  `json:"checks"`
	User   string      `json:"user"`
	Groups batchGroups `json:"groups"`
	Users  checkUsers  `json:"users"`
	Group  string      `json:"group"`
}

// checkUsers are users' refs.
type checkUsers []directory.Ref

// UnmarshalJSONFrom implements [jsonv2.UnmarshalerFrom].
func (c *checkUsers) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return decodeItems(d, directory.MaxChecks, (*[]directory.Ref)(c), func(raw jsontext.Value) (directory.Ref, error) {
		text, err := decodeText(raw)
		if err != nil {
			return directory.Ref{}, err
		}
		return parseUser("", text)
	})
}

// all are the checks, in the order in which they are answered.
func (in checksJSON) all() ([]directory.Check, error) {
	pairs, one, many := in.Checks != nil, in.User != "" || in.Groups != nil, in.Users != nil || in.Group != ""
	switch {
	case pairs && !one && !many:
		return in.Checks, nil
	case one && in.Groups != nil && !pairs && !many:
		user, err := parseUser("user", in.User)
		checks := make([]directory.Check, len(in.Groups))
		for i, g := range in.Groups {
			checks[i] = directory.Check{User: user, Group: g}
		}
		return checks, err
	case many && in.Users != nil && !pairs && !one:
		group, err := parseGroup("group", in.Group)
		checks := make([]directory.Check, len(in.Users))
		for i, u := range in.Users {
			checks[i] = directory.Check{User: u, Group: group}
		}
		return checks, err
	}
	return nil, invalid("checks.form", "", "Ask about checks, or a user and groups, or users and a group.")
}

// checkItems are pairs of a user and a group.
type checkItems []directory.Check

// UnmarshalJSONFrom implements [jsonv2.UnmarshalerFrom].
func (c *checkItems) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return decodeItems(d, directory.MaxChecks, (*[]directory.Check)(c), func(raw jsontext.Value) (check directory.Check, err error) {
		var pair struct {
			User  string `json:"user"`
			Group string `json:"group"`
		}
		if err := wire.Strict(raw, &pair); err != nil {
			return check, err
		}
		if check.User, err = parseUser("user", pair.User); err == nil {
			check.Group, err = parseGroup("group", pair.Group)
		}
		return check, err
	})
}

// checkedJSON is the answer to one of many checks.
type checkedJSON struct {
	Member bool `json:"member"`
}

// checksResultJSON answers many checks, in order, all as of one revision.
type checksResultJSON struct {
	Results  []checkedJSON      `json:"results"`
	Revision directory.Revision `json:"revision"`
}

func (a *api) checkMany(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	if err := parseParams(r).err; err != nil {
		return err
	}
	var in checksJSON
	if _, err := read(w, r, wire.MaxBody, &in); err != nil {
		return err
	}
	at, err := asOf(r)
	if err != nil {
		return err
	}
	checks, err := in.all()
	if err != nil {
		return err
	}
	got, err := a.directory.WereMembers(r.Context(), p, checks, at)
	if err != nil {
		return err
	}
	out := checksResultJSON{Results: make([]checkedJSON, len(got.Value)), Revision: got.Revision}
	for i, in := range got.Value {
		out.Results[i].Member = in
	}
	return respond(w, r, got.Revision, say(http.StatusOK, out))
}
