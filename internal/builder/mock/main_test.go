package mock

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/builder"
	"reqpm/internal/builder/conformance"
	"reqpm/internal/target"
)

func TestMain(m *testing.M) {
	if os.Getenv(victim) != "" {
		beVictim()
	}
	os.Exit(m.Run())
}

// testTarget is the test distribution (test/eldistro), as REQPM_ELDISTRO has it.
func testTarget() (target.Target, error) {
	dir := os.Getenv("REQPM_ELDISTRO")
	if dir == "" {
		return target.Target{}, fmt.Errorf("needs the test distribution: make it with test/eldistro/make.sh DIR and set REQPM_ELDISTRO=DIR")
	}
	own, err := target.Load(filepath.Join(dir, "target.toml"))
	if err != nil {
		return target.Target{}, err
	}
	return target.Lookup("eldistro", own...)
}

// stateVariable names a state directory to keep, so that the base root is made once for many runs.
const stateVariable = "REQPM_MOCK_STATE"

// open opens the base root of the test distribution.
func open(t testing.TB) *Base {
	t.Helper()
	if _, err := Find(); err != nil {
		t.Skip("Mock cannot be used here: ", err)
	}
	tgt, err := testTarget()
	if err != nil {
		t.Skip(err)
	}
	state := os.Getenv(stateVariable)
	if state == "" {
		state = t.TempDir()
	}
	b, err := New(Config{StateDir: state, Slots: 2, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	base, err := b.Open(t.Context(), tgt, func(s string) { t.Log(s) })
	if err != nil {
		t.Fatal(err)
	}
	return base.(*Base)
}

func TestConformance(t *testing.T) {
	base := open(t)
	conformance.Test(t, conformance.Subject{Base: base, Sandbox: true, Limit: limit, Leftovers: func() []string { return leftovers(base.b.state.Dir()) }})
}

// leftovers lists mounts and processes that name the state directory, and temporary directories.
func leftovers(state string) []string {
	left := running(state)
	temps, _ := os.ReadDir(filepath.Join(state, "tmp"))
	for _, e := range temps {
		left = append(left, "directory "+e.Name())
	}
	return left
}

// running lists mounts and processes that name the state directory.
func running(state string) []string {
	var left []string
	if f, err := os.Open("/proc/self/mounts"); err == nil {
		defer f.Close()
		for sc := bufio.NewScanner(f); sc.Scan(); {
			if strings.Contains(sc.Text(), state+"/") {
				left = append(left, "mount "+sc.Text())
			}
		}
	}
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range procs {
		mounts, _ := os.ReadFile(filepath.Join(p, "mounts"))
		if strings.Contains(string(mounts), state+"/") {
			cmd, _ := os.ReadFile(filepath.Join(p, "cmdline"))
			left = append(left, fmt.Sprintf("process %s %q", filepath.Base(p), strings.ReplaceAll(string(cmd), "\x00", " ")))
		}
	}
	return left
}

// job is a noarch package of one file; build is its %build, head goes before %description.
func job(t testing.TB, name, head, build string) builder.Job {
	t.Helper()
	dir := t.TempDir()
	spec := filepath.Join(dir, name+".spec")
	text := strings.Replace(conformance.Spec(name, conformance.Succeeds), "echo building", build, 1)
	text = strings.Replace(text, "\n%description", head+"\n%description", 1)
	src := filepath.Join(dir, name+".txt")
	if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(src, []byte(name+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return builder.Job{Name: name + " 1.0", Spec: spec, Sources: []string{src}, ResultDir: filepath.Join(dir, "result")}
}
