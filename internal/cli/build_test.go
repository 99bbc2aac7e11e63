package cli_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reqpm/internal/builder/chroot"
	"reqpm/internal/target"
	"reqpm/internal/testindex"
)

// summary is what scripts may rely on of the last line of build --json.
type summary struct {
	Event      string   `json:"event"`
	Built      []entry  `json:"built"`
	Reused     []entry  `json:"reused"`
	Failed     []entry  `json:"failed"`
	Blocked    []entry  `json:"blocked"`
	Repository string   `json:"repository"`
	RepoFile   string   `json:"repo_file"`
	Apt        []string `json:"apt"`
	Seconds    float64  `json:"seconds"`
	Exit       int      `json:"exit"`
	Proof      *struct {
		OK        bool     `json:"ok"`
		Installed []string `json:"installed"`
		Imported  []string `json:"imported"`
		Command   *struct {
			Status int    `json:"status"`
			Output string `json:"output"`
		} `json:"command"`
	} `json:"proof"`
}

type entry struct {
	Name    string  `json:"name"`
	Version string  `json:"version"`
	Target  string  `json:"target"`
	Seconds float64 `json:"seconds"`
	Cause   string  `json:"cause"`
	Repairs []any   `json:"repairs"`
	Log     string  `json:"log"`
	Root    string  `json:"root"`
}

func names(list []entry) string {
	var s []string
	for _, e := range list {
		s = append(s, e.Name+" "+e.Version)
	}
	slices.Sort(s)
	return strings.Join(s, ", ")
}

// machine is one state directory with one base root, shared by all builds of the test.
type machine struct {
	state string
	env   []string
}

// command is one reqpm that ran.
type command struct {
	code           int
	stdout, stderr string
	summary        summary
}

func newMachine(t *testing.T) machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: build roots are mounted")
	}
	if missing := chroot.Missing(target.Host); len(missing) > 0 {
		t.Skipf("needs %s: %s", missing[0].Name, missing[0].Why)
	}
	if testing.Short() {
		t.Skip("builds packages for a minute or two")
	}
	home := t.TempDir()
	m := machine{state: filepath.Join(t.TempDir(), "state")}
	m.env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "REQPM_STATE="+m.state, "PIP_CONFIG_FILE="+os.DevNull,
		"GIT_AUTHOR_NAME=T", "GIT_AUTHOR_EMAIL=t@example.org", "GIT_COMMITTER_NAME=T", "GIT_COMMITTER_EMAIL=t@example.org")
	return m
}

func (m machine) start(t *testing.T, args ...string) (*exec.Cmd, io.Reader, *bytes.Buffer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "reqpm", args...)
	cmd.Env = m.env
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, stdout, &stderr
}

// run runs reqpm to its end and wants the exit code given.
func (m machine) run(t *testing.T, code int, args ...string) command {
	t.Helper()
	cmd, stdout, stderr := m.start(t, args...)
	text, err := io.ReadAll(stdout)
	if err != nil {
		t.Fatal(err)
	}
	return ended(t, cmd, code, string(text), stderr)
}

func ended(t *testing.T, cmd *exec.Cmd, code int, stdout string, stderr *bytes.Buffer) command {
	t.Helper()
	if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	c := command{code: cmd.ProcessState.ExitCode(), stdout: stdout, stderr: stderr.String()}
	if text := strings.TrimSpace(c.stdout); strings.HasPrefix(text, "{") {
		last := text[strings.LastIndexByte(text, '\n')+1:]
		if err := json.Unmarshal([]byte(last), &c.summary); err != nil || c.summary.Event != "summary" || c.summary.Exit != c.code {
			t.Errorf("the last line is no summary (%v): %s", err, last)
		}
	}
	if c.code != code {
		t.Fatalf("%s exits with %d, not with %d\nstdout:\n%s\nstderr:\n%s", strings.Join(cmd.Args, " "), c.code, code, c.stdout, c.stderr)
	}
	return c
}

