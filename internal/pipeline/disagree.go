package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"reqpm/internal/metadata"
	"reqpm/internal/pep508"
)

// A version's metadata is mostly taken from a wheel, and what is built is the source. Where the two
// do not say the same, the lock follows the wheel: it is what everybody else's resolver reads, and a
// source's own answer can depend on the machine that asks. It is told, for then the RPM's
// requirements, which come of the build, are others than those that were locked.

// disagreement says how an sdist's static dependencies differ from those a version was locked by;
// "" when they do not, for this target and no extra.
func (p *Pipeline) disagreement(locked, source metadata.Metadata) string {
	texts := func(reqs []pep508.Requirement) []string {
		var list []string
		for _, r := range p.active(reqs) {
			extras := slices.Clone(r.Extras)
			slices.Sort(extras)
			list = append(list, strings.TrimSpace(fmt.Sprintf("%s%s %s", r.Key(), bracketed(extras), r.Specifiers)))
		}
		slices.Sort(list)
		return slices.Compact(list)
	}
	wheel, sdist := texts(locked.RequiresDist), texts(source.RequiresDist)
	only := func(a, b []string) []string {
		return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
	}
	var parts []string
	if list := only(wheel, sdist); len(list) > 0 {
		parts = append(parts, "only the wheel requires "+strings.Join(list, ", "))
	}
	if list := only(sdist, wheel); len(list) > 0 {
		parts = append(parts, "only the source requires "+strings.Join(list, ", "))
	}
	if locked.RequiresPython != source.RequiresPython {
		parts = append(parts, fmt.Sprintf("the wheel wants Python %q, the source %q", locked.RequiresPython, source.RequiresPython))
	}
	return strings.Join(parts, "; ")
}

func bracketed(extras []string) string {
	if len(extras) == 0 {
		return ""
	}
	return "[" + strings.Join(extras, ",") + "]"
}
