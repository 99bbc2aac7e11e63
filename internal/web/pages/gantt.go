package pages

import (
	"cmp"
	"fmt"
	"html"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"reqpm/internal/web/runview"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func durationOf(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second))
}

// pictures keeps what was drawn last: whoever opens the same page a moment later need not wait for it again.
type pictures struct {
	mu  sync.Mutex
	all map[string]string
}

const maxPictures = 32

func (p *pictures) draw(key string, draw func() string) string {
	p.mu.Lock()
	kept, ok := p.all[key]
	p.mu.Unlock()
	if ok {
		return kept
	}
	svg := draw()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil || len(p.all) >= maxPictures {
		p.all = map[string]string{}
	}
	p.all[key] = svg
	return svg
}

// Sizes of the timeline in CSS pixels.
const (
	ganttWidth = 1180.0
	ganttLabel = 112.0
	ganttHead  = 26.0
	ganttRow   = 20.0
	ganttBar   = 16.0
	ganttGap   = 6.0 // between workers
	ganttLeast = 42  // of a bar whose name is written
)

// gantt draws the timeline: a row for each slot, what was built in it, and dashed what is expected.
func gantt(t runview.Timeline) string {
	var b strings.Builder
	f := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	end := max(t.End, t.Now, 10*time.Second)
	step := tickOf(end)
	end = (end + step - 1) / step * step
	x := func(d time.Duration) float64 { return ganttLabel + (ganttWidth-ganttLabel-8)*float64(d)/float64(end) }
	rows := make([]float64, len(t.Lanes))
	y := ganttHead
	for i, l := range t.Lanes {
		if i > 0 && t.Lanes[i-1].Worker != l.Worker {
			y += ganttGap
		}
		rows[i] = y
		y += ganttRow
	}
	f(`<svg class="pic gantt" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="group" aria-label="%s">`, ganttWidth, y+6, ganttWidth, y+6, html.EscapeString(ganttLabelText(t)))
	for at := time.Duration(0); at <= end; at += step {
		f(`<path class="gl" d="M%.1f %.1fV%.1f"/>`, x(at), ganttHead-6, y)
		if t.Now <= 0 || math.Abs(x(at)-nowAt(x(t.Now))) > 58 { // else under the word of the moment
			f(`<text x="%.1f" y="14" text-anchor="%s">%s</text>`, x(at), anchorOf(at, end), tickText(at, step))
		}
	}
	for i, l := range t.Lanes {
		f(`<text class="wk" x="0" y="%.1f">%s</text><rect class="wl" x="%.1f" y="%.1f" width="%.1f" height="%.0f" rx="2"/>`, rows[i]+12.5, html.EscapeString(cutName(fmt.Sprintf("%s · %d", l.Worker, l.Slot), 17)), ganttLabel, rows[i], ganttWidth-ganttLabel-8, ganttBar)
		for _, bar := range l.Bars {
			ganttOf(&b, bar, x(bar.Start), x(bar.End), rows[i])
		}
	}
	if t.Now > 0 {
		f(`<path class="now" d="M%.1f %.1fV%.1f"/><rect class="nowb" x="%.1f" y="2" width="68" height="17" rx="3"/><text class="nowt" x="%.1f" y="14" text-anchor="middle">now %s</text>`, x(t.Now), 19.0, y, nowAt(x(t.Now))-34, nowAt(x(t.Now)), clock(t.Now))
	}
	f(`</svg>`)
	return b.String()
}

func nowAt(x float64) float64 { return min(max(x, ganttLabel+34), ganttWidth-36) }

// ganttOf draws one bar.
func ganttOf(b *strings.Builder, bar runview.Bar, x0, x1, y float64) {
	w := max(x1-x0-1, 1.5)
	class := "g is-" + string(bar.State)
	if bar.Forecast {
		class = "g fc"
	}
	took := clock(bar.End - bar.Start)
	word := string(bar.State)
	if bar.Forecast {
		word = "expected"
	}
	name := cmp.Or(bar.Name, "?")
	fmt.Fprintf(b, `<a href="%s"><title>%s</title><rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.0f" rx="2"/>`, buildPath(bar.Step),
		html.EscapeString(fmt.Sprintf("%s on %s: %s, %s", name, cmp.Or(bar.Target, "every target"), word, took)), class, x0, y, w, ganttBar)
	if w >= ganttLeast {
		text := "in"
		if bar.State == runview.Failed && !bar.Forecast {
			text += " is-failed"
		}
		if bar.Forecast {
			text += " fct"
		}
		fmt.Fprintf(b, `<text class="%s" x="%.1f" y="%.1f">%s</text>`, text, x0+4, y+12, html.EscapeString(cutName(name, int((w-8)/6))))
	}
	if bar.Critical {
		fmt.Fprintf(b, `<path class="cp" d="M%.1f %.1fh%.1f"/>`, x0, y+ganttBar+1, w)
	}
	b.WriteString("</a>")
}

// cutName shortens a name to so many letters.
func cutName(name string, n int) string {
	runes := []rune(visibleName(name))
	if len(runes) <= n {
		return string(runes)
	}
	return string(runes[:max(0, n-1)]) + "…"
}

// visibleName is a name without what changes how others are read.
func visibleName(name string) string {
	return strings.Map(visibleRune, name)
}

func visibleRune(r rune) rune {
	if hides(r) {
		return '\ufffd'
	}
	return r
}

// visibleText is visibleName for a page as a whole, wherever in it a text from outside stands.
func visibleText(html string) string {
	if !hidesAny(html) {
		return html
	}
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == '\r' {
			return r
		}
		return visibleRune(r)
	}, html)
}

// hidesAny looks for what visibleText replaces: nearly always in vain, in pages of a megabyte.
func hidesAny(html string) bool {
	for i := 0; i < len(html); {
		if c := html[i]; c >= ' ' && c < 0x7f || c == '\n' || c == '\t' || c == '\r' {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(html[i:])
		if hides(r) || r == utf8.RuneError && size == 1 {
			return true
		}
		i += size
	}
	return false
}

func ganttLabelText(t runview.Timeline) string {
	bars := 0
	for _, l := range t.Lanes {
		bars += len(l.Bars)
	}
	return fmt.Sprintf("Timeline: %s on %s", plural(bars, "bar"), plural(len(t.Lanes), "slot"))
}

// tickOf is the time between two lines: eight to sixteen of them.
func tickOf(end time.Duration) time.Duration {
	for _, step := range []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 24 * time.Hour} {
		if end/step <= 12 {
			return step
		}
	}
	return end / 10
}

func tickText(at, step time.Duration) string {
	switch {
	case step < time.Minute:
		return clock(at)
	case step < time.Hour:
		return fmt.Sprintf("%.0f min", at.Minutes())
	}
	return fmt.Sprintf("%.0f h", at.Hours())
}

func anchorOf(at, end time.Duration) string {
	switch at {
	case 0:
		return "start"
	case end:
		return "end"
	}
	return "middle"
}
