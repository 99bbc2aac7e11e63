package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"reqpm/internal/index"
	"reqpm/internal/pipeline"
	"reqpm/internal/replay"
)

func (a *app) newBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "bench", Short: "Measure ReqPM on this machine", Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.newBenchResolveCommand(), a.newBenchPackagesCommand(), a.newBenchScheduleCommand())
	return cmd
}

// benchResolveOptions are the flags of bench resolve.
type benchResolveOptions struct {
	projectOptions
	recordTo, replayFrom string
	latency              time.Duration
	turns                int
}

func (a *app) newBenchResolveCommand() *cobra.Command {
	var o benchResolveOptions
	cmd := &cobra.Command{
		Use:   "resolve [DIR]",
		Short: "Time a resolution: from nothing, and again",
		Long: `Resolve a project several times, each time from an empty state directory (cold) and once more on
what that left behind, offline (warm), each in a process of its own. With --replay the index
is a recording on a loopback address, so that only the machine and ReqPM make the difference.`,
		Example: `  reqpm bench resolve ./checkout -r requirements.txt --record recording
  reqpm bench resolve ./checkout -r requirements.txt --replay recording --latency 20ms --json
  reqpm bench resolve ./checkout -r requirements.txt --turns 5`,
		Args: maxOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runBenchResolve(cmd.Context(), &o, cmp.Or(firstArg(args), "."))
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&o.files, "requirement", "r", nil, "requirement file in the folder; repeatable (default: found by itself)")
	f.StringArrayVarP(&o.constraints, "constraint", "c", nil, "constraint file in the folder; repeatable")
	f.StringVar(&o.python, "python", "", "resolve for Python X.Y in place of this machine's own")
	f.StringVarP(&o.indexURL, "index-url", "i", "", "package index (default: ReqPM's configuration, then pip's)")
	f.StringVar(&o.excludeNewer, "exclude-newer", "", "ignore files uploaded after this date (RFC 3339 or YYYY-MM-DD)")
	f.StringVar(&o.recordTo, "record", "", "write what the index says into this folder, and measure nothing")
	f.StringVar(&o.replayFrom, "replay", "", "take this recording for the index")
	f.DurationVar(&o.latency, "latency", 0, "how long each answer of a replayed index takes")
	f.IntVar(&o.turns, "turns", 3, "how many times to measure")
	return cmd
}

func (a *app) runBenchResolve(ctx context.Context, o *benchResolveOptions, where string) error {
	if o.turns < 1 || o.latency < 0 {
		return usagef("--turns must be at least 1, and --latency not negative")
	}
	if o.recordTo != "" && o.replayFrom != "" {
		return usagef("--record and --replay exclude each other")
	}
	if o.recordTo != "" {
		return a.recordResolve(ctx, o, where)
	}
	var server *replay.Server
	if o.replayFrom != "" {
		var err error
		if server, err = replay.Serve(o.replayFrom, o.latency); err != nil {
			return usageError{err}
		}
		defer server.Close()
		o.indexURL = server.URL
	}
	var result benchResult
	for turn := range o.turns {
		if err := a.benchTurn(ctx, o, where, server, &result); err != nil {
			return fmt.Errorf("turn %d: %w", turn+1, err)
		}
	}
	result.sum()
	if a.global.json {
		return a.printJSON(result)
	}
	rows := [][]string{{"", "MEDIAN", "LEAST", "MOST", "MEMORY", "PAGES", "FILES"}}
	for _, side := range []struct {
		name string
		*benchSide
	}{{"cold", &result.Cold}, {"warm", &result.Warm}} {
		rows = append(rows, []string{side.name, inSeconds(side.Seconds.Median), inSeconds(side.Seconds.Min), inSeconds(side.Seconds.Max),
			fmt.Sprintf("%d MB", side.MemoryMB), counted(side.Pages), counted(side.Files)})
	}
	a.table(rows)
	a.say("%d packages, %d turns", result.Packages, result.Turns)
	return nil
}

func inSeconds(s float64) string { return fmt.Sprintf("%.2f s", s) }

func counted(n *int64) string {
	if n == nil {
		return "?"
	}
	return fmt.Sprint(*n)
}

