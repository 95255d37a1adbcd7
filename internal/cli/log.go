package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"roster/client"
)

// changeLog is a tenant's log, or the platform's.
type changeLog interface {
	Changes(context.Context, client.ChangeFilter) iter.Seq2[client.Record, error]
	Commit(context.Context, uint64) iter.Seq2[client.Record, error]
}

func logCommand() *cobra.Command {
	r := &remote{}
	var pg paging
	var f client.ChangeFilter
	var from, to then
	var platform bool
	cmd := &cobra.Command{
		Use:   "log [REVISION]",
		Short: "Show who did what",
		Long: `Show who did what, the newest first: every change of users,
groups and memberships, with everybody named as they were
called then. With a revision, show everything that it did.
With --platform, show who made and deleted tenants, and what
was done to users and keys of the platform.
` + refsHelp,
		Args: takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.From, f.To = from.moment, to.moment
			f.PageSize = pg.pageSize()
			for _, name := range []*string{&f.ByUser, &f.User, &f.Group} {
				if *name != "" {
					*name = ref(*name)
				}
			}
			whole := len(args) > 0
			show := func(ctx context.Context, c *call, of changeLog) error {
				list := of.Changes(ctx, f)
				if whole {
					revision, err := strconv.ParseUint(args[0], 10, 63)
					if err != nil || revision == 0 {
						return fmt.Errorf("%q is no revision: they are numbers from 1", args[0])
					}
					list = of.Commit(ctx, revision)
					pg.all = true
				}
				return printEach(c.printer, &pg, list, func(r client.Record) { printRecord(c.w, r, whole, platform) }, func() error { return nil })
			}
			if platform {
				if r.tenant != "" {
					return errors.New("--platform is not of a tenant; leave out --tenant")
				}
				return r.ask(cmd, func(ctx context.Context, c *call) error { return show(ctx, c, c.client) })
			}
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error { return show(ctx, c, t) })
		},
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.BoolVar(&platform, "platform", false, "of the platform itself; needs a key of the platform")
	fl.StringVar(&f.User, "user", "", "what was done to this `USER`")
	fl.StringVar(&f.Group, "group", "", "what was done to this `GROUP` and its members")
	fl.StringVar(&f.ByName, "by", "", "what the key, or other actor, of this `NAME` did")
	fl.StringVar(&f.ByUser, "by-user", "", "what this `USER` did")
	fl.StringVar(&f.ByKey, "by-key", "", "what the key with this `ID` did")
	fl.StringSliceVar(&f.Kinds, "kind", nil, "changes of this `KIND`, such as members or user.deleted")
	fl.StringVar(&f.Dialect, "dialect", "", "what came through this `API`")
	fl.StringVar(&f.Request, "request", "", "what the request with this `ID` did")
	fl.Var(&from, "from", "not before that time, or revision")
	fl.Var(&to, "to", "not after it")
	fl.BoolVar(&f.OldestFirst, "oldest-first", false, "in the order in which it was done")
	pg.bind(cmd)
	return r.bindTenant(cmd)
}

// namesShown is how many members of a change are named in one line.
const namesShown = 3

// printRecord prints a line for a record, and below it one for each change, or for
// each member of it if all of them are to be shown.
func printRecord(w io.Writer, r client.Record, whole, platform bool) {
	by := r.By.Name
	if r.ActingFor != nil {
		by += " for " + called(r.ActingFor, nil)
	}
	if r.By.Dialect != r.By.Name {
		by += " (" + r.By.Dialect + ")"
	}
	fmt.Fprintln(w, plain(fmt.Sprintf("%d  %s  %s", r.Revision, date(r.At), by)))
	told := 0
	for _, c := range r.Changes {
		shown := max(min(len(c.Members), namesShown), 1)
		if !whole || len(c.Members) < 2 {
			told += shown
			c.Members = c.Members[:min(shown, len(c.Members))]
			if whole {
				c.Count = len(c.Members)
			}
			fmt.Fprintln(w, "  "+plain(describeChange(c)))
			continue
		}
		for _, m := range c.Members {
			one := c
			one.Members, one.Count = []client.ChangedMember{m}, 1
			fmt.Fprintln(w, "  "+plain(describeChange(one)))
		}
	}
	if told < r.Count && !whole {
		more := ""
		if platform {
			more = "--platform "
		}
		fmt.Fprintf(w, "  roster log %s%d shows all of it\n", more, r.Revision)
	}
}

