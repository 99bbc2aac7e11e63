package pages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/store"
	"reqpm/internal/target"
	"reqpm/internal/web/queueview"
)

// The queue: what runs, what comes next and when, why it waits, and what may run at once.

const (
	queueLooked = 300 // steps of each state that the order is computed of
	queueShown  = 20  // rows, unless all are wanted: more than a window has room for, and soon drawn
	queueWake   = 5 * time.Second
)

func (p *Pages) queuePages() {
	p.get("/queue", auth.Viewer, aboutMany, p.queue)
	p.post("/builds/{build}/place", auth.Admin, aboutBuild, p.moveBuild)
	p.post("/limits", auth.Admin, nil, p.setLimit)
}

// queueData is what the page of the queue shows. Of projects that somebody may not see, only numbers are there.
type queueData struct {
	Paused   bool
	Running  []queueRunning
	Line     []queueRow
	Ready    int // of Line, before the filter
	Waiting  int
	Hidden   int   // rows of projects that are not for this reader
	Rest     int   // rows that are not shown
	More     int64 // steps that were not looked at
	End      time.Time
	Busy     int64
	Slots    int64
	Only     string // "", ready, waiting
	All      bool
	Limits   []limitRow
	IsAdmin  bool
	Scopes   []option
	With     func(name, value string) string
	NoWorker bool
}

type queueRunning struct {
	queueview.Running
	Project string
	Number  int64 // of the run
	Part    float64
	Left    time.Duration
	MayEnd  bool
}

type queueRow struct {
	queueview.Row
	Place   int
	Project string
	Number  int64
	MayEnd  bool
}

type limitRow struct {
	store.Limit
	Text string
}

func (p *Pages) queue(q *request) (view, error) {
	d, err := q.queueData()
	if err != nil {
		return view{}, err
	}
	v := view{Title: queueTitle(d), Nav: "queue", Body: queuePage(d)}
	if len(d.Running) > 0 {
		v.State = "running"
	}
	if len(d.Running)+len(d.Line) > 0 {
		v.Wake = wakeAfter(q.ctx(), queueWake)
	}
	return v, nil
}

func queueTitle(d queueData) string {
	if d.Paused {
		return "Queue paused"
	}
	return "Queue"
}

func (q *request) queueData() (queueData, error) {
	ctx, s := q.ctx(), q.store()
	d := queueData{IsAdmin: q.who.In(0) >= auth.Admin, Only: q.URL.Query().Get("show"), All: q.URL.Query().Get("all") != "", With: q.with}
	queue, err := s.Queue(ctx, queueLooked)
	if err != nil {
		return d, err
	}
	names := projectNames{q: q}
	view := queueview.New(queue, names.of, now(ctx))
	d.Paused, d.More, d.End, d.Busy, d.Slots, d.NoWorker = queue.Paused, view.More, view.End, view.Busy, view.Slots, len(queue.Workers) == 0
	for _, r := range view.Running {
		if q.who.In(r.Step.Project) < auth.Viewer {
			d.Hidden++
			continue
		}
		row := queueRunning{Running: r, Project: names.of(r.Step.Project), MayEnd: r.Step.Kind == store.Build && q.who.In(r.Step.Project) >= auth.Builder}
		if !r.End.IsZero() {
			row.Part = min(0.97, now(ctx).Sub(r.Step.Started).Seconds()/r.Step.Expected)
			row.Left = r.End.Sub(now(ctx))
		}
		d.Running = append(d.Running, row)
	}
	for i, r := range view.Line {
		if q.who.In(r.Step.Project) < auth.Viewer {
			d.Hidden++
			continue
		}
		if r.Step.State == store.Ready {
			d.Ready++
		} else {
			d.Waiting++
		}
		if d.Only == "ready" && r.Step.State != store.Ready || d.Only == "waiting" && r.Step.State != store.Waiting {
			continue
		}
		if len(d.Line) == queueShown && !d.All {
			d.Rest++
			continue
		}
		d.Line = append(d.Line, queueRow{Row: r, Place: i + 1, Project: names.of(r.Step.Project), MayEnd: r.Step.Kind == store.Build && q.who.In(r.Step.Project) >= auth.Builder})
	}
	if err := d.number(ctx, s); err != nil {
		return d, err
	}
	for _, l := range queue.Limits {
		d.Limits = append(d.Limits, limitRow{l, limitText(l, names.of)})
	}
	if d.IsAdmin {
		d.Scopes, err = q.limitScopes(queue)
	}
	return d, err
}

