package service_test

import (
	"strings"
	"testing"

	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// A new commit makes one run, of projects that ask for it; a server that does not answer keeps no other
// project waiting, and is told of.
func TestSync(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBed(t, url)
		dir, commit := repository(t)
		first := commit()
		follows := b.project(store.Project{Name: "follows", GitURL: dir, Sync: true, LastCommit: first})
		still := b.project(store.Project{Name: "still", GitURL: dir, LastCommit: first})
		b.must(service.ScheduleSync, "looked at 1 project, started 0 runs")
		second := commit()
		b.must(service.ScheduleSync, "started 1 run: follows")
		if runs := b.runs(follows.ID); len(runs) != 1 || !strings.Contains(runs[0].Reason, second[:12]) || runs[0].State != store.RunQueued {
			t.Errorf("%+v", runs)
		}
		if said := b.said(follows.ID); !strings.Contains(said, "info sync: trunk has a new commit "+second[:12]+": run 1") {
			t.Errorf("%s", said)
		}
		commit()
		b.must(service.ScheduleSync, "started 0 runs") // the run that waits will take it
		if n := len(b.runs(follows.ID)) + len(b.runs(still.ID)); n != 1 {
			t.Errorf("%d runs", n)
		}
		gone := b.project(store.Project{Name: "gone", GitURL: dir + "-gone", Sync: true})
		alone := b.project(store.Project{Name: "tidy", GitURL: dir, Sync: true})
		text, err := b.schedule(service.ScheduleSync)
		if err == nil || !strings.Contains(err.Error(), "gone: ") || !strings.Contains(text, "looked at 3 projects, started 1 run: tidy") {
			t.Errorf("%q %v", text, err)
		}
		if said := b.said(gone.ID); !strings.HasPrefix(said, "warning sync: ") {
			t.Errorf("%s", said)
		}
		if runs := b.runs(alone.ID); len(runs) != 1 {
			t.Errorf("%+v", runs)
		}
	})
}

// What should never be stuck and is goes on; a run without steps gets its chain.
func TestResume(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBed(t, url)
		p := b.project(store.Project{Name: "app", GitURL: "https://git.example.org/app"})
		b.run(p)
		b.must(service.ScheduleResume, "nothing was stuck")
		var r store.Run
		b.write(func(tx *store.Tx) (err error) {
			r, _, err = tx.CreateRun(t.Context(), store.Run{Project: p.ID, Targets: []string{"el9"}}, false)
			return err
		})
		b.must(service.ScheduleResume, "began 1 run that had no steps")
		if steps, err := b.store.RunSteps(t.Context(), r.ID); err != nil || len(steps) != 5 {
			t.Errorf("%v %v", steps, err)
		}
	})
}
