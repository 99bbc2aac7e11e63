// Package pagetest fills a database with a small past for the pages' tests and pictures: three projects, twenty runs
// and some two hundred builds in every state, with logs, locks and repositories, and with texts that try to be more
// than text.
package pagetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"reqpm/internal/blob"
	"reqpm/internal/diagnose"
	"reqpm/internal/lockfile"
	"reqpm/internal/pipeline"
	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// Hostile texts: a page that shows one of them as anything but text is wrong.
const (
	Markup = `<img src=x onerror=alert(1)>`
	Turned = "abc\u202etxt.exe"
	Colour = "\x1b[31mred\x1b[0m\x1b]8;;https://evil.example.org\x07link"
	Script = `</title></textarea></script><script>window.reqpmPwned=1</script>`
	// Hidden looks like "admin": a space of no width, a joiner, a hyphen that is seen at ends of lines only, and a letter for machines.
	Hidden   = "a\u200bd\u2060m\u00adi\U000e0041n"
	Emoji    = "\U0001f469\u200d\U0001f4bb\U0001f1e8\U0001f1ed"
	Run      = "javascript:window.reqpmPwned=1"
	Terminal = "\x1b[2J\x1b[1;1H\x1b[?1049h\x07\x1b]0;title\x07\x1b]8;;" + Run + "\x07click\x1b]8;;\x07\x9b31m\r"
)

// Long has no place to be broken, and is as long as names in addresses may be.
var Long = "long" + strings.Repeat("Unbroken", 24)

// Odd is the project whose texts are hostile, as far as a database takes them.
const Odd = "odd-names.and_a-very-long-name-that-has-64-characters-as-allowed"

// Bed is where everything is put.
type Bed struct {
	Store *store.Store
	Path  string // of its SQLite file
	Repos string // folder of the published repositories
	Blobs blob.Store
	Logs  *blob.Logs
}

// Open opens a state directory as the server has it.
func Open(ctx context.Context, dir string) (*Bed, error) {
	b := &Bed{Path: filepath.Join(dir, "reqpm.db"), Repos: filepath.Join(dir, "repos")}
	var err error
	if b.Store, err = store.Open(ctx, store.Config{URL: b.Path}); err != nil {
		return nil, err
	}
	if b.Blobs, err = blob.OpenDir(filepath.Join(dir, "blobs")); err == nil {
		b.Logs, err = blob.OpenLogs(filepath.Join(dir, "logs"))
	}
	if err != nil {
		return nil, errors.Join(err, b.Store.Close())
	}
	return b, nil
}

// Close closes it again.
func (b *Bed) Close() error { return errors.Join(b.Logs.Close(), b.Store.Close()) }

// pkg is a package of the projects.
type pkg struct {
	name, version string
	seconds       float64
	needs         []string
	from          string // "": a line of the project's
	reused        string // "reused", "distribution": where it comes from after the first run
}

var packages = []pkg{
	{"flit-core", "3.12.0", 9, nil, "markupsafe", "reused"},
	{"setuptools", "80.9.0", 21, nil, "markupsafe", "distribution"},
	{"cython", "3.1.2", 281, []string{"setuptools"}, "lxml", "reused"},
	{"markupsafe", "3.0.2", 14, []string{"setuptools"}, "jinja2", ""},
	{"jinja2", "3.1.6", 11, []string{"flit-core", "markupsafe"}, "flask", ""},
	{"click", "8.2.1", 10, []string{"flit-core"}, "flask", ""},
	{"itsdangerous", "2.2.0", 9, []string{"flit-core"}, "flask", "reused"},
	{"werkzeug", "3.1.3", 12, []string{"flit-core", "markupsafe"}, "flask", ""},
	{"flask", "3.1.1", 13, []string{"flit-core", "jinja2", "click", "itsdangerous", "werkzeug"}, "", ""},
	{"lxml", "5.4.0", 214, []string{"cython", "setuptools"}, "", ""},
	{"zeep", "4.3.1", 15, []string{"lxml", "setuptools"}, "", ""},
	{"psycopg2", "2.9.10", 38, []string{"setuptools"}, "", ""},
	{"billing", "2.8.1", 12, []string{"flask", "zeep", "psycopg2"}, "", ""},
}

