package pages

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"reqpm/internal/auth"
	"reqpm/internal/notify"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// The settings of the server: what counts now, where it comes from, and how it is changed while the server runs.

func (p *Pages) settingsPages() {
	p.get("/settings", auth.Admin, nil, p.serverSettings)
	p.post("/settings/{setting}", auth.Admin, nil, p.changeServerSetting)
	p.post("/settings/{setting}/reset", auth.Admin, nil, p.resetServerSetting)
}

type serverSettingsData struct {
	Settings []service.Setting
	Inside   string // networks that messages may go to, one a line
}

func (p *Pages) serverSettings(q *request) (view, error) {
	all, err := p.cfg.Settings.List(q.ctx(), q.store().Queries)
	if err != nil {
		return view{}, err
	}
	inside, err := q.store().Setting(q.ctx(), notify.SettingInside)
	if err != nil {
		return view{}, err
	}
	return view{Title: "Settings", Nav: "settings-server", Body: serverSettingsPage(serverSettingsData{all, strings.ReplaceAll(inside, ",", "\n")}), Watch: store.EventFilter{Project: -1}}, nil
}

// settingNamed is one of those there are: store.ErrNotFound.
func (q *request) settingNamed(tx store.Queries, name string) (service.Setting, error) {
	all, err := q.p.cfg.Settings.List(q.ctx(), tx)
	if err != nil {
		return service.Setting{}, err
	}
	for _, s := range all {
		if s.Name == name {
			return s, nil
		}
	}
	return service.Setting{}, fmt.Errorf("the setting %s: %w", name, store.ErrNotFound)
}

// settingValue is what a form says of a setting, as JSON.
func settingValue(s service.Setting, text string) (json.RawMessage, error) {
	text = strings.TrimSpace(text)
	var value any = text
	switch s.Kind {
	case "integer", "bytes":
		var n json.Number
		if err := json.Unmarshal([]byte(text), &n); err != nil {
			return nil, &invalid{s.Name, "A whole number."}
		}
		value = n
	case "boolean":
		value = text == "true"
	case "list":
		list := []string{}
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" {
				list = append(list, line)
			}
		}
		value = list
	}
	return json.Marshal(value)
}

func (p *Pages) changeServerSetting(q *request) error {
	name := q.PathValue("setting")
	if name == notify.SettingInside {
		return p.setInside(q)
	}
	s, err := q.settingNamed(q.store().Queries, name)
	if err != nil {
		return err
	}
	value, err := settingValue(s, q.PostFormValue(name))
	if err != nil {
		return err
	}
	return q.changeSetting(s, value, "Saved. It counts for whatever is decided from now on.")
}

func (p *Pages) resetServerSetting(q *request) error {
	s, err := q.settingNamed(q.store().Queries, q.PathValue("setting"))
	if err != nil {
		return err
	}
	return q.changeSetting(s, nil, "What was stored is forgotten.")
}

// changeSetting stores a value, or with nil forgets the one that is stored.
func (q *request) changeSetting(s service.Setting, value json.RawMessage, said string) error {
	settings, change := q.p.cfg.Settings, service.SettingsChange{s.Name: value}
	err := settings.Check(q.ctx(), q.p.cfg.Projects, change)
	if err == nil {
		err = q.store().Write(q.ctx(), func(tx *store.Tx) error {
			was, err := q.settingNamed(tx.Queries, s.Name)
			if err != nil {
				return err
			}
			if err := settings.Change(q.ctx(), tx, change); err != nil {
				return err
			}
			is, err := q.settingNamed(tx.Queries, s.Name)
			if err != nil {
				return err
			}
			return q.who.Audit(q.ctx(), tx, auth.Change{Action: "setting.set", Object: "server", Detail: map[string]any{s.Name: auth.FromTo(was.Value, is.Value)}})
		})
	}
	if wrong, ok := errors.AsType[*service.SettingError](err); ok {
		return &invalid{s.Name, sentence(wrong.Text)}
	}
	if err != nil {
		return err
	}
	return q.again(said, "/settings", q.p.serverSettings)
}

// setInside changes the networks inside that messages may be sent to.
func (p *Pages) setInside(q *request) error {
	text := strings.Join(patterns(q.PostFormValue(notify.SettingInside)), ",")
	if _, err := notify.Networks(text); err != nil {
		return &invalid{notify.SettingInside, sentence(err.Error())}
	}
	was, err := q.store().Setting(q.ctx(), notify.SettingInside)
	if err != nil {
		return err
	}
	err = q.write(auth.Change{Action: "settings.change", Object: notify.SettingInside, Detail: map[string]any{"value": auth.FromTo(was, text)}}, func(tx *store.Tx) error {
		return tx.SetSetting(q.ctx(), notify.SettingInside, text)
	})
	if err != nil {
		return err
	}
	return q.again("Saved.", "/settings", p.serverSettings)
}

// What settingspage.templ says.

// settingText is a value as its field has it.
func settingText(v any) string {
	switch v := v.(type) {
	case []string:
		return strings.Join(v, "\n")
	case bool:
		return fmt.Sprint(v)
	}
	return fmt.Sprint(v)
}

// settingLabel is a setting's name as people read it.
func settingLabel(name string) string {
	return map[string]string{"retention_days": "Runs stay for (days)", "retention_runs": "Runs that a project keeps", "log_days": "Logs stay for (days)", "min_free": "Disk that must be free (bytes)", "default_targets": "Targets of a new project",
		"min_age": "Age of files on the index", "distribution": "Packages that the distribution has", "blocked": "Blocked packages", "paused": "Everything paused"}[name]
}

// settingWithout is what counts where nothing is stored.
func settingWithout(s service.Setting) string {
	text := strings.ReplaceAll(settingText(s.Without), "\n", ", ")
	if s.Kind == "bytes" {
		if n, ok := s.Without.(int64); ok {
			text = bytesText(n)
		}
	}
	return orText(text, "nothing")
}

func settingSource(s service.Setting) string {
	if s.Source == service.FromStored {
		return "stored here; without it " + settingWithout(s)
	}
	if s.Source == service.FromDefault {
		return "the default"
	}
	return "from the " + s.Source
}

func settingChoices(s service.Setting) []option {
	switch {
	case s.Kind == "boolean":
		return []option{{"false", "No"}, {"true", "Yes: nothing new is started"}}
	case s.Name == "distribution":
		return []option{{"", "ReqPM's own way"}, {"prefer-distribution", "prefer-distribution"}, {"prefer-newest", "prefer-newest"}, {"never-reuse", "never-reuse"}}
	}
	return nil
}
