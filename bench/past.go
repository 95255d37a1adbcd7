package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"

	"roster/internal/directory"
	"roster/internal/server"
)

// pastAndWhy measures questions about an earlier revision, about what has changed
// since, and why somebody is in a group.
func (t *town) pastAndWhy(ctx context.Context) ([]figure, error) {
	middle, err := t.cursors(ctx, directory.ListMembers{Group: t.everybody.ref()}, t.residents/2)
	if err != nil {
		return nil, err
	}
	then := middle[0].At
	for range 20 {
		guest := t.into(t.few, 100, 101)
		if err := errors.Join(t.change(ctx, directory.AddMembers, guest), t.change(ctx, directory.RemoveMembers, guest)); err != nil {
			return nil, err
		}
	}
	come := append(t.into(t.few, 0, 10), t.into(t.everybody, 0, 10)...)
	if err := t.change(ctx, directory.AddMembers, come); err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(9, 10))
	resident := func() directory.Ref { return directory.ByUser(t.ids[rng.IntN(t.residents)]) }
	diff := func(w *work, of group) task {
		return task{work: w, do: timed(func() error {
			found := 0
			for in := (directory.Diff{Page: directory.Page{Limit: pageSize}, From: then, Group: of.ref()}); ; {
				d, err := t.Directory.Diff(ctx, t.p, in)
				if err != nil {
					return err
				}
				found += len(d.Value.Items)
				if in.At, in.After = d.Value.At, d.Value.Next; in.After == 0 {
					break
				}
			}
			if found != 10 {
				return fmt.Errorf("a diff has %d entries", found)
			}
			return nil
		})}
	}
	figures, err := t.alone(ctx,
		task{work: pastCheck, do: timed(func() error {
			a, err := t.Directory.WereMembers(ctx, t.p, []directory.Check{{User: resident(), Group: directory.ByGroup(t.all.id)}}, then)
			if err == nil && !a.Value[0] {
				err = errors.New("a resident was in nothing")
			}
			return err
		})},
		task{work: pastPage, do: timed(func() error {
			_, err := t.Directory.Members(ctx, t.p, directory.ListMembers{Group: t.everybody.ref(), Page: middle[0]})
			return err
		})},
		task{work: explained, do: timed(func() error {
			a, err := t.Directory.Explain(ctx, t.p, directory.Explain{User: resident(), Group: directory.ByGroup(t.all.id)})
			if err == nil && a.Value.Count != 1 {
				err = fmt.Errorf("there are %d ways", a.Value.Count)
			}
			return err
		})},
		task{work: timeline, do: timed(func() error {
			a, err := t.Directory.Timeline(ctx, t.p, directory.Timeline{Group: t.few.ref(), Member: member(t.guest(100))})
			if err == nil && len(a.Value.Items) != 20 {
				err = fmt.Errorf("there are %d periods", len(a.Value.Items))
			}
			return err
		})},
		diff(diffSmall, t.few))
	if err != nil {
		return nil, err
	}
	more, err := t.alone(ctx, diff(diffBig, t.everybody))
	return append(figures, more...), errors.Join(err, t.change(ctx, directory.RemoveMembers, come))
}

// counts measures exact counts.
func (t *town) counts(ctx context.Context) ([]figure, error) {
	count := func(w *work, g group, transitive bool) task {
		in := directory.ListMembers{Group: g.ref(), Transitive: transitive, Count: true, Page: directory.Page{Limit: 1}}
		return task{work: w, do: timed(func() error {
			_, err := t.Directory.Members(ctx, t.p, in)
			return err
		})}
	}
	return t.alone(ctx, count(countDirect, t.everybody, false), count(countWide, t.all, true), count(countTree, t.root, true))
}

// starts measures how soon after a start the first question is answered, and
// leaves no server.
func (t *town) starts(ctx context.Context) ([]figure, error) {
	if err := t.stop(); err != nil {
		return nil, err
	}
	return t.underLoad(ctx, task{
		work: started,
		do: timed(func() (err error) {
			if t.Opened, err = server.Open(ctx, server.Storage{Data: filepath.Join(t.dir, "data")}, slog.New(slog.DiscardHandler)); err != nil {
				return err
			}
			a, err := t.Directory.IsMember(ctx, t.p, directory.Check{User: user(1), Group: t.all.ref()})
			if err == nil && !a.Value {
				err = errors.New("the first check after a start says no")
			}
			return err
		}),
		undo: t.stop,
	})
}
