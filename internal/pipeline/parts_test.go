package pipeline

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"reqpm/internal/filelock"
	"reqpm/internal/index"
	"reqpm/internal/pep440"
	"reqpm/internal/plan"
	"reqpm/internal/sdist"
	"reqpm/internal/solve"
	"reqpm/internal/target"
	"reqpm/internal/testindex"
)

func TestVersionFromGit(t *testing.T) {
	for describe, version := range map[string]string{
		"": "0", "v2.1": "2.1", "2.1": "2.1", "V2.1.0": "2.1.0", "v2.1-5-gabcdef0": "2.1.post5", "v2.1-0-gabcdef0": "2.1",
		"release/3.0": "3.0", "release/3.0-12-g0123abc": "3.0.post12", "v2.0rc1": "2.0rc1", "nightly": "0", "nightly-4-gabcdef0": "0",
		"v1.0.post1-3-gabcdef0": "1.0.post1", "-5-gabcdef0": "0", "v": "0",
	} {
		if got := versionFromGit(describe).String(); got != version {
			t.Errorf("%q gives %s, not %s", describe, got, version)
		}
	}
}

// Two projects never share a folder, and a folder's name never leads anywhere.
func TestProjectName(t *testing.T) {
	seen := map[string]string{}
	for _, url := range []string{
		"https://git.example.org/a/app.git", "https://git.example.org/b/app.git", "git@git.example.org:a/app.git", "/home/me/app",
		"/home/me/../../etc", "/", "..", "https://git.example.org/a/%2e%2e%2f", "https://git.example.org/a/Ünïcode",
	} {
		name := projectName(url)
		if other := seen[name]; other != "" {
			t.Errorf("%s and %s are both %s", url, other, name)
		}
		seen[name] = url
		if name == "" || strings.ContainsAny(name, "/\\ .%") || name != strings.ToLower(name) {
			t.Errorf("%s becomes %q", url, name)
		}
	}
	const url = "https://git.example.org/a/app.git"
	if first, again := projectName(url), projectName(url); first != again {
		t.Error("not the same twice")
	}
}

func tags(python, abi, platform string) index.WheelTags {
	return index.WheelTags{Python: strings.Split(python, "."), ABI: strings.Split(abi, "."), Platform: strings.Split(platform, ".")}
}

func TestWheelFits(t *testing.T) {
	el9 := target.Target{Arch: "x86_64", Python: target.Python{Version: "3.12.9"}}
	for _, test := range []struct {
		python, abi, platform string
		fits                  bool
	}{
		{"py3", "none", "any", true}, {"py2.py3", "none", "any", true}, {"py2", "none", "any", false},
		{"cp312", "cp312", "manylinux_2_17_x86_64.manylinux2014_x86_64", true}, {"cp312", "cp312", "linux_x86_64", true},
		{"cp311", "cp311", "manylinux_2_17_x86_64", false}, {"cp313", "cp313", "manylinux_2_17_x86_64", false},
		{"cp38", "abi3", "manylinux_2_17_x86_64", true}, {"cp313", "abi3", "manylinux_2_17_x86_64", false}, {"cp38", "none", "any", false},
		{"cp312", "cp312", "manylinux_2_17_aarch64", false}, {"cp312", "cp312", "macosx_11_0_arm64", false}, {"cp312", "cp312", "win_amd64", false},
		{"cp312", "cp312", "musllinux_1_2_x86_64", false}, {"cp312", "cp312t", "manylinux_2_17_x86_64", false}, {"pp310", "pypy310_pp73", "manylinux_2_17_x86_64", false},
		{"py312", "none", "any", true}, {"py313", "none", "any", false}, {"py30", "none", "any", true},
	} {
		if got := wheelFits(tags(test.python, test.abi, test.platform), el9); got != test.fits {
			t.Errorf("%s-%s-%s fits: %v", test.python, test.abi, test.platform, got)
		}
	}
}

