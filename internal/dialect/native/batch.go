package native

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"roster/internal/directory"
	"roster/internal/wire"
)

// operationJSON is a run of a batch: what to do with every one of the members in
// every one of the groups, group by group, and then with the pairs.
type operationJSON struct {
	Op      string        `json:"op"`
	Members batchItems    `json:"members"`
	Groups  batchGroups   `json:"groups"`
	Pairs   batchPairs    `json:"pairs"`
	Stand   *standingJSON `json:"standing"` // as in a batch of one group
}

var operationNames = map[string]directory.BatchDo{
	"add": directory.AddMembers, "remove": directory.RemoveMembers,
	"replace_members": directory.ReplaceMembers, "replace_groups": directory.ReplaceGroups,
}

func (o operationJSON) run() (directory.BatchRun, error) {
	run := directory.BatchRun{Do: operationNames[o.Op], Members: o.Members, Groups: o.Groups, Pairs: o.Pairs, Keep: true}
	if run.Do == 0 {
		return run, invalid("op.unknown", "op", "The op is add, remove, replace_members or replace_groups.")
	}
	replaces := run.Do == directory.ReplaceMembers || run.Do == directory.ReplaceGroups
	switch {
	case replaces && o.Pairs != nil, o.Pairs != nil && o.Members == nil && o.Groups == nil:
		// The core refuses the first; the second is whole.
	case o.Members == nil: // a list that was forgotten must not replace by nothing
		return run, invalid("operation.incomplete", "members", "An operation names members and groups, be they none, or pairs.")
	case o.Groups == nil:
		return run, invalid("operation.incomplete", "groups", "An operation names members and groups, be they none, or pairs.")
	}
	if o.Stand == nil {
		return run, nil
	}
	if run.Do == directory.RemoveMembers {
		return run, invalid("standing.removed", "standing", "A standing is of those added; of a removal nothing stands.")
	}
	var err error
	run.Keep = false
	if run.Standing, err = o.Stand.standing(); err != nil {
		err = inside("standing", err)
	}
	return run, err
}

// batchGroups are groups' refs.
type batchGroups []directory.Ref

// UnmarshalJSONFrom implements [jsonv2.UnmarshalerFrom].
func (b *batchGroups) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return decodeItems(d, directory.MaxBatch, (*[]directory.Ref)(b), decodeGroup)
}

func decodeGroup(raw jsontext.Value) (directory.Ref, error) {
	text, err := decodeText(raw)
	if err != nil {
		return directory.Ref{}, err
	}
	return parseGroup("", text)
}

// batchPairs are members each with a group: {"member": item, "group": ref}.
type batchPairs []directory.Pair

// UnmarshalJSONFrom implements [jsonv2.UnmarshalerFrom].
func (b *batchPairs) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return decodeItems(d, directory.MaxBatch, (*[]directory.Pair)(b), func(raw jsontext.Value) (pair directory.Pair, err error) {
		var in struct {
			Member jsontext.Value `json:"member"`
			Group  string         `json:"group"`
		}
		if err := wire.Strict(raw, &in); err != nil {
			return pair, err
		}
		if pair.Member, err = decodeBatchItem(in.Member); err != nil {
			return pair, inside("member", inner(err))
		}
		pair.Group, err = parseGroup("group", in.Group)
		return pair, err
	})
}

// requireJSON is a condition: that a user is or is not in a group, or that a
// group is at a version.
type requireJSON struct {
	User    string `json:"user"`
	Group   string `json:"group"`
	Member  *bool  `json:"member"`
	Version int64  `json:"version"`
}

func (c requireJSON) require() (r directory.Require, err error) {
	switch {
	case c.Version < 0, (c.Version != 0) == (c.User != "" && c.Member != nil), c.Version != 0 && (c.User != "" || c.Member != nil):
		return r, invalid("require.malformed", "", "A condition is a user, a group and member, or a group and its version.")
	case c.Version == 0:
		r.Member = *c.Member
		if r.User, err = parseUser("user", c.User); err != nil {
			return r, err
		}
	}
	r.Version = c.Version
	r.Group, err = parseGroup("group", c.Group)
	return r, err
}

// manyJSON is a batch over many groups.
type manyJSON struct {
	Mode       string          `json:"mode"`
	Operations []operationJSON `json:"operations"`
	Require    []requireJSON   `json:"require"`
	DryRun     bool            `json:"dry_run"`
}

