package native

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

// parseUser reads how a request names a user: an id, or name:, email:, number:,
// code: or external:source/key. field is where it stands.
func parseUser(field, s string) (directory.Ref, error) {
	if rest, ok := strings.CutPrefix(s, "email:"); ok && rest != "" {
		return directory.ByEmail(rest), nil
	}
	ref, ok := parseRef(s)
	if !ok {
		return ref, invalid("ref.malformed", field, "A user is named by its id, or as name:…, email:…, number:…, code:… or external:source/key.")
	}
	return ref, nil
}

// parseGroup reads how a request names a group, as parseUser does a user.
func parseGroup(field, s string) (directory.Ref, error) {
	ref, ok := parseRef(s)
	if !ok {
		return ref, invalid("ref.malformed", field, "A group is named by its id, or as name:…, number:…, code:… or external:source/key.")
	}
	return ref, nil
}

// parseMember reads a member in a path: a user, or a group after "group:".
func parseMember(field, s string) (directory.MemberRef, error) {
	if rest, ok := strings.CutPrefix(s, "group:"); ok {
		ref, err := parseGroup(field, rest)
		return directory.MemberRef{IsGroup: true, Ref: ref}, err
	}
	ref, err := parseUser(field, s)
	return directory.MemberRef{Ref: ref}, err
}

// parseRef reads the ways in which both users and groups are named. A name on
// its own is none of them: it could not be told from an id.
func parseRef(s string) (directory.Ref, bool) {
	if u, err := id.Parse[id.User](s); err == nil {
		return directory.ByUser(u), true
	}
	kind, rest, _ := strings.Cut(s, ":")
	if rest == "" {
		return directory.Ref{}, false
	}
	switch kind {
	case "name":
		return directory.ByName(rest), true
	case "number":
		n, ok := parseInteger(rest)
		return directory.ByNumber(n), ok
	case "code":
		n, ok := parseInteger(rest)
		return directory.ByCode(n), ok
	case "external":
		source, key, _ := strings.Cut(rest, "/")
		return directory.ByExternal(source, key), source != "" && key != ""
	}
	return directory.Ref{}, false
}

// parseInteger reads decimal digits. More than an int64 holds is no mistake of
// form: it is the largest there is, which nothing is called.
func parseInteger(s string) (int64, bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return math.MaxInt64, s != ""
	}
	return n, true
}

// params are the query parameters of one request, each given at most once.
type params struct {
	values url.Values
	err    error
	from   directory.When // of the cursor of a diff
}

// parseParams reads the query, in which only the known names may stand: a
// filter that was misspelt must not quietly select everything.
func parseParams(r *http.Request, known ...string) *params {
	p := &params{}
	if p.values, p.err = url.ParseQuery(r.URL.RawQuery); p.err != nil {
		p.err = invalid("query.malformed", "", "The query of the URL is malformed.")
		return p
	}
	names := make([]string, 0, len(p.values))
	for name := range p.values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if p.err = checkParam(name, len(p.values[name]) > 1, known...); p.err != nil {
			return p
		}
	}
	return p
}

func checkParam(name string, again bool, known ...string) error {
	switch {
	case !slices.Contains(known, name):
		return invalid("parameter.unknown", name, "There is no parameter named "+strconv.Quote(name)+" here.")
	case again:
		return invalid("parameter.repeated", name, "A parameter is given at most once.")
	}
	return nil
}

func (p *params) fail(code, field, detail string) {
	if p.err == nil {
		p.err = invalid(code, field, detail)
	}
}

// flag reads true or false; nil if the parameter is not given.
func (p *params) flag(name string) *bool {
	v, given := p.values[name]
	if !given || p.err != nil {
		return nil
	}
	on := v[0] == "true"
	if !on && v[0] != "false" {
		p.fail("parameter.invalid", name, "This parameter is true or false.")
	}
	return &on
}

func (p *params) isSet(name string) bool {
	on := p.flag(name)
	return on != nil && *on
}

// listParams reads the parameters of a list: cursor and limit, and those of its
// own. The cursor must be of the same list with the same filters.
func listParams(r *http.Request, own ...string) (*params, directory.Page) {
	p := parseParams(r, append(own, "cursor", "limit")...)
	var page directory.Page
	if v, given := p.values["cursor"]; given && p.err == nil {
		var c cursor
		c, p.err = parseCursor(v[0], p.query(r))
		page, p.from = directory.Page{After: c.after, At: c.at, Of: c.of}, c.from
	}
	if v, given := p.values["limit"]; given && p.err == nil {
		n, err := strconv.Atoi(v[0])
		if err != nil || n < 1 || n > directory.MaxPage {
			p.fail("limit.range", "limit", "The limit is from 1 to "+strconv.Itoa(directory.MaxPage)+".")
		}
		page.Limit = n
	}
	return p, page
}

// query is what a list's cursors are bound to: which list it is and its
// filters, but not how much of it is asked for at a time, nor whether it is counted.
func (p *params) query(r *http.Request) [8]byte {
	filters := url.Values{}
	for name, v := range p.values {
		if name != "cursor" && name != "limit" && name != "count" {
			filters[name] = v
		}
	}
	sum := sha256.Sum256([]byte(r.URL.EscapedPath() + "?" + filters.Encode()))
	return [8]byte(sum[:8])
}

// A cursor is the place where the page before ended, the query it is of, and of a
// list of memberships the moment that all its pages are of, of a diff both, and whose
// list it is. None is secret; clients are asked to look at it as opaque, so that it
// can hold something else one day.
type cursor struct {
	after    int64
	at, from directory.When
	of       directory.Edge
}

func newCursor(c cursor, query [8]byte) string {
	if c.after == 0 {
		return ""
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 56), uint64(c.after))
	b = append(b, query[:]...)
	for _, w := range [...]directory.When{c.at, c.from} {
		if !w.IsZero() {
			b = binary.BigEndian.AppendUint64(b, uint64(w.Revision))
			b = binary.BigEndian.AppendUint64(b, uint64(w.Time.UnixMicro()))
		}
	}
	if c.of != (directory.Edge{}) {
		b = binary.BigEndian.AppendUint32(b, uint32(c.of.Group))
		b = binary.BigEndian.AppendUint32(b, uint32(c.of.Member))
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseCursor(s string, query [8]byte) (c cursor, err error) {
	errMalformed := invalid("cursor.malformed", "cursor", "That is not a cursor of this API.")
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) < 16 || len(b) == 24 || len(b) > 56 || len(b)%8 != 0 {
		return c, errMalformed
	}
	c.after = int64(binary.BigEndian.Uint64(b))
	if [8]byte(b[8:]) != query || c.after <= 0 {
		return c, invalid("cursor.foreign", "cursor", "That cursor is of another query; start again without one.")
	}
	b = b[16:]
	for _, w := range [...]*directory.When{&c.at, &c.from} {
		if len(b) >= 16 {
			w.Revision = directory.Revision(binary.BigEndian.Uint64(b))
			w.Time = time.UnixMicro(int64(binary.BigEndian.Uint64(b[8:]))).UTC()
			b = b[16:]
		}
	}
	if len(b) == 8 {
		c.of = directory.Edge{Group: id.Number(binary.BigEndian.Uint32(b)), Member: id.Member(binary.BigEndian.Uint32(b[4:]))}
		if c.of == (directory.Edge{}) {
			return c, errMalformed
		}
	}
	return c, nil
}
