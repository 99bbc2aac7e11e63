package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"reqpm/internal/index"
	"reqpm/internal/pipeline"
	"reqpm/internal/store"
)

// ServerSettings are what an administrator changes while the server runs. Every process reads them when it needs
// them: a change counts at once, but for what has begun.
type ServerSettings struct {
	RetentionDays  int      `json:"retention_days"`  // runs that ended longer ago go; 0: none for its age
	RetentionRuns  int      `json:"retention_runs"`  // of each project, so many of the newest stay; 0: any number
	LogDays        int      `json:"log_days"`        // logs of runs that ended longer ago go; 0: with their runs
	MinFree        int64    `json:"min_free"`        // bytes that must be free for something new to be started
	DefaultTargets []string `json:"default_targets"` // of projects that are created without any
	MinAge         string   `json:"min_age"`         // of files on the index, of projects that do not say; "": none
	Distribution   string   `json:"distribution"`    // what is made of packages that the distribution has, likewise; "": ReqPM's own way
	Blocked        []string `json:"blocked"`         // packages and versions that no project gets
	Paused         bool     `json:"paused"`          // nothing new is started anywhere
}

// Where the value of a setting comes from.
const (
	FromDefault = "default"
	FromFile    = "configuration file"
	FromFlag    = "command line"
	FromStored  = "stored"
)

// SettingsBase is what counts where nothing is stored: the defaults, and over them what the configuration file and the
// command line of this process say. The zero value is not one: see NewSettingsBase.
type SettingsBase struct {
	values ServerSettings
	from   map[string]string // by name; absent: the default
}

// NewSettingsBase is the defaults alone.
func NewSettingsBase() SettingsBase {
	return SettingsBase{values: ServerSettings{RetentionDays: 90, RetentionRuns: 0, LogDays: 30, MinFree: 2 << 30, DefaultTargets: []string{"local"}, Blocked: []string{}}}
}

// With is the base with one value more, from FromFile or FromFlag. ErrSetting.
func (b SettingsBase) With(name string, value any, from string) (SettingsBase, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return b, err
	}
	if err := setSetting(&b.values, name, text); err != nil {
		return b, err
	}
	if b.from = maps.Clone(b.from); b.from == nil {
		b.from = map[string]string{}
	}
	b.from[name] = from
	return b, nil
}

// setting is one of them.
type setting struct {
	name, title, kind string
	place             func(*ServerSettings) any // the field
	check             func(ServerSettings) string
}

func within[T int | int64](n, most T) string {
	if n < 0 || n > most {
		return fmt.Sprintf("a whole number from 0 to %d", most)
	}
	return ""
}

// serverSettings are all there are, in the order in which people should see them.
var serverSettings = []setting{
	{"retention_days", "Days that a run stays after its end; 0: for ever. The newest and the newest good run of a project, published and pinned ones stay anyway", "integer",
		func(s *ServerSettings) any { return &s.RetentionDays }, func(s ServerSettings) string { return within(s.RetentionDays, 36500) }},
	{"retention_runs", "How many of its newest runs a project keeps; 0: any number", "integer",
		func(s *ServerSettings) any { return &s.RetentionRuns }, func(s ServerSettings) string { return within(s.RetentionRuns, 1_000_000) }},
	{"log_days", "Days that the logs of a run stay after its end; 0: as long as the run", "integer",
		func(s *ServerSettings) any { return &s.LogDays }, func(s ServerSettings) string { return within(s.LogDays, 36500) }},
	{"min_free", "Bytes that must be free in the state directory of a worker for something new to be started there", "bytes",
		func(s *ServerSettings) any { return &s.MinFree }, func(s ServerSettings) string { return within(s.MinFree, 1<<50) }},
	{"default_targets", "Targets of a project that is created without any", "list",
		func(s *ServerSettings) any { return &s.DefaultTargets }, checkTargets},
	{"min_age", "Files on the index younger than that are not used, unless the project says otherwise: 7d, 36h; 0 or nothing: none", "text",
		func(s *ServerSettings) any { return &s.MinAge }, checkMinAge},
	{"distribution", "What is made of packages that the distribution has, unless the project says otherwise: prefer-distribution, prefer-newest, never-reuse", "text",
		func(s *ServerSettings) any { return &s.Distribution }, checkDistribution},
	{"blocked", "Packages and versions that no project gets, beside those of the configuration file: leftpad, urllib3<1.26  # why", "list",
		func(s *ServerSettings) any { return &s.Blocked }, checkBlocked},
	{store.SettingPaused, "Nothing new is started anywhere", "boolean", func(s *ServerSettings) any { return &s.Paused }, func(ServerSettings) string { return "" }},
}

func checkTargets(s ServerSettings) string {
	if len(s.DefaultTargets) == 0 || len(s.DefaultTargets) > 40 {
		return "1 to 40 names of targets"
	}
	return ""
}

func checkMinAge(s ServerSettings) string {
	if _, err := index.ParseAge(s.MinAge); err != nil {
		return err.Error()
	}
	return ""
}

func checkDistribution(s ServerSettings) string {
	if s.Distribution == "" || slices.Contains(pipeline.Policies, pipeline.Policy(s.Distribution)) {
		return ""
	}
	return fmt.Sprintf("one of %v", pipeline.Policies)
}

