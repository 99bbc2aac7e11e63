package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"reqpm/internal/auth"
	"reqpm/internal/pep508"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// What the settings of a project say of single packages, one package at a time: settings.overrides of the project is all of them.

// Override is what a project says of a package in its settings.
type Override struct {
	Package string `json:"package"`
	Text    string `json:"text" doc:"as overrides/NAME.toml"`
}

// SaidOverride is what a change of an override makes of it.
type SaidOverride = service.SaidText

// OverridePath names a package of a project, whether the project has it or not.
type OverridePath struct {
	ProjectPath
	Package string `path:"package" maxLength:"100" pattern:"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$" doc:"name of the package, in any spelling"`
}

func (p OverridePath) name() string { return pep508.NormalizeName(p.Package) }

func (a *API) overrideOperations() {
	const path = "/projects/{id}/overrides"
	register(a, operation{method: http.MethodGet, about: aboutProject, path: path, id: "list-overrides", summary: "What the settings of a project say of packages, by name", role: auth.Viewer, tag: "projects"}, a.listOverrides)
	register(a, operation{method: http.MethodGet, about: aboutProject, path: path + "/{package}", id: "get-override", summary: "What they say of one package", role: auth.Viewer, tag: "projects"}, a.getOverride)
	register(a, operation{method: http.MethodPut, about: aboutProject, path: path + "/{package}", id: "set-override", summary: "Say something of a package, in place of what was said; the next run goes by it", role: auth.Maintainer, tag: "projects", errors: []int{http.StatusPreconditionFailed}}, a.setOverride)
	register(a, operation{method: http.MethodDelete, about: aboutProject, path: path + "/{package}", id: "delete-override", summary: "Say nothing of a package any more; what the project's files say stays", role: auth.Maintainer, status: http.StatusNoContent, tag: "projects", errors: []int{http.StatusPreconditionFailed}}, a.deleteOverride)
}

func (a *API) listOverrides(ctx context.Context, in *ProjectPath) (*listOf[Override], error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	var settings service.Settings
	_ = json.Unmarshal(p.Settings, &settings) // what was checked when it was written
	return newList(store.Part[Override]{Items: overridesOf(settings)}, func(o Override) Override { return o }), nil
}

func overridesOf(settings service.Settings) []Override {
	var all []Override
	for _, name := range slices.Sorted(maps.Keys(settings.Overrides)) {
		all = append(all, Override{name, settings.Overrides[name]})
	}
	return all
}

type overrideOutput struct {
	ETag string `header:"ETag"`
	Body Override
}

func (a *API) getOverride(ctx context.Context, in *OverridePath) (*overrideOutput, error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	text := service.OverrideOf(p, in.name())
	if text == "" {
		return nil, nothingSaid(p, in.name())
	}
	return &overrideOutput{versionOf(text), Override{in.name(), text}}, nil
}

func nothingSaid(p store.Project, name string) error {
	return fmt.Errorf("the settings of %s say nothing of %s: %w", p.Name, name, store.ErrNotFound)
}

type setOverrideInput struct {
	OverridePath
	IfMatch
	DryRun bool `query:"dry_run" doc:"check the text, and change nothing"`
	Body   struct {
		Text string `json:"text" minLength:"1" maxLength:"65536" pattern:"\\S" doc:"as overrides/NAME.toml"`
	}
}

type setOverrideOutput struct {
	ETag string `header:"ETag"`
	Body SaidOverride
}

func (a *API) setOverride(ctx context.Context, in *setOverrideInput) (*setOverrideOutput, error) {
	text := strings.ReplaceAll(in.Body.Text, "\r\n", "\n")
	was, err := a.say(ctx, in.OverridePath, in.IfMatch, text, in.DryRun)
	if err != nil {
		return nil, err
	}
	return &setOverrideOutput{versionOf(text), SaidOverride{Package: in.name(), Text: text, Was: was}}, nil
}

type deleteOverrideInput struct {
	OverridePath
	IfMatch
}

func (a *API) deleteOverride(ctx context.Context, in *deleteOverrideInput) (*struct{}, error) {
	_, err := a.say(ctx, in.OverridePath, in.IfMatch, "", false)
	return nil, err
}

// say makes text what a project says of a package; "": nothing. It gives what it said before.
func (a *API) say(ctx context.Context, at OverridePath, match IfMatch, text string, dry bool) (was string, err error) {
	p, err := a.project(ctx, at.ID)
	if err != nil {
		return "", err
	}
	if _, err := service.ReadOverrides(map[string]string{at.name(): text}); err != nil {
		return "", invalid("text", "%v", err)
	}
	allowed := func(p store.Project) error {
		was = service.OverrideOf(p, at.name())
		if was == "" && text == "" {
			return nothingSaid(p, at.name())
		}
		return match.check(versionOf(was))
	}
	if dry {
		return was, allowed(p)
	}
	who := auth.FromContext(ctx)
	err = a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		now, err := tx.Project(ctx, p.ID)
		if err != nil {
			return err
		}
		if err := allowed(now); err != nil {
			return err
		}
		if err := service.SetOverride(ctx, tx, p.ID, at.name(), text); err != nil {
			return err
		}
		return who.Audit(ctx, tx, auth.Change{Action: "override.set", Object: at.name(), Project: p.ID, Detail: map[string]any{"text": text, "was": was}})
	})
	if errors.Is(err, service.ErrOverride) {
		return "", invalid("text", "%v", err)
	}
	return was, err
}
