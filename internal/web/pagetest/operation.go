package pagetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"reqpm/internal/store"
)

// operation is what the pages of queue, workers and schedules have beside runs: a worker that is gone, a step that is
// tried again later, a limit, and schedules that went well, badly, and not at all.
func (s *seeder) operation(ctx context.Context) error {
	err := s.Store.Write(ctx, func(tx *store.Tx) error {
		gone, err := tx.AddWorker(ctx, store.Worker{Name: "build-00 " + Hidden + Markup, Host: Long + ".example.org", PID: 4, Slots: 2, DiskFree: 12e9, Labels: map[string]string{"builder": Markup, "rack": Turned + Long},
			Versions: map[string]string{"reqpm": Script}, Message: "stopped for " + Markup + Hidden + Terminal})
		if err != nil {
			return err
		}
		_, err = tx.LoseWorker(ctx, gone.ID, -1, 3)
		return errors.Join(err, tx.SetLimit(ctx, store.Limit{Scope: store.LimitTarget, Name: "el10", Value: 3}), s.backOff(ctx, tx), s.people(ctx, tx), s.messages(ctx, tx))
	})
	if err != nil {
		return err
	}
	s.past = append(s.past, longAgo)
	return s.schedules(ctx)
}

// longAgo gives what was made all at once the times that it would have had.
func longAgo(exec func(string, ...any) error) error {
	now, hour := time.Now().UnixMilli(), time.Hour.Milliseconds()
	var failed error
	for _, statement := range []string{
		"UPDATE audit SET at = $1 - $2 * 7 * (1 + (SELECT MAX(m.id) FROM audit m) - id)",
		"UPDATE users SET created = $1 - $2 * 24 * (40 - 9 * id)",
		"UPDATE tokens SET created = $1 - $2 * 24 * (30 - id), last_used = CASE WHEN id % 2 = 1 THEN $1 - $2 * id * 3 ELSE 0 END",
		"UPDATE notifications SET created = $1 - $2 * 5 * (1 + (SELECT MAX(m.id) FROM notifications m) - id)",
		"UPDATE push_deliveries SET at = $1 - $2 * 11 * (1 + (SELECT MAX(m.id) FROM push_deliveries m) - id)",
		"UPDATE push_hooks SET created = $1 - $2 * 24 * 12, rotated = $1 - $2 * 24 * 12",
		"UPDATE workers SET started = $1 - $2 * 24 * (5 + id), beat = CASE WHEN state = 'gone' THEN $1 - $2 * 31 ELSE beat END",
		"UPDATE repositories SET checked = $1 - $2 / 6, problem = CASE WHEN target = 'el9-py312' THEN 'repomd.xml: the signature is of another key' ELSE '' END",
	} {
		failed = errors.Join(failed, exec(statement, now, hour))
	}
	return failed
}

// backOff has one of the running builds fail for the machine's sake.
func (s *seeder) backOff(ctx context.Context, tx *store.Tx) error {
	part, err := tx.Steps(ctx, store.StepFilter{States: []store.StepState{store.Running}, Kinds: []store.Kind{store.Build}}, store.Page{Limit: 1})
	if err != nil || len(part.Items) == 0 {
		return errors.Join(err, errors.New("no build runs"))
	}
	step := part.Items[0]
	_, err = tx.RetryStep(ctx, store.Finish{Step: step.ID, Attempt: step.Attempt, Worker: step.Worker, State: store.Failed, Infrastructure: true, Cause: "the mirror did not answer"}, 10*time.Minute, "build-01")
	return err
}

func (s *seeder) schedules(ctx context.Context) error {
	now := time.Now()
	for _, p := range []struct {
		name, every, result, failed string
		ago, took, next             time.Duration
		off                         bool
	}{
		{name: "resume", every: "5m", result: "nothing was stuck", ago: 2 * time.Minute, took: 400 * time.Millisecond, next: 3 * time.Minute},
		{name: "sync", every: "6h", result: "looked at 3 projects, started 1 run", ago: 2 * time.Hour, took: 4 * time.Second, next: 4 * time.Hour},
		{name: "update-check", every: "24h", failed: "data-portal: the index did not answer " + Markup + Hidden + Terminal + Long, ago: 9 * time.Hour, took: 91 * time.Second, next: 15 * time.Hour},
		{name: "clean-checkouts", every: "02:00", off: true, next: 5 * time.Hour},
		{name: "check-repositories", every: "30m", result: "checked 4 repositories with 36 packages", ago: 11 * time.Minute, took: 2 * time.Second, next: 19 * time.Minute},
	} {
		if err := s.Store.AddSchedule(ctx, store.Schedule{Name: p.name, Every: p.every, Enabled: !p.off, Next: now.Add(p.next)}); err != nil {
			return err
		}
		if p.ago == 0 {
			continue
		}
		err := s.Store.Write(ctx, func(tx *store.Tx) error {
			seen, err := tx.Schedule(ctx, p.name)
			if err != nil {
				return err
			}
			started, err := tx.StartSchedule(ctx, seen, now.Add(-p.ago), time.Minute)
			if err != nil {
				return err
			}
			started.LastResult, started.LastError, started.Next = p.result, p.failed, now.Add(p.next)
			return tx.FinishSchedule(ctx, started, now.Add(p.took-p.ago))
		})
		if err != nil {
			return fmt.Errorf("the schedule %s: %w", p.name, err)
		}
	}
	return nil
}
