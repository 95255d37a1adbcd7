package dronahq

import (
	"net/http"
	"strconv"

	"roster/internal/directory"
	"roster/internal/wire"
)

// Errors of assign_user.
var (
	errGroupID = &directory.Error{Kind: directory.Invalid, Code: "path.group", Field: "groupId", Detail: "groupId must be an integer."}
	errNobody  = &directory.Error{Kind: directory.Invalid, Code: "users.none", Field: "assign", Detail: "assign or remove must contain at least one user id."}
)

// assignUser puts users into a group and takes users out of it (the reference
// page, "Put user(s) to group"; the dialect's contract, section 2.7). What is
// wrong is looked for in the contract's order: the path, the lists, the group,
// the ids.
func (d *door) assignUser(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	number, err := strconv.ParseInt(r.PathValue("groupId"), 10, 64)
	if err != nil {
		return errGroupID
	}
	in := fieldsOf(r)
	assign, remove := in.list("assign"), in.list("remove")
	if len(assign)+len(remove) == 0 {
		return errNobody
	}
	change := directory.MembersChange{Group: directory.ByNumber(number), Mode: directory.EachAlone, Keep: true}
	wishes, unreadable := readWishes(assign, remove)
	if unreadable != nil {
		// A change of nobody still finds the group, and 404 goes before 400.
		if _, err := d.directory.ChangeMembers(r.Context(), p, change); err != nil {
			return err
		}
		return unreadable
	}
	for _, wish := range wishes {
		ref := directory.MemberRef{Ref: directory.ByNumber(wish.user)}
		if wish.remove {
			change.Remove = append(change.Remove, ref)
		} else {
			change.Add = append(change.Add, ref)
		}
	}
	done, err := d.directory.ChangeMembers(r.Context(), p, change)
	if err != nil {
		return err
	}
	wire.WriteJSON(w, http.StatusOK, assigned(wishes, done.Value))
	return nil
}

// wish is what a request asks for one user.
type wish struct {
	user   int64
	remove bool
}

// readWishes makes one wish for each user, in the order in which they first
// appear. Who is in both lists is to be removed: a request that contradicts
// itself must not leave somebody inside.
func readWishes(assign, remove []any) ([]wish, error) {
	wishes := make([]wish, 0, len(assign)+len(remove))
	at := make(map[int64]int, len(assign)+len(remove))
	for _, list := range []struct {
		name     string
		elements []any
		remove   bool
	}{{"assign", assign, false}, {"remove", remove, true}} {
		for _, element := range list.elements {
			user, ok := integer(element)
			if !ok {
				return nil, &directory.Error{Kind: directory.Invalid, Code: "users.type", Field: list.name, Detail: list.name + " must contain integer user ids only."}
			}
			i, known := at[user]
			if !known {
				i = len(wishes)
				at[user] = i
				wishes = append(wishes, wish{user: user})
			}
			wishes[i].remove = list.remove
		}
	}
	return wishes, nil
}

// assigned says what became of each wish. Who was a member already counts as
// assigned and who was none as removed, so a repeated call gets the same answer.
func assigned(wishes []wish, done directory.MembersResult) assignUserAnswer {
	out := assignUserAnswer{GroupID: done.Group.Number}
	add, remove := done.Add, done.Remove
	for _, wish := range wishes {
		results, succeeded := &add, &out.AssignedUsers
		if wish.remove {
			results, succeeded = &remove, &out.RemovedUsers
		}
		result := (*results)[0]
		*results = (*results)[1:]
		switch {
		case result.Outcome != directory.Bad:
			*succeeded = append(*succeeded, wish.user)
		case result.Problem != nil && result.Problem.Kind == directory.NotFound:
			out.InvalidUsers = append(out.InvalidUsers, wish.user)
		default:
			out.FailedUsers = append(out.FailedUsers, wish.user)
		}
	}
	return out
}
