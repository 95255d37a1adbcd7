package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"roster/client"
)

func tenantCommand() *cobra.Command {
	r := &remote{}
	return r.bind(parent("tenant", "Make, show and delete tenants", "",
		tenantCreate(r), tenantGet(r), tenantList(r), tenantDelete(r)))
}

func tenantCreate(r *remote) *cobra.Command {
	var in client.NewTenant
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a tenant",
		Long: `Make a tenant. It needs a key of the platform, which then
makes the tenant's first key:

  roster key create admin --grant admin --tenant NAME`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Name = args[0]
			return r.ask(cmd, func(ctx context.Context, c *call) error {
				t, err := c.client.CreateTenant(ctx, in)
				if err != nil {
					return err
				}
				return c.showTenant(t)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&in.Title, "title", "", "`TEXT` for people to read")
	f.StringVar(&in.ID, "id", "", "its `UUID`, if it has one already")
	f.Int64Var(&in.Code, "code", 0, "its `NUMBER` in the deployment, likewise")
	return cmd
}

func (c *call) showTenant(t client.TenantInfo) error {
	return c.show(t, func(s *sheet) {
		s.field("id", t.ID)
		s.field("code", number(t.Code))
		s.field("name", t.Name)
		s.field("title", t.Title)
		s.field("attributes", attributeNames(t.Attributes)...)
		s.field("version", number(t.Version))
		s.field("created", date(t.Created))
		s.field("modified", date(t.Modified))
	})
}

func tenantGet(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:   "get [NAME]",
		Short: "Show a tenant",
		Long: `Show a tenant, by its name or id, or the one that the key
belongs to.`,
		Args: takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.ask(cmd, func(ctx context.Context, c *call) (err error) {
				if len(args) > 0 {
					c.tenantName = args[0]
				} else if c.tenantName, err = c.ownTenant(ctx, "roster tenant get NAME"); err != nil {
					return err
				}
				info, err := c.client.Tenant(c.tenantName).Get(ctx)
				if err != nil {
					return err
				}
				return c.showTenant(info)
			})
		},
	}
}

func tenantList(r *remote) *cobra.Command {
	var pg paging
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List tenants by code",
		Long:  `List tenants by code. It needs a key of the platform.`,
		Args:  takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return r.ask(cmd, func(ctx context.Context, c *call) error {
				heads := []string{"CODE", "NAME", "TITLE"}
				return printList(c.printer, &pg, c.client.Tenants(ctx), heads, func(t client.TenantInfo) []string {
					return []string{number(t.Code), t.Name, t.Title}
				})
			})
		},
	}
	pg.bind(cmd)
	return cmd
}

func tenantDelete(r *remote) *cobra.Command {
	var sure bool
	cmd := &cobra.Command{
		Use:   "delete NAME --yes",
		Short: "Delete a tenant with everything in it",
		Long: `Delete a tenant with its users, groups, keys and history. It
needs a key of the platform. There is no way back.`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !sure {
				return fmt.Errorf("this deletes the tenant %q with everything in it, for good: add --yes if that is meant", args[0])
			}
			return r.ask(cmd, func(ctx context.Context, c *call) error {
				c.tenantName = args[0]
				return c.client.Tenant(args[0]).Delete(ctx)
			})
		},
	}
	cmd.Flags().BoolVar(&sure, "yes", false, "that is meant")
	return cmd
}
