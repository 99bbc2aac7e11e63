package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/pipeline"
	"reqpm/internal/service"
)

func (a *app) newResolveCommand() *cobra.Command {
	var o projectOptions
	cmd := &cobra.Command{
		Use:   "resolve [URL|DIR]",
		Short: "Find the one consistent set of versions for each target",
		Long: `Read the requirements of a project and find one version of every package it needs, for the
Python and architecture of the target. Nothing is built. For several targets, named one by one or
with --target all, the answer is one table: where versions differ, it says why.

` + exitCodesHelp,
		Example: `  reqpm resolve ./checkout
  reqpm resolve ./checkout -r requirements.txt -c constraints.txt --target el9 --json
  reqpm resolve ./checkout --target el8,el9,el10
  reqpm resolve ./checkout --exclude-newer 2026-06-01`,
		Args: maxOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("python") && cmd.Flags().Changed("target") {
				return usagef("--python stands in place of --target: give one of them")
			}
			if err := a.follow(cmd.Context(), &o, firstArg(args), true); err != nil {
				return err
			}
			return a.runResolve(cmd.Context(), o, firstArg(args))
		},
	}
	o.register(cmd)
	o.registerLocked(cmd)
	cmd.Flags().StringVar(&o.python, "python", "", "resolve for Python X.Y in place of the target's own")
	return cmd
}

// resolved is the answer of resolve --json, one element a target.
type resolved struct {
	Target   string            `json:"target"`
	Python   string            `json:"python"`
	Packages []pipeline.Locked `json:"packages"`
	Warnings []string          `json:"warnings,omitempty"`
	Conflict *service.Conflict `json:"conflict"`
	Error    string            `json:"error,omitempty"` // why there is no answer for this target
	// Distribution says what was known of the target's distribution; absent where nothing was asked.
	Distribution *pipeline.DistributionUse `json:"distribution,omitempty"`
	Replaces     []pipeline.Replaced       `json:"replaces,omitempty"` // of the system's own Python: building is refused
}

func (a *app) runResolve(ctx context.Context, o projectOptions, where string) error {
	session, err := a.resolveAll(ctx, &o, where)
	if err != nil {
		return err
	}
	defer session.close()
	for _, answer := range session.answers {
		if answer.Err == nil && answer.Prepared.Lock.Refused() != nil {
			a.say("warning: it can be resolved, and not be built: %v", answer.Prepared.Lock.Refused())
		}
	}
	if a.global.json {
		list := []resolved{}
		for _, answer := range session.answers {
			list = append(list, resolvedJSON(answer))
		}
		doc := struct {
			Targets     []resolved            `json:"targets"`
			Differences []pipeline.Difference `json:"differences,omitempty"`
		}{Targets: list}
		if doc.Differences, err = pipeline.Differences(ctx, session.pipelines, session.answers); err != nil {
			return err
		}
		if err := a.printJSON(doc); err != nil {
			return err
		}
		if end := session.verdict(); end != nil {
			return silent{end}
		}
		return nil
	}
	a.sayFiles(session.answers[0].Prepared)
	if len(session.answers) == 1 {
		if err := session.verdict(); err != nil {
			return err
		}
		a.printSet(session.answers[0].Prepared.Lock)
		return nil
	}
	if err := a.printTargets(ctx, session); err != nil {
		return err
	}
	return session.verdict()
}

// resolvedJSON is one element of the answer.
func resolvedJSON(answer pipeline.Answer) resolved {
	r := resolved{Target: answer.Target.Name, Python: answer.Target.Python.Version, Packages: []pipeline.Locked{}}
	if answer.Err != nil {
		if r.Conflict = service.ConflictOf(answer.Err); r.Conflict == nil {
			r.Error = answer.Err.Error()
		}
		return r
	}
	lock := answer.Prepared.Lock
	r.Packages, r.Warnings, r.Distribution, r.Replaces = lock.Packages, lock.Warnings, lock.Distribution, lock.Replaces
	return r
}

// printSet is the table of one target.
func (a *app) printSet(lock *pipeline.Lock) {
	rows := [][]string{{"PACKAGE", "VERSION", "FROM", "REQUIRED BY"}}
	for _, l := range lock.Packages {
		rows = append(rows, []string{l.Name, l.Version, l.Artifact.Kind, requirers(l)})
	}
	a.table(rows)
	a.say("%d packages for %s, Python %s", len(lock.Packages), lock.Target, lock.Python)
	if line := distributionLine(lock.Distribution); line != "" {
		a.say("%s", line)
	}
}

// sayFiles tells which files were read, and which were found and left alone.
func (a *app) sayFiles(prepared *pipeline.Prepared) {
	for _, c := range prepared.Analysis.Candidates {
		mark := "ignored"
		if c.Chosen || strings.HasPrefix(c.Why, "read along") {
			mark = "read"
		}
		a.say("%-8s %s (%d requirements): %s", mark, c.Path, c.Count, c.Why)
	}
}

// requirers says who asks for a package, the user's own lines first.
func requirers(l pipeline.Locked) string {
	var own, packages []string
	for _, by := range l.RequiredBy {
		if by.File != "" {
			own = append(own, fmt.Sprintf("%s:%d", by.File, by.Line))
		} else if !slices.Contains(packages, by.Name) {
			packages = append(packages, by.Name)
		}
	}
	all := append(own, packages...)
	if len(all) > 4 {
		all = append(all[:4], fmt.Sprintf("and %d more", len(all)-4))
	}
	return strings.Join(all, ", ")
}

// silent is an error that was already told on stdout in JSON.
type silent struct{ error }

func (e silent) Unwrap() error { return e.error }
