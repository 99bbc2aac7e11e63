package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"reqpm/internal/store"
)

// ended makes a run of one step that has ended in a state.
func ended(t *testing.T, s *store.Store, project int64, w store.Worker, state store.StepState) store.Run {
	t.Helper()
	r := run(t, s, project, store.NewStep{Key: "build", Kind: store.Build, Package: "a==1"})
	write(t, s, func(tx *store.Tx) error {
		step, err := tx.ClaimStep(t.Context(), store.Claim{Worker: w.ID, WorkerName: w.Name, Kinds: []store.Kind{store.Build}})
		if err != nil {
			return err
		}
		_, err = tx.FinishStep(t.Context(), store.Finish{Step: step.ID, Attempt: step.Attempt, Worker: w.ID, State: state})
		return err
	})
	return r
}

// What is old or too many goes; the newest, the newest good, what runs, what is published and what is pinned stays, and
// what is wanted again between looking and removing stays too.
func TestExpiredRuns(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		p, w := project(t, s, "app"), worker(t, s, "one")
		var runs []int64
		for _, state := range []store.StepState{store.Succeeded, store.Failed, store.Succeeded, store.Failed, store.Succeeded, store.Succeeded, store.Failed} {
			runs = append(runs, ended(t, s, p.ID, w, state).ID)
		}
		other := project(t, s, "other")
		lonely := ended(t, s, other.ID, w, store.Failed)
		going := run(t, s, p.ID, store.NewStep{Key: "wait", Kind: store.Build, Package: "b==1"})
		write(t, s, func(tx *store.Tx) error {
			if _, err := tx.PinRun(t.Context(), runs[1], true); err != nil {
				return err
			}
			snapshot, err := tx.AddSnapshot(t.Context(), store.Snapshot{Project: p.ID, Run: runs[2], Target: "el9", Path: "snapshots/2"})
			if err == nil {
				_, err = tx.PointRepository(t.Context(), p.ID, "stable", "el9", snapshot.ID)
			}
			if err == nil {
				_, err = tx.AddSnapshot(t.Context(), store.Snapshot{Project: p.ID, Run: runs[0], Target: "el9", Path: "snapshots/0"})
			}
			return err
		})
		expired := func(r store.Retention) []int64 {
			t.Helper()
			ids := []int64{}
			for _, x := range must[[]store.Run](t)(s.ExpiredRuns(t.Context(), r, 0, 100)) {
				ids = append(ids, x.ID)
			}
			return ids
		}
		later := time.Now().Add(time.Hour)
		for _, c := range []struct {
			r    store.Retention
			want []int64
		}{
			{store.Retention{}, []int64{}},
			{store.Retention{Before: time.Now().Add(-time.Hour)}, []int64{}},
			{store.Retention{Before: later}, []int64{runs[0], runs[3], runs[4], runs[6]}},
			{store.Retention{Keep: 4}, []int64{runs[0], runs[3]}}, // the eight newest are kept but for four: 4, 5, 6 and the one that goes
			{store.Retention{Keep: 4, Before: time.Now().Add(-time.Hour)}, []int64{runs[0], runs[3]}},
		} {
			if got := expired(c.r); !slices.Equal(got, c.want) {
				t.Errorf("%+v: %v, want %v of %v", c.r, got, c.want, runs)
			}
		}
		all := store.Retention{Before: later}
		seen := must[[]store.Run](t)(s.ExpiredRuns(t.Context(), all, 0, 100))
		write(t, s, func(tx *store.Tx) error { // somebody wants it again
			_, err := tx.Retry(t.Context(), store.Retry{Run: runs[3], Failed: true})
			return err
		})
		for _, r := range seen {
			err := s.Write(t.Context(), func(tx *store.Tx) error { return tx.DeleteExpiredRun(t.Context(), all, r) })
			if wanted := r.ID == runs[3]; wanted != errors.Is(err, store.ErrNotFound) || !wanted && err != nil {
				t.Errorf("run %d: %v", r.ID, err)
			}
		}
		left := must[map[int64]int64](t)(s.RunNumbers(t.Context(), append(runs, lonely.ID, going.ID)))
		for _, id := range []int64{runs[1], runs[2], runs[3], runs[5], lonely.ID, going.ID} {
			if left[id] == 0 {
				t.Errorf("run %d is gone", id)
			}
		}
		if len(left) != 6 {
			t.Errorf("left: %v", left)
		}
		for _, x := range must[store.Part[store.Snapshot]](t)(s.Snapshots(t.Context(), p.ID, "el9", store.Page{})).Items {
			if (x.Path == "snapshots/0") != (x.Run == 0) {
				t.Errorf("%s is of run %d", x.Path, x.Run)
			}
		}
	})
}

