package apply

import (
	"strconv"
	"strings"

	"roster/internal/directory"
	"roster/internal/id"
)

// ref is how a thing is found that may be there already: by the strongest name given.
func ref(uuid string, number, code int64, name string) (directory.Ref, error) {
	switch {
	case uuid != "":
		u, err := id.Parse[id.User](uuid)
		if err != nil {
			return directory.Ref{}, fault("id %q is not a UUID", uuid)
		}
		return directory.ByUser(u), nil
	case number != 0:
		return directory.ByNumber(number), nil
	case code != 0:
		return directory.ByCode(code), nil
	}
	return directory.ByName(name), nil
}

// ParseRef reads how a file names a user or group: an id, "number:7", "code:7",
// "email:a@b", "external:source/key", "name:x", or a bare name.
func ParseRef(s string) (directory.Ref, error) {
	kind, rest, ok := strings.Cut(s, ":")
	if u, err := id.Parse[id.User](s); err == nil {
		return directory.ByUser(u), nil
	}
	if !ok {
		return directory.ByName(s), nil
	}
	switch kind {
	case "name":
		return directory.ByName(rest), nil
	case "email":
		return directory.ByEmail(rest), nil
	case "number", "code":
		n, err := strconv.ParseInt(rest, 10, 64)
		if err != nil {
			return directory.Ref{}, fault("%q is not a number", rest)
		}
		if kind == "code" {
			return directory.ByCode(n), nil
		}
		return directory.ByNumber(n), nil
	case "external":
		source, key, ok := strings.Cut(rest, "/")
		if !ok {
			return directory.Ref{}, fault("%q must be external:source/key", s)
		}
		return directory.ByExternal(source, key), nil
	}
	return directory.Ref{}, fault("%q starts with an unknown kind of name; write name:%s if that is the name", s, s)
}
