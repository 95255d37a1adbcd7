// Package transfer copies a deployment from one store to another, of whatever
// engines: every row that is not derived from others, history and secrets with
// it, byte for byte.
//
// Rows go over in pages, in the order of their keys. Each page is one transaction
// in the target together with a note of how far the copy has come, so a copy that
// was cut off anywhere goes on from there; until it has ended, the note keeps
// everybody else from opening the target. At the end both sides are read back,
// and every table's rows must be equal, tenant by tenant.
package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Source is a store that is copied from. It is used by one goroutine at a time
// and shows what was there when it was opened, whoever writes meanwhile.
type Source interface {
	// Name is what the store is called where others read it: without secrets.
	Name() string

	// Count returns how many rows a table has.
	Count(ctx context.Context, t *Table) (int64, error)

	// Read calls fn with rows by ascending key, those after the key given (nil:
	// from the first), until fn returns false. It may end after [PageRows].
	Read(ctx context.Context, t *Table, after Row, fn func(Row) bool) error

	Close() error
}

// Target is a store that is copied into, which nobody else may use meanwhile.
type Target interface {
	Source

	// Note returns the note of the copy under way, nil if there is none.
	Note(ctx context.Context) ([]byte, error)

	// Empty reports whether the store holds nothing but what every new one does.
	Empty(ctx context.Context) (bool, error)

	// Begin leaves a note and takes out what a new store holds, so that every
	// table is empty.
	Begin(ctx context.Context, note []byte) error

	// Load adds rows and replaces the note, both or neither.
	Load(ctx context.Context, t *Table, rows []Row, note []byte) error

	// End makes what the engine derives from the rows and removes the note, both
	// or neither.
	End(ctx context.Context) error
}

// Errors that say why a copy was not begun, or cannot be ended. Each is for
// people, in one line.
var (
	ErrNotEmpty = errors.New("it is not empty")
	ErrUnequal  = errors.New("the copy is not equal to its source")
)

// Progress says how far a copy has come.
type Progress struct {
	Table  string
	Verify bool  // rows are read back
	Rows   int64 // done, of this table
	Total  int64
}

// Result is what came of one table.
type Result struct {
	Table string
	Rows  int64 // in the source
	Found int64 // in the target
	Equal bool  // counts and digests, of every tenant
}

// Options are what a copy may be given.
type Options struct {
	// Prepare is called before anything is written, once it is known that the
	// copy may be made.
	Prepare func(context.Context) error

	// Report is called after every page.
	Report func(Progress)
}

// note is kept in the target until the copy has ended.
type note struct {
	Source string `json:"source"`
	State  string `json:"state"` // where the source's tenants stood
	Table  string `json:"table"` // the table under way; "" when all are there
	After  []cell `json:"after,omitempty"`
	Rows   int64  `json:"rows"` // of that table
}

// cell is a value of a key.
type cell struct {
	Int   *int64  `json:"i,omitempty"`
	Text  *string `json:"s,omitempty"`
	Bytes []byte  `json:"b,omitempty"`
}

// copying is a copy under way.
type copying struct {
	from   Source
	to     Target
	report func(Progress)
	note   note
}

// Run copies everything in from to to, or goes on with that, and compares both.
// It returns what came of each table, also with [ErrUnequal].
func Run(ctx context.Context, from Source, to Target, o Options) ([]Result, error) {
	c := &copying{from: from, to: to, report: o.Report}
	if c.report == nil {
		c.report = func(Progress) {}
	}
	state, err := c.state(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", from.Name(), err)
	}
	begun, err := c.begun(ctx, state)
	if err != nil {
		return nil, err
	}
	if o.Prepare != nil {
		if err := o.Prepare(ctx); err != nil {
			return nil, err
		}
	}
	if !begun {
		c.note = note{Source: from.Name(), State: state, Table: Tables[0].Name}
		if err := to.Begin(ctx, c.encode()); err != nil {
			return nil, fmt.Errorf("%s: %w", to.Name(), err)
		}
	}
	results, err := c.run(ctx)
	switch {
	case err == nil || errors.Is(err, ErrUnequal):
	case ctx.Err() != nil:
		err = errors.New("interrupted; the same command goes on from there")
	default:
		err = fmt.Errorf("%w; once that is put right, the same command goes on from there", err)
	}
	return results, err
}

