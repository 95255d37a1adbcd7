package main

import (
	"fmt"
	"io"
	"math"
	"time"
)

// Where the chart's plot is on its page, in pixels.
const (
	chartWidth, chartHeight = 760, 440
	plotLeft, plotRight     = 70, 420
	plotTop, plotBottom     = 40, 390
)

// chart draws growth as an SVG: memberships to the right and cost upwards, both
// by powers of ten, so that what costs the same at any size is level and what
// grows with the size climbs as steeply as the dotted line.
func chart(w io.Writer, all []growth) error {
	low, high := math.Inf(1), math.Inf(-1)
	for _, g := range all {
		for _, c := range g.costs {
			low, high = min(low, math.Floor(math.Log10(us(c)))), max(high, math.Ceil(math.Log10(us(c))))
		}
	}
	sizes := all[0].sizes
	least, most := math.Log10(float64(sizes[0])), math.Log10(float64(sizes[len(sizes)-1]))
	x := func(n int) float64 {
		return plotLeft + (plotRight-plotLeft)*(math.Log10(float64(n))-least)/max(most-least, 1)
	}
	y := func(log float64) float64 { return plotBottom - (plotBottom-plotTop)*(log-low)/max(high-low, 1) }
	p := &printer{w: w}
	p.line(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="12">`, chartWidth, chartHeight)
	p.line(`<rect width="100%%" height="100%%" fill="white"/>`)
	p.line(`<text x="%d" y="22" font-size="14">Cost against size, medians, both axes by powers of ten</text>`, plotLeft)
	for log := low; log <= high; log++ {
		p.line(`<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>`, plotLeft, plotRight, y(log), y(log))
		p.line(`<text x="%d" y="%.1f" text-anchor="end">%s</text>`, plotLeft-8, y(log)+4, time.Duration(math.Pow(10, log)*1000))
	}
	for _, n := range sizes {
		p.line(`<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#ddd"/>`, x(n), x(n), plotTop, plotBottom)
		p.line(`<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, x(n), plotBottom+18, short(n))
	}
	p.line(`<text x="%d" y="%d" text-anchor="middle">memberships</text>`, (plotLeft+plotRight)/2, plotBottom+38)
	top := min(high, low+most-least)
	p.line(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#999" stroke-dasharray="2 4"/>`,
		x(sizes[0]), y(low), x(sizes[0])+(x(sizes[len(sizes)-1])-x(sizes[0]))*(top-low)/max(most-least, 1), y(top))
	colours := []string{"#1b6ca8", "#d1495b", "#edae49", "#00798c", "#8d5a97", "#5f7470", "#e07a5f", "#3d405b"}
	for i, g := range all {
		colour := colours[i%len(colours)]
		points := ""
		for k, n := range g.sizes {
			points += fmt.Sprintf("%.1f,%.1f ", x(n), y(math.Log10(us(g.costs[k]))))
		}
		p.line(`<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`, points, colour)
		at := plotTop + 20 + 22*i
		p.line(`<line x1="%d" x2="%d" y1="%d" y2="%d" stroke="%s" stroke-width="3"/>`, plotRight+20, plotRight+40, at-4, at-4, colour)
		p.line(`<text x="%d" y="%d">%s</text>`, plotRight+48, at, g.work)
	}
	at := plotTop + 20 + 22*len(all)
	p.line(`<line x1="%d" x2="%d" y1="%d" y2="%d" stroke="#999" stroke-dasharray="2 4"/>`, plotRight+20, plotRight+40, at-4, at-4)
	p.line(`<text x="%d" y="%d">what grows as the size does</text>`, plotRight+48, at)
	p.line("</svg>")
	return p.err
}

func us(d time.Duration) float64 { return max(float64(d)/float64(time.Microsecond), 0.01) }

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
