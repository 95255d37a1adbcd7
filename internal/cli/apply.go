package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"roster/client"
	"roster/internal/apply"
	"roster/internal/server"
)

func applyCommand() *cobra.Command {
	r := &remote{}
	var file string
	var at server.Storage
	var dry bool
	cmd := &cobra.Command{
		Use:     "apply -f FILE",
		Aliases: []string{"import"}, // by those who move here with what they had
		Short:   "Make a deployment hold what a file says",
		Long: `Make a deployment hold what a file says: tenants, users,
groups, memberships and credentials. What is there already
is left as it is, so a file can be applied again; what the
file does not name is not touched.

With --server or ROSTER_SERVER the server does it, and wants
a key of the platform. Otherwise it is done on the data
directory, which no server may have open meanwhile, or with
--store on a database, which servers may.

Ids, numbers, codes, keys and passwords of where you come
from can stand in the file; roster import is the same.`,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return fmt.Errorf("no file is given: say which with -f; see %s --help", cmd.CommandPath())
			}
			text, err := readFile(cmd.InOrStdin(), file)
			if err != nil {
				return err
			}
			onData := cmd.Flags().Changed("data") || at.Store != ""
			if onData && r.server != "" {
				return errors.New("give --server, --data or --store, not two of them")
			}
			if address, _ := setting(r.server, "server", serverVariable); address == "" || onData {
				p, err := newPrinter(cmd, r.format())
				if err != nil {
					return err
				}
				if !cmd.Flags().Changed("data") {
					at.Store, _ = setting(at.Store, "store", storeVariable)
				}
				done, err := applyTo(cmd.Context(), at, file, text, dry)
				return p.applied(done, err)
			}
			return r.ask(cmd, func(ctx context.Context, c *call) error {
				done, err := c.client.Apply(ctx, text, dry)
				if e, ok := errors.AsType[*client.Error](err); ok {
					if e.Applied == nil {
						return about("file", file, err)
					}
					done = *e.Applied
				} else if err != nil {
					return err
				}
				return c.applied(&done, about("file", file, err))
			})
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&file, "file", "f", "", "`FILE` to apply, - for standard input")
	f.BoolVar(&dry, "dry-run", false, "say what would change and change nothing")
	f.StringVar(&at.Data, "data", defaultData, "data `DIRECTORY`, without a server")
	bindStore(f, &at.Store)
	cmd.MarkFlagFilename("file", "yaml", "yml")
	cmd.MarkFlagDirname("data")
	return r.bind(cmd)
}

func readFile(stdin io.Reader, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(name)
}

// applyTo applies a file to a data directory or a database. What it returns is nil if nothing
// was begun.
func applyTo(ctx context.Context, at server.Storage, name string, text []byte, dry bool) (done *client.Applied, err error) {
	f, err := apply.Read(bytes.NewReader(text))
	if err != nil {
		return nil, about("file", name, err)
	}
	if _, serr := os.Stat(at.Data); dry && at.Store == "" && errors.Is(serr, os.ErrNotExist) {
		// Not even an empty directory is made for a dry run.
		if at.Data, err = os.MkdirTemp("", "roster-dry-run-"); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(at.Data)) }()
	}
	o, err := server.Open(ctx, at, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	s, err := o.Applier().Apply(ctx, server.Operator("apply"), f, dry)
	if where, what := apply.Split(err); what != nil && what.Err == nil {
		err = errors.New(where + what.Detail)
	}
	every := func(counts map[string]int) map[string]int {
		out := map[string]int{}
		for _, noun := range apply.Nouns {
			out[noun] = counts[noun]
		}
		return out
	}
	done = &client.Applied{DryRun: dry, Created: every(s.Created), Updated: every(s.Updated), Unchanged: every(s.Unchanged), Secrets: []client.MadeSecret{}}
	for _, m := range s.Secrets {
		done.Secrets = append(done.Secrets, client.MadeSecret(m))
	}
	return done, about("file", name, err)
}

// applied prints what applying a file did, also before it failed, and returns
// that failure.
func (p printer) applied(done *client.Applied, failed error) error {
	if done == nil {
		return failed
	}
	var err error
	if p.json {
		err = p.encode(done)
	} else {
		err = printApplied(p.w, done)
	}
	if failed != nil {
		return failed
	}
	return err
}

func printApplied(w io.Writer, done *client.Applied) error {
	counts := table{heads: []string{"", "CREATED", "CHANGED", "UNCHANGED"}}
	if done.DryRun {
		counts.heads = []string{"", "TO CREATE", "TO CHANGE", "UNCHANGED"}
	}
	for _, noun := range apply.Nouns {
		if created, updated, same := done.Created[noun], done.Updated[noun], done.Unchanged[noun]; created+updated+same > 0 {
			counts.add(noun+"s", strconv.Itoa(created), strconv.Itoa(updated), strconv.Itoa(same))
		}
	}
	if err := counts.write(w, 0); err != nil {
		return err
	}
	var b strings.Builder
	if len(done.Secrets) > 0 {
		b.WriteString("\nsecrets, shown this once:\n")
	}
	for _, made := range done.Secrets {
		where := made.Tenant
		if where == "" {
			where = "platform"
		}
		fmt.Fprintf(&b, "%s, %s, %s:\n  %s\n", plain(where), made.Kind, plain(made.Name), made.Secret)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
