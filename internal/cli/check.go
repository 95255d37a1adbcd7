package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"roster/client"
)

func checkCommand() *cobra.Command {
	r := &remote{}
	var quiet bool
	var in, file string
	cmd := &cobra.Command{
		Use:   "check USER GROUP…",
		Short: "Ask whether a user is in a group",
		Long: `Ask whether a user is in a group now, directly or through
groups. The answer is also the exit status: 0 is yes, 1 is
no, and 2 is an error. A user or group that does not exist
is a no. Of several groups each is answered for, and yes is
yes to all.

With --in GROUP all that are named are users, and each is
asked about in that group. With --file each line says whom
to ask about, as {"user": "ann", "group": "Staff"}. All
answers of one command, 1,000 at most, are as of one moment.
` + refsHelp,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case file != "" && (in != "" || len(args) > 0):
				return errors.New("--file says whom to ask about: leave out --in and the names")
			case file != "":
				return nil
			case in != "" && len(args) == 0:
				return fmt.Errorf("say which users to ask about; see %s --help", cmd.CommandPath())
			case in != "":
				return nil
			}
			return takes(2, -1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var pairs []pair
			if file != "" {
				var err error
				if pairs, err = pairsIn(cmd.InOrStdin(), file); err != nil {
					return err
				}
			}
			return r.inTenant(cmd, func(ctx context.Context, c *call, t *client.Tenant) error {
				switch {
				case file != "":
					answers, err := t.CheckMany(ctx, asked(pairs))
					return c.checked(pairs, answers, quiet, err)
				case in != "":
					for _, user := range args {
						pairs = append(pairs, pair{User: user})
					}
					answers, err := t.CheckUsers(ctx, refs(args), ref(in))
					return c.checked(pairs, answers, quiet, about("group", in, err))
				case len(args) > 2:
					for _, group := range args[1:] {
						pairs = append(pairs, pair{Group: group})
					}
					answers, err := t.CheckGroups(ctx, ref(args[0]), refs(args[1:]))
					return c.checked(pairs, answers, quiet, err)
				}
				in, err := t.Check(ctx, ref(args[0]), ref(args[1]))
				if err != nil {
					return err
				}
				switch {
				case quiet:
				case c.json:
					err = c.encode(struct {
						Member bool `json:"member"`
					}{in})
				default:
					fmt.Fprintln(c.w, yes(in))
				}
				if err == nil && !in {
					return errNo
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&in, "in", "", "ask about users in this `GROUP`")
	cmd.Flags().StringVarP(&file, "file", "f", "", "ask about what is in this `FILE`; - is standard input")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print nothing; the exit status says it")
	return r.bindTenant(r.bindPast(cmd))
}

// pair is a user and a group as they are typed. What all of a command's have in
// common is left out.
type pair struct {
	User  string `json:"user,omitempty"`
	Group string `json:"group,omitempty"`
}

// pairsIn reads a file of pairs.
func pairsIn(stdin io.Reader, file string) ([]pair, error) {
	text, err := readFile(stdin, file)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	for pairs := []pair{}; ; {
		var p pair
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF) && len(pairs) == 0:
			return nil, errors.New("there is nothing to ask about") // and yes to all of it
		case errors.Is(err, io.EOF):
			return pairs, nil
		case err != nil || p.User == "" || p.Group == "":
			return nil, fmt.Errorf(`check %d: want {"user": …, "group": …}`, len(pairs)+1)
		}
		pairs = append(pairs, p)
	}
}

// asked names the pairs as the server is asked about them.
func asked(pairs []pair) []client.Pair {
	out := make([]client.Pair, len(pairs))
	for i, p := range pairs {
		out[i] = client.Pair{User: ref(p.User), Group: ref(p.Group)}
	}
	return out
}

// checked prints the answers to many checks, unless there was an error.
func (c *call) checked(pairs []pair, answers []bool, quiet bool, err error) error {
	if e, ok := errors.AsType[*client.Error](err); ok && len(e.Items) > 0 && e.Items[0] < len(pairs) && pairs[e.Items[0]].Group != "" {
		return about("group", pairs[e.Items[0]].Group, err)
	}
	if err != nil {
		return err
	}
	type answer struct {
		pair
		Member bool `json:"member"`
	}
	out := []answer{}
	var rows table
	for i, p := range pairs {
		out = append(out, answer{p, answers[i]})
		rows.add(yes(answers[i]), p.User, p.Group)
	}
	switch {
	case quiet:
	case c.json:
		err = c.encode(out)
	default:
		err = rows.write(c.w, c.columns)
	}
	if err == nil && slices.Contains(answers, false) {
		return errNo
	}
	return err
}

// refsHelp says how users and groups are named.
const refsHelp = `
A user or group is named by its name or id, or as name:…,
email:… (users), number:…, code:… or external:SOURCE/KEY.`
