package pipeline

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/builder"
	"reqpm/internal/pep508"
	"reqpm/internal/plan"
	"reqpm/internal/testindex"
)

// project is a package whose pyproject.toml is written for a backend on the index.
func project(name, requires, backend, table string) testindex.Package {
	return testindex.Package{Name: name, Version: "1", Files: "both", Add: map[string]string{
		"pyproject.toml": "[build-system]\nrequires = [\"" + requires + "\"]\nbuild-backend = \"" + backend + "\"\n\n[project]\nname = \"" + name + "\"\nversion = \"1\"\n" + table}}
}

// tool is a build tool of the index with its wheel, for asking.
func tool(name, version string) testindex.Package {
	return testindex.Package{Name: name, Version: version, Files: "both"}
}

func constraints(t *testing.T, texts ...string) func(*Config) {
	t.Helper()
	var list []pep508.Requirement
	for _, text := range texts {
		r, err := pep508.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return func(c *Config) { c.BuildConstraints = list }
}

func TestOldBackendGetsAPatch(t *testing.T) {
	packages := []testindex.Package{
		project("lib", "setuptools>=77", "setuptools.build_meta", "license = \"MIT\" # SPDX\n"),
		tool("setuptools", "69.0.3"), tool("setuptools", "80.0"),
	}
	// Where the newest may be had, nothing is patched.
	work := newLine(t, t.TempDir(), newWorkshop(t, 1), nil, packages...).plan(t, "lib")
	b := work.builds["lib==1"]
	if b.err != nil || b.patch != nil || strings.Contains(b.spec.text, "Patch0") || work.builds["setuptools==80.0"] == nil {
		t.Errorf("newest: %v\n%s", b.err, b.spec.text)
	}

	l := newLine(t, t.TempDir(), newWorkshop(t, 1), constraints(t, "setuptools<70"), packages...)
	work = l.plan(t, "lib")
	if b = work.builds["lib==1"]; b.err != nil {
		t.Fatal(b.err)
	}
	for _, want := range []string{"# Patch0 was made by ReqPM: ", "Patch0:         lib-build-backend.patch\n", "%autosetup -p1", "BuildRequires:  python3.12dist(setuptools)\n"} {
		if !strings.Contains(b.spec.text, want) {
			t.Errorf("the spec has no %q:\n%s", want, b.spec.text)
		}
	}
	node := work.Plan.Node(b.id)
	if !strings.Contains(node.Reason, "patched: ") || !strings.Contains(node.Reason, "setuptools 69.0.3") {
		t.Errorf("the plan says %q", node.Reason)
	}
	want(t, "patch", `--- a/pyproject.toml
+++ b/pyproject.toml
@@ -1,8 +1,8 @@
 [build-system]
-requires = ["setuptools>=77"]
+requires = ["setuptools"]
 build-backend = "setuptools.build_meta"
 
 [project]
 name = "lib"
 version = "1"
-license = "MIT" # SPDX
+license = {text = "MIT"} # SPDX
`, string(b.patch.Diff))
	want(t, "states", map[string]string{"lib 1": StateBuilt, "setuptools 69.0.3": StateBuilt}, states(build(t, l, work)))
}

// A floor that ReqPM does not know the reason of is no floor to take away.
func TestUnexplainedFloorStands(t *testing.T) {
	l := newLine(t, t.TempDir(), newWorkshop(t, 1), constraints(t, "setuptools<70"),
		project("lib", "setuptools>=79", "setuptools.build_meta", "license = \"MIT\"\n"), tool("setuptools", "69.0.3"), tool("setuptools", "80.0"))
	if b := l.plan(t, "lib").builds["lib==1"]; b.err == nil || !strings.Contains(b.err.Error(), "--build-constraint") {
		t.Errorf("the error is %v", b.err)
	}
}

func TestBackendTooOldForAPatch(t *testing.T) {
	packages := []testindex.Package{project("lib", "poetry-core", "poetry.core.masonry.api", ""), tool("poetry-core", "1.9.1"), tool("poetry-core", "2.0")}
	old := constraints(t, "poetry-core<2")
	b := newLine(t, t.TempDir(), newWorkshop(t, 1), old, packages...).plan(t, "lib").builds["lib==1"]
	if b.err == nil || !strings.Contains(b.err.Error(), "poetry-core 1.9.1 is too old for [project]") || !strings.Contains(b.err.Error(), "--allow-wheel lib") {
		t.Errorf("the error is %v", b.err)
	}
	// Its pure wheel does where that is allowed, and spec and plan say so.
	work := newLine(t, t.TempDir(), newWorkshop(t, 1), func(c *Config) {
		old(c)
		c.AllowWheel = []string{"lib"}
	}, packages...).plan(t, "lib")
	b = work.builds["lib==1"]
	if b.err != nil || !strings.Contains(b.spec.text, "# This package was not built from source: ") || !strings.Contains(b.spec.text, "Source0:        lib-1-py3-none-any.whl") {
		t.Errorf("%v\n%s", b.err, b.spec.text)
	}
	if reason := work.Plan.Node("lib==1").Reason; !strings.HasPrefix(reason, "from a wheel: lib-1-py3-none-any.whl") {
		t.Errorf("the plan says %q", reason)
	}
}

// Compiled code that nobody here compiled is another matter than a pure wheel.
func TestCompiledWheelsNeedAWordOfTheirOwn(t *testing.T) {
	packages := []testindex.Package{{Name: "fast", Version: "1", Files: "wheel", WheelTag: "cp312-cp312-manylinux_2_17_x86_64"}}
	l := newLine(t, t.TempDir(), newWorkshop(t, 1), func(c *Config) { c.AllowWheel = []string{"fast"} }, packages...)
	if err := l.CheckSources(l.lock(t, "fast")); err == nil || !strings.Contains(err.Error(), "--allow-compiled-wheel fast") {
		t.Errorf("the error is %v", err)
	}
	l = newLine(t, t.TempDir(), newWorkshop(t, 1), func(c *Config) { c.AllowCompiledWheel = []string{"fast"} }, packages...)
	if b := l.plan(t, "fast").builds["fast==1"]; b.err != nil {
		t.Error(b.err)
	}
}

func TestUVProjectsAreBuiltByFlit(t *testing.T) {
	uv := project("lib", "uv_build>=0.9,<0.10", "uv_build", "[tool.uv.build-backend]\nmodule-root = \"\"\n")
	uv.Add["lib/__init__.py"] = ""
	work := newLine(t, t.TempDir(), newWorkshop(t, 1), nil, uv, tool("flit-core", "3.12.0")).plan(t, "lib")
	b := work.builds["lib==1"]
	if b.err != nil || !strings.Contains(string(b.patch.Diff), "+build-backend = \"flit_core.buildapi\"") || work.builds[plan.NewID("flit-core", "3.12.0")] == nil {
		t.Errorf("%v\n%s", b.err, b.spec.text)
	}
}

// sees plays a build backend that fails with a text until its environment has a tool of some version.
func (w *workshop) sees(tool, text string) func(context.Context, builder.Command) error {
	return func(ctx context.Context, c builder.Command) error {
		for _, b := range c.Binds {
			if have, _ := filepath.Glob(filepath.Join(b.Host, tool)); b.Inside == "/env" && len(have) > 0 {
				return w.answer(ctx, c)
			}
		}
		return &builder.ExitError{Code: 1, Stderr: text}
	}
}

// A repair that asks for an older build backend has the source fitted to that one.
func TestRepairIsFittedAnew(t *testing.T) {
	w := newWorkshop(t, 1)
	w.Runner = w.sees("setuptools-69*", "setuptools.errors.InvalidConfigError: Invalid dash-separated key 'description-file' in 'metadata' (setup.cfg)")
	l := newLine(t, t.TempDir(), w, nil, project("lib", "setuptools>=77", "setuptools.build_meta", "license = \"MIT\"\n"),
		tool("setuptools", "69.0.3"), tool("setuptools", "80.0"))
	work := l.plan(t, "lib")
	b := work.builds["lib==1"]
	if b.err != nil || len(b.repairs) != 1 || b.repairs[0].Changes[0].Value != "setuptools<78" {
		t.Fatalf("%v, %v", b.err, b.repairs)
	}
	if b.patch == nil || !strings.Contains(string(b.patch.Diff), `+license = {text = "MIT"}`) || !strings.Contains(b.spec.text, "dist(setuptools) < 78") {
		t.Errorf("not fitted to setuptools 69:\n%s", b.spec.text)
	}
	want(t, "states", map[string]string{"lib 1": StateBuilt, "setuptools 69.0.3": StateBuilt}, states(build(t, l, work)))
}

// The patch that leaves out a hook is applied after the one that fits the source to its backend.
func TestPatchesFitOverEachOther(t *testing.T) {
	w := newWorkshop(t, 1)
	w.needs("lib", "Patch1:", "hatchling.plugin.exceptions.UnknownPluginError: Unknown build hook: frobnicate\n")
	l := newLine(t, t.TempDir(), w, constraints(t, "hatchling<1.22"),
		project("lib", "hatchling", "hatchling.build", "license = \"MIT\"\nlicense-files = [\"LICENSE\"]\n[tool.hatch.build.hooks.frobnicate]\n"),
		tool("hatchling", "1.21.1"), tool("hatchling", "1.27.0"))
	work := l.plan(t, "lib")
	lib := build(t, l, work)["lib==1"]
	b := work.builds["lib==1"]
	if lib.State != StateBuilt || b.patch == nil || len(b.repairs) != 1 {
		t.Fatalf("%+v\n%s", lib, b.spec.text)
	}
	tree := b.patch.Files["pyproject.toml"]
	second := string(b.repairs[0].layer.Patches[0].Text)
	for line := range strings.Lines(second) { // what it wants to find has to be what the first one leaves
		if text, ok := strings.CutPrefix(line, " "); ok && !strings.Contains(string(tree), text) {
			t.Errorf("Patch1 looks for %q in\n%s", text, tree)
		}
	}
}
