package apply

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"roster/internal/authn"
	"roster/internal/directory"
)

// Applier carries out files on one directory.
type Applier struct {
	Directory *directory.Directory
	Authn     *authn.Authenticator
}

// Summary says what applying a file changed, or would.
type Summary struct {
	Created   map[string]int `json:"created"`
	Updated   map[string]int `json:"updated"`
	Unchanged map[string]int `json:"unchanged"`

	// Secrets are those made up for credentials that gave none.
	Secrets []Secret `json:"secrets,omitempty"`
}

// Secret is a secret that is shown this once.
type Secret struct {
	Tenant string `json:"tenant,omitempty"`
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Secret string `json:"secret"`
}

// Nouns are the keys of a summary's counts, in the order to show them.
var Nouns = []string{"tenant", "user", "group", "membership", "credential"}

// run is one application of a file.
type run struct {
	*Applier
	ctx     context.Context
	p       directory.Principal
	dry     bool
	summary *Summary

	// made are the names of what a dry run has made in the tenant it is at, each
	// with a number for what it names: nobody can look these up.
	made  map[thing]int
	count int

	accounts map[thing]int // the same of the platform
}

// thing is one way to name a user, a group or a credential.
type thing struct {
	noun string
	ref  directory.Ref
	kind string // of a credential
}

// make notes that a dry run has made something with these names.
func (r *run) make(names ...thing) {
	r.count++
	for _, n := range names {
		switch {
		case (n.ref.Kind == directory.RefNumber || n.ref.Kind == directory.RefCode) && n.ref.Int == 0:
		case n.ref.Kind == directory.RefEmail && n.ref.Text == "":
		default:
			r.made[n] = r.count
		}
	}
}

// Apply carries out f as p, which must hold Platform. If dry, nothing is written
// and the summary says what would be. What was done before an error stands, and
// applying the file again goes on from there.
func (a *Applier) Apply(ctx context.Context, p directory.Principal, f *File, dry bool) (*Summary, error) {
	r := &run{Applier: a, ctx: ctx, p: p, dry: dry, made: map[thing]int{}, summary: &Summary{
		Created: map[string]int{}, Updated: map[string]int{}, Unchanged: map[string]int{},
	}}
	for i, u := range f.Platform.Users {
		if err := r.user(p, u, false); err != nil {
			return r.summary, at(err, "platform user %d (%s)", i+1, u.Name)
		}
	}
	for i, c := range f.Platform.Credentials {
		if err := r.credential(p, "", c, false); err != nil {
			return r.summary, at(err, "platform credential %d (%s)", i+1, c.Name)
		}
	}
	r.accounts = r.made
	for i, t := range f.Tenants {
		if err := r.tenant(t); err != nil {
			return r.summary, at(err, "tenant %d (%s)", i+1, t.Name)
		}
	}
	return r.summary, nil
}

// at says where in the file an error comes from.
func at(err error, format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}

// fault is something wrong in the file itself, which whoever wrote it may be told.
func fault(format string, args ...any) error {
	return &directory.Error{Kind: directory.Invalid, Code: "file.invalid", Detail: fmt.Sprintf(format, args...)}
}

// Split takes an error of [Applier.Apply] apart: where in the file it comes
// from, as "tenant 1 (acme): user 2 (ann): ", and what is wrong there. That is
// nil if the error was never classified, which makes it our own fault.
func Split(err error) (where string, what *directory.Error) {
	what, ok := errors.AsType[*directory.Error](err)
	if !ok {
		return "", nil
	}
	return strings.TrimSuffix(err.Error(), what.Error()), what
}

func (r *run) tally(noun string, created, changed bool) {
	switch {
	case created:
		r.summary.Created[noun]++
	case changed:
		r.summary.Updated[noun]++
	default:
		r.summary.Unchanged[noun]++
	}
}
