package pages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cavaliergopher/rpm"

	"reqpm/internal/auth"
	"reqpm/internal/blob"
	"reqpm/internal/builder"
	"reqpm/internal/lockfile"
	"reqpm/internal/plan"
	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/textdiff"
	"reqpm/internal/web/runview"
)

// The page of a build, or of another step of a run: its log, what it was made from and what came of it.

func (p *Pages) buildPages() {
	p.get("/builds/{build}", auth.Viewer, aboutBuild, p.build)
	p.post("/builds/{build}/retry", auth.Builder, aboutBuild, p.retryBuild)
	p.post("/builds/{build}/cancel", auth.Builder, aboutBuild, p.cancelBuild)
}

// buildData is what the page shows. Of the tabs only the one that is looked at is filled.
type buildData struct {
	Step     store.Step
	Run      store.Run
	Name     string
	Version  string
	State    string
	Attempts []store.Attempt
	Attempt  int64 // that is looked at
	Tab      string
	Path     string
	Cause    *causeData
	Blocks   []store.Step
	Next     int64 // the next failure of the run; 0: no other
	Usual    time.Duration
	Worker   string
	Green    *greenData
	Fixer    bool
	Builder  bool
	Again    int // builds that retrying with dependents does again
	Direct   string
	Paths    [][]string
	Artifact lockfile.Artifact
	Project  string // its name
	Node     plan.Node
	Built    service.Built
	Manifest service.Manifest
	HasLog   bool
	LogBytes int64
	Running  bool
	Spec     service.Spec
	Patches  []string
	Sources  []sourceRow
	Deps     []depRow
	RPMs     []rpmRow
	Diff     []textdiff.Line
	DiffWhat string
	DiffMore bool
	Now      time.Time
}

// greenData is the last build of the same package on the same target that succeeded, before this one.
type greenData struct {
	Step store.Step
	Run  store.Run
}

// sourceRow is a file that the build was made from.
type sourceRow struct{ Name, SHA256, URL, From string }

// depRow is something that was in the build root, and where it came from.
type depRow struct {
	Name, Version, From string
	Step                int64 // that built it; 0: nobody here did
	State               string
}

// rpmRow is an RPM that came of it.
type rpmRow struct {
	Artifact           store.Artifact
	Files              []fileRow
	Requires, Provides []string
	Problem            string // why it was not read
}

type fileRow struct {
	Path string
	Size int64
	Mode string
}

var buildTabs = []string{"log", "spec", "sources", "deps", "rpms", "green", "attempts"}

func (p *Pages) build(q *request) (view, error) {
	d, err := q.buildData()
	if err != nil {
		return view{}, err
	}
	v := view{
		Title: d.Name + " " + d.Version, State: d.State, Nav: "runs", Body: buildPage(d), Watch: store.EventFilter{Run: d.Run.ID},
		Crumbs: []crumb{{q.project.Name, projectPath(q.project.Name)}, {fmt.Sprintf("Run %d", d.Run.Number), runPath(d.Run.ID)}},
	}
	if d.Step.Kind == store.Build {
		v.Title = fmt.Sprintf("%s %s · %s", d.Name, d.Version, d.Step.Target)
		v.Crumbs = append(v.Crumbs, crumb{Text: visibleName(d.Name + " " + d.Version)})
	} else {
		v.Title = stageName(d.Step)
		v.Crumbs = append(v.Crumbs, crumb{Text: stageName(d.Step)})
	}
	begins := d.Step.State == store.Running && d.LogBytes == 0 && d.Attempt == d.Step.Attempt // and has no log yet
	if (d.Running || begins) && q.wants(typeStream) {
		v.Wake = q.logGrows(d)
	}
	return v, nil
}

// lookForLog is how long a page waits before it looks again for a log that is not there yet.
const lookForLog = 500 * time.Millisecond

