package pipeline

import (
	"cmp"
	"slices"

	"reqpm/internal/plan"
)

// Graph is who requires whom at run time: every package of the set and the project itself, and every
// requirement among them.
func (lock *Lock) Graph() ([]plan.Node, []plan.Edge) {
	var nodes []plan.Node
	add := func(name, version string) {
		nodes = append(nodes, plan.Node{ID: plan.NewID(name, version), Name: name, Version: version, Runtime: true})
	}
	if lock.project != nil {
		add(lock.project.Name, lock.project.Version)
	}
	for _, l := range lock.Packages {
		add(l.Name, l.Version)
	}
	return nodes, plan.Sorted(uniqueEdges(lockEdges(lock)))
}

// Graph is that of the lock, with the build tools and what requires them.
func (work *Work) Graph() ([]plan.Node, []plan.Edge) {
	var nodes []plan.Node
	for _, id := range work.Plan.Order() {
		nodes = append(nodes, *work.Plan.Node(id))
	}
	slices.SortFunc(nodes, func(a, b plan.Node) int { return cmp.Compare(a.ID, b.ID) })
	return nodes, work.Plan.Edges()
}
