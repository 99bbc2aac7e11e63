package reliability

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// killing is the tally of one TestKilled.
type killing struct {
	stages  map[string]int // stage → kills in it
	slowest time.Duration  // from a kill until the last process was gone
	runs    int            // that came to their end
	dead    []string       // scratch of killed processes, which the next one must remove
}

// kill -9 of the one process at any moment, then the same command: nothing is left behind
// and the repository ends as if nothing had happened.
func TestKilled(t *testing.T) {
	need(t)
	if !alone(t) {
		return
	}
	kills := 6
	if n, err := strconv.Atoi(os.Getenv("REQPM_KILLS")); err == nil && n > 0 {
		kills = n
	}
	whole, run := reference.get(t)
	want := published(t, whole.state("state"))
	bed := freshBed(t)
	k := &killing{stages: map[string]int{}}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d; an undisturbed run takes %.1f s", seed, run.seconds)
	random := rand.New(rand.NewPCG(seed, 0))
	state := 0
	for done := 0; done < kills; {
		name := fmt.Sprintf("state%d", state)
		after := time.Duration(random.Float64() * 0.8 * run.seconds * float64(time.Second))
		if k.once(t, bed, name, after) {
			done++
		} else { // it was quicker than the kill: look at it, and kill the next from nothing on
			k.finish(t, bed, name, want)
			state++
		}
		if t.Failed() {
			t.Fatalf("after %d kills, %v", done, k.stages)
		}
	}
	name := fmt.Sprintf("state%d", state)
	bed.mustBuild(t, name)
	k.finish(t, bed, name, want)
	t.Logf("%d kills, by stage %v; %d runs came to their end; slowest end of all processes after a kill: %.2f s", kills, k.stages, k.runs, k.slowest.Seconds())
}

// once runs the command and kills it after a while; false when it ended by itself before.
func (k *killing) once(t *testing.T, b *bed, state string, after time.Duration) bool {
	t.Helper()
	p := start(t, b.command(state))
	if p.ended(after) {
		if r := p.wait(t); r.code != 0 {
			t.Fatal("a run after kills: ", r.why())
		}
		return false
	}
	stage := p.at()
	p.signal(t, syscall.SIGKILL)
	r := p.wait(t)
	if r.code == 0 {
		return false
	}
	if r.code > 0 {
		t.Fatal("ended by itself: ", r.why())
	}
	k.stages[stage]++
	k.slowest = max(k.slowest, gone(t, b.dir))
	// From the building of packages on, the base root was opened and the dead were buried.
	dir := filepath.Join(b.state(state), "tmp")
	if slices.Contains([]string{"build", "publish", "verify"}, stage) {
		for _, name := range names(dir) {
			if slices.Contains(k.dead, name) {
				t.Errorf("killed in %s: %s was left by an earlier process and is still there", stage, name)
			}
		}
	}
	k.dead = names(dir)
	k.noHalves(t, b.state(state))
	return true
}

// noHalves looks right after a kill: what has its final name is whole.
func (k *killing) noHalves(t *testing.T, state string) {
	t.Helper()
	builds, _ := filepath.Glob(filepath.Join(state, "builds", "*"))
	for _, dir := range builds {
		if strings.HasSuffix(dir, ".lock") {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "result.json")); err != nil {
			t.Errorf("half a result: %v", err)
		}
	}
	if current, _ := filepath.Glob(filepath.Join(state, "repos", "*", "*", "*", "current")); len(current) > 0 {
		published(t, state)
	}
}

// finish looks at a state directory whose last run came to its end.
func (k *killing) finish(t *testing.T, b *bed, state string, want contents) {
	t.Helper()
	k.runs++
	k.dead = nil
	gone(t, b.dir)
	sameRepository(t, want, b.state(state))
	nothingLeft(t, b, state)
	if !t.Failed() {
		must(t, os.RemoveAll(b.state(state)))
	}
}

// nothingLeft wants no scratch in the state directory nor in TMPDIR.
func nothingLeft(t *testing.T, b *bed, state string) {
	t.Helper()
	if left := leftovers(b.state(state)); len(left) > 0 {
		t.Errorf("left in the state directory: %q", left)
	}
	if left := names(b.tmp()); len(left) > 0 {
		t.Errorf("left in TMPDIR: %q", left)
	}
}
