package runview_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"reqpm/internal/lockfile"
	"reqpm/internal/store"
	"reqpm/internal/web/runview"
)

var began = time.Date(2026, 11, 23, 14, 2, 0, 0, time.UTC)

func build(id int64, pkg, target string, state store.StepState) store.Step {
	return store.Step{ID: id, Run: 1, Kind: store.Build, Key: "build " + target + " " + pkg, Package: pkg, Target: target, State: state, Attempt: 1, Expected: 60, Priority: 60}
}

func result(s store.Step, text string) store.Step {
	s.Result = json.RawMessage(text)
	return s
}

func ran(s store.Step, from, to int) store.Step {
	s.Started = began.Add(time.Duration(from) * time.Second)
	if to > 0 {
		s.Finished = began.Add(time.Duration(to) * time.Second)
	}
	return s
}

var run = store.Run{ID: 1, Targets: []string{"el8", "el9"}, State: store.RunRunning, Started: began}

// story is a run of every state.
func story() ([]store.Step, []store.Edge) {
	zeep, requests := build(3, "zeep==4.3.1", "el9", store.Blocked), build(6, "requests==2.32", "el9", store.Waiting)
	zeep.Root, zeep.RootStep = "lxml==5.3.0", 2
	flask := build(5, "flask==3.0", "el9", store.Ready)
	mako := build(9, "mako==1.3", "el9", store.Ready)
	mako.Priority = 200
	cryptography := ran(build(4, "cryptography==42", "el9", store.Running), 20, 0)
	cryptography.Priority = 90
	return []store.Step{
		ran(result(build(1, "lxml==4.2.5", "el8", store.Succeeded), `{"state":"distribution"}`), 0, 1),
		ran(result(build(2, "lxml==5.3.0", "el9", store.Failed), `{"state":"failed","cause":"missing-header","findings":[{"cause":"missing-header","title":"libxml/xmlversion.h is missing","evidence":[{"line":1284,"text":"fatal error"}]}]}`), 10, 51),
		zeep,
		cryptography,
		flask,
		requests,
		ran(result(build(7, "idna==3.10", "el8", store.Succeeded), `{"state":"built"}`), 5, 26),
		ran(result(build(8, "six==1.16", "el8", store.Succeeded), `{"state":"reused"}`), 0, 1),
		mako,
	}, []store.Edge{{Step: 3, Needs: 2}, {Step: 6, Needs: 5}, {Step: 6, Needs: 4}}
}

func TestTheGridBeginsWithWhatNeedsSomebody(t *testing.T) {
	steps, edges := story()
	locks := runview.Locks{"el9": {Packages: []lockfile.Package{{Name: "lxml", RequiredBy: []lockfile.Edge{{Kind: "toplevel"}, {From: "zeep"}}}, {Name: "flask", RequiredBy: []lockfile.Edge{{From: "app"}}}}}}
	g := runview.NewGrid(run, steps, edges, locks, runview.OpenFirst, began.Add(time.Minute))
	var rows []string
	for _, r := range g.Rows {
		rows = append(rows, r.Name)
	}
	if want := []string{"lxml", "zeep", "cryptography", "mako", "flask", "requests"}; !slices.Equal(rows, want) {
		t.Errorf("rows %v, want %v", rows, want)
	}
	if len(g.Over) != 2 || g.Over[0].Name != "idna" {
		t.Errorf("finished: %+v", g.Over)
	}
	cell := func(row, target int) string {
		c := g.Rows[row].Cells[target]
		return fmt.Sprintf("%s|%s|%s", c.State, c.Label, c.Note)
	}
	for i, c := range []struct {
		row, target int
		want        string
	}{
		{0, 0, "reused|4.2.5|distro"}, {0, 1, "failed|5.3.0|0:41"}, {1, 0, "||"}, {1, 1, "blocked|by lxml|"},
		{2, 1, "running|42|0:40"}, {3, 1, "queued|1.3|no. 1"}, {4, 1, "queued|3.0|no. 2"}, {5, 1, "waiting|on cryptography|+1"},
	} {
		if got := cell(c.row, c.target); got != c.want {
			t.Errorf("%d: cell %s, want %s", i, got, c.want)
		}
	}
	if !g.Rows[0].Direct || g.Rows[1].Why != "Consequence of lxml" || g.Rows[4].Why != "Required by app" {
		t.Errorf("why: %+v", g.Rows)
	}
	byName := runview.NewGrid(run, steps, edges, nil, runview.ByName, began)
	if byName.Rows[0].Name != "cryptography" || len(byName.Rows) != 8 {
		t.Errorf("by name: %+v", byName.Rows)
	}
}

