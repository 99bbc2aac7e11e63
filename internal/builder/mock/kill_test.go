package mock

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/builder/conformance"
)

// limit is more than Mock takes, on a busy machine, to reach %build.
const limit = 90 * time.Second

// killWithin is about as long as a build takes: all its steps get their share of being killed in.
const killWithin = 25 * time.Second

// victim is set for the helper process of TestKilled: the state directory it builds in.
const victim = "REQPM_TEST_VICTIM"

// beVictim builds again and again until somebody kills it.
func beVictim() {
	fail := func(err error) {
		fmt.Fprintln(os.Stdout, err)
		os.Exit(1)
	}
	tgt, err := testTarget()
	if err != nil {
		fail(err)
	}
	b, err := New(Config{StateDir: os.Getenv(victim), Slots: 2})
	if err != nil {
		fail(err)
	}
	base, err := b.Open(context.Background(), tgt, nil)
	if err != nil {
		fail(err)
	}
	fmt.Fprintln(os.Stdout, "building")
	for i := 0; ; i++ {
		job := builder.Job{Name: "victim", Spec: os.Getenv(victim + "_SPEC"), Sources: []string{os.Getenv(victim + "_SOURCE")},
			ResultDir: fmt.Sprintf("%s/out-%d-%d", os.Getenv(victim), os.Getpid(), i)}
		if _, err := base.Build(context.Background(), job); err != nil {
			fail(err)
		}
	}
}

// kill -9 of the whole program at any moment leaves no process and no mount, and the next one
// cleans up what lies around.
func TestKilled(t *testing.T) {
	base := open(t)
	state := base.b.state.Dir()
	work := job(t, "victim", "\nBuildRequires: gcc\nBuildRequires: make", "sleep 0.5 & wait")
	for i := range conformance.Rounds(4) {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), victim+"="+state, victim+"_SPEC="+work.Spec, victim+"_SOURCE="+work.Sources[0])
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, 256)
		n, _ := out.Read(line)
		if string(line[:n]) != "building\n" {
			t.Fatalf("helper said %q", line[:n])
		}
		after := rand.N(killWithin)
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
	if res, err := base.Build(t.Context(), work); err != nil {
		t.Fatalf("after all kills: %v %v", err, res.Logs)
	}
	if left := leftovers(state); len(left) > 0 {
		t.Errorf("after the next Open: %v", left)
	}
}

func TestCancelled(t *testing.T) {
	base := open(t)
	s := conformance.Subject{Base: base, Leftovers: func() []string { return leftovers(base.b.state.Dir()) }}
	s.Cancelled(t, job(t, "victim", "\nBuildRequires: gcc\nBuildRequires: make", "sleep 0.5 & wait"), conformance.Rounds(4), killWithin)
}

// settle waits until processes and mounts of state are gone and returns those that stay for more
// than two seconds.
func settle(state string) []string {
	return conformance.Settled(filepath.Join(state, "tmp"), func() []string { return running(state) })
}
