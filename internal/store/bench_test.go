package store_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// eachBench runs a benchmark on both databases.
func eachBench(b *testing.B, bench func(b *testing.B, s *store.Store)) {
	b.Run("sqlite", func(b *testing.B) { bench(b, storetest.Open(b, filepath.Join(b.TempDir(), "reqpm.db"))) })
	b.Run("postgres", func(b *testing.B) { bench(b, storetest.Open(b, storetest.Postgres(b))) })
}

// fill makes n builds of 20 projects and three targets, in 200 runs: half of them ready, half waiting
// for one. So few builds and many are in as many lanes, which every claim looks at.
func fill(b testing.TB, s *store.Store, n int) {
	b.Helper()
	var projects []store.Project
	for i := range 20 {
		projects = append(projects, project(b, s, fmt.Sprintf("project%d", i)))
	}
	per := n / 200
	for done := 0; done < n; done += per {
		var steps []store.NewStep
		for i := range per {
			step := build(fmt.Sprintf("package%d", i), float64(i%97))
			step.Target = []string{"el8", "el9", "el10"}[done/per%3]
			if i%2 == 1 {
				step.Needs = []string{fmt.Sprintf("package%d", i-1)}
			}
			steps = append(steps, step)
		}
		run(b, s, projects[done/per%20].ID, steps...)
	}
}

// BenchmarkDispatch is a claim and a finish, with few and with many builds queued: many may cost 20 % more.
func BenchmarkDispatch(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			eachBench(b, func(b *testing.B, s *store.Store) {
				fill(b, s, n)
				if err := s.Tune(b.Context()); err != nil {
					b.Fatal(err)
				}
				w := worker(b, s, "w")
				for b.Loop() {
					step := claim(b, s, w)
					if step.ID == 0 {
						b.Fatal("nothing left to claim")
					}
					finish(b, s, step, store.Succeeded)
				}
			})
		})
	}
}

// BenchmarkLists reads pages of 100,000 builds; p95 may be 100 ms.
func BenchmarkLists(b *testing.B) {
	eachBench(b, func(b *testing.B, s *store.Store) {
		fill(b, s, 100_000)
		w := worker(b, s, "w")
		for i := range 50 {
			finish(b, s, claim(b, s, w), []store.StepState{store.Failed, store.Succeeded}[i%2])
		}
		if err := s.Tune(b.Context()); err != nil {
			b.Fatal(err)
		}
		builds := []store.Kind{store.Build}
		for name, f := range map[string]store.StepFilter{
			"all": {Kinds: builds}, "project": {Kinds: builds, Project: 7}, "failed": {Kinds: builds, States: []store.StepState{store.Failed}}, "blocked or failed of a project": {Kinds: builds, Project: 1, States: []store.StepState{store.Failed, store.Blocked}},
			"package": {Kinds: builds, Package: "package77"}, "run": {Kinds: builds, Run: 3}, "target": {Kinds: builds, Target: "el8"}, "cancelled of a project": {Kinds: builds, Project: 3, States: []store.StepState{store.Cancelled}},
		} {
			for _, sort := range []string{"", "package"} {
				b.Run(name+" "+sort, func(b *testing.B) {
					var times []time.Duration
					var cursor string
					for b.Loop() {
						begin := time.Now()
						part, err := s.Steps(b.Context(), f, store.Page{Limit: 100, Cursor: cursor, Sort: sort})
						if err != nil {
							b.Fatal(err)
						}
						times = append(times, time.Since(begin))
						cursor = part.Next
					}
					slices.Sort(times)
					b.ReportMetric(float64(times[len(times)*95/100].Microseconds())/1000, "p95-ms")
				})
			}
		}
		b.Run("counts of 50 runs", func(b *testing.B) {
			var runs []int64
			for i := range 50 {
				runs = append(runs, int64(i+1))
			}
			for b.Loop() {
				if _, err := s.StepCounts(b.Context(), store.Build, runs); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}
