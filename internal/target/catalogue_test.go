package target

import (
	"slices"
	"testing"
)

// Own targets stand before shipped ones of the same name, and releases are in their order.
func TestWith(t *testing.T) {
	own := []Target{{Name: "el9", Note: "mine"}, {Name: "house-linux-3"}}
	all := With(own)
	names := targetNames(all)
	if slices.Index(names, "el9") > slices.Index(names, "el10") || slices.Index(names, "el7") > slices.Index(names, "el9") {
		t.Errorf("releases are not in their order: %v", names)
	}
	if at := slices.Index(names, "el9"); all[at].Note != "mine" || slices.Contains(names[at+1:], "el9") {
		t.Errorf("el9 is not the own one alone: %v", names)
	}
	if !slices.Contains(names, "house-linux-3") || len(all) != len(All())+1 {
		t.Errorf("own and shipped ones: %v", names)
	}
}
