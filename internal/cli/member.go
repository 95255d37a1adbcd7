package cli

import (
	"context"
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"roster/client"
)

func memberCommand() *cobra.Command {
	r := &remote{}
	return r.bindTenant(parent("member", "Add, remove and list members of a group", "",
		memberAdd(r), memberRemove(r), memberList(r), memberHistory(r)))
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
stand so.
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
}

// changeMembers carries out a batch that only adds or only removes.
func changeMembers(cmd *cobra.Command, r *remote, args []string, b client.Batch) error {
	return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
		res, err := t.ChangeMembers(ctx, ref(args[0]), b)
		if err != nil {
			return about("group", args[0], err)
		}
		items := append(res.Add, res.Remove...)
		out := make([]memberOutcome, len(items))
		var rows table
		wrong := 0
		for i, item := range items {
			out[i] = memberOutcome{args[1+i], item}
			rows.add(string(item.Outcome), args[1+i], item.Detail)
			if item.Outcome == client.Invalid {
				wrong++
			}
		}
		if c.json {
			err = c.encode(out)
		} else {
			err = rows.write(c.w, c.columns)
		}
		if err == nil && wrong > 0 {
			err = fmt.Errorf("%d of %d could not be done", wrong, len(items))
		}
		return err
	})
}

func memberList(r *remote) *cobra.Command {
	var pg paging
	var filter client.MemberFilter
	cmd := &cobra.Command{
		Use:   "list GROUP",
		Short: "List who is in a group",
		Long: `List who is in a group now.
` + refsHelp,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
				filter.PageSize = pg.pageSize()
				return about("group", args[0], printMembers(c, &pg, filter, t.Members(ctx, ref(args[0]), filter)))
			})
		},
	}
	bindMemberFilter(cmd, &filter)
	pg.bind(cmd)
	return r.bindPast(cmd)
}

func bindMemberFilter(cmd *cobra.Command, filter *client.MemberFilter) {
	cmd.Flags().BoolVar(&filter.Transitive, "transitive", false, "also through groups")
	cmd.Flags().BoolVar(&filter.Standing, "standing", false, "also those that do not hold now")
	cmd.Flags().StringVar(&filter.Sort, "sort", "", "by number, name, status or added; -name turns it round")
	cmd.Flags().StringVar(&filter.NamePrefix, "name-prefix", "", "only names that begin so")
}

// printMembers prints one of the two lists of memberships.
func printMembers(c *call, pg *paging, filter client.MemberFilter, list iter.Seq2[client.MemberOf, error]) error {
	heads := []string{"KIND", "NUMBER", "NAME", "ROLE", "FROM", "UNTIL", "HOLDS"}
	return printList(c.printer, pg, list, heads, func(m client.MemberOf) []string {
		kind, name := "user", m.User
		if m.Group != nil {
			kind, name = "group", m.Group
		}
		row := []string{kind, "", "", "through groups", "", "", ""}
		if name != nil {
			row[1], row[2] = number(name.Number), name.Name
		}
		if s := m.Membership; s != nil {
			row[3], row[4], row[5] = s.Role, date(s.ValidFrom), date(s.ValidUntil)
			if filter.Standing {
				row[6] = yes(s.Holds)
			}
		}
		return row
	})
}
