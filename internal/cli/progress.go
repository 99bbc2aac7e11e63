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

	mu   sync.Mutex
	done bool
}

func (a *app) newProgress() *progress {
	p := &progress{app: a}
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
			p.app.say("warning: %s", e.Message)
		}
	}
}

// Event shows one event.
func (p *progress) Event(e pipeline.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.app.global.json:
		_ = p.app.printJSON(e)
	case p.live != nil && !p.done:
		p.live.event(e, plainText(plainLine(e, p.app.global.verbose)))
	default:
		if line := plainLine(e, p.app.global.verbose); line != "" {
			p.app.say("%s", line)
		}
	}
}

// plainLine is an event for people, "" for those that only a live picture shows.
func plainLine(e pipeline.Event, verbose bool) string {
	switch e.Event {
	case "stage":
		return "==> " + e.Message
	case "note":
		if verbose {
			return "    " + e.Message
		}
	case "warning":
		return "warning: " + e.Message
	case "package":
		return packageLine(e)
	}
	return ""
}

func packageLine(e pipeline.Event) string {
	count := fmt.Sprintf("[%d/%d]", e.Done, e.Total)
	what := fmt.Sprintf("%-8s %s %s", e.State, e.Name, e.Version)
	switch e.State {
	case pipeline.StateDistro:
		what = fmt.Sprintf("%-8s %s %s of the distribution", "reused", e.Name, e.Version)
	case "building":
		return "" // its end is the line
	case pipeline.StateBuilt:
		what += " in " + seconds(e.Seconds)
	case pipeline.StateFailed, pipeline.StateBlocked:
		what += ": " + firstLine(e.Message)
	}
	if e.Left > 1 {
		what += fmt.Sprintf(" (about %s left)", seconds(e.Left))
	}
	return count + " " + what
}
