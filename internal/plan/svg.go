package plan

import (
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const (
	margin   = 40.0
	headRoom = 170.0 // title and counts, before they are scaled
	waveRoom = 44.0  // the names of the waves
	footRoom = 76.0  // the legend, before it is scaled
	minWidth = 820.0 // of the columns; the header needs it
)

// SVG draws the builds as a picture that stands alone: one column per wave from left to
// right, a card per package, a line from every tool to what is built with it, the longest
// chain strong. Packages that nothing is built with and that share their tools stand in a
// block. Requirements at run time are not drawn, nor is a line that a chain of others
// already tells.
//
// Every node is a <g class="node DECISION …"> with the ID that ElementID makes and its
// plan ID in data-id. The picture follows the reader's preference for light or dark, and
// the design tokens of a page that it is made part of. It is the same for the same plan.
func (p *Plan) SVG(title string) string {
	g := newPicture(p)
	g.widen(minWidth)
	d := &drawing{g: g, ids: map[string]int{}, needed: map[ID][]Edge{}}
	for _, e := range p.edges {
		d.needed[e.To] = append(d.needed[e.To], e)
	}
	d.draw(title)
	return d.out.String()
}

// ElementID is the id attribute of a node's group in the picture. Names and versions in
// their normal forms appear as they are.
func ElementID(name, version string) string {
	var b strings.Builder
	b.WriteString("n-")
	for _, c := range []byte(name + "-" + version) {
		if c < 0x80 && (unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c)) || strings.IndexByte("-.+!", c) >= 0) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return b.String()
}

// drawing is one picture being written.
type drawing struct {
	g      *picture
	left   float64 // the margin of header and legend, in their own scale
	out    strings.Builder
	ids    map[string]int   // element ids given away, so that each is there once
	needed map[ID][]Edge    // by what is required
	look   func(*Node) Look // of a live picture; nil: it stands alone
}

func (d *drawing) draw(title string) {
	g := d.g
	width := max(g.width, minWidth) + 2*margin
	scale := lettering(width)
	d.left = margin / scale
	head := math.Round(headRoom*scale) + waveRoom
	height := head + g.height + math.Round(footRoom*scale)
	d.printf(`<svg xmlns="http://www.w3.org/2000/svg" class="reqpm-plan" width="%s" height="%s" viewBox="0 0 %s %s" role="img" aria-label="%s">`+"\n",
		num(width), num(height), num(width), num(height), text(title))
	d.printf("<title>%s</title>\n<style>\n%s</style>\n%s", text(title), style(), icons)
	d.printf(`<rect class="bg" width="%s" height="%s"/>`+"\n", num(width), num(height))
	d.printf(`<g transform="scale(%s)">`+"\n", num(scale))
	d.header(title, width/scale)
	d.printf("</g>\n")
	d.printf(`<g transform="translate(%s %s)">`+"\n", num(margin), num(head))
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
	d.printf("</g>\n")
	d.printf(`<g transform="translate(0 %s) scale(%s)">`+"\n", num(height-math.Round(footRoom*scale)), num(scale))
	d.legend(width / scale)
	d.printf("</g>\n")
	d.printf("</svg>\n")
}

// lettering is how much larger than usual the header of a large picture is, so that it is
// read from as far away as the whole is seen.
func lettering(width float64) float64 {
	return math.Round(10*max(1, min(math.Sqrt(width/1500), 2.5))) / 10
}

func (d *drawing) printf(format string, args ...any) { fmt.Fprintf(&d.out, format, args...) }

// header is the title, the longest chain in words, and the counts.
func (d *drawing) header(title string, width float64) {
	g := d.g
	tiles := g.buildTiles()
	if g.plan.requirements {
		tiles = g.requirementTiles()
	}
	d.printf(`<text class="h1" x="%s" y="56">%s</text>`+"\n", num(d.left), text(fit(title, 22, width-2*d.left)))
	d.printf(`<text class="sub" x="%s" y="80">%s</text>`+"\n", num(d.left), text(fit(g.summary(), 13, width-2*d.left)))
	x := d.left
	d.printf(`<rect class="panel" x="%s" y="98.5" width="%d" height="62" rx="8"/>`+"\n", num(x+.5), len(tiles)*116)
	for i, tile := range tiles {
		class := "num " + tile.class
		if tile.number == "0" {
			class = "num dim"
		}
		if i > 0 {
			d.printf(`<path class="rule" d="M%s 99V160"/>`, num(x+.5))
		}
		d.printf(`<text class="%s" x="%s" y="129">%s</text><text class="lab" x="%s" y="147">%s</text>`+"\n",
			strings.TrimSpace(class), num(x+16), text(tile.number), num(x+16), tile.label)
		x += 116
	}
}