// logGrows tells once that the log that is looked at has more, or has ended.
func (q *request) logGrows(d buildData) <-chan struct{} {
	m := q.memo()
	if m.stop != nil {
		m.stop()
	}
	ctx, cancel := context.WithCancel(q.ctx())
	m.stop = cancel
	grown := make(chan struct{})
	log, err := q.p.cfg.Logs.Open(store.LogName(d.Run.ID, d.Step.ID, d.Attempt))
	if err != nil || !d.Running { // a worker has the build, and has not written anything yet
		if err == nil {
			_ = log.Close() // reads only
		}
		time.AfterFunc(lookForLog, func() {
			if ctx.Err() == nil {
				close(grown)
			}
		})
		return grown
	}
	go func() {
		defer log.Close()
		if _, err := log.Seek(d.LogBytes, 0); err == nil {
			_ = log.Wait(ctx) // whatever ends it, the page looks again
		}
		if ctx.Err() == nil {
			close(grown)
		}
	}()
	return grown
}

func (q *request) buildData() (buildData, error) {
	ctx, s := q.ctx(), q.store()
	id, err := q.pathID("build")
	if err != nil {
		return buildData{}, err
	}
	d := buildData{Path: buildPath(id), Project: q.project.Name, Now: now(ctx), Tab: cmp.Or(q.URL.Query().Get("tab"), "log"), Builder: q.may(auth.Builder), Fixer: q.may(auth.Maintainer)}
	if d.Step, err = s.Step(ctx, id); err != nil {
		return d, err
	}
	if d.Run, err = s.Run(ctx, d.Step.Run); err != nil {
		return d, err
	}
	if d.Attempts, err = s.Attempts(ctx, id); err != nil {
		return d, err
	}
	if !slices.Contains(buildTabs, d.Tab) {
		return d, fmt.Errorf("tab %q: %w", d.Tab, store.ErrNotFound)
	}
	d.Name, d.Version = runview.Split(d.Step.Package)
	d.State, d.Built = stateOf(d.Step), builtOf(d.Step)
	d.Attempt = cmp.Or(q.number("attempt"), d.Step.Attempt)
	for _, a := range d.Attempts {
		if a.Attempt == d.Attempt {
			d.Worker = a.WorkerName
		}
	}
	if d.Step.Kind == store.Build {
		if err := q.aboutPackage(&d); err != nil {
			return d, err
		}
	}
	if err := q.neighbours(&d); err != nil {
		return d, err
	}
	if l, err := q.log(d.Step, d.Attempt); err == nil {
		d.HasLog, d.LogBytes, d.Running = l.Lines() > 0, l.Bytes, l.Running
		l.Close()
	}
	return d, q.fillTab(&d)
}

// neighbours are the other builds of the run that say something of this one.
func (q *request) neighbours(d *buildData) error {
	if d.State != "failed" && d.State != "blocked" {
		return nil
	}
	steps, err := q.store().RunSteps(q.ctx(), d.Run.ID)
	if err != nil {
		return err
	}
	first := int64(0)
	for _, s := range steps {
		if s.State == store.Failed && s.ID != d.Step.ID {
			if first == 0 {
				first = s.ID
			}
			if d.Next == 0 && s.ID > d.Step.ID {
				d.Next = s.ID
			}
		}
		if s.State == store.Blocked && s.RootStep == d.Step.ID {
			d.Blocks = append(d.Blocks, s)
		}
	}
	d.Next = cmp.Or(d.Next, first)
	if d.State != "failed" {
		return nil
	}
	x := runData{Project: q.project, Run: d.Run, Path: runPath(d.Run.ID)}
	if err := q.causes(&x, steps); err != nil {
		return err
	}
	for i, c := range x.Causes {
		if slices.ContainsFunc(c.Steps, func(s store.Step) bool { return s.ID == d.Step.ID }) {
			c.Line = q.evidenceLine(d.Step)
			c.Evidence = nil
			if found := runview.Findings(d.Step); len(found) > 0 {
				c.Evidence = found[0].Evidence
			}
			x.Causes[i] = c
			d.Cause = &x.Causes[i]
		}
	}
	return nil
}

