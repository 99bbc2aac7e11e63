package spec

import (
	"regexp"
	"slices"
	"strings"

	"reqpm/internal/metadata"
)

// UnknownLicense is written when nothing tells the licence: a missing licence must not
// fail a build.
const UnknownLicense = "LicenseRef-Unknown"

// AmbiguousClassifiers is the source of a licence that classifiers name by its family only.
const AmbiguousClassifiers = "ambiguous classifiers"

// maxExpression bounds a licence expression, maxLicenceText the part of a file looked at.
const (
	maxExpression  = 400
	maxLicenceText = 64 << 10
)

// License decides the SPDX expression of a package and says where it comes from:
// License-Expression (PEP 639), unambiguous classifiers, the License field, the text of
// licence files (file name → text), ambiguous classifiers, or "none" with
// UnknownLicense. It never fails.
func License(m metadata.Metadata, texts map[string]string) (expr, source string) {
	if e := strings.TrimSpace(m.LicenseExpression); validExpression(e) {
		return e, "License-Expression"
	}
	sure, unsure := fromClassifiers(m.Classifiers)
	if len(sure) > 0 && len(unsure) == 0 {
		return strings.Join(sure, " AND "), "classifiers"
	}
	if id := fromFreeText(m.License); id != "" {
		return id, "License field"
	}
	if id, name := fromTexts(texts); id != "" {
		return id, "file " + name
	}
	if id := fromText(m.License); id != "" { // the whole licence pasted into the field
		return id, "License field"
	}
	if all := slices.Concat(sure, unsure); len(all) > 0 {
		slices.Sort(all)
		return strings.Join(slices.Compact(all), " AND "), AmbiguousClassifiers
	}
	return UnknownLicense, "none"
}

var expressionToken = regexp.MustCompile(`^(DocumentRef-[A-Za-z0-9.-]+:)?[A-Za-z0-9][A-Za-z0-9.-]*\+?$`)

// validExpression checks the form of an SPDX expression: ids joined by AND, OR and WITH,
// with balanced parentheses.
func validExpression(e string) bool {
	if e == "" || len(e) > maxExpression {
		return false
	}
	depth, wantID := 0, true
	for _, w := range strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(e)) {
		switch {
		case w == "(":
			if !wantID {
				return false
			}
			depth++
		case w == ")":
			if depth--; wantID || depth < 0 {
				return false
			}
		case isOperator(w):
			if wantID {
				return false
			}
			wantID = true
		default:
			if !wantID || !expressionToken.MatchString(w) {
				return false
			}
			wantID = false
		}
	}
	return depth == 0 && !wantID
}

func isOperator(w string) bool {
	switch strings.ToUpper(w) {
	case "AND", "OR", "WITH":
		return true
	}
	return false
}

// fromClassifiers maps "License ::" classifiers. Those that name a family only are
// unsure and come with the family's most cautious member.
func fromClassifiers(classifiers []string) (sure, unsure []string) {
	for i, c := range classifiers {
		if i >= 1000 {
			break
		}
		c = strings.TrimSpace(c)
		if !strings.HasPrefix(c, "License ::") {
			continue
		}
		if id, ok := classifierLicence[c]; ok {
			sure = append(sure, id)
		} else if id, ok := familyClassifier[c]; ok {
			unsure = append(unsure, id)
		}
	}
	slices.Sort(sure)
	slices.Sort(unsure)
	return slices.Compact(sure), slices.Compact(unsure)
}

var (
	versionMark  = regexp.MustCompile(`([a-z ])v\.? ?([0-9])`)
	notKey       = regexp.MustCompile(`[^a-z0-9.+]+`)
	stopWord     = regexp.MustCompile(`\b(the|licen[cs]e[ds]?|version|software|under|style|terms|of|a)\b`)
	severalSpace = regexp.MustCompile(` +`)
)

