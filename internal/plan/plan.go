// Package plan turns a lock and the facts of its packages into a graph of builds:
// who waits for whom, in which order, how long it should take, and where a loop is.
//
// It is pure; a Plan does not change after New and is safe for concurrent use.
package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// ID names one build, "name==version". Several versions of a build tool are several builds.
type ID string

// NewID makes the ID of a PEP 503 name and a normalised version.
func NewID(name, version string) ID { return ID(name + "==" + version) }

// Kind is why one package needs another.
type Kind string

// The kinds of edges. A build-sdist edge would be what a backend wants for making a source
// distribution (PEP 517, get_requires_for_build_sdist). There is none: what is built is the archive that
// the index has, or a project's tree packed as it is, and neither runs that hook.
const (
	TopLevel     Kind = "toplevel"
	Install      Kind = "install"
	BuildSystem  Kind = "build-system"
	BuildBackend Kind = "build-backend"
)

// Decision is what happens to a package.
type Decision string

// A package is built, taken from the cache of builds or from the distribution, or cannot be built
// at all.
const (
	Build  Decision = "build"
	Cached Decision = "cached"
	Reuse  Decision = "reuse"  // the distribution's own RPM does; Reason names it
	Failed Decision = "failed" // known before anything is built; Reason says why
)

// Node is one package version of the plan.
type Node struct {
	ID       ID       `json:"id"`
	Name     string   `json:"name"`
	Version  string   `json:"version"`
	Runtime  bool     `json:"runtime"` // part of what is published; false: a build tool only
	Decision Decision `json:"decision"`
	Reason   string   `json:"reason,omitempty"`
	Native   bool     `json:"native"`
	Rust     *Rust    `json:"rust,omitempty"` // nil when cargo builds nothing
	Seconds  float64  `json:"seconds"`        // expected duration of the build; 0 for those that are not built
	// Root is everything installed into this package's build root from the run's own
	// repository: direct build requirements and what those need to run.
	Root []ID `json:"root,omitempty"`
	// Overrides are what people say of the package, and where.
	Overrides []Override `json:"overrides,omitempty"`
	// Fetch is what this build gets of the machine's own distribution beyond what the machine has.
	Fetch []Fetched `json:"fetch,omitempty"`
	Notes []string  `json:"notes,omitempty"` // libraries and tools that it has to do without
}

// Override is one thing that people say of a package: the key, the value and where it stands. File
// may be a flag, with Line 0.
type Override struct {
	Key  string `json:"key"`
	Text string `json:"text"`
	File string `json:"file"`
	Line int    `json:"line,omitempty"`
}

// At is "file:line".
func (o Override) At() string {
	if o.Line == 0 {
		return o.File
	}
	return fmt.Sprintf("%s:%d", o.File, o.Line)
}

// Rust is what cargo needs for a build.
type Rust struct {
	// Archive is the source that holds the crates, SHA256 its digest; "" when the sdist brings them.
	Archive string `json:"archive,omitempty"`
	SHA256  string `json:"sha256,omitempty"`
	// Linked is how many crates become part of the package.
	Linked int `json:"linked"`
	// MinVersion is the oldest Rust that builds it, "" when nothing says so.
	MinVersion string `json:"min_version,omitempty"`
}

// String is for people: "30 crates, Rust 1.74".
func (r *Rust) String() string {
	var words []string
	switch {
	case r.Linked == 1:
		words = append(words, "1 crate")
	case r.Linked > 1:
		words = append(words, fmt.Sprintf("%d crates", r.Linked))
	}
	if r.MinVersion != "" {
		words = append(words, "Rust "+r.MinVersion)
	}
	return strings.Join(words, ", ")
}

// Fetched is a package of the machine's own distribution.
type Fetched struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Bytes   int64  `json:"bytes"` // to download, unless it was before
}

// Edge is one requirement: From needs To. From is "" for the user's own requirements.
type Edge struct {
	From        ID     `json:"from"`
	To          ID     `json:"to"`
	Kind        Kind   `json:"kind"`
	Requirement string `json:"requirement"`
	File        string `json:"file,omitempty"`
	Line        int    `json:"line,omitempty"`
}

// CycleError is a loop among builds: each needs the next one built first.
type CycleError struct{ Loop []ID }

func (e *CycleError) Error() string {
	names := make([]string, 0, len(e.Loop)+1)
	for _, id := range e.Loop {
		names = append(names, string(id))
	}
	names = append(names, names[0])
	return "these packages need each other to be built: " + strings.Join(names, " → ")
}

// Plan is the graph of builds, ready to be walked.
type Plan struct {
	nodes      map[ID]*Node
	order      []ID
	level      map[ID]int
	tail       map[ID]float64 // seconds from the start of a build to the end of the longest chain behind it
	dependents map[ID][]ID
	edges      []Edge

	requirements bool // drawn as who requires whom, not as builds
}

