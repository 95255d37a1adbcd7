package dronahq

import "strings"

// surface is one of the two APIs that share the handlers, in what sets them
// apart (the dialect's contract, sections 0 and 2.8). The names of the other's
// cursor are no synonyms: the same number means the opposite there.
type surface struct {
	root string // of its paths

	// bearerOnly takes keys from the Authorization header alone, and the
	// account's keys alone.
	bearerOnly bool

	// Names of query fields.
	cursor, stats, status string

	// newestFirst lists by descending id, and the cursor is what is below it.
	newestFirst bool

	// invites makes of a user who is not registered before an invited one;
	// otherwise every user must be.
	invites bool

	// named says groups by their names where they were changed, and a user's
	// id as a text.
	named bool
}

var (
	// plugin is the classic Plugin REST API, surface A.
	plugin = surface{cursor: "maxuid", stats: "showstats", status: "listtype"}

	// public is the Users REST API of self-hosted installations, surface B.
	public = surface{
		root: "/api/public", bearerOnly: true, cursor: "max_uid", stats: "show_stats", status: "list_type",
		newestFirst: true, invites: true, named: true,
	}
)

// surfaceOf returns the surface that a route belongs to.
func surfaceOf(pattern string) surface {
	if strings.HasPrefix(pattern, public.root+"/") {
		return public
	}
	return plugin
}
