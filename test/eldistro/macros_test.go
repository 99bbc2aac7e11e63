package eldistro

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/cli"
	"reqpm/internal/pep508"
)

// realMacros names a folder with el9 and el10, each with the source packages python-rpm-macros,
// python-rpm-generators and pyproject-rpm-macros of that release (or the nearest of Fedora's).
const realMacros = "REQPM_REAL_MACROS"

// macrosWork names a folder to keep distributions and states in, so that a second run only compares.
const macrosWork = "REQPM_REAL_MACROS_WORK"

// uploadedBefore keeps the set the same, whenever the test runs.
const uploadedBefore = "2026-11-25"

// explained is a difference with a known reason: what this leaves of a line on one side is on the
// other.
type explained struct {
	like  string // the release
	field string
	line  *regexp.Regexp
	with  string
}

// explanations are in docs/benchmarks.md, with their reasons.
var explanations = []explained{
	// EL 10's generator keeps pre-releases of 3 out of "< 3"; Debian's rpm has an older one, as EL 9.
	{like: "el10", field: "requires", line: regexp.MustCompile(`( < [0-9.]+)~~`), with: "$1"},
	// Its pathfix writes "#! /usr/bin/python3", ours no space; the kernel passes over it (execve(2)).
	{like: "el10", field: "shebangs", line: regexp.MustCompile(`^(\S+ #!) `), with: "$1"},
}

// plain is a line without what explanations explain.
func plain(like, field, line string) string {
	for _, e := range explanations {
		if e.like == like && e.field == field {
			line = e.line.ReplaceAllString(line, e.with)
		}
	}
	return line
}

// The specs for EL 9 and EL 10 are built in two distributions each, one with the macros and
// generators in files/ and one with a release's own, and what comes out must be the same: that is
// what makes every other test in the test distribution worth something.
func TestRealMacros(t *testing.T) {
	real := os.Getenv(realMacros)
	if real == "" {
		t.Skipf("%s names no folder with a release's own macros; see README.md", realMacros)
	}
	if os.Geteuid() != 0 || os.Getenv("REQPM_NETWORK") == "" {
		t.Skip("needs root and the real index: run as root with REQPM_NETWORK=1")
	}
	work := os.Getenv(macrosWork)
	if work == "" {
		work = t.TempDir()
	}
	table := []string{"| Package | our macros | the release's own |"}
	for _, like := range []string{"el9", "el10"} {
		own := buildAll(t, filepath.Join(work, like+"-own"), like, "")
		theirs := buildAll(t, filepath.Join(work, like+"-real"), like, filepath.Join(real, like))
		for _, name := range wanted(t) {
			table = append(table, fmt.Sprintf("| %s %s | %s | %s |", like, name, own.state(name), theirs.state(name)))
			if own.state(name) != "built" || theirs.state(name) != "built" {
				t.Errorf("%s: %s: %s with our macros, %s with the release's own", like, name, own.state(name), theirs.state(name))
			}
		}
		same := compare(t, like, own.rpms, theirs.rpms)
		t.Logf("%s: %d RPMs with our macros, %d with the release's own, %d the same in every field", like, len(own.rpms), len(theirs.rpms), same)
	}
	t.Log("\n" + strings.Join(table, "\n"))
}

// outcome is what one distribution made of the list.
type outcome struct {
	summary summary
	reused  []entry // built by an earlier run of the test
	failed  map[string]string
	rpms    map[string]map[string][]string // by name, then by field
}

func (o outcome) state(name string) string {
	for _, e := range slices.Concat(o.summary.Built, o.reused) {
		if e.Name == name {
			return "built"
		}
	}
	if o.failed[name] != "" {
		return o.failed[name]
	}
	return "missing"
}

// wanted lists the packages that testdata/macros asks for.
func wanted(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/macros/requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		req, err := pep508.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, strings.ReplaceAll(strings.ToLower(req.Name), ".", "-"))
	}
	return names
}

