package pages

import "testing"

// TestFirstOf: no list ends in "1 more".
func TestFirstOf(t *testing.T) {
	for all := range 50 {
		shown := firstOf(all, 22)
		if shown > all || shown < min(all, 22) || all-shown == 1 || shown > 23 {
			t.Errorf("of %d, %d are shown", all, shown)
		}
	}
}