// fromFreeText reads a License field that is an expression of known ids or a usual name.
// Only the first line of a short text counts: many projects paste the whole licence.
func fromFreeText(text string) string {
	line, rest, _ := strings.Cut(strings.TrimSpace(clip(text, maxLicenceText)), "\n")
	line = strings.TrimSpace(line)
	if line == "" || len(line) > 80 || len(strings.TrimSpace(rest)) > 200 {
		return ""
	}
	if validExpression(line) && allKnown(line) {
		return canonical(line)
	}
	return freeTextLicence[licenceKey(line)]
}

// licenceKey makes "Apache License, Version 2.0" and "apache-2.0" the same key.
func licenceKey(s string) string {
	s = strings.ToLower(s)
	s = versionMark.ReplaceAllString(s, "$1 $2")
	s = stopWord.ReplaceAllString(s, " ")
	s = notKey.ReplaceAllString(s, " ")
	return strings.Trim(severalSpace.ReplaceAllString(s, " "), " .")
}

func allKnown(e string) bool {
	for _, w := range strings.FieldsFunc(e, func(r rune) bool { return r == ' ' || r == '(' || r == ')' }) {
		if _, ok := knownIDs[strings.ToLower(strings.TrimSuffix(w, "+"))]; !ok && !isOperator(w) {
			return false
		}
	}
	return true
}

// canonical writes ids and operators of an expression in SPDX's own case.
func canonical(e string) string {
	words := strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(e))
	for i, w := range words {
		if isOperator(w) {
			words[i] = strings.ToUpper(w)
			continue
		}
		id, plus := strings.CutSuffix(w, "+")
		if known, ok := knownIDs[strings.ToLower(id)]; ok {
			words[i] = known
			if plus {
				words[i] += "+"
			}
		}
	}
	return strings.NewReplacer("( ", "(", " )", ")").Replace(strings.Join(words, " "))
}

var licenceFile = regexp.MustCompile(`(?i)(^|/)(licen[cs]e|copying)[^/]*$`)

// fromTexts looks at licence files in the order of their names.
func fromTexts(texts map[string]string) (id, name string) {
	var names, ids []string
	for n := range texts {
		if licenceFile.MatchString(n) {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := strings.Count(a, "/") - strings.Count(b, "/"); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	var first string
	for i, n := range names {
		// Files deeper down belong to bundled code when the top has its own.
		if i >= 50 || first != "" && strings.Count(n, "/") > strings.Count(first, "/") {
			break
		}
		if found := fromText(texts[n]); found != "" && !slices.Contains(ids, found) {
			if first == "" {
				first = n
			}
			ids = append(ids, found)
		}
	}
	slices.Sort(ids)
	return strings.Join(ids, " AND "), first
}

var (
	allSpace   = regexp.MustCompile(`\s+`)
	quoteMarks = strings.NewReplacer("\"", "", "'", "", "`", "", "“", "", "”", "", "‘", "", "’", "")
)

// fromText recognises a licence by phrases that only its text has.
func fromText(text string) string {
	t := allSpace.ReplaceAllString(quoteMarks.Replace(strings.ToLower(clip(text, maxLicenceText))), " ")
	if len(t) < 40 {
		return ""
	}
	if id := gnuText(t); id != "" {
		return id
	}
	for _, rule := range textRules {
		if containsAll(t, rule.all) && !containsAny(t, rule.none) {
			return rule.id
		}
	}
	return ""
}

// gnuText tells the GNU licences apart: each quotes the names of the others, so
// the title (or, in a short notice, what it says is granted) counts.
func gnuText(t string) string {
	head := clip(t, 600)
	later := "-only"
	if len(t) < 3000 && strings.Contains(t, "any later version") {
		later = "-or-later" // a notice; the full texts all end in such a sample notice
	}
	for _, g := range gnuTitles {
		if strings.Contains(head, g.title) && containsAny(head, g.versions) {
			return g.id + later
		}
	}
	return ""
}

func containsAll(s string, list []string) bool {
	for _, x := range list {
		if !strings.Contains(s, x) {
			return false
		}
	}
	return true
}

func containsAny(s string, list []string) bool {
	return slices.ContainsFunc(list, func(x string) bool { return strings.Contains(s, x) })
}

// clip cuts s to at most n bytes, at a whole character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
