package plan

import (
	"strconv"
	"strings"
)

// Look is how a node of a live picture is shown.
type Look struct {
	State string // word of the page's style sheet and icons: "running"
	Link  string // where it leads; "": nowhere
	Note  string // beside the version: how long it took or takes
	Title string // what is told of it on hover
}

// Live draws the builds as SVG draws them, as a part of a page that has its own style sheet, icons and legend: a
// node is <g class="nd is-STATE" id="gN"> or an <a> so, with the numbers of what it waits for in data-needs, a
// line <path class="edge"> with the number of where it comes from in data-from. A script changes states by class,
// and lights up ways by these numbers.
func (p *Plan) Live(label string, look func(*Node) Look) string {
	g := newPicture(p)
	d := &drawing{g: g, look: look}
	width, height := g.width+2*livePad, g.height+liveHead+livePad
	d.printf(`<svg class="pic dag" width="%s" height="%s" viewBox="0 0 %s %s" role="group" aria-label="%s">`, num(width), num(height), num(width), num(height), text(label))
	d.printf(`<g transform="translate(%s %s)">`, num(livePad), num(liveHead))
	d.left = margin // the names of the waves are as large as they are
	d.waves()
	d.lines()
	for i, b := range g.boxes {
		switch b.shape {
		case card:
			d.node(b.members[0], b.x, b.y)
		case block:
			d.block(i)
		}
	}
	d.printf("</g></svg>")
	return d.out.String()
}

const (
	livePad  = 12.0
	liveHead = 46.0 // the names of the waves
)

// liveNode draws one card of a live picture.
func (d *drawing) liveNode(v int, x, y float64) {
	g := d.g
	n := g.nodes[v]
	l := d.look(n)
	needs := make([]string, len(g.parents[v]))
	for i, u := range g.parents[v] {
		needs[i] = strconv.Itoa(u)
	}
	class := "nd is-" + l.State
	if g.onPath[v] {
		class += " critical"
	}
	tag := "g"
	if l.Link != "" {
		tag = "a"
	}
	d.printf(`<%s id="g%d" class="%s" data-id="%s" data-needs="%s" transform="translate(%s %s)"`, tag, v, text(class), text(string(n.ID)), strings.Join(needs, " "), num(x), num(y))
	if l.Link != "" {
		d.printf(` href="%s"`, text(l.Link))
	}
	d.printf(`><title>%s</title><rect class="b" x=".5" y=".5" width="%s" height="%s" rx="6"/>`, text(l.Title), num(g.cardWidth-1), num(cardHeight-1))
	d.printf(`<use href="#i-%s" x="9" y="12" width="14" height="14"/>`, text(l.State))
	room := g.cardWidth - liveNameAt - 8
	d.printf(`<text class="name" x="%s" y="16.5">%s</text>`, num(liveNameAt), text(fit(n.Name, nameSize, room)))
	if l.Note != "" {
		room -= textWidth(l.Note, 11) + 6
	}
	d.printf(`<text class="meta" x="%s" y="30">%s</text>`, num(liveNameAt), text(fit(n.Version, 11, room)))
	if l.Note != "" {
		d.printf(`<text class="meta" x="%s" y="30" text-anchor="end">%s</text>`, num(g.cardWidth-9), text(l.Note))
	}
	d.printf("</%s>", tag)
}

const liveNameAt = 30.0

// from is what a line says of where it comes from.
func (d *drawing) from(v int) string {
	if d.look != nil {
		return strconv.Itoa(v)
	}
	return string(d.g.nodes[v].ID)
}
