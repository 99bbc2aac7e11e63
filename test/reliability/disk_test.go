package reliability

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// smallDisk is a tmpfs in a mount namespace of its own, which lives as long as its keeper.
type smallDisk struct {
	keeper int    // process in the namespace
	dir    string // where it is mounted, there
}

func newSmallDisk(t *testing.T, dir string, megabytes int) *smallDisk {
	t.Helper()
	for _, tool := range []string{"unshare", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	must(t, os.MkdirAll(dir, 0o755))
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c",
		fmt.Sprintf("mount -t tmpfs -o size=%dm,mode=755 tmpfs '%s' && echo ready && exec cat", megabytes, dir))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	line := make([]byte, 6)
	if _, err := io.ReadFull(out, line); err != nil {
		t.Skip("cannot mount a tmpfs here")
	}
	return &smallDisk{cmd.Process.Pid, dir}
}

// seen is a path on the disk as this process reaches it.
func (d *smallDisk) seen(path string) string {
	return filepath.Join("/proc", strconv.Itoa(d.keeper), "root", path)
}

// wrap makes cmd see the disk.
func (d *smallDisk) wrap(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	args := append([]string{"--target", strconv.Itoa(d.keeper), "--mount", "--wd=" + cmd.Dir, self}, cmd.Args[1:]...)
	wrapped := exec.Command("nsenter", args...)
	wrapped.Env = cmd.Env
	return wrapped
}

// fill leaves that many bytes free.
func (d *smallDisk) fill(t *testing.T, leave int64) {
	t.Helper()
	dir := d.seen(d.dir)
	f, err := os.Create(filepath.Join(dir, "ballast"))
	must(t, err)
	defer f.Close()
	for range 100 {
		var fs syscall.Statfs_t
		must(t, syscall.Statfs(dir, &fs))
		err = syscall.Fallocate(int(f.Fd()), 0, 0, int64(fs.Bavail)*fs.Bsize-leave)
		if !errors.Is(err, syscall.ENOSPC) { // somebody wrote meanwhile
			break
		}
	}
	must(t, err)
}

func (d *smallDisk) free(t *testing.T) {
	t.Helper()
	must(t, os.Remove(filepath.Join(d.seen(d.dir), "ballast")))
}

// A disk that is full: it is said, with the place; nothing half-written stays; with room again
// the same command goes on.
func TestDiskFull(t *testing.T) {
	need(t)
	beside(t)
	tests := []struct {
		name  string
		when  func(event) bool
		leave int64
	}{
		{"from the start", nil, 20 << 10},
		{"resolving", func(e event) bool { return e.Stage == "resolve" }, 8 << 10},
		{"in a build", building, 64 << 10},
		{"late in a build", func(e event) bool { return building(e) && e.Done > 3 }, 16 << 10},
		{"publishing", func(e event) bool { return e.Stage == "publish" }, 64 << 10},
		{"in the proof", func(e event) bool { return e.Stage == "verify" }, 16 << 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !alone(t) {
				return
			}
			whole, _ := reference.get(t)
			want := published(t, whole.state("state"))
			bed := freshBed(t)
			disk := newSmallDisk(t, bed.state("state"), 96)
			if tt.when == nil {
				disk.fill(t, tt.leave)
			}
			p := start(t, disk.wrap(t, bed.command("state")))
			if tt.when != nil {
				if !p.until(tt.when) {
					t.Fatal("it ended before: ", p.wait(t).why())
				}
				disk.fill(t, tt.leave)
			}
			r := p.wait(t)
			if r.code == 0 {
				t.Fatal("it ended well on a full disk")
			}
			t.Logf("exit %d: %s", r.code, r.why())
			said := r.message()
			if !strings.Contains(said, "the disk is full") {
				t.Errorf("it is not said that the disk is full")
			}
			if !strings.Contains(said, bed.state("state")) {
				t.Errorf("it is not said which: %s is not in the message", bed.state("state"))
			}
			gone(t, bed.dir, disk.keeper)
			state := disk.seen(bed.state("state"))
			if left := leftovers(state); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
			(&killing{}).noHalves(t, state)
			disk.free(t)
			if r := start(t, disk.wrap(t, bed.command("state"))).wait(t); r.code != 0 {
				t.Fatal("with room again: ", r.why())
			}
			sameRepository(t, want, state)
		})
	}
}
