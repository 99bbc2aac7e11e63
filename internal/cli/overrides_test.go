package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/testindex"
)

// The patch changes the module, and has the build look for what else was said.
const ovPatch = `--- a/ov_app/__init__.py
+++ b/ov_app/__init__.py
@@ -5,4 +5,4 @@
     print("ov-app", __version__)
 
 
-ANSWER = 1
+ANSWER = 42
--- a/_build/testbackend.py
+++ b/_build/testbackend.py
@@ -40,3 +40,5 @@
 def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
+    assert os.environ["SPEED"] == "it's 100%", os.environ["SPEED"]
+    assert config_settings == {"mode": "a b"}, config_settings
     for module in P["imports"]:
         print("build tool", importlib.import_module(module).__name__, "is here", flush=True)
`

func TestBuildWithPatchAndEnvironment(t *testing.T) {
	if os.Getenv("REQPM_E2E") == "" {
		t.Skip("builds packages; set REQPM_E2E=1")
	}
	m := newMachine(t)
	index := serve(t, testindex.Package{Name: "ov-app", Version: "1.0", Requires: []string{"ov-gone"}, Body: "ANSWER = 1\n"})
	dir := folder(t, "ov-app")
	for name, text := range map[string]string{
		"overrides/ov-app.toml": `patches = ["answer.patch"]
drop-requires = ["ov-gone"]
memory = "2GiB"
[env]
SPEED = "it's 100%"
[config-settings]
mode = "a b"
[checks]
commands = ["test \"$($PYTHON -c 'import ov_app; print(\"%d\" % ov_app.ANSWER)')\" = 42"]
`,
		"overrides/answer.patch": ovPatch,
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := m.run(t, 0, "build", dir, "-i", index, "--name", "ov", "--json",
		"--proof-command", `python3 -c 'import ov_app, sys; sys.exit(ov_app.ANSWER != 42)'`)
	equal(t, "built", "ov-app 1.0", names(c.summary.Built))
	if p := c.summary.Proof; p == nil || !p.OK || strings.Join(p.Imported, " ") != "ov-app" {
		t.Errorf("the proof: %+v\n%s", p, c.stderr)
	}

	// The same said is the same build; another patch is another one.
	c = m.run(t, 0, "build", dir, "-i", index, "--name", "ov", "--json", "--no-proof")
	equal(t, "reused", "ov-app 1.0", names(c.summary.Reused))
	if err := os.WriteFile(filepath.Join(dir, "overrides", "answer.patch"), []byte(strings.Replace(ovPatch, "42", "43", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	c = m.run(t, 1, "build", dir, "-i", index, "--name", "ov", "--json", "--no-proof")
	equal(t, "failed, as its check wants 42", "ov-app 1.0", names(c.summary.Failed))
}
