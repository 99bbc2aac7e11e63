package reqfile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"reqpm/internal/pep508"
)

// groupNames are the groups of the file as written: [dependency-groups] (PEP 735),
// and the older tables of Poetry, uv and PDM.
func (p *pyproject) groupNames() []string {
	names := slices.Clone(p.doc.Get("dependency-groups").Names())
	names = append(names, p.doc.Get("tool", "poetry", "group").Names()...)
	names = append(names, p.doc.Get("tool", "pdm", "dev-dependencies").Names()...)
	for _, tool := range [][]string{{"tool", "poetry", "dev-dependencies"}, {"tool", "uv", "dev-dependencies"}} {
		if p.doc.Get(tool...) != nil && !slices.Contains(names, "dev") {
			names = append(names, "dev")
		}
	}
	return names
}

// noteGroups takes down which groups there are.
func (p *pyproject) noteGroups() {
	p.groups.known = append(p.groups.known, p.groupNames()...)
	if p.groups.at.File == "" {
		p.groups.at = Position{File: p.file}
		if groups := p.doc.Get("dependency-groups"); groups.IsTable() {
			p.groups.at.Line = groups.Line
		}
	}
}

// wantedGroups reads the groups that were asked for.
func (p *pyproject) wantedGroups(ctx context.Context) {
	for _, name := range p.groups.names {
		if p.group(ctx, name, 0) {
			p.groups.found[pep508.NormalizeName(name)] = true
		}
	}
}

// group reads one group, once, from every table that has it; false when none has.
func (p *pyproject) group(ctx context.Context, name string, depth int) bool {
	key, found := pep508.NormalizeName(name), false
	visit := "group " + key
	seen := p.entered[visit]
	p.entered[visit] = true
	before := p.within
	p.within = scope{group: key}
	defer func() { p.within = before }()
	for _, tool := range [][]string{{"dependency-groups"}, {"tool", "pdm", "dev-dependencies"}} {
		groups := p.doc.Get(tool...)
		for _, written := range groups.Names() {
			if pep508.NormalizeName(written) != key {
				continue
			}
			if found = true; !seen {
				p.groupItems(ctx, groups.Get(written), written, depth)
			}
		}
	}
	if list := p.doc.Get("tool", "uv", "dev-dependencies"); list != nil && key == "dev" {
		if found = true; !seen {
			p.groupItems(ctx, list, "dev-dependencies", depth)
		}
	}
	return p.poetryGroup(ctx, key, depth, seen) || found
}

// groupItems reads requirement strings and {include-group = "name"} tables.
func (p *pyproject) groupItems(ctx context.Context, n *node, what string, depth int) {
	if !n.IsArray() {
		p.fail(Position{p.file, n.Line}, what, errors.New("a dependency group must be an array"))
		return
	}
	for _, item := range n.Items {
		at := Position{p.file, max(item.Line, n.Line)}
		include := item.Get("include-group")
		switch {
		case p.stopped(ctx):
			return
		case item.IsString():
			p.dependency(ctx, item, "")
		case !include.IsString():
			p.fail(at, what, errors.New(`must hold strings or {include-group = "name"}`))
		case depth >= maxDepth:
			p.fail(at, what, fmt.Errorf("%w: groups included more than %d deep", ErrTooLarge, maxDepth))
		case !p.group(ctx, include.Text, depth+1):
			p.fail(at, include.Text, errors.New("there is no such dependency group"))
		}
	}
}
