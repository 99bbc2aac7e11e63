package reliability

import (
	"fmt"
	"strings"
	"testing"
)

// The index goes away in the middle and comes back.
func TestIndexGoesAway(t *testing.T) {
	need(t)
	beside(t)
	for _, requests := range []int64{1, 6, 12} {
		t.Run(fmt.Sprint("after ", requests, " requests"), func(t *testing.T) {
			if !alone(t) {
				return
			}
			whole, _ := reference.get(t)
			bed := freshBed(t)
			g := bed.newGate(t, requests)
			state := fmt.Sprint("state", requests)
			r := bed.build(t, state, "--index-url", g.url())
			if r.code != 5 {
				t.Fatalf("exit %d, not 5: %s", r.code, r.why())
			}
			t.Log(r.stderr)
			if !strings.Contains(r.message(), g.address) {
				t.Errorf("the message does not say %q: %s", g.address, r.message())
			}
			// Of requests that are asked side by side, the first that fails may be the one that was cut off.
			if !strings.Contains(r.message(), "refused") && !strings.Contains(r.message(), "EOF") {
				t.Errorf("the message does not say what happened: %s", r.message())
			}
			gone(t, bed.dir)
			nothingLeft(t, bed, state)
			g.reopen(t)
			bed.mustBuild(t, state, "--index-url", g.url())
			sameRepository(t, published(t, whole.state("state")), bed.state(state))
		})
	}
}
