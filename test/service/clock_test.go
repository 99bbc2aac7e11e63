package service

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// clocks are the columns with times, by table.
var clocks = map[string][]string{
	"runs": {"created", "started", "finished"}, "steps": {"retry_at", "created", "ready", "started", "finished"}, "attempts": {"started", "finished"}, "events": {"at"},
	"workers": {"beat", "started"}, "schedules": {"next", "running_until", "last_started", "last_finished"}, "tokens": {"created", "last_used"}, "projects": {"created", "updated"},
	"durations": {"at"}, "log_entries": {"at"}, "artifacts": {"created"},
}

// The clock jumps by an hour in the middle of a run, forward and back: nobody loses what he works at, nothing is done
// twice, schedules are not run again and again, and lists are whole. A process's clock cannot be set for it alone, so
// everything that was written down gets older or younger by an hour: the same, seen from the clock.
func TestClockJumps(t *testing.T) {
	needQuick(t)
	storetest.Each(t, func(t *testing.T, database string) {
		b := newQuickBed(t, database)
		b.serve()
		b.makeToken()
		must(t, os.WriteFile(filepath.Join(b.dir, slowFile), []byte("300ms"), 0o644))
		var runs []int64
		for i, jump := range []time.Duration{time.Hour, -time.Hour} {
			run := b.project(i)
			runs = append(runs, run)
			b.untilBuilding()
			had := b.starts()
			b.jump(-jump)
			b.succeeds(run)
			for name, n := range b.starts() {
				if n > had[name]+1 {
					t.Errorf("after a jump of %v the schedule %s ran %d times", jump, name, n-had[name])
				}
			}
		}
		for i, run := range runs {
			b.checkAttempts(run)
			project := fmt.Sprintf("p%d", i)
			r, err := b.store.Run(t.Context(), run)
			must(t, err)
			snapshots, err := b.store.Snapshots(t.Context(), r.Project, "local", store.Page{})
			must(t, err)
			if len(snapshots.Items) != 1 {
				t.Errorf("%s was published %d times", project, len(snapshots.Items))
			}
		}
		b.checkBuiltOnce()
		for _, list := range []string{"/api/v1/runs?sort=created", "/api/v1/runs?sort=-created", "/api/v1/runs"} {
			b.checkPages(list, runs)
		}
	})
}

// jump makes everything that is written down older by d.
func (b *bed) jump(d time.Duration) {
	b.t.Helper()
	rewrite := func(exec func(string, ...any) error) error {
		for table, columns := range clocks {
			for _, c := range columns {
				if err := exec(fmt.Sprintf("UPDATE %s SET %[2]s = %[2]s + $1 WHERE %[2]s > 0", table, c), d.Milliseconds()); err != nil {
					return fmt.Errorf("%s.%s: %w", table, c, err)
				}
			}
		}
		return nil
	}
	err := storetest.Rewrite(b.t.Context(), b.database, rewrite)
	// Nobody else changes all rows at once: PostgreSQL may end this transaction, whole, for a server's.
	for tries := 0; err != nil && strings.Contains(err.Error(), "deadlock detected") && tries < 10; tries++ {
		err = storetest.Rewrite(b.t.Context(), b.database, rewrite)
	}
	must(b.t, err)
}

// starts is how often each schedule was begun.
func (b *bed) starts() map[string]int64 {
	b.t.Helper()
	all, err := b.store.Schedules(b.t.Context())
	must(b.t, err)
	n := map[string]int64{}
	for _, s := range all {
		n[s.Name] = s.Starts
	}
	return n
}

// checkAttempts looks that each step of a run was done in one go.
func (b *bed) checkAttempts(run int64) {
	b.t.Helper()
	steps, err := b.store.RunSteps(b.t.Context(), run)
	must(b.t, err)
	for _, s := range steps {
		if s.State != store.Succeeded || s.Attempt != 1 {
			b.t.Errorf("%s is %s after %d attempts", s.Key, s.State, s.Attempt)
		}
	}
}

// checkPages reads a list one item at a time: each run once.
func (b *bed) checkPages(list string, runs []int64) {
	b.t.Helper()
	seen := map[int64]int{}
	next := ""
	for range len(runs) + 2 {
		var page struct {
			Items []run
			Next  string
		}
		path := list + "&limit=1&cursor=" + next
		if list == "/api/v1/runs" {
			path = list + "?limit=1&cursor=" + next
		}
		if status := b.ask(http.MethodGet, path, nil, &page); status != http.StatusOK {
			b.t.Fatalf("%s: status %d", path, status)
		}
		for _, r := range page.Items {
			seen[r.ID]++
		}
		if next = page.Next; next == "" {
			break
		}
	}
	for _, id := range runs {
		if seen[id] != 1 || len(seen) != len(runs) {
			b.t.Errorf("%s has run %d %d times, and %d runs of %d", list, id, seen[id], len(seen), len(runs))
		}
	}
}
