package pipeline

import (
	"context"
	"fmt"
	"os"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/plan"
	"reqpm/internal/solve"
)

// leaf is the index without dependencies, for choosing one package alone.
type leaf struct{ *candidates }

func (leaf) Requires(context.Context, string, pep440.Version) ([]pep508.Requirement, error) {
	return nil, nil
}

// Written is a spec that lies in a folder, with all that it needs beside it.
type Written struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Target  string   `json:"target"`
	Spec    string   `json:"spec"`    // path
	Sources []string `json:"sources"` // paths: the archive, patches, and what else the spec names
	// Overrides are what people say of the package, and where.
	Overrides []plan.Override `json:"overrides,omitempty"`
}

// WriteSpec writes the spec of one package, its patches and its sources into dir, which
// is made when absent. The files are the caller's own: to change them changes no cache.
func (p *Pipeline) WriteSpec(ctx context.Context, req pep508.Requirement, dir string) (Written, error) {
	none := Written{}
	p.stage("spec", "choose a version of "+req.Key())
	root := solve.Root{Req: req, Origin: solve.Origin{Text: req.String()}}
	solution, err := p.solve(ctx, leaf{p.from}, solve.Request{Roots: append(p.saidVersions(), root), Env: p.cfg.Target.Env()})
	if err != nil {
		return none, err
	}
	if len(solution.Packages) != 1 {
		return none, fmt.Errorf("spec of %s: its marker does not hold for %s", req, p.cfg.Target.Name)
	}
	locked, err := p.lockOne(ctx, solution.Packages[0], nil)
	if err != nil {
		return none, err
	}
	if err := p.CheckSources(&Lock{Packages: []Locked{locked}}); err != nil {
		return none, err
	}
	g := &gather{p: p, found: map[plan.ID]*pkgBuild{}, rootless: true}
	b := &pkgBuild{id: plan.NewID(locked.Name, locked.Version), name: locked.Name, version: locked.Version,
		file: locked.file, all: locked.all, meta: locked.Meta, extras: locked.Extras}
	if err := g.ownFacts(ctx, b); err != nil {
		return none, err
	}
	if err := p.writeSpec(ctx, b, b.extras); err != nil {
		return none, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return none, err
	}
	w := Written{Name: b.name, Version: b.version, Target: p.cfg.Target.Name, Overrides: p.overridesOf(b.name, b.version)}
	w.Spec, w.Sources, err = b.spec.writeTo(dir, copyFile)
	return w, err
}

// Slots is how many builds run at once.
func (p *Pipeline) Slots() int { return p.cfg.Pool.Slots() }
