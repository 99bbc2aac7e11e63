package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"reqpm/internal/plan"
)

// A service hands the builds of a plan to workers one at a time. Whoever builds needs the same plan,
// which the same lock gives on every machine, and what was built before, which lies in the cache of
// builds under its content key.

// ErrNotBuilt: a result that a stage needs is not in the cache of builds.
var ErrNotBuilt = errors.New("not in the cache of builds")

// BuildOne carries out one build of a plan: the package itself, and before it whatever of its build
// root is not in the cache any more. What a repair needs built besides is built, too; work stays
// as it is, so after an outcome with repairs it is out of date for the packages behind this
// one: plan again, which heeds what was learned. It may be called from many goroutines at once.
func (p *Pipeline) BuildOne(ctx context.Context, work *Work, id plan.ID, logDir string) (*Outcome, error) {
	part, err := p.part(work, id)
	if err != nil {
		return nil, err
	}
	outcomes, err := p.walk(ctx, part, logDir)
	return outcomes[id], err
}

// part is the work for one package: it, and in turn all that build roots need.
func (p *Pipeline) part(work *Work, id plan.ID) (*Work, error) {
	if work.builds[id] == nil {
		return nil, fmt.Errorf("%s is not in the plan", id)
	}
	builds := map[plan.ID]*pkgBuild{}
	var add func(plan.ID)
	add = func(id plan.ID) {
		if builds[id] != nil {
			return
		}
		b := *work.builds[id] // others build from the same plan
		builds[id] = &b
		for _, need := range b.rootIDs() {
			add(need)
		}
	}
	add(id)
	for at, b := range builds {
		if b.cached == nil && b.err == nil && b.reused == nil && (at != id || !p.cfg.Refresh) {
			b.cached = p.cachedBuild(b.key)
		}
	}
	part, err := p.graph(builds, work.Lock)
	if err != nil {
		return nil, err
	}
	return &Work{Plan: part, Lock: work.Lock, builds: builds}, nil
}

// Key is the content key of a build of the plan, "" for what is not built.
func (w *Work) Key(id plan.ID) string {
	if b := w.builds[id]; b != nil {
		return b.key
	}
	return ""
}

// Spec is the spec file of a build, "" for what is not built.
func (w *Work) Spec(id plan.ID) (file, text string) {
	if b := w.builds[id]; b != nil {
		return b.spec.fileName, b.spec.text
	}
	return "", ""
}

// Collect finds the results of a plan that was carried out, by whomever: in the cache of builds.
// What is missing there is ErrNotBuilt.
func (p *Pipeline) Collect(work *Work) (map[plan.ID]*Outcome, error) {
	r := &run{p: p, work: work}
	outcomes := map[plan.ID]*Outcome{}
	for _, id := range work.Plan.Order() {
		if b := work.builds[id]; b.cached == nil && b.err == nil && b.reused == nil {
			b.cached = p.cachedBuild(b.key)
		}
		o := r.known(id)
		switch {
		case o == nil:
			return nil, fmt.Errorf("%s, key %s: %w", id, work.builds[id].key, ErrNotBuilt)
		case o.State == StateFailed:
			return nil, fmt.Errorf("%s: %w", id, o.err)
		}
		outcomes[id] = o
	}
	return outcomes, nil
}

// Result is what a build left in the cache of builds, nil where there is none.
func (o *Outcome) Result() *Built { return o.built }

// Files are the paths of what was built, the source package last.
func (b *Built) Files() []string {
	var files []string
	for _, r := range b.RPMs {
		files = append(files, b.path(r))
	}
	if b.SRPM != "" {
		files = append(files, filepath.Join(b.dir, b.SRPM))
	}
	return files
}
