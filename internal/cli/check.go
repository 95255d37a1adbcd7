package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"roster/client"
)

func checkCommand() *cobra.Command {
	r := &remote{}
	var quiet bool
	cmd := &cobra.Command{
		Use:   "check USER GROUP",
		Short: "Ask whether a user is in a group",
		Long: `Ask whether a user is in a group now, directly or through
groups. The answer is also the exit status: 0 is yes, 1 is
no, and 2 is an error. A user or group that does not exist
is a no.
` + refsHelp,
		Args: takes(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
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

// refsHelp says how users and groups are named.
const refsHelp = `
A user or group is named by its name or id, or as name:…,
email:… (users), number:…, code:… or external:SOURCE/KEY.`
