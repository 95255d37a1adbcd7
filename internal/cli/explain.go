package cli

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"roster/client"
)

func explainCommand() *cobra.Command {
	r := &remote{}
	limit := 20
	cmd := &cobra.Command{
		Use:   "explain USER GROUP",
		Short: "Say why a user is in a group, or why not",
		Long: `Say by which memberships a user is in a group, as a tree
from the user up, or why the user is not. The exit status
is that of check. A long way is not set in all along: a
step right below └─ goes on from it.
` + refsHelp,
		Args: takes(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
				x, err := explain(ctx, t, ref(args[0]), ref(args[1]), limit)
				if err != nil {
					return err
				}
				if c.json {
					err = c.encode(x)
				} else {
					printWays(c.w, c.columns, args[0], args[1], x)
				}
				if x.Next != "" {
					c.note("there are more ways; --limit N shows N of them")
				}
				if err == nil && !x.Member {
					return errNo
				}
				return err
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", limit, "how many ways to show at most")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if limit < 1 {
			return fmt.Errorf("--limit: %d shows nothing; give 1 or more", limit)
		}
		return nil
	}
	return r.bindTenant(r.bindPast(cmd))
}

// explain asks for so many ways, page by page.
func explain(ctx context.Context, t *client.Tenant, user, group string, limit int) (client.Explanation, error) {
	const most = 100 // in a page
	x, err := t.Explain(ctx, user, group, client.WaysPage{Limit: min(limit, most)})
	for err == nil && x.Next != "" && len(x.Ways) < limit {
		var more client.Explanation
		if more, err = t.Explain(ctx, user, group, client.WaysPage{Limit: min(limit-len(x.Ways), most), Cursor: x.Next}); err == nil {
			x.Ways, x.Next = append(x.Ways, more.Ways...), more.Next
		}
	}
	return x, err
}

// printWays prints an explanation: a headline, and the ways as one tree, folded at
// so many columns unless that is 0.
func printWays(w io.Writer, columns int, user, group string, x client.Explanation) {
	if x.User != nil {
		user = x.User.Name
	}
	if x.Group != nil {
		group = x.Group.Name
	}
	head := fmt.Sprintf("%s is in %s", user, group)
	if !x.Member {
		head = fmt.Sprintf("%s is not in %s", user, group)
		if x.Why != nil {
			head += ": " + strings.ToLower(x.Why.Detail[:1]) + strings.TrimSuffix(x.Why.Detail[1:], ".")
		}
	}
	switch {
	case x.Count == math.MaxInt64:
		head += " (more ways than can be counted)"
	case x.Count > 1:
		head += fmt.Sprintf(" (%d ways)", x.Count)
	}
	fmt.Fprint(w, folded("", plain(head), "  ", columns))
	printBranches(w, columns, "", x.Ways, 0)
}

// maxIndent is how far a tree may be indented where it does not branch: from there
// on a step that stands alone is below the one before it without being set in.
const maxIndent = width / 3

// printBranches prints the ways, which agree in the steps before depth. They are
// in order, so those that go on alike stand together.
func printBranches(w io.Writer, columns int, indent string, ways [][]client.MemberOf, depth int) {
	for len(ways) > 0 {
		if len(ways[0]) <= depth {
			ways = ways[1:]
			continue
		}
		step := ways[0][depth]
		n := 1
		for n < len(ways) && len(ways[n]) > depth && ways[n][depth].Group.Number == step.Group.Number {
			n++
		}
		branch, below := "├─ ", "│  "
		if n == len(ways) {
			branch, below = "└─ ", "   "
			if depth > 0 && utf8.RuneCountInString(indent) >= maxIndent && alone(ways, depth+1) {
				below = ""
			}
		}
		bar := "  "
		if slices.ContainsFunc(ways[:n], func(way []client.MemberOf) bool { return len(way) > depth+1 }) {
			bar = "│ "
		}
		fmt.Fprint(w, folded(indent+branch, plain(describeStep(step)), indent+below+bar, columns))
		printBranches(w, columns, indent+below, ways[:n], depth+1)
		ways = ways[n:]
	}
}

// folded is a line, broken at blanks where it would be wider than so many columns
// (0 is any width), with what begins it and what begins those that go on from it.
func folded(first, text, next string, columns int) string {
	const least = 20 // that a line holds, however far it is set in
	if columns > 0 {
		columns = max(columns, utf8.RuneCountInString(next)+least)
	}
	var b strings.Builder
	b.WriteString(first)
	at, blanks := utf8.RuneCountInString(first), ""
	for word := range strings.SplitSeq(text, " ") {
		if word == "" {
			blanks += " "
			continue
		}
		n := utf8.RuneCountInString(word)
		if columns > 0 && blanks != "" && at+len(blanks)+n > columns {
			b.WriteString("\n" + next)
			at, blanks = utf8.RuneCountInString(next), ""
		}
		b.WriteString(blanks + word)
		at, blanks = at+len(blanks)+n, " "
	}
	return b.String() + "\n"
}

