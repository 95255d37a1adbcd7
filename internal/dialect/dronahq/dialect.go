// Package dronahq speaks the DronaHQ Plugin REST API: users and groups behind
// /users and /groups, for scripts and apps written for plugin.api.dronahq.com.
// Their integer ids are the numbers of users and groups here, and their account
// is a tenant, which the key alone names: it stands in no path.
//
// What is served, where it differs and what was chosen is in README.md.
package dronahq

import (
	"net/http"
	"regexp"

	"roster/internal/authn"
	"roster/internal/dialect"
	"roster/internal/directory"
	"roster/internal/wire"
)

// Name is the dialect's name: in the change log, in the request log, and the
// namespace of its attributes.
const Name = "dronahq"

// door is what the handlers work on.
type door struct {
	directory *directory.Directory
	authn     *authn.Authenticator
}

// New returns the dialect's door.
func New(deps dialect.Deps) dialect.Door {
	d := &door{directory: deps.Directory, authn: deps.Authn}
	const (
		reading  = directory.ReadUsers | directory.ReadMembers
		creating = directory.WriteUsers | directory.WriteMembers
	)
	return dialect.Door{
		Name:   Name,
		Mounts: []string{"/users", "/groups", "/api/public"},
		// Published clients join a base ending in a slash to a path starting
		// with one, and others end paths in a slash (the dialect's contract,
		// section 1.1).
		Paths: wire.Paths{Slash: wire.SlashOptional, Collapse: true, FoldCase: true},
		Routes: []dialect.Route{
			{Method: http.MethodGet, Pattern: "/users", Grant: reading, Handler: d.listUsers(plugin)},
			{Method: http.MethodGet, Pattern: "/users/{user}", Grant: reading, Handler: d.getUser},
			{Method: http.MethodPost, Pattern: "/users", Grant: creating, Handler: d.createUsers(plugin)},
			{Method: http.MethodPut, Pattern: "/users", Grant: directory.WriteUsers, Handler: d.suspend(plugin, false)},
			{Method: http.MethodDelete, Pattern: "/users", Grant: directory.WriteUsers, Handler: d.suspend(plugin, true)},
			{Method: http.MethodPut, Pattern: "/users/{userId}/actions/change_group", Grant: directory.WriteMembers, Handler: d.changeGroup(plugin)},
			// The reference page says POST; the vendor has since corrected it to PUT.
			{Method: http.MethodPost, Pattern: "/groups/{groupId}/actions/assign_user", Grant: directory.WriteMembers, Handler: d.assignUser},
			{Method: http.MethodPut, Pattern: "/groups/{groupId}/actions/assign_user", Grant: directory.WriteMembers, Handler: d.assignUser},

			{Method: http.MethodGet, Pattern: "/api/public/users", Grant: reading, Handler: d.listUsers(public)},
			{Method: http.MethodGet, Pattern: "/api/public/users/{user}", Grant: reading, Handler: d.getUser},
			{Method: http.MethodPost, Pattern: "/api/public/users", Grant: creating, Handler: d.createUsers(public)},
			{Method: http.MethodPut, Pattern: "/api/public/users/activate", Grant: directory.WriteUsers, Handler: d.suspend(public, false)},
			{Method: http.MethodDelete, Pattern: "/api/public/users/deactivate", Grant: directory.WriteUsers, Handler: d.suspend(public, true)},
			{Method: http.MethodPut, Pattern: "/api/public/users/{userId}/actions/change_group", Grant: directory.WriteMembers, Handler: d.changeGroup(public)},
		},
		Authenticate: d.authenticate,
		WriteError:   writeError,
		Wrap:         redacted,
	}
}

// redacted keeps keys out of the path that the log shows. Keys belong in the
// query, which is not logged, but "&tokenkey=" where "?tokenkey=" was meant makes
// one part of the path.
func redacted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wire.EntryOf(r.Context()).Path = redact(r.URL.Path)
		next.ServeHTTP(w, r)
	})
}

// inPath matches what follows a key's name, and whatever is long enough to be a
// key wherever it stands.
var inPath = regexp.MustCompile(`(?i)(token_?key=)[^/&;]+|[a-z0-9]{50,}`)

func redact(path string) string { return inPath.ReplaceAllString(path, "${1}REDACTED") }
