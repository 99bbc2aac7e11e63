package pages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// Schedules: what is done again and again, and how it went.

func (p *Pages) schedulePages() {
	p.get("/schedules", auth.Viewer, nil, p.schedules)
	p.post("/schedules/{schedule}", auth.Admin, nil, p.changeSchedule)
	p.post("/schedules/{schedule}/run", auth.Admin, nil, p.runSchedule)
	p.post("/schedules/{schedule}/preview", auth.Admin, nil, p.previewSchedule)
}

// scheduleRow is a schedule with what it is for.
type scheduleRow struct {
	store.Schedule
	Info service.ScheduleInfo
}

type schedulesData struct {
	Rows    []scheduleRow
	IsAdmin bool
	Preview bool // this server can say what one would do
}

func (p *Pages) schedules(q *request) (view, error) {
	d := schedulesData{IsAdmin: q.may(auth.Admin), Preview: p.cfg.Preview != nil}
	all, err := q.store().Schedules(q.ctx())
	if err != nil {
		return view{}, err
	}
	infos := service.ScheduleInfos()
	place := func(name string) int {
		i := slices.IndexFunc(infos, func(info service.ScheduleInfo) bool { return info.Name == name })
		if i < 0 {
			return len(infos)
		}
		return i
	}
	slices.SortStableFunc(all, func(a, b store.Schedule) int { return place(a.Name) - place(b.Name) })
	state := ""
	for _, s := range all {
		row := scheduleRow{Schedule: s, Info: service.ScheduleInfo{Name: s.Name, Title: s.Name}}
		if i := place(s.Name); i < len(infos) {
			row.Info = infos[i]
		}
		if s.LastError != "" && s.RunningUntil.IsZero() {
			state = "failed"
		}
		d.Rows = append(d.Rows, row)
	}
	return view{Title: "Schedules", State: state, Nav: "schedules", Body: schedulesPage(d), Wake: wakeAfter(q.ctx(), 20*time.Second)}, nil
}

func (p *Pages) changeSchedule(q *request) error {
	name := q.PathValue("schedule")
	var every *string
	var enabled *bool
	if text := strings.TrimSpace(q.PostFormValue("every")); text != "" {
		every = &text
	}
	if text := q.PostFormValue("enabled"); text != "" {
		on := text == "yes"
		enabled = &on
	}
	var s store.Schedule
	err := q.store().Write(q.ctx(), func(tx *store.Tx) error {
		was, err := tx.Schedule(q.ctx(), name)
		if err != nil {
			return err
		}
		if s, err = service.ChangeSchedule(q.ctx(), tx, name, every, enabled); err != nil {
			return err
		}
		return q.who.Audit(q.ctx(), tx, auth.Change{Action: "schedule.change", Object: name, Detail: map[string]any{"every": auth.FromTo(was.Every, s.Every), "enabled": auth.FromTo(was.Enabled, s.Enabled)}})
	})
	if errors.Is(err, service.ErrEvery) {
		return &invalid{"", "A duration of at least a minute (30m, 6h), or a time of day (02:00)."}
	}
	if err != nil {
		return err
	}
	if !s.Enabled {
		return q.done("It is switched off.", "")
	}
	return q.done(fmt.Sprintf("It is done next %s.", untilText(s.Next, now(q.ctx()))), "")
}

func (p *Pages) runSchedule(q *request) error {
	name := q.PathValue("schedule")
	err := q.write(auth.Change{Action: "schedule.run", Object: name}, func(tx *store.Tx) error {
		_, err := tx.AskSchedule(q.ctx(), name, q.who.String())
		return err
	})
	if err != nil {
		return err
	}
	return q.done("It is done now, as soon as a scheduler sees it.", "")
}

// previewSchedule says what a schedule would do.
func (p *Pages) previewSchedule(q *request) error {
	if p.cfg.Preview == nil {
		return &invalid{"", "This server cannot say it."}
	}
	ctx, cancel := context.WithTimeout(q.ctx(), askTime)
	defer cancel()
	would, err := p.cfg.Preview(ctx, q.PathValue("schedule"))
	if errors.Is(err, service.ErrNoPreview) {
		return &invalid{"", sentence(err.Error())}
	}
	if err != nil {
		return err
	}
	return q.againWith("", "/schedules", p.schedules, previewBox(q.PathValue("schedule"), would))
}

// What schedulepage.templ says.

func scheduleState(s scheduleRow) string {
	switch {
	case !s.RunningUntil.IsZero():
		return "running"
	case s.Asked != "":
		return "queued"
	case !s.Enabled:
		return "cancelled"
	case s.LastFinished.IsZero():
		return "waiting"
	case s.LastOK:
		return "succeeded"
	}
	return "failed"
}

func scheduleWord(s scheduleRow) string {
	return map[string]string{"running": "Running", "queued": "Asked for", "cancelled": "Off", "waiting": "Not yet run", "succeeded": "Good", "failed": "Failed"}[scheduleState(s)]
}

func everyText(every string) string {
	if strings.Contains(every, ":") {
		return "daily at " + every
	}
	return "every " + every
}

func previewText(p service.Preview) string {
	if p.Count == 0 {
		return "Nothing: there is nothing to remove."
	}
	return fmt.Sprintf("%s, %s.", strings.Replace(plural(p.Count, "entry"), "entrys", "entries", 1), bytesText(p.Bytes))
}