// plan is what becomes of a run.
type plan struct {
	project string
	targets []string
	reason  string
	ref     string
	ago     time.Duration
	fail    map[string]string // what fails, by package or step key, with the cause
	stop    int               // after so many builds the run is left as it is; 0: it ends
	cancel  bool
	queued  bool
	extra   []pkg // packages of this project alone
}

const lxmlLog = `Building target platforms: x86_64
Executing(%prep): /bin/sh -e /var/tmp/rpm-tmp.prep
+ cd /builddir/build/BUILD
+ /usr/bin/tar -xof /builddir/build/SOURCES/lxml-5.4.0.tar.gz
Executing(%generate_buildrequires): /bin/sh -e /var/tmp/rpm-tmp.gbr
Executing(%build): /bin/sh -e /var/tmp/rpm-tmp.build
+ /usr/bin/python3 -m pip wheel --no-deps --no-build-isolation .
  building 'lxml.etree' extension
  gcc -O2 -g -fPIC -I/usr/include/python3.12 -c src/lxml/etree.c -o build/etree.o
  src/lxml/etree.c:99:10: fatal error: libxml/xmlversion.h: No such file or directory
     99 | #include "libxml/xmlversion.h"
        |          ^~~~~~~~~~~~~~~~~~~~~
  compilation terminated.
  error: command '/usr/bin/gcc' failed with exit code 1
error: Bad exit status from /var/tmp/rpm-tmp.build (%build)
`

const pgLog = `Executing(%build): /bin/sh -e /var/tmp/rpm-tmp.build
+ /usr/bin/python3 -m pip wheel --no-deps --no-build-isolation .
  Error: pg_config executable not found.
  pg_config is required to build psycopg2 from source.
error: Bad exit status from /var/tmp/rpm-tmp.build (%build)
`

func plans() []plan {
	both, day := []string{"el10", "el9-py312"}, 24*time.Hour
	lxml := "src/lxml/etree.c:99:10: fatal error: libxml/xmlversion.h: No such file or directory"
	all := []plan{}
	for i := range 7 {
		p := plan{project: "billing-api", targets: both, reason: "schedule nightly", ref: "main", ago: time.Duration(8-i)*day + 3*time.Hour}
		switch i {
		case 2:
			p.fail, p.reason = map[string]string{"psycopg2": "Error: pg_config executable not found."}, "pushed to main"
		case 3:
			p.cancel = true
		case 5:
			p.fail, p.reason = map[string]string{"resolve el9-py312": "no version of pydantic fits: requirements.txt:4 wants pydantic >= 2.7, which needs Python >= 3.8"}, "asked by mira"
		}
		all = append(all, p)
	}
	for i := range 6 {
		p := plan{project: "data-portal", targets: []string{"el9"}, reason: "sync", ref: "release/2.8", ago: time.Duration(12-2*i)*day - 5*time.Hour}
		if i == 1 || i == 5 {
			p.fail = map[string]string{"lxml": lxml, "psycopg2": "Error: pg_config executable not found."}
		}
		all = append(all, p)
	}
	hostile := []pkg{{Markup, "1.0", 8, []string{"setuptools"}, "", ""}, {Turned, "2.0", 8, []string{"setuptools"}, Markup, ""},
		{Hidden, "1" + Hidden, 8, nil, "", ""}, {Long, "1." + strings.Repeat("0123456789", 20), 8, []string{Hidden}, Turned, ""}}
	for i := range 4 {
		p := plan{project: Odd, targets: []string{"el9"}, reason: "asked by " + Markup + Hidden + Long, ref: "feature/" + Markup + Turned + Hidden + Emoji, ago: time.Duration(5-i)*day - 9*time.Hour, extra: hostile}
		if i == 3 {
			p.fail, p.ago = map[string]string{Markup: Markup + Colour + " " + strings.Repeat("A-long-word-", 30), Hidden: Script + Terminal + Hidden + Emoji}, 4*time.Hour
		}
		all = append(all, p)
	}
	return append(all,
		plan{project: "billing-api", targets: both, reason: "pushed to main by Mira Okafor", ref: "main", ago: 2 * time.Hour},
		plan{project: "billing-api", targets: both, reason: "pushed to main by Mira Okafor", ref: "main", ago: 6 * time.Minute, fail: map[string]string{"lxml": lxml}, stop: 7},
		plan{project: "data-portal", targets: []string{"el9"}, reason: "asked by mira", ref: "main", ago: time.Minute, queued: true})
}

