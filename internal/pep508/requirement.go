package pep508

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"reqpm/internal/pep440"
)

// maxInput bounds a requirement or marker in bytes.
const maxInput = 8 << 10

// ErrRequirement is wrapped by every error of Parse.
var ErrRequirement = errors.New("not a PEP 508 requirement")

// Requirement is one parsed PEP 508 dependency specifier.
type Requirement struct {
	Name       string            // as written
	Extras     []string          // normalised by PEP 685, sorted, unique
	Specifiers pep440.Specifiers // empty when URL is set
	URL        string            // "name @ URL", else ""
	Marker     *Marker           // nil when there is none
}

// Key is the PEP 503 form of the name: what two requirements are compared by.
func (r Requirement) Key() string { return NormalizeName(r.Name) }

// String is the normal form, usable as input again.
func (r Requirement) String() string {
	var b strings.Builder
	b.WriteString(r.Name)
	if len(r.Extras) > 0 {
		b.WriteString("[" + strings.Join(r.Extras, ",") + "]")
	}
	b.WriteString(r.Specifiers.String())
	if r.URL != "" {
		b.WriteString(" @ " + r.URL)
		if r.Marker != nil {
			b.WriteByte(' ') // else the semicolon would belong to the URL
		}
	}
	if r.Marker != nil {
		b.WriteString("; " + r.Marker.String())
	}
	return b.String()
}

// Equal tells whether both ask for the same: names, extras and specifiers are
// compared in normal form, URL and marker as text.
func (r Requirement) Equal(o Requirement) bool {
	return r.Key() == o.Key() && slices.Equal(r.Extras, o.Extras) && r.Specifiers.Equal(o.Specifiers) &&
		r.URL == o.URL && r.Marker.String() == o.Marker.String()
}

// Parse reads one requirement. It takes what the reference takes, the older forms
// "name (>=1)" and "name>=1," among it. Errors wrap ErrRequirement and name the
// part that is wrong; more than 8 kB is an error.
func Parse(s string) (Requirement, error) {
	if len(s) > maxInput {
		return Requirement{}, fmt.Errorf("%w: %q is longer than %d bytes", ErrRequirement, clip(s), maxInput)
	}
	r, err := (&parser{text: s}).requirement()
	if err != nil {
		return Requirement{}, fmt.Errorf("%w: %q: %w", ErrRequirement, clip(s), err)
	}
	return r, nil
}

// requirement = name extras? ("@" URL | specifiers) (";" marker)?
func (p *parser) requirement() (r Requirement, err error) {
	p.space()
	if r.Name = p.identifier(); r.Name == "" {
		return r, p.expected("a package name at the start")
	}
	p.space()
	if r.Extras, err = p.extras(); err != nil {
		return r, err
	}
	p.space()
	var before string // what the semicolon would follow
	if p.take("@") {
		before = "the URL and white space"
		p.space()
		if r.URL = p.until(isBlank); r.URL == "" {
			return r, p.expected("a URL after @")
		}
	} else {
		before = "the name"
		if r.Specifiers, err = p.specifiers(); err != nil {
			return r, err
		}
		if !r.Specifiers.IsEmpty() {
			before = "the version specifiers (which commas separate)"
		}
	}
	p.space()
	if p.atEnd() {
		return r, nil
	}
	if !p.take(";") {
		return r, p.expected("a semicolon or the end after " + before)
	}
	if r.Marker, err = p.marker(); err != nil {
		return r, err
	}
	if !p.atEnd() {
		return r, p.expected("the end of the marker")
	}
	return r, nil
}

// extras = "[" (identifier ("," identifier)*)? "]"
func (p *parser) extras() ([]string, error) {
	if !p.take("[") {
		return nil, nil
	}
	p.space()
	var extras []string
	if first := p.identifier(); first != "" {
		extras = append(extras, NormalizeName(first))
		for p.space(); p.take(","); p.space() {
			p.space()
			extra := p.identifier()
			if extra == "" {
				return nil, p.expected("the name of an extra after the comma")
			}
			extras = append(extras, NormalizeName(extra))
		}
	}
	if !p.take("]") {
		return nil, p.expected("a comma or ] within the extras")
	}
	slices.Sort(extras)
	return slices.Compact(extras), nil
}

// specifiers = "(" list ")" | list
func (p *parser) specifiers() (pep440.Specifiers, error) {
	enclosed := p.take("(")
	p.space()
	start := p.pos
	for p.specifier() {
		p.space()
		if !p.take(",") {
			break
		}
		p.space()
	}
	list := p.text[start:p.pos]
	p.space()
	if enclosed && !p.take(")") {
		return pep440.Specifiers{}, p.expected("a comma or ) within the version specifiers")
	}
	return pep440.ParseSpecifiers(list)
}

// specifier moves behind one clause; pep440 judges it afterwards. Behind === everything
// but white space, ; and ) is the version, commas too.
func (p *parser) specifier() bool {
	op := p.firstOf("===", "~=", "==", "!=", "<=", ">=", "<", ">")
	if op == "" {
		return false
	}
	p.until(func(r rune) bool { return !isSpace(r) })
	p.until(func(r rune) bool {
		return isSpace(r) || r == ';' || r == ')' || r == ',' && op != "==="
	})
	return true
}

// NormalizeName is PEP 503: runs of -_. become one -, letters lower case.
func NormalizeName(name string) string {
	if isNormalized(name) {
		return name
	}
	b := make([]byte, 0, len(name))
	for _, c := range []byte(strings.ToLower(name)) {
		if c == '_' || c == '.' {
			c = '-'
		}
		if c == '-' && len(b) > 0 && b[len(b)-1] == '-' {
			continue
		}
		b = append(b, c)
	}
	return string(b)
}

func isNormalized(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' && (i == 0 || name[i-1] != '-') {
			continue
		}
		return false
	}
	return true
}
