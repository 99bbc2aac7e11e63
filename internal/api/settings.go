package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"reqpm/internal/auth"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// Setting is one setting of the server.
type Setting = service.Setting

// SettingsChange is what PATCH of the settings takes; what is absent stays.
type SettingsChange struct {
	RetentionDays  *int     `json:"retention_days,omitempty" minimum:"0" maximum:"36500"`
	RetentionRuns  *int     `json:"retention_runs,omitempty" minimum:"0" maximum:"1000000"`
	LogDays        *int     `json:"log_days,omitempty" minimum:"0" maximum:"36500"`
	MinFree        *int64   `json:"min_free,omitempty" minimum:"0" maximum:"1125899906842624" doc:"bytes"`
	DefaultTargets []string `json:"default_targets,omitempty" minItems:"1" maxItems:"40" nullable:"false"`
	MinAge         *string  `json:"min_age,omitempty" maxLength:"20" doc:"7d, 36h; 0: none"`
	Distribution   *string  `json:"distribution,omitempty" enum:"prefer-distribution,prefer-newest,never-reuse"`
	Blocked        []string `json:"blocked,omitzero" maxItems:"1000" nullable:"false"`
	Paused         *bool    `json:"paused,omitempty"`
	Reset          []string `json:"reset,omitempty" maxItems:"40" nullable:"false" doc:"names of settings whose stored values are forgotten"`
}

// change is what it asks for, by name.
func (c SettingsChange) change() (service.SettingsChange, error) {
	reset := c.Reset
	c.Reset = nil
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	change := service.SettingsChange{}
	if err := json.Unmarshal(text, &change); err != nil {
		return nil, err
	}
	for _, name := range reset {
		if change[name] != nil {
			return nil, invalid("reset", "%s is to be set and to be reset", name)
		}
		change[name] = nil
	}
	return change, nil
}

func (a *API) settingsOperations() {
	register(a, operation{method: http.MethodGet, path: "/settings", id: "get-settings", summary: "Settings of the server, with where each value comes from", role: auth.Admin, tag: "operation"}, a.getSettings)
	register(a, operation{method: http.MethodPatch, path: "/settings", id: "change-settings", summary: "Change settings of the server while it runs; what is absent stays", role: auth.Admin, tag: "operation", errors: []int{http.StatusPreconditionFailed}}, a.changeSettings)
}

type settingsOutput struct {
	ETag string `header:"ETag"`
	Body struct {
		Items []service.Setting `json:"items" nullable:"false"`
	}
}

func newSettingsOutput(all []service.Setting) *settingsOutput {
	out := &settingsOutput{ETag: versionOf(all)}
	out.Body.Items = all
	return out
}

func (a *API) getSettings(ctx context.Context, _ *nothing) (*settingsOutput, error) {
	all, err := a.cfg.Settings.List(ctx, a.cfg.Store.Queries)
	if err != nil {
		return nil, err
	}
	return newSettingsOutput(all), nil
}

type changeSettingsInput struct {
	IfMatch
	DryRun bool `query:"dry_run" doc:"check everything, change nothing"`
	Body   SettingsChange
}

func (a *API) changeSettings(ctx context.Context, in *changeSettingsInput) (*settingsOutput, error) {
	change, err := in.Body.change()
	if err == nil {
		err = a.cfg.Settings.Check(ctx, a.cfg.Projects, change)
	}
	if err != nil {
		return nil, wrongSetting(err)
	}
	if in.DryRun {
		return a.getSettings(ctx, nil)
	}
	who := auth.FromContext(ctx)
	var all []service.Setting
	err = a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		was, err := a.cfg.Settings.List(ctx, tx.Queries)
		if err != nil {
			return err
		}
		if err := in.IfMatch.check(versionOf(was)); err != nil || len(change) == 0 {
			all = was
			return err
		}
		if err := a.cfg.Settings.Change(ctx, tx, change); err != nil {
			return err
		}
		if all, err = a.cfg.Settings.List(ctx, tx.Queries); err != nil {
			return err
		}
		detail := map[string]any{}
		for i, s := range all {
			if _, changed := change[s.Name]; changed {
				detail[s.Name] = map[string]any{"from": was[i].Value, "to": s.Value, "source": s.Source}
			}
		}
		return who.Audit(ctx, tx, auth.Change{Action: "setting.set", Object: "server", Detail: detail})
	})
	if err != nil {
		return nil, wrongSetting(err)
	}
	return newSettingsOutput(all), nil
}

func wrongSetting(err error) error {
	if wrong, ok := errors.AsType[*service.SettingError](err); ok {
		return invalid(wrong.Name, "%v", wrong)
	}
	return err
}
