package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"roster/internal/apply"
	"roster/internal/server"
)

func applyCommand() *cobra.Command {
	var file, data string
	var dry bool
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make a deployment hold what a file says",
		Long: `Make a deployment hold what a file says: tenants, users, groups, memberships
and credentials. What is there already is left as it is, so a file can be
applied again; what the file does not name is not touched.

It works on the data directory, which no server may have open meanwhile.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := readFile(cmd, file)
			if err != nil {
				return err
			}
			return applyTo(cmd.Context(), cmd.OutOrStdout(), data, f, dry)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&file, "file", "f", "", `file to apply, "-" for standard input`)
	flags.StringVar(&data, "data", defaultData, "data directory")
	flags.BoolVar(&dry, "dry-run", false, "say what would change and change nothing")
	cmd.MarkFlagRequired("file")
	return cmd
}

func readFile(cmd *cobra.Command, name string) (*apply.File, error) {
	in := cmd.InOrStdin()
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	f, err := apply.Read(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

func applyTo(ctx context.Context, w io.Writer, dir string, f *apply.File, dry bool) (err error) {
	o, err := server.Open(ctx, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	summary, err := o.Applier().Apply(ctx, server.Operator("apply"), f, dry)
	if summary != nil {
		printSummary(w, summary, dry)
	}
	return err
}

func printSummary(w io.Writer, s *apply.Summary, dry bool) {
	heads := "\tCREATED\tCHANGED\tUNCHANGED\t"
	if dry {
		heads = "\tTO CREATE\tTO CHANGE\tUNCHANGED\t"
	}
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, heads)
	for _, noun := range apply.Nouns {
		if n := s.Created[noun] + s.Updated[noun] + s.Unchanged[noun]; n > 0 {
			fmt.Fprintf(tw, "%ss\t%d\t%d\t%d\t\n", noun, s.Created[noun], s.Updated[noun], s.Unchanged[noun])
		}
	}
	tw.Flush()
	for _, secret := range s.Secrets {
		where := secret.Tenant
		if where == "" {
			where = "platform"
		}
		fmt.Fprintf(w, "new secret, shown this once: %s %s %q: %s\n", where, secret.Kind, secret.Name, secret.Secret)
	}
}
