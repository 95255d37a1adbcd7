// Package changelog is how engines write down what a commit did: one compact
// JSON text per commit, the same in every engine, so that a log can move between
// them and be read by a person.
package changelog

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"roster/internal/directory"
	"roster/internal/id"
)

type change struct {
	Kind      directory.ChangeKind `json:"k"`
	Number    id.Number            `json:"n,omitempty"`
	ID        string               `json:"i,omitempty"`
	Members   []id.Member          `json:"m,omitempty"`
	From      int64                `json:"f,omitempty"`
	Until     int64                `json:"u,omitempty"`
	Role      directory.Role       `json:"r,omitempty"`
	Source    string               `json:"s,omitempty"`
	Reason    string               `json:"w,omitempty"`
	Suspended bool                 `json:"x,omitempty"`
	Expires   int64                `json:"e,omitempty"`
	Before    map[string]any       `json:"b,omitempty"`
	After     map[string]any       `json:"a,omitempty"`
}

// Encode renders the changes of one commit.
func Encode(changes []directory.Change) ([]byte, error) {
	out := make([]change, len(changes))
	for i, c := range changes {
		out[i] = change{
			Kind: c.Kind, Number: c.Number, Members: c.Members,
			From: Micros(c.Standing.From), Until: Micros(c.Standing.Until),
			Role: c.Standing.Role, Source: c.Standing.Source, Reason: c.Standing.Reason,
			Suspended: c.Suspended, Expires: Micros(c.Expires),
			Before: c.Before, After: c.After,
		}
		if c.ID != [16]byte{} {
			out[i].ID = hex.EncodeToString(c.ID[:])
		}
	}
	return json.Marshal(out)
}

// Decode reads what Encode wrote.
func Decode(body []byte) ([]directory.Change, error) {
	var in []change
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // numbers in attributes keep their digits
	if err := d.Decode(&in); err != nil {
		return nil, fmt.Errorf("change log: %w", err)
	}
	out := make([]directory.Change, len(in))
	for i, c := range in {
		out[i] = directory.Change{
			Kind: c.Kind, Number: c.Number, Members: c.Members,
			Standing: directory.Standing{
				From: Time(c.From), Until: Time(c.Until),
				Role: c.Role, Source: c.Source, Reason: c.Reason,
			},
			Suspended: c.Suspended, Expires: Time(c.Expires),
			Before: c.Before, After: c.After,
		}
		if c.ID != "" {
			if n, err := hex.Decode(out[i].ID[:], []byte(c.ID)); err != nil || n != 16 {
				return nil, fmt.Errorf("change log: bad id %q", c.ID)
			}
		}
	}
	return out, nil
}

// Micros is how a time is kept: microseconds since the Unix epoch, 0 for the
// zero time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time is the inverse of [Micros].
func Time(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
