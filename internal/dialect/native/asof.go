package native

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"roster/internal/dialect"
	"roster/internal/directory"
)

// ofThePast begins a Roster-Consistency that asks as of a moment: a revision, or a
// time as RFC 3339 writes it.
const ofThePast = "at="

// asOf reads as of which moment a question is asked. The zero When is now.
func asOf(r *http.Request) (directory.When, error) {
	values := r.Header[headerConsistency]
	if len(values) != 1 || !strings.HasPrefix(values[0], ofThePast) {
		_, err := freshness(r)
		return directory.When{}, err
	}
	r.Header.Del(headerConsistency) // it is kept to from here on
	return parseWhen(headerConsistency, values[0][len(ofThePast):])
}

// now is a handler of questions that are about now alone. It refuses any other
// moment before there is an answer, which would be as of now whatever it says.
func now(ask dialect.Handler) dialect.Handler {
	return func(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
		if _, err := freshness(r); err != nil {
			return err
		}
		return ask(w, r, p)
	}
}

// parseWhen reads a revision or a moment. field is where it stands.
func parseWhen(field, text string) (directory.When, error) {
	if rev, err := strconv.ParseUint(text, 10, 63); err == nil && rev > 0 {
		return directory.When{Revision: directory.Revision(rev)}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	switch {
	case err != nil:
		return directory.When{}, invalid("at.malformed", field, "A moment of the past is a revision from 1 on, or written as in 2026-01-02T03:04:05Z.")
	case !directory.InRange(t):
		return directory.When{}, invalid("time.range", field, "A moment is from 1971 to 9999.")
	}
	return directory.When{Time: t}, nil
}
