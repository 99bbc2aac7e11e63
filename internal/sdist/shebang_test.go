package sdist

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadFindsScriptsForSomePython(t *testing.T) {
	dir := writeTree(t, filepath.Join(t.TempDir(), "foo-1.0"), files{
		"foo/env.py": "#!/usr/bin/env python\n", "foo/split": "#! /usr/bin/env -S python -u\n", "foo/local.py": "#!/usr/local/bin/python -E\r\n", "foo/alone.py": "#!/usr/bin/python",
		"foo/not-executable.py": "#!/usr/bin/env python\n", "foo/three.py": "#!/usr/bin/env python3\n", "foo/run.sh": "#!/bin/sh\n", "foo/second.py": "\n#!/usr/bin/python\n", "foo/pythonic": "#!/usr/bin/pythonic\n",
	})
	for _, name := range []string{"env.py", "split", "local.py", "alone.py", "three.py", "run.sh", "second.py", "pythonic"} {
		if err := os.Chmod(filepath.Join(dir, "foo", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Read(dir, "foo-1.0.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"foo/alone.py", "foo/env.py", "foo/local.py", "foo/split"}, f.UnclearShebangs); diff != "" {
		t.Error(diff)
	}
}
