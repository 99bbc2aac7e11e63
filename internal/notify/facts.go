package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"reqpm/internal/store"
)

// What a channel may be told of, and what became of a run.
const (
	Failed    = "failed"
	Fixed     = "fixed" // succeeded, and the run before had failed
	Succeeded = "succeeded"
	Always    = "always" // all of them, and runs that were cancelled
	cancelled = "cancelled"
	trial     = "test"
)

// mostItems bounds each list of a message.
const mostItems = 200

// Message is what is told of a run: as JSON the body of a webhook.
type Message struct {
	Event    string  `json:"event" doc:"failed, fixed, succeeded, cancelled, test"`
	Title    string  `json:"title"`
	Project  Project `json:"project"`
	Run      *Run    `json:"run,omitempty"`
	Previous *Run    `json:"previous,omitempty" doc:"the run of the same branch that it is compared with"`
	// What changed against the run before. Of each list the first 200.
	NewlyFailing []Failure `json:"newly_failing"`
	StillFailing []Failure `json:"still_failing"`
	Fixed        []Package `json:"fixed"`
	Added        []Package `json:"added"`
	Removed      []Package `json:"removed"`
	Changed      []Change  `json:"changed"`
}

// Project is what a run is of.
type Project struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// Run is a run as messages have it.
type Run struct {
	ID       int64     `json:"id"`
	Number   int64     `json:"number"`
	State    string    `json:"state"`
	Reason   string    `json:"reason"`
	Ref      string    `json:"ref"`
	Commit   string    `json:"commit"`
	Targets  []string  `json:"targets"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	URL      string    `json:"url,omitempty"`
}

// Package is a package of a target.
type Package struct {
	Target  string `json:"target"`
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Change is a package in another version.
type Change struct {
	Target string `json:"target"`
	Name   string `json:"name"`
	From   string `json:"from"`
	To     string `json:"to"`
}

// Failure is a package, or a step that is no build, that failed.
type Failure struct {
	Target string `json:"target,omitempty"`
	What   string `json:"what" doc:"name==version, or the step"`
	Cause  string `json:"cause"`
	URL    string `json:"url,omitempty"`
}

// wants tells whether a channel is told of an event.
func wants(events []string, event string) bool {
	return event == trial || slices.Contains(events, Always) || slices.Contains(events, event) || event == Fixed && slices.Contains(events, Succeeded)
}

// compose makes the message about a run that has ended.
func (n *Notifier) compose(ctx context.Context, run store.Run) (Message, error) {
	project, err := n.cfg.Store.Project(ctx, run.Project)
	if err != nil {
		return Message{}, err
	}
	m := Message{Project: Project{project.ID, project.Name}, Run: n.run(run)}
	steps, err := n.cfg.Store.RunSteps(ctx, run.ID)
	if err != nil {
		return Message{}, err
	}
	var before []store.Step
	previous, err := n.cfg.Store.RunBefore(ctx, run)
	switch {
	case err == nil:
		m.Previous = n.run(previous)
		before, err = n.cfg.Store.RunSteps(ctx, previous.ID)
	case errors.Is(err, store.ErrNotFound):
		err = nil
	}
	if err != nil {
		return Message{}, err
	}
	m.compare(steps, before, m.Previous != nil, n.link)
	m.Event = string(run.State)
	if run.State == store.RunSucceeded && m.Previous != nil && m.Previous.State == string(store.RunFailed) {
		m.Event = Fixed
	}
	m.Title = m.title()
	return m, nil
}

func (n *Notifier) run(r store.Run) *Run {
	return &Run{ID: r.ID, Number: r.Number, State: string(r.State), Reason: line(r.Reason), Ref: line(r.Ref), Commit: r.Commit, Targets: r.Targets, Started: r.Started, Finished: r.Finished,
		URL: n.link(fmt.Sprintf("/runs/%d", r.ID))}
}

// link is an address of the pages; "" where nobody has said how the server is reached.
func (n *Notifier) link(path string) string {
	if n.cfg.PublicURL == "" {
		return ""
	}
	return strings.TrimRight(n.cfg.PublicURL, "/") + path
}

// built is what a run made of a package, or of a step that is no build.
type built struct {
	version string
	step    store.Step
}

// index has the builds by target and name, and the targets that have any.
func index(steps []store.Step) (builds map[[2]string]built, others map[string]store.Step, planned map[string]bool) {
	builds, others, planned = map[[2]string]built{}, map[string]store.Step{}, map[string]bool{}
	for _, s := range steps {
		if s.Kind != store.Build {
			others[s.Key] = s
			continue
		}
		name, version, _ := strings.Cut(s.Package, "==")
		builds[[2]string{s.Target, name}] = built{version, s}
		planned[s.Target] = true
	}
	return builds, others, planned
}

func sorted[V any](m map[[2]string]V) [][2]string {
	return slices.SortedFunc(maps.Keys(m), func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
}

// compare fills in what changed. Packages come and go only where both runs got as far as a plan.
func (m *Message) compare(steps, before []store.Step, known bool, link func(string) string) {
	builds, others, planned := index(steps)
	was, othersWere, hadPlan := index(before)
	fail := func(s store.Step, what string, failedBefore bool) {
		f := Failure{Target: s.Target, What: line(what), Cause: line(s.Cause), URL: link(fmt.Sprintf("/builds/%d", s.ID))}
		if s.Kind != store.Build {
			f.URL = ""
		}
		if failedBefore {
			m.StillFailing = append(m.StillFailing, f)
		} else {
			m.NewlyFailing = append(m.NewlyFailing, f)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(others)) {
		switch s, old := others[key], othersWere[key]; {
		case s.State == store.Failed:
			fail(s, key, old.State == store.Failed)
		case s.State == store.Succeeded && old.State == store.Failed:
			m.Fixed = append(m.Fixed, Package{Target: s.Target, Name: line(key)})
		}
	}
	for _, key := range sorted(builds) {
		now, old, both := builds[key], was[key], known && hadPlan[key[0]]
		pkg := Package{key[0], line(key[1]), line(now.version)}
		_, there := was[key]
		switch {
		case now.step.State == store.Failed:
			fail(now.step, now.step.Package, old.step.State == store.Failed)
		case now.step.State == store.Succeeded && old.step.State == store.Failed:
			m.Fixed = append(m.Fixed, pkg)
		}
		if both && !there {
			m.Added = append(m.Added, pkg)
		} else if both && old.version != now.version {
			m.Changed = append(m.Changed, Change{key[0], line(key[1]), line(old.version), line(now.version)})
		}
	}
	for _, key := range sorted(was) {
		if _, there := builds[key]; !there && planned[key[0]] {
			m.Removed = append(m.Removed, Package{key[0], line(key[1]), line(was[key].version)})
		}
	}
	m.bound()
}

// bound cuts the lists, and makes empty ones lists too.
func (m *Message) bound() {
	m.NewlyFailing, m.StillFailing = first(m.NewlyFailing), first(m.StillFailing)
	m.Fixed, m.Added, m.Removed, m.Changed = first(m.Fixed), first(m.Added), first(m.Removed), first(m.Changed)
}

func first[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list[:min(len(list), mostItems)]
}

// line makes one line of what may be any text: causes come from the logs of builds.
func line(text string) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "\uFFFD"), func(r rune) bool { return r == '\n' || r == '\r' || r == '\t' }), " ")
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)
	if runes := []rune(text); len(runes) > 200 {
		return string(runes[:199]) + "…"
	}
	return text
}

func (m Message) title() string {
	run := fmt.Sprintf("%s: run %d", m.Project.Name, m.Run.Number)
	switch m.Event {
	case Failed:
		if len(m.NewlyFailing) > 0 && m.Previous != nil {
			return fmt.Sprintf("%s failed, %d newly", run, len(m.NewlyFailing))
		}
		return run + " failed"
	case Fixed:
		return fmt.Sprintf("%s succeeded: fixed since run %d", run, m.Previous.Number)
	}
	return run + " " + m.Event
}

// testMessage tries a channel.
func testMessage(project Project) Message {
	m := Message{Event: trial, Title: "ReqPM: a message to try this channel", Project: project}
	m.bound()
	return m
}
