package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"reqpm/internal/engine"
	"reqpm/internal/store"
)

// Names of the schedules.
const (
	ScheduleResume       = "resume"
	ScheduleSync         = "sync"
	ScheduleUpdates      = "update-check"
	ScheduleCheckouts    = "clean-checkouts"
	ScheduleBuilds       = "clean-builds"
	ScheduleRepositories = "check-repositories"
	ScheduleDatabase     = "tidy-database"
	ScheduleKeys         = "distribution-keys"
)

// ScheduleInfo is what a schedule is for.
type ScheduleInfo struct {
	Name, Title string
	Every       string // where nobody has changed it
	DryRun      bool   // Preview says what it would do
}

// ScheduleInfos are all schedules, in the order in which people should see them.
func ScheduleInfos() []ScheduleInfo {
	return []ScheduleInfo{
		{ScheduleResume, "Resume stuck work", "5m", false},
		{ScheduleSync, "Look for new commits of projects that follow their branch, and start runs of them", "6h", false},
		{ScheduleUpdates, "Look for newer versions of locked packages", "24h", false},
		{ScheduleCheckouts, "Remove checkouts that nobody used for long", "02:00", true},
		{ScheduleBuilds, "Remove runs and logs that the settings do not keep, and results of builds that no run needs", "03:00", true},
		{ScheduleRepositories, "Check the metadata of published repositories", "30m", false},
		{ScheduleKeys, "Look whether the distributions' signing keys hold, and are those that they were", "168h", false},
		{ScheduleDatabase, "Keep lists fast while the database grows", "1h", false},
	}
}

// Schedules are what this service does again and again, for an engine.
func (s *Service) Schedules() []engine.Schedule {
	do := map[string]func(ctx context.Context) (string, error){
		ScheduleResume:       s.resume,
		ScheduleSync:         s.sync,
		ScheduleUpdates:      s.updates,
		ScheduleCheckouts:    s.cleanCheckouts,
		ScheduleBuilds:       s.cleanBuilds,
		ScheduleRepositories: s.checkRepositories,
		ScheduleDatabase:     s.tidyDatabase,
		ScheduleKeys:         s.checkKeys,
	}
	var all []engine.Schedule
	for _, info := range ScheduleInfos() {
		if do[info.Name] != nil {
			all = append(all, engine.Schedule{Name: info.Name, Every: info.Every, Do: do[info.Name]})
		}
	}
	return all
}

// ErrEvery: a text that says no interval.
var ErrEvery = engine.ErrEvery

// ChangeSchedule sets how often a schedule is run, and whether; nil leaves it. ErrEvery; store.ErrNotFound.
func ChangeSchedule(ctx context.Context, tx *store.Tx, name string, every *string, enabled *bool) (store.Schedule, error) {
	s, err := tx.Schedule(ctx, name)
	if err != nil {
		return s, err
	}
	was := s
	if every != nil {
		s.Every = *every
	}
	if enabled != nil {
		s.Enabled = *enabled
	}
	if s.Every != was.Every || s.Enabled && !was.Enabled {
		if s.Next, err = engine.NextTime(s.Every, time.Now()); err != nil {
			return s, err
		}
	}
	return tx.ChangeSchedule(ctx, s)
}

// resume has stuck work go on.
func (s *Service) resume(ctx context.Context) (string, error) {
	stuck, err := s.cfg.Store.Stuck(ctx)
	if err != nil {
		return "", err
	}
	if !stuck {
		return "nothing was stuck", nil
	}
	var r store.Resumed
	err = s.cfg.Store.Write(ctx, func(tx *store.Tx) (err error) {
		if r, err = tx.Resume(ctx); err != nil {
			return err
		}
		for _, run := range r.Empty {
			if err := tx.AddSteps(ctx, run.ID, Chain(run.Targets)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("queued again %s whose worker was no more, freed %d, blocked %d, ended %s, began %s that had no steps",
		count(r.Queued, "step"), r.Freed, r.Blocked, count(r.Ended, "run"), count(len(r.Empty), "run"))
	s.cfg.Log.Warn("work was stuck", "resumed", text)
	return text, nil
}

// tidyDatabase has the database see how large its tables have become.
func (s *Service) tidyDatabase(ctx context.Context) (string, error) {
	return "lists are read by the sizes that the tables have now", s.cfg.Store.Tune(ctx)
}

// count is a number of things in words.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// eachProject calls do for every project; filter chooses. Projects that are created or deleted meanwhile
// may be seen or not. An error of do is kept with the project's name, and ends nothing.
func (s *Service) eachProject(ctx context.Context, filter store.ProjectFilter, do func(p store.Project) error) (n int, err error) {
	var failed []error
	page := store.Page{Limit: 100, Sort: "id"}
	for {
		part, err := s.cfg.Store.Projects(ctx, filter, page)
		if err != nil {
			return n, err
		}
		for _, p := range part.Items {
			n++
			if err := do(p); err != nil {
				if ctx.Err() != nil {
					return n, context.Cause(ctx)
				}
				failed = append(failed, fmt.Errorf("%s: %w", p.Name, err))
			}
		}
		if part.Next == "" {
			return n, errors.Join(failed...)
		}
		page.Cursor = part.Next
	}
}

// tell writes to a project's log.
func (s *Service) tell(ctx context.Context, project int64, level, format string, args ...any) error {
	return s.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.AddLogEntry(ctx, store.LogEntry{Project: project, Level: level, Message: fmt.Sprintf(format, args...)})
		return err
	})
}

// list is names in words, the first few of them.
func list(names []string) string {
	const most = 5
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