// number gives what is shown the numbers of its runs; a run that was deleted meanwhile has none.
func (d *queueData) number(ctx context.Context, s *store.Store) error {
	var runs []int64
	for _, r := range d.Running {
		runs = append(runs, r.Step.Run)
	}
	for _, r := range d.Line {
		runs = append(runs, r.Step.Run)
	}
	slices.Sort(runs)
	numbers, err := s.RunNumbers(ctx, slices.Compact(runs))
	for i, r := range d.Running {
		d.Running[i].Number = numbers[r.Step.Run]
	}
	for i, r := range d.Line {
		d.Line[i].Number = numbers[r.Step.Run]
	}
	return err
}

// limitText says what a limit is of.
func limitText(l store.Limit, project func(int64) string) string {
	switch l.Scope {
	case store.LimitAll:
		return "All builds at once"
	case store.LimitWorker:
		return "Slots of " + l.Name
	case store.LimitTarget:
		return "Builds for " + l.Name
	case store.LimitProject:
		id, _ := strconv.ParseInt(l.Name, 10, 64)
		return "Builds of " + project(id)
	}
	return l.Scope + " " + l.Name
}

// limitScopes are what a limit may be set for: targets that are used, and projects.
func (q *request) limitScopes(queue store.Queue) ([]option, error) {
	all := []option{{store.LimitAll, "All builds"}}
	part, err := q.store().Projects(q.ctx(), store.ProjectFilter{}, store.Page{Limit: 200, Sort: "name"})
	if err != nil {
		return nil, err
	}
	var targets []string
	for _, p := range part.Items {
		targets = append(targets, p.Targets...)
	}
	slices.Sort(targets)
	for _, t := range slices.Compact(targets) {
		all = append(all, option{store.LimitTarget + " " + t, "Target " + t})
	}
	for _, p := range part.Items {
		all = append(all, option{store.LimitProject + " " + itoa(p.ID), "Project " + p.Name})
	}
	for _, w := range queue.Workers {
		all = append(all, option{store.LimitWorker + " " + w.Name, "Worker " + w.Name})
	}
	return all, nil
}

// moveBuild puts a build before all others or behind them.
func (p *Pages) moveBuild(q *request) error {
	id, err := q.pathID("build")
	if err != nil {
		return err
	}
	place := q.PostFormValue("place")
	to, ok := map[string]int64{"first": 1, "usual": 0, "last": -1}[place]
	if !ok {
		return &invalid{"place", "A build comes first, last, or when its turn is."}
	}
	s, err := q.store().Step(q.ctx(), id)
	if err != nil {
		return err
	}
	err = q.write(auth.Change{Action: "build.move", Object: s.Name(), Project: s.Project, Detail: map[string]any{"build": id, "place": place}}, func(tx *store.Tx) error { return tx.RaiseStep(q.ctx(), id, to) })
	if err != nil {
		return err
	}
	said := map[string]string{"first": "comes first now, with what it waits for.", "usual": "comes when its turn is.", "last": "comes last now."}[place]
	return q.done(plain(nameOf(s))+" "+said, "")
}

// nameOf is a step as rows name it.
func nameOf(s store.Step) string {
	name, _ := splitPackage(s.Package)
	return cmp.Or(name, strings.ToUpper(string(s.Kind[:1]))+string(s.Kind[1:]))
}

// setLimit changes how much may run at once.
func (p *Pages) setLimit(q *request) error {
	scope, name := q.PostFormValue("scope"), q.PostFormValue("name")
	if of := q.PostFormValue("of"); of != "" {
		scope, name, _ = cutScope(of)
	}
	value, err := strconv.ParseInt(q.PostFormValue("value"), 10, 64)
	if err != nil || value < -1 || value > 10000 {
		return &invalid{"value", "A number of builds, 0 to 10,000; 0 starts none."}
	}
	if err := q.limitable(scope, name); err != nil {
		return err
	}
	if err := q.changeLimit(store.Limit{Scope: scope, Name: name, Value: value}); err != nil {
		return err
	}
	if value < 0 {
		return q.done("The limit is gone.", "")
	}
	return q.done("The limit holds from now on. What runs goes on.", "")
}

