package reliability

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"reqpm/internal/builder/chroot"
	"reqpm/internal/cli"
)

// beReqpm is set for processes that are to be the program under test.
const beReqpm = "REQPM_RELIABILITY_PROGRAM"

func TestMain(m *testing.M) {
	chroot.Init()
	if os.Getenv(beReqpm) != "" {
		os.Unsetenv(beReqpm)
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		code := cli.Execute(ctx, "test", os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	// Whatever a killed process leaves running becomes a child of ours, so that it is found
	// by its descent and not by its name.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "become a subreaper:", err)
		os.Exit(1)
	}
	if err := sideBySide(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	reference.remove()
	os.Exit(code)
}

// need skips where a real build cannot run.
func need(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes minutes")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: build roots are mounted")
	}
	for _, tool := range []string{"git", "rpm", "rpmbuild", "rpmsign", "gpg", "dnf", "createrepo_c", "bwrap", "gcc", "/usr/bin/python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	if found, _ := filepath.Glob("/usr/include/python3*/Python.h"); len(found) == 0 {
		t.Skip("needs the headers of Python")
	}
}

// reference is the state directory that nobody ever killed, made at the first need, once for the
// processes of all tests. They read it and no more.
var reference undisturbed

type undisturbed struct {
	once sync.Once
	bed  *bed
	run  result
}

// get builds the project once for all tests.
func (u *undisturbed) get(t *testing.T) (*bed, result) {
	t.Helper()
	u.once.Do(func() {
		if os.Getenv(beAlone) != "" {
			var err error
			if u.bed, u.run, err = fromParent(); err != nil {
				t.Fatal(err)
			}
			return
		}
		dir, err := os.MkdirTemp("", "reqpm-rel-")
		if err != nil {
			t.Fatal(err)
		}
		u.bed = newBed(t, dir)
		u.run = u.bed.build(t, "state")
	})
	if u.bed == nil || u.run.code != 0 {
		t.Fatal("the undisturbed build: ", u.run.why())
	}
	return u.bed, u.run
}

func (u *undisturbed) remove() {
	if u.bed != nil && os.Getenv(beAlone) == "" {
		os.RemoveAll(u.bed.dir)
	}
}
