package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"reqpm/internal/engine/makespan"
	"reqpm/internal/store"
)

// benchScheduleOptions are the flags of bench schedule.
type benchScheduleOptions struct {
	graphs, packages int
	slots            []int
	db, database     string
	second           time.Duration
	seed             uint64
}

func (a *app) newBenchScheduleCommand() *cobra.Command {
	var o benchScheduleOptions
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "Time the service's order of builds against the best that can be",
		Long: `Run random graphs of builds that only wait through the service's engine, and compare the time from
the first to the last with max(critical path, work ÷ slots), which no order can beat; and say how long
builds waited that could have begun, since what they need had ended and a slot was free. Builds of 2
seconds to 10 minutes are imitated, most of some 20 seconds, in time-lapse (--second).`,
		Example: `  reqpm bench schedule --graphs 3 --packages 50 --slots 2,4
  reqpm bench schedule --graphs 40 --packages 300 --slots 2,4,8,16 --db sqlite --json
  reqpm bench schedule --db postgres --database postgres://reqpm@localhost/scratch`,
		Args: usageOf(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runBenchSchedule(cmd.Context(), &o) },
	}
	f := cmd.Flags()
	f.IntVar(&o.graphs, "graphs", 5, "how many graphs")
	f.IntVar(&o.packages, "packages", 100, "builds in each graph")
	f.IntSliceVar(&o.slots, "slots", []int{2, 4, 8, 16}, "builds at once; each graph is run with each number")
	f.StringVar(&o.db, "db", "sqlite", "sqlite, in a file made for it, or postgres")
	f.StringVar(&o.database, "database", "", "address of an empty PostgreSQL database (default: PostgreSQL's own variables, PGHOST and the like)")
	f.DurationVar(&o.second, "second", 5*time.Millisecond, "how long a second of a build takes")
	f.Uint64Var(&o.seed, "seed", 1, "which graphs")
	return cmd
}

// benchScheduleResult is the answer of bench schedule --json: time taken ÷ least time possible, and
// milliseconds from the moment a build could begin to the moment it did.
type benchScheduleResult struct {
	Database string             `json:"database"`
	Graphs   int                `json:"graphs"`
	Packages int                `json:"packages"`
	Ratio    makespan.Spread    `json:"ratio"`
	WaitMS   makespan.Spread    `json:"wait_ms"`
	Slots    []benchSlotsResult `json:"slots"`
}

type benchSlotsResult struct {
	Slots  int             `json:"slots"`
	Ratio  makespan.Spread `json:"ratio"`
	WaitMS makespan.Spread `json:"wait_ms"`
}

func (a *app) runBenchSchedule(ctx context.Context, o *benchScheduleOptions) error {
	if o.graphs < 1 || o.packages < 1 || o.second <= 0 || len(o.slots) == 0 {
		return usagef("--graphs, --packages and --second must be more than 0, and --slots have a number")
	}
	for _, n := range o.slots {
		if n < 1 {
			return usagef("--slots: %d is no number of slots", n)
		}
	}
	s, done, err := openBenchDatabase(ctx, o)
	if err != nil {
		return err
	}
	defer done()
	runs, err := makespan.Measure(ctx, makespan.Config{Store: s, Graphs: o.graphs, Packages: o.packages, Slots: o.slots, Second: o.second, Seed: o.seed, Report: func(r makespan.Run) {
		a.say("graph %d on %d slots: %s, at least %s: %.3f", r.Graph+1, r.Slots, inSeconds(r.Makespan.Seconds()), inSeconds(r.Bound.Seconds()), r.Ratio())
	}})
	if errors.Is(err, makespan.ErrNotEmpty) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	result := benchScheduleResult{Database: s.Name(), Graphs: o.graphs, Packages: o.packages, Ratio: makespan.Ratios(runs), WaitMS: makespan.Waits(runs)}
	rows := [][]string{{"SLOTS", "MEDIAN", "P95", "MOST", "WAIT MEDIAN", "P95", "MOST"}}
	row := func(name string, r, w makespan.Spread) {
		rows = append(rows, []string{name, fmt.Sprintf("%.3f", r.Median), fmt.Sprintf("%.3f", r.P95), fmt.Sprintf("%.3f", r.Max),
			fmt.Sprintf("%.0f ms", w.Median), fmt.Sprintf("%.0f ms", w.P95), fmt.Sprintf("%.0f ms", w.Max)})
	}
	for _, n := range o.slots {
		var some []makespan.Run
		for _, r := range runs {
			if r.Slots == n {
				some = append(some, r)
			}
		}
		result.Slots = append(result.Slots, benchSlotsResult{n, makespan.Ratios(some), makespan.Waits(some)})
		row(fmt.Sprint(n), makespan.Ratios(some), makespan.Waits(some))
	}
	row("all", result.Ratio, result.WaitMS)
	if a.global.json {
		return a.printJSON(result)
	}
	a.table(rows)
	return nil
}

// openBenchDatabase opens the database that is measured on, and says how to leave it.
func openBenchDatabase(ctx context.Context, o *benchScheduleOptions) (*store.Store, func(), error) {
	url, dir := o.database, ""
	switch {
	case o.db == "sqlite" && url == "":
		var err error
		if dir, err = os.MkdirTemp("", "reqpm-bench-"); err != nil {
			return nil, nil, err
		}
		url = filepath.Join(dir, "reqpm.db")
	case o.db == "postgres" && url == "":
		url = "postgres://"
	case o.db != "postgres":
		return nil, nil, usagef("--db is sqlite, or postgres with or without --database; not %q", o.db)
	}
	s, err := store.Open(ctx, store.Config{URL: url})
	if err != nil {
		if dir != "" {
			os.RemoveAll(dir)
		}
		return nil, nil, err
	}
	return s, func() {
		_ = s.Close() // of a database that is given up
		if dir != "" {
			os.RemoveAll(dir)
		}
	}, nil
}
