package spec

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The line that %prep gets is run as a shell runs it, on scripts as packages have them.
func TestScriptsSayWhichPythonTheyAreFor(t *testing.T) {
	in := samples(t)["native"]
	in.Target = shipped(t, "el9")
	in.Facts.UnclearShebangs = []string{"a/__main__.py", "b", "c", "un safe; rm -rf .py"}
	out, err := Write(in)
	if err != nil {
		t.Fatal(err)
	}
	_, fix, found := strings.Cut(out.Text, "\nsed -i -E ")
	fix, _, ended := strings.Cut("sed -i -E "+fix, "\n\n")
	if !found || !ended || strings.Contains(out.Text, "un safe") || !strings.Contains(strings.Join(out.Warnings, "\n"), "un safe") {
		t.Fatalf("%q, warnings %q in\n%s", fix, out.Warnings, out.Text)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"a/__main__.py": "#!/usr/bin/env python\nimport python\n#!/usr/bin/python\n", "b": "#! /usr/bin/env -S python -u\n", "c": "#!/usr/bin/python -E\r\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	sh := exec.Command("sh", "-e", "-c", strings.ReplaceAll(fix, "%{__python3}", "/usr/bin/python3"))
	sh.Dir = dir
	if text, err := sh.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", fix, err, text)
	}
	for name, want := range map[string]string{"a/__main__.py": "#!/usr/bin/python3\nimport python\n#!/usr/bin/python\n", "b": "#!/usr/bin/python3 -u\n", "c": "#!/usr/bin/python3 -E\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
}
