package reliability

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Something kept is damaged: the next run notices, or makes it again; what it publishes
// is never wrong.
func TestDamaged(t *testing.T) {
	need(t)
	if !alone(t) {
		return
	}
	whole, _ := reference.get(t)
	want, sums := published(t, whole.state("state")), unsigned(t, whole.state("state"))
	bed := freshBed(t)
	state := bed.state("state")
	bed.mustBuild(t, "state")
	tests := []struct {
		name    string
		pattern string // of files below the state directory; all that match are damaged
		damage  func(*testing.T, string)
		built   int // packages that must be built again, at least
	}{
		{"sdists in the index cache cut short", "index/files/*/*/*.tar.gz", halve, 0},
		{"sdists in the index cache changed", "index/files/*/*/*.tar.gz", flip, 0},
		{"pages in the index cache", "index/pages/*/*", halve, 0},
		{"facts", "facts/*/*", halve, 0},
		{"one result.json", "builds/lib-a-*/result.json", halve, 1},
		{"all result.json", "builds/*/result.json", empty, expected},
		{"an RPM cut short", "builds/lib-b-*/*.noarch.rpm", halve, 1},
		{"an RPM changed", "builds/quick-*/*.x86_64.rpm", flip, 1},
		{"a source RPM", "builds/core-*/*.src.rpm", halve, 1},
		{"the RPM of the set", "builds/demo-requirements-*/*.noarch.rpm", halve, 0},
		{"an RPM that a build root needs", "builds/tool-top-*/*.noarch.rpm", flip, 1},
		{"layers", "roots/*/layers/*", cutModules, 0},
		{"layers' lists", "roots/*/layers/*/manifest", remove, 0},
		{"the base root's description", "roots/local-*/base.json", halve, 0},
		{"signed copies", "repos/demo/stable/local/signed/*.rpm", halve, 0},
		{"repository metadata", "repos/demo/stable/local/snapshots/*/repodata/*", empty, 0},
		{"history", "history.json", halve, 0},
		{"project archives", "sources/*/*", halve, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found, _ := filepath.Glob(filepath.Join(state, tt.pattern))
			if len(found) == 0 {
				t.Fatalf("nothing is like %s", tt.pattern)
			}
			for _, path := range found {
				if info, err := os.Stat(path); err == nil && (info.Mode().IsRegular() || info.IsDir()) && !strings.HasSuffix(path, ".lock") {
					tt.damage(t, path)
				}
			}
			more := []string{}
			if strings.HasPrefix(tt.name, "layers") { // without a build nobody looks at them
				more = append(more, "--refresh")
			}
			defer func() {
				if t.Failed() { // one fault shows once
					must(t, os.RemoveAll(state))
					bed.mustBuild(t, "state")
				}
			}()
			s := bed.mustBuild(t, "state", more...).summary(t)
			if len(s.Built) < tt.built {
				t.Errorf("%d packages were built again; want %d", len(s.Built), tt.built)
			}
			sameRepository(t, want, state)
			for name, sum := range unsigned(t, state) {
				if sums[name] != sum {
					t.Errorf("%s is not what an undisturbed build makes", name)
				}
			}
			nothingLeft(t, bed, "state")
			if left := emptyModules(t, state); len(left) > 0 {
				t.Errorf("damaged layers are still there: %q", left)
			}
		})
	}
}

// halve cuts a file short.
func halve(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	must(t, os.Truncate(path, info.Size()/2))
}

func empty(t *testing.T, path string) { t.Helper(); must(t, os.Truncate(path, 0)) }

// flip changes one bit near the end and leaves size and time as they were.
func flip(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	data, err := os.ReadFile(path)
	must(t, err)
	data[len(data)-10] ^= 1
	f, err := os.OpenFile(path, os.O_WRONLY, 0) // root writes to read-only files; links stay
	must(t, err)
	_, err = f.WriteAt(data, 0)
	must(t, err)
	must(t, f.Close())
	must(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
}

func remove(t *testing.T, path string) { t.Helper(); must(t, os.Remove(path)) }

// cutModules empties every Python module in a layer.
func cutModules(t *testing.T, layer string) {
	t.Helper()
	must(t, filepath.WalkDir(layer, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.HasSuffix(path, ".py") {
			return os.Truncate(path, 0)
		}
		return err
	}))
}

// emptyModules are the modules in layers that are empty; none is so by nature.
func emptyModules(t *testing.T, state string) []string {
	t.Helper()
	var list []string
	layers, _ := filepath.Glob(filepath.Join(state, "roots", "*", "layers", "*"))
	for _, layer := range layers {
		must(t, filepath.WalkDir(layer, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if info, err := d.Info(); err == nil && info.Mode().IsRegular() && info.Size() == 0 && strings.HasSuffix(path, ".py") {
				list = append(list, path)
			}
			return nil
		}))
	}
	return list
}