func TestCandidateOf(t *testing.T) {
	tgt := target.Target{Arch: "x86_64", Python: target.Python{Version: "3.12.9"}}
	fits := func(w *index.WheelTags) bool { return wheelFits(*w, tgt) }
	pure, windows := tags("py3", "none", "any"), tags("cp312", "cp312", "win_amd64")
	source, wheel := index.Brief{Kind: index.SDist}, index.Brief{Kind: index.Wheel, Wheel: &pure}
	yanked := func(b index.Brief) index.Brief { b.Yanked = true; return b }
	for _, test := range []struct {
		name                     string
		files                    []index.Brief
		usable, yanked, noSource bool
	}{
		{"nothing", nil, false, true, true},
		{"sdist", []index.Brief{source}, true, false, false},
		{"wheel", []index.Brief{wheel}, true, false, true},
		{"only for others", []index.Brief{{Kind: index.Wheel, Wheel: &windows}}, false, true, true},
		{"one file yanked", []index.Brief{source, yanked(wheel)}, true, false, false},
		{"all files yanked", []index.Brief{yanked(source), yanked(wheel)}, true, true, false},
	} {
		c, ok := candidateOf(pep440.Version{}, slices.Values(test.files), fits, func(*index.WheelTags) bool { return false })
		if ok != test.usable || c.Yanked != test.yanked || c.NoSource != test.noSource {
			t.Errorf("%s: usable %v, %+v", test.name, ok, c)
		}
	}
	python := source
	python.RequiresPython = ">=3.9"
	if c, _ := candidateOf(pep440.Version{}, slices.Values([]index.Brief{wheel, python}), fits, func(*index.WheelTags) bool { return false }); c.RequiresPython != ">=3.9" {
		t.Errorf("the sdist's Requires-Python does not win: %q", c.RequiresPython)
	}
}

func TestImportName(t *testing.T) {
	for rest, name := range map[string]string{
		"flask/__init__.py": "flask", "flask/sub/deep.py": "flask", "six.py": "six", "_speed.cpython-312-x86_64-linux-gnu.so": "_speed",
		"lib/speed.so": "lib", "flask-3.0.dist-info/METADATA": "", "__pycache__/six.cpython-312.pyc": "", "data/file.txt": "",
		"_distutils_hack/__init__.py": "", "distutils-precedence.pth": "", "a.b/c.py": "",
	} {
		if got := importName(rest); got != name {
			t.Errorf("%s makes %q importable, not %q", rest, got, name)
		}
	}
}

func TestHashAllowed(t *testing.T) {
	f := index.File{SHA256: "ab", Hashes: map[string]string{"sha256": "ab", "sha512": "cd"}}
	for allowed, ok := range map[string]bool{"sha256:AB": true, "sha256:ac": false, "sha512:cd": true, "md5:": false, "sha384:": false, "": false} {
		if hashAllowed(f, []string{allowed}) != ok {
			t.Errorf("%q allowed: %v", allowed, !ok)
		}
	}
}

// What broke on the way to the index never lets another version be chosen.
func TestTroubleChoosesNoOtherVersion(t *testing.T) {
	for _, fault := range []testindex.Fault{testindex.WrongHash, testindex.CutShort, testindex.Gone} {
		l := newLine(t, t.TempDir(), newWorkshop(t, 1), nil, testindex.Package{Name: "lib", Version: "1"}, testindex.Package{Name: "lib", Version: "2", Fault: fault})
		lock, err := l.resolve(t, "lib")
		if !errors.Is(err, index.ErrUnavailable) && !errors.Is(err, index.ErrHash) {
			t.Errorf("%s: %+v, %v", fault, lock, err)
		}
	}
	// An archive that is broken by itself is another matter: that version is of no use.
	l := newLine(t, t.TempDir(), newWorkshop(t, 1), nil, testindex.Package{Name: "lib", Version: "1"}, testindex.Package{Name: "lib", Version: "2", Fault: testindex.TwoTops})
	if lock := l.lock(t, "lib"); lock.Packages[0].Version != "1" {
		t.Errorf("chosen: %+v", lock.Packages)
	}
}

func TestMachineTrouble(t *testing.T) {
	full := &os.PathError{Op: "write", Path: "x", Err: unix.ENOSPC}
	if !fatal(full) || !fatal(errors.Join(errors.New("unpack"), full)) {
		t.Error("a full disk is not fatal")
	}
	if fatal(&os.PathError{Op: "open", Path: "x", Err: unix.ENAMETOOLONG}) || fatal(solve.ErrNotFound) || fatal(nil) {
		t.Error("what one package brings about is fatal")
	}
}

func TestHistoryIsShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.json")
	one, two := openHistory(path), openHistory(path)
	one.record("a", 10)
	two.record("b", 20)
	if err := errors.Join(one.save(), two.save()); err != nil {
		t.Fatal(err)
	}
	three := openHistory(path)
	for name, seconds := range map[string]float64{"a": 10, "b": 20, "unknown": 6} {
		if got := three.expect(name, sdist.Native{}, plan.Build); got != seconds {
			t.Errorf("%s is expected to take %v s, not %v", name, got, seconds)
		}
	}
	if got := three.expect("a", sdist.Native{}, plan.Cached); got != 0 {
		t.Errorf("what is cached takes %v s", got)
	}
	if three.expect("c", sdist.Native{Rust: true}, plan.Build) <= three.expect("d", sdist.Native{}, plan.Build) {
		t.Error("Rust is expected to be no slower than nothing")
	}
	if err := os.WriteFile(path, []byte("{half"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := openHistory(path).expect("a", sdist.Native{}, plan.Build); got != 6 {
		t.Errorf("a damaged history says %v", got)
	}
}

func TestKeyIsHeldByOne(t *testing.T) {
	l := newLine(t, t.TempDir(), newWorkshop(t, 1), nil)
	unlock, err := l.lockKey(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := l.lockKey(ctx, "key"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the second holder: %v", err)
	}
	unlock()
	var held sync.WaitGroup
	for range 4 {
		held.Go(func() {
			unlock, err := l.lockKey(t.Context(), "key")
			if err != nil {
				t.Error(err)
				return
			}
			unlock()
		})
	}
	held.Wait()
}

// Scratch folders of the living are left alone by those who open base roots; see chroot.
func TestScratchIsLocked(t *testing.T) {
	l := newLine(t, t.TempDir(), newWorkshop(t, 1), nil)
	_, err := filelock.Try(filepath.Join(l.paths.scratch, "lock"))
	if !errors.Is(err, filelock.ErrHeld) {
		t.Errorf("the lock can be taken by another: %v", err)
	}
}

func TestRemovable(t *testing.T) {
	state := t.TempDir()
	for _, dir := range []string{"runs/old", "runs/new", "builds/x", "facts", "keys", "repos/p", "index", "roots/local"} {
		if err := os.MkdirAll(filepath.Join(state, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(filepath.Join(state, "runs/old"), old, old); err != nil {
		t.Fatal(err)
	}
	names := func(all bool) []string {
		list, err := Removable(state, 24*time.Hour, all)
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			list[i], _ = filepath.Rel(state, list[i])
		}
		slices.Sort(list)
		return list
	}
	want(t, "old runs", []string{"runs/old"}, names(false))
	for _, name := range names(true) {
		if strings.HasPrefix(name, "repos") || strings.HasPrefix(name, "keys") {
			t.Errorf("--all would remove %s", name)
		}
	}
	if list, err := Removable(filepath.Join(state, "nosuch"), 0, true); err != nil || len(list) > 0 {
		t.Errorf("of an empty state: %v, %v", list, err)
	}
}

func TestWriteFileLeavesOldOrNew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sub", "f.json")
	if err := writeJSON(path, map[string]int{"a": 1}); err != nil {
		t.Fatal(err)
	}
	if err := writeJSON(path, func() {}); err == nil {
		t.Error("what JSON cannot hold was written")
	}
	var got map[string]int
	if ok, err := readJSON(path, &got); !ok || err != nil || got["a"] != 1 {
		t.Errorf("%v %v %v", got, ok, err)
	}
	if err := writeFile(path, []byte("{half")); err != nil {
		t.Fatal(err)
	}
	if ok, err := readJSON(path, &got); ok || err != nil {
		t.Errorf("a damaged file counts as there: %v %v", ok, err)
	}
	entries, _ := os.ReadDir(filepath.Dir(path))
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if ok, err := readJSON(filepath.Join(dir, "nosuch"), &got); ok || err != nil {
		t.Errorf("a missing file: %v %v", ok, err)
	}
}

// A release that has wheels only for other Pythons and systems is not built to learn what one of them tells.
func TestMetadataOfAForeignWheel(t *testing.T) {
	for _, test := range []struct{ tag, packages, problem string }{
		{"cp36-cp36m-manylinux2014_x86_64", "app 1, dep 1, old 1", ""},
		{"cp312-cp312-win_amd64", "app 1, dep 1, old 1", ""},
		{"cp27-cp27mu-manylinux1_x86_64", "", "fails on purpose"},
	} {
		w := newWorkshop(t, 1)
		w.target.Arch = "x86_64"
		l := newLine(t, t.TempDir(), w, nil, testindex.Package{Name: "app", Version: "1", Requires: []string{"old"}}, testindex.Package{Name: "dep", Version: "1"},
			testindex.Package{Name: "old", Version: "1", Requires: []string{"dep"}, Dynamic: true, Fault: testindex.HookFails, Files: "both", WheelTag: test.tag})
		lock, err := l.resolve(t, "app")
		if test.problem != "" {
			if err == nil || !strings.Contains(err.Error(), test.problem) {
				t.Errorf("%s: %v", test.tag, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.tag, err)
			continue
		}
		var packages []string
		for _, p := range lock.Packages {
			packages = append(packages, p.Name+" "+p.Version)
		}
		want(t, test.tag, test.packages, strings.Join(packages, ", "))
	}
}
