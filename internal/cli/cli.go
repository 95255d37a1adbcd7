// Package cli is the roster command. Each command is in a file of its own.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit statuses. A check that says no is an answer, so it has its own.
const (
	exitYes   = 0
	exitNo    = 1
	exitError = 2
)

// errNo ends a check whose answer is no; nothing is printed for it.
var errNo = errors.New("no")

// Run carries out one command line and returns the exit status.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitYes
	case errors.Is(err, errNo):
		return exitNo
	}
	fmt.Fprintln(stderr, "roster:", oneLine(err.Error()))
	return exitError
}

// oneLine keeps an error on the line that it is told in, whatever was quoted in it.
func oneLine(s string) string { return plain(strings.ReplaceAll(s, "\n", "; ")) }

func newRoot() *cobra.Command {
	root := parent("roster", "A directory of users, groups and memberships",
		`Roster keeps users, groups and memberships, and answers who
is in which group.

  roster serve --demo          start a server with something
                               in it
  roster check ann admins      ask it a question

Commands that ask a server find it by --server and --key, or
by ROSTER_SERVER and ROSTER_KEY.`,
		serveCommand(), checkCommand(), explainCommand(), logCommand(), memberCommand(), batchCommand(), userCommand(), groupCommand(),
		keyCommand(), tenantCommand(), applyCommand(), healthCommand(), migrateCommand(), copyCommand(), versionCommand())
	root.SilenceErrors = true
	root.SilenceUsage = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
			reason, ok := flagTypes[e.GetFlag().Value.Type()]
			if !ok {
				reason = e.Unwrap().Error() // of a type of ours
			}
			err = fmt.Errorf("--%s: %q: %s", e.GetFlag().Name, e.GetValue(), reason)
		}
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	})
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { help(cmd.OutOrStdout(), cmd) })
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			cmd.Short = "Print a script that completes commands"
		}
	}
	completeOnlyWhatIsPublic(root)
	return root
}

// flagTypes says what a value of each of the standard types is.
var flagTypes = map[string]string{
	"int": "want a whole number", "int64": "want a whole number",
	"bool": "want true or false", "duration": "want a time such as 30s or 5m",
}

// parent makes a command that only holds others.
func parent(use, short, long string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use + " COMMAND",
		Short: short,
		Long:  long,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			hint := ""
			if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
				hint = fmt.Sprintf("did you mean %q? ", like[0])
			}
			return fmt.Errorf("there is no command %q; %ssee %s --help", cmd.CommandPath()+" "+args[0], hint, cmd.CommandPath())
		},
		Args:                       cobra.ArbitraryArgs,
		DisableFlagsInUseLine:      true,
		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(children...)
	return cmd
}

// takes refuses more or fewer arguments than a command's usage names.
func takes(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && (most < 0 || len(args) <= most) {
			return nil
		}
		_, names, _ := strings.Cut(cmd.Use, " ")
		if names == "" {
			names = "no arguments"
		}
		return fmt.Errorf("%s takes %s; see %[1]s --help", cmd.CommandPath(), names)
	}
}

// width is how wide a terminal has to be for help to read well, and for tables to
// be tables.
const width = 60

func help(w io.Writer, cmd *cobra.Command) {
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	fmt.Fprintf(w, "%s\n\nUsage:\n  %s\n", text, cmd.UseLine())
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintln(w, "\nCommands:")
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(w, "  %-*s  %s\n", cmd.Commands()[0].NamePadding(), sub.Name(), sub.Short)
			}
		}
		fmt.Fprintf(w, "\n%s COMMAND --help says more.\n", cmd.CommandPath())
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.AddFlagSet(cmd.LocalFlags())
	flags.AddFlagSet(cmd.InheritedFlags())
	if flags.HasAvailableFlags() && !cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\nFlags:\n%s", flags.FlagUsagesWrapped(width))
	}
}

// completeOnlyWhatIsPublic ends the shell's fallback to file names where no
// file is meant. What a flag completes is a fixed list: no completion asks a
// server, and none shows a key.
func completeOnlyWhatIsPublic(cmd *cobra.Command) {
	if cmd.ValidArgsFunction == nil && !cmd.HasSubCommands() {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	of := func(f *pflag.Flag) {
		var words []string
		switch f.Name {
		case "file", "data":
			return
		case "output":
			words = outputs
		case "grant":
			words = grantNames
		case "role":
			words = roles
		case "log":
			words = []string{"text", "json"}
		case "log-level":
			words = []string{"debug", "info", "warn", "error"}
		}
		complete := cobra.FixedCompletions(slices.Clone(words), cobra.ShellCompDirectiveNoFileComp)
		if err := cmd.RegisterFlagCompletionFunc(f.Name, complete); err != nil {
			panic(err) // two flags of one name
		}
	}
	cmd.LocalNonPersistentFlags().VisitAll(of)
	cmd.PersistentFlags().VisitAll(of)
	for _, sub := range cmd.Commands() {
		completeOnlyWhatIsPublic(sub)
	}
}
