package dronahq

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"roster/internal/dialect"
	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/wire"
)

// Errors of change_group.
var (
	errUserID   = &directory.Error{Kind: directory.Invalid, Code: "path.user", Field: "userId", Detail: "userId must be an integer."}
	errNoGroups = &directory.Error{Kind: directory.Invalid, Code: "groups.none", Field: "assign_group", Detail: "assign_group or remove_group must contain at least one group."}
)

// everyGroup stands for all groups of a user, among those to be removed.
const everyGroup = "*"

// changeGroup changes which groups one user is in (section 2.6). Groups are
// named, or in the older form of the call numbered.
func (d *door) changeGroup(s surface) dialect.Handler {
	return func(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
		number, err := strconv.ParseInt(r.PathValue("userId"), 10, 64)
		if err != nil {
			return errUserID
		}
		change := directory.GroupsChange{
			Member: directory.MemberRef{Ref: directory.ByNumber(number)}, Mode: directory.EachAlone, Keep: true, Named: true,
		}
		wishes, all, unreadable := readGroupWishes(fieldsOf(r))
		if unreadable == nil && len(wishes) == 0 && !all {
			return errNoGroups
		}
		change.Replace = all
		for _, wish := range wishes {
			if wish.remove {
				change.Remove = append(change.Remove, wish.group)
			} else {
				change.Add = append(change.Add, wish.group)
			}
		}
		if unreadable != nil {
			// A change of nothing still finds the user, and 404 goes before 400.
			change = directory.GroupsChange{Member: change.Member}
		}
		done, err := d.directory.ChangeGroups(r.Context(), p, change)
		if err == nil {
			err = unreadable
		}
		if err != nil {
			return err
		}
		changed := sortOut(wishes, done.Value)
		if s.named {
			wire.WriteJSON(w, http.StatusOK, changed.byName(number, all, done.Value))
		} else {
			wire.WriteJSON(w, http.StatusOK, changed.byNumber(number, done.Value))
		}
		return nil
	}
}

// groupWish is what a request asks for one group.
type groupWish struct {
	sent   any // as it stood in the request
	group  directory.Ref
	remove bool
}

// readGroupWishes makes one wish for each group as it is named or numbered, in
// the order in which they first appear, and says whether all groups are to be
// left. What is in a list of each sort is to be removed, as with users.
func readGroupWishes(in fields) (wishes []groupWish, all bool, err error) {
	at := map[directory.Ref]int{}
	wish := func(sent any, group directory.Ref, remove bool) {
		i, known := at[group]
		if !known {
			i = len(wishes)
			at[group] = i
			wishes = append(wishes, groupWish{sent: sent, group: group})
		}
		wishes[i].remove = remove
	}
	for _, list := range []struct {
		names, numbers string
		remove         bool
	}{{"assign_group", "assign", false}, {"remove_group", "remove", true}} {
		names, err := in.names(list.names)
		if err != nil {
			return wishes, all, err
		}
		for _, name := range names {
			trimmed := strings.TrimSpace(name)
			if list.remove && trimmed == everyGroup {
				all = true
				continue
			}
			wish(name, directory.ByName(trimmed), list.remove)
		}
		for _, element := range in.list(list.numbers) {
			number, ok := integer(element)
			if !ok {
				return wishes, all, wrongType(list.numbers, "an array of integer group ids")
			}
			wish(element, directory.ByNumber(number), list.remove)
		}
	}
	return wishes, all, nil
}

// changedGroups are the groups of a request, each in the one list that says what
// became of it, in the order in which they first appear.
type changedGroups struct {
	assigned, removed, failed []id.Number
	invalid                   []any // as they were sent
}

// sortOut says what became of each wish. A group that was meant twice, by its
// name and by its number, is where its removal puts it.
func sortOut(wishes []groupWish, done directory.GroupsResult) changedGroups {
	add, remove := done.Add, done.Remove
	gone := map[id.Number]bool{}
	for _, r := range remove {
		gone[r.Edge.Group] = true
	}
	var out changedGroups
	put := func(list *[]id.Number, group id.Number) {
		if !slices.Contains(*list, group) {
			*list = append(*list, group)
		}
	}
	for _, wish := range wishes {
		results, succeeded := &add, &out.assigned
		if wish.remove {
			results, succeeded = &remove, &out.removed
		}
		result := (*results)[0]
		*results = (*results)[1:]
		switch group := result.Edge.Group; {
		case namesNothing(result.Problem):
			out.invalid = append(out.invalid, wish.sent)
		case !wish.remove && gone[group]:
		case result.Outcome == directory.Bad:
			put(&out.failed, group)
		default:
			put(succeeded, group)
		}
	}
	for _, r := range done.Stuck {
		put(&out.failed, r.Edge.Group)
	}
	return out
}

// namesNothing reports whether a problem is that a group is not there, or that
// nobody can tell which is meant.
func namesNothing(problem *directory.Error) bool {
	return problem != nil && (problem.Kind == directory.NotFound || problem.Code == directory.ErrAmbiguous.Code)
}

// byNumber says it as surface A does: ids everywhere, those that "*" meant too.
func (c changedGroups) byNumber(user int64, done directory.GroupsResult) changeGroupAnswer[int64, id.Number] {
	removed := c.removed
	for _, e := range done.Left {
		if !slices.Contains(removed, e.Group) {
			removed = append(removed, e.Group)
		}
	}
	return changeGroupAnswer[int64, id.Number]{UserID: user, AssignedTo: c.assigned, RemovedFrom: removed, InvalidGroups: c.invalid, FailedGroups: c.failed}
}

// byName says it as surface B does: names as they are stored, and "*" for "*".
func (c changedGroups) byName(user int64, all bool, done directory.GroupsResult) changeGroupAnswer[string, string] {
	names := func(numbers []id.Number) []string {
		list := make([]string, len(numbers))
		for i, n := range numbers {
			list[i] = done.Named[n].Name
		}
		return list
	}
	removed := names(c.removed)
	if all {
		removed = append([]string{everyGroup}, removed...)
	}
	invalid := make([]any, len(c.invalid))
	for i, sent := range c.invalid {
		invalid[i], _ = plain(sent) // texts alone are in this list
	}
	return changeGroupAnswer[string, string]{
		UserID: strconv.FormatInt(user, 10), AssignedTo: names(c.assigned), RemovedFrom: removed,
		InvalidGroups: invalid, FailedGroups: c.failed,
	}
}