// alone reports whether the ways agree in the step at depth, too.
func alone(ways [][]client.MemberOf, depth int) bool {
	for _, way := range ways {
		if len(way) <= depth || way[depth].Group.Number != ways[0][depth].Group.Number {
			return false
		}
	}
	return true
}

// describeStep is one line: which group, since when, by whom, why, until when.
func describeStep(m client.MemberOf) string {
	s := m.Group.Name
	ms := m.Membership
	if ms == nil {
		return s
	}
	if ms.Role != "member" {
		s += ", as " + ms.Role
	}
	s += "  added " + date(ms.Added)
	if by := ms.AddedBy; by != nil {
		s += " by " + by.Name + " (" + by.Dialect + ")"
	}
	if !ms.ValidFrom.IsZero() {
		s += ", from " + exactDate(ms.ValidFrom)
	}
	if !ms.ValidUntil.IsZero() {
		s += ", until " + exactDate(ms.ValidUntil)
	}
	if ms.Reason != "" {
		s += fmt.Sprintf(", %q", ms.Reason)
	}
	if !ms.Holds {
		s += "  DOES NOT HOLD"
	}
	return s
}

func memberHistory(r *remote) *cobra.Command {
	var pg paging
	var group bool
	cmd := &cobra.Command{
		Use:   "history GROUP MEMBER",
		Short: "Show how a membership has stood",
		Long: `Show how a membership has stood, oldest first, and who
began and ended it.
` + refsHelp,
		Args: takes(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
				heads := []string{"SINCE", "BY", "ROLE", "FROM", "UNTIL", "REASON", "ENDED", "ENDED BY"}
				list := t.MemberHistory(ctx, ref(args[0]), members(args[1:], group)[0])
				return printList(c.printer, &pg, list, heads, func(s client.Stay) []string {
					m := s.Membership
					row := []string{date(s.Began.At), s.Began.By.Name, m.Role, exactDate(m.ValidFrom), exactDate(m.ValidUntil), m.Reason, "", ""}
					if s.Ended != nil {
						row[6], row[7] = date(s.Ended.At), s.Ended.By.Name
					}
					return row
				})
			})
		},
	}
	cmd.Flags().BoolVar(&group, "group", false, "the member is a group")
	pg.bind(cmd)
	return r.bindPast(cmd)
}

func groupDiff(r *remote) *cobra.Command {
	return diffCommand(r, "GROUP", "Show who has come and gone", `Show who has come into a group, and who has left it,
between two moments.
`, func(ctx context.Context, t *client.Tenant, name string, d client.Diff) seq {
		return t.GroupDiff(ctx, ref(name), d)
	})
}

func userDiff(r *remote) *cobra.Command {
	return diffCommand(r, "USER", "Show which groups were gained and lost", `Show which groups a user has come into, and which it has
left, between two moments.
`, func(ctx context.Context, t *client.Tenant, name string, d client.Diff) seq {
		return t.UserDiff(ctx, ref(name), d)
	})
}

type seq = func(func(client.Difference, error) bool)

func diffCommand(r *remote, what, short, long string, ask func(context.Context, *client.Tenant, string, client.Diff) seq) *cobra.Command {
	var pg paging
	var from, to then
	var d client.Diff
	cmd := &cobra.Command{
		Use:   "diff " + what,
		Short: short,
		Long:  long + refsHelp,
		Args:  takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if from.moment == "" {
				return fmt.Errorf("say --from when; see %s --help", cmd.CommandPath())
			}
			d.From, d.To = from.moment, to.moment
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
				return about(strings.ToLower(what), args[0], printList(c.printer, &pg, ask(ctx, t, args[0], d), []string{"CHANGE", "KIND", "NUMBER", "NAME"}, func(x client.Difference) []string {
					kind, name := "user", x.User
					if x.Group != nil {
						kind, name = "group", x.Group
					}
					return []string{x.Change, kind, number(name.Number), name.Name}
				}))
			})
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.Var(&from, "from", "the earlier time, or revision")
	f.Var(&to, "to", "the later one; now unless given")
	f.BoolVar(&d.Transitive, "transitive", false, "also through groups")
	pg.bind(cmd)
	return cmd
}
