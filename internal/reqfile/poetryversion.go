package reqfile

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"reqpm/internal/pep440"
)

// poetryClauses are the alternatives of one of Poetry's version constraints; in
// each all PEP 440 clauses must hold. "^1.2 || 3.*" is {{>=1.2, <2}, {==3.*}}.
// None stands for every version.
func poetryClauses(text string) ([][]pep440.Clause, error) {
	const longest = 2000
	if len(text) > longest {
		return nil, fmt.Errorf("%w: a version constraint of more than %d bytes", ErrTooLarge, longest)
	}
	var all [][]pep440.Clause
	for alternative := range strings.SplitSeq(strings.ReplaceAll(text, "||", "|"), "|") {
		clauses, err := poetryAlternative(alternative)
		if err != nil {
			return nil, fmt.Errorf("version constraint %s: %w", quote(text), err)
		}
		if len(clauses) == 0 {
			return nil, nil
		}
		all = append(all, clauses)
	}
	return all, nil
}

// poetryAlternative reads constraints joined by commas or white space.
func poetryAlternative(text string) ([]pep440.Clause, error) {
	var clauses []pep440.Clause
	text = strings.NewReplacer(",", " ", "\t", " ").Replace(text)
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil, errors.New("it is empty")
	}
	for i := 0; i < len(words); i++ {
		word := words[i]
		if strings.Trim(word, "<>=!~^") == "" && i+1 < len(words) { // white space behind the operator
			i++
			word += words[i]
		}
		c, err := poetryClause(word)
		if err != nil {
			return nil, err
		}
		clauses = append(clauses, c...)
	}
	return clauses, nil
}

// poetryClause translates one constraint.
func poetryClause(word string) ([]pep440.Clause, error) {
	version := strings.TrimLeft(word, "<>=!~^")
	op := word[:len(word)-len(version)]
	version = strings.TrimPrefix(version, "v")
	if strings.HasSuffix(version, ".x") || strings.HasSuffix(version, ".X") {
		version = version[:len(version)-1] + "*"
	}
	for strings.HasSuffix(version, ".*.*") {
		version = strings.TrimSuffix(version, ".*")
	}
	if version == "*" && (op == "" || op == "==" || op == ">=" || op == "^" || op == "~") {
		return nil, nil
	}
	plain := strings.TrimSuffix(version, ".*")
	v, err := pep440.Parse(plain)
	if err != nil {
		return nil, err
	}
	switch op {
	case "", "=", "==":
		return []pep440.Clause{{Op: "==", Version: version}}, nil
	case "!=":
		return []pep440.Clause{{Op: "!=", Version: version}}, nil
	case "^", "~":
		upper := nextRelease(v.Parts().Release, op == "^")
		return []pep440.Clause{{Op: ">=", Version: plain}, {Op: "<", Version: epochPrefix(v) + upper}}, nil
	case "~=", ">=", "<=", ">", "<", "===":
		return []pep440.Clause{{Op: op, Version: plain}}, nil
	}
	return nil, fmt.Errorf("unknown operator %s", quote(op))
}

func epochPrefix(v pep440.Version) string {
	if e := v.Parts().Epoch; e != "0" {
		return e + "!"
	}
	return ""
}

// nextRelease is the first release that ^ (caret) or ~ leaves out: ^ keeps the
// first part that is not zero, ~ the second part.
func nextRelease(release []string, caret bool) string {
	at := min(1, len(release)-1)
	if caret {
		at = slices.IndexFunc(release, func(part string) bool { return part != "0" })
		if at < 0 {
			at = len(release) - 1
		}
	}
	next := slices.Clone(release[:at+1])
	next[at] = increment(next[at])
	if at == 0 && len(release) > 1 {
		next = append(next, "0")
	}
	return strings.Join(next, ".")
}

// increment adds one to a decimal number of any length.
func increment(digits string) string {
	b := []byte(digits)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < '9' {
			b[i]++
			return string(b)
		}
		b[i] = '0'
	}
	return "1" + string(b)
}

// poetrySpecifier is a constraint as PEP 440 specifiers, "" for every version.
func poetrySpecifier(text string) (string, error) {
	all, err := poetryClauses(text)
	if err != nil || len(all) == 0 {
		return "", err
	}
	if len(all) == 1 {
		return joinClauses(all[0]), nil
	}
	return unionOf(text, all, false)
}

// poetryPython is the same for Pythons, of which there are none between 2.7 and
// 3.0.
func poetryPython(text string) (string, error) {
	all, err := poetryClauses(text)
	if err != nil || len(all) == 0 {
		return "", err
	}
	if len(all) == 1 {
		return joinClauses(all[0]), nil
	}
	return unionOf(text, all, true)
}

func joinClauses(clauses []pep440.Clause) string {
	var list []string
	for _, c := range clauses {
		list = append(list, c.String())
	}
	return strings.Join(list, ",")
}

// span is the versions from low on up to high, which is not in it; "" for no limit.
type span struct{ low, high string }