// Logs go before their runs; an attempt that comes later has its own.
func TestForgetLogs(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		p, w := project(t, s, "app"), worker(t, s, "one")
		old := ended(t, s, p.ID, w, store.Failed)
		ended(t, s, p.ID, w, store.Succeeded)
		later := time.Now().Add(time.Hour)
		if got := must[[]store.Run](t)(s.ExpiredLogs(t.Context(), later, 0, 10)); len(got) != 1 || got[0].ID != old.ID {
			t.Fatalf("%+v", got)
		}
		attempts := must[[]store.Attempt](t)(s.RunAttempts(t.Context(), old.ID))
		var names []string
		write(t, s, func(tx *store.Tx) (err error) {
			names, err = tx.ForgetLogs(t.Context(), later, old.ID)
			return err
		})
		if len(names) != 1 || names[0] != attempts[0].Log {
			t.Errorf("%v of %+v", names, attempts)
		}
		if gone := must[bool](t)(s.LogGone(t.Context(), attempts[0].Step, 1)); !gone {
			t.Error("the log is said to be there")
		}
		if got := must[[]store.Run](t)(s.ExpiredLogs(t.Context(), later, 0, 10)); len(got) != 0 {
			t.Errorf("again: %+v", got)
		}
		write(t, s, func(tx *store.Tx) error {
			_, err := tx.Retry(t.Context(), store.Retry{Run: old.ID, Failed: true})
			return err
		})
		err := s.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.ForgetLogs(t.Context(), later, old.ID)
			return err
		})
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("of a run that goes on again: %v", err)
		}
	})
}

// A result that nobody names is deleted after a while, but not when somebody has used it or named it meanwhile.
func TestBlobMarks(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		p, w := project(t, s, "app"), worker(t, s, "one")
		r := ended(t, s, p.ID, w, store.Succeeded)
		at, before := time.Now(), time.Now().Add(time.Minute)
		names := []string{"free", "named", "used"}
		if err := errors.Join(s.MarkBlobs(t.Context(), names, at), s.MarkBlobs(t.Context(), names, before.Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
		must[store.Artifact](t)(s.PutArtifact(t.Context(), store.Artifact{Run: r.ID, Step: 1, Kind: "rpm", Name: "x.rpm", Blob: "builds/named/x.rpm"}))
		claim := func(name string, before time.Time) (got bool) {
			t.Helper()
			write(t, s, func(tx *store.Tx) (err error) {
				got, err = tx.ClaimBlobs(t.Context(), name, []string{"builds/" + name + "/x.rpm"}, before)
				return err
			})
			return got
		}
		use := func(names ...string) (deleting []string) {
			t.Helper()
			write(t, s, func(tx *store.Tx) (err error) {
				deleting, err = tx.UseBlobs(t.Context(), names)
				return err
			})
			return deleting
		}
		if claim("free", at.Add(-time.Minute)) {
			t.Error("deleted before its time")
		}
		if got := use("used", "unknown"); len(got) != 0 {
			t.Errorf("being deleted: %v", got)
		}
		if claim("used", before) || claim("named", before) || !claim("free", before) {
			t.Error("what somebody uses or names is deleted, or what is nobody's is not")
		}
		if got := use("free"); !slices.Equal(got, []string{"free"}) {
			t.Errorf("while it is deleted it may be used: %v", got)
		}
		if !claim("free", at.Add(-time.Hour)) {
			t.Error("what a process that died was deleting is not gone on with")
		}
		if err := s.UnmarkBlobs(t.Context(), "free"); err != nil {
			t.Fatal(err)
		}
		if got := must[[]store.BlobMark](t)(s.BlobMarks(t.Context())); len(got) != 0 {
			t.Errorf("left: %+v", got)
		}
	})
}
