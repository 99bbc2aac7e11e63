package pipeline

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reqpm/internal/builder"
	"reqpm/internal/plan"
	"reqpm/internal/sdist"
	"reqpm/internal/testindex"
)

// The words of the driver in the build log are what tells a noarch guess that was wrong from a
// failed build.
func TestDriverSaysCompiledInNoarch(t *testing.T) {
	const said = "the package is noarch, but its wheel holds compiled files"
	if !strings.Contains(string(sdist.Driver()), said) {
		t.Fatalf("the driver does not say %q", said)
	}
	err := archMistake(&builder.BuildError{Tail: "reqpm_pep517: " + said + ": /usr/lib/x.so\nerror: Bad exit status\n", Err: os.ErrInvalid})
	if e, ok := errors.AsType[*archError](err); !ok || e.noarch {
		t.Errorf("taken for %v", err)
	}
}

// A result in the cache of builds counts only whole.
func TestCachedBuildNoticesDamage(t *testing.T) {
	tests := []struct {
		name   string
		damage func(dir string) error
		found  bool
	}{
		{"none", func(string) error { return nil }, true},
		{"RPM cut short", func(dir string) error { return os.Truncate(filepath.Join(dir, "a.rpm"), 3) }, false},
		{"RPM changed", func(dir string) error { return os.WriteFile(filepath.Join(dir, "a.rpm"), []byte("binarY"), 0o644) }, false},
		{"RPM gone", func(dir string) error { return os.Remove(filepath.Join(dir, "a.rpm")) }, false},
		{"source RPM gone", func(dir string) error { return os.Remove(filepath.Join(dir, "a.src.rpm")) }, false},
		{"result cut short", func(dir string) error { return os.Truncate(filepath.Join(dir, "result.json"), 20) }, false},
		{"result empty", func(dir string) error { return os.Truncate(filepath.Join(dir, "result.json"), 0) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := New(Config{StateDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			from := t.TempDir()
			for name, text := range map[string]string{"a.rpm": "binary", "a.src.rpm": "source"} {
				if err := os.WriteFile(filepath.Join(from, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			b := &pkgBuild{key: "a-1-0123", spec: specFiles{fileName: "a.spec", text: "Name: a\n"}}
			kept, err := p.keep(b, &Built{Key: b.key, RPMs: []RPM{{File: "a.rpm"}}},
				builder.Result{RPMs: []string{filepath.Join(from, "a.rpm")}, SRPM: filepath.Join(from, "a.src.rpm")})
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.damage(kept.dir); err != nil {
				t.Fatal(err)
			}
			if found := p.cachedBuild(b.key) != nil; found != tt.found {
				t.Errorf("found %v; want %v", found, tt.found)
			}
		})
	}
}

// A plan of today and one of tomorrow are of the same builds: what was just learned of an archive and of its backend, and what
// was kept of that, write the same spec.
func TestPlansOfOneStateAreOfTheSameBuilds(t *testing.T) {
	state := t.TempDir()
	packages := []testindex.Package{
		{Name: "app", Version: "1", BuildRequires: []string{"tool>=1,<5"}, HookRequires: []string{"helper>=1,<4"}, Requires: []string{"lib>=1,<4"}},
		{Name: "lib", Version: "1"}, {Name: "tool", Version: "1", Files: "both"}, {Name: "helper", Version: "1"},
	}
	first := newLine(t, state, newWorkshop(t, 1), nil, packages...).plan(t, "app")
	second := newLine(t, state, newWorkshop(t, 1), nil, packages...).plan(t, "app")
	order := first.Plan.Order()
	if len(order) != len(packages) {
		t.Fatalf("builds: %v", order)
	}
	for _, id := range order {
		if first.Key(id) != second.Key(id) {
			t.Errorf("%s: %s, then %s\n%s", id, first.Key(id), second.Key(id), cmp.Diff(first.builds[id].spec.text, second.builds[id].spec.text))
		}
	}
}

// A tool that something else in the set wants with an extra is the same tool to those who want it bare:
// what they build is taken from the cache of builds. The tool itself is built again, for the extra's RPM.
func TestAnExtraOfAToolIsNothingToTheOthers(t *testing.T) {
	packages := []testindex.Package{
		{Name: "app", Version: "1", BuildRequires: []string{"compiler"}},
		{Name: "other", Version: "1", BuildRequires: []string{"compiler", "tool[toml]"}},
		{Name: "compiler", Version: "1", BuildRequires: []string{"tool"}},
		{Name: "tool", Version: "1", Extras: map[string][]string{"toml": {"reader"}}}, {Name: "reader", Version: "1"},
	}
	state := t.TempDir()
	bare := newLine(t, state, newWorkshop(t, 1), nil, packages...).plan(t, "app")
	both := newLine(t, state, newWorkshop(t, 1), nil, packages...).plan(t, "app", "other")
	for id, same := range map[plan.ID]bool{"app==1": true, "compiler==1": true, "tool==1": false} {
		if (bare.Key(id) == both.Key(id)) != same {
			t.Errorf("%s: %s, and with the extra %s", id, bare.Key(id), both.Key(id))
		}
	}
	// Who asks for the extra has what it brings in its build root.
	without := newLine(t, state, newWorkshop(t, 1), nil, append(slices.Clone(packages[2:4]), testindex.Package{Name: "reader", Version: "2"},
		testindex.Package{Name: "other", Version: "1", BuildRequires: []string{"compiler", "tool[toml]"}})...).plan(t, "other")
	if without.Key("other==1") == both.Key("other==1") {
		t.Error("another version of what the extra brings makes no difference")
	}
}
