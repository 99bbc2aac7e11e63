package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/pipeline"
	"reqpm/internal/spec"
)

type licensesOptions struct {
	projectOptions
	failOn []string
}

// errDenied: packages have licences that --fail-on names. Which ones was told.
var errDenied = errors.New("licences that --fail-on does not allow")

func (a *app) newLicensesCommand() *cobra.Command {
	var o licensesOptions
	cmd := &cobra.Command{
		Use:   "licenses [URL|DIR]",
		Short: "List the licence of every package as an SPDX expression",
		Long: `Resolve a project and list what every package of the set is licensed under, as an SPDX expression, and where
that is said: in the metadata, else in the licence files of its source archive.

` + exitCodesHelp,
		Example: `  reqpm licenses ./checkout
  reqpm licenses ./checkout --fail-on 'GPL-*' --fail-on 'AGPL-*'
  reqpm licenses ./checkout --locked --json`,
		Args: maxOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.follow(cmd.Context(), &o.projectOptions, firstArg(args), false); err != nil {
				return err
			}
			return a.runLicenses(cmd.Context(), o, firstArg(args))
		},
	}
	o.register(cmd)
	o.registerLocked(cmd)
	cmd.Flags().StringArrayVar(&o.failOn, "fail-on", nil, "end with status 1 when a licence matches, e.g. 'GPL-*'; of alternatives (OR) all must; repeatable")
	return cmd
}

// licensesJSON is the answer of licenses --json.
type licensesJSON struct {
	Target   string             `json:"target"`
	Packages []pipeline.License `json:"packages"`
	Counts   map[string]int     `json:"counts"`  // by expression
	Unknown  []string           `json:"unknown"` // "name version"
	Denied   []deniedPackage    `json:"denied"`
}

type deniedPackage struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	License string `json:"license"` // the part of the expression that is denied
}

func (a *app) runLicenses(ctx context.Context, o licensesOptions, where string) error {
	for _, pattern := range o.failOn {
		if err := spec.CheckLicensePattern(pattern); err != nil {
			return usagef("--fail-on: %w", err)
		}
	}
	session, err := a.resolveOne(ctx, &o.projectOptions, where)
	if err != nil {
		return err
	}
	defer session.close()
	lock := session.answers[0].Prepared.Lock
	list, err := session.pipelines[0].Licenses(ctx, lock)
	if err != nil {
		return err
	}
	doc := licensesJSON{Target: lock.Target, Packages: []pipeline.License{}, Counts: map[string]int{}, Unknown: []string{}, Denied: []deniedPackage{}}
	for _, l := range list {
		doc.Packages = append(doc.Packages, l)
		doc.Counts[l.Expression]++
		if !l.Known() {
			doc.Unknown = append(doc.Unknown, l.Name+" "+l.Version)
		}
		if denied := spec.DeniedLicense(l.Expression, o.failOn); denied != "" {
			doc.Denied = append(doc.Denied, deniedPackage{l.Name, l.Version, denied})
		}
	}
	if a.global.json {
		if err := a.printJSON(doc); err != nil {
			return err
		}
		if len(doc.Denied) > 0 {
			return silent{errDenied}
		}
		return nil
	}
	return a.printLicenses(doc)
}

func (a *app) printLicenses(doc licensesJSON) error {
	rows := [][]string{{"PACKAGE", "VERSION", "LICENSE", "FROM"}}
	for _, l := range doc.Packages {
		rows = append(rows, []string{l.Name, l.Version, l.Expression, l.Source})
	}
	a.table(rows)
	kinds := sortedKeys(doc.Counts)
	slices.SortStableFunc(kinds, func(x, y string) int { return cmp.Compare(doc.Counts[y], doc.Counts[x]) })
	for _, kind := range kinds {
		a.say("%5d  %s", doc.Counts[kind], kind)
	}
	if len(doc.Unknown) > 0 {
		a.say("nothing tells the licence of: %s", strings.Join(doc.Unknown, ", "))
	}
	if len(doc.Denied) == 0 {
		return nil
	}
	var names []string
	for _, d := range doc.Denied {
		names = append(names, fmt.Sprintf("%s %s (%s)", d.Name, d.Version, d.License))
	}
	return fmt.Errorf("%w: %s", errDenied, strings.Join(names, ", "))
}
