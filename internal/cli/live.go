package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"charm.land/lipgloss/v2"
	"golang.org/x/term"
)

// liveView keeps the last lines of a terminal up to date: what is building, in which
// phase, for how long, and how much is left. Lines that stay scroll by above.
type liveView struct {
	out     *os.File
	mu      sync.Mutex
	running map[string]runningBuild
	stage   string
	targets map[string]*tally
	lines   int // on the screen now
	stop    chan struct{}
	ended   sync.WaitGroup
}

// tally is how far the builds of one target are.
type tally struct {
	done, total int
	left        float64
	at          time.Time // when left was said
}

type runningBuild struct {
	label, phase string
	since        time.Time
}

// newLiveView returns nil when w is not a terminal that can move its cursor.
func newLiveView(w io.Writer) *liveView {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" || os.Getenv("NO_COLOR") != "" {
		return nil
	}
	v := &liveView{out: f, running: map[string]runningBuild{}, targets: map[string]*tally{}, stop: make(chan struct{})}
	v.ended.Go(v.tick)
	return v
}

func (v *liveView) tick() {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-v.stop:
			return
		case <-ticker.C:
			v.mu.Lock()
			v.draw("")
			v.mu.Unlock()
		}
	}
}

func (v *liveView) close() {
	close(v.stop)
	v.ended.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprint(v.out, v.clear())
	v.lines = 0
}

// event takes one event; line is what stays on the screen of it, "" for nothing.
func (v *liveView) event(e shown, line string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := e.Name + " " + e.Version
	if e.many {
		key += " on " + e.Target
	}
	t := v.targets[e.Target]
	if t == nil {
		t = &tally{}
		v.targets[e.Target] = t
	}
	switch {
	case e.Event.Event == "stage":
		v.stage = e.Message
	case e.Event.Event == "package" && e.State == "building":
		v.running[key] = runningBuild{label: key, phase: cmp.Or(e.Phase, "root"), since: e.Time}
	case e.Event.Event == "progress":
		if b, ok := v.running[key]; ok {
			b.phase = e.Phase
			v.running[key] = b
		}
	case e.Event.Event == "package":
		delete(v.running, key)
		t.left, t.at = e.Left, e.Time
	}
	if e.Total > 0 {
		t.done, t.total = max(t.done, e.Done), e.Total
	}
	v.draw(line)
}

var (
	styleDim  = lipgloss.NewStyle().Faint(true)
	styleBold = lipgloss.NewStyle().Bold(true)
	styleBad  = lipgloss.NewStyle().Foreground(lipgloss.Color("1"))
	styleGood = lipgloss.NewStyle().Foreground(lipgloss.Color("2"))
)

// clear moves to the start of the live lines and wipes them.
func (v *liveView) clear() string {
	if v.lines == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\r\x1b[J", v.lines)
}

// draw writes the whole picture in one go, so that it does not flicker.
func (v *liveView) draw(line string) {
	width, _, err := term.GetSize(int(v.out.Fd()))
	if err != nil || width < 20 {
		width = 80
	}
	var b strings.Builder
	b.WriteString(v.clear())
	if line != "" {
		b.WriteString(colour(line) + "\n")
	}
	rows := v.rows()
	for _, row := range rows {
		b.WriteString(lipgloss.NewStyle().MaxWidth(width-1).Render(row) + "\n")
	}
	v.lines = len(rows)
	fmt.Fprint(v.out, b.String())
}

func (v *liveView) rows() []string {
	var rows []string
	done, total, left := v.sum()
	if total == 0 {
		if v.stage != "" {
			rows = append(rows, styleDim.Render("… "+v.stage))
		}
		return rows
	}
	builds := make([]runningBuild, 0, len(v.running))
	for _, b := range v.running {
		builds = append(builds, b)
	}
	slices.SortFunc(builds, func(a, b runningBuild) int { return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.label, b.label)) })
	for _, b := range builds {
		rows = append(rows, fmt.Sprintf("  %-40s %-8s %s", b.label, b.phase, styleDim.Render(seconds(time.Since(b.since).Seconds()))))
	}
	bar := fmt.Sprintf("%s %d of %d", progressBar(done, total, 30), done, total)
	if left > 1 {
		bar += styleDim.Render(", about " + seconds(left) + " left")
	}
	return append(rows, styleBold.Render(bar))
}

// sum is how far all targets are together: they share the slots, so what is left adds up.
func (v *liveView) sum() (done, total int, left float64) {
	for _, t := range v.targets {
		done, total = done+t.done, total+t.total
		if t.left > 0 {
			left += max(0, t.left-time.Since(t.at).Seconds())
		}
	}
	return done, total, left
}

func progressBar(done, total, width int) string {
	full := done * width / max(total, 1)
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}

func colour(line string) string {
	switch {
	case strings.HasPrefix(line, "==>"):
		return styleBold.Render(line)
	case strings.Contains(line, "] failed") || strings.Contains(line, "] blocked") || strings.HasPrefix(line, "warning:"):
		return styleBad.Render(line)
	case strings.Contains(line, "] built"):
		return styleGood.Render(line)
	}
	return line
}