// buildTiles are the numbers above a picture of builds.
func (g *picture) buildTiles() []tile {
	count := map[Decision]int{}
	packages := 0
	for _, n := range g.nodes {
		count[n.Decision]++
		if n.Runtime {
			packages++
		}
	}
	_, seconds := g.plan.CriticalPath()
	chain, work := duration(seconds), duration(g.plan.Work())
	if count[Build] > 0 && seconds == 0 {
		chain, work = "–", "–" // nothing is known about any build yet
	}
	taken := "cached"
	if count[Reuse] > 0 {
		taken = "reused"
	}
	return []tile{
		{strconv.Itoa(packages), "packages", ""},
		{strconv.Itoa(len(g.nodes) - packages), "build tools", ""},
		{strconv.Itoa(count[Build]), "to build", "build"},
		{strconv.Itoa(count[Cached] + count[Reuse]), taken, "cached"},
		{strconv.Itoa(count[Failed]), "failed", "failed"},
		{chain, "longest chain", ""},
		{work, "sum of builds", ""},
	}
}

// summary says the longest chain in words.
func (g *picture) summary() string {
	waves := 0
	if len(g.columns) > 0 {
		waves = g.columns[len(g.columns)-1].wave + 1
	}
	switch {
	case g.plan.requirements:
		return "Who requires whom: to the right of a package is what it requires"
	case waves == 0:
		return "Nothing to build"
	}
	s := plural(waves, "wave") + " of builds"
	if len(g.path) < 2 {
		return s
	}
	var names []string
	for _, v := range g.path {
		names = append(names, g.nodes[v].Name)
	}
	return s + ". The longest chain: " + strings.Join(names, " → ")
}

// waves names the columns.
func (d *drawing) waves() {
	g := d.g
	for i := 0; i < len(g.columns); {
		wave, left, right, nodes := g.columns[i].wave, g.columns[i].x, 0.0, 0
		for ; i < len(g.columns) && g.columns[i].wave == wave; i++ {
			right = g.columns[i].x + g.columns[i].w
			for _, b := range g.columns[i].boxes {
				nodes += len(g.boxes[b].members)
			}
		}
		word := "Wave"
		if g.plan.requirements || d.look != nil {
			word = "Level"
		}
		d.printf(`<text class="wave" transform="translate(%s -22) scale(%s)">%s %d <tspan class="dim">· %d</tspan></text><path class="rule" d="M%s -11.5H%s"/>`+"\n",
			num(left), num(margin/d.left), word, wave+1, nodes, num(left), num(right))
	}
}

// lines draws one path per tool, then the critical path above them.
func (d *drawing) lines() {
	g := d.g
	for _, l := range g.lines {
		var path strings.Builder
		last := -1
		for _, s := range l.segments {
			g.draw(&path, s, s.from != last)
			last = s.from
		}
		d.printf(`<path class="edge" data-from="%s" d="%s"/>`+"\n", text(d.from(l.node)), path.String())
	}
	for i := 1; i < len(g.path); i++ {
		u, v := g.path[i-1], g.path[i]
		l := g.lines[g.lineOf[u]]
		var path strings.Builder
		at := g.owner[u]
		for c := g.boxes[at].column + 1; c < g.boxes[g.owner[v]].column; c++ {
			if next, ok := l.bends[c]; ok {
				g.draw(&path, segment{at, next}, true)
				at = next
			}
		}
		g.draw(&path, segment{at, g.owner[v]}, true)
		d.printf(`<path class="crit" data-from="%s" data-to="%s" d="%s"/>`+"\n",
			text(d.from(u)), text(d.from(v)), path.String())
	}
}

// draw writes a segment: straight through the column it comes from when that is not drawn
// yet, then a curve to the next.
func (g *picture) draw(path *strings.Builder, s segment, through bool) {
	from, to := g.boxes[s.from], g.boxes[s.to]
	c := g.columns[from.column]
	x0, y0 := c.x+c.w, from.y+from.port()
	x1, y1 := g.columns[to.column].x, to.y+to.port()
	start := from.x
	if from.shape == card {
		start += from.w
	}
	if through && start < x0 {
		fmt.Fprintf(path, "M%s %sH%s", num(start), num(y0), num(x0))
	} else {
		fmt.Fprintf(path, "M%s %s", num(x0), num(y0))
	}
	if y0 == y1 {
		fmt.Fprintf(path, "H%s", num(to.x))
		return
	}
	middle := (x0 + x1) / 2
	fmt.Fprintf(path, "C%s %s %s %s %s %s", num(middle), num(y0), num(middle), num(y1), num(x1), num(y1))
	if to.x > x1 {
		fmt.Fprintf(path, "H%s", num(to.x))
	}
}

