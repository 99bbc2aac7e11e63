package plan

import (
	"fmt"
	"strings"
	"unicode"
)

// colour is one colour of the picture: the design token it is named after, and its
// value in light and in dark for a reader outside of the web pages.
type colour struct{ token, light, dark string }

// The values are those of the web pages' tokens.
var (
	cBackground = colour{"surface", "#ffffff", "#121519"}
	cPanel      = colour{"surface-2", "#f1f3f6", "#191d22"}
	cBorder     = colour{"border", "#dfe3e8", "#242a31"}
	cText       = colour{"text", "#161a20", "#e7eaee"}
	cText2      = colour{"text-2", "#47505d", "#abb4c0"}
	cText3      = colour{"text-3", "#5d6673", "#8c96a4"}
	cAccent     = colour{"accent", "#5443c4", "#a79bff"}
)

// state is how a node of one class looks: foreground, tint and outline.
type state struct {
	class            string
	strong, bg, line colour
}

// The first three are decisions of a plan; the others are there for a page that shows
// a run and swaps the class of a node.
var states = []state{
	{"build", colour{"running", "#0f60b3", "#5fb4ff"}, colour{"running-bg", "#ecf2f9", "#1c2a37"}, colour{"running-line", "#abc7e4", "#2f5170"}},
	{"build.tool", colour{"queued", "#735a0c", "#d9c27a"}, colour{"queued-bg", "#f4f2ec", "#2c2b26"}, colour{"queued-line", "#cec5aa", "#5e573e"}},
	{"cached", colour{"reused", "#08696a", "#4fc1bd"}, colour{"reused-bg", "#ebf3f3", "#1a2b2e"}, colour{"reused-line", "#a9cacb", "#295657"}},
	{"failed", colour{"failed", "#c1272e", "#ff6b6f"}, colour{"failed-bg", "#faeeee", "#312024"}, colour{"failed-line", "#e9b3b6", "#6c363a"}},
	{"succeeded", colour{"succeeded", "#12704a", "#55c48b"}, colour{"succeeded-bg", "#ecf4f1", "#1b2c28"}, colour{"succeeded-line", "#accdc0", "#2b5844"}},
	{"running", colour{"running", "#0f60b3", "#5fb4ff"}, colour{"running-bg", "#ecf2f9", "#1c2a37"}, colour{"running-line", "#abc7e4", "#2f5170"}},
	{"blocked", colour{"blocked", "#9a4a12", "#ee9a5c"}, colour{"blocked-bg", "#f7f1ec", "#2f2622"}, colour{"blocked-line", "#dcc0ac", "#664832"}},
	{"queued", colour{"waiting", "#4f5d72", "#9aa8bd"}, colour{"waiting-bg", "#f1f2f4", "#24282e"}, colour{"waiting-line", "#c1c6ce", "#464d57"}},
	{"waiting", colour{"waiting", "#4f5d72", "#9aa8bd"}, colour{"waiting-bg", "#f1f2f4", "#24282e"}, colour{"waiting-line", "#c1c6ce", "#464d57"}},
}

// fonts is the stack of the web pages.
const fonts = `Inter,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","Noto Sans","Liberation Sans",Arial,sans-serif`

// shapes are the rules that do not depend on light and dark.
const shapes = `.reqpm-plan{font-family:` + fonts + `;font-variant-numeric:tabular-nums}
.reqpm-plan .h1{font-size:22px;font-weight:600;letter-spacing:-.01em}
.reqpm-plan .sub,.reqpm-plan .wave{font-size:13px}
.reqpm-plan .num{font-size:22px;font-weight:600}
.reqpm-plan .lab,.reqpm-plan .cap,.reqpm-plan .meta{font-size:11px}
.reqpm-plan .key{font-size:12px}
.reqpm-plan .name{font-size:12.5px;font-weight:500}
.reqpm-plan .wave{font-weight:500}
.reqpm-plan .edge,.reqpm-plan .crit,.reqpm-plan .rule{fill:none}
.reqpm-plan .edge{stroke-width:1.25;stroke-opacity:.55}
.reqpm-plan .crit{stroke-width:2.75;stroke-linecap:round}
.reqpm-plan .critical .box{stroke-width:2}
.reqpm-plan .ic{fill:none;stroke-width:1.5;stroke-linecap:round;stroke-linejoin:round}
.reqpm-plan .node:hover .box{stroke-width:2}
.reqpm-plan .edge:hover{stroke-width:2.5;stroke-opacity:1}
`

