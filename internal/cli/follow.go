package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"reqpm/internal/api"
	"reqpm/internal/client"
	"reqpm/internal/pipeline"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// saidError ends a command with a status and a text that is no complaint.
type saidError struct {
	code int
	text string
}

func (e *saidError) Error() string { return e.text }

// runWatch follows one run on a server, and shows it as 'reqpm build' shows its own.
type runWatch struct {
	app      *app
	c        *client.Client
	run      client.RunDetail
	name     string    // PROJECT/NUMBER
	quiet    bool      // nothing is shown on the way
	show     *progress // of events
	slots    int       // of all workers, for the time left
	builds   map[int64]api.Build
	stages   map[int64]api.Step
	told     map[int64]string      // what was said last of a step: state and attempt
	watching bool                  // the first look is behind us
	news     func(step int64) bool // what is told also when it has ended before the first look
}

// watchRun stays until a run has ended, and ends as it did. Of what has succeeded before it comes, it tells the news.
func (a *app) watchRun(ctx context.Context, c *client.Client, id int64, o watchOptions, news func(step int64) bool) error {
	r, err := c.Run(ctx, id)
	if err != nil {
		return err
	}
	w := &runWatch{app: a, c: c, run: r, quiet: !o.follow, builds: map[int64]api.Build{}, stages: map[int64]api.Step{}, told: map[int64]string{}, slots: 1, news: news}
	w.name = newNames(c).run(ctx, r.Run)
	w.show = &progress{app: a, many: len(r.Targets) > 1}
	if !a.global.json && o.follow {
		w.show.live = newLiveView(a.stderr)
	}
	defer w.show.Close()
	if !a.global.json {
		a.say("==> run %s on %s", w.name, c.Server())
	}
	w.countSlots(ctx)
	err = w.follow(ctx)
	w.show.Close()
	if err != nil {
		if ctx.Err() != nil {
			return &saidError{exitCancelled, fmt.Sprintf("the run %s goes on; 'reqpm run follow %s' shows it again, 'reqpm run cancel %s' cancels it", w.name, w.name, w.name)}
		}
		return err
	}
	return w.end(context.WithoutCancel(ctx))
}

// countSlots asks how many builds go at once. Who may not see the workers gets a longer estimate.
func (w *runWatch) countSlots(ctx context.Context) {
	workers, err := w.c.Workers(ctx)
	if err != nil {
		return
	}
	n := int64(0)
	for _, k := range workers {
		if k.State == store.WorkerActive {
			n += k.Slots
		}
	}
	w.slots = max(int(n), 1)
}

// follow returns when the run has ended.
func (w *runWatch) follow(ctx context.Context) error {
	for h, err := range w.c.Events(ctx, w.run.ID) {
		switch {
		case err != nil:
			return err
		case h.Begins:
			err = w.look(ctx)
		case h.Event.Kind == "run":
			err = w.runChanged(ctx, h.Event)
		case h.Event.Kind == "steps": // were added
			err = w.look(ctx)
		case h.Event.Kind == "step":
			err = w.stepChanged(ctx, h.Event)
		}
		if err != nil {
			return err
		}
		if w.run.State.Ended() {
			return nil
		}
	}
	return ctx.Err()
}

// look takes in everything as it is now, whatever was missed.
func (w *runWatch) look(ctx context.Context) (err error) {
	if w.run, err = w.c.Run(ctx, w.run.ID); err != nil {
		return err
	}
	builds, err := client.Collect(w.c.Builds(ctx, client.BuildFilter{Run: w.run.ID}), 0)
	if err != nil {
		return err
	}
	for _, s := range w.run.Steps {
		w.stage(s)
	}
	for _, b := range builds {
		w.builds[b.ID] = b
	}
	// What ended first is told first; at the first look, only how far it is.
	slices.SortStableFunc(builds, func(a, b api.Build) int { return endOf(a).Compare(endOf(b)) })
	for _, b := range builds {
		if !w.watching && b.State == store.Succeeded && !w.news(b.ID) {
			w.told[b.ID] = sayingOf(b)
			continue
		}
		w.build(b)
	}
	w.watching = true
	return nil
}

func endOf(b api.Build) time.Time {
	if b.Finished != nil {
		return *b.Finished
	}
	return time.Now()
}

func (w *runWatch) runChanged(ctx context.Context, e api.Event) error {
	var data struct {
		State store.RunState
	}
	if json.Unmarshal(e.Data, &data) == nil && data.State != "" {
		w.run.State = data.State
	}
	if w.run.State.Ended() {
		return w.look(ctx)
	}
	return nil
}

