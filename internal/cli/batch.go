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

	"github.com/spf13/cobra"

	"roster/client"
)

// batchLine is one line of a file of memberships, as it is typed.
type batchLine struct {
	Op       client.Op        `json:"op"`
	User     string           `json:"user"`
	Member   string           `json:"member"` // a group that is to stand in the group
	Group    string           `json:"group"`
	Standing *client.Standing `json:"standing"`
}

func batchCommand() *cobra.Command {
	r := &remote{}
	var file string
	var atomic, dry bool
	cmd := &cobra.Command{
		Use:   "batch",
		Short: "Change memberships line by line",
		Long: `Change memberships, one a line, and say what became of
each.
Each line is a JSON object:

  {"op": "add", "user": "ann", "group": "Staff"}
  {"op": "remove", "member": "Interns", "group": "Staff",
   "standing": {"reason": "moved"}}

"member" is a group that stands in another. Lines fare each
on its own, however many there are. With --atomic all are
done or none; with --dry-run nothing is done, and shown is
who would get in and who would drop out. Both take 10,000
lines at most.
` + refsHelp,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
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
	return r.bindTenant(cmd)
}

// readBatch yields the lines of a file. Whatever is wrong with one ends it.
func readBatch(in io.Reader, wrong *error) iter.Seq[client.Line] {
	return func(yield func(client.Line) bool) {
		lines := bufio.NewScanner(in)
		for n := 1; lines.Scan(); n++ {
			if len(lines.Bytes()) == 0 {
				continue
			}
			var l batchLine
			err := json.Unmarshal(lines.Bytes(), &l)
			switch {
			case err != nil:
			case l.Op != client.Add && l.Op != client.Remove:
				err = errors.New(`"op" is add or remove`)
			case (l.User == "") == (l.Member == "") || l.Group == "":
				err = errors.New(`want a "group", and a "user" or a "member"`)
			}
			if err != nil {
				*wrong = fmt.Errorf("line %d: %w", n, err)
				return
			}
			out := client.Line{Op: l.Op, Member: client.UserMember(ref(l.User)), Group: ref(l.Group), Standing: l.Standing}
			if l.Member != "" {
				out.Member = client.GroupMember(ref(l.Member))
			}
			if !yield(out) {
				return
			}
		}
		*wrong = lines.Err()
	}
}

// batchStream sends lines as they come and prints the answers as they come.
func (c *call) batchStream(ctx context.Context, t *client.Tenant, in io.Reader) error {
	var wrong error
	n, bad := 0, 0
	for out, err := range t.Stream(ctx, readBatch(in, &wrong)) {
		if err != nil {
			return err
		}
		n++
		if out.Outcome == client.Invalid {
			bad++
		}
		c.line(n, out.ItemOutcome, out)
	}
	if wrong != nil {
		return wrong
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d could not be done", bad, n)
	}
	return nil
}

// line prints what became of one line.
func (c *call) line(n int, out client.ItemOutcome, whole any) {
	if c.json {
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
	fmt.Fprintln(c.w)
}

// batchAtOnce sends all lines in one request.
func (c *call) batchAtOnce(ctx context.Context, t *client.Tenant, in io.Reader, atomic, dry bool) error {
	var wrong error
	b := client.ManyBatch{Mode: mode(atomic), DryRun: dry}
	for l := range readBatch(in, &wrong) {
		pair := client.MemberPair{Member: l.Member, Group: l.Group}
		if n := len(b.Operations); n > 0 && b.Operations[n-1].Op == l.Op && l.Standing == nil && b.Operations[n-1].Standing == nil {
			b.Operations[n-1].Pairs = append(b.Operations[n-1].Pairs, pair)
			continue
		}
		b.Operations = append(b.Operations, client.Operation{Op: l.Op, Pairs: []client.MemberPair{pair}, Standing: l.Standing})
	}
	if wrong != nil {
		return wrong
	}
	res, err := t.ChangeMemberships(ctx, b)
	if err != nil {
		return err
	}
	if c.json {
		return c.encode(res)
	}
	n, bad := 0, 0
	for _, o := range res.Operations {
		for _, item := range o.Items {
			n++
			if item.Outcome == client.Invalid {
				bad++
			}
			c.line(n, item, item)
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
			if err := rows.write(c.w); err != nil {
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