// New checks and orders a graph. A Root that names an unknown node is an error of the
// caller; a loop is a *CycleError with the shortest one there is.
func New(nodes []Node, edges []Edge) (*Plan, error) {
	p := &Plan{
		nodes:      make(map[ID]*Node, len(nodes)),
		level:      make(map[ID]int, len(nodes)),
		tail:       make(map[ID]float64, len(nodes)),
		dependents: make(map[ID][]ID),
		edges:      slices.Clone(edges),
	}
	for i := range nodes {
		n := nodes[i]
		n.Root = slices.Compact(slices.Sorted(slices.Values(n.Root)))
		p.nodes[n.ID] = &n
	}
	for id, n := range p.nodes {
		for _, need := range n.Root {
			if p.nodes[need] == nil {
				return nil, fmt.Errorf("plan: %s needs %s, which is not in the plan", id, need)
			}
			p.dependents[need] = append(p.dependents[need], id)
		}
	}
	for _, d := range p.dependents {
		slices.Sort(d)
	}
	slices.SortFunc(p.edges, compareEdges)
	if err := p.sort(); err != nil {
		return nil, err
	}
	p.measure()
	return p, nil
}

func compareEdges(a, b Edge) int {
	return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Requirement, b.Requirement), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
}

// sort orders the nodes by Kahn's algorithm, wave by wave, alphabetically within a wave.
func (p *Plan) sort() error {
	waiting := make(map[ID]int, len(p.nodes))
	var wave []ID
	for id, n := range p.nodes {
		waiting[id] = len(n.Root)
		if len(n.Root) == 0 {
			wave = append(wave, id)
		}
	}
	for depth := 0; len(wave) > 0; depth++ {
		slices.Sort(wave)
		var next []ID
		for _, id := range wave {
			p.order = append(p.order, id)
			p.level[id] = depth
			for _, d := range p.dependents[id] {
				if waiting[d]--; waiting[d] == 0 {
					next = append(next, d)
				}
			}
		}
		wave = next
	}
	if len(p.order) < len(p.nodes) {
		return &CycleError{Loop: p.shortestLoop()}
	}
	return nil
}

// shortestLoop searches breadth first from every node that the sort could not place.
func (p *Plan) shortestLoop() []ID {
	var best []ID
	var stuck []ID
	for id := range p.nodes {
		if _, done := p.level[id]; !done {
			stuck = append(stuck, id)
		}
	}
	slices.Sort(stuck)
	for _, start := range stuck {
		if loop := p.loopFrom(start); loop != nil && (best == nil || len(loop) < len(best)) {
			best = loop
		}
	}
	return best
}

func (p *Plan) loopFrom(start ID) []ID {
	from := map[ID]ID{}
	queue := []ID{start}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, need := range p.nodes[at].Root {
			if need == start {
				loop := []ID{at}
				for at != start {
					at = from[at]
					loop = append(loop, at)
				}
				slices.Reverse(loop)
				return loop
			}
			if _, seen := from[need]; !seen {
				from[need] = at
				queue = append(queue, need)
			}
		}
	}
	return nil
}

// measure computes the longest chain behind every node, from the last build backwards.
func (p *Plan) measure() {
	for i := len(p.order) - 1; i >= 0; i-- {
		id := p.order[i]
		longest := 0.0
		for _, d := range p.dependents[id] {
			longest = max(longest, p.tail[d])
		}
		p.tail[id] = p.nodes[id].Seconds + longest
	}
}

// Node returns one node, nil when the plan has none of that ID. Do not change it.
func (p *Plan) Node(id ID) *Node { return p.nodes[id] }

// Len is the number of nodes.
func (p *Plan) Len() int { return len(p.nodes) }

// Order lists all nodes so that each comes behind everything in its Root.
func (p *Plan) Order() []ID { return slices.Clone(p.order) }

// Level is the wave of a node: 0 needs nothing of ours.
func (p *Plan) Level(id ID) int { return p.level[id] }

// Dependents lists the builds that have id in their build root, sorted.
func (p *Plan) Dependents(id ID) []ID { return slices.Clone(p.dependents[id]) }

// Tail is the expected time from the start of id to the end of the longest
// chain of builds behind it: what "longest path first" sorts by.
func (p *Plan) Tail(id ID) float64 { return p.tail[id] }

// Edges lists every requirement of the plan, sorted.
func (p *Plan) Edges() []Edge { return slices.Clone(p.edges) }

// Work is the sum of all expected build times in seconds.
func (p *Plan) Work() float64 {
	sum := 0.0
	for _, n := range p.nodes {
		sum += n.Seconds
	}
	return sum
}

// CriticalPath is the longest chain of builds and its expected seconds.
func (p *Plan) CriticalPath() ([]ID, float64) {
	var path []ID
	candidates := p.order
	total := 0.0
	for {
		var best ID
		for _, id := range candidates {
			if best == "" || p.tail[id] > p.tail[best] {
				best = id
			}
		}
		if best == "" || p.tail[best] == 0 {
			return path, total
		}
		if len(path) == 0 {
			total = p.tail[best]
		}
		path = append(path, best)
		candidates = p.dependents[best]
	}
}

// Estimate is a lower bound of the time a run needs on so many slots:
// max(longest chain, work ÷ slots), in seconds.
func (p *Plan) Estimate(slots int) float64 {
	_, chain := p.CriticalPath()
	return max(chain, p.Work()/float64(max(slots, 1)))
}
