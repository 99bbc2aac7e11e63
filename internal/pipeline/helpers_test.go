package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"reqpm/internal/builder"
	"reqpm/internal/builder/fake"
	"reqpm/internal/index"
	"reqpm/internal/rpmname"
	"reqpm/internal/source"
	"reqpm/internal/target"
	"reqpm/internal/testindex"
)

// workshop is a builder that runs nothing: builds are scripted, and build backends
// answer what their package.json says.
type workshop struct {
	*fake.Builder
	target target.Target

	mu    sync.Mutex
	asked []string // packages whose backend was asked, in order
	rpms  map[string][]byte
	wants []unmetNeed // builds that fail for want of something
}

func newWorkshop(t *testing.T, slots int) *workshop {
	t.Helper()
	tgt, err := target.Find(t.Context(), "el9")
	if err != nil {
		t.Fatal(err)
	}
	tgt.RPM.Style = target.StyleDriver // the macros of the other style want packages of their own
	w := &workshop{Builder: fake.New(slots), target: tgt, rpms: map[string][]byte{}}
	w.Runner = w.answer
	return w
}

// answer plays the build backend of a source tree.
func (w *workshop) answer(_ context.Context, c builder.Command) error {
	var tree string
	for _, b := range c.Binds {
		if b.Inside == "/src" {
			tree = b.Host
		}
	}
	p, err := testindex.ReadHooks(tree)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.asked = append(w.asked, p.Stem)
	w.mu.Unlock()
	if p.Fault == testindex.HookFails {
		return &builder.ExitError{Code: 1, Stderr: "RuntimeError: this hook fails on purpose"}
	}
	return json.NewEncoder(c.Stdout).Encode(map[string][]string{"hook": p.Requires})
}

// Open opens a base whose builds bring RPMs that can be read.
func (w *workshop) Open(ctx context.Context, t target.Target, report func(string)) (builder.Base, error) {
	base, err := w.Builder.Open(ctx, t, report)
	if err != nil {
		return nil, err
	}
	return &workshopBase{base, w}, nil
}

type workshopBase struct {
	builder.Base
	w *workshop
}

func (b *workshopBase) Build(ctx context.Context, job builder.Job) (builder.Result, error) {
	if result, err := b.unmet(job); err != nil {
		return result, err
	}
	result, err := b.Base.Build(ctx, job)
	for _, file := range result.RPMs {
		if err := os.WriteFile(file, b.w.rpm(job.Name), 0o644); err != nil {
			return result, err
		}
	}
	return result, err
}

// rpm is what the build of "name version" brings: set with brings, else a good noarch package.
func (w *workshop) rpm(job string) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if data := w.rpms[job]; data != nil {
		return data
	}
	name, version, _ := strings.Cut(job, " ")
	dist := rpmname.Dist(w.target, name)
	return testindex.RPM("python3-"+name, version, "1.el9", "noarch", []string{dist + " = " + version},
		[]string{w.target.Python.Sitelib + "/" + strings.ReplaceAll(name, "-", "_") + "/__init__.py"})
}

func (w *workshop) brings(job string, data []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rpms[job] = data
}

// events keeps what a pipeline reports.
type events struct {
	mu   sync.Mutex
	list []Event
	see  func(Event)
}

func (e *events) add(event Event) {
	e.mu.Lock()
	e.list = append(e.list, event)
	e.mu.Unlock()
	if e.see != nil {
		e.see(event)
	}
}

func (e *events) of(kind string) []Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []Event
	for _, event := range e.list {
		if event.Event == kind {
			list = append(list, event)
		}
	}
	return list
}

// line is a pipeline on a state directory, an index and a workshop of the test's own.
type line struct {
	*Pipeline
	workshop *workshop
	events   *events
	server   *testindex.Server
}

func newLine(t *testing.T, state string, w *workshop, change func(*Config), packages ...testindex.Package) *line {
	t.Helper()
	server, err := testindex.Start(packages...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	client, err := index.New(index.Config{Indexes: []index.IndexConfig{{URL: server.URL}}, CacheDir: filepath.Join(state, "index"), Retries: -1,
		Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	seen := &events{}
	cfg := Config{StateDir: state, Target: w.target, Index: client, Builder: w, Pool: NewPool(2), Report: seen.add}
	if change != nil {
		change(&cfg)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(p.paths.scratch); err == nil {
			t.Errorf("left behind: %s", p.paths.scratch)
		}
	})
	return &line{p, w, seen, server}
}

// plan resolves requirements and plans their builds.
func (l *line) plan(t *testing.T, requirements ...string) *Work {
	t.Helper()
	work, err := l.Plan(t.Context(), l.lock(t, requirements...))
	if err != nil {
		t.Fatal(err)
	}
	return work
}

func (l *line) lock(t *testing.T, requirements ...string) *Lock {
	t.Helper()
	lock, err := l.resolve(t, requirements...)
	if err != nil {
		t.Fatal(err)
	}
	return lock
}

func (l *line) resolve(t *testing.T, requirements ...string) (*Lock, error) {
	t.Helper()
	dir := requirementsFolder(t, requirements...)
	analysis, err := l.Analyze(t.Context(), os.DirFS(dir), Wanted{})
	if err != nil {
		t.Fatal(err)
	}
	return l.Resolve(t.Context(), Input{Set: analysis.Set})
}

// requirementsFolder is a project of nothing but requirements.
func requirementsFolder(t *testing.T, requirements ...string) string {
	t.Helper()
	dir := t.TempDir()
	text := strings.Join(requirements, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "requirements.txt"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// fromFolder is a run of such a folder.
func fromFolder(dir, state string) Request {
	return Request{Source: source.Request{URL: dir, Dir: filepath.Join(state, "checkouts"), Allow: source.Policy{Local: true}}, Wanted: Wanted{NoProject: true}}
}

// states says what became of every package: "name version state".
func states[K comparable](outcomes map[K]*Outcome) map[string]string {
	all := map[string]string{}
	for _, o := range outcomes {
		all[fmt.Sprintf("%s %s", o.Name, o.Version)] = o.State
	}
	return all
}
