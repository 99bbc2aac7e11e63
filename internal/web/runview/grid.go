package runview

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"reqpm/internal/lockfile"
	"reqpm/internal/store"
)

// Cell is one package on one target.
type Cell struct {
	Step    int64 // 0: the package is not in the target's lock
	Target  string
	State   State
	Version string
	Label   string    // the version, or what it is blocked by or waits for
	Note    string    // how long it took, its place in the queue, …
	Since   time.Time // of a running build: when it began
	Title   string    // all of it in words
}

// Row is one package on every target.
type Row struct {
	Name   string
	Direct bool // somebody asked for it
	Cells  []Cell
	Why    string
	State  State // the first of its cells' in the order
	Over   bool  // on every target, and well
}

// Grid is the packages of a run, in the order failed, blocked, running, queued, waiting, cancelled, succeeded,
// reused; of the same state those with most behind them first, then by name.
type Grid struct {
	Targets []string
	Rows    []Row
	Over    []Row // finished well everywhere, by name
	Builds  int
}

// Order is how rows are sorted.
type Order string

// The orders of a grid.
const (
	OpenFirst Order = ""
	ByName    Order = "name"
	ByTime    Order = "time"
)

// Locks are the locks of a run by target; a target that has none yet is not there.
type Locks map[string]*lockfile.Target

// NewGrid makes the grid. Edges may be nil: then nothing says what a build waits for.
func NewGrid(run store.Run, steps []store.Step, edges []store.Edge, locks Locks, order Order, now time.Time) Grid {
	g := Grid{Targets: run.Targets}
	b := gridBuilder{now: now, wanted: locks.requirers(), steps: map[int64]*store.Step{}, needs: map[int64][]int64{}, queue: queued(steps)}
	builds := map[string][]*store.Step{}
	for i, s := range steps {
		b.steps[s.ID] = &steps[i]
		if s.Kind == store.Build {
			name, _ := Split(s.Package)
			builds[name] = append(builds[name], &steps[i])
			g.Builds++
		}
	}
	for _, e := range edges {
		b.needs[e.Step] = append(b.needs[e.Step], e.Needs)
	}
	weight := map[string]float64{}
	for name, list := range builds {
		for _, row := range b.rows(name, list, g.Targets) {
			for _, s := range list {
				weight[name] = max(weight[name], s.Priority)
			}
			if row.Over && order == OpenFirst {
				g.Over = append(g.Over, row)
			} else {
				g.Rows = append(g.Rows, row)
			}
		}
	}
	slices.SortFunc(g.Over, rowsByName)
	slices.SortFunc(g.Rows, func(x, y Row) int {
		switch order {
		case ByName:
			return rowsByName(x, y)
		case ByTime:
			return cmp.Or(cmp.Compare(longest(builds[y.Name], now), longest(builds[x.Name], now)), rowsByName(x, y))
		}
		return cmp.Or(cmp.Compare(x.State.place(), y.State.place()), cmp.Compare(weight[y.Name], weight[x.Name]), rowsByName(x, y))
	})
	return g
}

func rowsByName(a, b Row) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.version(), b.version()))
}

func (r Row) version() string {
	for _, c := range r.Cells {
		if c.Step != 0 {
			return c.Version
		}
	}
	return ""
}

func longest(steps []*store.Step, now time.Time) time.Duration {
	var most time.Duration
	for _, s := range steps {
		most = max(most, took(*s, now))
	}
	return most
}

// queued is the place of each ready build among those of the run: the longest path first.
func queued(steps []store.Step) map[int64]int {
	var ready []store.Step
	for _, s := range steps {
		if s.Kind == store.Build && s.State == store.Ready {
			ready = append(ready, s)
		}
	}
	slices.SortFunc(ready, func(a, b store.Step) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.ID, b.ID))
	})
	places := map[int64]int{}
	for i, s := range ready {
		places[s.ID] = i + 1
	}
	return places
}

type gridBuilder struct {
	now    time.Time
	wanted map[string]*wanted
	steps  map[int64]*store.Step
	needs  map[int64][]int64
	queue  map[int64]int
}

// rows are those of one package: one, or as many as a target has versions of a build tool.
func (b *gridBuilder) rows(name string, builds []*store.Step, targets []string) []Row {
	slices.SortFunc(builds, func(x, y *store.Step) int { return byName(*x, *y) })
	var rows []Row
	for _, s := range builds {
		at := slices.Index(targets, s.Target)
		if at < 0 {
			continue
		}
		i := slices.IndexFunc(rows, func(r Row) bool { return r.Cells[at].Step == 0 })
		if i < 0 {
			rows = append(rows, Row{Name: name, Cells: make([]Cell, len(targets))})
			i = len(rows) - 1
			for k, t := range targets {
				rows[i].Cells[k] = Cell{Target: t, Title: "Not in the lock of " + t}
			}
		}
		rows[i].Cells[at] = b.cell(*s)
	}
	for i := range rows {
		b.finish(&rows[i])
	}
	return rows
}

