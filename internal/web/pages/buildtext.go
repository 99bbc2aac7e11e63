package pages

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"reqpm/internal/logview"
	"reqpm/internal/store"
	"reqpm/internal/textdiff"
	"reqpm/internal/web/runview"
)

// What buildpage.templ says.

func buildTitle(d buildData) string {
	if d.Step.Kind != store.Build {
		return stageName(d.Step)
	}
	return visibleName(strings.TrimSpace(d.Name + " " + d.Version))
}

// buildWord is the state, with where it failed.
func buildWord(d buildData) string {
	if d.State == "reused" {
		if d.Built.State == "distribution" {
			return "Reused from the distribution"
		}
		return "Reused from the cache"
	}
	return ""
}

func blocksText(d buildData) string {
	var names []string
	for _, s := range d.Blocks {
		name, _ := runview.Split(s.Package)
		if name == "" {
			name = s.Key
		}
		names = append(names, visibleName(name))
	}
	return fmt.Sprintf("Blocks %d: %s", len(names), strings.Join(names[:min(4, len(names))], ", ")+moreText(len(names)-4))
}

func moreText(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

// tabsOf are the pages of a build; a step that is none has its log alone.
func tabsOf(d buildData) []tab {
	all := []struct{ key, text string }{{"log", "Log"}}
	if d.Step.Kind == store.Build {
		all = append(all, []struct{ key, text string }{{"spec", "Spec"}, {"sources", "Sources and patches"}, {"deps", "Build root"}, {"rpms", "RPMs"}, {"green", "Against last green"}}...)
	}
	if len(d.Attempts) > 1 {
		all = append(all, struct{ key, text string }{"attempts", "Attempts"})
	}
	var tabs []tab
	for _, t := range all {
		path := d.Path
		if t.key != "log" {
			path += "?tab=" + t.key
		}
		x := tab{Text: t.text, Path: path, Current: t.key == d.Tab}
		if t.key == "attempts" {
			x.Count = len(d.Attempts)
		}
		tabs = append(tabs, x)
	}
	return tabs
}

func logEmptyTitle(d buildData) string {
	if d.Step.State.Ended() {
		return "There is no log"
	}
	return "Nothing was said yet"
}

func logEmptyText(d buildData) string {
	switch {
	case d.Step.State == store.Blocked:
		return "It was not begun, because it is blocked by " + visibleName(d.Step.Root) + "."
	case d.Step.State.Ended():
		for _, a := range d.Attempts {
			if a.Attempt == d.Attempt && a.Log == "" {
				return "The log was removed: the server keeps none that old."
			}
		}
		return "It was not begun."
	}
	return "The log appears here as soon as a worker begins."
}

func notBegun(d buildData) string {
	switch d.Step.State {
	case store.Ready:
		return "It waits for a slot."
	case store.Waiting:
		return "It waits for " + plural(int(d.Step.Waiting), "other step") + "."
	}
	return "It was not begun."
}

func attemptText(a store.Attempt) string {
	switch {
	case a.Cause != "":
		text := firstLine(a.Cause, 90)
		if a.Infrastructure {
			text = "the machine: " + text
		}
		return text
	case a.State == store.Running:
		return "on " + a.WorkerName
	}
	return "on " + a.WorkerName
}

func reversed(all []store.Attempt) []store.Attempt {
	all = slices.Clone(all)
	slices.Reverse(all)
	return all
}

func greenName(d buildData) string {
	name, version := runview.Split(d.Green.Step.Package)
	return name + " " + version
}

func versionChange(d buildData) string {
	_, was := runview.Split(d.Green.Step.Package)
	if was == d.Version {
		return was + ", the same"
	}
	return was + " → " + d.Version
}

// factsOf are name, value and, on hover, the value in full.
func factsOf(d buildData) [][3]string {
	var facts [][3]string
	add := func(name, value, full string) {
		if value != "" {
			facts = append(facts, [3]string{name, value, full})
		}
	}
	add("Worker", d.Worker, "")
	add("Started", timeText(d.Step.Started), "")
	add("Finished", timeText(d.Step.Finished), "")
	if d.Step.Kind == store.Build {
		role := "build tool"
		if d.Built.Runtime || d.Node.Runtime {
			role = "published"
		}
		if d.Built.State != "" || d.Node.Name != "" {
			add("Role", role, "")
		}
		add("Source", d.Artifact.Filename, d.Artifact.URL)
		add("SHA-256", cutHash(d.Artifact.SHA256), d.Artifact.SHA256)
		add("RPM", d.Built.NEVRA, "")
		add("Key", cutHash(d.Built.Key), d.Built.Key)
		if d.Node.Rust != nil {
			add("Rust", d.Node.Rust.String(), "")
		}
		add("Reason", firstLine(d.Node.Reason, 120), d.Node.Reason)
		for _, r := range d.Built.Repairs {
			add("Changed", firstLine(r.String(), 160), r.String())
		}
	}
	return facts
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return exact(t)
}

func cutHash(hash string) string {
	if len(hash) > 12 {
		return hash[:12] + "…"
	}
	return hash
}

// specClass colours a line of a spec file by what it begins with.
func specClass(line string) string {
	word, _, _ := strings.Cut(line, " ")
	switch {
	case strings.HasPrefix(line, "#"):
		return "k-com"
	case slices.Contains([]string{"%prep", "%build", "%install", "%check", "%files", "%description", "%package", "%changelog", "%generate_buildrequires", "%post", "%postun", "%pre", "%preun"}, word):
		return "k-sec"
	case strings.HasPrefix(line, "%"):
		return "k-mac"
	case strings.HasSuffix(word, ":"):
		return "k-key"
	}
	return ""
}

// visibleLine is a line of a text as the log viewer would show it.
func visibleLine(line string) string { return renderedText([]byte(line)) }

func renderedText(line []byte) string { return logview.Render(line).Text() }

func depsEmpty(d buildData) string {
	if d.State == "failed" {
		return "Only a build that succeeded has told what was installed into its root; what is planned of this run's own is none."
	}
	return "What is installed for a build is known when it has been done."
}

func rpmsEmpty(d buildData) string {
	if d.Built.State == "distribution" {
		return "The distribution has the package: " + d.Built.NEVRA + "."
	}
	return "They appear here when the build has succeeded."
}

func fileSize(f fileRow) string {
	if strings.HasPrefix(f.Mode, "d") {
		return ""
	}
	return bytesText(f.Size)
}

func diffTitle(d buildData) string { return "Against " + d.DiffWhat }

func differs(all []textdiff.Line) bool {
	return slices.ContainsFunc(all, func(l textdiff.Line) bool { return l.Op == '+' || l.Op == '-' })
}
