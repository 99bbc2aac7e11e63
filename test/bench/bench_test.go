// Package bench measures whole runs of the reqpm program against the real index. The
// benchmarks need root, the tools of `reqpm doctor` and the index; docs/benchmarks.md has
// the figures and how to repeat them.
package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// twentyPure are packages without compiled parts, of every common build backend.
var twentyPure = []string{
	"attrs", "blinker", "certifi", "click", "colorama", "idna", "iniconfig", "itsdangerous", "jinja2", "pluggy",
	"python-dateutil", "pytz", "requests", "six", "tabulate", "toml", "tomlkit", "urllib3", "werkzeug", "zipp",
}

// exclude keeps the versions of a benchmark the same from day to day.
const exclude = "2026-10-15"

type event struct {
	Event   string
	Stage   string
	Time    time.Time
	Name    string
	Version string
	State   string
	Seconds float64
	Built   []struct{ Name string }
	Failed  []struct{ Name, Cause string }
}

// bed is a state directory and a program to run on it.
type bed struct {
	b              *testing.B
	program, state string
	project        string
}

func newBed(b *testing.B, requirements []string) *bed {
	b.Helper()
	if os.Geteuid() != 0 || os.Getenv("REQPM_NETWORK") == "" {
		b.Skip("needs root and the real index: run as root with REQPM_NETWORK=1")
	}
	bed := &bed{b: b, program: filepath.Join(b.TempDir(), "reqpm"), state: b.TempDir(), project: b.TempDir()}
	build := exec.Command("go", "build", "-o", bed.program, "../../cmd/reqpm")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	text := strings.Join(requirements, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(bed.project, "requirements.txt"), []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
	return bed
}

// run runs one command and returns its events and the time of each stage.
func (bed *bed) run(args ...string) ([]event, map[string]time.Duration) {
	bed.b.Helper()
	cmd := exec.Command(bed.program, append(args, bed.project, "--state", bed.state, "--exclude-newer", exclude, "--json")...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		bed.b.Fatalf("%v: %v\n%s\n%s", args, err, stderr.Bytes(), out[max(0, len(out)-2000):])
	}
	var events []event
	scanner := bufio.NewScanner(bytes.NewReader(out))
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		var e event
		if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
			bed.b.Fatalf("no JSON event: %s", scanner.Bytes())
		}
		events = append(events, e)
	}
	stages := map[string]time.Duration{}
	var last event
	for _, e := range events {
		if e.Event != "stage" {
			continue
		}
		if last.Stage != "" {
			stages[last.Stage] += e.Time.Sub(last.Time)
		}
		last = e
	}
	return events, stages
}

// forget takes the results of these packages out of the cache of builds; build tools stay.
func (bed *bed) forget(names []string) {
	bed.b.Helper()
	for _, name := range names {
		found, _ := filepath.Glob(filepath.Join(bed.state, "builds", name+"-[0-9]*"))
		for _, dir := range found {
			if err := os.RemoveAll(dir); err != nil {
				bed.b.Fatal(err)
			}
		}
	}
}

// bare sums, over packages, the time rpmbuild itself took.
func (bed *bed) bare(names []string) time.Duration {
	bed.b.Helper()
	var sum time.Duration
	for _, name := range names {
		found, _ := filepath.Glob(filepath.Join(bed.state, "builds", name+"-[0-9]*", "result.json"))
		if len(found) != 1 {
			bed.b.Fatalf("%s has %d results in the cache of builds, want 1", name, len(found))
		}
		text, err := os.ReadFile(found[0])
		if err != nil {
			bed.b.Fatal(err)
		}
		var result struct{ Phases map[string]float64 }
		if err := json.Unmarshal(text, &result); err != nil {
			bed.b.Fatal(err)
		}
		for phase, seconds := range result.Phases {
			if phase != "root" { // the build root is ours, the rest is rpmbuild's
				sum += time.Duration(seconds * float64(time.Second))
			}
		}
	}
	return sum
}

// BenchmarkTwentyPure: how much ReqPM adds to rpmbuild. The build tools are there; wall/ideal is
// the wall time of the builds on two slots against half the sum of bare rpmbuild times,
// these measured one after the other on one slot.
func BenchmarkTwentyPure(b *testing.B) {
	bed := newBed(b, twentyPure)
	bed.run("build", "--slots", "2", "--no-proof")
	for b.Loop() {
		bed.forget(twentyPure)
		bed.run("build", "--slots", "1", "--no-proof")
		bare := bed.bare(twentyPure)
		bed.forget(twentyPure)
		_, stages := bed.run("build", "--slots", "2", "--no-proof")
		wall := stages["build"]
		b.ReportMetric(bare.Seconds(), "bare-s")
		b.ReportMetric(wall.Seconds(), "wall-s")
		b.ReportMetric(wall.Seconds()/(bare.Seconds()/2), "wall/ideal")
	}
}

// BenchmarkPlanStages: the time of every stage of a plan of about a hundred packages and
// tools, with nothing in any cache and again.
func BenchmarkPlanStages(b *testing.B) {
	for b.Loop() {
		bed := newBed(b, append(twentyPure, "django", "flask", "sqlalchemy", "celery", "pytest", "sphinx", "black", "mkdocs",
			"twine", "aiohttp", "httpx", "rich", "tox", "pyyaml", "lxml", "psycopg2", "beautifulsoup4", "gunicorn", "paste", "pyramid"))
		for _, turn := range []string{"cold", "warm"} {
			started := time.Now()
			stages := bed.planStages()
			for stage, d := range stages {
				b.ReportMetric(d.Seconds(), turn+"-"+stage+"-s")
			}
			b.ReportMetric(time.Since(started).Seconds(), turn+"-s")
		}
	}
}

// planStages times the stages by the lines that plan prints for people, as they come.
func (bed *bed) planStages() map[string]time.Duration {
	bed.b.Helper()
	cmd := exec.Command(bed.program, "plan", bed.project, "--state", bed.state, "--exclude-newer", exclude)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		bed.b.Fatal(err)
	}
	var table bytes.Buffer
	cmd.Stdout = &table
	if err := cmd.Start(); err != nil {
		bed.b.Fatal(err)
	}
	names := map[string]string{"==> check out": "source", "==> read the requirements": "analyze", "==> resolve": "resolve",
		"==> prepare the base root": "root", "==> read the sources": "facts", "==> write the specs": "specs"}
	stages := map[string]time.Duration{}
	current, since := "", time.Now()
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		for prefix, name := range names {
			if strings.HasPrefix(lines.Text(), prefix) {
				if current != "" {
					stages[current] += time.Since(since)
				}
				current, since = name, time.Now()
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		bed.b.Fatalf("plan: %v", err)
	}
	stages[current] += time.Since(since)
	bed.b.Logf("%d packages and tools", strings.Count(table.String(), "\n")-1)
	return stages
}