// state tells where the source's tenants stand: each one's row has its revision
// and the time of that in it.
func (c *copying) state(ctx context.Context) (string, error) {
	digests, err := digest(ctx, c.from, Find("tenants"), nil)
	return digests[0].String(), err
}

// begun reports whether the target holds a part of this copy. If it holds
// anything else, that is an error.
func (c *copying) begun(ctx context.Context, state string) (bool, error) {
	text, err := c.to.Note(ctx)
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", c.to.Name(), err)
	}
	if text == nil {
		empty, err := c.to.Empty(ctx)
		if err != nil {
			return false, fmt.Errorf("reading %s: %w", c.to.Name(), err)
		}
		if !empty {
			return false, fmt.Errorf("cannot copy into %s: %w; name a new one", c.to.Name(), ErrNotEmpty)
		}
		return false, nil
	}
	if err := json.Unmarshal(text, &c.note); err != nil {
		return false, fmt.Errorf("%s holds a part of a copy that another version of roster began: name a new target", c.to.Name())
	}
	switch {
	case c.note.State == state:
	case c.note.Source == c.from.Name():
		return false, fmt.Errorf("%s was written to after the copy into %s was begun: empty that, or name a new one, and copy again", c.from.Name(), c.to.Name())
	default:
		return false, fmt.Errorf("cannot copy into %s: it holds a part of a copy of %s", c.to.Name(), c.note.Source)
	}
	if c.note.Table != "" && !slices.ContainsFunc(Tables, func(t *Table) bool { return t.Name == c.note.Table }) {
		return false, fmt.Errorf("%s holds a part of a copy that another version of roster began: name a new target", c.to.Name())
	}
	return true, nil
}

func (c *copying) encode() []byte {
	text, err := json.Marshal(c.note)
	if err != nil {
		panic(err) // text and numbers always encode
	}
	return text
}

func (c *copying) run(ctx context.Context) ([]Result, error) {
	for i, t := range Tables {
		if c.note.Table != t.Name {
			continue // it is there
		}
		if err := c.table(ctx, t); err != nil {
			return nil, fmt.Errorf("copying %s: %w", t.Name, err)
		}
		c.note.Table, c.note.After, c.note.Rows = "", nil, 0
		if i+1 < len(Tables) {
			c.note.Table = Tables[i+1].Name
		}
	}
	results := make([]Result, 0, len(Tables))
	var unequal []string
	for _, t := range Tables {
		r, err := c.verify(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("verifying %s: %w", t.Name, err)
		}
		results = append(results, r)
		if !r.Equal {
			unequal = append(unequal, t.Name)
		}
	}
	if len(unequal) > 0 {
		// The note stays, so that nobody takes the target for the source.
		return results, fmt.Errorf("%w in %s: empty %s, or name a new one, and copy again while nobody writes", ErrUnequal, join(unequal), c.to.Name())
	}
	return results, c.to.End(ctx)
}

func join(names []string) string {
	text := names[0]
	for _, n := range names[1:] {
		text += ", " + n
	}
	return text
}

