package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"roster/client"
)

func memberCommand() *cobra.Command {
	r := &remote{}
	return r.bindTenant(parent("member", "Add, change, remove and list members", "",
		memberAdd(r), memberUpdate(r), memberRemove(r), memberList(r), memberHistory(r)))
}

func memberAdd(r *remote) *cobra.Command {
	var groups, atomic bool
	var from, until moment
	var standing client.Standing
	cmd := &cobra.Command{
		Use:   "add GROUP MEMBER…",
		Short: "Add members to a group",
		Long: `Add members to a group, all in one step, and say what became
of each. Who is a member already stays as it stands; with
--from, --until, --role or --reason all of them are made to
stand so, and what is left out is as of a new member: since
ever, for ever, a member, for no reason. To change one thing
alone is roster member update.
` + refsHelp,
		Args: takes(2, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b := client.Batch{Mode: mode(atomic), Add: members(args[1:], groups)}
			for _, name := range []string{"from", "until", "role", "reason"} {
				if cmd.Flags().Changed(name) {
					standing.ValidFrom, standing.ValidUntil = from.time, until.time
					b.Standing = &standing
				}
			}
			return changeMembers(cmd, r, args, b)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&groups, "group", false, "the members are groups")
	f.Var(&from, "from", "members from then on")
	f.Var(&until, "until", "members until then")
	f.StringVar(&standing.Role, "role", "", "member or manager")
	f.StringVar(&standing.Reason, "reason", "", "why, for people to read")
	f.BoolVar(&atomic, "atomic", false, "all of them or none")
	return cmd
}

func memberUpdate(r *remote) *cobra.Command {
	var groups bool
	var role, reason string
	from, until := moment{never: true}, moment{never: true}
	cmd := &cobra.Command{
		Use:   "update GROUP MEMBER…",
		Short: "Change how members stand in a group",
		Long: `Change how members stand in a group, one after the other:
what is given, and nothing else. An empty reason takes it
away; --from never is since ever, --until never for ever.
Nobody is added by this: who is no member, or has ended, is
absent.
` + refsHelp,
		Args: takes(2, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := anyGiven(cmd, "from", "until", "role", "reason"); err != nil {
				return err
			}
			patch := client.StandingPatch{
				ValidFrom: given(cmd, "from", &from.time), ValidUntil: given(cmd, "until", &until.time),
				Role: given(cmd, "role", &role), Reason: given(cmd, "reason", &reason),
			}
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
				var out []memberOutcome
				for i, m := range members(args[1:], groups) {
					o := memberOutcome{Member: args[1+i]}
					stands, err := t.UpdateMember(ctx, ref(args[0]), m, patch)
					if o.Outcome, o.Membership = stands.Outcome, stands.Membership; err != nil {
						if err = o.failed(err, groups); err != nil {
							if len(out) > 0 {
								c.printOutcomes(out) // what was done before
							}
							return about("group", args[0], err)
						}
					}
					out = append(out, o)
				}
				return c.printOutcomes(out)
			})
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&groups, "group", false, "the members are groups")
	f.Var(&from, "from", "members from then on")
	f.Var(&until, "until", "members until then")
	f.StringVar(&role, "role", "", "member or manager")
	f.StringVar(&reason, "reason", "", "why, for people to read")
	return cmd
}

func memberRemove(r *remote) *cobra.Command {
	var groups, atomic bool
	cmd := &cobra.Command{
		Use:   "remove GROUP MEMBER…",
		Short: "Remove members from a group",
		Long: `Remove members from a group, all in one step, and say what
became of each.
` + refsHelp,
		Args: takes(2, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeMembers(cmd, r, args, client.Batch{Mode: mode(atomic), Remove: members(args[1:], groups)})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&groups, "group", false, "the members are groups")
	f.BoolVar(&atomic, "atomic", false, "all of them or none")
	return cmd
}

func mode(atomic bool) client.Mode {
	if atomic {
		return client.Atomic
	}
	return client.Each
}

func members(words []string, groups bool) []client.Member {
	out := make([]client.Member, len(words))
	for i, word := range words {
		if groups {
			out[i] = client.GroupMember(ref(word))
		} else {
			out[i] = client.UserMember(ref(word))
		}
	}
	return out
}

// memberOutcome is what became of one member, as it was named.
type memberOutcome struct {
	Member string `json:"member"`
	client.ItemOutcome
	Membership *client.Membership `json:"membership,omitempty"` // how it stands now, where that is told
}

// failed notes why one member could not be changed; an error is of all of them.
func (o *memberOutcome) failed(err error, groups bool) error {
	e, ok := errors.AsType[*client.Error](err)
	switch {
	case !ok || e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden || e.Status >= 500:
		return err
	case !groups && strings.HasPrefix(e.Code, "group."):
		return err
	case e.Code == "membership.unknown":
		o.Outcome = client.Absent
	default:
		o.Outcome = client.Invalid
	}
	o.Code, o.Detail = e.Code, e.Detail
	return nil
}

// printOutcomes prints what became of each, and fails if something could not be done.
func (c *call) printOutcomes(out []memberOutcome) error {
	var rows table
	wrong := 0
	for _, o := range out {
		rows.add(string(o.Outcome), o.Member, o.Detail)
		if o.Code != "" {
			wrong++
		}
	}
	var err error
	if c.json {
		err = c.encode(out)
	} else {
		err = rows.write(c.w, c.columns)
	}
	if err == nil && wrong > 0 {
		err = fmt.Errorf("%d of %d could not be done", wrong, len(out))
	}
	return err
}

// changeMembers carries out a batch that only adds or only removes.
func changeMembers(cmd *cobra.Command, r *remote, args []string, b client.Batch) error {
	return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
		res, err := t.ChangeMembers(ctx, ref(args[0]), b)
		if err != nil {
			return about("group", args[0], aboutMember(args[1:], err))
		}
		items := append(res.Add, res.Remove...)
		out := make([]memberOutcome, len(items))
		for i, item := range items {
			out[i] = memberOutcome{Member: args[1+i], ItemOutcome: item}
		}
		return c.printOutcomes(out)
	})
}

