package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"roster/client"
)

// batchLine is one line of a file of memberships, as it is typed.
type batchLine struct {
	Op       client.Op        `json:"op"`
	User     string           `json:"user"`
	Member   string           `json:"member"` // a group that is to stand in the group
	Group    string           `json:"group"`
	Users    []string         `json:"users"`   // of a replacement
	Members  []string         `json:"members"` // groups, of a replacement
	Groups   []string         `json:"groups"`  // of a replacement
	Standing *client.Standing `json:"standing"`
	Require  *batchRequire    `json:"require"`
}

// batchRequire is a condition.
type batchRequire struct {
	User    string `json:"user"`
	Group   string `json:"group"`
	Member  *bool  `json:"member"`
	Version int64  `json:"version"`
}

// whole reports whether it says what is required, and one thing alone.
func (c batchRequire) whole() bool {
	if c.Version != 0 {
		return c.Group != "" && c.Version > 0 && c.User == "" && c.Member == nil
	}
	return c.Group != "" && c.User != "" && c.Member != nil
}

func batchCommand() *cobra.Command {
	r := &remote{}
	var file, once string
	var atomic, dry bool
	cmd := &cobra.Command{
		Use:   "batch",
		Short: "Change memberships line by line",
		Long: `Change memberships, one a line, and say what became of
each.
Each line is a JSON object:

  {"op": "add", "user": "ann", "group": "Staff",
   "standing": {"valid_until": "2027-01-01T00:00:00Z"}}
  {"op": "remove", "member": "Interns", "group": "Staff"}

"member" is a group that stands in another. Lines fare each
on its own, however many there are, and take as long as
they take unless a --timeout is given.

With --atomic all are done or none; with --dry-run nothing
is done, and shown is who would get in and who would drop
out. Both take 10,000 lines at most, and more of them:

  {"op": "replace_members", "group": "Staff",
   "users": ["ann", "bob"], "members": ["Interns"]}
  {"op": "replace_groups", "user": "ann",
   "groups": ["Staff", "Board"]}
  {"require": {"user": "ann", "group": "Board",
   "member": false}}
  {"require": {"group": "Staff", "version": 7}}

Replacements take out who is not named. Nothing is done
unless all that is required is so.
` + refsHelp,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("idempotency-key") && !atomic {
				return fmt.Errorf("--idempotency-key goes with --atomic; lines that fare each on its own can be sent again")
			}
			if !atomic && !dry && !cmd.Flags().Changed("timeout") {
				r.timeout = 0
			}
			in := cmd.InOrStdin()
			if file != "-" {
				f, err := os.Open(file)
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
				if once != "" {
					t = t.Once(once)
				}
				if atomic || dry {
					return c.batchAtOnce(ctx, t, in, atomic, dry)
				}
				return c.batchStream(ctx, t, in)
			})
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&file, "file", "f", "-", "the `FILE`; - is standard input")
	f.BoolVar(&atomic, "atomic", false, "all of them or none")
	f.BoolVar(&dry, "dry-run", false, "show what would come of it")
	f.StringVar(&once, "idempotency-key", "", "do it at most once under this `KEY`, however often it is asked for")
	return r.bindTenant(cmd)
}

// numbered is a line of a file, and what is wrong with it if it cannot be read.
type numbered struct {
	n int
	batchLine
	wrong error
}

// maxBatchLine is how long a line may be, here as on the server.
const maxBatchLine = 64 << 10

// batchLines yields the lines of a file that are not blank. The last has no other
// after it if the file cannot be read on.
func batchLines(in io.Reader) iter.Seq[numbered] {
	return func(yield func(numbered) bool) {
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, maxBatchLine)
		n := 1
		for ; lines.Scan(); n++ {
			text := lines.Text()
			if n == 1 {
				text = strings.TrimPrefix(text, "\ufeff") // as some editors begin a file
			}
			if text = strings.TrimSpace(text); text == "" {
				continue
			}
			l := numbered{n: n}
			if l.wrong = readLine(text, &l.batchLine); !yield(l) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(numbered{n: n, wrong: &unreadable{err}})
		}
	}
}

// unreadable is what ends a file before its end.
type unreadable struct{ error }

