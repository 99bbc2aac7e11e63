package cli

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/api"
	"reqpm/internal/builder/chroot"
	"reqpm/internal/service"
	"reqpm/internal/target"
	"reqpm/internal/testindex"
)

// What a project says of packages is set by flags and from a file, listed, shown, and taken away as a whole or key by key.
func TestProjectOverrides(t *testing.T) {
	b := newRemoteBed(t)
	b.must(create("--no-run")...)
	set := func(more ...string) []string { return append([]string{"project", "override", "set", "app"}, more...) }
	b.exits(exitOK, "say nothing of packages", "project", "override", "list", "app")
	b.exits(exitOK, `version = "<6,>=5"`, set("LXML", "--version", ">=5,<6", "--build-requires", "cython<3.1", "--build-requires", "rpm:libxml2-devel", "--wheel", "--memory", "4GiB")...)
	b.exits(exitOK, "celery[redis,sqs]", set("celery", "--requires", "six", "--extra", "redis,sqs")...)
	b.exits(exitOK, `requires = ["rpm:bash", "celery[redis,sqs]"]`, set("celery", "--requires", "rpm:bash")...) // extras are a key of their own
	out := b.must("project", "override", "list", "app")
	if !strings.Contains(out, "celery   requires = rpm:bash; requires = celery[redis,sqs]") || !strings.Contains(out, "lxml     version = <6,>=5; build-requires = cython<3.1") {
		t.Errorf("they are listed as\n%s", out)
	}

	// Others stay as they are when one is changed, also what no flag can say.
	file := filepath.Join(t.TempDir(), "lxml.toml")
	if err := os.WriteFile(file, []byte("version = \"<6\"\nwheel = true\n\n[env]\nWITH_X = \"1\"\n\n[target.el8]\nversion = \"<5\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.exits(exitOK, "WITH_X", set("lxml", "--file", file)...)
	b.must(set("lxml", "--version", "<7", "--wheel=false")...)
	if got, want := b.must("project", "override", "show", "app", "lxml"), "version = \"<7\"\n\n[env]\nWITH_X = \"1\"\n\n[target.el8]\nversion = \"<5\"\n"; got != want {
		t.Errorf("it says\n%s, not\n%s", got, want)
	}
	var shown shownOverride
	if err := json.Unmarshal([]byte(b.must("project", "override", "show", "app", "lxml", "--json")), &shown); err != nil || !slices.Contains(shown.Says, saidEntry{"el8", "version", "<5"}) || !slices.Contains(shown.Says, saidEntry{"", "env.WITH_X", "1"}) {
		t.Errorf("%+v, %v", shown, err)
	}
	b.must("project", "override", "unset", "app", "lxml", "version")
	b.exits(exitOK, "WITH_X", "project", "override", "show", "app", "lxml")
	b.exits(exitOK, "rpm:bash", "project", "override", "unset", "app", "celery", "extra")
	b.exits(exitOK, "say nothing of celery any more", "project", "override", "unset", "app", "celery", "requires")
	b.exits(exitOK, "has begun", "project", "override", "unset", "app", "lxml", "--run")
	b.exits(exitOK, "4 built", set("lxml", "--version", "<6", "--follow")...)

	for want, args := range map[string][]string{
		"say nothing of celery": {"show", "app", "celery"}, "say something of lxml": {"set", "app", "lxml"}, "give no --version with it": {"set", "app", "lxml", "--file", file, "--version", "<3"},
		"version: ": {"set", "app", "lxml", "--version", "five"}, "looks like an RPM": {"set", "app", "lxml", "--build-requires", "libxml2-devel"}, "did you mean": {"set", "app", "lxml", "--file", "-"},
		"is none of version,": {"unset", "app", "lxml", "env"}, "not found": {"set", "nobody", "lxml", "--version", "<3"}, "no such file": {"set", "app", "lxml", "--file", file + "x"},
		"changes nothing": {"set", "app", "lxml", "--version", "<3", "--dry-run", "--follow"}, "path.package": {"show", "app", "-"},
	} {
		code, out, errs := b.runStdin("build_requires = []\n", append([]string{"project", "override"}, args...)...)
		if code != exitUsage || !strings.Contains(out+errs, want) {
			t.Errorf("%v ends with %d, not %d with %q\n%s%s", args, code, exitUsage, want, out, errs)
		}
	}
	t.Setenv("REQPM_TOKEN", b.token("builder"))
	b.exits(exitMissing, "role", "project", "override", "unset", "app", "lxml")
}

// runStdin is run with something on standard input.
func (b *remoteBed) runStdin(stdin string, args ...string) (code int, stdout, stderr string) {
	b.t.Helper()
	var out, errs safeBuffer
	a := &app{version: "test", stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs, work: b.script.work}
	return a.execute(b.t.Context(), args), out.String(), errs.String()
}

// planBed is a server that can make plans: it has an index and the Git repository of a project.
func planBed(t *testing.T) (b *remoteBed, repository string) {
	t.Helper()
	if os.Geteuid() != 0 || len(chroot.Missing(target.Host)) > 0 {
		t.Skip("a plan opens the build root, which needs root and its tools")
	}
	index, err := testindex.Start(
		testindex.Package{Name: "web", Version: "1.0", Requires: []string{"lib"}, Extras: map[string][]string{"cache": {"store"}}},
		testindex.Package{Name: "lib", Version: "1.0"}, testindex.Package{Name: "lib", Version: "2.0"}, testindex.Package{Name: "store", Version: "3.0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(index.Close)
	repository = t.TempDir()
	if err := os.WriteFile(filepath.Join(repository, "requirements.txt"), []byte("web\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-qm", "one"}} {
		if out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", repository}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	return newRemoteBed(t, "PIP_INDEX_URL", index.URL, "NO_PROXY", "127.0.0.1"), repository
}

// The plan is seen before a project is created, and before something is said of a package; nothing is saved by that.
func TestPlansBeforeAnythingIsSaved(t *testing.T) {
	b, repository := planBed(t)
	dry := []string{"project", "create", "app", repository, "--dry-run"}
	code, out, errs := b.run(dry...)
	for _, want := range []string{"local, Python 3", "lib      2.0      transitive  build", "web      1.0      direct      build", "local: 1 direct, 1 transitive, 0 build tools; 2 to build, 0 built before, 0 of the distribution, 0 cannot be built; about ", "the server would create app for local; nothing was created"} {
		if !strings.Contains(out+errs, want) {
			t.Errorf("%q is missing in\n%s%s", want, out, errs)
		}
	}
	if code != exitOK {
		t.Errorf("it ends with %d", code)
	}
	var planned struct {
		Name string
		Plan api.Plan
	}
	if err := json.Unmarshal([]byte(b.must(append(dry, "--json")...)), &planned); err != nil || planned.Name != "app" || len(planned.Plan.Targets) != 1 || planned.Plan.Targets[0].Build != 2 {
		t.Errorf("%+v, %v", planned, err)
	}
	b.exits(exitOK, "no such project", "project", "list")
	b.exits(exitConflict, "cannot be satisfied", append(dry, "--option", "override=web==7")...)

	b.must("project", "create", "app", repository, "--no-run")
	set := []string{"project", "override", "set", "app"}
	code, out, errs = b.run(append(set, "lib", "--version", "<2", "--dry-run")...)
	for _, want := range []string{`+version = "<2"`, "local   lib      2.0, build  1.0, build", "2 to build", "nothing was changed"} {
		if !strings.Contains(out+errs, want) {
			t.Errorf("%q is missing in\n%s%s", want, out, errs)
		}
	}
	if code != exitOK {
		t.Errorf("it ends with %d", code)
	}
	b.exits(exitOK, "local   store    -         3.0, build", append(set, "web", "--extra", "cache", "--dry-run")...)
	code, out, _ = b.run(append(set, "lib", "--version", ">2", "--dry-run", "--json")...)
	var changed changedOverride
	line, _, _ := strings.Cut(out, "\n")
	if err := json.Unmarshal([]byte(line), &changed); err != nil || code != exitConflict || !changed.DryRun || changed.Plan.Targets[0].Conflict == nil || changed.Now.Targets[0].State != service.PreviewDone {
		t.Errorf("what has no solution ends with %d: %.300s, %v", code, out, err)
	}
	b.exits(exitOK, "say nothing of packages", "project", "override", "list", "app")
	b.must(append(set, "lib", "--version", "<2")...)
	b.exits(exitOK, "local   lib      1.0, build  2.0, build", "project", "override", "unset", "app", "lib", "--dry-run")

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if code, _, _ := b.runContext(gone, dry...); code != exitCancelled {
		t.Errorf("cancelled, it ends with %d", code)
	}
}
