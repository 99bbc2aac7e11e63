package pipeline

import (
	"cmp"
	"path/filepath"
	"sync"

	"reqpm/internal/filelock"
	"reqpm/internal/plan"
	"reqpm/internal/sdist"
)

// history remembers how long builds took, by name: the next plan's estimates.
// Written at the end of a run; two runs that end together keep the later's figures
// for names both built, and lose none.
type history struct {
	path string
	tmp  string // where it is written to before it is moved; "": beside path
	mu   sync.Mutex
	seen map[string]float64 // seconds of the last build by name
	new  map[string]float64
}

func openHistory(path string) *history {
	h := &history{path: path, seen: map[string]float64{}, new: map[string]float64{}}
	_, _ = readJSON(path, &h.seen) // a damaged history only costs estimates
	return h
}

func (h *history) record(name string, seconds float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.new[name] = seconds
}

// save merges what this run learned into the file, under a lock shared with other runs.
func (h *history) save() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.new) == 0 {
		return nil
	}
	lock, err := filelock.Exclusive(filepath.Join(filepath.Dir(h.path), "history.lock"))
	if err != nil {
		return err
	}
	defer lock.Close()
	merged := map[string]float64{}
	if _, err := readJSON(h.path, &merged); err != nil {
		return err
	}
	for name, s := range h.new {
		merged[name] = s
	}
	return writeJSONBy(cmp.Or(h.tmp, filepath.Dir(h.path)), h.path, merged)
}

// expect is how long a build should take: what it took last time, else by what
// it is made of (the median pure package takes 2 s, and its root some 4 s; native ones go by their sources).
func (h *history) expect(name string, native sdist.Native, decision plan.Decision) float64 {
	if decision != plan.Build {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if s, ok := h.seen[name]; ok {
		return s
	}
	switch {
	case native.Rust:
		return 180
	case native.Any():
		return 8 + 0.5*float64(min(native.Sources, 400))
	default:
		return 6
	}
}
