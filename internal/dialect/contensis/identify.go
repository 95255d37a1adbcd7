package contensis

import (
	"strings"

	"github.com/google/uuid"

	"roster/internal/directory"
	"roster/internal/id"
)

// current names whoever is asking, wherever a user is named (section 0.8).
const current = "@current"

// userRefs returns what a user's identifier may mean, in the order to try:
// whoever is asking, an id, or a username and then an e-mail address, because
// a username may be an address (section 2.5). There are never more than two.
func userRefs(p directory.Principal, identifier string) ([]directory.Ref, error) {
	if strings.EqualFold(identifier, current) {
		if p.User.IsZero() {
			return nil, &directory.Error{Kind: directory.NotFound, Code: "user.current", Detail: "This token acts for no user, so there is no " + current + "."}
		}
		return []directory.Ref{directory.ByUser(p.User)}, nil
	}
	if guid, ok := parseGUID(identifier); ok {
		return []directory.Ref{directory.ByUser(id.User(guid))}, nil
	}
	refs := []directory.Ref{directory.ByName(identifier)}
	if directory.IsEmail(identifier) {
		refs = append(refs, directory.ByEmail(identifier))
	}
	return refs, nil
}

// groupRef returns what a group's identifier means: an id, or else a name.
func groupRef(identifier string) directory.Ref {
	if guid, ok := parseGUID(identifier); ok {
		return directory.ByGroup(id.Group(guid))
	}
	return directory.ByName(identifier)
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
