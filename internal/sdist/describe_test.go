package sdist

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// describing is a project whose backend asks for what ASKS says and breaks where BREAK is set.
var describing = files{"pyproject.toml": "[build-system]\nrequires=[]\nbuild-backend='b'\nbackend-path=['.']", "b.py": `
import os

def get_requires_for_build_wheel(s=None):
    return os.environ["ASKS"].split()

def prepare_metadata_for_build_wheel(out, s=None):
    if os.environ.get("BREAK"):
        raise RuntimeError("no metadata")
    os.mkdir(os.path.join(out, "foo-1.dist-info"))
    with open(os.path.join(out, "foo-1.dist-info", "METADATA"), "w") as f:
        f.write("Metadata-Version: 2.1\nName: foo\nVersion: 1\n")
    return "foo-1.dist-info"
`}

// Both answers come in one run when the build needs nothing that is not there.
func TestDescribe(t *testing.T) {
	python := anyPython(t).python
	for _, test := range []struct {
		name, asks, fails string
		metadata          bool
	}{
		{"nothing more", "", "", true},
		{"not meant for this Python", "other;python_version<'3'", "", true},
		{"more than there is", "nowhere-to-be-found", "", false},
		{"no requirement at all", "===", "", false},
		{"metadata that cannot be had", "", "1", false},
	} {
		asker, _ := newAsker(t)
		env := HookEnv{Python: python, Env: []string{"ASKS=" + test.asks, "BREAK=" + test.fails}}
		reqs, metadata, err := asker.Describe(t.Context(), writeTree(t, t.TempDir(), describing), env)
		if test.asks == "===" {
			if err == nil {
				t.Errorf("%s: no error", test.name)
			}
			continue
		}
		if err != nil || !slices.Equal(texts(reqs), strings.Fields(test.asks)) && len(reqs) != len(strings.Fields(test.asks)) {
			t.Errorf("%s: %v, %v", test.name, texts(reqs), err)
		}
		if (metadata != nil) != test.metadata || metadata != nil && !strings.Contains(string(metadata), "Name: foo\n") {
			t.Errorf("%s: metadata %q", test.name, metadata)
		}
	}
}

// A tree that is a scratch copy itself is used as it is, and stays.
func TestScratchTreesAreNotCopied(t *testing.T) {
	tree := files{"pyproject.toml": "[build-system]\nrequires=[]\nbuild-backend='b'\nbackend-path=['.']",
		"b.py": "def get_requires_for_build_wheel(s=None):\n    open('written', 'w').close()\n    return []\n"}
	src := writeTree(t, t.TempDir(), tree)
	asker, _ := newAsker(t)
	asker.Scratch = true
	if _, err := asker.Requires(t.Context(), src, HookEnv{Python: anyPython(t).python}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(src, "written")); err != nil {
		t.Errorf("the backend did not see this tree: %v", err)
	}
}
