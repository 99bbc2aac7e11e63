package plan

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Sizes of the picture in CSS pixels.
const (
	cardHeight  = 38.0
	cardGap     = 8.0 // between cards, above and beside
	lineGap     = 9.0 // between a line that passes a column and what is next to it
	blockPad    = 9.0
	captionRoom = 26.0 // the first row of a block, which says what its members are built with
	columnGap   = 46.0
	wantedRatio = 1.6

	minBlock   = 4     // so many packages with the same build tools make a block
	smallPlan  = 16    // up to so many nodes every card stands alone
	maxColumns = 8     // columns of cards inside one block
	maxBends   = 20000 // beyond that, long lines run straight, behind the cards
)

// shape says what a box of the picture is.
type shape int

const (
	card  shape = iota // one node
	block              // many nodes that nothing else is built with, and that share their build tools
	bend               // the place where the line of a tool passes a column
)

// box is one thing to place in a column.
type box struct {
	shape   shape
	members []int // nodes, in the order they are drawn
	wave    int
	column  int
	cols    int // columns of cards in a block
	x, y    float64
	w, h    float64
	ins     []link  // to the column on the left
	outs    []link  // to the column on the right
	at      int     // place in its column, while columns are put in order
	centre  float64 // mean place of its neighbours, meanwhile
}

// link ties two boxes of neighbouring columns; weight is how much it wants to be straight.
type link struct {
	to     int
	weight float64
}

// port is where lines reach a box, measured from its top.
func (b *box) port() float64 {
	switch b.shape {
	case block:
		return captionRoom/2 + 1
	case card:
		return b.h / 2
	}
	return 0
}

// column is one column of boxes, from top to bottom.
type column struct {
	wave  int
	boxes []int
	x, w  float64
}

// segment is a piece of a line between two boxes.
type segment struct{ from, to int }

// line is everything drawn from one tool to the builds that wait for it: one trunk
// that passes the columns in between and a branch to every box.
type line struct {
	node     int
	segments []segment
	bends    map[int]int // column → box
}

// picture is the plan laid out: nodes in boxes, boxes in columns, lines between them.
type picture struct {
	plan      *Plan
	nodes     []*Node // in build order
	parents   [][]int // what is drawn as built before a node, reduced
	children  [][]int
	path      []int // the critical path
	onPath    []bool
	boxes     []*box
	owner     []int // node → box
	columns   []*column
	lines     []*line
	lineOf    []int // node → line, -1 for none
	cardWidth float64
	width     float64 // of the columns alone, without margins
	height    float64
}

func newPicture(p *Plan) *picture {
	g := &picture{plan: p, cardWidth: cardWidth(p)}
	index := make(map[ID]int, len(p.order))
	for i, id := range p.order {
		index[id] = i
		g.nodes = append(g.nodes, p.nodes[id])
	}
	g.onPath = make([]bool, len(g.nodes))
	path, _ := p.CriticalPath()
	for _, id := range path {
		g.path = append(g.path, index[id])
		g.onPath[index[id]] = true
	}
	g.connect(index)
	g.makeBoxes()
	g.makeColumns()
	g.route()
	g.orderColumns()
	g.place()
	return g
}

// connect finds who is drawn as built before whom: the build requirements, or the build
// root of a node whose requirements are not known, and the critical path; then leaves out
// every connection that a longer way through others already tells.
func (g *picture) connect(index map[ID]int) {
	n := len(g.nodes)
	g.parents, g.children = make([][]int, n), make([][]int, n)
	for _, e := range g.plan.edges {
		from, known := index[e.From]
		to, alsoKnown := index[e.To]
		if !known || !alsoKnown || e.Kind == Install || e.Kind == TopLevel {
			continue
		}
		// A reused package keeps its requirements but waits for nothing: no line then.
		if g.plan.level[e.To] < g.plan.level[e.From] {
			g.parents[from] = append(g.parents[from], to)
		}
	}
	for v, node := range g.nodes {
		if len(g.parents[v]) == 0 {
			for _, id := range node.Root {
				g.parents[v] = append(g.parents[v], index[id])
			}
		}
	}
	before := make([]int, n) // the node before this one on the critical path
	for i := range before {
		before[i] = -1
	}
	for i := 1; i < len(g.path); i++ {
		v := g.path[i]
		before[v] = g.path[i-1]
		g.parents[v] = append(g.parents[v], g.path[i-1])
	}
	g.reduce(before)
}

