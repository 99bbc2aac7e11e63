package plan

import (
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden pictures anew")

// random makes a plan of about the shape that real ones have: a few tools that most are
// built with, tools built with tools, and some packages that are cached or cannot be built.
func random(t testing.TB, size int, seed uint64) *Plan {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	var nodes []Node
	var edges []Edge
	for i := range size {
		name := fmt.Sprintf("package-%d", i)
		n := Node{ID: NewID(name, "1.0"), Name: name, Version: "1.0", Runtime: i > size/8, Decision: Build, Seconds: 1 + float64(r.IntN(300))}
		tools := min(i, max(2, size/8))
		switch x := r.IntN(20); {
		case x == 0:
			n.Decision, n.Seconds = Cached, 0
		case x == 1:
			n.Decision, n.Reason = Failed, "no source distribution"
		case tools > 0:
			for range 1 + r.IntN(3) {
				need := nodes[int(float64(tools)*r.Float64()*r.Float64())].ID
				n.Root = append(n.Root, need)
				edges = append(edges, Edge{From: n.ID, To: need, Kind: BuildSystem, Requirement: "x"})
			}
		}
		if i > 0 {
			edges = append(edges, Edge{From: n.ID, To: nodes[r.IntN(i)].ID, Kind: Install, Requirement: "y"})
		}
		nodes = append(nodes, n)
	}
	return mustPlan(t, nodes, edges)
}

func mustPlan(t testing.TB, nodes []Node, edges []Edge) *Plan {
	t.Helper()
	p, err := New(nodes, edges)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// groups reads a picture with encoding/xml: the data-id of every node's group, in order,
// and all of the text; it fails for anything that is not well formed.
func groups(t *testing.T, picture string) (ids, elements []string, words string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(picture))
	var all strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return ids, elements, all.String()
		}
		if err != nil {
			t.Fatalf("not well formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if token.Name.Local == "script" || token.Name.Local == "image" {
				t.Errorf("the picture has a <%s>", token.Name.Local)
			}
			id, data := "", ""
			for _, a := range token.Attr {
				if strings.HasPrefix(a.Name.Local, "on") {
					t.Errorf("<%s> has the attribute %s", token.Name.Local, a.Name.Local)
				}
				switch a.Name.Local {
				case "id":
					id = a.Value
				case "data-id":
					data = a.Value
				}
			}
			if data != "" {
				ids, elements = append(ids, data), append(elements, id)
			}
		case xml.CharData:
			all.Write(token)
			all.WriteByte(' ')
		}
	}
}

func TestPictureHasEveryNodeOnce(t *testing.T) {
	for _, size := range []int{0, 1, 2, 12, 60, 300} {
		p := random(t, size, uint64(size))
		ids, elements, _ := groups(t, p.SVG("plan"))
		count := map[string]int{}
		for _, id := range ids {
			count[id]++
		}
		for _, e := range elements {
			count["element "+e]++
		}
		if len(ids) != size {
			t.Errorf("%d nodes: the picture has %d", size, len(ids))
		}
		for _, id := range p.Order() {
			n := p.Node(id)
			if count[string(id)] != 1 || count["element "+ElementID(n.Name, n.Version)] != 1 {
				t.Errorf("%d nodes: %s is there %d times", size, id, count[string(id)])
			}
		}
	}
}

func TestPictureGoesFromLeftToRightWithoutOverlap(t *testing.T) {
	for _, size := range []int{2, 12, 30, 60, 120, 400} {
		for seed := range uint64(5) {
			g := newPicture(random(t, size, seed))
			if size == 12 {
				g.widen(minWidth)
			}
			checkOverlap(t, g)
			checkDirection(t, g)
		}
	}
}

// checkOverlap looks at all boxes of each column and at the columns' own room.
func checkOverlap(t *testing.T, g *picture) {
	t.Helper()
	for i, a := range g.boxes {
		if a.y < 0 || a.y+a.h > g.height || a.x < 0 || a.x+a.w > g.width {
			t.Errorf("box %d is outside of the picture", i)
		}
		for j, b := range g.boxes[:i] {
			if a.x < b.x+b.w && b.x < a.x+a.w && a.y < b.y+b.h && b.y < a.y+a.h {
				t.Errorf("boxes %d and %d overlap: %+v %+v", i, j, *a, *b)
			}
		}
		if a.shape == bend {
			for j, b := range g.boxes { // a line keeps clear of cards and blocks
				if b.shape != bend && b.column == a.column && a.y > b.y && a.y < b.y+b.h {
					t.Errorf("the line at bend %d runs through box %d", i, j)
				}
			}
		}
	}
}

