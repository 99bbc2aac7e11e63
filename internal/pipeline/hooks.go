package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"reqpm/internal/index"
	"reqpm/internal/native"
	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/sdist"
	"reqpm/internal/solve"
	"reqpm/internal/target"
)

// A build backend can say what else a build needs, and what the package depends on, only by
// being run. It is run in a throw-away copy of the target's base root, with no network,
// in an environment of its build requirements unpacked from the index's wheels.
// That environment answers questions and nothing else: what is built is built
// in a root of RPMs that were themselves built from source.

// hooks asks build backends. Environments and answers are shared by all packages of a run.
type hooks struct {
	p    *Pipeline
	from *candidates

	mu     sync.Mutex
	solved map[string]*solvedTools
	envs   map[string]*hookEnv
	fits   map[string]*fitting // by archive and what its build requires: a repair that changes that has it fitted anew
	slots  chan struct{}       // running backends is bound by the processors
}

type solvedTools struct {
	once     sync.Once
	solution solve.Solution
	err      error
}

type hookEnv struct {
	once sync.Once
	dir  string
	err  error
}

func newHooks(p *Pipeline, from *candidates) *hooks {
	return &hooks{
		p: p, from: from,
		solved: map[string]*solvedTools{}, envs: map[string]*hookEnv{}, fits: map[string]*fitting{},
		slots: p.cfg.Pool.questions,
	}
}

// active keeps the requirements whose markers hold for the target without any extra: hooks
// answer with requirements under "; extra == …" that are not meant.
func (p *Pipeline) active(reqs []pep508.Requirement) []pep508.Requirement {
	env := p.cfg.Target.Env()
	return slices.DeleteFunc(slices.Clone(reqs), func(r pep508.Requirement) bool { return !r.Marker.Eval(env, "") })
}

// macroPackaging is the packaging that current build backends want to find when they find one
// installed at all (setuptools 77 and later).
const macroPackaging = "packaging>=24.2"

// macroNeeds is what a target's macros add to what a build declares: %pyproject_buildrequires
// imports packaging, and a build backend that finds it installed takes it before the copy
// it brings. A release's own is older than current backends want, so ours stands in the
// build root. Packaging itself is built without.
func (p *Pipeline) macroNeeds(name string) []pep508.Requirement {
	t := p.cfg.Target
	if t.Kind != target.DNF || t.RPM.Style != target.StylePyproject || name == "packaging" || name == "flit-core" {
		return nil
	}
	reqs, _ := parseAll([]string{macroPackaging}) // a constant that parses
	return reqs
}

// buildSystem is everything the build of a project needs before its backend is asked.
func (p *Pipeline) buildSystem(ctx context.Context, name string, record sdistRecord) []pep508.Requirement {
	rest, _ := p.systemTools(ctx, p.saidBuild(name, record.Sdist.Requires))
	return append(rest, p.macroNeeds(name)...)
}

// solveTools resolves build requirements on their own: each build root is a world of
// its own, so that one package's ceiling on its build tool binds nobody else. The same
// requirements are resolved once a run. The versions chosen do not depend on what the
// application locks, which is what lets projects share built tools.
func (h *hooks) solveTools(ctx context.Context, reqs []pep508.Requirement) (solve.Solution, error) {
	if len(reqs) == 0 {
		return solve.Solution{}, nil
	}
	texts := requirementTexts(reqs)
	key := digest(texts)
	h.mu.Lock()
	s := h.solved[key]
	if s == nil {
		s = &solvedTools{}
		h.solved[key] = s
	}
	h.mu.Unlock()
	s.once.Do(func() {
		roots := make([]solve.Root, 0, len(reqs))
		for _, r := range reqs {
			roots = append(roots, solve.Root{Req: r, Origin: solve.Origin{Package: "its build", Text: r.String()}})
		}
		for _, r := range h.p.cfg.BuildConstraints {
			roots = append(roots, solve.Root{Req: r, Constraint: true, Origin: solve.Origin{Package: "--build-constraint", Text: r.String()}})
		}
		roots = append(roots, h.p.saidVersions()...)
		from, err := h.p.toolChoices(texts)
		if err != nil {
			s.err = err
			return
		}
		req := solve.Request{Roots: roots, Env: h.p.cfg.Target.Env()}
		if req.Prefer, s.err = h.p.preferTools(ctx, h.p.keptTools(texts)); s.err == nil {
			s.solution, s.err = h.p.solve(ctx, from, req)
		}
	})
	return s.solution, s.err
}

