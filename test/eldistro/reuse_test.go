package eldistro

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/cli"
	"reqpm/internal/testindex"
)

// summary is what this test reads of the last line of build --json.
type summary struct {
	Built        []entry
	Distribution []entry
	Repository   string
	Proof        struct {
		OK        bool
		Installed []string
		Imported  []string
	}
}

type entry struct{ Name, Version, NEVRA string }

// reqpm runs one command line in a state directory of the test's own.
func reqpm(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if got := cli.Execute(t.Context(), "test", args, strings.NewReader(""), &out, &errs); got != code {
		t.Fatalf("reqpm %s exits with %d, not with %d\n%s%s", strings.Join(args, " "), got, code, &out, &errs)
	}
	return out.String(), errs.String()
}

// A small application for the test distribution, whose jinja2 and markupsafe it takes from the
// distribution, and whose six it builds, because the distribution's does not fit.
func TestReuse(t *testing.T) {
	dir := distro(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root: build roots are mounted")
	}
	server, err := testindex.Start(
		testindex.Package{Name: "six", Version: "99.0"},
		testindex.Package{Name: "jinja2", Version: "99.0"},
		testindex.Package{Name: "page", Version: "1.0", Requires: []string{"jinja2>=3"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", home)
	t.Setenv("PIP_CONFIG_FILE", os.DevNull)
	targets, err := os.ReadFile(filepath.Join(dir, "target.toml"))
	if err != nil {
		t.Fatal(err)
	}
	// The macros of the other style want a packaging of the index's.
	own := string(targets) + "\n[targets.eld]\nbase = \"eldistro\"\nstyle = \"driver\"\n"
	file := filepath.Join(home, "own.toml")
	project := filepath.Join(home, "site")
	if err := os.Mkdir(project, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{file: own, filepath.Join(project, "requirements.txt"): "page\nsix>=2\n"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	options := []string{project, "--target", "eld", "--targets-file", file, "-i", server.URL, "--state", filepath.Join(home, "state")}

	out, stderr := reqpm(t, 0, append([]string{"resolve", "--json"}, options...)...)
	for _, want := range []string{`"name":"jinja2","version":"3.1.2","artifact":{"filename":"python3-jinja2-3.1.2-1.eld.x86_64","sha256":"","kind":"distribution"}`,
		`"name":"six","version":"99.0"`, `"source":"repositories"`, `"replaces":[{"name":"six","version":"99.0","rpm":"python3-six","has":"1.16.0"}]`} {
		if !strings.Contains(out, want) {
			t.Errorf("resolve has no %s:\n%s", want, out)
		}
	}
	// Its Python is the system's own: six would be replaced.
	if !strings.Contains(stderr, "python3-six: the set has six 99.0, the distribution 1.16.0") {
		t.Errorf("resolve does not warn: %s", stderr)
	}
	if _, stderr := reqpm(t, 3, append([]string{"plan"}, options...)...); !strings.Contains(stderr, "--replace six") {
		t.Errorf("plan does not say the way out: %s", stderr)
	}

	options = append(options, "--replace", "six")
	out, _ = reqpm(t, 0, append([]string{"plan"}, options...)...)
	if !strings.Contains(out, "reuse python3-markupsafe-2.1.2-1.eld.x86_64 from eldistro") {
		t.Errorf("the plan does not show what is reused:\n%s", out)
	}
	out, _ = reqpm(t, 0, append([]string{"build", "--json"}, options...)...)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var s summary
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &s); err != nil {
		t.Fatal(err)
	}
	check := func(what string, list []entry, want ...string) {
		t.Helper()
		var have []string
		for _, e := range list {
			have = append(have, strings.TrimSpace(e.Name+" "+e.Version+" "+e.NEVRA))
		}
		slices.Sort(have)
		if !slices.Equal(have, want) {
			t.Errorf("%s: %q, want %q", what, have, want)
		}
	}
	check("built", s.Built, "page 1.0", "six 99.0")
	check("of the distribution", s.Distribution, "jinja2 3.1.2 python3-jinja2-3.1.2-1.eld.x86_64", "markupsafe 2.1.2 python3-markupsafe-2.1.2-1.eld.x86_64")
	if !s.Proof.OK {
		t.Errorf("proof: %+v", s.Proof)
	}
	wantAll(t, "the proof root", s.Proof.Installed, "python3-jinja2-3.1.2-1.eld.x86_64", "python3-markupsafe-2.1.2-1.eld.x86_64", "python3-six-99.0-1.eld.noarch", "python3-page-1.0-1.eld.noarch")
	wantAll(t, "what was imported", s.Proof.Imported, "jinja2", "markupsafe", "page", "six")
	published, err := filepath.Glob(filepath.Join(s.Repository, "*", "*.rpm"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range published {
		if strings.Contains(path, "jinja2") || strings.Contains(path, "markupsafe") {
			t.Errorf("published, though the distribution has it: %s", path)
		}
	}
	if len(published) == 0 {
		t.Errorf("no RPMs in %s", s.Repository)
	}
}
