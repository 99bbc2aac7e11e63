package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"reqpm/internal/plan"
	"reqpm/internal/solve"
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
	add = func(at plan.ID) {
		if builds[at] != nil {
			return
		}
		b := *work.builds[at] // others build from the same plan
		builds[at] = &b
		if b.cached == nil && b.err == nil && b.reused == nil && (at != id || !p.cfg.Refresh) {
			b.cached = p.cachedBuild(b.key)
		}
		if b.cached != nil {
			b.root = solve.Solution{} // nothing is needed for what is there
		}
		for _, need := range b.rootIDs() {
			add(need)
		}
	}
	add(id)
	part, err := p.graph(builds, work.Lock)
	if err != nil {
		return nil, err
	}
	return &Work{Plan: part, Lock: work.Lock, builds: builds}, nil
}

// Key is the content key of a build of the plan, "" for what is not built, as what the distribution has.
func (w *Work) Key(id plan.ID) string {
	if b := w.builds[id]; b != nil && b.reused == nil {
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

// Folder is where the cache of builds has it.
func (b *Built) Folder() string { return b.dir }

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

// HasBuild tells whether the cache of builds has a key's result, whole.
func (p *Pipeline) HasBuild(key string) bool { return p.cachedBuild(key) != nil }

// ImportBuild takes a result that another machine built into the cache of builds: fill writes the
// files of its folder, result.json among them, into dir. What it wrote is checked against its result.json.
func (p *Pipeline) ImportBuild(ctx context.Context, key string, fill func(dir string) error) error {
	unlock, err := p.lockKey(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()
	if p.HasBuild(key) {
		return nil
	}
	dir, err := os.MkdirTemp(p.paths.tmp(), "import-")
	if err != nil {
		return err
	}
	defer removeTree(dir)
	if err := errors.Join(os.Chmod(dir, 0o755), fill(dir)); err != nil {
		return fmt.Errorf("take build %s: %w", key, err)
	}
	final := filepath.Join(p.paths.builds(), key)
	if err := os.RemoveAll(final); err != nil { // damaged: else it would have been found
		return err
	}
	if err := os.Rename(dir, final); err != nil {
		return err
	}
	if !p.HasBuild(key) {
		return errors.Join(fmt.Errorf("take build %s: what came is not what it was built as", key), os.RemoveAll(final))
	}
	return nil
}
