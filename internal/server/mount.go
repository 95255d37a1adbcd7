package server

import (
	"net/http"
	"slices"
	"strings"

	"roster/internal/dialect"
	"roster/internal/wire"
)

// mounted chooses the door of a request by the longest mount that its path
// starts with, in any letter case and however many slashes it begins with: what
// the door makes of the rest is the door's business.
type mounted struct {
	mounts []mount // longest prefix first
	none   http.Handler
}

type mount struct {
	prefix string // lower case; if it ends in a slash it is that path alone
	door   http.Handler
}

// Mount puts doors behind one handler. It panics if two claim one mount.
func Mount(doors []dialect.Door, none http.Handler) http.Handler {
	m := &mounted{none: none}
	taken := map[string]string{}
	for _, d := range doors {
		h := d.Handler()
		for _, prefix := range d.Mounts {
			prefix = strings.ToLower(prefix)
			if other, ok := taken[prefix]; ok {
				panic("server: " + d.Name + " and " + other + " both claim " + prefix)
			}
			taken[prefix] = d.Name
			m.mounts = append(m.mounts, mount{prefix, h})
		}
	}
	slices.SortFunc(m.mounts, func(a, b mount) int { return len(b.prefix) - len(a.prefix) })
	return m
}

// ServeHTTP implements [http.Handler].
func (m *mounted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	for strings.HasPrefix(path, "//") {
		path = path[1:]
	}
	for _, mt := range m.mounts {
		if len(path) >= len(mt.prefix) && strings.EqualFold(path[:len(mt.prefix)], mt.prefix) &&
			(len(path) == len(mt.prefix) || path[len(mt.prefix)] == '/' && !strings.HasSuffix(mt.prefix, "/")) {
			mt.door.ServeHTTP(w, r)
			return
		}
	}
	m.none.ServeHTTP(w, r)
}

// nowhere answers paths that no door owns, as the native API says it.
func nowhere(w http.ResponseWriter, r *http.Request) {
	// A mistyped "?" leaves a query, and perhaps a key, in the path.
	if at := strings.IndexAny(r.URL.Path, "&=?"); at >= 0 {
		wire.EntryOf(r.Context()).Path = r.URL.Path[:at] + "…"
	}
	problem(w, r, http.StatusNotFound, "route.unknown", "There is nothing at this path. The native API is described at /api/v1/openapi.json.")
}

// failed answers a request whose handler panicked.
func failed(w http.ResponseWriter, r *http.Request) {
	problem(w, r, http.StatusInternalServerError, "internal", "Something went wrong here. The request id is in the log.")
}

func problem(w http.ResponseWriter, r *http.Request, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	wire.WriteJSON(w, status, struct {
		Type    string `json:"type"`
		Title   string `json:"title"`
		Status  int    `json:"status"`
		Detail  string `json:"detail"`
		Code    string `json:"code"`
		Request string `json:"request"`
	}{"urn:roster:error:" + code, http.StatusText(status), status, detail, code, wire.EntryOf(r.Context()).Request})
}
