package directory

import (
	"reflect"
	"time"

	"roster/internal/id"
)

// The functions here make the change records that engines keep, so that every
// engine keeps the same. What is recorded of a thing is what the native API
// shows of it; secrets are not.

// UserChange records that a user was created (before is zero), updated, or
// deleted (after is zero).
func UserChange(kind ChangeKind, before, after User) Change {
	c := Change{Kind: kind, Number: before.Number, ID: before.ID, Suspended: after.Suspended, Expires: after.Expires}
	if kind == UserCreated {
		c.Number, c.ID = after.Number, after.ID
	}
	c.Before, c.After = differences(userFields(before), userFields(after))
	return c
}

func userFields(u User) map[string]any {
	f := map[string]any{}
	put(f, "name", u.Name)
	put(f, "email", u.Email)
	put(f, "email_verified", u.EmailVerified)
	put(f, "given_name", u.GivenName)
	put(f, "family_name", u.FamilyName)
	put(f, "display_name", u.DisplayName)
	put(f, "suspended", u.Suspended)
	put(f, "expires", moment(u.Expires))
	putMap(f, "external_ids", u.Externals)
	putMap(f, "attributes", u.Attributes)
	return f
}

// GroupChange records that a group was created, updated or deleted.
func GroupChange(kind ChangeKind, before, after Group) Change {
	c := Change{Kind: kind, Number: before.Number, ID: before.ID}
	if kind == GroupCreated {
		c.Number, c.ID = after.Number, after.ID
	}
	c.Before, c.After = differences(groupFields(before), groupFields(after))
	return c
}

func groupFields(g Group) map[string]any {
	f := map[string]any{}
	put(f, "name", g.Name)
	put(f, "description", g.Description)
	put(f, "grants", g.Grants.String())
	put(f, "joins", g.Joins.String())
	putMap(f, "external_ids", g.Externals)
	putMap(f, "attributes", g.Attributes)
	return f
}

// TenantChange records that a tenant was created, updated or deleted.
func TenantChange(kind ChangeKind, before, after Tenant) Change {
	c := Change{Kind: kind, ID: before.ID}
	if kind == TenantCreated {
		c.ID = after.ID
	}
	c.Before, c.After = differences(tenantFields(before), tenantFields(after))
	return c
}

func tenantFields(t Tenant) map[string]any {
	f := map[string]any{}
	put(f, "name", t.Name)
	put(f, "title", t.Title)
	putMap(f, "attributes", t.Attributes)
	return f
}

// CredentialChange records that a credential was created, updated or revoked.
func CredentialChange(kind ChangeKind, before, after Credential) Change {
	c := Change{Kind: kind, ID: before.ID}
	if kind == CredentialCreated {
		c.ID = after.ID
	}
	c.Before, c.After = differences(credentialFields(before), credentialFields(after))
	return c
}

func credentialFields(k Credential) map[string]any {
	f := map[string]any{}
	put(f, "kind", string(k.Kind))
	put(f, "name", k.Name)
	put(f, "handle", k.Handle)
	put(f, "grants", k.Grants.String())
	put(f, "expires", moment(k.Expires))
	if !k.User.IsZero() {
		f["user"] = k.User.String()
	}
	return f
}

// Turn is a moment at which a date began or ended a membership.
type Turn struct {
	Edge
	At    time.Time
	Ended bool
}

// ClockChanges records turns, which are by moment, beginnings before endings,
// and then by group and member.
func ClockChanges(turns []Turn) []Change {
	var changes []Change
	for i, t := range turns {
		if i > 0 && t.At.Equal(turns[i-1].At) && t.Ended == turns[i-1].Ended && t.Group == turns[i-1].Group {
			last := &changes[len(changes)-1]
			last.Members = append(last.Members, t.Member)
			continue
		}
		c := Change{Kind: MembersStarted, Number: t.Group, Members: []id.Member{t.Member}, Standing: Standing{From: t.At}}
		if t.Ended {
			c.Kind, c.Standing = MembersEnded, Standing{Until: t.At}
		}
		changes = append(changes, c)
	}
	return changes
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

func put[T comparable](f map[string]any, name string, v T) {
	var zero T
	if v != zero {
		f[name] = v
	}
}

// putMap records a map as what it is when it is read back from a log.
func putMap[M ~map[string]V, V any](f map[string]any, name string, m M) {
	if len(m) > 0 {
		kept := make(map[string]any, len(m))
		for k, v := range m {
			kept[k] = v
		}
		f[name] = kept
	}
}

// differences keeps of both only the fields in which they differ.
func differences(before, after map[string]any) (map[string]any, map[string]any) {
	for name, b := range before {
		if a, ok := after[name]; ok && reflect.DeepEqual(a, b) {
			delete(before, name)
			delete(after, name)
		}
	}
	if len(before) == 0 {
		before = nil
	}
	if len(after) == 0 {
		after = nil
	}
	return before, after
}