// reduce is the transitive reduction; it keeps the critical path whole.
func (g *picture) reduce(before []int) {
	n := len(g.nodes)
	words := (n + 63) / 64
	behind := make([]uint64, n*words) // row v: everything that must be built before v
	for v := range n {                // build order: parents come first
		row := behind[v*words : (v+1)*words]
		all := slices.Compact(slices.Sorted(slices.Values(g.parents[v])))
		var kept []int
		for _, u := range slices.Backward(all) {
			if row[u/64]&(1<<(u%64)) == 0 || u == before[v] {
				kept = append(kept, u)
			}
			row[u/64] |= 1 << (u % 64)
			for w, bits := range behind[u*words : (u+1)*words] {
				row[w] |= bits
			}
		}
		slices.Reverse(kept)
		g.parents[v] = kept
		for _, u := range kept {
			g.children[u] = append(g.children[u], v)
		}
	}
}

// makeBoxes puts every node into a card, or into a block with those like it.
func (g *picture) makeBoxes() {
	groups := map[string][]int{}
	keys := make([]string, len(g.nodes))
	if len(g.nodes) > smallPlan {
		for v := range g.nodes {
			if len(g.children[v]) == 0 && !g.onPath[v] {
				keys[v] = g.groupKey(v)
				groups[keys[v]] = append(groups[keys[v]], v)
			}
		}
	}
	g.owner = make([]int, len(g.nodes))
	for v, node := range g.nodes {
		members := groups[keys[v]]
		b := &box{shape: card, members: []int{v}, wave: g.plan.level[node.ID], w: g.cardWidth, h: cardHeight}
		if keys[v] != "" && len(members) >= minBlock {
			if members[0] != v {
				continue // its block was made with the first member
			}
			b.shape, b.members = block, members
			slices.SortStableFunc(b.members, func(a, c int) int { return cmp.Compare(g.nodes[a].Name, g.nodes[c].Name) })
			g.fold(b, 1)
		}
		for _, m := range b.members {
			g.owner[m] = len(g.boxes)
		}
		g.boxes = append(g.boxes, b)
	}
}

// groupKey is the same for nodes that may share a block.
func (g *picture) groupKey(v int) string {
	var key strings.Builder
	key.WriteString(strconv.Itoa(g.plan.level[g.nodes[v].ID]))
	for _, u := range g.parents[v] {
		key.WriteByte(' ')
		key.WriteString(strconv.Itoa(u))
	}
	if len(g.parents[v]) == 0 {
		key.WriteString(string(g.nodes[v].Decision))
	}
	return key.String()
}

// fold gives a block so many columns of cards.
func (g *picture) fold(b *box, cols int) {
	b.cols = max(1, min(cols, len(b.members)))
	rows := (len(b.members) + b.cols - 1) / b.cols
	b.cols = (len(b.members) + rows - 1) / rows // no empty column at the end
	b.w = float64(b.cols)*(g.cardWidth+cardGap) - cardGap + 2*blockPad
	b.h = captionRoom + float64(rows)*(cardHeight+cardGap) - cardGap + blockPad
}

// shaping is how boxes are dealt: no column higher than height if it can be helped, and
// blocks of n cards with about √(n÷stretch) columns.
type shaping struct{ height, stretch float64 }

// makeColumns deals the boxes of every wave into one or more columns, in the way
// that brings the picture closest to the wanted shape.
func (g *picture) makeColumns() {
	waves := g.waves()
	through := g.passing(len(waves))
	var best shaping
	bestScore := math.Inf(1)
	for _, stretch := range []float64{5, 9, 16, math.Inf(1)} {
		for height := 240.0; height < 12000; height *= 1.09 {
			try := shaping{height, stretch}
			w, h := g.extent(g.deal(waves, through, try), through)
			w += 2 * margin
			h += waveRoom + (headRoom+footRoom)*lettering(w)
			// The wanted shape first, then little empty paper.
			score := math.Abs(math.Log(w/h/wantedRatio)) + 0.3*math.Log(w*h)
			if score < bestScore-1e-9 {
				best, bestScore = try, score
			}
		}
	}
	g.columns = g.deal(waves, through, best)
	for i, c := range g.columns {
		for _, b := range c.boxes {
			g.boxes[b].column = i
		}
	}
}

func (g *picture) waves() [][]int {
	var waves [][]int
	for i, b := range g.boxes {
		for len(waves) <= b.wave {
			waves = append(waves, nil)
		}
		waves[b.wave] = append(waves[b.wave], i)
	}
	return waves
}

// passing counts the lines that pass each wave on their way to a later one.
func (g *picture) passing(waves int) []float64 {
	change := make([]float64, waves+1)
	for u, children := range g.children {
		last := 0
		for _, v := range children {
			last = max(last, g.boxes[g.owner[v]].wave)
		}
		if first := g.boxes[g.owner[u]].wave + 1; first < last {
			change[first]++
			change[last]--
		}
	}
	for i := 1; i < len(change); i++ {
		change[i] += change[i-1]
	}
	return change[:waves]
}

