package pipeline

import (
	"context"

	"golang.org/x/sync/errgroup"

	"reqpm/internal/index"
	"reqpm/internal/metadata"
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
		meta metadata.Metadata
		file index.File
	}
	var all []one
	if pr := lock.project; pr != nil {
		all = append(all, one{License{Name: pr.Name, Version: pr.Version}, pr.Meta, pr.file})
	}
	for _, l := range lock.Packages {
		all = append(all, one{License{Name: l.Name, Version: l.Version}, l.Meta, l.file})
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(2, p.cfg.Slots))
	for i := range all {
		g.Go(func() error {
			l := &all[i]
			var err error
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

// license asks the metadata, and the texts of the source archive only where that is silent.
func (p *Pipeline) license(ctx context.Context, meta metadata.Metadata, f index.File) (expr, source string, err error) {
	if expr, source = spec.License(meta, nil); expr != spec.UnknownLicense || f.Kind != index.SDist {
		return expr, source, nil
	}
	record, err := p.sdistFacts(ctx, f)
	return record.License, record.LicenseSource, err
}
