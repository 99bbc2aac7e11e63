package service_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reqpm/internal/blob"
	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// keptRun makes a run that ended, with a log of its only step, a lock, a spec with a revision, and a result of a build.
func (b *bed) keptRun(p store.Project, worker store.Worker, key string) store.Run {
	b.t.Helper()
	ctx := b.t.Context()
	var r store.Run
	var step store.Step
	b.write(func(tx *store.Tx) (err error) {
		if r, _, err = tx.CreateRun(ctx, store.Run{Project: p.ID, Targets: []string{"el9"}}, false); err != nil {
			return err
		}
		if err = tx.AddSteps(ctx, r.ID, []store.NewStep{{Key: "build", Kind: store.Build, Package: "a==1"}}); err != nil {
			return err
		}
		if step, err = tx.ClaimStep(ctx, store.Claim{Worker: worker.ID, WorkerName: worker.Name, Kinds: []store.Kind{store.Build}}); err != nil {
			return err
		}
		_, err = tx.FinishStep(ctx, store.Finish{Step: step.ID, Attempt: step.Attempt, Worker: worker.ID, State: store.Succeeded})
		return err
	})
	log, err := b.logs.Create(store.LogName(r.ID, step.ID, 1))
	if err == nil {
		_, err = log.Write([]byte("it was built\n"))
		err = errors.Join(err, log.Close())
	}
	dir := filepath.Join(b.state, "runs", fmt.Sprint(r.ID))
	err = errors.Join(err, os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "build.log"), []byte("1234567"), 0o644))
	spec := fmt.Sprintf("runs/%d/el9/specs/a==1/a.spec", r.ID)
	for _, name := range []string{fmt.Sprintf("runs/%d/el9/lock.toml", r.ID), spec, "builds/" + key + "/a.rpm", "builds/" + key + "/result.json"} {
		_, putErr := b.blobs.Put(ctx, name, strings.NewReader("text"))
		err = errors.Join(err, putErr)
	}
	_, artErr := b.store.PutArtifact(ctx, store.Artifact{Run: r.ID, Step: step.ID, Kind: "rpm", Name: "a.rpm", Blob: "builds/" + key + "/a.rpm", Size: 4})
	_, revErr := b.store.AddSpecRevision(ctx, store.SpecRevision{Project: p.ID, Target: "el9", Package: "a==1", Blob: spec})
	if err := errors.Join(err, artErr, revErr); err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *bed) has(name string, want bool) {
	b.t.Helper()
	_, err := b.blobs.Stat(b.t.Context(), name)
	if err != nil && !errors.Is(err, blob.ErrNotFound) || (err == nil) != want {
		b.t.Errorf("%s: %v, wanted there: %v", name, err, want)
	}
}

func (b *bed) hasLog(run store.Run, want bool) {
	b.t.Helper()
	n := 0
	for _, err := range b.logs.List(b.t.Context(), fmt.Sprintf("runs/%d/", run.ID)) {
		if err != nil {
			b.t.Fatal(err)
		}
		n++
	}
	if (n > 0) != want {
		b.t.Errorf("run %d has %d logs", run.ID, n)
	}
}

// Nights of a project with three runs: what the settings do not keep goes, as the preview says; a result that a kept run shares
// stays, one that nobody has goes a night later, and not if it was used again.
func TestCleanBuilds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBed(t, url)
		b.now = time.Now()
		p := b.project(store.Project{Name: "app", GitURL: "https://git.example.org/app"})
		var w store.Worker
		b.write(func(tx *store.Tx) (err error) {
			w, err = tx.AddWorker(t.Context(), store.Worker{Name: "one", Slots: 1})
			return err
		})
		alone, shared, newest := b.keptRun(p, w, "alone"), b.keptRun(p, w, "shared"), b.keptRun(p, w, "shared")
		deleted := b.project(store.Project{Name: "deleted", GitURL: "https://git.example.org/deleted"})
		lost := b.keptRun(deleted, w, "again")
		if err := b.store.DeleteProject(t.Context(), deleted.ID); err != nil {
			t.Fatal(err)
		}
		night := func(days int) { b.now = b.now.AddDate(0, 0, days) }

		b.must(service.ScheduleBuilds, "removed 0 runs, the logs of 0 runs more, 0 results") // all is young
		b.hasLog(lost, true)
		b.must(service.ScheduleBuilds, "removed 0 runs")
		b.has("builds/again/a.rpm", true) // a mark of this night

		night(40) // the logs go first
		would, err := b.service.Preview(t.Context(), service.ScheduleBuilds)
		if err != nil || would.Count != 3 || would.Items[0].Kind != "logs" || would.Items[0].Name != "app/1" || would.Items[2].Name != "again" || would.Bytes == 0 {
			t.Errorf("preview: %+v %v", would, err)
		}
		if err := b.service.UseBuilds(t.Context(), "again"); err != nil { // a build takes what another project left
			t.Fatal(err)
		}
		b.must(service.ScheduleBuilds, "the logs of 2 runs more, 0 results of builds that no run needs")
		b.hasLog(alone, false)
		b.hasLog(newest, true)
		b.hasLog(lost, false)
		b.has("builds/again/a.rpm", true)
		if _, err := os.Stat(filepath.Join(b.state, "runs", fmt.Sprint(alone.ID))); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("what its builds left here: %v", err)
		}

		night(1)
		b.must(service.ScheduleBuilds, "1 result of builds")
		b.has("builds/again/a.rpm", false)
		b.has("builds/again/result.json", false)

		b.write(func(tx *store.Tx) error {
			return service.NewSettingsBase().Change(t.Context(), tx, service.SettingsChange{"retention_runs": json.RawMessage("1")})
		})
		would, err = b.service.Preview(t.Context(), service.ScheduleBuilds)
		if err != nil || would.Count != 3 || would.Items[0].Kind != "run" || would.Items[2].Kind != "result" || would.Items[2].Name != "alone" {
			t.Errorf("preview: %+v %v", would, err)
		}
		b.must(service.ScheduleBuilds, "removed 2 runs")
		b.has("builds/alone/a.rpm", true)
		night(1)
		b.must(service.ScheduleBuilds, "removed 0 runs, the logs of 0 runs more, 1 result")
		b.has("builds/alone/a.rpm", false)
		b.has("builds/shared/a.rpm", true)
		b.has(fmt.Sprintf("runs/%d/el9/lock.toml", alone.ID), false)
		b.has(fmt.Sprintf("runs/%d/el9/specs/a==1/a.spec", shared.ID), true) // a revision names it
		b.has(fmt.Sprintf("runs/%d/el9/lock.toml", newest.ID), true)
		b.hasLog(newest, true)
		if left := b.runs(p.ID); len(left) != 1 || left[0].ID != newest.ID {
			t.Errorf("left: %+v", left)
		}
		night(500)
		b.must(service.ScheduleBuilds, "removed 0 runs, the logs of 0 runs more, 0 results")
	})
}
