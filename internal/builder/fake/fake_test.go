package fake_test

import (
	"testing"
	"testing/synctest"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/builder/conformance"
	"reqpm/internal/builder/fake"
	"reqpm/internal/target"
)

func script(b conformance.Behaviour) fake.Script {
	switch b {
	case conformance.Fails:
		return fake.Script{Log: map[builder.Phase]string{builder.PhaseBuild: "this is what went wrong\n"}, Fail: &builder.BuildError{}}
	case conformance.Silent:
		return fake.Script{Silent: true}
	case conformance.Lacking:
		return fake.Script{Fail: &builder.BuildError{Phase: builder.PhaseRoot, Cause: builder.CauseDeps, Missing: []string{"no-such-thing"}}}
	}
	return fake.Script{}
}

func TestConformance(t *testing.T) {
	b := fake.New(2)
	base, err := b.Open(t.Context(), target.Target{Name: "el9"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	conformance.Test(t, conformance.Subject{Base: base, Script: func(name string, how conformance.Behaviour) { b.Set(name, script(how)) }})
}

func TestSlotsAndDurations(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := fake.New(2)
		base, err := b.Open(t.Context(), target.Target{Name: "el9"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		b.Set("slow", fake.Script{Seconds: map[builder.Phase]time.Duration{builder.PhaseBuild: time.Hour}})
		start := time.Now()
		done := make(chan error)
		for _, name := range []string{"a", "b", "c", "d"} {
			go func() {
				_, err := base.Build(t.Context(), builder.Job{Name: "slow " + name, ResultDir: dir + "/" + name})
				done <- err
			}()
		}
		for range 4 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(start); took != 2*time.Hour || b.MostAtOnce() != 2 {
			t.Errorf("four builds of an hour in two slots took %s, %d at once", took, b.MostAtOnce())
		}
	})
}
