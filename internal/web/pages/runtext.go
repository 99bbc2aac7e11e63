package pages

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"reqpm/internal/store"
	"reqpm/internal/web/runview"
)

// What runpage.templ says.

// runWord is the state of a run, with what is still to come of it.
func runWord(d runData) string {
	if d.Run.CancelWanted && !d.Run.State.Ended() {
		return "Being cancelled"
	}
	return ""
}

func spinIf(s runview.State, on bool) string {
	if on {
		return spin(string(s), "")
	}
	return ""
}

func retryTitle(d runData) string {
	return fmt.Sprintf("Build again what failed or was cancelled (%d) and what it blocked (%d)", d.Counts[runview.Failed]+d.Counts[runview.Cancelled], d.Counts[runview.Blocked])
}

// link is the page's address with some of its choices changed.
func (d runData) link(change map[string]string, part string) string {
	v := url.Values{}
	for key, value := range map[string]string{"state": string(d.Filter), "q": d.Find, "order": string(d.Order)} {
		if value != "" {
			v.Set(key, value)
		}
	}
	if d.Graph.Hide {
		v.Set("finished", "hidden")
	}
	for key, value := range change {
		if v.Del(key); value != "" {
			v.Set(key, value)
		}
	}
	path := d.Path
	if len(v) > 0 {
		path += "?" + v.Encode()
	}
	return path + part
}

// stateLink filters by a state, or ends that.
func stateLink(d runData, s runview.State) string {
	if d.Filter == s {
		return d.link(map[string]string{"state": ""}, "#grid-card")
	}
	return d.link(map[string]string{"state": string(s)}, "#grid-card")
}

func orderLink(d runData, o runview.Order) string {
	return d.link(map[string]string{"order": string(o)}, "#grid-card")
}

func graphLink(d runData, target string, hide bool) string {
	finished := ""
	if hide {
		finished = "hidden"
	}
	return d.link(map[string]string{"graph": target, "finished": finished}, "#graph-card")
}

func graphTargets(d runData) []tab {
	var tabs []tab
	for _, t := range d.Graph.Targets {
		tabs = append(tabs, tab{Text: t, Path: graphLink(d, t, d.Graph.Hide), Current: t == d.Graph.Target})
	}
	return tabs
}

func graphText(g graphData) string {
	text := fmt.Sprintf("%s in %s", plural(g.Nodes, "package"), plural(g.Levels, "level"))
	if g.Hidden > 0 {
		text += fmt.Sprintf(", %d finished hidden", g.Hidden)
	}
	return text
}

// explains says how much the causes explain.
func explains(d runData) string {
	text := "explain " + plural(d.Counts[runview.Failed], "failed build")
	if len(d.Causes) == 1 {
		text = "explains " + plural(d.Counts[runview.Failed], "failed build")
	}
	if n := d.Counts[runview.Blocked]; n > 0 {
		text += fmt.Sprintf(" and %d blocked", n)
	}
	return text
}

func emptyCauseIcon(d runData) string {
	if d.Run.State == store.RunSucceeded {
		return "succeeded"
	}
	return "check"
}

func emptyCauseTitle(d runData) string {
	switch d.Run.State {
	case store.RunSucceeded:
		return "Everything succeeded"
	case store.RunCancelled:
		return "Nothing failed before it was cancelled"
	}
	return "Nothing has failed"
}

func countsText(c runview.Counts) string {
	var parts []string
	for _, s := range runview.States {
		if c[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c[s], s))
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "no builds yet")
}

func leftTitle(d runData) string {
	if d.Time.Guess {
		return "From how long builds took before. Some were never built here, so it takes longer than this."
	}
	return "From how long builds took before, over the slots there are"
}

func orMore(d runData) string {
	if d.Time.Guess {
		return " or more"
	}
	return ""
}

// stageName is what a step that is no build is called.
func stageName(s store.Step) string {
	text := strings.ToUpper(string(s.Kind[:1])) + string(s.Kind[1:])
	if s.Target != "" {
		text += " · " + s.Target
	}
	return text
}

func causeTitle(c causeData) string {
	name := strings.TrimSpace(c.Package + " " + c.Version)
	return visibleName(firstLine(name+": "+c.Title, 240))
}

// restOf is what a cause says behind its first line, which may be a proof of several.
func restOf(cause string) string {
	_, rest, _ := strings.Cut(cause, "\n")
	if runes := []rune(rest); len(runes) > 3000 {
		rest = string(runes[:3000]) + "…"
	}
	return strings.TrimSpace(rest)
}

// fixes says what a fix does: " Fixes 3 builds and frees 9."
func fixes(c causeData) string {
	text := " Fixes " + plural(len(c.Fix.Steps), "build")
	if c.Fix.Frees > 0 {
		text += fmt.Sprintf(" and frees %d", c.Fix.Frees)
	}
	return text + "."
}

func applyText(c causeData) string {
	if c.Fix.NewRun {
		return "Apply and start a run"
	}
	return fmt.Sprintf("Apply and rebuild %d", len(c.Fix.Steps))
}

func keyIf(on bool, key string) string {
	if on {
		return key
	}
	return ""
}

func gridText(d runData) string {
	text := fmt.Sprintf("%s, %s", plural(len(d.Grid.Rows)+len(d.Grid.Over), "package"), plural(d.Grid.Builds, "build"))
	if d.Filter != "" || d.Find != "" {
		text = fmt.Sprintf("%s shown", plural(len(d.Grid.Rows), "package"))
		if d.Filter != "" {
			text += ", " + string(d.Filter)
		}
		if d.Find != "" {
			text += fmt.Sprintf(" with %q", d.Find)
		}
	}
	return text
}

// shortTarget and restTarget are the release of a target's name and what is behind it: el9, -py312.
func shortTarget(t string) string { short, _, _ := strings.Cut(t, "-"); return short }

func restTarget(t string) string { return strings.TrimPrefix(t, shortTarget(t)) }

func overNames(rows []runview.Row) string {
	var names []string
	for _, r := range rows[:min(len(rows), 12)] {
		if !slices.Contains(names, r.Name) {
			names = append(names, visibleName(r.Name))
		}
	}
	text := strings.Join(names, ", ")
	if len(rows) > 12 {
		text += " …"
	}
	return text
}

func timelineEmpty(t runview.Timeline) bool {
	return !slices.ContainsFunc(t.Lanes, func(l runview.Lane) bool { return len(l.Bars) > 0 })
}

func timelineText(d runData) string {
	workers := map[string]bool{}
	for _, l := range d.Time.Lanes {
		workers[l.Worker] = true
	}
	return fmt.Sprintf("Longest path first; %s, %s", plural(len(workers), "worker"), plural(len(d.Time.Lanes), "slot"))
}

const overrideExample = `# build-requires = ["cython<3.1", "rpm:libxml2-devel"]
#
# [env]
# NAME = "value"
`
