package reliability

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Two machines, or one before and after its disk was lost, make the same bytes of the same project.
func TestReproducible(t *testing.T) {
	need(t)
	if !alone(t) {
		return
	}
	first, _ := reference.get(t)
	bed := freshBed(t)
	bed.mustBuild(t, "again", "--no-proof")
	want, got := unsigned(t, first.state("state")), unsigned(t, bed.state("again"))
	if len(want) < 2*expected {
		t.Errorf("only %d RPMs: %v", len(want), want)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("unsigned RPMs of two builds differ (-first +second):\n%s", diff)
	}
	sameRepository(t, published(t, first.state("state")), bed.state("again"))
}
