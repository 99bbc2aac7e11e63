package pipeline

import (
	"context"

	"golang.org/x/sync/errgroup"

	"reqpm/internal/index"
	"reqpm/internal/metadata"
	"reqpm/internal/pep440"
	"reqpm/internal/spec"
)

// License is what one package of the set is licensed under.
type License struct {
	Name       string `json:"name"`
	Version    string `json:"version"`
	Expression string `json:"license"` // SPDX; spec.UnknownLicense when nothing tells it
	Source     string `json:"source"`  // where that is said: License-Expression, classifiers, file LICENSE, …
}

// Known tells whether anything says what the licence is.
func (l License) Known() bool { return l.Expression != spec.UnknownLicense }

// Licenses finds the licence of every package of the set and of the project itself, as their specs have it. Source
// archives are fetched for those whose metadata says nothing.
func (p *Pipeline) Licenses(ctx context.Context, lock *Lock) ([]License, error) {
	type one struct {
		License
		meta   metadata.Metadata
		file   index.File
		reused bool
	}
	var all []one
	if pr := lock.project; pr != nil {
		all = append(all, one{License{Name: pr.Name, Version: pr.Version}, pr.Meta, pr.file, false})
	}
	for _, l := range lock.Packages {
		all = append(all, one{License{Name: l.Name, Version: l.Version}, l.Meta, l.file, l.reused != nil})
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(2, p.Slots()))
	for i := range all {
		g.Go(func() error {
			l := &all[i]
			var err error
			if l.reused && l.meta.License == "" { // ReqPM's own table knows no licences, the index may
				if v, bad := pep440.Parse(l.Version); bad == nil {
					l.meta, _ = p.from.Metadata(ctx, l.Name, v)
				}
			}
			l.Expression, l.Source, err = p.license(ctx, l.meta, l.file)
			if fatal(err) || ctx.Err() != nil {
				return err
			}
			if err != nil { // one archive that cannot be read does not hide the others
				l.Expression, l.Source = spec.UnknownLicense, lastLine(err.Error())
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	list := make([]License, len(all))
	for i, l := range all {
		list[i] = l.License
	}
	return list, nil
}

// license is what the spec of a package has: see chooseLicense. The archive is fetched only when it counts.
func (p *Pipeline) license(ctx context.Context, meta metadata.Metadata, f index.File) (expr, source string, err error) {
	if expr, source, sure := statedLicense(meta); sure || f.Kind != index.SDist {
		return expr, source, nil
	}
	record, err := p.sdistFacts(ctx, f)
	if err != nil {
		return "", "", err
	}
	expr, source = chooseLicense(meta, record)
	return expr, source, nil
}

// statedLicense is what the metadata says. It is not sure of it when it names a family only, as the
// classifier for all BSD licences does.
func statedLicense(meta metadata.Metadata) (expr, source string, sure bool) {
	expr, source = spec.License(meta, nil)
	return expr, source, source != "none" && source != spec.AmbiguousClassifiers
}

// chooseLicense takes what the metadata states, as it stands for what was built from it; where that is silent
// or names a family only, the texts of the archive are asked.
func chooseLicense(meta metadata.Metadata, record sdistRecord) (expr, source string) {
	expr, source, sure := statedLicense(meta)
	if !sure && record.License != "" && record.License != spec.UnknownLicense {
		return record.License, record.LicenseSource
	}
	return expr, source
}
