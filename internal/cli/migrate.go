package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"roster/internal/server"
)

// storeVariable may name the store instead of the flag, which others on the
// machine can read, password and all.
const storeVariable = "ROSTER_STORE"

func bindStore(f *pflag.FlagSet, store *string) {
	f.StringVar(store, "store", "", "PostgreSQL `DSN`: postgres://user@host/db, or ROSTER_STORE")
}

func migrateCommand() *cobra.Command {
	var store string
	var dry bool
	cmd := &cobra.Command{
		Use:   "migrate --store DSN",
		Short: "Bring a database's schema up to date",
		Long: `Bring the schema of a PostgreSQL database up to date, for
operators who do that apart from starting servers (which
otherwise do it themselves). It only goes forward, and any
number may run at once.

An embedded store is brought up to date when it is opened.`,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dsn, _ := setting(store, "store", storeVariable)
			if dsn == "" {
				return errors.New("which database? Say --store postgres://user@host/db, or set " + storeVariable)
			}
			steps, err := server.Migrate(cmd.Context(), dsn, dry)
			did := "migrated"
			if dry {
				did = "would migrate"
			}
			for _, step := range steps {
				fmt.Fprintf(cmd.OutOrStdout(), "%s to %d, %s\n", did, step.Number, step.Name)
			}
			if err == nil && len(steps) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "the schema is up to date")
			}
			return err
		},
	}
	f := cmd.Flags()
	bindStore(f, &store)
	f.BoolVar(&dry, "dry-run", false, "say what would be done and do nothing")
	return cmd
}
