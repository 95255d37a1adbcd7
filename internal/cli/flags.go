package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roster/client"
)

// grantNames are the grants that a key or a group may carry.
var grantNames = []string{
	"users.read", "users.write", "groups.read", "groups.write", "members.read", "members.write", "keys.manage",
	"self.read", "self.write", "admin", "platform",
}

var roles = []string{"member", "manager"}

// moment is a flag that holds a point in time.
type moment struct {
	time  time.Time
	never bool // whether "never" may be said
}

// String implements [pflag.Value].
func (m *moment) String() string { return exactDate(m.time) }

// Type implements [pflag.Value].
func (m *moment) Type() string { return "TIME" }

// Set implements [pflag.Value].
func (m *moment) Set(s string) (err error) {
	if m.never && s == "never" {
		m.time = time.Time{}
		return nil
	}
	m.time, err = readMoment(s)
	return err
}

var errMoment = errors.New("write it as 2026-01-02T03:04:05Z or 2026-01-02")

// readMoment reads a point in time: errMoment for what is none.
func readMoment(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), checkMoment(t)
		}
	}
	return time.Time{}, errMoment
}

// checkMoment refuses what is at or about the zero time, which the API is not even
// told: who is to be in until then would be in for ever.
func checkMoment(t time.Time) error {
	if y := t.UTC().Year(); y < 1971 || y > 9999 {
		return errors.New("a moment is from 1971 to 9999")
	}
	return nil
}

// then is a flag that holds a moment to ask about: a revision or a time.
type then struct{ moment client.Moment }

// String implements [pflag.Value].
func (t *then) String() string { return string(t.moment) }

// Type implements [pflag.Value].
func (t *then) Type() string { return "TIME" }

// Set implements [pflag.Value].
func (t *then) Set(s string) error {
	if n, err := strconv.ParseUint(s, 10, 63); err == nil && n > 0 {
		t.moment = client.AtRevision(n)
		return nil
	}
	at, err := readMoment(s)
	if errors.Is(err, errMoment) {
		err = fmt.Errorf("%w, or as the number of a revision", errMoment)
	}
	if err != nil {
		return err
	}
	t.moment = client.AtTime(at)
	return nil
}

// external is a flag of keys by source, each given as source/key.
type external struct{ keys map[string]string }

// String implements [pflag.Value].
func (e *external) String() string { return strings.Join(externalIDs(e.keys), ",") }

// Type implements [pflag.Value].
func (e *external) Type() string { return "SOURCE/KEY" }

// Set implements [pflag.Value].
func (e *external) Set(s string) error {
	if e.keys == nil {
		e.keys = map[string]string{}
	}
	if s == "" {
		return nil // none, in a change
	}
	source, key, ok := strings.Cut(s, "/")
	if !ok || source == "" || key == "" {
		return errors.New("write it as SOURCE/KEY")
	}
	e.keys[source] = key
	return nil
}

// given returns a pointer to a flag's value, or nil if the flag was not given.
func given[T any](cmd *cobra.Command, flag string, value *T) *T {
	if !cmd.Flags().Changed(flag) {
		return nil
	}
	return value
}

// anyGiven refuses a change that says nothing. Flags that only guard a change
// are no change.
func anyGiven(cmd *cobra.Command, flags ...string) error {
	for _, name := range flags {
		if cmd.Flags().Changed(name) {
			return nil
		}
	}
	return fmt.Errorf("nothing to change is given; see %s --help", cmd.CommandPath())
}