// folder is a project with one requirement file.
func folder(t *testing.T, requirements ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "project")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "requirements.txt"), []byte(strings.Join(requirements, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func serve(t *testing.T, packages ...testindex.Package) string {
	t.Helper()
	server, err := testindex.Start(packages...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server.URL
}

// equal compares what is said of outcomes.
func equal(t *testing.T, what, want, got string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (c command) proven(t *testing.T, installed ...string) {
	t.Helper()
	p := c.summary.Proof
	if p == nil || !p.OK {
		t.Fatalf("no proof: %+v\n%s", p, c.stderr)
	}
	for _, name := range installed {
		if !slices.ContainsFunc(p.Installed, func(nevra string) bool { return strings.Contains(nevra, "-"+name+"-") }) {
			t.Errorf("%s is not among what was installed: %v", name, p.Installed)
		}
		if !slices.Contains(p.Imported, name) {
			t.Errorf("%s is not among what was imported: %v", name, p.Imported)
		}
	}
}

// TestBuilds takes projects from an index to proven repositories, several at once on one
// state directory, as people with more than one terminal do.
func TestBuilds(t *testing.T) {
	m := newMachine(t)
	t.Run("all", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, machine){
			"OneFails": testOneFails, "Project": testProject, "Extras": testExtras, "Interrupt": testInterrupt, "Damaged": testDamaged,
			"Killed": testKilled, "Direct": testDirect, "Together": testTogether, "Seldom": testSeldom, "Several": testSeveral, "BenchPackages": testBenchPackages,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, m)
			})
		}
	})
	for _, left := range leftovers(m.state) {
		if strings.Contains(left, "-killed-local/") && strings.HasSuffix(left, ".partial") {
			continue // the log of a build that was killed is kept
		}
		t.Errorf("left behind: %s", left)
	}
	if users := usersOf(t, m.state); len(users) > 0 {
		t.Errorf("processes that still have the state directory mounted: %v", users)
	}
}

// usersOf lists the processes in whose eyes something below dir is mounted.
func usersOf(t *testing.T, dir string) []string {
	t.Helper()
	tables, err := filepath.Glob("/proc/[0-9]*/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, table := range tables {
		if text, err := os.ReadFile(table); err == nil && bytes.Contains(text, []byte(dir)) {
			list = append(list, table)
		}
	}
	return list
}

// testOneFails: a failure blocks who builds with it and nobody else; the next run builds
// only what changed, publishes and proves.
func testOneFails(t *testing.T, m machine) {
	packages := []testindex.Package{
		{Name: "of-tool", Version: "0.5"},
		{Name: "of-lib", Version: "1.0", BuildRequires: []string{"of-tool"}, Imports: []string{"of_tool"}},
		{Name: "of-app", Version: "2.0", Requires: []string{"of-lib>=1"}},
		{Name: "of-broken", Version: "1.0", Fault: testindex.BuildFails},
		{Name: "of-behind", Version: "1.0", HookRequires: []string{"of-broken"}, Imports: []string{"of_broken"}},
	}
	dir := folder(t, "of-app", "of-behind")
	first := m.run(t, 1, "build", dir, "-i", serve(t, packages...), "--json")
	equal(t, "built", "of-app 2.0, of-lib 1.0, of-tool 0.5", names(first.summary.Built))
	equal(t, "failed", "of-broken 1.0", names(first.summary.Failed))
	equal(t, "blocked", "of-behind 1.0", names(first.summary.Blocked))
	if t.Failed() {
		t.Fatalf("%s\n%s", first.stdout, first.stderr)
	}
	failed, blocked := first.summary.Failed[0], first.summary.Blocked[0]
	if log, err := os.ReadFile(failed.Log); err != nil || !bytes.Contains(log, []byte("this build fails on purpose")) {
		t.Errorf("the log of what failed does not say why: %v\n%s", err, log)
	}
	if failed.Target != "local" || failed.Cause == "" || !strings.HasPrefix(blocked.Root, "of-broken") {
		t.Errorf("failed %+v, blocked %+v", failed, blocked)
	}
	if first.summary.Repository != "" || first.summary.Proof != nil {
		t.Errorf("half a set was published: %+v", first.summary)
	}

	// The same again, for people: everything but the failure is there already.
	again := m.run(t, 1, "build", dir, "-i", serve(t, packages...))
	for _, want := range []string{"failed   of-broken 1.0", "blocked  of-behind 1.0: needs of-broken", "0 built, 3 reused, 1 failed, 1 blocked", "Nothing was published"} {
		if !strings.Contains(again.stderr, want) {
			t.Errorf("stderr does not have %q:\n%s", want, again.stderr)
		}
	}

	packages = append(packages, testindex.Package{Name: "of-broken", Version: "1.1"})
	mended := m.run(t, 0, "build", dir, "-i", serve(t, packages...), "--json")
	equal(t, "built", "of-behind 1.0, of-broken 1.1", names(mended.summary.Built))
	equal(t, "reused", "of-app 2.0, of-lib 1.0, of-tool 0.5", names(mended.summary.Reused))
	mended.proven(t, "of-app", "of-lib", "of-behind")
	for _, tool := range []string{"of-tool", "of-broken"} {
		if strings.Contains(strings.Join(mended.summary.Proof.Installed, " "), tool) {
			t.Errorf("%s is a build tool and was installed: %v", tool, mended.summary.Proof.Installed)
		}
	}
	repo, err := os.ReadFile(mended.summary.RepoFile)
	if err != nil || !strings.Contains(string(repo), "\ngpgcheck=1\nrepo_gpgcheck=1\n") {
		t.Errorf("the .repo file does not ask for both signatures: %v\n%s", err, repo)
	}

	last := m.run(t, 0, "build", dir, "-i", serve(t, packages...), "--no-proof")
	if !strings.Contains(last.stderr, "0 built, 5 reused, 0 failed, 0 blocked") {
		t.Errorf("the third run builds:\n%s", last.stderr)
	}
	if !strings.Contains(last.stdout, "repository  "+mended.summary.Repository+"\n") || !strings.Contains(last.stdout, "dnf install") {
		t.Errorf("stdout does not end with the repository and the lines to install from it:\n%s", last.stdout)
	}
}

