package cli

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"roster/client"
)

func userCommand() *cobra.Command {
	r := &remote{}
	return r.bindTenant(parent("user", "Make, show, change and delete users", "",
		userCreate(r), userGet(r), userList(r), userUpdate(r), userLock(r, true), userLock(r, false), userDelete(r), userGroups(r), userDiff(r)))
}

// userFields are what is set of a user on the command line.
type userFields struct {
	email, givenName, familyName, displayName string
	emailVerified, suspended                  bool
	expires                                   moment
	external                                  external
}

func (u *userFields) bind(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVar(&u.email, "email", "", "e-mail `ADDRESS`")
	f.BoolVar(&u.emailVerified, "email-verified", false, "the address was verified")
	f.StringVar(&u.givenName, "given-name", "", "given `NAME`")
	f.StringVar(&u.familyName, "family-name", "", "family `NAME`")
	f.StringVar(&u.displayName, "display-name", "", "`NAME` to be shown")
	f.BoolVar(&u.suspended, "suspended", false, "in no group, and opening nothing")
	f.Var(&u.expires, "expires", "as if suspended from then on")
	f.Var(&u.external, "external-id", "what another system calls it; may be repeated")
}

func userCreate(r *remote) *cobra.Command {
	var in client.NewUser
	var fields userFields
	var groups []string
	cmd := &cobra.Command{
		Use:   "create [NAME]",
		Short: "Make a user",
		Long: `Make a user. Without a name it is called by its e-mail
address.`,
		Args: takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				in.Name = args[0]
			}
			in.Email, in.EmailVerified = fields.email, fields.emailVerified
			in.GivenName, in.FamilyName, in.DisplayName = fields.givenName, fields.familyName, fields.displayName
			in.Suspended, in.Expires, in.ExternalIDs = fields.suspended, fields.expires.time, fields.external.keys
			in.Groups = refs(groups)
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
				u, err := t.CreateUser(ctx, in)
				if err != nil {
					return err
				}
				return c.showUser(u)
			})
		},
	}
	f := cmd.Flags()
	fields.bind(f)
	f.StringArrayVar(&groups, "group", nil, "`GROUP` to join; may be repeated")
	bindNumbers(f, &in.ID, &in.Number, &in.Code)
	return cmd
}

// bindNumbers gives the flags that bring the ids of a thing from elsewhere.
func bindNumbers(f *pflag.FlagSet, id *string, number, code *int64) {
	f.StringVar(id, "id", "", "its `UUID`, if it has one already")
	f.Int64Var(number, "number", 0, "its `NUMBER` in the tenant, likewise")
	f.Int64Var(code, "code", 0, "its `NUMBER` in the deployment, likewise")
}

func (c *call) showUser(u client.User) error {
	return c.show(u, func(s *sheet) {
		s.field("id", u.ID)
		s.field("number", number(u.Number))
		s.field("code", number(u.Code))
		s.field("name", u.Name)
		s.field("email", u.Email)
		if u.Email != "" {
			s.field("verified", yes(u.EmailVerified))
		}
		s.field("given name", u.GivenName)
		s.field("family name", u.FamilyName)
		s.field("display name", u.DisplayName)
		s.field("suspended", yes(u.Suspended))
		s.field("expires", exactDate(u.Expires))
		if u.SignIn != nil && u.SignIn.Locked {
			s.field("locked", yes(true))
		}
		s.field("external ids", externalIDs(u.ExternalIDs)...)
		s.field("attributes", attributeNames(u.Attributes)...)
		s.field("version", number(u.Version))
		s.field("created", date(u.Created))
		s.field("modified", date(u.Modified))
	})
}

func userGet(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:   "get USER",
		Short: "Show a user",
		Long: `Show a user.
` + refsHelp,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
				u, err := t.User(ctx, ref(args[0]))
				if err != nil {
					return about("user", args[0], err)
				}
				return c.showUser(u)
			})
		},
	}
}

func userList(r *remote) *cobra.Command {
	var pg paging
	var filter client.UserFilter
	var suspended bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List users by number",
		Args:  takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
				filter.Suspended, filter.PageSize = given(cmd, "suspended", &suspended), pg.pageSize()
				heads := []string{"NUMBER", "NAME", "EMAIL", "STATE"}
				return printList(c.printer, &pg, t.Users(ctx, filter), heads, func(u client.User) []string {
					state := ""
					switch {
					case u.Suspended:
						state = "suspended"
					case u.SignIn != nil && u.SignIn.Locked:
						state = "locked"
					}
					return []string{number(u.Number), u.Name, u.Email, state}
				})
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&filter.NamePrefix, "prefix", "", "only names that begin with `TEXT`")
	f.BoolVar(&suspended, "suspended", false, "only suspended users; =false for only others")
	pg.bind(cmd)
	return cmd
}

func userUpdate(r *remote) *cobra.Command {
	var fields userFields
	var name string
	var version int64
	fields.expires.never = true
	cmd := &cobra.Command{
		Use:   "update USER",
		Short: "Change a user",
		Long: `Change a user: what is given, and nothing else. An empty
value takes a field away, --expires never the end, and
--external-id replaces all of them.
` + refsHelp,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := anyGiven(cmd, "name", "email", "email-verified", "given-name", "family-name", "display-name", "suspended", "expires", "external-id")
			if err != nil {
				return err
			}
			patch := client.UserPatch{
				Name: given(cmd, "name", &name), Email: given(cmd, "email", &fields.email),
				EmailVerified: given(cmd, "email-verified", &fields.emailVerified),
				GivenName:     given(cmd, "given-name", &fields.givenName), FamilyName: given(cmd, "family-name", &fields.familyName),
				DisplayName: given(cmd, "display-name", &fields.displayName), Suspended: given(cmd, "suspended", &fields.suspended),
				Expires: given(cmd, "expires", &fields.expires.time), ExternalIDs: given(cmd, "external-id", &fields.external.keys),
			}
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
				u, err := t.UpdateUser(ctx, ref(args[0]), version, patch)
				if err != nil {
					return about("user", args[0], err)
				}
				return c.showUser(u)
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

// userLock locks or unlocks a user's signing in.
func userLock(r *remote, locked bool) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unlock USER",
		Short: "Let a user sign in again",
		Long: `Let a user sign in with its password again, after too many
wrong ones or a lock.
` + refsHelp,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
				u, err := t.UpdateUser(ctx, ref(args[0]), 0, client.UserPatch{SignIn: &client.SignInPatch{Locked: &locked}})
				if err == nil {
					u, err = t.User(ctx, u.ID) // which says how it signs in
				}
				if err != nil {
					return about("user", args[0], err)
				}
				return c.showUser(u)
			})
		},
	}
	if locked {
		cmd.Use, cmd.Short = "lock USER", "Keep a user from signing in"
		cmd.Long = `Keep a user from signing in with its password. Its keys and
its groups are as ever; to end these, suspend it.
` + refsHelp
	}
	return cmd
}

// bindVersion gives the flag that binds a write to what was seen before.
func bindVersion(f *pflag.FlagSet, version *int64) {
	f.Int64Var(version, "if-version", 0, "only if it is still at `VERSION`")
}

func userDelete(r *remote) *cobra.Command {
	var version int64
	cmd := &cobra.Command{
		Use:   "delete USER",
		Short: "Delete a user",
		Long: `Delete a user with its memberships and keys.
` + refsHelp,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.inTenant(cmd, func(ctx context.Context, _ *call, t *client.Tenant) error {
				return about("user", args[0], t.DeleteUser(ctx, ref(args[0]), version))
			})
		},
	}
	bindVersion(cmd.Flags(), &version)
	return cmd
}
