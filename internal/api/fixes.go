package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"reqpm/internal/auth"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// Fix is what a package whose builds failed may be told.
type Fix struct {
	Package  string   `json:"package"`
	Builds   []int64  `json:"builds" nullable:"false" doc:"those that failed"`
	Targets  []string `json:"targets" nullable:"false"`
	Proposed []string `json:"proposed" nullable:"false" doc:"what their logs ask for, in words; empty: nothing"`
	Text     string   `json:"text" doc:"the whole override of the package, with what the project says of it already"`
	Frees    int      `json:"frees" doc:"how many builds wait for these"`
	NewRun   bool     `json:"new_run" doc:"it takes a run of its own, because the build may need packages that the plan of this one does not have"`
}

func fixView(f service.Fix) Fix {
	list := func(s []string) []string { return append([]string{}, s...) }
	return Fix{Package: f.Package, Builds: append([]int64{}, f.Steps...), Targets: list(f.Targets), Proposed: list(f.Words), Text: f.Text, Frees: f.Frees, NewRun: f.NewRun}
}

func (a *API) fixOperations() {
	register(a, operation{method: http.MethodGet, about: aboutRun, path: "/runs/{id}/fixes", id: "run-fixes", summary: "Packages of a run whose builds failed, with what would mend them", role: auth.Viewer, tag: "runs"}, a.runFixes)
	register(a, operation{method: http.MethodPost, about: aboutRun, path: "/runs/{id}/fixes", id: "apply-fix", summary: "Have the project say the proposed fix of a package, or a text of yours, and build again what failed for it", role: auth.Maintainer, tag: "runs"}, a.applyFix)
}

// fixes are those of a run, with the run's project.
func (a *API) fixes(ctx context.Context, run int64) ([]service.Fix, store.Project, error) {
	r, err := a.cfg.Store.Run(ctx, run)
	if err != nil {
		return nil, store.Project{}, err
	}
	p, err := a.cfg.Store.Project(ctx, r.Project)
	if err != nil {
		return nil, p, err
	}
	steps, err := a.cfg.Store.RunSteps(ctx, run)
	return service.Fixes(p, steps), p, err
}

func (a *API) runFixes(ctx context.Context, in *RunPath) (*listOf[Fix], error) {
	all, _, err := a.fixes(ctx, in.ID)
	return newList(store.Part[service.Fix]{Items: all}, fixView), err
}

type applyFixInput struct {
	RunPath
	DryRun bool `query:"dry_run" doc:"say what would be done again, and do nothing"`
	Body   struct {
		Package string  `json:"package" minLength:"1" maxLength:"100" doc:"as run-fixes has it"`
		Text    *string `json:"text,omitempty" maxLength:"65536" doc:"the override of the package; absent: what is proposed"`
		NewRun  bool    `json:"new_run,omitempty" doc:"in a new run, also where this one would do"`
	}
}

// AppliedFix is what comes of a fix.
type AppliedFix struct {
	DryRun bool   `json:"dry_run"`
	Text   string `json:"text" doc:"what the project says of the package now"`
	Run    *Run   `json:"run,omitempty" doc:"that goes on, or is new; absent in a dry run"`
	NewRun bool   `json:"new_run"`
	Steps  []Step `json:"steps" nullable:"false" doc:"done again in the run"`
}

type applyFixOutput struct{ Body AppliedFix }

func (a *API) applyFix(ctx context.Context, in *applyFixInput) (*applyFixOutput, error) {
	all, p, err := a.fixes(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(f service.Fix) bool { return f.Package == in.Body.Package })
	if i < 0 {
		return nil, invalid("package", "no build of %q failed in this run", in.Body.Package)
	}
	fix, text := all[i], all[i].Text
	switch {
	case in.Body.Text != nil:
		text = strings.ReplaceAll(*in.Body.Text, "\r\n", "\n")
	case len(fix.Words) == 0:
		return nil, invalid("text", "nothing is proposed for %s: say what is to change", fix.Package)
	}
	if _, err := service.ReadOverrides(map[string]string{fix.Package: text}); err != nil {
		return nil, invalid("text", "%v", err)
	}
	fix.NewRun = fix.NewRun || in.Body.NewRun
	out := &applyFixOutput{AppliedFix{DryRun: in.DryRun, Text: text, NewRun: fix.NewRun, Steps: []Step{}}}
	if in.DryRun {
		if fix.NewRun {
			return out, nil
		}
		again, err := a.cfg.Store.PlanRetry(ctx, store.Retry{Run: fix.Run, Steps: fix.Steps})
		out.again(again)
		return out, err
	}
	who := auth.FromContext(ctx)
	var applied service.Applied
	err = a.cfg.Store.Write(ctx, func(tx *store.Tx) (err error) {
		if applied, err = service.ApplyFix(ctx, tx, fix, text, fmt.Sprintf("fix of %s by %s", fix.Package, who)); err != nil {
			return err
		}
		return who.Audit(ctx, tx, auth.Change{Action: "override.set", Object: fix.Package, Project: p.ID, Detail: map[string]any{"run": fix.Run, "text": text}})
	})
	if errors.Is(err, service.ErrOverride) {
		return nil, invalid("text", "%v", err)
	}
	if err != nil {
		return nil, err
	}
	run := runView(applied.Run)
	out.Body.Run = &run
	out.again(applied.Again)
	return out, nil
}

// again notes steps without their results.
func (o *applyFixOutput) again(steps []store.Step) {
	for _, s := range steps {
		v := stepView(s)
		v.Result = nil
		o.Body.Steps = append(o.Body.Steps, v)
	}
}
