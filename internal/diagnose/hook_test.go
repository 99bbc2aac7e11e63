package diagnose

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The patch is applied by patch(1), as rpmbuild does.
func TestWithoutHook(t *testing.T) {
	program, err := exec.LookPath("patch")
	if err != nil {
		t.Skip("no patch(1)")
	}
	for name, text := range map[string]string{
		"dotted":     "[tool.hatch]\nversion.source = \"vcs\"\nbuild.hooks.vcs.version-file = \"v.py\"\nbuild.hooks.python-sbom = {}\nbuild.targets.sdist.include = [\n  \"/src\",\n]\n",
		"own table":  "[tool.hatch.build.hooks.vcs]\nversion-file = \"v.py\"\n\n[tool.hatch.build.hooks.python-sbom]\nformat = \"x\"\n\n[tool.other]\nx = 1\n",
		"the only":   "[project]\nname = \"x\"\n[tool.hatch.build.hooks.python-sbom]\n",
		"of a wheel": "[tool.hatch.build.targets.wheel.hooks.python-sbom]\nx = 1\n[tool.hatch.build.targets.wheel]\npackages = [\"src/x\"]\n",
		"two places": "[tool.hatch.build.hooks.python-sbom]\na = 1\n" + strings.Repeat("[tool.x]\n# far\n", 1) + strings.Repeat("# far\n", 20) + "[tool.hatch.build.targets.wheel.hooks.python-sbom]\nx = 1\n",
	} {
		diff, err := WithoutHook(text, "python-sbom")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		dir := t.TempDir()
		file := filepath.Join(dir, "pyproject.toml")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, "-p1", "-s", "--fuzz=0", "-d", dir)
		cmd.Stdin = strings.NewReader(diff)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %s\n%s", name, out, diff)
			continue
		}
		got, _ := os.ReadFile(file)
		if strings.Contains(string(got), "sbom") {
			t.Errorf("%s: still there:\n%s", name, got)
		}
		for _, kept := range []string{"version-file", "packages = ", "[tool.other]", "\"/src\""} {
			if strings.Contains(text, kept) && !strings.Contains(string(got), kept) {
				t.Errorf("%s: %q is gone:\n%s", name, kept, got)
			}
		}
	}
	for _, text := range []string{"[project]\nname = \"x\"\n", "[tool.hatch.build.hooks.python-sbom]\nx = [\n[1],\n]\ny = \"\"\"\n[other]\n\"\"\"\n"} {
		if diff, err := WithoutHook(text, "python-sbom"); err == nil && strings.Contains(diff, "+[") {
			t.Errorf("%q: %s", text, diff)
		}
	}
	if _, err := WithoutHook("[project]\nname = \"x\"\n", "python-sbom"); err == nil {
		t.Error("a hook that is not there was left out")
	}
}