func TestTwoVersionsOfAToolAreTwoRows(t *testing.T) {
	g := runview.NewGrid(run, []store.Step{build(1, "cython==0.29", "el9", store.Ready), build(2, "cython==3.0", "el9", store.Ready), build(3, "cython==3.0", "el8", store.Ready)}, nil, nil, runview.ByName, began)
	if len(g.Rows) != 2 || g.Builds != 3 {
		t.Errorf("%+v", g.Rows)
	}
}

func TestCausesAreGroupedOverTargets(t *testing.T) {
	steps, _ := story()
	other := steps[1]
	other.ID, other.Target = 20, "el10"
	resolve := store.Step{ID: 21, Kind: store.Resolve, Key: "resolve el8", Target: "el8", State: store.Failed, Cause: "no solution\nbecause …"}
	causes := runview.Causes(append(steps, other, resolve))
	if len(causes) != 2 {
		t.Fatalf("%d causes", len(causes))
	}
	c := causes[0]
	if c.Package != "lxml" || c.Title != "libxml/xmlversion.h is missing" || c.Where() != "2 builds on el9, el10 · blocks 1" || c.Evidence[0].Number != 1284 {
		t.Errorf("%+v: %s", c, c.Where())
	}
	if causes[1].Title != "no solution" || causes[1].Where() != "step resolve on el8" {
		t.Errorf("%+v", causes[1])
	}
}

func TestTheForecastGoesOnWhereTheSlotsAre(t *testing.T) {
	steps, edges := story()
	attempts := []store.Attempt{
		{Step: 2, Attempt: 1, WorkerName: "w1", State: store.Failed, Started: steps[1].Started, Finished: steps[1].Finished},
		{Step: 4, Attempt: 1, WorkerName: "w1", State: store.Running, Started: steps[3].Started},
		{Step: 7, Attempt: 1, WorkerName: "gone", State: store.Succeeded, Started: steps[6].Started, Finished: steps[6].Finished},
	}
	workers := []store.Worker{{Name: "w1", Slots: 2, State: store.WorkerActive}}
	tl := runview.NewTimeline(run, steps, edges, attempts, workers, began.Add(60*time.Second))
	if len(tl.Lanes) != 3 || tl.Lanes[0].Worker != "gone" || tl.Lanes[2].Slot != 2 {
		t.Fatalf("lanes %+v", tl.Lanes)
	}
	// Slot 1 is free: mako (longest) 60–120, flask behind it. Slot 2 has cryptography until 80; requests after flask and cryptography.
	names := func(l runview.Lane) string {
		var s []string
		for _, b := range l.Bars {
			s = append(s, fmt.Sprintf("%s %.0f-%.0f", b.Name, b.Start.Seconds(), b.End.Seconds()))
		}
		return strings.Join(s, ", ")
	}
	if got := names(tl.Lanes[1]); got != "lxml 10-51, mako 60-120, requests 140-200" {
		t.Errorf("slot 1: %s", got)
	}
	if got := names(tl.Lanes[2]); got != "cryptography 20-60, cryptography 60-80, flask 80-140" {
		t.Errorf("slot 2: %s", got)
	}
	if tl.Left != 140*time.Second || !slices.Equal(tl.Critical, []int64{5, 6}) {
		t.Errorf("left %v, critical %v", tl.Left, tl.Critical)
	}
}

