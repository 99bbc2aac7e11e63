package runview

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"reqpm/internal/diagnose"
	"reqpm/internal/store"
)

// Cause is why builds failed: the same on every target where a package failed in the same way.
type Cause struct {
	Key      string // names it within the run, for links: the first of its steps
	Package  string // PEP 503 name; of a step that is no build, its key
	Version  string
	Title    string
	Steps    []store.Step    // that failed so
	Targets  []string        // where
	Blocks   []store.Step    // what waits for them
	Evidence []diagnose.Line // the first lines that say so, by the lines of the build's own log
	Word     string          // the cause in one word that stays the same
	Advice   []string
	Tried    []string // what was changed about the build, and did not help
	Findings []diagnose.Finding
}

// failure is what is read here of the result of a failed build.
type failure struct {
	Why      string             `json:"cause"`
	Findings []diagnose.Finding `json:"findings"`
	Repairs  []struct {
		Title   string            `json:"title"`
		Changes []diagnose.Change `json:"changes"`
	} `json:"repairs"`
}

// Findings are what the log of a failed build shows.
func Findings(s store.Step) []diagnose.Finding {
	var f failure
	_ = json.Unmarshal(s.Result, &f) // what cannot be read is nothing found
	return f.Findings
}

// Causes are the reasons why builds and steps of a run failed, those that most depends on first.
func Causes(steps []store.Step) []Cause {
	blocked := map[int64][]store.Step{}
	for _, s := range steps {
		if s.State == store.Blocked {
			blocked[s.RootStep] = append(blocked[s.RootStep], s)
		}
	}
	var causes []Cause
	for _, s := range steps {
		if s.State != store.Failed {
			continue
		}
		c := causeOf(s)
		i := slices.IndexFunc(causes, func(other Cause) bool {
			return s.Kind == store.Build && other.Package == c.Package && other.Title == c.Title && other.Steps[0].Kind == store.Build
		})
		if i < 0 {
			causes = append(causes, c)
			i = len(causes) - 1
		}
		x := &causes[i]
		x.Steps, x.Blocks = append(x.Steps, s), append(x.Blocks, blocked[s.ID]...)
		if s.Target != "" && !slices.Contains(x.Targets, s.Target) {
			x.Targets = append(x.Targets, s.Target)
		}
	}
	slices.SortStableFunc(causes, func(a, b Cause) int {
		return cmp.Or(cmp.Compare(len(b.Blocks), len(a.Blocks)), cmp.Compare(len(b.Steps), len(a.Steps)), cmp.Compare(a.Package, b.Package))
	})
	return causes
}

func causeOf(s store.Step) Cause {
	name, version := Split(s.Name())
	c := Cause{Key: fmt.Sprint(s.ID), Package: name, Version: version, Title: FirstLine(s.Cause)}
	var f failure
	_ = json.Unmarshal(s.Result, &f) // what cannot be read is nothing found
	c.Word = f.Why
	if len(f.Findings) > 0 {
		first := f.Findings[0]
		c.Findings, c.Evidence, c.Advice = f.Findings, first.Evidence, first.Advice
		if first.Cause != diagnose.Unknown {
			c.Title = first.Title
		}
	}
	for _, r := range f.Repairs {
		var changes []string
		for _, change := range r.Changes {
			changes = append(changes, change.String())
		}
		c.Tried = append(c.Tried, strings.Join(changes, ", "))
	}
	if c.Title == "" {
		c.Title = "failed without a word"
	}
	return c
}

// Where says which builds a cause explains: "3 builds on el8, el9 · blocks 9".
func (c Cause) Where() string {
	n := "1 build"
	if len(c.Steps) != 1 {
		n = fmt.Sprintf("%d builds", len(c.Steps))
	}
	if c.Steps[0].Kind != store.Build {
		n = "step " + string(c.Steps[0].Kind)
	}
	if len(c.Targets) > 0 {
		n += " on " + listed(c.Targets, 5)
	}
	if len(c.Blocks) > 0 {
		n += fmt.Sprintf(" · blocks %d", len(c.Blocks))
	}
	return n
}
