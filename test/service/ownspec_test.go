package service

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

type specRevision struct {
	ID                          int64
	Package, Kind, Author, Text string
	InUse                       bool `json:"in_use"`
	Older                       bool
}

type specCheck struct {
	ID       int64
	State    string
	Cause    string
	OK       *bool
	Findings []struct{ What, State, Text string }
}

// specInUse is the spec file that builds of a package take.
func (b *bed) specInUse(pkg string) (r specRevision) {
	b.t.Helper()
	var all struct{ Items []specRevision }
	b.ask(http.MethodGet, "/api/v1/projects/demo/specs?target=local&package="+pkg, nil, &all)
	for _, r := range all.Items {
		if r.InUse {
			b.ask(http.MethodGet, fmt.Sprintf("/api/v1/projects/demo/specs/%d", r.ID), nil, &r)
			return r
		}
	}
	b.t.Fatalf("builds of %s take no spec: %+v", pkg, all)
	return r
}

// check has a spec file looked at, and waits for the end.
func (b *bed) check(pkg, text string, build bool) (c specCheck) {
	b.t.Helper()
	if status, answer := b.raw(http.MethodPost, "/api/v1/projects/demo/spec-checks", map[string]any{"target": "local", "package": pkg, "text": text, "build": build}, nil); status != http.StatusAccepted {
		b.t.Fatalf("the check is not taken: %d %s", status, answer)
	} else {
		b.read(answer, &c)
	}
	b.until("the check ends", 5*time.Minute, func() bool {
		b.ask(http.MethodGet, fmt.Sprintf("/api/v1/projects/demo/spec-checks/%d", c.ID), nil, &c)
		return c.State != "ready" && c.State != "running" && c.State != "waiting"
	})
	return c
}

// found is what a check says of one thing: its state, and the text.
func (c specCheck) found(what string) (state, text string) {
	for _, f := range c.Findings {
		if f.What == what {
			return f.State, f.Text
		}
	}
	return c.State, c.Cause
}

// runAgain starts a run and waits for its end.
func (b *bed) runAgain() (r run) {
	b.t.Helper()
	if status := b.ask(http.MethodPost, "/api/v1/projects/demo/runs", map[string]any{}, &r); status != http.StatusCreated {
		b.t.Fatalf("starting a run: status %d", status)
	}
	b.waitFor(&r)
	return r
}

// waitFor waits until a run has ended.
func (b *bed) waitFor(r *run) {
	b.t.Helper()
	b.until("the run ends", 10*time.Minute, func() bool {
		b.ask(http.MethodGet, fmt.Sprintf("/api/v1/runs/%d", r.ID), nil, r)
		return r.State == "succeeded" || r.State == "failed" || r.State == "cancelled"
	})
}

// publishedText asks rpm of a package in the published repository.
func (b *bed) publishedText(name, format string) string {
	b.t.Helper()
	at, err := filepath.EvalSymlinks(filepath.Join(b.dir, "state", "repos", "demo", "stable", "local", "current"))
	must(b.t, err)
	var file string
	must(b.t, filepath.WalkDir(at, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.Contains(d.Name(), name+"-") && strings.HasSuffix(d.Name(), ".rpm") && !strings.HasSuffix(d.Name(), ".src.rpm") {
			file = path
		}
		return err
	}))
	out, err := exec.Command("rpm", "-qp", "--nosignature", "--queryformat", format, file).Output()
	if err != nil {
		b.t.Fatalf("rpm -qp %s: %v", file, err)
	}
	return string(out)
}

