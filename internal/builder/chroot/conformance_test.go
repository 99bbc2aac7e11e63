package chroot

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"reqpm/internal/builder"
	"reqpm/internal/builder/conformance"
)

func TestConformance(t *testing.T) {
	base := open(t)
	conformance.Test(t, conformance.Subject{Base: base, Sandbox: true, Leftovers: func() []string { return leftovers(base.b.state.Dir()) }})
}

func TestVerify(t *testing.T) { conformance.Verify(t, conformance.Subject{Base: open(t)}) }

// leftovers lists mounts and processes that name the state directory, and temporary directories.
func leftovers(state string) []string {
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
		cmd, _ := os.ReadFile(filepath.Join(p, "cmdline"))
		mounts, _ := os.ReadFile(filepath.Join(p, "mounts"))
		if strings.Contains(string(mounts), state+"/") || holds(p, state+"/tmp/") {
			left = append(left, fmt.Sprintf("process %s %q", filepath.Base(p), strings.ReplaceAll(string(cmd), "\x00", " ")))
		}
	}
	temps, _ := os.ReadDir(filepath.Join(state, "tmp"))
	for _, e := range temps {
		left = append(left, "directory "+e.Name())
	}
	return left
}

// holds tells whether another process than this has a file below dir open: a killed child that has
// mounted nothing yet still has its lock until the kernel comes round to ending it.
func holds(proc, dir string) bool {
	if filepath.Base(proc) == strconv.Itoa(os.Getpid()) {
		return false
	}
	fds, _ := filepath.Glob(filepath.Join(proc, "fd", "*"))
	return slices.ContainsFunc(fds, func(fd string) bool {
		to, _ := os.Readlink(fd)
		return strings.HasPrefix(to, dir)
	})
}

// Where users may not make namespaces, setpriv takes bubblewrap's place in becoming the build user.
func TestWithoutUserNamespaces(t *testing.T) {
	base := open(t)
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Skip("needs setpriv")
	}
	base.b.noUserNS = func() bool { return true }
	conformance.Test(t, conformance.Subject{Base: base, Sandbox: true, Leftovers: func() []string { return leftovers(base.b.state.Dir()) }})
	var out strings.Builder
	err := base.Run(t.Context(), builder.Command{Args: []string{"/bin/sh", "-c", "id -u; grep -h ^Cap[EPI] /proc/self/status | sort -u -k2 | wc -l; grep ^CapEff /proc/self/status"}, Stdout: &out})
	if want := fmt.Sprintf("%d\n1\nCapEff:\t0000000000000000\n", buildUID); err != nil || out.String() != want {
		t.Errorf("%q, %v; want %q: the build user without any capability", out.String(), err, want)
	}
	widget := mustBuild(t, base, specJob(t, "widget", "", "%build")).RPMs[0]
	job := specJob(t, "user", "BuildRequires: widget\n", "%build\ntest -f /usr/share/reqpm-test/widget")
	job.RPMs = []string{widget}
	mustBuild(t, base, job)
}
