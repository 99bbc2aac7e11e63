package reqfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"reqpm/internal/pep508"
)

// checkSet holds what must be true of every answer, whatever was read.
func checkSet(t *testing.T, set Set, err error) {
	t.Helper()
	for _, q := range append(set.Requirements, set.Constraints...) {
		if q.Line < 1 || q.File == "" {
			t.Errorf("%q stands nowhere: %s", q.Text, q.Where())
		}
		if q.Name == "" && !q.Direct() {
			t.Errorf("%q is neither a name nor a thing", q.Text)
		}
		if q.Name != "" && !isName(q.Name) {
			t.Errorf("%q has the name %q", q.Text, q.Name)
		}
		if q.Path != "" && (path.IsAbs(q.Path) || strings.HasPrefix(path.Clean(q.Path), "..")) {
			t.Errorf("%q leads outside: %q", q.Text, q.Path)
		}
		odd := slices.ContainsFunc(q.Extras, func(e string) bool { return strings.Trim(e, "-") != e }) // "a_" is taken, and "a-" is its normal form
		if !q.Direct() && !odd {
			again, err := pep508.Parse(q.Requirement.String())
			if err != nil || again.Key() != q.Key() {
				t.Errorf("%q: %q cannot be read again: %v", q.Text, q.Requirement.String(), err)
			}
		}
	}
	all := Errors(err)
	if (err == nil) != (len(all) == 0) {
		t.Errorf("error without position: %v", err)
	}
	for _, e := range all {
		if e.File == "" || e.Err == nil || strings.ContainsAny(e.Text, "\n\x00") && !strings.Contains(e.Error(), `\`) {
			t.Errorf("bad error %#v", e)
		}
	}
}

func FuzzRequirementFile(f *testing.F) {
	for _, name := range []string{"hand.txt", "constraints.txt", "requirements.txt"} {
		data, err := os.ReadFile("testdata/golden/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[:min(len(data), 4000)])
	}
	for _, seed := range []string{
		"-r a.txt\n-c c.txt\n-e .[x] ; python_version > '3'", "foo \\\n# c\nbar\\", "a @ file:./lib[x]#egg=b[c]&subdirectory=..",
		"git+ssh://git@h:x/y@z#egg=a[b]#c", "-f'x y' \"\\\" --hash=sha256:a", "\xff\xfea\x00", "\xff\xfe\x00\x00", "# coding: utf-7\n\xe9",
		"${A}${B}=${A", "x\x0cy\u2028z\u0085", "--no-binary :all:,:none:,x --only-binary=,", "./w.whl[a]", ".[", "[a]", "@", "a@b", ";", "-", "--", "-e", "file:", "~", "http://[::1",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fsys := files("lib/setup.py", "", "setup.py", "", "c.txt", "six==1\n", "w.whl", "")
		fsys["sub/a.txt"] = &fstest.MapFile{Data: data}
		set, err := Read(context.Background(), Request{
			FS: fsys, Files: []string{"sub/a.txt"}, Root: "/r",
			Getenv: func(n string) (string, bool) { return "v-" + n, n != "UNSET" },
			Fetch:  func(context.Context, string) ([]byte, error) { return nil, errors.New("no network") },
		})
		checkSet(t, set, err)
		last := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 2
		for _, q := range set.Requirements {
			if q.File == "sub/a.txt" && q.Line > last {
				t.Errorf("%s: the file has fewer lines", q.Where())
			}
		}
	})
}

func FuzzPyproject(f *testing.F) {
	f.Add([]byte(pyprojectText))
	for _, seed := range []string{
		"project={name='x',dependencies=['x[x]']}\n[[tool]]\n[project.optional-dependencies]\nx=['x[x]']",
		"[project]\nname='x'\ndynamic=['dependencies']\n[tool.setuptools.dynamic]\ndependencies={file='pyproject.toml'}",
		"[dependency-groups]\na=[{include-group='a'}]", "[[project]]\na=1", "project=1", "[project]\ndependencies={}", "a.b=1\na.c.d=[{x=1},{x=[2]}]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := Read(context.Background(), Request{
			FS:    fstest.MapFS{"pyproject.toml": {Data: data}},
			Files: []string{"pyproject.toml"}, Extras: []string{"x", "all"}, Groups: []string{"a", "test"},
		})
		checkSet(t, set, err)
	})
}

// BenchmarkRead10000Lines reads a compiled file: 2,000 pins with four hashes each.
func BenchmarkRead10000Lines(b *testing.B) {
	var text strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&text, "package-%d[extra]==1.%d.0 ; python_version >= \"3.9\" \\\n", i, i)
		for j := range 4 {
			end := " \\"
			if j == 3 {
				end = ""
			}
			fmt.Fprintf(&text, "    --hash=sha256:%064x%s\n", i*4+j, end)
		}
	}
	benchmarkRead(b, text.String(), 2000)
}

// BenchmarkRead10000Requirements has a requirement on every line.
func BenchmarkRead10000Requirements(b *testing.B) {
	var text strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&text, "package-%d>=1.%d, <2 # comment\n", i, i)
	}
	benchmarkRead(b, text.String(), 10000)
}

func benchmarkRead(b *testing.B, text string, want int) {
	fsys := files("requirements.txt", text)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		set, err := Read(context.Background(), Request{FS: fsys, Files: []string{"requirements.txt"}})
		if err != nil || len(set.Requirements) != want {
			b.Fatal(len(set.Requirements), err)
		}
	}
}
