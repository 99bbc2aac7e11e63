package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"reqpm/internal/pep508"
	"reqpm/internal/pipeline"
	"reqpm/internal/reqfile"
	"reqpm/internal/target"
)

// benchPackagesOptions are the flags of bench packages.
type benchPackagesOptions struct {
	projectOptions
	list         string
	limit, jobs  int
	perPackage   time.Duration
	together     bool
	again, retry bool
}

func (a *app) newBenchPackagesCommand() *cobra.Command {
	var o benchPackagesOptions
	cmd := &cobra.Command{
		Use:   "packages --list FILE",
		Short: "Build every package of a list with all it needs, and count what fails and why",
		Long: `Resolve each package of a list on its own, build it with everything it needs from the real index, and
say what became of it. No hand is lent: no constraint, no override, no wheel. Nothing is published.

Results are kept in the state directory. The same command again goes on with the packages that have none;
what was built is in the cache of builds.

` + exitCodesHelp,
		Example: `  reqpm bench packages --list packages.txt
  reqpm bench packages --list packages.txt --target el9 --limit 20 --timeout 30m --json
  reqpm bench packages --list packages.txt --retry`,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runBenchPackages(cmd.Context(), &o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.list, "list", "", "file with one requirement a line; # begins a comment")
	o.registerTargets(cmd)
	o.registerIndex(cmd)
	o.distribution.register(cmd)
	f.IntVar(&o.limit, "limit", 0, "only the first N packages of the list (default: all)")
	f.IntVar(&o.jobs, "jobs", 0, "packages at once (default: processors)")
	f.IntVarP(&o.slots, "slots", "j", 0, "builds at once, of all packages together (default: processors)")
	f.DurationVar(&o.perPackage, "timeout", 2*time.Hour, "longest time of one package with all it needs")
	f.BoolVar(&o.together, "together", false, "resolve all packages as one set")
	f.BoolVar(&o.again, "again", false, "forget earlier results")
	f.BoolVar(&o.retry, "retry", false, "forget earlier results that are failures")
	return cmd
}

// benchPackage is one package of the list on one target.
type benchPackage struct {
	Name    string  `json:"name"` // the requirement, as the list has it
	Version string  `json:"version"`
	Target  string  `json:"target"`
	State   string  `json:"state"`           // built, reused, failed
	Cause   string  `json:"cause,omitempty"` // failed: one word
	Root    string  `json:"root,omitempty"`  // failed: the package it was, when not this one
	Message string  `json:"message,omitempty"`
	Log     string  `json:"log,omitempty"`
	Built   int     `json:"builds"` // made for it now
	Reused  int     `json:"builds_reused"`
	Seconds float64 `json:"seconds"`
}

// benchTotals sums up.
type benchTotals struct {
	Packages int            `json:"packages"`
	Built    int            `json:"built"`
	Reused   int            `json:"reused"`
	Failed   int            `json:"failed"`
	Causes   map[string]int `json:"causes"` // of those that failed, by word
	Builds   int            `json:"builds"`
	Seconds  float64        `json:"seconds"` // of all packages, though several run at once
}

// The words for a package of the list; reused: everything was in the cache or in the distribution.
const (
	benchBuilt  = "built"
	benchReused = "reused"
	benchFailed = "failed"
)

// bench is one run of the command.
type bench struct {
	app  *app
	o    *benchPackagesOptions
	cfg  pipeline.Config
	logs string
	kept *benchResults
	all  int // packages × targets

	mu   sync.Mutex
	done int
}

func (a *app) runBenchPackages(ctx context.Context, o *benchPackagesOptions) error {
	if o.list == "" || o.limit < 0 || o.jobs < 0 || o.perPackage <= 0 {
		return usagef("bench packages needs --list FILE; --limit and --jobs cannot be negative, --timeout must be positive")
	}
	reqs, err := readPackageList(o.list)
	if err != nil {
		return err
	}
	if o.limit > 0 {
		reqs = reqs[:min(o.limit, len(reqs))]
	}
	targets, err := a.findTargets(ctx, o.projectOptions)
	if err != nil {
		return err
	}
	state, err := a.stateDir()
	if err != nil {
		return err
	}
	b := &bench{app: a, o: o, all: len(reqs) * len(targets), logs: filepath.Join(state, "runs", "bench-"+time.Now().UTC().Format("20060102-150405.000"))}
	if b.cfg, err = a.pipelineConfig(ctx, o.projectOptions, func(e pipeline.Event) {
		if a.global.verbose {
			a.say("%s", plainLine(shown{e, true}, true))
		}
	}); err != nil {
		return err
	}
	if b.kept, err = openBenchResults(filepath.Join(state, "bench"), o); err != nil {
		return err
	}
	defer b.kept.close()
	for _, t := range targets {
		if err := b.target(ctx, t, reqs); err != nil {
			return err
		}
	}
	return b.tell(targets, reqs)
}

// target does all packages on one target.
func (b *bench) target(ctx context.Context, t target.Target, reqs []reqfile.Requirement) error {
	var left []reqfile.Requirement
	for _, req := range reqs {
		if _, ok := b.kept.get(t.Name, req.Text); ok {
			b.mu.Lock()
			b.done++
			b.mu.Unlock()
			continue
		}
		left = append(left, req)
	}
	if b.o.together {
		if len(left) == 0 {
			return nil
		}
		return b.try(ctx, t, reqs) // the set is one, whatever is known of its members
	}
	var group errgroup.Group
	group.SetLimit(max(1, cmp.Or(b.o.jobs, runtime.NumCPU())))
	for _, req := range left {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return b.try(ctx, t, []reqfile.Requirement{req})
		})
	}
	return group.Wait()
}

