package syncano

import "roster/internal/directory"

// operation is one row of the permission matrix.
type operation uint8

// The operations.
const (
	getUsers operation = iota
	postUsers
	changeUser
	deleteUser
	signIn
	selfService
	getGroups
	postGroups
	changeGroup
	getGroupsOfUser
	getUsersOfGroup
	changeMemberships
	getClass
	changeClass
	getProfiles
	changeProfile
	refuseProfile
	getKeys
	changeKeys
	getInstances
	postInstances
	changeInstance
	runBatch
	account
	operations
)

// allowance is what a caller may do with an operation.
type allowance uint8

// The allowances, in ascending order.
const (
	no     allowance = iota
	open             // with what is open to everybody
	own              // with what is the caller's own
	shared           // with what its own permission fields let the caller do (section 4.2)
	yes
)

// permission says who may do an operation. Flags of an API key add to what it
// may do without them.
type permission struct {
	admin           allowance // an account key with a role in the instance
	key             allowance // an API key without flags
	userCreate      allowance // with allow_user_create
	groupCreate     allowance // with allow_group_create
	ignoreACL       allowance // with ignore_acl
	withUser        allowance // an API key and a user key
	withUserIgnores allowance // both, with ignore_acl
	anonymous       allowance // with allow_anonymous_read
}

// matrix is the table of the dialect's contract, section 4.1, with the rows of
// sections 2.2, 2.3 and 2.10 below it and a column for what section 4.2 says of
// reading anonymously. It only narrows: whatever it says, the core lets nobody
// do more than the credential's grants.
var matrix = [operations]permission{
	//                  admin  K     +uc  +gc  +acl K+U     +acl and U  +anonymous
	getUsers:          {yes, no, no, no, yes, own, own, no},
	postUsers:         {yes, no, yes, no, yes, no, yes, no},
	changeUser:        {yes, no, no, no, yes, own, own, no},
	deleteUser:        {yes, no, no, no, yes, no, own, no},
	signIn:            {yes, yes, yes, yes, yes, yes, yes, yes},
	selfService:       {no, no, no, no, no, yes, yes, no},
	getGroups:         {yes, yes, yes, yes, yes, yes, yes, yes},
	postGroups:        {yes, no, no, yes, no, no, no, no},
	changeGroup:       {yes, no, no, no, no, no, no, no},
	getGroupsOfUser:   {yes, no, no, no, no, own, own, no},
	getUsersOfGroup:   {yes, no, no, no, no, own, own, no},
	changeMemberships: {yes, no, no, no, no, no, no, no},
	getClass:          {yes, shared, shared, shared, yes, shared, yes, shared},
	changeClass:       {yes, no, no, no, no, no, no, no},
	getProfiles:       {yes, no, no, no, yes, shared, yes, open},
	changeProfile:     {yes, no, no, no, yes, shared, yes, no},
	refuseProfile:     {no, no, no, no, no, no, no, no}, // POST on the list, DELETE of one: nobody's

	getKeys:        {yes, own, own, own, own, own, own, own},
	changeKeys:     {yes, no, no, no, no, no, no, no},
	getInstances:   {yes, own, own, own, own, own, own, own},
	postInstances:  {yes, no, no, no, no, no, no, no},
	changeInstance: {yes, no, no, no, no, no, no, no},
	runBatch:       {yes, yes, yes, yes, yes, yes, yes, yes},
	account:        {yes, no, no, no, no, no, no, no},
}

// of returns what the caller may do.
func (p permission) of(c caller) allowance {
	if c.account {
		return p.admin
	}
	bare, ignoring := p.key, p.ignoreACL
	if !c.user.IsZero() {
		bare, ignoring = p.withUser, p.withUserIgnores
	}
	a := bare
	if c.ignoresACL {
		a = max(a, ignoring)
	}
	if c.createsUsers {
		a = max(a, p.userCreate)
	}
	if c.createsGroup {
		a = max(a, p.groupCreate)
	}
	if c.readsAnonymously {
		a = max(a, p.anonymous)
	}
	return a
}

// flags are what an API key may be given (section 2.3), each with the grants
// that it stands for in the core.
type flags struct {
	ignoreACL, userCreate, groupCreate, anonymousRead bool
}

// keyGrants are what every API key holds: whom it may read about, the matrix
// narrows down.
const keyGrants = directory.ReadGroups | directory.ReadMembers

// grants are those of an API key with the flags.
func (f flags) grants() directory.Grants {
	g := keyGrants
	if f.ignoreACL {
		g |= directory.ReadUsers | directory.WriteUsers
	}
	if f.userCreate {
		g |= directory.WriteUsers
	}
	if f.groupCreate {
		g |= directory.WriteGroups
	}
	return g
}

// The attributes that flags are kept in.
const (
	attrIgnoreACL = "ignore_acl"
	attrAnonymous = "allow_anonymous_read"
	attrUserMake  = "allow_user_create"
	attrGroupMake = "allow_group_create"
)

// flagsOf reads the flags of a key. One that was made elsewhere has those that
// its grants amount to, and a flag without its grant is none.
func flagsOf(c directory.Credential) flags {
	kept := c.Attributes.In(name)
	is := func(attribute string, otherwise bool) bool {
		if b, ok := kept[attribute].(bool); ok {
			return b
		}
		return otherwise
	}
	return flags{
		ignoreACL:     is(attrIgnoreACL, false),
		anonymousRead: is(attrAnonymous, false),
		userCreate:    c.Grants.Has(directory.WriteUsers) && is(attrUserMake, true),
		groupCreate:   c.Grants.Has(directory.WriteGroups) && is(attrGroupMake, true),
	}
}

func (f flags) attributes() map[string]any {
	return map[string]any{attrIgnoreACL: f.ignoreACL, attrAnonymous: f.anonymousRead, attrUserMake: f.userCreate, attrGroupMake: f.groupCreate}
}
