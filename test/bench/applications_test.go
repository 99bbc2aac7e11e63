package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// BenchmarkApplications builds checkouts of public applications from nothing, then the second of
// them once more on the state directory of the first, whose build tools it shares:
//
//	REQPM_NETWORK=1 REQPM_APPS=first:second go test ./test/bench -run XXX -bench Applications -benchtime 1x -timeout 2h -v
//
// For each: wall is the whole command, build its stage of builds; chain the longest chain of builds
// by the times they really took, half their sum on two slots; ratio is build ÷ max(chain, half).
func BenchmarkApplications(b *testing.B) {
	apps := strings.Split(os.Getenv("REQPM_APPS"), ":")
	if len(apps) != 2 {
		b.Skip("needs checkouts of two applications: REQPM_APPS=first:second")
	}
	for b.Loop() {
		first, second, shared := newBed(b, nil), newBed(b, nil), newBed(b, nil)
		first.project, second.project, shared.project = apps[0], apps[1], apps[1]
		shared.state = first.state
		first.application("first")
		alone := second.application("second-alone")
		after := shared.application("second-after-first")
		b.ReportMetric(after.Seconds()/alone.Seconds(), "shared/alone")
	}
}

// application runs one whole build and reports it. What must be left out of an application is
// in a file reqpm.args beside its checkout, one argument a line.
func (bed *bed) application(name string) time.Duration {
	bed.b.Helper()
	args := []string{"--slots", "2"}
	if text, err := os.ReadFile(strings.TrimRight(bed.project, "/") + ".args"); err == nil {
		args = append(args, strings.Fields(string(text))...)
	}
	started := time.Now()
	cmd := exec.Command(bed.program, append([]string{"build", bed.project, "--state", bed.state, "--exclude-newer", exclude, "--json"}, args...)...)
	out, err := cmd.Output()
	wall := time.Since(started)
	if err != nil {
		bed.b.Logf("%s: %v\n%s", name, err, out[max(0, len(out)-3000):])
	}
	var build time.Duration
	var begun time.Time
	var sum struct {
		Built, Reused, Failed, Blocked []struct {
			Name, Version string
			Seconds       float64
		}
	}
	for line := range bytes.Lines(out) {
		var e event
		if json.Unmarshal(line, &e) != nil {
			continue
		}
		switch {
		case e.Event == "stage" && e.Stage == "build":
			begun = e.Time
		case e.Event == "stage" && !begun.IsZero() && build == 0:
			build = e.Time.Sub(begun)
		case e.Event == "summary":
			if err := json.Unmarshal(line, &sum); err != nil {
				bed.b.Fatal(err)
			}
		}
	}
	if build == 0 && !begun.IsZero() {
		build = started.Add(wall).Sub(begun)
	}
	took := map[string]float64{}
	work := 0.0
	for _, p := range sum.Built {
		took[p.Name+"=="+p.Version] = p.Seconds
		work += p.Seconds
	}
	chain := bed.chain(took, args)
	bound := max(chain, work/2)
	bed.b.Logf("%s: built %d, reused %d, failed %d, blocked %d; wall %.0f s, builds %.0f s, chain %.0f s, work %.0f s on %d processors, builds/bound %.2f, wall/bound %.2f",
		name, len(sum.Built), len(sum.Reused), len(sum.Failed), len(sum.Blocked), wall.Seconds(), build.Seconds(), chain, work, runtime.NumCPU(), build.Seconds()/bound, wall.Seconds()/bound)
	bed.b.ReportMetric(build.Seconds()/bound, name+"-ratio")
	return wall
}

// chain is the longest chain of builds by the seconds they took.
func (bed *bed) chain(took map[string]float64, args []string) float64 {
	bed.b.Helper()
	out, err := exec.Command(bed.program, append([]string{"plan", bed.project, "--state", bed.state, "--exclude-newer", exclude, "--json"}, args...)...).Output()
	if err != nil {
		bed.b.Fatalf("plan of %s: %v", filepath.Base(bed.project), err)
	}
	var plan struct {
		Nodes []struct {
			ID   string
			Root []string
		}
	}
	if err := json.Unmarshal(out, &plan); err != nil {
		bed.b.Fatal(err)
	}
	roots := map[string][]string{}
	for _, n := range plan.Nodes {
		roots[n.ID] = n.Root
	}
	known := map[string]float64{}
	var end func(string) float64
	end = func(id string) float64 {
		if t, ok := known[id]; ok {
			return t
		}
		longest := 0.0
		for _, need := range roots[id] {
			longest = max(longest, end(need))
		}
		known[id] = longest + took[id]
		return known[id]
	}
	longest := 0.0
	for id := range roots {
		longest = max(longest, end(id))
	}
	return longest
}