// try builds reqs as one set and keeps what became of each. Its error ends the whole.
func (b *bench) try(ctx context.Context, t target.Target, reqs []reqfile.Requirement) error {
	limited, cancel := context.WithTimeout(ctx, b.o.perPackage*time.Duration(len(reqs)))
	defer cancel()
	cfg := b.cfg
	cfg.Target = t
	p, err := pipeline.New(cfg)
	if err != nil {
		return err
	}
	defer p.Close()
	started := time.Now()
	trial, err := p.Try(limited, reqs, filepath.Join(b.logs, t.Name, reqs[0].Key()))
	took := time.Since(started).Seconds()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case limited.Err() != nil:
		err = fmt.Errorf("%s and what it needs were not done after %s: %w", reqs[0].Text, seconds(took), context.DeadlineExceeded)
	case slices.Contains([]string{pipeline.WordMissingTool, pipeline.WordDisk}, pipeline.FailureWord(err)):
		return err // so it would be for every other
	}
	for _, req := range reqs {
		r := resultOf(req, trial, err)
		r.Target, r.Seconds = t.Name, took
		if err := b.note(r); err != nil {
			return err
		}
	}
	return nil
}

// note keeps and shows a result.
func (b *bench) note(r benchPackage) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done++
	b.app.say("[%d/%d] %-6s %s %s on %s in %s, %d built, %d reused%s", b.done, b.all, r.State, r.Name, r.Version, r.Target, seconds(r.Seconds), r.Built, r.Reused, r.why())
	return b.kept.put(r)
}

func (r benchPackage) why() string {
	if r.State != benchFailed {
		return ""
	}
	what := r.Cause
	if r.Root != "" {
		what += " of " + r.Root
	}
	return ": " + what + ": " + firstLine(r.Message)
}

// resultOf says what became of one requirement; err is why there are no, or not all, outcomes.
func resultOf(req reqfile.Requirement, trial pipeline.Trial, err error) benchPackage {
	r := benchPackage{Name: req.Text, State: benchReused}
	var own, failed *pipeline.Outcome
	for _, o := range trial.Outcomes {
		switch o.State {
		case pipeline.StateBuilt:
			r.Built++
			r.State = benchBuilt
		case pipeline.StateReused, pipeline.StateDistro:
			r.Reused++
		case pipeline.StateFailed:
			if failed == nil {
				failed = o
			}
		}
		if o.Name == req.Key() && o.Runtime {
			own = o
		}
	}
	if own != nil {
		r.Version = own.Version
	} else if trial.Lock != nil {
		for _, l := range trial.Lock.Packages {
			if l.Name == req.Key() {
				r.Version = l.Version
			}
		}
	}
	if own != nil && own.State == pipeline.StateFailed {
		failed = own
	}
	switch {
	case err != nil:
		r.State, r.Cause, r.Message = benchFailed, pipeline.FailureWord(err), err.Error()
	case failed != nil:
		r.State, r.Cause, r.Message, r.Log = benchFailed, failed.Word(), failed.Cause, failed.Log
		if failed != own {
			r.Root = failed.Name + " " + failed.Version
		}
	}
	return r
}

