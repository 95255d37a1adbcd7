package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"roster/client"
)

func keyCommand() *cobra.Command {
	r := &remote{}
	return r.bindTenant(parent("key", "Make, list and revoke keys of the API", "",
		keyCreate(r), keyList(r), keyRevoke(r)))
}

func keyCreate(r *remote) *cobra.Command {
	var in client.NewKey
	var user string
	var groups []string
	var expires moment
	cmd := &cobra.Command{
		Use:   "create NAME --grant RIGHT",
		Short: "Make a key",
		Long: `Make a key of the API. Its secret is shown this once. With
--user it acts for that user, and never does more than the
user may. With --within it sees these groups and who is in
them, and may check, explain, list, compare and change
memberships there; nothing else is there for it.
` + refsHelp,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(in.Grants) == 0 {
				return fmt.Errorf("say with --grant what the key may do: %s", strings.Join(grantNames[:len(grantNames)-1], ", "))
			}
			in.Name, in.Expires = args[0], expires.time
			if user != "" {
				in.User = ref(user)
			}
			in.Groups = refs(groups)
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
				k, err := t.CreateKey(ctx, in)
				if err != nil {
					return err
				}
				if err := c.show(k, func(s *sheet) {
					s.field("id", k.ID)
					s.field("name", k.Name)
					s.field("grants", k.Grants...)
					s.field("user", k.User)
					s.field("within", k.Groups...)
					s.field("expires", exactDate(k.Expires))
				}); err != nil || c.json {
					return err
				}
				_, err = fmt.Fprintf(c.w, "\nsecret, shown this once:\n%s\n", k.Secret)
				return err
			})
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	bindGrants(f, &in.Grants, "it gives")
	f.StringVar(&user, "user", "", "`USER` to act for")
	f.StringSliceVar(&groups, "within", nil, "`GROUP` to bound it to; may be repeated")
	f.Var(&expires, "expires", "opening nothing from then on")
	return cmd
}

func keyList(r *remote) *cobra.Command {
	var pg paging
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List keys, without their secrets",
		Args:  takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
				heads := []string{"NAME", "GRANTS", "WITHIN", "EXPIRES", "USED"}
				return printList(c.printer, &pg, t.Keys(ctx), heads, func(k client.Key) []string {
					return []string{k.Name, strings.Join(k.Grants, ","), strings.Join(k.Groups, ","), exactDate(k.Expires), date(k.Used)}
				})
			})
		},
	}
	pg.bind(cmd)
	return cmd
}

func keyRevoke(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke KEY",
		Short: "End a key at once",
		Long:  `End a key at once. It is named by its name or id.`,
		Args:  takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.inTenant(cmd, func(ctx context.Context, _ *call, t *client.Tenant) error {
				which, err := keyNamed(ctx, t, args[0])
				if err != nil {
					return err
				}
				return about("key", args[0], t.RevokeKey(ctx, which))
			})
		},
	}
}

// keyNamed finds the id of a key, which the API names it by. A name that two
// keys bear is refused: the wrong one would be gone for good.
func keyNamed(ctx context.Context, t *client.Tenant, word string) (string, error) {
	if isID(word) {
		return word, nil
	}
	var ids []string
	for k, err := range t.Keys(ctx) {
		if err != nil {
			return "", err
		}
		if k.Name == word {
			ids = append(ids, k.ID)
		}
	}
	switch len(ids) {
	case 0:
		return "", fmt.Errorf("there is no key %q; roster key list shows them", word)
	case 1:
		return ids[0], nil
	}
	return "", fmt.Errorf("%d keys are called %q, so give the id: %s", len(ids), word, strings.Join(ids, ", "))
}