// aboutPackage is what is known of the package beside this build.
func (q *request) aboutPackage(d *buildData) error {
	ctx, s := q.ctx(), q.store()
	usual, err := s.BuildTimes(ctx, d.Step.Target, []string{d.Name})
	if err != nil {
		return err
	}
	d.Usual = durationOf(usual[d.Name])
	green, err := s.Steps(ctx, store.StepFilter{Project: d.Step.Project, Kinds: []store.Kind{store.Build}, States: []store.StepState{store.Succeeded}, Target: d.Step.Target, Package: d.Name}, store.Page{Limit: 200})
	if err != nil {
		return err
	}
	for _, g := range green.Items {
		if g.Run < d.Run.ID && stateOf(g) == "succeeded" && (d.Green == nil || g.ID > d.Green.Step.ID) {
			d.Green = &greenData{Step: g}
		}
	}
	if d.Green != nil {
		if d.Green.Run, err = s.Run(ctx, d.Green.Step.Run); err != nil {
			return err
		}
	}
	lock, err := q.lock(d.Run.ID, d.Step.Target)
	if errors.Is(err, blob.ErrNotFound) {
		lock, err = &lockfile.Target{}, nil
	}
	if err != nil {
		return err
	}
	d.readLock(lock)
	if d.Node, _, err = service.ReadPlanned(ctx, q.p.cfg.Blobs, d.Run.ID, d.Step.Target, d.Step.Package); err != nil && !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	if d.Built.Key != "" {
		if d.Manifest, err = service.ReadManifest(ctx, q.p.cfg.Blobs, d.Built.Key); err != nil && !errors.Is(err, blob.ErrNotFound) {
			return err
		}
	}
	return nil
}

const mostPaths = 4

// readLock finds in the lock where a package comes from and why it is there.
func (d *buildData) readLock(lock *lockfile.Target) {
	for _, list := range [][]lockfile.Package{lock.Packages, lock.Tools} {
		for _, p := range list {
			if p.Name == d.Name && p.Version == d.Version {
				d.Artifact = p.Artifact
			}
			for _, e := range p.RequiredBy {
				if p.Name == d.Name && e.From == "" && d.Direct == "" && e.File != "" {
					d.Direct = fmt.Sprintf("%s:%d", e.File, e.Line)
				}
			}
		}
	}
	paths, _ := plan.Paths(lockEdges(lock), plan.ID(d.Name), mostPaths)
	for _, path := range paths {
		var names []string
		for _, step := range path {
			if step.From != "" {
				names = append(names, string(step.From))
			}
		}
		d.Paths = append(d.Paths, append(names, d.Name))
	}
}

// lockEdges are who requires whom in a set and among its build tools.
func lockEdges(lock *lockfile.Target) []plan.Edge {
	var edges []plan.Edge
	for _, list := range [][]lockfile.Package{lock.Packages, lock.Tools} {
		for _, p := range list {
			for _, e := range p.RequiredBy {
				from, _, _ := strings.Cut(e.From, " ") // of a build tool with its version
				edges = append(edges, plan.Edge{From: plan.ID(from), To: plan.ID(p.Name), Requirement: e.Requirement, File: e.File, Line: e.Line, Kind: plan.Kind(e.Kind)})
			}
		}
	}
	return edges
}

// phaseTimes are how long the phases of a build took, where its result says it.
func (q *request) phaseTimes(s store.Step) map[builder.Phase]float64 {
	times := map[builder.Phase]float64{}
	if b := builtOf(s); b.Key != "" && b.State == "built" {
		if m, err := service.ReadManifest(q.ctx(), q.p.cfg.Blobs, b.Key); err == nil {
			for phase, seconds := range m.Phases {
				times[builder.Phase(phase)] = seconds
			}
		}
	}
	return times
}

// fillTab reads what the tab that is looked at shows.
func (q *request) fillTab(d *buildData) error {
	if d.Tab != "log" && d.Tab != "attempts" && d.Step.Kind != store.Build {
		return fmt.Errorf("tab %q of a step: %w", d.Tab, store.ErrNotFound)
	}
	switch d.Tab {
	case "spec", "sources":
		var err error
		if d.Spec, err = service.ReadSpec(q.ctx(), q.p.cfg.Blobs, d.Run.ID, d.Step.Target, d.Step.Package); err != nil && !errors.Is(err, blob.ErrNotFound) {
			return err
		}
		d.sources()
	case "deps":
		return q.dependencies(d)
	case "rpms":
		return q.rpms(d)
	case "green":
		if d.Green != nil {
			d.DiffWhat = fmt.Sprintf("run %d", d.Green.Run.Number)
			return q.diff(d, d.Green.Step, d.Green.Step.Attempt)
		}
	case "attempts":
		if with := q.otherAttempt(d); with > 0 {
			d.DiffWhat = fmt.Sprintf("attempt %d", with)
			return q.diff(d, d.Step, with)
		}
	}
	return nil
}

