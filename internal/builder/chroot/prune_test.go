package chroot

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"reqpm/internal/builder/rpmlog"
	"reqpm/internal/builder/scratch"
)

func TestPrune(t *testing.T) {
	base := open(t)
	job := specJob(t, "user", "BuildRequires: gcc\n", "%build")
	out := job.ResultDir
	mustBuild(t, base, job)
	layers := func() int {
		m, _ := filepath.Glob(filepath.Join(base.dir, "layers", "*", "manifest"))
		return len(m)
	}
	if layers() != 1 {
		t.Fatalf("%d layers after a build; want 1", layers())
	}
	if done, err := base.b.Prune(t.Context(), 1<<40, time.Hour); err != nil || done != (Pruned{}) {
		t.Errorf("%+v, %v; want nothing removed", done, err)
	}
	if done, err := base.b.Prune(t.Context(), 0, time.Hour); err != nil || done.Layers != 1 || layers() != 0 {
		t.Errorf("%+v, %v, %d layers left; want the layer removed", done, err, layers())
	}
	job.ResultDir = out + "-again"
	mustBuild(t, base, job)
	if done, err := base.b.Prune(t.Context(), 1<<40, 0); err != nil || done.Bases != 0 {
		t.Errorf("%+v, %v; want the base kept while it is open", done, err)
	}
	if err := base.Close(); err != nil {
		t.Fatal(err)
	}
	if done, err := base.b.Prune(t.Context(), 1<<40, 0); err != nil || done.Bases != 1 || scratch.Exists(base.dir) {
		t.Errorf("%+v, %v; want the base removed", done, err)
	}
}

// inContainer is set in the helper of TestStateOnOverlay: where its state directory is.
const inContainer = "REQPM_TEST_STATE"

// In a container the state directory is often on an overlay, which cannot carry the upper
// layer of another one.
func TestStateOnOverlay(t *testing.T) {
	if testing.Short() {
		t.Skip("takes many seconds")
	}
	hostTarget(t)
	if _, err := exec.LookPath("unshare"); err != nil {
		t.Skip("needs unshare to mount without a trace")
	}
	dir := t.TempDir()
	for _, d := range []string{"lower", "upper", "work", "at"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script := `mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work at && exec "$@"`
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", exe, "-test.run=^(TestConformance|TestBuildRequirements|TestHostPythonIsMasked)$", "-test.v")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), inContainer+"="+filepath.Join(dir, "at"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, rpmlog.LastLines(string(out), 80))
	}
}
