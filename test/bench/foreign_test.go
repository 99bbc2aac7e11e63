package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/builder/chroot"
	"reqpm/internal/target"
)

// foreignResult is what became of one spec of another program.
type foreignResult struct {
	Name   string `json:"name"`
	Parses bool   `json:"parses"`
	Built  bool   `json:"built"`
	// RPMs is how many came out, without debugging parts.
	RPMs    int      `json:"rpms"`
	Cause   string   `json:"cause,omitempty"`
	Phase   string   `json:"phase,omitempty"`
	Missing []string `json:"missing,omitempty"`
	Tail    string   `json:"tail,omitempty"`
}

// TestForeignSpecs builds the specs of other programs through ReqPM's own builder, to put them beside
// ReqPM's. REQPM_FOREIGN is a folder with one folder for each package: a spec and its sources (foreign.sh
// makes it). REQPM_FOREIGN_TARGET is "FILE:NAME", a target and the file it is in, REQPM_FOREIGN_STATE the
// state directory in which `bench packages` built the same packages: the RPMs of its cache are what a build
// may install beside the target's own, so that no spec fails for a tool that somebody else had to build.
// Results go to results.jsonl in the folder; what has one there is not built again.
func TestForeignSpecs(t *testing.T) {
	dir, state := os.Getenv("REQPM_FOREIGN"), os.Getenv("REQPM_FOREIGN_STATE")
	file, name, _ := strings.Cut(os.Getenv("REQPM_FOREIGN_TARGET"), ":")
	if dir == "" || state == "" || name == "" || os.Geteuid() != 0 {
		t.Skip("needs root, specs in REQPM_FOREIGN, REQPM_FOREIGN_TARGET=FILE:NAME and REQPM_FOREIGN_STATE")
	}
	targets, err := target.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	tgt, err := target.Lookup(name, targets...)
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	b, err := chroot.New(chroot.Config{StateDir: work, Slots: 1, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	base, err := b.Open(t.Context(), tgt, func(s string) { t.Log(s) })
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	specs, err := filepath.Glob(filepath.Join(dir, "*", "*.spec"))
	if err != nil || len(specs) == 0 {
		t.Fatalf("no DIR/NAME/*.spec in %s (%v)", dir, err)
	}
	results := filepath.Join(dir, "results.jsonl")
	known := foreignResults(t, results)
	out, err := os.OpenFile(results, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	rpms := builtRPMs(t, state, tgt.Dist)
	for _, spec := range specs {
		r := foreignResult{Name: filepath.Base(filepath.Dir(spec))}
		if _, ok := known[r.Name]; ok {
			continue
		}
		r.build(t, base, spec, rpms, filepath.Join(work, "result", r.Name))
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			t.Fatal(err)
		}
		known[r.Name] = r
		t.Logf("%s: built %v %s %s %q", r.Name, r.Built, r.Cause, r.Phase, r.Missing)
	}
	parsed, built, number := 0, 0, 0
	causes := map[string]int{}
	for _, r := range known {
		switch {
		case r.Built:
			built++
			number += r.RPMs
		default:
			causes[r.Cause]++
		}
		if r.Parses {
			parsed++
		}
	}
	t.Logf("%d specs, %d parse, %d built, %d RPMs; failed: %v", len(known), parsed, built, number, causes)
}

// build builds one spec with the other files of its folder as sources.
func (r *foreignResult) build(t *testing.T, base builder.Base, spec string, rpms []string, resultDir string) {
	t.Helper()
	job := builder.Job{Name: r.Name, Spec: spec, RPMs: rpms, ResultDir: resultDir, Limits: builder.Limits{Total: 10 * time.Minute, Idle: 5 * time.Minute}}
	all, err := os.ReadDir(filepath.Dir(spec))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.Type().IsRegular() && f.Name() != filepath.Base(spec) {
			job.Sources = append(job.Sources, filepath.Join(filepath.Dir(spec), f.Name()))
		}
	}
	res, err := base.Build(t.Context(), job)
	be, failed := errors.AsType[*builder.BuildError](err)
	switch {
	case err == nil:
		r.Built, r.Parses = true, true
		for _, p := range res.RPMs {
			if base := filepath.Base(p); !strings.Contains(base, "-debuginfo-") && !strings.Contains(base, "-debugsource-") {
				r.RPMs++
			}
		}
	case failed:
		r.Cause, r.Phase, r.Missing, r.Tail = string(be.Cause), string(be.Phase), be.Missing, be.Tail
		r.Parses = be.Cause != builder.CauseSpec
		if r.Tail == "" {
			r.Tail = be.Err.Error()
		}
	default:
		t.Fatal(err)
	}
}

// foreignResults reads what an earlier run found.
func foreignResults(t *testing.T, path string) map[string]foreignResult {
	t.Helper()
	known := map[string]foreignResult{}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return known
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadBytes('\n')
		var one foreignResult
		if json.Unmarshal(line, &one) == nil {
			known[one.Name] = one
		}
		if errors.Is(err, io.EOF) {
			return known
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// builtRPMs are the RPMs in the cache of builds that were made for a target with this dist tag, one of
// each file name.
func builtRPMs(t *testing.T, state, dist string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(state, "builds", "*", "*.rpm"))
	if err != nil {
		t.Fatal(err)
	}
	ours := regexp.MustCompile(regexp.QuoteMeta(dist) + `\.(noarch|x86_64|aarch64)\.rpm$`)
	one := map[string]string{}
	for _, p := range found {
		if name := filepath.Base(p); ours.MatchString(name) && !strings.Contains(name, "-debuginfo-") && !strings.Contains(name, "-debugsource-") {
			one[name] = p
		}
	}
	return slices.Sorted(maps.Values(one))
}