func cutScope(of string) (scope, name string, ok bool) {
	for _, scope := range []string{store.LimitAll, store.LimitTarget, store.LimitProject, store.LimitWorker} {
		if of == scope {
			return scope, "", true
		}
		if len(of) > len(scope) && of[:len(scope)+1] == scope+" " {
			return scope, of[len(scope)+1:], true
		}
	}
	return "", "", false
}

// limitable is an invalid where a limit would be of nothing.
func (q *request) limitable(scope, name string) error {
	bad := &invalid{"of", "There is nothing of that name to be limited."}
	switch scope {
	case store.LimitAll:
		if name != "" {
			return bad
		}
	case store.LimitTarget:
		if _, err := target.Lookup(name); err != nil && name != "local" {
			return bad
		}
	case store.LimitProject:
		id, _ := strconv.ParseInt(name, 10, 64)
		if _, err := q.store().Project(q.ctx(), id); err != nil {
			if errors.Is(err, store.ErrNotFound) {
				return bad
			}
			return err
		}
	case store.LimitWorker:
		if name == "" || len(name) > 100 {
			return bad
		}
	default:
		return bad
	}
	return nil
}

func (q *request) changeLimit(l store.Limit) error {
	was := any(nil)
	all, err := q.store().Limits(q.ctx())
	if err != nil {
		return err
	}
	for _, have := range all {
		if have.Scope == l.Scope && have.Name == l.Name {
			was = have.Value
		}
	}
	to := any(l.Value)
	if l.Value < 0 {
		to = nil
	}
	return q.write(auth.Change{Action: "limit.set", Object: l.Scope + " " + l.Name, Detail: map[string]any{"value": auth.FromTo(was, to)}}, func(tx *store.Tx) error { return tx.SetLimit(q.ctx(), l) })
}

// What queuepage.templ says.

func queueSub(d queueData, at time.Time) string {
	text := fmt.Sprintf("%d running, %s in line", len(d.Running), number(int64(d.Ready+d.Waiting)+d.More))
	if d.Hidden > 0 {
		text += fmt.Sprintf(", %s of projects that you do not see", number(int64(d.Hidden)))
	}
	if !d.End.IsZero() && d.More == 0 { // else nobody has computed it
		text += ", all done " + untilText(d.End, at)
	}
	return text
}

func queueTabs(d queueData) []tab {
	at := func(show string) string {
		if show == "" {
			return "/queue"
		}
		return "/queue?" + url.Values{"show": {show}}.Encode()
	}
	return []tab{
		{Text: "All", Path: at(""), Count: d.Ready + d.Waiting, Current: d.Only == ""},
		{Text: "Ready", Path: at("ready"), Count: d.Ready, Current: d.Only == "ready"},
		{Text: "Waiting", Path: at("waiting"), Count: d.Waiting, Current: d.Only == "waiting"},
	}
}

// whyState is the state whose icon and colour a reason has.
func whyState(k queueview.Kind) string {
	switch k {
	case queueview.Dependency, queueview.Run, queueview.BackOff:
		return "waiting"
	case queueview.Paused:
		return "cancelled"
	case queueview.Disk, queueview.NoWorker:
		return "blocked"
	}
	return "queued"
}

func whyText(r queueRow, place int) string {
	if r.Why.Kind == queueview.Slot && place == 1 && r.Step.State == store.Ready && r.Step.Raised == 0 {
		return "Next free slot"
	}
	return plain(r.Why.Text)
}

func stepPath(s store.Step) string {
	if s.Kind == store.Build {
		return buildPath(s.ID)
	}
	return runPath(s.Run)
}

func stepVersion(s store.Step) string {
	_, version := splitPackage(s.Package)
	return plain(version)
}

func targetText(s store.Step) string { return orText(s.Target, "every target") }

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

func limitValue(n int64) string {
	if n == 0 {
		return "none: paused"
	}
	return number(n)
}