// aboutMember says which of the members an error is about, the first if it is
// about several.
func aboutMember(members []string, err error) error {
	e, ok := errors.AsType[*client.Error](err)
	if !ok || len(e.Items) == 0 || e.Items[0] >= len(members) {
		return err
	}
	return about("member", members[e.Items[0]], err)
}

func memberList(r *remote) *cobra.Command {
	return membershipList(r, &cobra.Command{
		Use:   "list GROUP",
		Short: "List who is in a group",
		Long: `List who is in a group now.
` + refsHelp,
	}, "group", (*client.Tenant).Members, (*client.Tenant).CountMembers, ref)
}

func userGroups(r *remote) *cobra.Command {
	return membershipList(r, &cobra.Command{
		Use:   "groups USER",
		Short: "List the groups that a user is in",
		Long: `List the groups that a user is in now.
` + refsHelp,
	}, "user", (*client.Tenant).GroupsOf, (*client.Tenant).CountGroupsOf, func(word string) client.Member { return client.UserMember(ref(word)) })
}

func groupGroups(r *remote) *cobra.Command {
	return membershipList(r, &cobra.Command{
		Use:   "groups GROUP",
		Short: "List the groups that a group is in",
		Long: `List the groups that a group is in now.
` + refsHelp,
	}, "group", (*client.Tenant).GroupsOf, (*client.Tenant).CountGroupsOf, func(word string) client.Member { return client.GroupMember(ref(word)) })
}

// membershipList completes a command that lists memberships of what it names.
func membershipList[N any](r *remote, cmd *cobra.Command, what string,
	list func(*client.Tenant, context.Context, N, client.MemberFilter) iter.Seq2[client.MemberOf, error],
	count func(*client.Tenant, context.Context, N, client.MemberFilter) (int64, error),
	named func(word string) N,
) *cobra.Command {
	var pg paging
	var filter client.MemberFilter
	var holds, counted bool
	cmd.Args = takes(1, 1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
			filter.Holds = given(cmd, "holds", &holds)
			if counted {
				n, err := count(t, ctx, named(args[0]), filter)
				if err != nil {
					return about(what, args[0], err)
				}
				return c.printCount(n)
			}
			filter.PageSize = pg.pageSize()
			return about(what, args[0], printMembers(c, &pg, filter, list(t, ctx, named(args[0]), filter)))
		})
	}
	f := cmd.Flags()
	f.BoolVar(&filter.Transitive, "transitive", false, "also through groups")
	f.BoolVar(&filter.Standing, "standing", false, "also those that do not hold now")
	f.BoolVar(&holds, "holds", false, "with --standing, only those that hold; =false for only others")
	f.StringVar(&filter.Sort, "sort", "", "by number, name, status or added; -name turns it round")
	f.StringVar(&filter.NamePrefix, "name-prefix", "", "only names that begin so")
	f.BoolVar(&counted, "count", false, "say how many there are, and nothing else")
	pg.bind(cmd)
	return r.bindPast(cmd)
}

// printMembers prints one of the lists of memberships.
func printMembers(c *call, pg *paging, filter client.MemberFilter, list iter.Seq2[client.MemberOf, error]) error {
	heads := []string{"KIND", "NUMBER", "NAME", "ROLE", "FROM", "UNTIL", "HOLDS"}
	byAdded := strings.TrimPrefix(filter.Sort, "-") == "added"
	if byAdded {
		heads = append(heads, "ADDED")
	}
	return printList(c.printer, pg, list, heads, func(m client.MemberOf) []string {
		kind, name := "user", m.User
		if m.Group != nil {
			kind, name = "group", m.Group
		}
		row := []string{kind, "", "", "through groups", "", "", "", ""}
		if name != nil {
			row[1], row[2] = number(name.Number), name.Name
		}
		if s := m.Membership; s != nil {
			row[3], row[4], row[5] = s.Role, exactDate(s.ValidFrom), exactDate(s.ValidUntil)
			if filter.Standing {
				row[6] = yes(s.Holds)
			}
			if byAdded {
				row[7] = date(s.Added)
			}
		}
		return row
	})
}
