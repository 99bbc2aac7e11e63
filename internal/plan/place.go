package plan

import (
	"cmp"
	"slices"
	"sort"
)

const (
	orderSweeps = 24
	placeSweeps = 10
)

// orderColumns puts the boxes of every column into the order with the fewest crossing
// lines that barycentre sweeps find.
func (g *picture) orderColumns() {
	best := g.remember()
	fewest := g.crossings()
	for sweep := 0; sweep < orderSweeps && fewest > 0; sweep++ {
		if sweep%2 == 0 {
			for _, c := range g.columns {
				g.sortColumn(c, func(b *box) []link { return b.ins })
			}
		} else {
			for _, c := range slices.Backward(g.columns) {
				g.sortColumn(c, func(b *box) []link { return b.outs })
			}
		}
		if n := g.crossings(); n < fewest {
			best, fewest = g.remember(), n
		}
	}
	for i, order := range best {
		g.columns[i].boxes = order
	}
	g.number()
}

func (g *picture) remember() [][]int {
	g.number()
	var orders [][]int
	for _, c := range g.columns {
		orders = append(orders, slices.Clone(c.boxes))
	}
	return orders
}

func (g *picture) number() {
	for _, c := range g.columns {
		for at, i := range c.boxes {
			g.boxes[i].at = at
		}
	}
}

// height01 is where a box stands in its column, from 0 at the top to 1.
func (g *picture) height01(b *box) float64 {
	return (float64(b.at) + 0.5) / float64(len(g.columns[b.column].boxes))
}

// sortColumn orders a column by the mean place of each box's neighbours on one side;
// a box without any keeps its place.
func (g *picture) sortColumn(c *column, side func(*box) []link) {
	for _, i := range c.boxes {
		b := g.boxes[i]
		sum, n := 0.0, 0.0
		for _, l := range side(b) {
			sum += g.height01(g.boxes[l.to])
			n++
		}
		if n == 0 {
			sum, n = g.height01(b), 1
		}
		b.centre = sum / n
	}
	slices.SortStableFunc(c.boxes, func(a, b int) int { return cmp.Compare(g.boxes[a].centre, g.boxes[b].centre) })
	for at, i := range c.boxes {
		g.boxes[i].at = at
	}
}

// crossings counts the pairs of lines that cross, column by column, with a Fenwick tree.
func (g *picture) crossings() int {
	total := 0
	var ends []int
	for k := 1; k < len(g.columns); k++ {
		tree := make([]int, len(g.columns[k].boxes)+1)
		seen := 0
		for _, i := range g.columns[k-1].boxes {
			ends = ends[:0]
			for _, l := range g.boxes[i].outs {
				ends = append(ends, g.boxes[l.to].at)
			}
			for _, at := range ends { // lines seen so far that end below this one
				above := 0
				for j := at + 1; j > 0; j -= j & -j {
					above += tree[j]
				}
				total += seen - above
			}
			for _, at := range ends {
				for j := at + 1; j < len(tree); j += j & -j {
					tree[j]++
				}
			}
			seen += len(ends)
		}
	}
	return total
}

// place gives every box its x and y. Heights come from sweeps that pull every box
// towards its neighbours, as far as the order and the distances allow.
func (g *picture) place() {
	g.height = 0
	for _, c := range g.columns {
		g.height = max(g.height, g.stackHeight(c))
	}
	for _, c := range g.columns {
		g.stack(c)
	}
	for range placeSweeps {
		for _, c := range g.columns {
			g.pull(c, 1, 0.05)
		}
		for _, c := range slices.Backward(g.columns) {
			g.pull(c, 0.05, 1)
		}
	}
	for range 2 {
		for _, c := range g.columns {
			g.pull(c, 1, 1)
		}
	}
	g.trim()
	for i, c := range g.columns {
		for _, b := range c.boxes {
			c.w = max(c.w, g.boxes[b].w)
		}
		if i > 0 {
			before := g.columns[i-1]
			c.x = before.x + before.w + columnGap + min(40, 1.5*float64(g.linesBetween(i)))
		}
		g.width = c.x + c.w
	}
	g.setX()
}

