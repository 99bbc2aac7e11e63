package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"reqpm/internal/builder"
	"reqpm/internal/target"
)

// baseRoot opens the base root once, on its own goroutine: making the first one of a
// machine takes a second, which resolving need not wait for.
type baseRoot struct {
	open func(context.Context) (builder.Base, error)

	begin  sync.Once
	cancel context.CancelFunc
	done   chan struct{} // closed when base and err are set; nil before begin
	base   builder.Base
	err    error
}

// warm begins to open the root, unless that was begun already, and does not wait.
func (r *baseRoot) warm() {
	r.begin.Do(func() {
		ctx, cancel := context.WithCancel(context.Background())
		r.cancel, r.done = cancel, make(chan struct{})
		go func() {
			defer close(r.done)
			r.base, r.err = r.open(ctx)
		}()
	})
}

// get waits for the root. When ctx ends first, opening ends too, for everybody.
func (r *baseRoot) get(ctx context.Context) (builder.Base, error) {
	r.warm()
	defer context.AfterFunc(ctx, r.cancel)()
	<-r.done
	return r.base, r.err
}

// close ends an opening that nobody waits for any more, and gives the root back.
func (r *baseRoot) close() error {
	r.begin.Do(func() {})
	if r.done == nil {
		return nil
	}
	r.cancel()
	<-r.done
	if r.base == nil {
		return nil
	}
	return r.base.Close()
}

// openRoot has the builder open the base root.
func (p *Pipeline) openRoot(ctx context.Context) (builder.Base, error) {
	base, err := p.cfg.Builder.Open(ctx, p.cfg.Target, func(line string) {
		p.report(Event{Event: "note", Stage: "root", Message: line})
	})
	if err != nil {
		return nil, fmt.Errorf("%w of %s: %w", errBase, p.cfg.Target.Name, err)
	}
	return base, nil
}

// openBase gives the base root, opened at the first need and kept. Resolving needs it only
// when a package does not say its dependencies without being run.
func (p *Pipeline) openBase(ctx context.Context) (builder.Base, error) {
	p.baseOnce.Do(func() {
		p.stage("root", "prepare the base root of "+p.cfg.Target.Name)
		p.base, p.baseErr = p.root.get(ctx)
	})
	return p.base, p.baseErr
}

// warmBase opens the base root ahead of need where that is cheap: the machine's own. A root
// made by dnf is a download of hundreds of packages, for which a need has to be certain.
func (p *Pipeline) warmBase() {
	if p.cfg.Target.Kind == target.Host && p.cfg.Builder != nil {
		p.root.warm()
	}
}

// manyProjects is how many projects a set touches that is taken to hold a source which does not say
// its own dependencies: of the applications measured, all larger ones do (docs/benchmarks.md).
const manyProjects = 25

// warmFirst opens the first base root of a state directory while the index is read: making it takes
// seconds of the processor, and reading the index mostly waits. Later ones are quickly opened.
func (p *Pipeline) warmFirst() {
	if _, err := os.Stat(filepath.Join(p.paths.facts(), "hooks")); errors.Is(err, fs.ErrNotExist) {
		p.warmBase()
	}
}