// requirementTexts are requirements as sorted texts, each once: what names a build root.
func requirementTexts(reqs []pep508.Requirement) []string {
	texts := make([]string, 0, len(reqs))
	for _, r := range reqs {
		texts = append(texts, r.String())
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

// env makes the environment of a solution: every wheel unpacked into one folder, kept
// under the digest of the wheels.
func (h *hooks) env(ctx context.Context, solution solve.Solution) (string, error) {
	var wheels []index.File
	var local []string
	for _, c := range solution.Packages {
		f, path, err := h.toolWheel(ctx, c.Name, c.Version)
		if err != nil {
			return "", err
		}
		if path != "" {
			local = append(local, path)
		} else {
			wheels = append(wheels, f)
		}
	}
	keys := slices.Clone(local)
	for _, f := range wheels {
		keys = append(keys, fileKey(f))
	}
	slices.Sort(keys)
	key := digest([]any{h.p.cfg.Target.Python.Executable, keys})
	h.mu.Lock()
	e := h.envs[key]
	if e == nil {
		e = &hookEnv{}
		h.envs[key] = e
	}
	h.mu.Unlock()
	e.once.Do(func() { e.dir, e.err = h.unpackEnv(ctx, key, wheels, local) })
	return e.dir, e.err
}

func (h *hooks) unpackEnv(ctx context.Context, key string, wheels []index.File, local []string) (string, error) {
	final := filepath.Join(h.p.paths.hookEnvs(), key)
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	scratch, err := os.MkdirTemp(h.p.paths.tmp(), "env-")
	if err != nil {
		return "", err
	}
	defer removeTree(scratch)
	if err := os.Chmod(scratch, 0o755); err != nil {
		return "", err
	}
	for _, f := range wheels {
		path, err := h.p.download(ctx, f)
		if err != nil {
			return "", err
		}
		local = append(local, path)
	}
	for _, path := range local {
		if err := sdist.UnpackWheel(ctx, path, scratch, h.p.cfg.Target.Python.Executable); err != nil {
			return "", fmt.Errorf("unpack %s: %w", filepath.Base(path), err)
		}
	}
	if err := os.Rename(scratch, final); err != nil {
		if _, statErr := os.Stat(final); statErr == nil {
			return final, nil // another process was quicker
		}
		return "", err
	}
	return final, nil
}

// toolWheel finds a wheel of a build tool that runs on the target, for asking only. A
// tool without one is built to a wheel in the sandbox.
func (h *hooks) toolWheel(ctx context.Context, name string, v pep440.Version) (index.File, string, error) {
	page, err := h.from.page(ctx, name)
	if err != nil {
		return index.File{}, "", err
	}
	files := page.files(v)
	for _, f := range files {
		if f.Kind == index.Wheel && wheelFits(f.Wheel, h.p.cfg.Target) {
			return f, "", nil
		}
	}
	source := sdistOf(files)
	if source == nil {
		return index.File{}, "", fmt.Errorf("%s %s: %w", name, v, ErrNoSource)
	}
	path, err := h.buildWheel(ctx, *source)
	return index.File{}, path, err
}

// asked is the answer of a build backend about one archive.
type asked struct {
	Requires []string // get_requires_for_build_wheel
}

// hookRequires asks what else the build of an archive needs: Python packages, and programs of the
// distribution in place of their wheels. The answer is kept by archive, Python, base root and environment.
func (h *hooks) hookRequires(ctx context.Context, f index.File, record sdistRecord) ([]pep508.Requirement, []native.Need, error) {
	needs, err := h.p.outsideOfQuestion(ctx, f.Name, record)
	if err != nil {
		return nil, nil, h.p.explainHook(err)
	}
	reqs, _, err := h.question(ctx, f, record, needs.question, (*sdist.Asker).Requires)
	rest, tools := h.p.systemTools(ctx, h.p.askedBuild(f.Name, reqs))
	return rest, tools, h.p.explainHook(err)
}

// question has a backend asked with what its project declares, in a root with needs, unless it is
// known already what it answers; site is where what it declares lies.
func (h *hooks) question(ctx context.Context, f index.File, record sdistRecord, needs question,
	ask func(a *sdist.Asker, ctx context.Context, dir string, env sdist.HookEnv) ([]pep508.Requirement, error)) (reqs []pep508.Requirement, site string, err error) {
	fit, err := h.fit(ctx, f, record)
	if err != nil {
		return nil, "", err
	}
	if site, err = h.env(ctx, fit.tools); err != nil {
		return nil, "", err
	}
	base, err := h.p.openBase(ctx)
	if err != nil {
		return nil, "", err
	}
	key := []any{fileKey(f) + h.p.saidKey(f.Name), filepath.Base(site), base.ID()}
	if record.Sdist.Native.Rust {
		key = append(key, noRustup) // answers without it name an installer of Rust
	}
	if fit.patch != nil {
		key = append(key, fit.key())
	}
	if len(needs.debs)+len(needs.install) > 0 {
		key = append(key, debKeys(needs.debs), needs.install)
	}
	path := filepath.Join(h.p.paths.facts(), "hooks", digest(key)+".json")
	var answer asked
	if ok, err := readJSON(path, &answer); err != nil {
		return nil, "", err
	} else if ok {
		reqs, err := parseAll(answer.Requires)
		return reqs, site, err
	}
	err = h.inSource(ctx, f, fit, func(dir string) error {
		reqs, err = ask(h.asker(base, needs), ctx, dir, h.hookEnv(site, f))
		return err
	})
	if err != nil {
		return nil, "", err
	}
	for _, r := range reqs {
		answer.Requires = append(answer.Requires, r.String())
	}
	if err := writeJSONBy(h.p.paths.tmp(), path, answer); err != nil {
		return nil, "", err
	}
	reqs, err = parseAll(answer.Requires) // as the next run reads it
	return reqs, site, err
}

// asker asks in trees that inSource unpacked for it.
func (h *hooks) asker(base sdist.Runner, needs question) *sdist.Asker {
	return &sdist.Asker{Runner: questionRoot{base, h.p, needs}, TempDir: h.p.paths.tmp(), Scratch: true}
}

// metadata asks a build backend what the package says of itself. Most can say it without the
// libraries and programs that their build needs, and finding those takes the distribution's tools
// seconds, so they are looked for only where the backend fails without.
func (h *hooks) metadata(ctx context.Context, f index.File, record sdistRecord) ([]byte, error) {
	raw, bare := h.metadataWith(ctx, f, record, question{})
	if bare == nil || ctx.Err() != nil || fatal(bare) {
		return raw, bare
	}
	needs, err := h.p.outsideOfQuestion(ctx, f.Name, record)
	if err != nil {
		return nil, err
	}
	if len(needs.question.debs)+len(needs.question.install) == 0 {
		return nil, bare
	}
	return h.metadataWith(ctx, f, record, needs.question)
}

// metadataWith asks in a root with needs: along with what the build requires, where that is nothing
// more than its project declares.
func (h *hooks) metadataWith(ctx context.Context, f index.File, record sdistRecord, needs question) ([]byte, error) {
	var raw []byte
	describe := func(a *sdist.Asker, ctx context.Context, dir string, env sdist.HookEnv) (reqs []pep508.Requirement, err error) {
		reqs, raw, err = a.Describe(ctx, dir, env)
		return reqs, err
	}
	extra, site, err := h.question(ctx, f, record, needs, describe)
	if err != nil {
		return nil, err
	}
	rest, tools := h.p.systemTools(ctx, h.p.askedBuild(f.Name, extra))
	env, fit, err := h.widen(ctx, f, record, rest)
	if err != nil {
		return nil, err
	}
	if raw != nil && env.SitePath == site {
		return raw, nil
	}
	base, err := h.p.openBase(ctx)
	if err != nil {
		return nil, err
	}
	if len(tools) > 0 {
		outside, err := h.p.outsideOfQuestion(ctx, f.Name, record, tools...)
		if err != nil {
			return nil, err
		}
		needs = outside.question
	}
	err = h.inSource(ctx, f, fit, func(dir string) error {
		raw, err = h.asker(base, needs).Metadata(ctx, dir, env)
		return err
	})
	return raw, err
}

// widen makes the environment that also holds what the backend asked for.
func (h *hooks) widen(ctx context.Context, f index.File, record sdistRecord, extra []pep508.Requirement) (sdist.HookEnv, fitted, error) {
	fit, err := h.fit(ctx, f, record)
	if err != nil {
		return sdist.HookEnv{}, fit, err
	}
	tools, err := h.solveTools(ctx, append(slices.Clone(fit.requires), extra...))
	if err != nil {
		return sdist.HookEnv{}, fit, err
	}
	site, err := h.env(ctx, tools)
	return h.hookEnv(site, f), fit, err
}

func (h *hooks) hookEnv(site string, f index.File) sdist.HookEnv {
	return h.p.hear(f.Name, sdist.HookEnv{Python: h.p.cfg.Target.Python.Executable, SitePath: site, Version: f.Version.String(), Env: []string{noRustup}})
}

// noRustup tells maturin not to ask for an installer of Rust where it sees no cargo: a build has the target's.
const noRustup = "MATURIN_NO_INSTALL_RUST=1"

// inSource unpacks f, patches it to fit, and runs use on it while holding a slot.
func (h *hooks) inSource(ctx context.Context, f index.File, fit fitted, use func(dir string) error) error {
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-h.slots }()
	return h.p.withSource(ctx, f, func(_, dir string) error {
		if err := fit.apply(dir); err != nil {
			return err
		}
		return use(dir)
	})
}

// askMetadata is hookMetadata's way to a backend.
func (p *Pipeline) askMetadata(ctx context.Context, f index.File) ([]byte, error) {
	record, err := p.sdistFacts(ctx, f)
	if err != nil {
		return nil, err
	}
	return p.hooks.metadata(ctx, f, record)
}

// buildWheel builds a tool that has no wheel for the target, for asking only.
func (h *hooks) buildWheel(ctx context.Context, f index.File) (string, error) {
	final := filepath.Join(h.p.paths.hookEnvs(), "wheel-"+fileKey(f)+"-"+h.p.cfg.Target.Python.Minor()+h.p.saidKey(f.Name))
	if found, _ := filepath.Glob(filepath.Join(final, "*.whl")); len(found) == 1 {
		return found[0], nil
	}
	record, err := h.p.sdistFacts(ctx, f)
	if err != nil {
		return "", err
	}
	extra, tools, err := h.hookRequires(ctx, f, record)
	if err != nil {
		return "", err
	}
	env, fit, err := h.widen(ctx, f, record, extra)
	if err != nil {
		return "", err
	}
	base, err := h.p.openBase(ctx)
	if err != nil {
		return "", err
	}
	scratch, err := os.MkdirTemp(h.p.paths.tmp(), "wheel-")
	if err != nil {
		return "", err
	}
	defer removeTree(scratch)
	needs, err := h.p.outsideOf(ctx, f.Name, record, tools...)
	if err != nil {
		return "", err
	}
	needs.question.debs = needs.debs // compilers too: this is a build
	err = h.inSource(ctx, f, fit, func(dir string) error {
		return h.asker(base, needs.question).Wheel(ctx, dir, env, scratch)
	})
	if err != nil {
		return "", fmt.Errorf("wheel of build tool %s: %w", f.Filename, err)
	}
	if err := os.Chmod(scratch, 0o755); err != nil {
		return "", err
	}
	if err := os.Rename(scratch, final); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	found, _ := filepath.Glob(filepath.Join(final, "*.whl"))
	if len(found) != 1 {
		return "", fmt.Errorf("wheel of build tool %s: the backend left %d wheels", f.Filename, len(found))
	}
	return found[0], nil
}

func parseAll(texts []string) ([]pep508.Requirement, error) {
	reqs := make([]pep508.Requirement, 0, len(texts))
	for _, text := range texts {
		r, err := pep508.Parse(text)
		if err != nil {
			return nil, err
		}
		reqs = append(reqs, r)
	}
	return reqs, nil
}
