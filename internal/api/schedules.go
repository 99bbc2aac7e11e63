package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"reqpm/internal/auth"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// Schedule is something done again and again.
type Schedule struct {
	Name         string     `json:"name"`
	Title        string     `json:"title,omitempty" doc:"what it does"`
	Every        string     `json:"every" doc:"a duration (6h), or a time of day in the server's time zone (02:00)"`
	Default      string     `json:"default,omitempty" doc:"every, where nobody has changed it"`
	Enabled      bool       `json:"enabled"`
	DryRun       bool       `json:"dry_run" doc:"it can say what it would do"`
	Next         *time.Time `json:"next,omitempty" doc:"absent while it is switched off"`
	Running      bool       `json:"running"`
	Asked        string     `json:"asked,omitempty" doc:"who wants it run now"`
	LastStarted  *time.Time `json:"last_started,omitempty"`
	LastFinished *time.Time `json:"last_finished,omitempty"`
	LastOK       bool       `json:"last_ok"`
	LastResult   string     `json:"last_result,omitempty"`
	LastError    string     `json:"last_error,omitempty"`
}

func scheduleView(s store.Schedule) Schedule {
	v := Schedule{Name: s.Name, Every: s.Every, Enabled: s.Enabled, Running: !s.RunningUntil.IsZero(), Asked: s.Asked,
		LastStarted: at(s.LastStarted), LastFinished: at(s.LastFinished), LastOK: s.LastOK, LastResult: s.LastResult, LastError: s.LastError}
	if s.Enabled {
		v.Next = at(s.Next)
	}
	for _, info := range service.ScheduleInfos() {
		if info.Name == s.Name {
			v.Title, v.Default, v.DryRun = info.Title, info.Every, info.DryRun
		}
	}
	return v
}

func (a *API) scheduleOperations() {
	register(a, operation{method: http.MethodGet, path: "/schedules", id: "list-schedules", summary: "Schedules, with how they went last and when they are due", role: auth.Viewer, tag: "operation"}, a.listSchedules)
	register(a, operation{method: http.MethodPatch, path: "/schedules/{name}", id: "change-schedule", summary: "Change how often a schedule is run, or switch it off; what is absent stays", role: auth.Admin, tag: "operation"}, a.changeSchedule)
	register(a, operation{method: http.MethodPost, path: "/schedules/{name}/run", id: "run-schedule", summary: "Have a schedule run now, or say what it would do", role: auth.Admin, tag: "operation"}, a.runSchedule)
}

func (a *API) listSchedules(ctx context.Context, _ *nothing) (*listOf[Schedule], error) {
	all, err := a.cfg.Store.Schedules(ctx)
	return newList(store.Part[store.Schedule]{Items: all}, scheduleView), err
}

// SchedulePath names a schedule.
type SchedulePath struct {
	Name string `path:"name" maxLength:"40"`
}

type changeScheduleInput struct {
	SchedulePath
	Body struct {
		Every   *string `json:"every,omitempty" maxLength:"40" doc:"a duration of at least a minute (6h), or a time of day in the server's time zone (02:00)"`
		Enabled *bool   `json:"enabled,omitempty"`
	}
}

type scheduleOutput struct {
	Body Schedule
}

func (a *API) changeSchedule(ctx context.Context, in *changeScheduleInput) (*scheduleOutput, error) {
	var s store.Schedule
	who := auth.FromContext(ctx)
	err := a.cfg.Store.Write(ctx, func(tx *store.Tx) (err error) {
		was, err := tx.Schedule(ctx, in.Name)
		if err != nil {
			return err
		}
		if s, err = service.ChangeSchedule(ctx, tx, in.Name, in.Body.Every, in.Body.Enabled); err != nil {
			return err
		}
		return who.Audit(ctx, tx, auth.Change{Action: "schedule.change", Object: in.Name, Detail: map[string]any{"every": auth.FromTo(was.Every, s.Every), "enabled": auth.FromTo(was.Enabled, s.Enabled)}})
	})
	if errors.Is(err, service.ErrEvery) {
		return nil, invalid("every", "%v", err)
	}
	if err != nil {
		return nil, err
	}
	return &scheduleOutput{scheduleView(s)}, nil
}

type runScheduleInput struct {
	SchedulePath
	DryRun bool `query:"dry_run" doc:"say what it would do, do nothing; for schedules that can"`
}

// ScheduleRun is what became of the wish that a schedule be run.
type ScheduleRun struct {
	Schedule Schedule         `json:"schedule"`
	Would    *service.Preview `json:"would,omitempty" doc:"what it would do, with dry_run"`
}

type scheduleRunOutput struct {
	Body ScheduleRun
}

func (a *API) runSchedule(ctx context.Context, in *runScheduleInput) (*scheduleRunOutput, error) {
	s, err := a.cfg.Store.Schedule(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	if in.DryRun {
		would, err := a.cfg.Preview(ctx, in.Name)
		if errors.Is(err, service.ErrNoPreview) {
			return nil, huma.Error422UnprocessableEntity(err.Error(), &huma.ErrorDetail{Location: "query.dry_run", Message: err.Error()})
		}
		if err != nil {
			return nil, err
		}
		return &scheduleRunOutput{ScheduleRun{scheduleView(s), &would}}, nil
	}
	who := auth.FromContext(ctx)
	err = a.cfg.Store.Write(ctx, func(tx *store.Tx) (err error) {
		if s, err = tx.AskSchedule(ctx, in.Name, who.String()); err != nil {
			return err
		}
		return who.Audit(ctx, tx, auth.Change{Action: "schedule.run", Object: in.Name})
	})
	if err != nil {
		return nil, err
	}
	return &scheduleRunOutput{ScheduleRun{scheduleView(s), nil}}, nil
}
