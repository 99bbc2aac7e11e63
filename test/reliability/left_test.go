package reliability

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// proc is what /proc/PID/stat says.
type proc struct {
	pid, parent int
	name        string
	zombie      bool
}

// descendants are all processes below this one that live, but those excepted. Dead orphans
// are reaped on the way, as init would.
func descendants(except ...int) []proc {
	children := map[int][]proc{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, ok := readProc(pid); ok {
			children[p.parent] = append(children[p.parent], p)
		}
	}
	var list []proc
	var walk func(pid int)
	walk = func(pid int) {
		for _, p := range children[pid] {
			if slices.Contains(except, p.pid) {
				continue
			}
			if p.zombie && pid == os.Getpid() {
				_, _ = syscall.Wait4(p.pid, nil, syscall.WNOHANG, nil)
			}
			if !p.zombie {
				list = append(list, p)
			}
			walk(p.pid)
		}
	}
	walk(os.Getpid())
	return list
}

func readProc(pid int) (proc, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return proc{}, false
	}
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return proc{}, false
	}
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 2 {
		return proc{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	return proc{pid: pid, parent: parent, name: string(stat[open+1 : end]), zombie: fields[0] == "Z" || fields[0] == "X"}, err == nil
}

// mounts are those of this mount namespace below dir.
func mounts(dir string) []string {
	info, _ := os.ReadFile("/proc/self/mountinfo")
	var list []string
	for line := range strings.Lines(string(info)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4]+"/", dir+"/") {
			list = append(list, f[4])
		}
	}
	return list
}

// gone waits at most five seconds until no process below us and no mount below dir is there,
// and says how long that took. Processes excepted belong to the test.
func gone(t *testing.T, dir string, except ...int) time.Duration {
	t.Helper()
	started := time.Now()
	for {
		procs, mounted := descendants(except...), mounts(dir)
		took := time.Since(started)
		if len(procs)+len(mounted) == 0 {
			return took
		}
		if took > 5*time.Second {
			var names []string
			for _, p := range procs {
				line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
				names = append(names, fmt.Sprintf("%d %s (%.200s)", p.pid, p.name, bytes.ReplaceAll(line, []byte{0}, []byte(" "))))
			}
			t.Errorf("5 s later there are still processes %q and mounts %q", names, mounted)
			return took
		}
		time.Sleep(20 * time.Millisecond) //nolint:forbidigo // nothing signals the end of somebody else's child
	}
}

// leftovers are names below a state directory that nothing finished has: scratch folders,
// files that were being written. Roots are whole or not there; what they hold is not ours.
func leftovers(state string) []string {
	var list []string
	_ = filepath.WalkDir(state, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == state {
			return nil
		}
		rel, _ := filepath.Rel(state, path)
		name := d.Name()
		in := func(dir string) bool { return strings.HasPrefix(rel, dir+"/") }
		switch {
		case in("runs"):
			break // logs of attempts, also of those that were killed: kept on purpose
		case in("tmp"), in("index/tmp"), strings.HasPrefix(name, ".new-"), strings.HasPrefix(name, ".tmp"):
			list = append(list, rel)
			if d.IsDir() {
				return fs.SkipDir
			}
		case in("roots") && d.IsDir() && (name == "root" || name == "usr"):
			return fs.SkipDir
		}
		return nil
	})
	return list
}

// names is the list of what lies in dir.
func names(dir string) []string {
	entries, _ := os.ReadDir(dir)
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}