// testProject: a Git repository that is a package itself, and the command that proves it.
func testProject(t *testing.T, m machine) {
	index := serve(t, testindex.Package{Name: "pr-needed", Version: "1.0"})
	project := testindex.Package{Name: "pr-app", Version: "1.0", Requires: []string{"pr-needed"}, Scripts: []string{"pr-app = pr_app:main"}}
	dir := t.TempDir()
	tree := project.Tree()
	delete(tree, "PKG-INFO") // only an sdist has one
	for name, text := range tree {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"commit", "-qm", "one"}, {"tag", "v1.0"}} {
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...)
		cmd.Env = m.env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	good := m.run(t, 0, "build", dir, "--ref", "v1.0", "-i", index, "--name", "pr", "--proof-command", "pr-app", "--json")
	equal(t, "built", "pr-app 1.0, pr-needed 1.0", names(good.summary.Built))
	good.proven(t, "pr-app", "pr-needed")
	if c := good.summary.Proof.Command; c == nil || c.Status != 0 || strings.TrimSpace(c.Output) != "pr-app 1.0" {
		t.Errorf("the proof command: %+v", c)
	}
	bad := m.run(t, 1, "build", dir, "--ref", "v1.0", "-i", index, "--name", "pr", "--proof-command", "pr-app; exit 7")
	if !strings.Contains(bad.stderr, "status 7") || !strings.Contains(bad.stderr, "0 built, 2 reused") {
		t.Errorf("a proof command that fails:\n%s", bad.stderr)
	}
}

// testExtras: foo[bar] brings what bar needs; texts that look like macros stay texts; a
// wheel is taken where that was allowed.
func testExtras(t *testing.T, m machine) {
	touched := filepath.Join(t.TempDir(), "touched")
	index := serve(t,
		testindex.Package{Name: "ex-foo", Version: "1.0", Extras: map[string][]string{"bar": {"ex-bar"}, "other": {"ex-other"}}},
		testindex.Package{Name: "ex-bar", Version: "1.0", Summary: "%(touch " + touched + ") %{lua:os.exit(1)}\n  %prep"},
		testindex.Package{Name: "ex-other", Version: "1.0"},
		testindex.Package{Name: "ex-wheel", Version: "1.0", Files: "wheel"},
		testindex.Package{Name: "ex-dynamic", Version: "1.0", Dynamic: true, Requires: []string{"ex-bar"}},
	)
	c := m.run(t, 0, "build", folder(t, "ex-foo[bar]", "ex-wheel", "ex-dynamic"), "-i", index, "--allow-wheel", "EX_wheel", "--json")
	equal(t, "built", "ex-bar 1.0, ex-dynamic 1.0, ex-foo 1.0, ex-wheel 1.0", names(c.summary.Built))
	c.proven(t, "ex-foo", "ex-bar", "ex-wheel", "ex-dynamic")
	if _, err := os.Stat(touched); err == nil {
		t.Error("a summary was run as a macro")
	}
}