// block draws a frame that names the common tools, and the cards inside.
func (d *drawing) block(i int) {
	g := d.g
	b := g.boxes[i]
	caption, full := g.caption(b)
	count := strconv.Itoa(len(b.members))
	d.printf(`<g class="block"><title>%s</title><rect class="panel" x="%s" y="%s" width="%s" height="%s" rx="8"/>`,
		text(full), num(b.x+.5), num(b.y+.5), num(b.w-1), num(b.h-1))
	d.printf(`<text class="cap" x="%s" y="%s">%s</text><text class="cap" x="%s" y="%s" text-anchor="end">%s</text></g>`+"\n",
		num(b.x+blockPad+2), num(b.y+17.5), text(fit(caption, 11, b.w-2*blockPad-10-textWidth(count, 11))),
		num(b.x+b.w-blockPad-2), num(b.y+17.5), count)
	rows := (len(b.members) + b.cols - 1) / b.cols
	for k, v := range b.members {
		x := b.x + blockPad + float64(k/rows)*(g.cardWidth+cardGap)
		y := b.y + captionRoom + float64(k%rows)*(cardHeight+cardGap)
		d.node(v, x, y)
	}
}

// caption says what the members of a block are built with: short, and in full.
func (g *picture) caption(b *box) (short, full string) {
	if g.plan.requirements {
		return g.requirementCaption(b)
	}
	parents := g.parents[b.members[0]]
	if len(parents) == 0 {
		switch g.nodes[b.members[0]].Decision {
		case Cached:
			return "from the cache", plural(len(b.members), "package") + " from the cache"
		case Reuse:
			return "from the distribution", plural(len(b.members), "package") + " from the distribution"
		case Failed:
			return "cannot be built", plural(len(b.members), "package") + " that cannot be built"
		}
		return "wait for nothing", plural(len(b.members), "package") + " that wait for no other"
	}
	var names, ids []string
	for _, u := range parents {
		names = append(names, g.nodes[u].Name)
		ids = append(ids, g.nodes[u].Name+" "+g.nodes[u].Version)
	}
	return bounded(strings.Join(names, ", "), 600),
		bounded(plural(len(b.members), "package")+" built with "+strings.Join(ids, ", "), 600)
}

// node draws one card.
func (d *drawing) node(v int, x, y float64) {
	g := d.g
	if d.look != nil {
		d.liveNode(v, x, y)
		return
	}
	n := g.nodes[v]
	id := ElementID(n.Name, n.Version)
	d.ids[id]++
	if d.ids[id] > 1 {
		id += "_" + strconv.Itoa(d.ids[id]) // two nodes of a hostile lock may look the same
	}
	class := "node " + d.class(v)
	if g.onPath[v] {
		class += " critical"
	}
	d.printf(`<g id="%s" class="%s" data-id="%s" transform="translate(%s %s)"><title>%s</title>`,
		text(id), class, text(string(n.ID)), num(x), num(y), text(d.tooltip(v)))
	d.printf(`<rect class="box" x=".5" y=".5" width="%s" height="%s" rx="6"/><rect class="bar" x="6" y="9" width="3" height="20" rx="1.5"/>`,
		num(g.cardWidth-1), num(cardHeight-1))
	d.printf(`<use class="ic" href="#%s" x="15" y="13"/>`, iconOf(n.Decision))
	room := g.cardWidth - nameAt - 8
	d.printf(`<text class="name" x="%s" y="16.5">%s</text>`, num(nameAt), text(fit(n.Name, nameSize, room)))
	when := ""
	if n.Seconds > 0 && n.Decision == Build {
		when = duration(n.Seconds)
		room -= textWidth(when, 11) + 6
	}
	d.printf(`<text class="meta" x="%s" y="30">%s</text>`, num(nameAt), text(fit(n.Version, 11, room)))
	if when != "" {
		d.printf(`<text class="meta" x="%s" y="30" text-anchor="end">%s</text>`, num(g.cardWidth-9), text(when))
	}
	d.printf("</g>\n")
}

// class is what a node's colours depend on.
func (d *drawing) class(v int) string {
	n := d.g.nodes[v]
	class := "build"
	switch n.Decision {
	case Failed:
		class = "failed"
	case Cached, Reuse:
		class = "cached"
	}
	if !n.Runtime {
		class += " tool"
	}
	return class
}

const (
	nameAt   = 34.0 // where the text of a card starts
	nameSize = 12.5
)

// cardWidth is one width for all cards, wide enough for nine names in ten.
func cardWidth(p *Plan) float64 {
	var widths []float64
	for _, id := range p.order {
		widths = append(widths, textWidth(p.nodes[id].Name, nameSize))
	}
	if len(widths) == 0 {
		return 120
	}
	slices.Sort(widths)
	return math.Round(max(124, min(widths[len(widths)*9/10]+nameAt+12, 186)))
}

