package plan

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func node(name string, seconds float64, root ...string) Node {
	n := Node{ID: NewID(name, "1"), Name: name, Version: "1", Seconds: seconds, Decision: Build}
	for _, r := range root {
		n.Root = append(n.Root, NewID(r, "1"))
	}
	return n
}

func TestOrderPutsBuildRootsFirst(t *testing.T) {
	p, err := New([]Node{
		node("app", 2, "hatchling", "pluggy", "setuptools"),
		node("hatchling", 3, "pluggy", "setuptools"),
		node("pluggy", 1, "setuptools"),
		node("setuptools", 5),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []ID{"setuptools==1", "pluggy==1", "hatchling==1", "app==1"}
	if got := p.Order(); !slices.Equal(got, want) {
		t.Errorf("order = %v, want %v", got, want)
	}
	path, seconds := p.CriticalPath()
	if !slices.Equal(path, want) || seconds != 11 {
		t.Errorf("critical path = %v, %v s", path, seconds)
	}
	if got := p.Estimate(2); got != 11 {
		t.Errorf("estimate on two slots = %v, want the longest chain, 11", got)
	}
	if got := p.Tail("pluggy==1"); got != 6 {
		t.Errorf("tail of pluggy = %v, want 6", got)
	}
}

func TestCachedPackagesCostNothing(t *testing.T) {
	tool := node("tool", 0)
	tool.Decision = Cached
	p, err := New([]Node{tool, node("a", 2, "tool"), node("b", 4, "tool"), node("c", 2, "tool")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Estimate(2); got != 4 {
		t.Errorf("estimate = %v, want work ÷ slots = 4", got)
	}
}

func TestShortestLoopIsNamed(t *testing.T) {
	_, err := New([]Node{
		node("a", 1, "b"), node("b", 1, "c"), node("c", 1, "a", "d"), node("d", 1, "c"), node("free", 1),
	}, nil)
	var cycle *CycleError
	if !errors.As(err, &cycle) {
		t.Fatalf("err = %v, want a *CycleError", err)
	}
	if !slices.Equal(cycle.Loop, []ID{"c==1", "d==1"}) {
		t.Errorf("loop = %v, want the shorter of the two, c and d", cycle.Loop)
	}
	if !strings.Contains(err.Error(), "c==1 → d==1 → c==1") {
		t.Errorf("message does not show the loop: %v", err)
	}
}

func TestUnknownBuildRootIsRefused(t *testing.T) {
	if _, err := New([]Node{node("a", 1, "ghost")}, nil); err == nil || !strings.Contains(err.Error(), "ghost==1") {
		t.Errorf("err = %v, want one that names ghost==1", err)
	}
}
