package syncano

// operation is one row of the permission matrix.
type operation uint8

// The operations.
const (
	postUsers operation = iota
	changeMemberships
	operations
)

// allowance is what a caller may do with an operation.
type allowance uint8

// The allowances, in ascending order.
const (
	no allowance = iota
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
}

// matrix is the table of the dialect's contract, section 4.1. It only narrows:
// whatever it says, the core lets nobody do more than the credential's grants.
var matrix = [operations]permission{
	//                  admin  K    +uc  +gc  +acl K+U  +acl and U
	postUsers:         {yes, no, yes, no, yes, no, yes},
	changeMemberships: {yes, no, no, no, no, no, no},
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
	return a
}
