// Package versus holds ReqPM's answers beside uv's: requirement sets of public applications are
// resolved by both for the same Python, platform and date limit, and every difference in names or
// versions must stand in explained.toml with its reason. docs/benchmarks.md says what came out.
//
//	REQPM_NETWORK=1 REQPM_VERSUS_APPS=DIR REQPM_VERSUS_UV=uv go test ./test/versus -v -timeout 3h -parallel 2
//
// DIR has a Git repository for each one that sets.toml names, as DIR/owner+name or
// DIR/owner+name/repo, work tree or bare. REQPM_VERSUS_STATE is a state directory to keep between
// runs (warm pages and metadata), REQPM_VERSUS_REPORT a file for the table, -run Versus/NAME one set.
package versus

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/pelletier/go-toml/v2"

	"reqpm/internal/builder/chroot"
	"reqpm/internal/cli"
)

// beReqpm is set for processes that are to be the program under test.
const beReqpm = "REQPM_VERSUS_PROGRAM"

func TestMain(m *testing.M) {
	chroot.Init()
	if os.Getenv(beReqpm) != "" {
		os.Unsetenv(beReqpm)
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		code := cli.Execute(ctx, "test", os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// catalogue is sets.toml.
type catalogue struct {
	ExcludeNewer string   `toml:"exclude-newer"`
	Pythons      []string `toml:"pythons"` // for sets that do not say otherwise
	Sets         []set    `toml:"set"`
}

// set is one input: files of one repository, and of others where constraints live elsewhere.
type set struct {
	Name        string   `toml:"name"`
	Repository  string   `toml:"repository"`
	Commit      string   `toml:"commit"`
	Dir         string   `toml:"dir"` // folder in the repository that counts as the project
	Files       []string `toml:"files"`
	Constraints []string `toml:"constraints"`
	Extras      []string `toml:"extras"`
	Groups      []string `toml:"groups"`
	Pythons     []string `toml:"pythons"`
	// Drop are lines that no resolver can follow without the network beyond the index (Git
	// references); they are taken out of the files for both. A line that begins so is dropped.
	Drop []string `toml:"drop"`
	// AllowWheel are packages without any source distribution.
	AllowWheel []string `toml:"allow-wheel"`
	Also       []struct {
		Repository string `toml:"repository"`
		Commit     string `toml:"commit"`
		File       string `toml:"file"`
	} `toml:"also"`
}

// explanation is one entry of explained.toml: a difference that is known, and why it is there.
type explanation struct {
	Set     string   `toml:"set"`
	Pythons []string `toml:"pythons"` // none: all of the set
	Name    string   `toml:"name"`    // "" when one of the two has no solution
	Ours    string   `toml:"ours"`    // version, or "-" for not in the set; outcome when Name is ""
	UV      string   `toml:"uv"`
	Class   string   `toml:"class"`
	Why     string   `toml:"why"`
}

func readTOML(t *testing.T, name string, into any) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := toml.NewDecoder(f).DisallowUnknownFields().Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func TestVersusUV(t *testing.T) {
	var all catalogue
	readTOML(t, "sets.toml", &all)
	var known struct {
		Difference []explanation `toml:"difference"`
	}
	readTOML(t, "explained.toml", &known)
	apps := os.Getenv("REQPM_VERSUS_APPS")
	if os.Getenv("REQPM_NETWORK") == "" || apps == "" {
		t.Skip("needs REQPM_NETWORK=1 and REQPM_VERSUS_APPS, a folder with the repositories of sets.toml")
	}
	uv := os.Getenv("REQPM_VERSUS_UV")
	if uv == "" {
		uv = "uv"
	}
	if _, err := exec.LookPath(uv); err != nil {
		t.Skip("needs uv, or its path in REQPM_VERSUS_UV")
	}
	state := os.Getenv("REQPM_VERSUS_STATE")
	if state == "" {
		state = t.TempDir()
	}
	v := &versus{apps: apps, uv: uv, state: state, date: all.ExcludeNewer, known: known.Difference}
	t.Cleanup(func() { v.report(t, all) })
	for _, s := range all.Sets {
		pythons := s.Pythons
		if len(pythons) == 0 {
			pythons = all.Pythons
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			dir := v.checkout(t, s)
			for _, python := range pythons {
				t.Run(python, func(t *testing.T) { v.compare(t, s, python, dir) })
			}
		})
	}
}

// versus is one comparison of everything.
type versus struct {
	apps, uv, state, date string
	known                 []explanation

	mu   sync.Mutex
	rows []row
}

// row is the outcome of one set for one Python.
type row struct {
	set, python string
	ours, uv    answer
	differ      []difference
}

// difference is a package that the two answers do not share; versions are "-" where it is absent.
type difference struct{ name, ours, uv, class string }

func (v *versus) compare(t *testing.T, s set, python, dir string) {
	r := row{set: s.Name, python: python, uv: v.askUV(t, s, python, dir), ours: v.askReqpm(t, s, python, dir)}
	t.Logf("reqpm: %s, %d packages, %.1f s; uv: %s, %d packages, %.1f s",
		r.ours.outcome, len(r.ours.packages), r.ours.seconds, r.uv.outcome, len(r.uv.packages), r.uv.seconds)
	r.differ = differences(r.ours, r.uv)
	if r.ours.outcome == solved && r.uv.outcome == solved && len(r.differ) > 0 {
		v.tryReasons(t, s, python, dir, &r)
	}
	for i := range r.differ {
		d := &r.differ[i]
		if d.class != "" {
			continue
		}
		at := slices.IndexFunc(v.known, func(e explanation) bool {
			return e.Set == s.Name && e.Name == d.name && e.Ours == d.ours && e.UV == d.uv && (len(e.Pythons) == 0 || slices.Contains(e.Pythons, python))
		})
		if at < 0 {
			d.class = "?"
			t.Errorf("not explained: %s: ours %s, uv's %s", d.name, d.ours, d.uv)
			continue
		}
		d.class = v.known[at].Class
	}
	if r.ours.outcome != r.uv.outcome || r.ours.outcome != solved {
		t.Logf("reqpm says:\n%s\nuv says:\n%s", r.ours.message, r.uv.message)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.rows = append(v.rows, r)
}

// tryReasons proves two common reasons by taking them away: ReqPM prefers versions with a source
// distribution, and uv takes a pre-release where it sees no other version left. A difference that
// goes away with one of them has that reason.
func (v *versus) tryReasons(t *testing.T, s set, python, dir string, r *row) {
	wheels := s
	wheels.AllowWheel = slices.Concat(s.AllowWheel, slices.Collect(maps.Keys(r.uv.packages)))
	ours := v.askReqpm(t, wheels, python, dir)
	uv := v.askUV(t, s, python, dir, "--prerelease", "explicit")
	for _, try := range []struct {
		class string
		left  []difference
	}{
		{"no sdist", differences(ours, r.uv)},
		{"pre-release", differences(r.ours, uv)},
		{"no sdist, pre-release", differences(ours, uv)},
	} {
		for i, d := range r.differ {
			if d.class == "" && !slices.ContainsFunc(try.left, func(l difference) bool { return l.name == d.name || l.name == "" }) {
				r.differ[i].class = try.class
			}
		}
	}
}

// differences lists what the answers do not share, sorted by name. Where one of them has no
// solution there is one difference without a name, and none when neither has.
func differences(ours, uv answer) []difference {
	if ours.outcome != uv.outcome {
		return []difference{{"", ours.outcome, uv.outcome, ""}}
	}
	var list []difference
	for name, version := range ours.packages {
		other, ok := uv.packages[name]
		if !ok {
			other = "-"
		}
		if other != version {
			list = append(list, difference{name, version, other, ""})
		}
	}
	for name, version := range uv.packages {
		if _, ok := ours.packages[name]; !ok {
			list = append(list, difference{name, "-", version, ""})
		}
	}
	slices.SortFunc(list, func(a, b difference) int { return compareText(a.name, b.name) })
	return list
}

// report writes the table, in the order of sets.toml.
func (v *versus) report(t *testing.T, all catalogue) {
	slices.SortStableFunc(v.rows, func(a, b row) int {
		place := func(r row) int { return slices.IndexFunc(all.Sets, func(s set) bool { return s.Name == r.set }) }
		if d := place(a) - place(b); d != 0 {
			return d
		}
		return compareText(a.python, b.python)
	})
	text := table(v.rows)
	t.Log("\n" + text)
	if path := os.Getenv("REQPM_VERSUS_REPORT"); path != "" {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// repository is where the repository owner/name lies.
func (v *versus) repository(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(v.apps, filepath.Dir(name)+"+"+filepath.Base(name))
	if _, err := os.Stat(filepath.Join(dir, "repo")); err == nil {
		return filepath.Join(dir, "repo")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no repository %s", fmt.Sprintf("%s+%s", filepath.Dir(name), filepath.Base(name)))
	}
	return dir
}