// otherAttempt is the attempt that the one that is looked at is compared with.
func (q *request) otherAttempt(d *buildData) int64 {
	with := q.number("with")
	for _, a := range d.Attempts {
		if with == 0 && a.Attempt < d.Attempt || a.Attempt == with {
			with = a.Attempt
		}
	}
	return with
}

// sources are the files that the spec names, with what is known of each.
func (d *buildData) sources() {
	for line := range strings.Lines(d.Spec.Text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		base := value[strings.LastIndexByte(value, '/')+1:]
		switch {
		case strings.HasPrefix(key, "Patch"):
			d.Patches = append(d.Patches, value)
		case strings.HasPrefix(key, "Source"):
			row := sourceRow{Name: base}
			if base != value {
				row.URL = value
			}
			if r := d.Node.Rust; r != nil && r.Archive == base {
				row.SHA256, row.From = r.SHA256, "crates of its Cargo.lock"
			}
			d.Sources = append(d.Sources, row)
		}
	}
	if len(d.Sources) > 0 && d.Artifact.Filename != "" {
		first := &d.Sources[0] // which may be written with macros
		first.Name, first.SHA256, first.URL, first.From = d.Artifact.Filename, d.Artifact.SHA256, cmp.Or(d.Artifact.URL, first.URL), "the index: "+d.Artifact.Kind
	}
	for i := range d.Sources {
		d.Sources[i].From = cmp.Or(d.Sources[i].From, "written for this build")
	}
}

// dependencies are what was in the build root: what the run built, and what the distribution gave.
func (q *request) dependencies(d *buildData) error {
	needs, err := q.store().Needs(q.ctx(), d.Step.ID)
	if err != nil {
		return err
	}
	own := map[string]bool{}
	for _, n := range needs {
		if n.Kind != store.Build {
			continue
		}
		name, version := runview.Split(n.Package)
		row := depRow{Name: name, Version: version, From: "this run", Step: n.ID, State: stateOf(n)}
		switch builtOf(n).State {
		case "reused":
			row.From = "cache of builds"
		case "distribution":
			row.From = cmp.Or(builtOf(n).NEVRA, "distribution")
		}
		d.Deps = append(d.Deps, row)
		rpms, err := q.store().Artifacts(q.ctx(), store.ArtifactFilter{Run: d.Run.ID, Step: n.ID, Kinds: []string{"rpm"}}, store.Page{Limit: 100})
		if err != nil {
			return err
		}
		for _, a := range rpms.Items {
			own[strings.TrimSuffix(a.Name, ".rpm")] = true
		}
	}
	for _, nevra := range d.Manifest.Manifest {
		if !own[withoutEpoch(nevra)] {
			d.Deps = append(d.Deps, depRow{Name: nevra, From: "distribution of " + d.Step.Target})
		}
	}
	for _, f := range d.Node.Fetch {
		d.Deps = append(d.Deps, depRow{Name: f.Name, Version: f.Version, From: "distribution of this machine"})
	}
	return nil
}

// withoutEpoch is NAME-VERSION-RELEASE.ARCH of NAME-EPOCH:VERSION-RELEASE.ARCH.
func withoutEpoch(nevra string) string {
	before, after, ok := strings.Cut(nevra, ":")
	if !ok {
		return nevra
	}
	i := strings.LastIndexByte(before, '-')
	if i < 0 {
		return after
	}
	return before[:i+1] + after
}

const mostRPMs = 20

