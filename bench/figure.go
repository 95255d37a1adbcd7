package main

import (
	"fmt"
	"slices"
	"strconv"
)

// figure is what one work cost in a directory of one size: medians of several
// runs, and of the runs of what it is held against that were made in turn with
// them.
type figure struct {
	Heading   string  `json:"heading"`
	Work      string  `json:"work"`
	Size      int     `json:"memberships"`
	Runs      int     `json:"runs"`
	Cost      float64 `json:"cost"` // nanoseconds, bytes or a number
	P99       float64 `json:"p99,omitempty"`
	Reference float64 `json:"reference,omitempty"`
	Ratio     float64 `json:"ratio,omitempty"` // of the reference over the cost, so that more is better
	Kept      float64 `json:"kept,omitempty"`  // the share of the runs that kept the budget
}

func figureOf(w *work, size int, runs, against []sample) figure {
	f := figure{Heading: w.heading, Work: w.name, Size: size, Runs: len(runs)}
	var costs, p99s, references, ratios []float64
	kept := 0
	for i, s := range runs {
		costs, p99s = append(costs, s.cost), append(p99s, s.p99)
		if w.against != nil {
			references, ratios = append(references, against[i].cost), append(ratios, against[i].cost/s.cost)
		}
		if (w.under == 0 || s.cost < w.under) && (w.least() == 0 || ratios[i] >= w.least()) {
			kept++
		}
	}
	f.Cost, f.P99, f.Reference, f.Ratio = median(costs), median(p99s), median(references), median(ratios)
	if w.budget() != "" && size >= w.from {
		f.Kept = float64(kept) / float64(len(runs))
	}
	return f
}

// of finds what work a figure is of; nil if it is measured no more.
func (f figure) of() *work {
	for _, w := range works {
		if w.heading == f.Heading && w.name == f.Work {
			return w
		}
	}
	return nil
}

// verdict says whether a budget was kept: in three quarters of the runs, in a
// quarter at most, or something between.
func (f figure) verdict(w *work) string {
	switch {
	case w.budget() == "" || f.Size < w.from:
		return ""
	case f.Kept >= 0.75:
		return "met"
	case f.Kept <= 0.25:
		return "**missed**"
	}
	return "**on the line**"
}

// budget says what is promised.
func (w *work) budget() string {
	switch {
	case w.under != 0 && w.unit == number:
		return "0"
	case w.under != 0:
		return "< " + w.unit.text(w.under)
	case w.alike:
		return "the same"
	case w.ratio != 0:
		return fmt.Sprintf("≥ %.1f", w.ratio)
	}
	return ""
}

// text writes a cost as people read it.
func (u unit) text(cost float64) string {
	switch u {
	case rate:
		return thousands(int(1e9/cost+0.5)) + "/s"
	case memory:
		return significant(cost) + " bytes"
	case number:
		return significant(cost)
	}
	switch {
	case cost >= 0.9995e9:
		return significant(cost/1e9) + " s"
	case cost >= 0.9995e6:
		return significant(cost/1e6) + " ms"
	case cost >= 100:
		return significant(cost/1e3) + " µs"
	}
	return significant(cost) + " ns"
}

// significant writes three digits at most, and all of those before the point.
func significant(v float64) string {
	switch {
	case v < 0.001:
		return "0"
	case v >= 100:
		return thousands(int(v + 0.5))
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// median is the middle one, or the mean of the two in the middle; 0 of none.
func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(list))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