// setX moves every box to its column. Beside blocks a card stands in line with the cards
// inside of them.
func (g *picture) setX() {
	for _, c := range g.columns {
		for _, i := range c.boxes {
			b := g.boxes[i]
			b.x = c.x
			switch {
			case b.shape == bend:
				b.w = c.w
			case b.shape == card && c.w > b.w:
				b.x += blockPad
			}
		}
	}
}

func (g *picture) linesBetween(right int) int {
	n := 0
	for _, i := range g.columns[right].boxes {
		n += len(g.boxes[i].ins)
	}
	return n
}

// widen spreads the columns of a small picture over the room there is.
func (g *picture) widen(room float64) {
	if len(g.columns) < 2 || g.width >= room {
		return
	}
	more := min((room-g.width)/float64(len(g.columns)-1), 110)
	for i, c := range g.columns {
		c.x += more * float64(i)
	}
	g.width += more * float64(len(g.columns)-1)
	g.setX()
}

// gap is the least distance between two boxes that follow each other in a column.
func gap(a, b *box) float64 {
	switch {
	case a.shape == bend || b.shape == bend:
		return lineGap
	case a.shape == block || b.shape == block:
		return 2 * cardGap
	}
	return cardGap
}

func (g *picture) stackHeight(c *column) float64 {
	h := 0.0
	for k, i := range c.boxes {
		if k > 0 {
			h += gap(g.boxes[c.boxes[k-1]], g.boxes[i])
		}
		h += g.boxes[i].h
	}
	return h
}

// stack puts the boxes of a column right below each other, in the middle of the picture.
func (g *picture) stack(c *column) {
	y := (g.height - g.stackHeight(c)) / 2
	for k, i := range c.boxes {
		if k > 0 {
			y += gap(g.boxes[c.boxes[k-1]], g.boxes[i])
		}
		g.boxes[i].y = y
		y += g.boxes[i].h
	}
}

// pool is a run of boxes that stand as close as they may, and move as one.
type pool struct {
	value, weight float64
	size          int
}

// pull moves the boxes of a column as near to their neighbours as their order allows
// (pool adjacent violators: least squares under an order), inside the picture's height.
func (g *picture) pull(c *column, left, right float64) {
	offset := make([]float64, len(c.boxes)) // the least distance from the first box
	var pools []pool
	for k, i := range c.boxes {
		b := g.boxes[i]
		if k > 0 {
			above := g.boxes[c.boxes[k-1]]
			offset[k] = offset[k-1] + above.h + gap(above, b)
		}
		y, weight := g.wish(b, left, right)
		pools = append(pools, pool{y - offset[k], weight, 1})
		for n := len(pools); n > 1 && pools[n-2].value > pools[n-1].value; n-- {
			a, z := pools[n-2], pools[n-1]
			w := a.weight + z.weight
			pools[n-2] = pool{(a.value*a.weight + z.value*z.weight) / w, w, a.size + z.size}
			pools = pools[:n-1]
		}
	}
	most := g.height - g.stackHeight(c)
	k := 0
	for _, p := range pools {
		for range p.size {
			g.boxes[c.boxes[k]].y = offset[k] + max(0, min(p.value, most))
			k++
		}
	}
}

// wish is where the top of a box would like to be and how much; a box without
// neighbours would like to stay.
func (g *picture) wish(b *box, left, right float64) (y, weight float64) {
	const inertia = 0.02
	sum, total := inertia*b.y, inertia
	add := func(links []link, factor float64) {
		for _, l := range links {
			other := g.boxes[l.to]
			w := l.weight * factor
			sum += w * (other.y + other.port() - b.port())
			total += w
		}
	}
	add(b.ins, left)
	add(b.outs, right)
	return sum / total, total
}

// trim removes empty room above and below and rounds to whole pixels, so that edges are sharp.
func (g *picture) trim() {
	var tops []float64
	for _, b := range g.boxes {
		tops = append(tops, b.y)
	}
	sort.Float64s(tops)
	if len(tops) == 0 {
		return
	}
	g.height = 0
	for _, c := range g.columns {
		floor := -1e9
		for _, i := range c.boxes {
			b := g.boxes[i]
			b.y = max(float64(int(b.y-tops[0]+0.5)), floor)
			floor = b.y + b.h
			g.height = max(g.height, floor)
		}
	}
}