func (w *runWatch) stepChanged(ctx context.Context, e api.Event) error {
	var data struct {
		State       store.StepState
		Kind        store.Kind
		Key, Target string
		Package     string
		Attempt     int64
		Cause, Root string
	}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return nil // a newer server's
	}
	if data.Kind != store.Build {
		at := e.At
		s := api.Step{ID: e.Step, Key: data.Key, Kind: data.Kind, Target: data.Target, State: data.State, Attempt: data.Attempt, Cause: data.Cause, Root: data.Root}
		if data.State == store.Running {
			s.Started = &at
		}
		w.stage(s)
		return nil
	}
	b, known := w.builds[e.Step]
	if !known || data.State == store.Succeeded || data.State == store.Failed {
		detail, err := w.c.Build(ctx, e.Step) // with its times and its result
		if err != nil {
			return err
		}
		b = detail.Build
	} else {
		b.State, b.Attempt, b.Cause, b.Root = data.State, data.Attempt, data.Cause, data.Root
		if data.State == store.Running {
			at := e.At
			b.Started = &at
		}
	}
	w.builds[b.ID] = b
	w.build(b)
	return nil
}

// stageTexts are what stages do, as 'reqpm build' says it.
var stageTexts = map[store.Kind]string{
	store.Checkout: "check out", store.Analyze: "read the requirements", store.Resolve: "resolve for %s", store.Specs: "read the sources and write the specs for %s",
	store.Plan: "plan the builds for %s", store.Publish: "sign and publish the repository for %s", store.Verify: "install the set for %s into a fresh root and import it",
}

// stage tells that a stage began, or failed.
func (w *runWatch) stage(s api.Step) {
	w.stages[s.ID] = s
	saying := fmt.Sprintf("%s %d", s.State, s.Attempt)
	if w.told[s.ID] == saying {
		return
	}
	w.told[s.ID] = saying
	switch {
	case s.State == store.Running:
		text := stageTexts[s.Kind]
		if text == "" {
			text = s.Key
		}
		if strings.Contains(text, "%s") {
			text = fmt.Sprintf(text, s.Target)
		}
		w.say(pipeline.Event{Event: "stage", Time: stamp(s.Started), Stage: string(s.Kind), Message: text}) // which names the target itself
	case s.State == store.Ready && s.Attempt > 0 && s.Cause != "":
		w.say(pipeline.Event{Event: "warning", Time: time.Now(), Stage: string(s.Kind), Message: s.Key + " is tried again: " + firstLine(s.Cause)})
	}
}

func stamp(t *time.Time) time.Time {
	if t == nil {
		return time.Now()
	}
	return *t
}

func sayingOf(b api.Build) string { return fmt.Sprintf("%s %d", b.State, b.Attempt) }

// build tells what became of a build.
func (w *runWatch) build(b api.Build) {
	if w.told[b.ID] == sayingOf(b) {
		return
	}
	w.told[b.ID] = sayingOf(b)
	name, version, _ := strings.Cut(b.Package, "==")
	e := pipeline.Event{Event: "package", Time: time.Now(), Stage: string(store.Build), Target: b.Target, Name: name, Version: version}
	e.Done, e.Total, e.Left = w.far()
	switch b.State {
	case store.Running:
		e.State, e.Phase, e.Time = "building", "building", stamp(b.Started)
	case store.Succeeded:
		var made service.Built
		_ = json.Unmarshal(b.Result, &made) // a newer server may say it otherwise
		e.State, e.Seconds = cmp.Or(made.State, pipeline.StateBuilt), made.Seconds
	case store.Failed:
		e.State, e.Message = pipeline.StateFailed, b.Cause
	case store.Blocked:
		e.State, e.Message = pipeline.StateBlocked, "needs "+b.Root
	case store.Ready:
		if b.Attempt == 0 || b.Cause == "" {
			return
		}
		e.State, e.Message = pipeline.StateRetrying, b.Cause
	default:
		return
	}
	w.say(e)
}

func (w *runWatch) say(e pipeline.Event) {
	if !w.quiet {
		w.show.Event(e)
	}
}

// far is how far the builds are, and the expected seconds to their end when all slots are for this run.
func (w *runWatch) far() (done, total int, left float64) {
	for _, b := range w.builds {
		switch {
		case b.State.Ended():
			done++
		case b.State == store.Running && b.Started != nil:
			left += max(0, b.Expected-time.Since(*b.Started).Seconds())
		default:
			left += b.Expected
		}
	}
	return done, len(w.builds), left / float64(w.slots)
}