// testInterrupt: Ctrl-C while a build runs ends with 130 and leaves what is finished; the
// same command goes on from there.
func testInterrupt(t *testing.T, m machine) {
	index := serve(t,
		testindex.Package{Name: "in-quick", Version: "1.0"},
		testindex.Package{Name: "in-slow", Version: "1.0", HookRequires: []string{"in-quick"}, Seconds: 10},
	)
	args := []string{"build", folder(t, "in-slow"), "-i", index, "--json"}
	cmd, stdout, stderr := m.start(t, args...)
	var text strings.Builder
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		text.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), `"name":"in-slow"`) && strings.Contains(lines.Text(), `"phase":"build"`) {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := ended(t, cmd, 130, text.String(), stderr)
	if !strings.Contains(c.stderr, "the same command goes on from here") {
		t.Errorf("stderr:\n%s", c.stderr)
	}
	equal(t, "built before Ctrl-C", "in-quick 1.0", names(c.summary.Built))
	if users := usersOf(t, "in-slow"); len(users) > 0 {
		t.Errorf("the build goes on: %v", users)
	}
	second := m.run(t, 0, args...)
	equal(t, "built", "in-slow 1.0", names(second.summary.Built))
	equal(t, "reused", "in-quick 1.0", names(second.summary.Reused))
	second.proven(t, "in-slow")
}

// testKilled: kill -9 in the middle of builds loses those builds and nothing else. What is
// published in the end is what a run that nobody killed publishes.
func testKilled(t *testing.T, m machine) {
	index := serve(t,
		testindex.Package{Name: "ki-one", Version: "1.0"},
		testindex.Package{Name: "ki-two", Version: "1.0", HookRequires: []string{"ki-one"}, Seconds: 2},
		testindex.Package{Name: "ki-three", Version: "1.0", HookRequires: []string{"ki-two"}, Seconds: 2},
	)
	args := []string{"build", folder(t, "ki-three", "ki-one"), "-i", index, "--name", "killed", "--json"}
	for _, moment := range []string{`"name":"ki-two","version":"1.0","state":"building","phase":"build"`, `"stage":"publish"`, `"stage":"verify"`} {
		cmd, stdout, _ := m.start(t, args...)
		lines := bufio.NewScanner(stdout)
		lines.Buffer(nil, 1<<20)
		seen := false
		for lines.Scan() {
			if strings.Contains(lines.Text(), moment) {
				seen = true
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || !seen {
			t.Fatalf("not killed at %s: seen %v, %v", moment, seen, err)
		}
	}
	c := m.run(t, 0, args...)
	equal(t, "built", "", names(c.summary.Built))
	equal(t, "reused", "ki-one 1.0, ki-three 1.0, ki-two 1.0", names(c.summary.Reused))
	c.proven(t, "ki-one", "ki-three")
	published := rpmsOf(t, c.summary.Repository)
	again := m.run(t, 0, args...)
	if diff := cmp.Diff(published, rpmsOf(t, again.summary.Repository)); diff != "" {
		t.Errorf("the same command published something else (-first +second):\n%s", diff)
	}
}

// rpmsOf is the content of a repository's packages by name.
func rpmsOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]string{}
	err = filepath.WalkDir(real, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".rpm") {
			return err
		}
		data, err := os.ReadFile(path)
		sums[d.Name()] = fmt.Sprintf("%x", sha256.Sum256(data))
		return err
	})
	if err != nil || len(sums) == 0 {
		t.Fatalf("%d packages in %s: %v", len(sums), real, err)
	}
	return sums
}

