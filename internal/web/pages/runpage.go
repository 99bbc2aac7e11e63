package pages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/blob"
	"reqpm/internal/lockfile"
	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/web/runview"
)

// The page of a run: what failed first and how it is mended, the grid, the graph and the timeline.

func (p *Pages) runPages() {
	p.get("/runs/{run}", auth.Viewer, aboutRun, p.run)
	p.post("/runs/{run}/cancel", auth.Builder, aboutRun, p.cancelRun)
	p.post("/runs/{run}/retry", auth.Builder, aboutRun, p.retryRun)
	p.get("/runs/{run}/fix/{step}", auth.Maintainer, aboutRun, p.fix)
	p.post("/runs/{run}/fix/{step}", auth.Maintainer, aboutRun, p.applyFix)
}

// memo is what one open page keeps from one rendering to the next, so that nothing moves under the pointer: the
// order of rows, which of them are folded, the picture of the graph.
type memo struct {
	order    map[string]int
	folded   map[string]bool
	graph    string // its key
	svg      string
	finished map[int64]bool     // left out of the picture
	stop     context.CancelFunc // of what waits for the log
}

// memos are those of open streams.
type memos struct{ all sync.Map }

// memo is the one of this request, which is a new one unless it is a stream that renders again.
func (q *request) memo() *memo {
	if !q.wants(typeStream) {
		return &memo{}
	}
	m, again := q.p.memos.all.LoadOrStore(q, &memo{})
	if !again {
		context.AfterFunc(q.ctx(), func() { q.p.memos.all.Delete(q) })
	}
	kept, _ := m.(*memo)
	return kept
}

// runData is what the page of a run shows.
type runData struct {
	Run      store.Run
	Project  store.Project
	Counts   runview.Counts
	ByTarget []runview.TargetCounts
	Causes   []causeData
	Grid     runview.Grid
	Folded   []runview.Row
	Order    runview.Order
	Filter   runview.State // only these; "": all
	Find     string        // only packages with this in their name
	Stages   []store.Step  // the steps that are no builds
	Time     runview.Timeline
	Slots    int
	Busy     int
	Graph    graphData
	Now      time.Time
	Path     string
	RPMs     int64
	Before   int64 // the run before, of the same project; 0: none
	Builder  bool
	Fixer    bool
	First    int64 // the step that failed first
}

// causeData is a root cause with what may be done.
type causeData struct {
	runview.Cause
	Fix    service.Fix
	HasFix bool
	Line   int // of the first evidence in the log of the step; 0: it was not looked for
}

func (p *Pages) run(q *request) (view, error) {
	d, err := q.runData()
	if err != nil {
		return view{}, err
	}
	name := fmt.Sprintf("Run %d", d.Run.Number)
	v := view{
		Title: runTitle(d), State: string(d.Run.State), Nav: "runs", Body: runPage(d), Watch: store.EventFilter{Run: d.Run.ID},
		Crumbs: []crumb{{"Projects", "/projects"}, {d.Project.Name, projectPath(d.Project.Name)}, {"Runs", projectPath(d.Project.Name) + "/runs"}, {Text: name}},
	}
	if len(d.Causes) > 0 && d.Run.State == store.RunRunning {
		v.State = "failed" // the tab says it before the end
	}
	return v, nil
}

// runTitle is what the browser's tab says: causes first, then how far it is.
func runTitle(d runData) string {
	title := fmt.Sprintf("Run %d · %s", d.Run.Number, d.Project.Name)
	switch {
	case len(d.Causes) > 0:
		return "● " + plural(len(d.Causes), "cause") + " · " + title
	case d.Run.State == store.RunRunning && d.Counts.Total() > 0:
		return fmt.Sprintf("%d %% · %s", 100*d.Counts.Decided()/d.Counts.Total(), title)
	}
	return title
}

