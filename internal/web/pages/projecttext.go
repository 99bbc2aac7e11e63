package pages

import (
	"fmt"
	"slices"
	"strings"

	"reqpm/internal/store"
	"reqpm/internal/target"
)

// What project.templ says.

func runVerb(r store.Run) string {
	switch {
	case r.CancelWanted && !r.State.Ended():
		return "is being cancelled"
	case r.State == store.RunQueued:
		return "is queued"
	case r.State == store.RunRunning:
		return "is building"
	}
	return string(r.State)
}

func failuresText(all []failure) string {
	var parts []string
	for i, f := range all {
		if i == 3 {
			parts = append(parts, "…")
			break
		}
		text := f.Title()
		if f.Step.Target != "" {
			text += " on " + f.Step.Target
		}
		parts = append(parts, text+": "+firstLine(f.Step.Cause, 90))
	}
	return strings.Join(parts, "; ")
}

func packageFilters(d projectData, only, base string) []tab {
	direct, behind := 0, 0
	for _, r := range d.Packages {
		direct += boolInt(r.Direct)
		behind += boolInt(r.Newer != "")
	}
	all := []tab{
		{Text: "All", Path: base, Count: len(d.Packages), Current: only == ""},
		{Text: "Direct", Path: base + "?only=direct", Count: direct, Current: only == "direct"},
		{Text: "Transitive", Path: base + "?only=transitive", Count: len(d.Packages) - direct, Current: only == "transitive"},
	}
	if behind > 0 || only == "outdated" {
		all = append(all, tab{Text: "Outdated", Path: base + "?only=outdated", Count: behind, Current: only == "outdated"})
	}
	return all
}

func packagesNone(d packagesData) string {
	if len(d.Packages) == 0 {
		return "The set is here when a run has resolved the requirements."
	}
	return "None of the set is like that."
}

func logLevels(d projectData) []tab {
	var all []tab
	for _, level := range [][2]string{{"", "All"}, {"warning", "Warnings"}, {"error", "Errors"}} {
		all = append(all, tab{Text: level[1], Path: d.With("level", level[0]) + "#log", Current: d.Level == level[0]})
	}
	return all
}

// levelClass is a level of the style sheet.
func levelClass(level string) string {
	switch level {
	case "error":
		return "error"
	case "warning", "warn":
		return "warn"
	}
	return "info"
}

func byShort(r packageRow) string { text, _ := byText(r.By); return plain(text) }
func byFull(r packageRow) string  { _, full := byText(r.By); return full }

func newerTitle(r packageRow) string {
	if r.HeldBy != "" {
		return fmt.Sprintf("%s is out; held by %s", r.Newer, r.HeldBy)
	}
	return r.Newer + " is out and fits"
}

func refreshPath(f projectForm) string {
	if f.New {
		return "/projects/new"
	}
	return f.Action
}

func sourceHelp(f projectForm) string {
	if len(f.Refs) == 0 {
		return ""
	}
	return f.reachedText()
}

func refHelp(f projectForm) string {
	if f.Commit == "" {
		return ""
	}
	return "Now at " + short(f.Commit) + "."
}

func filesText(f projectForm) string {
	if len(f.Found) == 0 {
		return ""
	}
	files, lines := f.requirements()
	return fmt.Sprintf("%d of %d selected, %s", files, len(f.Found), plural(lines, "requirement"))
}

func filesNone(f projectForm) string {
	if f.Asking {
		return "Looking for them"
	}
	if f.GitURL != "" && len(f.Errors) > 0 {
		return "The repository could not be read"
	}
	if f.Commit == "" {
		return "No address yet"
	}
	return "No requirement file found"
}

func readyText(f projectForm) string {
	files, lines := f.requirements()
	return fmt.Sprintf("%s in %s at %s", plural(lines, "requirement"), plural(files, "file"), short(f.Commit))
}

// Where a target stands in the form: the releases with their usual Python first, then their other Pythons, then what few build for.
// What is chosen stands first, wherever it is of.
const (
	targetsUsual = iota
	targetsPython
	targetsArch
)

func (f projectForm) place(t target.Target) int {
	switch {
	case slices.Contains(f.Targets, t.Name):
		return targetsUsual
	case t.Arch != "x86_64":
		return targetsArch
	case strings.Contains(t.Name, "-py"):
		return targetsPython
	}
	return targetsUsual
}

// fitting are how many packages have a newer version that can be taken.
func fitting(rows []packageRow) (n int) {
	for _, r := range rows {
		n += boolInt(r.Fits != "")
	}
	return n
}