// benchResult is the answer of bench resolve --json. Times are seconds of whole processes, memory
// is the most that any of them held at once; pages and files are requests that a replayed
// index got in the last turn.
type benchResult struct {
	Packages int       `json:"packages"`
	Turns    int       `json:"turns"`
	Cold     benchSide `json:"cold"`
	Warm     benchSide `json:"warm"`
}

type benchSide struct {
	Seconds  spread `json:"seconds"`
	MemoryMB int64  `json:"memory_mb"`
	Pages    *int64 `json:"pages"` // null: not counted
	Files    *int64 `json:"files"`

	all []float64
}

type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func (r *benchResult) sum() {
	for _, side := range []*benchSide{&r.Cold, &r.Warm} {
		slices.Sort(side.all)
		side.Seconds = spread{Median: side.all[len(side.all)/2], Min: side.all[0], Max: side.all[len(side.all)-1]}
	}
	r.Turns = len(r.Cold.all)
}

// benchTurn measures once, cold and warm.
func (a *app) benchTurn(ctx context.Context, o *benchResolveOptions, where string, server *replay.Server, result *benchResult) error {
	state, err := os.MkdirTemp("", "reqpm-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(state)
	for _, side := range []struct {
		*benchSide
		more []string
	}{{&result.Cold, nil}, {&result.Warm, []string{"--offline"}}} {
		if result.Packages, err = a.benchOnce(ctx, append(o.arguments(where, state), side.more...), side.benchSide); err != nil {
			return err
		}
		if server != nil {
			asked := server.Requests()
			side.Pages, side.Files = &asked.Pages, &asked.Files
		}
	}
	return nil
}

// arguments are those of the resolve command that is measured.
func (o *benchResolveOptions) arguments(where, state string) []string {
	args := []string{"resolve", where, "--state", state, "--no-project", "--json"}
	add := func(flag string, values ...string) {
		for _, v := range values {
			if v != "" {
				args = append(args, flag, v)
			}
		}
	}
	add("-r", o.files...)
	add("-c", o.constraints...)
	add("--python", o.python)
	add("-i", o.indexURL)
	add("--exclude-newer", o.excludeNewer)
	return args
}

// benchOnce runs this program once more, and returns how many packages it resolved.
func (a *app) benchOnce(ctx context.Context, args []string, side *benchSide) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	var out, trouble bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &trouble
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	begin := time.Now()
	err = cmd.Run()
	side.all = append(side.all, time.Since(begin).Seconds())
	if err != nil {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return 0, &childError{cmd.ProcessState.ExitCode(), fmt.Errorf("%w: %s", err, bytes.TrimSpace(trouble.Bytes()))}
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		side.MemoryMB = max(side.MemoryMB, usage.Maxrss/1024)
	}
	var doc struct {
		Targets []struct{ Packages []struct{ Name string } }
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil || len(doc.Targets) != 1 {
		return 0, fmt.Errorf("the resolve command did not answer with one target: %.200q", out.Bytes())
	}
	return len(doc.Targets[0].Packages), nil
}

// childError is how the command that was measured ended.
type childError struct {
	code int
	error
}

func (e *childError) Unwrap() error { return e.error }

// recordResolve resolves once and keeps what the index said.
func (a *app) recordResolve(ctx context.Context, o *benchResolveOptions, where string) error {
	state, err := os.MkdirTemp("", "reqpm-record-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(state)
	a.global.state = state // what was learned before would not be asked for, and be missing in the recording
	dir, err := filepath.Abs(o.recordTo)
	if err != nil {
		return err
	}
	a.record = func(from index.Reader) (index.Reader, error) { return replay.NewRecorder(from, dir) }
	o.noProject, o.targets = true, []string{"local"}
	session, err := a.resolveAll(ctx, &o.projectOptions, where)
	if err != nil {
		return err
	}
	defer session.close()
	if err := session.verdict(); err != nil {
		if pipeline.NoSolution(err) { // a recording of that is a recording, too
			a.say("recorded into %s", dir)
		}
		return err
	}
	a.say("recorded into %s: %d packages", dir, len(session.answers[0].Prepared.Lock.Packages))
	return nil
}
