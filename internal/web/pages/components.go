package pages

import (
	"fmt"
	"strings"
)

// What components.templ computes.

func spin(state, class string) string {
	if state == "running" {
		return strings.TrimSpace("spin " + class)
	}
	return class
}

func orText(text, or string) string {
	if text == "" {
		return or
	}
	return text
}

func orWord(word, state string) string { return orText(word, stateWords[state]) }

func smaller(class string) string {
	if strings.Contains(" "+class+" ", " sm ") {
		return "sm"
	}
	return ""
}

func barLabel(all []segment) string {
	var parts []string
	for _, s := range all {
		if s.N > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", s.N, s.State))
		}
	}
	if len(parts) == 0 {
		return "nothing yet"
	}
	return strings.Join(parts, ", ")
}

// barRect is a segment on a width of 1000.
type barRect struct{ State, X, W string }

// barRects gives each segment its share, and a gap; what there is one of is seen too.
func barRects(all []segment) []barRect {
	const gap, least = 2.0, 8.0
	total, kinds := 0, 0
	for _, s := range all {
		if s.N > 0 {
			total += s.N
			kinds++
		}
	}
	if total == 0 {
		return nil
	}
	room := 1000 - gap*float64(kinds-1) - least*float64(kinds)
	x := 0.0
	var rects []barRect
	for _, s := range all {
		if s.N == 0 {
			continue
		}
		w := least + room*float64(s.N)/float64(total)
		rects = append(rects, barRect{s.State, fmt.Sprintf("%.1f", x), fmt.Sprintf("%.1f", w)})
		x += w + gap
	}
	return rects
}

type sparkBar struct {
	State string
	X     float64
	Y, H  float64
}

// sparkBars places runs at the right end of a row of slots.
func sparkBars(runs []runBar, slots int) []sparkBar {
	const height, least = 22.0, 4.0
	if over := len(runs) - slots; over > 0 {
		runs = runs[over:]
	}
	longest := 1.0
	for _, r := range runs {
		longest = max(longest, r.Seconds)
	}
	bars := make([]sparkBar, 0, len(runs))
	for i, r := range runs {
		h := least + (height-least)*r.Seconds/longest
		bars = append(bars, sparkBar{r.State, float64((slots - len(runs) + i) * 7), height - h, h})
	}
	return bars
}

func sparkLabel(runs []runBar) string {
	counts := map[string]int{}
	for _, r := range runs {
		counts[r.State]++
	}
	var all []segment
	for _, s := range states {
		all = append(all, segment{s, counts[s]})
	}
	return fmt.Sprintf("%s: %s", plural(len(runs), "run"), barLabel(all))
}
