package service

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"reqpm/internal/store/storetest"
)

type run struct {
	ID      int64
	State   string
	Message string
	Builds  map[string]int
	Steps   []struct{ Key, State, Cause string }
}

type build struct {
	ID      int64
	Package string
	State   string
	Cause   string
	Result  struct{ State string }
}

// create makes the project; its first run begins by itself.
func (b *bed) create() (project, first int64) {
	b.t.Helper()
	var created struct {
		ID      int64
		LastRun run `json:"last_run"`
	}
	body := map[string]any{"name": "demo", "git_url": "file://" + filepath.Join(b.dir, "project"), "targets": []string{"local"}}
	if status, text := b.raw(http.MethodPost, "/api/v1/projects?dry_run=true", body, nil); status != http.StatusOK {
		b.t.Fatalf("dry run: %d\n%s", status, text)
	}
	if status := b.ask(http.MethodPost, "/api/v1/projects", body, &created); status != http.StatusCreated {
		b.t.Fatalf("creating the project: status %d", status)
	}
	if status := b.ask(http.MethodPost, "/api/v1/projects", body, nil); status != http.StatusConflict {
		b.t.Errorf("the same name again: status %d", status)
	}
	return created.ID, created.LastRun.ID
}

// isEnd is an event about a step of a kind in a state.
func isStep(state string) func(string, map[string]any) bool {
	return func(kind string, data map[string]any) bool {
		return kind == "step" && data["kind"] == "build" && data["state"] == state
	}
}

func isRunEnd(kind string, data map[string]any) bool {
	return kind == "run" && (data["state"] == "succeeded" || data["state"] == "failed" || data["state"] == "cancelled")
}

// succeeded is a run that must have.
func (b *bed) succeeded(id int64) run {
	b.t.Helper()
	var r run
	b.ask(http.MethodGet, fmt.Sprintf("/api/v1/runs/%d", id), nil, &r)
	if r.State != "succeeded" {
		b.t.Fatalf("the run %s: %+v", r.State, r)
	}
	return r
}

// A project made through the API becomes a published repository with no further call, although its server
// is killed in the middle of the builds; and what is published can be fetched.
func TestProjectBecomesARepository(t *testing.T) {
	need(t)
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	server := b.serve()
	b.makeToken()
	_, first := b.create()
	seen := b.follow(0, isStep("succeeded"))
	server.stop(syscall.SIGKILL)
	server = b.serve()
	seen = b.follow(seen, isRunEnd)
	b.succeeded(first)
	b.checkBuilds(first, "built")
	b.checkFiles(first)
	b.checkStageLog(first, "resolve local", "resolve for local with Python")
	b.checkRepository()

	// A second server on the same file is refused; the same again is all there.
	if out, err := b.command("serve", "--listen", "127.0.0.1:0").CombinedOutput(); err == nil || !strings.Contains(string(out), "another server uses this database") {
		t.Errorf("a second server: %v\n%s", err, out)
	}
	var again run
	if status := b.ask(http.MethodPost, "/api/v1/projects/demo/runs", map[string]any{}, &again); status != http.StatusCreated {
		t.Fatalf("starting a run: status %d", status)
	}
	b.follow(seen, isRunEnd)
	b.succeeded(again.ID)
	b.checkBuilds(again.ID, "reused")
	server.stop(syscall.SIGTERM)
}

// On PostgreSQL two workers share a run, and what one of them had when it was killed the other does.
func TestWorkersShareARun(t *testing.T) {
	need(t)
	b := newBed(t, storetest.Postgres(t))
	b.serve("--roles", "web,scheduler")
	b.makeToken()
	one := b.start(nil, "worker", "--name", "one", "--slots", "1", "--lease", "3s", "--allow-source", "local", "--min-free", "0")
	b.start(nil, "worker", "--name", "two", "--slots", "1", "--lease", "3s", "--allow-source", "local", "--min-free", "0")
	_, first := b.create()
	seen := b.follow(0, isStep("running"))
	one.stop(syscall.SIGKILL)
	b.follow(seen, isRunEnd)
	b.succeeded(first)
	b.checkBuilds(first, "built", "reused") // reused: the killed worker had kept it, and not yet said so
	b.checkRepository()
}

