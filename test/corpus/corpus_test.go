package corpus

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/pep508"
	"reqpm/internal/spec"
	"reqpm/internal/target"
)

// TestEverySpecOfEveryRelease writes the spec of every package for every shipped target, in the newest
// version that the target's Python admits, and holds it against what the release knows. Where rpmspec
// is there, it parses the specs with the release's own macros and no others.
func TestEverySpecOfEveryRelease(t *testing.T) {
	facts := readFacts(t)
	list := names(t)
	if len(list) != 116 {
		t.Fatalf("%d packages in the list", len(list))
	}
	for _, tt := range target.All() {
		t.Run(tt.Name, func(t *testing.T) {
			specs := map[string]string{}
			var without []string
			for _, name := range list {
				i := slices.IndexFunc(facts[pep508.NormalizeName(name)], func(f fact) bool { return f.admits(t, tt.Python.Version) })
				if i < 0 {
					without = append(without, name)
					continue
				}
				f := facts[pep508.NormalizeName(name)][i]
				out, err := spec.Write(f.input(t, tt))
				if err != nil {
					t.Errorf("%s %s: %v", f.Name, f.Version, err)
					continue
				}
				for _, fault := range faults(tt, out.Text) {
					t.Errorf("%s %s: %s", f.Name, f.Version, fault)
				}
				specs[out.FileName] = out.Text
			}
			if n := len(specs) + len(without); n != len(list) {
				t.Errorf("%d specs of %d packages have a name of their own", len(specs), len(list)-len(without))
			}
			// Pythons that current releases still support have a version of everything.
			if tt.Python.Minor() != "3.6" && !tt.Uncommon && len(without) > 0 || len(without) > 12 {
				t.Errorf("no source distribution for Python %s: %v", tt.Python.Version, without)
			}
			t.Logf("%d specs; without a version for Python %s: %v", len(specs), tt.Python.Version, without)
			if tt.Arch == "x86_64" && !tt.Uncommon {
				parse(t, releases[tt.Dist], specs)
			}
		})
	}
}

// parse has rpmspec expand specs with the macros of a release.
func parse(t *testing.T, r release, specs map[string]string) {
	t.Helper()
	if _, err := exec.LookPath("rpmspec"); err != nil {
		t.Log("rpmspec is not installed: the text was checked, and not parsed")
		return
	}
	for _, problem := range rpmspec(t, r, specs) {
		t.Error(problem)
	}
}

// rpmspec returns what rpm has to say against specs.
func rpmspec(t *testing.T, r release, specs map[string]string) []string {
	t.Helper()
	dir := t.TempDir()
	// rpm reads the user's macros anew for every spec, and those of --load only once.
	if err := os.WriteFile(filepath.Join(dir, ".rpmmacros"), []byte(r.macros), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-P"}
	for name, text := range specs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	cmd := exec.CommandContext(t.Context(), "rpmspec", args...)
	cmd.Dir, cmd.Env = dir, []string{"PATH=/usr/bin:/bin", "HOME=" + dir, "LC_ALL=C.UTF-8"}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var problems []string
	if err != nil || stderr.Len() > 0 {
		problems = append(problems, fmt.Sprintf("rpmspec: %v: %.2000s", err, stderr.String()))
	}
	if n := strings.Count(string(out), "\n%changelog\n"); n != len(specs) {
		problems = append(problems, fmt.Sprintf("%d of %d specs were parsed to their end", n, len(specs)))
	}
	if left := unexpanded(string(out)); len(left) > 0 {
		slices.Sort(left)
		problems = append(problems, fmt.Sprintf("macros that the release does not know: %v", slices.Compact(left)))
	}
	return problems
}

// The check finds what it looks for: a spec for one release is refused by those before it.
func TestAForeignSpecIsRefused(t *testing.T) {
	facts := readFacts(t)
	write := func(name, release string) string {
		tt, err := target.Lookup(release)
		if err != nil {
			t.Fatal(err)
		}
		out, err := spec.Write(facts[name][0].input(t, tt))
		if err != nil {
			t.Fatal(err)
		}
		return out.Text
	}
	for _, c := range []struct{ name, made, asked, want string }{
		{"flask", "el9", "el8", "dynamic BuildRequires"}, {"flask", "el9", "el7", "%pyproject macros"}, {"flask", "el8", "el9", "pyproject-rpm-macros"},
		{"celery", "el8", "el7", "a rich dependency"}, {"flask", "el8-py36", "el8", "python3_pkgversion"},
	} {
		tt, err := target.Lookup(c.asked)
		if err != nil {
			t.Fatal(err)
		}
		if got := faults(tt, write(c.name, c.made)); !strings.Contains(strings.Join(got, "\n"), c.want) {
			t.Errorf("%s for %s passes as one for %s: %q", c.name, c.made, c.asked, got)
		}
	}
	if _, err := exec.LookPath("rpmspec"); err != nil {
		t.Skip("rpmspec is not installed")
	}
	got := rpmspec(t, releases[".el8"], map[string]string{"x.spec": write("flask", "el9")})
	if !strings.Contains(strings.Join(got, "\n"), "pyproject_wheel") {
		t.Errorf("rpmspec with the macros of el8 takes a spec for el9: %q", got)
	}
}
