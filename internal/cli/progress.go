package cli

import (
	"fmt"
	"sync"

	"reqpm/internal/pipeline"
)

// progress shows the events of a run: JSON lines for programs, a live picture on a
// terminal, plain lines elsewhere. Event may be called from any goroutine.
type progress struct {
	app  *app
	live *liveView // nil when stderr is no terminal
	many bool      // there are several targets: lines say which

	mu   sync.Mutex
	done bool
}

func (a *app) newProgress(o *projectOptions) *progress {
	p := &progress{app: a, many: o.oneTarget() != nil}
	if !a.global.json {
		p.live = newLiveView(a.stderr)
	}
	return p
}

// Close ends the live picture; it may be called more than once.
func (p *progress) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.done && p.live != nil {
		p.live.close()
	}
	p.done = true
}

// quiet is Event for commands that answer with one JSON document: events would spoil it.
func (p *progress) quiet(quiet bool) func(pipeline.Event) {
	if !quiet {
		return p.Event
	}
	return func(e pipeline.Event) {
		if e.Event == "warning" {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.app.say("%s", plainLine(shown{e, p.many}, false))
		}
	}
}

// Event shows one event.
func (p *progress) Event(e pipeline.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	people := shown{e, p.many}
	switch {
	case p.app.global.json:
		_ = p.app.printJSON(e)
	case p.live != nil && !p.done:
		p.live.event(people, plainText(plainLine(people, p.app.global.verbose)))
	default:
		if line := plainLine(people, p.app.global.verbose); line != "" {
			p.app.say("%s", line)
		}
	}
}

// shown is an event as people see it.
type shown struct {
	pipeline.Event
	many bool // it is one of several targets'
}

// on says which target the event is of, where there are several and it is not of them all.
func (e shown) on() string {
	if !e.many || e.Target == "" || e.Stage == "source" || e.Stage == "analyze" {
		return ""
	}
	return e.Target + ": "
}

// plainLine is an event for people, "" for those that only a live picture shows.
func plainLine(e shown, verbose bool) string {
	switch e.Event.Event {
	case "stage":
		if e.Stage == "resolve" { // says it itself
			return "==> " + e.Message
		}
		return "==> " + e.on() + e.Message
	case "note":
		if verbose {
			return "    " + e.on() + e.Message
		}
	case "warning":
		return "warning: " + e.on() + e.Message
	case "package":
		return packageLine(e)
	}
	return ""
}

func packageLine(e shown) string {
	count := fmt.Sprintf("[%d/%d]", e.Done, e.Total)
	name := e.Name + " " + e.Version
	if e.many {
		name += " on " + e.Target
	}
	what := fmt.Sprintf("%-8s %s", e.State, name)
	switch e.State {
	case pipeline.StateDistro:
		what = fmt.Sprintf("%-8s %s of the distribution", "reused", name)
	case "building":
		return "" // its end is the line
	case pipeline.StateBuilt:
		what += " in " + seconds(e.Seconds)
	case pipeline.StateRetrying:
		return fmt.Sprintf("retrying %s: %s", e.Name, e.Message)
	case pipeline.StateFailed, pipeline.StateBlocked:
		what += ": " + firstLine(e.Message)
	}
	if e.Left > 1 {
		what += fmt.Sprintf(" (about %s left)", seconds(e.Left))
	}
	return count + " " + what
}