func readLine(text string, l *batchLine) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields() // a misspelt date must not be one for ever
	err := d.Decode(l)
	if e, ok := errors.AsType[*time.ParseError](err); ok {
		return fmt.Errorf("%q is no moment; write it as in 2027-01-01T00:00:00Z", e.Value)
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("this is no JSON object")
	}
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the object")
	}
	if l.Standing != nil {
		if err := checkDates(text); err != nil {
			return err
		}
	}
	one := l.User != "" || l.Member != ""
	many := l.Users != nil || l.Members != nil
	switch l.Op {
	case client.Add, client.Remove:
		switch {
		case (l.User == "") == (l.Member == "") || l.Group == "" || many || l.Groups != nil || l.Require != nil:
			return errors.New(`want a "group", and a "user" or a "member"`)
		case l.Op == client.Remove && l.Standing != nil:
			return errors.New(`a "standing" is of who is added`)
		}
	case client.ReplaceMembers:
		if !many || l.Group == "" || one || l.Groups != nil || l.Require != nil {
			return errors.New(`want a "group", and "users" or "members", be they none`)
		}
	case client.ReplaceGroups:
		if (l.User == "") == (l.Member == "") || l.Groups == nil || l.Group != "" || many || l.Require != nil {
			return errors.New(`want "groups", be they none, and a "user" or a "member"`)
		}
	case "":
		switch {
		case l.Require == nil:
			return errors.New(`want an "op", or a "require"`)
		case one || many || l.Group != "" || l.Groups != nil || l.Standing != nil:
			return errors.New(`a line with a "require" has nothing else`)
		case !l.Require.whole():
			return errors.New(`a "require" wants a "group", and a "user" and "member" or a "version"`)
		}
	default:
		return errors.New(`"op" is add, remove, replace_members or replace_groups`)
	}
	return nil
}

// checkDates looks at the dates of a line as they are given: to a
// [client.Standing] the first of all moments is none.
func checkDates(text string) error {
	var given struct {
		Standing struct {
			From  *time.Time `json:"valid_from"`
			Until *time.Time `json:"valid_until"`
		} `json:"standing"`
	}
	if err := json.Unmarshal([]byte(text), &given); err != nil {
		return err
	}
	for _, t := range []*time.Time{given.Standing.From, given.Standing.Until} {
		if t == nil {
			continue
		}
		if err := checkMoment(*t); err != nil {
			return err
		}
	}
	return nil
}

// member is the one whom a line is about.
func (l batchLine) member() client.Member {
	if l.Member != "" {
		return client.GroupMember(ref(l.Member))
	}
	return client.UserMember(ref(l.User))
}

// waiting are the lines that were read and not yet answered for, in order: those
// that were sent, and those among them that could not be.
type waiting struct {
	mu    sync.Mutex // guards lines
	lines []numbered
}

func (w *waiting) put(l numbered) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, l)
}

// take returns the next line if it was not sent, or else if sent is set.
func (w *waiting) take(sent bool) (numbered, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lines) == 0 || w.lines[0].wrong == nil && !sent {
		return numbered{}, false
	}
	l := w.lines[0]
	w.lines = w.lines[1:]
	return l, true
}

// batchStream sends lines as they come and prints the answers as they come.
func (c *call) batchStream(ctx context.Context, t *client.Tenant, in io.Reader) error {
	var pending waiting
	lines := func(yield func(client.Line) bool) {
		for l := range batchLines(in) {
			switch {
			case l.wrong != nil:
			case l.Require != nil: // what depends on it must not be done without
				l.wrong = &unreadable{errors.New("a condition is for --atomic or --dry-run; nothing from this line on was done")}
				pending.put(l)
				return
			case l.Op != client.Add && l.Op != client.Remove:
				l.wrong = errors.New("a replacement is for --atomic or --dry-run")
			}
			if pending.put(l); l.wrong == nil && !yield(client.Line{Op: l.Op, Member: l.member(), Group: ref(l.Group), Standing: l.Standing}) {
				return
			}
		}
	}
	n, bad := 0, 0
	var broken error
	unsent := func() {
		for {
			l, ok := pending.take(false)
			if !ok {
				return
			}
			if e, ok := errors.AsType[*unreadable](l.wrong); ok {
				broken = fmt.Errorf("line %d: %w", l.n, e.error)
				return
			}
			n, bad = n+1, bad+1
			c.outcome(l.n, client.ItemOutcome{Outcome: client.Invalid, Detail: l.wrong.Error()}, nil)
		}
	}
	for out, err := range t.Stream(ctx, lines) {
		unsent()
		if err != nil {
			return err
		}
		l, _ := pending.take(true)
		n++
		if out.Outcome == client.Invalid {
			bad++
		}
		c.outcome(l.n, out.ItemOutcome, &out)
	}
	unsent()
	if broken != nil {
		return broken
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d could not be done", bad, n)
	}
	return nil
}

// outcome prints what became of one line; answer is the server's, if there is one.
func (c *call) outcome(n int, out client.ItemOutcome, answer *client.LineOutcome) {
	if c.json {
		var whole any = out
		if answer != nil {
			whole = *answer
		}
		text, err := json.Marshal(whole)
		if err == nil {
			fmt.Fprintf(c.w, "%s\n", text)
		}
		return
	}
	fmt.Fprintf(c.w, "%d  %s", n, out.Outcome)
	if out.Detail != "" {
		fmt.Fprintf(c.w, "  %s", plain(out.Detail))
	}
	if out.Field != "" {
		fmt.Fprintf(c.w, " (%s)", plain(out.Field))
	}
	fmt.Fprintln(c.w)
}