// checkDirection wants every piece of a line to go right, and a way along the lines for
// everything that is built with something else.
func checkDirection(t *testing.T, g *picture) {
	t.Helper()
	next := map[int][]int{}
	for _, l := range g.lines {
		for _, s := range l.segments {
			a, b := g.boxes[s.from], g.boxes[s.to]
			if a.x+a.w >= b.x {
				t.Errorf("a line of %s goes left", g.nodes[l.node].ID)
			}
			next[s.from] = append(next[s.from], s.to)
		}
	}
	for u := range g.nodes {
		reached := map[int]bool{}
		stack := []int{g.owner[u]}
		for len(stack) > 0 {
			at := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if !reached[at] {
				reached[at] = true
				stack = append(stack, next[at]...)
			}
		}
		for _, e := range g.plan.edges {
			if e.To == g.nodes[u].ID && e.Kind == BuildSystem && g.plan.level[e.To] < g.plan.level[e.From] {
				for v, n := range g.nodes {
					if n.ID == e.From && !reached[g.owner[v]] {
						t.Errorf("no line leads from %s to %s", e.To, e.From)
					}
				}
			}
		}
	}
}

func TestPictureOfADeepPlan(t *testing.T) {
	// Every node needs every one before it: one line of cards is all there is to draw.
	var nodes []Node
	var edges []Edge
	for i := range 80 {
		n := node(fmt.Sprintf("p%02d", i), 1)
		for _, before := range nodes {
			n.Root = append(n.Root, before.ID)
			edges = append(edges, Edge{From: n.ID, To: before.ID, Kind: BuildBackend})
		}
		nodes = append(nodes, n)
	}
	g := newPicture(mustPlan(t, nodes, edges))
	segments := 0
	for _, l := range g.lines {
		segments += len(l.segments)
	}
	if segments != 79 || len(g.columns) != 80 {
		t.Errorf("%d pieces of lines in %d columns, want 79 in 80", segments, len(g.columns))
	}
	checkDirection(t, g)
}

func TestPictureHasASaneShape(t *testing.T) {
	for _, size := range []int{60, 120} {
		g := newPicture(random(t, size, 3))
		w, h := g.width+2*margin, g.height+headRoom+waveRoom+footRoom
		if ratio := w / h; ratio < 1.2 || ratio > 2.2 {
			t.Errorf("%d nodes: %.0f×%.0f, ratio %.2f", size, w, h, ratio)
		}
	}
}

func TestPictureDrawsBuildRootsWhereRequirementsAreUnknown(t *testing.T) {
	g := newPicture(mustPlan(t, []Node{node("tool", 1), node("a", 1, "tool")}, nil))
	if len(g.lines) != 1 || len(g.lines[0].segments) != 1 {
		t.Errorf("lines = %v, want one from tool to a", g.lines)
	}
}

func TestPictureDoesNotDrawWhatIsOnlyNeededToRun(t *testing.T) {
	p := mustPlan(t, []Node{node("tool", 1), node("a", 1, "tool"), node("b", 1, "tool")}, []Edge{
		{From: "a==1", To: "tool==1", Kind: BuildSystem}, {From: "b==1", To: "tool==1", Kind: BuildSystem},
		{From: "b==1", To: "a==1", Kind: Install}, {To: "b==1", Kind: TopLevel},
	})
	if s := p.SVG("x"); strings.Contains(s, `data-from="a==1"`) || !strings.Contains(s, `class="edge" data-from="tool==1"`) {
		t.Error("want lines from tool only")
	}
}

func TestPictureDoesNotInventTimes(t *testing.T) {
	unknown := node("a", 0)
	unknown.Runtime = true
	if s := mustPlan(t, []Node{unknown}, nil).SVG("x"); strings.Contains(s, "0 s") || !strings.Contains(s, ">–<") {
		t.Error("want a dash where no time is known")
	}
}

func TestPictureSurvivesHostileNames(t *testing.T) {
	evil := []string{
		`</text><script>alert(1)</script>`, `"><g onload="x()">`, "a&b<c>'d\"", "null\x00and\x1bcontrol", "bad\xff\xfeutf",
		"\u202eright to left", strings.Repeat("long", 20000), "]]>", "<!--", "&#x0;", "", "  ", "url(#x)", "--><svg",
	}
	var nodes []Node
	var edges []Edge
	for i, name := range evil {
		n := Node{ID: NewID(name, "1"), Name: name, Version: evil[len(evil)-1-i], Decision: Failed, Reason: name, Seconds: 1}
		if i > 0 {
			n.Decision, n.Root = Build, []ID{nodes[0].ID}
			edges = append(edges, Edge{From: n.ID, To: nodes[0].ID, Kind: Kind(name), Requirement: name, File: name, Line: -1})
		}
		nodes = append(nodes, n)
	}
	edges = append(edges, Edge{From: "ghost" + ID(evil[0]), To: nodes[1].ID, Kind: Install, Requirement: evil[0]})
	picture := mustPlan(t, nodes, edges).SVG(evil[0])
	ids, elements, words := groups(t, picture)
	if len(ids) != len(evil) {
		t.Errorf("%d nodes in the picture, want %d", len(ids), len(evil))
	}
	seen := map[string]bool{}
	for _, e := range elements {
		if seen[e] || strings.ContainsAny(e, " <>\"'&") {
			t.Errorf("element id %q is there twice or is no id", e)
		}
		seen[e] = true
	}
	if strings.Contains(picture, "<script") || strings.ContainsRune(words, '\u202e') {
		t.Error("a name came through unescaped")
	}
	if !strings.Contains(words, evil[0]) {
		t.Error("the hostile title is not shown as text")
	}
	if len(picture) > 1<<20 {
		t.Errorf("%d bytes for %d nodes", len(picture), len(evil))
	}
}