// unionOf writes alternatives as one set: from the lowest to the highest, without
// the gaps. PEP 440 can leave out whole series (!=2.*), so gaps must be made of
// them.
func unionOf(text string, all [][]pep440.Clause, python bool) (string, error) {
	cannot := fmt.Errorf("the alternatives of %s cannot be said by PEP 440 specifiers; write them as two dependencies with markers, or as one range", quote(text))
	var spans []span
	for _, clauses := range all {
		s, ok := spanOf(clauses)
		if !ok {
			return "", cannot
		}
		spans = append(spans, s)
	}
	slices.SortFunc(spans, func(a, b span) int { return compareText(a.low, b.low) })
	var clauses []string
	if spans[0].low != "" {
		clauses = append(clauses, ">="+spans[0].low)
	}
	high := spans[0].high
	for _, s := range spans[1:] {
		if high == "" {
			break
		}
		if compareText(s.low, high) > 0 {
			from := high
			if python && compareText(from, "2.7") > 0 && compareText(from, "3") < 0 {
				from = "3"
			}
			gap, ok := seriesBetween(from, strings.TrimSuffix(s.low, ".dev0"))
			if !ok {
				return "", cannot
			}
			clauses = append(clauses, gap...)
		}
		if s.high == "" || compareText(s.high, high) > 0 {
			high = s.high
		}
	}
	if high != "" {
		clauses = append(clauses, "<"+high)
	}
	return strings.Join(clauses, ","), nil
}

// compareText orders versions; "" comes first.
func compareText(a, b string) int {
	va, _ := pep440.Parse(a)
	vb, _ := pep440.Parse(b)
	return va.Compare(vb)
}

// spanOf is false for clauses that are no span.
func spanOf(clauses []pep440.Clause) (s span, ok bool) {
	for _, c := range clauses {
		series, isSeries := strings.CutSuffix(c.Version, ".*")
		switch {
		case c.Op == ">=" && s.low == "":
			s.low = c.Version
		case c.Op == "<" && s.high == "":
			s.high = c.Version
		case c.Op == "==" && isSeries && len(clauses) == 1:
			v, err := pep440.Parse(series)
			if err != nil {
				return s, false
			}
			release := v.Parts().Release
			last := len(release) - 1
			next := slices.Clone(release)
			next[last] = increment(next[last])
			s = span{series + ".dev0", strings.Join(next, ".")} // a series has its pre-releases
		default:
			return s, false
		}
	}
	return s, true
}

// seriesBetween leaves out the series from low to high: 2 and 4 are !=2.*, !=3.*.
func seriesBetween(low, high string) ([]string, bool) {
	const most = 50
	a, errA := pep440.Parse(low)
	b, errB := pep440.Parse(high)
	if errA != nil || errB != nil || a.IsPrerelease() || b.IsPrerelease() {
		return nil, false
	}
	ra, rb := a.Parts().Release, b.Parts().Release
	for len(ra) < len(rb) {
		ra = append(ra, "0")
	}
	for len(rb) < len(ra) {
		rb = append(rb, "0")
	}
	i := 0
	for i < len(ra)-1 && ra[i] == rb[i] {
		i++
	}
	for _, rest := range [][]string{ra[i+1:], rb[i+1:]} {
		if slices.ContainsFunc(rest, func(p string) bool { return p != "0" }) {
			return nil, false
		}
	}
	from, errA := strconv.Atoi(ra[i])
	to, errB := strconv.Atoi(rb[i])
	if errA != nil || errB != nil || to-from > most {
		return nil, false
	}
	var list []string
	for n := from; n < to; n++ {
		parts := append(slices.Clone(ra[:i]), strconv.Itoa(n), "*")
		list = append(list, "!="+strings.Join(parts, "."))
	}
	return list, true
}

// poetryPythonMarker is a constraint on Python as a marker, "" for every Python.
func poetryPythonMarker(text string) (string, error) {
	all, err := poetryClauses(text)
	if err != nil || len(all) == 0 {
		return "", err
	}
	var alternatives []string
	for _, clauses := range all {
		var list []string
		for _, c := range clauses {
			list = append(list, pythonComparison(c))
		}
		alternatives = append(alternatives, strings.Join(list, " and "))
	}
	return strings.Join(alternatives, " or "), nil
}

// pythonComparison compares the whole version where a clause looks behind the
// minor one.
func pythonComparison(c pep440.Clause) string {
	version := strings.TrimSuffix(c.Version, ".*")
	parts := strings.Count(version, ".") + 1
	switch {
	case parts > 2:
		return fmt.Sprintf("python_full_version %s %q", c.Op, c.Version)
	case c.Op == ">" || c.Op == "<=":
		return fmt.Sprintf("python_full_version %s %q", c.Op, version+strings.Repeat(".0", 3-parts))
	case parts == 1 && (c.Op == "==" || c.Op == "!="):
		return fmt.Sprintf("python_version %s %q", c.Op, version+".*")
	}
	return fmt.Sprintf("python_version %s %q", c.Op, version)
}
