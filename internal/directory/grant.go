package directory

import "strings"

// Grants is a set of rights. A principal's grants are an upper bound on all it
// does; a group's grants are what its members hold. The zero value is no right
// at all, which is what everything starts with.
type Grants uint32

// The single grants. Admin holds everything inside one tenant, whatever is
// added later; Platform holds what concerns the deployment as a whole (making
// tenants) and can be held only by the platform's own credentials, as can
// OwnTenants, with which a user of the platform makes tenants for itself. ReadSelf
// and WriteSelf are what every user holds about itself; they bound a credential
// that acts for a user, and are nothing to one that does not.
const (
	ReadUsers Grants = 1 << iota
	WriteUsers
	ReadGroups
	WriteGroups
	ReadMembers
	WriteMembers
	ManageKeys
	Admin
	Platform
	ReadSelf
	WriteSelf
	OwnTenants
	grantsEnd
)

// InTenant is everything [Admin] implies.
const InTenant = ReadUsers | WriteUsers | ReadGroups | WriteGroups | ReadMembers | WriteMembers | ManageKeys | Admin | ReadSelf | WriteSelf

// ReadAll is every reading grant.
const ReadAll = ReadUsers | ReadGroups | ReadMembers

var grantNames = []struct {
	name  string
	grant Grants
}{
	{"users.read", ReadUsers},
	{"users.write", WriteUsers},
	{"groups.read", ReadGroups},
	{"groups.write", WriteGroups},
	{"members.read", ReadMembers},
	{"members.write", WriteMembers},
	{"keys.manage", ManageKeys},
	{"self.read", ReadSelf},
	{"self.write", WriteSelf},
	{"admin", Admin},
	{"platform", Platform},
	{"tenants.own", OwnTenants},
}

// closed returns g with all that its rights imply: those over everybody hold
// over oneself, too.
func (g Grants) closed() Grants {
	if g&Platform != 0 {
		g |= Admin | OwnTenants
	}
	if g&Admin != 0 {
		g |= InTenant
	}
	if g&WriteUsers != 0 {
		g |= WriteSelf
	}
	if g&(ReadUsers|ReadMembers|WriteSelf) != 0 {
		g |= ReadSelf
	}
	return g
}

// Has reports whether g holds every right in want.
func (g Grants) Has(want Grants) bool { return g.Lacking(want) == 0 }

// Lacking returns the rights in want that g does not hold.
func (g Grants) Lacking(want Grants) Grants { return want &^ g.closed() }

// Names returns the names of the rights in g, as [ParseGrants] reads them, in a
// fixed order.
func (g Grants) Names() []string {
	names := []string{}
	for _, n := range grantNames {
		if g&n.grant != 0 {
			names = append(names, n.name)
		}
	}
	return names
}

// String returns the names joined by commas.
func (g Grants) String() string { return strings.Join(g.Names(), ",") }

// ParseGrants reads names such as "members.write". An unknown name is
// [Invalid], because a right that nobody understands must not be handed out.
func ParseGrants(names []string) (Grants, error) {
	var g Grants
next:
	for _, name := range names {
		for _, n := range grantNames {
			if n.name == name {
				g |= n.grant
				continue next
			}
		}
		return 0, invalid("grant.unknown", "grants", "There is no grant named %q.", name)
	}
	return g, nil
}