func TestElementIDsDoNotCollide(t *testing.T) {
	for name, tt := range map[string]struct{ name, version, want string }{
		"normal":  {"ruamel-yaml", "0.18.6", "n-ruamel-yaml-0.18.6"},
		"local":   {"torch", "1!2.3+cpu", "n-torch-1!2.3+cpu"},
		"hostile": {`a" b`, "_", "n-a_22_20b-_5f"},
	} {
		if got := ElementID(tt.name, tt.version); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	p := mustPlan(t, []Node{
		{ID: "a-1==1", Name: "a-1", Version: "1", Decision: Build}, {ID: "a==1-1", Name: "a", Version: "1-1", Decision: Build},
	}, nil)
	if _, elements, _ := groups(t, p.SVG("x")); len(elements) != 2 || elements[0] == elements[1] {
		t.Errorf("element ids %v, want two different ones", elements)
	}
}

func TestPictureIsTheSameEveryTime(t *testing.T) {
	want := random(t, 120, 9).SVG("plan")
	for range 5 {
		if random(t, 120, 9).SVG("plan") != want {
			t.Fatal("the same plan was drawn in two ways")
		}
	}
}

func TestDurations(t *testing.T) {
	for seconds, want := range map[float64]string{0: "0 s", 0.2: "<1 s", 44.4: "44 s", 59.6: "1:00", 305: "5:05", 3599.7: "1 h 00", 7500: "2 h 05", -1: "?", 1e12: "?"} {
		if got := duration(seconds); got != want {
			t.Errorf("duration(%v) = %q, want %q", seconds, got, want)
		}
	}
}

// small is a plan with one of everything.
func small(t testing.TB) *Plan {
	tool := func(name, version string, seconds float64, root ...ID) Node {
		return Node{ID: NewID(name, version), Name: name, Version: version, Decision: Build, Seconds: seconds, Root: root}
	}
	setuptools, cython := NewID("setuptools", "80.9.0"), NewID("cython", "3.1.2")
	flit := Node{ID: "flit-core==3.12.0", Name: "flit-core", Version: "3.12.0", Decision: Cached}
	lxml := tool("lxml", "6.0.0", 145, cython, setuptools)
	lxml.Runtime, lxml.Native = true, true
	idna := tool("idna", "3.10", 12, flit.ID)
	idna.Runtime = true
	gone := Node{ID: "gone==1.0", Name: "gone", Version: "1.0", Runtime: true, Decision: Failed, Reason: "no source distribution"}
	return mustPlan(t, []Node{tool("setuptools", "80.9.0", 21), tool("cython", "3.1.2", 310, setuptools), flit, lxml, idna, gone}, []Edge{
		{To: lxml.ID, Kind: TopLevel, Requirement: "lxml>=5", File: "requirements.txt", Line: 3},
		{From: lxml.ID, To: cython, Kind: BuildSystem, Requirement: "Cython>=3.1"},
		{From: lxml.ID, To: setuptools, Kind: BuildSystem, Requirement: "setuptools"},
		{From: cython, To: setuptools, Kind: BuildBackend, Requirement: "setuptools>=77"},
		{From: idna.ID, To: flit.ID, Kind: BuildSystem, Requirement: "flit_core<4"},
		{From: lxml.ID, To: idna.ID, Kind: Install, Requirement: "idna"},
	})
}

// Look at the new picture before you keep it: go test -run Golden -update.
func TestGoldenPicture(t *testing.T) {
	file := filepath.Join("testdata", "small.svg")
	got := small(t).SVG("example on el9")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("the picture changed (-want +got):\n%s", diff)
	}
	for _, phrase := range []string{
		"You asked for lxml&gt;=5 (requirements.txt:3)", "to compile, about 2:25", "no source distribution",
		"Build root: cython 3.1.2, setuptools 80.9.0", `class="node build tool critical" data-id="cython==3.1.2"`,
		`id="n-idna-3.10" class="node build"`, `class="node cached tool"`, `class="node failed"`, "7:56",
	} {
		if !strings.Contains(got, phrase) {
			t.Errorf("the picture does not say %q", phrase)
		}
	}
}

func BenchmarkSVG(b *testing.B) {
	for _, size := range []int{120, 600} {
		p := random(b, size, 1)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for b.Loop() {
				p.SVG("plan")
			}
		})
	}
}
