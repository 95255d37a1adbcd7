package cli

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"roster/internal/server"
)

const (
	defaultData      = "./roster-data"
	defaultListen    = "127.0.0.1:8080"
	defaultOpsListen = "127.0.0.1:9090"
)

func serveCommand() *cobra.Command {
	cfg := server.Config{}
	var format, level string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve a data directory or a database",
		Long: `Serve a deployment until SIGINT or SIGTERM, then let the
requests in flight finish.

With --demo, an empty data directory is filled from
examples/demo.yaml, and demo.json in it says what opens
which door.

With --store the rows are in PostgreSQL, and any number of
nodes serve them at once. Each needs ROSTER_SEAL_KEY, the
same for all. --data is then only where a first start
leaves the platform's key.`,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, flush, err := newLog(cmd.ErrOrStderr(), format, level)
			if err != nil {
				return err
			}
			defer flush()
			cfg.Log = log
			cfg.Store, _ = setting(cfg.Store, "store", storeVariable)
			return server.Run(cmd.Context(), cfg, func(string) {
				if cfg.Demo {
					if demo, err := server.ReadDemo(cfg.Data); err == nil {
						printDemo(cmd.OutOrStdout(), demo, filepath.Join(cfg.Data, "demo.json"))
					}
				}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Data, "data", defaultData, "data directory")
	bindStore(f, &cfg.Store)
	f.BoolVar(&cfg.NoMigrate, "no-migrate", false, "refuse a database with an older schema instead of changing it")
	f.IntVar(&cfg.Connections, "pool", 0, "the most `CONNECTIONS` to PostgreSQL (default 20)")
	f.StringVar(&cfg.Listen, "listen", defaultListen, "address of the APIs")
	f.StringVar(&cfg.OpsListen, "ops-listen", defaultOpsListen, `address of health checks and profiles; "" for none`)
	f.BoolVar(&cfg.Demo, "demo", false, "fill an empty data directory with the demo")
	f.StringSliceVar(&cfg.Proxies, "proxies", nil, "`NETS` of trusted proxies, such as 10.0.0.0/8: their X-Forwarded-For says who a client is")
	f.StringToStringVar(&cfg.Settings, "set", nil, "`NAME=VALUE` of a dialect, such as syncano.registration=open; may be repeated")
	f.StringVar(&format, "log", "text", "log format: text or json")
	f.StringVar(&level, "log-level", "info", "what to log: debug, info, warn or error")
	return cmd
}

// newLog returns a log to w. Lines are gathered for a moment before they are
// written, because a write for each request would cost more than the request;
// flush writes what is left.
func newLog(w io.Writer, format, level string) (*slog.Logger, func(), error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, nil, fmt.Errorf("--log-level: %q is not debug, info, warn or error", level)
	}
	b := &bufferedLog{w: bufio.NewWriterSize(w, 64<<10)}
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				b.Flush()
			case <-stop:
				b.Flush()
				return
			}
		}
	})
	flush := func() { close(stop); done.Wait() }
	opts := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(b, opts)), flush, nil
	case "json":
		return slog.New(slog.NewJSONHandler(b, opts)), flush, nil
	}
	flush()
	return nil, nil, fmt.Errorf("--log: %q is not text or json", format)
}

type bufferedLog struct {
	mu sync.Mutex // guards w
	w  *bufio.Writer
}

func (b *bufferedLog) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.w.Write(p)
}

func (b *bufferedLog) Flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.w.Flush()
}

// printDemo shows a person the five requests that the project began with, ready
// to be pasted, and where to go from there.
func printDemo(w io.Writer, d *server.Demo, file string) {
	base := d.BaseURL
	fmt.Fprintf(w, `
Roster is serving a demo at %[1]s. Five APIs, one directory:

# Syncano: create a user, then link a user to a group
curl -X POST -H 'X-API-KEY: %[2]s' -H 'Content-Type: application/json' \
  -d '{"username":"geralt","password":"roach-the-horse"}' \
  '%[1]s/v1.1/instances/%[3]s/users/'
curl -X POST -H 'X-API-KEY: %[4]s' -H 'Content-Type: application/json' \
  -d '{"group":%[5]d}' \
  '%[1]s/v1.1/instances/%[3]s/users/%[6]d/groups/'

`, base, d.Syncano.APIKey, d.Syncano.Instance, d.Syncano.AccountKey, d.Syncano.GroupID, d.Syncano.UserID)
	fmt.Fprintf(w, `# Contensis: add a user to a group (204)
TOKEN=$(curl -s -d 'grant_type=client_credentials&client_id=%[2]s&client_secret=%[3]s&scope=Security_Administrator' \
  '%[1]s/authenticate/connect/token' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -i -X PUT -H "Authorization: Bearer $TOKEN" \
  '%[1]s/api/management/security/groups/Paper%%20Street%%20Soap%%20Company/users/%[4]s'

# DronaHQ: put users into a group
curl -X POST -H 'Content-Type: application/json' \
  -d '{"token_key":"%[5]s","assign":[%[6]d,%[7]d,99999]}' \
  '%[1]s/groups/%[8]d/actions/assign_user'

`, base, d.Contensis.ClientID, d.Contensis.ClientSecret, d.Contensis.Email,
		d.DronaHQ.TokenKey, d.DronaHQ.UserIDs[0], d.DronaHQ.UserIDs[1], d.DronaHQ.GroupID)
	fmt.Fprintf(w, `# SoftwareOne: assign an account user to a group
curl -X POST -H 'Authorization: Bearer %[2]s' -H 'Content-Type: application/json' \
  -d '{"id":"%[3]s"}' \
  '%[1]s/v1/accounts/%[4]s/users/%[5]s/groups'

What next:
  export ROSTER_SERVER=%[1]s ROSTER_KEY=%[6]s
  roster check ciri witchers          is she in?
  roster member list "Everybody in Rivia" --transitive
  %[7]s   every key and id of the demo, for programs
  %[1]s/api/v1/openapi.json
`, base, d.SoftwareOne.Token, d.SoftwareOne.GroupID, d.SoftwareOne.AccountID, d.SoftwareOne.UserID, d.Native.Key, file)
}
