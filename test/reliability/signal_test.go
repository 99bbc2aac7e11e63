package reliability

import (
	"syscall"
	"testing"
	"time"
)

func building(e event) bool {
	return e.Event.Event == "package" && e.State == "building"
}

// Ctrl-C, and what systemd sends: 130 soon, nothing left, and the same command goes on.
func TestStopped(t *testing.T) {
	need(t)
	beside(t)
	tests := []struct {
		name   string
		signal syscall.Signal
		when   func(event) bool
	}{
		{"SIGINT in a build", syscall.SIGINT, building},
		{"SIGTERM in a build", syscall.SIGTERM, building},
		{"SIGINT while the base root is made", syscall.SIGINT, func(e event) bool { return e.Stage == "root" }},
		{"SIGTERM while publishing", syscall.SIGTERM, func(e event) bool { return e.Stage == "publish" }},
		{"SIGINT in the proof", syscall.SIGINT, func(e event) bool { return e.Stage == "verify" }},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !alone(t) {
				return
			}
			whole, _ := reference.get(t)
			want := published(t, whole.state("state"))
			bed := freshBed(t)
			const state = "state"
			p := start(t, bed.command(state))
			if !p.until(tt.when) {
				t.Fatal("it ended before: ", p.wait(t).why())
			}
			stopped := time.Now()
			p.signal(t, tt.signal)
			if !p.ended(15 * time.Second) {
				p.signal(t, syscall.SIGKILL)
				t.Fatalf("15 s after %s it still runs", tt.signal)
			}
			r := p.wait(t)
			took := time.Since(stopped)
			if r.code != 130 {
				t.Errorf("exit %d, not 130: %s", r.code, r.why())
			}
			t.Logf("ended after %.2f s", took.Seconds())
			gone(t, bed.dir)
			nothingLeft(t, bed, state)
			if i == 0 || i == 3 { // the others were stopped where these were
				bed.mustBuild(t, state)
				sameRepository(t, want, bed.state(state))
				nothingLeft(t, bed, state)
			}
		})
	}
}

// Two processes on one state directory: each package is built once, by either.
func TestTwoAtOnce(t *testing.T) {
	need(t)
	if !alone(t) {
		return
	}
	whole, _ := reference.get(t)
	bed := freshBed(t)
	first, second := start(t, bed.command("state")), start(t, bed.command("state"))
	built := map[string]int{}
	for _, p := range []*process{first, second} {
		r := p.wait(t)
		if r.code != 0 {
			t.Error(r.why())
			continue
		}
		s := r.summary(t)
		if len(s.Built)+len(s.Reused) != expected {
			t.Errorf("%d built, %d reused; want %d in all", len(s.Built), len(s.Reused), expected)
		}
		for _, o := range s.Built {
			built[o.Name+" "+o.Version]++
		}
	}
	if len(built) != expected {
		t.Errorf("built %v; want %d packages", built, expected)
	}
	for name, n := range built {
		if n != 1 {
			t.Errorf("%s was built %d times", name, n)
		}
	}
	gone(t, bed.dir)
	nothingLeft(t, bed, "state")
	sameRepository(t, published(t, whole.state("state")), bed.state("state"))
}
