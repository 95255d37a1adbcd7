package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"roster/internal/id"
)

// MaxUsers is how many users one call may make or change.
const MaxUsers = 1000

// ErrNoneJoined is the problem of a new user that can join none of the groups it
// must join one of.
var ErrNoneJoined = conflict("user.groups.none", "groups", "None of the groups can be joined.")

// NewUsers asks for many users, each of which is made or refused on its own.
type NewUsers struct {
	Users []NewUser

	// SomeGroups makes a user also if some of the groups it names cannot be
	// joined, as long as one can: who names groups and can join none is
	// [ErrNoneJoined]. Without it every group must be joined.
	SomeGroups bool

	// Otherwise is what a user joins that names no group, if there is such a group.
	Otherwise Ref

	// MustJoin refuses whoever names no group: [ErrNoneJoined]. So does a bounded
	// principal.
	MustJoin bool
}

// UserResult is what became of one user of a batch. If there was a Problem
// nothing was done to the user; one that was to be made is zero then, and nothing
// is left of it.
type UserResult struct {
	User    User
	Problem *Error

	// Unjoined are the groups, by their place among those named, that the user
	// could not join, each with the reason.
	Unjoined map[int]*Error
}

// CreateUsers makes users in one transaction and says what became of each, in
// order; a name that is taken, also by one before it, costs no other. A fault of
// the store refuses the call, and so does input that would
// be wrong whatever the directory holds; [Error.Items] then says where it is. It needs what [Directory.CreateUser] needs, and heeds
// [Within]: a bounded principal makes users only into the groups it is bounded to.
func (d *Directory) CreateUsers(ctx context.Context, p Principal, in NewUsers) (Answer[[]UserResult], error) {
	if err := checkUsers(len(in.Users)); err != nil {
		return Answer[[]UserResult]{}, err
	}
	need := WriteUsers
	if in.Otherwise.Kind != 0 || p.Within != nil {
		need |= WriteMembers
	}
	users := make([]User, len(in.Users))
	for i, n := range in.Users {
		u, needs, err := n.check(p)
		if e, ok := errors.AsType[*Error](err); ok {
			at := *e
			at.Items = []int{i}
			return Answer[[]UserResult]{}, &at
		}
		users[i] = u
		need |= needs
	}
	return write(ctx, d, p.heeding(), need, func(t *tx) ([]UserResult, error) {
		results := make([]UserResult, len(users))
		for i, u := range users {
			err := t.Try(func() (err error) {
				results[i], err = t.createUser(u, in.Users[i], in)
				return err
			})
			if err != nil {
				switch KindOf(err) {
				case Internal, Unavailable:
					return nil, err
				}
				results[i] = UserResult{Problem: problemOf(err)}
			}
		}
		return results, nil
	})
}

func checkUsers(n int) error {
	if n > MaxUsers {
		return &Error{Kind: TooLarge, Code: "batch.large", Detail: fmt.Sprintf("A call names at most %d users.", MaxUsers)}
	}
	return nil
}

// createUser makes one user of a batch.
func (t *tx) createUser(u User, in NewUser, batch NewUsers) (UserResult, error) {
	if err := t.InsertUser(&u); err != nil {
		return UserResult{}, err
	}
	if err := t.insertCredentials(u, in.Credentials); err != nil {
		return UserResult{}, err
	}
	groups, unjoined, err := t.joinable(in.Groups)
	if err != nil {
		return UserResult{}, err
	}
	if !batch.SomeGroups {
		for i := range in.Groups {
			if problem := unjoined[i]; problem != nil {
				return UserResult{}, problem
			}
		}
	}
	switch {
	case len(groups) > 0:
	case len(in.Groups) > 0 || batch.MustJoin || t.p.Within != nil:
		return UserResult{}, ErrNoneJoined
	case batch.Otherwise.Kind != 0:
		if groups, _, err = t.joinable([]Ref{batch.Otherwise}); err != nil {
			return UserResult{}, err
		}
	}
	edges := make([]Edge, len(groups))
	for i, g := range groups {
		edges[i] = Edge{Group: g, Member: id.UserMember(u.Number)}
	}
	if _, err := t.InsertEdges(edges, Standing{}); err != nil {
		return UserResult{}, err
	}
	if err := t.updateSignIn(u, in.SignIn, anybody); err != nil {
		return UserResult{}, err
	}
	return UserResult{User: u, Unjoined: unjoined}, t.autoJoin(u)
}