// called is what a user or group was called, or its number if that is all there is.
func called(user, group *client.Name) string {
	name, what := user, ""
	if group != nil {
		name, what = group, "group "
	}
	switch {
	case name == nil:
		return ""
	case name.Name == "":
		return what + "number " + number(name.Number)
	}
	return what + name.Name
}

// memberVerbs say what happened to members, and in which relation to the group.
var memberVerbs = map[string][2]string{
	"members.added": {"added", "to"}, "members.updated": {"changed", "in"}, "members.removed": {"removed", "from"},
	"members.started": {"by its date began", "in"}, "members.ended": {"by its date ended", "in"},
}

// describeChange is one line: what was done, to whom, and how it is since.
func describeChange(c client.Change) string {
	noun, done, _ := strings.Cut(c.Kind, ".")
	if done == "updated" {
		done = "changed"
	}
	switch {
	case noun == "members":
		verb := memberVerbs[c.Kind]
		var who []string
		for _, m := range c.Members {
			who = append(who, called(m.User, m.Group))
		}
		s := verb[0] + " " + strings.Join(who, ", ")
		if rest := c.Count - len(who); rest > 0 {
			s += fmt.Sprintf(" and %d more", rest)
		}
		return s + " " + verb[1] + " " + strings.TrimPrefix(called(nil, c.Group), "group ") + describeStanding(c.Standing)
	case c.Credential != "":
		return strings.TrimSpace(done+" credential "+named(c)) + " " + c.Credential
	case c.Group != nil:
		return done + " " + called(nil, c.Group) + describeFields(c)
	case c.User != nil:
		return done + " user " + called(c.User, nil) + describeFields(c)
	}
	return strings.TrimSpace(done+" the "+noun+" "+named(c)) + describeFields(c)
}

// named is what a change says that its thing is called, or was.
func named(c client.Change) string {
	return cmp.Or(text(c.After["name"]), text(c.Before["name"]))
}

func describeStanding(s *client.Standing) string {
	if s == nil {
		return ""
	}
	out := ""
	if s.Role != "member" {
		out += ", as " + s.Role
	}
	if !s.ValidFrom.IsZero() {
		out += ", from " + exactDate(s.ValidFrom)
	}
	if !s.ValidUntil.IsZero() {
		out += ", until " + exactDate(s.ValidUntil)
	}
	if s.Source != "manual" {
		out += ", by " + s.Source
	}
	if s.Reason != "" {
		out += fmt.Sprintf(", %q", s.Reason)
	}
	return out
}

// describeFields says which fields an update changed, and of plain ones how.
func describeFields(c client.Change) string {
	if !strings.HasSuffix(c.Kind, ".updated") {
		return ""
	}
	fields := maps.Clone(c.Before)
	if fields == nil {
		fields = map[string]json.RawMessage{}
	}
	maps.Copy(fields, c.After)
	var list []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		before, after := text(c.Before[name]), text(c.After[name])
		switch {
		case before == "" && after == "":
			list = append(list, name)
		case before == "":
			list = append(list, name+" "+after)
		default:
			list = append(list, strings.TrimSpace(name+" "+before+" → "+after))
		}
	}
	return ": " + strings.Join(list, ", ")
}

// text is a field's value, "" for none and for one that is no plain value.
func text(raw json.RawMessage) string {
	var s string
	switch {
	case len(raw) == 0 || raw[0] == '{' || raw[0] == '[':
		return ""
	case json.Unmarshal(raw, &s) == nil:
		return s
	}
	return string(raw)
}