// rpms reads the headers of the RPMs that came of a build.
func (q *request) rpms(d *buildData) error {
	part, err := q.store().Artifacts(q.ctx(), store.ArtifactFilter{Run: d.Run.ID, Step: d.Step.ID, Kinds: []string{"rpm", "srpm"}}, store.Page{Limit: mostRPMs})
	if err != nil {
		return err
	}
	for _, a := range part.Items {
		row := rpmRow{Artifact: a}
		if err := q.readRPM(&row); err != nil {
			row.Problem = err.Error()
		}
		d.RPMs = append(d.RPMs, row)
	}
	return nil
}

func (q *request) readRPM(row *rpmRow) error {
	object, err := q.p.cfg.Blobs.Open(q.ctx(), row.Artifact.Blob)
	if err != nil {
		return err
	}
	defer object.Close()
	header, err := rpm.Read(object)
	if err != nil {
		return fmt.Errorf("read the header: %w", err)
	}
	for _, f := range header.Files() {
		row.Files = append(row.Files, fileRow{f.Name(), f.Size(), f.Mode().String()})
	}
	for _, r := range header.Requires() {
		if name := dependencyText(r); !slices.Contains(row.Requires, name) && !strings.HasPrefix(name, "rpmlib(") {
			row.Requires = append(row.Requires, name)
		}
	}
	for _, r := range header.Provides() {
		row.Provides = append(row.Provides, dependencyText(r))
	}
	return nil
}

// dependencyText writes a dependency as rpm does.
func dependencyText(d rpm.Dependency) string {
	var op string
	if d.Flags()&rpm.DepFlagLesser != 0 {
		op += "<"
	}
	if d.Flags()&rpm.DepFlagGreater != 0 {
		op += ">"
	}
	if d.Flags()&rpm.DepFlagEqual != 0 {
		op += "="
	}
	if op == "" || d.Version() == "" {
		return d.Name()
	}
	version := d.Version()
	if d.Epoch() > 0 {
		version = fmt.Sprintf("%d:%s", d.Epoch(), version)
	}
	if d.Release() != "" {
		version += "-" + d.Release()
	}
	return d.Name() + " " + op + " " + version
}

const (
	mostDiffed = 30_000 // lines of a log that are compared: its end
	mostDiff   = 1500   // lines of a comparison that are shown
)

// diff compares the log that is looked at with an older one.
func (q *request) diff(d *buildData, with store.Step, attempt int64) error {
	older, err := q.tail(with, attempt)
	if err != nil {
		return err
	}
	newer, err := q.tail(d.Step, d.Attempt)
	if err != nil {
		return err
	}
	if d.Diff = runview.DiffLogs(older, newer, 3); len(d.Diff) > mostDiff {
		d.Diff, d.DiffMore = d.Diff[:mostDiff], true
	}
	return nil
}

// tail is the end of a log, as it is shown; nothing where there is no log any more.
func (q *request) tail(s store.Step, attempt int64) ([]string, error) {
	l, err := q.log(s, attempt)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer l.Close()
	lines, err := l.lines(max(1, l.Lines()-mostDiffed), mostDiffed)
	texts := make([]string, len(lines))
	for i, line := range lines {
		texts[i] = renderedText(line)
	}
	return texts, err
}

func (p *Pages) retryBuild(q *request) error {
	id, err := q.pathID("build")
	if err != nil {
		return err
	}
	s, err := q.store().Step(q.ctx(), id)
	if err != nil {
		return err
	}
	return q.retry(store.Retry{Run: s.Run, Steps: []int64{id}, Dependents: q.PostFormValue("dependents") == "true"})
}

func (p *Pages) cancelBuild(q *request) error {
	id, err := q.pathID("build")
	if err != nil {
		return err
	}
	err = q.write(auth.Change{Action: "build.cancel", Project: q.project.ID, Detail: map[string]any{"build": id}}, func(tx *store.Tx) error {
		s, err := tx.Step(q.ctx(), id)
		if err != nil || s.State.Ended() {
			return err
		}
		return tx.CancelStep(q.ctx(), id, "cancelled by "+q.who.String())
	})
	if err != nil {
		return err
	}
	return q.done("The build is being cancelled.", "")
}