// finish says of a row what follows from its cells.
func (b *gridBuilder) finish(r *Row) {
	r.Over, r.State = true, ""
	var first Cell
	for _, c := range r.Cells {
		if c.Step == 0 {
			continue
		}
		if r.State == "" || c.State.place() < r.State.place() {
			r.State, first = c.State, c
		}
		r.Over = r.Over && (c.State == Succeeded || c.State == Reused)
	}
	s := b.steps[first.Step]
	w := b.wanted[r.Name]
	if w == nil {
		w = &wanted{}
	}
	r.Direct = w.direct
	switch {
	case r.State == Failed && s.Cause != "":
		r.Why = FirstLine(s.Cause)
	case r.State == Blocked && s.Root != "":
		root, _ := Split(s.Root)
		r.Why = "Consequence of " + root
	case len(w.by) > 0:
		r.Why = "Required by " + listed(w.by, 3)
	case w.direct:
		r.Why = "Asked for by the project"
	}
}

// wanted is who wants a package, on any target.
type wanted struct {
	by     []string
	direct bool // a line of the project does
}

// requirers reads from locks who wants what.
func (l Locks) requirers() map[string]*wanted {
	all := map[string]*wanted{}
	for _, lock := range l {
		for _, list := range [][]lockfile.Package{lock.Packages, lock.Tools} {
			for _, p := range list {
				w := all[p.Name]
				if w == nil {
					w = &wanted{}
					all[p.Name] = w
				}
				for _, e := range p.RequiredBy {
					who, _, _ := strings.Cut(e.From, " ")
					if who == "" {
						w.direct = true
					} else if !slices.Contains(w.by, who) && who != p.Name {
						w.by = append(w.by, who)
					}
				}
			}
		}
	}
	for _, w := range all {
		slices.Sort(w.by)
	}
	return all
}

func listed(names []string, most int) string {
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// cell is one build.
func (b *gridBuilder) cell(s store.Step) Cell {
	name, version := Split(s.Package)
	c := Cell{Step: s.ID, Target: s.Target, State: StateOf(s), Version: version, Label: version}
	switch c.State {
	case Failed, Succeeded:
		c.Note = Duration(took(s, b.now))
	case Running:
		c.Note, c.Since = Duration(took(s, b.now)), s.Started
	case Blocked:
		root, _ := Split(s.Root)
		c.Label = "by " + root
	case Queued:
		c.Note = fmt.Sprintf("no. %d", b.queue[s.ID])
	case Waiting:
		c.Label, c.Note = b.waitsFor(s)
	case Reused:
		if c.Note = "cache"; outcomeOf(s).State == "distribution" {
			c.Note = "distro"
		}
	}
	c.Title = strings.TrimSpace(fmt.Sprintf("%s %s on %s: %s", name, version, s.Target, c.State))
	if c.Label != version {
		c.Title += ", " + c.Label
	}
	if c.Note != "" {
		c.Title += ", " + c.Note
	}
	return c
}

// waitsFor names one build that is waited for, the one with most to do, and how many others there are.
func (b *gridBuilder) waitsFor(s store.Step) (label, note string) {
	var first *store.Step
	n := 0
	for _, id := range b.needs[s.ID] {
		need := b.steps[id]
		if need == nil || need.State.Ended() {
			continue
		}
		n++
		if first == nil || need.Priority > first.Priority {
			first = need
		}
	}
	if first == nil {
		return "waiting", ""
	}
	name, _ := Split(first.Name())
	if n > 1 {
		note = fmt.Sprintf("+%d", n-1)
	}
	return "on " + name, note
}

// FirstLine is the first line of a text.
func FirstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// Duration writes a time as all pages do: 0:44, 5:05, 2:05:00; "" for none.
func Duration(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	switch {
	case d <= 0:
		return ""
	case s < 3600:
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// Key names a row of a grid, whatever states its cells have.
func (r Row) Key() string {
	key := r.Name
	for _, c := range r.Cells {
		if c.Step != 0 {
			return fmt.Sprintf("%s %d", key, c.Step)
		}
	}
	return key
}

// Keep leaves only rows with a cell of a state ("": any) whose name has a text in it. What was finished and folded is
// shown then.
func (g *Grid) Keep(state State, text string) {
	if state == "" && text == "" {
		return
	}
	all := append(g.Rows, g.Over...)
	g.Rows, g.Over = nil, nil
	for _, r := range all {
		if strings.Contains(r.Name, text) && (state == "" || slices.ContainsFunc(r.Cells, func(c Cell) bool { return c.Step != 0 && c.State == state })) {
			g.Rows = append(g.Rows, r)
		}
	}
}