// buildAll makes a distribution in dir and builds the list in it.
func buildAll(t *testing.T, dir, like, macros string) outcome {
	t.Helper()
	args := []string{dir, like}
	if macros != "" {
		args = append(args, macros)
	}
	if out, err := exec.Command("./make.sh", args...).CombinedOutput(); err != nil {
		t.Fatalf("make.sh %v: %v\n%s", args, err, out)
	}
	state := dir + "-state"
	// Everything is built, tools too, from the first spec: what a repair would mend must show.
	var out, errs bytes.Buffer
	code := cli.Execute(t.Context(), "test", []string{"build", "testdata/macros", "--json", "--target", "eldistro", "--builder", "chroot",
		"--targets-file", filepath.Join(dir, "target.toml"), "--state", state, "--distribution", "never-reuse", "--no-repair",
		"--exclude-newer", uploadedBefore}, strings.NewReader(""), &out, &errs)
	if code != 0 {
		t.Errorf("reqpm build in %s exits with %d:\n%s", dir, code, &errs)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var o outcome
	var events struct {
		Failed  []struct{ Name, Cause string }
		Blocked []struct{ Name, Root string }
		Reused  []entry
	}
	last := []byte(lines[len(lines)-1])
	if bad := json.Unmarshal(last, &o.summary); bad != nil {
		t.Fatalf("reqpm build in %s: %v", dir, bad)
	}
	if bad := json.Unmarshal(last, &events); bad != nil {
		t.Fatal(bad)
	}
	o.reused = events.Reused
	o.failed = map[string]string{}
	for _, f := range events.Failed {
		o.failed[f.Name] = "failed: " + f.Cause
	}
	for _, b := range events.Blocked {
		o.failed[b.Name] = "blocked by " + b.Root
	}
	o.rpms = contents(t, state)
	return o
}

// fields are what is compared of an RPM, by rpm's query for it.
var fields = map[string]string{
	"provides":  "[%{PROVIDENEVRS}\n]",
	"requires":  "[%{REQUIRENEVRS}\n]",
	"obsoletes": "[%{OBSOLETENEVRS}\n]",
	"conflicts": "[%{CONFLICTNEVRS}\n]",
	"files":     "[%{FILENAMES} %{FILEMODES:perms} %{FILEFLAGS:fflags}\n]",
	"shebangs":  "",
}

// contents reads the RPMs that the builds in a state directory left, by name and field.
func contents(t *testing.T, state string) map[string]map[string][]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(state, "builds", "*", "*.rpm"))
	if err != nil {
		t.Fatal(err)
	}
	rpms := map[string]map[string][]string{}
	for _, path := range paths {
		if strings.HasSuffix(path, ".src.rpm") || strings.Contains(path, "-debug") {
			continue
		}
		name := query(t, path, "--qf", "%{NAME} %{VERSION}")[0]
		rpms[name] = map[string][]string{}
		for field, format := range fields {
			if format == "" {
				rpms[name][field] = shebangs(t, path)
				continue
			}
			rpms[name][field] = slices.DeleteFunc(query(t, path, "--qf", format), func(line string) bool { return strings.HasPrefix(line, "rpmlib(") })
		}
	}
	return rpms
}

// shebangs lists the commands of an RPM with their first lines.
func shebangs(t *testing.T, path string) []string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("/bin/sh", "-c", `rpm2cpio "$1" | (cd "$2" && cpio -idm --quiet './usr/bin/*')`, "sh", path, dir).CombinedOutput(); err != nil {
		t.Fatalf("unpack %s: %v\n%s", path, err, out)
	}
	var lines []string
	commands, err := filepath.Glob(filepath.Join(dir, "usr/bin/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commands {
		text, err := os.ReadFile(c)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		lines = append(lines, filepath.Base(c)+" "+first)
	}
	return lines
}

// compare reports every difference that nothing explains, and returns how many RPMs have none.
func compare(t *testing.T, like string, own, theirs map[string]map[string][]string) int {
	t.Helper()
	names := slices.Sorted(maps.Keys(own))
	if want := slices.Sorted(maps.Keys(theirs)); !slices.Equal(names, want) {
		t.Errorf("%s: the RPMs are %q with our macros, %q with the release's own", like, names, want)
	}
	same := 0
	for _, name := range names {
		if theirs[name] == nil {
			continue
		}
		differs := false
		for field := range fields {
			for _, side := range []struct {
				what       string
				have, lack []string
			}{{"only with our macros", own[name][field], theirs[name][field]}, {"only with the release's own", theirs[name][field], own[name][field]}} {
				for _, line := range side.have {
					if slices.Contains(side.lack, line) {
						continue
					}
					differs = true
					equal := func(other string) bool { return plain(like, field, other) == plain(like, field, line) }
					if !slices.ContainsFunc(side.lack, equal) {
						t.Errorf("%s: %s: %s %s: %s", like, name, field, side.what, line)
					}
				}
			}
		}
		if !differs {
			same++
		}
	}
	return same
}