// checkBuilds looks that every package was built once.
func (b *bed) checkBuilds(run int64, states ...string) {
	b.t.Helper()
	var list struct{ Items []build }
	b.ask(http.MethodGet, fmt.Sprintf("/api/v1/builds?run=%d&limit=100", run), nil, &list)
	if len(list.Items) != len(packages) {
		b.t.Errorf("%d builds of %d packages", len(list.Items), len(packages))
	}
	for _, x := range list.Items {
		if x.State != "succeeded" || !strings.Contains(strings.Join(states, " "), x.Result.State) {
			b.t.Errorf("%s: %s, %s: %s", x.Package, x.State, x.Result.State, x.Cause)
		}
	}
}

// checkStageLog reads the log of a step that is no build: it says what went on, not only how it ended.
func (b *bed) checkStageLog(run int64, key, want string) {
	b.t.Helper()
	var r struct {
		Steps []struct {
			ID  int64
			Key string
		}
	}
	b.ask(http.MethodGet, fmt.Sprintf("/api/v1/runs/%d", run), nil, &r)
	for _, s := range r.Steps {
		if s.Key != key {
			continue
		}
		if status, log := b.raw(http.MethodGet, fmt.Sprintf("/api/v1/steps/%d/log", s.ID), nil, nil); status != http.StatusOK || !strings.Contains(string(log), want) {
			b.t.Errorf("the log of %s, status %d:\n%.1000s", key, status, log)
		}
	}
}

// checkFiles fetches logs and RPMs.
func (b *bed) checkFiles(run int64) {
	b.t.Helper()
	var files struct {
		Items []struct {
			Build  int64
			Kind   string
			Name   string
			Path   string
			SHA256 string
		}
	}
	b.ask(http.MethodGet, fmt.Sprintf("/api/v1/runs/%d/artifacts?kind=rpm&limit=100", run), nil, &files)
	if len(files.Items) < len(packages) {
		b.t.Fatalf("%d RPMs", len(files.Items))
	}
	f := files.Items[0]
	_, data := b.raw(http.MethodGet, f.Path, nil, nil)
	sum := sha256.Sum256(data)
	if hex.EncodeToString(sum[:]) != f.SHA256 {
		b.t.Errorf("%s came with another digest", f.Name)
	}
	if status, part := b.raw(http.MethodGet, f.Path, nil, http.Header{"Range": {"bytes=0-3"}}); status != http.StatusPartialContent || !bytes.Equal(part, data[:4]) {
		b.t.Errorf("a range of it: %d, %x", status, part)
	}
	if status, log := b.raw(http.MethodGet, fmt.Sprintf("/api/v1/builds/%d/log", f.Build), nil, nil); status != http.StatusOK || !strings.Contains(string(log), "%install") && !strings.Contains(string(log), "Processing files") {
		b.t.Errorf("the build's log, status %d:\n%.2000s", status, log)
	}
	_, followed := b.raw(http.MethodGet, fmt.Sprintf("/api/v1/builds/%d/log?follow=1", f.Build), nil, nil)
	if !strings.Contains(string(followed), "event: end") {
		b.t.Errorf("following a log that has ended:\n%.500s", followed)
	}
	_, archive := b.raw(http.MethodGet, fmt.Sprintf("/api/v1/runs/%d/rpms.tar", run), nil, nil)
	count := 0
	for in := tar.NewReader(bytes.NewReader(archive)); ; count++ {
		if _, err := in.Next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			b.t.Fatal(err)
		}
	}
	if count < 2*len(packages) { // with their sources
		b.t.Errorf("%d files in the archive", count)
	}
}

// checkRepository has dnf read the repository over HTTP.
func (b *bed) checkRepository() {
	b.t.Helper()
	status, file := b.raw(http.MethodGet, "/repos/demo/stable/local.repo", nil, nil)
	base := b.url + "/repos/demo/stable/local"
	if status != http.StatusOK || !strings.Contains(string(file), "baseurl="+base+"\n") {
		b.t.Fatalf("the .repo file, status %d:\n%s", status, file)
	}
	out, err := exec.Command("dnf", "-q", "repoquery", "--setopt=cachedir="+filepath.Join(b.dir, "dnf"), "--repofrompath=x,"+base, "--repo=x", "--qf", "%{name}").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "core") {
		b.t.Errorf("dnf repoquery: %v\n%s", err, out)
	}
	for _, path := range []string{"/repos/demo/stable/local/../../../../reqpm.db", "/repos/demo/stable/local/..%2f..%2f..%2freqpm.db"} {
		if status, _ := b.raw(http.MethodGet, path, nil, nil); status == http.StatusOK {
			b.t.Errorf("%s was served", path)
		}
	}
}
