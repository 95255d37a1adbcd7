package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"roster/client"
)

func groupCommand() *cobra.Command {
	r := &remote{}
	return r.bindTenant(parent("group", "Make, show, change and delete groups", "",
		groupCreate(r), groupGet(r), groupList(r), groupUpdate(r), groupDelete(r), groupGroups(r), groupDiff(r)))
}

// groupFields are what is set of a group on the command line.
type groupFields struct {
	description string
	grants      []string
	external    external
	unique      bool
}

func (g *groupFields) bind(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVar(&g.description, "description", "", "`TEXT` for people to read")
	bindGrants(f, &g.grants, "its members hold")
	f.Var(&g.external, "external-id", "what another system calls it; may be repeated")
	f.BoolVar(&g.unique, "unique", false, "refuse a name that another group bears")
}

// bindGrants gives the flag of rights, one by one or with commas between.
func bindGrants(f *pflag.FlagSet, grants *[]string, what string) {
	f.StringSliceVar(grants, "grant", nil, "`RIGHT` that "+what+": "+strings.Join(grantNames, ", ")+"; may be repeated")
}

func groupCreate(r *remote) *cobra.Command {
	var in client.NewGroup
	var fields groupFields
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a group",
		Args:  takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Name, in.Description, in.Grants = args[0], fields.description, fields.grants
			in.ExternalIDs, in.UniqueName = fields.external.keys, fields.unique
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
				g, err := t.CreateGroup(ctx, in)
				if err != nil {
					return err
				}
				return c.showGroup(g)
			})
		},
	}
	f := cmd.Flags()
	fields.bind(f)
	bindNumbers(f, &in.ID, &in.Number, &in.Code)
	return cmd
}

func (c *call) showGroup(g client.Group) error {
	return c.show(g, func(s *sheet) {
		s.field("id", g.ID)
		s.field("number", number(g.Number))
		s.field("code", number(g.Code))
		s.field("name", g.Name)
		s.field("description", g.Description)
		s.field("grants", g.Grants...)
		if g.BuiltIn {
			s.field("built in", yes(true))
		}
		s.field("external ids", externalIDs(g.ExternalIDs)...)
		s.field("attributes", attributeNames(g.Attributes)...)
		s.field("version", number(g.Version))
		s.field("created", date(g.Created))
		s.field("modified", date(g.Modified))
	})
}

func groupGet(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:   "get GROUP",
		Short: "Show a group",
		Long: `Show a group.
` + refsHelp,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
				g, err := t.Group(ctx, ref(args[0]))
				if err != nil {
					return about("group", args[0], err)
				}
				return c.showGroup(g)
			})
		},
	}
}

func groupList(r *remote) *cobra.Command {
	var pg paging
	var filter client.GroupFilter
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List groups by number",
		Args:  takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
				filter.PageSize = pg.pageSize()
				heads := []string{"NUMBER", "NAME", "GRANTS"}
				return printList(c.printer, &pg, t.Groups(ctx, filter), heads, func(g client.Group) []string {
					return []string{number(g.Number), g.Name, strings.Join(g.Grants, ",")}
				})
			})
		},
	}
	cmd.Flags().StringVar(&filter.NamePrefix, "prefix", "", "only names that begin with `TEXT`")
	pg.bind(cmd)
	return cmd
}

func groupUpdate(r *remote) *cobra.Command {
	var fields groupFields
	var name string
	var version int64
	cmd := &cobra.Command{
		Use:   "update GROUP",
		Short: "Change a group",
		Long: `Change a group: what is given, and nothing else. An empty
value takes a field away; --grant and --external-id replace
all of them.
` + refsHelp,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := anyGiven(cmd, "name", "description", "grant", "external-id"); err != nil {
				return err
			}
			if fields.grants == nil {
				fields.grants = []string{}
			}
			patch := client.GroupPatch{
				Name: given(cmd, "name", &name), Description: given(cmd, "description", &fields.description),
				Grants: given(cmd, "grant", &fields.grants), ExternalIDs: given(cmd, "external-id", &fields.external.keys), UniqueName: fields.unique,
			}
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
				g, err := t.UpdateGroup(ctx, ref(args[0]), version, patch)
				if err != nil {
					return about("group", args[0], err)
				}
				return c.showGroup(g)
			})
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&name, "name", "", "another `NAME`")
	fields.bind(f)
	bindVersion(f, &version)
	return cmd
}

func groupDelete(r *remote) *cobra.Command {
	var version int64
	cmd := &cobra.Command{
		Use:   "delete GROUP",
		Short: "Delete a group",
		Long: `Delete a group with its memberships. Its members stay.
` + refsHelp,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.inTenant(cmd, func(ctx context.Context, _ *call, t *client.Tenant) error {
				return about("group", args[0], t.DeleteGroup(ctx, ref(args[0]), version))
			})
		},
	}
	bindVersion(cmd.Flags(), &version)
	return cmd
}
