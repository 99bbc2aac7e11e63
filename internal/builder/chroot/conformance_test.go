package chroot

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/builder/conformance"
)

func TestConformance(t *testing.T) {
	base := open(t)
	conformance.Test(t, conformance.Subject{Base: base, Sandbox: true, Leftovers: func() []string { return leftovers(base.b.state.dir) }})
}

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
		if strings.Contains(string(mounts), state+"/") {
			left = append(left, fmt.Sprintf("process %s %q", filepath.Base(p), strings.ReplaceAll(string(cmd), "\x00", " ")))
		}
	}
	temps, _ := os.ReadDir(filepath.Join(state, "tmp"))
	for _, e := range temps {
		left = append(left, "directory "+e.Name())
	}
	return left
}