// table copies what is missing of a table. The next page is read while one is
// written.
func (c *copying) table(ctx context.Context, t *Table) error {
	total, err := c.from.Count(ctx, t)
	if err != nil {
		return err
	}
	c.report(Progress{Table: t.Name, Rows: c.note.Rows, Total: total})
	type read struct {
		rows []Row
		err  error
	}
	reading, stop := context.WithCancel(ctx)
	pages := make(chan read)
	defer func() {
		stop()
		for range pages { // until the reader has ended
		}
	}()
	after := c.after()
	go func() {
		defer close(pages)
		for {
			rows, err := page(reading, c.from, t, after)
			select {
			case pages <- read{rows, err}:
			case <-reading.Done():
				return
			}
			if err != nil || len(rows) == 0 {
				return
			}
			after = rows[len(rows)-1][:t.Key]
		}
	}()
	for p := range pages {
		if p.err != nil {
			return p.err
		}
		if len(p.rows) == 0 {
			return nil
		}
		c.note.Rows += int64(len(p.rows))
		c.note.After = cells(p.rows[len(p.rows)-1][:t.Key])
		if err := c.to.Load(ctx, t, p.rows, c.encode()); err != nil {
			return err
		}
		c.report(Progress{Table: t.Name, Rows: c.note.Rows, Total: total})
	}
	return ctx.Err()
}

func cells(key Row) []cell {
	out := make([]cell, len(key))
	for i, v := range key {
		switch v := v.(type) {
		case int64:
			out[i].Int = &v
		case string:
			out[i].Text = &v
		case []byte:
			out[i].Bytes = v
		}
	}
	return out
}

// after is the key that the copy has come to.
func (c *copying) after() Row {
	var key Row
	for _, v := range c.note.After {
		switch {
		case v.Int != nil:
			key = append(key, *v.Int)
		case v.Text != nil:
			key = append(key, *v.Text)
		default:
			key = append(key, v.Bytes)
		}
	}
	return key
}

func page(ctx context.Context, s Source, t *Table, after Row) ([]Row, error) {
	var p Page
	var wrong error
	err := s.Read(ctx, t, after, func(r Row) bool {
		if wrong = t.Check(r); wrong != nil {
			return false
		}
		return p.Add(r)
	})
	if err == nil {
		err = wrong
	}
	return p.Rows, err
}

// verify reads a table on both sides at once and compares.
func (c *copying) verify(ctx context.Context, t *Table) (Result, error) {
	total, err := c.from.Count(ctx, t)
	if err != nil {
		return Result{}, err
	}
	c.report(Progress{Table: t.Name, Verify: true, Total: total})
	type side struct {
		digests map[int64]Digest
		err     error
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	found := make(chan side, 1)
	go func() {
		digests, err := digest(reading, c.to, t, nil)
		if err != nil {
			stop()
		}
		found <- side{digests, err}
	}()
	want, err := digest(reading, c.from, t, func(rows int64) { c.report(Progress{Table: t.Name, Verify: true, Rows: rows, Total: total}) })
	if err != nil {
		stop()
	}
	got := <-found
	// What stopped the one is why the other could not go on.
	if err != nil && !errors.Is(err, context.Canceled) || got.err == nil {
		got.err = err
	}
	return Result{Table: t.Name, Rows: sum(want), Found: sum(got.digests), Equal: maps.Equal(want, got.digests)}, got.err
}

func sum(digests map[int64]Digest) (n int64) {
	for _, d := range digests {
		n += d.Rows
	}
	return n
}

// digest reads a whole table and returns the digest of each tenant's rows, by
// pk; of a table of the deployment's own all are under 0.
func digest(ctx context.Context, s Source, t *Table, report func(rows int64)) (map[int64]Digest, error) {
	digests := map[int64]Digest{}
	var b []byte
	var after Row
	for n := int64(0); ; {
		rows, err := page(ctx, s, t, after)
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			return digests, nil
		}
		for _, r := range rows {
			of := int64(0)
			if t.OfTenants() {
				of = r[0].(int64)
			}
			d := digests[of]
			b = d.add(b, r)
			digests[of] = d
		}
		n += int64(len(rows))
		if report != nil {
			report(n)
		}
		after = rows[len(rows)-1][:t.Key]
	}
}