// joinable returns those of the groups that the principal may put somebody into,
// each once, and for the others, by place, why not.
func (t *tx) joinable(refs []Ref) (groups []id.Number, unjoined map[int]*Error, err error) {
	numbers, err := t.groupNumbers(refs)
	if err != nil {
		return nil, nil, err
	}
	for i, g := range numbers {
		problem := missing(g, true)
		if problem == nil {
			err := t.mayRule(g)
			if err != nil && !errors.Is(err, Forbidden) {
				return nil, nil, err
			}
			if err != nil {
				problem = problemOf(err)
			}
		}
		switch {
		case problem != nil && unjoined == nil:
			unjoined = map[int]*Error{i: problem}
		case problem != nil:
			unjoined[i] = problem
		case !slices.Contains(groups, g):
			groups = append(groups, g)
		}
	}
	return groups, unjoined, nil
}

// Suspension asks to suspend users, or to end their suspension.
type Suspension struct {
	Users     []Ref
	Suspended bool
}

// Suspend suspends users, or ends their suspension, in one transaction and says
// what became of each, in order. Who is so already is left alone. A user that is
// not there is [ErrNoUser]; the last administrator is not suspended
// ([ErrLastAdmin]); nor does a suspension end for whom the end has come by its
// date. Each keeps its memberships, which do not hold meanwhile. It needs
// [WriteUsers] and, for each, whatever the user holds: who ends a suspension
// hands out what the user will hold. It heeds [Within].
func (d *Directory) Suspend(ctx context.Context, p Principal, in Suspension) (Answer[[]UserResult], error) {
	if err := checkUsers(len(in.Users)); err != nil {
		return Answer[[]UserResult]{}, err
	}
	return write(ctx, d, p.heeding(), WriteUsers, func(t *tx) ([]UserResult, error) {
		refs := make([]MemberRef, len(in.Users))
		for i, ref := range in.Users {
			refs[i].Ref = ref
		}
		items, err := t.members(refs)
		if err != nil {
			return nil, err
		}
		numbers := make([]id.Number, 0, len(items))
		for _, i := range items {
			if u, ok := i.edge.Member.User(); ok {
				numbers = append(numbers, u)
			}
		}
		list, err := t.Writer.Users(numbers)
		if err != nil {
			return nil, err
		}
		users := make(map[id.Number]User, len(list))
		for _, u := range list {
			users[u.Number] = u
		}
		results := make([]UserResult, len(items))
		for i, item := range items {
			u, _ := item.edge.Member.User()
			if item.problem == nil {
				results[i], err = t.suspend(users[u], in.Suspended)
				users[u] = results[i].User
			} else {
				results[i].Problem = item.problem
			}
			if err != nil {
				return nil, err
			}
		}
		return results, nil
	})
}

// suspend changes one user of a [Suspension]; the error is that of the whole.
func (t *tx) suspend(u User, suspended bool) (UserResult, error) {
	if !suspended && !u.Expires.IsZero() && !t.now().Before(u.Expires) {
		return UserResult{User: u, Problem: conflict("user.expired", "expires", "The user's time is over.")}, nil
	}
	if u.Suspended == suspended {
		return UserResult{User: u}, nil
	}
	after := u
	err := t.Try(func() (err error) {
		after, err = t.updateUser(u, UserUpdate{Suspended: &suspended})
		return err
	})
	switch {
	case errors.Is(err, Unavailable):
		return UserResult{}, err
	case err != nil:
		return UserResult{User: u, Problem: problemOf(err)}, nil
	}
	return UserResult{User: after}, nil
}
