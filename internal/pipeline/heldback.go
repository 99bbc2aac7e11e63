package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"reqpm/internal/index"
	"reqpm/internal/pep440"
	"reqpm/internal/solve"
)

// What the minimum age, the block list and the date limit keep from the solver must not look as if
// it did not exist: it is said where it made a difference.

// projects are the pages read so far, by name.
func (c *candidates) projects() map[string]*index.Project {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := map[string]*index.Project{}
	for name, page := range c.project {
		page.mu.Lock()
		if page.project != nil {
			found[name] = page.project
		}
		page.mu.Unlock()
	}
	return found
}

// newerHeldBack counts, by reason, the final versions above v that may not be used. Of a date
// limit nothing is said: who asks for a day's versions gets them.
func newerHeldBack(project *index.Project, v pep440.Version) map[string]int {
	counts := map[string]int{}
	for _, h := range project.HeldBack() {
		if !h.ByDate && h.Version.Compare(v) > 0 && (!h.Version.IsPrerelease() || v.IsPrerelease()) {
			counts[h.Reason]++
		}
	}
	return counts
}

// warnHeldBack says of which packages newer versions were held back.
func (p *Pipeline) warnHeldBack(solution solve.Solution) []string {
	projects := p.from.projects()
	by := map[string][]string{}
	for _, chosen := range solution.Packages {
		if project := projects[chosen.Name]; project != nil {
			for reason, n := range newerHeldBack(project, chosen.Version) {
				by[reason] = append(by[reason], fmt.Sprintf("%s %s (%s)", chosen.Name, chosen.Version, newerVersions(n)))
			}
		}
	}
	var warnings []string
	for _, reason := range slices.Sorted(maps.Keys(by)) {
		names := by[reason]
		if n := len(names); n > 20 {
			names = append(names[:20:20], fmt.Sprintf("and %d more", n-20))
		}
		warnings = append(warnings, fmt.Sprintf("not the newest, because that is %s: %s", reason, strings.Join(names, ", ")))
	}
	return warnings
}

func newerVersions(n int) string {
	if n == 1 {
		return "1 newer version"
	}
	return fmt.Sprintf("%d newer versions", n)
}

// explainHeldBack adds to a conflict what was held back of the packages that it is about.
func (p *Pipeline) explainHeldBack(err error) error {
	conflict, ok := errors.AsType[*solve.Conflict](err)
	if !ok {
		return err
	}
	projects := p.from.projects()
	words := map[string]bool{}
	for _, w := range strings.FieldsFunc(conflict.Message, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '_' && r != '.'
	}) {
		words[strings.TrimRight(w, ".-_")] = true
	}
	for _, name := range slices.Sorted(maps.Keys(projects)) {
		if !words[name] {
			continue
		}
		counts, all := map[string]int{}, len(projects[name].Releases())
		for _, h := range projects[name].HeldBack() {
			counts[h.Reason]++
		}
		for _, reason := range slices.Sorted(maps.Keys(counts)) {
			conflict.Notes = append(conflict.Notes, fmt.Sprintf("held back: %d of %d versions of %s, because they are %s", counts[reason], all, name, reason))
		}
	}
	return err
}