// testTogether: two processes with the same project and one state directory build every
// package once between them, and both end well.
func testTogether(t *testing.T, m machine) {
	index := serve(t,
		testindex.Package{Name: "to-base", Version: "1.0", Seconds: 1},
		testindex.Package{Name: "to-app", Version: "1.0", HookRequires: []string{"to-base"}, Requires: []string{"to-base"}},
		testindex.Package{Name: "to-other", Version: "1.0", Dynamic: true, Seconds: 1},
	)
	args := []string{"build", folder(t, "to-app", "to-other"), "-i", index, "--name", "together", "--json"}
	cmd, stdout, stderr := m.start(t, args...)
	second := m.run(t, 0, args...)
	text, err := io.ReadAll(stdout)
	if err != nil {
		t.Fatal(err)
	}
	first := ended(t, cmd, 0, string(text), stderr)
	first.proven(t, "to-base", "to-app", "to-other")
	second.proven(t, "to-base", "to-app", "to-other")
	if n := len(first.summary.Built) + len(second.summary.Built); n != 3 {
		t.Errorf("3 packages were built %d times: %s and %s", n, names(first.summary.Built), names(second.summary.Built))
	}
	equal(t, "repository", first.summary.Repository, second.summary.Repository)
}

// testSeldom: what few runs ask for. Without the network from what is known; --refresh builds
// all again; a channel and a key of one's own.
func testSeldom(t *testing.T, m machine) {
	server, err := testindex.Start(testindex.Package{Name: "se-app", Version: "1.0", Requires: []string{"se-lib"}}, testindex.Package{Name: "se-lib", Version: "1.0"})
	if err != nil {
		t.Fatal(err)
	}
	dir := folder(t, "se-app")
	args := []string{"build", dir, "-i", server.URL, "--name", "seldom", "--json"}
	first := m.run(t, 0, args...)
	server.Close()
	offline := m.run(t, 0, append(args, "--offline", "--channel", "testing")...)
	equal(t, "reused offline", "se-app 1.0, se-lib 1.0", names(offline.summary.Reused))
	if !strings.Contains(offline.summary.Repository, "/seldom/testing/local/") || !strings.Contains(first.summary.Repository, "/seldom/stable/local/") {
		t.Errorf("repositories %s and %s", first.summary.Repository, offline.summary.Repository)
	}
	refreshed := m.run(t, 0, append(args, "--offline", "--refresh")...)
	equal(t, "built again", "se-app 1.0, se-lib 1.0", names(refreshed.summary.Built))
	refreshed.proven(t, "se-app", "se-lib")
}

// testDamaged: every way of a package to be wrong fails that package, says why, and
// lets the others through.
func testDamaged(t *testing.T, m machine) {
	index := serve(t,
		testindex.Package{Name: "da-good", Version: "1.0"},
		testindex.Package{Name: "da-hook", Version: "1.0", Fault: testindex.HookFails},
		testindex.Package{Name: "da-name", Version: "1.0", Fault: testindex.WrongWheelName},
		testindex.Package{Name: "da-needs", Version: "1.0", BuildRequires: []string{"da-nosuch"}},
		testindex.Package{Name: "da-empty", Version: "1.0", Files: "both", Fault: testindex.NoMetadata},
		testindex.Package{Name: "da-huge", Version: "1.0", Fault: testindex.HugeSummary},
	)
	c := m.run(t, 1, "build", folder(t, "da-good", "da-hook", "da-name", "da-needs", "da-empty", "da-huge"), "-i", index, "--json")
	// A build requirement that no index has is left out, and said so.
	equal(t, "built", "da-good 1.0, da-hook 1.0, da-huge 1.0, da-needs 1.0", names(c.summary.Built))
	equal(t, "failed", "da-empty 1.0, da-name 1.0", names(c.summary.Failed))
	for _, b := range c.summary.Built {
		if told := strings.Contains(fmt.Sprintf("%+v", b.Repairs), "da-nosuch"); told != (b.Name == "da-needs") {
			t.Errorf("%s: repairs %+v", b.Name, b.Repairs)
		}
	}
	for _, f := range c.summary.Failed {
		t.Logf("%s: %s", f.Name, f.Cause)
		want := map[string]string{"da-name": "somebody", "da-empty": "setuptools"}[f.Name]
		text := f.Cause
		if f.Log != "" {
			log, err := os.ReadFile(f.Log)
			if err != nil {
				t.Errorf("%s: %v", f.Name, err)
			}
			text += string(log)
		}
		if f.Cause == "" || !strings.Contains(text, want) {
			t.Errorf("%s: neither cause nor log speak of %q: %s", f.Name, want, f.Cause)
		}
	}
}