func (in manyJSON) batch() (b directory.Batch, err error) {
	b.DryRun = in.DryRun
	if b.Mode, err = parseMode(in.Mode); err != nil {
		return b, err
	}
	if in.Operations == nil { // a batch that forgot what to do is no success
		return b, invalid("operations.missing", "operations", "A batch names its operations, be they none.")
	}
	for i, o := range in.Operations {
		run, err := o.run()
		if err != nil {
			return b, inside("operations."+strconv.Itoa(i), err)
		}
		b.Runs = append(b.Runs, run)
	}
	for i, c := range in.Require {
		r, err := c.require()
		if err != nil {
			return b, inside("require."+strconv.Itoa(i), err)
		}
		b.Require = append(b.Require, r)
	}
	return b, nil
}

// manyResultJSON says what became of each item, operation by operation.
type manyResultJSON struct {
	Operations []operationResultJSON `json:"operations"`
	Effects    *effectsJSON          `json:"effects,omitempty"`
	Revision   directory.Revision    `json:"revision"`
}

// operationResultJSON has the items in order, and who was taken out by a
// replacement.
type operationResultJSON struct {
	Items []itemJSON `json:"items"`
	Left  []pairJSON `json:"left,omitempty"`
}

// pairJSON is a member, a user or a group, and the group it stands in.
type pairJSON struct {
	Member memberJSON `json:"member"`
	Group  *nameJSON  `json:"group"`
}

// effectsJSON is what a dry run would come to.
type effectsJSON struct {
	Complete bool         `json:"complete"`
	Changes  []effectJSON `json:"changes"`
}

type effectJSON struct {
	At     time.Time `json:"at"`
	Change string    `json:"change"`
	User   *nameJSON `json:"user"`
	Group  *nameJSON `json:"group"`
}

func encodeMany(res directory.BatchResult, rev directory.Revision) manyResultJSON {
	out := manyResultJSON{Operations: make([]operationResultJSON, len(res.Runs)), Revision: rev}
	group := func(e directory.Edge) *nameJSON {
		g := res.Groups[e.Group]
		return nameOfGroup(&g)
	}
	for i, r := range res.Runs {
		out.Operations[i].Items = encodeItems(r.Items)
		for _, e := range r.Left {
			pair := pairJSON{Group: group(e)}
			if n, ok := e.Member.User(); ok {
				u := res.Users[n]
				pair.Member.User = nameOfUser(&u)
			} else if n, ok := e.Member.Group(); ok {
				g := res.Groups[n]
				pair.Member.Group = nameOfGroup(&g)
			}
			out.Operations[i].Left = append(out.Operations[i].Left, pair)
		}
	}
	if res.Effects == nil {
		return out
	}
	out.Effects = &effectsJSON{Complete: res.Effects.Complete, Changes: make([]effectJSON, len(res.Effects.Changes))}
	for i, c := range res.Effects.Changes {
		n, _ := c.Member.User()
		u := res.Users[n]
		out.Effects.Changes[i] = effectJSON{At: c.At, Change: changeOf(c.Gained), User: nameOfUser(&u), Group: group(c.Edge)}
	}
	return out
}

func changeOf(gained bool) string {
	if gained {
		return "gained"
	}
	return "lost"
}

// streamInstead says of a batch that is too large, or of another media type, that
// it can be sent as a stream.
func streamInstead(err error) error {
	e, ok := errors.AsType[*directory.Error](err)
	if !ok {
		return err
	}
	said := *e
	switch e.Code {
	case "batch.large":
		said.Detail += " A stream (" + ndjson + ") takes any number of additions and removals."
	case errMedia.Code:
		said.Detail = "The body must be application/json, or " + ndjson + " for a stream."
	}
	return &said
}

// changeMany carries out a batch over many groups: at most 10,000 items in one
// transaction, or a stream of any length, line by line.
func (a *api) changeMany(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
	if err := noPrecondition(r); err != nil {
		return err
	}
	if slices.Contains(streamTypes, wire.MediaType(r)) {
		return a.stream(w, r, p)
	}
	var in manyJSON
	body, err := read(w, r, maxBatchBody, &in)
	if err != nil {
		return streamInstead(err)
	}
	batch, err := in.batch()
	if err != nil {
		return err
	}
	return streamInstead(write(a, w, r, p, change[directory.BatchResult]{
		body: body,
		do: func(ctx context.Context, p directory.Principal) (directory.Answer[directory.BatchResult], error) {
			return a.directory.ChangeMemberships(ctx, p, batch)
		},
		answer: func(res directory.BatchResult, rev directory.Revision) answer {
			return say(http.StatusOK, encodeMany(res, rev)).at(rev)
		},
	}))
}