// A spec file of somebody's own on a real server with real builds: it is looked at in the build root before it is saved, which keeps
// nothing; what it changes is in the published RPM, and stays when ReqPM would write another one, which is told; one that breaks
// is a failure of its author's, and an earlier one restored mends it.
func TestOwnSpecIsBuilt(t *testing.T) {
	need(t)
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	server := b.serve()
	b.makeToken()
	_, first := b.create()
	r := run{ID: first}
	b.waitFor(&r)
	b.succeeded(first)
	generated := b.specInUse("lib-b")
	if generated.Kind != "generated" || !strings.Contains(generated.Text, "%description") {
		t.Fatalf("%+v", generated)
	}
	built := func() int {
		files, err := filepath.Glob(filepath.Join(b.dir, "state", "builds", "*", "result.json"))
		must(t, err)
		return len(files)
	}
	before := built()
	mark := filepath.Join(b.dir, "carried-out")
	for _, c := range []struct{ name, text, what, said string }{
		{"no spec", generated.Text + "\n%if 1\n", "parse", "%if"},
		{"a requirement of nobody", strings.Replace(generated.Text, "\n%description", "\nBuildRequires: nobody-has-this\n\n%description", 1), "build-requires", "nobody-has-this"},
		{"a build that breaks", strings.Replace(generated.Text, "\n%build\n", "\n%build\necho the end is near\nexit 7\n", 1), "build", "the end is near"},
	} {
		checked := b.check(generated.Package, c.text, true)
		if state, said := checked.found(c.what); state != "failed" || !strings.Contains(said, c.said) || checked.OK == nil || *checked.OK {
			t.Errorf("%s: %s is %s: %q; %+v", c.name, c.what, state, said, checked)
		}
	}
	own := strings.Replace(generated.Text, "\n%description\n", "\n%description\nMade by hand.\n", 1)
	if own == generated.Text {
		t.Fatalf("the spec has no place for it:\n%s", own)
	}
	wicked := "%global wicked %(touch " + mark + " /tmp/reqpm-carried-out; id -u)\n" + own
	checked := b.check(generated.Package, wicked, true)
	if checked.OK == nil || !*checked.OK || len(checked.Findings) != 4 {
		t.Errorf("a good one: %+v", checked)
	}
	for _, path := range []string{mark, "/tmp/reqpm-carried-out"} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("a macro of the spec has made %s on the machine", path)
		}
	}
	if n := built(); n != before {
		t.Errorf("checks have put %d builds into the cache", n-before)
	}
	if b.succeeded(first); strings.Contains(b.publishedText("lib-b", "%{DESCRIPTION}"), "by hand") {
		t.Error("what was checked is published")
	}

	save := func(text, message string, base int64) (saved struct{ Revision specRevision }) {
		t.Helper()
		if status, answer := b.raw(http.MethodPost, "/api/v1/projects/demo/specs", map[string]any{"target": "local", "package": generated.Package, "text": text, "message": message, "base": base}, nil); status != http.StatusCreated {
			t.Fatalf("it is not saved: %d %s", status, answer)
		} else {
			b.read(answer, &saved)
		}
		return saved
	}
	mine := save(own, "Made by hand", generated.ID).Revision
	b.succeeded(b.runAgain().ID)
	if said := b.publishedText("lib-b", "%{DESCRIPTION}"); !strings.Contains(said, "Made by hand.") {
		t.Errorf("it is published with %q", said)
	}

	// ReqPM would write another one now: for the project says more of the package.
	var p struct{ Settings map[string]any }
	b.ask(http.MethodGet, "/api/v1/projects/demo", nil, &p)
	if p.Settings == nil {
		p.Settings = map[string]any{}
	}
	p.Settings["overrides"] = map[string]string{"lib-b": "requires = [\"core\"]\n"}
	if status, answer := b.raw(http.MethodPatch, "/api/v1/projects/demo", map[string]any{"settings": p.Settings}, nil); status != http.StatusOK {
		t.Fatalf("%d %s", status, answer)
	}
	b.succeeded(b.runAgain().ID)
	now := b.specInUse("lib-b")
	if now.ID != mine.ID || !now.Older {
		t.Errorf("in use is %+v, not %d which is older than what ReqPM writes", now, mine.ID)
	}
	var diff struct{ Diff string }
	b.ask(http.MethodGet, fmt.Sprintf("/api/v1/projects/demo/specs/%d/diff", mine.ID), nil, &diff)
	if !strings.Contains(diff.Diff, "+Made by hand.") || !strings.Contains(diff.Diff, "-Requires:") {
		t.Errorf("against what ReqPM would write it has\n%s", diff.Diff)
	}
	if said := b.publishedText("lib-b", "%{DESCRIPTION}"); !strings.Contains(said, "Made by hand.") {
		t.Errorf("after ReqPM wrote another one it is published with %q", said)
	}

	newest := func() int64 {
		var all struct{ Items []specRevision }
		b.ask(http.MethodGet, "/api/v1/projects/demo/specs?target=local&package=lib-b", nil, &all)
		return slices.MaxFunc(all.Items, func(x, y specRevision) int { return int(x.ID - y.ID) }).ID
	}
	save(strings.Replace(own, "\n%build\n", "\n%build\necho the end is near\nexit 7\n", 1), "Breaks", newest())
	broken := b.runAgain()
	var failed struct{ Items []build }
	b.ask(http.MethodGet, fmt.Sprintf("/api/v1/builds?run=%d&state=failed", broken.ID), nil, &failed)
	if broken.State != "failed" || len(failed.Items) != 1 || failed.Items[0].Package != generated.Package || !strings.Contains(failed.Items[0].Cause, "build-failed") {
		t.Errorf("the run with it %s: %+v", broken.State, failed)
	}
	if status, answer := b.raw(http.MethodPost, fmt.Sprintf("/api/v1/projects/demo/specs/%d/restore", mine.ID), map[string]any{}, nil); status != http.StatusCreated {
		t.Fatalf("%d %s", status, answer)
	}
	if status := b.ask(http.MethodPost, fmt.Sprintf("/api/v1/runs/%d/retry", broken.ID), map[string]any{}, nil); status != http.StatusOK {
		t.Fatalf("retry: %d", status)
	}
	b.waitFor(&broken)
	b.succeeded(broken.ID)
	server.stop(15)
}