// tell prints the table, or the one document.
func (b *bench) tell(targets []target.Target, reqs []reqfile.Requirement) error {
	totals := benchTotals{Causes: map[string]int{}}
	list := []benchPackage{}
	for _, t := range targets {
		for _, req := range reqs {
			r, ok := b.kept.get(t.Name, req.Text)
			if !ok {
				continue
			}
			list = append(list, r)
			totals.add(r)
		}
	}
	if b.app.global.json {
		if err := b.app.printJSON(struct {
			Packages []benchPackage `json:"packages"`
			Totals   benchTotals    `json:"totals"`
		}{list, totals}); err != nil {
			return err
		}
	} else {
		rows := [][]string{{"PACKAGE", "VERSION", "TARGET", "STATE", "BUILT", "REUSED", "TIME", "WHY"}}
		for _, r := range list {
			rows = append(rows, []string{r.Name, r.Version, r.Target, r.State, fmt.Sprint(r.Built), fmt.Sprint(r.Reused), seconds(r.Seconds), strings.TrimPrefix(r.why(), ": ")})
		}
		b.app.table(rows)
		b.app.say("%d packages: %d built, %d reused, %d failed%s; %d builds", totals.Packages, totals.Built, totals.Reused, totals.Failed, causesText(totals.Causes), totals.Builds)
	}
	if totals.Failed > 0 {
		return silent{errBuilds}
	}
	return nil
}

func (t *benchTotals) add(r benchPackage) {
	t.Packages++
	t.Builds += r.Built
	t.Seconds += r.Seconds
	switch r.State {
	case benchBuilt:
		t.Built++
	case benchReused:
		t.Reused++
	default:
		t.Failed++
		t.Causes[r.Cause]++
	}
}

func causesText(causes map[string]int) string {
	var parts []string
	for _, word := range sortedKeys(causes) {
		parts = append(parts, fmt.Sprintf("%d %s", causes[word], word))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// readPackageList reads requirements by name, each name once.
func readPackageList(path string) ([]reqfile.Requirement, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usagef("--list: %w", err)
	}
	defer f.Close()
	var list []reqfile.Requirement
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		req, err := pep508.Parse(text)
		if err == nil && req.URL != "" {
			err = errors.New("only names of packages of the index, with versions")
		}
		if err == nil && slices.ContainsFunc(list, func(r reqfile.Requirement) bool { return r.Key() == req.Key() }) {
			err = fmt.Errorf("%s is there twice", req.Key())
		}
		if err != nil {
			return nil, usagef("%s:%d: %w", path, n, err)
		}
		list = append(list, reqfile.Requirement{Requirement: req, Position: reqfile.Position{File: path, Line: n}, Text: text})
	}
	if err := lines.Err(); err != nil {
		return nil, usagef("--list %s: %w", path, err)
	}
	if len(list) == 0 {
		return nil, usagef("--list %s names no package", path)
	}
	return list, nil
}

// benchResults are kept in a file, one line a result; the last line of a package counts.
type benchResults struct {
	mu    sync.Mutex
	known map[string]benchPackage
	file  *os.File
}

// openBenchResults reads what earlier runs with the same question found.
func openBenchResults(dir string, o *benchPackagesOptions) (*benchResults, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	name := "packages"
	if o.together {
		name = "packages-together"
	}
	if o.excludeNewer != "" {
		name += "-" + strings.NewReplacer("/", "", ":", "").Replace(o.excludeNewer)
	}
	path := filepath.Join(dir, name+".jsonl")
	k := &benchResults{known: map[string]benchPackage{}}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(data)) {
		var r benchPackage
		if json.Unmarshal([]byte(line), &r) != nil || o.again || o.retry && r.State == benchFailed {
			continue // half a line is what a killed run leaves
		}
		k.known[r.Target+" "+r.Name] = r
	}
	k.file, err = os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	return k, err
}

func (k *benchResults) get(targetName, text string) (benchPackage, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r, ok := k.known[targetName+" "+text]
	return r, ok
}

// put keeps a result; one that says nothing of the package is not kept for later runs.
func (k *benchResults) put(r benchPackage) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known[r.Target+" "+r.Name] = r
	if r.Cause == pipeline.WordIndex {
		return nil
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = k.file.Write(append(line, '\n'))
	return err
}

func (k *benchResults) close() { k.file.Close() }
