package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthWithin is how long a server has to say whether it is ready.
const healthWithin = 5 * time.Second

func healthCommand() *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask whether the server here is ready",
		Long: `Ask whether the server on this machine is ready, through its
operations listener. It is what a container without a shell
has for a health check. The exit status is 0 if the server
is ready and 1 if it is not, or is not there.`,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			target, err := operationsURL(address)
			if err != nil {
				return err
			}
			if err := askReady(cmd.Context(), target); err != nil {
				fmt.Fprintln(cmd.ErrOrStderr(), "roster:", oneLine(err.Error()))
				return errNo // 2 has a meaning of its own in Docker
			}
			fmt.Fprintln(cmd.OutOrStdout(), "ready")
			return nil
		},
	}
	cmd.Flags().StringVar(&address, "ops-listen", defaultOpsListen, "what the server was given as --ops-listen")
	return cmd
}

// operationsURL is where a server that listens on address is reached from its
// own machine.
func operationsURL(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("--ops-listen: %q: want HOST:PORT", address)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/readyz", nil
}

func askReady(ctx context.Context, target string) error {
	ctx, cancel := context.WithTimeout(ctx, healthWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	// A client of its own, since no proxy has a part in this.
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1000))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", strings.TrimSpace(string(text)))
	}
	return nil
}