func (q *request) runData() (runData, error) {
	ctx, s := q.ctx(), q.store()
	id, err := q.pathID("run")
	if err != nil {
		return runData{}, err
	}
	d := runData{Project: q.project, Now: now(ctx), Path: runPath(id), Order: runview.Order(q.URL.Query().Get("order")), Filter: runview.State(q.URL.Query().Get("state")),
		Find: strings.ToLower(q.URL.Query().Get("q")), Builder: q.may(auth.Builder), Fixer: q.may(auth.Maintainer)}
	if d.Run, err = s.Run(ctx, id); err != nil {
		return d, err
	}
	steps, err := s.RunSteps(ctx, id)
	if err != nil {
		return d, err
	}
	edges, err := s.RunEdges(ctx, id)
	if err != nil {
		return d, err
	}
	attempts, err := s.RunAttempts(ctx, id)
	if err != nil {
		return d, err
	}
	workers, err := s.LivingWorkers(ctx)
	if err != nil {
		return d, err
	}
	locks, err := q.locks(d.Run)
	if err != nil {
		return d, err
	}
	d.Counts, d.ByTarget = runview.Count(steps), runview.ByTarget(d.Run, steps)
	for _, step := range steps {
		if step.Kind != store.Build {
			d.Stages = append(d.Stages, step)
		}
		if step.State == store.Failed && (d.First == 0 || step.Kind == store.Build) {
			d.First = step.ID
		}
	}
	for _, w := range workers {
		d.Slots += int(w.Slots)
	}
	for _, a := range attempts {
		if a.Finished.IsZero() {
			d.Busy++
		}
	}
	if err := q.causes(&d, steps); err != nil {
		return d, err
	}
	m := q.memo()
	d.Grid = runview.NewGrid(d.Run, steps, edges, locks, d.Order, d.Now)
	d.Grid.Keep(d.Filter, d.Find)
	m.hold(&d)
	d.Time = runview.NewTimeline(d.Run, steps, edges, attempts, workers, d.Now)
	if d.Graph, err = q.graph(d.Run, steps, edges, m); err != nil {
		return d, err
	}
	if before, err := s.Runs(ctx, store.RunFilter{Project: d.Project.ID}, store.Page{Limit: 50}); err == nil {
		for _, r := range before.Items {
			if r.ID < id && r.ID > d.Before {
				d.Before = r.ID
			}
		}
	}
	rpms, err := s.Artifacts(ctx, store.ArtifactFilter{Run: id, Kinds: []string{"rpm"}}, store.Page{Limit: 1})
	d.RPMs = int64(len(rpms.Items))
	return d, err
}

// hold puts the rows of an open page where they were. Rows that are new come last.
func (m *memo) hold(d *runData) {
	g := &d.Grid
	key := func(r runview.Row) string { return r.Key() }
	if m.order == nil {
		m.order, m.folded = map[string]int{}, map[string]bool{}
		for i, r := range g.Rows {
			m.order[key(r)] = i
		}
		for _, r := range g.Over {
			m.folded[key(r)] = true
		}
		return
	}
	all := append(slices.Clone(g.Rows), g.Over...)
	g.Rows, g.Over = nil, nil
	for _, r := range all {
		if m.folded[key(r)] {
			g.Over = append(g.Over, r)
			continue
		}
		if _, known := m.order[key(r)]; !known {
			m.order[key(r)] = len(m.order)
		}
		g.Rows = append(g.Rows, r)
	}
	slices.SortStableFunc(g.Rows, func(a, b runview.Row) int { return m.order[key(a)] - m.order[key(b)] })
}

const mostCauses = 40

// causes are the root causes with their fixes.
func (q *request) causes(d *runData, steps []store.Step) error {
	for _, c := range runview.Causes(steps) {
		x := causeData{Cause: c}
		if c.Steps[0].Kind == store.Build {
			x.Fix, x.HasFix = service.SuggestFix(d.Project, c.Steps)
			x.Fix.Frees = len(c.Blocks)
			if len(d.Causes) < mostCauses {
				x.Line = q.evidenceLine(c.Steps[0])
			}
		}
		d.Causes = append(d.Causes, x)
	}
	return nil
}

