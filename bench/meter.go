package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"slices"
	"time"
)

// effort is how often things are done.
type effort struct {
	rounds int           // of what is measured under load
	checks int           // of each client in a round
	adds   int           // of each client in a round
	times  int           // that anything else is done at most,
	within time.Duration // in about this time
}

var (
	thorough = effort{rounds: 7, checks: 2000, adds: 300, times: 51, within: 6 * time.Second}
	brief    = effort{rounds: 3, checks: 500, adds: 100, times: 15, within: time.Second / 2}
)

// meter measures works.
type meter struct {
	effort
	match    *regexp.Regexp
	scratch  string // a directory for whatever is needed, which goes away
	progress io.Writer
}

// say shows what is being done.
func (m *meter) say(format string, args ...any) {
	fmt.Fprintf(m.progress, "\r\x1b[K"+format, args...)
}

// wants reports whether any of the works is to be measured.
func (m *meter) wants(list ...*work) bool {
	return slices.ContainsFunc(list, func(w *work) bool {
		return m.match.MatchString(w.heading + ": " + w.name)
	})
}

// at measures all that is wanted at one size.
func (m *meter) at(ctx context.Context, n int) ([]figure, error) {
	var figures []figure
	if m.wants(indexCheck, indexAllocs, indexMemory) {
		m.say("%s: index", short(n))
		figures = m.inMemory(n)
		runtime.GC()
	}
	var t *town // made when something wants it
	defer func() {
		if t != nil {
			t.close()
		}
	}()
	for _, part := range []struct {
		measure func(*town, context.Context) ([]figure, error)
		works   []*work
	}{
		{(*town).checks, []*work{coreCheck, httpCheck}},
		{(*town).adds, []*work{httpAdd, httpAdds, httpAssign}},
		{(*town).nesting, []*work{addSmall, addBig, addBelow, linkBelow, rehearse}},
		{(*town).pages, []*work{pageFirst, pageMiddle, pageLast, wideFirst, wideMiddle, wideLast, sortFirst, sortMiddle, sortLast,
			filterFirst, filterLast, addedFirst, leftMiddle, leftWideMiddle, leftSortMiddle}},
		{(*town).pastAndWhy, []*work{pastCheck, pastPage, explained, timeline, diffSmall, diffBig}},
		{(*town).counts, []*work{countDirect, countWide, countTree}},
		{(*town).starts, []*work{started}}, // last, because it ends the server
	} {
		if !m.wants(part.works...) {
			continue
		}
		var err error
		if t == nil {
			if t, err = m.newTown(ctx, n); err != nil {
				return nil, fmt.Errorf("making a directory of %s: %w", short(n), err)
			}
		}
		m.say("%s: %s", short(n), part.works[0].heading)
		more, err := part.measure(t, ctx)
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", short(n), part.works[0].heading, err)
		}
		figures = append(figures, more...)
	}
	return figures, nil
}

// task is how to do a work once.
type task struct {
	work *work
	do   func() (sample, error)
	undo func() error // and is not measured
}

// sample is what doing a work once cost.
type sample struct {
	cost float64
	p99  float64 // of one request of many; 0 if there was one
}

// timed makes doing something once a sample.
func timed(do func() error) func() (sample, error) { return timedEach(1, do) }

// timedEach makes doing something n times, which is too short to be timed once, a
// sample.
func timedEach(n int, do func() error) func() (sample, error) {
	return func() (sample, error) {
		start := time.Now()
		for range n {
			if err := do(); err != nil {
				return sample{}, err
			}
		}
		return sample{cost: float64(time.Since(start).Nanoseconds()) / float64(n)}, nil
	}
}

// inTurn does the tasks that are wanted, or that one of these is held against, one
// after the other, once so that what is remembered is remembered, and then in
// rounds: so many, or as many as the time is enough for, and three at least. What
// a work is held against is then always of the same round.
func (m *meter) inTurn(ctx context.Context, size, rounds int, within time.Duration, tasks ...task) ([]figure, error) {
	tasks = slices.DeleteFunc(tasks, func(t task) bool {
		return !m.wants(t.work) && !slices.ContainsFunc(tasks, func(o task) bool { return o.work.against == t.work && m.wants(o.work) })
	})
	samples := make(map[*work][]sample, len(tasks))
	begun := time.Now()
	for round := -1; round < rounds && (round < min(3, rounds) || time.Since(begun) < within); round++ {
		for _, t := range tasks {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			s, err := t.do()
			if err == nil && t.undo != nil {
				err = t.undo()
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.work.name, err)
			}
			if round >= 0 {
				samples[t.work] = append(samples[t.work], s)
			}
		}
		if round < 0 {
			begun = time.Now()
		}
	}
	var figures []figure
	for _, t := range tasks {
		figures = append(figures, figureOf(t.work, size, samples[t.work], samples[t.work.against]))
	}
	return figures, nil
}

// underLoad is inTurn for what takes seconds each time.
func (t *town) underLoad(ctx context.Context, tasks ...task) ([]figure, error) {
	return t.meter.inTurn(ctx, t.size, t.meter.rounds, time.Hour, tasks...)
}

// alone is inTurn for what one caller does.
func (t *town) alone(ctx context.Context, tasks ...task) ([]figure, error) {
	return t.meter.inTurn(ctx, t.size, t.meter.times, t.meter.within, tasks...)
}
