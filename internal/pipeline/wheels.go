package pipeline

import (
	"errors"
	"fmt"
	"slices"

	"reqpm/internal/backend"
	"reqpm/internal/index"
	"reqpm/internal/solve"
)

// wheelAllowed tells whether a package may be packaged from a wheel with these tags: a pure one where
// AllowWheel names it, a compiled one only where AllowCompiledWheel does.
func (c Config) wheelAllowed(name string, tags index.WheelTags) bool {
	return slices.Contains(c.AllowCompiledWheel, name) || pureTags(tags) && slices.Contains(c.AllowWheel, name)
}

// pureTags tells whether a wheel's name promises no compiled code; its content is looked at later.
func pureTags(tags index.WheelTags) bool {
	all := func(list []string, word string) bool {
		return !slices.ContainsFunc(list, func(t string) bool { return t != word })
	}
	return all(tags.Platform, "any") && all(tags.ABI, "none")
}

// lastResort takes the wheel of a package whose build cannot be had, where policy allows that.
func (p *Pipeline) lastResort(b *pkgBuild, err error) error {
	tooOld := errors.As(err, new(*backend.TooOldError))
	if (tooOld || errors.As(err, new(*solve.Conflict))) && p.takeWheel(b, "its build root cannot be had") {
		return nil
	}
	if tooOld {
		return fmt.Errorf("%w\n--allow-wheel %s packages it from its wheel instead (not built from source)", err, b.name)
	}
	return offerWaysOut(err)
}

// reason says for people what is not as usual about a build; "" when nothing is.
func (b *pkgBuild) reason() string {
	switch {
	case b.file.Kind == index.Wheel && b.why == "":
		return "from a wheel: " + b.file.Filename + " (there is no source distribution)"
	case b.file.Kind == index.Wheel:
		return "from a wheel: " + b.file.Filename + " (" + b.why + ")"
	case b.patch != nil:
		return "patched: " + b.why
	}
	return ""
}
