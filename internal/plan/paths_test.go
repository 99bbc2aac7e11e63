package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// need is "from to": an edge between two packages, from "" for a line of the user's.
func needs(list ...string) []Edge {
	var edges []Edge
	for i, text := range list {
		from, to, _ := strings.Cut(text, " ")
		e := Edge{From: ID(from), To: ID(to), Kind: Install, Requirement: to + ">0"}
		if from == "" {
			e.Kind, e.File, e.Line = TopLevel, "r.txt", i+1
		}
		edges = append(edges, e)
	}
	return edges
}

func pathTexts(paths [][]Step) []string {
	var texts []string
	for _, path := range paths {
		names := []string{string(path[0].From)}
		for _, step := range path {
			names = append(names, string(step.To))
		}
		texts = append(texts, strings.Join(names, " "))
	}
	return texts
}

func TestPathsShortestFirst(t *testing.T) {
	edges := needs(" a", " b", "a c", "b c", "c d", "a d", "d a", "project d", " x")
	paths, more := Paths(edges, "d", 10)
	want := []string{"project d", " a d", " a c d", " b c d"}
	if diff := cmp.Diff(want, pathTexts(paths)); diff != "" || more {
		t.Errorf("more %v (-want +got):\n%s", more, diff)
	}
	paths, more = Paths(edges, "d", 2)
	if diff := cmp.Diff(want[:2], pathTexts(paths)); diff != "" || !more {
		t.Errorf("more %v (-want +got):\n%s", more, diff)
	}
	if paths, more := Paths(edges, "nobody", 10); paths != nil || more {
		t.Errorf("a package that is not there: %v, %v", paths, more)
	}
}

// Two requirements of one package on another are one step.
func TestPathsGroupRequirements(t *testing.T) {
	edges := append(needs(" a", "a b"), Edge{From: "a", To: "b", Kind: Install, Requirement: "b<9"}, Edge{To: "a", Kind: TopLevel, Requirement: "a", File: "q.txt", Line: 4})
	paths, _ := Paths(edges, "b", 10)
	if len(paths) != 1 || len(paths[0][0].Requirements) != 2 || len(paths[0][1].Requirements) != 2 {
		t.Errorf("got %v", paths)
	}
}

// A graph with more ways than can be counted answers at once.
func TestPathsInALattice(t *testing.T) {
	edges := needs(" 0-0", " 0-1")
	const layers = 60
	for i := range layers {
		for _, from := range []int{0, 1} {
			for _, to := range []int{0, 1} {
				edges = append(edges, needs(fmt.Sprintf("%d-%d %d-%d", i, from, i+1, to))...)
			}
		}
	}
	paths, more := Paths(edges, ID(fmt.Sprintf("%d-0", layers)), 5)
	if len(paths) != 5 || !more {
		t.Errorf("%d paths, more %v", len(paths), more)
	}
}

func TestTree(t *testing.T) {
	edges := append(needs(" a", " b", "a c", "b c", "c a", "c d", "project d"), Edge{From: "b", To: "tool", Kind: BuildSystem, Requirement: "tool<2"})
	want := `project
└── d (d>0)
a (r.txt:1 a>0)
└── c (c>0)
    ├── a (a>0) (*)
    └── d (d>0)
b (r.txt:2 b>0)
├── c (c>0) (*)
└── tool (build-system tool<2)
`
	if diff := cmp.Diff(want, Tree(edges, func(id ID) string { return string(id) })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRequirementsDOT(t *testing.T) {
	got := RequirementsDOT([]Node{{ID: "a", Name: "a", Version: "1"}, {ID: "b", Name: "b", Version: "2"}}, needs(" a", "a b"))
	for _, line := range []string{
		`  "a" [label="a\n1", fillcolor="#cfe2f3"];`, `  "b" [label="b\n2"];`, `  "a" -> "b" [label="b>0"];`,
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
}

// Packages that require each other are drawn all the same, and every one is there.
func TestRequirementsSVG(t *testing.T) {
	var nodes []Node
	for _, id := range []ID{"project", "a", "b", "c", "d", "lone"} {
		nodes = append(nodes, Node{ID: id, Name: string(id), Version: "1"})
	}
	edges := needs(" a", " b", "a c", "b c", "c a", "c d", "d c", "project d", " lone", "d d")
	got, err := RequirementsSVG("app on el9", nodes, edges)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if !strings.Contains(got, `data-id="`+string(n.ID)+`"`) {
			t.Errorf("%s is not drawn", n.ID)
		}
	}
	for _, want := range []string{">Level 1 <", ">Asked for<", "You asked for a&gt;0 (r.txt:1)", "b 1 needs c&gt;0 to run"} {
		if !strings.Contains(got, want) {
			t.Errorf("the picture does not say %q", want)
		}
	}
	for _, builds := range []string{"Wave", "to build", "Build root", "longest chain"} {
		if strings.Contains(got, builds) {
			t.Errorf("the picture speaks of builds: %q", builds)
		}
	}
	if again, _ := RequirementsSVG("app on el9", nodes, edges); again != got {
		t.Error("the same graph gives another picture")
	}
}