// Seed fills an empty database.
func Seed(ctx context.Context, b *Bed) error {
	s := &seeder{Bed: b, projects: map[string]store.Project{}, runs: map[string]int64{}}
	err := b.Store.Write(ctx, func(tx *store.Tx) error {
		for _, w := range []store.Worker{
			{Name: "build-01", Host: "build-01.example.org", PID: 811, Slots: 4, DiskFree: 88e9, DiskSize: 240e9, Labels: map[string]string{"builder": "mock", "arch": "amd64"}, Versions: map[string]string{"reqpm": "1.0.0"}, Lease: 24 * time.Hour},
			{Name: "build-02", Host: "build-02.example.org", PID: 94, Slots: 4, DiskFree: 1.4e9, DiskSize: 120e9, Labels: map[string]string{"builder": "chroot", "arch": "amd64"}, Lease: 24 * time.Hour,
				Message: "only 1.4 GB are free in the state directory, and 2.1 GB must be (--min-free)"},
		} {
			added, err := tx.AddWorker(ctx, w)
			if err != nil {
				return err
			}
			s.workers = append(s.workers, added)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, p := range plans() {
		if err := s.run(ctx, p); err != nil {
			return fmt.Errorf("seed a run of %s: %w", p.project, err)
		}
	}
	if err := s.operation(ctx); err != nil {
		return fmt.Errorf("seed what operators see: %w", err)
	}
	return s.rewrite(ctx)
}

type seeder struct {
	*Bed
	projects map[string]store.Project
	runs     map[string]int64 // the newest of each
	workers  []store.Worker
	past     []func(exec func(string, ...any) error) error
}

func (s *seeder) project(ctx context.Context, tx *store.Tx, p plan) (store.Project, error) {
	if known, ok := s.projects[p.project]; ok {
		return known, nil
	}
	settings, _ := json.Marshal(service.Settings{Options: lockfile.Options{"extra": {"postgres"}, "override": {"overrides.toml"}}})
	project := store.Project{Name: p.project, GitURL: "https://git.example.org/payments/" + p.project + ".git", Ref: "main", RequirementFiles: []string{"requirements/base.txt", "requirements/prod.txt"},
		Targets: p.targets, Settings: settings, Sync: true}
	if p.project == Odd {
		project.GitURL, project.Ref, project.RequirementFiles = Run+"//"+Long, "feature/"+Markup+Hidden, []string{Markup + ".txt", "requirements/" + Hidden + Long + ".txt", Turned}
	}
	made, err := tx.CreateProject(ctx, project)
	s.projects[p.project] = made
	return made, err
}

// run makes a run and does its steps as workers would.
func (s *seeder) run(ctx context.Context, p plan) error {
	var r store.Run
	err := s.Store.Write(ctx, func(tx *store.Tx) error {
		project, err := s.project(ctx, tx, p)
		if err != nil {
			return err
		}
		r, err = service.StartRun(ctx, tx, project, service.NewRun{Ref: p.ref, Targets: p.targets, Reason: p.reason})
		return err
	})
	s.runs[p.project] = r.ID
	if err != nil || p.queued {
		return errors.Join(err, s.times(ctx, r.ID, p))
	}
	commit := strings.Repeat(fmt.Sprintf("%08x", 0x7c1e4fa0+r.ID*7919), 5)
	if err := s.Store.SetRunSource(ctx, r.ID, commit, p.ref); err != nil {
		return err
	}
	// One transaction for the whole run: a hundred would take as many times as long.
	err = s.Store.Write(ctx, func(tx *store.Tx) error { return s.work(ctx, tx, p, r) })
	return errors.Join(err, s.times(ctx, r.ID, p))
}

var kinds = []store.Kind{store.Checkout, store.Analyze, store.Resolve, store.Specs, store.Plan, store.Build, store.Publish, store.Verify}

// work does the steps of a run until there are none, or the plan says to stop.
func (s *seeder) work(ctx context.Context, tx *store.Tx, p plan, r store.Run) error {
	builds := 0
	for i := 0; ; i++ {
		w := s.workers[i%2]
		step, err := tx.ClaimStep(ctx, store.Claim{Worker: w.ID, WorkerName: w.Name, Kinds: kinds})
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if step.Kind == store.Build {
			builds++
		}
		switch {
		case p.stop > 0 && builds > p.stop:
			if err := s.log(step, "Executing(%build): /bin/sh -e /var/tmp/rpm-tmp.build\n  building 'c' extension\n"); err != nil {
				return err
			}
			if builds == p.stop+2 {
				return nil
			}
			continue // it runs
		case p.cancel && builds == 5:
			if err := tx.CancelRun(ctx, r.ID, "cancelled by mira"); err != nil {
				return err
			}
		}
		if err := s.finish(ctx, tx, p, r, step); err != nil {
			return err
		}
	}
}

func (s *seeder) log(step store.Step, text string) error {
	log, err := s.Logs.Create(store.LogName(step.Run, step.ID, step.Attempt))
	if err != nil {
		return err
	}
	_, err = io.WriteString(log, text)
	return errors.Join(err, log.Close())
}

// finish ends a step as the plan wants it.
func (s *seeder) finish(ctx context.Context, tx *store.Tx, p plan, r store.Run, step store.Step) error {
	f := store.Finish{Step: step.ID, Attempt: step.Attempt, Worker: step.Worker, State: store.Succeeded}
	name, _, _ := strings.Cut(step.Package, "==")
	cause := p.fail[step.Key]
	if step.Kind == store.Build {
		cause = p.fail[name]
	}
	text, said := "done "+Colour+"\n", ""
	var result any
	switch step.Kind {
	case store.Checkout:
		result, said = service.Checkout{Commit: r.Commit, Ref: r.Ref, Time: time.Now().Add(-p.ago)}, "commit "+strings.Repeat("7c1e4fa0", 5)+", "+p.ref
	case store.Analyze:
		result, said = service.Analysis{Files: []string{"requirements/base.txt", "requirements/prod.txt"}, Requirements: 5}, "read requirements/prod.txt"
	case store.Resolve:
		lock, err := s.lock(ctx, p, step)
		if err != nil {
			return err
		}
		result, said = lock, fmt.Sprintf("%d packages for %s, Python 3.12", lock.Packages, step.Target)
	case store.Specs:
		result, said = map[string]int{"specs": len(packages)}, fmt.Sprintf("%d spec files", len(packages))
		if err := s.specs(ctx, tx, p, step); err != nil {
			return err
		}
	case store.Plan:
		said = fmt.Sprintf("%d builds", len(packages)+len(p.extra))
		f.Add = builds(p, step.Target)
	case store.Build:
		result, text = s.built(p, step, name, cause)
		if cause == "" && (name == "lxml" || name == "flask" || name == Turned) {
			_, version, _ := strings.Cut(step.Package, "==")
			if err := s.rpms(ctx, tx, step, name, version); err != nil {
				return err
			}
		}
	case store.Publish:
		said = "published"
		published, err := s.publish(ctx, tx, step, p)
		if err != nil {
			return err
		}
		result = published
	case store.Verify:
		result, said = pipeline.Proof{}, "the set can be installed"
	}
	level := "info"
	if cause != "" {
		f.State, f.Cause, level, said = store.Failed, cause, "error", cause
		f.Add = nil
	}
	f.Result, _ = json.Marshal(result)
	if p.stop > 0 || cause != "" || p.project == Odd && name == Turned { // of the rest nobody reads the log
		if err := s.log(step, text); err != nil {
			return err
		}
	}
	if said != "" {
		if _, err := tx.AddLogEntry(ctx, store.LogEntry{Project: step.Project, Run: step.Run, Step: step.ID, Level: level, Message: step.Key + ": " + said, At: time.Now().Add(-p.ago)}); err != nil {
			return err
		}
	}
	_, err := tx.FinishStep(ctx, f)
	return err
}

// builds are what a plan adds.
func builds(p plan, target string) []store.NewStep {
	var add []store.NewStep
	var all []string
	versions := map[string]string{}
	for _, k := range append(append([]pkg{}, packages...), p.extra...) {
		versions[k.name] = k.version
		n := store.NewStep{Key: "build " + target + " " + k.name + "==" + k.version, Kind: store.Build, Target: target, Package: k.name + "==" + k.version, Expected: k.seconds}
		for _, need := range k.needs {
			n.Needs = append(n.Needs, "build "+target+" "+need+"=="+versions[need])
		}
		add = append(add, n)
		all = append(all, n.Key)
	}
	return append(add, store.NewStep{Key: "publish " + target, Kind: store.Publish, Target: target, Needs: all, Expected: 5},
		store.NewStep{Key: "verify " + target, Kind: store.Verify, Target: target, Needs: []string{"publish " + target}, Expected: 10})
}

func (s *seeder) built(p plan, step store.Step, name, cause string) (service.Built, string) {
	b := service.Built{State: "built", Key: fmt.Sprintf("%064x", step.ID), Seconds: step.Expected, Runtime: name != "setuptools" && name != "cython" && name != "flit-core", NEVRA: "python3.12-" + name + "-1.0-1.el9.x86_64"}
	text := "Executing(%build): /bin/sh -e /var/tmp/rpm-tmp.build\nWrote: /builddir/build/RPMS/python3.12-" + name + ".rpm\n" + Markup + Colour + Turned + "\n" + Script + Terminal + Hidden + Emoji + Run + "\n" + Long + Long + "\n"
	for _, k := range packages {
		if k.name == name && k.reused != "" && p.ago < 8*24*time.Hour {
			b.State = k.reused
		}
	}
	if cause != "" {
		switch name {
		case "lxml":
			text = lxmlLog
		case "psycopg2":
			text = pgLog
		default:
			text += cause + "\nerror: Bad exit status from /var/tmp/rpm-tmp.build (%build)\n"
		}
		findings := diagnose.ReadText(text, diagnose.Facts{})
		b.State, b.NEVRA, b.Key, b.Findings = "failed", "", "", findings
		if len(findings) > 0 {
			b.Why = string(findings[0].Cause)
		}
	}
	return b, text
}

// lock keeps what a resolve step would.
func (s *seeder) lock(ctx context.Context, p plan, step store.Step) (service.Resolved, error) {
	t := lockfile.Target{Name: step.Target, Python: "3.12.8", Arch: "x86_64"}
	for i, k := range append(append([]pkg{}, packages...), p.extra...) {
		l := lockfile.Package{Name: k.name, Version: k.version, Decision: lockfile.Build, Artifact: lockfile.Artifact{Filename: k.name + "-" + k.version + ".tar.gz", Kind: "sdist", SHA256: fmt.Sprintf("%064x", i+1)}}
		if k.from == "" {
			l.RequiredBy = []lockfile.Edge{{Kind: "toplevel", Requirement: k.name + ">=1", File: "requirements/base.txt", Line: i + 1}}
		} else {
			l.RequiredBy = []lockfile.Edge{{Kind: "install", From: k.from, Requirement: k.name}}
		}
		t.Packages = append(t.Packages, l)
	}
	name := fmt.Sprintf("runs/%d/%s/reqpm.lock", step.Run, step.Target)
	_, err := s.Blobs.Put(ctx, name, bytes.NewReader(lockfile.Marshal(lockfile.File{Format: lockfile.Format, Targets: []lockfile.Target{t}})))
	return service.Resolved{Lock: name, Python: t.Python, Packages: len(t.Packages)}, err
}

// times gives a run's steps the times that they would have had: two workers of four slots.
func (s *seeder) times(ctx context.Context, run int64, p plan) error {
	steps, err := s.Store.RunSteps(ctx, run)
	if err != nil {
		return err
	}
	begin := time.Now().Add(-p.ago)
	s.past = append(s.past, func(exec func(string, ...any) error) error {
		if err := exec("UPDATE runs SET created = $1, started = CASE WHEN started = 0 THEN 0 ELSE $1 END WHERE id = $2", begin.UnixMilli(), run); err != nil {
			return err
		}
		lanes := make([]time.Time, 8)
		for i := range lanes {
			lanes[i] = begin.Add(800 * time.Millisecond)
		}
		end := begin
		for i, step := range steps {
			if step.Started.IsZero() {
				if !step.Finished.IsZero() {
					if err := exec("UPDATE steps SET finished = $1 WHERE id = $2", end.UnixMilli(), step.ID); err != nil {
						return err
					}
				}
				continue
			}
			lane := 0
			for j := range lanes {
				if lanes[j].Before(lanes[lane]) {
					lane = j
				}
			}
			seconds := step.Expected * (0.8 + float64((run*31+int64(i)*17)%40)/100)
			from := lanes[lane]
			to := from.Add(time.Duration(seconds * float64(time.Second)))
			if step.Kind != store.Build {
				for j := range lanes {
					lanes[j] = to
				}
			}
			lanes[lane] = to
			if from.After(time.Now()) {
				from = time.Now().Add(-40 * time.Second)
			}
			finished := int64(0)
			if !step.Finished.IsZero() {
				to = minTime(to, time.Now())
				finished = to.UnixMilli()
				if to.After(end) {
					end = to
				}
			}
			if err := exec("UPDATE steps SET ready = $1, started = $2, finished = $3 WHERE id = $4", from.UnixMilli()-400, from.UnixMilli(), finished, step.ID); err != nil {
				return err
			}
			if err := exec("UPDATE attempts SET started = $1, finished = $2 WHERE step = $3", from.UnixMilli(), finished, step.ID); err != nil {
				return err
			}
		}
		if err := exec("UPDATE runs SET finished = CASE WHEN finished = 0 THEN 0 ELSE $1 END WHERE id = $2", end.UnixMilli(), run); err != nil {
			return err
		}
		if err := exec("UPDATE spec_revisions SET at = $1 WHERE id IN (SELECT id FROM spec_revisions WHERE message = $2)", begin.UnixMilli(), fmt.Sprintf("written for run %d", run)); err != nil {
			return err
		}
		if err := exec("UPDATE snapshots SET created = $1 WHERE run = $2", end.UnixMilli(), run); err != nil {
			return err
		}
		return exec("UPDATE repositories SET updated = $1 WHERE snapshot IN (SELECT id FROM snapshots WHERE run = $2)", end.UnixMilli(), run)
	})
	return nil
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (s *seeder) rewrite(ctx context.Context) error {
	return storetest.Rewrite(ctx, s.Path, func(exec func(string, ...any) error) error {
		for _, change := range s.past {
			if err := change(exec); err != nil {
				return err
			}
		}
		return nil
	})
}