// batchAtOnce sends all lines in one request.
func (c *call) batchAtOnce(ctx context.Context, t *client.Tenant, in io.Reader, atomic, dry bool) error {
	b := client.ManyBatch{Mode: mode(atomic), DryRun: dry}
	var from origins
	for l := range batchLines(in) {
		if l.wrong != nil {
			return fmt.Errorf("line %d: %w", l.n, l.wrong)
		}
		o := client.Operation{Op: l.Op, Standing: l.Standing}
		items := 1
		switch l.Op {
		case client.ReplaceMembers:
			o.Members = append(members(l.Users, false), members(l.Members, true)...)
			o.Groups, items = []string{ref(l.Group)}, len(o.Members)
		case client.ReplaceGroups:
			o.Members = []client.Member{l.member()}
			o.Groups, items = refs(l.Groups), len(l.Groups)
		case "":
			req := client.Require{Group: ref(l.Require.Group), Member: l.Require.Member, Version: l.Require.Version}
			if l.Require.User != "" {
				req.User = ref(l.Require.User)
			}
			b.Require, from.conditions = append(b.Require, req), append(from.conditions, l.n)
			continue
		default:
			o.Pairs = []client.MemberPair{{Member: l.member(), Group: ref(l.Group)}}
		}
		first := len(from.items)
		for range items {
			from.items = append(from.items, l.n)
		}
		if n := len(b.Operations); n > 0 && o.Pairs != nil && b.Operations[n-1].Op == l.Op && sameStanding(b.Operations[n-1].Standing, l.Standing) {
			b.Operations[n-1].Pairs = append(b.Operations[n-1].Pairs, o.Pairs...)
			continue
		}
		b.Operations = append(b.Operations, o)
		from.operations = append(from.operations, origin{l.n, first})
	}
	res, err := t.ChangeMemberships(ctx, b)
	if err != nil {
		return from.about(err)
	}
	if c.json {
		return c.encode(res)
	}
	n, bad := 0, 0
	for _, o := range res.Operations {
		for _, item := range o.Items {
			if item.Outcome == client.Invalid {
				bad++
			}
			c.outcome(from.items[n], item, nil)
			n++
		}
		for _, l := range o.Left {
			name := l.Member.User
			if l.Member.Group != nil {
				name = l.Member.Group
			}
			fmt.Fprintf(c.w, "left  %s  %s\n", plain(name.Name), plain(l.Group.Name))
		}
	}
	if e := res.Effects; e != nil {
		if len(e.Changes) == 0 {
			fmt.Fprintln(c.w, "nobody would get in or drop out")
		} else {
			rows := table{heads: []string{"WHEN", "CHANGE", "USER", "GROUP"}}
			for _, x := range e.Changes {
				rows.add(date(x.At), x.Change, x.User.Name, x.Group.Name)
			}
			if err := rows.write(c.w, c.columns); err != nil {
				return err
			}
		}
		if !e.Complete {
			c.note("there would be more than was looked at")
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d could not be done", bad, n)
	}
	return nil
}

func sameStanding(a, b *client.Standing) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// origins are the lines of a file that a batch is made of: of each of its items,
// conditions and operations.
type origins struct {
	items, conditions []int
	operations        []origin
}

// origin is an operation's first line, and the place of its first item.
type origin struct{ line, item int }

// about says of which lines an error is, the first few of them.
func (o origins) about(err error) error {
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		return err
	}
	if len(e.Items) == 0 {
		if line := o.of(e.Field); line > 0 {
			return fmt.Errorf("line %d: %w", line, err)
		}
		return err
	}
	places := o.items
	if strings.HasPrefix(e.Field, "require.") {
		places = o.conditions
	}
	const most = 5
	var lines []string
	for _, i := range e.Items {
		if i >= len(places) {
			return err
		}
		if line := fmt.Sprint(places[i]); len(lines) == 0 || lines[len(lines)-1] != line {
			lines = append(lines, line)
		}
	}
	if more := len(lines) - most; more > 0 {
		lines = append(lines[:most], fmt.Sprintf("%d more", more))
	}
	if len(lines) == 1 {
		return fmt.Errorf("line %s: %w", lines[0], err)
	}
	return fmt.Errorf("lines %s and %s: %w", strings.Join(lines[:len(lines)-1], ", "), lines[len(lines)-1], err)
}

// of returns the line that a field of the batch comes from; 0 if it is of none.
func (o origins) of(field string) int {
	var i, pair int
	if n, _ := fmt.Sscanf(field, "require.%d", &i); n == 1 && i < len(o.conditions) {
		return o.conditions[i]
	}
	switch n, _ := fmt.Sscanf(field, "operations.%d.pairs.%d", &i, &pair); {
	case n == 0 || i >= len(o.operations):
		return 0
	case n == 2 && o.operations[i].item+pair < len(o.items):
		return o.items[o.operations[i].item+pair]
	}
	return o.operations[i].line
}
