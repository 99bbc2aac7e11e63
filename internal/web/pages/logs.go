package pages

import (
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"reqpm/internal/auth"
	"reqpm/internal/blob"
	"reqpm/internal/builder"
	"reqpm/internal/diagnose"
	"reqpm/internal/logview"
	"reqpm/internal/store"
	"reqpm/internal/web/runview"
)

// The log of a step by lines, for the viewer (assets/log.js), which asks for what is to be seen and no more.

func (p *Pages) logPages() {
	p.handle("GET /builds/{build}/log/info", auth.Viewer, aboutBuild, p.logInfo)
	p.handle("GET /builds/{build}/log/lines", auth.Viewer, aboutBuild, p.logLines)
	p.handle("GET /builds/{build}/log/search", auth.Viewer, aboutBuild, p.logSearch)
	p.handle("GET /builds/{build}/log/{name}", auth.Viewer, aboutBuild, p.logFile)
}

const (
	maxIndexes  = 64     // logs whose lines are remembered
	maxLines    = 2000   // of one answer
	maxHits     = 50_000 // of one search that are listed
	maxQuery    = 200
	knownAtOnce = 8 << 20 // bytes of a log that a page reads for a line's number
)

// logIndexes remember where the lines of logs are, for those that were looked at last.
type logIndexes struct {
	mu  sync.Mutex
	all map[string]*logIndex
	at  int64
}

type logIndex struct {
	mu    sync.Mutex
	index logview.Index
	used  int64
}

// get gives the index of a log.
func (l *logIndexes) get(name string) *logIndex {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[string]*logIndex{}
	}
	x := l.all[name]
	if x == nil {
		x = &logIndex{}
		l.all[name] = x
	}
	l.at++
	x.used = l.at
	for len(l.all) > maxIndexes {
		var oldest string
		for other, x := range l.all {
			if oldest == "" || x.used < l.all[oldest].used {
				oldest = other
			}
		}
		delete(l.all, oldest)
	}
	return x
}

// openLog is one attempt's log, with where its lines are.
type openLog struct {
	*blob.LogReader
	*logview.Index
	Step    store.Step
	Attempt int64
	Bytes   int64
	Running bool
	unlock  func()
}

// Close ends reading.
func (l *openLog) Close() {
	l.unlock()
	_ = l.LogReader.Close() // reads only
}

// lines reads some of its lines.
func (l *openLog) lines(from, count int) ([][]byte, error) {
	return l.Index.Read(l.LogReader, from, count)
}