// watchedRun is the last line of a run that was waited for.
type watchedRun struct {
	Event        string           `json:"event"` // run
	Name         string           `json:"name"`
	Run          client.RunDetail `json:"run"`
	Failed       []api.Build      `json:"failed"`
	Blocked      []api.Build      `json:"blocked"`
	Repositories []api.Repository `json:"repositories"`
	Exit         int              `json:"exit"`
}

// end sums up, and says how the run ended.
func (w *runWatch) end(ctx context.Context) error {
	last := watchedRun{Event: "run", Name: w.name, Run: w.run, Failed: []api.Build{}, Blocked: []api.Build{}, Repositories: []api.Repository{}}
	for _, b := range w.builds {
		switch b.State {
		case store.Failed:
			last.Failed = append(last.Failed, b)
		case store.Blocked:
			last.Blocked = append(last.Blocked, b)
		}
	}
	byID := func(a, b api.Build) int { return cmp.Compare(a.ID, b.ID) }
	slices.SortFunc(last.Failed, byID)
	slices.SortFunc(last.Blocked, byID)
	all, err := w.c.Repositories(ctx, fmt.Sprint(w.run.Project))
	if err != nil {
		return err
	}
	for _, r := range all {
		if slices.ContainsFunc(w.run.Steps, func(s api.Step) bool {
			return s.Kind == store.Publish && s.Target == r.Target && s.State == store.Succeeded
		}) {
			last.Repositories = append(last.Repositories, r)
		}
	}
	switch w.run.State {
	case store.RunSucceeded:
	case store.RunCancelled:
		err = &saidError{exitCancelled, fmt.Sprintf("the run %s was cancelled; 'reqpm run retry %s' goes on with it", w.name, w.name)}
	default:
		err = errBuilds
	}
	last.Exit = exitCode(ctx, err)
	if w.app.global.json {
		_ = w.app.printJSON(last)
		if err != nil {
			return silent{err}
		}
		return nil
	}
	w.sum(last)
	return err
}

// sum is the end for people.
func (w *runWatch) sum(last watchedRun) {
	a := w.app
	for _, s := range w.run.Steps {
		switch s.State {
		case store.Failed:
			a.say("failed   %s: %s", s.Key, firstLine(s.Cause))
			a.say("         log: reqpm logs %d", s.ID)
		case store.Succeeded:
			if s.Kind == store.Verify {
				a.sayProof(s)
			}
		}
	}
	for _, b := range last.Failed {
		a.say("failed   %s on %s: %s", b.Package, b.Target, firstLine(b.Cause))
		a.say("         log: reqpm logs %d", b.ID)
	}
	for _, b := range last.Blocked {
		a.say("blocked  %s on %s: needs %s", b.Package, b.Target, b.Root)
	}
	built, reused := 0, 0
	for _, b := range w.builds {
		var made service.Built
		if b.State != store.Succeeded {
			continue
		}
		if _ = json.Unmarshal(b.Result, &made); made.State == pipeline.StateBuilt {
			built++
		} else {
			reused++
		}
	}
	a.say("%d built, %d reused, %d failed, %d blocked in %s", built, reused, len(last.Failed), len(last.Blocked), took(w.run.Started, w.run.Finished))
	if w.run.State == store.RunFailed {
		a.say("The run %s failed. Mend what failed, then 'reqpm run retry %s'.", w.name, w.name)
	}
	for _, r := range last.Repositories {
		fmt.Fprintln(a.stdout, plainText("repository  "+w.c.Server()+r.Path))
		var set service.Published
		for _, s := range w.run.Steps {
			if s.Kind == store.Publish && s.Target == r.Target {
				_ = json.Unmarshal(s.Result, &set)
			}
		}
		project, _, _ := strings.Cut(w.name, "/")
		for _, line := range set.InstallLines(w.c.Server()+r.RepoFile, project) {
			fmt.Fprintln(a.stdout, plainText("  "+line))
		}
	}
}

// sayProof tells what the proof of installability showed.
func (a *app) sayProof(s api.Step) {
	var p pipeline.Proof
	if json.Unmarshal(s.Result, &p) != nil || !p.OK {
		return
	}
	for _, name := range sortedKeys(p.NotImport) {
		a.say("import   %s: %s (reported, not fatal)", name, p.NotImport[name])
	}
	a.say("proof    %s: %d packages installed into a fresh root, %d imported", s.Target, len(p.Installed), len(p.Imported))
	if p.Command != nil && p.Command.Status == 0 && p.Command.Output != "" {
		a.say("command  %s", firstLine(p.Command.Output))
	}
}

// News of a run that has just begun, and of one that was going on.
func anyStep(int64) bool { return true }
func noStep(int64) bool  { return false }