func TestTwoRunsAreCompared(t *testing.T) {
	older := []store.Step{
		ran(build(1, "lxml==5.2", "el9", store.Succeeded), 0, 60),
		build(2, "billiard==4.2", "el9", store.Failed),
		build(3, "defusedxml==0.7", "el9", store.Succeeded),
		ran(build(4, "sqlalchemy==2", "el9", store.Succeeded), 0, 101),
		ran(build(5, "attrs==24", "el9", store.Succeeded), 0, 20),
	}
	blocked := build(16, "zeep==4", "el9", store.Blocked)
	blocked.RootStep = 11
	newer := []store.Step{
		build(11, "lxml==5.3", "el9", store.Failed), ran(build(12, "billiard==4.2", "el9", store.Succeeded), 0, 9),
		ran(build(14, "sqlalchemy==2", "el9", store.Succeeded), 0, 138), ran(build(15, "attrs==24", "el9", store.Succeeded), 0, 24),
		blocked, build(17, "celery==5", "el9", store.Running),
	}
	c := runview.Compare(older, newer)
	names := func(pairs []runview.Pair) string {
		var s []string
		for _, p := range pairs {
			s = append(s, p.Package)
		}
		return strings.Join(s, " ")
	}
	for what, got := range map[string][2]string{
		"newly failing": {names(c.NewlyFailing), "lxml"}, "fixed": {names(c.Fixed), "billiard"}, "new": {names(c.Added), "celery zeep"},
		"removed": {names(c.Removed), "defusedxml"}, "version": {names(c.Version), "lxml"}, "time": {names(c.Time), "sqlalchemy"},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %q, want %q", what, got[0], got[1])
		}
	}
	if c.Open != 1 || c.Blocked != 1 || c.Time[0].Change() != 37*time.Second {
		t.Errorf("%+v", c)
	}
}

func TestLogsAreComparedWithoutTheirNoise(t *testing.T) {
	older := strings.Split("Executing(%prep): /bin/sh -e /var/tmp/rpm-tmp.Jc4Qwn\nsha256 4e109ca30d1e4e109ca30d1e4e109ca30d1e4e10\nok\ngcc a.c\ndone in 1.2 s", "\n")
	newer := strings.Split("Executing(%prep): /bin/sh -e /var/tmp/rpm-tmp.XXXXXX\nsha256 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nok\ngcc b.c\nnew line\ndone in 31 s", "\n")
	var got []string
	for _, l := range runview.DiffLogs(older, newer, 1) {
		got = append(got, string(l.Op)+l.Text)
	}
	if l := runview.DiffLogs(older, newer, 1); l[0].Op != '…' || l[0].Old != 2 {
		t.Errorf("the beginning is %+v", l[0])
	}
	if len(got) != 6 || got[1] != " ok" || got[2] != "-gcc a.c" || got[3] != "+gcc b.c" || got[4] != "+new line" {
		t.Errorf("%q", got)
	}
	if l := runview.DiffLogs(older, older, 3); len(l) != 1 {
		t.Errorf("the same is not the same: %+v", l)
	}
}

func TestListsAreCompared(t *testing.T) {
	got := runview.DiffLists([]string{"a", "b", "d"}, []string{"a", "c", "d"})
	if len(got) != 2 || got[0].Text != "b" || got[0].Added || got[1].Text != "c" || !got[1].Added {
		t.Errorf("%+v", got)
	}
}

// BenchmarkThousandPackages is a run of issue 7's size, with all that its page shows but the drawing.
func BenchmarkThousandPackages(b *testing.B) {
	var steps []store.Step
	var edges []store.Edge
	for i := range int64(4000) {
		s := build(i+1, fmt.Sprintf("package%d==1.0", i/4), []string{"el8", "el9", "el10", "el7"}[i%4], store.Waiting)
		s.Priority = float64(4000 - i)
		if i < 8 {
			s.State = store.Ready
		}
		steps = append(steps, s)
		for k := int64(1); k < 6 && i-40*k > 0; k++ {
			edges = append(edges, store.Edge{Step: i + 1, Needs: i + 1 - 40*k})
		}
	}
	r := run
	r.Targets = []string{"el7", "el8", "el9", "el10"}
	for b.Loop() {
		runview.NewGrid(r, steps, edges, nil, runview.OpenFirst, began)
		runview.NewTimeline(r, steps, edges, nil, []store.Worker{{Name: "w", Slots: 8, State: store.WorkerActive}}, began)
		runview.Causes(steps)
	}
}