// style is the style sheet of the picture: light, and dark where the reader prefers it.
// Every colour is a literal first, for readers without custom properties, then the page's
// token when the picture is part of a page that has them.
func style() string {
	var b strings.Builder
	b.WriteString(shapes)
	rules(&b, func(c colour) string { return c.light })
	b.WriteString("@media (prefers-color-scheme:dark){\n")
	rules(&b, func(c colour) string { return c.dark })
	b.WriteString("}\n")
	return b.String()
}

func rules(b *strings.Builder, value func(colour) string) {
	rule := func(selector string, pairs ...any) {
		b.WriteString(".reqpm-plan " + strings.ReplaceAll(selector, ",", ",.reqpm-plan ") + "{")
		for i := 0; i+1 < len(pairs); i += 2 {
			property, c := pairs[i].(string), pairs[i+1].(colour)
			fmt.Fprintf(b, "%s:%s;%s:var(--%s,%s);", property, value(c), property, c.token, value(c))
		}
		b.WriteString("}\n")
	}
	rule(".bg", "fill", cBackground)
	rule(".panel", "fill", cPanel, "stroke", cBorder)
	rule(".h1,.name,.num", "fill", cText)
	rule(".sub,.wave,.key", "fill", cText2)
	rule(".lab,.cap,.meta,.dim", "fill", cText3)
	rule(".rule", "stroke", cBorder)
	rule(".edge", "stroke", cText3)
	rule(".crit", "stroke", cAccent)
	for _, s := range states {
		rule("."+s.class+" .box", "fill", s.bg, "stroke", s.line)
		rule("."+s.class+" .bar", "fill", s.strong)
		rule("."+s.class+" .ic", "stroke", s.strong)
		rule(".num."+s.class, "fill", s.strong)
	}
	rule(".node.tool .bar", "fill", states[1].strong)
	rule(".node.critical .box", "stroke", cAccent)
}

// icons tell the decision by outline, for those who do not see the colours: a box to be
// built, two arrows for reuse, an octagon with a cross. Each fits 12 by 12 pixels.
const icons = `<defs><g id="reqpm-build"><path d="M6 .8 10.600 3.400v5.200L6 11.200 1.400 8.600V3.400z"/><path d="M1.600 3.500 6 6l4.400-2.500M6 6v5"/></g>` +
	`<g id="reqpm-cached"><path d="M10.300 4.600A4.500 4.500 0 0 0 2 3.800M1.700 7.400A4.500 4.500 0 0 0 10 8.200"/><path d="M1.700 1.400v2.500h2.500M10.300 10.600V8.100H7.800"/></g>` +
	`<g id="reqpm-failed"><path d="M3.900.9h4.200l3 3v4.200l-3 3H3.900l-3-3V3.900z"/><path d="m4.200 4.200 3.600 3.600m0-3.600L4.200 7.800"/></g></defs>
`

func iconOf(d Decision) string {
	switch d {
	case Cached, Reuse:
		return "reqpm-cached"
	case Failed:
		return "reqpm-failed"
	}
	return "reqpm-build"
}

// textWidth is how wide a text is at a font size, rather more than less: the reader's
// system font is unknown.
func textWidth(s string, size float64) float64 {
	w := 0.0
	for _, r := range s {
		switch {
		case strings.ContainsRune("fijlrtI.,:;'|!()[] -", r):
			w += 0.38
		case strings.ContainsRune("mwMW@%", r):
			w += 0.92
		case r < 0x80 && !unicode.IsUpper(r):
			w += 0.6
		case r < 0x2000:
			w += 0.72
		default:
			w += 1.05
		}
	}
	return w * size
}

// fit shortens a text to a width, with an ellipsis.
func fit(s string, size, width float64) string {
	if textWidth(s, size) <= width {
		return s
	}
	runes := []rune(s)
	if len(runes) > 400 {
		runes = runes[:400] // hostile length: nothing that long fits anyway
	}
	for len(runes) > 1 && textWidth(string(runes), size)+0.9*size > width {
		runes = runes[:len(runes)-1]
	}
	return strings.TrimRight(string(runes), " .-") + "…"
}
