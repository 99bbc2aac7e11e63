package pages

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"reqpm/internal/store"
	"reqpm/internal/web/runview"
)

// What comparepage.templ says.

func groupsOf(d compareData) []tally {
	g := d.Groups
	return []tally{
		{"failed", "Newly failing", len(g.NewlyFailing), "#newly"}, {"succeeded", "Fixed", len(g.Fixed), "#fixed"},
		{"new", "New", len(g.Added), "#new"}, {"removed", "Removed", len(g.Removed), "#new"}, {"version", "Version", len(g.Version), "#version"},
		{"time", "Slower or faster", len(g.Time), "#time"}, {"files", "Files", len(d.Files), "#files"},
	}
}

func groupIcon(state string) string {
	icons := map[string]string{"new": "plus", "removed": "x", "version": "tagi", "time": "clock", "files": "file"}
	return orText(icons[state], state)
}

func newlySub(d compareData) string {
	if d.Groups.Blocked > 0 {
		return fmt.Sprintf("and %s blocked by them", plural(d.Groups.Blocked, "build"))
	}
	return ""
}

func pairVersion(p runview.Pair) string {
	if was := p.OldVersion(); was != "" && was != p.NewVersion() {
		return was + " → " + p.NewVersion()
	}
	return p.NewVersion()
}

// versionRow is a change of version that several targets share.
type versionRow struct{ Package, Old, New, Targets string }

func sameChange(pairs []runview.Pair) []versionRow {
	var rows []versionRow
	for _, p := range pairs {
		i := slices.IndexFunc(rows, func(r versionRow) bool {
			return r.Package == p.Package && r.Old == p.OldVersion() && r.New == p.NewVersion()
		})
		if i < 0 {
			rows = append(rows, versionRow{p.Package, p.OldVersion(), p.NewVersion(), p.Target})
			continue
		}
		rows[i].Targets += ", " + p.Target
	}
	return rows
}

func deltaClass(p runview.Pair) string {
	if p.Change() > 0 {
		return "delta-up"
	}
	return "delta-down"
}

func deltaText(p runview.Pair) string {
	sign := "+"
	if p.Change() < 0 {
		sign = "−"
	}
	return sign + clock(p.Change().Abs())
}

func runOption(r store.Run) string {
	return fmt.Sprintf("Run %d, %s, %s", r.Number, r.State, r.Created.UTC().Format("2 Jan 15:04"))
}

// compareText is the comparison for a message or a ticket.
func compareText(d compareData) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Run %d (%s) against run %d (%s)\n", d.New.Run.Number, d.New.Run.State, d.Old.Run.Number, d.Old.Run.State)
	list := func(title string, pairs []runview.Pair) {
		if len(pairs) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n%s:\n", title)
		for _, p := range pairs {
			version := pairVersion(p)
			if version == "" {
				version = p.OldVersion()
			}
			fmt.Fprintf(&b, "  %s %s on %s\n", visibleName(p.Package), version, p.Target)
		}
	}
	g := d.Groups
	list("Newly failing", g.NewlyFailing)
	list("Still failing", g.StillFailing)
	list("Fixed", g.Fixed)
	list("New", g.Added)
	list("Removed", g.Removed)
	list("Version", g.Version)
	for i, p := range g.Time {
		if i == 0 {
			b.WriteString("\nSlower or faster:\n")
		}
		fmt.Fprintf(&b, "  %s on %s: %s\n", visibleName(p.Package), p.Target, deltaText(p))
	}
	return b.String()
}

func runStates(d runListData) []tab {
	base := projectPath(d.Project) + "/runs"
	tabs := []tab{{Text: "All", Path: base, Current: d.State == ""}}
	for _, s := range []store.RunState{store.RunFailed, store.RunRunning, store.RunSucceeded} {
		tabs = append(tabs, tab{Text: stateWords[string(s)], Path: base + "?state=" + string(s), Current: d.State == string(s)})
	}
	return tabs
}

func runListEmpty(d runListData) string {
	if d.State != "" {
		return "No run is " + d.State
	}
	return "No run yet"
}

func nextRuns(d runListData) string {
	v := url.Values{"cursor": {d.Next}}
	if d.State != "" {
		v.Set("state", d.State)
	}
	return projectPath(d.Project) + "/runs?" + v.Encode()
}