// tooltip says what a node is, what happens to it, why it is here, and with what it is built.
func (d *drawing) tooltip(v int) string {
	n := d.g.nodes[v]
	var b strings.Builder
	role := "build tool"
	if n.Runtime {
		role = "package of the set"
	}
	fmt.Fprintf(&b, "%s %s", n.Name, n.Version)
	if !d.g.plan.requirements {
		fmt.Fprintf(&b, ": %s, %s", role, verb(n))
	}
	if n.Reason != "" {
		b.WriteString("\n" + bounded(n.Reason, 300))
	}
	const most = 6
	for i, e := range d.needed[n.ID] {
		if i == most {
			fmt.Fprintf(&b, "\nand %d more", len(d.needed[n.ID])-most)
			break
		}
		b.WriteString("\n" + bounded(why(d.g.plan, e), 200))
	}
	if len(n.Root) > 0 && !d.g.plan.requirements {
		var names []string
		for _, id := range n.Root[:min(len(n.Root), 40)] {
			names = append(names, d.g.plan.nodes[id].Name+" "+d.g.plan.nodes[id].Version)
		}
		b.WriteString("\nBuild root: " + bounded(strings.Join(names, ", "), 900))
	}
	return b.String()
}

func verb(n *Node) string {
	switch n.Decision {
	case Cached:
		return "from the cache"
	case Reuse:
		return "from the distribution"
	case Failed:
		return "cannot be built"
	}
	s := "to build"
	if n.Native {
		s = "to compile"
	}
	if n.Seconds > 0 {
		s += ", about " + duration(n.Seconds)
	}
	return s
}

// why puts one requirement into words.
func why(p *Plan, e Edge) string {
	who := "You asked for "
	if from := p.nodes[e.From]; from != nil {
		who = from.Name + " " + from.Version + " needs "
	} else if e.From != "" {
		who = string(e.From) + " needs "
	}
	s := who + e.Requirement
	switch e.Kind {
	case TopLevel:
	case Install:
		s += " to run"
	default:
		s += " to be built"
	}
	if e.File != "" {
		s += fmt.Sprintf(" (%s:%d)", e.File, e.Line)
	}
	return s
}

// legend explains the colours and lines that the picture has.
func (d *drawing) legend(width float64) {
	const y = footRoom - 30
	there := map[string]bool{}
	taken := "Cached"
	for v, n := range d.g.nodes {
		there[d.class(v)] = true
		if n.Decision == Reuse {
			taken = "Reused"
		}
	}
	d.printf(`<path class="rule" d="M%s %sH%s"/>`+"\n", num(d.left), num(y-24.5), num(width-d.left))
	x := d.left
	own, others := "Package to build", "Tool to build"
	if d.g.plan.requirements {
		own, others = "Asked for", "Required by others"
	}
	for _, k := range []struct{ class, icon, label string }{
		{"build", "reqpm-build", own}, {"build tool", "reqpm-build", others},
		{"cached", "reqpm-cached", taken + " package"}, {"cached tool", "reqpm-cached", taken + " tool"},
		{"failed", "reqpm-failed", "Cannot be built"}, {"failed tool", "reqpm-failed", "Tool that cannot be built"},
	} {
		if !there[k.class] {
			continue
		}
		d.printf(`<g class="node %s" transform="translate(%s %s)"><rect class="box" x=".5" y=".5" width="31" height="21" rx="5"/><rect class="bar" x="5" y="5" width="3" height="12" rx="1.5"/><use class="ic" href="#%s" x="13" y="5"/></g>`,
			k.class, num(x), num(y-15), k.icon)
		d.printf(`<text class="key" x="%s" y="%s">%s</text>`+"\n", num(x+39), num(y), k.label)
		x += 39 + textWidth(k.label, 12) + 14
	}
	if len(d.g.path) > 1 {
		d.printf(`<path class="crit" d="M%s %sh24"/><text class="key" x="%s" y="%s">Longest chain</text>`+"\n", num(x+2), num(y-4), num(x+34), num(y))
	}
}

// duration writes seconds as the pages do: 44 s, 5:05 (minutes), 2 h 05.
func duration(seconds float64) string {
	if math.IsNaN(seconds) || seconds < 0 || seconds > 1e9 {
		return "?"
	}
	s := int(math.Round(seconds))
	switch {
	case s == 0 && seconds > 0:
		return "<1 s"
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d h %02d", s/3600, s%3600/60)
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func bounded(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// num writes a coordinate with at most one decimal.
func num(f float64) string { return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64) }

// text escapes text for XML. Characters that would reorder or hide what is beside them
// are replaced, so that a name can look like nothing but itself.
func text(s string) string {
	s = strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.Is(unicode.Cf, r) || unicode.IsControl(r)) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder does not fail
	return b.String()
}
