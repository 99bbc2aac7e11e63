package rpmname

import (
	"fmt"
	"regexp"
	"strings"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/target"
)

// ReadVersion is the way back from the version of a pythonX.Ydist() Provides, raw or
// normalised, to PEP 440: 1.2, 1~rc1, 1~~dev2, 1^post1, 1:2.
func ReadVersion(text string) (pep440.Version, error) {
	return pep440.Parse(toPEP440.Replace(text))
}

var toPEP440 = strings.NewReplacer("~~dev", ".dev", "~dev", ".dev", "~", "", "^post", ".post", "^", ".post", ":", "!")

// ReadDist takes a dependency name of t's Python stack apart: python3.12dist(foo[bar]) is
// "foo" (in PEP 503 form) with the extra "bar". ok is false for every other name.
func ReadDist(t target.Target, name string) (project, extra string, ok bool) {
	inner, ok := strings.CutPrefix(name, "python"+t.Python.Minor()+"dist(")
	if !ok || !strings.HasSuffix(inner, ")") {
		return "", "", false
	}
	inner = strings.TrimSuffix(inner, ")")
	if before, after, has := strings.Cut(inner, "["); has {
		inner, extra = before, pep508.NormalizeName(strings.TrimSuffix(after, "]"))
	}
	if !projectRE.MatchString(inner) {
		return "", "", false
	}
	return pep508.NormalizeName(inner), extra, true
}

// ReadRequires is the way back from a dependency expression on a distribution of t's stack, as
// rpm's generators and Requires write them, to the requirement it came from. exact is false
// where the expression says something that no specifiers say: the requirement then asks for
// the name only. ok is false for an expression that is not about one distribution.
func ReadRequires(t target.Target, expr string) (r pep508.Requirement, exact, ok bool) {
	if len(expr) > maxExpression {
		return r, false, false
	}
	p := expression{t: t, words: expressionWord.FindAllString(expr, -1)}
	clauses, exact := p.all()
	if p.project == "" || p.mixed {
		return r, false, false
	}
	text := p.project
	if p.extra != "" {
		text += "[" + p.extra + "]"
	}
	if exact && len(p.words) == p.at {
		if r, err := pep508.Parse(text + strings.Join(clauses, ",")); err == nil {
			return r, true, true
		}
	}
	r, err := pep508.Parse(text)
	return r, false, err == nil
}

// maxExpression bounds a dependency expression, in bytes.
const maxExpression = 4 << 10

// expressionWord: a parenthesis that groups, or a word; those of a name belong to it.
var expressionWord = regexp.MustCompile(`[^\s()]+\([^()]*\)|[^\s()]+|[()]`)

// expression reads rpm's boolean dependencies as far as they are about one distribution.
type expression struct {
	t              target.Target
	words          []string
	at             int
	project, extra string
	mixed          bool // other names, or operators that no requirement says
}

// atom is "name op version".
type atom struct{ op, version string }

func (p *expression) peek() string {
	if p.at < len(p.words) {
		return p.words[p.at]
	}
	return ""
}

func (p *expression) next() string {
	w := p.peek()
	p.at++
	return w
}

// all reads one expression as specifier clauses.
func (p *expression) all() (clauses []string, exact bool) {
	if p.peek() != "(" {
		a, ok := p.atom()
		if !ok {
			return nil, false
		}
		return a.clause()
	}
	p.next()
	// Either alternatives, which are atoms and make one clause, or terms that all hold.
	mark := p.at
	if list, ok := p.alternatives(); ok {
		return list.clause()
	}
	p.at = mark
	for {
		c, ok := p.all()
		if !ok {
			p.skip()
			return nil, false
		}
		clauses = append(clauses, c...)
		switch p.next() {
		case ")":
			return clauses, true
		case "with", "and":
		default:
			p.skip()
			return nil, false
		}
	}
}

// skip reads what is left, for its names only.
func (p *expression) skip() {
	for p.at < len(p.words) {
		if w := p.peek(); strings.Contains(w, "(") && w != "(" {
			p.name(w)
		}
		p.at++
	}
}

func (p *expression) name(w string) bool {
	project, extra, ok := ReadDist(p.t, w)
	if !ok || p.project != "" && (project != p.project || extra != p.extra) {
		p.mixed = true
		return false
	}
	p.project, p.extra = project, extra
	return true
}

func (p *expression) atom() (atom, bool) {
	if !p.name(p.next()) {
		return atom{}, false
	}
	switch p.peek() {
	case "=", "<", ">", "<=", ">=":
		return atom{op: p.next(), version: p.next()}, true
	}
	return atom{}, true
}

// clause is what one atom says in PEP 440's words.
func (a atom) clause() ([]string, bool) {
	if a.op == "" {
		return nil, true
	}
	text, edge := strings.CutSuffix(a.version, "~~") // below every pre-release of it
	v, err := ReadVersion(text)
	if err != nil {
		return nil, false
	}
	switch {
	case a.op == "=" && !edge:
		return []string{"==" + v.String()}, true
	case a.op == ">=" && edge:
		return []string{">=" + v.String() + ".dev0"}, true
	case a.op == "<" || !edge && a.op != "=":
		return []string{a.op + v.String()}, true // PEP 440's < leaves out pre-releases by itself
	}
	return nil, false
}

type either []atom

// alternatives reads "a or b or …)" of atoms.
func (p *expression) alternatives() (either, bool) {
	var list either
	for p.peek() != "(" {
		a, ok := p.atom()
		if !ok {
			return nil, false
		}
		list = append(list, a)
		switch p.next() {
		case "or":
		case ")":
			return list, len(list) > 1
		default:
			return nil, false
		}
	}
	return nil, false
}

// clause recognises the three ways in which alternatives come from one specifier: every form of
// one version, "less or greater", and "less or from the next series on".
func (list either) clause() ([]string, bool) {
	if same, op, ok := list.oneVersion(); ok {
		return []string{op + same}, true
	}
	if len(list) != 2 || list[0].op != "<" {
		return nil, false
	}
	low, edge := strings.CutSuffix(list[0].version, "~~")
	high := strings.TrimSuffix(list[1].version, "~~")
	a, errA := ReadVersion(low)
	b, errB := ReadVersion(high)
	if errA != nil || errB != nil {
		return nil, false
	}
	next := strings.Join(increment(a.Parts().Release), ".")
	switch {
	case list[1].op == ">" && a.Compare(b) == 0:
		return []string{"!=" + a.String()}, true
	// EL9's generator writes !=1.2.* with ">" (see GeneratorWrong).
	case (list[1].op == ">=" && edge || list[1].op == ">") && b.String() == next:
		return []string{fmt.Sprintf("!=%s.*", a)}, true
	}
	return nil, false
}

// oneVersion: "= 1.2 or = 1.2.0 or …" is ==1.2, and with "<=" first <=1.2.
func (list either) oneVersion() (version, op string, ok bool) {
	op = "=="
	for i, a := range list {
		if i == 0 && a.op == "<=" {
			op = "<="
		} else if a.op != "=" {
			return "", "", false
		}
		v, err := ReadVersion(a.version)
		if err != nil {
			return "", "", false
		}
		if i == 0 {
			version = v.String()
		} else if first, _ := pep440.Parse(version); first.Compare(v) != 0 {
			return "", "", false
		}
	}
	return version, op, len(list) > 0
}
