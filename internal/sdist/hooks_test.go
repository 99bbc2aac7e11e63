package sdist

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reqpm/internal/builder"
)

// hostRunner runs commands on this machine, with the inside's paths replaced by the
// bound host directories: a root for tests without privileges.
type hostRunner struct {
	t    *testing.T
	last builder.Command
}

func (r *hostRunner) Run(ctx context.Context, c builder.Command) error {
	r.last = c
	host := func(s string) string {
		for _, b := range c.Binds {
			if s == b.Inside || strings.HasPrefix(s, b.Inside+"/") {
				return b.Host + s[len(b.Inside):]
			}
		}
		return s
	}
	args := slices.Clone(c.Args)
	for i := range args {
		args[i] = host(args[i])
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = host(c.Dir)
	for _, e := range c.Env {
		name, value, _ := strings.Cut(e, "=")
		parts := strings.Split(value, ":")
		for i := range parts {
			parts[i] = host(parts[i])
		}
		cmd.Env = append(cmd.Env, name+"="+strings.Join(parts, ":"))
	}
	cmd.Stdout, cmd.Stderr = c.Stdout, c.Stderr
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && ctx.Err() == nil {
		return &builder.ExitError{Code: exit.ExitCode()}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func newAsker(t *testing.T) (*Asker, *hostRunner) {
	r := &hostRunner{t: t}
	return &Asker{Runner: r, TempDir: t.TempDir()}, r
}

func TestAskerAsks(t *testing.T) {
	src, python := writeTree(t, t.TempDir(), ownProject), anyPython(t).python
	asker, runner := newAsker(t)
	env := HookEnv{Python: python, Version: "1.0rc1", Env: []string{"EXTRA=1"}}
	got, err := asker.Requires(t.Context(), src, env)
	if err != nil {
		t.Fatal(err)
	}
	// Markers stay: the caller evaluates them for the target.
	if diff := cmp.Diff([]string{"other>=2", `linter; extra == "all"`, `not-here; python_version < "3"`}, texts(got)); diff != "" {
		t.Error(diff)
	}
	for _, want := range []string{"EXTRA=1", "SETUPTOOLS_SCM_PRETEND_VERSION=1.0rc1", "PYTHONPATH=/env"} {
		if !slices.Contains(runner.last.Env, want) {
			t.Errorf("%s is not in %q", want, runner.last.Env)
		}
	}
	data, err := asker.Metadata(t.Context(), src, env)
	if err != nil || !strings.Contains(string(data), "Name: Foo.Bar\n") {
		t.Errorf("%q, %v", data, err)
	}
	if left, _ := os.ReadDir(asker.TempDir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if left, _ := filepath.Glob(src + "/*.whl"); len(left) > 0 {
		t.Errorf("the source tree itself was written to: %v", left)
	}
}

func TestAskerBuildsWheels(t *testing.T) {
	src, out := writeTree(t, t.TempDir(), ownProject), t.TempDir()
	asker, _ := newAsker(t)
	if err := asker.Wheel(t.Context(), src, HookEnv{Python: anyPython(t).python}, out); err != nil {
		t.Fatal(err)
	}
	if info, err := ReadWheel(filepath.Join(out, "foo_bar-1.0rc1-py3-none-any.whl")); err != nil || info.Metadata.Name != "Foo.Bar" {
		t.Errorf("%+v, %v", info, err)
	}
	asker.Runner = runnerFunc(func(c builder.Command) error {
		for _, b := range c.Binds {
			if b.Inside == insideOut {
				return syscall.Mkfifo(filepath.Join(b.Host, "x.whl"), 0o644)
			}
		}
		return errors.New("no place for the answer")
	})
	if err := asker.Wheel(t.Context(), src, HookEnv{Python: "/usr/bin/python3"}, out); err == nil || !strings.Contains(err.Error(), "no usable file") {
		t.Errorf("a pipe for a wheel: %v", err)
	}
}

func TestAskerShowsTheBuildRequirements(t *testing.T) {
	python := anyPython(t).python
	site := t.TempDir()
	wheel := makeWheel(t, "backend-1.0-py3-none-any.whl", true, []entry{{name: "backend.py", body: "def get_requires_for_build_wheel(s=None):\n    open('written', 'w').close()\n    return ['found']\n"}})
	if err := UnpackWheel(t.Context(), wheel, site, python); err != nil {
		t.Fatal(err)
	}
	src := writeTree(t, t.TempDir(), files{"pyproject.toml": "[build-system]\nrequires=['backend']\nbuild-backend='backend'\n"})
	asker, _ := newAsker(t)
	got, err := asker.Requires(t.Context(), src, HookEnv{Python: python, SitePath: site})
	if err != nil || !slices.Equal(texts(got), []string{"found"}) {
		t.Errorf("%v, %v", texts(got), err)
	}
	if _, err := os.Stat(filepath.Join(src, "written")); err == nil {
		t.Error("the backend wrote into the caller's tree")
	}
}

func TestAskerTellsWhyABackendFailed(t *testing.T) {
	src, python := writeTree(t, t.TempDir(), ownProject), anyPython(t).python
	asker, _ := newAsker(t)
	_, err := asker.Requires(t.Context(), src, HookEnv{Python: python, Env: []string{"FOO_FAIL=1"}})
	failed, ok := errors.AsType[*HookError](err)
	if !ok || !strings.Contains(failed.Stderr, "the hook broke") || failed.Question != "get_requires_for_build_wheel" {
		t.Fatalf("%v", err)
	}
	if exit, ok := errors.AsType[*builder.ExitError](err); !ok || exit.Code != 1 {
		t.Errorf("the runner's error is lost: %v", err)
	}
	bad := files{"pyproject.toml": "[build-system]\nrequires=[]\nbuild-backend='b'\nbackend-path=['.']", "b.py": "def get_requires_for_build_wheel(s=None):\n    return ['not a requirement!']\n"}
	_, err = asker.Requires(t.Context(), writeTree(t, t.TempDir(), bad), HookEnv{Python: python})
	if err == nil || !strings.Contains(err.Error(), `"not a requirement!"`) {
		t.Errorf("%v", err)
	}
}

func TestAskerGivesUpInTime(t *testing.T) {
	asker, _ := newAsker(t)
	asker.Timeout = 300 * time.Millisecond
	src := writeTree(t, t.TempDir(), files{"pyproject.toml": "[build-system]\nrequires=[]\nbuild-backend='b'\nbackend-path=['.']", "b.py": "import time\ntime.sleep(60)\n"})
	if _, err := asker.Requires(t.Context(), src, HookEnv{Python: anyPython(t).python}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if left, _ := os.ReadDir(asker.TempDir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// runnerFunc is a Runner that does what it says.
type runnerFunc func(c builder.Command) error

func (f runnerFunc) Run(_ context.Context, c builder.Command) error { return f(c) }

func TestAskerBoundsTheAnswer(t *testing.T) {
	src := writeTree(t, t.TempDir(), files{"setup.py": ""})
	asker := &Asker{TempDir: t.TempDir(), Runner: runnerFunc(func(c builder.Command) error {
		_, err := io.Copy(c.Stdout, io.LimitReader(zeros{}, maxAnswer+1))
		return err
	})}
	if _, err := asker.Requires(t.Context(), src, HookEnv{Python: "/usr/bin/python3"}); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("%v", err)
	}
	asker.Runner = runnerFunc(func(c builder.Command) error {
		for _, b := range c.Binds {
			if b.Inside == insideOut {
				return os.Symlink("/etc/passwd", filepath.Join(b.Host, "METADATA"))
			}
		}
		return errors.New("no place for the answer")
	})
	if data, err := asker.Metadata(t.Context(), src, HookEnv{Python: "/usr/bin/python3"}); err == nil {
		t.Errorf("followed a link out of the root: %q", data)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// With the real setuptools where there is one: the legacy backend, a C-free project.
func TestDriverWithSetuptools(t *testing.T) {
	tree := files{"setup.py": "from setuptools import setup\nprint('noise')\nsetup(name='Foo_Bar', version='1.0', py_modules=['foo'], entry_points={'console_scripts': ['foo=foo:main']})\n", "foo.py": "def main(): pass\n"}
	onEveryPython(t, tree, func(t *testing.T, d driverRun) {
		if err := exec.Command(d.python, "-c", "import setuptools.build_meta").Run(); err != nil {
			t.Skip("no setuptools for this Python")
		}
		var got struct{ Requires, Hook []string }
		d.json(&got, "requires")
		if diff := cmp.Diff([]string{"setuptools>=40.8.0"}, got.Requires); diff != "" {
			t.Error(diff)
		}
		if out := t.TempDir(); exec.Command(d.python, "-c", "import wheel").Run() == nil {
			stdout, _ := d.run(0, "wheel", out, "--expect", "foo-bar", "1")
			f, _, _ := d.install(filepath.Join(out, strings.TrimSpace(stdout)))
			if !slices.Equal(f.Top_level, []string{"foo"}) || !slices.Equal(f.Scripts, []string{"foo"}) {
				t.Errorf("%+v", f)
			}
		}
	})
}
