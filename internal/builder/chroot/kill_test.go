package chroot

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/builder/conformance"
)

// victim is set for the helper process of TestKilled: the state directory it builds in.
const victim = "REQPM_TEST_VICTIM"

// beVictim builds again and again until somebody kills it.
func beVictim() {
	b, err := New(Config{StateDir: os.Getenv(victim), Slots: 2})
	if err != nil {
		fmt.Fprintln(os.Stdout, err)
		os.Exit(1)
	}
	base, err := b.OpenBase(context.Background(), victimTarget(), nil)
	if err != nil {
		fmt.Fprintln(os.Stdout, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, "building")
	for i := 0; ; i++ {
		job := builder.Job{Name: "victim", Spec: os.Getenv(victim + "_SPEC"), ResultDir: fmt.Sprintf("%s/out-%d-%d", os.Getenv(victim), os.Getpid(), i)}
		if _, err := base.Build(context.Background(), job); err != nil {
			fmt.Fprintln(os.Stdout, err)
			os.Exit(1)
		}
	}
}

// kill -9 of the whole program at any moment leaves no process and no mount, and the
// next one cleans up what lies around.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes many seconds")
	}
	base := open(t)
	state := base.b.state.Dir()
	// Building layers, parsing and building all get their share of being killed in.
	spec := specJob(t, "victim", "BuildRequires: gcc\nBuildRequires: make\n", "%build\nsleep 0.2 & wait").Spec
	for i := range conformance.Rounds(10) {
		_ = os.RemoveAll(base.dir + "/layers")
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), victim+"="+state, victim+"_SPEC="+spec)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, 64)
		n, _ := out.Read(line)
		if string(line[:n]) != "building\n" {
			t.Fatalf("helper said %q", line[:n])
		}
		after := time.Duration(rand.IntN(700)) * time.Millisecond
		time.Sleep(after) //nolint:forbidigo // the moment is the point: any one will do
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if left := settle(state); len(left) > 0 {
			t.Errorf("round %d, killed after %s: left behind %v", i, after, left)
		}
	}
	if _, err := base.b.Open(t.Context(), base.info.Target, nil); err != nil {
		t.Fatal(err)
	}
	mustBuild(t, base, builder.Job{Name: "victim", Spec: spec, ResultDir: t.TempDir() + "/out"})
	if left := leftovers(state); len(left) > 0 {
		t.Errorf("after the next Open: %v", left)
	}
}

func TestCancelled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes many seconds")
	}
	base := open(t)
	s := conformance.Subject{Base: base, Leftovers: func() []string { return leftovers(base.b.state.Dir()) }}
	job := specJob(t, "victim", "BuildRequires: gcc\nBuildRequires: make\n", "%build\nsleep 0.2 & wait")
	s.Cancelled(t, job, conformance.Rounds(10), time.Second)
}

// settle waits until processes and mounts of state are gone (not its directories) and
// returns those that stay for more than two seconds.
func settle(state string) []string {
	return conformance.Settled(filepath.Join(state, "tmp"), func() []string {
		return slices.DeleteFunc(leftovers(state), func(l string) bool { return strings.HasPrefix(l, "directory") })
	})
}
