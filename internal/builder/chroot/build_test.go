package chroot

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/builder"
	"reqpm/internal/builder/rpmlog"
)

// mustBuild builds job and returns its result.
func mustBuild(t testing.TB, base *Base, job builder.Job) builder.Result {
	t.Helper()
	res, err := base.Build(t.Context(), job)
	if err != nil {
		for name, l := range res.Logs {
			text, _ := os.ReadFile(l)
			t.Logf("--- %s\n%s", name, rpmlog.LastLines(string(text), 60))
		}
		t.Fatal(err)
	}
	return res
}

// query asks the host's rpm about a file.
func query(t testing.TB, file, what string) []string {
	t.Helper()
	out, err := exec.Command("rpm", "-qp", "--"+what, file).Output()
	if err != nil {
		t.Fatalf("rpm -qp --%s %s: %v", what, file, err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// specJob is a noarch job with spec lines of the test's own.
func specJob(t testing.TB, name, head, body string) builder.Job {
	t.Helper()
	text := "Name: " + name + "\nVersion: 1.0\nRelease: 1\nSummary: A test\nLicense: MIT\nBuildArch: noarch\n" + head +
		"\n%description\nA test.\n%prep\n" + body +
		"\n%install\nmkdir -p %{buildroot}/usr/share/reqpm-test\necho x > %{buildroot}/usr/share/reqpm-test/" + name +
		"\n%files\n/usr/share/reqpm-test/" + name + "\n%changelog\n* Tue Mar 05 2024 Somebody <somebody@example.org> - 1.0-1\n- Made\n"
	dir := t.TempDir()
	spec := filepath.Join(dir, name+".spec")
	if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return builder.Job{Name: name + " 1.0", Spec: spec, ResultDir: filepath.Join(dir, "out")}
}

func TestPythonExtension(t *testing.T) {
	base := open(t)
	rpm := mustBuild(t, base, helloJob(t)).RPMs[0]
	minor := pythonMinor(base.Target())
	provides, requires, files := query(t, rpm, "provides"), query(t, rpm, "requires"), query(t, rpm, "list")
	for _, want := range []string{"python" + minor + "dist(hello-world) = 1.2"} {
		if !slices.Contains(provides, want) {
			t.Errorf("provides %q; want %s", provides, want)
		}
	}
	for _, want := range []string{"python" + minor + "dist(other-thing) >= 2", "python" + minor + "dist(other-thing[fast]) >= 2", "python(abi) = " + minor} {
		if !slices.Contains(requires, want) {
			t.Errorf("requires %q; want %s", requires, want)
		}
	}
	if strings.Contains(strings.Join(requires, " "), "never") {
		t.Errorf("requires %q; a marker that is false still counts", requires)
	}
	for _, want := range []string{"_hello.so", "__pycache__/__init__.cpython-" + strings.ReplaceAll(minor, ".", "") + ".pyc"} {
		if !slices.Contains(files, base.Target().Python.Sitearch+"/hello/"+want) {
			t.Errorf("files %q; want %s", files, want)
		}
	}
}

// The same inputs give the same bytes, in another base root at that.
func TestReproducible(t *testing.T) {
	job := helloJob(t)
	first := mustBuild(t, open(t), job)
	job.ResultDir += "-again"
	touched := filepath.Join(t.TempDir(), filepath.Base(job.Sources[0])) // downloaded at another time
	text, err := os.ReadFile(job.Sources[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(touched, text, 0o600); err != nil {
		t.Fatal(err)
	}
	job.Sources = []string{touched}
	second := mustBuild(t, open(t), job)
	for i, f := range append(first.RPMs, first.SRPM) {
		a, errA := os.ReadFile(f)
		b, errB := os.ReadFile(append(second.RPMs, second.SRPM)[i])
		if err := errors.Join(errA, errB); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs between two builds", filepath.Base(f))
		}
	}
}

func TestBuildRequirements(t *testing.T) {
	base := open(t)
	widget := mustBuild(t, base, specJob(t, "widget", "Provides: python3.99dist(wid-get) = 1", "%build")).RPMs[0]
	gadget := mustBuild(t, base, specJob(t, "gadget", "Requires: widget", "%build")).RPMs[0]

	t.Run("only what is asked for is installed", func(t *testing.T) {
		job := specJob(t, "user", "BuildRequires: (widget or nothing-such)\n", "%build\ntest -f /usr/share/reqpm-test/widget\n! test -e /usr/share/reqpm-test/gadget")
		job.RPMs = []string{widget, gadget}
		if res := mustBuild(t, base, job); !slices.Equal(res.Manifest, []string{"widget-1.0-1.noarch"}) {
			t.Errorf("manifest %q; want widget alone", res.Manifest)
		}
	})
	t.Run("generated", func(t *testing.T) {
		job := specJob(t, "dynamic", "BuildRequires: widget\n", "%generate_buildrequires\ntest -f /usr/share/reqpm-test/widget\necho gadget\n%build\ntest -f /usr/share/reqpm-test/gadget")
		job.RPMs = []string{widget, gadget}
		if res := mustBuild(t, base, job); !slices.Equal(res.Manifest, []string{"gadget-1.0-1.noarch", "widget-1.0-1.noarch"}) {
			t.Errorf("manifest %q; want gadget and widget", res.Manifest)
		}
		job.ResultDir += "-again"
		mustBuild(t, base, job)
	})
	t.Run("a failure after generated ones is the build's", func(t *testing.T) {
		job := specJob(t, "dynamic", "", "%generate_buildrequires\necho gadget\n%build\nexit 3")
		job.RPMs = []string{widget, gadget}
		_, err := base.Build(t.Context(), job)
		if be := asBuildError(t, err); be.Cause != builder.CauseBuild || be.Phase != builder.PhaseBuild || len(be.Missing) > 0 {
			t.Errorf("%s in %s, missing %q; want %s in build", be.Cause, be.Phase, be.Missing, builder.CauseBuild)
		}
	})
	t.Run("generated and missing", func(t *testing.T) {
		_, err := base.Build(t.Context(), specJob(t, "hopeless", "", "%generate_buildrequires\necho 'python3.99dist(nobody) >= 3'\n%build"))
		var be *builder.BuildError
		if !errors.As(err, &be) || be.Cause != builder.CauseDeps || !slices.Contains(be.Missing, "python3.99dist(nobody) >= 3") {
			t.Fatalf("error %#v; want %s naming it", err, builder.CauseDeps)
		}
	})
	t.Run("missing behind another", func(t *testing.T) {
		job := specJob(t, "user", "BuildRequires: gadget\n", "%build")
		job.RPMs = []string{gadget}
		_, err := base.Build(t.Context(), job)
		var be *builder.BuildError
		if !errors.As(err, &be) || be.Cause != builder.CauseDeps || !slices.Contains(be.Missing, "widget") {
			t.Fatalf("error %#v; want %s naming widget", err, builder.CauseDeps)
		}
	})
	t.Run("installed for a command", func(t *testing.T) {
		var out strings.Builder
		err := base.Run(t.Context(), builder.Command{Args: []string{"cat", "/usr/share/reqpm-test/widget"}, RPMs: []string{widget}, Install: []string{"widget"}, Stdout: &out})
		if err != nil || out.String() != "x\n" {
			t.Errorf("%q, %v", out.String(), err)
		}
	})
}

func TestBadSpec(t *testing.T) {
	_, err := open(t).Build(t.Context(), specJob(t, "odd", "Nonsense: yes\n", "%build"))
	var be *builder.BuildError
	if !errors.As(err, &be) || be.Cause != builder.CauseSpec || !strings.Contains(be.Error(), "Nonsense") {
		t.Fatalf("error %v; want %s with the line", err, builder.CauseSpec)
	}
	if text, err := os.ReadFile(be.Log); err != nil || !strings.Contains(string(text), "Nonsense") {
		t.Errorf("log %s: %q, %v", be.Log, text, err)
	}
}

// What a spec does while it is parsed happens in the sandbox too.
func TestSpecIsParsedInside(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "escaped")
	job := specJob(t, "evil", "%global x %(id -u > "+mark+"; cat /etc/shadow; ls /root /home)\n", "%build\nln -s /etc/shadow /build/RPMS/leak.rpm\nmkdir -p /build/RPMS/noarch\nln -s /etc/passwd /build/RPMS/noarch/leak2.rpm")
	res := mustBuild(t, open(t), job)
	if _, err := os.Stat(mark); err == nil {
		t.Error("a spec wrote a file on the host")
	}
	if len(res.RPMs) != 1 {
		t.Errorf("RPMs %q; a link out of the build's tree was followed", res.RPMs)
	}
}

// The host's own Python distributions must not show.
func TestHostPythonIsMasked(t *testing.T) {
	base := open(t)
	script := "import sys, importlib.util as u; print([m for m in ('packaging','setuptools','pip','rpm','dnf','apt') if u.find_spec(m)], sorted(p for p in sys.path if 'local' in p))"
	var out strings.Builder
	err := base.Run(t.Context(), builder.Command{Args: []string{base.Target().Python.Executable, "-c", script}, Stdout: &out})
	if err != nil || !strings.HasPrefix(out.String(), "[] ") {
		t.Errorf("%q, %v; want none visible", out.String(), err)
	}
	if base.HostRPM() == "" {
		t.Fatal("no reqpm-host RPM")
	}
	provides := query(t, base.HostRPM(), "provides")
	for _, want := range []string{"/bin/sh", "/usr/bin/sh", "rtld(GNU_HASH)", "python(abi) = " + pythonMinor(base.Target()), "gcc"} {
		if !slices.Contains(provides, want) {
			t.Errorf("reqpm-host does not provide %s", want)
		}
	}
	for _, p := range provides {
		if strings.Contains(p, "dist(") {
			t.Errorf("reqpm-host provides %s, which builds do not see", p)
		}
	}
}