func checkBlocked(s ServerSettings) string {
	if len(s.Blocked) > 1000 {
		return "1000 at most"
	}
	for _, text := range s.Blocked {
		if _, err := index.ParseBlocked(text); err != nil {
			return err.Error()
		}
	}
	return ""
}

// ErrSetting: a setting that is not there, or a value that is none for it. It is a *SettingError, which says which.
var ErrSetting = errors.New("not a value for this setting")

// SettingError is what is wrong with one.
type SettingError struct{ Name, Text string }

func (e *SettingError) Error() string        { return e.Name + ": " + e.Text }
func (e *SettingError) Is(target error) bool { return target == ErrSetting }

// SettingNames are the names of all settings of the server.
func SettingNames() []string {
	var names []string
	for _, s := range serverSettings {
		names = append(names, s.name)
	}
	return names
}

func findSetting(name string) (setting, error) {
	for _, s := range serverSettings {
		if s.name == name {
			return s, nil
		}
	}
	return setting{}, &SettingError{name, "there is no such setting"}
}

// setSetting puts a JSON value into its field.
func setSetting(into *ServerSettings, name string, value json.RawMessage) error {
	s, err := findSetting(name)
	if err != nil {
		return err
	}
	was := *into
	place := s.place(into)
	reflect.ValueOf(place).Elem().SetZero() // a list is not laid over the one that is there
	if err := json.Unmarshal(value, place); err != nil || string(value) == "null" {
		*into = was
		return &SettingError{name, "expected " + s.kind}
	}
	if wrong := s.check(*into); wrong != "" {
		*into = was
		return &SettingError{name, "expected " + strings.TrimPrefix(wrong, "expected ")}
	}
	return nil
}

// Setting is one as it is now, for people and programs.
type Setting struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Kind    string `json:"kind" enum:"integer,bytes,text,list,boolean"`
	Value   any    `json:"value"`
	Source  string `json:"source" enum:"default,configuration file,command line,stored" doc:"where the value comes from"`
	Without any    `json:"without" doc:"the value where none is stored"`
}

// Read gives what counts now. Something stored that this version cannot read counts as not stored.
func (b SettingsBase) Read(ctx context.Context, q store.Queries) (ServerSettings, error) {
	values, _, err := b.read(ctx, q)
	return values, err
}

func (b SettingsBase) read(ctx context.Context, q store.Queries) (ServerSettings, map[string]bool, error) {
	values, stored := b.values, map[string]bool{}
	all, err := q.Settings(ctx)
	if err != nil {
		return values, stored, err
	}
	for _, s := range serverSettings {
		if text := all[s.row()]; text != "" {
			stored[s.name] = setSetting(&values, s.name, json.RawMessage(text)) == nil
		}
	}
	return values, stored, nil
}

// row is the setting's name in the store.
func (s setting) row() string {
	if s.name == store.SettingPaused {
		return s.name // the dispatcher reads it by itself
	}
	return "server." + s.name
}

// List gives all settings, with their values now and where these come from.
func (b SettingsBase) List(ctx context.Context, q store.Queries) ([]Setting, error) {
	values, stored, err := b.read(ctx, q)
	if err != nil {
		return nil, err
	}
	list := make([]Setting, 0, len(serverSettings))
	for _, s := range serverSettings {
		v := Setting{Name: s.name, Title: s.title, Kind: s.kind, Value: s.value(&values), Without: s.value(&b.values), Source: FromDefault}
		if b.from[s.name] != "" {
			v.Source = b.from[s.name]
		}
		if stored[s.name] {
			v.Source = FromStored
		}
		list = append(list, v)
	}
	return list, nil
}

func (s setting) value(of *ServerSettings) any {
	v := reflect.ValueOf(s.place(of)).Elem()
	if v.Kind() == reflect.Slice && v.IsNil() {
		return []string{}
	}
	return v.Interface()
}

// SettingsChange are new values by name, as JSON; nil goes back to what counts where nothing is stored.
type SettingsChange map[string]json.RawMessage

// Check tells what is wrong with a change, before the transaction that makes it. ErrSetting.
func (b SettingsBase) Check(ctx context.Context, projects Projects, change SettingsChange) error {
	for _, name := range slices.Sorted(maps.Keys(change)) {
		if _, err := findSetting(name); err != nil {
			return err
		}
		if change[name] == nil {
			continue
		}
		values := b.values
		if err := setSetting(&values, name, change[name]); err != nil {
			return err
		}
		if name == "default_targets" {
			if err := projects.Check(ctx, Subject{}, values.DefaultTargets); err != nil {
				return &SettingError{name, err.Error()}
			}
		}
	}
	return nil
}

// Change stores a change that was checked. It counts for whatever is decided from then on, in all processes.
func (b SettingsBase) Change(ctx context.Context, tx *store.Tx, change SettingsChange) error {
	for _, name := range slices.Sorted(maps.Keys(change)) {
		s, err := findSetting(name)
		if err != nil {
			return err
		}
		text := ""
		if change[name] != nil {
			values := b.values
			if err := setSetting(&values, name, change[name]); err != nil {
				return err
			}
			normal, err := json.Marshal(s.value(&values))
			if err != nil {
				return err
			}
			text = string(normal)
		}
		if err := tx.SetSetting(ctx, s.row(), text); err != nil {
			return err
		}
	}
	return nil
}
