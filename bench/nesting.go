package main

import (
	"context"

	"roster/internal/directory"
	"roster/internal/id"
)

// nesting measures that what is done to a group costs what the edge costs: not
// what its members do, and below it.
func (t *town) nesting(ctx context.Context) ([]figure, error) {
	next := 0
	add := func(w *work, into group) task {
		var one []edge
		return task{
			work: w,
			do: timed(func() error {
				one = t.into(into, next, next+1)
				next++
				return t.change(ctx, directory.AddMembers, one)
			}),
			undo: func() error { return t.change(ctx, directory.RemoveMembers, one) },
		}
	}
	link := []edge{{t.chain[0].number, id.GroupMember(t.everybody.number)}}
	var guests []directory.MemberRef
	for i := range 1000 {
		guests = append(guests, member(t.guest(i)))
	}
	return t.alone(ctx,
		add(addSmall, t.few),
		add(addBig, t.everybody),
		add(addBelow, t.chain[0]),
		task{
			work: linkBelow,
			do:   timed(func() error { return t.change(ctx, directory.AddMembers, link) }),
			undo: func() error { return t.change(ctx, directory.RemoveMembers, link) },
		},
		task{
			work: rehearse,
			do: timed(func() error {
				_, err := t.Directory.ChangeMemberships(ctx, t.p, directory.Batch{DryRun: true, Runs: []directory.BatchRun{
					{Do: directory.AddMembers, Members: guests, Groups: []directory.Ref{t.streets[0].ref()}},
				}})
				return err
			}),
		})
}