// log opens the log of an attempt, of the last one where none is named.
func (q *request) log(step store.Step, attempt int64) (*openLog, error) {
	attempt = cmp.Or(attempt, step.Attempt)
	name := store.LogName(step.Run, step.ID, attempt)
	log, err := q.p.cfg.Logs.Open(name)
	if err != nil {
		return nil, err
	}
	x := q.p.logs.get(name)
	x.mu.Lock()
	l := &openLog{LogReader: log, Index: &x.index, Step: step, Attempt: attempt, unlock: x.mu.Unlock}
	if l.Running, err = log.Running(); err == nil { // before its lines, so that what it says last is read
		if err = x.index.Extend(log); err == nil {
			l.Bytes, err = log.Size()
		}
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// logOfPath opens the log that an address names. The step is given also where it has no log.
func (q *request) logOfPath() (step store.Step, l *openLog, err error) {
	id, err := q.pathID("build")
	if err != nil {
		return step, nil, err
	}
	if step, err = q.store().Step(q.ctx(), id); err != nil {
		return step, nil, err
	}
	l, err = q.log(step, q.number("attempt"))
	return step, l, err
}

func (q *request) json(v any) error {
	q.w.Header().Set("Content-Type", "application/json")
	q.w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(q.w).Encode(v) // to somebody who may have gone
	return nil
}

// logSection is a part of a log as the viewer folds it.
type logSection struct {
	Title string `json:"title"`
	Note  string `json:"note,omitempty"`
	Time  string `json:"time,omitempty"`
	State string `json:"state"`
	From  int    `json:"from"`
	Open  bool   `json:"open,omitempty"`
}

// logFacts is what the viewer knows before it has a line.
type logFacts struct {
	Lines    int             `json:"lines"`
	Bytes    int64           `json:"bytes"`
	Running  bool            `json:"running"` // the log, which may end before its build
	Build    store.StepState `json:"build"`
	Sections []logSection    `json:"sections"`
	First    int             `json:"first,omitempty"`  // line of the first error
	Errors   []int           `json:"errors,omitempty"` // lines of evidence
}

func (p *Pages) logInfo(q *request) error {
	step, l, err := q.logOfPath()
	if errors.Is(err, blob.ErrNotFound) { // it has not begun: no error of who looks
		return q.json(logFacts{Build: step.State, Sections: []logSection{}})
	}
	if err != nil {
		return err
	}
	defer l.Close()
	facts, err := l.facts(q.phaseTimes(l.Step))
	if err != nil {
		return err
	}
	return q.json(facts)
}

// phaseTitles are what phases are called, by rpm's own names where it has one.
var phaseTitles = map[builder.Phase]string{
	"": "Preparation", builder.PhaseRoot: "Build root", builder.PhasePrep: "%prep and BuildRequires", builder.PhaseBuild: "%build",
	builder.PhaseInstall: "%install", builder.PhaseCheck: "%check", builder.PhasePackage: "Packages",
}

// facts says what is in the log; times are those of phases, where they are known.
func (l *openLog) facts(times map[builder.Phase]float64) (logFacts, error) {
	f := logFacts{Lines: l.Lines(), Bytes: l.Bytes, Running: l.Running, Build: l.Step.State, Sections: []logSection{}}
	failed := l.Attempt == l.Step.Attempt && l.Step.State == store.Failed
	sections := l.Sections()
	tries := 0
	for i, s := range sections {
		if s.Try != "" && (i == 0 || s.Try != sections[i-1].Try) {
			tries++
		}
	}
	for i, s := range sections {
		last := f.Lines
		if i+1 < len(sections) {
			last = sections[i+1].From - 1
		}
		x := logSection{Title: phaseTitles[s.Phase], From: s.From, State: "succeeded", Note: fmt.Sprintf("lines %d–%d", s.From, max(last, s.From))}
		end := i == len(sections)-1
		if end && l.Running {
			x.State, x.Open = "running", true
		} else if end && failed || !end && s.Try != "" && sections[i+1].Try != s.Try && failed {
			x.State, x.Open = "failed", end
		}
		if len(sections) == 1 {
			x.Open = true
		}
		if s.Try != "" && tries > 1 {
			x.Note = strings.Replace(s.Try, "-", " ", 1) + " · " + x.Note
		}
		if t := times[s.Phase]; t > 0 && tries <= 1 {
			x.Time = clock(durationOf(t))
		}
		f.Sections = append(f.Sections, x)
	}
	if failed {
		var err error
		if f.Errors, err = l.evidence(runview.Findings(l.Step)); err != nil {
			return f, err
		}
		f.First = l.firstError(f.Errors)
		for i := range f.Sections { // it is to be seen, wherever it is
			x := &f.Sections[i]
			if f.First >= x.From && (i+1 == len(f.Sections) || f.First < f.Sections[i+1].From) {
				x.Open, x.State = true, "failed"
			}
		}
	}
	return f, nil
}

// evidence finds lines of a build's own log in the log of the step. What a finding shows is cleaned, so the lines are
// compared as they are shown.
func (l *openLog) evidence(found []diagnose.Finding) ([]int, error) {
	var lines []int
	for _, x := range found[:min(len(found), 3)] {
		for _, e := range x.Evidence[:min(len(x.Evidence), 8)] {
			for _, n := range l.InFile(e.Number) {
				text, err := l.lines(n, 1)
				if err != nil {
					return nil, err
				}
				if len(text) == 1 && alike(string(text[0]), e.Text) {
					if !slices.Contains(lines, n) {
						lines = append(lines, n)
					}
					break
				}
			}
		}
	}
	return lines, nil
}

// alike tells whether a line is the one that was cleaned and cut to become evidence.
func alike(line, evidence string) bool {
	evidence = strings.TrimSuffix(evidence, "…")
	words := strings.Fields(evidence)
	if len(words) == 0 {
		return false
	}
	return strings.Contains(strings.Join(strings.Fields(line), " "), strings.Join(words[:min(len(words), 3)], " ")) || strings.Contains(line, words[0])
}

// firstError is the evidence that comes first; where there is none, what the service said last.
func (l *openLog) firstError(evidence []int) int {
	if len(evidence) > 0 {
		return evidence[0]
	}
	from := max(1, l.Lines()-20)
	tail, err := l.lines(from, 40)
	if err != nil {
		return 0
	}
	for i, line := range tail {
		if strings.HasPrefix(string(line), "failed: ") {
			return from + i
		}
	}
	return 0
}

func (p *Pages) logLines(q *request) error {
	_, l, err := q.logOfPath()
	if err != nil {
		return err
	}
	defer l.Close()
	lines, err := l.lines(int(q.number("from")), int(min(q.number("count"), maxLines)))
	if err != nil {
		return err
	}
	out := make([]logview.Line, len(lines))
	for i, line := range lines {
		out[i] = logview.Render(line)
	}
	return q.json(map[string]any{"from": q.number("from"), "lines": out})
}

func (p *Pages) logSearch(q *request) error {
	id, err := q.pathID("build")
	if err != nil {
		return err
	}
	step, err := q.store().Step(q.ctx(), id)
	if err != nil {
		return err
	}
	text := q.URL.Query().Get("q")
	if len(text) > maxQuery {
		return &invalid{"q", fmt.Sprintf("what is searched for has more than %d bytes", maxQuery)}
	}
	log, err := p.cfg.Logs.Open(store.LogName(step.Run, step.ID, cmp.Or(q.number("attempt"), step.Attempt)))
	if err != nil {
		return err
	}
	defer log.Close()
	hits, err := logview.Search(q.ctx(), log, text, maxHits)
	if err != nil {
		return err
	}
	return q.json(map[string]any{"total": hits.Total, "lines": hits.Lines})
}

// logFile sends a log as it is now, also while it grows: as text, or compressed.
func (p *Pages) logFile(q *request) error {
	_, l, err := q.logOfPath()
	if err != nil {
		return err
	}
	running, size, attempt, step, reader := l.Running, l.Bytes, l.Attempt, l.Step, l.LogReader
	l.unlock() // whoever reads slowly keeps nobody from the index
	defer reader.Close()
	if _, err := reader.Seek(0, io.SeekStart); err != nil {
		return err
	}
	name := fmt.Sprintf("run-%d-%s.%d.log", step.Run, anchor(step.Name()), attempt)
	h := q.w.Header()
	h.Set("Cache-Control", "no-store")
	var to io.Writer = q.w
	end := func() error { return nil }
	switch q.PathValue("name") {
	case "raw":
		h.Set("Content-Type", "text/plain; charset=utf-8")
		if !running {
			h.Set("Content-Length", strconv.FormatInt(size, 10))
		}
	case "gzip":
		h.Set("Content-Type", "application/gzip")
		h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name+".gz"))
		z := gzip.NewWriter(q.w)
		to, end = z, z.Close
	default:
		return fmt.Errorf("%s: %w", q.URL.Path, store.ErrNotFound)
	}
	_, err = io.CopyN(to, reader, size)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if errors.Join(err, end()) != nil {
		panic(http.ErrAbortHandler) // so that nobody takes half of it for all
	}
	return nil
}
