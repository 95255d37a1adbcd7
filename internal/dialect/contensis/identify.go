package contensis

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"roster/internal/directory"
	"roster/internal/id"
)

// current names whoever is asking, wherever a user is named (section 0.8).
const current = "@current"

// userRef returns what a user's identifier means: whoever is asking, an id, or
// a username and else an e-mail address, because a username may be an address
// (section 2.5).
func userRef(p directory.Principal, identifier string) (directory.Ref, error) {
	if strings.EqualFold(identifier, current) {
		if p.User.IsZero() {
			return directory.Ref{}, &directory.Error{Kind: directory.NotFound, Code: "user.current", Detail: "This token acts for no user, so there is no " + current + "."}
		}
		return directory.ByUser(p.User), nil
	}
	if guid, ok := parseGUID(identifier); ok {
		return directory.ByUser(id.User(guid)), nil
	}
	return directory.ByLogin(identifier), nil
}

// groupRef returns what a group's identifier means: an id, or else a name.
func groupRef(identifier string) directory.Ref {
	if guid, ok := parseGUID(identifier); ok {
		return directory.ByGroup(id.Group(guid))
	}
	return directory.ByName(identifier)
}

// csv splits a list of identifiers in the last segment of a path, which is still
// escaped, so that a comma can stand in a name as %2C (section 3.1).
func csv(r *http.Request) ([]string, error) {
	path := strings.TrimSuffix(r.URL.EscapedPath(), "/")
	parts := strings.Split(path[strings.LastIndexByte(path, '/')+1:], ",")
	for i, part := range parts {
		text, err := url.PathUnescape(part)
		if err != nil || text == "" {
			return nil, malformed("identifier.empty", "A group's identifier in the list is empty.")
		}
		parts[i] = text
	}
	if len(parts) > directory.MaxChecks {
		return nil, malformed("identifier.many", "The list names too many groups.")
	}
	return parts, nil
}

// parseGUID reads a GUID with hyphens, in any letter case, with or without
// braces. The GUID of zeros is one too; it names nobody.
func parseGUID(s string) (guid [16]byte, ok bool) {
	if len(s) == 38 && s[0] == '{' && s[37] == '}' {
		s = s[1:37]
	}
	if len(s) != 36 {
		return guid, false
	}
	u, err := uuid.Parse(s)
	return u, err == nil
}
