package main

import (
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"time"
)

// Where things are on the chart, in pixels: panels side by side, each with a plot
// and below it what the lines are.
const (
	panelsAcross         = 3
	panelWidth           = 320
	plotLeft, plotRight  = 52, 304
	plotTop, plotBottom  = 30, 190
	namesTop, nameHeight = 236, 16
	chartTop             = 44
	decades              = 4 // that a plot is high at least, so that slopes compare
	colours              = 6
	style                = `
svg { background: #ffffff; font: 12px system-ui, sans-serif; } text { fill: #1f2328; } .less { fill: #59636e; font-size: 11px; } .title { font-weight: 600; }
.grid { stroke: #d1d9e0; } .slope { stroke: #818b98; stroke-dasharray: 1 4; } path { fill: none; stroke-width: 2; } .budget { stroke-width: 1.2; stroke-dasharray: 5 3; } .only { stroke-width: 1; }
.c0 { stroke: #0969da; } .c1 { stroke: #cf222e; } .c2 { stroke: #1a7f37; } .c3 { stroke: #9a6700; } .c4 { stroke: #8250df; } .c5 { stroke: #bf3989; }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117; } text { fill: #f0f6fc; } .less { fill: #9198a1; } .grid { stroke: #3d444d; } .slope { stroke: #9198a1; }
.c0 { stroke: #58a6ff; } .c1 { stroke: #ff7b72; } .c2 { stroke: #3fb950; } .c3 { stroke: #d29922; } .c4 { stroke: #bc8cff; } .c5 { stroke: #f778ba; }
}
`
)

// scale places values along an axis by powers of ten.
type scale struct {
	low, high float64 // powers of ten at the ends
	from, to  float64 // pixels there
}

func (s scale) at(v float64) float64 {
	return s.from + (s.to-s.from)*(math.Log10(v)-s.low)/(s.high-s.low)
}

// around makes an axis of whole powers of ten that has room for all values and
// spans so many at least, with what is to spare on both sides of them.
func around(values []float64, span, from, to float64) scale {
	low, high := math.Floor(math.Log10(slices.Min(values))), math.Ceil(math.Log10(slices.Max(values)))
	for grow := 0; high-low < span; grow++ {
		if grow%2 == 0 {
			high++
		} else {
			low--
		}
	}
	return scale{low, high, from, to}
}

// curve is a line of the chart: a work that was measured at more than one size.
type curve struct {
	work   *work
	sizes  []float64
	costs  []float64
	budget []float64 // the cost that would just do, at each size
}

// panel is the curves below one heading.
type panel struct {
	heading string
	curves  []curve
}

// panels sorts figures into curves.
func panels(figures []figure) []panel {
	var list []panel
	for _, w := range works {
		if w.unit == number {
			continue
		}
		c := curve{work: w}
		for _, n := range sizesOf(figures) {
			f, ok := find(figures, w, n)
			if !ok || f.Cost <= 0 {
				continue
			}
			c.sizes, c.costs = append(c.sizes, float64(n)), append(c.costs, f.Cost)
			switch {
			case w.under != 0:
				c.budget = append(c.budget, w.under)
			case w.ratio != 0:
				c.budget = append(c.budget, f.Reference/w.ratio)
			}
		}
		if len(c.sizes) < 2 {
			continue
		}
		if len(list) == 0 || list[len(list)-1].heading != w.heading {
			list = append(list, panel{heading: w.heading})
		}
		last := &list[len(list)-1]
		last.curves = append(last.curves, c)
	}
	return list
}

// chart draws what works cost against the size of the directory as an SVG, both by
// powers of ten: what costs the same at any size is level, and what grows as the
// size does climbs like the dotted line. It has colours for light and for dark.
func chart(out io.Writer, figures []figure) error {
	list := panels(figures)
	names := 0 // lines below a plot
	for _, p := range list {
		names = max(names, len(p.curves))
	}
	height := namesTop + nameHeight*names + 12
	rows := (len(list) + panelsAcross - 1) / panelsAcross
	p := &printer{w: out}
	p.line(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img">`, panelsAcross*panelWidth, chartTop+rows*height)
	p.line("<title>Cost against size</title><style>%s</style>", style)
	p.line(`<text x="16" y="24" class="less">Medians against memberships, both by powers of ten. Dashed: the budget. Thin: what others are held against. Dotted: what grows as the size does.</text>`)
	for i, one := range list {
		p.line(`<g transform="translate(%d %d)">`, i%panelsAcross*panelWidth, chartTop+i/panelsAcross*height)
		one.draw(p)
		p.line("</g>")
	}
	p.line("</svg>")
	return p.err
}

func (n panel) draw(p *printer) {
	var costs, sizes []float64
	for _, c := range n.curves {
		costs, sizes = append(append(costs, c.costs...), c.budget...), append(sizes, c.sizes...)
	}
	slices.Sort(sizes)
	sizes = slices.Compact(sizes)
	x, y := around(sizes, 1, plotLeft, plotRight), around(costs, decades, plotBottom, plotTop)
	p.line(`<text x="16" y="16" class="title">%s</text>`, html.EscapeString(n.heading))
	for power := y.low; power <= y.high; power++ {
		at := y.at(math.Pow(10, power))
		p.line(`<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, plotLeft, plotRight, at, at)
		p.line(`<text class="less" x="%d" y="%.1f" text-anchor="end">%s</text>`, plotLeft-6, at+4, n.mark(power))
	}
	for _, size := range sizes {
		p.line(`<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`, x.at(size), x.at(size), plotTop, plotBottom)
		p.line(`<text class="less" x="%.1f" y="%d" text-anchor="middle">%s</text>`, x.at(size), plotBottom+16, short(int(size)))
	}
	// From the lower left, as far as there is room.
	rise := min(y.high-y.low, x.high-x.low)
	p.line(`<line class="slope" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`,
		x.from, y.from, x.at(math.Pow(10, x.low+rise)), y.at(math.Pow(10, y.low+rise)))
	for i, c := range n.curves {
		class := fmt.Sprintf("c%d", i%colours)
		if c.work.only {
			class += " only"
		}
		if len(c.budget) > 0 {
			p.line(`<path class="%s budget" d="%s"/>`, class, path(x, y, c.sizes, c.budget))
		}
		p.line(`<path class="%s" d="%s"/>`, class, path(x, y, c.sizes, c.costs))
		at := namesTop + nameHeight*i
		p.line(`<path class="%s" d="M16 %.1fh18"/><text class="less" x="40" y="%d">%s</text>`, class, float64(at)-4.5, at, html.EscapeString(c.work.name))
	}
}

// mark says what a power of ten on the upward axis is.
func (n panel) mark(power float64) string {
	if n.curves[0].work.unit == memory {
		return fmt.Sprintf("%g B", math.Pow(10, power))
	}
	return time.Duration(math.Round(math.Pow(10, power))).String()
}

// path goes through points, with a dot at each.
func path(x, y scale, sizes, costs []float64) string {
	text := ""
	for i := range costs {
		to := 'L'
		if i == 0 {
			to = 'M'
		}
		text += fmt.Sprintf("%c%.1f %.1f", to, x.at(sizes[i]), y.at(costs[i]))
	}
	return text
}

// printer writes lines until one fails.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}
