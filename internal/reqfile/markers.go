package reqfile

import (
	"strings"

	"reqpm/internal/pep508"
)

// decideMarker answers what a marker of a lock asks of extras and groups, which are
// known when the lock is read, so that the rest can be evaluated for a target alone.
// possible is false when nothing can make the rest true.
//
// wanted is asked with the kind "extra" (extra == "x", "x" in extras) or "group"
// ("x" in dependency_groups).
func decideMarker(m *pep508.Marker, wanted func(kind, name string) bool) (rest *pep508.Marker, possible bool) {
	return m.Assume(func(variable, op, literal string) (holds, decided bool) {
		kind := "extra"
		switch variable {
		case "extra":
			return wanted(kind, literal) == (op == "=="), op == "==" || op == "!="
		case "dependency_groups":
			kind = "group"
		case "extras":
		default:
			return false, false
		}
		return wanted(kind, literal) == (op == "in"), op == "in" || op == "not in"
	})
}

// anyMarker is "a or b or …"; nil when one of them is true everywhere. It fails
// when that is longer than a marker may be.
func anyMarker(list []*pep508.Marker) (*pep508.Marker, error) {
	var texts []string
	for _, m := range list {
		if m == nil {
			return nil, nil
		}
		text := m.String()
		if len(list) > 1 && strings.Contains(text, " and ") {
			text = "(" + text + ")"
		}
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		return nil, nil
	}
	return pep508.ParseMarker(strings.Join(texts, " or "))
}
