package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/pipeline"
	"reqpm/internal/solve"
)

func (a *app) newResolveCommand() *cobra.Command {
	var o projectOptions
	cmd := &cobra.Command{
		Use:   "resolve [URL|DIR]",
		Short: "Find the one consistent set of versions for a target",
		Long: `Read the requirements of a project and find one version of every package it needs, for the
Python and architecture of the target. Nothing is built.

` + exitCodesHelp,
		Example: `  reqpm resolve ./checkout
  reqpm resolve ./checkout -r requirements.txt -c constraints.txt --target el9 --json
  reqpm resolve ./checkout --exclude-newer 2026-06-01`,
		Args: maxOneArg,
		RunE: func(cmd *cobra.Command, args []string) error { return a.runResolve(cmd.Context(), o, firstArg(args)) },
	}
	o.register(cmd)
	cmd.Flags().StringVar(&o.python, "python", "", "resolve for Python X.Y in place of the target's own")
	cmd.MarkFlagsMutuallyExclusive("python", "target")
	return cmd
}

// resolved is the answer of resolve --json, one element a target.
type resolved struct {
	Target   string            `json:"target"`
	Python   string            `json:"python"`
	Packages []pipeline.Locked `json:"packages"`
	Warnings []string          `json:"warnings,omitempty"`
	Conflict *conflictJSON     `json:"conflict"`
}

type conflictJSON struct {
	Message      string                `json:"message"`
	Requirements []conflictRequirement `json:"requirements"`
}

type conflictRequirement struct {
	Text    string `json:"text"`
	File    string `json:"file"`
	Line    int    `json:"line"`
	Package string `json:"package,omitempty"` // who asks, when it is no line of the user's own
}

func conflictRequirements(c *solve.Conflict) []conflictRequirement {
	list := []conflictRequirement{}
	for _, o := range c.Origins {
		list = append(list, conflictRequirement{Text: o.Text, File: o.File, Line: o.Line, Package: strings.TrimSpace(o.Package + " " + o.Version)})
	}
	return list
}

func (a *app) runResolve(ctx context.Context, o projectOptions, where string) error {
	state, err := a.stateDir()
	if err != nil {
		return err
	}
	progress := a.newProgress()
	defer progress.Close()
	p, err := a.openPipeline(ctx, o, progress.quiet(a.global.json))
	if err != nil {
		return err
	}
	defer p.Close()
	prepared, err := p.Prepare(ctx, o.request(where, state))
	progress.Close()
	if conflict, ok := errors.AsType[*solve.Conflict](err); ok && a.global.json {
		t := p.Target()
		_ = a.printJSON(map[string]any{"targets": []resolved{{Target: t.Name, Python: t.Python.Version, Packages: []pipeline.Locked{},
			Conflict: &conflictJSON{conflict.Message, conflictRequirements(conflict)}}}})
		return silent{err}
	}
	if err != nil {
		return err
	}
	lock := prepared.Lock
	if a.global.json {
		return a.printJSON(map[string]any{"targets": []resolved{{Target: lock.Target, Python: lock.Python, Packages: lock.Packages, Warnings: lock.Warnings}}})
	}
	a.sayFiles(prepared)
	rows := [][]string{{"PACKAGE", "VERSION", "FROM", "REQUIRED BY"}}
	for _, l := range lock.Packages {
		rows = append(rows, []string{l.Name, l.Version, l.Artifact.Kind, requirers(l)})
	}
	a.table(rows)
	a.say("%d packages for %s, Python %s", len(lock.Packages), lock.Target, lock.Python)
	return nil
}

// sayFiles tells which files were read, and which were found and left alone.
func (a *app) sayFiles(prepared *pipeline.Prepared) {
	for _, c := range prepared.Analysis.Candidates {
		mark := "ignored"
		if c.Chosen {
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
