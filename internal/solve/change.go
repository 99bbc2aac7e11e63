package solve

import (
	"fmt"
	"strings"
)

// ChangeKind says what a Change changes. The order here is the order in which people
// prefer them.
type ChangeKind string

const (
	Relax          ChangeKind = "relax"       // one line of the user, or an override, says less
	OtherPython    ChangeKind = "python"      // another Python stack
	AllowPre       ChangeKind = "pre-release" // one pre-release is let in
	AllowYanked    ChangeKind = "yanked"      // one yanked version is let in
	AllowWheel     ChangeKind = "wheel"       // one package comes from its wheel
	OverrideOne    ChangeKind = "override"    // one package's word on another gives way
	DropOne        ChangeKind = "drop"        // one constraint is left out
	defaultSolves             = 40
	defaultChanges            = 6
)

var kindOrder = []ChangeKind{Relax, OtherPython, AllowPre, AllowYanked, AllowWheel, OverrideOne, DropOne}

// Change is one thing to do that makes a request solvable, with nothing else changed.
// It was proven by solving again.
type Change struct {
	Kind   ChangeKind
	Origin Origin // the line to change or leave out, or whose word gives way; empty when it is nobody's
	// Text is ready to paste: the line as it should be (Relax), the line to leave out
	// (DropOne), or the option to type (all others).
	Text string
	// Takes are the versions then chosen of the packages that the conflict is about, by name.
	Takes []Chosen

	steps int // versions between what was asked for and what is chosen
}

// String says what to do, for people, in one line.
func (c Change) String() string {
	switch c.Kind {
	case Relax:
		return fmt.Sprintf("change %s to  %s%s", c.Origin, c.Text, c.takes())
	case OtherPython:
		return "choose another Python:  " + c.Text
	case AllowPre:
		return "allow a pre-release:  " + c.Text
	case AllowYanked:
		return "allow a version that was yanked:  " + c.Text
	case AllowWheel:
		return "take a wheel where there is no source:  " + c.Text
	case OverrideOne:
		return fmt.Sprintf("override what %s says (%s):  %s", c.Origin, c.Origin.Text, c.Text)
	}
	return fmt.Sprintf("leave out %s:  %s%s", c.Origin, c.Text, c.takes())
}

// takes names the version of the changed line's package, where the line itself does not.
func (c Change) takes() string {
	if len(c.Takes) == 0 || strings.Contains(c.Text, "==") && c.Kind == Relax && !strings.Contains(c.Text, "*") {
		return ""
	}
	return fmt.Sprintf("  (takes %s %s)", c.Takes[0].Name, c.Takes[0].Version)
}
