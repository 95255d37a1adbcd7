package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roster/client"
)

// remote is what commands that ask a server have in common: where it is, what
// opens it, and how the answer is printed.
type remote struct {
	server  string
	key     string
	tenant  string
	output  string
	asJSON  bool
	at      then
	timeout time.Duration
}

// Variables that stand for flags which are not given.
const (
	serverVariable = "ROSTER_SERVER"
	keyVariable    = "ROSTER_KEY"
	tenantVariable = "ROSTER_TENANT"
)

// bind gives a command, and those below it, the flags of a remote. Their
// defaults are read when a command runs, so that no help shows a key.
func (r *remote) bind(cmd *cobra.Command) *cobra.Command {
	f := cmd.PersistentFlags()
	f.StringVar(&r.server, "server", "", "`URL` of the server (or "+serverVariable+")")
	f.StringVar(&r.key, "key", "", "`SECRET` that opens it (or "+keyVariable+", which process lists do not show)")
	f.StringVarP(&r.output, "output", "o", tableOutput, "table or json")
	f.BoolVar(&r.asJSON, "json", false, "the same as --output json")
	f.DurationVar(&r.timeout, "timeout", time.Minute, "how long it may all take; 0 for ever")
	return cmd
}

// bindTenant also gives the flag of commands that act in one tenant.
func (r *remote) bindTenant(cmd *cobra.Command) *cobra.Command {
	cmd.PersistentFlags().StringVar(&r.tenant, "tenant", "", "`NAME` of the tenant (or "+tenantVariable+"); a tenant's own key implies it")
	return r.bind(cmd)
}

// bindPast gives a command that asks a question the flag that asks it of the past.
func (r *remote) bindPast(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Var(&r.at, "at", "as of that time, or that revision")
	return cmd
}

// setting is a flag's value, or else the variable's, and which of them it is.
func setting(flag, name, variable string) (value, from string) {
	if flag != "" {
		return flag, "--" + name
	}
	return strings.TrimSpace(os.Getenv(variable)), variable
}

// call is one command under way.
type call struct {
	*remote
	printer
	client     *client.Client
	address    string
	keyFrom    string
	tenantName string
	timeout    time.Duration
}

// format is how answers are printed.
func (r *remote) format() string {
	if r.asJSON {
		return jsonOutput
	}
	return r.output
}

// ask runs a command that asks the server.
func (r *remote) ask(cmd *cobra.Command, do func(context.Context, *call) error) error {
	c := &call{remote: r, timeout: r.timeout}
	var err error
	if c.printer, err = newPrinter(cmd, r.format()); err != nil {
		return err
	}
	c.address, _ = setting(r.server, "server", serverVariable)
	if c.address == "" {
		return fmt.Errorf("no server is given: set %s or --server, such as http://%s; roster serve starts one", serverVariable, defaultListen)
	}
	key, from := setting(r.key, "key", keyVariable)
	if key == "" {
		return fmt.Errorf("no key is given: set %s or --key; a first roster serve leaves one in platform.key of its data directory", keyVariable)
	}
	c.keyFrom = from
	// The context bounds the whole command, so the transport needs no limit.
	if c.client, err = client.New(c.address, key, client.WithHTTPClient(&http.Client{})); err != nil {
		return fmt.Errorf("%q is not the address of a server: write it as http://HOST:PORT", c.address)
	}
	ctx := cmd.Context()
	if r.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.timeout)
		defer cancel()
	}
	return c.explain(do(ctx, c))
}

// inTenant runs a command that acts in one tenant.
func (r *remote) inTenant(cmd *cobra.Command, do func(context.Context, *call, *client.Tenant) error) error {
	return r.ask(cmd, func(ctx context.Context, c *call) error {
		c.tenantName, _ = setting(r.tenant, "tenant", tenantVariable)
		if c.tenantName == "" {
			own, err := c.ownTenant(ctx, "--tenant or "+tenantVariable)
			if err != nil {
				return err
			}
			c.tenantName = own
		}
		t := c.client.Tenant(c.tenantName)
		if r.at.moment != "" {
			t = t.AsOf(r.at.moment)
		}
		return do(ctx, c, t)
	})
}

// ownTenant asks which tenant the key belongs to. how is how a tenant is named
// where the key belongs to none.
func (c *call) ownTenant(ctx context.Context, how string) (string, error) {
	self, err := c.client.Self(ctx)
	if err != nil {
		return "", err
	}
	if self.Tenant == nil {
		return "", fmt.Errorf("the key from %s is the platform's, which reaches every tenant: say which with %s; roster tenant list shows them", c.keyFrom, how)
	}
	return self.Tenant.ID, nil
}

// explain says in one line what went wrong and what to do about it.
func (c *call) explain(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*client.Error](err); ok {
		if said := c.words(e); said != "" {
			return errors.New(said)
		}
		said := e.Detail
		if e.Status == http.StatusBadRequest && e.Field != "" {
			said += " (" + e.Field + ")"
		}
		return errors.New(strings.TrimSuffix(err.Error(), e.Error()) + said)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s did not answer within %s; --timeout allows more", c.address, c.timeout)
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted; what the server was told already it may still carry out")
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		var cause error = e
		for next := cause; next != nil; next = errors.Unwrap(next) {
			cause = next
		}
		return fmt.Errorf("no server answers at %s (%v); roster serve starts one, --server or %s names another", c.address, cause, serverVariable)
	}
	return err
}

// words says what a refusal means that lies with the key, the tenant or the
// server, and not with what was asked for; "" for any other.
func (c *call) words(e *client.Error) string {
	switch {
	case e.Code == "credential.expired":
		return fmt.Sprintf("the key from %s has expired; roster key create makes another", c.keyFrom)
	case e.Code == "credential.inactive":
		return fmt.Sprintf("the key from %s acts for a user who is suspended or gone", c.keyFrom)
	case e.Status == http.StatusUnauthorized:
		return fmt.Sprintf("the key from %s is none that %s knows: it is mistyped, revoked, or of another server", c.keyFrom, c.address)
	case e.Code == "tenant.unknown" && c.tenantName != "":
		return fmt.Sprintf("there is no tenant %q that the key from %s reaches", c.tenantName, c.keyFrom)
	case e.Code == "platform.only":
		return fmt.Sprintf("this needs a key of the platform, and the key from %s is a tenant's", c.keyFrom)
	case e.Status == http.StatusForbidden:
		return fmt.Sprintf("%s (key from %s)", e.Detail, c.keyFrom)
	case e.Code == "http" || e.Code == "route.unknown": // of no API of ours, or not where it is
		return fmt.Sprintf("%s does not answer as a roster server does (status %d): is that its address?", c.address, e.Status)
	case e.Status >= 500 && e.RequestID != "":
		return fmt.Sprintf("%s (request %s)", e.Detail, e.RequestID)
	}
	return ""
}

// ref reads how a command line names a user or a group: as the API does, or
// by a bare name.
func ref(word string) string {
	if isID(word) {
		return word
	}
	kind, rest, ok := strings.Cut(word, ":")
	if ok && rest != "" {
		switch kind {
		case "name", "email", "number", "code", "external":
			return word
		}
	}
	return client.ByName(word)
}

func refs(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = ref(w)
	}
	return out
}

// isID reports whether s is a UUID in its usual form.
func isID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F':
		default:
			return false
		}
	}
	return true
}

// about says which of the things that a command names an error is about.
func about(what, name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %q: %w", what, name, err)
}
