package native

import (
	"bytes"
	"net/http"
	"strings"

	"roster/internal/apply"
	"roster/internal/directory"
	"roster/internal/wire"
)

// maxFile is how many bytes a declarative file may have.
const maxFile = 16 << 20

// yamlType is the media type of declarative files (RFC 9512).
const yamlType = "application/yaml"

// appliedJSON says what applying a file changed, or would.
type appliedJSON struct {
	DryRun    bool             `json:"dry_run"`
	Created   map[string]int   `json:"created"` // by noun
	Updated   map[string]int   `json:"updated"`
	Unchanged map[string]int   `json:"unchanged"`
	Secrets   []madeSecretJSON `json:"secrets"`
}

// madeSecretJSON is a secret that was made up for a credential that gave none.
type madeSecretJSON struct {
	Tenant string `json:"tenant,omitempty"`
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Secret string `json:"secret"`
}

func encodeApplied(s *apply.Summary, dry bool) *appliedJSON {
	every := func(counts map[string]int) map[string]int {
		m := make(map[string]int, len(apply.Nouns))
		for _, noun := range apply.Nouns {
			m[noun] = counts[noun]
		}
		return m
	}
	out := &appliedJSON{DryRun: dry, Created: every(s.Created), Updated: every(s.Updated), Unchanged: every(s.Unchanged)}
	for _, m := range s.Secrets {
		out.Secrets = append(out.Secrets, madeSecretJSON(m))
	}
	return out
}

// applyError is why a file was not applied, or only in part.
type applyError struct {
	err  error        // what the log says; it quotes nothing out of a file that cannot be read
	text string       // what was wrong in the file, for whoever sent it; may be empty
	done *appliedJSON // what was done before; nil if nothing was begun
}

func (e *applyError) Error() string { return e.err.Error() }
func (e *applyError) Unwrap() error { return e.err }

// say puts the place in the file before what a client may read of the error.
func (e *applyError) say(detail string) string {
	if e.text != "" {
		return e.text
	}
	where, _ := apply.Split(e.err)
	return where + detail
}

var (
	errFileMedia = &directory.Error{Kind: directory.Invalid, Code: errMedia.Code, Field: errMedia.Field, Detail: "The body must be " + yamlType + "."}
	errFile      = &directory.Error{Kind: directory.Invalid, Code: "file.malformed", Detail: "The file cannot be read."}
)

// apply carries out a declarative file. It is many transactions, so there is
// nothing to keep for an Idempotency-Key: applying the file again is what makes
// up for a lost answer, all but the secrets in it.
func (a *api) apply(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	if err := noPrecondition(r); err != nil {
		return err
	}
	if err := strongOnly(r); err != nil {
		return err
	}
	q := parseParams(r, "dry_run")
	dry := q.isSet("dry_run")
	if q.err != nil {
		return q.err
	}
	if len(r.Header[headerOnce]) > 0 {
		return invalid("idempotency.unsupported", headerOnce, "A file is applied in many steps; apply it again instead.")
	}
	if r.ContentLength == 0 {
		return errNoBody
	}
	if err := uncoded(r); err != nil {
		return err
	}
	if wire.MediaType(r) != yamlType {
		return errFileMedia
	}
	body, err := wire.ReadBody(w, r, maxFile)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return errNoBody
	}
	file, err := apply.Read(bytes.NewReader(body))
	if err != nil {
		return &applyError{err: errFile, text: strings.ReplaceAll(err.Error(), "\n", "; ")}
	}
	applier := &apply.Applier{Directory: a.directory, Authn: a.authn}
	summary, err := applier.Apply(r.Context(), p, file, dry)
	done := encodeApplied(summary, dry)
	if err != nil {
		return &applyError{err: err, done: done}
	}
	say(http.StatusOK, done).write(w)
	return nil
}
