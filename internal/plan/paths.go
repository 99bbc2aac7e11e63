package plan

import (
	"cmp"
	"container/heap"
	"slices"
)

// Step is one link of a path: every requirement that From has on To.
type Step struct {
	From         ID     `json:"from"` // "" for the user's own lines
	To           ID     `json:"to"`
	Requirements []Edge `json:"requirements"`
}

// maxSearch bounds the partial paths that Paths looks at: enough for every path that anybody reads.
const maxSearch = 200_000

// Paths finds the ways by which requirements lead to one package: from a line of the user's, or from a
// package that nobody requires (the project itself), step by step. Shorter ones go first, ways of the same
// length by name; no package comes twice in one. more tells that there are others beyond limit.
func Paths(edges []Edge, to ID, limit int) (paths [][]Step, more bool) {
	s := &pathSearch{into: stepsInto(edges)}
	s.measure()
	if _, reached := s.depth[to]; !reached {
		return nil, false
	}
	heap.Push(s, &partial{at: to, total: s.depth[to]})
	for n := 0; s.Len() > 0; n++ {
		p, _ := heap.Pop(s).(*partial)
		if len(s.into[p.at]) == 0 { // nobody requires it: a beginning
			if len(paths) == limit {
				return paths, true
			}
			paths = append(paths, p.steps())
			continue
		}
		if n > maxSearch {
			return paths, true
		}
		for i := range s.into[p.at] {
			step := &s.into[p.at][i]
			depth, reached := s.depth[step.From]
			if !reached || p.passes(step.From) {
				continue
			}
			heap.Push(s, &partial{at: step.From, step: step, behind: p, length: p.length + 1, total: p.length + 1 + depth})
		}
	}
	return paths, false
}

// Sorted is edges by who requires, what, and where that stands.
func Sorted(edges []Edge) []Edge {
	sorted := slices.Clone(edges)
	slices.SortFunc(sorted, compareEdges)
	return sorted
}

// stepsInto groups edges by what is required and by whom.
func stepsInto(edges []Edge) map[ID][]Step {
	into := map[ID][]Step{}
	for _, e := range Sorted(edges) {
		if e.From == e.To {
			continue // an extra of its own
		}
		list := into[e.To]
		if n := len(list); n > 0 && list[n-1].From == e.From {
			list[n-1].Requirements = append(list[n-1].Requirements, e)
			continue
		}
		into[e.To] = append(list, Step{From: e.From, To: e.To, Requirements: []Edge{e}})
	}
	return into
}

// partial is a path known from some package to its end; the rest, towards the beginning, is not.
type partial struct {
	at     ID
	step   *Step // from at onwards; nil at the end of the path
	behind *partial
	length int
	total  int // with the shortest way there is from a beginning
}

func (p *partial) passes(id ID) bool {
	for ; p != nil; p = p.behind {
		if p.at == id {
			return true
		}
	}
	return false
}

func (p *partial) steps() []Step {
	var steps []Step
	for ; p.step != nil; p = p.behind {
		steps = append(steps, *p.step)
	}
	return steps
}

// pathSearch is a search from the end, shortest whole way first. It is the heap of what is left to look at.
type pathSearch struct {
	into  map[ID][]Step
	depth map[ID]int // steps from the nearest beginning
	todo  []*partial
}

// measure finds the depth of every package, breadth first.
func (s *pathSearch) measure() {
	outof := map[ID][]ID{}
	var wave []ID
	s.depth = map[ID]int{}
	for to, steps := range s.into {
		for _, step := range steps {
			outof[step.From] = append(outof[step.From], to)
			if _, seen := s.depth[step.From]; !seen && len(s.into[step.From]) == 0 {
				s.depth[step.From] = 0
				wave = append(wave, step.From)
			}
		}
	}
	for depth := 1; len(wave) > 0; depth++ {
		var next []ID
		for _, from := range wave {
			for _, to := range outof[from] {
				if _, seen := s.depth[to]; !seen {
					s.depth[to] = depth
					next = append(next, to)
				}
			}
		}
		wave = next
	}
}

func (s *pathSearch) Len() int      { return len(s.todo) }
func (s *pathSearch) Swap(i, j int) { s.todo[i], s.todo[j] = s.todo[j], s.todo[i] }
func (s *pathSearch) Push(x any) {
	p, _ := x.(*partial)
	s.todo = append(s.todo, p)
}

func (s *pathSearch) Pop() any {
	last := len(s.todo) - 1
	p := s.todo[last]
	s.todo = s.todo[:last]
	return p
}

// Less puts the shortest whole way first, then the one with less left to find, then by name.
func (s *pathSearch) Less(i, j int) bool {
	a, b := s.todo[i], s.todo[j]
	return cmp.Or(cmp.Compare(a.total, b.total), cmp.Compare(b.length, a.length), compareTails(a, b)) < 0
}

// compareTails orders two partial paths by the names on them.
func compareTails(a, b *partial) int {
	for a != nil && b != nil {
		if c := cmp.Compare(a.at, b.at); c != 0 {
			return c
		}
		a, b = a.behind, b.behind
	}
	return 0
}
