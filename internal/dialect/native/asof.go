package native

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"roster/internal/directory"
)

// asOf reads as of which moment a question is asked: Roster-Consistency: at=
// and a revision, or a moment as RFC 3339 writes it. The zero When is now; what
// else the header may say is left to consistent.
func asOf(r *http.Request) (directory.When, error) {
	values := r.Header[headerConsistency]
	if len(values) != 1 {
		return directory.When{}, nil
	}
	text, ok := strings.CutPrefix(values[0], "at=")
	if !ok {
		return directory.When{}, nil
	}
	r.Header.Del(headerConsistency) // it is kept to from here on
	return parseWhen(headerConsistency, text)
}

// parseWhen reads a revision or a moment. field is where it stands.
func parseWhen(field, text string) (directory.When, error) {
	if rev, err := strconv.ParseUint(text, 10, 63); err == nil && rev > 0 {
		return directory.When{Revision: directory.Revision(rev)}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	switch {
	case err != nil:
		return directory.When{}, invalid("at.malformed", field, "A moment of the past is a revision, or written as in 2026-01-02T03:04:05Z.")
	case t.UTC().Year() < 1971 || t.UTC().Year() > 9999:
		return directory.When{}, invalid("time.range", field, "A moment is from 1971 to 9999.")
	}
	return directory.When{Time: t}, nil
}
