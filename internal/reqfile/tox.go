package reqfile

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
)

// toxFile is a tox.ini, or what stands for one in another file.
type toxFile struct {
	*reader
	loc    location
	ini    iniFile
	prefix string // of section names: "tox:" in setup.cfg
	offset int    // lines before the text in its file
	read   int    // lines so far, those of other sections each time they are taken
}

func newToxFile(r *reader, loc location, text, prefix string) *toxFile {
	return &toxFile{reader: r, loc: loc, ini: parseINI(text), prefix: prefix}
}

func (x *toxFile) section(name string) *iniSection {
	if s := x.ini.section(x.prefix + name); s != nil {
		return s
	}
	if x.prefix == "" {
		return nil
	}
	return x.ini.section(name)
}

func (x *toxFile) configured() bool {
	return slices.ContainsFunc(x.ini.sections, func(s *iniSection) bool {
		name, ok := strings.CutPrefix(s.name, x.prefix)
		return ok && (name == "tox" || name == "testenv") || strings.HasPrefix(name, "testenv:")
	})
}

// env reads deps, extras and dependency groups of an environment. Always true: the
// file is the one that configures tox.
func (x *toxFile) env(ctx context.Context, name string) bool {
	own, base := x.section("testenv:"+name), x.section("testenv")
	if own == nil && !x.isListed(name) && !isToxPython(name) {
		var known []string
		for _, s := range x.ini.sections {
			if _, env, ok := strings.Cut(s.name, "testenv:"); ok {
				known = append(known, env)
			}
		}
		x.unknownEnv(Position{File: x.loc.path}, name, append(known, x.list()...))
		return true
	}
	factors := map[string]bool{}
	for f := range strings.SplitSeq(name, "-") {
		factors[f] = true
	}
	pick := func(key string) iniValue {
		if v, ok := own.get(key); ok {
			return v
		}
		v, _ := base.get(key)
		return v
	}
	for _, l := range x.lines(pick("deps"), factors, 0) {
		if !x.stopped(ctx) {
			x.parseLine(ctx, x.loc, Position{x.loc.path, l.number}, l.text, false)
		}
	}
	for _, l := range x.lines(pick("constraints"), factors, 0) {
		x.parseLine(ctx, x.loc, Position{x.loc.path, l.number}, "-c "+l.text, false)
	}
	var extras, groups []string
	for _, l := range x.lines(pick("extras"), factors, 0) {
		extras = append(extras, splitNames(l.text)...)
	}
	for _, l := range x.lines(pick("dependency_groups"), factors, 0) {
		groups = append(groups, splitNames(l.text)...)
	}
	x.wantProject(path.Dir(x.loc.path), extras, groups)
	return true
}

// list is envlist with its braces expanded.
func (x *toxFile) list() []string {
	var names []string
	for _, key := range []string{"env_list", "envlist"} {
		v, ok := x.section("tox").get(key)
		if !ok {
			continue
		}
		for _, l := range v.lines {
			for _, word := range splitOutsideBraces(l.text) {
				names = append(names, expandBraces(word)...)
			}
		}
	}
	return names
}

func (x *toxFile) isListed(name string) bool {
	for _, n := range x.list() {
		if n == name {
			return true
		}
	}
	return false
}

// splitOutsideBraces splits at commas and white space that no brace encloses.
func splitOutsideBraces(text string) []string {
	depth := 0
	return strings.FieldsFunc(text, func(r rune) bool {
		switch r {
		case '{':
			depth++
		case '}':
			depth--
		}
		return depth <= 0 && (r == ',' || isSpace(r))
	})
}

// expandBraces turns py{39,310}-{a,b} into every combination, up to a bound.
func expandBraces(word string) []string {
	const most = 1000
	if len(word) > most {
		return nil
	}
	words := []string{""}
	for word != "" {
		before, rest, found := strings.Cut(word, "{")
		inner, after, closed := strings.Cut(rest, "}")
		choices := []string{""}
		if found && closed {
			choices = strings.Split(inner, ",")
		}
		var next []string
		for _, w := range words {
			for _, c := range choices {
				if len(next) < most {
					next = append(next, w+before+strings.TrimFunc(c, isSpace))
				}
			}
		}
		words, word = next, after
	}
	return words
}

// lines are those of a value that hold for the factors, with other sections' values
// in place of {[section]key}.
func (x *toxFile) lines(v iniValue, factors map[string]bool, depth int) []iniLine {
	var list []iniLine
	for _, l := range v.lines {
		text := strings.TrimFunc(stripComment(l.text), isSpace)
		l.number += x.offset
		x.read++
		if strings.HasPrefix(text, "{[") && strings.HasSuffix(text, "}") {
			section, key, _ := strings.Cut(strings.TrimSuffix(text[2:], "}"), "]")
			from, ok := x.section(section).get(strings.ToLower(key))
			switch {
			case depth > maxDepth:
				x.fail(Position{x.loc.path, l.number}, text, ErrLoop)
				return list
			case x.read > maxRequirements:
				x.fail(Position{x.loc.path, l.number}, text, fmt.Errorf("%w: more than %d lines out of sections that take each other's", ErrTooLarge, maxRequirements))
				return list
			case !ok:
				x.fail(Position{x.loc.path, l.number}, text, fmt.Errorf("there is no %s in [%s]", quote(key), section))
			default:
				list = append(list, x.lines(from, factors, depth+1)...)
			}
			continue
		}
		condition, rest, conditional := cutFactors(text)
		if conditional {
			if !holdsFor(condition, factors) {
				continue
			}
			text = rest
		}
		for _, dir := range []string{"{toxinidir}/", "{tox_root}/", "{toxinidir}"} {
			text = strings.ReplaceAll(text, dir, "")
		}
		if strings.Contains(text, "{posargs") || strings.Contains(text, "{env:") {
			x.warn(Position{x.loc.path, l.number}, "%s is left out: it depends on how tox is called", quote(text))
			continue
		}
		if text != "" {
			list = append(list, iniLine{l.number, text})
		}
	}
	return list
}

// cutFactors splits "py311,django{3,4}-x: text".
func cutFactors(text string) (condition, rest string, conditional bool) {
	for i, c := range text {
		switch {
		case c == ':':
			if i+1 < len(text) && text[i+1] != ' ' && text[i+1] != '\t' {
				return "", text, false
			}
			return text[:i], strings.TrimFunc(text[i+1:], isSpace), i > 0
		case !isAlnum(c) && !strings.ContainsRune("{},-_.! ", c):
			return "", text, false
		}
	}
	return "", text, false
}

// holdsFor evaluates factors: commas are or, dashes and, ! not.
func holdsFor(condition string, factors map[string]bool) bool {
	for _, word := range splitOutsideBraces(condition) {
		for _, one := range expandBraces(word) {
			all := true
			for f := range strings.SplitSeq(one, "-") {
				name, negated := strings.CutPrefix(f, "!")
				all = all && factors[name] != negated
			}
			if all {
				return true
			}
		}
	}
	return false
}
