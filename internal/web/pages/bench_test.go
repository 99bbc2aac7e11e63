package pages

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/blob"
	"reqpm/internal/engine/makespan"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// full makes 99,000 builds of 20 projects in runs of 500, and one run of 1,000 packages, half of it done.
func full(b *testing.B, s *store.Store) (large store.Run) {
	b.Helper()
	write := func(fn func(tx *store.Tx) error) {
		b.Helper()
		if err := s.Write(b.Context(), fn); err != nil {
			b.Fatal(err)
		}
	}
	run := func(p store.Project, packages int, seed uint64) (r store.Run) {
		steps := makespan.Graph(rand.New(rand.NewPCG(1, seed)), packages)
		for i := range steps {
			steps[i].Key, steps[i].Target, steps[i].Labels = "build/el9/"+steps[i].Key, "el9", ""
			for j, need := range steps[i].Needs {
				steps[i].Needs[j] = "build/el9/" + need
			}
		}
		write(func(tx *store.Tx) (err error) {
			if r, _, err = tx.CreateRun(b.Context(), store.Run{Project: p.ID, Ref: "main", Targets: p.Targets, Reason: "pushed"}, false); err != nil {
				return err
			}
			return tx.AddSteps(b.Context(), r.ID, steps)
		})
		return r
	}
	var projects []store.Project
	for i := range 20 {
		write(func(tx *store.Tx) error {
			p, err := tx.CreateProject(b.Context(), store.Project{Name: fmt.Sprintf("project-%d", i), GitURL: "https://git.example.org/app", Targets: []string{"el9"}})
			projects = append(projects, p)
			return err
		})
	}
	for i := range 198 {
		run(projects[i%20], 500, uint64(i))
	}
	large = run(projects[0], 1000, 1000)
	var w store.Worker
	write(func(tx *store.Tx) (err error) {
		w, err = tx.AddWorker(b.Context(), store.Worker{Name: "builder", Host: "builder.example.org", Slots: 8, Lease: time.Minute})
		return err
	})
	for i := range 600 {
		write(func(tx *store.Tx) error {
			step, err := tx.ClaimStep(b.Context(), store.Claim{Worker: w.ID, WorkerName: w.Name, Kinds: []store.Kind{store.Build}})
			if err != nil || i >= 596 { // some are running
				return err
			}
			state := store.Succeeded
			if i%50 == 7 {
				state = store.Failed
			}
			_, err = tx.FinishStep(b.Context(), store.Finish{Step: step.ID, Attempt: step.Attempt, Worker: w.ID, State: state, Cause: "error: no such header"})
			return err
		})
	}
	if err := s.Tune(b.Context()); err != nil {
		b.Fatal(err)
	}
	return large
}

// BenchmarkPages is the time in which a server with 100,000 builds answers with each page; the first paint
// may be 200 ms after it was asked for.
func BenchmarkPages(b *testing.B) {
	for name, address := range map[string]func() string{
		"sqlite":   func() string { return filepath.Join(b.TempDir(), "reqpm.db") },
		"postgres": func() string { return storetest.Postgres(b) },
	} {
		b.Run(name, func(b *testing.B) {
			bed := &bed{t: b, store: storetest.Open(b, address())}
			var err error
			if bed.auth, err = auth.New(auth.Config{Store: bed.store}); err != nil {
				b.Fatal(err)
			}
			blobs, err := blob.OpenDir(filepath.Join(b.TempDir(), "blobs"))
			if err != nil {
				b.Fatal(err)
			}
			logs, err := blob.OpenLogs(filepath.Join(b.TempDir(), "logs"))
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = logs.Close() }()
			bed.pages = New(Config{Store: bed.store, Auth: bed.auth, Version: "test", Events: bed.events, Blobs: blobs, Logs: logs})
			large := full(b, bed.store)
			failed, err := bed.store.Steps(b.Context(), store.StepFilter{States: []store.StepState{store.Failed}}, store.Page{Limit: 1})
			if err != nil || len(failed.Items) == 0 {
				b.Fatal(failed, err)
			}
			token := bed.token(auth.Admin, 0)
			for page, path := range map[string]string{
				"dashboard": "/", "projects": "/projects", "project": projectPath("project-0"), "runs": projectPath("project-0") + "/runs", "packages": projectPath("project-0") + "/packages",
				"run of 1000": runPath(large.ID), "build": buildPath(failed.Items[0].ID), "queue": "/queue", "workers": "/workers", "schedules": "/schedules", "users": "/users", "audit": "/audit",
				"compare": runPath(large.ID) + "/compare",
			} {
				b.Run(page, func(b *testing.B) {
					var times []time.Duration
					size := 0
					for b.Loop() {
						begin := time.Now()
						w := bed.ask(token, http.MethodGet, path, nil)
						times = append(times, time.Since(begin))
						if size = w.Body.Len(); w.Code != http.StatusOK {
							b.Fatalf("%s: %d", path, w.Code)
						}
					}
					slices.Sort(times)
					b.ReportMetric(float64(times[len(times)*95/100].Microseconds())/1000, "p95-ms")
					b.ReportMetric(float64(size)/1024, "KiB")
				})
			}
		})
	}
}
