package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"reqpm/internal/api"
	"reqpm/internal/client"
	"reqpm/internal/service"
)

// Plans that a server makes before anything is saved: waiting for them, and showing them.

// previewWait is how long one question for a plan may take: what the server does meanwhile is shown after it.
const previewWait = 2 * time.Second

// awaitPlan waits for the end of a plan, and says meanwhile what the server does. Ctrl-C ends it there, too.
func (a *app) awaitPlan(ctx context.Context, c *client.Client, p api.Plan) (api.Plan, error) {
	said := map[string]string{}
	for p.Finished == nil {
		for _, t := range p.Targets {
			if t.Doing != "" && t.Doing != said[t.Target] && !a.global.json {
				a.say("%s: %s", t.Target, t.Doing)
			}
			said[t.Target] = t.Doing
		}
		next, err := c.PlanPreview(ctx, p.ID, previewWait)
		if err != nil {
			if ctx.Err() != nil {
				err = errors.Join(err, c.CancelPlanPreview(context.WithoutCancel(ctx), p.ID))
			}
			return p, err
		}
		p = next
	}
	return p, nil
}

// planEnd is nil for a plan of every target. Else the command ends like one that resolves here: 3 without a solution, 2 where what was
// asked is wrong, 5 where the server could not ask somebody.
func planEnd(ctx context.Context, p api.Plan) error {
	if p.State == service.PreviewCancelled {
		return &saidError{exitFailed, "the server stopped making the plan: " + p.Error}
	}
	ends := targetErrors{}
	for _, t := range p.Targets {
		if t.State == service.PreviewDone {
			continue
		}
		end := &saidError{exitNetwork, t.Error}
		switch {
		case t.Conflict != nil:
			end = &saidError{exitConflict, t.Conflict.Message}
		case p.Error != "":
			return planError(p.Field, p.Error) // which is about every target
		case t.Field != "":
			end = planError(t.Field, t.Error)
		}
		ends.add(ctx, t.Target, end)
	}
	if err := ends.verdict(); err != nil {
		return &saidError{ends.worst().code, err.Error()}
	}
	return nil
}

func planError(field, text string) *saidError {
	switch field {
	case "", "git_url": // the address was looked at before: it is who answers there
		return &saidError{exitNetwork, text}
	case "targets":
		return &saidError{exitFailed, text}
	}
	return &saidError{exitUsage, field + ": " + text}
}

// showPlan prints the packages of a plan, and what they come to for each target.
func (a *app) showPlan(p api.Plan) {
	var warnings []string
	for _, t := range p.Targets {
		for _, w := range t.Warnings {
			if !slices.Contains(warnings, w) {
				warnings = append(warnings, w)
			}
		}
		if t.State != service.PreviewDone {
			continue
		}
		fmt.Fprintln(a.stdout, plainText(t.Target+", Python "+t.Python))
		rows := [][]string{{"PACKAGE", "VERSION", "ROLE", "DECISION", "TIME", "NEEDS"}}
		for _, n := range t.Packages {
			took := ""
			if n.Seconds > 0 {
				took = seconds(n.Seconds)
			}
			rows = append(rows, []string{n.Name, n.Version, n.Role, decisionText(n), took, strings.Join(n.Needs, ", ")})
		}
		a.table(rows)
	}
	for _, w := range warnings {
		a.say("warning: %s", w)
	}
	a.sumPlan(p)
}

// sumPlan says of each target what its plan comes to.
func (a *app) sumPlan(p api.Plan) {
	for _, t := range p.Targets {
		if t.State != service.PreviewDone {
			continue
		}
		a.say("%s: %d direct, %d transitive, %d build tools; %d to build, %d built before, %d of the distribution, %d cannot be built; about %s on %d slots",
			t.Target, t.Direct, t.Transitive, t.Tools, t.Build, t.Cached, t.Reused, t.Cannot, seconds(t.Estimate), t.Slots)
		if len(t.Chain) > 1 {
			a.say("longest chain (%s): %s", seconds(t.ChainTime), strings.Join(t.Chain, " → "))
		}
	}
}

// decisionText is what becomes of a package.
func decisionText(p service.PlannedPackage) string {
	words := map[string]string{"cached": "built before", "reuse": "distribution", "failed": "cannot be built"}
	text := p.Decision
	if word, ok := words[p.Decision]; ok {
		text = word
	}
	if p.Why != "" && (p.Decision == "failed" || p.Decision == "reuse") {
		text += ": " + firstLine(p.Why)
	}
	return text
}

func plannedText(p service.PlannedPackage) string {
	if p.Version == "" {
		return "-"
	}
	return p.Version + ", " + decisionText(p)
}

// showPlanChanges says what becomes of the packages that a plan has otherwise than another one.
func (a *app) showPlanChanges(was, is api.Plan, changes []service.PlanChange) {
	for _, t := range was.Targets {
		if t.State == service.PreviewFailed {
			a.say("%s has no plan as it is: %s", t.Target, firstLine(t.Error))
		}
	}
	if len(changes) == 0 {
		a.say("the plan stays as it is")
	} else {
		rows := [][]string{{"TARGET", "PACKAGE", "AS IT IS", "WITH IT"}}
		for _, c := range changes {
			rows = append(rows, []string{c.Target, c.Package, plannedText(c.Before), plannedText(c.After)})
		}
		a.table(rows)
	}
	a.sumPlan(is)
}
