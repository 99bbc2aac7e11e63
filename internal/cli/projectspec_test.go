package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/api"
)

// A spec file goes from the server to a file, back as one's own, is compared, restored and dropped.
func TestProjectSpecs(t *testing.T) {
	b := newRemoteBed(t)
	b.must(create("--wait")...)
	b.exits(exitOK, "generated", "project", "spec", "list", "app")
	text := b.must("project", "spec", "show", "app", "mid")
	if !strings.Contains(text, "Name: python-mid\n") || !strings.Contains(text, "wicked ?[2J") {
		t.Fatalf("it is shown as %q", text)
	}
	file := filepath.Join(t.TempDir(), "mid.spec")
	if err := os.WriteFile(file, []byte("Name: python-mid\r\nVersion: 1.0\r\nRelease: 2\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.exits(exitOK, "1 lines more", "project", "spec", "save", "app", "mid", file, "--dry-run")
	b.exits(exitOK, "+Release: 2", "project", "spec", "diff", "app", "mid", "--file", file)
	b.exits(exitUsage, "-m what the change", "project", "spec", "save", "app", "mid", file)
	b.exits(exitUsage, "saved another revision", "project", "spec", "save", "app", "mid", file, "-m", "Second release", "--base", "0")
	b.exits(exitOK, "saved as revision 2", "project", "spec", "save", "app", "mid", file, "-m", "Second release", "--base", "1")
	b.exits(exitUsage, "take that text already", "project", "spec", "save", "app", "mid", file, "-m", "Again")
	b.exits(exitOK, "-Release: 1\n", "project", "spec", "diff", "app", "mid==1.0", "-t", "local")

	b.must("run", "start", "app", "--wait") // which writes another one
	var shown api.SpecText
	if err := json.Unmarshal([]byte(b.must("project", "spec", "show", "app", "mid", "--json")), &shown); err != nil || shown.Kind != "own" || !shown.InUse || !shown.Older || shown.Text != "Name: python-mid\nVersion: 1.0\nRelease: 2\n" {
		t.Errorf("after a run, %+v is in use, %v", shown, err)
	}
	b.exits(exitOK, "ReqPM has written another one since", "project", "spec", "show", "app", "mid")
	b.exits(exitOK, "+# written for run 2", "project", "spec", "diff", "app", "mid", "--revision", "3", "--with", "1")

	b.exits(exitOK, "take what ReqPM writes again", "project", "spec", "drop", "app", "mid")
	b.exits(exitUsage, "already", "project", "spec", "drop", "app", "mid")
	b.exits(exitOK, "restored as revision 5", "project", "spec", "restore", "app", "2")
	var list struct{ Specs []api.SpecRevision }
	if err := json.Unmarshal([]byte(b.must("project", "spec", "list", "app", "mid", "--json")), &list); err != nil || len(list.Specs) != 5 || !list.Specs[0].InUse || list.Specs[0].Message != "Restored: Second release" || list.Specs[1].Kind != "back" || list.Specs[2].InUse {
		t.Errorf("%+v, %v", list, err)
	}
	for want, args := range map[string][]string{
		"no run of app has written": {"show", "app", "nothing"}, "is no revision": {"restore", "app", "mid"}, "not found": {"restore", "app", "99"},
		"give neither": {"diff", "app", "mid", "--file", file, "--with", "1"}, "no such file": {"save", "app", "mid", file + "x", "-m", "why"},
	} {
		b.exits(exitUsage, want, append([]string{"project", "spec"}, args...)...)
	}
	t.Setenv("REQPM_TOKEN", b.token("builder"))
	b.exits(exitMissing, "role", "project", "spec", "drop", "app", "mid")
}

// A spec file is looked at before it is saved: the log is shown as it goes, the findings at the end, and the status says whether
// it would build. Ctrl-C cancels it.
func TestProjectSpecCheck(t *testing.T) {
	b := newRemoteBed(t)
	b.must(create("--wait")...)
	file := filepath.Join(t.TempDir(), "mid.spec")
	if err := os.WriteFile(file, []byte("Name: python-mid\nVersion: 1.0\nRelease: 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	check := []string{"project", "spec", "check", "app", "mid", file}
	b.script.set(func(s *script) {
		s.check = `{"ok": true, "findings": [{"what": "parse", "state": "ok", "text": "rpm reads it"}, {"what": "rpmlint", "state": "warning", "text": "two things:\nno %changelog\nno %license"}]}`
	})
	code, out, errs := b.run(check...)
	if code != exitOK || !strings.Contains(errs, "checking mid==1.0, wicked ?[2J") || !strings.Contains(out, "parse    ok       rpm reads it") || !strings.Contains(errs, "no %license") {
		t.Errorf("it ends with %d\n%s%s", code, out, errs)
	}
	b.script.set(func(s *script) {
		s.check = `{"ok": false, "findings": [{"what": "build-requires", "state": "failed", "text": "nothing provides libnone-devel"}]}`
	})
	b.exits(exitFailed, "nothing provides libnone-devel", check...)
	var checked api.SpecCheck
	code, out, _ = b.run(append(check, "--build", "--json")...)
	line, _, _ := strings.Cut(out, "\n")
	if err := json.Unmarshal([]byte(line), &checked); err != nil || code != exitFailed || !checked.Build || checked.OK == nil || *checked.OK || len(checked.Findings) != 1 {
		t.Errorf("it ends with %d: %s, %v", code, out, err)
	}
	b.script.set(func(s *script) { s.check = "" })
	b.exits(exitFailed, "could not be looked at", check...)
	b.exits(exitUsage, "no run of app has written", "project", "spec", "check", "app", "nothing", file)

	release := b.hold("check")
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		code, _, _ := b.runContext(ctx, check...)
		ended <- code
	}()
	running := func() string { return b.must("queue") }
	until(t, "the check runs", func() bool { return strings.Contains(running(), "mid==1.0") })
	cancel()
	if code := <-ended; code != exitCancelled {
		t.Errorf("cancelled, it ends with %d", code)
	}
	until(t, "the check is cancelled", func() bool { return !strings.Contains(running(), "mid==1.0") })
	t.Setenv("REQPM_TOKEN", b.token("builder"))
	b.exits(exitMissing, "role", check...)
}
