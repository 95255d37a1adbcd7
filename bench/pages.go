package main

import (
	"context"
	"errors"
	"fmt"

	"roster/internal/directory"
)

const pageSize = directory.MaxPage

// pages measures pages of members at several depths: of the group of everybody, of
// everybody through groups, sorted, filtered, and of snapshots that the tenant has
// left because somebody writes between pages.
func (t *town) pages(ctx context.Context) ([]figure, error) {
	direct := directory.ListMembers{Group: t.everybody.ref()}
	wide := directory.ListMembers{Group: t.all.ref(), Transitive: true}
	sorted, filtered := direct, direct
	sorted.Sort = directory.ByTitle
	filtered.NamePrefix = "a" // every other user
	middle, last := t.residents/2, t.residents-pageSize
	var directAt, wideAt, sortedAt, filteredAt []directory.Page
	for _, l := range []struct {
		in        directory.ListMembers
		positions []int
		at        *[]directory.Page
	}{
		{direct, []int{0, middle, last}, &directAt},
		{wide, []int{0, middle, last}, &wideAt},
		{sorted, []int{0, middle, last}, &sortedAt},
		{filtered, []int{0, t.residents/2 - pageSize}, &filteredAt},
	} {
		var err error
		if *l.at, err = t.cursors(ctx, l.in, l.positions...); err != nil {
			return nil, err
		}
	}
	read := func(w *work, in directory.ListMembers, page directory.Page) task {
		in.Page = page
		return task{work: w, do: timed(func() error {
			found, err := t.Directory.Members(ctx, t.p, in)
			if err == nil && len(found.Value.Items) != pageSize {
				err = fmt.Errorf("a page has %d entries", len(found.Value.Items))
			}
			return err
		})}
	}
	now := func(p directory.Page) directory.Page {
		p.At = directory.When{}
		return p
	}
	figures, err := t.alone(ctx,
		read(pageFirst, direct, now(directAt[0])), read(pageMiddle, direct, now(directAt[1])), read(pageLast, direct, now(directAt[2])))
	if err != nil {
		return nil, err
	}
	more, err := t.alone(ctx,
		read(wideFirst, wide, now(wideAt[0])), read(wideMiddle, wide, now(wideAt[1])), read(wideLast, wide, now(wideAt[2])))
	if err != nil {
		return nil, err
	}
	figures = append(figures, more...)
	if more, err = t.alone(ctx,
		read(sortFirst, sorted, now(sortedAt[0])), read(sortMiddle, sorted, sortedAt[1]), read(sortLast, sorted, sortedAt[2]),
		read(filterFirst, filtered, now(filteredAt[0])), read(filterLast, filtered, filteredAt[1])); err != nil {
		return nil, err
	}
	figures = append(figures, more...)
	// As of now, and so of another moment each time: nothing is sorted before.
	added := direct
	added.Sort = directory.ByAdded
	if more, err = t.alone(ctx, read(addedFirst, added, now(sortedAt[0]))); err != nil {
		return nil, err
	}
	figures = append(figures, more...)

	// A guest comes and goes between pages; the snapshot knows none.
	visit := append(t.into(t.everybody, 0, 1), t.into(t.streets[0], 0, 1)...)
	visits := 0
	left := func(w *work, in directory.ListMembers, page directory.Page) task {
		next := read(w, in, page)
		next.undo = func() error {
			do := directory.AddMembers
			if visits++; visits%2 == 0 {
				do = directory.RemoveMembers
			}
			return t.change(ctx, do, visit)
		}
		return next
	}
	more, err = t.alone(ctx,
		read(keptMiddle, direct, now(directAt[1])), left(leftMiddle, direct, directAt[1]),
		read(keptWideMiddle, wide, now(wideAt[1])), left(leftWideMiddle, wide, wideAt[1]),
		read(keptSortMiddle, sorted, sortedAt[1]), left(leftSortMiddle, sorted, sortedAt[1]))
	return append(figures, more...), errors.Join(err, t.change(ctx, directory.RemoveMembers, visit))
}

// cursors turns pages until it has come to the positions, and returns how to come
// there again: which page, and of which moment.
func (t *town) cursors(ctx context.Context, in directory.ListMembers, positions ...int) ([]directory.Page, error) {
	in.Limit = pageSize
	var pages []directory.Page
	for at := 0; len(pages) < len(positions); at += pageSize {
		found, err := t.Directory.Members(ctx, t.p, in)
		if err != nil {
			return nil, err
		}
		in.At = found.Value.At
		if at == positions[len(pages)] {
			pages = append(pages, in.Page)
		}
		if in.After = found.Value.Next; in.After == 0 && len(pages) < len(positions) {
			return nil, fmt.Errorf("the list ends before %d", positions[len(pages)])
		}
	}
	return pages, nil
}