// deal makes the columns. Within a wave what
// nothing is built with stands left, so that only the lines of tools go on from the right.
func (g *picture) deal(waves [][]int, through []float64, s shaping) []*column {
	var columns []*column
	for wave, boxes := range waves {
		room := s.height - through[wave]*lineGap
		var ends, tools []int
		total := 0.0
		for _, i := range boxes {
			b := g.boxes[i]
			if b.shape == block {
				rows := max(2, math.Floor((room-captionRoom)/(cardHeight+cardGap)))
				n := float64(len(b.members))
				g.fold(b, int(min(max(math.Ceil(n/rows), math.Round(math.Sqrt(n/s.stretch))), maxColumns)))
			}
			total += b.h + cardGap
			if b.shape == block || len(g.children[b.members[0]]) == 0 && !g.onPath[b.members[0]] {
				ends = append(ends, i)
			} else {
				tools = append(tools, i)
			}
		}
		if total <= room {
			columns = append(columns, &column{wave: wave, boxes: append(ends, tools...)})
			continue
		}
		columns = append(columns, g.split(wave, ends, room)...)
		columns = append(columns, g.split(wave, tools, room)...)
	}
	return columns
}

// split deals boxes into columns of about the same height.
func (g *picture) split(wave int, boxes []int, room float64) []*column {
	total := 0.0
	for _, i := range boxes {
		total += g.boxes[i].h + cardGap
	}
	share := total / max(1, math.Ceil(total/max(room, 1)))
	var columns []*column
	filled := math.Inf(1)
	for _, i := range boxes {
		h := g.boxes[i].h + cardGap
		if filled+h/2 > share {
			columns = append(columns, &column{wave: wave})
			filled = 0
		}
		c := columns[len(columns)-1]
		c.boxes = append(c.boxes, i)
		filled += h
	}
	return columns
}

// extent estimates the size of columns before their lines are known.
func (g *picture) extent(columns []*column, through []float64) (w, h float64) {
	for _, c := range columns {
		high, wide := through[c.wave]*lineGap, 0.0
		for _, i := range c.boxes {
			high += g.boxes[i].h + cardGap
			wide = max(wide, g.boxes[i].w)
		}
		w += wide + columnGap
		h = max(h, high)
	}
	return w - columnGap, h
}

// route makes one line per tool: a trunk with a bend in every column it passes,
// and a branch to every box that waits for it.
func (g *picture) route() {
	g.lineOf = make([]int, len(g.nodes))
	bends := 0
	for u, children := range g.children {
		g.lineOf[u] = -1
		for _, v := range children {
			bends += g.boxes[g.owner[v]].column - g.boxes[g.owner[u]].column - 1
		}
	}
	for u, children := range g.children {
		if len(children) == 0 {
			continue
		}
		targets := map[int][]int{} // column → boxes
		last := 0
		for _, v := range children {
			c := g.boxes[g.owner[v]].column
			if !slices.Contains(targets[c], g.owner[v]) {
				targets[c] = append(targets[c], g.owner[v])
			}
			last = max(last, c)
		}
		l := &line{node: u, bends: map[int]int{}}
		g.lineOf[u] = len(g.lines)
		g.lines = append(g.lines, l)
		g.trunk(l, targets, last, bends <= maxBends)
	}
}

func (g *picture) trunk(l *line, targets map[int][]int, last int, bent bool) {
	at := g.owner[l.node]
	critical := -1 // the column up to which the critical path runs along this line
	for _, v := range g.children[l.node] {
		if g.onPath[l.node] && g.onPath[v] {
			critical = max(critical, g.boxes[g.owner[v]].column)
		}
	}
	for c := g.boxes[at].column + 1; c <= last; c++ {
		for _, t := range targets[c] {
			l.segments = append(l.segments, segment{at, t})
			weight := 1.0
			if t := g.boxes[t]; t.shape == card && g.onPath[l.node] && g.onPath[t.members[0]] {
				weight = 6
			}
			if g.boxes[at].column == c-1 {
				g.tie(at, t, weight)
			}
		}
		if c < last && bent {
			g.boxes = append(g.boxes, &box{shape: bend, wave: g.columns[c].wave, column: c})
			next := len(g.boxes) - 1
			g.columns[c].boxes = append(g.columns[c].boxes, next)
			l.bends[c] = next
			l.segments = append(l.segments, segment{at, next})
			weight := 4.0
			if c < critical {
				weight = 12
			}
			g.tie(at, next, weight)
			at = next
		}
	}
}

func (g *picture) tie(left, right int, weight float64) {
	g.boxes[left].outs = append(g.boxes[left].outs, link{right, weight})
	g.boxes[right].ins = append(g.boxes[right].ins, link{left, weight})
}
