package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"roster/client"
)

func checkCommand() *cobra.Command {
	r := &remote{}
	var quiet bool
	cmd := &cobra.Command{
		Use:   "check USER GROUP…",
		Short: "Ask whether a user is in a group",
		Long: `Ask whether a user is in a group now, directly or through
groups. The answer is also the exit status: 0 is yes, 1 is
no, and 2 is an error. A user or group that does not exist
is a no. Of several groups each is answered for, and yes is
yes to all.
` + refsHelp,
		Args: takes(2, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
				if len(args) > 2 {
					return checkGroups(ctx, c, t, args, quiet)
				}
				in, err := t.Check(ctx, ref(args[0]), ref(args[1]))
				if err != nil {
					return err
				}
				switch {
				case quiet:
				case c.json:
					err = c.encode(struct {
						Member bool `json:"member"`
					}{in})
				default:
					fmt.Fprintln(c.w, yes(in))
				}
				if err == nil && !in {
					return errNo
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print nothing; the exit status says it")
	return r.bindTenant(r.bindPast(cmd))
}

// checkGroups asks about one user and many groups.
func checkGroups(ctx context.Context, c *call, t *client.Tenant, args []string, quiet bool) error {
	in, err := t.CheckGroups(ctx, ref(args[0]), refs(args[1:]))
	if err != nil {
		return err
	}
	type answer struct {
		Group  string `json:"group"`
		Member bool   `json:"member"`
	}
	var answers []answer
	var rows table
	for i, group := range args[1:] {
		answers = append(answers, answer{group, in[i]})
		rows.add(yes(in[i]), group)
	}
	switch {
	case quiet:
	case c.json:
		err = c.encode(answers)
	default:
		err = rows.write(c.w, c.columns)
	}
	if err == nil && slices.Contains(in, false) {
		return errNo
	}
	return err
}

// refsHelp says how users and groups are named.
const refsHelp = `
A user or group is named by its name or id, or as name:…,
email:… (users), number:…, code:… or external:SOURCE/KEY.`