// evidenceLine is the line of a step's log that shows why it failed; 0 where that would take long to find.
func (q *request) evidenceLine(step store.Step) int {
	r, err := q.p.cfg.Logs.Open(store.LogName(step.Run, step.ID, step.Attempt))
	if err != nil {
		return 0
	}
	size, err := r.Size()
	_ = r.Close()
	if err != nil || size > knownAtOnce {
		return 0
	}
	l, err := q.log(step, step.Attempt)
	if err != nil {
		return 0
	}
	defer l.Close()
	lines, err := l.evidence(runview.Findings(step))
	if err != nil {
		return 0
	}
	return l.firstError(lines)
}

// lockCache keeps locks that were read, by what they were read from.
type lockCache struct {
	mu  sync.Mutex
	all map[string]cachedLock
}

type cachedLock struct {
	modified time.Time
	size     int64
	lock     *lockfile.Target
}

const maxLocks = 64

// locks are those of a run, for the targets that have one by now.
func (q *request) locks(r store.Run) (runview.Locks, error) {
	locks := runview.Locks{}
	for _, target := range r.Targets {
		lock, err := q.lock(r.ID, target)
		if errors.Is(err, blob.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		locks[target] = lock
	}
	return locks, nil
}

func (q *request) lock(run int64, target string) (*lockfile.Target, error) {
	name := service.LockBlob(run, target)
	info, err := q.p.cfg.Blobs.Stat(q.ctx(), name)
	if err != nil {
		return nil, err
	}
	c := &q.p.lockfiles
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept, ok := c.all[name]; ok && kept.modified.Equal(info.Modified) && kept.size == info.Size {
		return kept.lock, nil
	}
	object, err := q.p.cfg.Blobs.Open(q.ctx(), name)
	if err != nil {
		return nil, err
	}
	defer object.Close()
	text, err := io.ReadAll(object)
	if err != nil {
		return nil, err
	}
	file, err := lockfile.Parse(text)
	if err != nil { // the page says what else is known
		q.p.cfg.Log.Warn("a lock cannot be read", "lock", name, "error", err)
	}
	lock := file.Target(target)
	if lock == nil {
		lock = &lockfile.Target{Name: target}
	}
	if c.all == nil || len(c.all) >= maxLocks {
		c.all = map[string]cachedLock{}
	}
	c.all[name] = cachedLock{info.Modified, info.Size, lock}
	return lock, nil
}

func (p *Pages) cancelRun(q *request) error {
	id, err := q.pathID("run")
	if err != nil {
		return err
	}
	err = q.write(auth.Change{Action: "run.cancel", Project: q.project.ID, Detail: map[string]any{"run": id}}, func(tx *store.Tx) error {
		r, err := tx.Run(q.ctx(), id)
		if err != nil || r.State.Ended() {
			return err
		}
		return tx.CancelRun(q.ctx(), id, "cancelled by "+q.who.String())
	})
	if err != nil {
		return err
	}
	return q.done("The run is being cancelled.", "")
}

// retryRun does again what failed, or with scope=all everything.
func (p *Pages) retryRun(q *request) error {
	id, err := q.pathID("run")
	if err != nil {
		return err
	}
	all := q.PostFormValue("scope") == "all"
	return q.retry(store.Retry{Run: id, Failed: !all, All: all})
}

func (q *request) retry(r store.Retry) error {
	var again []store.Step
	err := q.write(auth.Change{Action: "run.retry", Project: q.project.ID, Detail: map[string]any{"run": r.Run}}, func(tx *store.Tx) error {
		var err error
		again, err = tx.Retry(q.ctx(), r)
		return err
	})
	if err != nil {
		return err
	}
	if len(again) == 0 {
		return q.done("There is nothing to do again.", "")
	}
	return q.done(sentence(againText(again)), "")
}

// againText says what is done again, in a few words.
func againText(steps []store.Step) string {
	builds := 0
	for _, s := range steps {
		if s.Kind == store.Build {
			builds++
		}
	}
	switch rest := len(steps) - builds; {
	case rest == 0:
		return plural(builds, "build") + " again"
	case builds == 0:
		return plural(rest, "step") + " again"
	default:
		return plural(builds, "build") + " and " + plural(rest, "other step") + " again"
	}
}

// fixOfPath finds the fix that an address names by a step that failed.
func (q *request) fixOfPath() (causeData, error) {
	run, err := q.pathID("run")
	if err != nil {
		return causeData{}, err
	}
	steps, err := q.store().RunSteps(q.ctx(), run)
	if err != nil {
		return causeData{}, err
	}
	d := runData{Project: q.project}
	if err := q.causes(&d, steps); err != nil {
		return causeData{}, err
	}
	for _, c := range d.Causes {
		if slices.ContainsFunc(c.Steps, func(s store.Step) bool { return itoa(s.ID) == q.PathValue("step") }) {
			if !c.HasFix { // a person may know better than the log
				c.Fix = service.Fix{Project: q.project.ID, Run: run, Package: c.Package, Targets: c.Targets, Frees: len(c.Blocks), Text: service.OverrideOf(q.project, c.Package)}
				for _, s := range c.Steps {
					c.Fix.Steps = append(c.Fix.Steps, s.ID)
				}
			}
			return c, nil
		}
	}
	return causeData{}, fmt.Errorf("step %s of run %d did not fail: %w", q.PathValue("step"), run, store.ErrNotFound)
}

// fixData is the page on which a fix is looked at and changed before it is made.
type fixData struct {
	Cause causeData
	Again []store.Step // done again, in this run
	Path  string
	Run   store.Run
	Was   string // what is said of the package now
}

func (p *Pages) fix(q *request) (view, error) {
	c, err := q.fixOfPath()
	if err != nil {
		return view{}, err
	}
	r, err := q.store().Run(q.ctx(), c.Fix.Run)
	if err != nil {
		return view{}, err
	}
	d := fixData{Cause: c, Run: r, Path: fmt.Sprintf("%s/fix/%s", runPath(r.ID), q.PathValue("step")), Was: service.OverrideOf(q.project, c.Package)}
	if !c.Fix.NewRun {
		if d.Again, err = q.store().PlanRetry(q.ctx(), store.Retry{Run: r.ID, Steps: c.Fix.Steps}); err != nil {
			return view{}, err
		}
	}
	return view{Title: "Fix " + c.Package, State: "failed", Nav: "runs", Body: fixPage(d), Watch: store.EventFilter{Run: r.ID}, Crumbs: []crumb{
		{q.project.Name, projectPath(q.project.Name)}, {fmt.Sprintf("Run %d", r.Number), runPath(r.ID)}, {c.Package, buildPath(c.Steps[0].ID)}, {Text: "Fix"},
	}}, nil
}

// applyFix takes the fix that is proposed, or the one that was written.
func (p *Pages) applyFix(q *request) error {
	c, err := q.fixOfPath()
	if err != nil {
		return err
	}
	text, written := c.Fix.Text, false
	if err := q.ParseForm(); err == nil && q.PostForm.Has("text") {
		text, written = strings.ReplaceAll(q.PostFormValue("text"), "\r\n", "\n"), true
	}
	if !c.HasFix && !written {
		return &invalid{"", "nothing is proposed for " + c.Package + ": say what is to change"}
	}
	c.Fix.NewRun = c.Fix.NewRun || q.PostFormValue("new") == "true"
	var applied service.Applied
	err = q.write(auth.Change{Action: "override.set", Object: c.Package, Project: q.project.ID, Detail: map[string]any{"run": c.Fix.Run, "text": text}}, func(tx *store.Tx) error {
		var err error
		applied, err = service.ApplyFix(q.ctx(), tx, c.Fix, text, "fix of "+c.Package+" by "+q.who.String())
		return err
	})
	if errors.Is(err, service.ErrOverride) {
		return &invalid{"text", err.Error()}
	}
	if err != nil {
		return err
	}
	if applied.Run.ID != c.Fix.Run {
		return q.done(fmt.Sprintf("Run %d begins with it.", applied.Run.Number), runPath(applied.Run.ID))
	}
	to := ""
	if written {
		to = runPath(applied.Run.ID)
	}
	return q.done(sentence(againText(applied.Again)), to)
}
