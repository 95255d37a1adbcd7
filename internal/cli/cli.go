// Package cli is the roster command. Each command is in a file of its own.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
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
	fmt.Fprintln(stderr, "roster:", err)
	return exitError
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "roster",
		Short: "A directory of users, groups and memberships",
		Long: `Roster keeps users, groups and memberships, and answers who is in which group.

  roster serve --demo        start a server with something in it
  roster check ann admins    ask it a question`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(serveCommand(), applyCommand(), versionCommand())
	return root
}

// Version is the program's version; the release build sets it.
var Version = "dev"

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			goVersion := ""
			if info, ok := debug.ReadBuildInfo(); ok {
				goVersion = " (" + info.GoVersion + ")"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "roster %s%s\n", Version, goVersion)
			return nil
		},
	}
}

// isTerminal reports whether w is a person's terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
